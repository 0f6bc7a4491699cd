//! `mainstem scope`.
use crate::exit_codes::Exit;
use crate::sync_report;
use crate::wiring::{Opened, Session, open_part, remote_of};
use mainstem::primary::Primary;
use mainstem::{Error, Result, sync};
use mainstem_core::ErrorKind;
use mainstem_core::schema::Schema;
use mainstem_core::scope::{Part, Scope as Seen};
use mainstem_http::client::Patience;
use serde_json::json;

/// Shows or sets which part of the dataset this copy holds
///
/// Rows that come into the scope arrive and rows that leave it go, here only: nothing is deleted for others. What is
/// unsent is sent first.
///
/// Examples:
///   mainstem scope
///   mainstem scope set recipe "note: owner = 'ben' and (done = 0 or due >= '2026-01-01')"
///   mainstem scope set --all
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Scope {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// The tables and filters, one on each line; * for everything
    Show,
    /// Hold other tables or rows from now on
    Set {
        /// A table, or with a filter some of its rows
        #[arg(value_name = "TABLE[: FILTER]", required_unless_present = "all")]
        parts: Vec<Part>,
        /// Hold everything
        #[arg(long, conflicts_with = "parts")]
        all: bool,
    },
}

impl Scope {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let opened = session.replica()?;
        match &self.action {
            None | Some(Action::Show) => show(session, &opened.standing.scope),
            Some(Action::Set { all: true, .. }) => set(session, opened, Seen::everything()),
            Some(Action::Set { parts, .. }) => set(session, opened, Seen::of(parts.clone())),
        }
    }
}

fn show(session: &mut Session, scope: &Seen) -> Result<Exit> {
    if session.out.is_json() {
        let parts = scope.parts().map(|parts| {
            let filter = |part: &Part| if part.filter.is_everything() { None } else { Some(part.filter.to_string()) };
            parts.iter().map(|part| json!({ "table": part.table, "filter": filter(part) })).collect::<Vec<_>>()
        });
        session.out.json(&json!({ "everything": scope.is_everything(), "tables": parts }))?;
    } else {
        session.out.line(scope.to_string())?;
    }
    Ok(Exit::Done)
}

fn set(session: &mut Session, mut opened: Opened, wanted: Seen) -> Result<Exit> {
    let actor = session.actor(&opened.standing)?;
    let mut primary = open_part(remote_of(&opened.standing)?, &wanted, session.around.clone(), Patience::default())?;
    check_names(&wanted, primary.as_mut(), &opened.replica.schema()?)?;
    opened.replica.lock(&actor)?;
    let mut bar = session.bar();
    let mut report = |what: &str, done: u64, of: u64| bar.report(what, done, of);
    // What was made in the old part is sent as a part of it; a table that only the new one has, as a part of that.
    let mut before = session.primary_of(&opened.standing)?;
    match sync::push(&mut opened.replica, before.as_mut(), &actor, &mut report) {
        Err(e) if e.code == "outside_scope" || e.code == "scope_column" => {
            sync::push(&mut opened.replica, primary.as_mut(), &actor, &mut report)?
        }
        sent => sent?,
    };
    opened.replica.set_scope(&wanted)?;
    let done = sync::sync(&mut opened.replica, primary.as_mut(), &actor, &mut report);
    drop(bar);
    sync_report::show(session, &done?)?;
    Ok(Exit::Done)
}

/// Refuses tables that are neither there nor here: asked for by mistake, they would be nothing for ever.
pub fn check_names(scope: &Seen, primary: &mut dyn Primary, here: &Schema) -> Result<()> {
    let Some(parts) = scope.parts() else { return Ok(()) };
    let chronicle = primary.chronicle()?;
    match parts.iter().find(|part| chronicle.follow(&part.table).is_none() && here.table(&part.table).is_none()) {
        None => Ok(()),
        Some(part) => {
            let message = format!("the dataset has no table {}", part.table);
            Err(Error::new(ErrorKind::NotFound, "not_found", message)
                .hint("mainstem clone ADDRESS NEW.db, without --only, holds every table"))
        }
    }
}
