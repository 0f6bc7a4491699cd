//! What `doctor` examines. Each check looks at one thing and says one line; a check that cannot be made says why.
use crate::plain_text::count;
use crate::wiring::{Opened, Session};
use mainstem::replica::Replica;
use mainstem::{Error, Result};
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::connection::{open_user_read_only, place_warning};
use rusqlite::Connection;
use std::path::Path;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In order.
    Fine,
    /// Works, but may hurt later.
    Warn,
    /// Does not work.
    Fail,
}

impl State {
    /// `ok`, `warn` or `fail`.
    pub fn name(self) -> &'static str {
        match self {
            State::Fine => "ok",
            State::Warn => "warn",
            State::Fail => "fail",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub name: &'static str,
    /// How it came out.
    pub state: State,
    /// What was seen.
    pub what: String,
    /// What to do, where something should be done.
    pub advice: Option<String>,
}

impl Finding {
    fn fine(name: &'static str, what: impl Into<String>) -> Self {
        Finding { name, state: State::Fine, what: what.into(), advice: None }
    }
    fn warn(name: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Finding { name, state: State::Warn, what: what.into(), advice: Some(advice.into()) }
    }
    fn fail(name: &'static str, error: &Error) -> Self {
        Finding { name, state: State::Fail, what: error.message.clone(), advice: error.hint.clone() }
    }
}

/// The first SQLite without the damage that resetting a write-ahead log could do (versions 3.7.0 to 3.51.2).
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// Less free space than this is worth a warning, whatever the file's size.
const FREE_BYTES_MIN: u64 = 100 << 20;

/// Makes every check that can be made.
pub fn examine(session: &Session) -> Vec<Finding> {
    let mut findings = vec![Finding::fine("mainstem", env!("CARGO_PKG_VERSION")), sqlite()];
    let path = match session.db_path() {
        Ok(path) => path,
        Err(e) => {
            findings.push(Finding::fail("database", &e));
            return findings;
        }
    };
    findings.extend(of_file(&path));
    match session.replica_at(&path) {
        Ok(mut opened) => findings.extend(of_replica(session, &mut opened)),
        Err(e) => findings.push(Finding::fail("replica", &e)),
    }
    findings
}

fn sqlite() -> Finding {
    let version = rusqlite::version();
    if rusqlite::version_number() >= SQLITE_VERSION_MIN {
        Finding::fine("sqlite", version)
    } else {
        Finding::warn("sqlite", format!("{version} can damage a file in WAL mode"), "build with SQLite 3.51.3 or newer")
    }
}

fn of_file(path: &Path) -> Vec<Finding> {
    let db = match open_user_read_only(path) {
        Ok(db) => db,
        Err(e) => return vec![Finding::fail("database", &e)],
    };
    let checks = [("database", file_size(&db, path)), ("journal", journal(&db))];
    let mut findings: Vec<Finding> = checks.into_iter().map(|(name, found)| found.unwrap_or_else(|e| Finding::fail(name, &e))).collect();
    findings.push(match place_warning(path) {
        Ok(None) => Finding::fine("place", "on a local disk"),
        Ok(Some(warning)) => Finding::warn("place", warning, "move the file to a local disk"),
        Err(e) => Finding::fail("place", &e),
    });
    findings.push(free_space(&db, path));
    findings
}

fn ask<T: rusqlite::types::FromSql>(db: &Connection, sql: &str) -> Result<T> {
    db.query_row(sql, [], |row| row.get(0)).map_err(|e| Error::corrupt(format!("the database cannot be read: {e}")).because(e))
}

fn bytes_of(db: &Connection) -> Result<u64> {
    let (pages, size): (i64, i64) = (ask(db, "PRAGMA page_count")?, ask(db, "PRAGMA page_size")?);
    Ok(pages.unsigned_abs().saturating_mul(size.unsigned_abs()))
}

fn file_size(db: &Connection, path: &Path) -> Result<Finding> {
    let encoding: String = ask(db, "PRAGMA encoding")?;
    let size = mebibytes(bytes_of(db)?);
    Ok(Finding::fine("database", format!("{}, {size}, {encoding}", path.display())))
}

fn journal(db: &Connection) -> Result<Finding> {
    let mode: String = ask(db, "PRAGMA journal_mode")?;
    Ok(match mode.as_str() {
        "off" | "memory" => Finding::warn(
            "journal",
            format!("{mode}: a crash while writing can damage the file"),
            "sqlite3 FILE \"PRAGMA journal_mode = wal\"",
        ),
        _ => Finding::fine("journal", mode),
    })
}

fn tables(replica: &SqliteReplica) -> Result<Vec<Finding>> {
    let tracked = replica.schema()?.tables.len() as u64;
    let triggers = replica.capture_triggers()?;
    let what = format!("{} tracked by {}", count(tracked, "table", "tables"), count(triggers, "trigger", "triggers"));
    let mut findings = vec![if tracked > 0 && triggers == 0 {
        Finding::warn("tables", "the triggers that capture edits are gone", "mainstem verify, then mainstem sync")
    } else {
        Finding::fine("tables", what)
    }];
    for (table, why, advice) in replica.refused()? {
        let what = format!("{table}: {why}");
        findings.push(if advice.is_empty() { Finding::fine("not tracked", what) } else { Finding::warn("not tracked", what, advice) });
    }
    Ok(findings)
}

fn free_space(db: &Connection, path: &Path) -> Finding {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let free = rustix::fs::statvfs(folder).map(|s| s.f_bavail.saturating_mul(s.f_frsize));
    match (free, bytes_of(db)) {
        (Ok(free), Ok(size)) if free < size.max(FREE_BYTES_MIN) => {
            Finding::warn("disk", format!("{} free", mebibytes(free)), "free some space")
        }
        (Ok(free), Ok(_)) => Finding::fine("disk", format!("{} free", mebibytes(free))),
        (Err(e), _) => Finding::warn("disk", format!("free space is not known: {e}"), "look at it with: df -h ."),
        (_, Err(e)) => Finding::fail("disk", &e),
    }
}

fn of_replica(session: &Session, opened: &mut Opened) -> Vec<Finding> {
    let standing = &opened.standing;
    let who = session.actor(standing);
    let mut findings = vec![match who {
        Ok(actor) => Finding::fine("replica", format!("{} of {}, edited by {actor}", standing.replica, standing.dataset)),
        Err(e) => Finding::fail("replica", &e),
    }];
    findings.extend(standing.notices.iter().map(|n| Finding::warn("notice", n.clone(), "mainstem status")));
    findings.extend(tables(&opened.replica).unwrap_or_else(|e| vec![Finding::fail("tables", &e)]));
    findings.push(match opened.replica.needs_reconcile() {
        Ok(false) => Finding::fine("capture", "nothing was missed"),
        Ok(true) => Finding::warn("capture", "writes may have been missed", "mainstem verify, then mainstem sync"),
        Err(e) => Finding::fail("capture", &e),
    });
    findings.push(of_primary(session, opened));
    findings
}

fn of_primary(session: &Session, opened: &Opened) -> Finding {
    let standing = &opened.standing;
    let (Some(address), Some(known)) = (&standing.remote, &standing.known) else {
        return Finding::warn("primary", "none: this database was not published", "mainstem publish FOLDER");
    };
    let description = match session.primary_of(standing).and_then(|mut p| p.describe()) {
        Ok(description) => description,
        Err(e) => return Finding::fail("primary", &e),
    };
    let head = description.head.version;
    if description.lineage != known.lineage {
        let error = Error::invalid(format!("{address} holds another dataset, {}", description.dataset));
        return Finding::fail("primary", &error.hint("mainstem config remote FOLDER"));
    }
    if description.epoch != known.epoch || head < known.version {
        let error = Error::invalid(format!("{address} was restored from an older copy (version {head})"));
        return Finding::fail("primary", &error.hint("mainstem sync says what to do"));
    }
    match head - known.version {
        0 => Finding::fine("primary", format!("{address}, version {head}, nothing new")),
        behind => Finding { advice: Some("mainstem sync".into()), ..Finding::fine("primary", format!("{address}, {behind} new versions")) },
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_examined_through_sqlite() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        Connection::open(&path).expect("made").execute_batch("CREATE TABLE a(id INTEGER PRIMARY KEY)").expect("filled");
        let findings = of_file(&path);
        let by_name = |name: &str| findings.iter().find(|f| f.name == name).expect(name);
        assert_eq!(by_name("journal").what, "delete");
        assert_eq!(by_name("disk").state, State::Fine);
    }

    #[test]
    fn the_bundled_sqlite_is_new_enough() {
        assert_eq!(sqlite().state, State::Fine);
    }

    #[test]
    fn what_is_no_database_fails_with_one_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        std::fs::write(&path, vec![b'x'; 5000]).expect("written");
        let findings = of_file(&path);
        assert!(findings.iter().any(|f| f.state == State::Fail), "{findings:?}");
    }
}
