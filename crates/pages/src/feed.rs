//! How a dataset's changes are told to others: webhooks, and what they did not take.
use crate::frame::Frame;
use crate::moment::Moment;
use askama::Template;

/// Feed health.
#[derive(Debug, Template)]
#[template(path = "feed.html")]
pub struct Feed {
    /// What is around it.
    pub frame: Frame,
    /// The dataset.
    pub name: String,
    /// Where the feed ends.
    pub head: String,
    /// Whom events are sent to.
    pub webhooks: Vec<Webhook>,
    /// The key of the one that was just made: it is shown this once.
    pub made: Option<String>,
    /// Whether this server sends any.
    pub sends: bool,
    /// The server's own address, for commands to type.
    pub address: String,
}

/// A webhook.
#[derive(Debug)]
pub struct Webhook {
    /// Its name.
    pub id: String,
    /// The address.
    pub url: String,
    /// How far it has been told.
    pub offset: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Moment,
    /// Why it does not go on, where it does not.
    pub trouble: Option<String>,
    /// Deliveries that were given up, the oldest first.
    pub letters: Vec<Letter>,
    /// Whether there are more of them.
    pub has_more: bool,
}

/// A delivery that was given up.
#[derive(Debug)]
pub struct Letter {
    /// Its number.
    pub id: u64,
    /// It tells what comes after this offset.
    pub after: String,
    /// Up to this one.
    pub through: String,
    /// How many events.
    pub events: u64,
    /// How often it was tried.
    pub attempts: u64,
    /// Why the last attempt failed.
    pub why: String,
    /// When that was.
    pub at: Moment,
}
