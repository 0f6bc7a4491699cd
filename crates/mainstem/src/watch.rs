//! Decides when a replica is synced that nobody syncs by hand: events in, orders out.
//!
//! Invariant: while there is anything to do, a moment is set at which it is done, whatever happened before (I4).
//! Invariant: nothing is ordered that nobody's write, no news of the primary and no return of machine or network asks
//! for: after a sync that leaves nothing to do there is silence (E2).
//! Deliberately absent: clocks, threads, files and networks. Time only goes forwards here and is an argument.
mod backoff;
mod slumber;

pub use backoff::{Backoff, Patience};
pub use slumber::Slumber;

use crate::error::Error;
use crate::ledger::Head;
use mainstem_core::ErrorKind;
use mainstem_core::event::Digest;

/// How long after a program's last commit the sync begins: its next ones go with it, and find the file free. A program that
/// does not wait for locks would fail otherwise.
const SETTLE_MS: u64 = 150;
/// The longest that a commit waits where others follow it.
const SETTLE_MS_MAX: u64 = 600;
/// Within which time after news of the primary the sync begins: not all its replicas come at once.
const SPREAD_MS: u64 = 50;
/// The least and the longest rest after a sync.
const REST_MS: (u64, u64) = (50, 3_000);
/// How many times as long as the sync it is: whoever is busy is left alone, and syncs that follow one another take their
/// share of a machine and no more.
const REST_SYNCS: u64 = 4;
/// How soon a sync is tried again that another program's sync stood against.
const TAKEN_MS: u64 = 1_000;

/// Why it does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What should be done about it.
    pub kind: ErrorKind,
    /// Its stable name.
    pub code: &'static str,
    /// What happened, to which thing.
    pub message: String,
    /// A command to type.
    pub hint: Option<String>,
}

impl Trouble {
    /// True for what may pass by itself; false for a refusal.
    pub fn is_passing(&self) -> bool {
        // A folder that is not there may be a disk that is not plugged in.
        self.kind == ErrorKind::Unavailable || self.code == "no_primary" && self.kind == ErrorKind::NotFound
    }
}

impl From<&Error> for Trouble {
    fn from(e: &Error) -> Trouble {
        Trouble { kind: e.kind, code: e.code, message: e.message.clone(), hint: e.hint.clone() }
    }
}

/// What a sync left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The hash of the version the replica holds now.
    pub held: Digest,
    /// True where anything was sent or received.
    pub has_moved: bool,
    /// True where something is unsent still, or again.
    pub has_work: bool,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The replica holds something that was not sent.
    Committed,
    /// The primary was heard, and its ledger ends there.
    Heard(Head),
    /// The primary cannot be heard.
    Unheard(Trouble),
    /// The sync that was ordered is over.
    Synced(Synced),
    /// It came to nothing.
    Failed(Trouble),
    /// The file is not in its place any more.
    Gone(Trouble),
    /// It is in its place again.
    Back,
    /// The machine slept.
    Woke,
    /// Nothing; time passed.
    Tick,
}

/// How it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No sync has succeeded yet.
    Starting,
    /// All that is known of is on its way or has arrived.
    Watching,
    /// Something that may pass stands against it.
    Offline(Trouble),
    /// Something that people must end stands against it.
    Blocked(Trouble),
    /// The file is not in its place.
    Gone(Trouble),
}

/// What is to be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Sync the replica, and tell how that ended.
    pub is_sync: bool,
    /// Say how it goes from now on.
    pub report: Option<State>,
    /// Ask again at that moment, where nothing happens before.
    pub wait_until_ms: Option<u64>,
}

/// Keeps one replica in sync.
pub struct Keeper {
    is_syncing: bool,
    has_work: bool,
    due_ms: Option<u64>,
    /// When the first commit came that no sync has begun for, and until when others are waited for.
    unsettled_ms: Option<u64>,
    settles_ms: Option<u64>,
    begun_ms: u64,
    rested_ms: u64,
    patience: Patience,
    held: Option<Digest>,
    heard: Option<Head>,
    heard_before: Option<Head>,
    settled: Option<Head>,
    trouble: Option<Trouble>,
    unheard: Option<Trouble>,
    gone: Option<Trouble>,
    reported: State,
}

impl Keeper {
    /// A replica of which nothing is known: its first sync is due at once.
    pub fn new(now_ms: u64) -> Keeper {
        Keeper {
            is_syncing: false,
            has_work: true,
            due_ms: Some(now_ms),
            unsettled_ms: None,
            settles_ms: None,
            begun_ms: now_ms,
            rested_ms: now_ms,
            patience: Patience::default(),
            held: None,
            heard: None,
            heard_before: None,
            settled: None,
            trouble: None,
            unheard: None,
            gone: None,
            reported: State::Starting,
        }
    }

    /// Takes what happened; says what is to be done. `random` spreads what many do at the same moment.
    pub fn step(&mut self, now_ms: u64, event: Event, random: u64) -> Orders {
        match event {
            Event::Committed => {
                self.has_work = true;
                self.settle(now_ms);
            }
            Event::Heard(head) => self.hear(now_ms, head, random),
            Event::Unheard(trouble) => self.unheard = Some(trouble),
            Event::Synced(synced) => self.succeed(now_ms, synced, random),
            Event::Failed(trouble) => self.fail(now_ms, trouble, random),
            Event::Gone(trouble) => self.gone = Some(trouble),
            Event::Back => {
                self.gone = None;
                self.hurry(now_ms);
            }
            Event::Woke => self.hurry(now_ms),
            Event::Tick => {}
        }
        self.orders(now_ms)
    }

    fn orders(&mut self, now_ms: u64) -> Orders {
        let may_begin = !self.is_syncing && self.gone.is_none();
        let is_sync = may_begin && self.due_ms.is_some_and(|due| due <= now_ms);
        if is_sync {
            self.is_syncing = true;
            self.has_work = false;
            self.due_ms = None;
            self.unsettled_ms = None;
            self.settles_ms = None;
            self.heard_before = self.heard;
            self.begun_ms = now_ms;
        }
        let state = self.state();
        let report = (state != self.reported).then(|| state.clone());
        self.reported = state;
        Orders { is_sync, report, wait_until_ms: self.due_ms.filter(|_| may_begin && !is_sync) }
    }

    fn state(&self) -> State {
        if let Some(trouble) = &self.gone {
            return State::Gone(trouble.clone());
        }
        match self.trouble.as_ref().or(self.unheard.as_ref()) {
            Some(trouble) if trouble.is_passing() => State::Offline(trouble.clone()),
            Some(trouble) => State::Blocked(trouble.clone()),
            None if self.held.is_some() => State::Watching,
            None => State::Starting,
        }
    }

    /// A sync is wanted that soon. One that waits after a failure is not brought forward.
    fn come(&mut self, now_ms: u64, in_ms: u64) {
        if self.is_syncing || self.due_ms.is_some() && self.trouble.is_some() {
            return;
        }
        let due_ms = (now_ms + in_ms).max(self.rested_ms);
        self.due_ms = Some(self.due_ms.map_or(due_ms, |before| before.min(due_ms)));
    }

    /// A program has committed: a sync is wanted once it pauses. What is wanted sooner for another reason comes sooner.
    fn settle(&mut self, now_ms: u64) {
        let since_ms = *self.unsettled_ms.get_or_insert(now_ms);
        let due_ms = (now_ms + SETTLE_MS).min(since_ms + SETTLE_MS_MAX).max(self.rested_ms);
        match self.settles_ms {
            Some(before) if self.due_ms == Some(before) && self.trouble.is_none() && !self.is_syncing => self.due_ms = Some(due_ms),
            _ => self.come(now_ms, due_ms.saturating_sub(now_ms)),
        }
        self.settles_ms = Some(due_ms);
    }

    /// A sync is wanted now, whatever failed before.
    fn hurry(&mut self, now_ms: u64) {
        self.patience.reset();
        self.has_work = true;
        if !self.is_syncing {
            self.due_ms = Some(now_ms);
        }
    }

    fn hear(&mut self, now_ms: u64, head: Head, random: u64) {
        self.heard = Some(head);
        let is_return = self.unheard.take().is_some();
        if is_return && self.trouble.is_some() && !self.is_syncing {
            // What failed may well succeed now. Should it fail again, the waits go on growing.
            self.due_ms = Some(now_ms);
        } else if self.is_news() {
            self.come(now_ms, random % SPREAD_MS);
        }
    }

    /// True where the primary has something that the replica has not received.
    fn is_news(&self) -> bool {
        let Some(head) = self.heard else { return false };
        // A version's hash is the ledger's end where that version is its last event.
        Some(head.hash) != self.held && Some(head) != self.settled
    }

    fn end(&mut self, now_ms: u64) {
        self.is_syncing = false;
        self.rested_ms = now_ms + (now_ms.saturating_sub(self.begun_ms) * REST_SYNCS).clamp(REST_MS.0, REST_MS.1);
    }

    fn succeed(&mut self, now_ms: u64, synced: Synced, random: u64) {
        self.end(now_ms);
        self.held = Some(synced.held);
        self.settled = self.heard_before;
        self.trouble = None;
        self.unheard = None;
        self.has_work |= synced.has_work;
        let wants_more = self.has_work || self.is_news();
        if synced.has_moved || !wants_more {
            self.patience.reset();
        }
        match (wants_more, synced.has_moved) {
            (false, _) => {}
            (true, true) => self.come(now_ms, SETTLE_MS),
            // What a sync could not move the next one cannot either, unless something else happens.
            (true, false) => self.due_ms = Some(now_ms + self.patience.passing.next(random)),
        }
    }

    fn fail(&mut self, now_ms: u64, trouble: Trouble, random: u64) {
        self.end(now_ms);
        self.has_work = true;
        if trouble.code == "sync_locked" {
            // Somebody syncs by hand. Whether that leaves anything to do is seen when it is over.
            self.due_ms = Some(now_ms + TAKEN_MS / 2 + random % (TAKEN_MS / 2));
            return;
        }
        self.due_ms = Some(now_ms + self.patience.after(&trouble, random));
        self.trouble = Some(trouble);
    }
}

#[cfg(test)]
mod tests;
