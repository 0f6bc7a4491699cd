//! The thread of one replica: notices what happens to the file, and syncs it when told to.
//!
//! Invariant: the file is opened anew for each sync, so that what is written is the file at the path; between syncs one
//! connection notices. A sync by hand at the same time holds the replica's lock, and this one comes later (SYN-6).
use super::{News, ReplicaNews};
use crate::wiring;
use mainstem::Result;
use mainstem::core::conflict::Conflict;
use mainstem::core::event::Digest;
use mainstem::replica::Replica;
use mainstem::sync::Report;
use mainstem::watch::Trouble;
use mainstem::wiring::Around;
use mainstem::{Error, sync};
use mainstem_http::client::Patience;
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::notice::replica::{Happened, ReplicaNotice};
use std::collections::BTreeSet;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// How long one wait lasts where nothing happens.
const WAIT_MS: u64 = 3_600_000;

/// What a worker is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Sync the replica.
    Sync,
    /// Come to an end.
    Stop,
}

/// What a sync did, for telling.
pub struct Ended {
    /// What moved.
    pub report: Report,
    /// The hash of the version held now.
    pub held: Digest,
    /// True where something is unsent again.
    pub has_work: bool,
    /// The primary's address.
    pub primary: String,
    /// Conflicts that are open now and were not before.
    pub conflicts: Vec<Conflict>,
    /// What opening the file had to say.
    pub notices: Vec<String>,
}

impl Ended {
    /// True where the sync changed anything here or there.
    pub fn has_moved(&self) -> bool {
        let r = &self.report;
        r.pushed + r.pulled + r.reconciled + r.offered_again + r.set_aside > 0 || r.is_restored || r.is_reseeded
    }
}

/// The thread, from outside.
pub struct Worker {
    orders: Sender<Order>,
    call: PipeWriter,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread of the replica with that number. What is unsent already is told as work.
    pub fn start(number: usize, path: &Path, actor: &str, around: Around, tell: Sender<News>) -> Result<Worker> {
        let (hear, call) = std::io::pipe().map_err(|e| Error::internal(format!("a pipe cannot be made: {e}")).because(e))?;
        let (give, orders) = channel();
        let notice = ReplicaNotice::of(path)?;
        let inside = Inside { number, path: path.to_owned(), actor: actor.to_owned(), around, tell, orders, call: hear, notice };
        Ok(Worker { orders: give, call, thread: Some(std::thread::spawn(move || inside.run())) })
    }

    /// Gives an order. A thread that has ended takes none.
    pub fn order(&mut self, order: Order) {
        if self.orders.send(order).is_ok() {
            let _ = self.call.write_all(b"!");
        }
    }

    /// Waits for the thread to end, which it does when it was told to.
    pub fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has ended the process already.
            let _ = thread.join();
        }
    }
}

struct Inside {
    number: usize,
    path: PathBuf,
    actor: String,
    around: Around,
    tell: Sender<News>,
    orders: Receiver<Order>,
    call: PipeReader,
    notice: ReplicaNotice,
}

impl Inside {
    fn run(mut self) {
        loop {
            let news = match self.notice.wait(WAIT_MS, self.call.as_fd()) {
                Happened::Work => Some(ReplicaNews::Work),
                Happened::Gone(e) => Some(ReplicaNews::Gone(Trouble::from(&e))),
                Happened::Back => Some(ReplicaNews::Back),
                Happened::Call => {
                    // One byte was written for each order.
                    let _ = self.call.read_exact(&mut [0]);
                    None
                }
                Happened::Nothing => None,
            };
            if news.is_some_and(|news| !self.say(news)) {
                return;
            }
            while let Ok(order) = self.orders.try_recv() {
                if order == Order::Stop || !self.sync_and_say() {
                    return;
                }
            }
        }
    }

    /// False where nobody listens any more.
    fn say(&self, news: ReplicaNews) -> bool {
        self.tell.send(News::Replica(self.number, news)).is_ok()
    }

    fn sync_and_say(&mut self) -> bool {
        let ended = self.sync().map(Box::new).map_err(|e| Trouble::from(&e));
        self.say(ReplicaNews::Ended(ended))
    }

    fn sync(&mut self) -> Result<Ended> {
        let mut ended = self.exchange()?;
        // Where it cannot be looked at the next sync says why.
        ended.has_work = self.notice.look().unwrap_or(true);
        Ok(ended)
    }

    fn exchange(&mut self) -> Result<Ended> {
        let mut replica = SqliteReplica::open(&self.path, self.around.clone())?;
        replica.lock(&self.actor)?;
        let standing = replica.standing()?;
        let before: BTreeSet<u64> = replica.conflicts(true)?.iter().map(|c| c.id).collect();
        let mut primary = wiring::primary_of(&standing, self.around.clone(), Patience::brisk())?;
        let report = sync::sync(&mut replica, primary.as_mut(), &self.actor, &mut |_, _, _| {})?;
        let mut conflicts = replica.conflicts(true)?;
        conflicts.retain(|c| !before.contains(&c.id));
        let held = replica.standing()?.known.map(|known| known.hash).unwrap_or_default();
        let primary = standing.remote.unwrap_or_default();
        Ok(Ended { report, held, has_work: false, primary, conflicts, notices: standing.notices })
    }
}
