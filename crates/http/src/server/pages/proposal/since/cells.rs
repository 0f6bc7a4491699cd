//! In which cells two revisions make a row come out differently.
use mainstem::core::change::{Cell, Change, Edit, Shape};
use mainstem::core::value::{Row, Value};
use mainstem_pages::cell::ShownCell;
use mainstem_pages::value::{Room, ShownValue, seen};
use std::collections::BTreeSet;

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
