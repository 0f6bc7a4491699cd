//! Row numbers that two sides gave: the later row gets another, and whoever had not heard of that means it still.
//!
//! Invariant: a number that a changeset names leads to the row that its author meant by it.
use super::{Ground, Rebase, touches};
use crate::error::{Error, Result};
use crate::primary::Pages;
use mainstem_core::change::{Edit, Front};
use mainstem_core::event::Renumbered;
use mainstem_core::renumber::Renumbering;
use mainstem_core::value::{Row, Value};
use std::collections::HashSet;

/// What rows are called now that ours made before, and that were renumbered where ours had not heard of it.
pub(super) fn renumbered_since<G: Ground + ?Sized>(ground: &mut G, front: &Front) -> Result<Renumbering> {
    let base = front.header.base_version;
    let mut renumbering = Renumbering::default();
    let told_here = |row: &Renumbered, here: &Renumbered| row.table.eq_ignore_ascii_case(&here.table) && row.from == here.from;
    let mut known = HashSet::new();
    for here in front.renumbered_here.iter().filter(|here| here.made_by != front.header.write_id) {
        let Some(told) = ground.renumbered_of(here.made_by, base)? else { continue };
        // What was accepted as it was made first kept its number where nothing is said of it.
        let to = told.iter().find(|row| told_here(row, &here.row)).map_or(here.row.from, |row| row.to);
        if to != here.row.to {
            renumbering.add_earlier(Renumbered { from: here.row.to, to, ..here.row.clone() });
        }
        known.insert((here.row.table.to_ascii_lowercase(), to));
    }
    for (made_on, row) in ground.renumbered(front.header.replica, base)? {
        // Whoever sees a part did not see whose the number was; who heard of nothing meanwhile had given it to the row.
        let is_its_own = front.is_partial || made_on == base;
        if !known.contains(&(row.table.to_ascii_lowercase(), row.to)) && (is_its_own || !is_taken_at_base(ground, front, &row)?) {
            renumbering.add_earlier(row);
        }
    }
    Ok(renumbering)
}

/// True where the number that a row had to leave was another row's in the front's base version already: whoever held that
/// version had moved its own row, and means the other by that number.
fn is_taken_at_base<G: Ground + ?Sized>(ground: &mut G, front: &Front, row: &Renumbered) -> Result<bool> {
    let later = touches(ground, front, &row.table, &vec![Value::Integer(row.from)])?;
    Ok(!later.first().is_some_and(|touch| matches!(touch.change.edit, Edit::Insert(_))))
}

impl<G: Ground + ?Sized> Rebase<'_, G> {
    /// Finds rows whose number is taken before anything is written, so that references read earlier than the row
    /// itself follow as well.
    pub(super) fn renumber_colliding(&mut self, pages: &mut dyn Pages) -> Result<()> {
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
                let local = self.localise(lane, table, change, None)?.0;
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

    pub(super) fn renumber(&mut self, lane: usize, table: usize, row: &Row) -> Result<()> {
        let shape = &self.lanes[lane].shape;
        let from = row[shape.key[0]].as_integer().ok_or_else(|| Error::internal("a numbered row has no number"))?;
        let name = &self.schema.tables[table].name;
        let above = [
            Some(self.ground.next_number(table)?),
            self.front.shapes[lane].highest.map(|h| h.saturating_add(1)),
            self.renumbering.highest(name).map(|h| h.saturating_add(1)),
        ];
        let mut to = above.into_iter().flatten().max().ok_or_else(|| Error::internal("no row number"))?;
        // The number of a row that went since our base still means that row where the changeset points to it.
        while self.is_moved_on() && !touches(self.ground, self.front, name, &vec![Value::Integer(to)])?.is_empty() {
            to = to.saturating_add(1);
        }
        let renumbered = Renumbered { table: name.clone(), from, to, row: row.clone(), columns: shape.columns.clone() };
        self.renumbering.add(renumbered.clone());
        self.out.renumbered.push(renumbered);
        Ok(())
    }
}
