//! The unique indexes of a table, as conditions that find the rows a write is about to replace.
//!
//! Invariant: a condition is true for every row that REPLACE would delete, in the index's own collation, expressions
//! and partial condition, so that SQLite answers it from that index.
//! Invariant: a condition over an index that the app can drop still compiles when the app drops it and its columns.
use crate::errors::Explain;
use crate::sql::{WordKind, first_bracket, quote, words};
use mainstem::core::schema::Table;
use mainstem::{Error, Result};
use rusqlite::Connection;

/// How the rows that hold a unique value are found.
pub(super) struct Unique {
    /// A condition on the table under the alias [`ROW`], with the new row as `NEW`.
    pub condition: String,
    /// The stored columns whose change can clash here; none where any change can.
    pub columns: Option<Vec<String>>,
    /// The condition for the row that is `OLD`; none for an index that the app can drop.
    pub old: Option<String>,
    /// True for the primary key.
    pub is_key: bool,
}

/// What a table is called inside our triggers: a table may itself be called `new` or `old`.
pub(super) const ROW: &str = "mainstem_row";

struct Part {
    name: Option<String>,
    text: String,
    collation: String,
}

/// Every unique constraint and index of a table; the primary key is first.
pub(super) fn all(conn: &Connection, table: &Table) -> Result<Vec<Unique>> {
    let mut found = Vec::new();
    if table.is_numbered {
        let number = &table.columns[table.key[0]].name;
        let number = quote(number);
        let condition = format!("{number} = NEW.{number}");
        let old = Some(format!("{number} = OLD.{number}"));
        found.push(Unique { condition, columns: Some(names_of(table, &table.key)), old, is_key: true });
    }
    let sql = "SELECT l.name, l.origin, s.sql FROM pragma_index_list(?1, 'main') AS l \
               LEFT JOIN main.sqlite_schema AS s ON s.type = 'index' AND s.name = l.name \
               WHERE l.\"unique\" = 1 ORDER BY l.origin <> 'pk', l.seq DESC";
    let mut statement = conn.prepare_cached(sql).on(conn)?;
    let mut rows = statement.query([&table.name]).on(conn)?;
    while let Some(row) = rows.next().on(conn)? {
        let name: String = row.get(0).on(conn)?;
        let origin: String = row.get(1).on(conn)?;
        let sql: Option<String> = row.get(2).on(conn)?;
        let parts = parts(conn, &name, sql.as_deref())?;
        found.push(match sql.filter(|_| origin == "c") {
            None => constraint(table, &parts, origin == "pk"),
            Some(sql) => index(table, &parts, &sql)?,
        });
    }
    Ok(found)
}

/// The condition of a constraint: SQLite does not let the app drop its columns, so they are named as they are.
fn constraint(table: &Table, parts: &[Part], is_key: bool) -> Unique {
    let terms: Vec<String> =
        parts.iter().map(|part| format!("{} = {}", part.compared(table), given(table, part, &format!("NEW.{}", part.text)))).collect();
    let old: Vec<String> = parts.iter().map(|part| format!("{} = OLD.{}", part.compared(table), part.text)).collect();
    Unique { condition: terms.join(" AND "), columns: stored(table, parts), old: Some(old.join(" AND ")), is_key }
}

/// The condition of an index that the app can drop.
///
/// The rows are found by a subquery inside a row source called `new` that has every column as NULL: when a column is
/// gone from the table, its bare name and `new.column` both resolve to that source instead of failing.
fn index(table: &Table, parts: &[Part], sql: &str) -> Result<Unique> {
    let mut terms = Vec::new();
    for part in parts {
        let value = match &part.name {
            Some(_) => given(table, part, &format!("new.{}", part.text)),
            None => {
                let values: Vec<String> = names(table).map(|n| format!("new.{} AS {}", quote(n), quote(n))).collect();
                format!("(SELECT ({}) FROM (SELECT {}))", part.text, values.join(", "))
            }
        };
        terms.push(format!("{} = {value}", part.compared(table)));
    }
    let partial = partial_condition(table, sql)?;
    terms.extend(partial.iter().map(|p| format!("({p})")));
    let found = terms.join(" AND ");
    let fallback: Vec<String> = names(table).map(|n| format!("NULL AS {}", quote(n))).collect();
    let fallback = fallback.join(", ");
    let name = quote(&table.name);
    let pick =
        |column: &str| format!("{column} IN (SELECT (SELECT {column} FROM {name} AS {ROW} WHERE {found}) FROM (SELECT {fallback}) AS new)");
    let condition = match row_number(table) {
        Some(number) => pick(number),
        None => table.key.iter().map(|&i| pick(&quote(&table.columns[i].name))).collect::<Vec<_>>().join(" AND "),
    };
    let is_plain = partial.is_none();
    Ok(Unique { condition, columns: stored(table, parts).filter(|_| is_plain), old: None, is_key: false })
}

/// A name of the rowid that no column of the table hides.
pub(crate) fn row_number(table: &Table) -> Option<&'static str> {
    if table.is_without_rowid {
        return None;
    }
    // Generated columns are not among the stored ones, so the declaration itself is searched.
    let all = words(&table.sql).unwrap_or_default();
    let is_column = |name: &str| all.iter().any(|w| w.name(&table.sql).is_some_and(|n| n.eq_ignore_ascii_case(name)));
    ["rowid", "_rowid_", "oid"].into_iter().find(|name| !is_column(name))
}

impl Part {
    /// The indexed text with the index's collation where that is not the column's own.
    fn compared(&self, table: &Table) -> String {
        let own = self.name.as_deref().and_then(|n| table.column(n)).map(|i| table.columns[i].collation.as_deref().unwrap_or("BINARY"));
        match own {
            Some(own) if own.eq_ignore_ascii_case(&self.collation) => self.text.clone(),
            Some(_) => format!("{} COLLATE {}", self.text, quote(&self.collation)),
            None => format!("({}) COLLATE {}", self.text, quote(&self.collation)),
        }
    }
}

/// The value a column will have: NOT NULL ON CONFLICT REPLACE puts the default where NULL is given.
fn given(table: &Table, part: &Part, new: &str) -> String {
    let column = part.name.as_deref().and_then(|n| table.column(n)).map(|i| &table.columns[i]);
    match column.filter(|c| c.not_null).and_then(|c| c.default.as_deref()).and_then(literal) {
        Some(default) => format!("ifnull({new}, {default})"),
        None => new.to_string(),
    }
}

/// A default as an SQL literal; none where it is computed.
pub(super) fn literal(default: &str) -> Option<String> {
    let all = words(default).ok()?;
    match all.as_slice() {
        [one] => match one.kind {
            WordKind::Text => Some(default.trim().to_string()),
            // A bare or quoted name is a string here.
            WordKind::Quoted => one.name(default).map(|n| format!("'{}'", n.replace('\'', "''"))),
            WordKind::Bare => {
                let text = &default[one.start..one.end];
                let is_number = text.starts_with(|c: char| c.is_ascii_digit());
                let is_computed = text.len() > 8 && text[..8].eq_ignore_ascii_case("current_");
                match (is_number || text.eq_ignore_ascii_case("null"), is_computed) {
                    (true, _) => Some(text.to_string()),
                    (_, true) => None,
                    _ => Some(format!("'{text}'")),
                }
            }
            WordKind::Mark(_) => None,
        },
        // Signs, fractions and x'00' come apart into several words but hold no name and no bracket.
        many => {
            let is_constant = |w: &crate::sql::Word| match w.kind {
                WordKind::Mark(c) => matches!(c, b'-' | b'+' | b'.'),
                WordKind::Bare => default[w.start..w.end].starts_with(|c: char| c.is_ascii_digit() || c == 'x' || c == 'X'),
                WordKind::Text => true,
                WordKind::Quoted => false,
            };
            many.iter().all(is_constant).then(|| default.trim().to_string())
        }
    }
}

fn names(table: &Table) -> impl Iterator<Item = &str> {
    table.columns.iter().map(|c| c.name.as_str())
}

fn names_of(table: &Table, columns: &[usize]) -> Vec<String> {
    columns.iter().map(|&i| table.columns[i].name.clone()).collect()
}

fn stored(table: &Table, parts: &[Part]) -> Option<Vec<String>> {
    parts.iter().map(|p| p.name.clone().filter(|n| table.column(n).is_some())).collect()
}

fn parts(conn: &Connection, index: &str, sql: Option<&str>) -> Result<Vec<Part>> {
    let text = "SELECT cid, name, coll FROM pragma_index_xinfo(?1, 'main') WHERE key = 1 ORDER BY seqno";
    let mut statement = conn.prepare_cached(text).on(conn)?;
    let mut rows = statement.query([index]).on(conn)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().on(conn)? {
        let name: Option<String> = row.get(1).on(conn)?;
        let text = match (&name, sql) {
            (Some(name), _) => quote(name),
            (None, Some(sql)) if row.get::<_, i64>(0).on(conn)? == -2 => expression(sql, found.len())?,
            (None, _) => "rowid".to_string(),
        };
        found.push(Part { name, text, collation: row.get(2).on(conn)? });
    }
    Ok(found)
}

/// The text of one indexed expression, without its direction.
fn expression(sql: &str, place: usize) -> Result<String> {
    let parts = first_bracket(sql)?.parts;
    let (start, end) = *parts.get(place).ok_or_else(|| Error::internal("an index has fewer columns than it says"))?;
    let text = &sql[start..end];
    let all = words(text)?;
    let stop = match all.as_slice() {
        [.., before, last] if last.is(text, "asc") || last.is(text, "desc") => before.end,
        [.., last] => last.end,
        [] => return Err(Error::internal("an index has an empty column")),
    };
    Ok(text[..stop].trim_start().to_string())
}

/// The condition of a partial index, with the table's name before a column left out: our alias hides it.
fn partial_condition(table: &Table, sql: &str) -> Result<Option<String>> {
    let tail = &sql[first_bracket(sql)?.close + 1..];
    let all = words(tail)?;
    let Some((first, rest)) = all.split_first().filter(|(first, _)| first.is(tail, "where")) else {
        return Ok(None);
    };
    let mut text = String::new();
    let mut from = first.end;
    for pair in rest.windows(2) {
        let is_dot = pair[1].kind == WordKind::Mark(b'.');
        if is_dot && pair[0].name(tail).is_some_and(|n| n.eq_ignore_ascii_case(&table.name)) {
            text.push_str(&tail[from..pair[0].start]);
            from = pair[1].end;
        }
    }
    text.push_str(&tail[from..rest.last().map_or(first.end, |w| w.end)]);
    Ok(Some(text))
}
