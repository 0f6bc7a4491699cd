//! Plays a script once, recorded, and then from every state that a cut leaves.
//!
//! Invariant: a state is judged by what its databases say; what follows from there (opening, verifying, repeating,
//! syncing) is played once for each thing that they can say.
use crate::scripts::Script;
use crate::stage::{PRIMARY, Phase, Stage};
use crate::states::{Cut, Loss, cuts, sample};
use crate::summary::{self, Key, Looking};
use mainstem::Result;
use mainstem::replica::Replica;
use mainstem_disk::{Fate, Image, Operation};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How much of everything is played.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Cuts of a script's recording, at most.
    pub cuts: usize,
    /// Operations that fail, at most, for each way of failing.
    pub faults: usize,
    /// Cuts from which the crash of the recovery is played too, at most, and cuts of each recovery.
    pub deep: usize,
}

/// What was played and found.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Operations recorded.
    pub operations: usize,
    /// Cuts looked at.
    pub cuts: usize,
    /// Different bytes among them.
    pub states: usize,
    /// Different contents among them, each opened, verified, repeated and synced.
    pub contents: usize,
    /// Runs with a failing disk.
    pub faults: usize,
    /// Cuts of recoveries.
    pub deep: usize,
    /// What is wrong.
    pub failures: Vec<String>,
}

/// A script as it ran undisturbed.
pub struct Recorded {
    /// The files before.
    pub base: Image,
    /// What happened to them.
    pub operations: Vec<Operation>,
    /// How many reads there were.
    pub reads: u64,
    /// Where things were acknowledged.
    acknowledged: Vec<usize>,
    /// What the databases said, in the order in which they did.
    pub said: Vec<Key>,
    /// After how many operations they said which of it.
    at: Vec<usize>,
    /// What people see when all have synced.
    pub end: String,
}

/// A stage, a script on it, and what is known so far.
pub struct Play {
    pub script: Script,
    pub stage: Stage,
    pub looking: Looking,
    pub recorded: Recorded,
    pub tally: Tally,
    followed: BTreeMap<Key, bool>,
}

/// Runs a part of a script; a panic is a failure with its message.
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> std::result::Result<Result<T>, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        format!("panicked: {}", text.unwrap_or_default())
    })
}

fn told(e: mainstem::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(&e), |cause| cause.source()).map(|cause| format!(" ({cause})"));
    format!("{} {e}{}", e.code, causes.collect::<String>())
}

impl Recorded {
    /// Prepares the folder and plays the script in it.
    fn new(script: &Script, stage: &Stage, looking: &mut Looking) -> std::result::Result<Recorded, String> {
        let fail = |what: &'static str| move |e: mainstem::Error| format!("{what}: {}", told(e));
        stage.begin(Phase::Prepare);
        (script.prepare)(stage).map_err(fail("preparing"))?;
        stage.disk.record();
        let base = stage.disk.image();
        stage.keep(&base).map_err(|e| e.to_string())?;
        stage.begin(Phase::Act);
        let reads = stage.disk.reads();
        (script.act)(stage).map_err(fail("the script"))?;
        let reads = stage.disk.reads() - reads;
        stage.acknowledge();
        let operations = stage.disk.take();
        let last = base.after(&operations, |_| Fate::Kept);
        stage.keep(&last).map_err(|e| e.to_string())?;
        let acknowledged = stage.acknowledgements();
        let (mut said, mut at, mut image) = (Vec::<Key>::new(), Vec::new(), base.clone());
        for end in 0..=operations.len() {
            if end > 0 {
                image.step(&operations[end - 1], Fate::Kept);
            }
            let key = looking.key(&image).map_err(|why| format!("after {end} operations: {why}"))?;
            if said.last() != Some(&key) {
                said.push(key);
            }
            at.push(said.len() - 1);
        }
        stage.begin(Phase::Settle);
        let end = settled(stage).map_err(|why| format!("the end: {why}"))?;
        Ok(Recorded { base, operations, reads, acknowledged, said, at, end })
    }
}

/// Lets everybody sync twice, and says what people see then.
fn settled(stage: &Stage) -> std::result::Result<String, String> {
    let mut text = String::new();
    if stage.primary().is_ok() {
        for _ in 0..2 {
            for file in stage.databases() {
                match stage.sync(&file) {
                    Err(e) if !["not_tracked", "no_primary"].contains(&e.code) => return Err(format!("sync of {file}: {}", told(e))),
                    _ => {}
                }
            }
        }
        let mut primary = stage.primary().map_err(told)?;
        let conflicts = primary.conflicts(false).map_err(told)?;
        let mut lines: Vec<String> = conflicts
            .iter()
            .map(|c| format!("conflict {} {} {:?} {:?} {:?} {:?}", c.kind.name(), c.table, c.key, c.column, c.ours.claim, c.theirs.claim))
            .collect();
        lines.sort_unstable();
        let _ = writeln!(text, "{}\n== the primary\n{}", lines.join("\n"), rows(stage, PRIMARY)?);
    }
    for file in stage.databases() {
        let _ = writeln!(text, "== {file}\n{}", rows(stage, &file)?);
    }
    Ok(text)
}

fn rows(stage: &Stage, file: &str) -> std::result::Result<String, String> {
    summary::rows(&stage.path(file)).map_err(|e| format!("{file}: {e}"))
}

/// Lines that only one of two texts has.
fn difference(expected: &str, found: &str) -> String {
    let only = |one: &str, other: &str, mark: &str| {
        let other: HashSet<&str> = other.lines().collect();
        one.lines().filter(|line| !other.contains(line)).take(6).map(|line| format!("\n    {mark} {line}")).collect::<String>()
    };
    format!("{}{}", only(expected, found, "expected"), only(found, expected, "found"))
}

impl Play {
    /// Plays a script undisturbed.
    pub fn new(script: Script) -> std::result::Result<Play, String> {
        let stage = Stage::new(script.journal).map_err(|e| e.to_string())?;
        let mut looking = Looking::new().map_err(|e| e.to_string())?;
        let recorded = Recorded::new(&script, &stage, &mut looking)?;
        let mut tally = Tally { operations: recorded.operations.len(), ..Tally::default() };
        if script.is_atomic && recorded.said.len() > 2 {
            tally.failures.push(format!("is not one transaction: its databases said {} different things", recorded.said.len()));
        }
        Ok(Play { script, stage, looking, recorded, tally, followed: BTreeMap::new() })
    }

    /// Notes what is wrong with a state.
    pub fn fail(&mut self, which: impl std::fmt::Display, why: impl std::fmt::Display) {
        self.tally.failures.push(format!("{which}: {why}"));
    }

    /// Plays from the states of the recording.
    pub fn cut(&mut self, effort: Effort) {
        let all = cuts(&self.recorded.operations);
        let mut states = HashSet::new();
        for cut in sample(&all, effort.cuts) {
            self.tally.cuts += 1;
            let image = cut.image(&self.recorded.base, &self.recorded.operations);
            states.insert(summary::fingerprint(&image));
            if let Err(why) = self.judge(cut, &image) {
                self.fail(cut, why);
            }
        }
        self.tally.states = states.len();
        self.tally.contents = self.followed.len();
        if effort.deep > 0 {
            for cut in sample(&all, effort.deep) {
                self.cut_again(cut, effort.deep);
            }
        }
    }

    /// Judges what a cut left.
    fn judge(&mut self, cut: Cut, image: &Image) -> std::result::Result<(), String> {
        let key = self.looking.key(image)?;
        let recorded = &self.recorded;
        let place =
            recorded.said.iter().position(|said| *said == key).ok_or("the databases say what they never said in the undisturbed run")?;
        let acknowledged = recorded.acknowledged.iter().filter(|at| **at <= cut.end).max();
        if acknowledged.is_some_and(|at| place < recorded.at[*at]) {
            return Err("something that was acknowledged is lost".into());
        }
        if place > recorded.at[cut.end] || cut.loss == Loss::None && place != recorded.at[cut.end] {
            return Err("the databases say what they were yet to say".into());
        }
        if self.followed.contains_key(&key) {
            return Ok(());
        }
        let follow = self.stage.show(image).map_err(|e| e.to_string()).and_then(|()| self.follow());
        self.followed.insert(key, follow.is_ok());
        follow
    }

    /// Goes on from what the folder holds: opens and verifies everything, repeats the script, lets everybody sync.
    pub fn follow(&self) -> std::result::Result<(), String> {
        self.verify()?;
        self.stage.begin(Phase::Again);
        self.repeat()?;
        self.stage.begin(Phase::Settle);
        let end = guarded(|| Ok(settled(&self.stage)))?.map_err(told)??;
        if end != self.recorded.end {
            return Err(format!("another end:{}", difference(&self.recorded.end, &end)));
        }
        Ok(())
    }

    pub fn repeat(&self) -> std::result::Result<(), String> {
        match guarded(|| (self.script.act)(&self.stage))? {
            Err(e) if !self.script.answers.contains(&e.code) => Err(format!("repeating fails: {}", told(e))),
            _ => Ok(()),
        }
    }

    /// The replicas are what capture and the primary say.
    fn verify(&self) -> std::result::Result<(), String> {
        self.stage.begin(Phase::Again);
        let files = if self.script.is_beyond_verify { Vec::new() } else { self.stage.databases() };
        for file in files {
            let found = guarded(|| {
                let mut replica = match self.stage.replica(&file) {
                    Err(e) if e.code == "not_tracked" => return Ok(Vec::new()),
                    replica => replica?,
                };
                let mut primary = match replica.standing()?.known {
                    Some(_) => Some(self.stage.primary()?),
                    None => None,
                };
                let reference = primary.as_mut().map(|p| &mut ***p as &mut dyn mainstem::primary::Primary);
                Ok(replica.verify(reference, &mut crate::stage::quiet)?.differences)
            });
            let found = found?.map_err(|e| format!("{file} cannot be verified: {}", told(e)))?;
            if let Some(first) = found.first() {
                return Err(format!("{file} is not what it says: {} {:?} {}", first.table, first.key, first.what));
            }
        }
        Ok(())
    }

    /// Cuts the recovery from a cut.
    fn cut_again(&mut self, first: Cut, count: usize) {
        let image = first.image(&self.recorded.base, &self.recorded.operations);
        if let Err(why) = self.stage.show(&image) {
            return self.fail(first, why);
        }
        self.stage.disk.record();
        let base = self.stage.disk.image();
        let repeated = self.verify().and_then(|()| self.repeat());
        let operations = self.stage.disk.take();
        if let Err(why) = repeated {
            return self.fail(first, why);
        }
        let mut seen = HashSet::new();
        for second in sample(&cuts(&operations), count) {
            self.tally.deep += 1;
            let image = second.image(&base, &operations);
            let followed = match self.looking.key(&image) {
                Ok(key) if !seen.insert(key.clone()) => Ok(()),
                Ok(_) => self.stage.show(&image).map_err(|e| e.to_string()).and_then(|()| self.follow()),
                Err(why) => Err(why),
            };
            if let Err(why) = followed {
                self.fail(format!("{first}, then {second} of the recovery"), why);
            }
        }
    }
}
