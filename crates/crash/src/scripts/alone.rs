//! What happens to one file: tracking, committing, putting aside, and the programs' own writes.
use super::{Script, atomic, steps, worlds};
use crate::stage::Stage;
use mainstem::Result;
use mainstem::replica::{Replica, RestoreTarget, Since};

pub const SCRIPTS: &[Script] = &[
    atomic("init", "delete", worlds::plain, |stage| stage.init("a.db")),
    atomic("init-wal", "wal", worlds::plain, |stage| stage.init("a.db")),
    steps("init-again", "delete", init_again, |stage| stage.init("a.db")),
    atomic("deinit", "delete", worlds::edited, deinit).answering(&["not_tracked"]),
    atomic("commit", "delete", worlds::edited, |stage| stage.commit("a.db")),
    atomic("commit-wal", "wal", worlds::edited, |stage| stage.commit("a.db")),
    atomic("commit-titled", "delete", committed, commit_titled),
    atomic("begin", "delete", worlds::edited, |stage| stage.replica("a.db")?.begin("the title", "and why")),
    atomic("restore", "delete", committed_and_edited, |stage| restore(stage, Since::Commit)),
    atomic("restore-base-wal", "wal", published_and_edited, |stage| restore(stage, Since::Base)),
    atomic("stash", "delete", committed_and_edited, |stage| stage.replica("a.db")?.stash("a", Some("aside")).map(drop)),
    atomic("unstash-wal", "wal", stashed, unstash),
    atomic("heal", "delete", altered, |stage| stage.replica("a.db").map(drop)),
    steps("heal-and-commit-wal", "wal", altered, |stage| stage.commit("a.db")),
    steps("programs-write", "delete", worlds::tracked, programs_write),
    steps("programs-write-wal", "wal", worlds::tracked, programs_write),
    steps("programs-alter", "delete", worlds::tracked, programs_alter),
    steps("checkpoint", "wal", worlds::edited, checkpoint),
];

fn init_again(stage: &Stage) -> Result<()> {
    worlds::tracked(stage)?;
    stage.app("a.db", "CREATE TABLE fresh (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO fresh VALUES (1, 'one')")
}

fn deinit(stage: &Stage) -> Result<()> {
    mainstem_sqlite::SqliteReplica::deinit(&stage.path("a.db"), true, mainstem_testkit::Seeded::around(1))
}

fn committed(stage: &Stage) -> Result<()> {
    worlds::edited(stage)?;
    stage.commit("a.db")
}

fn committed_and_edited(stage: &Stage) -> Result<()> {
    committed(stage)?;
    stage.app("a.db", worlds::OTHERS)
}

fn published_and_edited(stage: &Stage) -> Result<()> {
    worlds::published(stage)?;
    stage.app("a.db", worlds::EDITS)?;
    stage.commit("a.db")?;
    stage.app("a.db", worlds::OTHERS)
}

fn commit_titled(stage: &Stage) -> Result<()> {
    stage.replica("a.db")?.commit("a", Some("a title"), "and a description").map(drop)
}

fn restore(stage: &Stage, since: Since) -> Result<()> {
    let everything = RestoreTarget { table: None, key: None, columns: Vec::new() };
    stage.replica("a.db")?.restore(since, &everything).map(drop)
}

fn stashed(stage: &Stage) -> Result<()> {
    committed_and_edited(stage)?;
    stage.replica("a.db")?.stash("a", None).map(drop)
}

fn unstash(stage: &Stage) -> Result<()> {
    let mut replica = stage.replica("a.db")?;
    let stashes = replica.stashes()?;
    stashes.first().map_or(Ok(()), |front| replica.unstash(front).map(drop))
}

fn altered(stage: &Stage) -> Result<()> {
    worlds::edited(stage)?;
    stage.app("a.db", "ALTER TABLE note ADD COLUMN mood TEXT; ALTER TABLE person RENAME COLUMN age TO years; UPDATE note SET mood = 'good' WHERE id = 'a'")
}

/// Three transactions, each acknowledged by its commit.
fn programs_write(stage: &Stage) -> Result<()> {
    for sql in [
        "BEGIN; UPDATE person SET age = 40 WHERE id = 1; INSERT OR IGNORE INTO person VALUES (5, 'Ed', NULL, 1); COMMIT",
        "BEGIN; DELETE FROM note WHERE id LIKE 'n1%'; UPDATE note SET body = 'changed' WHERE id LIKE 'n2%'; COMMIT",
        "INSERT OR REPLACE INTO note VALUES ('a', 5, 'replaced')",
    ] {
        stage.app("a.db", sql)?;
        stage.acknowledge();
    }
    Ok(())
}

fn programs_alter(stage: &Stage) -> Result<()> {
    let has_mood = "SELECT count(*) FROM pragma_table_info('note') WHERE name = 'mood'";
    let count: Option<i64> = stage.program("a.db")?.query_row(has_mood, [], |row| row.get(0)).ok();
    if count == Some(0) {
        stage.app("a.db", "ALTER TABLE note ADD COLUMN mood TEXT")?;
        stage.acknowledge();
    }
    stage.app("a.db", "UPDATE note SET mood = 'fine' WHERE id = 'a'")
}

fn checkpoint(stage: &Stage) -> Result<()> {
    stage.app("a.db", "PRAGMA wal_autocheckpoint = 0; UPDATE note SET body = body || '.'  WHERE id LIKE 'n3%' AND body NOT LIKE '%.'; PRAGMA wal_checkpoint(TRUNCATE)")
}
