//! A disk under SQLite: counts what reaches it, fails when told to, and forgets what was not synced, as a power cut does.
//!
//! It stands between this process's SQLite and the system's file access, for folders that are observed. Other files go
//! straight to the system. Invariant: what is never asked for is never changed; an observed folder without a fault behaves
//! like any other. Deliberately absent: shared memory (it does not survive a crash).
mod disk;
mod folder;
mod image;
mod operation;
mod shim;

pub use disk::{Disk, Failure};
pub use image::{Fate, Image};
pub use operation::{Act, FileId, Operation, unsynced};
pub use shim::install;
