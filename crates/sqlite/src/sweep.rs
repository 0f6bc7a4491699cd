//! Exact changes of one table, many rows a statement: what a version did, laid on a copy that has the rows it was made on.
//!
//! Updates and deletes: one statement walks a stretch of the key's index and asks functions of ours, row by row, whether a
//! change is about it, whether it is to the bit what that change says it was, and what its cells shall be. Inserts: by the dozen.
//! What a walk does not meet, and all of a statement that a constraint stops (which undoes it), comes back to be judged by itself.
//! Invariant: a row is written only where it is what its change says it was, and the digests move by exactly what is written.
use crate::errors::Explain;
use crate::sql::{quote, quote_all};
use crate::tables::{SqliteTables, bind, check_key, sql_value, value_of, value_ref, wrote};
use mainstem::body::{Digests, Shift};
use mainstem::core::change::{Change, Edit};
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::Table;
use mainstem::core::value::{Key, Row, Value};
use mainstem::tables::Wrote;
use mainstem::{Error, Result};
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

/// Changes of one walk: so many that beginning it is cheap, so few that SQLite keeps in memory what it needs to undo it.
const WALKED: usize = 256;
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

impl SqliteTables<'_> {
    /// Lays exact changes of one table; what could not be laid this way comes back. `is_dense`: so many of the table's rows
    /// are changed that to walk over the others is cheaper than to look for each.
    pub(crate) fn sweep(&mut self, table: usize, changes: Vec<Change>, is_dense: bool, digests: &mut Digests) -> Result<Vec<Change>> {
        if !is_each_another(&changes) {
            return Ok(changes);
        }
        let connection = self.connection;
        let (plan, schema) = self.plan(table)?;
        plan.forget_found();
        let is_walkable = is_dense && plan.is_binary_first() && schema.tables[table].columns.len() <= COLUMNS_MAX;
        let way = Way { connection, table: &schema.tables[table] };
        let mut shift = Shift::new(way.table);
        let (inserts, walked): (Vec<Change>, Vec<Change>) = changes.into_iter().partition(|c| matches!(c.edit, Edit::Insert(_)));
        let mut left = Vec::new();
        if is_walkable && walked.len() >= WALKED_MIN && !self.sweeping.futile.contains(&table) {
            let walks = match &mut self.sweeping.walks {
                Some(walks) => walks,
                none => none.insert(Walks::new(connection)?),
            };
            let (deletes, updates): (Vec<Change>, Vec<Change>) = walked.into_iter().partition(|c| matches!(c.edit, Edit::Delete(_)));
            let is_worth_it = walks.over(&way, deletes, &mut shift, &mut left)? & walks.over(&way, updates, &mut shift, &mut left)?;
            if !is_worth_it {
                self.sweeping.futile.insert(table);
            }
        } else {
            left = walked;
        }
        way.insert(inserts, &mut shift, &mut left)?;
        digests.shift(way.table, &shift);
        Ok(left)
    }
}

/// True where no two changes are about one row, so that their order says nothing.
fn is_each_another(changes: &[Change]) -> bool {
    let mut keys: Vec<&Key> = changes.iter().map(|change| &change.key).collect();
    keys.sort();
    keys.windows(2).all(|pair| pair[0] != pair[1])
}

/// A table on a connection.
struct Way<'a> {
    connection: &'a Connection,
    table: &'a Table,
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

    fn delete_sql(&self) -> String {
        format!("DELETE FROM {} WHERE {}", quote(&self.table.name), self.condition())
    }

    fn update_sql(&self, columns: &[usize]) -> String {
        let set = columns.iter().enumerate().map(|(n, &i)| format!("{} = mainstem_cell({n})", quote(&self.table.columns[i].name)));
        let set = set.collect::<Vec<_>>().join(", ");
        format!("UPDATE OR ABORT {} SET {set} WHERE {}", quote(&self.table.name), self.condition())
    }

    /// Inserts what can be inserted together.
    fn insert(&self, mut changes: Vec<Change>, shift: &mut Shift, left: &mut Vec<Change>) -> Result<()> {
        let width = self.table.columns.len().max(1);
        let together = (VALUES_MAX / width).min(INSERTED);
        if together < 2 || changes.len() < together {
            left.append(&mut changes);
            return Ok(());
        }
        let names = quote_all(self.table.columns.iter().map(|c| c.name.as_str()));
        let places = format!("({})", vec!["?"; width].join(", "));
        let instead = if planted::is(Bug::C8) { "REPLACE" } else { "ABORT" };
        let rows = vec![places.as_str(); together].join(", ");
        let sql = format!("INSERT OR {instead} INTO {} ({names}) VALUES {rows}", quote(&self.table.name));
        let mut statement = self.connection.prepare_cached(&sql).on(self.connection)?;
        changes.sort_by(|a, b| a.key.cmp(&b.key));
        let mut changes = changes.into_iter();
        while changes.len() >= together {
            let some: Vec<Change> = changes.by_ref().take(together).collect();
            let rows = || some.iter().filter_map(|change| if let Edit::Insert(row) = &change.edit { Some(row) } else { None });
            rows().try_for_each(|row| check_key(self.table, row))?;
            bind(&mut statement, rows().flatten()).on(self.connection)?;
            match wrote(self.connection, statement.raw_execute())? {
                Wrote::Done => rows().for_each(|row| shift.add(row)),
                _ => left.extend(some),
            }
        }
        left.extend(changes);
        Ok(())
    }
}

/// The functions by which a statement asks what to do with a row, and what they answer from.
struct Walks(Arc<Mutex<Walk>>);

impl Walks {
    fn new(connection: &Connection) -> Result<Self> {
        let walk = Arc::new(Mutex::new(Walk::default()));
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        let (meets, fits, cell) = (walk.clone(), walk.clone(), walk.clone());
        connection.create_scalar_function("mainstem_meets", -1, flags, move |key| Ok(held(&meets)?.meets(key))).on(connection)?;
        connection.create_scalar_function("mainstem_fits", -1, flags, move |row| Ok(held(&fits)?.fits(row))).on(connection)?;
        connection.create_scalar_function("mainstem_cell", 1, flags, move |n| held(&cell)?.cell(n.get::<i64>(0)?)).on(connection)?;
        Ok(Walks(walk))
    }

    /// Walks for all of these changes, which are of one kind. False where they lie too far apart for that.
    fn over(&mut self, way: &Way<'_>, mut changes: Vec<Change>, shift: &mut Shift, left: &mut Vec<Change>) -> Result<bool> {
        changes.sort_by(|a, b| a.key.cmp(&b.key));
        let mut changes = changes.into_iter();
        while changes.len() >= WALKED_MIN {
            let some: Vec<Change> = changes.by_ref().take(WALKED).collect();
            let (count, before) = (some.len(), left.len());
            let met = self.one(way, some, shift, left)?;
            let written = count - (left.len() - before);
            if met > MET_MAX * written.max(1) {
                left.extend(changes);
                return Ok(false);
            }
        }
        left.extend(changes);
        Ok(true)
    }

    /// One walk. Gives how many rows it met.
    fn one(&mut self, way: &Way<'_>, changes: Vec<Change>, shift: &mut Shift, left: &mut Vec<Change>) -> Result<usize> {
        let columns = written(&changes);
        let sql = if columns.is_empty() { way.delete_sql() } else { way.update_sql(&columns) };
        let bounds: Vec<Value> = changes.iter().take(1).chain(changes.last()).filter_map(|c| c.key.first().cloned()).collect();
        *held(&self.0).on(way.connection)? = Walk::new(way.table, changes, columns);
        let mut statement = way.connection.prepare_cached(&sql).on(way.connection)?;
        bind(&mut statement, bounds.iter()).on(way.connection)?;
        let outcome = statement.raw_execute();
        drop(statement);
        let walk = std::mem::take(&mut *held(&self.0).on(way.connection)?);
        if walk.is_confused {
            return Err(Error::internal(format!("SQLite did not write the rows of {} as it found them", way.table.name)));
        }
        let count = outcome.as_ref().ok().copied();
        let is_written = wrote(way.connection, outcome)? == Wrote::Done;
        if is_written && count != Some(walk.is_done.iter().filter(|done| **done).count()) {
            return Err(Error::internal(format!("SQLite did not write each row of {} that fits", way.table.name)));
        }
        if let (true, Some(moved)) = (is_written, &walk.shift) {
            shift.join(moved);
        }
        left.extend(walk.changes.into_iter().zip(walk.is_done).filter(|(_, is_done)| !(is_written && *is_done)).map(|(change, _)| change));
        Ok(walk.met)
    }
}

/// The columns that any of these changes writes; none for deletes.
fn written(changes: &[Change]) -> Vec<usize> {
    let cells = changes.iter().flat_map(|change| if let Edit::Update(cells) = &change.edit { cells.as_slice() } else { &[] });
    cells.map(|cell| cell.column).collect::<BTreeSet<usize>>().into_iter().collect()
}

fn held(walk: &Mutex<Walk>) -> rusqlite::Result<MutexGuard<'_, Walk>> {
    walk.lock().map_err(|_| rusqlite::Error::UnwindingPanic)
}

/// Where a walk stands.
#[derive(Default)]
struct Walk {
    /// In order of keys.
    changes: Vec<Change>,
    is_done: Vec<bool>,
    columns: Vec<usize>,
    shift: Option<Shift>,
    /// The first change whose row may still come.
    next: usize,
    /// The row that is there: as it was, then as it shall be.
    row: Row,
    /// How many cells of it SQLite has still to ask for.
    awaited: usize,
    met: usize,
    is_confused: bool,
}

impl Walk {
    fn new(table: &Table, changes: Vec<Change>, columns: Vec<usize>) -> Self {
        let is_done = vec![false; changes.len()];
        Walk { changes, is_done, columns, shift: Some(Shift::new(table)), row: vec![Value::Null; table.columns.len()], ..Walk::default() }
    }

    /// True where a change is about the row of this key.
    fn meets(&mut self, key: &Context<'_>) -> bool {
        self.met += 1;
        // A statement that looked for all rows before it wrote the first would write cells of another.
        self.is_confused |= self.awaited > 0;
        while let Some(change) = self.changes.get(self.next) {
            match order(&change.key, key) {
                Ordering::Less => self.next += 1,
                Ordering::Equal => return !self.is_confused,
                Ordering::Greater => return false,
            }
        }
        false
    }

    /// True where the row is what the change that was met says it was. What it shall be is ready then.
    fn fits(&mut self, found: &Context<'_>) -> bool {
        let (Some(change), Some(shift)) = (self.changes.get(self.next), &mut self.shift) else { return false };
        for (i, value) in self.row.iter_mut().enumerate() {
            put(value, found.get_raw(i));
        }
        let row = &mut self.row;
        match &change.edit {
            Edit::Delete(was) if was == row => shift.subtract(row),
            Edit::Update(cells) if cells.iter().all(|c| row[c.column] == c.before || c.before == c.after) => {
                shift.subtract(row);
                cells.iter().for_each(|cell| put(&mut row[cell.column], value_ref(&cell.after)));
                shift.add(row);
                self.awaited = self.columns.len();
            }
            _ => return false,
        }
        self.is_done[self.next] = true;
        self.next += 1;
        true
    }

    /// A cell of the row that was just found to fit; they are asked for one after the other.
    fn cell(&mut self, place: i64) -> rusqlite::Result<Cell> {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        if self.awaited == 0 || place + self.awaited != self.columns.len() {
            self.is_confused = true;
            return Err(rusqlite::Error::InvalidQuery);
        }
        self.awaited -= 1;
        Ok(Cell(std::mem::take(&mut self.row[self.columns[place]])))
    }
}

/// A value on its way to SQLite.
struct Cell(Value);

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(sql_value(&self.0))
    }
}

/// Puts a value where another was, in the memory that it had.
fn put(value: &mut Value, found: ValueRef<'_>) {
    match (value, found) {
        (Value::Text(held), ValueRef::Text(bytes)) | (Value::Blob(held), ValueRef::Blob(bytes)) => {
            held.clear();
            held.extend_from_slice(bytes);
        }
        (value, found) => *value = value_of(found),
    }
}

/// How a key stands to that of a row, in the order of values.
fn order(key: &Key, found: &Context<'_>) -> Ordering {
    let places = key.iter().enumerate().map(|(n, value)| compare(value, found.get_raw(n)));
    places.fold(Ordering::Equal, Ordering::then)
}

fn compare(value: &Value, found: ValueRef<'_>) -> Ordering {
    match (value, found) {
        (Value::Integer(a), ValueRef::Integer(b)) => a.cmp(&b),
        (Value::Text(a), ValueRef::Text(b)) | (Value::Blob(a), ValueRef::Blob(b)) => a.as_slice().cmp(b),
        (value, found) => value.cmp(&value_of(found)),
    }
}

#[cfg(test)]
mod tests;
