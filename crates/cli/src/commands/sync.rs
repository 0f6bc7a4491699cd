//! `mainstem sync`.
use crate::exit_codes::Exit;
use crate::sync_report;
use crate::sync_state;
use crate::sync_stats::{self, Row};
use crate::wiring::Session;
use mainstem::Result;
use std::path::Path;

/// Sends what is new here and receives what is new there
///
/// Ends with exit code 5 while conflicts are open. Everything else has arrived by then.
///
/// Examples:
///   mainstem sync
///   mainstem --db mine.db sync
///   mainstem sync --json
///   mainstem sync status
///   mainstem sync stats artist 276
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
    /// Counts what moved: by copy and table, or of one row, with what is unsent and in conflict
    ///
    /// Counted is what the versions kept in this copy changed; the output says from which version on that is.
    #[command(verbatim_doc_comment)]
    Stats {
        /// Only this table's row
        #[arg(value_name = "TABLE", requires = "key")]
        table: Option<String>,
        /// The row
        #[arg(value_name = "KEY", allow_hyphen_values = true)]
        key: Option<String>,
    },
}

impl Sync {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        if let Some(what) = &self.what {
            let path = session.db_path()?;
            return what.show(session, &path).map(|()| Exit::Done);
        }
        let exchange = if self.reseed { mainstem::sync::reseed } else { mainstem::sync::sync };
        let report = sync_report::run(session, exchange, self.accept_deletions)?;
        Ok(if report.conflicts_open > 0 { Exit::ConflictsOpen } else { Exit::Done })
    }
}

impl What {
    fn show(&self, session: &mut Session, path: &Path) -> Result<()> {
        match self {
            What::Status => sync_state::show_one(session, path),
            What::Stats { table, key } => {
                let row = table.as_deref().zip(key.as_deref()).map(|(table, key)| Row { table, key });
                sync_stats::show(session, path, row.as_ref())
            }
        }
    }
}
