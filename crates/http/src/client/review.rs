//! Proposals over HTTP. Who acts is whom the token names, whatever is said here.
use super::HttpPrimary;
use crate::spool::Spool;
use crate::wire::call::Call;
use crate::wire::frame::{FrameWriter, broken};
use crate::wire::{Bytes, Wire, request};
use mainstem::cleanup::Rehearsal;
use mainstem::comparing::Differing;
use mainstem::core::event::Digest;
use mainstem::core::format::page;
use mainstem::core::proposal::MergeWish;
use mainstem::error::Result;
use mainstem::ledger::ProposalsWanted;
use mainstem::primary::Acquaintance;
use mainstem::replica::Answering;
use mainstem::review::{By, Chosen, Deed, Judged, Merged, Offer, Offered, Part, Review, Staged};
use std::time::Duration;

/// Appends the rows of a part: each frame says whose page it is.
fn send_pages(request: &mut FrameWriter<Spool>, part: Part<'_>, is_direct: bool) -> Result<()> {
    part.pages.rewind()?;
    while let Some(changes) = part.pages.next()? {
        request.frame(&(is_direct, Bytes(page::encode(&part.front.shapes, &changes))).to_bytes())?;
    }
    Ok(())
}

/// How long to rest before a request is sent again whose answer was lost.
const RESTS_MS: [u64; 2] = [200, 1_000];

impl HttpPrimary {
    /// Asks something that is done once, however often it is asked with its key; again where no answer came.
    fn ask_once<A: Wire, T: Wire>(&mut self, key: Option<u128>, call: Call, ask: &A) -> Result<T> {
        self.line.key = key.map(request::put);
        let mut rests = RESTS_MS.iter().filter(|_| key.is_some());
        let answer = loop {
            let answer = self.ask(call, ask);
            match (&answer, rests.next()) {
                (Err(lost), Some(rest)) if lost.code == "line" => self.line.rest(Duration::from_millis(*rest)),
                _ => break answer,
            }
        };
        self.line.key = None;
        answer
    }
}

impl Review for HttpPrimary {
    fn propose(&mut self, known: &Acquaintance, offer: Offer<'_>, _by: By<'_>) -> Result<Offered> {
        let mut request = FrameWriter::new(Spool::new(u64::MAX))?;
        let direct = offer.direct.as_ref().map(|part| part.front.clone());
        request.frame(&(*known, offer.revises, offer.reviewed.front.clone(), direct).to_bytes())?;
        send_pages(&mut request, offer.reviewed, false)?;
        if let Some(part) = offer.direct {
            send_pages(&mut request, part, true)?;
        }
        self.send(Call::Propose, request.end()?, &mut |_| Err(broken("it has more in it than the answer")))
    }
    fn act(&mut self, proposal: u64, deed: &Deed, by: By<'_>) -> Result<()> {
        self.ask_once(by.request, Call::Act, &(proposal, deed.clone()))
    }
    fn merge(&mut self, proposal: u64, wish: &MergeWish, _by: By<'_>) -> Result<Merged> {
        self.ask_once(Some(wish.request), Call::Merge, &(proposal, wish.clone()))
    }
    fn proposals(&mut self, wanted: &ProposalsWanted) -> Result<Vec<u64>> {
        self.ask(Call::Proposals, wanted)
    }
    fn proposal(&mut self, id: u64, _by: By<'_>) -> Result<Option<Judged>> {
        self.ask(Call::Proposal, &id)
    }
    fn proposal_at_once(&mut self, id: u64, _by: By<'_>) -> Result<Option<Judged>> {
        self.ask(Call::ProposalAtOnce, &id)
    }
    fn shown_page(&mut self, proposal: u64, digest: &Digest, page: u64) -> Result<Option<Vec<u8>>> {
        let found: Option<Bytes> = self.ask(Call::ShownPage, &(proposal, *digest, page))?;
        Ok(found.map(|bytes| bytes.0))
    }
    fn staged_page(&mut self, proposal: u64, revision: u64, page: u64) -> Result<Option<Vec<u8>>> {
        let found: Option<Bytes> = self.ask(Call::StagedPage, &(proposal, revision, page))?;
        Ok(found.map(|bytes| bytes.0))
    }
    fn find_revision(&mut self, write_id: u128) -> Result<Option<(u64, u64)>> {
        self.ask(Call::FindRevision, &write_id)
    }
    fn differing(&mut self, proposal: u64, earlier: u64, later: u64) -> Result<Option<Differing>> {
        self.ask(Call::Differing, &(proposal, earlier, later))
    }
    fn answer(&mut self, proposal: u64, answers: &[(u64, Answering)], by: By<'_>) -> Result<u64> {
        self.ask_once(by.request, Call::Answer, &(proposal, answers.to_vec()))
    }
    fn accept_part(&mut self, proposal: u64, only: &[Chosen], by: By<'_>) -> Result<Option<u64>> {
        self.ask_once(by.request, Call::AcceptPart, &(proposal, only.to_vec()))
    }
    fn propose_revert(&mut self, version: u64, reason: &str, by: By<'_>) -> Result<u64> {
        self.ask_once(by.request, Call::ProposeRevert, &(version, reason.to_owned()))
    }
    fn staging(&mut self) -> Result<Vec<Staged>> {
        self.ask(Call::Staging, &())
    }
    fn clean_staging(&mut self, rehearsal: Rehearsal, _by: By<'_>) -> Result<Vec<Staged>> {
        self.ask(Call::CleanStaging, &rehearsal)
    }
}
