//! What an embedded primary stands on: ledger and tables in one transaction.
use crate::audit::Differing;
use crate::error::Result;
use crate::ledger::Ledger;
use crate::primary::KnownReplica;
use crate::rebase::Effect;
use crate::tables::Tables;
use crate::wiring::Around;
use mainstem_core::event::Digest;
use mainstem_core::schema::SchemaChange;
use mainstem_core::stamp::{ReplicaId, Time};
use mainstem_core::value::{Key, Row, Value};

/// A store of one dataset.
pub trait Store {
    /// Begins a transaction that may write. One at a time over all processes; waits for the one before.
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>>;
    /// The same without waiting: none where another has begun one.
    fn begin_if_free(&mut self) -> Result<Option<Box<dyn Transaction + '_>>>;
    /// Begins a transaction that sees one state throughout and writes nothing.
    fn begin_read(&mut self) -> Result<Box<dyn Transaction + '_>>;
    /// Begins a transaction that sees one state throughout, and whose rows and pages are written where nobody else sees them or
    /// waits for them: it cannot be committed. Before a table is written first, all of it is copied. Schema steps are refused.
    fn begin_beside(&mut self) -> Result<Box<dyn Transaction + '_>>;
    /// A number that is another one after anybody else has committed. `Unavailable` where the store was moved away or
    /// another is in its place, so that nothing is written to what nobody will find.
    fn moment(&mut self) -> Result<i64>;
    /// Waits until anybody else has committed since that moment, at most so long. Returns how much of the time is left.
    fn wait(&mut self, moment: i64, timeout_ms: u64) -> Result<u64>;
    /// A new place for what can be made again, beside any transaction.
    fn scratch(&self) -> Result<Box<dyn Scratch>>;
    /// The place beside the store for what can be made again, where everybody who opens the store finds it; none where there can be
    /// none. It outlives whoever writes to it, and may be written by others at any time.
    fn kept(&self) -> Option<Box<dyn Scratch>>;
}

/// A place for what can be made again, by name. It may be lost at any time.
pub trait Scratch: Send {
    /// Keeps bytes under a name, instead of what was there.
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<()>;
    /// What is kept under a name.
    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>>;
    /// The names that begin so.
    fn names(&mut self, beginning: &str) -> Result<Vec<String>>;
    /// Forgets every name that begins so.
    fn forget(&mut self, beginning: &str) -> Result<()>;
}

/// Ledger and tables together. Dropped without [`Transaction::commit`], nothing of it happened.
pub trait Transaction: Ledger + Tables {
    /// Makes everything in it durable.
    fn commit(self: Box<Self>) -> Result<()>;
    /// A version's event as its bytes and hash.
    fn version_event(&mut self, version: u64) -> Result<Option<(Vec<u8>, Digest)>>;
    /// The events between a version and the one before it, as bytes and hashes, in order.
    fn events_before(&mut self, version: u64) -> Result<Vec<(Vec<u8>, Digest)>>;
    /// From here on, what other programs write into the tables is noticed.
    fn watch(&mut self) -> Result<()>;
    /// True where other programs wrote into the tables since the last [`Transaction::take_direct`].
    fn has_direct(&mut self) -> Result<bool>;
    /// Visits the net row changes that other programs made, which are in the tables already, with this transaction to
    /// write to; then returns their schema steps. Forgotten afterwards.
    fn take_direct(&mut self, visit: VisitDirect<'_>) -> Result<Vec<SchemaChange>>;
    /// Folds events and pages again beside the projections, and tells how those differ. Changes nothing.
    fn examine(&mut self) -> Result<Vec<Differing>>;
    /// Throws every projection away and folds it again from events and pages. Returns how they differed.
    fn rebuild(&mut self) -> Result<Vec<Differing>>;
    /// The replicas that were ever seen, those seen last first. No fold of events: they tell of themselves. Whether one is
    /// expired is the policy's to say, and not said here.
    fn replicas(&mut self) -> Result<Vec<KnownReplica>>;
    /// One of them.
    fn replica(&mut self, replica: ReplicaId) -> Result<Option<KnownReplica>>;
    /// Notes where a replica stands.
    fn put_replica(&mut self, replica: &KnownReplica) -> Result<()>;
    /// Answers a question about the rows as they are in this transaction, and writes nothing. SQL is anybody's: it may be one
    /// SELECT over the dataset's tables and views, with functions that see nothing but their arguments and the time.
    ///
    /// What is wrong with the question is `Invalid`. After any other error the transaction may be undone; it is told so and
    /// cannot be committed.
    fn ask(&mut self, question: &Question<'_>, limits: &Limits, visit: VisitAnswer<'_>) -> Result<Answered>;
}

/// A question about rows.
#[derive(Clone, Copy, Debug)]
pub enum Question<'a> {
    /// What a SELECT finds.
    Sql(&'a str),
    /// The rows whose values in these columns, none NULL, another row has as well: key and columns of each, ordered by those.
    Sharing {
        /// The table's position.
        table: usize,
        /// The columns.
        columns: &'a [usize],
    },
    /// The rows whose values in these columns, none NULL, no row of another table has: key and columns of each, by key.
    Orphans {
        /// The table's position.
        table: usize,
        /// The columns.
        columns: &'a [usize],
        /// The other table's position.
        parent: usize,
        /// Its columns.
        parent_columns: &'a [usize],
    },
}

/// What an answer may cost.
#[derive(Clone)]
pub struct Limits {
    /// How long it may take.
    pub time_ms: u64,
    /// How many rows it may have.
    pub rows_max: u64,
    /// Where the time comes from.
    pub around: Around,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Everything was visited.
    Whole,
    /// There are more rows than were allowed; that many were visited.
    TooManyRows,
    /// It took too long.
    OutOfTime,
}

/// Takes one row of an answer: the names of its columns, and the values.
pub type VisitAnswer<'a> = &'a mut dyn FnMut(&[String], &[Value]) -> Result<()>;

/// Takes one row that another program changed.
pub type VisitDirect<'a> = &'a mut dyn FnMut(&mut dyn Transaction, DirectWrite) -> Result<()>;

/// One row that another program changed.
#[derive(Clone, Debug)]
pub struct DirectWrite {
    /// The table.
    pub table: usize,
    /// The row before.
    pub before: Option<Row>,
    /// Columns whose value in `before` is not known, because they were renamed before the write.
    pub unknown: Vec<usize>,
    /// The row now.
    pub after: Option<Row>,
    /// When it was last written.
    pub at: Time,
    /// When each changed cell was.
    pub cell_at: Vec<(usize, Time)>,
    /// The key it had, for a moved row.
    pub moved_from: Option<Key>,
}

impl DirectWrite {
    /// As an effect.
    pub fn effect(&self) -> Effect<'_> {
        Effect {
            table: self.table,
            before: self.before.as_ref(),
            after: self.after.as_ref(),
            at: self.at,
            cell_at: &self.cell_at,
            moved_from: self.moved_from.as_ref(),
        }
    }
}
