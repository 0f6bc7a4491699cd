//! Disks that fail: a process that ends between two writes, a power cut, one error, no room.
//!
//! Invariant: after a crash every file opens and is sound, and shows the state before or after what was cut short; after an
//! error the work goes on without a restart.
use crate::judge::sound;
use crate::program;
use crate::tally::{Invariant, Situation, Verdict, Wrong};
use crate::tape::{DiskFault, Event, Tape};
use crate::world::{World, quiet, unexpected};
use mainstem::replica::Replica;
use mainstem_disk::Failure;

impl World {
    /// Lets an event happen while the disk fails.
    pub(crate) fn failing(&mut self, tape: &Tape, fault: DiskFault, at: u64, inner: &Event) -> Verdict {
        let Some(disk) = &self.disk else { return self.step(tape, inner) };
        let failed = disk.failed();
        match fault {
            DiskFault::Kill | DiskFault::Power => disk.crash_at(at),
            DiskFault::Once => disk.fail_at(at, Failure::Io, false),
            DiskFault::Lasting => disk.fail_at(at, Failure::Io, true),
            DiskFault::Full => disk.fail_at(at, Failure::Full, true),
        }
        self.is_failing = true;
        let done = self.step(tape, inner);
        let disk = self.disk.as_ref().expect("it was there before");
        let (has_crashed, has_failed) = (disk.is_crashed(), disk.failed() > failed);
        self.is_failing = false;
        if !has_crashed && !has_failed {
            disk.calm();
            done?;
            return self.look_again();
        }
        // Which failure the user was told of is not judged here; that nothing else happened is.
        self.record(format!("{} {}", inner, done.is_ok()));
        match done {
            Err(wrong) if !is_failure(&wrong) => return Err(wrong),
            _ => {}
        }
        if has_crashed { self.recover(fault) } else { self.go_on(fault) }?;
        self.check_recovered()
    }

    /// Everything that was open is gone; what the disk holds is opened again.
    fn recover(&mut self, fault: DiskFault) -> Verdict {
        self.close_all();
        let is_power_cut = fault == DiskFault::Power;
        self.tally.reach(if is_power_cut { Situation::PowerCut } else { Situation::Killed });
        self.tally.fault(if is_power_cut { "power cut" } else { "process killed" });
        let dice = crate::dice::Dice::new(self.seed, 3000 + self.tally.operations);
        let disk = self.disk.as_ref().expect("only a watched disk crashes");
        disk.settle(&mut |n| if is_power_cut { dice.next() % n } else { 0 });
        self.look_again()
    }

    /// The cause of the errors ends, and the programs and the primary go on with the connections they have.
    fn go_on(&mut self, fault: DiskFault) -> Verdict {
        self.disk.as_ref().expect("only a watched disk fails").calm();
        let is_full = fault == DiskFault::Full;
        self.tally.reach(if is_full { Situation::DiskFull } else { Situation::DiskError });
        self.tally.fault(if is_full { "disk full" } else { "disk error" });
        self.look_again()
    }

    fn close_all(&mut self) {
        self.primary = None;
        self.primary_place.close();
        self.copies.iter_mut().for_each(|copy| copy.place.close());
    }

    /// Reads every file again, and notes what was cut short and happened all the same.
    fn look_again(&mut self) -> Verdict {
        let keeps_links = self.keeps_links;
        for place in self.copies.iter_mut().map(|copy| &mut copy.place).chain([&mut self.primary_place]) {
            place.open(keeps_links, None)?;
            let db = place.db.as_ref().expect("it was just opened");
            if !db.is_autocommit() {
                // The program gives up, too. A transaction that has ended by itself is as good.
                let _ = db.execute_batch("ROLLBACK");
            }
            program::set_times(place)?;
        }
        if let Some(unread) = self.unread.take() {
            self.read_after(unread)?;
        }
        self.copies.iter_mut().for_each(|copy| copy.committed = None);
        Ok(())
    }

    /// I-26, I-70, I-71: rows, cursor and conflicts belong together, and the files are sound.
    fn check_recovered(&mut self) -> Verdict {
        for who in 0..self.copies.len() {
            let at = |wrong: Wrong| wrong.at(format!("replica {who}, after the disk failed"));
            let mut replica = self.replica(who).map_err(at)?;
            self.tally.check(Invariant::Together);
            // A table that its app has remade is compared at the next push, which the replica knows.
            let is_to_compare = replica.needs_reconcile().map_err(|e| at(unexpected("needs_reconcile", &e)))?;
            if !self.copies[who].has_unseen && !is_to_compare {
                let verified = replica.verify(None, &mut quiet).map_err(|e| at(unexpected("verify", &e)))?;
                if let Some(first) = verified.differences.first() {
                    return Err(at(Wrong::new(Invariant::Together, format!("torn apart: {first:?}"))));
                }
            }
            self.stands(who, &mut replica).map_err(at)?;
            drop(replica);
            self.tally.check(Invariant::Sound);
            let place = &mut self.copies[who].place;
            place.open(false, None)?;
            sound(place.db.as_ref().expect("it was just opened"), false, &self.cut).map_err(at)?;
        }
        self.check_merges()?;
        self.tally.check(Invariant::Acknowledged);
        self.look_at_versions()?;
        if let Some((version, hash)) = self.looked.heads.last().copied() {
            let now = self.serve()?.version_hash(version).map_err(|e| unexpected("version_hash", &e))?;
            if now != Some(hash) {
                return Err(Wrong::new(Invariant::Acknowledged, format!("acknowledged and gone: version {version}")));
            }
        }
        Ok(())
    }
}

/// True for what a failing disk explains.
fn is_failure(wrong: &Wrong) -> bool {
    let is_calm = wrong.invariant == Invariant::Calm && !wrong.why.starts_with("panic");
    is_calm || wrong.why.starts_with("unreadable")
}
