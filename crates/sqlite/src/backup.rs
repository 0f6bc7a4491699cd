//! Backups of a tracked file, of a primary or of a server's own files, made while other programs write: plain SQLite files that say what they are.
//!
//! Invariant: a backup holds one committed state, appears under its name only when it is whole and on the disk, and can be
//! read by its owner alone.
//! Invariant: it carries a digest of every stored row and declaration; what differs by a bit is not restored.
//! SQLite's online copy was chosen over VACUUM INTO, which may give rows of tables without a key other numbers, and in a
//! file without a write-ahead log keeps writers out from its beginning to its end.
mod restore;

pub use restore::{Restored, restore};

use crate::connection;
use crate::errors::{Explain, display_name, shell_word};
use crate::ledger::{self, SqliteLedger};
use crate::part::Part;
use crate::primary::PRIMARY_FILE;
use crate::registry::SERVER_FILE;
use crate::replica;
use crate::sql::quote;
use crate::tables::value_of;
use crate::webhooks::WEBHOOKS_FILE;
use mainstem::core::ErrorKind;
use mainstem::core::digest::{self, RowDigester, Sum};
use mainstem::core::event::{Digest, Event};
use mainstem::core::format::event;
use mainstem::datasets::Datasets;
use mainstem::error::{Error, Result};
use mainstem::ledger::Ledger;
use mainstem::replica::Progress;
use mainstem::wiring::Around;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OptionalExtension, ffi, params};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the name of a backup ends, unless somebody gave it another.
pub const ENDING: &str = "backup";
/// Pages copied at once from a file without a write-ahead log; writers get in between.
const PAGES_AT_ONCE: i32 = 256;
/// Pages between two reports of progress where nobody has to wait.
const PAGES_A_REPORT: i32 = 4_096;
/// How often writers may make a copy begin anew before it is done in one go, during which they wait.
const RESTARTS_MAX: u32 = 3;
/// How long one try waits for a lock, in milliseconds, and how often is tried: SQLite asks less and less often the longer
/// one try takes, and a program that writes without a pause leaves small gaps.
const TRY_MS: u64 = 20;
const TRIES_MAX: u32 = 2_000;

/// What a backup is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tracked file.
    Replica,
    /// A primary.
    Primary,
    /// A server's accounts.
    Accounts,
    /// A server's webhooks.
    Webhooks,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 4] = [Kind::Replica, Kind::Primary, Kind::Accounts, Kind::Webhooks];
    /// `replica`, `primary`, `accounts` or `webhooks`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Replica => "replica",
            Kind::Primary => "primary",
            Kind::Accounts => "accounts",
            Kind::Webhooks => "webhooks",
        }
    }
    /// The one file of that kind in the folder that it belongs to; none of what is a file itself.
    pub fn file(self) -> Option<&'static str> {
        match self {
            Kind::Replica => None,
            Kind::Primary => Some(PRIMARY_FILE),
            Kind::Accounts => Some(SERVER_FILE),
            Kind::Webhooks => Some(WEBHOOKS_FILE),
        }
    }
}

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What it is of.
    pub kind: Kind,
    /// The dataset's name.
    pub dataset: String,
    /// The dataset's lineage; none for a replica that was never published.
    pub lineage: Option<u128>,
    /// The primary's epoch, likewise.
    pub epoch: Option<u128>,
    /// The latest version in it; the base version of a replica; of a server's accounts how many events, of its webhooks how many.
    pub version: u64,
    /// When it was made, in milliseconds since 1970.
    pub at_ms: u64,
    /// The journal mode of the file it was made from.
    pub journal_mode: String,
    /// The digest over every stored row and declaration.
    pub digest: Digest,
}

const MANIFEST: &str = "
CREATE TABLE mainstem_backup(kind TEXT NOT NULL, dataset TEXT NOT NULL, lineage BLOB, epoch BLOB, version INTEGER NOT NULL,
  at_ms INTEGER NOT NULL, journal_mode TEXT NOT NULL, digest BLOB NOT NULL);
";

/// The file that is meant by the path of a tracked file, of a primary's folder, or of a server's own file.
pub fn source(path: &Path) -> (Kind, PathBuf) {
    if path.is_dir() {
        return (Kind::Primary, path.join(PRIMARY_FILE));
    }
    let is_named = |kind: &Kind| kind.file().is_some_and(|file| path.file_name().is_some_and(|name| name == file));
    let kind = [Kind::Accounts, Kind::Webhooks].into_iter().find(is_named);
    (kind.unwrap_or(Kind::Replica), path.to_owned())
}

/// All that a server keeps in its folder: its own files, then its datasets. Nothing where it is no server's folder.
pub fn sources_of_server(folder: &Path, datasets: &dyn Datasets) -> Result<Vec<PathBuf>> {
    if !folder.join(SERVER_FILE).is_file() {
        return Ok(Vec::new());
    }
    let own = [SERVER_FILE, WEBHOOKS_FILE].into_iter().map(|file| folder.join(file)).filter(|file| file.is_file());
    Ok(own.chain(datasets.names()?.into_iter().map(|name| folder.join(name))).collect())
}

/// Makes a backup. `name` gives the file from what it will say of itself; the file must not exist.
pub fn create(path: &Path, name: &dyn Fn(&Manifest) -> PathBuf, around: &Around, progress: Progress<'_>) -> Result<(PathBuf, Manifest)> {
    let (kind, file) = source(path);
    let (db, manifest) = look(&file, kind, path, around)?;
    let target = name(&manifest);
    if std::fs::symlink_metadata(&target).is_ok() {
        return Err(exists(&target));
    }
    let part = Part::make(&target, true)?;
    let manifest = fill(&part, &target, (db, manifest, path), around, progress)?;
    part.put_in_place(&target)?;
    Ok((target, manifest))
}

/// Writes a backup of the primary in a folder. `scratch` is a file that may be made and is gone afterwards.
pub fn write_out(folder: &Path, scratch: &Path, around: &Around, into: &mut dyn std::io::Write) -> Result<()> {
    let (db, manifest) = look(&folder.join(PRIMARY_FILE), Kind::Primary, folder, around)?;
    let part = Part::make(scratch, true)?;
    fill(&part, scratch, (db, manifest, folder), around, &mut |_, _, _| {})?;
    part.send(into)
}

/// Makes a part the backup of a database that says this of itself.
fn fill(
    part: &Part,
    target: &Path,
    (db, manifest, path): (Connection, Manifest, &Path),
    around: &Around,
    progress: Progress<'_>,
) -> Result<Manifest> {
    let mut copy = part.open()?;
    copy_pages(&db, &mut copy, manifest.journal_mode == "wal", progress)?;
    drop(db);
    leave_wal(&copy)?;
    // Others may have written since the file was looked at; what counts is what was copied.
    let copied = describe(&copy, manifest.kind, path, around)?;
    let mut manifest = Manifest { journal_mode: manifest.journal_mode, at_ms: manifest.at_ms, ..copied };
    sound(&copy, target)?;
    manifest.digest = contents(&copy)?;
    write(&copy, &manifest)?;
    Ok(manifest)
}

/// What a backup says of itself; nothing in it is checked.
pub fn manifest(path: &Path) -> Result<Manifest> {
    let db = connection::open_user_read_only(path)?;
    read(&db, path)
}

/// The backups in a folder whose names end as theirs do, oldest first, and the files that are none in spite of it.
pub fn list(folder: &Path) -> Result<Vec<(PathBuf, Result<Manifest>)>> {
    let unreadable = |e: std::io::Error| {
        let message = format!("the folder {} cannot be listed: {e}", folder.display());
        Error::new(ErrorKind::NotFound, "not_found", message).hint(format!("ls {}", shell_word(&folder.to_string_lossy()))).because(e)
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|e| e == ENDING) && path.is_file() {
            let manifest = manifest(&path);
            found.push((path, manifest));
        }
    }
    found.sort_by_key(|(path, manifest)| (manifest.as_ref().map_or(0, |m| m.at_ms), path.clone()));
    Ok(found)
}

fn exists(path: &Path) -> Error {
    Error::new(ErrorKind::Conflict, "exists", format!("{} exists already", path.display()))
        .hint("choose another name, or move the file away")
}

/// Opens a database and hears what it says of itself, between two commits of whoever writes without a pause.
fn look(file: &Path, kind: Kind, path: &Path, around: &Around) -> Result<(Connection, Manifest)> {
    for _ in 0..TRIES_MAX {
        let opened = connection::open_user_waiting(file, TRY_MS);
        match opened.and_then(|db| describe(&db, kind, path, around).map(|manifest| (db, manifest))) {
            Err(e) if e.code == "locked" => {}
            looked => return looked,
        }
    }
    let db = connection::open_user(file)?;
    let manifest = describe(&db, kind, path, around)?;
    Ok((db, manifest))
}

/// What the database says it is.
fn describe(db: &Connection, kind: Kind, path: &Path, around: &Around) -> Result<Manifest> {
    let journal_mode: String = db.query_row("PRAGMA journal_mode", [], |r| r.get(0)).on(db)?;
    let blank = |dataset, lineage, epoch, version| Manifest {
        kind,
        dataset,
        lineage,
        epoch,
        version,
        at_ms: around.now_ms(),
        journal_mode: journal_mode.to_ascii_lowercase(),
        digest: Digest::default(),
    };
    connection::begin_read(db)?;
    let described = match kind {
        Kind::Replica => replica::facts(db, path).map(|f| blank(f.dataset, f.lineage, f.epoch, f.version)),
        Kind::Primary => {
            primary_facts(db, path).map(|(dataset, lineage, epoch, version)| blank(dataset, Some(lineage), Some(epoch), version))
        }
        Kind::Accounts => {
            newest(db, "SELECT ifnull(max(position), 0) FROM mainstem_account_event").map(|last| blank("accounts".into(), None, None, last))
        }
        Kind::Webhooks => newest(db, "SELECT count(*) FROM mainstem_webhook").map(|count| blank("webhooks".into(), None, None, count)),
    };
    connection::roll_back(db);
    described
}

fn newest(db: &Connection, sql: &str) -> Result<u64> {
    db.query_row(sql, [], |row| row.get::<_, i64>(0)).on(db).map(|newest| newest as u64)
}

fn primary_facts(db: &Connection, path: &Path) -> Result<(String, u128, u128, u64)> {
    let none = || {
        Error::new(ErrorKind::NotFound, "no_primary", format!("there is no primary in {}", path.display()))
            .hint(format!("ls {}", shell_word(&path.to_string_lossy())))
    };
    if !ledger::exists(db)? {
        return Err(none());
    }
    let mut ledger = SqliteLedger::new(db);
    let (bytes, _) = ledger.event(1)?.ok_or_else(none)?;
    let Event::Genesis(genesis) = event::decode(&bytes)? else {
        return Err(Error::corrupt("the primary's first event is not its genesis"));
    };
    let epoch = if ledger::has_epochs(db)? { ledger.restored()?.map(|r| r.epoch) } else { None };
    Ok((genesis.dataset, genesis.lineage, epoch.unwrap_or(genesis.epoch), ledger.head()?.version))
}

/// Copies every page of one committed state.
fn copy_pages(from: &Connection, to: &mut Connection, is_wal: bool, progress: Progress<'_>) -> Result<()> {
    if is_wal {
        // With a write-ahead log an open reader keeps nobody out, and what it sees stays as it is.
        connection::begin_read(from)?;
    }
    let done = copy_in_steps(from, to, if is_wal { PAGES_A_REPORT } else { PAGES_AT_ONCE }, progress);
    if is_wal {
        connection::roll_back(from);
    }
    done
}

fn copy_in_steps(from: &Connection, to: &mut Connection, pages: i32, progress: Progress<'_>) -> Result<()> {
    from.busy_timeout(Duration::from_millis(TRY_MS)).on(from)?;
    let backup = Backup::new(from, to).on(from)?;
    let (mut restarts, mut tries, mut left) = (0, 0, i32::MAX);
    loop {
        let step = backup.step(if restarts > RESTARTS_MAX { -1 } else { pages }).on(from)?;
        let now = backup.progress();
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {
                restarts += u32::from(now.remaining >= left);
                (left, tries) = (now.remaining, 0);
                progress("copying pages", (now.pagecount - now.remaining).max(0) as u64, now.pagecount.max(0) as u64);
            }
            _ if tries < TRIES_MAX => {
                tries += 1;
                // Once it has waited in vain it waits no more until it is told anew: statements do that, steps do not.
                from.busy_timeout(Duration::from_millis(TRY_MS)).on(from)?;
            }
            _ => {
                return Err(Error::new(ErrorKind::Unavailable, "busy", "another program keeps the database locked")
                    .hint("wait until it is done, then try again"));
            }
        }
    }
}

/// A backup is one file: it needs no other beside it.
fn leave_wal(db: &Connection) -> Result<()> {
    db.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(())).on(db)
}

/// Refuses what SQLite finds damaged.
fn sound(db: &Connection, path: &Path) -> Result<()> {
    let found: String = db.query_row("PRAGMA integrity_check(1)", [], |r| r.get(0)).on(db)?;
    match found.as_str() {
        "ok" => Ok(()),
        // A page that the disk did not give says nothing of what is in it.
        found if is_unread(found) => {
            let message = format!("{} cannot be checked: the disk failed", display_name(path));
            Err(Error::new(ErrorKind::Unavailable, "disk_failed", message).hint("check the disk, then run the command again"))
        }
        found => {
            let found = found.replace(char::is_control, " ");
            Err(Error::corrupt(format!("{} is damaged: {found}", display_name(path))).hint("use another backup: mainstem backup list"))
        }
    }
}

/// True where an integrity check ended at a page that could not be read.
fn is_unread(found: &str) -> bool {
    let code = found.rsplit_once("error code=").map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    code.and_then(|code| code.parse::<i32>().ok()).is_some_and(|code| code & 0xff == ffi::SQLITE_IOERR)
}

/// The digest over every declaration and every stored row, the manifest's left out.
fn contents(db: &Connection) -> Result<Digest> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for pragma in ["user_version", "application_id"] {
        let value: i64 = db.query_row(&format!("PRAGMA {pragma}"), [], |r| r.get(0)).on(db)?;
        parts.push(value.to_be_bytes().to_vec());
    }
    let sql = "SELECT type, name, tbl_name, sql, rootpage FROM sqlite_schema WHERE tbl_name <> 'mainstem_backup' ORDER BY type, name";
    let mut statement = db.prepare(sql).on(db)?;
    let mut rows = statement.query([]).on(db)?;
    let mut tables: Vec<String> = Vec::new();
    while let Some(row) = rows.next().on(db)? {
        let declared: (String, String, String, Option<String>) =
            (row.get(0).on(db)?, row.get(1).on(db)?, row.get(2).on(db)?, row.get(3).on(db)?);
        if declared.0 == "table" && row.get::<_, Option<i64>>(4).on(db)?.unwrap_or_default() > 0 {
            tables.push(declared.1.clone());
        }
        for text in [Some(declared.0), Some(declared.1), Some(declared.2), declared.3] {
            parts.push(text.unwrap_or_default().into_bytes());
        }
    }
    for table in tables {
        let (count, sum) = stored_rows(db, &table)?;
        parts.extend([table.into_bytes(), count.to_be_bytes().to_vec(), sum.0.to_vec()]);
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Ok(digest::of("mainstem backup 1", &parts))
}

fn stored_rows(db: &Connection, table: &str) -> Result<(u64, Sum)> {
    let mut statement = db.prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden IN (0, 3)").on(db)?;
    let columns: Vec<String> = statement.query_map([table], |r| r.get(0)).on(db)?.collect::<rusqlite::Result<_>>().on(db)?;
    let named: Vec<String> = columns.iter().map(|c| quote(c)).collect();
    let digester = RowDigester::new(table, &columns);
    let mut statement = db.prepare(&format!("SELECT {} FROM {}", named.join(", "), quote(table))).on(db)?;
    let mut rows = statement.query([]).on(db)?;
    let (mut count, mut sum) = (0, Sum::default());
    while let Some(row) = rows.next().on(db)? {
        let values = (0..columns.len()).map(|at| row.get_ref(at).map(value_of)).collect::<rusqlite::Result<Vec<_>>>().on(db)?;
        sum.add(&digester.digest(&values));
        count += 1;
    }
    Ok((count, sum))
}

fn write(db: &Connection, manifest: &Manifest) -> Result<()> {
    connection::begin_write(db)?;
    db.execute_batch(MANIFEST).on(db)?;
    let (lineage, epoch) = (manifest.lineage.map(u128::to_be_bytes), manifest.epoch.map(u128::to_be_bytes));
    db.execute(
        "INSERT INTO mainstem_backup VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            manifest.kind.name(),
            manifest.dataset,
            lineage,
            epoch,
            manifest.version as i64,
            manifest.at_ms as i64,
            manifest.journal_mode,
            manifest.digest
        ],
    )
    .on(db)?;
    connection::commit(db)
}

fn kind_named(name: &str) -> Kind {
    Kind::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or(Kind::Replica)
}

fn read(db: &Connection, path: &Path) -> Result<Manifest> {
    let none = || {
        Error::invalid(format!("{} is no backup that Mainstem made", display_name(path)))
            .hint(format!("mainstem backup list {}", shell_word(&path.parent().unwrap_or(Path::new(".")).to_string_lossy())))
    };
    let is_there = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'mainstem_backup'";
    db.query_row(is_there, [], |_| Ok(())).optional().on(db)?.ok_or_else(none)?;
    let sql = "SELECT kind, dataset, lineage, epoch, version, at_ms, journal_mode, digest FROM mainstem_backup";
    let found = db.query_row(sql, [], |r| {
        let wide = |at| r.get::<_, Option<[u8; 16]>>(at).map(|id| id.map(u128::from_be_bytes));
        Ok(Manifest {
            kind: kind_named(&r.get::<_, String>(0)?),
            dataset: r.get(1)?,
            lineage: wide(2)?,
            epoch: wide(3)?,
            version: r.get::<_, i64>(4)? as u64,
            at_ms: r.get::<_, i64>(5)? as u64,
            journal_mode: r.get(6)?,
            digest: r.get(7)?,
        })
    });
    found.optional().on(db)?.ok_or_else(none)
}
