//! Frames: the pieces of a changeset file, each compressed by itself, and the digest over all of them.
//!
//! A frame is a kind, a method (0 plain, 1 zstd), the plain and the stored length (4 bytes each, big-endian), and the
//! stored bytes. A thing larger than one frame continues over `Part` frames.
//! Invariant: nothing is allocated that the stated limits do not allow, whatever a file claims.
use crate::error::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_core::event::Digest;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// The most plain bytes in one frame.
pub const FRAME_BYTES_MAX: usize = 8 << 20;
/// The most plain bytes in one thing, such as a page with one very large row.
pub const THING_BYTES_MAX: usize = 1 << 30;
/// How many plain bytes one stored byte may stand for. What compresses better is stored plainly.
pub const RATIO_MAX: usize = 1000;
/// The same within things of several frames, because they are held in memory whole.
pub const LARGE_RATIO_MAX: usize = 20;

const VERSION: u8 = 1;
const LEVEL: i32 = 3;
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
const HEAD_BYTES: usize = 10;
const COUNTS_BYTES: usize = 24;

/// What kind of file this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Magic {
    Changeset,
    Bundle,
}

impl Magic {
    /// The first bytes; both kinds have the same length.
    fn bytes(self) -> &'static [u8; 20] {
        match self {
            Magic::Changeset => b"mainstem changeset\r\n",
            Magic::Bundle => b"mainstem bundle   \r\n",
        }
    }
}

/// What a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Header = 1,
    Front = 2,
    Page = 3,
    Version = 4,
    Event = 5,
    Part = 6,
    End = 7,
}

impl Kind {
    const ALL: [Kind; 7] = [Kind::Header, Kind::Front, Kind::Page, Kind::Version, Kind::Event, Kind::Part, Kind::End];
}

/// What a file says it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Things: fronts, pages, events, headers.
    pub things: u64,
    /// Row changes.
    pub changes: u64,
    /// Plain bytes.
    pub bytes: u64,
}

/// The one error for a file that is not what was written.
pub fn damaged(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, "damaged_file", format!("the changeset file is damaged: {}", why.into()))
        .hint("copy the file again, or have it made again")
}

pub fn unreadable(e: io::Error) -> Error {
    if e.kind() == io::ErrorKind::UnexpectedEof {
        return damaged("it ends too early");
    }
    Error::new(ErrorKind::Unavailable, "file_unreadable", format!("the changeset file cannot be read: {e}")).because(e)
}

fn unwritable(e: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "file_unwritable", format!("the changeset file cannot be written: {e}")).because(e)
}

/// Writes frames.
pub struct FrameWriter<'a> {
    out: &'a mut dyn Write,
    hasher: blake3::Hasher,
    compressor: zstd::bulk::Compressor<'static>,
    totals: Totals,
}

impl<'a> FrameWriter<'a> {
    pub fn begin(out: &'a mut dyn Write, magic: Magic) -> Result<Self> {
        let compressor = zstd::bulk::Compressor::new(LEVEL).map_err(unwritable)?;
        let mut writer = FrameWriter { out, hasher: blake3::Hasher::new(), compressor, totals: Totals::default() };
        writer.put(magic.bytes())?;
        writer.put(&[VERSION])?;
        Ok(writer)
    }
    /// Counts changes for the end frame.
    pub fn changes(&mut self, count: u64) {
        self.totals.changes += count;
    }
    pub fn thing(&mut self, kind: Kind, bytes: &[u8]) -> Result<()> {
        if bytes.len() > THING_BYTES_MAX {
            let limit = THING_BYTES_MAX >> 20;
            return Err(Error::invalid(format!("a row of {} MiB is too large for a file ({limit})", bytes.len() >> 20)));
        }
        let ratio_max = if bytes.len() > FRAME_BYTES_MAX { LARGE_RATIO_MAX } else { RATIO_MAX };
        let mut rest = bytes;
        while let Some((part, after)) = rest.split_at_checked(FRAME_BYTES_MAX).filter(|(_, after)| !after.is_empty()) {
            self.frame(Kind::Part, part, ratio_max)?;
            rest = after;
        }
        self.frame(kind, rest, ratio_max)?;
        self.totals.things += 1;
        self.totals.bytes += bytes.len() as u64;
        Ok(())
    }
    pub fn end(mut self) -> Result<()> {
        let Totals { things, changes, bytes } = self.totals;
        self.put(&head(Kind::End, PLAIN, COUNTS_BYTES, COUNTS_BYTES))?;
        for number in [things, changes, bytes] {
            self.put(&number.to_be_bytes())?;
        }
        let digest = self.hasher.finalize();
        self.out.write_all(digest.as_bytes()).and_then(|()| self.out.flush()).map_err(unwritable)
    }
    fn frame(&mut self, kind: Kind, plain: &[u8], ratio_max: usize) -> Result<()> {
        let packed = self.compressor.compress(plain).map_err(unwritable)?;
        let is_worth_it = packed.len() < plain.len() && plain.len() <= packed.len() * ratio_max;
        let (method, stored) = if is_worth_it { (ZSTD, &packed[..]) } else { (PLAIN, plain) };
        self.put(&head(kind, method, plain.len(), stored.len()))?;
        self.put(stored)
    }
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.out.write_all(bytes).map_err(unwritable)
    }
}

fn head(kind: Kind, method: u8, plain: usize, stored: usize) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[0] = kind as u8;
    head[1] = method;
    head[2..6].copy_from_slice(&(plain as u32).to_be_bytes());
    head[6..].copy_from_slice(&(stored as u32).to_be_bytes());
    head
}

/// Something that can be read from any place.
pub trait Input: Read + Seek {}

impl<T: Read + Seek> Input for T {}

/// A place between frames, to go back to.
pub struct Mark {
    position: u64,
    hasher: blake3::Hasher,
    seen: Totals,
}

/// Reads frames.
pub struct FrameReader<'a> {
    input: Box<dyn Input + 'a>,
    hasher: blake3::Hasher,
    decompressor: zstd::bulk::Decompressor<'static>,
    seen: Totals,
    end: Option<(Totals, Digest)>,
}

impl<'a> FrameReader<'a> {
    pub fn begin(input: impl Read + Seek + 'a) -> Result<(Magic, Self)> {
        let decompressor = zstd::bulk::Decompressor::new().map_err(unreadable)?;
        let (hasher, seen) = (blake3::Hasher::new(), Totals::default());
        let mut reader = FrameReader { input: Box::new(input), hasher, decompressor, seen, end: None };
        let start = reader.array::<20>()?;
        let magic = [Magic::Changeset, Magic::Bundle].into_iter().find(|m| m.bytes() == &start);
        let magic = magic.ok_or_else(|| damaged("it does not begin as a changeset file does"))?;
        match reader.array()? {
            [VERSION] => Ok((magic, reader)),
            [other] => Err(damaged(format!("its version {other} is not one that this program reads ({VERSION})"))),
        }
    }
    /// This place.
    pub fn mark(&mut self) -> Result<Mark> {
        let position = self.input.stream_position().map_err(unreadable)?;
        Ok(Mark { position, hasher: self.hasher.clone(), seen: self.seen })
    }
    /// Goes back to a place.
    pub fn go_back(&mut self, mark: &Mark) -> Result<()> {
        self.input.seek(SeekFrom::Start(mark.position)).map_err(unreadable)?;
        (self.hasher, self.seen, self.end) = (mark.hasher.clone(), mark.seen, None);
        Ok(())
    }
    /// What the end frame says, once it was reached and the digest was right.
    pub fn totals(&self) -> Option<Totals> {
        self.end.map(|(totals, _)| totals)
    }
    /// The digest over the file, likewise.
    pub fn digest(&self) -> Option<Digest> {
        self.end.map(|(_, digest)| digest)
    }
    /// The next thing, or none at an end that was verified.
    pub fn thing(&mut self) -> Result<Option<(Kind, Vec<u8>)>> {
        if self.end.is_some() {
            return Ok(None);
        }
        let (mut kind, mut bytes) = self.frame(RATIO_MAX)?;
        if kind == Kind::End {
            self.finish(&bytes)?;
            return Ok(None);
        }
        while kind == Kind::Part {
            let (next, part) = self.frame(LARGE_RATIO_MAX)?;
            if next == Kind::End || bytes.len() + part.len() > THING_BYTES_MAX {
                return Err(damaged("a part of it has no end"));
            }
            bytes.extend_from_slice(&part);
            kind = next;
        }
        self.seen.things += 1;
        self.seen.bytes += bytes.len() as u64;
        Ok(Some((kind, bytes)))
    }
    fn frame(&mut self, ratio_max: usize) -> Result<(Kind, Vec<u8>)> {
        let head = self.array::<HEAD_BYTES>()?;
        let kind = Kind::ALL.into_iter().find(|k| *k as u8 == head[0]);
        let kind = kind.ok_or_else(|| damaged(format!("{} is no kind of frame", head[0])))?;
        let ratio_max = if kind == Kind::Part { LARGE_RATIO_MAX } else { ratio_max };
        let length = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
        let (plain, stored) = (length(2), length(6));
        if plain > FRAME_BYTES_MAX || stored > plain || plain > stored.saturating_mul(ratio_max) {
            return Err(damaged(format!("a frame of {stored} bytes says it holds {plain}")));
        }
        let mut bytes = Vec::new();
        (&mut self.input).take(stored as u64).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() != stored {
            return Err(damaged("it ends too early"));
        }
        self.hasher.update(&bytes);
        let bytes = match head[1] {
            PLAIN => bytes,
            ZSTD => self.decompressor.decompress(&bytes, plain).map_err(|_| damaged("a frame does not unpack"))?,
            other => return Err(damaged(format!("{other} is no way to pack a frame"))),
        };
        if bytes.len() != plain {
            return Err(damaged("a frame does not hold what it says"));
        }
        Ok((kind, bytes))
    }
    fn finish(&mut self, counts: &[u8]) -> Result<()> {
        let (numbers, rest) = counts.as_chunks::<8>();
        let ([things, changes, bytes], []) = (numbers, rest) else {
            return Err(damaged("its end is not an end"));
        };
        let [things, changes, bytes] = [things, changes, bytes].map(|n| u64::from_be_bytes(*n));
        let computed = *self.hasher.finalize().as_bytes();
        if self.array::<32>()? != computed {
            return Err(damaged("its digest is not that of its contents"));
        }
        if (&mut self.input).take(1).read_to_end(&mut Vec::new()).map_err(unreadable)? != 0 {
            return Err(damaged("it goes on after its end"));
        }
        if things != self.seen.things || bytes != self.seen.bytes {
            return Err(damaged("it does not hold as much as it says"));
        }
        self.end = Some((Totals { things, changes, bytes }, computed));
        Ok(())
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(unreadable)?;
        self.hasher.update(&bytes);
        Ok(bytes)
    }
}
