//! Which key a moved row had at first, through any number of moves.
//!
//! Invariant: memory is bounded; beyond [`HELD_MAX`] links they go to a temporary table of this connection.
use crate::errors::Explain;
use mainstem::Result;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;

/// Links kept in memory at a time.
const HELD_MAX: usize = 65_536;

const SCRATCH: &str = "
CREATE TEMP TABLE IF NOT EXISTS mainstem_link(key BLOB PRIMARY KEY, origin BLOB NOT NULL) WITHOUT ROWID;
DELETE FROM temp.mainstem_link;
";

/// From the key a row has now to the one it had at first.
pub(super) struct Links<'a> {
    conn: &'a Connection,
    held: HashMap<Box<[u8]>, Box<[u8]>>,
    is_spilled: bool,
    held_max: usize,
}

impl<'a> Links<'a> {
    /// No links.
    pub fn new(conn: &'a Connection) -> Self {
        Links { conn, held: HashMap::new(), is_spilled: false, held_max: HELD_MAX }
    }

    /// A row moved from one key to another.
    pub fn add(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        let origin = match self.held.remove(from) {
            Some(origin) => origin,
            None => self.take(from)?.unwrap_or_else(|| from.into()),
        };
        // What reached that key before was taken away since.
        self.take(to)?;
        self.held.insert(to.into(), origin);
        if self.held.len() > self.held_max { self.spill() } else { Ok(()) }
    }

    /// The key that the row with this key had at first; none where it did not move.
    pub fn origin(&self, key: &[u8]) -> Result<Option<Box<[u8]>>> {
        match self.held.get(key) {
            Some(origin) => Ok(Some(origin.clone())),
            None => self.spilled(key),
        }
    }

    fn spilled(&self, key: &[u8]) -> Result<Option<Box<[u8]>>> {
        if !self.is_spilled {
            return Ok(None);
        }
        let sql = "SELECT origin FROM temp.mainstem_link WHERE key = ?1";
        let found = self.conn.prepare_cached(sql).on(self.conn)?.query_row([key], |r| r.get::<_, Vec<u8>>(0)).optional().on(self.conn)?;
        Ok(found.map(Vec::into_boxed_slice))
    }

    fn take(&self, key: &[u8]) -> Result<Option<Box<[u8]>>> {
        let found = self.spilled(key)?;
        if found.is_some() {
            self.conn.prepare_cached("DELETE FROM temp.mainstem_link WHERE key = ?1").on(self.conn)?.execute([key]).on(self.conn)?;
        }
        Ok(found)
    }

    fn spill(&mut self) -> Result<()> {
        if !self.is_spilled {
            self.conn.execute_batch(SCRATCH).on(self.conn)?;
            self.is_spilled = true;
        }
        let sql = "INSERT INTO temp.mainstem_link(key, origin) VALUES (?1, ?2)";
        let mut insert = self.conn.prepare_cached(sql).on(self.conn)?;
        for (key, origin) in self.held.drain() {
            insert.execute(params![key, origin]).on(self.conn)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failure is what the test is to show")]
mod tests {
    use super::*;

    #[test]
    fn moves_are_followed_in_memory_and_beyond() {
        let conn = Connection::open_in_memory().expect("memory");
        for held_max in [0, 1, 3, 1_000] {
            let mut links = Links { held_max, ..Links::new(&conn) };
            for round in 0..4u8 {
                for row in 0..10u8 {
                    links.add(&[row, round], &[row, round + 1]).expect("a place for temporary tables");
                }
            }
            let origin = |key: [u8; 2]| links.origin(&key).expect("a place for temporary tables");
            for row in 0..10u8 {
                assert_eq!(origin([row, 4]).as_deref(), Some(&[row, 0][..]), "{held_max}");
                assert_eq!(origin([row, 2]), None, "{held_max}");
            }
        }
    }

    #[test]
    fn a_key_that_was_reached_twice_is_the_later_rows() {
        let conn = Connection::open_in_memory().expect("memory");
        for held_max in [0, 1, 1_000] {
            let mut links = Links { held_max, ..Links::new(&conn) };
            for (from, to) in [(b"x", b"k"), (b"a", b"b"), (b"z", b"k"), (b"k", b"w")] {
                links.add(from, to).expect("a place for temporary tables");
            }
            let origin = |key: &[u8]| links.origin(key).expect("a place for temporary tables");
            assert_eq!(origin(b"w").as_deref(), Some(&b"z"[..]), "{held_max}");
            assert_eq!(origin(b"k"), None, "{held_max}");
        }
    }
}
