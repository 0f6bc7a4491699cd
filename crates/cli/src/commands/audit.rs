//! `mainstem audit`.
use crate::audit_export;
use crate::exit_codes::Exit;
use crate::plain_text::{count, hex, name};
use crate::wiring::Session;
use mainstem::audit::{self, Finding, Remembered};
use mainstem::primary::{Acquaintance, Primary};
use mainstem::{Error, Result};
use mainstem_core::event::Digest;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Verifies the whole history of the primary, or writes it down
///
/// A replica compares the primary with the version it holds: a history that was cut or made anew is whole in itself, and
/// only who saw it before can tell.
///
/// Examples:
///   mainstem audit verify
///   mainstem audit verify shared
///   mainstem audit verify --head 4f1c…
///   mainstem audit export history.jsonl
///   mainstem audit export --version 12 --to version12
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Audit {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Check every event, page, projection and stored row; ends with exit code 1 where something is not in order
    Verify {
        /// The primary's folder [default: the replica's primary, compared with the version the replica holds]
        #[arg(value_name = "PRIMARY")]
        primary: Option<String>,
        /// The hash of an event that somebody wrote down, which must be in the chain
        #[arg(long, value_name = "HASH", value_parser = parse_hash)]
        head: Option<Digest>,
    },
    /// Write every event as one line of JSON, or one version as a folder of files
    Export {
        /// The file to write [default: standard output]
        #[arg(value_name = "FILE", conflicts_with_all = ["version", "to"])]
        file: Option<PathBuf>,
        /// One version: merge_result.json, diff.json, conflicts.json and validation.json
        #[arg(long, value_name = "VERSION", requires = "to")]
        version: Option<u64>,
        /// The folder for them, which is made
        #[arg(long, value_name = "FOLDER", requires = "version")]
        to: Option<PathBuf>,
    },
}

impl Audit {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        match &self.action {
            Action::Verify { primary, head } => verify(session, primary.as_deref(), *head),
            Action::Export { version: Some(version), to: Some(folder), .. } => export_version(session, *version, folder),
            Action::Export { file, .. } => export(session, file.as_deref()),
        }
    }
}

fn parse_hash(typed: &str) -> std::result::Result<Digest, String> {
    let digits: Option<Vec<u8>> =
        (0..typed.len()).step_by(2).map(|i| typed.get(i..i + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok())).collect();
    digits.and_then(|bytes| Digest::try_from(bytes).ok()).ok_or_else(|| "a hash has 64 hexadecimal digits".into())
}

fn verify(session: &mut Session, address: Option<&str>, head: Option<Digest>) -> Result<Exit> {
    let (mut primary, known) = reach(session, address)?;
    let remembered = Remembered { known: known.as_ref(), head };
    let mut findings: Vec<Finding> = Vec::new();
    let mut bar = session.bar();
    let take = &mut |finding| {
        findings.push(finding);
        Ok(())
    };
    let found = audit::verify(&mut *primary, remembered, take, &mut |what, done, of| bar.report(what, done, of))?;
    drop(bar);
    let out = &mut session.out;
    let chain = &found.chain;
    if out.is_json() {
        let shown =
            findings.iter().map(|f| json!({ "subject": f.subject.name(), "position": f.position, "version": f.version, "what": f.what }));
        out.json(&json!({
            "ok": findings.is_empty(), "events": chain.events, "version": chain.version, "head": hex(&chain.head), "pages": chain.pages,
            "rows": found.rows, "compared_with_replica": known.is_some(), "head_found": chain.head_found,
            "findings": shown.collect::<Vec<_>>(),
        }))?;
    } else {
        findings.iter().try_for_each(|finding| out.line(name(&finding.what)))?;
        let events = count(chain.events, "event", "events");
        let rows = found.rows.map_or_else(|| "rows not compared".into(), |rows| count(rows, "row", "rows"));
        let state = if findings.is_empty() { "in order".into() } else { count(findings.len() as u64, "finding", "findings") };
        out.line(format_args!("{events} up to version {}, {rows}: {state}; head {}", chain.version, hex(&chain.head)))?;
    }
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Found })
}

/// The primary that is meant, and what the replica knows of it, where one is asked.
fn reach(session: &Session, address: Option<&str>) -> Result<(Box<dyn Primary>, Option<Acquaintance>)> {
    match address {
        Some(address) => Ok((session.primary_at(address)?, None)),
        None => {
            let opened = session.replica()?;
            Ok((session.whole_primary_of(&opened.standing)?, opened.standing.known))
        }
    }
}

fn export(session: &mut Session, file: Option<&Path>) -> Result<Exit> {
    let opened = session.replica()?;
    let mut primary = session.whole_primary_of(&opened.standing)?;
    let events = audit_export::events(&mut session.out, &mut *primary, file)?;
    if let Some(file) = file {
        let shown = name(&file.display().to_string());
        match session.out.is_json() {
            true => session.out.json(&json!({ "file": file.display().to_string(), "events": events }))?,
            false => session.out.line(format_args!("wrote {shown}: {}", count(events, "event", "events")))?,
        }
    }
    Ok(Exit::Done)
}

fn export_version(session: &mut Session, number: u64, folder: &Path) -> Result<Exit> {
    let opened = session.replica()?;
    let mut primary = session.whole_primary_of(&opened.standing)?;
    let Some(version) = primary.version(number)? else {
        return Err(Error::not_found(format!("{} has no version {number}", opened.standing.dataset)).hint("mainstem log"));
    };
    let files = audit_export::version(&mut *primary, &version, folder)?;
    match session.out.is_json() {
        true => session.out.json(&json!({ "folder": folder.display().to_string(), "files": files }))?,
        false => session.out.line(format_args!("wrote {} to {}", files.join(", "), name(&folder.display().to_string())))?,
    }
    Ok(Exit::Done)
}
