//! The figures of a hunt, as text for people.
use crate::hunt::Hunted;
use crate::tally::{Invariant, Situation};
use std::fmt::Write;

/// Days in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// Situations that were reached fewer times than so.
pub fn unreached(hunted: &Hunted, least: u64) -> Vec<&'static str> {
    let count = |situation: &Situation| hunted.tally.situations.get(situation).copied().unwrap_or_default();
    Situation::ALL.iter().filter(|situation| count(situation) < least).map(|situation| situation.name()).collect()
}

/// The table that `simulate` prints.
pub fn table(hunted: &Hunted) -> String {
    let tally = &hunted.tally;
    let mut text = String::new();
    let mut line = |name: &str, figure: String| {
        // Writing to a string has no way to fail.
        let _ = writeln!(text, "{name:<46} {figure:>14}");
    };
    line("seeds", tally.seeds.to_string());
    line("operations", tally.operations.to_string());
    line("seconds", format!("{:.1}", hunted.seconds));
    line("operations a second", format!("{:.0}", tally.operations as f64 / hunted.seconds.max(0.001)));
    line("hash", hunted.hash.iter().take(7).map(|byte| format!("{byte:02x}")).collect());
    line("simulated days", (tally.simulated_ms / DAY_MS).to_string());
    line("faults", tally.faults.values().sum::<u64>().to_string());
    for (kind, count) in &tally.faults {
        line(&format!("  {kind}"), count.to_string());
    }
    line("situations", String::new());
    for situation in Situation::ALL {
        line(&format!("  {}", situation.name()), tally.situations.get(situation).copied().unwrap_or_default().to_string());
    }
    line("invariants, times evaluated", tally.checks.values().sum::<u64>().to_string());
    for invariant in Invariant::ALL {
        line(&format!("  {}", invariant.name()), tally.checks.get(invariant).copied().unwrap_or_default().to_string());
    }
    line("violations", hunted.found.len().to_string());
    text
}
