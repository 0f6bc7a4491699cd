//! Random work at a whole copy, at one that asks for changing parts, and at one that may see changing parts: in the end each
//! holds exactly what it sees (I-10, I-54), and every word that nobody took away is in the primary's rows, in a conflict, or
//! put aside by who wrote it (I-8, I-9).
//!
//! Set MAINSTEM_SEEDS to the number of seeds, MAINSTEM_SEED_FIRST to the first, MAINSTEM_SEED to run one.
use crate::office::{Office, scope};
use mainstem_testkit::between::Moment;
use std::collections::BTreeSet;

/// Seeds by default.
const SEEDS: u64 = 4;
/// Things that happen in one run.
const STEPS: u64 = 50;
const NAMES: [&str; 3] = ["ada", "bob", "cem"];
/// What bob asks for at times, and cem may see.
const PARTS: [&str; 9] = [
    "*",
    "note",
    "note: owner = 'bob'\ntask",
    "task: owner = 'bob' and done = 0",
    "task: owner in ('bob', 'cem')\nproject: owner = 'bob'",
    "project\ntask\nnote",
    "project: id < 3\ntask: not done = 1\nnote: owner is null or owner = 'cem'",
    "task: project = 1\nproject: false",
    "note: body >= 'w'\nproject",
];

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn what_is_held_is_what_is_seen_and_nothing_is_lost() {
    let seeds = match number("MAINSTEM_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let first = number("MAINSTEM_SEED_FIRST").unwrap_or(0);
            first..first + number("MAINSTEM_SEEDS").unwrap_or(SEEDS)
        }
    };
    let mut failed = Vec::new();
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            failed.push(format!("MAINSTEM_SEED={seed}: {why}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

struct Run {
    office: Office,
    dice: Dice,
    words: u64,
    written: Vec<String>,
    /// Words whose row somebody deleted, or whose cell somebody overwrote: they may be gone.
    gone: BTreeSet<String>,
}

fn run(seed: u64) {
    let mut dice = Dice(seed.wrapping_add(77));
    dice.below(2);
    let mut office = Office::new();
    office.permit("cem", PARTS[3]);
    office.join("bob", PARTS[2]);
    office.join("cem", "*");
    let mut run = Run { office, dice, words: 0, written: Vec::new(), gone: BTreeSet::new() };
    for _ in 0..STEPS {
        run.step();
    }
    run.office.settle(&NAMES);
    run.office.assert_seen(&NAMES);
    run.assert_words();
    run.assert_unseen();
}

impl Run {
    fn step(&mut self) {
        let name = NAMES[self.dice.below(3) as usize];
        match self.dice.below(20) {
            0 | 1 => {
                let part = PARTS[self.dice.below(PARTS.len() as u64) as usize];
                log(|| format!("bob asks for {part:?}"));
                self.office.ask("bob", part);
            }
            // Never everything: of the safe nothing may ever come to cem.
            2 | 3 => {
                let part = PARTS[1 + self.dice.below(PARTS.len() as u64 - 1) as usize];
                log(|| format!("cem may see {part:?}"));
                self.office.permit("cem", part);
            }
            4..=12 => self.edit(name),
            13 | 14 => {
                let at = 1 + self.dice.below(12);
                log(|| format!("sync {name}, and break at {at}"));
                let before = |moment| matches!(moment, Moment::Before(_));
                let after = |moment| matches!(moment, Moment::After(_));
                self.office.sync_and_break(name, at, if at.is_multiple_of(2) { before } else { after });
            }
            _ => {
                log(|| format!("sync {name}"));
                self.office.sync(name);
            }
        }
    }

    fn edit(&mut self, name: &str) {
        self.words += 1;
        let word = format!("w{}.", self.words);
        let random = self.dice.below(1 << 20);
        let owner = ["'ada'", "'bob'", "'cem'", "NULL"][self.dice.below(4) as usize];
        let some = |table: &str| format!("(SELECT rowid FROM {table} ORDER BY (rowid * 7919 + {random}) % 1009 LIMIT 1)");
        let kind = self.dice.below(11);
        let (takes, sql) = match kind {
            0 => (None, format!("INSERT INTO project(owner, name) VALUES ({owner}, '{word}')")),
            1 => {
                let project = some("project");
                (None, format!("INSERT INTO task(project, owner, what) VALUES ({project}, {owner}, '{word}')"))
            }
            2 | 3 => (Some(("what", "task")), format!("UPDATE task SET what = '{word}' WHERE rowid = {}", some("task"))),
            4 => (Some(("body", "note")), format!("UPDATE note SET body = '{word}' WHERE rowid = {}", some("note"))),
            5 => (Some(("what", "task")), format!("DELETE FROM task WHERE rowid = {}", some("task"))),
            6 => (Some(("body", "note")), format!("DELETE FROM note WHERE rowid = {}", some("note"))),
            7 => (None, format!("UPDATE task SET owner = {owner}, done = {} WHERE rowid = {}", random % 2, some("task"))),
            8 => (None, format!("UPDATE note SET owner = {owner} WHERE rowid = {}", some("note"))),
            9 => (None, format!("INSERT INTO note VALUES ('k{}', {owner}, '{word}')", random % 40)),
            _ => (None, format!("INSERT INTO safe(x) VALUES ('topsecret {word}')")),
        };
        let taken =
            takes.map(|(column, table)| self.office.value(name, &format!("SELECT {column} FROM {table} WHERE rowid = {}", some(table))));
        // A table that is not there, or a row that is not allowed, is an edit that did not happen.
        let changed = self.office.try_sql(name, &sql).unwrap_or(0);
        log(|| format!("{name}: {sql} ({changed})"));
        if changed > 0 {
            self.gone.extend(taken);
            if matches!(kind, 0..=4 | 9) {
                self.written.push(word);
            }
        }
        if self.dice.below(3) == 0 {
            self.office.commit(name);
        }
    }

    /// Words that nobody took away are in the primary's rows, in a conflict, or aside.
    fn assert_words(&self) {
        let rows = self.office.rows_seen(&scope("*"), &scope("*"));
        let held: BTreeSet<Vec<u8>> = rows.values().flatten().flatten().filter_map(text).collect();
        let told: String = self.office.conflicts().iter().map(|c| format!("{c:?}")).collect();
        let aside: String = NAMES.iter().map(|name| self.office.aside(name)).collect();
        for word in &self.written {
            let bytes = format!("{:?}", word.as_bytes());
            let bytes = bytes.trim_end_matches(']');
            let is_told = || told.contains(bytes) || aside.contains(bytes);
            assert!(self.gone.contains(word) || held.contains(word.as_bytes()) || is_told(), "{word} is lost");
        }
    }

    /// What may never be seen was never received, in whatever form.
    fn assert_unseen(&self) {
        let bytes = std::fs::read(self.office.path("cem")).unwrap();
        let own = self.office.aside("cem");
        let found = bytes.windows(9).any(|w| w == b"topsecret");
        assert!(!found || own.contains(format!("{:?}", b"topsecret").trim_matches(['[', ']'])), "cem holds what nobody showed");
    }
}

fn text(value: &mainstem::core::value::Value) -> Option<Vec<u8>> {
    if let mainstem::core::value::Value::Text(text) = value { Some(text.clone()) } else { None }
}

/// Tells what happens, where one seed is run by itself.
#[allow(clippy::print_stderr, reason = "for whoever looks at one seed")]
fn log(what: impl FnOnce() -> String) {
    if std::env::var_os("MAINSTEM_SEED").is_some() {
        eprintln!("{}", what());
    }
}
