//! Our own work that is not accepted yet: taken back before accepted versions are applied, and laid on top of them again.
//!
//! Invariant: what is laid again goes by the very rules of the primary.
use super::{Taking, drift, key_text};
use crate::errors::Explain;
use crate::replica::ground::Laid;
use crate::replica::{bases, kept_policy, past, refused, replica_id, storage, working};
use mainstem::core::ErrorKind;
use mainstem::core::change::{Change, Edit, Front, RenumberedHere};
use mainstem::core::event::{Renumbered, Version, Waiting};
use mainstem::core::format::page;
use mainstem::core::renumber::Renumbering;
use mainstem::core::schema::{Schema, Table};
use mainstem::core::stamp::ReplicaId;
use mainstem::core::value::{Key, Row};
use mainstem::error::{Error, Result};
use mainstem::lane::Lane;
use mainstem::policy_text;
use mainstem::primary::Pages;
use mainstem::rebase::{Ground, Place, rebase};
use mainstem::replica::Unseen;
use mainstem::schema_merge;
use mainstem::tables::Tables;
use mainstem::writer::{Tried, Write, Writer};
use rusqlite::Connection;
use std::collections::{HashMap, HashSet};

impl Taking<'_> {
    /// Puts every row that local work changed back to what it is in the base version.
    pub(in crate::replica) fn undo(&mut self, missed: Unseen) -> Result<()> {
        if self.is_undone {
            return Ok(());
        }
        self.is_undone = true;
        let schema = self.ground.schema();
        let mut writer = Writer::default();
        let (ground, digests) = (&mut self.ground, &mut self.digests);
        bases::each(self.db, &mut |name, kept| {
            let Some(table) = schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(name)) else { return Ok(()) };
            let before = ground.get(table, &kept.key)?;
            let is_seen = before.as_ref().map(|row| digests.digest(&schema.tables[table], row)) == kept.now;
            if !is_seen && missed == Unseen::Refused {
                return Err(unseen(&schema.tables[table].name, &kept.key));
            }
            let after = kept.image.map(|image| image.row(&schema.tables[table], before.as_ref()));
            match writer.write(ground, Write { table, before, after, tag: () })? {
                Tried::Refused(write, what) => Err(drift(&schema, &write, &what)),
                _ => Ok(()),
            }
        })?;
        let (_, clashes) = writer.finish(ground)?;
        if let Some((write, what)) = clashes.first() {
            return Err(drift(&schema, write, what));
        }
        bases::clear(self.db)
    }

    /// Takes our own schema steps back before accepted ones are applied, as the rows were: what was accepted comes first,
    /// and ours are laid on top again with their changesets. What cannot be taken back stays, and so does what accepted
    /// steps have made as well by now.
    pub(super) fn undo_steps(&mut self, unsent: &[Front]) -> Result<()> {
        if std::mem::replace(&mut self.are_steps_undone, true) {
            return Ok(());
        }
        let mut altered = Vec::new();
        let oldest = unsent.iter().map(|f| f.header.base_version).min().unwrap_or(self.version);
        let accepted = self.ground.steps(oldest)?;
        for step in unsent.iter().flat_map(|f| &f.schema).rev() {
            let Some(inverse) = schema_merge::inverse(step).filter(|_| !schema_merge::is_made_by(&accepted, step)) else { continue };
            match self.ground.alter(&inverse) {
                Ok(()) => altered.extend(schema_merge::table_of(&inverse)),
                Err(e) if matches!(e.kind, ErrorKind::Conflict | ErrorKind::Invalid | ErrorKind::NotFound) => {}
                Err(e) => return Err(e),
            }
        }
        self.digests.recount(&mut self.ground, &altered)
    }

    /// Lays what is not accepted yet on top again.
    pub(in crate::replica) fn end(mut self) -> Result<()> {
        if self.is_undone {
            for (version, waiting) in our_waiting(self.db)? {
                let columns = |w: &Waiting| version.shapes.get(w.change.table).map(|s| s.columns.clone()).unwrap_or_default();
                let absent = refused::without_parent(&self.ground.schema(), &version.conflicts, &version.waiting, &columns);
                if absent.contains(&(waiting.table.clone(), waiting.key.clone())) {
                    continue;
                }
                let front = Front { header: version.header.clone(), shapes: version.shapes.clone(), count: 1, ..Front::default() };
                self.lay_alone(&front, &waiting.change)?;
            }
            let mut fronts = storage::changesets(self.db)?;
            for at in 0..fronts.len() {
                let renumbered = self.lay(&fronts[at..], self.version + at as u64)?;
                if !renumbered.is_empty() {
                    self.rewrite(&fronts[at..], renumbered)?;
                    fronts = storage::changesets(self.db)?;
                }
            }
        }
        self.ground.forget_laid(self.version)?;
        if storage::changesets(self.db)?.is_empty() && our_waiting(self.db)?.is_empty() {
            self.db.execute("DELETE FROM mainstem_touch", []).on(self.db)?;
        }
        past::trim(self.db)?;
        self.ground.renew_indexes()?;
        storage::set_digests(self.db, &self.digests.list())
    }

    /// Rebases the first of our changesets on top, as if those before it were versions: by the very rules of the primary.
    /// Numbers that later ones give are not given here.
    fn lay(&mut self, unsent: &[Front], head: u64) -> Result<Vec<Renumbered>> {
        let [front, later @ ..] = unsent else { return Ok(Vec::new()) };
        let policy = policy_text::parse(&kept_policy(self.db)?)?;
        let primary = ReplicaId(front.header.lineage);
        let place = Place { head, version: head + 1, primary };
        let mut laid = front.clone();
        if !self.are_steps_undone {
            laid.schema.clear();
        }
        for shape in laid.shapes.iter_mut().filter(|shape| shape.highest.is_some()) {
            let all = unsent.iter().flat_map(|front| &front.shapes).filter(|other| other.table.eq_ignore_ascii_case(&shape.table));
            shape.highest = all.filter_map(|other| other.highest).max();
        }
        let mut pages = storage::StoredPages { db: self.db, front: front.clone(), next: 0 };
        let keeper = bases::Keeper::new(self.db);
        let mut effects = Laid { keeper, front, version: place.version, ordinal: 0, is_last: later.is_empty() };
        let outcome = rebase(&mut self.ground, &policy, &laid, &mut pages, place, &mut effects)?;
        let schema = self.ground.schema();
        let columns = |w: &Waiting| schema.tables[w.change.table].column_names();
        let absent = refused::without_parent(&schema, &outcome.conflicts, &outcome.waiting, &columns);
        for waiting in outcome.waiting {
            if absent.contains(&(waiting.table.clone(), waiting.key.clone())) {
                continue;
            }
            let table = schema.tables[waiting.change.table].clone();
            let shape = mainstem::lane::shape_of(&table);
            let mut change = waiting.change;
            change.table = 0;
            self.lay_alone(&Front { header: front.header.clone(), shapes: vec![shape], count: 1, ..Front::default() }, &change)?;
        }
        Ok(outcome.renumbered)
    }

    /// Writes one change of ours that waits for its parent: here, its row stays where its author put it.
    fn lay_alone(&mut self, front: &Front, change: &Change) -> Result<()> {
        let schema = self.ground.schema();
        let Some(shape) = front.shapes.get(change.table) else { return Ok(()) };
        let Some(table) = schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(&shape.table)) else { return Ok(()) };
        let lane = Lane::between(&schema, Some(table), shape, &[]);
        let before = self.ground.get(table, &lane.local_key(&change.key))?;
        let (local, _) = lane.localise(change.clone(), before.as_ref());
        let after: Option<Row> = match (local.edit, &before) {
            (Edit::Insert(row), None) => Some(row),
            (Edit::Update(cells), Some(row)) => Some(cells.into_iter().fold(row.clone(), |mut row, cell| {
                row[cell.column] = cell.after;
                row
            })),
            (Edit::Delete(_), Some(_)) => None,
            _ => return Ok(()),
        };
        if let Tried::Done(write) = Writer::default().write(&mut self.ground, Write { table, before, after, tag: () })? {
            let mut keeper = bases::Keeper::new(self.db);
            keeper.keep(&schema.tables[table], &local.key, write.before.as_ref(), write.after.as_ref())?;
        }
        Ok(())
    }

    /// A row of ours had to move to another number: the changesets that are still to be sent say so from now on.
    fn rewrite(&self, fronts: &[Front], renumbered: Vec<Renumbered>) -> Result<()> {
        let schema = self.ground.schema();
        let (mut renumbering, mut later) = (Renumbering::default(), Renumbering::default());
        let mut highest: HashMap<String, i64> = HashMap::new();
        let made_by = fronts.first().map(|front| front.header.write_id).unwrap_or_default();
        let here: Vec<RenumberedHere> = renumbered.iter().map(|row| RenumberedHere { made_by, row: row.clone() }).collect();
        for row in renumbered {
            let top = highest.entry(row.table.to_ascii_lowercase()).or_insert(row.to);
            *top = (*top).max(row.to);
            // What later changesets found under that number, and took away, is this row.
            later.add_earlier(row.clone());
            renumbering.add(row);
        }
        for front in fronts {
            let mut front = front.clone();
            for shape in &mut front.shapes {
                if let (Some(top), true) = (highest.get(&shape.table.to_ascii_lowercase()), shape.highest.is_some()) {
                    shape.highest = shape.highest.max(Some(*top));
                }
            }
            let mut pages = storage::StoredPages { db: self.db, front: front.clone(), next: 0 };
            while let Some(mut changes) = pages.next()? {
                for change in &mut changes {
                    renumbering.apply(&schema, &front.shapes[change.table], change);
                }
                storage::put_page(self.db, front.header.write_id, pages.next - 1, &page::encode(&front.shapes, &changes))?;
            }
            here.iter().for_each(|once_more| note_renumbered(&mut front.renumbered_here, once_more));
            storage::set_front(self.db, &front)?;
            renumbering = later.clone();
        }
        Ok(())
    }
}

/// Notes that a row has another number here, maybe not for the first time.
fn note_renumbered(known: &mut Vec<RenumberedHere>, once_more: &RenumberedHere) {
    let is_it = |here: &&mut RenumberedHere| {
        here.made_by == once_more.made_by && here.row.table.eq_ignore_ascii_case(&once_more.row.table) && here.row.to == once_more.row.from
    };
    match known.iter_mut().find(is_it) {
        Some(here) => here.row.to = once_more.row.to,
        None => known.push(once_more.clone()),
    }
}

/// A row as the last commit left it: unsent work is laid on the base version once more, and all of that is undone again.
pub(in crate::replica) fn laid_again(db: &Connection, table: &Table, key: &Key) -> Result<Option<Row>> {
    db.execute_batch("SAVEPOINT mainstem_laid").on(db)?;
    let found = lay_again(db, table, key);
    db.execute_batch("ROLLBACK TO mainstem_laid; RELEASE mainstem_laid").on(db)?;
    found
}

fn lay_again(db: &Connection, table: &Table, key: &Key) -> Result<Option<Row>> {
    let mut taking = Taking::over(db, HashSet::new())?;
    taking.undo(Unseen::Overwritten)?;
    taking.end()?;
    working::rows_now(db, &Schema { tables: vec![table.clone()], objects: Vec::new() }).get(0, key)
}

/// Changes made here that wait at the primary: their rows stay here meanwhile.
pub(super) fn our_waiting(db: &Connection) -> Result<Vec<(Version, Waiting)>> {
    let us = replica_id(db)?;
    Ok(storage::waiting(db)?.into_iter().filter(|(version, _)| version.header.replica == us).collect())
}

fn unseen(table: &str, key: &Key) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "drift",
        format!("row {} of {table} was changed after its last commit without capture seeing it", key_text(key)),
    )
    .hint("mainstem sync, which compares the rows with the primary's and keeps what it finds as an edit")
}
