//! Files in the making, beside the place they will have.
//!
//! Invariant: what is at the place is whole: a file gets its name when SQLite has brought all of it to the disk and nobody
//! has it open. Only a file of our own that no connection has open, and folders, are opened past SQLite.
use crate::connection;
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use rusqlite::Connection;
use rustix::fs::{Mode, OFlags};
use std::path::{Path, PathBuf};

/// A file in the making. Dropped, it is gone.
pub struct Part {
    path: PathBuf,
}

impl Part {
    /// Makes it empty, in place of what an interrupted attempt left; for its owner alone where it `is_private`.
    pub fn make(target: &Path, is_private: bool) -> Result<Part> {
        let path = name(target);
        clear(&path);
        let owner = Mode::RUSR | Mode::WUSR;
        let mode = if is_private { owner } else { owner | Mode::RGRP | Mode::WGRP | Mode::ROTH | Mode::WOTH };
        rustix::fs::open(&path, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC, mode).map_err(|e| {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Error::new(ErrorKind::Unavailable, "read_only", format!("no file can be made in {}: {e}", folder.display()))
                .hint("choose a folder that exists and that you may write to")
                .because(std::io::Error::from(e))
        })?;
        Ok(Part { path })
    }

    /// Where it is until it is done.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it as a database.
    pub fn open(&self) -> Result<Connection> {
        connection::open_empty(&self.path)
    }

    /// Writes its bytes elsewhere and removes it. Nothing may have it open.
    pub fn send(self, into: &mut dyn std::io::Write) -> Result<()> {
        let sent = std::fs::File::open(&self.path).and_then(|mut file| std::io::copy(&mut file, into));
        sent.map(drop).map_err(|e| Error::new(ErrorKind::Unavailable, "disk_full", format!("the copy cannot be written: {e}")).because(e))
    }

    /// Gives it its name. Nothing may have it open.
    pub fn put_in_place(self, target: &Path) -> Result<()> {
        put_in_place(&self.path, target)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After it was put in place there is nothing here any more.
        clear(&self.path);
    }
}

/// The name of a file in the making.
pub fn name(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".mainstem-part");
    PathBuf::from(name)
}

/// Removes what an interrupted attempt left, which is ours and of no use to anyone.
pub fn clear(part: &Path) {
    for leftover in ["", "-journal", "-wal", "-shm"] {
        let mut name = part.as_os_str().to_owned();
        name.push(leftover);
        let _ = std::fs::remove_file(name);
    }
}

/// Gives a file that is done its name, and makes that last through a power cut, where the system can.
pub fn put_in_place(part: &Path, target: &Path) -> Result<()> {
    std::fs::rename(part, target)
        .map_err(|e| Error::new(ErrorKind::Unavailable, "rename", format!("{} cannot be put in its place", target.display())).because(e))?;
    sync_folder(target);
    Ok(())
}

fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::fs::fsync(folder);
    }
}
