//! Review, laid over what a tape is without it: tables that need it, offers, and what others do to proposals.
//!
//! Invariant: it is thrown by dice of its own, so that a seed without review is what it was.
use crate::dice::Dice;
use crate::features::Features;
use crate::tape::{DiskFault, Event, Handling, Loss, Offering, Tape, Trick, Trouble};
use mainstem::policy_text;

/// What this throws is for.
const PURPOSE: u64 = 8;

/// Lays a seed's review over its tape, where it has any.
pub(crate) fn lay_over(tape: &mut Tape, features: &Features) {
    let dice = Dice::new(tape.seed, PURPOSE);
    // Whoever sees a part takes no part in reviews; steps and remade tables are kept as a whole, which the model does not follow.
    let is_fit = tape.setup.parts.is_empty() && features.schema == 0 && features.remake == 0 && features.blind == 0;
    if !dice.one_in(4) || !is_fit {
        return;
    }
    tape.setup.policy.extend(rules(&dice, features));
    for event in &mut tape.schedule {
        if let Event::Policy(text) = event
            && !dice.one_in(4)
        {
            *text =
                rules(&dice, features).iter().fold(text.clone(), |text, (key, value)| policy_text::set(&text, key, value).unwrap_or(text));
        }
    }
    let (offers, handled, taken) = (*dice.of(&[60, 150, 300]), *dice.of(&[60, 200, 400]), *dice.of(&[0, 10, 30]));
    let handlings = handlings(&dice);
    for event in std::mem::take(&mut tape.schedule) {
        tape.schedule.push(event);
        let who = dice.below(features.copies);
        if dice.permille(offers) {
            let offering = *dice.of(&[Offering::Fitting, Offering::Fitting, Offering::Fitting, Offering::New, Offering::Everything]);
            push(tape, &dice, Event::Propose(who, offering, Vec::new()));
        }
        if dice.permille(handled) {
            let handling = handling(&dice, &handlings);
            let event = Event::Review(dice.below(features.copies + 2), dice.below(8), handling, dice.one_in(6));
            push(tape, &dice, event);
        }
        if dice.permille(taken) {
            push(tape, &dice, Event::TakeBack(who, dice.below(4)));
        }
    }
}

/// Where the disk is watched, it fails now and then meanwhile.
fn push(tape: &mut Tape, dice: &Dice, event: Event) {
    let faults = [DiskFault::Kill, DiskFault::Power, DiskFault::Once, DiskFault::Lasting, DiskFault::Full];
    let is_failing = tape.setup.has_disk && dice.one_in(5);
    tape.schedule.push(match is_failing {
        true => Event::Disk(*dice.of(&faults), 1 + dice.below(1 << dice.below(7)) as u64, Box::new(event)),
        false => event,
    });
}

/// Which tables need review, or from how many rows on everything does.
fn rules(dice: &Dice, features: &Features) -> Vec<(String, String)> {
    let mut rules = Vec::new();
    let review = || "review".to_owned();
    if dice.one_in(4) {
        rules.push(("mode".to_owned(), review()));
    }
    let chosen = features.specs.iter().filter(|_| dice.one_in(2));
    rules.extend(chosen.map(|spec| (format!("{}.mode", spec.name), review())));
    if dice.one_in(3) {
        rules.push(("review_above".to_owned(), dice.between(1, 20).to_string()));
    }
    if rules.is_empty() {
        rules.push((format!("{}.mode", dice.of(&features.specs).name), review()));
    }
    if dice.one_in(2) {
        rules.push(("approvals".to_owned(), "1".to_owned()));
    }
    rules
}

/// The weights of what is done to proposals.
fn handlings(dice: &Dice) -> [usize; 9] {
    let mut weights = [12, 3, 6, 4, 2, 2, 2, 4, 4];
    for weight in &mut weights[1..] {
        if dice.one_in(4) {
            *weight = 0;
        }
    }
    weights
}

fn handling(dice: &Dice, weights: &[usize]) -> Handling {
    match dice.weighted(weights) {
        0 => Handling::Approve,
        1 => Handling::Refuse,
        2 => Handling::Merge,
        3 => Handling::Force,
        4 => Handling::Reject,
        5 => Handling::Withdraw,
        6 => Handling::Reopen,
        7 => Handling::Part(dice.next()),
        _ => Handling::Answer(dice.below(3)),
    }
}

/// Lines fail under offers that have nothing else on their way.
pub(crate) fn trouble(tape: &mut Tape) {
    let dice = Dice::new(tape.seed, PURPOSE + 100);
    for event in &mut tape.schedule {
        let Event::Propose(_, _, troubles) = event else { continue };
        if troubles.is_empty() && dice.one_in(4) {
            let loss = *dice.of(&[Loss::Request, Loss::Answer, Loss::Answer, Loss::Double]);
            troubles.push(Trouble { at: dice.below(1 << dice.between(1, 4)), what: Trick::Lost(loss) });
        }
    }
}
