//! Turns SQLite's failures into the library's error: which file, what happened, what to do.
//!
//! Invariant: every message is one line and names the file; what SQLite said stays reachable as the source.
use mainstem::core::ErrorKind;
use mainstem::{Error, Result};
use rusqlite::{Connection, ErrorCode, ffi};
use std::path::Path;

/// Says which database a SQLite call failed on.
pub trait Explain<T> {
    /// Explains a failure of a call on this connection.
    fn on(self, connection: &Connection) -> Result<T>;
}

impl<T> Explain<T> for rusqlite::Result<T> {
    fn on(self, connection: &Connection) -> Result<T> {
        self.map_err(|error| explain(error, &name_of(connection), wait_ms(connection)))
    }
}

/// The name by which messages call a path: its last part.
pub fn display_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    one_line(&name.to_string_lossy())
}

/// Explains a failure on the database called `name`, whose connection waits `wait_ms` for locks.
pub fn explain(error: rusqlite::Error, name: &str, wait_ms: u64) -> Error {
    if matches!(error, rusqlite::Error::MultipleStatement | rusqlite::Error::NulError(_)) {
        return Error::invalid(format!("{name}: {}", one_line(&error.to_string()))).because(error);
    }
    let Some(code) = code_of(&error) else {
        return Error::internal(format!("{name}: {}", one_line(&error.to_string()))).because(error);
    };
    let what = one_line(message_of(&error).unwrap_or("SQLite gave no reason"));
    let explained = match (code.code, code.extended_code) {
        (ErrorCode::DatabaseBusy, _) => {
            let waited = duration(wait_ms);
            Error::new(ErrorKind::Unavailable, "locked", format!("{name} is locked by another program (waited {waited})"))
                .hint("close the program that writes to it, or try again when it is idle")
        }
        (ErrorCode::NotADatabase, _) => not_a_database(name),
        (ErrorCode::DatabaseCorrupt, _) => Error::new(ErrorKind::Corrupt, "corrupt", format!("{name} is damaged: {what}"))
            .hint(format!("sqlite3 {} \"PRAGMA integrity_check\", then restore a backup or use sqlite3's .recover", shell_word(name))),
        (ErrorCode::DiskFull, _) => {
            Error::new(ErrorKind::Unavailable, "disk_full", format!("{name}: the disk is full, nothing was changed"))
                .hint("free some space and run the command again")
        }
        (ErrorCode::ReadOnly, _) | (ErrorCode::CannotOpen, _) => {
            Error::new(ErrorKind::Unavailable, "read_only", format!("{name} cannot be written: {what}"))
                .hint("make the file and its folder writable for you")
        }
        (ErrorCode::SystemIoFailure, _) => Error::new(ErrorKind::Unavailable, "disk_failed", format!("{name}: the disk failed: {what}"))
            .hint("check the disk, then run the command again"),
        (ErrorCode::ConstraintViolation, _) => Error::new(ErrorKind::Conflict, "constraint", format!("{name}: {what}")),
        (ErrorCode::Unknown, ffi::SQLITE_ERROR) => Error::new(ErrorKind::Invalid, "sqlite", format!("{name}: {what}")),
        (ErrorCode::TooBig, _) => Error::new(ErrorKind::Invalid, "too_big", format!("{name}: {what}")),
        _ => Error::internal(format!("{name}: {what}")),
    };
    explained.because(error)
}

/// A file that SQLite cannot read as a database.
pub(crate) fn not_a_database(name: &str) -> Error {
    let message = format!("{name} is not a SQLite database, or it is encrypted");
    Error::new(ErrorKind::Invalid, "not_a_database", message).hint(format!("look what it is with: file {}", shell_word(name)))
}

/// The code SQLite gave, also for a statement it could not read.
pub(crate) fn code_of(error: &rusqlite::Error) -> Option<ffi::Error> {
    match error {
        rusqlite::Error::SqliteFailure(code, _) | rusqlite::Error::SqlInputError { error: code, .. } => Some(*code),
        _ => None,
    }
}

/// What SQLite said, without rusqlite's additions.
pub(crate) fn message_of(error: &rusqlite::Error) -> Option<&str> {
    match error {
        rusqlite::Error::SqliteFailure(_, message) => message.as_deref(),
        rusqlite::Error::SqlInputError { msg, .. } => Some(msg),
        _ => None,
    }
}

/// True where SQLite says no to a statement, or a virtual table to its use; false where it could not ask: the disk failed,
/// it is full, another program has the lock.
pub(crate) fn is_refusal(error: &rusqlite::Error) -> bool {
    code_of(error).is_some_and(|code| code.code == ErrorCode::Unknown || code.extended_code == ffi::SQLITE_CORRUPT_VTAB)
}

/// The name by which messages call a connection's database.
pub(crate) fn name_of(connection: &Connection) -> String {
    match connection.path() {
        Some(path) if !path.is_empty() => display_name(Path::new(path)),
        _ => "the database in memory".to_string(),
    }
}

/// A word of a command to type, quoted where a shell would read it otherwise.
pub(crate) fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "._/-+@%=:,".contains(c);
    if !word.is_empty() && !word.starts_with('-') && word.chars().all(is_plain) {
        return word.to_string();
    }
    format!("'{}'", one_line(word).replace('\'', "'\\''"))
}

fn wait_ms(connection: &Connection) -> u64 {
    connection.query_row("PRAGMA busy_timeout", [], |row| row.get::<_, i64>(0)).unwrap_or(0).unsigned_abs()
}

fn duration(ms: u64) -> String {
    if ms != 0 && ms.is_multiple_of(1000) { format!("{} s", ms / 1000) } else { format!("{ms} ms") }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Runs something again and again, interrupted at each moment in turn, until it runs through; returns how often it was.
#[cfg(test)]
pub(crate) fn cut_short(connection: &mut Connection, mut run: impl FnMut(&Connection)) -> usize {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    for moment in 1.. {
        let (asked, is_cut) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
        let told = is_cut.clone();
        let cut = move || {
            let is_now = asked.fetch_add(1, Ordering::Relaxed) + 1 == moment;
            told.fetch_or(is_now, Ordering::Relaxed);
            is_now
        };
        connection.progress_handler(1, Some(cut)).expect("it is open");
        run(connection);
        connection.progress_handler(0, None::<fn() -> bool>).expect("it is open");
        if !is_cut.load(Ordering::Relaxed) {
            return moment - 1;
        }
    }
    unreachable!("it runs through at last")
}
