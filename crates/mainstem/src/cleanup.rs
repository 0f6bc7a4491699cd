//! What a primary may forget: tombstones that have expired, and row changes of old versions.
//!
//! Invariant: nothing is removed that a known replica which is not expired has not heard of.
//! Invariant: an expired replica that the horizon passes is marked in the transaction that moves the horizon.
//! Deliberately absent: rows and events. A cleanup changes no row and no digest, and the chain of events stays whole.
use crate::error::{Error, Result};
use crate::ledger::{BuriedCount, Ledger, ProposalsWanted};
use crate::local::{append, awaiting};
use crate::policy_text;
use crate::primary::{KnownReplica, Seen};
use crate::store::Transaction;
use mainstem_core::ErrorKind;
use mainstem_core::event::{Collected, CollectedTombstones, Event};
use mainstem_core::policy::{Life, Policy};
use mainstem_core::proposal::Stage;
use mainstem_core::stamp::Time;

/// How long a replica that says the same again is not noted again: noting costs a write, and lives are counted in days.
const SEEN_AGAIN_MS: u64 = 60 * 60 * 1000;

/// Whether a cleanup is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rehearsal {
    /// It is done and undone, to see what it would do.
    DryRun,
    /// It is meant.
    Real,
}

/// What a cleanup did, and what it left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleanup {
    /// What was removed, as the ledger's event says it.
    pub collected: Collected,
    /// The horizon before.
    pub horizon_before: u64,
    /// The latest version.
    pub head: u64,
    /// Pages of row changes that were removed.
    pub pages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Tombstones that have not expired, by table.
    pub living: Vec<Living>,
    /// Replicas that have not heard of tombstones which have expired, or that hold the horizon back.
    pub holding: Vec<Holding>,
    /// The version on which the oldest change that waits for its parent was made: the horizon stays there.
    pub waiting: Option<u64>,
    /// The version on which the oldest open proposal was made: the horizon stays there, too.
    pub proposed: Option<u64>,
    /// How long the policy keeps row changes, and the version up to which that is over.
    pub history: (Life, u64),
}

impl Cleanup {
    /// True where nothing was removed.
    pub fn is_nothing(&self) -> bool {
        self.collected.tombstones.is_empty() && self.collected.horizon == self.horizon_before
    }
}

/// Tombstones of one table that are kept because they have not expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Living {
    /// The table.
    pub table: String,
    /// How many.
    pub count: u64,
    /// When the first of them expires; none where they are kept for ever.
    pub first: Option<Time>,
}

/// What one replica holds back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The replica.
    pub replica: KnownReplica,
    /// Tombstones that have expired and that it has not heard of.
    pub tombstones: u64,
    /// True where the horizon could move further without it.
    pub holds_horizon: bool,
}

/// Refuses what stands on a version before the horizon: what happened to its rows since is not known any more.
pub fn check_horizon(tx: &mut (impl Ledger + ?Sized), version: u64) -> Result<()> {
    let horizon = tx.horizon()?;
    if version >= horizon {
        return Ok(());
    }
    let message = format!("version {version} is older than version {horizon}, before which the primary keeps no row changes");
    Err(Error::new(ErrorKind::Conflict, "behind_horizon", message)
        .hint("mainstem bundle create FILE keeps your unsent work; then mainstem clone ADDRESS NEW.db"))
}

/// The replicas the primary knows of, and whether they are expired by the policy in force.
pub(crate) fn replicas(tx: &mut dyn Transaction, now_ms: u64) -> Result<Vec<KnownReplica>> {
    let life = policy_text::parse(&tx.policy_text()?)?.replicas();
    let mut replicas = tx.replicas()?;
    for replica in &mut replicas {
        replica.is_expired = is_over(life, replica.at, now_ms);
    }
    Ok(replicas)
}

/// True where what a replica says is worth a write.
pub(crate) fn is_news(tx: &mut dyn Transaction, seen: &Seen, now: Time) -> Result<bool> {
    let is_known = |r: KnownReplica| r.seen == *seen && !r.must_reseed && now.ms() < r.at.ms().saturating_add(SEEN_AGAIN_MS);
    Ok(!tx.replica(seen.replica)?.is_some_and(is_known))
}

/// True where a life that began then is over.
pub(crate) fn is_over(life: Life, began: Time, now_ms: u64) -> bool {
    life.end_ms(began.ms()).is_some_and(|end| end <= now_ms)
}

/// The version that every replica which is not expired has reached.
pub(crate) fn reached(replicas: &[KnownReplica], head: u64) -> u64 {
    replicas.iter().filter(|r| holds(r)).map(|r| r.seen.version).min().unwrap_or(head).min(head)
}

fn holds(replica: &KnownReplica) -> bool {
    !replica.is_expired && !replica.must_reseed
}

/// The version on which the oldest open proposal was made.
fn open_proposals(tx: &mut dyn Transaction) -> Result<Option<u64>> {
    let stages = Stage::ALL.into_iter().filter(|stage| stage.is_open()).collect();
    let ids = tx.proposals(&ProposalsWanted { stages, limit: usize::MAX, ..ProposalsWanted::default() })?;
    let mut oldest = None;
    for id in ids {
        let base = tx.proposal(id)?.map(|proposal| proposal.head().front.header.base_version);
        oldest = oldest.into_iter().chain(base).min();
    }
    Ok(oldest)
}

/// Removes what may go, as one event, inside a transaction of the caller's.
pub(crate) fn cleanup(tx: &mut dyn Transaction, now_ms: u64, actor: &str) -> Result<Cleanup> {
    let policy = policy_text::parse(&tx.policy_text()?)?;
    let head = tx.head()?.version;
    let replicas = replicas(tx, now_ms)?;
    let cursor = reached(&replicas, head);
    let mut tally = Tally { policy: &policy, now_ms, cursor, removed: Vec::new(), living: Vec::new(), unheard: vec![0; replicas.len()] };
    tx.tombstone_counts(&mut |count| {
        tally.count(count, &replicas);
        Ok(())
    })?;
    let Tally { removed, living, unheard, .. } = tally;
    let horizon_before = tx.horizon()?;
    let aged = aged(tx, &policy, now_ms)?;
    let waiting = awaiting(tx)?.iter().map(|waiting| waiting.made_on).min();
    let proposed = open_proposals(tx)?;
    let wanted = aged.min(waiting.unwrap_or(head)).min(proposed.unwrap_or(head));
    // Version 1 came as a snapshot: it has no row changes that could go.
    let horizon = horizon_before.max(Some(wanted.min(cursor)).filter(|&version| version > 1).unwrap_or(0));
    let is_passed = |r: &&KnownReplica| r.is_expired && !r.must_reseed && r.seen.version < horizon;
    let collected = Collected {
        actor: actor.to_owned(),
        at: Time::from_ms(now_ms),
        horizon,
        tombstones: removed,
        expired: replicas.iter().filter(is_passed).map(|r| r.seen.replica).collect(),
    };
    let holding = replicas.iter().zip(unheard).filter(|(r, _)| holds(r)).map(|(replica, tombstones)| {
        let holds_horizon = replica.seen.version < wanted;
        Holding { replica: replica.clone(), tombstones, holds_horizon }
    });
    let holding = holding.filter(|h| h.tombstones > 0 || h.holds_horizon).collect();
    let mut done = Cleanup {
        collected,
        horizon_before,
        head,
        pages: 0,
        bytes: 0,
        living,
        holding,
        waiting,
        proposed,
        history: (policy.history(), aged),
    };
    if !done.is_nothing() {
        let before = tx.page_sizes()?;
        append(tx, &Event::Collected(done.collected.clone()))?;
        for replica in replicas.iter().filter(is_passed) {
            tx.put_replica(&KnownReplica { must_reseed: true, ..replica.clone() })?;
        }
        let after = tx.page_sizes()?;
        (done.pages, done.bytes) = (before.0 - after.0, before.1 - after.1);
    }
    Ok(done)
}

/// The version up to which the policy keeps row changes no longer.
fn aged(tx: &mut dyn Transaction, policy: &Policy, now_ms: u64) -> Result<u64> {
    match policy.history().begin_ms(now_ms) {
        Some(until) => tx.accepted_until(Time::from_ms(until)),
        None => Ok(0),
    }
}

/// Sorts tombstones into those that go and those that stay.
struct Tally<'a> {
    policy: &'a Policy,
    now_ms: u64,
    cursor: u64,
    removed: Vec<CollectedTombstones>,
    living: Vec<Living>,
    /// For each replica, the expired tombstones it has not heard of.
    unheard: Vec<u64>,
}

impl Tally<'_> {
    fn count(&mut self, buried: &BuriedCount, replicas: &[KnownReplica]) {
        let life = self.policy.table(&buried.table).tombstones;
        let (table, count) = (&buried.table, buried.count);
        let Some(until) = life.begin_ms(self.now_ms).filter(|&until| buried.accepted_at.ms() <= until) else {
            let end = life.end_ms(buried.accepted_at.ms()).map(Time::from_ms);
            match self.living.iter_mut().find(|l| l.table == *table) {
                Some(living) => {
                    living.count += count;
                    living.first = living.first.min(end);
                }
                None => self.living.push(Living { table: table.clone(), count, first: end }),
            }
            return;
        };
        for (unheard, replica) in self.unheard.iter_mut().zip(replicas) {
            *unheard += if replica.seen.version < buried.version { count } else { 0 };
        }
        if buried.version > self.cursor {
            return;
        }
        match self.removed.iter_mut().find(|r| r.table == *table) {
            Some(removed) => removed.count += count,
            None => {
                let (through, until) = (self.cursor, Time::from_ms(until));
                self.removed.push(CollectedTombstones { table: table.clone(), through, until, count });
            }
        }
    }
}
