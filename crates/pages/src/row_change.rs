//! A row of a proposal: what becomes of it, cell by cell, and what was said of it.
use crate::cell::ShownCell;
use crate::proposals::Badge;
use crate::thread::{Talk, Thread};
use crate::value::ShownValue;
use askama::Template;

/// A row that changes.
#[derive(Debug, Template)]
#[template(path = "row_change.html")]
pub struct RowChange {
    /// What names it on the page.
    pub anchor: String,
    /// The table.
    pub table: ShownValue,
    /// Its key, by column.
    pub key: Vec<(ShownValue, ShownValue)>,
    /// `added`, `changed`, `deleted` or the like, with its colour.
    pub act: Badge,
    /// The key that it had, where it moved.
    pub moved_from: Option<Vec<ShownValue>>,
    /// The cells that differ.
    pub cells: Vec<(ShownValue, ShownCell)>,
    /// The cells that do not, as far as they are there.
    pub same: Vec<(ShownValue, ShownValue)>,
    /// What was said of it.
    pub threads: Vec<Thread>,
    /// Whether both sides stand beside one another.
    pub is_beside: bool,
    /// The row and its columns as forms say them; none where nothing can be done with it here.
    pub form: Option<RowForm>,
}

impl askama::filters::HtmlSafe for RowChange {}

/// A row as forms say it.
#[derive(Debug)]
pub struct RowForm {
    /// The table.
    pub table: String,
    /// The key.
    pub key: String,
    /// Both, for those that are chosen.
    pub both: String,
    /// The columns that may be talked about: as forms say them, and as they are shown.
    pub columns: Vec<(String, String)>,
    /// Where what is said of it goes; none where nothing may be said.
    pub talk: Option<Talk>,
    /// Whether it may be chosen.
    pub may_choose: bool,
    /// The cells that may be chosen by themselves: as forms say them, and as they are shown.
    pub cells: Vec<(String, String)>,
}
