//! A dataset, its tables and its replicas.
use super::{Asked, Shown, framed, moment, shown};
use crate::server::Shared;
use crate::server::asked::Named;
use crate::server::reading::read;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::core::event::Version;
use mainstem::core::schema::Schema;
use mainstem::primary::{Description, KnownReplica};
use mainstem_pages::address::path;
use mainstem_pages::dataset::{Dataset, Replica, Table};
use std::sync::Arc;

/// A dataset.
pub async fn dataset(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
) -> Shown {
    let (description, schema, replicas, latest) = read(&shared, &identity, &name, |primary| {
        let description = primary.describe()?;
        let latest = primary.version(description.head.version)?;
        Ok((description, primary.schema()?, primary.replicas()?, latest))
    })
    .await?;
    let frame = framed(&visit, &name, "", name.clone())?;
    let head = description.head.version;
    shown(&Dataset {
        frame,
        version: head,
        latest: latest.as_ref().map(|version: &Version| (moment(version.accepted_at), version.header.actor.clone())),
        horizon: description.horizon,
        is_archived: shared.hall.datasets().is_archived(&name)?,
        tables: tables(&name, &schema, &description),
        replicas: replicas.iter().map(|known| replica(known, head)).collect(),
        address: format!("{}/{name}", visit.address),
        is_part: description.scope != [0; 32],
        name,
    })
}

fn tables(dataset: &str, schema: &Schema, description: &Description) -> Vec<Table> {
    let rows = |name: &str| description.tables.iter().find(|of| of.table.eq_ignore_ascii_case(name)).map_or(0, |of| of.rows);
    let table = |table: &mainstem::core::schema::Table| Table {
        name: table.name.clone(),
        to: path(&["datasets", dataset, "tables", &table.name]),
        rows: rows(&table.name),
        columns: columns(table),
    };
    schema.tables.iter().map(table).collect()
}

/// A table's columns: name, declared type, whether it is of the key.
pub(super) fn columns(table: &mainstem::core::schema::Table) -> Vec<(String, String, bool)> {
    let of = |(at, column): (usize, &mainstem::core::schema::Column)| {
        (column.name.clone(), column.declared_type.clone(), table.key.contains(&at))
    };
    table.columns.iter().enumerate().map(of).collect()
}

fn replica(known: &KnownReplica, head: u64) -> Replica {
    Replica {
        name: known.seen.replica.short(),
        actor: known.seen.actor.clone(),
        version: known.seen.version,
        lag: head.saturating_sub(known.seen.version),
        seen_at: moment(known.at),
        is_expired: known.is_expired,
        must_reseed: known.must_reseed,
    }
}
