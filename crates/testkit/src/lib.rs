//! What tests of several crates share. Never shipped.
//!
//! Invariant: everything here runs the same way for the same seed.
pub mod between;
pub mod primary_contract;
pub mod surroundings;

pub use surroundings::Seeded;
