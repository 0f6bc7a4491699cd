//! What a primary lost where the pages of the lost versions are not kept here: the difference between the rows of the last
//! such version and the primary's rows at the last version that both have, as one changeset.
//!
//! Invariant: it has the write id of the last version it stands for and names those of the others that are known, so that
//! neither it nor they are taken twice.
//! Deliberately absent: who changed which row in it; nobody here knows any more.
use super::past::{Rewinding, note_numbers};
use super::{bases, storage};
use crate::capture;
use crate::errors::Explain;
use mainstem::body::{PAGE_CHANGES_MAX, cells, weight};
use mainstem::core::ErrorKind;
use mainstem::core::change::{Change, Edit, Front, Shape};
use mainstem::core::conflict::Conflict;
use mainstem::core::event::Version;
use mainstem::core::format::{page, row as row_format};
use mainstem::core::schema::{Schema, SchemaChange};
use mainstem::core::value::{Key, Row};
use mainstem::error::{Error, Result};
use mainstem::lane::{Lane, shape_of};
use mainstem::primary::Primary;
use mainstem::replica::Progress;
use mainstem::schema_merge::table_of;
use mainstem::tables::Tables;
use rusqlite::{Connection, OptionalExtension};

/// About how many bytes of values a page holds before it is closed.
const PAGE_WEIGHT_MAX: usize = 512 * 1024;

const SCRATCH: &str = "
CREATE TEMP TABLE IF NOT EXISTS mainstem_there(key BLOB PRIMARY KEY) WITHOUT ROWID;
DELETE FROM temp.mainstem_there;
";

/// The changeset in the making.
struct Difference<'r, 'c> {
    rewinding: &'r mut Rewinding<'c>,
    front: Front,
    page: Vec<Change>,
    weight: usize,
    pages: u64,
}

/// Puts the difference ahead of all that is unsent. Returns how many versions it stands for.
pub fn offer(rewinding: &mut Rewinding<'_>, until: u64, primary: &mut dyn Primary, progress: Progress<'_>) -> Result<u64> {
    let db = rewinding.db;
    let front = front(rewinding, until)?;
    let schema = rewinding.schema.clone();
    for table in &schema.tables {
        if rewinding.later.iter().filter_map(table_of).any(|t| t.eq_ignore_ascii_case(&table.name)) {
            let message = format!("the primary lost versions of which only rows are left here, and table {} was changed since", table.name);
            return Err(Error::new(ErrorKind::Conflict, "schema_conflict", message)
                .hint("mainstem bundle create FILE keeps your unsent work; then mainstem clone ADDRESS NEW.db"));
        }
    }
    let stands_for = front.again.as_ref().map_or(0, |a| a.stands_for.len() as u64) + 1;
    let mut difference = Difference { rewinding, front, page: Vec::new(), weight: 0, pages: 0 };
    for (done, at) in (0..schema.tables.len()).enumerate() {
        progress("comparing tables", done as u64, schema.tables.len() as u64);
        difference.table(&schema, at, primary)?;
    }
    difference.close_page()?;
    storage::add_changeset_ahead(db, &difference.front)?;
    Ok(stands_for)
}

/// Everything but its rows, from the events that are known.
fn front(rewinding: &Rewinding<'_>, until: u64) -> Result<Front> {
    let db = rewinding.db;
    let mut known: Vec<Version> = storage::versions(db, rewinding.common, usize::MAX)?.into_iter().filter(|v| v.version <= until).collect();
    known.extend(storage::first(db)?.map(|(event, _)| event).filter(|e| (rewinding.common + 1..=until).contains(&e.version)));
    let Some(last) = known.first().filter(|v| v.version == until).cloned() else {
        return Err(Error::corrupt(format!("version {until} is not remembered, though it was received")));
    };
    let mut actors: Vec<String> = known.iter().map(|v| v.header.actor.clone()).collect();
    actors.sort();
    actors.dedup();
    known.reverse();
    let mut front = rewinding.front(Version { shapes: Vec::new(), count: 0, ..last });
    let missing = rewinding.common + 1;
    front.header.actor = actors.join(", ");
    if missing < until {
        front.header.title = Some(format!("versions {missing} to {until}, offered again as one"));
        front.header.description = String::new();
    }
    front.schema = known.iter().flat_map(|v| v.schema.clone()).collect();
    front.resolutions = known.iter().flat_map(|v| v.resolved.clone()).collect();
    let is_lost = |conflict: &Conflict| (missing..=until).contains(&conflict.version);
    front.conflicts = storage::conflicts(db, false)?.into_iter().filter(is_lost).collect();
    if let Some(again) = &mut front.again {
        let recent = storage::recent(db)?.into_iter().filter(|r| r.version > rewinding.common).map(|r| r.write_id);
        let received = known.iter().flat_map(|v| v.stands_for.iter().copied().chain([v.header.write_id]));
        again.stands_for = recent.chain(received).filter(|id| *id != front.header.write_id).collect();
        again.renumbered = known.iter().flat_map(|v| v.renumbered_in_all()).collect();
    }
    Ok(front)
}

impl Difference<'_, '_> {
    fn table(&mut self, schema: &Schema, at: usize, primary: &mut dyn Primary) -> Result<()> {
        let table = &schema.tables[at];
        let db = self.rewinding.db;
        db.execute_batch(SCRATCH).on(db)?;
        let shape = self.front.shapes.len();
        self.front.shapes.push(shape_of(table));
        let steps = self.front.schema.clone();
        let former = super::compare::former_name(&table.name, &steps);
        let common = self.rewinding.common;
        let mut lane: Option<(Vec<String>, Lane)> = None;
        let compared = primary.rows(&former, common, &mut |names, row| {
            if lane.as_ref().is_none_or(|(known, _)| known != names) {
                let key = super::compare::key_in(names, table, &steps);
                let there = Shape { table: former.clone(), columns: names.to_vec(), key, ..Shape::default() };
                lane = Some((names.to_vec(), Lane::between(schema, Some(at), &there, &steps)));
            }
            let Some((_, lane)) = &lane else { return Ok(()) };
            let there = lane.local_row(row);
            let key = table.key_of(&there);
            let sql = "INSERT OR IGNORE INTO temp.mainstem_there(key) VALUES(?1)";
            db.prepare_cached(sql).on(db)?.execute([row_format::encode_key(&key)]).on(db)?;
            self.row(at, shape, key, Some(&there))
        });
        match compared {
            Err(e) if e.kind == ErrorKind::NotFound => {
                let is_made = |s: &SchemaChange| matches!(s, SchemaChange::CreateTable { table: made } if made.name.eq_ignore_ascii_case(&table.name));
                if !self.front.schema.iter().any(is_made) {
                    self.front.schema.push(SchemaChange::CreateTable { table: table.clone() });
                }
            }
            other => other?,
        }
        let mut only_here = Vec::new();
        capture::scan(db, table, &mut |row| only_where_absent(db, table.key_of(&row), &mut only_here))?;
        bases::each(db, &mut |name, kept| match name.eq_ignore_ascii_case(&table.name) && kept.now.is_none() && kept.image.is_some() {
            true => only_where_absent(db, kept.key, &mut only_here),
            false => Ok(()),
        })?;
        only_here.into_iter().try_for_each(|key| self.row(at, shape, key, None))
    }

    /// Notes what became of one row after the common version.
    fn row(&mut self, at: usize, shape: usize, key: Key, there: Option<&Row>) -> Result<()> {
        let now = self.rewinding.now.get(at, &key)?;
        let here = self.rewinding.base(at, &key, now.as_ref())?;
        if here.as_ref() == there {
            return Ok(());
        }
        self.rewinding.keeper.put_back(&self.rewinding.schema.tables[at], &key, there, now.as_ref())?;
        let time = self.front.header.at;
        let edit = match (there, here) {
            (None, Some(row)) => Edit::Insert(row),
            (Some(row), None) => Edit::Delete(row.clone()),
            (Some(before), Some(after)) => Edit::Update(cells(before, &after, time, &[])),
            (None, None) => return Ok(()),
        };
        let change = Change { table: shape, key, edit, at: time, moved_from: None };
        self.weight += weight(&change);
        self.page.push(change);
        self.front.count += 1;
        if self.page.len() >= PAGE_CHANGES_MAX || self.weight >= PAGE_WEIGHT_MAX { self.close_page() } else { Ok(()) }
    }

    fn close_page(&mut self) -> Result<()> {
        if self.page.is_empty() {
            return Ok(());
        }
        note_numbers(&mut self.front, &self.page);
        let body = page::encode(&self.front.shapes, &self.page);
        storage::put_page(self.rewinding.db, self.front.header.write_id, self.pages, &body)?;
        self.pages += 1;
        self.weight = 0;
        self.page.clear();
        Ok(())
    }
}

fn only_where_absent(db: &Connection, key: Key, found: &mut Vec<Key>) -> Result<()> {
    let sql = "SELECT 1 FROM temp.mainstem_there WHERE key = ?1";
    let there: Option<()> = db.prepare_cached(sql).on(db)?.query_row([row_format::encode_key(&key)], |_| Ok(())).optional().on(db)?;
    if there.is_none() {
        found.push(key);
    }
    Ok(())
}
