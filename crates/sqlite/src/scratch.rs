//! Places for what can be made again: a database that ends with its connection, or a file beside a primary's.
//!
//! Invariant: nothing here is ever needed. A file that cannot be used is removed, and made again by whoever opens it next.
use crate::connection;
use crate::errors::Explain;
use mainstem::Result;
use mainstem::store::Scratch;
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is added to the name of a primary's file.
const ENDING: &str = ".found";

/// How long one waits for another process that writes to the file.
const WAIT_MS: u64 = 1_000;

/// Space is given back when something is forgotten, and nothing waits for the disk.
const SETTINGS: &str = "PRAGMA auto_vacuum = FULL; PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF; PRAGMA cell_size_check = ON;";
const TABLE: &str = "CREATE TABLE IF NOT EXISTS kept(name TEXT PRIMARY KEY, bytes BLOB NOT NULL)";

/// Such a place.
pub(crate) struct SqliteScratch {
    db: Connection,
    file: Option<PathBuf>,
}

impl SqliteScratch {
    /// A database that ends with its connection.
    pub fn new() -> Result<Self> {
        let db = connection::scratch()?;
        db.execute_batch(TABLE).on(&db)?;
        Ok(SqliteScratch { db, file: None })
    }

    /// The file beside a primary's; none where there can be none.
    pub fn beside(primary: &Path) -> Option<Self> {
        let mut file = primary.as_os_str().to_owned();
        file.push(ENDING);
        let file = PathBuf::from(file);
        let open = || -> rusqlite::Result<Self> {
            let db = Connection::open(&file)?;
            db.busy_timeout(Duration::from_millis(WAIT_MS))?;
            db.execute_batch(SETTINGS)?;
            db.execute_batch(TABLE)?;
            Ok(SqliteScratch { db, file: Some(file.clone()) })
        };
        match open() {
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => None,
            Err(_) => {
                std::fs::remove_file(&file).ok()?;
                open().ok()
            }
            opened => opened.ok(),
        }
    }

    fn told<T>(&self, done: rusqlite::Result<T>) -> Result<T> {
        let code = done.as_ref().err().and_then(rusqlite::Error::sqlite_error_code);
        if let (Some(file), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) = (&self.file, code) {
            // Where it cannot be removed, nobody uses it either.
            let _ = std::fs::remove_file(file);
        }
        done.on(&self.db)
    }
}

impl Scratch for SqliteScratch {
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let sql = "INSERT INTO kept(name, bytes) VALUES (?1, ?2) ON CONFLICT(name) DO UPDATE SET bytes = excluded.bytes";
        let put = self.db.prepare_cached(sql).and_then(|mut statement| statement.execute((name, bytes)));
        self.told(put).map(drop)
    }
    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT bytes FROM kept WHERE name = ?1";
        let found = self.db.prepare_cached(sql).and_then(|mut statement| statement.query_row([name], |row| row.get(0)).optional());
        self.told(found)
    }
    fn names(&mut self, beginning: &str) -> Result<Vec<String>> {
        let sql = "SELECT name FROM kept WHERE name >= ?1 AND name < ?2";
        let names = self.db.prepare_cached(sql).and_then(|mut statement| {
            let names = statement.query_map([beginning, &after(beginning)], |row| row.get(0))?;
            names.collect::<rusqlite::Result<_>>()
        });
        self.told(names)
    }
    fn forget(&mut self, beginning: &str) -> Result<()> {
        let sql = "DELETE FROM kept WHERE name >= ?1 AND name < ?2";
        let range = [beginning, &after(beginning)];
        let gone = self.db.prepare_cached(sql).and_then(|mut statement| statement.execute(range));
        self.told(gone).map(drop)
    }
}

/// What every name that begins so comes before.
fn after(beginning: &str) -> String {
    format!("{beginning}\u{10ffff}")
}
