//! Ledger events in bytes, and the hash that chains them.
//!
//! Invariant: an event's hash covers the hash before it, so equal hashes mean equal histories.
use super::bytes::{Reader, Writer};
use super::{conflict, front, page, review, row, schema};
use crate::change::{Change, Shape};
use crate::digest;
use crate::error::Result;
use crate::event::{
    Collected, CollectedTombstones, Digest, Event, Genesis, PolicySet, Renumbered, Restored, TableDigest, Version, Waiting,
};
use crate::planted::{self, Bug};
use crate::stamp::{ReplicaId, Time};
use crate::value::{Key, Row};
use alloc::{format, string::String, vec::Vec};

const GENESIS: u64 = 1;
const VERSION: u64 = 2;
const POLICY: u64 = 3;
const COLLECTED: u64 = 4;
const RESTORED: u64 = 5;
const REVIEW: u64 = 6;

/// Encodes an event.
///
/// # Panics
/// Where a waiting change does not agree with the version's shapes, as [`page::encode`] does.
pub fn encode(event: &Event) -> Vec<u8> {
    let mut w = Writer::versioned();
    match event {
        Event::Genesis(genesis) => {
            w.varint(GENESIS);
            write_genesis(&mut w, genesis);
        }
        Event::Version(version) => {
            w.varint(VERSION);
            write_version(&mut w, version);
        }
        Event::Policy(policy) => {
            w.varint(POLICY);
            w.text(1, &policy.text);
            w.text(2, &policy.actor);
            w.number(3, policy.at.0);
        }
        Event::Collected(collected) => {
            w.varint(COLLECTED);
            write_collected(&mut w, collected);
        }
        Event::Restored(restored) => {
            w.varint(RESTORED);
            write_restored(&mut w, restored);
        }
        Event::Review(event) => {
            w.varint(REVIEW);
            review::write_reviewing(&mut w, event);
        }
    }
    w.0
}

/// Decodes an event.
pub fn decode(bytes: &[u8]) -> Result<Event> {
    let mut r = Reader::versioned("ledger event", bytes)?;
    match r.varint()? {
        GENESIS => read_genesis(&mut r).map(Event::Genesis),
        VERSION => read_version(&mut r).map(Event::Version),
        POLICY => read_policy(&mut r).map(Event::Policy),
        COLLECTED => read_collected(&mut r).map(Event::Collected),
        RESTORED => read_restored(&mut r).map(Event::Restored),
        REVIEW => review::read_reviewing(&mut r).map(Event::Review),
        other => Err(r.error(format!("{other} is no kind of event"))),
    }
}

/// The hash of an event that follows the event whose hash is `prev` (zeros for the first).
pub fn chain(prev: &Digest, bytes: &[u8]) -> Digest {
    let prev = if planted::is(Bug::T29) { &Digest::default() } else { prev };
    digest::of("mainstem event 1", &[prev, bytes])
}

fn write_genesis(w: &mut Writer, genesis: &Genesis) {
    w.wide(1, genesis.lineage);
    w.wide(2, genesis.epoch);
    w.text(3, &genesis.dataset);
    w.text(4, &genesis.actor);
    w.number(5, genesis.at.0);
    w.field(6, |w| schema::write_schema(w, &genesis.schema));
}

fn read_genesis(r: &mut Reader<'_>) -> Result<Genesis> {
    let (mut lineage, mut epoch, mut at, mut schema) = (0, 0, Time::default(), Default::default());
    let (mut dataset, mut actor) = (String::new(), String::new());
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => lineage = f.wide()?,
            2 => epoch = f.wide()?,
            3 => dataset = f.text()?,
            4 => actor = f.text()?,
            5 => at = Time(f.varint()?),
            6 => schema = schema::read_schema(&mut f)?,
            _ => continue,
        }
        f.finish()?;
    }
    Ok(Genesis { lineage, epoch, dataset, actor, at, schema })
}

fn read_policy(r: &mut Reader<'_>) -> Result<PolicySet> {
    let (mut text, mut actor, mut at) = (String::new(), String::new(), Time::default());
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => text = f.text()?,
            2 => actor = f.text()?,
            3 => at = Time(f.varint()?),
            _ => continue,
        }
        f.finish()?;
    }
    Ok(PolicySet { text, actor, at })
}

fn write_collected(w: &mut Writer, collected: &Collected) {
    w.text(1, &collected.actor);
    w.number(2, collected.at.0);
    w.number(3, collected.horizon);
    w.list(4, &collected.tombstones, |w, of| {
        w.varint(of.through);
        w.varint(of.until.0);
        w.varint(of.count);
        w.fixed(of.table.as_bytes());
    });
    w.list(5, &collected.expired, |w, replica| w.fixed(&replica.0.to_be_bytes()));
}

fn read_collected(r: &mut Reader<'_>) -> Result<Collected> {
    let mut collected = Collected::default();
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => collected.actor = f.text()?,
            2 => collected.at = Time(f.varint()?),
            3 => collected.horizon = f.varint()?,
            4 => collected.tombstones = f.list(4, read_collected_tombstones)?,
            5 => collected.expired = f.list(17, |item| item.wide().map(ReplicaId))?,
            _ => continue,
        }
        f.finish()?;
    }
    Ok(collected)
}

fn read_collected_tombstones(r: &mut Reader<'_>) -> Result<CollectedTombstones> {
    let (through, until, count) = (r.varint()?, Time(r.varint()?), r.varint()?);
    Ok(CollectedTombstones { table: r.text()?, through, until, count })
}

fn write_restored(w: &mut Writer, restored: &Restored) {
    w.wide(1, restored.epoch);
    w.wide(2, restored.before);
    w.number(3, restored.version);
    w.text(4, &restored.from);
    w.text(5, &restored.actor);
    w.number(6, restored.at.0);
}

fn read_restored(r: &mut Reader<'_>) -> Result<Restored> {
    let mut restored = Restored::default();
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => restored.epoch = f.wide()?,
            2 => restored.before = f.wide()?,
            3 => restored.version = f.varint()?,
            4 => restored.from = f.text()?,
            5 => restored.actor = f.text()?,
            6 => restored.at = Time(f.varint()?),
            _ => continue,
        }
        f.finish()?;
    }
    Ok(restored)
}

fn write_version(w: &mut Writer, version: &Version) {
    w.number(1, version.version);
    w.field(2, |w| front::write_header(w, &version.header));
    w.number(3, version.accepted_at.0);
    w.list(4, &version.schema, schema::write_change);
    w.list(5, &version.shapes, front::write_shape);
    w.number(6, version.count);
    w.number(7, version.pages);
    w.field(8, |w| w.fixed(&version.body));
    w.list(9, &version.renumbered, write_renumbered);
    w.list(10, &version.conflicts, conflict::write);
    w.list(11, &version.resolved, front::write_resolution);
    w.list(12, &version.waiting, |w, waiting| write_waiting(w, waiting, &version.shapes));
    w.list(13, &version.released, |w, (write_id, table, key)| {
        w.fixed(&write_id.to_be_bytes());
        w.bytes(table.as_bytes());
        row::write_values(w, key);
    });
    w.list(14, &version.tables, |w, table| {
        w.fixed(&table.sum);
        w.varint(table.rows);
        w.fixed(table.table.as_bytes());
    });
    w.list(15, &version.was, front::write_past);
    front::write_ids(w, 16, &version.stands_for);
    w.list(17, &version.renumbered_here, write_renumbered);
    if let Some(reviewed) = &version.review {
        w.field(18, |w| review::write_reviewed(w, reviewed));
    }
    w.option(19, version.token.as_deref());
    w.option(20, version.sender.as_deref());
}

fn read_version(r: &mut Reader<'_>) -> Result<Version> {
    let mut version = Version::default();
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => version.version = f.varint()?,
            2 => version.header = front::read_header(&mut f)?,
            3 => version.accepted_at = Time(f.varint()?),
            4 => version.schema = f.few(schema::read_change)?,
            5 => version.shapes = f.few(front::read_shape)?,
            6 => version.count = f.varint()?,
            7 => version.pages = f.varint()?,
            8 => version.body = f.array()?,
            9 => version.renumbered = f.list(9, read_renumbered)?,
            10 => version.conflicts = f.list(16, conflict::read)?,
            11 => version.resolved = f.list(4, front::read_resolution)?,
            12 => version.waiting = f.list(8, |item| read_waiting(item, &version.shapes))?,
            13 => version.released = f.list(18, read_released)?,
            14 => version.tables = f.list(34, read_table_digest)?,
            15 => version.was = f.list(17, front::read_past)?,
            16 => version.stands_for = f.list(16, Reader::wide)?,
            17 => version.renumbered_here = f.list(9, read_renumbered)?,
            18 => version.review = Some(review::read_reviewed(&mut f)?),
            19 => version.token = Some(f.text()?),
            20 => version.sender = Some(f.text()?),
            _ => continue,
        }
        f.finish()?;
    }
    Ok(version)
}

pub(super) fn write_renumbered(w: &mut Writer, renumbered: &Renumbered) {
    w.text(1, &renumbered.table);
    w.field(2, |w| w.signed(renumbered.from));
    w.field(3, |w| w.signed(renumbered.to));
    w.field(4, |w| row::write_values(w, &renumbered.row));
    w.texts(5, &renumbered.columns);
}

pub(super) fn read_renumbered(r: &mut Reader<'_>) -> Result<Renumbered> {
    let (mut table, mut from, mut to) = (String::new(), 0, 0);
    let (mut row, mut columns) = (Row::new(), Vec::new());
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => table = f.text()?,
            2 => from = f.signed()?,
            3 => to = f.signed()?,
            4 => row = row::read_values(&mut f)?,
            5 => columns = f.texts()?,
            _ => continue,
        }
        f.finish()?;
    }
    if row.len() != columns.len() {
        return Err(fields.error(format!("a renumbered row of {table} has {} of {} columns", row.len(), columns.len())));
    }
    Ok(Renumbered { table, from, to, row, columns })
}

fn write_waiting(w: &mut Writer, waiting: &Waiting, shapes: &[Shape]) {
    w.text(1, &waiting.table);
    w.field(2, |w| row::write_values(w, &waiting.key));
    w.text(3, &waiting.parent);
    w.field(4, |w| row::write_values(w, &waiting.parent_key));
    w.field(5, |w| w.fixed(&page::encode(shapes, core::slice::from_ref(&waiting.change))));
}

fn read_waiting(r: &mut Reader<'_>, shapes: &[Shape]) -> Result<Waiting> {
    let (mut table, mut parent) = (String::new(), String::new());
    let (mut key, mut parent_key, mut change) = (Key::new(), Key::new(), None);
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => table = f.text()?,
            2 => key = row::read_values(&mut f)?,
            3 => parent = f.text()?,
            4 => parent_key = row::read_values(&mut f)?,
            5 => {
                let one = <[Change; 1]>::try_from(page::decode(f.all(), shapes)?);
                change = one.ok().map(|[change]| change);
            }
            _ => continue,
        }
        f.finish()?;
    }
    let change = change.ok_or_else(|| fields.error("what waits for a parent is not one change"))?;
    Ok(Waiting { table, key, parent, parent_key, change })
}

fn read_released(r: &mut Reader<'_>) -> Result<(u128, String, Key)> {
    Ok((r.wide()?, r.nested()?.text()?, row::read_values(r)?))
}

fn read_table_digest(r: &mut Reader<'_>) -> Result<TableDigest> {
    Ok(TableDigest { sum: r.array()?, rows: r.varint()?, table: r.text()? })
}
