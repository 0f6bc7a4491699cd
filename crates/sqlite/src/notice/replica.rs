//! Waits for work on one replica: a commit of any program that leaves something to send, and a file that goes or comes back.
//!
//! Invariant: a file that is not the one that was there is never written, and not even read on beyond its identity.
//! Invariant: what was committed before the last look is told by what is unsent, what comes after it by SQLite's own
//! counter, so that nothing falls between (I3); what a sync itself wrote is nobody's work (E2).
use super::folder::{FolderEvents, Heard};
use super::{LOOK_UNTOLD_MS, Notice, Noticed, data_version};
use crate::connection;
use crate::errors::display_name;
use crate::replica::{has_unsent, identity};
use mainstem::core::ErrorKind;
use mainstem::core::stamp::ReplicaId;
use mainstem::error::{Error, Result};
use rusqlite::Connection;
use rustix::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest pause between looks for a file that is gone.
const PAUSE_MS_MAX: u64 = 20_000;
/// How long a look waits for a program that holds the file.
const BUSY_MS: u64 = 500;

/// What ended a wait.
#[derive(Debug)]
pub enum Happened {
    /// There is something to send.
    Work,
    /// The file is not in its place any more, or another is.
    Gone(Error),
    /// It is in its place again.
    Back,
    /// Somebody asks for attention.
    Call,
    /// The time passed.
    Nothing,
}

/// A replica that is waited for.
pub struct ReplicaNotice {
    path: PathBuf,
    who: ReplicaId,
    open: Option<Open>,
    gone: Option<String>,
    pause_ms: u64,
}

struct Open {
    notice: Notice,
    db: Connection,
    seen: i64,
}

impl ReplicaNotice {
    /// Notices what happens to the replica in a file. What is unsent at that moment is told as work.
    pub fn of(path: &Path) -> Result<ReplicaNotice> {
        let (mut open, who) = Open::of(path)?;
        // No counter of SQLite's is negative.
        open.seen = -1;
        Ok(ReplicaNotice { path: path.to_owned(), who, open: Some(open), gone: None, pause_ms: LOOK_UNTOLD_MS })
    }

    /// Waits for something to happen, at most so long. A call is something that can be read from `call`.
    pub fn wait(&mut self, timeout_ms: u64, call: BorrowedFd<'_>) -> Happened {
        let Some(open) = &mut self.open else { return self.wait_for_return(timeout_ms, call) };
        match open.wait(timeout_ms, call, &mut self.who) {
            Ok(happened) => {
                self.pause_ms = LOOK_UNTOLD_MS;
                happened
            }
            Err(e) => self.lose(e),
        }
    }

    /// Looks at the file after a sync: true where something is unsent. Everything before this look is thereby known.
    pub fn look(&mut self) -> Result<bool> {
        let Some(open) = &mut self.open else { return Ok(false) };
        open.look(&mut self.who)
    }

    /// True where the file is in its place, as far as is known.
    pub fn is_there(&self) -> bool {
        self.open.is_some()
    }

    fn lose(&mut self, e: Error) -> Happened {
        // SQLite writes nothing on closing where the file has moved.
        self.open = None;
        self.gone = Some(e.message.clone());
        Happened::Gone(e)
    }

    fn wait_for_return(&mut self, timeout_ms: u64, call: BorrowedFd<'_>) -> Happened {
        if FolderEvents::none().wait(Duration::from_millis(timeout_ms.min(self.pause_ms)), Some(call), false) == Heard::Call {
            return Happened::Call;
        }
        match Open::of(&self.path) {
            Ok((open, who)) if who == self.who => {
                self.open = Some(open);
                self.gone = None;
                // A file that is found and lost again and again is looked for ever less often.
                self.pause_ms = (self.pause_ms * 2).min(PAUSE_MS_MAX);
                Happened::Back
            }
            Ok(_) => {
                let message = format!("another database is in the place of {}", display_name(&self.path));
                let e = Error::new(ErrorKind::Conflict, "replaced", message);
                let is_told = self.gone.as_ref() == Some(&e.message);
                let e = e.hint("put the file back as it was, or start again with the new one");
                if is_told { Happened::Nothing } else { self.lose(e) }
            }
            Err(_) => Happened::Nothing,
        }
    }
}

impl Open {
    fn of(path: &Path) -> Result<(Open, ReplicaId)> {
        let notice = Notice::of(path)?;
        let db = connection::open_user_waiting(path, BUSY_MS)?;
        let who = identity(&db, path)?;
        notice.check_place()?;
        let seen = data_version(&db)?.unwrap_or(-1);
        Ok((Open { notice, db, seen }, who))
    }

    fn wait(&mut self, timeout_ms: u64, call: BorrowedFd<'_>, who: &mut ReplicaId) -> Result<Happened> {
        let mut left_ms = timeout_ms;
        loop {
            let (noticed, rest_ms) = self.notice.wait(&self.db, self.seen, left_ms, Some(call))?;
            left_ms = rest_ms;
            match noticed {
                Noticed::Call => return Ok(Happened::Call),
                Noticed::Nothing => return Ok(Happened::Nothing),
                Noticed::Commit if self.look(who)? => return Ok(Happened::Work),
                Noticed::Commit if left_ms == 0 => return Ok(Happened::Nothing),
                Noticed::Commit => {}
            }
        }
    }

    /// True where something is unsent. What is committed after this look is noticed.
    fn look(&mut self, who: &mut ReplicaId) -> Result<bool> {
        // Read before the look itself: a commit in between is noticed by it.
        let version = data_version(&self.db)?;
        match self.read() {
            Ok((is, has_work)) => {
                *who = is;
                self.seen = version.unwrap_or(self.seen);
                Ok(has_work)
            }
            // Another program holds it; it is asked again, since `seen` stays.
            Err(e) if e.code == "locked" => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn read(&self) -> Result<(ReplicaId, bool)> {
        connection::begin_read(&self.db)?;
        let read = identity(&self.db, &self.notice.path).and_then(|who| Ok((who, has_unsent(&self.db)?)));
        connection::roll_back(&self.db);
        read
    }
}
