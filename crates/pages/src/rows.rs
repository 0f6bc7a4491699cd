//! The rows of a table, as they were at a version.
use crate::frame::Frame;
use crate::pager::Pager;
use crate::value::ShownValue;
use askama::Template;

/// Rows of a table.
#[derive(Debug, Template)]
#[template(path = "rows.html")]
pub struct Rows {
    /// What is around it.
    pub frame: Frame,
    /// The table.
    pub table: String,
    /// Its own path.
    pub to: String,
    /// The version.
    pub version: u64,
    /// The latest version.
    pub head: u64,
    /// Its columns: name, declared type where that is known, whether it is of the key.
    pub columns: Vec<(String, String, bool)>,
    /// The rows: where each one's page is, and its values.
    pub rows: Vec<(String, Vec<ShownValue>)>,
    /// The other rows.
    pub pager: Pager,
}
