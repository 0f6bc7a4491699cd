//! The chain of a dataset's events, and whether it is whole.
use crate::frame::Frame;
use crate::moment::Moment;
use crate::pager::Pager;
use askama::Template;

/// The audit.
#[derive(Debug, Template)]
#[template(path = "audit.html")]
pub struct Audit {
    /// What is around it.
    pub frame: Frame,
    /// The dataset.
    pub name: String,
    /// How many events there are.
    pub events: u64,
    /// The hash of the last one.
    pub head: String,
    /// What was found, where somebody asked for it to be verified.
    pub verified: Option<Verified>,
    /// Some of the events, newest first.
    pub links: Vec<Link>,
    /// The others.
    pub pager: Pager,
    /// The dataset's address, for commands to type.
    pub address: String,
}

/// What a verification found.
#[derive(Debug)]
pub struct Verified {
    /// Events that were looked at.
    pub events: u64,
    /// Rows that were compared; none where the chain is broken.
    pub rows: Option<u64>,
    /// What is wrong.
    pub findings: Vec<String>,
}

/// An event.
#[derive(Debug)]
pub struct Link {
    /// Its place, from 1.
    pub position: u64,
    /// Its hash.
    pub hash: String,
    /// What it is, in words.
    pub what: String,
    /// Who did it.
    pub actor: Option<String>,
    /// When.
    pub at: Option<Moment>,
    /// Where more of it is shown.
    pub to: Option<String>,
}
