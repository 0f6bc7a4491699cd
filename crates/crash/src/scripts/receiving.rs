//! Pulls and syncs: one version and many, in pieces, under unsent work, across schema changes.
use super::{Script, steps, worlds};
use crate::stage::{PRIMARY, Stage};
use mainstem::replica::Replica;
use mainstem::{Error, Result};

pub const SCRIPTS: &[Script] = &[
    steps("pull", "delete", one_version, pull),
    steps("pull-wal", "wal", one_version, pull),
    steps("pull-several", "delete", versions, pull),
    steps("pull-pages", "delete", versions, pull_pages),
    steps("pull-pages-wal", "wal", versions, pull_pages),
    steps("pull-acknowledgement", "delete", pushed, pull),
    steps("pull-under-work", "delete", |stage| under(stage, worlds::OTHERS, worlds::EDITS), pull),
    steps("pull-under-work-wal", "wal", |stage| under(stage, worlds::OTHERS, worlds::EDITS), pull),
    steps("pull-conflicts", "delete", clashing, pull),
    steps("pull-renumbering", "delete", |stage| under(stage, "INSERT INTO person VALUES (4, 'Flo', NULL, 20)", worlds::EDITS), pull),
    steps("pull-schema", "delete", |stage| under(stage, SCHEMA, worlds::EDITS), pull),
    steps("pull-search-index", "delete", searched, pull),
    steps("pull-direct-writes", "delete", direct, pull),
    steps("pull-direct-schema-wal", "wal", direct_schema, pull),
    steps("sync", "delete", clashing, |stage| stage.sync("a.db").map(drop)),
    steps("sync-wal", "wal", clashing, |stage| stage.sync("a.db").map(drop)),
];

const SCHEMA: &str =
    "ALTER TABLE note ADD COLUMN mood TEXT; UPDATE note SET mood = 'good' WHERE id = 'b'; ALTER TABLE person RENAME COLUMN name TO called";

fn pull(stage: &Stage) -> Result<()> {
    stage.pull("a.db").map(drop)
}

/// Somebody else's version, with work here that is not sent.
fn under(stage: &Stage, theirs: &str, ours: &str) -> Result<()> {
    worlds::team(stage)?;
    work(stage, theirs, ours)
}

fn work(stage: &Stage, theirs: &str, ours: &str) -> Result<()> {
    stage.app("b.db", theirs)?;
    stage.app("a.db", ours)?;
    stage.sync("b.db").map(drop)
}

/// Work on the same cells at both ends, which a person has to decide about.
fn clashing(stage: &Stage) -> Result<()> {
    worlds::manual(stage)?;
    work(stage, worlds::AGAINST, worlds::EDITS)
}

fn one_version(stage: &Stage) -> Result<()> {
    worlds::team(stage)?;
    stage.app("b.db", worlds::EDITS)?;
    stage.sync("b.db").map(drop)
}

fn versions(stage: &Stage) -> Result<()> {
    one_version(stage)?;
    stage.app("b.db", worlds::OTHERS)?;
    stage.sync("b.db")?;
    stage.app("b.db", "UPDATE note SET body = body || '!'")?;
    stage.sync("b.db").map(drop)
}

fn pushed(stage: &Stage) -> Result<()> {
    worlds::team(stage)?;
    stage.app("a.db", worlds::EDITS)?;
    stage.push("a.db").map(drop)
}

fn pull_pages(stage: &Stage) -> Result<()> {
    let (mut replica, mut primary) = (stage.replica("a.db")?, stage.primary()?);
    loop {
        let known = replica.standing()?.known.ok_or_else(|| Error::invalid("no primary"))?;
        let pull = primary.pull(&known, replica.cursor()?, 1)?;
        replica.receive(&pull)?;
        stage.acknowledge();
        if pull.is_last {
            return Ok(());
        }
    }
}

fn searched(stage: &Stage) -> Result<()> {
    worlds::searched(stage)?;
    stage.app("b.db", "INSERT INTO note VALUES ('s', 1, 'searched for'); UPDATE note SET body = 'other words' WHERE id = 'a'")?;
    stage.sync("b.db").map(drop)
}

fn direct(stage: &Stage) -> Result<()> {
    worlds::team(stage)?;
    stage.app(PRIMARY, worlds::OTHERS)?;
    stage.app("a.db", "UPDATE person SET age = 5 WHERE id = 2")
}

fn direct_schema(stage: &Stage) -> Result<()> {
    worlds::team(stage)?;
    stage.app(PRIMARY, SCHEMA)?;
    stage.app("a.db", worlds::EDITS)
}
