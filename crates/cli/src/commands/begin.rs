//! `mainstem begin`.
use crate::exit_codes::Exit;
use crate::wiring::Session;
use mainstem::Result;

/// Names the changes to come, so that their commit or sync needs no title
///
/// Examples:
///   mainstem begin "Autumn prices"
///   mainstem begin "Autumn prices" -m "As decided in October."
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Begin {
    /// The title
    #[arg(value_name = "TITLE")]
    title: String,
    /// The description
    #[arg(short = 'm', long = "message", value_name = "TEXT", default_value = "")]
    description: String,
}

impl Begin {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let title = self.title.trim();
        if title.is_empty() {
            return Err(mainstem::Error::invalid("the title is empty").hint("mainstem begin \"what you are about to do\""));
        }
        let mut opened = session.replica()?;
        opened.replica.begin(title, &self.description)?;
        if session.out.is_json() {
            session.out.json(&serde_json::json!({ "title": title, "description": self.description }))?;
        } else {
            session.out.line(format_args!("changes from here on are: {}", crate::plain_text::name(title)))?;
        }
        Ok(Exit::Done)
    }
}
