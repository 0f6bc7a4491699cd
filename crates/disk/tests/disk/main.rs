//! The observing disk under plain SQLite: what it counts and fails, and what a power cut leaves.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod faults;
mod power;

use rusqlite::Connection;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Transactions that a program makes, one row each.
const TRANSACTIONS: i64 = 6;

/// A folder in memory where there is one, so that a sync costs nothing.
fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// How a program uses its file.
#[derive(Clone, Copy, Debug)]
struct Habit {
    journal: &'static str,
    synchronous: &'static str,
}

fn prepared(folder: &Path, habit: Habit) -> PathBuf {
    let path = folder.join("app.db");
    let db = opened(&path, habit).unwrap();
    db.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)").unwrap();
    path
}

fn opened(path: &Path, habit: Habit) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.execute_batch(&format!("PRAGMA journal_mode = {}; PRAGMA synchronous = {}", habit.journal, habit.synchronous))?;
    // Small enough that transactions run into a checkpoint.
    db.execute_batch("PRAGMA wal_autocheckpoint = 6")?;
    Ok(db)
}

/// Makes the transactions from `first` on, until one fails, and says how many were acknowledged in all.
fn work(path: &Path, habit: Habit, first: i64) -> i64 {
    let mut done = first;
    let Ok(db) = opened(path, habit) else { return done };
    let body = "long enough that a few of them need a page of their own. ".repeat(30);
    for id in first..TRANSACTIONS {
        if db.execute("INSERT INTO t VALUES (?1, ?2)", (id, &body)).is_err() {
            break;
        }
        done = id + 1;
    }
    done
}

/// The rows of a file that opens and is whole; an error where it is not, or where they are not the first ones.
fn rows(path: &Path) -> Result<i64, String> {
    let read = || -> rusqlite::Result<(String, i64, i64)> {
        let db = Connection::open(path)?;
        let state = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        let (count, next) = db.query_row("SELECT count(*), coalesce(max(id) + 1, 0) FROM t", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((state, count, next))
    };
    match read() {
        Ok((state, count, next)) if state == "ok" && count == next => Ok(count),
        other => Err(format!("{other:?}")),
    }
}
