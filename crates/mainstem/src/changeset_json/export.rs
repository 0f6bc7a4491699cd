//! Writes a changeset as JSON, one change a line.
use super::time_text::time_text;
use super::value::value_to_json;
use super::{FORMAT, VERSION};
use crate::error::{Error, Result};
use crate::primary::Pages;
use mainstem_core::ErrorKind;
use mainstem_core::change::{Change, Edit, Front, Header, Resolution, Shape};
use mainstem_core::format::{front, page};
use mainstem_core::schema::{Column, Object, SchemaChange, Table};
use mainstem_core::value::{Key, Value};
use serde_json::{Map, Value as Out, json};
use std::collections::HashMap;
use std::io::{self, Write};

/// Writes a changeset as JSON. The table of values is in [`super`].
pub fn export(front: &Front, pages: &mut dyn Pages, out: &mut dyn Write) -> Result<()> {
    let mut w = Lines { out };
    front.shapes.iter().try_for_each(front::check_shape)?;
    w.line("{", format_args!("\"format\":{:?},\"version\":{VERSION},", FORMAT))?;
    w.line("\"header\":", format_args!("{},", header(&front.header)))?;
    w.list("schema", front.schema.iter().map(step))?;
    w.list("shapes", front.shapes.iter().map(|s| Ok(shape(s))))?;
    w.list("resolutions", front.resolutions.iter().map(|r| Ok(resolution(r))))?;
    w.line("\"count\":", format_args!("{},", count(front.count)))?;
    w.line("\"changes\":[", format_args!(""))?;
    let mut tables: HashMap<&str, u32> = HashMap::new();
    front.shapes.iter().for_each(|s| *tables.entry(&s.table).or_default() += 1);
    let mut written = 0;
    while let Some(changes) = pages.next()? {
        for one in &changes {
            page::check(&front.shapes, one)?;
            written += 1;
            let comma = if written == front.count { "" } else { "," };
            let shape = &front.shapes[one.table];
            let is_ambiguous = tables[shape.table.as_str()] > 1;
            w.line("", format_args!("{}{comma}", change(shape, is_ambiguous, one)))?;
        }
    }
    if written != front.count {
        return Err(Error::internal(format!("a changeset of {} changes has {written}", front.count)));
    }
    w.line("]}", format_args!(""))
}

struct Lines<'a> {
    out: &'a mut dyn Write,
}

impl Lines<'_> {
    fn line(&mut self, start: &str, rest: std::fmt::Arguments<'_>) -> Result<()> {
        writeln!(self.out, "{start}{rest}").map_err(unwritable)
    }
    fn list(&mut self, name: &str, items: impl Iterator<Item = Result<Out>>) -> Result<()> {
        let items = items.collect::<Result<Vec<_>>>()?;
        self.line("", format_args!("{name:?}:{},", Out::Array(items)))
    }
}

fn unwritable(e: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "file_unwritable", format!("the changeset cannot be written: {e}")).because(e)
}

/// A count as a number where every JSON program keeps it, as digits where not.
fn count(number: u64) -> Out {
    if number <= 1 << 53 { json!(number) } else { json!(number.to_string()) }
}

fn header(header: &Header) -> Out {
    json!({
        "write_id": format!("{:032x}", header.write_id),
        "lineage": format!("{:032x}", header.lineage),
        "replica": header.replica.to_string(),
        "sequence": count(header.sequence),
        "base_version": count(header.base_version),
        "actor": header.actor,
        "title": header.title,
        "description": header.description,
        "at": time_text(header.at),
    })
}

fn resolution(resolution: &Resolution) -> Out {
    json!({
        "conflict": count(resolution.conflict),
        "choice": resolution.choice.name(),
        "actor": resolution.actor,
        "at": time_text(resolution.at),
    })
}

fn shape(shape: &Shape) -> Out {
    let mut out = Map::new();
    out.insert("table".into(), json!(shape.table));
    out.insert("columns".into(), json!(shape.columns));
    out.insert("key".into(), shape.key.iter().map(|&i| shape.columns[i].as_str()).collect());
    if shape.is_numbered {
        out.insert("is_numbered".into(), json!(true));
    }
    if let Some(highest) = shape.highest {
        out.insert("highest".into(), value_to_json(&Value::Integer(highest)));
    }
    out.into()
}

fn change(shape: &Shape, is_ambiguous: bool, change: &Change) -> Out {
    let key = |key: &Key| -> Out {
        let names = shape.key.iter().map(|&i| shape.columns[i].clone());
        Out::Object(names.zip(key.iter().map(value_to_json)).collect())
    };
    let mut out = Map::new();
    out.insert("table".into(), json!(shape.table));
    if is_ambiguous {
        out.insert("shape".into(), json!(change.table));
    }
    out.insert("kind".into(), json!(change.edit.name()));
    out.insert("key".into(), key(&change.key));
    if let Some(from) = &change.moved_from {
        out.insert("moved_from".into(), key(from));
    }
    out.insert("at".into(), json!(time_text(change.at)));
    match &change.edit {
        Edit::Insert(row) | Edit::Delete(row) => {
            let row = shape.columns.iter().cloned().zip(row.iter().map(value_to_json));
            out.insert("row".into(), Out::Object(row.collect()));
        }
        Edit::Update(cells) => {
            let cells = cells.iter().map(|cell| {
                let mut one = Map::new();
                one.insert("before".into(), value_to_json(&cell.before));
                one.insert("after".into(), value_to_json(&cell.after));
                if cell.at != change.at {
                    one.insert("at".into(), json!(time_text(cell.at)));
                }
                (shape.columns[cell.column].clone(), Out::Object(one))
            });
            out.insert("cells".into(), Out::Object(cells.collect()));
        }
    }
    out.into()
}

fn step(step: &SchemaChange) -> Result<Out> {
    Ok(match step {
        SchemaChange::CreateTable { table: t } => {
            json!({ "step": "create_table", "table": table(t)? })
        }
        SchemaChange::DropTable { name } => json!({ "step": "drop_table", "name": name }),
        SchemaChange::RenameTable { from, to } => {
            json!({ "step": "rename_table", "from": from, "to": to })
        }
        SchemaChange::AddColumn { table, column: c, definition } => {
            json!({ "step": "add_column", "table": table, "column": column(c), "definition": definition })
        }
        SchemaChange::DropColumn { table, column } => {
            json!({ "step": "drop_column", "table": table, "column": column })
        }
        SchemaChange::RenameColumn { table, from, to } => {
            json!({ "step": "rename_column", "table": table, "from": from, "to": to })
        }
        SchemaChange::Rebuild { before_sql, table: t } => {
            json!({ "step": "rebuild", "before_sql": before_sql, "table": table(t)? })
        }
        SchemaChange::PutObject { object: o } => {
            json!({ "step": "put_object", "object": object(o) })
        }
        SchemaChange::DropObject { kind, name } => {
            json!({ "step": "drop_object", "kind": kind, "name": name })
        }
    })
}

fn object(object: &Object) -> Out {
    json!({ "kind": object.kind, "name": object.name, "table": object.table, "sql": object.sql })
}

fn column(column: &Column) -> Out {
    json!({
        "name": column.name,
        "type": column.declared_type,
        "not_null": column.not_null,
        "default": column.default,
        "collation": column.collation,
    })
}

fn table(table: &Table) -> Result<Out> {
    let names = |positions: &[usize]| -> Result<Vec<&str>> {
        let name = |&i: &usize| table.columns.get(i).map(|c| c.name.as_str());
        let names: Option<Vec<_>> = positions.iter().map(name).collect();
        names.ok_or_else(|| Error::invalid(format!("the table {} names a column that it has not", table.name)))
    };
    let links = table.foreign_keys.iter().map(|link| {
        Ok(json!({
            "columns": names(&link.columns)?,
            "parent": link.parent,
            "parent_columns": link.parent_columns,
            "on_delete": link.on_delete,
            "on_update": link.on_update,
        }))
    });
    Ok(json!({
        "name": table.name,
        "columns": table.columns.iter().map(column).collect::<Vec<_>>(),
        "key": names(&table.key)?,
        "is_numbered": table.is_numbered,
        "is_autoincrement": table.is_autoincrement,
        "is_without_rowid": table.is_without_rowid,
        "foreign_keys": links.collect::<Result<Vec<_>>>()?,
        "sql": table.sql,
    }))
}
