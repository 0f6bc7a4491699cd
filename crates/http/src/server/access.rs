//! The routes of accounts: setting up, actors, tokens, roles, replicas, and what happened to them.
//!
//! Invariant: a token's text is in the one answer that creates it, and nowhere else.
use super::Shared;
use super::asked::{Asked, Named};
use super::people::Answer;
use super::routes::{Media, Needs, Right, Route};
use crate::wire::access::{self as wire, Created};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::routing::{MethodRouter, delete, get, patch, post};
use hyper::{HeaderMap, Method, header};
use mainstem::accounts::{Identity, Registrar, Wish};
use mainstem::author::permit;
use mainstem::core::ErrorKind;
use mainstem::core::account::{Accounts, Actor, Fact};
use mainstem::core::authority::{Limit, Object, Role};
use mainstem::core::stamp::{ReplicaId, Time};
use mainstem::error::{Error, Result};
use mainstem::sign_in::SignIn;
use mainstem::token::Secret;
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use std::sync::Arc;

type All = State<Arc<Shared>>;
type Who = Extension<Identity>;

/// Events in one answer.
const EVENTS_MAX: usize = 1_000;

/// Every route of accounts.
pub fn routes() -> Vec<Route> {
    let mut all = of_people();
    all.extend(of_tokens());
    all.extend(of_datasets());
    all
}

fn of_people() -> Vec<Route> {
    let actors = "/api/v1/actors";
    vec![
        gives::<Created>("/api/v1/setup", Needs::Setup, "Makes the first administrator; the setup token is then used up.", post(set_up))
            .takes::<wire::SetUp>(Method::POST),
        gives::<wire::Me>("/api/v1/me", Needs::Identity, "Says whom the token stands for, and what it may do.", get(me)),
        gives::<Vec<wire::Actor>>(actors, Needs::Server, "Lists the actors.", get(list_actors)),
        gives::<wire::Actor>(actors, Needs::Server, "Adds an actor.", post(add_actor)).takes::<wire::NewActor>(Method::POST),
        gives::<wire::Actor>("/api/v1/actors/{actor}", Needs::Server, "Renames, disables or promotes an actor.", patch(change_actor))
            .takes::<wire::ActorChange>(Method::PATCH),
        gives::<Vec<wire::Event>>("/api/v1/access-events", Needs::Server, "What happened to accounts, oldest first.", get(events))
            .asked::<wire::EventsAsked>(),
    ]
}

fn of_tokens() -> Vec<Route> {
    let tokens = "/api/v1/tokens";
    vec![
        gives::<Vec<wire::Token>>(tokens, Needs::Identity, "Lists one's own tokens; an administrator sees all.", get(list_tokens)),
        gives::<Created>(tokens, Needs::Account, "Creates a token; its text is shown this once.", post(create_token))
            .takes::<wire::NewToken>(Method::POST),
        gives::<()>("/api/v1/tokens/{token}", Needs::Identity, "Revokes a token; `current` is the one that asks.", delete(revoke_token))
            .by(Method::DELETE),
        gives::<Vec<wire::Browser>>("/api/v1/browsers", Needs::Identity, "Lists the browsers in which one is signed in.", get(browsers)),
        gives::<()>("/api/v1/browsers/{browser}", Needs::Identity, "Signs out in a browser.", delete(end_browser)).by(Method::DELETE),
    ]
}

fn of_datasets() -> Vec<Route> {
    let own = Needs::Dataset(Right::Own);
    let roles = "/api/v1/datasets/{dataset}/roles";
    vec![
        gives::<Vec<wire::Replica>>(
            "/api/v1/replicas",
            Needs::Identity,
            "Lists one's own replicas; an administrator sees all.",
            get(replicas),
        ),
        gives::<()>("/api/v1/replicas/{replica}", Needs::Account, "Shuts a replica out.", delete(revoke_replica)).by(Method::DELETE),
        gives::<Vec<wire::RoleOf>>(roles, own, "Lists who has which role on a dataset and its tables.", get(list_roles)),
        gives::<Vec<wire::RoleOf>>(roles, own, "Gives a role on a dataset or table, or takes it away.", post(set_role))
            .takes::<wire::RoleWish>(Method::POST),
    ]
}

fn gives<T: JsonSchema>(path: &str, needs: Needs, summary: &str, handler: MethodRouter<Arc<Shared>>) -> Route {
    Route::of_server(path, needs, Media::Json(SchemaGenerator::subschema_for::<T>), summary, handler)
}

/// A request's body, parsed once and into what it is to be: unknown, doubled and foreign fields are refused.
pub(super) fn body_of<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok()).and_then(|media| media.split(';').next());
    if media.is_none_or(|media| !media.trim().eq_ignore_ascii_case("application/json")) {
        return Err(Error::new(ErrorKind::Invalid, "unsupported_media_type", "the body is application/json"));
    }
    // A list of the fields' values would be taken for them.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Error::invalid("the body is no JSON object"));
    }
    serde_json::from_slice(body).map_err(|e| Error::invalid(format!("the body cannot be used: {e}")))
}

/// Changes accounts on a thread where that may take its time.
pub(super) async fn changing<T: Send + 'static>(
    shared: &Arc<Shared>,
    change: impl FnOnce(&Registrar) -> Result<T> + Send + 'static,
) -> Result<T> {
    let shared = shared.clone();
    let done = tokio::task::spawn_blocking(move || change(&shared.registrar));
    done.await.map_err(|e| Error::internal(format!("a call ended by itself: {e}")))?
}

fn actor_named<'a>(accounts: &'a Accounts, name: &str) -> Result<&'a Actor> {
    accounts.named(name).ok_or_else(|| Error::not_found(format!("there is no actor {name}")).hint("mainstem access actors ADDRESS"))
}

async fn set_up(State(shared): All, Extension(setup): Extension<Secret>, headers: HeaderMap, body: Bytes) -> Answer<Created> {
    let wish: wire::SetUp = body_of(&headers, &body)?;
    let (_, secret) = changing(&shared, move |registrar| registrar.set_up(&setup, &wish.name, &wish.label)).await?;
    let id = shared.registrar.identity(&secret).map_or(0, |identity| identity.token);
    Ok(Json(Created { id, token: secret.reveal().to_string() }))
}

async fn me(State(shared): All, Extension(identity): Who) -> Answer<wire::Me> {
    Ok(Json(wire::Me::of(&shared.registrar.accounts(), &identity)))
}

async fn list_actors(State(shared): All) -> Answer<Vec<wire::Actor>> {
    let accounts = shared.registrar.accounts();
    Ok(Json(accounts.actors().map(|actor| wire::Actor::of(&accounts, actor)).collect()))
}

async fn add_actor(State(shared): All, Extension(identity): Who, headers: HeaderMap, body: Bytes) -> Answer<wire::Actor> {
    Ok(Json(make_actor(&shared, identity, body_of(&headers, &body)?).await?))
}

/// Adds an actor.
pub(super) async fn make_actor(shared: &Arc<Shared>, identity: Identity, wish: wire::NewActor) -> Result<wire::Actor> {
    changing(shared, move |registrar| {
        let id = match (wish.is_agent, &wish.answered_by) {
            (false, None) => registrar.add_actor(identity.actor, &wish.name)?,
            (false, Some(_)) => return Err(Error::invalid("nobody else answers for a person; is_agent makes it a program")),
            (true, None) => registrar.add_agent(identity.actor, &wish.name, identity.actor)?,
            (true, Some(name)) => {
                let person = actor_named(&registrar.accounts(), name)?.id;
                registrar.add_agent(identity.actor, &wish.name, person)?
            }
        };
        shown(&registrar.accounts(), id)
    })
    .await
}

async fn change_actor(
    State(shared): All,
    Extension(identity): Who,
    Named(name): Named<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<wire::Actor> {
    Ok(Json(alter_actor(&shared, identity, name, body_of(&headers, &body)?).await?))
}

/// Renames, disables or promotes an actor.
pub(super) async fn alter_actor(shared: &Arc<Shared>, identity: Identity, name: String, wish: wire::ActorChange) -> Result<wire::Actor> {
    changing(shared, move |registrar| {
        let mut id = 0;
        registrar.change(identity.actor, |accounts| {
            administers(accounts, &identity)?;
            let actor = actor_named(accounts, &name)?;
            id = actor.id;
            Ok(wish.facts(actor))
        })?;
        shown(&registrar.accounts(), id)
    })
    .await
}

fn shown(accounts: &Accounts, id: u64) -> Result<wire::Actor> {
    accounts.actor(id).map(|actor| wire::Actor::of(accounts, actor)).ok_or_else(|| Error::internal("an actor went"))
}

/// Whoever was an administrator when the request came may be none by now.
fn administers(accounts: &Accounts, identity: &Identity) -> Result<()> {
    let token = accounts.token(identity.token).filter(|token| token.revoked_at.is_none());
    let authority = token.and_then(|token| accounts.authority(token)).ok_or_else(mainstem::accounts::unauthenticated)?;
    permit(&Identity { authority, ..identity.clone() }, Right::Own, Object::Server)
}

async fn list_tokens(State(shared): All, Extension(identity): Who) -> Answer<Vec<wire::Token>> {
    let accounts = shared.registrar.accounts();
    let sees_all = permit(&identity, Right::Own, Object::Server).is_ok();
    let visible = accounts.tokens().filter(|token| sees_all || token.actor == identity.actor);
    Ok(Json(visible.map(|token| wire::Token::of(&accounts, token)).collect()))
}

async fn create_token(State(shared): All, Extension(identity): Who, headers: HeaderMap, body: Bytes) -> Answer<Created> {
    Ok(Json(make_token(&shared, identity, body_of(&headers, &body)?).await?))
}

/// Creates a token. An administrator does for others as well.
pub(super) async fn make_token(shared: &Arc<Shared>, identity: Identity, wish: wire::NewToken) -> Result<Created> {
    let created = changing(shared, move |registrar| {
        let accounts = registrar.accounts();
        let actor = match &wish.actor {
            Some(name) if accounts.named(name).map(|a| a.id) != Some(identity.actor) => {
                permit(&identity, Right::Own, Object::Server)?;
                actor_named(&accounts, name)?.id
            }
            _ => identity.actor,
        };
        let right = wish.right.as_deref().map(|name| Right::parse(name).ok_or_else(|| Error::invalid(format!("{name} is no right"))));
        let limit = Limit { right: right.transpose()?, dataset: wish.dataset };
        let expires_at = wish.lives_s.map(|s| Time::from_ms(registrar.now().ms().saturating_add(s.saturating_mul(1_000))));
        registrar.create_token(identity.actor, actor, Wish { label: wish.label, limit, expires_at })
    });
    let (id, secret) = created.await?;
    Ok(Created { id, token: secret.reveal().to_string() })
}

async fn revoke_token(State(shared): All, Extension(identity): Who, Named(named): Named<String>) -> Answer<()> {
    Ok(Json(end_token(&shared, identity, named).await?))
}

/// Revokes a token.
pub(super) async fn end_token(shared: &Arc<Shared>, identity: Identity, named: String) -> Result<()> {
    let is_current = named == "current";
    let id = if is_current { Some(identity.token) } else { named.parse().ok() };
    changing(shared, move |registrar| {
        registrar.change(identity.actor, |accounts| {
            let is_own = |actor| actor == identity.actor || permit(&identity, Right::Own, Object::Server).is_ok();
            let token = id.and_then(|id| accounts.token(id)).filter(|token| is_own(token.actor) && token.revoked_at.is_none());
            let token = token.ok_or_else(|| Error::not_found(format!("there is no token {named} that you could revoke")))?;
            if token.id != identity.token {
                permit(&identity, Right::Own, Object::Account)?;
            }
            Ok(vec![Fact::TokenRevoked(token.id)])
        })
    })
    .await
}

async fn browsers(State(shared): All, Extension(identity): Who) -> Answer<Vec<wire::Browser>> {
    Ok(Json(signed_in(&shared, &identity)?.iter().map(wire::Browser::of).collect()))
}

/// Where somebody is signed in, with tokens that are still good.
pub(super) fn signed_in(shared: &Shared, identity: &Identity) -> Result<Vec<SignIn>> {
    let mut all = shared.sign_ins.of_actor(identity.actor)?;
    all.retain(|each| shared.registrar.of_token(each.token).is_some());
    Ok(all)
}

async fn end_browser(State(shared): All, Extension(identity): Who, Named(named): Named<String>) -> Answer<()> {
    sign_out(&shared, &identity, &named)?;
    Ok(Json(()))
}

/// Signs somebody out in one of their browsers; answers which.
pub(super) fn sign_out(shared: &Shared, identity: &Identity, named: &str) -> Result<u64> {
    let own = shared.sign_ins.of_actor(identity.actor)?;
    let meant = own.iter().find(|each| each.id.to_string() == named);
    let meant = meant.ok_or_else(|| Error::not_found(format!("you are signed in in no browser {named}")))?;
    shared.sign_ins.end(meant.id)?;
    Ok(meant.id)
}

async fn replicas(State(shared): All, Extension(identity): Who) -> Answer<Vec<wire::Replica>> {
    let accounts = shared.registrar.accounts();
    let sees_all = permit(&identity, Right::Own, Object::Server).is_ok();
    let visible = accounts.devices().filter(|device| sees_all || device.actor == identity.actor);
    Ok(Json(visible.map(|device| wire::Replica::of(&accounts, device)).collect()))
}

async fn revoke_replica(State(shared): All, Extension(identity): Who, Named(named): Named<String>) -> Answer<()> {
    Ok(Json(shut_out(&shared, identity, named).await?))
}

/// Shuts a replica out.
pub(super) async fn shut_out(shared: &Arc<Shared>, identity: Identity, named: String) -> Result<()> {
    changing(shared, move |registrar| {
        registrar.change(identity.actor, |accounts| {
            let is_own = |actor| actor == identity.actor || permit(&identity, Right::Own, Object::Server).is_ok();
            let device = ReplicaId::parse(&named).and_then(|id| accounts.device(id)).filter(|device| is_own(device.actor));
            let device = device.ok_or_else(|| Error::not_found(format!("there is no replica {named} that you could shut out")))?;
            Ok(vec![Fact::ReplicaRevoked(device.replica)])
        })
    })
    .await
}

async fn list_roles(State(shared): All, Named(dataset): Named<String>) -> Answer<Vec<wire::RoleOf>> {
    must_be_there(&shared, &dataset).await?;
    Ok(Json(wire::roles_on(&shared.registrar.accounts(), &dataset)))
}

async fn set_role(
    State(shared): All,
    Extension(identity): Who,
    Named(dataset): Named<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Vec<wire::RoleOf>> {
    Ok(Json(give_role(&shared, identity, dataset, body_of(&headers, &body)?).await?))
}

/// Gives a role on a dataset or table, or takes it away.
pub(super) async fn give_role(
    shared: &Arc<Shared>,
    identity: Identity,
    dataset: String,
    wish: wire::RoleWish,
) -> Result<Vec<wire::RoleOf>> {
    must_be_there(shared, &dataset).await?;
    let role = match &wish.role {
        Some(name) => Some(Role::parse(name).ok_or_else(|| Error::invalid(format!("{name} is no role")))?),
        None => None,
    };
    changing(shared, move |registrar| {
        registrar.change(identity.actor, |accounts| {
            let token = accounts.token(identity.token).and_then(|token| accounts.authority(token));
            let authority = token.ok_or_else(mainstem::accounts::unauthenticated)?;
            permit(&Identity { authority, ..identity.clone() }, Right::Own, Object::Dataset(&dataset))?;
            let actor = actor_named(accounts, &wish.actor)?.id;
            Ok(vec![Fact::RoleSet { actor, dataset: dataset.clone(), table: wish.table.clone(), role }])
        })?;
        Ok(wire::roles_on(&registrar.accounts(), &dataset))
    })
    .await
}

/// Roles are on datasets that are there: a name that waits for its dataset would surprise whoever publishes it.
async fn must_be_there(shared: &Arc<Shared>, dataset: &str) -> Result<()> {
    shared.hall.with(dataset, false, |_| Ok(())).await
}

async fn events(State(shared): All, Asked(asked): Asked<wire::EventsAsked>) -> Answer<Vec<wire::Event>> {
    let found = changing(&shared, move |registrar| {
        let accounts = registrar.accounts();
        let events = registrar.events(asked.after)?.into_iter().take(EVENTS_MAX).zip(asked.after.saturating_add(1)..);
        Ok(events.map(|((event, hash), position)| wire::Event::of(&accounts, position, &event, &hash)).collect())
    });
    Ok(Json(found.await?))
}
