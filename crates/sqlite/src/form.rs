//! What a table makes of a value that is stored in it: its columns' affinities applied, by SQLite itself.
//!
//! Needed where a table was declared anew: the values of an older version then stand in another form.
use crate::errors::Explain;
use crate::tables::{sql_value, value_of};
use mainstem::Result;
use mainstem::core::schema::Table;
use mainstem::core::value::{Row, Value};
use rusqlite::Connection;

/// A column of a table is the one place where SQLite applies an affinity as a table does.
const SCRATCH: &str = "CREATE TEMP TABLE IF NOT EXISTS mainstem_form(i INTEGER, t TEXT, r REAL, n NUMERIC)";

/// The row as the table stores it.
pub(crate) fn stored(connection: &Connection, table: &Table, row: &Row) -> Result<Row> {
    let is_strict: bool = connection
        .prepare_cached("SELECT strict FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE")
        .on(connection)?
        .query_row([&table.name], |row| row.get(0))
        .on(connection)?;
    let mut stored = row.clone();
    for (value, column) in stored.iter_mut().zip(&table.columns) {
        // ANY converts in a table that is not STRICT, and only there.
        let is_any = is_strict && column.declared_type.eq_ignore_ascii_case("any");
        if let (Some(affinity), false) = (affinity(&column.declared_type), is_any) {
            *value = converted(connection, affinity, value)?;
        }
    }
    Ok(stored)
}

fn converted(connection: &Connection, affinity: &str, value: &Value) -> Result<Value> {
    if matches!(value, Value::Null | Value::Blob(_)) {
        return Ok(value.clone());
    }
    connection.execute_batch(SCRATCH).on(connection)?;
    let insert = format!("INSERT INTO temp.mainstem_form({affinity}) VALUES(?1)");
    connection.prepare_cached(&insert).on(connection)?.execute([sql_value(value)]).on(connection)?;
    let read = format!("SELECT {affinity} FROM temp.mainstem_form");
    let found = connection.prepare_cached(&read).on(connection)?.query_row([], |row| Ok(value_of(row.get_ref(0)?))).on(connection)?;
    connection.prepare_cached("DELETE FROM temp.mainstem_form").on(connection)?.execute([]).on(connection)?;
    Ok(found)
}

/// The scratch column whose affinity a declared type has, by the rules of SQLite's documentation ("Datatypes", 3.1).
/// None for BLOB, which converts nothing.
fn affinity(declared_type: &str) -> Option<&'static str> {
    let declared = declared_type.to_ascii_uppercase();
    let has = |part: &str| declared.contains(part);
    match () {
        () if has("INT") => Some("i"),
        () if has("CHAR") || has("CLOB") || has("TEXT") => Some("t"),
        () if has("BLOB") || declared.trim().is_empty() => None,
        () if has("REAL") || has("FLOA") || has("DOUB") => Some("r"),
        () => Some("n"),
    }
}
