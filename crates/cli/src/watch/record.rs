//! What a watch leaves for other terminals: one small file for each replica in the user's runtime folder, mode 0600.
//!
//! Invariant: written when something happened, never in between, and never into the tracked database. A file that cannot
//! be written takes only `--status` away. Whether a watch still runs is told by its lock, not by its file.
use super::Wanted;
use super::telling::{name, trouble, trouble_json};
use super::worker::Ended;
use crate::plain_text::moment_ms;
use mainstem::watch::State;
use mainstem_sqlite::lock::WatchLock;
use serde_json::{Value as Json, json};
use std::fs::{DirBuilder, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The longest record that is read.
const BYTES_MAX: u64 = 64 * 1024;

/// A replica's record, kept by its watch.
pub struct Record {
    file: Option<PathBuf>,
    what: Json,
}

impl Record {
    /// Begins the record of a watch.
    pub fn begin(wanted: &Wanted, at_ms: u64) -> Record {
        let database = wanted.lock.database();
        let what = json!({
            "database": database.display().to_string(),
            "actor": wanted.actor,
            "primary": wanted.primary,
            "process": std::process::id(),
            "state": "starting",
            "since": moment_ms(at_ms),
            "code": null,
            "message": null,
            "hint": null,
            "last_sync": null,
            "version": null,
            "primary_version": null,
            "conflicts_open": null,
            "syncs": 0,
            "pushed_changes": 0,
            "pulled": 0,
        });
        let record = Record { file: file_of(database), what };
        record.write();
        record
    }

    /// It goes otherwise from now on.
    pub fn state(&mut self, state: &State, at_ms: u64) {
        self.set("state", json!(name(state)));
        self.set("since", json!(moment_ms(at_ms)));
        if let Json::Object(told) = trouble_json(trouble(state)) {
            told.into_iter().for_each(|(key, value)| self.set(&key, value));
        }
        self.write();
    }

    /// The primary is at that version.
    pub fn heard(&mut self, version: u64) {
        if self.what["primary_version"] != json!(version) {
            self.set("primary_version", json!(version));
            self.write();
        }
    }

    /// A sync was done.
    pub fn synced(&mut self, ended: &Ended, at_ms: u64) {
        let report = &ended.report;
        self.set("last_sync", json!(moment_ms(at_ms)));
        self.set("primary", json!(ended.primary));
        self.set("version", json!(report.version));
        let heard = self.what["primary_version"].as_u64().unwrap_or_default();
        self.set("primary_version", json!(heard.max(report.version)));
        self.set("conflicts_open", json!(report.conflicts_open));
        for (key, more) in [("syncs", 1), ("pushed_changes", report.pushed_changes), ("pulled", report.pulled)] {
            let before = self.what[key].as_u64().unwrap_or_default();
            self.set(key, json!(before + more));
        }
        self.write();
    }

    /// The watch is over.
    pub fn end(self) {
        if let Some(file) = &self.file {
            let _ = std::fs::remove_file(file);
        }
    }

    fn set(&mut self, key: &str, value: Json) {
        self.what[key] = value;
    }

    fn write(&self) {
        if let Some(file) = &self.file {
            // The runtime folder may be full or gone; the watch goes on.
            let _ = replace(file, &format!("{}\n", self.what));
        }
    }
}

/// What the watch of a database last said, named without links; none where it is not watched.
pub fn of(database: &Path) -> Option<Json> {
    if !WatchLock::is_held(database) {
        return None;
    }
    let told = read(&file_of(database)?)?;
    (told["database"] == json!(database.display().to_string())).then_some(told)
}

/// What every running watch of this user last said, by database.
pub fn all() -> Vec<Json> {
    let files = folder().and_then(|folder| std::fs::read_dir(folder).ok());
    let files = files.into_iter().flatten().flatten().map(|entry| entry.path());
    let told = files.filter(|file| file.extension().is_some_and(|e| e == "json")).filter_map(|file| read(&file));
    let is_running = |told: &Json| told["database"].as_str().is_some_and(|database| WatchLock::is_held(Path::new(database)));
    let mut all: Vec<Json> = told.filter(is_running).collect();
    all.sort_by_key(|told| told["database"].to_string());
    all
}

/// The user's runtime folder, or one in the home folder that outlives a session.
fn folder() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = named("XDG_RUNTIME_DIR").or_else(|| named("HOME").map(|home| home.join(".local/state")))?;
    Some(base.join("mainstem"))
}

fn file_of(database: &Path) -> Option<PathBuf> {
    let mut hasher = DefaultHasher::new();
    database.hash(&mut hasher);
    Some(folder()?.join(format!("watch-{:016x}.json", hasher.finish())))
}

/// Puts a text in the place of a file in one step, so that a reader sees one record or the other.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let fresh = file.with_extension("new");
    // Left by a process that was killed while it wrote.
    let _ = std::fs::remove_file(&fresh);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?.write_all(text.as_bytes())?;
    std::fs::rename(&fresh, file)
}

fn read(file: &Path) -> Option<Json> {
    let is_small = std::fs::metadata(file).is_ok_and(|status| status.len() <= BYTES_MAX);
    serde_json::from_str(&std::fs::read_to_string(file).ok().filter(|_| is_small)?).ok()
}
