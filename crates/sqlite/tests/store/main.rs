//! Contracts of the SQLite store: opening files, locks, current rows, schema steps and the ledger.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alter;
mod contract;
mod feeding;
mod files;
mod gates;
mod ledger;
mod noticing;
mod questions;
mod replica;
mod rows;
mod schema;
mod store;
mod travel;
mod waiting;
