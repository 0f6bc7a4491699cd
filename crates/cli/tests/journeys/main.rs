//! Whole journeys through the built program: people edit copies of a database with plain SQLite, sync, and come together.
//!
//! Invariant: the tests see only what a user sees: the program's output and exit codes, and the files as the
//! `sqlite3` shell and Python read them. No test waits for time, uses a fixed port or depends on another.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod answers;
mod audit;
mod backup;
mod bad_files;
mod browsers;
mod chinook;
mod copies;
mod crash;
mod datasets;
mod demo;
mod derived;
mod desk;
mod direct;
mod feeding;
mod geodiff;
mod hazards;
mod history;
mod killed;
mod merging;
mod northwind;
mod partial;
mod people;
mod random;
mod refusals;
mod reseed;
mod review;
mod schema;
mod serve;
mod session;
mod stats;
mod strategies;
mod team;
mod tombstones;
mod unseen;
mod values;
mod volume;
mod watch;
