//! `mainstem log`.
use crate::catalog::Catalog;
use crate::exit_codes::Exit;
use crate::json;
use crate::output::{JsonList, Output, Paint};
use crate::plain_text::{self, Extent, count, moment, name};
use crate::token_deeds::{self, Whose};
use crate::wiring::{Opened, Session};
use mainstem::Result;
use mainstem::proposing::{Kept, Mark, Proposing};
use mainstem::replica::{Operation, Replica};
use mainstem_core::change::Front;
use mainstem_core::event::Version;
use mainstem_core::stamp::Time;
use serde_json::json;

/// Lists versions and unsent changesets, newest first, or single operations
///
/// Changesets that were not sent are named u1, u2 and so on, versions by their number.
///
/// Examples:
///   mainstem log
///   mainstem log -n 5
///   mainstem log --operations
///   mainstem log --token robot
///   mainstem log --json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Log {
    /// List at most this many
    #[arg(short = 'n', value_name = "COUNT", default_value_t = 100)]
    limit: usize,
    /// List each captured operation since the last commit instead, oldest first
    #[arg(long)]
    operations: bool,
    /// List everything that was done with tokens of this label instead, on the primary
    #[arg(long, value_name = "LABEL", conflicts_with = "operations")]
    token: Option<String>,
    /// With --token: only this actor's
    #[arg(long, value_name = "NAME", requires = "token")]
    actor: Option<String>,
}

impl Log {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        if self.operations {
            let actor = session.actor(&opened.standing)?;
            return self.show_operations(&mut session.out, &mut opened, &actor);
        }
        if let Some(token) = &self.token {
            let whose = Whose { token, actor: self.actor.as_deref() };
            let deeds = whose.deeds(&mut *session.whole_primary_of(&opened.standing)?)?.deeds;
            let last = &deeds[deeds.len().saturating_sub(self.limit)..];
            token_deeds::list(&mut session.out, last, version_line)?;
            return Ok(Exit::Done);
        }
        let kept = opened.replica.kept()?;
        let mut unsent = opened.replica.unsent()?;
        unsent.reverse();
        unsent.truncate(self.limit);
        let versions = opened.replica.history(self.limit - unsent.len())?;
        let out = &mut session.out;
        if out.is_json() {
            let mut list = JsonList::begin(out)?;
            unsent.iter().try_for_each(|front| list.push(out, &json::unsent(front)))?;
            versions.iter().try_for_each(|version| list.push(out, &json::version(version)))?;
            list.end(out)?;
            out.line("")?;
        } else {
            kept.iter().rev().try_for_each(|kept| out.line(kept_line(out, kept)))?;
            unsent.iter().try_for_each(|front| out.line(unsent_line(out, front)))?;
            versions.iter().try_for_each(|version| out.line(version_line(out, version)))?;
            if kept.is_empty() && unsent.is_empty() && versions.is_empty() && self.limit > 0 {
                out.line("nothing was committed yet")?;
            }
        }
        Ok(Exit::Done)
    }

    fn show_operations(&self, out: &mut Output, opened: &mut Opened, actor: &str) -> Result<Exit> {
        let mut catalog = Catalog::open(&opened.path)?;
        let mut list = if out.is_json() { Some(JsonList::begin(out)?) } else { None };
        opened.replica.operations(i64::MIN, &mut |operation| {
            let columns = catalog.key_columns(&operation.table, operation.key.len())?;
            match &mut list {
                Some(list) => list.push(out, &operation_json(operation, &columns, actor)),
                None => operation_text(out, operation, actor),
            }
        })?;
        if let Some(list) = list {
            list.end(out)?;
            out.line("")?;
        }
        Ok(Exit::Done)
    }
}

fn unsent_line(out: &Output, front: &Front) -> String {
    let header = &front.header;
    let id = out.paint(Paint::Changed, format!("u{}", header.sequence));
    let title = name(header.title.as_deref().unwrap_or("(no title)"));
    let actor = name(&header.actor);
    format!("{id}  {}  {actor}  {title} ({}, not sent)", moment(header.at), count(front.count, "row", "rows"))
}

fn kept_line(out: &Output, kept: &Kept) -> String {
    let header = &kept.front.header;
    let (id, state) = match kept.mark {
        Mark::Waiting | Mark::Left | Mark::Refused(_) => ("-".to_owned(), "waits for review".to_owned()),
        Mark::Offered { proposal, stage, .. } => (format!("p{proposal}"), stage.name().to_owned()),
    };
    let title = name(header.title.as_deref().unwrap_or("(no title)"));
    let id = out.paint(Paint::Changed, id);
    format!("{id}  {}  {}  {title} ({}, {state})", moment(header.at), name(&header.actor), count(kept.front.count, "row", "rows"))
}

fn version_line(out: &Output, version: &Version) -> String {
    let header = &version.header;
    let id = out.paint(Paint::Heading, version.version);
    let title = name(header.title.as_deref().unwrap_or("(no title)"));
    let mut facts = vec![count(version.count, "row", "rows")];
    let counted = [
        (version.schema.len(), "schema step", "schema steps"),
        (version.conflicts.len(), "conflict", "conflicts"),
        (version.renumbered.len(), "renumbered", "renumbered"),
        (version.waiting.len(), "waiting", "waiting"),
        (version.resolved.len(), "resolution", "resolutions"),
    ];
    facts.extend(version.review.as_ref().map(|reviewed| format!("proposal {}", reviewed.proposal)));
    facts.extend(counted.iter().filter(|c| c.0 > 0).map(|(n, one, many)| count(*n as u64, one, many)));
    format!("{id}  {}  {}  {title} ({})", moment(version.accepted_at), name(&header.actor), facts.join(", "))
}

fn operation_json(operation: &Operation, columns: &[String], actor: &str) -> serde_json::Value {
    let side = |v: &Option<mainstem_core::value::Value>| v.as_ref().map(json::value);
    let cells = operation.cells.iter();
    let cells = cells.map(|(column, b, a)| json!({ "column": column, "before": side(b), "after": side(a) }));
    json!({
        "sequence": operation.sequence,
        "at": plain_text::moment_ms(operation.at_ms),
        "actor": actor,
        "table": operation.table,
        "key": json::named(columns.iter().map(String::as_str), &operation.key),
        "kind": operation.kind,
        "cells": cells.collect::<Vec<_>>(),
    })
}

fn operation_text(out: &mut Output, operation: &Operation, actor: &str) -> Result<()> {
    let at = moment(Time::from_ms(operation.at_ms));
    let (table, key) = (name(&operation.table), plain_text::key(&operation.key));
    out.line(format_args!("{}  {at}  {}  {} {table} {key}", operation.sequence, name(actor), operation.kind))?;
    for (column, before, after) in &operation.cells {
        let shown = |v: &Option<_>| v.as_ref().map_or("—".to_string(), |v| plain_text::value(v, Extent::Full));
        out.line(format_args!("    {}: {} → {}", name(column), shown(before), shown(after)))?;
    }
    Ok(())
}
