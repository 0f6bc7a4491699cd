//! Whole lives of replicas and their primary under one seed: real SQLite files, programs that know nothing of Mainstem,
//! clocks that are wrong, answers that get lost; and a model that knows what was written, by whom, and judges the end.
//!
//! Invariant: a seed gives one tape, and a tape one run, whatever the machine and the number of threads.
//! A crate of its own because it drives the SQLite adapter, on which testkit must not depend. Never shipped.
mod causes;
mod dice;
mod epochs;
mod faults;
mod features;
pub mod hunt;
pub mod image;
mod judge;
mod keeping;
mod ledger_view;
mod lent;
pub mod links;
mod machine;
mod model;
mod oddities;
mod office;
pub mod orders;
mod parts;
mod probe;
mod program;
mod proposals;
mod rarities;
mod remake;
pub mod report;
mod reverts;
mod reviews;
pub mod run;
pub mod shrink;
mod steps;
mod tables;
pub mod tally;
pub mod tape;
pub mod telling;
mod traces;
mod values;
mod weather;
mod wire;
pub mod workload;
pub mod world;

pub use hunt::{Found, hunt};
