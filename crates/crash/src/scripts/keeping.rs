//! What looks after history: reverting, folding again, re-seeding, backups and their return.
use super::{Script, atomic, steps, worlds};
use crate::stage::Stage;
use mainstem::Result;
use mainstem::cleanup::Rehearsal;
use mainstem_sqlite::backup;
use mainstem_sqlite::primary::rebuild_primary;

pub const SCRIPTS: &[Script] = &[
    steps("revert", "delete", versions, revert),
    steps("revert-wal", "wal", versions, revert),
    atomic("rebuild", "delete", damaged, rebuild),
    steps("reseed", "delete", behind, |stage| stage.sync("a.db").map(drop)),
    steps("reseed-wal", "wal", behind, |stage| stage.sync("a.db").map(drop)),
    steps("backup-of-primary", "delete", versions, |stage| backup_of(stage, "primary")).answering(&["exists"]),
    steps("backup-of-replica", "wal", versions, |stage| backup_of(stage, "a.db")).answering(&["exists"]),
    steps("sync-with-restored", "delete", restored, |stage| stage.sync("b.db").map(drop)).beyond_verify(),
    steps("sync-with-restored-wal", "wal", restored, |stage| stage.sync("b.db").map(drop)).beyond_verify(),
];

/// Versions of two people, and work that is not sent.
fn versions(stage: &Stage) -> Result<()> {
    worlds::team(stage)?;
    stage.app("b.db", worlds::EDITS)?;
    stage.sync("b.db")?;
    stage.sync("a.db")?;
    stage.app("a.db", worlds::OTHERS)?;
    stage.sync("a.db")?;
    stage.app("a.db", "UPDATE person SET age = 20 WHERE id = 3")
}

fn revert(stage: &Stage) -> Result<()> {
    let (mut replica, mut primary) = (stage.replica("a.db")?, stage.primary()?);
    replica.revert(&mut **primary, 2, "a").map(drop)
}

/// Somebody deleted from what the primary folds.
fn damaged(stage: &Stage) -> Result<()> {
    versions(stage)?;
    stage.app(crate::stage::PRIMARY, "DELETE FROM mainstem_write; UPDATE mainstem_sequence SET sequence = 0")
}

fn rebuild(stage: &Stage) -> Result<()> {
    rebuild_primary(&stage.primary_folder(), stage.around("primary"), &mut |_| Ok(())).map(drop)
}

/// A replica with work of its own, while the primary has forgotten the versions that it has not heard of.
fn behind(stage: &Stage) -> Result<()> {
    worlds::team(stage)?;
    stage.app("b.db", worlds::OTHERS)?;
    stage.sync("b.db")?;
    stage.app("b.db", worlds::AGAINST)?;
    stage.sync("b.db")?;
    stage.app("a.db", worlds::EDITS)?;
    let mut primary = stage.primary()?;
    primary.set_policy("tombstones = 0\nhistory = 0\nreplicas = 0\n", "a")?;
    primary.cleanup("a", Rehearsal::Real).map(drop)
}

fn backup_of(stage: &Stage, what: &str) -> Result<()> {
    let to = stage.path("kept.backup");
    backup::create(&stage.path(what), &|_| to.clone(), &stage.around("backup"), &mut crate::stage::quiet).map(drop)
}

/// A primary that was put back to before the last versions, which replicas have.
fn restored(stage: &Stage) -> Result<()> {
    worlds::team(stage)?;
    backup_of(stage, "primary")?;
    stage.app("a.db", worlds::EDITS)?;
    stage.sync("a.db")?;
    stage.sync("b.db")?;
    backup::restore(&stage.path("kept.backup"), &stage.primary_folder(), true, "a", &stage.around("backup"), &mut crate::stage::quiet)?;
    stage.app("b.db", worlds::OTHERS)
}
