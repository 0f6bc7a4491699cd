//! Tombstones for people: what was deleted, by whom, when, why, and until when it can be brought back.
//!
//! Rows that an app only marks as deleted are listed with them where the policy names the column (`soft_delete`).
//! Invariant: nothing here writes; bringing a row back is an edit of a replica.
use crate::cleanup::{check_horizon, is_over, reached, replicas};
use crate::error::{Error, Result};
use crate::lane::{Lane, shape_of};
use crate::ledger::{Buried, Ledger};
use crate::policy_text;
use crate::primary::{Deleted, Primary};
use crate::rebase::parent_of;
use crate::replica::{PutBack, Replica};
use crate::store::Transaction;
use mainstem_core::ErrorKind;
use mainstem_core::change::{Change, Edit, Shape};
use mainstem_core::conflict::Image;
use mainstem_core::event::Version;
use mainstem_core::policy::Policy;
use mainstem_core::stamp::{ReplicaId, Time};
use mainstem_core::three_way::Touch;
use mainstem_core::value::{Key, Row, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::str::FromStr;

/// Tombstones read at once.
const AT_ONCE: usize = 500;

/// Names a tombstone: the version that deleted the row, and which of its deletions it is. Written `12.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TombstoneId {
    /// The version.
    pub version: u64,
    /// The place among its deletions, from 1.
    pub place: u64,
}

impl fmt::Display for TombstoneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.version, self.place)
    }
}

impl FromStr for TombstoneId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('.').and_then(|(v, p)| Some((v.parse().ok()?, p.parse().ok()?)));
        let (version, place) = parts
            .ok_or_else(|| Error::invalid(format!("{text} is no tombstone; one is named like 12.1")).hint("mainstem tombstones list"))?;
        Ok(TombstoneId { version, place })
    }
}

/// Which tombstones are wanted; everything where nothing is said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Of this version.
    pub version: Option<u64>,
    /// This one of the version.
    pub place: Option<u64>,
    /// Of this table.
    pub table: Option<String>,
    /// Of this row.
    pub key: Option<Key>,
    /// Deleted by this actor.
    pub actor: Option<String>,
    /// Accepted at this moment or later.
    pub since: Option<Time>,
    /// Of later versions than this one.
    pub after: Option<u64>,
}

impl Wanted {
    fn is_table(&self, table: &str) -> bool {
        self.table.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(table))
    }

    fn keeps(&self, tombstone: &Tombstone) -> bool {
        self.version.is_none_or(|v| v == tombstone.version)
            && self.place.is_none_or(|place| tombstone.id.is_some_and(|id| id.place == place))
            && self.is_table(&tombstone.table)
            && self.key.as_ref().is_none_or(|key| *key == tombstone.key)
            && self.actor.as_ref().is_none_or(|actor| *actor == tombstone.actor)
            && self.since.is_none_or(|since| tombstone.accepted_at >= since)
            && self.after.is_none_or(|after| tombstone.version > after)
    }
}

/// Why a row went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// A changeset deleted it.
    Changeset {
        /// Its title.
        title: Option<String>,
        /// Its description.
        description: String,
    },
    /// It was written straight into the primary's tables.
    Direct,
    /// The row it points to went, and the link says CASCADE.
    Cascade {
        /// That row's table.
        parent: String,
        /// That row.
        key: Key,
    },
    /// Somebody answered a conflict so.
    Resolution {
        /// The conflict.
        conflict: u64,
    },
    /// The policy answered a conflict so.
    Strategy {
        /// The conflict.
        conflict: u64,
        /// By this strategy.
        strategy: String,
    },
    /// It is still there, and the app marked it as deleted.
    Marked {
        /// The column that says so.
        column: String,
        /// What the column held before; none where the row was made so, or nobody knows.
        before: Option<Value>,
    },
}

impl Why {
    /// The word used in lists and JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Why::Changeset { .. } => "changeset",
            Why::Direct => "direct",
            Why::Cascade { .. } => "cascade",
            Why::Resolution { .. } => "resolution",
            Why::Strategy { .. } => "strategy",
            Why::Marked { .. } => "marked",
        }
    }
}

/// Whether a tombstone may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not expired.
    Living,
    /// It has expired, and a replica has not heard of it.
    Held,
    /// The next cleanup removes it.
    Expired,
}

impl State {
    /// The word used in lists and JSON.
    pub fn name(self) -> &'static str {
        match self {
            State::Living => "living",
            State::Held => "held",
            State::Expired => "expired",
        }
    }
}

/// A remembered deletion.
#[derive(Clone, Debug, PartialEq)]
pub struct Tombstone {
    /// Its name; none for a row that is only marked as deleted.
    pub id: Option<TombstoneId>,
    /// The table.
    pub table: String,
    /// The row.
    pub key: Key,
    /// The names of the key's columns.
    pub key_columns: Vec<String>,
    /// The row as it was last, by column name.
    pub image: Image,
    /// The version that deleted it.
    pub version: u64,
    /// Who deleted it.
    pub actor: String,
    /// Where.
    pub replica: ReplicaId,
    /// When it was deleted there.
    pub at: Time,
    /// When the primary accepted that.
    pub accepted_at: Time,
    /// Why.
    pub why: Why,
    /// When it expires; none where it is kept for ever, and for a row that is only marked as deleted.
    pub expires: Option<Time>,
    /// Whether it may be removed.
    pub state: State,
    /// True where a row of that key is there now.
    pub is_there: bool,
}

/// What a table's tombstones amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableStats {
    /// How many deletions are remembered.
    pub count: u64,
    /// When the oldest was accepted.
    pub oldest: Option<Time>,
    /// About how many bytes their last images take.
    pub bytes: u64,
    /// How many the next cleanup would remove.
    pub expired: u64,
    /// How many have expired and are held by a replica that has not heard of them.
    pub held: u64,
    /// How many rows are there and marked as deleted.
    pub marked: u64,
}

/// Counts tombstones by table.
pub fn stats(primary: &mut dyn Primary, wanted: &Wanted) -> Result<BTreeMap<String, TableStats>> {
    let mut tables: BTreeMap<String, TableStats> = BTreeMap::new();
    primary.tombstones(wanted, &mut |tombstone| {
        let table = tables.entry(tombstone.table.clone()).or_default();
        if tombstone.id.is_none() {
            table.marked += 1;
            return Ok(());
        }
        table.count += 1;
        table.oldest = Some(table.oldest.map_or(tombstone.accepted_at, |oldest| oldest.min(tombstone.accepted_at)));
        table.bytes += tombstone.image.iter().map(|(_, value)| value.weight() as u64).sum::<u64>();
        table.expired += u64::from(tombstone.state == State::Expired);
        table.held += u64::from(tombstone.state == State::Held);
        Ok(())
    })?;
    Ok(tables)
}

/// Brings rows back on a replica, as an edit that travels like any other. Gives how many rows came back. The replica must
/// have heard of their deletion: before that its rows are there, and nothing would be said by leaving them.
pub fn restore(replica: &mut dyn Replica, chosen: &[Tombstone]) -> Result<u64> {
    let held = replica.standing()?.base_version;
    if let Some(later) = chosen.iter().find(|t| t.version > held) {
        let message = format!("this copy holds version {held} and has not heard that version {} deleted the row", later.version);
        return Err(Error::new(ErrorKind::Conflict, "behind", message).hint("mainstem sync"));
    }
    let rows: Vec<PutBack> = chosen
        .iter()
        .map(|tombstone| {
            let (table, key, image) = (tombstone.table.clone(), tombstone.key.clone(), tombstone.image.clone());
            match &tombstone.why {
                Why::Marked { column, before } => PutBack::Unmark { table, key, column: column.clone(), before: before.clone() },
                _ => PutBack::Row { table, image },
            }
        })
        .collect();
    let with_it = chosen.first().map_or(0, |t| t.version);
    replica.put_back(&rows).map_err(|e| match e.code {
        "missing_parent" => e.hint(format!("mainstem tombstones restore {with_it}, which brings back all that version {with_it} deleted")),
        _ => e,
    })
}

/// True where a value in a table's `soft_delete` column says that the row is deleted: anything but nothing, zero, empty text
/// and the words for no.
pub fn is_mark(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Integer(number) => *number != 0,
        Value::Real(number) => *number != 0.0,
        Value::Text(text) => !["", "0", "false", "no", "f", "n"].iter().any(|no| text.eq_ignore_ascii_case(no.as_bytes())),
        Value::Blob(bytes) => !bytes.is_empty(),
    }
}

/// Visits the tombstones that are wanted, then the rows that are marked as deleted.
pub(crate) fn visit(tx: &mut dyn Transaction, now_ms: u64, wanted: &Wanted, visit: &mut dyn FnMut(&Tombstone) -> Result<()>) -> Result<()> {
    let policy = policy_text::parse(&tx.policy_text()?)?;
    let head = tx.head()?.version;
    let cursor = reached(&replicas(tx, now_ms)?, head);
    let mut reading = Reading { tx, policy, now_ms, cursor, version: None };
    let mut after = wanted.version.map_or((wanted.after.unwrap_or(0), u64::from(u32::MAX)), |v| (v, 0));
    'all: loop {
        let found = reading.tx.tombstones(after, AT_ONCE)?;
        let Some(last) = found.last() else { break };
        after = (last.touch.version, last.place);
        for buried in found {
            if wanted.version.is_some_and(|v| buried.touch.version > v) {
                break 'all;
            }
            if wanted.is_table(&buried.table) {
                let tombstone = reading.tombstone(buried)?;
                if wanted.keeps(&tombstone) {
                    visit(&tombstone)?;
                }
            }
        }
    }
    reading.marked(wanted, visit)
}

/// Which of these rows were deleted after a version.
pub(crate) fn deleted_since(tx: &mut dyn Transaction, table: &str, keys: &[Key], after: u64) -> Result<Vec<Deleted>> {
    check_horizon(tx, after)?;
    let mut found = Vec::new();
    for key in keys {
        let touches = Ledger::touches(tx, table, key, after)?;
        let last = touches.into_iter().rev().find_map(|touch| match &touch.change.edit {
            Edit::Delete(row) => Some(Deleted { key: key.clone(), version: touch.version, image: image(&touch.shape, row) }),
            _ => None,
        });
        found.extend(last);
    }
    Ok(found)
}

struct Reading<'t> {
    tx: &'t mut dyn Transaction,
    policy: Policy,
    now_ms: u64,
    cursor: u64,
    /// The version read last; neighbours mostly ask for the same one.
    version: Option<Rc<Version>>,
}

impl Reading<'_> {
    fn version(&mut self, version: u64) -> Result<Rc<Version>> {
        if let Some(known) = self.version.as_ref().filter(|known| known.version == version) {
            return Ok(known.clone());
        }
        let found = self.tx.version(version)?.ok_or_else(|| Error::corrupt("a version is missing in the ledger"))?;
        let found = Rc::new(found);
        self.version = Some(found.clone());
        Ok(found)
    }

    fn tombstone(&mut self, buried: Buried) -> Result<Tombstone> {
        let Buried { place, table, accepted_at, touch } = buried;
        let Edit::Delete(row) = &touch.change.edit else { return Err(Error::corrupt("a tombstone stands for no deletion")) };
        let life = self.policy.table(&table).tombstones;
        let state = match (is_over(life, accepted_at, self.now_ms), touch.version <= self.cursor) {
            (false, _) => State::Living,
            (true, false) => State::Held,
            (true, true) => State::Expired,
        };
        let schema = self.tx.schema();
        let position = schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(&table));
        let is_there = match position {
            Some(at) => {
                let key = Lane::between(&schema, position, &touch.shape, &[]).local_key(&touch.change.key);
                self.tx.get(at, &key)?.is_some()
            }
            None => false,
        };
        Ok(Tombstone {
            id: Some(TombstoneId { version: touch.version, place }),
            key_columns: key_columns(&touch.shape),
            image: image(&touch.shape, row),
            version: touch.version,
            actor: touch.actor.to_string(),
            replica: touch.replica,
            at: touch.change.at,
            accepted_at,
            why: self.why(&table, position, &touch)?,
            expires: life.end_ms(accepted_at.ms()).map(Time::from_ms),
            state,
            is_there,
            key: touch.change.key,
            table,
        })
    }

    fn why(&mut self, table: &str, position: Option<usize>, touch: &Touch) -> Result<Why> {
        let version = self.version(touch.version)?;
        for resolution in &version.resolved {
            if self.tx.conflict(resolution.conflict)?.is_some_and(|c| c.table.eq_ignore_ascii_case(table) && c.key == touch.change.key) {
                return Ok(Why::Resolution { conflict: resolution.conflict });
            }
        }
        let answered = version.conflicts.iter().find(|c| !c.is_open() && c.table.eq_ignore_ascii_case(table) && c.key == touch.change.key);
        if let Some(conflict) = answered {
            return Ok(Why::Strategy { conflict: conflict.id, strategy: conflict.strategy.clone() });
        }
        if let Some((parent, key)) = position.map_or(Ok(None), |at| self.deleted_parent(at, touch))? {
            return Ok(Why::Cascade { parent, key });
        }
        if version.header.replica.0 == version.header.lineage {
            return Ok(Why::Direct);
        }
        let (title, description) = (version.header.title.clone(), version.header.description.clone());
        Ok(Why::Changeset { title, description })
    }

    /// The row that this one pointed to by a link that cascades, where the same version deleted it.
    fn deleted_parent(&mut self, table: usize, touch: &Touch) -> Result<Option<(String, Key)>> {
        let schema = self.tx.schema();
        let Edit::Delete(row) = &touch.change.edit else { return Ok(None) };
        let row = Lane::between(&schema, Some(table), &touch.shape, &[]).local_row(row);
        for link in schema.tables[table].foreign_keys.iter().filter(|l| l.on_delete.eq_ignore_ascii_case("CASCADE")) {
            let Some((parent, columns)) = parent_of(&schema, link) else { continue };
            let there = &schema.tables[parent];
            if columns != there.key {
                continue;
            }
            let key: Key = link.columns.iter().map(|&c| row[c].clone()).collect();
            let touches = Ledger::touches(self.tx, &there.name, &key, touch.version - 1)?;
            if touches.iter().any(|t| t.version == touch.version && matches!(t.change.edit, Edit::Delete(_))) {
                return Ok(Some((there.name.clone(), key)));
            }
        }
        Ok(None)
    }

    /// Rows that are there and that their app marked as deleted.
    fn marked(&mut self, wanted: &Wanted, visit: &mut dyn FnMut(&Tombstone) -> Result<()>) -> Result<()> {
        let schema = self.tx.schema();
        for (at, table) in schema.tables.iter().enumerate() {
            let column = self.policy.table(&table.name).soft_delete.and_then(|name| table.column(&name));
            let Some(column) = column.filter(|_| wanted.is_table(&table.name) && wanted.place.is_none()) else { continue };
            let mut rows: Vec<Row> = Vec::new();
            self.tx.scan(at, &mut |row| {
                if is_mark(&row[column]) {
                    rows.push(row.clone());
                }
                Ok(())
            })?;
            for row in rows {
                let tombstone = self.mark(&shape_of(table), column, row)?;
                if wanted.keeps(&tombstone) {
                    visit(&tombstone)?;
                }
            }
        }
        Ok(())
    }

    fn mark(&mut self, shape: &Shape, column: usize, row: Row) -> Result<Tombstone> {
        let (key, name) = (shape.key_of(&row), &shape.columns[column]);
        let touches = Ledger::touches(self.tx, &shape.table, &key, 0)?;
        let wrote = touches.into_iter().rev().find(|touch| wrote(touch, name));
        // Nobody marked it since the dataset was published, or since what the ledger keeps.
        let version = self.version(wrote.as_ref().map_or(1, |touch| touch.version))?;
        let at = wrote.as_ref().map_or(version.header.at, |touch| touch.change.at);
        Ok(Tombstone {
            id: None,
            table: shape.table.clone(),
            key,
            key_columns: key_columns(shape),
            image: image(shape, &row),
            version: version.version,
            actor: version.header.actor.clone(),
            replica: version.header.replica,
            at,
            accepted_at: version.accepted_at,
            why: Why::Marked { column: name.clone(), before: wrote.as_ref().and_then(|touch| cell_before(touch, name)) },
            expires: None,
            state: State::Living,
            is_there: true,
        })
    }
}

/// True where a touch wrote the cell of that column.
fn wrote(touch: &Touch, column: &str) -> bool {
    let Some(at) = touch.shape.column(column) else { return false };
    match &touch.change {
        Change { edit: Edit::Insert(_), .. } => true,
        Change { edit: Edit::Update(cells), .. } => cells.iter().any(|cell| cell.column == at),
        Change { edit: Edit::Delete(_), .. } => false,
    }
}

fn cell_before(touch: &Touch, column: &str) -> Option<Value> {
    let at = touch.shape.column(column)?;
    let Edit::Update(cells) = &touch.change.edit else { return None };
    cells.iter().find(|cell| cell.column == at).map(|cell| cell.before.clone())
}

fn key_columns(shape: &Shape) -> Vec<String> {
    shape.key.iter().map(|&at| shape.columns[at].clone()).collect()
}

fn image(shape: &Shape, row: &Row) -> Image {
    shape.columns.iter().cloned().zip(row.iter().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_anything_that_does_not_say_no() {
        for no in [Value::Null, Value::Integer(0), Value::Real(-0.0), Value::text(""), Value::text("FALSE"), Value::text("0")] {
            assert!(!is_mark(&no), "{no:?}");
        }
        for yes in [Value::Integer(1), Value::Real(0.5), Value::text("2026-11-20"), Value::text("true"), Value::Blob(vec![0])] {
            assert!(is_mark(&yes), "{yes:?}");
        }
    }

    #[test]
    fn an_id_is_a_version_and_a_place() {
        let id: TombstoneId = "12.1".parse().expect("an id");
        assert_eq!((id, id.to_string().as_str()), (TombstoneId { version: 12, place: 1 }, "12.1"));
        for wrong in ["", "12", "12.", ".1", "a.b", "1.2.3", "-1.2"] {
            assert!(wrong.parse::<TombstoneId>().is_err(), "{wrong}");
        }
    }
}
