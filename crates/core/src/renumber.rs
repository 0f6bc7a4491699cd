//! Rows that got another number, and every reference that has to follow.
//!
//! Invariant: only a link that names the parent's number follows; a link by other columns still finds its row.
//! Invariant: a composite link follows only where all its cells are the renumbered row's.

use crate::change::{Change, Edit, Shape};
use crate::event::Renumbered;
use crate::schema::{ForeignKey, Schema};
use crate::value::Value;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Renumbered rows, found by table and old number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renumbering {
    rows: BTreeMap<(String, i64), Renumbered>,
}

/// Which values are rewritten.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// What the change writes.
    Written,
    /// What it found, too.
    Found,
}

impl Renumbering {
    /// No row.
    pub fn new() -> Self {
        Self::default()
    }
    /// Adds a row. A row that is renumbered twice has its latest number.
    pub fn add(&mut self, row: Renumbered) {
        self.rows.insert((row.table.to_ascii_lowercase(), row.from), row);
    }
    /// True where there is nothing to follow.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// The row that had this number.
    pub fn get(&self, table: &str, from: i64) -> Option<&Renumbered> {
        self.rows.get(&(table.to_ascii_lowercase(), from))
    }
    /// All rows, by table and old number.
    pub fn iter(&self) -> impl Iterator<Item = &Renumbered> {
        self.rows.values()
    }

    /// Rewrites a change of the changeset in which the rows were inserted: its own number where it is such a row,
    /// and every link it writes (a row inserted, a cell after). What it found stays: the base had no such row.
    /// Returns true where anything was rewritten.
    pub fn apply(&self, schema: &Schema, shape: &Shape, change: &mut Change) -> bool {
        self.rewrite(schema, shape, change, Reach::Written)
    }

    /// Rewrites a change of a later changeset of the same replica, which was made with the old numbers: as
    /// [`Renumbering::apply`], and also cells before, deleted rows and keys made of links, so that the change finds
    /// its rows as they are now.
    pub fn apply_to_later(&self, schema: &Schema, shape: &Shape, change: &mut Change) -> bool {
        self.rewrite(schema, shape, change, Reach::Found)
    }

    fn rewrite(&self, schema: &Schema, shape: &Shape, change: &mut Change, reach: Reach) -> bool {
        if self.is_empty() {
            return false;
        }
        let before = change.clone();
        for link in schema.table(&shape.table).map_or(&[][..], |table| &table.foreign_keys) {
            self.follow(schema, shape, link, &before, change, reach);
        }
        self.own_number(shape, &before, change);
        *change != before
    }

    fn own_number(&self, shape: &Shape, before: &Change, change: &mut Change) {
        if !shape.is_numbered {
            return;
        }
        let to_of = |key: &[Value]| key.first().and_then(Value::as_integer).and_then(|n| self.get(&shape.table, n));
        if let (Some(row), Some(&column)) = (to_of(&before.key), shape.key.first()) {
            change.key = [Value::Integer(row.to)].to_vec();
            if let Edit::Insert(cells) | Edit::Delete(cells) = &mut change.edit {
                cells[column] = Value::Integer(row.to);
            }
        }
        if let Some(row) = before.moved_from.as_deref().and_then(to_of) {
            change.moved_from = Some([Value::Integer(row.to)].to_vec());
        }
    }

    /// Rewrites the cell of one link that holds the parent's number.
    fn follow(
        &self,
        schema: &Schema,
        shape: &Shape,
        link: &ForeignKey,
        before: &Change,
        change: &mut Change,
        reach: Reach,
    ) {
        let (Some(parent), Some(child)) = (schema.table(&link.parent), schema.table(&shape.table)) else { return };
        if !parent.is_numbered {
            return;
        }
        let number = &parent.columns[parent.key[0]].name;
        let Some(part) = link.parent_columns.iter().position(|name| name.eq_ignore_ascii_case(number)) else { return };
        let columns: Option<Vec<usize>> =
            link.columns.iter().map(|&at| shape.column(&child.columns.get(at)?.name)).collect();
        let Some(columns) = columns else { return };
        let target = Target { renumbering: self, link, columns: &columns, part };
        let key_part = shape.key.iter().position(|&at| at == columns[part]);
        // A change that found its row under the old number must look for it under the new one.
        let follows_key = matches!(before.edit, Edit::Insert(_)) || reach == Reach::Found;
        if let (Some(at), true) = (key_part, follows_key)
            && let Some(to) = target.find(|column| value_in(shape, before, column, true))
        {
            change.key[at] = to;
        }
        match (&before.edit, &mut change.edit) {
            (Edit::Insert(row), Edit::Insert(cells)) => {
                if let Some(to) = target.find(|column| row.get(column)) {
                    cells[columns[part]] = to;
                }
            }
            (Edit::Delete(row), Edit::Delete(cells)) if reach == Reach::Found => {
                if let Some(to) = target.find(|column| row.get(column)) {
                    cells[columns[part]] = to;
                }
            }
            (Edit::Update(_), Edit::Update(cells)) => {
                let Some(cell) = cells.iter_mut().find(|cell| cell.column == columns[part]) else { return };
                if let Some(to) = target.find(|column| value_in(shape, before, column, true)) {
                    cell.after = to;
                }
                if reach == Reach::Found
                    && let Some(to) = target.find(|column| value_in(shape, before, column, false))
                {
                    cell.before = to;
                }
            }
            _ => {}
        }
    }
}

/// A change's value in a column, after it or before; none where an update does not say.
fn value_in<'a>(shape: &Shape, change: &'a Change, column: usize, is_after: bool) -> Option<&'a Value> {
    match &change.edit {
        Edit::Insert(row) | Edit::Delete(row) => row.get(column),
        Edit::Update(cells) => match cells.iter().find(|cell| cell.column == column) {
            Some(cell) => Some(if is_after { &cell.after } else { &cell.before }),
            None => change.key.get(shape.key.iter().position(|&at| at == column)?),
        },
    }
}

/// One link's columns in the child's shape, `part` being the one that holds the parent's number.
struct Target<'a> {
    renumbering: &'a Renumbering,
    link: &'a ForeignKey,
    columns: &'a [usize],
    part: usize,
}

impl Target<'_> {
    /// The new number where the link's values are those of a renumbered row, in the form the old one had. A value
    /// that is not known (an update does not carry it) matches: the number alone names the row.
    fn find<'a>(&self, value: impl Fn(usize) -> Option<&'a Value>) -> Option<Value> {
        let held = value(self.columns[self.part])?;
        let row = self.renumbering.get(&self.link.parent, number_in(held)?)?;
        for (i, name) in self.link.parent_columns.iter().enumerate() {
            let known = row.columns.iter().position(|column| column.eq_ignore_ascii_case(name));
            let wanted = known.and_then(|at| row.row.get(at));
            let found = value(self.columns[i]);
            let is_other = i != self.part && wanted.is_some() && found.is_some() && wanted != found;
            if is_other || found.is_some_and(Value::is_null) {
                return None;
            }
        }
        Some(match held {
            Value::Text(_) => Value::Text(row.to.to_string().into_bytes()),
            Value::Real(_) => Value::Real(row.to as f64),
            _ => Value::Integer(row.to),
        })
    }
}

/// The number a link's cell refers to: a column without number affinity holds it as text or as a double.
fn number_in(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Real(real) => ((*real as i64) as f64 == *real).then_some(*real as i64),
        Value::Text(text) => {
            let number: i64 = core::str::from_utf8(text).ok()?.parse().ok()?;
            (number.to_string().as_bytes() == &text[..]).then_some(number)
        }
        _ => None,
    }
}
