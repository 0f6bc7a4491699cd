//! Proposals on the embedded primary: what is offered is staged, and nothing else is written until it is merged.
use super::epochs::check_known;
use super::requests::{self, Asked};
use super::{LocalPrimary, absorb_in, append, check_clock, merge_pushed, merging, stamped};
use crate::cleanup::{Rehearsal, check_horizon};
use crate::comparing::Differing;
use crate::error::{Error, Result};
use crate::ledger::ProposalsWanted;
use crate::policy_text;
use crate::primary::{Acquaintance, Pushed};
use crate::replica::Answering;
use crate::review::{By, Chosen, Deed, Judged, Merged, Offer, Offered, Part, Privilege, Review, Staged};
use crate::store::{Store, Transaction};
use crate::wiring::Around;
use mainstem_core::ErrorKind;
use mainstem_core::change::Front;
use mainstem_core::digest::Body;
use mainstem_core::event::{Digest, Event};
use mainstem_core::format::page;
use mainstem_core::proposal::{
    Act, Assessment, Decision, MergeWish, Origin, Proposal, Request, Reviewing, Revision, Stage, TableSummary, Word,
};
use mainstem_core::stamp::Time;

/// No proposal of that number.
pub(crate) fn no_proposal(id: u64) -> Error {
    Error::not_found(format!("there is no proposal {id}")).hint("mainstem proposals")
}

/// A proposal that takes nothing more.
pub(super) fn closed(proposal: &Proposal) -> Error {
    Error::new(ErrorKind::Conflict, "closed", format!("proposal {} is {}", proposal.id, proposal.stage.name()))
        .hint(format!("mainstem review {}", proposal.id))
}

fn forbidden(message: String) -> Error {
    Error::new(ErrorKind::Denied, "forbidden", message)
}

/// Appends what was done to a proposal, never earlier than the last thing.
pub(super) fn note(tx: &mut dyn Transaction, at: Time, proposal: u64, act: Act, by: By<'_>) -> Result<()> {
    note_for(tx, None, at, proposal, act, by)
}

/// The same, for a request.
pub(super) fn note_for(tx: &mut dyn Transaction, request: Option<Request>, at: Time, proposal: u64, act: Act, by: By<'_>) -> Result<()> {
    let (actor, token) = (by.actor.to_owned(), by.token.map(str::to_owned));
    append(tx, &Event::Review(Reviewing { proposal, actor, token, at, act, request })).map(drop)
}

/// Now, never earlier than the last version.
pub(super) fn now(tx: &mut dyn Transaction, around: &Around) -> Result<Time> {
    Ok(Time::from_ms(around.now_ms()).max(stamped(tx)?))
}

/// Pushes what is offered along with a proposal. None where it cannot be taken now, with the reason.
fn push_along<S: Store>(
    tx: &mut dyn Transaction,
    around: &Around,
    known: &Acquaintance,
    part: Part<'_>,
) -> Result<std::result::Result<Pushed, Pushed>> {
    match LocalPrimary::<S>::recognise(tx, part.front)? {
        Some(done @ Pushed::Already { .. }) => return Ok(Ok(done)),
        Some(other) => return Ok(Err(other)),
        None => {}
    }
    merge_pushed(tx, around, known, part.front, part.pages).map(Ok)
}

/// Stages the rows of a revision, re-encoded by our own hand.
fn stage(tx: &mut dyn Transaction, part: Part<'_>) -> Result<Revision> {
    let origin = if part.front.is_partial { Origin::Partial } else { Origin::Replica };
    let front = Front { is_partial: false, ..part.front.clone() };
    let (mut pages, mut count, mut body) = (0, 0, Body::default());
    let mut tables = TableSummary::of(&front.shapes);
    part.pages.rewind()?;
    while let Some(changes) = part.pages.next()? {
        for change in &changes {
            let shape = front.shapes.get(change.table).ok_or_else(|| Error::corrupt("a change refers to no table"))?;
            if change.at > front.header.at {
                return Err(Error::invalid(format!("a change of table {} is stamped later than its changeset", shape.table)));
            }
            tables[change.table].add(&change.edit);
        }
        count += changes.len() as u64;
        let bytes = page::encode(&front.shapes, &changes);
        body.add(&bytes);
        tx.put_staged(front.header.write_id, pages, &bytes)?;
        pages += 1;
    }
    if count != front.count {
        return Err(Error::invalid(format!("the changeset holds {count} changes where it says {}", front.count)));
    }
    // An answer by which a row stays as it is changes none.
    if count == 0 && front.schema.is_empty() && front.resolutions.is_empty() && front.conflicts.is_empty() {
        return Err(Error::invalid("there is nothing in it to review").hint("mainstem status"));
    }
    Ok(Revision { front, pages, body: body.digest(), authors: Vec::new(), origin, tables })
}

/// The number of the proposal that a revision is for, and its revision's; who authored what is in it.
fn place(tx: &mut dyn Transaction, revises: Option<u64>, revision: &mut Revision, by: By<'_>) -> Result<(u64, u64)> {
    revision.authors = vec![by.actor.to_owned()];
    let Some(id) = revises else {
        let last = tx.proposals(&ProposalsWanted { limit: 1, ..ProposalsWanted::default() })?;
        return Ok((last.first().map_or(1, |last| last + 1), 1));
    };
    let proposal = tx.proposal(id)?.ok_or_else(|| no_proposal(id))?;
    if proposal.stage == Stage::Merged || proposal.stage == Stage::Superseded {
        return Err(closed(&proposal));
    }
    let authors = &proposal.head().authors;
    if !proposal.stage.is_open() && !authors.iter().any(|author| author == by.actor) && !by.people.has(by.actor, Privilege::Decide) {
        return Err(forbidden(format!("proposal {id} is {}, and {}'s to open again", proposal.stage.name(), proposal.actor)));
    }
    for author in authors {
        if !revision.authors.contains(author) {
            revision.authors.push(author.clone());
        }
    }
    Ok((id, proposal.revisions.len() as u64 + 1))
}

/// What a copy revises, it offers whole: what others took out of the revision before, as proposals of their own, is in it again.
fn supersede_rests(tx: &mut dyn Transaction, at: Time, id: u64, revision: &Revision, by: By<'_>) -> Result<()> {
    let stages = Stage::ALL.into_iter().filter(|stage| stage.is_open()).collect();
    let mut open = tx.proposals(&ProposalsWanted { stages, limit: usize::MAX, ..ProposalsWanted::default() })?;
    open.sort_unstable();
    let mut whole = vec![id];
    for rest in open.into_iter().filter(|rest| *rest > id) {
        let Some(proposal) = tx.proposal(rest)? else { continue };
        let is_of_it = proposal.revisions.first().is_some_and(|(_, _, first)| {
            matches!(first.origin, Origin::Part(of) if whole.contains(&of)) && first.front.header.replica == revision.front.header.replica
        });
        // Those that its copy has heard of and revised are proposals like any other.
        if is_of_it && proposal.head().origin != Origin::Replica {
            let reason = format!("proposal {id} was revised as a whole");
            note(tx, at.max(proposal.touched), rest, Act::Decide(Decision { stage: Stage::Superseded, reason }), by)?;
            whole.push(rest);
        }
    }
    Ok(())
}

/// Refuses a deed that is not this actor's to do, and tells whether it was done already.
fn check_deed(tx: &mut dyn Transaction, proposal: &Proposal, deed: &Deed, by: By<'_>) -> Result<bool> {
    match deed {
        Deed::Comment(remark) => {
            let is_there = remark.reply_to.is_none_or(|to| to <= proposal.comments.len() as u64);
            if !is_there {
                return Err(Error::not_found("there is no comment of that number to answer"));
            }
            if remark.text.trim().is_empty() {
                return Err(Error::invalid("the comment is empty"));
            }
            Ok(false)
        }
        Deed::Vote(ballot) => {
            if !proposal.stage.is_open() {
                return Err(closed(proposal));
            }
            Ok(proposal.votes.iter().any(|vote| vote.actor == by.actor && vote.ballot == *ballot))
        }
        Deed::Decide(decision) => {
            if proposal.stage == decision.stage {
                return Ok(true);
            }
            let is_own = proposal.actor == by.actor;
            let is_allowed = match decision.stage {
                Stage::Withdrawn | Stage::Superseded => is_own || by.people.has(by.actor, Privilege::Decide),
                Stage::Rejected => by.people.has(by.actor, Privilege::Decide),
                Stage::Open => is_own || by.people.has(by.actor, Privilege::Decide),
                Stage::Merging | Stage::MergeFailed | Stage::Merged => return Err(Error::invalid("nobody decides that")),
            };
            if proposal.stage == Stage::Merged {
                return Err(closed(proposal));
            }
            if decision.stage == Stage::Open && tx.staged(proposal.head().front.header.write_id, 0)?.is_none() {
                return Err(closed(proposal));
            }
            if is_allowed { Ok(false) } else { Err(forbidden(format!("proposal {} is {}'s to close", proposal.id, proposal.actor))) }
        }
    }
}

/// Refuses to take another changeset for the repeated offer of one. Its rows may be called by other numbers by now, so that
/// only how many they are and of which tables tells it apart.
fn check_repeated(tx: &mut dyn Transaction, id: u64, revision: u64, offered: &Front) -> Result<()> {
    let place = usize::try_from(revision).ok().and_then(|number| number.checked_sub(1));
    let proposal = tx.proposal(id)?.ok_or_else(|| no_proposal(id))?;
    let before = place.and_then(|place| proposal.revisions.get(place)).map(|(_, _, revision)| &revision.front);
    let tables = |front: &Front| front.shapes.iter().map(|shape| (shape.table.clone(), shape.columns.clone())).collect::<Vec<_>>();
    let is_it = |before: &Front| before.count == offered.count && before.schema == offered.schema && tables(before) == tables(offered);
    match before.is_some_and(is_it) {
        true => Ok(()),
        false => Err(requests::reused(format!("another changeset goes by that name: revision {revision} of proposal {id}"))),
    }
}

impl<S: Store> LocalPrimary<S> {
    /// A proposal, and what merging it would do where it is open. None where there is none.
    pub(super) fn assessed(&mut self, id: u64) -> Result<Option<(Proposal, Option<Assessment>)>> {
        let mut before: Option<Proposal> = None;
        loop {
            let Some(proposal) = self.store.begin_read()?.proposal(id)? else { return Ok(None) };
            if !proposal.stage.is_open() {
                return Ok(Some((proposal, None)));
            }
            match self.assess(&proposal) {
                Ok(assessment) => return Ok(Some((proposal, Some(assessment)))),
                // Its rows went while it was assessed: somebody merged it, which is read now.
                Err(e) if e.code == "closed" && before.as_ref() != Some(&proposal) => before = Some(proposal),
                Err(e) => return Err(e),
            }
        }
    }

    /// A proposal with what merging it would do now.
    pub(super) fn judged(&mut self, id: u64, by: By<'_>) -> Result<Option<Judged>> {
        let Some((proposal, assessment)) = self.assessed(id)? else { return Ok(None) };
        self.judge(proposal, assessment, by).map(Some)
    }

    fn judge(&mut self, proposal: Proposal, assessment: Option<Assessment>, by: By<'_>) -> Result<Judged> {
        let id = proposal.id;
        let Some(assessment) = assessment else {
            return Ok(Judged { proposal, assessment: None, tally: Default::default(), is_hidden: false });
        };
        let mut tx = self.store.begin_read()?;
        let policy = policy_text::parse(&tx.policy_text()?)?;
        // What happened while it was assessed counts, too.
        let proposal = tx.proposal(id)?.ok_or_else(|| no_proposal(id))?;
        let tally = merging::count(&policy, &proposal, &assessment.outcome, Time::from_ms(self.around.now_ms()), by.people);
        Ok(Judged { proposal, assessment: Some(assessment), tally, is_hidden: false })
    }
}

impl<S: Store> Review for LocalPrimary<S> {
    fn propose(&mut self, known: &Acquaintance, offer: Offer<'_>, by: By<'_>) -> Result<Offered> {
        let mut tx = self.store.begin()?;
        check_known(&mut *tx, known)?;
        absorb_in(&mut *tx, &self.around)?;
        let Offer { revises, reviewed, direct } = offer;
        let write_id = reviewed.front.header.write_id;
        if let Some((proposal, revision)) = tx.find_revision(write_id)? {
            check_repeated(&mut *tx, proposal, revision, reviewed.front)?;
            // What was pushed along was taken with it.
            let direct = match direct {
                Some(part) => tx.find_write(part.front.header.write_id)?.map(|version| Pushed::Already { version }),
                None => None,
            };
            return Ok(Offered::Done { proposal, revision, direct });
        }
        let front = reviewed.front;
        check_horizon(&mut *tx, known.version.min(front.header.base_version))?;
        if front.header.lineage != known.lineage || front.header.base_version > tx.head()?.version {
            return Err(Error::invalid("the changeset was not made on this dataset's versions"));
        }
        if front.header.sequence != 0 || front.again.is_some() {
            return Err(Error::invalid("what is proposed takes no number of its replica"));
        }
        let policy = policy_text::parse(&tx.policy_text()?)?;
        check_clock(&mut *tx, self.around.now_ms(), &policy, front)?;
        let direct = match direct {
            Some(part) => match push_along::<S>(&mut *tx, &self.around, known, part)? {
                Ok(pushed) => Some(pushed),
                Err(refused) => return Ok(Offered::Refused(refused)),
            },
            None => None,
        };
        let mut revision = stage(&mut *tx, reviewed)?;
        let (proposal, number) = place(&mut *tx, revises, &mut revision, by)?;
        let at = now(&mut *tx, &self.around)?.max(revision.front.header.at);
        supersede_rests(&mut *tx, at, proposal, &revision, by)?;
        note(&mut *tx, at, proposal, Act::Revise(revision), by)?;
        tx.commit()?;
        Ok(Offered::Done { proposal, revision: number, direct })
    }

    fn act(&mut self, id: u64, deed: &Deed, by: By<'_>) -> Result<()> {
        let request = Asked::Deed(deed).of(id, by);
        if requests::done(&mut *self.store.begin_read()?, request, by)?.is_some() {
            return Ok(());
        }
        let mut closes = None;
        if let Deed::Vote(ballot) = deed {
            let judged = self.judged(id, by)?.ok_or_else(|| no_proposal(id))?;
            let is_shown = judged.assessment.as_ref().is_some_and(|a| a.digest == ballot.digest && a.revision == ballot.revision);
            if judged.proposal.stage.is_open() && !is_shown {
                let message = format!("merging proposal {id} would do something else by now than what you looked at");
                return Err(Error::new(ErrorKind::Conflict, "stale_base", message).hint(format!("mainstem review {id}")));
            }
            if ballot.word == Word::Reject && ballot.comment.trim().is_empty() {
                return Err(Error::invalid("a reject says why").hint(format!("mainstem vote {id} reject -m WHY")));
            }
            closes = judged.tally.closes;
        }
        let mut tx = self.store.begin()?;
        let proposal = tx.proposal(id)?.ok_or_else(|| no_proposal(id))?;
        // The same request may have come twice at once.
        if requests::done(&mut *tx, request, by)?.is_some() || check_deed(&mut *tx, &proposal, deed, by)? {
            return Ok(());
        }
        let act = match deed.clone() {
            Deed::Vote(ballot) => Act::Vote(ballot),
            Deed::Comment(mut remark) => {
                remark.revision = proposal.revisions.len() as u64;
                Act::Comment(remark)
            }
            Deed::Decide(decision) => Act::Decide(decision),
        };
        let at = now(&mut *tx, &self.around)?.max(proposal.touched);
        if closes.is_some_and(|end| at >= end) {
            // It would not count, and would take the place of an earlier one that does.
            let message = format!("the time to vote on proposal {id} is over");
            return Err(Error::new(ErrorKind::Conflict, "closed", message).hint(format!("mainstem review {id}")));
        }
        note_for(&mut *tx, request, at, id, act, by)?;
        tx.commit()
    }

    fn merge(&mut self, id: u64, wish: &MergeWish, by: By<'_>) -> Result<Merged> {
        self.merge_proposal(id, wish, by)
    }

    fn proposals(&mut self, wanted: &ProposalsWanted) -> Result<Vec<u64>> {
        self.store.begin_read()?.proposals(wanted)
    }

    fn proposal(&mut self, id: u64, by: By<'_>) -> Result<Option<Judged>> {
        self.judged(id, by)
    }

    fn proposal_at_once(&mut self, id: u64, by: By<'_>) -> Result<Option<Judged>> {
        let Some(proposal) = self.store.begin_read()?.proposal(id)? else { return Ok(None) };
        if !proposal.stage.is_open() || proposal.head().front.count <= self.large.at_once_max {
            return self.judged(id, by);
        }
        let assessment = self.assess_at_once(&proposal)?;
        self.judge(proposal, assessment, by).map(Some)
    }

    fn shown_page(&mut self, id: u64, digest: &Digest, number: u64) -> Result<Option<Vec<u8>>> {
        let proposal = self.store.begin_read()?.proposal(id)?.ok_or_else(|| no_proposal(id))?;
        if let Some(version) = proposal.version {
            return crate::primary::Primary::page(self, version, number);
        }
        self.assessed_page(&proposal, digest, number)
    }

    fn staged_page(&mut self, id: u64, revision: u64, page: u64) -> Result<Option<Vec<u8>>> {
        let mut tx = self.store.begin_read()?;
        let proposal = tx.proposal(id)?.ok_or_else(|| no_proposal(id))?;
        let at = usize::try_from(revision.wrapping_sub(1)).unwrap_or(usize::MAX);
        let Some((_, _, revision)) = proposal.revisions.get(at) else { return Ok(None) };
        tx.staged(revision.front.header.write_id, page)
    }

    fn differing(&mut self, id: u64, earlier: u64, later: u64) -> Result<Option<Differing>> {
        let proposal = self.store.begin_read()?.proposal(id)?.ok_or_else(|| no_proposal(id))?;
        self.compare_revisions(&proposal, earlier, later)
    }

    fn find_revision(&mut self, write_id: u128) -> Result<Option<(u64, u64)>> {
        self.store.begin_read()?.find_revision(write_id)
    }

    fn answer(&mut self, id: u64, answers: &[(u64, Answering)], by: By<'_>) -> Result<u64> {
        self.answer_conflicts(id, answers, by)
    }

    fn accept_part(&mut self, id: u64, only: &[Chosen], by: By<'_>) -> Result<Option<u64>> {
        self.divide(id, only, by)
    }

    fn propose_revert(&mut self, version: u64, reason: &str, by: By<'_>) -> Result<u64> {
        self.revert_version(version, reason, by)
    }

    fn staging(&mut self) -> Result<Vec<Staged>> {
        self.all_staged()
    }

    fn clean_staging(&mut self, rehearsal: Rehearsal, by: By<'_>) -> Result<Vec<Staged>> {
        self.clean_staged(rehearsal, by)
    }
}
