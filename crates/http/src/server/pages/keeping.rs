//! How a dataset is run: its policy, its members, its feed.
use super::account::said;
use super::{Asked, Shown, framed, led_to, moment, shown};
use crate::server::Shared;
use crate::server::access::give_role;
use crate::server::asked::{Asked as Query, Named};
use crate::server::browser::{Fields, Visit};
use crate::server::people::datasets::put_policy;
use crate::server::reading::read;
use crate::server::webhooks::{ask, id_of, name_of};
use crate::wire::access::{RoleWish, roles_on};
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::author::permit;
use mainstem::core::ErrorKind;
use mainstem::core::authority::{Object, Right};
use mainstem::error::{Error, Result};
use mainstem::feed::{self, DeadLetter, WebhookState, Webhooks};
use mainstem_pages::address::{asked, path};
use mainstem_pages::feed::{Feed, Letter, Webhook};
use mainstem_pages::members::{Members, Role};
use mainstem_pages::policy::Policy;
use serde::Deserialize;
use std::sync::Arc;

type Who = Extension<Identity>;
type Form = Extension<Fields>;

/// Dead letters of one webhook that are shown.
const LETTERS: usize = 20;

/// What was done just before.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    done: Option<String>,
}

fn back(name: &str, page: &str, done: &str) -> Shown {
    led_to(&asked(&path(&["datasets", name, page]), &[("done", Some(done.to_string()))]))
}

async fn policy_page(
    shared: &Arc<Shared>,
    visit: &Visit,
    identity: &Identity,
    name: &str,
    refused: Option<(String, String)>,
) -> Result<Policy> {
    let text = read(shared, identity, name, |primary| Ok(primary.describe()?.policy)).await?;
    let frame = framed(visit, name, "policy", "Policy".to_string())?;
    let may_change = permit(identity, Right::Own, Object::Dataset(name)).is_ok();
    Ok(Policy { frame, name: name.to_string(), text, refused, may_change })
}

/// The rules of a dataset.
pub async fn policy(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Who,
    Named(name): Named<String>,
    Query(query): Query<Done>,
) -> Shown {
    let mut page = policy_page(&shared, &visit, &identity, &name, None).await?;
    page.frame.notice = said(query.done.as_deref());
    shown(&page)
}

/// Replaces them.
pub async fn set_policy(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Who,
    Named(name): Named<String>,
    Extension(fields): Form,
) -> Shown {
    let fields = fields.only(&["policy"])?;
    // Browsers send every line's end as two characters.
    let typed = fields.maybe("policy")?.unwrap_or_default().replace("\r\n", "\n");
    match put_policy(&shared, identity.clone(), &name, typed.clone()).await {
        Ok(_) => back(&name, "policy", "policy"),
        // What was typed is not lost.
        Err(e) if e.kind == ErrorKind::Invalid => shown(&policy_page(&shared, &visit, &identity, &name, Some((typed, e.message))).await?),
        Err(e) => Err(e.into()),
    }
}

/// Who has which role.
pub async fn members(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Who,
    Named(name): Named<String>,
    Query(query): Query<Done>,
) -> Shown {
    let tables =
        read(&shared, &identity, &name, |primary| Ok(primary.schema()?.tables.iter().map(|table| table.name.clone()).collect::<Vec<_>>()))
            .await?;
    let accounts = shared.registrar.accounts();
    let roles = roles_on(&accounts, &name).into_iter().map(|role| Role { actor: role.actor, table: role.table, role: role.role });
    let mut frame = framed(&visit, &name, "members", "Members".to_string())?;
    frame.notice = said(query.done.as_deref());
    // Whoever owns a dataset names people; only administrators see everybody who is known here.
    let sees_all = permit(&identity, Right::Own, Object::Server).is_ok();
    let actors = accounts.actors().filter(|actor| sees_all && !actor.is_disabled).map(|actor| actor.name.clone()).collect();
    shown(&Members { frame, roles: roles.collect(), actors, tables, address: visit.address.clone(), name })
}

/// Gives a role, or takes it away.
pub async fn set_member(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Who,
    Named(name): Named<String>,
    Extension(fields): Form,
) -> Shown {
    let fields = fields.only(&["actor", "table", "role"])?;
    let said = |name| Ok::<_, Error>(fields.maybe(name)?.map(ToString::to_string));
    let wish = RoleWish { actor: fields.one("actor")?.to_string(), table: said("table")?, role: said("role")? };
    give_role(&shared, identity, name.clone(), wish).await?;
    back(&name, "members", "role")
}

async fn feed_page(shared: &Arc<Shared>, visit: &Visit, identity: &Identity, name: &str, made: Option<String>) -> Result<Feed> {
    let head = read(shared, identity, name, |primary| Ok(feed::now(&primary.describe()?))).await?;
    let sends = shared.webhooks.is_some();
    let dataset = name.to_string();
    let listed = move |webhooks: &dyn Webhooks| {
        let mut found = Vec::new();
        for state in webhooks.list(&dataset)? {
            let letters = webhooks.dead_letters(&dataset, state.webhook.id, 0, LETTERS + 1)?;
            found.push(webhook(state, &letters));
        }
        Ok(found)
    };
    let webhooks = if sends { ask(shared, listed).await? } else { Vec::new() };
    let frame = framed(visit, name, "feed", "Feed".to_string())?;
    Ok(Feed { frame, head: head.to_string(), webhooks, made, sends, address: visit.address.clone(), name: name.to_string() })
}

fn webhook(state: WebhookState, letters: &[DeadLetter]) -> Webhook {
    let letter = |letter: &DeadLetter| Letter {
        id: letter.id,
        after: letter.after.to_string(),
        through: letter.through.to_string(),
        events: letter.events,
        attempts: letter.attempts,
        why: letter.why.clone(),
        at: moment(letter.at),
    };
    Webhook {
        id: name_of(state.webhook.id),
        offset: state.webhook.offset.to_string(),
        created_at: moment(state.webhook.created_at),
        url: state.webhook.url,
        created_by: state.webhook.created_by,
        trouble: state.trouble,
        letters: letters.iter().take(LETTERS).map(letter).collect(),
        has_more: letters.len() > LETTERS,
    }
}

/// How changes are told to others.
pub async fn feed(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Who,
    Named(name): Named<String>,
    Query(query): Query<Done>,
) -> Shown {
    let mut page = feed_page(&shared, &visit, &identity, &name, None).await?;
    page.frame.notice = said(query.done.as_deref());
    shown(&page)
}

/// Sends events to an address; the key is shown this once.
pub async fn add_webhook(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Who,
    Named(name): Named<String>,
    Extension(fields): Form,
) -> Shown {
    let fields = fields.only(&["url", "from"])?;
    let (dataset, url, by) = (name.clone(), fields.one("url")?.to_string(), identity.name.clone());
    let from = fields.maybe("from")?.map(str::parse).transpose()?;
    let (_, key) = ask(&shared, move |webhooks| webhooks.add(&dataset, &url, from, &by)).await?;
    shown(&feed_page(&shared, &visit, &identity, &name, Some(key)).await?)
}

/// Sends no more events to an address.
pub async fn remove_webhook(
    State(shared): State<Arc<Shared>>,
    Named((name, webhook)): Named<(String, String)>,
    Extension(fields): Form,
) -> Shown {
    fields.only(&[])?;
    let (dataset, id) = (name.clone(), id_of(&webhook)?);
    ask(&shared, move |webhooks| webhooks.remove(&dataset, id)).await?;
    back(&name, "feed", "removed")
}

/// Sends a delivery again that was given up.
pub async fn replay(
    State(shared): State<Arc<Shared>>,
    Named((name, webhook, letter)): Named<(String, String, String)>,
    Extension(fields): Form,
) -> Shown {
    fields.only(&[])?;
    let (dataset, id) = (name.clone(), id_of(&webhook)?);
    let letter = letter.parse().map_err(|_| Error::not_found(format!("there is no dead letter {letter}")))?;
    ask(&shared, move |webhooks| webhooks.replay(&dataset, id, letter)).await?;
    back(&name, "feed", "resent")
}
