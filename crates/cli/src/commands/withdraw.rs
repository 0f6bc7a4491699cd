//! `mainstem withdraw`, `mainstem reject` and `mainstem reopen`.
use crate::exit_codes::Exit;
use crate::plain_text::count;
use crate::review_text;
use crate::wiring::{Opened, Session};
use mainstem::Result;
use mainstem::proposing::Proposing;
use mainstem::review::Deed;
use mainstem_core::proposal::{Decision, Stage};
use serde_json::json;

/// Takes a proposal back
///
/// The changes stay in this copy, kept for review, until they are proposed again or taken back with --undo. Then the rows go
/// back to what they are without them, and the changes are put aside (mainstem stash).
///
/// Examples:
///   mainstem withdraw 3
///   mainstem withdraw 3 -m "Not needed any more"
///   mainstem withdraw 3 --undo
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Withdraw {
    /// The proposal
    #[arg(value_name = "ID")]
    id: u64,
    /// Take its changes back in this copy, too
    #[arg(long)]
    undo: bool,
    /// Why
    #[arg(short = 'm', long = "message", value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

/// Rejects a proposal
///
/// Its author's copy keeps the changes, marked, until they are revised or taken back.
///
/// Examples:
///   mainstem reject 3 -m "This list is kept elsewhere"
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Reject {
    /// The proposal
    #[arg(value_name = "ID")]
    id: u64,
    /// Why
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    reason: String,
}

/// Opens a closed proposal again
///
/// Examples:
///   mainstem reopen 3
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Reopen {
    /// The proposal
    #[arg(value_name = "ID")]
    id: u64,
    /// Why
    #[arg(short = 'm', long = "message", value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

impl Withdraw {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        // What its author takes back here may be closed already.
        let is_closed = opened.replica.kept()?.iter().any(|kept| kept.mark.proposal() == Some(self.id) && !kept.mark.is_open());
        if !(self.undo && is_closed) {
            decide(session, &mut opened, self.id, Stage::Withdrawn, &self.reason)?;
        }
        let undone = match self.undo {
            true => Some(opened.replica.take_back(self.id)?),
            false => None,
        };
        let told = json!({ "proposal": self.id, "state": "withdrawn", "undone": undone });
        let text = match undone {
            None => format!("withdrew proposal {}; its changes are still here: {}", self.id, session.out.suggest("mainstem propose")),
            Some(undone) => {
                let rows = count(undone, "change", "changes");
                format!("withdrew proposal {} and put {rows} aside: {}", self.id, session.out.suggest("mainstem stash list"))
            }
        };
        review_text::done(session, &told, &text)
    }
}

impl Reject {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        decide(session, &mut opened, self.id, Stage::Rejected, &self.reason)?;
        let told = json!({ "proposal": self.id, "state": "rejected" });
        review_text::done(session, &told, &format!("rejected proposal {}", self.id))
    }
}

impl Reopen {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        decide(session, &mut opened, self.id, Stage::Open, &self.reason)?;
        let told = json!({ "proposal": self.id, "state": "open" });
        review_text::done(session, &told, &format!("proposal {} is open again", self.id))
    }
}

/// Closes a proposal or opens it again, and notes it in this copy.
pub fn decide(session: &Session, opened: &mut Opened, id: u64, stage: Stage, reason: &str) -> Result<()> {
    let actor = session.actor(&opened.standing)?;
    let mut primary = session.primary_of(&opened.standing)?;
    let by = session.by(&actor);
    primary.act(id, &Deed::Decide(Decision { stage, reason: reason.to_owned() }), by)?;
    opened.replica.note_stage(id, stage)
}
