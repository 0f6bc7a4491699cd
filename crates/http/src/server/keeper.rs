//! Hears of a dataset's new events once for all who wait for them.
//!
//! Invariant: one thread for each dataset that somebody waits for, and none for the others.
use super::hall::Handle;
use mainstem::datasets::Datasets;
use mainstem::error::{Error, Result};
use mainstem::ledger::Head;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long the thread sleeps before it looks whether anybody still waits.
const LOOK_MS: u64 = 500;

/// Where the ledger ends; none until it was looked at, or where it could not be.
type Told = Option<Head>;

/// Those who wait for one dataset.
#[derive(Default)]
pub struct Keeper {
    telling: Mutex<Option<watch::Receiver<Told>>>,
}

impl Keeper {
    /// Waits until the ledger ends elsewhere than `known`, at most so long; answers where it ended when it was last heard of.
    pub async fn wait(self: &Arc<Self>, datasets: Arc<dyn Datasets>, name: &str, known: Head, at_most: Duration) -> Result<Told> {
        let mut told = self.listen(datasets, name)?;
        let is_news = |told: &Told| told.is_some_and(|head| head != known);
        let waited = tokio::time::timeout(at_most, told.wait_for(is_news)).await.map(|news| news.map(|head| *head));
        match waited {
            Ok(news) => news.map_err(|_| gone(name)),
            Err(_) => Ok(*told.borrow()),
        }
    }

    fn listen(self: &Arc<Self>, datasets: Arc<dyn Datasets>, name: &str) -> Result<watch::Receiver<Told>> {
        let mut telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = telling.as_ref() {
            return Ok(told.clone());
        }
        let (teller, told) = watch::channel(None);
        *telling = Some(told.clone());
        let (keeper, name) = (self.clone(), name.to_string());
        std::thread::Builder::new()
            .name(format!("keeper of {name}"))
            .spawn(move || {
                if datasets.open(&name).and_then(|handle| keeper.tell(handle, &teller)).is_err() {
                    // Whoever waits hears of it when the teller goes, and the next begins anew.
                    keeper.telling.lock().unwrap_or_else(PoisonError::into_inner).take();
                }
            })
            .map_err(|e| Error::internal("no thread can be made").because(e))?;
        Ok(told)
    }

    fn tell(&self, mut primary: Handle, teller: &watch::Sender<Told>) -> Result<()> {
        let mut head = primary.describe()?.head;
        loop {
            teller.send_if_modified(|told| told.replace(head) != Some(head));
            head = primary.wait(&head, LOOK_MS)?;
            let mut telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
            // The one receiver left is our own.
            if teller.receiver_count() <= 1 {
                telling.take();
                return Ok(());
            }
        }
    }
}

fn gone(name: &str) -> Error {
    Error::new(mainstem::core::ErrorKind::Unavailable, "unavailable", format!("dataset {name} cannot be listened to just now"))
}
