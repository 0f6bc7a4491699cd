//! The table of what was played, for people at a terminal and for the page of proof.
//!
//! Invariant: what was not played is named, and a sample is called a sample.
use mainstem_crash::FULL;
use mainstem_crash::play::{Effort, Tally};
use std::fmt::Write;

/// What came of a script.
pub struct Played {
    pub name: &'static str,
    /// None where it was not played.
    pub tally: Option<Tally>,
    pub seconds: f64,
}

/// The line above the lines.
pub const HEAD: &str = "script                       operations     cuts   states  contents  faults    deep  failures  seconds";

const COLUMNS: &str = "| script | operations | cuts | states | contents | faults | deep | failures | seconds |\n\
                       |---|--:|--:|--:|--:|--:|--:|--:|--:|\n";

impl Played {
    /// One that is yet to be played.
    pub fn not(name: &'static str) -> Played {
        Played { name, tally: None, seconds: 0.0 }
    }

    /// What is wrong.
    pub fn failures(&self) -> &[String] {
        self.tally.as_ref().map_or(&[], |tally| &tally.failures)
    }

    /// As a line of the terminal.
    pub fn line(&self) -> String {
        let name = self.name;
        let Some(Tally { operations, cuts, states, contents, faults, deep, failures }) = &self.tally else {
            return format!("{name:<28} not played");
        };
        let (wrong, seconds) = (failures.len(), self.seconds);
        format!("{name:<28}{operations:>11}{cuts:>9}{states:>9}{contents:>10}{faults:>8}{deep:>8}{wrong:>10}{seconds:>9.1}")
    }

    fn row(&self) -> String {
        let name = self.name;
        let Some(Tally { operations, cuts, states, contents, faults, deep, failures }) = &self.tally else {
            return format!("| {name} | not played | | | | | | | |");
        };
        let (wrong, seconds) = (failures.len(), self.seconds);
        format!("| {name} | {operations} | {cuts} | {states} | {contents} | {faults} | {deep} | {wrong} | {seconds:.1} |")
    }
}

/// The sum of what was played.
pub fn all(played: &[Played]) -> Played {
    let mut sum = Tally::default();
    for tally in played.iter().filter_map(|p| p.tally.as_ref()) {
        sum.operations += tally.operations;
        sum.cuts += tally.cuts;
        sum.states += tally.states;
        sum.contents += tally.contents;
        sum.faults += tally.faults;
        sum.deep += tally.deep;
        sum.failures.extend(tally.failures.iter().cloned());
    }
    Played { name: "all", tally: Some(sum), seconds: played.iter().map(|p| p.seconds).sum() }
}

/// The page of proof.
pub fn document(played: &[Played], effort: Effort) -> String {
    let done = played.iter().filter(|p| p.tally.is_some()).count();
    let is_all = effort.cuts == FULL.cuts && effort.faults == FULL.faults;
    let what = if is_all { "every cut and every failing operation and read" } else { "a sample of the cuts and failing operations" };
    let mut text = format!(
        "# Crash points\n\n\
         Written by `scripts/crash --table docs/proof/crash-points.md`. {done} of {} scripts were played, {what} of each.\n\
         What a cut, a state and a fault are is said in `docs/design/0005-crash-points.md`; `contents` counts the different things\n\
         that the databases can say, each opened, verified, repeated and synced; `deep` counts cuts of recoveries. Seconds are\n\
         of one thread, beside whatever else the machine did.\n\n{COLUMNS}",
        played.len(),
    );
    for one in played.iter().chain([&all(played)]) {
        let _ = writeln!(text, "{}", one.row());
    }
    let failures: Vec<(&str, &String)> = played.iter().flat_map(|p| p.failures().iter().map(|f| (p.name, f))).collect();
    if !failures.is_empty() {
        text.push_str("\n## Failures\n\n");
    }
    for (name, failure) in failures {
        let _ = writeln!(text, "- {name}: {}", failure.replace('\n', " "));
    }
    text
}
