//! Moves a changeset onto a newer base: the one merge that primary and replica share (rule 8).
//!
//! Reads the ground row by row, lets core decide, writes what was decided, and reports what could not hold.
//! Invariant: every change of the changeset ends in exactly one place: written, already there, in a conflict, or waiting
//! for its parent.
//! Deliberately absent: what becomes of the outcome; a primary appends a version, a replica updates its base images.
use crate::error::{Error, Result};
use crate::lane::{Lane, lanes};
use crate::primary::Pages;
use crate::tables::Tables;
use crate::writer::{Tried, Write, Writer};
use mainstem_core::change::{Change, Choice, Edit, Front};
use mainstem_core::conflict::{self, Answer, Claim, Conflict, ConflictKind, Image, Side};
use mainstem_core::event::{Renumbered, Waiting};
use mainstem_core::policy::{Deletes, Policy};
use mainstem_core::renumber::Renumbering;
use mainstem_core::schema::{Schema, SchemaChange, Table};
use mainstem_core::stamp::{ReplicaId, Stamp, Time};
use mainstem_core::three_way::{self, Ours, Theirs, Touch, Verdict};
use mainstem_core::value::{Key, Row, Value};
use std::sync::Arc;

/// How deep a chain of deleted parents is followed when one is brought back.
const REVIVE_DEPTH_MAX: usize = 64;

/// Rows to rebase onto, and what happened to them lately.
pub trait Ground: Tables {
    /// What happened to a row after a version, oldest first.
    fn touches(&mut self, table: &str, key: &Key, after: u64) -> Result<Vec<Touch>>;
    /// Rows of a replica that were renumbered after a version.
    fn renumbered(&mut self, replica: ReplicaId, after: u64) -> Result<Vec<Renumbered>>;
    /// Schema steps after a version, oldest first.
    fn steps(&mut self, after: u64) -> Result<Vec<SchemaChange>>;
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
    /// Schema steps were applied; the digests of these tables are stale.
    fn altered(&mut self, ground: &mut G, tables: &[String]) -> Result<()>;
}

/// What a rebase found beyond its effects.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Schema steps that were applied.
    pub schema: Vec<SchemaChange>,
    /// Conflicts.
    pub conflicts: Vec<Conflict>,
    /// Changes that wait. Their `change.table` is a position in the ground's schema.
    pub waiting: Vec<Waiting>,
    /// Rows that got another number.
    pub renumbered: Vec<Renumbered>,
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
    let mut renumbering = Renumbering::default();
    if place.head > front.header.base_version {
        for row in ground.renumbered(front.header.replica, front.header.base_version)? {
            renumbering.add_earlier(row);
        }
    }
    let mut run = Rebase {
        ground, schema, policy, front, place, effects, lanes, renumbering,
        writer: Writer::default(), orphans: Vec::new(), out,
    };
    run.renumber_colliding(pages)?;
    while let Some(page) = pages.next()? {
        for change in page {
            run.change(change)?;
        }
    }
    run.finish()?;
    Ok(run.out)
}

impl<G: Ground + ?Sized> Rebase<'_, G> {
    fn is_moved_on(&self) -> bool {
        self.place.head > self.front.header.base_version
    }

    /// Finds rows whose number is taken before anything is written, so that references read earlier than the row
    /// itself follow as well.
    fn renumber_colliding(&mut self, pages: &mut dyn Pages) -> Result<()> {
        if !self.is_moved_on() || self.front.shapes.iter().all(|s| s.highest.is_none()) {
            return Ok(());
        }
        while let Some(page) = pages.next()? {
            for change in page {
                let lane = change.table;
                if !matches!(change.edit, Edit::Insert(_)) || !self.lanes[lane].shape.is_numbered {
                    continue;
                }
                let Some(table) = self.lanes[lane].table else { continue };
                let local = self.lanes[lane].localise(&change, None).0;
                if self.renumbering.number(&self.schema.tables[table].name, &local.key).is_some() {
                    continue;
                }
                let Edit::Insert(row) = &local.edit else { continue };
                if self.ground.get(table, &local.key)?.is_some_and(|there| there != *row) {
                    self.renumber(lane, table, row)?;
                }
            }
        }
        pages.rewind()
    }

    fn renumber(&mut self, lane: usize, table: usize, row: &Row) -> Result<()> {
        let shape = &self.lanes[lane].shape;
        let from = row[shape.key[0]].as_integer().ok_or_else(|| Error::internal("a numbered row has no number"))?;
        let name = &self.schema.tables[table].name;
        let above = [Some(self.ground.next_number(table)?), self.front.shapes[lane].highest.map(|h| h.saturating_add(1)), self.renumbering.highest(name).map(|h| h.saturating_add(1))];
        let to = above.into_iter().flatten().max().ok_or_else(|| Error::internal("no row number"))?;
        let renumbered = Renumbered { table: name.clone(), from, to, row: row.clone(), columns: shape.columns.clone() };
        self.renumbering.add(renumbered.clone());
        self.out.renumbered.push(renumbered);
        Ok(())
    }

    /// One change as it was pushed.
    fn change(&mut self, change: Change) -> Result<()> {
        let index = change.table;
        let Some(table) = self.lanes[index].table else {
            return self.table_is_gone(index, &change);
        };
        let key = self.lanes[index].local_key(&change.key);
        let row = match change.edit {
            Edit::Delete(_) => self.ground.get(table, &self.renumbering.key(&self.schema.tables[table].name, &key))?,
            _ => None,
        };
        let (mut local, lost) = self.lanes[index].localise(&change, row.as_ref());
        for (column, cell) in lost {
            self.column_is_gone(index, &change, &column, cell)?;
        }
        if matches!(&local.edit, Edit::Update(cells) if cells.is_empty()) {
            return Ok(());
        }
        self.renumbering.apply(&self.schema, &self.lanes[index].shape, &mut local);
        self.decide(index, table, local)
    }

    /// One change in the ground's own columns.
    fn decide(&mut self, index: usize, table: usize, change: Change) -> Result<()> {
        let row = self.ground.get(table, &change.key)?;
        let name = self.schema.tables[table].name.clone();
        let touches = if self.is_moved_on() {
            self.ground.touches(&name, &change.key, self.front.header.base_version)?
        } else {
            Vec::new()
        };
        let shape = &self.lanes[index].shape;
        let ours = Ours { shape, change: &change, replica: self.front.header.replica, actor: &self.front.header.actor };
        let theirs = Theirs { row: row.as_ref(), touches: &touches, primary: self.place.primary };
        let decision = three_way::decide(self.policy, &ours, &theirs, self.place.version);
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
                return Ok(());
            }
            Verdict::Delete => {
                if self.children_stand_against(table, &change, row.as_ref())? {
                    return Ok(());
                }
                None
            }
            Verdict::Insert(after) | Verdict::Update(after) => {
                if let Some((parent, parent_key)) = self.missing_parent(table, row.as_ref(), &after)? {
                    match self.parent_is_back(table, &change, &after, parent, &parent_key)? {
                        Parent::Back => {}
                        Parent::Refused => return Ok(()),
                        Parent::Unknown => {
                            self.orphans.push(Orphan { lane: index, change, parent, parent_key });
                            return Ok(());
                        }
                    }
                }
                Some(after)
            }
        };
        self.out.conflicts.extend(decision.conflicts);
        let write = Write { table, before: row, after, tag: Tag { change, touches } };
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

    /// The first parent that `after` needs and that is not there. Links that did not change are not looked at: where
    /// they dangle, they dangled before.
    fn missing_parent(&mut self, table: usize, before: Option<&Row>, after: &Row) -> Result<Option<(usize, Vec<Value>)>> {
        let schema = self.schema.clone();
        let child = &schema.tables[table];
        for link in &child.foreign_keys {
            let values: Vec<Value> = link.columns.iter().map(|&c| after[c].clone()).collect();
            let is_same = before.is_some_and(|b| link.columns.iter().all(|&c| b[c] == after[c]));
            if is_same || values.iter().any(Value::is_null) {
                continue;
            }
            let Some((parent, columns)) = parent_of(&schema, link) else { continue };
            let is_itself = parent == table && columns.iter().zip(&values).all(|(&c, v)| after[c] == *v);
            if !is_itself && self.ground.find(parent, &columns, &values, 1)?.is_empty() {
                return Ok(Some((parent, values)));
            }
        }
        Ok(None)
    }

    /// Theirs deleted the parent that ours needs: by the parent table's policy it comes back, or ours gives way.
    fn parent_is_back(&mut self, table: usize, change: &Change, after: &Row, parent: usize, values: &[Value]) -> Result<Parent> {
        let schema = self.schema.clone();
        let Some(key) = key_from(&schema, table, parent, values) else { return Ok(Parent::Unknown) };
        let name = schema.tables[parent].name.clone();
        let touches = if self.is_moved_on() { self.ground.touches(&name, &key, self.front.header.base_version)? } else { Vec::new() };
        let Some(gone) = touches.iter().rev().find(|t| matches!(t.change.edit, Edit::Delete(_))) else { return Ok(Parent::Unknown) };
        let ours = Side { claim: Claim::Row(Some(image(&schema.tables[table], after))), stamp: self.stamp(change.at), actor: self.front.header.actor.clone() };
        let theirs = Side { claim: Claim::Row(None), stamp: stamp_of(gone), actor: gone.actor.clone() };
        let rule = self.policy.table(&name).deletes;
        let is_kept = match rule {
            Deletes::Manual | Deletes::UpdateWins => true,
            Deletes::DeleteWins => false,
            Deletes::LastWriteWins => ours.stamp > theirs.stamp,
        };
        let answer = (rule != Deletes::Manual).then(|| Answer { choice: if is_kept { Choice::Ours } else { Choice::Theirs }, actor: None, at: change.at });
        if is_kept && !self.revive(parent, &key, &touches, REVIVE_DEPTH_MAX)? {
            return Ok(Parent::Unknown);
        }
        self.link_conflict(&schema.tables[table], &change.key, ours, theirs, rule, answer, &name);
        Ok(if is_kept { Parent::Back } else { Parent::Refused })
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one record")]
    fn link_conflict(&mut self, table: &Table, key: &Key, ours: Side, theirs: Side, rule: Deletes, answer: Option<Answer>, parent: &str) {
        let kind = ConflictKind::MissingParent;
        let id = conflict::id_of(&table.name, key, None, kind, &ours, &theirs);
        self.out.conflicts.push(Conflict {
            id, kind, table: table.name.clone(), key: key.clone(), column: None, base: Claim::Row(None), ours, theirs,
            strategy: rule.name().into(), detail: format!("parent in {parent}"), version: self.place.version, answer,
        });
    }

    /// Puts a deleted row back as it was, and before it the deleted parents it needs.
    fn revive(&mut self, table: usize, key: &Key, touches: &[Touch], depth: usize) -> Result<bool> {
        let Some(gone) = touches.iter().rev().find(|t| matches!(t.change.edit, Edit::Delete(_))) else { return Ok(false) };
        let Edit::Delete(image) = &gone.change.edit else { return Ok(false) };
        let schema = self.schema.clone();
        let lane = Lane::between(&schema, Some(table), &gone.shape, &[]);
        let row = lane.local_row(image);
        if let Some((parent, values)) = self.missing_parent(table, None, &row)? {
            let Some(parent_key) = key_from(&schema, table, parent, &values) else { return Ok(false) };
            let above = self.ground.touches(&schema.tables[parent].name, &parent_key, self.front.header.base_version)?;
            if depth == 0 || !self.revive(parent, &parent_key, &above, depth - 1)? {
                return Ok(false);
            }
        }
        let change = Change { table, key: key.clone(), edit: Edit::Insert(row.clone()), at: self.front.header.at, moved_from: None };
        let write = Write { table, before: None, after: Some(row), tag: Tag { change, touches: Vec::new() } };
        match self.writer.write(self.ground, write)? {
            Tried::Done(write) => self.done(&write).map(|()| true),
            Tried::Kept => Ok(true),
            Tried::Refused(..) => Ok(false),
        }
    }

    /// Ours deletes a row that theirs gave children: by policy the row stays, or the children go with it.
    fn children_stand_against(&mut self, table: usize, change: &Change, row: Option<&Row>) -> Result<bool> {
        let (true, Some(row)) = (self.is_moved_on(), row) else { return Ok(false) };
        let children = self.new_children(table, row)?;
        if children.is_empty() {
            return Ok(false);
        }
        let schema = self.schema.clone();
        let name = &schema.tables[table].name;
        let rule = self.policy.table(name).deletes;
        let stamp = self.stamp(change.at);
        let is_kept = match rule {
            Deletes::Manual | Deletes::UpdateWins => true,
            Deletes::DeleteWins => false,
            Deletes::LastWriteWins => children.iter().any(|(_, _, touch)| stamp_of(touch) > stamp),
        };
        for (child, image_row, touch) in children {
            let child_table = &schema.tables[child];
            let ours = Side { claim: Claim::Row(None), stamp, actor: self.front.header.actor.clone() };
            let theirs = Side { claim: Claim::Row(Some(image(child_table, &image_row))), stamp: stamp_of(&touch), actor: touch.actor.clone() };
            let answer = (rule != Deletes::Manual).then(|| Answer { choice: if is_kept { Choice::Theirs } else { Choice::Ours }, actor: None, at: change.at });
            let key = child_table.key_of(&image_row);
            self.link_conflict(child_table, &key, ours, theirs, rule, answer, name);
            if !is_kept {
                self.remove_with_children(child, image_row, change.at, REVIVE_DEPTH_MAX)?;
            }
        }
        Ok(is_kept)
    }

    /// Rows that point to `row` because theirs made or pointed them there after our base.
    fn new_children(&mut self, table: usize, row: &Row) -> Result<Vec<(usize, Row, Touch)>> {
        let schema = self.schema.clone();
        let mut found = Vec::new();
        for (child, link, columns) in links_to(&schema, table) {
            let values: Vec<Value> = columns.iter().map(|&c| row[c].clone()).collect();
            if values.iter().any(Value::is_null) {
                continue;
            }
            for child_row in self.ground.find(child, &link.columns, &values, usize::MAX)? {
                let key = schema.tables[child].key_of(&child_row);
                if child == table && child_row == *row {
                    continue;
                }
                let touches = self.ground.touches(&schema.tables[child].name, &key, self.front.header.base_version)?;
                let names: Vec<&str> = link.columns.iter().map(|&c| schema.tables[child].columns[c].name.as_str()).collect();
                if let Some(touch) = touches.into_iter().rev().find(|t| points_anew(t, &names)) {
                    found.push((child, child_row, touch));
                }
            }
        }
        Ok(found)
    }

    fn remove_with_children(&mut self, table: usize, row: Row, at: Time, depth: usize) -> Result<()> {
        let schema = self.schema.clone();
        if depth > 0 {
            for (child, link, columns) in links_to(&schema, table) {
                let values: Vec<Value> = columns.iter().map(|&c| row[c].clone()).collect();
                for child_row in self.ground.find(child, &link.columns, &values, usize::MAX)? {
                    if child != table || child_row != row {
                        self.remove_with_children(child, child_row, at, depth - 1)?;
                    }
                }
            }
        }
        let key = schema.tables[table].key_of(&row);
        if self.ground.get(table, &key)?.is_none() {
            return Ok(());
        }
        self.ground.delete(table, &key)?;
        let effect = Effect { table, before: Some(&row), after: None, at, cell_at: &[], moved_from: None };
        self.effects.effect(self.ground, &self.schema, &effect)
    }

    /// After the last page: what was kept back gets in, waits, or is a conflict.
    fn finish(&mut self) -> Result<()> {
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
                break;
            }
        }
        self.settle_circles()?;
        let (done, clashes) = self.writer.finish(self.ground)?;
        for write in &done {
            self.done(write)?;
        }
        for (write, what) in clashes {
            self.refused(&write, ConflictKind::Unique, what)?;
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

    /// Rows that are each other's parents: those whose parents are all there or among themselves go in together.
    fn settle_circles(&mut self) -> Result<()> {
        let schema = self.schema.clone();
        let mut inside = std::mem::take(&mut self.orphans);
        let mut outside = Vec::new();
        loop {
            let (stay, go): (Vec<Orphan>, Vec<Orphan>) = {
                let offers: Vec<(usize, Row)> = inside.iter().filter_map(|o| Some((self.lanes[o.lane].table?, inserted(&o.change)?))).collect();
                inside.into_iter().partition(|o| offers.iter().any(|(table, row)| is_parent(&schema, self.lanes[o.lane].table, o, *table, row)))
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
                (Edit::Update(cells), Some(row)) => cells.iter().fold(row.clone(), |mut row, cell| { row[cell.column] = cell.after.clone(); row }),
                _ => {
                    outside.push(orphan);
                    continue;
                }
            };
            let write = Write { table, before, after: Some(after), tag: Tag { change: orphan.change, touches: Vec::new() } };
            match self.writer.write(self.ground, write)? {
                Tried::Done(write) => self.done(&write)?,
                Tried::Kept => {}
                Tried::Refused(write, what) => self.refused(&write, ConflictKind::Constraint, what)?,
            }
        }
        self.orphans = outside;
        Ok(())
    }

    /// A unique index or a constraint stands against ours. The side with the earlier stamp holds, so that the order of
    /// arrival does not matter; theirs gives way only where nothing else hangs on it.
    fn refused(&mut self, write: &Write<Tag>, kind: ConflictKind, what: String) -> Result<()> {
        let schema = self.schema.clone();
        let table = &schema.tables[write.table];
        let Some(after) = &write.after else { return Err(Error::internal("a delete was refused")) };
        let ours = Side { claim: Claim::Row(Some(image(table, after))), stamp: self.stamp(write.tag.change.at), actor: self.front.header.actor.clone() };
        let rival = match kind {
            ConflictKind::Unique => self.ground.rivals(write.table, after)?.into_iter().next(),
            _ => write.before.clone(),
        };
        let rival_touches = match &rival {
            Some(row) if kind == ConflictKind::Unique && self.is_moved_on() => self.ground.touches(&table.name, &table.key_of(row), self.front.header.base_version)?,
            Some(_) => write.tag.touches.clone(),
            None => Vec::new(),
        };
        let theirs = Side {
            claim: Claim::Row(rival.as_ref().map(|r| image(table, r))),
            stamp: rival_touches.last().map(stamp_of).unwrap_or_default(),
            actor: rival_touches.last().map(|t| t.actor.clone()).unwrap_or_default(),
        };
        let is_ours_first = !rival_touches.is_empty() && ours.stamp < theirs.stamp;
        if is_ours_first && let Some(rival) = &rival && self.displace(write, rival, &rival_touches)? {
            self.clash(table, write, kind, what, ours, theirs);
            return Ok(());
        }
        self.clash(table, write, kind, what, ours, theirs);
        Ok(())
    }

    fn clash(&mut self, table: &Table, write: &Write<Tag>, kind: ConflictKind, detail: String, ours: Side, theirs: Side) {
        let key = write.tag.change.key.clone();
        // A unique clash is about two rows; it is filed under the smaller key, whichever side that is.
        let other = match (&theirs.claim, kind) {
            (Claim::Row(Some(image)), ConflictKind::Unique) => Some(table.key.iter().map(|&k| value_of(image, &table.columns[k].name)).collect::<Key>()),
            _ => None,
        };
        let key = match other {
            Some(other) if other < key => other,
            _ => key,
        };
        let id = conflict::id_of(&table.name, &key, None, kind, &ours, &theirs);
        let base = Claim::Row(write.before.as_ref().map(|row| image(table, row)));
        self.out.conflicts.push(Conflict {
            id, kind, table: table.name.clone(), key, column: None, base, ours, theirs,
            strategy: "manual".into(), detail, version: self.place.version, answer: None,
        });
    }

    /// Takes back what theirs did to the rival row after our base and puts ours in. False, with nothing changed, where
    /// that cannot be done cleanly.
    fn displace(&mut self, write: &Write<Tag>, rival: &Row, touches: &[Touch]) -> Result<bool> {
        let schema = self.schema.clone();
        let table = &schema.tables[write.table];
        let Some(former) = undone(&schema, write.table, rival, touches) else { return Ok(false) };
        if former.is_none() {
            for (child, link, columns) in links_to(&schema, write.table) {
                let values: Vec<Value> = columns.iter().map(|&c| rival[c].clone()).collect();
                if !self.ground.find(child, &link.columns, &values, 1)?.is_empty() {
                    return Ok(false);
                }
            }
        }
        let rival_key = table.key_of(rival);
        let is_same_row = write.before.as_ref().is_some_and(|b| table.key_of(b) == rival_key);
        let after = match (&write.after, is_same_row, &former) {
            (Some(_), true, Some(former)) => laid_on(former, &write.tag.change),
            (Some(after), false, _) => after.clone(),
            _ => return Ok(false),
        };
        let mut undo: Vec<(Option<Row>, Option<Row>)> = Vec::new();
        let mut steps = Vec::new();
        if !is_same_row {
            steps.push((Some(rival.clone()), former));
        }
        steps.push((write.before.clone(), Some(after)));
        for (before, after) in steps {
            let mut one = Writer::default();
            let tried = one.write(self.ground, Write { table: write.table, before: before.clone(), after: after.clone(), tag: () })?;
            if !matches!(tried, Tried::Done(_)) {
                for (before, after) in undo.into_iter().rev() {
                    Writer::default().write(self.ground, Write { table: write.table, before: after, after: before, tag: () })?;
                }
                return Ok(false);
            }
            undo.push((before, after));
        }
        for (before, after) in &undo {
            let effect = Effect { table: write.table, before: before.as_ref(), after: after.as_ref(), at: write.tag.change.at, cell_at: &[], moved_from: None };
            self.effects.effect(self.ground, &self.schema, &effect)?;
        }
        Ok(true)
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

    fn column_is_gone(&mut self, index: usize, change: &Change, column: &str, cell: (Value, Value)) -> Result<()> {
        let table = self.front.shapes[index].table.clone();
        self.schema_conflict(&table, &change.key, Some(column), Claim::Cell(cell.0), Claim::Cell(cell.1), change.at, "the column was dropped");
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

enum Parent {
    Back,
    Refused,
    Unknown,
}

/// A row by column name.
pub fn image(table: &Table, row: &Row) -> Image {
    table.columns.iter().map(|c| c.name.clone()).zip(row.iter().cloned()).collect()
}

fn value_of(image: &Image, column: &str) -> Value {
    image.iter().find(|(name, _)| name.eq_ignore_ascii_case(column)).map(|(_, v)| v.clone()).unwrap_or_default()
}

fn stamp_of(touch: &Touch) -> Stamp {
    Stamp { time: touch.change.at, replica: touch.replica }
}

fn inserted(change: &Change) -> Option<Row> {
    if let Edit::Insert(row) = &change.edit { Some(row.clone()) } else { None }
}

/// The parent table of a link and the parent's columns, by position.
pub fn parent_of(schema: &Schema, link: &mainstem_core::schema::ForeignKey) -> Option<(usize, Vec<usize>)> {
    let parent = schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(&link.parent))?;
    let columns = link.parent_columns.iter().map(|c| schema.tables[parent].column(c)).collect::<Option<Vec<_>>>()?;
    Some((parent, columns))
}

/// Every link to a table: the child, its foreign key, and the parent's columns by position.
fn links_to(schema: &Schema, table: usize) -> Vec<(usize, mainstem_core::schema::ForeignKey, Vec<usize>)> {
    let mut found = Vec::new();
    for (child, t) in schema.tables.iter().enumerate() {
        for link in &t.foreign_keys {
            if let Some((parent, columns)) = parent_of(schema, link) && parent == table {
                found.push((child, link.clone(), columns));
            }
        }
    }
    found
}

/// The parent's key, where a link points to exactly its key columns.
fn key_from(schema: &Schema, child: usize, parent: usize, values: &[Value]) -> Option<Key> {
    let key = &schema.tables[parent].key;
    schema.tables[child].foreign_keys.iter().find_map(|link| {
        let (found, columns) = parent_of(schema, link)?;
        if found != parent || columns.len() != values.len() || columns.len() != key.len() {
            return None;
        }
        key.iter().map(|k| columns.iter().position(|c| c == k).map(|i| values[i].clone())).collect()
    })
}

fn is_parent(schema: &Schema, child: Option<usize>, orphan: &Orphan, table: usize, row: &Row) -> bool {
    let Some(child) = child else { return false };
    orphan.parent == table
        && schema.tables[child].foreign_keys.iter().any(|link| {
            parent_of(schema, link).is_some_and(|(parent, columns)| {
                parent == table && columns.len() == orphan.parent_key.len() && columns.iter().zip(&orphan.parent_key).all(|(&c, v)| row[c] == *v)
            })
        })
}

/// True where theirs made the row or pointed it elsewhere by one of these columns.
fn points_anew(touch: &Touch, columns: &[&str]) -> bool {
    match &touch.change.edit {
        Edit::Insert(_) => true,
        Edit::Update(cells) => cells.iter().any(|c| columns.iter().any(|n| touch.shape.columns[c.column].eq_ignore_ascii_case(n))),
        Edit::Delete(_) => false,
    }
}

/// A row before the touches: absent where they made it. None where they say nothing that can be undone.
fn undone(schema: &Schema, table: usize, row: &Row, touches: &[Touch]) -> Option<Option<Row>> {
    let mut now = Some(row.clone());
    for touch in touches.iter().rev() {
        let lane = Lane::between(schema, Some(table), &touch.shape, &[]);
        now = match (&touch.change.edit, now) {
            (Edit::Insert(_), Some(_)) => None,
            (Edit::Delete(image), None) => Some(lane.local_row(image)),
            (Edit::Update(cells), Some(mut row)) => {
                for cell in cells {
                    if let Some(column) = lane.columns[cell.column] {
                        row[column] = cell.before.clone();
                    }
                }
                Some(row)
            }
            _ => return None,
        };
    }
    Some(now)
}

fn laid_on(row: &Row, change: &Change) -> Row {
    match &change.edit {
        Edit::Update(cells) => cells.iter().fold(row.clone(), |mut row, cell| {
            row[cell.column] = cell.after.clone();
            row
        }),
        Edit::Insert(row) => row.clone(),
        Edit::Delete(_) => row.clone(),
    }
}
