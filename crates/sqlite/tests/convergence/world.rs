//! Replicas, their primary, their clock, and what people do to them.
use crate::copies::{self, words_of};
use crate::oracle;
use crate::tape::{Step, Tape};
use mainstem::core::ErrorKind;
use mainstem::core::change::Choice;
use mainstem::core::value::Value;
use mainstem::error::Error;
use mainstem::policy_text;
use mainstem::primary::Primary;
use mainstem::replica::{Answering, Replica, RestoreTarget, Since};
use mainstem::sync;
use mainstem::wiring::{Around, Surroundings};
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::primary::PRIMARY_FILE;
use mainstem_sqlite::replica::InitOptions;
use mainstem_testkit::surroundings::Seeded;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Replicas at most, copies and clones included.
const REPLICAS_MAX: usize = 6;
const MORNING: u64 = 1_795_170_120_000;

/// One machine's view: the world's clock with this machine's error, and its own randomness.
struct Machine {
    clock: Arc<AtomicU64>,
    ahead: u64,
    random: Arc<Seeded>,
}

impl Surroundings for Machine {
    fn now_ms(&self) -> u64 {
        self.clock.load(Ordering::SeqCst) + self.ahead
    }
    fn random(&self) -> u128 {
        self.random.random()
    }
}

/// One replica.
pub struct Copy {
    pub path: PathBuf,
    around: Around,
    kept: Option<PathBuf>,
    /// Words written here since the file was kept.
    since_kept: BTreeSet<String>,
}

/// Everything.
pub struct World {
    pub folder: tempfile::TempDir,
    clock: Arc<AtomicU64>,
    seed: u64,
    at_primary: Around,
    pub copies: Vec<Copy>,
    keeps_links: bool,
    /// Words that a program wrote.
    pub written: BTreeSet<String>,
    /// Words that somebody who saw them took away, or that a rewound file forgot.
    pub gone: BTreeSet<String>,
}

/// Errors that are answers.
pub fn tolerate(what: &str, error: &Error) -> Result<(), String> {
    let is_answer = matches!(error.kind, ErrorKind::Conflict | ErrorKind::Invalid | ErrorKind::NotFound) && error.code != "drift";
    if is_answer { Ok(()) } else { Err(format!("{what} failed: {} {error}", error.code)) }
}

fn machine(clock: &Arc<AtomicU64>, seed: u64, number: u64) -> Around {
    let random = Seeded::new(seed.wrapping_mul(1000).wrapping_add(number), 0);
    Arc::new(Machine { clock: clock.clone(), ahead: number * 700 % 2000, random })
}

pub fn quiet(_: &str, _: u64, _: u64) {}

impl World {
    /// Tables made and filled, published, and cloned.
    pub fn begin(tape: &Tape) -> World {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicU64::new(MORNING));
        let at_primary = machine(&clock, tape.seed, 999);
        let mut world = World {
            folder,
            clock,
            seed: tape.seed,
            at_primary,
            copies: Vec::new(),
            keeps_links: tape.keeps_links,
            written: BTreeSet::new(),
            gone: BTreeSet::new(),
        };
        let path = world.path("replica0.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON").unwrap();
        for sql in &tape.schema {
            let _ = db.execute_batch(sql);
        }
        drop(db);
        world.written = words_of(&copies::rows(&path));
        let around = world.around(0);
        let options = InitOptions { actor: Some("a0".into()), ..InitOptions::default() };
        SqliteReplica::init(&path, &options, around.clone(), &mut quiet).unwrap();
        let mut replica = SqliteReplica::open(&path, around.clone()).unwrap();
        replica.publish(&world.primary_folder(), Some("world"), "a0", &mut quiet).unwrap();
        drop(replica);
        world.copies.push(Copy { path, around, kept: None, since_kept: BTreeSet::new() });
        let mut policy = String::new();
        for (key, value) in &tape.policy {
            policy = policy_text::set(&policy, key, value).unwrap();
        }
        world.primary().set_policy(&policy, "a0").unwrap();
        for _ in 1..tape.replicas {
            world.clone_one().unwrap();
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    fn primary_folder(&self) -> PathBuf {
        self.path("primary")
    }
    pub fn primary_file(&self) -> PathBuf {
        self.primary_folder().join(PRIMARY_FILE)
    }
    fn around(&self, number: u64) -> Around {
        machine(&self.clock, self.seed, number)
    }
    pub fn primary(&self) -> Box<dyn Primary> {
        mainstem_sqlite::open_primary(&self.primary_folder(), self.at_primary.clone()).unwrap()
    }
    pub fn replica(&self, who: usize) -> SqliteReplica {
        let copy = &self.copies[who];
        SqliteReplica::open(&copy.path, copy.around.clone()).unwrap()
    }

    fn clone_one(&mut self) -> Result<(), String> {
        let number = self.copies.len();
        let (path, around) = (self.path(&format!("replica{number}.db")), self.around(number as u64));
        let address = self.primary_folder();
        SqliteReplica::clone_from(
            &mut *self.primary(),
            &address.to_string_lossy(),
            &path,
            Some(&format!("a{number}")),
            around.clone(),
            &mut quiet,
        )
        .map_err(|e| format!("clone failed: {} {e}", e.code))?;
        self.copies.push(Copy { path, around, kept: None, since_kept: BTreeSet::new() });
        Ok(())
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// A program's statements on a file; those that fail change nothing. The captured times are the world's.
    fn statements(&self, path: &Path, ahead: u64, lines: &[String]) {
        let db = Connection::open(path).unwrap();
        let is_on = if self.keeps_links { "ON" } else { "OFF" };
        db.execute_batch(&format!("PRAGMA synchronous = OFF; PRAGMA foreign_keys = {is_on}")).unwrap();
        let last: i64 = db.query_row("SELECT coalesce(max(seq), 0) FROM mainstem_log", [], |row| row.get(0)).unwrap();
        for sql in lines {
            let _ = db.execute_batch(sql);
        }
        if !db.is_autocommit() {
            db.execute_batch("COMMIT").unwrap();
        }
        let day = 2_440_587.5 + (self.clock.load(Ordering::SeqCst) + ahead) as f64 / 86_400_000.0;
        db.execute("UPDATE mainstem_log SET at = ?1 WHERE seq > ?2", (day, last)).unwrap();
    }

    /// Does something to a file that only its user can mean, and notes which words that wrote and took away.
    fn noting(&mut self, who: Option<usize>, work: impl FnOnce(&mut World) -> Result<(), String>) -> Result<(), String> {
        let path = who.map_or_else(|| self.primary_file(), |who| self.copies[who].path.clone());
        let before = words_of(&copies::rows(&path));
        work(self)?;
        let after = words_of(&copies::rows(&path));
        self.written.extend(after.difference(&before).cloned());
        self.gone.extend(before.difference(&after).cloned());
        if let Some(who) = who {
            self.copies[who].since_kept.extend(after.difference(&before).cloned());
        }
        Ok(())
    }

    pub fn step(&mut self, step: &Step) -> Result<(), String> {
        self.tick();
        if let Step::Sql(who, _)
        | Step::Commit(who, _)
        | Step::Push(who)
        | Step::Pull(who)
        | Step::Sync(who)
        | Step::Some(who, _)
        | Step::Restore(who, ..)
        | Step::Resolve(who, ..)
        | Step::Copy(who)
        | Step::Keep(who)
        | Step::Rewind(who) = step
            && *who >= self.copies.len()
        {
            return Ok(());
        }
        match step {
            Step::Sql(who, lines) => self.noting(Some(*who), |world| {
                let copy = &world.copies[*who];
                world.statements(&copy.path, copy.around.now_ms() - world.clock.load(Ordering::SeqCst), lines);
                Ok(())
            }),
            Step::Direct(lines) => self.noting(None, |world| {
                world.statements(&world.primary_file(), 0, lines);
                Ok(())
            }),
            Step::Commit(who, is_titled) => {
                let title = is_titled.then_some("work");
                self.replica(*who).commit(&format!("a{who}"), title, "").map(drop).map_err(|e| format!("commit failed: {} {e}", e.code))
            }
            Step::Push(who) => self.sync_with(*who, sync::push),
            Step::Pull(who) => self.sync_with(*who, sync::pull),
            Step::Sync(who) => self.sync_with(*who, sync::sync),
            Step::Some(who, times) => self.some(*who, *times),
            Step::Restore(who, table, is_base) => self.noting(Some(*who), |world| {
                let target = RestoreTarget { table: Some(table.clone()), key: None, columns: Vec::new() };
                let since = if *is_base { Since::Base } else { Since::Commit };
                world.replica(*who).restore(since, &target).map(drop).or_else(|e| tolerate("restore", &e))
            }),
            Step::Resolve(who, nth, choice) => self.noting(Some(*who), |world| world.resolve(*who, *nth, *choice)),
            Step::Copy(who) => self.copy(*who),
            Step::Keep(who) => {
                let kept = self.path(&format!("kept{who}.db"));
                std::fs::copy(&self.copies[*who].path, &kept).unwrap();
                self.copies[*who].kept = Some(kept);
                self.copies[*who].since_kept.clear();
                Ok(())
            }
            Step::Rewind(who) => {
                if let Some(kept) = self.copies[*who].kept.clone() {
                    std::fs::copy(&kept, &self.copies[*who].path).unwrap();
                    let lost = std::mem::take(&mut self.copies[*who].since_kept);
                    self.gone.extend(lost);
                }
                Ok(())
            }
            Step::Clone if self.copies.len() < REPLICAS_MAX => self.clone_one(),
            Step::Clone => Ok(()),
            Step::Policy(text) => self.primary().set_policy(text, "a0").map_err(|e| format!("policy failed: {e}")),
            Step::Wait(ms) => {
                self.clock.fetch_add(*ms, Ordering::SeqCst);
                Ok(())
            }
        }
    }

    fn copy(&mut self, who: usize) -> Result<(), String> {
        let number = self.copies.len();
        if number < REPLICAS_MAX {
            let (path, around) = (self.path(&format!("replica{number}.db")), self.around(number as u64));
            std::fs::copy(&self.copies[who].path, &path).unwrap();
            self.copies.push(Copy { path, around, kept: None, since_kept: BTreeSet::new() });
        }
        Ok(())
    }

    fn sync_with<T>(
        &self,
        who: usize,
        how: fn(&mut dyn Replica, &mut dyn Primary, &str, mainstem::replica::Progress<'_>) -> mainstem::Result<T>,
    ) -> Result<(), String> {
        let mut replica = self.replica(who);
        how(&mut replica, &mut *self.primary(), &format!("a{who}"), &mut quiet)
            .map(drop)
            .map_err(|e| format!("sync failed: {} {e}", e.code))
    }

    fn some(&self, who: usize, times: usize) -> Result<(), String> {
        let (mut replica, mut primary) = (self.replica(who), self.primary());
        for _ in 0..times {
            let fail = |e: Error| format!("a small pull failed: {} {e}", e.code);
            let known = replica.standing().map_err(fail)?.known.ok_or("no primary")?;
            let pull = primary.pull(&known, replica.cursor().map_err(fail)?, 1).map_err(fail)?;
            match replica.receive(&pull) {
                Err(e) if e.code == "drift" => replica.reconcile(&mut *primary, &mut quiet).map(|_| ()).map_err(fail)?,
                received => received.map(|_| ()).map_err(fail)?,
            }
        }
        Ok(())
    }

    fn resolve(&self, who: usize, nth: usize, choice: usize) -> Result<(), String> {
        let mut replica = self.replica(who);
        let open = replica.conflicts(true).map_err(|e| format!("conflicts failed: {e}"))?;
        if open.is_empty() {
            return Ok(());
        }
        let conflict = &open[nth % open.len()];
        let choice = [Choice::Ours, Choice::Theirs, Choice::Base, Choice::Merged, Choice::Value][choice];
        let value = (choice == Choice::Value).then(|| Value::text("chosen"));
        replica.resolve(&format!("a{who}"), &[(conflict.id, Answering { choice, value })]).or_else(|e| tolerate("resolve", &e))
    }

    pub fn keeps_links(&self) -> bool {
        self.keeps_links
    }
}

/// Runs a tape and judges how it ends.
pub fn run(tape: &Tape) -> Result<(), String> {
    let mut world = World::begin(tape);
    for (at, step) in tape.steps.iter().enumerate() {
        world.step(step).map_err(|why| format!("{why} (at step {at}, {step:?})"))?;
    }
    oracle::settle(&mut world)?;
    oracle::judge(&world)
}
