//! The feed of a database without a primary: what capture saw, at least once, in order, over any number of commits.
use mainstem::core::value::Value;
use mainstem::feed::{FeedEvent, Offset, Source, What};
use mainstem::replica::Replica;
use mainstem::wiring::Around;
use mainstem_sqlite::replica::InitOptions;
use mainstem_sqlite::{Captured, SqliteReplica};
use mainstem_testkit::Seeded;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;

struct Desk {
    folder: TempDir,
    around: Around,
    app: Connection,
}

impl Desk {
    fn new() -> Desk {
        let folder = tempfile::tempdir().expect("a folder");
        let around = Seeded::around(3);
        let app = Connection::open(folder.path().join("app.db")).expect("it opens");
        app.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)").expect("it runs");
        let desk = Desk { folder, around, app };
        SqliteReplica::init(&desk.path(), &InitOptions::default(), desk.around.clone(), &mut |_, _, _| {}).expect("tracked");
        desk
    }
    fn path(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }
    fn edit(&self, sql: &str) {
        self.app.execute_batch(sql).expect("it runs");
    }
    fn commit(&self) {
        let mut replica = SqliteReplica::open(&self.path(), self.around.clone()).expect("it opens");
        replica.commit("ada", None, "").expect("it is committed");
    }
    fn feed(&self) -> Captured {
        Captured::open(&self.path(), "ada", self.around.clone()).expect("it opens")
    }
}

/// What comes after an offset, and where to go on.
fn rest(feed: &mut Captured, from: Offset, most: usize) -> (Vec<FeedEvent>, Offset) {
    let (mut all, mut at) = (Vec::new(), from);
    loop {
        let batch = feed.read(&at, most).expect("a batch");
        assert!(batch.events.len() <= most);
        all.extend(batch.events);
        at = batch.next;
        if batch.is_last {
            assert!(all.windows(2).all(|pair| pair[0].offset < pair[1].offset), "in order");
            return (all, at);
        }
    }
}

fn lines(events: &[FeedEvent]) -> Vec<String> {
    let side = |image: &Option<Vec<(String, Value)>>| {
        let cells = image.iter().flatten().map(|(column, value)| format!("{column}={}", text(value)));
        cells.collect::<Vec<_>>().join(",")
    };
    let line = |event: &FeedEvent| match &event.what {
        What::Row(row) => format!("{} {}: {} > {}", event.kind(), text(&row.key[0].1), side(&row.before), side(&row.after)),
        other => format!("{other:?}").chars().take(24).collect(),
    };
    events.iter().map(line).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn operations_are_told_as_they_come_and_a_commit_repeats_none() {
    let desk = Desk::new();
    let mut feed = desk.feed();
    desk.edit("INSERT INTO t VALUES (1, 'a'); UPDATE t SET v = 'b'; INSERT INTO t VALUES (2, 'c')");
    let (events, at) = rest(&mut feed, Offset::START, 100);
    assert_eq!(lines(&events), ["created 1:  > id=1,v=a", "updated 1: v=a > v=b", "created 2:  > id=2,v=c"]);
    for (had, event) in events.iter().enumerate() {
        assert_eq!(lines(&rest(&mut feed, event.offset, 1).0), lines(&events)[had + 1..]);
    }
    desk.commit();
    let (none, at) = rest(&mut feed, at, 100);
    assert_eq!(lines(&none), Vec::<String>::new(), "it was told");
    desk.edit("DELETE FROM t WHERE id = 1");
    let (events, at) = rest(&mut feed, at, 100);
    assert_eq!(lines(&events), ["deleted 1: id=1,v=b > "]);
    assert_eq!(feed.now().expect("an offset"), at);
}

#[test]
fn a_changeset_is_told_as_a_whole_where_its_commit_came_first() {
    let desk = Desk::new();
    desk.edit("INSERT INTO t VALUES (1, 'a'); UPDATE t SET v = 'b'");
    let mut feed = desk.feed();
    let (first, early) = rest(&mut feed, Offset::START, 1);
    assert_eq!(first.len(), 2);
    desk.edit("UPDATE t SET v = 'c'; CREATE TABLE u(k TEXT PRIMARY KEY)");
    desk.commit();
    desk.edit("INSERT INTO u VALUES ('x')");
    let (events, _) = rest(&mut feed, early, 1);
    let told = lines(&events);
    assert!(told[0].starts_with("Schema(CreateTable"), "{told:?}");
    assert_eq!(told[1..], ["created 1:  > id=1,v=c", "created x:  > k=x"], "what came of it is told again");
    for (had, event) in events.iter().enumerate() {
        assert_eq!(lines(&rest(&mut feed, event.offset, 1).0), told[had + 1..], "after {}", event.offset);
    }
}

#[test]
fn whoever_follows_has_the_rows_in_the_end() {
    let desk = Desk::new();
    for gap in [1, 2, 3, 7] {
        desk.edit("DELETE FROM t");
        let mut feed = desk.feed();
        let (mut at, mut rows) = (Offset::START, BTreeMap::new());
        for n in 0..40 {
            desk.edit(&format!(
                "INSERT INTO t VALUES ({n}, 'new'); UPDATE t SET v = 'at {n}' WHERE id % 3 = {n} % 3; DELETE FROM t WHERE id = {n} - 5"
            ));
            if n % 4 == 0 {
                desk.commit();
            }
            if n % gap == 0 || n == 39 {
                let (events, next) = rest(&mut feed, at, 3);
                at = next;
                for event in events {
                    let What::Row(row) = event.what else { continue };
                    let key = text(&row.key[0].1);
                    match row.after {
                        None => drop(rows.remove(&key)),
                        Some(after) => drop(rows.insert(key, text(&after.last().expect("a cell").1))),
                    }
                }
            }
        }
        let mut statement = desk.app.prepare("SELECT cast(id AS TEXT), v FROM t").expect("a statement");
        let stored = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
        let stored: BTreeMap<String, String> = stored.collect::<rusqlite::Result<_>>().expect("rows");
        assert_eq!(rows, stored, "every {gap}");
    }
}

#[test]
fn a_commit_of_another_program_ends_the_wait() {
    let desk = Desk::new();
    let mut feed = desk.feed();
    let (_, at) = rest(&mut feed, Offset::START, 10);
    let path = desk.path();
    let app = std::thread::spawn(move || {
        std::thread::yield_now();
        Connection::open(path).expect("it opens").execute_batch("INSERT INTO t VALUES (1, 'late')").expect("it runs");
    });
    let mut told = Vec::new();
    while told.is_empty() {
        feed.wait(60_000).expect("a wait");
        told = rest(&mut feed, at, 10).0;
    }
    assert_eq!(lines(&told), ["created 1:  > id=1,v=late"]);
    app.join().expect("it ends");
}

#[test]
fn what_is_no_offset_of_this_database_is_refused() {
    let desk = Desk::new();
    let mut feed = desk.feed();
    let mark = feed.now().expect("an offset").epoch.expect("a mark");
    let mut code = |from: &str| feed.read(&from.parse().expect("an offset"), 9).expect_err("a refusal").code;
    assert_eq!(code("7"), "ahead");
    assert_eq!(code("2.1"), "ahead");
    assert_eq!(code(&format!("0@{:08x}", mark ^ 1)), "other_epoch");
}
