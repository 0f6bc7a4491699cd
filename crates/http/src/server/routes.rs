//! Every route of the server, in one table: what it answers, what it needs, and who handles it.
//!
//! Invariant: a request reaches its handler only through [`router`], after what its row needs was granted.
use super::{Shared, access, guard, replica_calls};
use crate::wire::call::Call;
use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{MethodRouter, post};
use hyper::Method;
pub use mainstem::core::authority::Right;
use std::sync::Arc;

/// What whoever asks must be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: anybody may.
    Nothing,
    /// The token by which the first administrator is made.
    Setup,
    /// To be somebody.
    Identity,
    /// To be somebody, by a token that is not limited: what changes one's own account.
    Account,
    /// A right on the dataset that the path names.
    Dataset(Right),
    /// To administer the server.
    Server,
}

/// One route.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with `{dataset}` and the like in it.
    pub path: String,
    /// What it needs.
    pub needs: Needs,
    /// What it does, in a sentence.
    pub summary: String,
    /// Who handles it.
    pub handler: MethodRouter<Arc<Shared>>,
}

/// Every route.
pub fn routes() -> Vec<Route> {
    Call::ALL.iter().map(|&call| of_call(call)).chain(access::routes()).collect()
}

fn of_call(call: Call) -> Route {
    Route {
        method: Method::POST,
        path: format!("/api/v1/datasets/{{dataset}}/primary/{}", call.name()),
        needs: if call == Call::Found { Needs::Server } else { Needs::Dataset(right_of(call)) },
        summary: format!("The replica protocol: {}.", call.name()),
        handler: post(move |shared, dataset, identity, body| replica_calls::handle(call, shared, dataset, identity, body)),
    }
}

/// The right that a call needs on its dataset. Where a replica stands is told by those who only read as well: history is kept
/// for them, too.
pub(super) fn right_of(call: Call) -> Right {
    match call {
        Call::Push => Right::Write,
        Call::SetPolicy | Call::Cleanup | Call::BeginEpoch | Call::Found => Right::Own,
        _ => Right::Read,
    }
}

/// The routes of a server, each behind what it needs.
pub fn router(shared: Arc<Shared>) -> Router {
    let all = routes().into_iter().fold(Router::new(), |router, route| {
        let (guarded, needs) = (shared.clone(), route.needs);
        let guard = from_fn(move |request, next| guard::pass(guarded.clone(), needs, request, next));
        router.route(&route.path, route.handler.route_layer(guard))
    });
    all.with_state(shared)
}
