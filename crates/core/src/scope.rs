//! What a partial replica sees: tables, and of a table the rows that fulfil a filter on their cells.
//!
//! Invariant: what cannot be judged is hidden: a table that is not named, a column that is not there.
//! Invariant: a scope and its text are one to one: what is printed reads back as the same.
//! Deliberately absent: SQL. A filter means the same on every machine and with every version of SQLite.
#[cfg(test)]
mod tests;
mod text;

use crate::event::Digest;
use crate::value::{Row, Value};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The same storage class and bytes.
    Equal,
    /// Not so.
    Unequal,
    /// Before, in the order of numbers, of text bytes, or of blob bytes.
    Less,
    /// Before, or neither before nor after.
    LessOrEqual,
    /// After.
    Greater,
    /// After, or neither before nor after.
    GreaterOrEqual,
}

/// What a row must be like. Two-valued: a comparison with NULL does not hold, and its negation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Every row, or none.
    Always(bool),
    /// A cell compared with a value that is not NULL.
    Compare {
        /// The column.
        column: String,
        /// How.
        comparison: Comparison,
        /// With what.
        value: Value,
    },
    /// A cell is one of these, none of which is NULL.
    In {
        /// The column.
        column: String,
        /// The values, at least one.
        values: Vec<Value>,
    },
    /// A cell is NULL.
    IsNull {
        /// The column.
        column: String,
    },
    /// All of them hold.
    And(Vec<Filter>),
    /// One of them holds.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
}

impl Filter {
    /// True where a row fulfils it. A column that is not among `columns` hides the row, whatever else the filter says.
    pub fn sees(&self, columns: &[String], row: &Row) -> bool {
        self.holds(columns, row).unwrap_or(false)
    }

    fn holds(&self, columns: &[String], row: &Row) -> Option<bool> {
        let cell = |name: &String| columns.iter().position(|c| c.eq_ignore_ascii_case(name)).and_then(|at| row.get(at));
        Some(match self {
            Filter::Always(holds) => *holds,
            Filter::Compare { column, comparison, value } => comparison.holds(cell(column)?, value),
            Filter::In { column, values } => {
                let cell = cell(column)?;
                values.contains(cell)
            }
            Filter::IsNull { column } => cell(column)?.is_null(),
            // Every part is asked, so that a column that is not there is not overlooked.
            Filter::And(parts) => parts.iter().try_fold(true, |all, part| Some(part.holds(columns, row)? && all))?,
            Filter::Or(parts) => parts.iter().try_fold(false, |any, part| Some(part.holds(columns, row)? || any))?,
            Filter::Not(part) => !part.holds(columns, row)?,
        })
    }

    /// The columns it looks at.
    pub fn columns(&self) -> BTreeSet<&str> {
        let mut columns = BTreeSet::new();
        self.collect(&mut columns);
        columns
    }

    fn collect<'a>(&'a self, columns: &mut BTreeSet<&'a str>) {
        match self {
            Filter::Always(_) => {}
            Filter::Compare { column, .. } | Filter::In { column, .. } | Filter::IsNull { column } => {
                columns.insert(column);
            }
            Filter::And(parts) | Filter::Or(parts) => parts.iter().for_each(|part| part.collect(columns)),
            Filter::Not(part) => part.collect(columns),
        }
    }

    /// The same filter over columns of other names.
    pub fn renamed(&self, name: &dyn Fn(&str) -> String) -> Filter {
        let parts = |parts: &[Filter]| parts.iter().map(|part| part.renamed(name)).collect();
        match self {
            Filter::Always(holds) => Filter::Always(*holds),
            Filter::Compare { column, comparison, value } => {
                Filter::Compare { column: name(column), comparison: *comparison, value: value.clone() }
            }
            Filter::In { column, values } => Filter::In { column: name(column), values: values.clone() },
            Filter::IsNull { column } => Filter::IsNull { column: name(column) },
            Filter::And(all) => Filter::And(parts(all)),
            Filter::Or(any) => Filter::Or(parts(any)),
            Filter::Not(part) => Filter::Not(Box::new(part.renamed(name))),
        }
    }

    /// True where it lets every row through by its form.
    pub fn is_everything(&self) -> bool {
        *self == Filter::Always(true)
    }

    /// True where it lets no row through by its form.
    pub fn is_nothing(&self) -> bool {
        *self == Filter::Always(false)
    }

    /// What fulfils both.
    pub fn and(self, other: Filter) -> Filter {
        match (self, other) {
            (Filter::Always(true), one) | (one, Filter::Always(true)) => one,
            (Filter::Always(false), _) | (_, Filter::Always(false)) => Filter::Always(false),
            (one, other) if one == other => one,
            (one, other) => {
                let parts = |filter| if let Filter::And(parts) = filter { parts } else { vec![filter] };
                Filter::And(parts(one).into_iter().chain(parts(other)).collect())
            }
        }
    }
}

impl Comparison {
    fn holds(self, cell: &Value, value: &Value) -> bool {
        if cell.is_null() {
            return false;
        }
        let order = || order(cell, value);
        match self {
            Comparison::Equal => cell == value,
            Comparison::Unequal => cell != value,
            Comparison::Less => order() == Some(Ordering::Less),
            Comparison::LessOrEqual => matches!(order(), Some(Ordering::Less | Ordering::Equal)),
            Comparison::Greater => order() == Some(Ordering::Greater),
            Comparison::GreaterOrEqual => matches!(order(), Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

/// The order of two values of one kind; none between kinds.
pub(crate) fn order(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
        (Value::Real(a), Value::Real(b)) => a.partial_cmp(b),
        (Value::Integer(a), Value::Real(b)) => integer_and_real(*a, *b),
        (Value::Real(a), Value::Integer(b)) => integer_and_real(*b, *a).map(Ordering::reverse),
        (Value::Text(a), Value::Text(b)) | (Value::Blob(a), Value::Blob(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Exact where a conversion of either would round.
fn integer_and_real(integer: i64, real: f64) -> Option<Ordering> {
    /// 2^63, the first double above every integer.
    const ABOVE: f64 = 9_223_372_036_854_775_808.0;
    if real.is_nan() {
        return None;
    }
    if real >= ABOVE {
        return Some(Ordering::Less);
    }
    if real < -ABOVE {
        return Some(Ordering::Greater);
    }
    let whole = real as i64;
    Some(integer.cmp(&whole).then_with(|| (whole as f64).partial_cmp(&real).unwrap_or(Ordering::Equal)))
}

/// One table and what is seen of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The table.
    pub table: String,
    /// Its rows.
    pub filter: Filter,
}

/// What a replica sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The tables, by name; none where everything is seen, tables that are to come included.
    parts: Option<Vec<Part>>,
}

impl Scope {
    /// Everything there is and will be.
    pub fn everything() -> Self {
        Scope { parts: None }
    }

    /// These tables. Of a table that is named twice, what either names is seen.
    pub fn of(parts: impl IntoIterator<Item = Part>) -> Self {
        let mut known: Vec<Part> = Vec::new();
        for part in parts {
            match known.iter_mut().find(|k| k.table.eq_ignore_ascii_case(&part.table)) {
                Some(there) => there.filter = either(there.filter.clone(), part.filter),
                None => known.push(part),
            }
        }
        known.sort_by_cached_key(|part| part.table.to_ascii_lowercase());
        Scope { parts: Some(known) }
    }

    /// True where nothing is hidden by it.
    pub fn is_everything(&self) -> bool {
        self.parts.is_none()
    }

    /// The tables it names, by name; none where it is everything.
    pub fn parts(&self) -> Option<&[Part]> {
        self.parts.as_deref()
    }

    /// What is seen of a table; none where it is hidden.
    pub fn filter(&self, table: &str) -> Option<Filter> {
        match &self.parts {
            None => Some(Filter::Always(true)),
            Some(parts) => parts.iter().find(|p| p.table.eq_ignore_ascii_case(table)).map(|p| p.filter.clone()),
        }
    }

    /// True where a row is seen.
    pub fn sees(&self, table: &str, columns: &[String], row: &Row) -> bool {
        self.filter(table).is_some_and(|filter| filter.sees(columns, row))
    }

    /// What both see.
    pub fn and(&self, other: &Scope) -> Scope {
        match (&self.parts, &other.parts) {
            (None, _) => other.clone(),
            (_, None) => self.clone(),
            (Some(parts), Some(_)) => {
                let both = |part: &Part| {
                    let filter = part.filter.clone().and(other.filter(&part.table)?);
                    Some(Part { table: part.table.clone(), filter })
                };
                Scope { parts: Some(parts.iter().filter_map(both).collect()) }
            }
        }
    }

    /// Names what is seen, for comparison: all zeros for everything.
    pub fn mark(&self) -> Digest {
        if self.is_everything() {
            return Digest::default();
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"mainstem scope 1\n");
        hasher.update(self.to_string().as_bytes());
        *hasher.finalize().as_bytes()
    }
}

fn either(one: Filter, other: Filter) -> Filter {
    match (one, other) {
        (Filter::Always(true), _) | (_, Filter::Always(true)) => Filter::Always(true),
        (Filter::Always(false), one) | (one, Filter::Always(false)) => one,
        (one, other) if one == other => one,
        (one, other) => {
            let parts = |filter| if let Filter::Or(parts) = filter { parts } else { vec![filter] };
            Filter::Or(parts(one).into_iter().chain(parts(other)).collect())
        }
    }
}
