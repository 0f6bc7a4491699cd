//! Rows and keys as compact bytes, so that condensing compares and keeps them without an allocation per cell.
//!
//! Invariant: equal bytes mean equal values to the bit, and the order of key bytes is the order of the values.
//! Deliberately absent: any promise between runs; nothing here is stored.
use mainstem::core::planted::{self, Bug};
use mainstem::core::value::{Key, Value};
use rusqlite::types::ValueRef;

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;
const UNKNOWN: u8 = 5;
const ADDED: u8 = 6;

/// A cell of an image.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Slot {
    /// Its value.
    Known(Value),
    /// The column was renamed or dropped by the app before the image was taken.
    Unknown,
    /// The column was added after the image was taken, so the cell held the column's default.
    Added,
}

/// A key's bytes in the order of its values, for tables of a moment: rows that come in order are then written side by side.
pub fn ordered_key(key: &Key) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in key {
        push_key(&mut bytes, reference(value));
    }
    bytes
}

/// The key of such bytes.
pub fn key_ordered(bytes: &[u8]) -> Key {
    read_key(bytes)
}

fn reference(value: &Value) -> ValueRef<'_> {
    match value {
        Value::Null => ValueRef::Null,
        Value::Integer(i) => ValueRef::Integer(*i),
        Value::Real(r) => ValueRef::Real(*r),
        Value::Text(bytes) => ValueRef::Text(bytes),
        Value::Blob(bytes) => ValueRef::Blob(bytes),
    }
}

/// Appends a value to an image.
pub(super) fn push(image: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => image.push(NULL),
        ValueRef::Integer(i) => {
            image.push(INTEGER);
            image.extend_from_slice(&i.to_le_bytes());
        }
        ValueRef::Real(r) => {
            image.push(REAL);
            image.extend_from_slice(&planted::rounded(Bug::B3, r).to_bits().to_le_bytes());
        }
        ValueRef::Text(bytes) => push_bytes(image, TEXT, planted::cut(Bug::B7, bytes)),
        ValueRef::Blob(bytes) => push_bytes(image, BLOB, bytes),
    }
}

/// Appends a cell whose value is not known.
pub(super) fn push_unknown(image: &mut Vec<u8>) {
    image.push(UNKNOWN);
}

/// Appends a cell that held its column's default.
pub(super) fn push_added(image: &mut Vec<u8>) {
    image.push(ADDED);
}

fn push_bytes(image: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    image.push(tag);
    image.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    image.extend_from_slice(bytes);
}

/// The cells of an image as bytes each.
pub(super) fn cells(image: &[u8]) -> Cells<'_> {
    Cells { rest: image }
}

/// See [`cells`].
pub(super) struct Cells<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Cells<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        let length = match *self.rest.first()? {
            INTEGER | REAL => 9,
            TEXT | BLOB => 9 + u64::from_le_bytes(word(&self.rest[1..9])) as usize,
            _ => 1,
        };
        let (cell, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(cell)
    }
}

/// Reads one cell.
pub(super) fn read(cell: &[u8]) -> Slot {
    Slot::Known(match cell[0] {
        INTEGER => Value::Integer(i64::from_le_bytes(word(&cell[1..9]))),
        REAL => Value::Real(f64::from_bits(u64::from_le_bytes(word(&cell[1..9])))),
        TEXT => Value::Text(cell[9..].to_vec()),
        BLOB => Value::Blob(cell[9..].to_vec()),
        UNKNOWN => return Slot::Unknown,
        ADDED => return Slot::Added,
        _ => Value::Null,
    })
}

fn word(bytes: &[u8]) -> [u8; 8] {
    bytes.try_into().expect("the caller cut eight bytes")
}

/// Appends a key value. False for NULL, which no key can hold.
pub(super) fn push_key(key: &mut Vec<u8>, value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Null => return false,
        ValueRef::Integer(i) => {
            key.push(INTEGER);
            key.extend_from_slice(&(i as u64 ^ (1 << 63)).to_be_bytes());
        }
        ValueRef::Real(r) => {
            key.push(REAL);
            let bits = r.to_bits();
            let ordered = if bits >> 63 == 1 { !bits } else { bits | (1 << 63) };
            key.extend_from_slice(&ordered.to_be_bytes());
        }
        ValueRef::Text(bytes) => push_ordered(key, TEXT, bytes),
        ValueRef::Blob(bytes) => push_ordered(key, if planted::is(Bug::C5) { TEXT } else { BLOB }, bytes),
    }
    true
}

/// Bytes with each zero followed by 255, ended by two zeros, so that a prefix sorts first.
fn push_ordered(key: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    key.push(tag);
    for (n, run) in bytes.split(|b| *b == 0).enumerate() {
        if n > 0 {
            key.extend_from_slice(&[0, 255]);
        }
        key.extend_from_slice(run);
    }
    key.extend_from_slice(&[0, 0]);
}

/// Reads a key back.
pub(super) fn read_key(mut bytes: &[u8]) -> Key {
    let mut key = Key::new();
    while let Some((tag, rest)) = bytes.split_first() {
        let (value, left) = match *tag {
            INTEGER => (Value::Integer((u64::from_be_bytes(word(&rest[..8])) ^ (1 << 63)) as i64), &rest[8..]),
            REAL => {
                let ordered = u64::from_be_bytes(word(&rest[..8]));
                let bits = if ordered >> 63 == 1 { ordered & !(1 << 63) } else { !ordered };
                (Value::Real(f64::from_bits(bits)), &rest[8..])
            }
            tag => {
                let (text, left) = read_ordered(rest);
                (if tag == TEXT { Value::Text(text) } else { Value::Blob(text) }, left)
            }
        };
        key.push(value);
        bytes = left;
    }
    key
}

fn read_ordered(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut text = Vec::new();
    let mut at = 0;
    loop {
        match (bytes[at], bytes.get(at + 1)) {
            (0, Some(255)) => {
                text.push(0);
                at += 2;
            }
            (0, _) => return (text, &bytes[at + 2..]),
            (byte, _) => {
                text.push(byte);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<i64>().prop_map(Value::Integer),
            any::<f64>().prop_filter("SQLite stores NaN as NULL", |r| !r.is_nan()).prop_map(Value::Real),
            prop::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 0..6).prop_map(Value::Text),
            prop::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 0..6).prop_map(Value::Blob),
        ]
    }

    fn as_ref(value: &Value) -> ValueRef<'_> {
        match value {
            Value::Null => ValueRef::Null,
            Value::Integer(i) => ValueRef::Integer(*i),
            Value::Real(r) => ValueRef::Real(*r),
            Value::Text(b) => ValueRef::Text(b),
            Value::Blob(b) => ValueRef::Blob(b),
        }
    }

    fn key_bytes(key: &[Value]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for value in key {
            assert!(push_key(&mut bytes, as_ref(value)));
        }
        bytes
    }

    proptest! {
        #[test]
        fn keys_come_back_and_sort_as_their_values(a in prop::collection::vec(value(), 2), b in prop::collection::vec(value(), 2)) {
            prop_assert_eq!(read_key(&key_bytes(&a)), a.clone());
            prop_assert_eq!(key_bytes(&a).cmp(&key_bytes(&b)), a.cmp(&b));
        }
        #[test]
        fn images_come_back(row in prop::collection::vec(prop_oneof![value(), Just(Value::Null)], 0..8)) {
            let mut image = Vec::new();
            row.iter().for_each(|v| push(&mut image, as_ref(v)));
            let back: Vec<Slot> = cells(&image).map(read).collect();
            prop_assert_eq!(back, row.into_iter().map(Slot::Known).collect::<Vec<_>>());
        }
    }
}
