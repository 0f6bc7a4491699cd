//! Notices what other programs do to a database file: that they commit, and that they move, replace or remove it.
//!
//! Invariant: the file and its companions are looked at by `stat` and through SQLite alone; the system is asked to tell
//! of the folder, so that no descriptor of a tracked file is ever opened and closed here (J1).
//! Invariant: news of the system are rumours. They come before a commit can be seen, so that SQLite is asked again for a
//! while; and they may never come (a disk of the network, no watches left), so that it is asked now and then anyway.
pub mod folder;
pub mod replica;

use crate::connection::{FileIdentity, one};
use crate::errors::{Explain, display_name};
use folder::{FolderEvents, Heard};
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use rusqlite::{Connection, ErrorCode};
use rustix::fd::BorrowedFd;
use std::cell::Cell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often a file is looked at where the system tells of what happens.
const LOOK_MS: u64 = 900;
/// How often where it does not.
const LOOK_UNTOLD_MS: u64 = 250;
/// How long after a rumour no further one is listened to.
const RUMOUR_FRESH: Duration = Duration::from_millis(8);
/// The first pause after which SQLite is asked once more, on a rumour that has not come true yet: a commit can be seen soon after
/// its last write, of which the rumour is.
const RUMOUR_FIRST: Duration = Duration::from_micros(60);
/// How long whoever is keen asks without any pause at least: a sleep is longer than many commits take from there.
const KEEN: Duration = Duration::from_micros(150);
/// The longest time from a rumour to its commit that is taken for usual: a disk takes it, which is the same each time.
const USUAL_MAX: Duration = Duration::from_millis(4);
/// The longest.
const RUMOUR_MAX: Duration = Duration::from_millis(512);

/// How long a program that is in the middle of a transaction with a rollback journal is left alone: whoever reads the file
/// then makes its commit fail, where it does not wait. A journal that stays for good (`journal_mode=PERSIST`) only delays.
const RUMOUR_WRITING: Duration = Duration::from_millis(64);

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noticed {
    /// Another connection has committed.
    Commit,
    /// Somebody asks for attention.
    Call,
    /// The time passed.
    Nothing,
}

/// A file that is waited for.
pub struct Notice {
    file: FileIdentity,
    path: PathBuf,
    name: OsString,
    /// Where a program that writes without a log keeps what it overwrites.
    journal: PathBuf,
    events: FolderEvents,
    /// Of whoever is keen: how long after its rumour a commit could be seen lately.
    usual: Option<Cell<Duration>>,
}

impl Notice {
    /// Notices what happens to the file at a path from here on.
    pub fn of(path: &Path) -> Result<Notice> {
        let file = FileIdentity::of(path)?;
        let name = file.path.file_name().unwrap_or_default().to_os_string();
        let mut journal = file.path.clone().into_os_string();
        journal.push("-journal");
        let events = FolderEvents::of(file.path.parent().unwrap_or(Path::new("/")));
        Ok(Notice { file, path: path.to_owned(), name, journal: journal.into(), events, usual: None })
    }

    /// Hears of a commit as soon as can be, for more of the processor while somebody writes; nothing more where nobody does.
    pub fn keen(self) -> Notice {
        Notice { usual: Some(Cell::new(Duration::ZERO)), ..self }
    }

    /// Asks SQLite alone and without a pause around the time at which a commit is to be seen that a rumour tells of.
    fn ask_keenly(&self, db: &Connection, seen: i64) -> Result<()> {
        let Some(usual) = &self.usual else { return Ok(()) };
        let began = now();
        let early = usual.get() / 2;
        if early > KEEN && !self.is_being_written() {
            self.events.wait(early, None, false);
        }
        let late = began + usual.get() * 3 / 2 + KEEN;
        while now() < late && !self.is_being_written() {
            if data_version(db)?.is_some_and(|now| now != seen) {
                return Ok(());
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Notes how long after its rumour a commit could be seen.
    fn learn(&self, rumoured: Option<Instant>) {
        if let (Some(usual), Some(rumoured)) = (&self.usual, rumoured) {
            usual.set(((usual.get() * 3 + now().duration_since(rumoured)) / 4).min(USUAL_MAX));
        }
    }

    fn is_being_written(&self) -> bool {
        std::fs::metadata(&self.journal).is_ok_and(|journal| journal.len() > 0)
    }

    /// Refuses where the path does not lead to that file any more.
    pub fn check_place(&self) -> Result<()> {
        check_place(&self.path, &self.file)
    }

    /// Waits until another connection has committed since `seen` (see [`data_version`]), or something can be read from `call`,
    /// at most so long. `Unavailable` with the code `moved` where the file is moved away or replaced meanwhile. Returns also
    /// how much of the time is left.
    pub fn wait(&self, db: &Connection, seen: i64, timeout_ms: u64, call: Option<BorrowedFd<'_>>) -> Result<(Noticed, u64)> {
        let end = now() + Duration::from_millis(timeout_ms);
        let look = Duration::from_millis(if self.events.is_told() { LOOK_MS } else { LOOK_UNTOLD_MS });
        let (mut rumour, mut rumoured): (Option<Duration>, _) = (None, None);
        loop {
            self.check_place()?;
            let left_ms = end.saturating_duration_since(now()).as_millis() as u64;
            let is_left_alone = left_ms > 0 && rumour.is_some_and(|pause| pause <= RUMOUR_WRITING) && self.is_being_written();
            if !is_left_alone && data_version(db)?.is_some_and(|now| now != seen) {
                self.learn(rumoured);
                return Ok((Noticed::Commit, left_ms));
            }
            if left_ms == 0 {
                return Ok((Noticed::Nothing, 0));
            }
            // While a rumour is fresh, further ones say nothing new: a large transaction sends thousands.
            let is_fresh = rumour.is_some_and(|pause| pause < RUMOUR_FRESH);
            if self.events.wait(rumour.unwrap_or(look).min(Duration::from_millis(left_ms)), call, !is_fresh) == Heard::Call {
                return Ok((Noticed::Call, left_ms));
            }
            let is_rumoured = self.events.take(&self.name);
            if is_rumoured && !is_fresh {
                (rumour, rumoured) = (Some(RUMOUR_FIRST), Some(now()));
                self.ask_keenly(db, seen)?;
                continue;
            }
            rumour = rumour.map(|pause| if self.usual.is_some() { pause * 5 / 4 } else { pause * 2 }).filter(|pause| *pause <= RUMOUR_MAX);
        }
    }
}

/// A number that is another one after any other connection has committed; none while another program holds the file.
pub fn data_version(db: &Connection) -> Result<Option<i64>> {
    match one(db, "PRAGMA data_version", [], |row| row.get(0)) {
        Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(None),
        answer => answer.on(db).map(Some),
    }
}

/// Refuses where a path does not lead to that file any more.
pub fn check_place(path: &Path, file: &FileIdentity) -> Result<()> {
    let name = display_name(path);
    let moved = |what: &str| Error::new(ErrorKind::Unavailable, "moved", format!("{name} {what}"));
    match FileIdentity::of(path) {
        Ok(now) if now == *file => Ok(()),
        Ok(_) => Err(moved("was replaced by another file").hint("put the file back as it was, or start again with the new one")),
        Err(e) => Err(moved(&format!("is not in its place any more: {}", e.message)).hint("move the file back").because(e)),
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a wait has lasted; nothing that is kept depends on it")]
fn now() -> Instant {
    Instant::now()
}
