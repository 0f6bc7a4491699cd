//! Conflicts.
use super::{Answer, limit};
use crate::server::Shared;
use crate::server::asked::{Asked, Named};
use crate::server::reading::read;
use crate::wire::shown::{Listed, ShownConflict, conflict_id};
use axum::Json;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Whether a conflict was answered.
#[derive(Clone, Copy, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum ConflictState {
    /// Nobody has answered it.
    Open,
    /// Somebody or a strategy has.
    Resolved,
}

/// Which conflicts.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConflictsAsked {
    /// Only those in this state.
    state: Option<ConflictState>,
    /// Only those of this table.
    table: Option<String>,
    /// Only those of this kind.
    kind: Option<String>,
    /// Only those after the one of this id.
    after: Option<String>,
    /// How many at most.
    limit: Option<usize>,
}

/// Conflicts, oldest first.
pub async fn conflicts(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    Asked(asked): Asked<ConflictsAsked>,
) -> Answer<Listed<ShownConflict>> {
    let limit = limit(asked.limit)?;
    let open_only = asked.state == Some(ConflictState::Open);
    let all = read(&shared, &identity, &name, move |primary| primary.conflicts(open_only)).await?;
    let mut wanted = all.iter().filter(|conflict| {
        (asked.state != Some(ConflictState::Resolved) || !conflict.is_open())
            && asked.table.as_ref().is_none_or(|table| conflict.table.eq_ignore_ascii_case(table))
            && asked.kind.as_ref().is_none_or(|kind| conflict.kind.name() == kind)
    });
    if let Some(after) = &asked.after {
        wanted.by_ref().find(|conflict| conflict_id(conflict.id) == *after);
    }
    let items: Vec<ShownConflict> = wanted.by_ref().take(limit).map(ShownConflict::from).collect();
    let next = wanted.next().and(items.last()).map(|last| last.id.clone());
    Ok(Json(Listed { items, next }))
}
