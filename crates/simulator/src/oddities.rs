//! Requests that are odd: pushes out of turn, or unheard while the pusher goes on, and strangers; and what versions must say of time
//! and numbers.
use crate::tally::{Invariant, Situation, Verdict, Wrong};
use crate::tape::{Loss, Trick, Trouble};
use crate::wire::{Counted, Manners};
use crate::world::{World, unexpected};
use mainstem::core::ErrorKind;
use mainstem::core::change::Edit;
use mainstem::core::event::Version;
use mainstem::core::format::page;
use mainstem::core::policy::CLOCK_SKEW_MS_MAX;
use mainstem::error::Error;
use mainstem::primary::{Acquaintance, Pushed};
use mainstem::replica::Replica;
use mainstem::sync;
use mainstem::wiring::Surroundings;

impl World {
    /// I-23: the second changeset is offered before the first.
    pub(crate) fn disorder(&mut self, who: usize) -> Verdict {
        let fail = |e: mainstem::Error| unexpected("a push out of turn", &e);
        let mut replica = self.replica(who)?;
        self.look_at_versions()?;
        let fronts = replica.unsent().map_err(fail)?;
        let [first, second, ..] = &fronts[..] else { return Ok(()) };
        // Numbers do not count for what is offered again.
        if self.accepted(first.header.write_id) || second.again.is_some() {
            return Ok(());
        }
        let Some(known) = replica.standing().map_err(fail)?.known else { return Ok(()) };
        let mut pages = replica.pages(second.header.write_id).map_err(fail)?;
        let answer = self.serve()?.push(&known, second, &mut *pages);
        self.tally.check(Invariant::Sequence);
        self.tally.reach(Situation::Disorder);
        self.record(format!("{:?}", answer.as_ref().map_err(|e| e.code)));
        match answer {
            Ok(Pushed::Accepted { .. }) => Err(Wrong::new(Invariant::Sequence, format!("accepted out of turn: replica {who}"))),
            _ => Ok(()),
        }
    }

    /// I-76: a push whose first request is lost is not told as done.
    pub(crate) fn unheard(&mut self, who: usize) -> Verdict {
        let mut replica = self.replica(who)?;
        let troubles = vec![Trouble { at: 0, what: Trick::Lost(Loss::Request) }];
        let (done, _) = self.call(None, who, &mut replica, sync::push, &Manners { troubles, counted: Counted::Sent })?;
        self.record(format!("{:?}", done.as_ref().map_err(|e| e.code)));
        let is_told = done.is_ok();
        self.met(done)?;
        self.look_at_versions()?;
        self.tally.check(Invariant::Drained);
        for front in replica.unsent().map_err(|e| unexpected("unsent", &e))? {
            if is_told && !self.accepted(front.header.write_id) {
                return Err(Wrong::new(Invariant::Drained, format!("told as pushed and is not: replica {who}")));
            }
        }
        Ok(())
    }

    /// I-39: a replica of another dataset, or one that knows another past, gets nothing and leaves nothing.
    pub(crate) fn stranger(&mut self) -> Verdict {
        let described = self.serve()?.describe().map_err(|e| unexpected("describe", &e))?;
        let known = Acquaintance {
            lineage: described.lineage ^ 1,
            epoch: described.epoch,
            version: described.head.version,
            hash: described.head.hash,
            scope: described.scope,
        };
        let forked = Acquaintance { lineage: described.lineage, hash: [7; 32], ..known };
        for stranger in [known, forked] {
            let answer = self.serve()?.pull(&stranger, Default::default(), 1000);
            self.tally.check(Invariant::Lineage);
            self.tally.reach(Situation::Stranger);
            if !matches!(&answer, Err(Error { kind: ErrorKind::Conflict, .. })) {
                return Err(Wrong::new(Invariant::Lineage, "a stranger is served: pull"));
            }
        }
        Ok(())
    }

    /// No stamp is further ahead of the primary's clock, or of what it accepted before, than the policy allows, which nobody
    /// changes here.
    pub(crate) fn check_stamp(&mut self, version: &Version) -> Verdict {
        self.tally.check(Invariant::Stamps);
        let (stamp, latest) = (version.header.at.ms(), self.latest_ms.max(self.primary_place.machine.now_ms()));
        // The first is stamped by the replica that publishes: there is no other clock yet.
        if version.version > 1 && stamp > latest + CLOCK_SKEW_MS_MAX {
            let why = format!("from the future: version {} is stamped {} ms ahead", version.version, stamp - latest);
            return Err(Wrong::new(Invariant::Stamps, why));
        }
        // Who heard of a stamp goes on from there, also where the clock that gave it is right again.
        self.latest_ms = self.latest_ms.max(version.accepted_at.ms());
        Ok(())
    }

    /// A number that AUTOINCREMENT gave is never given again by renumbering.
    pub(crate) fn check_numbers(&mut self, version: &Version) -> Verdict {
        // What is offered again keeps the numbers that it was given before.
        for row in version.renumbered.iter().filter(|_| version.was.is_empty()) {
            self.tally.check(Invariant::Numbers);
            let name = row.table.to_lowercase();
            if self.model.traces.autoincrement.contains(&name) && self.looked.highest.get(&name).is_some_and(|highest| row.to <= *highest) {
                return Err(Wrong::new(
                    Invariant::Numbers,
                    format!("given again: number {} of {name} in version {}", row.to, version.version),
                ));
            }
        }
        for number in 0..version.pages {
            let bytes = self.serve()?.page(version.version, number).map_err(|e| unexpected("page", &e))?.unwrap_or_default();
            let changes = page::decode(&bytes, &version.shapes).map_err(|e| Wrong::new(Invariant::Chain, format!("page: {e}")))?;
            for change in changes.iter().filter(|change| matches!(change.edit, Edit::Insert(_))) {
                let name = version.shapes[change.table].table.to_lowercase();
                let highest = self.looked.highest.entry(name).or_default();
                *highest = (*highest).max(change.key[0].as_integer().unwrap_or_default());
            }
        }
        Ok(())
    }
}
