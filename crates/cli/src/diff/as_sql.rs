//! A diff as SQL: statements that make the change in another copy, with exact literals.
//!
//! Invariant: whatever a value or a name holds, it stays inside its literal or its quotes.
use super::Rendering;
use crate::output::Output;
use crate::plain_text::hex;
use mainstem::Result;
use mainstem_core::change::{Change, Edit, Shape};
use mainstem_core::value::{Key, Value};

/// Shows changes as one SQL transaction.
#[derive(Debug, Default)]
pub struct AsSql;

impl Rendering for AsSql {
    fn begin(&mut self, out: &mut Output) -> Result<()> {
        out.line("BEGIN IMMEDIATE;")?;
        out.line("PRAGMA defer_foreign_keys = ON;")
    }
    fn change(&mut self, out: &mut Output, shape: &Shape, change: &Change) -> Result<()> {
        out.line(statement(shape, change))
    }
    fn end(&mut self, out: &mut Output) -> Result<()> {
        out.line("COMMIT;")
    }
}

/// The statement that makes one change.
pub fn statement(shape: &Shape, change: &Change) -> String {
    let table = identifier(&shape.table);
    match &change.edit {
        Edit::Insert(row) => {
            let columns: Vec<String> = shape.columns.iter().map(|c| identifier(c)).collect();
            let values: Vec<String> = row.iter().map(literal).collect();
            format!("INSERT INTO {table} ({}) VALUES ({});", columns.join(", "), values.join(", "))
        }
        Edit::Delete(_) => format!("DELETE FROM {table} WHERE {};", condition(shape, &change.key)),
        Edit::Update(cells) => {
            let set = |c: &mainstem_core::change::Cell| format!("{} = {}", identifier(&shape.columns[c.column]), literal(&c.after));
            let cells: Vec<String> = cells.iter().map(set).collect();
            format!("UPDATE {table} SET {} WHERE {};", cells.join(", "), condition(shape, &change.key))
        }
    }
}

fn condition(shape: &Shape, key: &Key) -> String {
    let names = shape.key.iter().map(|&i| identifier(&shape.columns[i]));
    let parts: Vec<String> = names.zip(key).map(|(c, v)| format!("{c} = {}", literal(v))).collect();
    parts.join(" AND ")
}

/// A name in double quotes.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value as SQL. Text that has control characters or is not UTF-8 is written through a blob: U+0000 ends a statement,
/// the sqlite3 shell drops carriage returns, and nothing may draw on a terminal.
pub fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Integer(i) => i.to_string(),
        Value::Real(r) if r.is_infinite() => if *r > 0.0 { "9e999" } else { "-9e999" }.into(),
        Value::Real(r) => format!("{r:.16e}"),
        Value::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') => {
                format!("'{}'", text.replace('\'', "''"))
            }
            _ => format!("CAST(X'{}' AS TEXT)", hex(bytes).to_uppercase()),
        },
        Value::Blob(bytes) => format!("X'{}'", hex(bytes).to_uppercase()),
    }
}
