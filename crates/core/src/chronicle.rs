//! What tables and columns were called when: which column of one version is which of another.
//!
//! Invariant: an id stands for one table or column from the step that made it to the step that dropped it, whatever it
//! was called meanwhile; one that comes back under an old name is another.
//! Deliberately absent: types, links and objects; rows need none of them to be read.
#[cfg(test)]
mod tests;

use crate::change::Shape;
use crate::schema::{Schema, SchemaChange, Table};
use crate::value::{Row, Value};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// A table, for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub(crate) usize);

/// A column, for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub(crate) usize);

/// A column under the name it had at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedColumn {
    /// Which one it is.
    pub id: ColumnId,
    /// What it was called.
    pub name: String,
}

/// A table as it was at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTable {
    /// Which one it is.
    pub id: TableId,
    /// What it was called.
    pub name: String,
    /// Its stored columns, in order.
    pub columns: Vec<NamedColumn>,
    /// Positions in `columns` of the row key.
    pub key: Vec<usize>,
}

impl NamedTable {
    /// The names of its columns.
    pub fn column_names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }
    /// Position of a column.
    pub fn position(&self, id: ColumnId) -> Option<usize> {
        self.columns.iter().position(|column| column.id == id)
    }
    /// The column of that name (ASCII case ignored).
    pub fn column(&self, name: &str) -> Option<&NamedColumn> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }
    /// The columns of its key.
    pub fn key_ids(&self) -> Vec<ColumnId> {
        self.key.iter().map(|&at| self.columns[at].id).collect()
    }
    /// The names of its key's columns.
    pub fn key_names(&self) -> Vec<String> {
        self.key.iter().map(|&at| self.columns[at].name.clone()).collect()
    }
}

/// The tables between two schema steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Era {
    /// The version whose step began it; zero for the first.
    pub version: u64,
    /// Its tables, in creation order.
    pub tables: Vec<Arc<NamedTable>>,
}

impl Era {
    /// The table of that name (ASCII case ignored).
    pub fn table(&self, name: &str) -> Option<&Arc<NamedTable>> {
        self.tables.iter().find(|table| table.name.eq_ignore_ascii_case(name))
    }
    /// A table under whatever name.
    pub fn find(&self, id: TableId) -> Option<&Arc<NamedTable>> {
        self.tables.iter().find(|table| table.id == id)
    }
}

/// What a change's table and columns are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The table.
    pub table: TableId,
    /// For each column of the shape; none where nobody knows it.
    pub columns: Vec<Option<ColumnId>>,
}

impl Place {
    /// A row of this shape in another table's columns; NULL where the shape has none.
    pub fn row_in(&self, table: &NamedTable, row: &Row) -> Row {
        let mut moved = vec![Value::Null; table.columns.len()];
        for (id, value) in self.columns.iter().zip(row) {
            if let Some(at) = id.and_then(|id| table.position(id)) {
                moved[at] = value.clone();
            }
        }
        moved
    }
}

/// Every era of a dataset, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chronicle {
    pub(crate) eras: Vec<Era>,
    pub(crate) tables: usize,
    pub(crate) columns: usize,
}

impl Chronicle {
    /// Begins with the schema of version 1.
    pub fn new(schema: &Schema) -> Self {
        let mut chronicle = Chronicle { eras: vec![Era::default()], tables: 0, columns: 0 };
        let tables = schema.tables.iter().map(|table| Arc::new(chronicle.made(table, None))).collect();
        chronicle.eras[0].tables = tables;
        chronicle
    }

    /// Adds a step of a version. Versions come in order, each one's steps in the order in which they were applied.
    pub fn add(&mut self, version: u64, step: &SchemaChange) {
        let mut tables = self.now().tables.clone();
        let named = |tables: &[Arc<NamedTable>], name: &str| tables.iter().position(|t| t.name.eq_ignore_ascii_case(name));
        match step {
            SchemaChange::CreateTable { table } if named(&tables, &table.name).is_none() => {
                tables.push(Arc::new(self.made(table, None)));
            }
            SchemaChange::DropTable { name } => tables.retain(|table| !table.name.eq_ignore_ascii_case(name)),
            SchemaChange::Rebuild { table, .. } => {
                if let Some(at) = named(&tables, &table.name) {
                    tables[at] = Arc::new(self.made(table, Some(&tables[at])));
                }
            }
            SchemaChange::RenameTable { from, to } => {
                if let Some(at) = named(&tables, from) {
                    Arc::make_mut(&mut tables[at]).name.clone_from(to);
                }
            }
            SchemaChange::AddColumn { table, column, .. } => {
                if let Some(at) = named(&tables, table).filter(|&at| tables[at].column(&column.name).is_none()) {
                    let added = NamedColumn { id: self.next_column(), name: column.name.clone() };
                    Arc::make_mut(&mut tables[at]).columns.push(added);
                }
            }
            SchemaChange::RenameColumn { table, from, to } => {
                if let Some(at) = named(&tables, table)
                    && let Some(column) = Arc::make_mut(&mut tables[at]).columns.iter_mut().find(|c| c.name.eq_ignore_ascii_case(from))
                {
                    column.name.clone_from(to);
                }
            }
            SchemaChange::DropColumn { table, column } => {
                if let Some(at) = named(&tables, table) {
                    drop_column(Arc::make_mut(&mut tables[at]), column);
                }
            }
            SchemaChange::CreateTable { .. } | SchemaChange::PutObject { .. } | SchemaChange::DropObject { .. } => {}
        }
        self.eras.push(Era { version, tables });
    }

    /// The same without the tables that are not wanted.
    pub fn only(&self, is_wanted: &dyn Fn(TableId) -> bool) -> Chronicle {
        let tables = |era: &Era| era.tables.iter().filter(|table| is_wanted(table.id)).cloned().collect();
        let eras = self.eras.iter().map(|era| Era { version: era.version, tables: tables(era) }).collect();
        Chronicle { eras, tables: self.tables, columns: self.columns }
    }

    /// The table that goes by a name now; where none does, the last one that did and is there under another.
    pub fn follow(&self, name: &str) -> Option<&Arc<NamedTable>> {
        let former = || self.eras.iter().rev().filter_map(|era| era.table(name)).find_map(|table| self.now().find(table.id));
        self.now().table(name).or_else(former)
    }

    /// The column of a table that goes by a name now; where none does, the last one that did and is there under another.
    pub fn follow_column(&self, table: TableId, name: &str) -> Option<&NamedColumn> {
        let now = self.now().find(table)?;
        let tables = self.eras.iter().rev().filter_map(|era| era.find(table));
        let former = || tables.filter_map(|then| then.column(name)).find_map(|then| now.columns.iter().find(|c| c.id == then.id));
        now.column(name).or_else(former)
    }

    /// The versions that changed the schema, oldest first.
    pub fn versions(&self) -> Vec<u64> {
        let mut versions: Vec<u64> = self.eras.iter().map(|era| era.version).filter(|version| *version > 0).collect();
        versions.dedup();
        versions
    }

    /// The tables as they are now.
    pub fn now(&self) -> &Era {
        &self.eras[self.eras.len() - 1]
    }

    /// The tables as they were at a version, after its steps.
    pub fn at(&self, version: u64) -> &Era {
        let after = self.eras.partition_point(|era| era.version <= version);
        &self.eras[after.max(1) - 1]
    }

    /// What the shape of a change in a version is. A version that drops something tells of it in the shape from before
    /// its step, so its eras are tried from the last to the one that it began with.
    pub fn place(&self, version: u64, shape: &Shape) -> Option<Place> {
        let after = self.eras.partition_point(|era| era.version <= version);
        let before = self.eras.partition_point(|era| era.version < version).max(1);
        let eras = &self.eras[before - 1..after.max(1)];
        let tables = || eras.iter().rev().filter_map(|era| era.table(&shape.table));
        let table = tables().find(|table| is_of(table, shape)).or_else(|| tables().next())?;
        let columns = shape.columns.iter().map(|name| table.column(name).map(|column| column.id)).collect();
        Some(Place { table: table.id, columns })
    }

    /// For a table that was dropped: the version that did, and the table as it was then.
    pub fn dropped(&self, table: TableId) -> Option<(u64, &Arc<NamedTable>)> {
        let last = self.eras.iter().rposition(|era| era.find(table).is_some())?;
        Some((self.eras.get(last + 1)?.version, self.eras[last].find(table)?))
    }

    /// The table as it is now, or as it was when it was dropped.
    pub fn last(&self, table: TableId) -> Option<&Arc<NamedTable>> {
        self.eras.iter().rev().find_map(|era| era.find(table))
    }

    /// The version that made a column; zero for those of the first schema.
    pub fn made_in(&self, table: TableId, column: ColumnId) -> Option<u64> {
        let has = |era: &&Era| era.find(table).is_some_and(|table| table.position(column).is_some());
        self.eras.iter().find(has).map(|era| era.version)
    }

    /// The version that took a column from a table that stayed; none where it is there still, or went with its table.
    pub fn lost_in(&self, table: TableId, column: ColumnId) -> Option<u64> {
        let has = |era: &Era| era.find(table).is_some_and(|table| table.position(column).is_some());
        let without = self.eras.get(self.eras.iter().rposition(has)? + 1)?;
        without.find(table).map(|_| without.version)
    }

    /// A table as declared, with the ids of columns that it had before under the same name.
    fn made(&mut self, table: &Table, before: Option<&NamedTable>) -> NamedTable {
        let known = |name: &str| before.and_then(|before| before.column(name)).map(|column| column.id);
        let columns = table.columns.iter();
        let columns =
            columns.map(|c| NamedColumn { id: known(&c.name).unwrap_or_else(|| self.next_column()), name: c.name.clone() }).collect();
        let id = before.map_or_else(|| self.next_table(), |before| before.id);
        NamedTable { id, name: table.name.clone(), columns, key: table.key.clone() }
    }

    fn next_table(&mut self) -> TableId {
        self.tables += 1;
        TableId(self.tables)
    }

    fn next_column(&mut self) -> ColumnId {
        self.columns += 1;
        ColumnId(self.columns)
    }
}

fn is_of(table: &NamedTable, shape: &Shape) -> bool {
    table.columns.len() == shape.columns.len() && table.columns.iter().zip(&shape.columns).all(|(a, b)| a.name.eq_ignore_ascii_case(b))
}

fn drop_column(table: &mut NamedTable, name: &str) {
    let Some(at) = table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name)) else { return };
    table.columns.remove(at);
    table.key.retain(|&key| key != at);
    for key in table.key.iter_mut().filter(|key| **key > at) {
        *key -= 1;
    }
}
