//! Compares stored rows with what capture believes and with the primary's version, and mends what capture missed.
//!
//! Invariant: a comparison never writes a user's row. What it finds becomes a captured local edit, so that it can be
//! seen, sent and undone like any other.
mod anew;
mod taken;

use super::{base_version, bases, known, storage, tracked_schema, working};
use crate::capture::{self, Done};
use crate::errors::Explain;
use mainstem::body::Digests;
use mainstem::core::ErrorKind;
use mainstem::core::change::Shape;
use mainstem::core::digest::{RowDigester, Sum, state_digest};
use mainstem::core::event::{Digest, TableDigest};
use mainstem::core::format::row as row_format;
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::{Schema, SchemaChange, Table};
use mainstem::core::value::{Key, Row};
use mainstem::error::{Error, Result};
use mainstem::lane::Lane;
use mainstem::primary::Primary;
use mainstem::replica::{Difference, Progress, Verified};
use mainstem::schema_merge::table_of;
use mainstem::tables::Tables;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashSet;

/// Between two reports of progress, rows.
const PROGRESS_ROWS: u64 = 10_000;
/// Missing rows of one table that are taken for deletions without asking.
const UNSEEN_DELETIONS_MAX: usize = 50;
/// Differences that are named for one table.
const NAMED_MAX: usize = 1_000;

const SCRATCH: &str = "
CREATE TEMP TABLE IF NOT EXISTS mainstem_logged(tbl TEXT, key BLOB, before BLOB, is_partial INTEGER, PRIMARY KEY(tbl, key)) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS mainstem_seen(key BLOB PRIMARY KEY) WITHOUT ROWID;
DELETE FROM temp.mainstem_logged;
";

/// Schema steps made here that the base version does not have.
pub fn local_steps(db: &Connection) -> Result<Vec<SchemaChange>> {
    let mut steps = Vec::new();
    for front in storage::changesets(db)? {
        steps.extend(storage::standing(db, &front)?.into_iter().flatten());
    }
    steps.extend(storage::steps(db)?);
    Ok(steps)
}

/// Every row's digest as it is stored now.
fn stored(db: &Connection, schema: &Schema, progress: Progress<'_>) -> Result<Digests> {
    let mut digests = Digests::new(schema, &[]);
    let mut rows = 0;
    for table in &schema.tables {
        capture::scan(db, table, &mut |row| {
            digests.row(table, None, Some(&row));
            rows += 1;
            if rows % PROGRESS_ROWS == 0 {
                progress("reading rows", rows, 0);
            }
            Ok(())
        })?;
    }
    Ok(digests)
}

/// The digests that stored rows should have: the base version's, moved by every change that is known.
fn believed(db: &Connection, schema: &Schema) -> Result<Digests> {
    let mut digests = Digests::new(schema, &storage::digests(db)?);
    bases::each(db, &mut |name, kept| {
        let Some(table) = schema.table(name) else { return Ok(()) };
        let before = kept.image.map(|image| image.row(table, None));
        digests.row_to(table, before.as_ref(), kept.now.as_ref());
        Ok(())
    })?;
    capture::condense(db, None, &mut |table, net| {
        digests.row(table, net.before.as_ref(), net.after.as_ref());
        Ok(())
    })?;
    Ok(digests)
}

/// Tables whose stored rows are not what capture believes, inside a read transaction. Tables whose columns changed since the
/// base version cannot be told by digest.
pub fn suspects(db: &Connection) -> Result<Vec<String>> {
    let schema = tracked_schema(db)?;
    let steps = local_steps(db)?;
    let mut quiet = |_: &str, _: u64, _: u64| {};
    let now = if planted::is(Bug::F10) { believed(db, &schema) } else { stored(db, &schema, &mut quiet) }?.list();
    let believed = believed(db, &schema)?.list();
    let is_altered = |name: &str| steps.iter().filter_map(table_of).any(|t| t.eq_ignore_ascii_case(name));
    let differs = |table: &&Table| !is_altered(&table.name) && find(&now, table) != find(&believed, table);
    Ok(schema.tables.iter().filter(differs).map(|t| t.name.clone()).collect())
}

/// Compares every table, inside a read transaction.
pub fn verify(db: &Connection, reference: Option<&mut dyn Primary>, progress: Progress<'_>) -> Result<Verified> {
    let schema = tracked_schema(db)?;
    let now = if planted::is(Bug::F10) { believed(db, &schema) } else { stored(db, &schema, progress) }?.list();
    let steps = local_steps(db)?;
    let believed = believed(db, &schema)?.list();
    let mut differences = Vec::new();
    let mut suspects: Vec<&Table> = Vec::new();
    for table in &schema.tables {
        let is_altered = steps.iter().filter_map(table_of).any(|t| t.eq_ignore_ascii_case(&table.name));
        if is_altered || find(&now, table) != find(&believed, table) {
            suspects.push(table);
        }
    }
    match reference {
        Some(primary) if base_version(db)? > 0 => {
            against_version(db, &schema, primary, &mut differences)?;
            // Rows of an older version are worked out from those of the head, which are looked at once they are here.
            let is_at_head = primary.describe()?.head.version == base_version(db)?;
            for table in &schema.tables {
                let is_wrong_there = is_at_head && is_wrong_there(db, &former_name(&table.name, &steps), primary)?;
                if is_wrong_there || suspects.iter().any(|s| s.name == table.name) {
                    name_rows(db, table, primary, &steps, is_wrong_there, &mut differences)?;
                }
            }
        }
        _ => {
            for table in suspects {
                let is_altered = steps.iter().filter_map(table_of).any(|t| t.eq_ignore_ascii_case(&table.name));
                if !is_altered {
                    let (here, there) = (find(&now, table).map_or(0, |d| d.rows), find(&believed, table).map_or(0, |d| d.rows));
                    differences.push(Difference {
                        table: table.name.clone(),
                        key: None,
                        what: format!(
                            "rows changed that capture did not see ({here} rows, {there} expected); the primary is needed to name them"
                        ),
                    });
                }
            }
        }
    }
    let rows = now.iter().map(|d| d.rows).sum();
    Ok(Verified { digest: state_digest(&now), rows, differences })
}

fn find<'a>(list: &'a [TableDigest], table: &Table) -> Option<&'a TableDigest> {
    list.iter().find(|d| d.table.eq_ignore_ascii_case(&table.name))
}

/// What the replica holds as its base must be what the primary's version says.
fn against_version(db: &Connection, schema: &Schema, primary: &mut dyn Primary, differences: &mut Vec<Difference>) -> Result<()> {
    let version = base_version(db)?;
    let is_here = primary.version_hash(version)? == known(db)?.map(|known| known.hash);
    let Some(event) = primary.version(version)?.filter(|_| is_here) else {
        let message = format!("the primary does not have version {version} as this replica knows it; it was restored or replaced");
        return Err(Error::new(ErrorKind::Conflict, "other_epoch", message).hint("mainstem sync, then: mainstem verify"));
    };
    let ours = storage::digests(db)?;
    for table in &schema.tables {
        let there = find(&event.tables, table);
        let here = find(&ours, table);
        if there.is_some() && here.map(|d| (d.rows, d.sum)) != there.map(|d| (d.rows, d.sum)) {
            differences.push(Difference {
                table: table.name.clone(),
                key: None,
                what: format!("the base held here is not the primary's version {version}"),
            });
        }
    }
    Ok(())
}

/// True where the primary's stored rows are not what its own version says, whatever digest it keeps.
fn is_wrong_there(db: &Connection, table: &str, primary: &mut dyn Primary) -> Result<bool> {
    let version = base_version(db)?;
    let Some(said) = primary.version(version)?.and_then(|v| v.tables.into_iter().find(|d| d.table.eq_ignore_ascii_case(table))) else {
        return Ok(false);
    };
    let (mut digester, mut sum, mut rows) = (None, Sum::default(), 0);
    primary.rows(&said.table, version, &mut |names, row| {
        sum.add(&digester.get_or_insert_with(|| RowDigester::new(&said.table, names)).digest(row));
        rows += 1;
        Ok(())
    })?;
    Ok((rows, sum.0) != (said.rows, said.sum))
}

/// A row that is not what capture believes it was at the last commit.
struct Unseen<'a> {
    key: &'a Key,
    /// The row in the base version.
    base: Option<&'a Row>,
    /// The row here.
    here: Option<&'a Row>,
    /// True where capture saw a later write to it.
    is_logged: bool,
    /// True where unsent work had changed the row.
    is_kept: bool,
    /// What the last commit left there then; outer None where that is not known.
    committed: Option<Option<Row>>,
}

type VisitUnseen<'a> = &'a mut dyn FnMut(Unseen<'_>) -> Result<()>;

/// One table's rows compared with the primary's at the base version, with what is known to have changed since left out.
struct Comparing<'c> {
    db: &'c Connection,
    table: &'c Table,
    now: crate::tables::SqliteTables<'c>,
    digests: Digests,
}

impl Comparing<'_> {
    /// Reports a row whose state at the last commit is not `expected`.
    fn settle(&mut self, key: &Key, expected: Option<Digest>, base: Option<&Row>, visit: VisitUnseen<'_>) -> Result<()> {
        let here = self.now.get(0, key)?;
        let logged = logged(self.db, self.table, key)?;
        let actual = match &logged {
            Some(Logged { is_partial: true, .. }) => expected,
            Some(logged) => logged.before,
            None => here.as_ref().map(|row| self.digests.digest(self.table, row)),
        };
        if actual == expected {
            Ok(())
        } else {
            visit(Unseen { key, base, here: here.as_ref(), is_logged: logged.is_some(), is_kept: false, committed: None })
        }
    }

    /// Reports a row whose kept image is not the base version's.
    fn misborn(&mut self, key: &Key, base: Option<&Row>, visit: VisitUnseen<'_>) -> Result<()> {
        let (here, is_logged) = (self.now.get(0, key)?, logged(self.db, self.table, key)?.is_some());
        visit(Unseen { key, base, here: here.as_ref(), is_logged, is_kept: false, committed: None })
    }

    /// [`Comparing::settle`] for the rows whose images are kept, but for those that were found wrong.
    fn kept(&mut self, wrong: &HashSet<Key>, visit: VisitUnseen<'_>) -> Result<()> {
        let (db, table) = (self.db, self.table);
        bases::each(db, &mut |name, kept| {
            if !name.eq_ignore_ascii_case(&table.name) || wrong.contains(&kept.key) {
                return Ok(());
            }
            let base = kept.image.map(|image| image.row(table, None));
            if base.is_some() && !is_seen(db, &kept.key)? {
                // The row came unseen, so that what a later write found was taken for the base.
                return self.misborn(&kept.key, None, visit);
            }
            // What came unseen is told from what was committed: a row that was gone then is made anew, not changed.
            let key = &kept.key;
            self.settle(key, kept.now, base.as_ref(), &mut |unseen| {
                let committed = bases::committed(db, table, key, None)?;
                visit(Unseen { is_kept: true, committed, ..unseen })
            })
        })
    }
}

/// Returns the columns that the primary no longer knows: they are NULL in its rows.
fn compare(
    db: &Connection,
    table: &Table,
    primary: &mut dyn Primary,
    steps: &[SchemaChange],
    visit: VisitUnseen<'_>,
) -> Result<Vec<usize>> {
    let schema = Schema { tables: vec![table.clone()], objects: Vec::new() };
    let mut comparing = Comparing { db, table, now: working::rows_now(db, &schema), digests: Digests::default() };
    db.execute("DELETE FROM temp.mainstem_seen", []).on(db)?;
    let former = former_name(&table.name, steps);
    let mut lane: Option<(Vec<String>, Lane)> = None;
    let mut wrong: HashSet<Key> = HashSet::new();
    let compared = primary.rows(&former, base_version(db)?, &mut |names, row| {
        if lane.as_ref().is_none_or(|(known, _)| known != names) {
            lane = Some((names.to_vec(), Lane::between(&schema, Some(0), &shape_at_base(&former, names, table, steps), steps)));
        }
        let Some((_, lane)) = &lane else { return Ok(()) };
        let mut base = lane.local_row(row);
        if lane.is_redeclared {
            base = comparing.now.stored_form(0, &base)?;
        }
        let key = table.key_of(&base);
        db.prepare_cached("INSERT OR IGNORE INTO temp.mainstem_seen(key) VALUES(?1)")
            .on(db)?
            .execute([row_format::encode_key(&key)])
            .on(db)?;
        if let Some(image) = bases::find(db, table, &key)? {
            let image = image.map(|image| image.row(table, None));
            if image.as_ref() != Some(&base) {
                // An unseen write came before the first that was seen, so that its outcome was taken for the base.
                wrong.insert(key.clone());
                comparing.misborn(&key, Some(&base), visit)?;
            }
            return Ok(());
        }
        let expected = comparing.digests.digest(table, &base);
        comparing.settle(&key, Some(expected), Some(&base), visit)
    });
    match compared {
        Err(e) if e.kind == ErrorKind::NotFound => {}
        other => other?,
    }
    for key in beyond(db, table)? {
        comparing.settle(&key, None, None, visit)?;
    }
    comparing.kept(&wrong, visit)?;
    let Some((names, lane)) = lane else { return Ok(Vec::new()) };
    let taken = taken::taken(primary, base_version(db)?, &former, &names)?;
    Ok(taken.into_iter().filter_map(|at| lane.columns[at]).collect())
}

/// Rows that the base version does not have, but for those whose image is kept.
fn beyond(db: &Connection, table: &Table) -> Result<Vec<Key>> {
    let mut beyond: Vec<Key> = Vec::new();
    capture::scan(db, table, &mut |row| {
        let key = table.key_of(&row);
        if !is_seen(db, &key)? && !bases::is_kept(db, table, &key)? {
            beyond.push(key);
        }
        Ok(())
    })?;
    beyond.extend(passing(db, table)?);
    Ok(beyond)
}

/// True where the base version has a row of that key.
fn is_seen(db: &Connection, key: &Key) -> Result<bool> {
    let sql = "SELECT EXISTS(SELECT 1 FROM temp.mainstem_seen WHERE key = ?1)";
    db.prepare_cached(sql).on(db)?.query_row([row_format::encode_key(key)], |row| row.get(0)).on(db)
}

/// Rows that came unseen and that capture saw go: neither the base version nor the table has them.
fn passing(db: &Connection, table: &Table) -> Result<Vec<Key>> {
    let sql = "SELECT key FROM temp.mainstem_logged AS l WHERE tbl = ?1 AND before IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM temp.mainstem_seen AS s WHERE s.key = l.key) ORDER BY key";
    let schema = Schema { tables: vec![table.clone()], objects: Vec::new() };
    let mut now = working::rows_now(db, &schema);
    let mut statement = db.prepare_cached(sql).on(db)?;
    let mut rows = statement.query([&table.name]).on(db)?;
    let mut passing = Vec::new();
    while let Some(row) = rows.next().on(db)? {
        let key = row_format::decode_key(&row.get::<_, Vec<u8>>(0).on(db)?)?;
        if now.get(0, &key)?.is_none() && !bases::is_kept(db, table, &key)? {
            passing.push(key);
        }
    }
    Ok(passing)
}

/// What capture's log says of a row.
struct Logged {
    /// The digest of its first image; none where the row was not there.
    before: Option<Digest>,
    /// True where that image is known only in part.
    is_partial: bool,
}

fn logged(db: &Connection, table: &Table, key: &Key) -> Result<Option<Logged>> {
    let found: Option<(Option<[u8; 32]>, bool)> = db
        .prepare_cached("SELECT before, is_partial FROM temp.mainstem_logged WHERE tbl = ?1 AND key = ?2")
        .on(db)?
        .query_row(params![table.name, row_format::encode_key(key)], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()
        .on(db)?;
    Ok(found.map(|(before, is_partial)| Logged { before, is_partial }))
}

/// Notes which rows capture's log speaks of, and what they were at the last commit.
fn note_logged(db: &Connection) -> Result<()> {
    db.execute_batch(SCRATCH).on(db)?;
    let mut digests = Digests::default();
    capture::condense(db, None, &mut |table, net| {
        let before = net.before.as_ref().map(|row| digests.digest(table, row));
        db.prepare_cached("INSERT OR REPLACE INTO temp.mainstem_logged(tbl, key, before, is_partial) VALUES(?1, ?2, ?3, ?4)")
            .on(db)?
            .execute(params![table.name, row_format::encode_key(&net.key), before, !net.unknown_before.is_empty()])
            .on(db)?;
        Ok(())
    })
    .map(drop)
}

/// The name that a table had before these steps.
pub fn former_name(name: &str, steps: &[SchemaChange]) -> String {
    let mut former = name.to_owned();
    for step in steps.iter().rev() {
        if let SchemaChange::RenameTable { from, to } = step
            && to.eq_ignore_ascii_case(&former)
        {
            former.clone_from(from);
        }
    }
    former
}

pub fn shape_at_base(former: &str, names: &[String], table: &Table, steps: &[SchemaChange]) -> Shape {
    Shape { table: former.to_owned(), columns: names.to_vec(), key: key_in(names, table, steps), ..Shape::default() }
}

/// Where the key columns of `table` stand among a former table's columns.
pub(super) fn key_in(names: &[String], table: &Table, steps: &[SchemaChange]) -> Vec<usize> {
    let former = |name: &str| {
        let mut former = name.to_owned();
        for step in steps.iter().rev() {
            if let SchemaChange::RenameColumn { from, to, .. } = step
                && to.eq_ignore_ascii_case(&former)
            {
                former.clone_from(from);
            }
        }
        former
    };
    table.key.iter().filter_map(|&k| names.iter().position(|n| n.eq_ignore_ascii_case(&former(&table.columns[k].name)))).collect()
}

fn name_rows(
    db: &Connection,
    table: &Table,
    primary: &mut dyn Primary,
    steps: &[SchemaChange],
    is_wrong_there: bool,
    differences: &mut Vec<Difference>,
) -> Result<()> {
    note_logged(db)?;
    let mut named = 0;
    compare(db, table, primary, steps, &mut |unseen| {
        named += 1;
        if named <= NAMED_MAX {
            let what = match (unseen.base, unseen.here) {
                _ if is_wrong_there => "the primary stores another row than its version says".to_owned(),
                (_, None) => "the row is gone, and capture did not see it go".to_owned(),
                (None, Some(_)) => "the row came, and capture did not see it come".to_owned(),
                (Some(base), Some(here)) => {
                    let cells = table.columns.iter().zip(base.iter().zip(here)).filter(|(_, (b, h))| b != h);
                    format!("changed without capture: {}", cells.map(|(c, _)| c.name.as_str()).collect::<Vec<_>>().join(", "))
                }
            };
            differences.push(Difference { table: table.name.clone(), key: Some(unseen.key.clone()), what });
        }
        Ok(())
    })
    .map(drop)?;
    if named > NAMED_MAX {
        differences.push(Difference { table: table.name.clone(), key: None, what: format!("and {} rows more", named - NAMED_MAX) });
    }
    Ok(())
}

/// Records what capture missed as local edits, inside a write transaction.
pub fn reconcile(db: &Connection, primary: &mut dyn Primary, may_delete_many: bool, progress: Progress<'_>) -> Result<u64> {
    let schema = tracked_schema(db)?;
    let gaps = storage::gaps(db)?;
    let steps = local_steps(db)?;
    let suspects = suspects(db)?;
    note_logged(db)?;
    let mut found = 0;
    for (done, table) in schema.tables.iter().enumerate() {
        if !gaps.is_empty() && !gaps.iter().any(|g| g.eq_ignore_ascii_case(&table.name)) {
            continue;
        }
        progress("comparing tables", done as u64, schema.tables.len() as u64);
        let is_altered = steps.iter().filter_map(table_of).any(|of| of.eq_ignore_ascii_case(&table.name));
        if !is_altered && !suspects.contains(&table.name) {
            complete_partial(db, table, primary, &steps)?;
            continue;
        }
        let mut missed = Vec::new();
        let taken = compare(db, table, primary, &steps, &mut |unseen| {
            let Unseen { key, base, here, is_logged, is_kept, committed } = unseen;
            missed.push((key.clone(), base.cloned(), here.cloned(), is_logged, is_kept, committed));
            Ok(())
        })?;
        let gone = missed.iter().filter(|(_, _, here, ..)| here.is_none()).count();
        if gone > UNSEEN_DELETIONS_MAX && !may_delete_many && !planted::is(Bug::F4) {
            return Err(Error::new(
                ErrorKind::Conflict,
                "many_deletions",
                format!("{gone} rows of {} are missing, and capture did not see them go; nothing was sent", table.name),
            )
            .hint("restore the file if that was not meant; else: mainstem sync --accept-deletions"));
        }
        let mut keeper = bases::Keeper::new(db);
        for (key, base, here, is_logged, is_kept, committed) in &missed {
            let committed = match committed {
                None if *is_kept => bases::committed_again(db, table, key)?,
                told => told.clone(),
            };
            let before = committed.as_ref().unwrap_or(base);
            let done = Done::between(before.as_ref(), here.as_ref());
            // What capture saw later began from a state it had not seen come about: the record of that goes before.
            if *is_logged {
                capture::record_first(db, table, key, done)?
            } else {
                capture::record(db, table, key, done, 0)?
            }
            // From here on it is the log that says what became of the row.
            if committed.is_none() {
                anew::unsay_misborn(db, table, key, base.as_ref())?;
                let known = with_taken(base.as_ref(), here.as_ref(), &taken);
                if known != *base {
                    keeper.keep(table, key, known.as_ref(), base.as_ref())?;
                }
                keeper.correct(table, key, known.as_ref(), base.as_ref())?;
            }
        }
        found += missed.len() as u64;
        complete_partial(db, table, primary, &steps)?;
    }
    db.execute("DELETE FROM mainstem_gap", []).on(db)?;
    Ok(found)
}

/// A row of the base version as it is put back: what nobody knows of it any more is as it is here.
fn with_taken(base: Option<&Row>, here: Option<&Row>, taken: &[usize]) -> Option<Row> {
    let mut known = base?.clone();
    for &at in taken {
        if let (true, Some(here)) = (known[at].is_null(), here) {
            known[at].clone_from(&here[at]);
        }
    }
    Some(known)
}

/// Rows whose value before is known only in part (a column was renamed in between) get their base image from the primary.
fn complete_partial(db: &Connection, table: &Table, primary: &mut dyn Primary, steps: &[SchemaChange]) -> Result<()> {
    let partial: i64 =
        db.query_row("SELECT count(*) FROM temp.mainstem_logged WHERE tbl = ?1 AND is_partial", [&table.name], |r| r.get(0)).on(db)?;
    if partial == 0 {
        return Ok(());
    }
    let former = former_name(&table.name, steps);
    let schema = Schema { tables: vec![table.clone()], objects: Vec::new() };
    let (mut now, mut keeper) = (working::rows_now(db, &schema), bases::Keeper::new(db));
    primary.rows(&former, base_version(db)?, &mut |names, row| {
        let base = Lane::between(&schema, Some(0), &shape_at_base(&former, names, table, steps), steps).local_row(row);
        let key = table.key_of(&base);
        let is_partial = db
            .prepare_cached("SELECT 1 FROM temp.mainstem_logged WHERE tbl = ?1 AND key = ?2 AND is_partial")
            .on(db)?
            .query_row(params![table.name, row_format::encode_key(&key)], |_| Ok(()))
            .optional()
            .on(db)?;
        if is_partial.is_none() {
            return Ok(());
        }
        keeper.keep(table, &key, Some(&base), now.get(0, &key)?.as_ref())
    })
}

/// Every table's digest as stored, for a file that is about to become or has just become a base version.
pub fn count(db: &Connection, progress: Progress<'_>) -> Result<Vec<TableDigest>> {
    let schema = tracked_schema(db)?;
    Ok(stored(db, &schema, progress)?.list())
}
