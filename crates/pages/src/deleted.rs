//! Rows that were deleted, and how they come back.
use crate::change::ShownKey;
use crate::frame::Frame;
use crate::moment::Moment;
use crate::pager::Pager;
use crate::value::ShownValue;
use askama::Template;

/// Deleted rows.
#[derive(Debug, Template)]
#[template(path = "deleted.html")]
pub struct Deleted {
    /// What is around it.
    pub frame: Frame,
    /// The dataset.
    pub name: String,
    /// The table that was asked for; every one where empty.
    pub table: String,
    /// Who was asked for; everybody where empty.
    pub actor: String,
    /// The tables there are.
    pub tables: Vec<String>,
    /// The rows, those deleted last first.
    pub tombstones: Vec<Tombstone>,
    /// The others.
    pub pager: Pager,
    /// Whether one may put them back.
    pub may_restore: bool,
}

/// A deleted row.
#[derive(Debug)]
pub struct Tombstone {
    /// Its name; none for a row that is only marked as deleted.
    pub id: Option<String>,
    /// The table.
    pub table: String,
    /// The row.
    pub key: ShownKey,
    /// Where its page is.
    pub to: String,
    /// The row as it was last.
    pub row: Vec<(String, ShownValue)>,
    /// Who deleted it.
    pub actor: String,
    /// The version that did.
    pub version: u64,
    /// When that was accepted.
    pub at: Moment,
    /// Why, in words.
    pub why: String,
    /// When it is forgotten.
    pub expires: Option<Moment>,
    /// True where a row of that key is there now.
    pub is_there: bool,
}
