//! What came of hunting one bug: as a line between processes, and as a table.
use mainstem::core::planted::Bug;

/// What stands in the place of a tool's name.
const MISSED: &str = "**not found**";

/// What came of one hunt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// True where the bug was found.
    pub is_found: bool,
    /// By what.
    pub tool: String,
    /// The first seed.
    pub first: u64,
    /// Seeds run, the one that found it included.
    pub seeds: u64,
    /// Operations run.
    pub operations: u64,
    /// Seconds it took.
    pub seconds: f64,
    /// What did not hold; else what is to be said.
    pub why: String,
}

impl Outcome {
    /// A hunt that never came to an end: the bug makes something turn for ever.
    pub fn endless(first: u64, seconds: f64) -> Outcome {
        let why = "I-77 something never ends".into();
        Outcome { is_found: true, tool: "simulator".into(), first, seeds: 1, seconds, why, ..Outcome::default() }
    }

    /// A hunt that could not be.
    pub fn failed(why: String) -> Outcome {
        Outcome { why, ..Outcome::default() }
    }

    /// As one line.
    pub fn to_line(&self) -> String {
        let Outcome { is_found, tool, first, seeds, operations, seconds, why } = self;
        let why = why.replace(['\n', '\t'], " ");
        format!("{is_found}\t{tool}\t{first}\t{seeds}\t{operations}\t{seconds}\t{why}")
    }

    /// From that line.
    pub fn from_line(line: &str) -> Option<Outcome> {
        let parts: Vec<&str> = line.splitn(7, '\t').collect();
        let [is_found, tool, first, seeds, operations, seconds, why] = parts[..] else { return None };
        Some(Outcome {
            is_found: is_found == "true",
            tool: tool.into(),
            first: first.parse().ok()?,
            seeds: seeds.parse().ok()?,
            operations: operations.parse().ok()?,
            seconds: seconds.parse().ok()?,
            why: why.into(),
        })
    }

    /// In words, for people who wait.
    pub fn told(&self) -> String {
        let why: String = self.why.chars().take(100).collect();
        format!("{:<10} {:>6} seeds {:>9} operations {:>7.1} s  {why}", self.tool, self.seeds, self.operations, self.seconds)
    }
}

/// The invariant that a violation begins with, and the reason up to its first colon.
fn brief(why: &str) -> String {
    let mut parts = why.splitn(3, ": ");
    let (invariant, reason) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let id = invariant.split(' ').next().unwrap_or_default();
    let text = if id.starts_with("I-") && !reason.is_empty() { format!("{id}: {reason}") } else { why.to_owned() };
    text.chars().take(80).collect::<String>().replace('|', "\\|")
}

/// A bug's line of the table.
fn row(bug: Bug, outcome: &Outcome) -> String {
    let tool = if outcome.is_found { outcome.tool.as_str() } else { MISSED };
    let (id, what, why) = (bug.id(), bug.what(), brief(&outcome.why));
    let Outcome { seeds, operations, seconds, .. } = outcome;
    format!("| {id} | {what} | {tool} | {why} | {seeds} | {operations} | {seconds:.1} |\n")
}

/// The table that is kept with the project: what was hunted now, and what an earlier table says of the other bugs.
pub fn document(all: &[(Bug, Outcome)], earlier: &str) -> String {
    let known = |bug: &Bug| earlier.lines().find(|line| line.starts_with(&format!("| {} |", bug.id()))).map(|line| format!("{line}\n"));
    let now = |bug: &Bug| all.iter().find(|(hunted, _)| hunted == bug).map(|(bug, outcome)| row(*bug, outcome));
    let rows: Vec<String> = Bug::ALL.iter().filter_map(|bug| now(bug).or_else(|| known(bug))).collect();
    let found = rows.iter().filter(|row| !row.contains(MISSED)).count();
    format!(
        "# Planted bugs\n\n\
         Written by `scripts/planted`. Each mistake of `crates/core/src/planted.rs` was planted in turn and hunted with fresh seeds, on one thread.\n\
         A bug counts as found only where the same run finds nothing without it. Seconds are of processor time. Found: {found} of {}.\n\n\
         | bug | the mistake | found by | what did not hold | seeds | operations | seconds |\n|---|---|---|---|---|---|---|\n{}",
        rows.len(),
        rows.concat()
    )
}

/// The bugs that a table says were found within so many seconds.
pub fn found_within(table: &str, seconds: f64) -> Vec<Bug> {
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<String>>();
    let is_quick = |bug: &Bug| {
        table.lines().map(cells).any(|cells| {
            let took = cells.last().and_then(|last| last.parse::<f64>().ok());
            cells.len() == 7 && cells[0] == bug.id() && cells[2] != MISSED && took.is_some_and(|took| took <= seconds)
        })
    };
    Bug::ALL.iter().copied().filter(is_quick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_ones_are_read_off_the_table() {
        let outcome =
            |is_found, seconds| Outcome { is_found, tool: "simulator".into(), seconds, why: "a | b".into(), ..Outcome::default() };
        let all = [(Bug::A1, outcome(true, 1.0)), (Bug::A2, outcome(true, 9.0)), (Bug::A3, outcome(false, 1.0))];
        let table = document(&all, "");
        assert_eq!(found_within(&table, 5.0), [Bug::A1]);
        assert_eq!(document(&[(Bug::A1, outcome(false, 1.0))], &table).matches("not found").count(), 2);
    }

    #[test]
    fn a_line_comes_back() {
        let outcome = Outcome { is_found: true, tool: "simulator".into(), seconds: 1.5, why: "I-4: a\tb".into(), ..Outcome::default() };
        assert_eq!(Outcome::from_line(&outcome.to_line()), Some(Outcome { why: "I-4: a b".into(), ..outcome }));
    }
}
