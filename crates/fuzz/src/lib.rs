//! What must hold for any bytes: plain functions that panic where it does not.
//!
//! A run in every test (`tests/bounded.rs`) gives each the kept corpus and a fixed number of mutations of it; `scripts/fuzz`
//! searches with coverage. What either finds goes into the corpus, so that it is tried for ever.
//! Invariant: a target looks at nothing but its bytes, so that what it found can be tried again.
mod combine;
mod database;
mod decode;
mod mutate;
mod stage;
mod typed;

pub use mutate::{Dice, mutate};

use std::path::PathBuf;

/// Something that must hold for any bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and its folder in the corpus.
    pub name: &'static str,
    /// Panics where something does not hold.
    pub run: fn(&[u8]),
    /// Bytes to begin from, made by the program itself.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How many mutations every day's run tries.
    pub executions: u64,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "row", run: decode::row, seeds: decode::row_seeds, executions: 20_000 },
    Target { name: "page", run: decode::page, seeds: decode::page_seeds, executions: 8_000 },
    Target { name: "front", run: decode::front, seeds: decode::front_seeds, executions: 20_000 },
    Target { name: "event", run: decode::event, seeds: decode::event_seeds, executions: 20_000 },
    Target { name: "schema", run: decode::schema, seeds: decode::schema_seeds, executions: 20_000 },
    Target { name: "conflict", run: decode::conflict, seeds: decode::conflict_seeds, executions: 20_000 },
    Target { name: "gates", run: decode::gates, seeds: decode::gates_seeds, executions: 20_000 },
    Target { name: "file", run: decode::file, seeds: decode::file_seeds, executions: 10_000 },
    Target { name: "frames", run: decode::frames, seeds: decode::frames_seeds, executions: 4_000 },
    Target { name: "session", run: decode::session, seeds: database::session_seeds, executions: 20_000 },
    Target { name: "json", run: typed::json, seeds: typed::json_seeds, executions: 5_000 },
    Target { name: "policy", run: typed::policy, seeds: typed::policy_seeds, executions: 5_000 },
    Target { name: "arguments", run: typed::arguments, seeds: typed::argument_seeds, executions: 8_000 },
    Target { name: "text", run: combine::text, seeds: combine::text_seeds, executions: 10_000 },
    Target { name: "strategy", run: combine::strategy, seeds: combine::strategy_seeds, executions: 10_000 },
    Target { name: "condense", run: combine::condense, seeds: database::session_seeds, executions: 10_000 },
    Target { name: "import", run: database::import, seeds: database::changeset_seeds, executions: 120 },
    Target { name: "import-session", run: database::import_session, seeds: database::session_seeds, executions: 120 },
    Target { name: "push", run: database::push, seeds: database::changeset_seeds, executions: 120 },
    Target { name: "receive", run: database::receive, seeds: database::version_seeds, executions: 120 },
];

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

impl Target {
    /// What it begins from: its seeds, and what was found and kept, a line of hexadecimal digits each in
    /// `crates/fuzz/corpus/NAME.hex`.
    pub fn inputs(&self) -> Vec<Vec<u8>> {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("{}.hex", self.name));
        let kept = match std::fs::read_to_string(&file) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.unwrap_or_else(|e| panic!("{}: {e}", file.display())),
        };
        (self.seeds)().into_iter().chain(kept.lines().map(from_hex)).collect()
    }
}

/// Splits bytes at a length that stands before them.
fn part(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some(([high, low], rest)) = bytes.split_first_chunk() else { return (bytes, &[]) };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    rest.split_at(length.min(rest.len()))
}

/// Puts parts together as [`part`] takes them apart; the last has no length.
fn parts(all: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, part) in (1..).zip(all) {
        if number < all.len() {
            bytes.extend((part.len() as u16).to_be_bytes());
        }
        bytes.extend_from_slice(part);
    }
    bytes
}

/// The bytes of a fixture written as hexadecimal digits.
fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter_map(|b| char::from(b).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
