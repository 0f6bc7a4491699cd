//! The replica protocol's words: how what [`mainstem::primary::Primary`] takes and gives travels as bytes.
//!
//! A record is its length and its fields in order; a reader skips fields that it does not know, so a later writer may add
//! some at the end. Pages, events, conflicts and schemas travel in the formats of the core, unchanged.
//! Invariant: decoders are total: any bytes give a value or an error, in time and memory proportional to their length.
pub mod access;
pub mod audit;
pub mod call;
pub mod event;
pub mod failure;
mod fields;
pub mod frame;
pub mod given;
pub mod keeping;
pub mod proposal;
pub mod request;
pub mod resume;
mod review;
pub mod reviewed;
pub mod schema;
pub mod scope;
pub mod shown;
pub mod staged;
#[cfg(test)]
mod tests;

use mainstem::core::error::Result;
use mainstem::core::event::Digest;
use mainstem::core::format::{Reader, Writer, value};
use mainstem::core::value::Value;
use std::sync::Arc;

/// Something that travels.
pub trait Wire: Sized {
    /// Appends it.
    fn put(&self, w: &mut Writer);
    /// Reads it.
    fn get(r: &mut Reader<'_>) -> Result<Self>;

    /// It as bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::default();
        self.put(&mut w);
        w.0
    }
    /// Reads bytes that are it and nothing else.
    fn from_bytes(what: &'static str, bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(what, bytes);
        let it = Self::get(&mut r)?;
        r.finish()?;
        Ok(it)
    }
}

/// Fields in order, with the length of them all before.
macro_rules! records {
    ($($name:ident { $($field:ident),* $(,)? })*) => { $(
        impl $crate::wire::Wire for $name {
            fn put(&self, w: &mut ::mainstem::core::format::Writer) {
                w.nested(|w| { let _ = &w; $($crate::wire::Wire::put(&self.$field, w);)* });
            }
            fn get(r: &mut ::mainstem::core::format::Reader<'_>) -> ::mainstem::core::error::Result<Self> {
                let mut r = r.nested()?;
                let _ = &mut r;
                $(let $field = $crate::wire::Wire::get(&mut r)?;)*
                Ok($name { $($field),* })
            }
        }
    )* };
}
pub(crate) use records;

/// A number for each variant, and its fields.
macro_rules! variants {
    ($($name:ident { $($tag:literal => $variant:ident $({ $($field:ident),* })? $(( $($item:ident),* ))?),* $(,)? })*) => { $(
        impl $crate::wire::Wire for $name {
            fn put(&self, w: &mut ::mainstem::core::format::Writer) {
                match self {
                    $($name::$variant $({ $($field),* })? $(( $($item),* ))? => {
                        w.byte($tag);
                        $($($crate::wire::Wire::put($field, w);)*)?
                        $($($crate::wire::Wire::put($item, w);)*)?
                    })*
                }
            }
            fn get(r: &mut ::mainstem::core::format::Reader<'_>) -> ::mainstem::core::error::Result<Self> {
                match r.byte()? {
                    $($tag => {
                        $($(let $field = $crate::wire::Wire::get(r)?;)*)?
                        $($(let $item = $crate::wire::Wire::get(r)?;)*)?
                        Ok($name::$variant $({ $($field),* })? $(( $($item),* ))?)
                    })*
                    other => Err(r.error(format!("{other} is no {}", stringify!($name)))),
                }
            }
        }
    )* };
}
pub(crate) use variants;

impl Wire for () {
    fn put(&self, _: &mut Writer) {}
    fn get(_: &mut Reader<'_>) -> Result<Self> {
        Ok(())
    }
}

impl Wire for u64 {
    fn put(&self, w: &mut Writer) {
        w.varint(*self);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        r.varint()
    }
}

impl Wire for u32 {
    fn put(&self, w: &mut Writer) {
        w.varint(u64::from(*self));
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        u32::try_from(r.varint()?).map_err(|_| r.error("a number is too large"))
    }
}

impl Wire for usize {
    fn put(&self, w: &mut Writer) {
        w.varint(*self as u64);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        r.position()
    }
}

impl Wire for i64 {
    fn put(&self, w: &mut Writer) {
        w.signed(*self);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        r.signed()
    }
}

impl Wire for u128 {
    fn put(&self, w: &mut Writer) {
        w.fixed(&self.to_be_bytes());
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        r.wide()
    }
}

impl Wire for bool {
    fn put(&self, w: &mut Writer) {
        w.byte(u8::from(*self));
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        r.flag()
    }
}

impl Wire for Digest {
    fn put(&self, w: &mut Writer) {
        w.fixed(self);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        r.array()
    }
}

impl Wire for String {
    fn put(&self, w: &mut Writer) {
        w.bytes(self.as_bytes());
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        r.nested()?.text()
    }
}

impl Wire for Arc<str> {
    fn put(&self, w: &mut Writer) {
        w.bytes(self.as_bytes());
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        Ok(r.nested()?.text()?.into())
    }
}

impl Wire for Value {
    fn put(&self, w: &mut Writer) {
        value::write(&mut w.0, self);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        value::read(r)
    }
}

impl<T: Wire> Wire for Arc<T> {
    fn put(&self, w: &mut Writer) {
        T::put(self, w);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        T::get(r).map(Arc::new)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, w: &mut Writer) {
        w.byte(u8::from(self.is_some()));
        if let Some(it) = self {
            it.put(w);
        }
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        if r.flag()? { T::get(r).map(Some) } else { Ok(None) }
    }
}

/// The least bytes that an item of a list takes: what is in memory is then a bounded multiple of what was sent.
const ITEM_BYTES_MIN: usize = 1;

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, w: &mut Writer) {
        w.varint(self.len() as u64);
        for item in self {
            item.put(w);
        }
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        // Grows as items come, so that a large count before few bytes takes no memory.
        (0..r.count(ITEM_BYTES_MIN)?).map(|_| T::get(r)).collect()
    }
}

/// Bytes as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Wire for Bytes {
    fn put(&self, w: &mut Writer) {
        w.bytes(&self.0);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        Ok(Bytes(r.bytes()?.to_vec()))
    }
}

macro_rules! tuples {
    ($($name:ident: $at:tt),*) => {
        impl<$($name: Wire),*> Wire for ($($name,)*) {
            fn put(&self, w: &mut Writer) {
                $(self.$at.put(w);)*
            }
            fn get(r: &mut Reader<'_>) -> Result<Self> {
                Ok(($($name::get(r)?,)*))
            }
        }
    };
}

tuples!(A: 0);
tuples!(A: 0, B: 1);
tuples!(A: 0, B: 1, C: 2);
tuples!(A: 0, B: 1, C: 2, D: 3);
