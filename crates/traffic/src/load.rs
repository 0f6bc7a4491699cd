//! A load: many replicas that are connected to one server, some of which push at a steady rate, while all hear of it.
//!
//! The replicas are lines of the real client without a file behind them: what is measured is the server and the protocol.
//! Latencies are taken from the moment at which a push was due, so that a server that stalls is not let off.
#![expect(clippy::disallowed_methods, reason = "a load is put on and measured in real time")]
use mainstem::core::ErrorKind;
use mainstem::core::change::{Change, Edit, Front, Header, Shape};
use mainstem::core::schema::{Column, Schema, Table};
use mainstem::core::stamp::{ReplicaId, Time};
use mainstem::core::value::{Row, Value};
use mainstem::datasets::Place;
use mainstem::error::Result;
use mainstem::local::Founding;
use mainstem::primary::{Acquaintance, Cursor, Pages, Primary, Pushed, SnapshotSink, SnapshotStart};
use mainstem::wiring::{RealSurroundings, Surroundings};
use mainstem_http::HttpPrimary;
use mainstem_http::address::Address;
use mainstem_http::client::{HttpPlace, Patience};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Rows that one replica has pushed already are updated from this many on.
const ROWS_MAX: u64 = 2_000;
/// The least stack that a line needs.
const STACK_BYTES: usize = 512 * 1024;

/// How much is asked of a server.
#[derive(Clone, Debug)]
pub struct Load {
    /// The dataset to make and use.
    pub address: Address,
    /// Who may: first whoever makes the dataset, then each member; that one for all where there is no other.
    pub tokens: Vec<String>,
    /// Lines that wait for news.
    pub listening: usize,
    /// How many of those pull what they hear of.
    pub pulling: usize,
    /// Lines that push.
    pub pushing: usize,
    /// Pushes a second, all of them together.
    pub rate: f64,
    /// Row changes in a push.
    pub changes: usize,
    /// How long.
    pub seconds: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Milliseconds from when each push was due to its answer, with the second in which it was due.
    pub pushes: Vec<(u64, f64)>,
    /// Milliseconds from when a version was accepted to when a line had heard of it.
    pub notices: Vec<f64>,
    /// Milliseconds that a pull took.
    pub pulls: Vec<f64>,
    /// Milliseconds from when the server listened again after a restart until a line that waits had heard from it.
    pub returns: Vec<f64>,
    /// What went wrong, in words.
    pub errors: Vec<String>,
    /// The latest version at the end.
    pub head: u64,
}

struct Shared {
    load: Load,
    begin: Instant,
    is_over: AtomicBool,
    /// When the version of that number was accepted, in microseconds since the beginning.
    accepted: Vec<AtomicU64>,
    /// When the server listened again after a restart, in the same way; none where it never went away.
    again: AtomicU64,
    is_restarting: bool,
    outcome: Mutex<Outcome>,
}

/// The pause after the first time that a server cannot be reached, and the longest, as whoever syncs by itself makes them.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(4)];

impl Shared {
    fn note(&self, note: impl FnOnce(&mut Outcome)) {
        note(&mut self.outcome.lock().unwrap_or_else(PoisonError::into_inner));
    }
    fn primary(&self, number: usize) -> Result<HttpPrimary> {
        let members = self.load.tokens.get(1..).filter(|members| !members.is_empty()).unwrap_or(&self.load.tokens);
        HttpPrimary::new(self.load.address.clone(), members.get(number % members.len().max(1)).cloned(), Patience::default())
    }
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
    fn micros(&self) -> u64 {
        self.begin.elapsed().as_micros() as u64
    }
    /// Asks, and where the server is to go away for a while, asks again until it is there. The answer, and whether it was away.
    fn ask<T>(&self, mut ask: impl FnMut() -> Result<T>) -> Result<(T, bool)> {
        let mut pause = PAUSES[0];
        let mut was_away = false;
        loop {
            match ask() {
                Err(e) if self.is_restarting && e.kind == ErrorKind::Unavailable && !self.is_over() => {
                    was_away = true;
                    // Somewhere between half of it and the whole, so that not all come at once.
                    thread::sleep(pause.mul_f64(0.5 + RealSurroundings.random() as u8 as f64 / 512.0));
                    pause = (pause * 2).min(PAUSES[1]);
                }
                answer => return answer.map(|answer| (answer, was_away)),
            }
        }
    }
}

/// Founds the dataset and runs the load against it.
pub fn run(load: Load) -> Result<Outcome> {
    run_with(load, None)
}

/// The same, with the server restarted half-way.
pub fn run_with(load: Load, restart: Option<&mut dyn FnMut()>) -> Result<Outcome> {
    found(&load)?;
    let versions = (load.rate * load.seconds as f64) as usize * 2 + 1_000;
    let shared = Arc::new(Shared {
        begin: Instant::now(),
        is_over: AtomicBool::new(false),
        accepted: (0..versions).map(|_| AtomicU64::new(0)).collect(),
        again: AtomicU64::new(0),
        is_restarting: restart.is_some(),
        outcome: Mutex::default(),
        load,
    });
    let each = |name: &str, number: usize, work: fn(&Shared, usize) -> Result<()>| {
        let shared = shared.clone();
        let spawned = thread::Builder::new().name(format!("{name} {number}")).stack_size(STACK_BYTES).spawn(move || {
            if let Err(e) = work(&shared, number) {
                shared.note(|outcome| outcome.errors.push(format!("{} {}", e.code, e.message)));
            }
        });
        spawned.expect("a thread can be made")
    };
    let mut lines: Vec<_> = (0..shared.load.listening).map(|number| each("listener", number, listen)).collect();
    // All are connected before the first push is due.
    thread::sleep(Duration::from_millis(500 + shared.load.listening as u64 * 2));
    let from = shared.begin.elapsed();
    lines.extend((0..shared.load.pushing).map(|number| each("pusher", number, push)));
    let half = Duration::from_secs(shared.load.seconds) / 2;
    thread::sleep(half);
    if let Some(restart) = restart {
        restart();
        shared.again.store(shared.micros(), Ordering::Relaxed);
    }
    thread::sleep(half);
    shared.is_over.store(true, Ordering::Relaxed);
    // One more version, so that everybody who waits hears that it is over.
    let mut primary = shared.primary(0)?;
    Pusher::new(&mut primary, usize::MAX)?.push(&mut primary, 1)?;
    lines.into_iter().for_each(|line| drop(line.join()));
    let mut outcome = shared.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone();
    outcome.head = primary.describe()?.head.version;
    outcome.pushes.iter_mut().for_each(|(second, _)| *second = second.saturating_sub(from.as_secs()));
    Ok(outcome)
}

fn table() -> Table {
    let column = |name: &str, declared: &str| Column { name: name.into(), declared_type: declared.into(), ..Column::default() };
    Table {
        name: "entry".into(),
        columns: vec![column("id", "TEXT"), column("words", "TEXT"), column("count", "INTEGER")],
        key: vec![0],
        sql: "CREATE TABLE entry (id TEXT PRIMARY KEY, words TEXT, count INTEGER)".into(),
        ..Table::default()
    }
}

fn found(load: &Load) -> Result<()> {
    let schema = Schema { tables: vec![table()], objects: Vec::new() };
    let founding = Founding { dataset: "load", actor: "load", schema: &schema, policy: "", lineage: 0x10ad };
    let mut place = HttpPlace::new(load.address.clone(), load.tokens.first().cloned(), Patience::default());
    match place.found(&founding, &mut |_| Ok(())) {
        Err(e) if e.code == "occupied" => Ok(()),
        other => other,
    }
}

/// Waits for news, and pulls it where it is one of those who do.
fn listen(shared: &Shared, number: usize) -> Result<()> {
    let mut primary = shared.primary(number)?;
    let description = primary.describe()?;
    let mut known = description.head;
    let mut cursor = Cursor { version: known.version + 1, page: 0 };
    let mut acquaintance = Acquaintance {
        lineage: description.lineage,
        epoch: description.epoch,
        version: known.version,
        hash: primary.version_hash(known.version)?.unwrap_or_default(),
        scope: description.scope,
    };
    while !shared.is_over() {
        let (head, was_away) = shared.ask(|| primary.wait(&known, 25_000))?;
        let heard = shared.micros();
        if was_away {
            let again = shared.again.load(Ordering::Relaxed);
            shared.note(|outcome| outcome.returns.push(heard.saturating_sub(again) as f64 / 1000.0));
        } else if head.version > known.version && !shared.is_over() {
            // The oldest version that it had not heard of has waited longest.
            let accepted = shared.accepted.get(known.version as usize + 1).map_or(0, |at| at.load(Ordering::Relaxed));
            if accepted > 0 {
                shared.note(|outcome| outcome.notices.push(heard.saturating_sub(accepted) as f64 / 1000.0));
            }
        }
        known = head;
        while number < shared.load.pulling && !shared.is_over() {
            let began = Instant::now();
            let (pull, _) = shared.ask(|| primary.pull(&acquaintance, cursor, 1024 * 1024))?;
            shared.note(|outcome| outcome.pulls.push(began.elapsed().as_secs_f64() * 1000.0));
            cursor = pull.next;
            if pull.is_last {
                break;
            }
        }
        if number < shared.load.pulling {
            acquaintance.version = cursor.version - 1;
            acquaintance.hash = shared.ask(|| primary.version_hash(acquaintance.version))?.0.unwrap_or_default();
        }
    }
    Ok(())
}

fn push(shared: &Shared, number: usize) -> Result<()> {
    let mut primary = shared.primary(number)?;
    let mut pusher = Pusher::new(&mut primary, number)?;
    let pause = Duration::from_secs_f64(shared.load.pushing as f64 / shared.load.rate);
    let mut due = Instant::now() + pause.mul_f64(number as f64 / shared.load.pushing as f64);
    while !shared.is_over() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if shared.is_over() {
            break;
        }
        let (front, changes) = pusher.next(shared.load.changes);
        let (version, _) = shared.ask(|| pusher.offer(&mut primary, &front, &changes))?;
        let (now, took) = (shared.micros(), due.elapsed());
        if let Some(accepted) = shared.accepted.get(version as usize) {
            accepted.store(now, Ordering::Relaxed);
        }
        let second = due.duration_since(shared.begin).as_secs();
        shared.note(|outcome| outcome.pushes.push((second, took.as_secs_f64() * 1000.0)));
        due += pause;
    }
    Ok(())
}

/// Pushes so many new rows at once.
pub fn push_once(primary: &mut HttpPrimary, rows: usize) -> Result<u64> {
    Pusher::new(primary, usize::MAX)?.push(primary, rows)
}

/// Takes a snapshot and keeps nothing of it.
pub fn read_all(primary: &mut HttpPrimary) -> Result<()> {
    struct Nowhere;
    impl SnapshotSink for Nowhere {
        fn begin(&mut self, _: &SnapshotStart) -> Result<()> {
            Ok(())
        }
        fn rows(&mut self, _: usize, _: &[Row]) -> Result<()> {
            Ok(())
        }
    }
    primary.snapshot(&mut Nowhere)
}

/// A replica that only pushes: new rows of its own, and later edits of them.
struct Pusher {
    known: Acquaintance,
    replica: u128,
    sequence: u64,
    rows: u64,
}

impl Pusher {
    fn new(primary: &mut HttpPrimary, number: usize) -> Result<Pusher> {
        let description = primary.describe()?;
        let version = description.head.version;
        let hash = primary.version_hash(version)?.unwrap_or_default();
        let known = Acquaintance { lineage: description.lineage, epoch: description.epoch, version, hash, scope: description.scope };
        let now = RealSurroundings.random();
        Ok(Pusher { known, replica: now << 32 | number as u128 & 0xffff_ffff, sequence: 0, rows: 0 })
    }

    fn push(&mut self, primary: &mut HttpPrimary, changes: usize) -> Result<u64> {
        let (front, changes) = self.next(changes);
        self.offer(primary, &front, &changes)
    }

    /// Its next changeset.
    fn next(&mut self, changes: usize) -> (Front, Vec<Change>) {
        self.sequence += 1;
        let at = Time::from_ms(RealSurroundings.now_ms());
        let changes: Vec<Change> = (0..changes).map(|_| self.change(at)).collect();
        let header = Header {
            write_id: self.replica << 40 | u128::from(self.sequence),
            lineage: self.known.lineage,
            replica: ReplicaId(self.replica),
            sequence: self.sequence,
            base_version: self.known.version,
            actor: "load".into(),
            at,
            ..Header::default()
        };
        let columns = table().column_names();
        let shape = Shape { table: "entry".into(), columns, key: vec![0], ..Shape::default() };
        (Front { header, shapes: vec![shape], count: changes.len() as u64, ..Front::default() }, changes)
    }

    /// Offers a changeset, for the first time or again.
    fn offer(&self, primary: &mut HttpPrimary, front: &Front, changes: &[Change]) -> Result<u64> {
        match primary.push(&self.known, front, &mut Page { changes, is_taken: false })? {
            Pushed::Accepted { version, .. } | Pushed::Already { version } => Ok(version),
            other => Err(mainstem::Error::internal(format!("a push was answered {other:?}"))),
        }
    }

    /// A new row; once there are many, a row is made anew under the next name.
    fn change(&mut self, at: Time) -> Change {
        self.rows += 1;
        let id = Value::text(format!("{:08x}-{}", self.replica as u32, self.rows));
        let words = "the quick brown fox jumps over ".repeat((self.rows % 4) as usize);
        let row: Row = vec![id.clone(), Value::text(words), Value::Integer((self.rows % ROWS_MAX) as i64)];
        Change { table: 0, key: vec![id], edit: Edit::Insert(row), at, moved_from: None }
    }
}

struct Page<'c> {
    changes: &'c [Change],
    is_taken: bool,
}

impl Pages for Page<'_> {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        let is_first = !std::mem::replace(&mut self.is_taken, true);
        Ok(is_first.then(|| self.changes.to_vec()))
    }
    fn rewind(&mut self) -> Result<()> {
        self.is_taken = false;
        Ok(())
    }
}
