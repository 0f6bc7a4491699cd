//! The way between a replica and its primary: answers that are lost, writes in the middle, pages of any size.
use mainstem::core::ErrorKind;
use mainstem::core::conflict::{Claim, Side};
use mainstem::core::value::Value;
use mainstem::error::Error;
use mainstem::primary::Primary;
use mainstem::replica::Replica;
use mainstem::sync;
use mainstem::wiring::Around;
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::InitOptions;
use mainstem_testkit::Seeded;
use mainstem_testkit::between::{Between, Moment, Turn};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn quiet(_: &str, _: u64, _: u64) {}

/// Two replicas of one primary.
struct Pair {
    folder: TempDir,
    around: Around,
}

impl Pair {
    fn new(start: &str) -> Pair {
        let pair = Pair { folder: tempfile::tempdir().unwrap(), around: Seeded::around(7) };
        Connection::open(pair.file(0)).unwrap().execute_batch(start).unwrap();
        let options = InitOptions { actor: Some("ada".into()), ..InitOptions::default() };
        SqliteReplica::init(&pair.file(0), &options, pair.around.clone(), &mut quiet).unwrap();
        pair.replica(0).publish(&pair.place(), Some("pair"), "ada", &mut quiet).unwrap();
        let address = pair.place().to_string_lossy().into_owned();
        SqliteReplica::clone_from(&mut *pair.primary(), &address, &pair.file(1), Some("bob"), pair.around.clone(), &mut quiet).unwrap();
        pair
    }
    fn place(&self) -> PathBuf {
        self.folder.path().join("primary")
    }
    fn file(&self, who: usize) -> PathBuf {
        self.folder.path().join(format!("{who}.db"))
    }
    fn replica(&self, who: usize) -> SqliteReplica {
        SqliteReplica::open(&self.file(who), self.around.clone()).unwrap()
    }
    fn primary(&self) -> Box<dyn Primary> {
        mainstem_sqlite::open_primary(&self.place(), self.around.clone()).unwrap()
    }
    fn sync(&self, who: usize) -> sync::Report {
        sync::sync(&mut self.replica(who), &mut *self.primary(), "someone", &mut quiet).unwrap()
    }
    fn settle(&self) {
        for _ in 0..3 {
            if [0, 1].map(|who| self.sync(who)).iter().all(|r| r.pushed == 0 && r.pulled == 0) {
                return;
            }
        }
        panic!("still moving after three rounds");
    }
    fn assert_equal(&self) {
        assert_eq!(rows(&self.file(0)), rows(&self.file(1)));
        assert_eq!(rows(&self.file(0)), rows(&self.place().join("primary.db")));
    }
}

fn sql(file: &Path, text: &str) {
    let db = Connection::open(file).unwrap();
    // A program that waits for nothing: whatever stands in its way is seen.
    db.busy_timeout(std::time::Duration::ZERO).unwrap();
    db.execute_batch(text).unwrap();
}

fn rows(file: &Path) -> Vec<(i64, String)> {
    let db = Connection::open(file).unwrap();
    let mut statement = db.prepare("SELECT id, v FROM t ORDER BY id").unwrap();
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

const START: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two');";
const MANY: &str =
    "WITH RECURSIVE n(x) AS (SELECT 10 UNION ALL SELECT x + 1 FROM n WHERE x < 5009) INSERT INTO t SELECT x, 'v' || x FROM n;";

/// A version in many pages, fetched a page at a time, is seen whole or not at all, and never an older state again.
#[test]
fn i10_g8_a_version_in_many_pages_is_seen_whole_or_not_at_all() {
    let pair = Pair::new(START);
    sql(&pair.file(0), MANY);
    pair.sync(0);
    let (mut replica, mut primary) = (pair.replica(1), pair.primary());
    let mut seen = vec![rows(&pair.file(1)).len()];
    loop {
        let known = replica.standing().unwrap().known.unwrap();
        let pull = primary.pull(&known, replica.cursor().unwrap(), 1).unwrap();
        replica.receive(&pull).unwrap();
        seen.push(rows(&pair.file(1)).len());
        if pull.is_last {
            break;
        }
    }
    assert!(seen.len() > 3, "more than one page: {seen:?}");
    assert!(seen.iter().all(|count| [2, 5002].contains(count)) && seen.is_sorted(), "{seen:?}");
    pair.assert_equal();
}

/// Every answer and every request is lost once, wherever in a sync it falls.
#[test]
fn i1_i4_whatever_is_lost_arrives_once() {
    for is_answer in [true, false] {
        let pair = Pair::new(START);
        let mut lost_in_a_row = 0;
        for nth in 0.. {
            sql(&pair.file(0), &format!("INSERT INTO t (v) VALUES ('ada {nth}'); UPDATE t SET v = v || '.' WHERE id = 1;"));
            sql(&pair.file(1), &format!("INSERT INTO t (v) VALUES ('bob {nth}'); UPDATE t SET v = 'two {nth}' WHERE id = 2;"));
            let mut calls = 0;
            let mut primary = pair.primary();
            let mut lossy = Between::new(&mut *primary, |moment| {
                let is_this = matches!(moment, Moment::After(_)) == is_answer;
                calls += u64::from(is_this);
                match is_this && calls == nth + 1 {
                    true => Err(Error::new(ErrorKind::Unavailable, "gone", "the line went dead")),
                    false => Ok(Turn::Once),
                }
            });
            let was_lost = sync::sync(&mut pair.replica(0), &mut lossy, "ada", &mut quiet).is_err();
            pair.settle();
            pair.assert_equal();
            let count = |name: &str| rows(&pair.file(1)).iter().filter(|(_, v)| v.starts_with(name)).count() as u64;
            assert_eq!((count("ada"), count("bob")), (nth + 1, nth + 1), "each once");
            if !was_lost {
                break;
            }
            lost_in_a_row += 1;
        }
        assert!(lost_in_a_row >= 2, "a sync has more steps than {lost_in_a_row}");
    }
}

/// A program writes at each point where a sync waits for the primary, in both journal modes, and is never kept waiting.
#[test]
fn i3_a_program_writes_while_a_sync_is_under_way() {
    for mode in ["DELETE", "WAL"] {
        let pair = Pair::new(&format!("PRAGMA journal_mode = {mode}; {START}"));
        sql(&pair.file(0), "UPDATE t SET v = 'of Ada' WHERE id = 1;");
        sql(&pair.file(1), "UPDATE t SET v = 'of Bob' WHERE id = 2;");
        pair.sync(1);
        let (mut writes, mut primary, file) = (0, pair.primary(), pair.file(0));
        let mut busy = Between::new(&mut *primary, |_| {
            if writes < 40 {
                writes += 1;
                sql(&file, &format!("INSERT INTO t VALUES ({}, 'meanwhile')", 100 + writes));
            }
            Ok(Turn::Once)
        });
        sync::sync(&mut pair.replica(0), &mut busy, "ada", &mut quiet).unwrap();
        assert!(writes > 3, "{mode}: {writes} writes");
        pair.settle();
        pair.assert_equal();
        assert_eq!(rows(&pair.file(1)).len(), 2 + writes, "{mode}");
    }
}

/// A row is edited while a change of it waits for its parent, and others have written to it since that change was made: both are in a
/// conflict, with who wrote each.
#[test]
fn what_waits_meets_all_that_came_since_it_was_made() {
    let pair =
        Pair::new("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, up INTEGER REFERENCES t(id)); INSERT INTO t VALUES (1, 'one', NULL);");
    pair.primary().set_policy("strategy = \"manual\"\n", "ada").unwrap();
    sql(&pair.file(1), "PRAGMA foreign_keys = OFF; UPDATE t SET v = 'of Bob', up = 9 WHERE id = 1;");
    pair.sync(1);
    sql(&pair.file(0), "UPDATE t SET v = 'of Ada' WHERE id = 1;");
    for who in [0, 1] {
        pair.sync(who);
    }
    for text in ["again of Bob", "at last of Bob"] {
        sql(&pair.file(1), &format!("UPDATE t SET v = '{text}' WHERE id = 1;"));
        assert_eq!(pair.sync(1).pending, 1);
    }
    sql(&pair.file(0), "INSERT INTO t VALUES (9, 'late', NULL);");
    pair.settle();
    pair.assert_equal();
    assert_eq!(rows(&pair.file(0)), [(1, "of Ada".to_owned()), (9, "late".to_owned())], "the earlier one holds");
    let conflicts = pair.primary().conflicts(false).unwrap();
    let [conflict] = conflicts.as_slice() else { panic!("{conflicts:?}") };
    let side = |side: &Side| (side.claim.clone(), side.actor.clone());
    let cell = |text: &str| (Claim::Cell(Value::text(text)), "someone".to_owned());
    assert_eq!((side(&conflict.ours), side(&conflict.theirs)), (cell("at last of Bob"), cell("of Ada")));
}

/// However many versions came since, rows are compared with those of the version held here by as many questions.
#[test]
fn i74_a_comparison_asks_no_more_where_it_is_far_behind() {
    let [near, far] = [1, 40].map(|versions| {
        let pair = Pair::new(START);
        for n in 0..versions {
            sql(&pair.file(0), &format!("INSERT INTO t VALUES ({}, 'of Ada');", 10 + n));
            pair.sync(0);
        }
        let unseen = Connection::open(pair.file(1)).unwrap();
        unseen.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
        unseen.execute("UPDATE t SET v = 'unseen' WHERE id = 1", []).unwrap();
        drop(unseen);
        sql(&pair.file(1), "UPDATE t SET v = 'seen' WHERE id = 2;");
        let (mut asked, mut primary) = (0, pair.primary());
        let mut counted = Between::new(&mut *primary, |moment| {
            asked += u64::from(matches!(moment, Moment::Before(_)));
            Ok(Turn::Once)
        });
        assert_eq!(sync::sync(&mut pair.replica(1), &mut counted, "bob", &mut quiet).unwrap().reconciled, 1);
        asked
    });
    assert_eq!(near, far);
}

/// A row waits under a number that others have given since, so that its author sees theirs, which points to a row by a column that the
/// author then changes: who sees what everybody sees is not held back.
#[test]
fn an_edit_beside_a_row_that_waits_out_of_sight_holds() {
    let pair = Pair::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, UNIQUE (id, v)); INSERT INTO t VALUES (1, 'one');
        CREATE TABLE c (id INTEGER PRIMARY KEY, t INTEGER, v TEXT, FOREIGN KEY (t, v) REFERENCES t(id, v));",
    );
    sql(&pair.file(1), "PRAGMA foreign_keys = OFF; INSERT INTO c VALUES (5, 9, 'nine');");
    assert_eq!(pair.sync(1).pending, 1);
    sql(&pair.file(0), "INSERT INTO c VALUES (5, 1, 'one');");
    for who in [0, 1] {
        pair.sync(who);
    }
    sql(&pair.file(1), "PRAGMA foreign_keys = OFF; UPDATE t SET v = 'other' WHERE id = 1;");
    pair.settle();
    assert_eq!(rows(&pair.file(0)), [(1, "other".to_owned())], "{:?}", pair.primary().conflicts(false));
}
