//! What stands around every route: the porter before it, the request's id and line in the log after it.
//!
//! Invariant: every answer carries a request id, and every error is JSON, or a page, that carries it as well.
use super::Shared;
use super::accept::Ends;
use super::counting::Entered;
use super::pace::{Allowance, too_slow};
use super::refused::{Raised, Refused};
use crate::wire::failure::Failure;
use crate::wire::frame::QUESTION;
use axum::Json;
use axum::RequestExt;
use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use mainstem::error::Error;
use serde_json::Value;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Seconds after which something that is not possible now may be.
const LATER_S: u64 = 5;
/// The same of a server that stops: where it begins again, it does so soon.
const SOON_S: u64 = 1;
/// How long whoever asks for too much waits for that answer: each connection asks once in that time, for whoever asks again at
/// once else keeps the machine busy with refusals.
const TOO_MUCH: Duration = Duration::from_secs(1);
/// The longest text of an error that is not ours.
const FOREIGN_BYTES_MAX: usize = 1_024;

/// What one request is called.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub String);

/// Who acts in a request, once that is known; for the log.
#[derive(Clone, Debug, Default)]
pub struct Actor(Arc<Mutex<Option<String>>>);

impl Actor {
    /// Notes it.
    pub fn is(&self, name: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(name.to_string());
    }
}

/// What the log says of a request in the end.
struct Story {
    shared: Arc<Shared>,
    id: String,
    /// What whoever asks calls the question.
    question: Option<HeaderValue>,
    method: Method,
    route: Option<String>,
    dataset: Option<String>,
    actor: Actor,
    remote: String,
    began: Instant,
    received: Arc<Mutex<u64>>,
}

/// Passes a request on to its route, if the porter lets it in.
pub(super) async fn pass(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let Some(ends) = request.extensions().get::<Ends>().copied() else {
        return Refused(Error::internal("a request came from nowhere")).into_response();
    };
    let story = Story::begin(&shared, &ends, &mut request).await;
    let admitted = shared.porter.admit(&ends, request.method(), request.uri(), request.headers());
    let (response, place) = match admitted {
        Ok(admitted) => {
            request.extensions_mut().insert(story.actor.clone());
            request.extensions_mut().insert(RequestId(story.id.clone()));
            let (allowance, received) = (Allowance::new(&shared.porter.limits), story.received.clone());
            let request = request.map(|body| Body::new(Inflow { body, allowance, received }));
            (admitted.caller.asks(next.run(request)).await, Some(admitted.place))
        }
        Err((error, after_s)) => {
            if after_s.is_some() {
                // It has no place among the requests that are answered, and nothing of it was read but its head.
                let _ = tokio::time::timeout(TOO_MUCH, shared.stop.asked()).await;
            }
            (later(Refused(error).into_response(), after_s), None)
        }
    };
    story.end(response, place).await
}

fn later(mut response: Response, after_s: Option<u64>) -> Response {
    if let Some(after_s) = after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after_s));
    }
    response
}

impl Story {
    async fn begin(shared: &Arc<Shared>, ends: &Ends, request: &mut Request) -> Story {
        let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_string());
        let params = request.extract_parts::<RawPathParams>().await.ok();
        let dataset = params.and_then(|all| all.iter().find(|(name, _)| *name == "dataset").map(|(_, value)| value.to_string()));
        Story {
            shared: shared.clone(),
            id: shared.porter.request_id(),
            question: request.headers().get(QUESTION).cloned(),
            method: request.method().clone(),
            route,
            dataset,
            actor: Actor::default(),
            remote: shared.porter.origin(ends, request.headers()).to_string(),
            began: Instant::now(),
            received: Arc::default(),
        }
    }

    async fn end(self, response: Response, place: Option<Entered>) -> Response {
        let mut response = as_failure(response, &self.id).await;
        let status = response.status();
        let raised = response.extensions_mut().remove::<Raised>();
        let after_s = if self.shared.stop.is_asked() { SOON_S } else { LATER_S };
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().entry(header::RETRY_AFTER).or_insert(HeaderValue::from(after_s));
        }
        if let Ok(id) = HeaderValue::from_str(&self.id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        if let Some(question) = self.question.clone() {
            response.headers_mut().insert(QUESTION, question);
        }
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        response.map(|body| Body::new(Outflow { body, sent: 0, is_whole: false, status, raised, story: self, _place: place }))
    }

    fn tell(&self, status: StatusCode, raised: Option<&Raised>, sent: u64, is_whole: bool) {
        let text = |text: Option<String>| text.map_or(Value::Null, Value::from);
        let received = *self.received.lock().unwrap_or_else(PoisonError::into_inner);
        let porter = &self.shared.porter;
        porter.meters.answered(self.route.as_deref(), status, (received, sent), porter.now_ms());
        let actor = self.actor.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.shared.porter.record.line(
            "request",
            vec![
                ("request_id", Value::from(self.id.as_str())),
                ("method", Value::from(self.method.as_str())),
                ("route", text(self.route.clone())),
                ("status", Value::from(status.as_u16())),
                ("code", text(raised.map(|raised| raised.code.clone()))),
                ("error", text(raised.and_then(|raised| raised.inner.clone()))),
                ("actor", text(actor)),
                ("dataset", text(self.dataset.clone())),
                ("bytes_in", Value::from(received)),
                ("bytes_out", Value::from(sent)),
                ("ms", Value::from(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))),
                ("remote", Value::from(self.remote.as_str())),
                ("cut", if is_whole { Value::Null } else { Value::from(true) }),
            ],
        );
    }
}

/// Errors of the framework get the form of ours, and every one the id.
async fn as_failure(mut response: Response, id: &str) -> Response {
    if response.status().is_success() || response.status().is_redirection() || response.status().is_informational() {
        return response;
    }
    let known = response.extensions_mut().remove::<Failure>();
    // JSON is our own error already, and HTML is one that a page shows.
    let is_shown = |media: &HeaderValue| [&b"application/json"[..], b"text/html"].iter().any(|own| media.as_bytes().starts_with(own));
    if known.is_none() && response.headers().get(header::CONTENT_TYPE).is_some_and(is_shown) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let failure = match known {
        Some(failure) => failure,
        None => {
            let said = axum::body::to_bytes(body, FOREIGN_BYTES_MAX).await.unwrap_or_default();
            Failure::of_status(parts.status.as_u16(), String::from_utf8_lossy(&said).trim())
        }
    };
    if parts.extensions.get::<Raised>().is_none() {
        parts.extensions.insert(Raised { code: failure.code.clone(), inner: None });
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_TYPE);
    let rendered = Json(Failure { request_id: Some(id.to_string()), ..failure }).into_response();
    let (shape, body) = rendered.into_parts();
    parts.headers.extend(shape.headers);
    Response::from_parts(parts, body)
}

/// A request's body: it comes at the least rate or not at all.
struct Inflow {
    body: Body,
    allowance: Allowance,
    received: Arc<Mutex<u64>>,
}

impl http_body::Body for Inflow {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let came = Pin::new(&mut self.body).poll_frame(context);
        match &came {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.allowance.moved(bytes);
                *self.received.lock().unwrap_or_else(PoisonError::into_inner) += bytes as u64;
                came
            }
            Poll::Ready(_) => came,
            Poll::Pending => {
                ready!(self.allowance.poll_spent(context));
                Poll::Ready(Some(Err(axum::Error::new(too_slow()))))
            }
        }
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body; when it goes, the request's line is written.
struct Outflow {
    body: Body,
    sent: u64,
    is_whole: bool,
    status: StatusCode,
    raised: Option<Raised>,
    story: Story,
    _place: Option<Entered>,
}

impl http_body::Body for Outflow {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let next = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &next {
            Some(Ok(frame)) => self.sent += frame.data_ref().map_or(0, Bytes::len) as u64,
            Some(Err(_)) => {}
            None => self.is_whole = true,
        }
        Poll::Ready(next)
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Outflow {
    fn drop(&mut self) {
        let is_whole = self.is_whole || http_body::Body::is_end_stream(&self.body) || self.story.method == Method::HEAD;
        self.story.tell(self.status, self.raised.as_ref(), self.sent, is_whole);
    }
}
