//! Where accepted versions live, near or far.
use crate::audit::{Findings, Link};
use crate::cleanup::{Cleanup, Rehearsal};
use crate::error::Result;
use crate::history::{Blame, RowHistory, RowPlace};
use crate::ledger::{Head, Touch};
use crate::review::Review;
use crate::tombstones::{Tombstone, Wanted};
use mainstem_core::change::{Change, Front};
use mainstem_core::chronicle::Chronicle;
use mainstem_core::conflict::{Conflict, Image};
use mainstem_core::event::{Digest, Restored, TableDigest, Version, Waiting};
use mainstem_core::schema::Schema;
use mainstem_core::stamp::{ReplicaId, Time};
use mainstem_core::value::{Key, Row};

/// What a primary says of itself.
#[derive(Clone, Debug)]
pub struct Description {
    /// The dataset's name.
    pub dataset: String,
    /// What the dataset is, for ever.
    pub lineage: u128,
    /// Which life of it this is; a restore starts a new one.
    pub epoch: u128,
    /// Where its ledger ends.
    pub head: Head,
    /// The policy in force, as TOML.
    pub policy: String,
    /// Every table's digest at the head.
    pub tables: Vec<TableDigest>,
    /// The restore that began the epoch; none in the first.
    pub restored: Option<Restored>,
    /// The oldest version a replica may hold; one with an earlier version must re-seed.
    pub horizon: u64,
    /// Names what is shown ([`mainstem_core::scope::Scope::mark`]): all zeros where nothing is hidden.
    pub scope: Digest,
}

/// A replica as it tells its primary of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its identity.
    pub replica: ReplicaId,
    /// Who works on it.
    pub actor: String,
    /// Its cursor: the oldest version that its work stands on. That is the version it holds, or an earlier one on which
    /// a changeset was made that is not accepted yet.
    pub version: u64,
}

/// A replica as its primary knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownReplica {
    /// What it said last.
    pub seen: Seen,
    /// When that was.
    pub at: Time,
    /// True where it was not seen for longer than the policy lets it hold anything back.
    pub is_expired: bool,
    /// True where a cleanup has removed what it would need: it must re-seed.
    pub must_reseed: bool,
}

/// A row that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// The row.
    pub key: Key,
    /// The version that deleted it.
    pub version: u64,
    /// The row as it was last, by column name.
    pub image: Image,
}

/// What a replica knows of its primary, presented with each request so that a stranger is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquaintance {
    /// The lineage it belongs to.
    pub lineage: u128,
    /// The epoch it last saw.
    pub epoch: u128,
    /// The version it holds.
    pub version: u64,
    /// The hash of that version's event.
    pub hash: Digest,
    /// What was shown of that version, as [`Description::scope`] named it.
    pub scope: Digest,
}

/// A place in the sequence of versions: the next thing wanted is page `page` of `version`
/// (page 0 stands for the version's event and its first page).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// A version.
    pub version: u64,
    /// A page in it.
    pub page: u64,
}

/// One thing that a pull brings.
#[derive(Clone, Debug)]
pub enum Item {
    /// A version's event as its ledger bytes, and its hash. Its pages follow.
    Version(Vec<u8>, Digest),
    /// Another event (a policy), likewise.
    Event(Vec<u8>, Digest),
    /// The next page of the version before it.
    Page(Vec<u8>),
}

/// What one pull brings.
#[derive(Clone, Debug)]
pub struct Pull {
    /// The place that was asked for: an answer that is not what comes next is told by it.
    pub from: Cursor,
    /// In order.
    pub items: Vec<Item>,
    /// Where to go on.
    pub next: Cursor,
    /// True when there is nothing after `next`.
    pub is_last: bool,
    /// The policy in force.
    pub policy: String,
    /// The head when this was read.
    pub head: Head,
    /// What is shown of the versions, as [`Description::scope`] names it. A replica of another scope takes nothing of it.
    pub scope: Digest,
}

/// Visits rows with the names of their columns.
pub type RowVisitor<'a> = &'a mut dyn FnMut(&[String], &Row) -> Result<()>;

/// Row changes of one changeset, page by page.
pub trait Pages {
    /// The next page, or none at the end.
    fn next(&mut self) -> Result<Option<Vec<Change>>>;
    /// Goes back to the first page.
    fn rewind(&mut self) -> Result<()>;
}

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is this version now.
    Accepted {
        /// The version.
        version: u64,
        /// Conflicts found, answered by a strategy or not.
        conflicts: u64,
        /// Those that are open.
        conflicts_open: u64,
        /// Changes that wait for a parent.
        waiting: u64,
        /// Rows that were renumbered.
        renumbered: u64,
    },
    /// It was accepted before, as this version.
    Already {
        /// The version.
        version: u64,
    },
    /// The replica's earlier changesets are missing; this one was not taken.
    Gap {
        /// The sequence number the primary waits for.
        expected: u64,
    },
    /// The replica's sequence number was used for another changeset: two copies of one replica exist.
    Reused,
    /// These rows, by table and key, are outside what the replica may see; nothing was taken. There may be more.
    Outside {
        /// The rows, at least one.
        rows: Vec<(String, Key)>,
    },
}

/// What is had of a snapshot that was broken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Had {
    /// The hash of its version's event.
    pub hash: Digest,
    /// Pages of rows.
    pub pieces: u64,
}

impl Had {
    /// How many pages of a snapshot of that version are had.
    pub fn of(had: Option<Had>, hash: &Digest) -> u64 {
        had.filter(|had| had.hash == *hash).map_or(0, |had| had.pieces)
    }
}

/// Receives a snapshot in pages.
pub trait SnapshotSink {
    /// What is had already. Where the snapshot is of that very version, so many of its first pages do not come again. The
    /// same is shown of a version in the same pages, as long as the same is asked for by whoever may see the same.
    fn had(&self) -> Option<Had> {
        None
    }
    /// Called once, first.
    fn begin(&mut self, start: &SnapshotStart) -> Result<()>;
    /// Called for each page of each table, tables in schema order.
    fn rows(&mut self, table: usize, rows: &[Row]) -> Result<()>;
}

/// How a version that a replica never received is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent {
    /// The version.
    pub version: u64,
    /// Its event's hash.
    pub hash: Digest,
    /// The write id of the changeset it was.
    pub write_id: u128,
}

/// What a snapshot begins with.
#[derive(Clone, Debug)]
pub struct SnapshotStart {
    /// What the primary says of itself; `head.version` is the snapshot's version.
    pub description: Description,
    /// The schema at that version.
    pub schema: Schema,
    /// The version's event.
    pub head: Version,
    /// The version's event hash.
    pub hash: Digest,
    /// The versions before it, newest first, as far as a replica may need them should they be lost here some day.
    pub recent: Vec<Recent>,
    /// Conflicts, open and answered.
    pub conflicts: Vec<Conflict>,
    /// The events (bytes and hash) of versions with changes that wait, and those changes.
    pub waiting: Vec<(Vec<u8>, Digest, Waiting)>,
}

/// A primary, local or remote. Synchronous, and safe to call from many processes at once.
///
/// What needs versions before the horizon ([`Description::horizon`]) is answered by an error of kind Conflict with the code
/// `behind_horizon`: a push, a pull, rows or pages of that age. A changeset that was accepted is recognised all the same.
///
/// A pull for a replica that stands on another scope than is shown now is answered by an error of kind Conflict with the code
/// `other_scope`: it must begin again from a snapshot.
pub trait Primary: Review {
    /// What this primary is and where it stands.
    fn describe(&mut self) -> Result<Description>;
    /// Waits until the ledger ends elsewhere than `known`, at most so long, and tells where it ends then. At once where it
    /// ends elsewhere already. `Unavailable` where the primary went away meanwhile.
    fn wait(&mut self, known: &Head, timeout_ms: u64) -> Result<Head>;
    /// Offers one changeset. The primary merges it onto its head with the dataset's policy and appends one version,
    /// all in one transaction. Repeating a push is harmless: it answers [`Pushed::Already`]. A changeset that was accepted
    /// before the primary was restored from an older copy keeps its write id, so that whoever offers it again first brings
    /// it back, and its number is not checked: numbers count within one epoch.
    fn push(&mut self, known: &Acquaintance, front: &Front, pages: &mut dyn Pages) -> Result<Pushed>;
    /// What is new from `from` on, in at most about `bytes_max` bytes (but at least one item where there is any).
    fn pull(&mut self, known: &Acquaintance, from: Cursor, bytes_max: usize) -> Result<Pull>;
    /// Everything at the head, for a new replica.
    fn snapshot(&mut self, sink: &mut dyn SnapshotSink) -> Result<()>;
    /// The version that a changeset became; none where it was not accepted.
    fn find_write(&mut self, write_id: u128) -> Result<Option<u64>>;
    /// The hash of a version's event.
    fn version_hash(&mut self, version: u64) -> Result<Option<Digest>>;
    /// A version's event.
    fn version(&mut self, version: u64) -> Result<Option<Version>>;
    /// One page of a version, as bytes.
    fn page(&mut self, version: u64, page: u64) -> Result<Option<Vec<u8>>>;
    /// Streams the rows of one table as they were at a version, in no particular order, under the columns they had then.
    /// The table is named as it was at that version or is now.
    fn rows(&mut self, table: &str, version: u64, visit: RowVisitor<'_>) -> Result<()>;
    /// The rows of these keys as they were at a version, in the order of the keys and under the columns of then. The table is
    /// named as it was at that version or is now.
    fn rows_of(&mut self, table: &str, keys: &[Key], version: u64) -> Result<Vec<Option<Row>>>;
    /// The tables and objects at the head.
    fn schema(&mut self) -> Result<Schema>;
    /// What happened to a row up to a version, newest first: at least `limit` things where there are as many, a version's
    /// never divided. The table may be gone since.
    fn row_history(&mut self, from: &RowPlace, limit: usize) -> Result<RowHistory>;
    /// What happened to a row after a version, up to the place's version, oldest first.
    fn touches(&mut self, row: &RowPlace, after: u64) -> Result<Vec<Touch>>;
    /// Where each cell of a row at a version comes from. `NotFound` where no version up to it ever had such a row.
    fn blame(&mut self, place: &RowPlace) -> Result<Blame>;
    /// The events after a position, oldest first, in at most about `bytes_max` bytes (but at least one where there is any).
    fn events(&mut self, after: u64, bytes_max: usize) -> Result<Vec<Link>>;
    /// Compares stored rows with the latest version's digests, and what is folded with events and pages. Returns how many
    /// rows there are.
    fn examine(&mut self, findings: Findings<'_>) -> Result<u64>;
    /// What tables and columns were called when.
    fn chronicle(&mut self) -> Result<Chronicle>;
    /// Conflicts, oldest first.
    fn conflicts(&mut self, open_only: bool) -> Result<Vec<Conflict>>;
    /// Begins a new epoch where this primary does not have the version that a replica of the same epoch holds: somebody put
    /// an older copy in its place. Returns the epoch in force; nothing happens where the version is known, or an epoch was
    /// begun since.
    fn begin_epoch(&mut self, known: &Acquaintance, actor: &str) -> Result<u128>;
    /// Replaces the policy.
    fn set_policy(&mut self, text: &str, actor: &str) -> Result<()>;
    /// A replica says which version it holds, after each push and pull. Nothing hangs on it at once: where the primary is
    /// busy or its disk is full it is not noted, and the replica holds back more than it needs until it is heard again.
    fn seen(&mut self, known: &Acquaintance, seen: &Seen) -> Result<()>;
    /// The replicas that this primary knows of, those seen last first.
    fn replicas(&mut self) -> Result<Vec<KnownReplica>>;
    /// Visits the tombstones that are wanted, oldest first: remembered deletions, and rows that are marked as deleted where the
    /// policy names the column.
    fn tombstones(&mut self, wanted: &Wanted, visit: &mut dyn FnMut(&Tombstone) -> Result<()>) -> Result<()>;
    /// Which of these rows were deleted after a version, each with its last deletion, whatever was made of the key since.
    fn deleted_since(&mut self, table: &str, keys: &[Key], after: u64) -> Result<Vec<Deleted>>;
    /// Removes the tombstones that have expired and that every replica which is not expired has heard of; moves the
    /// horizon; marks replicas that must re-seed. All of it is one event in one transaction, and nothing at all happens
    /// where there is nothing to remove. `Rehearsal::DryRun` does the same and then undoes it.
    fn cleanup(&mut self, actor: &str, rehearsal: Rehearsal) -> Result<Cleanup>;
}
