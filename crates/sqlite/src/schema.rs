//! Reads what a user's file declares: the tables that can be tracked, the other objects, and what is refused and why.
//!
//! Invariant: everything of the user's in the main database is either in the schema or refused by name; what is inside a
//! virtual table goes by that table's name. Attached and temporary objects belong to a connection, not to the file, and are not looked at.
use crate::connection::one;
use crate::derived::{self, Virtual};
use crate::errors::{Explain, is_refusal, message_of};
use crate::sql::{is_internal, quote, quote_all, words};
use mainstem::Result;
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::{Column, ForeignKey, Object, Schema, Table};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

/// The most stored columns a tracked table may have: SQLite's own limit, less what a record adds to them.
pub const COLUMNS_MAX: usize = 1_900;

/// The most key columns a tracked table may have; a record holds an old key and a new one.
pub const KEY_COLUMNS_MAX: usize = 32;

const NO_KEY: &str = "it has no primary key, so its rows have no identity and do not travel; it is empty on other copies";

/// A file's schema, split into what can be tracked and what cannot.
#[derive(Clone, Debug, Default)]
pub struct ReadSchema {
    /// Tables that can be tracked, and every other object that travels: tables without a key and virtual tables by
    /// their declarations alone, then the user's indexes, views and triggers.
    pub schema: Schema,
    /// Tables whose rows do not travel.
    pub refused: Vec<Refused>,
}

impl ReadSchema {
    /// The tracked tables, and the other objects that need no table but those.
    ///
    /// What needs another table has no footing on a primary or in another replica, where there are only the tracked tables
    /// and those of which the declaration travels.
    pub fn tracked(mut self, is_tracked: &dyn Fn(&str) -> bool) -> Schema {
        let is_same = |a: &String, b: &String| a.eq_ignore_ascii_case(b);
        let (kept, left_out): (Vec<Table>, Vec<Table>) = self.schema.tables.into_iter().partition(|t| is_tracked(&t.name));
        let mut absent: Vec<String> = left_out.into_iter().map(|t| t.name).collect();
        let mut objects = self.schema.objects;
        let travels = |name: &String| objects.iter().any(|o| matches!(o.kind.as_str(), "table" | "virtual") && is_same(&o.name, name));
        absent.extend(self.refused.drain(..).map(|r| r.table).filter(|name| !travels(name)));
        // What is left out may be what others need: a trigger on a view.
        while let Some(at) =
            objects.iter().position(|o| o.kind != "table" && names_in(o).iter().any(|n| absent.iter().any(|a| is_same(n, a))))
        {
            absent.push(objects.remove(at).name);
        }
        Schema { tables: kept, objects }
    }
}

/// Every name that an object's declaration mentions, but its own.
fn names_in(object: &Object) -> Vec<String> {
    let all = words(&object.sql).unwrap_or_default();
    let named = all.iter().filter_map(|word| word.name(&object.sql));
    named.filter(|name| !name.eq_ignore_ascii_case(&object.name)).chain([object.table.clone()]).collect()
}

/// A table that cannot be tracked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its name.
    pub table: String,
    /// Why, as a lowercase fragment.
    pub why: String,
    /// What to do about it; empty where nothing has to be done.
    pub hint: String,
}

struct Listed {
    name: String,
    kind: String,
    is_without_rowid: bool,
}

/// Reads the schema of the main database.
///
/// Rows with NULL in the key are not looked for: that takes a scan, see [`null_keys`].
pub fn read(conn: &Connection) -> Result<ReadSchema> {
    let Some(text) = text(conn)? else { return read_anew(conn) };
    if let Some(known) = LATEST.with_borrow(|latest| latest.iter().find(|(of, _)| *of == text).map(|(_, read)| read.clone())) {
        return Ok(known);
    }
    let read = read_anew(conn)?;
    LATEST.with_borrow_mut(|latest| {
        latest.truncate(LATEST_MAX - 1);
        latest.insert(0, (text, read.clone()));
    });
    Ok(read)
}

/// How many schemas are remembered: a server's, or a replica's, a primary's, and those that a pull goes through step by step.
const LATEST_MAX: usize = 16;

thread_local! {
    /// What was read last, by all that it depends on.
    static LATEST: RefCell<Vec<([u8; 32], ReadSchema)>> = const { RefCell::new(Vec::new()) };
}

/// What of a connection's settings decides whether SQLite takes a statement.
const SETTINGS: [DbConfig; 6] = [
    DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY,
    DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
    DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA,
    DbConfig::SQLITE_DBCONFIG_DEFENSIVE,
    DbConfig::SQLITE_DBCONFIG_DQS_DDL,
    DbConfig::SQLITE_DBCONFIG_DQS_DML,
];

/// A digest of all that [`read`] depends on: each statement of the schema, and how this connection reads statements. None
/// where there is a virtual table, for whether that opens depends on what is in it.
fn text(conn: &Connection) -> Result<Option<[u8; 32]>> {
    let mut all = Vec::new();
    for flag in SETTINGS {
        all.push(u8::from(conn.db_config(flag).on(conn)?));
    }
    all.push(u8::from(planted::is(Bug::E11)));
    let sql = "SELECT type, name, tbl_name, sql, type = 'table' AND rootpage = 0 FROM main.sqlite_schema ORDER BY rowid";
    let mut statement = conn.prepare_cached(sql).on(conn)?;
    let mut rows = statement.query([]).on(conn)?;
    while let Some(row) = rows.next().on(conn)? {
        if row.get(4).on(conn)? {
            return Ok(None);
        }
        for column in 0..4 {
            let part = row.get_ref(column).on(conn)?.as_bytes_or_null().ok().flatten();
            all.extend_from_slice(&part.map_or(u64::MAX, |bytes| bytes.len() as u64).to_le_bytes());
            all.extend_from_slice(part.unwrap_or_default());
        }
    }
    Ok(Some(*blake3::hash(&all).as_bytes()))
}

fn read_anew(conn: &Connection) -> Result<ReadSchema> {
    let mut read = ReadSchema::default();
    let all = listed(conn)?;
    read.schema.objects = declared_alone(conn, &all)?;
    for listed in all {
        let sql = "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?1";
        let sql: String = one(conn, sql, [&listed.name], |r| r.get(0)).on(conn)?;
        let found = match listed.kind.as_str() {
            "virtual" => Err(virtual_refusal(conn, &listed.name, &sql)?),
            _ => table(conn, &listed, sql)?,
        };
        match found {
            Ok(table) => read.schema.tables.push(table),
            Err((why, hint)) => read.refused.push(Refused { table: listed.name, why, hint }),
        }
    }
    resolve_parents(&mut read.schema.tables);
    read.schema.objects.extend(objects(conn)?);
    Ok(read)
}

/// The user's own tables, views, indexes and triggers whose names begin as ours do. Asked before tracking begins, for
/// afterwards they could not be told from ours, and would be dropped with them.
pub fn reserved(conn: &Connection) -> Result<Vec<Refused>> {
    let sql = "SELECT type, name FROM main.sqlite_schema WHERE name LIKE 'mainstem\\_%' ESCAPE '\\' ORDER BY rowid";
    let mut statement = conn.prepare_cached(sql).on(conn)?;
    let rows = statement.query_map([], |r| {
        let (kind, name): (String, String) = (r.get(0)?, r.get(1)?);
        let hint = if kind == "table" {
            format!("sqlite3 FILE 'ALTER TABLE {} RENAME TO …'", quote(&name))
        } else {
            format!("make the {kind} again under another name")
        };
        Ok(Refused { table: name, why: format!("the {kind} has a name that is reserved"), hint })
    });
    rows.on(conn)?.collect::<rusqlite::Result<_>>().on(conn)
}

/// How many rows of a table have NULL in their key. Such rows have no identity and cannot be tracked.
pub fn null_keys(conn: &Connection, table: &Table) -> Result<u64> {
    if table.is_numbered || table.is_without_rowid {
        return Ok(0);
    }
    let terms: Vec<String> = table.key.iter().map(|&i| format!("{} IS NULL", quote(&table.columns[i].name))).collect();
    let sql = format!("SELECT count(*) FROM main.{} WHERE {}", quote(&table.name), terms.join(" OR "));
    conn.query_row(&sql, [], |r| r.get::<_, i64>(0)).on(conn).map(i64::unsigned_abs)
}

fn listed(conn: &Connection) -> Result<Vec<Listed>> {
    let sql = "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'";
    let mut statement = conn.prepare_cached(sql).on(conn)?;
    let rows = statement.query_map([], |r| Ok((r.get::<_, String>(0)?, (r.get(1)?, r.get(2)?))));
    let mut kinds: HashMap<String, (String, bool)> = rows.on(conn)?.collect::<rusqlite::Result<_>>().on(conn)?;
    let mut statement = conn.prepare_cached("SELECT name FROM main.sqlite_schema WHERE type = 'table' ORDER BY rowid").on(conn)?;
    let names = statement.query_map([], |r| r.get::<_, String>(0)).on(conn)?;
    let names: Vec<String> = names.collect::<rusqlite::Result<_>>().on(conn)?;
    let described = |name: String| kinds.remove(&name).map(|(kind, is_without_rowid)| Listed { name, kind, is_without_rowid });
    let all: Vec<Listed> = names.into_iter().filter_map(described).collect();
    let mut found = Vec::with_capacity(all.len());
    for listed in all.into_iter().filter(|l| !is_internal(&l.name)) {
        if !is_inside(conn, &listed)? {
            found.push(listed);
        }
    }
    Ok(found)
}

/// Why a virtual table is not tracked, and what to do.
fn virtual_refusal(conn: &Connection, name: &str, sql: &str) -> Result<Unfit> {
    match derived::refusal(conn, name, sql)? {
        Some(refused) => Ok(refused),
        None => Virtual::declared(sql).map(|declared| declared.told()),
    }
}

/// True for what a virtual table keeps inside itself.
fn is_inside(conn: &Connection, listed: &Listed) -> Result<bool> {
    if listed.kind != "table" {
        return Ok(listed.kind == "shadow");
    }
    // A module may be unknown to this SQLite; then its inside looks like plain tables.
    let sql = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND rootpage = 0";
    let mut statement = conn.prepare_cached(sql).on(conn)?;
    let parents = statement.query_map([], |r| r.get::<_, String>(0)).on(conn)?;
    for parent in parents {
        let parent = parent.on(conn)?;
        let rest = listed.name.strip_prefix(&parent).and_then(|r| r.strip_prefix('_'));
        let known = ["data", "idx", "content", "docsize", "config", "node", "parent", "rowid", "segments", "segdir", "stat"];
        if rest.is_some_and(|r| known.contains(&r)) {
            return Ok(true);
        }
    }
    Ok(false)
}

type Unfit = (String, String);

fn table(conn: &Connection, listed: &Listed, sql: String) -> Result<std::result::Result<Table, Unfit>> {
    let name = &listed.name;
    let mut table = Table { name: name.clone(), is_without_rowid: listed.is_without_rowid, sql, ..Table::default() };
    let mut keys: Vec<(i64, usize)> = Vec::new();
    let text = "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1, 'main')";
    let mut statement = conn.prepare_cached(text).on(conn)?;
    let mut rows = statement.query([name]).on(conn)?;
    while let Some(row) = rows.next().on(conn)? {
        if row.get::<_, i64>(5).on(conn)? != 0 && !planted::is(Bug::E11) {
            continue;
        }
        let place: i64 = row.get(4).on(conn)?;
        if place > 0 {
            keys.push((place, table.columns.len()));
        }
        table.columns.push(Column {
            name: row.get(0).on(conn)?,
            declared_type: row.get(1).on(conn)?,
            not_null: row.get(2).on(conn)?,
            default: row.get(3).on(conn)?,
            collation: None,
        });
    }
    keys.sort_unstable();
    table.key = keys.into_iter().map(|(_, i)| i).collect();
    if let Some(unfit) = unfit(&table) {
        return Ok(Err(unfit));
    }
    for column in &mut table.columns {
        let (_, collation, _, _, is_autoincrement) = conn.column_metadata(Some("main"), name.as_str(), column.name.as_str()).on(conn)?;
        let collation = collation.map(|c| c.to_string_lossy().into_owned());
        column.collation = collation.filter(|c| !c.eq_ignore_ascii_case("BINARY"));
        table.is_autoincrement |= is_autoincrement;
    }
    let has_key_index = "SELECT EXISTS(SELECT 1 FROM pragma_index_list(?1, 'main') WHERE origin = 'pk')";
    let has_key_index: bool = one(conn, has_key_index, [name], |r| r.get(0)).on(conn)?;
    table.is_numbered = !table.is_without_rowid && !has_key_index;
    table.foreign_keys = foreign_keys(conn, &table)?;
    Ok(writable(conn, &table)?.map(|()| table))
}

/// Why a table with these columns cannot be tracked.
fn unfit(table: &Table) -> Option<Unfit> {
    let unfit = |why: String, hint: &str| Some((why, hint.to_string()));
    if table.key.is_empty() {
        let hint = "declare it anew with a PRIMARY KEY, and it is tracked from then on";
        return unfit(NO_KEY.into(), hint);
    }
    if table.key.len() > KEY_COLUMNS_MAX {
        return unfit(
            format!("its key has more than {KEY_COLUMNS_MAX} columns"),
            "give it a key of its own, such as an INTEGER PRIMARY KEY",
        );
    }
    if table.columns.len() > COLUMNS_MAX {
        return unfit(format!("it has more than {COLUMNS_MAX} columns"), "split it into several tables with one key");
    }
    let own = table.columns.iter().find(|c| is_internal(&c.name) && c.name.to_ascii_lowercase().starts_with("mainstem_"));
    own.and_then(|c| unfit(format!("its column {} has a name that is reserved", c.name), "rename the column"))
}

/// Whether this SQLite can write to the table at all: a collation or function that only the app has stands in the way.
fn writable(conn: &Connection, table: &Table) -> Result<std::result::Result<(), Unfit>> {
    let names = quote_all(table.columns.iter().map(|c| c.name.as_str()));
    let values = vec!["NULL"; table.columns.len()].join(", ");
    let sql = format!("EXPLAIN INSERT INTO main.{} ({names}) VALUES ({values})", quote(&table.name));
    let refused = match conn.prepare(&sql) {
        Err(error) if is_refusal(&error) => error,
        prepared => return prepared.on(conn).map(|_| Ok(())),
    };
    let why = message_of(&refused).unwrap_or("it cannot be written");
    let hint = "it needs a collation or function that only your program has; declare it without, or leave the table out";
    Ok(Err((format!("SQLite alone cannot write to it: {why}"), hint.to_string())))
}

fn foreign_keys(conn: &Connection, table: &Table) -> Result<Vec<ForeignKey>> {
    let sql = "SELECT id, \"table\", \"from\", \"to\", on_update, on_delete FROM pragma_foreign_key_list(?1, 'main') ORDER BY id DESC, seq";
    let mut statement = conn.prepare_cached(sql).on(conn)?;
    let mut rows = statement.query([&table.name]).on(conn)?;
    let mut found: Vec<(i64, ForeignKey)> = Vec::new();
    while let Some(row) = rows.next().on(conn)? {
        let id: i64 = row.get(0).on(conn)?;
        let from: String = row.get(2).on(conn)?;
        let to: Option<String> = row.get(3).on(conn)?;
        if found.last().is_none_or(|(last, _)| *last != id) {
            let key = ForeignKey {
                columns: Vec::new(),
                parent: row.get(1).on(conn)?,
                parent_columns: Vec::new(),
                on_delete: row.get(5).on(conn)?,
                on_update: row.get(4).on(conn)?,
            };
            found.push((id, key));
        }
        let (_, key) = found.last_mut().expect("pushed just above");
        // A generated child column is not stored, so nothing of ours can follow that link.
        if let Some(column) = table.column(&from) {
            key.columns.push(column);
            key.parent_columns.extend(to);
        }
    }
    Ok(found.into_iter().map(|(_, key)| key).filter(|key| !key.columns.is_empty()).collect())
}

/// Fills in the parent columns of foreign keys that name none: they mean the parent's primary key.
fn resolve_parents(tables: &mut [Table]) {
    let keys: Vec<(String, Vec<String>)> =
        tables.iter().map(|t| (t.name.clone(), t.key.iter().map(|&i| t.columns[i].name.clone()).collect())).collect();
    for table in tables.iter_mut() {
        for key in table.foreign_keys.iter_mut().filter(|key| key.parent_columns.is_empty()) {
            let parent = keys.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key.parent));
            key.parent_columns = parent.map(|(_, columns)| columns.clone()).unwrap_or_default();
        }
        // A link to a table that is not tracked, or not there, cannot be followed.
        table.foreign_keys.retain(|key| key.parent_columns.len() == key.columns.len());
    }
}

/// Tables that travel by their declarations alone: those without a key, then virtual ones, which may be over them.
fn declared_alone(conn: &Connection, all: &[Listed]) -> Result<Vec<Object>> {
    let mut found = Vec::new();
    for listed in all {
        let kind = match listed.kind.as_str() {
            "virtual" => "virtual",
            "table" if derived::is_keyless(conn, &listed.name)? => "table",
            _ => continue,
        };
        let sql = "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?1";
        let sql: String = one(conn, sql, [&listed.name], |r| r.get(0)).on(conn)?;
        if kind == "table" || derived::refusal(conn, &listed.name, &sql)?.is_none() {
            found.push(Object { kind: kind.into(), name: listed.name.clone(), table: listed.name.clone(), sql });
        }
    }
    found.sort_by_key(|object| object.kind == "virtual");
    Ok(found)
}

fn objects(conn: &Connection) -> Result<Vec<Object>> {
    let sql = "SELECT type, name, tbl_name, sql FROM main.sqlite_schema \
               WHERE type IN ('index', 'view', 'trigger') AND sql IS NOT NULL ORDER BY rowid";
    let mut statement = conn.prepare_cached(sql).on(conn)?;
    let rows = statement.query_map([], |r| Ok(Object { kind: r.get(0)?, name: r.get(1)?, table: r.get(2)?, sql: r.get(3)? }));
    let all: Vec<Object> = rows.on(conn)?.collect::<rusqlite::Result<_>>().on(conn)?;
    Ok(all.into_iter().filter(|o| !is_internal(&o.name) && !is_internal(&o.table)).collect())
}

/// Tables in an order in which every parent comes before its children; tables in a cycle keep their order.
pub fn parents_first(tables: &[Table]) -> Vec<usize> {
    fn place(at: usize, tables: &[Table], seen: &mut HashSet<usize>, order: &mut Vec<usize>) {
        let mut stack = vec![(at, 0)];
        seen.insert(at);
        while let Some((table, next)) = stack.pop() {
            let Some(key) = tables[table].foreign_keys.get(next) else {
                order.push(table);
                continue;
            };
            stack.push((table, next + 1));
            let parent = tables.iter().position(|t| t.name.eq_ignore_ascii_case(&key.parent));
            if let Some(parent) = parent.filter(|p| seen.insert(*p)) {
                stack.push((parent, 0));
            }
        }
    }
    let mut seen = HashSet::new();
    let mut order = Vec::with_capacity(tables.len());
    for at in 0..tables.len() {
        if !seen.contains(&at) {
            place(at, tables, &mut seen, &mut order);
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_that_is_cut_short_is_no_answer() {
        let mut db = Connection::open_in_memory().expect("memory");
        let declared = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); CREATE TABLE keyless (a);
                        CREATE VIRTUAL TABLE search USING fts5(a, content='t', content_rowid='id')";
        db.execute_batch(declared).expect("plain declarations");
        let told = read(&db).expect("plain declarations");
        let cut_short = crate::errors::cut_short(&mut db, |db| {
            if let Ok(found) = read_anew(db) {
                assert_eq!((found.schema, found.refused), (told.schema.clone(), told.refused.clone()));
            }
            if let Ok(is_empty) = derived::is_expendable(db, "keyless", "CREATE TABLE keyless (a)") {
                assert!(is_empty);
            }
        });
        assert!(cut_short > 10, "{cut_short}");
    }

    #[test]
    fn what_was_read_is_known_again_only_where_it_reads_the_same() {
        let db = Connection::open_in_memory().expect("memory");
        let names = |db: &Connection| read(db).expect("plain declarations").schema.tables.into_iter().map(|t| t.name).collect::<Vec<_>>();
        db.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY)").expect("a plain declaration");
        assert_eq!(names(&db), ["t"]);
        db.execute_batch("BEGIN; CREATE TABLE u (id INTEGER PRIMARY KEY)").expect("a plain declaration");
        assert_eq!(names(&db), ["t", "u"]);
        db.execute_batch("ROLLBACK; CREATE TABLE v (id INTEGER PRIMARY KEY)").expect("a plain declaration");
        assert_eq!(names(&db), ["t", "v"], "the number of the schema is what it was with u");
        // A trigger that cannot run stands in the way only where triggers are on.
        db.execute_batch("CREATE TRIGGER g AFTER INSERT ON v BEGIN SELECT only_the_apps(); END").expect("a plain declaration");
        assert_eq!(names(&db), ["t"]);
        crate::connection::triggers_off(&db).expect("a flag");
        assert_eq!(names(&db), ["t", "v"]);
    }
}
