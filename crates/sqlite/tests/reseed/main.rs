//! Replicas whose primary lost versions, or can no longer tell of them: what each still holds comes back, nothing returns
//! from the dead, and nobody's work is lost.
//!
//! Invariant: files are written as another program would, and copied only while nobody has them open.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cut_off;
mod horizon;
mod random;
mod restored;
mod team;
