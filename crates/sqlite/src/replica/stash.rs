//! Puts working changes aside, and lays them on again later.
//!
//! Invariant: what is put aside is stored before the rows go back, in one transaction; it is forgotten only when all of it
//! is in the rows again, or when its owner says so.
use super::ground::ReplicaGround;
use super::receive::Taking;
use super::{SqliteReplica, base_version, clock, edit, replica_id, storage, transact, working};
use crate::capture;
use crate::errors::Explain;
use mainstem::core::ErrorKind;
use mainstem::core::change::{Change, Edit, Front, Header};
use mainstem::core::format::{self, page};
use mainstem::core::value::Key;
use mainstem::error::{Error, Result};
use mainstem::primary::Pages;
use mainstem::tables::Tables;
use mainstem::wiring::Around;
use mainstem::writer::{Tried, Write, Writer};
use rusqlite::{Connection, params};
use std::collections::HashSet;

impl SqliteReplica {
    /// Puts the changes since the last commit aside. None where there are none.
    pub fn stash(&mut self, actor: &str, title: Option<&str>) -> Result<Option<Front>> {
        let (db, around) = (&self.db, &self.around);
        transact(db, || {
            if !storage::steps(db)?.is_empty() {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "schema_changed",
                    "the tables themselves were changed, which cannot be put aside",
                )
                .hint("mainstem commit -m TITLE first"));
            }
            let end = capture::end(db)?;
            let mut front = working::gather(db, around.random(), working::Span::until_now(db, around)?, false)?;
            if front.count == 0 {
                return Ok(None);
            }
            put_back(db, &front)?;
            capture::clear(db, end)?;
            front.header = Header {
                write_id: front.header.write_id,
                lineage: storage::get_wide(db, "lineage")?.unwrap_or_default(),
                replica: replica_id(db)?,
                sequence: 0,
                base_version: base_version(db)?,
                actor: actor.to_owned(),
                title: title.map(str::to_owned),
                description: String::new(),
                at: front.header.at.max(clock::now(db, around)?),
                made_on: Vec::new(),
            };
            let sql = "INSERT INTO mainstem_stash(write_id, front) VALUES(?1, ?2)";
            db.execute(sql, params![front.header.write_id.to_be_bytes(), format::front::encode(&front)]).on(db)?;
            Ok(Some(front))
        })
    }

    /// What was put aside, newest first.
    pub fn stashes(&self) -> Result<Vec<Front>> {
        storage::stashes(&self.db)
    }

    /// The rows of one of them.
    pub fn stash_pages(&self, front: &Front) -> Box<dyn Pages + '_> {
        Box::new(storage::StoredPages { db: &self.db, front: front.clone(), next: 0 })
    }

    /// Lays what was put aside onto the rows as they are, and forgets it. Nothing happens where it clashes.
    pub fn unstash(&mut self, front: &Front) -> Result<u64> {
        let (db, around) = (&self.db, &self.around);
        transact(db, || {
            let mut pages = storage::StoredPages { db, front: front.clone(), next: 0 };
            let (rows, conflicts) = edit::import(db, around, front, &mut pages)?;
            if let Some(conflict) = conflicts.first() {
                let message = format!(
                    "{} of its changes clash with what the rows are now, the first in {}; nothing was changed",
                    conflicts.len(),
                    conflict.table
                );
                return Err(Error::new(ErrorKind::Conflict, "stash_clash", message)
                    .hint("mainstem stash show, then commit or restore what stands against it"));
            }
            bring_conflicts(db, around, front)?;
            forget(db, front)?;
            Ok(rows)
        })
    }

    /// Forgets what was put aside.
    pub fn drop_stash(&mut self, front: &Front) -> Result<()> {
        let db = &self.db;
        transact(db, || forget(db, front))
    }

    /// Names the working changeset ahead of its commit.
    pub fn begin(&mut self, title: &str, description: &str) -> Result<()> {
        let db = &self.db;
        transact(db, || working::begin(db, Some((title, description))))
    }

    /// The title that the working changeset was given ahead of its commit.
    pub fn begun(&self) -> Result<Option<(String, String)>> {
        working::begun(&self.db)
    }
}

/// Moves the changes of these rows from an unsent changeset into one that is put aside. Returns how many.
///
/// What else is unsent is laid on the base version again without them: laid on later, they are edits like any other.
pub(super) fn set_aside(db: &Connection, around: &Around, write_id: u128, rows: &[(String, Key)]) -> Result<u64> {
    let fronts = storage::changesets(db)?;
    let mut front =
        fronts.into_iter().find(|f| f.header.write_id == write_id).ok_or_else(|| Error::not_found("no such unsent changeset"))?;
    let rows: HashSet<(String, &Key)> = rows.iter().map(|(table, key)| (table.to_ascii_lowercase(), key)).collect();
    let names: Vec<String> = front.shapes.iter().map(|shape| shape.table.to_ascii_lowercase()).collect();
    let mut aside = Front { header: front.header.clone(), shapes: front.shapes.clone(), ..Front::default() };
    aside.header.write_id = around.random();
    let title = front.header.title.as_deref().map_or(String::new(), |title| format!(": {title}"));
    aside.header.title = Some(format!("outside what this copy may see{title}"));
    let mut pages = storage::StoredPages { db, front: front.clone(), next: 0 };
    let mut put_aside = 0;
    while let Some(changes) = pages.next()? {
        let is_outside = |change: &Change| rows.contains(&(names[change.table].clone(), &change.key));
        let (outside, kept): (Vec<Change>, Vec<Change>) = changes.into_iter().partition(is_outside);
        if outside.is_empty() {
            continue;
        }
        aside.count += outside.len() as u64;
        storage::put_page(db, aside.header.write_id, put_aside, &page::encode(&aside.shapes, &outside))?;
        storage::put_page(db, write_id, pages.next - 1, &page::encode(&front.shapes, &kept))?;
        put_aside += 1;
    }
    if aside.count > 0 {
        front.count -= aside.count;
        storage::set_front(db, &front)?;
        let sql = "INSERT INTO mainstem_stash(write_id, front) VALUES(?1, ?2)";
        db.execute(sql, params![aside.header.write_id.to_be_bytes(), format::front::encode(&aside)]).on(db)?;
        let mut taking = Taking::begin(db, around, HashSet::new())?;
        taking.undo(&storage::changesets(db)?)?;
        taking.end()?;
    }
    Ok(aside.count)
}

/// What had lost before it was put aside is told of all the same, in a changeset of its own: the rows do not hold it.
fn bring_conflicts(db: &Connection, around: &Around, front: &Front) -> Result<()> {
    let mut conflicts = front.conflicts.clone();
    for known in storage::conflicts(db, false)? {
        conflicts.retain(|conflict| conflict.id != known.id);
    }
    if conflicts.is_empty() {
        return Ok(());
    }
    let sequence = storage::get::<i64>(db, "sequence")?.unwrap_or_default() + 1;
    let header = Header {
        write_id: around.random(),
        lineage: storage::get_wide(db, "lineage")?.unwrap_or_default(),
        replica: replica_id(db)?,
        sequence: sequence as u64,
        base_version: base_version(db)?,
        at: front.header.at.max(clock::now(db, around)?),
        made_on: Vec::new(),
        ..front.header.clone()
    };
    storage::put(db, "sequence", sequence)?;
    storage::add_changeset(db, &Front { header, conflicts, ..Front::default() })
}

fn forget(db: &Connection, front: &Front) -> Result<()> {
    let id = front.header.write_id.to_be_bytes();
    db.execute("DELETE FROM mainstem_stash WHERE write_id = ?1", [id]).on(db)?;
    db.execute("DELETE FROM mainstem_page WHERE write_id = ?1", [id]).on(db).map(drop)
}

/// Makes the rows what they were before the changes.
fn put_back(db: &Connection, front: &Front) -> Result<()> {
    let mut ground = ReplicaGround::new(db)?;
    let schema = ground.schema();
    let mut writer = Writer::default();
    let mut pages = storage::StoredPages { db, front: front.clone(), next: 0 };
    while let Some(page) = pages.next()? {
        for change in page {
            let name = &front.shapes[change.table].table;
            let Some(table) = schema.tables.iter().position(|t| t.name == *name) else { continue };
            let now = ground.get(table, &change.key)?;
            let before = before(&change, now.as_ref());
            match writer.write(&mut ground, Write { table, before: now, after: before, tag: () })? {
                Tried::Refused(write, what) => return Err(stands_against(&schema.tables[write.table].name, &what)),
                Tried::Done(_) | Tried::Kept => {}
            }
        }
    }
    let (_, clashes) = writer.finish(&mut ground)?;
    match clashes.first() {
        Some((write, what)) => Err(stands_against(&schema.tables[write.table].name, what)),
        None => ground.renew_indexes(),
    }
}

fn before(change: &Change, now: Option<&Vec<mainstem::core::value::Value>>) -> Option<Vec<mainstem::core::value::Value>> {
    match &change.edit {
        Edit::Insert(_) => None,
        Edit::Delete(row) => Some(row.clone()),
        Edit::Update(cells) => now.map(|row| {
            let mut row = row.clone();
            for cell in cells {
                row[cell.column].clone_from(&cell.before);
            }
            row
        }),
    }
}

fn stands_against(table: &str, what: &str) -> Error {
    Error::new(ErrorKind::Conflict, "constraint", format!("a row of {table} cannot be put back: {what}"))
        .hint("mainstem commit -m TITLE instead")
}
