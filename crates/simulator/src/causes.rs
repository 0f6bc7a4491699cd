//! What somebody had seen when they wrote (I-22), what replicas must have heard before it is forgotten (I-60, I-63), and limits
//! that hold whatever happens (I-73).
//!
//! Invariant: what is noted here comes from files and from what replicas told, never from what the primary says of itself.
use crate::image::{Image, words_of};
use crate::tally::{Invariant, Verdict, Wrong};
use crate::traces::words_claimed;
use crate::world::{World, unexpected};
use mainstem::cleanup::Cleanup;
use mainstem::core::change::Edit;
use mainstem::core::event::Version;
use mainstem::core::policy::Life;
use mainstem::policy_text;
use mainstem::primary::{Item, Pull};
use mainstem::replica::{Replica, Since};
use mainstem::wiring::Surroundings;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// One session, and one receipt, in so many is looked at for causes.
const CAUSES_EVERY: u64 = 8;
/// Causes that are remembered.
const CAUSES_MAX: usize = 64;
/// How long a replica that says the same again need not be noted again, in milliseconds.
const UNNOTED_MS: u64 = 60 * 60 * 1000;
/// Bytes that a write-ahead log may grow to: SQLite's own bound, and the largest transaction of a tape.
const LOG_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Files that may be open for each copy and for the primary.
const OPEN_MAX: usize = 12;

/// What was seen when a word was written.
pub(crate) type Causes = BTreeMap<u64, Rc<BTreeSet<u64>>>;

impl World {
    /// Notes what was seen by who wrote that word, which nobody had written before.
    pub(crate) fn note_causes(&mut self, who: usize, fresh: Option<u64>, after: &Image) {
        let is_fit = !self.copies[who].has_unseen && !self.sights.contains_key(&who) && self.causes.len() < CAUSES_MAX;
        let Some(word) = fresh.filter(|_| is_fit && self.tally.operations.is_multiple_of(CAUSES_EVERY)) else { return };
        self.causes.insert(word, Rc::new(words_of(after)));
    }

    /// I-22: who sees what somebody wrote sees, too, what its author had seen, or what took its place.
    pub(crate) fn check_causes(&mut self, who: usize, after: &Image) -> Verdict {
        let is_fit = !self.sights.contains_key(&who) && !self.model.has_reshaped() && !self.causes.is_empty();
        if !is_fit || !self.tally.operations.is_multiple_of(CAUSES_EVERY) {
            return Ok(());
        }
        let seen = words_of(after);
        let mut missing: Vec<(u64, u64)> = Vec::new();
        for (word, causes) in self.causes.iter().filter(|(word, _)| seen.contains(word)) {
            self.tally.check(Invariant::Causes);
            let gone = |cause: &&u64| !seen.contains(cause) && !self.model.gone.contains(cause);
            missing.extend(causes.iter().filter(gone).map(|cause| (*word, *cause)));
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut replica = self.replica(who)?;
        let fail = |e| unexpected("looking for causes", &e);
        // What was written here and is not sent yet stands in the place of others' work.
        let mut is_idle = replica.standing().map_err(fail)?.unsent == 0;
        let worked = replica.changes(Since::Base, &mut |_, _| {
            is_idle = false;
            Ok(())
        });
        worked.map_err(fail)?;
        if !is_idle {
            return Ok(());
        }
        let mut told = words_claimed(&replica.conflicts(false).map_err(fail)?);
        for (_, wait) in replica.pending().map_err(fail)? {
            match &wait.change.edit {
                Edit::Insert(row) | Edit::Delete(row) => row.iter().for_each(|value| crate::image::words(value, &mut told)),
                Edit::Update(cells) => cells.iter().for_each(|cell| crate::image::words(&cell.after, &mut told)),
            }
        }
        drop(replica);
        for other in 0..if self.reviews.is_on { self.copies.len() } else { 0 } {
            // What is kept for review is its author's alone until it is merged.
            told.extend(self.words_kept(other)?);
        }
        match missing.iter().find(|(_, cause)| !told.contains(cause)) {
            None => Ok(()),
            Some((word, cause)) => {
                let why = format!("without its cause: replica {who} shows word {word}, and not {cause}, which its author saw");
                Err(Wrong::new(Invariant::Causes, why))
            }
        }
    }

    /// I-60: nothing is forgotten that a replica which is not expired has not heard of, and an expired one is marked.
    pub(crate) fn check_cleanup(&mut self, done: &Cleanup) -> Verdict {
        if self.disk.is_some() || done.is_nothing() {
            return Ok(());
        }
        let fail = |e| unexpected("a cleanup", &e);
        let text = self.serve()?.describe().map_err(fail)?.policy;
        let life: Life = policy_text::parse(&text).map_err(fail)?.replicas();
        let now = self.primary_place.machine.now_ms();
        let marked = self.serve()?.replicas().map_err(fail)?;
        let through = done.collected.tombstones.iter().map(|collected| collected.through).max().unwrap_or_default();
        for (replica, (version, at)) in &self.looked.heard {
            self.tally.check(Invariant::Buried);
            let is_surely = |at: u64| life.end_ms(at).is_none_or(|end| end > now);
            let is_behind = *version < done.collected.horizon && done.collected.horizon > done.horizon_before;
            let is_marked = marked.iter().any(|known| known.seen.replica == *replica && known.must_reseed);
            if is_surely(at.saturating_sub(UNNOTED_MS)) && (is_behind || *version < through) && !is_marked {
                let why = format!("forgotten too early: {replica:?} has heard of version {version} only");
                return Err(Wrong::new(Invariant::Buried, why));
            }
            if !is_surely(*at) && is_behind && !is_marked {
                return Err(Wrong::new(Invariant::Buried, format!("not marked: {replica:?} is behind the horizon and expired")));
            }
        }
        Ok(())
    }

    /// I-63: who began again from behind the horizon makes nothing anew that somebody took away. What is told for the first time
    /// can only have been taken away by who wrote it, in what comes after.
    pub(crate) fn check_creates(&mut self, version: &Version, changes: &[mainstem::core::change::Change]) -> Verdict {
        let is_plain = version.conflicts.is_empty() && version.schema.is_empty();
        if !self.reseeded.contains(&version.header.replica) || !is_plain || !self.model.is_still {
            return Ok(());
        }
        for change in changes {
            let Edit::Insert(row) = &change.edit else { continue };
            self.tally.check(Invariant::Creates);
            let table = &version.shapes[change.table].table;
            if let Some(word) = self.model.traces.taken_in(table, row, &self.looked.words) {
                let why =
                    format!("made again: word {word} of {table} {:?}, by who began again, in version {}", change.key, version.version);
                return Err(Wrong::new(Invariant::Creates, why));
            }
        }
        Ok(())
    }

    /// I-73: an answer keeps to the bytes that were asked for, but for what comes last.
    pub(crate) fn check_size(&mut self, pull: &Pull, bytes_max: usize) -> Verdict {
        self.tally.check(Invariant::Limits);
        let bytes = |item: &Item| match item {
            Item::Version(bytes, _) | Item::Event(bytes, _) | Item::Page(bytes) => bytes.len(),
        };
        // A version comes with the events before it and with its first page.
        let mut before = &pull.items[..];
        while let [rest @ .., last] = before {
            let is_page = matches!((last, rest.last()), (Item::Page(_), Some(Item::Page(_))));
            before = rest;
            if is_page || matches!(last, Item::Version(..)) {
                break;
            }
        }
        while let [rest @ .., Item::Event(..)] = before {
            before = rest;
        }
        let all: usize = before.iter().map(bytes).sum();
        if all <= bytes_max {
            return Ok(());
        }
        Err(Wrong::new(
            Invariant::Limits,
            format!("too large: an answer of {all} bytes and a version more, where {bytes_max} were asked for"),
        ))
    }

    /// I-73: logs and open files at the end.
    pub(crate) fn judge_limits(&mut self) -> Verdict {
        let places: Vec<_> =
            self.copies.iter().map(|copy| &copy.place).chain([&self.primary_place]).map(|place| place.path.clone()).collect();
        for path in &places {
            self.tally.check(Invariant::Limits);
            let mut log = path.clone().into_os_string();
            log.push("-wal");
            let bytes = std::fs::metadata(&log).map_or(0, |status| status.len());
            if bytes > LOG_BYTES_MAX {
                return Err(Wrong::new(Invariant::Limits, format!("a log of {bytes} bytes: {}", path.display())));
            }
        }
        // Where the system does not tell which files are open, nobody is asked.
        let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return Ok(()) };
        let links = open.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
        let ours = links.filter(|file| file.starts_with(self.folder.path())).count();
        self.tally.check(Invariant::Limits);
        if ours <= OPEN_MAX * places.len() {
            return Ok(());
        }
        Err(Wrong::new(Invariant::Limits, format!("too many open: {ours} files of {} databases", places.len())))
    }
}
