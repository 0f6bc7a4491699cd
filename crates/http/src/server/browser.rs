//! Lets a browser's request through to its page, or not: by the cookie that it shows, the sign-in behind that, and the accounts as
//! they are.
//!
//! Invariant: what changes anything comes from a form of ours, which says the key of this very browser (T21); a sign-in is
//! worth what its token is worth now; and every answer, whatever it is, carries the headers that keep pages to themselves.
mod cookie;
mod fields;

pub use fields::Fields;

use super::Shared;
use super::accept::Ends;
use super::door::Line;
use super::gate::{Actor, RequestId};
use super::guard::{dataset_in, may};
use super::pages::entrance;
use super::reading::read;
use super::refused::Refused;
use super::routes::Needs;
use super::waiting::Waiting;
use crate::address::is_dataset_name;
use crate::wire::failure::Failure;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use mainstem::accounts::{Identity, unauthenticated};
use mainstem::core::ErrorKind;
use mainstem::core::authority::sight;
use mainstem::error::{Error, Result};
use mainstem::sign_in::BrowserKey;
use mainstem_pages::failed::Failed;
use mainstem_pages::frame::{Frame, Person, Theme};
use mainstem_pages::{Page, frame};
use std::sync::Arc;

pub use cookie::{ended_cookie, key_cookie, theme_cookie};

/// The media type of forms.
pub const FORM_TYPE: &str = "application/x-www-form-urlencoded";
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What a page may do: show what is ours, run our one script, send forms to us, and nothing else. The referrer is kept from
/// others alone: without any, browsers would not say either where a form comes from.
const PAGE_HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Who is signed in with the browser that asks.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Whom the sign-in's token stands for.
    pub identity: Identity,
    /// The sign-in.
    pub sign_in: u64,
}

/// What a page needs to know of the request that it answers.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Who asks, where somebody is signed in.
    pub visitor: Option<Visitor>,
    /// What its forms say.
    pub form_key: String,
    /// Light or dark.
    pub theme: Theme,
    /// The path and query that were asked for.
    pub path: String,
    /// How the browser reaches us.
    pub line: Line,
    /// The port on which it does, which names its cookie where the line is not encrypted.
    pub port: u16,
    /// The server's address, as the browser says it.
    pub address: String,
    /// How much waits in the dataset that the page is about, for whoever sees all of it.
    pub waiting: Option<Waiting>,
}

impl Visit {
    fn begin(shared: &Shared, request: &Request) -> Result<Visit> {
        let headers = request.headers();
        let ends = request.extensions().get::<Ends>().ok_or_else(|| Error::internal("a request came from nowhere"))?;
        let line = shared.porter.line(ends, headers);
        let port = ends.local.port();
        let theme = cookie::shown(headers, cookie::THEME).and_then(Theme::parse).unwrap_or_default();
        let key = cookie::shown(headers, &cookie::name(line, port)).and_then(BrowserKey::parse);
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let scheme = if line == Line::Secret { "https" } else { "http" };
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_string();
        let visitor = key.as_ref().map(|key| visitor(shared, key)).transpose()?.flatten();
        let form_key = key.filter(|_| visitor.is_some()).map(|key| key.form_key()).unwrap_or_default();
        Ok(Visit { visitor, form_key, theme, path, line, port, address: format!("{scheme}://{host}"), waiting: None })
    }

    /// The frame of a page with that title.
    pub fn frame(&self, title: impl Into<String>) -> Frame {
        let person = self.visitor.as_ref().map(|visitor| Person {
            name: visitor.identity.name.clone(),
            is_administrator: visitor.identity.authority.is_administrator && visitor.identity.authority.limit.is_none(),
            limit: limit_text(&visitor.identity),
        });
        Frame {
            title: title.into(),
            person,
            form_key: self.form_key.clone(),
            theme: self.theme,
            path: self.path.clone(),
            ..frame::Frame::default()
        }
    }

    /// Who asks. An error where nobody is signed in.
    pub fn identity(&self) -> Result<&Identity> {
        self.visitor.as_ref().map(|visitor| &visitor.identity).ok_or_else(unauthenticated)
    }
}

fn limit_text(identity: &Identity) -> Option<String> {
    let limit = &identity.authority.limit;
    let right = limit.right.map(|right| format!("the right to {}", right.name()));
    let dataset = limit.dataset.as_ref().map(|dataset| format!("the dataset {dataset}"));
    match (right, dataset) {
        (Some(right), Some(dataset)) => Some(format!("{right} on {dataset}")),
        (right, dataset) => right.or(dataset),
    }
}

/// Who is signed in with a key. What its token is not good for any more is forgotten.
pub(super) fn visitor(shared: &Shared, key: &BrowserKey) -> Result<Option<Visitor>> {
    let Some(found) = shared.sign_ins.find(key)? else { return Ok(None) };
    let identity = shared.registrar.of_token(found.token).filter(|identity| identity.actor == found.actor);
    if identity.is_none() {
        shared.sign_ins.end(found.id)?;
    }
    Ok(identity.map(|identity| Visitor { identity, sign_in: found.id }))
}

/// Lets one request through, or answers why not.
pub(super) async fn pass(shared: Arc<Shared>, needs: Needs, request: Request, next: Next) -> Response {
    let visit = match Visit::begin(&shared, &request) {
        Ok(visit) => visit,
        Err(error) => return guarded(Refused(error).into_response()),
    };
    let (id, method, headers) = (id_of(&request), request.method().clone(), request.headers().clone());
    let response = match admit(&shared, needs, &visit, request).await {
        Ok(request) => match &visit.visitor {
            Some(visitor) => shared.porter.caller(visitor.identity.actor).asks(next.run(request)).await,
            None => next.run(request).await,
        },
        Err(error) => Refused(error).into_response(),
    };
    guarded(shown(response, &visit, &method, &headers, id))
}

fn id_of(request: &Request) -> String {
    request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}

/// The page that says why there is none.
pub(super) fn refused(shared: &Shared, request: &Request, error: Error) -> Response {
    let accepts_pages =
        request.headers().get(header::ACCEPT).is_some_and(|media| String::from_utf8_lossy(media.as_bytes()).contains("text/html"));
    // What replicas know as a dataset's address leads to its page, be it there or not.
    let named = request.uri().path().trim_start_matches('/');
    if accepts_pages && request.method() == Method::GET && is_dataset_name(named) {
        return entrance::led_to_dataset(named);
    }
    let refused = Refused(error).into_response();
    match Visit::begin(shared, request) {
        Ok(visit) if accepts_pages => guarded(shown(refused, &visit, request.method(), request.headers(), id_of(request))),
        _ => refused,
    }
}

/// Checks where a request comes from, who sends it and whether they may; puts in what its page will want to know.
async fn admit(shared: &Arc<Shared>, needs: Needs, visit: &Visit, mut request: Request) -> Result<Request> {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_safe {
        from_here(request.headers())?;
    }
    let dataset = dataset_in(&mut request).await;
    if needs != Needs::Nothing {
        let identity = visit.identity()?;
        if let Some(actor) = request.extensions().get::<Actor>() {
            actor.is(&identity.name);
        }
        may(identity, needs, dataset.as_deref())?;
        request.extensions_mut().insert(identity.clone());
    }
    if !is_safe {
        let bytes_max = usize::try_from(shared.porter.limits.json_bytes_max).unwrap_or(usize::MAX);
        let body = std::mem::replace(request.body_mut(), Body::empty());
        let fields = Fields::read(request.headers(), body, bytes_max).await?;
        if visit.visitor.is_some() && !fields.is_of(&visit.form_key) {
            return Err(foreign("this form was not made for this browser, or you have signed in again since"));
        }
        request.extensions_mut().insert(fields);
    }
    let waiting = match (&visit.visitor, dataset) {
        (Some(visitor), Some(dataset)) if is_safe && !visit.path.ends_with("/live") => waiting(shared, &visitor.identity, dataset).await,
        _ => None,
    };
    request.extensions_mut().insert(Visit { waiting, ..visit.clone() });
    Ok(request)
}

/// How much waits in a dataset. Where that cannot be told, the page itself says why it cannot be shown.
async fn waiting(shared: &Arc<Shared>, identity: &Identity, dataset: String) -> Option<Waiting> {
    if !sight(&identity.authority, &dataset).is_everything() {
        return None;
    }
    let (counting, name) = (shared.clone(), dataset.clone());
    read(shared, identity, &dataset, move |primary| counting.hall.waiting().of(&name, primary)).await.ok()
}

/// Refuses what no page of ours can have sent.
fn from_here(headers: &HeaderMap) -> Result<()> {
    let site = headers.get(FETCH_SITE);
    if site.is_some_and(|site| site != "same-origin") || site.is_none() && !headers.contains_key(header::ORIGIN) {
        return Err(foreign("a form is taken from pages of this server alone"));
    }
    // What the origin says, the door has compared with the host.
    Ok(())
}

fn foreign(why: &str) -> Error {
    Error::new(ErrorKind::Denied, "foreign_form", why).hint("load the page again and send it from there")
}

/// An error becomes a page that says so; who must sign in first is led there.
fn shown(mut response: Response, visit: &Visit, method: &Method, headers: &HeaderMap, id: String) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let known = response.extensions_mut().remove::<Failure>();
    let failure = known.unwrap_or_else(|| Failure::of_status(status.as_u16(), ""));
    if status == StatusCode::UNAUTHORIZED && visit.visitor.is_none() {
        let next = if *method == Method::GET { visit.path.as_str() } else { "/" };
        return entrance::led_there(next);
    }
    let page = Failed {
        frame: visit.frame("Not done"),
        status: status.as_u16(),
        code: failure.code,
        message: failure.message,
        hint: failure.hint,
        request_id: id,
        back: came_from(headers, visit),
    };
    let (mut parts, _) = response.into_parts();
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::WWW_AUTHENTICATE] {
        parts.headers.remove(name);
    }
    let Ok(html) = page.render() else { return (parts, "the page cannot be shown").into_response() };
    let (rendered, body) = Html(html).into_response().into_parts();
    parts.headers.extend(rendered.headers);
    Response::from_parts(parts, body)
}

/// The page of ours that a request came from.
fn came_from(headers: &HeaderMap, visit: &Visit) -> Option<String> {
    let from = headers.get(header::REFERER)?.to_str().ok()?;
    from.strip_prefix(&visit.address).filter(|path| path.starts_with('/') && *path != visit.path).map(ToString::to_string)
}

fn guarded(mut response: Response) -> Response {
    for (name, value) in PAGE_HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
