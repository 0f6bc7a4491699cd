//! What is done to proposals at the primary, and what must hold of merges (I-40 to I-48).
//!
//! Invariant: whether a merge was allowed is told from the votes that were given here, by the plainest reading of the rules.
use crate::image::words;
use crate::tally::{Invariant, Situation, Verdict, Wrong};
use crate::tape::{Handling, Offering, Tape};
use crate::world::{World, tolerate, unexpected};
use mainstem::core::change::{Change, Choice, Edit};
use mainstem::core::conflict::{Conflict, ConflictKind};
use mainstem::core::event::{Digest, Version};
use mainstem::core::format::page;
use mainstem::core::proposal::{Assessment, Ballot, Decision, MergeWish, Proposal, Stage, Word};
use mainstem::error::{Error, Result};
use mainstem::ledger::ProposalsWanted;
use mainstem::policy_text;
use mainstem::primary::{Description, Primary};
use mainstem::proposing::{self, Asked, Proposing, Target};
use mainstem::replica::{Answering, Progress, Replica};
use mainstem::review::{By, Chosen, Deed, Everybody, Judged, Merged};
use mainstem::sync::Report;
use std::collections::{BTreeMap, BTreeSet};

/// Who merges what is left at the end.
const LAST: &str = "zoe";

/// An offer that cannot be made so.
pub(crate) const NO_OFFER: &str = "no_offer";

/// What is known of review.
#[derive(Default)]
pub(crate) struct Reviews {
    /// True where a tape has review.
    pub(crate) is_on: bool,
    /// The policy in force.
    rules: String,
    /// Every vote that was given: on which proposal, by whom, on which revision and result.
    cast: BTreeSet<(u64, String, u64, Digest, Word)>,
    /// True where somebody answered conflicts of a proposal.
    has_answers: bool,
    /// The words of proposals that their authors took back: whoever opens one again and merges it brings them back.
    taken_back: BTreeMap<u64, BTreeSet<u64>>,
    /// Merges that were asked for: no two have one key.
    requests: u128,
}

impl Reviews {
    /// Nothing yet.
    pub(crate) fn of(tape: &Tape) -> Reviews {
        Reviews { is_on: tape.has_review(), ..Reviews::default() }
    }
}

fn by(actor: &str) -> By<'_> {
    By { actor, token: None, request: None, people: &Everybody }
}

fn offer(replica: &mut dyn Replica, primary: &mut dyn Primary, actor: &str, progress: Progress<'_>, offering: Offering) -> Result<Report> {
    let target = if offering == Offering::New { Target::New } else { Target::Fitting };
    let has_everything = offering == Offering::Everything;
    let asked = Asked { title: Some("offered".into()), target, has_everything, ..Asked::default() };
    match proposing::propose(replica, primary, actor, &asked, progress) {
        Ok(proposed) => Ok(proposed.report),
        // That there is nothing to offer, or not so, is an answer.
        Err(e) if matches!(e.code, "nothing_to_propose" | "proposed_rows" | "closed") => Err(Error { code: NO_OFFER, ..e }),
        Err(e) => Err(e),
    }
}

impl Offering {
    /// The command.
    pub(crate) fn how(self) -> crate::steps::How {
        match self {
            Offering::Fitting => |replica, primary, actor, progress| offer(replica, primary, actor, progress, Offering::Fitting),
            Offering::New => |replica, primary, actor, progress| offer(replica, primary, actor, progress, Offering::New),
            Offering::Everything => |replica, primary, actor, progress| offer(replica, primary, actor, progress, Offering::Everything),
        }
    }
}

/// The words that changes write.
pub(crate) fn words_of_changes(changes: &[Change], into: &mut BTreeSet<u64>) {
    for change in changes {
        match &change.edit {
            Edit::Insert(row) | Edit::Delete(row) => row.iter().for_each(|value| words(value, into)),
            Edit::Update(cells) => cells.iter().for_each(|cell| words(&cell.after, into)),
        }
    }
}

fn failed(what: &'static str) -> impl Fn(Error) -> Wrong {
    move |e| unexpected(what, &e)
}

impl World {
    /// Puts a policy in force.
    pub(crate) fn set_policy(&mut self, text: &str) -> Verdict {
        if self.reviews.is_on {
            // What came before went by other rules.
            self.look_at_versions()?;
        }
        self.serve()?.set_policy(text, "a0").map_err(|e| unexpected("policy", &e))?;
        let policy = policy_text::parse(text).map_err(|e| unexpected("policy", &e))?;
        let image = self.primary_image()?;
        self.model.rule(&policy, &image);
        self.rule_reviews()
    }

    /// The rules that are in force from now on.
    pub(crate) fn rule_reviews(&mut self) -> Verdict {
        if self.reviews.is_on {
            self.reviews.rules = self.serve()?.describe().map_err(failed("describe"))?.policy;
        }
        Ok(())
    }

    /// Proposals that may still become something, newest first.
    pub(crate) fn proposals(&mut self, is_wanted: &dyn Fn(Stage) -> bool) -> Verdict<Vec<u64>> {
        let stages = Stage::ALL.into_iter().filter(|stage| is_wanted(*stage)).collect();
        let wanted = ProposalsWanted { stages, limit: usize::MAX, ..ProposalsWanted::default() };
        self.serve()?.proposals(&wanted).map_err(failed("proposals"))
    }

    fn judged(&mut self, id: u64) -> Verdict<Judged> {
        let found = self.serve()?.proposal(id, by(LAST)).map_err(failed("a proposal"))?;
        found.ok_or_else(|| Wrong::new(Invariant::Calm, format!("a proposal is gone: {id}")))
    }

    /// Somebody does something to a proposal, once or twice.
    pub(crate) fn handle(&mut self, who: usize, nth: usize, handling: Handling, is_twice: bool) -> Verdict {
        let is_wanted = |stage: Stage| match handling {
            Handling::Reopen => matches!(stage, Stage::Rejected | Stage::Withdrawn),
            _ => stage.is_open(),
        };
        let found = self.proposals(&is_wanted)?;
        let Some(id) = found.get(nth % found.len().max(1)).copied() else { return Ok(()) };
        let actor = format!("a{who}");
        self.look_at_versions()?;
        let before = self.serve()?.describe().map_err(failed("describe"))?;
        for _ in 0..1 + usize::from(is_twice) {
            match handling {
                Handling::Approve => self.vote(id, &actor, Word::Approve)?,
                Handling::Refuse => self.vote(id, &actor, Word::Reject)?,
                Handling::Merge => return self.merge(id, &actor, false, is_twice),
                Handling::Force => return self.merge(id, &actor, true, is_twice),
                Handling::Reject => self.decide(id, &actor, Stage::Rejected)?,
                Handling::Withdraw => self.decide(id, &actor, Stage::Withdrawn)?,
                Handling::Reopen => self.decide(id, &actor, Stage::Open)?,
                Handling::Part(rows) => self.divide(id, &actor, rows)?,
                Handling::Answer(choice) => self.answer(id, &actor, choice)?,
            }
        }
        self.changed_nothing(&before, id)
    }

    /// I-48: no row changes by what is no merge.
    fn changed_nothing(&mut self, before: &Description, id: u64) -> Verdict {
        self.tally.check(Invariant::Intact);
        let after = self.serve()?.describe().map_err(failed("describe"))?;
        if after.tables == before.tables && after.head.version == before.head.version {
            return Ok(());
        }
        Err(Wrong::new(Invariant::Intact, format!("rows changed without a merge: proposal {id}")))
    }

    fn vote(&mut self, id: u64, actor: &str, word: Word) -> Verdict {
        let judged = self.judged(id)?;
        let Some(assessment) = judged.assessment else { return Ok(()) };
        let ballot = Ballot { revision: assessment.revision, digest: assessment.digest, word, comment: "because".into() };
        let done = self.serve()?.act(id, &Deed::Vote(ballot.clone()), by(actor));
        self.record(format!("{:?}", done.as_ref().map_err(|e| e.code)));
        done.or_else(|e| tolerate("a vote", &e))?;
        self.tally.reach(Situation::Voted);
        self.reviews.cast.insert((id, actor.to_owned(), ballot.revision, ballot.digest, word));
        self.tally.check(Invariant::Repeated);
        let votes = self.judged(id)?.proposal.votes;
        let of_actor: Vec<&Ballot> = votes.iter().filter(|vote| vote.actor == actor).map(|vote| &vote.ballot).collect();
        if of_actor == [&ballot] {
            return Ok(());
        }
        Err(Wrong::new(Invariant::Repeated, format!("votes told otherwise: {actor} on proposal {id} {of_actor:?}")))
    }

    fn decide(&mut self, id: u64, actor: &str, stage: Stage) -> Verdict {
        let done = self.serve()?.act(id, &Deed::Decide(Decision { stage, reason: "so".into() }), by(actor));
        self.record(format!("{:?}", done.as_ref().map_err(|e| e.code)));
        self.tally.reach(if stage == Stage::Open { Situation::Reopened } else { Situation::ClosedProposal });
        done.or_else(|e| tolerate("a decision", &e))
    }

    fn divide(&mut self, id: u64, actor: &str, rows: u64) -> Verdict {
        let proposal = self.judged(id)?.proposal;
        let (head, revision) = (proposal.head(), proposal.revisions.len() as u64);
        let mut chosen = Vec::new();
        for number in 0..head.pages {
            let bytes = self.serve()?.staged_page(id, revision, number).map_err(failed("a staged page"))?.unwrap_or_default();
            let changes = page::decode(&bytes, &head.front.shapes).map_err(|e| Wrong::new(Invariant::Chain, format!("page: {e}")))?;
            let is_meant = |at: &usize| rows >> (at % 64) & 1 == 1;
            chosen.extend(changes.into_iter().enumerate().filter(|(at, _)| is_meant(at)).map(|(_, change)| Chosen {
                table: head.front.shapes[change.table].table.clone(),
                key: Some(change.key),
                columns: Vec::new(),
            }));
        }
        let done = self.serve()?.accept_part(id, &chosen, by(actor));
        self.record(format!("{:?}", done.as_ref().map_err(|e| e.code)));
        if matches!(done, Ok(Some(_))) {
            self.tally.reach(Situation::Divided);
        }
        done.map(drop).or_else(|e| tolerate("a division", &e))
    }

    fn answer(&mut self, id: u64, actor: &str, choice: usize) -> Verdict {
        let Some(assessment) = self.judged(id)?.assessment else { return Ok(()) };
        let choice = [Choice::Ours, Choice::Theirs, Choice::Base][choice % 3];
        let open = assessment.outcome.conflicts.iter().filter(|conflict| conflict.is_open());
        let answers: Vec<(u64, Answering)> = open.map(|conflict| (conflict.id, Answering { choice, value: None })).collect();
        let done = self.serve()?.answer(id, &answers, by(actor));
        self.record(format!("{:?}", done.as_ref().map_err(|e| e.code)));
        if done.is_ok() {
            self.tally.reach(Situation::Answered);
            self.reviews.has_answers = true;
        }
        done.map(drop).or_else(|e| tolerate("answers", &e))
    }

    /// Merges with conflicts open, and looks at what came of it.
    fn merge(&mut self, id: u64, actor: &str, is_forced: bool, is_twice: bool) -> Verdict {
        self.look_at_versions()?;
        let Judged { proposal, assessment, .. } = self.judged(id)?;
        let Some(assessment) = assessment else { return Ok(()) };
        let shown = self.pages_shown(id, &assessment)?;
        let may_merge = is_forced || self.may_merge(&proposal, &assessment);
        self.reviews.requests += 1;
        let wish = MergeWish { force: is_forced, skip_conflicts: true, ..MergeWish::new(self.reviews.requests) };
        let before = self.serve()?.describe().map_err(failed("describe"))?;
        let done = self.serve()?.merge(id, &wish, by(actor));
        self.record(format!("{:?}", done.as_ref().map_err(|e| e.code).map(|merged| merged.version)));
        self.tally.check(Invariant::Votes);
        match done {
            Ok(_) if !may_merge => Err(Wrong::new(Invariant::Votes, format!("merged without votes: proposal {id}"))),
            Ok(merged) => {
                self.tally.reach(if is_forced { Situation::MergedByForce } else { Situation::MergedByVotes });
                self.edits += merged.added + merged.updated + merged.deleted;
                self.is_as_shown(&merged, &assessment, &shown)?;
                if is_twice { self.merge_again(id, &wish, actor, &merged) } else { Ok(()) }
            }
            Err(e) if e.code == "review_required" && may_merge => {
                Err(Wrong::new(Invariant::Votes, format!("not merged with all votes: proposal {id}, {e}")))
            }
            Err(e) if e.code == "review_required" => self.changed_nothing(&before, id),
            Err(e) => {
                tolerate("a merge", &e)?;
                self.changed_nothing(&before, id)
            }
        }
    }

    /// Merges whatever is left at the end.
    pub(crate) fn merge_last(&mut self, id: u64) -> Verdict {
        self.merge(id, LAST, true, false)
    }

    fn pages_shown(&mut self, id: u64, assessment: &Assessment) -> Verdict<Vec<Vec<u8>>> {
        let mut pages = Vec::new();
        for number in 0..assessment.outcome.pages {
            let shown = self.serve()?.shown_page(id, &assessment.digest, number).map_err(failed("a shown page"))?;
            pages.push(shown.ok_or_else(|| Wrong::new(Invariant::Shown, format!("not shown: page {number} of proposal {id}")))?);
        }
        Ok(pages)
    }

    /// By the rules that tapes have: so many others approve exactly this, and more do than refuse it.
    fn may_merge(&self, proposal: &Proposal, assessment: &Assessment) -> bool {
        let is_cast = |actor: &String, word: Word| {
            self.reviews.cast.contains(&(proposal.id, actor.clone(), assessment.revision, assessment.digest, word))
        };
        let is_given = |actor: &String, word: Word| proposal.votes.iter().any(|vote| vote.actor == *actor && vote.ballot.word == word);
        let people: BTreeSet<&String> = self.reviews.cast.iter().map(|(_, actor, ..)| actor).collect();
        let count = |word: Word, authors: bool| {
            let is_meant = |actor: &&&String| authors || !proposal.head().authors.contains(actor);
            people.iter().filter(is_meant).filter(|actor| is_cast(actor, word) && is_given(actor, word)).count()
        };
        let needed = if self.reviews.rules.lines().any(|line| line.trim() == "approvals = 1") { 1 } else { 2 };
        let (approve, refuse) = (count(Word::Approve, false), count(Word::Reject, true));
        approve >= needed && approve > refuse
    }

    /// I-43: the version is what was shown, byte by byte.
    fn is_as_shown(&mut self, merged: &Merged, assessment: &Assessment, shown: &[Vec<u8>]) -> Verdict {
        self.tally.check(Invariant::Shown);
        let version = self.serve()?.version(merged.version).map_err(failed("version"))?;
        let version = version.ok_or_else(|| Wrong::new(Invariant::Shown, "merged, and no version: it is not there"))?;
        let mut pages = Vec::new();
        for number in 0..version.pages {
            pages.push(self.serve()?.page(version.version, number).map_err(failed("page"))?.unwrap_or_default());
        }
        if Assessment::digest_of(&version) == assessment.digest && pages == shown {
            return Ok(());
        }
        Err(Wrong::new(Invariant::Shown, format!("merged otherwise than shown: version {}", merged.version)))
    }

    /// I-46: asked once more, it is the same version.
    fn merge_again(&mut self, id: u64, wish: &MergeWish, actor: &str, merged: &Merged) -> Verdict {
        let before = self.serve()?.describe().map_err(failed("describe"))?;
        let again = self.serve()?.merge(id, wish, by(actor)).map_err(failed("a repeated merge"))?;
        self.tally.check(Invariant::Repeated);
        if !again.is_repeated || again.version != merged.version {
            return Err(Wrong::new(Invariant::Repeated, format!("merged twice: proposal {id}, {again:?}")));
        }
        self.changed_nothing(&before, id)
    }

    /// I-40 and I-41 of one version, by the rules in force.
    pub(crate) fn check_review(&mut self, version: &Version, changes: &[Change]) -> Verdict {
        if !self.reviews.is_on {
            return Ok(());
        }
        if let Some(reviewed) = &version.review {
            if let Some(taken) = self.reviews.taken_back.get(&reviewed.proposal) {
                let mut merged = BTreeSet::new();
                words_of_changes(changes, &mut merged);
                self.model.traces.forget_taken(&(&merged & taken));
            }
            self.tally.check(Invariant::Votes);
            let is_cast = |vote: &mainstem::core::proposal::Vote| {
                let ballot = &vote.ballot;
                self.reviews.cast.contains(&(reviewed.proposal, vote.actor.clone(), ballot.revision, ballot.digest, ballot.word))
            };
            let is_of_it = |vote: &mainstem::core::proposal::Vote| vote.ballot.digest == reviewed.digest;
            if !reviewed.votes.iter().all(|vote| is_cast(vote) && is_of_it(vote)) || reviewed.digest != Assessment::digest_of(version) {
                let why = format!("votes nobody gave on it: version {} of proposal {}", version.version, reviewed.proposal);
                return Err(Wrong::new(Invariant::Votes, why));
            }
            return Ok(());
        }
        // Programs on the primary's own file ask nobody; what waited was looked at when it came; what was lost was accepted once.
        let is_direct = version.header.actor == "direct" || !version.released.is_empty() || !version.was.is_empty();
        if is_direct || version.version == 1 {
            return Ok(());
        }
        let policy = policy_text::parse(&self.reviews.rules).map_err(failed("the policy"))?;
        self.tally.check(Invariant::Reviewed);
        // A new child of a row that a merge has deleted brings it back, in a conflict that names its table, whatever that asks for.
        let is_brought_back = |change: &&Change| {
            let parent = format!("parent in {}", version.shapes[change.table].table);
            let names_it = |conflict: &Conflict| conflict.kind == ConflictKind::MissingParent && conflict.detail == parent;
            matches!(change.edit, Edit::Insert(_)) && version.conflicts.iter().any(names_it)
        };
        let is_reviewed = |change: &&Change| policy.is_reviewed(&version.shapes[change.table].table);
        match changes.iter().filter(|change| !is_brought_back(change)).find(is_reviewed) {
            None => Ok(()),
            Some(change) => {
                let table = &version.shapes[change.table].table;
                Err(Wrong::new(Invariant::Reviewed, format!("past review: {table} {:?} in version {}", change.key, version.version)))
            }
        }
    }

    /// I-45: a proposal is merged where its version is there, and nowhere else.
    pub(crate) fn check_merges(&mut self) -> Verdict {
        for id in if self.reviews.is_on { self.proposals(&|_| true)? } else { Vec::new() } {
            self.tally.check(Invariant::Atomic);
            let proposal = self.judged(id)?.proposal;
            let version = match proposal.version {
                Some(number) => self.serve()?.version(number).map_err(failed("version"))?,
                None => None,
            };
            let is_there = version.and_then(|version| version.review).is_some_and(|reviewed| reviewed.proposal == id);
            if is_there != (proposal.stage == Stage::Merged) {
                let why = format!("merged in part: proposal {id} is {} and has version {:?}", proposal.stage.name(), proposal.version);
                return Err(Wrong::new(Invariant::Atomic, why));
            }
        }
        Ok(())
    }

    /// True where somebody may have answered conflicts in what became a version, or in what it was divided from: an answer may
    /// delete rows.
    pub(crate) fn was_answered(&self, version: &Version) -> bool {
        version.review.is_some() && self.reviews.has_answers
    }

    /// Takes a proposal of a copy back there, as `withdraw --undo` does.
    pub(crate) fn take_back(&mut self, who: usize, nth: usize) -> Verdict {
        let mut replica = self.replica(who)?;
        let kept = replica.kept().map_err(failed("kept"))?;
        let own: Vec<(u64, bool)> = kept.iter().filter_map(|kept| Some((kept.mark.proposal()?, kept.mark.is_open()))).collect();
        let Some((id, is_open)) = own.get(nth % own.len().max(1)).copied() else { return Ok(()) };
        let actor = self.copies[who].actor.clone();
        if is_open {
            let decision = Decision { stage: Stage::Withdrawn, reason: "no".into() };
            match self.serve()?.act(id, &Deed::Decide(decision), by(&actor)) {
                Ok(()) => replica.note_stage(id, Stage::Withdrawn).map_err(failed("a stage"))?,
                Err(e) => return tolerate("a withdrawal", &e),
            }
        }
        let mut offered = BTreeSet::new();
        for one in kept.iter().filter(|one| one.mark.proposal() == Some(id)) {
            let mut pages = replica.pages(one.front.header.write_id).map_err(failed("pages"))?;
            while let Some(changes) = pages.next().map_err(failed("pages"))? {
                words_of_changes(&changes, &mut offered);
            }
        }
        let taken = replica.take_back(id);
        // What was worked since the last commit was committed with it.
        self.copies[who].committed = None;
        self.record(format!("{:?}", taken.as_ref().map_err(|e| e.code)));
        if taken.is_ok() {
            self.reviews.taken_back.entry(id).or_default().extend(offered);
            self.tally.reach(Situation::TakenBack);
        }
        // Rows that were written past capture are compared by the next sync.
        taken.map(drop).or_else(|e| if e.code == "drift" { Ok(()) } else { tolerate("taking back", &e) })
    }
}
