//! `mainstem stash`.
use crate::changeset_view::View;
use crate::diff::FormArguments;
use crate::exit_codes::Exit;
use crate::json;
use crate::plain_text::{count, moment, name};
use crate::wiring::{Opened, Session};
use mainstem::{Error, Result};
use mainstem_core::change::Front;
use serde_json::json;

/// Puts the changes since the last commit aside, and lays them on again later
///
/// Examples:
///   mainstem stash
///   mainstem stash -m "half-done prices"
///   mainstem stash list
///   mainstem stash show 1
///   mainstem stash pop
///   mainstem stash drop 2
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true)]
pub struct Stash {
    /// What it is
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    title: Option<String>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// What was put aside, newest first
    List,
    /// The changes of one of them
    Show {
        /// Its number in the list
        #[arg(value_name = "N", default_value_t = 1)]
        number: usize,
        #[command(flatten)]
        form: FormArguments,
    },
    /// Lay it onto the rows as they are now, and forget it
    Pop {
        /// Its number in the list
        #[arg(value_name = "N", default_value_t = 1)]
        number: usize,
    },
    /// Forget it
    Drop {
        /// Its number in the list
        #[arg(value_name = "N")]
        number: usize,
    },
}

impl Stash {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        match &self.action {
            None => put_aside(session, &mut opened, self.title.as_deref()),
            Some(Action::List) => list(session, &opened),
            Some(Action::Show { number, form }) => {
                let front = chosen(session, &opened, *number)?;
                View::of_changeset(&format!("stash {number}"), &front, opened.replica.stash_pages(&front)).show(session, form)
            }
            Some(Action::Pop { number }) => {
                let front = chosen(session, &opened, *number)?;
                let rows = opened.replica.unstash(&front)?;
                told(session, json!({ "restored": rows }), &format!("laid {} on again", count(rows, "row", "rows")))
            }
            Some(Action::Drop { number }) => {
                let front = chosen(session, &opened, *number)?;
                opened.replica.drop_stash(&front)?;
                told(session, json!({ "dropped": front.count }), &format!("forgot {}", count(front.count, "row", "rows")))
            }
        }
    }
}

fn told(session: &mut Session, json: serde_json::Value, text: &str) -> Result<Exit> {
    if session.out.is_json() {
        session.out.json(&json)?
    } else {
        session.out.line(text)?
    }
    Ok(Exit::Done)
}

fn put_aside(session: &mut Session, opened: &mut Opened, title: Option<&str>) -> Result<Exit> {
    let actor = session.actor(&opened.standing)?;
    match opened.replica.stash(&actor, title)? {
        Some(front) => {
            let next = session.out.suggest("lay it on again with: mainstem stash pop");
            told(session, json!({ "stashed": front.count }), &format!("put {} aside ({next})", count(front.count, "row", "rows")))
        }
        None => told(session, json!({ "stashed": 0 }), "nothing to put aside"),
    }
}

fn list(session: &mut Session, opened: &Opened) -> Result<Exit> {
    let stashes = opened.replica.stashes()?;
    if session.out.is_json() {
        session.out.json(&stashes.iter().map(json::unsent).collect::<Vec<_>>().into())?;
        return Ok(Exit::Done);
    }
    for (at, front) in stashes.iter().enumerate() {
        let title = front.header.title.as_deref().map(name).unwrap_or_else(|| "(no title)".into());
        let rows = count(front.count, "row", "rows");
        session.out.line(format_args!("{}  {title}: {rows}, {}", at + 1, moment(front.header.at)))?;
    }
    if stashes.is_empty() {
        session.out.line("nothing is put aside")?;
    }
    Ok(Exit::Done)
}

fn chosen(session: &Session, opened: &Opened, number: usize) -> Result<Front> {
    let found = number.checked_sub(1).and_then(|at| opened.replica.stashes().map(|all| all.into_iter().nth(at)).transpose());
    found.unwrap_or_else(|| Err(Error::not_found(format!("there is no stash {number}")).hint(session.out.suggest("mainstem stash list"))))
}
