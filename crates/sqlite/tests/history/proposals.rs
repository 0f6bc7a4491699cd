//! Random histories of review over several open primaries at once, judged after each step from the ledger's events alone.
//!
//! 6 histories with every test run; `MAINSTEM_HISTORIES=N` says how many, `MAINSTEM_SEED=N` which is the first.
//! Invariant: the judge knows the rules that it makes up itself, and asks neither the tally nor the assessment.
use super::review::by;
use super::world::{Dice, START, World, quiet};
use mainstem::core::ErrorKind;
use mainstem::core::change::Choice;
use mainstem::core::conflict::ConflictKind;
use mainstem::core::digest::Body;
use mainstem::core::event::{Digest, Event, Version};
use mainstem::core::format::{event, page};
use mainstem::core::proposal::{Act, Anchor, Assessment, Ballot, Decision, MergeWish, Remark, Reviewed, Reviewing, Stage, Word};
use mainstem::core::value::Value;
use mainstem::error::Error;
use mainstem::ledger::ProposalsWanted;
use mainstem::local::Large;
use mainstem::primary::Primary;
use mainstem::proposing::{self, Asked, Target};
use mainstem::replica::Answering;
use mainstem::review::{Chosen, Deed};
use mainstem_sqlite::primary::rebuild_primary;
use mainstem_testkit::surroundings::Seeded;
use std::collections::{BTreeMap, BTreeSet, HashMap};

const ACTORS: [&str; 7] = ["a0", "a1", "a2", "bo", "BO", "cy", "di"];
const REPLICAS: usize = 3;
/// Everything is found beside the tables, and alone.
const BESIDE: Large = Large { beside_from: 0, times: u64::MAX, waited_for_max: 0, at_once_max: u64::MAX, shared_from: u64::MAX };
/// Nothing is found while somebody waits.
const UNFOUND: Large = Large { at_once_max: 0, shared_from: 0, ..BESIDE };
const STEPS: usize = 70;

/// The rules in force, as this test makes them up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rules {
    approvals: usize,
    has_veto: bool,
    is_manual: bool,
    is_tag_reviewed: bool,
    points_max: Option<i64>,
}

impl Rules {
    fn thrown(dice: &Dice) -> Rules {
        Rules {
            approvals: 1 + dice.below(3),
            has_veto: dice.below(3) == 0,
            is_manual: dice.below(2) == 0,
            is_tag_reviewed: dice.below(2) == 0,
            points_max: (dice.below(3) == 0).then_some(20),
        }
    }
    fn text(self) -> String {
        let mut text = format!("# {self:?}\napprovals = {}\n", self.approvals);
        text += if self.has_veto { "veto = [\"cy\"]\n" } else { "" };
        text += if self.is_manual { "strategy = \"manual\"\n" } else { "" };
        text += if self.is_tag_reviewed { "[tables.tag]\nmode = \"review\"\n" } else { "" };
        if let Some(most) = self.points_max {
            text += &format!(
                "[gates.most]\nrule = \"no-rows\"\nsql = \"SELECT id FROM team WHERE typeof(points) = 'integer' AND points > {most}\"\n"
            );
        }
        text
    }
}

/// A proposal as the events tell of it.
#[derive(Default)]
struct Told {
    revisions: Vec<Vec<String>>,
    votes: BTreeMap<String, Ballot>,
    stage: Stage,
    is_begun: Option<MergeWish>,
    merged: Option<u64>,
}

/// Reads the ledger on, and judges every version in it.
#[derive(Default)]
struct Judge {
    position: u64,
    rules: HashMap<String, Rules>,
    rule: Rules,
    proposals: BTreeMap<u64, Told>,
    /// The pages of everything that somebody was shown.
    shown: HashMap<Digest, Vec<Vec<u8>>>,
    merges: u64,
    forced: u64,
}

impl Judge {
    fn read_on(&mut self, primary: &mut dyn Primary) {
        for link in primary.events(self.position, usize::MAX).unwrap() {
            self.position = link.position;
            match event::decode(&link.bytes).unwrap() {
                Event::Policy(policy) => {
                    self.rule = self.rules.get(&policy.text).copied().unwrap_or(Rules { approvals: 2, ..Rules::default() })
                }
                Event::Review(reviewing) => self.hear(reviewing),
                Event::Version(version) => self.judge(primary, &version),
                _ => {}
            }
        }
    }

    fn hear(&mut self, reviewing: Reviewing) {
        let told = self.proposals.entry(reviewing.proposal).or_default();
        let is_open = told.stage.is_open();
        match reviewing.act {
            Act::Revise(revision) => {
                assert!(told.merged.is_none(), "a merged proposal was revised");
                told.revisions.push(revision.authors);
                told.stage = Stage::Open;
            }
            Act::Vote(ballot) => {
                assert!(is_open, "a closed proposal was voted on");
                told.votes.insert(reviewing.actor, ballot);
            }
            Act::Decide(decision) => told.stage = decision.stage,
            Act::BeginMerge(wish) => {
                assert!(is_open, "a merge of a closed proposal began");
                (told.stage, told.is_begun) = (Stage::Merging, Some(wish));
            }
            Act::FailMerge(_) => told.stage = Stage::MergeFailed,
            Act::Comment(_) | Act::Unstage => {}
        }
    }

    /// I-40 to I-47 of one version.
    fn judge(&mut self, primary: &mut dyn Primary, version: &Version) {
        let pages: Vec<Vec<u8>> = (0..version.pages).map(|at| primary.page(version.version, at).unwrap().unwrap()).collect();
        let mut body = Body::default();
        pages.iter().for_each(|page| body.add(page));
        assert_eq!(body.digest(), version.body, "the pages are those that the event names");
        let written: BTreeSet<&str> = pages
            .iter()
            .flat_map(|bytes| page::decode(bytes, &version.shapes).unwrap())
            .map(|c| version.shapes[c.table].table.as_str())
            .collect();
        let Some(reviewed) = &version.review else {
            let is_let_in = version.released.is_empty() && version.version > 1;
            assert!(!(self.rule.is_tag_reviewed && written.contains("tag") && is_let_in), "I-40: {version:?}");
            return;
        };
        self.merges += 1;
        let rule = self.rule;
        let told = self.proposals.get_mut(&reviewed.proposal).expect("a proposal was offered");
        assert_eq!(told.merged.replace(version.version), None, "I-46: merged twice");
        assert_eq!(told.stage, Stage::Merging, "a merge begins first");
        assert_eq!(told.is_begun.as_ref(), Some(&reviewed.wish));
        told.stage = Stage::Merged;
        assert_eq!(reviewed.revision, told.revisions.len() as u64, "I-41: the last revision");
        assert_eq!(reviewed.digest, Assessment::digest_of(version), "I-43: the digest is of what was written");
        if let Some(shown) = self.shown.get(&reviewed.digest) {
            assert_eq!(*shown, pages, "I-43: what was shown");
        }
        assert!(reviewed.votes.is_empty() || self.shown.contains_key(&reviewed.digest), "votes are on what was shown");
        let open = version.conflicts.iter().filter(|conflict| conflict.is_open()).count();
        assert!(open == 0 || reviewed.wish.skip_conflicts, "merged with open conflicts");
        told.check_votes(reviewed, rule);
        // I-42, I-44: the gates of the policy in force were tried, and what they said did not stand in the way.
        let gates: Vec<&str> = reviewed.gates.iter().map(|gate| gate.gate.as_str()).collect();
        assert_eq!(gates, rule.points_max.map(|_| "most").into_iter().collect::<Vec<_>>());
        assert!(reviewed.wish.force || !reviewed.gates.iter().any(|gate| gate.is_blocking()), "I-42");
        if let Some(most) = rule.points_max {
            let mut is_over = false;
            primary
                .rows("team", version.version, &mut |_, row| {
                    is_over |= row.last().and_then(|value| value.as_integer()).is_some_and(|points| points > most);
                    Ok(())
                })
                .unwrap();
            assert_eq!(is_over, reviewed.gates[0].is_blocking(), "I-44: the gate saw what was written");
        }
        self.forced += u64::from(reviewed.wish.force);
    }
}

impl Told {
    /// I-40, I-41: the votes in the log that are on exactly this, not by an author, one of each person, suffice.
    fn check_votes(&self, reviewed: &Reviewed, rule: Rules) {
        let authors: Vec<String> = self.revisions.last().unwrap().iter().map(|author| author.to_lowercase()).collect();
        let is_on_this = |ballot: &Ballot| ballot.revision == reviewed.revision && ballot.digest == reviewed.digest;
        for vote in &reviewed.votes {
            assert_eq!(self.votes.get(&vote.actor), Some(&vote.ballot), "a counted vote is the actor's last");
            assert!(is_on_this(&vote.ballot), "I-41: a counted vote is on what was merged");
        }
        let mut people: BTreeMap<String, Word> = BTreeMap::new();
        for vote in &reviewed.votes {
            assert_eq!(people.insert(vote.actor.to_lowercase(), vote.ballot.word), None, "I-41: one of each person");
        }
        let approve = people.iter().filter(|(person, word)| **word == Word::Approve && !authors.contains(person)).count();
        let reject = people.values().filter(|word| **word == Word::Reject).count();
        let is_vetoed = rule.has_veto && self.votes.iter().any(|(actor, b)| actor == "cy" && b.word == Word::Reject && is_on_this(b));
        let is_allowed = approve >= rule.approvals && approve > reject && !is_vetoed;
        assert!(is_allowed || reviewed.wish.force, "I-40: {approve} for it and {reject} against it under {rule:?}");
        assert!(is_allowed || !reviewed.warnings.is_empty(), "what was forced is written down");
    }
}

/// People, programs and open primaries.
struct Play {
    world: World,
    dice: Dice,
    handles: Vec<Box<dyn Primary>>,
    judge: Judge,
    stale: Vec<(u64, Ballot)>,
    requests: u128,
}

/// Refusals are answers.
fn refused<T>(done: Result<T, Error>) -> Option<T> {
    match done {
        Ok(done) => Some(done),
        Err(e) => {
            assert!(matches!(e.kind, ErrorKind::Conflict | ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::NotFound), "{} {e}", e.code);
            None
        }
    }
}

impl Play {
    fn new(seed: u64) -> Play {
        let world = World::new(seed, START, REPLICAS);
        // One finds everything beside the tables, one in the transaction, and both keep it for others.
        let shared = Large { shared_from: 0, ..Large::default() };
        let handles = vec![world.primary(), world.primary_with(Large { shared_from: 0, ..BESIDE }), world.primary_with(shared)];
        Play { world, dice: Dice::new(seed), handles, judge: Judge::default(), stale: Vec::new(), requests: 0 }
    }

    fn some(&mut self) -> Option<u64> {
        let open: Vec<Stage> = Stage::ALL.into_iter().filter(|stage| stage.is_open()).collect();
        let stages = if self.dice.below(5) == 0 { Vec::new() } else { open };
        let wanted = ProposalsWanted { stages, limit: 2, ..ProposalsWanted::default() };
        let ids = self.handles[0].proposals(&wanted).unwrap();
        (!ids.is_empty()).then(|| *self.dice.of(&ids))
    }

    /// Looks at a proposal as a person does: all pages of it.
    fn look(&mut self, handle: usize, id: u64) -> Option<Assessment> {
        let assessment = self.handles[handle].proposal(id, by("any")).unwrap()?.assessment?;
        // What was found out earlier, by whomever, and is said to hold still is what somebody finds who looks for the first time,
        // beside the tables or in their place.
        let here = Large { beside_from: u64::MAX, ..BESIDE };
        for alone in [BESIDE, here] {
            let mut anew = self.world.primary_with(alone).proposal(id, by("any")).unwrap()?.assessment?;
            anew.outcome.accepted_at = assessment.outcome.accepted_at;
            assert_eq!(assessment, anew);
        }
        // Of what is known already nobody is told something else.
        if let Some(known) = self.world.primary_with(UNFOUND).proposal_at_once(id, by("any")).unwrap()?.assessment {
            assert_eq!(known.digest, assessment.digest);
        }
        let page = |at| self.handles[handle].shown_page(id, &assessment.digest, at).unwrap().expect("it is what was just told");
        let pages: Vec<Vec<u8>> = (0..assessment.outcome.pages).map(page).collect();
        if let Some(before) = self.judge.shown.insert(assessment.digest, pages.clone()) {
            assert_eq!(before, pages, "one digest names one result, whoever is asked");
        }
        Some(assessment)
    }

    fn vote(&mut self, id: u64, handle: usize) {
        let Some(assessment) = self.look(handle, id) else { return };
        let word = *self.dice.of(&[Word::Approve, Word::Approve, Word::Approve, Word::Approve, Word::Reject, Word::Abstain]);
        let ballot = Ballot { revision: assessment.revision, digest: assessment.digest, word, comment: "so".into() };
        self.stale.push((id, ballot.clone()));
        let actor = *self.dice.of(&ACTORS);
        let other = self.dice.below(3);
        // Asked twice, of two, it is one vote.
        if refused(self.handles[handle].act(id, &Deed::Vote(ballot.clone()), by(actor))).is_some() {
            let events = self.handles[0].describe().unwrap().head.events;
            self.handles[other].act(id, &Deed::Vote(ballot), by(actor)).unwrap();
            assert_eq!(self.handles[0].describe().unwrap().head.events, events, "I-46");
        }
    }

    /// Votes on what somebody was shown some time ago.
    fn vote_late(&mut self, handle: usize) {
        if self.stale.is_empty() {
            return;
        }
        let (id, ballot) = self.dice.of(&self.stale).clone();
        let now = self.look((handle + 1) % 3, id);
        let done = refused(self.handles[handle].act(id, &Deed::Vote(ballot.clone()), by("di")));
        let is_same = now.is_some_and(|now| now.digest == ballot.digest && now.revision == ballot.revision);
        assert!(done.is_none() || is_same, "a vote on what merging does not do");
    }

    fn merge(&mut self, id: u64, handle: usize) {
        self.requests += 1;
        let wish = MergeWish { force: self.dice.below(8) == 0, skip_conflicts: self.dice.below(8) == 0, ..MergeWish::new(self.requests) };
        let Some(merged) = refused(self.handles[handle].merge(id, &wish, by("bo"))) else { return };
        let events = self.handles[0].describe().unwrap().head.events;
        let again = self.handles[(handle + 1) % 3].merge(id, &wish, by("bo")).unwrap();
        assert_eq!((again.version, again.commit, again.is_repeated), (merged.version, merged.commit, true), "I-46");
        assert_eq!(self.handles[0].describe().unwrap().head.events, events, "I-46");
    }

    /// I-48.
    fn decide(&mut self, id: u64, handle: usize) {
        let stage = *self.dice.of(&[Stage::Withdrawn, Stage::Rejected, Stage::Open, Stage::Open]);
        let before = self.world.stored();
        let versions = self.world.head();
        let decision = Decision { stage, reason: "so".into() };
        refused(self.handles[handle].act(id, &Deed::Decide(decision), by("bo")));
        assert_eq!((self.world.head(), self.world.stored()), (versions, before), "I-48");
    }

    fn answer(&mut self, id: u64, handle: usize) {
        let Some(assessment) = self.look(handle, id) else { return };
        let choice = *self.dice.of(&[Choice::Ours, Choice::Theirs]);
        let open = assessment.outcome.conflicts.iter().filter(|conflict| conflict.is_open());
        let answers: Vec<_> = open.map(|conflict| (conflict.id, Answering { choice, value: None })).collect();
        refused(self.handles[handle].answer(id, &answers, by("cy")));
    }

    fn divide(&mut self, id: u64, handle: usize) {
        let Some(assessment) = self.look(handle, id) else { return };
        let Some(shape) = assessment.outcome.shapes.first() else { return };
        let only = Chosen { table: shape.table.clone(), key: None, columns: Vec::new() };
        refused(self.handles[handle].accept_part(id, &[only], by("di")));
    }

    fn step(&mut self) {
        let (handle, who) = (self.dice.below(3), self.dice.below(REPLICAS));
        let some = self.some();
        match (self.dice.below(24), some) {
            (0..=5, _) => self.world.step_of_rows(&self.dice),
            (6..=8, _) => {
                let target = *self.dice.of(&[Target::Fitting, Target::Fitting, Target::New]);
                let asked = Asked { title: Some("so".into()), target, has_everything: self.dice.below(2) == 0, ..Asked::default() };
                let mut replica = self.world.replica(who);
                refused(proposing::propose(&mut replica, &mut *self.handles[handle], &format!("a{who}"), &asked, &mut quiet));
            }
            (9, _) => {
                let rules = Rules::thrown(&self.dice);
                self.judge.rules.insert(rules.text(), rules);
                self.handles[handle].set_policy(&rules.text(), "a0").unwrap();
            }
            (10, _) => self.vote_late(handle),
            (11..=19, Some(id)) => {
                (0..1 + self.dice.below(5)).for_each(|_| self.vote(id, handle));
                if self.dice.below(3) > 0 {
                    self.merge(id, (handle + 1) % 3);
                }
            }
            (20, Some(id)) => self.decide(id, handle),
            (21, Some(id)) => self.answer(id, handle),
            (22, Some(id)) => self.divide(id, handle),
            (_, Some(id)) => {
                let remark = Remark { anchor: Anchor::Whole, text: "why?".into(), ..Remark::default() };
                self.handles[handle].act(id, &Deed::Comment(remark), by("di")).unwrap();
            }
            _ => {}
        }
        self.judge.read_on(&mut *self.world.primary());
    }
}

fn history(seed: u64) -> (u64, u64) {
    let mut play = Play::new(seed);
    for step in 0..STEPS {
        eprintln!("seed {seed}, step {step}");
        play.step();
    }
    play.handles.clear();
    play.world.primary().examine(&mut |finding| panic!("seed {seed}: {finding:?}")).unwrap();
    let folded = rebuild_primary(&play.world.primary_folder(), Seeded::around(5), &mut |finding| panic!("seed {seed}: {finding:?}"));
    assert!(folded.unwrap().is_empty(), "seed {seed}");
    (play.judge.merges, play.judge.forced)
}

#[test]
fn whatever_people_do_the_ledger_alone_shows_that_every_merge_was_allowed() {
    let asked = |name: &str, otherwise: u64| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(otherwise);
    let (first, count) = (asked("MAINSTEM_SEED", 1), asked("MAINSTEM_HISTORIES", 6));
    let told: Vec<(u64, u64)> = (first..first + count).map(history).collect();
    let [merges, forced] = [told.iter().map(|t| t.0).sum::<u64>(), told.iter().map(|t| t.1).sum()];
    eprintln!("{merges} merges, {forced} by force");
    assert!(count < 6 || merges > forced + 3, "{merges} merges, {forced} by force: the histories show too little");
}

/// Answering the clash of two rows over a unique value wrote the one into the other, key and all, and the primary panicked.
#[test]
fn an_answer_names_the_row_that_it_is_about() {
    for choice in [Choice::Ours, Choice::Theirs] {
        let world = World::new(13, START, 3);
        world.primary().set_policy("strategy = \"manual\"\n", "a0").unwrap();
        world.sql(1, "INSERT INTO team VALUES (20, 'new', 1, 5); UPDATE tag SET note = 'beside it' WHERE code = 'b'");
        let (id, _) = super::review::offer(&world, 1, None, 77);
        world.sql(2, "INSERT INTO team VALUES (10, 'new', 2, 6)");
        world.send(2, "first");
        let judged = world.primary().proposal(id, by("bo")).unwrap().unwrap();
        let open: Vec<_> = judged.assessment.unwrap().outcome.conflicts.into_iter().filter(|conflict| conflict.is_open()).collect();
        assert_eq!(open.iter().map(|conflict| conflict.kind).collect::<Vec<_>>(), [ConflictKind::Unique]);
        world.primary().answer(id, &[(open[0].id, Answering { choice, value: None })], by("di")).unwrap();
        let judged = world.primary().proposal(id, by("bo")).unwrap().unwrap();
        let assessment = judged.assessment.unwrap();
        assert_eq!(assessment.conflicts_open(), 0, "{choice:?}: {:?} {:?}", open, assessment.outcome.conflicts);
        super::review::vote(&world, id, "bo", Word::Approve);
        super::review::vote(&world, id, "cy", Word::Approve);
        world.primary().merge(id, &MergeWish::new(9), by("bo")).unwrap();
        let keys = [10, 20].map(|id| vec![Value::Integer(id)]);
        let there: Vec<bool> = world.primary().rows_of("team", &keys, world.head()).unwrap().iter().map(Option::is_some).collect();
        assert_eq!(there, if choice == Choice::Ours { [false, true] } else { [true, false] }, "{choice:?}");
    }
}

/// Who looks at a proposal again waits for nobody where only other tables were written since.
#[test]
fn what_was_found_out_holds_while_others_write_elsewhere() {
    let world = World::new(12, START, 3);
    world.sql(1, "UPDATE person SET name = 'Anna' WHERE id = 1");
    super::review::offer(&world, 1, None, 77);
    let mut primary = world.primary();
    let mut look = || primary.proposal(1, by("bo")).unwrap().unwrap().assessment.unwrap();
    let first = look();
    world.sql(2, "INSERT INTO tag VALUES ('z', 1, 'elsewhere')");
    world.send(2, "elsewhere");
    let writer = rusqlite::Connection::open(world.primary_file()).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let again = look();
    writer.execute_batch("ROLLBACK").unwrap();
    assert_eq!((again.digest, again.head), (first.digest, first.head + 1));
    let told = |assessment: &Assessment, table: &str| assessment.outcome.tables.iter().find(|t| t.table == table).cloned();
    assert_ne!(told(&again, "tag"), told(&first, "tag"));
    // A team's lead is a person: that table is connected.
    world.sql(2, "UPDATE team SET lead = 3 WHERE id = 1");
    world.send(2, "connected");
    assert_eq!(look().head, first.head + 2);
}
