//! The store of a primary: one transaction over ledger and tables, all or nothing.
use crate::schema;
use mainstem::Result;
use mainstem::core::ErrorKind;
use mainstem::core::event::{Event, Version};
use mainstem::core::schema::{Schema, SchemaChange, Table};
use mainstem::core::value::Value;
use mainstem::ledger::Appended;
use mainstem::store::{Store, Transaction};
use mainstem::tables::Wrote;
use mainstem_sqlite::connection::{open_primary, open_user_waiting};
use mainstem_sqlite::ledger::create;
use mainstem_sqlite::store::{SqliteStore, Watcher};
use rusqlite::Connection;
use std::path::Path;

/// Counts rows of one table, which is enough to see that the store asks.
struct Counts;

impl Watcher for Counts {
    fn altered(&self, _connection: &Connection) -> Result<()> {
        Ok(())
    }
    fn watch(&self, connection: &Connection, schema: &Schema) -> Result<()> {
        assert_eq!(schema, &read(connection)?);
        Ok(())
    }
    fn has_direct(&self, connection: &Connection, _schema: &Schema) -> Result<bool> {
        Ok(connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap())
    }
    fn take_direct(
        &self,
        _connection: &Connection,
        _schema: &Schema,
        _visit: mainstem_sqlite::store::VisitWatched<'_>,
    ) -> Result<Vec<SchemaChange>> {
        Ok(Default::default())
    }
}

fn read(connection: &Connection) -> Result<Schema> {
    let mut schema = schema::read(connection)?;
    schema.tables.retain(|t| !t.name.starts_with("mainstem_"));
    schema.objects.retain(|o| !o.table.starts_with("mainstem_"));
    Ok(schema)
}

fn store(path: &Path) -> SqliteStore {
    let connection = open_primary(path, true).unwrap();
    create(&connection).unwrap();
    connection.execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY, v)").unwrap();
    SqliteStore::new(connection, read, Box::new(Counts)).unwrap()
}

fn write(tx: &mut dyn Transaction, number: i64) -> u64 {
    assert_eq!(tx.insert(0, &vec![number.into(), "v".into()]).unwrap(), Wrote::Done);
    let head = tx.head().unwrap();
    let mut version = Version { version: head.version + 1, ..Version::default() };
    version.header.write_id = number as u128;
    match tx.append(&head, &Event::Version(version)).unwrap() {
        Appended::Done(head) => head.version,
        Appended::Stale(head) => panic!("stale at {head:?}"),
    }
}

#[test]
fn ledger_and_rows_are_kept_together_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store(&dir.path().join("primary.db"));
    let mut tx = store.begin().unwrap();
    assert_eq!(write(&mut *tx, 1), 1);
    drop(tx);
    let mut tx = store.begin().unwrap();
    assert_eq!(tx.head().unwrap().version, 0);
    assert_eq!(tx.get(0, &vec![1.into()]).unwrap(), None);
    assert_eq!(write(&mut *tx, 1), 1);
    tx.watch().unwrap();
    tx.commit().unwrap();
    let mut tx = store.begin_read().unwrap();
    assert_eq!(tx.head().unwrap().version, 1);
    assert!(tx.has_direct().unwrap());
    assert_eq!(tx.get(0, &vec![1.into()]).unwrap(), Some(vec![Value::Integer(1), "v".into()]));
    assert!(tx.insert(0, &vec![2.into(), Value::Null]).is_err(), "a reading transaction wrote");
    let mut seen = 0;
    let mut count = |_: &Vec<Value>| {
        seen += 1;
        Ok(())
    };
    tx.scan(0, &mut count).unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn a_schema_step_is_undone_with_its_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("primary.db");
    let mut store = store(&path);
    let sql = "CREATE TABLE u(id INTEGER PRIMARY KEY)".to_string();
    let step = SchemaChange::CreateTable { table: Table { name: "u".into(), sql, ..Table::default() } };
    let mut tx = store.begin().unwrap();
    tx.alter(&step).unwrap();
    assert_eq!(tx.schema().tables.len(), 2);
    drop(tx);
    assert_eq!(store.begin().unwrap().schema().tables.len(), 1);
    let mut tx = store.begin().unwrap();
    tx.alter(&step).unwrap();
    tx.commit().unwrap();
    assert_eq!(store.begin_read().unwrap().schema().tables.len(), 2);
    // Another program changes the schema between two transactions.
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE w(id INTEGER PRIMARY KEY)").unwrap();
    assert_eq!(store.begin_read().unwrap().schema().tables.len(), 3);
}

#[test]
fn writers_wait_in_line_and_readers_see_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("primary.db");
    let mut first = store(&path);
    let connection = open_user_waiting(&path, 20).unwrap();
    let mut second = SqliteStore::new(connection, read, Box::new(Counts)).unwrap();
    let mut tx = first.begin().unwrap();
    write(&mut *tx, 1);
    let mut reader = second.begin_read().unwrap();
    assert_eq!(reader.head().unwrap().version, 0);
    tx.commit().unwrap();
    assert_eq!(reader.head().unwrap().version, 0);
    assert_eq!(reader.get(0, &vec![1.into()]).unwrap(), None);
    drop(reader);
    let tx = first.begin().unwrap();
    let error = second.begin().map(drop).unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::Unavailable, "locked"));
    drop(tx);
    let mut tx = second.begin().unwrap();
    assert_eq!(write(&mut *tx, 2), 2);
    tx.commit().unwrap();
}
