//! F8: how long after a commit in another process the event of it is there.
//!
//! Both sides read one clock of the system. The time is from the end of the commit, as the other process sees it, to the event.
#![expect(clippy::disallowed_methods, reason = "what is measured is real time")]
use crate::figures::Figure;
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

/// F8 over the feed of one tracked database.
pub fn figures(folder: &Path) -> Vec<Figure> {
    let path = folder.join("feed.db");
    pair::user(&path).execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, v)").expect("a table");
    SqliteReplica::init(&path, &InitOptions::default(), Arc::new(RealSurroundings), &mut quiet).expect("tracked");
    let mut feed = Captured::open(&path, "bench", Arc::new(RealSurroundings)).expect("it opens");
    let mut at = Offset::START;
    let program = std::env::current_exe().expect("this program");
    let mut other = Command::new(program).args(["--commits"]).arg(&path).stdout(Stdio::piped()).spawn().expect("another process");
    let mut heard = Vec::new();
    while heard.len() < COMMITS {
        feed.wait(10_000).expect("a wait");
        let batch = feed.read(&at, COMMITS).expect("a batch");
        let now = now_ns();
        heard.extend(batch.events.iter().filter(|event| matches!(event.what, What::Row(_))).map(|_| now));
        at = batch.next;
    }
    let done = BufReader::new(other.stdout.take().expect("piped")).lines().map(|line| line.expect("a line").parse().expect("a time"));
    let done: Vec<u64> = done.collect();
    other.wait().expect("it ends");
    let mut milliseconds: Vec<f64> = heard.iter().zip(&done).map(|(heard, done)| heard.saturating_sub(*done) as f64 / 1e6).collect();
    milliseconds.sort_by(f64::total_cmp);
    let part = |share: f64| milliseconds[((COMMITS - 1) as f64 * share) as usize];
    vec![
        Figure::at_most("F8 commit to event, p50", 0.1, part(0.5), "ms").detail("another process, one tracked database"),
        Figure::at_most("F8 commit to event, p99", 1.0, part(0.99), "ms").detail("another process, one tracked database"),
    ]
}
