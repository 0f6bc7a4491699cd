//! Begins again from a snapshot, for a replica whose primary can no longer tell what happened since its base version.
//!
//! Invariant: the snapshot is complete before the first row is touched; then one transaction replaces the base version and
//! lays the unsent work on top, so that a crash is before or after.
//! Invariant: a row that is gone at the primary does not come back. Where it was edited here, the edit is a conflict with the
//! whole row in it.
use super::ground::ReplicaGround;
use super::receive::Taking;
use super::{bases, is_partial, past, proposing, storage, tracked_schema, working};
use crate::capture;
use crate::errors::Explain;
use mainstem::core::ErrorKind;
use mainstem::core::change::{Change, Choice, Edit, Front};
use mainstem::core::conflict::{self, Answer, Claim, Conflict, ConflictKind, Side};
use mainstem::core::event::Digest;
use mainstem::core::format::{page, row as row_format};
use mainstem::core::policy::Deletes;
use mainstem::core::schema::{Schema, SchemaChange};
use mainstem::core::stamp::Stamp;
use mainstem::core::value::{Key, Row};
use mainstem::error::{Error, Result};
use mainstem::lane::{Lane, lanes, shape_of};
use mainstem::policy_text;
use mainstem::primary::{Primary, SnapshotSink, SnapshotStart};
use mainstem::rebase::image;
use mainstem::replica::{Progress, Reseeded, Unseen};
use mainstem::tables::Tables;
use mainstem::wiring::Around;
use mainstem::writer::{Tried, Write, Writer};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashSet;

/// SQLite keeps temporary tables in files of its own, which go with the connection however that ends.
const STAGED: &str = "
CREATE TEMP TABLE IF NOT EXISTS mainstem_staged(tbl INTEGER, key BLOB, row BLOB NOT NULL, PRIMARY KEY(tbl, key)) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS mainstem_gone(ordinal INTEGER PRIMARY KEY, key BLOB NOT NULL);
DELETE FROM temp.mainstem_staged;
DELETE FROM temp.mainstem_gone;
";
/// Rows that are read from the staged ones, or deleted, at once.
const BATCH: usize = 1_000;

/// A snapshot that has come whole, its rows in the staging table.
pub struct Staged {
    start: SnapshotStart,
    /// Unsent changesets that are in it: they were accepted, and nobody here has heard of that.
    accepted: Vec<u128>,
    /// Changesets kept for review of which others made a version that is in it.
    narrowed: Vec<u128>,
}

/// Downloads the snapshot, a page at a time and without holding the file.
pub fn stage(db: &Connection, primary: &mut dyn Primary, progress: Progress<'_>) -> Result<Staged> {
    db.execute_batch(STAGED).on(db)?;
    let mut staging = Staging { db, start: None, done: 0, progress };
    primary.snapshot(&mut staging)?;
    let done = staging.done;
    let start = staging.start.ok_or_else(|| Error::corrupt("the primary sent no snapshot"))?;
    let total: u64 = start.description.tables.iter().map(|t| t.rows).sum();
    if done != total {
        return Err(Error::corrupt(format!("the snapshot has {done} rows, the primary said {total}")).hint("mainstem sync"));
    }
    let (mut accepted, mut narrowed) = (Vec::new(), Vec::new());
    let drawn = proposing::drawn_id(db)?;
    for write_id in storage::changesets(db)?.iter().map(|front| front.header.write_id).chain(drawn) {
        let Some(version) = primary.find_write(write_id)?.filter(|version| *version <= start.head.version) else { continue };
        let is_kept = storage::kept(db, write_id)?.is_some() || drawn == Some(write_id);
        match is_kept && primary.version(version)?.is_some_and(|version| version.header.write_id != write_id) {
            true => narrowed.push(write_id),
            false => accepted.push(write_id),
        }
    }
    Ok(Staged { start, accepted, narrowed })
}

struct Staging<'c, 'p> {
    db: &'c Connection,
    start: Option<SnapshotStart>,
    done: u64,
    progress: Progress<'p>,
}

impl SnapshotSink for Staging<'_, '_> {
    fn begin(&mut self, start: &SnapshotStart) -> Result<()> {
        self.start = Some(start.clone());
        Ok(())
    }
    fn rows(&mut self, table: usize, rows: &[Row]) -> Result<()> {
        let start = self.start.as_ref().ok_or_else(|| Error::corrupt("the primary sent rows before it said of what"))?;
        let of = start.schema.tables.get(table).ok_or_else(|| Error::corrupt("the primary sent rows of no table"))?;
        let sql = "INSERT INTO temp.mainstem_staged(tbl, key, row) VALUES(?1, ?2, ?3)";
        let mut insert = self.db.prepare_cached(sql).on(self.db)?;
        for row in rows {
            let key = row_format::encode_key(&of.key_of(row));
            insert.execute(params![table as i64, key, row_format::encode_row(row)]).on(self.db)?;
        }
        self.done += rows.len() as u64;
        let total = start.description.tables.iter().map(|t| t.rows).sum();
        (self.progress)("receiving rows", self.done, total);
        Ok(())
    }
}

fn is_staged(db: &Connection, table: usize, key: &Key) -> Result<bool> {
    let sql = "SELECT 1 FROM temp.mainstem_staged WHERE tbl = ?1 AND key = ?2";
    db.prepare_cached(sql).on(db)?.exists(params![table as i64, row_format::encode_key(key)]).on(db)
}

/// Puts the snapshot in the place of the base version, inside a transaction.
pub fn swap(db: &Connection, around: &Around, staged: &Staged, unseen: Unseen) -> Result<Reseeded> {
    let start = &staged.start;
    let head = &start.head;
    let mut taking = Taking::begin(db, around, HashSet::new())?;
    if unseen == Unseen::Refused {
        refuse_unseen(db)?;
    }
    for write_id in &staged.accepted {
        past::forget_conflicts(db, *write_id, &start.conflicts)?;
        proposing::drop_accepted(db, *write_id)?;
    }
    // A row that is not in a part is not gone: whoever sees everything says what becomes of an edit of it.
    let is_part = is_partial(db)? || start.description.scope != Digest::default();
    let conflicts = if is_part { stand_on(db, start)? } else { keep_edits_of_gone_rows(db, start)? };
    proposing::mend_drawn(db, &mut |front| {
        front.header.base_version = front.header.base_version.max(start.description.horizon).min(head.version);
        Ok(())
    })?;
    taking.give_up(&storage::changesets(db)?)?;
    mend_schema(db, &mut taking.ground, &start.schema)?;
    let rows = replace_rows(db, &mut taking.ground, start)?;
    put_objects(&mut taking.ground, &start.schema)?;
    for write_id in &staged.narrowed {
        proposing::narrow_to_rows(db, &mut taking.ground, *write_id)?;
    }
    let all: Vec<String> = taking.ground.schema().tables.iter().map(|t| t.name.clone()).collect();
    taking.digests.recount(&mut taking.ground, &all)?;
    taking.check_digests(head)?;
    db.execute_batch("DELETE FROM mainstem_touch; DELETE FROM mainstem_waiting; DELETE FROM mainstem_gap;").on(db)?;
    storage::drop_versions(db, 0)?;
    past::forget(db, 0)?;
    storage::clear_inbox(db)?;
    let answers = unsent_answers(db)?;
    start.conflicts.iter().try_for_each(|conflict| hear(db, conflict, &answers))?;
    for (event, hash, waiting) in &start.waiting {
        let version = storage::version_of(event)?;
        storage::add_version(db, version.version, hash, event)?;
        storage::add_waiting(db, version.header.write_id, version.version, waiting)?;
    }
    storage::put(db, "policy", &start.description.policy)?;
    storage::put(db, "epoch", start.description.epoch.to_be_bytes())?;
    storage::put(db, "scope_mark", start.description.scope)?;
    storage::put(db, "version", head.version as i64)?;
    storage::put(db, "hash", start.hash)?;
    storage::set_first(db, head, &start.hash)?;
    storage::set_recent(db, &start.recent)?;
    taking.version = head.version;
    taking.end()?;
    Ok(Reseeded { version: head.version, rows, conflicts })
}

/// Nobody can say any more what a row was before a write that capture did not see, so that it cannot be told from a row
/// that the primary has changed.
fn refuse_unseen(db: &Connection) -> Result<()> {
    let suspects = super::compare::suspects(db)?.into_iter().chain(storage::gaps(db)?).next();
    let Some(table) = suspects else { return Ok(()) };
    let message =
        format!("table {table} was written past capture, and the primary no longer tells what it was before; nothing was changed");
    Err(Error::new(ErrorKind::Conflict, "unseen_behind_horizon", message)
        .hint("keep a copy of those rows, then: mainstem sync --reseed, which takes the primary's"))
}

/// The conflicts that were answered here, with the answer on its way still.
fn unsent_answers(db: &Connection) -> Result<HashSet<u64>> {
    let sent = storage::changesets(db)?.into_iter().flat_map(|front| front.resolutions);
    Ok(sent.chain(storage::resolutions(db)?).map(|resolution| resolution.conflict).collect())
}

/// A conflict of the snapshot. One that was answered here, with the answer not sent yet, stays answered.
fn hear(db: &Connection, conflict: &Conflict, answers: &HashSet<u64>) -> Result<()> {
    let is_answered = answers.contains(&conflict.id) && storage::conflict(db, conflict.id)?.is_some_and(|c| !c.is_open());
    if conflict.is_open() && is_answered { Ok(()) } else { storage::put_conflict(db, conflict) }
}

/// Unsent changesets stand on a version that the primary can tell of. Nothing else becomes of them.
fn stand_on(db: &Connection, start: &SnapshotStart) -> Result<u64> {
    for mut front in storage::changesets(db)? {
        front.header.base_version = front.header.base_version.max(start.description.horizon).min(start.head.version);
        storage::set_front(db, &front)?;
    }
    Ok(0)
}

/// Unsent changesets stand on the oldest version the primary can tell of. Where they edit a row that is gone there, the
/// edit becomes a conflict that has the whole row; the primary itself could no longer say what the row was.
fn keep_edits_of_gone_rows(db: &Connection, start: &SnapshotStart) -> Result<u64> {
    let schema = tracked_schema(db)?;
    let policy = policy_text::parse(&start.description.policy)?;
    let mut now = working::rows_now(db, &schema);
    let mut seen: HashSet<(usize, Key)> = HashSet::new();
    let fronts = storage::changesets(db)?;
    let mut found = 0;
    // Of what happened since the horizon the primary itself knows more.
    for (at, mut front) in fronts.clone().into_iter().enumerate().filter(|(_, f)| f.header.base_version < start.description.horizon) {
        let later: Vec<SchemaChange> = fronts[at..].iter().flat_map(|f| f.schema.clone()).collect();
        let lanes = lanes(&schema, &front, &later);
        front.header.base_version = front.header.base_version.max(start.description.horizon);
        let mut pages = storage::StoredPages { db, front: front.clone(), next: 0 };
        while let Some(mut changes) = mainstem::primary::Pages::next(&mut pages)? {
            let before = changes.len();
            let mut kept = Vec::with_capacity(before);
            for change in changes.drain(..) {
                let Some(gone) = gone(db, &schema, &lanes, start, &change)? else {
                    kept.push(change);
                    continue;
                };
                let is_first = seen.insert((gone.table, gone.key.clone()));
                let Some(row) = now.get(gone.table, &gone.key)?.filter(|_| is_first) else { continue };
                let table = &schema.tables[gone.table];
                let is_straight = lanes[change.table].is_straight;
                let rule = if is_straight { policy.table(&table.name).deletes } else { Deletes::Manual };
                let conflict = edit_of_gone(&front, &table.name, &gone.key, image(table, &gone.base), image(table, &row), change.at, rule);
                storage::put_conflict(db, &conflict)?;
                if rule == Deletes::UpdateWins {
                    kept.push(Change { edit: Edit::Insert(row), ..change });
                }
                front.conflicts.push(conflict);
                found += 1;
            }
            if kept.len() != before || found > 0 {
                storage::put_page(db, front.header.write_id, pages.next - 1, &page::encode(&front.shapes, &kept))?;
            }
            front.count = front.count + kept.len() as u64 - before as u64;
        }
        storage::set_front(db, &front)?;
    }
    Ok(found)
}

/// A row that was edited here and is gone in the snapshot.
struct Gone {
    table: usize,
    key: Key,
    base: Row,
}

fn gone(db: &Connection, schema: &Schema, lanes: &[Lane], start: &SnapshotStart, change: &Change) -> Result<Option<Gone>> {
    let (Edit::Update(_), Some(table)) = (&change.edit, lanes[change.table].table) else { return Ok(None) };
    let key = lanes[change.table].local_key(&change.key);
    let there = start.schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(&schema.tables[table].name));
    if there.map_or(Ok(false), |there| is_staged(db, there, &key))? {
        return Ok(None);
    }
    // A row that was made here has no image in the base version and is not gone.
    let base = bases::find(db, &schema.tables[table], &key)?.flatten().map(|image| image.row(&schema.tables[table], None));
    Ok(base.map(|base| Gone { table, key, base }))
}

fn edit_of_gone(
    front: &Front,
    table: &str,
    key: &Key,
    base: conflict::Image,
    edited: conflict::Image,
    at: mainstem::core::stamp::Time,
    rule: Deletes,
) -> Conflict {
    let stamp = Stamp { time: at, replica: front.header.replica };
    let ours = Side { claim: Claim::Row(Some(edited)), stamp, actor: front.header.actor.clone() };
    let theirs = Side { claim: Claim::Row(None), stamp: Stamp::default(), actor: String::new() };
    // Nobody knows when the row was deleted, so that the later write cannot win.
    let choice = match rule {
        Deletes::DeleteWins => Some(Choice::Theirs),
        Deletes::UpdateWins => Some(Choice::Ours),
        Deletes::Manual | Deletes::LastWriteWins => None,
    };
    Conflict {
        id: conflict::id_of(table, key, None, ConflictKind::UpdateDelete, &ours, &theirs),
        kind: ConflictKind::UpdateDelete,
        table: table.to_owned(),
        key: key.clone(),
        column: None,
        base: Claim::Row(Some(base)),
        ours,
        theirs,
        strategy: rule.name().to_owned(),
        detail: "deleted longer ago than the primary remembers".to_owned(),
        version: front.header.base_version,
        answer: choice.map(|choice| Answer { choice, actor: None, at }),
    }
}

/// Makes the tables what the snapshot's are.
fn mend_schema(db: &Connection, ground: &mut ReplicaGround<'_>, wanted: &Schema) -> Result<()> {
    let here = ground.schema();
    for object in here.objects.iter().filter(|o| !wanted.objects.contains(o)) {
        ground.alter(&SchemaChange::DropObject { kind: object.kind.clone(), name: object.name.clone() })?;
    }
    for table in here.tables.iter().filter(|t| wanted.table(&t.name).is_none()) {
        ground.alter(&SchemaChange::DropTable { name: table.name.clone() })?;
    }
    for table in &wanted.tables {
        match ground.schema().tables.iter().position(|t| t.name.eq_ignore_ascii_case(&table.name)) {
            None => ground.alter(&SchemaChange::CreateTable { table: table.clone() })?,
            Some(at) if ground.schema().tables[at].sql == table.sql => {}
            Some(at) => {
                let before_sql = ground.schema().tables[at].sql.clone();
                // The rows here need not fit the snapshot's columns, and its own come in any case.
                remove(db, ground, at, None)?;
                ground.alter(&SchemaChange::Rebuild { before_sql, table: table.clone() })?;
            }
        }
    }
    Ok(())
}

fn put_objects(ground: &mut ReplicaGround<'_>, wanted: &Schema) -> Result<()> {
    let here = ground.schema();
    let mut missing = wanted.objects.iter().filter(|o| !here.objects.contains(o));
    missing.try_for_each(|object| ground.alter(&SchemaChange::PutObject { object: object.clone() }))
}

/// Writes the rows that differ, removes those that the snapshot does not have. Returns how many.
fn replace_rows(db: &Connection, ground: &mut ReplicaGround<'_>, start: &SnapshotStart) -> Result<u64> {
    let schema = ground.schema();
    let mut writer = Writer::default();
    let mut rows = 0;
    for (staged, table) in start.schema.tables.iter().enumerate() {
        let Some(at) = schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(&table.name)) else { continue };
        rows += remove(db, ground, at, Some(staged))?;
        let lane = Lane::between(&schema, Some(at), &shape_of(table), &[]);
        let mut last: Option<Vec<u8>> = None;
        loop {
            let page = staged_rows(db, staged, last.as_deref())?;
            let Some((key, _)) = page.last() else { break };
            last = Some(key.clone());
            for (_, row) in page {
                let after = lane.local_row(&row);
                let before = ground.get(at, &schema.tables[at].key_of(&after))?;
                if before.as_ref() == Some(&after) {
                    continue;
                }
                rows += 1;
                if let Tried::Refused(_, what) = writer.write(ground, Write { table: at, before, after: Some(after), tag: () })? {
                    return Err(Error::corrupt(format!("a row of the snapshot breaks the rules of {}: {what}", table.name)));
                }
            }
        }
    }
    let (_, clashes) = writer.finish(ground)?;
    match clashes.first() {
        Some((write, what)) => {
            Err(Error::corrupt(format!("a row of {} stands against the snapshot: {what}", schema.tables[write.table].name)))
        }
        None => Ok(rows),
    }
}

fn staged_rows(db: &Connection, table: usize, after: Option<&[u8]>) -> Result<Vec<(Vec<u8>, Row)>> {
    let sql = "SELECT key, row FROM temp.mainstem_staged WHERE tbl = ?1 AND (?2 IS NULL OR key > ?2) ORDER BY key LIMIT ?3";
    let mut statement = db.prepare_cached(sql).on(db)?;
    let mut rows = statement.query(params![table as i64, after, BATCH as i64]).on(db)?;
    let mut page = Vec::with_capacity(BATCH);
    while let Some(row) = rows.next().on(db)? {
        page.push((row.get(0).on(db)?, row_format::decode_row(&row.get::<_, Vec<u8>>(1).on(db)?)?));
    }
    Ok(page)
}

/// Removes the rows of a table that are not among the staged ones of another; all rows where there is none.
fn remove(db: &Connection, ground: &mut ReplicaGround<'_>, at: usize, staged: Option<usize>) -> Result<u64> {
    let schema = ground.schema();
    db.execute("DELETE FROM temp.mainstem_gone", []).on(db)?;
    capture::scan(db, &schema.tables[at], &mut |row| {
        let key = schema.tables[at].key_of(&row);
        if !staged.map_or(Ok(false), |staged| is_staged(db, staged, &key))? {
            let sql = "INSERT INTO temp.mainstem_gone(key) VALUES(?1)";
            db.prepare_cached(sql).on(db)?.execute([row_format::encode_key(&key)]).on(db)?;
        }
        Ok(())
    })?;
    let mut rows = 0;
    loop {
        let sql = "SELECT key FROM temp.mainstem_gone WHERE ordinal = ?1";
        let key: Option<Vec<u8>> = db.prepare_cached(sql).on(db)?.query_row([rows as i64 + 1], |r| r.get(0)).optional().on(db)?;
        let Some(key) = key else { return Ok(rows) };
        ground.delete(at, &row_format::decode_key(&key)?)?;
        rows += 1;
    }
}
