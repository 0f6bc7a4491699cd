//! Copies of a part, laid over what a tape is without them: what each asks for and may see, and when that changes.
//!
//! Invariant: it is thrown by dice of its own, so that a seed without parts is what it was. Copy 0 and one more hold everything.
use crate::dice::Dice;
use crate::features::Features;
use crate::tables::{Kind, Spec};
use crate::tape::{Event, Part, Role, Tape};

/// Lays a seed's parts over its tape, where it has any.
pub(crate) fn lay_over(tape: &mut Tape, features: &Features) {
    let dice = Dice::new(tape.seed, 7);
    // A scope follows renames, which the model does not; what a watched disk did to a file is compared with all of it; and
    // writes that nobody saw are compared with rows of before, which another scope does not show.
    let is_fit = features.copies >= 3 && features.blind == 0 && features.schema == 0 && features.remake == 0 && !features.has_disk;
    if !dice.one_in(4) || !is_fit {
        return;
    }
    let count = 1 + dice.below(features.copies.min(4) - 2);
    let parts: Vec<usize> = (features.copies - count..features.copies).collect();
    tape.setup.parts = parts.iter().map(|&who| Part { who, asked: asked(&dice, features), permitted: scope(&dice, features) }).collect();
    let (rescoped, roles, probes) = (*dice.of(&[0, 20, 60]), *dice.of(&[0, 15, 40]), *dice.of(&[5, 20]));
    for session in &mut tape.workload {
        if session.who.is_some_and(|who| parts.contains(&who)) {
            // Whoever sees a part changes no views, triggers and indexes: that is refused until it is undone.
            session.statements.retain(|statement| !["DROP ", "CREATE "].iter().any(|verb| statement.sql.starts_with(verb)));
        }
    }
    let events = std::mem::take(&mut tape.schedule);
    for event in events {
        tape.schedule.push(event);
        let who = *dice.of(&parts);
        if dice.permille(rescoped) {
            tape.schedule.push(match dice.one_in(2) {
                true => Event::Ask(who, asked(&dice, features)),
                false => Event::Permit(who, scope(&dice, features)),
            });
        }
        if dice.permille(roles) {
            tape.schedule.push(Event::Role(who, *dice.of(&[Role::Nobody, Role::Viewer, Role::Contributor, Role::Contributor])));
        }
        if dice.permille(probes) {
            tape.schedule.push(Event::Probe(who));
        }
    }
}

fn asked(dice: &Dice, features: &Features) -> String {
    if dice.one_in(2) { "*".into() } else { scope(dice, features) }
}

/// Some tables, with or without a filter; never nothing.
fn scope(dice: &Dice, features: &Features) -> String {
    let mut lines: Vec<String> = Vec::new();
    for spec in &features.specs {
        if dice.one_in(3) {
            continue;
        }
        lines.push(if dice.one_in(2) { spec.name.into() } else { format!("{}: {}", spec.name, filter(dice, spec)) });
    }
    if lines.is_empty() {
        lines.push(dice.of(&features.specs).name.into());
    }
    lines.join("\n")
}

fn filter(dice: &Dice, spec: &Spec) -> String {
    let one = |dice: &Dice| {
        let (column, kind) = *dice.of(spec.columns);
        let comparison = *dice.of(&["=", "!=", "<", ">="]);
        match kind {
            _ if dice.one_in(5) => format!("{column} is null"),
            Kind::Number | Kind::Small | Kind::Link | Kind::Count => format!("{column} {comparison} {}", dice.below(9)),
            Kind::Code | Kind::Unique | Kind::Loose => format!("{column} {comparison} '{}'", *dice.of(&["a", "b", "c", "d"])),
            _ => format!("{column} {comparison} 'w5'"),
        }
    };
    match dice.below(5) {
        0 => format!("{} and {}", one(dice), one(dice)),
        1 => format!("{} or {}", one(dice), one(dice)),
        2 => format!("not {}", one(dice)),
        _ => one(dice),
    }
}
