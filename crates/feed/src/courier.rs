//! The courier of one webhook: a thread that reads the feed and delivers it, one delivery after the other.
//!
//! Invariant: how far it has told is kept after a delivery was taken or given up, and never before.
use crate::office::{Counts, Shared};
use crate::request::Delivery;
use crate::signing;
use mainstem::error::{Error, Result};
use mainstem::feed::{self, DeadLetter, OfPrimary, Offset, Source, Webhook, to_json};
use mainstem::watch::Backoff;
use mainstem_core::stamp::Time;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The most events of one delivery.
const EVENTS_MAX: usize = 100;
/// Bytes after which a delivery takes no further event.
const BODY_BYTES: usize = 512 * 1024;
/// How long one wait for news lasts; the end of the server is noticed after it.
const WAIT_MS: u64 = 1_000;

/// Whether a courier is to end, and why it does not go on.
#[derive(Debug, Default)]
pub struct Standing {
    is_over: Mutex<bool>,
    ended: Condvar,
    trouble: Mutex<Option<String>>,
    /// Since when there is something to tell; zero where there is nothing.
    behind_since_ms: AtomicU64,
}

impl Standing {
    /// Has the courier end.
    pub fn end(&self) {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ended.notify_all();
    }
    /// Why it does not go on, where it does not.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// For how long there has been something to tell.
    pub fn lag_ms(&self, now_ms: u64) -> u64 {
        match self.behind_since_ms.load(Relaxed) {
            0 => 0,
            since_ms => now_ms.saturating_sub(since_ms),
        }
    }
    fn is_behind(&self, is_behind: bool, now_ms: u64) {
        let since_ms = self.behind_since_ms.load(Relaxed);
        if is_behind != (since_ms > 0) {
            self.behind_since_ms.store(if is_behind { now_ms } else { 0 }, Relaxed);
        }
    }
    fn set_trouble(&self, why: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
    fn is_over(&self) -> bool {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Rests; true where it is to end.
    fn rest(&self, ms: u64) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.ended.wait_timeout_while(is_over, Duration::from_millis(ms), |is_over| !*is_over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Some events on their way.
pub struct Parcel {
    /// Where it begins and ends.
    pub span: (Offset, Offset),
    /// How many events.
    pub events: u64,
    body: Vec<u8>,
}

impl Parcel {
    /// What comes after an offset, as one delivery. None where there is nothing but versions without events; then the
    /// offset alone goes on.
    pub fn read(
        source: &mut dyn Source,
        webhook: &Webhook,
        after: Offset,
        until: Option<Offset>,
    ) -> Result<(Option<Parcel>, Offset, bool)> {
        let batch = source.read(&after, EVENTS_MAX)?;
        let (mut shown, mut bytes, mut through) = (Vec::new(), 0, batch.next);
        let all = batch.events.len();
        for event in &batch.events {
            if bytes > BODY_BYTES || until.is_some_and(|until| event.offset > until) {
                break;
            }
            let json = to_json(event);
            bytes += json.to_string().len();
            shown.push(json);
        }
        if shown.len() < all {
            through = shown.len().checked_sub(1).map_or(after, |last| batch.events[last].offset);
        }
        let is_last = batch.is_last && shown.len() == all;
        let events = shown.len() as u64;
        let body = json!({ "webhook": format!("{:016x}", webhook.id), "dataset": webhook.dataset, "events": Json::Array(shown) });
        let parcel = (events > 0).then(|| Parcel { span: (after, through), events, body: body.to_string().into_bytes() });
        Ok((parcel, through, is_last))
    }

    /// The parcel as it is sent at a moment.
    pub fn signed(&self, webhook: &Webhook, now_ms: u64) -> Delivery {
        let (timestamp, id) = (now_ms / 1_000, self.id(webhook));
        Delivery { signature: signing::signature(&webhook.key, &id, timestamp, &self.body), id, timestamp, body: self.body.clone() }
    }

    /// What names it, whenever it is sent.
    fn id(&self, webhook: &Webhook) -> String {
        let digest = Sha256::digest(format!("{:016x} {}", webhook.id, self.span.0));
        let digits: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("msg_{digits}")
    }
}

/// The courier.
pub struct Courier {
    /// What all couriers share.
    pub shared: Arc<Shared>,
    /// Whom it serves.
    pub webhook: Webhook,
    /// Its standing.
    pub standing: Arc<Standing>,
}

impl Courier {
    /// Delivers until it is to end.
    pub fn run(mut self) {
        let tempo = self.shared.tempo;
        let mut rests = Backoff::new(tempo.first_ms, tempo.longest_ms);
        while !self.standing.is_over() {
            let Err(e) = self.go(&mut rests) else { return };
            self.standing.set_trouble(Some(e.message));
            if self.standing.rest(rests.next(self.shared.around.random() as u64)) {
                return;
            }
        }
    }

    fn go(&mut self, rests: &mut Backoff) -> Result<()> {
        let mut source = OfPrimary::new(self.shared.datasets.open(&self.webhook.dataset)?);
        loop {
            let (parcel, through, is_last) = Parcel::read(&mut source, &self.webhook, self.webhook.offset, None)?;
            rests.reset();
            self.standing.set_trouble(None);
            self.standing.is_behind(parcel.is_some() || !is_last, self.shared.around.now_ms());
            let goes_on = match &parcel {
                Some(parcel) => self.deliver(parcel)?,
                None if through != self.webhook.offset => self.shared.store.told(self.webhook.id, &through).map(|()| true)?,
                None => true,
            };
            if !goes_on {
                return Ok(());
            }
            self.webhook.offset = through;
            if is_last {
                self.standing.is_behind(false, 0);
                source.wait(WAIT_MS)?;
            }
            if self.standing.is_over() {
                return Ok(());
            }
        }
    }

    /// Delivers a parcel or gives it up. False where it is to end.
    fn deliver(&self, parcel: &Parcel) -> Result<bool> {
        let (shared, counts) = (&self.shared, &self.shared.counts);
        let mut rests = Backoff::new(shared.tempo.first_ms, shared.tempo.longest_ms);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let Err(e) = shared.sender.send(&self.webhook.url, &parcel.signed(&self.webhook, shared.around.now_ms())) else {
                counts.delivered(parcel.events);
                shared.store.told(self.webhook.id, &parcel.span.1)?;
                return Ok(true);
            };
            counts.failed.fetch_add(1, Relaxed);
            if attempts >= shared.tempo.attempts_max {
                self.bury(parcel, attempts, &e)?;
                return Ok(true);
            }
            if self.standing.rest(rests.next(shared.around.random() as u64)) {
                return Ok(false);
            }
            counts.retried.fetch_add(1, Relaxed);
        }
    }

    fn bury(&self, parcel: &Parcel, attempts: u64, why: &Error) -> Result<()> {
        let (after, through) = parcel.span;
        let at = Time::from_ms(self.shared.around.now_ms());
        let letter =
            DeadLetter { id: 0, webhook: self.webhook.id, after, through, events: parcel.events, attempts, why: why.message.clone(), at };
        self.shared.store.bury(&letter)?;
        self.shared.counts.dead.fetch_add(1, Relaxed);
        Ok(())
    }
}

impl Counts {
    /// A delivery was taken.
    pub fn delivered(&self, events: u64) {
        self.delivered.fetch_add(1, Relaxed);
        self.events.fetch_add(events, Relaxed);
    }
}

/// Sends a dead letter again, once.
pub fn replay(shared: &Shared, webhook: &Webhook, letter: &DeadLetter) -> Result<()> {
    let mut source = OfPrimary::new(shared.datasets.open(&webhook.dataset)?);
    let mut after = letter.after;
    while after < letter.through {
        let (parcel, through, _) = Parcel::read(&mut source, webhook, after, Some(letter.through))?;
        let Some(parcel) = parcel else { break };
        shared.sender.send(&webhook.url, &parcel.signed(webhook, shared.around.now_ms()))?;
        shared.counts.delivered(parcel.events);
        after = through;
    }
    Ok(())
}

/// Where deliveries begin that tell only of what is still to come.
pub fn now(shared: &Shared, dataset: &str) -> Result<Offset> {
    Ok(feed::now(&shared.datasets.open(dataset)?.describe()?))
}
