//! Plays crash points and prints a table: script, operations, states, failures, seconds.
//!
//! `cargo run --release -p mainstem-crash` plays all of them; names choose scripts; `--short` plays the sample that the tests
//! play, `--deep N` cuts N recoveries of each script as well. Ends with 1 where something is wrong.
#![allow(clippy::print_stdout, reason = "a table is what it is for")]
use mainstem_crash::play::{Effort, Tally};
use mainstem_crash::scripts::{self, Script};
use mainstem_crash::{FULL, SHORT, run};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Failures shown of a script.
const SHOWN: usize = 8;

#[expect(clippy::disallowed_methods, reason = "it says how long it took")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn main() {
    let (mut effort, mut names, mut arguments) = (FULL, Vec::new(), std::env::args().skip(1));
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--short" => effort = SHORT,
            "--deep" => effort.deep = arguments.next().and_then(|n| n.parse().ok()).expect("--deep is followed by a number"),
            _ => names.push(argument),
        }
    }
    let scripts: Vec<Script> = scripts::all().into_iter().filter(|s| names.is_empty() || names.iter().any(|n| n == s.name)).collect();
    assert!(!scripts.is_empty(), "there is no script of that name");
    println!(
        "{:<28}{:>11}{:>9}{:>9}{:>10}{:>8}{:>8}{:>10}{:>9}",
        "script", "operations", "cuts", "states", "contents", "faults", "deep", "failures", "seconds"
    );
    let total = play(&scripts, effort);
    if !total.failures.is_empty() {
        std::process::exit(1);
    }
}

/// Plays scripts on as many threads as there are processors.
fn play(scripts: &[Script], effort: Effort) -> Tally {
    let (next, total, start) = (AtomicUsize::new(0), Mutex::new(Tally::default()), now());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(script) = scripts.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let begin = now();
                    let tally = run(*script, effort);
                    let mut total = total.lock().expect("no thread panics while it prints");
                    line(script.name, &tally, begin.elapsed().as_secs_f64());
                    for failure in tally.failures.iter().take(SHOWN) {
                        println!("  {failure}");
                    }
                    *total = sum(&total, &tally);
                }
            });
        }
    });
    let total = total.into_inner().expect("no thread panics while it prints");
    line("all", &total, start.elapsed().as_secs_f64());
    total
}

fn line(name: &str, tally: &Tally, seconds: f64) {
    let Tally { operations, cuts, states, contents, faults, deep, failures } = tally;
    let wrong = failures.len();
    println!("{name:<28}{operations:>11}{cuts:>9}{states:>9}{contents:>10}{faults:>8}{deep:>8}{wrong:>10}{seconds:>9.1}");
}

fn sum(one: &Tally, other: &Tally) -> Tally {
    Tally {
        operations: one.operations + other.operations,
        cuts: one.cuts + other.cuts,
        states: one.states + other.states,
        contents: one.contents + other.contents,
        faults: one.faults + other.faults,
        deep: one.deep + other.deep,
        failures: one.failures.iter().chain(&other.failures).cloned().collect(),
    }
}
