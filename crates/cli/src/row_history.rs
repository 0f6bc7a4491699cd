//! Lists everything that happened to a row, oldest first.
use crate::blame_view::{LocalEdit, local_shown};
use crate::diff::{AsText, Rendering};
use crate::json;
use crate::output::{JsonList, Output, Paint, note};
use crate::plain_text::{self, moment, name};
use mainstem::Result;
use mainstem::history::{Happening, RowHistory, RowPlace};
use mainstem::primary::Primary;
use mainstem_core::change::{Edit, Header};
use mainstem_core::stamp::Time;
use serde_json::{Value as Json, json};

/// Things that are read at once; only where each part begins is kept of what is not being shown.
const AT_ONCE: usize = 500;

/// Shows the history up to the version that the replica holds, then what was done here since.
pub fn show(out: &mut Output, primary: &mut dyn Primary, table: &str, place: Option<RowPlace>, local: &[LocalEdit]) -> Result<()> {
    let mut parts: Vec<RowPlace> = Vec::new();
    let mut next = place;
    let (mut published, mut horizon) = (None, None);
    while let Some(from) = next {
        let RowHistory { next: further, published: first, collected, .. } = primary.row_history(&from, AT_ONCE)?;
        parts.push(from);
        (next, published, horizon) = (further, first, collected);
    }
    if let Some(horizon) = horizon {
        note(format!("what versions up to {horizon} did is not kept any more"));
    }
    let mut list = if out.is_json() { Some(JsonList::begin(out)?) } else { None };
    if let Some((header, accepted_at)) = &published {
        match &mut list {
            Some(list) => list.push(out, &published_shown(header, *accepted_at))?,
            None => out.line(format_args!("1  {}  {}  there when it was published", moment(*accepted_at), name(&header.actor)))?,
        }
    }
    for part in parts.iter().rev() {
        let history = primary.row_history(part, AT_ONCE)?;
        for happening in history.happenings.iter().rev() {
            match &mut list {
                Some(list) => list.push(out, &shown(happening))?,
                None => tell(out, happening)?,
            }
        }
    }
    for edit in local {
        match &mut list {
            Some(list) => list.push(out, &local_shown(edit))?,
            None => {
                out.line(format_args!("{}  {} {}", edit.standing(), edit.change.edit.name(), plain_text::key(&edit.change.key)))?;
                AsText.change(out, &edit.shape, &edit.change)?;
            }
        }
    }
    if let Some(list) = list {
        list.end(out)?;
        return out.line("");
    }
    if parts.is_empty() && local.is_empty() {
        out.line(format_args!("nothing happened to that row of {}", name(table)))?;
    }
    Ok(())
}

fn tell(out: &mut Output, happening: &Happening) -> Result<()> {
    let header = &happening.header;
    let version = out.paint(Paint::Heading, happening.version);
    let title = header.title.as_deref().map_or_else(String::new, |title| format!("  {}", name(title)));
    let (at, actor, key) = (moment(happening.change.at), name(&header.actor), plain_text::key(&happening.change.key));
    let what = what_happened(happening);
    out.line(format_args!("{version}  {at}  {actor}{title}  ({what} {} {key})", name(&happening.shape.table)))?;
    AsText.change(out, &happening.shape, &happening.change)?;
    for conflict in &happening.conflicts {
        let state = if conflict.is_open() { "open" } else { "answered" };
        out.line(format_args!("    conflict {} ({}, {state})", json::conflict_id(conflict.id), conflict.kind.name()))?;
    }
    for conflict in &happening.answered {
        out.line(format_args!("    answers conflict {}", json::conflict_id(conflict.id)))?;
    }
    Ok(())
}

fn what_happened(happening: &Happening) -> String {
    let change = &happening.change;
    match (&change.edit, &change.moved_from, &happening.moved_to, happening.renumbered_from) {
        (Edit::Insert(_), Some(from), ..) => format!("move from {} to", plain_text::key(from)),
        (Edit::Delete(_), _, Some(to), _) => format!("move to {} of", plain_text::key(to)),
        (Edit::Insert(_), _, _, Some(from)) => format!("insert, made as {from}, of"),
        (Edit::Insert(_), ..) if happening.is_released => "insert, once its parent was there, of".into(),
        (edit, ..) => edit.name().into(),
    }
}

fn published_shown(header: &Header, accepted_at: Time) -> Json {
    let mut shown = json::header(header);
    shown["version"] = 1.into();
    shown["accepted_at"] = json::moment(accepted_at);
    shown["kind"] = "published".into();
    shown
}

fn shown(happening: &Happening) -> Json {
    let mut shown = json::header(&happening.header);
    shown["version"] = happening.version.into();
    shown["accepted_at"] = json::moment(happening.accepted_at);
    let Json::Object(change) = json::change(&happening.shape, &happening.change) else { return shown };
    change.into_iter().for_each(|(field, value)| shown[field] = value);
    shown["moved_to"] = happening.moved_to.as_ref().map(plain_text::key).into();
    shown["renumbered_from"] = happening.renumbered_from.into();
    let ids =
        |conflicts: &[mainstem_core::conflict::Conflict]| json!(conflicts.iter().map(|c| json::conflict_id(c.id)).collect::<Vec<_>>());
    shown["conflicts"] = ids(&happening.conflicts);
    shown["answered"] = ids(&happening.answered);
    shown
}
