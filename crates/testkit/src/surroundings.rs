//! Time that passes only when it is asked for, and randomness from a seed.
//!
//! Invariant: two worlds with one seed that are asked the same questions give the same answers.
use mainstem::wiring::{Around, Surroundings};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Surroundings under a seed. Each look at the clock lets one millisecond pass.
#[derive(Debug)]
pub struct Seeded {
    now_ms: AtomicU64,
    state: AtomicU64,
}

impl Seeded {
    /// A world that begins at a time, with a seed for its randomness.
    pub fn new(seed: u64, now_ms: u64) -> Arc<Seeded> {
        Arc::new(Seeded { now_ms: AtomicU64::new(now_ms), state: AtomicU64::new(seed) })
    }
    /// The same, as the library takes it.
    pub fn around(seed: u64) -> Around {
        Seeded::new(seed, 1_700_000_000_000)
    }
    /// Sets the clock, forwards or backwards.
    pub fn set_clock(&self, now_ms: u64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }
    fn next(&self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
        let mut z = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Surroundings for Seeded {
    fn now_ms(&self) -> u64 {
        self.now_ms.fetch_add(1, Ordering::SeqCst)
    }
    fn random(&self) -> u128 {
        (u128::from(self.next()) << 64) | u128::from(self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_world() {
        let look = |world: Arc<Seeded>| (world.now_ms(), world.now_ms(), world.random(), world.random());
        assert_eq!(look(Seeded::new(7, 50)), look(Seeded::new(7, 50)));
        let (first, second, one, other) = look(Seeded::new(7, 50));
        assert_eq!((first, second), (50, 51));
        assert_ne!(one, other);
        assert_ne!(look(Seeded::new(8, 50)).2, one);
    }
}
