//! Versions and what they changed.
use super::{Answer, limit};
use crate::server::Shared;
use crate::server::asked::{Asked, Named};
use crate::server::reading::read;
use crate::wire::schema::ShownTables;
use crate::wire::shown::{Listed, ShownChange, ShownVersion};
use axum::Json;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::core::change::Change;
use mainstem::core::event::Version;
use mainstem::core::format::page;
use mainstem::error::{Error, Result};
use mainstem::history::declared;
use mainstem::primary::Primary;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Which versions.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionsAsked {
    /// Only versions before this one.
    before: Option<u64>,
    /// How many at most.
    limit: Option<usize>,
}

/// Versions, newest first.
pub async fn versions(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    Asked(asked): Asked<VersionsAsked>,
) -> Answer<Listed<ShownVersion>> {
    let limit = limit(asked.limit)?;
    let (found, next) = read(&shared, &identity, &name, move |primary| before(primary, asked.before, limit)).await?;
    Ok(Json(Listed { items: found.iter().map(ShownVersion::from).collect(), next: next.map(|next| next.to_string()) }))
}

/// The versions before one, or the latest, newest first; and before which one there are more.
pub(in crate::server) fn before(primary: &mut dyn Primary, before: Option<u64>, limit: usize) -> Result<(Vec<Version>, Option<u64>)> {
    let head = primary.describe()?.head.version;
    let last = before.map_or(head, |before| before.saturating_sub(1).min(head));
    let first = last.saturating_sub(limit as u64 - 1).max(1);
    let mut found = Vec::new();
    for number in (first..=last).rev() {
        found.extend(primary.version(number)?);
    }
    Ok((found, (first > 1 && last > 0).then_some(first)))
}

/// One version.
pub async fn version(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((name, number)): Named<(String, u64)>,
) -> Answer<ShownVersion> {
    let found = read(&shared, &identity, &name, move |primary| found(primary, number));
    Ok(Json(ShownVersion::from(&found.await?)))
}

/// One version that is there.
pub(in crate::server) fn found(primary: &mut dyn Primary, number: u64) -> Result<Version> {
    primary.version(number)?.ok_or_else(|| Error::not_found(format!("there is no version {number}")))
}

/// The tables as they were at a version.
pub async fn tables(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((name, number)): Named<(String, u64)>,
) -> Answer<ShownTables> {
    let tables = read(&shared, &identity, &name, move |primary| {
        let version = found(primary, number)?;
        Ok(ShownTables::new(&version, &declared(primary, number)?))
    });
    Ok(Json(tables.await?))
}

/// Which changes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangesAsked {
    /// Which page of the version, from 0.
    page: Option<u64>,
}

/// The row changes of one version, page by page.
pub async fn changes(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((name, number)): Named<(String, u64)>,
    Asked(asked): Asked<ChangesAsked>,
) -> Answer<Listed<ShownChange>> {
    let at = asked.page.unwrap_or(0);
    let listed = read(&shared, &identity, &name, move |primary| {
        let version = found(primary, number)?;
        let changes = page_of(primary, &version, at)?;
        let items = changes.iter().map(|change| ShownChange::new(&version.shapes[change.table], change)).collect();
        Ok(Listed { items, next: (at + 1 < version.pages).then(|| (at + 1).to_string()) })
    });
    Ok(Json(listed.await?))
}

/// The row changes of one page of a version.
pub(in crate::server) fn page_of(primary: &mut dyn Primary, version: &Version, at: u64) -> Result<Vec<Change>> {
    let number = version.version;
    if at >= version.pages.max(1) {
        return Err(Error::not_found(format!("version {number} has no page {at}")));
    }
    match primary.page(number, at)? {
        Some(bytes) => Ok(page::decode(&bytes, &version.shapes)?),
        None => Ok(Vec::new()),
    }
}
