//! A short form of the simulator for every change, and the stories that once went wrong.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and prints the tape")]

mod stories;

use simulator::hunt::{Limits, hunted};
use simulator::tape::Tape;
use simulator::{orders, run, shrink, workload};

/// Seeds of the short form: what a debug build runs in about a minute.
const SEEDS: u64 = 24;

#[test]
fn the_first_seeds_end_well() {
    let limits = Limits { twice: 50, failures_max: 3, ..Limits::default() };
    let hunted = hunted(0..SEEDS, limits, 2);
    for found in &hunted.found {
        eprintln!("seed {}: {}", found.seed, found.why);
    }
    let failed: Vec<u64> = hunted.found.iter().map(|found| found.seed).collect();
    assert!(failed.is_empty(), "seeds {failed:?} failed; look with: scripts/simulate --seed N");
    assert!(hunted.tally.operations > 10_000, "only {} operations", hunted.tally.operations);
}

/// Tapes that went wrong once and were mended, as the simulator made them small; those of meetings in both orders.
#[test]
fn kept_tapes_end_well() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tapes");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let tape: Tape = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let is_meeting = path.file_name().unwrap().to_string_lossy().starts_with("meeting");
        let outcome = if is_meeting { orders::run(&tape) } else { run::run(&tape) };
        let wrong = outcome.wrong.map(|wrong| wrong.to_string());
        assert_eq!(wrong, None, "{}", path.display());
    }
}

#[test]
fn one_seed_gives_one_run() {
    let tape = workload::tape(3);
    let again: Tape = tape.to_string().parse().unwrap();
    let (one, other) = (run::run(&tape), run::run(&again));
    assert_eq!(one.hash, other.hash);
    let meeting = workload::meeting(9);
    assert_eq!(orders::run(&meeting).hash, orders::run(&meeting).hash);
}

#[test]
fn a_failing_tape_gets_small() {
    let tape = workload::tape(5);
    // A verdict of our own: the tape "fails" as long as its first session says something.
    let judge = |tape: &Tape| {
        let is_said = tape.schedule.iter().any(|event| event.to_string() == "run 0") && !tape.workload[0].statements.is_empty();
        is_said.then(|| simulator::tally::Wrong::new(simulator::tally::Invariant::Calm, "said: so"))
    };
    let (small, wrong) = shrink::shrink(&tape, judge(&tape).unwrap(), 400, &judge);
    assert_eq!((small.schedule.len(), small.workload.len(), small.workload[0].statements.len()), (1, 1, 1), "{small}");
    assert_eq!(wrong.why, "said: so");
}
