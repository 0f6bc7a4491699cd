//! Reads the current row of a key, and images back into rows.
use super::image::{self, Slot};
use super::scan;
use super::sources::Target;
use crate::errors::Explain;
use crate::sql::{quote, quote_all};
use mainstem::Result;
use mainstem::core::planted::{self, Bug};
use mainstem::core::value::{Row, Value};
use rusqlite::{CachedStatement, Connection};

/// Reads the current row of a key.
pub(super) struct Reader<'a> {
    conn: &'a Connection,
    statement: CachedStatement<'a>,
    keys: usize,
    columns: usize,
    found: Vec<u8>,
}

impl<'a> Reader<'a> {
    /// Prepares reading of one table.
    pub fn new(conn: &'a Connection, target: &Target) -> Result<Self> {
        let table = &target.table;
        let name = |i: &usize| table.columns[*i].name.as_str();
        let mut key = table.key.clone();
        if planted::is(Bug::C10) {
            key.sort_unstable();
        }
        let terms: Vec<String> = key.iter().enumerate().map(|(n, i)| format!("{} = ?{}", quote(name(i)), n + 1)).collect();
        let columns = quote_all(target.slots.iter().map(name));
        let sql = format!("SELECT {columns} FROM main.{} WHERE {}", quote(&table.name), terms.join(" AND "));
        let statement = conn.prepare_cached(&sql).on(conn)?;
        Ok(Reader { conn, statement, keys: table.key.len(), columns: target.slots.len(), found: Vec::new() })
    }

    /// Puts the row's image into `now`. False where no row has exactly this key, whatever its collation calls equal.
    pub fn read(&mut self, key: &[u8], now: &mut Vec<u8>) -> Result<bool> {
        for (n, value) in image::read_key(key).iter().enumerate() {
            self.statement.raw_bind_parameter(n + 1, scan::bound(value)).on(self.conn)?;
        }
        let mut rows = self.statement.raw_query();
        while let Some(row) = rows.next().on(self.conn)? {
            self.found.clear();
            for n in 0..self.keys {
                image::push_key(&mut self.found, row.get_ref(n).on(self.conn)?);
            }
            if self.found == key {
                now.clear();
                for n in 0..self.columns {
                    image::push(now, row.get_ref(n).on(self.conn)?);
                }
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Target {
    /// An image as a row in column order. Columns whose value is not known are listed and NULL.
    pub fn row(&self, image: &[u8], unknown: &mut Vec<usize>) -> Row {
        let mut row = vec![Value::Null; self.slots.len()];
        for (&column, cell) in self.slots.iter().zip(image::cells(image)) {
            row[column] = match image::read(cell) {
                Slot::Known(value) => value,
                Slot::Added => self.defaults[column].clone(),
                Slot::Unknown => {
                    unknown.push(column);
                    Value::Null
                }
            };
        }
        unknown.sort_unstable();
        row
    }
}
