//! F5: 200,000 mixed changes received by a tracked replica, beside the session extension and blind prepared writes.
//!
//! All start from the same rows, make the same changes in one transaction with the same durability, and are compared
//! row by row afterwards. Only the replica has tracking installed; only the blind writes check nothing.
use crate::capturing::{TABLE, fill};
use crate::figures::Figure;
use crate::gauge::{cost, median};
use crate::pair::{self, quiet};
use crate::session::{self, Session};
use mainstem::core::change::{Change, Edit};
use mainstem::core::event::Event;
use mainstem::core::format::{event, page};
use mainstem::primary::{Item, Pull};
use mainstem::replica::Replica;
use mainstem::sync;
use mainstem_sqlite::tables::sql_value;
use rusqlite::{Connection, params_from_iter};
use std::path::Path;

/// F5 by itself.
pub const SPEED: &str = "F5 changes received a second, 200,000 mixed";
const ROWS: i64 = 200_000;
const CHANGES: u64 = 200_000;
const RUNS: usize = 5;

/// 80,000 rows get one new cell, 20,000 get two, 50,000 go and 50,000 come, spread over the keys.
const EDITS: &str = "
    UPDATE t SET b = b + 1 WHERE CAST(substr(k, 5) AS INTEGER) % 20 < 8;
    UPDATE t SET a = 'changed ' || e, c = c + 0.25 WHERE CAST(substr(k, 5) AS INTEGER) % 20 IN (8, 9);
    DELETE FROM t WHERE CAST(substr(k, 5) AS INTEGER) % 20 BETWEEN 10 AND 14;
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 49999)
    INSERT INTO t SELECT printf('key-%08d-new', i * 4), 'name ' || i, i, i * 0.5, 'some text ' || i, i % 10 FROM n";

/// An untracked file with the rows that everybody starts from.
fn base(folder: &Path, name: &str) -> Connection {
    let path = folder.join(name);
    pair::remove(folder, name);
    let conn = pair::user(&path);
    conn.execute_batch(TABLE).expect("a plain table");
    conn.execute_batch(&fill(ROWS)).expect("new rows");
    conn
}

/// Every row, to compare.
fn rows(conn: &Connection) -> Vec<Vec<rusqlite::types::Value>> {
    let mut statement = conn.prepare("SELECT * FROM t ORDER BY k").expect("a plain table");
    let read = statement.query_map([], |row| (0..6).map(|n| row.get(n)).collect::<rusqlite::Result<Vec<_>>>());
    read.expect("a plain statement").collect::<rusqlite::Result<_>>().expect("rows")
}

/// The changes as they are sent.
fn changes(pull: &Pull) -> Vec<Change> {
    let mut shapes = Vec::new();
    let mut all = Vec::new();
    for item in &pull.items {
        match item {
            Item::Version(bytes, _) => {
                if let Event::Version(version) = event::decode(bytes).expect("a version") {
                    shapes = version.shapes;
                }
            }
            Item::Page(bytes) => all.extend(page::decode(bytes, &shapes).expect("a page")),
            Item::Event(..) => {}
        }
    }
    all
}

/// The same changes through statements prepared once, looking at nothing.
fn blind(conn: &Connection, changes: &[Change]) {
    let columns = ["k", "a", "b", "c", "d", "e"];
    conn.execute_batch("BEGIN").expect("no transaction is open");
    for change in changes {
        let done = match &change.edit {
            Edit::Insert(row) => {
                let mut statement = conn.prepare_cached("INSERT INTO t VALUES (?1, ?2, ?3, ?4, ?5, ?6)").expect("plain");
                statement.execute(params_from_iter(row.iter().map(sql_value)))
            }
            Edit::Delete(_) => {
                let mut statement = conn.prepare_cached("DELETE FROM t WHERE k = ?1").expect("plain");
                statement.execute([sql_value(&change.key[0])])
            }
            Edit::Update(cells) => {
                let set: Vec<String> = cells.iter().enumerate().map(|(n, c)| format!("{} = ?{}", columns[c.column], n + 2)).collect();
                let mut statement = conn.prepare_cached(&format!("UPDATE t SET {} WHERE k = ?1", set.join(", "))).expect("plain");
                let values = change.key.iter().chain(cells.iter().map(|c| &c.after));
                statement.execute(params_from_iter(values.map(sql_value)))
            }
        };
        assert_eq!(done.expect("nothing stands against it"), 1);
    }
    conn.execute_batch("COMMIT").expect("a transaction is open");
}

/// F5.
pub fn figures(folder: &Path) -> Vec<Figure> {
    pair::found(folder, &format!("{TABLE}; {}", fill(ROWS)));
    // Each run receives into a copy of the clone as it was before; the last connection has left no log beside it.
    std::fs::copy(folder.join("b.db"), folder.join("first.db")).expect("there is room");
    let a = pair::user(&folder.join("a.db"));
    a.execute_batch(&format!("BEGIN; {EDITS}; COMMIT")).expect("plain statements");
    let expected = rows(&a);
    drop(a);
    let mut sender = pair::replica(&folder.join("a.db"));
    sync::push(&mut sender, &mut *pair::primary(folder), "ada", &mut quiet).expect("nobody else pushed");
    let mut first = pair::replica(&folder.join("b.db"));
    let known = first.standing().expect("it can be read").known.expect("it was cloned");
    let cursor = first.cursor().expect("it can be read");
    drop(first);
    let pull = pair::primary(folder).pull(&known, cursor, usize::MAX).expect("there is a version");
    assert!(pull.is_last);
    let changes = changes(&pull);
    assert_eq!(changes.len() as u64, CHANGES);

    let recorded = base(folder, "recorded.db");
    let session = Session::begin(&recorded);
    recorded.execute_batch(&format!("BEGIN; {EDITS}; COMMIT")).expect("plain statements");
    let mut changeset = session.changeset();
    drop(session);
    drop(recorded);

    let (mut ours, mut theirs, mut blindly) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        pair::remove(folder, "b.db");
        std::fs::copy(folder.join("first.db"), folder.join("b.db")).expect("there is room");
        let mut replica = pair::replica(&folder.join("b.db"));
        let (seconds, received) = cost(|| replica.receive(&pull).expect("the rows are the base version's"));
        assert_eq!(received.changes, CHANGES);
        ours.push(seconds);
        drop(replica);
        assert!(rows(&pair::user(&folder.join("b.db"))) == expected, "the replica's rows");

        let conn = base(folder, "session.db");
        let (seconds, ()) = cost(|| session::apply(&conn, &mut changeset));
        assert!(rows(&conn) == expected, "the session's rows");
        theirs.push(seconds);

        let conn = base(folder, "blind.db");
        let (seconds, ()) = cost(|| blind(&conn, &changes));
        assert!(rows(&conn) == expected, "the blind writes' rows");
        blindly.push(seconds);
    }
    let [ours, theirs, blindly] = [&ours, &theirs, &blindly].map(|runs| median(runs));
    let (beside_session, beside_blind) = (ours / theirs, ours / blindly);
    let speed = |seconds: f64| CHANGES as f64 / seconds;
    vec![
        Figure::at_least(SPEED, 330_000.0, speed(ours.cpu), "")
            .wall(speed(ours.wall))
            .peer("sqlite3changeset_apply", speed(theirs.cpu))
            .peer("blind prepared writes", speed(blindly.cpu)),
        Figure::at_most("F5 receive beside sqlite3changeset_apply", 0.75, beside_session.cpu, "×")
            .detail(format!("{:.2} s and {:.2} s", ours.cpu, theirs.cpu))
            .wall(beside_session.wall),
        Figure::at_most("F5 receive beside blind prepared writes", 0.90, beside_blind.cpu, "×")
            .detail(format!("{:.2} s and {:.2} s", ours.cpu, blindly.cpu))
            .wall(beside_blind.wall),
    ]
}
