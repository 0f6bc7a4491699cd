//! The records of a log that is too long for memory, in the order of the rows that they are about.
//!
//! Which record is about which row lies in a temporary table that SQLite has sorted; the records are then read where they lie in
//! the log, neighbours together. Each is read once for each visit, however many there are.
use super::log::{self, Record};
use super::sources::Sources;
use crate::errors::Explain;
use mainstem::Result;
use rusqlite::{Connection, params};

const TABLES: &str = "
PRAGMA temp.cache_size = -32768;
CREATE TEMP TABLE IF NOT EXISTS mainstem_named(key BLOB, seq INTEGER, is_to INTEGER);
CREATE TEMP TABLE IF NOT EXISTS mainstem_sorted(key BLOB, seq INTEGER, is_to INTEGER, PRIMARY KEY(key, seq, is_to)) WITHOUT ROWID;
DELETE FROM temp.mainstem_named;
DELETE FROM temp.mainstem_sorted;
";
const SORT: &str = "INSERT INTO temp.mainstem_sorted SELECT key, seq, is_to FROM temp.mainstem_named ORDER BY 1, 2, 3";
const EMPTY: &str = "DELETE FROM temp.mainstem_named; DELETE FROM temp.mainstem_sorted;";

/// Names that are read at a time.
const BATCH: i64 = 1_000;
/// Records that lie no farther apart are read together, with those between them.
const GAP: i64 = 64;

/// A row that a record names, under its old key or its new one.
struct Named {
    key: Vec<u8>,
    sequence: i64,
    is_to: bool,
}

/// What a log names, sorted.
pub(super) struct Sorted<'a> {
    conn: &'a Connection,
    sources: &'a Sources,
    through: i64,
}

impl<'a> Sorted<'a> {
    /// Nothing yet.
    pub fn begin(conn: &'a Connection, sources: &'a Sources, through: i64) -> Result<Self> {
        conn.execute_batch(TABLES).on(conn)?;
        Ok(Sorted { conn, sources, through })
    }

    /// A record names a row.
    pub fn add(&self, key: &[u8], sequence: i64, is_to: bool) -> Result<()> {
        let sql = "INSERT INTO temp.mainstem_named(key, seq, is_to) VALUES(?1, ?2, ?3)";
        self.conn.prepare_cached(sql).on(self.conn)?.execute(params![key, sequence, is_to]).on(self.conn).map(drop)
    }

    /// Sorts what was added.
    pub fn sort(&self) -> Result<()> {
        self.conn.execute_batch(SORT).on(self.conn)
    }

    /// Forgets everything.
    pub fn end(self) -> Result<()> {
        self.conn.execute_batch(EMPTY).on(self.conn)
    }

    /// Visits the records of one table's rows, a row's together and in the order in which they were written, each with whether it
    /// is about the row by its new key. No statement is open while `pause` is called, now and then.
    pub fn records(
        &self,
        target: usize,
        visit: &mut dyn FnMut(&Record, bool) -> Result<()>,
        pause: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        let bound = |target: usize| (target as u32).to_be_bytes().to_vec();
        let (mut last, end) = (Named { key: bound(target), sequence: i64::MIN, is_to: false }, bound(target + 1));
        loop {
            let mut batch = self.after(&last, &end)?;
            for run in batch.chunk_by(|one, next| (0..=GAP).contains(&next.sequence.saturating_sub(one.sequence))) {
                self.read(run, visit)?;
            }
            match batch.pop() {
                Some(named) => last = named,
                None => return Ok(()),
            }
            pause()?;
        }
    }

    fn after(&self, last: &Named, end: &[u8]) -> Result<Vec<Named>> {
        let sql = "SELECT key, seq, is_to FROM temp.mainstem_sorted WHERE (key, seq, is_to) > (?1, ?2, ?3) AND key < ?4
            ORDER BY key, seq, is_to LIMIT ?5";
        let mut statement = self.conn.prepare_cached(sql).on(self.conn)?;
        let values = params![last.key, last.sequence, last.is_to, end, BATCH];
        let rows = statement.query_map(values, |r| Ok(Named { key: r.get(0)?, sequence: r.get(1)?, is_to: r.get(2)? }));
        rows.on(self.conn)?.collect::<rusqlite::Result<_>>().on(self.conn)
    }

    /// Reads records that lie side by side.
    fn read(&self, run: &[Named], visit: &mut dyn FnMut(&Record, bool) -> Result<()>) -> Result<()> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
        // An image may take several records, of which the first is named.
        let pieces = self.sources.sources.iter().map(|source| source.pieces).max().unwrap_or(1) as i64;
        let through = last.sequence.saturating_add(pieces).min(self.through);
        let mut left = run.iter().peekable();
        log::records(self.conn, self.sources, first.sequence - 1..through, &mut |record| {
            while let Some(named) = left.next_if(|named| named.sequence == record.sequence) {
                visit(record, named.is_to)?;
            }
            Ok(())
        })
    }
}
