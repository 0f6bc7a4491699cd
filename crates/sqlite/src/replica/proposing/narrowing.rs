//! What becomes of kept changes when a version comes that was made of them.
//!
//! Invariant: a change goes where the version holds it, or where the rows are as it wants them; whatever else there is of what
//! was offered waits to be offered again.
use super::{Mark, apart, draught, set_mark};
use crate::errors::Explain;
use crate::replica::ground::ReplicaGround;
use crate::replica::storage;
use mainstem::core::change::{Change, Edit, Front};
use mainstem::core::conflict::Conflict;
use mainstem::core::event::Version;
use mainstem::core::format::{page, row as row_format};
use mainstem::core::proposal::rest_of;
use mainstem::core::value::{Key, Value};
use mainstem::error::Result;
use mainstem::lane::{Lane, lanes};
use mainstem::tables::Tables;
use rusqlite::{Connection, params};

/// Takes a version whose rows are in their place as the answer to what was kept. True where it was made of something here.
pub fn acknowledge(db: &Connection, ground: &mut ReplicaGround<'_>, version: &Version) -> Result<bool> {
    let is_it = |write_id: u128| version.header.write_id == write_id || version.stands_for.contains(&write_id);
    let mut is_ours = false;
    // It was taken, and the answer was lost.
    if let Some(draught) = draught(db)?.filter(|draught| is_it(draught.front.header.write_id)) {
        super::take_its_place(db, &draught, &Mark::Waiting)?;
        is_ours = true;
    }
    for front in storage::changesets(db)?.into_iter().filter(|front| version.stands_for.contains(&front.header.write_id)) {
        if storage::kept(db, front.header.write_id)?.is_some() {
            narrow(db, ground, version, front)?;
        }
    }
    Ok(is_ours)
}

/// What is left of a changeset that others made a version of which is not at hand: whatever the rows do not show.
pub fn narrow_to_rows(db: &Connection, ground: &mut ReplicaGround<'_>, write_id: u128) -> Result<()> {
    if let Some(draught) = draught(db)?.filter(|draught| draught.front.header.write_id == write_id) {
        super::take_its_place(db, &draught, &Mark::Waiting)?;
    }
    match storage::changesets(db)?.into_iter().find(|front| front.header.write_id == write_id) {
        Some(front) => narrow(db, ground, &Version::default(), front),
        None => Ok(()),
    }
}

/// What is left of an earlier revision.
fn narrow(db: &Connection, ground: &mut ReplicaGround<'_>, version: &Version, front: Front) -> Result<()> {
    let write_id = front.header.write_id;
    let lanes = lanes(&ground.schema(), &front, &version.schema);
    let brought = front.conflicts.clone();
    let mut of_cells: Vec<(Key, usize, Vec<usize>)> = Vec::new();
    let (mut rest, _) = apart::split(db, rest_of(write_id, version.header.write_id), front, &mut |change| {
        let left = left(db, ground, version, &brought, &lanes[change.table], change)?;
        Ok(match left {
            Left::Nothing => false,
            Left::All => true,
            Left::Cells(columns) => {
                of_cells.push((change.key.clone(), change.table, columns));
                true
            }
        })
    })?;
    for conflict in brought {
        let is_told = version.conflicts.iter().any(|told| told.id == conflict.id);
        if !is_told && storage::conflict(db, conflict.id)?.is_none() {
            rest.conflicts.push(conflict);
        }
    }
    let is_left = rest.count > 0 || !rest.conflicts.is_empty();
    if is_left {
        keep_cells(db, &rest, &of_cells)?;
        storage::add_changeset_after(db, write_id, &rest)?;
        set_mark(db, rest.header.write_id, &Mark::Left)?;
    }
    storage::drop_changeset(db, write_id)?;
    if is_left { narrow_by_earlier(db, ground, rest) } else { Ok(()) }
}

/// Whoever divided a proposal may have merged the rest of it before: that version came when nobody here knew the rest by its name.
fn narrow_by_earlier(db: &Connection, ground: &mut ReplicaGround<'_>, rest: Front) -> Result<()> {
    let write_id = rest.header.write_id;
    for version in storage::versions(db, rest.header.base_version, usize::MAX)? {
        if version.header.write_id == write_id {
            return storage::drop_changeset(db, write_id).map(drop);
        }
        if version.stands_for.contains(&write_id) {
            return narrow(db, ground, &version, rest);
        }
    }
    Ok(())
}

/// Takes the cells that were accepted out of updates of which only a part was.
fn keep_cells(db: &Connection, rest: &Front, of_cells: &[(Key, usize, Vec<usize>)]) -> Result<()> {
    let mut number = 0;
    while let Some(body) = storage::page(db, rest.header.write_id, number)? {
        let mut changes = page::decode(&body, &rest.shapes)?;
        for change in &mut changes {
            let kept = of_cells.iter().find(|(key, table, _)| *key == change.key && *table == change.table);
            if let (Edit::Update(cells), Some((_, _, columns))) = (&mut change.edit, kept) {
                cells.retain(|cell| columns.contains(&cell.column));
            }
        }
        storage::put_page(db, rest.header.write_id, number, &page::encode(&rest.shapes, &changes))?;
        number += 1;
    }
    Ok(())
}

enum Left {
    Nothing,
    All,
    Cells(Vec<usize>),
}

/// What of a change neither the version holds nor the rows show. Conflicts that were brought along say nothing of it.
fn left(
    db: &Connection,
    ground: &mut ReplicaGround<'_>,
    version: &Version,
    brought: &[Conflict],
    lane: &Lane,
    change: &Change,
) -> Result<Left> {
    let Some(table) = lane.table else { return Ok(Left::Nothing) };
    let name = ground.schema().tables[table].name.clone();
    let mut key = lane.local_key(&change.key);
    let number = |value: Option<&Value>| value.and_then(Value::as_integer);
    let renumbered = version.renumbered_in_all();
    let to = renumbered.iter().find(|r| r.table.eq_ignore_ascii_case(&name) && Some(r.from) == number(key.first()) && key.len() == 1);
    if let (Some(to), Edit::Insert(_)) = (to, &change.edit) {
        key = vec![Value::Integer(to.to)];
    }
    let told = told(db, version, &name, &key)?;
    let mut found = version.conflicts.iter().filter(|c| brought.iter().all(|known| known.id != c.id));
    let is_named = found.any(|c| c.table.eq_ignore_ascii_case(&name) && c.key == key)
        || version.waiting.iter().any(|w| w.table.eq_ignore_ascii_case(&name) && w.key == key);
    let now = ground.get(table, &key)?;
    Ok(match (&change.edit, now) {
        _ if is_named => Left::Nothing,
        (Edit::Insert(row), now) => match now.is_some_and(|now| now == lane.local_row(row)) || told.iter().any(is_insert) {
            true => Left::Nothing,
            false => Left::All,
        },
        (Edit::Delete(_), None) => Left::Nothing,
        (Edit::Delete(_), Some(_)) if told.is_empty() => Left::All,
        (Edit::Delete(_), Some(_)) => Left::Nothing,
        // The row is gone: what becomes of the edit is told where it is laid.
        (Edit::Update(_), None) => {
            if told.is_empty() {
                Left::All
            } else {
                Left::Nothing
            }
        }
        (Edit::Update(cells), Some(now)) => {
            let is_left = |column: usize, after: &Value| -> bool {
                lane.columns[column]
                    .is_some_and(|local| now[local] != *after && !told.iter().any(|change| is_of(change, version, lane, local)))
            };
            let columns: Vec<usize> = cells.iter().filter(|cell| is_left(cell.column, &cell.after)).map(|cell| cell.column).collect();
            match columns.len() {
                0 => Left::Nothing,
                all if all == cells.len() => Left::All,
                _ => Left::Cells(columns),
            }
        }
    })
}

fn is_insert(change: &Change) -> bool {
    matches!(change.edit, Edit::Insert(_))
}

/// True where the version's change is of that column of the table of now.
fn is_of(change: &Change, version: &Version, lane: &Lane, local: usize) -> bool {
    let shape = &version.shapes[change.table];
    let name = |column: usize| shape.columns.get(column).is_some_and(|name| lane.shape.columns[local].eq_ignore_ascii_case(name));
    match &change.edit {
        Edit::Update(cells) => cells.iter().any(|cell| name(cell.column)),
        Edit::Insert(_) | Edit::Delete(_) => true,
    }
}

/// What a version did to a row.
fn told(db: &Connection, version: &Version, table: &str, key: &Key) -> Result<Vec<Change>> {
    let sql = "SELECT body FROM mainstem_touch WHERE tbl = lower(?1) AND key = ?2 AND version = ?3 ORDER BY ordinal";
    let mut statement = db.prepare_cached(sql).on(db)?;
    let mut rows = statement.query(params![table, row_format::encode_key(key), version.version as i64]).on(db)?;
    let mut told = Vec::new();
    while let Some(row) = rows.next().on(db)? {
        told.extend(page::decode(&row.get::<_, Vec<u8>>(0).on(db)?, &version.shapes)?);
    }
    Ok(told)
}
