//! The rows of a dataset as they are now, inside an open transaction.
use crate::error::Result;
use mainstem_core::schema::{Schema, SchemaChange};
use mainstem_core::value::{Key, Row, Value};
use std::sync::Arc;

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// It was written.
    Done,
    /// A unique index already holds its value; nothing was written. The text names the columns.
    Unique(String),
    /// A CHECK or NOT NULL refuses it; nothing was written. The text names it.
    Constraint(String),
}

/// Current rows, in one transaction that its owner commits or drops.
///
/// Tables are named by position in [`Tables::schema`], rows are in that schema's column order. No trigger of the
/// user's or of ours fires for what is written here, and no foreign key is enforced or cascades: the callers
/// decide what links mean.
pub trait Tables {
    /// The schema as it is in this transaction.
    fn schema(&self) -> Arc<Schema>;
    /// The row of that key, compared by storage class and bytes.
    fn get(&mut self, table: usize, key: &Key) -> Result<Option<Row>>;
    /// Writes a row that is not there yet.
    fn insert(&mut self, table: usize, row: &Row) -> Result<Wrote>;
    /// Replaces the cells of a row that is there, except its key. `before` is that row as [`Tables::get`] gave it in this
    /// transaction; it is not read again.
    fn update(&mut self, table: usize, before: &Row, row: &Row) -> Result<Wrote>;
    /// Removes a row that is there.
    fn delete(&mut self, table: usize, key: &Key) -> Result<()>;
    /// Up to `limit` rows whose `columns` equal `values` as SQLite compares them. Null equals nothing.
    fn find(&mut self, table: usize, columns: &[usize], values: &[Value], limit: usize) -> Result<Vec<Row>>;
    /// The rows other than `row` itself (by key) that hold a unique value `row` wants, its own key included.
    fn rivals(&mut self, table: usize, row: &Row) -> Result<Vec<Row>>;
    /// Visits every row of a table in key order.
    fn scan(&mut self, table: usize, visit: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()>;
    /// A row number above every one that this table has or, where it remembers, ever had.
    fn next_number(&mut self, table: usize) -> Result<i64>;
    /// The row as this table stores it: each value after its column's affinity.
    fn stored_form(&mut self, table: usize, row: &Row) -> Result<Row>;
    /// Applies one schema step. [`Tables::schema`] is the new one afterwards.
    fn alter(&mut self, step: &SchemaChange) -> Result<()>;
}
