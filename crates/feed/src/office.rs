//! The webhooks of a server: who keeps them, and one courier for each.
use crate::courier::{self, Courier, Standing};
use crate::request::Sender;
use crate::signing;
use crate::target::{Allowed, Target};
use mainstem::core::ErrorKind;
use mainstem::datasets::Datasets;
use mainstem::error::{Error, Result};
use mainstem::feed::{DeadLetter, Deliveries, Offset, SigningKey, Webhook, WebhookState, WebhookStore, Webhooks};
use mainstem::wiring::Around;
use mainstem_core::stamp::Time;
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most webhooks of a server: each has a thread.
const WEBHOOKS_MAX: usize = 64;

/// How often, and how long, a delivery is tried.
#[derive(Clone, Copy, Debug)]
pub struct Tempo {
    /// The first rest after a failure; each is twice the one before, and shorter by chance.
    pub first_ms: u64,
    /// The longest.
    pub longest_ms: u64,
    /// After so many attempts a delivery is given up.
    pub attempts_max: u64,
    /// How long one attempt takes at most.
    pub attempt_ms_max: u64,
}

impl Default for Tempo {
    fn default() -> Self {
        Tempo { first_ms: 1_000, longest_ms: 300_000, attempts_max: 12, attempt_ms_max: 15_000 }
    }
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Counts {
    pub delivered: AtomicU64,
    pub events: AtomicU64,
    pub failed: AtomicU64,
    pub retried: AtomicU64,
    pub dead: AtomicU64,
}

/// What all couriers share.
pub struct Shared {
    pub datasets: Arc<dyn Datasets>,
    pub store: Arc<dyn WebhookStore>,
    pub sender: Sender,
    pub tempo: Tempo,
    pub around: Around,
    pub counts: Counts,
}

/// The webhooks of a server. Dropped, every courier ends after what it is doing.
pub struct Office {
    shared: Arc<Shared>,
    couriers: Mutex<HashMap<u64, Arc<Standing>>>,
}

impl Office {
    /// Begins to deliver for every webhook in a store.
    pub fn open(
        datasets: Arc<dyn Datasets>,
        store: Arc<dyn WebhookStore>,
        allowed: Allowed,
        tempo: Tempo,
        around: Around,
    ) -> Result<Office> {
        let sender = Sender::new(allowed, Duration::from_millis(tempo.attempt_ms_max))?;
        let shared = Arc::new(Shared { datasets, store, sender, tempo, around, counts: Counts::default() });
        let office = Office { shared, couriers: Mutex::default() };
        for webhook in office.shared.store.webhooks()? {
            office.begin(webhook)?;
        }
        Ok(office)
    }

    fn couriers(&self) -> MutexGuard<'_, HashMap<u64, Arc<Standing>>> {
        self.couriers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, webhook: Webhook) -> Result<()> {
        let (id, standing) = (webhook.id, Arc::new(Standing::default()));
        let courier = Courier { shared: self.shared.clone(), webhook, standing: standing.clone() };
        let thread = std::thread::Builder::new().name("courier".into()).spawn(move || courier.run());
        thread.map_err(|e| Error::internal("no thread can be made").because(e))?;
        self.couriers().insert(id, standing);
        Ok(())
    }

    fn find(&self, dataset: &str, id: u64) -> Result<Webhook> {
        let found = self.shared.store.webhooks()?.into_iter().find(|webhook| webhook.id == id && webhook.dataset == dataset);
        found.ok_or_else(|| Error::not_found(format!("{dataset} has no webhook {id:016x}")))
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        // They are not waited for: what one is sending may be slow, and is sent again where it was not noted as told.
        self.couriers().values().for_each(|standing| standing.end());
    }
}

impl Webhooks for Office {
    fn list(&self, dataset: &str) -> Result<Vec<WebhookState>> {
        let couriers = self.couriers();
        let trouble = |id: u64| couriers.get(&id).and_then(|standing| standing.trouble());
        let of_dataset = self.shared.store.webhooks()?.into_iter().filter(|webhook| webhook.dataset == dataset);
        Ok(of_dataset.map(|webhook| WebhookState { trouble: trouble(webhook.id), webhook }).collect())
    }

    fn add(&self, dataset: &str, url: &str, from: Option<Offset>, by: &str) -> Result<(Webhook, String)> {
        Target::parse(url)?.addresses(&self.shared.sender.allowed)?;
        if self.shared.store.webhooks()?.len() >= WEBHOOKS_MAX {
            return Err(Error::new(ErrorKind::Conflict, "too_many", format!("the server has {WEBHOOKS_MAX} webhooks and takes no more")));
        }
        let offset = from.map_or_else(|| courier::now(&self.shared, dataset), Ok)?;
        let around = &self.shared.around;
        let mut key = [0; mainstem::feed::KEY_BYTES];
        key.chunks_mut(16).for_each(|part| part.copy_from_slice(&around.random().to_be_bytes()));
        let webhook = Webhook {
            id: around.random() as u64 >> 1,
            dataset: dataset.to_string(),
            url: url.to_string(),
            key: SigningKey(key),
            offset,
            created_by: by.to_string(),
            created_at: Time::from_ms(around.now_ms()),
        };
        self.shared.store.add(&webhook)?;
        self.begin(webhook.clone())?;
        let shown = signing::shown(&webhook.key);
        Ok((webhook, shown))
    }

    fn remove(&self, dataset: &str, id: u64) -> Result<()> {
        let webhook = self.find(dataset, id)?;
        let courier = self.couriers().remove(&id);
        if let Some(standing) = courier {
            standing.end();
        }
        self.shared.store.remove(webhook.id).map(drop)
    }

    fn dead_letters(&self, dataset: &str, id: u64, after: u64, limit: usize) -> Result<Vec<DeadLetter>> {
        let webhook = self.find(dataset, id)?;
        self.shared.store.dead_letters(webhook.id, after, limit)
    }

    fn replay(&self, dataset: &str, id: u64, letter: u64) -> Result<()> {
        let webhook = self.find(dataset, id)?;
        let found = self.shared.store.dead_letters(id, letter.saturating_sub(1), 1)?.pop().filter(|found| found.id == letter);
        let found = found.ok_or_else(|| Error::not_found(format!("webhook {id:016x} has no dead letter {letter}")))?;
        courier::replay(&self.shared, &webhook, &found)?;
        self.shared.store.forget(id, letter).map(drop)
    }

    fn deliveries(&self) -> Deliveries {
        let (counts, now_ms) = (&self.shared.counts, self.shared.around.now_ms());
        let behind: Vec<u64> = self.couriers().values().map(|standing| standing.lag_ms(now_ms)).collect();
        Deliveries {
            webhooks: behind.len() as u64,
            lag_ms: behind.into_iter().max().unwrap_or(0),
            delivered: counts.delivered.load(Relaxed),
            events: counts.events.load(Relaxed),
            failed: counts.failed.load(Relaxed),
            retried: counts.retried.load(Relaxed),
            dead: counts.dead.load(Relaxed),
        }
    }
}
