//! Runs seeds on several threads, until one goes wrong or enough was done.
//!
//! Invariant: threads share nothing but the list of seeds, so that a seed's run is the same on any of them.
use crate::run::{Outcome, run, run_twice};
use crate::tally::{Tally, Wrong};
use crate::{orders, workload};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A seed that went wrong.
#[derive(Clone, Debug)]
pub struct Found {
    /// Which.
    pub seed: u64,
    /// Seconds since the hunt began.
    pub seconds: f64,
    /// What did not hold.
    pub why: String,
    /// True where it went wrong in both orders of arrival ([`orders`]), else in an ordinary run.
    pub is_meeting: bool,
    /// What did not hold.
    pub wrong: Wrong,
}

/// How long and how much to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Seconds at most.
    pub seconds_max: Option<f64>,
    /// Operations at most, about.
    pub operations_max: Option<u64>,
    /// Seeds of a thousand that are run twice.
    pub twice: u64,
    /// Failures after which to stop.
    pub failures_max: usize,
}

/// What a hunt did.
#[derive(Clone, Debug, Default)]
pub struct Hunted {
    /// All figures.
    pub tally: Tally,
    /// What went wrong, by seed.
    pub found: Vec<Found>,
    /// Seconds it took.
    pub seconds: f64,
    /// What all runs came to, in whatever order: the same seeds give the same.
    pub hash: [u8; 32],
}

impl Hunted {
    fn hear(&mut self, seed: u64, hash: &[u8; 32]) {
        let heard = blake3::Hasher::new().update(&seed.to_be_bytes()).update(hash).finalize();
        self.hash.iter_mut().zip(heard.as_bytes()).for_each(|(all, one)| *all ^= one);
    }
}

/// How a stopwatch that began then stands now.
#[expect(clippy::disallowed_methods, reason = "speed is measured, and nothing in a run depends on it")]
fn now() -> Instant {
    Instant::now()
}

/// True for the seeds that try both orders of arrival.
pub fn is_meeting(seed: u64) -> bool {
    seed % 10 == 9
}

/// One seed: an ordinary run, and every tenth in both orders of arrival.
pub fn one(seed: u64, twice: u64) -> (Outcome, bool) {
    if is_meeting(seed) {
        return (orders::run(&workload::meeting(seed)), true);
    }
    let tape = workload::tape(seed);
    let is_twice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & 1023 < twice * 1024 / 1000;
    (if is_twice { run_twice(&tape) } else { run(&tape) }, false)
}

/// Runs seeds until the limits are reached.
pub fn hunted(seeds: impl Iterator<Item = u64> + Send, limits: Limits, threads: usize) -> Hunted {
    let (seeds, sum, is_over) = (Mutex::new(seeds), Mutex::new(Hunted::default()), AtomicBool::new(false));
    let begin = now();
    let work = || {
        while !is_over.load(Ordering::SeqCst) {
            let Some(seed) = seeds.lock().expect("nobody panics while taking a seed").next() else { return };
            let (outcome, is_meeting) = one(seed, limits.twice);
            let seconds = (now() - begin).as_secs_f64();
            let mut sum = sum.lock().expect("nobody panics while adding");
            sum.tally.add(&outcome.tally);
            sum.hear(seed, &outcome.hash);
            if let Some(wrong) = outcome.wrong {
                sum.found.push(Found { seed, seconds, why: wrong.to_string(), is_meeting, wrong });
            }
            let is_enough = limits.seconds_max.is_some_and(|max| seconds >= max)
                || limits.operations_max.is_some_and(|max| sum.tally.operations >= max)
                || sum.found.len() >= limits.failures_max.max(1);
            if is_enough {
                is_over.store(true, Ordering::SeqCst);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    let mut sum = sum.into_inner().expect("all threads are done");
    sum.seconds = (now() - begin).as_secs_f64();
    sum.found.sort_by_key(|found| found.seed);
    sum
}

/// Looks for a seed that goes wrong: the first that does, if any within the time.
pub fn hunt(seeds: impl Iterator<Item = u64> + Send, seconds_max: f64, threads: usize) -> Option<Found> {
    let limits = Limits { seconds_max: Some(seconds_max), failures_max: 1, ..Limits::default() };
    hunted(seeds, limits, threads).found.into_iter().next()
}
