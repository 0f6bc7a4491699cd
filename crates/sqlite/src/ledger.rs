//! The ledger of an embedded primary in `mainstem_` tables beside the rows it tells of.
//!
//! Invariant: events are appended one after the other, each hash covering all before it; none is ever changed.
//! Invariant: the other tables are folded from events and pages in the transaction that appends, and could be made
//! again from them. A table's touches follow it when it is renamed and are set aside when it is dropped.
use crate::connection::one;
use crate::errors::Explain;
use mainstem::core::change::{Change, Past, Shape};
use mainstem::core::chronicle::{Chronicle, TableId};
use mainstem::core::conflict::Conflict;
use mainstem::core::event::{Digest, Event, Renumbered, Restored, TableDigest, Version, Waiting};
use mainstem::core::format;
use mainstem::core::planted::{self, Bug};
use mainstem::core::proposal::{Proposal, Reviewing};
use mainstem::core::schema::SchemaChange;
use mainstem::core::stamp::{ReplicaId, Time};
use mainstem::core::value::Key;
use mainstem::ledger::{Appended, Buried, BuriedCount, Head, Ledger, ProposalsWanted, SentVersion, Touch};
use mainstem::{Error, Result};
use rusqlite::{Connection, OptionalExtension, Params};
use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::Arc;

mod fold;
mod past;
mod rebuild;
mod review;
mod tombstone;

pub use rebuild::PROJECTIONS;
pub use tombstone::{has_tombstones, upgrade};

const TABLES: &str = "
CREATE TABLE mainstem_event(position INTEGER PRIMARY KEY, hash BLOB NOT NULL, version INTEGER, body BLOB NOT NULL);
CREATE UNIQUE INDEX mainstem_event_version ON mainstem_event(version) WHERE version IS NOT NULL;
CREATE TABLE mainstem_page(version INTEGER, page INTEGER, body BLOB NOT NULL, PRIMARY KEY(version, page)) WITHOUT ROWID;
CREATE TABLE mainstem_name(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE);
CREATE TABLE mainstem_touch(table_id INTEGER, key BLOB, version INTEGER, page INTEGER, slot INTEGER,
  PRIMARY KEY(table_id, key, version, page, slot)) WITHOUT ROWID;
CREATE TABLE mainstem_write(write_id BLOB PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE mainstem_sequence(replica BLOB PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE mainstem_step(version INTEGER PRIMARY KEY);
CREATE TABLE mainstem_conflict(place INTEGER PRIMARY KEY, id INTEGER NOT NULL UNIQUE, is_open INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX mainstem_conflict_open ON mainstem_conflict(place) WHERE is_open;
CREATE TABLE mainstem_waiting(version INTEGER, slot INTEGER, write_id BLOB NOT NULL, table_name TEXT COLLATE NOCASE NOT NULL,
  key BLOB NOT NULL, PRIMARY KEY(version, slot)) WITHOUT ROWID;
CREATE TABLE mainstem_renumbered(replica BLOB, version INTEGER, PRIMARY KEY(replica, version)) WITHOUT ROWID;
CREATE TABLE mainstem_digest(slot INTEGER PRIMARY KEY, table_name TEXT NOT NULL, rows INTEGER NOT NULL, sum BLOB NOT NULL);
CREATE TABLE mainstem_policy(position INTEGER PRIMARY KEY, text TEXT NOT NULL);
";

/// Which events began an epoch. Ledgers that were made before there were any get it when they are opened.
const EPOCHS: &str = "CREATE TABLE IF NOT EXISTS mainstem_epoch(position INTEGER PRIMARY KEY)";

/// Pages kept decoded while touches are looked up; keys that are asked in order mostly meet the same one.
const PAGES_KEPT: usize = 4;

/// Authors and shapes of versions kept for the same purpose.
const VERSIONS_KEPT: usize = 64;

/// Makes the ledger's tables in a database that has none.
pub fn create(connection: &Connection) -> Result<()> {
    connection.execute_batch(TABLES).on(connection)?;
    connection.execute_batch(tombstone::TABLES).on(connection)?;
    complete(connection)
}

/// Makes what a ledger of an earlier version of this program lacks.
pub fn complete(connection: &Connection) -> Result<()> {
    connection.execute_batch(EPOCHS).on(connection)?;
    connection.execute_batch(review::TABLES).on(connection)
}

/// True where the ledger's tables are there.
pub fn exists(connection: &Connection) -> Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'mainstem_event'";
    one(connection, sql, [], |row| row.get(0)).on(connection)
}

/// True where the ledger can tell which events began an epoch.
pub fn has_epochs(connection: &Connection) -> Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'mainstem_epoch'";
    one(connection, sql, [], |row| row.get(0)).on(connection)
}

/// The ledger on a connection, inside a transaction of the caller's.
pub struct SqliteLedger<'c> {
    connection: &'c Connection,
    head: Option<Head>,
    chronicle: Option<Arc<Chronicle>>,
    names: HashMap<String, i64>,
    origins: VecDeque<(u64, Rc<Origin>)>,
    pages: VecDeque<(u64, u64, Rc<Vec<Change>>)>,
    /// Rows of the version in the making that left their key for another: table and key.
    moved: Vec<(i64, Key)>,
}

/// Whose a version is, and what its changes refer to.
struct Origin {
    replica: ReplicaId,
    actor: Arc<str>,
    shapes: Vec<Arc<Shape>>,
    was: Arc<[Past]>,
}

impl<'c> SqliteLedger<'c> {
    /// The ledger as this transaction sees it.
    pub fn new(connection: &'c Connection) -> Self {
        let (names, origins, pages) = (HashMap::new(), VecDeque::new(), VecDeque::new());
        SqliteLedger { connection, head: None, chronicle: None, names, origins, pages, moved: Vec::new() }
    }

    /// A version's event as its bytes and hash.
    pub fn version_event(&mut self, version: u64) -> Result<Option<(Vec<u8>, Digest)>> {
        let sql = "SELECT body, hash FROM mainstem_event WHERE version = ?1";
        self.one(sql, [number(version)?], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// The events between a version and the one before it, as bytes and hashes, in order.
    pub fn events_before(&mut self, version: u64) -> Result<Vec<(Vec<u8>, Digest)>> {
        let sql = "SELECT body, hash FROM mainstem_event WHERE version IS NULL AND \
                   position < (SELECT position FROM mainstem_event WHERE version = ?1) AND \
                   position > (SELECT position FROM mainstem_event WHERE version = ?1 - 1) ORDER BY position";
        self.all(sql, [number(version)?], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn one<T>(&self, sql: &str, values: impl Params, read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>) -> Result<Option<T>> {
        let mut statement = self.connection.prepare_cached(sql).on(self.connection)?;
        statement.query_row(values, read).optional().on(self.connection)
    }

    fn all<T>(&self, sql: &str, values: impl Params, read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql).on(self.connection)?;
        let rows = statement.query_map(values, read).on(self.connection)?;
        rows.collect::<rusqlite::Result<_>>().on(self.connection)
    }

    fn run(&self, sql: &str, values: impl Params) -> Result<usize> {
        let mut statement = self.connection.prepare_cached(sql).on(self.connection)?;
        statement.execute(values).on(self.connection)
    }

    fn must_version(&mut self, version: u64) -> Result<Version> {
        self.version(version)?.ok_or_else(|| missing(version))
    }

    /// The number that stands for a table's name, where it has one.
    fn find_name(&mut self, table: &str) -> Result<Option<i64>> {
        if let Some(id) = self.names.get(table) {
            return Ok(Some(*id));
        }
        let found = self.one("SELECT id FROM mainstem_name WHERE name = ?1", [table], |row| row.get(0))?;
        if let Some(id) = found {
            self.names.insert(table.to_string(), id);
        }
        Ok(found)
    }

    fn name(&mut self, table: &str) -> Result<i64> {
        if let Some(id) = self.find_name(table)? {
            return Ok(id);
        }
        self.run("INSERT INTO mainstem_name(name) VALUES (?1)", [table])?;
        let id = self.connection.last_insert_rowid();
        self.names.insert(table.to_string(), id);
        Ok(id)
    }

    fn origin(&mut self, version: u64) -> Result<Rc<Origin>> {
        if let Some((_, origin)) = self.origins.iter().find(|(v, _)| *v == version) {
            return Ok(origin.clone());
        }
        let found = self.must_version(version)?;
        let shapes = found.shapes.into_iter().map(Arc::new).collect();
        let origin = Rc::new(Origin { replica: found.header.replica, actor: found.header.actor.into(), shapes, was: found.was.into() });
        if self.origins.len() == VERSIONS_KEPT {
            self.origins.pop_front();
        }
        self.origins.push_back((version, origin.clone()));
        Ok(origin)
    }

    fn changes(&mut self, version: u64, page: u64) -> Result<Rc<Vec<Change>>> {
        if let Some((_, _, changes)) = self.pages.iter().find(|(v, p, _)| (*v, *p) == (version, page)) {
            return Ok(changes.clone());
        }
        let bytes = self.page(version, page)?.ok_or_else(|| missing(version))?;
        let origin = self.origin(version)?;
        let changes = Rc::new(format::page::decode(&bytes, &origin.shapes.iter().map(|s| (**s).clone()).collect::<Vec<_>>())?);
        if self.pages.len() == PAGES_KEPT {
            self.pages.pop_front();
        }
        self.pages.push_back((version, page, changes.clone()));
        Ok(changes)
    }
}

impl Ledger for SqliteLedger<'_> {
    fn head(&mut self) -> Result<Head> {
        if let Some(head) = self.head {
            return Ok(head);
        }
        let last = "SELECT position, hash FROM mainstem_event ORDER BY position DESC LIMIT 1";
        let last = self.one(last, [], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
        let latest = "SELECT max(version) FROM mainstem_event WHERE version IS NOT NULL";
        let latest: Option<i64> = self.one(latest, [], |row| row.get(0))?.flatten();
        let (events, hash) = last.unwrap_or_default();
        let head = Head { events: events as u64, hash, version: latest.unwrap_or(0) as u64 };
        self.head = Some(head);
        Ok(head)
    }

    fn append(&mut self, expected: &Head, event: &Event) -> Result<Appended> {
        let head = self.head()?;
        if head != *expected {
            return Ok(Appended::Stale(head));
        }
        let version: Option<&Version> = match event {
            Event::Version(version) => Some(version),
            Event::Genesis(_) | Event::Policy(_) | Event::Collected(_) | Event::Restored(_) | Event::Review(_) => None,
        };
        if let Some(version) = version {
            self.check_next(&head, version)?;
        }
        let body = format::event::encode(event);
        let hash = format::event::chain(&head.hash, &body);
        let position = number(head.events + 1)?;
        let numbered = version.map(|v| number(v.version)).transpose()?;
        let insert = "INSERT INTO mainstem_event(position, hash, version, body) VALUES (?1, ?2, ?3, ?4)";
        // What was known of the head is void from here on, also where a later statement fails.
        self.head = None;
        self.chronicle = None;
        self.run(insert, (position, hash, numbered, body))?;
        self.fold_event(position, event)?;
        let version = version.map_or(head.version, |v| v.version);
        let head = Head { events: head.events + 1, hash, version };
        self.head = Some(head);
        Ok(Appended::Done(head))
    }

    fn event(&mut self, index: u64) -> Result<Option<(Vec<u8>, Digest)>> {
        let sql = "SELECT body, hash FROM mainstem_event WHERE position = ?1";
        self.one(sql, [number(index)?], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn version(&mut self, version: u64) -> Result<Option<Version>> {
        let Some((bytes, _)) = self.version_event(version)? else {
            return Ok(None);
        };
        match format::event::decode(&bytes)? {
            Event::Version(found) if found.version == version => Ok(Some(found)),
            _ => Err(Error::corrupt(format!("the ledger's event of version {version} is another event"))),
        }
    }

    fn version_hash(&mut self, version: u64) -> Result<Option<Digest>> {
        self.one("SELECT hash FROM mainstem_event WHERE version = ?1", [number(version)?], |row| row.get(0))
    }

    fn find_write(&mut self, write_id: u128) -> Result<Option<u64>> {
        let sql = "SELECT version FROM mainstem_write WHERE write_id = ?1";
        let found = self.one(sql, [write_id.to_be_bytes()], |row| row.get::<_, i64>(0))?;
        Ok(found.map(|version| version as u64))
    }

    fn last_sequence(&mut self, replica: ReplicaId) -> Result<u64> {
        let sql = "SELECT sequence FROM mainstem_sequence WHERE replica = ?1";
        let found = self.one(sql, [replica.0.to_be_bytes()], |row| row.get::<_, i64>(0))?;
        Ok(found.unwrap_or(0) as u64)
    }

    fn put_page(&mut self, version: u64, page: u64, bytes: &[u8], shapes: &[Shape], changes: &[Change]) -> Result<()> {
        let sql = "INSERT INTO mainstem_page(version, page, body) VALUES (?1, ?2, ?3)";
        self.run(sql, (number(version)?, number(page)?, bytes))?;
        self.note_touches(version, page, shapes, changes)
    }

    fn page(&mut self, version: u64, page: u64) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT body FROM mainstem_page WHERE version = ?1 AND page = ?2";
        self.one(sql, (number(version)?, number(page)?), |row| row.get(0))
    }

    fn touches(&mut self, table: &str, key: &Key, after: u64) -> Result<Vec<Touch>> {
        let Some(id) = self.find_name(table)? else {
            return Ok(Vec::new());
        };
        // Of a version in the making the first pages may be there, and its event is not.
        let sql = "SELECT version, page, slot FROM mainstem_touch WHERE table_id = ?1 AND key = ?2 AND version > ?3 AND version <= ?4 \
                   ORDER BY version, page, slot";
        let values = (id, format::row::encode_key(key), number(after)?, number(self.head()?.version)?);
        let mut places = self.all(sql, values, past::place)?;
        if planted::is(Bug::H3) {
            places.drain(..places.len().saturating_sub(3));
        }
        places.into_iter().map(|place| self.touch(key, place)).collect()
    }

    fn touched(&mut self, table: &str, after: u64, visit: &mut dyn FnMut(&Key) -> Result<()>) -> Result<()> {
        let Some(id) = self.find_name(table)? else {
            return Ok(());
        };
        let sql = "SELECT DISTINCT key FROM mainstem_touch WHERE table_id = ?1 AND version > ?2 ORDER BY key";
        let connection = self.connection;
        let mut statement = connection.prepare_cached(sql).on(connection)?;
        let mut rows = statement.query((id, number(after)?)).on(connection)?;
        while let Some(row) = rows.next().on(connection)? {
            let key: Vec<u8> = row.get(0).on(connection)?;
            visit(&format::row::decode_key(&key)?)?;
        }
        Ok(())
    }

    fn steps(&mut self, after: u64) -> Result<Vec<SchemaChange>> {
        let sql = "SELECT version FROM mainstem_step WHERE version > ?1 ORDER BY version";
        let mut steps = Vec::new();
        for version in self.all(sql, [number(after)?], |row| row.get::<_, i64>(0))? {
            steps.extend(self.must_version(version as u64)?.schema);
        }
        Ok(steps)
    }

    fn digests(&mut self) -> Result<Vec<TableDigest>> {
        let sql = "SELECT table_name, rows, sum FROM mainstem_digest ORDER BY slot";
        self.all(sql, [], |row| {
            let rows: i64 = row.get(1)?;
            Ok(TableDigest { table: row.get(0)?, rows: rows as u64, sum: row.get(2)? })
        })
    }

    fn conflicts(&mut self, open_only: bool) -> Result<Vec<Conflict>> {
        let sql = match open_only {
            true => "SELECT body FROM mainstem_conflict WHERE is_open ORDER BY place",
            false => "SELECT body FROM mainstem_conflict ORDER BY place",
        };
        let bodies: Vec<Vec<u8>> = self.all(sql, [], |row| row.get(0))?;
        bodies.iter().map(|body| Ok(format::conflict::decode(body)?)).collect()
    }

    fn conflict(&mut self, id: u64) -> Result<Option<Conflict>> {
        let sql = "SELECT body FROM mainstem_conflict WHERE id = ?1";
        let body: Option<Vec<u8>> = self.one(sql, [id as i64], |row| row.get(0))?;
        body.map(|body| Ok(format::conflict::decode(&body)?)).transpose()
    }

    fn waiting(&mut self) -> Result<Vec<(Version, Waiting)>> {
        let sql = "SELECT version, slot FROM mainstem_waiting ORDER BY version, slot";
        let places = self.all(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        let mut waiting = Vec::with_capacity(places.len());
        for of_version in places.chunk_by(|a, b| a.0 == b.0) {
            let version = self.must_version(of_version[0].0 as u64)?;
            for (_, slot) in of_version {
                let found = version.waiting.get(*slot as usize).ok_or_else(|| missing(version.version))?;
                waiting.push((version.clone(), found.clone()));
            }
        }
        Ok(waiting)
    }

    fn renumbered(&mut self, replica: ReplicaId, after: u64) -> Result<Vec<(u64, Renumbered)>> {
        let sql = "SELECT version FROM mainstem_renumbered WHERE replica = ?1 AND version > ?2 ORDER BY version";
        let versions = self.all(sql, (replica.0.to_be_bytes(), number(after)?), |row| row.get::<_, i64>(0))?;
        let mut renumbered = Vec::new();
        for version in versions {
            let version = self.must_version(version as u64)?;
            renumbered.extend(version.renumbered.into_iter().map(|row| (version.header.base_version, row)));
        }
        Ok(renumbered)
    }

    fn restored(&mut self) -> Result<Option<Restored>> {
        let sql = "SELECT body FROM mainstem_event WHERE position = (SELECT max(position) FROM mainstem_epoch)";
        let Some(bytes) = self.one(sql, [], |row| row.get::<_, Vec<u8>>(0))? else { return Ok(None) };
        match format::event::decode(&bytes)? {
            Event::Restored(restored) => Ok(Some(restored)),
            _ => Err(Error::corrupt("the event that began the epoch is another event")),
        }
    }

    fn policy_text(&mut self) -> Result<String> {
        let sql = "SELECT text FROM mainstem_policy ORDER BY position DESC LIMIT 1";
        Ok(self.one(sql, [], |row| row.get(0))?.unwrap_or_default())
    }

    fn chronicle(&mut self) -> Result<Arc<Chronicle>> {
        self.known_chronicle()
    }

    fn past(&mut self, table: TableId, key: &Key, versions: RangeInclusive<u64>, limit: usize) -> Result<Vec<Touch>> {
        self.past_of(table, key, versions, limit)
    }

    fn touched_since(&mut self, table: TableId, after: u64, visit: &mut dyn FnMut(&Key) -> Result<()>) -> Result<()> {
        self.visit_touched(table, after, visit)
    }

    fn policy_at(&mut self, version: u64) -> Result<String> {
        let sql = "SELECT text FROM mainstem_policy WHERE position < (SELECT position FROM mainstem_event WHERE version = ?1) \
                   ORDER BY position DESC LIMIT 1";
        Ok(self.one(sql, [number(version)?], |row| row.get(0))?.unwrap_or_default())
    }

    fn renumberings(&mut self) -> Result<Vec<u64>> {
        let sql = "SELECT DISTINCT version FROM mainstem_renumbered ORDER BY version";
        self.all(sql, [], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))
    }

    fn horizon(&mut self) -> Result<u64> {
        let highest: Option<i64> = self.one("SELECT max(version) FROM mainstem_horizon", [], |row| row.get(0))?.flatten();
        Ok(highest.unwrap_or(0) as u64)
    }

    fn tombstones(&mut self, after: (u64, u64), limit: usize) -> Result<Vec<Buried>> {
        self.buried(after, limit)
    }

    fn tombstone_counts(&mut self, visit: &mut dyn FnMut(&BuriedCount) -> Result<()>) -> Result<()> {
        self.buried_counts(visit)
    }

    fn accepted_until(&mut self, until: Time) -> Result<u64> {
        let sql = "SELECT coalesce((SELECT min(version) FROM mainstem_accepted WHERE at_ms > ?1) - 1, \
                                   (SELECT max(version) FROM mainstem_accepted), 0)";
        Ok(self.one(sql, [number(until.ms())?], |row| row.get::<_, i64>(0))?.unwrap_or(0) as u64)
    }

    fn page_sizes(&mut self) -> Result<(u64, u64)> {
        let sql = "SELECT count(*), coalesce(sum(length(body)), 0) FROM mainstem_page";
        let sizes = self.one(sql, [], |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)))?;
        Ok(sizes.unwrap_or_default())
    }

    fn proposal(&mut self, id: u64) -> Result<Option<Proposal>> {
        self.read_proposal(id)
    }

    fn proposals(&mut self, wanted: &ProposalsWanted) -> Result<Vec<u64>> {
        self.list_proposals(wanted)
    }

    fn find_revision(&mut self, write_id: u128) -> Result<Option<(u64, u64)>> {
        let sql = "SELECT proposal, revision FROM mainstem_revision WHERE write_id = ?1";
        let found = self.one(sql, [write_id.to_be_bytes()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        Ok(found.map(|(proposal, revision)| (proposal.cast_unsigned(), revision.cast_unsigned())))
    }

    fn request(&mut self, actor: &str, key: u128) -> Result<Option<Reviewing>> {
        self.read_request(actor, key)
    }

    fn sent_since(&mut self, sender: &str, from: Time) -> Result<Vec<SentVersion>> {
        self.list_sent(sender, from)
    }

    fn put_staged(&mut self, write_id: u128, page: u64, bytes: &[u8]) -> Result<()> {
        let sql = "INSERT INTO mainstem_staged(write_id, page, body) VALUES (?1, ?2, ?3)";
        self.run(sql, (write_id.to_be_bytes(), number(page)?, bytes)).map(drop)
    }

    fn staged(&mut self, write_id: u128, page: u64) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT body FROM mainstem_staged WHERE write_id = ?1 AND page = ?2";
        self.one(sql, (write_id.to_be_bytes(), number(page)?), |row| row.get(0))
    }

    fn staged_bytes(&mut self, write_id: u128) -> Result<u64> {
        let sql = "SELECT coalesce(sum(length(body)), 0) FROM mainstem_staged WHERE write_id = ?1";
        Ok(self.one(sql, [write_id.to_be_bytes()], |row| row.get::<_, i64>(0))?.unwrap_or(0).cast_unsigned())
    }

    fn unstage(&mut self, write_id: u128) -> Result<u64> {
        let bytes = self.staged_bytes(write_id)?;
        self.run("DELETE FROM mainstem_staged WHERE write_id = ?1", [write_id.to_be_bytes()])?;
        Ok(bytes)
    }
}

fn missing(version: u64) -> Error {
    Error::corrupt(format!("the ledger has lost a part of version {version}"))
        .hint("restore the primary from a backup, or publish again from a replica that has this version")
}

/// A count or position as SQLite keeps it.
fn number(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|_| Error::invalid(format!("{value} is too large for a ledger")))
}
