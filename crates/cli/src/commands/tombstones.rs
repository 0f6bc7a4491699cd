//! `mainstem tombstones`.
use crate::cleanup_report;
use crate::exit_codes::Exit;
use crate::key_argument::KeyArgument;
use crate::output::JsonList;
use crate::plain_text::{count, name};
use crate::tombstone_view::{shown, tell};
use crate::wiring::Session;
use mainstem::changeset_json::parse_time;
use mainstem::cleanup::Rehearsal;
use mainstem::primary::Primary;
use mainstem::tombstones::{self, Tombstone, TombstoneId, Wanted};
use mainstem::{Error, Result};
use serde_json::json;

/// Lists what was deleted, brings it back, and forgets what is old
///
/// Each deletion that a primary accepts is remembered for 90 days, or as the policy says (`tombstones`).
/// Rows that an app only marks as deleted are listed too where the policy names the column (`soft_delete`).
///
/// Examples:
///   mainstem tombstones list --table artist --since 2026-11-01
///   mainstem tombstones stats
///   mainstem tombstones restore 12.1
///   mainstem tombstones restore artist 276
///   mainstem tombstones cleanup --dry-run --explain
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Tombstones {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// List deletions, oldest first
    List {
        #[command(flatten)]
        filter: Filter,
    },
    /// Count them by table
    Stats {
        #[command(flatten)]
        filter: Filter,
    },
    /// Bring back one row, or all that one version deleted, as an edit of yours
    Restore {
        /// As the list shows it, such as 12.1; 12 for all that version 12 deleted; or a table
        #[arg(value_name = "ID|TABLE")]
        what: String,
        /// The row of that table
        #[arg(value_name = "KEY", allow_hyphen_values = true)]
        key: Option<String>,
    },
    /// Forget what has expired and every replica has heard of
    Cleanup {
        /// Say what it would do, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Say what holds the rest
        #[arg(long)]
        explain: bool,
        /// The primary [default: the replica's own]
        #[arg(long, value_name = "ADDRESS")]
        primary: Option<String>,
    },
}

#[derive(clap::Args, Debug)]
struct Filter {
    /// Only this table
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// Only what was accepted since that day or moment (2026-11-01, in UTC), or after that version
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only what this person deleted
    #[arg(id = "deleted_by", long = "actor", value_name = "NAME")]
    deleted_by: Option<String>,
    /// The primary [default: the replica's own]
    #[arg(long, value_name = "ADDRESS")]
    primary: Option<String>,
}

impl Filter {
    fn wanted(&self) -> Result<Wanted> {
        let mut wanted = Wanted { table: self.table.clone(), actor: self.deleted_by.clone(), ..Wanted::default() };
        if let Some(typed) = &self.since {
            wanted.after = typed.parse().ok();
            let whole = if typed.contains('T') { typed.clone() } else { format!("{typed}T00:00:00.000Z") };
            wanted.since = parse_time(&whole);
            if wanted.after.is_none() && wanted.since.is_none() {
                let message = format!("{} is neither a day nor a version", name(typed));
                return Err(Error::invalid(message).hint("mainstem tombstones list --since 2026-11-01"));
            }
        }
        Ok(wanted)
    }
}

impl Tombstones {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        match &self.action {
            Action::List { filter } => list(session, filter),
            Action::Stats { filter } => stats(session, filter),
            Action::Restore { what, key } => restore(session, what, key.as_deref()),
            Action::Cleanup { dry_run, explain, primary } => {
                let rehearsal = if *dry_run { Rehearsal::DryRun } else { Rehearsal::Real };
                let actor = session.actor_anywhere()?;
                let done = reach(session, primary.as_deref())?.cleanup(&actor, rehearsal)?;
                cleanup_report::tell(session, &done, rehearsal, *explain)?;
                Ok(Exit::Done)
            }
        }
    }
}

fn reach(session: &Session, address: Option<&str>) -> Result<Box<dyn Primary>> {
    match address {
        Some(address) => session.primary_at(address),
        None => session.primary_of(&session.replica()?.standing),
    }
}

fn list(session: &mut Session, filter: &Filter) -> Result<Exit> {
    let (wanted, mut primary) = (filter.wanted()?, reach(session, filter.primary.as_deref())?);
    let out = &mut session.out;
    if out.is_json() {
        let mut elements = JsonList::begin(out)?;
        primary.tombstones(&wanted, &mut |tombstone| elements.push(out, &shown(tombstone)))?;
        elements.end(out)?;
        return Ok(Exit::Done);
    }
    let mut example = None;
    primary.tombstones(&wanted, &mut |tombstone| {
        example = tombstone.id.filter(|_| !tombstone.is_there).or(example);
        tell(out, tombstone)
    })?;
    match example {
        Some(id) => {
            let command = out.suggest(&format!("mainstem tombstones restore {id}"));
            out.line(format_args!("bring one back with: {command}"))?;
        }
        None => out.line("no row that was deleted is remembered and gone")?,
    }
    Ok(Exit::Done)
}

fn stats(session: &mut Session, filter: &Filter) -> Result<Exit> {
    let mut primary = reach(session, filter.primary.as_deref())?;
    let tables = tombstones::stats(primary.as_mut(), &filter.wanted()?)?;
    crate::tombstone_view::tell_stats(&mut session.out, &tables)?;
    Ok(Exit::Done)
}

fn restore(session: &mut Session, what: &str, key: Option<&str>) -> Result<Exit> {
    let mut opened = session.replica().map_err(|e| match e.code {
        "no_database" => e.hint("mainstem clone ADDRESS NEW.db, then the same command: what comes back is an edit of a replica"),
        _ => e,
    })?;
    let mut primary = session.primary_of(&opened.standing)?;
    let chosen = choose(primary.as_mut(), what, key)?;
    let rows = tombstones::restore(&mut opened.replica, &chosen)?;
    if session.out.is_json() {
        session.out.json(&json!({ "restored": rows }))?;
        return Ok(Exit::Done);
    }
    match rows {
        0 => session.out.line("nothing to bring back: what is meant is there")?,
        _ => {
            let next = session.out.suggest("mainstem sync");
            session.out.line(format_args!("brought back {} (share it with: {next})", count(rows, "row", "rows")))?;
        }
    }
    Ok(Exit::Done)
}

/// The tombstones that were typed: one, all of a version, or the latest of a row.
fn choose(primary: &mut dyn Primary, what: &str, key: Option<&str>) -> Result<Vec<Tombstone>> {
    let mut wanted = Wanted::default();
    match (key, what.parse::<u64>(), what.parse::<TombstoneId>()) {
        (None, Ok(version), _) => wanted.version = Some(version),
        (None, _, Ok(id)) => (wanted.version, wanted.place) = (Some(id.version), Some(id.place)),
        (None, _, Err(e)) => return Err(e),
        (Some(_), ..) => wanted.table = Some(what.to_string()),
    }
    let typed = key.map(|key| KeyArgument(key.to_string()));
    let mut chosen: Vec<Tombstone> = Vec::new();
    primary.tombstones(&wanted, &mut |tombstone| {
        let columns: Vec<&str> = tombstone.key_columns.iter().map(String::as_str).collect();
        let is_meant = typed.as_ref().map_or(Ok(true), |key| key.is_match(&columns, &tombstone.key))?;
        if is_meant && typed.is_some() {
            chosen.clear();
        }
        if is_meant && !(typed.is_none() && wanted.place.is_none() && tombstone.is_there) {
            chosen.push(tombstone.clone());
        }
        Ok(())
    })?;
    if chosen.is_empty() {
        let meant = key.map_or(name(what), |key| format!("{} {}", name(what), name(key)));
        return Err(Error::not_found(format!("no deletion of {meant} is remembered")).hint("mainstem tombstones list"));
    }
    Ok(chosen)
}
