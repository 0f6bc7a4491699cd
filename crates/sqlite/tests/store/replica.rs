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

/// The simulator found it: a pull without a push before it left such cells empty, and the next push said so to everybody.
#[test]
fn a_pull_finds_a_column_that_was_renamed_here() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two, primary) = (folder.path().join("one.db"), folder.path().join("two.db"), folder.path().join("primary"));
    let quiet = &mut |_: &str, _, _| {};
    let app = |path: &Path, sql: &str| Connection::open(path).unwrap().execute_batch(sql).unwrap();
    app(&one, "CREATE TABLE tag (code TEXT PRIMARY KEY, doc TEXT)");
    SqliteReplica::init(&one, &InitOptions::default(), Seeded::around(1), quiet).unwrap();
    let mut first = SqliteReplica::open(&one, Seeded::around(2)).unwrap();
    first.publish(&primary, None, "anna", quiet).unwrap();
    let open = || mainstem_sqlite::open_primary(&primary, Seeded::around(3)).unwrap();
    SqliteReplica::clone_from(&mut *open(), "primary", &two, None, Seeded::around(4), quiet).unwrap();
    app(&one, "INSERT INTO tag VALUES ('a', 'word')");
    app(&two, "ALTER TABLE tag RENAME COLUMN doc TO text");
    mainstem::sync::push(&mut first, &mut *open(), "anna", quiet).unwrap();
    let mut second = SqliteReplica::open(&two, Seeded::around(5)).unwrap();
    mainstem::sync::pull(&mut second, &mut *open(), "ben", quiet).unwrap();
    let text = || Connection::open(&two).unwrap().query_row("SELECT text FROM tag", [], |row| row.get::<_, Option<String>>(0)).unwrap();
    assert_eq!(text().as_deref(), Some("word"));
    mainstem::sync::sync(&mut second, &mut *open(), "ben", quiet).unwrap();
    assert_eq!(text().as_deref(), Some("word"));
}
