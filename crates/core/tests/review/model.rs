//! The rules of docs/review.md, each as it is written there, over everything that ever happened.
//!
//! Deliberately absent: anything of the code under test but plain values.
use crate::history::{Account, DAY_MS, Fact, Place, Rule, TABLES, World};
use mainstem_core::policy::{Majority, Quorum};
use mainstem_core::proposal::Word;
use mainstem_core::vote::Verdict;
use std::collections::BTreeSet;

pub struct Judgement {
    pub verdict: Verdict,
    /// The accounts whose votes count for one table at least.
    pub counted: BTreeSet<usize>,
    pub is_open: bool,
}

pub fn judge(world: &World) -> Judgement {
    let revision = world.facts.iter().filter(|fact| matches!(fact, Fact::Offered { .. })).count();
    let (authors, offered_ms) = world
        .facts
        .iter()
        .rev()
        .find_map(|fact| if let Fact::Offered { authors, at_ms } = fact { Some((authors, *at_ms)) } else { None })
        .unwrap();
    let is_closed = world.facts.iter().rev().find_map(|fact| if let Fact::Closed(is_so) = fact { Some(*is_so) } else { None });
    let views: Vec<View> = (0..2)
        .filter(|&table| world.tables.iter().any(|name| name.to_lowercase() == TABLES[table]))
        .map(|table| View { world, table, revision, authors, ends_ms: None })
        .collect();
    // "Of several tables with different `voting_days`, the fewest hold."
    let fewest = views.iter().filter_map(View::days).min();
    let ends_ms = fewest.map(|days| offered_ms + days * DAY_MS);
    let is_over = ends_ms.is_some_and(|end| world.now_ms >= end);
    let views: Vec<View> = views.into_iter().map(|view| View { ends_ms, ..view }).collect();
    let counts: Vec<Count> = views.iter().map(View::count).collect();
    let is_satisfied = views.iter().zip(&counts).all(|(view, count)| view.is_satisfied(count));
    let is_blocked = views.iter().zip(&counts).any(|(view, count)| view.is_blocked(count));
    let verdict = match (is_blocked, is_satisfied, is_over) {
        (true, _, _) | (false, false, true) => Verdict::Rejected,
        (false, true, _) => Verdict::Approved,
        (false, false, false) => Verdict::Waiting,
    };
    let counted = counts.into_iter().flat_map(|count| count.votes).map(|vote| vote.by).collect();
    Judgement { verdict, counted, is_open: is_closed != Some(true) }
}

/// A vote that counts.
struct Counted {
    by: usize,
    word: Word,
    /// "It fills a quorum."
    is_full: bool,
}

struct Count {
    votes: Vec<Counted>,
}

impl Count {
    fn of(&self, word: Word) -> usize {
        self.votes.iter().filter(|vote| vote.word == word).count()
    }
}

struct View<'a> {
    world: &'a World,
    table: usize,
    revision: usize,
    authors: &'a [usize],
    ends_ms: Option<u64>,
}

impl<'a> View<'a> {
    /// "The table's own, else the dataset's."
    fn rule<T>(&self, pick: impl Fn(&'a Rule) -> Option<T>) -> Option<T> {
        let last = |place| self.world.rules.iter().rev().filter(|(at, _)| *at == place).find_map(|(_, rule)| pick(rule));
        last(Place::Table(self.table)).or_else(|| last(Place::Dataset))
    }
    fn days(&self) -> Option<u64> {
        self.rule(|rule| if let Rule::Days(days) = rule { Some(*days) } else { None }).flatten()
    }
    fn owners(&self) -> &'a [usize] {
        self.rule(|rule| if let Rule::Owners(list) = rule { Some(list.as_slice()) } else { None }).unwrap_or_default()
    }
    fn is_owners_only(&self) -> bool {
        self.rule(|rule| if let Rule::OwnersOnly(is_so) = rule { Some(*is_so) } else { None }).unwrap_or(false)
    }
    fn veto(&self) -> (bool, &'a [usize]) {
        let pick = |rule: &'a Rule| if let Rule::Veto { anybody, named } = rule { Some((*anybody, named.as_slice())) } else { None };
        self.rule(pick).unwrap_or_default()
    }
    fn agents(&self) -> &'a [usize] {
        self.rule(|rule| if let Rule::Agents(list) = rule { Some(list.as_slice()) } else { None }).unwrap_or_default()
    }
    fn is_self_approval_allowed(&self) -> bool {
        self.rule(|rule| if let Rule::SelfApproval(is_so) = rule { Some(*is_so) } else { None }).unwrap_or(false)
    }

    fn account(&self, at: usize) -> &'a Account {
        &self.world.accounts[at]
    }
    /// "Names in a policy stand for people."
    fn is_among(&self, account: usize, list: &[usize]) -> bool {
        list.iter().any(|&named| self.account(named).person == self.account(account).person)
    }

    /// Rules 1, 5, 6 and 7.
    fn may_approve(&self, account: usize) -> bool {
        let may_decide = self.account(account).may_vote[self.table];
        let is_foreign = self.is_self_approval_allowed() || !self.is_among(account, self.authors);
        let is_heard = !self.account(account).is_agent || self.is_among(account, self.agents());
        let is_wanted = !self.is_owners_only() || self.is_among(account, self.owners());
        may_decide && is_foreign && is_heard && is_wanted
    }

    /// "Votes of accounts that may not vote at all (1, 6) take no other's place"; a program that `veto` names may reject.
    fn has_say(&self, account: usize) -> bool {
        let is_named = self.is_among(account, self.agents()) || self.is_among(account, self.veto().1);
        self.account(account).may_vote[self.table] && (!self.account(account).is_agent || is_named)
    }

    fn count(&self) -> Count {
        let people: BTreeSet<usize> = self.world.accounts.iter().map(|account| account.person).collect();
        Count { votes: people.into_iter().filter_map(|person| self.vote_of(person)).collect() }
    }

    /// The one vote of a person, where it counts.
    fn vote_of(&self, person: usize) -> Option<Counted> {
        let (by, on, result, word, at_ms) = self.world.facts.iter().rev().find_map(|fact| match *fact {
            Fact::Voted { by, revision, result, word, at_ms } if self.account(by).person == person && self.has_say(by) => {
                Some((by, revision, result, word, at_ms))
            }
            _ => None,
        })?;
        if (on, result) != (self.revision, self.world.result) || self.ends_ms.is_some_and(|end| at_ms >= end) {
            return None;
        }
        let is_full = self.may_approve(by);
        let is_programs = self.account(by).is_agent && !self.is_among(by, self.agents());
        let is_strangers = self.is_owners_only() && !self.is_among(by, self.owners());
        let counts = match word {
            Word::Reject => self.is_among(by, self.veto().1) || (!is_programs && !is_strangers),
            Word::Approve | Word::Abstain => is_full,
        };
        counts.then_some(Counted { by, word, is_full })
    }

    fn is_blocked(&self, count: &Count) -> bool {
        let (anybody, named) = self.veto();
        let vetoes = |vote: &&Counted| vote.word == Word::Reject && (anybody || self.is_among(vote.by, named));
        let is_unanimity_broken = self.majority() == Majority::Unanimous && count.of(Word::Reject) > 0;
        count.votes.iter().any(|vote| vetoes(&vote)) || is_unanimity_broken
    }

    fn majority(&self) -> Majority {
        self.rule(|rule| if let Rule::Majority(majority) = rule { Some(*majority) } else { None }).unwrap_or(Majority::Simple)
    }

    fn is_satisfied(&self, count: &Count) -> bool {
        let (approving, rejecting) = (count.of(Word::Approve), count.of(Word::Reject));
        let least = self.rule(|rule| if let Rule::Approvals(n) = rule { Some(*n) } else { None }).unwrap_or(2);
        let is_majority = match self.majority() {
            Majority::Simple => approving > rejecting,
            Majority::TwoThirds => 3 * approving >= 2 * (approving + rejecting),
            Majority::Unanimous => rejecting == 0,
        };
        let owners = self.owners();
        let by_owner = count.votes.iter().any(|vote| vote.word == Word::Approve && self.is_among(vote.by, owners));
        let is_owned = by_owner || (owners.is_empty() && !self.is_owners_only());
        approving >= least && is_majority && is_owned && self.is_quorate(count) && !self.is_blocked(count)
    }

    fn is_quorate(&self, count: &Count) -> bool {
        let voting = count.votes.iter().filter(|vote| vote.is_full).count();
        match self.rule(|rule| if let Rule::Quorum(quorum) = rule { Some(*quorum) } else { None }) {
            None => true,
            Some(Quorum::People(wanted)) => voting >= wanted as usize,
            Some(Quorum::Percent(percent)) => {
                let able = (0..self.world.accounts.len()).filter(|&account| self.may_approve(account));
                let people: BTreeSet<usize> = able.map(|account| self.account(account).person).collect();
                self.world.is_listed && voting > 0 && 100 * voting >= usize::from(percent) * people.len()
            }
        }
    }
}
