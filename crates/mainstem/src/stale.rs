//! A changeset from a file that was made on an older version than its replica holds: what was deleted since stays deleted.
//!
//! Invariant: a row is left out only where the primary says that it was deleted after the file's version; whoever wants it back
//! restores its tombstone, which is on purpose.
//! Deliberately absent: pushes, whose base version tells the same to the merge.
use crate::error::{Error, Result};
use crate::primary::{Deleted, Pages, Primary};
use mainstem_core::change::{Change, Edit, Front, Shape};
use mainstem_core::value::{Key, Row};

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The table.
    pub table: String,
    /// The row.
    pub key: Key,
    /// The version that deleted it.
    pub version: u64,
}

/// The pages of such a file without the rows that were deleted since.
pub struct StalePages<'a> {
    /// The file's pages.
    pub pages: &'a mut dyn Pages,
    /// What it says of itself.
    pub front: &'a Front,
    /// Who knows what was deleted.
    pub primary: &'a mut dyn Primary,
    /// What was left out so far.
    pub left_out: Vec<LeftOut>,
}

impl StalePages<'_> {
    fn shape(&self, change: &Change) -> Result<&Shape> {
        self.front.shapes.get(change.table).ok_or_else(|| Error::corrupt("a change refers to no table"))
    }

    /// Which rows of a page were deleted after the file's version, by table.
    fn deleted(&mut self, page: &[Change]) -> Result<Vec<Vec<Deleted>>> {
        let mut deleted = Vec::new();
        for (table, shape) in self.front.shapes.iter().enumerate() {
            let wanted = page.iter().filter(|c| c.table == table && !matches!(c.edit, Edit::Delete(_)));
            let keys: Vec<Key> = wanted.map(|c| c.key.clone()).collect();
            let after = self.front.header.base_version;
            deleted.push(if keys.is_empty() { Vec::new() } else { self.primary.deleted_since(&shape.table, &keys, after)? });
        }
        Ok(deleted)
    }
}

impl Pages for StalePages<'_> {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        let Some(page) = self.pages.next()? else { return Ok(None) };
        let deleted = self.deleted(&page)?;
        let mut kept = Vec::with_capacity(page.len());
        for change in page {
            let shape = self.shape(&change)?;
            let since = deleted[change.table].iter().find(|d| d.key == change.key && is_that_row(shape, &change, d));
            match since.map(|d| (shape.table.clone(), d.version)) {
                Some((table, version)) => {
                    let left_out = LeftOut { table, key: change.key, version };
                    if !self.left_out.contains(&left_out) {
                        self.left_out.push(left_out);
                    }
                }
                None => kept.push(change),
            }
        }
        Ok(Some(kept))
    }
    fn rewind(&mut self) -> Result<()> {
        self.pages.rewind()
    }
}

/// True where the change is about the row that was deleted. Of two rows that took one number, the one with other cells is
/// another row.
fn is_that_row(shape: &Shape, change: &Change, deleted: &Deleted) -> bool {
    let Edit::Insert(row) = &change.edit else { return !matches!(change.edit, Edit::Delete(_)) };
    !shape.is_numbered || is_same(shape, row, deleted)
}

fn is_same(shape: &Shape, row: &Row, deleted: &Deleted) -> bool {
    let there = |name: &String| deleted.image.iter().find(|(column, _)| column.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    shape.columns.iter().zip(row).all(|(name, value)| there(name).is_none_or(|other| other == value))
}
