//! Takes back what one accepted version did, as local edits: the inverse of that version, merged with everything since.
//!
//! Invariant: exactly the cells that the version changed and nobody changed since are put back; where somebody did, what
//! is there stays and a conflict says so. Nothing is overwritten by a strategy, whatever the policy says.
//! Deliberately absent: schema steps. They are named, with the SQL that takes them back.
mod names;

use super::compare::local_steps;
use super::ground::ReplicaGround;
use super::{SqliteReplica, base_version, bases, clock, replica_id, storage, transact, working};
use crate::capture::{self, Done};
use crate::connection;
use crate::tables::SqliteTables;
use mainstem::core::ErrorKind;
use mainstem::core::change::{Cell, Change, Edit, Front, Header, Shape};
use mainstem::core::conflict::Conflict;
use mainstem::core::event::{Renumbered, Version};
use mainstem::core::format::page;
use mainstem::core::policy::Policy;
use mainstem::core::schema::{Schema, SchemaChange};
use mainstem::core::stamp::{ReplicaId, Time};
use mainstem::core::three_way::{self, Ours, Theirs, Touch};
use mainstem::core::value::{Key, Row, Value};
use mainstem::error::{Error, Result};
use mainstem::history::RowPlace;
use mainstem::policy_text;
use mainstem::primary::{Pages, Primary};
use mainstem::rebase::{Effect, Effects, Ground, Place, rebase};
use mainstem::tables::{Tables, Wrote};
use mainstem::wiring::Around;
use names::Names;
use rusqlite::Connection;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Something of the version that was not taken back, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// What: a schema step, a column, a table.
    pub what: String,
    /// Rows it is about; zero for a schema step.
    pub rows: u64,
    /// Why, and what can be done.
    pub why: String,
}

/// What a revert came to.
#[derive(Clone, Debug, Default)]
pub struct Reverted {
    /// The changeset it is; none where nothing changed, or where it was only rehearsed.
    pub front: Option<Front>,
    /// What was changed here and not committed, which became a changeset of its own first.
    pub committed_first: Option<Front>,
    /// Rows that it changed.
    pub rows: u64,
    /// Where somebody changed the same since. Each can be answered as any other.
    pub conflicts: Vec<Conflict>,
    /// What was not taken back.
    pub left: Vec<Left>,
}

/// Takes each row that is changed.
pub type VisitReverted<'a> = &'a mut dyn FnMut(&Shape, &Change) -> Result<()>;

/// What is not taken back: rows by what and why.
type Leaving = RefCell<BTreeMap<(String, String), u64>>;

impl SqliteReplica {
    /// The name that a table has in the base version.
    pub fn name_at_base(&self, table: &str) -> Result<String> {
        Ok(super::compare::former_name(table, &local_steps(&self.db)?))
    }

    /// Takes back what a version did, as a changeset of its own.
    pub fn revert(&mut self, primary: &mut dyn Primary, version: u64, actor: &str) -> Result<Reverted> {
        let (db, around) = (&self.db, &self.around);
        transact(db, || revert(db, around, primary, version, actor, &mut |_, _| Ok(())))
    }

    /// Tells what [`SqliteReplica::revert`] would do, and shows each row that it would change. Changes nothing.
    pub fn rehearse_revert(&mut self, primary: &mut dyn Primary, version: u64, actor: &str, visit: VisitReverted<'_>) -> Result<Reverted> {
        let (db, around) = (&self.db, &self.around);
        connection::begin_write(db)?;
        let told = connection::triggers_off(db).and_then(|()| revert(db, around, primary, version, actor, visit));
        connection::roll_back(db);
        told.map(|told| Reverted { front: None, committed_first: None, ..told })
    }
}

fn revert(
    db: &Connection,
    around: &Around,
    primary: &mut dyn Primary,
    number: u64,
    actor: &str,
    visit: VisitReverted<'_>,
) -> Result<Reverted> {
    let version = revertible(primary, number, base_version(db)?)?;
    let committed_first = working::close(db, around, &working::Naming { actor, title: None, description: "" })?;
    let mut ground = ReplicaGround::new(db)?;
    let names = Names::new(primary.chronicle()?, base_version(db)?, local_steps(db)?, ground.schema());
    let left = Leaving::default();
    let at = clock::now(db, around)?;
    let front = Front {
        header: Header {
            write_id: around.random(),
            // Whoever wrote since is the other side, this replica too.
            replica: ReplicaId(around.random()),
            base_version: number,
            actor: actor.to_owned(),
            at,
            ..Header::default()
        },
        shapes: names.shapes(),
        ..Front::default()
    };
    let primary = RefCell::new(primary);
    let mut pages = Inverse {
        primary: &primary,
        version: &version,
        names: &names,
        at,
        left: &left,
        next: version.pages,
        moved: HashMap::new(),
        now: working::rows_now(db, &ground.schema()),
        gone: Vec::new(),
    };
    let place = Place { head: names.base.max(number) + 1, version: names.base, primary: ReplicaId(0) };
    let policy = policy_text::parse("strategy = \"manual\"\n")?;
    let mut rows = Recorded { db, at, rows: 0 };
    let mut since = Since { db, ground: &mut ground, primary: &primary, names: &names, replica: replica_id(db)?, actor, at };
    let mut outcome = rebase(&mut since, &policy, &front, &mut pages, place, &mut rows)?;
    for change in std::mem::take(&mut pages.gone) {
        outcome.conflicts.extend(since.stays_gone(&policy, &front, &change)?);
    }
    drop(pages);
    ground.renew_indexes()?;
    for waiting in &outcome.waiting {
        let why = format!("its row of {} is gone; bring that back first, then the same command", waiting.parent);
        *left.borrow_mut().entry((format!("row {} of {}", key_text(&waiting.key), waiting.table), why)).or_default() += 1;
    }
    let mut reverted = Reverted { committed_first, rows: rows.rows, left: steps_left(&version), ..Reverted::default() };
    for mut conflict in outcome.conflicts {
        conflict.ours.stamp.replica = replica_id(db)?;
        storage::put_conflict(db, &conflict)?;
        reverted.conflicts.push(conflict);
    }
    reverted.left.extend(left.into_inner().into_iter().map(|((what, why), rows)| Left { what, rows, why }));
    working::changes(db, mainstem::replica::Since::Commit, visit)?;
    let title = format!("Revert version {number}: {}", version.header.title.as_deref().unwrap_or("(no title)"));
    let description = format!("Takes back version {number} of {}.", version.header.actor);
    reverted.front = working::close(db, around, &working::Naming { actor, title: Some(&title), description: &description })?;
    Ok(reverted)
}

/// The version, where it can be taken back.
fn revertible(primary: &mut dyn Primary, number: u64, base: u64) -> Result<Version> {
    if number == 1 {
        let message = "version 1 is what was published; there is nothing before it to go back to";
        return Err(Error::invalid(message).hint("mainstem restore, or delete the rows"));
    }
    let version = primary.version(number)?;
    let Some(version) = version else {
        return Err(Error::not_found(format!("there is no version {number}")).hint("mainstem log"));
    };
    let horizon = primary.describe()?.horizon;
    if number <= horizon {
        let message = format!("what versions up to {horizon} did is not kept any more, so version {number} cannot be taken back");
        return Err(Error::new(ErrorKind::Conflict, "collected", message).hint("mainstem log"));
    }
    if number > base {
        let message = format!("this replica holds version {base} and has not seen version {number}");
        return Err(Error::new(ErrorKind::Conflict, "behind", message).hint("mainstem pull, then the same command"));
    }
    Ok(version)
}

/// The schema steps of the version, none of which is taken back, with the SQL that does.
fn steps_left(version: &Version) -> Vec<Left> {
    let quote = crate::sql::quote;
    let why = |step: &SchemaChange| match step {
        SchemaChange::AddColumn { table, column, .. } => {
            format!("to drop it: ALTER TABLE {} DROP COLUMN {}", quote(table), quote(&column.name))
        }
        SchemaChange::CreateTable { table } => format!("to drop it: DROP TABLE {}", quote(&table.name)),
        SchemaChange::RenameTable { from, to } => format!("to take it back: ALTER TABLE {} RENAME TO {}", quote(to), quote(from)),
        SchemaChange::RenameColumn { table, from, to } => {
            format!("to take it back: ALTER TABLE {} RENAME COLUMN {} TO {}", quote(table), quote(to), quote(from))
        }
        SchemaChange::DropColumn { table, column } => {
            format!("add column {column} to {table} again, then the same command brings its values back")
        }
        SchemaChange::DropTable { name } => format!("make table {name} again, then the same command brings its rows back"),
        SchemaChange::PutObject { object } => format!("to drop it: DROP {} {}", object.kind, quote(&object.name)),
        SchemaChange::Rebuild { .. } | SchemaChange::DropObject { .. } => "declare it again as it was".into(),
    };
    let left = |step: &SchemaChange| Left { what: mainstem::schema_merge::describe(step), rows: 0, why: why(step) };
    version.schema.iter().map(left).collect()
}

fn key_text(key: &Key) -> String {
    let text = |value: &Value| match value {
        Value::Integer(i) => i.to_string(),
        other => other.as_text().map_or_else(|| other.type_name().to_owned(), |text| text.into_owned()),
    };
    key.iter().map(text).collect::<Vec<_>>().join(",")
}

/// A version's changes backwards, each turned round, under the names that things have here. What was inserted last goes
/// first; a page is held at a time.
struct Inverse<'a, 'p> {
    primary: &'a RefCell<&'p mut dyn Primary>,
    version: &'a Version,
    names: &'a Names,
    at: Time,
    left: &'a Leaving,
    /// Pages that are left.
    next: u64,
    /// Rows that the version moved: the key they had, and the one they got.
    moved: HashMap<(usize, Key), Key>,
    now: SqliteTables<'a>,
    /// Changes of rows that are not there any more.
    gone: Vec<Change>,
}

impl Pages for Inverse<'_, '_> {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        let Some(at) = self.next.checked_sub(1) else { return Ok(None) };
        self.next = at;
        let number = self.version.version;
        let bytes = self.primary.borrow_mut().page(number, at)?;
        let bytes = bytes.ok_or_else(|| Error::corrupt(format!("page {at} of version {number} is missing on the primary")))?;
        let mut changes = page::decode(&bytes, &self.version.shapes)?;
        changes.reverse();
        let mut turned = Vec::with_capacity(changes.len());
        for change in changes {
            let Some(change) = self.turned(change) else { continue };
            // A policy would have the row back, as where two people are apart; here its deletion came after.
            match matches!(change.edit, Edit::Update(_)) && self.now.get(change.table, &change.key)?.is_none() {
                true => self.gone.push(change),
                false => turned.push(change),
            }
        }
        Ok(Some(turned))
    }
    fn rewind(&mut self) -> Result<()> {
        (self.next, self.moved, self.gone) = (self.version.pages, HashMap::new(), Vec::new());
        Ok(())
    }
}

impl Inverse<'_, '_> {
    fn leave(&self, what: String, why: &str) {
        *self.left.borrow_mut().entry((what, why.to_owned())).or_default() += 1;
    }

    fn turned(&mut self, change: Change) -> Option<Change> {
        let shape = &self.version.shapes[change.table];
        let Some(here) = self.names.place(self.version.version, shape) else {
            self.leave(format!("rows of {}", shape.table), "the table is not there any more");
            return None;
        };
        if !self.names.is_key(&here, shape) {
            self.leave(format!("rows of {}", shape.table), "the table has another key since");
            return None;
        }
        if let Some(from) = &change.moved_from {
            self.moved.insert((here.table, from.clone()), change.key.clone());
        }
        let edit = match change.edit {
            Edit::Insert(row) => Edit::Delete(self.names.row(&here, &row)),
            Edit::Delete(row) => Edit::Insert(self.names.row(&here, &row)),
            Edit::Update(cells) => {
                let mut turned = Vec::with_capacity(cells.len());
                for Cell { column, before, after, .. } in cells {
                    match here.columns[column] {
                        Some(column) => turned.push(Cell { column, before: after, after: before, at: self.at }),
                        None => self.leave(format!("column {} of {}", shape.columns[column], shape.table), "it is not there any more"),
                    }
                }
                turned.sort_by_key(|cell| cell.column);
                Edit::Update(turned)
            }
        };
        if matches!(&edit, Edit::Update(cells) if cells.is_empty()) {
            return None;
        }
        let moved_from = match &edit {
            Edit::Insert(_) => self.moved.get(&(here.table, change.key.clone())).cloned(),
            _ => None,
        };
        Some(Change { table: here.table, key: change.key, edit, at: self.at, moved_from })
    }
}

/// The rows here as ground, with all that happened to them since the version that is taken back: what the primary tells,
/// and what was written here and is not accepted yet.
struct Since<'a, 'c, 'p> {
    db: &'c Connection,
    ground: &'a mut ReplicaGround<'c>,
    primary: &'a RefCell<&'p mut dyn Primary>,
    names: &'a Names,
    replica: ReplicaId,
    actor: &'a str,
    at: Time,
}

impl Since<'_, '_, '_> {
    /// The conflict of a change whose row was deleted since.
    fn stays_gone(&mut self, policy: &Policy, front: &Front, change: &Change) -> Result<Vec<Conflict>> {
        let shape = &front.shapes[change.table];
        let touches = self.touches(&shape.table, &change.key, front.header.base_version)?;
        let ours = Ours { shape, change, replica: front.header.replica, actor: &front.header.actor };
        let theirs = Theirs { row: None, touches: &touches, primary: ReplicaId(0) };
        Ok(three_way::decide(policy, &ours, &theirs, self.names.base).conflicts)
    }

    /// What was done to a row here since the base version, as one touch before now.
    fn local(&mut self, table: usize, key: &Key) -> Result<Option<Touch>> {
        let schema = self.ground.schema();
        let table_here = &schema.tables[table];
        let Some(image) = bases::find(self.db, table_here, key)? else { return Ok(None) };
        let now = self.ground.get(table, key)?;
        let before = image.map(|image| image.row(table_here, now.as_ref()));
        let at = Time(self.at.0.saturating_sub(1));
        let effect = Effect { table, before: before.as_ref(), after: now.as_ref(), at, cell_at: &[], moved_from: None };
        let change = mainstem::body::change_of(table_here, 0, &effect);
        let shape = Arc::new(mainstem::lane::shape_of(table_here));
        Ok(change.map(|change| Touch { version: u64::MAX, replica: self.replica, actor: self.actor.into(), shape, change, was: [].into() }))
    }
}

impl Ground for Since<'_, '_, '_> {
    fn touches(&mut self, table: &str, key: &Key, after: u64) -> Result<Vec<Touch>> {
        let Some(index) = self.names.schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(table)) else { return Ok(Vec::new()) };
        let mut touches = Vec::new();
        if let Some(name) = self.names.at_base(index) {
            let row = RowPlace { table: name, key: key.clone(), version: self.names.base };
            for mut touch in self.primary.borrow_mut().touches(&row, after)? {
                touch.shape = Arc::new(self.names.shape_here(touch.version, &touch.shape));
                touches.push(touch);
            }
        }
        touches.extend(self.local(index, key)?);
        Ok(touches)
    }
    fn renumbered(&mut self, _: ReplicaId, _: u64) -> Result<Vec<(u64, Renumbered)>> {
        Ok(Vec::new())
    }
    fn renumbered_of(&mut self, _: u128, _: u64) -> Result<Option<Vec<Renumbered>>> {
        Ok(None)
    }
    fn steps(&mut self, _: u64) -> Result<Vec<SchemaChange>> {
        Ok(Vec::new())
    }
}

impl Tables for Since<'_, '_, '_> {
    /// Without numbers to give: a row that comes back under a number that was given anew is a conflict, not another row.
    fn schema(&self) -> Arc<Schema> {
        self.names.schema.clone()
    }
    fn get(&mut self, table: usize, key: &Key) -> Result<Option<Row>> {
        self.ground.get(table, key)
    }
    fn insert(&mut self, table: usize, row: &Row) -> Result<Wrote> {
        self.ground.insert(table, row)
    }
    fn update(&mut self, table: usize, before: &Row, row: &Row) -> Result<Wrote> {
        self.ground.update(table, before, row)
    }
    fn delete(&mut self, table: usize, key: &Key) -> Result<()> {
        self.ground.delete(table, key)
    }
    fn find(&mut self, table: usize, columns: &[usize], values: &[Value], limit: usize) -> Result<Vec<Row>> {
        self.ground.find(table, columns, values, limit)
    }
    fn rivals(&mut self, table: usize, row: &Row) -> Result<Vec<Row>> {
        self.ground.rivals(table, row)
    }
    fn scan(&mut self, table: usize, visit: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
        self.ground.scan(table, visit)
    }
    fn next_number(&mut self, table: usize) -> Result<i64> {
        self.ground.next_number(table)
    }
    fn stored_form(&mut self, table: usize, row: &Row) -> Result<Row> {
        self.ground.stored_form(table, row)
    }
    fn alter(&mut self, step: &SchemaChange) -> Result<()> {
        self.ground.alter(step)
    }
}

/// Records each row written as a local edit.
struct Recorded<'c> {
    db: &'c Connection,
    at: Time,
    rows: u64,
}

impl Effects<Since<'_, '_, '_>> for Recorded<'_> {
    fn effect(&mut self, ground: &mut Since<'_, '_, '_>, _: &Schema, effect: &Effect<'_>) -> Result<()> {
        let schema = ground.ground.schema();
        let table = &schema.tables[effect.table];
        let Some(row) = effect.before.or(effect.after) else { return Ok(()) };
        self.rows += 1;
        capture::record(self.db, table, &table.key_of(row), Done::between(effect.before, effect.after), self.at.ms())
    }
    fn altered(&mut self, _: &mut Since<'_, '_, '_>, _: &[String]) -> Result<()> {
        Ok(())
    }
}
