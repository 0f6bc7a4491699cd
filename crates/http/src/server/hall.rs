//! The datasets of a server, opened as they are asked for and kept open.
//!
//! Invariant: one writer at a time for each dataset, in the order of arrival; readers do not wait.
use super::keeper::Keeper;
use mainstem::core::ErrorKind;
use mainstem::datasets::Datasets;
use mainstem::error::{Error, Result};
use mainstem::ledger::Head;
use mainstem::primary::Primary;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio::time::Instant;

/// Handles of one dataset that are kept open while nobody asks.
const KEPT_MAX: usize = 4;

/// How long a keeper that is behind is left alone.
const BEHIND: Duration = Duration::from_millis(20);

/// A dataset's primary, as the hall lends it.
pub type Handle = Box<dyn Primary + Send>;

#[derive(Default)]
struct Room {
    handles: Mutex<Vec<Handle>>,
    writing: Arc<tokio::sync::Mutex<()>>,
    keeper: Arc<Keeper>,
}

/// Every dataset of a server.
pub struct Hall {
    datasets: Arc<dyn Datasets>,
    rooms: Mutex<HashMap<String, Arc<Room>>>,
    /// How many calls run at once; the rest wait.
    running: Semaphore,
}

impl Hall {
    /// The hall of these datasets, in which so many calls run at once.
    pub fn new(datasets: Arc<dyn Datasets>, running_max: usize) -> Self {
        Hall { datasets, rooms: Mutex::default(), running: Semaphore::new(running_max) }
    }
    /// Where datasets are.
    pub fn datasets(&self) -> Arc<dyn Datasets> {
        self.datasets.clone()
    }

    fn room(&self, name: &str) -> Arc<Room> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_string()).or_default().clone()
    }

    /// Waits until a dataset's ledger ends elsewhere than `known`, at most so long; answers where it ends then. Any number
    /// may wait at once.
    pub async fn wait(&self, name: &str, known: Head, at_most: Duration) -> Result<Head> {
        let end = Instant::now() + at_most;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let told = self.room(name).keeper.wait(self.datasets.clone(), name, known, left).await?;
            if let Some(head) = told.filter(|head| *head == known || head.events > known.events) {
                return Ok(head);
            }
            // The keeper has not heard yet of what whoever asks knows; or the primary was put back to an older copy.
            let head = self.with(name, false, |primary| Ok(primary.describe()?.head)).await?;
            if head != known || left.is_zero() {
                return Ok(head);
            }
            tokio::time::sleep(BEHIND).await;
        }
    }

    /// Runs `work` with a dataset's primary, on a thread where it may take its time. A writer waits for those before it.
    pub async fn with<T: Send + 'static>(
        &self,
        name: &str,
        is_write: bool,
        work: impl FnOnce(&mut Handle) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let room = self.room(name);
        let turn: Option<OwnedMutexGuard<()>> = if is_write { Some(room.writing.clone().lock_owned().await) } else { None };
        let _running = self.running.acquire().await.map_err(|_| stopping())?;
        let (datasets, name) = (self.datasets.clone(), name.to_string());
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let kept = room.handles.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut handle = match kept {
                Some(handle) => handle,
                None => datasets.open(&name)?,
            };
            let done = work(&mut handle);
            let mut kept = room.handles.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < KEPT_MAX {
                kept.push(handle);
            }
            done
        });
        done.await.map_err(|e| Error::internal(format!("a call ended by itself: {e}")))?
    }
}

fn stopping() -> Error {
    Error::new(ErrorKind::Unavailable, "unavailable", "the server is stopping")
}
