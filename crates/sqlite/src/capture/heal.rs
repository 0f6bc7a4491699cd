//! Notices what the app did to the schema, and puts capture back where that removed it.
//!
//! Invariant: nothing is assumed about a table whose triggers were gone: it is reported as a gap.
//! Invariant: an unchanged schema costs one read of its text and writes nothing.
use super::registry::{self, Capture, Seen};
use super::steps::{Fate, Rehearsal};
use super::{LOG, atomically};
use crate::errors::Explain;
use crate::schema::{self, ReadSchema, Refused};
use crate::sql::{first_bracket, is_internal, quote, quote_all, words};
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::{SchemaChange, Table};
use mainstem::{Error, Result};
use rusqlite::{Connection, params};

/// What healing found and did.
#[derive(Clone, Debug, Default)]
pub struct Healed {
    /// What the app did to the schema since capture last looked, in an order in which it can be done again.
    pub steps: Vec<SchemaChange>,
    /// Tables whose triggers were made anew.
    pub reinstalled: Vec<String>,
    /// Tables in which writes may have been missed.
    pub gap: Vec<String>,
    /// New tables that cannot be tracked.
    pub refused: Vec<Refused>,
}

/// Looks for changes of the schema, says what they were, and makes capture whole again.
pub fn heal(conn: &Connection) -> Result<Healed> {
    heal_after(conn, false)
}

/// Takes the schema as it is for known, after Mainstem's own schema steps: tables stay tracked, and nothing is reported
/// as the app's doing.
pub fn adopt(conn: &Connection) -> Result<()> {
    heal_after(conn, true).map(drop)
}

/// `is_own`: what was done is known, and need not be found out.
fn heal_after(conn: &Connection, is_own: bool) -> Result<Healed> {
    if is_unchanged(conn)? {
        return Ok(Healed::default());
    }
    atomically(conn, |conn| {
        // Another process may have healed while this one waited for the lock.
        if is_unchanged(conn)? {
            return Ok(Healed::default());
        }
        Healing::new(conn)?.run(is_own)
    })
}

/// True where the schema is as it was when capture last looked.
pub fn is_unchanged(conn: &Connection) -> Result<bool> {
    let digest = registry::digest(&registry::look(conn)?);
    Ok(registry::get(conn, "schema")?.as_deref() == Some(digest.as_str()))
}

struct Healing<'c> {
    conn: &'c Connection,
    seen: Vec<Seen>,
    old: Vec<Seen>,
    new: ReadSchema,
    captures: Vec<Capture>,
    /// Tables that were to be left out.
    left_out: Vec<String>,
    healed: Healed,
}

/// What is left of a capture's triggers.
struct Remains {
    /// The table they are on now.
    table: String,
    /// The column list that SQLite keeps up to date.
    names: Option<Vec<String>>,
    is_whole: bool,
}

impl<'c> Healing<'c> {
    fn new(conn: &'c Connection) -> Result<Self> {
        if registry::get(conn, "schema")?.is_none() {
            return Err(Error::corrupt("what Mainstem remembers of the tables was deleted by another program")
                .hint("mainstem deinit --force, then mainstem init"));
        }
        Ok(Healing {
            conn,
            seen: registry::look(conn)?,
            old: registry::remembered(conn)?,
            new: schema::read(conn)?,
            captures: registry::captures(conn)?,
            left_out: registry::left_out(conn)?,
            healed: Healed::default(),
        })
    }

    fn run(mut self, is_own: bool) -> Result<Healed> {
        let mut fates = Vec::new();
        let current: Vec<Capture> = self.captures.iter().filter(|c| c.is_current).cloned().collect();
        for capture in &current {
            fates.push(self.follow(capture)?);
        }
        let follows = registry::get(self.conn, "follows_new_tables")?.as_deref() == Some("1");
        let was_there = |name: &str| self.old.iter().any(|s| s.kind == "table" && s.name.eq_ignore_ascii_case(name));
        let is_left_out = |name: &str| self.left_out.iter().any(|n| n.eq_ignore_ascii_case(name));
        // What was dropped and made again with another key is another table; it was tracked, so it is.
        let was_captured = |name: &str| current.iter().any(|c| c.table.eq_ignore_ascii_case(name));
        let is_followed = |name: &str| (follows || was_captured(name)) && !is_left_out(name);
        let is_captured = |name: &str| fates.iter().any(|f| f.to.as_deref().is_some_and(|t| t.eq_ignore_ascii_case(name)));
        let mut fresh: Vec<Table> = Vec::new();
        for table in self.new.schema.tables.iter().filter(|t| is_followed(&t.name) && !is_captured(&t.name)) {
            if schema::null_keys(self.conn, table)? == 0 {
                fresh.push(table.clone());
            }
        }
        // A captured table that was rebuilt without its key counts as dropped, and the user is told why.
        let is_told = |name: &str| (is_followed(name) && !was_there(name)) || was_captured(name);
        self.healed.refused = self.new.refused.iter().filter(|r| is_told(&r.table)).cloned().collect();
        let is_fresh = |name: &str| fresh.iter().any(|t| t.name == name);
        if !is_own {
            let travelling = self.new.clone().tracked(&|name| is_captured(name) || is_fresh(name));
            self.healed.steps = Rehearsal::new(&self.old)?.steps(&travelling, &fates, &is_fresh)?;
        }
        self.healed.steps.retain(|step| !(planted::is(Bug::A6) && matches!(step, SchemaChange::DropTable { .. })));
        registry::create(self.conn, &self.new.schema.tables)?;
        self.rename_captures(&fates)?;
        for (capture, fate) in current.iter().zip(&fates) {
            self.renew(capture, fate)?;
        }
        for table in &fresh {
            let id = registry::add(self.conn, table)?;
            self.log_rows(table, id)?;
            self.healed.reinstalled.push(table.name.clone());
        }
        registry::remember(self.conn)?;
        self.healed.gap.sort();
        self.healed.gap.dedup();
        Ok(self.healed)
    }

    /// What became of a captured table, and what that means for the columns of all its captures.
    fn follow(&mut self, capture: &Capture) -> Result<Fate> {
        let from = capture.table.clone();
        let remains = self.remains(capture)?;
        let to = match &remains {
            Some(remains) => Some(remains.table.clone()),
            None => Some(from.clone()),
        };
        let names = remains.as_ref().and_then(|r| r.names.clone()).filter(|names| names.len() == capture.slots.len());
        let known: Vec<(String, String)> = match names {
            Some(names) => capture.slots.iter().map(|(name, _)| name.clone()).zip(names).collect(),
            None => capture.slots.iter().map(|(name, _)| (name.clone(), name.clone())).collect(),
        };
        let has_that_key = |table: &Table| {
            let key: Vec<&str> = table.key.iter().map(|&k| table.columns[k].name.as_str()).collect();
            key.len() == capture.keys && known.iter().zip(key).all(|((_, now), name)| now.eq_ignore_ascii_case(name))
        };
        let to = to.and_then(|to| self.new.schema.table(&to)).filter(|table| has_that_key(table)).map(|table| table.name.clone());
        let is_missed = |to: &String| remains.as_ref().is_none_or(|r| !r.is_whole) || self.is_outrun(capture, to);
        if let Some(to) = to.as_ref().filter(|to| is_missed(to)) {
            self.healed.gap.push(to.clone());
        }
        if let Some(table) = to.as_deref().and_then(|to| self.new.schema.table(to)) {
            self.note_columns(&from, table, &known)?;
        }
        Ok(Fate { from, to, columns: Some(known) })
    }

    fn remains(&self, capture: &Capture) -> Result<Option<Remains>> {
        let prefix = format!("mainstem_{}_", capture.id);
        let ours = |s: &&Seen| s.kind == "trigger" && s.name.starts_with(&prefix);
        let Some(table) = self.seen.iter().find(ours).map(|s| s.table.clone()) else {
            return Ok(None);
        };
        let expected: i64 = {
            let sql = "SELECT triggers FROM main.mainstem_capture WHERE id = ?1";
            self.conn.query_row(sql, [capture.id], |r| r.get(0)).on(self.conn)?
        };
        let is_whole = self.seen.iter().filter(ours).count() as i64 == expected;
        let names = self.seen.iter().find(|s| s.name == format!("{prefix}names")).and_then(|s| s.sql.as_deref());
        Ok(Some(Remains { table, names: names.and_then(listed_names), is_whole }))
    }

    /// Remembers under which name each slot of each capture of a table goes now.
    fn note_columns(&self, from: &str, table: &Table, known: &[(String, String)]) -> Result<()> {
        let sql = "UPDATE main.mainstem_capture_column SET now = ?3 WHERE capture = ?1 AND slot = ?2";
        let mut update = self.conn.prepare_cached(sql).on(self.conn)?;
        for capture in self.captures.iter().filter(|c| c.table == from) {
            for (slot, (_, now)) in capture.slots.iter().enumerate() {
                let Some(was) = now else { continue };
                let is = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(was)).map(|(_, now)| now);
                let is = is.filter(|is| table.column(is).is_some());
                if is != Some(was) {
                    update.execute(params![capture.id, slot as i64, is]).on(self.conn)?;
                }
            }
        }
        Ok(())
    }

    /// True where an AFTER INSERT trigger of the app's that can end with RAISE(IGNORE) fires before ours.
    fn is_outrun(&self, capture: &Capture, table: &str) -> bool {
        let ours = format!("mainstem_{}_inserted", capture.id);
        let Some(place) = self.seen.iter().position(|s| s.name == ours) else {
            return false;
        };
        let is_newer = |s: &Seen| s.kind == "trigger" && s.table.eq_ignore_ascii_case(table) && !is_internal(&s.name);
        !planted::is(Bug::A4) && self.seen[place..].iter().any(|s| is_newer(s) && s.sql.as_deref().is_some_and(can_ignore))
    }

    /// True where an AFTER trigger of the app's fires before ours.
    fn is_late(&self, capture: &Capture, table: &str) -> bool {
        let ours = format!("mainstem_{}_inserted", capture.id);
        let Some(place) = self.seen.iter().position(|s| s.name == ours) else {
            return false;
        };
        let is_app = |s: &Seen| s.kind == "trigger" && s.table.eq_ignore_ascii_case(table) && !is_internal(&s.name);
        !planted::is(Bug::A3) && self.seen[place..].iter().any(is_app)
    }

    /// Follows renamed tables. Captures of a dropped table lose their name, for a later table may have it again.
    fn rename_captures(&self, fates: &[Fate]) -> Result<()> {
        let mut update = self.conn.prepare_cached("UPDATE main.mainstem_capture SET name = ?2 WHERE id = ?1").on(self.conn)?;
        for capture in &self.captures {
            let Some(fate) = fates.iter().find(|f| f.from == capture.table) else {
                continue;
            };
            update.execute(params![capture.id, fate.to.as_deref().unwrap_or("")]).on(self.conn)?;
        }
        Ok(())
    }

    /// Makes a table's triggers anew where they are not what they should be.
    fn renew(&mut self, capture: &Capture, fate: &Fate) -> Result<()> {
        let Some(to) = &fate.to else {
            return registry::retire(self.conn, capture.id);
        };
        let table = self.new.schema.table(to).expect("a fate names a table that is there").clone();
        let is_whole = self.remains(capture)?.map_or(planted::is(Bug::A5), |r| r.is_whole);
        let sql = "SELECT plan FROM main.mainstem_capture WHERE id = ?1";
        let plan: String = self.conn.query_row(sql, [capture.id], |r| r.get(0)).on(self.conn)?;
        if is_whole && !self.is_late(capture, to) && (plan == registry::fingerprint(self.conn, &table)? || planted::is(Bug::A7)) {
            return Ok(());
        }
        registry::retire(self.conn, capture.id)?;
        registry::add(self.conn, &table)?;
        self.healed.reinstalled.push(table.name.clone());
        Ok(())
    }

    /// Logs the rows that a new table got before it was captured, as inserts.
    fn log_rows(&self, table: &Table, id: i64) -> Result<()> {
        let keys: Vec<&str> = table.key.iter().map(|&i| table.columns[i].name.as_str()).collect();
        let places: Vec<String> = (0..keys.len()).map(|n| format!("c{n}")).collect();
        let sql = format!(
            "INSERT INTO main.{LOG}(t, op, at, {}) SELECT ?1, 'I', julianday(), {} FROM main.{}",
            places.join(", "),
            quote_all(keys),
            quote(&table.name)
        );
        self.conn.execute(&sql, [id]).on(self.conn).map(drop)
    }
}

/// The column list in the text of a names trigger.
fn listed_names(sql: &str) -> Option<Vec<String>> {
    let bracket = first_bracket(sql).ok()?;
    let name = |(start, end): (usize, usize)| {
        let text = &sql[start..end];
        words(text).ok()?.first()?.name(text)
    };
    bracket.parts.into_iter().map(name).collect()
}

fn can_ignore(sql: &str) -> bool {
    let Ok(all) = words(sql) else {
        return true;
    };
    all.windows(3).any(|w| w[0].is(sql, "raise") && w[2].is(sql, "ignore"))
}
