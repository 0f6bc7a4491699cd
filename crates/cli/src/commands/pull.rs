//! `mainstem pull`.
use crate::exit_codes::Exit;
use crate::sync_report;
use crate::wiring::Session;
use mainstem::Result;

/// Brings this replica to the latest version, your own work on top
///
/// Nothing is sent; for both ways use sync.
///
/// Examples:
///   mainstem pull
///   mainstem pull --json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Pull {}

impl Pull {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        sync_report::run(session, mainstem::sync::pull, false)?;
        Ok(Exit::Done)
    }
}
