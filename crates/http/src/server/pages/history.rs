//! Versions, and what one changed.
use super::changes::shown_change;
use super::rows::shown_review;
use super::{Asked, Shown, framed, led_to, moment, shown};
use crate::server::Shared;
use crate::server::acting::act;
use crate::server::asked::{Asked as Query, Named};
use crate::server::browser::Fields;
use crate::server::people::versions::{before, found, page_of};
use crate::server::reading::read;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::author::permit;
use mainstem::core::authority::{Object, Right};
use mainstem::core::event::Version as Accepted;
use mainstem::error::Error;
use mainstem::schema_merge::describe;
use mainstem_pages::address::{asked, path};
use mainstem_pages::frame::Link;
use mainstem_pages::history::{History, Version as Summary};
use mainstem_pages::pager::Pager;
use mainstem_pages::value::grouped;
use mainstem_pages::version::Version;
use serde::Deserialize;
use std::sync::Arc;

/// Versions on one page.
const VERSIONS: usize = 40;
/// Changes on one page: what fits one's eye, and the server's memory.
const CHANGES: usize = 50;

/// Which versions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryAsked {
    before: Option<u64>,
}

/// Versions, newest first.
pub async fn history(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    Query(query): Query<HistoryAsked>,
) -> Shown {
    let (versions, next) = read(&shared, &identity, &name, move |primary| before(primary, query.before, VERSIONS)).await?;
    let to = path(&["datasets", &name, "versions"]);
    let pager = Pager {
        of: "the history",
        first: query.before.map(|_| to.clone()),
        next: next.map(|next| asked(&to, &[("before", Some(next.to_string()))])),
        ..Pager::default()
    };
    let versions = versions.iter().map(|version| summary(&name, version)).collect();
    shown(&History { frame: framed(&visit, &name, "versions", "History".to_string())?, name, versions, pager })
}

fn summary(dataset: &str, version: &Accepted) -> Summary {
    let header = &version.header;
    Summary {
        version: version.version,
        to: path(&["datasets", dataset, "versions", &version.version.to_string()]),
        title: header.title.clone(),
        description: header.description.clone(),
        actor: header.actor.clone(),
        replica: header.replica.short(),
        base: header.base_version,
        made_at: moment(header.at),
        accepted_at: moment(version.accepted_at),
        changes: version.count,
        steps: version.schema.len() as u64,
        conflicts: version.conflicts.len() as u64,
        answers: version.resolved.len() as u64,
        renumbered: version.renumbered.len() as u64,
        waiting: version.waiting.len() as u64,
        review: version.review.as_ref().map(|reviewed| shown_review(dataset, reviewed)),
    }
}

/// Which changes of a version.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionAsked {
    /// Which page of it, as it is stored, from 0.
    page: Option<u64>,
    /// Skips so many of that page.
    skip: Option<usize>,
}

/// One version with what it changed.
pub async fn version(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Extension<Identity>,
    Named((name, number)): Named<(String, u64)>,
    Query(query): Query<VersionAsked>,
) -> Shown {
    let (page, skip) = (query.page.unwrap_or(0), query.skip.unwrap_or(0));
    let (version, changes) = read(&shared, &identity, &name, move |primary| {
        let version = found(primary, number)?;
        match page_of(primary, &version, page) {
            // The event is kept for ever, its rows are not.
            Err(e) if e.code == "behind_horizon" => Ok((version, Vec::new())),
            changes => changes.map(|changes| (version, changes)),
        }
    })
    .await?;
    let to = path(&["datasets", &name, "versions", &number.to_string()]);
    let at = |page: u64, skip: usize| {
        let said = |number: u64| (number > 0).then(|| number.to_string());
        asked(&to, &[("page", said(page)), ("skip", said(skip as u64))])
    };
    let end = skip.saturating_add(CHANGES).min(changes.len());
    let next = if end < changes.len() { Some(at(page, end)) } else { (page + 1 < version.pages).then(|| at(page + 1, 0)) };
    let some = changes.get(skip..end).ok_or_else(|| Error::not_found(format!("version {number} has no such changes")))?;
    let is_all = skip == 0 && page == 0 && next.is_none();
    let shown_text = if is_all { String::new() } else { format!("{} of {} changes", some.len(), grouped(version.count)) };
    let mut frame = framed(&visit, &name, "versions", format!("Version {number}"))?;
    frame.way.push(Link::to("History", path(&["datasets", &name, "versions"])));
    frame.way.push(Link { is_here: true, ..Link::to(number.to_string(), &to) });
    let page = Version {
        frame,
        summary: summary(&name, &version),
        steps: version.schema.iter().map(describe).collect(),
        changes: some.iter().map(|change| shown_change(&name, &version.shapes[change.table], change)).collect(),
        may_revert: permit(&identity, Right::Propose, Object::Within(&name)).is_ok(),
        pager: Pager { of: "the changes", first: (skip > 0 || page > 0).then(|| to.clone()), next, shown: shown_text, ..Pager::default() },
        name,
    };
    shown(&page)
}

/// Proposes to take a version back, and leads to that proposal.
pub async fn revert(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((name, version)): Named<(String, u64)>,
    Extension(fields): Extension<Fields>,
) -> Shown {
    let reason = fields.only(&["reason"])?.maybe("reason")?.unwrap_or_default().to_string();
    let reverting = act(&shared, &identity, &name, Right::Propose, move |acting| acting.propose_revert(version, &reason));
    let proposal = reverting.await?.to_string();
    led_to(&asked(&path(&["datasets", &name, "proposals", &proposal]), &[("done", Some("reverting".to_string()))]))
}
