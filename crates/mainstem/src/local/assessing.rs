//! What merging a proposal would do now: the merge itself, in a transaction that is then undone.
//!
//! Invariant: nothing of it is written; its pages are kept beside the ledger until they tell something else.
use super::accepting::{Accepting, accept};
use super::carrying::carried;
use super::pages::SetOut;
use super::reviewing::closed;
use super::{LocalPrimary, genesis};
use crate::error::{Error, Result};
use crate::gates::{self, Changed};
use crate::ledger::Ledger;
use crate::policy_text;
use crate::store::{Scratch, Store, Transaction};
use crate::wiring::Around;
use mainstem_core::change::Front;
use mainstem_core::digest::{self, Body};
use mainstem_core::event::{Digest, Version};
use mainstem_core::format::{page, review};
use mainstem_core::gate::GateResult;
use mainstem_core::policy::{Entry, Policy};
use mainstem_core::proposal::{Assessment, Origin, Proposal, Revision, TableSummary};
use mainstem_core::stamp::ReplicaId;

/// Where an assessment was made. It holds for as long as the version and the policy are the same, and may hold longer.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    version: u64,
    events: u64,
    policy: Digest,
}

impl Mark {
    fn now(tx: &mut dyn Transaction) -> Result<Mark> {
        let head = tx.head()?;
        let policy = digest::of("mainstem policy 1", &[tx.policy_text()?.as_bytes()]);
        Ok(Mark { version: head.version, events: head.events, policy })
    }

    fn bytes(&self) -> Vec<u8> {
        [&self.version.to_be_bytes()[..], &self.events.to_be_bytes(), &self.policy].concat()
    }

    /// The mark that kept bytes begin with, and the rest of them.
    fn read(kept: &[u8]) -> Option<(Mark, &[u8])> {
        let (version, rest) = kept.split_first_chunk()?;
        let (events, rest) = rest.split_first_chunk()?;
        let (policy, rest) = rest.split_first_chunk()?;
        Some((Mark { version: u64::from_be_bytes(*version), events: u64::from_be_bytes(*events), policy: *policy }, rest))
    }
}

fn names(write_id: u128) -> (String, String) {
    (format!("assessment {write_id:032x}"), format!("outcome {write_id:032x} "))
}

/// Sets the rows of a revision out beside the transaction, and checks that they are those that were offered.
pub(super) fn set_out(tx: &mut dyn Transaction, scratch: &mut dyn Scratch, proposal: &Proposal) -> Result<()> {
    let revision = proposal.head();
    let write_id = revision.front.header.write_id;
    let done = format!("set out {write_id:032x}");
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
    let of = |table: &str| TableSummary { table: table.to_owned(), ..TableSummary::default() };
    let mut tables: Vec<TableSummary> = version.shapes.iter().map(|shape| of(&shape.table)).collect();
    for number in 0..version.pages {
        let bytes = Ledger::page(tx, version.version, number)?.ok_or_else(|| Error::corrupt("a version lacks one of its pages"))?;
        for change in page::decode(&bytes, &version.shapes)? {
            tables[change.table].add(&change.edit);
        }
        each(number, &bytes)?;
    }
    Ok(tables)
}

/// An assessment, and where its pages are kept.
pub(super) struct Assessed {
    pub assessment: Assessment,
    pages: String,
}

impl Assessed {
    /// Where a page is kept.
    pub fn page(&self, number: u64) -> String {
        format!("{}{number}", self.pages)
    }
}

impl<S: Store> LocalPrimary<S> {
    /// Runs `work` with a place for what can be made again, which lasts as long as this primary.
    pub(super) fn with_scratch<T>(&mut self, work: impl FnOnce(&mut Self, &mut dyn Scratch) -> Result<T>) -> Result<T> {
        let mut scratch = match self.assessed.take() {
            Some(scratch) => scratch,
            None => self.store.scratch()?,
        };
        let done = work(self, &mut *scratch);
        self.assessed = Some(scratch);
        done
    }

    /// What merging a proposal would do now, with where its pages are kept.
    pub(super) fn assess_whole(&mut self, proposal: &Proposal) -> Result<Assessed> {
        let assessment = self.assess(proposal)?;
        Ok(Assessed { assessment, pages: names(proposal.head().front.header.write_id).1 })
    }

    /// What merging a proposal would do now.
    pub(super) fn assess(&mut self, proposal: &Proposal) -> Result<Assessment> {
        self.absorb()?;
        self.with_scratch(|this, scratch| {
            let write_id = proposal.head().front.header.write_id;
            let (name, _) = names(write_id);
            let kept = scratch.get(&name)?;
            let Some((before, kept)) = kept.as_deref().and_then(Mark::read) else { return this.assess_anew(scratch, proposal) };
            let mut tx = this.store.begin_read()?;
            let now = Mark::now(&mut *tx)?;
            if before.policy == now.policy {
                let assessment = review::decode_assessment(kept)?;
                if before.version == now.version {
                    return Ok(assessment);
                }
                if let Some(carried) = carried(&mut *tx, proposal, &assessment, before.events)? {
                    scratch.put(&name, &[now.bytes(), review::encode_assessment(&carried)].concat())?;
                    return Ok(carried);
                }
            }
            drop(tx);
            this.assess_anew(scratch, proposal)
        })
    }

    fn assess_anew(&mut self, scratch: &mut dyn Scratch, proposal: &Proposal) -> Result<Assessment> {
        let revision = proposal.head();
        let (name, outcome_name) = names(revision.front.header.write_id);
        let mut tx = self.store.begin()?;
        let now = Mark::now(&mut *tx)?;
        let head = tx.head()?.version;
        set_out(&mut *tx, scratch, proposal)?;
        let mut gates = Vec::new();
        let outcome = merge_in(&mut *tx, &self.around, scratch, revision, &mut |_, _, results| {
            gates = results;
            Ok(())
        })?;
        scratch.forget(&outcome_name)?;
        let tables = summarise(&mut *tx, &outcome, &mut |number, bytes| scratch.put(&format!("{outcome_name}{number}"), bytes))?;
        // Dropped, the transaction never was.
        drop(tx);
        let digest = Assessment::digest_of(&outcome);
        let assessment = Assessment { revision: proposal.revisions.len() as u64, head, digest, outcome, tables, gates };
        scratch.put(&name, &[now.bytes(), review::encode_assessment(&assessment)].concat())?;
        Ok(assessment)
    }

    /// A page of what merging would do, where that is still what the digest names.
    pub(super) fn assessed_page(&mut self, proposal: &Proposal, digest: &Digest, number: u64) -> Result<Option<Vec<u8>>> {
        let assessment = self.assess(proposal)?;
        if assessment.digest != *digest {
            return Ok(None);
        }
        let (_, outcome) = names(proposal.head().front.header.write_id);
        self.with_scratch(|_, scratch| scratch.get(&format!("{outcome}{number}")))
    }
}
