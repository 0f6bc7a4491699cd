//! What the tables and columns of any version are called in this replica, schema steps that were not sent yet included.
use mainstem::core::change::Shape;
use mainstem::core::chronicle::Chronicle;
use mainstem::core::schema::{Schema, SchemaChange};
use mainstem::core::value::Row;
use mainstem::lane::{constant_default, shape_of};
use std::sync::Arc;

/// Names through time, up to here.
pub struct Names {
    chronicle: Chronicle,
    /// The version that the replica holds.
    pub base: u64,
    steps: Vec<SchemaChange>,
    /// The tables here, none of which gives numbers.
    pub schema: Arc<Schema>,
}

/// Where a shape's table and columns are here.
pub struct Here {
    /// The table.
    pub table: usize,
    /// For each column of the shape; none where it is not there any more.
    pub columns: Vec<Option<usize>>,
}

impl Names {
    /// Names up to the tables here.
    pub fn new(chronicle: Chronicle, base: u64, steps: Vec<SchemaChange>, schema: Arc<Schema>) -> Self {
        let mut schema = (*schema).clone();
        schema.tables.iter_mut().for_each(|table| table.is_numbered = false);
        Names { chronicle, base, steps, schema: Arc::new(schema) }
    }

    /// The shapes of all tables here, in their order.
    pub fn shapes(&self) -> Vec<Shape> {
        self.schema.tables.iter().map(shape_of).collect()
    }

    /// Where the table of a version's shape is. A column or table that was dropped and is there again under its name is
    /// taken for the one it was.
    pub fn place(&self, version: u64, shape: &Shape) -> Option<Here> {
        let place = self.chronicle.place(version, shape);
        let base = place.as_ref().and_then(|place| self.chronicle.at(self.base).find(place.table));
        let name = base.map_or(&shape.table, |base| &base.name);
        let (name, _) = self.since(name, "");
        let table = self.schema.tables.iter().position(|table| table.name.eq_ignore_ascii_case(&name))?;
        let there = &self.schema.tables[table];
        let column = |at: usize, old: &String| {
            let id = place.as_ref().and_then(|place| place.columns[at]);
            let kept = id.and_then(|id| base.and_then(|base| base.position(id).map(|at| (&base.name, &base.columns[at].name))));
            match kept {
                Some((table, column)) => there.column(&self.since(table, column).1),
                None => there.column(old),
            }
        };
        let columns: Vec<Option<usize>> = shape.columns.iter().enumerate().map(|(at, old)| column(at, old)).collect();
        Some(Here { table, columns })
    }

    /// True where the key of a shape is the table's key here.
    pub fn is_key(&self, here: &Here, shape: &Shape) -> bool {
        let key: Vec<Option<usize>> = shape.key.iter().map(|&at| here.columns[at]).collect();
        key == self.schema.tables[here.table].key.iter().map(|&at| Some(at)).collect::<Vec<_>>()
    }

    /// A row in the columns here; those it does not know have their default.
    pub fn row(&self, here: &Here, row: &Row) -> Row {
        let columns = &self.schema.tables[here.table].columns;
        let mut moved: Row = columns.iter().map(|column| constant_default(column.default.as_deref())).collect();
        for (value, column) in row.iter().zip(&here.columns) {
            if let Some(at) = column {
                moved[*at] = value.clone();
            }
        }
        moved
    }

    /// A version's shape under the names here. A column that is gone has a name that no column has.
    pub fn shape_here(&self, version: u64, shape: &Shape) -> Shape {
        let Some(here) = self.place(version, shape) else { return shape.clone() };
        let there = &self.schema.tables[here.table];
        let columns = here.columns.iter().map(|at| at.map_or_else(String::new, |at| there.columns[at].name.clone())).collect();
        Shape { table: there.name.clone(), columns, ..shape.clone() }
    }

    /// What a table here is called in the base version; none where it is newer.
    pub fn at_base(&self, table: usize) -> Option<String> {
        let name = super::super::compare::former_name(&self.schema.tables[table].name, &self.steps);
        self.chronicle.at(self.base).table(&name).map(|table| table.name.clone())
    }

    /// A table's and a column's name after the steps that were not accepted yet.
    fn since(&self, table: &str, column: &str) -> (String, String) {
        let (mut table, mut column) = (table.to_owned(), column.to_owned());
        for step in &self.steps {
            match step {
                SchemaChange::RenameTable { from, to } if from.eq_ignore_ascii_case(&table) => table.clone_from(to),
                SchemaChange::RenameColumn { table: t, from, to }
                    if t.eq_ignore_ascii_case(&table) && from.eq_ignore_ascii_case(&column) =>
                {
                    column.clone_from(to);
                }
                _ => {}
            }
        }
        (table, column)
    }
}
