//! Reads a file's rows to the bit, whoever made it, and the words in them.
use mainstem::core::value::{Key, Row, Value};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::collections::{BTreeMap, BTreeSet};

/// One table as it stands in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Its columns, generated ones left out.
    pub columns: Vec<String>,
    /// What a row that was there before holds in a column that was added.
    pub defaults: Vec<Value>,
    /// Positions of the key.
    pub key: Vec<usize>,
    /// Its rows, without those whose key holds NULL: nobody can tell them apart, and they stay where they are.
    pub rows: BTreeMap<Key, Row>,
    /// How many rows have NULL in their key.
    pub keyless: usize,
}

/// Every table of the user's that can travel.
pub type Image = BTreeMap<String, Held>;

/// A value as SQLite gives it.
pub fn value(raw: ValueRef<'_>) -> Value {
    match raw {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(i) => Value::Integer(i),
        ValueRef::Real(r) => Value::Real(r),
        ValueRef::Text(bytes) => Value::Text(bytes.to_vec()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// What is read from a file's schema, and for which schema that holds.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    version: i64,
    tables: Vec<(String, Held, String)>,
}

const NAMES: &str = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'mainstem\\_%' ESCAPE '\\' \
    AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name";

fn tables(db: &Connection, known: &mut Tables) -> rusqlite::Result<()> {
    let version: i64 = db.prepare_cached("PRAGMA main.schema_version")?.query_row([], |row| row.get(0))?;
    if known.version == version && !known.tables.is_empty() {
        return Ok(());
    }
    (known.version, known.tables) = (version, Vec::new());
    let names: Vec<String> = db.prepare(NAMES)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for name in names {
        let quoted = name.replace('"', "\"\"");
        let columns: Vec<(String, i64, Option<String>)> = db
            .prepare(&format!("SELECT name, pk, dflt_value FROM pragma_table_xinfo(\"{quoted}\", 'main') WHERE hidden = 0"))?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        let mut key: Vec<(i64, usize)> = columns.iter().enumerate().filter(|(_, c)| c.1 > 0).map(|(at, c)| (c.1, at)).collect();
        key.sort_unstable();
        if key.is_empty() {
            continue;
        }
        let list: Vec<String> = columns.iter().map(|(name, ..)| format!("\"{}\"", name.replace('"', "\"\""))).collect();
        let sql = format!("SELECT {} FROM main.\"{quoted}\"", list.join(", "));
        let mut defaults = Vec::new();
        for (.., default) in &columns {
            let sql = format!("SELECT {}", default.as_deref().unwrap_or("NULL"));
            defaults.push(db.query_row(&sql, [], |row| row.get_ref(0).map(value))?);
        }
        let columns = columns.into_iter().map(|(name, ..)| name).collect();
        let key = key.into_iter().map(|(_, at)| at).collect();
        known.tables.push((name, Held { columns, defaults, key, rows: BTreeMap::new(), keyless: 0 }, sql));
    }
    Ok(())
}

/// The rows of a file.
pub fn read(db: &Connection, known: &mut Tables) -> rusqlite::Result<Image> {
    tables(db, known)?;
    let mut image = Image::new();
    for (name, held, sql) in &known.tables {
        let mut held = held.clone();
        let mut statement = db.prepare_cached(sql)?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let row: Row = (0..held.columns.len()).map(|at| row.get_ref(at).map(value)).collect::<Result<_, _>>()?;
            let key: Key = held.key.iter().map(|&at| row[at].clone()).collect();
            if key.iter().any(Value::is_null) {
                held.keyless += 1;
            } else {
                held.rows.insert(key, row);
            }
        }
        image.insert(name.clone(), held);
    }
    Ok(image)
}

/// The words `wN.` in a value.
pub fn words(value: &Value, into: &mut BTreeSet<u64>) {
    let (Value::Text(bytes) | Value::Blob(bytes)) = value else { return };
    let mut rest: &[u8] = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == b'w') {
        rest = &rest[at + 1..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 && digits < 19 && rest.get(digits) == Some(&b'.') {
            into.insert(rest[..digits].iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')));
        }
    }
}

/// The words in all rows.
pub fn words_of(image: &Image) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for value in image.values().flat_map(|held| held.rows.values()).flatten() {
        words(value, &mut found);
    }
    found
}

/// Rows that only one of two files has, as text. Columns are told by name, tables without rows are nothing.
pub fn differences(one: &Image, other: &Image) -> Vec<String> {
    let named = |image: &Image| -> BTreeMap<String, BTreeSet<Vec<(String, Value)>>> {
        let row_of = |held: &Held, row: &Row| {
            let mut row: Vec<(String, Value)> = held.columns.iter().cloned().zip(row.iter().cloned()).collect();
            row.sort_unstable();
            row
        };
        image.iter().map(|(name, held)| (name.to_lowercase(), held.rows.values().map(|row| row_of(held, row)).collect())).collect()
    };
    if one == other {
        return Vec::new();
    }
    let (one, other) = (named(one), named(other));
    let none = BTreeSet::new();
    let mut found = Vec::new();
    for table in one.keys().chain(other.keys()).collect::<BTreeSet<_>>() {
        let (left, right) = (one.get(table).unwrap_or(&none), other.get(table).unwrap_or(&none));
        found.extend(left.difference(right).map(|row| format!("only the first: {table} {}", show(row))));
        found.extend(right.difference(left).map(|row| format!("only the second: {table} {}", show(row))));
    }
    found
}

/// A row for people.
pub fn show(row: &[(String, Value)]) -> String {
    row.iter().map(|(name, value)| format!("{name}={}", show_value(value))).collect::<Vec<_>>().join(" ")
}

/// A value for people.
pub fn show_value(value: &Value) -> String {
    let short = |bytes: &[u8]| format!("{}{}", bytes[..bytes.len().min(60)].escape_ascii(), if bytes.len() > 60 { "…" } else { "" });
    match value {
        Value::Text(bytes) => format!("'{}'", short(bytes)),
        Value::Null => "NULL".into(),
        Value::Integer(i) => i.to_string(),
        Value::Real(r) => format!("{r:?}"),
        Value::Blob(bytes) => format!("x'{}'", short(bytes)),
    }
}
