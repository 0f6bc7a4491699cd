//! Keys, rows and named images in bytes.
//!
//! Invariant: the encoding of a key is canonical and injective, so it can be a database key: two keys have equal
//! bytes exactly when they have equal values. It does not keep their order.
use super::bytes::{Reader, Writer};
use super::value;
use crate::conflict::Image;
use crate::error::Result;
use crate::planted::{self, Bug};
use crate::value::{Key, Row, Value};
use alloc::vec::Vec;

/// Encodes a row key.
pub fn encode_key(key: &[Value]) -> Vec<u8> {
    if planted::is(Bug::B9) {
        return encode_values(&key.iter().map(planted::composed).collect::<Vec<Value>>());
    }
    encode_values(key)
}

/// Decodes a row key.
pub fn decode_key(bytes: &[u8]) -> Result<Key> {
    decode_values("row key", bytes)
}

/// Encodes a row.
pub fn encode_row(row: &[Value]) -> Vec<u8> {
    encode_values(row)
}

/// Decodes a row.
pub fn decode_row(bytes: &[u8]) -> Result<Row> {
    decode_values("row", bytes)
}

fn encode_values(values: &[Value]) -> Vec<u8> {
    let mut w = Writer::versioned();
    write_values(&mut w, values);
    w.0
}

fn decode_values(what: &'static str, bytes: &[u8]) -> Result<Vec<Value>> {
    read_values(&mut Reader::versioned(what, bytes)?)
}

/// Appends values; how many is known from where they end.
pub(super) fn write_values(w: &mut Writer, values: &[Value]) {
    values.iter().for_each(|v| value::write(&mut w.0, v));
}

/// Reads values to the end.
pub(super) fn read_values(r: &mut Reader<'_>) -> Result<Vec<Value>> {
    let mut values = Vec::new();
    while !r.is_empty() {
        values.push(value::read(r)?);
    }
    Ok(values)
}

pub(super) fn write_image(w: &mut Writer, image: &Image) {
    for (name, v) in image {
        w.bytes(name.as_bytes());
        value::write(&mut w.0, v);
    }
}

pub(super) fn read_image(r: &mut Reader<'_>) -> Result<Image> {
    let mut image = Image::new();
    while !r.is_empty() {
        let name = r.nested()?.text()?;
        image.push((name, value::read(r)?));
    }
    Ok(image)
}
