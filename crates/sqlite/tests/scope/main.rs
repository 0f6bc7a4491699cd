//! Replicas of a part: what they see follows their scope, and nothing is lost or deleted by that.
//!
//! Invariant: files are written as another program would.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hidden;
mod moving;
mod office;
mod random;
mod reviewing;
