//! Frames: what a request's or an answer's body is made of, so that one that was cut short, or that came from somebody else
//! (a portal's page, an empty 200), is never taken for a whole one.
//!
//! ```text
//! body  := "MSW1" frame* end
//! frame := kind (1 byte) length (varint) payload          kind 1: as it is, 2: zstd, 3: the end
//! end   := 3, the number of frames before it (varint)
//! ```
//! Invariant: nothing but a whole body is taken, and nothing that unfolds to more than [`FRAME_BYTES_MAX`] a frame.
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use std::io::{self, Read, Write};

/// The header that names a question, and comes back with its answer: so that no cache and no late answer to something else is
/// taken for it.
pub const QUESTION: &str = "mainstem-question";
/// The media type of requests and answers.
pub const MEDIA_TYPE: &str = "application/vnd.mainstem.v1";
/// The most bytes in a frame, unfolded.
pub const FRAME_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The most times that a frame grows when it is unfolded. A writer folds none further, so no reader refuses what one wrote.
pub const RATIO_MAX: u64 = 100;
/// What any frame may unfold to, however small it was: a page of changes is about half of it.
const UNFOLDED_BYTES_FREE: u64 = 1024 * 1024;
/// The memory that unfolding takes by itself, as a power of two; what is folded here asks for less.
const WINDOW_LOG_MAX: u32 = 23;

/// What a reader takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of a frame, unfolded.
    pub frame_bytes_max: u64,
    /// Bytes of all frames, unfolded.
    pub unfolded_bytes_max: u64,
    /// Times that a frame may grow when it is unfolded.
    pub ratio_max: u64,
    /// Frames.
    pub frames_max: u64,
    /// Rows in them, for those that count rows.
    pub rows_max: u64,
}

/// Of an answer of a primary that we chose: as many frames as there are rows in a dataset, each within its bounds.
impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            frame_bytes_max: FRAME_BYTES_MAX as u64,
            unfolded_bytes_max: u64::MAX,
            ratio_max: RATIO_MAX,
            frames_max: u64::MAX,
            rows_max: u64::MAX,
        }
    }
}

const MAGIC: [u8; 4] = *b"MSW1";
const PLAIN: u8 = 1;
const FOLDED: u8 = 2;
const END: u8 = 3;
/// Shorter frames are not worth folding.
const FOLD_BYTES_MIN: usize = 512;
/// Speed over size: what travels has been packed once.
const LEVEL: i32 = 1;

/// A body that is not whole, or not one.
pub fn broken(why: impl AsRef<str>) -> Error {
    Error::new(ErrorKind::Unavailable, "line", format!("what came is no whole answer of a primary: {}", why.as_ref()))
        .hint("try again; where it goes on, look whether something between here and the primary answers in its place")
}

fn unwritable(e: io::Error) -> Error {
    if e.kind() == io::ErrorKind::StorageFull {
        return Error::new(ErrorKind::Unavailable, "disk_full", format!("there is no room for what is being sent: {e}")).because(e);
    }
    Error::new(ErrorKind::Unavailable, "line", format!("the line broke: {e}")).because(e)
}

/// Writes a body.
pub struct FrameWriter<W> {
    out: W,
    frames: u64,
}

impl<W: Write> FrameWriter<W> {
    /// Begins one.
    pub fn new(mut out: W) -> Result<Self> {
        out.write_all(&MAGIC).map_err(unwritable)?;
        Ok(FrameWriter { out, frames: 0 })
    }
    /// Appends a frame.
    pub fn frame(&mut self, payload: &[u8]) -> Result<()> {
        self.frames += 1;
        let folded = (payload.len() >= FOLD_BYTES_MIN).then(|| zstd::bulk::compress(payload, LEVEL)).transpose().map_err(unwritable)?;
        let is_worth = |folded: &Vec<u8>| folded.len() < payload.len() && payload.len() as u64 <= unfolded_max(folded.len(), RATIO_MAX);
        match folded.filter(is_worth) {
            Some(folded) => self.put(FOLDED, &folded),
            None => self.put(PLAIN, payload),
        }
    }
    /// Appends the end and gives back what was written to.
    pub fn end(mut self) -> Result<W> {
        let mut end = vec![END];
        put_varint(&mut end, self.frames);
        self.out.write_all(&end).map_err(unwritable)?;
        Ok(self.out)
    }
    fn put(&mut self, kind: u8, payload: &[u8]) -> Result<()> {
        let mut head = vec![kind];
        put_varint(&mut head, payload.len() as u64);
        self.out.write_all(&head).and_then(|()| self.out.write_all(payload)).map_err(unwritable)
    }
}

/// Reads a body.
pub struct FrameReader<R> {
    input: R,
    bounds: Bounds,
    broken: fn(&str) -> Error,
    unfolded: u64,
    frames: u64,
    is_begun: bool,
    is_ended: bool,
}

impl<R: Read> FrameReader<R> {
    /// Reads from there.
    pub fn new(input: R) -> Self {
        FrameReader {
            input,
            bounds: Bounds::default(),
            broken: |why| broken(why),
            unfolded: 0,
            frames: 0,
            is_begun: false,
            is_ended: false,
        }
    }
    /// Reads a request from there that keeps to the bounds. It came whole, so what is wrong with it is its sender's.
    pub fn within(input: R, bounds: Bounds) -> Self {
        let broken = |why: &str| Error::invalid(format!("the request is not whole: {why}"));
        FrameReader { input, bounds, broken, unfolded: 0, frames: 0, is_begun: false, is_ended: false }
    }
    fn broken(&self, why: impl AsRef<str>) -> Error {
        (self.broken)(why.as_ref())
    }
    /// What it takes.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }
    /// The next frame, or none at the end.
    pub fn frame(&mut self) -> Result<Option<Vec<u8>>> {
        if self.is_ended {
            return Ok(None);
        }
        if !self.is_begun {
            let mut magic = [0; 4];
            self.exactly(&mut magic)?;
            if magic != MAGIC {
                return Err(self.broken("it begins with something else"));
            }
            self.is_begun = true;
        }
        let kind = self.byte()?;
        let number = self.varint()?;
        match kind {
            PLAIN | FOLDED => {
                self.frames += 1;
                if self.frames > self.bounds.frames_max {
                    return Err(too_much(format!("more than {} frames", self.bounds.frames_max)));
                }
                let came = self.payload(number)?;
                let bytes = if kind == PLAIN { came } else { self.unfold(&came)? };
                self.unfolded += bytes.len() as u64;
                Ok(Some(bytes))
            }
            END if number == self.frames => {
                self.is_ended = true;
                if self.input.read(&mut [0]).map_err(unwritable)? != 0 {
                    return Err(self.broken("something follows its end"));
                }
                Ok(None)
            }
            END => Err(self.broken(format!("it has {} of {number} frames", self.frames))),
            other => Err(self.broken(format!("{other} is no kind of frame"))),
        }
    }
    /// The next frame, which must be there.
    pub fn wanted(&mut self) -> Result<Vec<u8>> {
        self.frame()?.ok_or_else(|| self.broken("it ends too early"))
    }
    /// What it reads from.
    pub fn into_inner(self) -> R {
        self.input
    }
    /// Makes sure that nothing follows.
    pub fn finish(mut self) -> Result<()> {
        match self.frame()? {
            None => Ok(()),
            Some(_) => Err(self.broken("more follows")),
        }
    }

    /// Grows with what comes, whatever length was announced.
    fn payload(&mut self, length: u64) -> Result<Vec<u8>> {
        if length > self.left() {
            return Err(self.too_large());
        }
        let mut bytes = Vec::new();
        (&mut self.input).take(length).read_to_end(&mut bytes).map_err(unwritable)?;
        if bytes.len() as u64 != length {
            return Err(self.broken("it was cut short"));
        }
        Ok(bytes)
    }
    fn unfold(&mut self, folded: &[u8]) -> Result<Vec<u8>> {
        let mut decoder = zstd::stream::read::Decoder::new(folded).map_err(|e| self.broken(e.to_string()))?;
        decoder.window_log_max(WINDOW_LOG_MAX).map_err(|e| self.broken(e.to_string()))?;
        let most = self.left().min(unfolded_max(folded.len(), self.bounds.ratio_max));
        let mut unfolded = Vec::new();
        let read = decoder.take(most + 1).read_to_end(&mut unfolded);
        read.map_err(|e| self.broken(format!("a frame cannot be unfolded: {e}")))?;
        if unfolded.len() as u64 > most { Err(self.too_large()) } else { Ok(unfolded) }
    }
    /// What the next frame may unfold to.
    fn left(&self) -> u64 {
        self.bounds.frame_bytes_max.min(self.bounds.unfolded_bytes_max.saturating_sub(self.unfolded))
    }
    fn too_large(&self) -> Error {
        let Bounds { frame_bytes_max, unfolded_bytes_max, ratio_max, .. } = self.bounds;
        too_much(format!("more than {frame_bytes_max} bytes at once, {unfolded_bytes_max} bytes in all or {ratio_max} times its size"))
    }
    fn exactly(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.input.read_exact(bytes).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => self.broken("it was cut short"),
            _ => unwritable(e),
        })
    }
    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.exactly(&mut byte)?;
        Ok(byte[0])
    }
    fn varint(&mut self) -> Result<u64> {
        let mut number = 0u64;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.broken("a number is too long"))
    }
}

/// What a folded frame of so many bytes may unfold to.
fn unfolded_max(folded: usize, ratio_max: u64) -> u64 {
    UNFOLDED_BYTES_FREE.max((folded as u64).saturating_mul(ratio_max))
}

fn too_much(what: String) -> Error {
    Error::new(ErrorKind::Invalid, "too_large", format!("what came unfolds to {what}"))
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut writer = FrameWriter::new(Vec::new()).expect("in memory");
        for frame in frames {
            writer.frame(frame).expect("in memory");
        }
        writer.end().expect("in memory")
    }

    fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut reader = FrameReader::new(bytes);
        let mut frames = Vec::new();
        while let Some(frame) = reader.frame()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[test]
    fn what_was_written_is_read() {
        for frames in [vec![], vec![vec![]], vec![vec![1; 3], vec![7; 100_000], (0..=255).cycle().take(1000).collect()]] {
            assert_eq!(read(&body(&frames)).expect("whole"), frames);
        }
    }

    #[test]
    fn no_cut_body_is_whole() {
        let whole = body(&[vec![1; 3], vec![7; 2_000]]);
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "cut at {length}");
        }
        assert!(read(&[&whole[..], b"x"].concat()).is_err());
        assert!(read(b"").is_err());
        assert!(read(b"<html>Welcome to the hotel</html>").is_err());
    }

    #[test]
    fn a_frame_that_unfolds_too_far_is_refused() {
        let bomb = zstd::bulk::compress(&vec![0; FRAME_BYTES_MAX + 1], 1).expect("compressed");
        let mut writer = FrameWriter::new(Vec::new()).expect("in memory");
        writer.put(FOLDED, &bomb).expect("in memory");
        assert_eq!(read(&writer.end().expect("in memory")).expect_err("too large").code, "too_large");
    }
}
