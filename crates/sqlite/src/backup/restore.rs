//! Puts a backup in a file's or primary's place, as another life of it.
//!
//! Invariant: nothing is replaced before the copy is checked, complete and on the disk; what was there stays beside it.
//! Invariant: a restored replica is another replica, a restored primary begins a new epoch, both before anybody sees them.
use super::{Kind, Manifest, contents, copy_pages, exists, leave_wal, read, sound};
use crate::connection;
use crate::errors::{Explain, display_name, shell_word};
use crate::part::Part;
use crate::primary::continue_copy;
use crate::replica::SqliteReplica;
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use mainstem::replica::{Progress, Replica};
use mainstem::wiring::Around;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// What a restore did.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What the backup said.
    pub manifest: Manifest,
    /// The restored file.
    pub file: PathBuf,
    /// Where the file that was there is now.
    pub aside: Option<PathBuf>,
    /// Unsent changesets in a restored replica.
    pub unsent: u64,
}

/// Restores a backup to a file (of a replica) or folder (of a primary, or of a server). With `replaces`, what is there makes way.
pub fn restore(backup: &Path, target: &Path, replaces: bool, actor: &str, around: &Around, progress: Progress<'_>) -> Result<Restored> {
    let db = connection::open_user_read_only(backup)?;
    let manifest = read(&db, backup)?;
    let file = place(&manifest, target)?;
    let is_there = std::fs::symlink_metadata(&file).is_ok();
    if is_there && !replaces {
        let target = shell_word(&target.to_string_lossy());
        return Err(exists(&file).hint(format!(
            "mainstem backup restore {} {target} --force, which keeps the old one aside",
            shell_word(&backup.to_string_lossy())
        )));
    }
    if manifest.kind.file().is_some() {
        make_folder(target)?;
    }
    let part = Part::make(&file, is_servers(&manifest))?;
    let mut copy = part.open()?;
    copy_pages(&db, &mut copy, false, progress)?;
    sound(&copy, backup)?;
    if contents(&copy)? != manifest.digest {
        return Err(Error::corrupt(format!("{} is not what it was when it was made", display_name(backup)))
            .hint("use another backup: mainstem backup list"));
    }
    leave_wal(&copy)?;
    copy.execute_batch("DROP TABLE mainstem_backup").on(&copy)?;
    drop((copy, db));
    let unsent = begin_anew(part.path(), &manifest, backup, actor, around)?;
    let aside = if is_there { Some(make_way(&file, around)?) } else { None };
    part.put_in_place(&file)?;
    Ok(Restored { manifest, file, aside, unsent })
}

/// True for what holds keys or says who may come in: it is for its owner alone.
fn is_servers(manifest: &Manifest) -> bool {
    matches!(manifest.kind, Kind::Accounts | Kind::Webhooks)
}

fn place(manifest: &Manifest, target: &Path) -> Result<PathBuf> {
    match (manifest.kind.file(), target.is_dir()) {
        (None, false) => Ok(target.to_owned()),
        (Some(file), is_folder) if is_folder || !target.exists() => Ok(target.join(file)),
        (None, true) => Err(Error::invalid(format!("{} is a folder, and the backup is of a replica, which is a file", target.display()))
            .hint("name the file to make")),
        (Some(_), _) => {
            let what = if is_servers(manifest) { "a server's, which has a folder" } else { "a primary, which is a folder" };
            Err(Error::invalid(format!("{} is a file, and the backup is of {what}", target.display())).hint("name the folder to make"))
        }
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|e| {
        Error::new(ErrorKind::Unavailable, "read_only", format!("{} cannot be made", folder.display()))
            .hint("choose a folder that you may write to")
            .because(e)
    })
}

/// Makes the copy another life of what it was. Returns how many changesets it has unsent.
fn begin_anew(file: &Path, manifest: &Manifest, backup: &Path, actor: &str, around: &Around) -> Result<u64> {
    if manifest.kind == Kind::Primary {
        continue_copy(file, &display_name(backup), actor, around.clone())?;
        // Its log is gone with the last connection, which put it into the file.
        let db = connection::open_user(file)?;
        leave_wal(&db)?;
        return Ok(0);
    }
    if is_servers(manifest) {
        return Ok(0);
    }
    let mut replica = SqliteReplica::open(file, around.clone())?;
    replica.go_on_as_another()?;
    let unsent = replica.standing()?.unsent;
    drop(replica);
    if manifest.journal_mode == "wal" {
        let db = connection::open_user(file)?;
        db.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(())).on(&db)?;
    }
    Ok(unsent)
}

/// Puts the file that is there aside, with what belongs to it. Refuses where another program has it open.
fn make_way(file: &Path, around: &Around) -> Result<PathBuf> {
    // A damaged file needs no asking: it may be why this is done.
    let held = connection::open_user(file).and_then(|db| alone(&db, file).map(|()| db));
    if let Err(e) = &held
        && e.code == "in_use"
    {
        return held.map(|_| PathBuf::new());
    }
    let named = |path: &Path, ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let aside = named(file, &format!(".replaced-{}", around.now_ms()));
    for ending in ["", "-wal", "-shm", "-journal"] {
        let from = named(file, ending);
        if std::fs::symlink_metadata(&from).is_ok() {
            std::fs::rename(&from, named(&aside, ending))
                .map_err(|e| Error::new(ErrorKind::Unavailable, "rename", format!("{} cannot be put aside", from.display())).because(e))?;
        }
    }
    drop(held);
    Ok(aside)
}

/// Takes the whole file for this connection, its write-ahead log put into it.
fn alone(db: &Connection, file: &Path) -> Result<()> {
    let in_use = || {
        Error::new(ErrorKind::Unavailable, "in_use", format!("{} is in use by another program", display_name(file)))
            .hint("end the programs that have it open, then the same command")
    };
    let is_alone = |e: Error| if e.kind == ErrorKind::Unavailable { in_use() } else { e };
    db.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(())).on(db).map_err(is_alone)?;
    db.execute_batch("BEGIN EXCLUSIVE").on(db).map_err(is_alone)
}
