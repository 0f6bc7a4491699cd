//! Opens and makes embedded primaries: a folder with one SQLite file that holds the real tables and the ledger.
//!
//! Invariant: a file without a first event is no primary; founding it again starts anew.
use crate::capture;
use crate::connection;
use crate::errors::{Explain, shell_word};
use crate::kept;
use crate::ledger;
use crate::seen;
use crate::shelf::Shelf;
use crate::store::{SqliteStore, VisitWatched, Watcher};
use mainstem::audit::{self, Differing, Findings, Remembered};
use mainstem::core::ErrorKind;
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::{Schema, SchemaChange};
use mainstem::core::stamp::Time;
use mainstem::datasets::{Datasets, Kept, Place};
use mainstem::error::{Error, Result};
use mainstem::local::{Fill, Founding, Large, LocalPrimary};
use mainstem::primary::Primary;
use mainstem::store::DirectWrite;
use mainstem::wiring::Around;
use rusqlite::Connection;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file in a primary's folder.
pub const PRIMARY_FILE: &str = "primary.db";

/// Notices other programs' writes into the primary's tables by the same triggers as in a replica.
struct CaptureWatcher;

impl Watcher for CaptureWatcher {
    fn watch(&self, db: &Connection, schema: &Schema) -> Result<()> {
        capture::install(db, &schema.tables, true)
    }
    fn altered(&self, db: &Connection) -> Result<()> {
        if capture::is_installed(db)? { capture::adopt(db) } else { Ok(()) }
    }
    fn has_direct(&self, db: &Connection, _schema: &Schema) -> Result<bool> {
        Ok(!planted::is(Bug::X8) && capture::is_installed(db)? && (capture::has_records(db)? || !capture::is_current(db)?))
    }
    fn take_direct(&self, db: &Connection, _schema: &Schema, visit: VisitWatched<'_>) -> Result<Vec<SchemaChange>> {
        let old = capture::declarations(db)?;
        let steps = kept::follow(db, &old, capture::heal(db)?.steps)?;
        let end = capture::end(db)?;
        let schema = read_schema(db)?;
        capture::condense(db, None, &mut |table, net| {
            let Some(position) = schema.tables.iter().position(|t| t.name == table.name) else { return Ok(()) };
            let cell_at = net.cell_at_ms.iter().enumerate().filter(|(_, ms)| **ms > 0).map(|(c, ms)| (c, Time::from_ms(*ms))).collect();
            visit(DirectWrite {
                table: position,
                before: net.before,
                unknown: net.unknown_before,
                after: net.after,
                at: Time::from_ms(net.at_ms),
                cell_at,
                moved_from: net.moved_from,
            })
        })?;
        capture::clear(db, end)?;
        Ok(steps)
    }
}

fn read_schema(db: &Connection) -> Result<Schema> {
    Ok(kept::with_kept(crate::schema::read(db)?.schema, kept::read(db)?))
}

fn store(db: Connection) -> Result<SqliteStore> {
    SqliteStore::new(db, read_schema, Box::new(CaptureWatcher))
}

/// Opens the primary in a folder. `NotFound` with the code `no_primary` where there is none.
pub fn open_primary(folder: &Path, around: Around) -> Result<Box<dyn Primary>> {
    Ok(Box::new(open_local(folder, around)?))
}

/// A folder as the place of one dataset.
pub struct FolderPlace<'a> {
    folder: &'a Path,
    around: Around,
}

impl<'a> FolderPlace<'a> {
    /// That folder, which need not be there.
    pub fn new(folder: &'a Path, around: Around) -> Self {
        FolderPlace { folder, around }
    }
}

impl Place for FolderPlace<'_> {
    fn address(&self) -> Result<String> {
        let path = std::fs::canonicalize(self.folder).unwrap_or_else(|_| self.folder.to_owned());
        Ok(path.to_string_lossy().into_owned())
    }
    fn open(&mut self) -> Result<Box<dyn Primary>> {
        open_primary(self.folder, self.around.clone())
    }
    fn found(&mut self, founding: &Founding<'_>, fill: Fill<'_>) -> Result<()> {
        found_primary(self.folder, self.around.clone(), founding, fill)
    }
}

/// A folder that holds one primary's folder for each dataset, by name.
pub struct FolderDatasets {
    folder: PathBuf,
    around: Around,
    large: Large,
}

impl FolderDatasets {
    /// That folder, which is made where it is not there.
    pub fn new(folder: PathBuf, around: Around) -> Result<Self> {
        std::fs::create_dir_all(&folder).map_err(|e| {
            Error::new(ErrorKind::Unavailable, "read_only", format!("{} cannot be made", folder.display()))
                .hint("choose a folder that you may write to")
                .because(e)
        })?;
        let datasets = FolderDatasets { folder, around, large: Large::default() };
        datasets.shelf().sweep();
        Ok(datasets)
    }
    /// The same with other proposals taken for large.
    pub fn with_large(self, large: Large) -> Self {
        FolderDatasets { large, ..self }
    }
    fn shelf(&self) -> Shelf<'_> {
        Shelf { datasets: &self.folder, around: &self.around }
    }
}

impl Datasets for FolderDatasets {
    fn names(&self) -> Result<Vec<String>> {
        let unreadable = |e: std::io::Error| {
            Error::new(ErrorKind::Unavailable, "folder", format!("{} cannot be listed: {e}", self.folder.display())).because(e)
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if let (true, Ok(name)) = (entry.path().join(PRIMARY_FILE).is_file(), entry.file_name().into_string()) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
    fn open(&self, name: &str) -> Result<Box<dyn Primary + Send>> {
        match open_local(&self.folder.join(name), self.around.clone()) {
            Ok(primary) => Ok(Box::new(primary.with_large(self.large))),
            // Where datasets lie is the server's own matter.
            Err(e) if e.code == "no_primary" => Err(Error::new(ErrorKind::NotFound, "no_primary", format!("there is no dataset {name}"))),
            Err(e) => Err(e),
        }
    }
    fn found(&self, name: &str, founding: &Founding<'_>, fill: Fill<'_>) -> Result<()> {
        let folder = self.folder.join(name);
        match open_local(&folder, self.around.clone()) {
            Err(e) if e.code == "no_primary" => found_primary(&folder, self.around.clone(), founding, fill),
            Err(e) => Err(e),
            Ok(_) => Err(Error::new(ErrorKind::Conflict, "occupied", format!("there is a dataset {name} already"))
                .hint("choose another name, or mainstem clone that one")),
        }
    }
    fn is_archived(&self, name: &str) -> Result<bool> {
        self.shelf().is_archived(name)
    }
    fn archive(&self, name: &str, is_archived: bool) -> Result<()> {
        self.shelf().archive(name, is_archived)
    }
    fn delete(&self, name: &str) -> Result<()> {
        self.shelf().delete(name)
    }
    fn export(&self, name: &str, into: &mut dyn Write) -> Result<()> {
        self.shelf().export(name, into)
    }
    fn back_up(&self, name: &str) -> Result<Kept> {
        self.shelf().back_up(name)
    }
    fn backups(&self, name: &str) -> Result<Vec<Kept>> {
        self.shelf().backups(name)
    }
    fn restore(&self, name: &str, backup: &str, actor: &str) -> Result<Kept> {
        self.shelf().restore(name, backup, actor)
    }
}

/// The same, for what only the owner of the file may do.
pub fn open_local(folder: &Path, around: Around) -> Result<LocalPrimary<SqliteStore>> {
    let none = || {
        Error::new(ErrorKind::NotFound, "no_primary", format!("there is no primary in {}", folder.display()))
            .hint(format!("ls {}", shell_word(&folder.to_string_lossy())))
    };
    let file = folder.join(PRIMARY_FILE);
    if !std::fs::metadata(&file).is_ok_and(|status| status.is_file() && status.len() > 0) {
        return Err(none());
    }
    let db = connection::open_primary(&file, false)?;
    if !is_founded(&db)? {
        return Err(none());
    }
    ledger::complete(&db)?;
    if !ledger::has_tombstones(&db)? {
        in_one_write(&db, || {
            // Another process may have been first.
            if ledger::has_tombstones(&db)? { Ok(()) } else { ledger::upgrade(&db).and_then(|()| db.execute_batch(seen::TABLE).on(&db)) }
        })?;
    }
    Ok(LocalPrimary::new(store(db)?, around))
}

/// Runs `work` in one write transaction; an error leaves the file as it was.
fn in_one_write(db: &Connection, work: impl FnOnce() -> Result<()>) -> Result<()> {
    connection::begin_write(db)?;
    work().and_then(|()| connection::commit(db)).inspect_err(|_| connection::roll_back(db))
}

/// Begins a new epoch in the file of a primary that is a copy of another.
pub(crate) fn continue_copy(file: &Path, from: &str, actor: &str, around: Around) -> Result<()> {
    let db = connection::open_primary(file, false)?;
    ledger::complete(&db)?;
    LocalPrimary::new(store(db)?, around).restored(from, actor).map(drop)
}

fn is_founded(db: &Connection) -> Result<bool> {
    let tables: i64 =
        db.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'mainstem_event'", [], |r| r.get(0)).on(db)?;
    Ok(tables > 0 && db.query_row("SELECT EXISTS(SELECT 1 FROM mainstem_event)", [], |r| r.get(0)).on(db)?)
}

/// Founds a primary in a folder, which is made where it is not there.
pub fn found_primary(folder: &Path, around: Around, founding: &Founding<'_>, fill: Fill<'_>) -> Result<()> {
    let cannot = |e: std::io::Error| {
        Error::new(ErrorKind::Unavailable, "read_only", format!("{} cannot be made", folder.display()))
            .hint("choose a folder that you may write to")
            .because(e)
    };
    std::fs::create_dir_all(folder).map_err(cannot)?;
    let file = folder.join(PRIMARY_FILE);
    if std::fs::read_dir(folder).map_err(cannot)?.flatten().any(|entry| !entry.file_name().to_string_lossy().starts_with(PRIMARY_FILE)) {
        return Err(Error::new(ErrorKind::Conflict, "occupied", format!("{} is not empty", folder.display()))
            .hint("choose a folder that is empty or not there yet"));
    }
    // A file that is there already is what a crash left of an earlier attempt, be it empty, or somebody else's.
    let db = connection::open_primary(&file, true)?;
    in_one_write(&db, || {
        let count = |what: &str| -> Result<i64> {
            let sql = format!("SELECT count(*) FROM sqlite_schema WHERE {what}");
            db.query_row(&sql, [], |r| r.get(0)).on(&db)
        };
        if count("name = 'mainstem_event'")? > 0 {
            return Ok(());
        }
        if count("true")? > 0 {
            let message = format!("{} is a database of another kind", file.display());
            return Err(Error::new(ErrorKind::Conflict, "occupied", message).hint("choose a folder that is empty or not there yet"));
        }
        ledger::create(&db)?;
        db.execute_batch(seen::TABLE).on(&db)
    })?;
    LocalPrimary::publish(store(db)?, around, founding, fill).map(drop)
}

/// Folds everything again that a primary's ledger folds, once its chain is known to be whole. Returns how it differed, and
/// hands over what else is not in order.
pub fn rebuild_primary(folder: &Path, around: Around, findings: Findings<'_>) -> Result<Vec<Differing>> {
    let mut primary = open_local(folder, around)?;
    let mut broken: Option<String> = None;
    audit::verify_chain(
        &mut primary,
        Remembered::default(),
        &mut |finding| {
            broken.get_or_insert(finding.what);
            Ok(())
        },
        &mut |_, _, _| {},
    )?;
    if let Some(what) = broken {
        let message = format!("the history itself is damaged, so nothing can be folded from it: {what}");
        return Err(
            Error::new(ErrorKind::Corrupt, "broken_chain", message).hint("mainstem audit verify, and restore the primary from a backup")
        );
    }
    primary.rebuild(findings)
}
