//! The files of an observed folder as they stand, so that what happens to them past SQLite is seen too.
//!
//! Invariant: a file is read past SQLite only where nobody in this process has it open: closing it would drop their locks.
use crate::image::Image;
use crate::operation::{Act, FileId, Operation};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Which file has which name and number.
#[derive(Debug, Default)]
pub struct Listing {
    names: BTreeMap<String, (FileId, u64)>,
    next: u64,
}

/// Names and numbers on the disk, without shared memory, which does not outlive a crash.
fn look(root: &Path, below: &str, found: &mut BTreeMap<String, u64>) {
    let Ok(entries) = std::fs::read_dir(root.join(below)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        // A file may go between being listed and being looked at.
        let Ok(status) = entry.metadata() else { continue };
        if status.is_dir() {
            look(root, &path, found);
        } else if status.is_file() && !path.ends_with("-shm") {
            found.insert(path, status.ino());
        }
    }
}

impl Listing {
    /// The files below a folder as they stand.
    pub fn begin(root: &Path) -> Listing {
        let (mut listing, mut found) = (Listing::default(), BTreeMap::new());
        look(root, "", &mut found);
        for (path, inode) in found {
            let file = listing.fresh();
            listing.names.insert(path, (file, inode));
        }
        listing
    }

    /// What the files hold. Nobody may have them open.
    pub fn image(&self, root: &Path) -> Image {
        let mut image = Image::default();
        for (path, (file, _)) in &self.names {
            image.put(path, *file, std::fs::read(root.join(path)).unwrap_or_default());
        }
        image
    }

    fn fresh(&mut self) -> FileId {
        self.next += 1;
        FileId(self.next)
    }

    /// The file at a path.
    pub fn at(&self, path: &str) -> Option<FileId> {
        self.names.get(path).map(|(file, _)| *file)
    }

    /// Notes a file that SQLite has just made.
    pub fn made(&mut self, root: &Path, path: &str) -> FileId {
        let file = self.fresh();
        let inode = std::fs::metadata(root.join(path)).map_or(0, |status| status.ino());
        self.names.insert(path.to_string(), (file, inode));
        file
    }

    /// Forgets a file that SQLite has just deleted.
    pub fn deleted(&mut self, path: &str) {
        self.names.remove(path);
    }

    /// What happened past SQLite since the last look.
    pub fn news(&mut self, root: &Path) -> Vec<Operation> {
        let mut found = BTreeMap::new();
        look(root, "", &mut found);
        if found.len() == self.names.len() && found.iter().all(|(path, inode)| self.names.get(path).is_some_and(|known| known.1 == *inode))
        {
            return Vec::new();
        }
        let mut news = Vec::new();
        let gone: Vec<_> = self
            .names
            .iter()
            .filter(|(path, known)| found.get(*path) != Some(&known.1))
            .map(|(path, known)| (path.clone(), *known))
            .collect();
        for (path, (file, inode)) in gone {
            self.names.remove(&path);
            let to = found.iter().find(|(to, there)| **there == inode && !self.names.contains_key(*to)).map(|(to, _)| to.clone());
            let act = match to {
                Some(to) => {
                    self.names.insert(to.clone(), (file, inode));
                    Act::Moved(to)
                }
                None => Act::Removed,
            };
            news.push(Operation { file, path, act });
        }
        for (path, inode) in found {
            if !self.names.contains_key(&path) {
                let file = self.fresh();
                let bytes = std::fs::read(root.join(&path)).unwrap_or_default();
                self.names.insert(path.clone(), (file, inode));
                news.push(Operation { file, path, act: Act::Placed(bytes) });
            }
        }
        // A name that was moved away from is free before another file takes it.
        news.sort_by_key(|operation| matches!(operation.act, Act::Moved(_)));
        news
    }
}
