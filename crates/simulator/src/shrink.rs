//! Leaves out of a failing tape what it does not need to fail.
//!
//! Invariant: what is left fails by the same invariant and for the same reason as the whole.
use crate::tally::Wrong;
use crate::tape::{Event, Manner, Tape};
use std::collections::BTreeSet;

/// The first words of a complaint: a smaller tape must fail for the same reason.
pub fn reason(wrong: &Wrong) -> String {
    let first = wrong.why.split(':').next().unwrap_or_default();
    let end = first.find(" (").unwrap_or(first.len());
    format!("{} {}", wrong.invariant.name(), &first[..end])
}

struct Shrinking<'a> {
    best: Tape,
    wrong: Wrong,
    /// Runs that are left.
    tries: usize,
    judge: &'a dyn Fn(&Tape) -> Option<Wrong>,
}

impl Shrinking<'_> {
    fn attempt(&mut self, candidate: Tape) -> bool {
        if self.tries == 0 || candidate == self.best {
            return false;
        }
        self.tries -= 1;
        match (self.judge)(&candidate) {
            Some(again) if reason(&again) == reason(&self.wrong) => {
                (self.best, self.wrong) = (candidate, again);
                true
            }
            _ => false,
        }
    }

    /// Leaves out ever smaller stretches of a list inside the tape.
    fn stretches<T: Clone>(&mut self, list: impl Fn(&mut Tape) -> &mut Vec<T>) {
        let mut size = list(&mut self.best.clone()).len().div_ceil(2).max(1);
        loop {
            let mut at = 0;
            while at < list(&mut self.best.clone()).len() && self.tries > 0 {
                let mut candidate = self.best.clone();
                let all = list(&mut candidate);
                let end = (at + size).min(all.len());
                all.drain(at..end);
                if !self.attempt(candidate) {
                    at += size;
                }
            }
            if size == 1 {
                return;
            }
            size /= 2;
        }
    }
}

impl Shrinking<'_> {
    /// Tries the tape with one thing done to it.
    fn one(&mut self, change: impl FnOnce(&mut Tape)) {
        let mut candidate = self.best.clone();
        change(&mut candidate);
        self.attempt(candidate);
    }

    /// Clocks that are right, disks that hold, one kind of journal, fewer rules.
    fn surroundings(&mut self) {
        self.one(|tape| tape.setup.offsets.clear());
        self.one(|tape| tape.setup.journals.clear());
        self.one(|tape| tape.setup.is_wide_text = false);
        for at in 0..self.best.schedule.len() {
            match self.best.schedule[at].clone() {
                Event::Disk(_, _, inner) => self.one(|tape| tape.schedule[at] = *inner),
                Event::Policy(text) => self.rules(at, &text),
                _ => {}
            }
        }
        self.one(|tape| tape.setup.has_disk = false);
    }

    fn rules(&mut self, at: usize, text: &str) {
        let mut lines: Vec<&str> = text.lines().collect();
        let mut line = lines.len();
        while line > 0 {
            line -= 1;
            let fewer: Vec<&str> = [&lines[..line], &lines[line + 1..]].concat();
            let mut candidate = self.best.clone();
            candidate.schedule[at] = Event::Policy(fewer.join("\n"));
            if self.attempt(candidate) {
                lines = fewer;
            }
        }
    }
}

/// The sessions that the schedule runs.
fn sessions(tape: &mut Tape) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    for event in &mut tape.schedule {
        event.all_mut(&mut |event| {
            if let Event::Run(session) = event {
                found.insert(*session);
            }
        });
    }
    found
}

/// A smaller tape that fails alike, and its complaint, after so many runs at most.
pub fn shrink(tape: &Tape, wrong: Wrong, tries: usize, judge: &dyn Fn(&Tape) -> Option<Wrong>) -> (Tape, Wrong) {
    let mut shrinking = Shrinking { best: tape.clone(), wrong, tries, judge };
    shrinking.stretches(|tape| &mut tape.schedule);
    loop {
        let before = shrinking.best.clone();
        for session in 0..tape.workload.len() {
            if sessions(&mut shrinking.best).contains(&session) {
                shrinking.stretches(move |tape| &mut tape.workload[session].statements);
                shrinking.one(|tape| tape.workload[session].manner = Manner::default());
            } else {
                shrinking.best.workload[session].statements.clear();
            }
        }
        for at in 0..shrinking.best.schedule.len() {
            if matches!(shrinking.best.schedule[at], Event::Line(..) | Event::Propose(..)) {
                shrinking.stretches(move |tape| match &mut tape.schedule[at] {
                    Event::Line(_, troubles) | Event::Propose(_, _, troubles) => troubles,
                    _ => unreachable!("nothing else is made of a line here"),
                });
            }
        }
        shrinking.stretches(|tape| &mut tape.setup.policy);
        shrinking.stretches(|tape| &mut tape.setup.schema);
        shrinking.surroundings();
        shrinking.stretches(|tape| &mut tape.schedule);
        if shrinking.best == before || shrinking.tries == 0 {
            return (tidied(shrinking.best), shrinking.wrong);
        }
    }
}

/// The same tape without sessions that never run.
fn tidied(mut tape: Tape) -> Tape {
    let used = sessions(&mut tape);
    let kept: Vec<usize> = (0..tape.workload.len()).filter(|session| used.contains(session)).collect();
    for event in &mut tape.schedule {
        event.all_mut(&mut |event| {
            if let Event::Run(number) = event {
                // A session that is not in the tape is none in the smaller one either.
                *number = kept.iter().position(|session| session == number).unwrap_or(usize::MAX);
            }
        });
    }
    tape.workload = kept.into_iter().map(|session| tape.workload[session].clone()).collect();
    tape
}
