//! The rows of a proposal: what merging it would do; of a merged one, what it did; of another closed one, what was offered.
use mainstem::primary::{Pages, Primary};
use mainstem::review::Judged;
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_core::change::{Change, Shape};
use mainstem_core::event::Digest;
use mainstem_core::format::page;

enum Source {
    Shown(Digest),
    Staged(u64),
}

/// The rows of a proposal, a page at a time.
pub struct ProposalPages<'a> {
    primary: &'a mut dyn Primary,
    id: u64,
    source: Source,
    shapes: Vec<Shape>,
    pages: u64,
    next: u64,
}

impl<'a> ProposalPages<'a> {
    /// The rows of a proposal. `NotFound` where its staged rows are gone.
    pub fn new(primary: &'a mut dyn Primary, judged: &Judged) -> Result<Self> {
        let proposal = &judged.proposal;
        let (source, shapes, pages) = match (&judged.assessment, proposal.version) {
            (Some(assessment), _) => (Source::Shown(assessment.digest), assessment.outcome.shapes.clone(), assessment.outcome.pages),
            (None, Some(number)) => {
                let lost = || Error::corrupt(format!("the primary has lost version {number}"));
                let version = primary.version(number)?.ok_or_else(lost)?;
                (Source::Shown(Digest::default()), version.shapes, version.pages)
            }
            (None, None) if proposal.is_unstaged => {
                return Err(Error::not_found(format!("the rows of proposal {} are no longer kept", proposal.id)));
            }
            (None, None) => {
                let head = proposal.head();
                (Source::Staged(proposal.revisions.len() as u64), head.front.shapes.clone(), head.pages)
            }
        };
        Ok(ProposalPages { primary, id: proposal.id, source, shapes, pages, next: 0 })
    }

    /// The shapes that the rows refer to.
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }
}

impl Pages for ProposalPages<'_> {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        if self.next == self.pages {
            return Ok(None);
        }
        let bytes = match &self.source {
            Source::Shown(digest) => self.primary.shown_page(self.id, digest, self.next)?,
            Source::Staged(revision) => self.primary.staged_page(self.id, *revision, self.next)?,
        };
        let moved = || {
            let message = format!("merging proposal {} does something else by now than what is shown", self.id);
            Error::new(ErrorKind::Conflict, "stale_base", message).hint(format!("mainstem review {}", self.id))
        };
        self.next += 1;
        Ok(Some(page::decode(&bytes.ok_or_else(moved)?, &self.shapes)?))
    }
    fn rewind(&mut self) -> Result<()> {
        self.next = 0;
        Ok(())
    }
}
