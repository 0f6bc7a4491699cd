//! Answers conflicts as local edits, with a note that travels with them.
use super::clock;
use super::edit::{LocalEdit, write};
use super::ground::ReplicaGround;
use super::{links, storage};
use mainstem::core::ErrorKind;
use mainstem::core::change::{Choice, Resolution};
use mainstem::core::conflict::{Answer, Claim, Conflict, ConflictKind, Image};
use mainstem::core::stamp::{ReplicaId, Stamp, Time};
use mainstem::core::strategy::{self, CellOutcome, CellSide, Context, Strategy};
use mainstem::core::value::{Key, Row, Value};
use mainstem::error::{Error, Result};
use mainstem::rebase::parent_of;
use mainstem::replica::Answering;
use mainstem::schema_merge;
use mainstem::tables::Tables;
use mainstem::wiring::Around;
use rusqlite::Connection;

/// Answers conflicts by id.
pub fn resolve(db: &Connection, around: &Around, actor: &str, answers: &[(u64, Answering)]) -> Result<()> {
    let at = clock::now(db, around)?;
    let mut ground = ReplicaGround::new(db)?;
    for (id, answering) in answers {
        let mut conflict =
            storage::conflict(db, *id)?.ok_or_else(|| Error::not_found(format!("no conflict {id:016x}")).hint("mainstem conflicts"))?;
        if !conflict.is_open() {
            return Err(Error::new(ErrorKind::Conflict, "resolved", format!("conflict {id:016x} is answered already"))
                .hint("mainstem conflicts --state resolved (to change the answer, edit the row)"));
        }
        let edits = edits(&mut ground, &conflict, answering)?;
        let edits = links::follow(&mut ground, edits, true)?;
        write(db, &mut ground, edits, at).map_err(|e| choose_another(e, &conflict))?;
        storage::add_resolution(db, &Resolution { conflict: *id, choice: answering.choice, actor: actor.to_owned(), at })?;
        conflict.answer = Some(Answer { choice: answering.choice, actor: Some(actor.to_owned()), at });
        storage::put_conflict(db, &conflict)?;
    }
    ground.renew_indexes()
}

/// An answer that the database refuses: another one may do.
fn choose_another(refused: Error, conflict: &Conflict) -> Error {
    let other = if conflict.column.is_some() { "--value V" } else { "--ours (or --theirs)" };
    let hint = format!("mainstem resolve {:016x} {other}, or change the row that stands against it first", conflict.id);
    if refused.code == "constraint" { refused.hint(hint) } else { refused }
}

/// The rows to write so that the answer holds.
fn edits(ground: &mut ReplicaGround<'_>, conflict: &Conflict, answering: &Answering) -> Result<Vec<LocalEdit>> {
    if schema_merge::is_step_refused(conflict) {
        return no_step(conflict, answering);
    }
    let schema = ground.schema();
    // A conflict about a schema step names no row, though the table is there.
    let table = schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(&conflict.table) && !conflict.key.is_empty());
    let Some(table) = table else {
        return no_row(conflict, answering);
    };
    match &conflict.column {
        Some(column) => match schema.tables[table].column(column) {
            Some(column) => cell(ground, table, column, conflict, answering),
            None => no_row(conflict, answering),
        },
        None => row(ground, table, conflict, answering),
    }
}

/// What a conflict is about was dropped: only letting it be dropped can be answered here.
fn no_row(conflict: &Conflict, answering: &Answering) -> Result<Vec<LocalEdit>> {
    let claim = chosen(conflict, answering.choice);
    if claim.is_some_and(|c| *c == Claim::Row(None)) {
        return Ok(Vec::new());
    }
    Err(Error::new(ErrorKind::Conflict, "schema_conflict", format!("{}: there is no place for that value", conflict.detail))
        .hint(format!("mainstem resolve {:016x} with the side that dropped it, or add the column or table again first", conflict.id)))
}

/// A schema step that was refused is about no row: whoever wants it takes it again.
fn no_step(conflict: &Conflict, answering: &Answering) -> Result<Vec<LocalEdit>> {
    match chosen(conflict, answering.choice) {
        Some(Claim::Row(None)) => Ok(Vec::new()),
        _ => Err(Error::new(ErrorKind::Conflict, "schema_conflict", format!("a schema step is no answer: {}", conflict.detail))
            .hint(format!("change the table here as it should be, then: mainstem resolve {:016x} --theirs", conflict.id))),
    }
}

fn chosen(conflict: &Conflict, choice: Choice) -> Option<&Claim> {
    match choice {
        Choice::Ours => Some(&conflict.ours.claim),
        Choice::Theirs => Some(&conflict.theirs.claim),
        Choice::Base => Some(&conflict.base),
        Choice::Value | Choice::Merged => None,
    }
}

fn cell(ground: &mut ReplicaGround<'_>, table: usize, column: usize, conflict: &Conflict, answering: &Answering) -> Result<Vec<LocalEdit>> {
    let value = match (answering.choice, chosen(conflict, answering.choice)) {
        (Choice::Value, _) => answering.value.clone().ok_or_else(|| Error::invalid("no value was given"))?,
        (Choice::Merged, _) => merged(conflict)?,
        (_, Some(Claim::Cell(value))) => value.clone(),
        (_, Some(Claim::Row(None))) => return Ok(Vec::new()),
        _ => return Err(Error::invalid("that side of the conflict has no value of its own")),
    };
    let Some(before) = ground.get(table, &conflict.key)? else {
        return Err(Error::new(ErrorKind::Conflict, "row_gone", format!("the row of {} was deleted since", conflict.table))
            .hint("mainstem log, or insert the row again"));
    };
    let mut after = before.clone();
    after[column] = value;
    Ok(vec![LocalEdit { table, before: Some(before), after: Some(after) }])
}

/// Both sides in one value, where a strategy can combine them without overlap.
fn merged(conflict: &Conflict) -> Result<Value> {
    let (Claim::Cell(base), Claim::Cell(ours), Claim::Cell(theirs)) = (&conflict.base, &conflict.ours.claim, &conflict.theirs.claim) else {
        return Err(Error::invalid("only cells can be merged").hint(format!("mainstem resolve {:016x} --ours (or --theirs)", conflict.id)));
    };
    let side = |value, time| CellSide {
        value,
        stamp: Stamp { time: Time(time), replica: ReplicaId(0) },
        actor: "",
        rank: Value::Null,
        is_primary: false,
    };
    [Strategy::Json, Strategy::Text]
        .into_iter()
        .find_map(|strategy| match strategy::merge_cell(strategy, &Context::default(), base, &side(ours, 1), &side(theirs, 2)) {
            CellOutcome::Agreed(value) => Some(value),
            _ => None,
        })
        .ok_or_else(|| {
            Error::new(ErrorKind::Conflict, "overlap", "both sides changed the same place")
                .hint(format!("mainstem resolve {:016x} --value 'the text that shall stand'", conflict.id))
        })
}

fn row(ground: &mut ReplicaGround<'_>, table: usize, conflict: &Conflict, answering: &Answering) -> Result<Vec<LocalEdit>> {
    let Some(claim) = chosen(conflict, answering.choice) else {
        return with_value(ground, table, conflict, answering);
    };
    let schema = ground.schema();
    let wanted = match claim {
        Claim::Row(Some(image)) => Some(row_from(ground, table, image)?),
        Claim::Row(None) => None,
        Claim::Cell(_) => return Err(Error::invalid("that side of the conflict is not a row")),
    };
    let mut edits = Vec::new();
    // The other row of a unique clash gives way to the chosen one.
    if conflict.kind == ConflictKind::Unique {
        for other in [&conflict.ours.claim, &conflict.theirs.claim] {
            if let Claim::Row(Some(image)) = other
                && other != claim
            {
                let key = key_from(&schema.tables[table], image);
                let before = ground.get(table, &key)?;
                let is_same = wanted.as_ref().is_some_and(|w| schema.tables[table].key_of(w) == key);
                if before.is_some() && !is_same {
                    edits.push(LocalEdit { table, before, after: None });
                }
            }
        }
    }
    let key = wanted.as_ref().map_or_else(|| conflict.key.clone(), |w| schema.tables[table].key_of(w));
    let before = ground.get(table, &key)?;
    edits.push(LocalEdit { table, before, after: wanted });
    if conflict.kind == ConflictKind::MissingParent && *claim == Claim::Row(None) {
        // Letting the deletion stand takes the row away, and with the last such row the parent that was kept for it.
        edits.retain(|e| e.before.is_some());
        if let Some(child) = edits.first().and_then(|e| e.before.clone()) {
            edits.extend(kept_parents(ground, table, &child, conflict)?);
        }
    }
    Ok(edits)
}

/// The parents that were kept for a row alone.
fn kept_parents(ground: &mut ReplicaGround<'_>, table: usize, child: &Row, conflict: &Conflict) -> Result<Vec<LocalEdit>> {
    let schema = ground.schema();
    let mut edits = Vec::new();
    for link in &schema.tables[table].foreign_keys {
        let Some((parent, columns)) = parent_of(&schema, link) else { continue };
        let is_it = conflict.detail.strip_prefix("parent in ").is_some_and(|name| name.eq_ignore_ascii_case(&link.parent));
        let values: Vec<Value> = link.columns.iter().map(|&c| child[c].clone()).collect();
        if !is_it || values.iter().any(Value::is_null) {
            continue;
        }
        for row in ground.find(parent, &columns, &values, 1)? {
            if !links::is_pointed_to(ground, parent, &row, table, child)? {
                edits.push(LocalEdit { table: parent, before: Some(row), after: None });
            }
        }
    }
    Ok(edits)
}

/// A unique clash answered with another value: the row that had no place gets it, and both stay.
fn with_value(ground: &mut ReplicaGround<'_>, table: usize, conflict: &Conflict, answering: &Answering) -> Result<Vec<LocalEdit>> {
    let (ConflictKind::Unique, Choice::Value, Some(value)) = (conflict.kind, answering.choice, &answering.value) else {
        return Err(Error::invalid("a conflict about a whole row is answered with a side")
            .hint(format!("mainstem resolve {:016x} --ours (or --theirs)", conflict.id)));
    };
    let schema = ground.schema();
    let mut names = conflict.detail.split(", ").filter_map(|name| schema.tables[table].column(name.rsplit('.').next().unwrap_or(name)));
    let (Some(column), None) = (names.next(), names.next()) else {
        return Err(Error::invalid("the unique index has several columns")
            .hint(format!("mainstem resolve {:016x} --ours (or --theirs)", conflict.id)));
    };
    // Under another key it is a row of its own: then only a row that is not there can get its place so.
    let is_key = schema.tables[table].key.contains(&column);
    for claim in [&conflict.ours.claim, &conflict.theirs.claim] {
        let Claim::Row(Some(image)) = claim else { continue };
        let mut after = row_from(ground, table, image)?;
        let before = ground.get(table, &schema.tables[table].key_of(&after))?;
        if before.as_ref() == Some(&after) || (is_key && before.is_some()) {
            continue;
        }
        after[column] = value.clone();
        if is_key && ground.get(table, &schema.tables[table].key_of(&after))?.is_some() {
            return Err(Error::new(ErrorKind::Conflict, "unique", format!("{} has a row of that key already", conflict.table))
                .hint(format!("mainstem resolve {:016x} --value 'another value'", conflict.id)));
        }
        return Ok(vec![LocalEdit { table, before, after: Some(after) }]);
    }
    Err(Error::invalid("both rows are in their place already").hint("edit the row that shall change"))
}

fn key_from(table: &mainstem::core::schema::Table, image: &Image) -> Key {
    let named = |name: &str| image.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.clone()).unwrap_or_default();
    table.key.iter().map(|&k| named(&table.columns[k].name)).collect()
}

/// A claimed row in the table's columns: what the claim does not name stays as it is.
fn row_from(ground: &mut ReplicaGround<'_>, table: usize, image: &Image) -> Result<Row> {
    let schema = ground.schema();
    let there = ground.get(table, &key_from(&schema.tables[table], image))?;
    let mut row: Row = there
        .unwrap_or_else(|| schema.tables[table].columns.iter().map(|c| mainstem::lane::constant_default(c.default.as_deref())).collect());
    for (name, value) in image {
        if let Some(at) = schema.tables[table].column(name) {
            row[at] = value.clone();
        }
    }
    Ok(row)
}
