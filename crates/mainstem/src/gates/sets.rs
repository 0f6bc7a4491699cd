//! Gates that look at many rows together: unique, foreign key, no rows from a query.
use super::{Changed, QUERY_ROWS_MAX, broke, column, is_of_changes, late, table};
use crate::error::Result;
use crate::store::{Answered, Limits, Question, Transaction};
use crate::wiring::Around;
use mainstem_core::format::row;
use mainstem_core::gate::{Gate, Outcome, Rule, SAMPLES_MAX, Sample};
use mainstem_core::schema::{Schema, Table};
use mainstem_core::value::Value;

/// Tries one of them.
pub(super) fn judge(tx: &mut dyn Transaction, gate: &Gate, changed: Option<&Changed<'_>>, around: &Around) -> Result<Outcome> {
    let schema = tx.schema();
    let begun_ms = around.now_ms();
    let keys = match gate.rule.table() {
        Some(name) if is_of_changes(gate, changed) => written_keys(tx, name, changed)?,
        _ => None,
    };
    let spent_ms = around.now_ms().saturating_sub(begun_ms);
    let Some(time_ms) = gate.time_limit_ms.checked_sub(spent_ms) else { return Ok(late(gate)) };
    let limits = |rows_max| Limits { time_ms, rows_max, around: around.clone() };
    let tally = match &gate.rule {
        Rule::NoRows { sql } => ask(tx, &Question::Sql(sql), &limits(QUERY_ROWS_MAX), Found::default()),
        Rule::Unique { table: name, columns } => {
            let (position, of) = table(&schema, name)?;
            let columns = positions(of, columns)?;
            ask(tx, &Question::Sharing { table: position, columns: &columns }, &limits(u64::MAX), Found::of(of, keys))
        }
        Rule::ForeignKey { table: name, columns, parent, parent_columns } => {
            let (position, of) = table(&schema, name)?;
            let columns = positions(of, columns)?;
            let (parent, parent_columns) = referred(&schema, parent, parent_columns)?;
            let question = Question::Orphans { table: position, columns: &columns, parent, parent_columns: &parent_columns };
            ask(tx, &question, &limits(u64::MAX), Found::of(of, keys))
        }
        Rule::Cell { .. } | Rule::Relation { .. } | Rule::RowCount { .. } => {
            return Ok(Outcome::Broke { why: "it looks at single rows and was not tried on them".to_owned() });
        }
    };
    match tally {
        Ok((Answered::OutOfTime, _)) => Ok(late(gate)),
        Ok((_, found)) if found.rows > 0 => Ok(Outcome::Failed { rows: found.rows, samples: found.samples }),
        Ok(_) => Ok(Outcome::Passed),
        Err(error) => broke(error),
    }
}

fn positions(table: &Table, names: &[String]) -> Result<Vec<usize>> {
    names.iter().map(|name| column(table, name)).collect()
}

fn referred(schema: &Schema, name: &str, columns: &[String]) -> Result<(usize, Vec<usize>)> {
    let (position, of) = table(schema, name)?;
    Ok((position, if columns.is_empty() { of.key.clone() } else { positions(of, columns)? }))
}

/// What a question found so far.
#[derive(Default)]
struct Found<'a> {
    of: Option<&'a Table>,
    /// Only rows with these keys count.
    keys: Option<Vec<u64>>,
    rows: u64,
    samples: Vec<Sample>,
}

impl<'a> Found<'a> {
    fn of(table: &'a Table, keys: Option<Vec<u64>>) -> Self {
        Found { of: Some(table), keys, ..Found::default() }
    }

    fn row(&mut self, names: &[String], values: &[Value]) {
        let split = self.of.map_or(0, |table| table.key.len()).min(values.len());
        let (key, cells) = values.split_at(split);
        if self.keys.as_ref().is_some_and(|keys| keys.binary_search(&fingerprint(key)).is_err()) {
            return;
        }
        self.rows += 1;
        if self.samples.len() < SAMPLES_MAX {
            let names = names.iter().skip(split).map(String::as_str);
            self.samples.push(Sample::new(self.of.map_or("", |table| &table.name), key, names.zip(cells)));
        }
    }
}

fn ask<'a>(tx: &mut dyn Transaction, question: &Question<'_>, limits: &Limits, mut found: Found<'a>) -> Result<(Answered, Found<'a>)> {
    let answered = tx.ask(question, limits, &mut |names, values| {
        found.row(names, values);
        Ok(())
    })?;
    Ok((answered, found))
}

/// The keys that the merge wrote in a table, sorted, eight bytes each.
fn written_keys(tx: &mut dyn Transaction, table: &str, changed: Option<&Changed<'_>>) -> Result<Option<Vec<u64>>> {
    let Some(changed) = changed else { return Ok(None) };
    let mut keys = Vec::new();
    changed.visit(tx, &mut |_, name, change| {
        if name.eq_ignore_ascii_case(table) {
            keys.push(fingerprint(&change.key));
        }
        Ok(())
    })?;
    keys.sort_unstable();
    Ok(Some(keys))
}

/// Two keys with one fingerprint would have a row looked at that was not written: never one too few.
fn fingerprint(key: &[Value]) -> u64 {
    let hash = blake3::hash(&row::encode_key(key));
    let (first, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
    u64::from_le_bytes(*first)
}
