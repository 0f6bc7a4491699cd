//! What rows were at a version, and what happened to a row: read back from the present by the ledger's touches.
//!
//! Invariant: tables and columns are followed through renames by what they are, never by what they are called.
//! Invariant: nothing is read but the rows asked for and the pages that tell of them.
mod blame;
mod declared;
mod reviews;

pub use blame::{Blame, CellBlame, Contributor, Gone, Origin, RenumberedAway, Rule, blame};
pub use declared::{Declared, Steps, declared};
pub use reviews::{Reviews, reviews};

use crate::cleanup::check_horizon;
use crate::error::{Error, Result};
use crate::primary::RowVisitor;
use crate::store::Transaction;
use mainstem_core::change::{Change, Edit, Header, Shape};
use mainstem_core::chronicle::{Chronicle, Era, NamedTable, TableId};
use mainstem_core::conflict::Conflict;
use mainstem_core::event::Version;
use mainstem_core::stamp::Time;
use mainstem_core::three_way::Touch;
use mainstem_core::value::{Key, Row, Value};
use std::collections::HashSet;
use std::sync::Arc;

/// Touches of one row that are looked at together.
const TOUCHES_AT_ONCE: usize = 64;

/// A row at a version, under the names of that version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPlace {
    /// The table.
    pub table: String,
    /// The row.
    pub key: Key,
    /// The version.
    pub version: u64,
}

/// One thing that happened to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// The version.
    pub version: u64,
    /// Who, where, when, and what the changeset is called.
    pub header: Header,
    /// When the primary accepted it.
    pub accepted_at: Time,
    /// The columns the change refers to.
    pub shape: Shape,
    /// What happened.
    pub change: Change,
    /// For a row that was deleted because it moved: the key it has since.
    pub moved_to: Option<Key>,
    /// The number the row was made with, where its own was taken.
    pub renumbered_from: Option<i64>,
    /// True where it waited for its parent before.
    pub is_released: bool,
    /// Conflicts that the version found about this row, with the answers they have had since.
    pub conflicts: Vec<Conflict>,
    /// Conflicts about this row that the version answered.
    pub answered: Vec<Conflict>,
}

/// What happened to a row, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowHistory {
    /// What happened. A version's part is never divided.
    pub happenings: Vec<Happening>,
    /// Where to go on; none at the row's beginning.
    pub next: Option<RowPlace>,
    /// At the beginning of a row that was there when the dataset was published: who did that, and when it was accepted.
    pub published: Option<(Header, Time)>,
    /// Where row changes were collected: the version up to which nothing is known.
    pub collected: Option<u64>,
}

/// A table at a version: which one it is, as it was then, and as it is last known.
pub(crate) struct TableThen {
    pub chronicle: Arc<Chronicle>,
    pub then: Arc<NamedTable>,
    pub last: Arc<NamedTable>,
    pub head: u64,
}

impl TableThen {
    /// Finds a table by the name it had at a version, or has now.
    pub fn find(tx: &mut dyn Transaction, name: &str, version: u64) -> Result<TableThen> {
        let head = tx.head()?.version;
        if version == 0 || version > head {
            return Err(Error::not_found(format!("there is no version {version}; the latest is {head}")).hint("mainstem log"));
        }
        let chronicle = tx.chronicle()?;
        let era = chronicle.at(version);
        let renamed = || chronicle.now().table(name).and_then(|now| era.find(now.id));
        let Some(then) = era.table(name).or_else(renamed).cloned() else {
            return Err(no_table(era, name, version));
        };
        let last = chronicle.last(then.id).cloned().ok_or_else(|| Error::internal("a table of an era has no last one"))?;
        Ok(TableThen { chronicle: chronicle.clone(), then, last, head })
    }

    /// Rows that a new declaration gave another key cannot be followed through it.
    fn check_key(&self, version: u64) -> Result<()> {
        match self.then.key_ids() == self.last.key_ids() {
            true => Ok(()),
            false => Err(Error::invalid(format!("the key of {} was declared anew after version {version}", self.then.name))
                .hint("mainstem log lists the versions; rows can be shown from the one that declared it")),
        }
    }

    fn id(&self) -> TableId {
        self.then.id
    }

    /// A row of the present in the columns of then.
    fn as_then(&self, row: &Row) -> Row {
        let value = |id| self.last.position(id).map_or(Value::Null, |at| row[at].clone());
        self.then.columns.iter().map(|column| value(column.id)).collect()
    }

    /// A row as it was at a version, given what it is now.
    fn before(&self, tx: &mut dyn Transaction, key: &Key, now: Option<Row>, version: u64) -> Result<Option<Row>> {
        let mut row = now;
        let mut until = self.head;
        while until > version {
            let touches = tx.past(self.id(), key, version + 1..=until, TOUCHES_AT_ONCE)?;
            let Some(oldest) = touches.last() else { break };
            until = oldest.version - 1;
            for touch in &touches {
                row = self.undone(row, touch);
            }
        }
        Ok(row)
    }

    fn undone(&self, row: Option<Row>, touch: &Touch) -> Option<Row> {
        let place = self.chronicle.place(touch.version, &touch.shape)?;
        match (&touch.change.edit, row) {
            (Edit::Insert(_), _) => None,
            (Edit::Delete(image), _) => Some(place.row_in(&self.then, image)),
            (Edit::Update(_), None) => None,
            (Edit::Update(cells), Some(mut row)) => {
                for cell in cells {
                    if let Some(at) = place.columns[cell.column].and_then(|id| self.then.position(id)) {
                        row[at] = cell.before.clone();
                    }
                }
                Some(row)
            }
        }
    }

    /// The row of one key as it was at a version.
    fn row(&self, tx: &mut dyn Transaction, key: &Key, version: u64) -> Result<Option<Row>> {
        check_horizon(tx, version)?;
        self.check_key(version)?;
        if key.len() != self.then.key.len() {
            return Err(Error::invalid(format!("a key of {} has {} parts", self.then.name, self.then.key.len())));
        }
        let now = match position(tx, &self.chronicle, self.id()) {
            Some(index) => tx.get(index, key)?.map(|row| self.as_then(&ordered(tx, index, &self.last, &row))),
            None => None,
        };
        self.before(tx, key, now, version)
    }
}

/// There is no table of that name at a version.
pub(crate) fn no_table(era: &Era, name: &str, version: u64) -> Error {
    let names: Vec<&str> = era.tables.iter().map(|table| table.name.as_str()).collect();
    let message = format!("version {version} has no table {name}; it has {}", names.join(", "));
    Error::not_found(message).hint(format!("mainstem show --at {version}"))
}

/// Where a table is among those that are there.
fn position(tx: &mut dyn Transaction, chronicle: &Chronicle, id: TableId) -> Option<usize> {
    let now = chronicle.now().find(id)?;
    tx.schema().tables.iter().position(|table| table.name.eq_ignore_ascii_case(&now.name))
}

/// A stored row in the order that the chronicle has for its columns.
fn ordered(tx: &mut dyn Transaction, index: usize, named: &NamedTable, row: &Row) -> Row {
    let schema = tx.schema();
    let at = |name: &str| schema.tables[index].column(name);
    named.columns.iter().map(|column| at(&column.name).map_or(Value::Null, |at| row[at].clone())).collect()
}

/// Streams the rows of a table as they were at a version, under the columns of that version.
pub fn rows_at(tx: &mut dyn Transaction, table: &str, version: u64, visit: RowVisitor<'_>) -> Result<()> {
    let table = TableThen::find(tx, table, version)?;
    table.check_key(version)?;
    let names = table.then.column_names();
    let mut touched = Vec::new();
    if table.head > version {
        tx.touched_since(table.id(), version, &mut |key| {
            touched.push(key.clone());
            Ok(())
        })?;
    }
    let mut changed: HashSet<Key> = touched.iter().cloned().collect();
    let index = position(tx, &table.chronicle, table.id());
    if let Some(index) = index {
        let schema = tx.schema();
        let stored = &schema.tables[index];
        let places: Vec<Option<usize>> = table.then.columns.iter().map(|c| stored_at(&table.last, stored, c.id)).collect();
        let is_straight = places.iter().enumerate().all(|(n, at)| *at == Some(n));
        tx.scan(index, &mut |row| {
            if !changed.is_empty() && changed.contains(&stored.key_of(row)) {
                return Ok(());
            }
            if is_straight && row.len() == places.len() {
                return visit(&names, row);
            }
            visit(&names, &places.iter().map(|at| at.map_or(Value::Null, |at| row[at].clone())).collect())
        })?;
    }
    for key in touched.into_iter().filter(|key| changed.remove(key)) {
        let now = match index {
            Some(index) => tx.get(index, &key)?.map(|row| table.as_then(&ordered(tx, index, &table.last, &row))),
            None => None,
        };
        if let Some(row) = table.before(tx, &key, now, version)? {
            visit(&names, &row)?;
        }
    }
    Ok(())
}

/// The rows of these keys as they were at a version, under the columns of that version.
pub fn rows_of(tx: &mut dyn Transaction, table: &str, keys: &[Key], version: u64) -> Result<Vec<Option<Row>>> {
    let table = TableThen::find(tx, table, version)?;
    keys.iter().map(|key| table.row(tx, key, version)).collect()
}

fn stored_at(last: &NamedTable, stored: &mainstem_core::schema::Table, id: mainstem_core::chronicle::ColumnId) -> Option<usize> {
    last.position(id).and_then(|at| stored.column(&last.columns[at].name))
}

/// What happened to a row after a version, up to the place's, oldest first.
pub fn touches_after(tx: &mut dyn Transaction, row: &RowPlace, after: u64) -> Result<Vec<Touch>> {
    let table = TableThen::find(tx, &row.table, row.version)?;
    check_horizon(tx, after)?;
    let mut touches = tx.past(table.id(), &row.key, after.saturating_add(1)..=row.version, usize::MAX)?;
    touches.reverse();
    Ok(touches)
}

/// What happened to a row up to a version, newest first, at least `limit` things where there are as many. A row that
/// was moved is followed to the key it had.
pub fn row_history(tx: &mut dyn Transaction, from: &RowPlace, limit: usize) -> Result<RowHistory> {
    let table = TableThen::find(tx, &from.table, from.version)?;
    let horizon = tx.horizon()?;
    let mut history = RowHistory { collected: Some(horizon).filter(|horizon| *horizon > 0), ..RowHistory::default() };
    let mut place = RowPlace { version: from.version, ..from.clone() };
    loop {
        let missing = limit.saturating_sub(history.happenings.len()).clamp(1, TOUCHES_AT_ONCE);
        let touches = tx.past(table.id(), &place.key, 1..=place.version, missing)?;
        let Some(oldest) = touches.last().map(|touch| touch.version) else {
            if horizon > 0 {
                return Ok(history);
            }
            history.published = published(tx, &table, &place.key, history.happenings.last())?;
            return Ok(history);
        };
        let moved = touches.iter().find_map(|touch| touch.change.moved_from.clone().map(|key| (touch.version, key)));
        let kept = touches.into_iter().take_while(|touch| moved.as_ref().is_none_or(|(version, _)| touch.version >= *version));
        for touch in kept {
            history.happenings.push(happening(tx, touch)?);
        }
        match moved {
            Some((version, key)) => (place.key, place.version) = (key, version - 1),
            None => place.version = oldest - 1,
        }
        if history.happenings.len() >= limit {
            place.table = table.chronicle.at(place.version).find(table.id()).map_or(place.table, |then| then.name.clone());
            history.next = Some(place).filter(|place| place.version > 0);
            return Ok(history);
        }
        if place.version == 0 {
            return Ok(history);
        }
    }
}

/// Who published a row that no version made.
fn published(tx: &mut dyn Transaction, table: &TableThen, key: &Key, oldest: Option<&Happening>) -> Result<Option<(Header, Time)>> {
    let was_there = match oldest {
        Some(oldest) => !matches!(oldest.change.edit, Edit::Insert(_)) || oldest.change.moved_from.is_some(),
        None => table.chronicle.at(1).find(table.id()).is_some() && table.row(tx, key, 1)?.is_some(),
    };
    let first = if was_there { tx.version(1)? } else { None };
    Ok(first.map(|first| (first.header, first.accepted_at)))
}

/// A touch with what its version says of the row.
fn happening(tx: &mut dyn Transaction, touch: Touch) -> Result<Happening> {
    let Touch { version, shape, change, .. } = touch;
    let told = tx.version(version)?.ok_or_else(|| Error::corrupt(format!("version {version} is missing in the ledger")))?;
    let moved_to = if matches!(change.edit, Edit::Delete(_)) { moved_to(tx, &told, &shape.table, &change.key)? } else { None };
    let is_it = |conflict: &Conflict| conflict.table.eq_ignore_ascii_case(&shape.table) && conflict.key == change.key;
    let mut conflicts = Vec::new();
    for found in told.conflicts.iter().filter(|found| is_it(found)) {
        conflicts.push(tx.conflict(found.id)?.unwrap_or_else(|| found.clone()));
    }
    let mut answered = Vec::new();
    for resolution in &told.resolved {
        answered.extend(tx.conflict(resolution.conflict)?.filter(is_it));
    }
    let number = change.key.first().and_then(Value::as_integer).filter(|_| matches!(change.edit, Edit::Insert(_)));
    let renumbered = told.renumbered.iter().find(|r| r.table.eq_ignore_ascii_case(&shape.table) && Some(r.to) == number);
    let is_released = told.released.iter().any(|(_, table, key)| table.eq_ignore_ascii_case(&shape.table) && *key == change.key);
    Ok(Happening {
        version,
        renumbered_from: renumbered.map(|r| r.from),
        header: told.header,
        accepted_at: told.accepted_at,
        shape: (*shape).clone(),
        change,
        moved_to,
        is_released,
        conflicts,
        answered,
    })
}

/// The key that a row which left its key has since the same version, which says so at the row's new key.
fn moved_to(tx: &mut dyn Transaction, version: &Version, table: &str, key: &Key) -> Result<Option<Key>> {
    for page in 0..version.pages {
        let bytes = tx.page(version.version, page)?.ok_or_else(|| Error::corrupt("a page is missing in the ledger"))?;
        let changes = mainstem_core::format::page::decode(&bytes, &version.shapes)?;
        let is_it =
            |change: &&Change| change.moved_from.as_ref() == Some(key) && version.shapes[change.table].table.eq_ignore_ascii_case(table);
        if let Some(change) = changes.iter().find(is_it) {
            return Ok(Some(change.key.clone()));
        }
    }
    Ok(None)
}
