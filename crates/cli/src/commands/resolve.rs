//! `mainstem resolve`.
use crate::commands::conflicts::{claim, other_choices, place};
use crate::conflict_choice::{ConflictFilter, by_id};
use crate::exit_codes::Exit;
use crate::json::conflict_id;
use crate::plain_text::{self, Extent, count};
use crate::wiring::Session;
use mainstem::replica::{Answering, Replica};
use mainstem::typed_value::value_for_conflict;
use mainstem::{Error, Result};
use mainstem_core::change::Choice;
use mainstem_core::conflict::{Claim, Conflict, ConflictKind};
use serde_json::json;

/// Answers a conflict, as an edit of yours that travels with the next sync
///
/// An ID is as `mainstem conflicts` shows it; its first digits are enough while they are clear.
///
/// Examples:
///   mainstem resolve 9f3a --ours
///   mainstem resolve 9f3a --theirs
///   mainstem resolve 9f3a --value "Sour dough bread"
///   mainstem resolve 9f3a --merged
///   mainstem resolve --all --theirs --table artist
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["id", "all"])))]
#[command(group(clap::ArgGroup::new("choice").required(true).args(["ours", "theirs", "base", "value", "merged"])))]
pub struct Resolve {
    /// The conflict
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// Every open conflict that the filters keep
    #[arg(long, conflicts_with_all = ["base", "value", "merged"])]
    all: bool,
    /// Take the side that came in
    #[arg(long)]
    ours: bool,
    /// Take the side that was there
    #[arg(long)]
    theirs: bool,
    /// Take what both started from
    #[arg(long)]
    base: bool,
    /// Take this value: text, a number, null, x'00ff'; 'quoted' where it must be text
    #[arg(long, value_name = "V", allow_hyphen_values = true)]
    value: Option<String>,
    /// Merge both sides inside the cell, where they changed different places of its text or JSON
    #[arg(long)]
    merged: bool,
    #[command(flatten)]
    filter: ConflictFilter,
}

impl Resolve {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        let actor = session.actor(&opened.standing)?;
        let known = opened.replica.conflicts(self.all)?;
        let meant: Vec<&Conflict> = match &self.id {
            Some(id) => vec![by_id(&known, id)?],
            None => known.iter().filter(|c| self.filter.keeps(c)).collect(),
        };
        let answers = meant.iter().map(|c| Ok((c.id, self.answering(c)?))).collect::<Result<Vec<_>>>()?;
        if !answers.is_empty() {
            opened.replica.resolve(&actor, &answers)?;
        }
        self.tell(session, &meant)?;
        Ok(Exit::Done)
    }

    fn choice(&self) -> Choice {
        match () {
            () if self.ours => Choice::Ours,
            () if self.theirs => Choice::Theirs,
            () if self.base => Choice::Base,
            () if self.merged => Choice::Merged,
            () => Choice::Value,
        }
    }

    fn answering(&self, conflict: &Conflict) -> Result<Answering> {
        if self.base && conflict.kind == ConflictKind::Unique && conflict.base == Claim::Row(None) {
            let message = format!("conflict {} is about two new rows: there is nothing to go back to", conflict_id(conflict.id));
            let hint = format!("mainstem resolve {} --ours (or {})", conflict_id(conflict.id), other_choices(conflict));
            return Err(Error::invalid(message).hint(hint));
        }
        let Some(typed) = &self.value else {
            return Ok(Answering { choice: self.choice(), value: None });
        };
        if conflict.column.is_none() && conflict.kind != ConflictKind::Unique {
            let message = format!("conflict {} is about a whole row, which a value cannot answer", conflict_id(conflict.id));
            let hint = format!("mainstem resolve {} --ours (or {})", conflict_id(conflict.id), other_choices(conflict));
            return Err(Error::invalid(message).hint(hint));
        }
        Ok(Answering { choice: Choice::Value, value: Some(value_for_conflict(typed, conflict)) })
    }

    fn tell(&self, session: &mut Session, meant: &[&Conflict]) -> Result<()> {
        let choice = self.choice();
        if session.out.is_json() {
            let ids: Vec<String> = meant.iter().map(|c| conflict_id(c.id)).collect();
            return session.out.json(&json!({ "resolved": ids, "choice": choice.name() }));
        }
        if let [only] = meant {
            let chosen = match choice {
                Choice::Ours => claim(&only.ours.claim),
                Choice::Theirs => claim(&only.theirs.claim),
                Choice::Base => claim(&only.base),
                Choice::Value => self.answering(only)?.value.map_or(String::new(), |v| plain_text::value(&v, Extent::Short)),
                Choice::Merged => "a merge of both".to_string(),
            };
            session.out.line(format_args!("{}: {chosen}", place(only)))?;
        }
        if meant.is_empty() {
            return session.out.line("no open conflict is meant");
        }
        let conflicts = count(meant.len() as u64, "conflict", "conflicts");
        let next = session.out.suggest("mainstem sync");
        session.out.line(format_args!("answered {conflicts} (share it with: {next})"))
    }
}
