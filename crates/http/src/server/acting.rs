//! What is done to proposals, by whoever asks as they are at that moment: for programs and for pages.
//!
//! Invariant: whatever is done is done with the rights that its author has when it is, and in the author's own name.
use super::Shared;
use super::guard::still;
use super::hall::Handle;
use super::reading::lend;
use super::routes::Right;
use mainstem::accounts::Identity;
use mainstem::author::Author;
use mainstem::core::change::Choice;
use mainstem::core::proposal::MergeWish;
use mainstem::core::scope::Scope;
use mainstem::error::{Error, Result};
use mainstem::primary::Primary;
use mainstem::replica::Answering;
use mainstem::review::{By, Chosen, Deed, Judged, Merged};
use std::sync::Arc;

/// Somebody who acts, with the dataset as they see it.
pub struct Acting<'a> {
    /// What they see.
    pub primary: &'a mut dyn Primary,
    /// Who they are, and what they may do.
    pub author: &'a Author<'a>,
    /// The same as the primary hears it.
    pub by: By<'a>,
}

/// Runs `work` that reads.
pub async fn look<T: Send + 'static>(
    shared: &Arc<Shared>,
    identity: &Identity,
    dataset: &str,
    work: impl FnOnce(&mut Acting<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let run = running(shared, identity, dataset, Right::Read, work);
    shared.hall.with(dataset, false, run).await
}

/// Runs `work` that needs a right and writes.
pub async fn act<T: Send + 'static>(
    shared: &Arc<Shared>,
    identity: &Identity,
    dataset: &str,
    right: Right,
    work: impl FnOnce(&mut Acting<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let run = running(shared, identity, dataset, right, work);
    shared.hall.change(dataset, run).await
}

fn running<T>(
    shared: &Arc<Shared>,
    identity: &Identity,
    dataset: &str,
    right: Right,
    work: impl FnOnce(&mut Acting<'_>) -> Result<T> + Send + 'static,
) -> impl FnOnce(&mut Handle) -> Result<T> + Send + 'static {
    let (accounts, identity, name) = (shared.clone(), identity.clone(), dataset.to_string());
    move |handle| {
        let identity = still(&accounts, &identity, right, &name)?;
        let author = Author { registrar: &accounts.registrar, identity: &identity, dataset: &name };
        let label = author.token_label();
        let by = By { actor: author.name(), token: label.as_deref(), people: &author, request: None };
        lend(handle, Scope::everything(), &identity, &name, |primary| work(&mut Acting { primary, author: &author, by }))
    }
}

impl Acting<'_> {
    /// The same, for a request of that key.
    pub fn for_request(&mut self, key: Option<u128>) -> &mut Self {
        self.by.request = key;
        self
    }
    /// How a proposal stands.
    pub fn judged(&mut self, id: u64) -> Result<Judged> {
        self.primary.proposal(id, self.by)?.ok_or_else(|| Error::not_found(format!("there is no proposal {id}")))
    }
    /// Does something small to a proposal; how it stands then.
    pub fn deed(&mut self, id: u64, deed: &Deed) -> Result<Judged> {
        self.author.check_deed(id, deed, self.primary)?;
        self.primary.act(id, deed, self.by)?;
        self.judged(id)
    }
    /// Answers open conflicts: each as told, and the others by one side where one is named. The further revision's number.
    pub fn answer(&mut self, id: u64, mut answers: Vec<(u64, Answering)>, others: Option<Choice>) -> Result<u64> {
        self.author.check_merge(id, self.primary)?;
        if let Some(choice) = others {
            let judged = self.judged(id)?;
            let conflicts = judged.assessment.iter().flat_map(|assessment| &assessment.outcome.conflicts);
            for conflict in conflicts.filter(|conflict| conflict.is_open()) {
                if answers.iter().all(|(of, _)| *of != conflict.id) {
                    answers.push((conflict.id, Answering { choice, value: None }));
                }
            }
        }
        self.primary.answer(id, &answers, self.by)
    }
    /// Narrows a proposal to a part; the number of the proposal that the rest is then.
    pub fn accept_part(&mut self, id: u64, only: &[Chosen]) -> Result<Option<u64>> {
        self.author.check_merge(id, self.primary)?;
        self.primary.accept_part(id, only, self.by)
    }
    /// Merges.
    pub fn merge(&mut self, id: u64, wish: &MergeWish) -> Result<Merged> {
        self.author.check_merge(id, self.primary)?;
        self.primary.merge(id, wish, self.by)
    }
    /// Proposes to take a version back.
    pub fn propose_revert(&mut self, version: u64, reason: &str) -> Result<u64> {
        self.author.check_revert(version, self.primary)?;
        self.primary.propose_revert(version, reason, self.by)
    }
}
