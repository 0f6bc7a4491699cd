//! CHG-4: our changesets in the session extension's format against the extension itself, both ways, on random databases.
//!
//! Here, because only this crate may call the extension, whose functions are unsafe.
#[allow(dead_code, reason = "the measurements store changesets, which is of no use here")]
#[path = "../src/session.rs"]
mod session;

use mainstem::changeset_session::{self, Form};
use mainstem::core::change::{Change, Changeset, Edit};
use mainstem::core::condense;
use mainstem::core::format::session as format;
use mainstem::core::stamp::Time;
use mainstem::core::value::{Key, Row};
use mainstem::primary::Pages;
use mainstem::replica::{Replica, Since};
use mainstem::wiring::{Around, RealSurroundings};
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::InitOptions;
use rusqlite::{Connection, ffi};
use session::Session;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::sync::Arc;

/// Small seeded numbers (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }
}

const TABLES: &str = "
    CREATE TABLE t(k INTEGER PRIMARY KEY, a, b, c);
    CREATE TABLE u(a TEXT, k TEXT NOT NULL PRIMARY KEY, b REAL, c AS (b || a), d INTEGER);
    CREATE TABLE w(b, second NOT NULL, a, first NOT NULL, PRIMARY KEY(first, second)) WITHOUT ROWID;
    CREATE TABLE child(k INTEGER PRIMARY KEY, parent INTEGER REFERENCES t(k) ON DELETE CASCADE ON UPDATE CASCADE, a);
    CREATE TABLE \"an odd \"\"name\"(a, \"and a column\" BLOB NOT NULL PRIMARY KEY);";

// No 0.0 beside -0.0: the extension takes an update from one to the other for none.
const VALUES: [&str; 18] = [
    "NULL",
    "1",
    "2",
    "-1",
    "9223372036854775807",
    "-9223372036854775807 - 1",
    "127",
    "1.5",
    "-0.0",
    "9e999",
    "1e300",
    "''",
    "'é🎵'",
    "cast(x'610062' AS TEXT)",
    "cast(zeroblob(200) AS TEXT)",
    "zeroblob(300)",
    "x''",
    "x'00ff'",
];
const KEYS: [&str; 9] = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];

fn edit(dice: &mut Dice) -> String {
    let (v, w, k, l) = (dice.of(&VALUES), dice.of(&VALUES), dice.of(&KEYS), dice.of(&KEYS));
    match dice.below(16) {
        0 | 1 => format!("INSERT OR IGNORE INTO t VALUES({k}, {v}, {w}, 1)"),
        2 => format!("INSERT OR REPLACE INTO t VALUES({k}, {v}, NULL, {w})"),
        3 => format!("UPDATE t SET a = {v} WHERE k = {k}"),
        4 => format!("UPDATE t SET b = {v}, c = {w} WHERE k >= {k}"),
        5 => format!("DELETE FROM t WHERE k = {k}"),
        6 => format!("UPDATE OR IGNORE t SET k = {l} WHERE k = {k}"),
        7 => format!("INSERT OR REPLACE INTO u(a, k, b, d) VALUES({v}, 'a{k}', {w}, {k})"),
        8 => format!("UPDATE u SET a = {v}, d = {w} WHERE k = 'a{k}'"),
        9 => format!("UPDATE OR REPLACE u SET k = upper(k) WHERE d = {k}"),
        10 => format!("DELETE FROM u WHERE d = {k}"),
        11 => format!("INSERT OR IGNORE INTO w VALUES({v}, {k}, {w}, 'f' || {l})"),
        12 => format!("UPDATE w SET a = {v} WHERE second = {k}"),
        13 => format!("DELETE FROM w WHERE second = {k} AND first = 'f' || {l}"),
        14 => format!("INSERT OR REPLACE INTO child SELECT {k}, k, {v} FROM t WHERE k = {l}"),
        _ => format!("INSERT OR REPLACE INTO \"an odd \"\"name\" VALUES({v}, CAST('{k}' AS BLOB))"),
    }
}

fn around() -> Around {
    Arc::new(RealSurroundings)
}

fn app(path: &Path) -> Connection {
    let conn = Connection::open(path).expect("the folder is ours");
    conn.execute_batch("PRAGMA foreign_keys = ON; PRAGMA synchronous = OFF").expect("plain pragmas");
    conn
}

/// Every row of every table, to the bit.
fn rows(conn: &Connection) -> BTreeMap<String, Vec<String>> {
    let read = mainstem_sqlite::schema::read(conn).expect("sound");
    let mut all = BTreeMap::new();
    for table in &read.schema.tables {
        let quoted: Vec<String> = table.columns.iter().map(|c| format!("quote(\"{}\")", c.name)).collect();
        let sql = format!("SELECT {} FROM \"{}\" ORDER BY 1", quoted.join(" || ',' || "), table.name.replace('"', "\"\""));
        let mut statement = conn.prepare(&sql).expect("plain");
        let found = statement.query_map([], |row| row.get(0)).expect("plain").collect::<rusqlite::Result<Vec<String>>>();
        all.insert(table.name.clone(), found.expect("text"));
    }
    all
}

/// A world: the rows that all start from, and places for copies.
struct World {
    folder: tempfile::TempDir,
    start: Vec<String>,
    encoding: &'static str,
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    /// A database with the rows to start from.
    fn plain(&self, name: &str) -> Connection {
        let conn = app(&self.path(name));
        conn.execute_batch(&format!("PRAGMA encoding = '{}'; {TABLES}", self.encoding)).expect("plain tables");
        run(&conn, &self.start);
        conn
    }
    fn tracked(&self, name: &str) -> (Connection, SqliteReplica) {
        drop(self.plain(name));
        let options = InitOptions { actor: Some("ada".into()), ..InitOptions::default() };
        SqliteReplica::init(&self.path(name), &options, around(), &mut |_, _, _| {}).expect("plain tables can be tracked");
        (app(&self.path(name)), SqliteReplica::open(&self.path(name), around()).expect("it is tracked"))
    }
}

fn run(conn: &Connection, edits: &[String]) {
    for sql in edits {
        // What a NOT NULL or a foreign key refuses, it refuses everywhere.
        let _ = conn.execute_batch(sql);
    }
}

/// Net changes since the last commit.
fn changes(replica: &mut SqliteReplica) -> Changeset {
    let mut whole = Changeset::default();
    let visit = &mut |shape: &_, change: &Change| {
        let shapes = &mut whole.front.shapes;
        let table = shapes.iter().position(|s| s == shape).unwrap_or_else(|| {
            shapes.push(mainstem::core::change::Shape::clone(shape));
            shapes.len() - 1
        });
        whole.changes.push(Change { table, ..change.clone() });
        Ok(())
    };
    replica.changes(Since::Commit, visit).expect("it can be read");
    whole.front.count = whole.changes.len() as u64;
    whole
}

/// Changes as one page, and whether it was given.
struct Page(Vec<Change>, bool);

impl Pages for Page {
    fn next(&mut self) -> mainstem::Result<Option<Vec<Change>>> {
        Ok((!std::mem::replace(&mut self.1, true)).then(|| self.0.clone()))
    }
    fn rewind(&mut self) -> mainstem::Result<()> {
        self.1 = false;
        Ok(())
    }
}

fn bytes(form: Form, whole: &Changeset) -> Vec<u8> {
    let mut out = Vec::new();
    changeset_session::export(form, &whole.front.shapes, &mut Page(whole.changes.clone(), false), &mut out).expect("memory takes all");
    out
}

/// The rows of a table that a patchset asks for.
fn import(replica: &mut SqliteReplica, bytes: &[u8]) -> Changeset {
    let schema = replica.schema().expect("it is tracked");
    let present = &mut |table: &mainstem::core::schema::Table, keys: &std::collections::BTreeSet<Key>| {
        let mut found: BTreeMap<Key, Row> = BTreeMap::new();
        replica.rows(&table.name, &mut |_, row| {
            found.insert(table.key_of(row), row.clone());
            Ok(())
        })?;
        found.retain(|key, _| keys.contains(key));
        Ok(found)
    };
    let imported = changeset_session::import(bytes, &schema, Time::from_ms(1), present).expect("the extension wrote it");
    let whole = imported.changeset;
    let (_, conflicts) = replica.import(&whole.front, &mut Page(whole.changes.clone(), false)).expect("nothing stands against it");
    assert!(conflicts.is_empty(), "{conflicts:?}");
    whole
}

/// What a file says, whatever order it says it in, and whoever made the change.
fn told(bytes: &[u8]) -> Vec<String> {
    let (_, runs) = format::decode(bytes).expect("sound");
    let told = |run: &format::Run| {
        let name = run.head.clone();
        run.changes.iter().map(move |change| format!("{name:?} {:?}", change.act)).collect::<Vec<_>>()
    };
    let mut all: Vec<String> = runs.iter().flat_map(told).collect();
    all.sort();
    all
}

fn differing(ours: &[u8], theirs: &[u8]) -> Option<String> {
    let (ours, theirs) = (told(ours), told(theirs));
    let only = |these: &[String], those: &[String]| these.iter().filter(|one| !those.contains(one)).cloned().collect::<Vec<_>>();
    (ours != theirs).then(|| format!("only ours: {:#?}\nonly theirs: {:#?}", only(&ours, &theirs), only(&theirs, &ours)))
}

/// Bytes that the extension made, taken over.
fn taken(code: c_int, size: c_int, bytes: *mut c_void) -> Vec<u8> {
    assert_eq!(code, ffi::SQLITE_OK);
    // SAFETY: the extension says how many bytes there are, and they are ours until they are freed here.
    unsafe {
        let copy = if size == 0 { Vec::new() } else { std::slice::from_raw_parts(bytes.cast::<u8>(), size as usize).to_vec() };
        ffi::sqlite3_free(bytes);
        copy
    }
}

fn inverted(bytes: &[u8]) -> Vec<u8> {
    let (mut size, mut out) = (0, null_mut());
    // SAFETY: the input outlives the call and is not written to; the output is taken over.
    let code = unsafe { ffi::sqlite3changeset_invert(bytes.len() as c_int, bytes.as_ptr().cast(), &mut size, &mut out) };
    taken(code, size, out)
}

/// One after the other, as `sqlite3changegroup` combines them.
fn grouped(parts: &[&[u8]]) -> Vec<u8> {
    let (mut group, mut size, mut out) = (null_mut(), 0, null_mut());
    // SAFETY: the group lives from its creation to its deletion here; the inputs outlive the calls.
    unsafe {
        assert_eq!(ffi::sqlite3changegroup_new(&mut group), ffi::SQLITE_OK);
        for part in parts {
            let copy = part.as_ptr().cast_mut().cast();
            assert_eq!(ffi::sqlite3changegroup_add(group, part.len() as c_int, copy), ffi::SQLITE_OK);
        }
        let code = ffi::sqlite3changegroup_output(group, &mut size, &mut out);
        ffi::sqlite3changegroup_delete(group);
        taken(code, size, out)
    }
}

fn apply(conn: &Connection, bytes: &[u8]) {
    // What the actions of links did is told row by row; they must not act again.
    conn.execute_batch("PRAGMA foreign_keys = OFF").expect("no transaction is open");
    assert_eq!(session::try_apply(conn, &mut bytes.to_vec()), ffi::SQLITE_OK);
}

/// One seed: edits in two halves, told by the extension and by us.
fn compare(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut edits = |n: u64| (0..n).map(|_| edit(&mut dice)).collect::<Vec<_>>();
    let start = edits(30);
    let [first, second] = [edits(15), edits(15)];
    let encoding = ["UTF-8", "UTF-16le", "UTF-16be"][(seed % 3) as usize];
    let world = World { folder: tempfile::tempdir().expect("there is room"), start, encoding };

    let plain = world.plain("recorded.db");
    let before = rows(&plain);
    let mut theirs = Vec::new();
    let mut patches = Vec::new();
    let all = Session::begin(&plain);
    for edits in [&first, &second] {
        let recording = Session::begin(&plain);
        run(&plain, edits);
        patches.push(recording.take(ffi::sqlite3session_patchset));
        theirs.push(recording.changeset());
    }
    let (their_patch, their_all) = (all.take(ffi::sqlite3session_patchset), all.changeset());
    let after = rows(&plain);
    drop(all);
    drop(plain);

    let (app, mut replica) = world.tracked("tracked.db");
    run(&app, &first);
    let first_half = changes(&mut replica);
    replica.commit("ada", None, "").expect("it can be closed");
    run(&app, &second);
    let second_half = changes(&mut replica);
    assert_eq!(rows(&app), after, "seed {seed}: the edits did the same everywhere");
    let whole = condense::combine(&[first_half.clone(), second_half.clone()]).expect("one after the other");

    for (ours, theirs) in [(&first_half, &theirs[0]), (&second_half, &theirs[1]), (&whole, &their_all)] {
        assert_eq!(differing(&bytes(Form::Changeset, ours), theirs), None, "seed {seed}");
        let (form, runs) = format::decode(theirs).expect("the extension wrote it");
        assert_eq!(&format::encode(form, &runs), theirs, "seed {seed}: byte for byte");
        let undone = condense::invert(ours).expect("no schema steps");
        assert_eq!(differing(&bytes(Form::Changeset, &undone), &inverted(theirs)), None, "seed {seed}: inverted");
    }
    assert_eq!(differing(&bytes(Form::Changeset, &whole), &grouped(&[&theirs[0], &theirs[1]])), None, "seed {seed}: combined");
    assert_eq!(differing(&bytes(Form::Patchset, &whole), &their_patch), None, "seed {seed}: as a patchset");
    let (form, runs) = format::decode(&their_patch).expect("the extension wrote it");
    assert_eq!(format::encode(form, &runs), their_patch, "seed {seed}: byte for byte");

    for (name, form) in [("applied.db", Form::Changeset), ("patched.db", Form::Patchset)] {
        let conn = world.plain(name);
        apply(&conn, &bytes(form, &whole));
        assert_eq!(rows(&conn), after, "seed {seed}: ours, applied by the extension");
    }
    let conn = world.plain("halves.db");
    apply(&conn, &[bytes(Form::Changeset, &first_half), bytes(Form::Changeset, &second_half)].concat());
    let undone = bytes(Form::Changeset, &condense::invert(&whole).expect("no schema steps"));
    apply(&conn, &undone);
    assert_eq!(rows(&conn), before, "seed {seed}: there and back");
    for (name, theirs) in [("changeset.db", &their_all), ("patchset.db", &their_patch), ("both.db", &theirs.concat())] {
        let (app, mut replica) = world.tracked(name);
        import(&mut replica, theirs);
        assert_eq!(rows(&app), after, "seed {seed}: {name}, theirs, taken in by us");
        let back = changes(&mut replica);
        assert_eq!(differing(&bytes(Form::Changeset, &back), &their_all), None, "seed {seed}: {name}, captured again");
    }
    assert!(whole.changes.iter().all(|change| !matches!(&change.edit, Edit::Update(cells) if cells.is_empty())));
}

#[test]
fn random_databases_say_the_same_as_the_extension() {
    let seeds: u64 = std::env::var("MAINSTEM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let first: u64 = std::env::var("MAINSTEM_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    for seed in first..first + seeds {
        compare(seed);
    }
}

/// The extension tells such an update as an update of the key and an insert, which nobody can apply, itself included.
#[test]
fn a_key_that_stays_equal_under_its_collation_is_refused_by_name() {
    let start =
        ["CREATE TABLE n(k TEXT PRIMARY KEY COLLATE NOCASE NOT NULL, a, b); INSERT INTO n VALUES('ada', 1, 2), ('bob', 3, 4)".into()];
    let world = World { folder: tempfile::tempdir().expect("there is room"), start: start.to_vec(), encoding: "UTF-8" };
    let edits = ["UPDATE n SET k = 'ADA', a = 5 WHERE k = 'ada'".into()];
    let plain = world.plain("recorded.db");
    let recording = Session::begin(&plain);
    run(&plain, &edits);
    let theirs = recording.changeset();
    drop(recording);
    assert_eq!(session::try_apply(&world.plain("refused.db"), &mut theirs.clone()), ffi::SQLITE_ABORT);
    let (app, mut replica) = world.tracked("tracked.db");
    let schema = replica.schema().expect("it is tracked");
    let error =
        changeset_session::import(&theirs, &schema, Time::from_ms(1), &mut |_, _| Ok(BTreeMap::new())).expect_err("its key changes");
    assert!(error.message.contains("update of n, column k"), "{error}");
    run(&app, &edits);
    let ours = changes(&mut replica);
    let conn = world.plain("applied.db");
    apply(&conn, &bytes(Form::Changeset, &ours));
    assert_eq!(rows(&conn), rows(&plain), "ours, applied by the extension");
}
