//! Datasets, their replicas and policies.
use super::Answer;
use crate::server::Shared;
use crate::server::access::body_of;
use crate::server::asked::{Asked, Named};
use crate::server::guard::still;
use crate::server::hall::Handle;
use crate::server::reading::read;
use crate::wire::keeping::{Confirmed, DatasetChange, DatasetsAsked, PolicyWish, ShownDataset, ShownPolicy};
use crate::wire::shown::{Listed, ShownReplica};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use hyper::HeaderMap;
use mainstem::accounts::Identity;
use mainstem::author::permit;
use mainstem::core::account::{Accounts, Fact};
use mainstem::core::authority::{Object, Right};
use mainstem::error::{Error, Result};
use mainstem::primary::Primary;
use std::sync::Arc;

/// Every dataset that whoever asks may read.
pub async fn datasets(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Asked(asked): Asked<DatasetsAsked>,
) -> Answer<Listed<ShownDataset>> {
    let mut items = Vec::new();
    for name in readable(&shared, &identity)? {
        match described(&shared, &identity, &name).await {
            Ok(shown) if asked.all || !shown.is_archived => items.push(shown),
            Ok(_) => {}
            // It was deleted since.
            Err(e) if e.code == "no_primary" => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(Json(Listed { items, next: None }))
}

/// The names of the datasets that somebody may read.
pub(in crate::server) fn readable(shared: &Shared, identity: &Identity) -> Result<Vec<String>> {
    let mut names = shared.hall.datasets().names()?;
    names.retain(|name| permit(identity, Right::Read, Object::Within(name)).is_ok());
    Ok(names)
}

async fn described(shared: &Arc<Shared>, identity: &Identity, name: &str) -> Result<ShownDataset> {
    let (datasets, named) = (shared.hall.datasets(), name.to_string());
    let look = move |primary: &mut dyn Primary| Ok(ShownDataset::new(&named, &primary.describe()?, datasets.is_archived(&named)?));
    read(shared, identity, name, look).await
}

/// One dataset.
pub async fn dataset(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
) -> Answer<ShownDataset> {
    Ok(Json(described(&shared, &identity, &name).await?))
}

/// Archives a dataset, or takes it out of the archive.
pub async fn change(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<ShownDataset> {
    let wish: DatasetChange = body_of(&headers, &body)?;
    let (accounts, who, dataset) = (shared.clone(), identity.clone(), name.clone());
    let work = move |_: &mut Handle| {
        still(&accounts, &who, Right::Own, &dataset)?;
        accounts.hall.datasets().archive(&dataset, wish.is_archived)
    };
    // After the writers before it: whoever hears of it hears of a dataset that stands still.
    shared.hall.with(&name, true, work).await?;
    Ok(Json(described(&shared, &identity, &name).await?))
}

/// Deletes an archived dataset, and every role on it.
pub async fn delete(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    Asked(confirmed): Asked<Confirmed>,
) -> Answer<()> {
    shared.hall.with(&name, false, |_| Ok(())).await?;
    if confirmed.name != name {
        let message = format!("{} is not the name of what would be deleted, which is {name}", confirmed.name);
        return Err(Error::invalid(message).hint(format!("mainstem datasets delete ADDRESS --confirm {name}")).into());
    }
    let (accounts, dataset) = (shared.clone(), name.clone());
    let work = move || {
        still(&accounts, &identity, Right::Own, &dataset)?;
        let datasets = accounts.hall.datasets();
        if datasets.is_archived(&dataset)? {
            // First, so that whoever makes a dataset of that name never has anybody's roles on it.
            accounts.registrar.change(identity.actor, |known| Ok(without_roles(known, &dataset)))?;
        }
        datasets.delete(&dataset)
    };
    shared.hall.alone(&name, work).await?;
    Ok(Json(()))
}

/// The end of every role on a dataset.
fn without_roles(accounts: &Accounts, dataset: &str) -> Vec<Fact> {
    let grants = accounts.actors().flat_map(|actor| actor.grants.iter().map(move |grant| (actor.id, grant)));
    let here = grants.filter(|(_, grant)| grant.dataset == dataset);
    here.map(|(actor, of)| Fact::RoleSet { actor, dataset: of.dataset.clone(), table: of.table.clone(), role: None }).collect()
}

/// The policy in force.
pub async fn policy(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
) -> Answer<ShownPolicy> {
    let policy = read(&shared, &identity, &name, |primary| Ok(primary.describe()?.policy)).await?;
    Ok(Json(ShownPolicy { policy }))
}

/// Replaces the policy.
pub async fn set_policy(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<ShownPolicy> {
    let wish: PolicyWish = body_of(&headers, &body)?;
    Ok(Json(ShownPolicy { policy: put_policy(&shared, identity, &name, wish.policy).await? }))
}

/// Replaces the policy; answers the one in force.
pub(in crate::server) async fn put_policy(shared: &Arc<Shared>, identity: Identity, name: &str, policy: String) -> Result<String> {
    let (accounts, dataset) = (shared.clone(), name.to_string());
    let set = move |primary: &mut Handle| {
        let identity = still(&accounts, &identity, Right::Own, &dataset)?;
        primary.set_policy(&policy, &identity.name)?;
        Ok(primary.describe()?.policy)
    };
    shared.hall.change(name, set).await
}

/// The replicas that were heard of, those heard of last first.
pub async fn replicas(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
) -> Answer<Listed<ShownReplica>> {
    let look = |primary: &mut dyn Primary| Ok((primary.replicas()?, primary.describe()?.head.version));
    let (known, head) = read(&shared, &identity, &name, look).await?;
    Ok(Json(Listed { items: known.iter().map(|known| ShownReplica::new(known, head)).collect(), next: None }))
}
