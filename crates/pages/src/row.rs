//! One row: what it is, who wrote each of its cells, and what happened to it.
use crate::change::{ShownChange, ShownKey};
use crate::frame::Frame;
use crate::moment::Moment;
use crate::pager::Pager;
use crate::reviewed::ShownReview;
use crate::value::ShownValue;
use askama::Template;

/// A row.
#[derive(Debug, Template)]
#[template(path = "row.html")]
pub struct Row {
    /// What is around it.
    pub frame: Frame,
    /// The dataset.
    pub name: String,
    /// The table.
    pub table: String,
    /// Its key.
    pub key: ShownKey,
    /// The version it is shown at.
    pub version: u64,
    /// The latest version.
    pub head: u64,
    /// The row's own path at the latest version.
    pub to: String,
    /// Where the table's deleted rows are.
    pub deleted: String,
    /// Its cells; empty where it is gone.
    pub cells: Vec<Cell>,
    /// What deleted it, where it is gone.
    pub gone: Option<Happening>,
    /// What happened to it, newest first.
    pub happenings: Vec<Happening>,
    /// What happened before.
    pub pager: Pager,
    /// What is to be said of its beginning.
    pub beginning: Option<String>,
}

/// A cell and where it comes from.
#[derive(Debug)]
pub struct Cell {
    /// The column.
    pub column: String,
    /// Its value.
    pub value: ShownValue,
    /// The version that wrote it.
    pub version: u64,
    /// Who did.
    pub actor: String,
    /// When its author wrote it.
    pub written_at: Moment,
    /// By which rule it came to be, in words.
    pub rule: String,
    /// Conflicts about it that the version found.
    pub conflicts: Vec<String>,
    /// How the version was reviewed, where it was.
    pub review: Option<ShownReview>,
}

/// One thing that happened to it.
#[derive(Debug)]
pub struct Happening {
    /// The version.
    pub version: u64,
    /// Who.
    pub actor: String,
    /// What the changeset is called.
    pub title: Option<String>,
    /// When it was accepted.
    pub accepted_at: Moment,
    /// How the version was reviewed, where it was.
    pub review: Option<ShownReview>,
    /// What happened.
    pub change: ShownChange,
}
