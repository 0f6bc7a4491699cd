//! A copy that people edit.
use crate::error::Result;
use crate::primary::{Acquaintance, Cursor, Pages, Primary, Pull};
use crate::proposing::Proposing;
use mainstem_core::change::{Change, Choice, Front, Shape};
use mainstem_core::conflict::{Conflict, Image};
use mainstem_core::event::{Digest, Version};
use mainstem_core::scope::Scope;
use mainstem_core::stamp::ReplicaId;
use mainstem_core::value::{Key, Value};

/// Who a replica is and where it stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its identity.
    pub replica: ReplicaId,
    /// The configured actor, where one is configured in the replica.
    pub actor: Option<String>,
    /// The dataset's name (the file's, before it is published).
    pub dataset: String,
    /// The primary's address; none before publish or clone.
    pub remote: Option<String>,
    /// The primary as last seen; none before publish or clone.
    pub known: Option<Acquaintance>,
    /// The version it holds; zero before publish.
    pub base_version: u64,
    /// Changesets that are committed here and not known to be accepted, without those that are kept for review.
    pub unsent: u64,
    /// Open conflicts.
    pub conflicts_open: u64,
    /// Changes the primary keeps back until their parent arrives.
    pub pending: u64,
    /// The policy as last seen, as TOML.
    pub policy: String,
    /// What it asks its primary for.
    pub scope: Scope,
    /// Notices for the user from opening it: healed capture, a new identity, a gap that was found.
    pub notices: Vec<String>,
}

/// A single captured operation, for `log --operations`.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Local sequence.
    pub sequence: i64,
    /// Wall-clock milliseconds since 1970.
    pub at_ms: u64,
    /// The table's name now.
    pub table: String,
    /// The names of the key's columns now.
    pub key_columns: Vec<String>,
    /// The row.
    pub key: Key,
    /// `insert`, `update`, `delete` or `replace` (a row that REPLACE removed).
    pub kind: &'static str,
    /// Column, value before, value after.
    pub cells: Vec<(String, Option<Value>, Option<Value>)>,
}

/// The changeset that is being worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Working {
    /// Who works.
    pub replica: ReplicaId,
    /// The number it will have.
    pub sequence: u64,
    /// The local sequence of the last operation that is not in it.
    pub began: i64,
    /// The local sequence of the last operation.
    pub end: i64,
}

/// What changed since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Since the last commit.
    Commit,
    /// Since the base version: unsent changesets included.
    Base,
}

/// What to put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreTarget {
    /// The table; all tables where none.
    pub table: Option<String>,
    /// The row; all rows where none.
    pub key: Option<Key>,
    /// Columns; all where empty.
    pub columns: Vec<String>,
}

/// A row to bring back.
#[derive(Clone, Debug, PartialEq)]
pub enum PutBack {
    /// A row that is not there any more.
    Row {
        /// The table.
        table: String,
        /// The row, by column name.
        image: Image,
    },
    /// A row that is there and marked as deleted.
    Unmark {
        /// The table.
        table: String,
        /// The row.
        key: Key,
        /// The column that marks it.
        column: String,
        /// What the column held before; where nobody knows, its default or NULL or zero.
        before: Option<Value>,
    },
}

/// The answer to give to a conflict.
#[derive(Clone, Debug, PartialEq)]
pub struct Answering {
    /// Which side.
    pub choice: Choice,
    /// The value, where the choice is [`Choice::Value`].
    pub value: Option<Value>,
}

/// One difference that verify found.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The table.
    pub table: String,
    /// The row, where it can be named.
    pub key: Option<Key>,
    /// What is different, in words.
    pub what: String,
}

/// What verify found.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The digest of the whole state, from stored rows.
    pub digest: Digest,
    /// Rows read.
    pub rows: u64,
    /// Differences; none is good.
    pub differences: Vec<Difference>,
}

/// What receiving brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The version held now.
    pub version: u64,
    /// Versions applied.
    pub versions: u64,
    /// Row changes applied.
    pub changes: u64,
    /// Our own changesets that came back as accepted.
    pub acknowledged: u64,
    /// Where to go on.
    pub cursor: Cursor,
}

/// Where a replica goes back to, because its primary lost what came after.
#[derive(Clone, Debug)]
pub struct Rewind {
    /// The primary's epoch now.
    pub epoch: u128,
    /// The last version that both have.
    pub version: Version,
    /// That version's hash.
    pub hash: Digest,
}

/// What becomes of writes that capture did not see when a snapshot replaces the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// Nothing is done while there are any.
    Refused,
    /// They go: somebody has said that the primary's rows shall stand.
    Overwritten,
}

/// What a re-seed did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reseeded {
    /// The version held now.
    pub version: u64,
    /// Rows that were written or removed here.
    pub rows: u64,
    /// Unsent edits of rows that are gone at the primary, kept as conflicts.
    pub conflicts: u64,
}

/// Reports progress of long work: what is done, how many, of how many (zero where unknown).
pub type Progress<'a> = &'a mut dyn FnMut(&str, u64, u64);

/// A copy that people edit. One process at a time holds its sync lock; programs may write to it all the while.
pub trait Replica: Proposing {
    /// Who it is and where it stands.
    fn standing(&mut self) -> Result<Standing>;
    /// Visits net changes, in the order in which they could be applied.
    fn changes(&mut self, since: Since, visit: &mut dyn FnMut(&Shape, &Change) -> Result<()>) -> Result<()>;
    /// The changeset that is being worked on.
    fn working(&mut self) -> Result<Working>;
    /// Visits each captured operation since the last commit whose local sequence is greater than `after`, oldest first; gives
    /// the changeset that they are in.
    fn operations(&mut self, after: i64, visit: &mut dyn FnMut(&Operation) -> Result<()>) -> Result<Working>;
    /// Closes the working changes as a changeset. None where there is nothing to close. With a title, changesets
    /// that were closed without one get it.
    fn commit(&mut self, actor: &str, title: Option<&str>, description: &str) -> Result<Option<Front>>;
    /// The changesets that are not known to be accepted, oldest first, without those that are kept for review.
    fn unsent(&mut self) -> Result<Vec<Front>>;
    /// The pages of one of them, or of one that is kept for review.
    fn pages<'a>(&'a mut self, write_id: u128) -> Result<Box<dyn Pages + 'a>>;
    /// Where the next pull starts.
    fn cursor(&mut self) -> Result<Cursor>;
    /// Takes what a pull brought: versions that are complete are applied in one transaction with the cursor, with
    /// local work rebased on top; a version that is not complete yet is kept until it is. An answer that does not begin at
    /// the cursor (it came twice, late, or after a gap) changes nothing.
    fn receive(&mut self, pull: &Pull) -> Result<Received>;
    /// Finds writes that capture missed, by comparing every row with the primary's at the version held here, and
    /// records them as local edits. Returns how many rows.
    fn reconcile(&mut self, primary: &mut dyn Primary, progress: Progress<'_>) -> Result<u64>;
    /// Compares every table's stored rows with what capture believes, by digest, and notes tables that differ, so that a
    /// write made with triggers off is found before anything is sent.
    fn check(&mut self) -> Result<()>;
    /// The versions it holds or held whose hash it knows, oldest first; the last is the one it holds.
    fn line(&mut self) -> Result<Vec<(u64, Digest)>>;
    /// The epochs that it has left for later ones, to which it does not go back.
    fn epochs_left(&mut self) -> Result<Vec<u128>>;
    /// Goes back to a version that the primary still has, in one transaction and without touching a row: what came after it
    /// is unsent work from here on, ahead of this replica's own, each changeset under its write id. Where the pages of
    /// those versions are not kept, the primary's rows tell what they were. Returns how many versions are offered again.
    fn rewind(&mut self, to: &Rewind, primary: &mut dyn Primary, progress: Progress<'_>) -> Result<u64>;
    /// Replaces the base version by a snapshot at the primary's head and lays the unsent work on top, in one transaction
    /// after the snapshot has come whole. Rows that are the same are not written. `Conflict` with the code
    /// `unseen_behind_horizon` where capture has missed writes, unless they may go.
    fn reseed(&mut self, primary: &mut dyn Primary, unseen: Unseen, progress: Progress<'_>) -> Result<Reseeded>;
    /// True where capture may have missed writes, so that [`Replica::reconcile`] must run before anything is sent.
    fn needs_reconcile(&mut self) -> Result<bool>;
    /// Gives the changeset and those after it sequence numbers from `first` on.
    fn resequence(&mut self, write_id: u128, first: u64) -> Result<()>;
    /// Takes the changes of these rows out of an unsent changeset and puts them aside, where they are listed until somebody
    /// lays them on again or drops them. What is left of the changeset is still sent. Returns how many were put aside.
    fn set_aside(&mut self, write_id: u128, rows: &[(String, Key)]) -> Result<u64>;
    /// Takes a new identity, because another copy uses the old one. Unsent changesets keep their write ids.
    fn reidentify(&mut self) -> Result<ReplicaId>;
    /// The versions received, newest first, at most `limit`.
    fn history(&mut self, limit: usize) -> Result<Vec<Version>>;
    /// Conflicts as last heard, oldest first; those answered here but not sent yet count as answered.
    fn conflicts(&mut self, open_only: bool) -> Result<Vec<Conflict>>;
    /// Answers conflicts, as local edits that travel with the next push.
    fn resolve(&mut self, actor: &str, answers: &[(u64, Answering)]) -> Result<()>;
    /// Changes that wait for their parent: changeset title or sequence, table, key, parent table, parent key.
    fn pending(&mut self) -> Result<Vec<(Front, mainstem_core::event::Waiting)>>;
    /// Puts rows or cells back to what they were at the last commit (or base). Returns how many rows.
    fn restore(&mut self, since: Since, target: &RestoreTarget) -> Result<u64>;
    /// Brings rows back, all or none, as local edits. A row that is there as it was is left. A row whose key another row has
    /// taken, or whose parent is not there, refuses them all. Gives how many were written.
    fn put_back(&mut self, rows: &[PutBack]) -> Result<u64>;
    /// Compares stored rows with what capture believes. `reference` gives the primary's rows, where there is one.
    fn verify(&mut self, reference: Option<&mut dyn Primary>, progress: Progress<'_>) -> Result<Verified>;
    /// Applies a changeset from a file as local edits, by the same rules as a push. Returns rows changed and conflicts.
    fn import(&mut self, front: &Front, pages: &mut dyn Pages) -> Result<(u64, Vec<Conflict>)>;
    /// Streams one table's rows in key order, with its column names.
    fn rows(&mut self, table: &str, visit: crate::primary::RowVisitor<'_>) -> Result<()>;
}
