//! `mainstem clone`.
use crate::commands::init::not_tracked;
use crate::commands::scope::check_names;
use crate::exit_codes::Exit;
use crate::json;
use crate::plain_text::{count, name};
use crate::wiring::{Address, Session, open_part, warn_of_place};
use mainstem::primary::Primary;
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_core::schema::Schema;
use mainstem_core::scope::{Part, Scope};
use mainstem_http::client::Patience;
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::{CloneOptions, Cloned, Earlier};
use serde_json::json;
use std::path::PathBuf;

/// Makes a new replica from a primary
///
/// A clone that was cut off goes on where it was when the same command is given again, as long as nobody has written to the
/// primary since; else it begins again.
///
/// Examples:
///   mainstem clone ../shared-primary mine.db
///   mainstem clone /mnt/team/recipes mine.db --as ben
///   mainstem clone ../shared-primary mine.db --only recipe --only "note: owner = 'ben'"
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Clone {
    /// Where the primary is
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// The file to make; it must not exist
    #[arg(value_name = "DB")]
    file: PathBuf,
    /// Hold only this table, or with a filter only these rows of it; may be given again
    #[arg(long, value_name = "TABLE[: FILTER]")]
    only: Vec<Part>,
}

impl Clone {
    /// What is asked for, and the primary as it shows that.
    fn asked(&self, session: &Session, remembered: &str) -> Result<(Scope, Box<dyn Primary>)> {
        let scope = if self.only.is_empty() { Scope::everything() } else { Scope::of(self.only.clone()) };
        let mut primary = open_part(remembered, &scope, session.around.clone(), Patience::default())?;
        check_names(&scope, primary.as_mut(), &Schema::default())?;
        Ok((scope, primary))
    }

    /// Makes the file.
    fn copied(&self, session: &mut Session, remembered: &str) -> Result<Cloned> {
        let actor = session.named_actor()?;
        let (scope, mut primary) = self.asked(session, remembered)?;
        let mut bar = session.bar();
        let around = session.around.clone();
        let mut report = |what: &str, done: u64, of: u64| bar.report(what, done, of);
        let wanted = CloneOptions { address: remembered, actor: actor.as_deref(), scope: &scope };
        SqliteReplica::clone_part(primary.as_mut(), &wanted, &self.file, around, &mut report)
    }

    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let remembered = Address::parse(&self.address)?.remembered()?;
        if self.file.exists() {
            let message = format!("{} exists already", self.file.display());
            return Err(Error::new(ErrorKind::Conflict, "exists", message).hint("name a file that does not exist"));
        }
        let opening = session.around.clone();
        let Cloned { description: made, earlier } = self.copied(session, &remembered)?;
        warn_of_place(&self.file);
        let refused = SqliteReplica::open(&self.file, opening)?.refused()?;
        let rows: u64 = made.tables.iter().map(|t| t.rows).sum();
        let file = self.file.display().to_string();
        if session.out.is_json() {
            session.out.json(&json!({
                "file": file,
                "dataset": made.dataset,
                "remote": remembered,
                "lineage": json::bits(made.lineage),
                "version": made.head.version,
                "tables": made.tables.len(),
                "rows": rows,
                "refused": json::refused(&refused),
                "rows_from_before": if let Earlier::Taken { rows } = earlier { rows } else { 0 },
            }))?;
        } else {
            let (file, dataset, rows) = (name(&file), name(&made.dataset), count(rows, "row", "rows"));
            session.out.line(format_args!("{file} is a replica of {dataset} at version {}: {rows}", made.head.version))?;
            if let Some(said) = said_of(earlier) {
                session.out.line(format_args!("{said}"))?;
            }
            not_tracked(session, &refused)?;
            session.name_where_needed(&self.file);
            let next = session.out.suggest("mainstem sync");
            session.out.line(format_args!("next: edit it with any program, then: {next}"))?;
        }
        Ok(Exit::Done)
    }
}

/// What became of an earlier try that was cut off.
fn said_of(earlier: Earlier) -> Option<String> {
    match earlier {
        Earlier::Nothing => None,
        Earlier::Taken { rows } => Some(format!("{} of them had come in an earlier try", count(rows, "row", "rows"))),
        Earlier::GivenUp => Some("what an earlier try had left was of another state of the primary, and was not used".into()),
    }
}
