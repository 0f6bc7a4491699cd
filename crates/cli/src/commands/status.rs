//! `mainstem status`.
use crate::changeset_view::schema_line;
use crate::diff::headline;
use crate::exit_codes::Exit;
use crate::json;
use crate::output::{JsonList, Output, Paint};
use crate::plain_text::{count, name};
use crate::sync_report::tell_of_review;
use crate::wiring::{Opened, Session};
use mainstem::Result;
use mainstem::proposing::{Kept, Mark, Proposing};
use mainstem::replica::{Replica, Since, Standing};
use mainstem_core::change::{Change, Edit, Shape};
use std::collections::BTreeMap;

/// Shows where the replica stands, what changed, what to do next
///
/// Examples:
///   mainstem status
///   mainstem status --json
///   mainstem --db app.db status
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Status {}

/// How many rows of each table are named before "and more".
const ROWS_NAMED: u64 = 5;

#[derive(Debug, Default)]
struct TableSummary {
    inserted: u64,
    updated: u64,
    deleted: u64,
    named: Vec<String>,
}

impl TableSummary {
    fn rows(&self) -> u64 {
        self.inserted + self.updated + self.deleted
    }
    fn add(&mut self, out: &Output, shape: &Shape, change: &Change) {
        if self.rows() < ROWS_NAMED {
            self.named.push(named(out, shape, change));
        }
        match &change.edit {
            Edit::Insert(_) => self.inserted += 1,
            Edit::Update(_) => self.updated += 1,
            Edit::Delete(_) => self.deleted += 1,
        }
    }
}

impl Status {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        let actor = session.actor(&opened.standing)?;
        if session.out.is_json() {
            self.show_json(&mut session.out, &mut opened, &actor)?;
        } else {
            self.show_text(&mut session.out, &mut opened, &actor)?;
        }
        Ok(Exit::Done)
    }

    fn show_json(&self, out: &mut Output, opened: &mut Opened, actor: &str) -> Result<()> {
        let standing = &opened.standing;
        let head = serde_json::json!({
            "actor": actor,
            "replica": standing.replica.to_string(),
            "dataset": standing.dataset,
            "remote": standing.remote,
            "base_version": standing.base_version,
            "unsent": standing.unsent,
            "conflicts_open": standing.conflicts_open,
            "pending": standing.pending,
            "schema_steps": opened.replica.schema_steps()?.iter().map(schema_line).collect::<Vec<_>>(),
            "kept_for_review": opened.replica.kept()?.iter().map(kept_json).collect::<Vec<_>>(),
            "notices": standing.notices,
        });
        // The list of changes may not fit in memory, so the object around it is written by hand.
        let head = head.to_string();
        out.write(format_args!("{},\"changes\":", head.trim_end_matches('}')))?;
        let mut list = JsonList::begin(out)?;
        opened.replica.changes(Since::Commit, &mut |shape, change| list.push(out, &json::change(shape, change)))?;
        list.end(out)?;
        out.line("}")
    }

    fn show_text(&self, out: &mut Output, opened: &mut Opened, actor: &str) -> Result<()> {
        let mut tables: BTreeMap<String, TableSummary> = BTreeMap::new();
        opened.replica.changes(Since::Commit, &mut |shape, change| {
            tables.entry(shape.table.clone()).or_default().add(out, shape, change);
            Ok(())
        })?;
        show_standing(out, opened, actor)?;
        let steps: Vec<String> = opened.replica.schema_steps()?.iter().map(schema_line).collect();
        show_changes(out, &tables, &steps)?;
        if opened.replica.needs_reconcile()? {
            let next = opened.standing.remote.as_ref().map_or("mainstem verify", |_| "mainstem sync");
            out.line(format_args!("writes may have been missed; what compares every row: {}", out.suggest(next)))?;
        }
        show_next(out, &opened.standing, !tables.is_empty() || !steps.is_empty())
    }
}

fn named(out: &Output, shape: &Shape, change: &Change) -> String {
    let columns = match &change.edit {
        Edit::Update(cells) => {
            let names: Vec<String> = cells.iter().map(|c| name(&shape.columns[c.column])).collect();
            format!(" ({})", names.join(", "))
        }
        _ => String::new(),
    };
    let paint = match &change.edit {
        Edit::Insert(_) => Paint::Added,
        Edit::Update(_) => Paint::Changed,
        Edit::Delete(_) => Paint::Removed,
    };
    out.paint(paint, format!("{}{columns}", headline(shape, change)))
}

fn show_standing(out: &mut Output, opened: &mut Opened, actor: &str) -> Result<()> {
    let standing = &opened.standing;
    let path = name(&opened.path.display().to_string());
    out.line(format_args!("{path}: replica {} of {}, edited by {}", standing.replica.short(), name(&standing.dataset), name(actor)))?;
    match &standing.remote {
        Some(remote) => out.line(format_args!("at version {} of {}", standing.base_version, name(remote)))?,
        None => out.line("not published yet")?,
    }
    if standing.unsent > 0 {
        out.line(format_args!("{} not sent", count(standing.unsent, "changeset is", "changesets are")))?;
    }
    show_review(out, opened)
}

/// What is kept for review.
fn show_review(out: &mut Output, opened: &mut Opened) -> Result<()> {
    for Kept { front, mark } in opened.replica.kept()? {
        let Mark::Offered { proposal, revision, stage } = mark else { continue };
        let rows = count(front.count, "row", "rows");
        let look = match stage.is_open() {
            true => format!("mainstem review {proposal}"),
            false => format!("mainstem propose, or mainstem withdraw {proposal} --undo"),
        };
        let title = name(front.header.title.as_deref().unwrap_or("(no title)"));
        out.line(format_args!("proposal {proposal}, revision {revision}: {title} ({rows}, {}): {}", stage.name(), out.suggest(&look)))?;
    }
    tell_of_review(out, &opened.replica.waiting_for_review()?)
}

fn kept_json(kept: &Kept) -> serde_json::Value {
    let header = &kept.front.header;
    let (proposal, revision, stage) = match kept.mark {
        Mark::Waiting | Mark::Left | Mark::Refused(_) => (None, None, "waiting"),
        Mark::Offered { proposal, revision, stage } => (Some(proposal), Some(revision), stage.name()),
    };
    serde_json::json!({
        "proposal": proposal, "revision": revision, "state": stage, "title": header.title, "changes": kept.front.count,
        "write_id": json::bits(header.write_id), "base_version": header.base_version,
    })
}

fn show_changes(out: &mut Output, tables: &BTreeMap<String, TableSummary>, steps: &[String]) -> Result<()> {
    if tables.is_empty() && steps.is_empty() {
        return out.line("nothing changed since the last commit");
    }
    out.line("\nchanged since the last commit:")?;
    steps.iter().try_for_each(|step| out.line(format_args!("  {step}")))?;
    for (table, summary) in tables {
        let parts = [(summary.inserted, "inserted"), (summary.updated, "updated"), (summary.deleted, "deleted")];
        let parts: Vec<String> = parts.iter().filter(|p| p.0 > 0).map(|(n, what)| format!("{n} {what}")).collect();
        let table = out.paint(Paint::Heading, name(table));
        out.line(format_args!("  {table}: {}", parts.join(", ")))?;
        for row in &summary.named {
            out.line(format_args!("    {row}"))?;
        }
        let rest = summary.rows() - summary.named.len() as u64;
        if rest > 0 {
            out.line(format_args!("    and {rest} more"))?;
        }
    }
    Ok(())
}

fn show_next(out: &mut Output, standing: &Standing, has_changes: bool) -> Result<()> {
    let mut next: Vec<(String, &str)> = Vec::new();
    if standing.conflicts_open > 0 {
        next.push((format!("{} open", count(standing.conflicts_open, "conflict is", "conflicts are")), "mainstem conflicts"));
    }
    if standing.pending > 0 {
        let waiting = count(standing.pending, "change waits", "changes wait");
        next.push((format!("{waiting} for a parent row"), "mainstem pending"));
    }
    if has_changes {
        next.push(("see each cell".into(), "mainstem diff"));
        next.push(("give it a title".into(), "mainstem commit -m \"what you did\""));
    }
    match standing.remote {
        Some(_) if has_changes || standing.unsent > 0 => next.push(("bring it together".into(), "mainstem sync")),
        None => next.push(("share it".into(), "mainstem publish FOLDER")),
        Some(_) => {}
    }
    if !next.is_empty() {
        out.line("")?;
    }
    for (what, command) in next {
        out.line(format_args!("{what}: {}", out.suggest(command)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    #[test]
    fn the_head_of_the_json_can_be_continued() {
        let head: Json = serde_json::json!({ "a": 1, "notices": [] });
        let text = format!("{},\"changes\":[]}}", head.to_string().trim_end_matches('}'));
        let whole: Json = serde_json::from_str(&text).expect("valid JSON");
        assert_eq!(whole["changes"], serde_json::json!([]));
    }
}
