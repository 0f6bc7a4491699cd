//! The server: many datasets behind one address.
//!
//! Invariant: a request is whole before a primary is asked, and the answer before its first byte is sent.
pub mod accept;
mod access;
mod acting;
pub mod answer;
mod asked;
mod browser;
mod company;
mod counting;
mod door;
mod feed;
mod finder;
mod gate;
mod guard;
mod hall;
mod keeper;
mod limits;
mod meters;
pub mod openapi;
mod pace;
mod pages;
mod people;
mod porter;
mod rate;
mod reading;
mod record;
mod refused;
mod replica_calls;
pub mod routes;
mod run;
mod stop;
mod tls;
mod told;
mod turns;
mod waiting;
mod webhooks;

pub use counting::Caller;
pub use door::Door;
pub use finder::Finder;
pub use gate::Actor;
pub use hall::Hall;
pub use limits::Limits;
pub use porter::Porter;
pub use record::{Record, Style};
pub use refused::Refused;
pub use routes::router;
pub use run::run;
pub use stop::Stop;
pub use tls::Tls;

use mainstem::accounts::Registrar;
use mainstem::feed::Webhooks;
use mainstem::sign_in::SignIns;
use std::sync::Arc;

/// What every handler shares.
pub struct Shared {
    /// The datasets.
    pub hall: Hall,
    /// The accounts.
    pub registrar: Registrar,
    /// Where people are signed in with browsers.
    pub sign_ins: SignIns,
    /// Who lets requests in.
    pub porter: Porter,
    /// Whom events are sent to; none where this server sends none.
    pub webhooks: Option<Arc<dyn Webhooks>>,
    /// What large proposals would do, while that is found.
    pub finder: Finder,
    /// Whether the server was asked to stop.
    pub stop: Stop,
}
