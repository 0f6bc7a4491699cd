//! What is between a replica and its primary: requests and answers that are lost, doubled, late or old, parties that are cut
//! off, and whatever happens to others between two requests.
//!
//! Invariant: a call is answered by the real primary or not at all; an old answer was given once.
use crate::tally::{Invariant, Situation, Verdict, Wrong};
use crate::tape::{Event, Loss, Tape, Trick, Trouble};
use crate::world::{World, unexpected};
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use mainstem::primary::{Primary, Seen};
use mainstem::wiring::Surroundings;
use mainstem_testkit::between::{Late, Middle, Moment, Turn};
use std::collections::BTreeMap;

/// Requests on their way, and who is cut off.
#[derive(Default)]
pub(crate) struct Wires {
    /// Who sent each, after how many more calls it arrives, and what it is.
    late: Vec<(usize, usize, Late)>,
    /// Copies that are cut off; those with true are heard, and hear nothing.
    pub(crate) cut: BTreeMap<usize, bool>,
}

/// Which calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Pushes and pulls.
    Sent,
    /// All.
    All,
}

/// How a command's calls go.
pub(crate) struct Manners {
    /// What goes wrong.
    pub(crate) troubles: Vec<Trouble>,
    /// Which calls its numbers count.
    pub(crate) counted: Counted,
}

impl Manners {
    /// Nothing goes wrong.
    pub(crate) const CALM: Manners = Manners { troubles: Vec::new(), counted: Counted::All };
}

/// The wire of one copy during one command.
pub(crate) struct Line<'w> {
    pub(crate) world: &'w mut World,
    tape: Option<&'w Tape>,
    who: usize,
    troubles: Vec<Trouble>,
    counted: Counted,
    /// Calls that were counted so far.
    pub(crate) calls: usize,
    /// All calls so far.
    all: usize,
    /// What the next kept request waits for, in calls.
    delay: usize,
    /// True where a program wrote into the copy's own file meanwhile.
    pub(crate) has_own_session: bool,
    /// What did not hold meanwhile.
    pub(crate) wrong: Option<Wrong>,
}

fn cut() -> Error {
    Error::new(ErrorKind::Unavailable, "wire", "the wire was cut")
}

impl<'w> Line<'w> {
    pub(crate) fn new(world: &'w mut World, tape: Option<&'w Tape>, who: usize, manners: &Manners) -> Line<'w> {
        let (troubles, counted) = (manners.troubles.clone(), manners.counted);
        Line { world, tape, who, troubles, counted, calls: 0, all: 0, delay: 0, has_own_session: false, wrong: None }
    }

    fn fail<T>(&mut self, wrong: Wrong) -> Result<T> {
        self.wrong.get_or_insert(wrong);
        Err(cut())
    }

    /// What goes wrong with the call of that number, before it or after it.
    fn next(&mut self, at: usize, is_after: bool) -> Option<Trick> {
        let position = self.troubles.iter().position(|trouble| trouble.at == at && trouble.what.is_after() == is_after)?;
        Some(self.troubles.remove(position).what)
    }

    /// Somebody else does something meanwhile; where a pull is on its way, programs of the same machine may, too.
    fn meanwhile(&mut self, event: &Event, name: &str) -> Result<()> {
        let Some(tape) = self.tape else { return Ok(()) };
        let own = match event {
            Event::Run(session) => tape.workload.get(*session).is_some_and(|session| session.who == Some(self.who)),
            event => crate::steps::subject(event) == Some(self.who),
        };
        if own && !(name == "pull" && matches!(event, Event::Run(_))) {
            return Ok(());
        }
        self.has_own_session |= own;
        self.world.tally.reach(Situation::Meanwhile);
        match self.world.step(tape, event) {
            Ok(()) => Ok(()),
            Err(wrong) => self.fail(wrong.at(format!("meanwhile, {event}"))),
        }
    }

    fn before(&mut self, name: &str, trick: Trick) -> Result<Turn> {
        self.world.count(&trick);
        match trick {
            Trick::Lost(Loss::Request) => Err(cut()),
            Trick::Lost(Loss::Double) => Ok(Turn::Twice),
            Trick::Late(calls) => {
                self.delay = calls;
                Ok(Turn::Late)
            }
            Trick::Stale => Ok(Turn::Stale),
            Trick::Before(event) => self.meanwhile(&event, name).map(|()| Turn::Once),
            Trick::Lost(Loss::Answer) | Trick::After(_) => Ok(Turn::Once),
        }
    }
}

impl Middle for Line<'_> {
    fn with<T>(&mut self, call: impl FnOnce(&mut dyn Primary) -> Result<T>) -> Result<T> {
        match self.world.shown(self.who, call) {
            Ok(answer) => answer,
            Err(wrong) => self.fail(wrong),
        }
    }

    fn meddle(&mut self, moment: Moment) -> Result<Turn> {
        let (Moment::Before(name) | Moment::After(name)) = moment;
        let is_after = matches!(moment, Moment::After(_));
        if self.wrong.is_some() {
            return Err(cut());
        }
        if !is_after {
            self.all += 1;
            if let Err(wrong) = self.world.check_calls(self.who, self.all).and_then(|()| self.world.arrive(false)) {
                return self.fail(wrong);
            }
        }
        if let Some(is_heard) = self.world.wires.cut.get(&self.who)
            && (is_after || !is_heard)
        {
            self.world.tally.reach(Situation::CutOff);
            return Err(cut());
        }
        if self.counted == Counted::Sent && !matches!(name, "push" | "pull") {
            return Ok(Turn::Once);
        }
        self.calls += usize::from(!is_after);
        let mut turn = Turn::Once;
        while let Some(trick) = self.next(self.calls - 1, is_after) {
            turn = match is_after {
                false => self.before(name, trick)?,
                true => {
                    self.world.count(&trick);
                    match trick {
                        Trick::After(event) => self.meanwhile(&event, name).map(|()| Turn::Once)?,
                        _ => return Err(cut()),
                    }
                }
            };
        }
        Ok(turn)
    }

    fn keep(&mut self, late: Late) -> Error {
        self.world.wires.late.push((self.who, self.delay, late));
        cut()
    }

    fn heard(&mut self, seen: &Seen) {
        self.world.heard(seen);
    }
}

/// Calls of the primary that one command may make, whatever it has to do.
const CALLS_MAX: usize = 200;

impl World {
    /// A replica told where it stands, and the primary heard it.
    fn heard(&mut self, seen: &Seen) {
        let now = self.primary_place.machine.now_ms();
        self.looked.heard.insert(seen.replica, (seen.version, now));
    }

    /// I-74: a command ends.
    fn check_calls(&mut self, who: usize, calls: usize) -> Verdict {
        self.tally.check(Invariant::Terminates);
        if calls <= CALLS_MAX + self.looked.looked_at as usize {
            return Ok(());
        }
        Err(Wrong::new(Invariant::Terminates, format!("no end: replica {who} has made {calls} calls in one command")))
    }

    fn count(&mut self, trick: &Trick) {
        let (situation, name) = match trick {
            Trick::Lost(Loss::Request) => (Situation::LostRequest, "lost request"),
            Trick::Lost(Loss::Answer) => (Situation::LostAnswer, "lost answer"),
            Trick::Lost(Loss::Double) => (Situation::DoubleRequest, "doubled request"),
            Trick::Late(_) => (Situation::LateRequest, "late request"),
            Trick::Stale => (Situation::OldAnswer, "older answer"),
            Trick::Before(_) | Trick::After(_) => return self.tally.fault("slow wire"),
        };
        self.tally.reach(situation);
        self.tally.fault(name);
    }

    /// Requests whose time has come arrive; all of them where `is_end`. Their senders hear nothing.
    pub(crate) fn arrive(&mut self, is_end: bool) -> Verdict {
        for (_, calls, _) in &mut self.wires.late {
            *calls = calls.saturating_sub(1);
        }
        while let Some(at) = self.wires.late.iter().position(|(_, calls, _)| is_end || *calls == 0) {
            let (who, _, late) = self.wires.late.remove(at);
            self.record(format!("late from {who}"));
            self.shown(who, |primary| {
                late.arrive(primary);
                Ok(())
            })?
            .map_err(|e| unexpected("a late request", &e))?;
        }
        Ok(())
    }
}
