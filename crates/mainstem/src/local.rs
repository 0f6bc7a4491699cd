//! The embedded primary: merges what is pushed and answers what is pulled, over any store.
//!
//! Invariant: each call is one transaction over ledger and tables; a crash leaves before or after.
//! Deliberately absent: who may do what (the server's matter), and how rows and events are stored.
mod accepting;
mod adding_up;
mod answering;
mod assessing;
mod assessments;
mod carrying;
mod dividing;
mod epochs;
mod merging;
mod pages;
mod pulling;
mod requests;
mod reviewing;
mod revising;
mod staging;

use crate::audit::{self, Differing, Findings, Link};
use crate::body::{Body, Digests};
use crate::cleanup::{self, Cleanup, Rehearsal, check_horizon};
use crate::error::{Error, Result};
use crate::history::{self, Blame, RowHistory, RowPlace};
use crate::ledger::{Appended, Head, Ledger};
use crate::policy_text;
use crate::primary::{
    Acquaintance, Cursor, Deleted, Description, Had, KnownReplica, Pages, Primary, Pull, Pushed, RowVisitor, Seen, SnapshotSink,
    SnapshotStart,
};
use crate::rebase::{Awaiting, Effects, Ground};
use crate::store::{Store, Transaction};
use crate::tables::Wrote;
use crate::tombstones::{self, Tombstone, Wanted};
use crate::wiring::Around;
pub(crate) use accepting::awaiting;
use accepting::{Accepting, accept, release, stamped, version_of};
pub use assessing::Large;
pub(crate) use epochs::other_scope;
use epochs::{begin_epoch, check_known, check_whole, describe, genesis, recent, restore_in};
use mainstem_core::ErrorKind;
use mainstem_core::change::{Front, Header};
use mainstem_core::chronicle::Chronicle;
use mainstem_core::conflict::Conflict;
use mainstem_core::event::{Event, Genesis, PolicySet, Renumbered, Restored, Version};
use mainstem_core::planted::{self, Bug};
use mainstem_core::policy::Policy;
use mainstem_core::schema::{Schema, SchemaChange};
use mainstem_core::stamp::{ReplicaId, Time};
use mainstem_core::three_way::Touch;
use mainstem_core::value::{Key, Row};
use pages::Checked;
pub(crate) use reviewing::no_proposal;

/// Rows that a snapshot hands over at once.
const SNAPSHOT_ROWS: usize = 1_000;

impl Ground for dyn Transaction + '_ {
    fn touches(&mut self, table: &str, key: &Key, after: u64) -> Result<Vec<Touch>> {
        Ledger::touches(self, table, key, after)
    }
    fn renumbered(&mut self, replica: ReplicaId, after: u64) -> Result<Vec<(u64, Renumbered)>> {
        Ledger::renumbered(self, replica, after)
    }
    fn renumbered_of(&mut self, write_id: u128, after: u64) -> Result<Option<Vec<Renumbered>>> {
        match self.find_write(write_id)?.filter(|version| *version > after) {
            Some(version) => Ok(Ledger::version(self, version)?.map(|version| version.renumbered_in_all())),
            None => Ok(None),
        }
    }
    fn steps(&mut self, after: u64) -> Result<Vec<SchemaChange>> {
        Ledger::steps(self, after)
    }
    fn waiting(&mut self) -> Result<Vec<Awaiting>> {
        awaiting(self)
    }
    fn is_let_in(&mut self, version: u64) -> Result<bool> {
        let is_let_in = |version: Version| version.review.is_some() || version.header.sequence == 0 && !version.released.is_empty();
        Ok(Ledger::version(self, version)?.is_some_and(is_let_in))
    }
}

/// A primary over a store in this process.
pub struct LocalPrimary<S> {
    store: S,
    around: Around,
    /// What was found of proposals lately.
    assessments: Option<assessments::Assessments>,
    large: Large,
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
        LocalPrimary { store, around, assessments: None, large: Large::default() }
    }

    /// The same with other proposals taken for large.
    pub fn with_large(self, large: Large) -> Self {
        LocalPrimary { large, ..self }
    }

    /// Founds a dataset in an empty store: version 1 is what `fill` hands over.
    pub fn publish(store: S, around: Around, founding: &Founding<'_>, fill: Fill<'_>) -> Result<Self> {
        let mut primary = LocalPrimary::new(store, around);
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

impl<S: Store> LocalPrimary<S> {
    fn recognise(tx: &mut dyn Transaction, front: &Front) -> Result<Option<Pushed>> {
        if let Some(version) = tx.find_write(front.header.write_id)?.filter(|_| !planted::is(Bug::I1)) {
            return Ok(Some(Pushed::Already { version }));
        }
        if front.again.is_some() {
            return Ok(None);
        }
        if let Some((id, _)) = tx.find_revision(front.header.write_id)?
            && tx.proposal(id)?.is_some_and(|proposal| proposal.stage.is_open())
        {
            // Whoever offered that would take the push for its merge.
            return Err(Error::invalid(format!("the changeset goes by a name that proposal {id} goes by")));
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

/// Merges what is pushed onto the head, inside a transaction.
fn merge_pushed(tx: &mut dyn Transaction, around: &Around, known: &Acquaintance, front: &Front, pages: &mut dyn Pages) -> Result<Pushed> {
    check_horizon(tx, known.version.min(front.header.base_version))?;
    if front.header.lineage != known.lineage || front.header.base_version > tx.head()?.version {
        return Err(Error::invalid("the changeset was not made on this dataset's versions"));
    }
    let policy = policy_text::parse(&tx.policy_text()?)?;
    check_clock(tx, around.now_ms(), &policy, front)?;
    let front = &Front { sender: Some(adding_up::sender(front)), ..front.clone() };
    let mut reviewed = policy.reviewed_whole(front, &tx.schema());
    if reviewed.is_none() {
        reviewed = adding_up::reviewed_together(tx, around, &policy, front, pages)?;
    }
    if let Some(why) = reviewed {
        return Err(Error::new(ErrorKind::Denied, "review_required", why).hint("mainstem propose"));
    }
    epochs::check_lost(tx, front)?;
    let reviewed = front.shapes.iter().map(|s| policy.is_reviewed(&s.table)).collect();
    let mut pages = Checked { inner: pages, front, reviewed, count: 0 };
    let primary = ReplicaId(known.lineage);
    let accepting = Accepting { policy: &policy, front, around, primary, released: Vec::new() };
    let version = accept(tx, accepting, &mut pages, &mut |_, _| Ok(()))?.ok_or_else(|| Error::internal("a push came to nothing"))?;
    release(tx, around, primary)?;
    Ok(Pushed::Accepted {
        version: version.version,
        conflicts: version.conflicts.len() as u64,
        conflicts_open: version.conflicts.iter().filter(|c| c.is_open()).count() as u64,
        waiting: version.waiting.len() as u64,
        renumbered: version.renumbered.len() as u64,
    })
}

impl<S: Store> Primary for LocalPrimary<S> {
    fn describe(&mut self) -> Result<Description> {
        self.absorb()?;
        describe(&mut *self.store.begin_read()?)
    }

    fn wait(&mut self, known: &Head, timeout_ms: u64) -> Result<Head> {
        let mut left_ms = timeout_ms;
        loop {
            // Taken first: whoever commits while the head is read is heard of.
            let moment = self.store.moment()?;
            self.absorb()?;
            let head = self.store.begin_read()?.head()?;
            if head != *known || left_ms == 0 {
                return Ok(head);
            }
            left_ms = self.store.wait(moment, left_ms)?;
        }
    }

    fn push(&mut self, known: &Acquaintance, front: &Front, pages: &mut dyn Pages) -> Result<Pushed> {
        let mut tx = self.store.begin()?;
        check_known(&mut *tx, known)?;
        absorb_in(&mut *tx, &self.around)?;
        if let Some(answer) = Self::recognise(&mut *tx, front)? {
            tx.commit()?;
            return Ok(answer);
        }
        let pushed = merge_pushed(&mut *tx, &self.around, known, front, pages)?;
        tx.commit()?;
        Ok(pushed)
    }

    fn pull(&mut self, known: &Acquaintance, from: Cursor, bytes_max: usize) -> Result<Pull> {
        self.absorb()?;
        let mut tx = self.store.begin_read()?;
        check_known(&mut *tx, known)?;
        check_whole(known)?;
        check_horizon(&mut *tx, known.version.min(from.version.saturating_sub(1)))?;
        pulling::read(&mut *tx, from, bytes_max)
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
        let mut had = Had::of(sink.had(), &hash);
        let mut send = |table: usize, page: &[Row]| match had.checked_sub(1) {
            Some(left) => {
                had = left;
                Ok(())
            }
            None => sink.rows(table, page),
        };
        for table in 0..schema.tables.len() {
            let mut page: Vec<Row> = Vec::with_capacity(SNAPSHOT_ROWS);
            tx.scan(table, &mut |row| {
                page.push(row.clone());
                if page.len() == SNAPSHOT_ROWS {
                    send(table, &page)?;
                    page.clear();
                }
                Ok(())
            })?;
            if !page.is_empty() && !planted::is(Bug::I5) {
                send(table, &page)?;
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

    fn rows_of(&mut self, table: &str, keys: &[Key], version: u64) -> Result<Vec<Option<Row>>> {
        let mut tx = self.store.begin_read()?;
        history::rows_of(&mut *tx, table, keys, version)
    }

    fn schema(&mut self) -> Result<Schema> {
        Ok((*self.store.begin_read()?.schema()).clone())
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
        let epoch = begin_epoch(&mut *tx, &self.around, known, actor)?;
        tx.commit()?;
        Ok(epoch)
    }

    fn set_policy(&mut self, text: &str, actor: &str) -> Result<()> {
        policy_text::check(text)?;
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
