//! A world with people, their accounts, a policy and one proposal, to which random things happen.
//!
//! Invariant: everything happens twice, as an event or setting for the code under test, and as a fact for the model.
use mainstem_core::event::Digest;
use mainstem_core::policy::{Majority, Policy, Quorum, Setting};
use mainstem_core::proposal::{Act, Ballot, Decision, Failure, MergeWish, Proposal, Remark, Reviewing, Revision, Stage, Word};
use mainstem_core::stamp::Time;
use mainstem_core::vote::Voter;

pub const DAY_MS: u64 = 86_400_000;
pub const TABLES: [&str; 2] = ["price", "stock"];

/// splitmix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
    fn is(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }
    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// An account of a person. Its names are `a`, its number, a dot, and how often it was renamed.
#[derive(Clone, Debug)]
pub struct Account {
    pub person: usize,
    pub is_agent: bool,
    /// May decide on changes of each table.
    pub may_vote: [bool; 2],
    pub renamed: usize,
}

/// Where a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Dataset,
    Table(usize),
}

/// One key of the policy. Names are accounts.
#[derive(Clone, Debug)]
pub enum Rule {
    Approvals(usize),
    Majority(Majority),
    Quorum(Quorum),
    Owners(Vec<usize>),
    OwnersOnly(bool),
    Veto { anybody: bool, named: Vec<usize> },
    SelfApproval(bool),
    Days(Option<u64>),
    Agents(Vec<usize>),
}

/// Something that happened to the proposal.
#[derive(Clone, Debug)]
pub enum Fact {
    Offered { authors: Vec<usize>, at_ms: u64 },
    Voted { by: usize, revision: usize, result: usize, word: Word, at_ms: u64 },
    Closed(bool),
}

#[derive(Debug)]
pub struct World {
    pub random: Random,
    pub now_ms: u64,
    pub accounts: Vec<Account>,
    /// What merging would do now, as a number.
    pub result: usize,
    pub tables: Vec<String>,
    /// Every rule that was set, oldest first.
    pub rules: Vec<(Place, Rule)>,
    pub facts: Vec<Fact>,
    pub policy: Policy,
    pub proposal: Proposal,
    /// Whether somebody keeps a list of actors.
    pub is_listed: bool,
    /// Little but votes happens, so that many of them count.
    is_calm: bool,
    /// What there was to vote on, and is.
    shown: Vec<(usize, usize)>,
}

pub fn digest(result: usize) -> Digest {
    [u8::try_from(result % 251).unwrap(); 32]
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut world = World {
            random: Random(seed),
            now_ms: 1_000_000,
            accounts: Vec::new(),
            result: 0,
            tables: Vec::new(),
            rules: Vec::new(),
            facts: Vec::new(),
            policy: Policy::default(),
            proposal: Proposal::default(),
            is_listed: true,
            is_calm: false,
            shown: Vec::new(),
        };
        world.is_listed = !world.random.is(8);
        world.is_calm = world.random.is(2);
        for person in 0..6 {
            world.join(person, false);
        }
        // A second account of somebody, a program that somebody answers for, and one that nobody does.
        world.join(1, false);
        world.join(2, true);
        world.join(6, true);
        for _ in 0..world.random.below(5) {
            world.change_policy();
        }
        world.offer();
        world
    }

    fn join(&mut self, person: usize, is_agent: bool) {
        let may_vote = [self.is_calm || !self.random.is(6), self.is_calm || !self.random.is(6)];
        self.accounts.push(Account { person, is_agent, may_vote, renamed: 0 });
    }

    /// The account that a name is or was of.
    pub fn account(&self, name: &str) -> Option<usize> {
        let (account, renamed) = name.strip_prefix(['a', 'A'])?.split_once('.')?;
        let (account, renamed): (usize, usize) = (account.parse().ok()?, renamed.parse().ok()?);
        (self.accounts.get(account)?.renamed >= renamed).then_some(account)
    }

    /// What the one that lets people in knows of a name.
    pub fn voter(&self, actor: &str, table: &str) -> Voter {
        let Some(account) = self.account(actor).map(|at| &self.accounts[at]) else { return Voter::default() };
        let at = TABLES.iter().position(|name| name.eq_ignore_ascii_case(table)).unwrap();
        Voter { person: format!("person {}", account.person), may_vote: account.may_vote[at], is_agent: account.is_agent }
    }

    pub fn actors(&self) -> Vec<String> {
        let all = || self.accounts.iter().enumerate().map(|(at, account)| format!("a{at}.{}", account.renamed));
        if self.is_listed { all().collect() } else { Vec::new() }
    }

    /// The name of an account, spelled somehow.
    fn name(&mut self, account: usize) -> String {
        let first = if self.random.is(6) { "A" } else { "a" };
        format!("{first}{account}.{}", self.accounts[account].renamed)
    }

    fn anyone(&mut self) -> usize {
        self.random.below(self.accounts.len())
    }

    fn fold(&mut self, actor: String, act: Act) {
        let token = self.random.is(2).then(|| "laptop".to_string());
        self.proposal.fold(&Reviewing { proposal: 7, actor, token, at: Time::from_ms(self.now_ms), act, request: None });
    }

    /// Something happens. Often in the same millisecond as the last thing.
    pub fn step(&mut self) {
        self.now_ms += self.random.of(&[0, 0, 1, 5]);
        if self.is_calm && !self.random.is(4) {
            return self.vote();
        }
        match self.random.below(100) {
            0..54 => self.vote(),
            54..62 => self.offer(),
            62..69 => self.move_beneath(),
            69..74 => self.change_person(),
            74..82 => self.change_role(),
            82..89 => self.change_policy(),
            89..94 => self.wait(),
            _ => self.something_else(),
        }
    }

    fn vote(&mut self) {
        let by = self.anyone();
        let current = (self.proposal.revisions.len(), self.result);
        let (revision, result) = if self.random.is(6) { self.random.of(&self.shown.clone()) } else { current };
        let word = self.random.of(&[Word::Approve, Word::Approve, Word::Approve, Word::Reject, Word::Abstain]);
        let ballot = Ballot { revision: revision as u64, digest: digest(result), word, comment: String::new() };
        if self.random.is(40) {
            // Nobody knows who that is.
            self.fold("ghost".into(), Act::Vote(ballot));
            return;
        }
        let actor = self.name(by);
        self.fold(actor, Act::Vote(ballot));
        self.facts.push(Fact::Voted { by, revision, result, word, at_ms: self.now_ms });
    }

    /// A revision, with changes of others in it or not. What it does may be what the one before did.
    fn offer(&mut self) {
        let mut authors = vec![self.anyone()];
        while self.random.is(3) {
            authors.push(self.anyone());
        }
        if !self.random.is(3) {
            self.result = self.fresh();
        }
        let (mut tables, second) = (vec![self.random.of(&TABLES)], self.random.of(&["PRICE", "stock"]));
        if self.random.is(2) && !tables[0].eq_ignore_ascii_case(second) {
            tables.push(second);
        }
        self.tables = tables.into_iter().map(String::from).collect();
        let names: Vec<String> = authors.clone().into_iter().map(|author| self.name(author)).collect();
        let revision = Revision { authors: names.clone(), ..Revision::default() };
        self.fold(names[0].clone(), Act::Revise(revision));
        self.facts.push(Fact::Offered { authors, at_ms: self.now_ms });
        self.facts.push(Fact::Closed(false));
        self.shown.push((self.proposal.revisions.len(), self.result));
    }

    fn fresh(&self) -> usize {
        1 + self.shown.iter().map(|(_, result)| *result).max().unwrap_or_default()
    }

    /// The rows beneath change, so that merging would do something new, or what it would have done before.
    fn move_beneath(&mut self) {
        self.result = if self.random.is(3) { self.random.of(&self.shown.clone()).1 } else { self.fresh() };
        self.shown.push((self.proposal.revisions.len(), self.result));
    }

    fn change_person(&mut self) {
        let at = self.anyone();
        if self.random.is(2) {
            self.accounts[at].renamed += 1;
        } else if self.accounts.len() < 12 {
            // Deleted and created again.
            self.accounts[at].may_vote = [false; 2];
            self.join(self.accounts[at].person, self.accounts[at].is_agent);
        }
    }

    fn change_role(&mut self) {
        let (at, table) = (self.anyone(), self.random.below(2));
        let may_vote = self.random.is(2);
        self.accounts[at].may_vote[table] = may_vote;
    }

    /// Time passes, often to the very moment at which the time to vote is over, or to just before.
    fn wait(&mut self) {
        let offered_at = self.proposal.revisions.last().unwrap().1.ms();
        let days = self.random.below(4) as u64;
        self.now_ms = match self.random.below(3) {
            0 => self.now_ms + days * DAY_MS,
            1 => self.now_ms.max(offered_at + days * DAY_MS),
            _ => self.now_ms.max((offered_at + days * DAY_MS).saturating_sub(1)),
        };
    }

    /// What changes no vote.
    fn something_else(&mut self) {
        let by = self.anyone();
        let actor = self.name(by);
        let act = match self.random.below(5) {
            0 => Act::BeginMerge(MergeWish::new(1)),
            1 => Act::FailMerge(Failure::default()),
            2 => Act::Decide(Decision { stage: Stage::Withdrawn, reason: String::new() }),
            3 => Act::Decide(Decision { stage: Stage::Open, reason: String::new() }),
            _ => Act::Comment(Remark::default()),
        };
        let is_closed = match act {
            Act::Decide(Decision { stage, .. }) => Some(stage == Stage::Withdrawn),
            Act::BeginMerge(_) | Act::FailMerge(_) => Some(false),
            _ => None,
        };
        self.facts.extend(is_closed.map(Fact::Closed));
        self.fold(actor, act);
    }

    fn some(&mut self) -> (Vec<usize>, Vec<String>) {
        let list: Vec<usize> = (0..self.random.below(4)).map(|_| self.anyone()).collect();
        let names = list.clone().into_iter().map(|account| self.name(account)).collect();
        (list, names)
    }

    fn change_policy(&mut self) {
        let place = [Place::Dataset, Place::Table(0), Place::Table(1)][self.random.below(3)];
        let (key, value, rule) = self.setting();
        let path = match place {
            Place::Dataset => Vec::new(),
            Place::Table(at) => vec![TABLES[at]],
        };
        self.policy.set(&path, key, &value).unwrap();
        self.rules.push((place, rule));
    }

    fn setting(&mut self) -> (&'static str, Setting, Rule) {
        let pick = self.random.below(9);
        match pick {
            0 => {
                let n = 1 + self.random.below(3);
                ("approvals", Setting::Number(n as i64), Rule::Approvals(n))
            }
            1 => {
                let majority = self.random.of(&Majority::ALL);
                ("majority", majority.name().into(), Rule::Majority(majority))
            }
            2 if self.random.is(2) => {
                let n = self.random.below(5);
                ("quorum", Setting::Number(n as i64), Rule::Quorum(Quorum::People(n as u32)))
            }
            2 => {
                let percent = self.random.of(&[1, 33, 34, 50, 51, 66, 67, 100]);
                ("quorum", Setting::Text(format!("{percent}%")), Rule::Quorum(Quorum::Percent(percent)))
            }
            3 => {
                let (list, names) = self.some();
                ("owners", Setting::Names(names), Rule::Owners(list))
            }
            4 => {
                let is_so = self.random.is(2);
                ("voters", if is_so { "owners" } else { "anyone" }.into(), Rule::OwnersOnly(is_so))
            }
            5 => {
                let (named, mut names) = self.some();
                let anybody = self.random.is(6);
                names.extend(anybody.then(|| "*".to_string()));
                ("veto", Setting::Text(names.join(", ")), Rule::Veto { anybody, named })
            }
            6 => {
                let is_so = self.random.is(3);
                ("self_approval", if is_so { "allowed" } else { "never" }.into(), Rule::SelfApproval(is_so))
            }
            7 => {
                let days = self.random.of(&[None, Some(1), Some(2), Some(3)]);
                ("voting_days", days.map_or("forever".into(), |days: u64| Setting::Number(days as i64)), Rule::Days(days))
            }
            _ => {
                let (list, names) = self.some();
                ("voting_agents", Setting::Names(names), Rule::Agents(list))
            }
        }
    }
}
