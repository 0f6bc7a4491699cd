//! Revisions that the primary makes itself, staged page by page; the plainest takes a version back.
//!
//! Invariant: what such a revision leaves out is in the revision before it, in a proposal of its own, or in an answered conflict.
use super::requests::{self, Asked};
use super::reviewing::{closed, no_proposal, note_for, now};
use super::{LocalPrimary, genesis};
use crate::body::{PAGE_CHANGES_MAX, weight};
use crate::error::{Error, Result};
use crate::ledger::{Ledger, ProposalsWanted};
use crate::review::By;
use crate::store::{Store, Transaction};
use mainstem_core::ErrorKind;
use mainstem_core::change::{Cell, Change, Edit, Front, Header};
use mainstem_core::digest::Body;
use mainstem_core::format::page;
use mainstem_core::proposal::{Act, Origin, Proposal, Revision, TableSummary};
use mainstem_core::stamp::{ReplicaId, Time};
use mainstem_core::value::Value;

/// About how many bytes of values a staged page holds before it is closed.
const PAGE_WEIGHT_MAX: usize = 512 * 1024;

/// A revision in the making, staged page by page.
pub(super) struct Making {
    revision: Revision,
    page: Vec<Change>,
    weight: usize,
    body: Body,
}

impl Making {
    /// Begins with everything but rows. It counts as made on a replica of its own, so that nothing that was accepted since its
    /// base is taken for its own doing.
    pub(super) fn new(front: Front, write_id: u128, replica: u128, authors: Vec<String>, origin: Origin) -> Making {
        let header = Header { write_id, replica: ReplicaId(replica), sequence: 0, ..front.header.clone() };
        let mut front = Front { header, count: 0, again: None, ..front };
        for shape in &mut front.shapes {
            shape.highest = None;
        }
        let tables = TableSummary::of(&front.shapes);
        Making {
            revision: Revision { front, authors, origin, tables, ..Revision::default() },
            page: Vec::new(),
            weight: 0,
            body: Body::default(),
        }
    }

    pub(super) fn add(&mut self, tx: &mut dyn Transaction, change: Change) -> Result<()> {
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
        self.revision.tables[change.table].add(&change.edit);
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

    pub(super) fn finish(mut self, tx: &mut dyn Transaction) -> Result<Revision> {
        self.close_page(tx)?;
        self.revision.body = self.body.digest();
        Ok(self.revision)
    }
}

pub(super) fn open_proposal(tx: &mut dyn Transaction, id: u64) -> Result<Proposal> {
    let proposal = tx.proposal(id)?.ok_or_else(|| no_proposal(id))?;
    if proposal.stage.is_open() { Ok(proposal) } else { Err(closed(&proposal)) }
}

pub(super) fn staged(tx: &mut dyn Transaction, revision: &Revision, number: u64) -> Result<Vec<Change>> {
    let bytes = tx.staged(revision.front.header.write_id, number)?.ok_or_else(|| Error::corrupt("a revision lacks a staged page"))?;
    Ok(page::decode(&bytes, &revision.front.shapes)?)
}

/// The number that the next proposal gets.
pub(super) fn next_proposal(tx: &mut dyn Transaction) -> Result<u64> {
    let last = tx.proposals(&ProposalsWanted { limit: 1, ..Default::default() })?;
    Ok(last.first().map_or(1, |last| last + 1))
}

impl<S: Store> LocalPrimary<S> {
    /// Proposes to take a version back.
    pub(super) fn revert_version(&mut self, number: u64, reason: &str, by: By<'_>) -> Result<u64> {
        self.absorb()?;
        let (write_id, replica) = (self.around.random(), self.around.random());
        let mut tx = self.store.begin()?;
        let request = Asked::Revert(reason).of(number, by);
        if let Some(done) = requests::done(&mut *tx, request, by)? {
            return Ok(done.proposal);
        }
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
        let id = next_proposal(&mut *tx)?;
        note_for(&mut *tx, request, at, id, Act::Revise(revision), by)?;
        tx.commit()?;
        Ok(id)
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
