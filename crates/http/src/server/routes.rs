//! Every route of the server, in one table: what it answers, what it needs, and who handles it.
//!
//! Invariant: a request reaches its handler only through [`router`], after what its row needs was granted.
use super::{Shared, replica_calls};
use crate::wire::call::Call;
use axum::Router;
use axum::routing::{MethodRouter, post};
use hyper::Method;
use std::sync::Arc;

/// What whoever asks must be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: anybody may.
    Nothing,
    /// To be somebody.
    Identity,
    /// A right on the dataset that the path names.
    Dataset(Right),
    /// To administer the server.
    Server,
}

/// A right on a dataset, each including those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// To read rows and history.
    Read,
    /// To offer changes.
    Write,
    /// To say how the dataset is run: its policy, what it forgets.
    Own,
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
    Call::ALL.iter().map(|&call| of_call(call)).collect()
}

fn of_call(call: Call) -> Route {
    Route {
        method: Method::POST,
        path: format!("/api/v1/datasets/{{dataset}}/primary/{}", call.name()),
        needs: match call {
            Call::Push | Call::Seen => Needs::Dataset(Right::Write),
            Call::SetPolicy | Call::Cleanup | Call::BeginEpoch => Needs::Dataset(Right::Own),
            Call::Found => Needs::Server,
            _ => Needs::Dataset(Right::Read),
        },
        summary: format!("The replica protocol: {}.", call.name()),
        handler: post(move |shared, dataset, body| replica_calls::handle(call, shared, dataset, body)),
    }
}

/// The routes of a server.
pub fn router(shared: Arc<Shared>) -> Router {
    let all = routes().into_iter();
    all.fold(Router::new(), |router, route| router.route(&route.path, route.handler)).with_state(shared)
}
