//! How two edits of one cell combine, as a pure function of what both started from and what both made of it.
//!
//! Invariant: which side is called ours makes no difference: sides are put in the order of their stamps before any
//! strategy looks at them. Invariant: a value that is let go is in a conflict; a strategy that meets values it
//! cannot combine leaves them to a person, with the earlier one holding.
mod collection;
mod json;
#[cfg(test)]
mod tests;

use crate::change::Choice;
use crate::planted::{self, Bug};
use crate::stamp::Stamp;
use crate::text;
use crate::value::Value;
use core::cmp::Ordering;

/// How concurrent edits of one cell combine.
///
/// | strategy | both changed one cell differently | conflict |
/// |---|---|---|
/// | last-write-wins | the later stamp holds | answered |
/// | priority | the higher rank holds; of equal ranks the later stamp | answered |
/// | primary-wins | a write straight at the primary holds; of two replicas the earlier stamp | answered |
/// | replica-wins | a replica's write holds against the primary's; of two replicas the later stamp | answered |
/// | manual, strict | the earlier stamp holds until a person answers | open |
/// | text | three-way merge; overlapping edits as manual | none, or open |
/// | counter | both differences are added, also where both sides are equal | none, or open |
/// | max, min | the greater or smaller in [`sqlite_order`] | answered |
/// | set, list | parts added by either are in, parts removed by either are out | none |
/// | json | objects by key; what both changed differently as manual | none, or open |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strategy {
    /// The later stamp wins.
    #[default]
    LastWriteWins,
    /// The higher rank wins.
    Priority,
    /// A write straight at the primary wins.
    PrimaryWins,
    /// A replica's write wins.
    ReplicaWins,
    /// A person decides.
    Manual,
    /// Three-way merge of text inside the cell.
    Text,
    /// Differences add up.
    Counter,
    /// The greater wins.
    Max,
    /// The smaller wins.
    Min,
    /// A set of parts.
    Set,
    /// A sequence of parts.
    List,
    /// Objects by key.
    Json,
    /// Any two edits of one row conflict (for a table); as manual for a column.
    Strict,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Strategy; 13] = [
        Strategy::LastWriteWins,
        Strategy::Priority,
        Strategy::PrimaryWins,
        Strategy::ReplicaWins,
        Strategy::Manual,
        Strategy::Text,
        Strategy::Counter,
        Strategy::Max,
        Strategy::Min,
        Strategy::Set,
        Strategy::List,
        Strategy::Json,
        Strategy::Strict,
    ];
    /// The name used in policies and conflicts.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::LastWriteWins => "last-write-wins",
            Strategy::Priority => "priority",
            Strategy::PrimaryWins => "primary-wins",
            Strategy::ReplicaWins => "replica-wins",
            Strategy::Manual => "manual",
            Strategy::Text => "text",
            Strategy::Counter => "counter",
            Strategy::Max => "max",
            Strategy::Min => "min",
            Strategy::Set => "set",
            Strategy::List => "list",
            Strategy::Json => "json",
            Strategy::Strict => "strict",
        }
    }
    /// The strategy of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
    /// True where a merge may be a value that neither side wrote.
    pub fn combines(self) -> bool {
        matches!(self, Strategy::Text | Strategy::Counter | Strategy::Set | Strategy::List | Strategy::Json)
    }
}

/// What a strategy needs to know besides the values.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// What separates the parts of a set or list. None: a JSON array where both sides are one, else a comma.
    pub delimiter: Option<&'a str>,
}

/// One side's cell.
#[derive(Clone, Debug)]
pub struct CellSide<'a> {
    /// Its value.
    pub value: &'a Value,
    /// When and where it was written.
    pub stamp: Stamp,
    /// Who wrote it.
    pub actor: &'a str,
    /// Its rank for [`Strategy::Priority`], compared by [`sqlite_order`].
    pub rank: Value,
    /// True where it was written straight at the primary.
    pub is_primary: bool,
}

/// What becomes of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellOutcome {
    /// Nothing was let go.
    Agreed(Value),
    /// The strategy chose; the other value belongs into an answered conflict.
    Answered {
        /// What holds.
        value: Value,
        /// Whose value that is.
        choice: Choice,
    },
    /// A person must choose.
    Open {
        /// What holds until then.
        value: Value,
        /// Whose value that is.
        held: Choice,
    },
}

impl CellOutcome {
    /// What holds.
    pub fn value(&self) -> &Value {
        match self {
            CellOutcome::Agreed(value) | CellOutcome::Answered { value, .. } | CellOutcome::Open { value, .. } => value,
        }
    }
}

/// The sides in the order of their stamps, so that nothing below can depend on which was ours.
struct Sorted<'a> {
    base: &'a Value,
    early: &'a CellSide<'a>,
    late: &'a CellSide<'a>,
}

/// Which of two sorted sides holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pick {
    Early,
    Late,
}

enum Outcome {
    Agreed(Value),
    Answered(Pick),
    Open(Pick),
    OpenMerged(Value),
}

/// A merge that could not be, and a person must decide.
const MANUAL: Outcome = Outcome::Open(Pick::Early);

/// Decides one cell. Equal bytes on both sides, or one side as in the base, is never a conflict.
pub fn merge_cell(strategy: Strategy, context: &Context<'_>, base: &Value, ours: &CellSide<'_>, theirs: &CellSide<'_>) -> CellOutcome {
    if ours.value == base {
        return CellOutcome::Agreed(theirs.value.clone());
    }
    if theirs.value == base {
        return CellOutcome::Agreed(ours.value.clone());
    }
    // Two equal increments are two increments; for every other strategy two equal edits are one.
    if ours.value == theirs.value && (strategy != Strategy::Counter || planted::is(Bug::X1)) {
        return CellOutcome::Agreed(ours.value.clone());
    }
    let is_ours_early = match () {
        () if planted::is(Bug::G4) => ours.stamp.time < theirs.stamp.time,
        () => (ours.stamp, ours.value) <= (theirs.stamp, theirs.value) && !planted::is(Bug::G6),
    };
    let (early, late) = if is_ours_early { (ours, theirs) } else { (theirs, ours) };
    let choice = |pick: Pick| {
        if (pick == Pick::Early) == is_ours_early { Choice::Ours } else { Choice::Theirs }
    };
    let value = |pick: Pick| if pick == Pick::Early { early.value.clone() } else { late.value.clone() };
    match combine(strategy, context, &Sorted { base, early, late }) {
        Outcome::Agreed(value) => CellOutcome::Agreed(value),
        Outcome::Answered(pick) => CellOutcome::Answered { value: value(pick), choice: choice(pick) },
        Outcome::Open(_) if ours.value == theirs.value => CellOutcome::Agreed(ours.value.clone()),
        Outcome::Open(pick) => CellOutcome::Open { value: value(pick), held: choice(pick) },
        Outcome::OpenMerged(value) => CellOutcome::Open { value, held: Choice::Merged },
    }
}

fn combine(strategy: Strategy, context: &Context<'_>, sides: &Sorted<'_>) -> Outcome {
    let Sorted { base, early, late } = *sides;
    match strategy {
        Strategy::LastWriteWins => Outcome::Answered(Pick::Late),
        Strategy::Priority => Outcome::Answered(match sqlite_order(&early.rank, &late.rank) {
            Ordering::Greater => Pick::Early,
            _ => Pick::Late,
        }),
        Strategy::PrimaryWins => Outcome::Answered(match (early.is_primary, late.is_primary) {
            (false, true) => Pick::Late,
            _ => Pick::Early,
        }),
        Strategy::ReplicaWins => Outcome::Answered(match (early.is_primary, late.is_primary) {
            (false, true) => Pick::Early,
            _ => Pick::Late,
        }),
        Strategy::Manual | Strategy::Strict => MANUAL,
        Strategy::Max => extreme(early, late, Ordering::Greater),
        Strategy::Min => extreme(early, late, Ordering::Less),
        Strategy::Counter => match count(base, early.value, late.value) {
            Some(sum) => Outcome::Agreed(sum),
            None => MANUAL,
        },
        Strategy::Text => merge_text(base, early.value, late.value),
        Strategy::Set | Strategy::List => {
            let texts = collection::Texts { base, early: early.value, late: late.value };
            match collection::merge(strategy == Strategy::List, context.delimiter, &texts) {
                Some(merged) => Outcome::Agreed(merged),
                None => MANUAL,
            }
        }
        Strategy::Json => match json_texts(base, early.value, late.value) {
            Some([base, early, late]) => match json::merge(base, early, late) {
                Some(merged) if merged.is_clean => Outcome::Agreed(Value::Text(merged.text)),
                Some(merged) if merged.text == early => MANUAL,
                Some(merged) => Outcome::OpenMerged(Value::Text(merged.text)),
                None => MANUAL,
            },
            None => MANUAL,
        },
    }
}

fn extreme(early: &CellSide<'_>, late: &CellSide<'_>, wanted: Ordering) -> Outcome {
    let is_early = sqlite_order(early.value, late.value) == wanted;
    Outcome::Answered(if is_early { Pick::Early } else { Pick::Late })
}

/// Bytes of text; a base that was NULL counts as empty, so that two first texts can still be combined.
fn text_or_empty(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Text(bytes) => Some(bytes),
        Value::Null => Some(b""),
        _ => None,
    }
}

fn text_of(value: &Value) -> Option<&[u8]> {
    if let Value::Text(bytes) = value { Some(bytes) } else { None }
}

fn merge_text(base: &Value, early: &Value, late: &Value) -> Outcome {
    let (Some(base), Some(early), Some(late)) = (text_or_empty(base), text_of(early), text_of(late)) else {
        return MANUAL;
    };
    match text::merge(base, early, late) {
        text::Merged::Clean(bytes) => Outcome::Agreed(Value::Text(bytes)),
        text::Merged::Overlapping(_) => MANUAL,
    }
}

fn json_texts<'a>(base: &'a Value, early: &'a Value, late: &'a Value) -> Option<[&'a [u8]; 3]> {
    let base = if base.is_null() { b"{}" } else { text_of(base)? };
    Some([base, text_of(early)?, text_of(late)?])
}

/// Base plus both differences. Integers exactly, none on overflow. Where any is a real, doubles: the two differences
/// are rounded, then their sum, then its sum with the base (addition commutes, so the sides may be swapped);
/// none where an integer has no exact double, or the sum is not finite. None where any is not a number.
fn count(base: &Value, early: &Value, late: &Value) -> Option<Value> {
    if let (Value::Integer(b), Value::Integer(x), Value::Integer(y)) = (base, early, late) {
        let sum = i128::from(*x) + i128::from(*y) - i128::from(*b);
        return i64::try_from(sum).ok().map(Value::Integer);
    }
    let (b, x, y) = (exact_double(base)?, exact_double(early)?, exact_double(late)?);
    let sum = b + ((x - b) + (y - b));
    sum.is_finite().then_some(Value::Real(sum))
}

fn exact_double(value: &Value) -> Option<f64> {
    const EXACT: i64 = 1 << 53;
    match value {
        Value::Integer(i) if (-EXACT..=EXACT).contains(i) => Some(*i as f64),
        Value::Real(r) => Some(*r),
        _ => None,
    }
}

/// SQLite's order of values, made total: NULL, then numbers by value, then text by bytes, then blobs by bytes.
/// Numbers that are equal but not the same (1 and 1.0, -0.0 and 0.0) are ordered as [`Value`] orders them.
pub fn sqlite_order(a: &Value, b: &Value) -> Ordering {
    let by_number = match (a, b) {
        (Value::Integer(i), Value::Real(r)) => integer_to_real(*i, *r),
        (Value::Real(r), Value::Integer(i)) => integer_to_real(*i, *r).reverse(),
        (Value::Real(x), Value::Real(y)) => x.partial_cmp(y).unwrap_or(Ordering::Equal),
        _ => Ordering::Equal,
    };
    by_number.then_with(|| a.cmp(b))
}

fn integer_to_real(i: i64, r: f64) -> Ordering {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if r >= LIMIT {
        return Ordering::Less;
    }
    if r < -LIMIT {
        return Ordering::Greater;
    }
    // Within the limits the whole part of a double is an exact integer, and that integer an exact double.
    let whole = r as i64;
    i.cmp(&whole).then_with(|| (whole as f64).partial_cmp(&r).unwrap_or(Ordering::Equal))
}
