//! How tombstones are shown: a line each, and their JSON.
use crate::json::{self, conflict_id, moment, named, value};
use crate::output::{Output, Paint};
use crate::plain_text::{self, Extent, count, name};
use mainstem::Result;
use mainstem::tombstones::{State, TableStats, Tombstone, Why};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// Shows one to a person.
pub fn tell(out: &mut Output, tombstone: &Tombstone) -> Result<()> {
    let id = out.paint(Paint::Heading, tombstone.id.map_or_else(|| "marked".to_string(), |id| id.to_string()));
    let row = format!("{} {}", name(&tombstone.table), plain_text::key(&tombstone.key));
    let (actor, at) = (name(&tombstone.actor), plain_text::moment(tombstone.at));
    out.line(format_args!("{id}  {row}  {actor}, {at}: {}{}", why(&tombstone.why), fate(tombstone)))?;
    let cells = tombstone.image.iter().filter(|(_, value)| !value.is_null());
    let cells: Vec<String> =
        cells.map(|(column, value)| format!("{}: {}", name(column), plain_text::value(value, Extent::Short))).collect();
    out.line(format_args!("    {}", cells.join(", ")))
}

fn why(why: &Why) -> String {
    match why {
        Why::Changeset { title: Some(title), .. } => name(title),
        Why::Changeset { title: None, .. } => "untitled".to_string(),
        Why::Direct => "written straight into the primary's tables".to_string(),
        Why::Cascade { parent, key } => format!("went with {} {}", name(parent), plain_text::key(key)),
        Why::Resolution { conflict } => format!("answer to conflict {}", conflict_id(*conflict)),
        Why::Strategy { conflict, strategy } => format!("conflict {} by {strategy}", conflict_id(*conflict)),
        Why::Marked { column, .. } => format!("{} says so", name(column)),
    }
}

fn fate(tombstone: &Tombstone) -> String {
    let mut fate = match (tombstone.state, tombstone.expires) {
        (State::Expired, _) => ", expired".to_string(),
        (State::Held, _) => ", expired, held by a replica".to_string(),
        (State::Living, Some(end)) => format!(", until {}", &plain_text::moment(end)[..10]),
        (State::Living, None) => String::new(),
    };
    if tombstone.is_there && tombstone.id.is_some() {
        fate.push_str(", a row of that key is there");
    }
    fate
}

/// The JSON of one.
pub fn shown(tombstone: &Tombstone) -> Json {
    let image: Map<String, Json> = tombstone.image.iter().map(|(column, v)| (column.clone(), value(v))).collect();
    json!({
        "id": tombstone.id.map(|id| id.to_string()),
        "table": tombstone.table,
        "key": named(tombstone.key_columns.iter().map(String::as_str), &tombstone.key),
        "row": image,
        "actor": tombstone.actor,
        "replica": tombstone.replica.to_string(),
        "at": moment(tombstone.at),
        "version": tombstone.version,
        "accepted_at": moment(tombstone.accepted_at),
        "why": reason(&tombstone.why),
        "expires": tombstone.expires.map(moment),
        "state": tombstone.state.name(),
        "is_there": tombstone.is_there,
    })
}

fn reason(why: &Why) -> Json {
    let mut shown = json!({ "kind": why.name() });
    match why {
        Why::Changeset { title, description } => {
            shown["title"] = json!(title);
            shown["description"] = json!(description);
        }
        Why::Direct => {}
        Why::Cascade { parent, key } => {
            shown["parent"] = json!(parent);
            shown["parent_key"] = key.iter().map(value).collect();
        }
        Why::Resolution { conflict } => shown["conflict"] = json!(conflict_id(*conflict)),
        Why::Strategy { conflict, strategy } => {
            shown["conflict"] = json!(conflict_id(*conflict));
            shown["strategy"] = json!(strategy);
        }
        Why::Marked { column, .. } => shown["column"] = json!(column),
    }
    shown
}

/// Shows counts by table.
pub fn tell_stats(out: &mut Output, tables: &BTreeMap<String, TableStats>) -> Result<()> {
    if out.is_json() {
        let shown: Vec<Json> = tables.iter().map(|(table, stats)| stats_shown(table, stats)).collect();
        return out.json(&shown.into());
    }
    for (table, stats) in tables {
        let oldest = stats.oldest.map_or(String::new(), |at| format!(", oldest of {}", plain_text::moment(at)));
        let mut line =
            format!("{}: {}, {}{oldest}", name(table), count(stats.count, "deletion", "deletions"), count(stats.bytes, "byte", "bytes"));
        for (n, what) in [(stats.expired, "expired"), (stats.held, "expired and held by a replica"), (stats.marked, "marked as deleted")] {
            if n > 0 {
                line.push_str(&format!(", {n} {what}"));
            }
        }
        out.line(line)?;
    }
    if tables.is_empty() {
        out.line("no deletion is remembered")?;
    }
    Ok(())
}

fn stats_shown(table: &str, stats: &TableStats) -> Json {
    json!({
        "table": table,
        "count": stats.count,
        "oldest": stats.oldest.map(json::moment),
        "bytes": stats.bytes,
        "expired": stats.expired,
        "held": stats.held,
        "marked": stats.marked,
    })
}
