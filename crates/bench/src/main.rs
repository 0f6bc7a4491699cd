//! Measures capture, condensing, applying, syncing and memory, beside SQLite alone and its session extension.
//!
//! `cargo run --release -p mainstem-bench` prints one table; with `--write` it goes into docs/performance.md as well.
//! Parts can be named (capture, condense, apply, sync, merge, memory); `--matrix ROWS…` measures memory of every command.
//! Invariant: CPU seconds of the whole process, ways interleaved, the middle of five; what was done is verified.
mod applying;
mod capturing;
mod figures;
mod gauge;
mod memory;
mod page;
mod pair;
mod session;
mod syncing;

use std::path::Path;

const PARTS: [&str; 6] = ["capture", "condense", "apply", "sync", "merge", "memory"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--held", verb, folder] => memory::run(verb, Path::new(folder)),
        ["--matrix", ref sizes @ ..] => memory::matrix(&sizes.iter().map(|n| n.parse().expect("a number of rows")).collect::<Vec<_>>()),
        ["--write"] => page::write(&measure(&PARTS)),
        [] => print!("{}", figures::table(&measure(&PARTS))),
        ref parts => print!("{}", figures::table(&measure(parts))),
    }
}

fn measure(parts: &[&str]) -> Vec<figures::Figure> {
    let mut all = Vec::new();
    for part in parts {
        let folder = tempfile::tempdir().expect("a place for temporary files");
        eprintln!("measuring {part}");
        match *part {
            "capture" => all.extend(capturing::costs(folder.path()).into_iter().chain(capturing::log_bytes(folder.path()))),
            "condense" => all.extend(capturing::condensing(folder.path())),
            "apply" => all.extend(applying::figures(folder.path())),
            "sync" => all.extend(syncing::figures()),
            "merge" => all.extend(syncing::merging()),
            "memory" => all.extend(memory::figures()),
            _ => panic!("there is no part {part}; there are {}", PARTS.join(", ")),
        }
    }
    all
}
