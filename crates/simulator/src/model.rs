//! The model: what programs wrote and took away, noted by reading rows back after each of their sessions, and by
//! nothing that the system under test says of itself.
//!
//! Invariant: every value is known by bytes and storage class, under its table and column, and under its row where
//! keys stand still.
use crate::image::{Held, Image, show_value, words};
use crate::tally::{Invariant, Situation, Tally, Verdict, Wrong};
use crate::traces::Traces;
use crate::world::unreadable;
use mainstem::core::policy::Policy;
use mainstem::core::value::{Key, Value};
use rusqlite::Connection;
use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Everything that programs did.
#[derive(Debug, Default)]
pub struct Model {
    /// True where keys never move: then values are followed row by row.
    pub is_still: bool,
    values: HashSet<u64>,
    rows: HashSet<u64>,
    deletes: HashSet<u64>,
    /// Defaults of columns: what a row holds in a column that came later.
    added: HashSet<u64>,
    /// Words that a program wrote.
    pub written: BTreeSet<u64>,
    /// Words that somebody who saw them took away, or that a rewound file forgot.
    pub gone: BTreeSet<u64>,
    /// Columns whose values were computed by a strategy at some time, by lower-case name.
    combined: BTreeSet<(String, String)>,
    /// Columns that point to rows, which may be renumbered, or let go of.
    links: BTreeSet<(String, String)>,
    /// Tables that lost or renamed a column, by lower-case name: there, values are known by their words alone.
    reshaped: BTreeSet<String>,
    /// Tables whose key is a row number.
    pub numbered: BTreeSet<String>,
    /// What words say of rows.
    pub traces: Traces,
}

/// A fingerprint by which a value is known. `DefaultHasher::new` has fixed keys.
fn print(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// What a program's session did.
#[derive(Debug, Default)]
pub struct Noted {
    /// Words it wrote.
    pub written: BTreeSet<u64>,
    /// One of them that nobody wrote before.
    pub fresh: Option<u64>,
    /// Words it took away.
    pub gone: BTreeSet<u64>,
    /// Rows it changed.
    pub rows: usize,
}

impl Model {
    /// One that knows nothing yet.
    pub fn new(is_still: bool) -> Model {
        Model { is_still, ..Model::default() }
    }

    /// Notes what the difference of two readings of a copy's file shows, or of the primary's own, between which one program worked.
    pub fn note(&mut self, who: Option<usize>, before: &Image, after: &Image, tally: &mut Tally) -> Noted {
        let mut noted = Noted::default();
        let none = Held::default();
        for (name, now) in after {
            let was = before.get(name).unwrap_or(&none);
            if was.columns != now.columns {
                self.columns(name, was, now, tally);
            }
            if now.keyless > was.keyless {
                tally.reach(Situation::NullKey);
            }
            self.note_table(name, was, now, &mut noted, tally);
        }
        for (name, was) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
            self.note_table(name, was, &none, &mut noted, tally);
        }
        // A word that only moved from one cell to another was not taken away.
        let (written, gone) = (&noted.written - &noted.gone, &noted.gone - &noted.written);
        self.traces.note(who, before, after, &noted.written, &gone);
        noted.fresh = written.iter().find(|word| !self.written.contains(word)).copied();
        self.written.extend(&written);
        self.gone.extend(&gone);
        (noted.written, noted.gone) = (written, gone);
        noted
    }

    fn columns(&mut self, table: &str, was: &Held, now: &Held, tally: &mut Tally) {
        if !was.columns.is_empty() {
            tally.reach(Situation::SchemaBoth);
        }
        if was.columns.iter().any(|column| !now.columns.contains(column)) {
            self.reshaped.insert(table.to_lowercase());
        }
        for (column, default) in now.columns.iter().zip(&now.defaults).filter(|(column, _)| !was.columns.contains(column)) {
            self.values.insert(print((table, column, default)));
            self.added.insert(print((table, column, default)));
            // A row that comes back from before the column was there has NULL in it.
            self.values.insert(print((table, column, &Value::Null)));
            self.added.insert(print((table, column, &Value::Null)));
        }
    }

    fn note_table(&mut self, name: &str, was: &Held, now: &Held, noted: &mut Noted, tally: &mut Tally) {
        let is_same_shape = was.columns == now.columns && was.key == now.key;
        for (key, row) in &now.rows {
            let old = was.rows.get(key);
            if is_same_shape && old == Some(row) {
                continue;
            }
            noted.rows += 1;
            for (at, value) in row.iter().enumerate() {
                if is_same_shape && old.is_some_and(|old| old[at] == *value) {
                    continue;
                }
                words(value, &mut noted.written);
                hurts(value, tally);
                self.values.insert(print((name, &now.columns[at], value)));
                if self.is_still {
                    self.rows.insert(print((name, &now.columns[at], key, value)));
                }
            }
            for (at, old) in old.into_iter().flatten().enumerate() {
                if !is_same_shape || *old != row[at] {
                    words(old, &mut noted.gone);
                }
            }
        }
        for (key, row) in was.rows.iter().filter(|(key, _)| !now.rows.contains_key(*key)) {
            noted.rows += 1;
            self.deletes.insert(print((name, key)));
            self.deletes.insert(print((name, "some row")));
            row.iter().for_each(|value| words(value, &mut noted.gone));
        }
    }

    /// A policy is in force from now on: columns whose strategy computes values may hold what nobody wrote.
    pub fn rule(&mut self, policy: &Policy, image: &Image) {
        for (name, held) in image {
            for column in &held.columns {
                if policy.column(name, column).strategy.combines() {
                    self.combined.insert((name.to_lowercase(), column.to_lowercase()));
                }
            }
        }
    }

    /// True where some table lost or renamed a column.
    pub fn has_reshaped(&self) -> bool {
        !self.reshaped.is_empty()
    }

    /// A column points to rows.
    pub fn link(&mut self, table: &str, column: &str) {
        self.links.insert((table.to_lowercase(), column.to_lowercase()));
    }

    /// True where somebody deleted that row, somewhere.
    pub fn was_deleted(&self, table: &str, key: &Key) -> bool {
        // A row may have been renumbered between its author's deletion and its arrival.
        let is_numbered = self.numbered.contains(table);
        self.deletes.contains(&print((table, key))) || is_numbered && self.deletes.contains(&print((table, "some row")))
    }

    /// I-4: every value that is new in `now` was written by somebody, in that column, and in that row where keys
    /// stand still. A strategy that computes values uses words that were written.
    pub fn check_written(&self, was: &Image, now: &Image, tally: &mut Tally) -> Verdict {
        let none = Held::default();
        for (name, held) in now {
            let before = was.get(name).unwrap_or(&none);
            let is_numbered = self.numbered.contains(name);
            for (key, row) in &held.rows {
                let old = before.rows.get(key);
                if old == Some(row) {
                    continue;
                }
                for (at, value) in row.iter().enumerate() {
                    if old.is_some_and(|old| old.get(at) == Some(value)) {
                        continue;
                    }
                    tally.check(Invariant::Written);
                    let is_key = held.key.contains(&at);
                    if !self.may_hold(name, &held.columns[at], key, value, is_numbered, is_key) {
                        let what = format!("invented: {name} {key:?} holds {} in {}", show_value(value), held.columns[at]);
                        return Err(Wrong::new(Invariant::Written, what));
                    }
                }
            }
        }
        Ok(())
    }

    fn may_hold(&self, table: &str, column: &str, key: &Key, value: &Value, is_numbered: bool, is_key: bool) -> bool {
        let is_number = matches!(value, Value::Integer(_));
        if is_key && is_numbered && is_number {
            return true;
        }
        let name = (table.to_lowercase(), column.to_lowercase());
        if self.links.contains(&name) && (is_number || value.is_null()) {
            return true;
        }
        if self.combined.contains(&name) || self.reshaped.contains(&name.0) {
            let mut found = BTreeSet::new();
            words(value, &mut found);
            return found.is_subset(&self.written);
        }
        if !self.values.contains(&print((table, column, value))) {
            return false;
        }
        !self.is_still
            || is_numbered
            || is_key
            || self.added.contains(&print((table, column, value)))
            || self.rows.contains(&print((table, column, key, value)))
    }

    /// True where a strategy may have computed that column's values.
    pub fn is_combined(&self, table: &str, column: &str) -> bool {
        self.combined.contains(&(table.to_lowercase(), column.to_lowercase()))
    }

    /// True where a program's value in that column holds as it is: no link, no strategy that computes.
    pub fn is_plain(&self, table: &str, column: &str) -> bool {
        let name = (table.to_lowercase(), column.to_lowercase());
        !self.links.contains(&name) && !self.combined.contains(&name)
    }

    /// True where somebody wrote that value into that column, or a strategy may have computed it.
    pub fn is_known(&self, table: &str, column: &str, value: &Value) -> bool {
        self.may_hold(table, column, &Key::new(), value, true, false)
    }
}

fn hurts(value: &Value, tally: &mut Tally) {
    let found = match value {
        Value::Integer(i64::MIN | i64::MAX) => Situation::IntegerEnds,
        Value::Real(r) if r.to_bits() == (-0.0f64).to_bits() => Situation::NegativeZero,
        Value::Text(bytes) | Value::Blob(bytes) if bytes.len() > 10_000_000 => Situation::LongValue,
        Value::Text(bytes) if bytes.len() < 100 && bytes.contains(&0) => Situation::NulText,
        Value::Text(bytes) if bytes.len() < 100 && std::str::from_utf8(bytes).is_err() => Situation::InvalidText,
        _ => return,
    };
    tally.reach(found);
}

/// Notes which columns point to rows and which tables have row numbers, as SQLite says.
pub(crate) fn learn(model: &mut Model, keeps_links: bool, db: &Connection) -> Verdict {
    let pairs = |sql: &str| -> rusqlite::Result<Vec<(String, String)>> {
        db.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let tables = "FROM sqlite_schema AS t, ";
    let links = pairs(&format!("SELECT t.name, k.\"from\" {tables} pragma_foreign_key_list(t.name) AS k WHERE t.type = 'table'"));
    for (table, column) in links.map_err(unreadable)? {
        model.link(&table, &column);
    }
    let numbers =
        format!("SELECT t.name, c.name {tables} pragma_table_info(t.name) AS c WHERE t.type = 'table' AND c.pk = 1 AND c.type = 'INTEGER'");
    model.numbered.extend(pairs(&numbers).map_err(unreadable)?.into_iter().map(|(table, _)| table));
    model.traces.numbered = model.numbered.clone();
    model.traces.is_still = model.is_still && keeps_links;
    model.traces.learn_links(db).map_err(unreadable)
}
