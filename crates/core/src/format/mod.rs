//! Bytes: the one binary encoding of values, rows, pages, fronts, schemas and events.
//!
//! Every top-level thing begins with a version byte. What travels rarely (fronts, events, schemas) is written as
//! tagged fields (tag, length, bytes), so a later writer adds a tag and an earlier reader skips it, and a field that
//! is missing has its default; a change that an earlier reader must not skip takes a new version byte. What is hot
//! (keys, rows, pages) is packed plainly.
//! Invariant: decoders are total. Any bytes give a value or [`crate::Error::Corrupt`], without recursion on the
//! input, in time and memory proportional to its length.
//! Invariant: version 1 is kept for ever; its bytes are fixtures of the tests.
pub mod account;
mod bytes;
pub mod chronicle;
pub mod conflict;
pub mod event;
pub mod front;
pub mod gate;
pub mod page;
pub mod review;
pub mod row;
pub mod schema;
pub mod session;
pub mod value;

pub use bytes::{FEW_MAX, Fields, Reader, Writer};

/// The version byte that this program writes, and the highest it reads.
pub const VERSION: u8 = 1;

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
