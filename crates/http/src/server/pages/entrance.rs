//! Coming and going: signing in with a token, signing out, and light or dark.
//!
//! Invariant: a token is in the body of one request and in no address; whatever is wrong with it, the answer is the same (T2).
use super::account::tokens_page;
use super::{Asked, Shown, led_to, own_path, shown};
use crate::server::Shared;
use crate::server::access::changing;
use crate::server::asked::Asked as Query;
use crate::server::browser::{Fields, Visit, ended_cookie, key_cookie, theme_cookie, visitor};
use crate::server::door::Line;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderValue};
use mainstem::accounts::{Identity, unauthenticated};
use mainstem::error::{Error, Result};
use mainstem::sign_in::BrowserKey;
use mainstem::token::Secret;
use mainstem_pages::account::Made;
use mainstem_pages::address::path;
use mainstem_pages::frame::Theme;
use mainstem_pages::notice::Notice;
use mainstem_pages::sign_in::SignIn;
use serde::Deserialize;
use std::sync::Arc;

const PATH: &str = "/sign-in";
/// Where the first administrator finds themselves.
const TOKENS: &str = "/account/tokens";

/// Where to go once signed in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Next {
    next: Option<String>,
}

/// Leads whoever must sign in first to where they can, and from there back.
pub fn led_there(next: &str) -> Response {
    let query: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    let to = if next == "/" { PATH.to_string() } else { format!("{PATH}?next={query}") };
    let to = HeaderValue::from_str(&to).unwrap_or(HeaderValue::from_static(PATH));
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

/// Leads to a dataset's page.
pub fn led_to_dataset(name: &str) -> Response {
    let to = HeaderValue::from_str(&path(&["datasets", name])).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

fn page(shared: &Shared, visit: &Visit, next: &str) -> SignIn {
    let unfit = (visit.line == Line::Open).then(|| {
        "whoever is on the way could read your token, for nothing is encrypted here. Ask for `mainstem serve --tls-own`, or a proxy with TLS in front"
            .to_string()
    });
    SignIn {
        frame: visit.frame("Sign in"),
        next: next.to_string(),
        unfit,
        is_new: !shared.registrar.accounts().is_set_up(),
        address: visit.address.clone(),
    }
}

/// The page on which one signs in.
pub async fn sign_in(State(shared): State<Arc<Shared>>, Extension(visit): Asked, Query(asked): Query<Next>) -> Shown {
    let next = asked.next.as_deref().and_then(own_path).unwrap_or("/");
    if visit.visitor.is_some() { led_to(next) } else { shown(&page(&shared, &visit, next)) }
}

/// Signs in with a token.
pub async fn signed_in(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(fields): Extension<Fields>,
    headers: HeaderMap,
) -> Shown {
    let fields = fields.only(&["token", "next"])?;
    let next = fields.maybe("next")?.and_then(own_path).unwrap_or("/");
    let mut again = page(&shared, &visit, next);
    if again.unfit.is_some() {
        return shown(&again);
    }
    let secret = fields.maybe("token")?.and_then(|typed| Secret::parse(typed.trim()));
    let Some(identity) = secret.as_ref().and_then(|secret| shared.registrar.identity(secret)) else {
        again.frame.notice = Some(unknown());
        return shown(&again);
    };
    let key = begun(&shared, &identity, &headers)?;
    let mut response = led_to(next)?;
    response.headers_mut().append(header::SET_COOKIE, key_cookie(visit.line, visit.port, &key)?);
    Ok(response)
}

fn unknown() -> Notice {
    Notice::bad("this token is unknown, has expired or was revoked.", None)
}

/// Signs somebody in; answers the key by which the browser is known from here on.
fn begun(shared: &Shared, identity: &Identity, headers: &HeaderMap) -> Result<BrowserKey> {
    let browser = headers.get(header::USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned()).unwrap_or_default();
    shared.sign_ins.begin(identity.actor, identity.token, &browser)
}

/// Makes the first administrator by the setup token, and signs them in.
pub async fn set_up(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(fields): Extension<Fields>,
    headers: HeaderMap,
) -> Shown {
    let fields = fields.only(&["token", "name"])?;
    let mut again = page(&shared, &visit, "/");
    if again.unfit.is_some() {
        return shown(&again);
    }
    let setup = fields.maybe("token")?.and_then(|typed| Secret::parse(typed.trim())).filter(Secret::is_setup);
    let name = fields.one("name")?.to_string();
    let made = match setup {
        Some(setup) => changing(&shared, move |registrar| registrar.set_up(&setup, &name, "made in the browser")).await,
        None => Err(unauthenticated()),
    };
    let (_, secret) = match made {
        Err(e) if e.code == "unauthenticated" => {
            again.frame.notice = Some(unknown());
            return shown(&again);
        }
        made => made?,
    };
    let identity = shared.registrar.identity(&secret).ok_or_else(unauthenticated)?;
    let key = begun(&shared, &identity, &headers)?;
    let visit = Visit { form_key: key.form_key(), visitor: visitor(&shared, &key)?, path: TOKENS.to_string(), ..visit };
    // The setup token is used up by now: this is what one comes in with when the sign-in has ended.
    let made = Made { text: secret.reveal().to_string(), whose: None, is_first: true };
    let mut response = shown(&tokens_page(&shared, &visit, &identity, Some(made))?)?;
    response.headers_mut().append(header::SET_COOKIE, key_cookie(visit.line, visit.port, &key)?);
    Ok(response)
}

/// Signs out.
pub async fn signed_out(State(shared): State<Arc<Shared>>, Extension(visit): Asked, Extension(fields): Extension<Fields>) -> Shown {
    fields.only(&[])?;
    if let Some(visitor) = &visit.visitor {
        shared.sign_ins.end(visitor.sign_in)?;
    }
    let mut response = led_to(PATH)?;
    response.headers_mut().append(header::SET_COOKIE, ended_cookie(visit.line, visit.port)?);
    Ok(response)
}

/// Chooses light or dark.
pub async fn theme(Extension(visit): Asked, Extension(fields): Extension<Fields>) -> Shown {
    let fields = fields.only(&["theme", "back"])?;
    let said = fields.one("theme")?;
    let theme = Theme::parse(said).ok_or_else(|| Error::invalid(format!("{said} is neither light nor dark")))?;
    let mut response = led_to(fields.maybe("back")?.and_then(own_path).unwrap_or("/"))?;
    response.headers_mut().append(header::SET_COOKIE, theme_cookie(visit.line, theme)?);
    Ok(response)
}
