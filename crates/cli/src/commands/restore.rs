//! `mainstem restore`.
use crate::catalog::Catalog;
use crate::diff::RowFilter;
use crate::exit_codes::Exit;
use crate::key_argument::KeyArgument;
use crate::plain_text::{count, key, name};
use crate::wiring::{Opened, Session};
use mainstem::replica::{Replica, RestoreTarget, Since};
use mainstem::{Error, Result};
use mainstem_core::value::Key;

/// Puts rows or cells back to what they were at the last commit
///
/// It asks nothing and says what it did.
///
/// Examples:
///   mainstem restore artist 276
///   mainstem restore artist 276 --column name
///   mainstem restore artist
///   mainstem restore --all
///   mainstem restore artist 276 --from-base
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Restore {
    /// The table
    #[arg(value_name = "TABLE", required_unless_present = "all")]
    table: Option<String>,
    /// The row; every row of the table where none
    #[arg(value_name = "KEY", allow_hyphen_values = true)]
    key: Option<String>,
    /// Only this column (may be repeated)
    #[arg(long = "column", value_name = "COLUMN")]
    columns: Vec<String>,
    /// Every table
    #[arg(long, conflicts_with_all = ["table", "key"])]
    all: bool,
    /// Put back what was at the base version, instead of the last commit
    #[arg(long)]
    from_base: bool,
}

impl Restore {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        let since = if self.from_base { Since::Base } else { Since::Commit };
        let table = self.table.as_ref().map(|t| Catalog::open(&opened.path)?.table(t)).transpose()?;
        let key = match (&table, &self.key) {
            (Some(table), Some(typed)) => Some(changed_key(&mut opened, since, table, typed)?),
            _ => None,
        };
        let target = RestoreTarget { table, key, columns: self.columns.clone() };
        let rows = opened.replica.restore(since, &target)?;
        if session.out.is_json() {
            session.out.json(&serde_json::json!({ "restored": rows }))?;
        } else {
            let point = if self.from_base { "the base version" } else { "the last commit" };
            match rows {
                0 => session.out.line(format_args!("nothing to put back: everything meant is as at {point}"))?,
                _ => session.out.line(format_args!("put {} back to {point}", count(rows, "row", "rows")))?,
            }
        }
        Ok(Exit::Done)
    }
}

/// The key of the one changed row that was typed.
fn changed_key(opened: &mut Opened, since: Since, table: &str, typed: &str) -> Result<Key> {
    let filter = RowFilter { table: Some(table.to_string()), key: Some(KeyArgument(typed.to_string())) };
    let mut found: Vec<Key> = Vec::new();
    opened.replica.changes(since, &mut |shape, change| {
        if filter.keeps(shape, change)? && !found.contains(&change.key) {
            found.push(change.key.clone());
        }
        Ok(())
    })?;
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Error::not_found(format!("{} {} has not changed", name(table), name(typed))).hint("mainstem status")),
        [first, ..] => {
            let message = format!("{} {} names {} rows", name(table), name(typed), found.len());
            Err(Error::invalid(message).hint(format!("mainstem restore {} \"{}\"", name(table), key(first))))
        }
    }
}
