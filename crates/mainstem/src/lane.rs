//! How a changeset's columns map to the ground's: by name, through the renames that happened since its base.
use crate::error::Result;
use crate::tables::Tables;
use mainstem_core::change::{Cell, Change, Edit, Front, Shape};
use mainstem_core::planted::{self, Bug};
use mainstem_core::schema::{Schema, SchemaChange, Table};
use mainstem_core::value::{Key, Row, Value};

/// A cell whose column is gone: the column's name, the values before and after.
pub type Lost = (String, (Value, Value));

/// One shape's way to the ground.
#[derive(Clone, Debug)]
pub struct Lane {
    /// The ground's table; none where it was dropped.
    pub table: Option<usize>,
    /// The ground's columns as a shape.
    pub shape: Shape,
    /// For each column of the changeset's shape, the ground's column; none where it was dropped.
    pub columns: Vec<Option<usize>>,
    names: Vec<String>,
    key: Vec<usize>,
    defaults: Row,
    /// True where both sides have the same columns and key in the same places, so that nothing needs to be moved.
    pub is_straight: bool,
    /// True where the table was declared anew since, so that its values may be stored in another form.
    pub is_redeclared: bool,
}

/// The lanes of all shapes of a changeset.
pub fn lanes(schema: &Schema, front: &Front, steps: &[SchemaChange]) -> Vec<Lane> {
    front
        .shapes
        .iter()
        .map(|shape| {
            let name = table_after(&shape.table, steps);
            // One that was dropped is gone, whatever has its name by now; unless the changeset made it anew itself.
            let is_gone = is_dropped(&shape.table, steps) && !front.schema.iter().any(|step| makes(step, &shape.table));
            let table = schema.tables.iter().position(|t| !is_gone && t.name.eq_ignore_ascii_case(&name));
            let mut lane = Lane::between(schema, table, shape, steps);
            lane.is_redeclared |= front.schema.iter().any(|step| redeclares(step, &shape.table));
            lane
        })
        .collect()
}

/// What a table is called after the steps.
pub fn table_after(name: &str, steps: &[SchemaChange]) -> String {
    let mut name = name.to_owned();
    for step in steps {
        if let SchemaChange::RenameTable { from, to } = step
            && from.eq_ignore_ascii_case(&name)
        {
            name.clone_from(to);
        }
    }
    name
}

fn is_dropped(name: &str, steps: &[SchemaChange]) -> bool {
    (0..steps.len()).any(|at| match &steps[at] {
        SchemaChange::DropTable { name: dropped } => dropped.eq_ignore_ascii_case(&table_after(name, &steps[..at])),
        _ => false,
    })
}

/// True for a step that makes a table of that name.
pub fn makes(step: &SchemaChange, name: &str) -> bool {
    matches!(step, SchemaChange::CreateTable { table } if table.name.eq_ignore_ascii_case(name))
}

/// The shape of a table of the schema.
pub fn shape_of(table: &Table) -> Shape {
    Shape {
        table: table.name.clone(),
        columns: table.column_names(),
        key: table.key.clone(),
        is_numbered: table.is_numbered,
        highest: None,
    }
}

/// The constant a column's default stands for; NULL for an expression.
///
/// SQLite only lets ALTER TABLE ADD COLUMN take a constant default, so a row that does not know the column has this value.
pub fn constant_default(text: Option<&str>) -> Value {
    let Some(text) = text.map(str::trim) else { return Value::Null };
    let text = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')).map_or(text, str::trim);
    if let Some(inner) = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        return Value::text(inner.replace("''", "'"));
    }
    if let Some(inner) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
        return Value::text(inner.replace("\"\"", "\""));
    }
    match text.to_ascii_lowercase().as_str() {
        "null" => return Value::Null,
        "true" => return Value::Integer(1),
        "false" => return Value::Integer(0),
        _ => {}
    }
    if let Ok(i) = text.trim_start_matches('+').parse::<i64>() {
        return Value::Integer(i);
    }
    if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
        && let Ok(r) = text.parse::<f64>()
    {
        return Value::Real(r);
    }
    Value::Null
}

impl Lane {
    /// The lane from a shape to one table, through renames of its columns.
    pub fn between(schema: &Schema, table: Option<usize>, from: &Shape, steps: &[SchemaChange]) -> Lane {
        let Some(index) = table else {
            return Lane {
                table,
                shape: from.clone(),
                columns: vec![None; from.columns.len()],
                names: from.columns.clone(),
                key: from.key.clone(),
                defaults: Vec::new(),
                is_straight: false,
                is_redeclared: false,
            };
        };
        let there = &schema.tables[index];
        let mut columns: Vec<Option<usize>> = from.columns.iter().map(|name| there.column(&renamed(&from.table, name, steps))).collect();
        if planted::is(Bug::D3) {
            columns = (0..from.columns.len()).map(|n| Some(n).filter(|n| *n < there.columns.len())).collect();
        }
        let is_straight = columns.len() == there.columns.len()
            && columns.iter().enumerate().all(|(n, column)| *column == Some(n))
            && from.key == there.key;
        let defaults = there.columns.iter().map(|c| constant_default(c.default.as_deref())).collect();
        // A number that is a link follows its parent's and is never changed by itself.
        let shape = Shape { is_numbered: there.gives_numbers() && !planted::is(Bug::C3), ..shape_of(there) };
        let is_redeclared = steps.iter().any(|step| redeclares(step, &from.table) || redeclares(step, &there.name));
        Lane { table, shape, columns, names: from.columns.clone(), key: from.key.clone(), defaults, is_straight, is_redeclared }
    }

    /// A whole row in the ground's columns; columns it does not know get their default.
    pub fn local_row(&self, row: &Row) -> Row {
        if self.is_straight && row.len() == self.defaults.len() {
            return row.clone();
        }
        let mut local = self.defaults.clone();
        for (value, column) in row.iter().zip(&self.columns) {
            if let Some(column) = column {
                local[*column] = value.clone();
            }
        }
        local
    }

    /// A key in the ground's key order.
    pub fn local_key(&self, key: &Key) -> Key {
        if self.is_straight {
            return key.clone();
        }
        self.shape
            .key
            .iter()
            .map(|&ground| {
                let at = self.key.iter().position(|&k| self.columns[k] == Some(ground));
                at.map(|i| key[i].clone()).unwrap_or_default()
            })
            .collect()
    }

    /// A change in the ground's columns, and the cells (column, before and after) whose column is gone.
    /// A delete takes cells it does not know from `there`, the row that is there.
    pub fn localise(&self, change: Change, there: Option<&Row>) -> (Change, Vec<Lost>) {
        let is_whole = match &change.edit {
            Edit::Insert(row) | Edit::Delete(row) => row.len() == self.defaults.len(),
            Edit::Update(_) => true,
        };
        if self.is_straight && is_whole {
            return (change, Vec::new());
        }
        let mut lost = Vec::new();
        let edit = match &change.edit {
            Edit::Insert(row) => {
                for ((value, column), name) in row.iter().zip(&self.columns).zip(&self.names) {
                    if column.is_none() && !value.is_null() {
                        lost.push((name.clone(), (Value::Null, value.clone())));
                    }
                }
                Edit::Insert(self.local_row(row))
            }
            Edit::Update(cells) => {
                let mut kept = Vec::with_capacity(cells.len());
                for cell in cells {
                    match self.columns[cell.column] {
                        Some(column) => kept.push(Cell { column, ..cell.clone() }),
                        None => lost.push((self.names[cell.column].clone(), (cell.before.clone(), cell.after.clone()))),
                    }
                }
                Edit::Update(kept)
            }
            Edit::Delete(row) => {
                let mut local = self.local_row(row);
                if let Some(there) = there {
                    for (column, value) in local.iter_mut().enumerate() {
                        if !self.columns.contains(&Some(column)) {
                            value.clone_from(&there[column]);
                        }
                    }
                }
                Edit::Delete(local)
            }
        };
        let moved_from = change.moved_from.as_ref().map(|k| self.local_key(k));
        (Change { table: change.table, key: self.local_key(&change.key), edit, at: change.at, moved_from }, lost)
    }
}

/// True for a step that declares that table anew.
pub fn redeclares(step: &SchemaChange, name: &str) -> bool {
    matches!(step, SchemaChange::Rebuild { table, .. } if table.name.eq_ignore_ascii_case(name))
}

/// A key in the form in which its table stores it now.
pub fn reform_key<T: Tables + ?Sized>(tables: &mut T, table: usize, key: &mut Key) -> Result<()> {
    let schema = tables.schema();
    let mut row: Row = vec![Value::Null; schema.tables[table].columns.len()];
    for (value, column) in key.iter().zip(&schema.tables[table].key) {
        row[*column] = value.clone();
    }
    *key = schema.tables[table].key_of(&tables.stored_form(table, &row)?);
    Ok(())
}

/// Puts the values of a change into the form in which their table stores them now. What the new declaration made of a
/// value is then no edit of it, on either side.
pub fn reform<T: Tables + ?Sized>(tables: &mut T, table: usize, change: &mut Change) -> Result<()> {
    reform_key(tables, table, &mut change.key)?;
    if let Some(key) = &mut change.moved_from {
        reform_key(tables, table, key)?;
    }
    match &mut change.edit {
        Edit::Insert(row) | Edit::Delete(row) => *row = tables.stored_form(table, row)?,
        Edit::Update(cells) => {
            let mut before: Row = vec![Value::Null; tables.schema().tables[table].columns.len()];
            let mut after = before.clone();
            for cell in cells.iter() {
                (before[cell.column], after[cell.column]) = (cell.before.clone(), cell.after.clone());
            }
            let (mut before, mut after) = (tables.stored_form(table, &before)?, tables.stored_form(table, &after)?);
            for cell in cells.iter_mut() {
                (cell.before, cell.after) = (std::mem::take(&mut before[cell.column]), std::mem::take(&mut after[cell.column]));
            }
            cells.retain(|cell| cell.before != cell.after);
        }
    }
    Ok(())
}

fn renamed(table: &str, column: &str, steps: &[SchemaChange]) -> String {
    let mut table = table.to_owned();
    let mut name = column.to_owned();
    for step in steps {
        match step {
            SchemaChange::RenameTable { from, to } if from.eq_ignore_ascii_case(&table) => table.clone_from(to),
            SchemaChange::RenameColumn { table: t, from, to } if t.eq_ignore_ascii_case(&table) && from.eq_ignore_ascii_case(&name) => {
                name.clone_from(to)
            }
            _ => {}
        }
    }
    name
}
