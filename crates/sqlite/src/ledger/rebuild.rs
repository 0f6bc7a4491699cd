//! Folds every projection again from events and pages, beside the ones that are stored, and tells how they differ.
//!
//! Invariant: what is folded here is folded by the functions that append; there is no second opinion of what events mean.
use super::{SqliteLedger, missing, number};
use crate::connection;
use crate::errors::Explain;
use crate::sql::{quote, quote_all};
use mainstem::Result;
use mainstem::audit::Differing;
use mainstem::core::event::{Event, Version};
use mainstem::core::format;
use mainstem::ledger::Ledger;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// What is folded from events and pages, and from nothing else. What replicas told of themselves is no fold, and
/// `mainstem_event` and `mainstem_page` are what is folded.
pub const PROJECTIONS: &[&str] = &[
    "mainstem_name",
    "mainstem_touch",
    "mainstem_write",
    "mainstem_sequence",
    "mainstem_step",
    "mainstem_conflict",
    "mainstem_waiting",
    "mainstem_renumbered",
    "mainstem_digest",
    "mainstem_policy",
    "mainstem_epoch",
    "mainstem_accepted",
    "mainstem_tombstone",
    "mainstem_horizon",
    "mainstem_proposal",
    "mainstem_review",
    "mainstem_revision",
    "mainstem_request",
    "mainstem_sent",
];

/// The one column of an event that its bytes say as well.
const NUMBERS: &str = "mainstem_event.version";

/// Projections that were folded anew, and whether events are filed under the versions they say.
struct Folded {
    fresh: Connection,
    misfiled: Vec<(i64, Option<i64>)>,
    pages_extra: u64,
}

impl SqliteLedger<'_> {
    /// How the stored projections differ from what events and pages say.
    pub fn examine(&mut self) -> Result<Vec<Differing>> {
        let folded = self.fold_anew()?;
        self.compare(&folded)
    }

    /// Throws every projection away and puts in its place what events and pages say. Returns how they differed.
    pub fn rebuild(&mut self) -> Result<Vec<Differing>> {
        let folded = self.fold_anew()?;
        let differing = self.compare(&folded)?;
        // Two events may have changed places, and no two have one version even for a moment.
        for (position, _) in &folded.misfiled {
            self.run("UPDATE mainstem_event SET version = NULL WHERE position = ?1", [position])?;
        }
        for (position, version) in &folded.misfiled {
            self.run("UPDATE mainstem_event SET version = ?2 WHERE position = ?1", (position, version))?;
        }
        for table in PROJECTIONS {
            self.run(&format!("DELETE FROM {table}"), [])?;
            copy(&folded.fresh, self.connection, table)?;
        }
        (self.head, self.chronicle) = (None, None);
        self.names.clear();
        Ok(differing)
    }

    fn fold_anew(&mut self) -> Result<Folded> {
        let fresh = connection::scratch()?;
        super::create(&fresh)?;
        let (mut misfiled, mut pages) = (Vec::new(), 0);
        let horizon = self.horizon_told()?;
        let mut anew = SqliteLedger::new(&fresh);
        let connection = self.connection;
        let mut statement =
            connection.prepare("SELECT position, hash, version, body FROM mainstem_event ORDER BY position").on(connection)?;
        let mut rows = statement.query([]).on(connection)?;
        while let Some(row) = rows.next().on(connection)? {
            let (position, hash, filed): (i64, Vec<u8>, Option<i64>) =
                (row.get(0).on(connection)?, row.get(1).on(connection)?, row.get(2).on(connection)?);
            let body: Vec<u8> = row.get(3).on(connection)?;
            let event = format::event::decode(&body)?;
            let version = if let Event::Version(version) = &event { Some(number(version.version)?) } else { None };
            if filed != version {
                misfiled.push((position, version));
            }
            if let Event::Version(version) = &event {
                pages += self.fold_pages(&mut anew, version, horizon)?;
            }
            anew.run("INSERT INTO mainstem_event(position, hash, version, body) VALUES (?1, ?2, ?3, ?4)", (position, hash, version, body))?;
            anew.fold_event(position, &event)?;
            // Folding a version may read its own pages, and no others.
            anew.run("DELETE FROM mainstem_page", [])?;
            anew.pages.clear();
        }
        drop(anew);
        let stored: i64 = connection.query_row("SELECT count(*) FROM mainstem_page", [], |row| row.get(0)).on(connection)?;
        Ok(Folded { fresh, misfiled, pages_extra: stored.cast_unsigned().saturating_sub(pages) })
    }

    /// The version up to which events say that pages were collected.
    fn horizon_told(&self) -> Result<u64> {
        let mut horizon = 0;
        for body in self.all("SELECT body FROM mainstem_event WHERE version IS NULL", [], |row| row.get::<_, Vec<u8>>(0))? {
            if let Event::Collected(collected) = format::event::decode(&body)? {
                horizon = horizon.max(collected.horizon);
            }
        }
        Ok(horizon)
    }

    /// Hands a version's pages over to be folded. Returns how many there are. What was collected told of its rows under the
    /// same names, which are numbered in the order in which they first appear.
    fn fold_pages(&mut self, anew: &mut SqliteLedger<'_>, version: &Version, horizon: u64) -> Result<u64> {
        let mut found = 0;
        for at in 0..version.pages {
            match self.page(version.version, at)? {
                Some(bytes) => {
                    let changes = format::page::decode(&bytes, &version.shapes)?;
                    anew.put_page(version.version, at, &bytes, &version.shapes, &changes)?;
                    found += 1;
                }
                None if version.version <= horizon => version.shapes.iter().try_for_each(|shape| anew.name(&shape.table).map(drop))?,
                None => return Err(missing(version.version)),
            }
        }
        Ok(found)
    }

    fn compare(&self, folded: &Folded) -> Result<Vec<Differing>> {
        let mut differing = Vec::new();
        for table in PROJECTIONS {
            let missing = count_lacking(&folded.fresh, self.connection, table)?;
            let extra = count_lacking(self.connection, &folded.fresh, table)?;
            differing.push(Differing { projection: (*table).to_owned(), missing, extra });
        }
        let misfiled = folded.misfiled.len() as u64;
        differing.push(Differing { projection: NUMBERS.to_owned(), missing: misfiled, extra: misfiled });
        differing.push(Differing { projection: "mainstem_page".to_owned(), missing: 0, extra: folded.pages_extra });
        differing.retain(|one| one.missing + one.extra > 0);
        Ok(differing)
    }
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)").on(connection)?;
    let names = statement.query_map([table], |row| row.get(0)).on(connection)?;
    names.collect::<rusqlite::Result<_>>().on(connection)
}

/// Hands over every row of a table.
fn each(connection: &Connection, table: &str, names: &[String], visit: &mut dyn FnMut(Vec<Value>) -> Result<()>) -> Result<()> {
    let sql = format!("SELECT {} FROM {}", quote_all(names.iter().map(String::as_str)), quote(table));
    let mut statement = connection.prepare(&sql).on(connection)?;
    let mut rows = statement.query([]).on(connection)?;
    while let Some(row) = rows.next().on(connection)? {
        visit((0..names.len()).map(|at| row.get(at)).collect::<rusqlite::Result<_>>().on(connection)?)?;
    }
    Ok(())
}

/// How many rows of a table in one database the other lacks.
fn count_lacking(one: &Connection, other: &Connection, table: &str) -> Result<u64> {
    let names = columns(one, table)?;
    let same = names.iter().enumerate().map(|(at, name)| format!("{} IS ?{}", quote(name), at + 1));
    // A name that differs in case only is found by the index and told apart here.
    let exact = names.iter().enumerate().map(|(at, name)| format!("{} COLLATE BINARY IS ?{}", quote(name), at + 1));
    let conditions: Vec<String> = same.chain(exact).collect();
    let mut lookup = other.prepare(&format!("SELECT 1 FROM {} WHERE {}", quote(table), conditions.join(" AND "))).on(other)?;
    let mut lacking = 0;
    each(one, table, &names, &mut |row| {
        lacking += u64::from(!lookup.exists(params_from_iter(row)).on(other)?);
        Ok(())
    })?;
    Ok(lacking)
}

fn copy(from: &Connection, to: &Connection, table: &str) -> Result<()> {
    let names = columns(from, table)?;
    let places: Vec<String> = (1..=names.len()).map(|at| format!("?{at}")).collect();
    let listed = quote_all(names.iter().map(String::as_str));
    let mut insert = to.prepare(&format!("INSERT INTO {}({listed}) VALUES ({})", quote(table), places.join(", "))).on(to)?;
    each(from, table, &names, &mut |row| insert.execute(params_from_iter(row)).on(to).map(drop))
}
