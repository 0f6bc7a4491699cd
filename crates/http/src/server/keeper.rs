//! Hears of a dataset's new events once for all who wait for them.
//!
//! Invariant: one thread for each dataset that somebody waits for, and none for the others.
use super::hall::Handle;
use mainstem::datasets::Datasets;
use mainstem::error::{Error, Result};
use mainstem::ledger::Head;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedRwLockReadGuard, watch};
use tokio::time::Instant;

/// How long the thread sleeps before it looks whether anybody still waits.
const LOOK_MS: u64 = 500;

/// How long nobody is told anything after something was told, for each who waits: all of them ask again then, and whoever has
/// something to send needs the machine too. The first news after a rest are told at once.
const REST_EACH: Duration = Duration::from_micros(600);
/// The longest such rest.
const REST_MAX: Duration = Duration::from_millis(700);
/// Whoever pulls what they heard of is away for longer than that. How long they are waited for, for each of them, and the
/// longest time for all.
const BACK_EACH: Duration = Duration::from_millis(2);
/// See above.
const BACK_MAX: Duration = Duration::from_secs(1);
/// How often it is looked whether they are back.
const BACK_LOOK: Duration = Duration::from_millis(5);

/// Where the ledger ends; none until it was looked at, or where it could not be.
type Told = Option<Head>;

/// Those who wait for one dataset.
#[derive(Default)]
pub struct Keeper {
    telling: Mutex<Option<watch::Receiver<Told>>>,
}

impl Keeper {
    /// Waits until the ledger ends elsewhere than `known`, at most so long; answers where it ended when it was last heard of.
    /// What was `stale` is no news. It is listened to for as long as somebody waits; `open` is let go once the dataset is open
    /// for that.
    pub async fn wait(
        self: &Arc<Self>,
        (datasets, open): (Arc<dyn Datasets>, OwnedRwLockReadGuard<()>),
        name: &str,
        (known, stale): (Head, Told),
        at_most: Duration,
    ) -> Result<Told> {
        let mut told = self.listen(datasets, open, name)?;
        let is_news = |told: &Told| told.is_some_and(|head| head != known && *told != stale);
        let waited = tokio::time::timeout(at_most, told.wait_for(is_news)).await.map(|news| news.map(|head| *head));
        match waited {
            Ok(news) => news.map_err(|_| gone(name)),
            Err(_) => Ok(*told.borrow()),
        }
    }

    /// Closes the dataset. Whoever waits hears that it cannot be listened to just now. Nobody may be let in meanwhile.
    pub async fn rest(&self) {
        let told = self.telling.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut told) = told {
            // The thread has closed it before its teller goes.
            while told.changed().await.is_ok() {}
        }
    }

    fn listen(self: &Arc<Self>, datasets: Arc<dyn Datasets>, open: OwnedRwLockReadGuard<()>, name: &str) -> Result<watch::Receiver<Told>> {
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
                let opened = datasets.open(&name);
                drop(open);
                if opened.and_then(|handle| keeper.tell(handle, &teller)).is_err() {
                    // Whoever waits hears of it when the teller goes, and the next begins anew.
                    keeper.telling.lock().unwrap_or_else(PoisonError::into_inner).take();
                }
            })
            .map_err(|e| Error::internal("no thread can be made").because(e))?;
        Ok(told)
    }

    fn tell(&self, mut primary: Handle, teller: &watch::Sender<Told>) -> Result<()> {
        let mut head = primary.describe()?.head;
        let mut last = Telling { at: Instant::now(), to: 0 };
        loop {
            if *teller.borrow() != Some(head) {
                last.rest(teller);
                head = primary.wait(&head, 0)?;
                last = Telling { at: Instant::now(), to: teller.receiver_count() };
                teller.send_replace(Some(head));
            }
            head = primary.wait(&head, LOOK_MS)?;
            let mut telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
            // The one receiver left is our own.
            if telling.is_none() || teller.receiver_count() <= 1 {
                telling.take();
                return Ok(());
            }
        }
    }
}

/// The last time that news were told.
struct Telling {
    at: Instant,
    to: usize,
}

impl Telling {
    /// Lets those who were told come back, and then as long again whoever has something to send.
    fn rest(&self, teller: &watch::Sender<Told>) {
        let to = u32::try_from(self.to).unwrap_or(u32::MAX);
        rest_until(self.at + REST_EACH.saturating_mul(to).min(REST_MAX));
        let are_back = || teller.receiver_count() >= self.to - self.to / 10;
        if are_back() {
            return;
        }
        let at_most = BACK_EACH.saturating_mul(to).min(BACK_MAX);
        while !are_back() && self.at.elapsed() < at_most {
            rest_until(Instant::now() + BACK_LOOK);
        }
        rest_until(Instant::now() + self.at.elapsed().min(at_most));
    }
}

#[expect(clippy::disallowed_methods, reason = "a rest that is for the machine's sake")]
fn rest_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}

fn gone(name: &str) -> Error {
    Error::new(mainstem::core::ErrorKind::Unavailable, "unavailable", format!("dataset {name} cannot be listened to just now"))
}
