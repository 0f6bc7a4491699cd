//! What people's tools read of a dataset and do to it, in JSON.
//!
//! Each handler parses, asks one thing of the primary, and wraps what it says.
pub mod audit;
pub mod backups;
pub mod conflicts;
pub mod datasets;
pub mod edits;
pub mod notices;
pub mod proposals;
pub mod rows;
pub mod tombstones;
pub mod versions;

use super::refused::Refused;
use axum::Json;
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};

/// An answer in JSON.
pub type Answer<T> = std::result::Result<Json<T>, Refused>;

/// The most items of one answer.
const ITEMS_MAX: usize = 1_000;
/// Those of one where nobody says how many.
const ITEMS: usize = 100;

/// How many items an answer has at most.
pub(super) fn limit(asked: Option<usize>) -> Result<usize> {
    match asked {
        None => Ok(ITEMS),
        Some(limit) if (1..=ITEMS_MAX).contains(&limit) => Ok(limit),
        Some(limit) => Err(Error::invalid(format!("limit {limit} is not between 1 and {ITEMS_MAX}"))),
    }
}

/// Ends a visit that has seen enough.
fn enough() -> Error {
    Error::new(ErrorKind::Internal, "enough", "enough was seen")
}

/// A visit that was ended by [`enough`] is no failure.
fn unless_enough(visited: Result<()>) -> Result<()> {
    visited.or_else(|e| if e.code == "enough" { Ok(()) } else { Err(e) })
}
