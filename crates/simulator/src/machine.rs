//! One machine's view of the world: its clock, which may be wrong, and its own randomness.
//!
//! Invariant: looking at a clock changes nothing; time passes when the schedule says so.
use crate::dice::Dice;
use crate::tape::ClockFault;
use mainstem::wiring::Surroundings;
use std::sync::Arc;
use std::sync::Mutex;

/// When every run begins, in milliseconds since 1970.
pub const MORNING: u64 = 1_795_170_120_000;

struct Clock {
    /// What it shows, in milliseconds.
    now: i64,
    is_frozen: bool,
    /// What it gains in a million milliseconds.
    drift: i64,
}

/// A machine.
pub struct Machine {
    inner: Mutex<(Clock, Dice)>,
}

impl Machine {
    /// A machine whose clock is off by so much, with its randomness.
    pub fn new(true_ms: u64, offset_ms: i64, seed: u64, number: u64) -> Arc<Machine> {
        let clock = Clock { now: true_ms as i64 + offset_ms, is_frozen: false, drift: 0 };
        Arc::new(Machine { inner: Mutex::new((clock, Dice::new(seed, 1000 + number))) })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Clock, &Dice) -> T) -> T {
        let mut inner = self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (clock, dice) = &mut *inner;
        look(clock, dice)
    }

    /// Time passes.
    pub fn pass(&self, ms: u64) {
        self.with(|clock, _| {
            if !clock.is_frozen {
                clock.now += ms as i64 + ms as i64 * clock.drift / 1_000_000;
            }
        });
    }

    /// The clock goes wrong, or right.
    pub fn fault(&self, fault: ClockFault, true_ms: u64) {
        self.with(|clock, _| match fault {
            ClockFault::Jump(ms) => clock.now += ms,
            ClockFault::Freeze => clock.is_frozen = true,
            ClockFault::Drift(parts) => (clock.is_frozen, clock.drift) = (false, parts),
            ClockFault::Right => *clock = Clock { now: true_ms as i64, is_frozen: false, drift: 0 },
        });
    }
}

impl Surroundings for Machine {
    fn now_ms(&self) -> u64 {
        self.with(|clock, _| clock.now.max(0) as u64)
    }
    fn random(&self) -> u128 {
        self.with(|_, dice| (u128::from(dice.next()) << 64) | u128::from(dice.next()))
    }
}
