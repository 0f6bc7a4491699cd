//! Hunts one bug in this process, with the tool that its nature asks for.
use crate::outcome::Outcome;
use crate::stories::story;
use mainstem::core::planted::{Bug, plant};
use mainstem_crash::{SHORT, scripts};
use simulator::hunt::{Limits, hunted, is_meeting, one};
use std::time::Instant;

/// Seconds of processor time that this process took so far: others use this machine too. Real time where the system
/// does not say.
fn spent(begin: Instant) -> f64 {
    let ticks = || -> Option<u64> {
        let text = std::fs::read_to_string("/proc/self/stat").ok()?;
        let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
        Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
    };
    ticks().map_or_else(|| (now() - begin).as_secs_f64(), |ticks| ticks as f64 / 100.0)
}

#[expect(clippy::disallowed_methods, reason = "speed is measured, and nothing in a run depends on it")]
fn now() -> Instant {
    Instant::now()
}

/// How many times its processor time a hunt may take in real time.
pub const WAIT: f64 = 3.0;

/// Hunts a bug for so many seconds, from a seed on.
pub fn chase(bug: Bug, first: u64, seconds: f64) -> Outcome {
    match (bug, story(bug)) {
        (Bug::E8 | Bug::I10 | Bug::J8 | Bug::J10, _) => crash(bug, first, seconds),
        (_, Some(story)) => tell(bug, story),
        (_, None) => simulate(bug, first, seconds),
    }
}

/// Plays crash points and disk errors of script after script, until one goes wrong with the bug and not without it.
fn crash(bug: Bug, first: u64, seconds: f64) -> Outcome {
    let begin = now();
    let mut outcome = Outcome { tool: "crash points".into(), ..Outcome::default() };
    let scripts = scripts::all();
    for turn in 0..scripts.len() {
        let script = scripts[(first as usize).wrapping_add(turn) % scripts.len()];
        plant(Some(bug));
        let tally = mainstem_crash::run(script, SHORT);
        plant(None);
        outcome.seeds += 1;
        outcome.operations += (tally.cuts + tally.faults) as u64;
        outcome.seconds = spent(begin);
        if let Some(why) = tally.failures.first()
            && mainstem_crash::run(script, SHORT).failures.is_empty()
        {
            return Outcome { is_found: true, why: format!("{}: {why}", script.name), ..outcome };
        }
        if outcome.seconds >= seconds {
            break;
        }
    }
    outcome
}

/// A story that goes wrong with the bug, and goes well without.
fn tell(bug: Bug, (tool, story): (&str, fn() -> Result<(), String>)) -> Outcome {
    let begin = now();
    plant(None);
    if let Err(why) = story() {
        return Outcome::failed(format!("the story goes wrong without the bug: {why}"));
    }
    plant(Some(bug));
    let told = story();
    plant(None);
    let seconds = spent(begin);
    Outcome { is_found: told.is_err(), tool: tool.into(), seconds, why: told.err().unwrap_or_default(), ..Outcome::default() }
}

/// Runs seeds until one goes wrong with the bug and not without it.
fn simulate(bug: Bug, first: u64, seconds: f64) -> Outcome {
    let begin = now();
    // Who arrives first can only be told where both orders are tried.
    let is_of_order = matches!(bug, Bug::G4 | Bug::G6 | Bug::G7);
    let tool = if is_of_order { "both orders" } else { "simulator" };
    let mut outcome = Outcome { tool: tool.into(), first, ..Outcome::default() };
    let mut next = first;
    while (now() - begin).as_secs_f64() < WAIT * seconds {
        let left = seconds - spent(begin);
        plant(Some(bug));
        let limits = Limits { seconds_max: Some(left.max(1.0)), failures_max: 1, ..Limits::default() };
        let hunted = hunted((next..).filter(|seed| !is_of_order || is_meeting(*seed)), limits, 1);
        plant(None);
        outcome.seeds += hunted.tally.seeds;
        outcome.operations += hunted.tally.operations;
        outcome.seconds = spent(begin);
        let Some(found) = hunted.found.into_iter().next() else {
            next += hunted.tally.seeds * if is_of_order { 10 } else { 1 };
            if outcome.seconds >= 0.98 * seconds { break } else { continue }
        };
        if one(found.seed, 0).0.wrong.is_none() {
            return Outcome { is_found: true, why: found.why, ..outcome };
        }
        // This seed finds a bug of our own, whatever is planted.
        outcome.why = format!("seed {} goes wrong without the bug too", found.seed);
        next = found.seed + 1;
        if outcome.seconds >= seconds {
            break;
        }
    }
    outcome
}
