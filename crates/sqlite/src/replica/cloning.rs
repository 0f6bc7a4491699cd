//! A clone in the making: rows that came are kept in a file beside the place of the new replica, so that whoever was cut off goes
//! on where they were, in another run too.
//!
//! Invariant: that file is no replica before its rows are all there and were checked: until then it says in a table of its own
//! what it is the beginning of. It gets its name afterwards.
//! Invariant: one connection fills it, which holds it for itself alone.
use super::{compare, reidentify, storage};
use crate::capture;
use crate::connection::{self, FileIdentity, one};
use crate::derived::{self, Stale};
use crate::errors::{Explain, display_name, shell_word};
use crate::part;
use crate::replica::begin::{CloneOptions, attach};
use crate::tables::SqliteTables;
use mainstem::core::ErrorKind;
use mainstem::core::digest::state_digest;
use mainstem::core::event::Digest;
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::{Schema, SchemaChange};
use mainstem::core::value::Row;
use mainstem::error::{Error, Result};
use mainstem::primary::{Description, Had, Primary, SnapshotSink, SnapshotStart};
use mainstem::replica::Progress;
use mainstem::tables::{Tables, Wrote};
use mainstem::wiring::Around;
use rusqlite::{Connection, OptionalExtension, params};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is had of a snapshot: of which version of which life of which dataset, shown how far, and how many pieces and rows.
const NOTES: &str = "CREATE TABLE mainstem_cloning(
    lineage BLOB NOT NULL, epoch BLOB NOT NULL, hash BLOB NOT NULL, scope BLOB NOT NULL, pieces INTEGER NOT NULL, rows INTEGER NOT NULL)";

/// Pieces between two commits: at most so much is fetched again by whoever was killed.
const PIECES_AT_ONCE: u64 = 16;

/// What became of the beginning that an earlier try had left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Earlier {
    /// There was none.
    #[default]
    Nothing,
    /// Its rows, so many, are in the clone.
    Taken {
        /// How many.
        rows: u64,
    },
    /// It was of something else than is to be had now, and was thrown away.
    GivenUp,
}

/// What a clone was made of.
#[derive(Clone, Debug)]
pub struct Cloned {
    /// The primary.
    pub description: Description,
    /// What an earlier try had left.
    pub earlier: Earlier,
}

/// What the rows in a file in the making are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Origin {
    lineage: u128,
    epoch: u128,
    hash: Digest,
    scope: Digest,
}

impl Origin {
    fn of(description: &Description, hash: Digest) -> Origin {
        Origin { lineage: description.lineage, epoch: description.epoch, hash, scope: description.scope }
    }
}

/// A file in the making, held by this connection alone.
pub(super) struct Making {
    db: Connection,
    path: PathBuf,
    had: Option<(Origin, u64, u64)>,
}

impl Making {
    /// Goes on with what an earlier try left at that path, or begins.
    pub fn at(path: &Path) -> Result<Making> {
        let left = path.exists().then(|| Making::left(path)).transpose();
        match left {
            Ok(Some(Some(making))) => return Ok(making),
            Err(e) if e.code == "locked" => return Err(being_made(path)),
            // What cannot be read is of no use to anyone.
            Ok(_) | Err(_) => {}
        }
        part::clear(path);
        let db = connection::create_user(path)?;
        hold(&db)?;
        Ok(Making { db, path: path.to_owned(), had: None })
    }

    /// None where it is the beginning of nothing.
    fn left(path: &Path) -> Result<Option<Making>> {
        let db = connection::open_user(path)?;
        hold(&db)?;
        let is_one = "SELECT EXISTS(SELECT 1 FROM sqlite_schema WHERE name = 'mainstem_cloning')";
        if !one(&db, is_one, [], |row| row.get::<_, bool>(0)).on(&db)? {
            return Ok(None);
        }
        let sql = "SELECT lineage, epoch, hash, scope, pieces, rows FROM mainstem_cloning";
        let wide = u128::from_be_bytes;
        let noted = db.query_row(sql, [], |row| {
            let origin = Origin { lineage: wide(row.get(0)?), epoch: wide(row.get(1)?), hash: row.get(2)?, scope: row.get(3)? };
            Ok((origin, row.get::<_, i64>(4)? as u64, row.get::<_, i64>(5)? as u64))
        });
        let had = noted.optional().on(&db)?;
        Ok(had.map(|had| Making { db, path: path.to_owned(), had: Some(had) }))
    }

    /// True where the primary still shows what this is the beginning of.
    pub fn is_of(&self, primary: &mut dyn Primary) -> Result<bool> {
        let Some((origin, ..)) = &self.had else { return Ok(true) };
        let description = primary.describe()?;
        let hash = primary.version_hash(description.head.version)?;
        Ok(hash.is_some_and(|hash| Origin::of(&description, hash) == *origin))
    }

    /// How many rows an earlier try left.
    pub fn rows(&self) -> u64 {
        self.had.map_or(0, |(_, _, rows)| rows)
    }

    /// Takes what there is. Where the line breaks, what came is kept for whoever asks again.
    pub fn fill(
        self,
        primary: &mut dyn Primary,
        wanted: &CloneOptions<'_>,
        target: &Path,
        around: &Around,
        progress: Progress<'_>,
    ) -> Result<Description> {
        let Making { db, path, had } = self;
        connection::begin_write(&db)?;
        connection::triggers_off(&db)?;
        let had_rows = had.map_or(0, |(_, _, rows)| rows);
        let mut sink = Cloning { db: &db, had, start: None, tables: None, pieces: 0, rows: had_rows, is_refused: false, progress };
        let taken = primary.snapshot(&mut sink);
        let Cloning { start, is_refused, pieces, .. } = sink;
        if let Err(e) = taken {
            let is_kept = e.kind == ErrorKind::Unavailable && e.code != MOVED_ON && !is_refused && (pieces > 0 || had.is_some());
            // What the connection leaves is as of its last commit.
            return match is_kept && connection::commit(&db).is_ok() {
                true => Err(e.hint("run the same command again: it goes on with what has come")),
                false => Err(e),
            };
        }
        let start = start.ok_or_else(|| Error::corrupt("the primary sent no snapshot"))?;
        let description = start.description.clone();
        finish(&db, start, wanted, target, around)?;
        connection::commit(&db)?;
        let place = FileIdentity::of(&path)?;
        storage::put(&db, "place", format!("{}:{}", place.device, place.inode))?;
        Ok(description)
    }
}

const MOVED_ON: &str = "moved_on";

/// True where a file in the making is worth keeping after a try that ended so.
pub(super) fn is_worth_keeping(part: &Path) -> bool {
    Making::left(part).is_ok_and(|left| left.is_some_and(|making| making.rows() > 0))
}

/// Keeps everybody else out for as long as the connection lives.
fn hold(db: &Connection) -> Result<()> {
    one(db, "PRAGMA locking_mode = EXCLUSIVE", [], |row| row.get::<_, String>(0)).on(db)?;
    connection::begin_write(db)?;
    connection::commit(db)
}

fn being_made(part: &Path) -> Error {
    let message = format!("{} is being made by another program", display_name(part));
    Error::new(ErrorKind::Unavailable, "locked", message).hint("wait for it, or choose another name")
}

/// Makes a replica of a file with all rows, inside its transaction.
fn finish(db: &Connection, start: SnapshotStart, wanted: &CloneOptions<'_>, target: &Path, around: &Around) -> Result<()> {
    db.execute_batch("DROP TABLE mainstem_cloning").on(db)?;
    let mut tables = tables_of(db);
    for object in &start.schema.objects {
        tables.alter(&SchemaChange::PutObject { object: object.clone() })?;
    }
    drop(tables);
    let broken = derived::rebuild(db, &Stale::All)?;
    storage::create(db)?;
    storage::set_broken(db, &broken)?;
    let schema = crate::schema::read(db)?.schema;
    capture::install(db, &schema.tables, true)?;
    attach(db, &start.description, wanted.address, &start.head, &start.hash)?;
    if !wanted.scope.is_everything() {
        storage::put(db, "scope", wanted.scope.to_string())?;
    }
    storage::set_recent(db, &start.recent)?;
    reidentify(db, around)?;
    if let Some(actor) = wanted.actor {
        storage::put(db, "actor", actor)?;
    }
    for conflict in &start.conflicts {
        storage::put_conflict(db, conflict)?;
    }
    for (event, hash, waiting) in &start.waiting {
        let version = storage::version_of(event)?;
        storage::add_version(db, version.version, hash, event)?;
        storage::add_waiting(db, version.header.write_id, version.version, waiting)?;
    }
    let mut quiet = |_: &str, _: u64, _: u64| {};
    let digests = compare::count(db, &mut quiet)?;
    if state_digest(&digests) != state_digest(&start.description.tables) && !planted::is(Bug::I5) {
        return Err(Error::corrupt("the snapshot's rows are not what the primary's digest says").hint(format!(
            "mainstem clone {} {}",
            shell_word(wanted.address),
            shell_word(&target.to_string_lossy())
        )));
    }
    storage::set_digests(db, &digests)
}

fn tables_of(db: &Connection) -> SqliteTables<'_> {
    SqliteTables::new(db, Arc::new(Schema::default()), Box::new(|db| Ok(crate::schema::read(db)?.schema)))
}

struct Cloning<'c, 'p> {
    db: &'c Connection,
    /// What an earlier try left: of what, pieces, rows.
    had: Option<(Origin, u64, u64)>,
    start: Option<SnapshotStart>,
    tables: Option<SqliteTables<'c>>,
    /// Pieces that came now.
    pieces: u64,
    rows: u64,
    /// True once it is this file that cannot take what comes.
    is_refused: bool,
    progress: Progress<'p>,
}

impl Cloning<'_, '_> {
    fn take(&mut self, table: usize, rows: &[Row]) -> Result<()> {
        let tables = self.tables.as_mut().ok_or_else(|| Error::corrupt("the primary sent rows before it said of what"))?;
        for row in rows {
            if let Wrote::Unique(what) | Wrote::Constraint(what) = tables.insert(table, row)? {
                return Err(Error::corrupt(format!("a row of the snapshot breaks its table's rules: {what}")));
            }
        }
        self.pieces += 1;
        self.rows += rows.len() as u64;
        let note = "UPDATE mainstem_cloning SET pieces = pieces + 1, rows = ?1";
        self.db.prepare_cached(note).on(self.db)?.execute([self.rows as i64]).on(self.db)?;
        if self.pieces.is_multiple_of(PIECES_AT_ONCE) {
            connection::commit(self.db)?;
            connection::begin_write(self.db)?;
        }
        Ok(())
    }
}

impl SnapshotSink for Cloning<'_, '_> {
    fn had(&self) -> Option<Had> {
        self.had.map(|(origin, pieces, _)| Had { hash: origin.hash, pieces })
    }
    fn begin(&mut self, start: &SnapshotStart) -> Result<()> {
        let origin = Origin::of(&start.description, start.hash);
        let mut tables = tables_of(self.db);
        match &self.had {
            Some((of, ..)) if *of == origin => tables.schema_changed()?,
            Some(_) => return Err(Error::new(ErrorKind::Unavailable, MOVED_ON, "what an earlier try left is of something else by now")),
            None => {
                for table in &start.schema.tables {
                    tables.alter(&SchemaChange::CreateTable { table: table.clone() })?;
                }
                self.db.execute_batch(NOTES).on(self.db)?;
                let note = "INSERT INTO mainstem_cloning(lineage, epoch, hash, scope, pieces, rows) VALUES(?1, ?2, ?3, ?4, 0, 0)";
                let Origin { lineage, epoch, hash, scope } = origin;
                self.db.execute(note, params![lineage.to_be_bytes(), epoch.to_be_bytes(), hash, scope]).on(self.db)?;
            }
        }
        self.tables = Some(tables);
        self.start = Some(start.clone());
        Ok(())
    }
    fn rows(&mut self, table: usize, rows: &[Row]) -> Result<()> {
        self.take(table, rows).inspect_err(|_| self.is_refused = true)?;
        let total = self.start.as_ref().map_or(0, |s| s.description.tables.iter().map(|t| t.rows).sum());
        (self.progress)("cloning rows", self.rows, total);
        Ok(())
    }
}
