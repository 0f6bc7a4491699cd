//! What a dataset's tables look like: structure by name, plus the SQL that made them.
//!
//! Columns here are the stored ones; generated columns live only in a table's SQL, for they are never written.
use crate::value::{Key, Row};
use alloc::{string::String, vec::Vec};

/// Tables with a row key, and the other objects (indexes, views, triggers, tables without rows that travel) by their SQL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// Tracked tables, in creation order.
    pub tables: Vec<Table>,
    /// The user's other objects, in an order in which they can be made.
    pub objects: Vec<Object>,
}

impl Schema {
    /// The table of that name, compared without ASCII case as SQLite does.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|t| t.name.eq_ignore_ascii_case(name))
    }
}

/// An index, view or trigger; or a table of which only the declaration travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// `index`, `view` or `trigger`; `table` for a table without a key, `virtual` for a virtual table.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The table it belongs to (its own name for a view or a table).
    pub table: String,
    /// The statement that makes it.
    pub sql: String,
}

/// One table with a row key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Its name as declared.
    pub name: String,
    /// Its stored columns in declared order.
    pub columns: Vec<Column>,
    /// Positions in `columns` of the primary key, in key order. Never empty.
    pub key: Vec<usize>,
    /// True where the key is an INTEGER PRIMARY KEY, the row's own number.
    pub is_numbered: bool,
    /// True where the table was declared AUTOINCREMENT.
    pub is_autoincrement: bool,
    /// True for WITHOUT ROWID.
    pub is_without_rowid: bool,
    /// Foreign keys out of this table.
    pub foreign_keys: Vec<ForeignKey>,
    /// The CREATE TABLE statement.
    pub sql: String,
}

impl Table {
    /// Position of the column of that name (ASCII case ignored).
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name))
    }
    /// The key of a row.
    pub fn key_of(&self, row: &Row) -> Key {
        self.key.iter().map(|&i| row[i].clone()).collect()
    }
    /// True where the row number is the table's own to give: not where it is a link, as in a table that extends another.
    pub fn gives_numbers(&self) -> bool {
        self.is_numbered && !self.foreign_keys.iter().any(|link| self.key.iter().any(|key| link.columns.contains(key)))
    }
    /// The names of the stored columns.
    pub fn column_names(&self) -> Vec<String> {
        self.columns.iter().map(|c| c.name.clone()).collect()
    }
}

/// One stored column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// Its name as declared.
    pub name: String,
    /// Its declared type, empty where none.
    pub declared_type: String,
    /// True for NOT NULL.
    pub not_null: bool,
    /// The default's SQL text.
    pub default: Option<String>,
    /// The collation where it is not BINARY.
    pub collation: Option<String>,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// Positions in the child's columns.
    pub columns: Vec<usize>,
    /// The parent table's name.
    pub parent: String,
    /// Names of the parent's columns, resolved (never empty).
    pub parent_columns: Vec<String>,
    /// The ON DELETE action as SQLite names it (`NO ACTION`, `CASCADE` …).
    pub on_delete: String,
    /// The ON UPDATE action.
    pub on_update: String,
}

/// One step by which a schema changed. Names are those before the step unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaChange {
    /// A table came into being.
    CreateTable {
        /// The new table.
        table: Table,
    },
    /// A table went.
    DropTable {
        /// Its name.
        name: String,
    },
    /// A table was renamed.
    RenameTable {
        /// Its name before.
        from: String,
        /// Its name now.
        to: String,
    },
    /// A column was added at the end.
    AddColumn {
        /// The table.
        table: String,
        /// The new column.
        column: Column,
        /// Its definition as SQL, as ALTER TABLE ADD COLUMN takes it.
        definition: String,
    },
    /// A column was dropped.
    DropColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A column was renamed.
    RenameColumn {
        /// The table.
        table: String,
        /// Its name before.
        from: String,
        /// Its name now.
        to: String,
    },
    /// The table's declaration changed in a way the steps above cannot say (a constraint, a type, the order).
    Rebuild {
        /// The declaration before, to be compared with the other side's.
        before_sql: String,
        /// The table as it is now.
        table: Table,
    },
    /// An object was made, or made again with other SQL.
    PutObject {
        /// The object.
        object: Object,
    },
    /// An object was dropped.
    DropObject {
        /// Its kind, as in [`Object`].
        kind: String,
        /// Its name.
        name: String,
    },
}
