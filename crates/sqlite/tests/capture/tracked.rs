//! A tracked file, the programs that write to it, and the oracle.
use mainstem::core::schema::Table;
use mainstem::core::value::{Key, Row, Value};
use mainstem_sqlite::capture::{self, NetChange};
use mainstem_sqlite::{connection, schema};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

/// The rows of every tracked table, by table and key.
pub type State = BTreeMap<String, BTreeMap<Key, Row>>;

/// Who runs the statements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Program {
    Bundled,
    Shell,
    Python,
}

pub const PROGRAMS: [Program; 3] = [Program::Bundled, Program::Shell, Program::Python];

pub struct Tracked {
    _folder: tempfile::TempDir,
    pub path: PathBuf,
    pub base: State,
}

impl Tracked {
    /// A file made by `setup` and tracked from then on.
    pub fn new(setup: &str) -> Self {
        let mut tracked = Self::untracked(setup);
        tracked.install();
        tracked
    }

    /// A file made by `setup`.
    pub fn untracked(setup: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let app = Connection::open(&path).unwrap();
        app.execute_batch(setup).unwrap();
        drop(app);
        Tracked { _folder: folder, path, base: State::new() }
    }

    pub fn install(&mut self) {
        let conn = self.ours();
        let read = schema::read(&conn).unwrap();
        capture::install(&conn, &read.schema.tables, true).unwrap();
        self.base = state(&conn);
    }

    /// A connection as Mainstem opens it.
    pub fn ours(&self) -> Connection {
        let conn = Connection::open(&self.path).unwrap();
        connection::triggers_off(&conn).unwrap();
        conn
    }

    /// A connection as an app opens it.
    pub fn app(&self) -> Connection {
        Connection::open(&self.path).unwrap()
    }

    /// Runs statements; every one must succeed.
    pub fn run(&self, program: Program, sql: &str) {
        match program {
            Program::Bundled => self.app().execute_batch(sql).unwrap_or_else(|e| panic!("{e}\n{sql}")),
            Program::Shell => {
                let done = Command::new("sqlite3").arg("-bail").arg(&self.path).arg(sql).output().unwrap();
                assert!(done.status.success(), "{}\n{sql}", String::from_utf8_lossy(&done.stderr));
            }
            Program::Python => {
                let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.executescript(sys.argv[2])";
                let done = Command::new("python3").arg("-c").arg(script).arg(&self.path).arg(sql).output().unwrap();
                assert!(done.status.success(), "{}\n{sql}", String::from_utf8_lossy(&done.stderr));
            }
        }
    }

    /// The net changes.
    pub fn changes(&self) -> Vec<(Table, NetChange)> {
        let mut found = Vec::new();
        capture::condense(&self.ours(), None, &mut |table, change| {
            found.push((table.clone(), change));
            Ok(())
        })
        .unwrap();
        found
    }

    /// The oracle: the base with the net changes is what the tables hold.
    #[track_caller]
    pub fn check(&self) -> Vec<(Table, NetChange)> {
        let changes = self.changes();
        let mut replica = self.base.clone();
        for (table, change) in &changes {
            apply(replica.entry(table.name.clone()).or_default(), table, change);
        }
        let now = state(&self.ours());
        replica.retain(|_, rows| !rows.is_empty());
        let mut expected = now.clone();
        expected.retain(|_, rows| !rows.is_empty());
        assert_eq!(replica, expected);
        changes
    }

    /// Takes what is there as the new base.
    pub fn commit(&mut self) {
        let conn = self.ours();
        capture::clear(&conn, capture::end(&conn).unwrap()).unwrap();
        self.base = state(&conn);
    }
}

#[track_caller]
fn apply(rows: &mut BTreeMap<Key, Row>, table: &Table, change: &NetChange) {
    let held = rows.get(&change.key);
    let mut before = change.before.clone();
    if let (Some(before), Some(held)) = (&mut before, held) {
        change.unknown_before.iter().for_each(|&i| before[i] = held[i].clone());
    }
    assert_eq!(held, before.as_ref(), "the row before, in {}", table.name);
    assert_ne!((&change.before, change.unknown_before.is_empty()), (&change.after, true), "a change that changes nothing");
    if let Some(from) = &change.moved_from {
        assert_ne!(from, &change.key);
    }
    match &change.after {
        Some(row) => {
            assert_eq!(table.key_of(row), change.key);
            rows.insert(change.key.clone(), row.clone());
        }
        None => {
            rows.remove(&change.key).unwrap();
        }
    }
}

/// Every tracked-able table's rows, read without Mainstem.
pub fn state(conn: &Connection) -> State {
    schema::read(conn).unwrap().schema.tables.iter().map(|table| (table.name.clone(), rows(conn, table))).collect()
}

pub fn rows(conn: &Connection, table: &Table) -> BTreeMap<Key, Row> {
    let names: Vec<String> = table.columns.iter().map(|c| format!("\"{}\"", c.name.replace('"', "\"\""))).collect();
    let sql = format!("SELECT {} FROM main.\"{}\"", names.join(","), table.name.replace('"', "\"\""));
    let mut statement = conn.prepare(&sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next().unwrap() {
        let row: Row = (0..table.columns.len()).map(|i| value(row.get_ref(i).unwrap())).collect();
        let key = table.key_of(&row);
        if !key.iter().any(Value::is_null) {
            found.insert(key, row);
        }
    }
    found
}

pub fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(i) => Value::Integer(i),
        ValueRef::Real(r) => Value::Real(r),
        ValueRef::Text(b) => Value::Text(b.to_vec()),
        ValueRef::Blob(b) => Value::Blob(b.to_vec()),
    }
}
