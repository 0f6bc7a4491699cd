//! Where accepted versions live, near or far.
use crate::error::Result;
use crate::ledger::Head;
use mainstem_core::change::{Change, Front};
use mainstem_core::conflict::Conflict;
use mainstem_core::event::{Digest, Restored, TableDigest, Version, Waiting};
use mainstem_core::schema::Schema;
use mainstem_core::value::Row;

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
}

/// Receives a snapshot in pages.
pub trait SnapshotSink {
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
pub trait Primary {
    /// What this primary is and where it stands.
    fn describe(&mut self) -> Result<Description>;
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
    /// Streams the rows of one table as they were at a version, in no particular order.
    fn rows(&mut self, table: &str, version: u64, visit: RowVisitor<'_>) -> Result<()>;
    /// Conflicts, oldest first.
    fn conflicts(&mut self, open_only: bool) -> Result<Vec<Conflict>>;
    /// Begins a new epoch where this primary does not have the version that a replica of the same epoch holds: somebody put
    /// an older copy in its place. Returns the epoch in force; nothing happens where the version is known, or an epoch was
    /// begun since.
    fn begin_epoch(&mut self, known: &Acquaintance, actor: &str) -> Result<u128>;
    /// Replaces the policy.
    fn set_policy(&mut self, text: &str, actor: &str) -> Result<()>;
}
