//! Tombstones: which row deletions the ledger still remembers, and what a cleanup removed.
//!
//! Invariant: a tombstone says where its deletion stands in a page; a version's pages stay as long as one of its tombstones,
//! so tombstones can be made again from events and pages whatever was collected.
//! Deliberately absent: when one expires, which is the policy's to say.
use super::{SqliteLedger, missing, number};
use crate::errors::Explain;
use mainstem::Result;
use mainstem::core::change::{Change, Edit};
use mainstem::core::event::{Collected, Version};
use mainstem::core::format;
use mainstem::core::schema::SchemaChange;
use mainstem::core::stamp::Time;
use mainstem::core::value::Key;
use mainstem::ledger::{Buried, BuriedCount, Ledger, Touch};
use rusqlite::Connection;
use std::collections::HashSet;

pub(super) const TABLES: &str = "
CREATE TABLE mainstem_accepted(version INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL);
CREATE TABLE mainstem_tombstone(version INTEGER, place INTEGER, page INTEGER NOT NULL, slot INTEGER NOT NULL,
  table_id INTEGER NOT NULL, PRIMARY KEY(version, place)) WITHOUT ROWID;
CREATE TABLE mainstem_horizon(position INTEGER PRIMARY KEY, version INTEGER NOT NULL);
";

/// Gives a ledger that an earlier program wrote its tombstones, from its events and pages.
pub fn upgrade(connection: &Connection) -> Result<()> {
    connection.execute_batch(TABLES).on(connection)?;
    let mut ledger = SqliteLedger::new(connection);
    for version in 1..=ledger.head()?.version {
        ledger.refold_tombstones(version)?;
    }
    Ok(())
}

impl SqliteLedger<'_> {
    /// Buries the deletions of one version again, as its pages and its append did.
    pub fn refold_tombstones(&mut self, version: u64) -> Result<()> {
        let event = self.must_version(version)?;
        for page in 0..event.pages {
            // Pages that were collected held no deletion that is still remembered.
            let Some(bytes) = self.page(version, page)? else { continue };
            let ids = event.shapes.iter().map(|shape| self.name(&shape.table)).collect::<Result<Vec<_>>>()?;
            let changes = format::page::decode(&bytes, &event.shapes)?;
            self.bury(number(version)?, number(page)?, &ids, &changes)?;
        }
        for step in &event.schema {
            if let SchemaChange::RenameTable { from, to } = step
                && let Some(from) = self.find_name(from)?
            {
                let to = self.name(to)?;
                self.rename_tombstones(from, to, number(version)?)?;
            }
        }
        self.fold_acceptance(&event)
    }

    /// Notes the deletions of one page of a version that is about to be appended. `ids` are its shapes' tables.
    pub(super) fn bury(&mut self, version: i64, page: i64, ids: &[i64], changes: &[Change]) -> Result<()> {
        let connection = self.connection;
        let last = "SELECT coalesce(max(place), 0) FROM mainstem_tombstone WHERE version = ?1";
        let mut place: Option<i64> = None;
        let sql = "INSERT INTO mainstem_tombstone(version, place, page, slot, table_id) VALUES (?1, ?2, ?3, ?4, ?5)";
        let mut insert = connection.prepare_cached(sql).on(connection)?;
        for (slot, change) in changes.iter().enumerate() {
            let id = *ids.get(change.table).ok_or_else(|| missing(version as u64))?;
            match (&change.edit, &change.moved_from) {
                (Edit::Delete(_), _) => {
                    let next = place.map_or_else(|| self.one(last, [version], |row| row.get(0)), |at| Ok(Some(at)))?.unwrap_or(0) + 1;
                    insert.execute((version, next, page, slot as i64, id)).on(connection)?;
                    place = Some(next);
                }
                (_, Some(from)) => self.moved.push((id, from.clone())),
                _ => {}
            }
        }
        Ok(())
    }

    /// When the version was accepted; and rows that only took another key were not deleted.
    pub(super) fn fold_acceptance(&mut self, version: &Version) -> Result<()> {
        let numbered = number(version.version)?;
        let at_ms = number(version.accepted_at.ms())?;
        self.run("INSERT INTO mainstem_accepted(version, at_ms) VALUES (?1, ?2)", (numbered, at_ms))?;
        let moved: HashSet<(i64, Key)> = std::mem::take(&mut self.moved).into_iter().collect();
        if moved.is_empty() {
            return Ok(());
        }
        let places = self.all("SELECT place, page, slot, table_id FROM mainstem_tombstone WHERE version = ?1", [numbered], |row| {
            Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
        })?;
        for [place, page, slot, id] in places {
            let changes = self.changes(version.version, page as u64)?;
            let key = &changes.get(slot as usize).ok_or_else(|| missing(version.version))?.key;
            if moved.contains(&(id, key.clone())) {
                self.run("DELETE FROM mainstem_tombstone WHERE version = ?1 AND place = ?2", (numbered, place))?;
            }
        }
        Ok(())
    }

    /// A table's tombstones follow it when it is renamed. Those of a dropped table keep its name.
    pub(super) fn rename_tombstones(&mut self, from: i64, to: i64, version: i64) -> Result<()> {
        let sql = "UPDATE mainstem_tombstone SET table_id = ?2 WHERE table_id = ?1 AND version < ?3";
        self.run(sql, (from, to, version)).map(drop)
    }

    /// Removes what a cleanup says.
    pub(super) fn collect(&mut self, position: i64, collected: &Collected) -> Result<()> {
        for of in &collected.tombstones {
            let Some(id) = self.find_name(&of.table)? else { continue };
            let sql = "DELETE FROM mainstem_tombstone WHERE table_id = ?1 AND version <= ?2 AND \
                       version IN (SELECT version FROM mainstem_accepted WHERE at_ms <= ?3)";
            self.run(sql, (id, number(of.through)?, number(of.until.ms())?))?;
        }
        let horizon = number(collected.horizon)?;
        let is_further = collected.horizon > self.horizon()?;
        self.run("INSERT INTO mainstem_horizon(position, version) VALUES (?1, ?2)", (position, horizon))?;
        if is_further {
            self.run("DELETE FROM mainstem_touch WHERE version <= ?1", [horizon])?;
        }
        let sql = "DELETE FROM mainstem_page WHERE version <= ?1 AND NOT EXISTS \
                   (SELECT 1 FROM mainstem_tombstone t WHERE t.version = mainstem_page.version)";
        self.run(sql, [horizon])?;
        self.pages.clear();
        Ok(())
    }

    pub(super) fn buried(&mut self, after: (u64, u64), limit: usize) -> Result<Vec<Buried>> {
        let sql = "SELECT t.version, t.place, t.page, t.slot, n.name, a.at_ms FROM mainstem_tombstone t \
                   JOIN mainstem_name n ON n.id = t.table_id JOIN mainstem_accepted a ON a.version = t.version \
                   WHERE (t.version, t.place) > (?1, ?2) ORDER BY t.version, t.place LIMIT ?3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let places = self.all(sql, (number(after.0)?, number(after.1)?, limit), |row| {
            let numbers = [row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
            Ok((numbers, row.get::<_, String>(4)?, row.get::<_, i64>(5)?))
        })?;
        let mut found = Vec::with_capacity(places.len());
        for ([version, place, page, slot], table, at) in places {
            let origin = self.origin(version as u64)?;
            let changes = self.changes(version as u64, page as u64)?;
            let change = usize::try_from(slot).ok().and_then(|slot| changes.get(slot)).ok_or_else(|| missing(version as u64))?.clone();
            let shape = origin.shapes.get(change.table).ok_or_else(|| missing(version as u64))?.clone();
            let (replica, actor, was) = (origin.replica, origin.actor.clone(), origin.was.clone());
            let touch = Touch { version: version as u64, replica, actor, shape, change, was };
            found.push(Buried { place: place as u64, table, accepted_at: Time::from_ms(at as u64), touch });
        }
        Ok(found)
    }

    pub(super) fn buried_counts(&mut self, visit: &mut dyn FnMut(&BuriedCount) -> Result<()>) -> Result<()> {
        let sql = "SELECT t.version, n.name, a.at_ms, count(*) FROM mainstem_tombstone t \
                   JOIN mainstem_name n ON n.id = t.table_id JOIN mainstem_accepted a ON a.version = t.version \
                   GROUP BY t.version, t.table_id ORDER BY t.version, n.name";
        let connection = self.connection;
        let mut statement = connection.prepare_cached(sql).on(connection)?;
        let mut rows = statement.query([]).on(connection)?;
        while let Some(row) = rows.next().on(connection)? {
            let (version, table): (i64, String) = (row.get(0).on(connection)?, row.get(1).on(connection)?);
            let (at, count): (i64, i64) = (row.get(2).on(connection)?, row.get(3).on(connection)?);
            let accepted_at = Time::from_ms(at as u64);
            visit(&BuriedCount { version: version as u64, table, accepted_at, count: count as u64 })?;
        }
        Ok(())
    }
}

/// True where the ledger has its tombstones.
pub fn has_tombstones(connection: &Connection) -> Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'mainstem_tombstone'";
    connection.query_row(sql, [], |row| row.get(0)).on(connection)
}
