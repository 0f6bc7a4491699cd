//! The page one begins on: the datasets, how they are, and what happened last.
use crate::frame::Frame;
use crate::moment::Moment;
use askama::Template;

/// The overview.
#[derive(Debug, Template)]
#[template(path = "overview.html")]
pub struct Overview {
    /// What is around it.
    pub frame: Frame,
    /// The datasets that one may read.
    pub datasets: Vec<Dataset>,
    /// Where the next ones are, where there are more.
    pub next: Option<String>,
    /// What happened last in those shown, newest first.
    pub activity: Vec<Happening>,
    /// The server's own address, for commands to type.
    pub address: String,
}

/// A dataset in the list.
#[derive(Debug)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// Its latest version.
    pub version: u64,
    /// When that was accepted.
    pub changed_at: Option<Moment>,
    /// Conflicts that wait for an answer.
    pub conflicts: u64,
    /// Proposals that are open.
    pub proposals: u64,
    /// How many replicas are known.
    pub replicas: u64,
    /// How many of them have not everything.
    pub behind: u64,
    /// By how many versions the one furthest behind is.
    pub lag: u64,
    /// Whether it is archived.
    pub is_archived: bool,
    /// Why it cannot be read, where it cannot.
    pub trouble: Option<String>,
}

/// A version that was accepted lately.
#[derive(Debug)]
pub struct Happening {
    /// The dataset.
    pub dataset: String,
    /// The version.
    pub version: u64,
    /// Who made it.
    pub actor: String,
    /// What they call it.
    pub title: Option<String>,
    /// What it did, in words that stand before the dataset's name.
    pub what: String,
    /// When it was accepted.
    pub at: Moment,
}
