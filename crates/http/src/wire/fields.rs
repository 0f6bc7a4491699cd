//! Every type of [`mainstem::primary::Primary`] as fields in order.
use super::{Bytes, Wire, records, variants};
use mainstem::audit::{Finding, Link, Subject};
use mainstem::cleanup::{Cleanup, Holding, Living, Rehearsal};
use mainstem::core::change::{Cell, Change, Choice, Edit, Front, Header, Past, Shape};
use mainstem::core::chronicle::Chronicle;
use mainstem::core::conflict::Conflict;
use mainstem::core::error::{Error, Result};
use mainstem::core::event::{Collected, CollectedTombstones, Digest, Event, Restored, TableDigest, Version, Waiting};
use mainstem::core::format::{self, Reader, Writer};
use mainstem::core::policy::Life;
use mainstem::core::schema::Schema;
use mainstem::core::stamp::{ReplicaId, Time};
use mainstem::history::{Blame, CellBlame, Contributor, Gone, Happening, Origin, RenumberedAway, RowHistory, RowPlace, Rule};
use mainstem::ledger::{Head, Touch};
use mainstem::primary::{Acquaintance, Cursor, Deleted, Description, Item, KnownReplica, Pull, Pushed, Recent, Seen, SnapshotStart};
use mainstem::tombstones::{State, Tombstone, TombstoneId, Wanted, Why};

records! {
    Head { events, hash, version }
    Description { dataset, lineage, epoch, head, policy, tables, restored, horizon, scope }
    TableDigest { table, rows, sum }
    Restored { epoch, before, version, from, actor, at }
    Acquaintance { lineage, epoch, version, hash, scope }
    Cursor { version, page }
    Pull { from, items, next, is_last, policy, head, scope }
    SnapshotStart { description, schema, head, hash, recent, conflicts, waiting }
    Recent { version, hash, write_id }
    Seen { replica, actor, version }
    KnownReplica { seen, at, is_expired, must_reseed }
    Deleted { key, version, image }
    Waiting { table, key, parent, parent_key, change }
    Shape { table, columns, key, is_numbered, highest }
    Change { table, key, edit, at, moved_from }
    Cell { column, before, after, at }
    Header { write_id, lineage, replica, sequence, base_version, actor, title, description, at, made_on }
    Past { epoch, version }
    RowPlace { table, key, version }
    RowHistory { happenings, next, published, collected }
    Happening {
        version, header, accepted_at, shape, change, moved_to, renumbered_from, is_released, conflicts, answered,
    }
    Blame { key_columns, cells, gone, moved, renumbered_from, renumbered_away }
    CellBlame { column, value, origin }
    Origin { version, header, accepted_at, at, rule, contributors, conflicts }
    Contributor { version, actor, replica, value }
    RenumberedAway { version, actor, replica, to }
    Gone { deletion }
    Wanted { version, place, table, key, actor, since, after }
    Tombstone {
        id, table, key, key_columns, image, version, actor, replica, at, accepted_at, why, expires, state, is_there,
    }
    TombstoneId { version, place }
    Collected { actor, at, horizon, tombstones, expired }
    CollectedTombstones { table, through, until, count }
    Cleanup { collected, horizon_before, head, pages, bytes, living, holding, waiting, history, proposed }
    Living { table, count, first }
    Holding { replica, tombstones, holds_horizon }
    Finding { subject, position, version, what }
}

variants! {
    Edit { 1 => Insert(row), 2 => Update(cells), 3 => Delete(row) }
    Pushed {
        1 => Accepted { version, conflicts, conflicts_open, waiting, renumbered },
        2 => Already { version },
        3 => Gap { expected },
        4 => Reused,
        5 => Outside { rows },
    }
    Rule {
        1 => Published, 2 => Written, 3 => Merged(how), 4 => Resolved { conflict, choice }, 5 => Direct, 6 => Released,
        7 => ColumnAdded, 8 => Collected,
    }
    Choice { 1 => Ours, 2 => Theirs, 3 => Base, 4 => Value, 5 => Merged }
    Why {
        1 => Changeset { title, description }, 2 => Direct, 3 => Cascade { parent, key }, 4 => Resolution { conflict },
        5 => Strategy { conflict, strategy }, 6 => Marked { column, before },
    }
    State { 1 => Living, 2 => Held, 3 => Expired }
    Life { 1 => Days(days), 2 => Forever }
    Rehearsal { 1 => DryRun, 2 => Real }
    Subject { 1 => Event, 2 => Page, 3 => Rows, 4 => Projection, 5 => Head }
}

impl Wire for Time {
    fn put(&self, w: &mut Writer) {
        w.varint(self.0);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        r.varint().map(Time)
    }
}

impl Wire for ReplicaId {
    fn put(&self, w: &mut Writer) {
        self.0.put(w);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        r.wide().map(ReplicaId)
    }
}

impl Wire for Touch {
    fn put(&self, w: &mut Writer) {
        w.nested(|w| {
            self.version.put(w);
            self.replica.put(w);
            self.actor.put(w);
            self.shape.put(w);
            self.change.put(w);
            self.was.to_vec().put(w);
        });
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        let mut r = r.nested()?;
        let r = &mut r;
        let (version, replica, actor) = Wire::get(r)?;
        let (shape, change, was): (_, _, Vec<Past>) = Wire::get(r)?;
        Ok(Touch { version, replica, actor, shape, change, was: was.into() })
    }
}

impl Wire for Link {
    fn put(&self, w: &mut Writer) {
        w.nested(|w| {
            self.position.put(w);
            w.bytes(&self.bytes);
            self.hash.put(w);
        });
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        let mut r = r.nested()?;
        let (position, Bytes(bytes), hash) = Wire::get(&mut r)?;
        Ok(Link { position, bytes, hash })
    }
}

impl Wire for Item {
    fn put(&self, w: &mut Writer) {
        let mut event = |kind: u8, bytes: &[u8], hash: &Digest| {
            w.byte(kind);
            w.bytes(bytes);
            hash.put(w);
        };
        match self {
            Item::Version(bytes, hash) => event(1, bytes, hash),
            Item::Event(bytes, hash) => event(2, bytes, hash),
            Item::Page(bytes) => {
                w.byte(3);
                w.bytes(bytes);
            }
        }
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        let kind = r.byte()?;
        let bytes = r.bytes()?.to_vec();
        match kind {
            1 => Ok(Item::Version(bytes, r.array()?)),
            2 => Ok(Item::Event(bytes, r.array()?)),
            3 => Ok(Item::Page(bytes)),
            other => Err(r.error(format!("{other} is no item of a pull"))),
        }
    }
}

/// What the core has a format for travels in it.
macro_rules! formats {
    ($($name:ty: $encode:path, $decode:path;)*) => { $(
        impl Wire for $name {
            fn put(&self, w: &mut Writer) {
                w.bytes(&$encode(self));
            }
            fn get(r: &mut Reader<'_>) -> Result<Self> {
                $decode(r.bytes()?)
            }
        }
    )* };
}

formats! {
    Front: format::front::encode, format::front::decode;
    Conflict: format::conflict::encode, format::conflict::decode;
    Schema: format::schema::encode, format::schema::decode;
    Chronicle: format::chronicle::encode, format::chronicle::decode;
}

impl Wire for Version {
    fn put(&self, w: &mut Writer) {
        w.bytes(&format::event::encode(&Event::Version(self.clone())));
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        match format::event::decode(r.bytes()?)? {
            Event::Version(version) => Ok(version),
            _ => Err(Error::corrupt("an answer", "it has another event where a version should be")),
        }
    }
}

/// A changed row that waits, as a snapshot tells of it: its version's event, that event's hash, and what waits.
impl Wire for (Vec<u8>, Digest, Waiting) {
    fn put(&self, w: &mut Writer) {
        w.bytes(&self.0);
        self.1.put(w);
        self.2.put(w);
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        let Bytes(bytes) = Wire::get(r)?;
        Ok((bytes, Wire::get(r)?, Wire::get(r)?))
    }
}
