//! `mainstem comment`.
use crate::catalog::Catalog;
use crate::exit_codes::Exit;
use crate::key_argument::KeyArgument;
use crate::review_pages::ProposalPages;
use crate::review_text;
use crate::wiring::{Opened, Session};
use mainstem::primary::{Pages, Primary};
use mainstem::review::{By, Deed};
use mainstem::{Error, Result};
use mainstem_core::proposal::{Anchor, Remark};
use mainstem_core::value::Key;
use serde_json::json;

/// Says something about a proposal, one of its rows, or a cell
///
/// Examples:
///   mainstem comment 3 -m "Where is this price from?"
///   mainstem comment 3 --row price:17 -m "And this one?"
///   mainstem comment 3 --row price:17 --cell amount -m "Too high"
///   mainstem comment 3 --reply 1 -m "From the invoice"
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Comment {
    /// The proposal
    #[arg(value_name = "ID")]
    id: u64,
    /// About this row
    #[arg(long, value_name = "TABLE:KEY")]
    row: Option<String>,
    /// About this column of the row
    #[arg(long, value_name = "COLUMN", requires = "row")]
    cell: Option<String>,
    /// As an answer to this comment
    #[arg(long, value_name = "N", conflicts_with = "row")]
    reply: Option<u64>,
    /// The text
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    text: String,
}

impl Comment {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        let actor = session.actor(&opened.standing)?;
        let mut primary = session.primary_of(&opened.standing)?;
        let by = session.by(&actor);
        let anchor = self.anchor(session, &mut opened, by)?;
        let remark = Remark { anchor, reply_to: self.reply, revision: 0, text: self.text.clone() };
        primary.act(self.id, &Deed::Comment(remark), by)?;
        // Others may have said something meanwhile.
        let comments = review_text::found(primary.as_mut(), self.id, by)?.proposal.comments;
        let number = comments.iter().rposition(|comment| comment.remark.text == self.text).map_or(comments.len(), |at| at + 1);
        let told = json!({ "proposal": self.id, "comment": number });
        review_text::done(session, &told, &format!("comment {number} on proposal {}", self.id))
    }

    fn anchor(&self, session: &Session, opened: &mut Opened, by: By<'_>) -> Result<Anchor> {
        let Some(row) = &self.row else { return Ok(Anchor::Whole) };
        let (table, key) = row.split_once(':').ok_or_else(|| {
            Error::invalid(format!("{row} names no row")).hint(format!("mainstem comment {} --row TABLE:KEY -m TEXT", self.id))
        })?;
        let table = Catalog::open(&opened.path)?.table(table)?;
        let mut primary = session.primary_of(&opened.standing)?;
        let key = changed_key(primary.as_mut(), self.id, &table, &KeyArgument(key.to_owned()), by)?;
        Ok(match &self.cell {
            Some(column) => Anchor::Cell(table, key, column.clone()),
            None => Anchor::Row(table, key),
        })
    }
}

/// The key of a row that a proposal changes, as it is stored.
pub fn changed_key(primary: &mut dyn Primary, id: u64, table: &str, typed: &KeyArgument, by: By<'_>) -> Result<Key> {
    let judged = review_text::found(primary, id, by)?;
    let mut pages = ProposalPages::new(primary, &judged)?;
    while let Some(changes) = pages.next()? {
        for change in changes {
            let shape = &pages.shapes()[change.table];
            if shape.table.eq_ignore_ascii_case(table) && typed.is_match(&crate::json::key_columns(shape), &change.key)? {
                return Ok(change.key);
            }
        }
    }
    let message = format!("proposal {id} changes no row {} of {table}", typed.0);
    Err(Error::not_found(message).hint(format!("mainstem review {id}")))
}
