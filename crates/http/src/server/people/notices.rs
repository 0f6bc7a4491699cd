//! What concerns somebody, gathered from the datasets that they may read.
use super::Answer;
use super::datasets::readable;
use crate::server::Shared;
use crate::server::reading::read;
use crate::server::webhooks::ask;
use crate::wire::shown::ShownNotice;
use axum::Json;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::author::permit;
use mainstem::core::authority::{Object, Right};
use mainstem::core::conflict::Conflict;
use mainstem::core::proposal::Stage;
use mainstem::core::vote::WhyNot;
use mainstem::error::Result;
use mainstem::ledger::ProposalsWanted;
use mainstem::members::Members;
use mainstem::primary::Primary;
use mainstem::review::{self, By, People};
use mainstem_pages::address::path;
use std::sync::Arc;

/// Datasets that are looked at.
const DATASETS_MAX: usize = 100;
/// Open proposals of one dataset that are looked at.
const PROPOSALS_MAX: usize = 50;
/// A token that ends within so many milliseconds is told of.
const SOON_MS: u64 = 14 * 24 * 3_600_000;

/// What concerns whoever asks, what is urgent first.
pub async fn notices(State(shared): State<Arc<Shared>>, Extension(identity): Extension<Identity>) -> Answer<Vec<ShownNotice>> {
    Ok(Json(gathered(&shared, &identity).await?))
}

/// What concerns somebody, what is urgent first.
pub(in crate::server) async fn gathered(shared: &Arc<Shared>, identity: &Identity) -> Result<Vec<ShownNotice>> {
    let mut items = of_account(shared, identity);
    for name in readable(shared, identity)?.into_iter().take(DATASETS_MAX) {
        match of_dataset(shared, identity, &name).await {
            Ok(more) => items.extend(more),
            // One that is deleted meanwhile, or damaged, is told of elsewhere.
            Err(e) if e.code == "no_primary" => {}
            Err(e) => items.push(item(&name, format!("It cannot be read: {}", e.message), path(&["datasets", &name]), true)),
        }
    }
    items.sort_by_key(|item| !item.is_urgent);
    Ok(items)
}

fn item(about: &str, text: String, to: String, is_urgent: bool) -> ShownNotice {
    ShownNotice { about: about.to_string(), text, page: to, is_urgent }
}

fn of_account(shared: &Shared, identity: &Identity) -> Vec<ShownNotice> {
    let (accounts, now) = (shared.registrar.accounts(), shared.registrar.now());
    let own = accounts.tokens().filter(|token| token.actor == identity.actor && token.is_good(now));
    let ending = own.filter(|token| token.expires_at.is_some_and(|end| end.ms() < now.ms() + SOON_MS));
    let told = |token: &mainstem::core::account::Token| {
        let label = if token.label.is_empty() { format!("number {}", token.id) } else { token.label.clone() };
        item("your account", format!("Your token {label} ends soon"), "/account/tokens".to_string(), token.id == identity.token)
    };
    ending.map(told).collect()
}

/// Proposals that wait for somebody's vote, and their own that want something of them.
fn of_proposals(primary: &mut dyn Primary, shared: &Shared, identity: &Identity, name: &str) -> Result<Vec<ShownNotice>> {
    let members = Members { registrar: &shared.registrar, dataset: name };
    let by = By { actor: &identity.name, token: None, request: None, people: &members };
    let stages = Stage::ALL.into_iter().filter(|stage| stage.is_open()).collect();
    let mut items = Vec::new();
    for id in primary.proposals(&ProposalsWanted { stages, limit: PROPOSALS_MAX, ..ProposalsWanted::default() })? {
        let Some(judged) = primary.proposal_at_once(id, by)? else { continue };
        let (proposal, state) = (&judged.proposal, judged.state());
        let title = proposal.head().front.header.title.clone().unwrap_or_else(|| format!("changes of {}", proposal.actor));
        let mut tell =
            |text: String, is_urgent| items.push(item(name, text, path(&["datasets", name, "proposals", &id.to_string()]), is_urgent));
        let is_author = proposal.head().authors.contains(&identity.name);
        let counted = if judged.is_unfound() { &proposal.votes } else { &judged.tally.counted };
        let has_counted = counted.iter().any(|vote| vote.actor == identity.name);
        let voted_before = judged.tally.passed_over.iter().any(|(vote, why)| vote.actor == identity.name && *why == WhyNot::Stale);
        let may_vote = proposal.head().front.shapes.iter().any(|shape| members.voter(&identity.name, &shape.table).may_vote);
        match (is_author, state) {
            (true, review::State::Approved) => tell(format!("Your proposal {id} may be merged: {title}"), true),
            (true, review::State::HasConflicts) => tell(format!("Your proposal {id} has conflicts: {title}"), true),
            (true, review::State::Rejected) => tell(format!("Your proposal {id} was rejected: {title}"), true),
            (true, review::State::MergeFailed) => tell(format!("Merging your proposal {id} failed: {title}"), true),
            (false, _) if voted_before => tell(format!("Proposal {id} changed since your vote: {title}"), true),
            (false, review::State::Open | review::State::HasConflicts) if may_vote && !has_counted => {
                tell(format!("Proposal {id} waits for your vote: {title}"), true)
            }
            _ => {}
        }
    }
    Ok(items)
}

async fn of_dataset(shared: &Arc<Shared>, identity: &Identity, name: &str) -> Result<Vec<ShownNotice>> {
    let (asked, who, dataset) = (shared.clone(), identity.clone(), name.to_string());
    let gather = move |primary: &mut dyn Primary| {
        // Whoever sees a part of it takes no part in reviews.
        let proposals = match of_proposals(primary, &asked, &who, &dataset) {
            Err(e) if e.code == "partial_view" => Vec::new(),
            proposals => proposals?,
        };
        Ok((primary.conflicts(true)?, primary.replicas()?, proposals))
    };
    let (conflicts, replicas, mut items) = read(shared, identity, name, gather).await?;
    let is_mine = |conflict: &&Conflict| conflict.ours.actor == identity.name || conflict.theirs.actor == identity.name;
    let (mine, all) = (conflicts.iter().filter(is_mine).count(), conflicts.len());
    let to = path(&["datasets", name, "conflicts"]);
    if mine > 0 {
        items.push(item(name, format!("{mine} open conflict{} about your edits", plural(mine)), to, true));
    } else if all > 0 && permit(identity, Right::Own, Object::Dataset(name)).is_ok() {
        items.push(item(name, format!("{all} open conflict{} of others", plural(all)), to, false));
    }
    for known in replicas.iter().filter(|known| known.seen.actor == identity.name && known.must_reseed) {
        let text = format!("Your replica {} is too old: its next sync begins anew", known.seen.replica.short());
        items.push(item(name, text, path(&["datasets", name]), false));
    }
    if shared.webhooks.is_some() && permit(identity, Right::Own, Object::Dataset(name)).is_ok() {
        let dataset = name.to_string();
        let troubled = ask(shared, move |webhooks| webhooks.list(&dataset)).await?;
        for state in troubled.iter().filter(|state| state.trouble.is_some()) {
            items.push(item(name, format!("The webhook to {} stands still", state.webhook.url), path(&["datasets", name, "feed"]), true));
        }
    }
    Ok(items)
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
