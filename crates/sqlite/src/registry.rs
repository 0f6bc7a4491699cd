//! A server's accounts in a file of their own: a chain of events and nothing else.
//!
//! Invariant: the file is for its owner only, from its first byte on, and so are the files that SQLite makes beside it.
use crate::connection;
use crate::errors::{Explain, display_name};
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use mainstem::registry::{Kept, Registry};
use rusqlite::{Connection, params};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The file in a server's folder.
pub const SERVER_FILE: &str = "server.db";

const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS mainstem_account_event(position INTEGER PRIMARY KEY, bytes BLOB NOT NULL, hash BLOB NOT NULL)";

/// The accounts' events in a server's folder.
pub struct SqliteRegistry(Mutex<Connection>);

impl SqliteRegistry {
    /// Opens it, and makes it where it is not there.
    pub fn open(folder: &Path) -> Result<SqliteRegistry> {
        let file = folder.join(SERVER_FILE);
        own(&file).map_err(|e| {
            Error::new(ErrorKind::Unavailable, "read_only", format!("{} cannot be made for its owner only: {e}", display_name(&file)))
                .because(e)
        })?;
        let db = connection::open_primary(&file, true)?;
        db.pragma_update(None, "synchronous", "FULL").on(&db)?;
        db.execute_batch(TABLE).on(&db)?;
        Ok(SqliteRegistry(Mutex::new(db)))
    }
    fn db(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the file for its owner only, or takes others' rights on it away. SQLite gives the files beside it the same.
pub(crate) fn own(file: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)),
        made => made.map(drop),
    }
}

impl Registry for SqliteRegistry {
    fn after(&self, position: u64) -> Result<Vec<Kept>> {
        let db = self.db();
        let sql = "SELECT bytes, hash FROM mainstem_account_event WHERE position > ?1 ORDER BY position";
        let mut statement = db.prepare_cached(sql).on(&db)?;
        let rows = statement.query_map([position as i64], |row| Ok(Kept { bytes: row.get(0)?, hash: row.get(1)? })).on(&db)?;
        rows.collect::<rusqlite::Result<_>>().on(&db)
    }

    fn append(&self, position: u64, events: &[Kept]) -> Result<bool> {
        let db = self.db();
        connection::begin_write(&db)?;
        let done = append(&db, position, events).and_then(|is_done| connection::commit(&db).map(|()| is_done));
        done.inspect_err(|_| connection::roll_back(&db))
    }
}

fn append(db: &Connection, position: u64, events: &[Kept]) -> Result<bool> {
    let sql = "SELECT coalesce(max(position), 0) FROM mainstem_account_event";
    let last: i64 = db.prepare_cached(sql).on(db)?.query_row([], |row| row.get(0)).on(db)?;
    if last != position as i64 {
        return Ok(false);
    }
    let sql = "INSERT INTO mainstem_account_event(position, bytes, hash) VALUES (?1, ?2, ?3)";
    let mut insert = db.prepare_cached(sql).on(db)?;
    for (at, event) in (last + 1..).zip(events) {
        insert.execute(params![at, event.bytes, event.hash]).on(db)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(n: u8) -> Kept {
        Kept { bytes: vec![n; 3], hash: [n; 32] }
    }

    #[test]
    fn events_are_kept_in_order_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let registry = SqliteRegistry::open(folder.path()).expect("made");
        assert!(registry.append(0, &[kept(1), kept(2)]).expect("written"));
        assert!(!registry.append(1, &[kept(9)]).expect("asked"), "the chain is longer");
        assert!(!registry.append(3, &[kept(9)]).expect("asked"), "the chain is shorter");
        let other = SqliteRegistry::open(folder.path()).expect("opened by another");
        assert!(other.append(2, &[kept(3)]).expect("written"));
        assert_eq!(registry.after(1).expect("read"), [kept(2), kept(3)]);
        assert_eq!(registry.after(3).expect("read"), []);
    }

    #[test]
    fn nobody_else_may_look_at_the_files() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(SERVER_FILE), "").expect("made");
        std::fs::set_permissions(folder.path().join(SERVER_FILE), PermissionsExt::from_mode(0o644)).expect("opened up");
        let registry = SqliteRegistry::open(folder.path()).expect("made");
        registry.append(0, &[kept(1)]).expect("written");
        let files: Vec<_> = std::fs::read_dir(folder.path()).expect("listed").flatten().collect();
        assert!(files.len() > 1, "the log is beside it");
        for file in files {
            let mode = file.metadata().expect("there").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", file.file_name());
        }
    }
}
