//! `mainstem blame`.
use crate::blame_view::{self, LocalEdit};
use crate::catalog::Catalog;
use crate::exit_codes::Exit;
use crate::key_argument::KeyArgument;
use crate::past_rows;
use crate::row_history;
use crate::wiring::{Opened, Session};
use mainstem::history::reviews;
use mainstem::proposing::Proposing;
use mainstem::replica::{Replica, Since};
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_core::change::{Change, Shape};

/// Tells who wrote each cell of a row: when, in which version, and by which rule
///
/// Rows are followed through moves to another key, renumbering and renames of tables and columns. What was written
/// here and not accepted yet is shown as such.
///
/// Examples:
///   mainstem blame artist 276
///   mainstem blame artist 276 name
///   mainstem blame artist 276 --history
///   mainstem blame artist 276 --json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Blame {
    /// The table
    #[arg(value_name = "TABLE")]
    table: String,
    /// The row
    #[arg(value_name = "KEY", allow_hyphen_values = true)]
    key: String,
    /// Only this column
    #[arg(value_name = "COLUMN")]
    column: Option<String>,
    /// List everything that happened to the row instead, oldest first
    #[arg(long, conflicts_with = "column")]
    history: bool,
}

impl Blame {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        let mut primary = session.primary_of(&opened.standing)?;
        let version = opened.standing.base_version;
        let local = local_edits(&mut opened, &self.table, &self.key)?;
        let former = opened.replica.name_at_base(&self.table)?;
        let found = match past_rows::find(&mut *primary, &former, &self.key, version) {
            Ok(found) => Some(found),
            Err(e) if e.kind == ErrorKind::NotFound && !local.is_empty() => None,
            Err(e) => return Err(e),
        };
        if let (Some(column), Some((_, blame))) = (&self.column, &found)
            && !blame.cells.is_empty()
            && !blame.cells.iter().any(|cell| cell.column.eq_ignore_ascii_case(column))
        {
            let names: Vec<&str> = blame.cells.iter().map(|cell| cell.column.as_str()).collect();
            return Err(Error::not_found(format!("table {} has no column {column}; it has {}", self.table, names.join(", ")))
                .hint("mainstem status"));
        }
        match self.history {
            true => row_history::show(&mut session.out, &mut *primary, &self.table, found.map(|(place, _)| place), &local)?,
            false => {
                let versions = found.as_ref().map(|(_, blame)| blame.versions()).unwrap_or_default();
                let reviews = reviews(&mut *primary, &versions)?;
                blame_view::show(&mut session.out, &self.table, found.as_ref(), &reviews, self.column.as_deref(), &local)?;
            }
        }
        Ok(Exit::Done)
    }
}

/// What was done to the row here and is not accepted yet, oldest first.
fn local_edits(opened: &mut Opened, table: &str, typed: &str) -> Result<Vec<LocalEdit>> {
    let mut catalog = Catalog::open(&opened.path)?;
    let Ok(table) = catalog.table(table) else { return Ok(Vec::new()) };
    let key = KeyArgument(typed.to_owned());
    let mut is_it = |shape: &Shape, change: &Change| -> Result<bool> {
        let columns = catalog.key_columns(&table, change.key.len())?;
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        Ok(shape.table.eq_ignore_ascii_case(&table) && key.is_match(&columns, &change.key)?)
    };
    let mut edits = Vec::new();
    let kept = opened.replica.kept()?.into_iter().map(|kept| (kept.front, Some(kept.mark)));
    let unsent = opened.replica.unsent()?.into_iter().map(|front| (front, None));
    for (front, mark) in kept.chain(unsent).collect::<Vec<_>>() {
        let mut pages = opened.replica.pages(front.header.write_id)?;
        while let Some(page) = pages.next()? {
            for change in page {
                let shape = &front.shapes[change.table];
                if is_it(shape, &change)? {
                    edits.push(LocalEdit { header: Some(front.header.clone()), mark, shape: shape.clone(), change });
                }
            }
        }
    }
    opened.replica.changes(Since::Commit, &mut |shape, change| {
        if is_it(shape, change)? {
            edits.push(LocalEdit { header: None, mark: None, shape: shape.clone(), change: change.clone() });
        }
        Ok(())
    })?;
    Ok(edits)
}
