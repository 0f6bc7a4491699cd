//! What happened to the rows of a table through its whole life, whatever it was called, and after it was dropped too.
//!
//! Invariant: a row's past is found by the touch index; no page is read that does not tell of the row.
use super::{SqliteLedger, missing, number};
use crate::errors::Explain;
use mainstem::core::chronicle::{Chronicle, TableId};
use mainstem::core::event::Event;
use mainstem::core::format;
use mainstem::core::value::Key;
use mainstem::ledger::{Ledger, Touch};
use mainstem::{Error, Result};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Where a touch is: version, page, place in the page.
pub(super) type TouchPlace = (i64, i64, i64);

/// Reads one of the index.
pub(super) fn place(row: &rusqlite::Row<'_>) -> rusqlite::Result<TouchPlace> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

/// A number under which touches of a table are filed, and the one version it counts for; none for all.
type Filed = (i64, Option<u64>);

impl SqliteLedger<'_> {
    /// The touch of a row at a place of the index.
    pub(super) fn touch(&mut self, key: &Key, (version, page, slot): TouchPlace) -> Result<Touch> {
        let version = version.cast_unsigned();
        let origin = self.origin(version)?;
        let changes = self.changes(version, page.cast_unsigned())?;
        let change = usize::try_from(slot).ok().and_then(|slot| changes.get(slot));
        let change = change.filter(|c| c.key == *key).ok_or_else(|| missing(version))?.clone();
        let shape = origin.shapes.get(change.table).ok_or_else(|| missing(version))?.clone();
        let (replica, actor, was) = (origin.replica, origin.actor.clone(), origin.was.clone());
        Ok(Touch { version, replica, actor, shape, change, was })
    }

    /// Every era of the dataset, folded once in a transaction.
    pub(super) fn known_chronicle(&mut self) -> Result<Arc<Chronicle>> {
        if let Some(known) = &self.chronicle {
            return Ok(known.clone());
        }
        let first = self.event(1)?.map(|(bytes, _)| format::event::decode(&bytes)).transpose()?;
        let Some(Event::Genesis(genesis)) = first else {
            return Err(Error::corrupt("the primary's first event is not its genesis"));
        };
        let mut chronicle = Chronicle::new(&genesis.schema);
        for version in self.all("SELECT version FROM mainstem_step ORDER BY version", [], |row| row.get::<_, i64>(0))? {
            let version = self.must_version(version.cast_unsigned())?;
            version.schema.iter().for_each(|step| chronicle.add(version.version, step));
        }
        let chronicle = Arc::new(chronicle);
        self.chronicle = Some(chronicle.clone());
        Ok(chronicle)
    }

    /// What happened to a row in these versions, newest first.
    pub(super) fn past_of(&mut self, table: TableId, key: &Key, versions: RangeInclusive<u64>, limit: usize) -> Result<Vec<Touch>> {
        let chronicle = self.known_chronicle()?;
        let bytes = format::row::encode_key(key);
        let mut until = *versions.end();
        loop {
            let mut places = Vec::new();
            for (id, only) in self.filed(table)? {
                let (from, until) = (only.unwrap_or(0).max(*versions.start()), only.unwrap_or(u64::MAX).min(until));
                if from <= until {
                    places.extend(self.newest(id, &bytes, number(from)?, number(until)?, limit)?);
                }
            }
            places.sort_unstable_by(|a, b| b.cmp(a));
            let Some(oldest) = places.last().map(|place| place.0.cast_unsigned()) else { return Ok(Vec::new()) };
            let touches = places.into_iter().map(|place| self.touch(key, place)).collect::<Result<Vec<_>>>()?;
            let is_of = |touch: &Touch| chronicle.place(touch.version, &touch.shape).is_some_and(|place| place.table == table);
            let touches: Vec<Touch> = touches.into_iter().filter(is_of).collect();
            if !touches.is_empty() || oldest == 0 {
                return Ok(touches);
            }
            until = oldest - 1;
        }
    }

    /// At least `limit` of a key's latest places under one number, a version's never divided.
    fn newest(&self, id: i64, key: &[u8], from: i64, until: i64, limit: usize) -> Result<Vec<TouchPlace>> {
        let sql = "SELECT version FROM mainstem_touch WHERE table_id = ?1 AND key = ?2 AND version BETWEEN ?3 AND ?4 \
                   ORDER BY version DESC LIMIT 1 OFFSET ?5";
        let offset = i64::try_from(limit.saturating_sub(1)).unwrap_or(i64::MAX);
        let oldest = self.one(sql, (id, key, from, until, offset), |row| row.get::<_, i64>(0))?;
        let sql = "SELECT version, page, slot FROM mainstem_touch WHERE table_id = ?1 AND key = ?2 AND version BETWEEN ?3 AND ?4";
        self.all(sql, (id, key, oldest.unwrap_or(from), until), place)
    }

    /// Visits the rows of a table that were touched after a version, and perhaps rows of another that was dropped.
    pub(super) fn visit_touched(&mut self, table: TableId, after: u64, visit: &mut dyn FnMut(&Key) -> Result<()>) -> Result<()> {
        for (id, only) in self.filed(table)? {
            let from = only.unwrap_or(0).max(after.saturating_add(1));
            let until = only.unwrap_or(i64::MAX.cast_unsigned());
            let sql = "SELECT DISTINCT key FROM mainstem_touch WHERE table_id = ?1 AND version BETWEEN ?2 AND ?3 ORDER BY key";
            let connection = self.connection;
            let mut statement = connection.prepare_cached(sql).on(connection)?;
            let mut rows = statement.query((id, number(from)?, number(until)?)).on(connection)?;
            while let Some(row) = rows.next().on(connection)? {
                let key: Vec<u8> = row.get(0).on(connection)?;
                visit(&format::row::decode_key(&key)?)?;
            }
        }
        Ok(())
    }

    /// Where a table's touches may be filed, among others' that were dropped. A table that is there has its name's number.
    /// One that was dropped was set aside under a number without a name; but what the version that dropped it tells of its
    /// rows stays under its name until another table of that name is dropped.
    fn filed(&mut self, table: TableId) -> Result<Vec<Filed>> {
        let chronicle = self.known_chronicle()?;
        let Some((version, last)) = chronicle.dropped(table) else {
            let name = chronicle.last(table).map(|table| table.name.clone()).unwrap_or_default();
            return Ok(self.find_name(&name)?.map(|id| (id, None)).into_iter().collect());
        };
        let mut filed: Vec<Filed> = self.find_name(&last.name)?.map(|id| (id, Some(version))).into_iter().collect();
        filed.extend(self.all("SELECT id FROM mainstem_name WHERE name IS NULL", [], |row| Ok((row.get(0)?, None)))?);
        Ok(filed)
    }
}
