//! One row's change, cell by cell.
use crate::cell::ShownCell;
use crate::value::ShownValue;
use askama::Template;

/// A row's key as it is shown: each of its values by its column.
#[derive(Clone, Debug, Template)]
#[template(
    source = r#"{% for (column, value) in parts %}{% if !loop.first %}, {% endif %}<span class="quiet">{{ crate::value::seen(column) }}</span> {{ value }}{% endfor %}"#,
    ext = "html"
)]
pub struct ShownKey {
    /// The key's columns and values.
    pub parts: Vec<(String, ShownValue)>,
}

impl askama::filters::HtmlSafe for ShownKey {}

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It came.
    Added,
    /// Some of its cells are others.
    Changed,
    /// It went.
    Removed,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Added => "added",
            Kind::Changed => "changed",
            Kind::Removed => "removed",
        }
    }
    fn tone(self) -> &'static str {
        match self {
            Kind::Added => "good",
            Kind::Changed => "warn",
            Kind::Removed => "bad",
        }
    }
}

/// A row's change.
#[derive(Clone, Debug, Template)]
#[template(path = "change.html")]
pub struct ShownChange {
    /// The table.
    pub table: String,
    /// The row.
    pub key: ShownKey,
    /// Where the row's own page is.
    pub to: Option<String>,
    /// What happened.
    pub kind: Kind,
    /// The key it had before, where it moved.
    pub moved_from: Option<ShownKey>,
    /// The cells that changed.
    pub cells: Vec<ShownCell>,
}

impl askama::filters::HtmlSafe for ShownChange {}
