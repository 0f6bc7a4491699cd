//! What only the combination of two sides breaks: unique indexes, CHECK and NOT NULL.
//!
//! Invariant: the side with the earlier stamp holds, whichever arrives first; the other is kept in an open conflict.
use super::links::links_to;
use super::{Effect, Ground, Rebase, Tag, image, stamp_of};
use crate::error::{Error, Result};
use crate::lane::Lane;
use crate::tables::Wrote;
use crate::writer::{Tried, Write, Writer};
use mainstem_core::ErrorKind;
use mainstem_core::change::{Cell, Change, Edit};
use mainstem_core::conflict::{self, Claim, Conflict, ConflictKind, Side};
use mainstem_core::planted::{self, Bug};
use mainstem_core::schema::{Schema, Table};
use mainstem_core::stamp::Stamp;
use mainstem_core::three_way::Touch;
use mainstem_core::value::{Row, Value};

impl<G: Ground + ?Sized> Rebase<'_, G> {
    /// A unique index or a constraint stands against ours. The side with the earlier stamp holds, so that the order of
    /// arrival does not matter; theirs gives way only where nothing else hangs on it.
    pub(super) fn refused(&mut self, write: &Write<Tag>, kind: ConflictKind, what: String) -> Result<()> {
        if planted::is(Bug::E9) {
            return Err(Error::new(ErrorKind::Conflict, "constraint", what));
        }
        let wanted = self.wanted(write, kind, &what)?;
        // A row that comes back holds its unique value since before both sides.
        let is_written = match &write.tag.change.edit {
            Edit::Update(cells) => wanted.iter().all(|columns| cells.iter().any(|c| columns.contains(&c.column))),
            _ => true,
        };
        let (stamp, actor) = match is_written {
            true => (self.stamp(write.tag.change.at), self.front.header.actor.clone()),
            false => (Stamp::default(), String::new()),
        };
        if !self.stand_off(write, kind, what, stamp, actor, false)? {
            self.note_refused(write.table, &write.tag.change.key);
            let row = self.ground.get(write.table, &write.tag.change.key)?;
            self.stays(write.table, row.as_ref())?;
        }
        Ok(())
    }

    /// Two rows want one place. True where ours has it now; where it must and cannot, nothing is said.
    pub(super) fn stand_off(
        &mut self,
        write: &Write<Tag>,
        kind: ConflictKind,
        what: String,
        stamp: Stamp,
        actor: String,
        must_win: bool,
    ) -> Result<bool> {
        let schema = self.schema.clone();
        let table = &schema.tables[write.table];
        let Some(after) = &write.after else { return Err(Error::internal("a delete was refused")) };
        // Both orders of arrival tell the same two stories: of two rows, each as both sides leave it; of one row, each side as
        // its author saw it.
        let former = match &write.before {
            Some(row) => undone(&schema, write.table, row, &write.tag.touches).unwrap_or_else(|| Some(row.clone())),
            None => None,
        };
        let own = match &former {
            Some(row) if kind != ConflictKind::Unique => laid_on(row, &write.tag.change),
            _ => after.clone(),
        };
        let ours = Side { claim: Claim::Row(Some(image(table, &own))), stamp, actor };
        let (rival, rival_touches) = self.rival_of(write, after, kind)?;
        let wanted = self.wanted(write, kind, &what)?;
        let claimed = match kind {
            ConflictKind::Unique => claimed_by(&rival_touches, table, &wanted),
            _ => rival_touches.last(),
        };
        let theirs = Side {
            claim: Claim::Row(rival.as_ref().map(|r| image(table, r))),
            stamp: claimed.map(stamp_of).unwrap_or_default(),
            actor: claimed.map(|t| t.actor.to_string()).unwrap_or_default(),
        };
        let is_ours_first = claimed.is_some() && ours.stamp < theirs.stamp;
        // Another clash of this changeset may have moved the row since; then it stays as that one left it.
        let is_current = self.ground.get(write.table, &write.tag.change.key)? == write.before;
        let is_ours = match &rival {
            Some(rival) if is_ours_first && is_current => self.displace(write, rival, &rival_touches, &wanted.concat())?,
            _ => false,
        };
        if must_win && !is_ours {
            return Ok(false);
        }
        if !is_ours && is_current && kind == ConflictKind::Unique {
            self.write_the_rest(write, &wanted.concat())?;
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
        Ok(is_ours)
    }

    /// What a unique index refuses of an update is its value; the other cells are written, and a row that the update brings
    /// back comes with the value that ours found.
    fn write_the_rest(&mut self, write: &Write<Tag>, columns: &[usize]) -> Result<()> {
        let (Edit::Update(cells), Some(after)) = (&write.tag.change.edit, &write.after) else { return Ok(()) };
        if planted::is(Bug::X7) {
            return Ok(());
        }
        let found = write.before.clone().unwrap_or_else(|| as_found(after, cells));
        let rest = only(after, &found, columns);
        let wrote = match &write.before {
            _ if rest == *after => return Ok(()),
            Some(before) if rest == *before || self.would_dangle(write.table, before, Some(&rest))? => return Ok(()),
            Some(before) => self.ground.update(write.table, before, &rest)?,
            None if self.missing_parent(write.table, None, &rest)?.is_some() => return Ok(()),
            None => self.ground.insert(write.table, &rest)?,
        };
        match wrote {
            Wrote::Done => self.done(&Write { after: Some(rest), ..write.clone() }),
            _ => Ok(()),
        }
    }

    /// True where a row that is put back to what it was, or taken out, leaves a link without its row.
    pub(super) fn would_dangle(&mut self, table: usize, now: &Row, former: Option<&Row>) -> Result<bool> {
        for (child, link, columns) in links_to(&self.schema.clone(), table) {
            let values: Vec<Value> = columns.iter().map(|&c| now[c].clone()).collect();
            let is_same = former.is_some_and(|f| columns.iter().all(|&c| f[c] == now[c]));
            if !is_same && !self.ground.find(child, &link.columns, &values, 1)?.is_empty() {
                return Ok(true);
            }
        }
        match former {
            Some(former) => Ok(self.missing_parent(table, Some(now), former)?.is_some()),
            None => Ok(false),
        }
    }

    /// The columns of each unique index in which ours and its rival want one place: the one that refused ours, and others by
    /// one column. Of the pair, one row holds in all of them.
    fn wanted(&mut self, write: &Write<Tag>, kind: ConflictKind, what: &str) -> Result<Vec<Vec<usize>>> {
        let (ConflictKind::Unique, Some(after)) = (kind, &write.after) else { return Ok(Vec::new()) };
        let table = &self.schema.clone().tables[write.table];
        let mut wanted = vec![named_in(table, what)];
        let Some(rival) = self.ground.rivals(write.table, after)?.into_iter().next() else { return Ok(wanted) };
        for column in (0..after.len()).filter(|at| !table.key.contains(at) && !after[*at].is_null()) {
            let alone = |at: usize| at == column || table.key.contains(&at);
            let probe = after.iter().enumerate().map(|(at, value)| if alone(at) { value.clone() } else { Value::Null }).collect();
            if !wanted[0].contains(&column) && self.ground.rivals(write.table, &probe)?.contains(&rival) {
                wanted.push(vec![column]);
            }
        }
        Ok(wanted)
    }

    /// The row that stands against ours, and what happened to it since our base.
    fn rival_of(&mut self, write: &Write<Tag>, after: &Row, kind: ConflictKind) -> Result<(Option<Row>, Vec<Touch>)> {
        let schema = self.schema.clone();
        let table = &schema.tables[write.table];
        let rival = match kind {
            ConflictKind::Unique => self.ground.rivals(write.table, after)?.into_iter().next(),
            _ => write.before.clone(),
        };
        let rival_touches = match &rival {
            Some(row) if kind == ConflictKind::Unique && self.is_moved_on() => {
                super::touches(self.ground, self.front, &table.name, &table.key_of(row))?
            }
            Some(_) => write.tag.touches.clone(),
            None => Vec::new(),
        };
        Ok((rival, rival_touches))
    }

    /// Takes back what theirs did to the rival row after our base and puts ours in. False, with nothing changed, where
    /// that cannot be done cleanly. `columns` are those of the unique indexes that stand against ours, if they do.
    fn displace(&mut self, write: &Write<Tag>, rival: &Row, touches: &[Touch], columns: &[usize]) -> Result<bool> {
        let schema = self.schema.clone();
        let table = &schema.tables[write.table];
        let Some(mut former) = undone(&schema, write.table, rival, touches) else { return Ok(false) };
        if let (false, Some(former)) = (columns.is_empty(), &mut former) {
            // Only the unique value gives way; what else theirs did to the row stays.
            *former = only(rival, former, columns);
        }
        if self.would_dangle(write.table, rival, former.as_ref())? {
            return Ok(false);
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

/// The columns of a unique index as a refusal names them; all where it names none, as for an index on an expression.
fn named_in(table: &Table, what: &str) -> Vec<usize> {
    let named: Option<Vec<usize>> = what.split(", ").map(|name| table.column(name.rsplit('.').next().unwrap_or(name))).collect();
    named.unwrap_or_else(|| (0..table.columns.len()).collect())
}

/// A row with some cells of another.
fn only(row: &Row, other: &Row, columns: &[usize]) -> Row {
    let mut row = row.clone();
    for &column in columns {
        row[column].clone_from(&other[column]);
    }
    row
}

/// A row with these cells as they were found.
pub(super) fn as_found(row: &Row, cells: &[Cell]) -> Row {
    cells.iter().fold(row.clone(), |mut row, cell| {
        row[cell.column] = cell.before.clone();
        row
    })
}

/// The earliest of the touches by which a row came to hold what it has in the columns of each of these indexes; none where it
/// has held one of them since before.
fn claimed_by<'t>(touches: &'t [Touch], table: &Table, indexes: &[Vec<usize>]) -> Option<&'t Touch> {
    let claims: Option<Vec<&Touch>> = indexes.iter().map(|columns| claim_of(touches, table, columns)).collect();
    claims?.into_iter().min_by_key(|touch| stamp_of(touch))
}

/// The latest touch by which a row came to hold what it has in these columns.
fn claim_of<'t>(touches: &'t [Touch], table: &Table, columns: &[usize]) -> Option<&'t Touch> {
    touches.iter().rfind(|touch| match &touch.change.edit {
        Edit::Insert(_) => true,
        Edit::Update(cells) => cells.iter().any(|cell| {
            let name = &touch.shape.columns[cell.column];
            columns.iter().any(|&c| table.columns[c].name.eq_ignore_ascii_case(name))
        }),
        Edit::Delete(_) => false,
    })
}

/// A row before the touches: absent where they made it, for what had its key before that is another row. None where they say
/// nothing that can be undone.
pub(super) fn undone(schema: &Schema, table: usize, row: &Row, touches: &[Touch]) -> Option<Option<Row>> {
    let mut now = Some(row.clone());
    for touch in touches.iter().rev() {
        let lane = Lane::between(schema, Some(table), &touch.shape, &[]);
        now = match (&touch.change.edit, now) {
            (Edit::Insert(_), Some(_)) => return Some(None),
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
