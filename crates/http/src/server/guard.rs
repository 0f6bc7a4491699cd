//! Lets a request through to its handler, or not: by what its route needs, the token it shows and the accounts as they are.
//!
//! Invariant: one place decides, before a byte of the body is looked at, and whoever may not read a dataset hears the same as
//! where there is none. What a push touches is known later and decided by the same function (see [`mainstem::author`]).
use super::Shared;
use super::gate::Actor;
use super::refused::Refused;
use super::routes::{Needs, Right};
use crate::address::is_dataset_name;
use axum::RequestExt;
use axum::body::Body;
use axum::extract::{RawPathParams, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::header;
use mainstem::accounts::{Identity, unauthenticated};
use mainstem::author::{absent, permit};
use mainstem::core::ErrorKind;
use mainstem::core::authority::Object;
use mainstem::error::{Error, Result};
use mainstem::token::Secret;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a refused request's body that are read, so that whoever still sends hears the answer.
const UNREAD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long the end of a token or role may go unnoticed by what waits.
const NOTICED_WITHIN: Duration = Duration::from_secs(2);

/// Lets one request through, or answers why not.
pub(super) async fn pass(shared: Arc<Shared>, needs: Needs, mut request: Request, next: Next) -> Response {
    let dataset = dataset_in(&mut request).await;
    match allow(&shared, needs, dataset.as_deref(), request.headers()) {
        Ok(Shown::Nothing) => next.run(request).await,
        Ok(Shown::Setup(secret)) => {
            request.extensions_mut().insert(secret);
            next.run(request).await
        }
        Ok(Shown::Identity(identity)) => {
            if let Some(actor) = request.extensions().get::<Actor>() {
                actor.is(&identity.name);
            }
            let caller = shared.porter.caller(identity.actor);
            request.extensions_mut().insert(identity);
            caller.asks(next.run(request)).await
        }
        Err(error) => refuse(error, request.into_body()).await,
    }
}

/// The dataset that a request's path names.
pub(super) async fn dataset_in(request: &mut Request) -> Option<String> {
    let params = request.extract_parts::<RawPathParams>().await.ok()?;
    params.iter().find(|(name, _)| *name == "dataset").map(|(_, value)| value.to_string())
}

/// What a request showed of whoever sends it.
enum Shown {
    Nothing,
    Setup(Secret),
    Identity(Identity),
}

fn allow(shared: &Shared, needs: Needs, dataset: Option<&str>, headers: &HeaderMap) -> Result<Shown> {
    match needs {
        Needs::Nothing => return Ok(Shown::Nothing),
        Needs::Setup => return token(headers)?.filter(Secret::is_setup).map(Shown::Setup).ok_or_else(unauthenticated),
        Needs::Identity | Needs::Account | Needs::Server | Needs::Dataset(_) => {}
    }
    let secret = token(headers)?.ok_or_else(nobody)?;
    let identity = shared.registrar.identity(&secret).ok_or_else(unauthenticated)?;
    may(&identity, needs, dataset)?;
    Ok(Shown::Identity(identity))
}

/// Whether somebody has what a route needs of whoever is somebody.
pub(super) fn may(identity: &Identity, needs: Needs, dataset: Option<&str>) -> Result<()> {
    let object = match (needs, dataset) {
        (Needs::Nothing | Needs::Setup | Needs::Identity, _) => None,
        (Needs::Account, _) => Some(Object::Account),
        (Needs::Server, _) => Some(Object::Server),
        (Needs::Dataset(right), Some(dataset)) => Some(object_of(right, dataset)),
        (Needs::Dataset(_), None) => return Err(Error::internal("a route needs a right on a dataset and names none")),
    };
    if let Some(unfit) = dataset.filter(|dataset| !is_dataset_name(dataset)) {
        return Err(absent(unfit));
    }
    let right = if let Needs::Dataset(right) = needs { right } else { Right::Read };
    object.map_or(Ok(()), |object| permit(identity, right, object))
}

/// What a right of a route is wanted on: of what is read only what may be seen is shown, and which tables are written is
/// known once they are read.
fn object_of(right: Right, dataset: &str) -> Object<'_> {
    match right {
        Right::Read | Right::Propose | Right::Write => Object::Within(dataset),
        Right::Review | Right::Own => Object::Dataset(dataset),
    }
}

/// The token in a request. An error where something else is shown in its place, or more than one.
fn token(headers: &HeaderMap) -> Result<Option<Secret>> {
    let mut shown = headers.get_all(header::AUTHORIZATION).iter();
    let Some(first) = shown.next() else { return Ok(None) };
    if shown.next().is_some() {
        return Err(unauthenticated());
    }
    let bearer = first.to_str().ok().and_then(|text| text.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    bearer.and_then(|(_, text)| Secret::parse(text.trim())).map(Some).ok_or_else(unauthenticated)
}

fn nobody() -> Error {
    Error::new(ErrorKind::Denied, "unauthenticated", "this server wants a token").hint("mainstem login ADDRESS")
}

/// The identity as it is now, where it still has a right on something: it may have lost it while its request waited.
pub(super) fn still(shared: &Shared, identity: &Identity, right: Right, dataset: &str) -> Result<Identity> {
    let now = shared.registrar.renewed(identity).ok_or_else(unauthenticated)?;
    permit(&now, right, object_of(right, dataset))?;
    Ok(now)
}

/// Resolves, within seconds, once an identity has lost a right on a dataset; for what goes on for long.
pub(super) async fn lost(shared: &Shared, identity: &Identity, right: Right, dataset: &str) -> Error {
    loop {
        tokio::time::sleep(NOTICED_WITHIN).await;
        if let Err(error) = still(shared, identity, right, dataset) {
            return error;
        }
    }
}

/// Answers a refusal, after what its sender is still sending: a line that breaks would hide the reason.
async fn refuse(error: Error, mut body: Body) -> Response {
    let mut left = UNREAD_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, bytes::Bytes::len);
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None => break,
        }
    }
    Refused(error).into_response()
}
