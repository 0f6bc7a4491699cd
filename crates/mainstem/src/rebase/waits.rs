//! A replica goes on working on a row that waits for its parent: there the row is in its place, here it is not. Or on a copy
//! where a change of its own was refused: there the row is not as it made it, here it may be.
//!
//! Invariant: of one row, one change of a replica waits at most, which is all that the replica did to it. It meets all that others
//! did since the first of it was made, which its author's copy did not show.
use super::absent::without_parent;
use super::{Awaiting, Ground, Rebase, touches, touches_after};
use crate::error::Result;
use crate::lane::{Lane, table_after};
use mainstem_core::change::{Change, Edit, Front};
use mainstem_core::condense::combine_changes;
use mainstem_core::event::Waiting;
use mainstem_core::schema::{Schema, SchemaChange};
use mainstem_core::three_way::Touch;
use mainstem_core::value::{Key, Row};
use std::collections::{HashMap, HashSet};

/// What waits of the replica whose changeset comes in, by table and key.
pub(super) type Waits = HashMap<(usize, Key), Wait>;

/// A change that waits.
pub(super) struct Wait {
    /// Whose it is, its table and key as it waits under them.
    names: (u128, String, Key),
    change: Change,
    /// The version that it was made on.
    made_on: u64,
    /// True where the row is in its place where it was made.
    pub is_in_place: bool,
}

/// What waits of the front's replica, in the ground's columns.
pub(super) fn of<G: Ground + ?Sized>(ground: &mut G, schema: &Schema, front: &Front) -> Result<Waits> {
    let (mut waits, mut absent) = (Waits::new(), (0, Vec::new()));
    for Awaiting { version, waiting, made_on } in ground.waiting()? {
        let table = schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(&waiting.table));
        let (Some(table), true) = (table, version.header.replica == front.header.replica) else { continue };
        let Some(shape) = version.shapes.get(waiting.change.table) else { continue };
        let columns = |waiting: &Waiting| version.shapes.get(waiting.change.table).map(|s| s.columns.clone()).unwrap_or_default();
        if absent.0 != version.version {
            absent = (version.version, without_parent(schema, &version.conflicts, &version.waiting, &columns));
        }
        let is_absent = absent.1.contains(&(waiting.table.clone(), waiting.key.clone()));
        let names = (version.header.write_id, waiting.table, waiting.key);
        let (change, lost) = Lane::between(schema, Some(table), shape, &[]).localise(waiting.change, None);
        if lost.is_empty() {
            let is_in_place = !is_absent && !is_of_others(ground, schema, front, table, &change)?;
            waits.insert((table, change.key.clone()), Wait { names, change, made_on, is_in_place });
        }
    }
    Ok(waits)
}

impl<G: Ground + ?Sized> Rebase<'_, G> {
    /// The rows that ours' author's copy did not show as ours made them.
    pub(super) fn hidden(&self, steps: &[SchemaChange]) -> HashSet<(usize, Key)> {
        let place = |(name, key): &(String, Key)| {
            let name = table_after(name, steps);
            let table = self.schema.tables.iter().position(|table| table.name.eq_ignore_ascii_case(&name))?;
            Some((table, self.renumbering.key(&self.schema.tables[table].name, key)))
        };
        self.front.hidden.iter().filter_map(place).collect()
    }

    /// A change of ours to that row was not written as it was made.
    pub(super) fn note_refused(&mut self, table: usize, key: &Key) {
        self.out.refused.push((self.schema.tables[table].name.clone(), key.clone()));
        self.refused.insert((table, key.clone()));
    }

    /// A row that ours was about stays as it is.
    pub(super) fn stays(&mut self, table: usize, row: Option<&Row>) -> Result<()> {
        row.map_or(Ok(()), |row| self.effects.stays(self.ground, &self.schema, table, row))
    }

    /// The change together with what waits of the same cells: both are one from here on. None where nothing is left of them.
    pub(super) fn with_what_waits(&mut self, table: usize, change: Change) -> Result<Option<Change>> {
        let place = (table, change.key.clone());
        let Some(wait) = self.waits.get(&place).filter(|wait| meet(&wait.change, &change)) else { return Ok(Some(change)) };
        let (first, made_on) = (&wait.change, wait.made_on);
        if is_of_others(self.ground, &self.schema, self.front, table, first)? {
            return Ok(Some(change));
        }
        if first.edit == change.edit {
            // It is let in.
            self.made_on.insert(place, made_on);
            return Ok(Some(change));
        }
        // What does not go on from what waits stays by itself.
        let Ok(both) = combine_changes(first, &change) else { return Ok(Some(change)) };
        self.out.released.push(wait.names.clone());
        self.waits.remove(&place);
        self.made_on.insert(place, made_on);
        Ok(both)
    }

    /// What happened to a row since ours was made, or the first of it that waits.
    pub(super) fn touches_since_made(&mut self, table: usize, key: &Key) -> Result<Vec<Touch>> {
        let name = &self.schema.tables[table].name;
        let made_on = self.made_on.get(&(table, key.clone())).copied().unwrap_or(self.front.header.base_version);
        touches_after(self.ground, self.front, name, key, made_on)
    }
}

/// True where others made a row under the key of one that waits, and ours has seen that one: it is what ours means.
fn is_of_others<G: Ground + ?Sized>(ground: &mut G, schema: &Schema, front: &Front, table: usize, waits: &Change) -> Result<bool> {
    if !matches!(waits.edit, Edit::Insert(_)) || ground.get(table, &waits.key)?.is_none() {
        return Ok(false);
    }
    let touches = touches(ground, front, &schema.tables[table].name, &waits.key)?;
    Ok(!touches.iter().any(|touch| matches!(touch.change.edit, Edit::Insert(_))))
}

/// False for edits of one row that have no cell in common: the later one need not wait.
fn meet(first: &Change, second: &Change) -> bool {
    match (&first.edit, &second.edit) {
        (Edit::Update(early), Edit::Update(late)) => late.iter().any(|cell| early.iter().any(|other| other.column == cell.column)),
        _ => true,
    }
}
