//! What merging a proposal would do now: the merge itself, in a transaction that is then undone.
//!
//! Invariant: nothing of it is written; its pages are kept beside the ledger until they tell something else.
//! Invariant: of many rows it is made where nobody waits for it, and comes to the same there.
use super::accepting::{Accepting, accept};
use super::assessments::{Assessed, Assessments, Mark};
use super::carrying::carried;
use super::pages::SetOut;
use super::reviewing::closed;
use super::{LocalPrimary, genesis};
use crate::comparing::{Differing, compare};
use crate::error::{Error, Result};
use crate::gates::{self, Changed};
use crate::ledger::Ledger;
use crate::policy_text;
use crate::store::{Scratch, Store, Transaction};
use crate::wiring::Around;
use mainstem_core::change::Front;
use mainstem_core::digest::{self, Body};
use mainstem_core::event::{Digest, Version};
use mainstem_core::format::page;
use mainstem_core::gate::{GateResult, Rule};
use mainstem_core::policy::{Entry, Policy};
use mainstem_core::proposal::{Assessment, Origin, Proposal, Revision, TableSummary};
use mainstem_core::stamp::ReplicaId;

/// Which proposals are large.
#[derive(Clone, Copy, Debug)]
pub struct Large {
    /// From so many rows on, it is found beside the tables what merging does, where nobody waits for it. Fewer are merged in
    /// milliseconds.
    pub beside_from: u64,
    /// Where their tables have more than so many times as many, all of which would be copied first, others wait all the same ...
    pub times: u64,
    /// ... for up to so many rows, which are merged within a second.
    pub waited_for_max: u64,
    /// Up to so many rows, what merging does is found whenever somebody asks.
    pub at_once_max: u64,
    /// From so many rows on, and where there are gates, it is kept for all who open the store; `u64::MAX` to find everything alone.
    pub shared_from: u64,
}

impl Default for Large {
    fn default() -> Self {
        Large { beside_from: 2_000, times: 16, waited_for_max: 100_000, at_once_max: 100_000, shared_from: 1_000 }
    }
}

/// Sets the rows of a revision out beside the transaction, and checks that they are those that were offered.
pub(super) fn set_out(tx: &mut dyn Transaction, scratch: &mut dyn Scratch, proposal: &Proposal) -> Result<()> {
    let revision = proposal.head();
    let write_id = revision.front.header.write_id;
    let done = SetOut::done(write_id);
    if scratch.get(&done)?.is_some() {
        return Ok(());
    }
    let mut body = Body::default();
    for number in 0..revision.pages {
        let bytes = tx.staged(write_id, number)?.ok_or_else(|| closed(proposal))?;
        body.add(&bytes);
        scratch.put(&SetOut::name(write_id, number), &bytes)?;
    }
    if body.digest() != revision.body {
        return Err(Error::corrupt(format!("the staged rows of proposal {} are not those that were offered", proposal.id)));
    }
    scratch.put(&done, &[])
}

fn by_hand(key: &str) -> Entry {
    Entry { path: Vec::new(), key: key.to_owned(), value: "manual".into() }
}

/// Looks at what merging does, and at what the gates say of it, before it is appended; an error stops it.
pub(super) type Judge<'a> = &'a mut dyn FnMut(&mut dyn Transaction, &mut Version, Vec<GateResult>) -> Result<()>;

/// The name of a version whose own is taken: the same whenever it is looked at.
fn another(write_id: u128) -> u128 {
    let digest = digest::of("mainstem merged again 1", &[&write_id.to_be_bytes()]);
    digest[..16].iter().fold(0, |id, byte| id << 8 | u128::from(*byte))
}

/// Merges a revision inside a transaction. `seal` sees the version before it is appended.
pub(super) fn merge_in(
    tx: &mut dyn Transaction,
    around: &Around,
    scratch: &mut dyn Scratch,
    revision: &Revision,
    seal: Judge<'_>,
) -> Result<Version> {
    let policy = match revision.origin {
        // What was changed since is a person's to decide, whoever wrote last.
        Origin::Revert(_) => Policy::from_entries(&[by_hand("strategy"), by_hand("deletes")])?,
        _ => policy_text::parse(&tx.policy_text()?)?,
    };
    let primary = ReplicaId(genesis(tx)?.lineage);
    let mut front = Front { is_partial: revision.origin == Origin::Partial, ..revision.front.clone() };
    if tx.find_write(front.header.write_id)?.is_some() {
        // Merged once, lost by a restore, and pushed again by a copy that held it: no two versions have one name.
        front.header.write_id = another(front.header.write_id);
    }
    let accepting = Accepting { policy: &policy, front: &front, around, primary, released: Vec::new() };
    let mut pages = SetOut { scratch, revision, next: 0 };
    let seal = &mut |tx: &mut dyn Transaction, outcome: &mut Version| {
        let rules = policy_text::parse(&tx.policy_text()?)?;
        let changed = Changed { version: outcome.version, pages: outcome.pages, shapes: &outcome.shapes };
        let results = gates::run(tx, &rules, Some(&changed), around)?;
        seal(tx, outcome, results)
    };
    accept(tx, accepting, &mut pages, seal)?.ok_or_else(|| Error::internal("a merge came to nothing"))
}

/// Counts what a version's pages do, handing each on.
pub(super) fn summarise(
    tx: &mut dyn Transaction,
    version: &Version,
    each: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
) -> Result<Vec<TableSummary>> {
    let mut tables = TableSummary::of(&version.shapes);
    for number in 0..version.pages {
        let bytes = Ledger::page(tx, version.version, number)?.ok_or_else(|| Error::corrupt("a version lacks one of its pages"))?;
        for change in page::decode(&bytes, &version.shapes)? {
            tables[change.table].add(&change.edit);
        }
        each(number, &bytes)?;
    }
    Ok(tables)
}

impl<S: Store> LocalPrimary<S> {
    /// Runs `work` with a place for what can be made again.
    pub(super) fn with_assessments<T>(&mut self, work: impl FnOnce(&mut Self, &mut Assessments) -> Result<T>) -> Result<T> {
        let mut assessments = match self.assessments.take() {
            Some(assessments) => assessments,
            None if self.large.shared_from == u64::MAX => Assessments::new(self.store.scratch()?, None),
            None => Assessments::new(self.store.scratch()?, self.store.kept()),
        };
        let done = work(self, &mut assessments);
        self.assessments = Some(assessments);
        done
    }

    fn assess_whole(&mut self, proposal: &Proposal) -> Result<Assessed> {
        self.absorb()?;
        self.with_assessments(|this, assessments| match this.find(assessments, proposal)? {
            Some(assessed) => Ok(assessed),
            None => this.assess_anew(assessments, proposal),
        })
    }

    /// What merging a proposal would do now, found by this process, with its pages: for what is made of it.
    pub(super) fn assess_here(&mut self, proposal: &Proposal) -> Result<Assessed> {
        self.absorb()?;
        self.with_assessments(|this, assessments| this.assess_anew(assessments, proposal))
    }

    /// What merging a proposal would do now.
    pub(super) fn assess(&mut self, proposal: &Proposal) -> Result<Assessment> {
        Ok(self.assess_whole(proposal)?.assessment)
    }

    /// The same, as far as it was found already, by whomever.
    pub(super) fn assess_at_once(&mut self, proposal: &Proposal) -> Result<Option<Assessment>> {
        self.absorb()?;
        let found = self.with_assessments(|this, assessments| this.find(assessments, proposal))?;
        Ok(found.map(|assessed| assessed.assessment))
    }

    /// What was found of a proposal, where it still holds.
    fn find(&mut self, assessments: &mut Assessments, proposal: &Proposal) -> Result<Option<Assessed>> {
        let Some(found) = assessments.find(proposal.head().front.header.write_id)? else { return Ok(None) };
        let mut tx = self.store.begin_read()?;
        let now = Mark::now(&mut *tx, proposal)?;
        if !found.mark.is_before(&now, &mut *tx)? {
            return Ok(None);
        }
        if found.mark.version == now.version {
            return Ok(Some(found));
        }
        let Some(assessment) = carried(&mut *tx, proposal, &found.assessment, found.mark.events)? else { return Ok(None) };
        let assessed = Assessed { mark: now, assessment, ..found };
        assessments.carry(&assessed)?;
        Ok(Some(assessed))
    }

    fn assess_anew(&mut self, assessments: &mut Assessments, proposal: &Proposal) -> Result<Assessed> {
        let revision = proposal.head();
        let write_id = revision.front.header.write_id;
        let mut tx = if self.is_beside(revision)? { self.store.begin_beside()? } else { self.store.begin()? };
        let mark = Mark::now(&mut *tx, proposal)?;
        set_out(&mut *tx, assessments.own(), proposal)?;
        let mut gates = Vec::new();
        let outcome = merge_in(&mut *tx, &self.around, assessments.own(), revision, &mut |_, _, results| {
            gates = results;
            Ok(())
        })?;
        let mut pages = assessments.begin(write_id)?;
        let tables = summarise(&mut *tx, &outcome, &mut |_, bytes| pages.put(bytes))?;
        let pages = pages.digests();
        // Dropped, the transaction never was.
        drop(tx);
        let digest = Assessment::digest_of(&outcome);
        let assessment = Assessment { revision: proposal.revisions.len() as u64, head: mark.version, digest, outcome, tables, gates };
        let assessed = Assessed { write_id, mark, pages, assessment };
        assessments.put(&assessed)?;
        assessments.sweep(&mut |write_id| is_open(&mut *self.store.begin_read()?, write_id))?;
        if assessed.assessment.outcome.count >= self.large.shared_from || !assessed.assessment.gates.is_empty() {
            assessments.share(&assessed);
        }
        Ok(assessed)
    }

    /// True where a revision is merged into copies of its tables to find out what that does.
    fn is_beside(&mut self, revision: &Revision) -> Result<bool> {
        let (front, large) = (&revision.front, self.large);
        if front.count < large.beside_from || !front.schema.is_empty() {
            return Ok(false);
        }
        let is_own = |table: &str| front.shapes.iter().any(|shape| shape.table.eq_ignore_ascii_case(table));
        let mut tx = self.store.begin_read()?;
        if names_the_file(&mut *tx)? {
            return Ok(false);
        }
        let digests = tx.digests()?;
        let rows: u64 = digests.iter().filter(|digest| is_own(&digest.table)).map(|digest| digest.rows).sum();
        Ok(front.count > large.waited_for_max || rows <= front.count.saturating_mul(large.times))
    }

    /// A page of what merging would do, where that is still what the digest names.
    pub(super) fn assessed_page(&mut self, proposal: &Proposal, digest: &Digest, number: u64) -> Result<Option<Vec<u8>>> {
        // What others kept may be gone, and is then found again.
        for _ in 0..2 {
            let assessed = self.assess_whole(proposal)?;
            if assessed.assessment.digest != *digest || number >= assessed.assessment.outcome.pages {
                return Ok(None);
            }
            let page = self.with_assessments(|_, assessments| assessments.page(&assessed, number))?;
            if page.is_some() {
                return Ok(page);
            }
        }
        Ok(None)
    }

    /// In which rows two revisions differ. They stay what they are, so that it is found once.
    pub(super) fn compare_revisions(&mut self, proposal: &Proposal, earlier: u64, later: u64) -> Result<Option<Differing>> {
        let revision = |number: u64| {
            let at = usize::try_from(number.wrapping_sub(1)).unwrap_or(usize::MAX);
            let missing = || Error::not_found(format!("proposal {} has no revision {number}", proposal.id));
            proposal.revisions.get(at).map(|(_, _, revision)| revision).ok_or_else(missing)
        };
        let (earlier, later) = (revision(earlier)?, revision(later)?);
        let (first, second) = (earlier.front.header.write_id, later.front.header.write_id);
        self.with_assessments(|this, assessments| {
            if let Some(known) = assessments.compared(first, second)? {
                return Ok(Some(known));
            }
            let mut tx = this.store.begin_read()?;
            let pages = &mut |is_earlier: bool, page| tx.staged(if is_earlier { first } else { second }, page);
            let differing = compare(earlier, later, pages)?;
            if let Some(differing) = &differing {
                assessments.put_compared(first, second, differing)?;
            }
            Ok(differing)
        })
    }

    /// Forgets what was found of a proposal that is closed.
    pub(super) fn forget_assessments(&mut self, proposal: &Proposal) -> Result<()> {
        self.with_assessments(|_, assessments| assessments.close(proposal.head().front.header.write_id))
    }
}

/// True where a gate or a view may name tables as those of the file, which a copy does not stand before.
fn names_the_file(tx: &mut dyn Transaction) -> Result<bool> {
    let says_so = |sql: &str| sql.to_ascii_lowercase().contains("main");
    let policy = policy_text::parse(&tx.policy_text()?)?;
    let is_gate = policy.gates().iter().any(|gate| matches!(&gate.rule, Rule::NoRows { sql } if says_so(sql)));
    Ok(is_gate || tx.schema().objects.iter().any(|object| object.kind == "view" && says_so(&object.sql)))
}

/// True for the last revision of a proposal that is open.
fn is_open(tx: &mut dyn Transaction, write_id: u128) -> Result<bool> {
    let Some((id, number)) = tx.find_revision(write_id)? else { return Ok(false) };
    Ok(tx.proposal(id)?.is_some_and(|proposal| proposal.stage.is_open() && proposal.revisions.len() as u64 == number))
}
