//! The conflicts of a dataset, and their answers.
use crate::change::ShownKey;
use crate::frame::Frame;
use crate::moment::Moment;
use crate::pager::Pager;
use crate::value::ShownValue;
use askama::Template;

/// Conflicts.
#[derive(Debug, Template)]
#[template(path = "conflicts.html")]
pub struct Conflicts {
    /// What is around it.
    pub frame: Frame,
    /// The dataset.
    pub name: String,
    /// What was asked for.
    pub filter: Filter,
    /// The tables that have any.
    pub tables: Vec<String>,
    /// The kinds there are: name and words.
    pub kinds: Vec<(&'static str, &'static str)>,
    /// Some of those that were asked for, oldest first.
    pub conflicts: Vec<Conflict>,
    /// The others.
    pub pager: Pager,
    /// How many were asked for in all.
    pub count: u64,
    /// Whether one may answer them.
    pub may_answer: bool,
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// `open`, `resolved` or `all`.
    pub state: String,
    /// A table; every one where empty.
    pub table: String,
    /// A kind; every one where empty.
    pub kind: String,
}

/// A conflict.
#[derive(Debug)]
pub struct Conflict {
    /// Its id.
    pub id: String,
    /// What kind, in words.
    pub kind: &'static str,
    /// The table.
    pub table: String,
    /// The row.
    pub key: ShownKey,
    /// Where that is.
    pub to: String,
    /// The column, where it is about one cell.
    pub column: Option<String>,
    /// What both sides started from.
    pub base: Claim,
    /// The side that came in.
    pub ours: Side,
    /// The side that was there.
    pub theirs: Side,
    /// What else is to be said of it.
    pub detail: String,
    /// The version that found it.
    pub version: u64,
    /// The answer, where there is one: the choice, who gave it, when.
    pub answer: Option<(&'static str, Option<String>, Moment)>,
    /// What both sides did to a text or JSON in one value, where they changed different places of it.
    pub merged: Option<Claim>,
    /// Whether a value may be given that neither side has.
    pub takes_value: bool,
}

/// One side.
#[derive(Debug)]
pub struct Side {
    /// Who.
    pub actor: String,
    /// When they wrote it.
    pub at: Moment,
    /// What it says.
    pub claim: Claim,
}

/// What a side says.
#[derive(Debug)]
pub enum Claim {
    /// A cell's value.
    Cell(ShownValue),
    /// A row: its cells by column.
    Row(Vec<(String, ShownValue)>),
    /// No row.
    Nothing,
}
