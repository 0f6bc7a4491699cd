//! One version: who made it, and what it changed, cell by cell.
use crate::change::ShownChange;
use crate::frame::Frame;
use crate::history::Version as Summary;
use crate::pager::Pager;
use askama::Template;

/// A version.
#[derive(Debug, Template)]
#[template(path = "version.html")]
pub struct Version {
    /// What is around it.
    pub frame: Frame,
    /// The dataset.
    pub name: String,
    /// What it is.
    pub summary: Summary,
    /// Its steps of the schema, in words.
    pub steps: Vec<String>,
    /// Some of what it changed.
    pub changes: Vec<ShownChange>,
    /// Whether one may propose to take it back.
    pub may_revert: bool,
    /// The rest.
    pub pager: Pager,
}
