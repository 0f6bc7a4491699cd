//! Proposals: changesets offered for review, and what was said and decided of them, as a fold of ledger events.
//!
//! Invariant: a vote names the digest of exactly what it was given on; what no longer has that digest has no vote.
//! Deliberately absent: the rows (they are staged beside the ledger), and whether votes suffice (see [`crate::vote`]).
use crate::change::{Edit, Front, Header, Shape};
use crate::conflict::Conflict;
use crate::digest;
use crate::event::{Digest, Event, Version};
use crate::format;
use crate::gate::GateResult;
use crate::stamp::Time;
use crate::value::Key;
use alloc::{string::String, vec::Vec};

/// One thing done to a proposal, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewing {
    /// The proposal, from 1.
    pub proposal: u64,
    /// Who did it.
    pub actor: String,
    /// The label of the token it was done with; none where none was needed.
    pub token: Option<String>,
    /// When.
    pub at: Time,
    /// What.
    pub act: Act,
    /// The request for which it was done; none where that had no key.
    pub request: Option<Request>,
}

/// A request by the key that whoever asked gave it: asked again, it is answered and not done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// 128 bits that its actor uses for no other.
    pub key: u128,
    /// The digest of what was asked for.
    pub content: Digest,
}

/// What may be done to a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "acts are few and short-lived")]
pub enum Act {
    /// A first or further revision is offered.
    Revise(Revision),
    /// A word is given, instead of an earlier one of the same actor.
    Vote(Ballot),
    /// Something is said.
    Comment(Remark),
    /// It is closed, or opened again.
    Decide(Decision),
    /// A merge begins. Nothing is written yet; a version, or [`Act::FailMerge`], tells how it ended.
    BeginMerge(MergeWish),
    /// A merge came to nothing.
    FailMerge(Failure),
    /// The staged rows of its revisions were removed.
    Unstage,
}

/// A changeset as it is offered. Its rows are staged under its write id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// Who, where, on which version; with title and description. Its sequence is zero: it takes no number of its replica.
    pub front: Front,
    /// How many pages its rows are staged in.
    pub pages: u64,
    /// The digest over them.
    pub body: Digest,
    /// Everybody who authored a change in it.
    pub authors: Vec<String>,
    /// What it was made from.
    pub origin: Origin,
    /// What happens in each table as it is offered, counted by whoever staged its rows; nothing where nobody did.
    pub tables: Vec<TableSummary>,
}

/// The write id of what is left of a revision where another, its part, stands for it: whoever divides a revision gives the rest
/// this name, so that its author's copy knows it again.
pub fn rest_of(revision: u128, part: u128) -> u128 {
    let digest = digest::of("mainstem rest 1", &[&revision.to_be_bytes(), &part.to_be_bytes()]);
    digest[..16].iter().fold(0, |id, byte| id << 8 | u128::from(*byte))
}

/// What a revision was made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Edits of a replica.
    #[default]
    Replica,
    /// The revision before, with conflicts answered.
    Resolution,
    /// A part of this proposal's last revision.
    Part(u64),
    /// A version that is taken back.
    Revert(u64),
    /// Edits of a replica that saw a part of its base version only: rows may have been there that their author did not know.
    Partial,
}

/// One actor's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// For it.
    Approve,
    /// Against it.
    Reject,
    /// Neither.
    Abstain,
}

impl Word {
    /// Every word.
    pub const ALL: [Word; 3] = [Word::Approve, Word::Reject, Word::Abstain];
    /// The name used on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Word::Approve => "approve",
            Word::Reject => "reject",
            Word::Abstain => "abstain",
        }
    }
    /// The word of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.name() == name)
    }
}

/// A vote as it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// The revision it was given on, from 1.
    pub revision: u64,
    /// What merging it would have done then ([`crate::digest`]): what the voter was shown.
    pub digest: Digest,
    /// The word.
    pub word: Word,
    /// Why.
    pub comment: String,
}

/// A vote as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Who.
    pub actor: String,
    /// The label of the token.
    pub token: Option<String>,
    /// When.
    pub at: Time,
    /// What.
    pub ballot: Ballot,
}

/// What a comment is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Anchor {
    /// The proposal.
    #[default]
    Whole,
    /// A row, by its key in the revision that was current.
    Row(String, Key),
    /// One of its cells.
    Cell(String, Key, String),
}

/// Something that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remark {
    /// About what.
    pub anchor: Anchor,
    /// The comment it answers, from 1; none where it begins a thread.
    pub reply_to: Option<u64>,
    /// The revision that was current.
    pub revision: u64,
    /// The text.
    pub text: String,
}

/// A comment as it stands. Its number is its place in [`Proposal::comments`], from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Who.
    pub actor: String,
    /// When.
    pub at: Time,
    /// What.
    pub remark: Remark,
}

/// A person's decision about a proposal as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What it is from now on.
    pub stage: Stage,
    /// Why.
    pub reason: String,
}

/// Where a proposal is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// It may be discussed, voted on, revised and merged.
    #[default]
    Open,
    /// A merge has begun and not told how it ended. It is open for all that, should the merge have been interrupted.
    Merging,
    /// The last merge came to nothing; it is open.
    MergeFailed,
    /// It is a version.
    Merged,
    /// It was refused.
    Rejected,
    /// Its author took it back.
    Withdrawn,
    /// Another took its place.
    Superseded,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Stage; 7] =
        [Stage::Open, Stage::Merging, Stage::MergeFailed, Stage::Merged, Stage::Rejected, Stage::Withdrawn, Stage::Superseded];
    /// The name used on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Open => "open",
            Stage::Merging => "merging",
            Stage::MergeFailed => "merge-failed",
            Stage::Merged => "merged",
            Stage::Rejected => "rejected",
            Stage::Withdrawn => "withdrawn",
            Stage::Superseded => "superseded",
        }
    }
    /// The stage of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
    /// True while it may be voted on, revised and merged.
    pub fn is_open(self) -> bool {
        matches!(self, Stage::Open | Stage::Merging | Stage::MergeFailed)
    }
}

/// How a merge is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeWish {
    /// 128 random bits: the key of the request. A proposal is merged once, whatever it is asked for with.
    pub request: u128,
    /// The digest of what is to be merged, as whoever asks was shown it; none where they were shown nothing.
    pub digest: Option<Digest>,
    /// The version that must be the head; none where any may be.
    pub expected: Option<u64>,
    /// False where a merge that changes the schema is refused.
    pub may_alter: bool,
    /// True where open conflicts do not stand in the way: they are merged as open conflicts. A right of its own.
    pub skip_conflicts: bool,
    /// True where neither votes nor gates stand in the way. A right of its own.
    pub force: bool,
    /// True where the staged rows stay.
    pub keep_staging: bool,
}

impl MergeWish {
    /// The usual way.
    pub fn new(request: u128) -> Self {
        MergeWish { request, digest: None, expected: None, may_alter: true, skip_conflicts: false, force: false, keep_staging: false }
    }
}

/// Why a merge came to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// A word for programs.
    pub code: String,
    /// In words.
    pub message: String,
}

/// How a version came out of a proposal, as the version's event keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewed {
    /// The proposal.
    pub proposal: u64,
    /// Its revision, from 1.
    pub revision: u64,
    /// What was merged: the digest that the counted votes name.
    pub digest: Digest,
    /// Who merged.
    pub actor: String,
    /// The label of the token.
    pub token: Option<String>,
    /// The votes that counted.
    pub votes: Vec<Vote>,
    /// What was asked for.
    pub wish: MergeWish,
    /// What was passed over by force, in words.
    pub warnings: Vec<String>,
    /// What the gates said.
    pub gates: Vec<GateResult>,
}

impl Reviewed {
    /// Who approved.
    pub fn approvers(&self) -> impl Iterator<Item = &str> {
        self.votes.iter().filter(|vote| vote.ballot.word == Word::Approve).map(|vote| vote.actor.as_str())
    }
}

/// A proposal as the events so far make it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proposal {
    /// Its number, from 1.
    pub id: u64,
    /// Where it is in its life.
    pub stage: Stage,
    /// Whose work it is: the author of the first revision.
    pub actor: String,
    /// When.
    pub at: Time,
    /// When something happened to it last.
    pub touched: Time,
    /// Its revisions, each with who offered it and when, oldest first.
    pub revisions: Vec<(String, Time, Revision)>,
    /// The last vote of each actor.
    pub votes: Vec<Vote>,
    /// Comments, oldest first.
    pub comments: Vec<Comment>,
    /// Who decided last that it is closed or open, and why.
    pub decision: Option<(String, Time, Decision)>,
    /// The last merge that began, by whom and when.
    pub merge: Option<(String, Time, MergeWish)>,
    /// Why the last merge failed.
    pub failure: Option<Failure>,
    /// The version it became.
    pub version: Option<u64>,
    /// True where its staged rows are gone.
    pub is_unstaged: bool,
}

impl Proposal {
    /// The last revision.
    ///
    /// # Panics
    /// Where there is none: a proposal begins with one.
    pub fn head(&self) -> &Revision {
        &self.revisions.last().expect("a proposal begins with a revision").2
    }

    /// Takes one more event. The first must be a revision.
    pub fn fold(&mut self, event: &Reviewing) {
        if let (true, Act::Revise(revision)) = (self.revisions.is_empty(), &event.act) {
            (self.id, self.actor, self.at) = (event.proposal, revision.front.header.actor.clone(), event.at);
        }
        self.touched = event.at;
        match &event.act {
            Act::Revise(revision) => {
                self.revisions.push((event.actor.clone(), event.at, revision.clone()));
                (self.stage, self.failure) = (Stage::Open, None);
            }
            Act::Vote(ballot) => {
                self.votes.retain(|vote| vote.actor != event.actor);
                let (actor, token, at) = (event.actor.clone(), event.token.clone(), event.at);
                self.votes.push(Vote { actor, token, at, ballot: ballot.clone() });
            }
            Act::Comment(remark) => {
                self.comments.push(Comment { actor: event.actor.clone(), at: event.at, remark: remark.clone() });
            }
            Act::Decide(decision) => {
                self.stage = decision.stage;
                self.decision = Some((event.actor.clone(), event.at, decision.clone()));
            }
            Act::BeginMerge(wish) => {
                self.stage = Stage::Merging;
                self.merge = Some((event.actor.clone(), event.at, wish.clone()));
            }
            Act::FailMerge(failure) => {
                self.stage = Stage::MergeFailed;
                self.failure = Some(failure.clone());
            }
            Act::Unstage => self.is_unstaged = true,
        }
    }

    /// Takes the version that it became.
    pub fn fold_merge(&mut self, version: u64, at: Time) {
        (self.stage, self.version, self.touched, self.failure) = (Stage::Merged, Some(version), at, None);
    }
}

/// What merging a revision would do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assessment {
    /// The revision, from 1.
    pub revision: u64,
    /// The version it would be merged onto.
    pub head: u64,
    /// Names the result: rows before and after, schema steps, conflicts, what waits, what is renumbered.
    pub digest: Digest,
    /// The version that would come of it. Its pages are what is shown.
    pub outcome: Version,
    /// What happens in each table.
    pub tables: Vec<TableSummary>,
    /// What the gates say of the rows as they would be.
    pub gates: Vec<GateResult>,
}

impl Assessment {
    /// How many conflicts would be left open.
    pub fn conflicts_open(&self) -> usize {
        self.outcome.conflicts.iter().filter(|conflict| conflict.is_open()).count()
    }
    /// True where a gate stands in the way.
    pub fn is_blocked(&self) -> bool {
        self.gates.iter().any(GateResult::is_blocking)
    }
    /// Finds the digest of a version that would come of a merge: everything in it that votes are given on.
    pub fn digest_of(outcome: &Version) -> Digest {
        let conflicts = outcome.conflicts.iter().map(|conflict| Conflict { version: 0, ..conflict.clone() }).collect();
        let told = Version {
            header: Header { write_id: outcome.header.write_id, ..Header::default() },
            schema: outcome.schema.clone(),
            shapes: outcome.shapes.clone(),
            count: outcome.count,
            body: outcome.body,
            renumbered: outcome.renumbered.clone(),
            conflicts,
            waiting: outcome.waiting.clone(),
            released: outcome.released.clone(),
            ..Version::default()
        };
        digest::of("mainstem result 1", &[&format::event::encode(&Event::Version(told))])
    }
}

/// What happens in one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableSummary {
    /// The table.
    pub table: String,
    /// Rows that come.
    pub inserted: u64,
    /// Rows that change.
    pub updated: u64,
    /// Rows that go.
    pub deleted: u64,
    /// Cells that change in rows that stay.
    pub cells: u64,
}

impl TableSummary {
    /// Nothing yet in the tables of these shapes.
    pub fn of(shapes: &[Shape]) -> Vec<TableSummary> {
        shapes.iter().map(|shape| TableSummary { table: shape.table.clone(), ..TableSummary::default() }).collect()
    }
    /// Counts one change.
    pub fn add(&mut self, edit: &Edit) {
        match edit {
            Edit::Insert(_) => self.inserted += 1,
            Edit::Delete(_) => self.deleted += 1,
            Edit::Update(cells) => {
                self.updated += 1;
                self.cells += cells.len() as u64;
            }
        }
    }
}
