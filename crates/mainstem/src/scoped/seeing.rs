//! What of a proposal is seen by whoever may see a part of the dataset: all of it, what was offered alone, or nothing.
//!
//! Invariant: a proposal is told of where every change that it offers is of rows that may be seen; what merging it does is told
//! where that, too, is all of such rows. Whatever is not certain is not told.
use super::Scoped;
use super::view::View;
use crate::error::Result;
use crate::primary::Primary;
use crate::review::{By, Judged, Review};
use mainstem_core::change::{Change, Edit, Front, Header, Shape};
use mainstem_core::conflict::Conflict;
use mainstem_core::event::{Renumbered, Version};
use mainstem_core::format::page;
use mainstem_core::proposal::{Anchor, Assessment, Comment, Failure, Proposal, Remark, Revision, TableSummary};
use mainstem_core::value::{Key, Row};
use mainstem_core::vote::Tally;
use std::ops::DerefMut;

/// A table, and the version that changes of its rows are looked at from.
type Place<'a> = (&'a Shape, u64);

impl<P: DerefMut<Target: Primary>> Scoped<P> {
    /// A proposal as it is told; none where it is not.
    pub(super) fn told_proposal(&mut self, view: &View, id: u64, by: By<'_>) -> Result<Option<Judged>> {
        let judged = self.primary.proposal(id, by)?;
        self.tell_judged(view, judged)
    }

    /// True where a proposal is told at all.
    pub(super) fn is_told(&mut self, view: &View, proposal: &Proposal) -> Result<bool> {
        match proposal.version {
            Some(version) => self.shows_version(view, version),
            None => self.shows_revision(view, proposal, proposal.revisions.len() as u64),
        }
    }

    /// How a proposal stands, as far as it is told.
    pub(super) fn tell_judged(&mut self, view: &View, judged: Option<Judged>) -> Result<Option<Judged>> {
        let Some(mut judged) = judged else { return Ok(None) };
        if !self.is_told(view, &judged.proposal)? {
            return Ok(None);
        }
        let id = judged.proposal.id;
        let is_seen = match &judged.assessment {
            Some(assessment) => self.shows_outcome(view, id, assessment)?,
            None => true,
        };
        match &mut judged.assessment {
            // Gates may look at any row, and every table has a digest.
            Some(assessment) if is_seen => {
                assessment.gates.clear();
                assessment.outcome.tables.clear();
                nameless(view, &mut assessment.outcome.shapes, &mut assessment.tables);
            }
            _ => judged.assessment = None,
        }
        if !is_seen {
            (judged.tally, judged.is_hidden) = (Tally::default(), true);
        }
        judged.proposal = self.reduce_proposal(view, judged.proposal)?;
        Ok(Some(judged))
    }

    /// A proposal that is told, without what others said of rows that are not.
    fn reduce_proposal(&mut self, view: &View, mut proposal: Proposal) -> Result<Proposal> {
        let is_merged = proposal.version.is_some();
        let count = proposal.revisions.len() as u64;
        for number in 1..=count {
            let is_told = if number == count && !is_merged { true } else { self.shows_revision(view, &proposal, number)? };
            if !is_told {
                let revision = &mut proposal.revisions[number as usize - 1].2;
                let Header { write_id, lineage, base_version, at, .. } = revision.front.header;
                let header =
                    Header { write_id, lineage, base_version, at, actor: revision.front.header.actor.clone(), ..Header::default() };
                let title = revision.front.header.title.clone();
                let front = Front { header: Header { title, ..header }, ..Front::default() };
                *revision = Revision { front, authors: std::mem::take(&mut revision.authors), ..Revision::default() };
            }
        }
        for (_, _, revision) in &mut proposal.revisions {
            nameless(view, &mut revision.front.shapes, &mut revision.tables);
        }
        let head = self.primary.describe()?.head.version;
        for comment in &mut proposal.comments {
            let (table, key) = match &comment.remark.anchor {
                Anchor::Whole => continue,
                Anchor::Row(table, key) | Anchor::Cell(table, key, _) => (table.clone(), key.clone()),
            };
            // Its number stays, since others answer it by that.
            if !self.shows_row(view, &table, &key, head)? {
                *comment = Comment { actor: String::new(), at: comment.at, remark: Remark::default() };
            }
        }
        proposal.failure = proposal.failure.map(|failure| Failure { message: String::new(), ..failure });
        Ok(proposal)
    }

    /// True where everything that a revision (from 1) offers may be seen.
    pub(super) fn shows_revision(&mut self, view: &View, proposal: &Proposal, number: u64) -> Result<bool> {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let Some((_, _, revision)) = place.and_then(|place| proposal.revisions.get(place)) else { return Ok(false) };
        if !self.shows_front(view, &revision.front)? {
            return Ok(false);
        }
        for at in 0..revision.pages {
            // What is kept no more cannot be looked at.
            let Some(bytes) = self.primary.staged_page(proposal.id, number, at)? else { return Ok(false) };
            if !self.shows_page(view, &revision.front.shapes, &bytes, None)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// True where all that a changeset says beside its rows is of what may be seen.
    fn shows_front(&mut self, view: &View, front: &Front) -> Result<bool> {
        let head = self.primary.describe()?.head.version;
        let renumbered = front.renumbered_here.iter().map(|here| &here.row);
        if !front.schema.is_empty() || !shows_numbers(view, renumbered) {
            return Ok(false);
        }
        let shown: Vec<u64> = if front.resolutions.is_empty() {
            Vec::new()
        } else {
            self.shown_conflicts(view, false)?.iter().map(|conflict| conflict.id).collect()
        };
        if front.resolutions.iter().any(|resolution| !shown.contains(&resolution.conflict)) {
            return Ok(false);
        }
        for (table, key) in &front.hidden {
            if !self.shows_row(view, table, key, head)? {
                return Ok(false);
            }
        }
        self.shows_conflicts(view, &front.conflicts, head)
    }

    /// True where all of what merging a proposal does is of rows that may be seen.
    fn shows_outcome(&mut self, view: &View, id: u64, assessment: &Assessment) -> Result<bool> {
        let outcome = &assessment.outcome;
        if !self.shows_beside(view, outcome, assessment.head)? {
            return Ok(false);
        }
        for at in 0..outcome.pages {
            let Some(bytes) = self.primary.shown_page(id, &assessment.digest, at)? else { return Ok(false) };
            if !self.shows_page(view, &outcome.shapes, &bytes, Some(assessment.head))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// True where all of a version is of rows that may be seen.
    fn shows_version(&mut self, view: &View, number: u64) -> Result<bool> {
        let version = self.whole(number)?;
        let told = self.reduce_old(view, version.clone())?;
        Ok(told.count == version.count
            && told.body == version.body
            && told.conflicts.len() == version.conflicts.len()
            && told.waiting.len() == version.waiting.len()
            && self.shows_beside(view, &version, number)?)
    }

    /// True where all that a version says beside its rows is of what may be seen.
    fn shows_beside(&mut self, view: &View, version: &Version, at: u64) -> Result<bool> {
        // Where a parent is looked for, it is told whether it is there.
        let is_told_of_parents = version.waiting.is_empty() && version.released.is_empty();
        let renumbered = version.renumbered.iter().chain(&version.renumbered_here);
        Ok(version.schema.is_empty()
            && is_told_of_parents
            && shows_numbers(view, renumbered)
            && self.shows_conflicts(view, &version.conflicts, at)?)
    }

    fn shows_conflicts(&mut self, view: &View, conflicts: &[Conflict], at: u64) -> Result<bool> {
        for conflict in conflicts {
            if !self.shows_conflict(view, &Conflict { version: at, ..conflict.clone() })? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// True where every change of a page is of a row that may be seen, before and after it. `at` is the version it is made on;
    /// the latest where none.
    fn shows_page(&mut self, view: &View, shapes: &[Shape], bytes: &[u8], at: Option<u64>) -> Result<bool> {
        let changes = page::decode(bytes, shapes)?;
        let at = match at {
            Some(at) => at,
            None => self.primary.describe()?.head.version,
        };
        for (index, shape) in shapes.iter().enumerate() {
            let own: Vec<&Change> = changes.iter().filter(|change| change.table == index).collect();
            if !own.is_empty() && !self.shows_changes(view, (shape, at), &own)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn shows_changes(&mut self, view: &View, (shape, at): Place<'_>, changes: &[&Change]) -> Result<bool> {
        let Some((eye, _)) = view.eye(u64::MAX, shape) else { return Ok(false) };
        if eye.sight.permitted.is_everything() {
            return Ok(true);
        }
        let Some(table) = view.chronicle.at(at).find(eye.table).cloned() else { return Ok(false) };
        let is_alike = table.columns.len() == shape.columns.len()
            && table.columns.iter().zip(&shape.columns).all(|(column, name)| column.name.eq_ignore_ascii_case(name));
        let keys: Vec<Key> = changes.iter().map(|change| change.key.clone()).collect();
        let before: Vec<Option<Row>> = self.primary.rows_of(&table.name, &keys, at)?;
        // A filter needs the whole row, in the columns that it is about.
        Ok(is_alike
            && changes.iter().zip(before).all(|(change, there)| {
                // A row that is there and hidden is not told of, whatever is said to be there.
                let is_open = there.as_ref().is_none_or(|row| eye.may_see(row));
                is_open
                    && match (&change.edit, there) {
                        (Edit::Insert(row) | Edit::Delete(row), _) => eye.may_see(row),
                        (Edit::Update(_), None) => false,
                        (Edit::Update(cells), Some(mut row)) => {
                            cells.iter().for_each(|cell| row[cell.column].clone_from(&cell.after));
                            eye.may_see(&row)
                        }
                    }
            }))
    }
}

/// Takes the names of hidden tables away, none of whose rows are told. Places in the list stay what they are.
fn nameless(view: &View, shapes: &mut [Shape], tables: &mut Vec<TableSummary>) {
    let is_hidden = |shape: &Shape| view.eye(u64::MAX, shape).is_none_or(|(eye, _)| eye.sight.permitted.is_nothing());
    for shape in shapes.iter_mut().filter(|shape| is_hidden(shape)) {
        tables.retain(|table| table.table != shape.table);
        *shape = Shape::default();
    }
}

/// True where the rows that got other numbers may be seen, as far as that is certain.
fn shows_numbers<'r>(view: &View, mut renumbered: impl Iterator<Item = &'r Renumbered>) -> bool {
    renumbered.all(|row| {
        let shape = Shape { table: row.table.clone(), columns: row.columns.clone(), ..Shape::default() };
        view.eye(u64::MAX, &shape).is_some_and(|(eye, _)| eye.may_see(&row.row))
    })
}
