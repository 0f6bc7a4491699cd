//! `watch` at work: one thread for each replica, one for each primary, and here the keepers that decide.
//!
//! Invariant: threads only tell and obey; what is done when is decided by `mainstem::watch::Keeper` alone.
//! Invariant: nothing is printed, written or sent while nothing happens.
pub mod listener;
pub mod record;
pub mod telling;
pub mod unit;
pub mod worker;

use crate::wiring::Session;
use listener::Listener;
use mainstem::core::event::Digest;
use mainstem::ledger::Head;
use mainstem::watch::{Event, Keeper, Orders, Slumber, Synced, Trouble};
use mainstem::wiring::Around;
use mainstem::{Error, Result};
use mainstem_sqlite::lock::WatchLock;
use record::Record;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use telling::Telling;
use worker::{Ended, Order, Worker};

/// How often the clocks are compared, so that a machine that slept is noticed.
const LOOK_MS: u64 = 1_000;

/// What threads tell.
pub enum News {
    /// Of the replica with that number.
    Replica(usize, ReplicaNews),
    /// Of the primary at that address.
    Primary(String, PrimaryNews),
    /// Somebody wants this to end.
    Stop,
}

/// What happened to a replica.
pub enum ReplicaNews {
    /// There is something to send.
    Work,
    /// Its file is not in its place.
    Gone(Trouble),
    /// Its file is in its place again.
    Back,
    /// A sync is over.
    Ended(std::result::Result<Box<Ended>, Trouble>),
}

/// What happened to a primary.
#[derive(Clone)]
pub enum PrimaryNews {
    /// Its ledger ends there.
    Heard(Head),
    /// It cannot be heard.
    Unheard(Trouble),
}

/// A replica as it is asked for.
pub struct Wanted {
    /// The database as it was typed.
    pub path: PathBuf,
    /// Who syncs it.
    pub actor: String,
    /// The address of its primary.
    pub primary: String,
    /// The right to watch it.
    pub lock: WatchLock,
}

struct Kept {
    keeper: Keeper,
    worker: Worker,
    primary: String,
    record: Record,
    telling: Telling,
    _lock: WatchLock,
}

/// Watches until somebody ends it.
pub fn run(session: &mut Session, wanted: Vec<Wanted>) -> Result<()> {
    let (tell, news) = channel();
    stop_on_signals(tell.clone())?;
    let mut watch = Watch::new(session.around.clone(), tell);
    for one in wanted {
        watch.add(one)?;
    }
    let ran = watch.go_on(session, &news);
    watch.end(session, &news);
    ran
}

struct Watch {
    around: Around,
    begun: Instant,
    tell: Sender<News>,
    kept: Vec<Kept>,
    listeners: BTreeMap<String, Listener>,
    due_ms: Vec<Option<u64>>,
}

impl Watch {
    fn new(around: Around, tell: Sender<News>) -> Watch {
        Watch { around, begun: steady(), tell, kept: Vec::new(), listeners: BTreeMap::new(), due_ms: Vec::new() }
    }

    fn add(&mut self, wanted: Wanted) -> Result<()> {
        let number = self.kept.len();
        let worker = Worker::start(number, &wanted.path, &wanted.actor, self.around.clone(), self.tell.clone())?;
        let record = Record::begin(&wanted, self.around.now_ms());
        let telling = Telling::of(&wanted.path);
        self.listen(&wanted.primary);
        self.kept.push(Kept { keeper: Keeper::new(0), worker, primary: wanted.primary, record, telling, _lock: wanted.lock });
        self.due_ms.push(Some(0));
        Ok(())
    }

    /// Listens to a primary, where nobody does yet.
    fn listen(&mut self, address: &str) {
        let (around, tell) = (&self.around, &self.tell);
        self.listeners.entry(address.to_owned()).or_insert_with(|| Listener::start(address, around.clone(), tell.clone()));
    }

    fn now_ms(&self) -> u64 {
        steady().saturating_duration_since(self.begun).as_millis() as u64
    }

    fn go_on(&mut self, session: &mut Session, news: &Receiver<News>) -> Result<()> {
        let mut slumber = Slumber::new(self.around.now_ms(), self.now_ms());
        loop {
            let now_ms = self.now_ms();
            let due_ms = self.due_ms.iter().flatten().min().copied().unwrap_or(u64::MAX);
            let heard = news.recv_timeout(Duration::from_millis(due_ms.saturating_sub(now_ms).min(LOOK_MS)));
            if slumber.is_over(self.around.now_ms(), self.now_ms()) {
                (0..self.kept.len()).try_for_each(|number| self.step(session, number, Event::Woke))?;
            }
            match heard {
                Ok(News::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(News::Replica(number, what)) => self.hear_of_replica(session, number, what)?,
                Ok(News::Primary(address, what)) => self.hear_of_primary(session, &address, &what)?,
                Err(RecvTimeoutError::Timeout) => {}
            }
            for number in 0..self.kept.len() {
                if self.due_ms[number].is_some_and(|due| due <= self.now_ms()) {
                    self.step(session, number, Event::Tick)?;
                }
            }
            session.out.flush()?;
        }
    }

    fn hear_of_replica(&mut self, session: &mut Session, number: usize, news: ReplicaNews) -> Result<()> {
        match news {
            ReplicaNews::Work => self.step(session, number, Event::Committed),
            ReplicaNews::Gone(trouble) => self.step(session, number, Event::Gone(trouble)),
            ReplicaNews::Back => self.step(session, number, Event::Back),
            ReplicaNews::Ended(Err(trouble)) => self.step(session, number, Event::Failed(trouble)),
            ReplicaNews::Ended(Ok(ended)) => {
                let (kept, at_ms) = (&mut self.kept[number], self.around.now_ms());
                kept.telling.synced(&mut session.out, &ended, at_ms)?;
                kept.record.synced(&ended, at_ms);
                let is_moved = kept.primary != ended.primary;
                kept.primary.clone_from(&ended.primary);
                if is_moved {
                    self.listen(&ended.primary);
                }
                self.step(session, number, Event::Synced(synced(&ended)))
            }
        }
    }

    fn hear_of_primary(&mut self, session: &mut Session, address: &str, news: &PrimaryNews) -> Result<()> {
        for number in 0..self.kept.len() {
            if self.kept[number].primary != address {
                continue;
            }
            let event = match news.clone() {
                PrimaryNews::Heard(head) => {
                    self.kept[number].record.heard(head.version);
                    Event::Heard(head)
                }
                PrimaryNews::Unheard(trouble) => Event::Unheard(trouble),
            };
            self.step(session, number, event)?;
        }
        Ok(())
    }

    fn step(&mut self, session: &mut Session, number: usize, event: Event) -> Result<()> {
        let now_ms = self.now_ms();
        let kept = &mut self.kept[number];
        let Orders { is_sync, report, wait_until_ms } = kept.keeper.step(now_ms, event, self.around.random() as u64);
        self.due_ms[number] = wait_until_ms;
        if let Some(state) = report {
            let at_ms = self.around.now_ms();
            kept.record.state(&state, at_ms);
            kept.telling.state(&mut session.out, &state, &kept.primary, at_ms)?;
        }
        if is_sync {
            kept.worker.order(Order::Sync);
        }
        Ok(())
    }

    /// Lets the running syncs end, and tells of them.
    fn end(mut self, session: &mut Session, news: &Receiver<News>) {
        self.kept.iter_mut().for_each(|kept| kept.worker.order(Order::Stop));
        self.kept.iter_mut().for_each(|kept| kept.worker.join());
        while let Ok(heard) = news.try_recv() {
            if let News::Replica(number, ReplicaNews::Ended(Ok(ended))) = heard {
                // Where nobody reads any more there is nobody to tell.
                let _ = self.kept[number].telling.synced(&mut session.out, &ended, self.around.now_ms());
            }
        }
        self.kept.into_iter().for_each(|kept| kept.record.end());
    }
}

fn synced(ended: &Ended) -> Synced {
    let held: Digest = ended.held;
    Synced { held, has_moved: ended.has_moved(), has_work: ended.has_work }
}

#[expect(clippy::disallowed_methods, reason = "how long to wait; nothing that is kept depends on it")]
fn steady() -> Instant {
    Instant::now()
}

/// The first signal ends it after the running step, a second one at once.
fn stop_on_signals(tell: Sender<News>) -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .map_err(|e| Error::internal(format!("signals cannot be heard: {e}")).because(e))?;
    std::thread::spawn(move || {
        let mut is_stopping = false;
        for _ in signals.forever() {
            if is_stopping || tell.send(News::Stop).is_err() {
                std::process::exit(130);
            }
            is_stopping = true;
        }
    });
    Ok(())
}
