//! Reads a dataset for somebody, who is shown of it what they may see.
//!
//! Invariant: no answer about what is in a dataset is made from a primary that was not lent from here, but for those of its
//! owners.
use super::Shared;
use super::guard::still;
use super::hall::Handle;
use mainstem::accounts::Identity;
use mainstem::core::ErrorKind;
use mainstem::core::authority::{Right, sight};
use mainstem::core::scope::Scope;
use mainstem::error::{Error, Result};
use mainstem::primary::Primary;
use mainstem::scoped::Scoped;
use std::sync::Arc;

/// Lends a primary that shows what was asked for, as far as an identity may see it.
pub fn lend<T>(
    handle: &mut Handle,
    asked: Scope,
    identity: &Identity,
    dataset: &str,
    work: impl FnOnce(&mut dyn Primary) -> Result<T>,
) -> Result<T> {
    if shows_all(&asked, identity, dataset) {
        return work(&mut **handle);
    }
    work(&mut Scoped::new(&mut **handle, asked, sight(&identity.authority, dataset)))
}

/// True where an identity asks for all of a dataset, and may see it.
pub fn shows_all(asked: &Scope, identity: &Identity, dataset: &str) -> bool {
    asked.is_everything() && sight(&identity.authority, dataset).is_everything()
}

/// Runs `work` with what an identity may see of a dataset at that moment.
pub async fn read<T: Send + 'static>(
    shared: &Arc<Shared>,
    identity: &Identity,
    dataset: &str,
    work: impl FnOnce(&mut dyn Primary) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (accounts, identity, name) = (shared.clone(), identity.clone(), dataset.to_string());
    let reading = move |handle: &mut Handle| {
        let identity = still(&accounts, &identity, Right::Read, &name)?;
        lend(handle, Scope::everything(), &identity, &name, work)
    };
    shared.hall.with(dataset, false, reading).await
}

/// The same for somebody who goes on with what they were shown. `Conflict` with the code `other_scope` where they may see
/// something else by now.
pub async fn read_on<T: Send + 'static>(
    shared: &Arc<Shared>,
    identity: &Identity,
    dataset: &str,
    work: impl FnOnce(&mut dyn Primary) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (accounts, before, name) = (shared.clone(), identity.clone(), dataset.to_string());
    let reading = move |handle: &mut Handle| {
        let identity = still(&accounts, &before, Right::Read, &name)?;
        if sight(&identity.authority, &name) != sight(&before.authority, &name) {
            let message = format!("what {} may see of {name} is another part than before", identity.name);
            return Err(Error::new(ErrorKind::Conflict, "other_scope", message)
                .hint("read the rows again, then go on from the version that they are of"));
        }
        lend(handle, Scope::everything(), &identity, &name, work)
    };
    shared.hall.with(dataset, false, reading).await
}
