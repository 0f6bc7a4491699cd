//! Changeset files (`.msc`) and bundles of them: versioned, compressed, with a digest over everything.
//!
//! A file is a magic line, a version byte, frames (see `frame`), and an end frame with counts and the digest of all
//! before it. A changeset file has one front and its pages; a bundle has a header and then either changesets to be
//! pushed or a ledger's events and pages to be pulled.
//! Invariant: a file that is cut or altered anywhere is refused by [`check`], before anything of it is applied, in
//! memory that depends on the largest row and not on the file. Readers verify the digest again as they reach the end.
mod bundle;
mod frame;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

pub use bundle::{Bundle, BundleHeader, BundleKind, BundleWriter, read_bundle, write_bundle};
pub use frame::{FRAME_BYTES_MAX, LARGE_RATIO_MAX, RATIO_MAX, THING_BYTES_MAX, Totals};

use crate::error::{Error, Result};
use crate::primary::Pages;
use frame::{FrameReader, FrameWriter, Kind, Magic, Mark, damaged};
use mainstem_core::change::{Change, Edit, Front, Shape};
use mainstem_core::digest::{Body, changeset_digest};
use mainstem_core::event::Digest;
use mainstem_core::format::{front, page};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};

/// About how many bytes of values a page gets before the next begins. A single larger row still has a page of its own.
const PAGE_WEIGHT: usize = 1 << 20;

/// The most bytes of a front: far above any schema, and what a small hostile file may make of memory stays bounded.
const FRONT_BYTES_MAX: usize = 64 << 20;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// True for a bundle.
    pub is_bundle: bool,
    /// Changesets, or versions in a bundle of versions.
    pub changesets: u64,
    /// Row changes in them.
    pub changes: u64,
    /// The digest over the file.
    pub digest: Digest,
}

/// Writes one changeset. The digest is [`changeset_digest`] over the pages as this file holds them.
pub fn write(out: &mut dyn Write, front: &Front, pages: &mut dyn Pages) -> Result<Digest> {
    let mut frames = FrameWriter::begin(out, Magic::Changeset)?;
    let body = write_changeset(&mut frames, front, pages)?;
    frames.end()?;
    Ok(changeset_digest(front, &body))
}

/// Reads one changeset, page by page. What comes before the end is not verified yet: [`check`] the file first.
pub fn read<'a>(input: impl Read + Seek + 'a) -> Result<(Front, FilePages<'a>)> {
    let (magic, frames) = FrameReader::begin(input)?;
    if magic != Magic::Changeset {
        return Err(Error::invalid("this is a bundle of changesets, not one changeset").hint("mainstem bundle apply FILE"));
    }
    let mut things = Things::new(frames);
    let front = things.front()?.ok_or_else(|| damaged("it has no changeset"))?;
    Ok((front, FilePages { things }))
}

/// Verifies a whole file, of either kind, and goes back to where it began.
pub fn check<R: Read + Seek>(input: &mut R) -> Result<Contents> {
    let start = input.stream_position().map_err(frame::unreadable)?;
    let (magic, frames) = FrameReader::begin(BufReader::new(&mut *input))?;
    let mut things = Things::new(frames);
    let (changesets, changes) = match magic {
        Magic::Changeset => {
            things.front()?.ok_or_else(|| damaged("it has no changeset"))?;
            while things.page()?.is_some() {}
            things.finish()?;
            (1, things.changes)
        }
        Magic::Bundle => bundle::check(&mut things)?,
    };
    let contents = Contents {
        is_bundle: magic == Magic::Bundle,
        changesets,
        changes,
        digest: things.frames.digest().ok_or_else(|| damaged("it has no end"))?,
    };
    drop(things);
    input.seek(SeekFrom::Start(start)).map_err(frame::unreadable)?;
    Ok(contents)
}

/// The pages of a changeset file.
pub struct FilePages<'a> {
    things: Things<'a>,
}

impl Pages for FilePages<'_> {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        let page = self.things.page()?;
        if page.is_none() {
            self.things.finish()?;
        }
        Ok(page)
    }
    fn rewind(&mut self) -> Result<()> {
        self.things.rewind()
    }
}

fn write_changeset(frames: &mut FrameWriter<'_>, front: &Front, pages: &mut dyn Pages) -> Result<Digest> {
    let bytes = front::encode(front);
    if bytes.len() > FRONT_BYTES_MAX {
        return Err(Error::invalid(format!("a front of {} MiB is too large for a file", bytes.len() >> 20)));
    }
    frames.thing(Kind::Front, &bytes)?;
    let mut body = Body::default();
    let mut count = 0;
    while let Some(changes) = pages.next()? {
        count += changes.len() as u64;
        for part in split(&changes) {
            for change in part {
                page::check(&front.shapes, change)?;
            }
            let bytes = page::encode(&front.shapes, part);
            body.add(&bytes);
            frames.changes(part.len() as u64);
            frames.thing(Kind::Page, &bytes)?;
        }
    }
    if count != front.count {
        return Err(Error::internal(format!("a changeset of {} changes has {count}", front.count)));
    }
    Ok(body.digest())
}

/// Splits changes into pages of about [`PAGE_WEIGHT`].
fn split(changes: &[Change]) -> impl Iterator<Item = &[Change]> {
    let mut rest = changes;
    std::iter::from_fn(move || {
        let mut weight = 0;
        let fits = |change: &&Change| {
            weight += weigh(change);
            weight <= PAGE_WEIGHT
        };
        let count = rest.iter().take(page::CHANGES_MAX).take_while(fits).count().max(1);
        let (page, after) = rest.split_at_checked(count)?;
        rest = after;
        Some(page)
    })
}

fn weigh(change: &Change) -> usize {
    match &change.edit {
        Edit::Insert(row) | Edit::Delete(row) => row.iter().map(|v| v.weight()).sum(),
        Edit::Update(cells) => cells.iter().map(|c| c.before.weight() + c.after.weight()).sum(),
    }
}

/// Reads what frames hold, with one thing of look-ahead.
struct Things<'a> {
    frames: FrameReader<'a>,
    ahead: Option<(Kind, Vec<u8>)>,
    shapes: Vec<Shape>,
    /// Changes still to come in the changeset being read.
    left: u64,
    /// Changes read from the whole file.
    changes: u64,
    /// Just after the front: the place, `left` and `changes` there.
    pages_begin: Option<(Mark, u64, u64)>,
}

impl<'a> Things<'a> {
    fn new(frames: FrameReader<'a>) -> Self {
        Things { frames, ahead: None, shapes: Vec::new(), left: 0, changes: 0, pages_begin: None }
    }
    /// The next thing, if it is of that kind.
    fn next_if(&mut self, kind: Kind) -> Result<Option<Vec<u8>>> {
        if self.ahead.is_none() {
            self.ahead = self.frames.thing()?;
        }
        Ok(self.ahead.take_if(|(ahead, _)| *ahead == kind).map(|(_, bytes)| bytes))
    }
    fn front(&mut self) -> Result<Option<Front>> {
        let Some(bytes) = self.next_if(Kind::Front)? else {
            return Ok(None);
        };
        if bytes.len() > FRONT_BYTES_MAX {
            return Err(damaged(format!("its front takes {} bytes", bytes.len())));
        }
        let front = front::decode(&bytes).map_err(|e| damaged(e.to_string()))?;
        self.shapes.clone_from(&front.shapes);
        self.left = front.count;
        self.pages_begin = Some((self.frames.mark()?, self.left, self.changes));
        Ok(Some(front))
    }
    fn rewind(&mut self) -> Result<()> {
        let (mark, left, changes) = self.pages_begin.as_ref().ok_or_else(|| Error::internal("pages without a front"))?;
        self.frames.go_back(mark)?;
        (self.ahead, self.left, self.changes) = (None, *left, *changes);
        Ok(())
    }
    fn page(&mut self) -> Result<Option<Vec<Change>>> {
        let Some(bytes) = self.next_if(Kind::Page)? else {
            return if self.left == 0 { Ok(None) } else { Err(damaged(format!("{} changes are missing", self.left))) };
        };
        let changes = page::decode(&bytes, &self.shapes).map_err(|e| damaged(e.to_string()))?;
        let left = self.left.checked_sub(changes.len() as u64);
        self.left = left.ok_or_else(|| damaged("it has more changes than it says"))?;
        self.changes += changes.len() as u64;
        Ok(Some(changes))
    }
    fn finish(&mut self) -> Result<()> {
        if self.ahead.is_none() {
            self.ahead = self.frames.thing()?;
        }
        if self.ahead.is_some() {
            return Err(damaged("it goes on after its end"));
        }
        let said = self.frames.totals().ok_or_else(|| damaged("it has no end"))?;
        if said.changes != self.changes {
            return Err(damaged(format!("it says {} changes and has {}", said.changes, self.changes)));
        }
        Ok(())
    }
}
