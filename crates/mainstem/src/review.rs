//! Proposals on a primary: offering, discussing, voting, merging.
//!
//! Invariant: what is merged is what the counted votes name; both are compared inside the transaction that merges.
//! Deliberately absent: the rows' own rules (see [`crate::rebase`]), and who somebody is ([`People`] tells).
use crate::cleanup::Rehearsal;
use crate::comparing::Differing;
use crate::error::Result;
use crate::ledger::ProposalsWanted;
use crate::primary::{Acquaintance, Pages, Pushed};
use crate::replica::Answering;
use mainstem_core::change::Front;
use mainstem_core::event::Digest;
use mainstem_core::proposal::{Assessment, Ballot, Decision, MergeWish, Proposal, Remark, Stage};
use mainstem_core::stamp::Time;
use mainstem_core::value::Key;
use mainstem_core::vote::{Tally, Verdict, Voter};

/// What one may need beyond a right on the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Privilege {
    /// To merge with open conflicts.
    SkipConflicts,
    /// To merge without the votes, or past failed gates.
    Force,
    /// To reject, or to close what somebody else offered.
    Decide,
}

/// Who may do what now, as the one that lets people in knows it.
pub trait People {
    /// What an actor is to a table.
    fn voter(&self, actor: &str, table: &str) -> Voter;
    /// True where an actor has a privilege.
    fn has(&self, actor: &str, privilege: Privilege) -> bool;
    /// Every actor that there is; none where nobody keeps a list.
    fn actors(&self) -> Vec<String>;
}

/// Everybody may do everything: whoever can write to the file of an embedded primary could.
#[derive(Clone, Copy, Debug, Default)]
pub struct Everybody;

impl People for Everybody {
    fn voter(&self, actor: &str, _table: &str) -> Voter {
        Voter { person: actor.to_lowercase(), may_vote: true, is_agent: false }
    }
    fn has(&self, _actor: &str, _privilege: Privilege) -> bool {
        true
    }
    fn actors(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Who acts. A primary far away puts in its place whom the token names.
#[derive(Clone, Copy)]
pub struct By<'a> {
    /// The name.
    pub actor: &'a str,
    /// The label of the token; none where none was needed.
    pub token: Option<&'a str>,
    /// Who else there is.
    pub people: &'a dyn People,
    /// The key of the request, where it has one. Asked again with the same key, an act is not done again and answers the same; for
    /// another act the key is refused as `request_reused`. A merge goes by the key in its wish.
    pub request: Option<u128>,
}

/// A changeset on its way.
pub struct Part<'a> {
    /// Everything but its rows.
    pub front: &'a Front,
    /// Its rows.
    pub pages: &'a mut dyn Pages,
}

/// What is offered.
pub struct Offer<'a> {
    /// The proposal of which this is a further revision; none for a new one.
    pub revises: Option<u64>,
    /// What is to be reviewed. Its sequence is zero.
    pub reviewed: Part<'a>,
    /// What is pushed along with it, in the same transaction.
    pub direct: Option<Part<'a>>,
}

/// What became of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It is this revision now, or was already.
    Done {
        /// The proposal.
        proposal: u64,
        /// The revision, from 1.
        revision: u64,
        /// What became of what was pushed along.
        direct: Option<Pushed>,
    },
    /// What was to be pushed along cannot be now, for the reason that a push would give; nothing was taken.
    Refused(Pushed),
}

/// Something small done to a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A vote. Refused as `stale_base` where its digest is not what merging would do now.
    Vote(Ballot),
    /// A comment.
    Comment(Remark),
    /// A close: rejected, withdrawn, superseded; or open again.
    Decide(Decision),
}

/// The staged rows of a proposal's revisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// The proposal.
    pub proposal: u64,
    /// Where it is in its life.
    pub stage: Stage,
    /// How many of its revisions have staged rows.
    pub revisions: u64,
    /// The bytes that they take.
    pub bytes: u64,
    /// When something happened to it last.
    pub touched: Time,
    /// When they go; none while it is open, or where they are kept for ever.
    pub expires: Option<Time>,
}

/// Which rows of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The table.
    pub table: String,
    /// The row; all of the table's where none.
    pub key: Option<Key>,
    /// Its columns; all where empty.
    pub columns: Vec<String>,
}

/// How a proposal stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// What was said and decided.
    pub proposal: Proposal,
    /// What a merge would do now; none where it is closed, and its staged rows are gone, or where that is not found yet.
    pub assessment: Option<Assessment>,
    /// The votes on that.
    pub tally: Tally,
    /// True where what a merge would do is found, and not all of it may be told to whoever asks.
    pub is_hidden: bool,
}

/// What a proposal is called by its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It may be discussed and voted on.
    Open,
    /// Merging would leave open conflicts.
    HasConflicts,
    /// It may be merged.
    Approved,
    /// Votes or a person refused it.
    Rejected,
    /// A merge is under way.
    Merging,
    /// It is a version.
    Merged,
    /// The last merge came to nothing.
    MergeFailed,
    /// Its author took it back.
    Withdrawn,
    /// Another took its place.
    Superseded,
}

impl State {
    /// The name used on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            State::Open => "open",
            State::HasConflicts => "has-conflicts",
            State::Approved => "approved",
            State::Rejected => "rejected",
            State::Merging => "merging",
            State::Merged => "merged",
            State::MergeFailed => "merge-failed",
            State::Withdrawn => "withdrawn",
            State::Superseded => "superseded",
        }
    }
}

impl Judged {
    /// True where nobody has found yet what merging it would do.
    pub fn is_unfound(&self) -> bool {
        self.proposal.stage.is_open() && self.assessment.is_none() && !self.is_hidden
    }

    /// The state it is in now.
    pub fn state(&self) -> State {
        match self.proposal.stage {
            Stage::Merging => State::Merging,
            Stage::Merged => State::Merged,
            Stage::Rejected => State::Rejected,
            Stage::Withdrawn => State::Withdrawn,
            Stage::Superseded => State::Superseded,
            Stage::Open | Stage::MergeFailed => match self.tally.verdict {
                Verdict::Rejected => State::Rejected,
                _ if self.assessment.as_ref().is_some_and(|a| a.conflicts_open() > 0) => State::HasConflicts,
                _ if self.proposal.stage == Stage::MergeFailed => State::MergeFailed,
                Verdict::Approved if !self.assessment.as_ref().is_some_and(Assessment::is_blocked) => State::Approved,
                Verdict::Approved | Verdict::Waiting => State::Open,
            },
        }
    }
}

/// What a merge came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The version.
    pub version: u64,
    /// The hash of its event.
    pub commit: Digest,
    /// Rows added.
    pub added: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Cells changed in updated rows.
    pub cells: u64,
    /// Whether the staged rows are gone.
    pub is_staging_clean: bool,
    /// True where it was merged before, by this request or another.
    pub is_repeated: bool,
}

/// Proposals of a primary. Safe to call from many processes at once, as [`crate::primary::Primary`] is.
///
/// Refusals are errors of kind Conflict with the codes `merge_conflict`, `stale_base`, `validation_failed`, `closed`,
/// `request_reused` (the key of a request is that of another, or what goes by a write id is something else); of kind
/// Denied with `review_required` (votes do not suffice) and `forbidden`; `NotFound` where there is no such proposal.
pub trait Review {
    /// Offers a changeset for review, as a new proposal or as a further revision of one, and pushes another along with it: all
    /// in one transaction. Repeating it is harmless.
    fn propose(&mut self, known: &Acquaintance, offer: Offer<'_>, by: By<'_>) -> Result<Offered>;
    /// Does something small. Repeating a vote or a decision is harmless; repeating a comment is where it has a key.
    fn act(&mut self, proposal: u64, deed: &Deed, by: By<'_>) -> Result<()>;
    /// Merges: the rows, the ledger and the proposal's state change in one transaction, in which everything is checked again.
    /// Repeating it answers the same.
    fn merge(&mut self, proposal: u64, wish: &MergeWish, by: By<'_>) -> Result<Merged>;
    /// The numbers of proposals, newest first.
    fn proposals(&mut self, wanted: &ProposalsWanted) -> Result<Vec<u64>>;
    /// How a proposal stands now.
    fn proposal(&mut self, id: u64, by: By<'_>) -> Result<Option<Judged>>;
    /// The same without waiting: of an open proposal of many rows, what merging would do is told only where it was found already.
    fn proposal_at_once(&mut self, id: u64, by: By<'_>) -> Result<Option<Judged>>;
    /// One page of what merging would do, as the assessment with that digest tells; none where it tells something else by now.
    /// Of a merged proposal, a page of its version.
    fn shown_page(&mut self, proposal: u64, digest: &Digest, page: u64) -> Result<Option<Vec<u8>>>;
    /// One page of a revision (from 1) as it was offered.
    fn staged_page(&mut self, proposal: u64, revision: u64, page: u64) -> Result<Option<Vec<u8>>>;
    /// In which rows two revisions (from 1) differ, as they were offered; none where the rows of one are gone.
    fn differing(&mut self, proposal: u64, earlier: u64, later: u64) -> Result<Option<Differing>>;
    /// The proposal and its revision (from 1) that a write id names.
    fn find_revision(&mut self, write_id: u128) -> Result<Option<(u64, u64)>>;
    /// Makes a further revision in which every open conflict is answered, on the head; gives its number. `Conflict` with the
    /// code `merge_conflict` where one has no answer.
    fn answer(&mut self, proposal: u64, answers: &[(u64, Answering)], by: By<'_>) -> Result<u64>;
    /// Narrows a proposal to some rows and to what they depend on, as a further revision; the rest becomes a proposal of its
    /// own, whose number it gives. None where nothing is left over, and nothing was done.
    fn accept_part(&mut self, proposal: u64, only: &[Chosen], by: By<'_>) -> Result<Option<u64>>;
    /// Proposes to take a version back; gives the proposal's number. What was changed since is a conflict.
    fn propose_revert(&mut self, version: u64, reason: &str, by: By<'_>) -> Result<u64>;
    /// The staged rows of revisions, oldest first.
    fn staging(&mut self) -> Result<Vec<Staged>>;
    /// Removes the staged rows of closed proposals that are kept longer than the policy says; gives what went.
    fn clean_staging(&mut self, rehearsal: Rehearsal, by: By<'_>) -> Result<Vec<Staged>>;
}
