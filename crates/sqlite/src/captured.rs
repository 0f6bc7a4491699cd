//! The feed of one tracked database that has no primary: read from capture, woken by other programs' commits.
//!
//! Invariant: what is committed after a read began ends the wait that follows it.
use crate::connection::one;
use crate::errors::Explain;
use crate::notice::{Notice, data_version};
use crate::replica::SqliteReplica;
use mainstem::error::Result;
use mainstem::feed::{self, Batch, Offset, Source};
use mainstem::replica::Replica;
use mainstem::wiring::Around;
use std::path::Path;

/// A tracked database as a source of events.
pub struct Captured {
    replica: SqliteReplica,
    author: String,
    notice: Notice,
    /// What other programs had committed when the last read began.
    seen: i64,
    /// The schema as capture knows it, by SQLite's counter.
    schema: i64,
}

impl Captured {
    /// The events of the database in a file. What is not committed as a changeset yet is said to be that author's.
    pub fn open(path: &Path, author: &str, around: Around) -> Result<Captured> {
        let notice = Notice::of(path)?.keen();
        let replica = SqliteReplica::open(path, around)?;
        let schema = schema_version(&replica)?;
        Ok(Captured { replica, author: author.to_string(), notice, seen: -1, schema })
    }
}

fn schema_version(replica: &SqliteReplica) -> Result<i64> {
    let db = replica.connection();
    one(db, "PRAGMA schema_version", [], |row| row.get(0)).on(db)
}

impl Source for Captured {
    fn now(&mut self) -> Result<Offset> {
        Ok(feed::now_captured(&self.replica.working()?))
    }
    fn read(&mut self, from: &Offset, most: usize) -> Result<Batch> {
        self.seen = data_version(self.replica.connection())?.unwrap_or(-1);
        if schema_version(&self.replica)? != self.schema {
            self.replica.look_again()?;
            self.schema = schema_version(&self.replica)?;
        }
        feed::read_captured(&mut self.replica, &self.author, from, most)
    }
    fn wait(&mut self, timeout_ms: u64) -> Result<()> {
        self.notice.wait(self.replica.connection(), self.seen, timeout_ms, None).map(drop)
    }
}
