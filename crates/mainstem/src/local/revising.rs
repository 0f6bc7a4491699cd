//! Revisions that the primary makes itself: conflicts answered, a part taken out, a version taken back.
//!
//! Invariant: what a revision leaves out is in the revision before it, in a proposal of its own, or in an answered conflict.
use super::reviewing::{closed, no_proposal, note, now};
use super::{LocalPrimary, genesis};
use crate::body::{PAGE_CHANGES_MAX, cells, weight};
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::rebase::parent_of;
use crate::replica::Answering;
use crate::review::{By, Chosen};
use crate::store::{Store, Transaction};
use mainstem_core::ErrorKind;
use mainstem_core::change::{Cell, Change, Choice, Edit, Front, Header, RenumberedHere, Resolution, Shape};
use mainstem_core::conflict::{Answer, Claim, Conflict, ConflictKind, Image};
use mainstem_core::digest::Body;
use mainstem_core::event::Version;
use mainstem_core::format::page;
use mainstem_core::proposal::{Act, Origin, Proposal, Revision, rest_of};
use mainstem_core::schema::{Schema, Table};
use mainstem_core::stamp::{ReplicaId, Time};
use mainstem_core::value::{Key, Row, Value};
use std::collections::{HashMap, HashSet};

/// About how many bytes of values a staged page holds before it is closed.
const PAGE_WEIGHT_MAX: usize = 512 * 1024;

/// A revision in the making, staged page by page.
struct Making {
    revision: Revision,
    page: Vec<Change>,
    weight: usize,
    body: Body,
}

impl Making {
    /// Begins with everything but rows. It counts as made on a replica of its own, so that nothing that was accepted since its
    /// base is taken for its own doing.
    fn new(front: Front, write_id: u128, replica: u128, authors: Vec<String>, origin: Origin) -> Making {
        let header = Header { write_id, replica: ReplicaId(replica), sequence: 0, ..front.header.clone() };
        let mut front = Front { header, count: 0, again: None, ..front };
        for shape in &mut front.shapes {
            shape.highest = None;
        }
        Making { revision: Revision { front, authors, origin, ..Revision::default() }, page: Vec::new(), weight: 0, body: Body::default() }
    }

    fn add(&mut self, tx: &mut dyn Transaction, change: Change) -> Result<()> {
        let front = &mut self.revision.front;
        let shape = &mut front.shapes[change.table];
        if let (true, Edit::Insert(_), Some(number)) = (shape.is_numbered, &change.edit, change.key.first().and_then(Value::as_integer)) {
            shape.highest = shape.highest.max(Some(number));
        }
        let latest = match &change.edit {
            Edit::Update(cells) => cells.iter().map(|cell| cell.at).fold(change.at, Time::max),
            Edit::Insert(_) | Edit::Delete(_) => change.at,
        };
        front.header.at = front.header.at.max(latest);
        front.count += 1;
        self.weight += weight(&change);
        self.page.push(change);
        if self.page.len() >= PAGE_CHANGES_MAX || self.weight >= PAGE_WEIGHT_MAX { self.close_page(tx) } else { Ok(()) }
    }

    fn close_page(&mut self, tx: &mut dyn Transaction) -> Result<()> {
        if !self.page.is_empty() {
            let bytes = page::encode(&self.revision.front.shapes, &self.page);
            self.body.add(&bytes);
            tx.put_staged(self.revision.front.header.write_id, self.revision.pages, &bytes)?;
            self.revision.pages += 1;
            self.page.clear();
            self.weight = 0;
        }
        Ok(())
    }

    fn finish(mut self, tx: &mut dyn Transaction) -> Result<Revision> {
        self.close_page(tx)?;
        self.revision.body = self.body.digest();
        Ok(self.revision)
    }
}

fn open_proposal(tx: &mut dyn Transaction, id: u64) -> Result<Proposal> {
    let proposal = tx.proposal(id)?.ok_or_else(|| no_proposal(id))?;
    if proposal.stage.is_open() { Ok(proposal) } else { Err(closed(&proposal)) }
}

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
        Choice::Merged => return Err(Error::invalid("both sides are merged where the policy says how, and not by hand")),
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
        let proposal = open_proposal(&mut *self.store.begin_read()?, id)?;
        let assessed = self.assess_whole(&proposal)?;
        let outcome = assessed.assessment.outcome.clone();
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
        let (write_id, replica) = (self.around.random(), self.around.random());
        let mut tx = self.store.begin()?;
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
        let scratch = self.assessed.as_mut().ok_or_else(|| Error::internal("an outcome was kept and is gone"))?;
        // A row gives its unique value up before another takes it.
        let leaves = |given: &Given| matches!(given, Given::Whole(Some(change)) if matches!(change.edit, Edit::Delete(_)));
        for given in answers.given.iter_mut().filter(|given| leaves(given)) {
            if let Given::Whole(Some(change)) = given.take() {
                making.add(&mut *tx, change)?;
            }
        }
        for number in 0..outcome.pages {
            let bytes = scratch.get(&assessed.page(number))?.ok_or_else(|| Error::internal("an outcome was kept and is gone"))?;
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
        note(&mut *tx, at, id, Act::Revise(revision), by)?;
        tx.commit()?;
        Ok(proposal.revisions.len() as u64 + 1)
    }

    /// Proposes to take a version back.
    pub(super) fn revert_version(&mut self, number: u64, reason: &str, by: By<'_>) -> Result<u64> {
        self.absorb()?;
        let (write_id, replica) = (self.around.random(), self.around.random());
        let mut tx = self.store.begin()?;
        let version = Ledger::version(&mut *tx, number)?.ok_or_else(|| Error::not_found(format!("there is no version {number}")))?;
        crate::cleanup::check_horizon(&mut *tx, number.saturating_sub(1))?;
        if !version.schema.is_empty() || number == 1 {
            let message = format!("version {number} made or changed the tables themselves, which cannot be taken back so");
            return Err(Error::new(ErrorKind::Conflict, "schema_changed", message).hint("change the tables in a copy, and propose that"));
        }
        let at = now(&mut *tx, &self.around)?;
        let what = version.header.title.clone().unwrap_or_else(|| "changes without a title".into());
        let header = Header {
            lineage: genesis(&mut *tx)?.lineage,
            base_version: number,
            actor: by.actor.to_owned(),
            title: Some(format!("Revert version {number}: {what}")),
            description: reason.to_owned(),
            at,
            ..Header::default()
        };
        let front = Front { header, shapes: version.shapes.clone(), ..Front::default() };
        let mut making = Making::new(front, write_id, replica, vec![by.actor.to_owned()], Origin::Revert(number));
        for number in (0..version.pages).rev() {
            let bytes =
                Ledger::page(&mut *tx, version.version, number)?.ok_or_else(|| Error::corrupt("a version lacks one of its pages"))?;
            for change in page::decode(&bytes, &version.shapes)?.into_iter().rev() {
                making.add(&mut *tx, backwards(change, at))?;
            }
        }
        let revision = making.finish(&mut *tx)?;
        if revision.front.count == 0 {
            return Err(Error::invalid(format!("version {number} changed no rows")));
        }
        let last = tx.proposals(&crate::ledger::ProposalsWanted { limit: 1, ..Default::default() })?;
        let id = last.first().map_or(1, |last| last + 1);
        note(&mut *tx, at, id, Act::Revise(revision), by)?;
        tx.commit()?;
        Ok(id)
    }

    /// Narrows a proposal to some rows, and makes a proposal of the rest.
    pub(super) fn divide(&mut self, id: u64, only: &[Chosen], by: By<'_>) -> Result<Option<u64>> {
        let (first, replica) = (self.around.random(), self.around.random());
        let mut tx = self.store.begin()?;
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
        let replica_of = if head.origin == Origin::Replica { head.front.header.replica.0 } else { replica };
        let rest_title = format!("Rest of proposal {id}: {}", head.front.header.title.as_deref().unwrap_or("changes without a title"));
        let mut rest_front = head.front.clone();
        rest_front.header.title = Some(rest_title);
        (rest_front.resolutions, rest_front.conflicts) = (Vec::new(), Vec::new());
        let mut part = Making::new(head.front.clone(), first, replica_of, head.authors.clone(), head.origin);
        let mut rest = Making::new(rest_front, second, replica_of, head.authors.clone(), Origin::Part(id));
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
        let last = tx.proposals(&crate::ledger::ProposalsWanted { limit: 1, ..Default::default() })?;
        let follow_up = last.first().map_or(1, |last| last + 1);
        note(&mut *tx, at, id, Act::Revise(part), by)?;
        note(&mut *tx, at, follow_up, Act::Revise(rest), by)?;
        tx.commit()?;
        Ok(Some(follow_up))
    }
}

fn staged(tx: &mut dyn Transaction, revision: &Revision, number: u64) -> Result<Vec<Change>> {
    let bytes = tx.staged(revision.front.header.write_id, number)?.ok_or_else(|| Error::corrupt("a revision lacks a staged page"))?;
    Ok(page::decode(&bytes, &revision.front.shapes)?)
}

/// The front of a revision on the head in which conflicts are answered; the answered ones stay with it.
fn answered_front(before: &Front, outcome: &Version, answered: &[(Conflict, Answering)], write_id: u128, actor: &str, at: Time) -> Front {
    let kept = answered.iter().map(|(conflict, answer)| {
        let answer = Answer { choice: answer.choice, actor: Some(actor.to_owned()), at };
        Conflict { answer: Some(answer), ..conflict.clone() }
    });
    let resolutions: Vec<Resolution> = before.resolutions.clone();
    let is_open = |known: &&Conflict| answered.iter().all(|(conflict, _)| conflict.id != known.id);
    Front {
        header: Header { base_version: outcome.version - 1, at, ..before.header.clone() },
        schema: outcome.schema.clone(),
        shapes: outcome.shapes.clone(),
        resolutions,
        conflicts: before.conflicts.iter().filter(is_open).cloned().chain(kept).collect(),
        renumbered_here: outcome.renumbered.iter().map(|row| RenumberedHere { made_by: write_id, row: row.clone() }).collect(),
        ..Front::default()
    }
}

/// A change that takes another back.
fn backwards(change: Change, at: Time) -> Change {
    let edit = match change.edit {
        Edit::Insert(row) => Edit::Delete(row),
        Edit::Delete(row) => Edit::Insert(row),
        Edit::Update(cells) => {
            Edit::Update(cells.into_iter().map(|c| Cell { column: c.column, before: c.after, after: c.before, at }).collect())
        }
    };
    Change { edit, at, moved_from: None, ..change }
}

/// Rows that are taken out of a revision, each with the columns that are; all where empty.
type Taken = HashMap<(usize, Key), Vec<usize>>;

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
    loop {
        let wanted = wanted_by(tx, schema, revision, &taken)?;
        let before = taken.len();
        for number in 0..revision.pages {
            for change in staged(tx, revision, number)? {
                let place = (change.table, change.key.clone());
                if !taken.contains_key(&place) && wanted.asks_for(schema, &shapes[change.table], &change) {
                    taken.insert(place, Vec::new());
                }
            }
        }
        if taken.len() == before {
            return Ok(taken);
        }
    }
}

/// What chosen changes need of others: parents that they point to, and children that point to what they delete.
#[derive(Default)]
struct WantedRows {
    parents: HashSet<(String, Vec<String>, Vec<Value>)>,
    orphans: HashSet<(String, Vec<String>, Vec<Value>)>,
}

fn wanted_by(tx: &mut dyn Transaction, schema: &Schema, revision: &Revision, taken: &Taken) -> Result<WantedRows> {
    let mut wanted = WantedRows::default();
    for number in 0..revision.pages {
        for change in staged(tx, revision, number)?.into_iter().filter(|c| taken.contains_key(&(c.table, c.key.clone()))) {
            let shape = &revision.front.shapes[change.table];
            let Some(table) = schema.table(&shape.table) else { continue };
            for link in &table.foreign_keys {
                let Some((parent, columns)) = parent_of(schema, link) else { continue };
                let names: Vec<String> = link.columns.iter().map(|&at| table.columns[at].name.clone()).collect();
                if let Some(values) = values_after(shape, &change, &names) {
                    let parent = &schema.tables[parent];
                    let columns = columns.iter().map(|&at| parent.columns[at].name.to_ascii_lowercase()).collect();
                    wanted.parents.insert((parent.name.to_ascii_lowercase(), columns, values));
                }
            }
            if let Edit::Delete(row) = &change.edit {
                for (child, link) in schema.tables.iter().flat_map(|t| t.foreign_keys.iter().map(move |link| (t, link))) {
                    let Some((parent, columns)) = parent_of(schema, link).filter(|(at, _)| schema.tables[*at].name == table.name) else {
                        continue;
                    };
                    let values = columns.iter().map(|&at| shape.column(&schema.tables[parent].columns[at].name).map(|at| row[at].clone()));
                    let names = link.columns.iter().map(|&at| child.columns[at].name.to_ascii_lowercase()).collect();
                    if let Some(values) = values.collect::<Option<Vec<_>>>() {
                        wanted.orphans.insert((child.name.to_ascii_lowercase(), names, values));
                    }
                }
            }
        }
    }
    Ok(wanted)
}

impl WantedRows {
    /// True where a change brings a parent that is wanted, or takes a child away from one that goes.
    fn asks_for(&self, schema: &Schema, shape: &Shape, change: &Change) -> bool {
        let name = shape.table.to_ascii_lowercase();
        let brings = |(table, columns, values): &(String, Vec<String>, Vec<Value>)| {
            *table == name && values_after(shape, change, columns).is_some_and(|after| after == *values)
        };
        let leaves = |(table, columns, values): &(String, Vec<String>, Vec<Value>)| {
            *table == name && values_before(shape, change, columns).is_some_and(|before| before == *values)
        };
        schema.table(&shape.table).is_some() && (self.parents.iter().any(brings) || self.orphans.iter().any(leaves))
    }
}

/// The values that a change writes into columns; none where it writes none of them, or one is NULL.
fn values_after(shape: &Shape, change: &Change, columns: &[String]) -> Option<Vec<Value>> {
    let value = |name: &String| {
        let at = shape.column(name)?;
        match &change.edit {
            Edit::Insert(row) => Some(row[at].clone()),
            Edit::Update(cells) => cells.iter().find(|cell| cell.column == at).map(|cell| cell.after.clone()),
            Edit::Delete(_) => None,
        }
    };
    columns.iter().map(|name| value(name).filter(|value| !value.is_null())).collect()
}

/// The values that a change takes out of columns.
fn values_before(shape: &Shape, change: &Change, columns: &[String]) -> Option<Vec<Value>> {
    let value = |name: &String| {
        let at = shape.column(name)?;
        match &change.edit {
            Edit::Insert(_) => None,
            Edit::Update(cells) => cells.iter().find(|cell| cell.column == at).map(|cell| cell.before.clone()),
            Edit::Delete(row) => Some(row[at].clone()),
        }
    };
    columns.iter().map(value).collect()
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
