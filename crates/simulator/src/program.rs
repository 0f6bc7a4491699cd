//! Programs that know nothing of Mainstem: they open a file, say SQL, and go.
use crate::image;
use crate::links::{self, Dangling};
use crate::tally::{Invariant, Situation, Tally, Verdict, Wrong};
use crate::tape::{Manner, Session, Statement};
use crate::world::{Place, World, unreadable};
use mainstem::core::value::Value;
use mainstem::wiring::Surroundings;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};
use std::collections::BTreeSet;

/// One session in about so many is told to a twin without capture, too.
const TWIN_EVERY: u64 = 32;

/// A value to bind, whatever its bytes.
struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Integer(i) => ValueRef::Integer(*i),
            Value::Real(r) => ValueRef::Real(*r),
            Value::Text(bytes) => ValueRef::Text(bytes),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Says one statement, and reads its rows away. `answer` collects what it gives back where that is wanted.
pub fn say(db: &Connection, statement: &Statement, answer: &mut Option<Vec<u8>>) -> rusqlite::Result<()> {
    let mut prepared = db.prepare_cached(&statement.sql)?;
    for (at, datum) in statement.values.iter().enumerate() {
        let value = datum.value();
        prepared.raw_bind_parameter(at + 1, Bound(&value))?;
    }
    let columns = prepared.column_count();
    let mut rows = prepared.raw_query();
    while let Some(row) = rows.next()? {
        if let Some(answer) = answer {
            for column in 0..columns {
                answer.extend_from_slice(format!("{:?};", row.get_ref(column)?).as_bytes());
            }
        }
    }
    Ok(())
}

/// What a program notices of a statement: its rows and how many it changed, or what it was refused with.
fn noticed(db: &Connection, statement: &Statement) -> String {
    let mut answer = Some(Vec::new());
    match say(db, statement, &mut answer) {
        Ok(()) => format!("{} {}", db.changes(), String::from_utf8_lossy(&answer.unwrap_or_default())),
        Err(error) => error.to_string(),
    }
}

/// The same file without capture, in memory.
fn twin(db: &Connection) -> rusqlite::Result<Connection> {
    let mut twin = Connection::open_in_memory()?;
    rusqlite::backup::Backup::new(db, &mut twin)?.step(-1)?;
    let names = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'mainstem\\_%' ESCAPE '\\'";
    let names: Vec<String> = twin.prepare(names)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for name in names {
        twin.execute_batch(&format!("DROP TRIGGER {name}"))?;
    }
    Ok(twin)
}

/// I-31: a session on two copies of the file, with capture and without, gives the same answers and the same rows.
fn compare_with_twin(db: &Connection, session: &Session, keeps_links: bool, tally: &mut Tally) -> Verdict {
    let mut tracked = Connection::open_in_memory().map_err(unreadable)?;
    rusqlite::backup::Backup::new(db, &mut tracked).and_then(|backup| backup.step(-1)).map_err(unreadable)?;
    let plain = twin(db).map_err(unreadable)?;
    for each in [&tracked, &plain] {
        let is_on = |is_on: bool| if is_on { "ON" } else { "OFF" };
        let (links, triggers) = (is_on(keeps_links), is_on(session.manner.is_recursive));
        each.execute_batch(&format!("PRAGMA foreign_keys = {links}; PRAGMA recursive_triggers = {triggers}")).map_err(unreadable)?;
    }
    for statement in &session.statements {
        tally.check(Invariant::Unnoticed);
        let (with, without) = (noticed(&tracked, statement), noticed(&plain, statement));
        if with != without {
            let why = format!("capture is noticed: {statement} answers {with} instead of {without}");
            return Err(Wrong::new(Invariant::Unnoticed, why));
        }
    }
    let read = |db: &Connection| image::read(db, &mut image::Tables::default()).map_err(unreadable);
    let found = image::differences(&read(&tracked)?, &read(&plain)?);
    match found.is_empty() {
        true => Ok(()),
        false => Err(Wrong::new(Invariant::Unnoticed, format!("capture changes rows: {}", found.join("\n    ")))),
    }
}

/// Sets a connection up as a program would. Each setting has all statements prepared anew, so only what differs is set.
fn behave(place: &mut Place, manner: Manner) -> Verdict {
    let before = place.manner.replace(manner);
    if before == Some(manner) {
        return Ok(());
    }
    let db = place.db.as_ref().expect("a session's file is open");
    if before.is_none_or(|before| before.is_recursive != manner.is_recursive) {
        db.pragma_update(None, "recursive_triggers", manner.is_recursive).map_err(unreadable)?;
    }
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, !manner.is_distrustful).map_err(unreadable)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, !manner.is_blind).map_err(unreadable)?;
    Ok(())
}

/// The last record of the log.
fn log_end(db: &Connection) -> Verdict<i64> {
    db.prepare_cached("SELECT coalesce(max(seq), 0) FROM mainstem_log")
        .and_then(|mut s| s.query_row([], |row| row.get(0)))
        .map_err(unreadable)
}

/// Where the log ended when each open transaction and savepoint began.
struct Log<'c> {
    db: &'c Connection,
    begun: Vec<i64>,
}

impl Log<'_> {
    fn before(&mut self, sql: &str) -> Verdict {
        let opens = if self.db.is_autocommit() { sql.starts_with("BEGIN") } else { sql.starts_with("SAVEPOINT") };
        if opens {
            self.begun.push(log_end(self.db)?);
        }
        Ok(())
    }

    /// I-35: what was rolled back is not in the log.
    fn after(&mut self, sql: &str, is_said: bool, tally: &mut Tally) -> Verdict {
        let is_over = self.db.is_autocommit();
        let begun = match is_over {
            true if sql.starts_with("COMMIT") && is_said => None,
            true => self.begun.first(),
            false if sql.starts_with("ROLLBACK TO") && is_said => self.begun.last(),
            false => return Ok(()),
        };
        if let Some(begun) = begun {
            tally.check(Invariant::RolledBack);
            if log_end(self.db)? != *begun {
                return Err(Wrong::new(Invariant::RolledBack, format!("captured and rolled back: {sql}")));
            }
        }
        if is_over {
            self.begun.clear();
        }
        Ok(())
    }
}

/// Runs a session's statements; those that fail change nothing. The captured times are the machine's.
fn speak(place: &mut Place, session: &Session, tally: &mut Tally, hash: &mut blake3::Hasher) -> Verdict {
    behave(place, session.manner)?;
    let db = place.db.as_ref().expect("a session's file is open");
    let last = log_end(db)?;
    place.log_last = Some(last);
    let mut log = Log { db, begun: Vec::new() };
    for statement in &session.statements {
        tally.operations += 1;
        log.before(&statement.sql)?;
        let said = say(db, statement, &mut None);
        log.after(&statement.sql, said.is_ok(), tally)?;
        match said {
            Ok(()) => {
                if statement.sql.starts_with("REPLACE") || statement.sql.contains(" OR REPLACE ") {
                    tally.reach(Situation::ReplacedRow);
                }
                hash.update(&db.changes().to_le_bytes());
            }
            Err(error) => {
                tally.reach(Situation::FailedStatement);
                hash.update(error.to_string().as_bytes());
            }
        }
    }
    if !db.is_autocommit() {
        db.execute_batch("COMMIT").or_else(|_| db.execute_batch("ROLLBACK")).map_err(unreadable)?;
    }
    set_times(place)
}

/// Gives the records of the last session the machine's time instead of the real one.
pub(crate) fn set_times(place: &mut Place) -> Verdict {
    let (Some(last), Some(db)) = (place.log_last, place.db.as_ref()) else { return Ok(()) };
    let day = 2_440_587.5 + place.machine.now_ms() as f64 / 86_400_000.0;
    db.prepare_cached("UPDATE mainstem_log SET at = ?1 WHERE seq > ?2").and_then(|mut s| s.execute((day, last))).map_err(unreadable)?;
    place.log_last = None;
    Ok(())
}

/// Links that lead nowhere in a program's file. Where there are any, as those of rows that wait, SQLite lets a statement cut as
/// many others as it mends.
fn links_cut(place: &mut Place, is_asked: bool) -> Verdict<BTreeSet<Dangling>> {
    let Some(db) = place.db.as_ref().filter(|_| is_asked) else { return Ok(BTreeSet::new()) };
    links::dangling(db, &mut place.links).map_err(unreadable)
}

impl World {
    /// A program's session on a copy, or on the primary's own file.
    pub(crate) fn run_session(&mut self, session: &Session) -> Verdict {
        let keeps_links = self.keeps_links;
        let mut hash = std::mem::take(&mut self.hash);
        let keeps_no_links = |statement: &Statement| statement.sql == "PRAGMA foreign_keys = OFF";
        self.is_blind = session.manner.is_blind || session.statements.iter().any(keeps_no_links);
        let done = match session.who {
            Some(who) if who < self.copies.len() => self.noting(who, |world| {
                let journal = world.journals.get(who % world.journals.len().max(1)).cloned();
                let copy = &mut world.copies[who];
                copy.place.open(keeps_links, journal.as_deref())?;
                if session.manner.is_blind {
                    copy.has_unseen = true;
                    world.tally.reach(Situation::Unseen);
                    world.tally.fault("triggers off");
                }
                if session.statements.iter().any(|statement| statement.sql.starts_with("DROP TABLE")) {
                    // With a table go its triggers: what is written before Mainstem is called again is known as a gap, and
                    // compared at the next push.
                    copy.committed = None;
                }
                if world.tally.operations % TWIN_EVERY == 0 && !world.is_failing && !session.manner.is_blind {
                    let db = copy.place.db.as_ref().expect("it was just opened");
                    compare_with_twin(db, session, keeps_links, &mut world.tally)?;
                }
                let before = links_cut(&mut copy.place, keeps_links && !world.is_failing)?;
                speak(&mut copy.place, session, &mut world.tally, &mut hash)?;
                if !before.is_empty() {
                    let after = links_cut(&mut copy.place, true)?;
                    world.cut.extend(after.difference(&before).map(|link| link.aim.clone()));
                }
                Ok(())
            }),
            Some(_) => Ok(()),
            None => self.between(None, true, |world| {
                world.tally.reach(Situation::Direct);
                world.primary_place.open(keeps_links, None)?;
                speak(&mut world.primary_place, session, &mut world.tally, &mut hash)
            }),
        };
        (self.hash, self.is_blind) = (hash, false);
        done
    }
}
