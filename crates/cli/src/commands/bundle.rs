//! `mainstem bundle`.
use crate::bundle_carry::{Carried, apply_changesets, apply_versions, create_changesets, create_versions, header_of};
use crate::exit_codes::Exit;
use crate::plain_text::{count, name};
use crate::wiring::Session;
use mainstem::Result;
use mainstem::changeset_file::BundleKind;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Carries changesets on a stick, and versions back
///
/// A bundle can be applied again without harm. One that is out of order says what is missing.
///
/// Examples:
///   mainstem bundle create /media/stick/mine.bundle
///   mainstem bundle apply /media/stick/mine.bundle --to /srv/recipes
///   mainstem bundle create /media/stick/back.bundle --since 12 --from /srv/recipes
///   mainstem bundle apply /media/stick/back.bundle
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Bundle {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Write what is not sent yet, or, with --since, a primary's newer versions
    Create {
        /// The file to write
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Carry the primary's versions after this one
        #[arg(long, value_name = "VERSION")]
        since: Option<u64>,
        /// The primary to take them from [default: the replica's own]
        #[arg(long, value_name = "ADDRESS", requires = "since")]
        from: Option<String>,
    },
    /// Bring what a bundle carries to a primary, or to this replica
    Apply {
        /// The file to read
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The primary that takes the changesets [default: the replica's own]
        #[arg(long, value_name = "ADDRESS")]
        to: Option<String>,
    },
}

impl Bundle {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let (verb, file, carried) = match &self.action {
            Action::Create { file, since: None, .. } => ("wrote", file, create_changesets(session, file)?),
            Action::Create { file, since: Some(since), from } => ("wrote", file, create_versions(session, file, *since, from.as_deref())?),
            Action::Apply { file, to } => ("applied", file, apply(session, file, to.as_deref())?),
        };
        if session.out.is_json() {
            session.out.json(&json!({
                "file": file.display().to_string(),
                "changesets": carried.changesets,
                "versions": carried.versions,
                "rows": carried.rows,
                "already_there": carried.already,
                "conflicts": carried.conflicts,
                "version": carried.version,
            }))?;
        } else {
            tell(session, verb, file, &carried)?;
        }
        Ok(Exit::Done)
    }
}

fn apply(session: &mut Session, file: &Path, to: Option<&str>) -> Result<Carried> {
    match (header_of(file)?.kind, to) {
        (BundleKind::Unsent, to) => apply_changesets(session, file, to),
        (BundleKind::Versions, None) => apply_versions(session, file),
        (BundleKind::Versions, Some(_)) => {
            let message = format!("{} carries versions to a replica, not changesets to a primary", file.display());
            Err(mainstem::Error::invalid(message).hint("mainstem --db DB bundle apply FILE"))
        }
    }
}

fn tell(session: &mut Session, verb: &str, file: &Path, carried: &Carried) -> Result<()> {
    let out = &mut session.out;
    let file = name(&file.display().to_string());
    if carried.changesets + carried.versions + carried.already == 0 {
        return out.line("nothing to carry: everything is there");
    }
    let mut parts = Vec::new();
    if carried.changesets > 0 {
        parts.push(count(carried.changesets, "changeset", "changesets"));
    }
    if carried.versions > 0 {
        parts.push(count(carried.versions, "version", "versions"));
    }
    if carried.already > 0 {
        parts.push(format!("{} already there", carried.already));
    }
    out.line(format_args!("{verb} {file}: {} ({})", parts.join(", "), count(carried.rows, "row", "rows")))?;
    if carried.conflicts > 0 {
        out.line(format_args!("found {}", count(carried.conflicts, "conflict", "conflicts")))?;
    }
    Ok(())
}
