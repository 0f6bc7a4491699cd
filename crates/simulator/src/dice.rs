//! Randomness from a seed.
//!
//! Invariant: what is thrown depends on the seed and on the throws before, and on nothing else.
use std::cell::Cell;

/// Throws that a seed decides.
#[derive(Debug)]
pub struct Dice(Cell<u64>);

impl Dice {
    /// Dice for one purpose of one seed: another purpose throws otherwise.
    pub fn new(seed: u64, purpose: u64) -> Dice {
        let dice = Dice(Cell::new(seed ^ purpose.wrapping_mul(0xd6e8_feb8_6659_fd93)));
        dice.next();
        dice
    }
    /// 64 random bits.
    pub fn next(&self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// A number below `n`, which is not zero.
    pub fn below(&self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    /// A number from `low` to `high`, both included.
    pub fn between(&self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }
    /// True once in `n` throws.
    pub fn one_in(&self, n: usize) -> bool {
        self.below(n) == 0
    }
    /// True in so many of a thousand throws.
    pub fn permille(&self, n: usize) -> bool {
        self.below(1000) < n
    }
    /// One of these.
    pub fn of<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
    /// One of these by weight: its position.
    pub fn weighted(&self, weights: &[usize]) -> usize {
        let mut at = self.below(weights.iter().sum::<usize>().max(1));
        for (position, weight) in weights.iter().enumerate() {
            if at < *weight {
                return position;
            }
            at -= weight;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_throws_alike_and_purposes_throw_otherwise() {
        let throws = |seed, purpose| {
            let dice = Dice::new(seed, purpose);
            [dice.next(), dice.next(), dice.next()]
        };
        assert_eq!(throws(7, 1), throws(7, 1));
        assert_ne!(throws(7, 1), throws(7, 2));
        assert_ne!(throws(7, 1), throws(8, 1));
        assert_eq!(Dice::new(1, 1).weighted(&[0, 5, 0]), 1);
    }
}
