//! `mainstem diff`.
use crate::catalog::Catalog;
use crate::changeset_view::schema_line;
use crate::diff::{FormArguments, RowFilter};
use crate::exit_codes::Exit;
use crate::key_argument::KeyArgument;
use crate::wiring::Session;
use mainstem::Result;
use mainstem::replica::{Replica, Since};

/// Shows what changed since the last commit, cell by cell
///
/// A KEY is typed as 276, with several columns as 1,2 or k1=1,k2=2.
///
/// Examples:
///   mainstem diff
///   mainstem diff artist 276
///   mainstem diff --base --html -o diff.html
///   mainstem diff --sql > change.sql
///   mainstem diff --json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Diff {
    /// Only this table
    #[arg(value_name = "TABLE")]
    table: Option<String>,
    /// Only this row
    #[arg(value_name = "KEY", allow_hyphen_values = true)]
    key: Option<String>,
    /// Since the base version, changesets that were not sent included
    #[arg(long)]
    base: bool,
    #[command(flatten)]
    form: FormArguments,
}

impl Diff {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        let table = self.table.as_ref().map(|t| Catalog::open(&opened.path)?.table(t)).transpose()?;
        let filter = RowFilter { table, key: self.key.clone().map(KeyArgument) };
        let since = if self.base { Since::Base } else { Since::Commit };
        let is_json = session.out.is_json();
        let mut file = self.form.sink(is_json)?;
        let out = file.as_mut().unwrap_or(&mut session.out);
        let mut rendering = self.form.rendering(is_json, &format!("Changes in {}", opened.standing.dataset));
        if !is_json && !self.form.is_bare() && filter.table.is_none() {
            opened.replica.schema_steps()?.iter().try_for_each(|step| out.line(schema_line(step)))?;
        }
        rendering.begin(out)?;
        opened.replica.changes(since, &mut |shape, change| {
            if filter.keeps(shape, change)? { rendering.change(out, shape, change) } else { Ok(()) }
        })?;
        rendering.end(out)?;
        out.flush()?;
        Ok(Exit::Done)
    }
}
