//! The order in which changes can be applied while links between rows hold.
//!
//! Invariant: the order depends on the schema and on the order given, and on nothing else.
use super::folded;
use crate::change::{Change, Edit, Shape};
use crate::schema::{Schema, Table};
use crate::value::{Row, Value};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Orders changes for application: deletes with children before parents, then inserts and updates with parents
/// before children; changes of one table keep their order, except that a row that points to a row of its own table
/// comes after it (before it, when both are deleted).
///
/// Tables whose foreign keys form a cycle, and rows that do, have no such order; one link of the cycle is left
/// unkept, always the same one for one schema, and a caller that enforces links must defer them. Tables that the schema does not have
/// come last.
pub fn order(schema: &Schema, changes: &mut Vec<Change>, shapes: &[Shape]) {
    let ranks = table_ranks(schema);
    let rank_of = |change: &Change| {
        let shape = shapes.get(change.table);
        shape.and_then(|shape| ranks.get(&folded(&shape.table))).copied().unwrap_or(ranks.len())
    };
    let (mut deletes, mut writes): (Vec<Change>, Vec<Change>) =
        changes.drain(..).partition(|change| matches!(change.edit, Edit::Delete(_)));
    deletes.sort_by_key(|change| core::cmp::Reverse(rank_of(change)));
    writes.sort_by_key(rank_of);
    order_rows(schema, shapes, &mut deletes, true);
    order_rows(schema, shapes, &mut writes, false);
    changes.append(&mut deletes);
    changes.append(&mut writes);
}

/// Each table's place by its name in lower case, parents first. In a cycle, the one that is met first goes last.
pub fn table_ranks(schema: &Schema) -> BTreeMap<String, usize> {
    let places: BTreeMap<String, usize> = schema.tables.iter().enumerate().map(|(i, table)| (folded(&table.name), i)).collect();
    let parents =
        |table: &Table| -> Vec<usize> { table.foreign_keys.iter().filter_map(|link| places.get(&folded(&link.parent)).copied()).collect() };
    let points_to: Vec<Vec<usize>> = schema.tables.iter().map(parents).collect();
    let sequence = parents_first(&points_to);
    sequence.into_iter().enumerate().map(|(rank, i)| (folded(&schema.tables[i].name), rank)).collect()
}

/// Within each run of one table, puts rows after the rows of the same table that they point to, or before where
/// `is_delete`.
fn order_rows(schema: &Schema, shapes: &[Shape], changes: &mut Vec<Change>, is_delete: bool) {
    let mut ordered = Vec::with_capacity(changes.len());
    let mut rest = core::mem::take(changes);
    while let Some(table) = rest.first().map(|change| change.table) {
        let end = rest.iter().position(|change| change.table != table).unwrap_or(rest.len());
        let after = rest.split_off(end);
        let run = core::mem::replace(&mut rest, after);
        match shapes.get(table).and_then(|shape| Some((shape, schema.table(&shape.table)?))) {
            Some((shape, declared)) => ordered.append(&mut order_run(declared, shape, run, is_delete)),
            None => ordered.extend(run),
        }
    }
    *changes = ordered;
}

fn order_run(table: &Table, shape: &Shape, run: Vec<Change>, is_delete: bool) -> Vec<Change> {
    let mut points_to: Vec<Vec<usize>> = vec![Vec::new(); run.len()];
    let mut has_links = false;
    for link in table.foreign_keys.iter().filter(|link| link.parent.eq_ignore_ascii_case(&table.name)) {
        let from: Option<Vec<usize>> = link.columns.iter().map(|&at| shape.column(&table.columns.get(at)?.name)).collect();
        let to: Option<Vec<usize>> = link.parent_columns.iter().map(|name| shape.column(name)).collect();
        let (Some(from), Some(to)) = (from, to) else { continue };
        let whole = |change: &Change| match &change.edit {
            Edit::Insert(row) | Edit::Delete(row) => Some(row.clone()),
            Edit::Update(_) => None,
        };
        let values = |row: &Row, at: &[usize]| at.iter().map(|&i| row[i].clone()).collect::<Vec<Value>>();
        let parents: BTreeMap<Vec<Value>, usize> =
            run.iter().enumerate().filter_map(|(i, change)| Some((values(&whole(change)?, &to), i))).collect();
        for (i, change) in run.iter().enumerate() {
            let wanted = match &change.edit {
                Edit::Insert(row) | Edit::Delete(row) => values(row, &from),
                // An update can be asked only where the link's cells are all in it.
                Edit::Update(cells) => {
                    let find = |at: &usize| cells.iter().find(|cell| cell.column == *at).map(|cell| cell.after.clone());
                    from.iter().filter_map(find).collect()
                }
            };
            if let Some(&parent) = parents.get(&wanted)
                && parent != i
            {
                points_to[i].push(parent);
                has_links = true;
            }
        }
    }
    if !has_links {
        return run;
    }
    let mut sequence = parents_first(&points_to);
    if is_delete {
        sequence.reverse();
    }
    let mut slots: Vec<Option<Change>> = run.into_iter().map(Some).collect();
    sequence.into_iter().filter_map(|i| slots[i].take()).collect()
}

/// Every index once, after those it points to, as far as there are no cycles.
fn parents_first(points_to: &[Vec<usize>]) -> Vec<usize> {
    let mut is_begun = vec![false; points_to.len()];
    let mut sequence = Vec::with_capacity(points_to.len());
    for start in 0..points_to.len() {
        let mut path = vec![(start, 0)];
        if core::mem::replace(&mut is_begun[start], true) {
            continue;
        }
        while let Some((at, next)) = path.last_mut() {
            match points_to[*at].get(*next) {
                Some(&parent) => {
                    *next += 1;
                    if !core::mem::replace(&mut is_begun[parent], true) {
                        path.push((parent, 0));
                    }
                }
                None => {
                    sequence.push(*at);
                    path.pop();
                }
            }
        }
    }
    sequence
}
