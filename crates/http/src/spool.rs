//! Bodies of any size: in memory while small, in a file that nobody else can name when larger.
//!
//! A body is whole before anything is done with it, and an answer before its first byte is sent: so a slow line holds no
//! transaction, and an error is always a status and never half an answer.
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tempfile::SpooledTempFile;

/// Bytes kept in memory.
const MEMORY_BYTES_MAX: usize = 256 * 1024;
/// Bytes sent at once.
const PIECE_BYTES: usize = 64 * 1024;

/// How much is written before it is looked how much room is left.
const LOOK_BYTES: u64 = 8 * 1024 * 1024;

/// Where bodies are kept that are larger than memory is for, and what stays free there.
#[derive(Clone, Debug)]
pub struct SpoolPlace {
    folder: PathBuf,
    free_bytes_min: u64,
}

impl SpoolPlace {
    /// A folder, which is there.
    pub fn new(folder: PathBuf, free_bytes_min: u64) -> Self {
        SpoolPlace { folder, free_bytes_min }
    }
    fn has_room(&self) -> io::Result<bool> {
        let disk = rustix::fs::statvfs(&self.folder)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize) >= self.free_bytes_min)
    }
}

/// A body in the making, or being read.
pub struct Spool {
    file: SpooledTempFile,
    length: u64,
    bytes_max: u64,
    place: Option<SpoolPlace>,
    looked_at: u64,
}

impl Spool {
    /// An empty one that takes at most so many bytes.
    pub fn new(bytes_max: u64) -> Self {
        Spool { file: SpooledTempFile::new(MEMORY_BYTES_MAX), length: 0, bytes_max, place: None, looked_at: 0 }
    }
    /// The same in a place of its own, as long as there is room.
    pub fn at(place: &SpoolPlace, bytes_max: u64) -> Self {
        let file = SpooledTempFile::new_in(MEMORY_BYTES_MAX, &place.folder);
        Spool { file, length: 0, bytes_max, place: Some(place.clone()), looked_at: 0 }
    }
    /// How many bytes it holds.
    pub fn len(&self) -> u64 {
        self.length
    }
    /// True where it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
    /// Appends bytes. `Invalid` with the code `too_large` where they are too many.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.length + bytes.len() as u64 > self.bytes_max {
            return Err(too_large(self.bytes_max));
        }
        self.write_all(bytes).map_err(full)
    }
    /// Goes back to its beginning, to be read.
    pub fn rewind(&mut self) -> Result<()> {
        self.file.seek(SeekFrom::Start(0)).map(drop).map_err(full)
    }
    /// All of it, which must be little.
    pub fn bytes(&mut self) -> Result<Vec<u8>> {
        self.rewind()?;
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes).map_err(full)?;
        Ok(bytes)
    }
    /// As the body of a request or an answer.
    pub fn into_body(self) -> SpoolBody {
        SpoolBody { length: self.length, file: Arc::new(Mutex::new(self.file)), at: 0 }
    }
}

/// The refusal of a body that is too large.
pub fn too_large(bytes_max: u64) -> Error {
    Error::new(ErrorKind::Invalid, "too_large", format!("the request is larger than {bytes_max} bytes"))
        .hint("send less at once: mainstem commit more often")
}

fn full(e: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "disk_full", format!("there is no room for what is being sent: {e}")).because(e)
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_on_disk = self.length + bytes.len() as u64 > MEMORY_BYTES_MAX as u64;
        if let Some(place) = self.place.as_ref().filter(|_| is_on_disk && self.length >= self.looked_at) {
            if !place.has_room()? {
                return Err(io::Error::new(io::ErrorKind::StorageFull, "little of the disk is left"));
            }
            self.looked_at = self.length + LOOK_BYTES;
        }
        let written = self.file.write(bytes)?;
        self.length += written as u64;
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Read for Spool {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.file.read(bytes)
    }
}

/// A spool on its way out.
pub struct SpoolBody {
    file: Arc<Mutex<SpooledTempFile>>,
    length: u64,
    at: u64,
}

impl SpoolBody {
    /// The same from its beginning, to be sent again.
    pub fn again(&self) -> SpoolBody {
        SpoolBody { file: self.file.clone(), length: self.length, at: 0 }
    }
    /// How many bytes it holds.
    pub fn len(&self) -> u64 {
        self.length
    }
    /// True where it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
    fn piece(&mut self) -> io::Result<Bytes> {
        let rest = usize::try_from(self.length - self.at).unwrap_or(PIECE_BYTES);
        let mut piece = vec![0; PIECE_BYTES.min(rest)];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.at))?;
        self.at += piece.len() as u64;
        file.read_exact(&mut piece)?;
        Ok(piece.into())
    }
}

impl Body for SpoolBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let is_over = self.at == self.length;
        Poll::Ready((!is_over).then(|| self.piece().map(Frame::data)))
    }
    fn is_end_stream(&self) -> bool {
        self.at == self.length
    }
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length - self.at)
    }
}
