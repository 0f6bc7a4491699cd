//! Sinks of the feed: who is told of accepted changes, beside those who ask.
//!
//! Invariant: a webhook hears of each event at least once and in order, unless its delivery is among the dead letters.
#![warn(missing_docs)]

mod courier;
mod office;
mod request;
pub mod signing;
pub mod target;

pub use office::{Office, Tempo};
