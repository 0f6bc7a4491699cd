//! Plays crash points and prints a table: script, operations, states, failures, seconds.
//!
//! `cargo run --release -p mainstem-crash` plays all of them; names choose scripts; `--short` plays the sample that the tests
//! play, `--deep N` cuts N recoveries of each script as well, `--seconds N` begins no script after that, and `--table FILE`
//! writes the table to a file too. Ends with 1 where something is wrong.
#![allow(clippy::print_stdout, reason = "a table is what it is for")]
mod table;

use mainstem_crash::play::Effort;
use mainstem_crash::scripts::{self, Script};
use mainstem_crash::{FULL, SHORT, run};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use table::Played;

/// Failures shown of a script.
const SHOWN: usize = 8;

#[expect(clippy::disallowed_methods, reason = "it says how long it took")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// What is asked for.
struct Wanted {
    effort: Effort,
    names: Vec<String>,
    limit: Option<Duration>,
    file: Option<PathBuf>,
}

fn wanted() -> Wanted {
    let (mut wanted, mut arguments) = (Wanted { effort: FULL, names: Vec::new(), limit: None, file: None }, std::env::args().skip(1));
    while let Some(argument) = arguments.next() {
        let number = |text: Option<String>| text.and_then(|n| n.parse().ok()).expect("a number follows");
        match argument.as_str() {
            "--short" => wanted.effort = SHORT,
            "--deep" => wanted.effort.deep = number(arguments.next()),
            "--seconds" => wanted.limit = Some(Duration::from_secs(number(arguments.next()) as u64)),
            "--table" => wanted.file = Some(arguments.next().expect("--table is followed by a file").into()),
            _ => wanted.names.push(argument),
        }
    }
    wanted
}

fn main() {
    let wanted = wanted();
    let names = &wanted.names;
    let scripts: Vec<Script> = scripts::all().into_iter().filter(|s| names.is_empty() || names.iter().any(|n| n == s.name)).collect();
    assert!(!scripts.is_empty(), "there is no script of that name");
    println!("{}", table::HEAD);
    let played = play(&scripts, &wanted);
    println!("{}", table::all(&played).line());
    let is_whole = played.iter().all(|p| p.tally.as_ref().is_none_or(|tally| tally.failures.is_empty()));
    std::process::exit(i32::from(!is_whole));
}

/// Plays scripts on as many threads as there are processors; those are not played that would begin after the limit. The
/// table is written after each, so that a run that is ended leaves what it found.
fn play(scripts: &[Script], wanted: &Wanted) -> Vec<Played> {
    let (next, start) = (AtomicUsize::new(0), now());
    let all = Mutex::new(scripts.iter().map(|s| Played::not(s.name)).collect::<Vec<Played>>());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    let Some(script) = scripts.get(at).filter(|_| wanted.limit.is_none_or(|limit| start.elapsed() < limit)) else { break };
                    let begin = now();
                    let tally = run(*script, wanted.effort);
                    let played = Played { name: script.name, tally: Some(tally), seconds: begin.elapsed().as_secs_f64() };
                    let mut all = all.lock().expect("no thread panics while it writes");
                    println!("{}", played.line());
                    played.failures().iter().take(SHOWN).for_each(|failure| println!("  {failure}"));
                    all[at] = played;
                    if let Some(file) = &wanted.file {
                        std::fs::write(file, table::document(&all, wanted.effort)).expect("the table can be written");
                    }
                }
            });
        }
    });
    all.into_inner().expect("no thread panics while it writes")
}
