//! Two replicas work offline and come in one order or the other: the rows are alike up to the numbers given, and so
//! are the conflicts.
use crate::copies::{self, Rows, differences};
use crate::oracle;
use crate::tape::{Step, Tape};
use crate::world::World;
use mainstem::core::conflict::Conflict;
use mainstem::core::value::Value;
use mainstem::replica::Replica;

struct Ending {
    rows: Rows,
    conflicts: Vec<Conflict>,
    is_renumbered: bool,
    /// Work that waits for its parent is not at its end yet: the orders may differ in what waits.
    is_waiting: bool,
}

fn ending(tape: &Tape, first: usize) -> Result<Ending, String> {
    let mut world = World::begin(tape);
    for step in &tape.steps {
        world.step(step)?;
    }
    for who in [0, 1] {
        world.step(&Step::Commit(who, false))?;
    }
    for who in [first, 1 - first] {
        world.step(&Step::Sync(who)).map_err(|why| format!("{why} (first {first})"))?;
    }
    oracle::settle(&mut world)?;
    oracle::judge(&world).map_err(|why| format!("{why} (first {first})"))?;
    let mut primary = world.primary();
    let mut conflicts = primary.conflicts(false).map_err(|e| e.to_string())?;
    conflicts.sort_by_key(|c| c.id);
    let head = primary.describe().map_err(|e| e.to_string())?.head.version;
    let mut is_renumbered = false;
    for version in 1..=head {
        let event = primary.version(version).map_err(|e| e.to_string())?;
        is_renumbered |= event.is_some_and(|v| !v.renumbered.is_empty());
    }
    let is_waiting = !world.replica(0).pending().map_err(|e| e.to_string())?.is_empty();
    Ok(Ending { is_waiting, rows: copies::rows(&world.primary_file()), conflicts, is_renumbered })
}

/// Rows without what renumbering may change: every number that could be a row's.
fn without_numbers(rows: &Rows) -> Rows {
    let mut rows = rows.clone();
    for row in rows.values_mut().flatten() {
        for name in ["id", "boss", "lead", "team", "item", "px"] {
            if let Some(value) = row.get_mut(name)
                && value.as_integer().is_some()
            {
                *value = Value::Null;
            }
        }
    }
    rows.values_mut().for_each(|rows| rows.sort_unstable());
    rows
}

/// Runs the tape in both orders of arrival.
pub fn run(tape: &Tape) -> Result<(), String> {
    let (one, other) = (ending(tape, 0)?, ending(tape, 1)?);
    if one.is_waiting || other.is_waiting {
        return Ok(());
    }
    if one.is_renumbered || other.is_renumbered {
        let found = differences(&without_numbers(&one.rows), &without_numbers(&other.rows));
        return if found.is_empty() { Ok(()) } else { Err(format!("orders differ but for numbers: \n    {}", found.join("\n    "))) };
    }
    let found = differences(&one.rows, &other.rows);
    let brief = |c: &Conflict| {
        format!(
            "{:016x} {} {} {:?} {:?} open {}\n      ours {:?}\n      theirs {:?}",
            c.id,
            c.kind.name(),
            c.table,
            c.key,
            c.column,
            c.is_open(),
            c.ours,
            c.theirs
        )
    };
    let only = |mine: &[Conflict], others: &[Conflict]| -> Vec<String> {
        mine.iter().filter(|c| !others.iter().any(|o| o.id == c.id && o.is_open() == c.is_open())).map(brief).collect()
    };
    let (left, right) = (only(&one.conflicts, &other.conflicts), only(&other.conflicts, &one.conflicts));
    if !found.is_empty() {
        return Err(format!(
            "orders differ in rows: \n    {}\n  only 0 first: {}\n  only 1 first: {}",
            found.join("\n    "),
            left.join("\n"),
            right.join("\n")
        ));
    }
    if !left.is_empty() || !right.is_empty() {
        return Err(format!("orders differ in conflicts: \n  only 0 first: {}\n  only 1 first: {}", left.join("\n"), right.join("\n")));
    }
    Ok(())
}
