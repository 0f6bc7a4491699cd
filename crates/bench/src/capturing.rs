//! What capture costs a program: plain file, tracked file, the session extension with its changeset stored, and the floor.
//!
//! The floor is a trigger that adds one row of one constant to a table: nothing that is made of triggers and keeps a record of
//! each write can be cheaper.
use crate::figures::Figure;
use crate::gauge::{Cost, cost, median};
use crate::session::Session;
use mainstem_sqlite::{capture, connection, schema};
use rusqlite::{Connection, Statement, params};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

/// Rows of the narrow table.
pub const ROWS: i64 = 100_000;
const RUNS: usize = 5;
/// The table that everything narrow is measured on.
pub const TABLE: &str = "CREATE TABLE t(k TEXT PRIMARY KEY, a TEXT, b INTEGER, c REAL, d TEXT, e INTEGER)";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Plain,
    Tracked,
    Session,
    Floor,
}

const WAYS: [Way; 4] = [Way::Plain, Way::Tracked, Way::Session, Way::Floor];
const FLOOR: &str = "CREATE TABLE floor(c);
    CREATE TRIGGER floor_insert BEFORE INSERT ON t BEGIN INSERT INTO floor VALUES (1); END;
    CREATE TRIGGER floor_update BEFORE UPDATE ON t BEGIN INSERT INTO floor VALUES (1); END;
    CREATE TRIGGER floor_delete BEFORE DELETE ON t BEGIN INSERT INTO floor VALUES (1); END;";

/// A statement that fills the table with that many rows.
pub fn fill(rows: i64) -> String {
    format!(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {rows} - 1) \
        INSERT INTO t SELECT printf('key-%08d', i), 'name ' || i, i, i * 0.5, 'some text ' || i, i % 10 FROM n"
    )
}

fn file(folder: &Path, table: &str, way: Way) -> Connection {
    let path = folder.join("bench.db");
    crate::pair::remove(folder, "bench.db");
    let conn = Connection::open(&path).expect("the folder is ours");
    conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536").expect("plain pragmas");
    conn.execute_batch(table).expect("a plain table");
    match way {
        Way::Tracked => track(&path),
        Way::Floor => conn.execute_batch(FLOOR).expect("plain triggers"),
        Way::Plain | Way::Session => {}
    }
    conn
}

fn track(path: &Path) {
    let ours = Connection::open(path).expect("it was just made");
    connection::triggers_off(&ours).expect("a plain setting");
    let tables = schema::read(&ours).expect("a plain schema").schema.tables;
    capture::install(&ours, &tables, true).expect("a plain table can be tracked");
}

/// Runs statements in one transaction, or each in its own, and gives microseconds per statement.
fn measure(conn: &Connection, way: Way, is_autocommit: bool, count: i64, run: impl Fn(i64)) -> Cost {
    let begun = Cost::now();
    if is_autocommit && way == Way::Session {
        for i in 0..count {
            conn.execute_batch("BEGIN").expect("no transaction is open");
            let session = Session::begin(conn);
            run(i);
            session.store(conn);
            conn.execute_batch("COMMIT").expect("a transaction is open");
        }
        return begun.spent().each(count as f64, 1e6);
    }
    let session = (way == Way::Session).then(|| Session::begin(conn));
    if !is_autocommit {
        conn.execute_batch("BEGIN").expect("no transaction is open");
    }
    (0..count).for_each(run);
    if let Some(session) = session {
        session.store(conn);
    }
    if !is_autocommit {
        conn.execute_batch("COMMIT").expect("a transaction is open");
    }
    begun.spent().each(count as f64, 1e6)
}

fn prepared<'c>(conn: &'c Connection, sql: &str) -> RefCell<Statement<'c>> {
    RefCell::new(conn.prepare(sql).expect("a plain statement"))
}

fn narrow(folder: &Path, way: Way) -> Vec<(&'static str, Cost)> {
    let conn = file(folder, &format!("{TABLE}; CREATE TABLE kept(changeset BLOB)"), way);
    let key = |i: i64| format!("key-{:08}", i * 7919 % ROWS);
    let insert = prepared(&conn, "INSERT INTO t VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
    let update = prepared(&conn, "UPDATE t SET b = ?1 WHERE k = ?2");
    let delete = prepared(&conn, "DELETE FROM t WHERE k = ?1");
    let inserts = measure(&conn, way, false, ROWS, |i| {
        let values = params![key(i), format!("name {i}"), i, i as f64 * 0.5, format!("some text {i}"), i % 10];
        insert.borrow_mut().execute(values).expect("new");
    });
    let updates = measure(&conn, way, false, ROWS, |i| {
        update.borrow_mut().execute(params![-i, key(i * 31 % ROWS)]).expect("there");
    });
    let alone = measure(&conn, way, true, 20_000, |i| {
        update.borrow_mut().execute(params![i + 1, key(i * 17 % ROWS)]).expect("there");
    });
    let deletes = measure(&conn, way, false, ROWS, |i| {
        delete.borrow_mut().execute(params![key(i * 31 % ROWS)]).expect("there");
    });
    assert_eq!(conn.query_row("SELECT count(*) FROM t", [], |r| r.get::<_, i64>(0)).expect("a count"), 0);
    vec![("insert", inserts), ("update", updates), ("delete", deletes), ("autocommit", alone)]
}

fn wide(folder: &Path, way: Way) -> Vec<(&'static str, Cost)> {
    let columns: Vec<String> = (1..50).map(|n| format!("c{n}")).collect();
    let conn = file(folder, &format!("CREATE TABLE t(k TEXT PRIMARY KEY, {}); CREATE TABLE kept(changeset BLOB)", columns.join(", ")), way);
    let values: Vec<String> = (1..50).map(|n| if n % 2 == 0 { format!("?2 + {n}") } else { format!("'text {n}'") }).collect();
    let key = |i: i64| format!("key-{i:08}");
    let rows = 20_000;
    let insert = prepared(&conn, &format!("INSERT INTO t VALUES (?1, {})", values.join(", ")));
    let inserts = measure(&conn, way, false, rows, |i| {
        insert.borrow_mut().execute(params![key(i), i]).expect("new");
    });
    let one = prepared(&conn, "UPDATE t SET c7 = ?1 WHERE k = ?2");
    let ones = measure(&conn, way, false, rows, |i| {
        one.borrow_mut().execute(params![i, key(i * 31 % rows)]).expect("there");
    });
    let set: Vec<String> = (1..11).map(|n| format!("c{} = ?1 + {n}", n * 4)).collect();
    let ten = prepared(&conn, &format!("UPDATE t SET {} WHERE k = ?2", set.join(", ")));
    let tens = measure(&conn, way, false, rows, |i| {
        ten.borrow_mut().execute(params![i, key(i * 37 % rows)]).expect("there");
    });
    let prepares = measure(&conn, way, false, 5_000, |i| {
        drop(conn.prepare(&format!("UPDATE t SET c7 = {i} WHERE k = ?2")).expect("a plain statement"));
    });
    vec![("50 insert", inserts), ("50 one", ones), ("50 ten", tens), ("50 prepare", prepares)]
}

/// What capture may add to a statement, in microseconds.
const ADDED: [(&str, f64); 3] = [("insert", 1.0), ("update", 1.0), ("autocommit", 1.5)];

/// F1 and F2: microseconds a statement, beside plain, the session extension and the floor.
pub fn costs(folder: &Path) -> Vec<Figure> {
    let mut all: BTreeMap<(&'static str, Way), Vec<Cost>> = BTreeMap::new();
    for _ in 0..RUNS {
        for way in WAYS {
            for (what, micros) in narrow(folder, way).into_iter().chain(wide(folder, way)) {
                all.entry((what, way)).or_default().push(micros);
            }
        }
    }
    let goals = [
        ("F1 insert", "insert", Some(1.40)),
        ("F1 one-column update", "update", Some(1.20)),
        ("F1 delete", "delete", Some(1.20)),
        ("F1 update in a transaction of its own", "autocommit", Some(1.25)),
        ("50 columns: insert", "50 insert", None),
        ("F2 50 columns: one-column update", "50 one", Some(1.35)),
        ("F2 50 columns: ten-column update", "50 ten", Some(2.1)),
    ];
    let mut figures = Vec::new();
    for (name, what, goal) in goals {
        let [plain, tracked, session, floor] = WAYS.map(|way| median(&all[&(what, way)]));
        let ratio = tracked / plain;
        let figure = match goal {
            Some(goal) => Figure::at_most(name, goal, ratio.cpu, "×"),
            None => Figure::new(name, ratio.cpu, "×"),
        };
        let detail = format!("untracked {:.2} µs, tracked {:.2} µs", plain.cpu, tracked.cpu);
        let figure = figure.detail(detail).wall(ratio.wall);
        figures.push(figure.peer("session stored", (session / plain).cpu).peer("floor", (floor / plain).cpu));
        if let Some((_, limit)) = ADDED.iter().find(|(added, _)| *added == what) {
            let added = |cost: Cost| cost.cpu - plain.cpu;
            let figure = Figure::at_most(format!("{name}, added"), *limit, added(tracked), " µs").wall(tracked.wall - plain.wall);
            figures.push(figure.peer("session stored", added(session)).peer("floor", added(floor)));
        }
    }
    let [plain, tracked, _, floor] = WAYS.map(|way| median(&all[&("50 prepare", way)]));
    let figure = Figure::at_most("F2 50 columns: prepare an update", 6.0, tracked.cpu, " µs").wall(tracked.wall);
    figures.push(figure.detail(format!("untracked {:.1} µs", plain.cpu)).peer("floor", floor.cpu));
    figures
}

/// F3: how much the file grows by the log.
pub fn log_bytes(folder: &Path) -> Vec<Figure> {
    let bytes = |conn: &Connection| -> i64 {
        conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("no reader");
        conn.query_row("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", [], |r| r.get(0)).expect("a plain pragma")
    };
    let plain = file(folder, TABLE, Way::Plain);
    let empty = bytes(&plain);
    plain.execute_batch(&fill(ROWS)).expect("new rows");
    let untracked = bytes(&plain) - empty;
    drop(plain);
    let conn = file(folder, TABLE, Way::Tracked);
    let empty = bytes(&conn);
    conn.execute_batch(&fill(ROWS)).expect("new rows");
    let inserted = bytes(&conn);
    let insert = (inserted - empty - untracked) as f64 / ROWS as f64;
    conn.execute_batch("UPDATE t SET b = b + 1000000").expect("rows");
    let update = (bytes(&conn) - inserted) as f64 / ROWS as f64;
    vec![
        Figure::at_most("F3 log bytes an insert", 60.0, insert, " B"),
        Figure::at_most("F3 log bytes a one-column update", 90.0, update, " B"),
    ]
}

/// F4: 400,000 records of 100,000 rows.
pub fn condensing(folder: &Path) -> Vec<Figure> {
    let conn = file(folder, TABLE, Way::Plain);
    conn.execute_batch(&fill(ROWS)).expect("new rows");
    let path = folder.join("bench.db");
    track(&path);
    conn.execute_batch("BEGIN; UPDATE t SET b = b + 1; UPDATE t SET a = a || 'x'; UPDATE t SET c = c * 2; UPDATE t SET b = b + 1; COMMIT")
        .expect("rows");
    let ours = Connection::open(&path).expect("it is there");
    connection::triggers_off(&ours).expect("a plain setting");
    ours.execute_batch("PRAGMA cache_size = -65536").expect("a plain pragma");
    assert_eq!(capture::end(&ours).expect("tracked"), 4 * ROWS);
    let runs = (0..RUNS).map(|_| {
        let (seconds, condensed) = cost(|| {
            ours.execute_batch("BEGIN").expect("no transaction is open");
            let condensed = capture::condense(&ours, None, &mut |_, _| Ok(())).expect("healed");
            ours.execute_batch("COMMIT").expect("a transaction is open");
            condensed
        });
        assert_eq!(condensed.changes, ROWS as u64);
        seconds
    });
    let seconds = median(&runs.collect::<Vec<_>>());
    let (heal, ()) = cost(|| (0..1_000).for_each(|_| drop(capture::heal(&ours).expect("healed"))));
    vec![
        Figure::at_most("F4 condense 400,000 records of 100,000 rows", 0.30, seconds.cpu, " s").wall(seconds.wall),
        Figure::new("looking whether the schema changed", heal.cpu * 1e3, " µs").wall(heal.wall * 1e3),
    ]
}
