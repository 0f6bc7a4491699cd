//! A page of row changes: the hot encoding, relayed unchanged from replica to ledger to replica.
//!
//! Runs of changes to one table of one kind share a head (`table * 4 + kind`, count). A change's time is the
//! difference from the change before it; a cell's time is there only where it differs from its row's. Inserts and
//! deletes take their key from the row.
//! Invariant: what decodes agrees with the shapes: see [`check`].
use super::bytes::{Reader, Writer};
use super::value;
use crate::change::{Cell, Change, Edit, Shape};
use crate::error::{Error, Result};
use crate::stamp::Time;
use crate::value::{Key, Row, Value};
use alloc::{format, vec::Vec};
use core::ops::Range;

/// The most changes that one page holds. It bounds what a small hostile page can unfold to in memory.
pub const CHANGES_MAX: usize = 65_536;

const INSERT: u64 = 0;
const UPDATE: u64 = 1;
const DELETE: u64 = 2;
const MOVE: u64 = 3;
const WHAT: &str = "page of changes";

/// Encodes changes.
///
/// # Panics
/// Where a change breaks its shape (see [`check`]) or there are more than [`CHANGES_MAX`]: such a page could never be
/// read again, so it must not be stored.
pub fn encode(shapes: &[Shape], changes: &[Change]) -> Vec<u8> {
    assert!(changes.len() <= CHANGES_MAX, "a page of {} changes is over {CHANGES_MAX}", changes.len());
    let mut w = Writer::versioned();
    let mut previous = 0;
    let mut seen = Seen::default();
    for run in changes.chunk_by(|a, b| head(a) == head(b)) {
        w.varint(head(&run[0]));
        w.varint(run.len() as u64);
        for change in run {
            if let Err(why) = check_with(shapes, change, &mut seen) {
                panic!("a change that cannot be read again reached the encoder: {why}");
            }
            w.signed(change.at.0.wrapping_sub(previous) as i64);
            previous = change.at.0;
            write_edit(&mut w, change);
        }
    }
    w.0
}

/// Decodes changes and checks each against its shape.
pub fn decode(bytes: &[u8], shapes: &[Shape]) -> Result<Vec<Change>> {
    let mut r = Reader::versioned(WHAT, bytes)?;
    let mut changes = Vec::new();
    let mut previous = 0u64;
    let mut seen = Seen::default();
    while !r.is_empty() {
        let (table, kind, count) = read_head(&mut r, shapes, changes.len())?;
        changes.reserve(count);
        for _ in 0..count {
            previous = previous.wrapping_add(r.signed()? as u64);
            let change = read_change(&mut r, table, kind, &shapes[table], Time(previous))?;
            check_with(shapes, &change, &mut seen)?;
            changes.push(change);
        }
    }
    Ok(changes)
}

/// Where one change lies in its page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The position of its table's shape.
    pub table: usize,
    /// What it does, and where its values are.
    pub edit: SpanEdit,
}

/// What a change does, and where in the page its values are, each as [`value::write`] writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanEdit {
    /// A new row: its values.
    Insert(Range<usize>),
    /// A row that goes: its values.
    Delete(Range<usize>),
    /// Cells that change.
    Update {
        /// The key's values.
        key: Range<usize>,
        /// The cells, by their places in [`Spans::cells`].
        cells: Range<usize>,
    },
}

/// A cell of an update, where it lies in its page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellSpan {
    /// Its column's position.
    pub column: usize,
    /// Its value before.
    pub before: Range<usize>,
    /// Its value after.
    pub after: Range<usize>,
}

/// The changes of a page, left where they lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    /// The changes in order.
    pub changes: Vec<Span>,
    /// The cells of all updates.
    pub cells: Vec<CellSpan>,
}

/// Finds where the changes of a page lie. Refuses what [`decode`] refuses.
pub fn spans(bytes: &[u8], shapes: &[Shape]) -> Result<Spans> {
    let mut r = Reader::versioned(WHAT, bytes)?;
    let mut found = Spans::default();
    let mut previous = 0u64;
    let mut seen = Seen::default();
    while !r.is_empty() {
        let (table, kind, count) = read_head(&mut r, shapes, found.changes.len())?;
        let shape = &shapes[table];
        found.changes.reserve(count);
        for _ in 0..count {
            previous = previous.wrapping_add(r.signed()? as u64);
            let edit = match kind {
                UPDATE => find_update(&mut r, bytes.len(), shape, Time(previous), &mut found.cells, &mut seen)?,
                kind => find_row(&mut r, bytes.len(), shape, kind)?,
            };
            found.changes.push(Span { table, edit });
        }
    }
    Ok(found)
}

fn find_update(r: &mut Reader<'_>, length: usize, shape: &Shape, at: Time, cells: &mut Vec<CellSpan>, seen: &mut Seen) -> Result<SpanEdit> {
    let key = find_values(r, length, shape, shape.key.len(), |_| true)?;
    let first = cells.len();
    for _ in 0..r.count(3)? {
        let (column, _) = read_cell_head(r, at)?;
        let before = find_value(r, length)?;
        cells.push(CellSpan { column, before, after: find_value(r, length)? });
    }
    check_columns(shape, cells[first..].iter().map(|cell| cell.column), seen)?;
    Ok(SpanEdit::Update { key, cells: first..cells.len() })
}

fn find_row(r: &mut Reader<'_>, length: usize, shape: &Shape, kind: u64) -> Result<SpanEdit> {
    if shape.key.iter().any(|&column| column >= shape.columns.len()) {
        return Err(r.error("a key column is beyond its row"));
    }
    let row = find_values(r, length, shape, shape.columns.len(), |column| shape.key.contains(&column))?;
    if kind == MOVE {
        (0..shape.key.len()).try_for_each(|_| find_value(r, length).map(drop))?;
    }
    Ok(if kind == DELETE { SpanEdit::Delete(row) } else { SpanEdit::Insert(row) })
}

/// Passes over values, those of the key among them.
fn find_values(r: &mut Reader<'_>, length: usize, shape: &Shape, count: usize, is_key: impl Fn(usize) -> bool) -> Result<Range<usize>> {
    if count > r.remaining() {
        return Err(r.error("it ends too early"));
    }
    let begin = length - r.remaining();
    let mut is_number = shape.key.len() == 1;
    for at in 0..count {
        let value = value::read_borrowed(r)?;
        is_number &= matches!(value, value::Borrowed::Integer(_)) || !is_key(at);
    }
    if shape.is_numbered && !is_number {
        return Err(r.error(format!("a row of {} has no number", shape.table)));
    }
    Ok(begin..length - r.remaining())
}

fn find_value(r: &mut Reader<'_>, length: usize) -> Result<Range<usize>> {
    let begin = length - r.remaining();
    value::read_borrowed(r)?;
    Ok(begin..length - r.remaining())
}

/// Checks that a change agrees with its shape: table and column positions, lengths of key and row, the key of the row,
/// a number where the table is numbered, an update with cells, none of them twice or of the key, and no cell later
/// than its row.
pub fn check(shapes: &[Shape], change: &Change) -> Result<()> {
    check_with(shapes, change, &mut Seen::default())
}

fn head(change: &Change) -> u64 {
    let kind = match (&change.edit, &change.moved_from) {
        (Edit::Insert(_), Some(_)) => MOVE,
        (Edit::Insert(_), None) => INSERT,
        (Edit::Update(_), _) => UPDATE,
        (Edit::Delete(_), _) => DELETE,
    };
    (change.table as u64) << 2 | kind
}

fn write_edit(w: &mut Writer, change: &Change) {
    let values = |w: &mut Writer, values: &[Value]| values.iter().for_each(|v| value::write(&mut w.0, v));
    match &change.edit {
        Edit::Insert(row) | Edit::Delete(row) => values(w, row),
        Edit::Update(cells) => {
            values(w, &change.key);
            w.varint(cells.len() as u64);
            for cell in cells {
                let is_earlier = cell.at != change.at;
                w.varint((cell.column as u64) << 1 | u64::from(is_earlier));
                if is_earlier {
                    w.varint(change.at.0.wrapping_sub(cell.at.0));
                }
                value::write(&mut w.0, &cell.before);
                value::write(&mut w.0, &cell.after);
            }
        }
    }
    if let Some(key) = &change.moved_from {
        values(w, key);
    }
}

/// The table and the kind of a run, and how many changes it has.
fn read_head(r: &mut Reader<'_>, shapes: &[Shape], before: usize) -> Result<(usize, u64, usize)> {
    let head = r.varint()?;
    let table = usize::try_from(head >> 2).ok().filter(|&t| t < shapes.len());
    let table = table.ok_or_else(|| r.error(format!("it names table {} of {}", head >> 2, shapes.len())))?;
    let count = r.count(2)?;
    if count == 0 || count > CHANGES_MAX - before {
        return Err(r.error(format!("a run of {count} changes after {before}")));
    }
    Ok((table, head & 3, count))
}

fn read_change(r: &mut Reader<'_>, table: usize, kind: u64, shape: &Shape, at: Time) -> Result<Change> {
    if kind == UPDATE {
        let key = read_exactly(r, shape.key.len())?;
        let cells = read_cells(r, at)?;
        return Ok(Change { table, key, edit: Edit::Update(cells), at, moved_from: None });
    }
    let row: Row = read_exactly(r, shape.columns.len())?;
    let key = key_of(shape, &row).ok_or_else(|| r.error("a key column is beyond its row"))?;
    let moved_from = if kind == MOVE { Some(read_exactly(r, shape.key.len())?) } else { None };
    let edit = if kind == DELETE { Edit::Delete(row) } else { Edit::Insert(row) };
    Ok(Change { table, key, edit, at, moved_from })
}

fn read_exactly(r: &mut Reader<'_>, count: usize) -> Result<Vec<Value>> {
    if count > r.remaining() {
        return Err(r.error("it ends too early"));
    }
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        values.push(value::read(r)?);
    }
    Ok(values)
}

fn read_cells(r: &mut Reader<'_>, at: Time) -> Result<Vec<Cell>> {
    let count = r.count(3)?;
    let mut cells = Vec::with_capacity(count);
    for _ in 0..count {
        let (column, cell_at) = read_cell_head(r, at)?;
        cells.push(Cell { column, before: value::read(r)?, after: value::read(r)?, at: cell_at });
    }
    Ok(cells)
}

/// A cell's column and time.
fn read_cell_head(r: &mut Reader<'_>, at: Time) -> Result<(usize, Time)> {
    let head = r.varint()?;
    let column = usize::try_from(head >> 1).map_err(|_| r.error("a column's position is too large"))?;
    let earlier = if head & 1 == 1 { r.varint()? } else { 0 };
    if head & 1 == 1 && earlier == 0 {
        return Err(r.error("a cell's time is spelled too long"));
    }
    let cell_at = at.0.checked_sub(earlier).ok_or_else(|| r.error("a cell's time is before all time"))?;
    Ok((column, Time(cell_at)))
}

fn key_of(shape: &Shape, row: &Row) -> Option<Key> {
    shape.key.iter().map(|&i| row.get(i).cloned()).collect()
}

/// Which columns an update has named so far, one bit a column.
#[derive(Default)]
struct Seen(Vec<u64>);

impl Seen {
    fn clear(&mut self, columns: usize) {
        self.0.clear();
        self.0.resize(columns.div_ceil(64), 0);
    }
    fn insert(&mut self, column: usize) -> bool {
        let (word, bit) = (&mut self.0[column / 64], 1 << (column % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

fn check_with(shapes: &[Shape], change: &Change, seen: &mut Seen) -> Result<()> {
    let broken = |why| Err(Error::corrupt(WHAT, why));
    let Some(shape) = shapes.get(change.table) else {
        return broken(format!("it names table {} of {}", change.table, shapes.len()));
    };
    let table = &shape.table;
    if shape.is_numbered && !matches!(change.key[..], [Value::Integer(_)]) {
        return broken(format!("a row of {table} has no number"));
    }
    if change.moved_from.as_ref().is_some_and(|k| k.len() != shape.key.len()) {
        return broken(format!("a row of {table} was moved from a key of another length"));
    }
    match &change.edit {
        Edit::Insert(row) | Edit::Delete(row) => {
            if row.len() != shape.columns.len() {
                return broken(format!("a row of {table} has {} of {} columns", row.len(), shape.columns.len()));
            }
            let is_its_key = change.key.len() == shape.key.len() && shape.key.iter().zip(&change.key).all(|(&i, k)| row.get(i) == Some(k));
            if !is_its_key {
                return broken(format!("a row of {table} has another key than its change"));
            }
        }
        Edit::Update(cells) => check_cells(shape, change, cells, seen)?,
    }
    if change.moved_from.is_some() && !matches!(change.edit, Edit::Insert(_)) {
        return broken(format!("a row of {table} was moved without being inserted"));
    }
    Ok(())
}

fn check_cells(shape: &Shape, change: &Change, cells: &[Cell], seen: &mut Seen) -> Result<()> {
    let table = &shape.table;
    let broken = |why| Err(Error::corrupt(WHAT, why));
    if change.key.len() != shape.key.len() {
        return broken(format!("an update of {table} has a key of {} of {} values", change.key.len(), shape.key.len()));
    }
    if let Some(cell) = cells.iter().find(|cell| cell.at > change.at) {
        return broken(format!("a cell of {table} is later than its row, in column {}", cell.column));
    }
    check_columns(shape, cells.iter().map(|cell| cell.column), seen)
}

/// Checks that an update names columns, none of them twice or of the key.
fn check_columns(shape: &Shape, columns: impl ExactSizeIterator<Item = usize>, seen: &mut Seen) -> Result<()> {
    let table = &shape.table;
    let broken = |why| Err(Error::corrupt(WHAT, why));
    if columns.len() == 0 {
        return broken(format!("an update of {table} changes nothing"));
    }
    seen.clear(shape.columns.len());
    for &column in shape.key.iter().filter(|&&c| c < shape.columns.len()) {
        seen.insert(column);
    }
    for column in columns {
        if column >= shape.columns.len() {
            return broken(format!("an update names column {column} of {} in {table}", shape.columns.len()));
        }
        if !seen.insert(column) {
            let is_key = shape.key.contains(&column);
            let why = if is_key { "which is of its key" } else { "twice" };
            return broken(format!("an update names column {column} of {table}, {why}"));
        }
    }
    Ok(())
}
