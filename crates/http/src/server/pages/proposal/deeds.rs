//! What a proposal's forms do: vote, talk, answer conflicts, take a part, close.
//!
//! Invariant: each goes through the same function as the call of that name, with the rights of who is signed in as they are then.
use super::super::{Shown, led_to};
use super::{Asker, path};
use crate::server::Shared;
use crate::server::acting::{self, Acting};
use crate::server::asked::Named;
use crate::server::browser::Fields;
use crate::server::people::edits::conflict_named;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::changeset_json::value_from_text;
use mainstem::core::authority::Right;
use mainstem::core::change::Choice;
use mainstem::core::conflict::Conflict;
use mainstem::core::event::Digest;
use mainstem::core::proposal::{Anchor, Ballot, Decision, Remark, Stage, Word};
use mainstem::core::value::{Key, Value};
use mainstem::error::{Error, Result};
use mainstem::primary::Primary;
use mainstem::replica::Answering;
use mainstem::review::{By, Chosen, Deed};
use mainstem::typed_value::value_for_conflict;
use mainstem_pages::notice::Notice;
use std::sync::Arc;

/// What is said after something was done, by its word in the address.
pub fn told(done: &str) -> Option<Notice> {
    Some(Notice::good(match done {
        "voted" => "Your vote is in.",
        "said" => "It is said.",
        "decided" => "It is decided.",
        "answered" => "The conflicts are answered, in a further revision that needs votes of its own.",
        "parted" => "What you ticked is a further revision; the rest is a proposal of its own.",
        "whole" => "Nothing is left over, so nothing was done.",
        "merged" => "It is merged.",
        "reverting" => "This proposes to take that version back.",
        _ => return None,
    }))
}

/// Does something to a proposal with what its author may do now, and leads back to it.
pub(super) async fn act<T: Send + 'static>(
    shared: &Arc<Shared>,
    identity: &Identity,
    dataset: &str,
    right: Right,
    work: impl FnOnce(&mut dyn Primary, &Asker<'_>, By<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (accounts, name) = (shared.clone(), dataset.to_string());
    let as_asker = move |acting: &mut Acting<'_>| {
        let asker = Asker { shared: &accounts, identity: acting.author.identity, dataset: &name };
        work(acting.primary, &asker, acting.by)
    };
    acting::act(shared, identity, dataset, right, as_asker).await
}

/// Leads back to a proposal, with what was done.
fn back(dataset: &str, id: u64, done: &str, anchor: &str) -> Shown {
    led_to(&format!("{}?done={done}{anchor}", path(dataset, id)))
}

/// Votes.
pub async fn vote(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((dataset, id)): Named<(String, u64)>,
    Extension(fields): Extension<Fields>,
) -> Shown {
    let fields = fields.only(&["revision", "digest", "word", "comment"])?;
    let said = fields.one("word")?;
    let word = Word::parse(said).ok_or_else(|| Error::invalid(format!("{said:?} is no vote")))?;
    let ballot = Ballot {
        revision: fields.one("revision")?.parse().map_err(|_| Error::invalid("a vote is on a revision"))?,
        digest: digest(fields.one("digest")?)?,
        word,
        comment: fields.maybe("comment")?.unwrap_or_default().replace("\r\n", "\n"),
    };
    let voting = move |primary: &mut dyn Primary, asker: &Asker<'_>, by: By<'_>| {
        let deed = Deed::Vote(ballot);
        asker.author().check_deed(id, &deed, primary)?;
        primary.act(id, &deed, by)
    };
    act(&shared, &identity, &dataset, Right::Propose, voting).await?;
    back(&dataset, id, "voted", "#verdict")
}

/// Says something.
pub async fn comment(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((dataset, id)): Named<(String, u64)>,
    Extension(fields): Extension<Fields>,
) -> Shown {
    let fields = fields.only(&["table", "key", "column", "reply_to", "text", "after"])?;
    let anchor = match (fields.maybe("table")?, fields.maybe("key")?, fields.maybe("column")?) {
        (None, None, None) => Anchor::Whole,
        (Some(table), Some(key), None) => Anchor::Row(table.to_string(), key_from(key)?),
        (Some(table), Some(key), Some(column)) => Anchor::Cell(table.to_string(), key_from(key)?, column.to_string()),
        _ => return Err(Error::invalid("a comment is about all, a row by table and key, or one of its columns").into()),
    };
    let reply_to = fields.maybe("reply_to")?.map(|number| number.parse::<u64>()).transpose();
    let reply_to = reply_to.map_err(|_| Error::invalid("an answer names the comment that it answers"))?;
    let text = fields.one("text")?.replace("\r\n", "\n");
    let key = fields.maybe("after")?.map(|after| request(id, after, fields));
    let saying = move |primary: &mut dyn Primary, asker: &Asker<'_>, by: By<'_>| {
        let judged = asker.judged_at_once(primary, id)?;
        let revision = judged.proposal.revisions.len() as u64;
        let deed = Deed::Comment(Remark { anchor, reply_to, revision, text });
        asker.author().check_deed(id, &deed, primary)?;
        primary.act(id, &deed, By { request: key, ..by })?;
        Ok(asker.judged_at_once(primary, id)?.proposal.comments.len())
    };
    let number = act(&shared, &identity, &dataset, Right::Propose, saying).await?;
    back(&dataset, id, "said", &format!("#comment-{number}"))
}

/// Names a remark by the form that it came in, so that it is said once however often that is sent. What is said again later
/// comes from a page with more comments.
fn request(id: u64, after: &str, fields: &Fields) -> u128 {
    let said = ["table", "key", "column", "reply_to", "text"].map(|name| fields.many(name).next().unwrap_or_default().as_bytes());
    let id = id.to_be_bytes();
    let parts: Vec<&[u8]> = [&id[..], after.as_bytes()].into_iter().chain(said).collect();
    let named = mainstem::core::digest::of("mainstem comment form 1", &parts);
    u128::from_be_bytes(std::array::from_fn(|at| named[at]))
}

/// Withdraws, rejects, or opens again.
pub async fn decide(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((dataset, id)): Named<(String, u64)>,
    Extension(fields): Extension<Fields>,
) -> Shown {
    let fields = fields.only(&["stage", "reason"])?;
    let said = fields.one("stage")?;
    let stage = Stage::parse(said).ok_or_else(|| Error::invalid(format!("{said:?} is nothing that a proposal can be made")))?;
    let decision = Decision { stage, reason: fields.maybe("reason")?.unwrap_or_default().to_string() };
    let deciding = move |primary: &mut dyn Primary, asker: &Asker<'_>, by: By<'_>| {
        let deed = Deed::Decide(decision);
        asker.author().check_deed(id, &deed, primary)?;
        primary.act(id, &deed, by)
    };
    act(&shared, &identity, &dataset, Right::Propose, deciding).await?;
    back(&dataset, id, "decided", "")
}

/// Answers every open conflict.
pub async fn answer(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((dataset, id)): Named<(String, u64)>,
    Extension(fields): Extension<Fields>,
) -> Shown {
    let all = fields.maybe("all")?.map(choice).transpose()?;
    let one = |(conflict, said): (&str, &str)| {
        let typed = if choice(said)? == Choice::Value { Some(fields.typed(&format!("value-{conflict}"))?) } else { None };
        Ok((conflict_named(conflict)?, choice(said)?, typed))
    };
    let said: Vec<(u64, Choice, Option<String>)> = fields.beginning("answer-").map(one).collect::<Result<_>>()?;
    let answering = move |acting: &mut Acting<'_>| {
        let judged = acting.judged(id)?;
        let conflicts: Vec<&Conflict> = judged.assessment.iter().flat_map(|assessment| &assessment.outcome.conflicts).collect();
        let answer = |(of, choice, typed): (u64, Choice, Option<String>)| {
            let conflict = conflicts.iter().find(|conflict| conflict.id == of);
            let value = typed.map(|typed| conflict.map_or_else(|| Value::text(&typed), |conflict| value_for_conflict(&typed, conflict)));
            (of, Answering { choice, value })
        };
        acting.answer(id, said.into_iter().map(answer).collect(), all)
    };
    acting::act(&shared, &identity, &dataset, Right::Write, answering).await?;
    back(&dataset, id, "answered", "")
}

fn choice(said: &str) -> Result<Choice> {
    let sides = [Choice::Ours, Choice::Theirs, Choice::Base, Choice::Value];
    sides.into_iter().find(|choice| choice.name() == said).ok_or_else(|| Error::invalid(format!("{said:?} is no answer to a conflict")))
}

/// Narrows the proposal to some rows.
pub async fn part(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((dataset, id)): Named<(String, u64)>,
    Extension(fields): Extension<Fields>,
) -> Shown {
    let fields = fields.only(&["row", "cell"])?;
    let only: Vec<Chosen> = fields.many("row").map(chosen).chain(fields.many("cell").map(chosen_cell)).collect::<Result<_>>()?;
    if only.is_empty() {
        return Err(Error::invalid("no row and no cell is ticked, and a part needs one").into());
    }
    let rest = acting::act(&shared, &identity, &dataset, Right::Write, move |acting| acting.accept_part(id, &only)).await?;
    back(&dataset, id, if rest.is_some() { "parted" } else { "whole" }, "")
}

fn chosen(said: &str) -> Result<Chosen> {
    let (table, key): (String, String) = serde_json::from_str(said).map_err(|_| Error::invalid(format!("{said:?} is no row")))?;
    Ok(Chosen { table, key: Some(key_from(&key)?), columns: Vec::new() })
}

fn chosen_cell(said: &str) -> Result<Chosen> {
    let unfit = |_| Error::invalid(format!("{said:?} is no cell"));
    let (table, key, column): (String, String, String) = serde_json::from_str(said).map_err(unfit)?;
    Ok(Chosen { table, key: Some(key_from(&key)?), columns: vec![column] })
}

/// A key as forms say it.
fn key_from(text: &str) -> Result<Key> {
    let parts: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|_| Error::invalid(format!("{text:?} is no key of a row")))?;
    parts.iter().map(|part| value_from_text(&part.to_string())).collect()
}

/// A digest as forms say it.
pub(super) fn digest(text: &str) -> Result<Digest> {
    let unfit = || Error::invalid("that is no digest of a result");
    let pairs: Option<Vec<u8>> = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect();
    pairs.ok_or_else(unfit)?.try_into().map_err(|_| unfit())
}
