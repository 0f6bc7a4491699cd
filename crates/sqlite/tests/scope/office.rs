//! Some replicas of one primary, each with what it asks for and what it may see.
use mainstem::core::ErrorKind;
use mainstem::core::conflict::Conflict;
use mainstem::core::scope::Scope;
use mainstem::core::value::Row;
use mainstem::error::Error;
use mainstem::primary::Primary;
use mainstem::replica::Replica;
use mainstem::scoped::Scoped;
use mainstem::sync::{self, Report};
use mainstem::wiring::Around;
use mainstem_sqlite::replica::{CloneOptions, InitOptions};
use mainstem_sqlite::{SqliteReplica, open_primary};
use mainstem_testkit::between::{Between, Moment, Turn};
use mainstem_testkit::surroundings::Seeded;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What every office begins with.
pub const START: &str = "
    CREATE TABLE project(id INTEGER PRIMARY KEY, owner TEXT, name TEXT);
    CREATE TABLE task(id INTEGER PRIMARY KEY, project INTEGER REFERENCES project(id), owner TEXT, done INTEGER DEFAULT 0, what TEXT);
    CREATE TABLE note(k TEXT PRIMARY KEY, owner TEXT, body TEXT UNIQUE);
    CREATE TABLE safe(id INTEGER PRIMARY KEY, x TEXT);
    CREATE INDEX task_owner ON task(owner);
    CREATE VIEW locked AS SELECT x FROM safe;
    INSERT INTO project VALUES (1, 'bob', 'house'), (2, 'cem', 'garden');
    INSERT INTO task VALUES (1, 1, 'bob', 0, 'sweep'), (2, 1, 'cem', 0, 'cook'), (3, 2, 'bob', 1, 'plant'), (4, 2, 'ada', 0, 'mow');
    INSERT INTO note VALUES ('a', 'bob', 'first'), ('b', 'cem', 'second'), ('c', NULL, 'third');
    INSERT INTO safe VALUES (1, 'topsecret 1');";
/// Its tables.
pub const TABLES: [&str; 4] = ["project", "task", "note", "safe"];

/// Quiet progress.
pub fn quiet(_: &str, _: u64, _: u64) {}

/// Reads a scope.
pub fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

/// A folder with a primary and replicas.
pub struct Office {
    folder: TempDir,
    around: Around,
    /// What each may see; everything where nothing is said.
    pub permitted: BTreeMap<String, Scope>,
}

impl Office {
    /// A primary with ada's whole copy.
    pub fn new() -> Office {
        let office = Office { folder: tempfile::tempdir().unwrap(), around: Seeded::around(1), permitted: BTreeMap::new() };
        let first = office.path("ada");
        Connection::open(&first).unwrap().execute_batch(START).unwrap();
        SqliteReplica::init(&first, &InitOptions::default(), office.around.clone(), &mut quiet).unwrap();
        office.open("ada").publish(&office.address(), None, "ada", &mut quiet).unwrap();
        office
    }
    fn address(&self) -> PathBuf {
        self.folder.path().join("primary")
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.db"))
    }
    pub fn open(&self, name: &str) -> SqliteReplica {
        SqliteReplica::open(&self.path(name), self.around.clone()).unwrap()
    }
    /// All of the primary.
    pub fn whole(&self) -> Box<dyn Primary> {
        open_primary(&self.address(), self.around.clone()).unwrap()
    }
    /// The primary as it is shown.
    pub fn shown(&self, asked: Scope, permitted: Scope) -> Box<dyn Primary> {
        Box::new(Scoped::new(self.whole(), asked, permitted))
    }
    pub fn permitted(&self, name: &str) -> Scope {
        self.permitted.get(name).cloned().unwrap_or_default()
    }
    /// The primary as a replica is shown it.
    pub fn primary_of(&self, name: &str) -> Box<dyn Primary> {
        let asked = self.open(name).standing().unwrap().scope;
        self.shown(asked, self.permitted(name))
    }
    /// A clone that asks for a part.
    pub fn join(&self, name: &str, asked: &str) {
        let (asked, address) = (scope(asked), self.address());
        let mut primary = self.shown(asked.clone(), self.permitted(name));
        let wanted = CloneOptions { address: &address.to_string_lossy(), actor: Some(name), scope: &asked };
        SqliteReplica::clone_part(&mut *primary, &wanted, &self.path(name), self.around.clone(), &mut quiet).unwrap();
    }
    /// What a replica asks for from now on.
    pub fn ask(&self, name: &str, asked: &str) {
        self.open(name).set_scope(&scope(asked)).unwrap();
    }
    pub fn permit(&mut self, name: &str, permitted: &str) {
        self.permitted.insert(name.to_owned(), scope(permitted));
    }
    /// SQL as another program runs it. Gives how many rows it changed.
    pub fn try_sql(&self, name: &str, sql: &str) -> rusqlite::Result<usize> {
        Connection::open(self.path(name)).unwrap().execute(sql, [])
    }
    pub fn sql(&self, name: &str, sql: &str) {
        Connection::open(self.path(name)).unwrap().execute_batch(sql).unwrap();
    }
    pub fn commit(&self, name: &str) {
        self.open(name).commit(name, Some("some"), "").unwrap();
    }
    pub fn try_sync(&self, name: &str) -> mainstem::Result<Report> {
        sync::sync(&mut self.open(name), &mut *self.primary_of(name), name, &mut quiet)
    }
    /// A sync that breaks off before call number `at`, or after it, when its answer is on the way.
    pub fn sync_and_break(&self, name: &str, at: u64, when: fn(Moment) -> bool) {
        let mut calls = 0;
        let mut primary = self.primary_of(name);
        let mut between = Between::new(&mut *primary, |moment| {
            calls += u64::from(when(moment));
            match calls >= at {
                true => Err(Error::new(ErrorKind::Unavailable, "line", "the line went dead")),
                false => Ok(Turn::Once),
            }
        });
        let broken = sync::sync(&mut self.open(name), &mut between, name, &mut quiet);
        assert!(broken.is_ok() || broken.as_ref().is_err_and(|e| e.code == "line"), "{broken:?}");
    }
    pub fn sync(&self, name: &str) -> Report {
        self.try_sync(name).unwrap_or_else(|e| panic!("sync of {name}: {e:?}"))
    }
    /// Syncs all in turn until nothing moves.
    pub fn settle(&self, names: &[&str]) {
        for _ in 0..6 {
            let reports: Vec<Report> = names.iter().map(|name| self.sync(name)).collect();
            if reports.iter().all(|r| r.pushed + r.set_aside == 0 && r.pulled == 0 && !r.is_reseeded) {
                return;
            }
        }
        panic!("still moving after six rounds");
    }
    /// The first value of the first row, as text.
    pub fn value(&self, name: &str, sql: &str) -> String {
        let db = Connection::open(self.path(name)).unwrap();
        let found = db.query_row(sql, [], |row| row.get::<_, Option<String>>(0));
        found.ok().flatten().unwrap_or_default()
    }
    pub fn conflicts(&self) -> Vec<Conflict> {
        self.whole().conflicts(false).unwrap()
    }
    fn primary_db(&self) -> PathBuf {
        self.address().join("primary.db")
    }
    /// Keeps a copy of the primary as it is now, made through SQLite.
    pub fn copy_primary(&self, copy: &Path) {
        Connection::open(self.primary_db()).unwrap().execute("VACUUM INTO ?1", [copy.to_string_lossy()]).unwrap();
    }
    /// Puts the copy in the primary's place, as its owner does: a new epoch begins.
    pub fn restore(&self, copy: &Path) {
        for ending in ["", "-wal", "-shm"] {
            let mut name = self.primary_db().into_os_string();
            name.push(ending);
            let _ = std::fs::remove_file(name);
        }
        std::fs::copy(copy, self.primary_db()).unwrap();
        mainstem_sqlite::primary::open_local(&self.address(), self.around.clone()).unwrap().restored("a copy", "admin").unwrap();
    }
    /// What a replica has put aside, as text.
    pub fn aside(&self, name: &str) -> String {
        let replica = self.open(name);
        let mut told = String::new();
        for front in replica.stashes().unwrap() {
            let mut pages = replica.stash_pages(&front);
            while let Some(page) = pages.next().unwrap() {
                told += &format!("{page:?}");
            }
        }
        told
    }
    /// All rows of the primary, by table, that two scopes see.
    pub fn rows_seen(&self, asked: &Scope, permitted: &Scope) -> BTreeMap<String, Vec<Row>> {
        let mut primary = self.whole();
        let head = primary.describe().unwrap().head.version;
        let mut seen = BTreeMap::new();
        for table in TABLES {
            let mut rows: Vec<Row> = Vec::new();
            primary
                .rows(table, head, &mut |columns, row| {
                    if asked.sees(table, columns, row) && permitted.sees(table, columns, row) {
                        rows.push(row.clone());
                    }
                    Ok(())
                })
                .unwrap();
            rows.sort();
            seen.insert(table.to_owned(), rows);
        }
        seen.retain(|_, rows| !rows.is_empty());
        seen
    }
    /// All rows of a replica, by table.
    pub fn rows_of(&self, name: &str) -> BTreeMap<String, Vec<Row>> {
        let mut replica = self.open(name);
        let mut held = BTreeMap::new();
        for table in replica.schema().unwrap().tables {
            let mut rows: Vec<Row> = Vec::new();
            replica
                .rows(&table.name, &mut |_, row| {
                    rows.push(row.clone());
                    Ok(())
                })
                .unwrap();
            rows.sort();
            held.insert(table.name, rows);
        }
        held.retain(|_, rows| !rows.is_empty());
        held
    }
    /// Asserts that each replica holds exactly what it sees, and that everybody agrees on it.
    pub fn assert_seen(&self, names: &[&str]) {
        for name in names {
            let mut replica = self.open(name);
            let standing = replica.standing().unwrap();
            assert_eq!(self.rows_of(name), self.rows_seen(&standing.scope, &self.permitted(name)), "rows of {name}");
            assert_eq!(standing.unsent, 0, "{name}");
            let verified = replica.verify(Some(&mut *self.primary_of(name)), &mut quiet).unwrap();
            assert!(verified.differences.is_empty(), "{name}: {:?}", verified.differences);
        }
    }
}
