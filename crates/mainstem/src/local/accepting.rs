//! How a changeset becomes a version, and how what waited for a parent does.
use super::append;
use super::pages::OnePage;
use crate::body::{Body, Written};
use crate::error::Result;
use crate::ledger::Ledger;
use crate::policy_text;
use crate::primary::Pages;
use crate::rebase::{Awaiting, Outcome, Place, rebase};
use crate::store::Transaction;
use crate::wiring::Around;
use mainstem_core::change::{Front, Header};
use mainstem_core::conflict::Conflict;
use mainstem_core::event::{Event, Version, Waiting};
use mainstem_core::policy::Policy;
use mainstem_core::stamp::{ReplicaId, Time};
use mainstem_core::value::Key;

/// When the last version was accepted. The next one is not earlier, whatever the clock says meanwhile: who heard of the last
/// can only go on from there.
pub(super) fn stamped(tx: &mut dyn Transaction) -> Result<Time> {
    let head = tx.head()?.version;
    Ok(tx.version(head)?.map_or(Time::default(), |version| version.accepted_at))
}

/// A version's event around what was written.
pub(super) fn version_of(version: u64, header: Header, accepted_at: Time, written: Written) -> Version {
    Version {
        version,
        header,
        accepted_at,
        shapes: written.shapes,
        count: written.count,
        pages: written.pages,
        body: written.body,
        tables: written.tables,
        ..Version::default()
    }
}

/// What is accepted, and by which rules.
pub(super) struct Accepting<'a> {
    pub policy: &'a Policy,
    pub front: &'a Front,
    pub around: &'a Around,
    pub primary: ReplicaId,
    pub released: Vec<(u128, String, Key)>,
}

/// Looks at a version when its rows are in place and before it is appended; an error stops it.
pub(super) type Seal<'a> = &'a mut dyn FnMut(&mut dyn Transaction, &mut Version) -> Result<()>;

/// Merges one changeset onto the head and appends what came of it.
pub(super) fn accept(tx: &mut dyn Transaction, accepting: Accepting<'_>, pages: &mut dyn Pages, seal: Seal<'_>) -> Result<Option<Version>> {
    let Accepting { policy, front, around, primary, mut released } = accepting;
    let head = tx.head()?;
    let known = tx.digests()?;
    let place = Place { head: head.version, version: head.version + 1, primary };
    let mut body = Body::new(place.version, &tx.schema(), &known);
    let outcome = rebase(tx, policy, front, pages, place, &mut body)?;
    if !released.is_empty() && !outcome.waiting.is_empty() {
        return Ok(None);
    }
    let Outcome { schema, mut conflicts, waiting, mut renumbered, released: superseded, .. } = outcome;
    released.extend(superseded);
    for conflict in &front.conflicts {
        if tx.conflict(conflict.id)?.is_none() && conflicts.iter().all(|c| c.id != conflict.id) {
            conflicts.push(Conflict { version: place.version, ..conflict.clone() });
        }
    }
    let tables = tx.schema();
    let waiting: Vec<Waiting> = waiting
        .into_iter()
        .map(|mut w| {
            w.change.table = body.shape(&tables.tables[w.change.table]);
            w
        })
        .collect();
    let written = body.finish(tx)?;
    let now = Time::from_ms(around.now_ms()).max(stamped(tx)?);
    let mut version = version_of(place.version, front.header.clone(), now.max(front.header.at), written);
    if let Some(again) = &front.again {
        renumbered.extend(again.renumbered.iter().cloned());
        version.was.clone_from(&again.was);
        version.stands_for.clone_from(&again.stands_for);
    }
    version.resolved = answered(tx, front)?;
    version.token.clone_from(&front.token);
    version.sender.clone_from(&front.sender);
    version.schema = schema.into_iter().map(|(_, step)| step).collect();
    version.conflicts = conflicts;
    version.waiting = waiting;
    version.renumbered = renumbered;
    let own = front.renumbered_here.iter().filter(|here| here.made_by == front.header.write_id);
    version.renumbered_here = own.map(|here| here.row.clone()).collect();
    version.released = released;
    seal(tx, &mut version)?;
    append(tx, &Event::Version(version.clone()))?;
    Ok(Some(version))
}

/// The resolutions that answer a conflict which is open.
fn answered(tx: &mut dyn Transaction, front: &Front) -> Result<Vec<mainstem_core::change::Resolution>> {
    let mut resolved = Vec::new();
    for resolution in &front.resolutions {
        if tx.conflict(resolution.conflict)?.is_some_and(|c| c.is_open()) {
            resolved.push(resolution.clone());
        }
    }
    Ok(resolved)
}

/// What waits for a parent, oldest first.
pub(crate) fn awaiting(tx: &mut dyn Transaction) -> Result<Vec<Awaiting>> {
    let waiting = Ledger::waiting(tx)?.into_iter();
    let with_beginning = |(version, waiting): (Version, Waiting)| {
        let made_on = first_made_on(tx, &version, &waiting)?;
        Ok(Awaiting { version, waiting, made_on })
    };
    waiting.map(with_beginning).collect()
}

/// The version that a change which waits was made on; where it goes on from one that waited, that one was.
fn first_made_on(tx: &mut dyn Transaction, version: &Version, waiting: &Waiting) -> Result<u64> {
    let is_it = |(_, table, key): &&(u128, String, Key)| *table == waiting.table && *key == waiting.key;
    let (mut made_on, mut before) = (version.header.base_version, version.released.iter().find(is_it).cloned());
    while let Some((write_id, ..)) = before {
        let Some(number) = tx.find_write(write_id)? else { break };
        let Some(earlier) = tx.version(number)? else { break };
        made_on = made_on.min(earlier.header.base_version);
        before = earlier.released.iter().find(is_it).cloned();
    }
    Ok(made_on)
}

/// Lets in what waited for a parent that is there now, each author's work as a version of its own.
pub(super) fn release(tx: &mut dyn Transaction, around: &Around, primary: ReplicaId) -> Result<()> {
    let policy = policy_text::parse(&tx.policy_text()?)?;
    loop {
        let mut is_done = true;
        for (version, waiting) in tx.waiting()? {
            if !parent_is_there(tx, &waiting)? {
                continue;
            }
            let mut front = Front { header: version.header.clone(), shapes: version.shapes.clone(), count: 1, ..Front::default() };
            front.header.write_id = around.random();
            front.header.sequence = 0;
            let mut pages = OnePage { change: Some(waiting.change.clone()), is_read: false };
            let released = vec![(version.header.write_id, waiting.table.clone(), waiting.key.clone())];
            let accepting = Accepting { policy: &policy, front: &front, around, primary, released };
            is_done &= accept(tx, accepting, &mut pages, &mut |_, _| Ok(()))?.is_none();
        }
        if is_done {
            return Ok(());
        }
    }
}

fn parent_is_there(tx: &mut dyn Transaction, waiting: &Waiting) -> Result<bool> {
    let schema = tx.schema();
    let (Some(child), Some(parent)) =
        (schema.table(&waiting.table), schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(&waiting.parent)))
    else {
        return Ok(false);
    };
    for link in
        child.foreign_keys.iter().filter(|l| l.parent.eq_ignore_ascii_case(&waiting.parent) && l.columns.len() == waiting.parent_key.len())
    {
        if let Some((_, columns)) = crate::rebase::parent_of(&schema, link)
            && !tx.find(parent, &columns, &waiting.parent_key, 1)?.is_empty()
        {
            return Ok(true);
        }
    }
    Ok(false)
}
