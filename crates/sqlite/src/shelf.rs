//! What a folder of datasets keeps beside their primaries: what is archived, backups, and what was deleted.
//!
//! Invariant: what is not a dataset lies under names that no dataset has, for they begin with a dot.
//! Invariant: a dataset is deleted by one renaming; what is removed after that is nobody's any more.
use crate::backup::{self, ENDING, Manifest};
use crate::part;
use crate::primary::PRIMARY_FILE;
use mainstem::changeset_json::time_text;
use mainstem::core::ErrorKind;
use mainstem::core::stamp::Time;
use mainstem::datasets::Kept;
use mainstem::error::{Error, Result};
use mainstem::primary::Primary;
use mainstem::wiring::Around;
use std::io::ErrorKind::{AlreadyExists, NotFound};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The empty folder that marks a dataset as archived.
const ARCHIVED: &str = "primary.db.archived";
const BACKUPS: &str = ".backups";
const DELETED: &str = ".deleted";
const EXPORTS: &str = ".exports";
/// How many backups of one dataset are kept.
const BACKUPS_MAX: usize = 100;

/// A folder of datasets.
pub struct Shelf<'a> {
    /// The folder.
    pub datasets: &'a Path,
    /// Time and randomness.
    pub around: &'a Around,
}

impl Shelf<'_> {
    /// Removes what was deleted, and what a crash left of exports.
    pub fn sweep(&self) {
        for rest in [DELETED, EXPORTS] {
            // Where it cannot be removed it is in nobody's way.
            let _ = std::fs::remove_dir_all(self.datasets.join(rest));
        }
    }

    fn there(&self, name: &str) -> Result<PathBuf> {
        let folder = self.datasets.join(name);
        if folder.join(PRIMARY_FILE).is_file() { Ok(folder) } else { Err(Error::new(ErrorKind::NotFound, "no_primary", absent(name))) }
    }

    /// True where a dataset is archived.
    pub fn is_archived(&self, name: &str) -> Result<bool> {
        let mark = self.there(name)?.join(ARCHIVED);
        mark.try_exists().map_err(|e| failed(name, "be looked at", e))
    }

    /// Archives a dataset, or takes it out of the archive.
    pub fn archive(&self, name: &str, is_archived: bool) -> Result<()> {
        let mark = self.there(name)?.join(ARCHIVED);
        let done = if is_archived { std::fs::create_dir(&mark) } else { std::fs::remove_dir(&mark) };
        match done {
            // So it is already.
            Err(e) if e.kind() == if is_archived { AlreadyExists } else { NotFound } => Ok(()),
            done => done.map_err(|e| failed(name, "be archived or unarchived", e)),
        }
    }

    /// Deletes an archived dataset.
    pub fn delete(&self, name: &str) -> Result<()> {
        let folder = self.there(name)?;
        if !self.is_archived(name)? {
            return Err(Error::new(ErrorKind::Conflict, "not_archived", format!("dataset {name} is not archived, so it is not deleted"))
                .hint("mainstem datasets archive ADDRESS"));
        }
        let cannot = |e| failed(name, "be deleted", e);
        let unique = format!("{name}-{}-{:08x}", self.around.now_ms(), self.around.random() as u32);
        // Whoever makes a dataset of that name again shall not find this one's backups.
        let backups = self.datasets.join(BACKUPS).join(name);
        if backups.is_dir() {
            std::fs::rename(&backups, backups.with_file_name(format!(".{unique}"))).map_err(cannot)?;
        }
        let deleted = self.datasets.join(DELETED);
        std::fs::create_dir_all(&deleted).map_err(cannot)?;
        std::fs::rename(folder, deleted.join(unique)).map_err(cannot)?;
        self.sweep_deleted();
        Ok(())
    }

    fn sweep_deleted(&self) {
        // It is deleted already; what cannot be removed now is removed when the folder is opened again.
        let _ = std::fs::remove_dir_all(self.datasets.join(DELETED));
    }

    /// Writes a backup.
    pub fn export(&self, name: &str, into: &mut dyn Write) -> Result<()> {
        let folder = self.there(name)?;
        let exports = self.datasets.join(EXPORTS);
        std::fs::create_dir_all(&exports).map_err(|e| failed(name, "be exported", e))?;
        let scratch = exports.join(format!("{:032x}", self.around.random()));
        backup::write_out(&folder, &scratch, self.around, into)
    }

    /// Keeps a backup.
    pub fn back_up(&self, name: &str) -> Result<Kept> {
        let folder = self.there(name)?;
        if self.backups(name)?.len() >= BACKUPS_MAX {
            let message = format!("{BACKUPS_MAX} backups of {name} are kept, and no more");
            return Err(Error::new(ErrorKind::Conflict, "too_many", message).hint("ask whoever runs the server to move old ones away"));
        }
        let backups = self.datasets.join(BACKUPS).join(name);
        std::fs::create_dir_all(&backups).map_err(|e| failed(name, "be backed up", e))?;
        let named = |manifest: &Manifest| {
            let at = time_text(Time::from_ms(manifest.at_ms)).replace(':', "");
            backups.join(format!("{at}.{ENDING}"))
        };
        let (path, manifest) = backup::create(&folder, &named, self.around, &mut |_, _, _| {})?;
        kept(&path, &manifest)
    }

    /// The backups, oldest first.
    pub fn backups(&self, name: &str) -> Result<Vec<Kept>> {
        self.there(name)?;
        let folder = self.datasets.join(BACKUPS).join(name);
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        // A file that is no backup can be none to restore, whatever it is called.
        backup::list(&folder)?.iter().filter_map(|(path, manifest)| Some(kept(path, manifest.as_ref().ok()?))).collect()
    }

    /// Restores a backup that is kept.
    pub fn restore(&self, name: &str, backup: &str, actor: &str) -> Result<Kept> {
        let folder = self.there(name)?;
        let none = || Error::not_found(format!("no backup {backup} of {name} is kept")).hint("mainstem datasets backups ADDRESS");
        let found = self.backups(name)?.into_iter().find(|kept| kept.name == backup).ok_or_else(none)?;
        let before = self.back_up(name);
        if let Err(e) = &before
            && e.kind == ErrorKind::Conflict
        {
            return before;
        }
        let file = self.datasets.join(BACKUPS).join(name).join(format!("{backup}.{ENDING}"));
        let restored = backup::restore(&file, &folder, true, actor, self.around, &mut |_, _, _| {})?;
        if let (Ok(_), Some(aside)) = (before, restored.aside) {
            part::clear(&aside);
        }
        let epoch = crate::primary::open_local(&folder, self.around.clone())?.describe()?.epoch;
        Ok(Kept { epoch: Some(epoch), ..found })
    }
}

fn kept(path: &Path, manifest: &Manifest) -> Result<Kept> {
    let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let bytes = std::fs::metadata(path).map_err(|e| failed(&name, "be looked at", e))?.len();
    Ok(Kept { name, epoch: manifest.epoch, version: manifest.version, at: Time::from_ms(manifest.at_ms), bytes })
}

fn absent(name: &str) -> String {
    format!("there is no dataset {name}")
}

/// Where datasets lie is the server's own matter.
fn failed(name: &str, what: &str, e: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "read_only", format!("{name} cannot {what}")).because(e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primary::FolderDatasets;
    use mainstem::core::schema::Schema;
    use mainstem::datasets::Datasets;
    use mainstem::local::Founding;
    use mainstem::wiring::RealSurroundings;
    use std::sync::Arc;

    fn begun() -> (tempfile::TempDir, FolderDatasets) {
        let folder = tempfile::tempdir().expect("a folder");
        let datasets = FolderDatasets::new(folder.path().to_path_buf(), Arc::new(RealSurroundings)).expect("it is made");
        let founding = Founding { dataset: "a", actor: "ann", lineage: 7, schema: &Schema::default(), policy: "" };
        datasets.found("a", &founding, &mut |_| Ok(())).expect("founded");
        (folder, datasets)
    }

    #[test]
    fn only_what_is_archived_is_deleted_and_its_backups_are_nobody_elses() {
        let (folder, datasets) = begun();
        assert_eq!(datasets.delete("a").expect_err("it is in use").code, "not_archived");
        datasets.back_up("a").expect("kept");
        datasets.archive("a", true).expect("archived");
        assert!(datasets.is_archived("a").expect("there") && datasets.names().expect("listed") == ["a"]);
        datasets.delete("a").expect("deleted");
        assert_eq!(datasets.delete("a").expect_err("gone").code, "no_primary");
        assert!(datasets.names().expect("listed").is_empty() && !folder.path().join(DELETED).exists());
        let founding = Founding { dataset: "a", actor: "ben", lineage: 8, schema: &Schema::default(), policy: "" };
        datasets.found("a", &founding, &mut |_| Ok(())).expect("founded again");
        assert!(!datasets.is_archived("a").expect("there") && datasets.backups("a").expect("listed").is_empty());
        assert_eq!(std::fs::read_dir(folder.path().join(BACKUPS)).expect("listed").count(), 1, "it is still there for the operator");
    }

    #[test]
    fn what_a_restore_replaces_becomes_a_backup() {
        let (folder, datasets) = begun();
        let kept = datasets.back_up("a").expect("kept");
        let epoch = datasets.open("a").expect("opened").describe().expect("described").epoch;
        assert_eq!(kept.epoch, Some(epoch));
        assert_eq!(datasets.restore("a", "../a", "ann").expect_err("none").code, "not_found");
        let restored = datasets.restore("a", &kept.name, "ann").expect("restored");
        assert_ne!(restored.epoch, Some(epoch));
        assert_eq!(datasets.backups("a").expect("listed").len(), 2);
        let files: Vec<_> = std::fs::read_dir(folder.path().join("a")).expect("listed").flatten().map(|e| e.file_name()).collect();
        assert!(files.iter().all(|name| !name.to_string_lossy().contains("replaced")), "{files:?}");
        let mut exported = Vec::new();
        datasets.export("a", &mut exported).expect("exported");
        assert!(exported.starts_with(b"SQLite format 3\0"));
        assert_eq!(std::fs::read_dir(folder.path().join(EXPORTS)).expect("listed").count(), 0);
    }
}
