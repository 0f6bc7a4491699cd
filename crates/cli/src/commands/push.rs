//! `mainstem push`.
use crate::exit_codes::Exit;
use crate::sync_report;
use crate::wiring::Session;
use mainstem::Result;

/// Sends every change that the primary does not have yet
///
/// Nothing of the others' work comes here; for both ways use sync.
///
/// Examples:
///   mainstem push
///   mainstem push --json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Push {
    /// Take many rows that are gone without capture having seen it for deletions
    #[arg(long)]
    accept_deletions: bool,
}

impl Push {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        sync_report::run(session, mainstem::sync::push, self.accept_deletions)?;
        Ok(Exit::Done)
    }
}
