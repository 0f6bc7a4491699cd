//! A primary that can no longer tell what happened up to a version, and one whose answers break off.
use crate::team::Team;
use mainstem::core::ErrorKind;
use mainstem::core::change::Front;
use mainstem::core::conflict::Conflict;
use mainstem::core::event::{Digest, Version};
use mainstem::core::value::Row;
use mainstem::error::{Error, Result};
use mainstem::primary::{Acquaintance, Cursor, Description, Pages, Primary, Pull, Pushed, RowVisitor, SnapshotSink, SnapshotStart};
use rusqlite::Connection;

/// Answers as a primary does whose row changes up to `horizon` are gone.
pub struct Forgetful {
    inner: Box<dyn Primary>,
    horizon: u64,
    /// A snapshot breaks off after so many calls.
    pub breaks_after: Option<usize>,
}

impl Forgetful {
    /// Removes what the primary knows of versions up to `horizon`.
    pub fn new(team: &Team, horizon: u64) -> Forgetful {
        let db = Connection::open(team.primary_db()).unwrap();
        db.execute("DELETE FROM mainstem_touch WHERE version <= ?1", [horizon as i64]).unwrap();
        db.execute("DELETE FROM mainstem_page WHERE version <= ?1", [horizon as i64]).unwrap();
        Forgetful { inner: team.primary(), horizon, breaks_after: None }
    }
    fn check(&self, version: u64) -> Result<()> {
        match version < self.horizon {
            true => Err(Error::new(ErrorKind::Conflict, "behind_horizon", format!("version {version} is behind the horizon"))),
            false => Ok(()),
        }
    }
}

struct Breaking<'a> {
    sink: &'a mut dyn SnapshotSink,
    left: usize,
}

impl SnapshotSink for Breaking<'_> {
    fn begin(&mut self, start: &SnapshotStart) -> Result<()> {
        self.sink.begin(start)
    }
    fn rows(&mut self, table: usize, rows: &[Row]) -> Result<()> {
        if self.left == 0 {
            return Err(Error::new(ErrorKind::Unavailable, "line", "the line went dead"));
        }
        self.left -= 1;
        self.sink.rows(table, rows)
    }
}

impl Primary for Forgetful {
    fn describe(&mut self) -> Result<Description> {
        Ok(Description { horizon: self.horizon, ..self.inner.describe()? })
    }
    fn push(&mut self, known: &Acquaintance, front: &Front, pages: &mut dyn Pages) -> Result<Pushed> {
        if self.inner.version_hash(known.version)? == Some(known.hash) {
            self.check(known.version.min(front.header.base_version))?;
        }
        self.inner.push(known, front, pages)
    }
    fn pull(&mut self, known: &Acquaintance, from: Cursor, bytes_max: usize) -> Result<Pull> {
        if self.inner.version_hash(known.version)? == Some(known.hash) {
            self.check(known.version)?;
        }
        self.inner.pull(known, from, bytes_max)
    }
    fn snapshot(&mut self, sink: &mut dyn SnapshotSink) -> Result<()> {
        struct Told<'a>(&'a mut dyn SnapshotSink, u64);
        impl SnapshotSink for Told<'_> {
            fn begin(&mut self, start: &SnapshotStart) -> Result<()> {
                let mut start = start.clone();
                start.description.horizon = self.1;
                self.0.begin(&start)
            }
            fn rows(&mut self, table: usize, rows: &[Row]) -> Result<()> {
                self.0.rows(table, rows)
            }
        }
        let mut told = Told(sink, self.horizon);
        match self.breaks_after {
            Some(left) => self.inner.snapshot(&mut Breaking { sink: &mut told, left }),
            None => self.inner.snapshot(&mut told),
        }
    }
    fn find_write(&mut self, write_id: u128) -> Result<Option<u64>> {
        self.inner.find_write(write_id)
    }
    fn version_hash(&mut self, version: u64) -> Result<Option<Digest>> {
        self.inner.version_hash(version)
    }
    fn version(&mut self, version: u64) -> Result<Option<Version>> {
        self.inner.version(version)
    }
    fn page(&mut self, version: u64, page: u64) -> Result<Option<Vec<u8>>> {
        self.inner.page(version, page)
    }
    fn rows(&mut self, table: &str, version: u64, visit: RowVisitor<'_>) -> Result<()> {
        self.check(version)?;
        self.inner.rows(table, version, visit)
    }
    fn conflicts(&mut self, open_only: bool) -> Result<Vec<Conflict>> {
        self.inner.conflicts(open_only)
    }
    fn begin_epoch(&mut self, known: &Acquaintance, actor: &str) -> Result<u128> {
        self.inner.begin_epoch(known, actor)
    }
    fn set_policy(&mut self, text: &str, actor: &str) -> Result<()> {
        self.inner.set_policy(text, actor)
    }
}
