//! Each captured operation since the last commit, with the cells before and after.
//!
//! Invariant: the value after is the next record's image of the same row, or else the row as it is now.
//! Deliberately absent: operations that did nothing, such as an update to the same values or an ignored insert.
use super::LOG;
use super::image;
use super::log::{self, Record, key_of, table_of};
use super::plan::op;
use super::reader::Reader;
use super::sources::{KeptSources, Sources};
use crate::errors::Explain;
use mainstem::Result;
use mainstem::core::value::{Row, Value};
use mainstem::replica::Operation;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;

/// Records whose outcomes are kept in memory; those of more are kept in a temporary table, which takes longer to make.
const FEW: i64 = 256;

/// Visits each operation in the log after a sequence, oldest first. The file must have been healed in the same transaction.
///
/// What each row became is kept in a temporary table where there is much; memory grows with the number of rows touched, not
/// with the log.
pub fn operations(conn: &Connection, kept: &mut KeptSources, from: i64, visit: &mut dyn FnMut(&Operation) -> Result<()>) -> Result<()> {
    let sources = kept.read(conn)?;
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM main.{LOG} WHERE seq > ?1 LIMIT {FEW})");
    let count: i64 = conn.prepare_cached(&sql).on(conn)?.query_row([from], |r| r.get(0)).on(conn)?;
    let mut found = if count < FEW { After::Few(HashMap::new()) } else { After::many(conn)? };
    Outcomes { conn, sources, pending: HashMap::new(), found: &mut found }.write(from)?;
    log::records(conn, sources, from..i64::MAX, &mut |record| {
        let image = found.take(conn, record.sequence)?;
        match image.and_then(|after| operation(sources, record, after)) {
            Some(operation) => visit(&operation),
            None => Ok(()),
        }
    })?;
    found.end(conn)
}

/// What the row of each record became: its image, or none where it was gone.
enum After {
    Few(HashMap<i64, Option<Vec<u8>>>),
    Many,
}

impl After {
    fn many(conn: &Connection) -> Result<After> {
        let sql = "CREATE TEMP TABLE IF NOT EXISTS mainstem_after(seq INTEGER PRIMARY KEY, image BLOB); DELETE FROM temp.mainstem_after";
        conn.execute_batch(sql).on(conn).map(|()| After::Many)
    }

    fn put(&mut self, conn: &Connection, sequence: i64, image: Option<&Vec<u8>>) -> Result<()> {
        let After::Few(few) = self else {
            let sql = "INSERT OR REPLACE INTO temp.mainstem_after(seq, image) VALUES (?1, ?2)";
            return conn.prepare_cached(sql).on(conn)?.execute(params![sequence, image]).on(conn).map(drop);
        };
        few.insert(sequence, image.cloned());
        Ok(())
    }

    /// What became of a record's row; none where nobody found out.
    fn take(&mut self, conn: &Connection, sequence: i64) -> Result<Option<Option<Vec<u8>>>> {
        let After::Few(few) = self else {
            let sql = "SELECT image FROM temp.mainstem_after WHERE seq = ?1";
            return conn.prepare_cached(sql).on(conn)?.query_row([sequence], |r| r.get(0)).optional().on(conn);
        };
        Ok(few.remove(&sequence))
    }

    fn end(self, conn: &Connection) -> Result<()> {
        match self {
            After::Few(_) => Ok(()),
            After::Many => conn.execute_batch("DROP TABLE temp.mainstem_after").on(conn),
        }
    }
}

type RowKey = Vec<u8>;

/// The first pass: finds what each row became by each record, and keeps that.
struct Outcomes<'a> {
    conn: &'a Connection,
    sources: &'a Sources,
    /// Records whose outcome is not known yet, and whether the last may have removed the row for a new one.
    pending: HashMap<RowKey, (Vec<i64>, u8)>,
    found: &'a mut After,
}

impl Outcomes<'_> {
    fn write(mut self, from: i64) -> Result<()> {
        let (conn, sources) = (self.conn, self.sources);
        log::records(conn, sources, from..i64::MAX, &mut |record| {
            if record.has_null_key || record.has_null_to {
                return Ok(());
            }
            let key = record.key.clone();
            match record.op {
                op::KEY => self.moved(key, record.to.clone()),
                op::INSERT | op::INSERTED => self.inserted(key, record),
                _ => {
                    self.resolve(&key, Some(&record.image))?;
                    self.pending.insert(key, (vec![record.sequence], record.op));
                    Ok(())
                }
            }
        })?;
        let mut now = Vec::new();
        for (key, (sequences, _)) in std::mem::take(&mut self.pending) {
            let is_there = Reader::new(conn, &sources.targets[table_of(&key)])?.read(key_of(&key), &mut now)?;
            self.store(&sequences, is_there.then_some(&now))?;
        }
        Ok(())
    }

    /// What an update did to a row that moved is found under the new key.
    fn moved(&mut self, from: RowKey, to: RowKey) -> Result<()> {
        if from == to {
            return Ok(());
        }
        self.resolve(&to, None)?;
        if let Some(pending) = self.pending.remove(&from) {
            self.pending.insert(to, pending);
        }
        Ok(())
    }

    fn inserted(&mut self, key: RowKey, record: &Record) -> Result<()> {
        match self.pending.get_mut(&key) {
            // REPLACE with the same key is one operation: the row became another.
            Some((_, op::REPLACE)) => self.pending.get_mut(&key).into_iter().for_each(|p| p.1 = op::UPDATE),
            // A trigger of the app's wrote to the new row before ours told of it.
            Some((sequences, op::UPDATE)) if record.op == op::INSERTED => sequences.push(record.sequence),
            _ => {
                self.resolve(&key, None)?;
                self.pending.insert(key, (vec![record.sequence], record.op));
            }
        }
        Ok(())
    }

    fn resolve(&mut self, key: &RowKey, image: Option<&Vec<u8>>) -> Result<()> {
        match self.pending.remove(key) {
            Some((sequences, _)) => self.store(&sequences, image),
            None => Ok(()),
        }
    }

    fn store(&mut self, sequences: &[i64], image: Option<&Vec<u8>>) -> Result<()> {
        sequences.iter().try_for_each(|&sequence| self.found.put(self.conn, sequence, image))
    }
}

/// What a record did, given what the row became; none where it did nothing.
fn operation(sources: &Sources, record: &Record, after: Option<Vec<u8>>) -> Option<Operation> {
    let target = &sources.targets[sources.sources[record.source].target];
    let mut unknown = Vec::new();
    let before: Option<Row> = record.is_image().then(|| target.row(&record.image, &mut unknown));
    let after: Option<Row> = after.map(|image| target.row(&image, &mut Vec::new()));
    let kind = match (record.op, &before, &after) {
        (op::DELETE, _, None) => "delete",
        (op::REPLACE, _, None) => "replace",
        (_, Some(_), Some(_)) => "update",
        (_, None, Some(_)) => "insert",
        _ => return None,
    };
    let cell = |row: &Option<Row>, i: usize| row.as_ref().map(|row| row[i].clone());
    let known = |i: usize| cell(&before, i).filter(|_| !unknown.contains(&i));
    let cells: Vec<(String, Option<Value>, Option<Value>)> = (0..target.table.columns.len())
        .map(|i| (target.table.columns[i].name.clone(), known(i), cell(&after, i)))
        .filter(|(_, before, after)| before != after)
        .collect();
    (!cells.is_empty()).then(|| Operation {
        sequence: record.sequence,
        at_ms: record.at,
        table: target.table.name.clone(),
        key_columns: target.table.key.iter().map(|&at| target.table.columns[at].name.clone()).collect(),
        key: image::read_key(key_of(&record.key)),
        kind,
        cells,
    })
}
