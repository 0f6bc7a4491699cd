//! Tombstones, and their end.
use super::{Answer, enough, limit, unless_enough};
use crate::server::Shared;
use crate::server::access::body_of;
use crate::server::asked::{Asked, Named};
use crate::server::guard::still;
use crate::server::hall::Handle;
use crate::server::reading::read;
use crate::wire::keeping::{CleanupWish, ShownCleanup};
use crate::wire::shown::{Listed, ShownTombstone};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use hyper::HeaderMap;
use mainstem::accounts::Identity;
use mainstem::changeset_json::parse_time;
use mainstem::cleanup::Rehearsal;
use mainstem::core::authority::Right;
use mainstem::error::Error;
use mainstem::tombstones::Wanted;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Which tombstones.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TombstonesAsked {
    /// Only those of this table.
    table: Option<String>,
    /// Only what this person deleted.
    actor: Option<String>,
    /// Only what was accepted at this moment or later.
    since: Option<String>,
    /// Only those of later versions.
    after: Option<u64>,
    /// Skips so many.
    skip: Option<usize>,
    /// How many at most.
    limit: Option<usize>,
}

/// Tombstones, oldest first.
pub async fn tombstones(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    Asked(asked): Asked<TombstonesAsked>,
) -> Answer<Listed<ShownTombstone>> {
    let (limit, skip) = (limit(asked.limit)?, asked.skip.unwrap_or(0));
    let since = asked.since.as_deref().map(|text| parse_time(text).ok_or_else(|| Error::invalid(format!("{text} is no moment"))));
    let wanted = Wanted { table: asked.table, actor: asked.actor, since: since.transpose()?, after: asked.after, ..Wanted::default() };
    let listed = read(&shared, &identity, &name, move |primary| {
        let (mut items, mut seen) = (Vec::new(), 0usize);
        let visited = primary.tombstones(&wanted, &mut |tombstone| {
            if items.len() == limit {
                return Err(enough());
            }
            if seen >= skip {
                items.push(ShownTombstone::from(tombstone));
            }
            seen += 1;
            Ok(())
        });
        let is_more = visited.is_err();
        unless_enough(visited)?;
        Ok(Listed { items, next: is_more.then(|| seen.to_string()) })
    });
    Ok(Json(listed.await?))
}

/// Forgets what has expired, or says what that would be.
pub async fn cleanup(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<ShownCleanup> {
    let wish: CleanupWish = body_of(&headers, &body)?;
    let rehearsal = if wish.dry_run { Rehearsal::DryRun } else { Rehearsal::Real };
    let (accounts, dataset) = (shared.clone(), name.clone());
    let clean = move |primary: &mut Handle| {
        let identity = still(&accounts, &identity, Right::Own, &dataset)?;
        primary.cleanup(&identity.name, rehearsal)
    };
    Ok(Json(ShownCleanup::new(&shared.hall.change(&name, clean).await?, rehearsal)))
}
