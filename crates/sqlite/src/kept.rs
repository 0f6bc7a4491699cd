//! Objects that a primary keeps by their SQL and does not make: virtual tables, and whatever mentions one.
//!
//! Invariant: no statement of another program on the primary's file can fire a trigger into a search index, for rows that
//! come by push would leave that index behind. See docs/design/0004-virtual-tables.md.
//! Invariant: what is kept follows renames and drops as SQLite itself would have it, rehearsed in memory.
use crate::connection;
use crate::connection::one;
use crate::errors::Explain;
use crate::schema;
use crate::sql::words;
use crate::tables::SqliteTables;
use mainstem::core::schema::{Object, Schema, SchemaChange};
use mainstem::tables::Tables;
use mainstem::{Error, Result};
use rusqlite::{Connection, params};
use std::sync::Arc;

const TABLE: &str = "
CREATE TABLE IF NOT EXISTS mainstem_kept(
    position INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, tbl TEXT NOT NULL, sql TEXT NOT NULL);
";

/// The kinds in an order in which objects of them can be made.
const ORDER: &[&str] = &["table", "virtual", "index", "view", "trigger"];

/// What a primary keeps.
pub(crate) fn read(conn: &Connection) -> Result<Vec<Object>> {
    let is_there = "SELECT EXISTS(SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'mainstem_kept')";
    if !one(conn, is_there, [], |r| r.get(0)).on(conn)? {
        return Ok(Vec::new());
    }
    let mut statement = conn.prepare_cached("SELECT kind, name, tbl, sql FROM mainstem_kept ORDER BY position").on(conn)?;
    let rows = statement.query_map([], |r| Ok(Object { kind: r.get(0)?, name: r.get(1)?, table: r.get(2)?, sql: r.get(3)? }));
    rows.on(conn)?.collect::<rusqlite::Result<_>>().on(conn)
}

/// A primary's schema: what is in its file, and what is kept.
pub(crate) fn with_kept(mut schema: Schema, kept: Vec<Object>) -> Schema {
    if !kept.is_empty() {
        schema.objects.extend(kept);
        schema.objects.sort_by_key(|o| ORDER.iter().position(|kind| *kind == o.kind));
    }
    schema
}

fn is(a: &Object, kind: &str, name: &str) -> bool {
    a.kind == kind && a.name.eq_ignore_ascii_case(name)
}

/// True where an object cannot be made because what it mentions is not made.
fn is_bound(object: &Object, kept: &[Object]) -> bool {
    let is_name = |name: &str| kept.iter().any(|k| matches!(k.kind.as_str(), "virtual" | "view") && k.name.eq_ignore_ascii_case(name));
    let mentions = |sql: &str| words(sql).is_ok_and(|all| all.iter().filter_map(|w| w.name(sql)).any(|name| is_name(&name)));
    object.kind == "virtual" || (matches!(object.kind.as_str(), "view" | "trigger") && mentions(&object.sql))
}

fn write(conn: &Connection, kept: &[Object]) -> Result<()> {
    conn.execute_batch(TABLE).on(conn)?;
    conn.execute("DELETE FROM mainstem_kept", []).on(conn)?;
    let mut insert = conn.prepare_cached("INSERT INTO mainstem_kept(kind, name, tbl, sql) VALUES(?1, ?2, ?3, ?4)").on(conn)?;
    kept.iter().try_for_each(|o| insert.execute(params![o.kind, o.name, o.table, o.sql]).on(conn).map(drop))
}

/// Applies a schema step to a primary: to its file, to what it keeps, or to both.
pub(crate) fn alter(conn: &Connection, tables: &mut SqliteTables<'_>, step: &SchemaChange) -> Result<()> {
    let kept = read(conn)?;
    match step {
        SchemaChange::PutObject { object } if is_bound(object, &kept) => {
            let mut rehearsal = Rehearsal::of(&tables.schema())?;
            rehearsal.alter(step)?;
            keep(conn, tables, object, kept)?;
        }
        SchemaChange::PutObject { object } => {
            tables.alter(step)?;
            forget(conn, kept, &object.kind, &object.name)?;
        }
        SchemaChange::DropObject { kind, name } => {
            tables.alter(step)?;
            forget(conn, kept, kind, name)?;
        }
        _ if kept.is_empty() => return tables.alter(step),
        _ => {
            let mut rehearsal = Rehearsal::of(&tables.schema())?;
            rehearsal.alter(step)?;
            tables.alter(step)?;
            write(conn, &rehearsal.left(kept)?)?;
        }
    }
    tables.schema_changed()
}

/// Keeps an object, and takes what mentions it out of the file.
fn keep(conn: &Connection, tables: &mut SqliteTables<'_>, object: &Object, mut kept: Vec<Object>) -> Result<()> {
    kept.retain(|o| !is(o, &object.kind, &object.name));
    kept.push(object.clone());
    let schema = tables.schema();
    let mut out = vec![object.clone()];
    // Views mention views, so what is found may bind more.
    while let Some(found) = schema.objects.iter().find(|o| is_bound(o, &kept) && !kept.iter().any(|k| is(k, &o.kind, &o.name))) {
        kept.push(found.clone());
        out.push(found.clone());
    }
    for object in out.iter().rev() {
        tables.alter(&SchemaChange::DropObject { kind: object.kind.clone(), name: object.name.clone() })?;
    }
    write(conn, &kept)
}

fn forget(conn: &Connection, mut kept: Vec<Object>, kind: &str, name: &str) -> Result<()> {
    let before = kept.len();
    kept.retain(|o| !is(o, kind, name));
    if kept.len() == before { Ok(()) } else { write(conn, &kept) }
}

/// Has what is kept follow what other programs did straight in the file. `old` are the statements that made its schema before.
///
/// Returns the steps with drops before those that a kept object stood against: had it been in the file, SQLite would
/// have refused the step until the object was dropped, as it will on every replica.
pub(crate) fn follow(conn: &Connection, old: &[String], steps: Vec<SchemaChange>) -> Result<Vec<SchemaChange>> {
    let mut kept = read(conn)?;
    let is_about_tables = |step: &SchemaChange| !matches!(step, SchemaChange::PutObject { .. } | SchemaChange::DropObject { .. });
    if kept.is_empty() || !steps.iter().any(is_about_tables) {
        return Ok(steps);
    }
    let mut rehearsal = Rehearsal::new(old.iter().map(String::as_str).chain(kept.iter().map(|o| o.sql.as_str())))?;
    let mut all = Vec::with_capacity(steps.len());
    for step in steps {
        if is_about_tables(&step) {
            all.extend(rehearsal.make_way(&step, &mut kept)?);
        }
        all.push(step);
    }
    write(conn, &rehearsal.left(kept)?)?;
    Ok(all)
}

/// A schema with everything made, in memory.
struct Rehearsal {
    conn: Connection,
}

impl Rehearsal {
    fn of(schema: &Schema) -> Result<Self> {
        Rehearsal::new(schema.tables.iter().map(|t| t.sql.as_str()).chain(schema.objects.iter().map(|o| o.sql.as_str())))
    }

    fn new<'s>(statements: impl Iterator<Item = &'s str>) -> Result<Self> {
        let conn = Connection::open_in_memory().map_err(|e| Error::internal("no database in memory").because(e))?;
        connection::triggers_off(&conn)?;
        conn.execute_batch("PRAGMA foreign_keys = OFF").on(&conn)?;
        let allowed = connection::QuotedLiterals::allow(&conn)?;
        for sql in statements {
            // What cannot be made here is not followed either.
            let _ = conn.execute_batch(sql);
        }
        drop(allowed);
        Ok(Rehearsal { conn })
    }

    fn alter(&mut self, step: &SchemaChange) -> Result<()> {
        let read = |conn: &Connection| Ok(schema::read(conn)?.schema);
        SqliteTables::new(&self.conn, Arc::new(read(&self.conn)?), Box::new(read)).alter(step)
    }

    /// Does a step that has been done in the file already. Kept triggers and views that SQLite names as standing against it go;
    /// returns their drops.
    fn make_way(&mut self, step: &SchemaChange, kept: &mut Vec<Object>) -> Result<Vec<SchemaChange>> {
        let before = kept.clone();
        let mut drops = Vec::new();
        self.conn.execute_batch("SAVEPOINT way").on(&self.conn)?;
        while let Err(refused) = self.alter(step) {
            let is_named = |o: &Object| matches!(o.kind.as_str(), "trigger" | "view") && refused.message.contains(&o.name);
            let named = (0..kept.len()).filter(|&at| is_named(&kept[at])).max_by_key(|&at| kept[at].name.len());
            let Some(at) = named else {
                // It is not the kept objects that stand against it, so they stay as they are.
                self.conn.execute_batch("ROLLBACK TO way").on(&self.conn)?;
                (*kept, drops) = (before, Vec::new());
                break;
            };
            let Object { kind, name, .. } = kept.remove(at);
            let drop = SchemaChange::DropObject { kind, name };
            self.alter(&drop)?;
            drops.push(drop);
        }
        self.conn.execute_batch("RELEASE way").on(&self.conn)?;
        Ok(drops)
    }

    /// What is left of the kept objects, as they are now.
    fn left(&self, kept: Vec<Object>) -> Result<Vec<Object>> {
        let now = schema::read(&self.conn)?.schema.objects;
        let left = kept.into_iter().filter_map(|object| now.iter().find(|o| is(o, &object.kind, &object.name)).cloned());
        Ok(left.collect())
    }
}
