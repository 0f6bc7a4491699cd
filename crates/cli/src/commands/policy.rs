//! `mainstem policy`.
use crate::exit_codes::Exit;
use crate::output::Output;
use crate::policy_edit;
use crate::wiring::Session;
use mainstem::policy_text;
use mainstem::{Error, Result};
use serde_json::json;

/// Shows or changes the rules by which edits combine
///
/// A key names the dataset, a table or a column; the nearest one wins. docs/commands.md lists keys and values.
///
/// Examples:
///   mainstem policy show
///   mainstem policy set strategy last-write-wins
///   mainstem policy set recipe.note.strategy text
///   mainstem policy edit
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Policy {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Show the policy in force on the primary
    Show,
    /// Set one key: strategy, recipe.strategy, recipe.title.strategy; also deletes, mode, priority_column and others
    Set {
        /// The key, with dots
        #[arg(value_name = "KEY")]
        key: String,
        /// The value
        #[arg(value_name = "VALUE", allow_hyphen_values = true)]
        value: String,
    },
    /// Open the policy in $VISUAL or $EDITOR
    Edit,
}

impl Policy {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let opened = session.replica()?;
        let action = self.action.as_ref().unwrap_or(&Action::Show);
        if let (Action::Show, None) = (action, &opened.standing.remote) {
            return show(&mut session.out, &opened.standing.policy);
        }
        let mut primary = session.primary_of(&opened.standing)?;
        let before = primary.describe()?.policy;
        let after = match action {
            Action::Show => return show(&mut session.out, &before),
            Action::Set { key, value } => policy_text::set(&before, key, value).map_err(hinted)?,
            Action::Edit => policy_edit::edit(&before)?,
        };
        if after == before {
            return tell(session, &after, "the policy is as it was");
        }
        primary.set_policy(&after, &session.actor(&opened.standing)?)?;
        tell(session, &after, "the policy is set; replicas hear of it with their next sync")
    }
}

/// What is wrong with a key or a value is said by the policy; where to look it up is known here.
fn hinted(e: Error) -> Error {
    if e.hint.is_some() { e } else { e.hint("mainstem help policy set") }
}

fn show(out: &mut Output, text: &str) -> Result<Exit> {
    if out.is_json() {
        out.json(&json!({ "policy": text }))?;
    } else {
        out.write(format_args!("{text}"))?;
    }
    Ok(Exit::Done)
}

fn tell(session: &mut Session, text: &str, what: &str) -> Result<Exit> {
    if session.out.is_json() {
        return show(&mut session.out, text);
    }
    session.out.line(what)?;
    Ok(Exit::Done)
}
