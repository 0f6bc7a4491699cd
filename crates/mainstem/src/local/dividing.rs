//! Taking a part out of a proposal, with what it depends on; the rest goes on as a proposal of its own.
//!
//! Invariant: each change of the revision is in the part or in the rest, and in one of them only.
use super::LocalPrimary;
use super::requests::{self, Asked};
use super::reviewing::{no_proposal, note, note_for, now};
use super::revising::{Making, next_proposal, open_proposal, staged};
use crate::error::{Error, Result};
use crate::rebase::parent_of;
use crate::review::{By, Chosen};
use crate::store::{Store, Transaction};
use mainstem_core::ErrorKind;
use mainstem_core::change::{Cell, Change, Edit, Shape};
use mainstem_core::proposal::{Act, Origin, Revision, rest_of};
use mainstem_core::schema::{Schema, Table};
use mainstem_core::value::{Key, Value};
use std::collections::{HashMap, HashSet};

/// Rows that are taken out of a revision, each with the columns that are; all where empty.
type Taken = HashMap<(usize, Key), Vec<usize>>;

impl<S: Store> LocalPrimary<S> {
    /// Narrows a proposal to some rows, and makes a proposal of the rest.
    pub(super) fn divide(&mut self, id: u64, only: &[Chosen], by: By<'_>) -> Result<Option<u64>> {
        let (first, replica) = (self.around.random(), self.around.random());
        let mut tx = self.store.begin()?;
        let request = Asked::Part(only).of(id, by);
        if let Some(done) = requests::done(&mut *tx, request, by)? {
            let proposal = tx.proposal(id)?.ok_or_else(|| no_proposal(id))?;
            return requests::rest(&mut *tx, &done, &proposal).map(Some);
        }
        let proposal = open_proposal(&mut *tx, id)?;
        let head = proposal.head();
        let second = rest_of(head.front.header.write_id, first);
        if !head.front.schema.is_empty() {
            let message = format!("proposal {id} changes the tables themselves and is accepted whole");
            return Err(Error::new(ErrorKind::Conflict, "depends", message));
        }
        let schema = tx.schema();
        let chosen = choose(&mut *tx, &schema, head, only)?;
        let at = now(&mut *tx, &self.around)?;
        let is_of_replica = matches!(head.origin, Origin::Replica | Origin::Partial);
        let replica_of = if is_of_replica { head.front.header.replica.0 } else { replica };
        let rest_title = format!("Rest of proposal {id}: {}", head.front.header.title.as_deref().unwrap_or("changes without a title"));
        let mut rest_front = head.front.clone();
        rest_front.header.title = Some(rest_title);
        (rest_front.resolutions, rest_front.conflicts) = (Vec::new(), Vec::new());
        // What its author did not see stays unseen in each part of it.
        let rest_origin = if head.origin == Origin::Partial { Origin::Partial } else { Origin::Part(id) };
        let mut part = Making::new(head.front.clone(), first, replica_of, head.authors.clone(), head.origin);
        let mut rest = Making::new(rest_front, second, replica_of, head.authors.clone(), rest_origin);
        for number in 0..head.pages {
            for change in staged(&mut *tx, head, number)? {
                let columns = chosen.get(&(change.table, change.key.clone()));
                let (taken, left) = divide_change(change, columns);
                if let Some(change) = taken {
                    part.add(&mut *tx, change)?;
                }
                if let Some(change) = left {
                    rest.add(&mut *tx, change)?;
                }
            }
        }
        let (part, rest) = (part.finish(&mut *tx)?, rest.finish(&mut *tx)?);
        if part.front.count == 0 {
            return Err(Error::not_found("none of these rows is in the proposal").hint(format!("mainstem review {id}")));
        }
        if rest.front.count == 0 {
            return Ok(None);
        }
        let follow_up = next_proposal(&mut *tx)?;
        note_for(&mut *tx, request, at, id, Act::Revise(part), by)?;
        note(&mut *tx, at, follow_up, Act::Revise(rest), by)?;
        tx.commit()?;
        Ok(Some(follow_up))
    }
}

/// The rows that are chosen, and those without which they would hang in the air.
fn choose(tx: &mut dyn Transaction, schema: &Schema, revision: &Revision, only: &[Chosen]) -> Result<Taken> {
    let shapes = &revision.front.shapes;
    let mut taken = Taken::new();
    for number in 0..revision.pages {
        for change in staged(tx, revision, number)? {
            let shape = &shapes[change.table];
            let is_it = |c: &&Chosen| c.table.eq_ignore_ascii_case(&shape.table) && c.key.as_ref().is_none_or(|key| *key == change.key);
            for chosen in only.iter().filter(is_it) {
                let columns = chosen
                    .columns
                    .iter()
                    .map(|name| shape.column(name).ok_or_else(|| Error::not_found(format!("table {} has no column {name}", shape.table))));
                taken.entry((change.table, change.key.clone())).or_default().extend(columns.collect::<Result<Vec<_>>>()?);
            }
        }
    }
    keep_links_whole(tx, schema, revision, &mut taken)?;
    loop {
        let wanted = wanted_by(tx, schema, revision, &taken)?;
        let before = taken.len();
        for number in 0..revision.pages {
            for change in staged(tx, revision, number)? {
                let place = (change.table, change.key.clone());
                if !taken.contains_key(&place) && wanted.asks_for(tx, schema, &shapes[change.table], &change)? {
                    taken.insert(place, Vec::new());
                }
            }
        }
        if taken.len() == before {
            return Ok(taken);
        }
    }
}

/// Of an update that writes several columns of one link, all are taken or none is: half of it leads elsewhere.
fn keep_links_whole(tx: &mut dyn Transaction, schema: &Schema, revision: &Revision, taken: &mut Taken) -> Result<()> {
    for number in 0..revision.pages {
        for change in staged(tx, revision, number)? {
            let shape = &revision.front.shapes[change.table];
            let Some(table) = schema.table(&shape.table) else { continue };
            let Some(chosen) = taken.get_mut(&(change.table, change.key)).filter(|columns| !columns.is_empty()) else { continue };
            for link in &table.foreign_keys {
                let columns: Vec<usize> = names(table, &link.columns).iter().filter_map(|name| shape.column(name)).collect();
                if columns.iter().any(|column| chosen.contains(column)) {
                    chosen.extend(columns);
                }
            }
        }
    }
    Ok(())
}

/// Values that links name, by the table and its columns.
type Linked = HashMap<(String, Vec<String>), HashSet<Vec<Value>>>;

/// What chosen changes need of others: parents that they point to, and children that point to what they take away.
#[derive(Default)]
struct WantedRows {
    parents: Linked,
    orphans: Linked,
}

/// Which end of a change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Before,
    After,
}

fn names(table: &Table, columns: &[usize]) -> Vec<String> {
    columns.iter().map(|&at| table.columns[at].name.to_ascii_lowercase()).collect()
}

fn wanted_by(tx: &mut dyn Transaction, schema: &Schema, revision: &Revision, taken: &Taken) -> Result<WantedRows> {
    let mut wanted = WantedRows::default();
    let mut want = |linked: fn(&mut WantedRows) -> &mut Linked, table: &Table, columns: Vec<String>, values: Option<Vec<Value>>| {
        if let Some(values) = values {
            linked(&mut wanted).entry((table.name.to_ascii_lowercase(), columns)).or_default().insert(values);
        }
    };
    for number in 0..revision.pages {
        for change in staged(tx, revision, number)?.into_iter().filter(|c| taken.contains_key(&(c.table, c.key.clone()))) {
            let shape = &revision.front.shapes[change.table];
            let Some(table) = schema.table(&shape.table) else { continue };
            for (child, link) in schema.tables.iter().flat_map(|t| t.foreign_keys.iter().map(move |link| (t, link))) {
                let Some((parent, columns)) = parent_of(schema, link) else { continue };
                let parent = &schema.tables[parent];
                let (own, of_parent) = (names(child, &link.columns), names(parent, &columns));
                if child.name == table.name {
                    let values = values_at(tx, schema, shape, &change, &own, End::After)?;
                    want(|wanted| &mut wanted.parents, parent, of_parent.clone(), values);
                }
                if parent.name == table.name {
                    let values = values_at(tx, schema, shape, &change, &of_parent, End::Before)?;
                    want(|wanted| &mut wanted.orphans, child, own, values);
                }
            }
        }
    }
    Ok(wanted)
}

impl WantedRows {
    /// True where a change brings a parent that is wanted, or takes a child away from one that goes.
    fn asks_for(&self, tx: &mut dyn Transaction, schema: &Schema, shape: &Shape, change: &Change) -> Result<bool> {
        for (linked, end) in [(&self.parents, End::After), (&self.orphans, End::Before)] {
            for ((_, columns), wanted) in linked.iter().filter(|((table, _), _)| table.eq_ignore_ascii_case(&shape.table)) {
                if values_at(tx, schema, shape, change, columns, end)?.is_some_and(|values| wanted.contains(&values)) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// The values of columns at one end of a change; none where it changes none of them, or one is NULL. What an update leaves
/// alone is as the row has it.
fn values_at(
    tx: &mut dyn Transaction,
    schema: &Schema,
    shape: &Shape,
    change: &Change,
    columns: &[String],
    end: End,
) -> Result<Option<Vec<Value>>> {
    let told = |name: &String| {
        let at = shape.column(name)?;
        match (&change.edit, end) {
            (Edit::Insert(row), End::After) | (Edit::Delete(row), End::Before) => Some(row[at].clone()),
            (Edit::Update(cells), _) => {
                let cell = cells.iter().find(|cell| cell.column == at)?;
                Some(if end == End::Before { cell.before.clone() } else { cell.after.clone() })
            }
            (Edit::Insert(_) | Edit::Delete(_), _) => None,
        }
    };
    let mut values: Vec<Option<Value>> = columns.iter().map(told).collect();
    let is_partly = values.contains(&None) && values.iter().any(Option::is_some) && matches!(change.edit, Edit::Update(_));
    let table = schema.tables.iter().position(|table| table.name.eq_ignore_ascii_case(&shape.table));
    if let Some(table) = table.filter(|_| is_partly)
        && let Some(row) = tx.get(table, &change.key)?
    {
        for (name, value) in columns.iter().zip(&mut values).filter(|(_, value)| value.is_none()) {
            *value = schema.tables[table].column(name).map(|at| row[at].clone());
        }
    }
    Ok(values.into_iter().map(|value| value.filter(|value| !value.is_null())).collect())
}

/// A change as far as it is taken, and what is left of it.
fn divide_change(change: Change, columns: Option<&Vec<usize>>) -> (Option<Change>, Option<Change>) {
    let Some(columns) = columns else { return (None, Some(change)) };
    let Edit::Update(cells) = &change.edit else { return (Some(change), None) };
    if columns.is_empty() {
        return (Some(change), None);
    }
    let (taken, left): (Vec<Cell>, Vec<Cell>) = cells.iter().cloned().partition(|cell| columns.contains(&cell.column));
    let part = |cells: Vec<Cell>| (!cells.is_empty()).then(|| Change { edit: Edit::Update(cells), ..change.clone() });
    (part(taken), part(left))
}
