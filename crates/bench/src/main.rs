//! Measures what Mainstem does, beside SQLite alone, its session extension, and others on the same work.
//!
//! `cargo run --release -p mainstem-bench` prints one table; with `--write` it goes into docs/performance.md with two pictures.
//! Parts can be named (see [`PARTS`]); `--matrix ROWS…` measures memory of every command, `--large ROWS` what a proposal of so many rows takes.
//! Invariant: CPU seconds of the whole process, ways interleaved, the middle of five or more; what was done is verified.
mod applying;
mod capturing;
mod feeding;
mod figures;
mod gauge;
mod large;
mod looking;
mod memory;
mod merging;
mod page;
mod pair;
mod peers;
mod plot;
mod reviewing;
mod session;
mod simulating;
mod syncing;

use figures::{Figure, Goal};
use std::path::Path;

const PARTS: [&str; 11] = ["capture", "condense", "apply", "sync", "merge", "review", "look", "feed", "text", "simulate", "memory"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--held", verb, folder] => memory::run(verb, Path::new(folder)),
        ["--commits", file] => feeding::commit(Path::new(file)),
        ["--matrix", ref sizes @ ..] => memory::matrix(&sizes.iter().map(|n| n.parse().expect("a number of rows")).collect::<Vec<_>>()),
        ["--large", rows] => large::run(rows.parse().expect("a number of rows")),
        ["--write", ref parts @ ..] => {
            let (figures, notes) = measure(if parts.is_empty() { &PARTS } else { parts });
            page::write(&figures, &notes);
        }
        [] => show(&PARTS),
        ref parts => show(parts),
    }
}

fn show(parts: &[&str]) {
    let (figures, notes) = measure(parts);
    print!("{}", figures::table(&figures));
    notes.iter().for_each(|note| println!("{note}"));
}

/// The figures, and what could not be measured.
fn measure(parts: &[&str]) -> (Vec<Figure>, Vec<String>) {
    let mut all = Vec::new();
    let mut notes = Vec::new();
    for part in parts {
        let folder = tempfile::tempdir().expect("a place for temporary files");
        eprintln!("measuring {part}");
        match *part {
            "capture" => all.extend(capturing::costs(folder.path()).into_iter().chain(capturing::log_bytes(folder.path()))),
            "condense" => all.extend(capturing::condensing(folder.path())),
            "apply" => all.extend(applying::figures(folder.path())),
            "sync" => {
                all.extend(syncing::figures());
                notes.extend(syncing::documents(&mut all));
            }
            "merge" => all.extend(syncing::merging()),
            "review" => all.extend(reviewing::figures()),
            "feed" => all.extend(feeding::figures(folder.path())),
            "look" => all.extend(looking::figures(folder.path())),
            "text" => {
                let (figures, missing) = merging::figures(folder.path());
                all.extend(figures);
                notes.extend(missing);
            }
            "simulate" => match simulating::figure() {
                Ok(figure) => all.push(figure),
                Err(why) => notes.push(format!("The simulator was not measured: {why}.")),
            },
            "memory" => all.extend(memory::figures()),
            _ => panic!("there is no part {part}; there are {}", PARTS.join(", ")),
        }
    }
    relate(&mut all);
    (all, notes)
}

/// F13's goal is twice what F5 needs for as many changes.
fn relate(all: &mut [Figure]) {
    let speed = all.iter().find(|f| f.name == applying::SPEED).map(|f| f.measured);
    let Some(speed) = speed else { return };
    for merged in all.iter_mut().filter(|f| [syncing::ACCEPTED, reviewing::MERGED].contains(&f.name.as_str())) {
        merged.goal = Goal::AtMost(2.0 * syncing::ROWS as f64 / speed);
    }
}
