//! The server: many datasets behind one address.
//!
//! Invariant: a request is whole before a primary is asked, and the answer before its first byte is sent.
mod access;
pub mod answer;
mod author;
mod guard;
mod hall;
mod keeper;
mod replica_calls;
pub mod routes;
mod run;

pub use hall::Hall;
pub use routes::router;
pub use run::run;

use mainstem::accounts::Registrar;

/// What every handler shares.
pub struct Shared {
    /// The datasets.
    pub hall: Hall,
    /// The accounts.
    pub registrar: Registrar,
}
