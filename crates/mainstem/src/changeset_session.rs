//! Changesets in the format of SQLite's session extension: what another program recorded, taken in; what is here, for others to apply.
//!
//! The format has no column names, no times, no author and no schema steps. Columns are taken by place from the tracked
//! table of that name, which must have as many and the same key.
//! Invariant: a table that is not here, or is another, is refused by name before anything is changed.
//! Invariant: what is written can be applied by `sqlite3changeset_apply`, and applying it gives the same rows.
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::primary::Pages;
use mainstem_core::ErrorKind;
use mainstem_core::change::{Cell, Change, Changeset, Edit, Shape};
use mainstem_core::condense;
pub use mainstem_core::format::session::Form;
use mainstem_core::format::session::{self, Act, Head, Partial, RowChange};
use mainstem_core::format::{front, page};
use mainstem_core::schema::{Schema, Table};
use mainstem_core::stamp::Time;
use mainstem_core::value::{Key, Row, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// The present rows of some keys of a table, for a patchset that does not say what they were.
pub type PresentRows<'a> = &'a mut dyn FnMut(&Table, &BTreeSet<Key>) -> Result<BTreeMap<Key, Row>>;

/// What a file gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// Its changes, in an order in which they can be applied. The header is the caller's to fill.
    pub changeset: Changeset,
    /// Which of the two formats it was.
    pub form: Form,
    /// Rows that a patchset deletes and that are gone already.
    pub gone: u64,
}

/// Reads a changeset or patchset into changes of the tables of `schema`, written at that time.
///
/// [`ErrorKind::Corrupt`] where the bytes are neither, [`ErrorKind::Invalid`] where a table is not here or has other
/// columns, [`ErrorKind::NotFound`] where a patchset changes a row that is not here.
pub fn import(bytes: &[u8], schema: &Schema, at: Time, present: PresentRows<'_>) -> Result<Imported> {
    let (form, runs) = session::decode(bytes)?;
    let mut imported = Imported { form, ..Imported::default() };
    let mut parts = Parts { at, shapes: Vec::new(), seen: BTreeSet::new(), done: Vec::new(), changes: Vec::new() };
    for run in &runs {
        let table = matching(schema, &run.head)?;
        let rows = match form {
            Form::Changeset => BTreeMap::new(),
            Form::Patchset => present(table, &run.changes.iter().filter_map(|change| stored_key(table, &change.act)).collect())?,
        };
        for change in &run.changes {
            match told(form, table, change, &rows, at)? {
                Told::Edit(key, edit) => parts.add(form, table, key, edit)?,
                Told::Same => {}
                Told::Gone => imported.gone += 1,
            }
        }
    }
    imported.changeset = parts.whole(schema)?;
    Ok(imported)
}

/// Writes a changeset page by page. Says how many rows it wrote.
pub fn export(form: Form, shapes: &[Shape], pages: &mut dyn Pages, out: &mut dyn Write) -> Result<u64> {
    let heads: Vec<Head> = shapes.iter().map(head_of).collect();
    let (mut rows, mut table) = (0, None);
    while let Some(changes) = pages.next()? {
        let mut bytes = Vec::new();
        for change in &changes {
            page::check(shapes, change)?;
            let head = &heads[change.table];
            if table.replace(change.table) != Some(change.table) {
                session::write_head(&mut bytes, form, head);
            }
            session::write_change(&mut bytes, form, head, &row_change(&shapes[change.table], change));
            rows += 1;
        }
        out.write_all(&bytes)
            .map_err(|e| Error::new(ErrorKind::Unavailable, "output", format!("the file cannot be written: {e}")).because(e))?;
    }
    Ok(rows)
}

/// What a change of the file means here.
enum Told {
    Edit(Key, Edit),
    /// It changes nothing.
    Same,
    /// It deletes a row that is gone.
    Gone,
}

/// Changes as they are read. A row that comes twice, as where files were put one after the other, begins a part that is combined later.
struct Parts {
    at: Time,
    shapes: Vec<Shape>,
    seen: BTreeSet<(usize, Key)>,
    done: Vec<Changeset>,
    changes: Vec<Change>,
}

impl Parts {
    fn add(&mut self, form: Form, declared: &Table, key: Key, edit: Edit) -> Result<()> {
        let table = self.shapes.iter().position(|shape| shape.table == declared.name).unwrap_or_else(|| {
            self.shapes.push(shape_of(declared));
            self.shapes.len() - 1
        });
        if !self.seen.insert((table, key.clone())) {
            if form == Form::Patchset {
                let message = format!("the patchset changes a row of {} twice, and does not say from what", declared.name);
                return Err(Error::invalid(message).hint("export it as a changeset, with the values before"));
            }
            self.end_part();
            self.seen.insert((table, key.clone()));
        }
        let change = Change { table, key, edit, at: self.at, moved_from: None };
        page::check(&self.shapes, &change)?;
        self.changes.push(change);
        Ok(())
    }
    fn end_part(&mut self) {
        let mut part = Changeset { changes: std::mem::take(&mut self.changes), ..Changeset::default() };
        part.front.shapes = self.shapes.clone();
        self.done.push(part);
        self.seen.clear();
    }
    fn whole(mut self, schema: &Schema) -> Result<Changeset> {
        self.end_part();
        let mut whole = match &mut self.done[..] {
            [only] => std::mem::take(only),
            several => condense::combine(several)?,
        };
        for change in &whole.changes {
            let shape = &mut whole.front.shapes[change.table];
            if let (Edit::Insert(_), true) = (&change.edit, shape.is_numbered) {
                shape.highest = shape.highest.max(change.key.first().and_then(Value::as_integer));
            }
        }
        condense::order(schema, &mut whole.changes, &whole.front.shapes);
        whole.front.count = whole.changes.len() as u64;
        Ok(whole)
    }
}

fn shape_of(table: &Table) -> Shape {
    Shape {
        table: table.name.clone(),
        columns: table.column_names(),
        key: table.key.clone(),
        is_numbered: table.is_numbered,
        highest: None,
    }
}

/// The tracked table that a head means.
fn matching<'a>(schema: &'a Schema, head: &Head) -> Result<&'a Table> {
    let hint = "mainstem doctor, and compare with the database that the file was made from";
    let Some(table) = schema.table(&head.name) else {
        return Err(Error::invalid(format!("the file changes table {}, which is not tracked here", head.name)).hint(hint));
    };
    let (theirs, ours) = (head.key.len(), table.columns.len());
    if theirs != ours {
        return Err(Error::invalid(format!("table {} has {theirs} columns in the file and {ours} here", table.name)).hint(hint));
    }
    let said = |place: usize| head.key[place] > 0;
    if (0..ours).any(|place| said(place) != table.key.contains(&place)) {
        return Err(Error::invalid(format!("table {} has another key in the file than here", table.name)).hint(hint));
    }
    front::check_shape(&shape_of(table))?;
    Ok(table)
}

/// The key of a row of which at least the key is said.
fn key_of(table: &Table, row: &Partial) -> Option<Key> {
    table.key.iter().map(|&place| row[place].clone()).collect()
}

/// The key by which a change finds the row that is here.
fn stored_key(table: &Table, act: &Act) -> Option<Key> {
    match act {
        Act::Insert(_) => None,
        Act::Update { before, .. } | Act::Delete(before) => key_of(table, before),
    }
}

fn told(form: Form, table: &Table, change: &RowChange, rows: &BTreeMap<Key, Row>, at: Time) -> Result<Told> {
    let keyless = || Error::corrupt(format!("a change of table {} has no key", table.name));
    let key = match &change.act {
        Act::Insert(row) => return Ok(Told::Edit(table.key_of(row), Edit::Insert(row.clone()))),
        act => stored_key(table, act).ok_or_else(keyless)?,
    };
    let present = rows.get(&key);
    match (&change.act, form) {
        (Act::Delete(row), Form::Changeset) => {
            let row: Option<Row> = row.iter().cloned().collect();
            Ok(Told::Edit(key, Edit::Delete(row.ok_or_else(keyless)?)))
        }
        (Act::Delete(_), Form::Patchset) => Ok(present.map_or(Told::Gone, |row| Told::Edit(key, Edit::Delete(row.clone())))),
        (Act::Update { after, .. }, Form::Patchset) => match present {
            Some(row) => update(table, key, &row.iter().cloned().map(Some).collect(), after, at),
            None => {
                let message = format!("the patchset changes a row of {} that is not here", table.name);
                Err(Error::new(ErrorKind::NotFound, "no_row", message)
                    .hint("mainstem changeset import with the changeset, not the patchset"))
            }
        },
        (Act::Update { before, after }, _) => update(table, key, before, after, at),
        (Act::Insert(_), _) => Ok(Told::Same),
    }
}

fn update(table: &Table, key: Key, before: &Partial, after: &Partial, at: Time) -> Result<Told> {
    let broken =
        |place: usize, why: &str| Error::corrupt(format!("an update of {}, column {}: {why}", table.name, table.columns[place].name));
    let mut cells = Vec::new();
    for (column, after) in after.iter().enumerate() {
        // A cell said of the row before alone is one that did not change.
        let Some(after) = after else { continue };
        let before = before[column].as_ref().ok_or_else(|| broken(column, "it does not say what was there"))?;
        if before == after {
            continue;
        }
        if table.key.contains(&column) {
            return Err(broken(column, "the key of a row does not change"));
        }
        cells.push(Cell { column, before: before.clone(), after: after.clone(), at });
    }
    Ok(if cells.is_empty() { Told::Same } else { Told::Edit(key, Edit::Update(cells)) })
}

fn head_of(shape: &Shape) -> Head {
    let mut key = vec![0; shape.columns.len()];
    for (place, &column) in (1..).zip(&shape.key) {
        key[column] = u8::try_from(place).unwrap_or(u8::MAX);
    }
    Head { name: shape.table.clone(), key }
}

fn row_change(shape: &Shape, change: &Change) -> RowChange {
    let act = match &change.edit {
        Edit::Insert(row) => Act::Insert(row.clone()),
        Edit::Delete(row) => Act::Delete(row.iter().cloned().map(Some).collect()),
        Edit::Update(cells) => {
            let (mut before, mut after) = (vec![None; shape.columns.len()], vec![None; shape.columns.len()]);
            for (&column, value) in shape.key.iter().zip(&change.key) {
                before[column] = Some(value.clone());
            }
            for cell in cells {
                before[cell.column] = Some(cell.before.clone());
                after[cell.column] = Some(cell.after.clone());
            }
            Act::Update { before, after }
        }
    };
    RowChange { is_indirect: false, act }
}
