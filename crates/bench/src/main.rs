//! Measures capture: CPU per statement against an untracked file and the session extension, log bytes, condensing.
//!
//! Run with `cargo run --release -p mainstem-bench`. Every figure is the median of runs that alternate between the
//! ways; CPU time of the whole process, the writes and nothing else.
mod session;

use mainstem_sqlite::{capture, connection, schema};
use rusqlite::{Connection, params};
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;

const ROWS: i64 = 100_000;
const RUNS: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Plain,
    Tracked,
    Session,
}

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn file(folder: &std::path::Path, table: &str, way: Way) -> Connection {
    let path = folder.join("bench.db");
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.join(format!("bench.db{end}")));
    }
    let conn = Connection::open(&path).expect("the folder is ours");
    conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536").expect("plain pragmas");
    conn.execute_batch(table).expect("a plain table");
    if way == Way::Tracked {
        track(&path);
    }
    conn
}

fn track(path: &std::path::Path) {
    let ours = Connection::open(path).expect("it was just made");
    connection::triggers_off(&ours).expect("a plain setting");
    let tables = schema::read(&ours).expect("a plain schema").schema.tables;
    capture::install(&ours, &tables, true).expect("a plain table can be tracked");
}

/// Runs statements in one transaction, or each in its own, and gives microseconds of CPU per statement.
fn measure(conn: &Connection, way: Way, is_autocommit: bool, count: i64, run: impl Fn(i64)) -> f64 {
    let begun = cpu();
    if is_autocommit && way == Way::Session {
        for i in 0..count {
            conn.execute_batch("BEGIN").expect("no transaction is open");
            let session = session::Session::begin(conn);
            run(i);
            session.store(conn);
            conn.execute_batch("COMMIT").expect("a transaction is open");
        }
        return (cpu() - begun) / count as f64 * 1e6;
    }
    let session = (way == Way::Session).then(|| session::Session::begin(conn));
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
    (cpu() - begun) / count as f64 * 1e6
}

fn narrow(folder: &std::path::Path, way: Way) -> Vec<(&'static str, f64)> {
    let conn = file(
        folder,
        "CREATE TABLE t(k TEXT PRIMARY KEY, a TEXT, b INTEGER, c REAL, d TEXT, e INTEGER); CREATE TABLE kept(changeset BLOB)",
        way,
    );
    let key = |i: i64| format!("key-{:08}", i * 7919 % ROWS);
    let mut found = Vec::new();
    let insert = std::cell::RefCell::new(conn.prepare("INSERT INTO t VALUES (?1, ?2, ?3, ?4, ?5, ?6)").expect("a plain statement"));
    found.push((
        "insert",
        measure(&conn, way, false, ROWS, |i| {
            insert
                .borrow_mut()
                .execute(params![key(i), format!("name {i}"), i, i as f64 * 0.5, format!("some text {i}"), i % 10])
                .expect("new");
        }),
    ));
    let update = std::cell::RefCell::new(conn.prepare("UPDATE t SET b = ?1 WHERE k = ?2").expect("a plain statement"));
    found.push((
        "update",
        measure(&conn, way, false, ROWS, |i| {
            update.borrow_mut().execute(params![-i, key(i * 31 % ROWS)]).expect("there");
        }),
    ));
    found.push((
        "autocommit",
        measure(&conn, way, true, 20_000, |i| {
            update.borrow_mut().execute(params![i + 1, key(i * 17 % ROWS)]).expect("there");
        }),
    ));
    let delete = std::cell::RefCell::new(conn.prepare("DELETE FROM t WHERE k = ?1").expect("a plain statement"));
    found.push((
        "delete",
        measure(&conn, way, false, ROWS, |i| {
            delete.borrow_mut().execute(params![key(i * 31 % ROWS)]).expect("there");
        }),
    ));
    found
}

fn wide(folder: &std::path::Path, way: Way) -> Vec<(&'static str, f64)> {
    let columns: Vec<String> = (1..50).map(|n| format!("c{n}")).collect();
    let conn = file(folder, &format!("CREATE TABLE t(k TEXT PRIMARY KEY, {}); CREATE TABLE kept(changeset BLOB)", columns.join(", ")), way);
    let values: Vec<String> = (1..50).map(|n| if n % 2 == 0 { format!("?2 + {n}") } else { format!("'text {n}'") }).collect();
    let key = |i: i64| format!("key-{i:08}");
    let rows = 20_000;
    let mut found = Vec::new();
    let insert =
        std::cell::RefCell::new(conn.prepare(&format!("INSERT INTO t VALUES (?1, {})", values.join(", "))).expect("a plain statement"));
    found.push((
        "50 insert",
        measure(&conn, way, false, rows, |i| {
            insert.borrow_mut().execute(params![key(i), i]).expect("new");
        }),
    ));
    let one = std::cell::RefCell::new(conn.prepare("UPDATE t SET c7 = ?1 WHERE k = ?2").expect("a plain statement"));
    found.push((
        "50 update 1",
        measure(&conn, way, false, rows, |i| {
            one.borrow_mut().execute(params![i, key(i * 31 % rows)]).expect("there");
        }),
    ));
    let set: Vec<String> = (1..11).map(|n| format!("c{} = ?1 + {n}", n * 4)).collect();
    let ten = std::cell::RefCell::new(conn.prepare(&format!("UPDATE t SET {} WHERE k = ?2", set.join(", "))).expect("a plain statement"));
    found.push((
        "50 update 10",
        measure(&conn, way, false, rows, |i| {
            ten.borrow_mut().execute(params![i, key(i * 37 % rows)]).expect("there");
        }),
    ));
    found.push((
        "50 prepare",
        measure(&conn, way, false, 5_000, |i| {
            drop(conn.prepare(&format!("UPDATE t SET c7 = {i} WHERE k = ?2")).expect("a plain statement"));
        }),
    ));
    found.push((
        "50 prepare insert",
        measure(&conn, way, false, 2_000, |i| {
            drop(conn.prepare(&format!("INSERT INTO t(k, c1) VALUES ({i}, 1)")).expect("a plain statement"));
        }),
    ));
    found
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn costs(folder: &std::path::Path) {
    let mut all: BTreeMap<(&'static str, Way), Vec<f64>> = BTreeMap::new();
    let mut order = Vec::new();
    for _ in 0..RUNS {
        for way in [Way::Plain, Way::Tracked, Way::Session] {
            for (what, micros) in narrow(folder, way).into_iter().chain(wide(folder, way)) {
                if !order.contains(&what) {
                    order.push(what);
                }
                all.entry((what, way)).or_default().push(micros);
            }
        }
    }
    println!("{:<18} {:>9} {:>9} {:>7} {:>9} {:>7}", "us a statement", "plain", "tracked", "", "session", "");
    for what in order {
        let [plain, tracked, session] = [Way::Plain, Way::Tracked, Way::Session].map(|way| median(all[&(what, way)].clone()));
        println!("{what:<18} {plain:>9.2} {tracked:>9.2} {:>6.2}x {session:>9.2} {:>6.2}x", tracked / plain, session / plain);
    }
}

fn log_bytes(folder: &std::path::Path) {
    let pages = |conn: &Connection| -> i64 {
        conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("no reader");
        conn.query_row("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", [], |r| r.get(0)).expect("a plain pragma")
    };
    let table = "CREATE TABLE t(k TEXT PRIMARY KEY, a TEXT, b INTEGER, c REAL, d TEXT, e INTEGER)";
    let fill = format!(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS} - 1) \
        INSERT INTO t SELECT printf('key-%08d', i), 'name ' || i, i, i * 0.5, 'some text ' || i, i % 10 FROM n"
    );
    let plain = file(folder, table, Way::Plain);
    plain.execute_batch(&fill).expect("new rows");
    let untracked = pages(&plain);
    drop(plain);
    let conn = file(folder, table, Way::Tracked);
    let empty = 30 * 4096;
    conn.execute_batch(&fill).expect("new rows");
    let inserted = pages(&conn);
    println!("log bytes an insert: {:.1}", (inserted - untracked - empty) as f64 / ROWS as f64);
    conn.execute_batch("UPDATE t SET b = b + 1000000").expect("rows");
    println!("log bytes an update: {:.1}", (pages(&conn) - inserted) as f64 / ROWS as f64);
}

fn condensing(folder: &std::path::Path) {
    let conn = file(folder, "CREATE TABLE t(k TEXT PRIMARY KEY, a TEXT, b INTEGER, c REAL, d TEXT, e INTEGER)", Way::Plain);
    conn.execute_batch(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS} - 1) \
        INSERT INTO t SELECT printf('key-%08d', i), 'name ' || i, i, i * 0.5, 'some text ' || i, i % 10 FROM n"
    ))
    .expect("new rows");
    let path = folder.join("bench.db");
    track(&path);
    conn.execute_batch("BEGIN; UPDATE t SET b = b + 1; UPDATE t SET a = a || 'x'; UPDATE t SET c = c * 2; UPDATE t SET b = b + 1; COMMIT")
        .expect("rows");
    let ours = Connection::open(&path).expect("it is there");
    connection::triggers_off(&ours).expect("a plain setting");
    ours.execute_batch("PRAGMA cache_size = -65536").expect("a plain pragma");
    let mut all = Vec::new();
    for _ in 0..RUNS {
        let begun = cpu();
        ours.execute_batch("BEGIN").expect("no transaction is open");
        let condensed = capture::condense(&ours, None, &mut |_, _| Ok(())).expect("healed");
        ours.execute_batch("COMMIT").expect("a transaction is open");
        all.push(cpu() - begun);
        assert_eq!(condensed.changes, ROWS as u64);
    }
    println!("condense {} records of {ROWS} rows: {:.3} CPU s", capture::end(&ours).expect("tracked"), median(all));
    let begun = cpu();
    for _ in 0..1_000 {
        capture::heal(&ours).expect("healed");
    }
    println!("heal when nothing changed: {:.1} us", (cpu() - begun) * 1e3);
}

fn main() {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    println!("SQLite {}", rusqlite::version());
    condensing(folder.path());
    log_bytes(folder.path());
    costs(folder.path());
}
