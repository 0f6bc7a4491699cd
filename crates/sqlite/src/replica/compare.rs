//! Compares stored rows with what capture believes and with the primary's version, and mends what capture missed.
//!
//! Invariant: a comparison never writes a user's row. What it finds becomes a captured local edit, so that it can be
//! seen, sent and undone like any other.
use super::{base_version, bases, storage, tracked_schema, working};
use crate::capture::{self, Done};
use crate::errors::Explain;
use mainstem::body::Digests;
use mainstem::core::change::Shape;
use mainstem::core::digest::state_digest;
use mainstem::core::event::TableDigest;
use mainstem::core::format::row as row_format;
use mainstem::core::schema::{Schema, SchemaChange, Table};
use mainstem::core::value::{Key, Row};
use mainstem::error::{Error, Result};
use mainstem::lane::Lane;
use mainstem::primary::Primary;
use mainstem::replica::{Difference, Progress, Verified};
use mainstem::schema_merge::table_of;
use mainstem::tables::Tables;
use rusqlite::{Connection, OptionalExtension, params};

/// Between two reports of progress, rows.
const PROGRESS_ROWS: u64 = 10_000;
/// Differences that are named for one table.
const NAMED_MAX: usize = 1_000;

const SCRATCH: &str = "
CREATE TEMP TABLE IF NOT EXISTS mainstem_logged(tbl TEXT, key BLOB, is_partial INTEGER, PRIMARY KEY(tbl, key)) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS mainstem_seen(key BLOB PRIMARY KEY) WITHOUT ROWID;
DELETE FROM temp.mainstem_logged;
";

/// Schema steps made here that the base version does not have.
fn local_steps(db: &Connection) -> Result<Vec<SchemaChange>> {
    let mut steps: Vec<SchemaChange> = storage::changesets(db)?.into_iter().flat_map(|f| f.schema).collect();
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
    db.execute_batch(SCRATCH).on(db)?;
    let mut now = working::rows_now(db, schema);
    bases::each(db, &mut |name, key, image| {
        let Some(position) = schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(name)) else { return Ok(()) };
        let table = &schema.tables[position];
        let after = now.get(position, &key)?;
        let before = image.map(|image| image.row(table, None));
        digests.row(table, before.as_ref(), after.as_ref());
        Ok(())
    })?;
    capture::condense(db, None, &mut |table, net| {
        if !bases::is_kept(db, table, &net.key)? {
            digests.row(table, net.before.as_ref(), net.after.as_ref());
        }
        Ok(())
    })?;
    Ok(digests)
}

/// Compares every table, inside a read transaction.
pub fn verify(db: &Connection, reference: Option<&mut dyn Primary>, progress: Progress<'_>) -> Result<Verified> {
    let schema = tracked_schema(db)?;
    let now = stored(db, &schema, progress)?.list();
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
            for table in suspects {
                name_rows(db, table, primary, &steps, &mut differences)?;
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
    let Some(event) = primary.version(version)? else {
        return Err(Error::corrupt(format!("the primary has no version {version}")));
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

/// Takes a row that differs: its key, the base row, the row here.
type VisitDifference<'a> = &'a mut dyn FnMut(&Key, Option<&Row>, Option<&Row>) -> Result<()>;

/// One table's rows compared with the primary's at the base version. `visit` gets each row that differs and is not a
/// known change: its key, the base row, the row here.
fn compare(db: &Connection, table: &Table, primary: &mut dyn Primary, steps: &[SchemaChange], visit: VisitDifference<'_>) -> Result<()> {
    let schema = Schema { tables: vec![table.clone()], objects: Vec::new() };
    let mut here = working::rows_now(db, &schema);
    db.execute("DELETE FROM temp.mainstem_seen", []).on(db)?;
    let former = former_name(&table.name, steps);
    let mut lane: Option<(Vec<String>, Lane)> = None;
    let version = base_version(db)?;
    let compared = primary.rows(&former, version, &mut |names, row| {
        if lane.as_ref().is_none_or(|(known, _)| known != names) {
            let shape = Shape { table: former.clone(), columns: names.to_vec(), key: key_in(names, table, steps), ..Shape::default() };
            lane = Some((names.to_vec(), Lane::between(&schema, Some(0), &shape, steps)));
        }
        let Some((_, lane)) = &lane else { return Ok(()) };
        let base = lane.local_row(row);
        let key = table.key_of(&base);
        db.prepare_cached("INSERT OR IGNORE INTO temp.mainstem_seen(key) VALUES(?1)")
            .on(db)?
            .execute([row_format::encode_key(&key)])
            .on(db)?;
        let there = here.get(0, &key)?;
        if there.as_ref() != Some(&base) && !is_known(db, table, &key)? {
            visit(&key, Some(&base), there.as_ref())?;
        }
        Ok(())
    });
    match compared {
        Err(e) if e.kind == mainstem::core::ErrorKind::NotFound => {}
        other => other?,
    }
    capture::scan(db, table, &mut |row| {
        let key = table.key_of(&row);
        let seen = db
            .prepare_cached("SELECT 1 FROM temp.mainstem_seen WHERE key = ?1")
            .on(db)?
            .query_row([row_format::encode_key(&key)], |_| Ok(()))
            .optional()
            .on(db)?;
        if seen.is_none() && !is_known(db, table, &key)? {
            visit(&key, None, Some(&row))?;
        }
        Ok(())
    })
}

fn is_known(db: &Connection, table: &Table, key: &Key) -> Result<bool> {
    if bases::is_kept(db, table, key)? {
        return Ok(true);
    }
    let found = db
        .prepare_cached("SELECT 1 FROM temp.mainstem_logged WHERE tbl = ?1 AND key = ?2")
        .on(db)?
        .query_row(params![table.name, row_format::encode_key(key)], |_| Ok(()))
        .optional()
        .on(db)?;
    Ok(found.is_some())
}

/// Notes which rows capture's log speaks of.
fn note_logged(db: &Connection) -> Result<()> {
    db.execute_batch(SCRATCH).on(db)?;
    capture::condense(db, None, &mut |table, net| {
        db.prepare_cached("INSERT OR REPLACE INTO temp.mainstem_logged(tbl, key, is_partial) VALUES(?1, ?2, ?3)")
            .on(db)?
            .execute(params![table.name, row_format::encode_key(&net.key), !net.unknown_before.is_empty()])
            .on(db)?;
        Ok(())
    })
    .map(drop)
}

fn former_name(name: &str, steps: &[SchemaChange]) -> String {
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

/// Where the key columns of `table` stand among a former table's columns.
fn key_in(names: &[String], table: &Table, steps: &[SchemaChange]) -> Vec<usize> {
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
    differences: &mut Vec<Difference>,
) -> Result<()> {
    note_logged(db)?;
    let mut named = 0;
    compare(db, table, primary, steps, &mut |key, base, here| {
        named += 1;
        if named <= NAMED_MAX {
            let what = match (base, here) {
                (Some(_), None) => "the row is gone, and capture did not see it go".to_owned(),
                (None, Some(_)) => "the row came, and capture did not see it come".to_owned(),
                (Some(base), Some(here)) => {
                    let columns: Vec<&str> = table
                        .columns
                        .iter()
                        .zip(base.iter().zip(here))
                        .filter(|(_, (b, h))| b != h)
                        .map(|(c, _)| c.name.as_str())
                        .collect();
                    format!("changed without capture: {}", columns.join(", "))
                }
                (None, None) => return Ok(()),
            };
            differences.push(Difference { table: table.name.clone(), key: Some(key.clone()), what });
        }
        Ok(())
    })?;
    if named > NAMED_MAX {
        differences.push(Difference { table: table.name.clone(), key: None, what: format!("and {} rows more", named - NAMED_MAX) });
    }
    Ok(())
}

/// Records what capture missed as local edits, inside a write transaction.
pub fn reconcile(db: &Connection, primary: &mut dyn Primary, progress: Progress<'_>) -> Result<u64> {
    let schema = tracked_schema(db)?;
    let gaps = storage::gaps(db)?;
    let steps = local_steps(db)?;
    note_logged(db)?;
    let mut found = 0;
    for (done, table) in schema.tables.iter().enumerate() {
        if !gaps.is_empty() && !gaps.iter().any(|g| g.eq_ignore_ascii_case(&table.name)) {
            continue;
        }
        progress("comparing tables", done as u64, schema.tables.len() as u64);
        compare(db, table, primary, &steps, &mut |key, base, here| {
            found += 1;
            capture::record(db, table, key, Done::between(base, here), 0)
        })?;
        complete_partial(db, table, primary, &steps)?;
    }
    db.execute("DELETE FROM mainstem_gap", []).on(db)?;
    Ok(found)
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
    let mut keeper = bases::Keeper::new(db);
    primary.rows(&former, base_version(db)?, &mut |names, row| {
        let shape = Shape { table: former.clone(), columns: names.to_vec(), key: key_in(names, table, steps), ..Shape::default() };
        let base = Lane::between(&schema, Some(0), &shape, steps).local_row(row);
        let key = table.key_of(&base);
        let is_partial = db
            .prepare_cached("SELECT 1 FROM temp.mainstem_logged WHERE tbl = ?1 AND key = ?2 AND is_partial")
            .on(db)?
            .query_row(params![table.name, row_format::encode_key(&key)], |_| Ok(()))
            .optional()
            .on(db)?;
        if is_partial.is_some() { keeper.keep(table, &key, Some(&base)) } else { Ok(()) }
    })
}

/// Every table's digest as stored, for a file that is about to become or has just become a base version.
pub fn count(db: &Connection, progress: Progress<'_>) -> Result<Vec<TableDigest>> {
    let schema = tracked_schema(db)?;
    Ok(stored(db, &schema, progress)?.list())
}
