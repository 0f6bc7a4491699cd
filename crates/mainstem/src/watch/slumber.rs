//! Tells that the machine slept: the wall clock went on while the steady clock stood still.

/// How much further the wall clock must have gone.
const SLEPT_MS_MIN: u64 = 5_000;

/// The two clocks as last read.
#[derive(Clone, Copy, Debug)]
pub struct Slumber {
    wall_ms: u64,
    steady_ms: u64,
}

impl Slumber {
    /// Begins with the clocks as they are.
    pub fn new(wall_ms: u64, steady_ms: u64) -> Slumber {
        Slumber { wall_ms, steady_ms }
    }
    /// True where the machine slept since the last look. A clock that was set back is no sleep.
    pub fn is_over(&mut self, wall_ms: u64, steady_ms: u64) -> bool {
        let passed = wall_ms.saturating_sub(self.wall_ms);
        let counted = steady_ms.saturating_sub(self.steady_ms);
        *self = Slumber::new(wall_ms, steady_ms);
        passed > counted + SLEPT_MS_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wall_clock_that_runs_ahead_is_a_sleep() {
        let mut slumber = Slumber::new(1_000_000, 500);
        for (wall_ms, steady_ms, is_over) in [
            (1_001_000, 1_500, false),
            (1_061_000, 61_500, false),
            (4_661_000, 62_500, true),
            (4_662_000, 63_500, false),
            (1_000_000, 64_500, false),
            (1_001_000, 65_500, false),
        ] {
            assert_eq!(slumber.is_over(wall_ms, steady_ms), is_over, "{wall_ms}");
        }
    }
}
