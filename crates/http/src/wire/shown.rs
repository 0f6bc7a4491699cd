//! What people's tools read: JSON shapes of what a primary holds.
//!
//! Invariant: a name, once released, stays, and values come back to the bit (`mainstem::changeset_json` has the rule).
use super::reviewed::ShownReview;
use mainstem::changeset_json::{time_text, value_to_json};
use mainstem::core::change::{Change, Edit, Header, Shape};
use mainstem::core::conflict::{Claim, Conflict, Image, Side};
use mainstem::core::event::Version;
use mainstem::core::stamp::Time;
use mainstem::core::value::{Key, Row, Value};
use mainstem::history::{Blame, CellBlame, Happening, Reviews, Rule};
use mainstem::primary::KnownReplica;
use mainstem::tombstones::{Tombstone, Why};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// A value: null, a number, a string, or an object that names what JSON lacks (`integer`, `real`, `text_hex`, `blob`).
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct ShownValue(pub serde_json::Value);

impl From<&Value> for ShownValue {
    fn from(value: &Value) -> Self {
        ShownValue(value_to_json(value))
    }
}

/// Values by column name.
pub type ShownRow = BTreeMap<String, ShownValue>;

fn named<'a>(columns: impl IntoIterator<Item = &'a String>, values: &[Value]) -> ShownRow {
    columns.into_iter().zip(values).map(|(column, value)| (column.clone(), value.into())).collect()
}

fn image(image: &Image) -> ShownRow {
    image.iter().map(|(column, value)| (column.clone(), value.into())).collect()
}

fn key_of(shape: &Shape, key: &Key) -> ShownRow {
    named(shape.key.iter().map(|&at| &shape.columns[at]), key)
}

pub(super) fn bits(bits: u128) -> String {
    format!("{bits:032x}")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A conflict's id, in hexadecimal digits: as a number it would lose digits in many JSON readers.
pub fn conflict_id(id: u64) -> String {
    format!("{id:016x}")
}

/// Who made a changeset, where, when, and on which version.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownHeader {
    /// What names it for ever.
    pub write_id: String,
    /// The replica that made it.
    pub replica: String,
    /// Its number there.
    pub sequence: u64,
    /// The version it was made on.
    pub base_version: u64,
    /// Who made it.
    pub actor: String,
    /// Its title.
    pub title: Option<String>,
    /// Its description.
    pub description: String,
    /// When it was closed.
    pub at: String,
}

impl From<&Header> for ShownHeader {
    fn from(header: &Header) -> Self {
        ShownHeader {
            write_id: bits(header.write_id),
            replica: header.replica.to_string(),
            sequence: header.sequence,
            base_version: header.base_version,
            actor: header.actor.clone(),
            title: header.title.clone(),
            description: header.description.clone(),
            at: time_text(header.at),
        }
    }
}

/// An accepted version.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownVersion {
    /// Its number.
    pub version: u64,
    /// When the primary accepted it.
    pub accepted_at: String,
    /// The changeset it came from.
    #[serde(flatten)]
    pub header: ShownHeader,
    /// How many row changes it has.
    pub changes: u64,
    /// In how many pages.
    pub pages: u64,
    /// How many schema steps.
    pub schema_steps: usize,
    /// How many conflicts it found.
    pub conflicts: usize,
    /// How many conflicts it answered.
    pub resolutions: usize,
    /// How many rows were renumbered.
    pub renumbered: usize,
    /// How many changes wait for a parent.
    pub waiting: usize,
    /// How it came out of a proposal; null where it did not.
    pub review: Option<ShownReview>,
}

impl From<&Version> for ShownVersion {
    fn from(version: &Version) -> Self {
        ShownVersion {
            version: version.version,
            accepted_at: time_text(version.accepted_at),
            header: (&version.header).into(),
            changes: version.count,
            pages: version.pages,
            schema_steps: version.schema.len(),
            conflicts: version.conflicts.len(),
            resolutions: version.resolved.len(),
            renumbered: version.renumbered.len(),
            waiting: version.waiting.len(),
            review: version.review.as_ref().map(ShownReview::from),
        }
    }
}

/// One cell before and after.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownCell {
    /// Its column.
    pub column: String,
    /// What it was; null for a row that is new.
    pub before: ShownValue,
    /// What it is; null for a row that is gone.
    pub after: ShownValue,
}

/// One row's change.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownChange {
    /// The table.
    pub table: String,
    /// The row.
    pub key: ShownRow,
    /// `insert`, `update` or `delete`.
    pub kind: &'static str,
    /// The cells that changed; all of them for a row that came or went.
    pub cells: Vec<ShownCell>,
    /// The key it had before, for a row that moved.
    pub moved_from: Option<ShownRow>,
    /// When the row was last written.
    pub at: String,
}

impl ShownChange {
    /// A change, whose columns a shape names.
    pub fn new(shape: &Shape, change: &Change) -> Self {
        let cell = |column: &String, before: &Value, after: &Value| ShownCell {
            column: column.clone(),
            before: before.into(),
            after: after.into(),
        };
        let none = Value::Null;
        let each = |row: &Row, is_new: bool| -> Vec<ShownCell> {
            let pairs = shape.columns.iter().zip(row);
            pairs.map(|(column, value)| if is_new { cell(column, &none, value) } else { cell(column, value, &none) }).collect()
        };
        let cells = match &change.edit {
            Edit::Insert(row) => each(row, true),
            Edit::Delete(row) => each(row, false),
            Edit::Update(cells) => cells.iter().map(|c| cell(&shape.columns[c.column], &c.before, &c.after)).collect(),
        };
        ShownChange {
            table: shape.table.clone(),
            key: key_of(shape, &change.key),
            kind: change.edit.name(),
            cells,
            moved_from: change.moved_from.as_ref().map(|key| key_of(shape, key)),
            at: time_text(change.at),
        }
    }
}

/// Rows of a table at a version.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownRows {
    /// The version.
    pub version: u64,
    /// The columns, in the table's order.
    pub columns: Vec<String>,
    /// The rows, each in the columns' order.
    pub rows: Vec<Vec<ShownValue>>,
    /// How many rows to skip for the next ones; null where there are none.
    pub next: Option<u64>,
}

/// One side of a conflict.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownSide {
    /// A cell's value, a whole row by column name, or null for a row that is not there.
    pub claim: ShownClaim,
    /// Who wrote it.
    pub actor: String,
    /// Where.
    pub replica: String,
    /// When.
    pub at: String,
}

/// What a side of a conflict says.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ShownClaim {
    /// A cell's value; null too for a row that is not there.
    Cell(ShownValue),
    /// A row.
    Row(ShownRow),
}

impl From<&Claim> for ShownClaim {
    fn from(claim: &Claim) -> Self {
        match claim {
            Claim::Cell(value) => ShownClaim::Cell(value.into()),
            Claim::Row(Some(row)) => ShownClaim::Row(image(row)),
            Claim::Row(None) => ShownClaim::Cell((&Value::Null).into()),
        }
    }
}

impl From<&Side> for ShownSide {
    fn from(side: &Side) -> Self {
        ShownSide {
            claim: (&side.claim).into(),
            actor: side.actor.clone(),
            replica: side.stamp.replica.to_string(),
            at: time_text(side.stamp.time),
        }
    }
}

/// A conflict.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownConflict {
    /// Its id.
    pub id: String,
    /// What kind.
    pub kind: &'static str,
    /// The table.
    pub table: String,
    /// The row's key, in the order of the key's columns.
    pub key: Vec<ShownValue>,
    /// The column, where it is about one cell.
    pub column: Option<String>,
    /// What both sides started from.
    pub base: ShownClaim,
    /// The side that came in.
    pub ours: ShownSide,
    /// The side that was there.
    pub theirs: ShownSide,
    /// The strategy that was asked.
    pub strategy: String,
    /// What else is to be said of it.
    pub detail: String,
    /// The version that found it.
    pub version: u64,
    /// `open` or `resolved`.
    pub state: &'static str,
    /// The side that holds now: `ours`, `theirs`, `base`, `value` or `merged`.
    pub winner: Option<&'static str>,
    /// Who answered it; null where a strategy did.
    pub resolved_by: Option<String>,
    /// When.
    pub resolved_at: Option<String>,
}

impl From<&Conflict> for ShownConflict {
    fn from(conflict: &Conflict) -> Self {
        let answer = conflict.answer.as_ref();
        ShownConflict {
            id: conflict_id(conflict.id),
            kind: conflict.kind.name(),
            table: conflict.table.clone(),
            key: conflict.key.iter().map(ShownValue::from).collect(),
            column: conflict.column.clone(),
            base: (&conflict.base).into(),
            ours: (&conflict.ours).into(),
            theirs: (&conflict.theirs).into(),
            strategy: conflict.strategy.clone(),
            detail: conflict.detail.clone(),
            version: conflict.version,
            state: if conflict.is_open() { "open" } else { "resolved" },
            winner: answer.map(|answer| answer.choice.name()),
            resolved_by: answer.and_then(|answer| answer.actor.clone()),
            resolved_at: answer.map(|answer| time_text(answer.at)),
        }
    }
}

/// One thing that happened to a row.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownHappening {
    /// The version.
    pub version: u64,
    /// When the primary accepted it.
    pub accepted_at: String,
    /// The changeset it came from.
    #[serde(flatten)]
    pub header: ShownHeader,
    /// What happened.
    pub change: ShownChange,
    /// The number the row was made with, where it was taken.
    pub renumbered_from: Option<i64>,
    /// Ids of the conflicts that the version found about this row.
    pub conflicts: Vec<String>,
    /// Ids of those that it answered.
    pub answered: Vec<String>,
}

impl From<&Happening> for ShownHappening {
    fn from(happening: &Happening) -> Self {
        let ids = |conflicts: &[Conflict]| conflicts.iter().map(|conflict| conflict_id(conflict.id)).collect();
        ShownHappening {
            version: happening.version,
            accepted_at: time_text(happening.accepted_at),
            header: (&happening.header).into(),
            change: ShownChange::new(&happening.shape, &happening.change),
            renumbered_from: happening.renumbered_from,
            conflicts: ids(&happening.conflicts),
            answered: ids(&happening.answered),
        }
    }
}

/// Where a cell's value comes from.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownOrigin {
    /// The column.
    pub column: String,
    /// Its value.
    pub value: ShownValue,
    /// The version that wrote it.
    pub version: u64,
    /// When the primary accepted that.
    pub accepted_at: String,
    /// When its author wrote the cell.
    pub written_at: String,
    /// The changeset it came from.
    #[serde(flatten)]
    pub header: ShownHeader,
    /// By which rule it came to be: `published`, `written`, `merged`, `resolved`, `direct`, `released`, `column_added`, `collected`.
    pub rule: &'static str,
    /// The strategy that merged it.
    pub strategy: Option<String>,
    /// Ids of conflicts about the cell that the version found.
    pub conflicts: Vec<String>,
    /// How the version came out of a proposal; null where it did not.
    pub review: Option<ShownReview>,
}

impl ShownOrigin {
    fn new(cell: &CellBlame, reviews: &Reviews) -> Self {
        let origin = &cell.origin;
        let strategy = if let Rule::Merged(strategy) = &origin.rule { Some(strategy.clone()) } else { None };
        ShownOrigin {
            column: cell.column.clone(),
            value: (&cell.value).into(),
            version: origin.version,
            accepted_at: time_text(origin.accepted_at),
            written_at: time_text(origin.at),
            header: (&origin.header).into(),
            rule: origin.rule.name(),
            strategy,
            conflicts: origin.conflicts.iter().map(|conflict| conflict_id(conflict.id)).collect(),
            review: reviews.get(&origin.version).map(ShownReview::from),
        }
    }
}

/// Where each cell of a row comes from.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownBlame {
    /// The cells in the table's order; empty where the row is gone.
    pub cells: Vec<ShownOrigin>,
    /// What deleted it, where it is gone.
    pub gone: Option<ShownHappening>,
    /// The number the row was made with, where it was taken, and the version that gave it this one.
    pub renumbered_from: Option<(u64, i64)>,
}

impl ShownBlame {
    /// Where a row comes from, and how the versions that it comes from were reviewed.
    pub fn new(blame: &Blame, reviews: &Reviews) -> Self {
        ShownBlame {
            cells: blame.cells.iter().map(|cell| ShownOrigin::new(cell, reviews)).collect(),
            gone: blame.gone.as_ref().map(|gone| (&gone.deletion).into()),
            renumbered_from: blame.renumbered_from,
        }
    }
}

/// A remembered deletion.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownTombstone {
    /// Its name; null for a row that the app only marked as deleted.
    pub id: Option<String>,
    /// The table.
    pub table: String,
    /// The row's key.
    pub key: ShownRow,
    /// The row as it was last.
    pub row: ShownRow,
    /// Who deleted it.
    pub actor: String,
    /// Where.
    pub replica: String,
    /// When.
    pub at: String,
    /// The version that did.
    pub version: u64,
    /// When the primary accepted that.
    pub accepted_at: String,
    /// Why: `changeset`, `direct`, `cascade`, `resolution`, `strategy` or `marked`.
    pub why: &'static str,
    /// The changeset's title, where one deleted it.
    pub title: Option<String>,
    /// When it expires; null for never.
    pub expires: Option<String>,
    /// `living`, `held` or `expired`.
    pub state: &'static str,
    /// True where a row of that key is there now.
    pub is_there: bool,
}

impl From<&Tombstone> for ShownTombstone {
    fn from(tombstone: &Tombstone) -> Self {
        let title = if let Why::Changeset { title, .. } = &tombstone.why { title.clone() } else { None };
        ShownTombstone {
            id: tombstone.id.map(|id| id.to_string()),
            table: tombstone.table.clone(),
            key: named(&tombstone.key_columns, &tombstone.key),
            row: image(&tombstone.image),
            actor: tombstone.actor.clone(),
            replica: tombstone.replica.to_string(),
            at: time_text(tombstone.at),
            version: tombstone.version,
            accepted_at: time_text(tombstone.accepted_at),
            why: tombstone.why.name(),
            title,
            expires: tombstone.expires.map(time_text),
            state: tombstone.state.name(),
            is_there: tombstone.is_there,
        }
    }
}

/// A replica.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownReplica {
    /// Its identity.
    pub replica: String,
    /// Who works on it.
    pub actor: String,
    /// The oldest version that its work stands on.
    pub version: u64,
    /// How many versions it is behind.
    pub lag: u64,
    /// When it was last heard of.
    pub seen_at: String,
    /// True where it was not heard of for so long that it holds nothing back.
    pub is_expired: bool,
    /// True where it must re-seed.
    pub must_reseed: bool,
}

impl ShownReplica {
    /// A replica beside the latest version.
    pub fn new(known: &KnownReplica, head: u64) -> Self {
        ShownReplica {
            replica: known.seen.replica.to_string(),
            actor: known.seen.actor.clone(),
            version: known.seen.version,
            lag: head.saturating_sub(known.seen.version),
            seen_at: time_text(known.at),
            is_expired: known.is_expired,
            must_reseed: known.must_reseed,
        }
    }
}

/// An edit that was made at the primary.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownEdit {
    /// The version that it became.
    pub version: u64,
    /// Conflicts that are open after it, of those that it found.
    pub conflicts_open: u64,
}

/// Something that concerns whoever asks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownNotice {
    /// What it is about: a dataset, or their account.
    pub about: String,
    /// What is to be known, in words.
    pub text: String,
    /// The page on which something can be done about it.
    pub page: String,
    /// Whether something waits for them.
    pub is_urgent: bool,
}

/// A list in parts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed<T: JsonSchema> {
    /// The items.
    pub items: Vec<T>,
    /// Where to go on; null at the end.
    pub next: Option<String>,
}

/// A moment as it is shown.
pub fn moment(time: Time) -> String {
    time_text(time)
}
