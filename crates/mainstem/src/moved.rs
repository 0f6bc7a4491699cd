//! What moved between a replica and its primary: changes by table and source, counted from the versions themselves.
//!
//! Invariant: nothing is counted beside the versions, so that no figure disagrees with them.
use crate::error::Result;
use mainstem_core::change::{Change, Shape};
use mainstem_core::event::Version;
use mainstem_core::format::page;
use mainstem_core::stamp::{ReplicaId, Time};
use std::collections::BTreeMap;

/// Where changes were made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The copy.
    pub replica: ReplicaId,
    /// By whom.
    pub actor: String,
}

/// Changes of one table from one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Changed rows, each as often as it was.
    pub rows: u64,
    /// Their bytes as they are before they are compressed.
    pub bytes: u64,
    /// When the last of them was accepted.
    pub last: Time,
    /// The version that was.
    pub version: u64,
}

impl Moved {
    /// Both together.
    pub fn and(self, other: Moved) -> Moved {
        let later = if other.version > self.version { other } else { self };
        Moved { rows: self.rows + other.rows, bytes: self.bytes + other.bytes, ..later }
    }
}

/// Which changes are counted.
pub type Wanted<'w> = &'w mut dyn FnMut(&Shape, &Change) -> Result<bool>;

/// What moved, by table (as it was called then) and source.
#[derive(Clone, Debug, Default)]
pub struct Tally(BTreeMap<(String, Source), Moved>);

impl Tally {
    /// Counts one page of a version.
    pub fn add(&mut self, version: &Version, bytes: &[u8], wanted: Wanted<'_>) -> Result<()> {
        for change in page::decode(bytes, &version.shapes)? {
            let shape = &version.shapes[change.table];
            if !wanted(shape, &change)? {
                continue;
            }
            let source = Source { replica: version.header.replica, actor: version.header.actor.clone() };
            let moved = self.0.entry((shape.table.clone(), source)).or_default();
            let bytes = page::encode(&version.shapes, std::slice::from_ref(&change)).len() as u64;
            *moved = moved.and(Moved { rows: 1, bytes, last: version.accepted_at, version: version.version });
        }
        Ok(())
    }

    /// Everything, by table.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Source, &Moved)> {
        self.0.iter().map(|((table, source), moved)| (table.as_str(), source, moved))
    }

    /// The sources, each with what came from it in all.
    pub fn sources(&self) -> BTreeMap<&Source, Moved> {
        let mut sources: BTreeMap<&Source, Moved> = BTreeMap::new();
        for (_, source, moved) in self.all() {
            let all = sources.entry(source).or_default();
            *all = all.and(*moved);
        }
        sources
    }
}
