//! Shows where each cell of a row comes from, for people and as JSON.
use crate::json;
use crate::output::{Output, Paint};
use crate::plain_text::{self, Extent, moment, name};
use crate::{review_text, review_view};
use mainstem::Result;
use mainstem::history::{Blame, CellBlame, Origin, Reviews, RowPlace, Rule};
use mainstem::proposing::Mark;
use mainstem_core::change::{Change, Edit, Header, Shape};
use mainstem_core::value::Value;
use serde_json::{Value as Json, json};

/// Something that was done to the row here and is not accepted yet.
pub struct LocalEdit {
    /// The changeset's header; none for what was not committed.
    pub header: Option<Header>,
    /// How it is kept for review, where it is.
    pub mark: Option<Mark>,
    /// The columns the change refers to.
    pub shape: Shape,
    /// What was done.
    pub change: Change,
}

impl LocalEdit {
    /// `u3, not sent`, `in proposal 3`, `waits for review` or `not committed yet`.
    pub fn standing(&self) -> String {
        match (&self.header, self.mark.map(|mark| mark.proposal())) {
            (_, Some(Some(proposal))) => format!("in proposal {proposal}"),
            (_, Some(None)) => "waits for review".into(),
            (Some(header), None) => format!("u{}, not sent", header.sequence),
            (None, None) => "not committed yet".into(),
        }
    }
    /// The value it gave a column, where it did.
    fn value(&self, column: &str) -> Option<&Value> {
        let at = self.shape.column(column)?;
        match &self.change.edit {
            Edit::Insert(row) => row.get(at),
            Edit::Update(cells) => cells.iter().find(|cell| cell.column == at).map(|cell| &cell.after),
            Edit::Delete(_) => None,
        }
    }
}

/// Shows a row's blame.
pub fn show(
    out: &mut Output,
    table: &str,
    found: Option<&(RowPlace, Blame)>,
    reviews: &Reviews,
    column: Option<&str>,
    local: &[LocalEdit],
) -> Result<()> {
    if out.is_json() {
        return out.json(&shown(table, found, reviews, column, local));
    }
    let key = found.map(|(place, _)| &place.key).or(local.first().map(|edit| &edit.change.key));
    let heading = format!("{} {}", name(table), key.map(plain_text::key).unwrap_or_default());
    let heading = out.paint(Paint::Heading, heading);
    out.line(heading)?;
    if let Some((_, blame)) = found {
        let is_asked = |cell: &&CellBlame| column.is_none_or(|column| cell.column.eq_ignore_ascii_case(column));
        for cell in blame.cells.iter().filter(is_asked) {
            tell_cell(out, cell, reviews, local)?;
        }
        tell_row(out, blame)?;
    }
    let columns: Vec<String> = found.map(|(_, blame)| blame.cells.iter().map(|cell| cell.column.clone()).collect()).unwrap_or_default();
    local.iter().try_for_each(|edit| tell_local(out, edit, &columns))
}

fn tell_cell(out: &mut Output, cell: &CellBlame, reviews: &Reviews, local: &[LocalEdit]) -> Result<()> {
    let column = name(&cell.column);
    let accepted = format!("{}  {}", plain_text::value(&cell.value, Extent::Short), told(&cell.origin));
    match local.iter().rev().find_map(|edit| Some((edit, edit.value(&cell.column)?))) {
        Some((edit, value)) => {
            out.line(format_args!("  {column}: {}  {}", plain_text::value(value, Extent::Short), edit.standing()))?;
            out.line(format_args!("    before: {accepted}"))?;
        }
        None => out.line(format_args!("  {column}: {accepted}"))?,
    }
    if let Some(reviewed) = reviews.get(&cell.origin.version) {
        out.line(format_args!("    {}", review_text::reviewed(reviewed)))?;
    }
    for with in &cell.origin.contributors {
        let value = plain_text::value(&with.value, Extent::Short);
        out.line(format_args!("    with {value} of {} in version {}", name(&with.actor), with.version))?;
    }
    for conflict in &cell.origin.conflicts {
        let state = if conflict.is_open() { "open" } else { "answered" };
        out.line(format_args!("    conflict {} ({}, {state})", json::conflict_id(conflict.id), conflict.kind.name()))?;
    }
    Ok(())
}

fn told(origin: &Origin) -> String {
    if origin.rule == Rule::Collected {
        return format!("version {} or before, of which nothing more is kept", origin.version);
    }
    let header = &origin.header;
    let title = header.title.as_deref().map_or_else(String::new, |title| format!(": {}", name(title)));
    format!("version {}, {}, {}{title} ({})", origin.version, moment(origin.at), name(&header.actor), rule_text(&origin.rule))
}

fn rule_text(rule: &Rule) -> String {
    match rule {
        Rule::Published => "there when it was published".into(),
        Rule::Written => "as written".into(),
        Rule::Merged(strategy) => format!("merged by {}", name(strategy)),
        Rule::Resolved { conflict, choice } => format!("answer to conflict {}: {}", json::conflict_id(*conflict), choice.name()),
        Rule::Direct => "written straight into the primary".into(),
        Rule::Released => "its parent came".into(),
        Rule::ColumnAdded => "the column was added".into(),
        Rule::Collected => "collected".into(),
    }
}

fn tell_row(out: &mut Output, blame: &Blame) -> Result<()> {
    for (version, key) in &blame.moved {
        out.line(format_args!("  moved here from {} in version {version}", plain_text::key(key)))?;
    }
    if let Some((version, from)) = blame.renumbered_from {
        out.line(format_args!("  made as {from}, which was taken, and renumbered in version {version}"))?;
    }
    if let Some(gone) = &blame.gone {
        let deletion = &gone.deletion;
        let what = match (&deletion.change.edit, &deletion.moved_to) {
            (_, Some(key)) => format!("moved to {}", plain_text::key(key)),
            _ => "deleted".into(),
        };
        let title = deletion.header.title.as_deref().map_or_else(String::new, |title| format!(": {}", name(title)));
        let (at, actor) = (moment(deletion.change.at), name(&deletion.header.actor));
        out.line(format_args!("  {what} in version {}, {at}, {actor}{title}", deletion.version))?;
    }
    for away in &blame.renumbered_away {
        let (actor, replica) = (name(&away.actor), away.replica.short());
        out.line(format_args!(
            "  another row of this number, made by {actor} on {replica}, is {} since version {}",
            away.to, away.version
        ))?;
    }
    Ok(())
}

/// What an edit did that no accepted cell shows.
fn tell_local(out: &mut Output, edit: &LocalEdit, columns: &[String]) -> Result<()> {
    match &edit.change.edit {
        Edit::Delete(_) => out.line(format_args!("  deleted here ({})", edit.standing())),
        Edit::Insert(_) | Edit::Update(_) => {
            let news = edit.shape.columns.iter().filter(|column| !columns.iter().any(|known| known.eq_ignore_ascii_case(column)));
            for column in news {
                if let Some(value) = edit.value(column) {
                    out.line(format_args!("  {}: {}  {}", name(column), plain_text::value(value, Extent::Short), edit.standing()))?;
                }
            }
            Ok(())
        }
    }
}

fn shown(table: &str, found: Option<&(RowPlace, Blame)>, reviews: &Reviews, column: Option<&str>, local: &[LocalEdit]) -> Json {
    let is_asked = |cell: &&CellBlame| column.is_none_or(|column| cell.column.eq_ignore_ascii_case(column));
    let blame = found.map(|(_, blame)| blame);
    let cells = blame.map(|blame| blame.cells.iter().filter(is_asked).map(|cell| cell_shown(cell, reviews)).collect::<Vec<_>>());
    let cells = cells.unwrap_or_default();
    let key = match (found, local.first()) {
        (Some((place, blame)), _) => json::named(blame.key_columns.iter().map(String::as_str), &place.key),
        (None, Some(edit)) => json::key(&edit.shape, &edit.change.key),
        (None, None) => Json::Null,
    };
    let moved =
        blame.map(|b| b.moved.iter().map(|(version, key)| json!({ "version": version, "from": plain_text::key(key) })).collect::<Vec<_>>());
    let gone = blame.and_then(|b| b.gone.as_ref()).map(|gone| {
        let mut shown = json::header(&gone.deletion.header);
        shown["version"] = gone.deletion.version.into();
        shown["moved_to"] = gone.deletion.moved_to.as_ref().map(plain_text::key).into();
        shown
    });
    let away = blame.map(|b| {
        let one = |a: &mainstem::history::RenumberedAway| {
            json!({ "version": a.version, "actor": a.actor, "replica": a.replica.to_string(), "to": a.to })
        };
        b.renumbered_away.iter().map(one).collect::<Vec<_>>()
    });
    json!({
        "table": table,
        "key": key,
        "version": found.map(|(place, _)| place.version),
        "cells": cells,
        "moved": moved.unwrap_or_default(),
        "renumbered_from": blame.and_then(|b| b.renumbered_from).map(|(version, from)| json!({ "version": version, "from": from })),
        "renumbered_away": away.unwrap_or_default(),
        "gone": gone,
        "local": local.iter().map(local_shown).collect::<Vec<_>>(),
    })
}

/// A local edit as JSON.
pub fn local_shown(edit: &LocalEdit) -> Json {
    let mut shown = json::change(&edit.shape, &edit.change);
    shown["id"] = edit.header.as_ref().filter(|_| edit.mark.is_none()).map(|header| format!("u{}", header.sequence)).into();
    shown["state"] = match (&edit.mark, &edit.header) {
        (Some(mark), _) if mark.proposal().is_some() => "proposed",
        (Some(_), _) => "waits_for_review",
        (None, Some(_)) => "not_sent",
        (None, None) => "not_committed",
    }
    .into();
    shown["proposal"] = edit.mark.and_then(|mark| mark.proposal()).into();
    shown
}

fn cell_shown(cell: &CellBlame, reviews: &Reviews) -> Json {
    let origin = &cell.origin;
    let mut shown = json::header(&origin.header);
    shown["column"] = cell.column.clone().into();
    shown["value"] = json::value(&cell.value);
    shown["version"] = origin.version.into();
    shown["accepted_at"] = json::moment(origin.accepted_at);
    shown["written_at"] = json::moment(origin.at);
    shown["rule"] = origin.rule.name().into();
    shown["review"] = reviews.get(&origin.version).map(review_view::reviewed).into();
    match &origin.rule {
        Rule::Merged(strategy) => shown["strategy"] = strategy.clone().into(),
        Rule::Resolved { conflict, choice } => {
            shown["resolved"] = json!({ "conflict": json::conflict_id(*conflict), "choice": choice.name() });
        }
        _ => {}
    }
    let contributors = origin.contributors.iter().map(|with| {
        json!({ "version": with.version, "actor": with.actor, "replica": with.replica.to_string(), "value": json::value(&with.value) })
    });
    shown["contributors"] = contributors.collect();
    shown["conflicts"] = origin.conflicts.iter().map(|conflict| Json::from(json::conflict_id(conflict.id))).collect();
    shown
}
