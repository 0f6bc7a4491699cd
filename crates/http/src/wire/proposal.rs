//! Proposals as people's tools read them: how they stand, what was said of them, and what merging would do.
//!
//! Invariant: a name, once released, stays, and each name of the command line's JSON is the same here.
use super::shown::{ShownConflict, ShownHeader, ShownRow, ShownValue, hex, moment};
use mainstem::core::gate::{GateResult, Outcome, Sample};
use mainstem::core::proposal::{Anchor, Assessment, Comment, Origin, Remark, Revision, TableSummary, Vote};
use mainstem::core::stamp::Time;
use mainstem::core::vote::{Tally, Verdict, WhyNot};
use mainstem::review::{Judged, Merged};
use mainstem::schema_merge::describe;
use schemars::JsonSchema;
use serde::Serialize;

/// A proposal in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownProposalLine {
    /// Its number.
    pub proposal: u64,
    /// `open`, `has-conflicts`, `approved`, `rejected`, `merging`, `merged`, `merge-failed`, `withdrawn` or `superseded`.
    pub state: &'static str,
    /// Its title.
    pub title: Option<String>,
    /// Whose it is.
    pub actor: String,
    /// When it was offered.
    pub offered_at: String,
    /// When something happened to it last.
    pub touched_at: String,
    /// Its last revision.
    pub revision: u64,
    /// How many rows it changes.
    pub rows: u64,
    /// How many comments there are.
    pub comments: usize,
    /// Whether what merging it would do is known and told. Where it is not, nothing is said of what is missing.
    pub is_found: bool,
    /// What is missing before it may be merged, a line each.
    pub missing: Vec<String>,
    /// The version it became.
    pub version: Option<u64>,
}

impl From<&Judged> for ShownProposalLine {
    fn from(judged: &Judged) -> Self {
        let (proposal, front) = (&judged.proposal, &judged.proposal.head().front);
        ShownProposalLine {
            proposal: proposal.id,
            state: judged.state().name(),
            title: front.header.title.clone(),
            actor: proposal.actor.clone(),
            offered_at: moment(proposal.at),
            touched_at: moment(proposal.touched),
            revision: proposal.revisions.len() as u64,
            rows: judged.assessment.as_ref().map_or(front.count, |assessment| assessment.outcome.count),
            comments: proposal.comments.len(),
            is_found: !judged.is_unfound(),
            missing: judged.tally.missing.clone(),
            version: proposal.version,
        }
    }
}

/// A proposal.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownProposal {
    /// What a list says of it.
    #[serde(flatten)]
    pub line: ShownProposalLine,
    /// Its description.
    pub description: String,
    /// Its revisions, oldest first.
    pub revisions: Vec<ShownRevision>,
    /// `waiting`, `approved` or `rejected`: what the votes come to.
    pub verdict: &'static str,
    /// Votes, those that count first; each actor's last.
    pub votes: Vec<ShownVote>,
    /// When the time to vote ends.
    pub closes: Option<String>,
    /// Comments, oldest first.
    pub comments: Vec<ShownComment>,
    /// Who decided last that it is closed or open.
    pub decision: Option<ShownDecision>,
    /// Why the last merge failed.
    pub failure: Option<ShownFailure>,
    /// Whether its staged rows are gone.
    pub is_unstaged: bool,
    /// What merging would do now; null where it is closed.
    pub result: Option<ShownResult>,
}

impl From<&Judged> for ShownProposal {
    fn from(judged: &Judged) -> Self {
        let proposal = &judged.proposal;
        let offered = proposal.revisions.iter().zip(1..);
        ShownProposal {
            line: judged.into(),
            description: proposal.head().front.header.description.clone(),
            revisions: offered.map(|((actor, at, revision), number)| ShownRevision::new(number, actor, *at, revision)).collect(),
            verdict: verdict(judged.tally.verdict),
            votes: votes(&judged.tally, &proposal.votes, judged.assessment.is_some()),
            closes: judged.tally.closes.map(moment),
            comments: proposal.comments.iter().zip(1..).map(|(comment, number)| ShownComment::new(number, comment)).collect(),
            decision: proposal.decision.as_ref().map(|(actor, at, decision)| ShownDecision {
                actor: actor.clone(),
                at: moment(*at),
                stage: decision.stage.name(),
                reason: decision.reason.clone(),
            }),
            failure: proposal.failure.as_ref().map(|failure| ShownFailure { code: failure.code.clone(), reason: failure.message.clone() }),
            is_unstaged: proposal.is_unstaged,
            result: judged.assessment.as_ref().map(ShownResult::from),
        }
    }
}

/// The votes as they are counted; all of them where nothing is counted any more.
fn votes(tally: &Tally, all: &[Vote], is_counted: bool) -> Vec<ShownVote> {
    if !is_counted {
        return all.iter().map(|vote| ShownVote::new(vote, None, None)).collect();
    }
    let counted = tally.counted.iter().map(|vote| ShownVote::new(vote, Some(true), None));
    counted.chain(tally.passed_over.iter().map(|(vote, why)| ShownVote::new(vote, Some(false), Some(*why)))).collect()
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Waiting => "waiting",
        Verdict::Approved => "approved",
        Verdict::Rejected => "rejected",
    }
}

fn why_name(why: WhyNot) -> &'static str {
    match why {
        WhyNot::Stale => "stale",
        WhyNot::NoRight => "no_right",
        WhyNot::Author => "author",
        WhyNot::Again => "again",
        WhyNot::Late => "late",
        WhyNot::Agent => "agent",
        WhyNot::NotOwner => "not_owner",
    }
}

/// A revision.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownRevision {
    /// Its number, from 1.
    pub revision: u64,
    /// Who offered it.
    pub offered_by: String,
    /// When.
    pub offered_at: String,
    /// The changeset.
    #[serde(flatten)]
    pub header: ShownHeader,
    /// How many rows it changes.
    pub changes: u64,
    /// In how many pages.
    pub pages: u64,
    /// The tables that it changes rows of.
    pub tables: Vec<String>,
    /// Everybody who authored a change in it.
    pub authors: Vec<String>,
    /// What it was made from.
    pub made_from: ShownMadeFrom,
    /// What happens in each table as it was offered; empty where it was offered before that was counted.
    pub counts: Vec<ShownTableSummary>,
}

/// What a revision was made from.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ShownMadeFrom {
    /// Edits of a replica.
    Replica,
    /// The revision before, with conflicts answered.
    Resolution,
    /// A part of this proposal.
    Proposal(u64),
    /// This version, taken back.
    Version(u64),
}

impl ShownRevision {
    fn new(number: u64, actor: &str, at: Time, revision: &Revision) -> Self {
        ShownRevision {
            revision: number,
            offered_by: actor.to_owned(),
            offered_at: moment(at),
            header: (&revision.front.header).into(),
            changes: revision.front.count,
            pages: revision.pages,
            tables: revision.front.shapes.iter().map(|shape| shape.table.clone()).collect(),
            authors: revision.authors.clone(),
            made_from: match revision.origin {
                Origin::Replica | Origin::Partial => ShownMadeFrom::Replica,
                Origin::Resolution => ShownMadeFrom::Resolution,
                Origin::Part(proposal) => ShownMadeFrom::Proposal(proposal),
                Origin::Revert(version) => ShownMadeFrom::Version(version),
            },
            counts: revision.tables.iter().map(ShownTableSummary::from).collect(),
        }
    }
}

/// A vote.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownVote {
    /// Who.
    pub actor: String,
    /// What their token is called.
    pub token: Option<String>,
    /// When.
    pub at: String,
    /// The revision that it is on.
    pub revision: u64,
    /// The digest of what merging would have done then.
    pub digest: String,
    /// `approve`, `reject` or `abstain`.
    pub vote: &'static str,
    /// Why.
    pub comment: String,
    /// Whether it counts; null where nothing is counted any more.
    pub counts: Option<bool>,
    /// Why not: `stale`, `no_right`, `author`, `again`, `late`, `agent` or `not_owner`.
    pub why_not: Option<&'static str>,
}

impl ShownVote {
    pub(super) fn new(vote: &Vote, counts: Option<bool>, why_not: Option<WhyNot>) -> Self {
        ShownVote {
            actor: vote.actor.clone(),
            token: vote.token.clone(),
            at: moment(vote.at),
            revision: vote.ballot.revision,
            digest: hex(&vote.ballot.digest),
            vote: vote.ballot.word.name(),
            comment: vote.ballot.comment.clone(),
            counts,
            why_not: why_not.map(why_name),
        }
    }
}

/// A comment.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownComment {
    /// Its number, from 1.
    pub number: u64,
    /// Who.
    pub actor: String,
    /// When.
    pub at: String,
    /// The table, where it is about a row or a cell.
    pub table: Option<String>,
    /// The row, in the order of the key's columns.
    pub key: Option<Vec<ShownValue>>,
    /// The column, where it is about a cell.
    pub column: Option<String>,
    /// The comment it answers.
    pub reply_to: Option<u64>,
    /// The revision that was current.
    pub revision: u64,
    /// The text.
    pub text: String,
}

impl ShownComment {
    fn new(number: u64, comment: &Comment) -> Self {
        let Remark { anchor, reply_to, revision, text } = &comment.remark;
        let (table, key, column) = match anchor {
            Anchor::Whole => (None, None, None),
            Anchor::Row(table, key) => (Some(table), Some(key), None),
            Anchor::Cell(table, key, column) => (Some(table), Some(key), Some(column)),
        };
        ShownComment {
            number,
            actor: comment.actor.clone(),
            at: moment(comment.at),
            table: table.cloned(),
            key: key.map(|key| key.iter().map(ShownValue::from).collect()),
            column: column.cloned(),
            reply_to: *reply_to,
            revision: *revision,
            text: text.clone(),
        }
    }
}

/// A decision about a proposal as a whole.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownDecision {
    /// Who.
    pub actor: String,
    /// When.
    pub at: String,
    /// What it is from then on.
    pub stage: &'static str,
    /// Why.
    pub reason: String,
}

/// Why a merge came to nothing.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownFailure {
    /// A stable name.
    pub code: String,
    /// In words.
    pub reason: String,
}

/// What merging would do now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownResult {
    /// The revision that would be merged.
    pub revision: u64,
    /// The version it would be merged onto.
    pub head: u64,
    /// Names all of this. Votes and merges say it.
    pub digest: String,
    /// How many rows would change.
    pub rows: u64,
    /// In how many pages.
    pub pages: u64,
    /// What happens to the tables themselves.
    pub schema_steps: Vec<String>,
    /// What happens in each table.
    pub tables: Vec<ShownTableSummary>,
    /// How many conflicts would be left open.
    pub conflicts_open: usize,
    /// The conflicts, answered and open.
    pub conflicts: Vec<ShownConflict>,
    /// How many changes would wait for a parent.
    pub waiting: usize,
    /// What the gates say of the rows as they would be.
    pub gates: Vec<ShownGate>,
}

impl From<&Assessment> for ShownResult {
    fn from(assessment: &Assessment) -> Self {
        let outcome = &assessment.outcome;
        ShownResult {
            revision: assessment.revision,
            head: assessment.head,
            digest: hex(&assessment.digest),
            rows: outcome.count,
            pages: outcome.pages,
            schema_steps: outcome.schema.iter().map(describe).collect(),
            tables: assessment.tables.iter().map(ShownTableSummary::from).collect(),
            conflicts_open: assessment.conflicts_open(),
            conflicts: outcome.conflicts.iter().map(ShownConflict::from).collect(),
            waiting: outcome.waiting.len(),
            gates: assessment.gates.iter().map(ShownGate::from).collect(),
        }
    }
}

/// What happens in a table.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownTableSummary {
    /// The table.
    pub table: String,
    /// Rows that come.
    pub rows_added: u64,
    /// Rows that change.
    pub rows_updated: u64,
    /// Rows that go.
    pub rows_deleted: u64,
    /// Cells that change in rows that stay.
    pub cells_changed: u64,
}

impl From<&TableSummary> for ShownTableSummary {
    fn from(summary: &TableSummary) -> Self {
        ShownTableSummary {
            table: summary.table.clone(),
            rows_added: summary.inserted,
            rows_updated: summary.updated,
            rows_deleted: summary.deleted,
            cells_changed: summary.cells,
        }
    }
}

/// What a gate says.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownGate {
    /// The gate.
    pub gate: String,
    /// `block` or `warn`.
    pub severity: &'static str,
    /// `passed`, `failed` or `broke`.
    pub outcome: &'static str,
    /// Whether it stands in the way.
    pub is_blocking: bool,
    /// How many rows are not as they must be; where rows are counted, how many there are.
    pub rows: Option<u64>,
    /// Some of them.
    pub samples: Vec<ShownSample>,
    /// Why it could not be tried.
    pub why: Option<String>,
}

/// A row that is not as it must be.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownSample {
    /// Its table; empty for what a query found.
    pub table: String,
    /// Its key; empty for what a query found.
    pub key: Vec<ShownValue>,
    /// What is in the columns that the gate looks at.
    pub cells: ShownRow,
    /// Whether something was too long to be shown whole.
    pub is_cut: bool,
}

impl From<&GateResult> for ShownGate {
    fn from(result: &GateResult) -> Self {
        let (outcome, rows, samples, why) = match &result.outcome {
            Outcome::Passed => ("passed", None, Vec::new(), None),
            Outcome::Failed { rows, samples } => ("failed", Some(*rows), samples.iter().map(ShownSample::from).collect(), None),
            Outcome::Broke { why } => ("broke", None, Vec::new(), Some(why.clone())),
        };
        let (gate, severity) = (result.gate.clone(), result.severity.name());
        ShownGate { gate, severity, outcome, is_blocking: result.is_blocking(), rows, samples, why }
    }
}

impl From<&Sample> for ShownSample {
    fn from(sample: &Sample) -> Self {
        ShownSample {
            table: sample.table.clone(),
            key: sample.key.iter().map(ShownValue::from).collect(),
            cells: sample.cells.iter().map(|(column, value)| (column.clone(), value.into())).collect(),
            is_cut: sample.is_cut,
        }
    }
}

/// What a merge came to (MEX-4).
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownMerged {
    /// `merged`.
    pub status: &'static str,
    /// The proposal.
    pub proposal: u64,
    /// The version it became.
    pub version: u64,
    /// The hash of that version's event.
    pub commit: String,
    /// How many rows were added, updated and deleted.
    pub rows_affected: u64,
    /// What changed.
    pub diff: ShownDiff,
    /// Whether the staged rows are gone.
    pub staging_cleaned: bool,
    /// Whether it was merged before, by this request or another.
    pub repeated: bool,
}

/// What a merge changed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownDiff {
    /// The version before.
    pub version_before: u64,
    /// The version after.
    pub version_after: u64,
    /// Rows added.
    pub rows_added: u64,
    /// Rows updated.
    pub rows_updated: u64,
    /// Rows deleted.
    pub rows_deleted: u64,
    /// Cells changed in updated rows.
    pub cells_changed: u64,
}

impl ShownMerged {
    /// What merging a proposal came to.
    pub fn new(proposal: u64, merged: &Merged) -> Self {
        ShownMerged {
            status: "merged",
            proposal,
            version: merged.version,
            commit: hex(&merged.commit),
            rows_affected: merged.added + merged.updated + merged.deleted,
            diff: ShownDiff {
                version_before: merged.version.saturating_sub(1),
                version_after: merged.version,
                rows_added: merged.added,
                rows_updated: merged.updated,
                rows_deleted: merged.deleted,
                cells_changed: merged.cells,
            },
            staging_cleaned: merged.is_staging_clean,
            repeated: merged.is_repeated,
        }
    }
}

/// What a merge would come to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownPlan {
    /// Whether a merge without further options would be done now.
    pub would_merge: bool,
    /// What stands in its way, a line each.
    pub against: Vec<String>,
    /// Whether you may merge past votes and gates.
    pub may_force: bool,
    /// Whether you may merge with open conflicts.
    pub may_skip_conflicts: bool,
    /// How the proposal stands.
    #[serde(flatten)]
    pub proposal: ShownProposal,
}

/// A further revision.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownAnswered {
    /// The proposal.
    pub proposal: u64,
    /// Its revision from here on.
    pub revision: u64,
}

/// What came of accepting a part.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownPart {
    /// The proposal.
    pub proposal: u64,
    /// The proposal that the rest is now; null where nothing was left over, and nothing was done.
    pub rest: Option<u64>,
}

/// A proposal that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownOffered {
    /// Its number.
    pub proposal: u64,
}
