//! Values, rows and row keys, equal only when storage class and bytes are equal.
//!
//! Invariant: equality, order and hash look at bits, never at collation or numeric value: 1 is not 1.0,
//! 'a' is not 'A', -0.0 is not 0.0. Text is bytes, because SQLite stores text that is not valid UTF-8.
use alloc::{borrow::Cow, string::String, vec::Vec};
use core::cmp::Ordering;
use core::hash::{Hash, Hasher};

/// One SQLite value, to the bit.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// NULL.
    #[default]
    Null,
    /// A 64-bit integer.
    Integer(i64),
    /// A double, any bit pattern but NaN (which SQLite stores as NULL).
    Real(f64),
    /// Text, usually UTF-8 but not always.
    Text(Vec<u8>),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Value {
    /// Text from a string.
    pub fn text(s: impl AsRef<str>) -> Self {
        Value::Text(s.as_ref().as_bytes().to_vec())
    }
    /// True for NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
    /// The name SQLite's `typeof` gives.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Integer(_) => "integer",
            Value::Real(_) => "real",
            Value::Text(_) => "text",
            Value::Blob(_) => "blob",
        }
    }
    /// The integer, if it is one.
    pub fn as_integer(&self) -> Option<i64> {
        if let Value::Integer(i) = self { Some(*i) } else { None }
    }
    /// Text for people, with invalid UTF-8 replaced.
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        if let Value::Text(t) = self { Some(String::from_utf8_lossy(t)) } else { None }
    }
    /// About how many bytes this value occupies in memory.
    pub fn weight(&self) -> usize {
        16 + match self {
            Value::Text(b) | Value::Blob(b) => b.len(),
            _ => 0,
        }
    }
    fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Integer(_) => 1,
            Value::Real(_) => 2,
            Value::Text(_) => 3,
            Value::Blob(_) => 4,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Value {}
impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
            (Value::Real(a), Value::Real(b)) => a.total_cmp(b),
            (Value::Text(a), Value::Text(b)) | (Value::Blob(a), Value::Blob(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}
impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Value::Null => {}
            Value::Integer(i) => i.hash(state),
            Value::Real(r) => r.to_bits().hash(state),
            Value::Text(b) | Value::Blob(b) => b.hash(state),
        }
    }
}
impl From<i64> for Value {
    fn from(i: i64) -> Self {
        Value::Integer(i)
    }
}
impl From<f64> for Value {
    fn from(r: f64) -> Self {
        Value::Real(r)
    }
}
impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Value::text(s)
    }
}

/// The stored (not generated) columns of one row, in the table's column order.
pub type Row = Vec<Value>;

/// The values of a row's primary key, in key order.
pub type Key = Vec<Value>;
