//! Condensing within a small budget, which a caller cannot ask for.
#![allow(clippy::unwrap_used, reason = "a failure fails the test")]
use super::condense::condense_within;
use super::*;
use crate::schema;
use rusqlite::Connection;

type Told = (String, NetChange);

fn told(conn: &Connection, budget: usize) -> Vec<Told> {
    let mut all = Vec::new();
    condense_within(conn, None, budget, &mut |table, change| {
        all.push((table.name.clone(), change));
        Ok(())
    })
    .expect("healed");
    all
}

#[test]
fn memory_is_bounded_and_the_result_is_the_same() {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch(
        "PRAGMA foreign_keys = OFF; CREATE TABLE child(id INTEGER PRIMARY KEY, p REFERENCES parent, v); CREATE TABLE parent(k TEXT PRIMARY KEY, v);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
         INSERT INTO parent SELECT 'p' || i, i FROM n; INSERT INTO child SELECT v, k, v FROM parent",
    )
    .unwrap();
    install(&conn, &schema::read(&conn).unwrap().schema.tables, true).unwrap();
    conn.execute_batch(
        "UPDATE parent SET v = v + 1 WHERE v % 2; UPDATE child SET id = id + 5000 WHERE id % 3 = 0;
         DELETE FROM child WHERE id % 5 = 0; DELETE FROM parent WHERE v % 7 = 0; INSERT INTO child(v) SELECT v FROM parent;
         UPDATE child SET v = 0 WHERE id < 200",
    )
    .unwrap();
    let whole = told(&conn, usize::MAX);
    assert!(whole.len() > 1_000);
    for budget in [20_000, 100_000, 200_000] {
        let pieces = told(&conn, budget);
        let phase = |(table, change): &Told| (change.after.is_some(), (table == "child") == change.after.is_some());
        assert!(pieces.is_sorted_by_key(phase), "deletions first, children before parents, then parents before children");
        let sorted = |mut all: Vec<Told>| {
            all.sort_by(|(t, a), (u, b)| (t, &a.key).cmp(&(u, &b.key)));
            all
        };
        assert_eq!(sorted(pieces), sorted(whole.clone()));
    }
}
