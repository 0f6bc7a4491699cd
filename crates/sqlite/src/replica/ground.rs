//! A replica's rows as ground to rebase onto, with what the versions just received did to them.
use super::{bases, storage};
use crate::capture::{self, Done};
use crate::derived::{self, Stale};
use crate::errors::Explain;
use crate::sweep::Page;
use crate::tables::SqliteTables;
use mainstem::body::{Digests, change_of};
use mainstem::core::change::{Change, Front, Past, Shape};
use mainstem::core::event::{Renumbered, Version};
use mainstem::core::format::{page, row as row_format};
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::{Schema, SchemaChange, Table};
use mainstem::core::stamp::{ReplicaId, Time};
use mainstem::core::three_way::Touch;
use mainstem::core::value::{Key, Row, Value};
use mainstem::error::{Error, Result};
use mainstem::lane::shape_of;
use mainstem::rebase::{Effect, Effects, Ground};
use mainstem::tables::{Tables, Wrote};
use rusqlite::{Connection, params};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Rows of a tracked file inside a transaction, triggers off. Whoever writes through it ends with [`ReplicaGround::renew_indexes`].
pub struct ReplicaGround<'c> {
    db: &'c Connection,
    tables: SqliteTables<'c>,
    versions: HashMap<u64, Origin>,
    written: BTreeSet<usize>,
    is_altered: bool,
}

/// Whose a version is, and what its changes refer to.
struct Origin {
    replica: ReplicaId,
    actor: Arc<str>,
    shapes: Vec<Shape>,
    shared: Vec<Arc<Shape>>,
    was: Arc<[Past]>,
}

impl<'c> ReplicaGround<'c> {
    /// The tracked tables of a file.
    pub fn new(db: &'c Connection) -> Result<Self> {
        let schema = Arc::new(super::tracked_schema(db)?);
        let tables = SqliteTables::new(
            db,
            schema,
            Box::new(|db| {
                // A table that a schema step has just made is tracked from that moment on.
                capture::adopt(db)?;
                super::tracked_schema(db)
            }),
        );
        Ok(ReplicaGround { db, tables, versions: HashMap::new(), written: BTreeSet::new(), is_altered: false })
    }

    /// Makes the search indexes again whose rows were written here, since the app's triggers did not fire.
    pub fn renew_indexes(&mut self) -> Result<()> {
        if !self.is_altered && self.written.is_empty() || planted::is(Bug::A16) {
            return Ok(());
        }
        self.tables.forget_statements();
        let before = storage::broken_indexes(self.db)?;
        let schema = self.tables.schema();
        let tables = self.written.iter().filter_map(|&at| schema.tables.get(at)).map(|t| &t.name);
        let names = tables.chain(before.iter().map(|(index, _)| index)).map(|name| name.to_ascii_lowercase()).collect();
        let stale = if self.is_altered { Stale::All } else { Stale::Of(&names) };
        let broken = derived::rebuild(self.db, &stale)?;
        if broken != before {
            storage::set_broken(self.db, &broken)?;
        }
        self.written.clear();
        self.is_altered = false;
        Ok(())
    }

    /// Lays changes of one table many at a time; see [`SqliteTables::sweep`].
    pub(crate) fn sweep(
        &mut self,
        table: usize,
        page: &Arc<Page>,
        changes: Vec<u32>,
        is_dense: bool,
        digests: &mut Digests,
        left: &mut Vec<u32>,
    ) -> Result<()> {
        self.written.insert(table);
        self.tables.sweep(table, page, changes, is_dense, digests, left)
    }

    /// Remembers what a version did to a row, for as long as work made on an earlier version is not accepted.
    pub fn note_touch(&self, version: &Version, ordinal: u64, change: &Change) -> Result<()> {
        put_touch(self.db, change, version.version, ordinal, &version.shapes)
    }

    /// Remembers what laying one of our changesets did to a row, as it will be told once that changeset is a version.
    fn note_laid(&mut self, laid: &Laid<'_>, table: &Table, effect: &Effect<'_>) -> Result<()> {
        let origin = self.versions.entry(laid.version).or_insert_with(|| Origin {
            replica: laid.front.header.replica,
            actor: laid.front.header.actor.as_str().into(),
            shapes: Vec::new(),
            shared: Vec::new(),
            was: [].into(),
        });
        let shape = shape_of(table);
        let at = origin.shapes.iter().position(|known| *known == shape).unwrap_or_else(|| {
            origin.shared.push(Arc::new(shape.clone()));
            origin.shapes.push(shape);
            origin.shapes.len() - 1
        });
        match change_of(table, at, effect) {
            Some(change) => put_touch(self.db, &change, laid.version, laid.ordinal, &origin.shapes),
            None => Ok(()),
        }
    }

    /// Forgets what was noted of changesets of ours that are no version yet.
    pub fn forget_laid(&self, head: u64) -> Result<()> {
        self.db.prepare_cached("DELETE FROM mainstem_touch WHERE version > ?1").on(self.db)?.execute([head as i64]).on(self.db)?;
        Ok(())
    }

    /// A version's event, decoded once.
    fn version(&mut self, version: u64) -> Result<&Origin> {
        if !self.versions.contains_key(&version) {
            let event =
                storage::version(self.db, version)?.ok_or_else(|| Error::corrupt(format!("version {version} is not remembered")))?;
            let shared = event.shapes.iter().cloned().map(Arc::new).collect();
            let Version { header, shapes, was, .. } = event;
            self.versions.insert(version, Origin { replica: header.replica, actor: header.actor.into(), shapes, shared, was: was.into() });
        }
        Ok(&self.versions[&version])
    }
}

impl Tables for ReplicaGround<'_> {
    fn schema(&self) -> Arc<Schema> {
        self.tables.schema()
    }
    fn get(&mut self, table: usize, key: &Key) -> Result<Option<Row>> {
        self.tables.get(table, key)
    }
    fn insert(&mut self, table: usize, row: &Row) -> Result<Wrote> {
        self.written.insert(table);
        self.tables.insert(table, row)
    }
    fn update(&mut self, table: usize, before: &Row, row: &Row) -> Result<Wrote> {
        self.written.insert(table);
        self.tables.update(table, before, row)
    }
    fn delete(&mut self, table: usize, key: &Key) -> Result<()> {
        self.written.insert(table);
        self.tables.delete(table, key)
    }
    fn find(&mut self, table: usize, columns: &[usize], values: &[Value], limit: usize) -> Result<Vec<Row>> {
        self.tables.find(table, columns, values, limit)
    }
    fn rivals(&mut self, table: usize, row: &Row) -> Result<Vec<Row>> {
        self.tables.rivals(table, row)
    }
    fn scan(&mut self, table: usize, visit: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
        self.tables.scan(table, visit)
    }
    fn next_number(&mut self, table: usize) -> Result<i64> {
        self.tables.next_number(table)
    }
    fn stored_form(&mut self, table: usize, row: &Row) -> Result<Row> {
        self.tables.stored_form(table, row)
    }
    fn alter(&mut self, step: &SchemaChange) -> Result<()> {
        self.is_altered = true;
        self.tables.alter(step)?;
        bases::follow(self.db, step)
    }
}

impl Ground for ReplicaGround<'_> {
    fn touches(&mut self, table: &str, key: &Key, after: u64) -> Result<Vec<Touch>> {
        let noted: Vec<(i64, Vec<u8>)> = self
            .db
            .prepare_cached(
                "SELECT version, body FROM mainstem_touch WHERE tbl = lower(?1) AND key = ?2 AND version > ?3 ORDER BY version, ordinal",
            )
            .on(self.db)?
            .query_map(params![table, row_format::encode_key(key), after as i64], |r| Ok((r.get(0)?, r.get(1)?)))
            .on(self.db)?
            .collect::<rusqlite::Result<_>>()
            .on(self.db)?;
        let mut found = Vec::new();
        for (number, body) in noted {
            let version = self.version(number as u64)?;
            let change = page::decode(&body, &version.shapes)?.pop().ok_or_else(|| Error::corrupt("a noted change is empty"))?;
            let shape = version.shared[change.table].clone();
            let (replica, actor, was) = (version.replica, version.actor.clone(), version.was.clone());
            found.push(Touch { version: number as u64, replica, actor, shape, change, was });
        }
        Ok(found)
    }
    fn renumbered(&mut self, replica: ReplicaId, after: u64) -> Result<Vec<(u64, Renumbered)>> {
        let versions = storage::versions(self.db, after, usize::MAX)?.into_iter().rev().filter(|v| v.header.replica == replica);
        Ok(versions.flat_map(|v| v.renumbered.into_iter().map(move |row| (v.header.base_version, row))).collect())
    }
    fn renumbered_of(&mut self, write_id: u128, after: u64) -> Result<Option<Vec<Renumbered>>> {
        let is_it = |version: &Version| version.header.write_id == write_id || version.stands_for.contains(&write_id);
        Ok(storage::versions(self.db, after, usize::MAX)?.into_iter().find(is_it).map(|version| version.renumbered_in_all()))
    }
    fn steps(&mut self, after: u64) -> Result<Vec<SchemaChange>> {
        Ok(storage::versions(self.db, after, usize::MAX)?.into_iter().rev().flat_map(|v| v.schema).collect())
    }
}

/// Tries again to make the search indexes that could not be made, after the app changed its schema.
pub fn retry_broken(db: &Connection) -> Result<()> {
    let before = storage::broken_indexes(db)?;
    if before.is_empty() {
        return Ok(());
    }
    let names = before.into_iter().map(|(index, _)| index.to_ascii_lowercase()).collect();
    storage::set_broken(db, &derived::rebuild(db, &Stale::Of(&names))?)
}

fn put_touch(db: &Connection, change: &Change, version: u64, ordinal: u64, shapes: &[Shape]) -> Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO mainstem_touch(tbl, key, version, ordinal, body) VALUES(lower(?1), ?2, ?3, ?4, ?5)")
        .on(db)?
        .execute(params![
            shapes[change.table].table,
            row_format::encode_key(&change.key),
            version as i64,
            ordinal as i64,
            page::encode(shapes, std::slice::from_ref(change))
        ])
        .on(db)?;
    Ok(())
}

/// One changeset of ours on its way to be laid on top: keeps the base image of each row that it makes deviate, and notes for
/// those that come after it what it did.
pub struct Laid<'a> {
    /// Keeps the images.
    pub keeper: bases::Keeper<'a>,
    /// The changeset.
    pub front: &'a Front,
    /// The version that it would be.
    pub version: u64,
    /// How many rows it has written.
    pub ordinal: u64,
    /// True where nothing comes after it.
    pub is_last: bool,
}

impl Effects<ReplicaGround<'_>> for Laid<'_> {
    fn effect(&mut self, ground: &mut ReplicaGround<'_>, schema: &Schema, effect: &Effect<'_>) -> Result<()> {
        let table = &schema.tables[effect.table];
        let Some(row) = effect.before.or(effect.after) else { return Ok(()) };
        if ground.schema().table(&table.name).is_some() {
            self.keeper.keep(table, &table.key_of(row), effect.before, effect.after)?;
        }
        if self.is_last {
            return Ok(());
        }
        self.ordinal += 1;
        ground.note_laid(self, table, effect)
    }
    /// Work that gave way here may be laid otherwise the next time: until then the row is looked after like those it wrote.
    fn stays(&mut self, _ground: &mut ReplicaGround<'_>, schema: &Schema, table: usize, row: &Row) -> Result<()> {
        let table = &schema.tables[table];
        self.keeper.keep(table, &table.key_of(row), Some(row), Some(row))
    }
    fn altered(&mut self, _ground: &mut ReplicaGround<'_>, _tables: &[String]) -> Result<()> {
        self.keeper.look_again();
        Ok(())
    }
}

/// Records each row written as a local edit, as if a program had made it.
pub struct Record {
    /// When.
    pub at: Time,
    /// How many rows.
    pub rows: u64,
}

impl Effects<ReplicaGround<'_>> for Record {
    fn effect(&mut self, ground: &mut ReplicaGround<'_>, schema: &Schema, effect: &Effect<'_>) -> Result<()> {
        let table = &schema.tables[effect.table];
        let Some(row) = effect.before.or(effect.after) else { return Ok(()) };
        self.rows += 1;
        // The rows of a table that a step drops go with it, and are nobody's edits.
        if ground.schema().table(&table.name).is_none() {
            return Ok(());
        }
        capture::record(ground.db, table, &table.key_of(row), Done::between(effect.before, effect.after), self.at.ms())
    }
    fn altered(&mut self, _ground: &mut ReplicaGround<'_>, _tables: &[String]) -> Result<()> {
        Ok(())
    }
}
