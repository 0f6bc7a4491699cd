//! Streams a table's rows in key order, read to the bit.
use crate::errors::Explain;
use crate::sql::{quote, quote_all};
use mainstem::Result;
use mainstem::core::schema::Table;
use mainstem::core::value::{Row, Value};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

/// The condition that leaves out rows whose key holds NULL, where there can be such: nobody can tell them apart, so they
/// neither travel nor count.
pub fn keyed(table: &Table) -> String {
    if table.is_numbered {
        return String::new();
    }
    let parts: Vec<String> = table.key.iter().map(|&i| format!("{} IS NOT NULL", quote(&table.columns[i].name))).collect();
    format!(" WHERE {}", parts.join(" AND "))
}

/// Visits every row of a table in key order, columns in the table's order.
pub fn scan(conn: &Connection, table: &Table, visit: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
    let names = quote_all(table.columns.iter().map(|c| c.name.as_str()));
    let order = quote_all(table.key.iter().map(|&i| table.columns[i].name.as_str()));
    let sql = format!("SELECT {names} FROM main.{}{} ORDER BY {order}", quote(&table.name), keyed(table));
    let mut statement = conn.prepare_cached(&sql).on(conn)?;
    let mut rows = statement.query([]).on(conn)?;
    while let Some(row) = rows.next().on(conn)? {
        visit(crate::tables::read_row(row).on(conn)?)?;
    }
    Ok(())
}

/// A value as SQLite holds it; text stays bytes.
pub(super) fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(i) => Value::Integer(i),
        ValueRef::Real(r) => Value::Real(r),
        ValueRef::Text(b) => Value::Text(b.to_vec()),
        ValueRef::Blob(b) => Value::Blob(b.to_vec()),
    }
}

/// A value to bind.
pub(super) fn bound(value: &Value) -> rusqlite::types::ToSqlOutput<'_> {
    rusqlite::types::ToSqlOutput::Borrowed(match value {
        Value::Null => ValueRef::Null,
        Value::Integer(i) => ValueRef::Integer(*i),
        Value::Real(r) => ValueRef::Real(*r),
        Value::Text(b) => ValueRef::Text(b),
        Value::Blob(b) => ValueRef::Blob(b),
    })
}
