//! Pages on their way into a merge: those of a push, which are not trusted, and a single change that waited.
use crate::error::{Error, Result};
use crate::primary::Pages;
use mainstem_core::ErrorKind;
use mainstem_core::change::{Change, Front};

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

/// Pages from outside: what they must not contain is refused before it is used.
pub(super) struct Checked<'a> {
    pub inner: &'a mut dyn Pages,
    pub front: &'a Front,
    /// For each shape, whether its table takes changes by review only.
    pub reviewed: Vec<bool>,
}

impl Pages for Checked<'_> {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        let Some(page) = self.inner.next()? else { return Ok(None) };
        for change in &page {
            let shape = self.front.shapes.get(change.table).ok_or_else(|| Error::corrupt("a change refers to no table"))?;
            if self.reviewed[change.table] {
                return Err(Error::new(
                    ErrorKind::Denied,
                    "review_required",
                    format!("table {} takes changes by review only", shape.table),
                )
                .hint(format!(
                    "mainstem policy set '\"{}\".mode' direct (proposals come with a later version of Mainstem)",
                    shape.table.replace('"', "\\\"").replace('\'', "'\\''")
                )));
            }
            if change.at > self.front.header.at {
                return Err(Error::invalid(format!("a change of table {} is stamped later than its changeset", shape.table)));
            }
        }
        Ok(Some(page))
    }
    fn rewind(&mut self) -> Result<()> {
        self.inner.rewind()
    }
}
