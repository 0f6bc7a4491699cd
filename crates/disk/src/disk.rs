//! An observed folder: what is counted, what fails, what is remembered.
//!
//! Invariant: while nothing is asked for, an operation costs one more addition and one more look at a flag.
use crate::folder::Listing;
use crate::image::{Fate, Image};
use crate::operation::{Act, FileId, Operation, unsynced};
use crate::shim;
use rusqlite::ffi;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The disk does not do it.
    Io,
    /// There is no room: of what is written a part gets there, and nothing new is made. Needs none: sync, truncate, delete.
    Full,
}

/// What an operation is, for its failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Create,
    Write,
    Truncate,
    Sync,
    Delete,
}

impl Kind {
    fn failed(self) -> i32 {
        match self {
            Kind::Create => ffi::SQLITE_CANTOPEN,
            Kind::Write => ffi::SQLITE_IOERR_WRITE,
            Kind::Truncate => ffi::SQLITE_IOERR_TRUNCATE,
            Kind::Sync => ffi::SQLITE_IOERR_FSYNC,
            Kind::Delete => ffi::SQLITE_IOERR_DELETE,
        }
    }
    fn needs_room(self) -> bool {
        matches!(self, Kind::Create | Kind::Write)
    }
}

/// What happened since a recording or a wait for a crash began.
#[derive(Debug)]
struct Track {
    listing: Listing,
    /// What files held when they were first touched.
    base: Image,
    operations: Vec<Operation>,
    is_recorded: bool,
}

#[derive(Debug, Default)]
struct State {
    crash_at: Option<u64>,
    fault: Option<(u64, Failure, bool)>,
    /// How many reads were asked for while anything was watched, and which of them fails.
    reads: u64,
    read_fault: Option<u64>,
    is_crashed: bool,
    failed: u64,
    track: Option<Track>,
}

/// What the shim holds of a folder.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) folder: PathBuf,
    count: AtomicU64,
    is_watched: AtomicBool,
    state: Mutex<State>,
}

/// A folder whose SQLite files are observed, until this is dropped. Folders are independent of each other.
#[derive(Debug)]
pub struct Disk {
    inner: Arc<Inner>,
}

impl Drop for Disk {
    fn drop(&mut self) {
        shim::forget(&self.inner);
    }
}

impl Disk {
    /// Observes the SQLite files below a folder that are opened from now on. The folder must be there.
    ///
    /// # Panics
    /// Where the folder is not there.
    pub fn over(folder: &Path) -> Disk {
        shim::install();
        let folder = std::fs::canonicalize(folder).expect("an observed folder is there");
        let inner = Arc::new(Inner { folder, count: AtomicU64::new(0), is_watched: AtomicBool::new(false), state: Mutex::default() });
        shim::observe(&inner);
        Disk { inner }
    }

    /// How many operations SQLite has asked for: files made, writes, truncates, syncs, deletes.
    pub fn operations(&self) -> u64 {
        self.inner.count.load(Ordering::SeqCst)
    }

    /// Records what happens from now on, and what happens past SQLite between its operations.
    pub fn record(&self) {
        let mut state = self.inner.state();
        let listing = Listing::begin(&self.inner.folder);
        state.track = Some(Track { listing, base: Image::default(), operations: Vec::new(), is_recorded: true });
        self.inner.refresh(&state);
    }

    /// What the files hold, for the operations of a recording to move on. To be asked when a recording has just begun.
    ///
    /// No connection may be open: reading a file past SQLite would drop the locks of this process.
    pub fn image(&self) -> Image {
        let state = self.inner.state();
        state.track.as_ref().map_or_else(Image::default, |track| track.listing.image(&self.inner.folder))
    }

    /// How many operations the recording has by now.
    pub fn recorded(&self) -> usize {
        let mut state = self.inner.state();
        state.look_around(&self.inner.folder);
        state.track.as_ref().map_or(0, |track| track.operations.len())
    }

    /// Ends a recording and gives it.
    pub fn take(&self) -> Vec<Operation> {
        let mut state = self.inner.state();
        state.look_around(&self.inner.folder);
        let Some(track) = &mut state.track else { return Vec::new() };
        track.is_recorded = false;
        if state.crash_at.is_some() || state.is_crashed {
            return state.track.as_ref().map_or_else(Vec::new, |track| track.operations.clone());
        }
        let operations = state.track.take().map_or_else(Vec::new, |track| track.operations);
        self.inner.refresh(&state);
        operations
    }

    /// Lets the `n`th operation from now (1 is the next) and all after it fail, as if the process were gone. What was
    /// not synced before this call counts as synced.
    pub fn crash_at(&self, n: u64) {
        let mut state = self.inner.state();
        state.crash_at = Some(self.operations() + n.max(1));
        if state.track.is_none() {
            let listing = Listing::begin(&self.inner.folder);
            state.track = Some(Track { listing, base: Image::default(), operations: Vec::new(), is_recorded: false });
        }
        self.inner.refresh(&state);
    }

    /// Lets the `n`th operation from now (1 is the next) fail; with `lasting` all after it, too. A full disk fails the
    /// first operation from there that needs room.
    pub fn fail_at(&self, n: u64, failure: Failure, lasting: bool) {
        let mut state = self.inner.state();
        state.fault = Some((self.operations() + n.max(1), failure, lasting));
        self.inner.refresh(&state);
    }

    /// Lets the `n`th read from now (1 is the next) fail, once.
    pub fn fail_read_at(&self, n: u64) {
        let mut state = self.inner.state();
        state.read_fault = Some(state.reads + n.max(1));
        self.inner.refresh(&state);
    }

    /// How many reads SQLite asked for while something was recorded or was to fail.
    pub fn reads(&self) -> u64 {
        self.inner.state().reads
    }

    /// True once the operation of [`Disk::crash_at`] was reached, until the disk is settled or calm.
    pub fn is_crashed(&self) -> bool {
        self.inner.state().is_crashed
    }

    /// How many operations were made to fail so far.
    pub fn failed(&self) -> u64 {
        self.inner.state().failed
    }

    /// Nothing fails any more, and nothing is recorded.
    pub fn calm(&self) {
        let mut state = self.inner.state();
        *state = State { failed: state.failed, reads: state.reads, ..State::default() };
        self.inner.refresh(&state);
    }

    /// After a crash, when every connection is closed: damages what was not synced, and lets the disk work again.
    ///
    /// `damage` is asked for numbers below its argument. Always zero is what the end of a process does, which loses nothing;
    /// anything else is a power cut: each operation that was not synced is kept, lost, or torn at sectors.
    pub fn settle(&self, damage: &mut dyn FnMut(u64) -> u64) {
        let mut state = self.inner.state();
        if let Some(track) = state.track.take().filter(|_| state.is_crashed) {
            track.settle(&self.inner.folder, damage);
        }
        *state = State { failed: state.failed, reads: state.reads, ..State::default() };
        self.inner.refresh(&state);
    }
}

impl Track {
    fn settle(self, folder: &Path, damage: &mut dyn FnMut(u64) -> u64) {
        let mut fates = vec![Fate::Kept; self.operations.len()];
        for at in unsynced(&self.operations) {
            let is_write = matches!(self.operations[at].act, Act::Write(..));
            fates[at] = match damage(if is_write { 3 } else { 2 }) {
                0 => Fate::Kept,
                1 => Fate::Lost,
                _ => Fate::Torn(damage(1 << 32) | damage(1 << 32) << 32),
            };
        }
        let image = self.base.after(&self.operations, |at| fates[at]);
        image.write_to(folder).expect("an observed folder can be written");
        let touched: BTreeSet<&str> = self.operations.iter().map(|operation| operation.path.as_str()).collect();
        for path in touched.into_iter().filter(|path| image.bytes(path).is_none()) {
            // It may be gone already.
            let _ = std::fs::remove_file(folder.join(path));
        }
    }

    /// The file at a path, whose bytes are remembered before it changes.
    fn touch(&mut self, path: &str, whole: impl FnOnce() -> Vec<u8>) -> Option<FileId> {
        let file = self.listing.at(path)?;
        let is_made = |o: &Operation| o.file == file && matches!(o.act, Act::Create | Act::Placed(_));
        if !self.base.contents.contains_key(&file) && !self.operations.iter().any(is_made) {
            self.base.put(path, file, whole());
        }
        Some(file)
    }
}

impl State {
    fn look_around(&mut self, folder: &Path) {
        if let Some(track) = self.track.as_mut().filter(|_| !self.is_crashed) {
            let news = track.listing.news(folder);
            track.operations.extend(news);
        }
    }

    /// Whether an operation fails now, and how.
    fn verdict(&mut self, number: u64, kind: Kind) -> Option<Failure> {
        if self.crash_at.is_some_and(|at| number >= at) {
            self.is_crashed = true;
        }
        if self.is_crashed {
            return Some(Failure::Io);
        }
        let (at, failure, lasting) = self.fault?;
        if number < at || failure == Failure::Full && !kind.needs_room() {
            return None;
        }
        if !lasting {
            self.fault = None;
        }
        self.failed += 1;
        Some(failure)
    }
}

/// One operation that SQLite asks for, as the shim sees it.
pub(crate) struct Asked<'a> {
    pub path: &'a str,
    pub kind: Kind,
    /// The file's bytes as they are.
    pub whole: &'a dyn Fn() -> Vec<u8>,
    /// What it is; of a write, the part of it that there is still room for.
    pub act: &'a dyn Fn(bool) -> Act,
    /// Does it; of a write, the part of it that there is still room for.
    pub run: &'a mut dyn FnMut(bool) -> i32,
    /// True where the names in the folder are synced with it.
    pub syncs_folder: bool,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // A test that failed while it held the lock has said so already.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refresh(&self, state: &State) {
        let is_watched = state.track.is_some() || state.fault.is_some() || state.read_fault.is_some() || state.crash_at.is_some();
        self.is_watched.store(is_watched, Ordering::SeqCst);
    }

    /// The path below the folder, where the file is below it.
    pub(crate) fn below<'p>(&self, path: &'p Path) -> Option<&'p str> {
        path.strip_prefix(&self.folder).ok()?.to_str()
    }

    /// Sees what happened past SQLite before it opens a file: such a file is read before anybody has a lock on it.
    pub(crate) fn look_around(&self) {
        if self.is_watched.load(Ordering::Acquire) {
            self.state().look_around(&self.folder);
        }
    }

    /// Whether a read fails now.
    pub(crate) fn refuses_read(&self) -> bool {
        if !self.is_watched.load(Ordering::Acquire) {
            return false;
        }
        let mut state = self.state();
        state.reads += 1;
        let is_refused = state.read_fault == Some(state.reads);
        state.failed += u64::from(is_refused);
        is_refused
    }

    /// Counts an operation and does it, unless it is to fail.
    pub(crate) fn perform(&self, asked: Asked<'_>) -> i32 {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.is_watched.load(Ordering::Acquire) {
            return (asked.run)(false);
        }
        let mut state = self.state();
        state.look_around(&self.folder);
        let verdict = state.verdict(number, asked.kind);
        if verdict == Some(Failure::Io) {
            return asked.kind.failed();
        }
        if verdict == Some(Failure::Full) && asked.kind == Kind::Create {
            return ffi::SQLITE_CANTOPEN;
        }
        let is_cut = verdict == Some(Failure::Full);
        let touched = match (&mut state.track, asked.kind) {
            (Some(track), Kind::Create) => track.touch(asked.path, Vec::new),
            (Some(track), _) => track.touch(asked.path, asked.whole),
            (None, _) => None,
        };
        let result = (asked.run)(is_cut);
        if let Some(track) = state.track.as_mut().filter(|_| result == ffi::SQLITE_OK) {
            let file = match asked.kind {
                Kind::Create => Some(track.listing.made(&self.folder, asked.path)),
                _ => touched,
            };
            if let Some(file) = file {
                track.operations.push(Operation { file, path: asked.path.to_string(), act: (asked.act)(is_cut) });
                if asked.syncs_folder {
                    track.operations.push(Operation { file, path: asked.path.to_string(), act: Act::SyncFolder });
                }
            }
            if asked.kind == Kind::Delete {
                track.listing.deleted(asked.path);
            }
        }
        if is_cut { ffi::SQLITE_FULL } else { result }
    }
}
