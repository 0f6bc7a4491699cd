//! Gates that look at one row at a time, and counts of rows: one pass over each table for all of them.
//!
//! Invariant: the time of a pass counts for each gate in it. One that is late leaves; with the last the pass ends.
use super::matching::Matching;
use super::{Changed, column, is_of_changes, late, table};
use crate::error::{Error, Result};
use crate::store::Transaction;
use crate::wiring::Around;
use mainstem_core::ErrorKind;
use mainstem_core::gate::{Gate, Must, Outcome, Relation, Rule, SAMPLES_MAX, Sample, is_between};
use mainstem_core::schema::{Schema, Table};
use mainstem_core::value::Row;
use std::collections::BTreeSet;

/// How many rows pass between two looks at the clock.
const ROWS_PER_LOOK: u64 = 64;

/// Tries all gates that look at single rows and have no outcome yet.
pub(super) fn rows(
    tx: &mut dyn Transaction,
    gates: &[Gate],
    outcomes: &mut [Option<Outcome>],
    changed: Option<&Changed<'_>>,
    around: &Around,
) -> Result<()> {
    let schema = tx.schema();
    let (mut whole, mut partial) = (Vec::new(), Vec::new());
    for (number, gate) in gates.iter().enumerate() {
        if outcomes[number].is_some() {
            continue;
        }
        match Trial::of(&schema, number, gate) {
            Ok(None) => {}
            Ok(Some(trial)) if is_of_changes(gate, changed) => partial.push(trial),
            Ok(Some(trial)) => whole.push(trial),
            Err(why) => outcomes[number] = Some(Outcome::Broke { why }),
        }
    }
    let tables: BTreeSet<usize> = whole.iter().map(|trial| trial.table).collect();
    for position in tables {
        let mut pass = Pass::new(whole.extract_if(.., |trial| trial.table == position).collect(), around);
        let scanned = tx.scan(position, &mut |row| pass.row(position, &schema.tables[position], row));
        pass.finish(scanned, outcomes)?;
    }
    if let (Some(changed), false) = (changed, partial.is_empty()) {
        let mut pass = Pass::new(partial, around);
        let visited = changed.visit(tx, &mut |tx, name, change| {
            let (position, of) = table(&schema, name)?;
            if !pass.is_about(position) {
                return Ok(());
            }
            match tx.get(position, &change.key)? {
                Some(row) => pass.row(position, of, &row),
                None => Ok(()),
            }
        });
        pass.finish(visited, outcomes)?;
    }
    Ok(())
}

/// A gate while it is tried.
struct Trial<'a> {
    number: usize,
    gate: &'a Gate,
    table: usize,
    columns: Vec<usize>,
    test: Test<'a>,
    failed: u64,
    samples: Vec<Sample>,
}

enum Test<'a> {
    Cell(&'a Must, Matching),
    Relation(Relation),
    Count(Option<u64>, Option<u64>),
}

impl<'a> Trial<'a> {
    /// None for a gate that looks at more than one row.
    fn of(schema: &Schema, number: usize, gate: &'a Gate) -> std::result::Result<Option<Self>, String> {
        let test = match &gate.rule {
            Rule::Cell { must, .. } => Test::Cell(must, Matching::of(must)?),
            Rule::Relation { relation, .. } => Test::Relation(*relation),
            Rule::RowCount { min, max, .. } => Test::Count(*min, *max),
            Rule::Unique { .. } | Rule::ForeignKey { .. } | Rule::NoRows { .. } => return Ok(None),
        };
        let (position, of) = table(schema, gate.rule.table().unwrap_or_default()).map_err(|e| e.message)?;
        let columns = gate.rule.columns().iter().map(|name| column(of, name)).collect::<Result<Vec<usize>>>();
        let columns = columns.map_err(|e| e.message)?;
        Ok(Some(Trial { number, gate, table: position, columns, test, failed: 0, samples: Vec::new() }))
    }

    fn judge(&self, row: &Row) -> std::result::Result<bool, String> {
        match &self.test {
            Test::Cell(must, matching) => must.judge(&row[self.columns[0]], &mut |text| matching.judge(text)),
            Test::Relation(relation) => Ok(relation.judge(&row[self.columns[0]], &row[self.columns[1]])),
            Test::Count(..) => Ok(true),
        }
    }

    fn fail(&mut self, table: &Table, row: &Row) {
        self.failed += 1;
        if self.samples.len() < SAMPLES_MAX {
            let cells = self.columns.iter().map(|&at| (table.columns[at].name.as_str(), &row[at]));
            self.samples.push(Sample::new(&table.name, &table.key_of(row), cells));
        }
    }

    fn outcome(self, rows: u64) -> Outcome {
        match self.test {
            Test::Count(min, max) if !is_between(rows, min, max) => Outcome::Failed { rows, samples: Vec::new() },
            _ if self.failed > 0 => Outcome::Failed { rows: self.failed, samples: self.samples },
            _ => Outcome::Passed,
        }
    }
}

/// Rows on their way past gates.
struct Pass<'a> {
    trials: Vec<Trial<'a>>,
    broken: Vec<(usize, Outcome)>,
    rows: u64,
    around: &'a Around,
    begun_ms: u64,
}

impl<'a> Pass<'a> {
    fn new(trials: Vec<Trial<'a>>, around: &'a Around) -> Self {
        Pass { trials, broken: Vec::new(), rows: 0, around, begun_ms: around.now_ms() }
    }

    fn is_about(&self, table: usize) -> bool {
        self.trials.iter().any(|trial| trial.table == table)
    }

    fn row(&mut self, position: usize, table: &Table, row: &Row) -> Result<()> {
        if self.rows.is_multiple_of(ROWS_PER_LOOK) {
            self.look()?;
        }
        self.rows += 1;
        let mut at = 0;
        while let Some(trial) = self.trials.get_mut(at) {
            let judged = if trial.table == position { trial.judge(row) } else { Ok(true) };
            match judged {
                Ok(holds) => {
                    if !holds {
                        trial.fail(table, row);
                    }
                    at += 1;
                }
                Err(why) => self.broken.push((self.trials.remove(at).number, Outcome::Broke { why })),
            }
        }
        self.go_on()
    }

    /// Sends away who is late.
    fn look(&mut self) -> Result<()> {
        let spent = self.around.now_ms().saturating_sub(self.begun_ms);
        for trial in self.trials.extract_if(.., |trial| spent > trial.gate.time_limit_ms) {
            self.broken.push((trial.number, late(trial.gate)));
        }
        self.go_on()
    }

    fn go_on(&self) -> Result<()> {
        match self.trials.is_empty() {
            true => Err(Error::new(ErrorKind::Internal, "cut_off", "no gate is left to try")),
            false => Ok(()),
        }
    }

    fn finish(mut self, went: Result<()>, outcomes: &mut [Option<Outcome>]) -> Result<()> {
        // The last rows take time, too.
        let went = went.and_then(|()| if self.trials.is_empty() { Ok(()) } else { self.look() });
        if !self.trials.is_empty() {
            went?;
        }
        for (number, outcome) in self.broken {
            outcomes[number] = Some(outcome);
        }
        for trial in self.trials {
            let number = trial.number;
            outcomes[number] = Some(trial.outcome(self.rows));
        }
        Ok(())
    }
}
