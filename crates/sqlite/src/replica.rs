//! A tracked SQLite file as a replica.
use mainstem::error::{Error, Result};
use mainstem::primary::{Description, Primary};
use mainstem::replica::Progress;
use mainstem::wiring::Around;
use std::path::Path;

/// How to begin tracking.
#[derive(Clone, Debug, Default)]
pub struct InitOptions {
    /// Track only these tables; all where empty.
    pub tables: Vec<String>,
    /// Leave these tables out.
    pub exclude: Vec<String>,
    /// The actor to configure in the replica.
    pub actor: Option<String>,
}

/// What init found and did.
#[derive(Clone, Debug, Default)]
pub struct InitReport {
    /// Tables tracked, with their row counts.
    pub tracked: Vec<(String, u64)>,
    /// Tables that cannot be tracked: name, why, what to do.
    pub refused: Vec<(String, String, String)>,
    /// Policy lines proposed from column names (`updated_at` as `max`).
    pub proposed_policy: Vec<(String, String)>,
    /// True where the file was tracked before and nothing changed.
    pub already: bool,
}

/// A tracked SQLite file.
pub struct SqliteReplica;

impl SqliteReplica {
    /// Starts tracking a file in place.
    pub fn init(path: &Path, options: &InitOptions, around: Around, progress: Progress<'_>) -> Result<InitReport> {
        let _ = (path, options, around, progress);
        Err(Error::internal("init"))
    }
    /// Stops tracking: removes every `mainstem_` object. Refuses to drop unsent work unless `force`.
    pub fn deinit(path: &Path, force: bool, around: Around) -> Result<()> {
        let _ = (path, force, around);
        Err(Error::internal("deinit"))
    }
    /// Opens a tracked file. Heals capture where the app changed the schema.
    pub fn open(path: &Path, around: Around) -> Result<SqliteReplica> {
        let _ = (path, around);
        Err(Error::internal("open"))
    }
    /// Makes a primary from this replica in a folder that is empty or not there.
    pub fn publish(&mut self, folder: &Path, dataset: Option<&str>, actor: &str, progress: Progress<'_>) -> Result<Description> {
        let _ = (folder, dataset, actor, progress);
        Err(Error::internal("publish"))
    }
    /// Makes a new replica file from a primary. The file must not exist. `address` is remembered as the remote.
    pub fn clone_from(primary: &mut dyn Primary, address: &str, path: &Path, actor: Option<&str>, around: Around, progress: Progress<'_>) -> Result<Description> {
        let _ = (primary, address, path, actor, around, progress);
        Err(Error::internal("clone"))
    }
    /// Configures the actor in the replica.
    pub fn set_actor(&mut self, actor: &str) -> Result<()> {
        let _ = actor;
        Err(Error::internal("set_actor"))
    }
    /// Sets or changes the primary's address.
    pub fn set_remote(&mut self, address: &str) -> Result<()> {
        let _ = address;
        Err(Error::internal("set_remote"))
    }
}
