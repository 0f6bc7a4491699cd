//! A dataset as a whole, as JSON: what it is, what is asked to be done to it, and what is answered.
use super::shown::{bits, hex, moment};
use mainstem::cleanup::{Cleanup, Rehearsal};
use mainstem::core::event::TableDigest;
use mainstem::core::policy::Life;
use mainstem::datasets::Kept;
use mainstem::primary::Description;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The media type of an exported dataset: a SQLite file.
pub const FILE_TYPE: &str = "application/vnd.sqlite3";

/// Which datasets.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetsAsked {
    /// Archived ones as well.
    #[serde(default)]
    pub all: bool,
}

/// What is to be different about a dataset.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetChange {
    /// Whether it is read, and not written.
    pub is_archived: bool,
}

/// Says once more what is to be deleted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirmed {
    /// The dataset's name.
    pub name: String,
}

/// A policy to be in force.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyWish {
    /// As TOML.
    pub policy: String,
}

/// Asks for a cleanup.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CleanupWish {
    /// Whether it is only told what it would do.
    #[serde(default)]
    pub dry_run: bool,
}

/// A dataset.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownDataset {
    /// Its name on this server.
    pub name: String,
    /// What it is, for ever.
    pub lineage: String,
    /// Which life of it this is.
    pub epoch: String,
    /// The latest version.
    pub version: u64,
    /// How many events its ledger has.
    pub events: u64,
    /// The hash of the last event.
    pub head: String,
    /// The oldest version a replica may hold.
    pub horizon: u64,
    /// Whether it is read, and not written.
    pub is_archived: bool,
    /// Its tables.
    pub tables: Vec<ShownTable>,
}

/// A table.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownTable {
    /// Its name.
    pub table: String,
    /// How many rows it has.
    pub rows: u64,
    /// The sum of its rows' digests.
    pub digest: String,
}

impl From<&TableDigest> for ShownTable {
    fn from(digest: &TableDigest) -> Self {
        ShownTable { table: digest.table.clone(), rows: digest.rows, digest: hex(&digest.sum) }
    }
}

impl ShownDataset {
    /// A dataset under its name on the server.
    pub fn new(name: &str, description: &Description, is_archived: bool) -> Self {
        ShownDataset {
            name: name.to_string(),
            lineage: bits(description.lineage),
            epoch: bits(description.epoch),
            version: description.head.version,
            events: description.head.events,
            head: hex(&description.head.hash),
            horizon: description.horizon,
            is_archived,
            tables: description.tables.iter().map(ShownTable::from).collect(),
        }
    }
}

/// A policy.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownPolicy {
    /// As TOML.
    pub policy: String,
}

/// A backup.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ShownBackup {
    /// What it is called.
    pub backup: String,
    /// Which life of the dataset it is of.
    pub epoch: Option<String>,
    /// The latest version in it.
    pub version: u64,
    /// When it was made.
    pub at: String,
    /// How large it is.
    pub bytes: u64,
}

impl From<&Kept> for ShownBackup {
    fn from(kept: &Kept) -> Self {
        let epoch = kept.epoch.map(bits);
        ShownBackup { backup: kept.name.clone(), epoch, version: kept.version, at: moment(kept.at), bytes: kept.bytes }
    }
}

/// What was restored.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ShownRestored {
    /// The backup.
    pub backup: String,
    /// The latest version in it.
    pub version: u64,
    /// The life of the dataset that began.
    pub epoch: Option<String>,
}

impl From<&Kept> for ShownRestored {
    fn from(kept: &Kept) -> Self {
        let ShownBackup { backup, epoch, version, .. } = kept.into();
        ShownRestored { backup, version, epoch }
    }
}

/// What a cleanup did or would do.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ShownCleanup {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Tombstones that are forgotten, by table.
    pub forgotten: Vec<ShownForgotten>,
    /// The oldest version that a replica could hold before.
    pub horizon_before: u64,
    /// The oldest version that a replica may hold.
    pub horizon: u64,
    /// Pages of row changes that are removed.
    pub pages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Replicas that must be seeded again.
    pub must_reseed: Vec<String>,
    /// How many replicas hold something back.
    pub holding: usize,
    /// For how many days row changes are kept; null for ever.
    pub history_days: Option<u32>,
}

/// Tombstones of a table.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ShownForgotten {
    /// The table.
    pub table: String,
    /// How many.
    pub count: u64,
}

impl ShownCleanup {
    /// That cleanup.
    pub fn new(done: &Cleanup, rehearsal: Rehearsal) -> ShownCleanup {
        let forgotten = done.collected.tombstones.iter().map(|of| ShownForgotten { table: of.table.clone(), count: of.count });
        ShownCleanup {
            dry_run: rehearsal == Rehearsal::DryRun,
            forgotten: forgotten.collect(),
            horizon_before: done.horizon_before,
            horizon: done.collected.horizon,
            pages: done.pages,
            bytes: done.bytes,
            must_reseed: done.collected.expired.iter().map(ToString::to_string).collect(),
            holding: done.holding.len(),
            history_days: match done.history.0 {
                Life::Days(days) => Some(days),
                Life::Forever => None,
            },
        }
    }
}
