//! A copy that asks a server for a part.
use mainstem::core::scope::Scope;
use mainstem::primary::Primary;
use mainstem::replica::Replica;
use mainstem::sync;
use mainstem::wiring::Around;
use mainstem_http::client::HttpPrimary;
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::{CloneOptions, InitOptions};
use mainstem_testkit::primary_contract::MADE_AT_MS;
use mainstem_testkit::surroundings::Seeded;
use mainstem_traffic::Served;
use rusqlite::Connection;
use std::path::Path;

fn quiet(_: &str, _: u64, _: u64) {}

fn sync_all(file: &Path, primary: &mut HttpPrimary, around: &Around) {
    let mut replica = SqliteReplica::open(file, around.clone()).expect("it opens");
    sync::sync(&mut replica, primary, "owner", &mut quiet).expect("a sync");
}

#[test]
fn a_part_comes_through_a_socket_and_stays_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let around: Around = Seeded::new(5, MADE_AT_MS);
    let served = Served::begin(&folder.path().join("served"), around.clone());
    let (whole, part) = (folder.path().join("whole.db"), folder.path().join("part.db"));
    let sql = |file: &Path, sql: &str| Connection::open(file).expect("it opens").execute_batch(sql).expect(sql);
    let value =
        |file: &Path, sql: &str| -> String { Connection::open(file).expect("it opens").query_row(sql, [], |row| row.get(0)).expect(sql) };
    sql(
        &whole,
        "CREATE TABLE task(id INTEGER PRIMARY KEY, owner TEXT, what TEXT); CREATE TABLE safe(id INTEGER PRIMARY KEY, x TEXT);
                 INSERT INTO task VALUES (1, 'ada', 'sweep'), (2, 'bob', 'cook'); INSERT INTO safe VALUES (1, 'topsecret');",
    );
    SqliteReplica::init(&whole, &InitOptions::default(), around.clone(), &mut quiet).expect("it is tracked");
    let mut replica = SqliteReplica::open(&whole, around.clone()).expect("it opens");
    replica.publish_at(&mut served.place("office"), Some("office"), "owner", &mut quiet).expect("a primary");
    drop(replica);
    let scope: Scope = "task: owner = 'bob' and what != 'né\n'".parse().expect("a scope");
    let mut asked = served.primary("office").asking(&scope);
    let address = served.address("office").to_string();
    let wanted = CloneOptions { address: &address, actor: Some("owner"), scope: &scope };
    SqliteReplica::clone_part(&mut asked, &wanted, &part, around.clone(), &mut quiet).expect("a part");
    sql(&whole, "UPDATE task SET owner = 'bob' WHERE id = 1; INSERT INTO safe VALUES (2, 'topsecret');");
    sync_all(&whole, &mut served.primary("office"), &around);
    sql(&part, "UPDATE task SET owner = 'ada' WHERE id = 2; INSERT INTO task(owner, what) VALUES ('bob', 'rest');");
    sync_all(&part, &mut asked, &around);
    sync_all(&whole, &mut served.primary("office"), &around);
    let tasks = "SELECT group_concat(owner || ' ' || what, ', ') FROM (SELECT * FROM task ORDER BY id)";
    assert_eq!(value(&part, tasks), "bob sweep, bob rest");
    assert_eq!(value(&whole, tasks), "bob sweep, ada cook, bob rest");
    let mut replica = SqliteReplica::open(&part, around.clone()).expect("it opens");
    let verified = replica.verify(Some(&mut asked), &mut quiet).expect("it is compared");
    assert!(verified.differences.is_empty(), "{:?}", verified.differences);
    let said = format!("{:?}", asked.schema().expect("a schema"));
    assert!(said.contains("task") && !said.contains("safe"), "{said}");
    drop(replica);
    let kept = std::fs::read(&part).expect("it is there");
    assert!(!kept.windows(9).any(|bytes| bytes == b"topsecret"), "nothing else was sent");
    // Another part is asked for: the rows of that one come, whatever their age.
    let other: Scope = "task\n".parse().expect("a scope");
    SqliteReplica::open(&part, around.clone()).expect("it opens").set_scope(&other).expect("it is kept");
    sync_all(&part, &mut served.primary("office").asking(&other), &around);
    assert_eq!(value(&part, tasks), value(&whole, tasks));
}
