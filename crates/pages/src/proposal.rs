//! A proposal: what it changes, what was said of it, how it stands, and what one may do with it.
//!
//! Invariant: whoever votes or merges says the digest of what this page showed them.
use crate::frame::Frame;
use crate::moment::Moment;
use crate::pager::Pager;
use crate::proposals::Badge;
use crate::row_change::RowChange;
use crate::thread::Thread;
use crate::value::ShownValue;
use askama::Template;
use std::borrow::Borrow;

/// A proposal.
#[derive(Debug, Template)]
#[template(path = "proposal.html")]
pub struct Proposal {
    /// What is around it.
    pub frame: Frame,
    /// Its own address, without a query.
    pub path: String,
    /// The dataset.
    pub dataset: String,
    /// Its number.
    pub id: u64,
    /// What its author calls it.
    pub title: ShownValue,
    /// What its author says of it.
    pub description: Option<ShownValue>,
    /// Who offered it.
    pub actor: String,
    /// When.
    pub at: Moment,
    /// Who authored a change in it.
    pub authors: Vec<String>,
    /// Its revisions, oldest first.
    pub revisions: Vec<RevisionLine>,
    /// How it stands.
    pub state: Badge,
    /// What a person or a merge made of it, where that is to be told.
    pub told: Option<ShownValue>,
    /// The version that it became.
    pub version: Option<u64>,
    /// When that was.
    pub merged_at: Option<Moment>,
    /// What merging it would do; none where it is closed.
    pub result: Option<Outlook>,
    /// True where it is open, and being found what merging it would do: what is shown is what was offered.
    pub is_unfound: bool,
    /// True where what merging does is not to be told to who asks.
    pub is_hidden: bool,
    /// What happens in each table.
    pub tables: Vec<TableLine>,
    /// What happens to the tables themselves.
    pub schema: Vec<ShownValue>,
    /// What is missing for a merge, a line each.
    pub missing: Vec<String>,
    /// Until when one may vote.
    pub closes: Option<Moment>,
    /// Votes, those that count first.
    pub votes: Vec<VoteLine>,
    /// What differs from what whoever asks has voted on.
    pub since: Option<Since>,
    /// What must hold of the rows, and whether it does.
    pub gates: Vec<GateLine>,
    /// Conflicts that merging would leave open.
    pub conflicts: Vec<ConflictLine>,
    /// Conflicts beyond those.
    pub conflicts_more: usize,
    /// The changes that are shown.
    pub changes: Changes,
    /// How many comments there are.
    pub comments: u64,
    /// What was said of the proposal as a whole.
    pub threads: Vec<Thread>,
    /// What was said of rows that are not shown here.
    pub elsewhere: Vec<Thread>,
    /// What whoever asks may do.
    pub may: May,
}

/// A revision.
#[derive(Debug)]
pub struct RevisionLine {
    /// Its number.
    pub number: u64,
    /// Who offered it.
    pub actor: String,
    /// When.
    pub at: Moment,
    /// The version that it was made on.
    pub base: u64,
    /// How many rows it changes.
    pub rows: u64,
    /// What it was made from, in words; nothing for edits.
    pub origin: String,
}

/// What merging would do now.
#[derive(Debug)]
pub struct Outlook {
    /// The version that it would be merged onto.
    pub head: u64,
    /// The revision.
    pub revision: u64,
    /// What names the result.
    pub digest: String,
    /// How many rows would change.
    pub rows: u64,
}

/// What happens in a table.
#[derive(Debug)]
pub struct TableLine {
    /// The table.
    pub table: ShownValue,
    /// Where its changes alone are shown.
    pub to: String,
    /// Rows that come.
    pub inserted: u64,
    /// Rows that change.
    pub updated: u64,
    /// Rows that go.
    pub deleted: u64,
    /// Cells that change in rows that stay.
    pub cells: u64,
    /// Whether only its changes are shown.
    pub is_here: bool,
}

impl TableLine {
    /// What happens in it, in words.
    pub(crate) fn told(&self) -> String {
        let kinds = [
            (self.inserted, "added", String::new()),
            (self.updated, "changed", format!(" ({})", count(self.cells, "cell"))),
            (self.deleted, "deleted", String::new()),
        ];
        let told =
            kinds.into_iter().filter(|(rows, ..)| *rows > 0).map(|(rows, word, more)| format!("{} {word}{more}", count(rows, "row")));
        told.collect::<Vec<_>>().join(", ")
    }
}

/// A vote.
#[derive(Debug)]
pub struct VoteLine {
    /// Who.
    pub actor: String,
    /// The word.
    pub word: Badge,
    /// When.
    pub at: Moment,
    /// Why.
    pub comment: Option<ShownValue>,
    /// Why it does not count, where it does not.
    pub why_not: Option<&'static str>,
}

/// What came between a vote and now.
#[derive(Debug, Default)]
pub struct Since {
    /// The revision that was voted on.
    pub revision: u64,
    /// Whether there is a later one.
    pub is_revised: bool,
    /// Rows in which the revisions differ.
    pub rows: Vec<RowChange>,
    /// How many more there are.
    pub more: u64,
    /// Whether the revisions could not be compared, the rows of one being gone.
    pub is_unknown: bool,
    /// Versions that were accepted since and touch the same tables.
    pub versions: Vec<(u64, String, Moment)>,
}

/// What must hold of the rows, and whether it does.
#[derive(Debug)]
pub struct GateLine {
    /// What the policy calls it.
    pub name: ShownValue,
    /// How it went.
    pub outcome: Badge,
    /// What that means, in words.
    pub told: ShownValue,
    /// Whether it stands in the way of a merge.
    pub is_blocking: bool,
    /// Rows that are not as they must be.
    pub samples: Vec<Sample>,
}

/// A row that is not as it must be.
#[derive(Debug)]
pub struct Sample {
    /// Its table and key, where they are known.
    pub place: Option<(ShownValue, Vec<ShownValue>)>,
    /// What was looked at.
    pub cells: Vec<(ShownValue, ShownValue)>,
}

/// A conflict that merging would leave open.
#[derive(Debug)]
pub struct ConflictLine {
    /// Its id, as forms say it.
    pub id: String,
    /// Why two sides cannot both hold, in words.
    pub kind: &'static str,
    /// The table.
    pub table: ShownValue,
    /// The row.
    pub key: Vec<ShownValue>,
    /// The column, where it is about one cell.
    pub column: Option<ShownValue>,
    /// What each side says: the proposal's, the dataset's, and what both started from.
    pub sides: Vec<SideLine>,
    /// What there is to know beside.
    pub detail: Option<ShownValue>,
    /// Whether a value may be given that no side has.
    pub takes_value: bool,
}

/// What one side of a conflict says.
#[derive(Debug)]
pub struct SideLine {
    /// `ours`, `theirs` or `base`.
    pub choice: &'static str,
    /// In words.
    pub name: String,
    /// A cell, or a row by its columns; none where there is no row.
    pub claim: Option<Vec<(Option<ShownValue>, ShownValue)>>,
}

/// A part of the changes.
#[derive(Debug, Default)]
pub struct Changes {
    /// Whether both sides stand beside one another.
    pub is_beside: bool,
    /// The address of the other way to show them.
    pub other_view: String,
    /// The one table that is shown; all where none.
    pub only: Option<ShownValue>,
    /// The address of all.
    pub all: String,
    /// The rows.
    pub rows: Vec<RowChange>,
    /// How many changes there are in all.
    pub total: u64,
    /// The ways to the others.
    pub pager: Pager,
    /// Why nothing is shown, where that needs saying.
    pub absent: Option<&'static str>,
}

/// What whoever asks may do with it now.
#[derive(Debug, Default)]
pub struct May {
    /// Vote; or why not.
    pub vote: bool,
    /// Why one may not vote, where that helps.
    pub why_no_vote: Option<&'static str>,
    /// Talk.
    pub comment: bool,
    /// Merge, should the rest allow it.
    pub merge: bool,
    /// Answer its conflicts and take a part of it.
    pub change: bool,
    /// Take it back.
    pub withdraw: bool,
    /// Refuse it.
    pub reject: bool,
    /// Open it again.
    pub reopen: bool,
}

impl Proposal {
    /// True where it may be voted on and merged.
    fn is_open(&self) -> bool {
        self.result.is_some()
    }
    /// True where nothing stands in the way of a merge.
    fn is_ready(&self) -> bool {
        self.missing.is_empty() && self.conflicts.is_empty() && !self.gates.iter().any(|gate| gate.is_blocking)
    }
    fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.inserted + table.updated + table.deleted).sum()
    }
}

/// A part of a number of things, with its noun.
pub(crate) fn count(number: impl Borrow<u64>, noun: &str) -> String {
    let number = *number.borrow();
    format!("{} {noun}{}", crate::value::grouped(number), if number == 1 { "" } else { "s" })
}
