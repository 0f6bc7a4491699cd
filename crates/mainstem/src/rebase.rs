//! Moves a changeset onto a newer base: the one merge that primary and replica share (rule 8).
//!
//! Reads the ground row by row, lets core decide, writes what was decided, and reports what could not hold.
//! Invariant: every change of the changeset ends in exactly one place: written, already there, in a conflict, or waiting
//! for its parent.
//! Deliberately absent: what becomes of the outcome; a primary appends a version, a replica updates its base images.
mod absent;
mod clash;
mod links;
mod numbers;
mod waits;

pub use absent::without_parent;
pub use links::parent_of;
use links::{Parents, is_parent};

use crate::error::{Error, Result};
use crate::lane::{Lane, Lost, lanes, reform};
use crate::primary::Pages;
use crate::tables::Tables;
use crate::writer::{Tried, Write, Writer};
use mainstem_core::change::{Change, Edit, Front};
use mainstem_core::conflict::{Claim, Conflict, ConflictKind, Image, Side};
use mainstem_core::event::{Renumbered, Version, Waiting};
use mainstem_core::planted::{self, Bug};
use mainstem_core::policy::Policy;
use mainstem_core::renumber::Renumbering;
use mainstem_core::schema::{Schema, SchemaChange, Table};
use mainstem_core::stamp::{ReplicaId, Stamp, Time};
use mainstem_core::three_way::{self, Ours, Theirs, Touch, Verdict};
use mainstem_core::value::{Key, Row, Value};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use waits::Waits;

/// How deep a chain of deleted parents is followed when one is brought back.
const REVIVE_DEPTH_MAX: usize = 64;

/// A change that waits for a parent.
#[derive(Clone, Debug)]
pub struct Awaiting {
    /// The version that it came with.
    pub version: Version,
    /// The change.
    pub waiting: Waiting,
    /// The version that the first was made on of all that its author did to the row and that waits as this one change.
    pub made_on: u64,
}

/// Rows to rebase onto, and what happened to them lately.
pub trait Ground: Tables {
    /// What happened to a row after a version, oldest first.
    fn touches(&mut self, table: &str, key: &Key, after: u64) -> Result<Vec<Touch>>;
    /// Rows of a replica that were renumbered after a version, each with the base version of the changeset that made it.
    fn renumbered(&mut self, replica: ReplicaId, after: u64) -> Result<Vec<(u64, Renumbered)>>;
    /// Rows of one changeset by the number that each had first, and the one it has, where it was accepted after a version; none
    /// where it was not.
    fn renumbered_of(&mut self, write_id: u128, after: u64) -> Result<Option<Vec<Renumbered>>>;
    /// Schema steps after a version, oldest first.
    fn steps(&mut self, after: u64) -> Result<Vec<SchemaChange>>;
    /// What waits for a parent. None where such changes stand in their rows' place, as on the replica that made them.
    fn waiting(&mut self) -> Result<Vec<Awaiting>> {
        Ok(Vec::new())
    }
    /// True for a version that let in what had waited, for a parent or for review: its author need not have had that in its place,
    /// or may have taken it back.
    fn is_let_in(&mut self, _version: u64) -> Result<bool> {
        Ok(false)
    }
}

/// What happened to a row after the front's base. What the front was made on in an earlier epoch is its own side's doing,
/// whoever did it.
pub(crate) fn touches<G: Ground + ?Sized>(ground: &mut G, front: &Front, table: &str, key: &Key) -> Result<Vec<Touch>> {
    touches_after(ground, front, table, key, front.header.base_version)
}

fn touches_after<G: Ground + ?Sized>(ground: &mut G, front: &Front, table: &str, key: &Key, after: u64) -> Result<Vec<Touch>> {
    let mut touches = ground.touches(table, key, after)?;
    let made_on = &front.header.made_on;
    for touch in touches.iter_mut().filter(|t| t.was.iter().any(|was| made_on.iter().any(|past| past.includes(was)))) {
        touch.replica = front.header.replica;
    }
    Ok(touches)
}

/// Where a rebase lands.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The version the ground stands at.
    pub head: u64,
    /// The version the outcome will be.
    pub version: u64,
    /// The identity under which direct writes to the primary are made.
    pub primary: ReplicaId,
}

/// One row written.
#[derive(Debug)]
pub struct Effect<'a> {
    /// The table, by position in the ground's schema.
    pub table: usize,
    /// The row as it was.
    pub before: Option<&'a Row>,
    /// The row as it is.
    pub after: Option<&'a Row>,
    /// When the change was made by its author.
    pub at: Time,
    /// Cells with times of their own, by column.
    pub cell_at: &'a [(usize, Time)],
    /// The key a moved row had.
    pub moved_from: Option<&'a Key>,
}

/// Takes each effect as it happens.
pub trait Effects<G: ?Sized> {
    /// One row was written.
    fn effect(&mut self, ground: &mut G, schema: &Schema, effect: &Effect<'_>) -> Result<()>;
    /// A change was about a row that stays as it is.
    fn stays(&mut self, _ground: &mut G, _schema: &Schema, _table: usize, _row: &Row) -> Result<()> {
        Ok(())
    }
    /// Schema steps were applied; the digests of these tables are stale.
    fn altered(&mut self, ground: &mut G, tables: &[String]) -> Result<()>;
}

/// What a rebase found beyond its effects.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Schema steps that were applied, each with its place in the changeset.
    pub schema: Vec<(usize, SchemaChange)>,
    /// Conflicts.
    pub conflicts: Vec<Conflict>,
    /// Changes that wait. Their `change.table` is a position in the ground's schema.
    pub waiting: Vec<Waiting>,
    /// Rows that got another number.
    pub renumbered: Vec<Renumbered>,
    /// Changes that wait no longer, because the changeset goes on from them: whose, table, key.
    pub released: Vec<(u128, String, Key)>,
    /// Rows of which a change of the changeset was not written as its author made it, by table.
    pub refused: Vec<(String, Key)>,
}

/// What a write carries along.
#[derive(Clone, Debug)]
struct Tag {
    change: Change,
    touches: Vec<Touch>,
}

/// A change held back because its parent is not there.
struct Orphan {
    lane: usize,
    change: Change,
    parent: usize,
    parent_key: Vec<Value>,
}

struct Rebase<'a, G: Ground + ?Sized> {
    ground: &'a mut G,
    schema: Arc<Schema>,
    policy: &'a Policy,
    front: &'a Front,
    place: Place,
    effects: &'a mut dyn Effects<G>,
    lanes: Vec<Lane>,
    renumbering: Renumbering,
    writer: Writer<Tag>,
    orphans: Vec<Orphan>,
    /// Deletes of rows that others point to, and changes of what they point to, judged when all else is in.
    departing: Vec<(usize, Change)>,
    is_last_call: bool,
    /// Those of `departing` while they are judged.
    going: HashSet<(usize, Key)>,
    /// Rows whose delete was kept back, for their children or for an edit.
    held: HashSet<(usize, Key)>,
    /// Parents that were brought back: table, columns, values, who deleted them.
    revived: Vec<(usize, Vec<usize>, Vec<Value>, Side)>,
    waits: Waits,
    /// The version that what waited was made on, for rows of which a change goes on from that or lets it in.
    made_on: HashMap<(usize, Key), u64>,
    /// Rows that are others where ours was made, since changes of ours to them waited when it came.
    waiting: HashSet<(usize, Key)>,
    /// Rows that are others here than where ours was made, since something stood against changes of ours there or here.
    refused: HashSet<(usize, Key)>,
    out: Outcome,
}

/// Rebases one changeset onto the ground.
pub fn rebase<G: Ground + ?Sized>(
    ground: &mut G,
    policy: &Policy,
    front: &Front,
    pages: &mut dyn Pages,
    place: Place,
    effects: &mut dyn Effects<G>,
) -> Result<Outcome> {
    let mut out = Outcome::default();
    let steps = if place.head > front.header.base_version { ground.steps(front.header.base_version)? } else { Vec::new() };
    crate::schema_merge::merge(ground, front, &steps, place, effects, &mut out)?;
    let schema = ground.schema();
    let lanes = lanes(&schema, front, &steps);
    let renumbering =
        if place.head > front.header.base_version { numbers::renumbered_since(ground, front)? } else { Renumbering::default() };
    let waits = waits::of(ground, &schema, front)?;
    let mut run = Rebase {
        ground,
        schema,
        policy,
        front,
        place,
        effects,
        lanes,
        renumbering,
        writer: Writer::default(),
        orphans: Vec::new(),
        departing: Vec::new(),
        is_last_call: false,
        going: HashSet::new(),
        held: HashSet::new(),
        revived: Vec::new(),
        waiting: waits.iter().filter(|(_, wait)| wait.is_in_place).map(|(row, _)| row.clone()).collect(),
        made_on: HashMap::new(),
        refused: HashSet::new(),
        waits,
        out,
    };
    run.renumber_colliding(pages)?;
    run.refused = run.hidden(&steps);
    let are_rows_merged = !(planted::is(Bug::D1) && !front.schema.is_empty() && !steps.is_empty());
    while let Some(page) = pages.next()?.filter(|_| are_rows_merged) {
        for change in page {
            run.change(change)?;
        }
    }
    run.finish()?;
    Ok(run.out)
}

impl<G: Ground + ?Sized> Rebase<'_, G> {
    /// True where rows may be there that ours did not know: a row of which a change of ours waits is another where ours was made.
    fn is_moved_on(&self) -> bool {
        let may_differ = self.front.is_partial || !self.waiting.is_empty() || !self.made_on.is_empty() || !self.front.hidden.is_empty();
        may_differ || self.place.head > self.front.header.base_version
    }

    /// One change as it was pushed.
    fn change(&mut self, change: Change) -> Result<()> {
        let index = change.table;
        let Some(table) = self.lanes[index].table else {
            return self.table_is_gone(index, &change);
        };
        let lane = &self.lanes[index];
        let row = match change.edit {
            // Only a deletion that does not know every column needs to see the row.
            Edit::Delete(_) if !lane.is_straight => {
                self.ground.get(table, &self.renumbering.key(&self.schema.tables[table].name, &lane.local_key(&change.key)))?
            }
            _ => None,
        };
        let (key, at) = (change.key.clone(), change.at);
        let (mut local, lost) = self.localise(index, table, change, row.as_ref())?;
        for (column, cell) in lost {
            self.column_is_gone(index, &key, at, &column, cell)?;
        }
        if matches!(&local.edit, Edit::Update(cells) if cells.is_empty()) {
            return Ok(());
        }
        self.renumbering.apply(&self.schema, &self.lanes[index].shape, &mut local);
        match self.with_what_waits(table, local)? {
            Some(change) => self.decide(index, table, change),
            None => Ok(()),
        }
    }

    /// A change in the ground's own columns and the form of its values, and the cells whose column is gone.
    fn localise(&mut self, lane: usize, table: usize, change: Change, there: Option<&Row>) -> Result<(Change, Vec<Lost>)> {
        let lane = &self.lanes[lane];
        let (mut local, lost) = lane.localise(change, there);
        if lane.is_redeclared {
            reform(self.ground, table, &mut local)?;
        }
        Ok((local, lost))
    }

    /// One change in the ground's own columns.
    fn decide(&mut self, index: usize, table: usize, change: Change) -> Result<()> {
        let row = self.ground.get(table, &change.key)?;
        let touches = if self.is_moved_on() { self.touches_since_made(table, &change.key)? } else { Vec::new() };
        let shape = &self.lanes[index].shape;
        let ours = Ours { shape, change: &change, replica: self.front.header.replica, actor: &self.front.header.actor };
        let theirs = Theirs { row: row.as_ref(), touches: &touches, primary: self.place.primary };
        let mut decision = three_way::decide(self.policy, &ours, &theirs, self.place.version);
        if !decision.conflicts.is_empty() && !matches!(change.edit, Edit::Delete(_)) {
            self.note_refused(table, &change.key);
        }
        let after = match decision.verdict {
            Verdict::Renumber => {
                let Edit::Insert(made) = &change.edit else {
                    return Err(Error::internal("only an insert can be renumbered"));
                };
                self.renumber(index, table, made)?;
                let mut change = change;
                self.renumbering.apply(&self.schema, &self.lanes[index].shape, &mut change);
                return self.decide(index, table, change);
            }
            Verdict::Keep => {
                self.out.conflicts.extend(decision.conflicts);
                // A row whose deletion gave way keeps what it points to.
                self.held.extend(row.iter().filter(|_| matches!(change.edit, Edit::Delete(_))).map(|_| (table, change.key.clone())));
                return self.stays(table, row.as_ref());
            }
            Verdict::Delete if self.is_held_back(index, table, &change, row.as_ref(), &mut decision.conflicts)? => return Ok(()),
            Verdict::Delete => None,
            Verdict::Insert(mut after) | Verdict::Update(mut after) => {
                if let (true, Some(row)) = (self.is_moved_on(), row.as_ref())
                    && self.hold_linked(table, &change, row, &mut after)?
                {
                    self.departing.push((index, change));
                    return Ok(());
                }
                let revived = self.revived_for(table, &change, row.as_ref(), &after);
                match self.settle_parents(table, &change, row.as_ref(), &mut after)? {
                    Parents::There => {}
                    Parents::Refused => {
                        self.out.conflicts.extend(decision.conflicts);
                        return self.give_way(row.as_ref(), &after, table, Tag { change, touches });
                    }
                    Parents::Awaited(_) if planted::is(Bug::E3) => {}
                    Parents::Awaited(parent) => {
                        self.orphans.push(Orphan { lane: index, change, parent: parent.table, parent_key: parent.values });
                        return Ok(());
                    }
                }
                self.out.conflicts.extend(revived);
                Some(after)
            }
        };
        self.out.conflicts.extend(decision.conflicts);
        self.write(Write { table, before: row, after, tag: Tag { change, touches } })
    }

    /// True where a deletion is decided once everything else is known, or where children stand against it, in a conflict.
    fn is_held_back(
        &mut self,
        index: usize,
        table: usize,
        change: &Change,
        row: Option<&Row>,
        conflicts: &mut Vec<Conflict>,
    ) -> Result<bool> {
        let (true, Some(row)) = (self.is_moved_on(), row) else { return Ok(false) };
        if !self.is_last_call && self.is_pointed_to(table, row)? {
            self.departing.push((index, change.clone()));
            return Ok(true);
        }
        if self.children_stand_against(table, change, row)? {
            self.held.insert((table, change.key.clone()));
            self.out.conflicts.append(conflicts);
            return Ok(true);
        }
        Ok(false)
    }

    /// A row that may not point where ours lets it stays as it is. One that an edit brings back points where the edit found it
    /// pointing.
    fn give_way(&mut self, there: Option<&Row>, after: &Row, table: usize, tag: Tag) -> Result<()> {
        self.note_refused(table, &tag.change.key);
        if there.is_some() {
            return self.stays(table, there);
        }
        let Edit::Update(cells) = &tag.change.edit else { return Ok(()) };
        let found = clash::as_found(after, cells);
        match self.missing_parent(table, None, &found)? {
            Some(_) => Ok(()),
            None => self.write(Write { table, before: None, after: Some(found), tag }),
        }
    }

    fn write(&mut self, write: Write<Tag>) -> Result<()> {
        match self.writer.write(self.ground, write)? {
            Tried::Done(write) => self.done(&write),
            Tried::Kept => Ok(()),
            Tried::Refused(write, what) => self.refused(&write, ConflictKind::Constraint, what),
        }
    }

    fn done(&mut self, write: &Write<Tag>) -> Result<()> {
        let times: Vec<(usize, Time)> = match &write.tag.change.edit {
            Edit::Update(cells) => cells.iter().map(|c| (c.column, c.at)).collect(),
            _ => Vec::new(),
        };
        let effect = Effect {
            table: write.table,
            before: write.before.as_ref(),
            after: write.after.as_ref(),
            at: write.tag.change.at,
            cell_at: &times,
            moved_from: write.tag.change.moved_from.as_ref(),
        };
        self.effects.effect(self.ground, &self.schema, &effect)
    }

    /// After the last page: what was kept back gets in, waits, or is a conflict.
    fn finish(&mut self) -> Result<()> {
        self.settle()?;
        self.is_last_call = true;
        let departing = std::mem::take(&mut self.departing);
        self.going = departing.iter().filter_map(|(lane, change)| Some((self.lanes[*lane].table?, change.key.clone()))).collect();
        for (lane, change) in departing {
            let table = self.lanes[lane].table.ok_or_else(|| Error::internal("a delete has no table"))?;
            self.decide(lane, table, change)?;
        }
        self.settle()?;
        self.settle_circles()?;
        // A row that gets in over another may be the parent that one waits for.
        while self.settle_clashes()? {
            self.settle()?;
            self.settle_circles()?;
        }
        for orphan in std::mem::take(&mut self.orphans) {
            let table = self.lanes[orphan.lane].table.ok_or_else(|| Error::internal("an orphan has no table"))?;
            let mut change = orphan.change;
            change.table = table;
            self.out.waiting.push(Waiting {
                table: self.schema.tables[table].name.clone(),
                key: change.key.clone(),
                parent: self.schema.tables[orphan.parent].name.clone(),
                parent_key: orphan.parent_key,
                change,
            });
        }
        Ok(())
    }

    /// Tries again what was kept back, as long as that helps.
    fn settle(&mut self) -> Result<()> {
        loop {
            let settled = self.writer.retry(self.ground)?;
            for write in &settled {
                self.done(write)?;
            }
            let before = self.orphans.len();
            for orphan in std::mem::take(&mut self.orphans) {
                let table = self.lanes[orphan.lane].table.ok_or_else(|| Error::internal("an orphan has no table"))?;
                self.decide(orphan.lane, table, orphan.change)?;
            }
            if settled.is_empty() && self.orphans.len() == before {
                return Ok(());
            }
        }
    }

    /// What unique indexes stood against is exchanged, or a conflict. True where there was any.
    fn settle_clashes(&mut self) -> Result<bool> {
        let (done, clashes) = self.writer.finish(self.ground)?;
        for write in &done {
            self.done(write)?;
        }
        let is_any = !done.is_empty() || !clashes.is_empty();
        for (write, what) in clashes {
            self.refused(&write, ConflictKind::Unique, what)?;
        }
        Ok(is_any)
    }

    /// Rows that are each other's parents: those whose parents are all there or among themselves go in together.
    fn settle_circles(&mut self) -> Result<()> {
        let schema = self.schema.clone();
        let mut inside = std::mem::take(&mut self.orphans);
        let mut outside = Vec::new();
        loop {
            let (stay, go): (Vec<Orphan>, Vec<Orphan>) = {
                let offers: Vec<(usize, Row)> =
                    inside.iter().filter_map(|o| Some((self.lanes[o.lane].table?, inserted(&o.change)?))).collect();
                inside
                    .into_iter()
                    .partition(|o| offers.iter().any(|(table, row)| is_parent(&schema, self.lanes[o.lane].table, o, *table, row)))
            };
            inside = stay;
            let is_settled = go.is_empty();
            outside.extend(go);
            if is_settled {
                break;
            }
        }
        for orphan in inside {
            let Some(table) = self.lanes[orphan.lane].table else { continue };
            let before = self.ground.get(table, &orphan.change.key)?;
            let after = match (&orphan.change.edit, &before) {
                (Edit::Insert(row), None) => row.clone(),
                (Edit::Update(cells), Some(row)) => cells.iter().fold(row.clone(), |mut row, cell| {
                    row[cell.column] = cell.after.clone();
                    row
                }),
                _ => {
                    outside.push(orphan);
                    continue;
                }
            };
            let write = Write { table, before, after: Some(after), tag: Tag { change: orphan.change, touches: Vec::new() } };
            self.write(write)?;
        }
        self.orphans = outside;
        Ok(())
    }

    fn table_is_gone(&mut self, index: usize, change: &Change) -> Result<()> {
        let shape = &self.front.shapes[index];
        let named = |row: &Row| -> Image { shape.columns.iter().cloned().zip(row.iter().cloned()).collect() };
        let (claim, base) = match &change.edit {
            Edit::Insert(row) => (Claim::Row(Some(named(row))), Claim::Row(None)),
            Edit::Update(cells) => (
                Claim::Row(Some(cells.iter().map(|c| (shape.columns[c.column].clone(), c.after.clone())).collect())),
                Claim::Row(Some(cells.iter().map(|c| (shape.columns[c.column].clone(), c.before.clone())).collect())),
            ),
            Edit::Delete(_) => return Ok(()),
        };
        self.schema_conflict(&shape.table.clone(), &change.key, None, base, claim, change.at, "the table was dropped");
        Ok(())
    }

    fn column_is_gone(&mut self, index: usize, key: &Key, at: Time, column: &str, cell: (Value, Value)) -> Result<()> {
        if planted::is(Bug::D2) {
            return Ok(());
        }
        let table = self.front.shapes[index].table.clone();
        self.schema_conflict(&table, key, Some(column), Claim::Cell(cell.0), Claim::Cell(cell.1), at, "the column was dropped");
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one record")]
    fn schema_conflict(&mut self, table: &str, key: &Key, column: Option<&str>, base: Claim, claim: Claim, at: Time, detail: &str) {
        let ours = Side { claim, stamp: self.stamp(at), actor: self.front.header.actor.clone() };
        self.out.conflicts.push(crate::schema_merge::dropped(table, key, column, base, ours, true, detail, self.place.version));
    }

    fn stamp(&self, time: Time) -> Stamp {
        Stamp { time, replica: self.front.header.replica }
    }
}

/// A row by column name.
pub fn image(table: &Table, row: &Row) -> Image {
    table.columns.iter().map(|c| c.name.clone()).zip(row.iter().cloned()).collect()
}

fn stamp_of(touch: &Touch) -> Stamp {
    Stamp { time: touch.change.at, replica: touch.replica }
}

fn inserted(change: &Change) -> Option<Row> {
    if let Edit::Insert(row) = &change.edit { Some(row.clone()) } else { None }
}
