//! What the ledger tells of the past: rows at any version, who wrote what, and whether it is still what it was.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod audit;
mod interrupted;
mod looking;
mod proposals;
mod reverts;
mod review;
mod rows;
mod voting;
mod world;
