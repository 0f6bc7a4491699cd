//! How much waits in a dataset: open proposals and open conflicts, counted anew when its ledger ends elsewhere than it did.
//!
//! Invariant: what is remembered is of the whole dataset, and told to those alone who see all of it.
use mainstem::core::event::Digest;
use mainstem::core::proposal::Stage;
use mainstem::error::Result;
use mainstem::ledger::{Head, ProposalsWanted};
use mainstem::primary::Primary;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Proposals that are open; none are told to whoever sees a part of the dataset, who takes no part in reviews.
    pub proposals: u64,
    /// Conflicts that nobody has answered.
    pub conflicts: u64,
}

/// What was counted last, by dataset.
#[derive(Debug, Default)]
pub struct Remembered(Mutex<HashMap<String, (Head, Waiting)>>);

impl Remembered {
    /// How much waits in a dataset, of what the primary shows.
    pub fn of(&self, name: &str, primary: &mut dyn Primary) -> Result<Waiting> {
        let description = primary.describe()?;
        let is_whole = description.scope == Digest::default();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        if let Some((_, waiting)) = known.filter(|(head, _)| is_whole && *head == description.head) {
            return Ok(waiting);
        }
        let waiting = Waiting { proposals: open_proposals(primary)?, conflicts: primary.conflicts(true)?.len() as u64 };
        if is_whole {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_string(), (description.head, waiting));
        }
        Ok(waiting)
    }
}

fn open_proposals(primary: &mut dyn Primary) -> Result<u64> {
    let stages = Stage::ALL.into_iter().filter(|stage| stage.is_open()).collect();
    match primary.proposals(&ProposalsWanted { stages, limit: usize::MAX, ..ProposalsWanted::default() }) {
        Err(e) if e.code == "partial_view" => Ok(0),
        found => Ok(found?.len() as u64),
    }
}
