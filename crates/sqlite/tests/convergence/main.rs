//! Random work on several replicas of one primary, with every fault that a user can cause: whatever the order, all
//! copies end alike and nothing is lost or invented.
//!
//! Invariant: a seed gives one tape, and a tape one run: time and randomness are the test's own.
//! Set MAINSTEM_SEEDS to the number of seeds (default: what takes about twenty seconds), MAINSTEM_SEED to run one.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and prints the tape")]

mod copies;
mod dice;
mod generate;
mod oracle;
mod orders;
mod shrink;
mod suspects;
mod tables;
mod tape;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use tape::Tape;

/// Seeds by default.
const SEEDS: u64 = 40;

/// The seeds to run: one that is asked for, or the first so many.
fn seeds(default: u64) -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("MAINSTEM_SEED") {
        Some(seed) => vec![seed],
        None => {
            let first = number("MAINSTEM_SEED_FIRST").unwrap_or(0);
            (first..first + number("MAINSTEM_SEEDS").unwrap_or(default)).collect()
        }
    }
}

/// What a tape's run found wrong; a panic counts.
fn complaint(tape: &Tape, run: fn(&Tape) -> Result<(), String>) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(|| run(tape))) {
        Ok(outcome) => outcome.err(),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            Some(format!("panic: {}", text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()))
        }
    }
}

fn check(default: u64, make: fn(u64) -> Tape, run: fn(&Tape) -> Result<(), String>) {
    let (mut failed, mut reasons) = (Vec::new(), std::collections::BTreeSet::new());
    for seed in seeds(default) {
        let tape = make(seed);
        if let Some(why) = complaint(&tape, run) {
            // One of each reason is made small; the others are named.
            let reason = shrink::reason(&why);
            if reasons.insert(reason) {
                let (small, why) = shrink::shrink(&tape, why, |tape| complaint(tape, run));
                eprintln!("seed {seed}: {why}\n{small}");
            } else {
                eprintln!("seed {seed}: {why}");
            }
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "seeds {failed:?} failed");
}

#[test]
fn all_copies_end_alike() {
    check(SEEDS, generate::tape, world::run);
}

#[test]
fn both_orders_of_arrival_end_alike() {
    check(SEEDS, generate::meeting, orders::run);
}
