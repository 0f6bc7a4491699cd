//! `mainstem verify`.
use crate::catalog::Catalog;
use crate::exit_codes::Exit;
use crate::json;
use crate::plain_text::{self, count, hex, name};
use crate::wiring::Session;
use mainstem::Result;
use mainstem::primary::Primary;
use mainstem::replica::{Replica, Verified};
use serde_json::json;
use std::path::Path;

/// Compares every row with what capture believes and the primary holds
///
/// Ends with exit code 1 where rows differ, and names each.
///
/// Examples:
///   mainstem verify
///   mainstem verify --local
///   mainstem verify --json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Verify {
    /// Leave the primary alone: look at this file only
    #[arg(long)]
    local: bool,
}

impl Verify {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        let has_reference = !self.local && opened.standing.remote.is_some();
        let mut primary = if has_reference { Some(session.primary_of(&opened.standing)?) } else { None };
        let reference = primary.as_mut().map(|p| p.as_mut() as &mut dyn Primary);
        let mut bar = session.bar();
        let found = opened.replica.verify(reference, &mut |what, done, of| bar.report(what, done, of))?;
        drop(bar);
        if session.out.is_json() {
            let shown = shown(&found, &opened.path, has_reference)?;
            session.out.json(&shown)?;
        } else {
            tell(session, &found, has_reference)?;
        }
        Ok(if found.differences.is_empty() { Exit::Done } else { Exit::Found })
    }
}

fn shown(found: &Verified, path: &Path, has_reference: bool) -> Result<serde_json::Value> {
    let mut catalog = Catalog::open(path)?;
    let mut differences = Vec::new();
    for difference in &found.differences {
        let key = match &difference.key {
            Some(key) => {
                let columns = catalog.key_columns(&difference.table, key.len())?;
                json::named(columns.iter().map(String::as_str), key)
            }
            None => serde_json::Value::Null,
        };
        differences.push(json!({ "table": difference.table, "key": key, "what": difference.what }));
    }
    Ok(json!({
        "ok": found.differences.is_empty(),
        "digest": hex(&found.digest),
        "rows": found.rows,
        "compared_with_primary": has_reference,
        "differences": differences,
    }))
}

fn tell(session: &mut Session, found: &Verified, has_reference: bool) -> Result<()> {
    let out = &mut session.out;
    for difference in &found.differences {
        let key = difference.key.as_ref().map_or(String::new(), |k| format!(" {}", plain_text::key(k)));
        out.line(format_args!("{}{key}: {}", name(&difference.table), name(&difference.what)))?;
    }
    let rows = count(found.rows, "row", "rows");
    let with = if has_reference { "capture and the primary" } else { "capture" };
    match found.differences.len() as u64 {
        0 => out.line(format_args!("{rows} agree with {with}; digest {}", hex(&found.digest))),
        n => out.line(format_args!("{} in {rows}, compared with {with}", count(n, "difference", "differences"))),
    }
}
