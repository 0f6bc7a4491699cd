//! Some replicas of one primary in a folder of their own, with surroundings under a seed.
use mainstem::cleanup::Rehearsal;
use mainstem::core::conflict::Conflict;
use mainstem::primary::{Description, Primary};
use mainstem::replica::Replica;
use mainstem::sync::{self, Report};
use mainstem::wiring::Around;
use mainstem_sqlite::replica::InitOptions;
use mainstem_sqlite::{SqliteReplica, open_primary};
use mainstem_testkit::surroundings::Seeded;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What every team begins with.
pub const START: &str = "
    CREATE TABLE list(id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE task(id INTEGER PRIMARY KEY, list INTEGER REFERENCES list(id), what TEXT, done INTEGER DEFAULT 0);
    CREATE TABLE word(w TEXT PRIMARY KEY, n INTEGER UNIQUE, note TEXT);
    INSERT INTO list VALUES (1, 'home'), (2, 'work');
    INSERT INTO task(id, list, what) VALUES (1, 1, 'sweep'), (2, 1, 'cook'), (3, 2, 'write');
    INSERT INTO word VALUES ('a', 1, 'first'), ('b', 2, 'second'), ('c', 3, NULL);";

/// A folder with a primary and replicas.
pub struct Team {
    folder: TempDir,
    pub around: Around,
}

/// Quiet progress.
pub fn quiet(_: &str, _: u64, _: u64) {}

impl Team {
    /// A primary and the named replicas, all at version 1.
    pub fn new(names: &[&str]) -> Team {
        let team = Team { folder: tempfile::tempdir().unwrap(), around: Seeded::around(names.len() as u64) };
        let first = team.path(names[0]);
        Connection::open(&first).unwrap().execute_batch(START).unwrap();
        SqliteReplica::init(&first, &InitOptions::default(), team.around.clone(), &mut quiet).unwrap();
        let mut replica = team.open(names[0]);
        replica.publish(&team.primary_folder(), None, names[0], &mut quiet).unwrap();
        drop(replica);
        names[1..].iter().for_each(|name| team.join(name));
        team
    }
    /// Another clone.
    pub fn join(&self, name: &str) {
        let address = self.primary_folder();
        SqliteReplica::clone_from(
            &mut *self.primary(),
            &address.to_string_lossy(),
            &self.path(name),
            Some(name),
            self.around.clone(),
            &mut quiet,
        )
        .unwrap();
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.db"))
    }
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
    pub fn primary_folder(&self) -> PathBuf {
        self.folder.path().join("primary")
    }
    pub fn primary_db(&self) -> PathBuf {
        self.primary_folder().join("primary.db")
    }
    pub fn primary(&self) -> Box<dyn Primary> {
        open_primary(&self.primary_folder(), self.around.clone()).unwrap()
    }
    pub fn describe(&self) -> Description {
        self.primary().describe().unwrap()
    }
    pub fn open(&self, name: &str) -> SqliteReplica {
        SqliteReplica::open(&self.path(name), self.around.clone()).unwrap()
    }
    /// SQL as another program runs it.
    pub fn sql(&self, name: &str, sql: &str) {
        let db = Connection::open(self.path(name)).unwrap();
        db.execute_batch(sql).unwrap();
    }
    pub fn commit(&self, name: &str, title: &str) {
        self.open(name).commit(name, Some(title), "").unwrap();
    }
    pub fn sync(&self, name: &str) -> Report {
        self.try_sync(name).unwrap_or_else(|e| panic!("sync of {name}: {e:?}"))
    }
    pub fn try_sync(&self, name: &str) -> mainstem::Result<Report> {
        sync::sync(&mut self.open(name), &mut *self.primary(), name, &mut quiet)
    }
    /// Writes onto what all others have sent, then syncs.
    pub fn edit(&self, name: &str, sql: &str) -> Report {
        self.sync(name);
        self.sql(name, sql);
        self.sync(name)
    }
    /// Syncs all in turn until nothing moves.
    pub fn settle(&self, names: &[&str]) {
        for _ in 0..4 {
            let moved: u64 = names.iter().map(|name| self.sync(name)).map(|r| r.pushed + r.pulled + r.offered_again).sum();
            if moved == 0 {
                return;
            }
        }
        panic!("still moving after four rounds");
    }
    /// One value.
    pub fn value(&self, name: &str, sql: &str) -> String {
        one(&self.path(name), sql)
    }
    pub fn conflicts(&self, name: &str, open_only: bool) -> Vec<Conflict> {
        self.open(name).conflicts(open_only).unwrap()
    }
    /// The primary removes all that it need not keep: whoever is not at its head must begin again.
    pub fn forget(&self, policy: &str) {
        let mut primary = self.primary();
        primary.set_policy(&format!("{policy}tombstones = 0\nhistory = 0\nreplicas = 0\n"), "admin").unwrap();
        let head = primary.describe().unwrap().head.version;
        let horizon = primary.cleanup("admin", Rehearsal::Real).unwrap().collected.horizon;
        assert!(horizon == head || head == 1, "{horizon} of {head}");
    }
    /// Keeps a copy of the primary as it is now, made through SQLite.
    pub fn copy_primary(&self, to: &str) -> PathBuf {
        let copy = self.folder.path().join(to);
        Connection::open(self.primary_db()).unwrap().execute("VACUUM INTO ?1", [copy.to_string_lossy()]).unwrap();
        copy
    }
    /// Somebody puts the copy in the primary's place without telling anybody.
    pub fn put_back(&self, copy: &Path) {
        for ending in ["", "-wal", "-shm"] {
            let mut name = self.primary_db().into_os_string();
            name.push(ending);
            let _ = std::fs::remove_file(name);
        }
        std::fs::copy(copy, self.primary_db()).unwrap();
    }
    /// The same as the owner of the primary does it: a new epoch begins.
    pub fn restore(&self, copy: &Path) {
        self.put_back(copy);
        mainstem_sqlite::primary::open_local(&self.primary_folder(), self.around.clone()).unwrap().restored("a copy", "admin").unwrap();
    }
    /// Asserts that all copies are one with the primary: rows, conflicts, digests, epoch, and nothing is left to send.
    pub fn assert_one(&self, names: &[&str]) {
        let rows = rows(&self.primary_db());
        let conflicts: Vec<u64> = self.primary().conflicts(false).unwrap().iter().map(|c| c.id).collect();
        let described = self.describe();
        for name in names {
            assert_eq!(rows, self::rows(&self.path(name)), "rows of {name}");
            let mut replica = self.open(name);
            let standing = replica.standing().unwrap();
            assert_eq!((standing.unsent, standing.base_version), (0, described.head.version), "{name}");
            assert_eq!(standing.known.unwrap().epoch, described.epoch, "{name}");
            let verified = replica.verify(Some(&mut *self.primary()), &mut quiet).unwrap();
            assert!(verified.differences.is_empty(), "{name}: {:?}", verified.differences);
            let mut ours: Vec<u64> = replica.conflicts(false).unwrap().iter().map(|c| c.id).collect();
            let mut theirs = conflicts.clone();
            ours.sort_unstable();
            theirs.sort_unstable();
            assert_eq!(ours, theirs, "conflicts of {name}");
            assert_eq!(one(&self.path(name), "PRAGMA integrity_check"), "ok");
        }
        assert_eq!(one(&self.primary_db(), "PRAGMA foreign_key_check"), "");
    }
}

/// All rows as text.
pub fn rows(path: &Path) -> String {
    let list = "SELECT group_concat(quote(id) || quote(name), '; ') FROM (SELECT * FROM list ORDER BY id)";
    let task = "SELECT group_concat(id || '>' || quote(list) || quote(what) || quote(done), '; ') FROM (SELECT * FROM task ORDER BY id)";
    let word = "SELECT group_concat(quote(w) || quote(n) || quote(note), '; ') FROM (SELECT * FROM word ORDER BY w)";
    [list, task, word].map(|sql| one(path, sql)).join("\n")
}

/// The first value of the first row, as text.
pub fn one(path: &Path, sql: &str) -> String {
    let db = Connection::open(path).unwrap();
    let mut statement = db.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    let Some(row) = rows.next().unwrap() else { return String::new() };
    match row.get_ref(0).unwrap() {
        rusqlite::types::ValueRef::Null => "NULL".into(),
        rusqlite::types::ValueRef::Integer(i) => i.to_string(),
        rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        other => format!("{other:?}"),
    }
}
