//! Review: proposing with what is pushed along, voting, answering conflicts, dividing, merging.
//!
//! Invariant: a merge asked for again answers the same version.
use super::{Script, atomic, steps, worlds};
use crate::stage::{Stage, quiet};
use mainstem::proposing::{self, Asked};
use mainstem::replica::Answering;
use mainstem::review::{By, Chosen, Deed, Everybody};
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_core::change::Choice;
use mainstem_core::proposal::{Anchor, Ballot, Decision, MergeWish, Remark, Stage as Life, Word};
use mainstem_core::value::Value;

pub const SCRIPTS: &[Script] = &[
    steps("propose", "delete", split, propose).answering(&["nothing_to_propose"]),
    steps("propose-wal", "wal", split, propose).answering(&["nothing_to_propose"]),
    steps("propose-revision", "delete", edited_again, propose).answering(&["nothing_to_propose"]),
    atomic("vote", "delete", offered, |stage| vote(stage, "x")),
    atomic("vote-wal", "wal", offered, |stage| vote(stage, "x")),
    atomic("withdraw", "delete", offered, withdraw),
    steps("merge", "delete", approved, merge),
    steps("merge-wal", "wal", approved, merge),
    steps("merge-onto-others", "delete", approved_beside_others, merge),
    steps("merge-and-sync", "delete", approved, merge_and_sync),
    atomic("answer", "delete", clashing, answer).answering(&["invalid"]),
    atomic("answer-wal", "wal", clashing, answer).answering(&["invalid"]),
    atomic("accept-part", "delete", offered, accept_part),
    atomic("accept-part-wal", "wal", offered, accept_part),
];

const ID: u64 = 1;

fn by(actor: &str) -> By<'_> {
    By { actor, token: None, people: &Everybody, request: None }
}

/// Two replicas; notes are reviewed, and people are not.
fn reviewed(stage: &Stage, policy: &str) -> Result<()> {
    worlds::tracked(stage)?;
    stage.replica("a.db")?.set_policy(policy)?;
    stage.publish("a.db")?;
    stage.clone_to("b.db")
}

const NOTES: &str = "[tables.note]\nmode = \"review\"\n";

fn split(stage: &Stage) -> Result<()> {
    reviewed(stage, NOTES)?;
    stage.app("a.db", worlds::EDITS)
}

fn propose(stage: &Stage) -> Result<()> {
    let asked = Asked { title: Some("what I found".into()), ..Asked::default() };
    proposing::propose(&mut *stage.replica("a.db")?, &mut **stage.primary()?, "a.db", &asked, &mut quiet).map(drop)
}

fn offered(stage: &Stage) -> Result<()> {
    split(stage)?;
    propose(stage)
}

fn edited_again(stage: &Stage) -> Result<()> {
    offered(stage)?;
    stage.app("a.db", "UPDATE note SET body = 'once more' WHERE id IN ('b', 'n13'); UPDATE person SET age = 38 WHERE id = 1")
}

fn vote(stage: &Stage, actor: &str) -> Result<()> {
    let mut primary = stage.primary()?;
    let assessment = primary.proposal(ID, by(actor))?.and_then(|judged| judged.assessment);
    let assessment = assessment.ok_or_else(|| Error::invalid("the proposal is closed"))?;
    let (revision, digest) = (assessment.revision, assessment.digest);
    let ballot = Ballot { revision, digest, word: Word::Approve, comment: "as I would have done it".into() };
    primary.act(ID, &Deed::Vote(ballot), by(actor))
}

fn withdraw(stage: &Stage) -> Result<()> {
    let decision = Decision { stage: Life::Withdrawn, reason: "I thought again".into() };
    stage.primary()?.act(ID, &Deed::Decide(decision), by("a.db"))
}

fn approved(stage: &Stage) -> Result<()> {
    offered(stage)?;
    let anchor = Anchor::Row("note".into(), vec![Value::text("b")]);
    stage.primary()?.act(ID, &Deed::Comment(Remark { anchor, text: "why?".into(), ..Remark::default() }), by("y"))?;
    vote(stage, "x")?;
    vote(stage, "y")
}

/// Others went on meanwhile, with rows that are not reviewed.
fn approved_beside_others(stage: &Stage) -> Result<()> {
    approved(stage)?;
    stage.app("b.db", "UPDATE person SET age = 8 WHERE id = 3")?;
    stage.sync("b.db").map(drop)
}

fn merge(stage: &Stage) -> Result<()> {
    let mut primary = stage.primary()?;
    let merged = primary.merge(ID, &MergeWish::new(7), by("x"))?;
    let again = primary.merge(ID, &MergeWish::new(7), by("x"))?;
    let counted = |merged: &mainstem::review::Merged| (merged.version, merged.commit, merged.added, merged.updated, merged.deleted);
    if counted(&merged) != counted(&again) || !again.is_repeated {
        return Err(Error::internal(format!("asked again, a merge answers {again:?} after {merged:?}")));
    }
    let reviewed = primary.version(merged.version)?.and_then(|version| version.review);
    let is_voted = reviewed.is_some_and(|it| it.votes.len() == 2 && it.votes.iter().all(|vote| vote.ballot.digest == it.digest));
    if is_voted { Ok(()) } else { Err(Error::internal("what was merged is not what was voted on")) }
}

fn merge_and_sync(stage: &Stage) -> Result<()> {
    merge(stage)?;
    stage.acknowledge();
    stage.sync("a.db").map(drop)
}

/// Somebody else's version of the same cells came in first.
fn clashing(stage: &Stage) -> Result<()> {
    reviewed(stage, "strategy = \"manual\"\n")?;
    stage.app("a.db", worlds::EDITS)?;
    let asked = Asked { title: Some("what I found".into()), has_everything: true, ..Asked::default() };
    proposing::propose(&mut *stage.replica("a.db")?, &mut **stage.primary()?, "a.db", &asked, &mut quiet)?;
    stage.app("b.db", worlds::AGAINST)?;
    stage.sync("b.db").map(drop)
}

fn answer(stage: &Stage) -> Result<()> {
    let mut primary = stage.primary()?;
    let assessment = primary.proposal(ID, by("x"))?.and_then(|judged| judged.assessment);
    let assessment = assessment.ok_or_else(|| Error::new(ErrorKind::Conflict, "closed", "the proposal is closed"))?;
    let open = assessment.outcome.conflicts.iter().filter(|conflict| conflict.is_open());
    let answers: Vec<_> = open.map(|conflict| (conflict.id, Answering { choice: Choice::Ours, value: None })).collect();
    primary.answer(ID, &answers, by("x")).map(drop)
}

fn accept_part(stage: &Stage) -> Result<()> {
    let mut primary = stage.primary()?;
    // Each phase throws the same dice; what is repeated takes names that nothing has.
    let around = stage.around("primary");
    (0..primary.describe()?.head.events).for_each(|_| _ = around.random());
    let only = Chosen { table: "note".into(), key: Some(vec![Value::text("b")]), columns: Vec::new() };
    primary.accept_part(ID, &[only], by("x")).map(drop)
}
