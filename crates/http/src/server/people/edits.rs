//! Edits at the primary, for somebody who has no replica at hand: conflicts answered, deleted rows put back.
use super::Answer;
use crate::server::Shared;
use crate::server::access::body_of;
use crate::server::asked::Named;
use crate::server::guard::still;
use crate::server::hall::Handle;
use crate::server::reading::lend;
use crate::wire::shown::ShownEdit;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use hyper::HeaderMap;
use mainstem::accounts::Identity;
use mainstem::at_primary::{Draft, Signature};
use mainstem::author::Author;
use mainstem::changeset_json::value_from_text;
use mainstem::core::ErrorKind;
use mainstem::core::authority::Right;
use mainstem::core::change::Choice;
use mainstem::core::scope::Scope;
use mainstem::error::{Error, Result};
use mainstem::primary::{Primary, Pushed};
use mainstem::replica::Answering;
use mainstem::tombstones::TombstoneId;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

/// What one edit answers or puts back at most.
const AT_ONCE: usize = 1_000;

/// Asks for answers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswersWish {
    /// The answers.
    answers: Vec<AnswerWish>,
}

/// Asks for one answer.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerWish {
    /// The conflict.
    conflict: String,
    /// `ours`, `theirs`, `base`, `value` or `merged`.
    choice: String,
    /// The value, where that is the choice: null, a number, a text, or an object that names what JSON lacks.
    #[serde(default)]
    value: serde_json::Value,
}

/// Asks for rows.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreWish {
    /// The tombstones of the rows, such as `12.1`.
    tombstones: Vec<String>,
}

/// A conflict's id, as it is shown.
pub(in crate::server) fn conflict_named(id: &str) -> Result<u64> {
    let is_id = id.len() == 16 && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = u64::from_str_radix(id, 16).ok().filter(|_| is_id);
    number.ok_or_else(|| Error::not_found(format!("no conflict {id}")))
}

/// A choice by its name.
pub(in crate::server) fn choice_named(name: &str) -> Result<Choice> {
    let all = [Choice::Ours, Choice::Theirs, Choice::Base, Choice::Value, Choice::Merged];
    let found = all.into_iter().find(|choice| choice.name() == name);
    found.ok_or_else(|| Error::invalid(format!("{name} is no choice; they are ours, theirs, base, value and merged")))
}

/// Answers conflicts.
pub async fn answer(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<ShownEdit> {
    let wish: AnswersWish = body_of(&headers, &body)?;
    let answers = wish.answers.iter().map(|wish| {
        let choice = choice_named(&wish.choice)?;
        let value = (choice == Choice::Value).then(|| value_from_text(&wish.value.to_string())).transpose()?;
        Ok((conflict_named(&wish.conflict)?, Answering { choice, value }))
    });
    let answers = answers.collect::<Result<Vec<_>>>()?;
    Ok(Json(answered(&shared, identity, &name, answers).await?))
}

/// Puts deleted rows back.
pub async fn restore(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<ShownEdit> {
    let wish: RestoreWish = body_of(&headers, &body)?;
    let ids = wish.tombstones.iter().map(|id| id.parse()).collect::<Result<Vec<TombstoneId>>>()?;
    Ok(Json(restored(&shared, identity, &name, ids).await?))
}

/// Answers conflicts in somebody's name.
pub(in crate::server) async fn answered(
    shared: &Arc<Shared>,
    identity: Identity,
    name: &str,
    answers: Vec<(u64, Answering)>,
) -> Result<ShownEdit> {
    let title = format!("Answers {} conflict{}", answers.len(), if answers.len() == 1 { "" } else { "s" });
    let actor = identity.name.clone();
    edited(shared, identity, name, (title, answers.len()), move |draft| draft.answer(&actor, &answers)).await
}

/// Puts deleted rows back in somebody's name.
pub(in crate::server) async fn restored(shared: &Arc<Shared>, identity: Identity, name: &str, ids: Vec<TombstoneId>) -> Result<ShownEdit> {
    let title = format!("Puts {} row{} back", ids.len(), if ids.len() == 1 { "" } else { "s" });
    edited(shared, identity, name, (title, ids.len()), move |draft| draft.put_back(&ids)).await
}

async fn edited(
    shared: &Arc<Shared>,
    identity: Identity,
    name: &str,
    (title, count): (String, usize),
    fill: impl FnOnce(&mut Draft<'_>) -> Result<()> + Send + 'static,
) -> Result<ShownEdit> {
    if count == 0 || count > AT_ONCE {
        return Err(Error::invalid(format!("between 1 and {AT_ONCE} at once, and not {count}")));
    }
    let (accounts, dataset) = (shared.clone(), name.to_string());
    let edit = move |handle: &mut Handle| {
        let identity = still(&accounts, &identity, Right::Write, &dataset)?;
        let author = Author { registrar: &accounts.registrar, identity: &identity, dataset: &dataset };
        lend(handle, Scope::everything(), &identity, &dataset, |primary: &mut dyn Primary| {
            let around = accounts.porter.around();
            let mut draft = Draft::begin(primary, around)?;
            fill(&mut draft)?;
            let drafted =
                draft.finish(around, Signature { actor: author.name(), token: author.token_label(), sender: author.sender(), title })?;
            author.check_drafted(&drafted.front, primary)?;
            told(drafted.push(primary)?)
        })
    };
    shared.hall.change(name, edit).await
}

fn told(pushed: Pushed) -> Result<ShownEdit> {
    match pushed {
        Pushed::Accepted { version, conflicts_open, .. } => Ok(ShownEdit { version, conflicts_open }),
        Pushed::Already { version } => Ok(ShownEdit { version, conflicts_open: 0 }),
        Pushed::Outside { .. } => Err(Error::new(ErrorKind::Denied, "forbidden", "some of these rows are outside what you may see")),
        Pushed::Gap { .. } | Pushed::Reused => Err(Error::internal("a replica's name that was made for one changeset was in use")),
    }
}
