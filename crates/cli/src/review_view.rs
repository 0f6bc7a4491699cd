//! Proposals and what is done to them, as JSON and for the terminal.
use crate::{json, plain_text};
use mainstem::core::conflict::Conflict;
use mainstem::core::gate::{GateResult, Outcome, Sample};
use mainstem::core::proposal::{
    Act, Anchor, Assessment, Ballot, MergeWish, Origin, Remark, Reviewed, Reviewing, Revision, Stage, TableSummary, Vote,
};
use mainstem::core::vote::{Verdict, WhyNot};
use mainstem::review::Judged;
use serde_json::{Value as Json, json};

/// What was done to a proposal.
pub fn event(event: &Reviewing) -> Json {
    let mut shown = json!({
        "event": "review", "proposal": event.proposal, "actor": event.actor, "token": event.token, "at": json::moment(event.at),
    });
    let (act, detail) = match &event.act {
        Act::Revise(revision) => ("revise", self::revision(revision)),
        Act::Vote(ballot) => ("vote", self::ballot(ballot)),
        Act::Comment(remark) => ("comment", self::remark(remark)),
        Act::Decide(decision) => (decision.stage.name(), json!({ "reason": decision.reason })),
        Act::BeginMerge(wish) => ("begin-merge", self::wish(wish)),
        Act::FailMerge(failure) => ("fail-merge", json!({ "code": failure.code, "reason": failure.message })),
        Act::Unstage => ("unstage", json!({})),
    };
    shown["act"] = act.into();
    if let (Json::Object(shown), Json::Object(detail)) = (&mut shown, detail) {
        shown.extend(detail);
    }
    shown
}

fn revision(revision: &Revision) -> Json {
    let mut shown = json::header(&revision.front.header);
    shown["changes"] = revision.front.count.into();
    shown["tables"] = revision.front.shapes.iter().map(|shape| shape.table.clone()).collect();
    shown["authors"] = revision.authors.clone().into();
    shown["counts"] = revision.tables.iter().map(summary).collect();
    shown["made_from"] = match revision.origin {
        Origin::Replica | Origin::Partial => json!("replica"),
        Origin::Resolution => json!("resolution"),
        Origin::Part(proposal) => json!({ "proposal": proposal }),
        Origin::Revert(version) => json!({ "version": version }),
    };
    shown
}

fn ballot(ballot: &Ballot) -> Json {
    json!({ "revision": ballot.revision, "digest": plain_text::hex(&ballot.digest), "vote": ballot.word.name(), "comment": ballot.comment })
}

fn remark(remark: &Remark) -> Json {
    let on = match &remark.anchor {
        Anchor::Whole => json!(null),
        Anchor::Row(table, key) => json!({ "table": table, "key": key.iter().map(json::value).collect::<Vec<_>>() }),
        Anchor::Cell(table, key, column) => {
            json!({ "table": table, "key": key.iter().map(json::value).collect::<Vec<_>>(), "column": column })
        }
    };
    json!({ "on": on, "reply_to": remark.reply_to, "revision": remark.revision, "text": remark.text })
}

fn wish(wish: &MergeWish) -> Json {
    json!({
        "request": json::bits(wish.request), "expected": wish.expected, "may_alter": wish.may_alter,
        "skip_conflicts": wish.skip_conflicts, "force": wish.force, "keep_staging": wish.keep_staging,
    })
}

/// How a version came out of a proposal.
pub fn reviewed(reviewed: &Reviewed) -> Json {
    json!({
        "proposal": reviewed.proposal, "revision": reviewed.revision, "digest": plain_text::hex(&reviewed.digest),
        "merged_by": reviewed.actor, "token": reviewed.token, "approved_by": reviewed.approvers().collect::<Vec<_>>(),
        "votes": reviewed.votes.iter().map(|one| vote(one, None)).collect::<Vec<_>>(),
        "options": wish(&reviewed.wish), "warnings": reviewed.warnings,
        "gates": gates(&reviewed.gates),
    })
}

/// What gates said.
pub fn gates(results: &[GateResult]) -> Json {
    results.iter().map(gate).collect()
}

fn gate(result: &GateResult) -> Json {
    let mut shown = json!({ "gate": result.gate, "severity": result.severity.name(), "blocks": result.is_blocking() });
    match &result.outcome {
        Outcome::Passed => shown["outcome"] = "passed".into(),
        Outcome::Failed { rows, samples } => {
            shown["outcome"] = "failed".into();
            shown["rows"] = json!(rows);
            shown["samples"] = samples.iter().map(sample).collect();
        }
        Outcome::Broke { why } => (shown["outcome"], shown["why"]) = ("broke".into(), json!(why)),
    }
    shown
}

fn sample(sample: &Sample) -> Json {
    let cells: serde_json::Map<String, Json> = sample.cells.iter().map(|(column, value)| (column.clone(), json::value(value))).collect();
    json!({ "table": sample.table, "key": sample.key.iter().map(json::value).collect::<Vec<_>>(), "cells": cells, "cut": sample.is_cut })
}

fn vote(vote: &Vote, why: Option<WhyNot>) -> Json {
    let mut shown = ballot(&vote.ballot);
    (shown["actor"], shown["at"], shown["token"]) = (json!(vote.actor), json::moment(vote.at), json!(vote.token));
    (shown["counts"], shown["why_not"]) = (json!(why.is_none()), json!(why.map(why_name)));
    shown
}

/// How a proposal stands.
pub fn judged(judged: &Judged) -> Json {
    let proposal = &judged.proposal;
    let revisions = proposal.revisions.iter().map(|(actor, at, revision)| {
        let mut shown = self::revision(revision);
        (shown["offered_by"], shown["offered_at"]) = (json!(actor), json::moment(*at));
        shown
    });
    let votes = judged.tally.counted.iter().map(|one| vote(one, None));
    let passed_over = judged.tally.passed_over.iter().map(|(one, why)| vote(one, Some(*why)));
    let comments = proposal.comments.iter().enumerate().map(|(at, comment)| {
        let mut shown = remark(&comment.remark);
        (shown["number"], shown["actor"], shown["at"]) = (json!(at + 1), json!(comment.actor), json::moment(comment.at));
        shown
    });
    json!({
        "proposal": proposal.id,
        "title": proposal.head().front.header.title,
        "description": proposal.head().front.header.description,
        "state": judged.state().name(),
        "actor": proposal.actor,
        "offered_at": json::moment(proposal.at),
        "touched_at": json::moment(proposal.touched),
        "version": proposal.version,
        "verdict": verdict(judged.tally.verdict),
        "missing": judged.tally.missing,
        "closes": judged.tally.closes.map(json::moment),
        "revisions": revisions.collect::<Vec<_>>(),
        "votes": votes.chain(passed_over).collect::<Vec<_>>(),
        "comments": comments.collect::<Vec<_>>(),
        "decision": proposal.decision.as_ref().map(|(actor, at, decision)| {
            json!({ "actor": actor, "at": json::moment(*at), "stage": decision.stage.name(), "reason": decision.reason })
        }),
        "merging": proposal.merge.as_ref().filter(|_| proposal.stage == Stage::Merging)
            .map(|(actor, at, _)| json!({ "actor": actor, "since": json::moment(*at) })),
        "failure": proposal.failure.as_ref().map(|failure| json!({ "code": failure.code, "reason": failure.message })),
        "is_found": !judged.is_unfound(),
        "result": judged.assessment.as_ref().map(result),
    })
}

fn result(assessment: &Assessment) -> Json {
    let columns = |conflict: &Conflict| {
        let shape = assessment.outcome.shapes.iter().find(|shape| shape.table.eq_ignore_ascii_case(&conflict.table));
        shape
            .map(|shape| json::key_columns(shape).into_iter().map(str::to_owned).collect())
            .unwrap_or_else(|| (1..=conflict.key.len()).map(|at| format!("key{at}")).collect::<Vec<String>>())
    };
    let tables = assessment.tables.iter().map(summary);
    json!({
        "revision": assessment.revision,
        "head": assessment.head,
        "digest": plain_text::hex(&assessment.digest),
        "rows": assessment.outcome.count,
        "schema_steps": assessment.outcome.schema.iter().map(crate::changeset_view::schema_line).collect::<Vec<_>>(),
        "tables": tables.collect::<Vec<_>>(),
        "conflicts_open": assessment.conflicts_open(),
        "conflicts": assessment.outcome.conflicts.iter().map(|conflict| json::conflict(conflict, &columns(conflict))).collect::<Vec<_>>(),
        "waiting": assessment.outcome.waiting.len(),
        "gates": gates(&assessment.gates),
    })
}

fn summary(table: &TableSummary) -> Json {
    json!({
        "table": table.table, "rows_added": table.inserted, "rows_updated": table.updated, "rows_deleted": table.deleted,
        "cells_changed": table.cells,
    })
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
