//! Row changes shown in four forms, one change at a time, so that a diff of any size streams.
mod as_html;
mod as_json;
mod as_sql;
mod as_text;
mod words;

pub use as_html::AsHtml;
pub use as_json::AsJson;
pub use as_sql::AsSql;
pub use as_text::{AsText, headline};

use crate::json::key_columns;
use crate::key_argument::KeyArgument;
use crate::output::Output;
use mainstem::Result;
use mainstem_core::change::{Change, Edit, Shape};
use mainstem_core::value::Value;
use std::path::PathBuf;

/// A form in which changes are shown.
pub trait Rendering {
    /// Called once, first.
    fn begin(&mut self, out: &mut Output) -> Result<()>;
    /// Called for each change.
    fn change(&mut self, out: &mut Output, shape: &Shape, change: &Change) -> Result<()>;
    /// Called once, last.
    fn end(&mut self, out: &mut Output) -> Result<()>;
}

/// The form asked for.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct FormArguments {
    /// Show a page for a browser, complete in itself
    #[arg(long, conflicts_with_all = ["sql", "json"])]
    html: bool,
    /// Show SQL statements that would make the change
    #[arg(long, conflicts_with = "json")]
    sql: bool,
    /// Write to this file instead of standard output
    #[arg(id = "diff_output", short = 'o', long = "output", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl FormArguments {
    /// The form, for a diff of that title.
    pub fn rendering(&self, is_json: bool, title: &str) -> Box<dyn Rendering> {
        match () {
            () if is_json => Box::new(AsJson::default()),
            () if self.html => Box::new(AsHtml::new(title)),
            () if self.sql => Box::new(AsSql),
            () => Box::new(AsText),
        }
    }
    /// True where a form for machines or files was asked for, which takes no text beside it.
    pub fn is_bare(&self) -> bool {
        self.html || self.sql
    }
    /// The file asked for as an output of its own; none for standard output. A file that is there is replaced.
    pub fn sink(&self, is_json: bool) -> Result<Option<Output>> {
        let Some(path) = &self.file else {
            return Ok(None);
        };
        let file = crate::wiring::output_file(path)?;
        Ok(Some(Output::to(Box::new(std::io::BufWriter::new(file)), is_json)))
    }
}

/// The rows asked for.
#[derive(Clone, Debug, Default)]
pub struct RowFilter {
    /// The table; all where none.
    pub table: Option<String>,
    /// The row; all where none.
    pub key: Option<KeyArgument>,
}

impl RowFilter {
    /// True where the change is one of those asked for.
    pub fn keeps(&self, shape: &Shape, change: &Change) -> Result<bool> {
        if self.table.as_ref().is_some_and(|t| !t.eq_ignore_ascii_case(&shape.table)) {
            return Ok(false);
        }
        match &self.key {
            None => Ok(true),
            Some(key) => key.is_match(&key_columns(shape), &change.key),
        }
    }
}

/// One cell as a diff shows it: column, before, after. A side that does not exist is none.
pub type ShownCell<'a> = (&'a str, Option<&'a Value>, Option<&'a Value>);

/// The cells that a diff shows for a change. Of a row that came or went, NULLs are left out.
pub fn shown_cells<'a>(shape: &'a Shape, edit: &'a Edit) -> Vec<ShownCell<'a>> {
    let names = || shape.columns.iter().map(String::as_str);
    match edit {
        Edit::Insert(row) => names().zip(row).filter(|(_, v)| !v.is_null()).map(|(c, v)| (c, None, Some(v))).collect(),
        Edit::Delete(row) => names().zip(row).filter(|(_, v)| !v.is_null()).map(|(c, v)| (c, Some(v), None)).collect(),
        Edit::Update(cells) => cells.iter().map(|c| (shape.columns[c.column].as_str(), Some(&c.before), Some(&c.after))).collect(),
    }
}

#[cfg(test)]
mod tests;
