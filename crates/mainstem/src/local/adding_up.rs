//! What somebody sent without review lately, added up: many small changesets are one large one (`review_above`).
//!
//! Invariant: it is counted inside the transaction that takes the changeset, from events and pages alone.
use crate::error::Result;
use crate::ledger::{Ledger, SentVersion};
use crate::primary::Pages;
use crate::store::Transaction;
use crate::wiring::Around;
use mainstem_core::change::{Change, Front, Shape};
use mainstem_core::format::{page, row};
use mainstem_core::policy::{Policy, Sent};
use mainstem_core::stamp::Time;
use std::collections::BTreeSet;

/// Changes that are looked at for one push, newest first: those before them count as a row each.
const LOOKED_AT_MAX: u64 = 20_000;

/// Whose a changeset is that is pushed. Where nobody knows people, their name is all there is.
pub(super) fn sender(front: &Front) -> String {
    front.sender.clone().unwrap_or_else(|| front.header.actor.to_lowercase())
}

/// A name for a row, by which it is counted once.
fn name(shape: &Shape, change: &Change) -> Vec<u8> {
    [shape.table.to_ascii_lowercase().as_bytes(), &[0], &row::encode_key(&change.key)].concat()
}

/// Why a changeset needs review with what its sender sent lately; none where it does not.
pub(super) fn reviewed_together(
    tx: &mut dyn Transaction,
    around: &Around,
    policy: &Policy,
    front: &Front,
    pages: &mut dyn Pages,
) -> Result<Option<String>> {
    // By the clock that versions are stamped with, which never goes back.
    let now = Time::from_ms(around.now_ms()).max(super::stamped(tx)?);
    let (Some(from), Some(above)) = (policy.added_up_from(now), policy.review_above()) else { return Ok(None) };
    let sent = tx.sent_since(&sender(front), from)?;
    let changes: u64 = sent.iter().map(|version| version.changes).sum();
    if changes.saturating_add(front.count) <= above {
        return Ok(None);
    }
    let mut rows = BTreeSet::new();
    pages.rewind()?;
    while let Some(page) = pages.next()? {
        rows.extend(page.iter().filter_map(|change| Some(name(front.shapes.get(change.table)?, change))));
        if rows.len() as u64 > front.count {
            // It holds more than it says, and is refused for that when it is merged.
            break;
        }
    }
    pages.rewind()?;
    let (mut earlier, mut looked_at) = (Vec::new(), 0);
    for version in sent {
        looked_at += version.changes;
        // More than may go without review is enough to know.
        let version = SentVersion { changes: version.changes.min(above.saturating_add(1)), ..version };
        let rows = if looked_at <= LOOKED_AT_MAX { rows_of(tx, version)? } else { unseen(version) };
        earlier.push(Sent { at: version.at, rows });
    }
    Ok(policy.reviewed_together(&earlier, &rows, now))
}

/// The rows of a version, those that wait among them.
fn rows_of(tx: &mut dyn Transaction, sent: SentVersion) -> Result<BTreeSet<Vec<u8>>> {
    let Some(version) = Ledger::version(tx, sent.version)? else { return Ok(unseen(sent)) };
    let mut rows: BTreeSet<Vec<u8>> = BTreeSet::new();
    for waiting in &version.waiting {
        rows.extend(version.shapes.get(waiting.change.table).map(|shape| name(shape, &waiting.change)));
    }
    for number in 0..version.pages {
        // What a cleanup took away counts in full.
        let Some(bytes) = Ledger::page(tx, version.version, number)? else { return Ok(unseen(sent)) };
        rows.extend(page::decode(&bytes, &version.shapes)?.iter().map(|change| name(&version.shapes[change.table], change)));
    }
    Ok(rows)
}

/// As many rows as there are changes, each one that nobody else changed.
fn unseen(sent: SentVersion) -> BTreeSet<Vec<u8>> {
    (0..sent.changes).map(|at| [&[0][..], &sent.version.to_be_bytes(), &at.to_be_bytes()].concat()).collect()
}
