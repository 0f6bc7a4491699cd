//! The store of an embedded primary: ledger and tables on one connection to one file, in one transaction.
//!
//! Invariant: our own connection fires no trigger, neither the user's nor those that notice what other programs
//! write. A write transaction takes the lock when it begins; one that is dropped leaves nothing.
use crate::beside::Beside;
use crate::connection::{FileIdentity, begin_if_free, begin_read, begin_write, commit, one, roll_back, triggers_off};
use crate::derived::{self, Stale};
use crate::errors::{Explain, display_name};
use crate::kept;
use crate::ledger::SqliteLedger;
use crate::notice::{self, Notice};
use crate::question::Sentinel;
use crate::scratch::SqliteScratch;
use crate::seen;
use crate::tables::SqliteTables;
use mainstem::audit::Differing;
use mainstem::core::ErrorKind;
use mainstem::core::change::{Change, Shape};
use mainstem::core::chronicle::{Chronicle, TableId};
use mainstem::core::conflict::Conflict;
use mainstem::core::event::{Digest, Event, Renumbered, Restored, TableDigest, Version, Waiting};
use mainstem::core::proposal::{Proposal, Reviewing};
use mainstem::core::schema::{Object, Schema, SchemaChange};
use mainstem::core::stamp::{ReplicaId, Time};
use mainstem::core::value::{Key, Row, Value};
use mainstem::ledger::{Appended, Buried, BuriedCount, Head, Ledger, ProposalsWanted, SentVersion, Touch};
use mainstem::primary::KnownReplica;
use mainstem::store::{Answered, DirectWrite, Limits, Question, Scratch, Store, Transaction, VisitAnswer, VisitDirect};
use mainstem::tables::{Tables, Wrote};
use mainstem::{Error, Result};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

/// Reads the schema of a dataset's tables, Mainstem's own left out.
pub type SchemaReader = fn(&Connection) -> Result<Schema>;

/// Takes one row that another program changed.
pub type VisitWatched<'a> = &'a mut dyn FnMut(DirectWrite) -> Result<()>;

/// Notices what other programs write into a primary's tables.
pub trait Watcher {
    /// From here on, writes of other programs are noticed.
    fn watch(&self, connection: &Connection, schema: &Schema) -> Result<()>;
    /// Our own schema step is not another program's doing. Called before any row is written after it.
    fn altered(&self, connection: &Connection) -> Result<()>;
    /// True where other programs wrote since the last `take_direct`.
    fn has_direct(&self, connection: &Connection, schema: &Schema) -> Result<bool>;
    /// Visits the net row changes they made, which are in the tables already; then returns their schema steps.
    /// Forgotten afterwards.
    fn take_direct(&self, connection: &Connection, schema: &Schema, visit: VisitWatched<'_>) -> Result<Vec<SchemaChange>>;
}

/// A schema as it was read, and what tells whether it is still the same.
struct Known {
    version: i64,
    kept: Vec<Object>,
    schema: Arc<Schema>,
}

/// A primary's file.
pub struct SqliteStore {
    connection: Connection,
    read_schema: SchemaReader,
    watcher: Box<dyn Watcher + Send>,
    known: Option<Known>,
    file: Option<FileIdentity>,
    notice: Option<Notice>,
    sentinel: Sentinel,
}

impl SqliteStore {
    /// A store on a connection of its own.
    pub fn new(mut connection: Connection, read_schema: SchemaReader, watcher: Box<dyn Watcher + Send>) -> Result<Self> {
        triggers_off(&connection)?;
        let sentinel = Sentinel::on(&mut connection)?;
        // A database in memory is nowhere.
        let file = connection.path().and_then(|path| FileIdentity::of(Path::new(path)).ok());
        Ok(SqliteStore { connection, read_schema, watcher, known: None, file, notice: None, sentinel })
    }

    /// The connection, for what is neither ledger nor tables.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    fn transaction(&mut self, writes: Writes) -> Result<StoreTransaction<'_>> {
        let schema = match self.schema() {
            Ok(schema) => schema,
            Err(error) => {
                roll_back(&self.connection);
                return Err(error);
            }
        };
        let tables = SqliteTables::new(&self.connection, schema, Box::new(self.read_schema));
        let ledger = SqliteLedger::new(&self.connection);
        let (connection, watcher, sentinel) = (&self.connection, &*self.watcher, &self.sentinel);
        Ok(StoreTransaction { connection, tables, ledger, watcher, sentinel, written: BTreeSet::new(), writes })
    }

    /// The schema at the beginning of a transaction, read again only where it changed since the last.
    fn schema(&mut self) -> Result<Arc<Schema>> {
        let version: i64 = one(&self.connection, "PRAGMA schema_version", [], |row| row.get(0)).on(&self.connection)?;
        let kept = kept::read(&self.connection)?;
        if let Some(known) = self.known.as_ref().filter(|known| known.version == version && known.kept == kept) {
            return Ok(known.schema.clone());
        }
        let schema = Arc::new((self.read_schema)(&self.connection)?);
        self.known = Some(Known { version, kept, schema: schema.clone() });
        Ok(schema)
    }
}

impl Store for SqliteStore {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>> {
        begin_write(&self.connection)?;
        Ok(Box::new(self.transaction(Writes::Here)?))
    }

    fn begin_if_free(&mut self) -> Result<Option<Box<dyn Transaction + '_>>> {
        if !begin_if_free(&self.connection)? {
            return Ok(None);
        }
        Ok(Some(Box::new(self.transaction(Writes::Here)?)))
    }

    fn begin_read(&mut self) -> Result<Box<dyn Transaction + '_>> {
        begin_read(&self.connection)?;
        Ok(Box::new(self.transaction(Writes::Nowhere)?))
    }

    fn begin_beside(&mut self) -> Result<Box<dyn Transaction + '_>> {
        begin_read(&self.connection)?;
        let mut transaction = self.transaction(Writes::Nowhere)?;
        transaction.writes = Writes::Beside(Beside::begin(transaction.connection)?);
        Ok(Box::new(transaction))
    }

    fn moment(&mut self) -> Result<i64> {
        let nowhere = || Error::internal("a database in memory is asked for its place");
        let file = self.file.as_ref().ok_or_else(nowhere)?;
        notice::check_place(&file.path, file)?;
        if self.notice.is_none() {
            self.notice = Some(Notice::of(&file.path)?);
        }
        let busy = || Error::new(ErrorKind::Unavailable, "locked", format!("{} is locked by another program", display_name(&file.path)));
        notice::data_version(&self.connection)?.ok_or_else(busy)
    }

    fn wait(&mut self, moment: i64, timeout_ms: u64) -> Result<u64> {
        let notice = self.notice.as_ref().ok_or_else(|| Error::internal("a wait begins with a moment"))?;
        notice.wait(&self.connection, moment, timeout_ms, None).map(|(_, left_ms)| left_ms)
    }

    fn scratch(&self) -> Result<Box<dyn Scratch>> {
        Ok(Box::new(SqliteScratch::new()?))
    }

    fn kept(&self) -> Option<Box<dyn Scratch>> {
        let scratch = SqliteScratch::beside(&self.file.as_ref()?.path)?;
        Some(Box::new(scratch))
    }
}

/// One transaction over ledger and tables; dropped, it is undone.
pub struct StoreTransaction<'s> {
    connection: &'s Connection,
    tables: SqliteTables<'s>,
    ledger: SqliteLedger<'s>,
    watcher: &'s dyn Watcher,
    sentinel: &'s Sentinel,
    written: BTreeSet<usize>,
    writes: Writes,
}

/// Where a transaction writes to. Told here rather than by `PRAGMA query_only`, which would have every statement of the connection
/// prepared anew.
enum Writes {
    Here,
    Beside(Beside),
    Nowhere,
}

impl StoreTransaction<'_> {
    fn writing(&self) -> Result<()> {
        match self.writes {
            Writes::Here => Ok(()),
            Writes::Beside(_) | Writes::Nowhere => {
                Err(Error::new(ErrorKind::Internal, "reading", "a transaction that only reads was asked to write"))
            }
        }
    }

    fn writing_rows(&mut self, table: usize) -> Result<()> {
        let Writes::Beside(beside) = &mut self.writes else {
            self.writing()?;
            self.written.insert(table);
            return Ok(());
        };
        let schema = self.tables.schema();
        let known = schema.tables.get(table).ok_or_else(|| Error::internal(format!("there is no table number {table}")))?;
        if beside.copy(self.connection, table, known)? {
            self.tables.forget_statements();
        }
        Ok(())
    }
}

impl Drop for StoreTransaction<'_> {
    fn drop(&mut self) {
        roll_back(self.connection);
    }
}

impl Transaction for StoreTransaction<'_> {
    fn commit(mut self: Box<Self>) -> Result<()> {
        self.writing()?;
        if !self.written.is_empty() {
            // Only a search index that another program made in this very file; those that came by push are kept as text.
            self.tables.forget_statements();
            let schema = self.tables.schema();
            let tables = self.written.iter().filter_map(|&at| schema.tables.get(at));
            derived::rebuild(self.connection, &Stale::Of(&tables.map(|t| t.name.to_ascii_lowercase()).collect()))?;
        }
        commit(self.connection)
    }
    fn version_event(&mut self, version: u64) -> Result<Option<(Vec<u8>, Digest)>> {
        self.ledger.version_event(version)
    }
    fn events_before(&mut self, version: u64) -> Result<Vec<(Vec<u8>, Digest)>> {
        self.ledger.events_before(version)
    }
    fn watch(&mut self) -> Result<()> {
        self.writing()?;
        self.watcher.watch(self.connection, &self.tables.schema())
    }
    fn has_direct(&mut self) -> Result<bool> {
        self.watcher.has_direct(self.connection, &self.tables.schema())
    }
    fn take_direct(&mut self, visit: VisitDirect<'_>) -> Result<Vec<SchemaChange>> {
        self.writing()?;
        let (watcher, connection, schema) = (self.watcher, self.connection, self.tables.schema());
        watcher.take_direct(connection, &schema, &mut |write| visit(self, write))
    }
    fn examine(&mut self) -> Result<Vec<Differing>> {
        self.ledger.examine()
    }
    fn rebuild(&mut self) -> Result<Vec<Differing>> {
        self.writing()?;
        self.ledger.rebuild()
    }
    fn replicas(&mut self) -> Result<Vec<KnownReplica>> {
        seen::all(self.connection)
    }
    fn replica(&mut self, replica: ReplicaId) -> Result<Option<KnownReplica>> {
        seen::find(self.connection, replica)
    }
    fn put_replica(&mut self, replica: &KnownReplica) -> Result<()> {
        self.writing()?;
        seen::put(self.connection, replica)
    }
    fn ask(&mut self, question: &Question<'_>, limits: &Limits, visit: VisitAnswer<'_>) -> Result<Answered> {
        self.sentinel.ask(self.connection, &self.tables.schema(), question, limits, visit)
    }
}

impl Tables for StoreTransaction<'_> {
    fn schema(&self) -> Arc<Schema> {
        self.tables.schema()
    }
    fn get(&mut self, table: usize, key: &Key) -> Result<Option<Row>> {
        self.tables.get(table, key)
    }
    fn insert(&mut self, table: usize, row: &Row) -> Result<Wrote> {
        self.writing_rows(table)?;
        self.tables.insert(table, row)
    }
    fn update(&mut self, table: usize, before: &Row, row: &Row) -> Result<Wrote> {
        self.writing_rows(table)?;
        self.tables.update(table, before, row)
    }
    fn delete(&mut self, table: usize, key: &Key) -> Result<()> {
        self.writing_rows(table)?;
        self.tables.delete(table, key)
    }
    fn find(&mut self, table: usize, columns: &[usize], values: &[Value], limit: usize) -> Result<Vec<Row>> {
        self.tables.find(table, columns, values, limit)
    }
    fn rivals(&mut self, table: usize, row: &Row) -> Result<Vec<Row>> {
        self.tables.rivals(table, row)
    }
    fn scan(&mut self, table: usize, visit: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
        self.tables.scan(table, visit)
    }
    fn next_number(&mut self, table: usize) -> Result<i64> {
        self.tables.next_number(table)
    }
    fn stored_form(&mut self, table: usize, row: &Row) -> Result<Row> {
        self.tables.stored_form(table, row)
    }
    fn alter(&mut self, step: &SchemaChange) -> Result<()> {
        self.writing()?;
        kept::alter(self.connection, &mut self.tables, step)?;
        self.watcher.altered(self.connection)
    }
}

impl Ledger for StoreTransaction<'_> {
    fn head(&mut self) -> Result<Head> {
        self.ledger.head()
    }
    fn append(&mut self, expected: &Head, event: &Event) -> Result<Appended> {
        if let Writes::Beside(_) = self.writes {
            // Nobody goes on from it.
            return Ok(Appended::Done(Head { events: expected.events + 1, ..*expected }));
        }
        self.writing()?;
        self.ledger.append(expected, event)
    }
    fn event(&mut self, index: u64) -> Result<Option<(Vec<u8>, Digest)>> {
        self.ledger.event(index)
    }
    fn version(&mut self, version: u64) -> Result<Option<Version>> {
        self.ledger.version(version)
    }
    fn version_hash(&mut self, version: u64) -> Result<Option<Digest>> {
        self.ledger.version_hash(version)
    }
    fn find_write(&mut self, write_id: u128) -> Result<Option<u64>> {
        self.ledger.find_write(write_id)
    }
    fn last_sequence(&mut self, replica: ReplicaId) -> Result<u64> {
        self.ledger.last_sequence(replica)
    }
    fn put_page(&mut self, version: u64, page: u64, bytes: &[u8], shapes: &[Shape], changes: &[Change]) -> Result<()> {
        if let Writes::Beside(beside) = &mut self.writes {
            return beside.put_page(self.connection, version, page, bytes);
        }
        self.writing()?;
        self.ledger.put_page(version, page, bytes, shapes, changes)
    }
    fn page(&mut self, version: u64, page: u64) -> Result<Option<Vec<u8>>> {
        let beside = if let Writes::Beside(beside) = &self.writes { beside.page(self.connection, version, page)? } else { None };
        beside.map_or_else(|| self.ledger.page(version, page), |bytes| Ok(Some(bytes)))
    }
    fn touches(&mut self, table: &str, key: &Key, after: u64) -> Result<Vec<Touch>> {
        self.ledger.touches(table, key, after)
    }
    fn touched(&mut self, table: &str, after: u64, visit: &mut dyn FnMut(&Key) -> Result<()>) -> Result<()> {
        self.ledger.touched(table, after, visit)
    }
    fn steps(&mut self, after: u64) -> Result<Vec<SchemaChange>> {
        self.ledger.steps(after)
    }
    fn digests(&mut self) -> Result<Vec<TableDigest>> {
        self.ledger.digests()
    }
    fn conflicts(&mut self, open_only: bool) -> Result<Vec<Conflict>> {
        self.ledger.conflicts(open_only)
    }
    fn conflict(&mut self, id: u64) -> Result<Option<Conflict>> {
        self.ledger.conflict(id)
    }
    fn waiting(&mut self) -> Result<Vec<(Version, Waiting)>> {
        self.ledger.waiting()
    }
    fn renumbered(&mut self, replica: ReplicaId, after: u64) -> Result<Vec<(u64, Renumbered)>> {
        self.ledger.renumbered(replica, after)
    }
    fn restored(&mut self) -> Result<Option<Restored>> {
        self.ledger.restored()
    }
    fn policy_text(&mut self) -> Result<String> {
        self.ledger.policy_text()
    }
    fn chronicle(&mut self) -> Result<Arc<Chronicle>> {
        self.ledger.chronicle()
    }
    fn past(&mut self, table: TableId, key: &Key, versions: RangeInclusive<u64>, limit: usize) -> Result<Vec<Touch>> {
        self.ledger.past(table, key, versions, limit)
    }
    fn touched_since(&mut self, table: TableId, after: u64, visit: &mut dyn FnMut(&Key) -> Result<()>) -> Result<()> {
        self.ledger.touched_since(table, after, visit)
    }
    fn policy_at(&mut self, version: u64) -> Result<String> {
        self.ledger.policy_at(version)
    }
    fn renumberings(&mut self) -> Result<Vec<u64>> {
        self.ledger.renumberings()
    }
    fn horizon(&mut self) -> Result<u64> {
        self.ledger.horizon()
    }
    fn tombstones(&mut self, after: (u64, u64), limit: usize) -> Result<Vec<Buried>> {
        self.ledger.tombstones(after, limit)
    }
    fn tombstone_counts(&mut self, visit: &mut dyn FnMut(&BuriedCount) -> Result<()>) -> Result<()> {
        self.ledger.tombstone_counts(visit)
    }
    fn accepted_until(&mut self, until: Time) -> Result<u64> {
        self.ledger.accepted_until(until)
    }
    fn page_sizes(&mut self) -> Result<(u64, u64)> {
        self.ledger.page_sizes()
    }
    fn proposal(&mut self, id: u64) -> Result<Option<Proposal>> {
        self.ledger.proposal(id)
    }
    fn proposals(&mut self, wanted: &ProposalsWanted) -> Result<Vec<u64>> {
        self.ledger.proposals(wanted)
    }
    fn find_revision(&mut self, write_id: u128) -> Result<Option<(u64, u64)>> {
        self.ledger.find_revision(write_id)
    }
    fn request(&mut self, actor: &str, key: u128) -> Result<Option<Reviewing>> {
        self.ledger.request(actor, key)
    }
    fn sent_since(&mut self, sender: &str, from: Time) -> Result<Vec<SentVersion>> {
        self.ledger.sent_since(sender, from)
    }
    fn put_staged(&mut self, write_id: u128, page: u64, bytes: &[u8]) -> Result<()> {
        self.writing()?;
        self.ledger.put_staged(write_id, page, bytes)
    }
    fn staged(&mut self, write_id: u128, page: u64) -> Result<Option<Vec<u8>>> {
        self.ledger.staged(write_id, page)
    }
    fn staged_bytes(&mut self, write_id: u128) -> Result<u64> {
        self.ledger.staged_bytes(write_id)
    }
    fn unstage(&mut self, write_id: u128) -> Result<u64> {
        self.writing()?;
        self.ledger.unstage(write_id)
    }
}
