//! Proposals for those who see a part: what touches rows that are not shown is not shown either.
use super::Scoped;
use crate::cleanup::Rehearsal;
use crate::comparing::Differing;
use crate::error::{Error, Result};
use crate::ledger::ProposalsWanted;
use crate::primary::{Acquaintance, Primary};
use crate::replica::Answering;
use crate::review::{By, Chosen, Deed, Judged, Merged, Offer, Offered, Review, Staged};
use mainstem_core::ErrorKind;
use mainstem_core::event::Digest;
use mainstem_core::proposal::MergeWish;
use std::ops::DerefMut;

/// Whoever sees a part of a dataset takes no part in its reviews: what is proposed may touch what they do not see.
fn hidden() -> Error {
    Error::new(ErrorKind::Denied, "partial_view", "proposals need the whole dataset, and only a part of it is seen here")
        .hint("ask an owner for a role on the whole dataset")
}

impl<P: DerefMut<Target: Primary>> Scoped<P> {
    fn reviewable(&mut self) -> Result<&mut P::Target> {
        if self.view()?.is_whole { Ok(&mut *self.primary) } else { Err(hidden()) }
    }
}

impl<P: DerefMut<Target: Primary>> Review for Scoped<P> {
    fn propose(&mut self, known: &Acquaintance, offer: Offer<'_>, by: By<'_>) -> Result<Offered> {
        self.reviewable()?.propose(&Acquaintance { scope: Digest::default(), ..*known }, offer, by)
    }
    fn act(&mut self, proposal: u64, deed: &Deed, by: By<'_>) -> Result<()> {
        self.reviewable()?.act(proposal, deed, by)
    }
    fn merge(&mut self, proposal: u64, wish: &MergeWish, by: By<'_>) -> Result<Merged> {
        self.reviewable()?.merge(proposal, wish, by)
    }
    fn proposals(&mut self, wanted: &ProposalsWanted) -> Result<Vec<u64>> {
        self.reviewable()?.proposals(wanted)
    }
    fn proposal(&mut self, id: u64, by: By<'_>) -> Result<Option<Judged>> {
        self.reviewable()?.proposal(id, by)
    }
    fn proposal_at_once(&mut self, id: u64, by: By<'_>) -> Result<Option<Judged>> {
        self.reviewable()?.proposal_at_once(id, by)
    }
    fn shown_page(&mut self, proposal: u64, digest: &Digest, page: u64) -> Result<Option<Vec<u8>>> {
        self.reviewable()?.shown_page(proposal, digest, page)
    }
    fn staged_page(&mut self, proposal: u64, revision: u64, page: u64) -> Result<Option<Vec<u8>>> {
        self.reviewable()?.staged_page(proposal, revision, page)
    }
    fn differing(&mut self, proposal: u64, earlier: u64, later: u64) -> Result<Option<Differing>> {
        self.reviewable()?.differing(proposal, earlier, later)
    }
    fn answer(&mut self, proposal: u64, answers: &[(u64, Answering)], by: By<'_>) -> Result<u64> {
        self.reviewable()?.answer(proposal, answers, by)
    }
    fn accept_part(&mut self, proposal: u64, only: &[Chosen], by: By<'_>) -> Result<Option<u64>> {
        self.reviewable()?.accept_part(proposal, only, by)
    }
    fn propose_revert(&mut self, version: u64, reason: &str, by: By<'_>) -> Result<u64> {
        self.reviewable()?.propose_revert(version, reason, by)
    }
    fn staging(&mut self) -> Result<Vec<Staged>> {
        self.reviewable()?.staging()
    }
    fn clean_staging(&mut self, rehearsal: Rehearsal, by: By<'_>) -> Result<Vec<Staged>> {
        self.reviewable()?.clean_staging(rehearsal, by)
    }
    fn find_revision(&mut self, write_id: u128) -> Result<Option<(u64, u64)>> {
        self.reviewable()?.find_revision(write_id)
    }
}
