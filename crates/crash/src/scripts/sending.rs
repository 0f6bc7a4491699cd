//! Pushes: onto the head, onto what others did, with all that a merge can find.
use super::{Script, steps, worlds};
use crate::stage::Stage;
use mainstem::Result;

pub const SCRIPTS: &[Script] = &[
    steps("push", "delete", fast, push),
    steps("push-wal", "wal", fast, push),
    steps("program-then-push", "delete", worlds::team, program_then_push),
    steps("push-several", "delete", several, push),
    steps("push-merging", "delete", merging, push),
    steps("push-conflicts", "delete", conflicting, push),
    steps("push-conflicts-wal", "wal", conflicting, push),
    steps("push-renumbering", "delete", renumbering, push),
    steps("push-unique", "delete", unique, push),
    steps("push-waiting", "delete", waiting, push),
    steps("push-parent-of-waiting", "wal", parent_of_waiting, push),
    steps("push-schema", "delete", schema, push),
    steps("push-after-direct-writes", "delete", after_direct_writes, push),
    steps("push-unseen", "delete", unseen, push).beyond_verify(),
];

fn push(stage: &Stage) -> Result<()> {
    stage.push("a.db").map(drop)
}

fn fast(stage: &Stage) -> Result<()> {
    worlds::team(stage)?;
    stage.app("a.db", worlds::EDITS)
}

/// A program that leaves the end of its journal to chance, as SQLite does unless told otherwise, and a push right after it.
fn program_then_push(stage: &Stage) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO person VALUES (4, 'Di', NULL, 50); UPDATE note SET body = 'longer' WHERE id = 'b'";
    // What is captured becomes part of a changeset, so its time is the same whenever this is played.
    let at = format!("UPDATE mainstem_log SET at = {}", stage.morning());
    stage.app("a.db", &format!("PRAGMA synchronous = FULL; BEGIN; {sql}; {at}; COMMIT"))?;
    push(stage)
}

fn several(stage: &Stage) -> Result<()> {
    fast(stage)?;
    stage.commit("a.db")?;
    stage.app("a.db", worlds::OTHERS)?;
    stage.commit("a.db")?;
    stage.app("a.db", "DELETE FROM note WHERE id = 'd'; UPDATE person SET age = 1")
}

/// The other one was first, with this.
fn second(stage: &Stage, theirs: &str, ours: &str) -> Result<()> {
    worlds::team(stage)?;
    first(stage, theirs, ours)
}

fn first(stage: &Stage, theirs: &str, ours: &str) -> Result<()> {
    stage.app("a.db", ours)?;
    stage.app("b.db", theirs)?;
    stage.sync("b.db").map(drop)
}

fn merging(stage: &Stage) -> Result<()> {
    second(stage, worlds::OTHERS, worlds::EDITS)
}

fn conflicting(stage: &Stage) -> Result<()> {
    worlds::manual(stage)?;
    first(stage, worlds::AGAINST, worlds::EDITS)
}

fn renumbering(stage: &Stage) -> Result<()> {
    let theirs = "INSERT INTO person VALUES (4, 'Flo', 'flo@example.org', 20); INSERT INTO note VALUES ('f', 4, 'of Flo')";
    second(stage, theirs, worlds::EDITS)
}

fn unique(stage: &Stage) -> Result<()> {
    let theirs = "UPDATE person SET email = 'one@example.org' WHERE id = 3";
    second(
        stage,
        theirs,
        "UPDATE person SET email = 'one@example.org' WHERE id = 1; UPDATE person SET email = 'ada@example.org' WHERE id = 2",
    )
}

/// A note about somebody whom nobody knows yet.
fn orphan(stage: &Stage, file: &str) -> Result<()> {
    stage.app(file, "PRAGMA foreign_keys = OFF; INSERT INTO note VALUES ('w', 77, 'waits'); UPDATE person SET age = 9 WHERE id = 3")
}

fn waiting(stage: &Stage) -> Result<()> {
    worlds::team(stage)?;
    orphan(stage, "a.db")
}

fn parent_of_waiting(stage: &Stage) -> Result<()> {
    worlds::team(stage)?;
    orphan(stage, "b.db")?;
    stage.sync("b.db")?;
    stage.app("a.db", "INSERT INTO person VALUES (77, 'Gus', NULL, 3)")
}

fn schema(stage: &Stage) -> Result<()> {
    worlds::team(stage)?;
    stage.app("b.db", "ALTER TABLE person ADD COLUMN city TEXT; UPDATE person SET city = 'Oslo' WHERE id = 2")?;
    stage.sync("b.db")?;
    stage.app("a.db", "ALTER TABLE note ADD COLUMN mood TEXT DEFAULT 'none'; UPDATE note SET mood = 'good' WHERE id = 'a'")?;
    stage.app("a.db", "CREATE TABLE place (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO place VALUES (1, 'here')")?;
    stage.commit("a.db")
}

fn after_direct_writes(stage: &Stage) -> Result<()> {
    fast(stage)?;
    stage.app(crate::stage::PRIMARY, worlds::OTHERS)
}

/// A program that switched triggers off.
fn unseen(stage: &Stage) -> Result<()> {
    worlds::team(stage)?;
    let db = stage.program("a.db")?;
    let off = rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER;
    let write = || -> rusqlite::Result<()> {
        db.set_db_config(off, false)?;
        db.execute_batch("UPDATE note SET body = 'unseen' WHERE id = 'a'; INSERT INTO note VALUES ('u', 1, 'unseen too')")
    };
    write().map_err(|e| mainstem::Error::invalid("no unseen write").because(e))?;
    drop(db);
    stage.app("a.db", "UPDATE person SET age = 5 WHERE id = 2")
}
