//! Where primaries are made and kept: one place for one dataset, or many on a server.
use crate::error::Result;
use crate::local::{Fill, Founding};
use crate::primary::Primary;
use mainstem_core::stamp::Time;
use std::io::Write;

/// Where one dataset's primary is, or will be.
pub trait Place {
    /// The address that replicas remember.
    fn address(&self) -> Result<String>;
    /// Opens the primary. `NotFound` with the code `no_primary` where there is none.
    fn open(&mut self) -> Result<Box<dyn Primary>>;
    /// Founds the primary, whole or not at all. `Conflict` with the code `occupied` where something else is there.
    fn found(&mut self, founding: &Founding<'_>, fill: Fill<'_>) -> Result<()>;
}

/// The datasets that one server keeps, by name. Safe to call from many threads at once.
pub trait Datasets: Send + Sync {
    /// The names, sorted.
    fn names(&self) -> Result<Vec<String>>;
    /// Opens one. `NotFound` with the code `no_primary` where there is none of that name.
    fn open(&self, name: &str) -> Result<Box<dyn Primary + Send>>;
    /// Founds one, whole or not at all. `Conflict` with the code `occupied` where there is one already.
    fn found(&self, name: &str, founding: &Founding<'_>, fill: Fill<'_>) -> Result<()>;
    /// True where one is archived: it is read, and not written. `NotFound` with the code `no_primary` where there is none.
    fn is_archived(&self, name: &str) -> Result<bool>;
    /// Archives one, or takes it out of the archive. Whoever is writing to it goes on.
    fn archive(&self, name: &str, is_archived: bool) -> Result<()>;
    /// Deletes one that is archived; nobody may have it open. Its backups are put aside. `Conflict` with the code `not_archived`
    /// where it is not archived.
    fn delete(&self, name: &str) -> Result<()>;
    /// Writes a backup of one committed state, while others read and write.
    fn export(&self, name: &str, into: &mut dyn Write) -> Result<()>;
    /// Keeps a backup of one committed state, while others read and write. `Conflict` with the code `too_many` where enough
    /// are kept.
    fn back_up(&self, name: &str) -> Result<Kept>;
    /// The backups that are kept, oldest first.
    fn backups(&self, name: &str) -> Result<Vec<Kept>>;
    /// Puts a backup that is kept in a dataset's place, as a new epoch; nobody may have the dataset open. What was there
    /// becomes a backup, if it can be read. Returns the backup and the epoch that began. `NotFound` with the code
    /// `not_found` where no such backup is kept.
    fn restore(&self, name: &str, backup: &str, actor: &str) -> Result<Kept>;
}

/// A backup that is kept beside the datasets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What it is called.
    pub name: String,
    /// The life of the dataset that it is of.
    pub epoch: Option<u128>,
    /// The latest version in it.
    pub version: u64,
    /// When it was made.
    pub at: Time,
    /// How large it is.
    pub bytes: u64,
}
