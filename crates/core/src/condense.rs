//! Two consecutive net changes of one row as one, changesets back to back as one, a changeset backwards, and the
//! order in which changes can be applied.
//!
//! Invariant: applying the combination is applying the parts in turn; a combination that changes nothing is none.
//! Deliberately absent: capture's records, which become net changes where they are read.
mod order;
#[cfg(test)]
mod tests;

pub use order::{order, table_ranks};

use crate::change::{Cell, Change, Changeset, Edit, Shape};
use crate::error::{Error, Result};
use crate::value::{Key, Row};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Combines two consecutive net changes of one row, in one shape. None where nothing is left.
///
/// | first, then | insert | update | delete |
/// |---|---|---|---|
/// | insert | illegal | insert, cells laid on | nothing |
/// | update | illegal | update from the first before to the last after | delete of the row before |
/// | delete | update of the cells that differ | illegal | illegal |
///
/// An illegal pair, or a second change that does not start where the first ended, is [`Error::Invalid`].
pub fn combine_changes(first: &Change, second: &Change) -> Result<Option<Change>> {
    let edit = match (&first.edit, &second.edit) {
        (Edit::Insert(row), Edit::Update(cells)) => Some(Edit::Insert(advance(row, cells)?)),
        (Edit::Insert(row), Edit::Delete(image)) => {
            follows(row == image, "delete")?;
            None
        }
        (Edit::Update(early), Edit::Update(late)) => combine_cells(early, late)?,
        (Edit::Update(cells), Edit::Delete(image)) => Some(Edit::Delete(go_back(image, cells)?)),
        (Edit::Delete(before), Edit::Insert(after)) => differing_cells(before, after, second),
        (Edit::Insert(_) | Edit::Update(_), Edit::Insert(_)) | (Edit::Delete(_), Edit::Update(_) | Edit::Delete(_)) => {
            let (first, second) = (first.edit.name(), second.edit.name());
            return Err(Error::invalid(format!("{second} after {first}"), "no row can have both, one after the other"));
        }
    };
    Ok(edit.map(|edit| Change {
        table: second.table,
        key: second.key.clone(),
        moved_from: match edit {
            Edit::Insert(_) => first.moved_from.clone(),
            _ => None,
        },
        edit,
        at: first.at.max(second.at),
    }))
}

/// Combines two net changes of one row between which others' work may have come: where the second does not start where the
/// first ended, its author saw something else there by then, and what was written last stands.
///
/// | first, then | insert | update | delete |
/// |---|---|---|---|
/// | insert | the second | insert, cells laid on | nothing |
/// | update | the second | update, of a cell that does not follow the second | delete of the row before, as far as it follows |
/// | delete | update of the cells that differ | the second | the second |
pub fn combine_apart(first: &Change, second: &Change) -> Option<Change> {
    if let Ok(combined) = combine_changes(first, second) {
        return combined;
    }
    let edit = match (&first.edit, &second.edit) {
        (Edit::Insert(_), Edit::Delete(_)) => return None,
        (Edit::Insert(row), Edit::Update(cells)) => {
            let mut row = row.clone();
            for cell in cells {
                if let Some(value) = row.get_mut(cell.column) {
                    value.clone_from(&cell.after);
                }
            }
            Edit::Insert(row)
        }
        (Edit::Update(early), Edit::Update(late)) => {
            let overtaken = |cell: &&Cell| late.iter().any(|l| l.column == cell.column && l.before != cell.after);
            let kept: Vec<Cell> = early.iter().filter(|cell| !overtaken(cell)).cloned().collect();
            combine_cells(&kept, late).ok().flatten()?
        }
        (Edit::Update(cells), Edit::Delete(image)) => {
            let mut row = image.clone();
            for cell in cells {
                if let Some(value) = row.get_mut(cell.column).filter(|value| **value == cell.after) {
                    value.clone_from(&cell.before);
                }
            }
            Edit::Delete(row)
        }
        _ => second.edit.clone(),
    };
    let moved_from = match (&first.edit, &edit) {
        (Edit::Insert(_), Edit::Insert(_)) => first.moved_from.clone(),
        (_, Edit::Insert(_)) => second.moved_from.clone(),
        _ => None,
    };
    Some(Change { table: second.table, key: second.key.clone(), moved_from, edit, at: first.at.max(second.at) })
}

fn follows(does: bool, what: &str) -> Result<()> {
    if does { Ok(()) } else { Err(Error::invalid(what, "it does not start where the change before it ended")) }
}

fn advance(row: &Row, cells: &[Cell]) -> Result<Row> {
    let mut row = row.clone();
    for cell in cells {
        follows(row.get(cell.column) == Some(&cell.before), "update")?;
        row[cell.column] = cell.after.clone();
    }
    Ok(row)
}

fn go_back(image: &Row, cells: &[Cell]) -> Result<Row> {
    let mut row = image.clone();
    for cell in cells {
        follows(row.get(cell.column) == Some(&cell.after), "delete")?;
        row[cell.column] = cell.before.clone();
    }
    Ok(row)
}

fn combine_cells(early: &[Cell], late: &[Cell]) -> Result<Option<Edit>> {
    let mut cells: BTreeMap<usize, Cell> = early.iter().map(|cell| (cell.column, cell.clone())).collect();
    for cell in late {
        match cells.get_mut(&cell.column) {
            None => {
                cells.insert(cell.column, cell.clone());
            }
            Some(before) => {
                follows(before.after == cell.before, "update")?;
                before.after = cell.after.clone();
                before.at = cell.at;
            }
        }
    }
    let cells: Vec<Cell> = cells.into_values().filter(|cell| cell.before != cell.after).collect();
    Ok(if cells.is_empty() { None } else { Some(Edit::Update(cells)) })
}

fn differing_cells(before: &Row, after: &Row, second: &Change) -> Option<Edit> {
    let differing = before.iter().zip(after).enumerate().filter(|(_, (before, after))| before != after);
    let cells: Vec<Cell> =
        differing.map(|(column, (before, after))| Cell { column, before: before.clone(), after: after.clone(), at: second.at }).collect();
    if cells.is_empty() { None } else { Some(Edit::Update(cells)) }
}

/// Combines changesets, oldest first, each made on the one before it.
///
/// The front is the last one's, on the first one's base version, with all schema steps and resolutions. Deletes come
/// first; [`order`] puts the rest in the order that links ask for. [`Error::Invalid`] where a table has other columns
/// in one changeset than in another, for then its rows cannot be compared.
pub fn combine(changesets: &[Changeset]) -> Result<Changeset> {
    let Some(last) = changesets.last() else { return Ok(Changeset::default()) };
    let mut combined = Changeset { front: last.front.clone(), changes: Vec::new() };
    let front = &mut combined.front;
    front.header.base_version = changesets[0].front.header.base_version;
    front.schema = changesets.iter().flat_map(|one| one.front.schema.iter().cloned()).collect();
    front.resolutions = changesets.iter().flat_map(|one| one.front.resolutions.iter().cloned()).collect();
    front.shapes.clear();
    let mut rows: BTreeMap<(usize, Key), (usize, Change)> = BTreeMap::new();
    let mut turn = 0;
    for changeset in changesets {
        let places = changeset.front.shapes.iter().map(|shape| place(&mut front.shapes, shape)).collect::<Result<Vec<Place>>>()?;
        for change in &changeset.changes {
            let place = places
                .get(change.table)
                .ok_or_else(|| Error::invalid(format!("change of table {}", change.table), "the changeset has no such shape"))?;
            let change = place.moved(change)?;
            turn += 1;
            let at = (change.table, change.key.clone());
            let change = match rows.remove(&at) {
                None => Some(change),
                Some((_, first)) => combine_changes(&first, &change)?,
            };
            if let Some(change) = change {
                rows.insert(at, (turn, change));
            }
        }
    }
    let mut changes: Vec<(usize, Change)> = rows.into_values().collect();
    changes.sort_by_key(|(turn, change)| (rank(&change.edit), *turn));
    combined.changes = changes.into_iter().map(|(_, change)| change).collect();
    combined.front.count = combined.changes.len() as u64;
    Ok(combined)
}

/// Where a shape's table and columns are in the combined changeset.
struct Place {
    table: usize,
    /// For each column there, its position here. None where both are the same.
    columns: Option<Vec<usize>>,
}

fn place(shapes: &mut Vec<Shape>, shape: &Shape) -> Result<Place> {
    let Some(table) = shapes.iter().position(|known| known.table.eq_ignore_ascii_case(&shape.table)) else {
        shapes.push(shape.clone());
        return Ok(Place { table: shapes.len() - 1, columns: None });
    };
    let known = &mut shapes[table];
    known.highest = known.highest.max(shape.highest);
    if known.columns == shape.columns {
        return Ok(Place { table, columns: None });
    }
    let columns: Option<Vec<usize>> = known.columns.iter().map(|name| shape.column(name)).collect();
    match columns {
        Some(columns) if columns.len() == shape.columns.len() => Ok(Place { table, columns: Some(columns) }),
        _ => Err(Error::invalid(format!("table {}", shape.table), "its columns changed between these changesets, so they cannot be one")),
    }
}

impl Place {
    fn moved(&self, change: &Change) -> Result<Change> {
        let mut change = change.clone();
        change.table = self.table;
        let Some(columns) = &self.columns else { return Ok(change) };
        match &mut change.edit {
            Edit::Insert(row) | Edit::Delete(row) => {
                let moved: Option<Row> = columns.iter().map(|&at| row.get(at).cloned()).collect();
                *row = moved.ok_or_else(|| Error::invalid("row", "it has fewer cells than its shape has columns"))?;
            }
            Edit::Update(cells) => {
                for cell in cells.iter_mut() {
                    let to = columns.iter().position(|&at| at == cell.column);
                    cell.column = to.ok_or_else(|| Error::invalid("cell", "its shape has no such column"))?;
                }
                cells.sort_by_key(|cell| cell.column);
            }
        }
        Ok(change)
    }
}

fn rank(edit: &Edit) -> u8 {
    match edit {
        Edit::Delete(_) => 0,
        Edit::Insert(_) => 1,
        Edit::Update(_) => 2,
    }
}

/// The changeset that undoes this one, in an order in which it can be applied: what was inserted last goes first,
/// then what was deleted last comes back first, then cells change back.
///
/// The front is the same; the caller gives it a new header. [`Error::Invalid`] where there are schema steps, which
/// do not say what they removed.
pub fn invert(changeset: &Changeset) -> Result<Changeset> {
    if !changeset.front.schema.is_empty() {
        return Err(Error::invalid("changeset with schema steps", "they do not say what they removed"));
    }
    let mut inverted = Changeset { front: changeset.front.clone(), changes: Vec::new() };
    inverted.front.resolutions.clear();
    for shape in &mut inverted.front.shapes {
        shape.highest = None;
    }
    let mut moved: BTreeMap<(usize, &Key), &Key> = BTreeMap::new();
    for change in &changeset.changes {
        if let Some(from) = &change.moved_from {
            moved.insert((change.table, from), &change.key);
        }
    }
    for change in changeset.changes.iter().rev() {
        let edit = match &change.edit {
            Edit::Insert(row) => Edit::Delete(row.clone()),
            Edit::Delete(row) => Edit::Insert(row.clone()),
            Edit::Update(cells) => Edit::Update(
                cells.iter().map(|cell| Cell { before: cell.after.clone(), after: cell.before.clone(), ..cell.clone() }).collect(),
            ),
        };
        if let (Edit::Insert(_), Some(shape)) = (&edit, inverted.front.shapes.get_mut(change.table))
            && shape.is_numbered
        {
            shape.highest = shape.highest.max(change.key.first().and_then(crate::value::Value::as_integer));
        }
        let moved_from = match &edit {
            Edit::Insert(_) => moved.get(&(change.table, &change.key)).map(|&key| key.clone()),
            _ => None,
        };
        inverted.changes.push(Change { edit, moved_from, ..change.clone() });
    }
    inverted.changes.sort_by_key(|change| rank(&change.edit));
    Ok(inverted)
}

/// A table's name as it is compared.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}
