//! What a table or row was at a version: rows as they were, and whether they are what the version recorded.
use crate::exit_codes::Exit;
use crate::json;
use crate::key_argument::KeyArgument;
use crate::output::{JsonList, Output, Paint, note};
use crate::plain_text::{self, Extent, count, hex, moment, name};
use crate::wiring::{Opened, Session};
use mainstem::history::{self, Blame, Declared, RowPlace, Steps};
use mainstem::primary::Primary;
use mainstem::{Error, Result, schema_merge};
use mainstem_core::ErrorKind;
use mainstem_core::digest::{RowDigester, Sum};
use mainstem_core::event::{TableDigest, Version};
use mainstem_core::schema::Table;
use mainstem_core::value::Row;
use serde_json::{Value as Json, json};

/// Shows all tables' sizes, one table's rows, or one row, as they were at a version.
pub fn show(session: &mut Session, opened: &mut Opened, at: u64, table: Option<&str>, key: Option<&str>) -> Result<Exit> {
    let mut primary = session.primary_of(&opened.standing)?;
    let Some(version) = primary.version(at)? else {
        let message = format!("{} has no version {at}", opened.standing.dataset);
        return Err(Error::not_found(message).hint("mainstem log"));
    };
    let out = &mut session.out;
    match (table, key) {
        (None, _) => tables(out, &mut *primary, &version),
        (Some(table), None) => rows(out, &mut *primary, &version, table),
        (Some(table), Some(key)) => {
            let (place, found) = find(&mut *primary, table, key, at)?;
            row(out, &place, &found)
        }
    }?;
    Ok(Exit::Done)
}

fn tables(out: &mut Output, primary: &mut dyn Primary, version: &Version) -> Result<()> {
    if out.is_json() {
        let declared = history::declared(primary, version.version)?;
        let shown = version.tables.iter().map(|told| table_shown(told, &declared));
        let steps = declared.steps.iter().map(steps_shown);
        return out.json(&json!({
            "version": version.version, "accepted_at": json::moment(version.accepted_at), "tables": shown.collect::<Vec<_>>(),
            "schema_history": steps.collect::<Vec<_>>(),
        }));
    }
    out.line(format_args!("version {}, accepted {}", version.version, moment(version.accepted_at)))?;
    version
        .tables
        .iter()
        .try_for_each(|t| out.line(format_args!("{}: {}, digest {}", name(&t.table), count(t.rows, "row", "rows"), hex(&t.sum))))
}

fn table_shown(told: &TableDigest, declared: &Declared) -> Json {
    let column = |table: &Table, at: usize| {
        let column = &table.columns[at];
        let key = table.key.iter().position(|of| *of == at).map(|place| place + 1);
        json!({ "name": column.name, "type": column.declared_type, "key": key, "not_null": column.not_null })
    };
    let table = declared.schema.table(&told.table);
    let columns: Vec<Json> = table.map(|table| (0..table.columns.len()).map(|at| column(table, at)).collect()).unwrap_or_default();
    json!({ "table": told.table, "rows": told.rows, "digest": hex(&told.sum), "columns": columns })
}

fn steps_shown(of: &Steps) -> Json {
    let steps: Vec<String> = of.steps.iter().map(schema_merge::describe).collect();
    json!({ "version": of.version, "accepted_at": json::moment(of.accepted_at), "actor": of.actor, "steps": steps })
}

/// Adds up the rows that are shown, to compare them with what the version recorded.
#[derive(Default)]
struct Seen {
    digester: Option<RowDigester>,
    rows: u64,
    sum: Sum,
}

impl Seen {
    fn row(&mut self, table: &str, names: &[String], row: &Row) {
        let digester = self.digester.get_or_insert_with(|| RowDigester::new(table, names));
        self.sum.add(&digester.digest(row));
        self.rows += 1;
    }
    fn is_as_recorded(&self, told: Option<&TableDigest>) -> bool {
        told.is_some_and(|told| told.rows == self.rows && told.sum == self.sum.0)
    }
}

fn rows(out: &mut Output, primary: &mut dyn Primary, version: &Version, table: &str) -> Result<()> {
    let chronicle = primary.chronicle()?;
    let era = chronicle.at(version.version);
    let then = era.table(table).or_else(|| chronicle.now().table(table).and_then(|now| era.find(now.id)));
    let called = then.map_or_else(|| table.to_owned(), |then| then.name.clone());
    let names = then.map(|then| then.column_names()).unwrap_or_default();
    let mut seen = Seen::default();
    let told = version.tables.iter().find(|told| told.table.eq_ignore_ascii_case(&called));
    if out.is_json() {
        out.write(format_args!("{{\"version\":{},\"table\":{},\"columns\":{},\"rows\":", version.version, json!(called), json!(names)))?;
        let mut list = JsonList::begin(out)?;
        primary.rows(&called, version.version, &mut |names, row| {
            seen.row(&called, names, row);
            list.push(out, &json::named(names.iter().map(String::as_str), row))
        })?;
        list.end(out)?;
        return out.line(format_args!(",\"as_recorded\":{}}}", seen.is_as_recorded(told)));
    }
    if !names.is_empty() {
        let heading = names.iter().map(|column| name(column)).collect::<Vec<_>>().join(" | ");
        let heading = out.paint(Paint::Heading, heading);
        out.line(heading)?;
    }
    primary.rows(&called, version.version, &mut |names, row| {
        seen.row(&called, names, row);
        let cells: Vec<String> = row.iter().map(|value| plain_text::value(value, Extent::Short)).collect();
        out.line(cells.join(" | "))
    })?;
    let rows = count(seen.rows, "row", "rows");
    out.line(format_args!("{rows} of {} at version {}", name(&called), version.version))?;
    if !seen.is_as_recorded(told) {
        note(
            "these rows are not exactly those that the version recorded: a column or table was changed outside Mainstem since, which told nobody what it held",
        );
    }
    Ok(())
}

fn row(out: &mut Output, place: &RowPlace, found: &Blame) -> Result<()> {
    let (table, key) = (name(&place.table), plain_text::key(&place.key));
    if out.is_json() {
        let row = || Json::Object(found.cells.iter().map(|cell| (cell.column.clone(), json::value(&cell.value))).collect());
        let row = if found.cells.is_empty() { Json::Null } else { row() };
        let key = json::named(found.key_columns.iter().map(String::as_str), &place.key);
        return out.json(&json!({ "version": place.version, "table": place.table, "key": key, "row": row }));
    }
    if found.cells.is_empty() {
        return out.line(format_args!("{table} {key} was not there at version {}", place.version));
    }
    out.line(format_args!("{table} {key} at version {}", place.version))?;
    found
        .cells
        .iter()
        .try_for_each(|cell| out.line(format_args!("  {}: {}", name(&cell.column), plain_text::value(&cell.value, Extent::Full))))
}

/// The row that was typed, with what the primary knows of it at a version.
pub fn find(primary: &mut dyn Primary, table: &str, typed: &str, version: u64) -> Result<(RowPlace, Blame)> {
    let chronicle = primary.chronicle()?;
    let era = chronicle.at(version);
    let Some(then) = era.table(table).or_else(|| chronicle.now().table(table).and_then(|now| era.find(now.id))) else {
        let names: Vec<&str> = era.tables.iter().map(|table| table.name.as_str()).collect();
        let message = format!("no table was called {table} at version {version}; the tables were {}", names.join(", "));
        return Err(Error::not_found(message).hint(format!("mainstem show --at {version}")));
    };
    let columns = then.key_names();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut found: Option<(RowPlace, Blame)> = None;
    for key in KeyArgument(typed.to_owned()).candidates(&columns)? {
        let place = RowPlace { table: then.name.clone(), key, version };
        match primary.blame(&place) {
            // A row that is there is meant rather than one that was.
            Ok(blame) if found.is_none() || !blame.cells.is_empty() => found = Some((place, blame)),
            Ok(_) => {}
            Err(e) if e.kind == ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        if found.as_ref().is_some_and(|(_, blame)| !blame.cells.is_empty()) {
            break;
        }
    }
    let message = || format!("{} {} was never there up to version {version}", name(table), name(typed));
    found.ok_or_else(|| Error::not_found(message()).hint(format!("mainstem show --at {version} {}", then.name)))
}
