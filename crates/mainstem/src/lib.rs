//! Mainstem as a library: the use cases, over four traits that technologies implement.
//!
//! Invariant: no technology here. SQLite, HTTP and files are adapters; time, randomness and names are arguments.
#![warn(missing_docs)]

pub mod changeset_file;
pub mod changeset_json;
pub mod error;
pub mod ledger;
pub mod primary;
pub mod replica;
pub mod sync;
pub mod tables;
pub mod wiring;

pub use error::{Error, Result};
pub use mainstem_core as core;
