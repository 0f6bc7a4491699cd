//! The inputs that would make runs differ: wall time and randomness, passed in so that a whole system runs under one seed.
use std::sync::Arc;

/// Where time and randomness come from.
pub trait Surroundings: Send + Sync {
    /// Wall-clock milliseconds since 1970.
    fn now_ms(&self) -> u64;
    /// 128 random bits that nobody can foresee: tokens are made of them.
    fn random(&self) -> u128;
}

/// Shared surroundings.
pub type Around = Arc<dyn Surroundings>;

/// The real clock and the operating system's randomness.
pub struct RealSurroundings;

impl Surroundings for RealSurroundings {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |d| d.as_millis() as u64)
    }
    fn random(&self) -> u128 {
        let mut bits = [0; 16];
        // Without randomness two replicas could be one and a token could be guessed: there is nothing to go on with.
        getrandom::fill(&mut bits).expect("the operating system gives randomness");
        u128::from_be_bytes(bits)
    }
}
