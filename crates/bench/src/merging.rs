//! F9: three-way merges of text, beside libraries that merge texts, libraries that merge documents, and `git merge-file`.
use crate::figures::Figure;
use crate::gauge::{Cost, cost, median};
use crate::peers;
use mainstem::core::text::{Merged, merge};
use std::path::Path;

const RUNS: usize = 9;

/// One edit within a line, in bytes of the base.
struct Edit {
    at: usize,
    deleted: usize,
    inserted: String,
}

/// Lines of about sixty bytes.
fn lines(bytes: usize) -> Vec<String> {
    let words = ["merge", "table", "river", "of", "rows", "and", "the", "quiet", "copy", "keeps", "its", "own", "name", "until"];
    let word = |n: usize| words[n % words.len()];
    let line = |n: usize| {
        let said: Vec<&str> = (0..9).map(|i| word(n * 7 + i * i + n / 5)).collect();
        format!("{n:05} {}\n", said.join(" "))
    };
    let mut lines = Vec::new();
    let mut length = 0;
    while length < bytes {
        lines.push(line(lines.len()));
        length += lines[lines.len() - 1].len();
    }
    lines
}

/// Edits of one side, each on a line of its own: a word in place of another, a word more, a word less.
fn edits(lines: &[String], count: usize, side: usize) -> Vec<Edit> {
    let mut starts = vec![0];
    lines.iter().for_each(|line| starts.push(starts[starts.len() - 1] + line.len()));
    let edit = |n: usize| {
        let line = (2 * n + side) * lines.len() / (2 * count);
        let at = starts[line] + 6;
        let word = lines[line][6..].find(' ').expect("a line has words");
        let (deleted, inserted) = match n % 3 {
            0 => (word, format!("changed{n}by{side}")),
            1 => (0, format!("new{n}by{side} ")),
            _ => (word + 1, String::new()),
        };
        Edit { at, deleted, inserted }
    };
    (0..count).map(edit).collect()
}

fn edited<'e>(base: &str, edits: impl Iterator<Item = &'e Edit>) -> String {
    let mut text = base.to_string();
    let mut last_first: Vec<&Edit> = edits.collect();
    last_first.sort_by_key(|edit| std::cmp::Reverse(edit.at));
    for edit in last_first {
        text.replace_range(edit.at..edit.at + edit.deleted, &edit.inserted);
    }
    text
}

/// Microseconds of one merge.
fn measured([base, ours, theirs, merged]: [&str; 4]) -> Cost {
    let once = || merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes());
    assert_eq!(once(), Merged::Clean(merged.as_bytes().to_vec()));
    let repeats = (20_000_000 / (base.len() * 20)).clamp(20, 4_000);
    let runs: Vec<Cost> = (0..RUNS).map(|_| cost(|| (0..repeats).for_each(|_| drop(std::hint::black_box(once())))).0).collect();
    median(&runs).each(repeats as f64, 1e6)
}

/// F9, and what is to be said of peers that could not be measured.
pub fn figures(folder: &Path) -> (Vec<Figure>, Vec<String>) {
    let mut figures = Vec::new();
    let mut notes = Vec::new();
    let cases = [
        ("5 KB, 5 edits a side", 5_000, 5, 2.5),
        ("500 KB, 20 edits a side", 500_000, 20, 65.0),
        ("500 KB, 1,000 edits a side", 500_000, 1_000, 700.0),
    ];
    for (name, bytes, count, goal) in cases {
        let lines = lines(bytes);
        let base = lines.concat();
        let sides = [0, 1].map(|side| edits(&lines, count, side));
        let [ours, theirs] = [&sides[0], &sides[1]].map(|edits| edited(&base, edits.iter()));
        let merged = edited(&base, sides.iter().flatten());
        let case = folder.join(name);
        std::fs::create_dir(&case).expect("the folder is ours");
        let told =
            |edits: &[Edit]| -> String { edits.iter().rev().map(|e| format!("{}\t{}\t{}\n", e.at, e.deleted, e.inserted)).collect() };
        let files = [("base", &base), ("ours", &ours), ("theirs", &theirs), ("merged", &merged)];
        let edits = [("ours.edits", &told(&sides[0])), ("theirs.edits", &told(&sides[1]))];
        for (file, text) in files.into_iter().chain(edits) {
            std::fs::write(case.join(file), text).expect("the folder is ours");
        }
        let cost = measured([&base, &ours, &theirs, &merged]);
        figures.push(Figure::at_most(format!("F9 merge text, {name}"), goal, cost.cpu, " µs").wall(cost.wall));
    }
    match peers::texts(folder) {
        Ok(all) => {
            for told in all {
                let figure = figures.iter_mut().find(|f| f.name.ends_with(&told.case)).expect("a case of ours");
                let name = if told.is_exact { told.peer } else { format!("{} (another text)", told.peer) };
                figure.peers.push(crate::figures::Peer { name, measured: told.micros });
            }
        }
        Err(why) => notes.push(format!("Libraries that merge text were not measured: {why}.")),
    }
    for (figure, (name, ..)) in figures.iter_mut().zip(cases) {
        let runs: Result<Vec<Cost>, String> = (0..RUNS)
            .map(|_| {
                let (took, merged) = cost(|| peers::git_merge_file(&folder.join(name)));
                merged.map(|_| took)
            })
            .collect();
        match runs {
            Ok(runs) => {
                let wall = median(&runs).each(1.0, 1e6).wall;
                figure.peers.push(crate::figures::Peer { name: "git merge-file with its start, wall".into(), measured: wall });
            }
            Err(why) => notes.push(format!("git merge-file was not measured: {why}.")),
        }
    }
    (figures, notes)
}
