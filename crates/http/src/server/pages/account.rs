//! One's own account: tokens, replicas, browsers.
//!
//! Invariant: a new token's text is in the one answer that creates it, and nowhere else.
use super::{Asked, Shown, led_to, moment, shown};
use crate::server::Shared;
use crate::server::access::{end_token, make_token, shut_out, sign_out, signed_in};
use crate::server::asked::Named;
use crate::server::browser::{Fields, Visit};
use crate::server::people::datasets::readable;
use crate::wire::access::NewToken;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::author::permit;
use mainstem::core::account::{Accounts, Token as Known};
use mainstem::core::authority::{Limit, Object, Right};
use mainstem::core::stamp::Time;
use mainstem::error::{Error, Result};
use mainstem_pages::account::{Browser, Browsers, Made, Replica, Replicas, Token, TokenState, Tokens};
use mainstem_pages::notice::Notice;
use std::sync::Arc;

const DAY_S: u64 = 24 * 3_600;

type Who = Extension<Identity>;
type Form = Extension<Fields>;

fn may_change(identity: &Identity) -> bool {
    permit(identity, Right::Own, Object::Account).is_ok()
}

/// One's tokens, with the text of the one that was just made.
pub(super) fn tokens_page(shared: &Shared, visit: &Visit, identity: &Identity, made: Option<Made>) -> Result<Tokens> {
    let (accounts, now) = (shared.registrar.accounts(), shared.registrar.now());
    let mut own: Vec<&Known> = accounts.tokens().filter(|token| token.actor == identity.actor).collect();
    own.sort_by_key(|token| (token.revoked_at.is_some(), std::cmp::Reverse(token.id)));
    Ok(Tokens {
        frame: visit.frame("Tokens"),
        tokens: own.into_iter().map(|token| token_of(token, identity, now)).collect(),
        made,
        datasets: readable(shared, identity)?,
        others: if permit(identity, Right::Own, Object::Server).is_ok() { others(&accounts, identity) } else { Vec::new() },
        may_change: may_change(identity),
        address: visit.address.clone(),
    })
}

/// The names of those whom an administrator may make tokens for.
fn others(accounts: &Accounts, identity: &Identity) -> Vec<String> {
    let may_act = accounts.actors().filter(|actor| actor.id != identity.actor && !actor.is_disabled);
    may_act.map(|actor| actor.name.clone()).collect()
}

fn token_of(token: &Known, identity: &Identity, now: Time) -> Token {
    let state = match (token.is_good(now), token.revoked_at) {
        (true, _) => TokenState::Good,
        (false, None) => TokenState::Expired,
        (false, Some(_)) => TokenState::Revoked,
    };
    Token {
        id: token.id,
        label: token.label.clone(),
        limit: limit_text(&token.limit),
        created_at: moment(token.created_at),
        expires_at: token.expires_at.map(moment),
        state,
        is_current: token.id == identity.token,
    }
}

fn limit_text(limit: &Limit) -> String {
    let right = limit.right.map_or("everything", |right| right.name());
    limit.dataset.as_ref().map_or_else(|| right.to_string(), |dataset| format!("{right}, on {dataset} alone"))
}

/// One's tokens.
pub async fn tokens(State(shared): State<Arc<Shared>>, Extension(visit): Asked, Extension(identity): Who) -> Shown {
    shown(&tokens_page(&shared, &visit, &identity, None)?)
}

/// Makes a token, and shows its text this once.
pub async fn add_token(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Who,
    Extension(fields): Form,
) -> Shown {
    let fields = fields.only(&["actor", "label", "right", "dataset", "days"])?;
    let said = |name| Ok::<_, Error>(fields.maybe(name)?.map(ToString::to_string));
    let days = fields.maybe("days")?.map(|days| days.parse::<u64>().map_err(|_| Error::invalid(format!("{days} is no number of days"))));
    let wish = NewToken {
        actor: said("actor")?,
        label: said("label")?.unwrap_or_default(),
        right: said("right")?,
        dataset: said("dataset")?,
        lives_s: days.transpose()?.map(|days| days.saturating_mul(DAY_S)),
    };
    let whose = wish.actor.clone();
    let made = make_token(&shared, identity.clone(), wish).await?;
    shown(&tokens_page(&shared, &visit, &identity, Some(Made { text: made.token, whose, is_first: false }))?)
}

/// Revokes a token.
pub async fn revoke_token(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Who,
    Named(token): Named<String>,
    Extension(fields): Form,
) -> Shown {
    fields.only(&[])?;
    end_token(&shared, identity, token).await?;
    led_to("/account/tokens")
}

/// One's replicas; an administrator's are all.
pub async fn replicas(State(shared): State<Arc<Shared>>, Extension(visit): Asked, Extension(identity): Who) -> Shown {
    let accounts = shared.registrar.accounts();
    let sees_all = permit(&identity, Right::Own, Object::Server).is_ok();
    let visible = accounts.devices().filter(|device| sees_all || device.actor == identity.actor);
    let replica = |device: &mainstem::core::account::Device| Replica {
        id: device.replica.to_string(),
        short: device.replica.short(),
        actor: accounts.actor(device.actor).map(|actor| actor.name.clone()).unwrap_or_default(),
        dataset: device.dataset.clone(),
        registered_at: moment(device.registered_at),
        revoked_at: device.revoked_at.map(moment),
    };
    let page = Replicas {
        frame: visit.frame("Replicas"),
        replicas: visible.map(replica).collect(),
        may_change: may_change(&identity),
        address: visit.address.clone(),
    };
    shown(&page)
}

/// Shuts a replica out.
pub async fn revoke_replica(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Who,
    Named(replica): Named<String>,
    Extension(fields): Form,
) -> Shown {
    fields.only(&[])?;
    shut_out(&shared, identity, replica).await?;
    led_to("/account/replicas")
}

/// Where one is signed in.
pub async fn browsers(State(shared): State<Arc<Shared>>, Extension(visit): Asked, Extension(identity): Who) -> Shown {
    let accounts = shared.registrar.accounts();
    let current = visit.visitor.as_ref().map(|visitor| visitor.sign_in);
    let all = signed_in(&shared, &identity)?;
    let browser = |each: &mainstem::sign_in::SignIn| Browser {
        id: each.id,
        name: each.browser.clone(),
        token: token_name(&accounts, each.token),
        began_at: moment(each.began_at),
        seen_at: moment(each.seen_at),
        is_current: current == Some(each.id),
    };
    shown(&Browsers { frame: visit.frame("Browsers"), browsers: all.iter().map(browser).collect() })
}

fn token_name(accounts: &Accounts, id: u64) -> String {
    let label = accounts.token(id).map(|token| token.label.clone()).unwrap_or_default();
    if label.is_empty() { format!("token {id}") } else { label }
}

/// Signs out in a browser.
pub async fn end_browser(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Who,
    Named(browser): Named<String>,
    Extension(fields): Form,
) -> Shown {
    fields.only(&[])?;
    let ended = sign_out(&shared, &identity, &browser)?;
    let is_current = visit.visitor.as_ref().is_some_and(|visitor| visitor.sign_in == ended);
    led_to(if is_current { "/sign-in" } else { "/account/browsers" })
}

/// What a page says after something was done, by the word in its address.
pub(super) fn said(word: Option<&str>) -> Option<Notice> {
    let text = match word? {
        "role" => "the role is as you wished.",
        "policy" => "the policy is replaced.",
        "answered" => "the conflicts are answered; the next sync of each copy brings the answers.",
        "restored" => "the rows are back.",
        "removed" => "it is removed.",
        "resent" => "the delivery is sent again.",
        "added" => "it is added.",
        _ => return None,
    };
    Some(Notice::good(text))
}
