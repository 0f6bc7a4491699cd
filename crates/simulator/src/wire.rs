//! A primary whose calls go wrong: requests and answers are lost, or a request arrives twice.
use crate::tape::Loss;
use mainstem::cleanup::{Cleanup, Rehearsal};
use mainstem::core::ErrorKind;
use mainstem::core::change::Front;
use mainstem::core::chronicle::Chronicle;
use mainstem::core::conflict::Conflict;
use mainstem::core::event::{Digest, Version};
use mainstem::error::{Error, Result};
use mainstem::history::{Blame, RowHistory, RowPlace};
use mainstem::primary::{Acquaintance, Cursor, Description, KnownReplica, Pages, Primary, Pull, Pushed, RowVisitor, Seen, SnapshotSink};
use mainstem::tombstones::{Tombstone, Wanted};

/// A primary behind a wire.
pub struct Wire<'a> {
    /// The primary itself.
    pub inner: &'a mut dyn Primary,
    /// The call that goes wrong, from zero.
    pub at: usize,
    /// How.
    pub loss: Loss,
    /// Calls made so far.
    pub calls: usize,
}

impl Wire<'_> {
    fn call<T>(&mut self, mut effect: impl FnMut(&mut dyn Primary) -> Result<T>) -> Result<T> {
        let is_wrong = self.calls == self.at;
        self.calls += 1;
        if !is_wrong {
            return effect(self.inner);
        }
        let lost = || Error::new(ErrorKind::Unavailable, "wire", "the wire was cut");
        match self.loss {
            Loss::Request => Err(lost()),
            Loss::Answer => effect(self.inner).and_then(|_| Err(lost())),
            Loss::Double => effect(self.inner).and_then(|_| effect(self.inner)),
        }
    }
}

impl Primary for Wire<'_> {
    fn describe(&mut self) -> Result<Description> {
        self.inner.describe()
    }
    fn push(&mut self, known: &Acquaintance, front: &Front, pages: &mut dyn Pages) -> Result<Pushed> {
        self.call(|primary| {
            pages.rewind()?;
            primary.push(known, front, pages)
        })
    }
    fn pull(&mut self, known: &Acquaintance, from: Cursor, bytes_max: usize) -> Result<Pull> {
        self.call(|primary| primary.pull(known, from, bytes_max))
    }
    fn snapshot(&mut self, sink: &mut dyn SnapshotSink) -> Result<()> {
        self.inner.snapshot(sink)
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
        self.inner.rows(table, version, visit)
    }
    fn conflicts(&mut self, open_only: bool) -> Result<Vec<Conflict>> {
        self.inner.conflicts(open_only)
    }
    fn set_policy(&mut self, text: &str, actor: &str) -> Result<()> {
        self.inner.set_policy(text, actor)
    }
    fn row_history(&mut self, from: &RowPlace, limit: usize) -> Result<RowHistory> {
        self.inner.row_history(from, limit)
    }
    fn blame(&mut self, place: &RowPlace) -> Result<Blame> {
        self.inner.blame(place)
    }
    fn chronicle(&mut self) -> Result<Chronicle> {
        self.inner.chronicle()
    }
    fn seen(&mut self, known: &Acquaintance, seen: &Seen) -> Result<()> {
        self.inner.seen(known, seen)
    }
    fn replicas(&mut self) -> Result<Vec<KnownReplica>> {
        self.inner.replicas()
    }
    fn tombstones(&mut self, wanted: &Wanted, visit: &mut dyn FnMut(&Tombstone) -> Result<()>) -> Result<()> {
        self.inner.tombstones(wanted, visit)
    }
    fn cleanup(&mut self, actor: &str, rehearsal: Rehearsal) -> Result<Cleanup> {
        self.inner.cleanup(actor, rehearsal)
    }
}
