//! Local edits that Mainstem itself makes: putting rows back, and taking a changeset from a file.
use super::ground::{Record, ReplicaGround};
use super::{base_version, clock, links, storage, tracked_schema, working};
use crate::capture::{self, Done};
use mainstem::core::change::{Change, Edit, Front, Shape};
use mainstem::core::conflict::{Conflict, Image};
use mainstem::core::schema::{Column, Table};
use mainstem::core::stamp::{ReplicaId, Time};
use mainstem::core::value::{Row, Value};
use mainstem::error::{Error, Result};
use mainstem::lane::constant_default;
use mainstem::policy_text;
use mainstem::primary::Pages;
use mainstem::rebase::{Place, rebase};
use mainstem::replica::{PutBack, RestoreTarget, Since};
use mainstem::tables::Tables;
use mainstem::tombstones::is_mark;
use mainstem::wiring::Around;
use mainstem::writer::{Tried, Write, Writer};
use rusqlite::Connection;

/// One row to write as a local edit.
pub struct LocalEdit {
    /// The table, by position in the tracked schema.
    pub table: usize,
    /// The row as it is.
    pub before: Option<Row>,
    /// The row as it shall be.
    pub after: Option<Row>,
}

/// Writes rows as local edits: into the tables, and into capture's log as any program's would be.
pub fn write(db: &Connection, ground: &mut ReplicaGround<'_>, edits: Vec<LocalEdit>, at: Time) -> Result<u64> {
    let schema = ground.schema();
    let mut writer = Writer::default();
    let mut done = Vec::new();
    for edit in edits {
        if edit.before == edit.after {
            continue;
        }
        match writer.write(ground, Write { table: edit.table, before: edit.before, after: edit.after, tag: () })? {
            Tried::Done(write) => done.push(write),
            Tried::Kept => {}
            Tried::Refused(write, what) => return Err(stands_against(&schema.tables[write.table].name, &what)),
        }
    }
    let (rest, clashes) = writer.finish(ground)?;
    if let Some((write, what)) = clashes.first() {
        return Err(stands_against(&schema.tables[write.table].name, what));
    }
    done.extend(rest);
    for write in &done {
        let table = &schema.tables[write.table];
        let Some(row) = write.before.as_ref().or(write.after.as_ref()) else { continue };
        capture::record(db, table, &table.key_of(row), Done::between(write.before.as_ref(), write.after.as_ref()), at.ms())?;
    }
    Ok(done.len() as u64)
}

fn stands_against(table: &str, what: &str) -> Error {
    Error::new(mainstem::core::ErrorKind::Conflict, "constraint", format!("{table} refuses the row: {what}"))
        .hint("mainstem diff, and change the row that stands against it first")
}

/// Puts rows or cells back.
pub fn restore(db: &Connection, around: &Around, since: Since, target: &RestoreTarget) -> Result<u64> {
    let schema = tracked_schema(db)?;
    if let Some(name) = &target.table {
        let table = schema.table(name).ok_or_else(|| Error::not_found(format!("no tracked table {name}")).hint("mainstem doctor"))?;
        if let Some(column) = target.columns.iter().find(|c| table.column(c).is_none()) {
            return Err(Error::not_found(format!("table {name} has no column {column}; it has {}", table.column_names().join(", "))));
        }
    }
    let mut chosen: Vec<(Shape, Change)> = Vec::new();
    let mut gone: Vec<(String, Row)> = Vec::new();
    working::changes(db, since, &mut |shape, change| {
        let is_table = target.table.as_ref().is_none_or(|t| t.eq_ignore_ascii_case(&shape.table));
        if is_table && target.key.as_ref().is_none_or(|k| *k == change.key) {
            chosen.push((shape.clone(), change.clone()));
        } else if let Edit::Delete(row) = &change.edit {
            gone.push((shape.table.clone(), row.clone()));
        }
        Ok(())
    })?;
    let mut ground = ReplicaGround::new(db)?;
    let schema = ground.schema();
    let mut edits = Vec::new();
    for (shape, change) in chosen {
        let Some(table) = schema.tables.iter().position(|t| t.name == shape.table) else { continue };
        let before = ground.get(table, &change.key)?;
        let after = match (change.edit, &before) {
            (Edit::Insert(_), _) if target.columns.is_empty() => None,
            (Edit::Delete(row), None) if target.columns.is_empty() => Some(row),
            (Edit::Update(cells), Some(row)) => {
                let mut row = row.clone();
                for cell in cells {
                    if target.columns.is_empty() || target.columns.iter().any(|c| c.eq_ignore_ascii_case(&shape.columns[cell.column])) {
                        row[cell.column] = cell.before;
                    }
                }
                Some(row)
            }
            _ => continue,
        };
        edits.push(LocalEdit { table, before, after });
    }
    let at = clock::now(db, around)?;
    let edits = links::follow(&mut ground, edits, false)?;
    links::refuse_orphans(&schema, &edits, &gone)?;
    let rows = write(db, &mut ground, edits, at)?;
    ground.renew_indexes()?;
    Ok(rows)
}

/// Brings deleted rows back.
pub fn put_back(db: &Connection, around: &Around, rows: &[PutBack]) -> Result<u64> {
    let mut ground = ReplicaGround::new(db)?;
    let schema = ground.schema();
    let mut edits = Vec::new();
    for row in rows {
        let (PutBack::Row { table: name, .. } | PutBack::Unmark { table: name, .. }) = row;
        let place = schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(name));
        let table = place.ok_or_else(|| {
            Error::not_found(format!("table {name} is not there any more")).hint("mainstem tombstones list --json shows what its rows held")
        })?;
        let there = &schema.tables[table];
        let (before, after) = match row {
            PutBack::Row { image, .. } => {
                let after = row_of(there, image);
                (ground.get(table, &there.key_of(&after))?, after)
            }
            PutBack::Unmark { key, column, before, .. } => {
                let marked = ground.get(table, key)?.ok_or_else(|| Error::not_found(format!("the row of {name} is not there any more")))?;
                let at = there.column(column).ok_or_else(|| Error::not_found(format!("table {name} has no column {column} any more")))?;
                let mut after = marked.clone();
                after[at] = before.clone().filter(|v| !is_mark(v)).unwrap_or_else(|| unmarked(&there.columns[at]));
                (Some(marked), after)
            }
        };
        let is_taken = matches!(row, PutBack::Row { .. }) && before.as_ref().is_some_and(|there| *there != after);
        if is_taken {
            let message = format!("another row of {name} has the key of the one that was deleted");
            return Err(Error::new(mainstem::core::ErrorKind::Conflict, "taken", message)
                .hint("mainstem tombstones list --json shows what the deleted row held"));
        }
        edits.push(LocalEdit { table, before, after: Some(after) });
    }
    let at = clock::now(db, around)?;
    let edits = links::follow(&mut ground, edits, true)?;
    let rows = write(db, &mut ground, edits, at)?;
    ground.renew_indexes()?;
    Ok(rows)
}

/// A row by column name in the columns that the table has now.
fn row_of(table: &Table, image: &Image) -> Row {
    let value = |column: &Column| image.iter().find(|(name, _)| name.eq_ignore_ascii_case(&column.name)).map(|(_, value)| value.clone());
    table.columns.iter().map(|column| value(column).unwrap_or_else(|| constant_default(column.default.as_deref()))).collect()
}

/// What a column holds in rows that are not marked as deleted, as far as its declaration says.
fn unmarked(column: &Column) -> Value {
    let default = constant_default(column.default.as_deref());
    let is_impossible = is_mark(&default) || (default.is_null() && column.not_null);
    if is_impossible { Value::Integer(0) } else { default }
}

/// Takes a changeset as local edits, by the rules of a push onto what is here.
pub fn import(db: &Connection, around: &Around, front: &Front, pages: &mut dyn Pages) -> Result<(u64, Vec<Conflict>)> {
    let policy = policy_text::parse(&super::kept_policy(db)?)?;
    let mut ground = ReplicaGround::new(db)?;
    let here = base_version(db)?;
    let mut local = front.clone();
    // The rows here are what it meets, whatever version it was made on.
    local.header.base_version = here;
    let mut effects = Record { at: clock::now(db, around)?, rows: 0 };
    let dangling = links::dangling(db, &ground.schema())?;
    let place = Place { head: here, version: here, primary: ReplicaId(front.header.lineage) };
    let outcome = rebase(&mut ground, &policy, &local, pages, place, &mut effects)?;
    if let Some(waiting) = outcome.waiting.first() {
        return Err(Error::new(
            mainstem::core::ErrorKind::Conflict,
            "missing_parent",
            format!("a row of {} points to a row of {} that is not here", waiting.table, waiting.parent),
        )
        .hint("apply the changeset that makes the parent row first"));
    }
    links::refuse_dangling(db, &ground.schema(), &dangling)?;
    for (_, step) in &outcome.schema {
        storage::add_step(db, step)?;
    }
    ground.renew_indexes()?;
    Ok((effects.rows, outcome.conflicts))
}
