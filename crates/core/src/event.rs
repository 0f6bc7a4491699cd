//! The facts in a primary's ledger. State is a fold of these.
//!
//! Events are chained by hash (see [`crate::format`]); an event never changes once it is appended.
use crate::change::{Header, Past, Resolution, Shape};
use crate::conflict::Conflict;
use crate::proposal::{Reviewed, Reviewing};
use crate::schema::{Schema, SchemaChange};
use crate::stamp::{ReplicaId, Time};
use crate::value::{Key, Row};
use alloc::{string::String, vec::Vec};

/// A 32-byte digest.
pub type Digest = [u8; 32];

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first event: what this dataset is.
    Genesis(Genesis),
    /// A version was accepted.
    Version(Version),
    /// The policy was set.
    Policy(PolicySet),
    /// What nobody needs any more was removed.
    Collected(Collected),
    /// The primary goes on from an older copy, in a new epoch.
    Restored(Restored),
    /// Something was done to a proposal.
    Review(Reviewing),
}

/// The birth of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// 128 random bits that name this dataset for ever.
    pub lineage: u128,
    /// 128 random bits: the epoch until the first [`Restored`].
    pub epoch: u128,
    /// The dataset's name.
    pub dataset: String,
    /// Who published it.
    pub actor: String,
    /// When.
    pub at: Time,
    /// The schema at version 1.
    pub schema: Schema,
}

/// The policy was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySet {
    /// The whole policy as TOML.
    pub text: String,
    /// Who set it.
    pub actor: String,
    /// When.
    pub at: Time,
}

/// A primary began a new epoch, because it goes on from a copy that may be older than what replicas hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// 128 random bits: the epoch from here on.
    pub epoch: u128,
    /// The epoch of the copy.
    pub before: u128,
    /// The copy's latest version.
    pub version: u64,
    /// What it was restored from, in words.
    pub from: String,
    /// Who restored it.
    pub actor: String,
    /// When.
    pub at: Time,
}

/// A cleanup removed tombstones that have expired, and row changes that no replica needs and the policy keeps no longer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Who asked for it.
    pub actor: String,
    /// When.
    pub at: Time,
    /// The oldest version a replica may hold: the row changes of the versions up to it are gone.
    pub horizon: u64,
    /// The tombstones that were removed.
    pub tombstones: Vec<CollectedTombstones>,
    /// Replicas that were not seen for too long and hold a version before the horizon: they must re-seed.
    pub expired: Vec<ReplicaId>,
}

/// The tombstones of one table that a cleanup removed: those of versions up to `through` that were accepted up to `until`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectedTombstones {
    /// The table.
    pub table: String,
    /// A version.
    pub through: u64,
    /// A moment of acceptance.
    pub until: Time,
    /// How many they were.
    pub count: u64,
}

/// A row that got another number because its own was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renumbered {
    /// The table.
    pub table: String,
    /// The number it was made with.
    pub from: i64,
    /// The number it has now.
    pub to: i64,
    /// The row as it was made, by the changeset's shape, for references that hold more than the number.
    pub row: Row,
    /// The shape of `row`.
    pub columns: Vec<String>,
}

/// A change that waits for its parent row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The table.
    pub table: String,
    /// The row.
    pub key: Key,
    /// The table the missing parent would be in.
    pub parent: String,
    /// The missing parent's values.
    pub parent_key: Key,
    /// The changes as pushed (their table is the position in `shapes` of the version).
    pub change: crate::change::Change,
}

/// One table's size and digest at a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDigest {
    /// The table.
    pub table: String,
    /// Its rows.
    pub rows: u64,
    /// The sum of its rows' digests.
    pub sum: Digest,
}

/// An accepted version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// Its number, from 1 without gaps.
    pub version: u64,
    /// The changeset it came from. `header.write_id` is how its author recognises it.
    pub header: Header,
    /// When the primary accepted it.
    pub accepted_at: Time,
    /// Schema steps, applied before the rows.
    pub schema: Vec<SchemaChange>,
    /// The shapes the version's row changes refer to.
    pub shapes: Vec<Shape>,
    /// How many row changes.
    pub count: u64,
    /// How many pages they are stored in.
    pub pages: u64,
    /// The digest over those pages.
    pub body: Digest,
    /// Rows that were renumbered.
    pub renumbered: Vec<Renumbered>,
    /// Conflicts found.
    pub conflicts: Vec<Conflict>,
    /// Conflicts answered.
    pub resolved: Vec<Resolution>,
    /// Changes kept back until their parent arrives.
    pub waiting: Vec<Waiting>,
    /// Write ids of changesets whose waiting changes this version applies, with table and key.
    pub released: Vec<(u128, String, Key)>,
    /// Every table's digest after this version.
    pub tables: Vec<TableDigest>,
    /// The versions it was in earlier epochs, where it was offered again.
    pub was: Vec<Past>,
    /// Write ids of earlier lost changesets that are in it as well.
    pub stands_for: Vec<u128>,
    /// Rows that its author gave another number before it was accepted: `renumbered` goes on from that one.
    pub renumbered_here: Vec<Renumbered>,
    /// The proposal it came out of; none for what was synced directly.
    pub review: Option<Reviewed>,
    /// The label of the token that its changeset was pushed with; none where none was needed.
    pub token: Option<String>,
    /// Who pushed it without review: one word for all the names and programs of a person. None where it came otherwise.
    pub sender: Option<String>,
}

impl Version {
    /// Each row that has another number than its author gave it first: that one, and the one it has.
    pub fn renumbered_in_all(&self) -> Vec<Renumbered> {
        let is_next = |one: &Renumbered, next: &Renumbered| one.table.eq_ignore_ascii_case(&next.table) && one.to == next.from;
        let in_all = |here: &Renumbered| {
            let to = self.renumbered.iter().find(|next| is_next(here, next)).map_or(here.to, |next| next.to);
            Renumbered { to, ..here.clone() }
        };
        let is_first = |row: &&Renumbered| !self.renumbered_here.iter().any(|here| is_next(here, row));
        self.renumbered_here.iter().map(in_all).chain(self.renumbered.iter().filter(is_first).cloned()).collect()
    }
}
