//! Schemas, tables and schema steps in bytes.
//!
//! Invariant: what decodes has its positions in range and its names apart, so later code may index by them.
use super::bytes::{Reader, Writer};
use crate::error::Result;
use crate::schema::{Column, ForeignKey, Object, Schema, SchemaChange, Table};
use alloc::{format, string::String, vec::Vec};

/// The most columns a table has in any SQLite.
pub const COLUMNS_MAX: usize = 32_767;

/// Encodes a schema.
pub fn encode(schema: &Schema) -> Vec<u8> {
    let mut w = Writer::versioned();
    write_schema(&mut w, schema);
    w.0
}

/// Decodes a schema.
pub fn decode(bytes: &[u8]) -> Result<Schema> {
    read_schema(&mut Reader::versioned("schema", bytes)?)
}

/// Encodes one schema step.
pub fn encode_change(step: &SchemaChange) -> Vec<u8> {
    let mut w = Writer::versioned();
    write_change(&mut w, step);
    w.0
}

/// Decodes one schema step.
pub fn decode_change(bytes: &[u8]) -> Result<SchemaChange> {
    read_change(&mut Reader::versioned("schema step", bytes)?)
}

pub(super) fn write_schema(w: &mut Writer, schema: &Schema) {
    w.list(1, &schema.tables, write_table);
    w.list(2, &schema.objects, write_object);
}

pub(super) fn read_schema(r: &mut Reader<'_>) -> Result<Schema> {
    let mut schema = Schema::default();
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => schema.tables = f.few(read_table)?,
            2 => schema.objects = f.few(read_object)?,
            _ => continue,
        }
        f.finish()?;
    }
    Ok(schema)
}

fn write_table(w: &mut Writer, table: &Table) {
    w.text(1, &table.name);
    w.list(2, &table.columns, write_column);
    w.positions(3, &table.key);
    w.flag(4, table.is_numbered);
    w.flag(5, table.is_autoincrement);
    w.flag(6, table.is_without_rowid);
    w.list(7, &table.foreign_keys, write_foreign_key);
    w.text(8, &table.sql);
}

fn read_table(r: &mut Reader<'_>) -> Result<Table> {
    let mut table = Table::default();
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => table.name = f.text()?,
            2 => table.columns = f.few(read_column)?,
            3 => table.key = f.positions()?,
            4 => table.is_numbered = f.flag()?,
            5 => table.is_autoincrement = f.flag()?,
            6 => table.is_without_rowid = f.flag()?,
            7 => table.foreign_keys = f.few(read_foreign_key)?,
            8 => table.sql = f.text()?,
            _ => continue,
        }
        f.finish()?;
    }
    let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    check_columns(&table.name, &names, &table.key, table.is_numbered).map_err(|why| fields.error(why))?;
    for link in &table.foreign_keys {
        if link.columns.iter().any(|&c| c >= names.len()) {
            return Err(fields.error(format!("a foreign key of {} names a column beyond its columns", table.name)));
        }
    }
    Ok(table)
}

/// Checks what positions into a table rely on: not too many columns, their names apart without ASCII case, a key of
/// distinct columns, one of them where it is a number.
pub(super) fn check_columns(table: &str, names: &[&str], key: &[usize], is_numbered: bool) -> core::result::Result<(), String> {
    if names.len() > COLUMNS_MAX {
        return Err(format!("{table} has {} columns, over {COLUMNS_MAX}", names.len()));
    }
    let mut lower: Vec<String> = names.iter().map(|n| n.to_ascii_lowercase()).collect();
    lower.sort_unstable();
    if let Some(twice) = lower.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("{table} has the column {} twice", twice[0]));
    }
    let mut sorted = key.to_vec();
    sorted.sort_unstable();
    if sorted.last().is_some_and(|&last| last >= names.len()) {
        return Err(format!("the key of {table} names a column beyond its {}", names.len()));
    }
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(format!("the key of {table} names a column twice"));
    }
    if is_numbered && key.len() != 1 {
        return Err(format!("{table} is numbered and has a key of {} columns", key.len()));
    }
    Ok(())
}

fn write_column(w: &mut Writer, column: &Column) {
    w.text(1, &column.name);
    w.text(2, &column.declared_type);
    w.flag(3, column.not_null);
    w.option(4, column.default.as_deref());
    w.option(5, column.collation.as_deref());
}

fn read_column(r: &mut Reader<'_>) -> Result<Column> {
    let mut column = Column::default();
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => column.name = f.text()?,
            2 => column.declared_type = f.text()?,
            3 => column.not_null = f.flag()?,
            4 => column.default = Some(f.text()?),
            5 => column.collation = Some(f.text()?),
            _ => continue,
        }
        f.finish()?;
    }
    Ok(column)
}

fn write_foreign_key(w: &mut Writer, link: &ForeignKey) {
    w.positions(1, &link.columns);
    w.text(2, &link.parent);
    w.texts(3, &link.parent_columns);
    w.text(4, &link.on_delete);
    w.text(5, &link.on_update);
}

fn read_foreign_key(r: &mut Reader<'_>) -> Result<ForeignKey> {
    let (mut columns, mut parent_columns) = (Vec::new(), Vec::new());
    let (mut parent, mut on_delete, mut on_update) = (String::new(), String::new(), String::new());
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => columns = f.positions()?,
            2 => parent = f.text()?,
            3 => parent_columns = f.texts()?,
            4 => on_delete = f.text()?,
            5 => on_update = f.text()?,
            _ => continue,
        }
        f.finish()?;
    }
    if columns.is_empty() || columns.len() != parent_columns.len() {
        return Err(fields.error(format!("a foreign key to {parent} has no columns or sides of different length")));
    }
    Ok(ForeignKey { columns, parent, parent_columns, on_delete, on_update })
}

fn write_object(w: &mut Writer, object: &Object) {
    w.text(1, &object.kind);
    w.text(2, &object.name);
    w.text(3, &object.table);
    w.text(4, &object.sql);
}

fn read_object(r: &mut Reader<'_>) -> Result<Object> {
    let [kind, name, table, sql] = read_texts(r)?;
    Ok(Object { kind, name, table, sql })
}

/// Reads string fields tagged from 1.
fn read_texts<const N: usize>(r: &mut Reader<'_>) -> Result<[String; N]> {
    let mut texts = [const { String::new() }; N];
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        if let Some(text) = texts.get_mut(usize::try_from(tag - 1).unwrap_or(usize::MAX)) {
            *text = f.text()?;
        }
    }
    Ok(texts)
}

const CREATE_TABLE: u64 = 1;
const DROP_TABLE: u64 = 2;
const RENAME_TABLE: u64 = 3;
const ADD_COLUMN: u64 = 4;
const DROP_COLUMN: u64 = 5;
const RENAME_COLUMN: u64 = 6;
const REBUILD: u64 = 7;
const PUT_OBJECT: u64 = 8;
const DROP_OBJECT: u64 = 9;

fn write_step_texts(w: &mut Writer, kind: u64, texts: &[&str]) {
    w.varint(kind);
    for (tag, text) in (1..).zip(texts) {
        w.text(tag, text);
    }
}

pub(super) fn write_change(w: &mut Writer, step: &SchemaChange) {
    match step {
        SchemaChange::CreateTable { table } => {
            w.varint(CREATE_TABLE);
            w.field(1, |w| write_table(w, table));
        }
        SchemaChange::DropTable { name } => write_step_texts(w, DROP_TABLE, &[name]),
        SchemaChange::RenameTable { from, to } => write_step_texts(w, RENAME_TABLE, &[from, to]),
        SchemaChange::AddColumn { table, column, definition } => {
            w.varint(ADD_COLUMN);
            w.text(1, table);
            w.field(2, |w| write_column(w, column));
            w.text(3, definition);
        }
        SchemaChange::DropColumn { table, column } => write_step_texts(w, DROP_COLUMN, &[table, column]),
        SchemaChange::RenameColumn { table, from, to } => write_step_texts(w, RENAME_COLUMN, &[table, from, to]),
        SchemaChange::Rebuild { before_sql, table } => {
            w.varint(REBUILD);
            w.text(1, before_sql);
            w.field(2, |w| write_table(w, table));
        }
        SchemaChange::PutObject { object } => {
            w.varint(PUT_OBJECT);
            w.field(1, |w| write_object(w, object));
        }
        SchemaChange::DropObject { kind, name } => write_step_texts(w, DROP_OBJECT, &[kind, name]),
    }
}

pub(super) fn read_change(r: &mut Reader<'_>) -> Result<SchemaChange> {
    Ok(match r.varint()? {
        CREATE_TABLE => {
            let (_, table, _) = read_step(r, 1, read_table)?;
            SchemaChange::CreateTable { table }
        }
        DROP_TABLE => {
            let [name] = read_texts(r)?;
            SchemaChange::DropTable { name }
        }
        RENAME_TABLE => {
            let [from, to] = read_texts(r)?;
            SchemaChange::RenameTable { from, to }
        }
        ADD_COLUMN => {
            let (table, column, definition) = read_step(r, 2, read_column)?;
            SchemaChange::AddColumn { table, column, definition }
        }
        DROP_COLUMN => {
            let [table, column] = read_texts(r)?;
            SchemaChange::DropColumn { table, column }
        }
        RENAME_COLUMN => {
            let [table, from, to] = read_texts(r)?;
            SchemaChange::RenameColumn { table, from, to }
        }
        REBUILD => {
            let (before_sql, table, _) = read_step(r, 2, read_table)?;
            SchemaChange::Rebuild { before_sql, table }
        }
        PUT_OBJECT => {
            let (_, object, _) = read_step(r, 1, read_object)?;
            SchemaChange::PutObject { object }
        }
        DROP_OBJECT => {
            let [kind, name] = read_texts(r)?;
            SchemaChange::DropObject { kind, name }
        }
        other => return Err(r.error(format!("{other} is no kind of schema step"))),
    })
}

/// Reads a step that holds one nested thing in field `inner_tag` (1 or 2), a text before it and a text after it.
fn read_step<T>(r: &mut Reader<'_>, inner_tag: u64, read: fn(&mut Reader<'_>) -> Result<T>) -> Result<(String, T, String)> {
    let (mut before, mut inner, mut after) = (String::new(), None, String::new());
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        if tag == inner_tag {
            inner = Some(read(&mut f)?);
            f.finish()?;
        } else if tag < inner_tag {
            before = f.text()?;
        } else if tag == inner_tag + 1 {
            after = f.text()?;
        }
    }
    let inner = inner.ok_or_else(|| fields.error("a schema step lacks what it makes"))?;
    Ok((before, inner, after))
}
