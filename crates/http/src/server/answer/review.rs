//! Answers the calls about proposals.
use super::{Asked, Reply, arguments, last, understood};
use crate::wire::call::Call;
use crate::wire::frame::FrameReader;
use crate::wire::{Bytes, Wire};
use mainstem::author::Author;
use mainstem::core::ErrorKind;
use mainstem::core::change::{Change, Front, Shape};
use mainstem::core::format::page;
use mainstem::core::proposal::MergeWish;
use mainstem::error::{Error, Result};
use mainstem::primary::{Acquaintance, Pages, Primary};
use mainstem::replica::Answering;
use mainstem::review::{By, Chosen, Deed, Offer, Part};
use std::cell::RefCell;

/// Answers one of them.
pub(super) fn answer(
    call: Call,
    key: Option<u128>,
    asked: Asked,
    primary: &mut dyn Primary,
    author: &Author<'_>,
    reply: &mut Reply,
) -> Result<()> {
    let label = author.token_label();
    let by = By { actor: author.name(), token: label.as_deref(), people: author, request: key };
    match call {
        Call::Propose => propose(asked, primary, author, by, reply),
        Call::Act => {
            let (proposal, deed): (u64, Deed) = arguments(asked)?;
            author.check_deed(proposal, &deed, primary)?;
            last(reply, &primary.act(proposal, &deed, by)?)
        }
        Call::Merge => {
            let (proposal, wish): (u64, MergeWish) = arguments(asked)?;
            author.check_merge(proposal, primary)?;
            last(reply, &primary.merge(proposal, &wish, by)?)
        }
        Call::Answer => {
            let (proposal, answers): (u64, Vec<(u64, Answering)>) = arguments(asked)?;
            author.check_merge(proposal, primary)?;
            last(reply, &primary.answer(proposal, &answers, by)?)
        }
        Call::AcceptPart => {
            let (proposal, only): (u64, Vec<Chosen>) = arguments(asked)?;
            author.check_merge(proposal, primary)?;
            last(reply, &primary.accept_part(proposal, &only, by)?)
        }
        Call::ProposeRevert => {
            let (version, reason): (u64, String) = arguments(asked)?;
            author.check_revert(version, primary)?;
            last(reply, &primary.propose_revert(version, &reason, by)?)
        }
        Call::Staging => {
            arguments::<()>(asked)?;
            last(reply, &primary.staging()?)
        }
        Call::CleanStaging => last(reply, &primary.clean_staging(arguments(asked)?, by)?),
        Call::Proposals => last(reply, &primary.proposals(&arguments(asked)?)?),
        Call::Proposal => last(reply, &primary.proposal(arguments(asked)?, by)?),
        Call::Differing => {
            let (id, earlier, later) = arguments(asked)?;
            last(reply, &primary.differing(id, earlier, later)?)
        }
        Call::ProposalAtOnce => last(reply, &primary.proposal_at_once(arguments(asked)?, by)?),
        Call::ShownPage => {
            let (proposal, digest, page) = arguments(asked)?;
            last(reply, &primary.shown_page(proposal, &digest, page)?.map(Bytes))
        }
        Call::StagedPage => {
            let (proposal, revision, page) = arguments(asked)?;
            last(reply, &primary.staged_page(proposal, revision, page)?.map(Bytes))
        }
        Call::FindRevision => last(reply, &primary.find_revision(arguments(asked)?)?),
        _ => Err(Error::internal("this call is about no proposal")),
    }
}

fn propose(mut asked: Asked, primary: &mut dyn Primary, author: &Author<'_>, by: By<'_>, reply: &mut Reply) -> Result<()> {
    let (known, revises, reviewed, direct): (Acquaintance, Option<u64>, Front, Option<Front>) =
        understood(Wire::from_bytes("a proposal", &asked.wanted()?))?;
    if let Some(proposal) = revises {
        author.check_revise(proposal, primary)?;
    }
    let reviewed = author.proposed(&known, reviewed, primary)?;
    let direct = direct.map(|front| author.front(&known, front, primary)).transpose()?;
    let both = RefCell::new(Some(asked));
    let mut pages = Half::new(&both, false, &reviewed);
    let along = direct.as_ref().unwrap_or(&reviewed);
    let mut pages_along = Half::new(&both, true, along);
    let direct = direct.as_ref().map(|front| Part { front, pages: &mut pages_along });
    let offer = Offer { revises, reviewed: Part { front: &reviewed, pages: &mut pages }, direct };
    last(reply, &primary.propose(&known, offer, by)?)
}

/// The pages of one of two changesets that came in one request, as often as they are wanted, one changeset at a time.
struct Half<'a> {
    asked: &'a RefCell<Option<Asked>>,
    is_direct: bool,
    shapes: Vec<Shape>,
    is_begun: bool,
    rows: u64,
}

impl<'a> Half<'a> {
    fn new(asked: &'a RefCell<Option<Asked>>, is_direct: bool, front: &Front) -> Self {
        Half { asked, is_direct, shapes: front.shapes.clone(), is_begun: false, rows: 0 }
    }
}

impl Pages for Half<'_> {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        if !self.is_begun {
            self.rewind()?;
        }
        let mut asked = self.asked.borrow_mut();
        let asked = asked.as_mut().ok_or_else(|| Error::internal("a proposal was lost"))?;
        let rows_max = asked.bounds().rows_max;
        while let Some(frame) = asked.frame()? {
            let (is_direct, Bytes(bytes)): (bool, Bytes) = understood(Wire::from_bytes("a page", &frame))?;
            if is_direct != self.is_direct {
                continue;
            }
            let changes = understood(page::decode(&bytes, &self.shapes))?;
            self.rows += changes.len() as u64;
            if self.rows > rows_max {
                return Err(Error::new(ErrorKind::Invalid, "too_large", format!("one changeset changes at most {rows_max} rows"))
                    .hint("mainstem commit more often"));
            }
            return Ok(Some(changes));
        }
        Ok(None)
    }
    fn rewind(&mut self) -> Result<()> {
        (self.is_begun, self.rows) = (true, 0);
        let mut place = self.asked.borrow_mut();
        let asked = place.take().ok_or_else(|| Error::internal("a proposal was lost"))?;
        let bounds = asked.bounds();
        let mut body = asked.into_inner();
        body.rewind()?;
        place.insert(FrameReader::within(body, bounds)).wanted().map(drop)
    }
}
