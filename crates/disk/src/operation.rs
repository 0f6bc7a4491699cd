//! What reaches a disk, in order, and which of it a power cut may still undo.

/// Which file, for as long as it lives: a file that is deleted and made again is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);

/// One thing that happened to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The file.
    pub file: FileId,
    /// Where it was then, below the folder.
    pub path: String,
    /// What happened.
    pub act: Act,
}

/// What happens to files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// It was made, empty.
    Create,
    /// Bytes were written at a place.
    Write(u64, Vec<u8>),
    /// It was cut to a size.
    Truncate(u64),
    /// What was written to it is on the disk.
    Sync,
    /// It was deleted.
    Delete,
    /// The names in its folder are on the disk.
    SyncFolder,
    /// It appeared past SQLite with these bytes, all on the disk.
    Placed(Vec<u8>),
    /// It got this name past SQLite, where another file may have been.
    Moved(String),
    /// It was deleted past SQLite.
    Removed,
}

impl Act {
    /// True for what SQLite asked for, which is what is counted and can be failed.
    pub fn is_counted(&self) -> bool {
        !matches!(self, Act::SyncFolder | Act::Placed(_) | Act::Moved(_) | Act::Removed)
    }
}

/// The folder of a path.
pub(crate) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Positions of the operations that a power cut at the end may undo, each by itself.
///
/// | operation | is on the disk once |
/// |---|---|
/// | write, truncate | its file was synced |
/// | create, delete | its folder was synced |
/// | what happened past SQLite | it happened: whoever renames is trusted to sync |
pub fn unsynced(operations: &[Operation]) -> Vec<usize> {
    let mut open: Vec<usize> = Vec::new();
    for (at, operation) in operations.iter().enumerate() {
        match &operation.act {
            Act::Write(..) | Act::Truncate(_) | Act::Create | Act::Delete => open.push(at),
            Act::Sync => open.retain(|&o| operations[o].file != operation.file || matches!(operations[o].act, Act::Create | Act::Delete)),
            Act::SyncFolder | Act::Moved(_) => {
                let folder = folder_of(&operation.path);
                open.retain(|&o| {
                    let is_name = matches!(operations[o].act, Act::Create | Act::Delete);
                    !(is_name && folder_of(&operations[o].path) == folder)
                });
            }
            Act::Placed(_) | Act::Removed => {}
        }
    }
    open
}
