//! Where primaries are made and kept: one place for one dataset, or many on a server.
use crate::error::Result;
use crate::local::{Fill, Founding};
use crate::primary::Primary;

/// Where one dataset's primary is, or will be.
pub trait Place {
    /// The address that replicas remember.
    fn address(&self) -> Result<String>;
    /// Opens the primary. `NotFound` with the code `no_primary` where there is none.
    fn open(&mut self) -> Result<Box<dyn Primary>>;
    /// Founds the primary, whole or not at all. `Conflict` with the code `occupied` where something else is there.
    fn found(&mut self, founding: &Founding<'_>, fill: Fill<'_>) -> Result<()>;
}

/// The datasets that one server keeps, by name. Safe to call from many threads at once.
pub trait Datasets: Send + Sync {
    /// The names, sorted.
    fn names(&self) -> Result<Vec<String>>;
    /// Opens one. `NotFound` with the code `no_primary` where there is none of that name.
    fn open(&self, name: &str) -> Result<Box<dyn Primary + Send>>;
    /// Founds one, whole or not at all. `Conflict` with the code `occupied` where there is one already.
    fn found(&self, name: &str, founding: &Founding<'_>, fill: Fill<'_>) -> Result<()>;
}
