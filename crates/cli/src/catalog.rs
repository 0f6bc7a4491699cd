//! What the file's tables are called and which columns their keys have, for showing and for reading what was typed.
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_sqlite::connection::open_user_read_only;
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeMap;
use std::path::Path;

/// Table and key names of one file, read as they are asked for.
pub struct Catalog {
    db: Connection,
    keys: BTreeMap<String, Vec<String>>,
}

impl Catalog {
    /// Looks at a file, through SQLite, without writing.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Catalog { db: open_user_read_only(path)?, keys: BTreeMap::new() })
    }
    /// The names of a table's key columns. For a table that is not there any more: `key1`, `key2` …
    pub fn key_columns(&mut self, table: &str, parts: usize) -> Result<Vec<String>> {
        if !self.keys.contains_key(table) {
            let names = self.read_key(table)?;
            self.keys.insert(table.to_string(), names);
        }
        let names = &self.keys[table];
        let is_fitting = names.len() == parts;
        Ok(if is_fitting { names.clone() } else { (1..=parts).map(|i| format!("key{i}")).collect() })
    }
    fn read_key(&self, table: &str) -> Result<Vec<String>> {
        let sql = "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk";
        let mut statement = self.db.prepare_cached(sql).map_err(unreadable)?;
        let names = statement.query_map([table], |row| row.get(0)).map_err(unreadable)?;
        names.collect::<rusqlite::Result<_>>().map_err(unreadable)
    }
    /// The user's tables.
    fn tables(&self) -> Result<Vec<String>> {
        let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                   AND name NOT LIKE 'mainstem\\_%' ESCAPE '\\' ORDER BY name";
        let mut statement = self.db.prepare_cached(sql).map_err(unreadable)?;
        let names = statement.query_map([], |row| row.get(0)).map_err(unreadable)?;
        names.collect::<rusqlite::Result<_>>().map_err(unreadable)
    }
    /// The table's name as declared. Refuses what is not a table, saying what it is.
    pub fn table(&self, typed: &str) -> Result<String> {
        let sql = "SELECT name, type FROM sqlite_master WHERE lower(name) = lower(?1) AND type IN ('table', 'view', 'index')";
        let found: Option<(String, String)> =
            self.db.query_row(sql, [typed], |row| Ok((row.get(0)?, row.get(1)?))).optional().map_err(unreadable)?;
        match found {
            Some((name, kind)) if kind == "table" && !name.to_ascii_lowercase().starts_with("mainstem_") => Ok(name),
            Some((name, kind)) if kind == "table" => Err(Error::invalid(format!("{name} belongs to mainstem")).hint("mainstem status")),
            Some((name, kind)) => {
                let article = if kind == "index" { "an" } else { "a" };
                Err(Error::invalid(format!("{name} is {article} {kind}, not a table")).hint("mainstem status"))
            }
            None => {
                let tables = self.tables()?.join(", ");
                Err(Error::not_found(format!("no table is called {typed}; the tables are {tables}")).hint("mainstem status"))
            }
        }
    }
}

fn unreadable(e: rusqlite::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "sqlite", format!("the database cannot be read: {e}")).because(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_everything_else_refused_by_what_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        Connection::open(&path)
            .expect("made")
            .execute_batch(
                "CREATE TABLE \"Order Details\"(n, line, \"order\", PRIMARY KEY(\"order\", line));
                 CREATE VIEW v AS SELECT 1; CREATE INDEX i ON \"Order Details\"(n); CREATE TABLE mainstem_meta(a);",
            )
            .expect("filled");
        let mut catalog = Catalog::open(&path).expect("opened");
        assert_eq!(catalog.key_columns("Order Details", 2).expect("read"), ["order", "line"]);
        assert_eq!(catalog.key_columns("gone", 2).expect("read"), ["key1", "key2"]);
        assert_eq!(catalog.table("ORDER DETAILS").expect("found"), "Order Details");
        for (typed, said) in [("v", "a view"), ("i", "an index"), ("mainstem_meta", "belongs"), ("x' OR 1", "no table")] {
            let e = catalog.table(typed).expect_err("not a table");
            assert!(e.message.contains(said), "{}", e.message);
        }
    }
}
