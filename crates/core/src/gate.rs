//! Gates: what must hold of the rows as a merge leaves them, and what came of looking.
//!
//! Invariant: what cannot be told does not pass: a gate that broke blocks, whatever its severity.
//! Invariant: NULL fulfils every rule but `not-null`, as it does a CHECK. Numbers are compared by value, text and blobs by
//! bytes; values of different kinds are never equal, and none is above the other.
//! Deliberately absent: regular expressions, JSON and SQL, which the library looks after, and the text they are declared in.
mod declared;
#[cfg(test)]
mod tests;

pub use declared::{DEFAULT_TIME_LIMIT_MS, KEYS, TIME_LIMIT_MS_MAX, Term};

use crate::scope::order;
use crate::value::{Key, Value};
use alloc::{string::String, vec::Vec};
use core::cmp::Ordering;

/// The most failing rows that a result shows.
pub const SAMPLES_MAX: usize = 10;
/// The most cells that a sample shows.
pub const SAMPLE_CELLS_MAX: usize = 20;
/// The most bytes of a text or blob that a sample shows.
pub const SAMPLE_BYTES_MAX: usize = 200;

/// A declared validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Its name, one of its kind in a policy.
    pub name: String,
    /// What its failing means.
    pub severity: Severity,
    /// Which rows are looked at.
    pub rows: Rows,
    /// How long it may take, in milliseconds.
    pub time_limit_ms: u64,
    /// What must hold.
    pub rule: Rule,
}

/// What the failing of a gate means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Severity {
    /// There is no merge.
    #[default]
    Block,
    /// It is said.
    Warn,
}

impl Severity {
    /// Every severity.
    pub const ALL: [Severity; 2] = [Severity::Block, Severity::Warn];
    /// The name used in policies and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Block => "block",
            Severity::Warn => "warn",
        }
    }
}

/// Which rows a gate looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rows {
    /// All that are there.
    #[default]
    All,
    /// Those that the merge wrote.
    Changed,
}

impl Rows {
    /// Every choice.
    pub const ALL: [Rows; 2] = [Rows::All, Rows::Changed];
    /// The name used in policies and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Rows::All => "all",
            Rows::Changed => "changed",
        }
    }
}

/// What must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Each cell of a column is as it must be.
    Cell {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// How it must be.
        must: Must,
    },
    /// In each row one cell relates to another so.
    Relation {
        /// The table.
        table: String,
        /// The column on the left.
        column: String,
        /// How they relate.
        relation: Relation,
        /// The column on the right.
        other: String,
    },
    /// No two rows have the same values in these columns, as the columns' collations compare them. NULL is like nothing.
    Unique {
        /// The table.
        table: String,
        /// The columns.
        columns: Vec<String>,
    },
    /// Each row's values in these columns, where none is NULL, are some row's of another table.
    ForeignKey {
        /// The table.
        table: String,
        /// The columns.
        columns: Vec<String>,
        /// The other table.
        parent: String,
        /// Its columns; none for its key.
        parent_columns: Vec<String>,
    },
    /// A table has so many rows.
    RowCount {
        /// The table.
        table: String,
        /// At least.
        min: Option<u64>,
        /// At most.
        max: Option<u64>,
    },
    /// A query finds nothing.
    NoRows {
        /// One SELECT.
        sql: String,
    },
}

impl Rule {
    /// The name used in policies and JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Rule::Cell { must, .. } => must.name(),
            Rule::Relation { .. } => "relation",
            Rule::Unique { .. } => "unique",
            Rule::ForeignKey { .. } => "foreign-key",
            Rule::RowCount { .. } => "row-count",
            Rule::NoRows { .. } => "no-rows",
        }
    }

    /// The table it is about; none for a query.
    pub fn table(&self) -> Option<&str> {
        match self {
            Rule::Cell { table, .. }
            | Rule::Relation { table, .. }
            | Rule::Unique { table, .. }
            | Rule::ForeignKey { table, .. }
            | Rule::RowCount { table, .. } => Some(table),
            Rule::NoRows { .. } => None,
        }
    }

    /// The columns of its table that it names.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Rule::Cell { column, .. } => alloc::vec![column],
            Rule::Relation { column, other, .. } => alloc::vec![column, other],
            Rule::Unique { columns, .. } | Rule::ForeignKey { columns, .. } => columns.iter().map(String::as_str).collect(),
            Rule::RowCount { .. } | Rule::NoRows { .. } => Vec::new(),
        }
    }
}

/// How a cell must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Must {
    /// Not NULL.
    NotNull,
    /// One of these.
    InSet(Vec<Value>),
    /// Not below the first nor above the second, where they are given. Both are of one kind.
    Range(Option<Value>, Option<Value>),
    /// Text in which this regular expression finds something.
    Pattern(String),
    /// Text of at least and at most so many characters, or a blob of so many bytes.
    Length(Option<u64>, Option<u64>),
    /// Text that is JSON as this schema describes.
    JsonSchema(String),
}

/// Says whether a text is as a pattern or a JSON schema has it; an error where that cannot be told.
pub type JudgeText<'a> = &'a mut dyn FnMut(&[u8]) -> core::result::Result<bool, String>;

impl Must {
    /// The name used in policies and JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Must::NotNull => "not-null",
            Must::InSet(_) => "in-set",
            Must::Range(..) => "range",
            Must::Pattern(_) => "pattern",
            Must::Length(..) => "length",
            Must::JsonSchema(_) => "json-schema",
        }
    }

    /// True where a cell is as it must be; an error where that cannot be told.
    ///
    /// | rule | NULL | holds of |
    /// |---|---|---|
    /// | `not-null` | fails | everything else |
    /// | `in-set` | holds | a number of the same value (1 and 1.0), text or a blob of the same bytes |
    /// | `range` | holds | numbers between numbers; text between texts, by bytes |
    /// | `pattern`, `json-schema` | holds | text of which `text` says so |
    /// | `length` | holds | text by characters, blobs by bytes |
    pub fn judge(&self, value: &Value, text: JudgeText<'_>) -> core::result::Result<bool, String> {
        if value.is_null() {
            return Ok(*self != Must::NotNull);
        }
        Ok(match self {
            Must::NotNull => true,
            Must::InSet(values) => values.iter().any(|one| order(value, one) == Some(Ordering::Equal)),
            Must::Range(min, max) => {
                let is_above = |min: &Value| order(value, min).is_some_and(Ordering::is_ge);
                let is_below = |max: &Value| order(value, max).is_some_and(Ordering::is_le);
                min.as_ref().is_none_or(is_above) && max.as_ref().is_none_or(is_below)
            }
            Must::Length(min, max) => length(value).is_some_and(|found| is_between(found, *min, *max)),
            Must::Pattern(_) | Must::JsonSchema(_) => match value {
                Value::Text(bytes) => return text(bytes),
                _ => false,
            },
        })
    }
}

/// True where a number is neither below the one nor above the other.
pub fn is_between(found: u64, min: Option<u64>, max: Option<u64>) -> bool {
    min.is_none_or(|min| found >= min) && max.is_none_or(|max| found <= max)
}

/// Characters are counted as the bytes that begin one, so that text which is no UTF-8 has a length, too.
fn length(value: &Value) -> Option<u64> {
    match value {
        Value::Text(bytes) => Some(bytes.iter().filter(|&&byte| byte & 0xc0 != 0x80).count() as u64),
        Value::Blob(bytes) => Some(bytes.len() as u64),
        _ => None,
    }
}

/// How two cells of a row relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// The same number, or the same bytes.
    Equal,
    /// Not so.
    Unequal,
    /// Below, in the order of numbers or of bytes.
    Less,
    /// Not above.
    LessOrEqual,
    /// Above.
    Greater,
    /// Not below.
    GreaterOrEqual,
}

impl Relation {
    /// Every relation.
    pub const ALL: [Relation; 6] =
        [Relation::Equal, Relation::Unequal, Relation::Less, Relation::LessOrEqual, Relation::Greater, Relation::GreaterOrEqual];
    /// The name used in policies and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Relation::Equal => "=",
            Relation::Unequal => "!=",
            Relation::Less => "<",
            Relation::LessOrEqual => "<=",
            Relation::Greater => ">",
            Relation::GreaterOrEqual => ">=",
        }
    }

    /// True where two cells relate so. NULL relates to everything; values of different kinds are unequal, and neither is
    /// above the other.
    pub fn judge(self, one: &Value, other: &Value) -> bool {
        if one.is_null() || other.is_null() {
            return true;
        }
        let order = order(one, other);
        match self {
            Relation::Equal => order == Some(Ordering::Equal),
            Relation::Unequal => order != Some(Ordering::Equal),
            Relation::Less => order == Some(Ordering::Less),
            Relation::LessOrEqual => order.is_some_and(Ordering::is_le),
            Relation::Greater => order == Some(Ordering::Greater),
            Relation::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        }
    }
}

/// What came of a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateResult {
    /// The gate.
    pub gate: String,
    /// What its failing means.
    pub severity: Severity,
    /// How it went.
    pub outcome: Outcome,
}

impl GateResult {
    /// True where it stands in the way of a merge.
    pub fn is_blocking(&self) -> bool {
        match self.outcome {
            Outcome::Passed => false,
            Outcome::Failed { .. } => self.severity == Severity::Block,
            Outcome::Broke { .. } => true,
        }
    }
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not.
    Failed {
        /// How many rows are not as they must be; where rows are counted, how many there are.
        rows: u64,
        /// Some of them, at most [`SAMPLES_MAX`].
        samples: Vec<Sample>,
    },
    /// Nobody knows: it was cut off, or names what is not there.
    Broke {
        /// Why.
        why: String,
    },
}

/// A row that is not as it must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Its table; empty for what a query found.
    pub table: String,
    /// Its key; empty for what a query found.
    pub key: Key,
    /// The columns that the gate looks at and what is in them.
    pub cells: Vec<(String, Value)>,
    /// True where something was too long to be shown whole.
    pub is_cut: bool,
}

impl Sample {
    /// Shows a row, at most [`SAMPLE_CELLS_MAX`] cells of at most [`SAMPLE_BYTES_MAX`] bytes.
    pub fn new<'v>(table: &str, key: &[Value], cells: impl Iterator<Item = (&'v str, &'v Value)>) -> Self {
        let mut sample = Sample { table: String::from(table), ..Sample::default() };
        for value in key {
            let shown = sample.shown(value);
            sample.key.push(shown);
        }
        for (number, (column, value)) in cells.enumerate() {
            if number == SAMPLE_CELLS_MAX {
                sample.is_cut = true;
                break;
            }
            let shown = sample.shown(value);
            sample.cells.push((String::from(column), shown));
        }
        sample
    }

    fn shown(&mut self, value: &Value) -> Value {
        match value {
            Value::Text(bytes) if bytes.len() > SAMPLE_BYTES_MAX => {
                self.is_cut = true;
                // Not in the middle of a character.
                let begins = |at: &usize| bytes[*at] & 0xc0 != 0x80;
                let end = (SAMPLE_BYTES_MAX - 3..=SAMPLE_BYTES_MAX).rev().find(begins).unwrap_or(SAMPLE_BYTES_MAX);
                Value::Text(bytes[..end].to_vec())
            }
            Value::Blob(bytes) if bytes.len() > SAMPLE_BYTES_MAX => {
                self.is_cut = true;
                Value::Blob(bytes[..SAMPLE_BYTES_MAX].to_vec())
            }
            other => other.clone(),
        }
    }
}
