//! The byte format of SQLite's session extension: changesets, and patchsets, which leave out the values before.
//!
//! It names a table and says how many columns it has and which are its key; columns have no names. Laid out as the
//! comments of `sqlite3session.c` describe it: for each table a head (`T` or `P`, column count, key places, name), then
//! its changes (kind, indirect flag, the values before, the values after, each with its storage class).
//! Invariant: total, as every decoder here; what decodes and was written by the extension encodes to the same bytes.
//! Invariant: a NaN reads as NULL, which is what SQLite makes of it.
use super::bytes::Reader;
use crate::error::{Error, Result};
use crate::value::{Row, Value};
use alloc::{format, string::String, vec::Vec};

/// The most columns that a table of SQLite can have.
pub const COLUMNS_MAX: usize = 32_767;

const WHAT: &str = "changeset of the session extension";
const INSERT: u8 = 18;
const UPDATE: u8 = 23;
const DELETE: u8 = 9;

/// Which of the two formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// With the values before.
    #[default]
    Changeset,
    /// Without them: an update has its key and the values after, a delete its key alone.
    Patchset,
}

impl Form {
    /// The byte that each table begins with.
    pub fn mark(self) -> u8 {
        match self {
            Form::Changeset => b'T',
            Form::Patchset => b'P',
        }
    }
    /// The form of bytes that begin so, if they can be any.
    pub fn of(bytes: &[u8]) -> Option<Form> {
        [Form::Changeset, Form::Patchset].into_iter().find(|form| bytes.first() == Some(&form.mark()))
    }
}

/// A row of which only some cells are said.
pub type Partial = Vec<Option<Value>>;

/// What happened to a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// The whole new row.
    Insert(Row),
    /// Before: the key, and in a changeset the cells that changed. After: the cells that changed.
    Update {
        /// The cells said of the row before.
        before: Partial,
        /// The cells said of the row after.
        after: Partial,
    },
    /// The whole row, or in a patchset its key.
    Delete(Partial),
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// True where a trigger or a foreign key made the change.
    pub is_indirect: bool,
    /// What happened.
    pub act: Act,
}

/// The head of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The table's name.
    pub name: String,
    /// For each column its place in the key, from 1, or 0. Some writers say 1 for every column of the key.
    pub key: Vec<u8>,
}

/// Changes of one table that follow each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The table.
    pub head: Head,
    /// The changes.
    pub changes: Vec<RowChange>,
}

/// Encodes all. A table that comes again begins a new run, which every reader of the format takes.
pub fn encode(form: Form, runs: &[Run]) -> Vec<u8> {
    let mut out = Vec::new();
    for run in runs {
        write_head(&mut out, form, &run.head);
        for change in &run.changes {
            write_change(&mut out, form, &run.head, change);
        }
    }
    out
}

/// Decodes all. No bytes are a changeset without changes.
pub fn decode(bytes: &[u8]) -> Result<(Form, Vec<Run>)> {
    let mut r = Reader::new(WHAT, bytes);
    let form = match Form::of(bytes) {
        Some(form) => form,
        None if bytes.is_empty() => Form::Changeset,
        None => return Err(r.error("it does not begin with a table")),
    };
    let mut runs: Vec<Run> = Vec::new();
    while !r.is_empty() {
        match (r.byte()?, runs.last_mut()) {
            (mark, _) if mark == form.mark() => runs.push(Run { head: read_head(&mut r)?, changes: Vec::new() }),
            (kind, Some(run)) => run.changes.push(read_change(&mut r, form, &run.head, kind)?),
            (kind, None) => return Err(r.error(format!("{kind} begins no table"))),
        }
    }
    Ok((form, runs))
}

/// Writes the head of a table.
pub fn write_head(out: &mut Vec<u8>, form: Form, head: &Head) {
    out.push(form.mark());
    write_number(out, head.key.len() as u32);
    out.extend_from_slice(&head.key);
    out.extend_from_slice(head.name.as_bytes());
    out.push(0);
}

/// Writes one change of the table whose head was written last.
pub fn write_change(out: &mut Vec<u8>, form: Form, head: &Head, change: &RowChange) {
    let kind = match change.act {
        Act::Insert(_) => INSERT,
        Act::Update { .. } => UPDATE,
        Act::Delete(_) => DELETE,
    };
    out.extend([kind, u8::from(change.is_indirect)]);
    match (&change.act, form) {
        (Act::Insert(row), _) => row.iter().for_each(|value| write_value(out, Some(value))),
        (Act::Delete(row), Form::Changeset) => row.iter().for_each(|value| write_value(out, value.as_ref())),
        (Act::Delete(row), Form::Patchset) => {
            row.iter().zip(&head.key).filter(|(_, place)| **place > 0).for_each(|(value, _)| write_value(out, value.as_ref()));
        }
        (Act::Update { before, after }, Form::Changeset) => {
            before.iter().chain(after).for_each(|value| write_value(out, value.as_ref()));
        }
        (Act::Update { before, after }, Form::Patchset) => {
            for ((before, after), &place) in before.iter().zip(after).zip(&head.key) {
                write_value(out, if place > 0 { before.as_ref() } else { after.as_ref() });
            }
        }
    }
}

fn read_head(r: &mut Reader<'_>) -> Result<Head> {
    let columns = read_number(r)? as usize;
    if columns == 0 || columns > COLUMNS_MAX {
        return Err(r.error(format!("a table of {columns} columns")));
    }
    let key = r.take(columns)?.to_vec();
    if key.iter().all(|&place| place == 0) {
        return Err(r.error("a table without a key"));
    }
    let mut rest = r.clone();
    let bytes = rest.all();
    let length = bytes.iter().position(|&b| b == 0).ok_or_else(|| r.error("the name of a table does not end"))?;
    let name = core::str::from_utf8(r.take(length)?).map_err(|_| Error::corrupt(WHAT, "the name of a table is not valid UTF-8"))?;
    r.byte()?;
    Ok(Head { name: name.into(), key })
}

fn read_change(r: &mut Reader<'_>, form: Form, head: &Head, kind: u8) -> Result<RowChange> {
    // SQLite takes any other byte for true as well.
    let is_indirect = r.byte()? != 0;
    let act = match (kind, form) {
        (INSERT, _) => Act::Insert(read_whole(r, head)?),
        (DELETE, Form::Changeset) => Act::Delete(read_whole(r, head)?.into_iter().map(Some).collect()),
        (DELETE, Form::Patchset) => {
            let read = |&place: &u8| if place > 0 { read_value(r) } else { Ok(None) };
            Act::Delete(head.key.iter().map(read).collect::<Result<_>>()?)
        }
        (UPDATE, Form::Changeset) => Act::Update { before: read_partial(r, head)?, after: read_partial(r, head)? },
        (UPDATE, Form::Patchset) => {
            let mut after = read_partial(r, head)?;
            let before = after.iter_mut().zip(&head.key).map(|(value, &place)| if place > 0 { value.take() } else { None });
            Act::Update { before: before.collect(), after }
        }
        (other, _) => return Err(r.error(format!("{other} is no kind of change"))),
    };
    check(head, &act)?;
    Ok(RowChange { is_indirect, act })
}

/// A key is said and not NULL; an update says what each cell that it changes was, except in a patchset.
fn check(head: &Head, act: &Act) -> Result<()> {
    let of_key = |row: &[Option<Value>]| {
        row.iter().zip(&head.key).filter(|(_, place)| **place > 0).all(|(value, _)| value.as_ref().is_some_and(|v| !v.is_null()))
    };
    let is_keyed = match act {
        Act::Insert(row) => row.iter().zip(&head.key).all(|(value, &place)| place == 0 || !value.is_null()),
        Act::Update { before, .. } | Act::Delete(before) => of_key(before),
    };
    if is_keyed { Ok(()) } else { Err(Error::corrupt(WHAT, format!("a change of table {} has no key, or NULL in it", head.name))) }
}

fn read_whole(r: &mut Reader<'_>, head: &Head) -> Result<Row> {
    let all: Option<Row> = read_partial(r, head)?.into_iter().collect();
    all.ok_or_else(|| Error::corrupt(WHAT, format!("a whole row of table {} lacks a value", head.name)))
}

fn read_partial(r: &mut Reader<'_>, head: &Head) -> Result<Partial> {
    if head.key.len() > r.remaining() {
        return Err(r.error("it ends too early"));
    }
    head.key.iter().map(|_| read_value(r)).collect()
}

fn write_value(out: &mut Vec<u8>, value: Option<&Value>) {
    match value {
        None => out.push(0),
        Some(Value::Integer(number)) => {
            out.push(1);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Some(Value::Real(number)) => {
            out.push(2);
            out.extend_from_slice(&number.to_bits().to_be_bytes());
        }
        Some(Value::Text(bytes)) => write_bytes(out, 3, bytes),
        Some(Value::Blob(bytes)) => write_bytes(out, 4, bytes),
        Some(Value::Null) => out.push(5),
    }
}

fn write_bytes(out: &mut Vec<u8>, class: u8, bytes: &[u8]) {
    out.push(class);
    // SQLite has no value of 2^31 bytes.
    write_number(out, bytes.len() as u32);
    out.extend_from_slice(bytes);
}

fn read_value(r: &mut Reader<'_>) -> Result<Option<Value>> {
    Ok(Some(match r.byte()? {
        0 => return Ok(None),
        1 => Value::Integer(i64::from_be_bytes(r.array()?)),
        2 => match f64::from_bits(u64::from_be_bytes(r.array()?)) {
            number if number.is_nan() => Value::Null,
            number => Value::Real(number),
        },
        3 => Value::Text(read_bytes(r)?),
        4 => Value::Blob(read_bytes(r)?),
        5 => Value::Null,
        other => return Err(r.error(format!("{other} is no storage class"))),
    }))
}

fn read_bytes(r: &mut Reader<'_>) -> Result<Vec<u8>> {
    let length = read_number(r)? as usize;
    Ok(r.take(length)?.to_vec())
}

/// SQLite's number: seven bits a byte, the highest first.
fn write_number(out: &mut Vec<u8>, number: u32) {
    let groups = (32 - number.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let more = if group > 0 { 0x80 } else { 0 };
        out.push((number >> (group * 7)) as u8 & 0x7f | more);
    }
}

fn read_number(r: &mut Reader<'_>) -> Result<u32> {
    let mut number = 0u64;
    for _ in 0..5 {
        let byte = r.byte()?;
        number = number << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return u32::try_from(number).ok().filter(|n| i32::try_from(*n).is_ok()).ok_or_else(|| r.error("a length is too large"));
        }
    }
    Err(r.error("a length is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head() -> Head {
        Head { name: "notes".into(), key: [0, 2, 1].to_vec() }
    }

    fn change(act: Act) -> RowChange {
        RowChange { is_indirect: false, act }
    }

    #[test]
    fn the_bytes_are_those_that_the_extension_writes() {
        // INSERT INTO t VALUES(1, 'a', NULL); UPDATE t SET b = -0.0 WHERE k = 2; DELETE FROM t WHERE k = 3
        let head = Head { name: "t".into(), key: [1, 0, 0].to_vec() };
        let (one, some) = (Value::Integer, |v: Value| Some(v));
        let changes = [
            change(Act::Insert([one(1), "a".into(), Value::Null].to_vec())),
            change(Act::Update {
                before: [some(one(2)), some(Value::Blob([7].to_vec())), None].to_vec(),
                after: [None, some(Value::Real(-0.0)), None].to_vec(),
            }),
            RowChange { is_indirect: true, act: Act::Delete([some(one(3)), some(Value::Null), some("é".into())].to_vec()) },
        ];
        let expected: &[&[u8]] = &[
            b"T\x03\x01\0\0t\0",
            b"\x12\0\x01\0\0\0\0\0\0\0\x01\x03\x01a\x05",
            b"\x17\0\x01\0\0\0\0\0\0\0\x02\x04\x01\x07\0\0\x02\x80\0\0\0\0\0\0\0\0",
            b"\x09\x01\x01\0\0\0\0\0\0\0\x03\x05\x03\x02\xc3\xa9",
        ];
        let runs = [Run { head, changes: changes.to_vec() }];
        let bytes = encode(Form::Changeset, &runs);
        assert_eq!(bytes, expected.concat());
        assert_eq!(decode(&bytes), Ok((Form::Changeset, runs.to_vec())));
        // The same as a patchset: the update has its key and its cell, the delete its key.
        let patch = encode(Form::Patchset, &runs);
        let expected: &[&[u8]] = &[
            b"P\x03\x01\0\0t\0",
            b"\x12\0\x01\0\0\0\0\0\0\0\x01\x03\x01a\x05",
            b"\x17\0\x01\0\0\0\0\0\0\0\x02\x02\x80\0\0\0\0\0\0\0\0",
            b"\x09\x01\x01\0\0\0\0\0\0\0\x03",
        ];
        assert_eq!(patch, expected.concat());
        let (form, read) = decode(&patch).expect("what was written");
        assert_eq!((form, encode(form, &read)), (Form::Patchset, patch));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |bytes: &[u8], why: &str| {
            let error = decode(bytes).expect_err(why);
            assert!(error.kind() == crate::ErrorKind::Corrupt && format!("{error}").contains(why), "{error}, not {why}");
        };
        refused(b"x", "does not begin with a table");
        refused(b"T\0\0", "0 columns");
        refused(b"T\x02\0\0t\0", "without a key");
        refused(b"T\x01\x01t", "does not end");
        refused(b"T\x01\x01\xff\0", "not valid UTF-8");
        refused(b"T\x01\x01t\0\x12\0\x01\0", "ends too early");
        refused(b"T\x01\x01t\0P\x01\x01t\0", "80 is no kind of change");
        refused(b"T\x01\x01t\0\x07\0\x05", "no kind of change");
        refused(b"T\x01\x01t\0\x12\0\x05", "NULL in it");
        refused(b"T\x02\x01\0t\0\x12\0\x05\0", "lacks a value");
        refused(b"T\x01\x01t\0\x12\0\x09", "no storage class");
        refused(b"T\x01\x01t\0\x12\0\x03\x88\x80\x80\x80\0", "too large");
        refused(b"T\x01\x01t\0\x12\0\x03\xff\xff\xff\xff\xff\x01", "too long");
        refused(b"T\x82\x80\0", "32768 columns");
        assert_eq!(decode(b""), Ok((Form::Changeset, Vec::new())));
    }

    #[test]
    fn not_a_number_is_null() {
        let bytes = b"T\x02\x01\0t\0\x12\0\x03\x01k\x02\x7f\xf8\0\0\0\0\0\0";
        let (_, runs) = decode(bytes).expect("sound");
        assert_eq!(runs[0].changes[0].act, Act::Insert(["k".into(), Value::Null].to_vec()));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Integer),
            any::<f64>().prop_filter("no NaN", |r| !r.is_nan()).prop_map(Value::Real),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Text),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Blob),
        ]
    }

    fn any_key() -> impl Strategy<Value = Value> {
        any_value().prop_filter("a key", |v| !v.is_null())
    }

    prop_compose! {
        fn any_change()(is_indirect: bool, kind in 0..3, key in [any_key(), any_key()], cell in any_value(), other in any_value()) -> RowChange {
            let [first, second] = key;
            let row = [cell.clone(), first.clone(), second.clone()];
            let act = match kind {
                0 => Act::Insert(row.to_vec()),
                1 => Act::Delete(row.map(Some).to_vec()),
                _ => Act::Update { before: row.map(Some).to_vec(), after: [Some(other), None, None].to_vec() },
            };
            RowChange { is_indirect, act }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(changes in prop::collection::vec(any_change(), 0..5)) {
            let runs = Vec::from([Run { head: head(), changes: changes.clone() }, Run { head: head(), changes }]);
            prop_assert_eq!(decode(&encode(Form::Changeset, &runs)), Ok((Form::Changeset, runs.clone())));
            let patch = encode(Form::Patchset, &runs);
            let (form, read) = decode(&patch).expect("what was written");
            prop_assert_eq!(encode(form, &read), patch);
        }

        #[test]
        fn any_bytes_give_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for start in [&b""[..], b"T\x02\x01\0t\0", b"P\x02\x01\0t\0\x17\0"] {
                if let Ok((form, runs)) = decode(&[start, &bytes[..]].concat()) {
                    prop_assert_eq!(decode(&encode(form, &runs)), Ok((form, runs)));
                }
            }
        }

        #[test]
        fn lengths_have_the_spelling_of_sqlite(number in 0u32..=i32::MAX as u32) {
            let mut bytes = Vec::new();
            write_number(&mut bytes, number);
            prop_assert_eq!(read_number(&mut Reader::new(WHAT, &bytes)), Ok(number));
        }
    }
}
