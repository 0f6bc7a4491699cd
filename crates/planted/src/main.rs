//! `planted`: plants each bug in turn, hunts it with fresh seeds, and says what it took to find it.
//!
//! Each bug is hunted in a process of its own, because some bugs never come to an end.
//! Invariant: a bug counts as found only where the same run finds nothing without it.
mod chase;
mod outcome;
mod stories;

use chase::{WAIT, chase};
use clap::Parser;
use mainstem::core::planted::Bug;
use outcome::{Outcome, document, found_within};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;
use std::process::{ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// What the last full run took, by this program.
const TABLE: &str = "docs/proof/planted-bugs.md";

/// Bugs that were found within so many seconds are hunted in every run of the tests.
const QUICK_SECONDS: f64 = 5.0;

/// Seconds beyond its limit after which a hunt that does not end is ended.
const GRACE_SECONDS: f64 = 60.0;

/// Plants bugs and measures that they are found.
#[derive(Clone, Parser)]
struct Arguments {
    /// Hunt these bugs only, by id.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Hunt this many of those that were found within seconds by the table, others each time.
    #[arg(long)]
    some: Option<usize>,
    /// Seconds at most for each.
    #[arg(long, default_value_t = 600.0)]
    seconds: f64,
    /// The first seed; another each time where it is not given.
    #[arg(long)]
    first: Option<u64>,
    /// Write what came of it into the table in this file.
    #[arg(long)]
    table: Option<PathBuf>,
    /// Hunt one bug in this process, and print what came of it as one line.
    #[arg(long, hide = true)]
    one: Option<String>,
}

fn say(text: &str) {
    // Nobody reads it any more where the pipe is closed.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A number that is another each time: the operating system seeds it.
fn any_number() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish() >> 24
}

fn chosen(arguments: &Arguments) -> Result<Vec<Bug>, String> {
    if let Some(count) = arguments.some {
        let table = std::fs::read_to_string(TABLE).map_err(|e| format!("{TABLE} cannot be read: {e}"))?;
        let mut quick = found_within(&table, QUICK_SECONDS);
        let begin = arguments.first.unwrap_or_else(any_number) as usize % quick.len().max(1);
        quick.rotate_left(begin);
        quick.truncate(count);
        return Ok(quick);
    }
    if arguments.only.is_empty() {
        return Ok(Bug::ALL.to_vec());
    }
    let named = |id: &String| Bug::ALL.iter().copied().find(|bug| bug.id().eq_ignore_ascii_case(id));
    arguments.only.iter().map(|id| named(id).ok_or_else(|| format!("there is no planted bug {id}"))).collect()
}

/// Hunts one bug in a process of its own.
fn apart(bug: Bug, arguments: &Arguments, first: u64) -> std::io::Result<Outcome> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--one", bug.id(), "--seconds", &arguments.seconds.to_string(), "--first", &first.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdout = child.stdout.take().ok_or_else(|| std::io::Error::other("a hunt has no output"))?;
    let (said, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stdout.read_to_string(&mut text);
        let _ = said.send(text);
    });
    let text = heard.recv_timeout(Duration::from_secs_f64(WAIT * arguments.seconds + GRACE_SECONDS));
    if text.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    let line = text.unwrap_or_default();
    Ok(Outcome::from_line(line.trim_end_matches('\n')).unwrap_or_else(|| match status.code() {
        None => Outcome::endless(first, arguments.seconds),
        Some(code) => Outcome::failed(format!("the hunt itself ended with {code}")),
    }))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let first = arguments.first.unwrap_or_else(any_number);
    if let Some(id) = &arguments.one {
        let Some(bug) = Bug::ALL.iter().copied().find(|bug| bug.id() == id) else { return ExitCode::from(2) };
        say(&chase(bug, first, arguments.seconds).to_line());
        return ExitCode::SUCCESS;
    }
    let bugs = match chosen(&arguments) {
        Ok(bugs) => bugs,
        Err(why) => {
            say(&why);
            return ExitCode::from(2);
        }
    };
    let mut missed = 0;
    let count = bugs.len();
    for bug in bugs {
        let outcome = apart(bug, &arguments, first).unwrap_or_else(|error| Outcome::failed(error.to_string()));
        say(&format!("{:<4} {:<7} {}", bug.id(), if outcome.is_found { "found" } else { "missed" }, outcome.told()));
        missed += usize::from(!outcome.is_found);
        // After each, so that a long run that is cut short has not been for nothing.
        if let Some(path) = &arguments.table
            && let earlier = std::fs::read_to_string(path).unwrap_or_default()
            && let Err(error) = std::fs::write(path, document(&[(bug, outcome)], &earlier))
        {
            say(&format!("{} cannot be written: {error}", path.display()));
            return ExitCode::FAILURE;
        }
    }
    say(&format!("{} of {count} found", count - missed));
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
