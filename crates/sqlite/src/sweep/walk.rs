//! The functions by which a statement asks what to do with a row that it has come to, and what they answer from.
//!
//! Invariant: found rows are compared with a change by the bytes of the format, which has one spelling for each value.
//! Invariant: a cell is given only to the row that was just found to fit; a statement that asks in another order is confused.
use super::{Page, bound, order, value_at};
use crate::errors::Explain;
use mainstem::Result;
use mainstem::body::Shift;
use mainstem::core::format::page::SpanEdit;
use mainstem::core::format::value::{Borrowed, write_borrowed};
use mainstem::core::schema::Table;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

/// The functions of a connection.
pub(super) struct Walks(Arc<Mutex<Option<Walk>>>);

impl Walks {
    pub fn new(connection: &Connection) -> Result<Self> {
        let walk = Arc::new(Mutex::new(None));
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        let (meets, fits, cell) = (walk.clone(), walk.clone(), walk.clone());
        connection
            .create_scalar_function("mainstem_meets", -1, flags, move |key| asked(&meets, |walk| Ok(walk.meets(key))))
            .on(connection)?;
        connection.create_scalar_function("mainstem_fits", -1, flags, move |row| asked(&fits, |walk| Ok(walk.fits(row)))).on(connection)?;
        connection
            .create_scalar_function("mainstem_cell", 2, flags, move |cell_of| asked(&cell, |walk| walk.cell(cell_of)))
            .on(connection)?;
        Ok(Walks(walk))
    }

    pub fn begin(&self, walk: Walk) -> rusqlite::Result<()> {
        *held(&self.0)? = Some(walk);
        Ok(())
    }

    pub fn end(&self) -> rusqlite::Result<Walk> {
        held(&self.0)?.take().ok_or(rusqlite::Error::InvalidQuery)
    }
}

type Kept = Mutex<Option<Walk>>;

fn held(walk: &Kept) -> rusqlite::Result<MutexGuard<'_, Option<Walk>>> {
    walk.lock().map_err(|_| rusqlite::Error::UnwindingPanic)
}

/// Outside a walk there is nothing to say.
fn asked<T>(walk: &Kept, answer: impl FnOnce(&mut Walk) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    held(walk)?.as_mut().ok_or(rusqlite::Error::InvalidQuery).and_then(answer)
}

/// Where a walk stands.
pub(super) struct Walk {
    page: Arc<Page>,
    /// In order of keys.
    changes: Vec<u32>,
    /// The first of them whose row may still come.
    next: usize,
    /// Those that fit their rows.
    pub done: Vec<u32>,
    /// The columns that are written.
    columns: Vec<usize>,
    pub shift: Shift,
    /// The row that was found, in the bytes of the format, and where its cells end.
    row: Vec<u8>,
    ends: Vec<usize>,
    /// Where in the page each column's new value is; nowhere for one that stays.
    after: Vec<Option<Range<usize>>>,
    /// How many cells SQLite has still to ask for.
    awaited: usize,
    pub met: usize,
    pub is_confused: bool,
}

impl Walk {
    pub fn new(table: &Table, page: Arc<Page>) -> Self {
        Walk {
            page,
            changes: Vec::new(),
            next: 0,
            done: Vec::new(),
            columns: Vec::new(),
            shift: Shift::new(table),
            row: Vec::new(),
            ends: Vec::new(),
            after: vec![None; table.columns.len()],
            awaited: 0,
            met: 0,
            is_confused: false,
        }
    }

    /// Takes on other changes of the page, which write these columns.
    pub fn take_on(&mut self, changes: &[u32], columns: Vec<usize>) {
        self.changes.clear();
        self.changes.extend(changes);
        self.columns = columns;
        self.done.clear();
        (self.next, self.met, self.awaited) = (0, 0, 0);
    }

    /// True where a change is about the row of this key.
    fn meets(&mut self, key: &Context<'_>) -> bool {
        self.met += 1;
        // A statement that looked for all rows before it wrote the first would write cells of another.
        self.is_confused |= self.awaited > 0;
        while let Some(&change) = self.changes.get(self.next) {
            let places = self.page.key(change).enumerate().map(|(n, value)| order(value, found(key.get_raw(n))));
            match places.fold(Ordering::Equal, Ordering::then) {
                Ordering::Less => self.next += 1,
                Ordering::Equal => return !self.is_confused,
                Ordering::Greater => return false,
            }
        }
        false
    }

    /// True where the row is what the change that was met says it was.
    fn fits(&mut self, row: &Context<'_>) -> bool {
        let Some(&change) = self.changes.get(self.next) else { return false };
        self.row.clear();
        self.ends.clear();
        for n in 0..row.len() {
            write_borrowed(&mut self.row, found(row.get_raw(n)));
            self.ends.push(self.row.len());
        }
        let (bytes, ends) = (&self.row, &self.ends);
        let cell = |column: usize| &bytes[column.checked_sub(1).map_or(0, |before| ends[before])..ends[column]];
        let page = &self.page;
        match page.edit(change) {
            SpanEdit::Delete(was) if page.written(was) == bytes.as_slice() => self.shift.subtract_written(cell),
            SpanEdit::Update { cells, .. } => {
                let cells = page.cells(cells);
                // A cell that is said to have been what it is was renamed and written straight in the primary: nobody knows more.
                let is_so = |was: &[u8], now: &[u8], column| cell(column) == was || was == now;
                if !cells.iter().all(|c| is_so(page.written(&c.before), page.written(&c.after), c.column)) {
                    return false;
                }
                self.after.fill(None);
                cells.iter().for_each(|cell| self.after[cell.column] = Some(cell.after.clone()));
                self.shift.subtract_written(cell);
                self.shift.add_written(|column| self.after[column].as_ref().map_or_else(|| cell(column), |range| page.written(range)));
                self.awaited = self.columns.len();
            }
            _ => return false,
        }
        self.done.push(change);
        self.next += 1;
        true
    }

    /// A cell of the row that was just found to fit; they are asked for one after the other.
    fn cell(&mut self, asked: &Context<'_>) -> rusqlite::Result<Answer> {
        let place = asked.get::<u32>(0)? as usize;
        if self.awaited == 0 || place + self.awaited != self.columns.len() {
            self.is_confused = true;
            return Err(rusqlite::Error::InvalidQuery);
        }
        self.awaited -= 1;
        let after = self.after[self.columns[place]].clone();
        Ok(after.map_or(Answer::Same, |range| Answer::Other(self.page.clone(), range)))
    }
}

/// What a cell shall be.
enum Answer {
    /// What it is: the second argument.
    Same,
    /// A value of the page.
    Other(Arc<Page>, Range<usize>),
}

impl ToSql for Answer {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Answer::Same => ToSqlOutput::Arg(1),
            Answer::Other(page, range) => bound(value_at(page.written(range))),
        })
    }
}

/// A value that SQLite shows.
fn found(value: ValueRef<'_>) -> Borrowed<'_> {
    match value {
        ValueRef::Null => Borrowed::Null,
        ValueRef::Integer(i) => Borrowed::Integer(i),
        ValueRef::Real(r) => Borrowed::Real(r),
        ValueRef::Text(bytes) => Borrowed::Text(bytes),
        ValueRef::Blob(bytes) => Borrowed::Blob(bytes),
    }
}
