//! `mainstem pending`.
use crate::catalog::Catalog;
use crate::exit_codes::Exit;
use crate::json;
use crate::plain_text::{key, name};
use crate::wiring::Session;
use mainstem::Result;
use mainstem::replica::Replica;
use serde_json::json;

/// Lists changes that wait for their parent row
///
/// Each is applied when the parent arrives, in whatever order they come.
///
/// Examples:
///   mainstem pending
///   mainstem pending --json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Pending {}

impl Pending {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        let waiting = opened.replica.pending()?;
        let out = &mut session.out;
        if out.is_json() {
            let mut catalog = Catalog::open(&opened.path)?;
            let mut shown = Vec::new();
            for (front, w) in &waiting {
                let columns = catalog.key_columns(&w.table, w.key.len())?;
                shown.push(json!({
                    "changeset": json::header(&front.header),
                    "table": w.table,
                    "key": json::named(columns.iter().map(String::as_str), &w.key),
                    "kind": w.change.edit.name(),
                    "parent": w.parent,
                    "parent_key": w.parent_key.iter().map(json::value).collect::<Vec<_>>(),
                }));
            }
            out.json(&shown.into())?;
            return Ok(Exit::Done);
        }
        for (front, w) in &waiting {
            let header = &front.header;
            let from = header.title.as_deref().map_or(format!("changeset {}", header.sequence), name);
            let (row, parent) = (format!("{} {}", name(&w.table), key(&w.key)), key(&w.parent_key));
            out.line(format_args!("{row} waits for {} {parent} ({}, {from})", name(&w.parent), name(&header.actor)))?;
        }
        if waiting.is_empty() {
            out.line("nothing waits")?;
        }
        Ok(Exit::Done)
    }
}
