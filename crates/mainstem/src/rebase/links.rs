//! What a foreign key means while two sides meet: deleted parents, new children, rows that wait.
//!
//! Invariant: no row is written whose parent is missing, unless it was missing where the row was made.
use super::clash::undone;
use super::{Effect, Ground, Orphan, REVIVE_DEPTH_MAX, Rebase, Tag, image, stamp_of, touches};
use crate::error::Result;
use crate::lane::Lane;
use crate::tables::Wrote;
use crate::writer::Write;
use mainstem_core::change::{Change, Choice, Edit};
use mainstem_core::conflict::{self, Answer, Claim, Conflict, ConflictKind, Side};
use mainstem_core::planted::{self, Bug};
use mainstem_core::policy::Deletes;
use mainstem_core::schema::{ForeignKey, Schema, Table};
use mainstem_core::stamp::{Stamp, Time};
use mainstem_core::three_way::Touch;
use mainstem_core::value::{Key, Row, Value};

/// A parent that is not there: the values of its columns that a link names.
pub(super) struct Missing {
    pub table: usize,
    pub columns: Vec<usize>,
    pub values: Vec<Value>,
}

/// What became of the parents that a row needs.
pub(super) enum Parents {
    /// They are there, or the row lets go of them.
    There,
    /// The deletion of one of them holds.
    Refused,
    /// Nobody knows this one yet.
    Awaited(Missing),
}

/// A deletion that wins, by a rule.
struct Deletion<'a> {
    side: Side,
    rule: Deletes,
    /// The table and key of the row that it is of.
    of: (usize, &'a Key),
}

enum Parent {
    Back,
    Refused,
    Unknown,
}

impl<G: Ground + ?Sized> Rebase<'_, G> {
    /// The first parent that `after` needs and that is not there. Links that did not change are not looked at: where
    /// they dangle, they dangled before.
    pub(super) fn missing_parent(&mut self, table: usize, before: Option<&Row>, after: &Row) -> Result<Option<Missing>> {
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
                return Ok(Some(Missing { table: parent, columns, values }));
            }
        }
        Ok(None)
    }

    /// Sees to it that every parent ours needs is there, as far as that can be.
    pub(super) fn settle_parents(&mut self, table: usize, change: &Change, before: Option<&Row>, after: &mut Row) -> Result<Parents> {
        while let Some(parent) = self.missing_parent(table, before, after)? {
            match self.parent_is_back(table, change, after, &parent)? {
                Parent::Back => {}
                Parent::Refused => match self.lets_go(table, after, &parent) {
                    Some(freed) => *after = freed,
                    None => return Ok(Parents::Refused),
                },
                Parent::Unknown => return Ok(Parents::Awaited(parent)),
            }
        }
        Ok(Parents::There)
    }

    /// Theirs deleted the parent that ours needs: by the parent table's policy it comes back, or ours gives way.
    fn parent_is_back(&mut self, table: usize, change: &Change, after: &Row, parent: &Missing) -> Result<Parent> {
        let schema = self.schema.clone();
        let name = schema.tables[parent.table].name.clone();
        let touches = self.touches_of(parent)?;
        let Some(gone) = touches.iter().rfind(|t| parent.is_deleted_by(&schema, t)) else { return Ok(Parent::Unknown) };
        if gone.replica == self.front.header.replica {
            // Who deletes a parent and then makes a child of it means no clash with anybody.
            return Ok(Parent::Unknown);
        }
        let ours = Side {
            claim: Claim::Row(Some(image(&schema.tables[table], after))),
            stamp: self.stamp(change.at),
            actor: self.front.header.actor.clone(),
        };
        let theirs = Side { claim: Claim::Row(None), stamp: stamp_of(gone), actor: gone.actor.to_string() };
        let rule = self.policy.table(&name).deletes;
        let is_kept = is_child_kept(rule, &ours, &theirs);
        if is_kept && !self.revive(parent, REVIVE_DEPTH_MAX)? {
            return Ok(Parent::Unknown);
        }
        if is_kept {
            self.revived.push((parent.table, parent.columns.clone(), parent.values.clone(), theirs.clone()));
        }
        let choice = if is_kept { Choice::Ours } else { Choice::Theirs };
        let conflict = self.link_conflict(&schema.tables[table], &change.key, ours, theirs, rule, choice, &name);
        self.out.conflicts.push(conflict);
        Ok(if is_kept { Parent::Back } else { Parent::Refused })
    }

    /// Ours without its links to the parent whose deletion holds, where the links say that it lets go.
    fn lets_go(&self, table: usize, after: &Row, parent: &Missing) -> Option<Row> {
        let names = |link: &ForeignKey, columns: &[usize]| {
            columns == parent.columns && link.columns.iter().zip(&parent.values).all(|(&c, value)| after[c] == *value)
        };
        let_go(&self.schema, table, after, parent.table, names)
    }

    /// A parent that another row of this changeset brought back: each that needs it clashes with its deletion.
    pub(super) fn revived_for(&self, table: usize, change: &Change, before: Option<&Row>, after: &Row) -> Vec<Conflict> {
        let schema = self.schema.clone();
        let mut found = Vec::new();
        for link in &schema.tables[table].foreign_keys {
            let Some((parent, columns)) = parent_of(&schema, link) else { continue };
            let is_same = before.is_some_and(|b| link.columns.iter().all(|&c| b[c] == after[c]));
            let is_it = |(t, c, v, _): &&(usize, Vec<usize>, Vec<Value>, Side)| {
                *t == parent && *c == columns && link.columns.iter().zip(v).all(|(&at, v)| after[at] == *v)
            };
            if is_same {
                continue;
            }
            let Some(deleted) = self.revived.iter().find(is_it).map(|(.., side)| side.clone()) else { continue };
            let ours = Side {
                claim: Claim::Row(Some(image(&schema.tables[table], after))),
                stamp: self.stamp(change.at),
                actor: self.front.header.actor.clone(),
            };
            let name = schema.tables[parent].name.clone();
            let rule = self.policy.table(&name).deletes;
            found.push(self.link_conflict(&schema.tables[table], &change.key, ours, deleted, rule, Choice::Ours, &name));
        }
        found
    }

    /// Ours changes columns of a parent by which rows of theirs point to it: those columns stay, and the change is kept
    /// in a conflict. True where it must wait until it is known which rows still do.
    pub(super) fn hold_linked(&mut self, table: usize, change: &Change, row: &Row, after: &mut Row) -> Result<bool> {
        let schema = self.schema.clone();
        for (child, link, columns) in links_to(&schema, table) {
            if columns.iter().all(|&c| row[c] == after[c]) {
                continue;
            }
            let values: Vec<Value> = columns.iter().map(|&c| row[c].clone()).collect();
            if values.iter().any(Value::is_null) {
                continue;
            }
            let named: Vec<Value> = columns.iter().map(|&c| after[c].clone()).collect();
            for child_row in self.ground.find(child, &link.columns, &values, usize::MAX)? {
                let key = schema.tables[child].key_of(&child_row);
                let touches = touches(self.ground, self.front, &schema.tables[child].name, &key)?;
                let touch = self.first_unseen(&touches)?.map(|at| touches[at].clone());
                // Whether a change of ours to it gets in is known in the end.
                if !self.is_last_call {
                    return Ok(true);
                }
                let awaits_this = |orphan: &Orphan| orphan.awaits(table, &named);
                if touch.is_none() && !self.may_be_unseen(child, &key, touches.is_empty(), awaits_this) {
                    continue;
                }
                let pointed = match touch {
                    Some(touch) => Some(touch),
                    // The conflict is told to the copy of a part, which may not know who wrote what it cannot see.
                    None if self.front.is_partial => None,
                    None => self.last_written(child, &key)?,
                };
                for &column in columns.iter().filter(|&&c| row[c] != after[c]).collect::<Vec<_>>() {
                    self.linked_conflict(table, change, column, (row, after), pointed.as_ref());
                    after[column] = row[column].clone();
                }
                break;
            }
        }
        Ok(false)
    }

    /// True where a row is another here than where ours was made, since a change of ours to it waits or was refused.
    fn is_hidden(&self, table: usize, key: &Key, gets_in: impl Fn(&Orphan) -> bool) -> bool {
        let waits = |orphan: &&Orphan| self.lanes[orphan.lane].table == Some(table) && orphan.change.key == *key;
        match self.orphans.iter().find(waits) {
            Some(orphan) => !gets_in(orphan),
            None => self.waiting.contains(&(table, key.clone())) || self.refused.contains(&(table, key.clone())),
        }
    }

    /// True where ours may not have seen a row as it is here, though nobody touched it since: it is another where ours was made,
    /// or was never there, for the copy of a part.
    fn may_be_unseen(&self, table: usize, key: &Key, is_untouched: bool, gets_in: impl Fn(&Orphan) -> bool) -> bool {
        let waits = |orphan: &Orphan| self.lanes[orphan.lane].table == Some(table) && orphan.change.key == *key;
        let is_ours = self.going.contains(&(table, key.clone())) || self.orphans.iter().any(waits);
        self.is_hidden(table, key, gets_in) || self.front.is_partial && is_untouched && !is_ours
    }

    /// The last that others did to a row, whenever that was.
    fn last_written(&mut self, table: usize, key: &Key) -> Result<Option<Touch>> {
        let name = self.schema.tables[table].name.clone();
        let touches = self.ground.touches(&name, key, 0)?;
        Ok(touches.into_iter().rfind(|touch| self.is_foreign(touch)))
    }

    fn linked_conflict(&mut self, table: usize, change: &Change, column: usize, rows: (&Row, &Row), by: Option<&Touch>) {
        let table = &self.schema.clone().tables[table];
        let at = match &change.edit {
            Edit::Update(cells) => cells.iter().find(|c| c.column == column).map_or(change.at, |c| c.at),
            _ => change.at,
        };
        let ours = Side { claim: Claim::Cell(rows.1[column].clone()), stamp: self.stamp(at), actor: self.front.header.actor.clone() };
        let theirs = side_of(by, Claim::Cell(rows.0[column].clone()));
        let (kind, name) = (ConflictKind::UpdateUpdate, table.columns[column].name.clone());
        self.out.conflicts.push(Conflict {
            id: conflict::id_of(&table.name, &change.key, Some(&name), kind, &ours, &theirs),
            kind,
            table: table.name.clone(),
            key: change.key.clone(),
            column: Some(name),
            base: Claim::Cell(rows.0[column].clone()),
            ours,
            theirs,
            strategy: Deletes::Manual.name().into(),
            // Which rows those are, not everybody may know to whom the conflict is told.
            detail: "other rows point to it".into(),
            version: self.place.version,
            answer: None,
        });
    }

    fn is_foreign(&self, touch: &Touch) -> bool {
        touch.replica != self.front.header.replica && !matches!(touch.change.edit, Edit::Delete(_))
    }

    /// The first touch by which a row may be there that ours did not see: theirs, or ours that had waited and was let in.
    fn first_unseen(&mut self, touches: &[Touch]) -> Result<Option<usize>> {
        for (at, touch) in touches.iter().enumerate() {
            let is_gone = matches!(touch.change.edit, Edit::Delete(_));
            if self.is_foreign(touch) || !is_gone && self.ground.is_let_in(touch.version)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one record")]
    fn link_conflict(&self, table: &Table, key: &Key, ours: Side, theirs: Side, rule: Deletes, choice: Choice, parent: &str) -> Conflict {
        let kind = ConflictKind::MissingParent;
        // The later of the two times, which is the same in both orders of arrival.
        let at = ours.stamp.time.max(theirs.stamp.time);
        let answer = (rule != Deletes::Manual).then_some(Answer { choice, actor: None, at });
        let id = conflict::id_of(&table.name, key, None, kind, &ours, &theirs);
        Conflict {
            id,
            kind,
            table: table.name.clone(),
            key: key.clone(),
            column: None,
            base: Claim::Row(None),
            ours,
            theirs,
            strategy: rule.name().into(),
            detail: format!("parent in {parent}"),
            version: self.place.version,
            answer,
        }
    }

    /// What happened lately to the row that would be the parent; nothing where the link does not name its key.
    fn touches_of(&mut self, parent: &Missing) -> Result<Vec<Touch>> {
        let schema = self.schema.clone();
        match parent.key(&schema) {
            Some(key) if self.is_moved_on() => touches(self.ground, self.front, &schema.tables[parent.table].name, &key),
            _ => Ok(Vec::new()),
        }
    }

    /// Puts a deleted row back as it was, and before it the deleted parents it needs. False where another row has taken
    /// its unique value in the meantime and does not give way.
    fn revive(&mut self, row: &Missing, depth: usize) -> Result<bool> {
        let schema = self.schema.clone();
        let touches = self.touches_of(row)?;
        let Some(gone) = touches.iter().rfind(|t| row.is_deleted_by(&schema, t)) else { return Ok(false) };
        let Some(after) = deleted_row(&schema, row.table, gone) else { return Ok(false) };
        while let Some(parent) = self.missing_parent(row.table, None, &after)? {
            if depth == 0 || !self.revive(&parent, depth - 1)? {
                return Ok(false);
            }
        }
        let (table, key) = (row.table, schema.tables[row.table].key_of(&after));
        let change = Change { table, key, edit: Edit::Insert(after.clone()), at: self.front.header.at, moved_from: None };
        let write = Write { table, before: None, after: Some(after), tag: Tag { change, touches: Vec::new() } };
        match write.after.as_ref().map(|row| self.ground.insert(table, row)).transpose()? {
            Some(Wrote::Done) => self.done(&write).map(|()| true),
            // A row that both sides knew is the earlier one; what was made since gives way, as it would have in the other order.
            Some(Wrote::Unique(what)) if !touches.iter().any(|t| matches!(t.change.edit, Edit::Insert(_))) => {
                self.stand_off(&write, ConflictKind::Unique, what, Stamp::default(), String::new(), true)
            }
            _ => Ok(false),
        }
    }

    /// True where rows point to this one.
    pub(super) fn is_pointed_to(&mut self, table: usize, row: &Row) -> Result<bool> {
        Ok(!self.children(table, row, 1)?.is_empty())
    }

    /// Rows other than `row` itself that point to it, each with the columns by which it does; at most `limit` by each link.
    fn children(&mut self, table: usize, row: &Row, limit: usize) -> Result<Vec<(usize, Row)>> {
        let schema = self.schema.clone();
        let mut found: Vec<(usize, Row)> = Vec::new();
        for (child, link, columns) in links_to(&schema, table) {
            let values: Vec<Value> = columns.iter().map(|&c| row[c].clone()).collect();
            if values.iter().any(Value::is_null) {
                continue;
            }
            for child_row in self.ground.find(child, &link.columns, &values, limit.saturating_add(1))? {
                let is_itself = child == table && schema.tables[table].key_of(&child_row) == schema.tables[table].key_of(row);
                if !is_itself && !found.iter().any(|(t, r)| *t == child && *r == child_row) {
                    found.push((child, child_row));
                }
            }
        }
        Ok(found)
    }

    /// A child that ours may not have seen keeps its parent: one that was there all along, for the copy of a part, and one
    /// that is another here than there.
    fn unseen_child_stands_against(
        &mut self,
        child: usize,
        row: &Row,
        is_untouched: bool,
        (stamp, rule): (Stamp, Deletes),
        parent: &str,
    ) -> Result<bool> {
        let schema = self.schema.clone();
        let table = &schema.tables[child];
        let key = table.key_of(row);
        if !self.may_be_unseen(child, &key, is_untouched, |_| false) || self.going.contains(&(child, key.clone())) {
            return Ok(false);
        }
        let ours = Side { claim: Claim::Row(None), stamp, actor: self.front.header.actor.clone() };
        let last = self.last_written(child, &key)?;
        let theirs = side_of(last.as_ref(), Claim::Row(Some(image(table, row))));
        let conflict = self.link_conflict(table, &key, ours, theirs, rule, Choice::Theirs, parent);
        self.out.conflicts.push(conflict);
        Ok(true)
    }

    /// Ours deletes a row to which rows still point that theirs wrote: by policy it stays, or they go with it. So it
    /// stays where a row that points to it was itself kept for its children.
    pub(super) fn children_stand_against(&mut self, table: usize, change: &Change, row: &Row) -> Result<bool> {
        let schema = self.schema.clone();
        let name = &schema.tables[table].name;
        let rule = self.policy.table(name).deletes;
        let stamp = self.stamp(change.at);
        let mut stays = false;
        let mut leaving = Vec::new();
        for (child, child_row) in self.children(table, row, usize::MAX)? {
            let child_table = &schema.tables[child];
            let key = child_table.key_of(&child_row);
            let is_held = self.held.contains(&(child, key.clone()));
            let touches = touches(self.ground, self.front, &child_table.name, &key)?;
            let Some(at) = self.first_unseen(&touches)? else {
                stays |= is_held || self.unseen_child_stands_against(child, &child_row, touches.is_empty(), (stamp, rule), name)?;
                continue;
            };
            let claimed = undone(&schema, child, &child_row, &touches[at + 1..]).flatten().unwrap_or_else(|| child_row.clone());
            let ours = Side { claim: Claim::Row(None), stamp, actor: self.front.header.actor.clone() };
            let theirs = Side {
                claim: Claim::Row(Some(image(child_table, &claimed))),
                stamp: stamp_of(&touches[at]),
                actor: touches[at].actor.to_string(),
            };
            let is_kept = is_child_kept(rule, &theirs, &ours) && !planted::is(Bug::E4);
            let choice = if is_kept { Choice::Theirs } else { Choice::Ours };
            let conflict = self.link_conflict(child_table, &key, ours, theirs, rule, choice, name);
            self.out.conflicts.extend(Some(conflict).filter(|_| !planted::is(Bug::E4)));
            // A row that stays for an edit of theirs lets go of this one; what stays for its own children does not.
            stays |= is_kept || is_held && self.is_pointed_to(child, &child_row)?;
            if !is_kept {
                leaving.push((child, claimed == child_row, child_row, touches[at..].to_vec()));
            }
        }
        for (child, is_told, child_row, touches) in leaving {
            // Another that left may have taken it along.
            if self.ground.get(child, &schema.tables[child].key_of(&child_row))?.as_ref() != Some(&child_row) {
                continue;
            }
            let names = |link: &ForeignKey, columns: &[usize]| link.columns.iter().zip(columns).all(|(&c, &p)| child_row[c] == row[p]);
            if let Some(freed) = let_go(&schema, child, &child_row, table, names)
                && self.ground.update(child, &child_row, &freed)? == Wrote::Done
            {
                let effect =
                    Effect { table: child, before: Some(&child_row), after: Some(&freed), at: change.at, cell_at: &[], moved_from: None };
                self.effects.effect(self.ground, &self.schema, &effect)?;
                continue;
            }
            let ours = Side { claim: Claim::Row(None), stamp, actor: self.front.header.actor.clone() };
            // The conflict above tells of their first write of the row; what was written into it later goes with it as well.
            let last = touches[1..].iter().rfind(|touch| self.is_foreign(touch));
            if let Some(last) = last.or(touches.first().filter(|_| !is_told)) {
                let child_table = &schema.tables[child];
                let claim = Claim::Row(Some(image(child_table, &child_row)));
                let theirs = Side { claim, stamp: stamp_of(last), actor: last.actor.to_string() };
                let key = child_table.key_of(&child_row);
                let conflict = self.link_conflict(child_table, &key, ours.clone(), theirs, rule, Choice::Ours, name);
                self.out.conflicts.push(conflict);
            }
            if !self.points_elsewhere_again((table, row), child, &child_row, &touches, change.at)? {
                let deletion = Deletion { side: ours, rule, of: (table, &change.key) };
                self.remove_with_children(child, child_row, &deletion, change.at, REVIVE_DEPTH_MAX)?;
            }
        }
        Ok(stays)
    }

    /// A row that theirs only pointed here is put back to what it was, as in the other order. False where it cannot be.
    fn points_elsewhere_again(&mut self, gone: (usize, &Row), child: usize, row: &Row, touches: &[Touch], at: Time) -> Result<bool> {
        let schema = self.schema.clone();
        let Some(former) = undone(&schema, child, row, touches).flatten() else { return Ok(false) };
        let still_points = links_to(&schema, gone.0)
            .iter()
            .any(|(t, link, columns)| *t == child && link.columns.iter().zip(columns).all(|(&c, &p)| former[c] == gone.1[p]));
        if still_points || self.would_dangle(child, row, Some(&former))? {
            return Ok(false);
        }
        if self.ground.update(child, row, &former)? != Wrote::Done {
            return Ok(false);
        }
        let effect = Effect { table: child, before: Some(row), after: Some(&former), at, cell_at: &[], moved_from: None };
        self.effects.effect(self.ground, &self.schema, &effect)?;
        Ok(true)
    }

    /// Removes a row and all that hangs on it. What theirs wrote of that is kept in conflicts.
    fn remove_with_children(&mut self, table: usize, row: Row, deletion: &Deletion<'_>, at: Time, depth: usize) -> Result<()> {
        let schema = self.schema.clone();
        if depth > 0 {
            for (child, link, columns) in links_to(&schema, table) {
                let values: Vec<Value> = columns.iter().map(|&c| row[c].clone()).collect();
                for child_row in self.ground.find(child, &link.columns, &values, usize::MAX)? {
                    // In a circle of links the way leads back to the row that is being deleted.
                    let is_origin = deletion.of == (child, &schema.tables[child].key_of(&child_row));
                    if !is_origin && (child != table || child_row != row) {
                        self.keep_in_conflict(child, &child_row, deletion, &schema.tables[table].name)?;
                        self.remove_with_children(child, child_row, deletion, at, depth - 1)?;
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

    /// A row that goes with its parent's parent is one side of a conflict, whether theirs wrote it or nobody lately: its own
    /// deletion was not asked for.
    fn keep_in_conflict(&mut self, child: usize, row: &Row, deletion: &Deletion<'_>, parent: &str) -> Result<()> {
        let schema = self.schema.clone();
        let table = &schema.tables[child];
        let key = table.key_of(row);
        let touches = self.ground.touches(&table.name, &key, self.front.header.base_version)?;
        let touch = touches.iter().rfind(|touch| self.is_foreign(touch));
        let theirs = side_of(touch, Claim::Row(Some(image(table, row))));
        let conflict = self.link_conflict(table, &key, deletion.side.clone(), theirs, deletion.rule, Choice::Ours, parent);
        self.out.conflicts.push(conflict);
        Ok(())
    }
}

/// A side of a conflict by who wrote it; nobody where no touch says.
fn side_of(by: Option<&Touch>, claim: Claim) -> Side {
    Side { claim, stamp: by.map(stamp_of).unwrap_or_default(), actor: by.map(|touch| touch.actor.to_string()).unwrap_or_default() }
}

/// A row without its links to a parent that is gone, where each of them says ON DELETE SET NULL and can be NULL.
fn let_go(schema: &Schema, child: usize, row: &Row, parent: usize, names: impl Fn(&ForeignKey, &[usize]) -> bool) -> Option<Row> {
    let table = &schema.tables[child];
    let mut freed = row.clone();
    for link in &table.foreign_keys {
        let is_it = parent_of(schema, link).is_some_and(|(to, columns)| to == parent && names(link, &columns));
        if !is_it {
            continue;
        }
        let is_bound = |c: &usize| table.columns[*c].not_null || table.key.contains(c);
        if !link.on_delete.eq_ignore_ascii_case("SET NULL") || link.columns.iter().any(is_bound) {
            return None;
        }
        link.columns.iter().for_each(|&c| freed[c] = Value::Null);
    }
    (freed != *row).then_some(freed)
}

/// True where the child holds against the deletion of its parent.
fn is_child_kept(rule: Deletes, child: &Side, deletion: &Side) -> bool {
    match rule {
        Deletes::Manual | Deletes::UpdateWins => true,
        Deletes::DeleteWins => false,
        Deletes::LastWriteWins => child.stamp > deletion.stamp,
    }
}

/// The parent table of a link and the parent's columns, by position.
pub fn parent_of(schema: &Schema, link: &ForeignKey) -> Option<(usize, Vec<usize>)> {
    let parent = schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(&link.parent))?;
    let columns = link.parent_columns.iter().map(|c| schema.tables[parent].column(c)).collect::<Option<Vec<_>>>()?;
    Some((parent, columns))
}

/// Every link to a table: the child, its foreign key, and the parent's columns by position.
pub(super) fn links_to(schema: &Schema, table: usize) -> Vec<(usize, ForeignKey, Vec<usize>)> {
    let mut found = Vec::new();
    for (child, t) in schema.tables.iter().enumerate() {
        for link in &t.foreign_keys {
            if let Some((parent, columns)) = parent_of(schema, link)
                && parent == table
            {
                found.push((child, link.clone(), columns));
            }
        }
    }
    found
}

/// A row as a touch deleted it.
fn deleted_row(schema: &Schema, table: usize, touch: &Touch) -> Option<Row> {
    let Edit::Delete(image) = &touch.change.edit else { return None };
    Some(Lane::between(schema, Some(table), &touch.shape, &[]).local_row(image))
}

impl Orphan {
    /// True where it is a row with these values in that table that is awaited.
    fn awaits(&self, table: usize, values: &[Value]) -> bool {
        self.parent == table && self.parent_key == values
    }
}

impl Missing {
    /// The parent's key, where the link names all its columns.
    fn key(&self, schema: &Schema) -> Option<Key> {
        let key = &schema.tables[self.table].key;
        key.iter().map(|k| self.columns.iter().position(|c| c == k).map(|at| self.values[at].clone())).collect()
    }

    fn is_deleted_by(&self, schema: &Schema, touch: &Touch) -> bool {
        deleted_row(schema, self.table, touch).is_some_and(|row| self.columns.iter().zip(&self.values).all(|(&c, v)| row[c] == *v))
    }
}

pub(super) fn is_parent(schema: &Schema, child: Option<usize>, orphan: &Orphan, table: usize, row: &Row) -> bool {
    let Some(child) = child else { return false };
    orphan.parent == table
        && schema.tables[child].foreign_keys.iter().any(|link| {
            parent_of(schema, link).is_some_and(|(parent, columns)| {
                parent == table
                    && columns.len() == orphan.parent_key.len()
                    && columns.iter().zip(&orphan.parent_key).all(|(&c, v)| row[c] == *v)
            })
        })
}
