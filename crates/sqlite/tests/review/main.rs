//! Replicas with changes that are kept for review: what is pushed, what is offered, what becomes of both.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod kept;
mod random;
#[path = "../reseed/team.rs"]
#[allow(dead_code, reason = "it serves other tests, too")]
mod team;
