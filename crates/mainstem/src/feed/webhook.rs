//! Webhooks: addresses that a dataset's events are sent to, how far each has been told, and what could not be delivered.
//!
//! Invariant: a key is shown when its webhook is made, and never again.
use super::Offset;
use crate::error::Result;
use mainstem_core::stamp::Time;
use std::fmt;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// What deliveries are signed with. It comes into no message by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(pub [u8; KEY_BYTES]);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
}

/// One address that a dataset's events are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its name.
    pub id: u64,
    /// The dataset.
    pub dataset: String,
    /// The address.
    pub url: String,
    /// What deliveries are signed with.
    pub key: SigningKey,
    /// How far it has been told.
    pub offset: Offset,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Time,
}

/// A delivery that was given up. Its events are read again when it is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number.
    pub id: u64,
    /// Whom it was for.
    pub webhook: u64,
    /// It tells what comes after this offset,
    pub after: Offset,
    /// up to this one.
    pub through: Offset,
    /// How many events.
    pub events: u64,
    /// How often it was tried.
    pub attempts: u64,
    /// Why the last attempt failed.
    pub why: String,
    /// When that was.
    pub at: Time,
}

/// Where webhooks are kept. Safe to call from many threads at once.
pub trait WebhookStore: Send + Sync {
    /// All of them, oldest first.
    fn webhooks(&self) -> Result<Vec<Webhook>>;
    /// Adds one.
    fn add(&self, webhook: &Webhook) -> Result<()>;
    /// Removes one with its dead letters. False where it was not there.
    fn remove(&self, id: u64) -> Result<bool>;
    /// Notes how far one has been told.
    fn told(&self, id: u64, offset: &Offset) -> Result<()>;
    /// Gives a delivery up: keeps the letter, under a number of the store's, and goes on after it, at once.
    fn bury(&self, letter: &DeadLetter) -> Result<()>;
    /// At most `limit` of a webhook's dead letters after one, oldest first.
    fn dead_letters(&self, webhook: u64, after: u64, limit: usize) -> Result<Vec<DeadLetter>>;
    /// Forgets a dead letter that was delivered. False where it was not there.
    fn forget(&self, webhook: u64, letter: u64) -> Result<bool>;
}

/// A webhook as it is shown.
#[derive(Clone, Debug)]
pub struct WebhookState {
    /// What is kept of it.
    pub webhook: Webhook,
    /// Why it does not go on, where it does not.
    pub trouble: Option<String>,
}

/// What was sent so far, since the server began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deliveries {
    /// Webhooks there are.
    pub webhooks: u64,
    /// Deliveries that were taken.
    pub delivered: u64,
    /// Events in them.
    pub events: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Attempts that were made again.
    pub retried: u64,
    /// Deliveries that were given up.
    pub dead: u64,
    /// For how many milliseconds the one that is furthest behind has been so.
    pub lag_ms: u64,
}

/// The webhooks of a server. Safe to call from many threads at once.
pub trait Webhooks: Send + Sync {
    /// Those of a dataset, oldest first.
    fn list(&self, dataset: &str) -> Result<Vec<WebhookState>>;
    /// Adds one, whose deliveries begin after an offset (or with what comes). Its key is to be shown this once.
    fn add(&self, dataset: &str, url: &str, from: Option<Offset>, by: &str) -> Result<(Webhook, String)>;
    /// Removes one.
    fn remove(&self, dataset: &str, id: u64) -> Result<()>;
    /// At most `limit` deliveries that were given up after one, oldest first.
    fn dead_letters(&self, dataset: &str, id: u64, after: u64, limit: usize) -> Result<Vec<DeadLetter>>;
    /// Sends one of them again, once. It is forgotten when it is taken.
    fn replay(&self, dataset: &str, id: u64, letter: u64) -> Result<()>;
    /// What was sent so far.
    fn deliveries(&self) -> Deliveries;
}
