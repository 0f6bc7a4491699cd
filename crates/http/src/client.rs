//! A primary on a server, as its replica sees it.
//!
//! Invariant: every call may be repeated, so one that got no whole answer is an error of kind Unavailable and no more.
mod account;
mod line;
mod review;
mod taking;
mod trust;
mod way;

pub use account::HttpAccounts;
pub use line::Patience;
pub use trust::{Trust, shown_by};
pub use way::Ways;

use crate::address::Address;
use crate::spool::Spool;
use crate::wire::call::Call;
use crate::wire::frame::{FrameReader, FrameWriter, broken};
use crate::wire::{Bytes, Wire, resume, scope};
use line::Line;
use mainstem::audit::{Findings, Link};
use mainstem::cleanup::{Cleanup, Rehearsal};
use mainstem::core::change::Front;
use mainstem::core::chronicle::Chronicle;
use mainstem::core::conflict::Conflict;
use mainstem::core::event::{Digest, Version};
use mainstem::core::format::page;
use mainstem::core::schema::Schema;
use mainstem::core::scope::Scope;
use mainstem::core::value::{Key, Row};
use mainstem::datasets::Place;
use mainstem::error::Result;
use mainstem::history::{Blame, RowHistory, RowPlace};
use mainstem::ledger::{Head, Touch};
use mainstem::local::{Fill, Founding};
use mainstem::primary::{
    Acquaintance, Cursor, Deleted, Description, KnownReplica, Pages, Primary, Pull, Pushed, RowVisitor, Seen, SnapshotSink,
};
use mainstem::tombstones::{Tombstone, Wanted};
use taking::Taking;

/// How long one request waits for news.
pub const WAIT_MS_MAX: u64 = 25_000;

/// An answer, or a part of one. What cannot be read as such is somebody else's, or an answer to something else: that is the
/// line's fault, and no damage of a primary.
fn heard<T: Wire>(bytes: &[u8]) -> Result<T> {
    T::from_bytes("an answer", bytes).map_err(|e| broken(e.to_string()))
}

/// Rows sent at once when a dataset is published.
const ROWS_AT_ONCE: usize = 1_000;

/// A dataset's primary on a server.
pub struct HttpPrimary {
    line: Line,
}

impl HttpPrimary {
    /// The primary at an address, spoken to with a token. Nothing is sent yet.
    pub fn new(address: Address, token: Option<String>, patience: Patience) -> Result<HttpPrimary> {
        Ok(HttpPrimary { line: Line::new(address, token, patience)? })
    }
    /// The same, believing that.
    pub fn trusting(mut self, trust: Trust) -> HttpPrimary {
        self.line.trust = trust;
        self
    }

    /// The same, asking for a part of the dataset; the server shows no more.
    pub fn asking(mut self, scope: &Scope) -> HttpPrimary {
        self.line.scope = (!scope.is_everything()).then(|| scope::put(scope));
        self
    }

    /// Asks something, hands each frame of the answer before the last to `part`, and gives back the last.
    fn ask_in_parts<A: Wire, T: Wire>(&mut self, call: Call, ask: &A, part: &mut dyn FnMut(Vec<u8>) -> Result<()>) -> Result<T> {
        let mut request = FrameWriter::new(Spool::new(u64::MAX))?;
        request.frame(&ask.to_bytes())?;
        self.send(call, request.end()?, part)
    }
    fn send<T: Wire>(&mut self, call: Call, request: Spool, part: &mut dyn FnMut(Vec<u8>) -> Result<()>) -> Result<T> {
        let mut answer = FrameReader::new(self.line.post(call.name(), request)?);
        let mut last = answer.wanted()?;
        while let Some(next) = answer.frame()? {
            part(std::mem::replace(&mut last, next))?;
        }
        drop(answer);
        heard(&last)
    }
    fn ask<A: Wire, T: Wire>(&mut self, call: Call, ask: &A) -> Result<T> {
        self.ask_in_parts(call, ask, &mut |_| Err(broken("it has more in it than the answer")))
    }
    /// Asks for many things, each in a frame of its own.
    fn ask_each<A: Wire, T: Wire>(&mut self, call: Call, ask: &A, visit: &mut dyn FnMut(T) -> Result<()>) -> Result<()> {
        self.ask_in_parts(call, ask, &mut |frame| visit(heard(&frame)?))
    }
    fn ask_all<A: Wire, T: Wire>(&mut self, call: Call, ask: &A) -> Result<Vec<T>> {
        let mut all = Vec::new();
        self.ask_each(call, ask, &mut |one| {
            all.push(one);
            Ok(())
        })?;
        Ok(all)
    }
}

impl Primary for HttpPrimary {
    fn describe(&mut self) -> Result<Description> {
        self.ask(Call::Describe, &())
    }
    fn wait(&mut self, known: &Head, timeout_ms: u64) -> Result<Head> {
        let mut left_ms = timeout_ms;
        loop {
            // Longer silence is cut by what is between here and there.
            let now_ms = left_ms.min(WAIT_MS_MAX);
            let head = self.ask(Call::Wait, &(*known, now_ms))?;
            left_ms -= now_ms;
            if head != *known || left_ms == 0 {
                return Ok(head);
            }
        }
    }
    fn push(&mut self, known: &Acquaintance, front: &Front, pages: &mut dyn Pages) -> Result<Pushed> {
        let mut request = FrameWriter::new(Spool::new(u64::MAX))?;
        request.frame(&(*known, front.clone()).to_bytes())?;
        while let Some(changes) = pages.next()? {
            request.frame(&page::encode(&front.shapes, &changes))?;
        }
        self.send(Call::Push, request.end()?, &mut |_| Err(broken("it has more in it than the answer")))
    }
    fn pull(&mut self, known: &Acquaintance, from: Cursor, bytes_max: usize) -> Result<Pull> {
        self.ask(Call::Pull, &(*known, from, bytes_max))
    }
    fn snapshot(&mut self, sink: &mut dyn SnapshotSink) -> Result<()> {
        let mut taking = Taking::new(sink);
        loop {
            self.line.resume = taking.had().as_ref().map(resume::put);
            let asked = self.ask_in_parts(Call::Snapshot, &(), &mut |frame| taking.take(frame, &heard, &heard));
            self.line.resume = None;
            match asked {
                Err(e) => self.line.rest(taking.pause(&e).ok_or(e)?),
                Ok(()) if taking.is_begun() => return Ok(()),
                Ok(()) => return Err(broken("a snapshot has no beginning")),
            }
        }
    }
    fn find_write(&mut self, write_id: u128) -> Result<Option<u64>> {
        self.ask(Call::FindWrite, &write_id)
    }
    fn version_hash(&mut self, version: u64) -> Result<Option<Digest>> {
        self.ask(Call::VersionHash, &version)
    }
    fn version(&mut self, version: u64) -> Result<Option<Version>> {
        self.ask(Call::Version, &version)
    }
    fn page(&mut self, version: u64, page: u64) -> Result<Option<Vec<u8>>> {
        let page: Option<Bytes> = self.ask(Call::Page, &(version, page))?;
        Ok(page.map(|bytes| bytes.0))
    }
    fn rows(&mut self, table: &str, version: u64, visit: RowVisitor<'_>) -> Result<()> {
        self.ask_each(Call::Rows, &(table.to_string(), version), &mut |(columns, rows): (Vec<String>, Vec<Row>)| {
            rows.iter().try_for_each(|row| visit(&columns, row))
        })
    }
    fn rows_of(&mut self, table: &str, keys: &[Key], version: u64) -> Result<Vec<Option<Row>>> {
        self.ask_all(Call::RowsOf, &(table.to_string(), keys.to_vec(), version))
    }
    fn schema(&mut self) -> Result<Schema> {
        self.ask(Call::Schema, &())
    }
    fn row_history(&mut self, from: &RowPlace, limit: usize) -> Result<RowHistory> {
        self.ask(Call::RowHistory, &(from.clone(), limit))
    }
    fn touches(&mut self, row: &RowPlace, after: u64) -> Result<Vec<Touch>> {
        self.ask(Call::Touches, &(row.clone(), after))
    }
    fn blame(&mut self, place: &RowPlace) -> Result<Blame> {
        self.ask(Call::Blame, place)
    }
    fn events(&mut self, after: u64, bytes_max: usize) -> Result<Vec<Link>> {
        self.ask_all(Call::Events, &(after, bytes_max))
    }
    fn examine(&mut self, findings: Findings<'_>) -> Result<u64> {
        self.ask_in_parts(Call::Examine, &(), &mut |frame| findings(heard(&frame)?))
    }
    fn chronicle(&mut self) -> Result<Chronicle> {
        self.ask(Call::Chronicle, &())
    }
    fn conflicts(&mut self, open_only: bool) -> Result<Vec<Conflict>> {
        self.ask_all(Call::Conflicts, &open_only)
    }
    fn begin_epoch(&mut self, known: &Acquaintance, actor: &str) -> Result<u128> {
        self.ask(Call::BeginEpoch, &(*known, actor.to_string()))
    }
    fn set_policy(&mut self, text: &str, actor: &str) -> Result<()> {
        self.ask(Call::SetPolicy, &(text.to_string(), actor.to_string()))
    }
    fn seen(&mut self, known: &Acquaintance, seen: &Seen) -> Result<()> {
        self.ask(Call::Seen, &(*known, seen.clone()))
    }
    fn replicas(&mut self) -> Result<Vec<KnownReplica>> {
        self.ask_all(Call::Replicas, &())
    }
    fn tombstones(&mut self, wanted: &Wanted, visit: &mut dyn FnMut(&Tombstone) -> Result<()>) -> Result<()> {
        self.ask_each(Call::Tombstones, wanted, &mut |tombstone| visit(&tombstone))
    }
    fn deleted_since(&mut self, table: &str, keys: &[Key], after: u64) -> Result<Vec<Deleted>> {
        self.ask_all(Call::DeletedSince, &(table.to_string(), keys.to_vec(), after))
    }
    fn cleanup(&mut self, actor: &str, rehearsal: Rehearsal) -> Result<Cleanup> {
        self.ask(Call::Cleanup, &(actor.to_string(), rehearsal))
    }
}

/// A name on a server, where a dataset is or will be.
pub struct HttpPlace {
    address: Address,
    token: Option<String>,
    patience: Patience,
    trust: Trust,
}

impl HttpPlace {
    /// That address, spoken to with a token.
    pub fn new(address: Address, token: Option<String>, patience: Patience) -> Self {
        HttpPlace { address, token, patience, trust: Trust::default() }
    }
    /// The same, believing that.
    pub fn trusting(mut self, trust: Trust) -> HttpPlace {
        self.trust = trust;
        self
    }
    fn primary(&self) -> Result<HttpPrimary> {
        Ok(HttpPrimary::new(self.address.clone(), self.token.clone(), self.patience)?.trusting(self.trust.clone()))
    }
}

impl Place for HttpPlace {
    fn address(&self) -> Result<String> {
        Ok(self.address.to_string())
    }
    fn open(&mut self) -> Result<Box<dyn Primary>> {
        let mut primary = self.primary()?;
        primary.describe()?;
        Ok(Box::new(primary))
    }
    fn found(&mut self, founding: &Founding<'_>, fill: Fill<'_>) -> Result<()> {
        let mut request = FrameWriter::new(Spool::new(u64::MAX))?;
        let (dataset, actor, policy) = (founding.dataset.to_string(), founding.actor.to_string(), founding.policy.to_string());
        request.frame(&((dataset, actor, policy), founding.schema.clone(), founding.lineage).to_bytes())?;
        let mut rows: (usize, Vec<Row>) = (0, Vec::new());
        fill(&mut |table, row| {
            if rows.0 != table || rows.1.len() == ROWS_AT_ONCE {
                request.frame(&std::mem::take(&mut rows).to_bytes())?;
                rows.0 = table;
            }
            rows.1.push(row.clone());
            Ok(())
        })?;
        request.frame(&rows.to_bytes())?;
        self.primary()?.send(Call::Found, request.end()?, &mut |_| Err(broken("it has more in it than the answer")))
    }
}
