//! Versions and what they changed.
use super::{Answer, limit};
use crate::server::Shared;
use crate::server::asked::{Asked, Named};
use crate::server::reading::read;
use crate::wire::shown::{Listed, ShownChange, ShownVersion};
use axum::Json;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::core::format::page;
use mainstem::error::{Error, Result};
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
    let listed = read(&shared, &identity, &name, move |primary| {
        let head = primary.describe()?.head.version;
        let last = asked.before.map_or(head, |before| before.saturating_sub(1).min(head));
        let first = last.saturating_sub(limit as u64 - 1).max(1);
        let mut items = Vec::new();
        for number in (first..=last).rev() {
            items.extend(primary.version(number)?.as_ref().map(ShownVersion::from));
        }
        Ok(Listed { items, next: (first > 1 && last > 0).then(|| first.to_string()) })
    });
    Ok(Json(listed.await?))
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

fn found(primary: &mut dyn Primary, number: u64) -> Result<mainstem::core::event::Version> {
    primary.version(number)?.ok_or_else(|| Error::not_found(format!("there is no version {number}")))
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
        if at >= version.pages.max(1) {
            return Err(Error::not_found(format!("version {number} has no page {at}")));
        }
        let changes = match primary.page(number, at)? {
            Some(bytes) => page::decode(&bytes, &version.shapes)?,
            None => Vec::new(),
        };
        let items = changes.iter().map(|change| ShownChange::new(&version.shapes[change.table], change)).collect();
        Ok(Listed { items, next: (at + 1 < version.pages).then(|| (at + 1).to_string()) })
    });
    Ok(Json(listed.await?))
}
