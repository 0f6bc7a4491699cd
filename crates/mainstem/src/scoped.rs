//! A primary that shows a part of another: what a replica asked for, within what it may see.
//!
//! Invariant: every answer goes through the scope, and what is hidden is answered as what is absent.
//! Invariant: what is sent through it is merged by the whole primary, with all rows.
//! Deliberately absent: who may see what; whoever opens the primary says so.
mod past;
mod pushing;
mod reducing;
mod reviewing;
mod seeing;
mod telling;
mod view;

use crate::audit::{Finding, Findings, Link, Subject};
use crate::cleanup::{Cleanup, Rehearsal};
use crate::error::{Error, Result};
use crate::history::{Blame, RowHistory, RowPlace};
use crate::ledger::{Head, Touch};
use crate::local::other_scope;
use crate::primary::{
    Acquaintance, Cursor, Deleted, Description, Had, Item, KnownReplica, Pages, Primary, Pull, Pushed, RowVisitor, Seen, SnapshotSink,
    SnapshotStart,
};
use crate::tombstones::{Tombstone, Wanted};
use mainstem_core::ErrorKind;
use mainstem_core::change::Front;
use mainstem_core::chronicle::{Chronicle, TableId};
use mainstem_core::conflict::Conflict;
use mainstem_core::event::{Digest, Event, Version};
use mainstem_core::format::event;
use mainstem_core::schema::Schema;
use mainstem_core::scope::Scope;
use mainstem_core::value::{Key, Row};
use reducing::Digests;
use std::collections::{HashMap, HashSet};
use std::ops::DerefMut;
use std::sync::Arc;
use telling::{Lenses, Tally, concerns};
use view::View;

/// How often a snapshot begins anew because others wrote while its digests were made.
const SNAPSHOT_TRIES_MAX: usize = 32;
/// What ends a snapshot that began at another version than was counted.
const MOVED_ON: &str = "moved_on";

/// A primary as a replica of a part sees it, over any pointer to the whole.
pub struct Scoped<P> {
    primary: P,
    asked: Scope,
    permitted: Scope,
    view: Option<Arc<View>>,
    tallies: HashMap<TableId, Tally>,
    repeated: Option<Repeated>,
}

/// The rows that one version, by number and hash, writes more than once.
type Repeated = ((u64, Digest), Arc<HashSet<u64>>);

impl<P> Scoped<P> {
    /// Shows what was asked for, as far as it is permitted.
    pub fn new(primary: P, asked: Scope, permitted: Scope) -> Self {
        Scoped { primary, asked, permitted, view: None, tallies: HashMap::new(), repeated: None }
    }
}

impl<P: DerefMut<Target: Primary>> Scoped<P> {
    /// The scope in terms of the dataset as it is now.
    fn view(&mut self) -> Result<Arc<View>> {
        let chronicle = self.primary.chronicle()?;
        if let Some(view) = self.view.as_ref().filter(|view| view.chronicle == chronicle) {
            return Ok(view.clone());
        }
        let schema = self.primary.schema()?;
        let view = Arc::new(View::new(&self.asked, &self.permitted, chronicle, &schema)?);
        self.tallies.clear();
        self.repeated = None;
        self.view = Some(view.clone());
        Ok(view)
    }

    /// A version in full; none where there is none.
    fn whole(&mut self, version: u64) -> Result<Version> {
        self.primary.version(version)?.ok_or_else(|| Error::corrupt(format!("version {version} is missing in the ledger")))
    }

    /// Refuses what only somebody who sees everything can do.
    fn check_whole(&mut self, what: &str) -> Result<()> {
        match self.view()?.is_restricted {
            false => Ok(()),
            true => Err(Error::new(ErrorKind::Denied, "partial", format!("{what} is for whoever sees the whole dataset"))),
        }
    }

    fn tell_items(&mut self, view: &View, from: Cursor, items: Vec<Item>) -> Result<Vec<Item>> {
        let mut told = Vec::with_capacity(items.len());
        // A pull that goes on within a version begins with a page of it.
        let mut version = if from.page > 0 { Some(self.whole(from.version)?) } else { None };
        for item in items {
            match item {
                Item::Version(bytes, hash) => {
                    let Event::Version(whole) = event::decode(&bytes)? else {
                        return Err(Error::corrupt("a version's event is none"));
                    };
                    if whole.schema.iter().any(|step| concerns(view, whole.version, step)) {
                        return Err(other_scope());
                    }
                    let reduced = self.reduce(view, whole.clone(), Digests::Known)?;
                    told.push(Item::Version(event::encode(&Event::Version(reduced)), hash));
                    version = Some(whole);
                }
                Item::Page(bytes) => {
                    let of = version.as_ref().ok_or_else(|| Error::corrupt("a page comes without its version"))?;
                    told.push(Item::Page(self.told_page(view, of, &bytes)?));
                }
                // They are for whoever checks the chain, which nobody can on a part.
                Item::Event(..) => {}
            }
        }
        Ok(told)
    }

    fn told_page(&mut self, view: &View, version: &Version, bytes: &[u8]) -> Result<Vec<u8>> {
        let lenses = Lenses::new(view, version);
        Ok(self.tell_page(view, version, &lenses, bytes, &mut |_, _, _, _| {})?.0)
    }

    /// The rows of a visible table's keys as they were, those that are hidden left out.
    fn shown_rows(&mut self, view: &View, table: &str, keys: &[Key], version: u64) -> Result<Vec<Option<Row>>> {
        let then = view.table(table, version)?.clone();
        let eye = view.eye_of(&then);
        let rows = self.primary.rows_of(&then.name, keys, version)?;
        Ok(rows.into_iter().map(|row| row.filter(|row| eye.as_ref().is_some_and(|eye| eye.sees(row)))).collect())
    }

    /// What a snapshot of the part begins with. The digests are known for the version `at`.
    fn start(&mut self, view: &View, start: &SnapshotStart) -> Result<SnapshotStart> {
        let mut description = start.description.clone();
        description.policy = view.policy(&description.policy)?;
        description.tables = self.digests(view, description.head.version, &description.tables)?;
        description.scope = view.mark;
        let head = self.reduce(view, start.head.clone(), Digests::All)?;
        let mut conflicts = Vec::new();
        for conflict in &start.conflicts {
            if self.shows_conflict(view, conflict)? {
                conflicts.push(conflict.clone());
            }
        }
        let mut waiting = Vec::new();
        for (bytes, hash, change) in &start.waiting {
            let Event::Version(version) = event::decode(bytes)? else { return Err(Error::corrupt("a version's event is none")) };
            let told = self.waiting(view, &version, &Lenses::new(view, &version), change)?;
            if let Some(told) = told {
                let reduced = self.reduce(view, version, Digests::Known)?;
                waiting.push((event::encode(&Event::Version(reduced)), *hash, told));
            }
        }
        let schema = view.schema(u64::MAX, &start.schema);
        Ok(SnapshotStart { description, schema, head, hash: start.hash, recent: start.recent.clone(), conflicts, waiting })
    }
}

/// What a snapshot of everything begins with, without the rest.
struct Beginning(Option<SnapshotStart>);

impl SnapshotSink for Beginning {
    fn begin(&mut self, start: &SnapshotStart) -> Result<()> {
        self.0 = Some(start.clone());
        Err(Error::new(ErrorKind::Unavailable, MOVED_ON, "only the beginning was wanted"))
    }
    fn rows(&mut self, _: usize, _: &[Row]) -> Result<()> {
        Ok(())
    }
}

/// Passes on what is shown of a snapshot.
struct Part<'s> {
    view: &'s View,
    /// What was counted, and is passed on where nothing has changed since.
    start: SnapshotStart,
    sink: &'s mut dyn SnapshotSink,
    /// For each table of the whole, its place in the part.
    places: Vec<Option<usize>>,
    schema: Schema,
    /// Pages that are had already of what is shown.
    had: u64,
}

impl Part<'_> {
    fn send(&mut self, table: usize, rows: &[Row]) -> Result<()> {
        match self.had.checked_sub(1) {
            Some(left) => {
                self.had = left;
                Ok(())
            }
            None => self.sink.rows(table, rows),
        }
    }
}

impl SnapshotSink for Part<'_> {
    fn begin(&mut self, start: &SnapshotStart) -> Result<()> {
        if start.description.head != self.start.description.head {
            return Err(Error::new(ErrorKind::Unavailable, MOVED_ON, "others wrote meanwhile"));
        }
        let place = |name: &str| self.start.schema.tables.iter().position(|table| table.name == *name);
        self.places = start.schema.tables.iter().map(|table| place(&table.name)).collect();
        self.schema = start.schema.clone();
        self.had = Had::of(self.sink.had(), &start.hash);
        self.sink.begin(&self.start)
    }
    fn rows(&mut self, table: usize, rows: &[Row]) -> Result<()> {
        let Some(place) = self.places.get(table).copied().flatten() else { return Ok(()) };
        let shape = crate::lane::shape_of(&self.schema.tables[table]);
        let Some((eye, _)) = self.view.eye(u64::MAX, &shape) else { return Ok(()) };
        if eye.sees_all() {
            return self.send(place, rows);
        }
        let shown: Vec<Row> = rows.iter().filter(|row| eye.sees(row)).cloned().collect();
        if shown.is_empty() { Ok(()) } else { self.send(place, &shown) }
    }
}

impl<P: DerefMut<Target: Primary>> Primary for Scoped<P> {
    fn describe(&mut self) -> Result<Description> {
        let view = self.view()?;
        let mut described = self.primary.describe()?;
        described.scope = view.mark;
        if !view.is_whole {
            described.tables = self.digests(&view, described.head.version, &described.tables)?;
            described.policy = view.policy(&described.policy)?;
        }
        Ok(described)
    }

    fn wait(&mut self, known: &Head, timeout_ms: u64) -> Result<Head> {
        self.primary.wait(known, timeout_ms)
    }

    fn push(&mut self, known: &Acquaintance, front: &Front, pages: &mut dyn Pages) -> Result<Pushed> {
        let view = self.view()?;
        let known = Acquaintance { scope: Digest::default(), ..*known };
        // What was accepted is recognised whatever became of the scope since.
        if view.is_whole || self.primary.find_write(front.header.write_id)?.is_some() {
            return self.primary.push(&known, front, pages);
        }
        self.check_front(&view, front)?;
        let rows = self.outside(&view, front, pages)?;
        if !rows.is_empty() {
            return Ok(Pushed::Outside { rows });
        }
        let resolutions = self.answers(&view, front)?;
        self.primary.push(&known, &Front { is_partial: true, resolutions, ..front.clone() }, pages)
    }

    fn pull(&mut self, known: &Acquaintance, from: Cursor, bytes_max: usize) -> Result<Pull> {
        let view = self.view()?;
        let mut pull = self.primary.pull(&Acquaintance { scope: Digest::default(), ..*known }, from, bytes_max)?;
        if known.scope != view.mark {
            return Err(other_scope());
        }
        if !view.is_whole {
            pull.items = self.tell_items(&view, from, std::mem::take(&mut pull.items))?;
            pull.scope = view.mark;
            pull.policy = view.policy(&pull.policy)?;
        }
        Ok(pull)
    }

    fn snapshot(&mut self, sink: &mut dyn SnapshotSink) -> Result<()> {
        for _ in 0..SNAPSHOT_TRIES_MAX {
            let view = self.view()?;
            if view.is_whole {
                return self.primary.snapshot(sink);
            }
            let mut beginning = Beginning(None);
            match self.primary.snapshot(&mut beginning) {
                Err(e) if e.code != MOVED_ON => return Err(e),
                _ => {}
            }
            let start = beginning.0.ok_or_else(|| Error::corrupt("the primary did not say what it is"))?;
            let start = self.start(&view, &start)?;
            let mut part = Part { view: &view, start, sink, places: Vec::new(), schema: Schema::default(), had: 0 };
            match self.primary.snapshot(&mut part) {
                Err(e) if e.code == MOVED_ON => {}
                done => return done,
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "busy", "others write faster than a snapshot can begin").hint("mainstem sync, again"))
    }

    fn find_write(&mut self, write_id: u128) -> Result<Option<u64>> {
        self.primary.find_write(write_id)
    }

    fn version_hash(&mut self, version: u64) -> Result<Option<Digest>> {
        self.primary.version_hash(version)
    }

    fn version(&mut self, version: u64) -> Result<Option<Version>> {
        let view = self.view()?;
        let found = self.primary.version(version)?;
        if view.is_whole {
            return Ok(found);
        }
        found.map(|whole| self.reduce_old(&view, whole)).transpose()
    }

    fn page(&mut self, version: u64, page: u64) -> Result<Option<Vec<u8>>> {
        let view = self.view()?;
        let found = self.primary.page(version, page)?;
        match found {
            Some(bytes) if !view.is_whole => {
                let whole = self.whole(version)?;
                self.told_page(&view, &whole, &bytes).map(Some)
            }
            found => Ok(found),
        }
    }

    fn rows(&mut self, table: &str, version: u64, visit: RowVisitor<'_>) -> Result<()> {
        let view = self.view()?;
        let head = self.primary.describe()?.head.version;
        if view.is_whole || version == 0 || version > head {
            return self.primary.rows(table, version, visit);
        }
        let then = view.table(table, version)?.clone();
        let Some(eye) = view.eye_of(&then) else { return Ok(()) };
        self.primary.rows(&then.name, version, &mut |names, row| if eye.sees(row) { visit(names, row) } else { Ok(()) })
    }

    fn rows_of(&mut self, table: &str, keys: &[Key], version: u64) -> Result<Vec<Option<Row>>> {
        let view = self.view()?;
        if view.is_whole { self.primary.rows_of(table, keys, version) } else { self.shown_rows(&view, table, keys, version) }
    }

    fn schema(&mut self) -> Result<Schema> {
        let view = self.view()?;
        let schema = self.primary.schema()?;
        Ok(if view.is_whole { schema } else { view.schema(u64::MAX, &schema) })
    }

    fn row_history(&mut self, from: &RowPlace, limit: usize) -> Result<RowHistory> {
        let view = self.view()?;
        if view.is_whole { self.primary.row_history(from, limit) } else { self.told_history(&view, from, limit) }
    }

    fn touches(&mut self, row: &RowPlace, after: u64) -> Result<Vec<Touch>> {
        let view = self.view()?;
        if view.is_whole { self.primary.touches(row, after) } else { self.told_touches(&view, row, after) }
    }

    fn blame(&mut self, place: &RowPlace) -> Result<Blame> {
        let view = self.view()?;
        if view.is_whole { self.primary.blame(place) } else { self.told_blame(&view, place) }
    }

    fn events(&mut self, after: u64, bytes_max: usize) -> Result<Vec<Link>> {
        let view = self.view()?;
        let mut links = self.primary.events(after, bytes_max)?;
        if !view.is_whole {
            for link in &mut links {
                let told = self.reduce_event(&view, event::decode(&link.bytes)?)?;
                link.bytes = event::encode(&told);
            }
        }
        Ok(links)
    }

    fn examine(&mut self, findings: Findings<'_>) -> Result<u64> {
        let view = self.view()?;
        if !view.is_restricted {
            return self.primary.examine(findings);
        }
        // That something is wrong is said; what it is, only to those who see everything.
        let mut is_sound = true;
        self.primary.examine(&mut |_| {
            is_sound = false;
            Ok(())
        })?;
        if !is_sound {
            let what = "the primary is not what it should be; whoever sees all of it can say what is wrong".to_owned();
            findings(Finding { subject: Subject::Rows, position: None, version: None, what })?;
        }
        Ok(self.describe()?.tables.iter().map(|table| table.rows).sum())
    }

    fn chronicle(&mut self) -> Result<Chronicle> {
        Ok(self.view()?.visible.clone())
    }

    fn conflicts(&mut self, open_only: bool) -> Result<Vec<Conflict>> {
        let view = self.view()?;
        if view.is_whole { self.primary.conflicts(open_only) } else { self.shown_conflicts(&view, open_only) }
    }

    fn begin_epoch(&mut self, known: &Acquaintance, actor: &str) -> Result<u128> {
        self.primary.begin_epoch(&Acquaintance { scope: Digest::default(), ..*known }, actor)
    }

    fn set_policy(&mut self, text: &str, actor: &str) -> Result<()> {
        self.check_whole("the policy")?;
        self.primary.set_policy(text, actor)
    }

    fn seen(&mut self, known: &Acquaintance, seen: &Seen) -> Result<()> {
        self.primary.seen(&Acquaintance { scope: Digest::default(), ..*known }, seen)
    }

    fn replicas(&mut self) -> Result<Vec<KnownReplica>> {
        self.primary.replicas()
    }

    fn tombstones(&mut self, wanted: &Wanted, visit: &mut dyn FnMut(&Tombstone) -> Result<()>) -> Result<()> {
        let view = self.view()?;
        if view.is_whole { self.primary.tombstones(wanted, visit) } else { self.told_tombstones(&view, wanted, visit) }
    }

    fn deleted_since(&mut self, table: &str, keys: &[Key], after: u64) -> Result<Vec<Deleted>> {
        let view = self.view()?;
        if view.is_whole { self.primary.deleted_since(table, keys, after) } else { self.told_deleted(&view, table, keys, after) }
    }

    fn cleanup(&mut self, actor: &str, rehearsal: Rehearsal) -> Result<Cleanup> {
        self.check_whole("a cleanup")?;
        self.primary.cleanup(actor, rehearsal)
    }
}
