//! Versions as a part of them is told: pages without what is hidden, digests of what is shown.
//!
//! Invariant: a page keeps its number, so that places in the sequence of pages mean the same in every scope.
//! Invariant: applied in order, what is told makes exactly the visible rows of each version.
use super::Scoped;
use super::view::{Eye, View};
use crate::error::{Error, Result};
use crate::history::RowPlace;
use crate::primary::Primary;
use mainstem_core::change::{Change, Edit, Shape};
use mainstem_core::chronicle::{Place, TableId};
use mainstem_core::digest::{Body, RowDigester, Sum};
use mainstem_core::event::{Digest, TableDigest, Version};
use mainstem_core::format::page;
use mainstem_core::schema::SchemaChange;
use mainstem_core::stamp::Time;
use mainstem_core::value::{Key, Row, Value};
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::ops::DerefMut;
use std::sync::Arc;

/// The digest of a table's visible rows at a version.
#[derive(Clone)]
pub(super) struct Tally {
    version: u64,
    /// The version's hash: after a restore another may have its number.
    hash: Digest,
    rows: u64,
    sum: Sum,
}

/// One of a version's shapes as it is told.
struct Lens<'v> {
    eye: Eye<'v>,
    place: Place,
    /// Its position among the shapes that are told.
    position: usize,
}

/// A version's shapes; none where the table is hidden.
pub(super) struct Lenses<'v> {
    lenses: Vec<Option<Lens<'v>>>,
    /// Those that are told.
    pub shapes: Vec<Shape>,
}

impl<'v> Lenses<'v> {
    pub fn new(view: &'v View, version: &Version) -> Self {
        let mut shapes = Vec::new();
        let lens = |shape: &Shape| {
            let (eye, place) = view.eye(version.version, shape)?;
            shapes.push(shape.clone());
            Some(Lens { eye, place, position: shapes.len() - 1 })
        };
        let lenses = version.shapes.iter().map(lens).collect();
        Lenses { lenses, shapes }
    }

    fn get(&self, change: &Change) -> Result<Option<&Lens<'v>>> {
        Ok(self.lenses.get(change.table).ok_or_else(|| Error::corrupt("a change refers to no table"))?.as_ref())
    }

    /// The position at which a change's table is told.
    pub fn position(&self, table: usize) -> Option<usize> {
        self.lenses.get(table)?.as_ref().map(|lens| lens.position)
    }

    fn shows_all(&self) -> bool {
        self.lenses.iter().all(|lens| lens.as_ref().is_some_and(|lens| lens.eye.sees_all()))
    }

    fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }
}

/// What a version comes to in a scope.
pub(super) struct Counted {
    pub count: u64,
    /// The digest over the pages as they are told.
    pub body: Digest,
    /// Tables of which something is hidden and in which something changed.
    pub tables: Vec<TableDigest>,
}

/// A visible row's change, for the digest: the table's shape, the row before and after.
type Effect<'a> = &'a mut dyn FnMut(TableId, &Shape, Option<&Row>, Option<&Row>);

impl<P: DerefMut<Target: Primary>> Scoped<P> {
    /// One page of a version as it is told.
    pub(super) fn tell_page(
        &mut self,
        view: &View,
        version: &Version,
        lenses: &Lenses<'_>,
        bytes: &[u8],
        effect: Effect<'_>,
    ) -> Result<(Vec<u8>, u64)> {
        let mut told = Vec::new();
        if !lenses.is_empty() {
            let changes = page::decode(bytes, &version.shapes)?;
            let befores = self.rows_before(view, version, lenses, &changes)?;
            for (change, before) in changes.into_iter().zip(befores) {
                let Some(lens) = lenses.get(&change)? else { continue };
                let shape = &version.shapes[change.table];
                if let Some((change, before, after)) = self.tell(view, version.version, lens, change, before)? {
                    if !lens.eye.sees_all() {
                        effect(lens.eye.table, shape, before.as_ref(), after.as_ref());
                    }
                    told.push(Change { table: lens.position, ..change });
                }
            }
        }
        Ok((page::encode(&lenses.shapes, &told), told.len() as u64))
    }

    /// For each update of a table that is shown in part, the row before it, in the change's own columns. Where a version
    /// writes a row once, as nearly always, that is the row after it, taken back.
    fn rows_before(&mut self, view: &View, version: &Version, lenses: &Lenses<'_>, changes: &[Change]) -> Result<Vec<Option<Row>>> {
        let mut befores: Vec<Option<Row>> = vec![None; changes.len()];
        let number = version.version;
        for (index, lens) in lenses.lenses.iter().enumerate() {
            let Some(lens) = lens.as_ref().filter(|lens| !lens.eye.sees_all()) else { continue };
            let is_update = |change: &&Change| change.table == index && matches!(change.edit, Edit::Update(_));
            let keys: Vec<Key> = changes.iter().filter(is_update).map(|change| change.key.clone()).collect();
            if keys.is_empty() {
                continue;
            }
            let repeated = self.repeated(version, lenses)?;
            let afters = self.rows_then(view, lens, &keys, number)?;
            let places = changes.iter().enumerate().filter(|(_, change)| is_update(change));
            for ((at, change), after) in places.zip(afters) {
                befores[at] = match (&change.edit, after) {
                    (Edit::Update(cells), Some(after)) if !repeated.contains(&row_mark(lens.eye.table, &change.key)) => {
                        Some(cells.iter().fold(after, |mut row, cell| {
                            row[cell.column].clone_from(&cell.before);
                            row
                        }))
                    }
                    _ => self.row_before(view, number, lens, change)?,
                };
            }
        }
        Ok(befores)
    }

    /// Marks of the rows that a version writes more than once, of tables that are shown in part.
    fn repeated(&mut self, version: &Version, lenses: &Lenses<'_>) -> Result<Arc<HashSet<u64>>> {
        let number = version.version;
        let hash = self.primary.version_hash(number)?.unwrap_or_default();
        if let Some((_, repeated)) = self.repeated.as_ref().filter(|(of, _)| *of == (number, hash)) {
            return Ok(repeated.clone());
        }
        let (mut once, mut more) = (HashSet::new(), HashSet::new());
        for at in 0..version.pages {
            let lost = || Error::corrupt(format!("page {at} of version {number} is missing"));
            let bytes = self.primary.page(number, at)?.ok_or_else(lost)?;
            for change in page::decode(&bytes, &version.shapes)? {
                if let Some(lens) = lenses.get(&change)?.filter(|lens| !lens.eye.sees_all()) {
                    let mark = row_mark(lens.eye.table, &change.key);
                    if !once.insert(mark) {
                        more.insert(mark);
                    }
                }
            }
        }
        let repeated = Arc::new(more);
        self.repeated = Some(((number, hash), repeated.clone()));
        Ok(repeated)
    }

    /// Rows as they were after a version, in a shape's columns.
    fn rows_then(&mut self, view: &View, lens: &Lens<'_>, keys: &[Key], version: u64) -> Result<Vec<Option<Row>>> {
        let Some(then) = view.chronicle.at(version).find(lens.eye.table).filter(|_| !keys.is_empty()) else {
            return Ok(vec![None; keys.len()]);
        };
        let at: Vec<Option<usize>> = lens.place.columns.iter().map(|id| id.and_then(|id| then.position(id))).collect();
        let in_shape = |row: Row| at.iter().map(|at| at.map_or(Value::Null, |at| row[at].clone())).collect();
        let rows = self.primary.rows_of(&then.name, keys, version)?;
        Ok(rows.into_iter().map(|row| row.map(in_shape)).collect())
    }

    /// The row that an update of a version found: a version may write one row more than once.
    fn row_before(&mut self, view: &View, version: u64, lens: &Lens<'_>, change: &Change) -> Result<Option<Row>> {
        let first = self.rows_then(view, lens, std::slice::from_ref(&change.key), version - 1)?.pop().flatten();
        let Some(now) = view.chronicle.at(version).find(lens.eye.table) else { return Ok(first) };
        let place = RowPlace { table: now.name.clone(), key: change.key.clone(), version };
        let mut row = first;
        for touch in self.primary.touches(&place, version - 1)? {
            if touch.change.edit == change.edit {
                break;
            }
            row = match touch.change.edit {
                Edit::Insert(row) => Some(row),
                Edit::Delete(_) => None,
                Edit::Update(cells) => row.map(|row| updated(row, &cells)),
            };
        }
        Ok(row)
    }

    /// A change as it is told, with the visible row before and after it; none where nothing of it is seen.
    fn tell(&mut self, view: &View, version: u64, lens: &Lens<'_>, change: Change, before: Option<Row>) -> Result<Option<Told>> {
        let eye = &lens.eye;
        if eye.sees_all() {
            let change = self.without_hidden_origin(view, version, lens, change)?;
            return Ok(Some((change, None, None)));
        }
        Ok(match &change.edit {
            Edit::Insert(row) if eye.sees(row) => {
                let row = row.clone();
                let change = self.without_hidden_origin(view, version, lens, change)?;
                Some((change, None, Some(row)))
            }
            Edit::Delete(row) if eye.sees(row) => {
                let row = row.clone();
                Some((change, Some(row), None))
            }
            Edit::Update(cells) => {
                let Some(before) = before else { return Ok(None) };
                let after = updated(before.clone(), cells);
                let moved = |edit: Edit| Change { edit, at: Time::default(), ..change.clone() };
                match (eye.sees(&before), eye.sees(&after)) {
                    (true, true) => Some((change, Some(before), Some(after))),
                    (true, false) => Some((moved(Edit::Delete(before.clone())), Some(before), None)),
                    (false, true) => Some((moved(Edit::Insert(after.clone())), None, Some(after))),
                    (false, false) => None,
                }
            }
            Edit::Insert(_) | Edit::Delete(_) => None,
        })
    }

    /// One change of a version as it is told; none where nothing of it is seen.
    pub(super) fn tell_alone(&mut self, view: &View, version: u64, shape: &Shape, change: &Change) -> Result<Option<Change>> {
        let Some((eye, place)) = view.eye(version, shape) else { return Ok(None) };
        let lens = Lens { eye, place, position: change.table };
        let mut before = None;
        if matches!(change.edit, Edit::Update(_)) && !lens.eye.sees_all() {
            before = self.row_before(view, version, &lens, change)?;
        }
        Ok(self.tell(view, version, &lens, change.clone(), before)?.map(|(change, ..)| change))
    }

    /// A row that was hidden under its former key comes in; nothing is said of where from.
    fn without_hidden_origin(&mut self, view: &View, version: u64, lens: &Lens<'_>, change: Change) -> Result<Change> {
        let Some(key) = change.moved_from.clone().filter(|_| !lens.eye.sees_all()) else { return Ok(change) };
        let former = self.rows_then(view, lens, &[key], version - 1)?.pop().flatten();
        match former.is_some_and(|row| lens.eye.sees(&row)) {
            true => Ok(change),
            false => Ok(Change { moved_from: None, at: Time::default(), ..change }),
        }
    }

    /// Goes through a version's pages: what of them is told, and what the digests are after it. Digests of tables that did
    /// not change go along where they are known for the version before.
    pub(super) fn count(&mut self, view: &View, version: &Version, lenses: &Lenses<'_>) -> Result<Counted> {
        let number = version.version;
        let mut counted = Counted { count: 0, body: Digest::default(), tables: Vec::new() };
        let mut body = Body::default();
        let mut moved: HashMap<TableId, (Tally, RowDigester, String)> = HashMap::new();
        for (shape, lens) in version.shapes.iter().zip(&lenses.lenses) {
            let Some(lens) = lens.as_ref().filter(|lens| !lens.eye.sees_all() && !moved.contains_key(&lens.eye.table)) else { continue };
            let tally = self.tally(view, lens.eye.table, number - 1)?;
            moved.insert(lens.eye.table, (tally, RowDigester::new(&shape.table, &shape.columns), shape.table.clone()));
        }
        for at in 0..version.pages {
            let lost = || Error::corrupt(format!("page {at} of version {number} is missing"));
            let bytes = if lenses.is_empty() { Vec::new() } else { self.primary.page(number, at)?.ok_or_else(lost)? };
            let mut effect = |table: TableId, _: &Shape, before: Option<&Row>, after: Option<&Row>| {
                if let Some((tally, digester, _)) = moved.get_mut(&table) {
                    tally.change(digester, before, after);
                }
            };
            let (bytes, count) = self.tell_page(view, version, lenses, &bytes, &mut effect)?;
            counted.count += count;
            body.add(&bytes);
        }
        counted.body = body.digest();
        let hash = self.primary.version_hash(number)?.unwrap_or_default();
        for (tally, _, name) in moved.values_mut() {
            (tally.version, tally.hash) = (number, hash);
            counted.tables.push(tally.named(name));
        }
        let touched: HashSet<TableId> = moved.keys().copied().collect();
        self.tallies.extend(moved.into_iter().map(|(table, (tally, ..))| (table, tally)));
        self.go_along(version, &touched)?;
        counted.tables.sort_by_cached_key(|digest| digest.table.to_ascii_lowercase());
        Ok(counted)
    }

    /// What a version comes to, without reading it where that is clear.
    pub(super) fn counted(&mut self, view: &View, version: &Version, lenses: &Lenses<'_>) -> Result<Counted> {
        if lenses.shows_all() && !lenses.is_empty() {
            self.go_along(version, &HashSet::new())?;
            return Ok(Counted { count: version.count, body: version.body, tables: Vec::new() });
        }
        self.count(view, version, lenses)
    }

    /// Tables that a version did not touch are after it what they were before.
    fn go_along(&mut self, version: &Version, touched: &HashSet<TableId>) -> Result<()> {
        let number = version.version;
        let before = self.primary.version_hash(number - 1)?.unwrap_or_default();
        let hash = self.primary.version_hash(number)?.unwrap_or_default();
        for (table, tally) in &mut self.tallies {
            if !touched.contains(table) && (tally.version, tally.hash) == (number - 1, before) {
                (tally.version, tally.hash) = (number, hash);
            }
        }
        // What a schema step does to rows is in no page.
        if !version.schema.is_empty() {
            self.tallies.clear();
        }
        Ok(())
    }

    /// The digest of a table's visible rows at a version.
    pub(super) fn tally(&mut self, view: &View, table: TableId, version: u64) -> Result<Tally> {
        let hash = self.primary.version_hash(version)?.unwrap_or_default();
        if let Some(tally) = self.tallies.get(&table).filter(|tally| (tally.version, tally.hash) == (version, hash)) {
            return Ok(tally.clone());
        }
        let mut tally = Tally { version, hash, rows: 0, sum: Sum::default() };
        let is_empty = view.sight(table).is_none_or(|sight| sight.shown.is_nothing());
        if let Some(then) = view.chronicle.at(version).find(table).filter(|_| version > 0 && !is_empty)
            && let Some(eye) = view.eye_of(then)
        {
            let digester = RowDigester::new(&then.name, &then.column_names());
            self.primary.rows(&then.name, version, &mut |_, row| {
                if eye.sees(row) {
                    tally.change(&digester, None, Some(row));
                }
                Ok(())
            })?;
        }
        self.tallies.insert(table, tally.clone());
        Ok(tally)
    }

    /// Every visible table's digest at a version, given the primary's own.
    pub(super) fn digests(&mut self, view: &View, version: u64, whole: &[TableDigest]) -> Result<Vec<TableDigest>> {
        let mut digests = Vec::new();
        for digest in whole {
            let Some(table) = view.chronicle.at(version).table(&digest.table) else { continue };
            match view.sight(table.id) {
                None => {}
                Some(sight) if sight.shown.is_everything() => digests.push(digest.clone()),
                Some(_) => digests.push(self.tally(view, table.id, version)?.named(&digest.table)),
            }
        }
        Ok(digests)
    }
}

/// A change as it is told, the visible row before and after it.
type Told = (Change, Option<Row>, Option<Row>);

impl Tally {
    fn change(&mut self, digester: &RowDigester, before: Option<&Row>, after: Option<&Row>) {
        if let Some(row) = before {
            self.sum.subtract(&digester.digest(row));
            self.rows = self.rows.wrapping_sub(1);
        }
        if let Some(row) = after {
            self.sum.add(&digester.digest(row));
            self.rows = self.rows.wrapping_add(1);
        }
    }

    fn named(&self, table: &str) -> TableDigest {
        TableDigest { table: table.to_owned(), rows: self.rows, sum: self.sum.0 }
    }
}

/// Names a row briefly. Two rows may have one mark: then more is looked up than must be.
fn row_mark(table: TableId, key: &Key) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    (table, key).hash(&mut hasher);
    hasher.finish()
}

fn updated(mut row: Row, cells: &[mainstem_core::change::Cell]) -> Row {
    for cell in cells {
        row[cell.column].clone_from(&cell.after);
    }
    row
}

/// True where a schema step of a version may change what is shown. Of what it drops only the name is known.
pub(super) fn concerns(view: &View, version: u64, step: &SchemaChange) -> bool {
    let is_shown = |name: &str| view.chronicle.at(version).table(name).is_some_and(|table| view.sight(table.id).is_some());
    match step {
        SchemaChange::PutObject { object } if matches!(object.kind.as_str(), "index" | "trigger") => is_shown(&object.table),
        SchemaChange::PutObject { .. } | SchemaChange::DropObject { .. } => true,
        SchemaChange::DropTable { .. } => false,
        step => crate::schema_merge::table_of(step).is_some_and(|table| is_shown(&table)),
    }
}

/// True where a schema step of a version is told: to whoever may see some tables only, what speaks of these alone.
pub(super) fn tells(view: &View, version: u64, step: &SchemaChange) -> bool {
    match step {
        SchemaChange::PutObject { object } if view.is_restricted => view.shows_object(object),
        SchemaChange::DropObject { .. } if view.is_restricted => false,
        step => concerns(view, version, step),
    }
}
