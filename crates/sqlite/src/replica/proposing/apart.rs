//! Which unsent changes are kept back for review, and taking them out of the changesets that are sent.
//!
//! Invariant: every change of a row is kept, or none is; a row that needs a new row which is kept is kept with it, since the
//! primary could take another row of that number for its parent.
use super::{Kept, each_change, kept, pages, set_mark};
use crate::capture::ordered_key;
use crate::errors::Explain;
use crate::replica::{kept_policy, storage, tracked_schema, working};
use mainstem::core::change::{Change, Edit, Front};
use mainstem::core::digest;
use mainstem::core::event::Digest;
use mainstem::core::format::{self, page};
use mainstem::core::policy::Policy;
use mainstem::core::schema::{Schema, SchemaChange};
use mainstem::core::value::{Key, Row, Value};
use mainstem::error::Result;
use mainstem::lane::{Lane, lanes};
use mainstem::policy_text;
use mainstem::primary::Pages;
use mainstem::proposing::{Apart, Mark};
use mainstem::tables::Tables;
use mainstem::wiring::Around;
use rusqlite::{Connection, params};
use std::collections::{HashMap, HashSet};

const SCRATCH: &str = "
PRAGMA temp.cache_size = -32768;
CREATE TEMP TABLE IF NOT EXISTS mainstem_held(tbl INTEGER, key BLOB, PRIMARY KEY(tbl, key)) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS mainstem_parent(tbl INTEGER, link BLOB, PRIMARY KEY(tbl, link)) WITHOUT ROWID;
DELETE FROM temp.mainstem_held;
DELETE FROM temp.mainstem_parent;
";

/// Rows that are held, and what new ones among them are pointed to by.
pub struct Held<'c> {
    db: &'c Connection,
    schema: Schema,
    now: crate::tables::SqliteTables<'c>,
    /// Tables of which every change is held, so that nobody asks for rows of theirs.
    whole: Vec<bool>,
}

impl<'c> Held<'c> {
    fn new(db: &'c Connection) -> Result<Self> {
        db.execute_batch(SCRATCH).on(db)?;
        let schema = tracked_schema(db)?;
        let now = working::rows_now(db, &schema);
        let whole = vec![false; schema.tables.len()];
        Ok(Held { db, schema, now, whole })
    }

    /// Says that every change of reviewed tables is held. Of one that was renamed, some changes go by a name without that rule.
    fn hold_reviewed(&mut self, policy: &Policy, all: &[Laned]) {
        for (at, table) in self.schema.tables.iter().enumerate() {
            let is_other = |lane: &Lane| lane.table == Some(at) && !lane.shape.table.eq_ignore_ascii_case(&table.name);
            self.whole[at] = policy.is_reviewed(&table.name) && !all.iter().flat_map(|one| &one.lanes).any(is_other);
        }
    }

    /// True where the row of that change is held, by its key or the one it had.
    pub fn has(&self, lane: &Lane, change: &Change) -> Result<bool> {
        let Some(table) = lane.table else { return Ok(false) };
        if self.whole[table] {
            return Ok(true);
        }
        for key in [Some(&change.key), change.moved_from.as_ref()].into_iter().flatten() {
            if self.has_row(table, &lane.local_key(key))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn has_row(&self, table: usize, key: &Key) -> Result<bool> {
        let sql = "SELECT 1 FROM temp.mainstem_held WHERE tbl = ?1 AND key = ?2";
        self.db.prepare_cached(sql).on(self.db)?.exists(params![table as i64, ordered_key(key)]).on(self.db)
    }

    /// True where the change makes its row point to a new row that is held.
    fn has_parent(&mut self, lane: &Lane, change: &Change) -> Result<bool> {
        let Some(at) = lane.table else { return Ok(false) };
        let links = self.schema.tables[at].foreign_keys.clone();
        let is_changed = |column: &usize| match &change.edit {
            Edit::Insert(_) => true,
            Edit::Update(cells) => cells.iter().any(|cell| lane.columns[cell.column] == Some(*column)),
            Edit::Delete(_) => false,
        };
        for link in links.iter().filter(|link| link.columns.iter().any(is_changed)) {
            let row = match &change.edit {
                Edit::Insert(row) => Some(lane.local_row(row)),
                _ => self.now.get(at, &lane.local_key(&change.key))?,
            };
            let Some((parent, columns)) = mainstem::rebase::parent_of(&self.schema, link) else { continue };
            let sql = "SELECT 1 FROM temp.mainstem_parent WHERE tbl = ?1 AND link = ?2";
            if let Some(row) = row
                && let Some(link) = link_of(&columns, &link.columns, &row)
                && self.db.prepare_cached(sql).on(self.db)?.exists(params![parent as i64, link]).on(self.db)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Holds the row of a change. True where it, or what it is pointed to by, was not held before.
    fn hold(&mut self, lane: &Lane, change: &Change) -> Result<bool> {
        let Some(table) = lane.table else { return Ok(false) };
        let mut is_new = false;
        if !self.whole[table] {
            let sql = "INSERT OR IGNORE INTO temp.mainstem_held(tbl, key) VALUES(?1, ?2)";
            let values = params![table as i64, ordered_key(&lane.local_key(&change.key))];
            is_new = self.db.prepare_cached(sql).on(self.db)?.execute(values).on(self.db)? > 0;
        }
        let Edit::Insert(row) = &change.edit else { return Ok(is_new) };
        let row = lane.local_row(row);
        let others = self.schema.tables.iter().zip(&self.whole).filter(|(_, is_whole)| !**is_whole);
        for link in others.flat_map(|(child, _)| &child.foreign_keys) {
            let Some((parent, columns)) = mainstem::rebase::parent_of(&self.schema, link) else { continue };
            if let Some(link) = link_of(&columns, &columns, &row).filter(|_| parent == table) {
                let sql = "INSERT OR IGNORE INTO temp.mainstem_parent(tbl, link) VALUES(?1, ?2)";
                is_new |= self.db.prepare_cached(sql).on(self.db)?.execute(params![table as i64, link]).on(self.db)? > 0;
            }
        }
        Ok(is_new)
    }

    /// Holds the rows of a changeset.
    fn hold_all(&mut self, one: &Laned) -> Result<()> {
        let db = self.db;
        each_change(db, &one.front, &mut |change| self.hold(&one.lanes[change.table], &change).map(drop))
    }
}

/// What a link is known by: which columns of the parent it names, and their values. None where one is NULL.
fn link_of(parent: &[usize], own: &[usize], row: &Row) -> Option<Vec<u8>> {
    let values: Option<Key> = own.iter().map(|&at| row.get(at).filter(|value| !value.is_null()).cloned()).collect();
    let places = parent.iter().map(|&at| Value::Integer(at as i64));
    values.map(|values| ordered_key(&places.chain(values).collect::<Key>()))
}

/// A changeset and how its tables are called and made by now.
pub struct Laned {
    pub front: Front,
    pub mark: Option<Mark>,
    pub lanes: Vec<Lane>,
}

/// Every changeset that is not known to be accepted, with the ways of its rows to the tables of now.
pub fn laned(db: &Connection, schema: &Schema) -> Result<Vec<Laned>> {
    let marks: HashMap<u128, Mark> = kept(db)?.into_iter().map(|kept| (kept.front.header.write_id, kept.mark)).collect();
    let fronts = storage::changesets(db)?;
    let all = (0..fronts.len()).map(|at| {
        let front = fronts[at].clone();
        let mut later: Vec<SchemaChange> = fronts[at + 1..].iter().flat_map(|front| front.schema.iter().cloned()).collect();
        later.splice(0..0, steps_after(db, front.header.base_version)?);
        let lanes = lanes(schema, &front, &later);
        Ok(Laned { mark: marks.get(&front.header.write_id).copied(), front, lanes })
    });
    all.collect()
}

/// The schema steps of the versions after one.
fn steps_after(db: &Connection, version: u64) -> Result<Vec<SchemaChange>> {
    Ok(storage::versions(db, version, usize::MAX)?.into_iter().rev().flat_map(|version| version.schema).collect())
}

/// True where a changeset is kept as a whole: it needs review as such, or was accepted once by review. Of an object that it took
/// away, nobody here knows any more whose it was; the primary does.
fn is_whole(policy: &Policy, schema: &Schema, front: &Front) -> bool {
    policy.reviewed_whole(front, schema).is_some()
        || (front.again.is_some() && front.shapes.iter().any(|shape| policy.is_reviewed(&shape.table)))
}

/// True where there may be something to keep back.
pub fn is_needed(db: &Connection, which: Apart) -> Result<bool> {
    if which == Apart::Reviewed && may_go(db)? {
        return Ok(true);
    }
    let unsent = storage::unsent(db)?;
    if unsent.is_empty() || which == Apart::Everything {
        return Ok(!unsent.is_empty());
    }
    if let Apart::Changeset(write_id) = which {
        return Ok(unsent.iter().any(|front| front.header.write_id == write_id));
    }
    let (policy, schema) = (policy_text::parse(&kept_policy(db)?)?, tracked_schema(db)?);
    let has_reviewed =
        |front: &Front| is_whole(&policy, &schema, front) || front.shapes.iter().any(|shape| policy.is_reviewed(&shape.table));
    Ok(unsent.iter().any(has_reviewed) || unsent.iter().any(|front| !front.resolutions.is_empty()) || !kept(db)?.is_empty())
}

/// True where something was kept back by the policy of then, was never offered, and may be sent by the policy of now.
fn may_go(db: &Connection) -> Result<bool> {
    let (text, schema) = (kept_policy(db)?, tracked_schema(db)?);
    let policy = policy_text::parse(&text)?;
    let needs_none = |kept: &Kept| {
        policy.reviewed_whole(&kept.front, &schema).is_none() && kept.front.shapes.iter().all(|shape| !policy.is_reviewed(&shape.table))
    };
    Ok(super::draught(db)?.is_none() && kept(db)?.iter().any(|kept| is_held_by(kept, &text) && needs_none(kept)))
}

/// True for what was kept back and never offered, and is not known to be refused by this very policy.
fn is_held_by(kept: &Kept, policy: &str) -> bool {
    match kept.mark {
        Mark::Waiting => true,
        Mark::Refused(by) => by != digest_of_policy(policy),
        Mark::Left | Mark::Offered { .. } => false,
    }
}

fn digest_of_policy(text: &str) -> Digest {
    digest::of("mainstem policy 1", &[text.as_bytes()])
}

/// What was kept back and never offered is unsent work like any other, until it is kept back again.
fn let_go(db: &Connection) -> Result<()> {
    let text = kept_policy(db)?;
    for kept in kept(db)?.into_iter().filter(|kept| is_held_by(kept, &text)) {
        storage::forget_kept(db, kept.front.header.write_id)?;
    }
    Ok(())
}

/// Keeps changes back. Returns how many.
pub fn set_apart(db: &Connection, around: &Around, which: Apart) -> Result<u64> {
    let text = kept_policy(db)?;
    let policy = policy_text::parse(&text)?;
    let next = storage::get::<i64>(db, "sequence")?.unwrap_or_default() as u64 + 1;
    if which == Apart::Reviewed && may_go(db)? {
        let_go(db)?;
    }
    let mut held = Held::new(db)?;
    let all = laned(db, &held.schema)?;
    held.hold_reviewed(&policy, &all);
    let first = all.iter().filter(|one| one.mark.is_none() && one.front.again.is_none()).map(|one| one.front.header.sequence);
    let first = first.map(|number| if number == 0 { next } else { number }).min();
    let is_refused = |front: &Front| which == Apart::Changeset(front.header.write_id);
    let is_kept = |one: &Laned| {
        let is_meant = which == Apart::Everything || is_refused(&one.front);
        one.mark.is_some() || is_meant || is_whole(&policy, &held.schema, &one.front)
    };
    let (whole, rest): (Vec<Laned>, Vec<Laned>) = all.into_iter().partition(is_kept);
    if !rest.is_empty() {
        whole.iter().try_for_each(|one| held.hold_all(one))?;
    }
    hold_what_depends(&mut held, &policy, &rest)?;
    let mut count = 0;
    for one in whole.into_iter().filter(|one| one.mark.is_none()) {
        count += one.front.count.max(1);
        let mark = if is_refused(&one.front) { Mark::Refused(digest_of_policy(&text)) } else { Mark::Waiting };
        keep_whole(db, one.front, &mark)?;
    }
    for one in rest {
        count += keep_part(db, around, &held, &policy, one)?;
    }
    if let Some(first) = first {
        number(db, first)?;
    }
    Ok(count)
}

/// Holds rows of the other changesets: of reviewed tables, of rows that are held, of those that need such rows; until there
/// are no more.
fn hold_what_depends(held: &mut Held<'_>, policy: &Policy, rest: &[Laned]) -> Result<()> {
    let db = held.db;
    loop {
        let mut is_done = true;
        for one in rest {
            each_change(db, &one.front, &mut |change| {
                let lane = &one.lanes[change.table];
                let is_meant = policy.is_reviewed(&lane.shape.table) || held.has(lane, &change)? || held.has_parent(lane, &change)?;
                is_done &= !(is_meant && held.hold(lane, &change)?);
                Ok(())
            })?;
        }
        if is_done {
            return Ok(());
        }
    }
}

/// Keeps a changeset as it is.
fn keep_whole(db: &Connection, mut front: Front, mark: &Mark) -> Result<()> {
    front.header.sequence = 0;
    storage::set_front(db, &front)?;
    set_mark(db, front.header.write_id, mark)
}

/// Keeps the held rows of a changeset, and the answers to conflicts about them.
fn keep_part(db: &Connection, around: &Around, held: &Held<'_>, policy: &Policy, one: Laned) -> Result<u64> {
    let Laned { front, lanes, .. } = one;
    let mut is_held = |change: &Change| held.has(&lanes[change.table], change);
    let mut meant = 0;
    each_change(db, &front, &mut |change| {
        meant += u64::from(is_held(&change)?);
        Ok(())
    })?;
    // A conflict goes with the row that it is about.
    let is_about = |table: &str, key: &Key| -> Result<bool> {
        if policy.is_reviewed(table) {
            return Ok(true);
        }
        let at = held.schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(table));
        at.map_or(Ok(false), |at| held.has_row(at, key))
    };
    let mut answers = HashSet::new();
    for resolution in &front.resolutions {
        let conflict = storage::conflict(db, resolution.conflict)?;
        if conflict.map_or(Ok(false), |conflict| is_about(&conflict.table, &conflict.key))? {
            answers.insert(resolution.conflict);
        }
    }
    if meant == 0 && answers.is_empty() {
        return Ok(0);
    }
    if meant == front.count && answers.len() == front.resolutions.len() && front.schema.is_empty() && front.again.is_none() {
        keep_whole(db, front, &Mark::Waiting)?;
        return Ok(meant.max(1));
    }
    let (mut kept, mut left) = split(db, around.random(), front, &mut is_held)?;
    kept.resolutions = left.resolutions.iter().filter(|resolution| answers.contains(&resolution.conflict)).cloned().collect();
    left.resolutions.retain(|resolution| !answers.contains(&resolution.conflict));
    for conflict in std::mem::take(&mut left.conflicts) {
        if is_about(&conflict.table, &conflict.key)? { kept.conflicts.push(conflict) } else { left.conflicts.push(conflict) }
    }
    storage::set_front(db, &left)?;
    storage::add_changeset_after(db, left.header.write_id, &kept)?;
    set_mark(db, kept.header.write_id, &Mark::Waiting)?;
    follow(db, &left, &kept)?;
    Ok(meant.max(1))
}

/// Moves changes of a changeset into another, which is not stored yet. Gives that one, and what is left of the first.
pub fn split(
    db: &Connection,
    write_id: u128,
    mut front: Front,
    is_meant: &mut dyn FnMut(&Change) -> Result<bool>,
) -> Result<(Front, Front)> {
    let header = mainstem::core::change::Header { write_id, sequence: 0, ..front.header.clone() };
    let renumbered_here = front.renumbered_here.clone();
    let mut moved = Front {
        header,
        shapes: front.shapes.clone(),
        renumbered_here,
        hidden: front.hidden.clone(),
        is_partial: front.is_partial,
        ..Front::default()
    };
    let mut pages = pages(db, &front);
    let mut number = 0;
    while let Some(changes) = pages.next()? {
        let (mut out, mut stay) = (Vec::new(), Vec::new());
        for change in changes {
            if is_meant(&change)? { out.push(change) } else { stay.push(change) }
        }
        if out.is_empty() {
            continue;
        }
        moved.count += out.len() as u64;
        storage::put_page(db, moved.header.write_id, number, &page::encode(&moved.shapes, &out))?;
        storage::put_page(db, front.header.write_id, pages.next - 1, &page::encode(&front.shapes, &stay))?;
        number += 1;
    }
    front.count -= moved.count;
    Ok((moved, front))
}

/// Rows that were made by one changeset under a number of here are made by another under that number now: what is said of
/// what they were called before goes.
fn follow(db: &Connection, left: &Front, moved: &Front) -> Result<()> {
    if left.renumbered_here.is_empty() {
        return Ok(());
    }
    let mut made: HashSet<(String, i64)> = HashSet::new();
    each_change(db, moved, &mut |change| {
        if let (Edit::Insert(_), Some(number)) = (&change.edit, change.key.first().and_then(Value::as_integer)) {
            made.insert((moved.shapes[change.table].table.to_ascii_lowercase(), number));
        }
        Ok(())
    })?;
    let write_id = left.header.write_id;
    for mut front in storage::changesets(db)? {
        let is_gone = |here: &mainstem::core::change::RenumberedHere| {
            here.made_by == write_id && made.contains(&(here.row.table.to_ascii_lowercase(), here.row.to))
        };
        front.renumbered_here.retain(|here| !is_gone(here));
        storage::set_front(db, &front)?;
    }
    Ok(())
}

/// Gives what is sent numbers without gaps, from `first` on.
fn number(db: &Connection, first: u64) -> Result<()> {
    let mut next = first;
    for mut front in storage::unsent(db)?.into_iter().filter(|front| front.again.is_none()) {
        front.header.sequence = next;
        storage::set_front(db, &front)?;
        next += 1;
    }
    storage::put(db, "sequence", next as i64 - 1)
}

/// The proposals whose rows are also in what waits, or have new rows that something in it needs.
pub fn edited_again(db: &Connection) -> Result<Vec<u64>> {
    let schema = tracked_schema(db)?;
    let all = laned(db, &schema)?;
    let mut proposals: Vec<u64> = all.iter().filter_map(|one| one.mark?.proposal()).collect();
    proposals.sort_unstable();
    proposals.dedup();
    let mut again = Vec::new();
    for proposal in proposals {
        let mut held = Held::new(db)?;
        all.iter().filter(|one| one.mark.is_some_and(|mark| mark.proposal() == Some(proposal))).try_for_each(|one| held.hold_all(one))?;
        let mut is_again = false;
        for one in all.iter().filter(|one| one.mark.is_some_and(|mark| mark.is_waiting())) {
            each_change(db, &one.front, &mut |change| {
                let lane = &one.lanes[change.table];
                is_again = is_again || held.has(lane, &change)? || held.has_parent(lane, &change)?;
                Ok(())
            })?;
        }
        again.extend(is_again.then_some(proposal));
    }
    Ok(again)
}

/// The rows of some changesets.
pub fn rows_of<'c>(db: &'c Connection, meant: &[Kept]) -> Result<Held<'c>> {
    let mut held = Held::new(db)?;
    let ids: HashSet<u128> = meant.iter().map(|kept| kept.front.header.write_id).collect();
    let all = laned(db, &held.schema)?;
    all.iter().filter(|one| ids.contains(&one.front.header.write_id)).try_for_each(|one| held.hold_all(one))?;
    Ok(held)
}

/// Puts a changeset aside, whose pages are stored; its title says why.
pub fn stash(db: &Connection, front: &mut Front, why: &str) -> Result<()> {
    let title = front.header.title.take().map_or(String::new(), |title| format!(": {title}"));
    front.header.title = Some(format!("{why}{title}"));
    let sql = "INSERT INTO mainstem_stash(write_id, front) VALUES(?1, ?2)";
    db.execute(sql, params![front.header.write_id.to_be_bytes(), format::front::encode(front)]).on(db).map(drop)
}

/// Puts the changes of these rows, and of those that need them, aside. Returns how many.
pub fn put_aside(db: &Connection, around: &Around, front: Front, rows: &mut Held<'_>) -> Result<u64> {
    let write_id = front.header.write_id;
    let one = laned(db, &rows.schema)?.into_iter().find(|one| one.front.header.write_id == write_id);
    let Some(Laned { front, lanes, .. }) = one else { return Ok(0) };
    let (mut aside, mut left) = split(db, around.random(), front, &mut |change| {
        let lane = &lanes[change.table];
        let is_meant = rows.has(lane, change)? || rows.has_parent(lane, change)?;
        if is_meant {
            rows.hold(lane, change)?;
        }
        Ok(is_meant)
    })?;
    let is_all = left.count == 0 && left.schema.is_empty() && left.resolutions.is_empty();
    if is_all {
        aside.conflicts = std::mem::take(&mut left.conflicts);
    }
    if aside.count > 0 || !aside.conflicts.is_empty() {
        stash(db, &mut aside, "edited after it was proposed")?;
    }
    match is_all {
        true => storage::drop_changeset(db, write_id).map(drop)?,
        false => storage::set_front(db, &left)?,
    }
    Ok(aside.count)
}
