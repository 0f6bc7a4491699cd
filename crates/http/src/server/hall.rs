//! The datasets of a server, opened as they are asked for and kept open.
//!
//! Invariant: one writer at a time for each dataset, in the order of arrival; readers do not wait.
use mainstem::core::ErrorKind;
use mainstem::datasets::Datasets;
use mainstem::error::{Error, Result};
use mainstem::primary::Primary;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedMutexGuard, Semaphore};

/// Handles of one dataset that are kept open while nobody asks.
const KEPT_MAX: usize = 4;

/// A dataset's primary, as the hall lends it.
pub type Handle = Box<dyn Primary + Send>;

#[derive(Default)]
struct Room {
    handles: Mutex<Vec<Handle>>,
    writing: Arc<tokio::sync::Mutex<()>>,
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

    /// Runs `work` with a dataset's primary, on a thread where it may take its time. A writer waits for those before it.
    pub async fn with<T: Send + 'static>(
        &self,
        name: &str,
        is_write: bool,
        work: impl FnOnce(&mut Handle) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let room = self.rooms.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_string()).or_default().clone();
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
