//! Bugs that show where no simulated world looks: in another process, in an older SQLite, between two connections.
//!
//! A story goes well without its bug. What it tells as an error is what went wrong.
use mainstem::core::change::{Change, Front};
use mainstem::core::digest;
use mainstem::core::planted::Bug;
use mainstem::error::Result;
use mainstem::policy_text;
use mainstem::primary::{Pages, Primary};
use mainstem::replica::Replica;
use mainstem::sync;
use mainstem::wiring::RealSurroundings;
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::primary::PRIMARY_FILE;
use mainstem_sqlite::replica::InitOptions;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// What a story tells; an error is what went wrong.
pub type Told<T = ()> = std::result::Result<T, String>;

/// A tool's name, and the story by which it finds a bug.
pub type Story = (&'static str, fn() -> Told);

/// The story of a bug, where it has one.
pub fn story(bug: Bug) -> Option<Story> {
    match bug {
        Bug::A4 => Some(("story", a_trigger_that_may_end_ours_is_a_gap)),
        Bug::A8 => Some(("story", a_column_can_be_dropped)),
        Bug::A12 => Some(("story", a_write_with_triggers_off_is_sent)),
        Bug::A11 => Some(("sqlite3 shell", an_app_with_its_own_sqlite)),
        Bug::A16 => Some(("story", a_search_index_finds_what_came)),
        Bug::C1 => Some(("story", rows_without_identity_are_named)),
        Bug::D7 => Some(("story", a_pull_goes_on_where_it_was_cut)),
        Bug::F3 => Some(("story", an_older_primary_is_put_back)),
        Bug::F4 => Some(("story", an_emptied_file_is_not_sent)),
        Bug::J1 => Some(("second process", another_process_writes_meanwhile)),
        Bug::J5 => Some(("second connection", another_connection_writes_meanwhile)),
        Bug::X1 => Some(("story", two_who_count_are_two)),
        Bug::T29 => Some(("story", each_event_is_bound_to_all_before_it)),
        _ => None,
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn quiet(_: &str, _: u64, _: u64) {}

/// A tracked file with one table.
fn tracked(folder: &Path, journal: &str, sql: &str) -> Told<PathBuf> {
    let path = folder.join("app.db");
    let made = || -> rusqlite::Result<()> {
        let db = Connection::open(&path)?;
        db.query_row(&format!("PRAGMA journal_mode = {journal}"), [], |_| Ok(()))?;
        db.execute_batch("CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO note VALUES (1, 'a')")?;
        db.execute_batch(sql)
    };
    made().map_err(text)?;
    let options = InitOptions { actor: Some("anna".into()), ..InitOptions::default() };
    SqliteReplica::init(&path, &options, Arc::new(RealSurroundings), &mut quiet).map_err(text)?;
    Ok(path)
}

/// A tracked file, its primary, and what a program says on the file.
struct Pair {
    folder: TempDir,
    path: PathBuf,
}

impl Pair {
    /// A file with these tables, published.
    fn new(sql: &str) -> Told<Pair> {
        let folder = tempfile::tempdir().map_err(text)?;
        let path = tracked(folder.path(), "delete", sql)?;
        let pair = Pair { path, folder };
        pair.replica(&pair.path)?.publish(&pair.primary_folder(), Some("world"), "anna", &mut quiet).map_err(text)?;
        Ok(pair)
    }

    fn primary_folder(&self) -> PathBuf {
        self.folder.path().join("primary")
    }

    fn primary(&self) -> Told<Box<dyn Primary>> {
        mainstem_sqlite::open_primary(&self.primary_folder(), Arc::new(RealSurroundings)).map_err(text)
    }

    fn replica(&self, path: &Path) -> Told<SqliteReplica> {
        SqliteReplica::open(path, Arc::new(RealSurroundings)).map_err(text)
    }

    fn sync(&self, path: &Path) -> mainstem::Result<sync::Report> {
        let mut primary = self.primary().map_err(mainstem::Error::internal)?;
        let mut replica = self.replica(path).map_err(mainstem::Error::internal)?;
        sync::sync(&mut replica, &mut *primary, "anna", &mut quiet)
    }

    fn clone(&self) -> Told<PathBuf> {
        let path = self.folder.path().join("clone.db");
        let address = self.primary_folder().to_string_lossy().into_owned();
        let around = Arc::new(RealSurroundings);
        SqliteReplica::clone_from(&mut *self.primary()?, &address, &path, Some("ben"), around, &mut quiet).map_err(text)?;
        Ok(path)
    }
}

fn say(path: &Path, sql: &str) -> Told {
    Connection::open(path).and_then(|db| db.execute_batch(sql)).map_err(text)
}

/// Rows whose key is NULL cannot be told apart: their table is refused by name, and everything else travels.
fn rows_without_identity_are_named() -> Told {
    let folder = tempfile::tempdir().map_err(text)?;
    let path = folder.path().join("app.db");
    say(
        &path,
        "CREATE TABLE loose(k TEXT PRIMARY KEY, v); INSERT INTO loose VALUES (NULL, 1), (NULL, 2); CREATE TABLE note(id INTEGER PRIMARY KEY)",
    )?;
    let report = SqliteReplica::init(&path, &InitOptions::default(), Arc::new(RealSurroundings), &mut quiet).map_err(text)?;
    let is_refused = report.refused.iter().any(|(name, ..)| name == "loose");
    if is_refused { Ok(()) } else { Err("rows that cannot be told apart are tracked".into()) }
}

/// A version of several pages arrives page by page, each kept until the last is there.
fn a_pull_goes_on_where_it_was_cut() -> Told {
    let pair = Pair::new("")?;
    let clone = pair.clone()?;
    let many =
        "INSERT INTO note(body) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT 'n' || i FROM n";
    say(&pair.path, many)?;
    pair.sync(&pair.path).map_err(text)?;
    let (mut replica, mut primary) = (pair.replica(&clone)?, pair.primary()?);
    loop {
        let known = replica.standing().map_err(text)?.known.ok_or("a clone has no primary")?;
        let pull = primary.pull(&known, replica.cursor().map_err(text)?, 1).map_err(text)?;
        replica.receive(&pull).map_err(text)?;
        if pull.is_last {
            break;
        }
    }
    let verified = replica.verify(Some(&mut *primary), &mut quiet).map_err(text)?;
    let is_whole = verified.rows == 5001 && verified.differences.is_empty();
    if is_whole { Ok(()) } else { Err(format!("{} rows have come of 5001: {:?}", verified.rows, verified.differences)) }
}

/// Where a younger trigger of the app's can end ours, rows are compared before anything is sent.
fn a_trigger_that_may_end_ours_is_a_gap() -> Told {
    let pair = Pair::new("")?;
    say(
        &pair.path,
        "CREATE TRIGGER stop AFTER INSERT ON note WHEN NEW.body = 'late' BEGIN SELECT RAISE(IGNORE); END; INSERT INTO note(body) VALUES ('late')",
    )?;
    let is_noted = pair.replica(&pair.path)?.needs_reconcile().map_err(text)?;
    if is_noted { Ok(()) } else { Err("capture is taken for whole where a trigger of the app's ended it".into()) }
}

/// A program alters its tables as if nobody watched them.
fn a_column_can_be_dropped() -> Told {
    let pair = Pair::new("")?;
    say(&pair.path, "UPDATE note SET body = 'b'; ALTER TABLE note DROP COLUMN body; INSERT INTO note DEFAULT VALUES")
}

/// What a program wrote with triggers off is found before a push, and sent.
fn a_write_with_triggers_off_is_sent() -> Told {
    let pair = Pair::new("")?;
    let db = Connection::open(&pair.path).map_err(text)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).map_err(text)?;
    db.execute_batch("UPDATE note SET body = 'unseen' WHERE id = 1").map_err(text)?;
    drop(db);
    say(&pair.path, "INSERT INTO note(body) VALUES ('seen')")?;
    pair.sync(&pair.path).map_err(text)?;
    let db = Connection::open(pair.primary_folder().join(PRIMARY_FILE)).map_err(text)?;
    let there: i64 = db.query_row("SELECT count(*) FROM note WHERE body IN ('seen', 'unseen')", [], |row| row.get(0)).map_err(text)?;
    if there == 2 { Ok(()) } else { Err("a write with triggers off was not sent".into()) }
}

/// Two replicas that count one each have counted two.
fn two_who_count_are_two() -> Told {
    let pair = Pair::new("CREATE TABLE tally(id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO tally VALUES (1, 0)")?;
    let policy = policy_text::set("", "tally.n.strategy", "counter").map_err(text)?;
    pair.primary()?.set_policy(&policy, "anna").map_err(text)?;
    let clone = pair.clone()?;
    for path in [&pair.path, &clone] {
        say(path, "UPDATE tally SET n = n + 1")?;
    }
    for path in [&pair.path, &clone, &pair.path] {
        pair.sync(path).map_err(text)?;
    }
    let db = Connection::open(&pair.path).map_err(text)?;
    let counted: i64 = db.query_row("SELECT n FROM tally", [], |row| row.get(0)).map_err(text)?;
    if counted == 2 { Ok(()) } else { Err(format!("two increments came to {counted}")) }
}

/// The hash of each event covers the hash before it, as whoever checks a ledger computes it.
fn each_event_is_bound_to_all_before_it() -> Told {
    let pair = Pair::new("")?;
    let db = Connection::open(pair.primary_folder().join(PRIMARY_FILE)).map_err(text)?;
    let mut statement = db.prepare("SELECT hash, body FROM mainstem_event ORDER BY position").map_err(text)?;
    let events = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(text)?;
    let mut before = [0; 32];
    for event in events {
        let (hash, body): ([u8; 32], Vec<u8>) = event.map_err(text)?;
        if digest::of("mainstem event 1", &[&before, &body]) != hash {
            return Err("an event's hash does not cover the one before it".into());
        }
        before = hash;
    }
    Ok(())
}

/// A search index that the app's triggers keep finds the rows that a pull brought.
fn a_search_index_finds_what_came() -> Told {
    let pair = Pair::new(
        "CREATE VIRTUAL TABLE search USING fts5(body, content='note', content_rowid='id');
         CREATE TRIGGER put AFTER INSERT ON note BEGIN INSERT INTO search(rowid, body) VALUES (NEW.id, NEW.body); END",
    )?;
    let clone = pair.clone()?;
    say(&pair.path, "INSERT INTO note(body) VALUES ('needle')")?;
    pair.sync(&pair.path).map_err(text)?;
    pair.sync(&clone).map_err(text)?;
    let db = Connection::open(&clone).map_err(text)?;
    let found: i64 = db.query_row("SELECT count(*) FROM search WHERE search MATCH 'needle'", [], |row| row.get(0)).map_err(text)?;
    if found == 1 { Ok(()) } else { Err("a row that a pull brought is not in the search index".into()) }
}

/// A primary that was put back to an older state is not taken for what it was.
fn an_older_primary_is_put_back() -> Told {
    let pair = Pair::new("")?;
    let (file, kept) = (pair.primary_folder().join(PRIMARY_FILE), pair.folder.path().join("kept.db"));
    // The last connection to close has put everything into the one file.
    std::fs::copy(&file, &kept).map_err(text)?;
    say(&pair.path, "INSERT INTO note(body) VALUES ('b')")?;
    pair.sync(&pair.path).map_err(text)?;
    std::fs::copy(&kept, &file).map_err(text)?;
    if pair.sync(&pair.path).is_err() {
        return Ok(());
    }
    let rows = |path: &Path| -> rusqlite::Result<Vec<String>> {
        let db = Connection::open(path)?;
        let mut statement = db.prepare("SELECT body FROM note ORDER BY body")?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    let (here, there) = (rows(&pair.path).map_err(text)?, rows(&file).map_err(text)?);
    if here == there { Ok(()) } else { Err(format!("synced, and the replica has {here:?} where the primary has {there:?}")) }
}

/// Rows that are gone and that nobody was seen to delete are not sent as deletions.
fn an_emptied_file_is_not_sent() -> Told {
    let rows = "INSERT INTO note(body) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 90) SELECT 'n' || i FROM n";
    let pair = Pair::new(rows)?;
    let db = Connection::open(&pair.path).map_err(text)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).map_err(text)?;
    db.execute_batch("DELETE FROM note").map_err(text)?;
    drop(db);
    say(&pair.path, "INSERT INTO note(body) VALUES ('after')")?;
    match pair.sync(&pair.path) {
        Err(e) if e.code == "many_deletions" => Ok(()),
        Err(e) => Err(text(e)),
        Ok(_) => Err("ninety deletions that nobody made were sent".into()),
    }
}

/// A program in another process, with the SQLite of this machine.
fn shell(path: &Path, sql: &str) -> Told {
    let output = Command::new("sqlite3").arg(path).arg(sql).output().map_err(|e| format!("sqlite3 cannot be started: {e}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_string()) }
}

/// The app's statements succeed with the SQLite that the app has.
fn an_app_with_its_own_sqlite() -> Told {
    let folder = tempfile::tempdir().map_err(text)?;
    let path = tracked(folder.path(), "delete", "")?;
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
fn taken_meanwhile(path: &Path, does: &mut dyn FnMut() -> bool) -> Told {
    let mut replica = SqliteReplica::open(path, Arc::new(RealSurroundings)).map_err(text)?;
    let mut meanwhile = Meanwhile { does, has_written: false };
    let taken = replica.import(&Front::default(), &mut meanwhile);
    match (taken, meanwhile.has_written) {
        (_, true) => Err("another program wrote while a transaction was open".into()),
        (taken, false) => taken.map(drop).map_err(text),
    }
}

/// Another process cannot write while a transaction is open.
fn another_process_writes_meanwhile() -> Told {
    let folder = tempfile::tempdir().map_err(text)?;
    let path = tracked(folder.path(), "delete", "")?;
    shell(&path, "SELECT 1")?;
    taken_meanwhile(&path, &mut || shell(&path, "INSERT INTO note(body) VALUES ('b')").is_ok())
}

/// Another connection cannot write between the first read of a transaction and its first write.
fn another_connection_writes_meanwhile() -> Told {
    let folder = tempfile::tempdir().map_err(text)?;
    let path = tracked(folder.path(), "wal", "")?;
    let other = Connection::open(&path).map_err(text)?;
    other.busy_timeout(Duration::ZERO).map_err(text)?;
    taken_meanwhile(&path, &mut || other.execute("INSERT INTO note(body) VALUES ('b')", []).is_ok())
}
