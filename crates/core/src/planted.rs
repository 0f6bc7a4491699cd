//! Planted bugs: mistakes that systems like this one have made, each behind a switch, to measure that the tests find them.
//!
//! Invariant: without the feature `planted` every switch is a constant `false`, and what it guards is not compiled in.
//! Deliberately absent: bugs of servers, votes, vaults and other databases, until those are built.
use crate::value::Value;

macro_rules! bugs {
    ($($id:ident $what:literal)*) => {
        /// A planted bug, named by the id of its hazard in the catalogue; `X…` are our own.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Bug {
            $(#[doc = $what] $id,)*
        }

        impl Bug {
            /// Every planted bug.
            pub const ALL: &[Bug] = &[$(Bug::$id),*];

            /// Its id.
            pub fn id(self) -> &'static str {
                match self { $(Bug::$id => stringify!($id)),* }
            }

            /// The mistake.
            pub fn what(self) -> &'static str {
                match self { $(Bug::$id => $what),* }
            }
        }
    };
}

bugs! {
    A1 "Rows that REPLACE takes away are not captured."
    A2 "The log keeps first images by INSERT OR IGNORE, which the outer statement's conflict clause overrides."
    A3 "An app's trigger that fires before ours makes an insert look like an update."
    A4 "Capture is taken for whole where an app's trigger can end with RAISE(IGNORE) before ours."
    A5 "Triggers that a rebuilt table lost are not made again."
    A6 "A dropped table is no schema step."
    A7 "A column that was added is not in the records of capture."
    A8 "A trigger names columns, so that dropping one fails."
    A9 "Changes are compared as SQLite compares, without regard to case and storage class."
    A11 "A trigger calls a function that the app's SQLite does not have."
    A12 "Stored rows are not compared with what capture believes before a push."
    A16 "Search indexes are not made again after rows came from elsewhere."
    A18 "The number of a new row is read before SQLite has given it."
    B2 "Doubles travel with 15 digits."
    B3 "Capture reads doubles with 15 digits."
    B4 "Negative zero travels as zero."
    B5 "Infinity travels as NULL."
    B7 "Capture reads text up to its first zero byte."
    B8 "Text that is not valid UTF-8 is refused when it is read back."
    B9 "Keys that differ by Unicode normalisation alone are one."
    B14 "A cell that became NULL counts as unchanged."
    C1 "A table whose rows have NULL in the key is tracked."
    C3 "Two new rows of one number become one row."
    C4 "A row that moved to another key is noticed under the old key alone."
    C5 "A blob in a key is taken for text."
    C6 "A key finds the row that its collation calls equal."
    C8 "Rows are written with OR REPLACE."
    C9 "Numbers of AUTOINCREMENT tables are given again."
    C10 "A key is read in the order of the table's columns."
    D1 "Where both sides changed the schema, rows are not merged."
    D2 "An edit of a column that the other side dropped is left out without a word."
    D3 "Columns are matched by position."
    D7 "An interrupted pull forgets what it brought and keeps its place."
    E1 "The app's triggers fire for rows that come from elsewhere."
    E2 "Rows that come from elsewhere are captured again."
    E3 "A row is let in before its parent."
    E4 "A parent's deletion takes the other side's new children with it, without a conflict."
    E5 "Foreign keys act while rows are applied."
    E6 "A write that a unique index refuses is given up at once."
    E7 "CHECK is not looked at while rows are merged."
    E8 "Rows and cursor move in two transactions."
    E9 "A change that cannot be written fails the whole push."
    E10 "A row that was put and removed counts as never there, though it was there before."
    E11 "Generated columns count as stored."
    F1 "A copied file keeps its identity, and the primary takes a sequence number twice."
    F2 "A sequence number that comes again with another changeset counts as a repetition."
    F3 "A replica that knows versions which the primary lost is served as if nothing was."
    F4 "Any number of rows that are gone unseen counts as deleted."
    F5 "A replica of another dataset is served."
    F10 "A replica takes the digest it should have for the one its rows have."
    G1 "Stamps are wall-clock time, and the later stamp wins over what was written on top of it."
    G2 "Stamps far in the future are accepted."
    G4 "Equal times are not ordered by replica."
    G6 "Whoever arrives last is the later one."
    G7 "Changes of replicas with a smaller id count as one's own."
    H1 "An edit brings a deleted row back without a conflict."
    H3 "Only the last three changes of a row are looked at."
    H4 "An edit of a deleted row is merged into a later row of the same key."
    H5 "An accepted changeset is not let go of."
    I1 "A repeated push is not recognised."
    I2 "A push that failed counts as accepted."
    I3 "Nothing is pulled while something is unsent."
    I5 "A snapshot that lacks rows is accepted."
    I9 "A changeset is accepted before the one that it follows."
    I10 "What was taken and the local work on top of it are two transactions."
    J1 "A tracked file is opened and closed past SQLite."
    J5 "Write transactions begin by reading."
    J8 "A commit does not wait for the disk."
    J10 "A commit that failed counts as done."
    L5 "Where both sides edited one place of a text, one side's lines are dropped."
    T29 "An event's hash does not cover the events before it."
    X1 "Two equal increments count as one."
    X2 "References do not follow a renumbered row."
    X3 "The loser of last-write-wins is not kept."
    X4 "An answer to a conflict stays on the replica where it was given."
    X5 "A base image is replaced by a later state of its row."
    X6 "Neither rows nor digests are compared with what a version says of them."
    X7 "Of an update that a unique index refuses nothing is written."
    X8 "Rows written straight into the primary's tables are not noticed."
    X9 "A later edit by the same replica is taken for the other side's."
    X10 "A change that waited for its parent is let in and goes on waiting."
}

/// True in a build in which bugs can be planted.
pub const CAN_BE: bool = cfg!(feature = "planted");

#[cfg(feature = "planted")]
static PLANTED: core::sync::atomic::AtomicU8 = core::sync::atomic::AtomicU8::new(u8::MAX);

/// Plants a bug in this process, or none.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.store(bug.map_or(u8::MAX, |bug| bug as u8), core::sync::atomic::Ordering::SeqCst);
}

/// True where that bug is planted.
#[cfg(feature = "planted")]
pub fn is(bug: Bug) -> bool {
    PLANTED.load(core::sync::atomic::Ordering::Relaxed) == bug as u8
}

/// True where that bug is planted: never, in this build.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn is(_: Bug) -> bool {
    false
}

/// A double as it comes back from text of 15 digits, where that bug is planted.
#[inline]
pub fn rounded(bug: Bug, real: f64) -> f64 {
    if is(bug) && real.is_finite() { alloc::format!("{real:.14e}").parse().unwrap_or(real) } else { real }
}

/// A double as it travels.
#[inline]
pub fn travelling(real: f64) -> f64 {
    if is(Bug::B4) && real == 0.0 { 0.0 } else { rounded(Bug::B2, real) }
}

/// A value whose text has é as one character.
pub fn composed(value: &Value) -> Value {
    match value {
        Value::Text(text) => match core::str::from_utf8(text) {
            Ok(text) => Value::text(text.replace("e\u{301}", "\u{e9}")),
            Err(_) => value.clone(),
        },
        _ => value.clone(),
    }
}

/// Text up to its first zero byte, where that bug is planted.
#[inline]
pub fn cut(bug: Bug, text: &[u8]) -> &[u8] {
    let end = if is(bug) { text.iter().position(|byte| *byte == 0) } else { None };
    &text[..end.unwrap_or(text.len())]
}

/// True where that bug is planted and SQLite calls the two equal in a column that ignores case.
#[inline]
pub fn look_alike(bug: Bug, a: &Value, b: &Value) -> bool {
    is(bug)
        && match (a, b) {
            (Value::Integer(i), Value::Real(r)) | (Value::Real(r), Value::Integer(i)) => *i as f64 == *r,
            (Value::Real(x), Value::Real(y)) => x == y,
            (Value::Text(x), Value::Text(y)) => x.eq_ignore_ascii_case(y),
            _ => a == b,
        }
}
