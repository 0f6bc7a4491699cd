//! A tracked file is watched: commits of other programs are noticed, our own syncs are not, and a file that goes is let go.
use mainstem::replica::Replica;
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::notice::replica::{Happened, ReplicaNotice};
use mainstem_sqlite::replica::InitOptions;
use mainstem_testkit::Seeded;
use rusqlite::Connection;
use std::fs;
use std::io::{PipeReader, PipeWriter, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

const LONG_MS: u64 = 60_000;

struct Desk {
    folder: tempfile::TempDir,
    call: (PipeReader, PipeWriter),
}

impl Desk {
    fn new() -> Desk {
        Desk { folder: tempfile::tempdir().expect("a folder"), call: std::io::pipe().expect("a pipe") }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    fn tracked(&self, name: &str, seed: u64, mode: &str) -> PathBuf {
        let path = self.path(name);
        let db = Connection::open(&path).expect("made");
        db.pragma_update(None, "journal_mode", mode).expect("set");
        db.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)").expect("made");
        drop(db);
        SqliteReplica::init(&path, &InitOptions::default(), Seeded::around(seed), &mut |_, _, _| {}).expect("tracked");
        path
    }
    fn next(&self, notice: &mut ReplicaNotice) -> String {
        self.within(notice, LONG_MS)
    }
    fn within(&self, notice: &mut ReplicaNotice, ms: u64) -> String {
        match notice.wait(ms, self.call.0.as_fd()) {
            Happened::Gone(e) => format!("gone: {}", e.code),
            other => format!("{other:?}").to_lowercase(),
        }
    }
}

fn write(path: &Path) {
    Connection::open(path).expect("opened").execute("INSERT INTO t (v) VALUES ('new')", []).expect("written");
}

#[test]
fn a_commit_of_any_program_is_noticed_and_nothing_else() {
    for mode in ["wal", "delete", "persist"] {
        let desk = Desk::new();
        let path = desk.tracked("a.db", 1, mode);
        let mut notice = ReplicaNotice::of(&path).expect("watched");
        assert_eq!(desk.within(&mut notice, 1), "nothing", "{mode}");
        for _ in 0..5 {
            write(&path);
            assert_eq!(desk.next(&mut notice), "work", "{mode}");
            // What a commit or a sync does to the file is no work, once nothing is left of it.
            let mut replica = SqliteReplica::open(&path, Seeded::around(2)).expect("opened");
            replica.restore(mainstem::replica::Since::Commit, &everything()).expect("put back");
            replica.commit("ann", None, "").expect("closed");
            drop(replica);
            assert!(!notice.look().expect("looked"), "{mode}");
            assert_eq!(desk.within(&mut notice, 5), "nothing", "{mode}");
        }
        // A program that holds a connection, and one that only reads.
        let held = Connection::open(&path).expect("opened");
        held.query_row("SELECT count(*) FROM t", [], |_| Ok(())).expect("read");
        assert_eq!(desk.within(&mut notice, 5), "nothing", "{mode}");
        held.execute_batch("BEGIN IMMEDIATE; INSERT INTO t (v) VALUES ('x')").expect("begun");
        assert_eq!(desk.within(&mut notice, 5), "nothing", "{mode}: not committed");
        held.execute_batch("COMMIT").expect("committed");
        assert_eq!(desk.next(&mut notice), "work", "{mode}");
        (&desk.call.1).write_all(b"!").expect("called");
        assert_eq!(desk.next(&mut notice), "call", "{mode}");
    }
}

fn everything() -> mainstem::replica::RestoreTarget {
    mainstem::replica::RestoreTarget { table: None, key: None, columns: Vec::new() }
}

#[test]
fn what_was_there_before_is_work_too() {
    let desk = Desk::new();
    let path = desk.tracked("a.db", 1, "wal");
    write(&path);
    assert_eq!(desk.next(&mut ReplicaNotice::of(&path).expect("watched")), "work");
}

#[test]
fn a_file_that_goes_is_let_go_and_found_again() {
    let desk = Desk::new();
    let path = desk.tracked("a.db", 1, "wal");
    let mut notice = ReplicaNotice::of(&path).expect("watched");
    let before = bytes(&desk, &path);
    // Renamed, with nobody else connected: closing our connection writes nothing into the moved file.
    fs::rename(&path, desk.path("b.db")).expect("moved");
    assert_eq!(desk.next(&mut notice), "gone: moved");
    assert!(!notice.is_there());
    assert_eq!(bytes(&desk, &desk.path("b.db")), before);
    assert_eq!(desk.within(&mut notice, 1), "nothing");
    // Another replica in its place is not taken for it.
    desk.tracked("c.db", 2, "wal");
    fs::rename(desk.path("c.db"), &path).expect("moved");
    assert_eq!(desk.next(&mut notice), "gone: replaced");
    assert_eq!(desk.within(&mut notice, 1), "nothing");
    fs::rename(desk.path("b.db"), &path).expect("back");
    assert_eq!(desk.next(&mut notice), "back");
    write(&path);
    assert_eq!(desk.next(&mut notice), "work");
    // Swapped while it is watched, and the whole folder renamed.
    desk.tracked("c.db", 3, "wal");
    fs::rename(&path, desk.path("b.db")).expect("moved");
    fs::rename(desk.path("c.db"), &path).expect("swapped");
    assert_eq!(desk.next(&mut notice), "gone: moved");
}

#[test]
fn a_folder_that_goes_takes_its_files_along() {
    let desk = Desk::new();
    fs::create_dir_all(desk.path("one/two")).expect("made");
    let path = desk.tracked("one/two/a.db", 1, "wal");
    let mut notice = ReplicaNotice::of(&path).expect("watched");
    fs::rename(desk.path("one"), desk.path("other")).expect("moved");
    assert_eq!(desk.next(&mut notice), "gone: moved");
    fs::rename(desk.path("other"), desk.path("one")).expect("back");
    assert_eq!(desk.next(&mut notice), "back");
    fs::remove_dir_all(desk.path("one")).expect("removed");
    assert_eq!(desk.next(&mut notice), "gone: moved");
}

#[test]
fn a_sync_that_has_begun_writes_nothing_into_a_file_that_was_moved() {
    let desk = Desk::new();
    let path = desk.tracked("a.db", 1, "wal");
    write(&path);
    let mut replica = SqliteReplica::open(&path, Seeded::around(2)).expect("opened");
    fs::rename(&path, desk.path("b.db")).expect("moved");
    desk.tracked("a.db", 3, "wal");
    for step in [replica.commit("ann", None, "").map(drop), replica.look_again()] {
        assert_eq!(step.map_err(|e| e.code), Err("moved"));
    }
    drop(replica);
    assert!(SqliteReplica::open(&desk.path("b.db"), Seeded::around(4)).expect("opened").unsent().expect("listed").is_empty());
}

/// The file's bytes as another process reads them.
fn bytes(desk: &Desk, path: &Path) -> Vec<u8> {
    std::process::Command::new("cat").arg(path).current_dir(desk.folder.path()).output().expect("cat").stdout
}
