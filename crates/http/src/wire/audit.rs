//! The chain of a dataset's events as people's tools read it: what happened, and the bytes by which anybody can tell that it did.
//!
//! Invariant: for whoever sees the whole dataset, an event's hash is that of its bytes and of the hash before it
//! (`mainstem::core::format::event::chain`). Whoever sees a part of it is told less in the bytes, and the hashes are those of the whole.
use super::shown::{hex, moment};
use mainstem::audit::{Audit, Finding, Link};
use mainstem::core::event::Event;
use mainstem::core::format::event;
use mainstem::core::proposal::{Act, Reviewing};
use mainstem::core::stamp::Time;
use schemars::JsonSchema;
use serde::Serialize;

/// One event of the chain.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct ShownLink {
    /// Its place, from 1.
    pub position: u64,
    /// Its hash: BLAKE3 over the text `mainstem event 1`, the hash of the event before it (32 zero bytes before the first) and its
    /// bytes, each after its length as 8 bytes, the highest first.
    pub hash: String,
    /// `genesis`, `version`, `policy`, `collected`, `restored`, `review`; `unknown` where this program cannot read it.
    pub event: &'static str,
    /// Who did it.
    pub actor: Option<String>,
    /// When.
    pub at: Option<String>,
    /// The version that it made, or that a backup had.
    pub version: Option<u64>,
    /// The proposal that it is about, or that a version came out of.
    pub proposal: Option<u64>,
    /// What was done to the proposal: `revise`, `vote`, `comment`, `open`, `rejected`, `withdrawn`, `superseded`, `begin-merge`,
    /// `fail-merge` or `unstage`.
    pub act: Option<&'static str>,
    /// The word of a vote.
    pub vote: Option<&'static str>,
    /// What was said: a title, a comment, a reason, the text of a policy.
    pub said: Option<String>,
    /// Its bytes, in hexadecimal digits.
    pub bytes: String,
}

impl From<&Link> for ShownLink {
    fn from(link: &Link) -> Self {
        let told = event::decode(&link.bytes).map_or_else(|_| ShownLink::of("unknown"), |event| told(&event));
        ShownLink { position: link.position, hash: hex(&link.hash), bytes: hex(&link.bytes), ..told }
    }
}

impl ShownLink {
    fn of(event: &'static str) -> Self {
        ShownLink { event, ..ShownLink::default() }
    }
    fn by(event: &'static str, actor: &str, at: Time) -> Self {
        ShownLink { actor: Some(actor.to_string()), at: Some(moment(at)), ..ShownLink::of(event) }
    }
}

fn told(event: &Event) -> ShownLink {
    match event {
        Event::Genesis(genesis) => {
            ShownLink { said: Some(genesis.dataset.clone()), ..ShownLink::by("genesis", &genesis.actor, genesis.at) }
        }
        Event::Version(version) => ShownLink {
            version: Some(version.version),
            proposal: version.review.as_ref().map(|reviewed| reviewed.proposal),
            said: version.header.title.clone(),
            ..ShownLink::by("version", &version.header.actor, version.accepted_at)
        },
        Event::Policy(policy) => ShownLink { said: Some(policy.text.clone()), ..ShownLink::by("policy", &policy.actor, policy.at) },
        Event::Collected(collected) => ShownLink::by("collected", &collected.actor, collected.at),
        Event::Restored(restored) => ShownLink {
            version: Some(restored.version),
            said: Some(restored.from.clone()),
            ..ShownLink::by("restored", &restored.actor, restored.at)
        },
        Event::Review(Reviewing { proposal, actor, at, act, .. }) => {
            let (act, vote, said) = done(act);
            ShownLink { proposal: Some(*proposal), act: Some(act), vote, said, ..ShownLink::by("review", actor, *at) }
        }
    }
}

/// What was done to a proposal: in a word, the word of a vote, and what was said.
fn done(act: &Act) -> (&'static str, Option<&'static str>, Option<String>) {
    let said = |text: &str| Some(text.to_string()).filter(|text| !text.is_empty());
    match act {
        Act::Revise(revision) => ("revise", None, revision.front.header.title.clone()),
        Act::Vote(ballot) => ("vote", Some(ballot.word.name()), said(&ballot.comment)),
        Act::Comment(remark) => ("comment", None, said(&remark.text)),
        Act::Decide(decision) => (decision.stage.name(), None, said(&decision.reason)),
        Act::BeginMerge(_) => ("begin-merge", None, None),
        Act::FailMerge(failure) => ("fail-merge", None, said(&failure.message)),
        Act::Unstage => ("unstage", None, None),
    }
}

/// Whether the chain is whole, and what is stored is what it says.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownAudit {
    /// True where nothing was found.
    pub ok: bool,
    /// How many events there are.
    pub events: u64,
    /// The latest version.
    pub version: u64,
    /// The hash of the last event.
    pub head: String,
    /// How many pages of row changes were read.
    pub pages: u64,
    /// How many stored rows were compared; null where the chain is broken, so that there is nothing to compare them with.
    pub rows: Option<u64>,
    /// The place of the event whose hash was asked for; null where nobody asked, or it is not in the chain.
    pub head_found: Option<u64>,
    /// What is not in order: the first of it.
    pub findings: Vec<ShownFinding>,
    /// How much of it there is in all.
    pub findings_total: u64,
}

impl ShownAudit {
    /// What was found, of so much in all.
    pub fn new(audit: &Audit, findings: &[Finding], findings_total: u64) -> Self {
        ShownAudit {
            ok: findings_total == 0,
            events: audit.chain.events,
            version: audit.chain.version,
            head: hex(&audit.chain.head),
            pages: audit.chain.pages,
            rows: audit.rows,
            head_found: audit.chain.head_found,
            findings: findings.iter().map(ShownFinding::from).collect(),
            findings_total,
        }
    }
}

/// Something that is not in order.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownFinding {
    /// `event`, `page`, `rows`, `projection` or `head`.
    pub subject: &'static str,
    /// The place of the event that it is about.
    pub position: Option<u64>,
    /// The version that it is about.
    pub version: Option<u64>,
    /// What is wrong, in words.
    pub what: String,
}

impl From<&Finding> for ShownFinding {
    fn from(finding: &Finding) -> Self {
        ShownFinding { subject: finding.subject.name(), position: finding.position, version: finding.version, what: finding.what.clone() }
    }
}
