//! The votes on one result under the rule of one table.
//!
//! Invariant: each person has one vote; the earlier ones of all their accounts count for nothing.
use super::lack::Lack;
use super::{Ask, Verdict, Voter, WhyNot};
use crate::policy::{Majority, Quorum, SelfApproval, Voters, VotingRule};
use crate::proposal::{Vote, Word};
use crate::stamp::Time;
use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

/// Votes counted for one table.
pub(super) struct Count {
    /// How it stands.
    pub verdict: Verdict,
    /// What is missing; nothing where it is approved.
    pub lacks: Vec<Lack>,
    /// For each vote why it does not count; none where it does.
    pub passed_over: Vec<Option<WhyNot>>,
}

impl Count {
    /// Counts for a table by its rule, where the time to vote ends as told.
    pub(super) fn new(ask: &Ask<'_>, table: &str, rule: &VotingRule, closes: Option<Time>) -> Self {
        let people = People::new(ask, table, rule);
        let heard: Vec<Result<Voter, WhyNot>> = ask.votes.iter().map(|vote| people.hear(vote)).collect();
        // Votes are oldest first: the last one stays.
        let last: BTreeMap<&str, usize> =
            heard.iter().enumerate().filter_map(|(at, voter)| Some((voter.as_ref().ok()?.person.as_str(), at))).collect();
        let mut sum = Sum::default();
        let weigh = |at: usize, vote: &Vote, voter: &Voter| {
            if last[voter.person.as_str()] != at {
                return Err(WhyNot::Again);
            }
            if vote.ballot.digest != *ask.digest || vote.ballot.revision != ask.revision {
                return Err(WhyNot::Stale);
            }
            if closes.is_some_and(|end| vote.at >= end) {
                return Err(WhyNot::Late);
            }
            people.weigh(vote, voter)
        };
        let mut passed_over = Vec::with_capacity(ask.votes.len());
        for (at, (vote, heard)) in ask.votes.iter().zip(&heard).enumerate() {
            let why = heard.as_ref().map_err(|&why| why).and_then(|voter| weigh(at, vote, voter).map(|weight| (voter, weight)));
            passed_over.push(why.map(|(voter, weight)| sum.add(vote, voter, weight)).err());
        }
        let (verdict, lacks) = sum.judge(&people);
        Count { verdict, lacks, passed_over }
    }
}

/// Who is who to a table, as far as its rule names them.
struct People<'a> {
    ask: &'a Ask<'a>,
    table: &'a str,
    rule: &'a VotingRule,
    authors: BTreeSet<String>,
    owners: BTreeSet<String>,
    vetoers: BTreeSet<String>,
    agents: BTreeSet<String>,
}

/// What a vote that counts does beside being for it or against it.
#[derive(Clone, Copy)]
struct Weight {
    /// Its giver's approval would count.
    is_independent: bool,
    /// It is a rejection that blocks.
    blocks: bool,
}

impl<'a> People<'a> {
    fn new(ask: &'a Ask<'a>, table: &'a str, rule: &'a VotingRule) -> Self {
        let persons = |names: &[String]| -> BTreeSet<String> {
            names.iter().map(|name| (ask.voter)(name, table).person).filter(|person| !person.is_empty()).collect()
        };
        let (authors, owners) = (persons(ask.authors), persons(&rule.owners));
        let (vetoers, agents) = (persons(&rule.veto), persons(&rule.agents));
        People { ask, table, rule, authors, owners, vetoers, agents }
    }

    /// Whom a vote is of, where its actor has a say at all.
    fn hear(&self, vote: &Vote) -> Result<Voter, WhyNot> {
        let voter = (self.ask.voter)(&vote.actor, self.table);
        if !voter.may_vote || voter.person.is_empty() {
            return Err(WhyNot::NoRight);
        }
        // Whoever is named to block is heard without being named a second time.
        let is_named = self.agents.contains(&voter.person) || self.vetoers.contains(&voter.person);
        if voter.is_agent && !is_named { Err(WhyNot::Agent) } else { Ok(voter) }
    }

    /// What keeps an actor's approval from counting.
    fn hindrance(&self, actor: &str, voter: &Voter) -> Option<WhyNot> {
        if !voter.may_vote || voter.person.is_empty() {
            return Some(WhyNot::NoRight);
        }
        if voter.is_agent && !self.agents.contains(&voter.person) {
            return Some(WhyNot::Agent);
        }
        if self.rule.voters == Voters::Owners && !self.owners.contains(&voter.person) {
            return Some(WhyNot::NotOwner);
        }
        let is_author = self.authors.contains(&voter.person) || self.ask.authors.iter().any(|author| author == actor);
        (is_author && self.rule.self_approval == SelfApproval::Never).then_some(WhyNot::Author)
    }

    fn weigh(&self, vote: &Vote, voter: &Voter) -> Result<Weight, WhyNot> {
        let hindrance = self.hindrance(&vote.actor, voter);
        let is_rejection = vote.ballot.word == Word::Reject;
        let is_veto = is_rejection && self.vetoers.contains(&voter.person);
        match hindrance {
            // Authors may not speak for their changes; that they speak against them is heard.
            Some(WhyNot::Author) if is_rejection => {}
            Some(why) if !is_veto => return Err(why),
            _ => {}
        }
        let blocks = is_veto || (is_rejection && self.rule.is_any_veto);
        Ok(Weight { is_independent: hindrance.is_none(), blocks })
    }

    /// Those of the names whose approval would count, in the policy's order.
    fn able(&self, names: &[String]) -> Vec<String> {
        let is_able = |name: &&String| self.hindrance(name, &(self.ask.voter)(name, self.table)).is_none();
        names.iter().filter(is_able).cloned().collect()
    }
}

/// The votes that count.
#[derive(Default)]
struct Sum {
    approving: usize,
    rejecting: Vec<String>,
    blocking: Vec<String>,
    /// Persons who fill a quorum.
    independent: BTreeSet<String>,
    /// Persons who approve.
    approvers: BTreeSet<String>,
}

impl Sum {
    fn add(&mut self, vote: &Vote, voter: &Voter, weight: Weight) {
        if weight.is_independent {
            self.independent.insert(voter.person.clone());
        }
        match vote.ballot.word {
            Word::Approve => {
                self.approving += 1;
                self.approvers.insert(voter.person.clone());
            }
            Word::Reject => self.rejecting.push(vote.actor.clone()),
            Word::Abstain => {}
        }
        if weight.blocks {
            self.blocking.push(vote.actor.clone());
        }
    }

    fn judge(&self, people: &People<'_>) -> (Verdict, Vec<Lack>) {
        let mut lacks = self.blocks(people.rule);
        let is_blocked = !lacks.is_empty();
        lacks.extend(self.owner(people));
        lacks.extend(self.majority(people.rule));
        lacks.extend(self.quorum(people));
        if lacks.is_empty() {
            return (Verdict::Approved, lacks);
        }
        (if is_blocked { Verdict::Rejected } else { Verdict::Waiting }, lacks)
    }

    fn blocks(&self, rule: &VotingRule) -> Vec<Lack> {
        let mut lacks = Vec::new();
        if !self.blocking.is_empty() {
            let by = self.blocking.clone();
            lacks.push(if rule.is_any_veto { Lack::AnyVeto(by) } else { Lack::Veto(by) });
        }
        let others: Vec<String> = self.rejecting.iter().filter(|name| !self.blocking.contains(name)).cloned().collect();
        if rule.majority == Majority::Unanimous && !others.is_empty() {
            lacks.push(Lack::Unanimity(others));
        }
        lacks
    }

    fn owner(&self, people: &People<'_>) -> Option<Lack> {
        let rule = people.rule;
        if rule.owners.is_empty() {
            return (rule.voters == Voters::Owners).then_some(Lack::NoOwners);
        }
        if !people.owners.is_disjoint(&self.approvers) {
            return None;
        }
        let able = people.able(&rule.owners);
        Some(if able.is_empty() { Lack::AbsentOwner(rule.owners.clone()) } else { Lack::Owner(able) })
    }

    fn majority(&self, rule: &VotingRule) -> Option<Lack> {
        let least = usize::try_from(rule.approvals).unwrap_or(usize::MAX);
        let against = self.rejecting.len();
        let wanted = match rule.majority {
            Majority::Simple => against + 1,
            Majority::TwoThirds => 2 * against,
            Majority::Unanimous => least,
        };
        let missing = least.max(wanted).checked_sub(self.approving).filter(|&n| n > 0)?;
        Some(match rule.majority {
            _ if wanted <= least => Lack::Approvals(missing),
            Majority::TwoThirds => Lack::TwoThirds(missing, against),
            Majority::Simple | Majority::Unanimous => Lack::Majority(missing, against),
        })
    }

    fn quorum(&self, people: &People<'_>) -> Option<Lack> {
        let wanted = match people.rule.quorum {
            Quorum::People(wanted) => usize::try_from(wanted).unwrap_or(usize::MAX),
            Quorum::Percent(_) if people.ask.actors.is_empty() => return Some(Lack::Electorate),
            Quorum::Percent(percent) => {
                let able = people.able(people.ask.actors);
                let persons = able.iter().map(|name| (people.ask.voter)(name, people.table).person);
                let all: BTreeSet<String> = persons.chain(self.independent.iter().map(ToOwned::to_owned)).collect();
                (all.len() * usize::from(percent)).div_ceil(100).max(1)
            }
        };
        let missing = wanted.checked_sub(self.independent.len()).filter(|&n| n > 0)?;
        Some(Lack::Quorum(missing, wanted))
    }
}
