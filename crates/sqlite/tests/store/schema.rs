//! A database in memory and a plain reading of its schema, enough for these contracts.
use mainstem::Result;
use mainstem::core::schema::{Column, Object, Schema, Table};
use mainstem_sqlite::SqliteTables;
use mainstem_sqlite::connection::triggers_off;
use rusqlite::Connection;
use std::sync::Arc;

pub fn database(sql: &str) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(sql).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    triggers_off(&connection).unwrap();
    connection
}

pub fn tables(connection: &Connection) -> SqliteTables<'_> {
    SqliteTables::new(connection, Arc::new(read(connection).unwrap()), Box::new(read))
}

pub fn dump(connection: &Connection) -> Vec<String> {
    let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |r| r.get(0)).unwrap();
    rows.map(|r| r.unwrap()).collect()
}

pub fn read(connection: &Connection) -> Result<Schema> {
    let mut schema = Schema::default();
    let sql = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid";
    let mut statement = connection.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (kind, name, table, sql): (String, String, String, String) =
            (row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap(), row.get(3).unwrap());
        if kind == "table" {
            schema.tables.push(table_of(connection, name, sql));
        } else {
            schema.objects.push(Object { kind, name, table, sql });
        }
    }
    Ok(schema)
}

fn table_of(connection: &Connection, name: String, sql: String) -> Table {
    let mut table = Table { name, sql, ..Table::default() };
    let upper = table.sql.to_uppercase();
    table.is_autoincrement = upper.contains("AUTOINCREMENT");
    table.is_without_rowid = upper.contains("WITHOUT ROWID");
    let mut keys = Vec::new();
    let mut statement = connection
        .prepare("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_xinfo(?1) WHERE hidden = 0 ORDER BY cid")
        .unwrap();
    let mut rows = statement.query([&table.name]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let place: i64 = row.get(4).unwrap();
        if place > 0 {
            keys.push((place, table.columns.len()));
        }
        table.columns.push(Column {
            name: row.get(0).unwrap(),
            declared_type: row.get(1).unwrap(),
            not_null: row.get(2).unwrap(),
            default: row.get(3).unwrap(),
            collation: None,
        });
    }
    keys.sort_unstable();
    table.key = keys.into_iter().map(|k| k.1).collect();
    let only = table.key.first().map(|&i| table.columns[i].declared_type.to_uppercase());
    table.is_numbered = table.key.len() == 1 && only.as_deref() == Some("INTEGER") && !table.is_without_rowid;
    table
}
