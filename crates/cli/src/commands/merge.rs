//! `mainstem merge`.
use crate::exit_codes::Exit;
use crate::plain_text::{count, hex};
use crate::review_text;
use crate::wiring::Session;
use mainstem::Result;
use mainstem::review::{Judged, Merged};
use mainstem_core::proposal::MergeWish;
use mainstem_core::vote::Verdict;
use serde_json::{Value as Json, json};

/// Merges a proposal: all of it becomes one version, or nothing happens
///
/// Votes, conflicts and gates are looked at again inside the merge. Asking twice merges once. Merging past conflicts, or
/// past votes and gates, are rights of their own, and are written down.
///
/// Examples:
///   mainstem merge 3 --dry-run
///   mainstem merge 3
///   mainstem merge 3 --expected 17 --no-schema
///   mainstem merge 3 --json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Merge {
    /// The proposal
    #[arg(value_name = "ID")]
    id: u64,
    /// Say what it would do, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Merge only onto this version
    #[arg(long, value_name = "VERSION")]
    expected: Option<u64>,
    /// Refuse where it changes the tables themselves
    #[arg(long)]
    no_schema: bool,
    /// Merge with open conflicts, which stay open
    #[arg(long)]
    skip_conflicts: bool,
    /// Merge without the votes, and past failed gates
    #[arg(long)]
    force: bool,
    /// Keep the staged rows
    #[arg(long)]
    keep_staging: bool,
}

impl Merge {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let opened = session.replica()?;
        let actor = session.actor(&opened.standing)?;
        let mut primary = session.primary_of(&opened.standing)?;
        let by = session.by(&actor);
        if self.dry_run {
            let judged = review_text::found(primary.as_mut(), self.id, by)?;
            return rehearsed(session, &judged);
        }
        let wish = MergeWish {
            digest: opened.replica.shown(self.id)?.map(|(_, digest)| digest),
            expected: self.expected,
            may_alter: !self.no_schema,
            skip_conflicts: self.skip_conflicts,
            force: self.force,
            keep_staging: self.keep_staging,
            ..MergeWish::new(session.around.random())
        };
        let merged = primary.merge(self.id, &wish, by)?;
        show(session, self.id, &merged)
    }
}

/// What merging did, as JSON (MEX-4).
fn shown(id: u64, merged: &Merged) -> Json {
    json!({
        "status": "merged",
        "proposal": id,
        "version": merged.version,
        "commit": hex(&merged.commit),
        "rows_affected": merged.added + merged.updated + merged.deleted,
        "diff": {
            "version_before": merged.version - 1,
            "version_after": merged.version,
            "rows_added": merged.added,
            "rows_updated": merged.updated,
            "rows_deleted": merged.deleted,
            "cells_changed": merged.cells,
        },
        "staging_cleaned": merged.is_staging_clean,
        "repeated": merged.is_repeated,
    })
}

fn show(session: &mut Session, id: u64, merged: &Merged) -> Result<Exit> {
    let rows = [(merged.added, "added"), (merged.updated, "updated"), (merged.deleted, "deleted")];
    let rows: Vec<String> = rows.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", count(*n, "row", "rows"))).collect();
    let rows = if rows.is_empty() { "no rows".to_owned() } else { rows.join(", ") };
    let before = if merged.is_repeated { "was merged before, as" } else { "is" };
    let next = session.out.suggest("mainstem sync");
    let text = format!("proposal {id} {before} version {}: {rows} (receive it with: {next})", merged.version);
    review_text::done(session, &shown(id, merged), &text)
}

/// What merging would do.
fn rehearsed(session: &mut Session, judged: &Judged) -> Result<Exit> {
    let would = judged.assessment.as_ref().map(|assessment| assessment.conflicts_open() == 0 && judged.tally.verdict == Verdict::Approved);
    if session.out.is_json() {
        let mut shown = crate::review_view::judged(judged);
        shown["would_merge"] = json!(would.unwrap_or(false));
        session.out.json(&shown)?;
        return Ok(Exit::Done);
    }
    review_text::summary(&mut session.out, judged)?;
    let verdict = match would {
        Some(true) => "it may be merged",
        Some(false) => "it may not be merged yet",
        None => "it is closed",
    };
    session.out.line(verdict)?;
    Ok(Exit::Done)
}
