//! In which cells two revisions make a row come out differently.
use super::super::key_text;
use mainstem::core::change::{Cell, Change, Edit, Shape};
use mainstem::core::format::page;
use mainstem::core::value::{Row, Value};
use mainstem::error::Result;
use mainstem::primary::Primary;
use mainstem::review::Judged;
use mainstem_pages::cell::ShownCell;
use mainstem_pages::value::{Room, ShownValue, seen};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of the earlier revision that are read to find some again; of a longer one the later row is shown whole.
const ROWS_MAX: u64 = 20_000;

/// A row: its table and its key.
pub type Place = (String, String);

/// Where a change is.
pub fn place(shape: &Shape, change: &Change) -> Place {
    (shape.table.clone(), key_text(&change.key))
}

/// What a revision does to some rows.
pub fn earlier(primary: &mut dyn Primary, judged: &Judged, number: u64, wanted: &BTreeSet<Place>) -> Result<BTreeMap<Place, Change>> {
    let revision = &judged.proposal.revisions[number as usize - 1].2;
    let mut found = BTreeMap::new();
    if revision.front.count > ROWS_MAX || wanted.is_empty() {
        return Ok(found);
    }
    for at in 0..revision.pages {
        let Some(bytes) = primary.staged_page(judged.proposal.id, number, at)? else { break };
        let changes = page::decode(&bytes, &revision.front.shapes)?;
        let placed = changes.into_iter().map(|change| (place(&revision.front.shapes[change.table], &change), change));
        found.extend(placed.filter(|(place, _)| wanted.contains(place)));
    }
    Ok(found)
}

/// The cells that come out otherwise than by the edit of before; none where the edits are of two kinds, so that all of it is news.
pub fn between((old, was): (&Shape, &Change), (new, now): (&Shape, &Change)) -> Option<Vec<(ShownValue, ShownCell)>> {
    let (before, after): (Sides<'_>, Sides<'_>) = match (&was.edit, &now.edit) {
        (Edit::Insert(was), Edit::Insert(now)) => (inserted(old, was), inserted(new, now)),
        (Edit::Update(was), Edit::Update(now)) => (updated(old, was), updated(new, now)),
        _ => return None,
    };
    let names: BTreeSet<&str> = before.iter().chain(&after).map(|(name, ..)| *name).collect();
    let pairs = names.into_iter().map(|name| (name, came_out(&before, &after, name), came_out(&after, &before, name)));
    let shown = |(name, was, now): (&str, Option<&Value>, Option<&Value>)| (seen(name), ShownCell::new(name, was, now, Room::Cell));
    Some(pairs.filter(|(_, was, now)| was != now).map(shown).collect())
}

/// Each column with what was there before, where there was anything, and what an edit makes of it.
type Sides<'a> = Vec<(&'a str, Option<&'a Value>, &'a Value)>;

/// What a column is after an edit. What only the other one writes is what it was.
fn came_out<'a>(own: &Sides<'a>, other: &Sides<'a>, column: &str) -> Option<&'a Value> {
    let written = own.iter().find(|(name, ..)| *name == column).map(|(_, _, after)| *after);
    written.or_else(|| other.iter().find(|(name, ..)| *name == column).and_then(|(_, before, _)| *before))
}

fn inserted<'a>(shape: &'a Shape, row: &'a Row) -> Sides<'a> {
    shape.columns.iter().zip(row).map(|(name, value)| (name.as_str(), None, value)).collect()
}

fn updated<'a>(shape: &'a Shape, cells: &'a [Cell]) -> Sides<'a> {
    cells.iter().map(|cell| (shape.columns[cell.column].as_str(), Some(&cell.before), &cell.after)).collect()
}
