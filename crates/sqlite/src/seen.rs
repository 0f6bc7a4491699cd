//! The replicas that a primary has seen: who they are and which version they hold.
//!
//! Invariant: no fold of events, so the table is not made again from them; a primary that loses it hears of each replica
//! with its next push or pull, and tells those that come too late so.
use crate::errors::Explain;
use mainstem::core::stamp::{ReplicaId, Time};
use mainstem::primary::{KnownReplica, Seen};
use mainstem::{Error, Result};
use rusqlite::{Connection, Row, params};

/// The table, in a primary's file.
pub const TABLE: &str = "
CREATE TABLE mainstem_replica(replica BLOB PRIMARY KEY, actor TEXT NOT NULL, version INTEGER NOT NULL, seen_at_ms INTEGER NOT NULL,
  must_reseed INTEGER NOT NULL) WITHOUT ROWID;
";

const COLUMNS: &str = "SELECT replica, actor, version, seen_at_ms, must_reseed FROM mainstem_replica";

/// Every replica, those seen last first.
pub fn all(db: &Connection) -> Result<Vec<KnownReplica>> {
    let mut statement = db.prepare_cached(&format!("{COLUMNS} ORDER BY seen_at_ms DESC, replica")).on(db)?;
    let mut rows = statement.query([]).on(db)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().on(db)? {
        found.push(read(db, row)?);
    }
    Ok(found)
}

/// One replica.
pub fn find(db: &Connection, replica: ReplicaId) -> Result<Option<KnownReplica>> {
    let mut statement = db.prepare_cached(&format!("{COLUMNS} WHERE replica = ?1")).on(db)?;
    let mut rows = statement.query([replica.0.to_be_bytes()]).on(db)?;
    rows.next().on(db)?.map(|row| read(db, row)).transpose()
}

fn read(db: &Connection, row: &Row<'_>) -> Result<KnownReplica> {
    let id: Vec<u8> = row.get(0).on(db)?;
    let id = id.try_into().map_err(|_| Error::corrupt("the id of a replica in the primary's own tables is damaged"))?;
    let version = row.get::<_, i64>(2).on(db)? as u64;
    let seen = Seen { replica: ReplicaId(u128::from_be_bytes(id)), actor: row.get(1).on(db)?, version };
    let at = Time::from_ms(row.get::<_, i64>(3).on(db)? as u64);
    Ok(KnownReplica { seen, at, is_expired: false, must_reseed: row.get(4).on(db)? })
}

/// Notes where a replica stands.
pub fn put(db: &Connection, known: &KnownReplica) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO mainstem_replica(replica, actor, version, seen_at_ms, must_reseed) VALUES (?1, ?2, ?3, ?4, ?5)";
    let (seen, at_ms) = (&known.seen, known.at.ms() as i64);
    let values = params![seen.replica.0.to_be_bytes(), seen.actor, seen.version as i64, at_ms, known.must_reseed];
    db.prepare_cached(sql).on(db)?.execute(values).on(db)?;
    Ok(())
}
