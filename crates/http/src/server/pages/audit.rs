//! The chain of a dataset's events, and whether it is whole.
use super::{Asked, Shown, framed, moment, shown};
use crate::server::Shared;
use crate::server::asked::{Asked as Query, Named};
use crate::server::people::audit::{between, verified};
use crate::server::reading::read;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::audit::Link;
use mainstem::author::permit;
use mainstem::core::authority::{Object, Right};
use mainstem::core::event::Event;
use mainstem::core::format::event;
use mainstem::core::proposal::{Act, Reviewing, Stage};
use mainstem::core::stamp::Time;
use mainstem::error::Result;
use mainstem::primary::Primary;
use mainstem_pages::address::{asked, path};
use mainstem_pages::audit::{self, Audit, Verified};
use mainstem_pages::pager::Pager;
use serde::Deserialize;
use std::sync::Arc;

/// Events on one page.
const EVENTS: u64 = 50;

/// Which events.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditAsked {
    /// Those before this place.
    before: Option<u64>,
    /// Whether the chain and the rows are to be verified: an owner may ask for it.
    verify: Option<bool>,
}

/// The chain.
pub async fn audit(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    Query(query): Query<AuditAsked>,
) -> Shown {
    let wants = query.verify == Some(true);
    if wants {
        permit(&identity, Right::Own, Object::Dataset(&name))?;
    }
    let before = query.before;
    let (head, links, verified) = read(&shared, &identity, &name, move |primary| {
        let head = primary.describe()?.head;
        let last = before.map_or(head.events, |before| before.saturating_sub(1).min(head.events));
        let mut links = between(primary, last.saturating_sub(EVENTS), last)?;
        links.reverse();
        Ok((head, links, wants.then(|| shown_audit(primary)).transpose()?))
    })
    .await?;
    let first = links.last().map_or(0, |link| link.position);
    let to = path(&["datasets", &name, "audit"]);
    let pager = Pager {
        of: "the events",
        first: query.before.map(|_| to.clone()),
        next: (first > 1).then(|| asked(&to, &[("before", Some(first.to_string()))])),
        ..Pager::default()
    };
    let page = Audit {
        frame: framed(&visit, &name, "audit", "Audit".to_string())?,
        events: head.events,
        head: hex(&head.hash),
        verified,
        links: links.iter().map(|link| told(&name, link)).collect(),
        pager,
        address: visit.address.clone(),
        name,
    };
    shown(&page)
}

fn shown_audit(primary: &mut dyn Primary) -> Result<Verified> {
    let (audit, findings, total) = verified(primary, None)?;
    let mut told: Vec<String> = findings.iter().map(|finding| format!("{}: {}", finding.subject.name(), finding.what)).collect();
    let more = total - told.len() as u64;
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    Ok(Verified { events: audit.chain.events, rows: audit.rows, findings: told })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn told(dataset: &str, link: &Link) -> audit::Link {
    let (what, actor, at, to) = match event::decode(&link.bytes) {
        Ok(event) => words(dataset, &event),
        Err(_) => ("something that this program cannot read".to_string(), None, None, None),
    };
    audit::Link { position: link.position, hash: hex(&link.hash), what, actor, at: at.map(moment), to }
}

type Words = (String, Option<String>, Option<Time>, Option<String>);

/// What an event is, who did it, when, and where more of it is shown.
fn words(dataset: &str, event: &Event) -> Words {
    let own = |page: &str| Some(path(&["datasets", dataset, page]));
    match event {
        Event::Genesis(genesis) => ("the dataset began".into(), Some(genesis.actor.clone()), Some(genesis.at), None),
        Event::Version(version) => {
            let number = version.version.to_string();
            let to = path(&["datasets", dataset, "versions", &number]);
            let of = version.review.as_ref().map_or_else(String::new, |reviewed| format!(", of proposal {}", reviewed.proposal));
            (format!("version {number}{of}"), Some(version.header.actor.clone()), Some(version.accepted_at), Some(to))
        }
        Event::Policy(policy) => ("the policy was replaced".into(), Some(policy.actor.clone()), Some(policy.at), own("policy")),
        Event::Collected(collected) => {
            let what = format!("what had expired was removed; replicas may be as old as version {}", collected.horizon);
            (what, Some(collected.actor.clone()), Some(collected.at), None)
        }
        Event::Restored(restored) => ("restored from a backup".into(), Some(restored.actor.clone()), Some(restored.at), None),
        Event::Review(Reviewing { proposal, actor, at, act, .. }) => {
            let to = path(&["datasets", dataset, "proposals", &proposal.to_string()]);
            (format!("proposal {proposal}: {}", act_text(act)), Some(actor.clone()), Some(*at), Some(to))
        }
    }
}

fn act_text(act: &Act) -> String {
    match act {
        Act::Revise(_) => "a revision was offered".into(),
        Act::Vote(ballot) => format!("a vote, {}", ballot.word.name()),
        Act::Comment(_) => "a comment".into(),
        Act::Decide(decision) if decision.stage == Stage::Open => "it was opened again".into(),
        Act::Decide(decision) => format!("it was {}", decision.stage.name()),
        Act::BeginMerge(_) => "a merge began".into(),
        Act::FailMerge(_) => "a merge failed".into(),
        Act::Unstage => "its staged rows were removed".into(),
    }
}
