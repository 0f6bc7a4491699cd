//! What happened to rows, as far as it is seen.
//!
//! Invariant: a row that is hidden at a version has no history, no blame and no tombstone there.
use super::Scoped;
use super::reducing::nameless;
use super::view::View;
use crate::error::{Error, Result};
use crate::history::{Blame, Happening, RowHistory, RowPlace};
use crate::ledger::Touch;
use crate::primary::{Deleted, Primary};
use crate::tombstones::{Tombstone, Wanted, Why};
use mainstem_core::ErrorKind;
use mainstem_core::conflict::Conflict;
use mainstem_core::value::{Key, Value};
use std::ops::DerefMut;

impl<P: DerefMut<Target: Primary>> Scoped<P> {
    /// The place of a visible table's row under the name that the table had then.
    fn place(&mut self, view: &View, place: &RowPlace) -> Result<RowPlace> {
        let table = view.table(&place.table, place.version)?;
        Ok(RowPlace { table: table.name.clone(), ..place.clone() })
    }

    pub(super) fn told_history(&mut self, view: &View, from: &RowPlace, limit: usize) -> Result<RowHistory> {
        let mut place = self.place(view, from)?;
        let mut told = RowHistory::default();
        loop {
            let history = self.primary.row_history(&place, limit.saturating_sub(told.happenings.len()).max(1))?;
            let first = history.happenings.last().map(|h| h.change.moved_from.clone().unwrap_or_else(|| h.change.key.clone()));
            for happening in history.happenings {
                told.happenings.extend(self.told_happening(view, happening)?);
            }
            told.collected = history.collected;
            if let Some(published) = history.published {
                let place = RowPlace { table: place.table.clone(), key: first.unwrap_or(place.key.clone()), version: 1 };
                told.published = Some(published).filter(|_| self.is_shown(view, &place));
            }
            match history.next {
                Some(next) if told.happenings.len() < limit => place = next,
                next => {
                    told.next = next;
                    return Ok(told);
                }
            }
        }
    }

    /// True where a row was shown at a version. What cannot be looked up is hidden.
    fn is_shown(&mut self, view: &View, place: &RowPlace) -> bool {
        let rows = self.shown_rows(view, &place.table, std::slice::from_ref(&place.key), place.version);
        rows.is_ok_and(|rows| rows.into_iter().any(|row| row.is_some()))
    }

    fn told_happening(&mut self, view: &View, mut happening: Happening) -> Result<Option<Happening>> {
        let Some(change) = self.tell_alone(view, happening.version, &happening.shape, &happening.change)? else { return Ok(None) };
        // Nobody did anything to a row that came into the scope or left it.
        if change.is_by_scope() {
            happening.header = nameless(&happening.header);
        }
        happening.change = change;
        if let Some(key) = happening.moved_to.take() {
            let place = RowPlace { table: happening.shape.table.clone(), key, version: happening.version };
            happening.moved_to = self.is_shown(view, &place).then_some(place.key);
        }
        happening.conflicts = self.shown_of(view, std::mem::take(&mut happening.conflicts))?;
        happening.answered = self.shown_of(view, std::mem::take(&mut happening.answered))?;
        Ok(Some(happening))
    }

    fn shown_of(&mut self, view: &View, conflicts: Vec<Conflict>) -> Result<Vec<Conflict>> {
        let mut shown = Vec::new();
        for conflict in conflicts {
            if self.shows_conflict(view, &conflict)? {
                shown.push(conflict);
            }
        }
        Ok(shown)
    }

    pub(super) fn told_touches(&mut self, view: &View, row: &RowPlace, after: u64) -> Result<Vec<Touch>> {
        let place = self.place(view, row)?;
        let mut told = Vec::new();
        for touch in self.primary.touches(&place, after)? {
            let change = self.tell_alone(view, touch.version, &touch.shape, &touch.change)?;
            told.extend(change.filter(|change| !change.is_by_scope()).map(|change| Touch { change, ..touch }));
        }
        Ok(told)
    }

    pub(super) fn told_blame(&mut self, view: &View, place: &RowPlace) -> Result<Blame> {
        let place = self.place(view, place)?;
        let absent = || {
            let message = format!("{} had no such row up to version {}", place.table, place.version);
            Error::new(ErrorKind::NotFound, "not_found", message).hint(format!("mainstem show --at {} {}", place.version, place.table))
        };
        let mut blame = self.primary.blame(&place)?;
        match blame.gone.take() {
            Some(mut gone) => {
                gone.deletion = self.told_happening(view, gone.deletion)?.ok_or_else(absent)?;
                blame.gone = Some(gone);
            }
            None if blame.cells.is_empty() => {}
            None if self.is_shown(view, &place) => {}
            None => return Err(absent()),
        }
        for cell in &mut blame.cells {
            cell.origin.conflicts = self.shown_of(view, std::mem::take(&mut cell.origin.conflicts))?;
            let at = |version| RowPlace { version, ..place.clone() };
            cell.origin.contributors.retain(|who| self.is_shown(view, &at(who.version)));
        }
        blame.moved.retain(|(version, key)| {
            let former = RowPlace { key: key.clone(), version: version.saturating_sub(1), ..place.clone() };
            self.is_shown(view, &former)
        });
        blame.renumbered_away.retain(|away| {
            let now = RowPlace { key: vec![Value::Integer(away.to)], version: away.version, ..place.clone() };
            self.is_shown(view, &now)
        });
        if blame.cells.is_empty() && blame.gone.is_none() && blame.renumbered_away.is_empty() {
            return Err(absent());
        }
        Ok(blame)
    }

    pub(super) fn told_tombstones(&mut self, view: &View, wanted: &Wanted, visit: &mut dyn FnMut(&Tombstone) -> Result<()>) -> Result<()> {
        let mut told = Vec::new();
        self.primary.tombstones(wanted, &mut |tombstone| {
            let Ok(table) = view.table(&tombstone.table, tombstone.version) else { return Ok(()) };
            if view.image(table, &tombstone.image, |sight| &sight.shown) {
                told.push(tombstone.clone());
            }
            Ok(())
        })?;
        let head = self.primary.describe()?.head.version;
        for mut tombstone in told {
            let place = RowPlace { table: tombstone.table.clone(), key: tombstone.key.clone(), version: head };
            tombstone.is_there = tombstone.is_there && self.is_shown(view, &place);
            if matches!(&tombstone.why, Why::Cascade { parent, .. } if !is_shown_whole(view, parent)) {
                tombstone.why = Why::Changeset { title: None, description: String::new() };
            }
            visit(&tombstone)?;
        }
        Ok(())
    }

    pub(super) fn told_deleted(&mut self, view: &View, table: &str, keys: &[Key], after: u64) -> Result<Vec<Deleted>> {
        if view.table(table, u64::MAX).is_err() {
            return Ok(Vec::new());
        }
        let mut deleted = self.primary.deleted_since(table, keys, after)?;
        deleted.retain(|gone| {
            let then = view.table(table, gone.version);
            then.is_ok_and(|then| view.image(then, &gone.image, |sight| &sight.shown))
        });
        Ok(deleted)
    }
}

fn is_shown_whole(view: &View, table: &str) -> bool {
    let now = view.visible.now().table(table).and_then(|table| view.sight(table.id));
    now.is_some_and(|sight| sight.shown.is_everything())
}
