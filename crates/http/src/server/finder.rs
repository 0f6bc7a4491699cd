//! Finds what merging proposals of many rows would do while nobody waits for it, and tells open pages when that is known.
//!
//! Invariant: of each proposal one at a time, however many look at it.
use super::Shared;
use super::hall::Handle;
use mainstem::error::Result;
use mainstem::review::{By, Everybody};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Proposals by dataset and number.
type Proposals = HashMap<(String, u64), Progress>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    UnderWay,
    Failed,
}

/// What is being found.
#[derive(Default)]
pub struct Finder {
    proposals: Mutex<Proposals>,
    found: watch::Sender<u64>,
}

impl Finder {
    fn proposals(&self) -> MutexGuard<'_, Proposals> {
        self.proposals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes each time that something was found.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.found.subscribe()
    }
}

/// Begins to find what merging a proposal would do, unless somebody has. False where that came to nothing the last time: whoever
/// asks for it and waits hears why.
pub fn begin(shared: &Arc<Shared>, dataset: &str, proposal: u64) -> bool {
    let of = (dataset.to_string(), proposal);
    let mut proposals = shared.finder.proposals();
    match proposals.get(&of) {
        Some(Progress::UnderWay) => return true,
        Some(Progress::Failed) => return proposals.remove(&of).is_none(),
        None => proposals.insert(of.clone(), Progress::UnderWay),
    };
    drop(proposals);
    let shared = shared.clone();
    tokio::spawn(async move {
        let found = shared.hall.with(&of.0, false, move |primary| find(primary, proposal)).await;
        let mut proposals = shared.finder.proposals();
        match found {
            Ok(()) => proposals.remove(&of),
            Err(_) => proposals.insert(of, Progress::Failed),
        };
        drop(proposals);
        shared.finder.found.send_modify(|count| *count += 1);
    });
    true
}

/// Finds it, and what voters on the revision before want to know.
fn find(primary: &mut Handle, id: u64) -> Result<()> {
    let Some(judged) = primary.proposal(id, By { actor: "", token: None, request: None, people: &Everybody })? else { return Ok(()) };
    let last = judged.proposal.revisions.len() as u64;
    if last > 1 { primary.differing(id, last - 1, last).map(drop) } else { Ok(()) }
}
