//! How the records of each capture read as rows of the tables as they are now.
//!
//! Invariant: an image has one cell per column of the current table, key first, whatever capture wrote it.
use super::image;
use super::plan::{self, RECORD_WIDTH};
use super::registry::{self, Capture};
use crate::connection::one;
use crate::errors::Explain;
use crate::schema;
use mainstem::core::ErrorKind;
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::{Column, Schema, Table};
use mainstem::core::value::Value;
use mainstem::{Error, Result};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row as SqlRow};
use std::collections::HashMap;

/// A table that is captured now.
pub(super) struct Target {
    /// The table.
    pub table: Table,
    /// Its position among the tables of the schema.
    pub position: usize,
    /// Its place when parents come first.
    pub rank: usize,
    /// Column positions in slot order.
    pub slots: Vec<usize>,
    /// What each column holds in rows that were there before it was added.
    pub defaults: Vec<Value>,
}

/// A capture whose records can be read.
pub(super) struct Source {
    /// Position of its table in [`Sources::targets`].
    pub target: usize,
    /// How many of the slots are the key.
    pub keys: usize,
    /// How many records one image takes.
    pub pieces: usize,
    /// The capture's slots by name when it was made.
    pub names: Vec<String>,
    /// For each cell of the image, the capture's slot; none for a column added since. Absent where they are the same.
    map: Option<Vec<Option<usize>>>,
    /// Slots whose NULL may mean that the app had renamed the column already.
    is_doubtful: Vec<bool>,
}

/// Every capture whose table is still there.
pub(super) struct Sources {
    /// The tables.
    pub targets: Vec<Target>,
    /// The captures.
    pub sources: Vec<Source>,
    /// Values in a record that any of them reads.
    pub width: usize,
    by_id: HashMap<i64, usize>,
}

impl Sources {
    /// Reads the registry. `Conflict` where the schema changed since capture was last healed.
    pub fn read(conn: &Connection) -> Result<Self> {
        let now = registry::digest(&registry::look(conn)?);
        if registry::get(conn, "schema")?.as_deref() != Some(now.as_str()) {
            return Err(Error::new(ErrorKind::Conflict, "schema_changed", "the schema changed since capture was last healed")
                .hint("mainstem status"));
        }
        let schema = schema::read(conn)?.schema;
        let captures = registry::captures(conn)?;
        let mut all = Sources { targets: targets(&schema, &captures)?, sources: Vec::new(), width: 1, by_id: HashMap::new() };
        for capture in &captures {
            let target = all.targets.iter().position(|t| t.table.name.eq_ignore_ascii_case(&capture.table));
            let Some(source) = target.and_then(|t| source(capture, &all.targets[t], t)) else {
                continue;
            };
            all.width = all.width.max(source.names.len().min(RECORD_WIDTH)).max(2 * source.keys);
            all.by_id.insert(capture.id, all.sources.len());
            all.sources.push(source);
        }
        Ok(all)
    }

    /// The source of a capture id; none where its table is gone.
    pub fn of(&self, capture: i64) -> Option<usize> {
        self.by_id.get(&capture).copied()
    }
}

/// Sources as they were read last, for whoever reads often.
#[derive(Default)]
pub struct KeptSources(Option<(i64, Option<String>, Sources)>);

impl KeptSources {
    /// The sources now. The file must have been healed in the same transaction.
    pub(super) fn read(&mut self, conn: &Connection) -> Result<&Sources> {
        // SQLite counts changes of the schema; capture notes down what it makes of them.
        let version = one(conn, "PRAGMA main.schema_version", [], |row| row.get(0)).on(conn)?;
        let noted = registry::get(conn, "schema")?;
        let kept = self.0.take().filter(|(of, seen, _)| (*of, seen) == (version, &noted));
        let (_, _, sources) = match kept {
            Some(kept) => self.0.insert(kept),
            None => self.0.insert((version, noted, Sources::read(conn)?)),
        };
        Ok(sources)
    }
}

fn targets(schema: &Schema, captures: &[Capture]) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    let ranks = schema::parents_first(&schema.tables);
    for (position, table) in schema.tables.iter().enumerate() {
        let is_captured = |c: &Capture| c.is_current && c.table.eq_ignore_ascii_case(&table.name);
        if !captures.iter().any(is_captured) {
            continue;
        }
        let rank = ranks.iter().position(|&t| t == position).unwrap_or(position);
        let has_history = captures.iter().any(|c| !c.is_current && c.table.eq_ignore_ascii_case(&table.name));
        let defaults = if has_history || planted::is(Bug::A7) { defaults(table)? } else { Vec::new() };
        targets.push(Target { slots: plan::slots(table), table: table.clone(), position, rank, defaults });
    }
    Ok(targets)
}

/// What SQLite puts into existing rows for each column that is added, with the column's affinity.
fn defaults(table: &Table) -> Result<Vec<Value>> {
    let conn = Connection::open_in_memory().map_err(|e| Error::internal("no database in memory").because(e))?;
    let value = |column: &Column| {
        let Some(default) = &column.default else {
            return Ok(Value::Null);
        };
        let sql = format!("CREATE TEMP TABLE one(c {} DEFAULT {default}); INSERT INTO one DEFAULT VALUES", column.declared_type);
        // A default that is computed from functions of the app's cannot have been added to existing rows.
        if conn.execute_batch(&sql).is_err() {
            return Ok(Value::Null);
        }
        let value = conn.query_row("SELECT c FROM one", [], |r| r.get_ref(0).map(super::scan::value)).on(&conn)?;
        conn.execute_batch("DROP TABLE one").on(&conn)?;
        Ok(value)
    };
    table.columns.iter().map(value).collect()
}

/// How a capture's records read; none where its key is not the table's key any more.
fn source(capture: &Capture, target: &Target, position: usize) -> Option<Source> {
    let table = &target.table;
    let is = |now: &Option<String>, column: usize| now.as_deref().is_some_and(|n| n.eq_ignore_ascii_case(&table.columns[column].name));
    let keys = &capture.slots[..capture.keys.min(capture.slots.len())];
    if keys.len() != table.key.len() || !keys.iter().zip(&table.key).all(|((_, now), &i)| is(now, i)) {
        return None;
    }
    let map: Vec<Option<usize>> = target.slots.iter().map(|&column| capture.slots.iter().position(|(_, now)| is(now, column))).collect();
    let is_same = map.len() == capture.slots.len() && map.iter().enumerate().all(|(n, slot)| *slot == Some(n));
    let is_renamed = |(n, (name, now)): (usize, &(String, Option<String>))| n >= capture.keys && now.as_ref() != Some(name);
    let is_doubtful: Vec<bool> = capture.slots.iter().enumerate().map(is_renamed).collect();
    Some(Source {
        target: position,
        keys: capture.keys,
        pieces: capture.slots.len().div_ceil(RECORD_WIDTH).max(1),
        names: capture.slots.iter().map(|(name, _)| name.clone()).collect(),
        map: (!is_same || is_doubtful.contains(&true)).then_some(map),
        is_doubtful,
    })
}

/// The first column of the log's values in the statement that reads it.
pub(super) const FIRST: usize = 4;

impl Source {
    /// Appends the key that begins at a slot. False where it holds NULL.
    pub fn read_key(&self, row: &SqlRow<'_>, from: usize, key: &mut Vec<u8>) -> rusqlite::Result<bool> {
        let mut is_whole = true;
        for n in from..from + self.keys {
            is_whole &= image::push_key(key, row.get_ref(FIRST + n)?);
        }
        Ok(is_whole)
    }

    /// Appends one piece of an image; with the last piece the image is complete. `values` keeps what earlier pieces held
    /// where the slots must be put into another order.
    pub fn read_piece(&self, row: &SqlRow<'_>, piece: usize, image: &mut Vec<u8>, values: &mut Vec<Value>) -> rusqlite::Result<()> {
        let from = piece * RECORD_WIDTH;
        let count = (self.names.len() - from).min(RECORD_WIDTH);
        let Some(map) = &self.map else {
            for n in 0..count {
                image::push(image, row.get_ref(FIRST + n)?);
            }
            return Ok(());
        };
        for n in 0..count {
            values.push(super::scan::value(row.get_ref(FIRST + n)?));
        }
        if values.len() == self.names.len() {
            for slot in map {
                match slot.map(|s| (&values[s], self.is_doubtful[s])) {
                    None => image::push_added(image),
                    Some((Value::Null, true)) => image::push_unknown(image),
                    Some((value, _)) => image::push(image, as_ref(value)),
                }
            }
        }
        Ok(())
    }
}

fn as_ref(value: &Value) -> ValueRef<'_> {
    match value {
        Value::Null => ValueRef::Null,
        Value::Integer(i) => ValueRef::Integer(*i),
        Value::Real(r) => ValueRef::Real(*r),
        Value::Text(b) => ValueRef::Text(b),
        Value::Blob(b) => ValueRef::Blob(b),
    }
}
