//! Proposals for those who see a part: they offer what they see, and take part in what they see whole ([`super::seeing`]).
//!
//! Invariant: a proposal that is not told is answered as one that is not there, whatever is asked of it.
//! Deliberately absent: merging, and what else writes in the name of the whole dataset; that is for whoever sees it.
use super::Scoped;
use super::view::View;
use crate::cleanup::Rehearsal;
use crate::comparing::Differing;
use crate::error::{Error, Result};
use crate::ledger::ProposalsWanted;
use crate::local::no_proposal;
use crate::primary::{Acquaintance, Primary, Pushed};
use crate::replica::Answering;
use crate::review::{By, Chosen, Deed, Everybody, Judged, Merged, Offer, Offered, Part, Review, Staged};
use mainstem_core::ErrorKind;
use mainstem_core::change::Front;
use mainstem_core::event::Digest;
use mainstem_core::proposal::{MergeWish, Proposal};
use std::ops::DerefMut;
use std::sync::Arc;

/// Whoever asks for the list, which nobody votes on.
const NOBODY: By<'static> = By { actor: "", token: None, people: &Everybody, request: None };

fn hidden() -> Error {
    Error::new(ErrorKind::Denied, "partial_view", "that is for whoever sees the whole dataset, and only a part of it is seen here")
        .hint("ask an owner for a role on the whole dataset")
}

impl<P: DerefMut<Target: Primary>> Scoped<P> {
    /// The view of whoever may not see everything; none for all others, whatever they hold.
    fn restricted(&mut self) -> Result<Option<Arc<View>>> {
        Ok(Some(self.view()?).filter(|view| view.is_restricted))
    }

    /// The primary, for whoever may see all of it.
    fn open(&mut self) -> Result<&mut P::Target> {
        if self.restricted()?.is_some() { Err(hidden()) } else { Ok(&mut *self.primary) }
    }

    /// The primary for something that is done to a proposal as a whole: refused by name where the proposal is told.
    fn open_for(&mut self, proposal: u64, by: By<'_>) -> Result<&mut P::Target> {
        if let Some(view) = self.restricted()? {
            return Err(self.told_proposal(&view, proposal, by)?.map_or_else(|| no_proposal(proposal), |_| hidden()));
        }
        Ok(&mut *self.primary)
    }

    /// A changeset as it is taken from a replica that holds a part; the rows that are outside of it are an error.
    fn front_of_part(&mut self, view: &View, part: &mut Part<'_>) -> Result<Front> {
        self.check_front(view, part.front)?;
        let rows = self.outside(view, part.front, part.pages)?;
        if let Some((table, _)) = rows.first() {
            let message = format!("{} rows of what is offered may not be seen here, some in {table}", rows.len());
            return Err(
                Error::new(ErrorKind::Denied, "outside_scope", message).hint("put them back: mainstem restore; or ask for a role on them")
            );
        }
        Ok(Front { is_partial: true, resolutions: self.answers(view, part.front)?, ..part.front.clone() })
    }

    fn propose_part(&mut self, view: &View, known: &Acquaintance, offer: Offer<'_>, by: By<'_>) -> Result<Offered> {
        let Offer { revises, mut reviewed, direct } = offer;
        let front = self.front_of_part(view, &mut reviewed)?;
        let mut along = None;
        if let Some(part) = direct {
            self.check_front(view, part.front)?;
            let rows = self.outside(view, part.front, part.pages)?;
            if !rows.is_empty() {
                return Ok(Offered::Refused(Pushed::Outside { rows }));
            }
            let resolutions = self.answers(view, part.front)?;
            along = Some((Front { is_partial: true, resolutions, ..part.front.clone() }, part.pages));
        }
        let direct = along.as_mut().map(|(front, pages)| Part { front, pages: &mut **pages });
        self.primary.propose(known, Offer { revises, reviewed: Part { front: &front, pages: reviewed.pages }, direct }, by)
    }

    /// A proposal that is told, with all that is in it; for what is then told of a part of it.
    fn told_whole(&mut self, view: &View, id: u64) -> Result<Option<Proposal>> {
        let Some(judged) = self.primary.proposal_at_once(id, NOBODY)? else { return Ok(None) };
        Ok(if self.is_told(view, &judged.proposal)? { Some(judged.proposal) } else { None })
    }

    /// The proposals that are told, newest first.
    fn told_proposals(&mut self, view: &View, wanted: &ProposalsWanted) -> Result<Vec<u64>> {
        let (mut told, mut wanted, limit) = (Vec::new(), wanted.clone(), wanted.limit);
        loop {
            let ids = self.primary.proposals(&wanted)?;
            let is_last = ids.len() < wanted.limit;
            for id in ids {
                wanted.before = Some(id);
                told.extend(self.told_whole(view, id)?.map(|_| id));
                if told.len() == limit {
                    return Ok(told);
                }
            }
            if is_last {
                return Ok(told);
            }
        }
    }
}

impl<P: DerefMut<Target: Primary>> Review for Scoped<P> {
    fn propose(&mut self, known: &Acquaintance, offer: Offer<'_>, by: By<'_>) -> Result<Offered> {
        let view = self.view()?;
        let known = Acquaintance { scope: Digest::default(), ..*known };
        // What was taken is recognised whatever became of the scope since.
        if view.is_whole || self.primary.find_revision(offer.reviewed.front.header.write_id)?.is_some() {
            return self.primary.propose(&known, offer, by);
        }
        if let (Some(id), true) = (offer.revises, view.is_restricted) {
            self.told_proposal(&view, id, by)?.ok_or_else(|| no_proposal(id))?;
        }
        self.propose_part(&view, &known, offer, by)
    }
    fn act(&mut self, proposal: u64, deed: &Deed, by: By<'_>) -> Result<()> {
        if let Some(view) = self.restricted()? {
            let judged = self.told_proposal(&view, proposal, by)?.ok_or_else(|| no_proposal(proposal))?;
            if matches!(deed, Deed::Vote(_)) && judged.proposal.stage.is_open() && judged.assessment.is_none() {
                return Err(hidden());
            }
        }
        self.primary.act(proposal, deed, by)
    }
    fn merge(&mut self, proposal: u64, wish: &MergeWish, by: By<'_>) -> Result<Merged> {
        self.open_for(proposal, by)?.merge(proposal, wish, by)
    }
    fn proposals(&mut self, wanted: &ProposalsWanted) -> Result<Vec<u64>> {
        match self.restricted()? {
            Some(view) => self.told_proposals(&view, wanted),
            None => self.primary.proposals(wanted),
        }
    }
    fn proposal(&mut self, id: u64, by: By<'_>) -> Result<Option<Judged>> {
        match self.restricted()? {
            Some(view) => self.told_proposal(&view, id, by),
            None => self.primary.proposal(id, by),
        }
    }
    fn proposal_at_once(&mut self, id: u64, by: By<'_>) -> Result<Option<Judged>> {
        let judged = self.primary.proposal_at_once(id, by)?;
        match self.restricted()? {
            Some(view) => self.tell_judged(&view, judged),
            None => Ok(judged),
        }
    }
    fn shown_page(&mut self, proposal: u64, digest: &Digest, page: u64) -> Result<Option<Vec<u8>>> {
        if let Some(view) = self.restricted()? {
            let judged = self.told_proposal(&view, proposal, NOBODY)?.ok_or_else(|| no_proposal(proposal))?;
            if judged.proposal.version.is_none() && judged.assessment.is_none_or(|assessment| assessment.digest != *digest) {
                return Ok(None);
            }
        }
        self.primary.shown_page(proposal, digest, page)
    }
    fn staged_page(&mut self, proposal: u64, revision: u64, page: u64) -> Result<Option<Vec<u8>>> {
        if let Some(view) = self.restricted()? {
            let whole = self.told_whole(&view, proposal)?.ok_or_else(|| no_proposal(proposal))?;
            if !self.shows_revision(&view, &whole, revision)? {
                return Ok(None);
            }
        }
        self.primary.staged_page(proposal, revision, page)
    }
    fn differing(&mut self, proposal: u64, earlier: u64, later: u64) -> Result<Option<Differing>> {
        if let Some(view) = self.restricted()? {
            let whole = self.told_whole(&view, proposal)?.ok_or_else(|| no_proposal(proposal))?;
            if !(self.shows_revision(&view, &whole, earlier)? && self.shows_revision(&view, &whole, later)?) {
                return Ok(None);
            }
        }
        self.primary.differing(proposal, earlier, later)
    }
    fn answer(&mut self, proposal: u64, answers: &[(u64, Answering)], by: By<'_>) -> Result<u64> {
        self.open_for(proposal, by)?.answer(proposal, answers, by)
    }
    fn accept_part(&mut self, proposal: u64, only: &[Chosen], by: By<'_>) -> Result<Option<u64>> {
        self.open_for(proposal, by)?.accept_part(proposal, only, by)
    }
    fn propose_revert(&mut self, version: u64, reason: &str, by: By<'_>) -> Result<u64> {
        self.open()?.propose_revert(version, reason, by)
    }
    fn staging(&mut self) -> Result<Vec<Staged>> {
        self.open()?.staging()
    }
    fn clean_staging(&mut self, rehearsal: Rehearsal, by: By<'_>) -> Result<Vec<Staged>> {
        self.open()?.clean_staging(rehearsal, by)
    }
    fn find_revision(&mut self, write_id: u128) -> Result<Option<(u64, u64)>> {
        let found = self.primary.find_revision(write_id)?;
        let (Some(view), Some((id, _))) = (self.restricted()?, found) else { return Ok(found) };
        // Until it is merged, nobody knows its name but those who offered it or were told of it; of a version, everybody does.
        let is_merged = self.primary.proposal_at_once(id, NOBODY)?.is_some_and(|judged| judged.proposal.version.is_some());
        if is_merged && self.told_whole(&view, id)?.is_none() { Ok(None) } else { Ok(found) }
    }
}
