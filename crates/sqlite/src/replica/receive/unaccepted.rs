//! Our own work that is not accepted yet: taken back before accepted versions are applied, and laid on top of them again.
//!
//! Invariant: what is laid again goes by the very rules of the primary.
use super::{Taking, drift, key_text};
use crate::capture;
use crate::errors::Explain;
use crate::replica::compare::local_steps;
use crate::replica::ground::Laid;
use crate::replica::{bases, kept_policy, past, proposing, replica_id, storage, working};
use mainstem::core::ErrorKind;
use mainstem::core::change::{Change, Edit, Front, RenumberedHere};
use mainstem::core::conflict::Conflict;
use mainstem::core::event::{Renumbered, Version, Waiting};
use mainstem::core::format::page;
use mainstem::core::renumber::Renumbering;
use mainstem::core::schema::{Schema, SchemaChange, Table};
use mainstem::core::stamp::ReplicaId;
use mainstem::core::three_way::Touch;
use mainstem::core::value::{Key, Row};
use mainstem::error::{Error, Result};
use mainstem::lane::Lane;
use mainstem::policy_text;
use mainstem::primary::Pages;
use mainstem::rebase::{Ground, Place, rebase, without_parent};
use mainstem::schema_merge;
use mainstem::tables::Tables;
use mainstem::writer::{Tried, Write, Writer};
use rusqlite::Connection;
use std::collections::{HashMap, HashSet};

/// A schema step of ours that could not be taken back.
pub(super) struct Lasting {
    /// The changeset it is in.
    pub write_id: u128,
    /// Its place there.
    place: usize,
    /// The step as it stands.
    pub step: SchemaChange,
}

impl Lasting {
    /// It stands against what the primary says.
    pub fn in_the_way(&self, why: &str) -> Error {
        let message = format!("{} stands against what was accepted: {why}", schema_merge::describe(&self.step));
        Error::new(ErrorKind::Conflict, "schema_conflict", message).hint("mainstem sync, which takes it back")
    }
}

impl Taking<'_> {
    /// Takes local work back before accepted versions are applied: they come first, and ours is laid on top again. Objects
    /// go before rows, since what the base version has may not fit a new unique index; tables and columns go after.
    pub(in crate::replica) fn undo(&mut self, unsent: &[Front]) -> Result<()> {
        if std::mem::replace(&mut self.is_undone, true) {
            return Ok(());
        }
        let is_object = |step: &SchemaChange| matches!(step, SchemaChange::PutObject { .. } | SchemaChange::DropObject { .. });
        self.undo_steps(unsent, &is_object)?;
        self.undo_rows()?;
        self.undo_steps(unsent, &|step| !is_object(step))
    }

    /// Gives local work up until it is laid on top again: whoever calls puts every row and table in its place.
    pub(in crate::replica) fn give_up(&mut self, unsent: &[Front]) -> Result<()> {
        self.is_undone = true;
        self.undo_steps(unsent, &|_| true)?;
        self.lasting.clear();
        bases::clear(self.db)
    }

    /// Puts every row that local work changed back to what it is in the base version.
    fn undo_rows(&mut self) -> Result<()> {
        let schema = self.ground.schema();
        let mut writer = Writer::default();
        let (ground, digests) = (&mut self.ground, &mut self.digests);
        bases::each(self.db, &mut |name, kept| {
            let Some(table) = schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(name)) else { return Ok(()) };
            let before = ground.get(table, &kept.key)?;
            if before.as_ref().map(|row| digests.digest(&schema.tables[table], row)) != kept.now {
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

    /// The same for rows that programs have written to since the last commit, seen and unseen, as far as that can be: what
    /// stands where a row of the base version belongs came since.
    fn undo_all_rows(&mut self) -> Result<()> {
        let schema = self.ground.schema();
        let place = |name: &str| schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(name));
        let mut writer = Writer::default();
        let (ground, db) = (&mut self.ground, self.db);
        capture::condense(db, None, &mut |of, net| {
            let Some(table) = place(&of.name).filter(|_| net.unknown_before.is_empty()) else { return Ok(()) };
            match bases::is_kept(db, of, &net.key)? {
                true => Ok(()),
                false => writer.write(ground, Write { table, before: net.after, after: net.before, tag: () }).map(drop),
            }
        })?;
        bases::each(db, &mut |name, kept| {
            let Some(table) = place(name) else { return Ok(()) };
            let before = ground.get(table, &kept.key)?;
            let after = kept.image.map(|image| image.row(&schema.tables[table], before.as_ref()));
            writer.write(ground, Write { table, before, after, tag: () }).map(drop)
        })?;
        let (_, clashes) = writer.finish(ground)?;
        for (write, _) in clashes {
            let Some(after) = &write.after else { continue };
            for rival in ground.rivals(write.table, after)? {
                ground.delete(write.table, &schema.tables[write.table].key_of(&rival))?;
            }
            Writer::default().write(ground, write)?;
        }
        bases::clear(db)
    }

    /// Takes our own schema steps back, latest first. What cannot be taken back stays.
    fn undo_steps(&mut self, unsent: &[Front], is_meant: &dyn Fn(&SchemaChange) -> bool) -> Result<()> {
        let mut altered = Vec::new();
        for front in unsent.iter().rev() {
            let standing = storage::standing(self.db, front)?.into_iter().enumerate();
            for (place, step) in standing.rev().filter_map(|(place, step)| Some((place, step?))).filter(|(_, step)| is_meant(step)) {
                let lasting = Lasting { write_id: front.header.write_id, place, step };
                let Some(inverse) = schema_merge::inverse(&lasting.step) else {
                    // An object that is gone here stands against nothing.
                    self.lasting.extend(Some(lasting).filter(|l| schema_merge::table_of(&l.step).is_some()));
                    continue;
                };
                match self.ground.alter(&inverse) {
                    Ok(()) => altered.extend(schema_merge::table_of(&inverse)),
                    Err(e) if matches!(e.kind, ErrorKind::Conflict | ErrorKind::Invalid | ErrorKind::NotFound) => {
                        self.lasting.push(lasting)
                    }
                    Err(e) => return Err(e),
                }
            }
        }
        self.digests.recount(&mut self.ground, &altered)
    }

    /// Lays what is not accepted yet on top again.
    pub(in crate::replica) fn end(mut self) -> Result<()> {
        if self.is_undone {
            self.lay_all()?;
        }
        self.ground.forget_laid(self.version)?;
        if storage::changesets(self.db)?.is_empty() && our_waiting(self.db)?.is_empty() {
            self.db.execute("DELETE FROM mainstem_touch", []).on(self.db)?;
            storage::set_hidden(self.db, &[])?;
        }
        past::trim(self.db)?;
        self.ground.renew_indexes()?;
        storage::set_digests(self.db, &self.digests.list())
    }

    fn lay_all(&mut self) -> Result<()> {
        for (version, waiting) in our_waiting(self.db)? {
            let columns = |w: &Waiting| version.shapes.get(w.change.table).map(|s| s.columns.clone()).unwrap_or_default();
            let absent = without_parent(&self.ground.schema(), &version.conflicts, &version.waiting, &columns);
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
        // A step that was laid after a row has given the row's table other names.
        let altered: Vec<String> = local_steps(self.db)?.iter().filter_map(schema_merge::table_of).collect();
        bases::settle(self.db, &self.ground.schema(), &altered)?;
        self.hidden.sort_unstable();
        self.hidden.dedup();
        storage::set_hidden(self.db, &self.hidden)
    }

    /// Rebases the first of our changesets on top, as if those before it were versions: by the very rules of the primary.
    /// Numbers that later ones give are not given here.
    fn lay(&mut self, unsent: &[Front], head: u64) -> Result<Vec<Renumbered>> {
        let [front, later @ ..] = unsent else { return Ok(Vec::new()) };
        let policy = policy_text::parse(&kept_policy(self.db)?)?;
        let primary = ReplicaId(front.header.lineage);
        let place = Place { head, version: head + 1, primary };
        let mut laid = front.clone();
        if self.are_steps_kept {
            laid.schema.clear();
        }
        for shape in laid.shapes.iter_mut().filter(|shape| shape.highest.is_some()) {
            let all = unsent.iter().flat_map(|front| &front.shapes).filter(|other| other.table.eq_ignore_ascii_case(&shape.table));
            shape.highest = all.filter_map(|other| other.highest).max();
        }
        let mut pages = storage::StoredPages { db: self.db, front: front.clone(), next: 0 };
        let keeper = bases::Keeper::new(self.db);
        let mut effects = Laid { keeper, front, version: place.version, ordinal: 0, is_last: later.is_empty() && self.told.is_none() };
        let outcome = rebase(&mut self.ground, &policy, &laid, &mut pages, place, &mut effects)?;
        let standing: Vec<Option<SchemaChange>> = (0..front.schema.len())
            .map(|place| {
                let done = outcome.schema.iter().find(|(at, _)| *at == place).map(|(_, step)| step);
                let lasting = || self.lasting.iter().find(|l| l.write_id == front.header.write_id && l.place == place).map(|l| &l.step);
                done.or_else(lasting).cloned()
            })
            .collect();
        storage::set_standing(self.db, front, &standing)?;
        if let Some(told) = &mut self.told {
            told.waiting.extend(outcome.waiting.iter().map(|waiting| (waiting.table.to_ascii_lowercase(), waiting.key.clone())));
            told.conflicts.extend(outcome.conflicts.iter().map(|conflict| (front.header.write_id, conflict.clone())));
        }
        let schema = self.ground.schema();
        let columns = |w: &Waiting| schema.tables[w.change.table].column_names();
        let absent = without_parent(&schema, &outcome.conflicts, &outcome.waiting, &columns);
        self.hidden.extend(outcome.refused);
        for waiting in outcome.waiting {
            if absent.contains(&(waiting.table.clone(), waiting.key.clone())) {
                self.hidden.push((waiting.table, waiting.key));
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
        proposing::follow(self.db, fronts, &mut |front| self.rewrite_one(front, &schema, &renumbering, &highest), &here)?;
        for front in fronts {
            let mut front = self.rewrite_one(front, &schema, &renumbering, &highest)?;
            here.iter().for_each(|once_more| note_renumbered(&mut front.renumbered_here, once_more));
            storage::set_front(self.db, &front)?;
            renumbering = later.clone();
        }
        Ok(())
    }

    /// Rewrites the pages of one changeset, and gives its front.
    fn rewrite_one(&self, front: &Front, schema: &Schema, renumbering: &Renumbering, highest: &HashMap<String, i64>) -> Result<Front> {
        let mut front = front.clone();
        for shape in &mut front.shapes {
            if let (Some(top), true) = (highest.get(&shape.table.to_ascii_lowercase()), shape.highest.is_some()) {
                shape.highest = shape.highest.max(Some(*top));
            }
        }
        let mut pages = storage::StoredPages { db: self.db, front: front.clone(), next: 0 };
        while let Some(mut changes) = pages.next()? {
            for change in &mut changes {
                renumbering.apply(schema, &front.shapes[change.table], change);
            }
            storage::put_page(self.db, front.header.write_id, pages.next - 1, &page::encode(&front.shapes, &changes))?;
        }
        Ok(front)
    }
}

/// Notes that a row has another number here, maybe not for the first time.
pub(in crate::replica) fn note_renumbered(known: &mut Vec<RenumberedHere>, once_more: &RenumberedHere) {
    let is_it = |here: &&mut RenumberedHere| {
        here.made_by == once_more.made_by && here.row.table.eq_ignore_ascii_case(&once_more.row.table) && here.row.to == once_more.row.from
    };
    match known.iter_mut().find(is_it) {
        Some(here) => here.row.to = once_more.row.to,
        None => known.push(once_more.clone()),
    }
}

/// What comes of unsent work where it is laid on the base version.
#[derive(Default)]
pub(in crate::replica) struct Told {
    /// What each changeset did to the rows that were asked for, in their order: by table and key.
    pub done: HashMap<(String, Key), Vec<(u128, Touch)>>,
    /// The conflicts that each changeset came to.
    pub conflicts: Vec<(u128, Conflict)>,
    /// Rows, by table, of which a change waits for a parent.
    pub waiting: HashSet<(String, Key)>,
}

/// A row as the last commit left it: unsent work is laid on the base version once more, and all of that is undone again.
pub(in crate::replica) fn laid_again(db: &Connection, table: &Table, key: &Key) -> Result<Option<Row>> {
    meanwhile(db, || {
        lay_again(db)?.end()?;
        working::rows_now(db, &Schema { tables: vec![table.clone()], objects: Vec::new() }).get(0, key)
    })
}

/// What laying unsent work once more comes to for some rows, by the names that their tables have now; undone again as well.
pub(in crate::replica) fn told_again(db: &Connection, rows: Vec<(String, Key)>) -> Result<Told> {
    meanwhile(db, || {
        let mut taking = lay_again(db)?;
        taking.told = Some(Told::default());
        taking.lay_all()?;
        let mut told = taking.told.take().unwrap_or_default();
        let ids: Vec<u128> = storage::changesets(db)?.iter().map(|front| front.header.write_id).collect();
        for (table, key) in rows {
            let touches = taking.ground.touches(&table, &key, taking.version)?.into_iter();
            let done = touches.filter_map(|touch| Some((*ids.get((touch.version - taking.version - 1) as usize)?, touch))).collect();
            told.done.insert((table, key), done);
        }
        Ok(told)
    })
}

fn meanwhile<T>(db: &Connection, look: impl FnOnce() -> Result<T>) -> Result<T> {
    db.execute_batch("SAVEPOINT mainstem_laid").on(db)?;
    let found = look();
    db.execute_batch("ROLLBACK TO mainstem_laid; RELEASE mainstem_laid").on(db)?;
    found
}

/// Begins to lay unsent work once more: rows are what the base version says.
fn lay_again(db: &Connection) -> Result<Taking<'_>> {
    let mut taking = Taking::over(db, HashSet::new())?;
    // Tables stay as they are: somebody may be reading them.
    (taking.is_undone, taking.are_steps_kept) = (true, true);
    taking.undo_all_rows()?;
    Ok(taking)
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
