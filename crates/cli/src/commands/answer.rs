//! `mainstem answer`.
use crate::commands::conflicts::place;
use crate::conflict_choice::by_id;
use crate::exit_codes::Exit;
use crate::review_text;
use crate::wiring::Session;
use mainstem::replica::Answering;
use mainstem::typed_value::value_for_conflict;
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_core::change::Choice;
use mainstem_core::conflict::Conflict;
use serde_json::json;

/// Answers conflicts of a proposal, as its next revision
///
/// A CONFLICT is as `mainstem review` shows it; its first digits are enough while they are clear. Without one, every open conflict
/// is answered so. All of them must have an answer: give one for each by CONFLICT=CHOICE, or one for all.
///
/// Examples:
///   mainstem answer 3 --ours
///   mainstem answer 3 9f3a --theirs
///   mainstem answer 3 9f3a --value 42
///   mainstem answer 3 9f3a=ours 71c0=theirs
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
#[command(group(clap::ArgGroup::new("choice").args(["ours", "theirs", "base", "value", "merged"])))]
pub struct Answer {
    /// The proposal
    #[arg(value_name = "ID")]
    id: u64,
    /// Conflicts, each with a choice (ours, theirs, base, merged) or without
    #[arg(value_name = "CONFLICT[=CHOICE]")]
    conflicts: Vec<String>,
    /// Take the proposal's side
    #[arg(long)]
    ours: bool,
    /// Take the side that is there
    #[arg(long)]
    theirs: bool,
    /// Take what both started from
    #[arg(long)]
    base: bool,
    /// Take this value: text, a number, null, x'00ff'; 'quoted' where it must be text
    #[arg(long, value_name = "V", allow_hyphen_values = true)]
    value: Option<String>,
    /// Merge both sides inside the cell
    #[arg(long)]
    merged: bool,
}

impl Answer {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let opened = session.replica()?;
        let actor = session.actor(&opened.standing)?;
        let mut primary = session.primary_of(&opened.standing)?;
        let by = session.by(&actor);
        let judged = review_text::found(primary.as_mut(), self.id, by)?;
        let open: Vec<Conflict> =
            judged.assessment.iter().flat_map(|a| &a.outcome.conflicts).filter(|conflict| conflict.is_open()).cloned().collect();
        let answers = self.answers(&open)?;
        let revision = primary.answer(self.id, &answers, by)?;
        let told = json!({ "proposal": self.id, "revision": revision, "answered": answers.len() });
        let next = session.out.suggest(&format!("mainstem review {}", self.id));
        review_text::done(session, &told, &format!("proposal {} has revision {revision} now: {next}", self.id))
    }

    fn answers(&self, open: &[Conflict]) -> Result<Vec<(u64, Answering)>> {
        if open.is_empty() {
            let message = format!("proposal {} has no open conflict", self.id);
            return Err(Error::new(ErrorKind::Conflict, "resolved", message).hint(format!("mainstem review {}", self.id)));
        }
        if self.conflicts.is_empty() {
            return open.iter().map(|conflict| Ok((conflict.id, self.typed(conflict)?))).collect();
        }
        let one = |typed: &String| {
            let (id, choice) = typed.split_once('=').map_or((typed.as_str(), None), |(id, choice)| (id, Some(choice)));
            let conflict = by_id(open, id).map_err(|e| e.hint(format!("mainstem review {}", self.id)))?;
            let answering = match choice {
                None => self.typed(conflict)?,
                Some(choice) => Answering { choice: self.named(choice)?, value: None },
            };
            Ok((conflict.id, answering))
        };
        self.conflicts.iter().map(one).collect()
    }

    fn named(&self, choice: &str) -> Result<Choice> {
        let found = [Choice::Ours, Choice::Theirs, Choice::Base, Choice::Merged].into_iter().find(|one| one.name() == choice);
        found.ok_or_else(|| Error::invalid(format!("{choice} is no choice")).hint("mainstem help answer"))
    }

    fn typed(&self, conflict: &Conflict) -> Result<Answering> {
        if let Some(typed) = &self.value {
            return Ok(Answering { choice: Choice::Value, value: Some(value_for_conflict(typed, conflict)) });
        }
        let choices = [(self.ours, Choice::Ours), (self.theirs, Choice::Theirs), (self.base, Choice::Base), (self.merged, Choice::Merged)];
        let chosen = choices.into_iter().find(|(is_chosen, _)| *is_chosen).map(|(_, choice)| choice);
        let none = || {
            let message = format!("no answer is given for {}", place(conflict));
            Error::invalid(message).hint(format!("mainstem answer {} --ours (or --theirs, --base, --value V)", self.id))
        };
        Ok(Answering { choice: chosen.ok_or_else(none)?, value: None })
    }
}
