//! What push, pull and sync have in common: running them on the opened pair, and telling what they did.
use crate::output::Output;
use crate::plain_text::{count, name};
use crate::wiring::Session;
use mainstem::Result;
use mainstem::primary::Primary;
use mainstem::replica::{Progress, Replica};
use mainstem::sync::Report;
use serde_json::{Value as Json, json};

/// One of `mainstem::sync::{push, pull, sync}`.
pub type Exchange = fn(&mut dyn Replica, &mut dyn Primary, &str, Progress<'_>) -> Result<Report>;

/// Runs an exchange between the replica and its primary, and tells what it did.
pub fn run(session: &mut Session, exchange: Exchange, may_delete_many: bool) -> Result<Report> {
    let mut opened = session.replica()?;
    let actor = session.actor(&opened.standing)?;
    opened.replica.lock(&actor)?;
    // Another process may have set the scope or the address until now.
    let mut primary = session.primary_of(&opened.replica.standing()?)?;
    if may_delete_many {
        opened.replica.accept_deletions();
    }
    let mut bar = session.bar();
    let outcome = exchange(&mut opened.replica, primary.as_mut(), &actor, &mut |what, done, of| {
        bar.report(what, done, of);
    });
    drop(bar);
    let report = outcome?;
    show(session, &report)?;
    Ok(report)
}

/// Shows a report.
pub fn show(session: &mut Session, report: &Report) -> Result<()> {
    if session.out.is_json() { session.out.json(&shown(report)) } else { tell(&mut session.out, report) }
}

/// The JSON shape of a report.
pub fn shown(report: &Report) -> Json {
    json!({
        "pushed": report.pushed,
        "pushed_changes": report.pushed_changes,
        "pulled": report.pulled,
        "pulled_changes": report.pulled_changes,
        "conflicts": report.conflicts,
        "conflicts_open": report.conflicts_open,
        "pending": report.pending,
        "renumbered": report.renumbered,
        "reconciled": report.reconciled,
        "restored": report.is_restored,
        "offered_again": report.offered_again,
        "reseeded": report.is_reseeded,
        "edits_of_gone_rows": report.edits_of_gone_rows,
        "set_aside": report.set_aside,
        "version": report.version,
        "waiting_for_review": waiting_for_review(&report.waiting_for_review),
        "merged_proposals": report.merged_proposals,
        "proposed_again": report.proposed_again,
    })
}

/// Tables with changes that wait until they are proposed, as JSON.
pub fn waiting_for_review(waiting: &[(String, u64)]) -> Json {
    waiting.iter().map(|(table, changes)| json!({ "table": table, "changes": changes })).collect()
}

/// Tells of changes that wait until they are proposed.
pub fn tell_of_review(out: &mut Output, waiting: &[(String, u64)]) -> Result<()> {
    for (table, changes) in waiting {
        let what = format!("{} in {}", count(*changes, "change", "changes"), name(table));
        let wait = if *changes == 1 { "waits" } else { "wait" };
        out.line(format_args!("{what} {wait} for review: {}", out.suggest("mainstem propose")))?;
    }
    Ok(())
}

/// What became of a history that replica and primary did not share any more.
fn tell_of_histories(out: &mut Output, report: &Report) -> Result<()> {
    if report.is_restored {
        let again = count(report.offered_again, "version", "versions");
        let what = if report.offered_again > 0 {
            format!("offered {again} again that it had lost")
        } else {
            "it had lost nothing of what is here".into()
        };
        out.line(format_args!("the primary was restored from an older copy: {what}"))?;
    }
    if report.is_reseeded {
        out.line("began again from the primary's rows, with what is unsent on top")?;
    }
    if report.set_aside > 0 {
        let changes = count(report.set_aside, "change", "changes");
        out.line(format_args!("put {changes} aside, of rows that this copy may not see: {}", out.suggest("mainstem stash list")))?;
    }
    if report.edits_of_gone_rows > 0 {
        let rows = count(report.edits_of_gone_rows, "row", "rows");
        out.line(format_args!("kept unsent edits of {rows} that are gone at the primary as conflicts"))?;
    }
    Ok(())
}

/// Tells a report to a person.
pub fn tell(out: &mut Output, report: &Report) -> Result<()> {
    tell_of_histories(out, report)?;
    if report.reconciled > 0 {
        let rows = count(report.reconciled, "row", "rows");
        out.line(format_args!("found {rows} written past capture, and took what they hold as edits"))?;
    }
    if report.pushed > 0 {
        let rows = count(report.pushed_changes, "row", "rows");
        out.line(format_args!("sent {} ({rows})", count(report.pushed, "changeset", "changesets")))?;
    }
    if report.pulled > 0 {
        let versions = count(report.pulled, "version", "versions");
        out.line(format_args!("received {versions}"))?;
    }
    if report.renumbered > 0 {
        let rows = count(report.renumbered, "row", "rows");
        out.line(format_args!("gave {rows} another number, because theirs was taken"))?;
    }
    if report.conflicts > 0 {
        out.line(format_args!("found {}", count(report.conflicts, "conflict", "conflicts")))?;
    }
    if report.pushed + report.pulled == 0 {
        out.line(format_args!("up to date at version {}", report.version))?;
    } else {
        out.line(format_args!("now at version {}", report.version))?;
    }
    for id in &report.merged_proposals {
        out.line(format_args!("proposal {id} is merged: {}", out.suggest(&format!("mainstem review {id}"))))?;
    }
    if report.proposed_again > 0 {
        let lost = count(report.proposed_again, "proposal", "proposals");
        out.line(format_args!("offered {lost} again that the primary had lost: {}", out.suggest("mainstem proposals --mine")))?;
    }
    tell_of_review(out, &report.waiting_for_review)?;
    if report.pending > 0 {
        let changes = count(report.pending, "change waits", "changes wait");
        out.line(format_args!("{changes} for a parent row: {}", out.suggest("mainstem pending")))?;
    }
    if report.conflicts_open > 0 {
        let open = count(report.conflicts_open, "conflict is", "conflicts are");
        out.line(format_args!("{open} open: {}", out.suggest("mainstem conflicts")))?;
    }
    Ok(())
}
