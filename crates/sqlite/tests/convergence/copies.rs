//! Reads a file's rows to the bit, whoever made it, and the words in them.
use mainstem::core::value::Value;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A row by column name.
pub type Named = BTreeMap<String, Value>;

/// Every row of every table of the user's.
pub type Rows = BTreeMap<String, Vec<Named>>;

fn value(raw: ValueRef<'_>) -> Value {
    match raw {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(i) => Value::Integer(i),
        ValueRef::Real(r) => Value::Real(r),
        ValueRef::Text(bytes) => Value::Text(bytes.to_vec()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// The rows of a file.
pub fn rows(path: &Path) -> Rows {
    let db = Connection::open(path).unwrap();
    let mut names = db
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'mainstem\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
        .unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let mut all = Rows::new();
    for name in names {
        let mut statement = db.prepare(&format!("SELECT * FROM \"{name}\"")).unwrap();
        let columns: Vec<String> = statement.column_names().map(ToString::to_string).collect();
        let mut found = statement.query([]).unwrap();
        let mut rows = Vec::new();
        while let Some(row) = found.next().unwrap() {
            rows.push(columns.iter().enumerate().map(|(at, name)| (name.clone(), value(row.get_ref(at).unwrap()))).collect());
        }
        rows.sort_unstable();
        all.insert(name, rows);
    }
    all
}

/// The words `wN.` in a value.
pub fn words(value: &Value, into: &mut BTreeSet<String>) {
    let (Value::Text(bytes) | Value::Blob(bytes)) = value else { return };
    let mut rest: &[u8] = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == b'w') {
        rest = &rest[at + 1..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 && rest.get(digits) == Some(&b'.') {
            into.insert(format!("w{}.", String::from_utf8_lossy(&rest[..digits])));
        }
    }
}

/// The words in all rows.
pub fn words_of(rows: &Rows) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for value in rows.values().flatten().flat_map(BTreeMap::values) {
        words(value, &mut found);
    }
    found
}

/// Rows that only one of two files has, as text.
pub fn differences(one: &Rows, other: &Rows) -> Vec<String> {
    let mut found = Vec::new();
    let tables: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let none = Vec::new();
    for table in tables {
        let (left, right) = (one.get(table).unwrap_or(&none), other.get(table).unwrap_or(&none));
        found.extend(left.iter().filter(|row| !right.contains(row)).map(|row| format!("only the first: {table} {}", show(row))));
        found.extend(right.iter().filter(|row| !left.contains(row)).map(|row| format!("only the second: {table} {}", show(row))));
        if left.len() != right.len() {
            found.push(format!("{table} has {} and {} rows", left.len(), right.len()));
        }
    }
    found
}

/// A row for people.
pub fn show(row: &Named) -> String {
    let cell = |value: &Value| match value {
        Value::Text(bytes) => format!("'{}'", String::from_utf8_lossy(bytes)),
        Value::Null => "NULL".into(),
        Value::Integer(i) => i.to_string(),
        Value::Real(r) => format!("{r:?}"),
        Value::Blob(bytes) => format!("x{bytes:02x?}"),
    };
    let cells: Vec<String> = row.iter().map(|(name, value)| format!("{name}={}", cell(value))).collect();
    cells.join(" ")
}
