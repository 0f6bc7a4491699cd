//! Mainstem as a library: the use cases, over four traits that technologies implement.
//!
//! Invariant: no technology here. SQLite, HTTP and files are adapters; time, randomness and names are arguments.
#![warn(missing_docs)]

pub mod accounts;
pub mod at_primary;
pub mod audit;
pub mod author;
pub mod body;
pub mod changeset_file;
pub mod changeset_json;
pub mod changeset_session;
pub mod cleanup;
pub mod comparing;
pub mod datasets;
pub mod error;
pub mod feed;
pub mod gates;
pub mod history;
pub mod lane;
pub mod ledger;
pub mod local;
pub mod members;
pub mod moment;
pub mod moved;
pub mod policy_text;
pub mod primary;
pub mod proposing;
pub mod rebase;
pub mod registry;
pub mod replica;
pub mod review;
pub mod schema_merge;
pub mod scoped;
pub mod sign_in;
pub mod stale;
pub mod store;
pub mod sync;
pub mod tables;
pub mod token;
pub mod tombstones;
pub mod typed_value;
pub mod watch;
pub mod wiring;
pub mod writer;

pub use error::{Error, Result};
pub use mainstem_core as core;
