//! Links that lead to no row, as plain SQL finds them, and those of them that programs are known to have cut.
//!
//! Invariant: a link is excused by the very values that it names, never by its table.
use crate::image::{Held, Image, show_value, value};
use mainstem::core::value::Value;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

/// A row that is pointed to, by the columns that links name: its table and their values, as text without case.
pub type Aim = String;

/// A foreign key.
#[derive(Clone, Debug, Default)]
struct Link {
    child: String,
    parent: String,
    from: Vec<String>,
    to: Vec<String>,
}

/// A link that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dangling {
    /// The table that holds it.
    pub child: String,
    /// What it names.
    pub aim: Aim,
}

fn aim(parent: &str, columns: &[String], values: &[Value]) -> Aim {
    let named = columns.iter().zip(values).map(|(column, value)| format!("{column}={}", show_value(value)));
    format!("{parent} {}", named.collect::<Vec<_>>().join(" ")).to_lowercase()
}

/// The foreign keys of a file whose parents are there.
fn links(db: &Connection) -> rusqlite::Result<Vec<Link>> {
    let sql = "SELECT t.name, k.id, k.\"table\", k.\"from\", k.\"to\", k.seq FROM sqlite_schema AS t, pragma_foreign_key_list(t.name) AS k \
               WHERE t.type = 'table' AND EXISTS(SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = k.\"table\" COLLATE NOCASE) \
               ORDER BY t.name, k.id, k.seq";
    let mut found: BTreeMap<(String, i64), Link> = BTreeMap::new();
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (child, id, parent): (String, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let to: String = match row.get::<_, Option<String>>(4)? {
            Some(to) => to,
            None => {
                let key = "SELECT name FROM pragma_table_info(?1) WHERE pk = ?2 + 1";
                db.prepare_cached(key)?.query_row((&parent, row.get::<_, i64>(5)?), |row| row.get(0))?
            }
        };
        let link = found.entry((child.clone(), id)).or_insert_with(|| Link { child, parent, ..Link::default() });
        link.from.push(row.get(3)?);
        link.to.push(to);
    }
    Ok(found.into_values().collect())
}

/// The foreign keys of a file, as they were read last, and the queries for links that lead nowhere.
#[derive(Clone, Debug, Default)]
pub struct Links {
    version: i64,
    known: Vec<(Link, String)>,
}

/// Every link of a file that leads nowhere.
pub fn dangling(db: &Connection, links: &mut Links) -> rusqlite::Result<BTreeSet<Dangling>> {
    let version: i64 = db.prepare_cached("PRAGMA main.schema_version")?.query_row([], |row| row.get(0))?;
    if links.version != version {
        (links.version, links.known) = (version, queries(db)?);
    }
    let mut found = BTreeSet::new();
    for (link, sql) in &links.known {
        let mut statement = db.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let values = (0..link.from.len()).map(|at| row.get_ref(at).map(value)).collect::<rusqlite::Result<Vec<Value>>>()?;
            found.insert(Dangling { child: link.child.clone(), aim: aim(&link.parent, &link.to, &values) });
        }
    }
    Ok(found)
}

fn queries(db: &Connection) -> rusqlite::Result<Vec<(Link, String)>> {
    let mut found = Vec::new();
    for link in links(db)? {
        let columns: Vec<String> = link.from.iter().map(|name| format!("c.\"{name}\"")).collect();
        let there: Vec<String> = columns.iter().map(|column| format!("{column} IS NOT NULL")).collect();
        let same: Vec<String> = link.to.iter().zip(&columns).map(|(to, column)| format!("p.\"{to}\" = {column}")).collect();
        let sql = format!(
            "SELECT {} FROM main.\"{}\" AS c WHERE {} AND NOT EXISTS(SELECT 1 FROM main.\"{}\" AS p WHERE {})",
            columns.join(", "),
            link.child,
            there.join(" AND "),
            link.parent,
            same.join(" AND ")
        );
        found.push((link, sql));
    }
    Ok(found)
}

/// The tables whose links name that column.
pub fn pointing(db: &Connection, table: &str, column: &str) -> rusqlite::Result<Vec<String>> {
    let names = |link: &Link| link.parent.eq_ignore_ascii_case(table) && link.to.iter().any(|to| to.eq_ignore_ascii_case(column));
    Ok(links(db)?.into_iter().filter(names).map(|link| link.child).collect())
}

/// What links could lead to before, and cannot after.
pub fn gone(db: &Connection, before: &Image, after: &Image) -> rusqlite::Result<BTreeSet<Aim>> {
    let none = Held::default();
    let mut found = BTreeSet::new();
    for link in links(db)? {
        let held = |image: &Image| image.iter().find(|(name, _)| name.eq_ignore_ascii_case(&link.parent)).map(|(_, held)| held.clone());
        let aims = |held: &Held| -> BTreeSet<Aim> {
            let place = |name: &String| held.columns.iter().position(|column| column.eq_ignore_ascii_case(name));
            let Some(places) = link.to.iter().map(place).collect::<Option<Vec<usize>>>() else { return BTreeSet::new() };
            let values = |row: &Vec<Value>| places.iter().map(|&at| row[at].clone()).collect::<Vec<_>>();
            held.rows.values().map(|row| aim(&link.parent, &link.to, &values(row))).collect()
        };
        let [was, now] = [before, after].map(|image| aims(&held(image).unwrap_or_else(|| none.clone())));
        found.extend(was.difference(&now).cloned());
    }
    Ok(found)
}
