//! Writes records by hand, for edits that Mainstem itself makes with triggers off.
//!
//! Invariant: a record written here is what the triggers would have written for the same edit.
use super::plan::{LOG, RECORD_WIDTH, op, slots};
use super::registry;
use super::scan::bound;
use crate::connection::one;
use crate::errors::Explain;
use mainstem::core::schema::Table;
use mainstem::core::value::{Key, Row, Value};
use mainstem::{Error, Result};
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, OptionalExtension};

/// True where capture is installed in this file.
pub fn is_installed(conn: &Connection) -> Result<bool> {
    let sql = "SELECT EXISTS(SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = 'mainstem_capture')";
    one(conn, sql, [], |r| r.get(0)).on(conn)
}

/// True where anything was captured since the log was last cleared.
pub fn has_records(conn: &Connection) -> Result<bool> {
    one(conn, &format!("SELECT EXISTS(SELECT 1 FROM main.{LOG} WHERE t <> 0)"), [], |r| r.get(0)).on(conn)
}

/// The names of the tables that are tracked.
pub fn tracked(conn: &Connection) -> Result<Vec<String>> {
    let mut names: Vec<String> = registry::captures(conn)?.into_iter().filter(|c| c.is_current).map(|c| c.table).collect();
    names.dedup();
    Ok(names)
}

/// What was done to a row by hand.
#[derive(Clone, Copy, Debug)]
pub enum Done<'a> {
    /// It was put where none was.
    Inserted,
    /// It was changed; the row before.
    Updated(&'a Row),
    /// It was taken away; the row before.
    Deleted(&'a Row),
}

impl<'a> Done<'a> {
    /// What turns one row into the other.
    pub fn between(before: Option<&'a Row>, after: Option<&Row>) -> Self {
        match (before, after) {
            (Some(row), Some(_)) => Done::Updated(row),
            (Some(row), None) => Done::Deleted(row),
            (None, _) => Done::Inserted,
        }
    }
}

/// Records what was done to a row at `at_ms`. Zero stands for an unknown time.
pub fn record(conn: &Connection, table: &Table, key: &Key, done: Done<'_>, at_ms: u64) -> Result<()> {
    record_at(conn, table, key, done, at_ms, None)
}

/// Records what was done to a row, at an unknown time, before everything that is in the log.
pub fn record_first(conn: &Connection, table: &Table, key: &Key, done: Done<'_>) -> Result<()> {
    let pieces = table.columns.len().div_ceil(RECORD_WIDTH) as i64;
    let first: i64 = one(conn, &format!("SELECT ifnull(min(seq), 1) FROM main.{LOG}"), [], |r| r.get(0)).on(conn)?;
    record_at(conn, table, key, done, 0, Some(first - pieces))
}

fn record_at(conn: &Connection, table: &Table, key: &Key, done: Done<'_>, at_ms: u64, sequence: Option<i64>) -> Result<()> {
    let capture = conn
        .prepare_cached("SELECT id FROM main.mainstem_capture WHERE is_current AND name = ?1 COLLATE NOCASE")
        .on(conn)?
        .query_row([&table.name], |r| r.get::<_, i64>(0))
        .optional()
        .on(conn)?
        .ok_or_else(|| Error::internal(format!("table {} is not tracked", table.name)))?;
    let (first, row) = match done {
        Done::Inserted => return write(conn, sequence, capture, op::INSERTED, at_ms, &key.iter().collect::<Vec<_>>()),
        Done::Updated(row) => (op::UPDATE, row),
        Done::Deleted(row) => (op::DELETE, row),
    };
    let values: Vec<&Value> = slots(table).into_iter().map(|i| &row[i]).collect();
    for (n, chunk) in values.chunks(RECORD_WIDTH).enumerate() {
        write(conn, sequence.map(|s| s + n as i64), capture, if n == 0 { first } else { op::MORE }, at_ms, chunk)?;
    }
    Ok(())
}

fn write(conn: &Connection, sequence: Option<i64>, capture: i64, op: u8, at_ms: u64, values: &[&Value]) -> Result<()> {
    let places: Vec<String> = (0..values.len()).map(|n| format!("c{n}")).collect();
    let marks: Vec<String> = (0..values.len()).map(|n| format!("?{}", n + 5)).collect();
    let sql = format!("INSERT INTO main.{LOG}(seq, t, op, at, {}) VALUES (?1, ?2, ?3, ?4, {})", places.join(", "), marks.join(", "));
    let at = if at_ms == 0 { Value::Null } else { Value::Real(at_ms as f64 / 86_400_000.0 + 2_440_587.5) };
    let op = Value::Text(vec![op]);
    let capture = Value::Integer(capture);
    let sequence = sequence.map_or(Value::Null, Value::Integer);
    let all: Vec<ToSqlOutput<'_>> = [&sequence, &capture, &op, &at].into_iter().chain(values.iter().copied()).map(bound).collect();
    conn.prepare_cached(&sql).on(conn)?.execute(rusqlite::params_from_iter(all)).on(conn).map(drop)
}
