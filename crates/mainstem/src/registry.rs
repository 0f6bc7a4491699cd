//! Where a server keeps the events of its accounts.
use crate::error::Result;
use mainstem_core::event::Digest;
use std::sync::{Mutex, PoisonError};

/// One event as it is kept: its bytes, and its hash over them and the hash before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The hash.
    pub hash: Digest,
}

/// A chain of events that is only ever added to. Safe to call from many threads and processes at once.
pub trait Registry: Send + Sync {
    /// The events after a position, oldest first; positions count from 1.
    fn after(&self, position: u64) -> Result<Vec<Kept>>;
    /// Appends events after the first `position` ones, all or none, and on the disk before it returns. False where the chain
    /// is longer by now: nothing was appended.
    fn append(&self, position: u64, events: &[Kept]) -> Result<bool>;
}

/// A registry in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryRegistry(Mutex<Vec<Kept>>);

impl Registry for MemoryRegistry {
    fn after(&self, position: u64) -> Result<Vec<Kept>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.iter().skip(position as usize).cloned().collect())
    }
    fn append(&self, position: u64, events: &[Kept]) -> Result<bool> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() as u64 != position {
            return Ok(false);
        }
        kept.extend_from_slice(events);
        Ok(true)
    }
}
