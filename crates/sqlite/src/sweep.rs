//! Exact changes of one table, many rows a statement, from the page they came in: what a version did, laid on a copy that has the
//! rows it was made on.
//!
//! Updates and deletes: one statement walks a stretch of the key's index and asks functions of ours ([`crate::sweep::walk`]), row
//! by row, whether a change is about it, whether it is what that change says it was, and what its cells shall be. Inserts: by the
//! dozen. What a walk does not meet, and all of a statement that a constraint stops (which undoes it), is left to be judged alone.
//! Invariant: a row is written only where it is what its change says it was, and the digests move by exactly what is written.
mod walk;

use crate::errors::Explain;
use crate::sql::{quote, quote_all};
use crate::tables::{SqliteTables, wrote};
use mainstem::body::{Digests, Shift};
use mainstem::core::change::Shape;
use mainstem::core::format::Reader;
use mainstem::core::format::page::{CellSpan, SpanEdit, Spans, spans};
use mainstem::core::format::value::{Borrowed, read_borrowed};
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::Table;
use mainstem::tables::Wrote;
use mainstem::{Error, Result};
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;
use walk::{Walk, Walks};

/// Changes of one walk: so many that beginning it is cheap, so few that SQLite keeps in memory what it needs to undo it. Once it has
/// written that to a file, it does so until the transaction ends.
const WALKED: usize = 96;
/// Fewer are not worth a walk.
const WALKED_MIN: usize = 8;
/// A walk that meets so many rows for each that it writes is none to repeat.
const MET_MAX: usize = 24;
/// Rows of one INSERT, and values.
const INSERTED: usize = 64;
const VALUES_MAX: usize = 4096;
/// Columns of the widest table whose rows fit into a call of a function.
const COLUMNS_MAX: usize = 100;

/// What sweeping keeps from one page to the next.
#[derive(Default)]
pub(crate) struct Sweeping {
    walks: Option<Walks>,
    /// Tables whose changes lie too far apart.
    futile: HashSet<usize>,
}

/// A page, and where its changes lie in it.
#[derive(Debug, Default)]
pub(crate) struct Page {
    bytes: Vec<u8>,
    spans: Spans,
    /// Where the values of each change's key begin, one change after the other.
    keys: Vec<u32>,
    /// Where the keys of each change are in `keys`.
    first_keys: Vec<u32>,
}

impl Page {
    /// Looks through a page. Its shapes are those of its version.
    pub fn new(bytes: Vec<u8>, shapes: &[Shape]) -> Result<Page> {
        let spans = spans(&bytes, shapes)?;
        let mut page = Page { bytes, spans, ..Page::default() };
        let mut columns: Vec<u32> = Vec::new();
        for change in &page.spans.changes {
            page.first_keys.push(page.keys.len() as u32);
            let key = &shapes[change.table].key;
            match &change.edit {
                SpanEdit::Update { key: values, .. } => page.keys.extend(starts(&page.bytes, values)),
                SpanEdit::Insert(row) | SpanEdit::Delete(row) => {
                    columns.clear();
                    columns.extend(starts(&page.bytes, row).take(key.iter().max().map_or(0, |last| last + 1)));
                    page.keys.extend(key.iter().map(|&column| columns[column]));
                }
            }
        }
        page.first_keys.push(page.keys.len() as u32);
        Ok(page)
    }

    /// The table of each change, by the position of its shape.
    pub fn tables(&self) -> impl Iterator<Item = usize> {
        self.spans.changes.iter().map(|change| change.table)
    }

    /// The page itself.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn edit(&self, change: u32) -> &SpanEdit {
        &self.spans.changes[change as usize].edit
    }

    fn cells(&self, cells: &Range<usize>) -> &[CellSpan] {
        &self.spans.cells[cells.clone()]
    }

    fn written(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    /// The values of a change's key.
    fn key(&self, change: u32) -> impl Iterator<Item = Borrowed<'_>> {
        let at = self.first_keys[change as usize] as usize..self.first_keys[change as usize + 1] as usize;
        self.keys[at].iter().map(|&start| value_at(&self.bytes[start as usize..]))
    }

    fn compare(&self, a: u32, b: u32) -> Ordering {
        self.key(a).zip(self.key(b)).map(|(a, b)| order(a, b)).fold(Ordering::Equal, Ordering::then)
    }
}

/// Where each of some values begins.
fn starts(bytes: &[u8], values: &Range<usize>) -> impl Iterator<Item = u32> {
    let mut r = Reader::new("values", &bytes[values.clone()]);
    let end = values.end;
    std::iter::from_fn(move || {
        let start = end - r.remaining();
        (!r.is_empty()).then(|| read_borrowed(&mut r).expect("a page that was looked through")).map(|_| start as u32)
    })
}

/// The value that some bytes of a page begin with.
fn value_at(bytes: &[u8]) -> Borrowed<'_> {
    read_borrowed(&mut Reader::new("value", bytes)).expect("a page that was looked through")
}

/// How two values stand in the order of values, which is that of [`mainstem::core::value::Value`].
fn order(a: Borrowed<'_>, b: Borrowed<'_>) -> Ordering {
    let rank = |value: Borrowed<'_>| match value {
        Borrowed::Null => 0,
        Borrowed::Integer(_) => 1,
        Borrowed::Real(_) => 2,
        Borrowed::Text(_) => 3,
        Borrowed::Blob(_) => 4,
    };
    match (a, b) {
        (Borrowed::Integer(a), Borrowed::Integer(b)) => a.cmp(&b),
        (Borrowed::Real(a), Borrowed::Real(b)) => a.total_cmp(&b),
        (Borrowed::Text(a), Borrowed::Text(b)) | (Borrowed::Blob(a), Borrowed::Blob(b)) => a.cmp(b),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

/// A value as SQLite takes it.
fn bound(value: Borrowed<'_>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match value {
        Borrowed::Null => ValueRef::Null,
        Borrowed::Integer(i) => ValueRef::Integer(i),
        Borrowed::Real(r) => ValueRef::Real(r),
        Borrowed::Text(bytes) => ValueRef::Text(bytes),
        Borrowed::Blob(bytes) => ValueRef::Blob(bytes),
    })
}

impl SqliteTables<'_> {
    /// Lays those changes of a page that are of one table, given by their places; what could not be laid so is added to `left`.
    /// `is_dense`: so many of the table's rows are changed that to walk over the others is cheaper than to look for each.
    pub(crate) fn sweep(
        &mut self,
        table: usize,
        page: &Arc<Page>,
        mut changes: Vec<u32>,
        is_dense: bool,
        digests: &mut Digests,
        left: &mut Vec<u32>,
    ) -> Result<()> {
        let connection = self.connection;
        let (plan, schema) = self.plan(table)?;
        plan.forget_found();
        let way = Way { connection, table: &schema.tables[table], page };
        let is_walkable = is_dense && plan.is_binary_first() && way.table.columns.len() <= COLUMNS_MAX;
        changes.sort_by(|&a, &b| page.compare(a, b));
        if changes.windows(2).any(|pair| page.compare(pair[0], pair[1]).is_eq()) {
            // Their order says something.
            left.append(&mut changes);
            return Ok(());
        }
        let mut shift = Shift::new(way.table);
        let kind = |is: fn(&SpanEdit) -> bool| changes.iter().copied().filter(|&n| is(page.edit(n))).collect::<Vec<u32>>();
        for walked in [kind(|e| matches!(e, SpanEdit::Delete(_))), kind(|e| matches!(e, SpanEdit::Update { .. }))] {
            if !is_walkable || walked.len() < WALKED_MIN || self.sweeping.futile.contains(&table) {
                left.extend(walked);
                continue;
            }
            let walks = match &mut self.sweeping.walks {
                Some(walks) => walks,
                none => none.insert(Walks::new(connection)?),
            };
            if !way.walk(walks, &walked, &mut shift, left)? {
                self.sweeping.futile.insert(table);
            }
        }
        way.insert(&kind(|e| matches!(e, SpanEdit::Insert(_))), &mut shift, left)?;
        digests.shift(way.table, &shift);
        Ok(())
    }
}

/// A page on its way into a table.
struct Way<'a> {
    connection: &'a Connection,
    table: &'a Table,
    page: &'a Arc<Page>,
}

impl Way<'_> {
    /// The condition of a walk: a stretch of the key's index, and in it the rows that a change is about and fits.
    fn condition(&self) -> String {
        let name = |i: &usize| self.table.columns[*i].name.as_str();
        let collation = if self.table.is_numbered { "" } else { " COLLATE BINARY" };
        let first = quote(name(&self.table.key[0]));
        let key = quote_all(self.table.key.iter().map(name));
        let all = quote_all(self.table.columns.iter().map(|c| c.name.as_str()));
        format!("{first}{collation} BETWEEN ?1 AND ?2 AND mainstem_meets({key}) AND mainstem_fits({all})")
    }

    /// The statement of a walk that writes these columns, or that deletes.
    fn walk_sql(&self, columns: &[usize]) -> String {
        let (table, condition) = (quote(&self.table.name), self.condition());
        if columns.is_empty() {
            return format!("DELETE FROM {table} WHERE {condition}");
        }
        let set = columns.iter().enumerate().map(|(n, &i)| {
            let name = quote(&self.table.columns[i].name);
            format!("{name} = mainstem_cell({n}, {name})")
        });
        format!("UPDATE OR ABORT {table} SET {} WHERE {condition}", set.collect::<Vec<_>>().join(", "))
    }

    /// Walks for all of these changes, which are of one kind. False where they lie too far apart for that.
    fn walk(&self, walks: &Walks, changes: &[u32], shift: &mut Shift, left: &mut Vec<u32>) -> Result<bool> {
        let mut walk = Walk::new(self.table, self.page.clone());
        let mut rest = changes;
        while !rest.is_empty() {
            let some;
            (some, rest) = rest.split_at(rest.len().min(WALKED));
            walk = self.walk_once(walks, walk, some, left)?;
            if walk.met > MET_MAX * walk.done.len().max(1) {
                break;
            }
        }
        left.extend(rest);
        shift.join(&walk.shift);
        Ok(rest.is_empty())
    }

    /// One walk.
    fn walk_once(&self, walks: &Walks, mut walk: Walk, changes: &[u32], left: &mut Vec<u32>) -> Result<Walk> {
        let columns = self.columns(changes);
        let mut statement = self.connection.prepare_cached(&self.walk_sql(&columns)).on(self.connection)?;
        for (n, change) in [changes.first(), changes.last()].into_iter().flatten().enumerate() {
            let first = self.page.key(*change).next().ok_or_else(|| Error::internal("a change has no key"))?;
            statement.raw_bind_parameter(n + 1, bound(first)).on(self.connection)?;
        }
        let before = walk.shift.sum();
        walk.take_on(changes, columns);
        walks.begin(walk).on(self.connection)?;
        let outcome = statement.raw_execute();
        let mut walk = walks.end().on(self.connection)?;
        if walk.is_confused {
            return Err(Error::internal(format!("SQLite did not write the rows of {} as it found them", self.table.name)));
        }
        let count = outcome.as_ref().ok().copied();
        if wrote(self.connection, outcome)? != Wrote::Done {
            left.extend(changes);
            walk.done.clear();
            walk.shift.go_back(before);
        } else if count != Some(walk.done.len()) {
            return Err(Error::internal(format!("SQLite did not write each row of {} that fits", self.table.name)));
        } else if walk.done.len() < changes.len() {
            let is_done = |change: &u32| walk.done.binary_search_by(|&done| self.page.compare(done, *change)).is_ok();
            left.extend(changes.iter().copied().filter(|change| !is_done(change)));
        }
        Ok(walk)
    }

    /// The columns that any of these changes writes; none for deletes.
    fn columns(&self, changes: &[u32]) -> Vec<usize> {
        let cells = changes.iter().flat_map(|&change| match self.page.edit(change) {
            SpanEdit::Update { cells, .. } => self.page.cells(cells),
            _ => &[],
        });
        cells.map(|cell| cell.column).collect::<BTreeSet<usize>>().into_iter().collect()
    }

    /// Inserts rows, by the dozen and then one by one.
    fn insert(&self, changes: &[u32], shift: &mut Shift, left: &mut Vec<u32>) -> Result<()> {
        let together = (VALUES_MAX / self.table.columns.len().max(1)).clamp(1, INSERTED);
        let (many, few) = changes.split_at(changes.len() - changes.len() % together);
        self.insert_by(many, together, shift, left)?;
        self.insert_by(few, 1, shift, left)
    }

    fn insert_by(&self, changes: &[u32], together: usize, shift: &mut Shift, left: &mut Vec<u32>) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let (width, bytes) = (self.table.columns.len(), &self.page.bytes);
        let names = quote_all(self.table.columns.iter().map(|c| c.name.as_str()));
        let places = format!("({})", vec!["?"; width].join(", "));
        let instead = if planted::is(Bug::C8) { "REPLACE" } else { "ABORT" };
        let rows = vec![places.as_str(); together].join(", ");
        let sql = format!("INSERT OR {instead} INTO {} ({names}) VALUES {rows}", quote(&self.table.name));
        let mut statement = self.connection.prepare_cached(&sql).on(self.connection)?;
        // Where each cell begins, and where each row ends.
        let mut edges: Vec<u32> = Vec::with_capacity(together * (width + 1));
        for some in changes.chunks(together) {
            edges.clear();
            for &change in some {
                let SpanEdit::Insert(row) = self.page.edit(change) else { return Err(Error::internal("a change is no insert")) };
                self.check_key(change)?;
                edges.extend(starts(bytes, row));
                edges.push(row.end as u32);
            }
            let cells = edges.chunks_exact(width + 1).flat_map(|row| &row[..width]);
            for (n, &start) in cells.enumerate() {
                statement.raw_bind_parameter(n + 1, bound(value_at(&bytes[start as usize..]))).on(self.connection)?;
            }
            match wrote(self.connection, statement.raw_execute())? {
                Wrote::Done => edges
                    .chunks_exact(width + 1)
                    .for_each(|row| shift.add_written(|column| &bytes[row[column] as usize..row[column + 1] as usize])),
                _ => left.extend(some),
            }
        }
        Ok(())
    }

    fn check_key(&self, change: u32) -> Result<()> {
        let is_whole = |value: Borrowed<'_>| match value {
            Borrowed::Integer(_) => true,
            Borrowed::Null => false,
            _ => !self.table.is_numbered,
        };
        match self.page.key(change).all(is_whole) {
            true => Ok(()),
            false => Err(Error::invalid(format!("a row of {} has no whole key", self.table.name))),
        }
    }
}

#[cfg(test)]
mod tests;
