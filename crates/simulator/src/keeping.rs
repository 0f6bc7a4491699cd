//! What copies keep for review once everybody has synced: what must hold of it then, and how it all is merged in the end.
//!
//! Invariant: a kept change is in its copy, marked, until a version holds it; every other row is what everybody sees.
use crate::proposals::words_of_changes;
use crate::tally::{Invariant, Situation, Verdict, Wrong};
use crate::world::{World, quiet, unexpected};
use mainstem::core::value::Key;
use mainstem::error::Error;
use mainstem::proposing::{self, Asked, Kept, Mark, Proposing};
use mainstem::replica::{Replica, Since};
use std::collections::BTreeSet;

/// Rounds after which nothing is kept any more: in each, every copy can offer again one proposal that was closed.
const ROUNDS_MAX: usize = 40;

fn failed(what: &'static str) -> impl Fn(Error) -> Wrong {
    move |e| unexpected(what, &e)
}

impl World {
    /// What must hold of kept changes when faults have stopped and everybody has synced; then all of it is merged.
    pub(crate) fn end_reviews(&mut self) -> Verdict {
        if !self.reviews.is_on {
            return Ok(());
        }
        for who in 0..self.copies.len() {
            self.judge_kept(who)?;
        }
        self.drain()?;
        self.lift()?;
        self.settle()
    }

    /// Nothing needs review any more: what is judged from here on is what every run is judged for.
    fn lift(&mut self) -> Verdict {
        let text = self.serve()?.describe().map_err(failed("describe"))?.policy;
        let left: Vec<&str> = text.lines().filter(|line| !line.contains("review")).collect();
        self.set_policy(&left.join("\n"))
    }

    fn judge_kept(&mut self, who: usize) -> Verdict {
        let mut replica = self.replica(who)?;
        let kept = replica.kept().map_err(failed("kept"))?;
        for one in &kept {
            self.tally.reach(Situation::KeptAtEnd);
            self.judge_mark(who, one)?;
        }
        let head = self.serve()?.describe().map_err(failed("describe"))?.head.version;
        let standing = replica.standing().map_err(failed("standing"))?;
        if standing.base_version != head {
            return Err(Wrong::new(Invariant::Held, format!("kept back: replica {who} stays at {}", standing.base_version)));
        }
        // Rows that differ from everybody's are those that the copy says are its own work.
        let mut own: BTreeSet<(String, Key)> = BTreeSet::new();
        let seen = replica.changes(Since::Base, &mut |shape, change| {
            own.insert((shape.table.to_lowercase(), change.key.clone()));
            Ok(())
        });
        seen.map_err(failed("changes"))?;
        let verified = replica.verify(Some(self.serve()?), &mut quiet).map_err(failed("verify"))?;
        if let Some(first) = verified.differences.first() {
            return Err(Wrong::new(Invariant::Held, format!("verify finds beside what is kept: replica {who} {first:?}")));
        }
        drop(replica);
        let (theirs, ours) = (self.primary_image()?, self.rows_of(who)?);
        for (name, held) in &theirs {
            let here = ours.get(name).map(|held| &held.rows);
            let is_other = |key: &&Key| here.and_then(|rows| rows.get(*key)) != held.rows.get(*key);
            let keys = held.rows.keys().chain(here.into_iter().flat_map(|rows| rows.keys()));
            if let Some(key) = keys.filter(is_other).find(|key| !own.contains(&(name.to_lowercase(), (*key).clone()))) {
                return Err(Wrong::new(Invariant::Held, format!("differs beside what is kept: replica {who} {name} {key:?}")));
            }
        }
        Ok(())
    }

    /// What is kept is no version, and its mark says where it is.
    fn judge_mark(&mut self, who: usize, one: &Kept) -> Verdict {
        self.tally.check(Invariant::Held);
        let write_id = one.front.header.write_id;
        if let Some(version) = self.serve()?.find_write(write_id).map_err(failed("find_write"))? {
            let why = format!("held for ever: replica {who} keeps {write_id:032x}, which is version {version}");
            return Err(Wrong::new(Invariant::Held, why));
        }
        let found = self.serve()?.find_revision(write_id).map_err(failed("find_revision"))?;
        let is_right = match one.mark {
            Mark::Waiting | Mark::Refused(_) => found.is_none(),
            Mark::Left => true,
            Mark::Offered { proposal, revision, stage } => {
                let there = self.serve()?.proposals(&mainstem::ledger::ProposalsWanted {
                    stages: mainstem::core::proposal::Stage::ALL.into_iter().filter(|other| other.is_open() == stage.is_open()).collect(),
                    before: Some(proposal + 1),
                    limit: 1,
                    ..Default::default()
                });
                found == Some((proposal, revision)) && there.map_err(failed("proposals"))?.first() == Some(&proposal)
            }
        };
        if is_right {
            return Ok(());
        }
        Err(Wrong::new(Invariant::Held, format!("marked wrongly: replica {who} has {write_id:032x} as {:?}, found {found:?}", one.mark)))
    }

    /// Everything that waits is offered, and everything that is offered is merged.
    fn drain(&mut self) -> Verdict {
        for round in 0..ROUNDS_MAX {
            let at = |wrong: Wrong| wrong.at(format!("round {round} of the last merges"));
            for who in 0..self.copies.len() {
                self.pass(1);
                if self.receiving(who, |world| world.offer_last(who)).map_err(at)? {
                    self.noting(who, |world| world.take_back(who, 0)).map_err(at)?;
                }
            }
            for id in self.proposals(&|stage| stage.is_open())? {
                self.merge_last(id).map_err(at)?;
            }
            let mut is_done = true;
            for who in 0..self.copies.len() {
                self.receiving(who, |world| world.settle_one(who, false)).map_err(at)?;
                is_done &= self.replica(who)?.kept().map_err(failed("kept"))?.is_empty();
            }
            if is_done && self.proposals(&|stage| stage.is_open())?.is_empty() {
                return Ok(());
            }
        }
        let mut left = Vec::new();
        for who in 0..self.copies.len() {
            let kept = self.replica(who)?.kept().map_err(failed("kept"))?;
            left.extend(kept.iter().map(|kept| format!("replica {who} {:032x} {:?}", kept.front.header.write_id, kept.mark)));
        }
        Err(Wrong::new(Invariant::Held, format!("never merged: {}", left.join(", "))))
    }

    /// Offers what waits, or again what was closed. True where that comes to nothing, so that it is taken back.
    fn offer_last(&mut self, who: usize) -> Verdict<bool> {
        let mut replica = self.replica(who)?;
        if replica.kept().map_err(failed("kept"))?.is_empty() {
            return Ok(false);
        }
        let actor = self.copies[who].actor.clone();
        let asked = Asked { title: Some("last".into()), ..Asked::default() };
        match proposing::propose(&mut *replica, self.serve()?, &actor, &asked, &mut quiet) {
            Ok(_) => Ok(false),
            Err(e) if e.code == "nothing_to_propose" => {
                let kept = replica.kept().map_err(failed("kept"))?;
                Ok(kept.iter().any(|kept| kept.mark.is_waiting()) && kept.iter().any(|kept| kept.mark.proposal().is_some()))
            }
            Err(e) if e.code == "proposed_rows" => Ok(false),
            Err(e) => Err(unexpected("the last offer", &e)),
        }
    }

    /// The words of changes that were put aside in a copy, and of what it keeps.
    pub(crate) fn words_kept(&mut self, who: usize) -> Verdict<BTreeSet<u64>> {
        let mut found = self.words_aside(who)?;
        let mut replica = self.replica(who)?;
        for one in replica.kept().map_err(failed("kept"))? {
            let mut pages = replica.pages(one.front.header.write_id).map_err(failed("pages"))?;
            while let Some(changes) = pages.next().map_err(failed("pages"))? {
                words_of_changes(&changes, &mut found);
            }
        }
        Ok(found)
    }
}
