//! Randomness from a seed.
use mainstem::wiring::Surroundings;
use mainstem_testkit::surroundings::Seeded;
use std::sync::Arc;

/// Throws that a seed decides.
pub struct Dice(Arc<Seeded>);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(Seeded::new(seed, 0))
    }
    pub fn below(&self, n: usize) -> usize {
        (self.0.random() % n as u128) as usize
    }
    /// True once in `n` throws.
    pub fn one_in(&self, n: usize) -> bool {
        self.below(n) == 0
    }
    pub fn of<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}
