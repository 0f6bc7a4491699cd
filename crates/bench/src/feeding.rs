//! F8: how long after a commit in another process the event of it is there.
//!
//! Both sides read one clock of the system. The time is from the end of the commit, as the other process sees it, to the event.
#![expect(clippy::disallowed_methods, reason = "what is measured is real time")]
use crate::figures::Figure;
use crate::gauge::cost;
use crate::pair::{self, quiet};
use mainstem::feed::{Offset, Source, What};
use mainstem::wiring::RealSurroundings;
use mainstem_sqlite::replica::InitOptions;
use mainstem_sqlite::{Captured, SqliteReplica};
use rustix::time::{ClockId, clock_gettime};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const COMMITS: usize = 1_000;
/// Between two commits, so that each is an event of its own.
const PAUSE: Duration = Duration::from_millis(7);
/// How long nothing happens, to see what that costs.
const IDLE_MS: u64 = 20_000;

fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The other process: commits one row after the other, and says when each was done.
pub fn commit(path: &Path) {
    let app = pair::user(path);
    for n in 0..COMMITS {
        std::thread::sleep(PAUSE);
        app.execute("INSERT INTO t VALUES (?1, 'new')", [n as i64]).expect("a row");
        println!("{}", now_ns());
    }
}

/// Half and 99 of 100 of the times from a commit of another process until `hear` gives as many rows more; it waits for at least one.
fn latency(path: &Path, mut hear: impl FnMut() -> usize) -> (f64, f64) {
    let program = std::env::current_exe().expect("this program");
    let mut other = Command::new(program).args(["--commits"]).arg(path).stdout(Stdio::piped()).spawn().expect("another process");
    let mut heard = Vec::new();
    while heard.len() < COMMITS {
        let rows = hear();
        let now = now_ns();
        heard.extend((0..rows).map(|_| now));
    }
    let done = BufReader::new(other.stdout.take().expect("piped")).lines().map(|line| line.expect("a line").parse().expect("a time"));
    let done: Vec<u64> = done.collect();
    other.wait().expect("it ends");
    let mut milliseconds: Vec<f64> = heard.iter().zip(&done).map(|(heard, done)| heard.saturating_sub(*done) as f64 / 1e6).collect();
    milliseconds.sort_by(f64::total_cmp);
    let part = |share: f64| milliseconds[((COMMITS - 1) as f64 * share) as usize];
    (part(0.5), part(0.99))
}

fn tracked(path: &Path) -> Captured {
    pair::user(path).execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, v)").expect("a table");
    SqliteReplica::init(path, &InitOptions::default(), Arc::new(RealSurroundings), &mut quiet).expect("tracked");
    Captured::open(path, "bench", Arc::new(RealSurroundings)).expect("it opens")
}

/// Whoever asks SQLite now and then whether anything was committed, and reads the new rows.
fn polled(path: &Path, pause: Duration) -> (f64, f64) {
    drop(tracked(path));
    let db = pair::user(path);
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).expect(sql);
    let (mut seen, mut rows) = (number("PRAGMA data_version"), 0);
    latency(path, move || {
        loop {
            std::thread::sleep(pause);
            let now = number("PRAGMA data_version");
            if now != seen {
                seen = now;
                let all = number("SELECT count(*) FROM t");
                return (all - std::mem::replace(&mut rows, all)) as usize;
            }
        }
    })
}

/// F8 over the feed of one tracked database.
pub fn figures(folder: &Path) -> Vec<Figure> {
    let path = folder.join("feed.db");
    let mut feed = tracked(&path);
    let mut at = Offset::START;
    let mut read = move |wait_ms: u64| {
        feed.wait(wait_ms).expect("a wait");
        let batch = feed.read(&at, COMMITS).expect("a batch");
        at = batch.next;
        batch.events.iter().filter(|event| matches!(event.what, What::Row(_))).count()
    };
    let (half, most) = latency(&path, || read(10_000));
    let (idle, _) = cost(|| read(IDLE_MS));
    let [often, seldom] = [1, 50].map(|ms| polled(&folder.join(format!("polled-{ms}.db")), Duration::from_millis(ms)));
    let figure = |name: &str, goal, ours, often, seldom| {
        let figure =
            Figure::at_most(format!("F8 commit to event, {name}"), goal, ours, "ms").detail("another process, one tracked database");
        figure.peer("a poll each 1 ms", often).peer("each 50 ms", seldom)
    };
    vec![
        figure("p50", 0.1, half, often.0, seldom.0),
        figure("p99", 1.0, most, often.1, seldom.1),
        Figure::at_most("F8 while nobody commits", 0.05, idle.cpu / idle.wall * 100.0, "%").detail("of a core"),
    ]
}
