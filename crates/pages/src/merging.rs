//! The page before a merge: what will happen, and that one wants it.
use crate::frame::Frame;
use crate::proposal::{Outlook, TableLine};
use crate::value::ShownValue;
use askama::Template;

/// What merging a proposal will do.
#[derive(Debug, Template)]
#[template(path = "merging.html")]
pub struct Merging {
    /// What is around it.
    pub frame: Frame,
    /// The proposal's address.
    pub path: String,
    /// The dataset.
    pub dataset: String,
    /// The proposal.
    pub id: u64,
    /// What its author calls it.
    pub title: ShownValue,
    /// What will happen.
    pub result: Outlook,
    /// In each table.
    pub tables: Vec<TableLine>,
    /// To the tables themselves.
    pub schema: Vec<ShownValue>,
    /// Who approved what will be merged.
    pub approvers: Vec<String>,
    /// What is missing, a line each.
    pub missing: Vec<String>,
    /// Gates that stand in the way.
    pub blocking: Vec<ShownValue>,
    /// Gates that warn.
    pub warning: Vec<ShownValue>,
    /// Conflicts that would be left open.
    pub conflicts: usize,
    /// Replicas that will hear of it.
    pub replicas: usize,
    /// Whether whoever asks may pass over what is missing.
    pub may_force: bool,
}

impl Merging {
    /// True where nothing stands in the way.
    fn is_ready(&self) -> bool {
        self.missing.is_empty() && self.blocking.is_empty() && self.conflicts == 0
    }
}
