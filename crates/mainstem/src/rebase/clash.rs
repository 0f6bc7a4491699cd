//! What only the combination of two sides breaks: unique indexes, CHECK and NOT NULL.
//!
//! Invariant: the side with the earlier stamp holds, whichever arrives first; the other is kept in an open conflict.
use super::links::links_to;
use super::{Effect, Ground, Rebase, Tag, image, stamp_of};
use crate::error::{Error, Result};
use crate::lane::Lane;
use crate::writer::{Tried, Write, Writer};
use mainstem_core::change::{Change, Edit};
use mainstem_core::conflict::{self, Claim, Conflict, ConflictKind, Side};
use mainstem_core::schema::Schema;
use mainstem_core::three_way::Touch;
use mainstem_core::value::{Row, Value};

impl<G: Ground + ?Sized> Rebase<'_, G> {
    /// A unique index or a constraint stands against ours. The side with the earlier stamp holds, so that the order of
    /// arrival does not matter; theirs gives way only where nothing else hangs on it.
    pub(super) fn refused(&mut self, write: &Write<Tag>, kind: ConflictKind, what: String) -> Result<()> {
        let schema = self.schema.clone();
        let table = &schema.tables[write.table];
        let Some(after) = &write.after else { return Err(Error::internal("a delete was refused")) };
        // Each side as its author saw it, so that both orders of arrival tell the same two stories.
        let former = match &write.before {
            Some(row) => undone(&schema, write.table, row, &write.tag.touches).unwrap_or_else(|| Some(row.clone())),
            None => None,
        };
        let own = former.as_ref().map_or_else(|| after.clone(), |row| laid_on(row, &write.tag.change));
        let ours = Side {
            claim: Claim::Row(Some(image(table, &own))),
            stamp: self.stamp(write.tag.change.at),
            actor: self.front.header.actor.clone(),
        };
        let rival = match kind {
            ConflictKind::Unique => self.ground.rivals(write.table, after)?.into_iter().next(),
            _ => write.before.clone(),
        };
        let rival_touches = match &rival {
            Some(row) if kind == ConflictKind::Unique && self.is_moved_on() => {
                self.ground.touches(&table.name, &table.key_of(row), self.front.header.base_version)?
            }
            Some(_) => write.tag.touches.clone(),
            None => Vec::new(),
        };
        let theirs = Side {
            claim: Claim::Row(rival.as_ref().map(|r| image(table, r))),
            stamp: rival_touches.last().map(stamp_of).unwrap_or_default(),
            actor: rival_touches.last().map(|t| t.actor.to_string()).unwrap_or_default(),
        };
        let is_ours_first = !rival_touches.is_empty() && ours.stamp < theirs.stamp;
        if is_ours_first && let Some(rival) = &rival {
            self.displace(write, rival, &rival_touches)?;
        }
        // A unique clash is about two rows; it is filed under the smaller key, whichever side that is.
        let other = rival.filter(|row| kind == ConflictKind::Unique && table.key_of(row) < write.tag.change.key);
        let (key, base) = match other {
            Some(row) => (table.key_of(&row), undone(&schema, write.table, &row, &rival_touches).unwrap_or(Some(row))),
            None => (write.tag.change.key.clone(), former),
        };
        let id = conflict::id_of(&table.name, &key, None, kind, &ours, &theirs);
        self.out.conflicts.push(Conflict {
            id,
            kind,
            table: table.name.clone(),
            key,
            column: None,
            base: Claim::Row(base.map(|row| image(table, &row))),
            ours,
            theirs,
            strategy: "manual".into(),
            detail: what,
            version: self.place.version,
            answer: None,
        });
        Ok(())
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
            let effect = Effect {
                table: write.table,
                before: before.as_ref(),
                after: after.as_ref(),
                at: write.tag.change.at,
                cell_at: &[],
                moved_from: None,
            };
            self.effects.effect(self.ground, &self.schema, &effect)?;
        }
        Ok(true)
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
