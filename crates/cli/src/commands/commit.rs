//! `mainstem commit`.
use crate::exit_codes::Exit;
use crate::json;
use crate::plain_text::count;
use crate::wiring::{Opened, Session};
use mainstem::Result;
use mainstem::replica::Replica;

/// Closes the changes since the last commit under a title
///
/// A first -m is the title, further ones are paragraphs of the description. Nothing leaves this machine.
///
/// Examples:
///   mainstem commit -m "Correct the autumn prices"
///   mainstem commit -m "Correct prices" -m "The list of October was wrong."
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Commit {
    /// The title; again for paragraphs of the description
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    messages: Vec<String>,
}

impl Commit {
    /// The title and description typed, or else those given by `mainstem begin`.
    fn naming(&self, opened: &Opened) -> Result<(String, String)> {
        let typed = self.messages.split_first().map(|(title, rest)| (title.trim().to_owned(), rest.join("\n\n")));
        match typed.or(opened.replica.begun()?) {
            Some((title, description)) if !title.is_empty() => Ok((title, description)),
            _ => Err(mainstem::Error::invalid("the title is empty").hint("mainstem commit -m \"what you did\"")),
        }
    }

    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        let (title, description) = self.naming(&opened)?;
        let actor = session.actor(&opened.standing)?;
        let front = opened.replica.commit(&actor, Some(&title), &description)?;
        let out = &mut session.out;
        match front {
            front if out.is_json() => out.json(&serde_json::json!({ "committed": front.as_ref().map(json::unsent) }))?,
            Some(front) => {
                let (id, rows) = (front.header.sequence, count(front.count, "row", "rows"));
                let next =
                    if opened.standing.remote.is_some() { "send it with: mainstem sync" } else { "share it with: mainstem publish FOLDER" };
                out.line(format_args!("committed u{id}: {rows} ({})", out.suggest(next)))?;
            }
            None => out.line("nothing to commit")?,
        }
        Ok(Exit::Done)
    }
}
