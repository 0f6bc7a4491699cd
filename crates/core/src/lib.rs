//! Mainstem's values and rules: what data is, what changed, what two sides mean together.
//!
//! Invariant: no I/O, no clock, no randomness; the same inputs give the same outputs on every machine.
//! Deliberately absent: SQL, files, networks, and any encoding outside [`format`].
#![no_std]
#![warn(missing_docs)]
extern crate alloc;

pub mod account;
pub mod authority;
pub mod change;
pub mod chronicle;
pub mod condense;
pub mod conflict;
pub mod digest;
pub mod error;
pub mod event;
pub mod format;
pub mod gate;
pub mod planted;
pub mod policy;
pub mod proposal;
pub mod renumber;
pub mod schema;
pub mod scope;
pub mod stamp;
pub mod strategy;
pub mod text;
pub mod three_way;
pub mod value;
pub mod vote;
pub mod words;

pub use error::{Error, ErrorKind, Result};
