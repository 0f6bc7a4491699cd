//! The primary over HTTP: what travels, the client that is a primary to its replica, and the server.
//!
//! Invariant: what a request may do is decided in one place, before anything is read for it.
//! Deliberately absent: storage. Datasets and accounts come in through traits; async stays inside this crate.
pub mod address;
pub mod client;
pub mod fingerprint;
pub mod server;
mod spool;
pub mod wire;

pub use client::HttpPrimary;
