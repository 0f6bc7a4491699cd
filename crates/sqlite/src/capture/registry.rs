//! What Mainstem remembers about the tables it watches: capture ids, their columns by slot, and the schema last seen.
//!
//! Invariant: a capture id stands for one table with one list of columns for ever, so old records stay readable; what
//! became of each column since is kept beside it.
use super::plan::{self, LOG, Plan};
use crate::errors::Explain;
use crate::sql::{is_internal, quote};
use mainstem::Result;
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::Table;
use rusqlite::{Connection, OptionalExtension, params};

/// One capture: a table with the columns it had when its triggers were made.
#[derive(Clone, Debug)]
pub(super) struct Capture {
    /// The number in trigger names and log records.
    pub id: i64,
    /// The table's name as last seen.
    pub table: String,
    /// True while its triggers are the table's.
    pub is_current: bool,
    /// How many of the slots are the key.
    pub keys: usize,
    /// Each slot's column when captured, and its name as last seen; none where it was dropped.
    pub slots: Vec<(String, Option<String>)>,
}

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS main.mainstem_capture(
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, is_current INTEGER NOT NULL, keys INTEGER NOT NULL,
    triggers INTEGER NOT NULL, plan TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS main.mainstem_capture_column(
    capture INTEGER NOT NULL, slot INTEGER NOT NULL, name TEXT NOT NULL, now TEXT, PRIMARY KEY (capture, slot));
CREATE TABLE IF NOT EXISTS main.mainstem_capture_seen(
    position INTEGER PRIMARY KEY, type TEXT, name TEXT, tbl_name TEXT, sql TEXT);
CREATE TABLE IF NOT EXISTS main.mainstem_capture_state(name TEXT PRIMARY KEY, value);
";

/// Makes the log and the registry, wide enough for these tables.
pub(super) fn create(conn: &Connection, tables: &[Table]) -> Result<()> {
    conn.execute_batch(TABLES).on(conn)?;
    let wanted = tables.iter().map(plan::width).max().unwrap_or(1);
    let count = "SELECT count(*) FROM pragma_table_info(?1, 'main')";
    let has: i64 = conn.query_row(count, [LOG], |r| r.get(0)).on(conn)?;
    let has = has as usize;
    if has == 0 {
        let columns: Vec<String> = (0..wanted).map(|n| format!("c{n}")).collect();
        let sql = format!("CREATE TABLE main.{LOG}(seq INTEGER PRIMARY KEY, t, op, at, {})", columns.join(", "));
        if planted::is(Bug::A2) {
            conn.execute_batch(&format!("{sql}; CREATE UNIQUE INDEX mainstem_first ON {LOG}(t, c0) WHERE op = 'U'")).on(conn)?;
            return Ok(());
        }
        return conn.execute_batch(&sql).on(conn);
    }
    for n in has.saturating_sub(4)..wanted {
        conn.execute_batch(&format!("ALTER TABLE main.{LOG} ADD COLUMN c{n}")).on(conn)?;
    }
    Ok(())
}

/// Makes the triggers of a table under a new capture id.
pub(super) fn add(conn: &Connection, table: &Table) -> Result<i64> {
    let id: i64 = conn.query_row("SELECT ifnull(max(id), 0) + 1 FROM main.mainstem_capture", [], |r| r.get(0)).on(conn)?;
    let plan = plan::plan(conn, table, id)?;
    for (name, declared) in &plan.stand_ins {
        conn.execute_batch(&format!("CREATE TABLE main.{name}{declared}")).on(conn)?;
    }
    for (_, sql) in &plan.triggers {
        conn.execute_batch(sql).on(conn)?;
    }
    let sql = "INSERT INTO main.mainstem_capture(id, name, is_current, keys, triggers, plan) VALUES (?1, ?2, 1, ?3, ?4, ?5)";
    let about = params![id, table.name, table.key.len() as i64, plan.triggers.len() as i64, fingerprint(conn, table)?];
    conn.execute(sql, about).on(conn)?;
    let sql = "INSERT INTO main.mainstem_capture_column(capture, slot, name, now) VALUES (?1, ?2, ?3, ?3)";
    let mut insert = conn.prepare_cached(sql).on(conn)?;
    for (slot, column) in plan.slots.iter().enumerate() {
        insert.execute(params![id, slot as i64, table.columns[*column].name]).on(conn)?;
    }
    Ok(id)
}

/// A table's triggers as text that does not depend on the capture id: equal text means equal triggers.
pub(super) fn fingerprint(conn: &Connection, table: &Table) -> Result<String> {
    let Plan { triggers, .. } = plan::plan(conn, table, 0)?;
    let mut hasher = blake3::Hasher::new();
    for (_, sql) in &triggers {
        hasher.update(&(sql.len() as u64).to_le_bytes());
        hasher.update(sql.as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Drops a capture's triggers and makes it a former one. Its records stay readable.
pub(super) fn retire(conn: &Connection, id: i64) -> Result<()> {
    let prefix = format!("mainstem_{id}_");
    let sql = "SELECT name FROM main.sqlite_schema WHERE type = 'trigger' AND substr(name, 1, ?2) = ?1";
    let mut statement = conn.prepare_cached(sql).on(conn)?;
    let names = statement.query_map(params![prefix, prefix.len() as i64], |r| r.get::<_, String>(0)).on(conn)?;
    let names: Vec<String> = names.collect::<rusqlite::Result<_>>().on(conn)?;
    for name in names {
        conn.execute_batch(&format!("DROP TRIGGER main.{}", quote(&name))).on(conn)?;
    }
    drop_stand_ins(conn, id)?;
    conn.execute("UPDATE main.mainstem_capture SET is_current = 0 WHERE id = ?1", [id]).on(conn).map(drop)
}

fn drop_stand_ins(conn: &Connection, id: i64) -> Result<()> {
    for n in 0.. {
        let name = format!("mainstem_names_{id}_{n}");
        let sql = "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?1";
        if conn.query_row(sql, [&name], |_| Ok(())).optional().on(conn)?.is_none() {
            // A chunk of key columns only has none, and it can only be the first.
            if n > 0 {
                break;
            }
            continue;
        }
        conn.execute_batch(&format!("DROP TABLE main.{name}")).on(conn)?;
    }
    Ok(())
}

/// Every capture, oldest first.
pub(super) fn captures(conn: &Connection) -> Result<Vec<Capture>> {
    let sql = "SELECT id, name, is_current, keys FROM main.mainstem_capture ORDER BY id";
    let mut statement = conn.prepare_cached(sql).on(conn)?;
    let rows = statement.query_map([], |r| {
        Ok(Capture { id: r.get(0)?, table: r.get(1)?, is_current: r.get(2)?, keys: r.get::<_, i64>(3)? as usize, slots: Vec::new() })
    });
    let mut found: Vec<Capture> = rows.on(conn)?.collect::<rusqlite::Result<_>>().on(conn)?;
    let sql = "SELECT name, now FROM main.mainstem_capture_column WHERE capture = ?1 ORDER BY slot";
    let mut statement = conn.prepare_cached(sql).on(conn)?;
    for capture in &mut found {
        let slots = statement.query_map([capture.id], |r| Ok((r.get(0)?, r.get(1)?))).on(conn)?;
        capture.slots = slots.collect::<rusqlite::Result<_>>().on(conn)?;
    }
    Ok(found)
}

/// One entry of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// `table`, `index`, `view` or `trigger`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The table it belongs to.
    pub table: String,
    /// The statement that makes it; none for the indexes of constraints.
    pub sql: Option<String>,
}

/// The schema as it is, ours included, in the order in which SQLite reads it: triggers fire by it.
pub(super) fn look(conn: &Connection) -> Result<Vec<Seen>> {
    seen_rows(conn, "SELECT type, name, tbl_name, sql FROM main.sqlite_schema ORDER BY rowid")
}

/// The user's part of the schema as it was when it was last looked at.
pub(super) fn remembered(conn: &Connection) -> Result<Vec<Seen>> {
    seen_rows(conn, "SELECT type, name, tbl_name, sql FROM main.mainstem_capture_seen ORDER BY position")
}

fn seen_rows(conn: &Connection, sql: &str) -> Result<Vec<Seen>> {
    let mut statement = conn.prepare_cached(sql).on(conn)?;
    let rows = statement.query_map([], |r| Ok(Seen { kind: r.get(0)?, name: r.get(1)?, table: r.get(2)?, sql: r.get(3)? }));
    rows.on(conn)?.collect::<rusqlite::Result<_>>().on(conn)
}

/// Remembers the schema as it is.
pub(super) fn remember(conn: &Connection) -> Result<()> {
    conn.execute_batch("DELETE FROM main.mainstem_capture_seen").on(conn)?;
    let sql = "INSERT INTO main.mainstem_capture_seen(type, name, tbl_name, sql) VALUES (?1, ?2, ?3, ?4)";
    let mut insert = conn.prepare_cached(sql).on(conn)?;
    let now = look(conn)?;
    for seen in now.iter().filter(|s| !is_internal(&s.name) && !is_internal(&s.table)) {
        insert.execute(params![seen.kind, seen.name, seen.table, seen.sql]).on(conn)?;
    }
    set(conn, "schema", &digest(&now))
}

/// A digest of the whole schema text.
pub(super) fn digest(seen: &[Seen]) -> String {
    // All at once: a hash over many short pieces takes several times as long.
    let mut all = Vec::new();
    for part in seen.iter().flat_map(|s| [Some(&s.kind), Some(&s.name), Some(&s.table), s.sql.as_ref()]) {
        let bytes = part.map_or(&b""[..], |p| p.as_bytes());
        all.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        all.extend_from_slice(bytes);
    }
    blake3::hash(&all).to_hex().to_string()
}

/// Tables that are never captured, however new.
pub(super) fn left_out(conn: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT substr(name, 10) FROM main.mainstem_capture_state WHERE name LIKE 'left_out %'";
    let mut statement = conn.prepare_cached(sql).on(conn)?;
    let names = statement.query_map([], |r| r.get(0)).on(conn)?;
    names.collect::<rusqlite::Result<_>>().on(conn)
}

/// A remembered setting of capture.
pub(super) fn get(conn: &Connection, name: &str) -> Result<Option<String>> {
    let sql = "SELECT value FROM main.mainstem_capture_state WHERE name = ?1";
    let mut statement = conn.prepare_cached(sql).on(conn)?;
    statement.query_row([name], |r| r.get(0)).optional().on(conn)
}

/// Remembers a setting of capture.
pub(super) fn set(conn: &Connection, name: &str, value: &str) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO main.mainstem_capture_state(name, value) VALUES (?1, ?2)";
    conn.execute(sql, [name, value]).on(conn).map(drop)
}
