//! A small real replica and its primary, put back to one state before each input.
use mainstem::primary::{Acquaintance, Primary};
use mainstem::replica::Standing;
use mainstem::sync;
use mainstem::wiring::Around;
use mainstem_core::ErrorKind;
use mainstem_core::schema::Schema;
use mainstem_core::value::{Row, Value};
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::InitOptions;
use mainstem_testkit::Seeded;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const TABLES: &str = "
    CREATE TABLE t(k INTEGER PRIMARY KEY, a, b TEXT UNIQUE, c CHECK (c IS NOT 13), d DEFAULT 'd');
    CREATE TABLE child(k INTEGER PRIMARY KEY, t INTEGER REFERENCES t(k) ON DELETE CASCADE, n NOT NULL DEFAULT 1);
    CREATE TABLE pair(x, l, r REFERENCES keys(k), PRIMARY KEY(r, l)) WITHOUT ROWID;
    CREATE TABLE keys(k TEXT PRIMARY KEY COLLATE NOCASE NOT NULL, v REAL, g AS (v || k));
    CREATE UNIQUE INDEX both ON t(a, c);
    INSERT INTO t VALUES(1, 'one', 'u', 1, 'a b c'), (2, 2, 'v', NULL, 5), (3, x'00', NULL, 2.5, '[1, 2]');
    INSERT INTO child VALUES(1, 1, 'x'), (2, 1, 2), (3, 2, -0.0), (4, NULL, 3);
    INSERT INTO keys VALUES('a', 1), ('b', NULL), ('c', 9e999);
    INSERT INTO pair VALUES(1, 'l', 'a'), (NULL, 2, 'b');";
const POLICY: &str = "[tables.t.columns.a]\nstrategy = \"text\"\n[tables.t.columns.d]\nstrategy = \"list\"\n\
                      [tables.child.columns.n]\nstrategy = \"counter\"\n[tables.keys]\ndeletes = \"update-wins\"\n";
const THEIRS: &str = "UPDATE t SET a = 'one more', b = 'w', d = 'a b c d' WHERE k = 1; INSERT INTO t(k, b) VALUES(4, 'new');
    INSERT INTO child VALUES(5, 4, 9); DELETE FROM child WHERE k = 3; UPDATE keys SET v = 2 WHERE k = 'c'";
const OURS: &str = "UPDATE t SET a = 'the one' WHERE k = 1; INSERT INTO t(k, b) VALUES(4, 'ours'); INSERT INTO child VALUES(6, 4, 9);
    DELETE FROM pair WHERE x = 1; UPDATE keys SET v = 3 WHERE k = 'c'";

/// Rows of every table, as they are read.
pub type Rows = BTreeMap<String, Vec<Row>>;

/// A replica with unsent work, and a primary that is one version ahead of it.
pub struct Stage {
    folder: tempfile::TempDir,
    kept: Vec<(PathBuf, Vec<u8>)>,
    around: Around,
}

thread_local! {
    static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
}

/// Runs `act` on the stage as it was set.
pub fn on_stage<T>(act: impl FnOnce(&Stage) -> T) -> T {
    STAGE.with_borrow_mut(|kept| {
        let stage = kept.get_or_insert_with(Stage::set);
        // The same time and randomness for every input, other than those that the stage was set with.
        stage.around = Seeded::around(2);
        stage.put_back();
        act(stage)
    })
}

impl Stage {
    fn set() -> Stage {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let mut stage = Stage { folder: folder.expect("there is room"), kept: Vec::new(), around: Seeded::around(1) };
        stage.app("a.db").execute_batch(TABLES).expect("plain tables");
        let options = InitOptions { actor: Some("ann".into()), ..InitOptions::default() };
        SqliteReplica::init(&stage.path("a.db"), &options, stage.around.clone(), &mut quiet).expect("plain tables can be tracked");
        let mut ann = stage.replica();
        ann.set_policy(POLICY).expect("a policy");
        ann.publish(&stage.path("primary"), None, "ann", &mut quiet).expect("the folder is empty");
        let bob = stage.path("b.db");
        let address = stage.path("primary").to_string_lossy().into_owned();
        SqliteReplica::clone_from(&mut *stage.primary(), &address, &bob, Some("bob"), stage.around.clone(), &mut quiet)
            .expect("no such file yet");
        stage.app("b.db").execute_batch(THEIRS).expect("plain statements");
        let mut bob = SqliteReplica::open(&bob, stage.around.clone()).expect("it was cloned");
        sync::push(&mut bob, &mut *stage.primary(), "bob", &mut quiet).expect("nobody else pushed");
        stage.app("a.db").execute_batch(OURS).expect("plain statements");
        drop((ann, bob));
        for name in ["a.db", "primary/primary.db"] {
            // All is in the one file once nobody has it open.
            stage.app(name).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("nobody else has it open");
            stage.kept.push((stage.path(name), std::fs::read(stage.path(name)).expect("it is there")));
        }
        stage
    }
    fn put_back(&self) {
        for (path, bytes) in &self.kept {
            for end in ["-wal", "-shm", "-journal"] {
                let _ = std::fs::remove_file(format!("{}{end}", path.display()));
            }
            std::fs::write(path, bytes).expect("there is room");
        }
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    /// A connection as an app opens it.
    pub fn app(&self, name: &str) -> Connection {
        let conn = Connection::open(self.path(name)).expect("the folder is ours");
        conn.execute_batch("PRAGMA foreign_keys = ON").expect("a plain pragma");
        conn
    }
    pub fn replica(&self) -> SqliteReplica {
        SqliteReplica::open(&self.path("a.db"), self.around.clone()).expect("it is tracked")
    }
    pub fn primary(&self) -> Box<dyn Primary> {
        mainstem_sqlite::open_primary(&self.path("primary"), self.around.clone()).expect("it was published")
    }
    /// The rows of the user's tables in a file.
    pub fn rows(&self, name: &str) -> Rows {
        let conn = self.app(name);
        let schema = mainstem_sqlite::schema::read(&conn).expect("it can be read").schema;
        let mut all = Rows::new();
        for table in &schema.tables {
            all.insert(table.name.clone(), rows(&conn, &schema, &table.name));
        }
        all
    }
    /// SQLite finds the file whole.
    pub fn assert_whole(&self, name: &str) {
        let whole: String = self.app(name).query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a plain pragma");
        assert_eq!(whole, "ok", "{name}");
    }
    /// The same, and every link leads somewhere.
    pub fn assert_sound(&self, name: &str) {
        self.assert_whole(name);
        let conn = self.app(name);
        let mut broken = conn.prepare("PRAGMA foreign_key_check").expect("a plain pragma");
        let broken = broken.query_map([], |row| row.get::<_, String>(0)).expect("a plain pragma").collect::<Result<Vec<_>, _>>();
        assert_eq!(broken.expect("names"), Vec::<String>::new(), "{name}: links that lead nowhere");
    }
}

fn rows(conn: &Connection, schema: &Schema, name: &str) -> Vec<Row> {
    let table = schema.table(name).expect("it was read");
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let columns: Vec<String> = table.columns.iter().map(|column| quoted(&column.name)).collect();
    let mut statement = conn.prepare(&format!("SELECT {} FROM {}", columns.join(","), quoted(name))).expect("plain");
    let mut found = statement.query([]).expect("plain");
    let mut rows = Vec::new();
    while let Some(row) = found.next().expect("plain") {
        rows.push((0..columns.len()).map(|at| value(row.get_ref(at).expect("a column"))).collect());
    }
    rows.sort();
    rows
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(bytes) => Value::Text(bytes.to_vec()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

pub fn quiet(_: &str, _: u64, _: u64) {}

/// What the primary is to whoever pushes.
pub fn acquaintance(standing: &Standing) -> Acquaintance {
    standing.known.expect("it was published")
}

/// A refusal is fine; a bug of ours is not.
pub fn refused<T>(done: mainstem::Result<T>) -> Option<T> {
    match done {
        Ok(done) => Some(done),
        Err(e) => {
            assert_ne!(e.kind, ErrorKind::Internal, "{e:?}");
            None
        }
    }
}
