//! What can be read off the primary's versions: sequence numbers, deletes, the chain of hashes.
use crate::image::words;
use crate::tally::{Invariant, Situation, Verdict, Wrong};
use crate::traces::words_claimed;
use crate::world::{World, unexpected};
use mainstem::core::change::{Change, Edit};
use mainstem::core::conflict::ConflictKind;
use mainstem::core::event::{Digest, Version};
use mainstem::core::format::page;
use mainstem::core::stamp::ReplicaId;
use std::collections::{BTreeMap, BTreeSet};

/// What a primary's ledger was seen to hold.
#[derive(Clone, Default)]
pub(crate) struct Looked {
    /// Hashes of heads that were seen.
    pub(crate) heads: Vec<(u64, Digest)>,
    /// Versions whose events were looked at.
    pub(crate) looked_at: u64,
    /// Words that versions told of: in rows, in conflicts, or in what waits.
    pub(crate) words: BTreeSet<u64>,
    /// Row changes in accepted versions.
    pub(crate) changes_sent: u64,
    /// Write ids of accepted versions, and of those that they stand for.
    pub(crate) accepted: BTreeMap<u128, u64>,
    /// The last sequence number accepted from each replica.
    pub(crate) sequences: BTreeMap<ReplicaId, u64>,
    /// The highest number that rows of each table ever had, by its lower-case name.
    pub(crate) highest: BTreeMap<String, i64>,
    /// What replicas told of where they stand, and when, in milliseconds by the primary's clock.
    pub(crate) heard: BTreeMap<ReplicaId, (u64, u64)>,
}

impl World {
    /// True where a changeset is in the ledger.
    pub(crate) fn accepted(&self, write_id: u128) -> bool {
        self.looked.accepted.contains_key(&write_id)
    }

    /// Looks at the versions that came since the last look.
    pub(crate) fn look_at_versions(&mut self) -> Verdict {
        let head = self.serve()?.describe().map_err(|e| unexpected("describe", &e))?.head;
        self.record(head.hash);
        while self.looked.looked_at < head.version {
            let number = self.looked.looked_at + 1;
            let version = self.serve()?.version(number).map_err(|e| unexpected("version", &e))?;
            let version = version.ok_or_else(|| Wrong::new(Invariant::Chain, format!("version {number} is not there")))?;
            self.check_sequence(&version)?;
            self.check_stamp(&version)?;
            self.check_numbers(&version)?;
            let changes = self.changes_of(&version)?;
            self.check_creates(&version, &changes)?;
            self.note_words(&version, &changes);
            self.check_deletes(&version, &changes)?;
            self.note_states(&version)?;
            self.count_situations(&version);
            self.looked.changes_sent += version.count;
            let ids = [version.header.write_id].into_iter().chain(version.stands_for.iter().copied());
            self.looked.accepted.extend(ids.map(|id| (id, number)));
            self.looked.looked_at = number;
        }
        Ok(())
    }

    /// I-23: numbers of a replica have no gaps, and each stands for one changeset.
    fn check_sequence(&mut self, version: &Version) -> Verdict {
        self.tally.check(Invariant::Sequence);
        let header = &version.header;
        let last = self.looked.sequences.entry(header.replica).or_default();
        // A version of a child that waited carries its author's name and no number; of what is offered again it does not count.
        if !version.was.is_empty() {
            *last = header.sequence.max(*last);
        } else if header.sequence != 0 {
            if header.sequence != *last + 1 {
                let why = format!("sequence gap: replica {} sends {} after {last}", header.replica, header.sequence);
                return Err(Wrong::new(Invariant::Sequence, why));
            }
            *last = header.sequence;
        }
        if self.looked.accepted.contains_key(&header.write_id) {
            return Err(Wrong::new(Invariant::Captured, format!("accepted twice: changeset {:032x}", header.write_id)));
        }
        Ok(())
    }

    /// I-8: a deletion was made by somebody, or is one side of a conflict.
    fn check_deletes(&mut self, version: &Version, changes: &[Change]) -> Verdict {
        if !version.schema.is_empty() {
            return Ok(());
        }
        self.check_review(version, changes)?;
        if changes.iter().any(|change| change.moved_from.is_some()) {
            self.tally.reach(Situation::MovedKey);
        }
        for change in changes.iter().filter(|change| matches!(change.edit, Edit::Delete(_))) {
            self.tally.check(Invariant::Deletes);
            let table = &version.shapes[change.table].table;
            let is_clash = version.conflicts.iter().any(|c| c.table.eq_ignore_ascii_case(table));
            let is_answer = !version.resolved.is_empty() || self.was_answered(version);
            if !is_clash && !is_answer && !self.model.was_deleted(table, &change.key) {
                let why = format!("nobody's delete: {table} {:?} in version {}", change.key, version.version);
                return Err(Wrong::new(Invariant::Deletes, why));
            }
        }
        Ok(())
    }

    /// The row changes of a version.
    fn changes_of(&mut self, version: &Version) -> Verdict<Vec<Change>> {
        let mut changes = Vec::new();
        for number in 0..version.pages {
            let bytes = self.serve()?.page(version.version, number).map_err(|e| unexpected("page", &e))?;
            let bytes = bytes.ok_or_else(|| Wrong::new(Invariant::Chain, "a page is not there: version"))?;
            changes.extend(page::decode(&bytes, &version.shapes).map_err(|e| Wrong::new(Invariant::Chain, format!("page: {e}")))?);
        }
        Ok(changes)
    }

    fn note_words(&mut self, version: &Version, changes: &[Change]) {
        let told = &mut self.looked.words;
        for change in changes.iter().chain(version.waiting.iter().map(|waiting| &waiting.change)) {
            match &change.edit {
                Edit::Insert(row) | Edit::Delete(row) => row.iter().for_each(|value| words(value, told)),
                Edit::Update(cells) => cells.iter().flat_map(|cell| [&cell.before, &cell.after]).for_each(|value| words(value, told)),
            }
        }
        told.extend(words_claimed(&version.conflicts));
    }

    fn count_situations(&mut self, version: &Version) {
        let tally = &mut self.tally;
        for conflict in &version.conflicts {
            tally.reach(match conflict.kind {
                ConflictKind::UpdateUpdate => Situation::SameCell,
                ConflictKind::UpdateDelete | ConflictKind::DeleteUpdate => Situation::DeleteAgainstUpdate,
                ConflictKind::CreateCreate => Situation::CreateAgainstCreate,
                ConflictKind::Unique => Situation::UniqueClash,
                ConflictKind::MissingParent => Situation::MissingParent,
                ConflictKind::Constraint => Situation::ConstraintClash,
                ConflictKind::Schema => Situation::SchemaBoth,
            });
        }
        version.renumbered.iter().for_each(|_| tally.reach(Situation::Renumbered));
        version.waiting.iter().for_each(|_| tally.reach(Situation::Waiting));
    }
}
