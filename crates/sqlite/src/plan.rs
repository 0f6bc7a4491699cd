//! What is prepared for one table: its statements, and how SQLite compares its key.
//!
//! Invariant: a key is compared with the collation of the index that keeps it unique, which need not be its column's.
use crate::capture::row_number;
use crate::errors::Explain;
use crate::sql::{quote, quote_all};
use crate::unique::UniqueIndex;
use mainstem::core::schema::{Schema, Table};
use mainstem::core::value::{Key, Value};
use mainstem::{Error, Result};
use rusqlite::{CachedStatement, Connection};
use std::collections::HashMap;

/// Update statements kept for one table, one for each set of changed columns.
const UPDATES_KEPT: usize = 64;

/// What is prepared for one table.
pub(crate) struct Plan<'c> {
    pub select: String,
    pub by_key: String,
    /// SQLite's own number of the rows, where they have one beside their key: a row that was just read is written by it, which
    /// saves the second way through the key's index.
    number: Option<&'static str>,
    found: Option<(Key, i64)>,
    keys: Vec<KeyColumn>,
    pub get: CachedStatement<'c>,
    pub insert: Option<CachedStatement<'c>>,
    pub delete: Option<CachedStatement<'c>>,
    pub next: Option<CachedStatement<'c>>,
    updates: HashMap<Vec<usize>, CachedStatement<'c>>,
    finds: HashMap<Vec<usize>, CachedStatement<'c>>,
    pub unique: Option<Vec<UniqueIndex<'c>>>,
}

/// How SQLite compares one column of a key.
struct KeyColumn {
    is_binary: bool,
    affinity: Affinity,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Affinity {
    Text,
    Blob,
    Numeric,
    Other,
}

impl<'c> Plan<'c> {
    /// Prepares what every table needs; the rest is prepared when it is first asked for.
    pub fn new(connection: &'c Connection, table: &Table) -> Result<Self> {
        let names = quote_all(table.columns.iter().map(|c| c.name.as_str()));
        let select = format!("SELECT {names} FROM {}", quote(&table.name));
        let collations = key_collations(connection, table)?;
        let mut terms = Vec::new();
        let mut keys = Vec::new();
        for (n, &position) in table.key.iter().enumerate() {
            let column = &table.columns[position];
            let collation = collations.get(n).map_or("BINARY", String::as_str);
            let clause = if table.is_numbered { String::new() } else { format!(" COLLATE {}", quote(collation)) };
            terms.push(format!("{} = ?{}{clause}", quote(&column.name), n + 1));
            let is_binary = table.is_numbered || collation.eq_ignore_ascii_case("binary");
            keys.push(KeyColumn { is_binary, affinity: affinity(&column.declared_type) });
        }
        let by_key = terms.join(" AND ");
        let number = row_number(table).filter(|_| !table.is_numbered);
        let also = number.map_or(String::new(), |number| format!(", {number}"));
        let get = connection.prepare_cached(&format!("SELECT {names}{also} FROM {} WHERE {by_key}", quote(&table.name))).on(connection)?;
        let (updates, finds) = (HashMap::new(), HashMap::new());
        Ok(Plan { select, by_key, number, found: None, keys, get, insert: None, delete: None, next: None, updates, finds, unique: None })
    }

    /// True where a key that SQLite finds equal is the same to the bit, so that looking before writing is needless.
    pub fn is_exact<'v>(&self, table: &Table, key: impl Iterator<Item = &'v Value>) -> bool {
        const EXACT_MAX: u64 = 1 << 53;
        self.keys.iter().zip(key).all(|(column, value)| match value {
            Value::Integer(_) if table.is_numbered => true,
            Value::Integer(i) => column.affinity == Affinity::Numeric && i.unsigned_abs() < EXACT_MAX,
            Value::Text(_) => column.is_binary && matches!(column.affinity, Affinity::Text | Affinity::Blob),
            Value::Blob(_) => true,
            Value::Real(_) | Value::Null => false,
        })
    }

    /// True where the rows stand in the key's index in the order of its first values' bytes.
    pub fn is_binary_first(&self) -> bool {
        self.keys.first().is_some_and(|key| key.is_binary)
    }

    /// Remembers the number of a row that was just read.
    pub fn note_found(&mut self, key: &Key, number: Option<i64>) {
        self.found = number.map(|number| (key.clone(), number));
    }

    /// Forgets the row that was just read: rows come or go.
    pub fn forget_found(&mut self) {
        self.found = None;
    }

    /// True where rows are written by their number.
    pub fn writes_by_number(&self) -> bool {
        self.number.is_some()
    }

    /// The number of a row that was read just before; none where it was another one.
    pub fn take_found<'v>(&mut self, key: impl Iterator<Item = &'v Value>) -> Option<i64> {
        self.found.take().filter(|(found, _)| found.iter().eq(key)).map(|(_, number)| number)
    }

    /// The statement that writes these columns: of the row of a number where there are numbers, of that key otherwise.
    pub fn update(&mut self, connection: &'c Connection, table: &Table, changed: &[usize]) -> Result<&mut CachedStatement<'c>> {
        if !self.updates.contains_key(changed) {
            if self.updates.len() == UPDATES_KEPT {
                self.updates.clear();
            }
            let first = if self.number.is_some() { 2 } else { table.key.len() + 1 };
            let set = changed.iter().enumerate();
            let set = set.map(|(n, &i)| format!("{} = ?{}", quote(&table.columns[i].name), first + n));
            let set = set.collect::<Vec<_>>().join(", ");
            let row = self.number.map_or_else(|| self.by_key.clone(), |number| format!("{number} = ?1"));
            let sql = format!("UPDATE OR ABORT {} SET {set} WHERE {row}", quote(&table.name));
            self.updates.insert(changed.to_vec(), connection.prepare_cached(&sql).on(connection)?);
        }
        Ok(self.updates.get_mut(changed).expect("it was made above"))
    }

    /// The statement that finds rows by these columns. Where they are a link they are compared as SQLite compares it: by the
    /// parent's collation, not the child's.
    pub fn find(
        &mut self,
        connection: &'c Connection,
        schema: &Schema,
        table: &Table,
        columns: &[usize],
    ) -> Result<&mut CachedStatement<'c>> {
        if !self.finds.contains_key(columns) {
            let term = |(n, &i): (usize, &usize)| {
                let collation = link_collation(schema, table, columns, n).map(|c| format!(" COLLATE {}", quote(c)));
                format!("{} = ?{}{}", quote(&table.columns[i].name), n + 1, collation.unwrap_or_default())
            };
            let terms = columns.iter().enumerate().map(term).collect::<Vec<_>>().join(" AND ");
            let order = quote_all(table.key.iter().map(|&i| table.columns[i].name.as_str()));
            let sql = format!("{} WHERE {terms} ORDER BY {order} LIMIT ?{}", self.select, columns.len() + 1);
            self.finds.insert(columns.to_vec(), connection.prepare_cached(&sql).on(connection)?);
        }
        Ok(self.finds.get_mut(columns).expect("it was made above"))
    }
}

/// The collations of the index that keeps a table's key unique, in key order; empty for a numbered table.
fn key_collations(connection: &Connection, table: &Table) -> Result<Vec<String>> {
    if table.is_numbered {
        return Ok(Vec::new());
    }
    let sql = "SELECT x.coll FROM pragma_index_list(?1) AS l, pragma_index_xinfo(l.name) AS x \
               WHERE l.origin = 'pk' AND x.key = 1 ORDER BY x.seqno";
    let mut statement = connection.prepare_cached(sql).on(connection)?;
    let rows = statement.query_map([&table.name], |row| row.get(0)).on(connection)?;
    let collations = rows.collect::<rusqlite::Result<Vec<String>>>().on(connection)?;
    match collations.len() == table.key.len() {
        true => Ok(collations),
        false => Err(Error::internal(format!("the key of {} is not the one its index has", table.name))),
    }
}

/// The affinity that SQLite reads from a declared type.
fn affinity(declared_type: &str) -> Affinity {
    let declared = declared_type.to_ascii_uppercase();
    let has = |part: &str| declared.contains(part);
    if has("INT") {
        Affinity::Numeric
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        Affinity::Text
    } else if has("BLOB") || declared.is_empty() {
        Affinity::Blob
    } else if has("REAL") || has("FLOA") || has("DOUB") || declared == "ANY" {
        Affinity::Other
    } else {
        Affinity::Numeric
    }
}

/// The collation of the parent's column that the `n`th of these columns points to, where they are a link.
fn link_collation<'s>(schema: &'s Schema, table: &Table, columns: &[usize], n: usize) -> Option<&'s str> {
    let link = table.foreign_keys.iter().find(|link| link.columns == columns)?;
    let parent = schema.table(&link.parent)?;
    parent.columns[parent.column(&link.parent_columns[n])?].collation.as_deref()
}
