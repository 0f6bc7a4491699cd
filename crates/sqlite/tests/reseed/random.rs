//! Random work by several people while their primary is put back, restored and cleaned up again and again: in the end all
//! copies are one, and every word that was accepted before a restore and is still held by a replica is there or in a
//! conflict (I-37, I-38, I-61, I-63).
//!
//! Set MAINSTEM_SEEDS to the number of seeds, MAINSTEM_SEED_FIRST to the first, MAINSTEM_SEED to run one.
use crate::team::{Team, one, rows};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Seeds by default.
const SEEDS: u64 = 3;
/// Things that happen in one run.
const STEPS: u64 = 40;

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
fn whatever_becomes_of_the_primary_all_copies_come_together() {
    let seeds = match number("MAINSTEM_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let first = number("MAINSTEM_SEED_FIRST").unwrap_or(0);
            first..first + number("MAINSTEM_SEEDS").unwrap_or(SEEDS)
        }
    };
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            panic!("MAINSTEM_SEED={seed}: {why}");
        }
    }
}

struct Run {
    team: Team,
    dice: Dice,
    words: u64,
    /// Words whose row somebody deleted, or whose cell somebody overwrote: they may be gone.
    gone: BTreeSet<String>,
    copies: Vec<PathBuf>,
    has_forgotten: bool,
}

const NAMES: [&str; 3] = ["ada", "bob", "cem"];

fn run(seed: u64) {
    let mut dice = Dice(seed.wrapping_add(77));
    dice.below(2);
    let mut run = Run { team: Team::new(&NAMES), dice, words: 0, gone: BTreeSet::new(), copies: Vec::new(), has_forgotten: false };
    for step in 0..STEPS {
        run.step(step);
    }
    run.team.settle(&NAMES);
    run.team.settle(&NAMES);
    run.team.assert_one(&NAMES);
    run.assert_words();
}

impl Run {
    fn word(&mut self) -> String {
        self.words += 1;
        format!("w{}.", self.words)
    }

    fn step(&mut self, step: u64) {
        let name = NAMES[self.dice.below(3) as usize];
        match self.dice.below(20) {
            0 | 1 => {
                let copy = self.team.copy_primary(&format!("copy {step}"));
                self.copies.push(copy);
            }
            2 | 3 if !self.copies.is_empty() => {
                let copy = self.copies[self.dice.below(self.copies.len() as u64) as usize].clone();
                match self.dice.below(2) {
                    0 => self.team.restore(&copy),
                    _ => {
                        // Of an unmarked copy a replica learns only while it is in the same epoch.
                        let epoch = "SELECT hex(hash) FROM mainstem_event WHERE position = (SELECT max(position) FROM mainstem_epoch)";
                        if one(&copy, epoch) == one(&self.team.primary_db(), epoch) {
                            self.team.put_back(&copy);
                        }
                    }
                }
            }
            // Copies older than the horizon may be put back after it: what they lost is then only in the replicas.
            4 if !self.has_forgotten => {
                for name in NAMES {
                    self.team.sync(name);
                }
                self.team.forget("");
                self.has_forgotten = true;
            }
            5..=12 => self.edit(name),
            _ => {
                self.team.sync(name);
            }
        }
    }

    fn edit(&mut self, name: &str) {
        let word = self.word();
        let path = self.team.path(name);
        let pick = |sql: &str| one(&path, sql);
        let random = self.dice.below(1 << 20);
        let some = |table: &str| format!("(SELECT rowid FROM {table} ORDER BY (rowid * 7919 + {random}) % 1009 LIMIT 1)");
        let sql = match self.dice.below(7) {
            0 => format!("INSERT INTO list(name) VALUES ('{word}')"),
            1 => format!("INSERT INTO task(list, what) VALUES ((SELECT id FROM list ORDER BY id LIMIT 1), '{word}')"),
            2 => {
                self.gone.insert(pick(&format!("SELECT what FROM task WHERE rowid = {}", some("task"))));
                format!("UPDATE task SET what = '{word}' WHERE rowid = {}", some("task"))
            }
            3 => {
                self.gone.insert(pick(&format!("SELECT note FROM word WHERE rowid = {}", some("word"))));
                format!("UPDATE word SET note = '{word}' WHERE rowid = {}", some("word"))
            }
            4 => {
                self.gone.insert(pick(&format!("SELECT what FROM task WHERE rowid = {}", some("task"))));
                self.gone.insert(word);
                format!("DELETE FROM task WHERE rowid = {}", some("task"))
            }
            5 => {
                self.gone.insert(pick(&format!("SELECT note FROM word WHERE rowid = {}", some("word"))));
                self.gone.insert(word);
                format!("DELETE FROM word WHERE rowid = {}", some("word"))
            }
            _ => format!("INSERT OR IGNORE INTO word VALUES ('k{0}', {0}, '{word}')", 100 + self.words),
        };
        self.team.sql(name, &sql);
        if self.dice.below(3) == 0 {
            self.team.commit(name, "some");
        }
    }

    /// Words that nobody took away are in the rows of all copies, or in a conflict.
    fn assert_words(&self) {
        let all = rows(&self.team.primary_db());
        let conflicts = self.team.conflicts("ada", false);
        let told: String = conflicts.iter().map(|c| format!("{:?}", c)).collect();
        for n in 1..=self.words {
            let word = format!("w{n}.");
            let bytes = format!("{:?}", word.as_bytes());
            if !self.gone.contains(&word) && !all.contains(&format!("'{word}'")) && !told.contains(&bytes) {
                panic!("{word} is lost; the rows are\n{all}");
            }
        }
    }
}
