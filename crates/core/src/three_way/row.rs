//! What the touches of a row say: who wrote each cell, what it was before others touched it, and whether it is
//! still the row that ours edited.
//!
//! Invariant: touches by ours' own replica are what ours was made on, so they are not the other side's.
use super::{Ours, Theirs, Touch};
use crate::change::{Edit, Shape};
use crate::conflict::Image;
use crate::planted::{self, Bug};
use crate::stamp::Stamp;
use crate::value::{Row, Value};
use alloc::vec::Vec;

/// A row by column name.
pub(super) fn image(shape: &Shape, row: &Row) -> Image {
    shape.columns.iter().cloned().zip(row.iter().cloned()).collect()
}

/// When and by whom something was written; a zero stamp and nobody where no touch says.
pub(super) type Written<'a> = (Stamp, &'a str);

/// What became of a row that ours edited and that is not there.
pub(super) enum Departed<'a> {
    /// Others deleted it, as it was then.
    Theirs(Row, Written<'a>),
    /// An earlier deletion of ours, which gave way where ours was made and holds here.
    Early(Row),
    /// A later deletion of ours.
    Since,
    /// Nobody knows.
    Unknown,
}

pub(super) struct History<'a> {
    ours: &'a Ours<'a>,
    touches: &'a [Touch],
}

impl<'a> History<'a> {
    pub(super) fn new(ours: &'a Ours<'a>, theirs: &Theirs<'a>) -> Self {
        History { ours, touches: theirs.touches }
    }

    fn is_own(&self, touch: &Touch) -> bool {
        let is_own = touch.replica == self.ours.replica && !planted::is(Bug::X9);
        is_own || planted::is(Bug::G7) && touch.replica < self.ours.replica
    }

    /// The latest touch that changed the cell. An insert wrote every cell.
    pub(super) fn cell_written(&self, column: usize) -> Written<'a> {
        let name = &self.ours.shape.columns[column];
        for touch in self.touches.iter().rev() {
            let at = match &touch.change.edit {
                Edit::Insert(_) => Some(touch.change.at),
                Edit::Update(cells) => {
                    let position = touch.shape.column(name);
                    cells.iter().find(|cell| Some(cell.column) == position).map(|cell| cell.at)
                }
                Edit::Delete(_) => None,
            };
            if let Some(time) = at {
                return (Stamp { time, replica: touch.replica }, &touch.actor);
            }
        }
        (Stamp::default(), "")
    }

    /// The latest touch of the row by another replica, else by ours.
    pub(super) fn row_written(&self) -> Written<'a> {
        let foreign = self.touches.iter().rev().find(|touch| !self.is_own(touch));
        written(foreign.or(self.touches.last()))
    }

    /// The touch that made the row, else the latest: later edits of a row do not make its creation later.
    pub(super) fn created(&self) -> Written<'a> {
        let made = self.touches.iter().rev().find(|touch| matches!(touch.change.edit, Edit::Insert(_)));
        written(made.or(self.touches.last()))
    }

    /// The row as the latest touch deleted it, in ours' shape, and who did.
    pub(super) fn deleted(&self) -> Option<(Row, Written<'a>)> {
        let touch = self.touches.last()?;
        match &touch.change.edit {
            Edit::Delete(row) => Some((self.in_ours_shape(&touch.shape, row), written(Some(touch)))),
            _ => None,
        }
    }

    /// How the row went that ours edited: a row of that key which ours itself deleted is it only where it held the cells that
    /// ours found.
    pub(super) fn departed(&self) -> Departed<'a> {
        if self.deleted().is_none() {
            return Departed::Unknown;
        }
        for (at, touch) in self.touches.iter().enumerate().rev() {
            let Edit::Delete(row) = &touch.change.edit else { continue };
            let image = self.in_ours_shape(&touch.shape, row);
            if self.is_of_later_row(at) {
                continue;
            }
            if !self.is_own(touch) {
                return Departed::Theirs(image, written(Some(touch)));
            }
            if self.held_what_ours_found(&image, &self.touches[..at]) {
                return if touch.change.at > self.ours.change.at { Departed::Since } else { Departed::Early(image) };
            }
        }
        Departed::Unknown
    }

    /// True where the row that the next touch is about was made by others after one of its key was deleted.
    fn is_of_later_row(&self, at: usize) -> bool {
        let made = self.touches[..at].iter().rposition(|touch| matches!(touch.change.edit, Edit::Insert(_)));
        let gone = |touch: &Touch| matches!(touch.change.edit, Edit::Delete(_));
        made.is_some_and(|made| !self.is_own(&self.touches[made]) && self.touches[..made].iter().any(gone))
    }

    /// True where each cell that ours changed was at some time what ours found, in the row whose last image and touches these are.
    fn held_what_ours_found(&self, image: &Row, touches: &[Touch]) -> bool {
        let Edit::Update(cells) = &self.ours.change.edit else { return false };
        let edits = |touch: &&Touch| matches!(touch.change.edit, Edit::Update(_));
        cells.iter().all(|cell| {
            let name = &self.ours.shape.columns[cell.column];
            let was = |touch: &Touch| match &touch.change.edit {
                Edit::Update(cells) => cells.iter().any(|c| touch.shape.columns[c.column] == *name && c.before == cell.before),
                _ => false,
            };
            image[cell.column] == cell.before || touches.iter().rev().take_while(edits).any(was)
        })
    }

    /// The row as the latest touch deleted it, where another replica than ours did.
    pub(super) fn deleted_by_others(&self) -> Option<(Row, Written<'_>)> {
        let is_foreign = self.touches.last().is_some_and(|touch| !self.is_own(touch));
        if is_foreign { self.deleted() } else { None }
    }

    /// True where the row there was made by another replica after the one that ours edited was deleted.
    pub(super) fn is_made_again(&self) -> bool {
        self.is_of_later_row(self.touches.len()) && !planted::is(Bug::H4)
    }

    /// The row that ours edited as it was deleted, in ours' shape, and who did: what was made under its key later, and deleted
    /// again, is another row.
    pub(super) fn ended(&self) -> Option<(Row, Written<'a>)> {
        let own = self.touches.iter().rposition(|touch| self.is_own(touch) && matches!(touch.change.edit, Edit::Insert(_)));
        self.touches[own.map_or(0, |at| at + 1)..].iter().find_map(|touch| match &touch.change.edit {
            Edit::Delete(row) => Some((self.in_ours_shape(&touch.shape, row), written(Some(touch)))),
            _ => None,
        })
    }

    /// The row there without what others did after ours' base: what both sides started from.
    pub(super) fn base_of(&self, there: &Row) -> Row {
        let mut base = there.clone();
        for (column, value) in base.iter_mut().enumerate() {
            let name = &self.ours.shape.columns[column];
            for touch in self.touches.iter().rev() {
                let Edit::Update(cells) = &touch.change.edit else { continue };
                let position = touch.shape.column(name);
                let Some(cell) = cells.iter().find(|cell| Some(cell.column) == position) else { continue };
                if self.is_own(touch) {
                    break;
                }
                *value = cell.before.clone();
            }
        }
        self.before_ours(&base)
    }

    /// A cell of the row there without what ours' own replica did to it last.
    pub(super) fn theirs_cell<'r>(&'r self, there: &'r Row, column: usize) -> &'r Value {
        let name = &self.ours.shape.columns[column];
        let mut value = &there[column];
        for touch in self.touches.iter().rev() {
            let Edit::Update(cells) = &touch.change.edit else { break };
            let position = touch.shape.column(name);
            let Some(cell) = cells.iter().find(|cell| Some(cell.column) == position) else { continue };
            if !self.is_own(touch) {
                break;
            }
            value = &cell.before;
        }
        value
    }

    /// A row with ours' cells as ours found them.
    pub(super) fn before_ours(&self, row: &Row) -> Row {
        self.with_cells(row, |cell| &cell.before)
    }

    /// A row with ours' cells laid on.
    pub(super) fn ours_on(&self, row: &Row) -> Row {
        self.with_cells(row, |cell| &cell.after)
    }

    fn with_cells(&self, row: &Row, value: impl Fn(&crate::change::Cell) -> &Value) -> Row {
        let mut row = row.clone();
        if let Edit::Update(cells) = &self.ours.change.edit {
            for cell in cells {
                row[cell.column] = value(cell).clone();
            }
        }
        row
    }

    /// A touch's row by ours' columns; a column that the touch did not know is NULL.
    fn in_ours_shape(&self, shape: &Shape, row: &Row) -> Row {
        let cell = |name| shape.column(name).and_then(|at| row.get(at)).cloned().unwrap_or_default();
        self.ours.shape.columns.iter().map(|name| cell(name)).collect::<Vec<Value>>()
    }
}

fn written(touch: Option<&Touch>) -> Written<'_> {
    touch.map_or((Stamp::default(), ""), |touch| (Stamp { time: touch.change.at, replica: touch.replica }, &*touch.actor))
}
