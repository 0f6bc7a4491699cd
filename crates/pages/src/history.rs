//! A dataset's versions, newest first.
use crate::frame::Frame;
use crate::moment::Moment;
use crate::pager::Pager;
use crate::reviewed::ShownReview;
use askama::Template;

/// Versions.
#[derive(Debug, Template)]
#[template(path = "history.html")]
pub struct History {
    /// What is around it.
    pub frame: Frame,
    /// The dataset.
    pub name: String,
    /// The versions.
    pub versions: Vec<Version>,
    /// The other versions.
    pub pager: Pager,
}

/// A version, in short.
#[derive(Clone, Debug)]
pub struct Version {
    /// Its number.
    pub version: u64,
    /// Where its own page is.
    pub to: String,
    /// What its author calls it.
    pub title: Option<String>,
    /// What its author says of it.
    pub description: String,
    /// Who made it.
    pub actor: String,
    /// The replica on which it was made, in short.
    pub replica: String,
    /// The version it was made on.
    pub base: u64,
    /// When it was closed.
    pub made_at: Moment,
    /// When it was accepted.
    pub accepted_at: Moment,
    /// Row changes.
    pub changes: u64,
    /// Steps of the schema.
    pub steps: u64,
    /// Conflicts that it found.
    pub conflicts: u64,
    /// Conflicts that it answered.
    pub answers: u64,
    /// Rows that got another number.
    pub renumbered: u64,
    /// Changes that wait for a row they point to.
    pub waiting: u64,
    /// The proposal it came out of, where it did.
    pub review: Option<ShownReview>,
}

impl Version {
    fn heading(&self) -> String {
        self.title.clone().unwrap_or_else(|| format!("Version {}", self.version))
    }
}
