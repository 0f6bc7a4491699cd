//! What must be true once everybody has synced and nobody works.
use crate::copies::{self, Rows, differences, words, words_of};
use crate::world::{World, quiet};
use mainstem::core::change::Edit;
use mainstem::core::conflict::{Claim, Conflict};
use mainstem::core::event::Waiting;
use mainstem::core::value::Value;
use mainstem::replica::Replica;
use mainstem::sync;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::Path;

/// Three rounds of sync, after which another moves nothing.
pub fn settle(world: &mut World) -> Result<(), String> {
    for round in 0..4 {
        for who in 0..world.copies.len() {
            let mut replica = world.replica(who);
            let report = sync::sync(&mut replica, &mut *world.primary(), &format!("a{who}"), &mut quiet)
                .map_err(|e| format!("the last syncs fail: {} {e} (replica {who}, round {round})", e.code))?;
            if round == 3 && (report.pushed, report.pulled, report.reconciled) != (0, 0, 0) {
                return Err(format!("no rest: replica {who} still moves {report:?}"));
            }
        }
    }
    Ok(())
}

fn by_id(mut conflicts: Vec<Conflict>) -> Vec<Conflict> {
    conflicts.sort_by_key(|c| c.id);
    conflicts
}

/// Rows without those that wait: their author sees them, nobody else does.
fn settled(world: &World, path: &Path, waiting: &[Waiting]) -> Rows {
    let mut rows = copies::rows(path);
    for wait in waiting {
        let schema = world.replica(0).schema().unwrap();
        let Some(table) = schema.table(&wait.table) else { continue };
        if let Some(rows) = rows.get_mut(&table.name) {
            rows.retain(|row| !table.key.iter().zip(&wait.key).all(|(&k, v)| row.get(&table.columns[k].name) == Some(v)));
        }
    }
    rows
}

/// Judges a world at rest.
pub fn judge(world: &World) -> Result<(), String> {
    let fail = |e: mainstem::Error| format!("judging failed: {} {e}", e.code);
    let mut primary = world.primary();
    let truth = by_id(primary.conflicts(false).map_err(fail)?);
    let waiting: Vec<Waiting> = world.replica(0).pending().map_err(fail)?.into_iter().map(|(_, w)| w).collect();
    let rows = settled(world, &world.primary_file(), &waiting);
    let described = primary.describe().map_err(fail)?;
    for who in 0..world.copies.len() {
        let mut replica = world.replica(who);
        let theirs = settled(world, &world.copies[who].path, &waiting);
        let found = differences(&rows, &theirs);
        if !found.is_empty() {
            return Err(format!("diverged: replica {who} is not the primary\n    {}", found.join("\n    ")));
        }
        let conflicts = by_id(replica.conflicts(false).map_err(fail)?);
        if conflicts != truth {
            return Err(format!("conflicts differ: replica {who} has {conflicts:#?}\n the primary {truth:#?}"));
        }
        let pending: Vec<Waiting> = replica.pending().map_err(fail)?.into_iter().map(|(_, w)| w).collect();
        if pending != waiting {
            return Err(format!("pending differs: replica {who} has {pending:?}, replica 0 {waiting:?}"));
        }
        let verified = replica.verify(Some(&mut *primary), &mut quiet).map_err(fail)?;
        if !verified.differences.is_empty() {
            return Err(format!("verify finds: replica {who} {:?}", verified.differences));
        }
        if waiting.is_empty() && verified.digest != mainstem::core::digest::state_digest(&described.tables) {
            return Err(format!("digests differ: replica {who}"));
        }
        if replica.standing().map_err(fail)?.unsent > 0 {
            return Err(format!("unsent: replica {who} keeps work"));
        }
        sound(&world.copies[who].path, world.keeps_links() && waiting.is_empty()).map_err(|why| format!("{why} (replica {who})"))?;
    }
    sound(&world.primary_file(), world.keeps_links()).map_err(|why| format!("{why} (the primary)"))?;
    let unique: BTreeSet<u64> = truth.iter().map(|c| c.id).collect();
    if unique.len() != truth.len() {
        return Err("one id for two conflicts: twice".into());
    }
    nothing_lost(world, &copies::rows(&world.primary_file()), &truth, &waiting)
}

fn sound(path: &Path, keeps_links: bool) -> Result<(), String> {
    let db = Connection::open(path).unwrap();
    let said: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    if said != "ok" {
        return Err(format!("integrity: {said}"));
    }
    if !keeps_links {
        return Ok(());
    }
    let mut statement = db.prepare("SELECT \"table\", rowid, parent FROM pragma_foreign_key_check").unwrap();
    let found: Vec<String> = statement
        .query_map([], |row| {
            Ok(format!("{} {:?} -> {}", row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, String>(2)?))
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    if found.is_empty() { Ok(()) } else { Err(format!("dangling links: {found:?}")) }
}

fn nothing_lost(world: &World, rows: &Rows, conflicts: &[Conflict], waiting: &[Waiting]) -> Result<(), String> {
    let mut kept = words_of(rows);
    let mut see = |value: &Value| words(value, &mut kept);
    for conflict in conflicts {
        for claim in [&conflict.base, &conflict.ours.claim, &conflict.theirs.claim] {
            match claim {
                Claim::Cell(value) => see(value),
                Claim::Row(Some(image)) => image.iter().for_each(|(_, value)| see(value)),
                Claim::Row(None) => {}
            }
        }
    }
    for wait in waiting {
        match &wait.change.edit {
            Edit::Insert(row) | Edit::Delete(row) => row.iter().for_each(&mut see),
            Edit::Update(cells) => cells.iter().for_each(|cell| see(&cell.after)),
        }
    }
    let lost: Vec<&String> = world.written.iter().filter(|word| !kept.contains(*word) && !world.gone.contains(*word)).collect();
    if lost.is_empty() { Ok(()) } else { Err(format!("lost: {lost:?}")) }
}
