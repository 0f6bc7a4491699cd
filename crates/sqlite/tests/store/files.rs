//! Opening files: what stands against it is said in one line with a hint, and no byte changes. And the sync lock.
use mainstem::core::ErrorKind;
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::connection::{
    FileIdentity, begin_read, begin_write, commit, create_user, open_primary, open_user, open_user_read_only, open_user_waiting,
    place_warning, roll_back, triggers_off, triggers_on,
};
use mainstem_sqlite::errors::Explain;
use mainstem_sqlite::lock::{SyncLock, lock_path};
use mainstem_sqlite::replica::InitOptions;
use mainstem_testkit::Seeded;
use rusqlite::Connection;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const NOON: u64 = 1_795_170_120_000;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn make(path: &Path) {
    let db = Connection::open(path).unwrap();
    db.execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'x')").unwrap();
}

/// Opens, expects this refusal, and that no byte of the folder changed.
fn refused(path: &Path, code: &str, kind: ErrorKind) -> String {
    let before = bytes(path.parent().unwrap());
    let error = open_user(path).map(drop).expect_err("it was opened");
    assert_eq!((error.code, error.kind), (code, kind), "{error}");
    assert!(!error.message.contains('\n'), "{error}");
    assert!(error.hint.as_ref().is_some_and(|h| !h.contains('\n')), "{error:?}");
    assert!(error.message.contains(path.file_name().unwrap().to_str().unwrap()), "{error}");
    assert_eq!(bytes(path.parent().unwrap()), before, "a refused file changed");
    error.message
}

fn bytes(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.push((path.display().to_string(), std::fs::read(&path).unwrap_or_default()));
    }
    all.sort();
    all
}

#[test]
fn files_that_are_no_database_are_refused() {
    let dir = folder();
    let at = |name: &str, bytes: &[u8]| {
        std::fs::write(dir.path().join(name), bytes).unwrap();
        dir.path().join(name)
    };
    refused(&dir.path().join("none.db"), "not_found", ErrorKind::NotFound);
    refused(&at("empty.db", b""), "empty_file", ErrorKind::Invalid);
    refused(&at("text.db", b"hello\n"), "not_a_database", ErrorKind::Invalid);
    let noise: Vec<u8> = (0..8192u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    refused(&at("encrypted.db", &noise), "not_a_database", ErrorKind::Invalid);
    std::fs::create_dir(dir.path().join("folder.db")).unwrap();
    refused(&dir.path().join("folder.db"), "is_folder", ErrorKind::Invalid);
    let below = open_user(&dir.path().join("text.db/below.db")).unwrap_err();
    assert_eq!((below.code, below.kind), ("not_found", ErrorKind::NotFound));
}

#[test]
fn a_damaged_file_is_called_damaged() {
    let dir = folder();
    let path = dir.path().join("app.db");
    make(&path);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100..4096].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    assert!(refused(&path, "corrupt", ErrorKind::Corrupt).contains("damaged"));
}

#[test]
fn a_file_that_is_locked_is_waited_for_and_the_wait_is_said() {
    let dir = folder();
    let path = dir.path().join("app.db");
    make(&path);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let error = open_user_waiting(&path, 30).unwrap_err();
    assert_eq!((error.code, error.kind), ("locked", ErrorKind::Unavailable));
    assert_eq!(error.message, "app.db is locked by another program (waited 30 ms)");
    other.execute_batch("ROLLBACK; BEGIN IMMEDIATE").unwrap();
    let ours = open_user_waiting(&path, 30).unwrap();
    let error = begin_write(&ours).unwrap_err();
    assert_eq!(error.message, "app.db is locked by another program (waited 30 ms)");
    other.execute_batch("ROLLBACK").unwrap();
    begin_write(&ours).unwrap();
    commit(&ours).unwrap();
}

#[test]
fn a_full_disk_is_said_and_nothing_is_changed() {
    let dir = folder();
    let path = dir.path().join("app.db");
    make(&path);
    let db = open_user(&path).unwrap();
    let pages: i64 = db.query_row("PRAGMA page_count", [], |r| r.get(0)).unwrap();
    db.query_row(&format!("PRAGMA max_page_count={pages}"), [], |_| Ok(())).unwrap();
    begin_write(&db).unwrap();
    let error = db.execute("INSERT INTO t VALUES (2, zeroblob(100000))", []).on(&db).unwrap_err();
    assert_eq!((error.code, error.kind), ("disk_full", ErrorKind::Unavailable));
    roll_back(&db);
    assert!(db.is_autocommit());
    let count: i64 = db.query_row("SELECT count(*) FROM t", [], |r| r.get(0)).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn a_read_only_file_or_folder_is_refused_before_sqlite_sees_it() {
    let dir = folder();
    let path = dir.path().join("app.db");
    make(&path);
    use std::os::unix::fs::PermissionsExt;
    let set = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    set(&path, 0o444);
    if std::fs::OpenOptions::new().append(true).open(&path).is_ok() {
        // The superuser writes everywhere.
        return;
    }
    refused(&path, "read_only", ErrorKind::Unavailable);
    open_user_read_only(&path).unwrap();
    set(&path, 0o644);
    set(dir.path(), 0o555);
    refused(&path, "read_only", ErrorKind::Unavailable);
    assert_eq!(create_user(&dir.path().join("new.db")).unwrap_err().code, "read_only");
    assert_eq!(SyncLock::take(&path, "alice", NOON).unwrap_err().code, "read_only");
    set(dir.path(), 0o755);
}

#[test]
fn opening_changes_no_byte_and_no_mode_whatever_the_mode() {
    for mode in ["delete", "wal", "truncate", "persist"] {
        let dir = folder();
        let path = dir.path().join("app.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA encoding='UTF-16le'; PRAGMA page_size=8192").unwrap();
        db.query_row(&format!("PRAGMA journal_mode={mode}"), [], |_| Ok(())).unwrap();
        db.execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'ä')").unwrap();
        drop(db);
        let before = std::fs::read(&path).unwrap();
        let db = open_user(&path).unwrap();
        let text: String = db.query_row("SELECT v FROM t", [], |r| r.get(0)).unwrap();
        assert_eq!(text, "ä");
        drop(db);
        assert_eq!(std::fs::read(&path).unwrap(), before, "{mode}");
    }
}

#[test]
fn a_hot_journal_or_log_beside_the_file_is_normal() {
    let dir = folder();
    let (path, copy) = (dir.path().join("app.db"), dir.path().join("copy.db"));
    let db = Connection::open(&path).unwrap();
    db.query_row("PRAGMA journal_mode=wal", [], |_| Ok(())).unwrap();
    db.execute_batch("CREATE TABLE t(v); INSERT INTO t VALUES (1)").unwrap();
    // As a killed program leaves it: the log holds what the file does not.
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(dir.path().join("app.db-wal"), dir.path().join("copy.db-wal")).unwrap();
    let opened = open_user(&copy).unwrap();
    let count: i64 = opened.query_row("SELECT count(*) FROM t", [], |r| r.get(0)).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn a_connection_is_set_up_to_be_safe() {
    let dir = folder();
    let path = dir.path().join("app.db");
    make(&path);
    let db = open_user(&path).unwrap();
    let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |r| r.get::<_, i64>(0)).unwrap();
    assert_eq!(pragma("foreign_keys"), 0);
    assert_eq!(pragma("trusted_schema"), 0);
    assert_eq!(pragma("cell_size_check"), 1);
    assert_eq!(pragma("mmap_size"), 0);
    assert_eq!(pragma("synchronous"), 3, "EXTRA: a commit is on the disk when it returns, in every journal mode");
    assert_eq!(pragma("busy_timeout"), 10_000);
    assert!(db.prepare("SELECT \"no such column\" FROM t").is_err());
    assert!(db.query_row("SELECT load_extension('x')", [], |_| Ok(())).is_err());
    db.execute_batch("CREATE TRIGGER stop BEFORE INSERT ON t BEGIN SELECT RAISE(ABORT, 'no'); END").unwrap();
    triggers_off(&db).unwrap();
    db.execute_batch("INSERT INTO t VALUES (5, 5)").unwrap();
    triggers_on(&db).unwrap();
    assert!(db.execute_batch("INSERT INTO t VALUES (6, 6)").is_err());
}

#[test]
fn a_primary_is_made_or_opened_and_durable() {
    let dir = folder();
    let path = dir.path().join("primary.db");
    assert_eq!(open_primary(&path, false).unwrap_err().kind, ErrorKind::NotFound);
    assert!(!path.exists());
    let db = open_primary(&path, true).unwrap();
    db.execute_batch("CREATE TABLE t(v)").unwrap();
    drop(db);
    let again = open_primary(&path, true).unwrap();
    assert!(again.prepare("SELECT v FROM t").is_ok(), "what was there is kept");
    drop(again);
    let left = dir.path().join("left empty.db");
    std::fs::write(&left, "").unwrap();
    assert_eq!(open_primary(&left, false).unwrap_err().kind, ErrorKind::Corrupt);
    open_primary(&left, true).unwrap();
    assert_eq!(create_user(&path).unwrap_err().code, "exists");
    let db = open_primary(&path, false).unwrap();
    let mode: String = db.query_row("PRAGMA journal_mode", [], |r| r.get(0)).unwrap();
    let level: i64 = db.query_row("PRAGMA synchronous", [], |r| r.get(0)).unwrap();
    assert_eq!((mode.as_str(), level), ("wal", 3));
    assert_eq!(open_primary(&dir.path().join("no/primary.db"), true).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn a_read_transaction_sees_one_moment() {
    let dir = folder();
    let path = dir.path().join("primary.db");
    let writer = open_primary(&path, true).unwrap();
    writer.execute_batch("CREATE TABLE t(v)").unwrap();
    let reader = open_user_read_only(&path).unwrap();
    begin_read(&reader).unwrap();
    writer.execute_batch("INSERT INTO t VALUES (1)").unwrap();
    let count = |db: &Connection| db.query_row("SELECT count(*) FROM t", [], |r| r.get::<_, i64>(0)).unwrap();
    assert_eq!((count(&reader), count(&writer)), (0, 1));
    roll_back(&reader);
    assert_eq!(count(&reader), 1);
}

#[test]
fn a_copy_is_told_from_its_original_and_a_link_is_not() {
    let dir = folder();
    let (path, copy, link) = (dir.path().join("app.db"), dir.path().join("copy.db"), dir.path().join("link.db"));
    make(&path);
    std::fs::copy(&path, &copy).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let original = FileIdentity::of(&path).unwrap();
    assert_eq!(original, FileIdentity::of(&link).unwrap());
    assert_ne!(original.inode, FileIdentity::of(&copy).unwrap().inode);
    assert_eq!(FileIdentity::of(&dir.path().join("none")).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn a_synchronised_folder_is_warned_of() {
    let dir = folder();
    std::fs::create_dir(dir.path().join("Dropbox")).unwrap();
    let path = dir.path().join("Dropbox/app.db");
    make(&path);
    assert!(place_warning(&path).unwrap().unwrap().contains("Dropbox"));
}

#[test]
fn a_lock_names_its_holder_and_goes_with_it() {
    let dir = folder();
    let path = dir.path().join("app.db");
    make(&path);
    let link = dir.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let lock = SyncLock::take(&path, "alice\nand bob", NOON).unwrap();
    let refused = SyncLock::take(&link, "carol", NOON).unwrap_err();
    assert_eq!((refused.code, refused.kind), ("sync_locked", ErrorKind::Unavailable));
    let expected = format!("app.db is being synced by alice and bob (process {}) since 2026-11-20 10:22 UTC", std::process::id());
    assert_eq!(refused.message, expected);
    drop(lock);
    assert!(!lock_path(&path).exists());
    drop(SyncLock::take(&path, "carol", NOON).unwrap());
}

/// Run by the test below in a process of its own: holds the lock until it is killed.
#[test]
fn holds_a_lock_for_another_test() {
    let Ok(path) = std::env::var("MAINSTEM_TEST_LOCK") else {
        return;
    };
    let _lock = SyncLock::take(Path::new(&path), "mallory", 0).unwrap();
    std::io::stderr().write_all(b"held\n").unwrap();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

#[test]
fn a_lock_of_a_killed_process_vanishes() {
    let dir = folder();
    let path = dir.path().join("app.db");
    make(&path);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "files::holds_a_lock_for_another_test"])
        .env("MAINSTEM_TEST_LOCK", &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    let refused = SyncLock::take(&path, "alice", NOON).unwrap_err();
    assert!(refused.message.contains("mallory") && refused.message.contains("1970-01-01 00:00 UTC"), "{refused}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(lock_path(&path).exists(), "a killed process cannot tidy up");
    drop(SyncLock::take(&path, "alice", NOON).unwrap());
    assert!(!lock_path(&path).exists());
}

/// Tries to write from another process, without waiting. True where it got in.
fn shell_gets_in(path: &Path) -> bool {
    let said = Command::new("sqlite3")
        .args(["-batch", "-cmd", ".timeout 0"])
        .arg(path)
        .arg("INSERT INTO t(v) VALUES ('theirs')")
        .output()
        .unwrap();
    let is_locked = String::from_utf8_lossy(&said.stderr).contains("locked");
    assert!(said.status.success() != is_locked, "{said:?}");
    said.status.success()
}

fn many_rows(path: &Path, mode: &str) {
    let db = Connection::open(path).unwrap();
    db.query_row(&format!("PRAGMA journal_mode = {mode}"), [], |_| Ok(())).unwrap();
    db.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) INSERT INTO t SELECT i, 'x' FROM n;",
    )
    .unwrap();
}

#[test]
fn nothing_of_ours_lets_another_process_into_a_write_that_is_under_way() {
    // J1: closing any descriptor of a file drops all locks that the process holds on it.
    for mode in ["delete", "wal"] {
        let dir = folder();
        let path = dir.path().join("app.db");
        many_rows(&path, mode);
        let mut tries = 0;
        let mut during = |_: &str, _: u64, _: u64| {
            FileIdentity::of(&path).unwrap();
            let _ = place_warning(&path);
            drop(SyncLock::take(&path, "ada", NOON).unwrap());
            drop(open_user_read_only(&path).unwrap());
            drop(open_user(&path).unwrap());
            create_user(&path).expect_err("it is there");
            assert!(!shell_gets_in(&path), "{mode}: another process got in");
            tries += 1;
        };
        SqliteReplica::init(&path, &InitOptions::default(), Seeded::around(1), &mut during).unwrap();
        assert!(tries > 0, "the work was looked at while it was under way");
        assert!(shell_gets_in(&path), "and it is over");
    }
}

#[test]
fn a_plain_close_would_let_another_process_in() {
    let dir = folder();
    let path = dir.path().join("app.db");
    many_rows(&path, "delete");
    let db = Connection::open(&path).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(!shell_gets_in(&path));
    drop(std::fs::File::open(&path).unwrap());
    assert!(shell_gets_in(&path), "the trap that CAP-10 is about is there no more");
}
