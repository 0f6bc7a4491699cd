//! The chain of events, and whether it is whole.
use super::{Answer, limit};
use crate::server::Shared;
use crate::server::asked::{Asked, Named};
use crate::server::reading::read;
use crate::wire::audit::{ShownAudit, ShownLink};
use crate::wire::shown::Listed;
use axum::Json;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::audit::{Audit, Finding, Link, Remembered, verify};
use mainstem::core::event::Digest;
use mainstem::error::{Error, Result};
use mainstem::primary::Primary;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// Bytes of events that are read at once, and that an answer has about at most.
const BYTES_MAX: usize = 1 << 20;
/// What a verification says of what is wrong, at most.
const FINDINGS_MAX: usize = 100;

/// Which events.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsAsked {
    /// Those after this place; from the first on where nobody says.
    after: Option<u64>,
    /// How many at most.
    limit: Option<usize>,
}

/// The events of the chain, oldest first.
pub async fn events(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    Asked(asked): Asked<EventsAsked>,
) -> Answer<Listed<ShownLink>> {
    let (after, limit) = (asked.after.unwrap_or(0), limit(asked.limit)? as u64);
    let listed = read(&shared, &identity, &name, move |primary| {
        let mut links = primary.events(after, BYTES_MAX)?;
        links.retain(|link| link.position <= after.saturating_add(limit));
        let last = links.last().map_or(after, |link| link.position);
        let is_end = last >= primary.describe()?.head.events;
        Ok(Listed { items: links.iter().map(ShownLink::from).collect(), next: (!is_end).then(|| last.to_string()) })
    });
    Ok(Json(listed.await?))
}

/// The events after one place up to another, oldest first.
pub(in crate::server) fn between(primary: &mut dyn Primary, mut after: u64, last: u64) -> Result<Vec<Link>> {
    let mut links = Vec::new();
    while after < last {
        let more = primary.events(after, BYTES_MAX)?;
        let Some(end) = more.last().map(|link| link.position) else { break };
        links.extend(more.into_iter().filter(|link| link.position <= last));
        after = end;
    }
    Ok(links)
}

/// What a verification compares with.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerificationAsked {
    /// The hash of an event that somebody wrote down, in 64 hexadecimal digits; it must be in the chain.
    head: Option<String>,
}

/// Whether the chain is whole, and what is stored is what it says.
pub async fn verification(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    Asked(asked): Asked<VerificationAsked>,
) -> Answer<ShownAudit> {
    let head = asked.head.as_deref().map(digest).transpose()?;
    let verifying = move |primary: &mut dyn Primary| {
        let (audit, findings, total) = verified(primary, head)?;
        Ok(ShownAudit::new(&audit, &findings, total))
    };
    Ok(Json(read(&shared, &identity, &name, verifying).await?))
}

fn digest(text: &str) -> Result<Digest> {
    let unfit = || Error::invalid("a hash has 64 hexadecimal digits");
    let pairs: Option<Vec<u8>> = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect();
    pairs.ok_or_else(unfit)?.try_into().map_err(|_| unfit())
}

/// What a verification comes to, the first of what it finds, and how much that is in all.
pub(in crate::server) fn verified(primary: &mut dyn Primary, head: Option<Digest>) -> Result<(Audit, Vec<Finding>, u64)> {
    let (mut findings, mut total) = (Vec::new(), 0);
    let mut take = |finding| {
        total += 1;
        if findings.len() < FINDINGS_MAX {
            findings.push(finding);
        }
        Ok(())
    };
    let audit = verify(primary, Remembered { known: None, head }, &mut take, &mut |_, _, _| {})?;
    Ok((audit, findings, total))
}
