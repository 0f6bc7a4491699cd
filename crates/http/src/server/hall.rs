//! The datasets of a server, opened as they are asked for and kept open.
//!
//! Invariant: one writer at a time for each dataset, in turn by who asks; readers do not wait for writers, nor writers for readers.
//! Invariant: while others ask too, the reads of one actor take their part of a processor and no more, however many they are.
use super::company::Company;
use super::counting::Caller;
use super::keeper::Keeper;
use super::limits::Limits;
use super::told::Told;
use super::turns::{Turn, Turns};
use super::waiting::Remembered;
use mainstem::author::absent;
use mainstem::core::ErrorKind;
use mainstem::datasets::Datasets;
use mainstem::error::{Error, Result};
use mainstem::ledger::Head;
use mainstem::primary::Primary;
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedRwLockReadGuard, OwnedSemaphorePermit, RwLock, Semaphore};
use tokio::time::Instant;

/// Handles of one dataset that are kept open while nobody asks.
const KEPT_MAX: usize = 4;
/// Handles of all datasets that are kept open; each has a few files open.
const KEPT_IN_ALL_MAX: usize = 256;
/// Rooms, beyond which those that nobody is in and nothing is kept in are given up.
const ROOMS_MAX: usize = 2_048;

/// After what time it is tried again to listen to a dataset that could not be listened to.
const DEAF: Duration = Duration::from_millis(200);

/// How many times as long as a read took of a processor its share rests while others ask too: two shares come to a fifth of one.
const REST_TIMES: u32 = 9;
/// A rest that is shorter is none: a timer is not that exact.
const REST_MIN: Duration = Duration::from_millis(1);
/// The longest rest.
const REST_MAX: Duration = Duration::from_secs(1);

/// A dataset's primary, as the hall lends it.
pub type Handle = Box<dyn Primary + Send>;

#[derive(Default)]
struct Room {
    /// Held by whoever has the dataset open; whole by whoever wants nobody to.
    open: Arc<RwLock<()>>,
    handles: Mutex<Vec<Handle>>,
    turns: Arc<Turns>,
    keeper: Arc<Keeper>,
}

/// Every dataset of a server.
pub struct Hall {
    datasets: Arc<dyn Datasets>,
    rooms: Arc<Rooms>,
    /// How many calls read at once; the rest wait.
    reading: Arc<Semaphore>,
    /// How many write at once, to as many datasets.
    writing: Arc<Semaphore>,
    /// The share of each caller in those that read, while there is any.
    shares: Mutex<HashMap<Caller, Arc<Semaphore>>>,
    share: usize,
    company: Company,
    writes_waiting_max: usize,
    told: Told,
    waiting: Remembered,
}

type Rooms = Mutex<HashMap<String, Arc<Room>>>;

/// The right to run, until it is dropped.
struct Running {
    _open: Option<OwnedRwLockReadGuard<()>>,
    share: Option<OwnedSemaphorePermit>,
    is_among_others: bool,
    turn: Option<Turn>,
    _running: OwnedSemaphorePermit,
}

impl Running {
    /// Does work on this thread, and lets who asked for it rest for what it cost others.
    fn run<T>(mut self, work: impl FnOnce() -> T) -> T {
        let began = processor_time();
        let done = work();
        let cost = processor_time().saturating_sub(began);
        if let Some(turn) = &mut self.turn {
            turn.cost(cost);
        }
        if let (Some(share), Some(rest)) = (self.share.take(), rest_after(cost).filter(|_| self.is_among_others)) {
            // The answer does not wait for it, only what the same actor reads next.
            tokio::spawn(async move {
                tokio::time::sleep(rest).await;
                drop(share);
            });
        }
        done
    }
}

/// How long a share rests after a read that took so much of a processor.
fn rest_after(cost: Duration) -> Option<Duration> {
    Some(cost.saturating_mul(REST_TIMES).min(REST_MAX)).filter(|rest| *rest >= REST_MIN)
}

/// Processor time of this thread: what a turn costs others, however busy the machine is otherwise.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

impl Hall {
    /// The hall of these datasets.
    pub fn new(datasets: Arc<dyn Datasets>, limits: &Limits) -> Self {
        let most = |limit: u64| usize::try_from(limit).unwrap_or(Semaphore::MAX_PERMITS).clamp(1, Semaphore::MAX_PERMITS);
        Hall {
            datasets,
            rooms: Arc::default(),
            reading: Arc::new(Semaphore::new(most(limits.running_max))),
            writing: Arc::new(Semaphore::new(most(limits.running_max))),
            shares: Mutex::default(),
            share: most(limits.running_per_actor_max),
            company: Company::default(),
            writes_waiting_max: most(limits.writes_waiting_per_actor_max),
            told: Told::default(),
            waiting: Remembered::default(),
        }
    }
    /// What was counted of datasets last.
    pub(super) fn waiting(&self) -> &Remembered {
        &self.waiting
    }
    fn room(&self, name: &str) -> Arc<Room> {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if rooms.len() >= ROOMS_MAX && !rooms.contains_key(name) {
            rooms.retain(|_, room| Arc::strong_count(room) > 1 || room.kept() > 0);
        }
        rooms.entry(name.to_string()).or_default().clone()
    }

    fn share(&self, caller: Caller) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if !shares.contains_key(&caller) {
            // Those that nobody holds are as good as new.
            shares.retain(|_, share| Arc::strong_count(share) > 1);
        }
        shares.entry(caller).or_insert_with(|| Arc::new(Semaphore::new(self.share))).clone()
    }

    /// Waits for the right to read: first among the caller's own calls, so that nobody's many keep another waiting, then among
    /// all.
    async fn to_read(&self, open: Option<&Room>) -> Result<Running> {
        // First of all, so that whoever waits for it holds nothing that others need to end.
        let open = match open {
            Some(room) => Some(room.open.clone().read_owned().await),
            None => None,
        };
        let caller = Caller::current();
        let is_among_others = self.company.with(caller, Instant::now());
        let share = match caller {
            Some(caller) => Some(self.share(caller).acquire_owned().await.map_err(|_| stopping())?),
            None => None,
        };
        let running = self.reading.clone().acquire_owned().await.map_err(|_| stopping())?;
        Ok(Running { _open: open, share, is_among_others, turn: None, _running: running })
    }

    /// Waits for the right to write to a dataset: in turn by caller, then among the writers of all datasets.
    async fn to_write(&self, room: &Room) -> Result<Running> {
        // Somebody may rest here for long, and holds nothing yet that anybody else needs.
        let caller = Caller::current();
        let is_among_others = self.company.with(caller, Instant::now());
        let next = room.turns.next(caller, self.writes_waiting_max).await?;
        let open = room.open.clone().read_owned().await;
        let turn = next.turn().await;
        let running = self.writing.clone().acquire_owned().await.map_err(|_| stopping())?;
        Ok(Running { _open: Some(open), share: None, is_among_others, turn: Some(turn), _running: running })
    }

    /// Runs `work` with all datasets, on a thread where it may take its time.
    pub async fn over_all<T: Send + 'static>(&self, work: impl FnOnce(&dyn Datasets) -> Result<T> + Send + 'static) -> Result<T> {
        let (running, datasets) = (self.to_read(None).await?, self.datasets.clone());
        ended(tokio::task::spawn_blocking(move || running.run(|| work(&*datasets)))).await
    }

    /// What was answered lately to those who pull.
    pub(super) fn told(&self) -> &Told {
        &self.told
    }

    /// Where datasets are.
    pub fn datasets(&self) -> Arc<dyn Datasets> {
        self.datasets.clone()
    }

    /// Waits until a dataset's ledger ends elsewhere than `known`, at most so long; answers where it ends then. Any number
    /// may wait at once.
    pub async fn wait(&self, name: &str, known: Head, at_most: Duration) -> Result<Head> {
        let end = Instant::now() + at_most;
        let mut stale = None;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let room = self.room(name);
            let open = room.open.clone().read_owned().await;
            // A keeper that cannot listen does not say why; the dataset, asked below, does.
            let told = room.keeper.wait((self.datasets.clone(), open), name, (known, stale), left).await;
            let told = told.ok().flatten();
            if let Some(head) = told.filter(|head| *head == known || head.events > known.events) {
                return Ok(head);
            }
            // The keeper has not heard yet of what whoever asks knows; or the primary was put back to an older copy.
            let head = self.with(name, false, |primary| Ok(primary.describe()?.head)).await?;
            if head != known || left.is_zero() {
                return Ok(head);
            }
            if told.is_none() {
                tokio::time::sleep(DEAF).await;
            }
            stale = told;
        }
    }

    /// Runs `work` on a dataset that is there, on a thread where it may take its time, while others have it open.
    pub async fn beside<T: Send + 'static>(&self, name: &str, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let room = self.room(name);
        let (running, datasets, name) = (self.to_read(Some(&room)).await?, self.datasets.clone(), name.to_string());
        let work = move || {
            datasets.is_archived(&name).map_err(|e| if e.code == "no_primary" { absent(&name) } else { e })?;
            work()
        };
        ended(tokio::task::spawn_blocking(move || running.run(work))).await
    }

    /// The same while nobody of this server has it open.
    pub async fn alone<T: Send + 'static>(&self, name: &str, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let room = self.room(name);
        let alone = room.open.clone().write_owned().await;
        room.keeper.rest().await;
        let (running, datasets, name) = (self.to_read(None).await?, self.datasets.clone(), name.to_string());
        ended(tokio::task::spawn_blocking(move || {
            let _held = (alone, running);
            room.handles.lock().unwrap_or_else(PoisonError::into_inner).clear();
            datasets.is_archived(&name).map_err(|e| if e.code == "no_primary" { absent(&name) } else { e })?;
            work()
        }))
        .await
    }

    /// Runs `work` that writes to a dataset's primary. `Conflict` with the code `archived` where it is archived.
    pub async fn change<T: Send + 'static>(&self, name: &str, work: impl FnOnce(&mut Handle) -> Result<T> + Send + 'static) -> Result<T> {
        let (datasets, dataset) = (self.datasets.clone(), name.to_string());
        let work = move |primary: &mut Handle| unless_archived(&*datasets, &dataset).and_then(|()| work(primary));
        self.with(name, true, work).await
    }

    /// Runs `work` with a dataset's primary, on a thread where it may take its time. A writer waits for those before it.
    pub async fn with<T: Send + 'static>(
        &self,
        name: &str,
        is_write: bool,
        work: impl FnOnce(&mut Handle) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let room = self.room(name);
        // It goes to the thread: whoever asks may go away, the work does not.
        let running = if is_write { self.to_write(&room).await? } else { self.to_read(Some(&room)).await? };
        self.run(room, name, running, work).await
    }

    /// The same for work that writes where nobody else does, and leaves it where somebody is at it or waits to be.
    pub async fn in_passing<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&mut Handle) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let room = self.room(name);
        let mut running = self.to_read(Some(&room)).await?;
        running.turn = room.turns.idle();
        self.run(room, name, running, work).await
    }

    async fn run<T: Send + 'static>(
        &self,
        room: Arc<Room>,
        name: &str,
        running: Running,
        work: impl FnOnce(&mut Handle) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (datasets, rooms, name) = (self.datasets.clone(), self.rooms.clone(), name.to_string());
        let work = move || {
            let kept = room.handles.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut handle = match kept {
                Some(handle) => handle,
                None => datasets.open(&name).map_err(|e| if e.code == "no_primary" { absent(&name) } else { e })?,
            };
            let done = work(&mut handle);
            room.keep(handle);
            spare(&rooms, &room);
            done
        };
        ended(tokio::task::spawn_blocking(move || running.run(work))).await
    }
}

impl Room {
    fn kept(&self) -> usize {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
    fn keep(&self, handle: Handle) {
        let mut kept = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(handle);
        }
    }
}

/// Closes handles of other rooms where too many are kept.
fn spare(rooms: &Rooms, used: &Arc<Room>) {
    let rooms = rooms.lock().unwrap_or_else(PoisonError::into_inner);
    // Few datasets cannot have too many, and looking costs.
    if rooms.len() * KEPT_MAX <= KEPT_IN_ALL_MAX {
        return;
    }
    let mut too_many = rooms.values().map(|room| room.kept()).sum::<usize>().saturating_sub(KEPT_IN_ALL_MAX);
    for room in rooms.values().filter(|room| !Arc::ptr_eq(room, used)) {
        while too_many > 0 && room.handles.lock().unwrap_or_else(PoisonError::into_inner).pop().is_some() {
            too_many -= 1;
        }
    }
}

/// Refuses to write to what is archived.
pub(super) fn unless_archived(datasets: &dyn Datasets, name: &str) -> Result<()> {
    if !datasets.is_archived(name)? {
        return Ok(());
    }
    let message = format!("dataset {name} is archived: it can be read, and not changed");
    Err(Error::new(ErrorKind::Conflict, "archived", message).hint("mainstem datasets unarchive ADDRESS, by one of its owners"))
}

async fn ended<T>(work: tokio::task::JoinHandle<Result<T>>) -> Result<T> {
    work.await.map_err(|e| Error::internal("a call ended by itself").because(e))?
}

/// The answer of a server that stops.
pub(super) fn stopping() -> Error {
    Error::new(ErrorKind::Unavailable, "unavailable", "the server is stopping")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_rests_in_proportion_and_has_an_end() {
        for (cost_us, rest_us) in [(0, None), (100, None), (500, Some(4_500)), (5_000, Some(45_000)), (9_000_000, Some(1_000_000))] {
            assert_eq!(rest_after(Duration::from_micros(cost_us)), rest_us.map(Duration::from_micros), "{cost_us}");
        }
    }
}
