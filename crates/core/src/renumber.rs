//! Rows that got another number, and every reference that has to follow.
//!
//! Invariant: only a link that names the parent's number follows; a link by other columns still finds its row.
//! Invariant: a link to a row that is itself named by such a link follows too, through any number of tables.
//! Invariant: a composite link follows only where all its cells are the renumbered row's.

#[cfg(test)]
mod tests;

use crate::change::{Change, Edit, Shape};
use crate::event::Renumbered;
use crate::planted::{self, Bug};
use crate::schema::{ForeignKey, Schema};
use crate::value::{Key, Value};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Renumbered rows, found by table and old number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renumbering {
    rows: BTreeMap<(String, i64), (Renumbered, Reach)>,
}

/// Which values of a change are rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Adds a row that the changeset at hand inserts. What its changes found cannot mean this row.
    pub fn add(&mut self, row: Renumbered) {
        self.rows.insert((row.table.to_ascii_lowercase(), row.from), (row, Reach::Written));
    }
    /// Adds a row that an earlier changeset of the same replica inserted. The changeset at hand was made with the
    /// old number, so what its changes found is rewritten too: cells before, deleted rows, keys made of links.
    pub fn add_earlier(&mut self, row: Renumbered) {
        self.rows.insert((row.table.to_ascii_lowercase(), row.from), (row, Reach::Found));
    }
    /// True where there is nothing to follow.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// All rows, by table and old number.
    pub fn iter(&self) -> impl Iterator<Item = &Renumbered> {
        self.rows.values().map(|(row, _)| row)
    }
    /// The number that the row of that key has now, where it was renumbered.
    pub fn number(&self, table: &str, key: &[Value]) -> Option<i64> {
        match key {
            [Value::Integer(from)] => self.find(table, *from).map(|(row, _)| row.to),
            _ => None,
        }
    }
    /// The key that the row of that key has now.
    pub fn key(&self, table: &str, key: &[Value]) -> Key {
        self.number(table, key).map_or_else(|| key.to_vec(), |to| [Value::Integer(to)].to_vec())
    }
    /// The highest number given in a table.
    pub fn highest(&self, table: &str) -> Option<i64> {
        self.iter().filter(|row| row.table.eq_ignore_ascii_case(table)).map(|row| row.to).max()
    }

    fn find(&self, table: &str, from: i64) -> Option<&(Renumbered, Reach)> {
        self.rows.get(&(table.to_ascii_lowercase(), from))
    }

    /// Rewrites a change: its own number where it is a renumbered row, and every link it writes to one (in a row
    /// inserted, in a cell after). For rows of earlier changesets also what it found. True where anything was
    /// rewritten.
    pub fn apply(&self, schema: &Schema, shape: &Shape, change: &mut Change) -> bool {
        if self.is_empty() {
            return false;
        }
        let before = change.clone();
        for link in links_from(schema, &shape.table) {
            self.follow(schema, shape, &link, &before, change);
        }
        self.own_number(shape, &before, change);
        *change != before
    }

    fn own_number(&self, shape: &Shape, before: &Change, change: &mut Change) {
        if !shape.is_numbered {
            return;
        }
        if let (Some(to), Some(&column)) = (self.number(&shape.table, &before.key), shape.key.first()) {
            change.key = [Value::Integer(to)].to_vec();
            if let Edit::Insert(row) | Edit::Delete(row) = &mut change.edit {
                row[column] = Value::Integer(to);
            }
        }
        if let Some(from) = &before.moved_from {
            change.moved_from = Some(self.key(&shape.table, from));
        }
    }

    /// Rewrites the cell of one link that holds the parent's number.
    fn follow(&self, schema: &Schema, shape: &Shape, link: &ForeignKey, before: &Change, change: &mut Change) {
        let Some(target) = Target::new(self, schema, shape, link).filter(|_| !planted::is(Bug::X2)) else { return };
        let column = target.columns[target.part];
        let written = target.find(|column| value_in(shape, before, column, true));
        let found = target.find(|column| value_in(shape, before, column, false));
        match &mut change.edit {
            Edit::Insert(row) => {
                if let Some((to, _)) = written {
                    target.put_key(shape, &to, &mut change.key);
                    row[column] = to;
                }
            }
            Edit::Delete(row) => {
                if let Some((to, Reach::Found)) = found {
                    target.put_key(shape, &to, &mut change.key);
                    row[column] = to;
                }
            }
            Edit::Update(cells) => {
                if let Some((to, Reach::Found)) = &found {
                    target.put_key(shape, to, &mut change.key);
                }
                let Some(cell) = cells.iter_mut().find(|cell| cell.column == column) else { return };
                if let Some((to, _)) = written {
                    cell.after = to;
                }
                if let Some((to, Reach::Found)) = found {
                    cell.before = to;
                }
            }
        }
    }
}

/// The links of a table, and what they name further on: where a link names columns that are themselves a link, its own
/// columns name that link's parent as well.
fn links_from(schema: &Schema, table: &str) -> Vec<ForeignKey> {
    let mut links = schema.table(table).map_or_else(Vec::new, |table| table.foreign_keys.clone());
    let mut at = 0;
    while let Some(link) = links.get(at).cloned() {
        at += 1;
        let Some(parent) = schema.table(&link.parent) else { continue };
        for next in &parent.foreign_keys {
            let mut further = ForeignKey { columns: Vec::new(), parent_columns: Vec::new(), ..next.clone() };
            for (&column, name) in next.columns.iter().zip(&next.parent_columns) {
                let through = link.parent_columns.iter().position(|named| parent.column(named) == Some(column));
                if let Some(i) = through {
                    further.columns.push(link.columns[i]);
                    further.parent_columns.push(name.clone());
                }
            }
            if !further.columns.is_empty() && !links.contains(&further) {
                links.push(further);
            }
        }
    }
    links
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
    columns: Vec<usize>,
    part: usize,
}

impl<'a> Target<'a> {
    /// None where the link does not name the parent's number, or the child's shape lacks a column of it.
    fn new(renumbering: &'a Renumbering, schema: &Schema, shape: &Shape, link: &'a ForeignKey) -> Option<Self> {
        let (parent, child) = (schema.table(&link.parent)?, schema.table(&shape.table)?);
        if !parent.is_numbered {
            return None;
        }
        let number = &parent.columns.get(*parent.key.first()?)?.name;
        let part = link.parent_columns.iter().position(|name| name.eq_ignore_ascii_case(number))?;
        let in_shape = |&at: &usize| shape.column(&child.columns.get(at)?.name);
        let columns = link.columns.iter().map(in_shape).collect::<Option<Vec<usize>>>()?;
        Some(Target { renumbering, link, columns, part })
    }

    fn put_key(&self, shape: &Shape, to: &Value, key: &mut Key) {
        if let Some(at) = shape.key.iter().position(|&column| column == self.columns[self.part]) {
            key[at] = to.clone();
        }
    }

    /// The new number where the link's values are those of a renumbered row, in the form the old one had. A value
    /// that is not known (an update does not carry it) matches: the number alone names the row.
    fn find<'v>(&self, value: impl Fn(usize) -> Option<&'v Value>) -> Option<(Value, Reach)> {
        let held = value(self.columns[self.part])?;
        let (row, reach) = self.renumbering.find(&self.link.parent, number_in(held)?)?;
        for (i, name) in self.link.parent_columns.iter().enumerate() {
            let known = row.columns.iter().position(|column| column.eq_ignore_ascii_case(name));
            let wanted = known.and_then(|at| row.row.get(at));
            let found = value(self.columns[i]);
            let is_other = i != self.part && wanted.is_some() && found.is_some() && wanted != found;
            if is_other || found.is_some_and(Value::is_null) {
                return None;
            }
        }
        let to = match held {
            Value::Text(_) => Value::Text(row.to.to_string().into_bytes()),
            Value::Real(_) => Value::Real(row.to as f64),
            _ => Value::Integer(row.to),
        };
        Some((to, *reach))
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
