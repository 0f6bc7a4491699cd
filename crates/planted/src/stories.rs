//! Bugs that show where no simulated world looks: in another process, in an older SQLite, between two connections.
//!
//! A story goes well without its bug. What it tells as an error is what went wrong.
use mainstem::core::change::{Change, Front};
use mainstem::core::planted::Bug;
use mainstem::error::Result;
use mainstem::primary::Pages;
use mainstem::replica::Replica;
use mainstem::wiring::RealSurroundings;
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::InitOptions;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// A tool's name, and the story by which it finds a bug.
pub type Story = (&'static str, fn() -> std::result::Result<(), String>);

/// The story of a bug, where it has one.
pub fn story(bug: Bug) -> Option<Story> {
    match bug {
        Bug::A11 => Some(("sqlite3 shell", an_app_with_its_own_sqlite)),
        Bug::J1 => Some(("second process", another_process_writes_meanwhile)),
        Bug::J5 => Some(("second connection", another_connection_writes_meanwhile)),
        _ => None,
    }
}

fn quiet(_: &str, _: u64, _: u64) {}

/// A tracked file with one table.
fn tracked(folder: &Path, journal: &str) -> std::result::Result<PathBuf, String> {
    let path = folder.join("app.db");
    let made = || -> rusqlite::Result<()> {
        let db = Connection::open(&path)?;
        db.query_row(&format!("PRAGMA journal_mode = {journal}"), [], |_| Ok(()))?;
        db.execute_batch("CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO note VALUES (1, 'a')")
    };
    made().map_err(|e| e.to_string())?;
    let options = InitOptions { actor: Some("anna".into()), ..InitOptions::default() };
    SqliteReplica::init(&path, &options, Arc::new(RealSurroundings), &mut quiet).map_err(|e| e.to_string())?;
    Ok(path)
}

/// A program in another process, with the SQLite of this machine.
fn shell(path: &Path, sql: &str) -> std::result::Result<(), String> {
    let output = Command::new("sqlite3").arg(path).arg(sql).output().map_err(|e| format!("sqlite3 cannot be started: {e}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_string()) }
}

/// The app's statements succeed with the SQLite that the app has.
fn an_app_with_its_own_sqlite() -> std::result::Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let path = tracked(folder.path(), "delete")?;
    shell(&path, "UPDATE note SET body = 'b' WHERE id = 1; DELETE FROM note")
}

/// Something that happens while a transaction of Mainstem's is open; true where it could write.
struct Meanwhile<'a> {
    does: &'a mut dyn FnMut() -> bool,
    has_written: bool,
}

impl Pages for Meanwhile<'_> {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        self.has_written |= (self.does)();
        Ok(None)
    }
    fn rewind(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Takes an empty changeset while somebody else writes: that must wait.
fn taken_meanwhile(path: &Path, does: &mut dyn FnMut() -> bool) -> std::result::Result<(), String> {
    let mut replica = SqliteReplica::open(path, Arc::new(RealSurroundings)).map_err(|e| e.to_string())?;
    let mut meanwhile = Meanwhile { does, has_written: false };
    let taken = replica.import(&Front::default(), &mut meanwhile);
    match (taken, meanwhile.has_written) {
        (_, true) => Err("another program wrote while a transaction was open".into()),
        (taken, false) => taken.map(drop).map_err(|e| e.to_string()),
    }
}

/// Another process cannot write while a transaction is open.
fn another_process_writes_meanwhile() -> std::result::Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let path = tracked(folder.path(), "delete")?;
    shell(&path, "SELECT 1")?;
    taken_meanwhile(&path, &mut || shell(&path, "INSERT INTO note(body) VALUES ('b')").is_ok())
}

/// Another connection cannot write between the first read of a transaction and its first write.
fn another_connection_writes_meanwhile() -> std::result::Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let path = tracked(folder.path(), "wal")?;
    let other = Connection::open(&path).map_err(|e| e.to_string())?;
    other.busy_timeout(Duration::ZERO).map_err(|e| e.to_string())?;
    taken_meanwhile(&path, &mut || other.execute("INSERT INTO note(body) VALUES ('b')", []).is_ok())
}
