//! Who already holds a unique value that a row wants: every unique index and constraint of a table, in SQLite's terms.
//!
//! Invariant: expressions and conditions are evaluated by SQLite, on a copy of the row in a temporary table of the same
//! declaration, so that affinity, collation and generated columns are those of the real table.
use crate::connection::{QuotedLiterals, one};
use crate::errors::Explain;
use crate::sql::{created, first_bracket, quote, quote_all, renamed, words};
use crate::tables::{bind, read_row, wrote};
use mainstem::core::schema::Table;
use mainstem::core::value::{Row, Value};
use mainstem::tables::Wrote;
use mainstem::{Error, Result};
use rusqlite::{CachedStatement, Connection, OptionalExtension};

/// One unique index and the statements that ask it.
pub(crate) struct UniqueIndex<'c> {
    wanted: Wanted,
    holders: CachedStatement<'c>,
}

/// How a row's values for an index are had.
enum Wanted {
    /// They stand in the row.
    Columns(Vec<usize>),
    /// SQLite computes them from a copy of the row in this temporary table. Declarations that quote may hold strings in double
    /// quotes; to allow those has all statements prepared anew, so it is done for them alone.
    Computed { copy: String, sql: String, has_quotes: bool },
}

/// One index as SQLite lists it.
struct Listed {
    name: String,
    is_partial: bool,
    sql: Option<String>,
}

/// One column of an index as SQLite lists it.
struct Part {
    column: i64,
    name: Option<String>,
    collation: String,
}

impl<'c> UniqueIndex<'c> {
    /// Every unique index of a table, the key's included. `select` reads the table's rows.
    pub fn all(connection: &'c Connection, table: &Table, select: &str) -> Result<Vec<Self>> {
        let mut indexes = Vec::new();
        if table.is_numbered {
            let number = &table.columns[table.key[0]].name;
            let holders = connection.prepare_cached(&format!("{select} WHERE {} = ?1", quote(number))).on(connection)?;
            indexes.push(UniqueIndex { wanted: Wanted::Columns(table.key.clone()), holders });
        }
        let sql = "SELECT l.name, l.partial, s.sql FROM pragma_index_list(?1) AS l \
                   LEFT JOIN sqlite_schema AS s ON s.type = 'index' AND s.name = l.name \
                   WHERE l.\"unique\" = 1 ORDER BY l.seq";
        let mut statement = connection.prepare_cached(sql).on(connection)?;
        let listed = statement.query_map([&table.name], |row| Ok(Listed { name: row.get(0)?, is_partial: row.get(1)?, sql: row.get(2)? }));
        // All are read before the first is used: an open statement keeps the temporary table from being dropped.
        let listed: Vec<Listed> = listed.on(connection)?.collect::<rusqlite::Result<_>>().on(connection)?;
        drop(statement);
        for index in &listed {
            indexes.push(Self::one(connection, table, select, index)?);
        }
        Ok(indexes)
    }

    fn one(connection: &'c Connection, table: &Table, select: &str, listed: &Listed) -> Result<Self> {
        let (name, sql) = (listed.name.as_str(), listed.sql.as_deref());
        let parts = parts(connection, name)?;
        let stored = |part: &Part| part.name.as_deref().and_then(|n| table.column(n));
        let columns: Option<Vec<usize>> = parts.iter().map(stored).collect();
        let expressions = match sql {
            Some(sql) => expressions(sql)?,
            None => Vec::new(),
        };
        let mut terms = Vec::new();
        let mut texts = Vec::new();
        for (n, part) in parts.iter().enumerate() {
            let text = match (&part.name, part.column) {
                (Some(name), _) => quote(name),
                (None, -1) => "rowid".to_string(),
                (None, _) => expressions.get(n).cloned().ok_or_else(|| unreadable(name))?,
            };
            terms.push(format!("({text}) = ?{} COLLATE {}", n + 1, quote(&part.collation)));
            texts.push(text);
        }
        let condition = match (listed.is_partial, sql) {
            (true, Some(sql)) => Some(condition(sql)?.ok_or_else(|| unreadable(name))?),
            _ => None,
        };
        let has_quotes = [sql, Some(&table.sql)].into_iter().flatten().any(|sql| sql.contains('"'));
        let is_computed = columns.is_none() || condition.is_some();
        let _allowed = (is_computed && has_quotes).then(|| QuotedLiterals::allow(connection)).transpose()?;
        let partial = condition.as_deref().map_or(String::new(), |c| format!(" AND ({c})"));
        let holders = format!("{select} WHERE {}{partial}", terms.join(" AND "));
        let holders = connection.prepare_cached(&holders).on(connection)?;
        let wanted = match (columns, condition) {
            (Some(columns), None) => Wanted::Columns(columns),
            (_, condition) => {
                let copy = copy_table(connection, table)?;
                let clause = condition.map_or(String::new(), |c| format!(" WHERE {c}"));
                let texts: Vec<String> = texts.iter().map(|t| format!("({t})")).collect();
                let sql = format!("SELECT {} FROM temp.{} AS {}{clause}", texts.join(", "), quote(&copy), quote(&table.name));
                Wanted::Computed { copy, sql, has_quotes }
            }
        };
        Ok(UniqueIndex { wanted, holders })
    }

    /// The rows that hold what `row` wants here; `row` itself may be among them.
    pub fn holders(&mut self, connection: &Connection, table: &Table, row: &Row) -> Result<Vec<Row>> {
        // SQLite may prepare its statements anew, which reads the index's expressions again.
        let _allowed = match &self.wanted {
            Wanted::Computed { has_quotes: true, .. } => Some(QuotedLiterals::allow(connection)?),
            Wanted::Columns(_) | Wanted::Computed { .. } => None,
        };
        let wanted: Option<Vec<Value>> = match &self.wanted {
            Wanted::Columns(columns) => Some(columns.iter().map(|&i| row[i].clone()).collect()),
            Wanted::Computed { copy, sql, .. } => computed(connection, table, copy, sql, row)?,
        };
        let Some(wanted) = wanted.filter(|values| !values.iter().any(Value::is_null)) else {
            return Ok(Vec::new());
        };
        bind(&mut self.holders, wanted.iter()).on(connection)?;
        let mut rows = self.holders.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next().on(connection)? {
            found.push(read_row(row).on(connection)?);
        }
        Ok(found)
    }
}

/// What an index would hold for a row; none where the index leaves the row out or the row cannot stand in the table.
fn computed(connection: &Connection, table: &Table, copy: &str, sql: &str, row: &Row) -> Result<Option<Vec<Value>>> {
    connection.execute_batch(&format!("DELETE FROM temp.{}", quote(copy))).on(connection)?;
    let names = quote_all(table.columns.iter().map(|c| c.name.as_str()));
    let places = vec!["?"; row.len()].join(", ");
    let insert = format!("INSERT OR ABORT INTO temp.{} ({names}) VALUES ({places})", quote(copy));
    let mut insert = connection.prepare_cached(&insert).on(connection)?;
    bind(&mut insert, row.iter()).on(connection)?;
    if wrote(connection, insert.raw_execute())? != Wrote::Done {
        // The table itself refuses this row for another reason, so it displaces nobody.
        return Ok(None);
    }
    let mut select = connection.prepare_cached(sql).on(connection)?;
    let mut rows = select.query([]).on(connection)?;
    rows.next().on(connection)?.map(read_row).transpose().on(connection)
}

/// A temporary table of the same declaration, made where it is not there yet. Its name holds the table's own so that
/// two tables have two; it lives as long as the transaction or the connection.
fn copy_table(connection: &Connection, table: &Table) -> Result<String> {
    let copy = format!("mainstem_copy_{}", table.name);
    let declared = renamed(&table.sql, &created(&table.sql)?, &copy);
    let declared = &declared[created(&declared)?.place.0..];
    let there = "SELECT sql FROM sqlite_temp_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE";
    let there: Option<String> = one(connection, there, [&copy], |row| row.get(0)).optional().on(connection)?;
    if there.as_deref().and_then(|sql| sql.strip_prefix("CREATE TABLE ")) == Some(declared) {
        return Ok(copy);
    }
    if there.is_some() {
        connection.execute_batch(&format!("DROP TABLE temp.{}", quote(&copy))).on(connection)?;
    }
    connection.execute(&format!("CREATE TEMP TABLE {declared}"), []).on(connection)?;
    Ok(copy)
}

fn parts(connection: &Connection, index: &str) -> Result<Vec<Part>> {
    let sql = "SELECT cid, name, coll FROM pragma_index_xinfo(?1) WHERE key = 1 ORDER BY seqno";
    let mut statement = connection.prepare_cached(sql).on(connection)?;
    let rows = statement.query_map([index], |row| Ok(Part { column: row.get(0)?, name: row.get(1)?, collation: row.get(2)? }));
    rows.on(connection)?.collect::<rusqlite::Result<_>>().on(connection)
}

/// The text of each indexed column or expression of a CREATE INDEX statement, without its direction.
fn expressions(sql: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (start, end) in first_bracket(sql)?.parts {
        let text = &sql[start..end];
        let all = words(text)?;
        let last = all.last().ok_or_else(|| Error::invalid("an index has an empty column"))?;
        let is_direction = all.len() > 1 && (last.is(text, "asc") || last.is(text, "desc"));
        let stop = if is_direction { all[all.len() - 2].end } else { last.end };
        found.push(text[all[0].start..stop].to_string());
    }
    Ok(found)
}

/// The condition of a partial index.
fn condition(sql: &str) -> Result<Option<String>> {
    let close = first_bracket(sql)?.close;
    let tail = &sql[close + 1..];
    let all = words(tail)?;
    let first = all.first().filter(|w| w.is(tail, "where"));
    Ok(first.zip(all.last()).map(|(first, last)| tail[first.end..last.end].to_string()))
}

fn unreadable(index: &str) -> Error {
    Error::invalid(format!("the declaration of index {index} cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_is_cut_short_is_no_answer() {
        let mut db = Connection::open_in_memory().expect("memory");
        db.execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE UNIQUE INDEX u ON t (lower(a)); INSERT INTO t VALUES (1, 'X')",
        )
        .expect("a plain table");
        let schema = crate::schema::read(&db).expect("a plain table").schema;
        let row = |id, a: &str| Row::from([Value::Integer(id), Value::Text(a.into())]);
        let cut_short = crate::errors::cut_short(&mut db, |db| {
            let Ok(mut indexes) = UniqueIndex::all(db, &schema.tables[0], "SELECT id, a FROM t") else { return };
            let index = indexes.last_mut().expect("there is one");
            if let Ok(holders) = index.holders(db, &schema.tables[0], &row(2, "x")) {
                assert_eq!(holders, [row(1, "X")]);
            }
        });
        assert!(cut_short > 10, "{cut_short}");
    }
}
