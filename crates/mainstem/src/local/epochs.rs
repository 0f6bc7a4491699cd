//! What a primary is, which life of it this is, and who belongs to it.
//!
//! Invariant: the epoch is a fold of the ledger: the genesis' or that of the last restore.
use super::append;
use crate::error::{Error, Result};
use crate::primary::{Acquaintance, Description, Recent};
use crate::store::Transaction;
use crate::wiring::Around;
use mainstem_core::ErrorKind;
use mainstem_core::change::Front;
use mainstem_core::event::{Digest, Event, Genesis, Restored};
use mainstem_core::format::event as event_format;
use mainstem_core::planted::{self, Bug};
use mainstem_core::proposal::Stage;
use mainstem_core::stamp::Time;

/// Versions before its own that a snapshot names.
const RECENT_MAX: u64 = 1_000;

pub(super) fn genesis(tx: &mut dyn Transaction) -> Result<Genesis> {
    let Some((bytes, _)) = tx.event(1)? else { return Err(Error::corrupt("the primary has no first event")) };
    match event_format::decode(&bytes)? {
        Event::Genesis(genesis) => Ok(genesis),
        _ => Err(Error::corrupt("the primary's first event is not its genesis")),
    }
}

pub(super) fn describe(tx: &mut dyn Transaction) -> Result<Description> {
    let genesis = genesis(tx)?;
    let restored = tx.restored()?;
    Ok(Description {
        dataset: genesis.dataset,
        lineage: genesis.lineage,
        epoch: restored.as_ref().map_or(genesis.epoch, |r| r.epoch),
        head: tx.head()?,
        policy: tx.policy_text()?,
        tables: tx.digests()?,
        restored,
        horizon: tx.horizon()?,
        scope: Digest::default(),
    })
}

fn epoch(tx: &mut dyn Transaction, genesis: &Genesis) -> Result<u128> {
    Ok(tx.restored()?.map_or(genesis.epoch, |r| r.epoch))
}

pub(super) fn restore_in(tx: &mut dyn Transaction, around: &Around, from: &str, actor: &str) -> Result<Restored> {
    let genesis = genesis(tx)?;
    let restored = Restored {
        epoch: around.random(),
        before: epoch(tx, &genesis)?,
        version: tx.head()?.version,
        from: from.to_owned(),
        actor: actor.to_owned(),
        at: Time::from_ms(around.now_ms()),
    };
    append(tx, &Event::Restored(restored.clone()))?;
    Ok(restored)
}

/// Begins an epoch where the version is not known. Returns the one in force.
pub(super) fn begin_epoch(tx: &mut dyn Transaction, around: &Around, known: &Acquaintance, actor: &str) -> Result<u128> {
    let genesis = genesis(tx)?;
    let now = epoch(tx, &genesis)?;
    if genesis.lineage != known.lineage || now != known.epoch || tx.version_hash(known.version)? == Some(known.hash) {
        return Ok(now);
    }
    Ok(restore_in(tx, around, "a copy that somebody put in its place", actor)?.epoch)
}

/// Refuses a replica that belongs elsewhere, or that knows a version this primary never had.
pub(super) fn check_known(tx: &mut dyn Transaction, known: &Acquaintance) -> Result<()> {
    let genesis = genesis(tx)?;
    if planted::is(Bug::F5) {
        return Ok(());
    }
    if genesis.lineage != known.lineage {
        return Err(Error::new(
            ErrorKind::Conflict,
            "other_lineage",
            format!("the primary holds another dataset ({}); this replica was not cloned from it", genesis.dataset),
        )
        .hint("mainstem clone ADDRESS NEW.db to work on that dataset, or check the address with mainstem config remote"));
    }
    let is_here = epoch(tx, &genesis)? == known.epoch && tx.version_hash(known.version)? == Some(known.hash);
    let is_known = is_here || planted::is(Bug::F3);
    if !is_known {
        return Err(Error::new(
            ErrorKind::Conflict,
            "other_epoch",
            format!(
                "the primary does not have version {} as this replica knows it; it was restored from an older copy or replaced",
                known.version
            ),
        )
        .hint("mainstem bundle create FILE keeps your unsent work; then mainstem clone ADDRESS NEW.db"));
    }
    Ok(())
}

/// Refuses to take what goes by the name of a proposal for something that was lost: its author's copy would believe that it is
/// merged, and give up what it keeps. It may have been merged, and that lost; then it is merged again, by its votes.
pub(super) fn check_lost(tx: &mut dyn Transaction, front: &Front) -> Result<()> {
    let Some(again) = &front.again else { return Ok(()) };
    for write_id in [front.header.write_id].iter().chain(&again.stands_for) {
        if let Some((id, _)) = tx.find_revision(*write_id)?
            && tx.proposal(id)?.is_some_and(|proposal| proposal.stage != Stage::Merged)
        {
            let message = format!("what is offered again goes by the name of proposal {id}, and is merged as that");
            return Err(Error::new(ErrorKind::Denied, "review_required", message).hint("mainstem propose"));
        }
    }
    Ok(())
}

/// Refuses a replica that holds a part only: here everything is shown, and what it lacks would be taken for deleted.
pub(super) fn check_whole(known: &Acquaintance) -> Result<()> {
    if known.scope == Digest::default() { Ok(()) } else { Err(other_scope()) }
}

/// The replica stands on another scope than it is shown.
pub(crate) fn other_scope() -> Error {
    Error::new(ErrorKind::Conflict, "other_scope", "what this replica may see is not what it holds; it must begin again from a snapshot")
        .hint("mainstem sync")
}

/// How the versions before one are recognised, newest first.
pub(super) fn recent(tx: &mut dyn Transaction, head: u64) -> Result<Vec<Recent>> {
    let mut recent = Vec::new();
    for number in (head.saturating_sub(RECENT_MAX).max(1)..head).rev() {
        let lost = || Error::corrupt("a version is missing in the ledger");
        let (hash, version) = (tx.version_hash(number)?.ok_or_else(lost)?, tx.version(number)?.ok_or_else(lost)?);
        recent.push(Recent { version: number, hash, write_id: version.header.write_id });
    }
    Ok(recent)
}
