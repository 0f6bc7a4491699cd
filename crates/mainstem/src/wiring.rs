//! The inputs that would make runs differ: wall time and randomness, passed in so that a whole system runs under one seed.
use std::sync::Arc;

/// Where time and randomness come from.
pub trait Surroundings: Send + Sync {
    /// Wall-clock milliseconds since 1970.
    fn now_ms(&self) -> u64;
    /// 128 random bits.
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
        use std::hash::{BuildHasher, Hasher};
        // Each RandomState is seeded by the operating system; two give 128 bits.
        let half = || std::collections::hash_map::RandomState::new().build_hasher().finish() as u128;
        (half() << 64) | half()
    }
}
