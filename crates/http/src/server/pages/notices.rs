//! What concerns who is signed in.
use super::{Asked, Shown, shown};
use crate::server::Shared;
use crate::server::people::notices::gathered;
use crate::wire::shown::ShownNotice;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem_pages::frame::Frame;
use mainstem_pages::notices::{Item, Notices};
use std::sync::Arc;

/// What concerns them.
pub async fn notices(State(shared): State<Arc<Shared>>, Extension(visit): Asked, Extension(identity): Extension<Identity>) -> Shown {
    let item = |told: ShownNotice| Item { about: told.about, text: told.text, to: told.page, is_urgent: told.is_urgent };
    let items = gathered(&shared, &identity).await?.into_iter().map(item).collect();
    let frame = Frame { live: Some("/live".to_string()), ..visit.frame("Notices") };
    shown(&Notices { frame, items })
}
