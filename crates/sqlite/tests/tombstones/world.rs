//! A primary, replicas and a clock that passes only when it is told to.
use mainstem::cleanup::{Cleanup, Rehearsal};
use mainstem::core::conflict::Conflict;
use mainstem::core::event::TableDigest;
use mainstem::policy_text;
use mainstem::primary::Primary;
use mainstem::replica::Replica;
use mainstem::sync::{self, Report};
use mainstem::tombstones::{Tombstone, Wanted};
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::InitOptions;
use mainstem_testkit::surroundings::Seeded;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;

const MORNING: u64 = 1_795_170_120_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Names have keys of their own; notes are numbered and hang on a name.
pub const TABLES: &str = "
CREATE TABLE name(id TEXT PRIMARY KEY, title TEXT, stock INTEGER, is_deleted INTEGER NOT NULL DEFAULT 0);
CREATE TABLE note(id INTEGER PRIMARY KEY, name TEXT REFERENCES name(id) ON DELETE CASCADE, text TEXT);
CREATE TABLE tie(a TEXT REFERENCES name(id) ON DELETE CASCADE, b TEXT, PRIMARY KEY(a, b));
INSERT INTO name(id, title, stock) VALUES('a', 'apple', 1), ('b', 'bean', 2), ('c', 'cress', 3);
INSERT INTO note VALUES(1, 'a', 'red'), (2, 'a', 'round'), (3, 'b', 'green');
INSERT INTO tie VALUES('a', 'b'), ('b', 'c');
";

pub fn quiet(_: &str, _: u64, _: u64) {}

pub struct World {
    pub folder: tempfile::TempDir,
    pub clock: Arc<Seeded>,
    day: std::cell::Cell<u64>,
}

impl World {
    /// The tables, published by `ann`, with copies for the others.
    pub fn new(policy: &[(&str, &str)], others: &[&str]) -> World {
        let world = World { folder: tempfile::tempdir().unwrap(), clock: Seeded::new(7, MORNING), day: std::cell::Cell::new(0) };
        world.sql("ann", TABLES);
        let options = InitOptions { actor: Some("ann".into()), ..InitOptions::default() };
        SqliteReplica::init(&world.file("ann"), &options, world.clock.clone(), &mut quiet).unwrap();
        world.replica("ann").publish(&world.file("primary"), Some("world"), "ann", &mut quiet).unwrap();
        world.policy(policy);
        for who in others {
            world.clone_for(who);
        }
        world
    }

    pub fn file(&self, who: &str) -> PathBuf {
        let name = if who == "primary" { who.to_string() } else { format!("{who}.db") };
        self.folder.path().join(name)
    }

    pub fn policy(&self, lines: &[(&str, &str)]) {
        let mut text = self.primary().describe().unwrap().policy;
        for (key, value) in lines {
            text = policy_text::set(&text, key, value).unwrap();
        }
        self.primary().set_policy(&text, "ann").unwrap();
    }

    pub fn clone_for(&self, who: &str) {
        let address = self.file("primary");
        let address = address.to_str().unwrap();
        SqliteReplica::clone_from(&mut *self.primary(), address, &self.file(who), Some(who), self.clock.clone(), &mut quiet).unwrap();
    }

    pub fn sql(&self, who: &str, sql: &str) {
        let db = Connection::open(self.file(who)).unwrap();
        db.execute_batch("PRAGMA foreign_keys = ON").unwrap();
        db.execute_batch(sql).unwrap();
    }

    /// The first column of each row, in one line.
    pub fn read(&self, who: &str, sql: &str) -> String {
        let db = Connection::open(self.file(who)).unwrap();
        let mut statement = db.prepare(sql).unwrap();
        let values = statement.query_map([], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
        let shown = values.map(|value| match value.unwrap() {
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Integer(number) => number.to_string(),
            other => format!("{other:?}"),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    pub fn primary(&self) -> Box<dyn Primary> {
        mainstem_sqlite::open_primary(&self.file("primary"), self.clock.clone()).unwrap()
    }

    pub fn replica(&self, who: &str) -> SqliteReplica {
        SqliteReplica::open(&self.file(who), self.clock.clone()).unwrap()
    }

    pub fn sync(&self, who: &str) -> Report {
        sync::sync(&mut self.replica(who), &mut *self.primary(), who, &mut quiet).unwrap()
    }

    /// Lets days pass.
    pub fn days(&self, days: u64) {
        self.day.set(self.day.get() + days);
        self.clock.set_clock(MORNING + self.day.get() * DAY_MS);
    }

    /// Copies a file as another process would; no connection is open.
    pub fn copy(&self, from: &str, to: &str) {
        std::fs::copy(self.file(from), self.file(to)).unwrap();
    }

    pub fn cleanup(&self) -> Cleanup {
        self.primary().cleanup("ann", Rehearsal::Real).unwrap()
    }

    pub fn tombstones(&self, wanted: &Wanted) -> Vec<Tombstone> {
        let mut found = Vec::new();
        let mut take = |tombstone: &Tombstone| {
            found.push(tombstone.clone());
            Ok(())
        };
        self.primary().tombstones(wanted, &mut take).unwrap();
        found
    }

    /// Ids and tables, in one line.
    pub fn listed(&self, wanted: &Wanted) -> String {
        let name = |t: &Tombstone| format!("{} {}", t.id.map_or("-".to_string(), |id| id.to_string()), t.table);
        self.tombstones(wanted).iter().map(name).collect::<Vec<_>>().join(", ")
    }

    pub fn open_conflicts(&self) -> Vec<Conflict> {
        self.primary().conflicts(true).unwrap()
    }

    pub fn digests(&self) -> Vec<TableDigest> {
        self.primary().describe().unwrap().tables
    }

    /// Asserts that the copies hold what the primary holds.
    pub fn assert_alike(&self, whose: &[&str]) {
        for who in whose {
            let found = self.replica(who).verify(Some(&mut *self.primary()), &mut quiet).unwrap();
            assert!(found.differences.is_empty(), "{who}: {:?}", found.differences);
        }
    }
}
