//! A proposal for the terminal: the summary, what was said, and what to type next.
use crate::commands::conflicts::place;
use crate::exit_codes::Exit;
use crate::json;
use crate::output::{Output, Paint};
use crate::plain_text::{self, Extent, count, hex, key, moment, name};
use crate::wiring::Session;
use mainstem::primary::Primary;
use mainstem::review::{By, Judged, State};
use mainstem::{Error, Result};
use mainstem_core::gate::{GateResult, Outcome};
use mainstem_core::proposal::{Anchor, Comment, Reviewed, Stage, TableSummary, Vote};
use mainstem_core::vote::{Verdict, WhyNot};
use serde_json::Value as Json;

/// Tells what a command did.
pub fn done(session: &mut Session, told: &Json, text: &str) -> Result<Exit> {
    if session.out.is_json() {
        session.out.json(told)?
    } else {
        session.out.line(text)?
    }
    Ok(Exit::Done)
}

/// The proposal of that number.
pub fn found(primary: &mut dyn Primary, id: u64, by: By<'_>) -> Result<Judged> {
    primary.proposal(id, by)?.ok_or_else(|| Error::not_found(format!("there is no proposal {id}")).hint("mainstem proposals"))
}

/// Who, when, what it would do, how the votes stand.
pub fn summary(out: &mut Output, judged: &Judged) -> Result<()> {
    let proposal = &judged.proposal;
    let front = &proposal.head().front;
    let title = name(front.header.title.as_deref().unwrap_or("(no title)"));
    let heading = out.paint(Paint::Heading, format!("proposal {}: {title}", proposal.id));
    out.line(format_args!("{heading} ({})", judged.state().name()))?;
    let revision = proposal.revisions.len();
    let on = judged.assessment.as_ref().map_or(String::new(), |assessment| format!(", onto version {}", assessment.head));
    out.line(format_args!("revision {revision} by {}, {}{on}", name(&front.header.actor), moment(proposal.touched)))?;
    front.header.description.lines().try_for_each(|line| out.line(format_args!("    {}", name(line))))?;
    if let Some((actor, at, decision)) = &proposal.decision {
        let why = if decision.reason.is_empty() { String::new() } else { format!(": {}", name(&decision.reason)) };
        out.line(format_args!("{} by {}, {}{why}", decision.stage.name(), name(actor), moment(*at)))?;
    }
    if let Some(version) = proposal.version {
        out.line(format_args!("it is version {version}: {}", out.suggest(&format!("mainstem show {version}"))))?;
    }
    if let (Stage::Merging, Some((actor, at, _))) = (proposal.stage, &proposal.merge) {
        let next = out.suggest(&format!("mainstem merge {}", proposal.id));
        out.line(format_args!(
            "merging since {}, begun by {}; if that was interrupted, anybody's next merge goes on: {next}",
            moment(*at),
            name(actor)
        ))?;
    }
    if let Some(failure) = &proposal.failure {
        out.line(format_args!("the last merge came to nothing: {}", name(&failure.message)))?;
    }
    if let Some(assessment) = &judged.assessment {
        assessment.outcome.schema.iter().try_for_each(|step| out.line(crate::changeset_view::schema_line(step)))?;
        assessment.tables.iter().try_for_each(|table| out.line(table_line(table)))?;
        for conflict in assessment.outcome.conflicts.iter().filter(|conflict| conflict.is_open()) {
            out.line(format_args!("conflict {}: {} ({})", json::conflict_id(conflict.id), place(conflict), conflict.kind.name()))?;
        }
        for waiting in &assessment.outcome.waiting {
            out.line(format_args!("waits for its parent in {}: {} {}", name(&waiting.parent), name(&waiting.table), key(&waiting.key)))?;
        }
        gates(out, &assessment.gates, false)?;
    }
    votes(out, judged)
}

/// What was offered, as it is known before anybody has found what merging it does.
pub fn offered(out: &mut Output, judged: &Judged) -> Result<()> {
    let head = judged.proposal.head();
    out.line(format_args!("offered with {}:", count(head.front.count, "changed row", "changed rows")))?;
    head.tables.iter().try_for_each(|table| out.line(table_line(table)))?;
    out.line("what merging it does now, with conflicts and gates, is being found out ...\n")
}

/// In what the last revision differs from the one that an actor has voted on.
pub fn since(out: &mut Output, primary: &mut dyn Primary, judged: &Judged, actor: &str) -> Result<()> {
    let last = judged.proposal.revisions.len() as u64;
    let vote = judged.proposal.votes.iter().find(|vote| vote.actor == actor && vote.ballot.revision < last);
    let (Some(vote), true) = (vote, judged.assessment.is_some()) else { return Ok(()) };
    let voted_on = vote.ballot.revision;
    let Some(differing) = primary.differing(judged.proposal.id, voted_on, last)? else { return Ok(()) };
    let parts = [(differing.added, "in it by now"), (differing.changed, "otherwise by now"), (differing.removed, "not in it any more")];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", count(*n, "row", "rows"))).collect();
    let what = if parts.is_empty() { "the same rows".to_owned() } else { parts.join(", ") };
    out.line(format_args!("since your vote on revision {voted_on}: {what}"))
}

fn table_line(table: &TableSummary) -> String {
    let cells = if table.updated > 0 { format!(" ({})", count(table.cells, "cell", "cells")) } else { String::new() };
    let parts = [(table.inserted, "added", ""), (table.updated, "updated", cells.as_str()), (table.deleted, "deleted", "")];
    let parts: Vec<String> = parts.iter().filter(|part| part.0 > 0).map(|(n, what, more)| format!("{n} {what}{more}")).collect();
    let what = if parts.is_empty() { "as it is".to_owned() } else { parts.join(", ") };
    format!("  {}: {what}", name(&table.table))
}

fn votes(out: &mut Output, judged: &Judged) -> Result<()> {
    let said = |vote: &Vote, why: &str| {
        let comment = if vote.ballot.comment.is_empty() { String::new() } else { format!(": {}", name(&vote.ballot.comment)) };
        format!("  {} {}{why}{comment}", name(&vote.actor), vote.ballot.word.name())
    };
    if judged.assessment.is_none() {
        return judged.proposal.votes.iter().try_for_each(|vote| out.line(said(vote, "")));
    }
    judged.tally.counted.iter().try_for_each(|vote| out.line(said(vote, "")))?;
    for (vote, why) in &judged.tally.passed_over {
        out.line(said(vote, &format!(" (does not count: {})", why_not(*why))))?;
    }
    if judged.tally.verdict != Verdict::Approved {
        judged.tally.missing.iter().try_for_each(|line| out.line(format_args!("missing: {}", name(line))))?;
    }
    Ok(())
}

fn why_not(why: WhyNot) -> &'static str {
    match why {
        WhyNot::Stale => "given on another result",
        WhyNot::NoRight => "no right to vote",
        WhyNot::Author => "an author",
        WhyNot::Again => "voted again",
        WhyNot::Late => "too late",
        WhyNot::Agent => "a program",
        WhyNot::NotOwner => "no owner",
    }
}

/// How a version came out of a proposal, in one line.
pub fn reviewed(reviewed: &Reviewed) -> String {
    let approvers: Vec<String> = reviewed.approvers().map(name).collect();
    let approved = if approvers.is_empty() { "approved by nobody".into() } else { format!("approved by {}", approvers.join(", ")) };
    let passed = match &reviewed.warnings[..] {
        [] => String::new(),
        passed => format!(", past {}", passed.iter().map(|what| name(what)).collect::<Vec<_>>().join(", ")),
    };
    format!("proposal {}, {approved}, merged by {}{passed}", reviewed.proposal, name(&reviewed.actor))
}

/// What gates say: those that hold in one line, each other with rows that show why.
pub fn gates(out: &mut Output, results: &[GateResult], has_all: bool) -> Result<()> {
    for result in results {
        let gate = name(&result.gate);
        let blocks = if result.is_blocking() { "blocks" } else { "warns" };
        match &result.outcome {
            Outcome::Passed if has_all => out.line(format_args!("gate {gate}: holds"))?,
            Outcome::Passed => {}
            Outcome::Failed { rows, samples } => {
                out.line(format_args!("gate {gate}: {} not as they must be ({blocks})", count(*rows, "row is", "rows are")))?;
                for sample in samples {
                    let cells =
                        sample.cells.iter().map(|(column, value)| format!("{}: {}", name(column), plain_text::value(value, Extent::Short)));
                    let cells = cells.collect::<Vec<_>>().join(", ");
                    out.line(format_args!("    {} {}  {cells}", name(&sample.table), key(&sample.key)))?;
                }
            }
            Outcome::Broke { why } => out.line(format_args!("gate {gate}: nobody knows, since {} ({blocks})", name(why)))?,
        }
    }
    Ok(())
}

/// Comments, each thread together.
pub fn discussion(out: &mut Output, judged: &Judged) -> Result<()> {
    let comments = &judged.proposal.comments;
    let numbered = || comments.iter().enumerate().map(|(at, comment)| (at as u64 + 1, comment));
    for (number, comment) in numbered().filter(|(_, comment)| comment.remark.reply_to.is_none()) {
        said(out, number, comment, 0)?;
        thread(out, comments, number, 1)?;
    }
    out.line("")
}

fn thread(out: &mut Output, comments: &[Comment], of: u64, depth: usize) -> Result<()> {
    for (at, comment) in comments.iter().enumerate().filter(|(_, comment)| comment.remark.reply_to == Some(of)) {
        said(out, at as u64 + 1, comment, depth)?;
        thread(out, comments, at as u64 + 1, depth + 1)?;
    }
    Ok(())
}

fn said(out: &mut Output, number: u64, comment: &Comment, depth: usize) -> Result<()> {
    let on = match &comment.remark.anchor {
        Anchor::Whole => String::new(),
        Anchor::Row(table, row) => format!(" on {} {}", name(table), key(row)),
        Anchor::Cell(table, row, column) => format!(" on {} {} {}", name(table), key(row), name(column)),
    };
    let indent = "    ".repeat(depth.min(8));
    out.line(format_args!("{indent}#{number} {}{on}, {}:", name(&comment.actor), moment(comment.at)))?;
    comment.remark.text.lines().try_for_each(|line| out.line(format_args!("{indent}    {}", name(line))))
}

/// What to type next, and what was shown.
pub fn next(out: &mut Output, judged: &Judged) -> Result<()> {
    let id = judged.proposal.id;
    if let Some(assessment) = &judged.assessment {
        out.line(format_args!("\nwhat merging does now: {}", &hex(&assessment.digest)[..16]))?;
    }
    let next = match judged.state() {
        State::Approved => format!("merge it with: mainstem merge {id}"),
        State::HasConflicts => format!("answer its conflicts with: mainstem answer {id} CONFLICT --ours (or --theirs, --base, --value V)"),
        State::Open | State::MergeFailed => {
            format!("vote on it with: mainstem vote {id} approve (reject -m WHY, abstain)")
        }
        State::Rejected if judged.assessment.is_none() => format!("open it again with: mainstem reopen {id}"),
        _ => return Ok(()),
    };
    out.line(out.suggest(&next))
}
