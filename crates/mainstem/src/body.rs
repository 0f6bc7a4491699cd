//! Collects the row changes of a version into pages, and keeps every table's digest up to date as rows change.
use crate::error::Result;
use crate::lane::shape_of;
use crate::ledger::Ledger;
use crate::rebase::{Effect, Effects};
use crate::store::DirectWrite;
use crate::tables::Tables;
use mainstem_core::change::{Cell, Change, Edit, Shape};
use mainstem_core::digest::{self, RowDigester, Sum};
use mainstem_core::event::{Digest, TableDigest};
use mainstem_core::format::page;
use mainstem_core::planted::{self, Bug};
use mainstem_core::schema::{Schema, Table};
use mainstem_core::stamp::Time;
use mainstem_core::value::{Row, Value};

/// Row changes in a page, at most.
pub const PAGE_CHANGES_MAX: usize = 2_000;
/// About how many bytes of values a page holds before it is closed.
const PAGE_WEIGHT_MAX: usize = 512 * 1024;

/// What many rows written together do to their table's digest.
pub struct Shift {
    digester: RowDigester,
    rows: u64,
    sum: Sum,
}

impl Shift {
    /// Nothing yet, for one table.
    pub fn new(table: &Table) -> Self {
        Shift { digester: RowDigester::new(&table.name, &table.column_names()), rows: 0, sum: Sum::default() }
    }
    /// A row came, of which the format's bytes of each cell are given.
    pub fn add_written<'a>(&mut self, cell: impl Fn(usize) -> &'a [u8]) {
        self.sum.add(&self.digester.digest_written(cell));
        self.rows = self.rows.wrapping_add(1);
    }
    /// A row went.
    pub fn subtract_written<'a>(&mut self, cell: impl Fn(usize) -> &'a [u8]) {
        self.sum.subtract(&self.digester.digest_written(cell));
        self.rows = self.rows.wrapping_sub(1);
    }
    /// What all of it comes to so far.
    pub fn sum(&self) -> (u64, Sum) {
        (self.rows, self.sum)
    }
    /// Forgets what came after that.
    pub fn go_back(&mut self, (rows, sum): (u64, Sum)) {
        (self.rows, self.sum) = (rows, sum);
    }
    /// All of another of the same table.
    pub fn join(&mut self, other: &Shift) {
        self.sum.add(&other.sum.0);
        self.rows = self.rows.wrapping_add(other.rows);
    }
}

/// Every table's digest, kept up to date row by row.
#[derive(Default)]
pub struct Digests {
    tables: Vec<Tally>,
    /// The table that changed last; most rows are of the same one as the row before.
    last: usize,
}

struct Tally {
    name: String,
    digester: RowDigester,
    rows: u64,
    sum: Sum,
}

impl Digests {
    /// Starts from known digests.
    pub fn new(schema: &Schema, known: &[TableDigest]) -> Self {
        let mut digests = Digests::default();
        for table in &schema.tables {
            digests.begin(table);
            if let Some(known) = known.iter().find(|k| k.table.eq_ignore_ascii_case(&table.name)) {
                let tally = digests.tally(table);
                tally.rows = known.rows;
                tally.sum = Sum(known.sum);
            }
        }
        digests
    }

    fn begin(&mut self, table: &Table) {
        let tally = Tally {
            name: table.name.clone(),
            digester: RowDigester::new(&table.name, &table.column_names()),
            rows: 0,
            sum: Sum::default(),
        };
        match self.place(&table.name) {
            Some(at) => self.tables[at] = tally,
            None => self.tables.push(tally),
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        let is_it = |at: &usize| self.tables.get(*at).is_some_and(|t| t.name.eq_ignore_ascii_case(name));
        Some(self.last).filter(is_it).or_else(|| (0..self.tables.len()).find(is_it))
    }

    fn tally(&mut self, table: &Table) -> &mut Tally {
        self.last = self.place(&table.name).unwrap_or_else(|| {
            self.begin(table);
            self.tables.len() - 1
        });
        &mut self.tables[self.last]
    }

    /// A row changed.
    pub fn row(&mut self, table: &Table, before: Option<&Row>, after: Option<&Row>) {
        let tally = self.tally(table);
        if let Some(row) = before {
            tally.sum.subtract(&tally.digester.digest(row));
            tally.rows = tally.rows.wrapping_sub(1);
        }
        if let Some(row) = after {
            tally.sum.add(&tally.digester.digest(row));
            tally.rows = tally.rows.wrapping_add(1);
        }
    }

    /// Many rows changed together.
    pub fn shift(&mut self, table: &Table, shift: &Shift) {
        let tally = self.tally(table);
        tally.sum.add(&shift.sum.0);
        tally.rows = tally.rows.wrapping_add(shift.rows);
    }

    /// How many rows a table has.
    pub fn rows(&mut self, table: &Table) -> u64 {
        self.tally(table).rows
    }

    /// A row changed to one of which only the digest is known.
    pub fn row_to(&mut self, table: &Table, before: Option<&Row>, after: Option<&Digest>) {
        self.row(table, before, None);
        let tally = self.tally(table);
        if let Some(digest) = after {
            tally.sum.add(digest);
            tally.rows = tally.rows.wrapping_add(1);
        }
    }

    /// The digest of one row.
    pub fn digest(&mut self, table: &Table, row: &Row) -> Digest {
        self.tally(table).digester.digest(row)
    }

    /// Reads tables again, after their columns changed, and forgets tables that are gone.
    pub fn recount<G: Tables + ?Sized>(&mut self, ground: &mut G, names: &[String]) -> Result<()> {
        let schema = ground.schema();
        self.tables.retain(|tally| schema.table(&tally.name).is_some());
        for name in names {
            let Some(index) = schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(name)) else { continue };
            let table = &schema.tables[index];
            self.begin(table);
            let tally = self.tally(table);
            ground.scan(index, &mut |row| {
                tally.sum.add(&tally.digester.digest(row));
                tally.rows += 1;
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The digests now, by table name.
    pub fn list(&self) -> Vec<TableDigest> {
        let mut all: Vec<TableDigest> =
            self.tables.iter().map(|t| TableDigest { table: t.name.clone(), rows: t.rows, sum: t.sum.0 }).collect();
        all.sort_by_cached_key(|digest| digest.table.to_ascii_lowercase());
        all
    }
}

/// A version's pages in the making.
pub struct Body {
    version: u64,
    digests: Digests,
    shapes: Vec<Shape>,
    page: Vec<Change>,
    weight: usize,
    pages: u64,
    count: u64,
    body: digest::Body,
}

/// What a finished body amounts to.
pub struct Written {
    /// The shapes its changes refer to.
    pub shapes: Vec<Shape>,
    /// Pages.
    pub pages: u64,
    /// Row changes.
    pub count: u64,
    /// The digest over the pages.
    pub body: Digest,
    /// Every table's digest.
    pub tables: Vec<TableDigest>,
}

impl Body {
    /// An empty body for a version.
    pub fn new(version: u64, schema: &Schema, known: &[TableDigest]) -> Self {
        Body {
            version,
            digests: Digests::new(schema, known),
            shapes: Vec::new(),
            page: Vec::new(),
            weight: 0,
            pages: 0,
            count: 0,
            body: digest::Body::default(),
        }
    }

    /// The position of a table's shape in this body, added where it is new.
    pub fn shape(&mut self, table: &Table) -> usize {
        let is_it = |s: &Shape| {
            s.table == table.name
                && s.columns.len() == table.columns.len()
                && s.columns.iter().zip(&table.columns).all(|(a, b)| *a == b.name)
        };
        if let Some(at) = self.shapes.iter().position(is_it) {
            return at;
        }
        self.shapes.push(shape_of(table));
        self.shapes.len() - 1
    }

    /// Adds a change that is in the tables already.
    pub fn add<L: Ledger + ?Sized>(&mut self, ledger: &mut L, change: Change) -> Result<()> {
        self.weight += weight(&change);
        self.page.push(change);
        self.count += 1;
        if self.page.len() >= PAGE_CHANGES_MAX || self.weight >= PAGE_WEIGHT_MAX {
            self.close_page(ledger)?;
        }
        Ok(())
    }

    /// Adds a row that another program wrote straight into the tables. A cell whose value before nobody knows is written as
    /// one that was already what it is, which whoever applies it takes as it comes.
    pub fn direct<G: Ledger + Tables + ?Sized>(&mut self, ground: &mut G, schema: &Schema, write: &DirectWrite) -> Result<()> {
        let effect = write.effect();
        let (Some(before), Some(after), false) = (effect.before, effect.after, write.unknown.is_empty()) else {
            return self.effect(ground, schema, &effect);
        };
        let table = &schema.tables[effect.table];
        let mut cells = cells(before, after, effect.at, effect.cell_at);
        cells.retain(|cell| !write.unknown.contains(&cell.column));
        let known = |&column: &usize| Cell { column, before: after[column].clone(), after: after[column].clone(), at: effect.at };
        cells.extend(write.unknown.iter().map(known));
        let change =
            Change { table: self.shape(table), key: table.key_of(after), edit: Edit::Update(cells), at: effect.at, moved_from: None };
        self.add(ground, change)
    }

    fn close_page<L: Ledger + ?Sized>(&mut self, ledger: &mut L) -> Result<()> {
        if self.page.is_empty() {
            return Ok(());
        }
        let bytes = page::encode(&self.shapes, &self.page);
        self.body.add(&bytes);
        ledger.put_page(self.version, self.pages, &bytes, &self.shapes, &self.page)?;
        self.pages += 1;
        self.page.clear();
        self.weight = 0;
        Ok(())
    }

    /// Closes the last page.
    pub fn finish<L: Ledger + ?Sized>(mut self, ledger: &mut L) -> Result<Written> {
        self.close_page(ledger)?;
        Ok(Written { shapes: self.shapes, pages: self.pages, count: self.count, body: self.body.digest(), tables: self.digests.list() })
    }
}

impl<G: Ledger + Tables + ?Sized> Effects<G> for Body {
    fn effect(&mut self, ground: &mut G, schema: &Schema, effect: &Effect<'_>) -> Result<()> {
        let table = &schema.tables[effect.table];
        self.digests.row(table, effect.before, effect.after);
        if let Some(change) = change_of(table, self.shape(table), effect) {
            self.add(ground, change)?;
        }
        Ok(())
    }
    fn altered(&mut self, ground: &mut G, tables: &[String]) -> Result<()> {
        self.digests.recount(ground, tables)
    }
}

/// The change that an effect amounts to; none where nothing differs.
pub fn change_of(table: &Table, shape: usize, effect: &Effect<'_>) -> Option<Change> {
    let edit = match (effect.before, effect.after) {
        (None, Some(row)) => Edit::Insert(row.clone()),
        (Some(row), None) => Edit::Delete(row.clone()),
        (Some(before), Some(after)) => {
            let cells = cells(before, after, effect.at, effect.cell_at);
            if cells.is_empty() {
                return None;
            }
            Edit::Update(cells)
        }
        (None, None) => return None,
    };
    let row = effect.after.or(effect.before)?;
    // A move that met a row under its new key is an update of that row.
    let moved_from = effect.moved_from.filter(|_| matches!(edit, Edit::Insert(_))).cloned();
    Some(Change { table: shape, key: table.key_of(row), edit, at: effect.at, moved_from })
}

/// The cells that differ by storage class or bytes.
pub fn cells(before: &[Value], after: &[Value], at: Time, cell_at: &[(usize, Time)]) -> Vec<Cell> {
    let time = |column: usize| cell_at.iter().find(|(c, _)| *c == column).map_or(at, |(_, t)| *t);
    before
        .iter()
        .zip(after)
        .enumerate()
        .filter(|(_, (b, a))| b != a && !(planted::is(Bug::B14) && a.is_null()))
        .map(|(column, (b, a))| Cell { column, before: b.clone(), after: a.clone(), at: time(column) })
        .collect()
}

/// About how many bytes a change's values take.
pub fn weight(change: &Change) -> usize {
    let row = |row: &Row| row.iter().map(Value::weight).sum::<usize>();
    row(&change.key)
        + match &change.edit {
            Edit::Insert(r) | Edit::Delete(r) => row(r),
            Edit::Update(cells) => cells.iter().map(|c| c.before.weight() + c.after.weight()).sum(),
        }
}
