//! Push, pull and sync: the use cases that bring a replica and its primary together.
use crate::error::{Error, Result};
use crate::primary::Primary;
use crate::replica::{Progress, Replica};

/// What a push, pull or sync did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Changesets the primary accepted.
    pub pushed: u64,
    /// Row changes in them.
    pub pushed_changes: u64,
    /// Versions received (our own included).
    pub pulled: u64,
    /// Row changes applied here that others made.
    pub pulled_changes: u64,
    /// Conflicts found by this push, answered by a strategy or not.
    pub conflicts: u64,
    /// Conflicts open now.
    pub conflicts_open: u64,
    /// Changes that wait for a parent.
    pub pending: u64,
    /// Rows renumbered by this push.
    pub renumbered: u64,
    /// The version held now.
    pub version: u64,
}

/// Closes the working changes and offers every unsent changeset to the primary.
pub fn push(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str, progress: Progress<'_>) -> Result<Report> {
    let _ = (replica, primary, actor, progress);
    Err(Error::internal("push"))
}

/// Brings the replica to the primary's head, with local work rebased on top.
pub fn pull(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str, progress: Progress<'_>) -> Result<Report> {
    let _ = (replica, primary, actor, progress);
    Err(Error::internal("pull"))
}

/// Push, then pull, until neither has anything left.
pub fn sync(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str, progress: Progress<'_>) -> Result<Report> {
    let _ = (replica, primary, actor, progress);
    Err(Error::internal("sync"))
}
