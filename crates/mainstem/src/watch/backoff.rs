//! Waits that grow from one failure to the next, and differ from one replica to the next.
use super::Trouble;

/// The longest wait after what may pass.
pub const PASSING_MS_MAX: u64 = 20_000;
/// The longest wait after a refusal.
pub const REFUSED_MS_MAX: u64 = 600_000;

/// The waits between attempts.
#[derive(Clone, Debug)]
pub struct Backoff {
    first_ms: u64,
    longest_ms: u64,
    next_ms: u64,
}

impl Backoff {
    /// Waits that begin at about `first_ms` and double up to `longest_ms`.
    pub fn new(first_ms: u64, longest_ms: u64) -> Backoff {
        Backoff { first_ms, longest_ms, next_ms: first_ms }
    }
    /// The next wait: between half of what it may be and the whole.
    pub fn next(&mut self, random: u64) -> u64 {
        let whole = self.next_ms;
        self.next_ms = (whole * 2).min(self.longest_ms);
        whole / 2 + random % (whole / 2 + 1)
    }
    /// Begins again with the first.
    pub fn reset(&mut self) {
        self.next_ms = self.first_ms;
    }
}

/// How long to wait after which failure.
#[derive(Clone, Debug)]
pub struct Patience {
    /// After what may pass: the primary cannot be reached, the file is locked.
    pub passing: Backoff,
    /// After a refusal, which only people can end.
    pub refused: Backoff,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { passing: Backoff::new(500, PASSING_MS_MAX), refused: Backoff::new(15_000, REFUSED_MS_MAX) }
    }
}

impl Patience {
    /// For what costs nothing to ask again: a folder.
    pub fn near() -> Patience {
        Patience { passing: Backoff::new(500, 2_000), ..Patience::default() }
    }
    /// The wait after a failure.
    pub fn after(&mut self, trouble: &Trouble, random: u64) -> u64 {
        if trouble.is_passing() { self.passing.next(random) } else { self.refused.next(random) }
    }
    /// Begins again with the shortest.
    pub fn reset(&mut self) {
        self.passing.reset();
        self.refused.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_again() {
        for random in [0, 1, 12_345, u64::MAX] {
            let mut backoff = Backoff::new(500, 20_000);
            for whole in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000] {
                let wait_ms = backoff.next(random);
                assert!((whole / 2..=whole).contains(&wait_ms), "{wait_ms} of {whole}");
            }
            backoff.reset();
            assert!(backoff.next(random) <= 500);
        }
    }
}
