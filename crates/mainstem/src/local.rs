//! The embedded primary: merges what is pushed and answers what is pulled, over any store.
//!
//! Invariant: each call is one transaction over ledger and tables; a crash leaves before or after.
//! Deliberately absent: who may do what (the server's matter), and how rows and events are stored.
mod pages;

use crate::audit::{self, Differing, Findings, Link};
use crate::body::{Body, Digests, Written};
use crate::cleanup::{self, Cleanup, Rehearsal, check_horizon};
use crate::error::{Error, Result};
use crate::history::{self, Blame, RowHistory, RowPlace};
use crate::ledger::{Appended, Head, Ledger};
use crate::policy_text;
use crate::primary::{
    Acquaintance, Cursor, Deleted, Description, Item, KnownReplica, Pages, Primary, Pull, Pushed, Recent, RowVisitor, Seen, SnapshotSink,
    SnapshotStart,
};
use crate::rebase::{Effects, Ground, Outcome, Place, rebase};
use crate::store::{Store, Transaction};
use crate::tables::Wrote;
use crate::tombstones::{self, Tombstone, Wanted};
use crate::wiring::Around;
use mainstem_core::ErrorKind;
use mainstem_core::change::{Front, Header};
use mainstem_core::chronicle::Chronicle;
use mainstem_core::conflict::Conflict;
use mainstem_core::event::{Event, Genesis, PolicySet, Renumbered, Restored, Version, Waiting};
use mainstem_core::format::event as event_format;
use mainstem_core::planted::{self, Bug};
use mainstem_core::policy::{Mode, Policy};
use mainstem_core::schema::{Schema, SchemaChange};
use mainstem_core::stamp::{ReplicaId, Time};
use mainstem_core::three_way::Touch;
use mainstem_core::value::{Key, Row};
use pages::{Checked, OnePage};

/// Rows that a snapshot hands over at once.
const SNAPSHOT_ROWS: usize = 1_000;
/// Versions before its own that a snapshot names.
const RECENT_MAX: u64 = 1_000;

impl Ground for dyn Transaction + '_ {
    fn touches(&mut self, table: &str, key: &Key, after: u64) -> Result<Vec<Touch>> {
        Ledger::touches(self, table, key, after)
    }
    fn renumbered(&mut self, replica: ReplicaId, after: u64) -> Result<Vec<Renumbered>> {
        Ledger::renumbered(self, replica, after)
    }
    fn steps(&mut self, after: u64) -> Result<Vec<SchemaChange>> {
        Ledger::steps(self, after)
    }
}

/// A primary over a store in this process.
pub struct LocalPrimary<S> {
    store: S,
    around: Around,
}

/// What a new primary begins with.
pub struct Founding<'a> {
    /// The dataset's name.
    pub dataset: &'a str,
    /// Who publishes.
    pub actor: &'a str,
    /// The tables and objects.
    pub schema: &'a Schema,
    /// The policy as TOML.
    pub policy: &'a str,
    /// 128 random bits that name the dataset for ever.
    pub lineage: u128,
}

/// Hands every row of a dataset to the visitor, tables in schema order.
pub type Fill<'a> = &'a mut dyn FnMut(&mut dyn FnMut(usize, &Row) -> Result<()>) -> Result<()>;

impl<S: Store> LocalPrimary<S> {
    /// A primary that exists.
    pub fn new(store: S, around: Around) -> Self {
        LocalPrimary { store, around }
    }

    /// Founds a dataset in an empty store: version 1 is what `fill` hands over.
    pub fn publish(store: S, around: Around, founding: &Founding<'_>, fill: Fill<'_>) -> Result<Self> {
        let mut primary = LocalPrimary { store, around };
        let at = Time::from_ms(primary.around.now_ms());
        let lineage = founding.lineage;
        let mut tx = primary.store.begin()?;
        for table in &founding.schema.tables {
            tx.alter(&SchemaChange::CreateTable { table: table.clone() })?;
        }
        let mut digests = Digests::new(&tx.schema(), &[]);
        fill(&mut |table, row| {
            digests.row(&founding.schema.tables[table], None, Some(row));
            match tx.insert(table, row)? {
                Wrote::Done => Ok(()),
                Wrote::Unique(what) | Wrote::Constraint(what) => {
                    Err(Error::corrupt(format!("a row of {} breaks its own table's rules ({what})", founding.schema.tables[table].name)))
                }
            }
        })?;
        for object in &founding.schema.objects {
            tx.alter(&SchemaChange::PutObject { object: object.clone() })?;
        }
        let genesis = Genesis {
            lineage,
            epoch: primary.around.random(),
            dataset: founding.dataset.to_owned(),
            actor: founding.actor.to_owned(),
            at,
            schema: founding.schema.clone(),
        };
        append(&mut *tx, &Event::Genesis(genesis))?;
        append(&mut *tx, &Event::Policy(PolicySet { text: founding.policy.to_owned(), actor: founding.actor.to_owned(), at }))?;
        let header = Header {
            write_id: primary.around.random(),
            lineage,
            replica: ReplicaId(lineage),
            sequence: 1,
            actor: founding.actor.to_owned(),
            title: Some("published".into()),
            at,
            ..Header::default()
        };
        let first = Version { version: 1, header, accepted_at: at, tables: digests.list(), ..Version::default() };
        append(&mut *tx, &Event::Version(first))?;
        tx.watch()?;
        tx.commit()?;
        Ok(primary)
    }

    /// Begins a new epoch, for a store that was put back to an older copy: `from` says which.
    pub fn restored(&mut self, from: &str, actor: &str) -> Result<Restored> {
        let mut tx = self.store.begin()?;
        let restored = restore_in(&mut *tx, &self.around, from, actor)?;
        tx.commit()?;
        Ok(restored)
    }

    /// Throws everything away that is folded from events and pages, and folds it again, in one transaction. Returns how it
    /// differed, and says where stored rows, which no fold brings back, are not what they were.
    pub fn rebuild(&mut self, findings: Findings<'_>) -> Result<Vec<Differing>> {
        let mut tx = self.store.begin()?;
        let differing = tx.rebuild()?;
        tx.commit()?;
        self.absorb()?;
        audit::check_rows(&mut *self.store.begin_read()?, findings)?;
        Ok(differing)
    }

    /// Takes what other programs wrote straight into the tables as a version of its own.
    fn absorb(&mut self) -> Result<()> {
        let mut tx = self.store.begin_read()?;
        if !tx.has_direct()? {
            return Ok(());
        }
        drop(tx);
        let mut tx = self.store.begin()?;
        absorb_in(&mut *tx, &self.around)?;
        tx.commit()
    }
}

pub(crate) fn append(tx: &mut dyn Transaction, event: &Event) -> Result<Head> {
    let head = tx.head()?;
    match tx.append(&head, event)? {
        Appended::Done(head) => Ok(head),
        Appended::Stale(_) => Err(Error::internal("the ledger moved inside a transaction")),
    }
}

fn genesis(tx: &mut dyn Transaction) -> Result<Genesis> {
    let Some((bytes, _)) = tx.event(1)? else { return Err(Error::corrupt("the primary has no first event")) };
    match event_format::decode(&bytes)? {
        Event::Genesis(genesis) => Ok(genesis),
        _ => Err(Error::corrupt("the primary's first event is not its genesis")),
    }
}

fn describe(tx: &mut dyn Transaction) -> Result<Description> {
    let genesis = genesis(tx)?;
    let restored = tx.restored()?;
    Ok(Description {
        dataset: genesis.dataset,
        lineage: genesis.lineage,
        epoch: restored.as_ref().map_or(genesis.epoch, |r| r.epoch),
        head: tx.head()?,
        policy: tx.policy_text()?,
        tables: tx.digests()?,
        restored,
        horizon: tx.horizon()?,
    })
}

fn epoch(tx: &mut dyn Transaction, genesis: &Genesis) -> Result<u128> {
    Ok(tx.restored()?.map_or(genesis.epoch, |r| r.epoch))
}

fn restore_in(tx: &mut dyn Transaction, around: &Around, from: &str, actor: &str) -> Result<Restored> {
    let genesis = genesis(tx)?;
    let restored = Restored {
        epoch: around.random(),
        before: epoch(tx, &genesis)?,
        version: tx.head()?.version,
        from: from.to_owned(),
        actor: actor.to_owned(),
        at: Time::from_ms(around.now_ms()),
    };
    append(tx, &Event::Restored(restored.clone()))?;
    Ok(restored)
}

/// Refuses a replica that belongs elsewhere, or that knows a version this primary never had.
fn check_known(tx: &mut dyn Transaction, known: &Acquaintance) -> Result<()> {
    let genesis = genesis(tx)?;
    if planted::is(Bug::F5) {
        return Ok(());
    }
    if genesis.lineage != known.lineage {
        return Err(Error::new(
            ErrorKind::Conflict,
            "other_lineage",
            format!("the primary holds another dataset ({}); this replica was not cloned from it", genesis.dataset),
        )
        .hint("mainstem clone ADDRESS NEW.db to work on that dataset, or check the address with mainstem config remote"));
    }
    let is_here = epoch(tx, &genesis)? == known.epoch && tx.version_hash(known.version)? == Some(known.hash);
    let is_known = is_here || planted::is(Bug::F3);
    if !is_known {
        return Err(Error::new(
            ErrorKind::Conflict,
            "other_epoch",
            format!(
                "the primary does not have version {} as this replica knows it; it was restored from an older copy or replaced",
                known.version
            ),
        )
        .hint("mainstem bundle create FILE keeps your unsent work; then mainstem clone ADDRESS NEW.db"));
    }
    Ok(())
}

fn absorb_in(tx: &mut dyn Transaction, around: &Around) -> Result<()> {
    if !tx.has_direct()? {
        return Ok(());
    }
    let genesis = genesis(tx)?;
    let head = tx.head()?;
    let known = tx.digests()?;
    let schema = tx.schema();
    let mut body = Body::new(head.version + 1, &schema, &known);
    let steps = tx.take_direct(&mut |tx, write| body.direct(tx, &schema, &write))?;
    if !steps.is_empty() {
        let all: Vec<String> = schema.tables.iter().map(|t| t.name.clone()).collect();
        body.altered(tx, &all)?;
    }
    let written = body.finish(tx)?;
    if written.count == 0 && steps.is_empty() {
        return Ok(());
    }
    let replica = ReplicaId(genesis.lineage);
    let at = Time::from_ms(around.now_ms()).max(stamped(tx)?);
    let header = Header {
        write_id: around.random(),
        lineage: genesis.lineage,
        replica,
        sequence: tx.last_sequence(replica)? + 1,
        base_version: head.version,
        actor: "direct".into(),
        title: Some("written straight into the primary's tables".into()),
        at,
        ..Header::default()
    };
    let mut version = version_of(head.version + 1, header, at, written);
    version.schema = steps;
    append(tx, &Event::Version(version))?;
    release(tx, around, ReplicaId(genesis.lineage))
}

/// When the last version was accepted. The next one is not earlier, whatever the clock says meanwhile: who heard of the last
/// can only go on from there.
fn stamped(tx: &mut dyn Transaction) -> Result<Time> {
    let head = tx.head()?.version;
    Ok(tx.version(head)?.map_or(Time::default(), |version| version.accepted_at))
}

fn version_of(version: u64, header: Header, accepted_at: Time, written: Written) -> Version {
    Version {
        version,
        header,
        accepted_at,
        shapes: written.shapes,
        count: written.count,
        pages: written.pages,
        body: written.body,
        tables: written.tables,
        ..Version::default()
    }
}

/// Merges one changeset onto the head and appends what came of it.
fn accept(
    tx: &mut dyn Transaction,
    policy: &Policy,
    front: &Front,
    pages: &mut dyn Pages,
    around: &Around,
    primary: ReplicaId,
    released: Vec<(u128, String, Key)>,
) -> Result<Option<Version>> {
    let head = tx.head()?;
    let known = tx.digests()?;
    let place = Place { head: head.version, version: head.version + 1, primary };
    let mut body = Body::new(place.version, &tx.schema(), &known);
    let outcome = rebase(tx, policy, front, pages, place, &mut body)?;
    if !released.is_empty() && !outcome.waiting.is_empty() {
        return Ok(None);
    }
    let Outcome { schema, mut conflicts, waiting, mut renumbered } = outcome;
    for conflict in &front.conflicts {
        if tx.conflict(conflict.id)?.is_none() && conflicts.iter().all(|c| c.id != conflict.id) {
            conflicts.push(Conflict { version: place.version, ..conflict.clone() });
        }
    }
    let tables = tx.schema();
    let waiting: Vec<Waiting> = waiting
        .into_iter()
        .map(|mut w| {
            w.change.table = body.shape(&tables.tables[w.change.table]);
            w
        })
        .collect();
    let written = body.finish(tx)?;
    let now = Time::from_ms(around.now_ms()).max(stamped(tx)?);
    let mut version = version_of(place.version, front.header.clone(), now.max(front.header.at), written);
    if let Some(again) = &front.again {
        renumbered.extend(again.renumbered.iter().cloned());
        version.was.clone_from(&again.was);
        version.stands_for.clone_from(&again.stands_for);
    }
    version.resolved = answered(tx, front)?;
    version.schema = schema;
    version.conflicts = conflicts;
    version.waiting = waiting;
    version.renumbered = renumbered;
    version.released = released;
    append(tx, &Event::Version(version.clone()))?;
    Ok(Some(version))
}

/// The resolutions that answer a conflict which is open.
fn answered(tx: &mut dyn Transaction, front: &Front) -> Result<Vec<mainstem_core::change::Resolution>> {
    let mut resolved = Vec::new();
    for resolution in &front.resolutions {
        if tx.conflict(resolution.conflict)?.is_some_and(|c| c.is_open()) {
            resolved.push(resolution.clone());
        }
    }
    Ok(resolved)
}

/// Lets in what waited for a parent that is there now, each author's work as a version of its own.
fn release(tx: &mut dyn Transaction, around: &Around, primary: ReplicaId) -> Result<()> {
    let policy = policy_text::parse(&tx.policy_text()?)?;
    loop {
        let mut is_done = true;
        for (version, waiting) in tx.waiting()? {
            if !parent_is_there(tx, &waiting)? {
                continue;
            }
            let mut front = Front { header: version.header.clone(), shapes: version.shapes.clone(), count: 1, ..Front::default() };
            front.header.write_id = around.random();
            front.header.sequence = 0;
            let mut pages = OnePage { change: Some(waiting.change.clone()), is_read: false };
            let released = vec![(version.header.write_id, waiting.table.clone(), waiting.key.clone())];
            is_done &= accept(tx, &policy, &front, &mut pages, around, primary, released)?.is_none();
        }
        if is_done {
            return Ok(());
        }
    }
}

fn parent_is_there(tx: &mut dyn Transaction, waiting: &Waiting) -> Result<bool> {
    let schema = tx.schema();
    let (Some(child), Some(parent)) =
        (schema.table(&waiting.table), schema.tables.iter().position(|t| t.name.eq_ignore_ascii_case(&waiting.parent)))
    else {
        return Ok(false);
    };
    for link in
        child.foreign_keys.iter().filter(|l| l.parent.eq_ignore_ascii_case(&waiting.parent) && l.columns.len() == waiting.parent_key.len())
    {
        if let Some((_, columns)) = crate::rebase::parent_of(&schema, link)
            && !tx.find(parent, &columns, &waiting.parent_key, 1)?.is_empty()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

impl<S: Store> LocalPrimary<S> {
    fn recognise(tx: &mut dyn Transaction, front: &Front) -> Result<Option<Pushed>> {
        if let Some(version) = tx.find_write(front.header.write_id)?.filter(|_| !planted::is(Bug::I1)) {
            return Ok(Some(Pushed::Already { version }));
        }
        if front.again.is_some() {
            return Ok(None);
        }
        let last = tx.last_sequence(front.header.replica)?;
        if planted::is(Bug::F2) && front.header.sequence <= last {
            return Ok(Some(Pushed::Already { version: tx.head()?.version }));
        }
        if front.header.sequence <= last && !planted::is(Bug::F1) {
            return Ok(Some(Pushed::Reused));
        }
        if front.header.sequence > last + 1 && !planted::is(Bug::I9) {
            return Ok(Some(Pushed::Gap { expected: last + 1 }));
        }
        Ok(None)
    }

    /// Refuses what is stamped far ahead of the primary's clock, or of what it has stamped itself when that ran ahead:
    /// whoever heard of that can only go on from there.
    fn check_clock(tx: &mut dyn Transaction, mut now: u64, policy: &Policy, front: &Front) -> Result<()> {
        let ahead = policy.clock_skew_ms_max();
        if front.header.at.ms() > now.saturating_add(ahead) {
            now = now.max(stamped(tx)?.ms());
        }
        if front.header.at.ms() > now.saturating_add(ahead) && !planted::is(Bug::G2) {
            let seconds = (front.header.at.ms() - now) / 1000;
            return Err(Error::new(
                ErrorKind::Invalid,
                "clock_skew",
                format!("the replica's clock is {seconds} s ahead of the primary's; more than {} s is refused", ahead / 1000),
            )
            .hint("set this machine's clock, then mainstem sync"));
        }
        Ok(())
    }
}

impl<S: Store> Primary for LocalPrimary<S> {
    fn describe(&mut self) -> Result<Description> {
        self.absorb()?;
        describe(&mut *self.store.begin_read()?)
    }

    fn push(&mut self, known: &Acquaintance, front: &Front, pages: &mut dyn Pages) -> Result<Pushed> {
        let mut tx = self.store.begin()?;
        check_known(&mut *tx, known)?;
        absorb_in(&mut *tx, &self.around)?;
        if let Some(answer) = Self::recognise(&mut *tx, front)? {
            tx.commit()?;
            return Ok(answer);
        }
        check_horizon(&mut *tx, known.version.min(front.header.base_version))?;
        if front.header.lineage != known.lineage || front.header.base_version > tx.head()?.version {
            return Err(Error::invalid("the changeset was not made on this dataset's versions"));
        }
        let policy = policy_text::parse(&tx.policy_text()?)?;
        Self::check_clock(&mut *tx, self.around.now_ms(), &policy, front)?;
        let reviewed = front.shapes.iter().map(|s| policy.table(&s.table).mode == Mode::Review).collect();
        let mut pages = Checked { inner: pages, front, reviewed };
        let primary = ReplicaId(known.lineage);
        let version = accept(&mut *tx, &policy, front, &mut pages, &self.around, primary, Vec::new())?
            .ok_or_else(|| Error::internal("a push came to nothing"))?;
        release(&mut *tx, &self.around, primary)?;
        tx.commit()?;
        Ok(Pushed::Accepted {
            version: version.version,
            conflicts: version.conflicts.len() as u64,
            conflicts_open: version.conflicts.iter().filter(|c| c.is_open()).count() as u64,
            waiting: version.waiting.len() as u64,
            renumbered: version.renumbered.len() as u64,
        })
    }

    fn pull(&mut self, known: &Acquaintance, from: Cursor, bytes_max: usize) -> Result<Pull> {
        self.absorb()?;
        let mut tx = self.store.begin_read()?;
        check_known(&mut *tx, known)?;
        check_horizon(&mut *tx, known.version.min(from.version.saturating_sub(1)))?;
        let head = tx.head()?;
        let mut pull = Pull { from, items: Vec::new(), next: from, is_last: false, policy: tx.policy_text()?, head };
        let mut bytes = 0;
        let mut pages = None;
        while bytes < bytes_max || pull.items.is_empty() {
            if pull.next.version > head.version {
                pull.is_last = true;
                break;
            }
            let total = match pages {
                Some(total) => total,
                None => tx.version(pull.next.version)?.ok_or_else(|| Error::corrupt("a version is missing in the ledger"))?.pages,
            };
            pages = Some(total);
            if pull.next.page == 0 {
                // The chain of events goes through those that are no versions, so whoever checks it needs them.
                for (event, hash) in tx.events_before(pull.next.version)? {
                    bytes += event.len();
                    pull.items.push(Item::Event(event, hash));
                }
                let (event, hash) =
                    tx.version_event(pull.next.version)?.ok_or_else(|| Error::corrupt("a version is missing in the ledger"))?;
                bytes += event.len();
                pull.items.push(Item::Version(event, hash));
            }
            if pull.next.page < total {
                let page = tx.page(pull.next.version, pull.next.page)?.ok_or_else(|| Error::corrupt("a page is missing in the ledger"))?;
                bytes += page.len();
                pull.items.push(Item::Page(page));
                pull.next.page += 1;
            }
            if pull.next.page >= total {
                pull.next = Cursor { version: pull.next.version + 1, page: 0 };
                pages = None;
            }
        }
        pull.is_last |= pull.next.version > head.version;
        Ok(pull)
    }

    fn snapshot(&mut self, sink: &mut dyn SnapshotSink) -> Result<()> {
        self.absorb()?;
        let mut tx = self.store.begin_read()?;
        let description = describe(&mut *tx)?;
        let schema = tx.schema();
        let lost = || Error::corrupt("the head version is missing");
        let hash = tx.version_hash(description.head.version)?.ok_or_else(lost)?;
        let head = tx.version(description.head.version)?.ok_or_else(lost)?;
        let recent = recent(&mut *tx, description.head.version)?;
        let conflicts = tx.conflicts(false)?;
        let mut waiting = Vec::new();
        for (version, change) in tx.waiting()? {
            let (event, hash) = tx.version_event(version.version)?.ok_or_else(|| Error::corrupt("a version is missing in the ledger"))?;
            waiting.push((event, hash, change));
        }
        sink.begin(&SnapshotStart { description, schema: (*schema).clone(), head, hash, recent, conflicts, waiting })?;
        for table in 0..schema.tables.len() {
            let mut page: Vec<Row> = Vec::with_capacity(SNAPSHOT_ROWS);
            tx.scan(table, &mut |row| {
                page.push(row.clone());
                if page.len() == SNAPSHOT_ROWS {
                    sink.rows(table, &page)?;
                    page.clear();
                }
                Ok(())
            })?;
            if !page.is_empty() && !planted::is(Bug::I5) {
                sink.rows(table, &page)?;
            }
        }
        Ok(())
    }

    fn find_write(&mut self, write_id: u128) -> Result<Option<u64>> {
        self.store.begin_read()?.find_write(write_id)
    }

    fn version_hash(&mut self, version: u64) -> Result<Option<mainstem_core::event::Digest>> {
        self.store.begin_read()?.version_hash(version)
    }

    fn version(&mut self, version: u64) -> Result<Option<Version>> {
        self.store.begin_read()?.version(version)
    }

    fn page(&mut self, version: u64, page: u64) -> Result<Option<Vec<u8>>> {
        let mut tx = self.store.begin_read()?;
        let found = tx.page(version, page)?;
        if found.is_none() {
            check_horizon(&mut *tx, version.saturating_sub(1))?;
        }
        Ok(found)
    }

    fn rows(&mut self, table: &str, version: u64, visit: RowVisitor<'_>) -> Result<()> {
        // What other programs wrote since is a version of its own first, or it would be taken for part of this one.
        self.absorb()?;
        let mut tx = self.store.begin_read()?;
        check_horizon(&mut *tx, version)?;
        history::rows_at(&mut *tx, table, version, visit)
    }

    fn row_history(&mut self, from: &RowPlace, limit: usize) -> Result<RowHistory> {
        history::row_history(&mut *self.store.begin_read()?, from, limit)
    }

    fn touches(&mut self, row: &RowPlace, after: u64) -> Result<Vec<Touch>> {
        history::touches_after(&mut *self.store.begin_read()?, row, after)
    }

    fn blame(&mut self, place: &RowPlace) -> Result<Blame> {
        history::blame(&mut *self.store.begin_read()?, place)
    }

    fn events(&mut self, after: u64, bytes_max: usize) -> Result<Vec<Link>> {
        audit::links(&mut *self.store.begin_read()?, after, bytes_max)
    }

    fn examine(&mut self, findings: Findings<'_>) -> Result<u64> {
        self.absorb()?;
        let mut tx = self.store.begin_read()?;
        let rows = audit::check_rows(&mut *tx, findings)?;
        audit::report(&tx.examine()?, findings)?;
        Ok(rows)
    }

    fn chronicle(&mut self) -> Result<Chronicle> {
        Ok((*self.store.begin_read()?.chronicle()?).clone())
    }

    fn conflicts(&mut self, open_only: bool) -> Result<Vec<Conflict>> {
        self.store.begin_read()?.conflicts(open_only)
    }

    fn begin_epoch(&mut self, known: &Acquaintance, actor: &str) -> Result<u128> {
        let mut tx = self.store.begin()?;
        let genesis = genesis(&mut *tx)?;
        let now = epoch(&mut *tx, &genesis)?;
        if genesis.lineage != known.lineage || now != known.epoch || tx.version_hash(known.version)? == Some(known.hash) {
            return Ok(now);
        }
        let restored = restore_in(&mut *tx, &self.around, "a copy that somebody put in its place", actor)?;
        tx.commit()?;
        Ok(restored.epoch)
    }

    fn set_policy(&mut self, text: &str, actor: &str) -> Result<()> {
        policy_text::parse(text)?;
        let mut tx = self.store.begin()?;
        let at = Time::from_ms(self.around.now_ms());
        append(&mut *tx, &Event::Policy(PolicySet { text: text.to_owned(), actor: actor.to_owned(), at }))?;
        tx.commit()
    }

    fn seen(&mut self, known: &Acquaintance, seen: &Seen) -> Result<()> {
        let mut tx = self.store.begin_read()?;
        check_known(&mut *tx, known)?;
        check_horizon(&mut *tx, known.version.min(seen.version))?;
        let now = Time::from_ms(self.around.now_ms());
        if !cleanup::is_news(&mut *tx, seen, now)? {
            return Ok(());
        }
        drop(tx);
        let Some(mut tx) = self.store.begin_if_free()? else { return Ok(()) };
        check_horizon(&mut *tx, known.version.min(seen.version))?;
        tx.put_replica(&KnownReplica { seen: seen.clone(), at: now, is_expired: false, must_reseed: false })?;
        tx.commit()
    }

    fn replicas(&mut self) -> Result<Vec<KnownReplica>> {
        cleanup::replicas(&mut *self.store.begin_read()?, self.around.now_ms())
    }

    fn tombstones(&mut self, wanted: &Wanted, visit: &mut dyn FnMut(&Tombstone) -> Result<()>) -> Result<()> {
        self.absorb()?;
        tombstones::visit(&mut *self.store.begin_read()?, self.around.now_ms(), wanted, visit)
    }

    fn deleted_since(&mut self, table: &str, keys: &[Key], after: u64) -> Result<Vec<Deleted>> {
        tombstones::deleted_since(&mut *self.store.begin_read()?, table, keys, after)
    }

    fn cleanup(&mut self, actor: &str, rehearsal: Rehearsal) -> Result<Cleanup> {
        let mut tx = self.store.begin()?;
        let done = cleanup::cleanup(&mut *tx, self.around.now_ms(), actor)?;
        if rehearsal == Rehearsal::Real && !done.is_nothing() {
            tx.commit()?;
        }
        Ok(done)
    }
}

/// How the versions before one are recognised, newest first.
fn recent(tx: &mut dyn Transaction, head: u64) -> Result<Vec<Recent>> {
    let mut recent = Vec::new();
    for number in (head.saturating_sub(RECENT_MAX).max(1)..head).rev() {
        let lost = || Error::corrupt("a version is missing in the ledger");
        let (hash, version) = (tx.version_hash(number)?.ok_or_else(lost)?, tx.version(number)?.ok_or_else(lost)?);
        recent.push(Recent { version: number, hash, write_id: version.header.write_id });
    }
    Ok(recent)
}
