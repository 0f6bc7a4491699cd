//! `mainstem sync`.
use crate::exit_codes::Exit;
use crate::sync_report;
use crate::sync_state;
use crate::wiring::Session;
use mainstem::Result;

/// Sends what is new here and receives what is new there
///
/// Ends with exit code 5 while conflicts are open. Everything else has arrived by then.
///
/// Examples:
///   mainstem sync
///   mainstem --db mine.db sync
///   mainstem sync --json
///   mainstem sync status
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true)]
pub struct Sync {
    #[command(subcommand)]
    what: Option<What>,
    /// Take many rows that are gone without capture having seen it for deletions
    #[arg(long)]
    accept_deletions: bool,
    /// Take the primary's rows again, whatever became of those here; unsent changes stay
    #[arg(long, conflicts_with = "accept_deletions")]
    reseed: bool,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Shows when this copy was synced last, how far it is behind, what is unsent, and whether it is watched
    Status,
}

impl Sync {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        if let Some(What::Status) = self.what {
            let path = session.db_path()?;
            return sync_state::show_one(session, &path).map(|()| Exit::Done);
        }
        let exchange = if self.reseed { mainstem::sync::reseed } else { mainstem::sync::sync };
        let report = sync_report::run(session, exchange, self.accept_deletions)?;
        Ok(if report.conflicts_open > 0 { Exit::ConflictsOpen } else { Exit::Done })
    }
}
