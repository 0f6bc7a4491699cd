//! Merging a proposal: everything that was looked at is checked again in the transaction that writes it.
//!
//! Invariant: rows, ledger and the proposal's state change together; a crash leaves before or after.
//! Invariant: the digest of what is merged is the one that every counted vote names.
use super::assessing::{merge_in, set_out, summarise};
use super::requests::{self, Asked};
use super::reviewing::{closed, no_proposal, note, note_for, now};
use super::{LocalPrimary, absorb_in, genesis, release};
use crate::error::{Error, Result};
use crate::policy_text;
use crate::review::{By, Merged, People, Privilege};
use crate::schema_merge::table_of;
use crate::store::{Scratch, Store, Transaction};
use mainstem_core::ErrorKind;
use mainstem_core::change::Front;
use mainstem_core::event::Version;
use mainstem_core::gate::{GateResult, Outcome};
use mainstem_core::policy::Policy;
use mainstem_core::proposal::{Act, Assessment, Failure, MergeWish, Proposal, Reviewed};
use mainstem_core::schema::SchemaChange;
use mainstem_core::stamp::{ReplicaId, Time};
use mainstem_core::vote::{Ask, Tally, Verdict, tally};
use std::collections::BTreeSet;

/// The tables that a merge changes, in rows or in themselves; with "" where something belongs to none of them.
fn tables(front: &Front, outcome: &Version) -> Vec<String> {
    let mut names: BTreeSet<String> = front.shapes.iter().chain(&outcome.shapes).map(|shape| shape.table.clone()).collect();
    for step in front.schema.iter().chain(&outcome.schema) {
        names.insert(table_of(step).unwrap_or_default());
        if let SchemaChange::RenameTable { from, .. } = step {
            // Its rule stands under the name that it had.
            names.insert(from.clone());
        }
    }
    names.into_iter().collect()
}

/// Counts the votes on what merging does.
pub(super) fn count(policy: &Policy, proposal: &Proposal, outcome: &Version, now: Time, people: &dyn People) -> Tally {
    let revision = proposal.head();
    let offered_at = proposal.revisions.last().map_or(proposal.at, |(_, at, _)| *at);
    tally(
        policy,
        &Ask {
            tables: &tables(&revision.front, outcome),
            revision: proposal.revisions.len() as u64,
            digest: &Assessment::digest_of(outcome),
            authors: &revision.authors,
            votes: &proposal.votes,
            actors: &people.actors(),
            offered_at,
            now,
            voter: &|actor, table| people.voter(actor, table),
        },
    )
}

fn told_gate(result: &GateResult) -> String {
    match &result.outcome {
        Outcome::Passed => format!("gate {} holds", result.gate),
        Outcome::Failed { rows, .. } => format!("gate {} fails for {rows} rows", result.gate),
        Outcome::Broke { why } => format!("gate {} could not be tried: {why}", result.gate),
    }
}

/// Refuses what may not be merged so; gives what was passed over by force, in words.
fn check(
    tx: &mut dyn Transaction,
    proposal: &Proposal,
    outcome: &Version,
    gates: &[GateResult],
    wish: &MergeWish,
    now: Time,
    by: By<'_>,
) -> Result<(Tally, Vec<String>)> {
    let (id, mut passed) = (proposal.id, Vec::new());
    let stale = |message: String| Error::new(ErrorKind::Conflict, "stale_base", message).hint(format!("mainstem review {id}"));
    let before = outcome.version - 1;
    if let Some(expected) = wish.expected.filter(|expected| *expected != before) {
        return Err(stale(format!("the dataset is at version {before} and not at {expected}")));
    }
    if wish.digest.is_some_and(|digest| digest != Assessment::digest_of(outcome)) {
        return Err(stale(format!("merging proposal {id} would do something else by now than what you looked at")));
    }
    if !wish.may_alter && !outcome.schema.is_empty() {
        let message = format!("proposal {id} changes the tables themselves, which was not asked for");
        return Err(Error::new(ErrorKind::Conflict, "schema_conflict", message).hint(format!("mainstem merge {id}, without --no-schema")));
    }
    let open = outcome.conflicts.iter().filter(|conflict| conflict.is_open()).count();
    if open > 0 && !wish.skip_conflicts {
        let message = format!("merging proposal {id} would leave {open} conflicts open");
        return Err(Error::new(ErrorKind::Conflict, "merge_conflict", message).hint(format!("mainstem review {id}")));
    }
    if open > 0 {
        passed.push(format!("{open} open conflicts"));
    }
    let policy = policy_text::parse(&tx.policy_text()?)?;
    let tally = count(&policy, proposal, outcome, now, by.people);
    if tally.verdict != Verdict::Approved && !wish.force {
        let missing = if tally.missing.is_empty() { String::new() } else { format!(": {}", tally.missing.join("; ")) };
        let message = format!("proposal {id} does not have the votes it needs{missing}");
        return Err(Error::new(ErrorKind::Denied, "review_required", message).hint(format!("mainstem review {id}")));
    }
    if tally.verdict != Verdict::Approved {
        passed.push("votes".to_owned());
    }
    let blocking: Vec<&GateResult> = gates.iter().filter(|gate| gate.is_blocking()).collect();
    if !blocking.is_empty() && !wish.force {
        let named = blocking.iter().map(|gate| told_gate(gate)).collect::<Vec<_>>().join("; ");
        let message = format!("the dataset would not be valid after proposal {id}: {named}");
        return Err(Error::new(ErrorKind::Conflict, "validation_failed", message).hint(format!("mainstem gates {id}")));
    }
    passed.extend(blocking.into_iter().map(told_gate));
    Ok((tally, passed))
}

/// What merging came to, from the version that it became.
fn told(tx: &mut dyn Transaction, version: u64, is_repeated: bool) -> Result<Merged> {
    let lost = || Error::corrupt(format!("the ledger has lost version {version}"));
    let event = tx.version(version)?.ok_or_else(lost)?;
    let commit = tx.version_hash(version)?.ok_or_else(lost)?;
    let id = event.review.as_ref().map_or(0, |reviewed| reviewed.proposal);
    let is_staging_clean = tx.proposal(id)?.is_some_and(|proposal| proposal.is_unstaged);
    let tables = summarise(tx, &event, &mut |_, _| Ok(()))?;
    let sum = |of: fn(&mainstem_core::proposal::TableSummary) -> u64| tables.iter().map(of).sum();
    Ok(Merged {
        version,
        commit,
        added: sum(|t| t.inserted),
        updated: sum(|t| t.updated),
        deleted: sum(|t| t.deleted),
        cells: sum(|t| t.cells),
        is_staging_clean,
        is_repeated,
    })
}

impl<S: Store> LocalPrimary<S> {
    /// Merges a proposal.
    pub(super) fn merge_proposal(&mut self, id: u64, wish: &MergeWish, by: By<'_>) -> Result<Merged> {
        for (is_wanted, privilege, what) in [
            (wish.force, Privilege::Force, "to merge by force"),
            (wish.skip_conflicts, Privilege::SkipConflicts, "to merge with open conflicts"),
        ] {
            if is_wanted && !by.people.has(by.actor, privilege) {
                return Err(Error::new(ErrorKind::Denied, "forbidden", format!("{} has no right {what}", by.actor)));
            }
        }
        if let Some(merged) = self.begin_merge(id, wish, by)? {
            return Ok(merged);
        }
        let merged = self.with_assessments(|this, assessments| this.merge_now(assessments.own(), id, wish, by));
        // An outage tells nothing of the proposal: it is being merged still, and whoever asks next goes on.
        if let Err(error) = &merged
            && error.kind != ErrorKind::Unavailable
        {
            self.note_failure(id, error, by)?;
        }
        if merged.is_ok() {
            let closed = self.store.begin_read()?.proposal(id)?;
            closed.map_or(Ok(()), |proposal| self.forget_assessments(&proposal))?;
        }
        merged
    }

    /// Refuses what cannot be merged before anything is written; then notes that a merge begins. Answers where it is merged.
    fn begin_merge(&mut self, id: u64, wish: &MergeWish, by: By<'_>) -> Result<Option<Merged>> {
        let request = Asked::Merge(wish).of(id, by);
        requests::done(&mut *self.store.begin_read()?, request, by)?;
        let (_, assessment) = self.assessed(id)?.ok_or_else(|| no_proposal(id))?;
        let moment = Time::from_ms(self.around.now_ms());
        let mut tx = self.store.begin()?;
        // Somebody else may have merged or closed it while it was assessed.
        requests::done(&mut *tx, request, by)?;
        let proposal = tx.proposal(id)?.ok_or_else(|| no_proposal(id))?;
        if let Some(version) = proposal.version {
            return told(&mut *tx, version, true).map(Some);
        }
        let assessment = assessment.filter(|_| proposal.stage.is_open()).ok_or_else(|| closed(&proposal))?;
        check(&mut *tx, &proposal, &assessment.outcome, &assessment.gates, wish, moment, by)?;
        let at = now(&mut *tx, &self.around)?.max(proposal.touched);
        note_for(&mut *tx, request, at, id, Act::BeginMerge(wish.clone()), by)?;
        tx.commit()?;
        Ok(None)
    }

    fn merge_now(&mut self, scratch: &mut dyn Scratch, id: u64, wish: &MergeWish, by: By<'_>) -> Result<Merged> {
        let mut tx = self.store.begin()?;
        let proposal = tx.proposal(id)?.ok_or_else(|| no_proposal(id))?;
        if let Some(version) = proposal.version {
            return told(&mut *tx, version, true);
        }
        if !proposal.stage.is_open() {
            return Err(closed(&proposal));
        }
        absorb_in(&mut *tx, &self.around)?;
        set_out(&mut *tx, scratch, &proposal)?;
        let moment = Time::from_ms(self.around.now_ms());
        let seal = &mut |tx: &mut dyn Transaction, outcome: &mut Version, gates: Vec<GateResult>| {
            let (tally, warnings) = check(tx, &proposal, outcome, &gates, wish, moment, by)?;
            for (_, _, revision) in proposal.revisions.iter().rev().skip(1) {
                let write_id = revision.front.header.write_id;
                if tx.find_write(write_id)?.is_none() {
                    outcome.stands_for.push(write_id);
                }
            }
            outcome.review = Some(Reviewed {
                proposal: id,
                revision: proposal.revisions.len() as u64,
                digest: Assessment::digest_of(outcome),
                actor: by.actor.to_owned(),
                token: by.token.map(str::to_owned),
                votes: tally.counted,
                wish: wish.clone(),
                warnings,
                gates,
            });
            Ok(())
        };
        let version = merge_in(&mut *tx, &self.around, scratch, proposal.head(), seal)?;
        if !wish.keep_staging {
            for (_, _, revision) in &proposal.revisions {
                tx.unstage(revision.front.header.write_id)?;
            }
            note(&mut *tx, version.accepted_at, id, Act::Unstage, by)?;
        }
        let primary = ReplicaId(genesis(&mut *tx)?.lineage);
        release(&mut *tx, &self.around, primary)?;
        let merged = told(&mut *tx, version.version, false)?;
        tx.commit()?;
        Ok(merged)
    }

    /// Notes why a merge that had begun came to nothing, unless another's did not.
    fn note_failure(&mut self, id: u64, error: &Error, by: By<'_>) -> Result<()> {
        let mut tx = self.store.begin()?;
        let Some(proposal) = tx.proposal(id)?.filter(|proposal| proposal.stage.is_open()) else { return Ok(()) };
        let at = now(&mut *tx, &self.around)?.max(proposal.touched);
        let failure = Failure { code: error.code.to_owned(), message: error.message.clone() };
        note(&mut *tx, at, id, Act::FailMerge(failure), by)?;
        tx.commit()
    }
}
