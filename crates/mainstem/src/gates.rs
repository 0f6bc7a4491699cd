//! Tries the gates of a policy on the rows as they are in an open transaction: after a merge was applied in it, before its
//! commit.
//!
//! Invariant: whatever cannot be tried is [`Outcome::Broke`]: a table or column that is not there, a pattern that is none, a
//! query that is refused, a time limit that has passed. Failures of the store itself are errors; there is no merge then.
//! Invariant: memory does not grow with the number of rows; for gates over changed rows that compare rows with each other
//! it grows by eight bytes for each change.
mod json_schema;
mod matching;
mod pass;
mod sets;

pub use matching::TEXT_BYTES_MAX;

use crate::error::{Error, Result};
use crate::store::Transaction;
use crate::wiring::Around;
use mainstem_core::ErrorKind;
use mainstem_core::change::{Change, Edit, Shape};
use mainstem_core::format::page;
use mainstem_core::gate::{Gate, GateResult, Outcome, Rows, Rule};
use mainstem_core::policy::Policy;
use mainstem_core::schema::{Schema, Table};
use matching::Matching;

/// What a query gate finds at most; that many are counted.
pub const QUERY_ROWS_MAX: u64 = 1_000_000;

/// Where the row changes of the merge are, so that gates over changed rows know them.
#[derive(Clone, Copy, Debug)]
pub struct Changed<'a> {
    /// The version whose pages hold them, in the same transaction.
    pub version: u64,
    /// How many pages.
    pub pages: u64,
    /// The tables that the pages speak of.
    pub shapes: &'a [Shape],
}

impl Changed<'_> {
    /// Visits what was written, page by page, with the transaction to read from. Deletions leave no row to look at.
    fn visit(&self, tx: &mut dyn Transaction, visit: &mut dyn FnMut(&mut dyn Transaction, &str, &Change) -> Result<()>) -> Result<()> {
        for number in 0..self.pages {
            let lost = || Error::corrupt(format!("page {number} of version {} is missing", self.version));
            let bytes = tx.page(self.version, number)?.ok_or_else(lost)?;
            for change in page::decode(&bytes, self.shapes)? {
                if !matches!(change.edit, Edit::Delete(_)) {
                    visit(tx, &self.shapes[change.table].table, &change)?;
                }
            }
        }
        Ok(())
    }
}

/// Tries every gate, in the order of the policy. Without `changed`, gates over changed rows look at all.
pub fn run(tx: &mut dyn Transaction, policy: &Policy, changed: Option<&Changed<'_>>, around: &Around) -> Result<Vec<GateResult>> {
    let schema = tx.schema();
    let mut outcomes: Vec<Option<Outcome>> = Vec::new();
    for gate in policy.gates() {
        outcomes.push(misfit(&schema, gate).map(|why| Outcome::Broke { why }));
    }
    pass::rows(tx, policy.gates(), &mut outcomes, changed, around)?;
    for (gate, outcome) in policy.gates().iter().zip(&mut outcomes) {
        if outcome.is_none() {
            *outcome = Some(sets::judge(tx, gate, changed, around)?);
        }
    }
    let results = policy.gates().iter().zip(outcomes).map(|(gate, outcome)| {
        let outcome = outcome.unwrap_or_else(|| Outcome::Broke { why: "it was not tried".to_owned() });
        GateResult { gate: gate.name.clone(), severity: gate.severity, outcome }
    });
    Ok(results.collect())
}

/// Says what keeps a gate from being tried on any rows at all.
pub(crate) fn check(gate: &Gate) -> std::result::Result<(), String> {
    match &gate.rule {
        Rule::Cell { must, .. } => Matching::of(must).map(|_| ()),
        _ => Ok(()),
    }
}

/// Says what a gate names that is not there.
pub fn misfit(schema: &Schema, gate: &Gate) -> Option<String> {
    let missing = |name: &str, columns: &[&str]| match schema.table(name) {
        None => Some(format!("there is no table {name}")),
        Some(table) => {
            let stray = columns.iter().find(|column| table.column(column).is_none());
            stray.map(|column| format!("table {name} has no column {column}"))
        }
    };
    let own = gate.rule.table().and_then(|table| missing(table, &gate.rule.columns()));
    own.or_else(|| match &gate.rule {
        Rule::ForeignKey { columns, parent, parent_columns, .. } => {
            let named: Vec<&str> = parent_columns.iter().map(String::as_str).collect();
            missing(parent, &named).or_else(|| {
                let key = schema.table(parent).map_or(0, |table| table.key.len());
                let is_even = !named.is_empty() || key == columns.len();
                (!is_even).then(|| format!("the key of {parent} has {key} columns, and {} refer to it", columns.len()))
            })
        }
        _ => None,
    })
}

/// The position of a table, and the table.
fn table<'s>(schema: &'s Schema, name: &str) -> Result<(usize, &'s Table)> {
    let found = schema.tables.iter().enumerate().find(|(_, table)| table.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| Error::internal(format!("the gate's table {name} went while it was tried")))
}

fn column(table: &Table, name: &str) -> Result<usize> {
    table.column(name).ok_or_else(|| Error::internal(format!("the gate's column {name} went while it was tried")))
}

/// True where a gate looks at changed rows alone.
fn is_of_changes(gate: &Gate, changed: Option<&Changed<'_>>) -> bool {
    gate.rows == Rows::Changed && changed.is_some()
}

fn late(gate: &Gate) -> Outcome {
    Outcome::Broke { why: format!("it took longer than {} ms", gate.time_limit_ms) }
}

/// What is the question's fault breaks the gate; what is the store's is an error.
fn broke(error: Error) -> Result<Outcome> {
    match error.kind {
        ErrorKind::Invalid => Ok(Outcome::Broke { why: error.message }),
        _ => Err(error),
    }
}
