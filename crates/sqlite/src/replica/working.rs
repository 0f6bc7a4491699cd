//! The working changeset: what changed since the last commit, and closing it.
use super::{base_version, bases, clock, replica_id, storage, tracked_schema};
use crate::capture::{self, NetChange};
use mainstem::body::{PAGE_CHANGES_MAX, cells, weight};
use mainstem::core::change::{Change, Edit, Front, Header, RenumberedHere, Shape};
use mainstem::core::format::page;
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::{Schema, Table};
use mainstem::core::stamp::Time;
use mainstem::error::Result;
use mainstem::lane::shape_of;
use mainstem::replica::{Since, Working};
use mainstem::tables::Tables;
use mainstem::wiring::Around;
use rusqlite::Connection;
use std::collections::HashMap;

/// About how many bytes of values a page holds before it is closed.
const PAGE_WEIGHT_MAX: usize = 512 * 1024;

/// Who closes a changeset, and what it is called.
pub struct Naming<'a> {
    /// The actor.
    pub actor: &'a str,
    /// The title; none for work that nobody named.
    pub title: Option<&'a str>,
    /// The description.
    pub description: &'a str,
}

/// The stamps that local edits may have: none before what was heard already, none from a clock that ran ahead.
#[derive(Clone, Copy)]
pub struct Span {
    /// They are later than this.
    pub after: Time,
    /// They are at most this.
    pub until: Time,
}

impl Span {
    /// No bounds, for showing changes.
    const ANY: Span = Span { after: Time(0), until: Time(u64::MAX) };

    /// From the latest stamp heard until now.
    pub fn until_now(db: &Connection, around: &Around) -> Result<Span> {
        clock::set_right(db, around)?;
        Ok(Span { after: clock::latest(db)?, until: clock::now(db, around)? })
    }
}

/// True where there may be something to close.
pub fn has_work(db: &Connection) -> Result<bool> {
    Ok(capture::has_records(db)? || !storage::steps(db)?.is_empty() || !storage::resolutions(db)?.is_empty())
}

/// True where closing would give something: records alone may come to nothing, as after a restore.
pub fn is_changed(db: &Connection) -> Result<bool> {
    let mut is_changed = !storage::steps(db)?.is_empty() || !storage::resolutions(db)?.is_empty();
    changes(db, Since::Commit, &mut |_, _| {
        is_changed = true;
        Ok(())
    })?;
    Ok(is_changed)
}

/// The change that a net change amounts to, with stamps not before `floor`; none where nothing differs.
pub fn change_of(table: &Table, shape: usize, net: &NetChange, span: Span) -> Option<Change> {
    let stamped = |ms: u64| Time::from_ms(ms).max(Time(span.after.0.saturating_add(1))).min(span.until);
    let at = stamped(net.at_ms);
    let edit = match (&net.before, &net.after) {
        (None, Some(row)) => Edit::Insert(row.clone()),
        (Some(row), None) => Edit::Delete(row.clone()),
        (Some(before), Some(after)) => {
            // A cell whose value before is not known counts as unchanged until the primary's rows tell.
            let mut before = before.clone();
            for &column in &net.unknown_before {
                before[column].clone_from(&after[column]);
            }
            let times: Vec<(usize, Time)> =
                net.cell_at_ms.iter().enumerate().filter(|(_, ms)| **ms > 0).map(|(c, ms)| (c, stamped(*ms))).collect();
            let cells = cells(&before, after, at, &times);
            if cells.is_empty() {
                return None;
            }
            Edit::Update(cells)
        }
        (None, None) => return None,
    };
    let row = net.after.as_ref().or(net.before.as_ref())?;
    let moved_from = net.moved_from.clone().filter(|_| matches!(edit, Edit::Insert(_)));
    Some(Change { table: shape, key: table.key_of(row), edit, at, moved_from })
}

/// Visits net changes since the last commit, or since the base version.
pub fn changes(db: &Connection, since: Since, visit: &mut dyn FnMut(&Shape, &Change) -> Result<()>) -> Result<()> {
    if since == Since::Base {
        let schema = tracked_schema(db)?;
        let mut now = rows_now(db, &schema);
        bases::each(db, &mut |name, kept| {
            let Some(position) = schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(name)) else { return Ok(()) };
            let table = &schema.tables[position];
            let after = now.get(position, &kept.key)?;
            let before = kept.image.map(|image| image.row(table, after.as_ref()));
            let net = NetChange {
                table: 0,
                key: kept.key,
                before,
                after,
                unknown_before: Vec::new(),
                at_ms: 0,
                cell_at_ms: Vec::new(),
                moved_from: None,
            };
            match change_of(table, 0, &net, Span::ANY) {
                Some(change) => visit(&shape_of(table), &change),
                None => Ok(()),
            }
        })?;
    }
    capture::condense(db, None, &mut |table, net| {
        if since == Since::Base && bases::is_kept(db, table, &net.key)? {
            return Ok(());
        }
        match change_of(table, 0, &net, Span::ANY) {
            Some(change) => visit(&shape_of(table), &change),
            None => Ok(()),
        }
    })
    .map(drop)
}

/// Rows as they are now, for reading.
pub fn rows_now<'c>(db: &'c Connection, schema: &Schema) -> crate::tables::SqliteTables<'c> {
    let schema = std::sync::Arc::new(schema.clone());
    let same = schema.clone();
    crate::tables::SqliteTables::new(db, schema, Box::new(move |_| Ok((*same).clone())))
}

/// Writes changes into the pages of a changeset.
pub struct Closing<'c> {
    db: &'c Connection,
    write_id: u128,
    /// What is known of it so far.
    pub front: Front,
    shapes: HashMap<String, usize>,
    page: Vec<Change>,
    weight: usize,
    pages: u64,
}

impl<'c> Closing<'c> {
    /// A changeset of that name, without changes, whose shapes may be known already.
    pub fn new(db: &'c Connection, write_id: u128, front: Front) -> Self {
        Closing { db, write_id, front, shapes: HashMap::new(), page: Vec::new(), weight: 0, pages: 0 }
    }

    fn shape(&mut self, table: &Table) -> usize {
        *self.shapes.entry(table.name.clone()).or_insert_with(|| {
            self.front.shapes.push(shape_of(table));
            self.front.shapes.len() - 1
        })
    }

    /// Takes a change of one of the shapes.
    pub fn add(&mut self, change: Change) -> Result<()> {
        let shape = &mut self.front.shapes[change.table];
        if let (true, Edit::Insert(_), Some(number)) = (shape.is_numbered, &change.edit, change.key.first().and_then(|v| v.as_integer())) {
            shape.highest = shape.highest.max(Some(number));
        }
        self.front.header.at = self.front.header.at.max(change.at);
        if let Edit::Update(cells) = &change.edit {
            self.front.header.at = cells.iter().map(|c| c.at).fold(self.front.header.at, Time::max);
        }
        self.weight += weight(&change);
        self.page.push(change);
        self.front.count += 1;
        if self.page.len() >= PAGE_CHANGES_MAX || self.weight >= PAGE_WEIGHT_MAX {
            self.close_page()?;
        }
        Ok(())
    }

    /// Writes what is not written yet.
    pub fn close_page(&mut self) -> Result<()> {
        if self.page.is_empty() {
            return Ok(());
        }
        storage::put_page(self.db, self.write_id, self.pages, &page::encode(&self.front.shapes, &self.page))?;
        self.pages += 1;
        self.weight = 0;
        self.page.clear();
        Ok(())
    }
}

/// Writes what changed since the last commit into pages under an id, and gives them their front, whose header is not
/// filled in yet. `keeps_bases`: the rows are committed, so that their base images are kept.
pub fn gather(db: &Connection, write_id: u128, span: Span, keeps_bases: bool) -> Result<Front> {
    let mut closing = Closing::new(db, write_id, Front::default());
    let mut keeper = bases::Keeper::new(db);
    capture::condense(db, None, &mut |table, mut net| {
        let is_whole = net.unknown_before.is_empty();
        if !is_whole {
            complete(db, table, &mut net)?;
        }
        // Where an unseen write came between the last commit and the first that was seen, it goes with this one.
        match bases::committed(db, table, &net.key, net.before.as_ref())? {
            Some(before) => net.before = before,
            // Where nobody can say here what was committed, comparing tells of both.
            None if keeps_bases && is_whole && !bases::is_as_left(db, table, &net.key, net.before.as_ref())? => {
                return storage::add_gap(db, &table.name);
            }
            None => {}
        }
        let shape = closing.shape(table);
        let Some(change) = change_of(table, shape, &net, span) else { return Ok(()) };
        if keeps_bases {
            keeper.keep(table, &net.key, net.before.as_ref(), net.after.as_ref())?;
        }
        closing.add(change)
    })?;
    closing.close_page()?;
    closing.front.header.write_id = write_id;
    Ok(closing.front)
}

/// Closes what changed since the last commit as a changeset, inside a transaction. None where nothing did.
pub fn close(db: &Connection, around: &Around, naming: &Naming<'_>) -> Result<Option<Front>> {
    let end = capture::end(db)?;
    let span = Span::until_now(db, around)?;
    let steps = storage::steps(db)?;
    if !steps.is_empty() {
        bases::carry(db, &tracked_schema(db)?, &steps)?;
    }
    let mut front = gather(db, around.random(), span, true)?;
    capture::clear(db, end)?;
    raise_highest(db, &mut front)?;
    front.renumbered_here = renumbered_here(db)?;
    front.hidden = storage::hidden(db)?;
    front.schema = steps;
    front.resolutions = if planted::is(Bug::X4) { Vec::new() } else { storage::resolutions(db)? };
    for answer in &mut front.resolutions {
        answer.at = answer.at.min(span.until);
    }
    if front.count == 0 && front.schema.is_empty() && front.resolutions.is_empty() {
        return Ok(None);
    }
    db.execute_batch("DELETE FROM mainstem_step; DELETE FROM mainstem_resolution;")
        .map_err(|e| crate::errors::explain(e, "the replica", 0))?;
    let sequence = storage::get::<i64>(db, "sequence")?.unwrap_or_default() + 1;
    let begun = begun(db)?;
    let title = naming.title.map(str::to_owned).or_else(|| begun.as_ref().map(|b| b.0.clone()));
    let description = if naming.title.is_some() { naming.description.to_owned() } else { begun.map(|b| b.1).unwrap_or_default() };
    begin(db, None)?;
    let at = front.header.at.max(span.until).max(front.resolutions.iter().map(|r| r.at).max().unwrap_or_default());
    front.header = Header {
        write_id: front.header.write_id,
        lineage: storage::get_wide(db, "lineage")?.unwrap_or_default(),
        replica: replica_id(db)?,
        sequence: sequence as u64,
        base_version: base_version(db)?,
        actor: naming.actor.to_owned(),
        title,
        description,
        at,
        made_on: Vec::new(),
    };
    storage::put(db, "sequence", sequence)?;
    clock::hear(db, at)?;
    storage::add_changeset(db, &front)?;
    Ok(Some(front))
}

/// The changeset that is being worked on.
pub fn standing(db: &Connection) -> Result<Working> {
    Ok(Working {
        replica: replica_id(db)?,
        sequence: storage::get::<i64>(db, "sequence")?.unwrap_or_default() as u64 + 1,
        began: capture::beginning(db)?,
        end: capture::end(db)?,
    })
}

/// Numbers that unsent changesets gave stay theirs, though the primary may have refused the rows by now: what this one says
/// of them must not meet a row of its own that gets another number.
fn raise_highest(db: &Connection, front: &mut Front) -> Result<()> {
    let unsent = storage::changesets(db)?;
    for shape in front.shapes.iter_mut().filter(|shape| shape.highest.is_some()) {
        let same = unsent.iter().flat_map(|front| &front.shapes).filter(|other| other.table.eq_ignore_ascii_case(&shape.table));
        shape.highest = same.map(|other| other.highest).fold(shape.highest, Option::max);
    }
    Ok(())
}

/// Rows of unsent changesets that are called by another number here than they had first; a version of our own that was lost names
/// them by the number that it gave them.
fn renumbered_here(db: &Connection) -> Result<Vec<RenumberedHere>> {
    let ours = replica_id(db)?;
    let own = |front: Front| {
        let made_by = front.header.write_id;
        let again = front.again.filter(|_| front.header.replica == ours);
        let given = again.into_iter().flat_map(|again| again.renumbered).map(move |row| RenumberedHere { made_by, row });
        front.renumbered_here.into_iter().filter(move |here| here.made_by == made_by).chain(given)
    };
    Ok(storage::changesets(db)?.into_iter().flat_map(own).collect())
}

/// Names the working changeset ahead of its commit, or takes the name away.
pub fn begin(db: &Connection, name: Option<(&str, &str)>) -> Result<()> {
    storage::put(db, "begun_title", name.map(|n| n.0))?;
    storage::put(db, "begun_description", name.map(|n| n.1))
}

/// The title and description that the working changeset was given ahead of its commit.
pub fn begun(db: &Connection) -> Result<Option<(String, String)>> {
    let title: Option<String> = storage::get(db, "begun_title")?;
    title.map(|t| storage::get(db, "begun_description").map(|d| (t, d.unwrap_or_default()))).transpose()
}

/// Takes cells whose value before is not known from what the last commit left, or from the row's base image, where a comparison
/// has put one; else the table is to be compared before anything is sent.
fn complete(db: &Connection, table: &Table, net: &mut NetChange) -> Result<()> {
    let (Some(before), unknown) = (&mut net.before, std::mem::take(&mut net.unknown_before)) else { return Ok(()) };
    let known = match (bases::committed(db, table, &net.key, None)?, bases::find(db, table, &net.key)?) {
        (Some(Some(left)), _) => Some(left),
        (_, Some(Some(image))) => Some(image.row(table, None)),
        // Nobody but us has the row, so that what it is now can be said of all of it.
        (_, Some(None)) => return Ok(()),
        // It counts as unchanged, also in the image that is kept: a comparison finds it wrong where it is.
        (_, None) => {
            storage::add_gap(db, &table.name)?;
            net.after.clone()
        }
    };
    let Some(known) = known else { return Ok(()) };
    for column in unknown {
        before[column].clone_from(&known[column]);
    }
    Ok(())
}

/// Gives the unsent changesets that have no title this one. Returns the last that got it.
pub fn name_untitled(db: &Connection, naming: &Naming<'_>, closed: Option<Front>) -> Result<Option<Front>> {
    let mut named = closed;
    for mut front in storage::unsent(db)? {
        if front.header.title.is_none() && front.again.is_none() {
            front.header.title = naming.title.map(str::to_owned);
            front.header.description = naming.description.to_owned();
            storage::set_front(db, &front)?;
            named = Some(front);
        }
    }
    Ok(named)
}
