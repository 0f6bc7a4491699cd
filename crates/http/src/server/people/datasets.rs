//! Datasets, their replicas and policies.
use super::Answer;
use crate::server::Shared;
use crate::server::asked::Named;
use crate::server::guard::permit;
use crate::wire::shown::{Listed, ShownDataset, ShownPolicy, ShownReplica};
use axum::Json;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::core::authority::{Object, Right};
use std::sync::Arc;

/// Every dataset that whoever asks may read.
pub async fn datasets(State(shared): State<Arc<Shared>>, Extension(identity): Extension<Identity>) -> Answer<Listed<ShownDataset>> {
    let mut items = Vec::new();
    let mut names = shared.hall.datasets().names()?;
    names.retain(|name| permit(&identity, Right::Read, Object::Dataset(name)).is_ok());
    for name in names {
        let description = shared.hall.with(&name, false, |primary| primary.describe()).await?;
        items.push(ShownDataset::new(&name, &description));
    }
    Ok(Json(Listed { items, next: None }))
}

/// One dataset.
pub async fn dataset(State(shared): State<Arc<Shared>>, Named(name): Named<String>) -> Answer<ShownDataset> {
    let description = shared.hall.with(&name, false, |primary| primary.describe()).await?;
    Ok(Json(ShownDataset::new(&name, &description)))
}

/// The policy in force.
pub async fn policy(State(shared): State<Arc<Shared>>, Named(name): Named<String>) -> Answer<ShownPolicy> {
    let policy = shared.hall.with(&name, false, |primary| Ok(primary.describe()?.policy)).await?;
    Ok(Json(ShownPolicy { policy }))
}

/// The replicas that were heard of, those heard of last first.
pub async fn replicas(State(shared): State<Arc<Shared>>, Named(name): Named<String>) -> Answer<Listed<ShownReplica>> {
    let (known, head) = shared.hall.with(&name, false, |primary| Ok((primary.replicas()?, primary.describe()?.head.version))).await?;
    Ok(Json(Listed { items: known.iter().map(|known| ShownReplica::new(known, head)).collect(), next: None }))
}
