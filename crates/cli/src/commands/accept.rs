//! `mainstem accept`.
use crate::catalog::Catalog;
use crate::commands::comment::changed_key;
use crate::exit_codes::Exit;
use crate::key_argument::KeyArgument;
use crate::review_text;
use crate::wiring::Session;
use mainstem::review::Chosen;
use mainstem::{Error, Result};
use serde_json::json;

/// Narrows a proposal to a part of it: the rest becomes a proposal of its own
///
/// What the part depends on goes with it. Votes are on the narrowed proposal from then on.
///
/// Examples:
///   mainstem accept 3 --only price:17
///   mainstem accept 3 --only price:17:amount --only price:18
///   mainstem accept 3 --only supplier
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Accept {
    /// The proposal
    #[arg(value_name = "ID")]
    id: u64,
    /// Rows, cells or whole tables; again for more
    #[arg(long, value_name = "TABLE[:KEY[:COLUMN]]", required = true)]
    only: Vec<String>,
}

impl Accept {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let opened = session.replica()?;
        let actor = session.actor(&opened.standing)?;
        let mut primary = session.primary_of(&opened.standing)?;
        let by = session.by(&actor);
        let catalog = Catalog::open(&opened.path)?;
        let mut chosen = Vec::new();
        for typed in &self.only {
            let parts: Vec<&str> = typed.splitn(3, ':').collect();
            let table = catalog.table(parts[0])?;
            let key = match parts.get(1) {
                Some(key) => Some(changed_key(primary.as_mut(), self.id, &table, &KeyArgument((*key).to_owned()), by)?),
                None => None,
            };
            chosen.push(Chosen { table, key, columns: parts.get(2).map(|column| (*column).to_owned()).into_iter().collect() });
        }
        let nothing = || {
            let message = format!("that is all of proposal {}: nothing would be left over", self.id);
            Error::invalid(message).hint(format!("mainstem merge {}", self.id))
        };
        let rest = primary.accept_part(self.id, &chosen, by)?.ok_or_else(nothing)?;
        let told = json!({ "proposal": self.id, "rest": rest });
        let text = format!("proposal {} is that part now; the rest is proposal {rest}: mainstem review {rest}", self.id);
        let text = session.out.suggest(&text);
        review_text::done(session, &told, &text)
    }
}
