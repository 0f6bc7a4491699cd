//! Two replicas work offline and come in one order or the other: the rows are alike up to the numbers given, and so
//! are the conflicts (I-12).
use crate::image::{Image, differences};
use crate::run::{Outcome, Told, calmly};
use crate::tally::{Invariant, Tally, Verdict, Wrong};
use crate::tape::{Event, Tape};
use crate::world::{World, unexpected};
use mainstem::core::conflict::Conflict;
use mainstem::core::value::{Row, Value};
use mainstem::replica::Replica;

struct Ending {
    rows: Image,
    conflicts: Vec<Conflict>,
    is_renumbered: bool,
    /// Work that waits for its parent is not at its end yet: the orders may differ in what waits.
    is_waiting: bool,
    tally: Tally,
    hash: [u8; 32],
}

fn ending(tape: &Tape, first: usize, told: Told<'_>) -> Verdict<Ending> {
    let mut world = World::begin(tape)?;
    for event in &tape.schedule {
        world.step(tape, event)?;
        told(&mut world, &event.to_string());
    }
    for event in [Event::Commit(0, false), Event::Commit(1, false), Event::Sync(first), Event::Sync(1 - first)] {
        world.step(tape, &event).map_err(|wrong| wrong.at(format!("first {first}")))?;
        told(&mut world, &event.to_string());
    }
    world.settle()?;
    told(&mut world, "the last syncs");
    let fail = |e: mainstem::Error| unexpected("judging", &e);
    let mut conflicts = world.serve()?.conflicts(false).map_err(fail)?;
    conflicts.sort_by_key(|c| c.id);
    let head = world.serve()?.describe().map_err(fail)?.head.version;
    let mut is_renumbered = false;
    for version in 1..=head {
        let event = world.serve()?.version(version).map_err(fail)?;
        is_renumbered |= event.is_some_and(|v| !v.renumbered.is_empty());
    }
    let is_waiting = !world.replica(0)?.pending().map_err(fail)?.is_empty();
    let rows = world.primary_image()?;
    // Judging writes into some row of its own choice.
    world.judge().map_err(|wrong| wrong.at(format!("first {first}")))?;
    Ok(Ending { rows, conflicts, is_renumbered, is_waiting, hash: *world.hash.finalize().as_bytes(), tally: world.tally })
}

/// Rows without what renumbering may change: every number that could be a row's.
fn without_numbers(image: &Image) -> Image {
    let mut image = image.clone();
    for held in image.values_mut() {
        let is_number = |name: &String| ["id", "boss", "lead", "team", "item", "px"].contains(&name.as_str());
        let numbers: Vec<usize> = held.columns.iter().enumerate().filter(|(_, name)| is_number(name)).map(|(at, _)| at).collect();
        let rows = std::mem::take(&mut held.rows);
        let mut blanked: Vec<Row> = rows.into_values().collect();
        for row in &mut blanked {
            numbers
                .iter()
                .filter(|&&at| row[at].as_integer().is_some())
                .copied()
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|at| row[at] = Value::Null);
        }
        blanked.sort_unstable();
        held.rows = blanked.into_iter().enumerate().map(|(at, row)| (vec![Value::Integer(at as i64)], row)).collect();
    }
    image
}

fn brief(c: &Conflict) -> String {
    let (id, kind, is_open) = (c.id, c.kind.name(), c.is_open());
    format!("{id:016x} {kind} {} {:?} {:?} open {is_open}\n      ours {:?}\n      theirs {:?}", c.table, c.key, c.column, c.ours, c.theirs)
}

fn compare(one: &Ending, other: &Ending) -> Verdict {
    let wrong = |why: String| Err(Wrong::new(Invariant::Orders, why));
    if one.is_waiting || other.is_waiting {
        return Ok(());
    }
    if one.is_renumbered || other.is_renumbered {
        let found = differences(&without_numbers(&one.rows), &without_numbers(&other.rows));
        return if found.is_empty() { Ok(()) } else { wrong(format!("orders differ but for numbers: \n    {}", found.join("\n    "))) };
    }
    let only = |mine: &[Conflict], others: &[Conflict]| -> Vec<String> {
        mine.iter().filter(|c| !others.iter().any(|o| o.id == c.id && o.is_open() == c.is_open())).map(brief).collect()
    };
    let found = differences(&one.rows, &other.rows);
    let (left, right) = (only(&one.conflicts, &other.conflicts), only(&other.conflicts, &one.conflicts));
    let conflicts = format!("only 0 first: {}\n  only 1 first: {}", left.join("\n"), right.join("\n"));
    if !found.is_empty() {
        return wrong(format!("orders differ in rows: \n    {}\n  {conflicts}", found.join("\n    ")));
    }
    if left.is_empty() && right.is_empty() { Ok(()) } else { wrong(format!("orders differ in conflicts: \n  {conflicts}")) }
}

/// Runs the tape in both orders of arrival.
pub fn run(tape: &Tape) -> Outcome {
    run_told(tape, &mut |_, _| {})
}

/// The same, with somebody watching.
pub fn run_told(tape: &Tape, told: Told<'_>) -> Outcome {
    let mut tally = Tally::default();
    let mut hash = [0; 32];
    let done = calmly(|| {
        let (one, other) = (ending(tape, 0, told)?, ending(tape, 1, told)?);
        tally.add(&one.tally);
        tally.add(&other.tally);
        tally.check(Invariant::Orders);
        hash = one.hash;
        compare(&one, &other)
    });
    Outcome { tally, hash, wrong: done.and_then(|verdict| verdict).err() }
}
