//! `mainstem staging`.
use crate::exit_codes::Exit;
use crate::json;
use crate::plain_text::{count, moment};
use crate::wiring::Session;
use mainstem::Result;
use mainstem::cleanup::Rehearsal;
use mainstem::review::Staged;
use serde_json::{Value as Json, json};

/// Shows and cleans the rows that are staged for proposals beside the primary's ledger
///
/// Those of closed proposals are kept as long as the policy says.
///
/// Examples:
///   mainstem staging list
///   mainstem staging cleanup --dry-run
///   mainstem staging cleanup
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Staging {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// What is staged, oldest first
    List,
    /// Remove what closed proposals have staged for longer than the policy says
    Cleanup {
        /// Say what would go, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
}

impl Staging {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let opened = session.replica()?;
        let actor = session.actor(&opened.standing)?;
        let mut primary = session.primary_of(&opened.standing)?;
        let by = session.by(&actor);
        let (staged, none) = match self.action {
            Action::List => (primary.staging()?, "nothing is staged"),
            Action::Cleanup { dry_run: true } => (primary.clean_staging(Rehearsal::DryRun, by)?, "nothing would be removed"),
            Action::Cleanup { dry_run: false } => (primary.clean_staging(Rehearsal::Real, by)?, "nothing is to be removed"),
        };
        let out = &mut session.out;
        if out.is_json() {
            out.json(&staged.iter().map(shown).collect::<Vec<_>>().into())?;
            return Ok(Exit::Done);
        }
        staged.iter().try_for_each(|one| out.line(line(one)))?;
        if staged.is_empty() {
            out.line(none)?;
        }
        Ok(Exit::Done)
    }
}

fn shown(staged: &Staged) -> Json {
    json!({
        "proposal": staged.proposal, "stage": staged.stage.name(), "revisions": staged.revisions, "bytes": staged.bytes,
        "touched_at": json::moment(staged.touched), "expires_at": staged.expires.map(json::moment),
    })
}

fn line(staged: &Staged) -> String {
    let until = staged.expires.map_or(String::new(), |at| format!(", until {}", moment(at)));
    let revisions = count(staged.revisions, "revision", "revisions");
    format!("proposal {} ({}): {revisions}, {} bytes{until}", staged.proposal, staged.stage.name(), staged.bytes)
}
