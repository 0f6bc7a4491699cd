//! A primary and replicas of it in one folder, as the measurements need them.
//!
//! Durability is on: the primary syncs every commit, and the replicas keep SQLite's default (FULL) on a write-ahead log.
use mainstem::core::digest::state_digest;
use mainstem::primary::Primary;
use mainstem::replica::Replica;
use mainstem::wiring::{Around, RealSurroundings};
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::InitOptions;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Time and randomness.
pub fn around() -> Around {
    Arc::new(RealSurroundings)
}

/// Tells nobody.
pub fn quiet(_: &str, _: u64, _: u64) {}

/// A user's own connection to a file.
pub fn user(path: &Path) -> Connection {
    let conn = Connection::open(path).expect("the folder is ours");
    conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA cache_size = -65536").expect("plain pragmas");
    conn
}

/// Opens a replica.
pub fn replica(path: &Path) -> SqliteReplica {
    SqliteReplica::open(path, around()).expect("it is tracked")
}

/// The primary's folder.
pub fn primary_folder(folder: &Path) -> PathBuf {
    folder.join("primary")
}

/// Opens the primary.
pub fn primary(folder: &Path) -> Box<dyn Primary> {
    mainstem_sqlite::open_primary(&primary_folder(folder), around()).expect("it was published")
}

/// Makes a file by SQL, tracks it and publishes it; a second replica is cloned. Both files are `a.db` and `b.db`.
pub fn found(folder: &Path, sql: &str) {
    let a = folder.join("a.db");
    user(&a).execute_batch(sql).expect("plain statements");
    let options = InitOptions { actor: Some("ada".into()), ..InitOptions::default() };
    SqliteReplica::init(&a, &options, around(), &mut quiet).expect("a plain table can be tracked");
    replica(&a).publish(&primary_folder(folder), None, "ada", &mut quiet).expect("the folder is empty");
    clone(folder, "b.db");
}

/// Clones a replica.
pub fn clone(folder: &Path, name: &str) {
    let (path, address) = (folder.join(name), primary_folder(folder));
    SqliteReplica::clone_from(&mut *primary(folder), &address.to_string_lossy(), &path, Some("bob"), around(), &mut quiet)
        .expect("there is no such file yet");
    user(&path);
}

/// The digest over every row of a replica as it is stored, after comparing them with what the replica believes.
pub fn digest(folder: &Path, name: &str) -> [u8; 32] {
    let verified = replica(&folder.join(name)).verify(Some(&mut *primary(folder)), &mut quiet).expect("it can be read");
    assert!(verified.differences.is_empty(), "{:?}", verified.differences);
    verified.digest
}

/// The digest over every row of the primary as its ledger says.
pub fn primary_digest(folder: &Path) -> [u8; 32] {
    state_digest(&primary(folder).describe().expect("it can be read").tables)
}

/// Removes a database file and what SQLite keeps beside it.
pub fn remove(folder: &Path, name: &str) {
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.join(format!("{name}{end}")));
    }
}
