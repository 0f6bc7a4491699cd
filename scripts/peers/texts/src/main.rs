//! Merges the texts of a folder with other programs' libraries and prints `peer case cpu_microseconds is_exact` lines.
//!
//! Each case is a folder with `base`, `ours`, `theirs` and `merged`, and `ours.edits` and `theirs.edits` with one edit on a
//! line (position, characters deleted, characters inserted; the last edit of the text first), for libraries that know edits
//! and not texts. Such a library is measured from the moment at which both sides have made their edits: the one gives what
//! is new, the other takes it and says its text.
mod documents;
mod merging;

use rustix::time::{ClockId, clock_gettime};
use std::path::Path;

/// One edit of a text, in characters. Texts here are ASCII.
struct Edit {
    at: usize,
    deleted: usize,
    inserted: String,
}

/// One three-way merge.
struct Case {
    base: String,
    ours: String,
    theirs: String,
    merged: String,
    our_edits: Vec<Edit>,
    their_edits: Vec<Edit>,
}

/// CPU seconds of this process so far.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Prepares and measures: what `prepare` gives is made outside of the clock, and dropped outside of it.
fn measure<P, T>(mut prepare: impl FnMut() -> P, mut run: impl FnMut(&mut P) -> T) -> (f64, T) {
    let (mut best, mut spent) = (Vec::new(), 0.0);
    loop {
        let mut prepared = prepare();
        let begun = cpu();
        let done = run(&mut prepared);
        let took = cpu() - begun;
        best.push(took);
        spent += took;
        if spent > 0.4 && best.len() >= 5 || best.len() >= 3_000 || spent > 3.0 {
            best.sort_by(f64::total_cmp);
            return (best[best.len() / 2] * 1e6, done);
        }
    }
}

fn edits(path: &Path) -> Vec<Edit> {
    let text = std::fs::read_to_string(path).expect("the folder has it");
    let edit = |line: &str| {
        let mut parts = line.splitn(3, '\t');
        let mut number = || parts.next().and_then(|p| p.parse().ok()).expect("a number");
        let (at, deleted) = (number(), number());
        Edit { at, deleted, inserted: parts.next().unwrap_or_default().to_string() }
    };
    text.lines().map(edit).collect()
}

fn main() {
    let folder = std::env::args().nth(1).expect("a folder of cases");
    let mut cases: Vec<_> = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    cases.sort();
    for path in cases {
        let read = |name: &str| std::fs::read_to_string(path.join(name)).expect("the folder has it");
        let case = Case {
            base: read("base"),
            ours: read("ours"),
            theirs: read("theirs"),
            merged: read("merged"),
            our_edits: edits(&path.join("ours.edits")),
            their_edits: edits(&path.join("theirs.edits")),
        };
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        for (peer, run) in merging::PEERS.iter().chain(documents::PEERS) {
            let (micros, merged) = run(&case);
            println!("{peer}\t{name}\t{micros:.3}\t{}", merged == case.merged);
        }
    }
}
