//! What a foreign key means while two sides meet: deleted parents, new children, rows that wait.
//!
//! Invariant: no row is written whose parent is missing, unless it was missing where the row was made.
use super::{Effect, Ground, Orphan, REVIVE_DEPTH_MAX, Rebase, Tag, image, stamp_of};
use crate::error::Result;
use crate::lane::Lane;
use crate::writer::{Tried, Write};
use mainstem_core::change::{Change, Choice, Edit};
use mainstem_core::conflict::{self, Answer, Claim, Conflict, ConflictKind, Side};
use mainstem_core::policy::Deletes;
use mainstem_core::schema::{ForeignKey, Schema, Table};
use mainstem_core::stamp::Time;
use mainstem_core::three_way::Touch;
use mainstem_core::value::{Key, Row, Value};

pub(super) enum Parent {
    Back,
    Refused,
    Unknown,
}

impl<G: Ground + ?Sized> Rebase<'_, G> {
    /// The first parent that `after` needs and that is not there. Links that did not change are not looked at: where
    /// they dangle, they dangled before.
    pub(super) fn missing_parent(&mut self, table: usize, before: Option<&Row>, after: &Row) -> Result<Option<(usize, Vec<Value>)>> {
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
    pub(super) fn parent_is_back(&mut self, table: usize, change: &Change, after: &Row, parent: usize, values: &[Value]) -> Result<Parent> {
        let schema = self.schema.clone();
        let Some(key) = key_from(&schema, table, parent, values) else { return Ok(Parent::Unknown) };
        let name = schema.tables[parent].name.clone();
        let touches = if self.is_moved_on() { self.ground.touches(&name, &key, self.front.header.base_version)? } else { Vec::new() };
        let Some(gone) = touches.iter().rev().find(|t| matches!(t.change.edit, Edit::Delete(_))) else { return Ok(Parent::Unknown) };
        let ours = Side {
            claim: Claim::Row(Some(image(&schema.tables[table], after))),
            stamp: self.stamp(change.at),
            actor: self.front.header.actor.clone(),
        };
        let theirs = Side { claim: Claim::Row(None), stamp: stamp_of(gone), actor: gone.actor.to_string() };
        let rule = self.policy.table(&name).deletes;
        let is_kept = match rule {
            Deletes::Manual | Deletes::UpdateWins => true,
            Deletes::DeleteWins => false,
            Deletes::LastWriteWins => ours.stamp > theirs.stamp,
        };
        let answer = (rule != Deletes::Manual).then_some(Answer {
            choice: if is_kept { Choice::Ours } else { Choice::Theirs },
            actor: None,
            at: change.at,
        });
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
    pub(super) fn children_stand_against(&mut self, table: usize, change: &Change, row: Option<&Row>) -> Result<bool> {
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
            let theirs =
                Side { claim: Claim::Row(Some(image(child_table, &image_row))), stamp: stamp_of(&touch), actor: touch.actor.to_string() };
            let answer = (rule != Deletes::Manual).then_some(Answer {
                choice: if is_kept { Choice::Theirs } else { Choice::Ours },
                actor: None,
                at: change.at,
            });
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

/// True where theirs made the row or pointed it elsewhere by one of these columns.
fn points_anew(touch: &Touch, columns: &[&str]) -> bool {
    match &touch.change.edit {
        Edit::Insert(_) => true,
        Edit::Update(cells) => cells.iter().any(|c| columns.iter().any(|n| touch.shape.columns[c.column].eq_ignore_ascii_case(n))),
        Edit::Delete(_) => false,
    }
}
