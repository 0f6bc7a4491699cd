//! Writes a primary's events as JSON lines, and one version as a folder of files.
//!
//! Invariant: each line is one event, whatever its texts hold; hashes are those of the chain.
use crate::json;
use crate::output::{JsonList, Output};
use crate::plain_text::hex;
use crate::wiring::output_file;
use mainstem::primary::Primary;
use mainstem::{Error, Result, schema_merge};
use mainstem_core::ErrorKind;
use mainstem_core::event::{Event, Version};
use mainstem_core::format::{event, page};
use serde_json::{Value as Json, json};
use std::path::Path;

/// About how many bytes of events are asked for at once.
const EVENTS_BYTES_MAX: usize = 1024 * 1024;

/// Writes every event. Returns how many there are.
pub fn events(out: &mut Output, primary: &mut dyn Primary, file: Option<&Path>) -> Result<u64> {
    let mut to_file = file.map(output_file).transpose()?.map(|file| Output::to(Box::new(std::io::BufWriter::new(file)), true));
    let sink = to_file.as_mut().unwrap_or(out);
    let (mut position, mut before, mut count) = (0, [0; 32], 0);
    loop {
        let links = primary.events(position, EVENTS_BYTES_MAX)?;
        if links.is_empty() {
            break;
        }
        for link in links {
            let mut line = json!({ "position": link.position, "hash": hex(&link.hash), "before": hex(&before) });
            let told = told(&event::decode(&link.bytes)?);
            let Json::Object(fields) = told else { continue };
            fields.into_iter().for_each(|(field, value)| line[field] = value);
            sink.json(&line)?;
            (position, before, count) = (link.position, link.hash, count + 1);
        }
    }
    sink.flush()?;
    Ok(count)
}

/// An event's kind, actor, time, reason and what it did.
fn told(event: &Event) -> Json {
    match event {
        Event::Genesis(genesis) => json!({
            "event": "genesis", "actor": genesis.actor, "at": json::moment(genesis.at), "dataset": genesis.dataset,
            "lineage": json::bits(genesis.lineage), "epoch": json::bits(genesis.epoch),
            "tables": genesis.schema.tables.iter().map(|table| table.name.clone()).collect::<Vec<_>>(),
        }),
        Event::Policy(policy) => {
            json!({ "event": "policy", "actor": policy.actor, "at": json::moment(policy.at), "policy": policy.text })
        }
        Event::Collected(collected) => json!({
            "event": "collected", "actor": collected.actor, "at": json::moment(collected.at), "horizon": collected.horizon,
            "tombstones": collected.tombstones.iter()
                .map(|of| json!({ "table": of.table, "through": of.through, "until": json::moment(of.until), "count": of.count }))
                .collect::<Vec<_>>(),
            "expired": collected.expired.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        Event::Restored(restored) => json!({
            "event": "restored", "actor": restored.actor, "at": json::moment(restored.at), "reason": restored.from,
            "epoch": json::bits(restored.epoch), "epoch_before": json::bits(restored.before), "version": restored.version,
        }),
        Event::Review(reviewing) => crate::review_view::event(reviewing),
        Event::Version(version) => {
            let mut shown = result(version);
            shown["event"] = "version".into();
            shown["reason"] = version.header.title.clone().into();
            shown["conflicts"] = conflicts(version).into();
            shown
        }
    }
}

/// What a merge came to.
fn result(version: &Version) -> Json {
    let mut shown = json::version(version);
    shown["pages_digest"] = hex(&version.body).into();
    shown["schema"] = version.schema.iter().map(|step| Json::from(schema_merge::describe(step))).collect();
    shown["conflicts_open"] = version.conflicts.iter().filter(|conflict| conflict.is_open()).count().into();
    let resolved = version.resolved.iter();
    shown["resolved"] = resolved
        .map(
            |r| json!({ "conflict": json::conflict_id(r.conflict), "choice": r.choice.name(), "actor": r.actor, "at": json::moment(r.at) }),
        )
        .collect();
    let waiting = version.waiting.iter();
    shown["waiting"] = waiting.map(|w| json!({ "table": w.table, "key": crate::plain_text::key(&w.key), "parent": w.parent })).collect();
    let released = version.released.iter();
    shown["released"] = released
        .map(|(id, table, key)| json!({ "write_id": json::bits(*id), "table": table, "key": crate::plain_text::key(key) }))
        .collect();
    shown["tables"] = version.tables.iter().map(|t| json!({ "table": t.table, "rows": t.rows, "digest": hex(&t.sum) })).collect();
    shown
}

fn conflicts(version: &Version) -> Vec<Json> {
    let key_of = |table: &str, parts: usize| -> Vec<String> {
        let shape = version.shapes.iter().find(|shape| shape.table.eq_ignore_ascii_case(table) && shape.key.len() == parts);
        shape.map_or_else(|| (1..=parts).map(|i| format!("key{i}")).collect(), |s| s.key.iter().map(|&at| s.columns[at].clone()).collect())
    };
    version.conflicts.iter().map(|conflict| json::conflict(conflict, &key_of(&conflict.table, conflict.key.len()))).collect()
}

/// Writes one version as files. Returns their names.
pub fn version(primary: &mut dyn Primary, version: &Version, folder: &Path) -> Result<Vec<&'static str>> {
    let failed = |e: std::io::Error| {
        let message = format!("{} cannot be made: {e}", folder.display());
        Error::new(ErrorKind::Unavailable, "output", message).because(e)
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let begin =
        |file: &str| -> Result<Output> { Ok(Output::to(Box::new(std::io::BufWriter::new(output_file(&folder.join(file))?)), true)) };
    let mut out = begin("merge_result.json")?;
    let mut shown = result(version);
    shown["hash"] = primary.version_hash(version.version)?.map(|hash| hex(&hash)).into();
    out.json(&shown)?;
    out.flush()?;
    let mut out = begin("conflicts.json")?;
    out.json(&conflicts(version).into())?;
    out.flush()?;
    let mut out = begin("validation.json")?;
    out.json(&version.review.as_ref().map_or_else(|| json!([]), |reviewed| crate::review_view::gates(&reviewed.gates)))?;
    out.flush()?;
    let mut out = begin("diff.json")?;
    let mut list = JsonList::begin(&mut out)?;
    for at in 0..version.pages {
        let bytes = primary.page(version.version, at)?;
        let bytes = bytes.ok_or_else(|| Error::corrupt(format!("page {at} of version {} is missing on the primary", version.version)))?;
        for change in page::decode(&bytes, &version.shapes)? {
            list.push(&mut out, &json::change(&version.shapes[change.table], &change))?;
        }
    }
    list.end(&mut out)?;
    out.line("")?;
    out.flush()?;
    Ok(vec!["merge_result.json", "diff.json", "conflicts.json", "validation.json"])
}
