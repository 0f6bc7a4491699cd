//! The server: many datasets behind one address.
//!
//! Invariant: a request is whole before a primary is asked, and the answer before its first byte is sent.
pub mod answer;
mod hall;
mod replica_calls;

pub use hall::Hall;

use axum::Router;
use axum::routing::post;
use std::sync::Arc;

/// What every handler shares.
pub struct Shared {
    /// The datasets.
    pub hall: Hall,
}

/// The routes of a server.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/api/v1/datasets/{dataset}/primary/{call}", post(replica_calls::handle)).with_state(shared)
}
