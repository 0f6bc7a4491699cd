//! The staged rows of revisions: what they take, and which of them nobody needs any more.
//!
//! Invariant: what is staged for an open proposal stays.
use super::LocalPrimary;
use super::reviewing::{note, now};
use crate::cleanup::Rehearsal;
use crate::error::Result;
use crate::ledger::ProposalsWanted;
use crate::policy_text;
use crate::review::{By, Staged};
use crate::store::{Store, Transaction};
use mainstem_core::policy::Policy;
use mainstem_core::proposal::{Act, Proposal};
use mainstem_core::stamp::Time;

/// What is staged, by proposal, oldest first.
fn all(tx: &mut dyn Transaction, policy: &Policy) -> Result<Vec<(Proposal, Staged)>> {
    let mut found = Vec::new();
    for id in tx.proposals(&ProposalsWanted { limit: usize::MAX, ..ProposalsWanted::default() })?.into_iter().rev() {
        let Some(proposal) = tx.proposal(id)?.filter(|proposal| !proposal.is_unstaged) else { continue };
        let (mut revisions, mut bytes) = (0, 0);
        for (_, _, revision) in &proposal.revisions {
            let taken = tx.staged_bytes(revision.front.header.write_id)?;
            revisions += u64::from(taken > 0);
            bytes += taken;
        }
        let ends = || policy.staging().end_ms(proposal.touched.ms()).map(Time::from_ms);
        let expires = if proposal.stage.is_open() { None } else { ends() };
        let staged = Staged { proposal: id, stage: proposal.stage, revisions, bytes, touched: proposal.touched, expires };
        found.push((proposal, staged));
    }
    Ok(found)
}

impl<S: Store> LocalPrimary<S> {
    /// What is staged.
    pub(super) fn all_staged(&mut self) -> Result<Vec<Staged>> {
        let mut tx = self.store.begin_read()?;
        let policy = policy_text::parse(&tx.policy_text()?)?;
        Ok(all(&mut *tx, &policy)?.into_iter().map(|(_, staged)| staged).collect())
    }

    /// Removes what is kept longer than the policy says.
    pub(super) fn clean_staged(&mut self, rehearsal: Rehearsal, by: By<'_>) -> Result<Vec<Staged>> {
        let mut tx = self.store.begin()?;
        let policy = policy_text::parse(&tx.policy_text()?)?;
        let at = now(&mut *tx, &self.around)?;
        let mut gone = all(&mut *tx, &policy)?;
        gone.retain(|(_, staged)| staged.expires.is_some_and(|expires| expires <= at));
        for (proposal, _) in &gone {
            for (_, _, revision) in &proposal.revisions {
                tx.unstage(revision.front.header.write_id)?;
            }
            note(&mut *tx, at.max(proposal.touched), proposal.id, Act::Unstage, by)?;
        }
        if rehearsal == Rehearsal::Real && !gone.is_empty() {
            tx.commit()?;
        }
        Ok(gone.into_iter().map(|(_, staged)| staged).collect())
    }
}
