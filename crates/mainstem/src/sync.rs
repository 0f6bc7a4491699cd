//! Push, pull and sync: the use cases that bring a replica and its primary together.
//!
//! Invariant: an acknowledgement only ever arrives by pull, in the same transaction as the rows it stands for, so that any
//! step may be repeated, lost or cut short.
use crate::error::{Error, Result};
use crate::primary::{Acquaintance, Description, Primary, Pushed, Seen};
use crate::proposing::{self, Apart};
use crate::replica::{Progress, Replica, Rewind, Unseen};
use mainstem_core::ErrorKind;
use mainstem_core::change::Front;
use mainstem_core::event::Digest;
use mainstem_core::planted::{self, Bug};

/// About how many bytes one pull asks for.
const PULL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How often push and pull take turns before a sync leaves the rest to the next one.
const ROUNDS_MAX: usize = 8;
/// How often in one push or pull the replica finds its way back to a history shared with its primary: once after a
/// restore, once from behind the horizon, and once more for what happens in between, such as schema steps on both sides.
const MENDS_MAX: usize = 3;

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
    /// Versions that the primary had lost and that are offered to it again from here.
    pub offered_again: u64,
    /// True where the primary began a new epoch, which this replica follows.
    pub is_restored: bool,
    /// True where the replica began again from a snapshot.
    pub is_reseeded: bool,
    /// Unsent edits of rows that are gone at the primary, which the snapshot made conflicts.
    pub edits_of_gone_rows: u64,
    /// Changes of rows that this replica may not see, which were not sent but put aside.
    pub set_aside: u64,
    /// The version held now.
    pub version: u64,
    /// Tables with changes that wait until they are proposed, and how many.
    pub waiting_for_review: Vec<(String, u64)>,
    /// Proposals of this copy that are versions by now.
    pub merged_proposals: Vec<u64>,
    /// Proposals that the primary had lost and that were offered to it again from here.
    pub proposed_again: u64,
}

/// Closes the working changes and offers every unsent changeset to the primary.
pub fn push(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str, progress: Progress<'_>) -> Result<Report> {
    let mut report = Report::default();
    // Also where there is nothing to push it shows whether the history is still shared.
    mending(replica, primary, actor, progress, &mut report, |replica, primary, actor, progress, report| {
        push_all(replica, primary, actor, progress, report)?;
        tell(replica, primary, actor)
    })?;
    finish(replica, report)
}

/// Brings the replica to the primary's head, with local work rebased on top.
pub fn pull(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str, progress: Progress<'_>) -> Result<Report> {
    let mut report = Report::default();
    mending(replica, primary, actor, progress, &mut report, |replica, primary, actor, progress, report| {
        pull_all(replica, primary, actor, progress, report)?;
        tell(replica, primary, actor)
    })?;
    finish(replica, report)
}

/// Brings the replica to the primary's head.
pub(crate) fn receive_all(
    replica: &mut dyn Replica,
    primary: &mut dyn Primary,
    actor: &str,
    progress: Progress<'_>,
    report: &mut Report,
) -> Result<()> {
    mending(replica, primary, actor, progress, report, pull_all)
}

/// Pushes everything but the last changeset.
pub(crate) fn push_but_last(
    replica: &mut dyn Replica,
    primary: &mut dyn Primary,
    actor: &str,
    progress: Progress<'_>,
    report: &mut Report,
) -> Result<()> {
    mending(replica, primary, actor, progress, report, |replica, primary, actor, progress, report| {
        push_until(replica, primary, actor, progress, report, 1)
    })
}

/// Push, then pull, until neither has anything left.
pub fn sync(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str, progress: Progress<'_>) -> Result<Report> {
    let mut report = Report::default();
    let before = proposing::proposals(replica)?;
    let mut is_told = false;
    for _ in 0..ROUNDS_MAX {
        mending(replica, primary, actor, progress, &mut report, push_all)?;
        mending(replica, primary, actor, progress, &mut report, pull_all)?;
        // A policy that came with the pull may let go what an earlier one kept back.
        replica.set_apart(Apart::Reviewed)?;
        if replica.standing()?.unsent > 0 {
            continue;
        }
        // A primary that went back since the pull is noticed here, and what it lost is offered in the next round.
        mending(replica, primary, actor, progress, &mut report, |replica, primary, actor, _, _| tell(replica, primary, actor))?;
        is_told = replica.standing()?.unsent == 0;
        if is_told {
            break;
        }
    }
    proposing::hear(replica, primary, &mut report)?;
    let after = proposing::proposals(replica)?;
    report.merged_proposals = before.into_iter().filter(|id| !after.contains(id)).collect();
    if !is_told {
        tell(replica, primary, actor)?;
    }
    finish(replica, report)
}

/// Takes the primary's rows again, whatever became of those here, with the unsent work on top; then syncs.
pub fn reseed(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str, progress: Progress<'_>) -> Result<Report> {
    let mut report = Report::default();
    // A stranger, or a primary that lost what is held here, is no place to begin again from.
    let known = known(replica)?;
    let from = replica.cursor()?;
    match primary.pull(&known, from, 1) {
        // A part brings nothing back, so that there is nothing to go back for.
        Err(e) if e.code == "other_epoch" && known.scope != Digest::default() => succeed(replica, primary, actor, e)?,
        Err(e) if e.code == "other_epoch" => follow(replica, primary, actor, progress, &mut report, e)?,
        Err(e) if e.code != "behind_horizon" && e.code != "other_scope" => return Err(e),
        _ => {}
    }
    begin_again(replica, primary, Unseen::Overwritten, progress, &mut report)?;
    let synced = sync(replica, primary, actor, progress)?;
    let (is_restored, edits_of_gone_rows) =
        (report.is_restored | synced.is_restored, report.edits_of_gone_rows + synced.edits_of_gone_rows);
    Ok(Report { offered_again: report.offered_again + synced.offered_again, is_restored, is_reseeded: true, edits_of_gone_rows, ..synced })
}

/// A push or pull.
type Step = fn(&mut dyn Replica, &mut dyn Primary, &str, Progress<'_>, &mut Report) -> Result<()>;

/// Takes a step; where replica and primary no longer share the history between them, it is mended first.
fn mending(
    replica: &mut dyn Replica,
    primary: &mut dyn Primary,
    actor: &str,
    progress: Progress<'_>,
    report: &mut Report,
    step: Step,
) -> Result<()> {
    for _ in 0..MENDS_MAX {
        match step(replica, primary, actor, progress, report) {
            Err(e) if e.code == "other_epoch" => follow(replica, primary, actor, progress, report, e)?,
            Err(e) if e.code == "behind_horizon" || e.code == "other_scope" => {
                begin_again(replica, primary, Unseen::Refused, progress, report)?
            }
            // A schema step made here, which cannot be taken back, stands against an accepted one: with the primary's rows in
            // its place it is laid on top again, as the primary would do it.
            Err(e) if e.code == "schema_conflict" => {
                // Writes that capture did not see are edits first: where columns differ, no digest tells of them.
                if replica.needs_reconcile()? {
                    report.reconciled += replica.reconcile(primary, progress)?;
                }
                report.reconciled += replica.reconcile(primary, progress)?;
                begin_again(replica, primary, Unseen::Refused, progress, report)?;
            }
            done => return done,
        }
    }
    step(replica, primary, actor, progress, report)
}

fn begin_again(
    replica: &mut dyn Replica,
    primary: &mut dyn Primary,
    unseen: Unseen,
    progress: Progress<'_>,
    report: &mut Report,
) -> Result<()> {
    let reseeded = replica.reseed(primary, unseen, progress)?;
    report.is_reseeded = true;
    report.edits_of_gone_rows += reseeded.conflicts;
    report.pulled_changes += reseeded.rows;
    Ok(())
}

/// The primary does not know the version held here, or goes on in another epoch: goes back to the last version that both
/// have. `refused` is what the primary said.
fn follow(
    replica: &mut dyn Replica,
    primary: &mut dyn Primary,
    actor: &str,
    progress: Progress<'_>,
    report: &mut Report,
    refused: Error,
) -> Result<()> {
    let known = known(replica)?;
    let there = primary.describe()?;
    if there.lineage != known.lineage {
        return Err(refused);
    }
    check_not_left(replica, &there)?;
    let line = replica.line()?;
    let common = match last_common(&line, primary)? {
        Some(version) => version,
        // The line here begins after the copy, of which the restore says that it is from the epoch held here.
        None => there
            .restored
            .as_ref()
            .filter(|r| r.before == known.epoch && line.first().is_some_and(|(first, _)| r.version < *first))
            .map(|r| r.version)
            .ok_or_else(|| no_common(refused))?,
    };
    let epoch = if there.epoch == known.epoch { primary.begin_epoch(&known, actor)? } else { there.epoch };
    let lost = || Error::corrupt(format!("the primary has lost version {common}"));
    let (version, hash) = (primary.version(common)?.ok_or_else(lost)?, primary.version_hash(common)?.ok_or_else(lost)?);
    report.offered_again += replica.rewind(&Rewind { epoch, version, hash }, primary, progress)?;
    report.is_restored = true;
    Ok(())
}

/// Refuses a primary whose epoch this replica has left for a later one.
fn check_not_left(replica: &mut dyn Replica, there: &Description) -> Result<()> {
    if !replica.epochs_left()?.contains(&there.epoch) {
        return Ok(());
    }
    let message = "this primary was replaced by a restored one, which this replica has followed";
    Err(Error::new(ErrorKind::Conflict, "other_epoch", message).hint("mainstem config remote FOLDER, with the restored primary's folder"))
}

/// Makes sure that the primary which refused this replica is a later life of the one it knows.
fn succeed(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str, refused: Error) -> Result<()> {
    let known = known(replica)?;
    let there = primary.describe()?;
    if there.lineage != known.lineage {
        return Err(refused);
    }
    check_not_left(replica, &there)?;
    if there.epoch == known.epoch { primary.begin_epoch(&known, actor).map(drop) } else { Ok(()) }
}

fn no_common(refused: Error) -> Error {
    let message = format!("{}; no version that this replica remembers is there", refused.message);
    Error::new(ErrorKind::Conflict, "other_epoch", message)
        .hint("sync a replica that is older than the copy first; or mainstem bundle create FILE keeps your unsent work for a new clone")
}

/// The last version of a line that the primary has too. Equal hashes mean equal histories, so that the versions in common
/// are the first ones.
fn last_common(line: &[(u64, Digest)], primary: &mut dyn Primary) -> Result<Option<u64>> {
    let (mut low, mut high) = (0, line.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let (version, hash) = line[middle];
        if primary.version_hash(version)? == Some(hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low.checked_sub(1).map(|at| line[at].0))
}

pub(crate) fn finish(replica: &mut dyn Replica, mut report: Report) -> Result<Report> {
    let standing = replica.standing()?;
    report.waiting_for_review = replica.waiting_for_review()?;
    report.conflicts_open = standing.conflicts_open;
    report.pending = standing.pending;
    report.version = standing.base_version;
    Ok(report)
}

/// The code by which a primary says that it knows a replica as another actor's.
const OTHERS_REPLICA: &str = "others_replica";

/// Tells the primary where this replica stands, so that what it still needs is kept. Whoever cannot be heard now is heard
/// the next time: until then the primary keeps more than it must.
pub fn tell(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str) -> Result<()> {
    let (known, standing) = (known(replica)?, replica.standing()?);
    let kept = replica.kept()?.into_iter().map(|kept| kept.front);
    let oldest = replica.unsent()?.into_iter().chain(kept).map(|front| front.header.base_version).min();
    let version = oldest.map_or(known.version, |base| base.min(known.version));
    let mut seen = Seen { replica: standing.replica, actor: actor.to_owned(), version };
    let mut heard = primary.seen(&known, &seen);
    if heard.as_ref().is_err_and(|e| e.code == OTHERS_REPLICA) {
        replica.reidentify()?;
        seen.replica = replica.standing()?.replica;
        heard = primary.seen(&known, &seen);
    }
    match heard {
        Err(e) if e.kind == ErrorKind::Unavailable => Ok(()),
        heard => heard,
    }
}

pub(crate) fn known(replica: &mut dyn Replica) -> Result<Acquaintance> {
    replica
        .standing()?
        .known
        .ok_or_else(|| Error::new(ErrorKind::Invalid, "no_primary", "this database has no primary yet").hint("mainstem publish FOLDER"))
}

fn push_all(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str, progress: Progress<'_>, report: &mut Report) -> Result<()> {
    close(replica, primary, actor, progress, report)?;
    replica.set_apart(Apart::Reviewed)?;
    push_until(replica, primary, actor, progress, report, 0)
}

/// Closes the working changes, with what was missed until now.
pub(crate) fn close(
    replica: &mut dyn Replica,
    primary: &mut dyn Primary,
    actor: &str,
    progress: Progress<'_>,
    report: &mut Report,
) -> Result<()> {
    // What is known to have been missed goes before what was seen since, which may build on it.
    find_missed(replica, primary, progress, report)?;
    replica.commit(actor, None, "")?;
    if replica.standing()?.unsent > 0 && !planted::is(Bug::A12) {
        replica.check()?;
    }
    if find_missed(replica, primary, progress, report)? {
        replica.commit(actor, None, "")?;
    }
    Ok(())
}

/// Offers unsent changesets, oldest first, until so many are left.
fn push_until(
    replica: &mut dyn Replica,
    primary: &mut dyn Primary,
    actor: &str,
    progress: Progress<'_>,
    report: &mut Report,
    left: usize,
) -> Result<()> {
    let (mut next, mut has_heard) = (0, false);
    loop {
        let known = known(replica)?;
        let fronts = replica.unsent()?;
        let Some(front) = fronts[..fronts.len().saturating_sub(left)].get(next).cloned() else { return Ok(()) };
        progress("pushing", next as u64, fronts.len() as u64);
        let answer = {
            let mut pages = replica.pages(front.header.write_id)?;
            let answer = primary.push(&known, &front, &mut *pages);
            match answer {
                // The primary knows this replica as somebody else's: this is a copy of theirs, or was handed over.
                Err(e) if e.code == OTHERS_REPLICA => Ok(Pushed::Reused),
                Err(_) if planted::is(Bug::I2) => Ok(Pushed::Already { version: known.version }),
                answer => answer,
            }
        };
        match answer {
            Ok(Pushed::Accepted { conflicts, renumbered, .. }) => {
                if front.again.is_none() {
                    report.pushed += 1;
                    report.pushed_changes += front.count;
                }
                report.conflicts += conflicts;
                report.renumbered += renumbered;
                next += 1;
            }
            Ok(Pushed::Already { .. }) => next += 1,
            Ok(refused) => {
                if mend_push(replica, &front, refused, report)? {
                    next = 0;
                }
            }
            // The policy is another by now. What was accepted under the old one is acknowledged with it.
            Err(e) if e.code == "review_required" && !has_heard => {
                pull_all(replica, primary, actor, progress, report)?;
                replica.set_apart(Apart::Reviewed)?;
                (next, has_heard) = (0, true);
            }
            // Only the primary knows what else its author sent lately, or whose an object is that goes.
            Err(e) if e.code == "review_required" => match replica.set_apart(Apart::Changeset(front.header.write_id))? {
                0 => return Err(e),
                _ => next = 0,
            },
            Err(e) => return Err(e),
        }
    }
}

/// Mends what a changeset was refused for. True where those before it are to be offered again.
pub(crate) fn mend_push(replica: &mut dyn Replica, front: &Front, refused: Pushed, report: &mut Report) -> Result<bool> {
    match refused {
        // Each answer names at least one row that is set aside, so that this ends.
        Pushed::Outside { rows } => match replica.set_aside(front.header.write_id, &rows)? {
            0 => Err(Error::internal("the primary refuses rows that the changeset does not have")),
            count => {
                report.set_aside += count;
                Ok(false)
            }
        },
        // Numbers do not count for what is offered again.
        Pushed::Gap { .. } | Pushed::Reused if front.again.is_some() => {
            Err(Error::internal("the primary counts the numbers of what is offered again"))
        }
        Pushed::Gap { expected } if expected < front.header.sequence => {
            replica.resequence(front.header.write_id, expected)?;
            Ok(false)
        }
        Pushed::Gap { .. } => Err(Error::internal("the primary expects a changeset that was never made")),
        // Another copy of this file used our number: we are not who we thought we were.
        Pushed::Reused => replica.reidentify().map(|_| true),
        Pushed::Accepted { .. } | Pushed::Already { .. } => Err(Error::internal("what was accepted was taken for refused")),
    }
}

/// Compares the tables of which it is known that capture may have missed something. True where there are any.
fn find_missed(replica: &mut dyn Replica, primary: &mut dyn Primary, progress: Progress<'_>, report: &mut Report) -> Result<bool> {
    if !replica.needs_reconcile()? {
        return Ok(false);
    }
    // The rows to compare with are those of the version held here, as long as the primary has it.
    primary.pull(&known(replica)?, replica.cursor()?, 1)?;
    report.reconciled += replica.reconcile(primary, progress)?;
    Ok(true)
}

fn pull_all(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str, progress: Progress<'_>, report: &mut Report) -> Result<()> {
    if planted::is(Bug::I3) && replica.standing()?.unsent > 0 {
        return Ok(());
    }
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
                // Where capture knows of a gap, that alone is compared; the second time all is.
                has_reconciled = !replica.needs_reconcile()?;
                report.reconciled += replica.reconcile(primary, progress)?;
            }
            Err(e) => return Err(e),
        }
    }
}
