//! What tables and columns were called when, in bytes.
//!
//! Invariant: what decodes has an era, its eras in the order of their versions, and keys within their columns.
use super::bytes::{Reader, Writer};
use crate::chronicle::{Chronicle, ColumnId, Era, NamedColumn, NamedTable, TableId};
use crate::error::Result;
use alloc::{sync::Arc, vec::Vec};

/// Encodes a chronicle.
pub fn encode(chronicle: &Chronicle) -> Vec<u8> {
    let mut w = Writer::versioned();
    w.list(1, &chronicle.eras, |w, era| {
        w.number(1, era.version);
        w.list(2, &era.tables, |w, table| write_table(w, table));
    });
    w.number(2, chronicle.tables as u64);
    w.number(3, chronicle.columns as u64);
    w.0
}

/// Decodes a chronicle.
pub fn decode(bytes: &[u8]) -> Result<Chronicle> {
    let mut r = Reader::versioned("chronicle", bytes)?;
    let mut chronicle = Chronicle { eras: Vec::new(), tables: 0, columns: 0 };
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => chronicle.eras = f.list(1, read_era)?,
            2 => chronicle.tables = f.position()?,
            3 => chronicle.columns = f.position()?,
            _ => continue,
        }
        f.finish()?;
    }
    if chronicle.eras.is_empty() || !chronicle.eras.is_sorted_by_key(|era| era.version) {
        return Err(r.error("its eras are out of order, or none"));
    }
    Ok(chronicle)
}

fn write_table(w: &mut Writer, table: &NamedTable) {
    w.number(1, table.id.0 as u64);
    w.text(2, &table.name);
    w.list(3, &table.columns, |w, column| {
        w.number(1, column.id.0 as u64);
        w.text(2, &column.name);
    });
    w.positions(4, &table.key);
}

fn read_era(r: &mut Reader<'_>) -> Result<Era> {
    let mut era = Era::default();
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => era.version = f.varint()?,
            2 => era.tables = f.few(|table| read_table(table).map(Arc::new))?,
            _ => continue,
        }
        f.finish()?;
    }
    Ok(era)
}

fn read_table(r: &mut Reader<'_>) -> Result<NamedTable> {
    let mut table = NamedTable { id: TableId(0), name: Default::default(), columns: Vec::new(), key: Vec::new() };
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => table.id = TableId(f.position()?),
            2 => table.name = f.text()?,
            3 => table.columns = f.few(read_column)?,
            4 => table.key = f.positions()?,
            _ => continue,
        }
        f.finish()?;
    }
    if table.key.iter().any(|&at| at >= table.columns.len()) {
        return Err(r.error("a key names a column that is not there"));
    }
    Ok(table)
}

fn read_column(r: &mut Reader<'_>) -> Result<NamedColumn> {
    let mut column = NamedColumn { id: ColumnId(0), name: Default::default() };
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => column.id = ColumnId(f.position()?),
            2 => column.name = f.text()?,
            _ => continue,
        }
        f.finish()?;
    }
    Ok(column)
}
