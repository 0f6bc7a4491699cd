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
        let mut sorted: Vec<(String, usize)> = columns.iter().enumerate().map(|(i, name)| (name.to_ascii_lowercase(), i)).collect();
        sorted.sort_unstable();
        let mut names = Writer::default();
        let mut order = Vec::with_capacity(sorted.len());
        for (name, position) in sorted {
            names.bytes(name.as_bytes());
            order.push((position, names.0.len()));
        }
        RowDigester { prefix: prefix.0, names: names.0, order, buffer: Cell::default() }
    }
    /// The digest of one row.
    pub fn digest(&self, row: &Row) -> Digest {
        self.digest_of(|buffer, position| {
            if !is_absent(&row[position]) {
                value::write(buffer, &row[position]);
            }
        })
    }
    /// The digest of a row whose cells [`value::write`] has written already.
    pub fn digest_written<'a>(&self, cell: impl Fn(usize) -> &'a [u8]) -> Digest {
        self.digest_of(|buffer, position| match cell(position) {
            [0] => {}
            written => buffer.extend_from_slice(written),
        })
    }
    /// `write` appends a cell that is there.
    fn digest_of(&self, write: impl Fn(&mut Vec<u8>, usize)) -> Digest {
        let mut buffer = self.buffer.take();
        buffer.clear();
        buffer.extend_from_slice(&self.prefix);
        let mut start = 0;
        for &(position, end) in &self.order {
            let before = buffer.len();
            buffer.extend_from_slice(&self.names[start..end]);
            let named = buffer.len();
            write(&mut buffer, position);
            if buffer.len() == named {
                buffer.truncate(before);
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
    let mut sorted: Vec<(String, &TableDigest)> = tables.iter().map(|t| (t.table.to_ascii_lowercase(), t)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::samples;
    use alloc::{format, vec};
    use proptest::collection::vec as many;
    use proptest::prelude::*;

    fn names(width: usize) -> Vec<String> {
        (0..width).map(|i| format!("Column {i}")).collect()
    }
    fn digest(table: &str, cells: &[(&str, Value)]) -> Digest {
        let columns: Vec<String> = cells.iter().map(|(n, _)| String::from(*n)).collect();
        RowDigester::new(table, &columns).digest(&cells.iter().map(|(_, v)| v.clone()).collect())
    }

    proptest! {
        #[test]
        fn the_order_of_columns_does_not_matter(row in many(samples::value(), 1..8), by in 0usize..8) {
            let (mut columns, mut turned) = (names(row.len()), row.clone());
            let straight = RowDigester::new("t", &columns).digest(&row);
            let by = by % row.len();
            columns.rotate_left(by);
            turned.rotate_left(by);
            columns.iter_mut().for_each(|c| c.make_ascii_uppercase());
            prop_assert_eq!(RowDigester::new("T", &columns).digest(&turned), straight);
        }

        #[test]
        fn a_column_that_is_null_does_not_matter(row in many(samples::value(), 1..8)) {
            let mut wider = row.clone();
            wider.push(Value::Null);
            let narrow = RowDigester::new("t", &names(row.len())).digest(&row);
            prop_assert_eq!(RowDigester::new("t", &names(wider.len())).digest(&wider), narrow);
        }

        #[test]
        fn cells_that_are_written_already_count_the_same(row in many(samples::value(), 1..8)) {
            let digester = RowDigester::new("t", &names(row.len()));
            let written: Vec<Vec<u8>> = row.iter().map(|cell| {
                let mut bytes = Vec::new();
                value::write(&mut bytes, cell);
                bytes
            }).collect();
            prop_assert_eq!(digester.digest_written(|at| &written[at]), digester.digest(&row));
        }

        #[test]
        fn rows_that_differ_have_digests_that_differ(a in many(samples::value(), 3), b in many(samples::value(), 3)) {
            let digester = RowDigester::new("t", &names(3));
            prop_assert_eq!(a == b, digester.digest(&a) == digester.digest(&b));
        }

        #[test]
        fn sums_add_in_any_order_and_subtract(mut digests in many(any::<[u8; 32]>(), 0..8), extra: [u8; 32]) {
            let sum = |digests: &[Digest]| digests.iter().fold(Sum::default(), |mut s, d| { s.add(d); s });
            let straight = sum(&digests);
            digests.reverse();
            prop_assert_eq!(sum(&digests), straight);
            digests.push(extra);
            let mut with = sum(&digests);
            with.subtract(&extra);
            prop_assert_eq!(with, straight);
        }
    }

    #[test]
    fn sums_carry_over_every_limb() {
        let (mut sum, one) = (Sum([0xff; 32]), {
            let mut one = [0; 32];
            one[0] = 1;
            one
        });
        sum.add(&one);
        assert_eq!(sum, Sum::default());
        sum.subtract(&one);
        assert_eq!(sum, Sum([0xff; 32]));
    }

    #[test]
    fn storage_classes_names_and_tables_are_told_apart() {
        let mut all = vec![
            digest("t", &[("a", Value::Integer(1))]),
            digest("t", &[("a", Value::Real(1.0))]),
            digest("t", &[("a", Value::text("1"))]),
            digest("t", &[("a", Value::Blob(b"1".to_vec()))]),
            digest("t", &[("a", Value::Null)]),
            digest("t", &[("a", Value::Real(0.0))]),
            digest("t", &[("a", Value::Real(-0.0))]),
            digest("t", &[("b", Value::Integer(1))]),
            digest("u", &[("a", Value::Integer(1))]),
            digest("t", &[("a", Value::text("xb")), ("c", Value::text("y"))]),
            digest("t", &[("a", Value::text("x")), ("bc", Value::text("y"))]),
        ];
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn a_state_is_its_tables_in_any_order() {
        let table = |name: &str, rows| TableDigest { table: name.into(), rows, sum: [1; 32] };
        let state = state_digest(&[table("a", 1), table("B", 2)]);
        assert_eq!(state_digest(&[table("b", 2), table("A", 1)]), state);
        assert_ne!(state_digest(&[table("b", 1), table("A", 2)]), state);
        assert_ne!(state_digest(&[table("a", 1)]), state);
    }

    #[test]
    fn a_body_is_its_pages_in_order() {
        let body = |pages: &[&[u8]]| {
            pages
                .iter()
                .fold(Body::default(), |mut b, p| {
                    b.add(p);
                    b
                })
                .digest()
        };
        assert_ne!(body(&[b"a", b"b"]), body(&[b"b", b"a"]));
        assert_ne!(body(&[b"ab"]), body(&[b"a", b"b"]));
        assert_eq!(body(&[]), [0; 32]);
        let mut front = samples::fixed::front();
        let digest = changeset_digest(&front, &body(&[b"a"]));
        assert_ne!(changeset_digest(&front, &body(&[b"b"])), digest);
        front.header.title = None;
        assert_ne!(changeset_digest(&front, &body(&[b"a"])), digest);
    }

    #[test]
    fn the_digests_of_version_1_are_kept() {
        let hex = |digest: Digest| digest.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let row = samples::fixed::values();
        let digester = RowDigester::new("Person", &names(row.len()));
        let tables = [TableDigest { table: "Person".into(), rows: 3, sum: [5; 32] }];
        let mut body = Body::default();
        body.add(b"page");
        let kept = [
            ("row", digester.digest(&row), "1684333c4264e5eb4ee5472476a28678550863e311b886fd2c8dfda87048960f"),
            ("state", state_digest(&tables), "d5ebf46f2787b6d22557160e119e8c0fde88af7d45eb640add4c0b7018466594"),
            ("page", page_digest(b"page"), "79e88c5c0779193cc32f79fd0a911e5bc033abb1980e98c9979f7536e86794f2"),
            ("body", body.digest(), "592e37900d4354f07683d3c32328243a400ab817d109843583d74621b017371c"),
            (
                "changeset",
                changeset_digest(&samples::fixed::front(), &[6; 32]),
                "4b60190d5c4b4fb794c660bfb5fb5c7722b48fb4c0ea149385a6ee0e1d7220ce",
            ),
        ];
        for (what, digest, expected) in kept {
            assert_eq!(hex(digest), expected, "{what}");
        }
    }
}
