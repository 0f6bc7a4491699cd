//! Writes of a transaction that nobody else sees or waits for: into copies of tables in this connection's temporary database.
//!
//! A temporary table stands before the table of its name, so that every statement that names it means the copy from then on.
//! Invariant: a copy has the declaration, the rows and the indexes of its table, and a table that is not copied is not written.
//! Invariant: what is written here ends with the transaction.
use crate::connection::{QuotedLiterals, one};
use crate::errors::Explain;
use crate::sql::{created, quote, quote_all};
use mainstem::Result;
use mainstem::core::schema::Table;
use rusqlite::{Connection, OptionalExtension, Params};
use std::collections::BTreeSet;

/// Pages of the version in the making, which no other table holds.
const TABLES: &str = "
PRAGMA temp.cache_size = -32768;
CREATE TEMP TABLE mainstem_beside(version INTEGER, page INTEGER, body BLOB NOT NULL, PRIMARY KEY(version, page));
";

/// What was written beside the tables.
pub(crate) struct Beside {
    copied: BTreeSet<usize>,
}

impl Beside {
    /// Begins inside a transaction that reads.
    pub fn begin(connection: &Connection) -> Result<Beside> {
        connection.execute_batch(TABLES).on(connection)?;
        // A view of the file sees the tables of the file, whatever stands before them.
        let views = "SELECT sql FROM main.sqlite_schema WHERE type = 'view'";
        texts(connection, views, [])?.iter().try_for_each(|sql| declare(connection, sql))?;
        Ok(Beside { copied: BTreeSet::new() })
    }

    /// Makes sure that a table has a copy. True where that was made now, and statements mean another table than before.
    pub fn copy(&mut self, connection: &Connection, position: usize, table: &Table) -> Result<bool> {
        if !self.copied.insert(position) {
            return Ok(false);
        }
        let sql = "SELECT sql FROM main.sqlite_schema WHERE tbl_name = ?1 COLLATE NOCASE AND type IN ('table', 'index') AND sql IS NOT NULL
            ORDER BY type DESC, rowid";
        texts(connection, sql, [&table.name])?.iter().try_for_each(|sql| declare(connection, sql))?;
        let name = quote(&table.name);
        let hidden = "SELECT count(*) FROM pragma_table_xinfo(?1, 'main') WHERE hidden <> 0";
        let fill = match one(connection, hidden, [&table.name], |row| row.get::<_, i64>(0)).on(connection)? {
            // SQLite copies such rows as they lie there, and indexes as well.
            0 => format!("INSERT INTO temp.{name} SELECT * FROM main.{name}"),
            _ => {
                let columns = quote_all(table.columns.iter().map(|column| column.name.as_str()));
                format!("INSERT INTO temp.{name}({columns}) SELECT {columns} FROM main.{name}")
            }
        };
        connection.execute(&fill, []).on(connection)?;
        if table.is_autoincrement {
            connection.execute("DELETE FROM temp.sqlite_sequence WHERE name = ?1 COLLATE NOCASE", [&table.name]).on(connection)?;
        }
        // It stands before the file's, for every table.
        if is_there(connection, "temp.sqlite_schema")? && is_there(connection, "main.sqlite_schema")? {
            let sql = "INSERT INTO temp.sqlite_sequence(name, seq) SELECT name, seq FROM main.sqlite_sequence
                WHERE name NOT IN (SELECT name FROM temp.sqlite_sequence)";
            connection.execute(sql, []).on(connection)?;
        }
        Ok(true)
    }

    /// Keeps a page.
    pub fn put_page(&mut self, connection: &Connection, version: u64, page: u64, bytes: &[u8]) -> Result<()> {
        let sql = "INSERT INTO temp.mainstem_beside(version, page, body) VALUES (?1, ?2, ?3)";
        let values = (version.cast_signed(), page.cast_signed(), bytes);
        connection.prepare_cached(sql).on(connection)?.execute(values).on(connection).map(drop)
    }

    /// A page that was kept.
    pub fn page(&self, connection: &Connection, version: u64, page: u64) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT body FROM temp.mainstem_beside WHERE version = ?1 AND page = ?2";
        one(connection, sql, (version.cast_signed(), page.cast_signed()), |row| row.get(0)).optional().on(connection)
    }
}

fn texts(connection: &Connection, sql: &str, values: impl Params) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached(sql).on(connection)?;
    let rows = statement.query_map(values, |row| row.get(0)).on(connection)?;
    rows.collect::<rusqlite::Result<_>>().on(connection)
}

fn is_there(connection: &Connection, schema: &str) -> Result<bool> {
    let sql = format!("SELECT count(*) FROM {schema} WHERE name = 'sqlite_sequence'");
    one(connection, &sql, [], |row| row.get::<_, i64>(0)).map(|count| count > 0).on(connection)
}

/// Declares something of the file in the temporary database.
fn declare(connection: &Connection, sql: &str) -> Result<()> {
    let (head, rest) = sql.split_at(created(sql)?.place.0);
    let _allowed = sql.contains('"').then(|| QuotedLiterals::allow(connection)).transpose()?;
    connection.execute_batch(&format!("{head}temp.{rest}")).on(connection)
}
