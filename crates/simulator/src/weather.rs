//! Bad networks and servers, laid over what a tape is without them: calls that go wrong, others at work between two requests,
//! parties that are cut off, primaries that are restarted or put back to a backup.
//!
//! Invariant: it is thrown by dice of its own, so that a seed without weather is what it was.
use crate::dice::Dice;
use crate::tape::{Event, Loss, Tape, Trick, Trouble};

/// One seed's weather.
struct Weather<'d> {
    dice: &'d Dice,
    /// Meetings of a thousand in which something goes wrong.
    troubled: usize,
    /// Weights of what goes wrong: lost requests and answers, doubled ones, late ones, old answers, something else before and after.
    tricks: [usize; 7],
    /// Events of a thousand after which somebody is cut off, and after which everybody is connected again.
    cut: [usize; 2],
    /// Events of a thousand after which the primary is restarted.
    restarts: usize,
    /// Events of a thousand after which a backup is made, and after which the primary goes back to it.
    returns: [usize; 2],
    copies: usize,
}

/// Lays a seed's weather over its tape, where it has any.
pub(crate) fn lay_over(tape: &mut Tape) {
    let dice = Dice::new(tape.seed, 6);
    if !dice.one_in(3) {
        return;
    }
    let mut tricks = [3, 3, 3, 3, 2, 6, 6];
    for weight in &mut tricks {
        if dice.one_in(3) {
            *weight = 0;
        }
    }
    // What is restored is a file that the watched disk knows nothing of; and a copy of a part brings nothing back.
    let returns = if dice.one_in(2) && !tape.setup.has_disk && tape.setup.parts.is_empty() { [40, *dice.of(&[8, 15, 30])] } else { [0, 0] };
    let weather = Weather {
        dice: &dice,
        troubled: *dice.of(&[80, 250, 250, 600]),
        tricks,
        cut: if dice.one_in(2) { [20, 60] } else { [0, 0] },
        restarts: if dice.one_in(2) { 30 } else { 0 },
        returns,
        copies: tape.setup.copies,
    };
    let mut events = std::mem::take(&mut tape.schedule).into_iter().peekable();
    while let Some(event) = events.next() {
        let event = match event {
            Event::Push(who) | Event::Pull(who) | Event::Sync(who) if dice.permille(weather.troubled) => {
                Event::Line(who, weather.troubles(&mut events))
            }
            Event::Propose(who, offering, _) if dice.permille(weather.troubled) => {
                Event::Propose(who, offering, weather.troubles(&mut events))
            }
            event => event,
        };
        tape.schedule.push(event);
        tape.schedule.extend(weather.change());
    }
}

impl Weather<'_> {
    /// What goes wrong with the calls of one sync. What would happen next may happen meanwhile.
    fn troubles(&self, events: &mut std::iter::Peekable<std::vec::IntoIter<Event>>) -> Vec<Trouble> {
        let dice = self.dice;
        let mut troubles = Vec::new();
        for _ in 0..dice.between(1, 3) {
            let mut other = |dice: &Dice| -> Box<Event> {
                let change = self.change();
                if let Some(change) = change.filter(|_| dice.one_in(2)) {
                    return Box::new(change);
                }
                let is_next_free = events.peek().is_some_and(|next| !matches!(next, Event::Disk(..)));
                let next = if is_next_free { events.next() } else { None };
                Box::new(next.unwrap_or(Event::Wait(dice.below(600_000) as u64)))
            };
            let what = match dice.weighted(&self.tricks) {
                0 => Trick::Lost(Loss::Request),
                1 => Trick::Lost(Loss::Answer),
                2 => Trick::Lost(Loss::Double),
                3 => Trick::Late(1 << dice.below(7)),
                4 => Trick::Stale,
                5 => Trick::Before(other(dice)),
                _ => Trick::After(other(dice)),
            };
            troubles.push(Trouble { at: dice.below(1 << dice.between(1, 4)), what });
        }
        troubles
    }

    fn change(&self) -> Option<Event> {
        let dice = self.dice;
        let chance = |permille: usize| permille > 0 && dice.permille(permille);
        if chance(self.cut[0]) {
            let mut who: Vec<usize> = (0..self.copies).filter(|_| dice.one_in(2)).collect();
            who.truncate(self.copies - 1);
            return (!who.is_empty()).then(|| Event::Cut(who, dice.one_in(3)));
        }
        if chance(self.cut[1]) {
            return Some(Event::Mend);
        }
        if chance(self.restarts) {
            return Some(Event::Restart);
        }
        if chance(self.returns[0]) {
            return Some(Event::Backup);
        }
        chance(self.returns[1]).then(|| Event::Return(dice.one_in(2)))
    }
}
