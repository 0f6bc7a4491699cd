//! Whole copies of a dataset: exported, kept, and put back.
use super::Answer;
use crate::server::Shared;
use crate::server::asked::Named;
use crate::server::guard::still;
use crate::server::refused::Refused;
use crate::spool::{Spool, SpoolBody};
use crate::wire::keeping::{FILE_TYPE, ShownBackup, ShownRestored};
use crate::wire::shown::Listed;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use hyper::header;
use mainstem::accounts::Identity;
use mainstem::core::authority::Right;
use std::sync::Arc;

/// A backup of the dataset as it is now, as a file.
pub async fn export(State(shared): State<Arc<Shared>>, Named(name): Named<String>) -> Result<Response, Refused> {
    let (datasets, place, dataset) = (shared.hall.datasets(), shared.porter.spools.clone(), name.clone());
    let write = move || {
        let mut spool = Spool::at(&place, u64::MAX);
        datasets.export(&dataset, &mut spool)?;
        Ok(spool.into_body())
    };
    let body: SpoolBody = shared.hall.beside(&name, write).await?;
    let named = format!("attachment; filename=\"{name}.backup\"");
    Ok(([(header::CONTENT_TYPE, FILE_TYPE.to_string()), (header::CONTENT_DISPOSITION, named)], Body::new(body)).into_response())
}

/// The backups that the server keeps, oldest first.
pub async fn backups(State(shared): State<Arc<Shared>>, Named(name): Named<String>) -> Answer<Listed<ShownBackup>> {
    let (datasets, dataset) = (shared.hall.datasets(), name.clone());
    let kept = shared.hall.beside(&name, move || datasets.backups(&dataset)).await?;
    Ok(Json(Listed { items: kept.iter().map(ShownBackup::from).collect(), next: None }))
}

/// Keeps a backup of the dataset as it is now.
pub async fn back_up(State(shared): State<Arc<Shared>>, Named(name): Named<String>) -> Answer<ShownBackup> {
    let (datasets, dataset) = (shared.hall.datasets(), name.clone());
    let kept = shared.hall.beside(&name, move || datasets.back_up(&dataset)).await?;
    Ok(Json(ShownBackup::from(&kept)))
}

/// Puts a backup in the dataset's place, as another life of it.
pub async fn restore(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((name, backup)): Named<(String, String)>,
) -> Answer<ShownRestored> {
    let (accounts, dataset) = (shared.clone(), name.clone());
    let work = move || {
        let identity = still(&accounts, &identity, Right::Own, &dataset)?;
        let datasets = accounts.hall.datasets();
        crate::server::hall::unless_archived(&*datasets, &dataset)?;
        datasets.restore(&dataset, &backup, &identity.name)
    };
    Ok(Json(ShownRestored::from(&shared.hall.alone(&name, work).await?)))
}
