//! The pages that browsers show, each a row of the table of routes: gather values, fill the page, render.
//!
//! Invariant: a page asks the same functions as the routes for programs, with the identity of who is signed in.
mod account;
mod audit;
mod changes;
mod conflicts;
mod dataset;
mod deleted;
pub mod entrance;
mod history;
mod keeping;
mod live;
mod notices;
mod overview;
mod proposal;
mod proposals;
mod rows;
mod server;

use super::browser::Visit;
use super::refused::Refused;
use super::routes::{Needs, Right, Route};
use super::waiting::Waiting;
use axum::extract::Path;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use hyper::Method;
use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use mainstem::author::permit;
use mainstem::core::authority::Object;
use mainstem::core::stamp::Time;
use mainstem::error::{Error, Result};
use mainstem_pages::Page;
use mainstem_pages::address::path;
use mainstem_pages::asset::Asset;
use mainstem_pages::frame::{Frame, Link};
use mainstem_pages::moment::Moment;

/// What a page's handler answers.
pub type Shown = std::result::Result<Response, Refused>;

/// Every route for browsers.
pub fn routes() -> Vec<Route> {
    let page = |path, needs, summary, handler| Route::page(Method::GET, path, needs, summary, handler);
    let form = |path, needs, summary, handler| Route::page(Method::POST, path, needs, summary, handler);
    let mut all = vec![
        page("/assets/{asset}", Needs::Nothing, "A file that pages link to.", get(asset)),
        page("/sign-in", Needs::Nothing, "Signing in.", get(entrance::sign_in)),
        form("/sign-in", Needs::Nothing, "Signs in with a token.", post(entrance::signed_in)),
        form("/set-up", Needs::Nothing, "Makes the first administrator by the setup token.", post(entrance::set_up)),
        form("/sign-out", Needs::Identity, "Signs out.", post(entrance::signed_out)),
        form("/theme", Needs::Identity, "Chooses light or dark.", post(entrance::theme)),
        page("/", Needs::Identity, "The datasets, how they are, and what happened last.", get(overview::overview)),
        page("/live", Needs::Identity, "News of every dataset that one may read, for open pages.", get(live::all)),
        page("/notices", Needs::Identity, "What concerns who is signed in.", get(notices::notices)),
    ];
    all.extend(of_account());
    all.extend(of_server());
    all.extend(of_dataset());
    all.extend(of_proposals());
    all.extend(of_edits());
    all.extend(of_keeping());
    all
}

fn of_account() -> Vec<Route> {
    let page = |path, summary, handler| Route::page(Method::GET, path, Needs::Identity, summary, handler);
    let form = |path, needs, summary, handler| Route::page(Method::POST, path, needs, summary, handler);
    vec![
        page("/account/tokens", "One's own tokens.", get(account::tokens)),
        form("/account/tokens", Needs::Account, "Makes a token; its text is shown this once.", post(account::add_token)),
        form("/account/tokens/{token}/revoke", Needs::Identity, "Revokes a token.", post(account::revoke_token)),
        page("/account/replicas", "One's own replicas; an administrator sees all.", get(account::replicas)),
        form("/account/replicas/{replica}/revoke", Needs::Account, "Shuts a replica out.", post(account::revoke_replica)),
        page("/account/browsers", "Where one is signed in.", get(account::browsers)),
        form("/account/browsers/{browser}/end", Needs::Identity, "Signs out in a browser.", post(account::end_browser)),
    ]
}

fn of_server() -> Vec<Route> {
    let page = |path, summary, handler| Route::page(Method::GET, path, Needs::Server, summary, handler);
    let form = |path, summary, handler| Route::page(Method::POST, path, Needs::Server, summary, handler);
    vec![
        page("/server", "What the server has counted.", get(server::server)),
        page("/people", "Everybody who is known.", get(server::people)),
        form("/people", "Adds somebody.", post(server::add_person)),
        form("/people/{actor}", "Disables, enables, promotes or demotes somebody.", post(server::change_person)),
    ]
}

/// What whoever may write to a dataset does without a replica.
fn of_edits() -> Vec<Route> {
    let form = |path: &str, summary, handler| {
        Route::page(Method::POST, &format!("/datasets/{{dataset}}{path}"), Needs::Dataset(Right::Write), summary, handler)
    };
    vec![
        form("/conflicts", "Answers conflicts.", post(conflicts::answer)),
        form("/deleted/restore", "Puts deleted rows back.", post(deleted::restore)),
    ]
}

/// How a dataset is run, for its owners.
fn of_keeping() -> Vec<Route> {
    let of = |method, path: &str, summary, handler| {
        Route::page(method, &format!("/datasets/{{dataset}}{path}"), Needs::Dataset(Right::Own), summary, handler)
    };
    let letters = "/webhooks/{webhook}/dead-letters/{letter}/replay";
    vec![
        of(Method::POST, "/policy", "Replaces the policy.", post(keeping::set_policy)),
        of(Method::GET, "/members", "Who has which role.", get(keeping::members)),
        of(Method::POST, "/members", "Gives a role, or takes it away.", post(keeping::set_member)),
        of(Method::GET, "/feed", "How changes are told to others.", get(keeping::feed)),
        of(Method::POST, "/webhooks", "Sends events to an address.", post(keeping::add_webhook)),
        of(Method::POST, "/webhooks/{webhook}/remove", "Sends no more events to an address.", post(keeping::remove_webhook)),
        of(Method::POST, letters, "Sends a delivery again that was given up.", post(keeping::replay)),
    ]
}

/// What is shown of a dataset to whoever may read it.
fn of_dataset() -> Vec<Route> {
    let page = |path: &str, summary, handler| {
        Route::page(Method::GET, &format!("/datasets/{{dataset}}{path}"), Needs::Dataset(Right::Read), summary, handler)
    };
    vec![
        page("", "A dataset, its tables and replicas.", get(dataset::dataset)),
        page("/tables/{table}", "The rows of a table at a version.", get(rows::rows)),
        page("/tables/{table}/row", "A row with who wrote what.", get(rows::row)),
        page("/versions", "Versions, newest first.", get(history::history)),
        page("/versions/{version}", "One version with what it changed.", get(history::version)),
        page("/conflicts", "Conflicts.", get(conflicts::conflicts)),
        page("/deleted", "Rows that were deleted.", get(deleted::deleted)),
        page("/live", "News of the dataset, for its open pages.", get(live::dataset)),
        page("/policy", "The policy.", get(keeping::policy)),
        page("/audit", "The chain of events.", get(audit::audit)),
    ]
}

fn of_proposals() -> Vec<Route> {
    let (read, propose, write) = (Needs::Dataset(Right::Read), Needs::Dataset(Right::Propose), Needs::Dataset(Right::Write));
    let path = |rest: &str| format!("/datasets/{{dataset}}/proposals{rest}");
    let page = |rest: &str, needs, summary, handler| Route::page(Method::GET, &path(rest), needs, summary, handler);
    let form = |rest: &str, needs, summary, handler| Route::page(Method::POST, &path(rest), needs, summary, handler);
    vec![
        page("", read, "A dataset's proposals.", get(proposals::proposals)),
        page("/{proposal}", read, "A proposal: what it changes, what was said, how it stands.", get(proposal::proposal)),
        page("/{proposal}/merge", write, "What merging a proposal will do.", get(proposal::merging::plan)),
        form("/{proposal}/merge", write, "Merges a proposal.", post(proposal::merging::merge)),
        form("/{proposal}/votes", propose, "Votes on a proposal.", post(proposal::deeds::vote)),
        form("/{proposal}/comments", propose, "Says something about a proposal, a row or a cell.", post(proposal::deeds::comment)),
        form("/{proposal}/decision", propose, "Withdraws or rejects a proposal, or opens it again.", post(proposal::deeds::decide)),
        form("/{proposal}/answers", write, "Answers a proposal's conflicts.", post(proposal::deeds::answer)),
        Route::page(
            Method::POST,
            "/datasets/{dataset}/versions/{version}/revert",
            propose,
            "Proposes to take a version back.",
            post(history::revert),
        ),
        form("/{proposal}/part", write, "Narrows a proposal to some rows.", post(proposal::deeds::part)),
    ]
}

/// The frame of a dataset's page: the way to it, and the ways to its other pages. `here` is what its path ends with.
pub(super) fn framed(visit: &Visit, dataset: &str, here: &str, title: String) -> Result<Frame> {
    let identity = visit.identity()?;
    let may = |right| permit(identity, right, Object::Dataset(dataset)).is_ok();
    let tab = |text: &str, end: &str, count: Option<u64>| {
        let to = if end.is_empty() { path(&["datasets", dataset]) } else { path(&["datasets", dataset, end]) };
        Link { count, is_here: end == here, ..Link::to(text, to) }
    };
    let waits = |of: fn(&Waiting) -> u64| visit.waiting.as_ref().map(of).filter(|count| *count > 0);
    let mut tabs = vec![
        tab("Tables", "", None),
        tab("Proposals", "proposals", waits(|waiting| waiting.proposals)),
        tab("History", "versions", None),
        tab("Conflicts", "conflicts", waits(|waiting| waiting.conflicts)),
        tab("Deleted rows", "deleted", None),
        tab("Policy", "policy", None),
    ];
    if may(Right::Own) {
        tabs.extend([tab("Members", "members", None), tab("Feed", "feed", None)]);
    }
    tabs.push(tab("Audit", "audit", None));
    let way = vec![Link { is_here: here.is_empty() && title == dataset, ..Link::to(dataset, path(&["datasets", dataset])) }];
    let live = Some(path(&["datasets", dataset, "live"]));
    Ok(Frame { way, tabs, live, ..visit.frame(format!("{title} · {dataset}")) })
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
