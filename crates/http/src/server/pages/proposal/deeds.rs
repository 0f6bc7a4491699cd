//! What a proposal's forms do: vote, talk, answer conflicts, take a part, close.
//!
//! Invariant: each goes through the same function as the call of that name, with the rights of who is signed in as they are then.
use super::super::{Shown, led_to};
use super::{Asker, path};
use crate::server::Shared;
use crate::server::acting::{self, Acting};
use crate::server::asked::Named;
use crate::server::browser::Fields;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::changeset_json::value_from_text;
use mainstem::core::authority::Right;
use mainstem::core::change::Choice;
use mainstem::core::event::Digest;
use mainstem::core::proposal::{Anchor, Ballot, Decision, Remark, Stage, Word};
use mainstem::core::value::Key;
use mainstem::error::{Error, Result};
use mainstem::primary::Primary;
use mainstem::replica::Answering;
use mainstem::review::{By, Chosen, Deed};
use mainstem_pages::notice::Notice;
use std::sync::Arc;

/// What is said after something was done, by its word in the address.
pub fn told(done: &str) -> Option<Notice> {
    Some(Notice::good(match done {
        "voted" => "Your vote is in.",
        "said" => "It is said.",
        "decided" => "It is decided.",
        "answered" => "The conflicts are answered, in a further revision that needs votes of its own.",
        "parted" => "The ticked rows are a further revision; the rest is a proposal of its own.",
        "whole" => "Nothing is left over, so nothing was done.",
        "merged" => "It is merged.",
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
    let fields = fields.only(&["table", "key", "column", "reply_to", "text"])?;
    let anchor = match (fields.maybe("table")?, fields.maybe("key")?, fields.maybe("column")?) {
        (None, None, None) => Anchor::Whole,
        (Some(table), Some(key), None) => Anchor::Row(table.to_string(), key_from(key)?),
        (Some(table), Some(key), Some(column)) => Anchor::Cell(table.to_string(), key_from(key)?, column.to_string()),
        _ => return Err(Error::invalid("a comment is about all, a row by table and key, or one of its columns").into()),
    };
    let reply_to = fields.maybe("reply_to")?.map(|number| number.parse::<u64>()).transpose();
    let reply_to = reply_to.map_err(|_| Error::invalid("an answer names the comment that it answers"))?;
    let text = fields.one("text")?.replace("\r\n", "\n");
    let saying = move |primary: &mut dyn Primary, asker: &Asker<'_>, by: By<'_>| {
        let judged = asker.judged_at_once(primary, id)?;
        let revision = judged.proposal.revisions.len() as u64;
        let deed = Deed::Comment(Remark { anchor, reply_to, revision, text });
        asker.author().check_deed(id, &deed, primary)?;
        primary.act(id, &deed, by)?;
        Ok(judged.proposal.comments.len() + 1)
    };
    let number = act(&shared, &identity, &dataset, Right::Propose, saying).await?;
    back(&dataset, id, "said", &format!("#comment-{number}"))
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
        let id = u64::from_str_radix(conflict, 16).map_err(|_| Error::invalid(format!("{conflict:?} is no conflict")))?;
        Ok((id, Answering { choice: choice(said)?, value: None }))
    };
    let answers: Vec<(u64, Answering)> = fields.beginning("answer-").map(one).collect::<Result<_>>()?;
    let answering = move |primary: &mut dyn Primary, asker: &Asker<'_>, by: By<'_>| {
        asker.author().check_merge(id, primary)?;
        let answers = match all {
            None => answers,
            Some(choice) => {
                let judged = asker.judged(primary, id)?;
                let open = judged.assessment.iter().flat_map(|assessment| &assessment.outcome.conflicts).filter(|c| c.is_open());
                open.map(|conflict| (conflict.id, Answering { choice, value: None })).collect()
            }
        };
        primary.answer(id, &answers, by)
    };
    act(&shared, &identity, &dataset, Right::Write, answering).await?;
    back(&dataset, id, "answered", "")
}

fn choice(said: &str) -> Result<Choice> {
    match said {
        "ours" => Ok(Choice::Ours),
        "theirs" => Ok(Choice::Theirs),
        "base" => Ok(Choice::Base),
        _ => Err(Error::invalid(format!("{said:?} is no side of a conflict"))),
    }
}

/// Narrows the proposal to some rows.
pub async fn part(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((dataset, id)): Named<(String, u64)>,
    Extension(fields): Extension<Fields>,
) -> Shown {
    let fields = fields.only(&["row"])?;
    let only: Vec<Chosen> = fields.many("row").map(chosen).collect::<Result<_>>()?;
    if only.is_empty() {
        return Err(Error::invalid("no row is ticked, and a part needs one").into());
    }
    let parting = move |primary: &mut dyn Primary, asker: &Asker<'_>, by: By<'_>| {
        asker.author().check_merge(id, primary)?;
        primary.accept_part(id, &only, by)
    };
    let rest = act(&shared, &identity, &dataset, Right::Write, parting).await?;
    back(&dataset, id, if rest.is_some() { "parted" } else { "whole" }, "")
}

fn chosen(said: &str) -> Result<Chosen> {
    let (table, key): (String, String) = serde_json::from_str(said).map_err(|_| Error::invalid(format!("{said:?} is no row")))?;
    Ok(Chosen { table, key: Some(key_from(&key)?), columns: Vec::new() })
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
