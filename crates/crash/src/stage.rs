//! The folder that a script plays in, and the hands that act in it: programs, replicas, the primary.
//!
//! Invariant: one phase of one script asks for the same times and random numbers each time it is played.
//! Invariant: a database keeps its number on the disk from state to state, because a replica knows a copy by it.
use mainstem::core::ErrorKind;
use mainstem::primary::Primary;
use mainstem::replica::{Progress, Replica};
use mainstem::sync::{self, Report};
use mainstem::wiring::{Around, RealSurroundings, Surroundings};
use mainstem::{Error, Result};
use mainstem_disk::{Disk, FileId, Image};
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::InitOptions;
use mainstem_testkit::Seeded;
use rusqlite::Connection;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// The primary's file, below the folder.
pub const PRIMARY: &str = "primary/primary.db";

/// The part of a play, each with times and random numbers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The folder is prepared.
    Prepare = 0,
    /// What is under test runs.
    Act = 1,
    /// It is repeated.
    Again = 2,
    /// Everybody syncs.
    Settle = 3,
}

/// A folder in memory where there is one, so that a sync costs nothing.
pub fn scratch() -> std::io::Result<TempDir> {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())
}

/// A sync that tells nobody how far it is.
pub fn quiet(_: &str, _: u64, _: u64) {}

fn failed(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unavailable, "app", format!("{what}: {error}")).because(error)
}

/// The folder of a script.
pub struct Stage {
    root: TempDir,
    /// The observed folder.
    pub folder: PathBuf,
    /// What observes it.
    pub disk: Disk,
    machines: RefCell<BTreeMap<String, Arc<Seeded>>>,
    phase: Cell<Phase>,
    morning_ms: u64,
    journal: &'static str,
    acknowledged: RefCell<Vec<usize>>,
    /// Open replicas and primaries, while the process goes on with them.
    held: RefCell<Option<Held>>,
}

#[derive(Default)]
struct Held {
    replicas: BTreeMap<String, SqliteReplica>,
    primary: Option<Box<dyn Primary>>,
}

impl Stage {
    /// An empty folder. Programs that make databases in it use that journal mode.
    pub fn new(journal: &'static str) -> std::io::Result<Stage> {
        let root = scratch()?;
        let folder = root.path().join("folder");
        std::fs::create_dir(&folder)?;
        std::fs::create_dir(root.path().join("vault"))?;
        Ok(Stage {
            disk: Disk::over(&folder),
            folder,
            root,
            machines: RefCell::default(),
            phase: Cell::new(Phase::Prepare),
            // Capture writes the real time, so what is asked for must not be far from it.
            morning_ms: RealSurroundings.now_ms(),
            journal,
            acknowledged: RefCell::default(),
            held: RefCell::default(),
        })
    }

    /// From now on replicas and primaries stay open from one use to the next, as in a program that goes on.
    pub fn hold(&self) {
        self.held.replace(Some(Held::default()));
    }

    /// Closes what was held, as at the end of a program.
    pub fn let_go(&self) {
        self.held.replace(None);
    }

    /// Begins a part of the play.
    pub fn begin(&self, phase: Phase) {
        self.phase.set(phase);
        self.machines.borrow_mut().clear();
    }

    /// Time and randomness of one machine in this phase.
    pub fn around(&self, name: &str) -> Around {
        let phase = self.phase.get() as u64;
        let seed = name.bytes().fold(phase + 1, |seed, byte| seed.wrapping_mul(257).wrapping_add(u64::from(byte)));
        let mut machines = self.machines.borrow_mut();
        machines.entry(name.to_string()).or_insert_with(|| Seeded::new(seed, self.morning_ms + phase * 60_000)).clone()
    }

    /// When the play begins, as a Julian day.
    pub fn morning(&self) -> f64 {
        2_440_587.5 + self.morning_ms as f64 / 86_400_000.0
    }

    /// A path below the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The primary's folder.
    pub fn primary_folder(&self) -> PathBuf {
        self.path("primary")
    }

    /// From here on, what was done so far may not be lost.
    pub fn acknowledge(&self) {
        self.acknowledged.borrow_mut().push(self.disk.recorded());
    }

    /// Where in the recording things were acknowledged.
    pub fn acknowledgements(&self) -> Vec<usize> {
        self.acknowledged.take()
    }

    /// A program's connection, as careful as SQLite can be.
    pub fn program(&self, file: &str) -> Result<Connection> {
        let open = || -> rusqlite::Result<Connection> {
            let db = Connection::open(self.path(file))?;
            db.execute_batch("PRAGMA synchronous = EXTRA; PRAGMA foreign_keys = ON")?;
            Ok(db)
        };
        open().map_err(|e| failed(file, e))
    }

    /// A program's statements on a file.
    pub fn app(&self, file: &str, sql: &str) -> Result<()> {
        self.program(file)?.execute_batch(sql).map_err(|e| failed(file, e))
    }

    /// A program makes a database.
    pub fn make(&self, file: &str, sql: &str) -> Result<()> {
        self.app(file, &format!("PRAGMA journal_mode = {}; {sql}", self.journal))
    }

    /// Starts tracking.
    pub fn init(&self, file: &str) -> Result<()> {
        let options = InitOptions { actor: Some(file.to_string()), ..InitOptions::default() };
        SqliteReplica::init(&self.path(file), &options, self.around(file), &mut quiet).map(drop)
    }

    /// Makes the primary.
    pub fn publish(&self, file: &str) -> Result<()> {
        self.replica(file)?.publish(&self.primary_folder(), Some("world"), file, &mut quiet).map(drop)
    }

    /// Makes a replica from the primary.
    pub fn clone_to(&self, file: &str) -> Result<()> {
        let address = self.primary_folder();
        let path = self.path(file);
        let around = self.around(file);
        SqliteReplica::clone_from(&mut **self.primary()?, &address.to_string_lossy(), &path, Some(file), around, &mut quiet)?;
        // A program sets the journal mode of its file; Mainstem never does.
        if self.phase.get() == Phase::Prepare {
            self.app(file, &format!("PRAGMA journal_mode = {}", self.journal))?;
        }
        Ok(())
    }

    /// A tracked file.
    pub fn replica(&self, file: &str) -> Result<Open<'_, SqliteReplica>> {
        let held = self.held.borrow_mut().as_mut().and_then(|held| held.replicas.remove(file));
        let replica = held.map_or_else(|| SqliteReplica::open(&self.path(file), self.around(file)), Ok)?;
        let file = file.to_string();
        Ok(Open { value: Some(replica), stage: self, put_back: Box::new(move |held, replica| drop(held.replicas.insert(file, replica))) })
    }

    /// The primary.
    pub fn primary(&self) -> Result<Open<'_, Box<dyn Primary>>> {
        let held = self.held.borrow_mut().as_mut().and_then(|held| held.primary.take());
        let primary = held.map_or_else(|| mainstem_sqlite::open_primary(&self.primary_folder(), self.around("primary")), Ok)?;
        Ok(Open { value: Some(primary), stage: self, put_back: Box::new(|held, primary| held.primary = Some(primary)) })
    }

    /// Closes the working changes.
    pub fn commit(&self, file: &str) -> Result<()> {
        self.replica(file)?.commit(file, None, "").map(drop)
    }

    /// Sends.
    pub fn push(&self, file: &str) -> Result<Report> {
        self.with_primary(file, sync::push)
    }

    /// Receives.
    pub fn pull(&self, file: &str) -> Result<Report> {
        self.with_primary(file, sync::pull)
    }

    /// Sends and receives.
    pub fn sync(&self, file: &str) -> Result<Report> {
        self.with_primary(file, sync::sync)
    }

    fn with_primary(
        &self,
        file: &str,
        how: fn(&mut dyn Replica, &mut dyn Primary, &str, Progress<'_>) -> Result<Report>,
    ) -> Result<Report> {
        let mut replica = self.replica(file)?;
        replica.lock(file)?;
        how(&mut *replica, &mut **self.primary()?, file, &mut quiet)
    }

    /// The databases there are, but for the primary's.
    pub fn databases(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).filter(|n| n.ends_with(".db")).collect();
        names.sort();
        names
    }

    /// Remembers the files that are there, so that they keep their numbers.
    pub fn keep(&self, image: &Image) -> std::io::Result<()> {
        for (name, file, _) in image.files() {
            let (here, kept) = (self.path(name), self.vault(file));
            if here.exists() && !kept.exists() {
                std::fs::hard_link(here, kept)?;
            }
        }
        Ok(())
    }

    fn vault(&self, file: FileId) -> PathBuf {
        self.root.path().join("vault").join(file.0.to_string())
    }

    /// Puts the folder into a state.
    pub fn show(&self, image: &Image) -> std::io::Result<()> {
        clear(&self.folder)?;
        for (name, file, bytes) in image.files() {
            let (here, kept) = (self.path(name), self.vault(file));
            if let Some(parent) = here.parent() {
                std::fs::create_dir_all(parent)?;
            }
            if kept.exists() {
                std::fs::hard_link(kept, &here)?;
            }
            std::fs::write(&here, bytes)?;
        }
        Ok(())
    }
}

/// Gives something open to those who hold it.
type PutBack<T> = Box<dyn FnOnce(&mut Held, T)>;

/// Something open, held by the stage afterwards where it holds things.
pub struct Open<'s, T> {
    value: Option<T>,
    stage: &'s Stage,
    put_back: PutBack<T>,
}

impl<T> Deref for Open<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value.as_ref().expect("it is there until this is dropped")
    }
}

impl<T> DerefMut for Open<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("it is there until this is dropped")
    }
}

impl<T> Drop for Open<'_, T> {
    fn drop(&mut self) {
        let put_back = std::mem::replace(&mut self.put_back, Box::new(|_, _| {}));
        if let (Some(held), Some(value)) = (self.stage.held.borrow_mut().as_mut(), self.value.take()) {
            put_back(held, value);
        }
    }
}

/// Deletes what is in a folder.
pub fn clear(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)?.flatten() {
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
