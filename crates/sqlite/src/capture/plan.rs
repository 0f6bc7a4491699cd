//! What is put on one table: the layout of its records and the triggers that write them.
//!
//! Invariant: the triggers hold only SQL that SQLite 3.9 knows, run under trusted_schema=OFF, name no column as `OLD.c`
//! unless SQLite refuses to drop it, and violate no constraint, since the app's OR IGNORE would reach into them.
//! Invariant: an image holds every stored column; a slot whose column is gone under that name holds NULL.
use super::unique::{self, ROW, Unique, literal, row_number};
use crate::sql::{quote, quote_all};
use mainstem::Result;
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::Table;
use rusqlite::Connection;

/// Values in one record of the log at most; wider rows are cut into several records.
pub(super) const RECORD_WIDTH: usize = 64;

/// The log that every tracked table shares.
pub(super) const LOG: &str = "mainstem_log";

/// Kinds of log records.
pub(super) mod op {
    /// An update; the image before.
    pub const UPDATE: u8 = b'U';
    /// A deletion; the image before.
    pub const DELETE: u8 = b'D';
    /// A row that REPLACE may be about to delete; its image.
    pub const REPLACE: u8 = b'R';
    /// A row about to be inserted; its key.
    pub const INSERT: u8 = b'I';
    /// A row that was inserted, written after it; its key.
    pub const INSERTED: u8 = b'A';
    /// A key about to change; the old key, the new key.
    pub const KEY: u8 = b'K';
    /// More values of the record before.
    pub const MORE: u8 = b'+';
}

/// The layout and triggers of one table.
pub(super) struct Plan {
    /// Column positions in slot order: the key, then the others as declared.
    pub slots: Vec<usize>,
    /// Name and text of each trigger.
    pub triggers: Vec<(String, String)>,
    /// Name and declaration of each empty table that stands in for dropped columns.
    pub stand_ins: Vec<(String, String)>,
}

struct Writer<'a> {
    id: i64,
    table: &'a Table,
    slots: &'a [usize],
}

/// How many values a record of the log must hold for a table.
pub(super) fn width(table: &Table) -> usize {
    table.columns.len().min(RECORD_WIDTH).max(2 * table.key.len())
}

/// Slot order: the key, then the others as declared.
pub(super) fn slots(table: &Table) -> Vec<usize> {
    let others = (0..table.columns.len()).filter(|i| !table.key.contains(i));
    table.key.iter().copied().chain(others).collect()
}

/// Plans the capture of a table under a capture id.
pub(super) fn plan(conn: &Connection, table: &Table, id: i64) -> Result<Plan> {
    let slots = slots(table);
    let writer = Writer { id, table, slots: &slots };
    let uniques = unique::all(conn, table)?;
    // The newest trigger fires first. An update writes its image, then what it replaces, then its key.
    let mut triggers = vec![writer.names_trigger(), writer.key_trigger(&uniques)];
    triggers.extend(writer.insert_triggers(&uniques));
    triggers.extend(writer.unique_trigger(&uniques));
    let old_row = writer.old_row(&uniques);
    triggers.push(writer.trigger("delete", "BEFORE DELETE", &writer.image(op::DELETE, &old_row)));
    triggers.push(writer.trigger("update", "BEFORE UPDATE", &writer.image(op::UPDATE, &old_row)));
    let stand_ins = writer.chunks().enumerate().filter_map(|(n, chunk)| writer.stand_in(n, chunk)).collect();
    Ok(Plan { triggers, stand_ins, slots })
}

impl Writer<'_> {
    fn trigger(&self, name: &str, event: &str, body: &str) -> (String, String) {
        let name = format!("mainstem_{}_{name}", self.id);
        let sql = format!("CREATE TRIGGER main.{name} {event} ON {} BEGIN {body} END", quote(&self.table.name));
        (name, sql)
    }

    fn chunks(&self) -> impl Iterator<Item = &[usize]> {
        self.slots.chunks(RECORD_WIDTH)
    }

    fn name(&self, column: usize) -> String {
        quote(&self.table.columns[column].name)
    }

    fn key_names(&self) -> impl Iterator<Item = String> {
        self.table.key.iter().map(|&i| self.name(i))
    }

    /// The empty table that has a chunk's columns other than the key. One of them is its key, so that the join is a search
    /// that ends before it compares the others.
    fn stand_in(&self, n: usize, chunk: &[usize]) -> Option<(String, String)> {
        let others = chunk.iter().filter(|i| !self.table.key.contains(i));
        let names: Vec<&str> = others.map(|&i| self.table.columns[i].name.as_str()).collect();
        let first = quote(names.first()?);
        let declared = format!("({}, PRIMARY KEY ({first})) WITHOUT ROWID", quote_all(names));
        Some((format!("mainstem_names_{}_{n}", self.id), declared))
    }

    /// The condition for the row that an update or delete is about to touch.
    fn old_row(&self, uniques: &[Unique]) -> String {
        match row_number(self.table) {
            Some(number) => format!("{number} = OLD.{number}"),
            None => uniques.iter().find(|u| u.is_key).and_then(|u| u.old.clone()).expect("a tracked table has a key"),
        }
    }

    /// Statements that write the full images of the rows that meet a condition.
    ///
    /// The rows come as `SELECT *`, so that SQLite rewrites no name on RENAME COLUMN; each value is a bare name, found in
    /// the row or else in the empty stand-in on the right of the join, whose NULL it then is. Only the key is named where
    /// SQLite sees it: it can be renamed but not dropped.
    fn image(&self, op: u8, condition: &str) -> String {
        let condition = if planted::is(Bug::A1) && op == op::REPLACE { "0" } else { condition };
        let table = quote(&self.table.name);
        let keys: Vec<String> = self.key_names().enumerate().map(|(n, name)| format!("{name} AS mainstem_k{n}")).collect();
        let mut text = String::new();
        for (n, chunk) in self.chunks().enumerate() {
            let op = if n == 0 { op } else { op::MORE } as char;
            let value = |column: &usize| match self.table.key.iter().position(|k| k == column) {
                Some(k) => format!("mainstem_k{k}"),
                None if planted::is(Bug::A8) && op == op::UPDATE as char => format!("OLD.{}", self.name(*column)),
                None => self.name(*column),
            };
            let values: Vec<String> = chunk.iter().map(value).collect();
            let places: Vec<String> = (0..chunk.len()).map(|c| format!("c{c}")).collect();
            let join = self.stand_in(n, chunk).map_or(String::new(), |(name, _)| format!(" NATURAL LEFT JOIN {name}"));
            let insert = if planted::is(Bug::A2) { "INSERT OR IGNORE" } else { "INSERT" };
            let op = if planted::is(Bug::A11) { format!("concat('{op}')") } else { format!("'{op}'") };
            text.push_str(&format!(
                "{insert} INTO {LOG}(t, op, at, {}) SELECT {}, {op}, julianday(), {} \
                 FROM (SELECT {}, * FROM {table} AS {ROW} WHERE {condition}){join}; ",
                places.join(", "),
                self.id,
                values.join(", "),
                keys.join(", "),
            ));
        }
        text
    }

    fn values(&self, op: u8, values: &[String]) -> String {
        let places: Vec<String> = (0..values.len()).map(|c| format!("c{c}")).collect();
        let (places, values, op) = (places.join(", "), values.join(", "), op as char);
        format!("INSERT INTO {LOG}(t, op, at, {places}) VALUES ({}, '{op}', julianday(), {values}); ", self.id)
    }

    /// The condition that leaves out the updated row itself, where that costs nothing.
    fn other_rows(&self, condition: &str) -> String {
        match row_number(self.table) {
            Some(number) => format!("{condition} AND {number} <> OLD.{number}"),
            None => condition.to_string(),
        }
    }

    fn key_trigger(&self, uniques: &[Unique]) -> (String, String) {
        let keys = uniques.iter().filter(|u| u.is_key);
        let mut body: String = keys.map(|u| self.image(op::REPLACE, &self.other_rows(&u.condition))).collect();
        let values: Vec<String> =
            self.key_names().map(|n| format!("OLD.{n}")).chain(self.key_names().map(|n| format!("NEW.{n}"))).collect();
        body.push_str(&self.values(op::KEY, &values));
        let names: Vec<String> = self.key_names().collect();
        self.trigger("key", &format!("BEFORE UPDATE OF {}", names.join(", ")), &body)
    }

    /// A trigger that never fires and is never compiled, for no column has the name it waits for. SQLite rewrites its
    /// column list on RENAME COLUMN and leaves it alone on DROP COLUMN, so it tells which column became which.
    fn names_trigger(&self) -> (String, String) {
        let names = quote_all(self.slots.iter().map(|&i| self.table.columns[i].name.as_str()));
        let values = vec!["NULL"; self.slots.len()].join(", ");
        let body = format!("INSERT INTO {}({names}) VALUES ({values}); ", quote(&self.table.name));
        self.trigger("names", "BEFORE UPDATE OF mainstem_never", &body)
    }

    fn insert_triggers(&self, uniques: &[Unique]) -> Vec<(String, String)> {
        let mut body: String = uniques.iter().map(|u| self.image(op::REPLACE, &u.condition)).collect();
        let given: Option<Vec<String>> = self.table.key.iter().map(|&i| self.given_key(i)).collect();
        if let Some(values) = given {
            body.push_str(&self.values(op::INSERT, &values));
            return vec![self.trigger("insert", "BEFORE INSERT", &body)];
        }
        let values: Vec<String> = self.key_names().map(|n| format!("NEW.{n}")).collect();
        let after = self.values(op::INSERTED, &values);
        vec![self.trigger("insert", "BEFORE INSERT", &body), self.trigger("inserted", "AFTER INSERT", &after)]
    }

    /// A key value as it will be stored, where that is known before the insert; none where SQLite makes it up.
    fn given_key(&self, column: usize) -> Option<String> {
        if self.table.is_numbered && !planted::is(Bug::A18) {
            return None;
        }
        let new = format!("NEW.{}", self.name(column));
        match self.table.columns[column].default.as_deref() {
            None => Some(new),
            Some(default) => literal(default).map(|d| format!("ifnull({new}, {d})")),
        }
    }

    fn unique_trigger(&self, uniques: &[Unique]) -> Option<(String, String)> {
        let others: Vec<&Unique> = uniques.iter().filter(|u| !u.is_key).collect();
        if others.is_empty() {
            return None;
        }
        let body: String = others.iter().map(|u| self.image(op::REPLACE, &self.other_rows(&u.condition))).collect();
        let columns: Option<Vec<&String>> =
            others.iter().map(|u| u.columns.as_ref()).collect::<Option<Vec<_>>>().map(|c| c.into_iter().flatten().collect());
        let event = match columns {
            Some(columns) => format!("BEFORE UPDATE OF {}", quote_all(columns.into_iter().map(String::as_str))),
            None => "BEFORE UPDATE".to_string(),
        };
        Some(self.trigger("unique", &event, &body))
    }
}
