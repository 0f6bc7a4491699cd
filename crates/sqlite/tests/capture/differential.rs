//! A15, A11, A13, I-30, I-31: the same random statements with and without tracking give the same results, errors, counts and
//! rows, by the bundled SQLite and by the system's, and the net changes are exactly the difference.
//!
//! `total_changes()` is not compared: SQLite counts there what triggers do, and capture is triggers.
mod statements;
mod world;

use crate::tracked::{State, Tracked, rows, state, value};
use mainstem::core::value::Value;
use mainstem_sqlite::{capture, schema};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::process::Command;
use world::{World, is_alter};

/// A small generator with a fixed seed (xorshift, Marsaglia 2003).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }
}

/// Whose SQLite runs the statements.
#[derive(Clone, Copy, Debug)]
enum Version {
    Bundled,
    System,
}

/// Statements in one world.
const STATEMENTS: usize = 400;

/// Everything an app can see of a statement.
fn seen(conn: &Connection, sql: &str) -> String {
    if is_alter(sql) && !conn.is_autocommit() {
        conn.execute_batch("ROLLBACK").unwrap();
    }
    let outcome = (|| -> rusqlite::Result<Vec<Vec<Value>>> {
        let mut prepared = conn.prepare(sql)?;
        let columns = prepared.column_count();
        let mut rows = prepared.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push((0..columns).map(|i| value(row.get_ref(i).unwrap())).collect());
        }
        Ok(found)
    })();
    // VACUUM leaves in last_insert_rowid() whatever row it copied last, ours among them.
    if outcome.is_err() || sql == "VACUUM" {
        // What a failed INSERT leaves in last_insert_rowid() is documented as unchanged, yet SQLite changes it when a
        // foreign key fails on a table without triggers. Both sides start again from one number.
        conn.execute_batch("INSERT OR REPLACE INTO temp.scratch VALUES (7)").unwrap();
    }
    let is_too_deep = |e: &rusqlite::Error| e.to_string().contains("triggers nested too deep");
    if outcome.as_ref().is_err_and(is_too_deep) && !conn.is_autocommit() {
        // See LIMITS: what such a statement wrote before it failed is taken back only where there is a trigger.
        conn.execute_batch("ROLLBACK").unwrap();
    }
    // With its extended code.
    let outcome = outcome.map_err(|e| format!("{e:?}"));
    format!("{outcome:?} {} {} {}", conn.changes(), conn.last_insert_rowid(), conn.is_autocommit())
}

/// A connection with the world's settings.
fn enter(conn: Connection, world: &World) -> Connection {
    for sql in &world.settings {
        conn.execute_batch(sql).unwrap_or_else(|e| panic!("{e}: {sql}"));
    }
    if world.is_strict {
        for (config, on) in [
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
            (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        ] {
            conn.set_db_config(config, on).unwrap();
        }
    }
    conn
}

/// Runs the tape on both files, and says where an app could tell them apart.
fn run(version: Version, world: &World, tracked: &Tracked, plain: &Tracked) -> Result<(), String> {
    if matches!(version, Version::System) {
        let tape = tracked.path.with_extension("json");
        std::fs::write(&tape, json(world)).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/capture/differential/other.py");
        let done = Command::new("python3").arg(script).args([&tracked.path, &plain.path, &tape]).output().unwrap();
        let said = [done.stdout, done.stderr].concat();
        return if said.is_empty() { Ok(()) } else { Err(String::from_utf8_lossy(&said).into_owned()) };
    }
    let (app, other) = (enter(tracked.app(), world), enter(plain.app(), world));
    for (n, sql) in world.tape.iter().enumerate() {
        let (one, two) = (seen(&app, sql), seen(&other, sql));
        if one != two {
            return Err(format!("statement {n}: {sql}\ntracked: {one}\nplain: {two}"));
        }
    }
    for conn in [&app, &other] {
        conn.execute_batch("ROLLBACK").ok();
    }
    Ok(())
}

/// The world for the system's SQLite. With `recursive_triggers` and any DELETE trigger, 3.40 takes a unique value that an UPDATE OR
/// REPLACE leaves as it is for taken.
fn json(world: &World) -> String {
    let told =
        |all: &[String]| all.iter().filter(|sql| !sql.contains("recursive_triggers")).map(|sql| format!("{sql:?}")).collect::<Vec<_>>();
    let list = |all: &[String]| told(all).join(",");
    format!("{{\"settings\":[{}],\"tape\":[{}]}}", list(&world.settings), list(&world.tape))
}

/// What the tables held at first, in the columns that they have now.
fn base(world: &World, tracked: &Tracked) -> State {
    let base = Tracked::untracked(&world.setup);
    let conn = base.app();
    for sql in world.alters() {
        conn.execute_batch(sql).ok();
    }
    schema::read(&tracked.ours()).unwrap().schema.tables.iter().map(|table| (table.name.clone(), rows(&conn, table))).collect()
}

/// One world: nothing is noticed, nothing is missed, and nothing stays behind.
fn compare(version: Version, world: &World) -> Result<(), String> {
    let (mut tracked, plain) = (Tracked::new(&world.setup), Tracked::untracked(&world.setup));
    run(version, world, &tracked, &plain)?;
    let ours = tracked.ours();
    let now = state(&plain.app());
    if state(&ours) != now {
        return Err("the rows differ".into());
    }
    capture::heal(&ours).map_err(|e| format!("it does not heal: {e}"))?;
    tracked.base = base(world, &tracked);
    std::panic::catch_unwind(|| tracked.check())
        .map_err(|why| format!("the net changes are not the difference: {:?}", why.downcast_ref::<String>()))?;
    capture::operations(&ours, &mut capture::KeptSources::default(), i64::MIN, &mut |_| Ok(()))
        .map_err(|e| format!("operations cannot be read: {e}"))?;
    capture::remove(&ours).map_err(|e| format!("capture cannot be removed: {e}"))?;
    let left: i64 = ours.query_row("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'mainstem%'", [], |r| r.get(0)).unwrap();
    if left > 0 || state(&ours) != now {
        return Err("removing capture left something, or took something".into());
    }
    Ok(())
}

/// The shortest tape that still fails, as far as leaving out parts of it finds one.
fn shrunk(version: Version, mut world: World, mut why: String) -> String {
    let mut step = world.tape.len().div_ceil(2);
    while step > 0 {
        let mut at = 0;
        while at < world.tape.len() {
            let mut shorter = world.tape.clone();
            shorter.drain(at..(at + step).min(world.tape.len()));
            let whole = std::mem::replace(&mut world.tape, shorter);
            match compare(version, &world) {
                Ok(()) => {
                    world.tape = whole;
                    at += step;
                }
                Err(shorter_why) => why = shorter_why,
            }
        }
        step /= 2;
    }
    let World { seed, setup, settings, is_strict, tape } = world;
    format!("{version:?}, seed {seed}: {why}\n{setup}\n{}; strict: {is_strict}\n{}", settings.join("; "), tape.join(";\n"))
}

/// As many worlds as give the statements asked for: `MAINSTEM_STATEMENTS`, or what a test run has time for.
fn worlds(version: Version) {
    let asked = |name: &str, everyday: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(everyday);
    let (first, statements) = (asked("MAINSTEM_SEED", 1), asked("MAINSTEM_STATEMENTS", 20_000));
    let mut done = 0;
    for seed in first.. {
        if done >= statements {
            return eprintln!("{version:?}: {done} statements in {} worlds", seed - first);
        }
        let world = World::new(seed, STATEMENTS);
        done += world.tape.len() as u64;
        if let Err(why) = compare(version, &world) {
            panic!("{}", shrunk(version, world, why));
        }
    }
}

#[test]
fn a15_tracking_is_not_noticed_and_misses_nothing() {
    worlds(Version::Bundled);
}

#[test]
fn a15_a11_nor_by_the_systems_sqlite() {
    worlds(Version::System);
}

/// A13: the widest table that can be tracked.
#[test]
fn a13_the_widest_table() {
    for version in [Version::Bundled, Version::System] {
        let world = World::new(101 * 3, 250);
        assert!(world.setup.contains("c1900"));
        if let Err(why) = compare(version, &world) {
            panic!("{}", shrunk(version, world, why));
        }
    }
}

/// Triggers that do nothing, on `t`.
const UNRELATED: &str = "CREATE TABLE z(x NOT NULL);
    CREATE TRIGGER zi BEFORE INSERT ON t WHEN 0 BEGIN INSERT INTO z VALUES (1); END;
    CREATE TRIGGER zu BEFORE UPDATE ON t WHEN 0 BEGIN INSERT INTO z VALUES (1); END;
    CREATE TRIGGER zd BEFORE DELETE ON t WHEN 0 BEGIN INSERT INTO z VALUES (1); END;";

/// What SQLite does otherwise as soon as a table has any trigger: a table, and what an app says. Where a line here no longer holds,
/// the limit is gone, and the tapes need not keep clear of it.
const LIMITS: [(&str, &[&str]); 5] = [
    (
        "CREATE TABLE t(k INTEGER PRIMARY KEY, a UNIQUE, c); CREATE INDEX i ON t(c);
         INSERT INTO t VALUES (8, 5, 6), (4, 4, 8), (1, 6, 3), (6, 2, 2);",
        &["UPDATE t SET a = a + 1 WHERE c > 1"],
    ),
    (
        "CREATE TABLE t(k INTEGER PRIMARY KEY, a UNIQUE, c); CREATE INDEX i ON t(c); INSERT INTO t VALUES (1, 8, 8), (4, 7, 3), (6, 4, 5);",
        &["UPDATE OR FAIL t SET a = 1 WHERE c > 1"],
    ),
    (
        "CREATE TABLE t(k INTEGER PRIMARY KEY, a UNIQUE, c); CREATE INDEX i ON t(c); INSERT INTO t VALUES (8, 8, 7), (2, 6, 1), (4, 2, 8);",
        &["UPDATE OR IGNORE t SET a = 3 WHERE c > 3"],
    ),
    (
        "CREATE TABLE t(k INTEGER PRIMARY KEY, a, c); INSERT INTO t VALUES (1, 1, 1), (2, 1, NULL);
         CREATE TRIGGER g BEFORE DELETE ON t WHEN OLD.c IS NULL BEGIN DELETE FROM t WHERE k = OLD.k; SELECT RAISE(IGNORE); END;",
        &["PRAGMA recursive_triggers = ON", "BEGIN", "DELETE FROM t"],
    ),
    (
        "CREATE TABLE t(k INTEGER PRIMARY KEY, a TEXT, c ANY) STRICT; INSERT INTO t VALUES (1, 'a', 0);",
        &["INSERT OR IGNORE INTO t VALUES (1, x'00', 0)"],
    ),
];

#[test]
fn a15_what_differs_differs_with_any_trigger() {
    for (setup, statements) in LIMITS {
        let outcome = |file: Tracked| -> Vec<String> {
            let app = file.app();
            let mut told: Vec<String> = statements.iter().map(|sql| format!("{:?}", app.execute_batch(sql))).collect();
            told.push(seen(&app, "SELECT * FROM t ORDER BY k"));
            told
        };
        let tracked = outcome(Tracked::new(setup));
        assert_eq!(tracked, outcome(Tracked::untracked(&format!("{setup}{UNRELATED}"))), "{statements:?}");
        assert_ne!(tracked, outcome(Tracked::untracked(setup)), "{statements:?}");
    }
}
