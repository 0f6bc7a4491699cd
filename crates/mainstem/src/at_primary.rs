//! Edits for somebody who has no replica at hand: conflicts are answered and deleted rows put back straight at a primary.
//!
//! What comes of it is a changeset on the head like any other, pushed under a replica's name of its own, so that rules, merging
//! and history are the same. Deliberately absent: answers that need a search through tables; a replica gives those.
use crate::error::{Error, Result};
use crate::lane::{constant_default, shape_of};
use crate::primary::{Acquaintance, Pages, Primary, Pushed};
use crate::replica::Answering;
use crate::schema_merge;
use crate::tombstones::{Tombstone, TombstoneId, Wanted, Why};
use crate::wiring::Around;
use mainstem_core::ErrorKind;
use mainstem_core::change::{Cell, Change, Choice, Edit, Front, Header, Resolution, Shape};
use mainstem_core::conflict::{Claim, Conflict, ConflictKind, Image};
use mainstem_core::schema::{Schema, Table};
use mainstem_core::stamp::{ReplicaId, Stamp, Time};
use mainstem_core::strategy::{CellOutcome, CellSide, Context, Strategy, merge_cell};
use mainstem_core::value::{Key, Row, Value};
use std::collections::BTreeMap;

/// A row before and after.
type Sides = (Option<Row>, Option<Row>);

/// A changeset that is being made from what a primary holds at its head.
pub struct Draft<'a> {
    primary: &'a mut dyn Primary,
    known: Acquaintance,
    schema: Schema,
    /// By table and key.
    rows: BTreeMap<(usize, Key), Sides>,
    resolutions: Vec<Resolution>,
    at: Time,
}

/// Who makes it, and what it is called.
pub struct Signature<'a> {
    /// The name.
    pub actor: &'a str,
    /// The label of the token; none where none was needed.
    pub token: Option<String>,
    /// Who that is, by whatever name ([`Front::sender`]).
    pub sender: Option<String>,
    /// The changeset's title.
    pub title: String,
}

/// A changeset that is ready to be pushed.
pub struct Drafted {
    /// What it is to be pushed with.
    pub known: Acquaintance,
    /// Everything but its rows.
    pub front: Front,
    changes: Option<Vec<Change>>,
    kept: Vec<Change>,
}

impl Drafted {
    /// Pushes it.
    pub fn push(mut self, primary: &mut dyn Primary) -> Result<Pushed> {
        let (known, front) = (self.known, self.front.clone());
        primary.push(&known, &front, &mut self)
    }
}

impl Pages for Drafted {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        Ok(self.changes.take().filter(|changes| !changes.is_empty()))
    }
    fn rewind(&mut self) -> Result<()> {
        self.changes = Some(self.kept.clone());
        Ok(())
    }
}

impl<'a> Draft<'a> {
    /// Begins one on the head.
    pub fn begin(primary: &'a mut dyn Primary, around: &Around) -> Result<Draft<'a>> {
        let description = primary.describe()?;
        let version = description.head.version;
        let hash = primary.version_hash(version)?.ok_or_else(|| Error::corrupt("the head version is missing"))?;
        let known = Acquaintance { lineage: description.lineage, epoch: description.epoch, version, hash, scope: description.scope };
        let latest = primary.version(version)?.map_or(Time::default(), |latest| latest.accepted_at);
        let at = latest.tick(around.now_ms());
        Ok(Draft { known, schema: primary.schema()?, primary, rows: BTreeMap::new(), resolutions: Vec::new(), at })
    }

    /// Answers conflicts.
    pub fn answer(&mut self, actor: &str, answers: &[(u64, Answering)]) -> Result<()> {
        let conflicts = self.primary.conflicts(false)?;
        for (id, answering) in answers {
            let conflict = conflicts.iter().find(|conflict| conflict.id == *id);
            let conflict = conflict.ok_or_else(|| Error::not_found(format!("no conflict {id:016x}")))?;
            if !conflict.is_open() {
                return Err(Error::new(ErrorKind::Conflict, "resolved", format!("conflict {id:016x} is answered already")));
            }
            self.settle(conflict, answering)?;
            self.resolutions.push(Resolution { conflict: *id, choice: answering.choice, actor: actor.to_string(), at: self.at });
        }
        Ok(())
    }

    /// Puts rows back that were deleted.
    pub fn put_back(&mut self, ids: &[TombstoneId]) -> Result<()> {
        for id in ids {
            let wanted = Wanted { version: Some(id.version), place: Some(id.place), ..Wanted::default() };
            let mut found: Option<Tombstone> = None;
            self.primary.tombstones(&wanted, &mut |tombstone| {
                found = Some(tombstone.clone());
                Ok(())
            })?;
            let found = found.ok_or_else(|| Error::not_found(format!("there is no tombstone {id}")))?;
            self.raise(&found)?;
        }
        Ok(())
    }

    fn raise(&mut self, tombstone: &Tombstone) -> Result<()> {
        if let Why::Marked { column, .. } = &tombstone.why {
            return Err(Error::invalid(format!("the row is there: {column} marks it as deleted")).hint("edit that column"));
        }
        let table = self.table(&tombstone.table)?;
        let row = self.row_from(table, &tombstone.image)?;
        let key = key_of(&self.schema.tables[table], &row);
        if self.get(table, &key)?.is_some() {
            let message = format!("{} has a row of that key again", tombstone.table);
            return Err(Error::new(ErrorKind::Conflict, "unique", message).hint("edit that row"));
        }
        self.put(table, key, Some(row))
    }

    /// The changeset; nothing to push is an error.
    pub fn finish(self, around: &Around, signature: Signature<'_>) -> Result<Drafted> {
        let mut shapes: Vec<Shape> = Vec::new();
        let mut changes = Vec::new();
        for ((table, key), (before, after)) in self.rows {
            let Some(edit) = edit(before, after, self.at) else { continue };
            let name = &self.schema.tables[table].name;
            let shape = shapes.iter().position(|shape| shape.table == *name).unwrap_or_else(|| {
                shapes.push(shape_of(&self.schema.tables[table]));
                shapes.len() - 1
            });
            changes.push((table, Change { table: shape, key, edit, at: self.at, moved_from: None }));
        }
        if changes.is_empty() && self.resolutions.is_empty() {
            return Err(Error::invalid("there is nothing to do: everything is so already"));
        }
        // Children go before parents and come after them; tables are in the order in which they were made.
        changes.sort_by_key(|(table, change)| match change.edit {
            Edit::Delete(_) => (0, usize::MAX - table),
            _ => (1, *table),
        });
        let changes: Vec<Change> = changes.into_iter().map(|(_, change)| change).collect();
        let header = Header {
            write_id: around.random(),
            lineage: self.known.lineage,
            replica: ReplicaId(around.random()),
            sequence: 1,
            base_version: self.known.version,
            actor: signature.actor.to_string(),
            title: Some(signature.title),
            at: self.at,
            ..Header::default()
        };
        let count = changes.len() as u64;
        let front = Front { header, shapes, count, resolutions: self.resolutions, ..Front::default() };
        let front = Front { token: signature.token, sender: signature.sender, ..front };
        Ok(Drafted { known: self.known, front, changes: Some(changes.clone()), kept: changes })
    }

    fn table(&self, name: &str) -> Result<usize> {
        let found = self.schema.tables.iter().position(|table| table.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| Error::new(ErrorKind::Conflict, "schema_changed", format!("there is no table {name} any more")))
    }

    /// A row as it is, or as this draft will have it.
    fn get(&mut self, table: usize, key: &Key) -> Result<Option<Row>> {
        if let Some((_, after)) = self.rows.get(&(table, key.clone())) {
            return Ok(after.clone());
        }
        let name = self.schema.tables[table].name.clone();
        Ok(self.primary.rows_of(&name, std::slice::from_ref(key), self.known.version)?.pop().flatten())
    }

    fn put(&mut self, table: usize, key: Key, after: Option<Row>) -> Result<()> {
        let before = self.get(table, &key)?;
        self.rows.entry((table, key)).or_insert((before, None)).1 = after;
        Ok(())
    }

    fn settle(&mut self, conflict: &Conflict, answering: &Answering) -> Result<()> {
        let claim = chosen(conflict, answering.choice);
        let table = self.schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(&conflict.table) && !conflict.key.is_empty());
        let is_schema = schema_merge::is_step_refused(conflict) || conflict.kind == ConflictKind::Schema;
        let column = conflict.column.as_ref().map(|name| table.and_then(|table| self.schema.tables[table].column(name)));
        match (table.filter(|_| !is_schema), column) {
            (Some(table), Some(Some(column))) => self.settle_cell(table, column, conflict, answering),
            (Some(table), None) => self.settle_row(table, conflict, claim),
            // What it is about is gone: only letting it be gone can be answered.
            _ if claim.is_some_and(|claim| *claim == Claim::Row(None)) => Ok(()),
            _ => Err(elsewhere(conflict)),
        }
    }

    fn settle_cell(&mut self, table: usize, column: usize, conflict: &Conflict, answering: &Answering) -> Result<()> {
        let value = match (answering.choice, chosen(conflict, answering.choice)) {
            (Choice::Value, _) => answering.value.clone().ok_or_else(|| Error::invalid("no value was given"))?,
            (Choice::Merged, _) => merged(conflict)?,
            (_, Some(Claim::Cell(value))) => value.clone(),
            (_, Some(Claim::Row(None))) => return Ok(()),
            _ => return Err(Error::invalid("that side of the conflict has no value of its own")),
        };
        let gone = || Error::new(ErrorKind::Conflict, "row_gone", format!("the row of {} was deleted since", conflict.table));
        let mut row = self.get(table, &conflict.key)?.ok_or_else(gone)?;
        row[column] = value;
        self.put(table, conflict.key.clone(), Some(row))
    }

    fn settle_row(&mut self, table: usize, conflict: &Conflict, claim: Option<&Claim>) -> Result<()> {
        let wanted = match claim {
            Some(Claim::Row(Some(image))) => Some(self.row_from(table, image)?),
            // The parents that were kept for it would have to be looked for.
            Some(Claim::Row(None)) if conflict.kind == ConflictKind::MissingParent => return Err(elsewhere(conflict)),
            Some(Claim::Row(None)) => None,
            Some(Claim::Cell(_)) => return Err(Error::invalid("that side of the conflict is not a row")),
            None => return Err(elsewhere(conflict)),
        };
        let key = wanted.as_ref().map_or_else(|| conflict.key.clone(), |row| key_of(&self.schema.tables[table], row));
        if conflict.kind == ConflictKind::Unique {
            // The other row of a unique clash gives way to the chosen one.
            for other in [&conflict.ours.claim, &conflict.theirs.claim] {
                let Claim::Row(Some(image)) = other else { continue };
                let row = self.row_from(table, image)?;
                let place = key_of(&self.schema.tables[table], &row);
                if Some(other) != claim && place != key {
                    self.put(table, place, None)?;
                }
            }
        }
        self.put(table, key, wanted)
    }

    /// A claimed row in the table's columns: what the claim does not name stays as it is.
    fn row_from(&mut self, table: usize, image: &Image) -> Result<Row> {
        let columns = &self.schema.tables[table].columns;
        let mut row: Row = columns.iter().map(|column| constant_default(column.default.as_deref())).collect();
        let named: Vec<(usize, Value)> =
            image.iter().filter_map(|(name, value)| Some((self.schema.tables[table].column(name)?, value.clone()))).collect();
        for (at, value) in &named {
            row[*at] = value.clone();
        }
        let key = key_of(&self.schema.tables[table], &row);
        if let Some(there) = self.get(table, &key)? {
            row = there;
            for (at, value) in named {
                row[at] = value;
            }
        }
        Ok(row)
    }
}

fn key_of(table: &Table, row: &Row) -> Key {
    table.key.iter().map(|&at| row[at].clone()).collect()
}

fn chosen(conflict: &Conflict, choice: Choice) -> Option<&Claim> {
    match choice {
        Choice::Ours => Some(&conflict.ours.claim),
        Choice::Theirs => Some(&conflict.theirs.claim),
        Choice::Base => Some(&conflict.base),
        Choice::Value | Choice::Merged => None,
    }
}

fn elsewhere(conflict: &Conflict) -> Error {
    Error::invalid(format!("conflict {:016x} is answered in a copy of the dataset", conflict.id))
        .hint(format!("mainstem resolve {:016x} --ours (or --theirs), then mainstem sync", conflict.id))
}

/// Both sides in one value, where they changed different places of its text or JSON.
pub fn merged(conflict: &Conflict) -> Result<Value> {
    let (Claim::Cell(base), Claim::Cell(ours), Claim::Cell(theirs)) = (&conflict.base, &conflict.ours.claim, &conflict.theirs.claim) else {
        return Err(Error::invalid("only cells can be merged"));
    };
    let side = |value, time| CellSide {
        value,
        stamp: Stamp { time: Time(time), replica: ReplicaId(0) },
        actor: "",
        rank: Value::Null,
        is_primary: false,
    };
    let tried = [Strategy::Json, Strategy::Text].into_iter().find_map(|strategy| {
        match merge_cell(strategy, &Context::default(), base, &side(ours, 1), &side(theirs, 2)) {
            CellOutcome::Agreed(value) => Some(value),
            _ => None,
        }
    });
    tried.ok_or_else(|| Error::new(ErrorKind::Conflict, "overlap", "both sides changed the same place"))
}

fn edit(before: Option<Row>, after: Option<Row>, at: Time) -> Option<Edit> {
    match (before, after) {
        (None, None) => None,
        (None, Some(row)) => Some(Edit::Insert(row)),
        (Some(row), None) => Some(Edit::Delete(row)),
        (Some(before), Some(after)) => {
            let pairs = before.into_iter().zip(after).enumerate();
            let cells: Vec<Cell> =
                pairs.filter(|(_, (a, b))| a != b).map(|(column, (before, after))| Cell { column, before, after, at }).collect();
            (!cells.is_empty()).then_some(Edit::Update(cells))
        }
    }
}
