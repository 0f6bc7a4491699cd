//! What a folder's files hold at a moment, in memory: read from a folder, moved on by operations, written back.
//!
//! Invariant: a file that is there keeps its number on the disk when its bytes are written back.
use crate::operation::{Act, FileId, Operation};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The smallest part of a write that a disk keeps or loses as a whole, in bytes.
const SECTOR: u64 = 512;

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is on the disk.
    Kept,
    /// It never was.
    Lost,
    /// Of a write, the sectors whose bit is set are on the disk (bit `n` for sectors `n`, `n + 64`, …). Anything else is.
    Torn(u64),
}

/// The files of a folder and what they hold.
#[derive(Clone, Debug, Default)]
pub struct Image {
    pub(crate) names: BTreeMap<String, FileId>,
    pub(crate) contents: BTreeMap<FileId, Arc<Vec<u8>>>,
}

impl Image {
    /// The files below a folder by path, with their bytes. Shared memory is left out.
    pub fn files(&self) -> impl Iterator<Item = (&str, FileId, &[u8])> {
        self.names.iter().map(|(name, id)| (name.as_str(), *id, self.contents.get(id).map_or(&[][..], |c| c.as_slice())))
    }

    /// The bytes of a file.
    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.contents.get(self.names.get(path)?).map(|bytes| bytes.as_slice())
    }

    /// Adds a file.
    pub fn put(&mut self, path: &str, file: FileId, bytes: Vec<u8>) {
        self.names.insert(path.to_string(), file);
        self.contents.insert(file, Arc::new(bytes));
    }

    /// Moves on by one operation.
    pub fn step(&mut self, operation: &Operation, fate: Fate) {
        if fate == Fate::Lost {
            return;
        }
        match &operation.act {
            Act::Create => {
                self.names.insert(operation.path.clone(), operation.file);
                self.contents.entry(operation.file).or_default();
            }
            Act::Write(at, bytes) => write(Arc::make_mut(self.contents.entry(operation.file).or_default()), *at, bytes, fate),
            Act::Truncate(size) => Arc::make_mut(self.contents.entry(operation.file).or_default()).resize(*size as usize, 0),
            Act::Delete | Act::Removed => {
                if self.names.get(&operation.path) == Some(&operation.file) {
                    self.names.remove(&operation.path);
                }
            }
            Act::Placed(bytes) => self.put(&operation.path, operation.file, bytes.clone()),
            Act::Moved(to) => {
                self.names.remove(&operation.path);
                self.names.insert(to.clone(), operation.file);
            }
            Act::Sync | Act::SyncFolder => {}
        }
    }

    /// What is there after operations of which some met another fate than to be kept.
    pub fn after(&self, operations: &[Operation], mut fate: impl FnMut(usize) -> Fate) -> Image {
        let mut image = self.clone();
        for (at, operation) in operations.iter().enumerate() {
            image.step(operation, fate(at));
        }
        image
    }

    /// Writes the files into a folder. Others that are there are left alone.
    pub fn write_to(&self, folder: &Path) -> std::io::Result<()> {
        for (name, _, bytes) in self.files() {
            let path = folder.join(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, bytes)?;
        }
        Ok(())
    }
}

/// Writes bytes, or those of their sectors that are not lost.
fn write(into: &mut Vec<u8>, at: u64, bytes: &[u8], fate: Fate) {
    let end = at + bytes.len() as u64;
    let mut from = at;
    while from < end {
        let to = end.min((from / SECTOR + 1) * SECTOR);
        let nth = from / SECTOR - at / SECTOR;
        let is_kept = match fate {
            Fate::Torn(kept) => kept >> (nth % 64) & 1 == 1,
            Fate::Kept | Fate::Lost => fate == Fate::Kept,
        };
        if is_kept {
            if (into.len() as u64) < to {
                into.resize(to as usize, 0);
            }
            into[from as usize..to as usize].copy_from_slice(&bytes[(from - at) as usize..(to - at) as usize]);
        }
        from = to;
    }
}
