//! Turns of those who write to one dataset, shared out among all who do.
//!
//! Invariant: everybody has at most one call in the line, and the next of theirs joins it when that is over: so whoever writes
//! little waits for one turn of each of the others, and never for all that one of them has sent.
//! Invariant: whoever took a long turn rests in proportion before the next, while others write too; a short turn costs no rest.
use super::counting::Caller;
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as Line, OwnedMutexGuard};
use tokio::time::Instant;

/// Processor time of a turn that is long: however busy the machine is, little work is not taken for much.
const SHORT: Duration = Duration::from_millis(10);
/// How many times as long as a long turn lasted somebody rests: long turns of one are then one part in a hundred of the time,
/// which 99 of 100 calls of others do not meet.
const REST_TIMES: u32 = 100;
/// The longest rest: shorter than whoever syncs by itself waits for an answer.
const REST_MAX: Duration = Duration::from_secs(20);

/// Who writes to one dataset, and who waits to.
#[derive(Default)]
pub struct Turns {
    line: Arc<Line<()>>,
    lanes: Mutex<HashMap<Caller, Arc<Lane>>>,
    /// Turns that were taken.
    taken: AtomicU64,
}

/// One caller's way to the line.
#[derive(Default)]
struct Lane {
    own: Arc<Line<Rest>>,
    here: AtomicUsize,
}

/// What a caller's last turn leaves.
#[derive(Default)]
struct Rest {
    until: Option<Instant>,
    /// Turns that were taken by all at that time.
    taken: u64,
}

/// The right to join the line: the only one that its caller has.
pub struct Next {
    turns: Arc<Turns>,
    rest: Option<OwnedMutexGuard<Rest>>,
}

/// A turn, until it is dropped.
pub struct Turn {
    next: Next,
    began: Instant,
    cost: Duration,
    _line: OwnedMutexGuard<()>,
}

impl Turns {
    /// Waits until a caller has no other call in the line and has rested from the last. An error where so many of theirs wait
    /// already.
    pub async fn next(self: &Arc<Self>, caller: Option<Caller>, each_max: usize) -> Result<Next> {
        let rest = match caller {
            Some(caller) => Some(self.rested(&self.lane(caller), each_max).await?),
            // What the server does by itself is little.
            None => None,
        };
        Ok(Next { turns: self.clone(), rest })
    }

    /// A turn where nobody has one or waits for one.
    pub fn idle(self: &Arc<Self>) -> Option<Turn> {
        let line = self.line.clone().try_lock_owned().ok()?;
        Some(Next { turns: self.clone(), rest: None }.begin(line))
    }

    async fn rested(&self, lane: &Lane, each_max: usize) -> Result<OwnedMutexGuard<Rest>> {
        let _here = Here::enter(&lane.here, each_max)?;
        let rest = lane.own.clone().lock_owned().await;
        // Whoever is alone with a dataset needs no rest: nobody waited, and nobody does.
        let is_among_others = rest.taken != self.taken.load(Relaxed) || self.line.try_lock().is_err();
        if let Some(until) = rest.until.filter(|_| is_among_others) {
            tokio::time::sleep_until(until).await;
        }
        Ok(rest)
    }

    fn lane(&self, caller: Caller) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if !lanes.contains_key(&caller) {
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1 || !lane.is_as_new());
        }
        lanes.entry(caller).or_default().clone()
    }
}

impl Lane {
    fn is_as_new(&self) -> bool {
        self.own.try_lock().is_ok_and(|rest| rest.until.is_none_or(|until| until <= Instant::now()))
    }
}

impl Next {
    /// Waits in the line.
    pub async fn turn(self) -> Turn {
        let line = self.turns.line.clone().lock_owned().await;
        self.begin(line)
    }

    fn begin(self, line: OwnedMutexGuard<()>) -> Turn {
        self.turns.taken.fetch_add(1, Relaxed);
        Turn { next: self, began: Instant::now(), cost: Duration::ZERO, _line: line }
    }
}

impl Turn {
    /// Says how much of a processor it took.
    pub fn cost(&mut self, cost: Duration) {
        self.cost = cost;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let taken = self.next.turns.taken.load(Relaxed);
        if let Some(rest) = &mut self.next.rest {
            **rest = Rest { until: rest_after(self.cost, self.began.elapsed()).map(|rest| Instant::now() + rest), taken };
        }
    }
}

/// How long somebody rests after a turn that took so much of a processor, and lasted so long.
fn rest_after(cost: Duration, lasted: Duration) -> Option<Duration> {
    (cost > SHORT).then(|| lasted.saturating_mul(REST_TIMES).min(REST_MAX))
}

/// One of those who wait, as long as they do.
struct Here<'h>(&'h AtomicUsize);

impl Here<'_> {
    fn enter(here: &AtomicUsize, each_max: usize) -> Result<Here<'_>> {
        if here.fetch_add(1, Relaxed) >= each_max {
            here.fetch_sub(1, Relaxed);
            let message = format!("{each_max} writes of yours wait for their turn already");
            return Err(Error::new(ErrorKind::Unavailable, "rate_limited", message));
        }
        Ok(Here(here))
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Option<Caller> = Some(Caller(1));
    const BEN: Option<Caller> = Some(Caller(2));
    const LONG: Duration = Duration::from_millis(11);

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(work)
    }

    async fn take(turns: &Arc<Turns>, caller: Option<Caller>, cost: Duration) {
        let mut turn = turns.next(caller, 100).await.expect("a place").turn().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        turn.cost(cost);
    }

    /// True where a caller's next turn does not come at once.
    async fn rests(turns: &Arc<Turns>, caller: Option<Caller>) -> bool {
        tokio::time::timeout(Duration::ZERO, turns.next(caller, 100)).await.is_err()
    }

    #[test]
    fn whoever_sends_one_waits_for_one_of_each_of_the_others() {
        run(async {
            let (turns, order) = (Arc::<Turns>::default(), Arc::new(Mutex::new(Vec::new())));
            let all = [1, 1, 1, 1, 1, 2, 2, 3].map(|number| {
                let (turns, order) = (turns.clone(), order.clone());
                tokio::spawn(async move {
                    let turn = turns.next(Some(Caller(number)), 100).await.expect("a place").turn().await;
                    // Everybody who comes has time to ask.
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    order.lock().expect("sound").push(number);
                    drop(turn);
                })
            });
            for one in all {
                one.await.expect("it ends");
            }
            assert_eq!(*order.lock().expect("sound"), [1, 2, 3, 1, 2, 1, 1, 1]);
        });
    }

    #[test]
    fn whoever_took_long_rests_while_others_write() {
        run(async {
            let turns = Arc::<Turns>::default();
            take(&turns, ANN, LONG).await;
            assert!(!rests(&turns, ANN).await, "alone there is no rest");
            take(&turns, ANN, LONG).await;
            take(&turns, BEN, SHORT).await;
            assert!(rests(&turns, ANN).await, "somebody else writes");
            take(&turns, ANN, Duration::ZERO).await;
            take(&turns, BEN, SHORT).await;
            assert!(!rests(&turns, ANN).await && !rests(&turns, BEN).await, "short turns cost no rest");
            take(&turns, ANN, LONG).await;
            let held = turns.next(BEN, 100).await.expect("a place").turn().await;
            assert!(rests(&turns, ANN).await, "somebody else is writing");
            drop(held);
        });
    }

    #[test]
    fn what_can_be_left_out_keeps_nobody_waiting() {
        run(async {
            let turns = Arc::<Turns>::default();
            let held = turns.next(ANN, 100).await.expect("a place").turn().await;
            assert!(turns.idle().is_none(), "somebody writes");
            let waiting = tokio::spawn({
                let turns = turns.clone();
                async move { turns.next(BEN, 100).await.expect("a place").turn().await }
            });
            tokio::task::yield_now().await;
            drop(held);
            assert!(turns.idle().is_none(), "somebody waited");
            drop(waiting.await.expect("it ends"));
            assert!(turns.idle().is_some());
        });
    }

    #[test]
    fn a_rest_is_in_proportion_and_has_an_end() {
        let table = [
            (0, 0, None),
            // A machine that is busy makes nobody rest.
            (10, 5_000, None),
            (11, 15, Some(1_500)),
            (60, 60, Some(6_000)),
            (60, 900, Some(20_000)),
            (60_000, 60_000, Some(20_000)),
        ];
        for (cost_ms, lasted_ms, rest_ms) in table {
            let rest = rest_after(Duration::from_millis(cost_ms), Duration::from_millis(lasted_ms));
            assert_eq!(rest, rest_ms.map(Duration::from_millis), "{cost_ms} {lasted_ms}");
        }
    }

    #[test]
    fn one_may_have_so_many_waiting() {
        run(async {
            let turns = Arc::<Turns>::default();
            let held = turns.next(ANN, 2).await.expect("a place").turn().await;
            let waiting = [(); 2].map(|()| {
                let turns = turns.clone();
                tokio::spawn(async move { turns.next(ANN, 2).await.map(drop) })
            });
            tokio::task::yield_now().await;
            let refused = turns.next(ANN, 2).await.err().expect("two wait already");
            assert_eq!((refused.kind, refused.code), (ErrorKind::Unavailable, "rate_limited"));
            turns.next(BEN, 2).await.expect("others have their own");
            drop(held);
            for one in waiting {
                one.await.expect("it ends").expect("its turn");
            }
            turns.next(ANN, 2).await.expect("nobody waits any more");
            turns.next(Some(Caller(3)), 2).await.expect("a place");
            assert!(turns.lanes.lock().expect("sound").len() <= 2, "who is gone is forgotten");
        });
    }
}
