//! Bundles: several changesets to be pushed, or a ledger's events and pages to be pulled, in one file for a stick.
//!
//! Invariant: a bundle of versions carries the ledger's bytes unchanged, so whoever receives it can follow the hash
//! chain as after a pull.
use super::frame::{FrameReader, FrameWriter, Kind, Magic, damaged};
use super::{Things, write_changeset};
use crate::error::{Error, Result};
use crate::ledger::Head;
use crate::primary::{Cursor, Item, Pages};
use mainstem_core::change::{Change, Front};
use mainstem_core::digest::{Body, changeset_digest};
use mainstem_core::event::{Digest, Event};
use mainstem_core::format::{Reader, Writer, event, page};
use std::io::{Read, Seek, Write};

/// What a bundle carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BundleKind {
    /// A replica's changesets that are to be pushed.
    #[default]
    Unsent,
    /// A primary's versions that are to be pulled.
    Versions,
}

/// Whose a bundle is, and how far it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BundleHeader {
    /// What it carries.
    pub kind: BundleKind,
    /// The dataset's lineage.
    pub lineage: u128,
    /// The primary's epoch, as whoever made the bundle knew it.
    pub epoch: u128,
    /// The dataset's name, for people.
    pub dataset: String,
    /// For versions: the first thing in it.
    pub from: Cursor,
    /// For versions: where to go on afterwards.
    pub next: Cursor,
    /// For versions: the ledger's head when the bundle was made.
    pub head: Head,
    /// For versions: the policy in force, as TOML.
    pub policy: String,
}

/// Begins a bundle.
pub fn write_bundle<'a>(out: &'a mut dyn Write, header: &BundleHeader) -> Result<BundleWriter<'a>> {
    let mut frames = FrameWriter::begin(out, Magic::Bundle)?;
    frames.thing(Kind::Header, &encode_header(header))?;
    Ok(BundleWriter { frames, kind: header.kind })
}

/// Writes a bundle piece by piece. Without [`BundleWriter::finish`] the file is refused.
pub struct BundleWriter<'a> {
    frames: FrameWriter<'a>,
    kind: BundleKind,
}

impl BundleWriter<'_> {
    /// Adds a changeset to a bundle of unsent ones.
    pub fn changeset(&mut self, front: &Front, pages: &mut dyn Pages) -> Result<Digest> {
        if self.kind != BundleKind::Unsent {
            return Err(Error::internal("a changeset for a bundle of versions"));
        }
        let body = write_changeset(&mut self.frames, front, pages)?;
        Ok(changeset_digest(front, &body))
    }
    /// Adds what a pull brought to a bundle of versions.
    pub fn item(&mut self, item: &Item) -> Result<()> {
        if self.kind != BundleKind::Versions {
            return Err(Error::internal("a version for a bundle of unsent changesets"));
        }
        match item {
            Item::Version(bytes, hash) => self.frames.thing(Kind::Version, &[&hash[..], bytes].concat()),
            Item::Event(bytes, hash) => self.frames.thing(Kind::Event, &[&hash[..], bytes].concat()),
            Item::Page(bytes) => self.frames.thing(Kind::Page, bytes),
        }
    }
    /// Writes the end.
    pub fn finish(self) -> Result<()> {
        self.frames.end()
    }
}

/// Begins to read a bundle. What comes before its end is not verified yet: [`super::check`] the file first.
pub fn read_bundle<'a>(input: impl Read + Seek + 'a) -> Result<Bundle<'a>> {
    let (magic, frames) = FrameReader::begin(input)?;
    if magic != Magic::Bundle {
        return Err(Error::invalid("this is one changeset, not a bundle"));
    }
    let mut things = Things::new(frames);
    let header = read_header(&mut things)?;
    Ok(Bundle { header, things })
}

/// A bundle being read. Of a bundle of unsent changesets, take a front and then its pages, until there is no front;
/// of a bundle of versions, take items until there is none.
pub struct Bundle<'a> {
    /// Whose it is.
    pub header: BundleHeader,
    things: Things<'a>,
}

impl Bundle<'_> {
    /// The next changeset's front; pages of the one before that were not taken are passed over.
    pub fn changeset(&mut self) -> Result<Option<Front>> {
        if self.header.kind != BundleKind::Unsent {
            return Ok(None);
        }
        while self.things.page()?.is_some() {}
        let front = self.things.front()?;
        if front.is_none() {
            self.things.finish()?;
        }
        Ok(front)
    }
    /// The next item of a bundle of versions.
    pub fn item(&mut self) -> Result<Option<Item>> {
        if self.header.kind != BundleKind::Versions {
            return Ok(None);
        }
        read_item(&mut self.things)
    }
}

impl Pages for Bundle<'_> {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        if self.header.kind != BundleKind::Unsent {
            return Ok(None);
        }
        self.things.page()
    }
    fn rewind(&mut self) -> Result<()> {
        self.things.rewind()
    }
}

fn read_item(things: &mut Things<'_>) -> Result<Option<Item>> {
    for kind in [Kind::Version, Kind::Event] {
        if let Some(bytes) = things.next_if(kind)? {
            let (hash, bytes) = bytes.split_first_chunk::<32>().ok_or_else(|| damaged("an event lacks its hash"))?;
            let bytes = bytes.to_vec();
            let is_version = kind == Kind::Version;
            return Ok(Some(if is_version { Item::Version(bytes, *hash) } else { Item::Event(bytes, *hash) }));
        }
    }
    if let Some(bytes) = things.next_if(Kind::Page)? {
        return Ok(Some(Item::Page(bytes)));
    }
    things.finish()?;
    Ok(None)
}

/// Reads a whole bundle: every page decodes, every version has its pages and they have the digest it names, and
/// events that follow one another are chained.
///
/// Gives how many changesets or versions there are, and how many changes in them.
pub(super) fn check(things: &mut Things<'_>) -> Result<(u64, u64)> {
    let header = read_header(things)?;
    if header.kind == BundleKind::Unsent {
        let mut changesets = 0;
        while things.front()?.is_some() {
            while things.page()?.is_some() {}
            changesets += 1;
        }
        things.finish()?;
        return Ok((changesets, things.changes));
    }
    check_versions(things)
}

fn check_versions(things: &mut Things<'_>) -> Result<(u64, u64)> {
    let broken = |e: mainstem_core::Error| damaged(e.to_string());
    let (mut version, mut body, mut pages) = (None::<mainstem_core::event::Version>, Body::default(), 0);
    let mut last: Option<Digest> = None;
    let (mut versions, mut changes, mut left) = (0, 0, 0u64);
    loop {
        let item = read_item(things)?;
        if let (Some(version), false) = (&version, matches!(item, Some(Item::Page(_))))
            && (version.pages, version.body, 0) != (pages, body.digest(), left)
        {
            return Err(damaged(format!("version {} has not the pages it names", version.version)));
        }
        match item {
            None => return Ok((versions, changes)),
            Some(Item::Page(bytes)) => {
                let version = version.as_ref().ok_or_else(|| damaged("a page belongs to no version"))?;
                let length = page::decode(&bytes, &version.shapes).map_err(broken)?.len() as u64;
                left = left.checked_sub(length).ok_or_else(|| damaged("a version has too many changes"))?;
                body.add(&bytes);
                pages += 1;
            }
            Some(Item::Version(bytes, hash) | Item::Event(bytes, hash)) => {
                if last.is_some_and(|prev| event::chain(&prev, &bytes) != hash) {
                    return Err(damaged("its events are not one chain"));
                }
                last = Some(hash);
                (body, pages) = (Body::default(), 0);
                version = match event::decode(&bytes).map_err(broken)? {
                    Event::Version(version) => {
                        versions += 1;
                        changes = u64::saturating_add(changes, version.count);
                        left = version.count;
                        Some(version)
                    }
                    Event::Genesis(_) | Event::Policy(_) | Event::Collected(_) | Event::Restored(_) | Event::Review(_) => None,
                };
            }
        }
    }
}

fn read_header(things: &mut Things<'_>) -> Result<BundleHeader> {
    let bytes = things.next_if(Kind::Header)?.ok_or_else(|| damaged("it has no header"))?;
    decode_header(&bytes).map_err(|e| damaged(e.to_string()))
}

fn encode_header(header: &BundleHeader) -> Vec<u8> {
    let mut w = Writer::versioned();
    w.number(1, header.kind as u64);
    w.wide(2, header.lineage);
    w.wide(3, header.epoch);
    w.text(4, &header.dataset);
    w.number(5, header.from.version);
    w.number(6, header.from.page);
    w.number(7, header.next.version);
    w.number(8, header.next.page);
    w.number(9, header.head.events);
    w.field(10, |w| w.fixed(&header.head.hash));
    w.number(11, header.head.version);
    w.text(12, &header.policy);
    w.0
}

fn decode_header(bytes: &[u8]) -> mainstem_core::Result<BundleHeader> {
    let mut header = BundleHeader::default();
    let mut fields = Reader::versioned("bundle header", bytes)?.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => {
                header.kind = match f.varint()? {
                    0 => BundleKind::Unsent,
                    1 => BundleKind::Versions,
                    other => return Err(f.error(format!("{other} is no kind of bundle"))),
                }
            }
            2 => header.lineage = f.wide()?,
            3 => header.epoch = f.wide()?,
            4 => header.dataset = f.text()?,
            5 => header.from.version = f.varint()?,
            6 => header.from.page = f.varint()?,
            7 => header.next.version = f.varint()?,
            8 => header.next.page = f.varint()?,
            9 => header.head.events = f.varint()?,
            10 => header.head.hash = f.array()?,
            11 => header.head.version = f.varint()?,
            12 => header.policy = f.text()?,
            _ => continue,
        }
        f.finish()?;
    }
    Ok(header)
}
