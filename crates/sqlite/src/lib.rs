//! SQLite as a technology: capture and apply on a tracked file, and the embedded primary's ledger and tables.
//!
//! Invariant: a tracked file is only ever opened through SQLite (CAP-10).
mod alter;
pub mod backup;
mod beside;
pub mod capture;
mod captured;
pub mod connection;
mod derived;
pub mod errors;
mod form;
mod kept;
pub mod ledger;
pub mod lock;
pub mod notice;
mod part;
mod plan;
pub mod primary;
mod question;
pub mod registry;
pub mod replica;
pub mod schema;
mod scratch;
mod seen;
mod shelf;
pub mod sign_ins;
pub mod sql;
pub mod store;
mod sweep;
pub mod tables;
mod unique;
pub mod webhooks;

pub use captured::Captured;
pub use primary::open_primary;
pub use replica::SqliteReplica;
pub use tables::SqliteTables;
