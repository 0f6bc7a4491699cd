//! The primary's append-only record of events, and the pages of row changes that its versions refer to.
use crate::error::Result;
use mainstem_core::change::{Change, Shape};
use mainstem_core::chronicle::{Chronicle, TableId};
use mainstem_core::conflict::Conflict;
use mainstem_core::event::{Digest, Event, Restored, TableDigest, Version, Waiting};
use mainstem_core::proposal::{Proposal, Reviewing, Stage};
use mainstem_core::stamp::{ReplicaId, Time};
use mainstem_core::value::Key;
use std::ops::RangeInclusive;
use std::sync::Arc;

pub use mainstem_core::three_way::Touch;

/// Where a ledger ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// How many events there are.
    pub events: u64,
    /// The hash of the last one, which covers all before it.
    pub hash: Digest,
    /// The latest version.
    pub version: u64,
}

/// What became of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is the new head.
    Done(Head),
    /// Somebody else appended first; the head as it is now.
    Stale(Head),
}

/// The deletion of one row, as the ledger remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buried {
    /// Which of its version's deletions it is, from 1.
    pub place: u64,
    /// The table's name now, or its last where it was dropped.
    pub table: String,
    /// When the primary accepted it.
    pub accepted_at: Time,
    /// The deletion.
    pub touch: Touch,
}

/// How many rows of one table a version deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuriedCount {
    /// The version.
    pub version: u64,
    /// The table's name now, or its last where it was dropped.
    pub table: String,
    /// When the primary accepted the version.
    pub accepted_at: Time,
    /// How many.
    pub count: u64,
}

/// Which proposals are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProposalsWanted {
    /// In these stages; in any where empty.
    pub stages: Vec<Stage>,
    /// Of this actor.
    pub actor: Option<String>,
    /// With a number below this one.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// A version that somebody sent without review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentVersion {
    /// Its number.
    pub version: u64,
    /// When it was accepted.
    pub at: Time,
    /// How many changes of rows it has, those that wait among them.
    pub changes: u64,
}

/// Events, pages and what is folded from them, inside one transaction with the tables.
///
/// Invariant: every projection here (conflicts, waiting, touches, digests) is updated in the same transaction as the
/// append and could be rebuilt from the events and pages alone.
pub trait Ledger {
    /// Where the ledger ends.
    fn head(&mut self) -> Result<Head>;
    /// Appends one event if the head is still `expected`, and folds it into the projections.
    fn append(&mut self, expected: &Head, event: &Event) -> Result<Appended>;
    /// The event at that position (from 1), as its bytes and hash.
    fn event(&mut self, index: u64) -> Result<Option<(Vec<u8>, Digest)>>;
    /// A version's event.
    fn version(&mut self, version: u64) -> Result<Option<Version>>;
    /// The hash of a version's event, which covers all before it.
    fn version_hash(&mut self, version: u64) -> Result<Option<Digest>>;
    /// The version that a changeset became.
    fn find_write(&mut self, write_id: u128) -> Result<Option<u64>>;
    /// The last sequence number accepted from a replica; zero where none.
    fn last_sequence(&mut self, replica: ReplicaId) -> Result<u64>;
    /// Stores one page of a version that is about to be appended, and notes which rows it touches.
    fn put_page(&mut self, version: u64, page: u64, bytes: &[u8], shapes: &[Shape], changes: &[Change]) -> Result<()>;
    /// The bytes of one page.
    fn page(&mut self, version: u64, page: u64) -> Result<Option<Vec<u8>>>;
    /// What happened to a row after a version, oldest first.
    fn touches(&mut self, table: &str, key: &Key, after: u64) -> Result<Vec<Touch>>;
    /// Visits the rows of a table that were touched after a version, each key once.
    fn touched(&mut self, table: &str, after: u64, visit: &mut dyn FnMut(&Key) -> Result<()>) -> Result<()>;
    /// The schema steps of the versions after a version, oldest first.
    fn steps(&mut self, after: u64) -> Result<Vec<mainstem_core::schema::SchemaChange>>;
    /// Every table's digest at the head.
    fn digests(&mut self) -> Result<Vec<TableDigest>>;
    /// Conflicts, newest last; only the open ones where `open_only`.
    fn conflicts(&mut self, open_only: bool) -> Result<Vec<Conflict>>;
    /// One conflict by id.
    fn conflict(&mut self, id: u64) -> Result<Option<Conflict>>;
    /// Changes that wait for a parent: whose changeset, shape, change.
    fn waiting(&mut self) -> Result<Vec<(Version, Waiting)>>;
    /// Rows of this replica that were renumbered in versions after `after`, each with the base version of the changeset that
    /// made it.
    fn renumbered(&mut self, replica: ReplicaId, after: u64) -> Result<Vec<(u64, mainstem_core::event::Renumbered)>>;
    /// The last restore, whose epoch is in force; none where the genesis' is.
    fn restored(&mut self) -> Result<Option<Restored>>;
    /// The policy in force, as TOML.
    fn policy_text(&mut self) -> Result<String>;
    /// What tables and columns were called when, from the first event and every version's steps.
    fn chronicle(&mut self) -> Result<Arc<Chronicle>>;
    /// What happened to a row in these versions, newest first: at least `limit` touches where there are as many, and a
    /// version's never divided. The table may have been dropped since.
    fn past(&mut self, table: TableId, key: &Key, versions: RangeInclusive<u64>, limit: usize) -> Result<Vec<Touch>>;
    /// Visits the rows of a table that were touched after a version, each key at least once. The table may have been dropped;
    /// then keys of other dropped tables may be among them, of which [`Ledger::past`] knows nothing.
    fn touched_since(&mut self, table: TableId, after: u64, visit: &mut dyn FnMut(&Key) -> Result<()>) -> Result<()>;
    /// The policy that was in force when a version was appended, as TOML.
    fn policy_at(&mut self, version: u64) -> Result<String>;
    /// The versions in which rows were renumbered, oldest first.
    fn renumberings(&mut self) -> Result<Vec<u64>>;
    /// The oldest version that replicas may hold. Row changes of the versions up to it are gone but for those that a
    /// tombstone keeps, and no row has touches of them.
    fn horizon(&mut self) -> Result<u64>;
    /// At most `limit` tombstones after one (its version and place), oldest first.
    fn tombstones(&mut self, after: (u64, u64), limit: usize) -> Result<Vec<Buried>>;
    /// Visits how many tombstones each version left in each table, oldest first.
    fn tombstone_counts(&mut self, visit: &mut dyn FnMut(&BuriedCount) -> Result<()>) -> Result<()>;
    /// The last version up to which all were accepted before a moment or at it.
    fn accepted_until(&mut self, until: Time) -> Result<u64>;
    /// How many pages of row changes are kept, and how many bytes they take.
    fn page_sizes(&mut self) -> Result<(u64, u64)>;
    /// A proposal as the events so far make it.
    fn proposal(&mut self, id: u64) -> Result<Option<Proposal>>;
    /// The numbers of proposals, newest first.
    fn proposals(&mut self, wanted: &ProposalsWanted) -> Result<Vec<u64>>;
    /// The proposal and its revision (from 1) that a write id names.
    fn find_revision(&mut self, write_id: u128) -> Result<Option<(u64, u64)>>;
    /// What was done to a proposal for an actor's request of that key; of several, the first.
    fn request(&mut self, actor: &str, key: u128) -> Result<Option<Reviewing>>;
    /// What somebody ([`Version::sender`]) sent without review from a moment on, newest first.
    fn sent_since(&mut self, sender: &str, from: Time) -> Result<Vec<SentVersion>>;
    /// Stages one page of a revision that is about to be offered.
    fn put_staged(&mut self, write_id: u128, page: u64, bytes: &[u8]) -> Result<()>;
    /// One staged page.
    fn staged(&mut self, write_id: u128, page: u64) -> Result<Option<Vec<u8>>>;
    /// How many bytes the staged pages of a revision take.
    fn staged_bytes(&mut self, write_id: u128) -> Result<u64>;
    /// Removes the staged pages of a revision. Returns how many bytes they took.
    fn unstage(&mut self, write_id: u128) -> Result<u64>;
}
