//! `simulate`: runs seeds or a tape, prints what was done and looked at, and leaves small tapes of what went wrong.
use clap::Parser;
use simulator::hunt::{Found, Hunted, Limits, hunted};
use simulator::tape::Tape;
use simulator::telling::Teller;
use simulator::world::World;
use simulator::{orders, report, run, shrink, workload};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs whole lives of replicas and their primary under a seed each, and judges how they end.
#[derive(Parser)]
struct Arguments {
    /// Stop after about so many operations.
    #[arg(long, default_value_t = 3_000_000, conflicts_with_all = ["seeds", "seed", "replay", "minutes"])]
    operations: u64,
    /// Run so many seeds.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Run this seed alone.
    #[arg(long)]
    seed: Option<u64>,
    /// Run for so many minutes.
    #[arg(long)]
    minutes: Option<f64>,
    /// Run a tape that was kept.
    #[arg(long)]
    replay: Option<PathBuf>,
    /// Say after each event of --replay what is in the files.
    #[arg(long, requires = "replay")]
    tell: bool,
    /// Make the tape of --replay smaller, in place.
    #[arg(long, requires = "replay", conflicts_with = "tell")]
    shrink: bool,
    /// Runs at most that a tape is made smaller with.
    #[arg(long, default_value_t = 400)]
    tries: usize,
    /// Print the tape of --seed and do not run it.
    #[arg(long, requires = "seed")]
    show: bool,
    /// Seeds of a thousand that are run twice.
    #[arg(long, default_value_t = 50)]
    twice: u64,
    /// Fail where a situation was reached fewer times than so.
    #[arg(long)]
    situations: Option<u64>,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Stop after so many violations.
    #[arg(long, default_value_t = 5)]
    failures: usize,
    /// Leave tapes as they are.
    #[arg(long)]
    whole: bool,
    /// Where tapes of what went wrong are written.
    #[arg(long, default_value = "target/simulator")]
    folder: PathBuf,
}

fn say(text: &str) {
    // Nobody reads it any more where the pipe is closed.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn judged(is_meeting: bool, tape: &Tape) -> run::Outcome {
    if is_meeting { orders::run(tape) } else { run::run(tape) }
}

/// Writes the smallest tape that still fails, and says how to replay it.
fn keep(found: &Found, arguments: &Arguments) -> std::io::Result<()> {
    let tape = if found.is_meeting { workload::meeting(found.seed) } else { workload::tape(found.seed) };
    let (tape, wrong) = match arguments.whole {
        true => (tape, found.wrong.clone()),
        false => shrink::shrink(&tape, found.wrong.clone(), arguments.tries, &|tape| judged(found.is_meeting, tape).wrong),
    };
    std::fs::create_dir_all(&arguments.folder)?;
    let name = if found.is_meeting { format!("meeting{}.tape", found.seed) } else { format!("seed{}.tape", found.seed) };
    let path = arguments.folder.join(name);
    std::fs::write(&path, tape.to_string())?;
    say(&format!("seed {}: {wrong}\n  replay with: scripts/simulate --replay {}", found.seed, path.display()));
    Ok(())
}

fn read(path: &Path) -> Result<Tape, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    text.parse()
}

fn replay(path: &Path, arguments: &Arguments) -> ExitCode {
    let tape = match read(path) {
        Ok(tape) => tape,
        Err(why) => {
            say(&why);
            return ExitCode::from(2);
        }
    };
    let is_meeting = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("meeting"));
    let wrong = match arguments.tell {
        true => told(is_meeting, &tape).wrong,
        false => judged(is_meeting, &tape).wrong,
    };
    let Some(wrong) = wrong else {
        say("nothing went wrong");
        return ExitCode::SUCCESS;
    };
    say(&wrong.to_string());
    if arguments.shrink {
        let (tape, _) = shrink::shrink(&tape, wrong, arguments.tries, &|tape| judged(is_meeting, tape).wrong);
        if let Err(error) = std::fs::write(path, tape.to_string()) {
            say(&format!("{} cannot be written: {error}", path.display()));
        }
    }
    ExitCode::FAILURE
}

fn told(is_meeting: bool, tape: &Tape) -> run::Outcome {
    let mut teller = Teller::default();
    let mut tell = |world: &mut World, event: &str| say(&teller.told(world, event));
    if is_meeting { orders::run_told(tape, &mut tell) } else { run::run_told(tape, &mut tell) }
}

fn finish(hunted: &Hunted, arguments: &Arguments) -> ExitCode {
    say(&report::table(hunted));
    let mut is_right = hunted.found.is_empty();
    let mut reasons = std::collections::BTreeSet::new();
    for found in &hunted.found {
        // One of each reason is made small; the others are named.
        if reasons.insert(shrink::reason(&found.wrong)) {
            if let Err(error) = keep(found, arguments) {
                say(&format!("the tape of seed {} cannot be written: {error}", found.seed));
            }
        } else {
            say(&format!("seed {}: {}", found.seed, found.wrong));
        }
    }
    if let Some(least) = arguments.situations {
        let missing = report::unreached(hunted, least);
        if !missing.is_empty() {
            say(&format!("situations reached fewer than {least} times: {}", missing.join(", ")));
            is_right = false;
        }
    }
    if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(path) = &arguments.replay {
        return replay(path, &arguments);
    }
    if let (true, Some(seed)) = (arguments.show, arguments.seed) {
        say(&workload::tape(seed).to_string());
        return ExitCode::SUCCESS;
    }
    let first = arguments.seed.unwrap_or(arguments.first);
    let count = if arguments.seed.is_some() { Some(1) } else { arguments.seeds };
    let is_open = count.is_none() && arguments.minutes.is_none();
    let limits = Limits {
        seconds_max: arguments.minutes.map(|minutes| minutes * 60.0),
        operations_max: is_open.then_some(arguments.operations),
        twice: arguments.twice,
        failures_max: arguments.failures,
    };
    let last = count.map_or(u64::MAX, |count| first + count);
    let hunted = hunted(first..last, limits, arguments.threads);
    finish(&hunted, &arguments)
}
