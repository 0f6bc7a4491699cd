//! What can be read off the primary's versions: sequence numbers, deletes, the chain of hashes.
use crate::tally::{Invariant, Situation, Verdict, Wrong};
use crate::world::{World, unexpected};
use mainstem::core::change::Edit;
use mainstem::core::conflict::ConflictKind;
use mainstem::core::event::Version;
use mainstem::core::format::page;

impl World {
    /// True where a changeset is in the ledger.
    pub(crate) fn accepted(&self, write_id: u128) -> bool {
        self.accepted.contains(&write_id)
    }

    /// Looks at the versions that came since the last look.
    pub(crate) fn look_at_versions(&mut self) -> Verdict {
        let head = self.serve()?.describe().map_err(|e| unexpected("describe", &e))?.head;
        self.record(head.hash);
        while self.looked_at < head.version {
            let number = self.looked_at + 1;
            let version = self.serve()?.version(number).map_err(|e| unexpected("version", &e))?;
            let version = version.ok_or_else(|| Wrong::new(Invariant::Chain, format!("version {number} is not there")))?;
            self.check_sequence(&version)?;
            self.check_stamp(&version)?;
            self.check_numbers(&version)?;
            self.check_deletes(&version)?;
            self.count_situations(&version);
            self.changes_sent += version.count;
            self.accepted.insert(version.header.write_id);
            self.looked_at = number;
        }
        Ok(())
    }

    /// I-23: numbers of a replica have no gaps, and each stands for one changeset.
    fn check_sequence(&mut self, version: &Version) -> Verdict {
        self.tally.check(Invariant::Sequence);
        let header = &version.header;
        let last = self.sequences.entry(header.replica).or_default();
        // A version of a child that waited carries its author's name and no number.
        if header.sequence != 0 {
            if header.sequence != *last + 1 {
                let why = format!("sequence gap: replica {} sends {} after {last}", header.replica, header.sequence);
                return Err(Wrong::new(Invariant::Sequence, why));
            }
            *last = header.sequence;
        }
        if self.accepted.contains(&header.write_id) {
            return Err(Wrong::new(Invariant::Captured, format!("accepted twice: changeset {:032x}", header.write_id)));
        }
        Ok(())
    }

    /// I-8: a deletion was made by somebody, or is one side of a conflict.
    fn check_deletes(&mut self, version: &Version) -> Verdict {
        if !version.schema.is_empty() {
            return Ok(());
        }
        for number in 0..version.pages {
            let bytes = self.serve()?.page(version.version, number).map_err(|e| unexpected("page", &e))?;
            let bytes = bytes.ok_or_else(|| Wrong::new(Invariant::Chain, "a page is not there: version"))?;
            let changes = page::decode(&bytes, &version.shapes).map_err(|e| Wrong::new(Invariant::Chain, format!("page: {e}")))?;
            if changes.iter().any(|change| change.moved_from.is_some()) {
                self.tally.reach(Situation::MovedKey);
            }
            for change in changes.iter().filter(|change| matches!(change.edit, Edit::Delete(_))) {
                self.tally.check(Invariant::Deletes);
                let table = &version.shapes[change.table].table;
                let is_clash = version.conflicts.iter().any(|c| c.table.eq_ignore_ascii_case(table));
                let is_answer = !version.resolved.is_empty();
                if !is_clash && !is_answer && !self.model.was_deleted(table, &change.key) {
                    let why = format!("nobody's delete: {table} {:?} in version {}", change.key, version.version);
                    return Err(Wrong::new(Invariant::Deletes, why));
                }
            }
        }
        Ok(())
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
