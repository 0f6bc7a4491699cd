//! `mainstem commit`.
use crate::exit_codes::Exit;
use crate::json;
use crate::plain_text::count;
use crate::wiring::Session;
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
    #[arg(short = 'm', long = "message", value_name = "TEXT", required = true)]
    messages: Vec<String>,
}

impl Commit {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let title = self.messages[0].trim();
        if title.is_empty() {
            let error = mainstem::Error::invalid("the title is empty");
            return Err(error.hint("mainstem commit -m \"what you did\""));
        }
        let mut opened = session.replica()?;
        let actor = session.actor(&opened.standing)?;
        let description = self.messages[1..].join("\n\n");
        let front = opened.replica.commit(&actor, Some(title), &description)?;
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
