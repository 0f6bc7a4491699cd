//! Push, pull and sync: the use cases that bring a replica and its primary together.
//!
//! Invariant: an acknowledgement only ever arrives by pull, in the same transaction as the rows it stands for, so that any
//! step may be repeated, lost or cut short.
use crate::error::{Error, Result};
use crate::primary::{Acquaintance, Primary, Pushed, Seen};
use crate::replica::{Progress, Replica};
use mainstem_core::ErrorKind;
use mainstem_core::planted::{self, Bug};

/// About how many bytes one pull asks for.
const PULL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How often push and pull take turns before a sync leaves the rest to the next one.
const ROUNDS_MAX: usize = 8;

/// What a push, pull or sync did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Changesets the primary accepted.
    pub pushed: u64,
    /// Row changes in them.
    pub pushed_changes: u64,
    /// Versions received that others made.
    pub pulled: u64,
    /// Row changes applied here, our own as they came back included.
    pub pulled_changes: u64,
    /// Conflicts found by this push, answered by a strategy or not.
    pub conflicts: u64,
    /// Conflicts open now.
    pub conflicts_open: u64,
    /// Changes that wait for a parent.
    pub pending: u64,
    /// Rows renumbered by this push.
    pub renumbered: u64,
    /// Rows whose change capture had missed and a comparison found.
    pub reconciled: u64,
    /// The version held now.
    pub version: u64,
}

/// Closes the working changes and offers every unsent changeset to the primary.
pub fn push(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str, progress: Progress<'_>) -> Result<Report> {
    let mut report = Report::default();
    push_all(replica, primary, actor, progress, &mut report)?;
    tell(replica, primary, actor)?;
    finish(replica, report)
}

/// Brings the replica to the primary's head, with local work rebased on top.
pub fn pull(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str, progress: Progress<'_>) -> Result<Report> {
    let mut report = Report::default();
    pull_all(replica, primary, actor, progress, &mut report)?;
    tell(replica, primary, actor)?;
    finish(replica, report)
}

/// Push, then pull, until neither has anything left.
pub fn sync(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str, progress: Progress<'_>) -> Result<Report> {
    let mut report = Report::default();
    for _ in 0..ROUNDS_MAX {
        push_all(replica, primary, actor, progress, &mut report)?;
        pull_all(replica, primary, actor, progress, &mut report)?;
        if replica.standing()?.unsent == 0 {
            break;
        }
    }
    tell(replica, primary, actor)?;
    finish(replica, report)
}

fn finish(replica: &mut dyn Replica, mut report: Report) -> Result<Report> {
    let standing = replica.standing()?;
    report.conflicts_open = standing.conflicts_open;
    report.pending = standing.pending;
    report.version = standing.base_version;
    Ok(report)
}

/// Tells the primary where this replica stands, so that what it still needs is kept. Whoever cannot be heard now is heard
/// the next time: until then the primary keeps more than it must.
pub fn tell(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str) -> Result<()> {
    let (known, standing) = (known(replica)?, replica.standing()?);
    let oldest = replica.unsent()?.iter().map(|front| front.header.base_version).min();
    let version = oldest.map_or(known.version, |base| base.min(known.version));
    match primary.seen(&known, &Seen { replica: standing.replica, actor: actor.to_owned(), version }) {
        Err(e) if e.kind == ErrorKind::Unavailable => Ok(()),
        heard => heard,
    }
}

fn known(replica: &mut dyn Replica) -> Result<Acquaintance> {
    replica
        .standing()?
        .known
        .ok_or_else(|| Error::new(ErrorKind::Invalid, "no_primary", "this database has no primary yet").hint("mainstem publish FOLDER"))
}

fn push_all(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str, progress: Progress<'_>, report: &mut Report) -> Result<()> {
    let known = known(replica)?;
    replica.commit(actor, None, "")?;
    if replica.standing()?.unsent > 0 && !planted::is(Bug::A12) {
        replica.check()?;
    }
    if replica.needs_reconcile()? {
        report.reconciled += replica.reconcile(primary, progress)?;
        replica.commit(actor, None, "")?;
    }
    let total = replica.unsent()?.len() as u64;
    let mut next = 0;
    while let Some(front) = replica.unsent()?.into_iter().nth(next) {
        progress("pushing", next as u64, total);
        let answer = {
            let mut pages = replica.pages(front.header.write_id)?;
            let answer = primary.push(&known, &front, &mut *pages);
            if planted::is(Bug::I2) { answer.unwrap_or(Pushed::Already { version: known.version }) } else { answer? }
        };
        match answer {
            Pushed::Accepted { conflicts, renumbered, .. } => {
                report.pushed += 1;
                report.pushed_changes += front.count;
                report.conflicts += conflicts;
                report.renumbered += renumbered;
                next += 1;
            }
            Pushed::Already { .. } => next += 1,
            Pushed::Gap { expected } if expected < front.header.sequence => replica.resequence(front.header.write_id, expected)?,
            Pushed::Gap { .. } => return Err(Error::internal("the primary expects a changeset that was never made")),
            // Another copy of this file used our number: we are not who we thought we were.
            Pushed::Reused => {
                replica.reidentify()?;
                next = 0;
            }
        }
    }
    Ok(())
}

fn pull_all(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str, progress: Progress<'_>, report: &mut Report) -> Result<()> {
    let mut has_reconciled = false;
    loop {
        let known = known(replica)?;
        let pull = primary.pull(&known, replica.cursor()?, PULL_BYTES_MAX)?;
        replica.commit(actor, None, "")?;
        match replica.receive(&pull) {
            Ok(received) => {
                report.pulled += received.versions.saturating_sub(received.acknowledged);
                report.pulled_changes += received.changes;
                progress("pulling", received.cursor.version.saturating_sub(1), pull.head.version);
                if pull.is_last {
                    return Ok(());
                }
            }
            // Rows differ from what capture believes: find out which, keep them as local edits, and go on.
            Err(e) if e.code == "drift" && !has_reconciled => {
                has_reconciled = true;
                report.reconciled += replica.reconcile(primary, progress)?;
            }
            Err(e) => return Err(e),
        }
    }
}
