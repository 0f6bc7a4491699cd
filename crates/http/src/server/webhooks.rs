//! The routes of webhooks: whom a dataset's events are sent to.
//!
//! Invariant: a key is in the one answer that makes it, and nowhere else (T24).
use super::Shared;
use super::asked::{Asked, Named};
use super::people::{Answer, limit};
use super::routes::{Media, Needs, Right, Route};
use crate::wire::shown::{Listed, moment};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, State};
use axum::routing::{MethodRouter, delete, get, post};
use hyper::Method;
use mainstem::accounts::Identity;
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use mainstem::feed::{DeadLetter, Webhook, WebhookState, Webhooks};
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A webhook.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownWebhook {
    /// Its name.
    id: String,
    /// Where events are sent.
    url: String,
    /// How far it has been told.
    offset: String,
    /// Who made it.
    created_by: String,
    /// When.
    created_at: String,
    /// Why it does not go on, where it does not.
    trouble: Option<String>,
}

impl ShownWebhook {
    fn new(webhook: &Webhook, trouble: Option<String>) -> Self {
        ShownWebhook {
            id: name_of(webhook.id),
            url: webhook.url.clone(),
            offset: webhook.offset.to_string(),
            created_by: webhook.created_by.clone(),
            created_at: moment(webhook.created_at),
            trouble,
        }
    }
}

/// A webhook that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MadeWebhook {
    /// The webhook.
    #[serde(flatten)]
    webhook: ShownWebhook,
    /// What its deliveries are signed with; shown this once.
    key: String,
}

/// A delivery that was given up.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownLetter {
    /// Its number.
    id: u64,
    /// It tells what comes after this offset.
    after: String,
    /// Up to this one.
    through: String,
    /// How many events.
    events: u64,
    /// How often it was tried.
    attempts: u64,
    /// Why the last attempt failed.
    why: String,
    /// When that was.
    at: String,
}

impl From<&DeadLetter> for ShownLetter {
    fn from(letter: &DeadLetter) -> Self {
        ShownLetter {
            id: letter.id,
            after: letter.after.to_string(),
            through: letter.through.to_string(),
            events: letter.events,
            attempts: letter.attempts,
            why: letter.why.clone(),
            at: moment(letter.at),
        }
    }
}

/// A webhook that is wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedWebhook {
    /// Where events are to be sent.
    url: String,
    /// The offset after which it begins; without it, it begins with what comes.
    from: Option<String>,
}

/// Which dead letters.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LettersAsked {
    /// Only those after the one of this number.
    after: Option<u64>,
    /// How many at most.
    limit: Option<usize>,
}

/// The routes of webhooks.
pub fn routes() -> Vec<Route> {
    let all = "/webhooks";
    let letters = "/webhooks/{webhook}/dead-letters";
    vec![
        owns::<Listed<ShownWebhook>>(all, "Whom the dataset's events are sent to.", get(list)),
        owns::<MadeWebhook>(all, "Sends the dataset's events to an address; the key is shown this once.", post(add))
            .takes::<WantedWebhook>(Method::POST),
        owns::<()>("/webhooks/{webhook}", "Sends no more events to an address.", delete(remove)).by(Method::DELETE),
        owns::<Listed<ShownLetter>>(letters, "Deliveries that were given up, oldest first.", get(dead_letters)).asked::<LettersAsked>(),
        owns::<()>("/webhooks/{webhook}/dead-letters/{letter}/replay", "Sends a delivery again that was given up.", post(replay))
            .by(Method::POST),
    ]
}

fn owns<T: JsonSchema>(path: &str, summary: &str, handler: MethodRouter<Arc<Shared>>) -> Route {
    let gives = Media::Json(SchemaGenerator::subschema_for::<T>);
    Route::of_server(&format!("/api/v1/datasets/{{dataset}}{path}"), Needs::Dataset(Right::Own), gives, summary, handler)
}

pub(super) fn name_of(id: u64) -> String {
    format!("{id:016x}")
}

pub(super) fn id_of(name: &str) -> Result<u64> {
    let is_name = name.len() == 16 && name.bytes().all(|digit| digit.is_ascii_hexdigit());
    let id = u64::from_str_radix(name, 16).ok().filter(|_| is_name);
    id.ok_or_else(|| Error::not_found("there is no webhook of that name"))
}

/// Asks something of the webhooks, on a thread where it may take its time.
pub(super) async fn ask<T: Send + 'static>(shared: &Shared, ask: impl FnOnce(&dyn Webhooks) -> Result<T> + Send + 'static) -> Result<T> {
    let none = || Error::new(ErrorKind::Unavailable, "no_webhooks", "this server sends no webhooks");
    let webhooks = shared.webhooks.clone().ok_or_else(none)?;
    let asked = tokio::task::spawn_blocking(move || ask(&*webhooks)).await;
    asked.map_err(|e| Error::internal("a call ended by itself").because(e))?
}

async fn list(State(shared): State<Arc<Shared>>, Named(dataset): Named<String>) -> Answer<Listed<ShownWebhook>> {
    let all: Vec<WebhookState> = ask(&shared, move |webhooks| webhooks.list(&dataset)).await?;
    let items = all.into_iter().map(|state| ShownWebhook::new(&state.webhook, state.trouble)).collect();
    Ok(Json(Listed { items, next: None }))
}

async fn add(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(dataset): Named<String>,
    wanted: std::result::Result<Json<WantedWebhook>, JsonRejection>,
) -> Answer<MadeWebhook> {
    let Json(wanted) = wanted.map_err(|e| Error::invalid(format!("the body cannot be used: {}", e.body_text())))?;
    let from = wanted.from.as_deref().map(str::parse).transpose()?;
    let made = ask(&shared, move |webhooks| webhooks.add(&dataset, &wanted.url, from, &identity.name));
    let (webhook, key) = made.await?;
    Ok(Json(MadeWebhook { webhook: ShownWebhook::new(&webhook, None), key }))
}

async fn remove(State(shared): State<Arc<Shared>>, Named((dataset, webhook)): Named<(String, String)>) -> Answer<()> {
    let id = id_of(&webhook)?;
    Ok(Json(ask(&shared, move |webhooks| webhooks.remove(&dataset, id)).await?))
}

async fn dead_letters(
    State(shared): State<Arc<Shared>>,
    Named((dataset, webhook)): Named<(String, String)>,
    Asked(asked): Asked<LettersAsked>,
) -> Answer<Listed<ShownLetter>> {
    let (id, limit) = (id_of(&webhook)?, limit(asked.limit)?);
    let letters = ask(&shared, move |webhooks| webhooks.dead_letters(&dataset, id, asked.after.unwrap_or(0), limit)).await?;
    let next = (letters.len() == limit).then(|| letters.last().map(|letter| letter.id.to_string())).flatten();
    Ok(Json(Listed { items: letters.iter().map(ShownLetter::from).collect(), next }))
}

async fn replay(State(shared): State<Arc<Shared>>, Named((dataset, webhook, letter)): Named<(String, String, String)>) -> Answer<()> {
    let id = id_of(&webhook)?;
    let letter = letter.parse().map_err(|_| Error::not_found(format!("there is no dead letter {letter}")))?;
    Ok(Json(ask(&shared, move |webhooks| webhooks.replay(&dataset, id, letter)).await?))
}
