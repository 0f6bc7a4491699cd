//! Revisions in which the conflicts of a proposal are answered, by whoever may and in place.
//!
//! Invariant: every open conflict is answered at once, and stays in the revision with its answer.
use super::LocalPrimary;
use super::requests::{self, Asked};
use super::reviewing::{note_for, now};
use super::revising::{Making, open_proposal};
use crate::at_primary::merged;
use crate::body::cells;
use crate::error::{Error, Result};
use crate::replica::Answering;
use crate::review::By;
use crate::store::{Store, Transaction};
use mainstem_core::ErrorKind;
use mainstem_core::change::{Change, Choice, Edit, Front, Header, RenumberedHere, Shape};
use mainstem_core::conflict::{Answer, Claim, Conflict, ConflictKind, Image};
use mainstem_core::event::Version;
use mainstem_core::format::page;
use mainstem_core::proposal::{Act, Origin};
use mainstem_core::schema::{Schema, Table};
use mainstem_core::stamp::Time;
use mainstem_core::value::{Key, Row, Value};
use std::collections::HashMap;

/// A row by column name, as this table holds it; what the image does not name stays as it is.
fn row_of(table: &Table, image: &Image, there: Option<&Row>) -> Row {
    let named = |name: &String| image.iter().find(|(column, _)| column.eq_ignore_ascii_case(name)).map(|(_, v)| v.clone());
    let found = |at: usize| there.map_or(Value::Null, |row| row[at].clone());
    table.columns.iter().enumerate().map(|(at, column)| named(&column.name).unwrap_or_else(|| found(at))).collect()
}

/// What an answer makes of one row.
struct Wanted {
    key: Key,
    before: Option<Row>,
    after: Option<Row>,
    /// True where the answer is about the whole row, and not about a cell of it.
    is_whole: bool,
}

/// What an answer makes of rows: of one, but where two clash over a unique value.
fn answered(tx: &mut dyn Transaction, schema: &Schema, conflict: &Conflict, answer: &Answering) -> Result<Vec<Wanted>> {
    let gone =
        || Error::new(ErrorKind::Conflict, "merge_conflict", format!("table {} is gone; withdraw what is proposed in it", conflict.table));
    let at = schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(&conflict.table)).ok_or_else(gone)?;
    let table = &schema.tables[at];
    let claim = match answer.choice {
        Choice::Ours => &conflict.ours.claim,
        Choice::Theirs => &conflict.theirs.claim,
        Choice::Base => &conflict.base,
        Choice::Value => &Claim::Cell(answer.value.clone().ok_or_else(|| Error::invalid("a value is chosen and not given"))?),
        Choice::Merged => &Claim::Cell(merged(conflict)?),
    };
    let key_in = |image: &Image| table.key_of(&row_of(table, image, None));
    let before = tx.get(at, &conflict.key)?;
    match (claim, &conflict.column, before) {
        (Claim::Cell(value), Some(column), Some(row)) => {
            let mut after = row.clone();
            after[table.column(column).ok_or_else(gone)?] = value.clone();
            Ok(vec![Wanted { key: conflict.key.clone(), before: Some(row), after: Some(after), is_whole: false }])
        }
        (Claim::Cell(_), _, _) => Err(Error::invalid("a value is for one cell, and this conflict is about a row")),
        (Claim::Row(None), _, before) => Ok(vec![Wanted { key: conflict.key.clone(), before, after: None, is_whole: true }]),
        (Claim::Row(Some(image)), _, _) => {
            let key = key_in(image);
            let before = tx.get(at, &key)?;
            let after = Some(row_of(table, image, before.as_ref()));
            let mut all = vec![Wanted { key: key.clone(), before, after, is_whole: true }];
            // The other row of a unique clash gives way to the chosen one.
            for other in [&conflict.ours.claim, &conflict.theirs.claim] {
                let Claim::Row(Some(image)) = other else { continue };
                let other = key_in(image);
                if conflict.kind == ConflictKind::Unique && other != key {
                    let before = tx.get(at, &other)?;
                    all.push(Wanted { key: other, before, after: None, is_whole: true });
                }
            }
            Ok(all)
        }
    }
}

/// The change from one row to another, in a shape of the table's columns.
fn change(table: &Table, shape: usize, before: Option<&Row>, after: Option<&Row>, at: Time) -> Option<Change> {
    let edit = match (before, after) {
        (None, Some(row)) => Edit::Insert(row.clone()),
        (Some(row), None) => Edit::Delete(row.clone()),
        (Some(before), Some(after)) => Edit::Update(Some(cells(before, after, at, &[])).filter(|cells| !cells.is_empty())?),
        (None, None) => return None,
    };
    Some(Change { table: shape, key: table.key_of(after.or(before)?), edit, at, moved_from: None })
}

/// Lays an answer onto what merging does to the row anyway.
fn lay_on(change: &mut Change, answer: Change) {
    change.at = change.at.max(answer.at);
    match (&mut change.edit, answer.edit) {
        (Edit::Update(cells), Edit::Update(answered)) => {
            for cell in answered {
                cells.retain(|other| other.column != cell.column);
                cells.push(cell);
            }
            cells.sort_by_key(|cell| cell.column);
        }
        (Edit::Insert(row), Edit::Update(answered)) => answered.into_iter().for_each(|cell| row[cell.column] = cell.after),
        (edit, answered) => *edit = answered,
    }
}

/// What answers make of a row that merging may change as well.
enum Given {
    /// This and nothing else; the row as it is where none.
    Whole(Option<Change>),
    /// Some of its cells, while others stay as they are.
    Cells { change: Option<Change>, staying: Vec<String> },
}

/// What answers make of rows, in the order in which they were given.
#[derive(Default)]
struct Answers {
    places: HashMap<(String, Key), usize>,
    given: Vec<Given>,
}

impl Answers {
    fn put(&mut self, name: (String, Key), given: Given) {
        let at = *self.places.entry(name).or_insert(self.given.len());
        match self.given.get_mut(at) {
            Some(before) => *before = given,
            None => self.given.push(given),
        }
    }
    fn get_mut(&mut self, name: &(String, Key)) -> Option<&mut Given> {
        self.places.get(name).map(|at| &mut self.given[*at])
    }
    fn take(&mut self, name: &(String, Key)) -> Option<Given> {
        self.get_mut(name).map(Given::take)
    }
}

impl Given {
    fn take(&mut self) -> Given {
        std::mem::replace(self, Given::Whole(None))
    }
}

/// What merging does to a row with what an answer makes of it; none where nothing is left.
fn with_given(change: Change, shape: &Shape, given: Option<Given>) -> Option<Change> {
    let (answer, staying) = match given {
        None => return Some(change),
        Some(Given::Whole(answer)) => return answer,
        Some(Given::Cells { change, staying }) => (change, staying),
    };
    let mut change = change;
    if let (Edit::Update(cells), false) = (&mut change.edit, staying.is_empty()) {
        cells.retain(|cell| !staying.iter().any(|column| column.eq_ignore_ascii_case(&shape.columns[cell.column])));
        if cells.is_empty() {
            return answer;
        }
    }
    if let Some(answer) = answer {
        lay_on(&mut change, answer);
    }
    Some(change)
}

/// The rows that answers change, each in a shape that the front has then.
fn changes_of(tx: &mut dyn Transaction, front: &mut Front, conflicts: &[(Conflict, Answering)], at: Time) -> Result<Answers> {
    let schema = tx.schema();
    let mut answers = Answers::default();
    for (conflict, answer) in conflicts {
        for Wanted { key, before, after, is_whole } in answered(tx, &schema, conflict, answer)? {
            let Some(table) = schema.table(&conflict.table) else { continue };
            let name = (table.name.to_ascii_lowercase(), key);
            let change = change(table, shape_in(front, table), before.as_ref(), after.as_ref(), at);
            if is_whole {
                answers.put(name, Given::Whole(change));
                continue;
            }
            let stays = conflict.column.clone().filter(|_| change.is_none());
            match (answers.get_mut(&name), change) {
                (None, change) => answers.put(name, Given::Cells { change, staying: stays.into_iter().collect() }),
                (Some(Given::Cells { staying, .. }), None) => staying.extend(stays),
                (Some(Given::Whole(_)), None) => {}
                (Some(Given::Whole(given) | Given::Cells { change: given, .. }), Some(change)) => match given {
                    Some(given) => lay_on(given, change),
                    None => *given = Some(change),
                },
            }
        }
    }
    Ok(answers)
}

/// The place of a table's shape in a front, added where it is new.
fn shape_in(front: &mut Front, table: &Table) -> usize {
    let shape = crate::lane::shape_of(table);
    let is_it = |s: &Shape| s.table == shape.table && s.columns == shape.columns;
    front.shapes.iter().position(is_it).unwrap_or_else(|| {
        front.shapes.push(shape);
        front.shapes.len() - 1
    })
}

impl<S: Store> LocalPrimary<S> {
    /// Makes a further revision in which every open conflict is answered. It stands on the head.
    pub(super) fn answer_conflicts(&mut self, id: u64, answers: &[(u64, Answering)], by: By<'_>) -> Result<u64> {
        let request = Asked::Answer(answers).of(id, by);
        let mut tx = self.store.begin_read()?;
        if let Some(done) = requests::done(&mut *tx, request, by)? {
            return requests::revision(&mut *tx, &done);
        }
        let proposal = open_proposal(&mut *tx, id)?;
        drop(tx);
        let assessed = self.assess_here(&proposal)?;
        let outcome = assessed.assessment.outcome.clone();
        let answered = each_answered(id, &outcome, answers)?;
        let (write_id, replica) = (self.around.random(), self.around.random());
        let mut tx = self.store.begin()?;
        if let Some(done) = requests::done(&mut *tx, request, by)? {
            return requests::revision(&mut *tx, &done);
        }
        let proposal = open_proposal(&mut *tx, id)?;
        if tx.head()?.version != assessed.assessment.head || proposal.head().front.header.write_id != outcome.header.write_id {
            let message = format!("proposal {id} or the dataset moved on meanwhile");
            return Err(Error::new(ErrorKind::Conflict, "stale_base", message).hint(format!("mainstem review {id}")));
        }
        let at = now(&mut *tx, &self.around)?;
        let head = proposal.head();
        let mut front = answered_front(&head.front, &outcome, &answered, write_id, by.actor, at);
        let mut answers = changes_of(&mut *tx, &mut front, &answered, at)?;
        let mut authors = head.authors.clone();
        if !authors.iter().any(|author| author == by.actor) {
            authors.push(by.actor.to_owned());
        }
        let mut making = Making::new(front, write_id, replica, authors, Origin::Resolution);
        let gone = || Error::internal("an outcome was kept and is gone");
        let assessments = self.assessments.as_mut().ok_or_else(gone)?;
        // A row gives its unique value up before another takes it.
        let leaves = |given: &Given| matches!(given, Given::Whole(Some(change)) if matches!(change.edit, Edit::Delete(_)));
        for given in answers.given.iter_mut().filter(|given| leaves(given)) {
            if let Given::Whole(Some(change)) = given.take() {
                making.add(&mut *tx, change)?;
            }
        }
        for number in 0..outcome.pages {
            let bytes = assessments.page(&assessed, number)?.ok_or_else(gone)?;
            for change in page::decode(&bytes, &outcome.shapes)? {
                let shape = &outcome.shapes[change.table];
                let name = (shape.table.to_ascii_lowercase(), change.key.clone());
                if let Some(change) = with_given(change, shape, answers.take(&name)) {
                    making.add(&mut *tx, change)?;
                }
            }
        }
        for waiting in outcome.waiting {
            making.add(&mut *tx, waiting.change)?;
        }
        for given in answers.given {
            if let Given::Whole(Some(answer)) | Given::Cells { change: Some(answer), .. } = given {
                making.add(&mut *tx, answer)?;
            }
        }
        let revision = making.finish(&mut *tx)?;
        if revision.front.count == 0 && revision.front.schema.is_empty() {
            let message = format!("with these answers nothing would be left of proposal {id}");
            return Err(Error::new(ErrorKind::Conflict, "merge_conflict", message).hint(format!("mainstem withdraw {id}")));
        }
        note_for(&mut *tx, request, at, id, Act::Revise(revision), by)?;
        tx.commit()?;
        Ok(proposal.revisions.len() as u64 + 1)
    }
}

/// Every open conflict with its answer.
fn each_answered(id: u64, outcome: &Version, answers: &[(u64, Answering)]) -> Result<Vec<(Conflict, Answering)>> {
    let mut answered = Vec::new();
    for conflict in outcome.conflicts.iter().filter(|conflict| conflict.is_open()) {
        let answer = answers.iter().find(|(of, _)| *of == conflict.id).map(|(_, answer)| answer.clone());
        let unanswered = || {
            let message = format!("conflict {:016x} in {} of proposal {id} has no answer", conflict.id, conflict.table);
            Error::new(ErrorKind::Conflict, "merge_conflict", message).hint("answer all of them at once")
        };
        answered.push((conflict.clone(), answer.ok_or_else(unanswered)?));
    }
    if answered.is_empty() {
        return Err(Error::invalid(format!("proposal {id} has no open conflict")));
    }
    Ok(answered)
}

/// The front of a revision on the head in which conflicts are answered; the answered ones stay with it.
fn answered_front(before: &Front, outcome: &Version, answered: &[(Conflict, Answering)], write_id: u128, actor: &str, at: Time) -> Front {
    let kept = answered.iter().map(|(conflict, answer)| {
        let answer = Answer { choice: answer.choice, actor: Some(actor.to_owned()), at };
        Conflict { answer: Some(answer), ..conflict.clone() }
    });
    let is_open = |known: &&Conflict| answered.iter().all(|(conflict, _)| conflict.id != known.id);
    Front {
        header: Header { base_version: outcome.version - 1, at, ..before.header.clone() },
        schema: outcome.schema.clone(),
        shapes: outcome.shapes.clone(),
        resolutions: before.resolutions.clone(),
        conflicts: before.conflicts.iter().filter(is_open).cloned().chain(kept).collect(),
        renumbered_here: outcome.renumbered.iter().map(|row| RenumberedHere { made_by: write_id, row: row.clone() }).collect(),
        ..Front::default()
    }
}
