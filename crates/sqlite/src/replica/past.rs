//! The row changes of versions received lately, and going back by them when the primary has lost those versions.
//!
//! Invariant: going back writes no row of the user's. Base images say what the rows were, and what the lost versions did
//! becomes unsent work under the write ids it had, so that whoever offers it first brings it back and all others
//! recognise it.
//! Invariant: pages are forgotten oldest first, so that what is kept reaches from some version to the one held.
use super::compare::{former_name, shape_at_base};
use super::{bases, known, proposing, storage, working};
use crate::errors::Explain;
use mainstem::core::ErrorKind;
use mainstem::core::change::{Again, Change, Edit, Front, Header, Past, RenumberedHere};
use mainstem::core::conflict::Conflict;
use mainstem::core::event::Version;
use mainstem::core::format::page;
use mainstem::core::schema::{Schema, SchemaChange};
use mainstem::core::stamp::Time;
use mainstem::core::value::{Key, Row};
use mainstem::error::{Error, Result};
use mainstem::lane::{Lane, lanes};
use mainstem::primary::Primary;
use mainstem::replica::{Progress, Rewind};
use mainstem::tables::Tables;
use mainstem::wiring::Around;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeSet;

/// About how many bytes of pages are kept.
const KEPT_BYTES_MAX: i64 = 64 * 1024 * 1024;
/// More than any version has pages: a page's place is its version's times this, and its number.
const PAGES_MAX: i64 = 1 << 24;

/// Makes the table, also in files that were tracked before there was any.
pub fn create(db: &Connection) -> Result<()> {
    db.execute_batch("CREATE TABLE IF NOT EXISTS mainstem_past(place INTEGER PRIMARY KEY, body BLOB NOT NULL)").on(db)
}

fn place(version: u64, page: u64) -> i64 {
    (version as i64).saturating_mul(PAGES_MAX).saturating_add(page as i64)
}

/// Keeps one page of a version that is being received.
pub fn keep(db: &Connection, version: u64, page: u64, body: &[u8]) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO mainstem_past(place, body) VALUES(?1, ?2)";
    db.prepare_cached(sql).on(db)?.execute(params![place(version, page), body]).on(db)?;
    let kept = storage::get::<i64>(db, "past_bytes")?.unwrap_or_default();
    storage::put(db, "past_bytes", kept + body.len() as i64)
}

/// Forgets the oldest pages where there are too many.
pub fn trim(db: &Connection) -> Result<()> {
    let mut kept = storage::get::<i64>(db, "past_bytes")?.unwrap_or_default();
    if kept <= KEPT_BYTES_MAX {
        return Ok(());
    }
    while kept > KEPT_BYTES_MAX {
        let sql = "DELETE FROM mainstem_past WHERE place = (SELECT min(place) FROM mainstem_past) RETURNING length(body)";
        let gone: Option<i64> = db.prepare_cached(sql).on(db)?.query_row([], |r| r.get(0)).optional().on(db)?;
        kept = gone.map_or(0, |gone| kept - gone);
    }
    storage::put(db, "past_bytes", kept)
}

/// Forgets the pages of versions above `after`.
pub fn forget(db: &Connection, after: u64) -> Result<()> {
    db.execute("DELETE FROM mainstem_past WHERE place >= ?1", [place(after + 1, 0)]).on(db)?;
    let left: i64 = db.query_row("SELECT ifnull(sum(length(body)), 0) FROM mainstem_past", [], |r| r.get(0)).on(db)?;
    storage::put(db, "past_bytes", left)
}

fn page(db: &Connection, version: u64, page: u64) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT body FROM mainstem_past WHERE place = ?1";
    db.prepare_cached(sql).on(db)?.query_row([place(version, page)], |r| r.get(0)).optional().on(db)
}

/// A version's event, where all its pages are kept too.
fn whole(db: &Connection, version: u64) -> Result<Option<Version>> {
    let Some(event) = storage::version(db, version)? else { return Ok(None) };
    let (from, to) = (place(version, 0), place(version + 1, 0));
    let sql = "SELECT count(*) FROM mainstem_past WHERE place >= ?1 AND place < ?2";
    let kept: i64 = db.prepare_cached(sql).on(db)?.query_row([from, to], |r| r.get(0)).on(db)?;
    Ok((kept as u64 == event.pages).then_some(event))
}

/// Visits the pages of the versions held, oldest first, from the first version on that is kept with all those after it.
/// Gives that version; none where not even the last is kept.
pub fn each(db: &Connection, visit: &mut dyn FnMut(&Version, &[u8]) -> Result<()>) -> Result<Option<u64>> {
    let last = super::base_version(db)?;
    let mut first = None;
    while let Some(version) = first.unwrap_or(last + 1).checked_sub(1)
        && whole(db, version)?.is_some()
    {
        first = Some(version);
    }
    for number in first.unwrap_or(last + 1)..=last {
        let Some(version) = storage::version(db, number)? else { continue };
        for at in 0..version.pages {
            let body = page(db, number, at)?.ok_or_else(|| Error::corrupt(format!("page {at} of version {number} is missing")))?;
            visit(&version, &body)?;
        }
    }
    Ok(first)
}

/// The state while a replica goes back.
pub(super) struct Rewinding<'c> {
    pub db: &'c Connection,
    pub schema: Schema,
    pub now: crate::tables::SqliteTables<'c>,
    pub keeper: bases::Keeper<'c>,
    /// The epoch that is left.
    pub epoch: u128,
    /// The last version that both have.
    pub common: u64,
    /// Schema steps made after the version that is looked at, oldest first.
    pub later: Vec<SchemaChange>,
    /// Rows that lost versions changed and that went unseen, by table: what they were, the primary knows.
    gone: BTreeSet<(usize, Key)>,
}

/// Goes back, inside a transaction. Returns how many changesets are offered again.
pub fn rewind(db: &Connection, around: &Around, to: &Rewind, primary: &mut dyn Primary, progress: Progress<'_>) -> Result<u64> {
    if working::has_work(db)? {
        let actor = storage::get::<String>(db, "actor")?.unwrap_or_default();
        working::close(db, around, &working::Naming { actor: &actor, title: None, description: "" })?;
    }
    let left = known(db)?.ok_or_else(|| Error::internal("a replica without a primary has nowhere to go back to"))?;
    let common = to.version.version;
    if super::is_partial(db)? && common < left.version {
        let message = "the primary was restored from an older copy, and a copy of a part cannot bring back what it lost";
        return Err(Error::new(ErrorKind::Conflict, "partial", message).hint(
            "sync a copy that holds everything first; mainstem sync --reseed then takes the primary's rows, with your unsent work on top",
        ));
    }
    let mut offered = 0;
    if common < left.version {
        let schema = super::tracked_schema(db)?;
        let own = storage::changesets(db)?;
        let later = own.iter().flat_map(|f| f.schema.clone()).collect();
        let mut to_common = |front: &mut Front| now_on_common(db, front, left.epoch, common);
        for mut front in own {
            to_common(&mut front)?;
            storage::set_front(db, &front)?;
        }
        proposing::mend_drawn(db, &mut to_common)?;
        let now = working::rows_now(db, &schema);
        let keeper = bases::Keeper::new(db);
        let mut rewinding = Rewinding { db, schema, now, keeper, epoch: left.epoch, common, later, gone: BTreeSet::new() };
        let mut version = left.version;
        while version > common
            && let Some(event) = whole(db, version)?
        {
            progress("going back", left.version - version, left.version - common);
            rewinding.step(event)?;
            version -= 1;
            offered += 1;
        }
        if version > common {
            offered += super::diverged::offer(&mut rewinding, version, primary, progress)?;
        }
        rewinding.find_gone(primary)?;
        forget_lost(db, common)?;
    }
    storage::clear_inbox(db)?;
    if to.epoch != left.epoch {
        let mut epochs = epochs_left(db)?;
        epochs.push(left.epoch);
        storage::put(db, "epochs_left", epochs.iter().flat_map(|e| e.to_be_bytes()).collect::<Vec<u8>>())?;
    }
    storage::put(db, "epoch", to.epoch.to_be_bytes())?;
    storage::put(db, "version", common as i64)?;
    storage::put(db, "hash", to.hash)?;
    storage::set_digests(db, &to.version.tables)?;
    Ok(offered)
}

/// The epochs that were left for later ones.
pub fn epochs_left(db: &Connection) -> Result<Vec<u128>> {
    let bytes: Vec<u8> = storage::get(db, "epochs_left")?.unwrap_or_default();
    Ok(bytes.as_chunks::<16>().0.iter().map(|id| u128::from_be_bytes(*id)).collect())
}

/// An unsent changeset that was made on a lost version stands on the common one, and says what else it has seen: what rows of
/// its own copy are called since their version was lost, it knows already.
fn now_on_common(db: &Connection, front: &mut Front, epoch: u128, common: u64) -> Result<()> {
    if front.header.base_version > common {
        let is_seen = |version: &Version| version.version <= front.header.base_version && version.header.replica == front.header.replica;
        for version in storage::versions(db, common, usize::MAX)?.into_iter().filter(is_seen) {
            let made_by = version.header.write_id;
            let rows = version.renumbered_in_all().into_iter();
            front.renumbered_here.extend(rows.map(|row| RenumberedHere { made_by, row }));
        }
        front.header.made_on.push(Past { epoch, version: front.header.base_version });
        front.header.base_version = common;
    }
    Ok(())
}

/// Forgets what was known of versions above the common one. Conflicts found in them stay: they come again with them.
fn forget_lost(db: &Connection, common: u64) -> Result<()> {
    db.execute("DELETE FROM mainstem_waiting WHERE version > ?1", [common as i64]).on(db)?;
    for version in storage::versions(db, common, usize::MAX)? {
        for (write_id, table, key) in &version.released {
            waits_again(db, common, *write_id, table, key)?;
        }
    }
    db.execute("DELETE FROM mainstem_touch WHERE version > ?1", [common as i64]).on(db)?;
    storage::drop_versions(db, common)?;
    forget(db, common)
}

/// Forgets conflicts of a lost version that came again as another had it: what it clashes with now is said with it. `told`: the
/// conflicts that the primary has of it.
pub fn forget_conflicts(db: &Connection, write_id: u128, told: &[Conflict]) -> Result<()> {
    let lost = storage::changesets(db)?.into_iter().find(|front| front.header.write_id == write_id && front.again.is_some());
    let is_in = |conflicts: &[Conflict], id: u64| conflicts.iter().any(|conflict| conflict.id == id);
    for conflict in lost.into_iter().flat_map(|front| front.conflicts).filter(|conflict| !is_in(told, conflict.id)) {
        if !storage::versions(db, 0, usize::MAX)?.iter().any(|version| is_in(&version.conflicts, conflict.id)) {
            storage::drop_conflict(db, conflict.id)?;
        }
    }
    Ok(())
}

/// A change that a lost version let in waits at the primary as before.
fn waits_again(db: &Connection, common: u64, write_id: u128, table: &str, key: &Key) -> Result<()> {
    let made = storage::versions(db, 0, usize::MAX)?.into_iter().find(|v| v.header.write_id == write_id && v.version <= common);
    let Some(made) = made else { return Ok(()) };
    match made.waiting.iter().find(|w| w.table == table && w.key == *key) {
        Some(waiting) => storage::add_waiting(db, write_id, made.version, waiting),
        None => Ok(()),
    }
}

impl Rewinding<'_> {
    /// Goes back over one version whose pages are kept.
    fn step(&mut self, event: Version) -> Result<()> {
        let version = event.version;
        let mut front = self.front(event.clone());
        let lanes = lanes(&self.schema, &front, &self.later);
        let mut at = front.header.at;
        for number in (0..event.pages).rev() {
            let body = page(self.db, version, number)?.ok_or_else(|| Error::corrupt("a kept page is gone"))?;
            let changes = page::decode(&body, &event.shapes)?;
            at = changes.iter().fold(at, |at, change| at.max(latest(change)));
            note_numbers(&mut front, &changes);
            storage::put_page(self.db, front.header.write_id, number, &body)?;
            changes.into_iter().rev().try_for_each(|change| self.undo(&lanes, change))?;
        }
        let waiting: Vec<Change> = event.waiting.into_iter().map(|w| w.change).collect();
        if !waiting.is_empty() {
            at = waiting.iter().fold(at, |at, change| at.max(latest(change)));
            note_numbers(&mut front, &waiting);
            front.count += waiting.len() as u64;
            storage::put_page(self.db, front.header.write_id, event.pages, &page::encode(&front.shapes, &waiting))?;
        }
        front.header.at = at;
        self.later.splice(0..0, event.schema);
        storage::add_changeset_ahead(self.db, &front)
    }

    /// The changeset as which a lost version is offered again.
    pub(super) fn front(&self, event: Version) -> Front {
        let renumbered = event.renumbered_in_all();
        let mut was = event.was;
        was.push(Past { epoch: self.epoch, version: event.version });
        let mut made_on = event.header.made_on;
        made_on.push(Past { epoch: self.epoch, version: event.version - 1 });
        Front {
            header: Header { base_version: self.common, made_on, ..event.header },
            schema: event.schema,
            shapes: event.shapes,
            resolutions: event.resolved,
            count: event.count,
            conflicts: event.conflicts,
            again: Some(Again { was, stands_for: event.stands_for, renumbered }),
            renumbered_here: Vec::new(),
            hidden: Vec::new(),
            is_partial: false,
            token: None,
            sender: None,
        }
    }

    /// Notes what a row was before one change. A row of a table that is gone here has no place to go back to.
    fn undo(&mut self, lanes: &[Lane], change: Change) -> Result<()> {
        let lane = &lanes[change.table];
        let Some(at) = lane.table else { return Ok(()) };
        let key = lane.local_key(&change.key);
        let now = self.now.get(at, &key)?;
        let after = self.base(at, &key, now.as_ref())?;
        let (local, _) = lane.localise(change, after.as_ref());
        // Where the row is another here, it was written unseen.
        let left = if lane.is_straight && !lane.is_redeclared { left_by(&local.edit, now.as_ref()) } else { now };
        let before = match local.edit {
            Edit::Insert(_) => None,
            Edit::Delete(row) => Some(row),
            Edit::Update(cells) => {
                let Some(mut row) = after else {
                    self.gone.insert((at, key));
                    return Ok(());
                };
                for cell in cells {
                    row[cell.column] = cell.before;
                }
                Some(row)
            }
        };
        self.keeper.put_back(&self.schema.tables[at], &key, before.as_ref(), left.as_ref())
    }

    /// Takes rows that went unseen from the primary as they were in the common version. They should be here as all unsent work
    /// makes them of that: a comparison finds that they are not.
    fn find_gone(&mut self, primary: &mut dyn Primary) -> Result<()> {
        let (db, tables) = (self.db, self.schema.tables.clone());
        for (at, table) in tables.iter().enumerate().filter(|(at, _)| self.gone.iter().any(|(of, _)| of == at)) {
            let former = former_name(&table.name, &self.later);
            let found = primary.rows(&former, self.common, &mut |names, row| {
                let shape = shape_at_base(&former, names, table, &self.later);
                let base = Lane::between(&self.schema, Some(at), &shape, &self.later).local_row(row);
                let key = table.key_of(&base);
                if !self.gone.contains(&(at, key.clone())) || bases::is_kept(db, table, &key)? {
                    return Ok(());
                }
                let left = bases::with_unsent(db, table, &key, Some(base.clone()), &[])?;
                self.keeper.put_back(table, &key, Some(&base), left.as_ref())
            });
            match found {
                // A table of a lost version has no rows in the common one.
                Err(e) if e.kind == ErrorKind::NotFound => {}
                found => found?,
            }
        }
        Ok(())
    }

    /// A row as it is in the version that has been reached.
    pub(super) fn base(&self, table: usize, key: &Key, now: Option<&Row>) -> Result<Option<Row>> {
        let table = &self.schema.tables[table];
        Ok(match bases::find(self.db, table, key)? {
            Some(image) => image.map(|image| image.row(table, now)),
            None => now.cloned(),
        })
    }
}

/// A row as an edit left it, as far as the edit says.
fn left_by(edit: &Edit, now: Option<&Row>) -> Option<Row> {
    match edit {
        Edit::Insert(row) => Some(row.clone()),
        Edit::Delete(_) => None,
        Edit::Update(cells) => now.map(|now| {
            cells.iter().fold(now.clone(), |mut row, cell| {
                row[cell.column] = cell.after.clone();
                row
            })
        }),
    }
}

fn latest(change: &Change) -> Time {
    match &change.edit {
        Edit::Update(cells) => cells.iter().map(|c| c.at).fold(change.at, Time::max),
        _ => change.at,
    }
}

/// Renumbering needs to know the highest number that a changeset gives.
pub(super) fn note_numbers(front: &mut Front, changes: &[Change]) {
    for change in changes {
        let shape = &mut front.shapes[change.table];
        if let (true, Edit::Insert(_), Some(number)) = (shape.is_numbered, &change.edit, change.key.first().and_then(|v| v.as_integer())) {
            shape.highest = shape.highest.max(Some(number));
        }
    }
}
