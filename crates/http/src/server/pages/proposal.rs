//! A proposal's page: gathered from how it stands, what merging it would do, and what was said.
mod changes;
pub mod deeds;
pub mod merging;
mod since;
mod talk;

use super::proposals::{frame, tables_of, title};
use super::{Asked, Shown, moment, shown};
use crate::server::Shared;
use crate::server::asked::{Asked as Query, Named};
use crate::server::finder;
use crate::server::guard::still;
use crate::server::reading::read;
use crate::wire::shown::conflict_id;
use axum::extract::{Extension, State};
use changes::Place;
use mainstem::accounts::Identity;
use mainstem::author::Author;
use mainstem::author::permit;
use mainstem::changeset_json::value_to_json;
use mainstem::core::authority::{Object, Right};
use mainstem::core::conflict::{Claim, Conflict, ConflictKind};
use mainstem::core::event::Digest;
use mainstem::core::gate::{GateResult, Outcome, Sample, Severity};
use mainstem::core::proposal::{Assessment, Origin, Stage, TableSummary, Vote, Word};
use mainstem::core::value::{Key, Value};
use mainstem::core::vote::WhyNot;
use mainstem::error::{Error, Result};
use mainstem::members::Members;
use mainstem::primary::Primary;
use mainstem::review::{By, Judged, People, Privilege};
use mainstem::schema_merge::describe;
use mainstem_pages::proposal::{ConflictLine, GateLine, May, Outlook, Proposal, RevisionLine, SideLine, TableLine, VoteLine};
use mainstem_pages::proposals::Badge;
use mainstem_pages::thread::Talk;
use mainstem_pages::value::{Room, ShownValue, seen};
use serde::Deserialize;
use std::sync::Arc;

/// Conflicts on one page.
const CONFLICTS: usize = 50;

/// What of a proposal is shown, and how.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalAsked {
    /// Only the changes of this table.
    table: Option<String>,
    /// `beside`, or one above the other.
    view: Option<String>,
    /// Where the changes begin.
    at: Option<Place>,
    /// What came of the last action.
    done: Option<String>,
}

/// A proposal's address.
fn path(dataset: &str, id: u64) -> String {
    format!("/datasets/{dataset}/proposals/{id}")
}

/// A dataset as somebody sees it, for what is asked of a proposal.
struct Asker<'a> {
    shared: &'a Shared,
    identity: &'a Identity,
    dataset: &'a str,
}

impl<'a> Asker<'a> {
    fn members(&self) -> Members<'a> {
        Members { registrar: &self.shared.registrar, dataset: self.dataset }
    }
    fn author(&self) -> Author<'a> {
        Author { registrar: &self.shared.registrar, identity: self.identity, dataset: self.dataset }
    }
    fn judged(&self, primary: &mut dyn Primary, id: u64) -> Result<Judged> {
        let members = self.members();
        let by = By { actor: &self.identity.name, token: None, people: &members, request: None };
        primary.proposal(id, by)?.ok_or_else(|| Error::not_found(format!("there is no proposal {id}")))
    }
    /// The same without waiting.
    fn judged_at_once(&self, primary: &mut dyn Primary, id: u64) -> Result<Judged> {
        let members = self.members();
        let by = By { actor: &self.identity.name, token: None, request: None, people: &members };
        primary.proposal_at_once(id, by)?.ok_or_else(|| Error::not_found(format!("there is no proposal {id}")))
    }
    fn has(&self, right: Right, object: Object<'_>) -> bool {
        permit(self.identity, right, object).is_ok()
    }
    /// What somebody may do with a proposal as it is.
    fn may(&self, judged: &Judged) -> May {
        let (proposal, tables) = (&judged.proposal, tables_of(judged));
        let on = |table: &String, right| self.has(right, Object::Table(self.dataset, table));
        let (is_open, members, me) = (proposal.stage.is_open(), self.members(), &self.identity.name);
        let takes_part = self.has(Right::Propose, Object::Within(self.dataset));
        let decides = takes_part && (proposal.actor == *me || members.has(me, Privilege::Decide));
        let writes = tables.iter().all(|table| on(table, Right::Write));
        let reviews = tables.iter().any(|table| on(table, Right::Review));
        let is_author = proposal.head().authors.contains(me);
        let why_no_vote = match (is_open && takes_part, reviews, is_author) {
            (false, ..) => None,
            (_, false, _) => Some("You have no right to review these tables, so you have no vote here."),
            (_, _, true) => Some("You authored changes in it: your own vote counts only where the policy says so."),
            _ => None,
        };
        May {
            vote: is_open && reviews && takes_part,
            why_no_vote,
            comment: takes_part,
            merge: is_open && writes,
            change: is_open && writes,
            withdraw: is_open && takes_part && proposal.actor == *me,
            reject: is_open && takes_part && members.has(me, Privilege::Decide),
            reopen: decides && matches!(proposal.stage, Stage::Withdrawn | Stage::Rejected) && !proposal.is_unstaged,
        }
    }
}

/// A proposal.
pub async fn proposal(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Extension<Identity>,
    Named((dataset, id)): Named<(String, u64)>,
    Query(asked): Query<ProposalAsked>,
) -> Shown {
    let mut frame = frame(&visit, &dataset, id, format!("Proposal {id}"))?;
    frame.notice = asked.done.as_deref().and_then(deeds::told);
    let gathering = |is_at_once| {
        let (accounts, name, person, asked) = (shared.clone(), dataset.clone(), identity.clone(), asked.clone());
        let talk = Talk { path: path(&dataset, id), form_key: visit.form_key.clone(), after: 0 };
        move |primary: &mut dyn Primary| {
            let identity = still(&accounts, &person, Right::Read, &name)?;
            let asker = Asker { shared: &accounts, identity: &identity, dataset: &name };
            let judged = if is_at_once { asker.judged_at_once(primary, id)? } else { asker.judged(primary, id)? };
            gather(primary, &asker, judged, &asked, talk)
        }
    };
    let mut page = read(&shared, &identity, &dataset, gathering(true)).await?;
    if page.is_unfound && !finder::begin(&shared, &dataset, id) {
        page = read(&shared, &identity, &dataset, gathering(false)).await?;
    }
    shown(&Proposal { frame, ..page })
}

fn gather(primary: &mut dyn Primary, asker: &Asker<'_>, judged: Judged, asked: &ProposalAsked, talk: Talk) -> Result<Proposal> {
    let id = judged.proposal.id;
    let (proposal, may, path) = (&judged.proposal, asker.may(&judged), path(asker.dataset, id));
    let comments = proposal.comments.len() as u64;
    let talk = may.comment.then_some(Talk { after: comments, ..talk });
    let merged = proposal.version.map(|version| primary.version(version)).transpose()?.flatten();
    let source = changes::Source::of(&judged, merged.as_ref());
    let (changes, keys) = changes::part(primary, &source, asked, &path, talk.as_ref(), &may)?;
    let (threads, elsewhere) = talk::beside(&judged, &keys, talk.as_ref());
    let conflicts: Vec<&Conflict> = source.outcome.iter().flat_map(|outcome| &outcome.conflicts).filter(|c| c.is_open()).collect();
    let description = Some(proposal.head().front.header.description.as_str()).filter(|text| !text.trim().is_empty());
    Ok(Proposal {
        dataset: asker.dataset.to_string(),
        id,
        title: title(&judged),
        description: description.map(|text| ShownValue::of_text(text, Room::Page)),
        actor: proposal.actor.clone(),
        at: moment(proposal.at),
        authors: proposal.head().authors.clone(),
        revisions: revisions(&judged),
        state: Badge::of(judged.state().name()),
        told: told(&judged, merged.as_ref()).map(|text| ShownValue::of_text(&text, Room::Page)),
        version: proposal.version,
        merged_at: merged.as_ref().map(|version| moment(version.accepted_at)),
        result: judged.assessment.as_ref().map(outlook),
        is_unfound: judged.is_unfound(),
        is_hidden: judged.is_hidden,
        tables: tables(&changes::summaries(primary, &source)?, &path, asked),
        schema: source.schema().iter().map(|step| seen(describe(step))).collect(),
        missing: judged.tally.missing.clone(),
        closes: judged.tally.closes.map(moment),
        votes: votes(&judged, merged.as_ref()),
        gates: judged.assessment.iter().flat_map(|assessment| &assessment.gates).map(gate).collect(),
        since: since::since(primary, &judged, &asker.identity.name)?,
        conflicts: if proposal.stage.is_open() { conflicts.iter().take(CONFLICTS).map(|c| conflict(c)).collect() } else { Vec::new() },
        conflicts_more: conflicts.len().saturating_sub(CONFLICTS),
        changes,
        comments,
        threads,
        elsewhere,
        may,
        path,
        frame: Default::default(),
    })
}

fn outlook(assessment: &Assessment) -> Outlook {
    Outlook { head: assessment.head, revision: assessment.revision, digest: hex(&assessment.digest), rows: assessment.outcome.count }
}

fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn tables(summaries: &[TableSummary], path: &str, asked: &ProposalAsked) -> Vec<TableLine> {
    let line = |table: &TableSummary| TableLine {
        table: seen(&table.table),
        to: format!("{path}{}#changes", changes::query(Some(&table.table), asked.view.as_deref(), None)),
        inserted: table.inserted,
        updated: table.updated,
        deleted: table.deleted,
        cells: table.cells,
        is_here: asked.table.as_ref().is_some_and(|only| *only == table.table),
    };
    summaries.iter().filter(|table| table.inserted + table.updated + table.deleted > 0).map(line).collect()
}

fn revisions(judged: &Judged) -> Vec<RevisionLine> {
    let line = |(at, (actor, when, revision)): (usize, &(String, _, mainstem::core::proposal::Revision))| RevisionLine {
        number: at as u64 + 1,
        actor: actor.clone(),
        at: moment(*when),
        base: revision.front.header.base_version,
        rows: revision.front.count,
        origin: match revision.origin {
            Origin::Replica | Origin::Partial => String::new(),
            Origin::Resolution => "conflicts were answered".to_string(),
            Origin::Part(of) => format!("a part of proposal {of}"),
            Origin::Revert(version) => format!("takes version {version} back"),
        },
    };
    judged.proposal.revisions.iter().enumerate().map(line).collect()
}

/// What became of it, where a person or a merge has said something.
fn told(judged: &Judged, merged: Option<&mainstem::core::event::Version>) -> Option<String> {
    let proposal = &judged.proposal;
    if let Some(reviewed) = merged.and_then(|version| version.review.as_ref()) {
        let passed =
            if reviewed.warnings.is_empty() { String::new() } else { format!(" What was passed over: {}.", reviewed.warnings.join("; ")) };
        return Some(format!("Merged by {}.{passed}", reviewed.actor));
    }
    if let Some(failure) = &proposal.failure {
        return Some(format!("The last merge came to nothing: {}.", failure.message));
    }
    let (actor, _, decision) = proposal.decision.as_ref().filter(|_| !proposal.stage.is_open())?;
    let why = if decision.reason.trim().is_empty() { String::new() } else { format!(": {}", decision.reason) };
    Some(format!("{} by {actor}{why}", capital(proposal.stage.name())))
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn votes(judged: &Judged, merged: Option<&mainstem::core::event::Version>) -> Vec<VoteLine> {
    let line = |vote: &Vote, why_not: Option<WhyNot>| VoteLine {
        actor: vote.actor.clone(),
        word: match vote.ballot.word {
            Word::Approve => Badge { word: "approves", tone: "good" },
            Word::Reject => Badge { word: "rejects", tone: "bad" },
            Word::Abstain => Badge { word: "abstains", tone: "" },
        },
        at: moment(vote.at),
        comment: Some(vote.ballot.comment.as_str())
            .filter(|text| !text.trim().is_empty())
            .map(|text| ShownValue::of_text(text, Room::Page)),
        why_not: why_not.map(in_words),
    };
    if let Some(reviewed) = merged.and_then(|version| version.review.as_ref()) {
        return reviewed.votes.iter().map(|vote| line(vote, None)).collect();
    }
    if judged.assessment.is_none() {
        return judged.proposal.votes.iter().map(|vote| line(vote, None)).collect();
    }
    let counted = judged.tally.counted.iter().map(|vote| line(vote, None));
    counted.chain(judged.tally.passed_over.iter().map(|(vote, why)| line(vote, Some(*why)))).collect()
}

fn in_words(why: WhyNot) -> &'static str {
    match why {
        WhyNot::Stale => "merging would do something else by now",
        WhyNot::NoRight => "who gave it may not vote",
        WhyNot::Author => "who gave it authored changes in it",
        WhyNot::Again => "the same person's later vote counts",
        WhyNot::Late => "it came after the time to vote",
        WhyNot::Agent => "a program gave it",
        WhyNot::NotOwner => "only owners' votes count",
    }
}

fn gate(result: &GateResult) -> GateLine {
    let (outcome, told) = match (&result.outcome, result.severity) {
        (Outcome::Passed, _) => (Badge { word: "passes", tone: "good" }, String::new()),
        (Outcome::Failed { rows, .. }, Severity::Warn) => (Badge { word: "warns", tone: "warn" }, failing(*rows, "should")),
        (Outcome::Failed { rows, .. }, Severity::Block) => (Badge { word: "blocks", tone: "bad" }, failing(*rows, "must")),
        (Outcome::Broke { why }, _) => (Badge { word: "broke", tone: "bad" }, format!("nobody can tell: {why}")),
    };
    let samples: &[Sample] = if let Outcome::Failed { samples, .. } = &result.outcome { samples } else { &[] };
    GateLine {
        name: seen(&result.gate),
        outcome,
        told: seen(&told),
        is_blocking: result.is_blocking(),
        samples: samples.iter().map(sample).collect(),
    }
}

fn failing(rows: u64, must: &str) -> String {
    if rows == 1 { format!("one row is not as it {must} be") } else { format!("{rows} rows are not as they {must} be") }
}

fn sample(sample: &Sample) -> mainstem_pages::proposal::Sample {
    let shown = |value: &Value| ShownValue::new(value, Room::Cell);
    let place = (!sample.table.is_empty()).then(|| (seen(&sample.table), sample.key.iter().map(shown).collect()));
    let cells = sample.cells.iter().map(|(column, value)| (seen(column), shown(value)));
    mainstem_pages::proposal::Sample { place, cells: cells.collect() }
}

fn conflict(conflict: &Conflict) -> ConflictLine {
    let side = |choice, name: String, claim: &Claim| SideLine { choice, name, claim: claim_of(claim) };
    let both = mainstem::at_primary::merged(conflict).ok();
    ConflictLine {
        id: conflict_id(conflict.id),
        kind: match conflict.kind {
            ConflictKind::CreateCreate => "both made this row",
            ConflictKind::UpdateUpdate => "both changed this cell",
            ConflictKind::UpdateDelete => "changed here, deleted there",
            ConflictKind::DeleteUpdate => "deleted here, changed there",
            ConflictKind::MissingParent => "points to a row that is gone",
            ConflictKind::Unique => "two rows want one value",
            ConflictKind::Constraint => "breaks a constraint",
            ConflictKind::Schema => "contradicts a change of the tables",
        },
        table: seen(&conflict.table),
        key: conflict.key.iter().map(|part| ShownValue::new(part, Room::Cell)).collect(),
        column: conflict.column.as_ref().map(seen),
        sides: [
            side("ours", format!("The proposal, written by {}", conflict.ours.actor), &conflict.ours.claim),
            side("theirs", format!("What is there now, written by {}", conflict.theirs.actor), &conflict.theirs.claim),
            side("base", "What both started from".to_string(), &conflict.base),
        ]
        .into_iter()
        .chain(both.map(|both| side("merged", "Both together: they changed different places".to_string(), &Claim::Cell(both))))
        .collect(),
        detail: Some(conflict.detail.as_str()).filter(|text| !text.is_empty()).map(seen),
        takes_value: conflict.column.is_some() && matches!(conflict.ours.claim, Claim::Cell(_)),
    }
}

fn claim_of(claim: &Claim) -> Option<Vec<(Option<ShownValue>, ShownValue)>> {
    match claim {
        Claim::Cell(value) => Some(vec![(None, ShownValue::new(value, Room::Cell))]),
        Claim::Row(None) => None,
        Claim::Row(Some(image)) => {
            let cell = |(column, value): &(String, Value)| (Some(seen(column)), ShownValue::new(value, Room::Cell));
            Some(image.iter().map(cell).collect())
        }
    }
}

/// A key as forms say it.
fn key_text(key: &Key) -> String {
    serde_json::Value::Array(key.iter().map(value_to_json).collect()).to_string()
}
