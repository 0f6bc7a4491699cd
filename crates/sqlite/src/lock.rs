//! One sync at a time for each replica (SYN-6), and one watch, by advisory locks on files of their own beside the database.
//!
//! Invariant: the lock is the kernel's `flock`, so it goes with its process however that ends; the file's text only
//! tells others who holds it. The database itself is never opened for this (CAP-10).
//! Invariant: a holder's file is the one at the path: whoever gets the lock looks whether the path still leads to the
//! file it locked, so that removing the file on release is safe.
use crate::errors::display_name;
use mainstem::core::ErrorKind;
use mainstem::{Error, Result};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How often taking is tried again when the file is replaced while it is being locked.
const ATTEMPTS_MAX: usize = 100;

/// The longest text that is read from another holder's file.
const HOLDER_BYTES_MAX: u64 = 4096;

/// What only one may do with a replica at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Sync,
    Watch,
}

/// The right to sync one replica, until it is dropped.
#[derive(Debug)]
pub struct SyncLock {
    _lock: Lock,
}

impl SyncLock {
    /// Takes the lock of the database at `database` for `holder` (an actor's name) at `now_ms`, or says who has it.
    pub fn take(database: &Path, holder: &str, now_ms: u64) -> Result<SyncLock> {
        Ok(SyncLock { _lock: Lock::take(Purpose::Sync, database, holder, now_ms)? })
    }
}

/// The right to keep one replica in sync, until it is dropped.
#[derive(Debug)]
pub struct WatchLock {
    lock: Lock,
}

impl WatchLock {
    /// Takes the lock of the database at `database` for `holder` (an actor's name) at `now_ms`, or says who has it.
    pub fn take(database: &Path, holder: &str, now_ms: u64) -> Result<WatchLock> {
        Ok(WatchLock { lock: Lock::take(Purpose::Watch, database, holder, now_ms)? })
    }
    /// The database without links, as it was when the lock was taken.
    pub fn database(&self) -> &Path {
        &self.lock.database
    }
    /// True where any process holds the lock of that database, named without links.
    pub fn is_held(database: &Path) -> bool {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let Ok(file) = rustix::fs::open(Purpose::Watch.path(database), flags, Mode::empty()) else { return false };
        matches!(rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared), Err(Errno::WOULDBLOCK))
    }
}

#[derive(Debug)]
struct Lock {
    database: PathBuf,
    path: PathBuf,
    file: File,
}

impl Purpose {
    /// The lock file beside a database.
    fn path(self, database: &Path) -> PathBuf {
        let mut name = database.as_os_str().to_os_string();
        name.push(match self {
            Purpose::Sync => "-mainstem-lock",
            Purpose::Watch => "-mainstem-watch",
        });
        PathBuf::from(name)
    }
    /// Somebody else has the lock.
    fn held(self, database: &Path, file: File) -> Error {
        let name = display_name(database);
        let what = match self {
            Purpose::Sync => "synced",
            Purpose::Watch => "watched",
        };
        let message = match holder(file).lines().collect::<Vec<_>>()[..] {
            [holder, process, since] => format!("{name} is being {what} by {holder} (process {process}) since {since}"),
            _ => format!("{name} is being {what} by another process"),
        };
        match self {
            Purpose::Sync => Error::new(ErrorKind::Unavailable, "sync_locked", message).hint("wait until it is done, then try again"),
            Purpose::Watch => Error::new(ErrorKind::Unavailable, "watched", message).hint("mainstem watch --status"),
        }
    }
}

impl Lock {
    fn take(purpose: Purpose, database: &Path, holder: &str, now_ms: u64) -> Result<Lock> {
        let real =
            std::fs::canonicalize(database).map_err(|e| Error::not_found(format!("there is no file {}", database.display())).because(e))?;
        let path = purpose.path(&real);
        for _ in 0..ATTEMPTS_MAX {
            let (file, is_ours) = open(&real, &path)?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(purpose.held(&real, file)),
                Err(e) => return Err(failed(&real, e)),
            }
            if !is_at(&file, &path) {
                continue;
            }
            if !is_ours {
                // Left by another user's process that was killed: it cannot be written, so it makes way.
                std::fs::remove_file(&path).map_err(|e| failed(&real, e))?;
                continue;
            }
            let mut lock = Lock { database: real.clone(), path, file };
            lock.write(holder, now_ms).map_err(|e| failed(&real, e))?;
            return Ok(lock);
        }
        Err(failed(&real, std::io::Error::other("its lock file is replaced again and again")))
    }

    fn write(&mut self, holder: &str, now_ms: u64) -> std::io::Result<()> {
        let name: String = holder.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.file.set_len(0)?;
        write!(self.file, "{name}\n{}\n{}\n", std::process::id(), minute(now_ms))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            // Where it cannot be removed it is only a file without a lock, and the next holder takes it over.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The sync lock's file beside a database.
pub fn lock_path(database: &Path) -> PathBuf {
    Purpose::Sync.path(database)
}

/// Opens the lock file, and says whether it can be written.
fn open(database: &Path, path: &Path) -> Result<(File, bool)> {
    let mode = std::fs::metadata(database).map_or(0o600, |m| m.mode() & 0o666);
    let safe = OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match rustix::fs::open(path, OFlags::RDWR | OFlags::CREATE | safe, Mode::from_raw_mode(mode)) {
        Ok(file) => Ok((File::from(file), true)),
        Err(first) => match rustix::fs::open(path, OFlags::RDONLY | safe, Mode::empty()) {
            Ok(file) => Ok((File::from(file), false)),
            Err(_) => Err(failed(database, first)),
        },
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => ours.dev() == there.dev() && ours.ino() == there.ino(),
        _ => false,
    }
}

/// What the holder wrote. What cannot be read is only left out of a sentence.
fn holder(file: File) -> String {
    let mut text = Vec::new();
    let _ = file.take(HOLDER_BYTES_MAX).read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn failed(database: &Path, error: impl Into<std::io::Error>) -> Error {
    let error = error.into();
    let name = display_name(database);
    Error::new(ErrorKind::Unavailable, "read_only", format!("{name} cannot be locked: {error}"))
        .hint("make the file's folder writable for you")
        .because(error)
}

/// A time as people write it, to the minute. The calendar is Howard Hinnant's `civil_from_days`.
fn minute(ms: u64) -> String {
    let minutes = ms / 60_000;
    let (days, of_day) = ((minutes / 1440) as i64, minutes % 1440);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", of_day / 60, of_day % 60)
}
