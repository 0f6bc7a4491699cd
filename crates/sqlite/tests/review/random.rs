//! Random work by several people of which a part is reviewed: proposals are made, revised, narrowed, rejected, taken back and
//! merged, answers are lost, the primary is put back. In the end all copies are one, and every word is there, in a conflict,
//! or put aside.
//!
//! Set MAINSTEM_SEEDS to the number of seeds, MAINSTEM_SEED_FIRST to the first, MAINSTEM_SEED to run one.
use crate::team::{Team, one, quiet, rows};
use mainstem::core::ErrorKind;
use mainstem::core::change::{Change, Front, Header};
use mainstem::core::format::page;
use mainstem::core::proposal::{Decision, MergeWish, Stage};
use mainstem::core::value::Key;
use mainstem::error::Error;
use mainstem::ledger::ProposalsWanted;
use mainstem::primary::Pages;
use mainstem::proposing::{self, Apart, Asked, Content, Draft, Proposing, Target};
use mainstem::replica::{Replica, Since};
use mainstem::review::{By, Chosen, Deed, Everybody, Offer, Part};
use mainstem::sync;
use mainstem_testkit::between::{Between, Moment, Turn};
use std::cell::Cell;
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

/// Seeds by default.
const SEEDS: u64 = 4;
/// Things that happen in one run.
const STEPS: u64 = 50;
const NAMES: [&str; 3] = ["ada", "bob", "cem"];

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
fn whatever_becomes_of_proposals_all_copies_come_together() {
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
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

struct Run {
    team: Team,
    dice: Dice,
    words: u64,
    /// Words whose row somebody deleted, or whose cell somebody overwrote: they may be gone.
    gone: BTreeSet<String>,
    copies: Vec<PathBuf>,
    write_ids: u128,
}

fn by(actor: &str) -> By<'_> {
    By { actor, token: None, people: &Everybody, request: None }
}

fn run(seed: u64) {
    let mut dice = Dice(seed.wrapping_add(4711));
    dice.below(2);
    let mut run = Run { team: Team::new(&NAMES), dice, words: 0, gone: BTreeSet::new(), copies: Vec::new(), write_ids: 1 << 100 };
    run.team.primary().set_policy("[tables.task]\nmode = \"review\"\n", "admin").unwrap();
    for step in 0..STEPS {
        run.step(step);
    }
    run.finish();
    run.team.assert_one(&NAMES);
    run.assert_words();
}

impl Run {
    fn step(&mut self, step: u64) {
        let name = NAMES[self.dice.below(3) as usize];
        let what = self.dice.below(30);
        match what {
            0 => {
                let copy = self.team.copy_primary(&format!("copy {step}"));
                self.copies.push(copy);
            }
            1 if !self.copies.is_empty() && self.dice.below(2) == 0 => {
                let copy = self.copies[self.dice.below(self.copies.len() as u64) as usize].clone();
                self.team.restore(&copy);
            }
            2 => {
                let mode =
                    ["[tables.task]\nmode = \"review\"\n", "", "mode = \"review\"\n", "review_above = 2\n"][self.dice.below(4) as usize];
                self.team.primary().set_policy(mode, "admin").unwrap();
            }
            3..=15 => self.edit(name),
            16..=19 => {
                self.team.sync(name);
                self.check_apart(name);
            }
            20 => self.sync_over_a_bad_line(name),
            21..=23 => self.propose(name),
            24 => self.rehearse(name),
            25 | 26 => self.merge(),
            27 if self.dice.below(2) == 0 => self.divide(name),
            27 => self.narrow(name),
            28 => self.close(name),
            _ => self.take_back(name),
        }
    }

    fn open_proposals(&self) -> Vec<u64> {
        let stages = Stage::ALL.into_iter().filter(|stage| stage.is_open()).collect();
        self.team.primary().proposals(&ProposalsWanted { stages, limit: 1000, ..ProposalsWanted::default() }).unwrap()
    }

    fn a_proposal(&mut self) -> Option<u64> {
        let open = self.open_proposals();
        let at = self.dice.below(open.len() as u64) as usize;
        open.get(at).copied()
    }

    fn propose(&mut self, name: &str) {
        let target = if self.dice.below(4) == 0 { Target::New } else { Target::Fitting };
        let asked = Asked { title: Some("offered".into()), target, has_everything: self.dice.below(6) == 0, ..Asked::default() };
        let mut primary = self.team.primary();
        let lost = Cell::new(u64::MAX);
        if self.dice.below(3) == 0 {
            lost.set(self.dice.below(8));
        }
        let mut line = Between::new(&mut *primary, |moment| bad_line(&lost, moment));
        match proposing::propose(&mut self.team.open(name), &mut line, name, &asked, &mut quiet) {
            Ok(_) => {}
            Err(e) if matches!(e.code, "nothing_to_propose" | "proposed_rows" | "line" | "closed") => {}
            Err(e) => panic!("propose of {name}: {e:?}"),
        }
    }

    fn sync_over_a_bad_line(&mut self, name: &str) {
        let mut primary = self.team.primary();
        let lost = Cell::new(self.dice.below(8));
        let mut line = Between::new(&mut *primary, |moment| bad_line(&lost, moment));
        match sync::sync(&mut self.team.open(name), &mut line, name, &mut quiet) {
            Err(e) if e.code != "line" => panic!("sync of {name}: {e:?}"),
            _ => {}
        }
    }

    /// Draws up and takes it for offered, on a copy of the file: the rows stay what they are when all is laid again.
    fn rehearse(&mut self, name: &str) {
        self.team.sync(name);
        self.edit(name);
        self.edit(name);
        let which = if self.dice.below(2) == 0 { Apart::Reviewed } else { Apart::Everything };
        let copy = self.team.path("rehearsal");
        let _ = std::fs::remove_file(&copy);
        std::fs::copy(self.team.path(name), &copy).unwrap();
        let mut replica = self.team.open("rehearsal");
        replica.commit(name, None, "").unwrap();
        let changes = changes(&mut replica);
        replica.set_apart(which).unwrap();
        let draft = Draft { of: Content::Waiting, title: Some("t".into()), actor: name.into(), ..Draft::default() };
        match replica.draw_up(&draft) {
            Ok(true) => replica.note_offered(1_000_000, 1).unwrap(),
            Ok(false) => {}
            Err(e) if e.code == "nothing_to_propose" => {}
            Err(e) => panic!("{e:?}"),
        }
        assert_eq!(changes, self::changes(&mut replica), "what is drawn up is the same net change");
        if replica.standing().unwrap().known == self.known() {
            // A snapshot brings no word of numbers that were given anew: the rows are what they would be in any case.
            let control = self.team.path("control");
            let _ = std::fs::remove_file(&control);
            std::fs::copy(self.team.path(name), &control).unwrap();
            let mut other = self.team.open("control");
            other.commit(name, None, "").unwrap();
            other.reseed(&mut *self.team.primary(), mainstem::replica::Unseen::Overwritten, &mut quiet).unwrap();
            replica.reseed(&mut *self.team.primary(), mainstem::replica::Unseen::Overwritten, &mut quiet).unwrap();
            assert_eq!(rows(&control), rows(&copy), "laid again, the rows are what they were");
        }
    }

    fn known(&self) -> Option<mainstem::primary::Acquaintance> {
        let there = self.team.describe();
        let hash = self.team.primary().version_hash(there.head.version).unwrap().unwrap();
        Some(mainstem::primary::Acquaintance {
            lineage: there.lineage,
            epoch: there.epoch,
            version: there.head.version,
            hash,
            scope: there.scope,
        })
    }

    fn merge(&mut self) {
        let Some(id) = self.a_proposal() else { return };
        let wish = MergeWish { force: true, skip_conflicts: true, ..MergeWish::new(u128::from(id)) };
        self.team.primary().merge(id, &wish, by("zoe")).unwrap();
    }

    fn close(&mut self, name: &str) {
        let Some(id) = self.a_proposal() else { return };
        let stage = if self.dice.below(2) == 0 { Stage::Rejected } else { Stage::Withdrawn };
        self.team.primary().act(id, &Deed::Decide(Decision { stage, reason: "no".into() }), by(name)).unwrap();
    }

    fn take_back(&mut self, name: &str) {
        let mut replica = self.team.open(name);
        let Some(id) = replica.kept().unwrap().iter().find_map(|kept| kept.mark.proposal()) else { return };
        let _ = self.team.primary().act(id, &Deed::Decide(Decision { stage: Stage::Withdrawn, reason: "no".into() }), by(name));
        match replica.take_back(id) {
            Ok(_) => {}
            Err(e) if e.code == "drift" => {}
            Err(e) => panic!("taking {id} back at {name}: {e:?}"),
        }
    }

    /// Somebody accepts some rows only.
    fn divide(&mut self, name: &str) {
        let Some(id) = self.a_proposal() else { return };
        let mut primary = self.team.primary();
        let proposal = primary.proposal(id, by(name)).unwrap().unwrap().proposal;
        let head = proposal.head().clone();
        let bytes = primary.staged_page(id, proposal.revisions.len() as u64, 0).unwrap().unwrap();
        let mut rows = page::decode(&bytes, &head.front.shapes).unwrap();
        rows.retain(|_| self.dice.below(2) == 0);
        let chosen = |change: &Change| Chosen {
            table: head.front.shapes[change.table].table.clone(),
            key: Some(change.key.clone()),
            columns: Vec::new(),
        };
        match primary.accept_part(id, &rows.iter().map(chosen).collect::<Vec<_>>(), by(name)) {
            Ok(_) => {}
            Err(e) if e.code == "depends" || e.kind == ErrorKind::NotFound || e.kind == ErrorKind::Invalid => {}
            Err(e) => panic!("dividing {id}: {e:?}"),
        }
    }

    /// Somebody offers a part of what a proposal has, as its next revision.
    fn narrow(&mut self, name: &str) {
        let Some(id) = self.a_proposal() else { return };
        let mut primary = self.team.primary();
        let proposal = primary.proposal(id, by(name)).unwrap().unwrap().proposal;
        let head = proposal.head().clone();
        let mut kept: Vec<Change> = Vec::new();
        for number in 0..head.pages {
            let bytes = primary.staged_page(id, proposal.revisions.len() as u64, number).unwrap().unwrap();
            kept.extend(page::decode(&bytes, &head.front.shapes).unwrap());
        }
        kept.retain(|_| self.dice.below(2) == 0);
        if kept.is_empty() {
            return;
        }
        self.write_ids += 1;
        let header = Header { write_id: self.write_ids, ..head.front.header.clone() };
        let front = Front { header, count: kept.len() as u64, ..head.front.clone() };
        let known = self.known().unwrap();
        let mut pages = Memory { changes: Some(kept) };
        let offer = Offer { revises: Some(id), reviewed: Part { front: &front, pages: &mut pages }, direct: None };
        primary.propose(&known, offer, by(name)).unwrap();
    }

    /// No row is both kept and among what is pushed.
    fn check_apart(&self, name: &str) {
        let mut replica = self.team.open(name);
        let kept: Vec<Front> = replica.kept().unwrap().into_iter().map(|kept| kept.front).collect();
        let unsent = replica.unsent().unwrap();
        let mut rows_of = |fronts: &[Front]| -> HashSet<(String, Key)> {
            let mut rows = HashSet::new();
            for front in fronts {
                let mut pages = replica.pages(front.header.write_id).unwrap();
                while let Some(changes) = pages.next().unwrap() {
                    rows.extend(changes.into_iter().map(|change| (front.shapes[change.table].table.clone(), change.key)));
                }
            }
            rows
        };
        let both: Vec<_> = rows_of(&kept).intersection(&rows_of(&unsent)).cloned().collect();
        assert!(both.is_empty(), "{name}: {both:?}");
    }

    fn edit(&mut self, name: &str) {
        self.words += 1;
        let word = format!("w{}.", self.words);
        let path = self.team.path(name);
        let pick = |sql: &str| one(&path, sql);
        let random = self.dice.below(1 << 20);
        let some = |table: &str| format!("(SELECT rowid FROM {table} ORDER BY (rowid * 7919 + {random}) % 1009 LIMIT 1)");
        let sql = match self.dice.below(9) {
            0 => format!("INSERT INTO list(name) VALUES ('{word}')"),
            1 | 2 => format!("INSERT INTO task(list, what) VALUES ({}, '{word}')", some("list")),
            3 => {
                self.gone.insert(pick(&format!("SELECT what FROM task WHERE rowid = {}", some("task"))));
                format!("UPDATE task SET what = '{word}' WHERE rowid = {}", some("task"))
            }
            4 => format!("UPDATE task SET list = {}, done = done + 1 WHERE rowid = {}", some("list"), some("task")),
            5 => {
                self.gone.insert(pick(&format!("SELECT note FROM word WHERE rowid = {}", some("word"))));
                format!("UPDATE word SET note = '{word}' WHERE rowid = {}", some("word"))
            }
            6 => {
                self.gone.insert(pick(&format!("SELECT what FROM task WHERE rowid = {}", some("task"))));
                format!("DELETE FROM task WHERE rowid = {}", some("task"))
            }
            7 => {
                self.gone.insert(pick(&format!("SELECT note FROM word WHERE rowid = {}", some("word"))));
                format!("DELETE FROM word WHERE rowid = {}", some("word"))
            }
            _ => format!("INSERT OR IGNORE INTO word VALUES ('k{0}', {0}, '{word}')", 100 + self.words),
        };
        self.team.sql(name, &sql);
        // Where there was no row to write it into, it was never there.
        if !rows(&path).contains(&word) {
            self.gone.insert(word);
        }
        if self.dice.below(3) == 0 {
            self.team.commit(name, "some");
        }
    }

    /// Everything that waits is proposed and merged, until nothing is left.
    fn finish(&mut self) {
        for _ in 0..12 {
            for name in NAMES {
                self.team.sync(name);
                self.check_apart(name);
                let asked = Asked { title: Some("last".into()), ..Asked::default() };
                let mut replica = self.team.open(name);
                match proposing::propose(&mut replica, &mut *self.team.primary(), name, &asked, &mut quiet) {
                    Err(e) if e.code == "nothing_to_propose" || e.code == "proposed_rows" => {
                        // What was offered was undone by further edits.
                        let kept = replica.kept().unwrap();
                        if e.code == "nothing_to_propose" && kept.iter().any(|kept| kept.mark.is_waiting()) {
                            let id = kept.iter().find_map(|kept| kept.mark.proposal()).unwrap();
                            replica.take_back(id).unwrap();
                        }
                    }
                    other => drop(other.unwrap_or_else(|e| panic!("{name}: {e:?}"))),
                }
            }
            for id in self.open_proposals() {
                let wish = MergeWish { force: true, skip_conflicts: true, ..MergeWish::new(1_000_000 + u128::from(id)) };
                self.team.primary().merge(id, &wish, by("zoe")).unwrap();
            }
            for name in NAMES {
                self.team.sync(name);
            }
            if NAMES.iter().all(|name| self.team.open(name).kept().unwrap().is_empty()) && self.open_proposals().is_empty() {
                break;
            }
        }
        for name in NAMES {
            let kept = self.team.open(name).kept().unwrap();
            assert!(kept.is_empty(), "{name} still keeps {kept:?}");
        }
        self.team.settle(&NAMES);
    }

    /// Words that nobody took away are in the rows of all copies, in a conflict, or put aside.
    fn assert_words(&self) {
        let all = rows(&self.team.primary_db());
        let mut told: String = self.team.conflicts("ada", false).iter().map(|c| format!("{c:?}")).collect();
        for name in NAMES {
            let replica = self.team.open(name);
            for front in replica.stashes().unwrap() {
                let mut pages = replica.stash_pages(&front);
                while let Some(changes) = pages.next().unwrap() {
                    told += &format!("{changes:?}");
                }
            }
        }
        for n in 1..=self.words {
            let word = format!("w{n}.");
            let bytes = format!("{:?}", word.as_bytes());
            if !self.gone.contains(&word) && !all.contains(&format!("'{word}'")) && !told.contains(&bytes) {
                panic!("{word} is lost; the rows are\n{all}");
            }
        }
    }
}

/// Net changes since the base version, as text without their stamps.
fn changes(replica: &mut dyn Replica) -> Vec<String> {
    let mut all = Vec::new();
    replica
        .changes(Since::Base, &mut |shape, change| {
            all.push(format!("{} {:?} {:?}", shape.table, change.key, change.edit));
            Ok(())
        })
        .unwrap();
    all
}

/// Cuts the line at the call of that number: before it is made, or with its answer.
fn bad_line(left: &Cell<u64>, moment: Moment) -> Result<Turn, Error> {
    if let Moment::After(call) = moment {
        if left.get() == 0 || (call == "propose" && left.get() < u64::MAX) {
            left.set(u64::MAX);
            return Err(Error::new(ErrorKind::Unavailable, "line", "the answer is lost"));
        }
        left.set(left.get().saturating_sub(u64::from(left.get() < u64::MAX)));
    }
    Ok(Turn::Once)
}

struct Memory {
    changes: Option<Vec<Change>>,
}

impl Pages for Memory {
    fn next(&mut self) -> Result<Option<Vec<Change>>, Error> {
        Ok(self.changes.take())
    }
    fn rewind(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
