//! The net change of every row in the log: its first image against the row as it is now.
//!
//! Invariant: the order of records decides nothing but times, and whether a row was there at first: an insert that no
//! removal precedes means it was not.
//! Invariant: memory is bounded by a budget; where the touched rows exceed it, the log is read in the order of the rows.
use super::image;
use super::links::Links;
use super::log::{self, Record, key_of, table_of};
use super::plan::op;
use super::reader::Reader;
use super::sorted::Sorted;
use super::sources::Sources;
use foldhash::fast::RandomState;
use mainstem::Result;
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::Table;
use mainstem::core::value::{Key, Row};
use rusqlite::Connection;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// Bytes of images kept in memory at a time.
const BUDGET: usize = 64 << 20;

/// What one touched row costs beside its bytes.
const OVERHEAD: usize = 240;

/// The net change of one row. Never one that changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct NetChange {
    /// Position of the table in the schema that [`condense`] gives to its visitor.
    pub table: usize,
    /// The row's key.
    pub key: Key,
    /// The row at first; none where it was not there.
    pub before: Option<Row>,
    /// The row now; none where it is gone.
    pub after: Option<Row>,
    /// Columns whose value in `before` is not known (it says NULL), because the app renamed them before it wrote.
    pub unknown_before: Vec<usize>,
    /// When the row was last written, in milliseconds since 1970.
    pub at_ms: u64,
    /// When each cell was last written, column by column; for a cell that never changed, when the row was first touched.
    pub cell_at_ms: Vec<u64>,
    /// For an insert that is a row moved to a new key: the key it had at first.
    pub moved_from: Option<Key>,
}

/// What condensing found beside the changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condensed {
    /// Net changes visited.
    pub changes: u64,
    /// Tables with writes to rows that have NULL in their key, which cannot be told apart, and how many writes.
    pub null_keys: Vec<(String, u64)>,
}

/// Visits the net change of every row that the log names, up to `through` where one is given: deletions first,
/// children before parents, then the rest, parents before children; within a table by key.
///
/// The file must have been healed in the same transaction. The current rows are those of this moment, so `through`
/// makes sense only when nothing was written since.
pub fn condense(conn: &Connection, through: Option<i64>, visit: &mut dyn FnMut(&Table, NetChange) -> Result<()>) -> Result<Condensed> {
    condense_within(conn, through, BUDGET, visit)
}

/// [`condense`] with a budget of its own.
pub(super) fn condense_within(
    conn: &Connection,
    through: Option<i64>,
    budget: usize,
    visit: &mut dyn FnMut(&Table, NetChange) -> Result<()>,
) -> Result<Condensed> {
    let sources = Sources::read(conn)?;
    let log = Log { conn, sources: &sources, through: through.unwrap_or(i64::MAX), budget };
    let mut out = Out { conn, sources: &sources, visit, condensed: Condensed::default(), links: Links::new(conn) };
    let first = log.collect()?;
    out.condensed.null_keys = first.null_keys(&sources);
    out.links = first.links;
    if let Some(touched) = first.touched {
        let mut settled = out.settle(touched)?;
        out.emit(&mut settled, true, true)?;
        out.emit(&mut settled, false, false)?;
        return Ok(out.condensed);
    }
    let sorted = log.sort()?;
    let mut upward: Vec<usize> = (0..sources.targets.len()).collect();
    upward.sort_by_key(|&at| sources.targets[at].rank);
    let deletions = upward.iter().rev().map(|&at| (at, true));
    for (target, is_deleting) in deletions.chain(upward.iter().map(|&at| (at, false))) {
        log.in_order(&sorted, target, &mut |touched| {
            let mut settled = out.settle(touched)?;
            out.emit(&mut settled, is_deleting, is_deleting)
        })?;
    }
    sorted.end()?;
    Ok(out.condensed)
}

/// What is known of a row before its first record.
enum Base {
    Absent,
    /// It was there; its image comes with the next record.
    Awaited,
    Held(Box<[u8]>),
}

/// The image after the record before.
enum Last {
    Nothing,
    Base,
    Image(Box<[u8]>),
}

/// A row that the log names.
struct Touched {
    base: Base,
    last: Last,
    first_at: u64,
    last_at: u64,
    cell_at: Option<Box<[u64]>>,
    /// Records that may have removed the row, and records that may have put it there.
    removals: u32,
    inserts: u32,
    has_after_insert: bool,
}

/// A row's table and key.
type RowKey = Box<[u8]>;

/// The touched rows in the order in which the log first names them: later records mostly come in the same order, so
/// memory is read forward.
#[derive(Default)]
struct Rows {
    places: HashMap<RowKey, usize, RandomState>,
    rows: Vec<Touched>,
}

impl Rows {
    /// The row of that key, and what it takes where it is new.
    fn at(&mut self, key: &[u8], new: impl FnOnce() -> Touched) -> (&mut Touched, usize) {
        if let Some(&place) = self.places.get(key) {
            return (&mut self.rows[place], 0);
        }
        let place = self.rows.len();
        self.places.insert(key.into(), place);
        self.rows.push(new());
        (&mut self.rows[place], OVERHEAD + key.len())
    }

    /// Takes the row that came last out, with all that is known of it, since more may come.
    fn split_last(&mut self, key: &[u8]) -> Rows {
        let mut last = Rows::default();
        if let (Some(row), Some((key, _))) = (self.rows.pop(), self.places.remove_entry(key)) {
            last.places.insert(key, 0);
            last.rows.push(row);
        }
        last
    }
}

struct Pass<'a> {
    /// The rows; none where they are more than the budget allows.
    touched: Option<Rows>,
    links: Links<'a>,
    null_keys: HashMap<usize, u64>,
}

impl Pass<'_> {
    fn null_keys(&self, sources: &Sources) -> Vec<(String, u64)> {
        let mut found: Vec<_> = self.null_keys.iter().map(|(t, n)| (sources.targets[*t].table.name.clone(), *n)).collect();
        found.sort();
        found
    }
}

struct Log<'a> {
    conn: &'a Connection,
    sources: &'a Sources,
    through: i64,
    budget: usize,
}

impl<'a> Log<'a> {
    /// Visits every record with the rows that it is about.
    fn each(&self, visit: &mut dyn FnMut(&Record, Side) -> Result<()>) -> Result<()> {
        log::records(self.conn, self.sources, i64::MIN..self.through, &mut |record| {
            if !record.has_null_key {
                visit(record, Side::From)?;
            }
            if record.op == op::KEY && !record.has_null_to && !planted::is(Bug::C4) {
                visit(record, Side::To)?;
            }
            Ok(())
        })
    }

    /// Reads the log once, and keeps its rows as long as the budget allows.
    fn collect(&self) -> Result<Pass<'a>> {
        let mut pass = Pass { touched: Some(Rows::default()), links: Links::new(self.conn), null_keys: HashMap::new() };
        let mut held = 0;
        log::records(self.conn, self.sources, i64::MIN..self.through, &mut |record| {
            if record.has_null_key || record.has_null_to {
                *pass.null_keys.entry(self.sources.sources[record.source].target).or_default() += 1;
            } else if record.op == op::KEY && record.key != record.to {
                pass.links.add(&record.key, &record.to)?;
            }
            let Some(touched) = &mut pass.touched else { return Ok(()) };
            if !record.has_null_key {
                held += touch(touched, record, Side::From);
            }
            if record.op == op::KEY && !record.has_null_to && !planted::is(Bug::C4) {
                held += touch(touched, record, Side::To);
            }
            if held > self.budget {
                pass.touched = None;
            }
            Ok(())
        })?;
        Ok(pass)
    }

    /// What the log names, sorted by row.
    fn sort(&self) -> Result<Sorted<'a>> {
        let sorted = Sorted::begin(self.conn, self.sources, self.through)?;
        self.each(&mut |record, side| {
            let key = if side == Side::From { &record.key } else { &record.to };
            sorted.add(key, record.sequence, side == Side::To)
        })?;
        sorted.sort().map(|()| sorted)
    }

    /// Visits the rows of one table by their keys, as many at a time as the budget allows.
    fn in_order(&self, sorted: &Sorted<'_>, target: usize, visit: &mut dyn FnMut(Rows) -> Result<()>) -> Result<()> {
        let (rows, held, last) = (RefCell::new(Rows::default()), Cell::new(0), RefCell::new(Vec::new()));
        let read = &mut |record: &Record, is_to: bool| {
            let side = if is_to { Side::To } else { Side::From };
            last.borrow_mut().clone_from(if is_to { &record.to } else { &record.key });
            held.set(held.get() + touch(&mut rows.borrow_mut(), record, side));
            Ok(())
        };
        sorted.records(target, read, &mut || {
            if held.get() <= self.budget {
                return Ok(());
            }
            let going_on = rows.borrow_mut().split_last(&last.borrow());
            held.set(0);
            visit(rows.replace(going_on))
        })?;
        visit(rows.into_inner())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    From,
    To,
}

/// Takes a record into account for one row. Returns how much more memory that takes.
fn touch(touched: &mut Rows, record: &Record, side: Side) -> usize {
    let key = if side == Side::From { &record.key } else { &record.to };
    let is_insert = matches!(record.op, op::INSERT | op::INSERTED) || (record.op == op::KEY && side == Side::To);
    let is_removal = matches!(record.op, op::DELETE | op::REPLACE) || (record.op == op::KEY && side == Side::From);
    let (row, mut cost) = touched.at(key, || Touched::new(record.at, is_insert));
    if record.op == op::INSERTED {
        // A trigger of the app's that fires before ours may have written to the new row already.
        if row.removals == 0 && !planted::is(Bug::A3) {
            row.base = Base::Absent;
        }
        row.has_after_insert = true;
    }
    if record.is_image() {
        cost += row.see(&record.image);
    }
    if is_insert {
        row.last = Last::Nothing;
        row.cell_at = None;
        row.first_at = record.at;
        row.inserts += 1;
    }
    row.removals += u32::from(is_removal);
    row.last_at = record.at;
    cost
}

impl Touched {
    fn new(at: u64, is_insert: bool) -> Self {
        Touched {
            base: if is_insert { Base::Absent } else { Base::Awaited },
            last: Last::Nothing,
            first_at: at,
            last_at: at,
            cell_at: None,
            removals: 0,
            inserts: 0,
            has_after_insert: false,
        }
    }

    /// Takes an image into account. Returns how much more memory that takes.
    fn see(&mut self, image: &[u8]) -> usize {
        if matches!(self.base, Base::Awaited) {
            self.base = Base::Held(image.into());
            self.last = Last::Base;
            return image.len();
        }
        let last: Option<&[u8]> = match (&self.last, &self.base) {
            (Last::Image(last), _) => Some(last),
            (Last::Base, Base::Held(base)) => Some(base),
            _ => None,
        };
        if last == Some(image) {
            return 0;
        }
        if let Some(last) = last {
            let at = self.last_at;
            note(last, image, at, self.first_at, &mut self.cell_at);
        }
        if let Last::Image(last) = &mut self.last
            && last.len() == image.len()
        {
            last.copy_from_slice(image);
            return 0;
        }
        let grown = image.len() + if matches!(self.last, Last::Image(_)) { 0 } else { OVERHEAD / 2 };
        self.last = Last::Image(image.into());
        grown
    }

    /// Whether the row was there at first. Where our AFTER INSERT record may come late, a removal before it may belong
    /// to the inserted row: then there are more inserts than the removals can account for.
    fn was_there(&self, is_there: bool) -> bool {
        let exists_now = u32::from(is_there);
        let is_accounted_for = !self.has_after_insert || self.inserts < self.removals + exists_now;
        !matches!(self.base, Base::Absent) && is_accounted_for
    }
}

/// Notes for each cell that differs when it was written.
fn note(before: &[u8], after: &[u8], at: u64, first_at: u64, cell_at: &mut Option<Box<[u64]>>) {
    for (n, (a, b)) in image::cells(before).zip(image::cells(after)).enumerate() {
        if a != b {
            cell_at.get_or_insert_with(|| vec![first_at; image::cells(before).count()].into())[n] = at;
        }
    }
}

/// A touched row whose outcome is known.
struct Settled {
    row: RowKey,
    touched: Touched,
    before: Option<Box<[u8]>>,
    after: Option<Box<[u8]>>,
}

struct Out<'a> {
    conn: &'a Connection,
    sources: &'a Sources,
    visit: &'a mut dyn FnMut(&Table, NetChange) -> Result<()>,
    condensed: Condensed,
    links: Links<'a>,
}

impl Out<'_> {
    /// Reads the current rows and leaves out what did not change. The result is in order of tables and keys.
    fn settle(&self, mut touched: Rows) -> Result<Vec<Settled>> {
        let mut all: Vec<(RowKey, usize)> = (0..touched.rows.len()).map(|place| (RowKey::default(), place)).collect();
        touched.places.drain().for_each(|(row, place)| all[place].0 = row);
        let targets = &self.sources.targets;
        let rank = |row: &RowKey| targets[table_of(row)].rank;
        // The log often names rows in the order of their keys already, or in a few stretches of it.
        all.sort_by(|(a, _), (b, _)| rank(a).cmp(&rank(b)).then_with(|| a.cmp(b)));
        let mut settled = Vec::new();
        let mut reader: Option<(usize, Reader<'_>)> = None;
        let mut now = Vec::new();
        for (row, place) in all {
            let mut touched = std::mem::replace(&mut touched.rows[place], Touched::new(0, false));
            let table = table_of(&row);
            if reader.as_ref().is_none_or(|(t, _)| *t != table) {
                reader = Some((table, Reader::new(self.conn, &targets[table])?));
            }
            let (_, reader) = reader.as_mut().expect("made just above");
            let is_there = reader.read(key_of(&row), &mut now)?;
            let was_there = touched.was_there(is_there);
            let Touched { base, .. } = &touched;
            match base {
                Base::Held(base) if was_there && is_there && **base == *now => continue,
                _ if !was_there && !is_there => continue,
                _ if planted::is(Bug::E10) && touched.inserts > 0 && !is_there => continue,
                _ => {}
            }
            let base = std::mem::replace(&mut touched.base, Base::Absent);
            let before = match base {
                Base::Held(base) if was_there => Some(base),
                _ => None,
            };
            let after: Option<Box<[u8]>> = is_there.then(|| now.as_slice().into());
            let last: Option<&[u8]> = match &touched.last {
                Last::Image(last) => Some(last),
                Last::Base => before.as_deref(),
                Last::Nothing => None,
            };
            if let (Some(last), Some(after)) = (last, &after) {
                note(last, after, touched.last_at, touched.first_at, &mut touched.cell_at);
            }
            touched.last = Last::Nothing;
            settled.push(Settled { row, touched, before, after });
        }
        Ok(settled)
    }

    /// Visits the deletions or the others.
    fn emit(&mut self, settled: &mut [Settled], is_deleting: bool, is_reversed: bool) -> Result<()> {
        let targets = &self.sources.targets;
        let mut order: Vec<usize> = (0..settled.len()).filter(|&i| settled[i].after.is_none() == is_deleting).collect();
        if is_reversed {
            order.sort_by_key(|&i| std::cmp::Reverse(targets[table_of(&settled[i].row)].rank));
        }
        for i in order {
            let change = self.change(&mut settled[i])?;
            let target = &self.sources.targets[change.table];
            if let Some(change) = effective(change) {
                self.condensed.changes += 1;
                (self.visit)(&target.table, NetChange { table: target.position, ..change })?;
            }
        }
        Ok(())
    }

    fn change(&self, settled: &mut Settled) -> Result<NetChange> {
        let target = &self.sources.targets[table_of(&settled.row)];
        let mut unknown_before = Vec::new();
        let before = settled.before.take().map(|image| target.row(&image, &mut unknown_before));
        let after = settled.after.take().map(|image| target.row(&image, &mut Vec::new()));
        let mut cell_at_ms = vec![settled.touched.first_at; target.slots.len()];
        if let Some(at) = &settled.touched.cell_at {
            target.slots.iter().zip(at.iter()).for_each(|(&column, at)| cell_at_ms[column] = *at);
        }
        let moved_from = match (&before, &after) {
            (None, Some(_)) => self.origin(&settled.row)?,
            _ => None,
        };
        // The clock may have been set back since a cell was written.
        let at_ms = cell_at_ms.iter().copied().fold(settled.touched.last_at, u64::max);
        Ok(NetChange {
            table: table_of(&settled.row),
            key: image::read_key(key_of(&settled.row)),
            before,
            after,
            unknown_before,
            at_ms,
            cell_at_ms,
            moved_from,
        })
    }

    /// The key that a row had at first, where it moved and nobody holds that key now.
    fn origin(&self, row: &RowKey) -> Result<Option<Key>> {
        let Some(origin) = self.links.origin(row)? else {
            return Ok(None);
        };
        let mut reader = Reader::new(self.conn, &self.sources.targets[table_of(row)])?;
        Ok((!reader.read(key_of(&origin), &mut Vec::new())?).then(|| image::read_key(key_of(&origin))))
    }
}

/// A change, unless every cell is known and the same on both sides.
fn effective(change: NetChange) -> Option<NetChange> {
    let are_alike = |a: &Row, b: &Row| a.iter().zip(b).all(|(a, b)| planted::look_alike(Bug::A9, a, b));
    if planted::is(Bug::A9) && change.before.as_ref().zip(change.after.as_ref()).is_some_and(|(a, b)| are_alike(a, b)) {
        return None;
    }
    (change.before != change.after || !change.unknown_before.is_empty()).then_some(change)
}
