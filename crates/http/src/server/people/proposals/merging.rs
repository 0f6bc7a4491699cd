//! Merging a proposal, what that would come to, and what stays staged afterwards.
use crate::server::Shared;
use crate::server::access::body_of;
use crate::server::acting::{Acting, act, look};
use crate::server::asked::Named;
use crate::server::people::Answer;
use crate::server::routes::Right;
use crate::wire::given::GivenMerge;
use crate::wire::keeping::CleanupWish;
use crate::wire::proposal::{ShownMerged, ShownPlan, ShownProposal};
use crate::wire::request;
use crate::wire::shown::Listed;
use crate::wire::staged::{ShownStaged, ShownUnstaged};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use hyper::HeaderMap;
use mainstem::accounts::Identity;
use mainstem::cleanup::Rehearsal;
use mainstem::core::gate::GateResult;
use mainstem::error::{Error, Result};
use mainstem::review::{Judged, Privilege};
use std::sync::Arc;

/// What merging a proposal would come to.
pub async fn plan(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((name, id)): Named<(String, u64)>,
) -> Answer<ShownPlan> {
    Ok(Json(look(&shared, &identity, &name, move |acting| planned(acting, id)).await?))
}

fn planned(acting: &mut Acting<'_>, id: u64) -> Result<ShownPlan> {
    let judged = acting.judged(id)?;
    let mut against = against(&judged);
    if let Err(refused) = acting.author.check_merge(id, acting.primary) {
        against.push(refused.message);
    }
    let has = |privilege| acting.by.people.has(acting.by.actor, privilege);
    Ok(ShownPlan {
        would_merge: against.is_empty(),
        against,
        may_force: has(Privilege::Force),
        may_skip_conflicts: has(Privilege::SkipConflicts),
        proposal: ShownProposal::from(&judged),
    })
}

/// What stands in the way of a merge, a line each.
fn against(judged: &Judged) -> Vec<String> {
    let Some(assessment) = &judged.assessment else {
        return vec![format!("it is {}", judged.state().name())];
    };
    let mut against = judged.tally.missing.clone();
    match assessment.conflicts_open() {
        0 => {}
        1 => against.push("one conflict is open".to_string()),
        open => against.push(format!("{open} conflicts are open")),
    }
    let blocking = assessment.gates.iter().filter(|gate| gate.is_blocking());
    against.extend(blocking.map(|GateResult { gate, .. }| format!("gate {gate} does not pass")));
    against
}

/// Merges a proposal. Whoever asks twice is told the same.
pub async fn merge(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((name, id)): Named<(String, u64)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<ShownMerged> {
    let wish = body_of::<GivenMerge>(&headers, &body)?.wish()?;
    if request::get(&headers)?.is_some_and(|key| key != wish.request) {
        return Err(Error::invalid("the request's name in the body and the one in the header are two").into());
    }
    let merged = act(&shared, &identity, &name, Right::Write, move |acting| acting.merge(id, &wish)).await?;
    Ok(Json(ShownMerged::new(id, &merged)))
}

/// The staged rows of proposals, oldest first.
pub async fn staging(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
) -> Answer<Listed<ShownStaged>> {
    let staged = look(&shared, &identity, &name, |acting| acting.primary.staging()).await?;
    Ok(Json(Listed { items: staged.iter().map(ShownStaged::from).collect(), next: None }))
}

/// Removes staged rows that are kept longer than the policy says, or says which those are.
pub async fn clean_staging(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<ShownUnstaged> {
    let CleanupWish { dry_run } = body_of(&headers, &body)?;
    let rehearsal = if dry_run { Rehearsal::DryRun } else { Rehearsal::Real };
    let clean = act(&shared, &identity, &name, Right::Own, move |acting| acting.primary.clean_staging(rehearsal, acting.by));
    Ok(Json(ShownUnstaged { dry_run, removed: clean.await?.iter().map(ShownStaged::from).collect() }))
}
