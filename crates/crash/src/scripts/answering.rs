//! Beginnings and answers: publishing, cloning, policy, conflicts, changesets from files, files that were copied or put back.
use super::{Script, atomic, steps, worlds};
use crate::stage::Stage;
use mainstem::Result;
use mainstem::cleanup::Rehearsal;
use mainstem::replica::{Answering, Replica};
use mainstem::tombstones::{self, Wanted};
use mainstem_core::change::Choice;
use mainstem_core::value::Value;
use mainstem_sqlite::SqliteReplica;

pub const SCRIPTS: &[Script] = &[
    steps("publish", "delete", worlds::edited, |stage| stage.publish("a.db")).answering(&["published"]),
    steps("publish-wal", "wal", worlds::edited, |stage| stage.publish("a.db")).answering(&["published"]),
    steps("clone", "delete", worlds::published, |stage| stage.clone_to("b.db")).answering(&["exists"]),
    steps("clone-with-conflicts", "delete", conflicted, |stage| stage.clone_to("c.db")).answering(&["exists"]),
    steps("clone-search-index", "delete", worlds::searched, |stage| stage.clone_to("c.db")).answering(&["exists"]),
    atomic("policy", "delete", worlds::team, policy),
    atomic("resolve", "delete", conflicted, |stage| resolve(stage, Choice::Ours)),
    atomic("resolve-value-wal", "wal", conflicted, |stage| resolve(stage, Choice::Value)),
    steps("resolve-and-sync", "delete", conflicted, resolve_and_sync),
    atomic("import", "delete", importing, import),
    steps("copied", "delete", copied, |stage| stage.sync("c.db").map(drop)),
    steps("copied-wal", "wal", copied, |stage| stage.sync("c.db").map(drop)),
    steps("tombstones-cleanup", "delete", deleted, cleanup),
    atomic("tombstones-restore", "delete", deleted, tombstones_restore),
    steps("rewound", "delete", rewound, |stage| stage.sync("a.db").map(drop)),
];

/// Both replicas changed the same cells; both know.
fn conflicted(stage: &Stage) -> Result<()> {
    worlds::manual(stage)?;
    stage.app("a.db", worlds::EDITS)?;
    stage.app("b.db", worlds::AGAINST)?;
    for file in ["a.db", "b.db", "a.db"] {
        stage.sync(file)?;
    }
    Ok(())
}

fn policy(stage: &Stage) -> Result<()> {
    let text = mainstem::policy_text::set("", "note.body.strategy", "manual")?;
    stage.primary()?.set_policy(&text, "a")
}

fn answer(replica: &mut SqliteReplica, choice: Choice) -> Result<()> {
    let open = replica.conflicts(true)?;
    let value = (choice == Choice::Value).then(|| Value::text("chosen"));
    let answers: Vec<_> = open.iter().filter(|c| c.column.is_some()).map(|c| (c.id, Answering { choice, value: value.clone() })).collect();
    replica.resolve("a", &answers)
}

fn resolve(stage: &Stage, choice: Choice) -> Result<()> {
    answer(&mut *stage.replica("a.db")?, choice)
}

fn resolve_and_sync(stage: &Stage) -> Result<()> {
    resolve(stage, Choice::Theirs)?;
    stage.acknowledge();
    stage.sync("a.db").map(drop)
}

/// The one has a changeset that the other is to take from a file.
fn importing(stage: &Stage) -> Result<()> {
    worlds::team(stage)?;
    stage.app("b.db", "UPDATE person SET name = 'Ada B.' WHERE id = 1; UPDATE note SET body = 'imported' WHERE id IN ('a', 'b')")?;
    stage.commit("b.db")?;
    stage.app("a.db", "UPDATE person SET age = 30 WHERE id = 1")
}

fn import(stage: &Stage) -> Result<()> {
    let (mut from, mut to) = (stage.replica("b.db")?, stage.replica("a.db")?);
    let fronts = from.unsent()?;
    for front in fronts {
        to.import(&front, &mut *from.pages(front.header.write_id)?)?;
    }
    Ok(())
}

/// Rows whose deletion everybody has heard of, and which are not remembered for long.
fn deleted(stage: &Stage) -> Result<()> {
    worlds::tracked(stage)?;
    stage.replica("a.db")?.set_policy("tombstones = 0\nhistory = 0")?;
    stage.publish("a.db")?;
    stage.clone_to("b.db")?;
    stage.app("a.db", "DELETE FROM note WHERE id IN ('a', 'n11', 'n12')")?;
    for file in ["a.db", "b.db", "a.db"] {
        stage.sync(file)?;
    }
    stage.app("b.db", worlds::OTHERS)
}

fn cleanup(stage: &Stage) -> Result<()> {
    stage.primary()?.cleanup("a", Rehearsal::Real).map(drop)
}

fn tombstones_restore(stage: &Stage) -> Result<()> {
    let (mut replica, mut primary) = (stage.replica("a.db")?, stage.primary()?);
    let mut gone = Vec::new();
    primary.tombstones(&Wanted::default(), &mut |tombstone| {
        gone.extend(Some(tombstone).filter(|t| !t.is_there).cloned());
        Ok(())
    })?;
    tombstones::restore(&mut *replica, &gone).map(drop)
}

/// A copy of a replica, each with work of its own.
fn copied(stage: &Stage) -> Result<()> {
    worlds::team(stage)?;
    stage.app("a.db", "UPDATE person SET name = 'Ada A.' WHERE id = 1")?;
    stage.commit("a.db")?;
    std::fs::copy(stage.path("a.db"), stage.path("c.db")).map_err(|e| mainstem::Error::invalid("no copy").because(e))?;
    stage.app("a.db", worlds::OTHERS)?;
    stage.sync("a.db")?;
    stage.app("c.db", "INSERT INTO note VALUES ('copy', 1, 'from the copy')")
}

/// A replica that was put back to where it was before its last pushes.
fn rewound(stage: &Stage) -> Result<()> {
    let no_copy = |e: std::io::Error| mainstem::Error::invalid("no copy").because(e);
    worlds::team(stage)?;
    let kept = std::fs::read(stage.path("a.db")).map_err(no_copy)?;
    stage.app("a.db", worlds::EDITS)?;
    stage.sync("a.db")?;
    std::fs::write(stage.path("a.db"), kept).map_err(no_copy)?;
    stage.app("a.db", worlds::OTHERS)
}
