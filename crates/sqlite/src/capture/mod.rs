//! Capture: notices every committed row change on a tracked file with plain triggers, and condenses it to net changes.
//!
//! Triggers write pre-images into one log; values after are read from the rows. See docs/design/0001-capture.md.
//! Invariant: no statement of the app's fails or returns something else because of what is installed here (CAP-3).
//! Invariant: net changes come from the first image and the current row, never from the order of firings (CAP-6).
mod condense;
mod heal;
mod image;
mod links;
mod log;
mod operations;
mod plan;
mod reader;
mod record;
mod registry;
mod scan;
mod sorted;
mod sources;
mod steps;
#[cfg(test)]
mod tests;
mod unique;

pub use condense::{Condensed, NetChange, condense};
pub use heal::{Healed, adopt, heal, is_unchanged as is_current};
pub use image::{key_ordered, ordered_key};
pub use operations::operations;
pub use record::{Done, has_records, is_installed, record, record_first, tracked};
pub use scan::{keyed, scan};
pub use sources::KeptSources;
pub(crate) use unique::row_number;

use crate::connection::one;
use crate::errors::Explain;
use crate::sql::quote;
use mainstem::Result;
use mainstem::core::schema::Table;
use plan::LOG;
use rusqlite::{Connection, params};

/// Starts capturing these tables. `follows_new_tables`: tables that the app creates later are captured as well.
///
/// Atomic: everything or nothing is installed. Inside the caller's transaction where there is one.
pub fn install(conn: &Connection, tables: &[Table], follows_new_tables: bool) -> Result<()> {
    atomically(conn, |conn| {
        registry::create(conn, tables)?;
        for table in tables {
            registry::add(conn, table)?;
        }
        registry::set(conn, "follows_new_tables", if follows_new_tables { "1" } else { "0" })?;
        registry::remember(conn)
    })
}

/// Remembers tables that are not to be captured, so that healing does not take them for new ones.
pub fn leave_out(conn: &Connection, tables: &[String]) -> Result<()> {
    tables.iter().try_for_each(|name| registry::set(conn, &format!("left_out {name}"), "1"))
}

/// Has the next heal look at every table again: rows may stand against capture no more, which the schema does not show.
pub fn look_again(conn: &Connection) -> Result<()> {
    registry::set(conn, "schema", "")
}

/// Stops tracking: drops every `mainstem_` trigger, index, view and table there is.
pub fn remove(conn: &Connection) -> Result<()> {
    atomically(conn, |conn| {
        for kind in ["trigger", "view", "index", "table"] {
            let sql = "SELECT name FROM main.sqlite_schema WHERE type = ?1 AND name LIKE 'mainstem\\_%' ESCAPE '\\' AND sql IS NOT NULL";
            let mut statement = conn.prepare_cached(sql).on(conn)?;
            let names = statement.query_map([kind], |r| r.get::<_, String>(0)).on(conn)?;
            let names: Vec<String> = names.collect::<rusqlite::Result<_>>().on(conn)?;
            for name in names {
                conn.execute_batch(&format!("DROP {kind} main.{}", quote(&name))).on(conn)?;
            }
        }
        Ok(())
    })
}

/// The statements that made the user's schema as capture last saw it, in an order in which they can be run.
pub(crate) fn declarations(conn: &Connection) -> Result<Vec<String>> {
    let seen = registry::remembered(conn)?;
    Ok(steps::in_order(&seen).into_iter().map(String::from).collect())
}

/// The sequence of the last record; zero where nothing was ever captured.
pub fn end(conn: &Connection) -> Result<i64> {
    one(conn, &format!("SELECT ifnull(max(seq), 0) FROM main.{LOG}"), [], |r| r.get(0)).on(conn)
}

/// The sequence of the last record that was forgotten; zero where none was.
pub fn beginning(conn: &Connection) -> Result<i64> {
    one(conn, &format!("SELECT ifnull((SELECT iif(t = 0, seq, 0) FROM main.{LOG} ORDER BY seq LIMIT 1), 0)"), [], |r| r.get(0)).on(conn)
}

/// Forgets the records up to and including a sequence. Later records never get a sequence that was used before.
pub fn clear(conn: &Connection, through: i64) -> Result<()> {
    atomically(conn, |conn| {
        let last = end(conn)?;
        let deleted = conn.execute(&format!("DELETE FROM main.{LOG} WHERE seq <= ?1"), [through]).on(conn)?;
        if deleted > 0 && through >= last {
            // An empty log would number from 1 again; a record of no table keeps the place.
            conn.execute(&format!("INSERT INTO main.{LOG}(seq, t) VALUES (?1, 0)"), params![last]).on(conn)?;
        }
        let unused = format!("is_current = 0 AND id NOT IN (SELECT DISTINCT t FROM main.{LOG})");
        let sql = "SELECT EXISTS(SELECT 1 FROM main.mainstem_capture WHERE is_current = 0)";
        if one(conn, sql, [], |r| r.get(0)).on(conn)? {
            conn.execute_batch(&format!(
                "DELETE FROM main.mainstem_capture WHERE {unused};
                 DELETE FROM main.mainstem_capture_column WHERE capture NOT IN (SELECT id FROM main.mainstem_capture)"
            ))
            .on(conn)?;
        }
        Ok(())
    })
}

/// Runs something as a whole: in a write transaction of its own, or in a savepoint of the caller's.
fn atomically<T>(conn: &Connection, run: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let (begin, commit, undo) = if conn.is_autocommit() {
        ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
    } else {
        ("SAVEPOINT mainstem", "RELEASE mainstem", "ROLLBACK TO mainstem; RELEASE mainstem")
    };
    conn.execute_batch(begin).on(conn)?;
    let done = run(conn).and_then(|value| conn.execute_batch(commit).on(conn).map(|()| value));
    if done.is_err() && !conn.is_autocommit() {
        // The first failure is the one to tell; an undo that fails as well leaves nothing committed.
        let _ = conn.execute_batch(undo);
    }
    done
}
