//! Reads the log: records put together from their pieces, as images of the tables as they are now.
//!
//! Invariant: records come in the order in which they were written; those of tables that are gone are left out.
use super::LOG;
use super::plan::op;
use super::sources::Sources;
use crate::errors::Explain;
use mainstem::Result;
use mainstem::core::value::Value;
use rusqlite::{Connection, Row};
use std::ops::Range;

/// One record.
#[derive(Default)]
pub(super) struct Record {
    /// Its sequence.
    pub sequence: i64,
    /// Position in [`Sources::sources`].
    pub source: usize,
    /// Its kind, see [`op`].
    pub op: u8,
    /// When it was written, in milliseconds since 1970.
    pub at: u64,
    /// The row: its table and key, see [`table_of`] and [`key_of`].
    pub key: Vec<u8>,
    /// The row under its new key, for [`op::KEY`].
    pub to: Vec<u8>,
    /// The row before, for those that have an image.
    pub image: Vec<u8>,
    /// True where the key holds NULL, so that the row cannot be told from others.
    pub has_null_key: bool,
    /// The same of the new key.
    pub has_null_to: bool,
    pieces_left: usize,
    values: Vec<Value>,
}

impl Record {
    /// True for the kinds that hold an image.
    pub fn is_image(&self) -> bool {
        matches!(self.op, op::UPDATE | op::DELETE | op::REPLACE)
    }

    fn begin(&mut self, sources: &Sources, source: usize, kind: u8, row: &Row<'_>) -> rusqlite::Result<()> {
        let from = &sources.sources[source];
        self.source = source;
        self.op = kind;
        self.at = milliseconds(row.get(2)?);
        self.sequence = row.get(3)?;
        self.image.clear();
        self.values.clear();
        begin_key(&mut self.key, from.target);
        self.has_null_key = !from.read_key(row, 0, &mut self.key)?;
        begin_key(&mut self.to, from.target);
        self.has_null_to = kind == op::KEY && !from.read_key(row, from.keys, &mut self.to)?;
        self.pieces_left = 0;
        if self.is_image() {
            self.pieces_left = from.pieces - 1;
            from.read_piece(row, 0, &mut self.image, &mut self.values)?;
        }
        Ok(())
    }

    fn go_on(&mut self, sources: &Sources, row: &Row<'_>) -> rusqlite::Result<()> {
        let from = &sources.sources[self.source];
        self.pieces_left -= 1;
        from.read_piece(row, from.pieces - 1 - self.pieces_left, &mut self.image, &mut self.values)
    }
}

/// Visits every record after a sequence, up to another.
pub(super) fn records(
    conn: &Connection,
    sources: &Sources,
    within: Range<i64>,
    visit: &mut dyn FnMut(&Record) -> Result<()>,
) -> Result<()> {
    let columns: Vec<String> = (0..sources.width).map(|n| format!("c{n}")).collect();
    let sql = format!("SELECT t, op, at, seq, {} FROM main.{LOG} WHERE seq > ?1 AND seq <= ?2 ORDER BY seq", columns.join(", "));
    let mut statement = conn.prepare_cached(&sql).on(conn)?;
    let mut rows = statement.query([within.start, within.end]).on(conn)?;
    let mut record = Record::default();
    // Most records are of the table of the one before.
    let mut last: (i64, Option<usize>) = (0, sources.of(0));
    while let Some(row) = rows.next().on(conn)? {
        let id = row.get_ref(0).on(conn)?.as_i64().unwrap_or(0);
        if id != last.0 {
            last = (id, sources.of(id));
        }
        let Some(source) = last.1 else { continue };
        let kind = row.get_ref(1).on(conn)?.as_bytes().ok().and_then(|b| b.first().copied()).unwrap_or(0);
        if kind != op::MORE {
            record.begin(sources, source, kind, row).on(conn)?;
        } else if record.pieces_left > 0 && record.source == source {
            record.go_on(sources, row).on(conn)?;
        } else {
            continue;
        }
        if record.pieces_left == 0 {
            visit(&record)?;
        }
    }
    Ok(())
}

fn begin_key(key: &mut Vec<u8>, target: usize) {
    key.clear();
    key.extend_from_slice(&(target as u32).to_be_bytes());
}

/// The position of a row's table in [`Sources::targets`].
pub(super) fn table_of(row: &[u8]) -> usize {
    u32::from_be_bytes(row[..4].try_into().expect("a row begins with its table")) as usize
}

/// The key of a row.
pub(super) fn key_of(row: &[u8]) -> &[u8] {
    &row[4..]
}

/// A Julian day as milliseconds since 1970.
fn milliseconds(day: Option<f64>) -> u64 {
    ((day.unwrap_or(0.0) - 2_440_587.5) * 86_400_000.0).round().max(0.0) as u64
}
