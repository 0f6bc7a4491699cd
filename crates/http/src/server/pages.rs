//! The pages that browsers show, each a row of the table of routes: gather values, fill the page, render.
//!
//! Invariant: a page asks the same functions as the routes for programs, with the identity of who is signed in.
pub mod entrance;
mod overview;

use super::browser::Visit;
use super::refused::Refused;
use super::routes::{Needs, Route};
use axum::extract::Path;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use hyper::Method;
use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use mainstem::core::stamp::Time;
use mainstem::error::Error;
use mainstem_pages::Page;
use mainstem_pages::asset::Asset;
use mainstem_pages::moment::Moment;

/// What a page's handler answers.
pub type Shown = std::result::Result<Response, Refused>;

/// Every route for browsers.
pub fn routes() -> Vec<Route> {
    let page = |path, needs, summary, handler| Route::page(Method::GET, path, needs, summary, handler);
    let form = |path, needs, summary, handler| Route::page(Method::POST, path, needs, summary, handler);
    vec![
        page("/assets/{asset}", Needs::Nothing, "A file that pages link to.", get(asset)),
        page("/sign-in", Needs::Nothing, "Signing in.", get(entrance::sign_in)),
        form("/sign-in", Needs::Nothing, "Signs in with a token.", post(entrance::signed_in)),
        form("/sign-out", Needs::Identity, "Signs out.", post(entrance::signed_out)),
        form("/theme", Needs::Identity, "Chooses light or dark.", post(entrance::theme)),
        page("/", Needs::Identity, "The datasets, how they are, and what happened last.", get(overview::overview)),
    ]
}

/// A page as an answer.
pub(super) fn shown(page: &impl Page) -> Shown {
    let html = page.render().map_err(|e| Error::internal("a page cannot be rendered").because(e))?;
    Ok(Html(html).into_response())
}

/// An answer that leads on, after something was done.
pub(super) fn led_to(path: &str) -> Shown {
    let to = HeaderValue::from_str(path).map_err(|e| Error::internal("a path cannot be led to").because(e))?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response())
}

/// A path of ours that a form or an address says; none for anything that might lead elsewhere.
pub(super) fn own_path(said: &str) -> Option<&str> {
    let is_own = said.starts_with('/') && !said.starts_with("//") && said.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    is_own.then_some(said)
}

pub(super) fn moment(time: Time) -> Moment {
    Moment::new(&crate::wire::shown::moment(time))
}

async fn asset(Path(name): Path<String>) -> Shown {
    let asset = Asset::named(&name).ok_or_else(|| Error::not_found("there is no such file"))?;
    let headers = [(header::CONTENT_TYPE, asset.media), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, asset.text).into_response())
}

/// The visit that a handler answers.
pub(super) type Asked = axum::extract::Extension<Visit>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for own in ["/", "/datasets/a?x=%20#y"] {
            assert_eq!(own_path(own), Some(own));
        }
        for foreign in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "evil", "/a\r\nSet-Cookie: b", "/\t/evil.example", "/ä"]
        {
            assert_eq!(own_path(foreign), None, "{foreign:?}");
        }
    }
}
