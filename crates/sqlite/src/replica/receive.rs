//! Takes what a pull brought: accepted versions exactly, with local work rebased on top, in one transaction.
//!
//! Invariant: cursor, rows, conflicts, acknowledgements and digests move together.
//! Invariant: a row that is not what the base version says is never overwritten; that is drift, and nothing is applied.
mod unaccepted;

use super::ground::ReplicaGround;
use super::{base_version, bases, clock, is_partial, known, past, proposing, storage, working};
use crate::capture;
use crate::connection;
use crate::errors::Explain;
use crate::sweep::Page;
use mainstem::body::Digests;
use mainstem::core::ErrorKind;
use mainstem::core::change::{Change, Edit, Front, Shape};
use mainstem::core::conflict::Answer;
use mainstem::core::event::{Digest, Version};
use mainstem::core::format::page;
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::{Schema, SchemaChange};
use mainstem::core::value::{Key, Row, Value};
use mainstem::error::{Error, Result};
use mainstem::lane::{Lane, redeclares, reform, reform_key, table_after};
use mainstem::primary::{Cursor, Item, Pull};
use mainstem::replica::Received;
use mainstem::schema_merge;
use mainstem::tables::Tables;
use mainstem::wiring::Around;
use mainstem::writer::{Tried, Write, Writer};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use unaccepted::{Lasting, our_waiting};
pub(super) use unaccepted::{Told, laid_again, note_renumbered, told_again};

/// Fewer changes of one table are applied one by one.
const SWEPT_MIN: usize = 32;
/// A table of which one row in so many is changed, or fewer, is not walked over.
const SPARSE: u64 = 8;

/// Where the next pull starts: after what is held and after what is kept until its version is complete.
pub fn cursor(db: &Connection) -> Result<Cursor> {
    let next = base_version(db)? + 1;
    let pages = storage::get::<i64>(db, "inbox_pages")?.unwrap_or_default() as u64;
    Ok(Cursor { version: next, page: pages })
}

/// Items in order: first those kept from earlier pulls, then those of this one.
struct Incoming<'c> {
    db: &'c Connection,
    memory: VecDeque<Item>,
}

impl Incoming<'_> {
    fn next(&mut self) -> Result<Option<Item>> {
        let kept: Option<(i64, Option<Vec<u8>>, Vec<u8>)> = self
            .db
            .prepare_cached("SELECT ordinal, hash, body FROM mainstem_inbox ORDER BY ordinal LIMIT 1")
            .on(self.db)?
            .query_row([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
            .optional()
            .on(self.db)?;
        let Some((ordinal, hash, body)) = kept else { return Ok(self.memory.pop_front()) };
        self.db.prepare_cached("DELETE FROM mainstem_inbox WHERE ordinal = ?1").on(self.db)?.execute([ordinal]).on(self.db)?;
        Ok(Some(match hash {
            Some(hash) => Item::Version(body, hash.try_into().map_err(|_| Error::corrupt("a kept version's hash is damaged"))?),
            None => Item::Page(body),
        }))
    }

    fn version(&mut self) -> Result<Option<(Version, Vec<u8>, Digest)>> {
        match self.next()? {
            Some(Item::Version(body, hash)) => Ok(Some((storage::version_of(&body)?, body, hash))),
            Some(_) => Err(Error::corrupt("the primary sent a page without its version")),
            None => Ok(None),
        }
    }

    fn page(&mut self) -> Result<Vec<u8>> {
        match self.next()? {
            Some(Item::Page(bytes)) => Ok(bytes),
            _ => Err(Error::corrupt("the primary sent a version without all its pages")),
        }
    }

    /// The write ids of the versions before one, kept ones included.
    fn accepted(&self, before: u64) -> Result<HashSet<u128>> {
        let mut accepted = HashSet::new();
        let mut see = |body: &[u8]| -> Result<()> {
            let version = storage::version_of(body)?;
            if version.version < before {
                accepted.insert(version.header.write_id);
                accepted.extend(version.stands_for);
            }
            Ok(())
        };
        let mut kept = self.db.prepare_cached("SELECT body FROM mainstem_inbox WHERE hash IS NOT NULL").on(self.db)?;
        let mut rows = kept.query([]).on(self.db)?;
        while let Some(row) = rows.next().on(self.db)? {
            see(&row.get::<_, Vec<u8>>(0).on(self.db)?)?;
        }
        for item in &self.memory {
            if let Item::Version(body, _) = item {
                see(body)?;
            }
        }
        Ok(accepted)
    }

    /// Keeps what is left until its version is complete.
    fn keep_rest(&mut self) -> Result<()> {
        for item in std::mem::take(&mut self.memory) {
            let (hash, body) = match item {
                Item::Version(body, hash) | Item::Event(body, hash) => (Some(hash), body),
                Item::Page(body) => (None, body),
            };
            self.db
                .prepare_cached("INSERT INTO mainstem_inbox(hash, body) VALUES(?1, ?2)")
                .on(self.db)?
                .execute(params![hash, body])
                .on(self.db)?;
        }
        Ok(())
    }
}

/// Takes one pull, inside a transaction with triggers off.
pub fn receive(db: &Connection, around: &Around, pull: &Pull) -> Result<Received> {
    let at = cursor(db)?;
    if pull.from != at {
        return Ok(Received { version: base_version(db)?, cursor: at, ..Received::default() });
    }
    if known(db)?.is_some_and(|known| known.scope != pull.scope) {
        let message = "what was received shows another part of the dataset than this copy holds";
        return Err(Error::new(ErrorKind::Conflict, "other_scope", message).hint("mainstem sync"));
    }
    // Events that are no versions say nothing here that the pull does not say itself.
    let memory = pull.items.iter().filter(|item| !matches!(item, Item::Event(..))).cloned().collect();
    let mut incoming = Incoming { db, memory };
    let from = base_version(db)?;
    let mut received = Received { version: from, cursor: pull.next, ..Received::default() };
    storage::put(db, "policy", &pull.policy)?;
    if pull.next.version > from + 1 {
        let mut taking = Taking::begin(db, around, incoming.accepted(pull.next.version)?)?;
        while taking.version + 1 < pull.next.version {
            let (version, body, hash) =
                incoming.version()?.ok_or_else(|| Error::corrupt("the primary sent fewer versions than it said"))?;
            if version.version != taking.version + 1 {
                return Err(Error::corrupt(format!(
                    "the primary sent version {} where {} was expected",
                    version.version,
                    taking.version + 1
                )));
            }
            taking.take(&version, &body, &hash, &mut incoming, &mut received)?;
        }
        connection::begin_another(Bug::I10, db)?;
        taking.end()?;
        if planted::is(Bug::E1) {
            capture::clear(db, capture::end(db)?)?;
        }
        received.version = base_version(db)?;
    }
    if !planted::is(Bug::D7) {
        incoming.keep_rest()?;
    }
    check_kept(db, &pull.next)?;
    storage::put(db, "inbox_pages", pull.next.page as i64)?;
    Ok(received)
}

/// What is kept is the version that is not complete, and as many of its pages as the cursor says.
fn check_kept(db: &Connection, next: &Cursor) -> Result<()> {
    let kept: i64 = db.prepare_cached("SELECT count(*) FROM mainstem_inbox").on(db)?.query_row([], |row| row.get(0)).on(db)?;
    let expected = if next.page == 0 { 0 } else { next.page as i64 + 1 };
    if kept == expected { Ok(()) } else { Err(Error::corrupt("the primary sent less or more than it said")) }
}

/// The state while versions are taken.
pub(super) struct Taking<'c> {
    db: &'c Connection,
    pub(super) ground: ReplicaGround<'c>,
    pub(super) digests: Digests,
    pub(super) version: u64,
    /// True once local rows were put back to the base version, and the schema as far as that can be.
    is_undone: bool,
    /// True where rows alone are laid again, on the tables as they are.
    are_steps_kept: bool,
    /// Our own schema steps that could not be taken back.
    lasting: Vec<Lasting>,
    ordinal: u64,
    /// Rows that do not stand here as unsent work made them.
    hidden: Vec<(String, Key)>,
    /// Changesets that the versions of this pull accept: nothing of them is left to be laid on top.
    accepted: HashSet<u128>,
    /// Set where somebody wants to know what laying comes to.
    told: Option<Told>,
}

impl<'c> Taking<'c> {
    pub(super) fn begin(db: &'c Connection, around: &Around, accepted: HashSet<u128>) -> Result<Self> {
        if working::has_work(db)? {
            let actor = storage::get::<String>(db, "actor")?.unwrap_or_default();
            working::close(db, around, &working::Naming { actor: &actor, title: None, description: "" })?;
        }
        Taking::over(db, accepted)
    }

    /// The state as it is, whatever was done here since the last commit.
    fn over(db: &'c Connection, accepted: HashSet<u128>) -> Result<Self> {
        let ground = ReplicaGround::new(db)?;
        let digests = Digests::new(&ground.schema(), &storage::digests(db)?);
        Ok(Taking {
            db,
            ground,
            digests,
            version: base_version(db)?,
            is_undone: false,
            are_steps_kept: false,
            lasting: Vec::new(),
            ordinal: 0,
            hidden: Vec::new(),
            accepted,
            told: None,
        })
    }

    fn take(&mut self, version: &Version, body: &[u8], hash: &Digest, incoming: &mut Incoming<'_>, received: &mut Received) -> Result<()> {
        let unsent = storage::changesets(self.db)?;
        let write_id = version.header.write_id;
        let is_ours = unsent.iter().any(|f| f.header.write_id == write_id) || proposing::is_drawn(self.db, write_id)?;
        if is_ours && self.is_as_we_left_it(version, &unsent)? {
            for number in 0..version.pages {
                past::keep(self.db, version.version, number, &incoming.page()?)?;
            }
            self.adopt_local_state()?;
        } else {
            self.undo(&unsent)?;
            // Work of ours that stays unaccepted will be laid on top and must know what it meets.
            let may_stay = |id: &u128| !self.accepted.contains(id) || version.stands_for.contains(id);
            let is_noted = unsent.iter().any(|f| may_stay(&f.header.write_id)) || !our_waiting(self.db)?.is_empty();
            self.apply(version, incoming, is_noted).map_err(|e| self.in_the_way(version, e))?;
        }
        self.check_digests(version).map_err(|e| self.in_the_way(version, e))?;
        if let Some(refused) = self.refused(version) {
            return Err(refused.in_the_way("the primary refused it"));
        }
        connection::begin_another(Bug::E8, self.db)?;
        self.fold(version, is_ours)?;
        storage::add_version(self.db, version.version, hash, body)?;
        self.version = version.version;
        storage::put(self.db, "version", version.version as i64)?;
        storage::put(self.db, "hash", hash)?;
        clock::hear(self.db, version.accepted_at.max(version.header.at))?;
        received.versions += 1;
        received.changes += version.count;
        received.acknowledged += u64::from(is_ours);
        Ok(())
    }

    /// Our only local work came back just as it was sent: the rows are in place already.
    fn is_as_we_left_it(&self, version: &Version, unsent: &[Front]) -> Result<bool> {
        // Of a part, what came back may be less than what was sent.
        Ok(!self.is_undone
            && !is_partial(self.db)?
            && unsent.len() == 1
            && version.header.base_version + 1 == version.version
            && version.schema.is_empty()
            && unsent[0].schema.is_empty()
            && version.renumbered.is_empty()
            && version.waiting.is_empty()
            && version.conflicts.is_empty()
            && version.count == unsent[0].count
            && our_waiting(self.db)?.is_empty())
    }

    /// Moves the digests from the base version to the rows as they are, by the base images alone.
    fn adopt_local_state(&mut self) -> Result<()> {
        let schema = self.ground.schema();
        let (ground, digests) = (&mut self.ground, &mut self.digests);
        bases::each(self.db, &mut |name, kept| {
            let Some(at) = schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(name)) else { return Ok(()) };
            let after = ground.get(at, &kept.key)?;
            let before = kept.image.map(|image| image.row(&schema.tables[at], None));
            digests.row(&schema.tables[at], before.as_ref(), after.as_ref());
            Ok(())
        })?;
        bases::clear(self.db)
    }

    /// Applies a version's rows, each only where the row is what the version says it was.
    fn apply(&mut self, version: &Version, incoming: &mut Incoming<'_>, is_noted: bool) -> Result<()> {
        let altered = schema_merge::apply(&mut self.ground, &version.schema)?;
        if !altered.is_empty() {
            self.digests.recount(&mut self.ground, &altered)?;
        }
        let schema = self.ground.schema();
        let lasting: Vec<SchemaChange> = self.lasting_of_others(version).cloned().collect();
        let steps = [&version.schema[..], &lasting].concat();
        let lane = |shape: &Shape| {
            let table = schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(&table_after(&shape.table, &lasting)));
            let mut lane = Lane::between(&schema, table, shape, &steps);
            lane.is_redeclared = self.lasting.iter().any(|l| redeclares(&l.step, &shape.table));
            lane
        };
        let lanes: Vec<Lane> = version.shapes.iter().map(lane).collect();
        let mut writer = Writer::default();
        for number in 0..version.pages {
            let body = incoming.page()?;
            past::keep(self.db, version.version, number, &body)?;
            if is_noted {
                // A row that came into the scope or left it was touched by nobody.
                for change in page::decode(&body, &version.shapes)?.iter().filter(|change| !change.is_by_scope()) {
                    self.ordinal += 1;
                    self.ground.note_touch(version, self.ordinal, change)?;
                }
            }
            for change in self.sweep(&schema, &lanes, version, body)? {
                // What a drop took was the old table's, though another may have its name by now.
                let is_of_dropped = || version.schema.iter().any(|s| is_drop_of(s, &version.shapes[change.table].table));
                if !matches!(change.edit, Edit::Delete(_)) || !is_of_dropped() {
                    self.apply_one(&schema, &lanes, change, &mut writer)?;
                }
            }
        }
        let (_, clashes) = writer.finish(&mut self.ground)?;
        clashes.first().map_or(Ok(()), |(write, what)| Err(drift(&schema, write, what)))
    }

    /// Applies many changes of a page together; those that must be looked at one by one come back.
    fn sweep(&mut self, schema: &Schema, lanes: &[Lane], version: &Version, body: Vec<u8>) -> Result<Vec<Change>> {
        let is_planted = planted::is(Bug::E2) || planted::is(Bug::C6) || planted::is(Bug::X6);
        if is_planted || version.count < SWEPT_MIN as u64 || !version.schema.is_empty() {
            return Ok(page::decode(&body, &version.shapes)?);
        }
        let page = Arc::new(Page::new(body, &version.shapes)?);
        let mut of_tables: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        page.tables().zip(0..).for_each(|(table, n)| of_tables.entry(table).or_default().push(n));
        let mut left = Vec::new();
        for (shape, changes) in of_tables {
            let lane = &lanes[shape];
            let is_plain = lane.is_straight && !lane.is_redeclared && changes.len() >= SWEPT_MIN;
            let Some(table) = lane.table.filter(|_| is_plain) else {
                left.extend(changes);
                continue;
            };
            let is_dense = self.digests.rows(&schema.tables[table]) <= version.count.saturating_mul(SPARSE);
            self.ground.sweep(table, &page, changes, is_dense, &mut self.digests, &mut left)?;
        }
        if left.is_empty() {
            return Ok(Vec::new());
        }
        left.sort_unstable();
        let is_left = |n: &u32| left.binary_search(n).is_ok();
        Ok((0..).zip(page::decode(page.bytes(), &version.shapes)?).filter(|(n, _)| is_left(n)).map(|(_, change)| change).collect())
    }

    fn apply_one(&mut self, schema: &Schema, lanes: &[Lane], change: Change, writer: &mut Writer<()>) -> Result<()> {
        let lane = &lanes[change.table];
        let Some(table) = lane.table else { return Ok(()) };
        let before = match lane.is_straight && !lane.is_redeclared {
            // Whatever stands where the new row belongs keeps it out, which is found without looking first.
            true if matches!(change.edit, Edit::Insert(_)) => None,
            true => self.ground.get(table, &change.key)?,
            false => {
                let mut key = lane.local_key(&change.key);
                if lane.is_redeclared {
                    reform_key(&mut self.ground, table, &mut key)?;
                }
                self.ground.get(table, &key)?
            }
        };
        let (mut local, _) = lane.localise(change, before.as_ref());
        if lane.is_redeclared {
            reform(&mut self.ground, table, &mut local)?;
        }
        let after = exact(local, before.as_ref()).map_err(|key| drift_at(&schema.tables[table].name, &key))?;
        self.digests.row(&schema.tables[table], before.as_ref(), after.as_ref());
        if before == after {
            return Ok(());
        }
        if let (true, Some(row)) = (planted::is(Bug::E2), before.as_ref().or(after.as_ref())) {
            let (table, done) = (&schema.tables[table], capture::Done::between(before.as_ref(), after.as_ref()));
            capture::record(self.db, table, &table.key_of(row), done, 0)?;
        }
        match writer.write(&mut self.ground, Write { table, before, after, tag: () })? {
            Tried::Refused(write, what) => Err(drift(schema, &write, &what)),
            _ => Ok(()),
        }
    }

    /// The digests of the rows as they are here must be the primary's (SYN-9). Tables whose columns differ here,
    /// because of schema steps that were not sent yet and cannot be taken back, are left out.
    pub(super) fn check_digests(&mut self, version: &Version) -> Result<()> {
        let ours = self.digests.list();
        for theirs in version.tables.iter().filter(|_| !planted::is(Bug::X6)) {
            if self.lasting_of_others(version).any(|step| mentions(step, &theirs.table)) {
                continue;
            }
            let Some(here) = ours.iter().find(|d| d.table.eq_ignore_ascii_case(&theirs.table)) else { continue };
            if here.rows != theirs.rows || here.sum != theirs.sum {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "drift",
                    format!(
                        "table {} is not what version {} says ({} rows here, {} there)",
                        theirs.table, version.version, here.rows, theirs.rows
                    ),
                )
                .hint("mainstem verify"));
            }
        }
        Ok(())
    }

    fn lasting_of_others<'a>(&'a self, version: &Version) -> impl Iterator<Item = &'a SchemaChange> + use<'a, 'c> {
        let write_id = version.header.write_id;
        self.lasting.iter().filter(move |l| l.write_id != write_id).map(|l| &l.step)
    }

    /// A step of ours that the primary refused, and that cannot be taken back here.
    fn refused(&self, version: &Version) -> Option<&Lasting> {
        let is_refused = version.conflicts.iter().any(schema_merge::is_step_refused);
        self.lasting.iter().find(|l| is_refused && l.write_id == version.header.write_id)
    }

    /// Says of what failed that a step of ours which cannot be taken back may stand in its way: only the primary knows what
    /// the step took.
    fn in_the_way(&self, version: &Version, failed: Error) -> Error {
        let lasting = self.lasting.iter().find(|l| l.write_id != version.header.write_id).or_else(|| self.refused(version));
        match lasting.filter(|_| failed.kind == ErrorKind::Conflict) {
            Some(lasting) => lasting.in_the_way(&failed.message),
            None => failed,
        }
    }

    /// Answers of ours that the primary left out, because we might not see their conflicts, are none.
    fn open_again(&mut self, version: &Version) -> Result<()> {
        let db = self.db;
        if !super::is_partial(db)? {
            return Ok(());
        }
        let ours = storage::changesets(db)?.into_iter().find(|front| front.header.write_id == version.header.write_id);
        for resolution in ours.into_iter().flat_map(|front| front.resolutions) {
            let is_taken = version.resolved.iter().any(|taken| taken.conflict == resolution.conflict);
            let Some(mut conflict) = storage::conflict(db, resolution.conflict)?.filter(|_| !is_taken) else { continue };
            // Somebody else may have answered it before, which is known by now.
            let is_ours = |answer: &Answer| answer.actor.as_ref() == Some(&resolution.actor) && answer.at >= resolution.at;
            if conflict.answer.as_ref().is_some_and(is_ours) {
                conflict.answer = None;
                storage::put_conflict(db, &conflict)?;
            }
        }
        Ok(())
    }

    /// Conflicts, answers and acknowledgements of one version.
    fn fold(&mut self, version: &Version, is_ours: bool) -> Result<()> {
        let db = self.db;
        for conflict in &version.conflicts {
            storage::put_conflict(db, conflict)?;
        }
        for resolution in &version.resolved {
            if let Some(mut conflict) = storage::conflict(db, resolution.conflict)? {
                conflict.answer = Some(Answer { choice: resolution.choice, actor: Some(resolution.actor.clone()), at: resolution.at });
                storage::put_conflict(db, &conflict)?;
            }
        }
        for (write_id, table, key) in version.released.iter().filter(|_| !planted::is(Bug::X10)) {
            storage::drop_waiting(db, *write_id, table, key)?;
        }
        for waiting in &version.waiting {
            storage::add_waiting(db, version.header.write_id, version.version, waiting)?;
        }
        proposing::acknowledge(db, &mut self.ground, version)?;
        if is_ours && !planted::is(Bug::H5) {
            self.open_again(version)?;
            past::forget_conflicts(db, version.header.write_id, &version.conflicts)?;
            storage::drop_changeset(db, version.header.write_id)?;
        }
        for write_id in &version.stands_for {
            storage::drop_changeset(db, *write_id)?;
        }
        self.lasting.retain(|l| l.write_id != version.header.write_id && !version.stands_for.contains(&l.write_id));
        Ok(())
    }
}

/// The row after an exact application; the key where the row is not what the change says it was.
fn exact(change: Change, before: Option<&Row>) -> std::result::Result<Option<Row>, Key> {
    match (change.edit, before) {
        (Edit::Insert(row), None) => Ok(Some(row)),
        (Edit::Delete(row), Some(there)) if row == *there => Ok(None),
        // A cell that is said to have been what it is was renamed and written straight in the primary: nobody knows more.
        (Edit::Update(cells), Some(there))
            if cells.iter().all(|c| there[c.column] == c.before || c.before == c.after || planted::is(Bug::X6)) =>
        {
            let mut row = there.clone();
            for cell in cells {
                row[cell.column] = cell.after;
            }
            Ok(Some(row))
        }
        _ => Err(change.key),
    }
}

fn mentions(step: &SchemaChange, name: &str) -> bool {
    schema_merge::table_of(step).is_some_and(|t| t.eq_ignore_ascii_case(name))
}

fn is_drop_of(step: &SchemaChange, table: &str) -> bool {
    matches!(step, SchemaChange::DropTable { name } if name.eq_ignore_ascii_case(table))
}

fn drift(schema: &Schema, write: &Write<()>, what: &str) -> Error {
    let table = &schema.tables[write.table];
    Error::new(
        ErrorKind::Conflict,
        "drift",
        format!("a row of {} cannot be put in its place ({what}): rows here are not what the base version says", table.name),
    )
    .hint("mainstem verify")
}

fn drift_at(table: &str, key: &Key) -> Error {
    Error::new(ErrorKind::Conflict, "drift", format!("row {} of {table} is not what the base version says", key_text(key)))
        .hint("mainstem verify")
}

fn key_text(key: &Key) -> String {
    let text = |value: &Value| match value {
        Value::Integer(i) => i.to_string(),
        other => other.as_text().map_or_else(|| other.type_name().to_owned(), |t| t.into_owned()),
    };
    key.iter().map(text).collect::<Vec<_>>().join(",")
}
