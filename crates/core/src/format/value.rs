//! One value in bytes, short where values usually are short.
//!
//! | first byte | what follows |
//! |---|---|
//! | 0x00 | NULL: nothing |
//! | 0x01 | a real: its bits, 8 bytes, big-endian |
//! | 0x02 | an integer outside -16..=47: zigzag varint |
//! | 0x03 | text of 128 bytes or more: length, bytes |
//! | 0x04 | a blob of 32 bytes or more: length, bytes |
//! | 0x10..=0x4f | the integer -16..=47: nothing |
//! | 0x50..=0x6f | a blob of 0..=31 bytes: its bytes |
//! | 0x80..=0xff | text of 0..=127 bytes: its bytes |
//!
//! Invariant: one value has one spelling, so equal bytes mean equal values and the other way round.
use super::bytes::{Reader, Writer, write_varint, zigzag};
use crate::error::Result;
use crate::planted::{self, Bug};
use crate::value::Value;
use alloc::{format, vec::Vec};

const NULL: u8 = 0x00;
const REAL: u8 = 0x01;
const INTEGER: u8 = 0x02;
const TEXT: u8 = 0x03;
const BLOB: u8 = 0x04;
const SMALL_INTEGER: u8 = 0x10;
const SMALL_BLOB: u8 = 0x50;
const SMALL_TEXT: u8 = 0x80;
const INTEGER_MIN: i64 = -16;
const INTEGER_MAX: i64 = 47;
const BLOB_MAX: usize = 31;
const TEXT_MAX: usize = 127;

/// Encodes one value, with a version byte.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut w = Writer::versioned();
    write(&mut w.0, value);
    w.0
}

/// Decodes one value.
pub fn decode(bytes: &[u8]) -> Result<Value> {
    let mut r = Reader::versioned("value", bytes)?;
    let value = read(&mut r)?;
    r.finish()?;
    Ok(value)
}

/// A value whose bytes lie elsewhere.
#[derive(Clone, Copy, Debug)]
pub enum Borrowed<'a> {
    /// NULL.
    Null,
    /// A 64-bit integer.
    Integer(i64),
    /// A double.
    Real(f64),
    /// Text.
    Text(&'a [u8]),
    /// Bytes.
    Blob(&'a [u8]),
}

impl<'a> From<&'a Value> for Borrowed<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Borrowed::Null,
            Value::Integer(i) => Borrowed::Integer(*i),
            Value::Real(r) => Borrowed::Real(*r),
            Value::Text(bytes) => Borrowed::Text(bytes),
            Value::Blob(bytes) => Borrowed::Blob(bytes),
        }
    }
}

impl From<Borrowed<'_>> for Value {
    fn from(value: Borrowed<'_>) -> Self {
        match value {
            Borrowed::Null => Value::Null,
            Borrowed::Integer(i) => Value::Integer(i),
            Borrowed::Real(r) => Value::Real(r),
            Borrowed::Text(bytes) => Value::Text(bytes.to_vec()),
            Borrowed::Blob(bytes) => Value::Blob(bytes.to_vec()),
        }
    }
}

/// Appends one value. NaN is written as NULL, for that is what SQLite makes of it.
pub fn write(out: &mut Vec<u8>, value: &Value) {
    write_borrowed(out, value.into());
}

/// The same for one whose bytes lie elsewhere.
pub fn write_borrowed(out: &mut Vec<u8>, value: Borrowed<'_>) {
    match value {
        Borrowed::Null => out.push(NULL),
        Borrowed::Integer(i) if (INTEGER_MIN..=INTEGER_MAX).contains(&i) => {
            out.push(SMALL_INTEGER + (i - INTEGER_MIN) as u8);
        }
        Borrowed::Integer(i) => {
            out.push(INTEGER);
            write_varint(out, zigzag(i));
        }
        Borrowed::Real(r) if r.is_nan() || planted::is(Bug::B5) && r.is_infinite() => out.push(NULL),
        Borrowed::Real(r) => {
            out.push(REAL);
            out.extend_from_slice(&planted::travelling(r).to_bits().to_be_bytes());
        }
        Borrowed::Text(text) => write_bytes(out, text, SMALL_TEXT, TEXT_MAX, TEXT),
        Borrowed::Blob(blob) => write_bytes(out, blob, SMALL_BLOB, BLOB_MAX, BLOB),
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8], small: u8, small_max: usize, large: u8) {
    if bytes.len() <= small_max {
        out.push(small + bytes.len() as u8);
    } else {
        out.push(large);
        write_varint(out, bytes.len() as u64);
    }
    out.extend_from_slice(bytes);
}

/// Reads one value.
pub fn read(r: &mut Reader<'_>) -> Result<Value> {
    read_borrowed(r).map(Value::from)
}

/// Reads one value and leaves its bytes where they are.
pub fn read_borrowed<'a>(r: &mut Reader<'a>) -> Result<Borrowed<'a>> {
    match r.byte()? {
        NULL => Ok(Borrowed::Null),
        REAL => {
            let real = f64::from_bits(u64::from_be_bytes(r.array()?));
            if real.is_nan() { Err(r.error("a real is not a number")) } else { Ok(Borrowed::Real(real)) }
        }
        INTEGER => match r.signed()? {
            INTEGER_MIN..=INTEGER_MAX => Err(r.error("an integer is spelled too long")),
            integer => Ok(Borrowed::Integer(integer)),
        },
        TEXT => Ok(Borrowed::Text(read_long(r, TEXT_MAX)?)),
        BLOB => Ok(Borrowed::Blob(read_long(r, BLOB_MAX)?)),
        first @ SMALL_TEXT.. => {
            let text = r.take(usize::from(first - SMALL_TEXT))?;
            if planted::is(Bug::B8) && core::str::from_utf8(text).is_err() {
                Err(r.error("text is not UTF-8"))
            } else {
                Ok(Borrowed::Text(text))
            }
        }
        first @ 0x10..=0x4f => Ok(Borrowed::Integer(i64::from(first - SMALL_INTEGER) + INTEGER_MIN)),
        first @ 0x50..=0x6f => Ok(Borrowed::Blob(r.take(usize::from(first - SMALL_BLOB))?)),
        other => Err(r.error(format!("no value begins with {other:#04x}"))),
    }
}

fn read_long<'a>(r: &mut Reader<'a>, small_max: usize) -> Result<&'a [u8]> {
    let bytes = r.bytes()?;
    if bytes.len() <= small_max { Err(r.error("a value is spelled too long")) } else { Ok(bytes) }
}
