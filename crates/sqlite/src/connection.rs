//! Opens SQLite files safely, and says in one line what stands against it.
//!
//! Invariant: no file is opened except through SQLite (CAP-10); what is looked at beside that is `stat` only.
//! Invariant: opening changes no byte of a user's file, makes no file, and never changes journal mode, encoding or
//! page size. Deliberately absent: extensions, memory maps, URIs, and a full check of the file on each open.
use crate::errors::{Explain, display_name, explain, not_a_database, shell_word};
use mainstem::core::ErrorKind;
use mainstem::core::planted::{self, Bug};
use mainstem::{Error, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Params, Row};
use rustix::fs::Access;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a connection waits for another program's lock unless told otherwise, in milliseconds.
pub const WAIT_MS: u64 = 10_000;

/// The oldest SQLite that does not lose committed pages when a WAL is reset.
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// Page cache of a connection, in KiB.
const CACHE_KIB: i64 = 32 * 1024;

/// Prepared statements that a connection keeps.
const STATEMENTS_KEPT: usize = 256;

/// Opens a user's file for reading and writing. It must exist.
pub fn open_user(path: &Path) -> Result<Connection> {
    open_user_waiting(path, WAIT_MS)
}

/// Opens a user's file like [`open_user`], waiting at most `wait_ms` for other programs.
pub fn open_user_waiting(path: &Path, wait_ms: u64) -> Result<Connection> {
    let real = existing(path)?;
    readable(&real)?;
    writable(&real)?;
    open(&real, OpenFlags::SQLITE_OPEN_READ_WRITE, wait_ms)
}

/// Opens a user's file for reading only.
pub fn open_user_read_only(path: &Path) -> Result<Connection> {
    let real = existing(path)?;
    readable(&real)?;
    open(&real, OpenFlags::SQLITE_OPEN_READ_ONLY, WAIT_MS)
}

/// Makes a database file where there is none. `Conflict` where something is there already.
///
/// The file gets its first bytes when something is written to it.
pub fn create_user(path: &Path) -> Result<Connection> {
    if std::fs::symlink_metadata(path).is_ok() {
        let name = display_name(path);
        return Err(
            Error::new(ErrorKind::Conflict, "exists", format!("{name} exists already")).hint("choose another name, or move the file away")
        );
    }
    open(&place(path)?, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE, WAIT_MS)
}

/// Opens a file of our own that was just made and is empty still.
pub(crate) fn open_empty(path: &Path) -> Result<Connection> {
    let connection = open(&place(path)?, OpenFlags::SQLITE_OPEN_READ_WRITE, WAIT_MS)?;
    connection.pragma_update(None, "synchronous", "FULL").on(&connection)?;
    Ok(connection)
}

/// Opens a primary's file: write-ahead log, every commit on the disk before it is acknowledged. With `create` it is
/// made where it is not there, and one that a crash left empty is taken up again.
pub fn open_primary(path: &Path, create: bool) -> Result<Connection> {
    let connection = match create && std::fs::metadata(path).map_or(true, |m| m.is_file() && m.len() == 0) {
        true => open(&place(path)?, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE, WAIT_MS)?,
        false => open_user(path).map_err(|error| damaged_primary(path, error))?,
    };
    let mode: String = connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0)).on(&connection)?;
    if !mode.eq_ignore_ascii_case("wal") {
        let name = display_name(path);
        return Err(Error::new(ErrorKind::Unavailable, "no_wal", format!("{name} cannot use a write-ahead log here"))
            .hint("keep the primary on a local disk"));
    }
    Ok(connection)
}

/// A database of our own that ends with its connection, in memory until it outgrows the cache.
pub(crate) fn scratch() -> Result<Connection> {
    Connection::open("").map_err(|e| Error::new(ErrorKind::Unavailable, "no_scratch", "no temporary database can be made").because(e))
}

/// A primary's file was a database when it was made, so one that is none any more is damaged.
fn damaged_primary(path: &Path, error: Error) -> Error {
    if !["not_a_database", "empty_file"].contains(&error.code) {
        return error;
    }
    Error::new(ErrorKind::Corrupt, "corrupt", format!("{} is damaged: it is not a SQLite database any more", display_name(path)))
        .hint("restore the primary from a backup, or publish again from a replica into another folder")
        .because(error)
}

/// Switches every trigger off on this connection, the user's and ours.
pub fn triggers_off(connection: &Connection) -> Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).on(connection).map(drop)
}

/// Switches triggers on again.
pub fn triggers_on(connection: &Connection) -> Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true).on(connection).map(drop)
}

/// Allows double-quoted strings until it is dropped, because the user's own declarations may hold them.
pub(crate) struct QuotedLiterals<'c> {
    connection: &'c Connection,
}

impl<'c> QuotedLiterals<'c> {
    const CONFIGS: [DbConfig; 2] = [DbConfig::SQLITE_DBCONFIG_DQS_DDL, DbConfig::SQLITE_DBCONFIG_DQS_DML];

    pub fn allow(connection: &'c Connection) -> Result<Self> {
        for config in Self::CONFIGS {
            connection.set_db_config(config, true).on(connection)?;
        }
        Ok(QuotedLiterals { connection })
    }
}

impl Drop for QuotedLiterals<'_> {
    fn drop(&mut self) {
        for config in Self::CONFIGS {
            // Setting a flag of an open connection has no way to fail.
            let _ = self.connection.set_db_config(config, false);
        }
    }
}

/// Begins a write transaction. It is never begun by reading first: an upgrade after another program's commit
/// fails at once, whatever the timeout.
pub fn begin_write(connection: &Connection) -> Result<()> {
    connection.execute_batch(if planted::is(Bug::J5) { "BEGIN" } else { "BEGIN IMMEDIATE" }).on(connection)
}

/// The same without waiting. False where another connection holds the lock.
pub fn begin_if_free(connection: &Connection) -> Result<bool> {
    let wait_ms: u64 = connection.query_row("PRAGMA busy_timeout", [], |row| row.get::<_, i64>(0)).on(connection)? as u64;
    connection.busy_timeout(Duration::ZERO).on(connection)?;
    let begun = connection.execute_batch("BEGIN IMMEDIATE");
    connection.busy_timeout(Duration::from_millis(wait_ms)).on(connection)?;
    match begun {
        Err(e) if e.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(false),
        begun => begun.on(connection).map(|()| true),
    }
}

/// Begins a read transaction and pins what it sees.
pub fn begin_read(connection: &Connection) -> Result<()> {
    connection.execute_batch("BEGIN").on(connection)?;
    // BEGIN alone takes no snapshot; the first read does.
    let pinned = one(connection, "SELECT count(*) FROM (SELECT 1 FROM sqlite_schema LIMIT 1)", [], |_| Ok(()));
    pinned.on(connection).inspect_err(|_| roll_back(connection))
}

/// Reads one row by a statement that the connection keeps prepared: for what is asked again and again.
pub(crate) fn one<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.prepare_cached(sql)?.query_row(values, read)
}

/// Commits.
pub fn commit(connection: &Connection) -> Result<()> {
    if connection.is_autocommit() {
        // SQLite rolls everything back by itself where the disk fails, whether or not the work noticed.
        return Err(Error::new(ErrorKind::Unavailable, "disk_failed", "the disk failed, and nothing was changed")
            .hint("check the disk, then run the command again"));
    }
    connection.execute_batch("COMMIT").on(connection)
}

/// Ends a write transaction and begins another, where that bug is planted.
pub fn begin_another(bug: Bug, connection: &Connection) -> Result<()> {
    if planted::is(bug) { commit(connection).and_then(|()| begin_write(connection)) } else { Ok(()) }
}

/// Rolls back, where a transaction is open.
pub fn roll_back(connection: &Connection) {
    if !connection.is_autocommit() {
        // A rollback that fails leaves the transaction uncommitted, and closing the connection undoes it.
        let _ = connection.execute_batch("ROLLBACK");
    }
}

/// Which file a path leads to, to tell a file from its copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    /// The device it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// Its path without links.
    pub path: PathBuf,
}

impl FileIdentity {
    /// The identity of the file at a path. Uses `stat` only.
    pub fn of(path: &Path) -> Result<Self> {
        let real = existing(path)?;
        let status = std::fs::metadata(&real).map_err(|e| unreachable_file(path, e))?;
        Ok(FileIdentity { device: status.dev(), inode: status.ino(), path: real })
    }
}

/// A warning where locks may not hold on the file's disk: network, FUSE and synchronised folders.
pub fn place_warning(path: &Path) -> Result<Option<String>> {
    let real = existing(path)?;
    let name = display_name(path);
    let advice = "locks may not hold there; keep the file on a local disk and sync it with mainstem";
    if let Some(system) = remote_file_system(&real) {
        return Ok(Some(format!("{name} is on a {system} file system: {advice}")));
    }
    let folders = ["Dropbox", "OneDrive", "Google Drive", "iCloud Drive", "com~apple~CloudDocs"];
    let part = real.components().filter_map(|c| c.as_os_str().to_str()).find(|c| folders.contains(c));
    Ok(part.map(|folder| format!("{name} is in a folder that {folder} synchronises: {advice}")))
}

#[cfg(target_os = "linux")]
fn remote_file_system(path: &Path) -> Option<&'static str> {
    let found = rustix::fs::statfs(path).ok()?.f_type as u64 & 0xffff_ffff;
    let known: [(u64, &str); 9] = [
        (0x6969, "NFS"),
        (0x517b, "SMB"),
        (0xff53_4d42, "SMB"),
        (0xfe53_4d42, "SMB"),
        (0x6573_5546, "FUSE"),
        (0x0102_1997, "9p"),
        (0x5346_414f, "AFS"),
        (0x00c3_6400, "Ceph"),
        (0x7461_636f, "OCFS2"),
    ];
    known.iter().find(|k| k.0 == found).map(|k| k.1)
}

#[cfg(not(target_os = "linux"))]
fn remote_file_system(_path: &Path) -> Option<&'static str> {
    // Other systems have no number for this that is the same everywhere; the folder's name still warns.
    None
}

/// The real path of a file that could be a database, by `stat` alone.
fn existing(path: &Path) -> Result<PathBuf> {
    let name = display_name(path);
    let status = std::fs::metadata(path).map_err(|e| unreachable_file(path, e))?;
    if status.is_dir() {
        return Err(Error::new(ErrorKind::Invalid, "is_folder", format!("{name} is a folder, not a SQLite file"))
            .hint(format!("name the file in it: ls {}", shell_word(&path.to_string_lossy()))));
    }
    if !status.is_file() {
        return Err(not_a_database(&name));
    }
    if status.len() == 0 {
        return Err(Error::new(ErrorKind::Invalid, "empty_file", format!("{name} is empty, not a SQLite database"))
            .hint(format!("make its tables first, for example: sqlite3 {} \"CREATE TABLE …\"", shell_word(&name))));
    }
    std::fs::canonicalize(path).map_err(|e| unreachable_file(path, e))
}

fn unreachable_file(path: &Path, error: std::io::Error) -> Error {
    let name = display_name(path);
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
            Error::new(ErrorKind::NotFound, "not_found", format!("there is no file {}", path.display())).hint("look for it with: ls -l")
        }
        std::io::ErrorKind::PermissionDenied => {
            Error::new(ErrorKind::Denied, "not_readable", format!("{name} cannot be read: permission denied"))
                .hint(format!("ls -l {}", shell_word(&path.to_string_lossy())))
        }
        _ => Error::new(ErrorKind::Unavailable, "disk_failed", format!("{name} cannot be looked at: {error}")),
    }
    .because(error)
}

/// The absolute path of a file that is to be made, in a folder that exists and can be written.
fn place(path: &Path) -> Result<PathBuf> {
    let file = path.file_name().ok_or_else(|| Error::invalid(format!("{} is no file name", path.display())))?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = std::fs::canonicalize(parent).map_err(|e| {
        Error::new(ErrorKind::NotFound, "not_found", format!("there is no folder {}", parent.display()))
            .hint(format!("mkdir -p {}", shell_word(&parent.to_string_lossy())))
            .because(e)
    })?;
    let can = rustix::fs::access(&folder, Access::WRITE_OK | Access::EXEC_OK);
    can.map_err(|_| read_only(&display_name(path), "its folder is read-only"))?;
    Ok(folder.join(file))
}

fn readable(real: &Path) -> Result<()> {
    let denied = |e: rustix::io::Errno| unreachable_file(real, e.into());
    rustix::fs::access(real, Access::READ_OK).map_err(denied)
}

/// Refuses a file that SQLite would open but could not write: it keeps its journal beside the file.
fn writable(real: &Path) -> Result<()> {
    let name = display_name(real);
    if rustix::fs::access(real, Access::WRITE_OK).is_err() {
        return Err(read_only(&name, "the file is read-only"));
    }
    let folder = real.parent().unwrap_or(Path::new("/"));
    if rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Err(read_only(&name, "its folder is read-only, and SQLite keeps its journal there"));
    }
    Ok(())
}

fn read_only(name: &str, why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, "read_only", format!("{name} cannot be written: {why}"))
        .hint("make the file and its folder writable for you, for example with: chmod u+w")
}

fn open(real: &Path, flags: OpenFlags, wait_ms: u64) -> Result<Connection> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        let version = rusqlite::version();
        let message = format!("SQLite {version} can lose committed pages; 3.51.3 or newer is needed");
        return Err(Error::new(ErrorKind::Internal, "sqlite_too_old", message).hint("build mainstem with its bundled SQLite"));
    }
    let name = display_name(real);
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(real, flags).map_err(|e| explain(e, &name, wait_ms))?;
    prepare(&connection, wait_ms).map_err(|e| explain(e, &name, wait_ms))?;
    Ok(connection)
}

/// Sets a connection up, then reads the schema so that a file that is no database is known now.
fn prepare(connection: &Connection, wait_ms: u64) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_millis(wait_ms))?;
    for (config, is_on) in [
        (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, planted::is(Bug::E5)),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        (DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, false),
        (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        // Otherwise a statement whose plan might profit is prepared anew each time that another value is bound.
        (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
    ] {
        connection.set_db_config(config, is_on)?;
    }
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    if planted::is(Bug::E7) {
        connection.pragma_update(None, "ignore_check_constraints", true)?;
    }
    // FULL leaves the deletion of a rollback journal to chance: a power cut would bring it back, and it undoes a commit
    // that a primary may have by then.
    connection.pragma_update(None, "synchronous", if planted::is(Bug::J8) { "OFF" } else { "EXTRA" })?;
    // This pragma reads the file, so it is the first to fail on one that is no database.
    connection.query_row("PRAGMA mmap_size=0", [], |_| Ok(())).or_else(no_row)?;
    connection.query_row("SELECT 1 FROM sqlite_schema LIMIT 1", [], |_| Ok(())).or_else(no_row)
}

fn no_row(error: rusqlite::Error) -> rusqlite::Result<()> {
    if error == rusqlite::Error::QueryReturnedNoRows { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sqlite_has_rolled_back_is_a_failure_of_the_disk() {
        let db = Connection::open_in_memory().expect("memory");
        begin_write(&db).expect("it is alone");
        // As SQLite does it by itself.
        db.execute_batch("ROLLBACK").expect("it has begun");
        assert_eq!(commit(&db).map_err(|e| (e.kind, e.code)), Err((ErrorKind::Unavailable, "disk_failed")));
    }
}
