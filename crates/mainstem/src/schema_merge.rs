//! Merges schema steps: additive ones go through, the same step twice is one, contradictions become conflicts.
//!
//! Invariant: what a dropped table or column held is written to the version as row changes before it goes, so that
//! history keeps it; an edit that the other side made to it becomes a conflict that keeps the value.
use crate::error::{Error, Result};
use crate::lane::shape_of;
use crate::rebase::{Effect, Effects, Ground, Outcome, Place};
use crate::tables::Tables;
use mainstem_core::ErrorKind;
use mainstem_core::change::{Edit, Front};
use mainstem_core::conflict::{self, Claim, Conflict, ConflictKind, Side};
use mainstem_core::schema::{Column, Object, Schema, SchemaChange, Table};
use mainstem_core::stamp::Stamp;
use mainstem_core::three_way::Touch;
use mainstem_core::value::{Key, Row, Value};
use std::sync::Arc;

/// What stands against a step.
enum Stand {
    /// Nothing: apply it.
    Free,
    /// It has been done already.
    Same,
    /// The other side did something else; the text says what.
    Against(String),
}

/// Applies a changeset's schema steps to the ground.
pub fn merge<G: Ground + ?Sized>(
    ground: &mut G,
    front: &Front,
    theirs: &[SchemaChange],
    place: Place,
    effects: &mut dyn Effects<G>,
    out: &mut Outcome,
) -> Result<()> {
    for (at, step) in front.schema.iter().enumerate() {
        let step = &followed(step, theirs);
        match stand(&ground.schema().tables, &ground.schema().objects, step, theirs) {
            Stand::Same => continue,
            Stand::Against(why) => {
                out.conflicts.push(step_conflict(step, front, &why, place.version));
                continue;
            }
            Stand::Free => {}
        }
        let going = Going::with(ground, front, step, place)?;
        match ground.alter(step) {
            Ok(()) => {
                going.keep(ground, front, effects, out)?;
                out.schema.push((at, step.clone()));
                effects.altered(ground, &table_of(step).into_iter().collect::<Vec<_>>())?;
            }
            Err(e) if matches!(e.kind, ErrorKind::Conflict | ErrorKind::Invalid) => {
                out.conflicts.push(step_conflict(step, front, &e.message, place.version));
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// True for the conflict of a step that did not go through.
pub fn is_step_refused(conflict: &Conflict) -> bool {
    conflict.kind == ConflictKind::Schema && conflict.key.is_empty()
}

/// Applies steps that were accepted already, leaving out those that are done. Returns the tables they are about.
pub fn apply(ground: &mut dyn Tables, steps: &[SchemaChange]) -> Result<Vec<String>> {
    let altered = steps.iter().filter_map(table_of).collect();
    for step in steps {
        let schema = ground.schema();
        match stand(&schema.tables, &schema.objects, step, &[]) {
            Stand::Same => {}
            Stand::Free => ground.alter(step)?,
            Stand::Against(why) => {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "schema_conflict",
                    format!("the primary's schema step cannot be applied here: {why}"),
                )
                .hint("mainstem diff, then undo or rename what stands against it"));
            }
        }
    }
    Ok(altered)
}

/// The step that takes one back, where the step itself tells enough. What a drop took, it does not tell.
pub fn inverse(step: &SchemaChange) -> Option<SchemaChange> {
    match step {
        SchemaChange::CreateTable { table } => Some(SchemaChange::DropTable { name: table.name.clone() }),
        SchemaChange::RenameTable { from, to } => Some(SchemaChange::RenameTable { from: to.clone(), to: from.clone() }),
        SchemaChange::AddColumn { table, column, .. } => {
            Some(SchemaChange::DropColumn { table: table.clone(), column: column.name.clone() })
        }
        SchemaChange::RenameColumn { table, from, to } => {
            Some(SchemaChange::RenameColumn { table: table.clone(), from: to.clone(), to: from.clone() })
        }
        SchemaChange::PutObject { object } => Some(SchemaChange::DropObject { kind: object.kind.clone(), name: object.name.clone() }),
        SchemaChange::DropTable { .. }
        | SchemaChange::DropColumn { .. }
        | SchemaChange::Rebuild { .. }
        | SchemaChange::DropObject { .. } => None,
    }
}

/// A step about the columns of a table that the other side renamed since.
fn followed(step: &SchemaChange, theirs: &[SchemaChange]) -> SchemaChange {
    let mut step = step.clone();
    for their in theirs {
        if let (
            SchemaChange::RenameTable { from, to },
            SchemaChange::AddColumn { table, .. } | SchemaChange::DropColumn { table, .. } | SchemaChange::RenameColumn { table, .. },
        ) = (their, &mut step)
            && from.eq_ignore_ascii_case(table)
        {
            table.clone_from(to);
        }
        if let (SchemaChange::RenameColumn { table: renamed, from, to }, SchemaChange::DropColumn { table, column }) = (their, &mut step)
            && renamed.eq_ignore_ascii_case(table)
            && from.eq_ignore_ascii_case(column)
        {
            column.clone_from(to);
        }
    }
    step
}

fn find<'a>(tables: &'a [Table], name: &str) -> Option<&'a Table> {
    tables.iter().find(|t| t.name.eq_ignore_ascii_case(name))
}

impl Stand {
    fn same_if(is_same: bool) -> Stand {
        if is_same { Stand::Same } else { Stand::Free }
    }
}

fn stand(tables: &[Table], objects: &[Object], step: &SchemaChange, theirs: &[SchemaChange]) -> Stand {
    match step {
        SchemaChange::CreateTable { table } => match find(tables, &table.name) {
            None => Stand::Free,
            Some(there) if is_alike(there, table) => Stand::Same,
            Some(_) => Stand::Against(format!("another table {} was made", table.name)),
        },
        SchemaChange::DropTable { name } => Stand::same_if(find(tables, name).is_none()),
        SchemaChange::RenameTable { from, to } => match (find(tables, from), find(tables, to)) {
            (Some(_), None) => Stand::Free,
            (None, Some(_)) => Stand::Same,
            (Some(_), Some(_)) => Stand::Against(format!("there is a table {to} already")),
            (None, None) => Stand::Against(format!("the table {from} was dropped or renamed")),
        },
        SchemaChange::DropColumn { table, column } => {
            Stand::same_if(find(tables, table).is_none_or(|there| there.column(column).is_none()))
        }
        SchemaChange::AddColumn { table, .. } | SchemaChange::RenameColumn { table, .. } => match find(tables, table) {
            None => Stand::Against(format!("the table {table} was dropped or renamed")),
            Some(there) => column_stand(there, step),
        },
        SchemaChange::Rebuild { before_sql, table } => match find(tables, &table.name) {
            None => Stand::Against(format!("the table {} was dropped or renamed", table.name)),
            Some(there) if there.sql == table.sql => Stand::Same,
            Some(there) if there.sql == *before_sql || !touches_table(theirs, &table.name) => Stand::Free,
            Some(_) => Stand::Against(format!("the table {} was declared anew on both sides", table.name)),
        },
        SchemaChange::PutObject { object } => {
            let is_it = |o: &&Object| o.kind == object.kind && o.name.eq_ignore_ascii_case(&object.name);
            Stand::same_if(objects.iter().find(is_it).is_some_and(|there| there.sql == object.sql))
        }
        SchemaChange::DropObject { kind, name } => {
            Stand::same_if(!objects.iter().any(|o| o.kind == *kind && o.name.eq_ignore_ascii_case(name)))
        }
    }
}

/// What stands against adding or renaming a column of a table that is there.
fn column_stand(there: &Table, step: &SchemaChange) -> Stand {
    match step {
        SchemaChange::AddColumn { column, .. } => match there.column(&column.name).map(|i| &there.columns[i]) {
            None => Stand::Free,
            Some(same) if is_alike_column(same, column) && same.default == column.default && same.not_null == column.not_null => {
                Stand::Same
            }
            Some(_) => Stand::Against(format!("another column {} was added", column.name)),
        },
        SchemaChange::RenameColumn { from, to, .. } => match (there.column(from), there.column(to)) {
            (Some(_), None) => Stand::Free,
            (None, Some(_)) => Stand::Same,
            // A change of case only: one column answers to both names.
            (Some(a), Some(b)) if a == b => Stand::same_if(there.columns[a].name == *to),
            (Some(_), Some(_)) => Stand::Against(format!("there is a column {to} already")),
            (None, None) => Stand::Against(format!("the column {from} was dropped or renamed")),
        },
        _ => Stand::Free,
    }
}

fn touches_table(steps: &[SchemaChange], name: &str) -> bool {
    steps.iter().filter_map(table_of).any(|t| t.eq_ignore_ascii_case(name))
}

fn is_alike(a: &Table, b: &Table) -> bool {
    a.key == b.key
        && a.columns.len() == b.columns.len()
        && a.columns.iter().zip(&b.columns).all(|(x, y)| x.name.eq_ignore_ascii_case(&y.name) && is_alike_column(x, y))
}

fn is_alike_column(a: &Column, b: &Column) -> bool {
    a.declared_type.eq_ignore_ascii_case(&b.declared_type)
}

/// The table whose rows' digests a step changes, by its name after the step.
pub fn table_of(step: &SchemaChange) -> Option<String> {
    match step {
        SchemaChange::CreateTable { table } | SchemaChange::Rebuild { table, .. } => Some(table.name.clone()),
        SchemaChange::DropTable { name } => Some(name.clone()),
        SchemaChange::RenameTable { to, .. } => Some(to.clone()),
        SchemaChange::AddColumn { table, .. } | SchemaChange::DropColumn { table, .. } | SchemaChange::RenameColumn { table, .. } => {
            Some(table.clone())
        }
        SchemaChange::PutObject { .. } | SchemaChange::DropObject { .. } => None,
    }
}

/// What a drop takes away.
#[derive(Default)]
struct Going {
    schema: Arc<Schema>,
    table: usize,
    /// The column, where it is not the whole table.
    column: Option<usize>,
    rows: Vec<Row>,
    /// Theirs' edits of it.
    conflicts: Vec<Conflict>,
}

impl Going {
    /// What goes with a step, before it does.
    fn with<G: Ground + ?Sized>(ground: &mut G, front: &Front, step: &SchemaChange, place: Place) -> Result<Going> {
        let (name, column) = match step {
            SchemaChange::DropTable { name } => (name, None),
            SchemaChange::DropColumn { table, column } => (table, Some(column)),
            _ => return Ok(Going::default()),
        };
        let schema = ground.schema();
        let Some(table) = schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(name)) else { return Ok(Going::default()) };
        let declared = &schema.tables[table];
        let column = column.and_then(|c| declared.column(c));
        let (mut rows, mut conflicts): (Vec<Row>, Vec<Conflict>) = Default::default();
        ground.scan(table, &mut |row| {
            rows.extend(Some(row).filter(|row| column.is_none_or(|c| !row[c].is_null())).cloned());
            Ok(())
        })?;
        for row in rows.iter().filter(|_| place.head > front.header.base_version) {
            let key = declared.key_of(row);
            let touches = crate::rebase::touches(ground, front, &declared.name, &key)?;
            conflicts.extend(edit_of_dropped(declared, &key, row, column, &touches, front, place.version));
        }
        Ok(Going { schema, table, column, rows, conflicts })
    }

    /// Writes it as row changes, now that it is gone, and keeps theirs' edits of it as conflicts.
    fn keep<G: Ground + ?Sized>(self, ground: &mut G, front: &Front, effects: &mut dyn Effects<G>, out: &mut Outcome) -> Result<()> {
        out.conflicts.extend(self.conflicts);
        for row in &self.rows {
            let after = self.column.map(|column| {
                let mut after = row.clone();
                after[column] = Value::Null;
                after
            });
            let (before, after) = (Some(row), after.as_ref());
            let effect = Effect { table: self.table, before, after, at: front.header.at, cell_at: &[], moved_from: None };
            effects.effect(ground, &self.schema, &effect)?;
        }
        Ok(())
    }
}

fn edit_of_dropped(
    table: &Table,
    key: &Key,
    row: &Row,
    column: Option<usize>,
    touches: &[Touch],
    front: &Front,
    version: u64,
) -> Option<Conflict> {
    let shape = shape_of(table);
    let name = column.map(|c| table.columns[c].name.clone());
    let touch = touches.iter().rev().find(|t| match (&t.change.edit, &name) {
        (Edit::Update(cells), Some(name)) => cells.iter().any(|c| t.shape.columns[c.column].eq_ignore_ascii_case(name)),
        (Edit::Insert(_) | Edit::Update(_), _) => true,
        (Edit::Delete(_), _) => false,
    })?;
    let claim = match column {
        Some(c) => Claim::Cell(row[c].clone()),
        None => Claim::Row(Some(shape.columns.iter().cloned().zip(row.iter().cloned()).collect())),
    };
    let editor = Side { claim, stamp: Stamp { time: touch.change.at, replica: touch.replica }, actor: touch.actor.to_string() };
    let detail = if name.is_some() { "the column was dropped" } else { "the table was dropped" };
    let mut conflict = dropped(&table.name, key, name.as_deref(), Claim::Row(None), editor, false, detail, version);
    conflict.ours.actor.clone_from(&front.header.actor);
    Some(conflict)
}

/// A conflict between an edit and the drop of what it edits. The drop holds; the edit's value is kept here.
#[expect(clippy::too_many_arguments, reason = "the parts of one record")]
pub fn dropped(
    table: &str,
    key: &Key,
    column: Option<&str>,
    base: Claim,
    editor: Side,
    is_editor_ours: bool,
    detail: &str,
    version: u64,
) -> Conflict {
    let dropper = Side { claim: Claim::Row(None), stamp: Stamp::default(), actor: String::new() };
    let (ours, theirs) = if is_editor_ours { (editor, dropper) } else { (dropper, editor) };
    let kind = ConflictKind::Schema;
    Conflict {
        id: conflict::id_of(table, key, column, kind, &ours, &theirs),
        kind,
        table: table.to_owned(),
        key: key.clone(),
        column: column.map(str::to_owned),
        base,
        ours,
        theirs,
        strategy: "manual".into(),
        detail: detail.to_owned(),
        version,
        answer: None,
    }
}

fn step_conflict(step: &SchemaChange, front: &Front, why: &str, version: u64) -> Conflict {
    let table = table_of(step).unwrap_or_default();
    let said = vec![("step".to_owned(), Value::text(describe(step)))];
    let stamp = Stamp { time: front.header.at, replica: front.header.replica };
    let ours = Side { claim: Claim::Row(Some(said)), stamp, actor: front.header.actor.clone() };
    dropped(&table, &Vec::new(), None, Claim::Row(None), ours, true, why, version)
}

/// A schema step in words.
pub fn describe(step: &SchemaChange) -> String {
    match step {
        SchemaChange::CreateTable { table } => format!("create table {}", table.name),
        SchemaChange::DropTable { name } => format!("drop table {name}"),
        SchemaChange::RenameTable { from, to } => format!("rename table {from} to {to}"),
        SchemaChange::AddColumn { table, definition, .. } => format!("add column {definition} to {table}"),
        SchemaChange::DropColumn { table, column } => format!("drop column {column} of {table}"),
        SchemaChange::RenameColumn { table, from, to } => format!("rename column {from} of {table} to {to}"),
        SchemaChange::Rebuild { table, .. } => format!("declare table {} anew", table.name),
        SchemaChange::PutObject { object } => format!("put {} {}", object.kind, object.name),
        SchemaChange::DropObject { kind, name } => format!("drop {kind} {name}"),
    }
}
