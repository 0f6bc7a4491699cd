//! What happens, one event at a time.
use crate::image::{Image, words_of};
use crate::office::Sight;
use crate::proposals::NO_OFFER;
use crate::tally::{Invariant, Situation, Verdict, Wrong};
use crate::tape::{ClockFault, Delivery, Event, Role, Tape, Trick, Trouble};
use crate::wire::{Counted, Line, Manners};
use crate::world::{COPIES_MAX, Copy, Place, World, quiet, tolerate, unexpected};
use mainstem::cleanup::Rehearsal;
use mainstem::core::change::Choice;
use mainstem::core::value::Value;
use mainstem::primary::{Acquaintance, Primary, Pull};
use mainstem::replica::{Answering, Replica, RestoreTarget, Since};
use mainstem::sync::{self, Report};
use mainstem_sqlite::SqliteReplica;
use mainstem_testkit::between::Between;
use std::collections::BTreeSet;

/// Push, pull or sync.
pub(crate) type How = fn(&mut dyn Replica, &mut dyn Primary, &str, mainstem::replica::Progress<'_>) -> mainstem::Result<Report>;

/// The copy that an event is about.
pub(crate) fn subject(event: &Event) -> Option<usize> {
    match event {
        Event::Commit(who, _)
        | Event::Push(who)
        | Event::Pull(who)
        | Event::Sync(who)
        | Event::Wire(who, ..)
        | Event::Deliver(who, ..)
        | Event::Some(who, _)
        | Event::Restore(who, ..)
        | Event::Resolve(who, ..)
        | Event::Revert(who, _)
        | Event::Stash(who)
        | Event::Unstash(who)
        | Event::Copy(who)
        | Event::Keep(who)
        | Event::Rewind(who)
        | Event::Swap(who)
        | Event::Verify(who)
        | Event::Disorder(who)
        | Event::Unheard(who)
        | Event::Propose(who, ..)
        | Event::TakeBack(who, _)
        | Event::Clock(Some(who), _) => Some(*who),
        Event::Line(who, _) | Event::Ask(who, _) | Event::Permit(who, _) | Event::Role(who, _) | Event::Probe(who) => Some(*who),
        Event::Disk(_, _, inner) => subject(inner),
        _ => None,
    }
}

impl World {
    /// Lets one event happen. One about a copy that is not there is nothing.
    pub fn step(&mut self, tape: &Tape, event: &Event) -> Verdict {
        self.pass(1);
        if subject(event).is_some_and(|who| who >= self.copies.len()) {
            return Ok(());
        }
        let is_whole = matches!(event, Event::Deliver(..) | Event::Some(..) | Event::Revert(..) | Event::Disorder(_) | Event::Unheard(_));
        if is_whole && subject(event).is_some_and(|who| self.sights.contains_key(&who)) {
            return Ok(());
        }
        self.tally.operations += 1;
        match event {
            Event::Run(session) => match tape.workload.get(*session) {
                Some(session) => self.run_session(session),
                None => Ok(()),
            },
            Event::Commit(who, is_titled) => self.commit(*who, *is_titled),
            Event::Push(who) => self.meet(tape, *who, sync::push, &Manners::CALM),
            Event::Pull(who) => self.meet(tape, *who, sync::pull, &Manners::CALM),
            Event::Sync(who) => self.meet(tape, *who, sync::sync, &Manners::CALM),
            Event::Wire(who, at, loss) => {
                let troubles = vec![Trouble { at: *at, what: Trick::Lost(*loss) }];
                self.meet(tape, *who, sync::sync, &Manners { troubles, counted: Counted::Sent })
            }
            Event::Line(..) | Event::Cut(..) | Event::Mend | Event::Restart | Event::Backup | Event::Return(_) => self.weather(tape, event),
            Event::Policy(text) => {
                self.tally.reach(Situation::PolicyChanged);
                self.set_policy(text)
            }
            Event::Stranger => self.stranger(),
            Event::Cleanup => self.cleanup(),
            Event::Clock(who, fault) => {
                self.clock(*who, *fault);
                Ok(())
            }
            Event::Wait(ms) => {
                if *ms >= crate::workload::AWAY_MS {
                    self.tally.reach(Situation::Away);
                }
                self.pass(*ms);
                Ok(())
            }
            Event::Clone if self.copies.len() < COPIES_MAX => {
                self.tally.reach(Situation::Recloned);
                self.clone_one()
            }
            Event::Clone => Ok(()),
            Event::Disk(fault, at, inner) => self.failing(tape, *fault, *at, inner),
            Event::Copy(_) | Event::Keep(_) | Event::Rewind(_) | Event::Swap(_) => self.file(event),
            Event::Propose(who, offering, troubles) => {
                let troubles = troubles.clone();
                self.meet(tape, *who, offering.how(), &Manners { troubles, counted: Counted::All })
            }
            Event::Review(who, nth, handling, is_twice) => self.handle(*who, *nth, *handling, *is_twice),
            Event::Ask(..) | Event::Permit(..) | Event::Role(..) | Event::Probe(_) | Event::Deliver(..) | Event::Some(..) => {
                self.order(event)
            }
            Event::TakeBack(..) => self.order(event),
            Event::Restore(..) | Event::Resolve(..) | Event::Revert(..) | Event::Stash(_) | Event::Unstash(_) => self.order(event),
            Event::Verify(_) | Event::Disorder(_) | Event::Unheard(_) => self.order(event),
        }
    }

    /// Somebody gives an order to one copy, or about it.
    fn order(&mut self, event: &Event) -> Verdict {
        match event {
            Event::Ask(who, scope) => self.set_sight(*who, scope, true),
            Event::Permit(who, scope) => self.set_sight(*who, scope, false),
            Event::Role(who, role) => self.set_role(*who, *role),
            Event::Probe(who) => self.probe(*who),
            Event::Deliver(who, bytes, how) => self.receiving(*who, |world| world.deliver(*who, *bytes, *how)),
            Event::Some(who, times) => self.receiving(*who, |world| world.some(*who, *times)),
            Event::Restore(who, table, is_base) => self.noting(*who, |world| world.restore(*who, table, *is_base)),
            Event::Resolve(who, nth, choice) => self.noting(*who, |world| world.resolve(*who, *nth, *choice)),
            Event::Revert(who, back) => self.noting(*who, |world| world.revert(*who, *back)),
            Event::Stash(who) => self.noting(*who, |world| world.stash(*who)),
            Event::Unstash(who) => self.noting(*who, |world| world.unstash(*who)),
            Event::TakeBack(who, nth) => self.noting(*who, |world| world.take_back(*who, *nth)),
            Event::Verify(who) => self.verify(*who),
            Event::Disorder(who) => self.disorder(*who),
            Event::Unheard(who) => self.receiving(*who, |world| world.unheard(*who)),
            _ => Ok(()),
        }
    }

    /// The network is bad, or the server is.
    fn weather(&mut self, tape: &Tape, event: &Event) -> Verdict {
        match event {
            Event::Line(who, troubles) => {
                let troubles = troubles.clone();
                self.meet(tape, *who, sync::sync, &Manners { troubles, counted: Counted::All })
            }
            Event::Cut(who, is_heard) => {
                self.tally.fault("cut off");
                self.wires.cut = who.iter().map(|who| (*who, *is_heard)).collect();
                Ok(())
            }
            Event::Mend => {
                self.wires.cut.clear();
                Ok(())
            }
            Event::Restart => {
                self.tally.reach(Situation::Restarted);
                self.tally.fault("primary restarted");
                self.primary = None;
                Ok(())
            }
            Event::Backup => self.back_up(),
            Event::Return(is_said) => self.go_back(*is_said),
            _ => Ok(()),
        }
    }

    /// I-30: what capture says was changed since the last commit is what a full scan finds.
    fn check_capture(&mut self, who: usize, replica: &mut SqliteReplica) -> Verdict {
        let copy = &mut self.copies[who];
        let (Some(before), Some(now)) = (&copy.committed, &copy.place.image) else { return Ok(()) };
        let is_same_shape = |(name, held): (&String, &crate::image::Held)| before.get(name).is_some_and(|was| was.columns == held.columns);
        if copy.has_unseen || before.len() != now.len() || !now.iter().all(is_same_shape) {
            return Ok(());
        }
        let mut scanned = BTreeSet::new();
        for (name, held) in now {
            let was = &before[name];
            let changed = held.rows.iter().filter(|(key, row)| was.rows.get(*key) != Some(row)).map(|(key, _)| key);
            let gone = was.rows.keys().filter(|key| !held.rows.contains_key(*key));
            scanned.extend(changed.chain(gone).map(|key| (name.clone(), key.clone())));
        }
        let mut captured = BTreeSet::new();
        let seen = replica.changes(Since::Commit, &mut |shape, change| {
            captured.insert((shape.table.clone(), change.key.clone()));
            Ok(())
        });
        seen.map_err(|e| unexpected("changes", &e))?;
        self.tally.check(Invariant::Capture);
        if captured != scanned {
            let (missed, invented): (Vec<_>, Vec<_>) = (scanned.difference(&captured).collect(), captured.difference(&scanned).collect());
            let why = format!("capture differs: replica {who} missed {missed:?}, invented {invented:?}");
            return Err(Wrong::new(Invariant::Capture, why));
        }
        Ok(())
    }

    fn commit(&mut self, who: usize, is_titled: bool) -> Verdict {
        let mut replica = self.replica(who)?;
        self.check_capture(who, &mut replica)?;
        let actor = self.copies[who].actor.clone();
        let front = replica.commit(&actor, is_titled.then_some("work"), "").map_err(|e| unexpected("commit", &e))?;
        self.record(format!("commit {:?}", front.map(|front| front.count)));
        let keeps_links = self.keeps_links;
        let copy = &mut self.copies[who];
        let image = copy.place.known(keeps_links)?;
        copy.committed = Some(image.clone());
        copy.place.image = Some(image);
        Ok(())
    }

    /// Pushes or pulls, over a wire that may fail.
    fn meet(&mut self, tape: &Tape, who: usize, how: How, manners: &Manners) -> Verdict {
        let is_committed = self.receiving(who, |world| {
            let mut replica = world.replica(who)?;
            world.check_capture(who, &mut replica)?;
            let outbox = world.outbox(&mut replica)?;
            let (done, has_own_session) = world.call(Some(tape), who, &mut replica, how, manners)?;
            let is_refused = done.as_ref().is_err_and(|e| world.is_refused(who, e));
            world.check_role(who, &done)?;
            let told_aside = done.as_ref().ok().map(|report| report.set_aside);
            let set_aside = told_aside.unwrap_or(1);
            if done.as_ref().is_ok_and(|report| report.is_reseeded) {
                world.tally.reach(Situation::Reseeded);
                let standing = replica.standing().map_err(|e| unexpected("standing", &e))?;
                world.reseeded.insert(standing.replica);
            }
            let is_done = !is_refused && world.met(done)?;
            world.stands(who, &mut replica)?;
            world.look_at_versions()?;
            if set_aside == 0 || !world.sights.contains_key(&who) {
                world.check_outbox(who, &mut replica, &outbox)?;
            }
            // Others may have written meanwhile where the wire is slow.
            if let (Some(count @ 1..), true) = (told_aside, manners.troubles.is_empty()) {
                world.check_set_aside(who, &replica, count)?;
            }
            if is_done {
                world.look_at_sight(who, &mut replica)?;
            }
            // What was committed is laid on a new base: the next comparison begins here.
            world.copies[who].committed = None;
            Ok(is_done && !has_own_session)
        })?;
        let copy = &mut self.copies[who];
        if !self.is_failing && is_committed {
            copy.committed = copy.place.image.clone();
        }
        Ok(())
    }

    /// Calls the primary over the copy's wire. True where a program wrote into the copy's file meanwhile.
    pub(crate) fn call(
        &mut self,
        tape: Option<&Tape>,
        who: usize,
        replica: &mut SqliteReplica,
        how: How,
        manners: &Manners,
    ) -> Verdict<(mainstem::Result<Report>, bool)> {
        let actor = self.copies[who].actor.clone();
        if let Some(sight) = self.sights.get_mut(&who) {
            // A replica says at each contact what it asks for.
            sight.asked = replica.standing().map_err(|e| unexpected("standing", &e))?.scope;
        }
        let mut between = Between::of(Line::new(self, tape, who, manners));
        let done = how(replica, &mut between, &actor, &mut quiet);
        let line = between.into_middle();
        match line.wrong {
            Some(wrong) => Err(wrong),
            None => Ok((done, line.has_own_session)),
        }
    }

    /// What came of a meeting. A clock that runs ahead is refused, a cut wire is nobody's fault, and there may be nothing to offer.
    pub(crate) fn met(&mut self, done: mainstem::Result<Report>) -> Verdict<bool> {
        match done {
            Ok(report) => {
                self.record(format!("{report:?}"));
                if report.conflicts > 0 {
                    self.tally.check(Invariant::Unblocked);
                }
                Ok(true)
            }
            Err(e) if e.code == "clock_skew" => {
                self.tally.reach(Situation::ClockFuture);
                self.record(e.code);
                Ok(false)
            }
            Err(e) if e.code == "wire" || e.code == NO_OFFER => {
                self.record(e.code);
                Ok(false)
            }
            Err(e) => Err(unexpected("sync", &e)),
        }
    }

    fn outbox(&mut self, replica: &mut SqliteReplica) -> Verdict<Vec<u128>> {
        let fronts = replica.unsent().map_err(|e| unexpected("unsent", &e))?;
        Ok(fronts.iter().map(|front| front.header.write_id).collect())
    }

    /// I-7: what was unsent is unsent still, or in the ledger.
    fn check_outbox(&mut self, who: usize, replica: &mut SqliteReplica, before: &[u128]) -> Verdict {
        // What is offered is in a changeset of another name; that nothing of it is lost is judged at the end.
        if before.is_empty() || self.reviews.is_on {
            return Ok(());
        }
        self.tally.check(Invariant::Outbox);
        let after = self.outbox(replica)?;
        for write_id in before.iter().filter(|id| !after.contains(id)) {
            if !self.accepted(*write_id) {
                let why = format!("outbox lost: replica {who} has forgotten changeset {write_id:032x}, and the ledger does not have it");
                return Err(Wrong::new(Invariant::Outbox, why));
            }
        }
        Ok(())
    }

    /// Receives pulls of a few bytes until enough were heard.
    fn some(&mut self, who: usize, times: usize) -> Verdict {
        let mut replica = self.replica(who)?;
        self.copies[who].committed = None;
        for _ in 0..times {
            let Some(pull) = self.ask(&mut replica, 1)? else { return Ok(()) };
            if pull.next.page > 0 {
                self.tally.reach(Situation::SplitVersion);
            }
            self.take(&mut replica, &pull)?;
        }
        self.stands(who, &mut replica)
    }

    /// Asks for what follows the cursor.
    fn ask(&mut self, replica: &mut SqliteReplica, bytes: usize) -> Verdict<Option<Pull>> {
        let known = self.known(replica)?;
        let cursor = replica.cursor().map_err(|e| unexpected("cursor", &e))?;
        let pull = match self.serve()?.pull(&known, cursor, bytes) {
            // A sync finds the way to another life of the primary.
            Err(e) if e.code == "other_epoch" && !self.lives.left.is_empty() => return Ok(None),
            pull => pull.map_err(|e| unexpected("a small pull", &e))?,
        };
        self.check_size(&pull, bytes)?;
        Ok(if pull.items.is_empty() { None } else { Some(pull) })
    }

    fn known(&mut self, replica: &mut SqliteReplica) -> Verdict<Acquaintance> {
        let standing = replica.standing().map_err(|e| unexpected("standing", &e))?;
        standing.known.ok_or_else(|| Wrong::new(Invariant::Calm, "no primary: a replica has forgotten it"))
    }

    /// Receives an answer. False where it met rows that nobody knew of: they are compared, and it is asked for again; or a
    /// schema step that a pull mends.
    fn take(&mut self, replica: &mut SqliteReplica, pull: &Pull) -> Verdict<bool> {
        match replica.receive(pull) {
            Err(e) if e.code == "drift" => {
                let primary = self.serve()?;
                replica.reconcile(primary, &mut quiet).map(|_| false).map_err(|e| unexpected("a small pull", &e))
            }
            Err(e) if e.code == "schema_conflict" => {
                let done = sync::pull(replica, self.serve()?, "a0", &mut quiet);
                self.met(done).map(|_| false)
            }
            received => received.map(|_| true).map_err(|e| unexpected("a small pull", &e)),
        }
    }

    /// Receives answers that arrive twice, late, after a gap, or cut short: each is taken once, or not at all.
    fn deliver(&mut self, who: usize, bytes: usize, how: Delivery) -> Verdict {
        let mut replica = self.replica(who)?;
        self.copies[who].committed = None;
        let mut late: Option<Pull> = None;
        for _ in 0..4 {
            let Some(pull) = self.ask(&mut replica, bytes)? else { return Ok(()) };
            match how {
                Delivery::Twice => {
                    if self.take(&mut replica, &pull)? {
                        self.odd(who, &mut replica, &pull, Situation::DoubleAnswer)?;
                    }
                }
                Delivery::Again => {
                    let is_taken = self.take(&mut replica, &pull)?;
                    if let Some(late) = late.replace(pull).filter(|_| is_taken) {
                        self.odd(who, &mut replica, &late, Situation::DoubleAnswer)?;
                    }
                }
                Delivery::Gap => {
                    let known = self.known(&mut replica)?;
                    let beyond = self.serve()?.pull(&known, pull.next, bytes).map_err(|e| unexpected("a small pull", &e))?;
                    if !beyond.items.is_empty() {
                        self.odd(who, &mut replica, &beyond, Situation::GapAnswer)?;
                    }
                    self.take(&mut replica, &pull)?;
                }
                Delivery::Truncated => {
                    let mut cut = pull.clone();
                    cut.items.pop();
                    self.odd(who, &mut replica, &cut, Situation::TruncatedAnswer)?;
                    self.take(&mut replica, &pull)?;
                }
            }
        }
        self.stands(who, &mut replica)
    }

    /// I-24 and I-25: an answer that is not what comes next changes nothing, be it refused or passed over.
    fn odd(&mut self, who: usize, replica: &mut SqliteReplica, pull: &Pull, situation: Situation) -> Verdict {
        let keeps_links = self.keeps_links;
        let (before, at) = (self.copies[who].place.read(keeps_links)?, replica.cursor().map_err(|e| unexpected("cursor", &e))?);
        let answer = replica.receive(pull);
        self.tally.reach(situation);
        self.tally.fault(situation.name());
        self.record(format!("{:?}", answer.as_ref().map_err(|e| e.code).map(|r| r.versions)));
        let (after, now) = (self.copies[who].place.read(keeps_links)?, replica.cursor().map_err(|e| unexpected("cursor", &e))?);
        let invariant = if situation == Situation::DoubleAnswer { Invariant::Idempotent } else { Invariant::Delivered };
        self.tally.check(invariant);
        if before != after || at != now {
            return Err(Wrong::new(
                invariant,
                format!("odd answer taken: {}, cursor {at:?} then {now:?} (replica {who})", situation.name()),
            ));
        }
        Ok(())
    }

    fn restore(&mut self, who: usize, table: &str, is_base: bool) -> Verdict {
        let target = RestoreTarget { table: Some(table.to_owned()), key: None, columns: Vec::new() };
        let since = if is_base { Since::Base } else { Since::Commit };
        let restored = self.replica(who)?.restore(since, &target);
        self.record(format!("{:?}", restored.as_ref().map_err(|e| e.code)));
        restored.map(drop).or_else(|e| tolerate("restore", &e))
    }

    fn resolve(&mut self, who: usize, nth: usize, choice: usize) -> Verdict {
        let mut replica = self.replica(who)?;
        let open = replica.conflicts(true).map_err(|e| unexpected("conflicts", &e))?;
        if open.is_empty() {
            return Ok(());
        }
        let conflict = &open[nth % open.len()];
        let choice = [Choice::Ours, Choice::Theirs, Choice::Base, Choice::Merged, Choice::Value][choice % 5];
        let value = (choice == Choice::Value).then(|| Value::text("chosen"));
        let actor = self.copies[who].actor.clone();
        let answered = replica.resolve(&actor, &[(conflict.id, Answering { choice, value })]);
        self.record(format!("{:x} {:?}", conflict.id, answered.as_ref().map_err(|e| e.code)));
        if answered.is_ok() {
            self.tally.reach(Situation::Resolved);
        }
        answered.or_else(|e| tolerate("resolve", &e))
    }

    fn stash(&mut self, who: usize) -> Verdict {
        let actor = self.copies[who].actor.clone();
        let stashed = self.replica(who)?.stash(&actor, None);
        self.record(format!("{:?}", stashed.as_ref().map(Option::is_some).map_err(|e| e.code)));
        stashed.map(drop).or_else(|e| tolerate("stash", &e))
    }

    fn unstash(&mut self, who: usize) -> Verdict {
        let mut replica = self.replica(who)?;
        let stashes = replica.stashes().map_err(|e| unexpected("stashes", &e))?;
        let Some(front) = stashes.first() else { return Ok(()) };
        let laid = replica.unstash(front);
        self.record(format!("{:?}", laid.as_ref().map_err(|e| e.code)));
        if laid.is_ok() {
            self.tally.reach(Situation::Stashed);
        }
        laid.map(drop).or_else(|e| tolerate("unstash", &e))
    }

    /// I-13 and I-21: the rows are what some version and the work since then say.
    fn verify(&mut self, who: usize) -> Verdict {
        if self.copies[who].has_unseen {
            return Ok(());
        }
        let verified = self.replica(who)?.verify(None, &mut quiet).map_err(|e| unexpected("verify", &e))?;
        self.tally.check(Invariant::Digests);
        self.tally.check(Invariant::Whole);
        self.record(verified.digest);
        match verified.differences.first() {
            None => Ok(()),
            Some(first) => Err(Wrong::new(Invariant::Digests, format!("verify finds: replica {who} {first:?}"))),
        }
    }

    /// The primary forgets what it may (I-60, I-64): no row and no digest changes by that.
    fn cleanup(&mut self) -> Verdict {
        let before = self.serve()?.describe().map_err(|e| unexpected("describe", &e))?;
        let done = self.serve()?.cleanup("a0", Rehearsal::Real).map_err(|e| unexpected("cleanup", &e))?;
        self.check_cleanup(&done)?;
        let after = self.serve()?.describe().map_err(|e| unexpected("describe", &e))?;
        self.record(format!("{} {}", done.horizon_before, done.collected.horizon));
        self.tally.check(Invariant::Collected);
        self.tally.reach(if done.is_nothing() { Situation::CleanupIdle } else { Situation::Cleanup });
        if before.tables != after.tables || before.head.version != after.head.version {
            return Err(Wrong::new(Invariant::Collected, "a cleanup changed rows: digests"));
        }
        Ok(())
    }

    fn clock(&mut self, who: Option<usize>, fault: ClockFault) {
        if let ClockFault::Jump(ms) = fault
            && ms < 0
        {
            self.tally.reach(Situation::ClockBack);
        }
        self.tally.fault("clock");
        let machine = who.map_or(&self.primary_place.machine, |who| &self.copies[who].place.machine);
        machine.fault(fault, self.true_ms);
    }

    /// Copies, keeps and replaces files, as users do.
    fn file(&mut self, event: &Event) -> Verdict {
        let (Event::Copy(who) | Event::Keep(who) | Event::Rewind(who) | Event::Swap(who)) = event else { return Ok(()) };
        let who = *who;
        let unsent = self.unsent_words(who)?;
        // The programs are closed meanwhile: a file is copied whole, with nothing left beside it.
        self.copies[who].place.close();
        let path = self.copies[who].place.path.clone();
        let copied = |from: &std::path::Path, to: &std::path::Path| {
            std::fs::copy(from, to).map(drop).map_err(|e| Wrong::new(Invariant::Calm, format!("the harness cannot copy: {e}")))
        };
        match event {
            Event::Copy(_) if self.copies.len() < COPIES_MAX => {
                let number = self.copies.len();
                let to = self.fresh_path();
                copied(&path, &to)?;
                self.model.traces.double(&unsent);
                self.tally.reach(Situation::ClonedFile);
                self.tally.fault("file copied");
                let machine = crate::machine::Machine::new(self.true_ms, 0, self.seed, number as u64);
                let original = &self.copies[who];
                let place = Place { is_synced: self.disk.is_some(), ..Place::new(to, machine) };
                let (version, epoch) = (original.version, original.epoch);
                let has_unseen = original.has_unseen;
                if let Some(sight) = self.sights.get(&who).cloned() {
                    self.sights.insert(number, Sight { role: Role::Contributor, ..sight });
                }
                self.copies.push(Copy { version, epoch, has_unseen, ..Copy::new(place, number) });
            }
            Event::Keep(_) => {
                let kept = self.fresh_path();
                copied(&path, &kept)?;
                let copy = &mut self.copies[who];
                (copy.kept, copy.kept_unsent) = (Some(kept), unsent);
                copy.since_kept.clear();
                copy.taken_since_kept.clear();
            }
            Event::Rewind(_) | Event::Swap(_) => {
                let Some(kept) = self.copies[who].kept.clone() else { return Ok(()) };
                let is_swap = matches!(event, Event::Swap(_));
                if is_swap {
                    let (fresh, aside) = (self.fresh_path(), self.fresh_path());
                    copied(&kept, &fresh)?;
                    // The old file stays somewhere, so that no other file ever gets its number.
                    std::fs::rename(&path, aside)
                        .and_then(|()| std::fs::rename(&fresh, &path))
                        .expect("files of one folder can be renamed");
                } else {
                    copied(&kept, &path)?;
                }
                self.tally.reach(if is_swap { Situation::Swapped } else { Situation::Rewound });
                self.tally.fault(if is_swap { "file swapped" } else { "file rewound" });
                self.holds_no_more(who, &unsent)?;
                self.went_back(who);
            }
            _ => {}
        }
        Ok(())
    }

    /// A copy is what it was when it was kept: what was written there since then is gone from it.
    fn went_back(&mut self, who: usize) {
        let copy = &mut self.copies[who];
        let lost = std::mem::take(&mut copy.since_kept);
        let taken = std::mem::take(&mut copy.taken_since_kept);
        let unsent = copy.kept_unsent.clone();
        copy.version = 0;
        copy.place.image = None::<Image>;
        copy.committed = None;
        copy.has_unseen = true;
        self.model.gone.extend(lost);
        self.model.traces.forget_taken(&taken);
        self.model.traces.double(&unsent);
    }

    /// Words in a copy's file that the primary does not have.
    fn unsent_words(&mut self, who: usize) -> Verdict<BTreeSet<u64>> {
        let image = self.copies[who].place.read(self.keeps_links)?;
        Ok(&words_of(&image) - &words_of(&self.primary_image()?))
    }
}
