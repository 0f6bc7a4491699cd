//! Hybrid logical clock readings: wall time, a counter, and the replica that read them.
//!
//! The idea is from Kulkarni et al., "Logical Physical Clocks" (2014). Nothing here reads a clock:
//! wall time comes in as an argument.
use alloc::format;
use alloc::string::String;
use core::fmt;

/// Milliseconds since 1970 in the upper 48 bits, a counter in the lower 16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The reading at a wall-clock time in milliseconds, counter zero. Clamped to 48 bits.
    pub fn from_ms(ms: u64) -> Self {
        Time(ms.min((1 << 48) - 1) << 16)
    }
    /// Wall-clock milliseconds since 1970.
    pub fn ms(self) -> u64 {
        self.0 >> 16
    }
    /// The counter within the millisecond.
    pub fn counter(self) -> u16 {
        (self.0 & 0xffff) as u16
    }
    /// The next reading of a clock that last read `self`, when the wall says `now_ms`.
    ///
    /// Invariant: greater than `self` whatever the wall says, so a causally later write is later.
    pub fn tick(self, now_ms: u64) -> Time {
        Time::from_ms(now_ms).max(Time(self.0.saturating_add(1)))
    }
}

/// A replica's identity: 128 random bits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub u128);

impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
impl ReplicaId {
    /// The first eight hexadecimal digits, for people.
    pub fn short(&self) -> String {
        format!("{:08x}", (self.0 >> 96) as u32)
    }
    /// Reads the 32 hexadecimal digits that `Display` writes.
    pub fn parse(s: &str) -> Option<Self> {
        (s.len() == 32).then(|| u128::from_str_radix(s, 16).ok().map(ReplicaId)).flatten()
    }
}

/// When and where a cell was written. Ordered by time, then replica, so any two are ordered the same everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The hybrid logical time.
    pub time: Time,
    /// The replica where it was written.
    pub replica: ReplicaId,
}
