//! What a replica remembers in its own `mainstem_` tables, beside capture's log and the rows of the base version.
use crate::connection::one;
use crate::errors::Explain;
use mainstem::core::change::{Change, Front, Resolution};
use mainstem::core::conflict::Conflict;
use mainstem::core::event::{Digest, Event, TableDigest, Version, Waiting};
use mainstem::core::format::{self, row as row_format};
use mainstem::core::schema::SchemaChange;
use mainstem::core::stamp::Time;
use mainstem::core::value::Key;
use mainstem::error::{Error, Result};
use mainstem::primary::Recent;
use rusqlite::{Connection, OptionalExtension, params};

/// A version before the first: its number, hash and write id.
const RECENT_BYTES: usize = 8 + 32 + 16;

/// True of a changeset that is not kept for review.
const IS_SENT: &str = "NOT EXISTS(SELECT 1 FROM mainstem_meta WHERE name = 'kept:' || lower(hex(write_id)))";

/// More than there are places of changesets.
const ORDINALS: i64 = 1 << 40;

/// The layout of these tables; a file with a later one is refused.
pub const LAYOUT: i64 = 1;

const TABLES: &str = "
CREATE TABLE mainstem_meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE mainstem_changeset(ordinal INTEGER PRIMARY KEY, write_id BLOB NOT NULL, front BLOB NOT NULL);
CREATE TABLE mainstem_page(write_id BLOB, page INTEGER, body BLOB NOT NULL, PRIMARY KEY(write_id, page)) WITHOUT ROWID;
CREATE TABLE mainstem_stash(ordinal INTEGER PRIMARY KEY, write_id BLOB NOT NULL, front BLOB NOT NULL);
CREATE TABLE mainstem_inbox(ordinal INTEGER PRIMARY KEY, hash BLOB, body BLOB NOT NULL);
CREATE TABLE mainstem_version(version INTEGER PRIMARY KEY, hash BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE mainstem_conflict(id INTEGER PRIMARY KEY, is_open INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE mainstem_waiting(write_id BLOB, tbl TEXT, key BLOB, version INTEGER NOT NULL, PRIMARY KEY(write_id, tbl, key)) WITHOUT ROWID;
CREATE TABLE mainstem_digest(tbl TEXT PRIMARY KEY, rows INTEGER NOT NULL, sum BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE mainstem_step(ordinal INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE mainstem_gap(tbl TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE mainstem_touch(tbl TEXT, key BLOB, version INTEGER, ordinal INTEGER, body BLOB NOT NULL, PRIMARY KEY(tbl, key, version, ordinal)) WITHOUT ROWID;
CREATE TABLE mainstem_resolution(conflict INTEGER PRIMARY KEY, choice INTEGER NOT NULL, actor TEXT NOT NULL, at INTEGER NOT NULL);
";

/// Makes the tables.
pub fn create(db: &Connection) -> Result<()> {
    db.execute_batch(TABLES).on(db)?;
    super::past::create(db)?;
    db.execute_batch(super::bases::TABLES).on(db)?;
    put(db, "layout", LAYOUT)
}

/// True where the file is tracked.
pub fn is_tracked(db: &Connection) -> Result<bool> {
    let found: i64 =
        one(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'mainstem_meta'", [], |r| r.get(0)).on(db)?;
    Ok(found > 0)
}

/// Sets one remembered value.
pub fn put(db: &Connection, name: &str, value: impl rusqlite::ToSql) -> Result<()> {
    db.prepare_cached("INSERT INTO mainstem_meta(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = excluded.value")
        .on(db)?
        .execute(params![name, value])
        .on(db)?;
    Ok(())
}

/// Reads one remembered value.
pub fn get<T: rusqlite::types::FromSql>(db: &Connection, name: &str) -> Result<Option<T>> {
    db.prepare_cached("SELECT value FROM mainstem_meta WHERE name = ?1")
        .on(db)?
        .query_row([name], |r| r.get(0))
        .optional()
        .on(db)
        .map(Option::flatten)
}

/// Remembers which search indexes could not be made again, and why.
pub fn set_broken(db: &Connection, broken: &[(String, String)]) -> Result<()> {
    db.execute("DELETE FROM mainstem_meta WHERE name LIKE 'broken:%'", []).on(db)?;
    broken.iter().try_for_each(|(index, why)| put(db, &format!("broken:{index}"), why))
}

/// The search indexes that could not be made again, with why.
pub fn broken_indexes(db: &Connection) -> Result<Vec<(String, String)>> {
    let mut statement =
        db.prepare_cached("SELECT substr(name, 8), value FROM mainstem_meta WHERE name LIKE 'broken:%' ORDER BY name").on(db)?;
    let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).on(db)?;
    rows.collect::<rusqlite::Result<_>>().on(db)
}

/// Reads a 128-bit value.
pub fn get_wide(db: &Connection, name: &str) -> Result<Option<u128>> {
    get::<Vec<u8>>(db, name)?.map(|bytes| wide(&bytes)).transpose()
}

/// Reads a digest.
pub fn get_digest(db: &Connection, name: &str) -> Result<Option<Digest>> {
    get::<Vec<u8>>(db, name)?.map(|bytes| digest(&bytes)).transpose()
}

fn wide(bytes: &[u8]) -> Result<u128> {
    bytes.try_into().map(u128::from_be_bytes).map_err(|_| Error::corrupt("an id in the replica's own tables is damaged"))
}

fn digest(bytes: &[u8]) -> Result<Digest> {
    bytes.try_into().map_err(|_| Error::corrupt("a digest in the replica's own tables is damaged"))
}

/// Adds a closed changeset; its pages are stored already.
pub fn add_changeset(db: &Connection, front: &Front) -> Result<()> {
    db.prepare_cached("INSERT INTO mainstem_changeset(write_id, front) VALUES(?1, ?2)")
        .on(db)?
        .execute(params![front.header.write_id.to_be_bytes(), format::front::encode(front)])
        .on(db)?;
    Ok(())
}

/// Adds a closed changeset ahead of all others.
pub fn add_changeset_ahead(db: &Connection, front: &Front) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO mainstem_changeset(ordinal, write_id, front) SELECT ifnull(min(ordinal), 1) - 1, ?1, ?2 FROM mainstem_changeset",
    )
    .on(db)?
    .execute(params![front.header.write_id.to_be_bytes(), format::front::encode(front)])
    .on(db)?;
    Ok(())
}

/// Adds a closed changeset in the place after another one.
pub fn add_changeset_after(db: &Connection, write_id: u128, front: &Front) -> Result<()> {
    let sql = "SELECT ordinal FROM mainstem_changeset WHERE write_id = ?1";
    let place: Option<i64> = db.prepare_cached(sql).on(db)?.query_row([write_id.to_be_bytes()], |r| r.get(0)).optional().on(db)?;
    let Some(place) = place else { return add_changeset(db, front) };
    // In two steps, since no two may have one place on the way.
    db.execute("UPDATE mainstem_changeset SET ordinal = ordinal + ?2 WHERE ordinal > ?1", [place, ORDINALS]).on(db)?;
    db.execute("UPDATE mainstem_changeset SET ordinal = ordinal - ?2 + 1 WHERE ordinal > ?1 + ?2", [place, ORDINALS]).on(db)?;
    db.prepare_cached("INSERT INTO mainstem_changeset(ordinal, write_id, front) VALUES(?1, ?2, ?3)")
        .on(db)?
        .execute(params![place + 1, front.header.write_id.to_be_bytes(), format::front::encode(front)])
        .on(db)?;
    Ok(())
}

/// Replaces a changeset's front.
pub fn set_front(db: &Connection, front: &Front) -> Result<()> {
    db.prepare_cached("UPDATE mainstem_changeset SET front = ?2 WHERE write_id = ?1")
        .on(db)?
        .execute(params![front.header.write_id.to_be_bytes(), format::front::encode(front)])
        .on(db)?;
    Ok(())
}

/// The changesets that are not known to be accepted, oldest first.
pub fn changesets(db: &Connection) -> Result<Vec<Front>> {
    fronts(db, "SELECT front FROM mainstem_changeset ORDER BY ordinal")
}

/// Those of them that are sent as they are: not kept for review.
pub fn unsent(db: &Connection) -> Result<Vec<Front>> {
    fronts(db, &format!("SELECT front FROM mainstem_changeset WHERE {IS_SENT} ORDER BY ordinal"))
}

/// What was put aside, newest first.
pub fn stashes(db: &Connection) -> Result<Vec<Front>> {
    fronts(db, "SELECT front FROM mainstem_stash ORDER BY ordinal DESC")
}

fn fronts(db: &Connection, sql: &str) -> Result<Vec<Front>> {
    let mut statement = db.prepare_cached(sql).on(db)?;
    let mut rows = statement.query([]).on(db)?;
    let mut fronts = Vec::new();
    while let Some(row) = rows.next().on(db)? {
        let bytes: Vec<u8> = row.get(0).on(db)?;
        fronts.push(format::front::decode(&bytes)?);
    }
    Ok(fronts)
}

/// Forgets a changeset. True where it was there.
pub fn drop_changeset(db: &Connection, write_id: u128) -> Result<bool> {
    let id = write_id.to_be_bytes();
    db.prepare_cached("DELETE FROM mainstem_page WHERE write_id = ?1").on(db)?.execute([id]).on(db)?;
    for name in [standing_name(write_id), kept_name(write_id)] {
        db.prepare_cached("DELETE FROM mainstem_meta WHERE name = ?1").on(db)?.execute([name]).on(db)?;
    }
    let gone = db.prepare_cached("DELETE FROM mainstem_changeset WHERE write_id = ?1").on(db)?.execute([id]).on(db)?;
    Ok(gone > 0)
}

/// Remembers how each of a changeset's schema steps stands in the file; none for one that does not, since the other side did
/// the same or something against it.
pub fn set_standing(db: &Connection, front: &Front, standing: &[Option<SchemaChange>]) -> Result<()> {
    let name = standing_name(front.header.write_id);
    let is_as_told = front.schema.iter().map(Some).eq(standing.iter().map(Option::as_ref));
    if is_as_told {
        return db.execute("DELETE FROM mainstem_meta WHERE name = ?1", [name]).on(db).map(drop);
    }
    let mut bytes = Vec::new();
    for step in standing {
        let step = step.as_ref().map(format::schema::encode_change).unwrap_or_default();
        bytes.extend_from_slice(&(step.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&step);
    }
    put(db, &name, bytes)
}

/// How each of a changeset's schema steps stands in the file.
pub fn standing(db: &Connection, front: &Front) -> Result<Vec<Option<SchemaChange>>> {
    let Some(bytes) = get::<Vec<u8>>(db, &standing_name(front.header.write_id))? else {
        return Ok(front.schema.iter().cloned().map(Some).collect());
    };
    let damaged = || Error::corrupt("a schema step in the replica's own tables is damaged");
    let (mut standing, mut rest) = (Vec::new(), &bytes[..]);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (step, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(damaged)?;
        standing.push((!step.is_empty()).then(|| format::schema::decode_change(step)).transpose()?);
        rest = after;
    }
    if standing.len() == front.schema.len() { Ok(standing) } else { Err(damaged()) }
}

/// Says how a changeset is kept for review.
pub fn set_kept(db: &Connection, write_id: u128, mark: &str) -> Result<()> {
    put(db, &kept_name(write_id), mark)
}

/// A changeset is kept for review no longer.
pub fn forget_kept(db: &Connection, write_id: u128) -> Result<()> {
    db.execute("DELETE FROM mainstem_meta WHERE name = ?1", [kept_name(write_id)]).on(db).map(drop)
}

/// How a changeset is kept for review; none where it is sent as it is.
pub fn kept(db: &Connection, write_id: u128) -> Result<Option<String>> {
    get(db, &kept_name(write_id))
}

fn kept_name(write_id: u128) -> String {
    format!("kept:{write_id:032x}")
}

fn standing_name(write_id: u128) -> String {
    format!("standing:{write_id:032x}")
}

/// Remembers the rows that do not stand in the file as unsent work made them, by table.
pub fn set_hidden(db: &Connection, hidden: &[(String, Key)]) -> Result<()> {
    if hidden.is_empty() {
        return db.execute("DELETE FROM mainstem_meta WHERE name = 'hidden'", []).on(db).map(drop);
    }
    put(db, "hidden", format::front::encode(&Front { hidden: hidden.to_vec(), ..Front::default() }))
}

/// The rows that do not stand in the file as unsent work made them, by table.
pub fn hidden(db: &Connection) -> Result<Vec<(String, Key)>> {
    let bytes: Option<Vec<u8>> = get(db, "hidden")?;
    Ok(bytes.map(|bytes| format::front::decode(&bytes)).transpose()?.map(|front| front.hidden).unwrap_or_default())
}

/// Stores or replaces one page of a changeset.
pub fn put_page(db: &Connection, write_id: u128, page: u64, body: &[u8]) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO mainstem_page(write_id, page, body) VALUES(?1, ?2, ?3) ON CONFLICT(write_id, page) DO UPDATE SET body = excluded.body",
    )
    .on(db)?
    .execute(params![write_id.to_be_bytes(), page as i64, body])
    .on(db)?;
    Ok(())
}

/// One page of a changeset.
pub fn page(db: &Connection, write_id: u128, page: u64) -> Result<Option<Vec<u8>>> {
    db.prepare_cached("SELECT body FROM mainstem_page WHERE write_id = ?1 AND page = ?2")
        .on(db)?
        .query_row(params![write_id.to_be_bytes(), page as i64], |r| r.get(0))
        .optional()
        .on(db)
}

/// The pages of a changeset, read one at a time.
pub struct StoredPages<'c> {
    /// The replica's connection.
    pub db: &'c Connection,
    /// The changeset.
    pub front: Front,
    /// The next page.
    pub next: u64,
}

impl mainstem::primary::Pages for StoredPages<'_> {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        let Some(bytes) = page(self.db, self.front.header.write_id, self.next)? else { return Ok(None) };
        self.next += 1;
        Ok(Some(format::page::decode(&bytes, &self.front.shapes)?))
    }
    fn rewind(&mut self) -> Result<()> {
        self.next = 0;
        Ok(())
    }
}

/// Remembers a version's event.
pub fn add_version(db: &Connection, version: u64, hash: &Digest, body: &[u8]) -> Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO mainstem_version(version, hash, body) VALUES(?1, ?2, ?3)")
        .on(db)?
        .execute(params![version as i64, hash, body])
        .on(db)?;
    Ok(())
}

/// A remembered version's event.
pub fn version(db: &Connection, version: u64) -> Result<Option<Version>> {
    let body: Option<Vec<u8>> = db
        .prepare_cached("SELECT body FROM mainstem_version WHERE version = ?1")
        .on(db)?
        .query_row([version as i64], |r| r.get(0))
        .optional()
        .on(db)?;
    body.map(|b| version_of(&b)).transpose()
}

/// Decodes a version's event.
pub fn version_of(body: &[u8]) -> Result<Version> {
    match format::event::decode(body)? {
        Event::Version(version) => Ok(version),
        _ => Err(Error::corrupt("an event that is no version stands where a version should")),
    }
}

/// Remembers the version that this replica began with.
pub fn set_first(db: &Connection, event: &Version, hash: &Digest) -> Result<()> {
    put(db, "first", format::event::encode(&Event::Version(event.clone())))?;
    put(db, "first_hash", hash)
}

/// The version that this replica began with, and its hash; none in a file that was made before this was remembered.
pub fn first(db: &Connection) -> Result<Option<(Version, Digest)>> {
    match (get::<Vec<u8>>(db, "first")?, get_digest(db, "first_hash")?) {
        (Some(event), Some(hash)) => Ok(Some((version_of(&event)?, hash))),
        _ => Ok(None),
    }
}

/// Remembers the versions before the first.
pub fn set_recent(db: &Connection, recent: &[Recent]) -> Result<()> {
    let mut bytes = Vec::with_capacity(recent.len() * RECENT_BYTES);
    for version in recent.iter().rev() {
        bytes.extend_from_slice(&version.version.to_be_bytes());
        bytes.extend_from_slice(&version.hash);
        bytes.extend_from_slice(&version.write_id.to_be_bytes());
    }
    put(db, "recent", bytes)
}

/// The versions before the first, oldest first.
pub fn recent(db: &Connection) -> Result<Vec<Recent>> {
    let bytes: Vec<u8> = get(db, "recent")?.unwrap_or_default();
    let (all, _) = bytes.as_chunks::<RECENT_BYTES>();
    all.iter()
        .map(|one| {
            let number = one[..8].try_into().map(u64::from_be_bytes);
            let version = number.map_err(|_| Error::internal("eight bytes are a number"))?;
            Ok(Recent { version, hash: digest(&one[8..40])?, write_id: wide(&one[40..])? })
        })
        .collect()
}

/// Every remembered version with its hash, oldest first.
pub fn line(db: &Connection) -> Result<Vec<(u64, Digest)>> {
    let mut statement = db.prepare_cached("SELECT version, hash FROM mainstem_version ORDER BY version").on(db)?;
    let rows = statement.query_map([], |r| Ok((r.get::<_, i64>(0)? as u64, r.get(1)?))).on(db)?;
    rows.collect::<rusqlite::Result<_>>().on(db)
}

/// Forgets the versions above `after`.
pub fn drop_versions(db: &Connection, after: u64) -> Result<()> {
    db.execute("DELETE FROM mainstem_version WHERE version > ?1", [after as i64]).on(db).map(drop)
}

/// Forgets what earlier pulls brought of a version that is not complete.
pub fn clear_inbox(db: &Connection) -> Result<()> {
    db.execute("DELETE FROM mainstem_inbox", []).on(db)?;
    put(db, "inbox_pages", 0)
}

/// Remembered versions above `after`, newest first, at most `limit`.
pub fn versions(db: &Connection, after: u64, limit: usize) -> Result<Vec<Version>> {
    let mut statement = db.prepare_cached("SELECT body FROM mainstem_version WHERE version > ?1 ORDER BY version DESC LIMIT ?2").on(db)?;
    let mut rows = statement.query(params![after as i64, i64::try_from(limit).unwrap_or(i64::MAX)]).on(db)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().on(db)? {
        let bytes: Vec<u8> = row.get(0).on(db)?;
        found.push(version_of(&bytes)?);
    }
    Ok(found)
}

/// Stores a conflict as last heard.
pub fn put_conflict(db: &Connection, conflict: &Conflict) -> Result<()> {
    db.prepare_cached("INSERT INTO mainstem_conflict(id, is_open, body) VALUES(?1, ?2, ?3) ON CONFLICT(id) DO UPDATE SET is_open = excluded.is_open, body = excluded.body")
        .on(db)?
        .execute(params![conflict.id.cast_signed(), conflict.is_open(), format::conflict::encode(conflict)])
        .on(db)?;
    Ok(())
}

/// Forgets a conflict, and an answer to it that was not committed.
pub fn drop_conflict(db: &Connection, id: u64) -> Result<()> {
    db.prepare_cached("DELETE FROM mainstem_conflict WHERE id = ?1").on(db)?.execute([id.cast_signed()]).on(db)?;
    db.prepare_cached("DELETE FROM mainstem_resolution WHERE conflict = ?1").on(db)?.execute([id.cast_signed()]).on(db).map(drop)
}

/// One conflict.
pub fn conflict(db: &Connection, id: u64) -> Result<Option<Conflict>> {
    let body: Option<Vec<u8>> = db
        .prepare_cached("SELECT body FROM mainstem_conflict WHERE id = ?1")
        .on(db)?
        .query_row([id.cast_signed()], |r| r.get(0))
        .optional()
        .on(db)?;
    body.map(|b| format::conflict::decode(&b).map_err(Error::from)).transpose()
}

/// Conflicts, oldest first.
pub fn conflicts(db: &Connection, open_only: bool) -> Result<Vec<Conflict>> {
    let mut statement = db.prepare_cached("SELECT body FROM mainstem_conflict WHERE is_open OR NOT ?1").on(db)?;
    let mut rows = statement.query([open_only]).on(db)?;
    let mut found: Vec<Conflict> = Vec::new();
    while let Some(row) = rows.next().on(db)? {
        let bytes: Vec<u8> = row.get(0).on(db)?;
        found.push(format::conflict::decode(&bytes)?);
    }
    found.sort_by(|a, b| (a.version, &a.table, &a.key, &a.column, a.id).cmp(&(b.version, &b.table, &b.key, &b.column, b.id)));
    Ok(found)
}

/// How many conflicts are open.
pub fn conflicts_open(db: &Connection) -> Result<u64> {
    one(db, "SELECT count(*) FROM mainstem_conflict WHERE is_open", [], |r| r.get::<_, i64>(0)).on(db).map(|n| n as u64)
}

/// Notes a change that waits at the primary since a version.
pub fn add_waiting(db: &Connection, write_id: u128, version: u64, waiting: &Waiting) -> Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO mainstem_waiting(write_id, tbl, key, version) VALUES(?1, ?2, ?3, ?4)")
        .on(db)?
        .execute(params![write_id.to_be_bytes(), waiting.table, row_format::encode_key(&waiting.key), version as i64])
        .on(db)?;
    Ok(())
}

/// Forgets a change that waited.
pub fn drop_waiting(db: &Connection, write_id: u128, table: &str, key: &Key) -> Result<()> {
    db.prepare_cached("DELETE FROM mainstem_waiting WHERE write_id = ?1 AND tbl = ?2 AND key = ?3")
        .on(db)?
        .execute(params![write_id.to_be_bytes(), table, row_format::encode_key(key)])
        .on(db)?;
    Ok(())
}

/// The changes that wait at the primary, with the version that said so.
pub fn waiting(db: &Connection) -> Result<Vec<(Version, Waiting)>> {
    let mut statement = db
        .prepare_cached("SELECT w.tbl, w.key, v.body, w.version FROM mainstem_waiting w JOIN mainstem_version v ON v.version = w.version ORDER BY w.version, w.tbl, w.key")
        .on(db)?;
    let mut rows = statement.query([]).on(db)?;
    let mut found = Vec::new();
    // Many changes of one version may wait, and an event is long.
    let mut last: Option<(i64, Version)> = None;
    while let Some(row) = rows.next().on(db)? {
        let (table, key, number): (String, Vec<u8>, i64) = (row.get(0).on(db)?, row.get(1).on(db)?, row.get(3).on(db)?);
        let key = row_format::decode_key(&key)?;
        let version = match last.take().filter(|(of, _)| *of == number) {
            Some((_, version)) => version,
            None => version_of(row.get_ref(2).and_then(|body| Ok(body.as_blob()?)).on(db)?)?,
        };
        if let Some(waiting) = version.waiting.iter().find(|w| w.table == table && w.key == key).cloned() {
            found.push((version.clone(), waiting));
        }
        last = Some((number, version));
    }
    Ok(found)
}

/// How many changes wait at the primary.
pub fn waiting_count(db: &Connection) -> Result<u64> {
    let sql = "SELECT count(*) FROM mainstem_waiting w JOIN mainstem_version v ON v.version = w.version";
    one(db, sql, [], |row| row.get::<_, i64>(0)).on(db).map(|count| count as u64)
}

/// Every table's digest in the base version.
pub fn digests(db: &Connection) -> Result<Vec<TableDigest>> {
    let mut statement = db.prepare_cached("SELECT tbl, rows, sum FROM mainstem_digest").on(db)?;
    let mut rows = statement.query([]).on(db)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().on(db)? {
        let sum: Vec<u8> = row.get(2).on(db)?;
        found.push(TableDigest { table: row.get(0).on(db)?, rows: row.get::<_, i64>(1).on(db)? as u64, sum: digest(&sum)? });
    }
    Ok(found)
}

/// Replaces every table's digest.
pub fn set_digests(db: &Connection, digests: &[TableDigest]) -> Result<()> {
    db.execute("DELETE FROM mainstem_digest", []).on(db)?;
    for table in digests {
        db.prepare_cached("INSERT INTO mainstem_digest(tbl, rows, sum) VALUES(?1, ?2, ?3)")
            .on(db)?
            .execute(params![table.table, table.rows as i64, table.sum])
            .on(db)?;
    }
    Ok(())
}

/// Notes a schema step of the user's programs, to travel with the next changeset.
pub fn add_step(db: &Connection, step: &SchemaChange) -> Result<()> {
    db.execute("INSERT INTO mainstem_step(body) VALUES(?1)", [format::schema::encode_change(step)]).on(db)?;
    Ok(())
}

/// The noted schema steps.
pub fn steps(db: &Connection) -> Result<Vec<SchemaChange>> {
    let mut statement = db.prepare_cached("SELECT body FROM mainstem_step ORDER BY ordinal").on(db)?;
    let mut rows = statement.query([]).on(db)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().on(db)? {
        let bytes: Vec<u8> = row.get(0).on(db)?;
        found.push(format::schema::decode_change(&bytes)?);
    }
    Ok(found)
}

/// Notes that capture may have missed writes to a table.
pub fn add_gap(db: &Connection, table: &str) -> Result<()> {
    db.execute("INSERT OR IGNORE INTO mainstem_gap(tbl) VALUES(?1)", [table]).on(db)?;
    Ok(())
}

/// Tables in which capture may have missed writes.
pub fn gaps(db: &Connection) -> Result<Vec<String>> {
    let mut statement = db.prepare_cached("SELECT tbl FROM mainstem_gap ORDER BY tbl").on(db)?;
    let found = statement.query_map([], |r| r.get(0)).on(db)?.collect::<rusqlite::Result<_>>().on(db)?;
    Ok(found)
}

/// True where any changeset is to be sent.
pub fn has_unsent(db: &Connection) -> Result<bool> {
    one(db, &format!("SELECT EXISTS(SELECT 1 FROM mainstem_changeset WHERE {IS_SENT})"), [], |r| r.get(0)).on(db)
}

/// Notes an answer to a conflict, to travel with the next changeset.
pub fn add_resolution(db: &Connection, resolution: &Resolution) -> Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO mainstem_resolution(conflict, choice, actor, at) VALUES(?1, ?2, ?3, ?4)",
        params![resolution.conflict.cast_signed(), resolution.choice as i64, resolution.actor, resolution.at.0.cast_signed()],
    )
    .on(db)?;
    Ok(())
}

/// The noted answers.
pub fn resolutions(db: &Connection) -> Result<Vec<Resolution>> {
    use mainstem::core::change::Choice;
    let choices = [Choice::Ours, Choice::Theirs, Choice::Base, Choice::Value, Choice::Merged];
    let mut statement = db.prepare_cached("SELECT conflict, choice, actor, at FROM mainstem_resolution ORDER BY conflict").on(db)?;
    let mut rows = statement.query([]).on(db)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().on(db)? {
        let choice = choices.into_iter().find(|c| *c as i64 == row.get::<_, i64>(1).unwrap_or(-1));
        found.push(Resolution {
            conflict: row.get::<_, i64>(0).on(db)?.cast_unsigned(),
            choice: choice.ok_or_else(|| Error::corrupt("a noted answer is damaged"))?,
            actor: row.get(2).on(db)?,
            at: Time(row.get::<_, i64>(3).on(db)?.cast_unsigned()),
        });
    }
    Ok(found)
}
