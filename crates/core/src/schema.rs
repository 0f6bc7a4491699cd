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

    /// The tables after a step. What a step is about and is not there stays away; a table's SQL is that of its last declaration.
    /// Objects stay as they are: what reads rows back needs none of them.
    pub fn step(&mut self, step: &SchemaChange) {
        match step {
            SchemaChange::CreateTable { table } if self.table(&table.name).is_none() => self.tables.push(table.clone()),
            SchemaChange::DropTable { name } => self.tables.retain(|table| !table.name.eq_ignore_ascii_case(name)),
            SchemaChange::Rebuild { table, .. } => self.change(&table.name, |known| known.clone_from(table)),
            SchemaChange::RenameTable { from, to } => {
                self.change(from, |table| table.name.clone_from(to));
                let links = self.tables.iter_mut().flat_map(|table| &mut table.foreign_keys);
                links.filter(|link| link.parent.eq_ignore_ascii_case(from)).for_each(|link| link.parent.clone_from(to));
            }
            SchemaChange::AddColumn { table, column, .. } => self.change(table, |table| {
                if table.column(&column.name).is_none() {
                    table.columns.push(column.clone());
                }
            }),
            SchemaChange::RenameColumn { table, from, to } => {
                self.change(table, |table| {
                    if let Some(at) = table.column(from) {
                        table.columns[at].name.clone_from(to);
                    }
                });
                let links = self.tables.iter_mut().flat_map(|table| &mut table.foreign_keys);
                let names = links.filter(|link| link.parent.eq_ignore_ascii_case(table)).flat_map(|link| &mut link.parent_columns);
                names.filter(|name| name.eq_ignore_ascii_case(from)).for_each(|name| name.clone_from(to));
            }
            SchemaChange::DropColumn { table, column } => self.change(table, |table| table.drop_column(column)),
            SchemaChange::CreateTable { .. } | SchemaChange::PutObject { .. } | SchemaChange::DropObject { .. } => {}
        }
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Table)) {
        if let Some(table) = self.tables.iter_mut().find(|table| table.name.eq_ignore_ascii_case(name)) {
            change(table);
        }
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
    /// Takes a column away. Links over it go with it; the positions of those behind it move.
    fn drop_column(&mut self, name: &str) {
        let Some(gone) = self.column(name) else { return };
        self.columns.remove(gone);
        let moved = |at: &mut usize| *at -= usize::from(*at > gone);
        self.key.retain(|at| *at != gone);
        self.key.iter_mut().for_each(moved);
        self.foreign_keys.retain(|link| !link.columns.contains(&gone));
        self.foreign_keys.iter_mut().flat_map(|link| &mut link.columns).for_each(moved);
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};

    fn table(name: &str, columns: &[&str], key: &[usize]) -> Table {
        let column = |text: &&str| {
            let (name, declared_type) = text.split_once(' ').unwrap_or((text, ""));
            Column { name: name.into(), declared_type: declared_type.into(), ..Column::default() }
        };
        Table { name: name.into(), columns: columns.iter().map(column).collect(), key: key.to_vec(), ..Table::default() }
    }

    fn shown(schema: &Schema) -> Vec<String> {
        let column = |table: &Table, at: usize| {
            let (column, is_key) = (&table.columns[at], table.key.contains(&at));
            format!("{}{}{}", column.name, column.declared_type, if is_key { "!" } else { "" })
        };
        let one = |table: &Table| {
            let columns: Vec<String> = (0..table.columns.len()).map(|at| column(table, at)).collect();
            let links: Vec<String> =
                table.foreign_keys.iter().map(|link| format!("{:?}>{}.{}", link.columns, link.parent, link.parent_columns[0])).collect();
            format!("{}({}){}", table.name, columns.join(","), links.concat())
        };
        schema.tables.iter().map(one).collect()
    }

    #[test]
    fn steps_lead_from_one_declaration_to_the_next() {
        let mut child = table("child", &["note TEXT", "id INTEGER", "of INTEGER"], &[1]);
        child.foreign_keys = vec![ForeignKey {
            columns: vec![2],
            parent: "Item".into(),
            parent_columns: vec!["id".into()],
            on_delete: "NO ACTION".into(),
            on_update: "NO ACTION".into(),
        }];
        let mut schema = Schema { tables: vec![table("item", &["id INTEGER", "name TEXT"], &[0]), child], objects: Vec::new() };
        let price = Column { name: "price".into(), declared_type: "REAL".into(), ..Column::default() };
        let text = |text: &str| String::from(text);
        for (step, item, child) in [
            (
                SchemaChange::AddColumn { table: text("ITEM"), column: price, definition: text("price REAL") },
                "item(idINTEGER!,nameTEXT,priceREAL)",
                "child(noteTEXT,idINTEGER!,ofINTEGER)[2]>Item.id",
            ),
            (
                SchemaChange::RenameTable { from: text("item"), to: text("article") },
                "article(idINTEGER!,nameTEXT,priceREAL)",
                "child(noteTEXT,idINTEGER!,ofINTEGER)[2]>article.id",
            ),
            (
                SchemaChange::RenameColumn { table: text("article"), from: text("ID"), to: text("number") },
                "article(numberINTEGER!,nameTEXT,priceREAL)",
                "child(noteTEXT,idINTEGER!,ofINTEGER)[2]>article.number",
            ),
            (
                SchemaChange::DropColumn { table: text("child"), column: text("note") },
                "article(numberINTEGER!,nameTEXT,priceREAL)",
                "child(idINTEGER!,ofINTEGER)[1]>article.number",
            ),
            (
                SchemaChange::DropColumn { table: text("child"), column: text("of") },
                "article(numberINTEGER!,nameTEXT,priceREAL)",
                "child(idINTEGER!)",
            ),
            (
                SchemaChange::Rebuild { before_sql: text(""), table: table("Article", &["number TEXT"], &[0]) },
                "Article(numberTEXT!)",
                "child(idINTEGER!)",
            ),
        ] {
            schema.step(&step);
            assert_eq!(shown(&schema), [item, child], "{step:?}");
        }
        schema.step(&SchemaChange::DropTable { name: text("ARTICLE") });
        schema.step(&SchemaChange::CreateTable { table: table("new", &["a"], &[0]) });
        schema.step(&SchemaChange::DropColumn { table: text("nothing"), column: text("a") });
        assert_eq!(shown(&schema), ["child(idINTEGER!)", "new(a!)"]);
    }
}
