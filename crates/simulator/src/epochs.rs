//! The lives of a primary: backups, the return to one, and what must be there all the same afterwards.
//!
//! Invariant: what no copy held when the primary went back may be lost; everything else must come back (I-38).
use crate::image::{Image, words_of};
use crate::ledger_view::Looked;
use crate::tally::{Invariant, Situation, Verdict, Wrong};
use crate::traces::words_claimed;
use crate::world::{World, quiet, unexpected, unreadable};
use mainstem::core::event::Digest;
use mainstem::primary::Acquaintance;
use mainstem::replica::Replica;
use mainstem::wiring::Around;
use mainstem_sqlite::backup;
use mainstem_sqlite::primary::PRIMARY_FILE;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A backup of the primary, and what was known of its ledger then.
#[derive(Clone)]
struct Backup {
    path: PathBuf,
    looked: Looked,
    epoch: u128,
}

/// What is known of the primary's lives.
#[derive(Default)]
pub(crate) struct Lives {
    backup: Option<Backup>,
    /// Words that programs took away straight at the primary since the backup was made.
    pub(crate) taken_there: BTreeSet<u64>,
    /// The epochs in which the primary went back: what was seen in them may be no part of its history any more.
    pub(crate) left: BTreeSet<u128>,
    /// True where the last return was said: another epoch begins at once.
    is_said: bool,
    /// The heads that copies stood on when the primary lost them at its last return.
    lost: BTreeMap<usize, (u64, Digest)>,
    /// What each version of each epoch was seen to be.
    versions: BTreeMap<(u128, u64), Digest>,
}

impl World {
    /// A backup of the primary is made while it is in use.
    pub(crate) fn back_up(&mut self) -> Verdict {
        self.look_at_versions()?;
        let path = self.fresh_path();
        let around: Around = self.primary_place.machine.clone();
        let made = backup::create(&self.primary_folder(), &|_| path.clone(), &around, &mut quiet);
        made.map_err(|e| unexpected("a backup", &e))?;
        let epoch = self.serve()?.describe().map_err(|e| unexpected("describe", &e))?.epoch;
        self.lives.taken_there.clear();
        self.lives.backup = Some(Backup { path, looked: self.looked.clone(), epoch });
        Ok(())
    }

    /// The primary is what it was when the backup was made.
    pub(crate) fn go_back(&mut self, is_said: bool) -> Verdict {
        let Some(Backup { path, looked, epoch }) = self.lives.backup.clone() else { return Ok(()) };
        self.look_at_versions()?;
        let described = self.serve()?.describe().map_err(|e| unexpected("describe", &e))?;
        // A copy never goes back to an epoch that it has left: whoever puts such a backup in place has to say so.
        let is_said = is_said || epoch != described.epoch;
        let before = self.primary_image()?;
        self.may_lose(&before, described.epoch, &looked)?;
        self.primary = None;
        self.primary_place.close();
        self.primary_place.image = None;
        let folder = self.primary_folder();
        if is_said {
            let around: Around = self.primary_place.machine.clone();
            let restored = backup::restore(&path, &folder, true, "a0", &around, &mut quiet);
            restored.map_err(|e| unexpected("a restore", &e))?;
        } else {
            put_in_place(&path, &folder.join(PRIMARY_FILE)).map_err(unreadable)?;
        }
        self.tally.reach(if is_said { Situation::Restored } else { Situation::WentBack });
        self.tally.fault("primary restored");
        self.lives.left.insert(described.epoch);
        self.lives.is_said = is_said;
        // What copies offer again travels once more.
        let rows: usize = before.values().map(|held| held.rows.len()).sum();
        self.edits += (rows * self.copies.len()) as u64;
        let from = looked.looked_at;
        self.looked = looked;
        let restored = self.primary_image()?;
        self.may_come_back(&restored, described.epoch, from)?;
        self.rule_reviews()
    }

    /// Notes which versions each copy holds that are lost now, and which words nobody holds.
    fn may_lose(&mut self, before: &Image, epoch: u128, backup: &Looked) -> Verdict {
        let conflicts = self.serve()?.conflicts(false).map_err(|e| unexpected("conflicts", &e))?;
        self.lives.lost.clear();
        let mut lost = &words_of(before) | &words_claimed(&conflicts);
        for who in 0..self.copies.len() {
            let rows = words_of(&self.rows_of(who)?);
            let mut replica = self.replica(who)?;
            let theirs = replica.conflicts(false).map_err(|e| unexpected("conflicts", &e))?;
            let standing = replica.standing().map_err(|e| unexpected("standing", &e))?;
            drop(replica);
            lost = &(&lost - &rows) - &words_claimed(&theirs);
            if let Some(known) = standing.known.filter(|known| known.epoch == epoch) {
                if known.version > backup.looked_at {
                    self.lives.lost.insert(who, (known.version, known.hash));
                }
                let is_held = |version: &u64| *version > backup.looked_at && *version <= standing.base_version;
                let held: Vec<u128> = self.looked.accepted.iter().filter(|(_, version)| is_held(version)).map(|(id, _)| *id).collect();
                self.copies[who].held.extend(held);
            }
        }
        self.model.gone.extend(lost);
        Ok(())
    }

    /// What was taken away since the backup is there again, unless a copy knows that it was taken. Of what was taken straight at
    /// the primary others may have unsent work that brings it.
    fn may_come_back(&mut self, restored: &Image, epoch: u128, from: u64) -> Verdict {
        let mut back = &words_of(restored) | &self.lives.taken_there;
        for who in 0..self.copies.len() {
            if self.copies[who].epoch == epoch && self.copies[who].version > from {
                let held = words_of(&self.rows_of(who)?);
                back.retain(|word| held.contains(word));
            }
        }
        self.model.traces.forget_taken(&back);
        Ok(())
    }

    /// I-38 and I-51: a version of an epoch is one thing for ever. Within an epoch that ended unnoticed nobody can know.
    pub(crate) fn remember(&mut self, known: &Acquaintance) -> Verdict {
        if self.lives.left.contains(&known.epoch) {
            return Ok(());
        }
        self.tally.check(Invariant::Returned);
        let seen = *self.lives.versions.entry((known.epoch, known.version)).or_insert(known.hash);
        if seen != known.hash {
            return Err(Wrong::new(Invariant::Returned, format!("number used again: version {} of one epoch is two", known.version)));
        }
        if self.looked.heads.last() != Some(&(known.version, known.hash)) {
            self.looked.heads.push((known.version, known.hash));
        }
        Ok(())
    }

    /// A file was replaced: what it held is held no more, and what no other copy has may be lost.
    pub(crate) fn holds_no_more(&mut self, who: usize, unsent: &BTreeSet<u64>) -> Verdict {
        self.lives.lost.remove(&who);
        self.copies[who].held.clear();
        if self.lives.left.is_empty() {
            return Ok(());
        }
        let mut lost = unsent.clone();
        for other in (0..self.copies.len()).filter(|other| *other != who) {
            lost = &lost - &words_of(&self.rows_of(other)?);
        }
        self.model.gone.extend(lost);
        Ok(())
    }

    /// I-38: every version that some copy held when the primary lost it is there again, in a new epoch.
    pub(crate) fn judge_lives(&mut self) -> Verdict {
        if self.lives.left.is_empty() {
            return Ok(());
        }
        let held: BTreeSet<u128> = self.copies.iter().flat_map(|copy| &copy.held).copied().collect();
        let epoch = self.serve()?.describe().map_err(|e| unexpected("describe", &e))?.epoch;
        let mut is_to_begin = self.lives.is_said;
        for (version, hash) in self.lives.lost.values().copied().collect::<Vec<_>>() {
            // What was sent again before anybody noticed may be what it was, to the bit: then nothing was lost.
            is_to_begin |= self.serve()?.version_hash(version).map_err(|e| unexpected("version_hash", &e))? != Some(hash);
        }
        if is_to_begin && self.lives.left.contains(&epoch) {
            return Err(Wrong::new(Invariant::Returned, "the epoch is the one before: a primary went back"));
        }
        // What needs review comes again in proposals of other names; its words are looked for at the end.
        for write_id in if self.reviews.is_on { BTreeSet::new() } else { held } {
            self.tally.check(Invariant::Returned);
            if self.serve()?.find_write(write_id).map_err(|e| unexpected("find_write", &e))?.is_none() && !self.accepted(write_id) {
                return Err(Wrong::new(Invariant::Returned, format!("not brought back: changeset {write_id:032x}")));
            }
        }
        Ok(())
    }
}

/// A copy of the file in the primary's place, as somebody makes who knows of nothing.
fn put_in_place(backup: &Path, file: &Path) -> rusqlite::Result<()> {
    for ending in ["-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(ending);
        // There is none where the last connection was closed in order.
        let _ = std::fs::remove_file(name);
    }
    let cannot = |_| rusqlite::Error::InvalidPath(file.to_owned());
    std::fs::copy(backup, file).map_err(cannot)?;
    Connection::open(file)?.execute_batch("DROP TABLE mainstem_backup")
}
