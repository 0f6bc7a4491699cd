//! Digests: whether two rows, tables, states, pages or changesets are the same.
//!
//! A table's digest is the sum of its rows' digests (Bellare and Micciancio, "A New Paradigm for Collision-free Hashing",
//! 1997, with addition modulo 2^256), so that it is kept up to date by each change and is independent of order.
//! Invariant: what a digest covers is told apart by domain, length-prefixed, with storage classes and real bits.
//! Deliberately absent: protection against somebody who chooses rows so that sums collide. Sums find differences
//! between honest copies; history is protected by the hash chain of events.
use crate::change::Front;
use crate::event::{Digest, TableDigest};
use crate::format::{Writer, front, value};
use crate::value::{Row, Value};
use alloc::{string::String, vec::Vec};
use core::cell::Cell;

/// Hashes parts under a domain, each part with its length before it.
pub fn of(domain: &str, parts: &[&[u8]]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for part in core::iter::once(domain.as_bytes()).chain(parts.iter().copied()) {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// Digests rows of one table.
///
/// Invariant: independent of the columns' order and of letter case in names (ASCII); a cell that is NULL counts as
/// one that is not there, so adding a column without a default changes no digest.
pub struct RowDigester {
    /// Domain and table name.
    prefix: Vec<u8>,
    /// Encoded column names, one after another.
    names: Vec<u8>,
    /// Column positions in order of name, each with the end of its name in `names`.
    order: Vec<(usize, usize)>,
    buffer: Cell<Vec<u8>>,
}

impl RowDigester {
    /// A digester for rows whose values are in the order of `columns`.
    pub fn new(table: &str, columns: &[String]) -> Self {
        let mut prefix = Writer::default();
        prefix.bytes(b"mainstem row 1");
        prefix.bytes(table.to_ascii_lowercase().as_bytes());
        let mut sorted: Vec<(String, usize)> = columns
            .iter()
            .enumerate()
            .map(|(i, name)| (name.to_ascii_lowercase(), i))
            .collect();
        sorted.sort_unstable();
        let mut names = Writer::default();
        let mut order = Vec::with_capacity(sorted.len());
        for (name, position) in sorted {
            names.bytes(name.as_bytes());
            order.push((position, names.0.len()));
        }
        RowDigester {
            prefix: prefix.0,
            names: names.0,
            order,
            buffer: Cell::default(),
        }
    }
    /// The digest of one row.
    pub fn digest(&self, row: &Row) -> Digest {
        let mut buffer = self.buffer.take();
        buffer.clear();
        buffer.extend_from_slice(&self.prefix);
        let mut start = 0;
        for &(position, end) in &self.order {
            let cell = &row[position];
            if !is_absent(cell) {
                buffer.extend_from_slice(&self.names[start..end]);
                value::write(&mut buffer, cell);
            }
            start = end;
        }
        let digest = *blake3::hash(&buffer).as_bytes();
        self.buffer.set(buffer);
        digest
    }
}

/// NaN is NULL to SQLite and to [`value::write`].
fn is_absent(cell: &Value) -> bool {
    match cell {
        Value::Null => true,
        Value::Real(r) => r.is_nan(),
        _ => false,
    }
}

/// A sum of digests modulo 2^256, little-endian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sum(pub Digest);

impl Sum {
    /// Adds a digest.
    pub fn add(&mut self, digest: &Digest) {
        let mut carry = false;
        self.limbs(digest, |a, b| {
            let (sum, first) = a.overflowing_add(b);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            carry = first | second;
            sum
        });
    }
    /// Takes a digest away.
    pub fn subtract(&mut self, digest: &Digest) {
        let mut borrow = false;
        self.limbs(digest, |a, b| {
            let (rest, first) = a.overflowing_sub(b);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            borrow = first | second;
            rest
        });
    }
    fn limbs(&mut self, digest: &Digest, mut combine: impl FnMut(u64, u64) -> u64) {
        let (ours, _) = self.0.as_chunks_mut::<8>();
        let (theirs, _) = digest.as_chunks::<8>();
        for (a, b) in ours.iter_mut().zip(theirs) {
            *a = combine(u64::from_le_bytes(*a), u64::from_le_bytes(*b)).to_le_bytes();
        }
    }
}

/// The digest of a whole state: every table's name, rows and sum, in order of name.
pub fn state_digest(tables: &[TableDigest]) -> Digest {
    let mut sorted: Vec<(String, &TableDigest)> = tables
        .iter()
        .map(|t| (t.table.to_ascii_lowercase(), t))
        .collect();
    sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut w = Writer::default();
    for (name, table) in sorted {
        w.bytes(name.as_bytes());
        w.varint(table.rows);
        w.fixed(&table.sum);
    }
    of("mainstem state 1", &[&w.0])
}

/// The digest of one page's bytes.
pub fn page_digest(bytes: &[u8]) -> Digest {
    of("mainstem page 1", &[bytes])
}

/// The running digest over a changeset's or version's pages, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Body(Digest);

impl Body {
    /// Adds the next page's bytes.
    pub fn add(&mut self, page: &[u8]) {
        self.0 = of("mainstem body 1", &[&self.0, &page_digest(page)]);
    }
    /// The digest over the pages so far; zeros where there was none.
    pub fn digest(&self) -> Digest {
        self.0
    }
}

/// The digest of a changeset: its front and the [`Body`] of its pages.
pub fn changeset_digest(front: &Front, body: &Digest) -> Digest {
    of("mainstem changeset 1", &[&front::encode(front), body])
}
