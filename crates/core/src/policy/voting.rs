//! Who must agree before a proposal is merged: the keys of a policy about votes.
//!
//! Each key is a table's own, else the dataset's, else as it comes.
//! Deliberately absent: the counting, in [`crate::vote`].
use super::{Life, Setting, choice, life, life_setting, unknown_value};
use crate::error::Result;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// How many approvals a proposal needs where the policy does not say.
pub const APPROVALS: u32 = 2;

/// A hundred years.
const HOURS_MAX: u64 = 876_000;

/// Written instead of names: everybody.
const EVERYBODY: &str = "*";

pub(super) const KEYS: &str = "approvals, majority, quorum, owners, voters, veto, self_approval, voting_days, voting_agents";

/// How approvals and rejections weigh against each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Majority {
    /// More approve than reject.
    #[default]
    Simple,
    /// At least two thirds of those who approve or reject do approve.
    TwoThirds,
    /// Nobody rejects.
    Unanimous,
}

impl Majority {
    /// Every majority.
    pub const ALL: [Majority; 3] = [Majority::Simple, Majority::TwoThirds, Majority::Unanimous];
    /// The name used in policies.
    pub fn name(self) -> &'static str {
        match self {
            Majority::Simple => "simple",
            Majority::TwoThirds => "two-thirds",
            Majority::Unanimous => "unanimous",
        }
    }
}

/// How many must vote, whatever they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quorum {
    /// So many people.
    People(u32),
    /// So many of a hundred of those whose approval would count, rounded up.
    Percent(u8),
}

/// Whose votes count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Voters {
    /// Anyone's who may decide on changes of the table.
    #[default]
    Anyone,
    /// Owners' only.
    Owners,
}

impl Voters {
    /// Every choice.
    pub const ALL: [Voters; 2] = [Voters::Anyone, Voters::Owners];
    /// The name used in policies.
    pub fn name(self) -> &'static str {
        match self {
            Voters::Anyone => "anyone",
            Voters::Owners => "owners",
        }
    }
}

/// Whether authors may approve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SelfApproval {
    /// Nobody who authored a change of the last revision, or offered it.
    #[default]
    Never,
    /// They may.
    Allowed,
}

impl SelfApproval {
    /// Every choice.
    pub const ALL: [SelfApproval; 2] = [SelfApproval::Never, SelfApproval::Allowed];
    /// The name used in policies.
    pub fn name(self) -> &'static str {
        match self {
            SelfApproval::Never => "never",
            SelfApproval::Allowed => "allowed",
        }
    }
}

/// Who must agree to changes of one table. Names are actors' and stand for the people they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VotingRule {
    /// How many must approve, at least one.
    pub approvals: u32,
    /// How that weighs against rejections.
    pub majority: Majority,
    /// How many must vote.
    pub quorum: Quorum,
    /// One of them must approve, where there are any.
    pub owners: Vec<String>,
    /// Whose votes count.
    pub voters: Voters,
    /// Their rejections block.
    pub veto: Vec<String>,
    /// True where any rejection blocks that counts.
    pub is_any_veto: bool,
    /// Whether authors may approve.
    pub self_approval: SelfApproval,
    /// How long there is to vote after the last revision was offered.
    pub voting_days: Life,
    /// Programs whose votes count.
    pub agents: Vec<String>,
}

/// What a policy says about votes on changes of one table, or of all that say nothing themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    approvals: Option<u32>,
    majority: Option<Majority>,
    quorum: Option<Quorum>,
    owners: Option<Vec<String>>,
    voters: Option<Voters>,
    veto: Option<Vec<String>>,
    self_approval: Option<SelfApproval>,
    voting_days: Option<Life>,
    agents: Option<Vec<String>>,
}

impl Keys {
    /// Sets a key; false where it is none about votes.
    pub(super) fn set(&mut self, whole: &str, key: &str, value: &Setting) -> Result<bool> {
        match key {
            "approvals" => self.approvals = Some(approvals(whole, value)?),
            "majority" => self.majority = Some(choice(whole, value, &Majority::ALL, Majority::name)?),
            "quorum" => self.quorum = Some(quorum(whole, value)?),
            "owners" => self.owners = Some(names(whole, value)?),
            "voters" => self.voters = Some(choice(whole, value, &Voters::ALL, Voters::name)?),
            "veto" => self.veto = Some(names(whole, value)?),
            "self_approval" => self.self_approval = Some(choice(whole, value, &SelfApproval::ALL, SelfApproval::name)?),
            "voting_days" => self.voting_days = Some(days(whole, value)?),
            "voting_agents" => self.agents = Some(names(whole, value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Gives each key, with its value where it is set.
    pub(super) fn each(&self, mut push: impl FnMut(&str, Option<Setting>)) {
        let list = |names: &Option<Vec<String>>| names.clone().map(Setting::Names);
        push("approvals", self.approvals.map(|n| Setting::Number(n.into())));
        push("majority", self.majority.map(|m| m.name().into()));
        push("quorum", self.quorum.map(quorum_setting));
        push("owners", list(&self.owners));
        push("voters", self.voters.map(|v| v.name().into()));
        push("veto", list(&self.veto));
        push("self_approval", self.self_approval.map(|s| s.name().into()));
        push("voting_days", self.voting_days.map(life_setting));
        push("voting_agents", list(&self.agents));
    }

    /// The rule that a table's own keys and the dataset's make.
    pub(super) fn rule(own: Option<&Keys>, dataset: &Keys) -> VotingRule {
        fn nearest<T>(own: Option<&Keys>, dataset: &Keys, of: impl Fn(&Keys) -> Option<T>) -> Option<T> {
            own.and_then(&of).or_else(|| of(dataset))
        }
        let names = |of: fn(&Keys) -> Option<Vec<String>>| nearest(own, dataset, of).unwrap_or_default();
        let veto = names(|k| k.veto.clone());
        VotingRule {
            approvals: nearest(own, dataset, |k| k.approvals).unwrap_or(APPROVALS),
            majority: nearest(own, dataset, |k| k.majority).unwrap_or_default(),
            quorum: nearest(own, dataset, |k| k.quorum).unwrap_or(Quorum::People(0)),
            owners: names(|k| k.owners.clone()),
            voters: nearest(own, dataset, |k| k.voters).unwrap_or_default(),
            is_any_veto: veto.iter().any(|name| name == EVERYBODY),
            veto: veto.into_iter().filter(|name| name != EVERYBODY).collect(),
            self_approval: nearest(own, dataset, |k| k.self_approval).unwrap_or_default(),
            voting_days: nearest(own, dataset, |k| k.voting_days).unwrap_or(Life::Forever),
            agents: names(|k| k.agents.clone()),
        }
    }
}

fn number<T: TryFrom<i64> + core::str::FromStr>(value: &Setting) -> Option<T> {
    match value {
        Setting::Number(number) => T::try_from(*number).ok(),
        Setting::Text(text) => text.trim().parse().ok(),
        Setting::Ranks(_) | Setting::Names(_) => None,
    }
}

fn approvals(whole: &str, value: &Setting) -> Result<u32> {
    let found = number(value).filter(|&n| n > 0);
    found.ok_or_else(|| unknown_value(whole, value, "a number of people, one or more"))
}

/// Without a day to vote nothing would ever be approved.
fn days(whole: &str, value: &Setting) -> Result<Life> {
    let found = life(whole, value).ok().filter(|&life| life != Life::Days(0));
    found.ok_or_else(|| unknown_value(whole, value, "days, one or more, or \"forever\""))
}

fn quorum(whole: &str, value: &Setting) -> Result<Quorum> {
    let percent = |text: &str| text.trim().strip_suffix('%')?.trim().parse().ok().filter(|n| (1..=100).contains(n));
    let share = match value {
        Setting::Text(text) => percent(text).map(Quorum::Percent),
        _ => None,
    };
    let found = share.or_else(|| number(value).map(Quorum::People));
    found.ok_or_else(|| unknown_value(whole, value, "a number of people, zero or more, or a share from \"1%\" to \"100%\""))
}

fn quorum_setting(quorum: Quorum) -> Setting {
    match quorum {
        Quorum::People(people) => Setting::Number(people.into()),
        Quorum::Percent(percent) => Setting::Text(format!("{percent}%")),
    }
}

/// How many rows, for `review_above`.
pub(super) fn rows(whole: &str, value: &Setting) -> Result<u64> {
    // As far as a policy's text can write it.
    let found = number(value).filter(|&n| i64::try_from(n).is_ok());
    found.ok_or_else(|| unknown_value(whole, value, "a number of rows, zero or more"))
}

/// For how many hours, for `review_above_hours`.
pub(super) fn hours(whole: &str, value: &Setting) -> Result<u64> {
    let found = number(value).filter(|&n| n <= HOURS_MAX);
    found.ok_or_else(|| unknown_value(whole, value, "hours, from zero to 876000"))
}

fn names(whole: &str, value: &Setting) -> Result<Vec<String>> {
    let refuse = || unknown_value(whole, value, "names of actors, as [\"ann\", \"bo\"] or \"ann, bo\"");
    let list: Vec<String> = match value {
        Setting::Names(list) => list.iter().map(|name| name.trim().to_string()).collect(),
        Setting::Text(text) if text.trim().is_empty() => Vec::new(),
        Setting::Text(text) => text.split(',').map(|name| name.trim().to_string()).collect(),
        Setting::Number(_) | Setting::Ranks(_) => return Err(refuse()),
    };
    if list.iter().any(String::is_empty) { Err(refuse()) } else { Ok(list) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::policy::{Entry, Policy};
    use alloc::vec;

    fn entry(path: &[&str], key: &str, value: impl Into<Setting>) -> Entry {
        let path = path.iter().map(|part| part.to_string()).collect();
        Entry { path, key: key.to_string(), value: value.into() }
    }

    #[test]
    fn as_it_comes_two_approve_more_than_reject_and_no_author_does() {
        let rule = Policy::default().voting("any");
        let expect = VotingRule {
            approvals: 2,
            majority: Majority::Simple,
            quorum: Quorum::People(0),
            owners: vec![],
            voters: Voters::Anyone,
            veto: vec![],
            is_any_veto: false,
            self_approval: SelfApproval::Never,
            voting_days: Life::Forever,
            agents: vec![],
        };
        assert_eq!((rule, Policy::default().review_above()), (expect, None));
    }

    #[test]
    fn each_key_is_the_tables_own_else_the_datasets() {
        let policy = Policy::from_entries(&[
            entry(&[], "approvals", 3),
            entry(&[], "veto", "*, bot"),
            entry(&[], "owners", "ann, bo"),
            entry(&[], "quorum", " 50 % "),
            entry(&[], "review_above", "1000"),
            entry(&[], "review_above_hours", 48),
            entry(&["Price"], "owners", Setting::Names(vec!["Smith, J.".into()])),
            entry(&["Price"], "veto", ""),
            entry(&["Price"], "majority", "two-thirds"),
            entry(&["Price"], "voters", "owners"),
            entry(&["Price"], "self_approval", "allowed"),
            entry(&["Price"], "voting_days", 14),
            entry(&["Price"], "voting_agents", "linter"),
        ])
        .expect("a valid policy");
        let (price, other) = (policy.voting("PRICE"), policy.voting("other"));
        assert_eq!((price.approvals, price.quorum, other.quorum), (3, Quorum::Percent(50), Quorum::Percent(50)));
        assert_eq!((price.owners, other.owners), (vec!["Smith, J.".to_string()], vec!["ann".to_string(), "bo".to_string()]));
        assert_eq!((price.veto, price.is_any_veto, other.veto, other.is_any_veto), (vec![], false, vec!["bot".to_string()], true));
        assert_eq!((price.majority, other.majority), (Majority::TwoThirds, Majority::Simple));
        assert_eq!((price.voters, other.voters), (Voters::Owners, Voters::Anyone));
        assert_eq!((price.self_approval, other.self_approval), (SelfApproval::Allowed, SelfApproval::Never));
        assert_eq!((price.voting_days, other.voting_days), (Life::Days(14), Life::Forever));
        assert_eq!((price.agents, other.agents), (vec!["linter".to_string()], vec![]));
        assert_eq!((policy.review_above(), policy.review_above_hours()), (Some(1000), 48));
        assert_eq!(Policy::from_entries(&policy.entries()), Ok(policy));
    }

    #[track_caller]
    fn refused(path: &[&str], key: &str, value: impl Into<Setting>, says: &str) {
        let error = Policy::default().set(path, key, &value.into()).expect_err("refused");
        let Error::Invalid { what, why } = &error else { panic!("{error}") };
        assert!(what.ends_with(key) && why.contains(says), "{error}");
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        refused(&[], "approvals", 0, "one or more");
        refused(&["t"], "approvals", -1, "one or more");
        refused(&[], "approvals", "two", "one or more");
        refused(&[], "approvals", 1 << 32, "one or more");
        refused(&["t"], "majority", "most", "simple, two-thirds, unanimous");
        for quorum in ["0%", "101%", "half", "%", "-1", "300%"] {
            refused(&["t"], "quorum", quorum, "zero or more, or a share from \"1%\" to \"100%\"");
        }
        refused(&["t"], "owners", 3, "names of actors");
        refused(&["t"], "owners", "ann,,bo", "names of actors");
        refused(&[], "veto", Setting::Names(vec![" ".into()]), "names of actors");
        refused(&[], "voting_agents", Setting::Ranks(vec![]), "names of actors");
        refused(&[], "voters", "everyone", "anyone, owners");
        refused(&[], "self_approval", "yes", "never, allowed");
        refused(&[], "voting_days", "soon", "days, one or more, or \"forever\"");
        refused(&["t"], "voting_days", 0, "days, one or more, or \"forever\"");
        refused(&[], "review_above", -1, "zero or more");
        refused(&["t"], "review_above", 5, "allowed: strategy");
        refused(&[], "review_above_hours", "forever", "hours, from zero");
        refused(&["t"], "review_above_hours", 5, "allowed: strategy");
        refused(&["t", "c"], "approvals", 2, "strategy, delimiter");
        refused(&[], "approval", 2, KEYS);
        refused(&["t"], "approval", 2, KEYS);
    }
}
