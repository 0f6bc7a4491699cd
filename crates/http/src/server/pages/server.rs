//! The server itself, for its administrators.
use super::account::said;
use super::{Asked, Shown, led_to, moment, shown};
use crate::server::Shared;
use crate::server::access::{alter_actor, make_actor};
use crate::server::asked::{Asked as Query, Named};
use crate::server::browser::Fields;
use crate::server::meters::Measured;
use crate::wire::access::{ActorChange, NewActor};
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::core::account::Actor as Known;
use mainstem::core::stamp::Time;
use mainstem::error::Error;
use mainstem_pages::address::path;
use mainstem_pages::server::{Actor, Number, People, Server};
use mainstem_pages::value::grouped;
use serde::Deserialize;
use std::sync::Arc;

/// What was done just before.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    done: Option<String>,
}

/// What the server has counted.
pub async fn server(State(shared): State<Arc<Shared>>, Extension(visit): Asked) -> Shown {
    let measured = serde_json::to_value(Measured::of(&shared)).unwrap_or_default();
    let numbers = measured.as_object().cloned().unwrap_or_default();
    let of = |title: &'static str, is_here: &dyn Fn(&str) -> bool| {
        let mine = numbers.iter().filter(|(name, _)| is_here(name));
        (title, mine.map(|(name, number)| shown_number(name, number)).collect::<Vec<_>>())
    };
    let sync = ["pushes", "pulls", "last_sync_seconds", "replicas_waiting"];
    let is_feed = |name: &str| name.starts_with("feed_") || name.starts_with("webhook");
    let groups = vec![
        of("Syncing", &|name| sync.contains(&name)),
        of("Feeds and webhooks", &is_feed),
        of("Requests and resources", &|name| !sync.contains(&name) && !is_feed(name)),
    ];
    shown(&Server { frame: visit.frame("Server"), groups, version: env!("CARGO_PKG_VERSION") })
}

/// A number as people read it: sizes in their units, the moment of the last sync as that.
fn shown_number(name: &str, number: &serde_json::Value) -> Number {
    let (whole, real) = (number.as_u64().unwrap_or(0), number.as_f64().unwrap_or(0.0));
    let text = match name {
        "bytes_in" | "bytes_out" | "memory_bytes" => bytes(whole),
        "last_sync_seconds" if real == 0.0 => "never".to_string(),
        "webhook_failure_rate" => format!("{:.1} %", real * 100.0),
        _ => number.as_u64().map_or_else(|| format!("{real:.1}"), grouped),
    };
    let is_moment = name == "last_sync_seconds" && real > 0.0;
    let what = match name {
        "last_sync_seconds" => "last sync".to_string(),
        "memory_bytes" => "memory".to_string(),
        _ => name.replace('_', " "),
    };
    Number { what, text, at: is_moment.then(|| moment(Time::from_ms((real * 1_000.0) as u64))) }
}

fn bytes(count: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units.into_iter().find(|(_, size)| count >= *size);
    unit.map_or_else(|| format!("{count} B"), |(unit, size)| format!("{:.1} {unit}", count as f64 / size as f64))
}

/// Everybody who is known.
pub async fn people(State(shared): State<Arc<Shared>>, Extension(visit): Asked, Query(query): Query<Done>) -> Shown {
    let accounts = shared.registrar.accounts();
    let mut frame = visit.frame("People");
    frame.notice = said(query.done.as_deref());
    shown(&People { frame, actors: accounts.actors().map(actor).collect(), address: visit.address.clone() })
}

fn actor(known: &Known) -> Actor {
    let role = |grant: &mainstem::core::authority::Grant| {
        let table = grant.table.as_ref().map(|table| format!(".{table}")).unwrap_or_default();
        format!("{} of {}{table}", grant.role.name(), grant.dataset)
    };
    Actor {
        name: known.name.clone(),
        to: path(&["people", &known.name]),
        added_at: moment(known.added_at),
        is_disabled: known.is_disabled,
        is_administrator: known.is_administrator,
        roles: known.grants.iter().map(role).collect(),
    }
}

/// Adds somebody.
pub async fn add_person(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Extension(fields): Extension<Fields>,
) -> Shown {
    let name = fields.only(&["name"])?.one("name")?.to_string();
    make_actor(&shared, identity, NewActor { name, is_agent: false, answered_by: None }).await?;
    led_to("/people?done=added")
}

/// Disables, enables, promotes or demotes somebody.
pub async fn change_person(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    Extension(fields): Extension<Fields>,
) -> Shown {
    let wish = match fields.only(&["become"])?.one("become")? {
        "disabled" => ActorChange { is_disabled: Some(true), ..ActorChange::default() },
        "enabled" => ActorChange { is_disabled: Some(false), ..ActorChange::default() },
        "promoted" => ActorChange { is_administrator: Some(true), ..ActorChange::default() },
        "demoted" => ActorChange { is_administrator: Some(false), ..ActorChange::default() },
        other => return Err(Error::invalid(format!("nobody becomes {other}")).into()),
    };
    alter_actor(&shared, identity, name, wish).await?;
    led_to("/people")
}
