//! Proposals: the list, each with how it stands, and what it changes.
pub mod deeds;
pub mod merging;

use super::{Answer, limit};
use crate::server::Shared;
use crate::server::acting::{Acting, look};
use crate::server::asked::{Asked, Named};
use crate::server::finder;
use crate::wire::given::digest;
use crate::wire::proposal::{ShownProposal, ShownProposalLine};
use crate::wire::shown::{Listed, ShownChange};
use axum::Json;
use axum::extract::{Extension, State as Server};
use mainstem::accounts::Identity;
use mainstem::core::ErrorKind;
use mainstem::core::change::Shape;
use mainstem::core::event::Digest;
use mainstem::core::format::page;
use mainstem::core::proposal::Stage;
use mainstem::error::{Error, Result};
use mainstem::ledger::ProposalsWanted;
use mainstem::review::{Judged, State};
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Proposals that are looked at for one answer: what merging does is found for each that is open.
const LOOKED_AT_MAX: usize = 200;

/// Which proposals.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposalsAsked {
    /// Only those in this state: `open`, `has-conflicts`, `approved`, `rejected`, `merging`, `merged`, `merge-failed`,
    /// `withdrawn` or `superseded`.
    state: Option<String>,
    /// Only those of this actor.
    actor: Option<String>,
    /// Only those before this one.
    before: Option<u64>,
    /// How many at most.
    limit: Option<usize>,
}

/// Proposals, newest first.
pub async fn proposals(
    Server(shared): Server<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    Asked(asked): Asked<ProposalsAsked>,
) -> Answer<Listed<ShownProposalLine>> {
    let limit = limit(asked.limit)?;
    let unknown = |state: &str| Error::invalid(format!("{state:?} is no state of proposals"));
    let state = asked.state.as_deref().map(|state| state_named(state).ok_or_else(|| unknown(state))).transpose()?;
    let stages = state.map(stages_of).unwrap_or_default();
    let wanted = ProposalsWanted { stages, actor: asked.actor, before: asked.before, limit };
    let is_wanted = move |judged: &Judged| state.is_none_or(|only| judged.state() == only);
    let listing = move |acting: &mut Acting<'_>| list(acting, wanted, state.is_some_and(is_of_merging), is_wanted);
    let (found, next) = look(&shared, &identity, &name, listing).await?;
    for judged in found.iter().filter(|judged| judged.is_unfound()) {
        finder::begin(&shared, &name, judged.proposal.id);
    }
    Ok(Json(Listed { items: found.iter().map(ShownProposalLine::from).collect(), next: next.map(|next| next.to_string()) }))
}

/// Proposals that are wanted, newest first, at most as many as are wanted; and before which one there may be more. Where
/// it `is_waiting`, what merging each would do is found first.
pub(in crate::server) fn list(
    acting: &mut Acting<'_>,
    mut wanted: ProposalsWanted,
    is_waiting: bool,
    is_wanted: impl Fn(&Judged) -> bool,
) -> Result<(Vec<Judged>, Option<u64>)> {
    let (mut found, mut looked_at) = (Vec::new(), 0);
    loop {
        let ids = acting.primary.proposals(&wanted)?;
        let is_last = ids.len() < wanted.limit;
        for id in ids {
            wanted.before = Some(id);
            looked_at += 1;
            let judged =
                if is_waiting { acting.primary.proposal(id, acting.by)? } else { acting.primary.proposal_at_once(id, acting.by)? };
            found.extend(judged.filter(&is_wanted));
            if found.len() == wanted.limit || looked_at == LOOKED_AT_MAX {
                return Ok((found, wanted.before));
            }
        }
        if is_last {
            return Ok((found, None));
        }
    }
}

fn state_named(name: &str) -> Option<State> {
    let all = [
        State::Open,
        State::HasConflicts,
        State::Approved,
        State::Rejected,
        State::Merging,
        State::Merged,
        State::MergeFailed,
        State::Withdrawn,
        State::Superseded,
    ];
    all.into_iter().find(|state| state.name() == name)
}

/// Whether what merging would do decides if a proposal is in that state.
fn is_of_merging(state: State) -> bool {
    matches!(state, State::Open | State::HasConflicts | State::Approved | State::Rejected | State::MergeFailed)
}

/// The stages in which a proposal may be in a state. Votes reject what nobody closed.
fn stages_of(state: State) -> Vec<Stage> {
    match state {
        State::Open | State::Approved => vec![Stage::Open],
        State::HasConflicts | State::MergeFailed => vec![Stage::Open, Stage::MergeFailed],
        State::Rejected => vec![Stage::Open, Stage::MergeFailed, Stage::Rejected],
        State::Merging => vec![Stage::Merging],
        State::Merged => vec![Stage::Merged],
        State::Withdrawn => vec![Stage::Withdrawn],
        State::Superseded => vec![Stage::Superseded],
    }
}

/// One proposal.
pub async fn proposal(
    Server(shared): Server<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((name, id)): Named<(String, u64)>,
) -> Answer<ShownProposal> {
    let judged = look(&shared, &identity, &name, move |acting| acting.judged(id)).await?;
    Ok(Json(ShownProposal::from(&judged)))
}

/// Which changes of what merging does.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangesAsked {
    /// The digest of what merging does, as the proposal's result says it.
    digest: String,
    /// Which page, from 0.
    page: Option<u64>,
}

/// The changes that merging makes, or made, page by page.
pub async fn changes(
    Server(shared): Server<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((name, id)): Named<(String, u64)>,
    Asked(asked): Asked<ChangesAsked>,
) -> Answer<Listed<ShownChange>> {
    let (digest, at) = (digest(&asked.digest)?, asked.page.unwrap_or(0));
    Ok(Json(look(&shared, &identity, &name, move |acting| shown_page(acting, id, &digest, at)).await?))
}

fn shown_page(acting: &mut Acting<'_>, id: u64, digest: &Digest, at: u64) -> Result<Listed<ShownChange>> {
    let stale = || {
        let message = format!("merging proposal {id} does something else by now");
        Error::new(ErrorKind::Conflict, "stale_base", message).hint("GET the proposal again")
    };
    let judged = acting.judged(id)?;
    let merged = judged.proposal.version.map(|version| acting.primary.version(version)).transpose()?.flatten();
    let outcome = match (&judged.assessment, &merged) {
        (Some(assessment), _) if assessment.digest == *digest => &assessment.outcome,
        (None, Some(version)) if version.review.as_ref().is_some_and(|reviewed| reviewed.digest == *digest) => version,
        _ => return Err(stale()),
    };
    if outcome.pages == 0 && at == 0 {
        return Ok(Listed { items: Vec::new(), next: None });
    }
    if at >= outcome.pages {
        return Err(Error::not_found(format!("there is no page {at} of {}", outcome.pages)));
    }
    let bytes = acting.primary.shown_page(id, digest, at)?.ok_or_else(stale)?;
    listed(&bytes, &outcome.shapes, at, outcome.pages)
}

/// Which changes of a revision.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferedAsked {
    /// Which page, from 0.
    page: Option<u64>,
}

/// The changes of a revision as they were offered, page by page.
pub async fn offered(
    Server(shared): Server<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((name, id, revision)): Named<(String, u64, u64)>,
    Asked(asked): Asked<OfferedAsked>,
) -> Answer<Listed<ShownChange>> {
    let at = asked.page.unwrap_or(0);
    Ok(Json(look(&shared, &identity, &name, move |acting| staged_page(acting, id, revision, at)).await?))
}

fn staged_page(acting: &mut Acting<'_>, id: u64, number: u64, at: u64) -> Result<Listed<ShownChange>> {
    let judged = acting.judged(id)?;
    let place = number.checked_sub(1).and_then(|place| usize::try_from(place).ok());
    let found = place.and_then(|place| judged.proposal.revisions.get(place));
    let (_, _, revision) = found.ok_or_else(|| Error::not_found(format!("proposal {id} has no revision {number}")))?;
    if revision.pages == 0 && at == 0 {
        return Ok(Listed { items: Vec::new(), next: None });
    }
    if at >= revision.pages {
        return Err(Error::not_found(format!("there is no page {at} of {}", revision.pages)));
    }
    let gone = || Error::not_found(format!("the rows of revision {number} of proposal {id} are not kept any more"));
    let bytes = acting.primary.staged_page(id, number, at)?.ok_or_else(gone)?;
    listed(&bytes, &revision.front.shapes, at, revision.pages)
}

fn listed(bytes: &[u8], shapes: &[Shape], at: u64, pages: u64) -> Result<Listed<ShownChange>> {
    let changes = page::decode(bytes, shapes)?;
    let items = changes.iter().map(|change| ShownChange::new(&shapes[change.table], change)).collect();
    Ok(Listed { items, next: (at + 1 < pages).then(|| (at + 1).to_string()) })
}
