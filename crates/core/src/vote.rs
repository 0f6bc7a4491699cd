//! Whether votes suffice: the rules of a policy applied to the votes on one result. Pure.
//!
//! Invariant: a vote counts only where it names the revision and the digest of what would be merged, its actor may
//! vote now, and it is its person's last.
//! Invariant: what is not known (a person, who may vote) is never taken for consent.
mod count;
mod lack;
#[cfg(test)]
mod tests;

use crate::event::Digest;
use crate::policy::{Policy, VotingRule};
use crate::proposal::Vote;
use crate::stamp::Time;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use count::Count;

/// What votes are counted for.
pub struct Ask<'a> {
    /// The tables that would be changed. The table "" is what belongs to none: the dataset's rule holds for it. It stands
    /// also where there are none.
    pub tables: &'a [String],
    /// The revision that would be merged, from 1.
    pub revision: u64,
    /// What merging would do now.
    pub digest: &'a Digest,
    /// Everybody who authored a change of the last revision, or offered it.
    pub authors: &'a [String],
    /// The last vote of each actor, oldest first.
    pub votes: &'a [Vote],
    /// Every actor that there is, or more; of them a quorum may be a share. Where nobody is known, no such quorum is reached.
    pub actors: &'a [String],
    /// When the last revision was offered.
    pub offered_at: Time,
    /// Now.
    pub now: Time,
    /// What an actor is, now, to a table. Asked about voters, authors, actors and every name in the policy.
    pub voter: &'a dyn Fn(&str, &str) -> Voter,
}

/// What an actor is to a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Voter {
    /// Who it is: two names with one of these are one person, whatever their tokens, spelling, former names or accounts.
    /// A program that somebody answers for is that person. Known of those, too, who may not vote any more; empty where
    /// nobody of that name was ever known.
    pub person: String,
    /// True where the actor may decide on changes of the table.
    pub may_vote: bool,
    /// True for a program.
    pub is_agent: bool,
}

/// How it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// More is wanted.
    #[default]
    Waiting,
    /// It may be merged.
    Approved,
    /// It may not.
    Rejected,
}

/// Why a vote does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WhyNot {
    /// It was given on something else than what would be merged now.
    Stale,
    /// Its actor may not vote.
    NoRight,
    /// Its actor authored a change in it.
    Author,
    /// The same person's later vote counts.
    Again,
    /// It came after the deadline.
    Late,
    /// Its actor is a program.
    Agent,
    /// Its actor is no owner, and only theirs count.
    NotOwner,
}

/// Votes, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How it stands over all tables.
    pub verdict: Verdict,
    /// What is still missing, in words, a line each.
    pub missing: Vec<String>,
    /// The votes that count, for one of the tables at least.
    pub counted: Vec<Vote>,
    /// Those that count for none, and why not for the first.
    pub passed_over: Vec<(Vote, WhyNot)>,
    /// When the time to vote ends: votes from then on do not count.
    pub closes: Option<Time>,
}

/// Counts votes.
///
/// Ann, bo, cy and di may vote, `ann2` is ann's other account, `bot` is a program, fay may not vote, and eve offered it on
/// day 0. `+` approves, `-` rejects, `0` abstains; `old` was given on another result, `@9` on day 9 instead of day 1.
///
/// | rule | votes | day | verdict | missing |
/// |---|---|---|---|---|
/// | | | 1 | waiting | 2 more approvals are needed |
/// | | ann+ | 1 | waiting | 1 more approval is needed |
/// | | ann+ bo+ | 1 | approved | |
/// | | ann+ bo+ cy- | 1 | approved | |
/// | | ann+ bo+ cy- di- | 1 | waiting | 1 more approval is needed, as 2 reject it |
/// | | ann+ bo0 | 1 | waiting | 1 more approval is needed |
/// | | ann+ ann2+ | 1 | waiting | 1 more approval is needed |
/// | | ann+ bo+ ann2- | 1 | waiting | 1 more approval is needed |
/// | | ann- bo+ ann2+ | 1 | approved | |
/// | | ann+ bo+old | 1 | waiting | 1 more approval is needed |
/// | | ann+ fay+ | 1 | waiting | 1 more approval is needed |
/// | | ann+ bot+ | 1 | waiting | 1 more approval is needed |
/// | | ann+ nobody+ | 1 | waiting | 1 more approval is needed |
/// | | ann+ eve+ | 1 | waiting | 1 more approval is needed |
/// | | ann+ bo+ eve- | 1 | approved | |
/// | | ann+ bo+ cy- eve- | 1 | waiting | 1 more approval is needed, as 2 reject it |
/// | self_approval=allowed | ann+ eve+ | 1 | approved | |
/// | voting_agents=bot | ann+ bot+ | 1 | approved | |
/// | approvals=1 | ann+ | 1 | approved | |
/// | approvals=3 | ann+ bo+ | 1 | waiting | 1 more approval is needed |
/// | majority=two-thirds | ann+ bo+ cy- | 1 | approved | |
/// | majority=two-thirds | ann+ bo+ cy- eve- | 1 | waiting | 2 more approvals are needed for two thirds, as 2 reject it |
/// | majority=unanimous | ann+ bo+ | 1 | approved | |
/// | majority=unanimous | ann+ bo+ cy- | 1 | rejected | rejected by cy, and nobody may be against it |
/// | quorum=3 | ann+ bo+ | 1 | waiting | 1 more vote is needed for the quorum of 3 |
/// | quorum=3 | ann+ bo+ cy0 | 1 | approved | |
/// | quorum=3 | ann+ bo+ cy- | 1 | approved | |
/// | quorum=3 | ann+ bo+ eve- | 1 | waiting | 1 more vote is needed for the quorum of 3 |
/// | quorum=3 | ann+ bo+ ann2+ | 1 | waiting | 1 more vote is needed for the quorum of 3 |
/// | quorum=50% | ann+ bo+ | 1 | approved | |
/// | quorum=51% | ann+ bo+ | 1 | waiting | 1 more vote is needed for the quorum of 3 |
/// | quorum=100% | ann+ bo+ cy0 | 1 | waiting | 1 more vote is needed for the quorum of 4 |
/// | owners=cy,di | ann+ bo+ | 1 | waiting | an owner must approve: cy, di |
/// | owners=cy,di | ann+ bo+ cy0 | 1 | waiting | an owner must approve: cy, di |
/// | owners=cy,di | ann+ di+ | 1 | approved | |
/// | owners=ann2 | ann+ bo+ | 1 | approved | |
/// | owners=cy,eve | ann+ bo+ eve+ | 1 | waiting | an owner must approve: cy |
/// | owners=eve,bot | ann+ bo+ | 1 | waiting | an owner must approve, and none of eve, bot may |
/// | owners=cy; voters=owners | ann+ bo+ cy+ | 1 | waiting | 1 more approval is needed |
/// | owners=cy,di; voters=owners | cy+ di+ ann- bo- | 1 | approved | |
/// | owners=cy,di; voters=owners; veto=ann | cy+ di+ ann- | 1 | rejected | rejected by ann, who may veto |
/// | voters=owners | ann+ bo+ | 1 | waiting | only owners vote, and there are none; 2 more approvals are needed |
/// | veto=cy | ann+ bo+ di- | 1 | approved | |
/// | veto=cy | ann+ bo+ cy- | 1 | rejected | rejected by cy, who may veto |
/// | veto=cy | ann+ bo+ cy-old | 1 | approved | |
/// | veto=bot | ann+ bo+ bot- | 1 | rejected | rejected by bot, who may veto |
/// | veto=bot | ann+ bot+ | 1 | waiting | 1 more approval is needed |
/// | veto=eve | ann+ bo+ eve- | 1 | rejected | rejected by eve, who may veto |
/// | veto=fay | ann+ bo+ fay- | 1 | approved | |
/// | veto=* | ann+ bo+ di- | 1 | rejected | rejected by di, and any rejection blocks |
/// | veto=* | ann+ bo+ fay- | 1 | approved | |
/// | voting_days=5 | ann+ | 4 | waiting | 1 more approval is needed |
/// | voting_days=5 | ann+ | 5 | rejected | the time to vote is over; 1 more approval is needed |
/// | voting_days=5 | ann+ bo+ | 9 | approved | |
/// | voting_days=5 | ann+ bo+@5 | 9 | rejected | the time to vote is over; 1 more approval is needed |
/// | voting_days=5 | ann+ bo+ cy-@5 | 9 | approved | |
pub fn tally(policy: &Policy, ask: &Ask<'_>) -> Tally {
    let whole = [String::new()];
    let tables = if ask.tables.is_empty() { &whole } else { ask.tables };
    let rules: Vec<VotingRule> = tables.iter().map(|table| policy.voting(table)).collect();
    let end = |rule: &VotingRule| rule.voting_days.end_ms(ask.offered_at.ms()).map(Time::from_ms);
    // One end for all tables: a vote that came too late for one would take the place of one that did not.
    let closes = rules.iter().filter_map(end).min();
    let is_over = closes.is_some_and(|end| ask.now >= end);
    let counts: Vec<Count> = tables.iter().zip(&rules).map(|(table, rule)| Count::new(ask, table, rule, closes)).collect();
    let has = |verdict| counts.iter().any(|count| count.verdict == verdict);
    let verdict = match () {
        () if has(Verdict::Rejected) || (is_over && has(Verdict::Waiting)) => Verdict::Rejected,
        () if has(Verdict::Waiting) => Verdict::Waiting,
        () => Verdict::Approved,
    };
    let mut missing = lack::lines(tables, &counts.iter().map(|count| count.lacks.as_slice()).collect::<Vec<_>>());
    if is_over && !missing.is_empty() {
        missing.insert(0, "the time to vote is over".to_string());
    }
    let mut tally = Tally { verdict, missing, closes, ..Tally::default() };
    for (at, vote) in ask.votes.iter().enumerate() {
        let mut whys = counts.iter().map(|count| count.passed_over[at]);
        match whys.next().flatten() {
            Some(why) if whys.all(|why| why.is_some()) => tally.passed_over.push((vote.clone(), why)),
            _ => tally.counted.push(vote.clone()),
        }
    }
    tally
}
