//! The feed of a dataset: as a page, as a stream of lines or of server-sent events, and over a WebSocket.
//!
//! Invariant: what a slow reader has not taken is never more than two pieces; the next is read when there is room for it.
//! Invariant: a stream ends within seconds once whoever reads it may not any more, and before anything is told of another part
//! than it began with.
mod piece;
mod socket;
mod stream;

pub use socket::socket;

use super::Shared;
use super::asked::{Asked, Named};
use super::people::limit;
use super::reading::read_on;
use super::refused::Refused;
use crate::wire::event::ShownEvent;
use crate::wire::shown::Listed;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use mainstem::accounts::Identity;
use mainstem::error::Result;
use mainstem::feed::{self, Batch, Offset};
use mainstem::ledger::Head;
use mainstem::primary::Primary;
use piece::Style;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use stream::Reader;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells proxies that would collect a stream before they pass it on.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// The most events of one piece of a stream.
const PIECE_MAX: usize = 200;
/// A stream says so often that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// From where on, and how.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedAsked {
    /// The offset after which it begins: that of the last event which was had, a version, or `now`. Without it: the beginning.
    from: Option<String>,
    /// How many events at most; only of a page, and of lines that do not follow.
    limit: Option<usize>,
    /// Whether lines go on with what comes; server-sent events always do.
    follow: Option<bool>,
}

/// Where a feed begins.
#[derive(Clone, Copy, Debug)]
enum From {
    Offset(Offset),
    Now,
}

impl From {
    fn asked(asked: Option<&str>, headers: &HeaderMap) -> Result<From> {
        // A browser that comes back says here how far it was; its address still says where it began.
        let last = headers.get(LAST_EVENT_ID).and_then(|last| last.to_str().ok()).filter(|last| !last.is_empty());
        match last.or(asked) {
            None => Ok(From::Offset(Offset::START)),
            Some("now") => Ok(From::Now),
            Some(offset) => offset.parse().map(From::Offset),
        }
    }
}

/// The feed in the form that is asked for.
pub async fn feed(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    Asked(asked): Asked<FeedAsked>,
    headers: HeaderMap,
) -> std::result::Result<Response, Refused> {
    let from = From::asked(asked.from.as_deref(), &headers)?;
    let most = limit(asked.limit)?;
    let accepts = |media: &str| headers.get_all(header::ACCEPT).iter().any(|accepted| contains(accepted, media));
    let style = match (accepts(Style::Events.media()), accepts(Style::Lines.media())) {
        (true, _) => Style::Events,
        (false, true) if asked.follow == Some(true) => Style::Lines,
        (false, is_lines) => {
            let (batch, _) = first(&shared, &identity, &name, from, most).await?;
            return Ok(if is_lines { (media(Style::Lines), Style::Lines.told(&batch)).into_response() } else { page(batch) });
        }
    };
    let reader = Reader::begin(shared, name, identity, from).await?;
    let mut response = (media(style), Body::new(reader.into_body(style))).into_response();
    response.headers_mut().insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

fn contains(accepted: &HeaderValue, media: &str) -> bool {
    let accepted = accepted.to_str().unwrap_or_default().split(',');
    accepted.into_iter().any(|each| each.split(';').next().is_some_and(|each| each.trim().eq_ignore_ascii_case(media)))
}

fn media(style: Style) -> [(HeaderName, &'static str); 1] {
    [(header::CONTENT_TYPE, style.media())]
}

fn page(batch: Batch) -> Response {
    let items = batch.events.iter().map(ShownEvent::from).collect();
    Json(Listed { items, next: Some(batch.next.to_string()) }).into_response()
}

/// What comes first after a place, and where the ledger ended then.
async fn first(shared: &Arc<Shared>, identity: &Identity, name: &str, from: From, most: usize) -> Result<(Batch, Head)> {
    let read = move |primary: &mut dyn Primary| {
        let from = match from {
            From::Offset(offset) => offset,
            From::Now => feed::now(&primary.describe()?),
        };
        feed::read(primary, &from, most)
    };
    read_on(shared, identity, name, read).await
}
