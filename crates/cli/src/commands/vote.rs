//! `mainstem vote`.
use crate::exit_codes::Exit;
use crate::output::note;
use crate::plain_text::hex;
use crate::wiring::Session;
use mainstem::review::{By, Deed};
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_core::proposal::{Ballot, Word};
use serde_json::json;

/// Votes on a proposal
///
/// A vote is on exactly what `mainstem review` showed last in this copy. If merging would do something else by now, it is
/// refused: look again. A later vote takes the place of an earlier one. A rejection says why.
///
/// Examples:
///   mainstem vote 3 approve
///   mainstem vote 3 approve -m "Checked against the invoice"
///   mainstem vote 3 reject -m "The second price is wrong"
///   mainstem vote 3 abstain
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Vote {
    /// The proposal
    #[arg(value_name = "ID")]
    id: u64,
    /// The word
    #[arg(value_enum, value_name = "approve|reject|abstain")]
    word: Given,
    /// Why
    #[arg(short = 'm', long = "message", value_name = "TEXT", default_value = "", hide_default_value = true)]
    comment: String,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    /// For it
    Approve,
    /// Against it
    Reject,
    /// Neither
    Abstain,
}

impl Vote {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let opened = session.replica()?;
        let actor = session.actor(&opened.standing)?;
        let mut primary = session.primary_of(&opened.standing)?;
        let by = session.by(&actor);
        let shown = opened.replica.shown(self.id)?;
        let is_shown = shown.is_some();
        let (revision, digest) = match shown {
            Some(shown) => shown,
            None => now(primary.as_mut(), self.id, by)?,
        };
        let word = match self.word {
            Given::Approve => Word::Approve,
            Given::Reject => Word::Reject,
            Given::Abstain => Word::Abstain,
        };
        let ballot = Ballot { revision, digest, word, comment: self.comment.clone() };
        primary.act(self.id, &Deed::Vote(ballot), by)?;
        if !is_shown {
            note(format!("proposal {} was not shown in this copy; the vote is on what merging it does now", self.id));
        }
        let told = json!({ "proposal": self.id, "revision": revision, "digest": hex(&digest), "vote": word.name(), "was_shown": is_shown });
        crate::review_text::done(session, &told, &format!("voted: {} on revision {revision} of proposal {}", word.name(), self.id))
    }
}

/// What merging does now.
fn now(primary: &mut dyn mainstem::primary::Primary, id: u64, by: By<'_>) -> Result<(u64, mainstem_core::event::Digest)> {
    let judged = crate::review_text::found(primary, id, by)?;
    let assessment = judged.assessment.ok_or_else(|| {
        let message = format!("proposal {id} is {}", judged.proposal.stage.name());
        Error::new(ErrorKind::Conflict, "closed", message).hint(format!("mainstem review {id}"))
    })?;
    Ok((assessment.revision, assessment.digest))
}
