//! Contracts of the SQLite store: opening files, locks, current rows, schema steps and the ledger.
mod alter;
mod files;
mod ledger;
mod rows;
mod schema;
