//! What is done to a proposal while it is open: votes, comments, decisions, answers to conflicts, a part taken out.
use crate::server::Shared;
use crate::server::access::body_of;
use crate::server::acting::act;
use crate::server::asked::Named;
use crate::server::people::Answer;
use crate::server::routes::Right;
use crate::wire::given::{GivenAnswers, GivenComment, GivenDecision, GivenPart, GivenRevert, GivenVote};
use crate::wire::proposal::{ShownAnswered, ShownOffered, ShownPart, ShownProposal};
use crate::wire::request;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use hyper::HeaderMap;
use mainstem::accounts::Identity;
use mainstem::review::Deed;
use std::sync::Arc;

type All = State<Arc<Shared>>;
type Who = Extension<Identity>;
type Which = Named<(String, u64)>;

async fn done(
    shared: &Arc<Shared>,
    identity: &Identity,
    (name, id): (String, u64),
    headers: &HeaderMap,
    deed: Deed,
) -> Answer<ShownProposal> {
    let key = request::get(headers)?;
    let judged = act(shared, identity, &name, Right::Propose, move |acting| acting.for_request(key).deed(id, &deed)).await?;
    Ok(Json(ShownProposal::from(&judged)))
}

/// Votes.
pub async fn vote(
    State(shared): All,
    Extension(identity): Who,
    Named((name, id)): Which,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<ShownProposal> {
    let given: GivenVote = body_of(&headers, &body)?;
    done(&shared, &identity, (name, id), &headers, Deed::Vote(given.ballot()?)).await
}

/// Says something.
pub async fn comment(
    State(shared): All,
    Extension(identity): Who,
    Named((name, id)): Which,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<ShownProposal> {
    let given: GivenComment = body_of(&headers, &body)?;
    done(&shared, &identity, (name, id), &headers, Deed::Comment(given.remark()?)).await
}

/// Withdraws, rejects, or opens again.
pub async fn decide(
    State(shared): All,
    Extension(identity): Who,
    Named((name, id)): Which,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<ShownProposal> {
    let given: GivenDecision = body_of(&headers, &body)?;
    done(&shared, &identity, (name, id), &headers, Deed::Decide(given.decision()?)).await
}

/// Answers every open conflict.
pub async fn answer(
    State(shared): All,
    Extension(identity): Who,
    Named((name, id)): Which,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<ShownAnswered> {
    let (answers, others) = body_of::<GivenAnswers>(&headers, &body)?.answers()?;
    let key = request::get(&headers)?;
    let answering = act(&shared, &identity, &name, Right::Write, move |acting| acting.for_request(key).answer(id, answers, others));
    let revision = answering.await?;
    Ok(Json(ShownAnswered { proposal: id, revision }))
}

/// Narrows a proposal to some rows.
pub async fn part(
    State(shared): All,
    Extension(identity): Who,
    Named((name, id)): Which,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<ShownPart> {
    let only = body_of::<GivenPart>(&headers, &body)?.chosen()?;
    let key = request::get(&headers)?;
    let rest = act(&shared, &identity, &name, Right::Write, move |acting| acting.for_request(key).accept_part(id, &only)).await?;
    Ok(Json(ShownPart { proposal: id, rest }))
}

/// Proposes to take a version back.
pub async fn revert(
    State(shared): All,
    Extension(identity): Who,
    Named((name, version)): Which,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<ShownOffered> {
    let GivenRevert { reason } = body_of(&headers, &body)?;
    let key = request::get(&headers)?;
    let reverting = act(&shared, &identity, &name, Right::Propose, move |acting| acting.for_request(key).propose_revert(version, &reason));
    Ok(Json(ShownOffered { proposal: reverting.await? }))
}
