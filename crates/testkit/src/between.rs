//! A primary behind something that may fail, write, or wait: asked before and after each call.
//!
//! Invariant: what happens between is the test's; the calls themselves are the real primary's.
use mainstem::audit::{Findings, Link};
use mainstem::cleanup::{Cleanup, Rehearsal};
use mainstem::comparing::Differing;
use mainstem::core::ErrorKind;
use mainstem::core::change::{Change, Front};
use mainstem::core::chronicle::Chronicle;
use mainstem::core::conflict::Conflict;
use mainstem::core::event::{Digest, Version};
use mainstem::core::proposal::MergeWish;
use mainstem::core::schema::Schema;
use mainstem::core::value::{Key, Row};
use mainstem::error::{Error, Result};
use mainstem::history::{Blame, RowHistory, RowPlace};
use mainstem::ledger::{Head, ProposalsWanted, Touch};
use mainstem::primary::{
    Acquaintance, Cursor, Deleted, Description, KnownReplica, Pages, Primary, Pull, Pushed, RowVisitor, Seen, SnapshotSink,
};
use mainstem::replica::Answering;
use mainstem::review::{By, Chosen, Deed, Judged, Merged, Offer, Offered, Part, Review, Staged};
use mainstem::tombstones::{Tombstone, Wanted};

/// Where in a call, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The call has not been made.
    Before(&'static str),
    /// It was made, and its answer is on the way.
    After(&'static str),
}

/// What becomes of a call that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is made.
    Once,
    /// A push or pull arrives twice, and the second answer is heard.
    Twice,
    /// A push, or the word of where a replica stands, is kept on its way ([`Middle::keep`]); the caller hears nothing.
    Late,
    /// A pull is answered with what an earlier one was answered, where there was one.
    Stale,
}

/// A request that is still on its way.
#[derive(Clone, Debug)]
pub enum Late {
    /// A changeset with its pages.
    Push(Box<(Acquaintance, Front, Vec<Vec<Change>>)>),
    /// Where a replica stands.
    Seen(Acquaintance, Seen),
}

impl Late {
    /// It arrives; nobody hears what it is answered.
    pub fn arrive(self, primary: &mut dyn Primary) {
        match self {
            Late::Push(request) => {
                let (known, front, pages) = *request;
                drop(primary.push(&known, &front, &mut Told { pages, next: 0 }));
            }
            Late::Seen(known, seen) => drop(primary.seen(&known, &seen)),
        }
    }
}

/// Pages that were read already.
struct Told {
    pages: Vec<Vec<Change>>,
    next: usize,
}

impl Pages for Told {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        self.next += 1;
        Ok(self.pages.get(self.next - 1).cloned())
    }
    fn rewind(&mut self) -> Result<()> {
        self.next = 0;
        Ok(())
    }
}

/// What is between a caller and its primary. An error from it is what the caller gets: before a call as if it was never
/// made, after it as if its answer was lost.
pub trait Middle {
    /// Makes a call of the primary.
    fn with<T>(&mut self, call: impl FnOnce(&mut dyn Primary) -> Result<T>) -> Result<T>;
    /// Says what becomes of a call.
    fn meddle(&mut self, moment: Moment) -> Result<Turn>;
    /// Takes a request that is to arrive later, and says what the caller hears.
    fn keep(&mut self, late: Late) -> Error;
    /// Says what a changeset is taken for when it arrives; none where it is what it says.
    fn admit(&mut self, _: &Acquaintance, _: &Front) -> Result<Option<Front>> {
        Ok(None)
    }
    /// Likewise for the word of where a replica stands.
    fn admit_seen(&mut self, _: &Acquaintance, _: &Seen) -> Result<Option<Seen>> {
        Ok(None)
    }
    /// Learns that the primary has heard where a replica stands.
    fn heard(&mut self, _: &Seen) {}
}

/// A primary and a function that is asked.
pub struct Asked<'p, F> {
    primary: &'p mut dyn Primary,
    meddle: F,
}

impl<F: FnMut(Moment) -> Result<Turn>> Middle for Asked<'_, F> {
    fn with<T>(&mut self, call: impl FnOnce(&mut dyn Primary) -> Result<T>) -> Result<T> {
        call(self.primary)
    }
    fn meddle(&mut self, moment: Moment) -> Result<Turn> {
        (self.meddle)(moment)
    }
    fn keep(&mut self, _: Late) -> Error {
        Error::new(ErrorKind::Unavailable, "line", "the request is lost")
    }
}

/// A primary with something in between.
pub struct Between<M> {
    middle: M,
    pulled: Option<Pull>,
}

impl<'p, F: FnMut(Moment) -> Result<Turn>> Between<Asked<'p, F>> {
    /// Asks a function before and after each call.
    pub fn new(primary: &'p mut dyn Primary, meddle: F) -> Self {
        Between::of(Asked { primary, meddle })
    }
}

impl<M: Middle> Between<M> {
    /// Puts it in between.
    pub fn of(middle: M) -> Self {
        Between { middle, pulled: None }
    }
    /// What was in between.
    pub fn into_middle(self) -> M {
        self.middle
    }
    fn call<T>(&mut self, name: &'static str, call: impl FnOnce(&mut dyn Primary) -> Result<T>) -> Result<T> {
        self.middle.meddle(Moment::Before(name))?;
        let answer = self.middle.with(call);
        self.middle.meddle(Moment::After(name))?;
        answer
    }
    fn once<T>(&mut self, name: &'static str, call: impl FnOnce(&mut dyn Primary) -> Result<T>) -> Result<T> {
        let answer = self.middle.with(call);
        self.middle.meddle(Moment::After(name))?;
        answer
    }
}

/// All pages of a changeset.
fn all(pages: &mut dyn Pages) -> Result<Vec<Vec<Change>>> {
    pages.rewind()?;
    std::iter::from_fn(|| pages.next().transpose()).collect()
}

impl<M: Middle> Between<M> {
    /// A call that may arrive twice.
    fn send<T>(&mut self, name: &'static str, mut call: impl FnMut(&mut dyn Primary) -> Result<T>) -> Result<T> {
        if self.middle.meddle(Moment::Before(name))? == Turn::Twice {
            self.middle.with(&mut call)?;
        }
        self.once(name, call)
    }
}

impl<M: Middle> Review for Between<M> {
    fn propose(&mut self, known: &Acquaintance, offer: Offer<'_>, by: By<'_>) -> Result<Offered> {
        let Offer { revises, reviewed, mut direct } = offer;
        self.send("propose", |p| {
            reviewed.pages.rewind()?;
            let along = match &mut direct {
                Some(part) => {
                    part.pages.rewind()?;
                    Some(Part { front: part.front, pages: &mut *part.pages })
                }
                None => None,
            };
            p.propose(known, Offer { revises, reviewed: Part { front: reviewed.front, pages: &mut *reviewed.pages }, direct: along }, by)
        })
    }
    fn act(&mut self, proposal: u64, deed: &Deed, by: By<'_>) -> Result<()> {
        self.send("act", |p| p.act(proposal, deed, by))
    }
    fn merge(&mut self, proposal: u64, wish: &MergeWish, by: By<'_>) -> Result<Merged> {
        self.send("merge", |p| p.merge(proposal, wish, by))
    }
    fn proposals(&mut self, wanted: &ProposalsWanted) -> Result<Vec<u64>> {
        self.call("proposals", |p| p.proposals(wanted))
    }
    fn proposal(&mut self, id: u64, by: By<'_>) -> Result<Option<Judged>> {
        self.call("proposal", |p| p.proposal(id, by))
    }
    fn proposal_at_once(&mut self, id: u64, by: By<'_>) -> Result<Option<Judged>> {
        self.call("proposal_at_once", |p| p.proposal_at_once(id, by))
    }
    fn shown_page(&mut self, proposal: u64, digest: &Digest, page: u64) -> Result<Option<Vec<u8>>> {
        self.call("shown_page", |p| p.shown_page(proposal, digest, page))
    }
    fn staged_page(&mut self, proposal: u64, revision: u64, page: u64) -> Result<Option<Vec<u8>>> {
        self.call("staged_page", |p| p.staged_page(proposal, revision, page))
    }
    fn differing(&mut self, proposal: u64, earlier: u64, later: u64) -> Result<Option<Differing>> {
        self.call("differing", |p| p.differing(proposal, earlier, later))
    }
    fn answer(&mut self, proposal: u64, answers: &[(u64, Answering)], by: By<'_>) -> Result<u64> {
        self.send("answer", |p| p.answer(proposal, answers, by))
    }
    fn accept_part(&mut self, proposal: u64, only: &[Chosen], by: By<'_>) -> Result<Option<u64>> {
        self.send("accept_part", |p| p.accept_part(proposal, only, by))
    }
    fn propose_revert(&mut self, version: u64, reason: &str, by: By<'_>) -> Result<u64> {
        self.send("propose_revert", |p| p.propose_revert(version, reason, by))
    }
    fn staging(&mut self) -> Result<Vec<Staged>> {
        self.call("staging", |p| p.staging())
    }
    fn clean_staging(&mut self, rehearsal: Rehearsal, by: By<'_>) -> Result<Vec<Staged>> {
        self.call("clean_staging", |p| p.clean_staging(rehearsal, by))
    }
    fn find_revision(&mut self, write_id: u128) -> Result<Option<(u64, u64)>> {
        self.call("find_revision", |p| p.find_revision(write_id))
    }
}

impl<M: Middle> Primary for Between<M> {
    fn describe(&mut self) -> Result<Description> {
        self.call("describe", |p| p.describe())
    }
    fn wait(&mut self, known: &Head, timeout_ms: u64) -> Result<Head> {
        self.call("wait", |p| p.wait(known, timeout_ms))
    }
    fn push(&mut self, known: &Acquaintance, front: &Front, pages: &mut dyn Pages) -> Result<Pushed> {
        let turn = self.middle.meddle(Moment::Before("push"))?;
        if turn == Turn::Late {
            let request = (*known, front.clone(), all(pages)?);
            return Err(self.middle.keep(Late::Push(Box::new(request))));
        }
        let admitted = self.middle.admit(known, front)?;
        let front = admitted.as_ref().unwrap_or(front);
        if turn == Turn::Twice {
            pages.rewind()?;
            self.middle.with(|p| p.push(known, front, pages))?;
        }
        pages.rewind()?;
        self.once("push", |p| p.push(known, front, pages))
    }
    fn pull(&mut self, known: &Acquaintance, from: Cursor, bytes_max: usize) -> Result<Pull> {
        let turn = self.middle.meddle(Moment::Before("pull"))?;
        if let (Turn::Stale, Some(earlier)) = (turn, &self.pulled) {
            return Ok(earlier.clone());
        }
        if turn == Turn::Twice {
            self.middle.with(|p| p.pull(known, from, bytes_max))?;
        }
        let answer = self.once("pull", |p| p.pull(known, from, bytes_max))?;
        self.pulled = Some(answer.clone());
        Ok(answer)
    }
    fn snapshot(&mut self, sink: &mut dyn SnapshotSink) -> Result<()> {
        self.call("snapshot", |p| p.snapshot(sink))
    }
    fn find_write(&mut self, write_id: u128) -> Result<Option<u64>> {
        self.call("find_write", |p| p.find_write(write_id))
    }
    fn version_hash(&mut self, version: u64) -> Result<Option<Digest>> {
        self.call("version_hash", |p| p.version_hash(version))
    }
    fn version(&mut self, version: u64) -> Result<Option<Version>> {
        self.call("version", |p| p.version(version))
    }
    fn page(&mut self, version: u64, page: u64) -> Result<Option<Vec<u8>>> {
        self.call("page", |p| p.page(version, page))
    }
    fn rows(&mut self, table: &str, version: u64, visit: RowVisitor<'_>) -> Result<()> {
        self.call("rows", |p| p.rows(table, version, visit))
    }
    fn rows_of(&mut self, table: &str, keys: &[Key], version: u64) -> Result<Vec<Option<Row>>> {
        self.call("rows_of", |p| p.rows_of(table, keys, version))
    }
    fn schema(&mut self) -> Result<Schema> {
        self.call("schema", |p| p.schema())
    }
    fn row_history(&mut self, from: &RowPlace, limit: usize) -> Result<RowHistory> {
        self.call("row_history", |p| p.row_history(from, limit))
    }
    fn touches(&mut self, row: &RowPlace, after: u64) -> Result<Vec<Touch>> {
        self.call("touches", |p| p.touches(row, after))
    }
    fn blame(&mut self, place: &RowPlace) -> Result<Blame> {
        self.call("blame", |p| p.blame(place))
    }
    fn events(&mut self, after: u64, bytes_max: usize) -> Result<Vec<Link>> {
        self.call("events", |p| p.events(after, bytes_max))
    }
    fn examine(&mut self, findings: Findings<'_>) -> Result<u64> {
        self.call("examine", |p| p.examine(findings))
    }
    fn chronicle(&mut self) -> Result<Chronicle> {
        self.call("chronicle", |p| p.chronicle())
    }
    fn conflicts(&mut self, open_only: bool) -> Result<Vec<Conflict>> {
        self.call("conflicts", |p| p.conflicts(open_only))
    }
    fn begin_epoch(&mut self, known: &Acquaintance, actor: &str) -> Result<u128> {
        self.call("begin_epoch", |p| p.begin_epoch(known, actor))
    }
    fn set_policy(&mut self, text: &str, actor: &str) -> Result<()> {
        self.call("set_policy", |p| p.set_policy(text, actor))
    }
    fn seen(&mut self, known: &Acquaintance, seen: &Seen) -> Result<()> {
        if self.middle.meddle(Moment::Before("seen"))? == Turn::Late {
            return Err(self.middle.keep(Late::Seen(*known, seen.clone())));
        }
        let admitted = self.middle.admit_seen(known, seen)?;
        self.middle.with(|p| p.seen(known, admitted.as_ref().unwrap_or(seen)))?;
        self.middle.heard(seen);
        self.middle.meddle(Moment::After("seen")).map(drop)
    }
    fn replicas(&mut self) -> Result<Vec<KnownReplica>> {
        self.call("replicas", |p| p.replicas())
    }
    fn tombstones(&mut self, wanted: &Wanted, visit: &mut dyn FnMut(&Tombstone) -> Result<()>) -> Result<()> {
        self.call("tombstones", |p| p.tombstones(wanted, visit))
    }
    fn deleted_since(&mut self, table: &str, keys: &[Key], after: u64) -> Result<Vec<Deleted>> {
        self.call("deleted_since", |p| p.deleted_since(table, keys, after))
    }
    fn cleanup(&mut self, actor: &str, rehearsal: Rehearsal) -> Result<Cleanup> {
        self.call("cleanup", |p| p.cleanup(actor, rehearsal))
    }
}
