//! `mainstem deinit`.
use crate::exit_codes::Exit;
use crate::plain_text::name;
use crate::wiring::Session;
use mainstem::Result;
use mainstem_sqlite::SqliteReplica;
use serde_json::json;
use std::path::PathBuf;

/// Stops tracking and removes everything that mainstem added; the data stays
///
/// Work that was not sent is kept from being forgotten: with unsent changes this needs --force.
///
/// Examples:
///   mainstem deinit app.db
///   mainstem deinit app.db --force
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Deinit {
    /// The tracked file
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Stop even where changes were not sent to the primary
    #[arg(long)]
    force: bool,
}

impl Deinit {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let path = self.file.clone().map_or_else(|| session.db_path(), Ok)?;
        session.name_where_needed(&path);
        SqliteReplica::deinit(&path, self.force, session.around.clone())?;
        if session.out.is_json() {
            session.out.json(&json!({ "file": path.display().to_string() }))?;
        } else {
            let path = name(&path.display().to_string());
            session.out.line(format_args!("{path} is a plain SQLite file again"))?;
        }
        Ok(Exit::Done)
    }
}
