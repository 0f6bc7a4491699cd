//! Whether votes suffice: the rules of a policy applied to the votes on one result. Pure.
//!
//! Invariant: a vote counts only where it names the digest of what would be merged, and its actor may vote now.
use crate::event::Digest;
use crate::policy::Policy;
use crate::proposal::{Vote, Word};
use crate::stamp::Time;
use alloc::{string::String, vec::Vec};

/// What votes are counted for.
pub struct Ask<'a> {
    /// The tables that would be changed.
    pub tables: &'a [String],
    /// What merging would do now.
    pub digest: &'a Digest,
    /// Everybody who authored a change of the last revision, or offered it.
    pub authors: &'a [String],
    /// The last vote of each actor.
    pub votes: &'a [Vote],
    /// When the last revision was offered.
    pub offered_at: Time,
    /// Now.
    pub now: Time,
    /// What an actor is, now, to a table.
    pub voter: &'a dyn Fn(&str, &str) -> Voter,
}

/// What an actor is to a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Voter {
    /// Who it is: two names with one of these are one person.
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
}

/// Votes, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How it stands over all tables.
    pub verdict: Verdict,
    /// What is still missing, in words, a line each.
    pub missing: Vec<String>,
    /// The votes that count.
    pub counted: Vec<Vote>,
    /// Those that do not.
    pub passed_over: Vec<(Vote, WhyNot)>,
}

/// Counts votes.
pub fn tally(_policy: &Policy, ask: &Ask<'_>) -> Tally {
    let mut tally = Tally::default();
    for vote in ask.votes {
        let voter = ask.tables.first().map(|table| (ask.voter)(&vote.actor, table)).unwrap_or_default();
        let why = if vote.ballot.digest != *ask.digest {
            Some(WhyNot::Stale)
        } else if ask.authors.contains(&vote.actor) {
            Some(WhyNot::Author)
        } else {
            (!voter.may_vote).then_some(WhyNot::NoRight)
        };
        match why {
            Some(why) => tally.passed_over.push((vote.clone(), why)),
            None => tally.counted.push(vote.clone()),
        }
    }
    let count = |word| tally.counted.iter().filter(|vote| vote.ballot.word == word).count();
    let (approving, rejecting) = (count(Word::Approve), count(Word::Reject));
    if approving >= 2 && approving > rejecting {
        tally.verdict = Verdict::Approved;
    }
    tally
}
