//! Edits of a replica's own notes: each is one transaction.
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::InitOptions;
use mainstem_testkit::Seeded;
use rusqlite::Connection;
use std::path::Path;

/// How many transactions have been written to a file with a rollback journal: its header counts them.
fn transactions(path: &Path) -> u32 {
    u32::from_be_bytes(std::fs::read(path).unwrap()[24..28].try_into().unwrap())
}

#[test]
fn a_title_and_its_description_are_noted_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY)").unwrap();
    SqliteReplica::init(&path, &InitOptions::default(), Seeded::around(1), &mut |_, _, _| {}).unwrap();
    let mut replica = SqliteReplica::open(&path, Seeded::around(2)).unwrap();
    let before = transactions(&path);
    replica.begin("a title", "and why").unwrap();
    assert_eq!(replica.begun().unwrap(), Some(("a title".into(), "and why".into())));
    assert_eq!(transactions(&path), before + 1);
}
