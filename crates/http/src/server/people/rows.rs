//! Rows, what happened to them, and who wrote what.
use super::{Answer, enough, limit, unless_enough};
use crate::server::Shared;
use crate::server::asked::{Asked, Named};
use crate::server::reading::read;
use crate::wire::shown::{Listed, ShownBlame, ShownHappening, ShownRows, ShownValue};
use axum::Json;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::changeset_json::value_from_text;
use mainstem::core::value::{Key, Row};
use mainstem::error::Result;
use mainstem::history::{RowPlace, reviews};
use mainstem::primary::Primary;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Which rows.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowsAsked {
    /// As they were at this version; the latest where nobody says.
    at: Option<u64>,
    /// Skips so many.
    skip: Option<u64>,
    /// How many at most.
    limit: Option<usize>,
}

/// The rows of a table at a version.
pub async fn rows(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((name, table)): Named<(String, String)>,
    Asked(asked): Asked<RowsAsked>,
) -> Answer<ShownRows> {
    let (limit, skip) = (limit(asked.limit)?, asked.skip.unwrap_or(0));
    let part = read(&shared, &identity, &name, move |primary| Part::read(primary, &table, asked.at, (skip, limit))).await?;
    let rows = part.rows.iter().map(|row| row.iter().map(ShownValue::from).collect()).collect();
    Ok(Json(ShownRows { version: part.version, columns: part.columns, rows, next: part.next }))
}

/// Some of a table's rows at a version.
pub(in crate::server) struct Part {
    pub version: u64,
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
    /// How many to skip for the next ones.
    pub next: Option<u64>,
}

impl Part {
    /// So many rows after so many.
    pub fn read(primary: &mut dyn Primary, table: &str, at: Option<u64>, (skip, limit): (u64, usize)) -> Result<Part> {
        let version = version_of(primary, at)?;
        let mut part = Part { version, columns: Vec::new(), rows: Vec::new(), next: None };
        let mut seen = 0;
        let visited = primary.rows(table, version, &mut |columns, row| {
            if part.columns.is_empty() {
                part.columns = columns.to_vec();
            }
            if part.rows.len() == limit {
                return Err(enough());
            }
            if seen >= skip {
                part.rows.push(row.clone());
            }
            seen += 1;
            Ok(())
        });
        part.next = visited.is_err().then_some(seen);
        unless_enough(visited)?;
        Ok(part)
    }
}

fn version_of(primary: &mut dyn Primary, asked: Option<u64>) -> Result<u64> {
    asked.map_or_else(|| Ok(primary.describe()?.head.version), Ok)
}

/// Which row.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowAsked {
    /// Its key: a value, or a JSON list of values where the key has several columns. What is no JSON is text.
    key: String,
    /// As it was at this version; the latest where nobody says.
    at: Option<u64>,
}

/// Which part of a row's history.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryAsked {
    /// Its key, as for the row's blame.
    key: String,
    /// Only what happened up to this version; the latest where nobody says.
    at: Option<u64>,
    /// How many things at most.
    limit: Option<usize>,
}

/// A key as typed.
fn key(typed: &str) -> Result<Key> {
    let parts: Vec<String> = match serde_json::from_str::<Vec<serde_json::Value>>(typed) {
        Ok(list) => list.iter().map(ToString::to_string).collect(),
        Err(_) => vec![typed.to_string()],
    };
    parts.iter().map(|part| value_from_text(part)).collect()
}

/// A row as typed.
pub(in crate::server) fn place(primary: &mut dyn Primary, table: String, typed: &str, at: Option<u64>) -> Result<RowPlace> {
    Ok(RowPlace { table, key: key(typed)?, version: version_of(primary, at)? })
}

/// What happened to a row, newest first.
pub async fn history(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((name, table)): Named<(String, String)>,
    Asked(asked): Asked<HistoryAsked>,
) -> Answer<Listed<ShownHappening>> {
    let limit = limit(asked.limit)?;
    let history = read(&shared, &identity, &name, move |primary| {
        let place = place(primary, table, &asked.key, asked.at)?;
        primary.row_history(&place, limit)
    });
    let history = history.await?;
    let next = history.next.as_ref().map(|place| place.version.to_string());
    Ok(Json(Listed { items: history.happenings.iter().map(ShownHappening::from).collect(), next }))
}

/// Where each cell of a row comes from.
pub async fn blame(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((name, table)): Named<(String, String)>,
    Asked(asked): Asked<RowAsked>,
) -> Answer<ShownBlame> {
    let blame = read(&shared, &identity, &name, move |primary| {
        let place = place(primary, table, &asked.key, asked.at)?;
        let blame = primary.blame(&place)?;
        let reviews = reviews(primary, &blame.versions())?;
        Ok(ShownBlame::new(&blame, &reviews))
    });
    Ok(Json(blame.await?))
}
