//! What becomes of one row when a changeset meets a state that others have changed since its base.
//!
//! Invariant: the two orders of arrival of two changes give the same row and the same conflicts; only numbered
//! inserts, of which the first keeps its number, depend on the order.
//! Invariant: a row that was deleted and made again never gets cells from an edit of the earlier one.
//! Deliberately absent: columns that one side does not have, foreign keys, unique indexes: the caller's matter.
mod row;
#[cfg(test)]
mod tests;

use crate::change::{Change, Choice, Edit, Past, Shape};
use crate::conflict::{self, Answer, Claim, Conflict, ConflictKind, Image, Side};
use crate::planted::{self, Bug};
use crate::policy::{Deletes, Policy};
use crate::stamp::{ReplicaId, Stamp};
use crate::strategy::{CellOutcome, CellSide, Context, Strategy, merge_cell};
use crate::value::{Key, Row, Value};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use row::{Departed, History};

/// What happened to a row in one accepted version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The version.
    pub version: u64,
    /// The replica that wrote it.
    pub replica: ReplicaId,
    /// Who wrote it.
    pub actor: Arc<str>,
    /// The columns its change refers to.
    pub shape: Arc<Shape>,
    /// The change.
    pub change: Change,
    /// The versions it was in earlier epochs.
    pub was: Arc<[Past]>,
}

/// The change that comes in.
#[derive(Clone, Copy, Debug)]
pub struct Ours<'a> {
    /// The columns it refers to.
    pub shape: &'a Shape,
    /// The change.
    pub change: &'a Change,
    /// The replica that made it.
    pub replica: ReplicaId,
    /// Who made it.
    pub actor: &'a str,
}

/// The state it meets.
#[derive(Clone, Copy, Debug)]
pub struct Theirs<'a> {
    /// The row as it is, in the order of ours' shape; none where there is none.
    pub row: Option<&'a Row>,
    /// What happened to it after ours' base version, oldest first.
    pub touches: &'a [Touch],
    /// The primary's own replica id: what it wrote was written straight at the primary.
    pub primary: ReplicaId,
}

/// What to do with the row. Rows are whole, in the order of ours' shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Leave it as it is.
    Keep,
    /// Write it; there is none now.
    Insert(Row),
    /// Replace the row that is there.
    Update(Row),
    /// Remove it.
    Delete,
    /// Insert it under another number.
    Renumber,
}

/// The decision for one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What to do.
    pub verdict: Verdict,
    /// What could not be both, answered or open.
    pub conflicts: Vec<Conflict>,
}

impl From<Verdict> for Decision {
    fn from(verdict: Verdict) -> Self {
        Decision { verdict, conflicts: Vec::new() }
    }
}

/// True where the row is as ours' change found it, so that the change applies as it stands: an insert finds no row,
/// a delete the row it saw, an update its own cells as they were.
///
/// For an update this looks at the changed cells only. Where a touch after ours' base deleted and made the row
/// again, or the table is `strict`, or has a priority column, [`decide`] with touches is the judge.
pub fn is_plain(ours: &Ours<'_>, row: Option<&Row>) -> bool {
    match (&ours.change.edit, row) {
        (Edit::Insert(_), None) => true,
        (Edit::Update(cells), Some(row)) => cells.iter().all(|cell| row[cell.column] == cell.before),
        (Edit::Delete(image), Some(row)) => image == row,
        _ => false,
    }
}

/// Decides one row.
///
/// | ours | the row there | verdict | conflict |
/// |---|---|---|---|
/// | insert | none | insert | |
/// | insert | deleted by others, as ours makes it | keep | open update_delete |
/// | insert | deleted by others, different, not numbered | insert | open update_delete |
/// | insert | equal | keep | |
/// | insert | different, numbered | renumber | |
/// | insert | different | the earlier stamp holds | open create_create |
/// | update | there | by cell and strategy | by strategy, update_update |
/// | update, table `strict` | changed by others too | the earlier stamp holds | open update_update of the row |
/// | update | deleted | by `deletes` | update_delete, open where `manual` |
/// | update | deleted and made again | keep | open update_delete |
/// | update | deleted before by ours, where that gave way | insert, by cell and strategy | by strategy, update_update |
/// | update | deleted since by ours | keep | |
/// | update | none, nobody knows why | keep | open update_delete |
/// | delete | as it was | delete | |
/// | delete | none | keep | |
/// | delete | changed | by `deletes` | delete_update, open where `manual` |
/// | delete | deleted and made again | keep | open delete_update |
pub fn decide(policy: &Policy, ours: &Ours<'_>, theirs: &Theirs<'_>, found_in_version: u64) -> Decision {
    let meeting = Meeting { policy, ours, theirs, history: History::new(ours, theirs), version: found_in_version };
    match (&ours.change.edit, theirs.row) {
        (Edit::Insert(row), None) => meeting.create_again(row),
        (Edit::Insert(row), Some(there)) => meeting.create(row, there),
        (Edit::Update(_), Some(there)) => meeting.update(there),
        (Edit::Update(_), None) => meeting.update_of_absent(),
        (Edit::Delete(_), None) => Verdict::Keep.into(),
        (Edit::Delete(image), Some(there)) => meeting.delete(image, there),
    }
}

struct Meeting<'a> {
    policy: &'a Policy,
    ours: &'a Ours<'a>,
    theirs: &'a Theirs<'a>,
    history: History<'a>,
    version: u64,
}

/// A conflict about a whole row before it has sides: rows in ours' shape.
struct RowClash<'a> {
    kind: ConflictKind,
    strategy: &'a str,
    base: Option<&'a Row>,
    ours: Option<&'a Row>,
    theirs: Option<&'a Row>,
    theirs_written: (Stamp, &'a str),
}

impl Meeting<'_> {
    /// A new row whose key others deleted after ours' base. The same row is one that ours did not hear the end of, from a
    /// copy that went back in time; a different one with a key of its own may be, too.
    fn create_again(&self, row: &Row) -> Decision {
        let made = Verdict::Insert(row.clone());
        let Some((image, written)) = self.history.deleted_by_others() else { return made.into() };
        let is_same = image == *row;
        // Rows of one number are different rows where their cells differ: the number was free to be taken.
        if !is_same && self.ours.shape.is_numbered {
            return made.into();
        }
        let conflict = self.row_conflict(&RowClash {
            kind: ConflictKind::UpdateDelete,
            strategy: Deletes::Manual.name(),
            base: Some(&image),
            ours: Some(row),
            theirs: None,
            theirs_written: written,
        });
        Decision { verdict: if is_same { Verdict::Keep } else { made }, conflicts: vec![conflict] }
    }

    fn create(&self, row: &Row, there: &Row) -> Decision {
        if row == there {
            return Verdict::Keep.into();
        }
        if planted::is(Bug::C3) {
            return Verdict::Update(row.clone()).into();
        }
        if self.ours.shape.is_numbered {
            return Verdict::Renumber.into();
        }
        let theirs_written = self.history.created();
        let conflict = self.row_conflict(&RowClash {
            kind: ConflictKind::CreateCreate,
            strategy: Strategy::Manual.name(),
            base: None,
            ours: Some(row),
            theirs: Some(there),
            theirs_written,
        });
        let is_ours_early = (self.row_stamp(), row) < (theirs_written.0, there);
        let verdict = if is_ours_early { Verdict::Update(row.clone()) } else { Verdict::Keep };
        Decision { verdict, conflicts: vec![conflict] }
    }

    fn update(&self, there: &Row) -> Decision {
        if self.history.is_made_again() {
            return self.edit_of_earlier_row(there);
        }
        if self.policy.table(&self.ours.shape.table).strategy == Strategy::Strict {
            return self.strict(there);
        }
        let (merged, conflicts) = self.merged(there);
        let verdict = if merged == *there { Verdict::Keep } else { Verdict::Update(merged) };
        Decision { verdict, conflicts }
    }

    /// The row there with ours' cells laid on, each by its strategy.
    fn merged(&self, there: &Row) -> (Row, Vec<Conflict>) {
        let (mut merged, mut conflicts) = (there.clone(), Vec::new());
        let Edit::Update(cells) = &self.ours.change.edit else { return (merged, conflicts) };
        for cell in cells {
            if there[cell.column] == cell.before && !(planted::is(Bug::G1) && self.history.cell_written(cell.column).0.time > cell.at) {
                merged[cell.column] = cell.after.clone();
                continue;
            }
            let (outcome, theirs_written) = self.cell(cell, there);
            merged[cell.column] = outcome.value().clone();
            let answer = match outcome {
                CellOutcome::Agreed(_) => continue,
                CellOutcome::Answered { .. } if planted::is(Bug::X3) => continue,
                CellOutcome::Answered { choice, .. } => Some(choice),
                CellOutcome::Open { .. } => None,
            };
            let stamp = Stamp { time: cell.at, replica: self.ours.replica };
            let ours = self.side(Claim::Cell(cell.after.clone()), stamp, self.ours.actor);
            let theirs = self.side(Claim::Cell(there[cell.column].clone()), theirs_written.0, theirs_written.1);
            let base = Claim::Cell(cell.before.clone());
            let strategy = self.column_strategy(cell.column).name();
            let column = Some(self.ours.shape.columns[cell.column].as_str());
            conflicts.push(self.conflict(ConflictKind::UpdateUpdate, column, strategy, base, [ours, theirs], answer));
        }
        (merged, conflicts)
    }

    fn cell(&self, cell: &crate::change::Cell, there: &Row) -> (CellOutcome, (Stamp, &str)) {
        let shape = self.ours.shape;
        let rule = self.policy.column(&shape.table, &shape.columns[cell.column]);
        let (ours_rank, theirs_rank) =
            if rule.strategy == Strategy::Priority { self.ranks(cell.column, there) } else { (Value::Null, Value::Null) };
        let (stamp, actor) = self.history.cell_written(cell.column);
        let ours = CellSide {
            value: &cell.after,
            stamp: Stamp { time: cell.at, replica: self.ours.replica },
            actor: self.ours.actor,
            rank: ours_rank,
            is_primary: self.ours.replica == self.theirs.primary,
        };
        let theirs =
            CellSide { value: &there[cell.column], stamp, actor, rank: theirs_rank, is_primary: stamp.replica == self.theirs.primary };
        let context = Context { delimiter: rule.delimiter.as_deref() };
        (merge_cell(rule.strategy, &context, &cell.before, &ours, &theirs), (stamp, actor))
    }

    /// Ranks of ours and theirs: what each side's row says in the priority column, else who wrote the cell.
    fn ranks(&self, column: usize, there: &Row) -> (Value, Value) {
        let shape = self.ours.shape;
        let by_column = self.policy.table(&shape.table).priority_column.and_then(|name| shape.column(&name));
        if let Some(rank) = by_column {
            let base = self.history.base_of(there);
            return (self.history.ours_on(&base)[rank].clone(), self.history.theirs_cell(there, rank).clone());
        }
        let (stamp, actor) = self.history.cell_written(column);
        let ours = self.policy.rank(self.ours.actor, self.ours.replica);
        (Value::Integer(ours), Value::Integer(self.policy.rank(actor, stamp.replica)))
    }

    fn strict(&self, there: &Row) -> Decision {
        let base = self.history.base_of(there);
        let ours = self.history.ours_on(&base);
        if ours == *there {
            return Verdict::Keep.into();
        }
        if base == *there {
            return Verdict::Update(ours).into();
        }
        let theirs_written = self.history.row_written();
        let conflict = self.row_conflict(&RowClash {
            kind: ConflictKind::UpdateUpdate,
            strategy: Strategy::Strict.name(),
            base: Some(&base),
            ours: Some(&ours),
            theirs: Some(there),
            theirs_written,
        });
        let is_ours_early = (self.row_stamp(), &ours) < (theirs_written.0, there);
        let verdict = if is_ours_early { Verdict::Update(ours) } else { Verdict::Keep };
        Decision { verdict, conflicts: vec![conflict] }
    }

    fn update_of_absent(&self) -> Decision {
        let (image, written) = match self.history.departed() {
            Departed::Unknown => return self.update_of_unknown(),
            Departed::Since => return Verdict::Keep.into(),
            Departed::Early(image) => {
                let (row, conflicts) = self.merged(&image);
                return Decision { verdict: Verdict::Insert(row), conflicts };
            }
            Departed::Theirs(image, written) => (image, written),
        };
        let base = self.history.before_ours(&image);
        let revived = self.history.ours_on(&base);
        if planted::is(Bug::H1) {
            return Verdict::Insert(revived).into();
        }
        let rule = self.deletes();
        let is_kept = match rule {
            Deletes::Manual | Deletes::UpdateWins => true,
            Deletes::DeleteWins => false,
            Deletes::LastWriteWins => self.row_stamp() > written.0,
        };
        let mut conflict = self.row_conflict(&RowClash {
            kind: ConflictKind::UpdateDelete,
            strategy: rule.name(),
            base: Some(&base),
            ours: Some(&revived),
            theirs: None,
            theirs_written: written,
        });
        if rule != Deletes::Manual {
            answer(&mut conflict, if is_kept { Choice::Ours } else { Choice::Theirs });
        }
        let verdict = if is_kept { Verdict::Insert(revived) } else { Verdict::Keep };
        Decision { verdict, conflicts: vec![conflict] }
    }

    /// The row is not there and nothing says that anybody deleted it: its cells are all that is known of it.
    fn update_of_unknown(&self) -> Decision {
        let ours = self.partial_image(|cell| cell.after.clone());
        let base = self.partial_image(|cell| cell.before.clone());
        let ours = self.side(Claim::Row(Some(ours)), self.row_stamp(), self.ours.actor);
        let theirs = self.side(Claim::Row(None), Stamp::default(), "");
        let kind = ConflictKind::UpdateDelete;
        let rule = Deletes::Manual.name();
        let conflict = self.conflict(kind, None, rule, Claim::Row(Some(base)), [ours, theirs], None);
        Decision { verdict: Verdict::Keep, conflicts: vec![conflict] }
    }

    fn partial_image(&self, value: impl Fn(&crate::change::Cell) -> Value) -> Image {
        let shape = self.ours.shape;
        let mut image: Image = shape.key.iter().zip(&self.ours.change.key).map(|(&at, v)| (shape.columns[at].clone(), v.clone())).collect();
        if let Edit::Update(cells) = &self.ours.change.edit {
            image.extend(cells.iter().map(|cell| (shape.columns[cell.column].clone(), value(cell))));
        }
        image
    }

    fn edit_of_earlier_row(&self, there: &Row) -> Decision {
        let image = self.history.ended().map_or_else(|| there.clone(), |(image, _)| image);
        let base = self.history.before_ours(&image);
        let ours = self.history.ours_on(&base);
        let conflict = self.row_conflict(&RowClash {
            kind: ConflictKind::UpdateDelete,
            strategy: Deletes::Manual.name(),
            base: Some(&base),
            ours: Some(&ours),
            theirs: Some(there),
            theirs_written: self.history.row_written(),
        });
        Decision { verdict: Verdict::Keep, conflicts: vec![conflict] }
    }

    fn delete(&self, image: &Row, there: &Row) -> Decision {
        if image == there {
            return Verdict::Delete.into();
        }
        let theirs_written = self.history.row_written();
        let rule = if self.history.is_made_again() { Deletes::Manual } else { self.deletes() };
        let is_kept = match rule {
            Deletes::Manual | Deletes::UpdateWins => true,
            Deletes::DeleteWins => false,
            Deletes::LastWriteWins => theirs_written.0 > self.row_stamp(),
        };
        let mut conflict = self.row_conflict(&RowClash {
            kind: ConflictKind::DeleteUpdate,
            strategy: rule.name(),
            base: Some(image),
            ours: None,
            theirs: Some(there),
            theirs_written,
        });
        if rule != Deletes::Manual {
            answer(&mut conflict, if is_kept { Choice::Theirs } else { Choice::Ours });
        }
        let verdict = if is_kept { Verdict::Keep } else { Verdict::Delete };
        Decision { verdict, conflicts: vec![conflict] }
    }

    fn deletes(&self) -> Deletes {
        let rule = self.policy.table(&self.ours.shape.table);
        // A strict table wants every meeting of two edits seen by a person.
        if rule.strategy == Strategy::Strict { Deletes::Manual } else { rule.deletes }
    }

    fn column_strategy(&self, column: usize) -> Strategy {
        let shape = self.ours.shape;
        self.policy.column(&shape.table, &shape.columns[column]).strategy
    }

    fn row_stamp(&self) -> Stamp {
        Stamp { time: self.ours.change.at, replica: self.ours.replica }
    }

    fn row_conflict(&self, clash: &RowClash<'_>) -> Conflict {
        let claim = |row: Option<&Row>| Claim::Row(row.map(|row| row::image(self.ours.shape, row)));
        let ours = self.side(claim(clash.ours), self.row_stamp(), self.ours.actor);
        let theirs = self.side(claim(clash.theirs), clash.theirs_written.0, clash.theirs_written.1);
        self.conflict(clash.kind, None, clash.strategy, claim(clash.base), [ours, theirs], None)
    }

    fn side(&self, claim: Claim, stamp: Stamp, actor: &str) -> Side {
        Side { claim, stamp, actor: actor.to_string() }
    }

    fn conflict(
        &self,
        kind: ConflictKind,
        column: Option<&str>,
        strategy: &str,
        base: Claim,
        [ours, theirs]: [Side; 2],
        choice: Option<Choice>,
    ) -> Conflict {
        let table = &self.ours.shape.table;
        let key: &Key = &self.ours.change.key;
        let mut conflict = Conflict {
            id: conflict::id_of(table, key, column, kind, &ours, &theirs),
            kind,
            table: table.clone(),
            key: key.clone(),
            column: column.map(ToString::to_string),
            base,
            ours,
            theirs,
            strategy: strategy.to_string(),
            detail: String::new(),
            version: self.version,
            answer: None,
        };
        if let Some(choice) = choice {
            answer(&mut conflict, choice);
        }
        conflict
    }
}

/// Notes that a strategy answered: at the later of the two stamps, which is the same in both orders of arrival.
fn answer(conflict: &mut Conflict, choice: Choice) {
    let at = conflict.ours.stamp.time.max(conflict.theirs.stamp.time);
    conflict.answer = Some(Answer { choice, actor: None, at });
}
