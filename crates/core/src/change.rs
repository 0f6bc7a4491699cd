//! Changes and changesets: the net difference between a base version and now, row by row and cell by cell.
//!
//! Invariant: an update lists each changed cell once, and no cell whose bytes are the same before and after.
use crate::conflict::Conflict;
use crate::event::Renumbered;
use crate::schema::SchemaChange;
use crate::stamp::{ReplicaId, Time};
use crate::value::{Key, Row, Value};
use alloc::{string::String, vec::Vec};

/// The columns that a changeset's rows and cells refer to by position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The table's name.
    pub table: String,
    /// The stored columns' names, in the writer's order.
    pub columns: Vec<String>,
    /// Positions of the key in `columns`, in key order.
    pub key: Vec<usize>,
    /// True where the key is the row's own number (INTEGER PRIMARY KEY).
    pub is_numbered: bool,
    /// The highest row number this changeset inserts, where `is_numbered`; renumbering goes above it.
    pub highest: Option<i64>,
}

impl Shape {
    /// The key of a row of this shape.
    pub fn key_of(&self, row: &Row) -> Key {
        self.key.iter().map(|&i| row[i].clone()).collect()
    }
    /// Position of the column of that name (ASCII case ignored).
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.eq_ignore_ascii_case(name))
    }
}

/// One cell's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Position in the shape's columns.
    pub column: usize,
    /// The value in the base.
    pub before: Value,
    /// The value now.
    pub after: Value,
    /// When it was last written.
    pub at: Time,
}

/// What happened to one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The row came into being.
    Insert(Row),
    /// Cells changed; never empty, never a key column.
    Update(Vec<Cell>),
    /// The row went; its last image.
    Delete(Row),
}

impl Edit {
    /// `insert`, `update` or `delete`.
    pub fn name(&self) -> &'static str {
        match self {
            Edit::Insert(_) => "insert",
            Edit::Update(_) => "update",
            Edit::Delete(_) => "delete",
        }
    }
}

/// One row's net change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Position in the changeset's shapes.
    pub table: usize,
    /// The row's key.
    pub key: Key,
    /// What happened.
    pub edit: Edit,
    /// When the row was last written.
    pub at: Time,
    /// For an insert that is a row moved to a new key: the key it had. History follows the row.
    pub moved_from: Option<Key>,
}

impl Change {
    /// True for a row that came into what a replica sees, or left it: told as an insert or a delete that was never written.
    pub fn is_by_scope(&self) -> bool {
        self.at == Time::default()
    }
}

/// Who made a changeset, where, when, and on which version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// 128 random bits that name this changeset for ever; a repeated push is recognised by it.
    pub write_id: u128,
    /// The dataset's lineage it belongs to (zero before the dataset is published).
    pub lineage: u128,
    /// The replica that made it.
    pub replica: ReplicaId,
    /// Its number on that replica, from 1, without gaps.
    pub sequence: u64,
    /// The version it was made on.
    pub base_version: u64,
    /// Who made it.
    pub actor: String,
    /// Its title; none for work that nobody named.
    pub title: Option<String>,
    /// Its description.
    pub description: String,
    /// When it was closed. No change in it is later.
    pub at: Time,
    /// The versions of earlier epochs that it was made on, where the primary lost them since. `base_version` is then the
    /// last version that both histories have.
    pub made_on: Vec<Past>,
}

/// A version in the history of one epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The epoch.
    pub epoch: u128,
    /// The version that it had there.
    pub version: u64,
}

impl Past {
    /// True where `other` is this version or one before it in the same history.
    pub fn includes(&self, other: &Past) -> bool {
        self.epoch == other.epoch && other.version <= self.version
    }
}

/// What a changeset that was accepted once brings along when it is offered again, because the primary lost it since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Again {
    /// The versions it was, one for each epoch that lost it.
    pub was: Vec<Past>,
    /// Write ids of earlier lost changesets that are in it as well.
    pub stands_for: Vec<u128>,
    /// Rows that were renumbered when it was accepted.
    pub renumbered: Vec<Renumbered>,
}

/// A row that had to leave its number on the replica that made it, before the changeset that makes it was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenumberedHere {
    /// The write id of the changeset that makes it. It may have been accepted with the number that the row had first.
    pub made_by: u128,
    /// The number that the row had first, and the one it has here.
    pub row: Renumbered,
}

/// The answer given to a conflict, as a changeset carries it to the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The conflict answered.
    pub conflict: u64,
    /// Which side was chosen.
    pub choice: Choice,
    /// Who chose.
    pub actor: String,
    /// When.
    pub at: Time,
}

/// Which side of a conflict was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The side that came in.
    Ours,
    /// The side that was there.
    Theirs,
    /// What both started from.
    Base,
    /// A value a person gave.
    Value,
    /// A merge of both.
    Merged,
}

impl Choice {
    /// The name used on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Choice::Ours => "ours",
            Choice::Theirs => "theirs",
            Choice::Base => "base",
            Choice::Value => "value",
            Choice::Merged => "merged",
        }
    }
}

/// A whole changeset in memory. Large ones travel as a [`Front`] and pages of changes instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changeset {
    /// Everything but the rows.
    pub front: Front,
    /// Row changes, in the order in which they can be applied: deletes (children first), then inserts and
    /// updates (parents first).
    pub changes: Vec<Change>,
}

/// Everything in a changeset but its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Front {
    /// Who, where, when.
    pub header: Header,
    /// Schema steps, applied before the rows.
    pub schema: Vec<SchemaChange>,
    /// The shapes the changes refer to.
    pub shapes: Vec<Shape>,
    /// Conflicts this changeset answers.
    pub resolutions: Vec<Resolution>,
    /// How many row changes there are.
    pub count: u64,
    /// Conflicts that are known already, to be kept with the version it becomes.
    pub conflicts: Vec<Conflict>,
    /// Set where it was accepted before, by a primary that lost it since.
    pub again: Option<Again>,
    /// Rows of this changeset, and of those that were unsent before it, that it calls by another number than they had first.
    pub renumbered_here: Vec<RenumberedHere>,
    /// Rows, by table, that its author's copy did not show as earlier changesets of the same replica made them, since something
    /// stood against them there: its author does not know of them as they may be here.
    pub hidden: Vec<(String, Key)>,
    /// True where it comes from a replica that saw only a part of its base version, so that rows may have been there which
    /// its author did not know. The primary finds that out by itself; it does not travel.
    pub is_partial: bool,
    /// The label of the token that it is pushed with. Whoever lets its author in knows it; it does not travel.
    pub token: Option<String>,
    /// Who pushes it, as whoever lets them in tells people apart: one word for all their names and programs; it does not travel.
    pub sender: Option<String>,
}
