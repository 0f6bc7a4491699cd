//! Whether what was found out of a proposal holds on a later head, so that nobody merges it again to find out the same.
//!
//! Invariant: where it is said to hold, a merge on the later head comes to the same rows, conflicts and digest. Merging reads the
//! proposal's tables, those that foreign keys lead to from them in either direction, conflicts, what waits, and the policy.
use crate::error::Result;
use crate::policy_text;
use crate::store::Transaction;
use mainstem_core::event::{Event, Version};
use mainstem_core::format::event;
use mainstem_core::proposal::{Assessment, Proposal};
use mainstem_core::schema::Schema;
use std::collections::BTreeSet;

/// The most events that are looked at; after more, the merge is done again.
const EVENTS_MAX: u64 = 256;

/// Tables that foreign keys connect with some, themselves included, without letter case.
fn connected(schema: &Schema, mut tables: BTreeSet<String>) -> BTreeSet<String> {
    loop {
        let before = tables.len();
        for table in &schema.tables {
            let name = table.name.to_ascii_lowercase();
            for link in &table.foreign_keys {
                let parent = link.parent.to_ascii_lowercase();
                if tables.contains(&name) {
                    tables.insert(parent);
                } else if tables.contains(&parent) {
                    tables.insert(name.clone());
                }
            }
        }
        if tables.len() == before {
            return tables;
        }
    }
}

/// True for a version of other tables' rows alone.
fn is_elsewhere(version: &Version, tables: &BTreeSet<String>) -> bool {
    let is_plain = version.schema.is_empty()
        && version.conflicts.is_empty()
        && version.resolved.is_empty()
        && version.waiting.is_empty()
        && version.released.is_empty()
        && version.renumbered.is_empty()
        && version.renumbered_here.is_empty();
    is_plain && version.shapes.iter().all(|shape| !tables.contains(&shape.table.to_ascii_lowercase()))
}

/// An assessment as it is on the head, where that needs no merge: made after so many events, with the policy that is in force.
pub(super) fn carried(tx: &mut dyn Transaction, proposal: &Proposal, assessment: &Assessment, events: u64) -> Result<Option<Assessment>> {
    let head = tx.head()?;
    let front = &proposal.head().front;
    let is_narrow = front.schema.is_empty() && assessment.outcome.schema.is_empty() && head.events.saturating_sub(events) <= EVENTS_MAX;
    if !is_narrow || !policy_text::parse(&tx.policy_text()?)?.gates().is_empty() {
        return Ok(None);
    }
    let shapes = front.shapes.iter().chain(&assessment.outcome.shapes);
    let tables = connected(&tx.schema(), shapes.map(|shape| shape.table.to_ascii_lowercase()).collect());
    for index in events + 1..=head.events {
        let Some((bytes, _)) = tx.event(index)? else { return Ok(None) };
        let is_harmless = match event::decode(&bytes)? {
            Event::Review(_) => true,
            Event::Version(version) => is_elsewhere(&version, &tables),
            _ => false,
        };
        if !is_harmless {
            return Ok(None);
        }
    }
    let mut on_head = assessment.clone();
    let outcome = &mut on_head.outcome;
    for conflict in outcome.conflicts.iter_mut().filter(|conflict| conflict.version == outcome.version) {
        conflict.version = head.version + 1;
    }
    (on_head.head, outcome.version) = (head.version, head.version + 1);
    for digest in tx.digests()? {
        let is_other = !tables.contains(&digest.table.to_ascii_lowercase());
        if let Some(told) = outcome.tables.iter_mut().find(|told| is_other && told.table == digest.table) {
            *told = digest;
        }
    }
    Ok(Some(on_head))
}
