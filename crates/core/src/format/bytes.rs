//! The alphabet of every format: canonical varints, zigzag, length-prefixed bytes, tagged fields.
//!
//! Invariant: a reader never allocates more than a small multiple of the bytes it was given, and one number has one
//! spelling.
use super::VERSION;
use crate::error::{Error, Result};
use alloc::{format, string::String, vec::Vec};

/// The most tables, columns, links or steps in one list.
pub const FEW_MAX: u64 = 65_536;

/// Appends encoded things to bytes.
#[derive(Clone, Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// A writer that begins with the version byte.
    pub fn versioned() -> Self {
        Writer(alloc::vec![VERSION])
    }
    /// One byte.
    pub fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }
    /// An unsigned number as LEB128.
    pub fn varint(&mut self, number: u64) {
        write_varint(&mut self.0, number);
    }
    /// A signed number as zigzag LEB128.
    pub fn signed(&mut self, number: i64) {
        write_varint(&mut self.0, zigzag(number));
    }
    /// Bytes with their length before them.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }
    /// Bytes whose length the reader knows.
    pub fn fixed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
    /// What `write` writes, with its length before it.
    pub fn nested(&mut self, write: impl FnOnce(&mut Writer)) {
        let mut inner = Writer::default();
        write(&mut inner);
        self.bytes(&inner.0);
    }
    /// A field that is there even when what it holds is empty.
    pub fn field(&mut self, tag: u64, write: impl FnOnce(&mut Writer)) {
        self.varint(tag);
        self.nested(write);
    }
    /// A number field, left out where zero.
    pub fn number(&mut self, tag: u64, number: u64) {
        if number != 0 {
            self.field(tag, |w| w.varint(number));
        }
    }
    /// A 128-bit field, left out where zero.
    pub fn wide(&mut self, tag: u64, number: u128) {
        if number != 0 {
            self.field(tag, |w| w.fixed(&number.to_be_bytes()));
        }
    }
    /// A flag field, left out where false.
    pub fn flag(&mut self, tag: u64, flag: bool) {
        self.number(tag, u64::from(flag));
    }
    /// A string field, left out where empty.
    pub fn text(&mut self, tag: u64, text: &str) {
        if !text.is_empty() {
            self.field(tag, |w| w.fixed(text.as_bytes()));
        }
    }
    /// A string field that tells none from empty.
    pub fn option(&mut self, tag: u64, text: Option<&str>) {
        if let Some(text) = text {
            self.field(tag, |w| w.fixed(text.as_bytes()));
        }
    }
    /// A list field, left out where empty; each item has its length before it.
    pub fn list<T>(&mut self, tag: u64, items: &[T], write: impl Fn(&mut Writer, &T)) {
        if !items.is_empty() {
            self.field(tag, |w| {
                w.varint(items.len() as u64);
                for item in items {
                    w.nested(|w| write(w, item));
                }
            });
        }
    }
    /// A list of strings.
    pub fn texts(&mut self, tag: u64, items: &[String]) {
        self.list(tag, items, |w, item| w.fixed(item.as_bytes()));
    }
    /// A list of positions.
    pub fn positions(&mut self, tag: u64, items: &[usize]) {
        if !items.is_empty() {
            self.field(tag, |w| {
                w.varint(items.len() as u64);
                for &item in items {
                    w.varint(item as u64);
                }
            });
        }
    }
}

pub(super) fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unzigzag(number: u64) -> i64 {
    ((number >> 1) as i64) ^ -((number & 1) as i64)
}

/// Reads encoded things from the front of bytes.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of all of `bytes`; `what` names them in errors.
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Reader { what, rest: bytes }
    }
    /// A reader of what follows the version byte.
    pub fn versioned(what: &'static str, bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(what, bytes);
        match reader.byte()? {
            VERSION => Ok(reader),
            other if other > VERSION => {
                Err(reader.error(format!("its format version {other} is newer than this program reads ({VERSION})")))
            }
            other => Err(reader.error(format!("{other} is no format version"))),
        }
    }
    /// An error about these bytes.
    pub fn error(&self, why: impl Into<String>) -> Error {
        Error::corrupt(self.what, why)
    }
    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }
    /// True at the end.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
    /// Refuses what is left over.
    pub fn finish(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error(format!("{} bytes too many", self.rest.len()))) }
    }
    /// One byte.
    pub fn byte(&mut self) -> Result<u8> {
        let (&first, rest) = self.rest.split_first().ok_or_else(|| self.error("it ends too early"))?;
        self.rest = rest;
        Ok(first)
    }
    /// That many bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.error("it ends too early"))?;
        self.rest = rest;
        Ok(head)
    }
    /// That many bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk().ok_or_else(|| self.error("it ends too early"))?;
        self.rest = rest;
        Ok(*head)
    }
    /// All that is left.
    pub fn all(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }
    /// An unsigned LEB128 number in its only spelling.
    pub fn varint(&mut self) -> Result<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.error("a number is too large"));
            }
            number |= bits << shift;
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    return Err(self.error("a number is spelled too long"));
                }
                return Ok(number);
            }
        }
        Err(self.error("a number is too long"))
    }
    /// A zigzag LEB128 number.
    pub fn signed(&mut self) -> Result<i64> {
        Ok(unzigzag(self.varint()?))
    }
    /// A 128-bit number.
    pub fn wide(&mut self) -> Result<u128> {
        Ok(u128::from_be_bytes(self.array()?))
    }
    /// A flag.
    pub fn flag(&mut self) -> Result<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.error(format!("{other} is no flag"))),
        }
    }
    /// A position in something.
    pub fn position(&mut self) -> Result<usize> {
        usize::try_from(self.varint()?).map_err(|_| self.error("a position is too large"))
    }
    /// Bytes with their length before them.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.position()?;
        self.take(length)
    }
    /// A reader of bytes that have their length before them.
    pub fn nested(&mut self) -> Result<Reader<'a>> {
        Ok(Reader { what: self.what, rest: self.bytes()? })
    }
    /// All that is left, as a string.
    pub fn text(&mut self) -> Result<String> {
        let bytes = self.all();
        core::str::from_utf8(bytes).map(String::from).map_err(|_| self.error("a name is not valid UTF-8"))
    }
    /// How many things follow, each of at least `bytes_min` bytes.
    pub fn count(&mut self, bytes_min: usize) -> Result<usize> {
        let count = self.position()?;
        if count > self.rest.len() / bytes_min.max(1) {
            return Err(self.error(format!("{count} things cannot follow in {} bytes", self.rest.len())));
        }
        Ok(count)
    }
    /// All that is left as a list whose items have their length before them. `bytes_min` is what the smallest item
    /// takes with its length, so that small bytes cannot unfold to a large list.
    pub fn list<T>(&mut self, bytes_min: usize, mut read: impl FnMut(&mut Reader<'a>) -> Result<T>) -> Result<Vec<T>> {
        let count = self.count(bytes_min)?;
        let mut items = Vec::new();
        for _ in 0..count {
            let mut item = self.nested()?;
            items.push(read(&mut item)?);
            item.finish()?;
        }
        Ok(items)
    }
    /// The same for things of a schema, of which nobody has more than [`FEW_MAX`].
    pub fn few<T>(&mut self, read: impl FnMut(&mut Reader<'a>) -> Result<T>) -> Result<Vec<T>> {
        let count = self.clone().varint()?;
        if count > FEW_MAX {
            return Err(self.error(format!("a list of {count} is over {FEW_MAX}")));
        }
        self.list(1, read)
    }
    /// All that is left as a list of strings.
    pub fn texts(&mut self) -> Result<Vec<String>> {
        self.few(|item| item.text())
    }
    /// All that is left as a list of positions.
    pub fn positions(&mut self) -> Result<Vec<usize>> {
        (0..self.count(1)?).map(|_| self.position()).collect()
    }
    /// All that is left as tagged fields.
    pub fn fields(&mut self) -> Fields<'a> {
        Fields { reader: Reader { what: self.what, rest: self.all() }, last: 0 }
    }
}

/// Tagged fields in ascending order of tag, each at most once.
pub struct Fields<'a> {
    reader: Reader<'a>,
    last: u64,
}

impl<'a> Fields<'a> {
    /// The next field, or none at the end. A tag the caller does not know is to be skipped.
    pub fn read(&mut self) -> Result<Option<(u64, Reader<'a>)>> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let tag = self.reader.varint()?;
        if tag <= self.last {
            return Err(self.reader.error("its fields are out of order"));
        }
        self.last = tag;
        Ok(Some((tag, self.reader.nested()?)))
    }
    /// An error about these bytes.
    pub fn error(&self, why: impl Into<String>) -> Error {
        self.reader.error(why)
    }
}
