//! Pages on their way into a merge: those of a push, which are not trusted, and a single change that waited.
use crate::error::{Error, Result};
use crate::primary::Pages;
use crate::store::Scratch;
use mainstem_core::ErrorKind;
use mainstem_core::change::{Change, Front};
use mainstem_core::format::page;
use mainstem_core::proposal::Revision;

/// One change as the only page.
pub(super) struct OnePage {
    pub change: Option<Change>,
    pub is_read: bool,
}

impl Pages for OnePage {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        let page = if self.is_read { None } else { self.change.clone().map(|c| vec![c]) };
        self.is_read = true;
        Ok(page)
    }
    fn rewind(&mut self) -> Result<()> {
        self.is_read = false;
        Ok(())
    }
}

fn by_review_only(table: &str) -> Error {
    Error::new(ErrorKind::Denied, "review_required", format!("table {table} takes changes by review only")).hint("mainstem propose")
}

/// Pages from outside: what they must not contain is refused before it is used.
pub(super) struct Checked<'a> {
    pub inner: &'a mut dyn Pages,
    pub front: &'a Front,
    /// For each shape, whether its table takes changes by review only.
    pub reviewed: Vec<bool>,
    /// How many changes came so far.
    pub count: u64,
}

impl Pages for Checked<'_> {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        let Some(page) = self.inner.next()? else { return Ok(None) };
        self.count += page.len() as u64;
        if self.count > self.front.count {
            // What it says decides whether it needs review.
            return Err(Error::invalid(format!("the changeset holds more changes than the {} that it says", self.front.count)));
        }
        for change in &page {
            let shape = self.front.shapes.get(change.table).ok_or_else(|| Error::corrupt("a change refers to no table"))?;
            if self.reviewed[change.table] {
                return Err(by_review_only(&shape.table));
            }
            if change.at > self.front.header.at {
                return Err(Error::invalid(format!("a change of table {} is stamped later than its changeset", shape.table)));
            }
        }
        Ok(Some(page))
    }
    fn rewind(&mut self) -> Result<()> {
        self.count = 0;
        self.inner.rewind()
    }
}

/// The rows of a revision, set out beside the transaction that merges them.
pub(super) struct SetOut<'a> {
    pub scratch: &'a mut dyn Scratch,
    pub revision: &'a Revision,
    pub next: u64,
}

impl SetOut<'_> {
    /// Where a page of a revision is set out.
    pub fn name(write_id: u128, page: u64) -> String {
        format!("revision {write_id:032x} {page}")
    }

    /// What says that all pages of a revision are set out.
    pub fn done(write_id: u128) -> String {
        format!("set out {write_id:032x}")
    }

    /// Forgets the pages of a revision.
    pub fn forget(scratch: &mut dyn Scratch, write_id: u128) -> Result<()> {
        scratch.forget(&Self::done(write_id))?;
        scratch.forget(&format!("revision {write_id:032x} "))
    }
}

impl Pages for SetOut<'_> {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        if self.next == self.revision.pages {
            return Ok(None);
        }
        let name = Self::name(self.revision.front.header.write_id, self.next);
        let bytes = self.scratch.get(&name)?.ok_or_else(|| Error::internal("a revision's rows were set out and are gone"))?;
        self.next += 1;
        Ok(Some(page::decode(&bytes, &self.revision.front.shapes)?))
    }
    fn rewind(&mut self) -> Result<()> {
        self.next = 0;
        Ok(())
    }
}
