//! Runs a tape from its beginning to its verdict.
//!
//! Invariant: one tape gives one run: the same events, answers and digests, and so the same hash.
use crate::tally::{Invariant, Tally, Verdict, Wrong};
use crate::tape::Tape;
use crate::world::World;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was done and looked at.
    pub tally: Tally,
    /// The hash over every event and the last digests.
    pub hash: [u8; 32],
    /// The first invariant that did not hold.
    pub wrong: Option<Wrong>,
}

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics are verdicts: they are kept for the report and printed by nobody else.
fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Only threads that run tapes catch their panics; others report theirs as ever.
            if IS_RUNNING.with(|is| *is.borrow()) {
                LAST_PANIC.with(|last| *last.borrow_mut() = info.to_string());
            } else {
                before(info);
            }
        }));
    });
}

thread_local! {
    static IS_RUNNING: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs `work`, and takes a panic in it for a violation (I-77).
pub fn calmly<T>(work: impl FnOnce() -> T) -> Verdict<T> {
    keep_panics();
    IS_RUNNING.with(|is| is.replace(true));
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_RUNNING.with(|is| is.replace(false));
    done.map_err(|_| {
        let text = LAST_PANIC.with(|last| last.borrow().clone());
        Wrong::new(Invariant::Calm, format!("panic {}", text.replace(": ", " ").replace('\n', " ")))
    })
}

fn live(world: &mut World, tape: &Tape, told: Told<'_>) -> Verdict {
    for (at, event) in tape.schedule.iter().enumerate() {
        let done = world.step(tape, event);
        told(world, &event.to_string());
        done.map_err(|wrong| wrong.at(format!("event {at}, {event}")))?;
    }
    let settled = world.settle();
    told(world, "the last syncs");
    settled?;
    let ended = world.end_reviews();
    told(world, "the last merges");
    ended?;
    world.judge()
}

/// Is told after each event what it was.
pub type Told<'a> = &'a mut dyn FnMut(&mut World, &str);

/// Runs a tape and judges how it ends.
pub fn run(tape: &Tape) -> Outcome {
    run_told(tape, &mut |_, _| {})
}

/// The same, with somebody watching.
pub fn run_told(tape: &Tape, told: Told<'_>) -> Outcome {
    let mut tally = Tally { seeds: 1, ..Tally::default() };
    let mut hash = [0; 32];
    let done = calmly(|| {
        let mut world = World::begin(tape)?;
        let verdict = calmly(|| live(&mut world, tape, told)).and_then(|verdict| verdict);
        world.tally.check(Invariant::Calm);
        tally = std::mem::take(&mut world.tally);
        hash = *world.hash.finalize().as_bytes();
        verdict
    });
    Outcome { tally, hash, wrong: done.and_then(|verdict| verdict).err() }
}

/// Runs a tape twice: both runs must be one (I-78).
pub fn run_twice(tape: &Tape) -> Outcome {
    let (mut first, second) = (run(tape), run(tape));
    first.tally.check(Invariant::Determined);
    if first.wrong.is_none() && first.hash != second.hash {
        first.wrong = Some(Wrong::new(Invariant::Determined, "two runs of one tape differ: hash"));
    }
    first
}
