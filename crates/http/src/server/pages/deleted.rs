//! Rows that were deleted, and put back.
use super::account::said;
use super::changes::{key_of, row_path};
use super::{Asked, Shown, framed, led_to, moment, shown};
use crate::server::Shared;
use crate::server::asked::{Asked as Query, Named};
use crate::server::browser::Fields;
use crate::server::people::edits::restored;
use crate::server::reading::read;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::author::permit;
use mainstem::core::authority::{Object, Right};
use mainstem::error::{Error, Result};
use mainstem::primary::Primary;
use mainstem::tombstones::{Tombstone, TombstoneId, Wanted, Why};
use mainstem_pages::address::{asked, path};
use mainstem_pages::deleted::{self as page, Deleted};
use mainstem_pages::pager::Pager;
use mainstem_pages::value::{Room, ShownValue};
use serde::Deserialize;
use std::collections::VecDeque;
use std::sync::Arc;

/// Rows on one page.
const ROWS: usize = 40;
/// Rows that may be skipped: so many are kept while the latest are looked for.
const SKIPPED_MAX: usize = 4_000;

/// Which rows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeletedAsked {
    table: Option<String>,
    actor: Option<String>,
    skip: Option<usize>,
    done: Option<String>,
}

/// Deleted rows, those deleted last first.
pub async fn deleted(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    Query(query): Query<DeletedAsked>,
) -> Shown {
    let said_of = |said: Option<String>| said.filter(|said| !said.is_empty());
    let (table, actor, skip) = (said_of(query.table), said_of(query.actor), skipped(query.skip)?);
    let wanted = Wanted { table: table.clone(), actor: actor.clone(), ..Wanted::default() };
    let (tables, last) = read(&shared, &identity, &name, move |primary| {
        let names = primary.schema()?.tables.iter().map(|table| table.name.clone()).collect::<Vec<_>>();
        Ok((names, latest(primary, &wanted, skip)?))
    })
    .await?;
    let has_more = last.len() > ROWS;
    let to = path(&["datasets", &name, "deleted"]);
    let at =
        |skip: usize| asked(&to, &[("table", table.clone()), ("actor", actor.clone()), ("skip", (skip > 0).then(|| skip.to_string()))]);
    let mut frame = framed(&visit, &name, "deleted", "Deleted rows".to_string())?;
    frame.notice = said(query.done.as_deref());
    let page = Deleted {
        frame,
        tables,
        tombstones: last.iter().take(ROWS).map(|each| tombstone(&name, each)).collect(),
        pager: Pager {
            of: "the deleted rows",
            first: (skip > 0).then(|| at(0)),
            previous: (skip > ROWS).then(|| at(skip - ROWS)),
            next: has_more.then(|| at(skip + ROWS)),
            ..Pager::default()
        },
        may_restore: permit(&identity, Right::Write, Object::Within(&name)).is_ok(),
        table: table.unwrap_or_default(),
        actor: actor.unwrap_or_default(),
        name,
    };
    shown(&page)
}

fn skipped(asked: Option<usize>) -> Result<usize> {
    let too_many = || Error::invalid(format!("at most {SKIPPED_MAX} rows are skipped")).hint("choose a table, or who deleted them");
    asked.map_or(Ok(0), |skip| (skip <= SKIPPED_MAX).then_some(skip).ok_or_else(too_many))
}

/// Some more than fit on a page, the latest first, after so many. They come oldest first; no more of them are kept than that and
/// those that are skipped.
fn latest(primary: &mut dyn Primary, wanted: &Wanted, skip: usize) -> Result<Vec<Tombstone>> {
    let (mut last, most) = (VecDeque::new(), skip.saturating_add(ROWS + 1));
    primary.tombstones(wanted, &mut |tombstone| {
        if last.len() == most {
            last.pop_front();
        }
        last.push_back(tombstone.clone());
        Ok(())
    })?;
    Ok(last.into_iter().rev().skip(skip).collect())
}

fn tombstone(dataset: &str, tombstone: &Tombstone) -> page::Tombstone {
    let cells = tombstone.image.iter().map(|(column, value)| (column.clone(), ShownValue::new(value, Room::Cell)));
    page::Tombstone {
        id: tombstone.id.map(|id| id.to_string()),
        table: tombstone.table.clone(),
        key: key_of(&tombstone.key_columns, &tombstone.key),
        to: row_path(dataset, &tombstone.table, &tombstone.key, None),
        row: cells.collect(),
        actor: tombstone.actor.clone(),
        version: tombstone.version,
        at: moment(tombstone.accepted_at),
        why: why(&tombstone.why),
        expires: tombstone.expires.map(moment),
        is_there: tombstone.is_there,
    }
}

fn why(why: &Why) -> String {
    match why {
        Why::Changeset { title, .. } => title.clone().unwrap_or_else(|| "by an edit".to_string()),
        Why::Direct => "straight in the primary".to_string(),
        Why::Cascade { parent, .. } => format!("with the row of {parent} that it pointed to"),
        Why::Resolution { .. } => "as the answer to a conflict".to_string(),
        Why::Strategy { strategy, .. } => format!("by the strategy {strategy}"),
        Why::Marked { column, .. } => format!("only marked, in {column}"),
    }
}

/// Puts the chosen rows back.
pub async fn restore(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    Extension(fields): Extension<Fields>,
) -> Shown {
    let fields = fields.only(&["tombstone"])?;
    let ids = fields.many("tombstone").map(str::parse).collect::<Result<Vec<TombstoneId>>>()?;
    restored(&shared, identity, &name, ids).await?;
    led_to(&asked(&path(&["datasets", &name, "deleted"]), &[("done", Some("restored".to_string()))]))
}
