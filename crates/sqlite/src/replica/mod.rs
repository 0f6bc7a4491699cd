//! A tracked SQLite file as a replica.
//!
//! Invariant: every command's work on the file is one transaction; the file is only ever opened through SQLite (CAP-10).
//! Invariant: rows that we write never fire a trigger; what we write as a local edit is put into capture's log by hand.
mod answer;
mod bases;
mod begin;
mod clock;
mod cloning;
mod compare;
mod diverged;
mod edit;
mod ground;
mod links;
mod past;
mod proposing;
mod receive;
mod reseed;
mod revert;
mod stash;
mod storage;
mod working;

pub use begin::{CloneOptions, InitOptions, InitReport, RefusedTable};
pub use cloning::{Cloned, Earlier};
pub use revert::{Left, Reverted};

use crate::capture::{self, Healed, KeptSources};
use crate::connection::{self, FileIdentity};
use crate::errors::{Explain, display_name, shell_word};
use crate::lock::SyncLock;
use crate::notice::check_place;
use mainstem::core::ErrorKind;
use mainstem::core::change::{Change, Front, Shape};
use mainstem::core::conflict::Conflict;
use mainstem::core::event::{Digest, Version, Waiting};
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::{Schema, SchemaChange};
use mainstem::core::scope::Scope;
use mainstem::core::stamp::ReplicaId;
use mainstem::core::value::Key;
use mainstem::error::{Error, Result};
use mainstem::policy_text;
use mainstem::primary::{Acquaintance, Cursor, Pages, Primary, Pull, RowVisitor};
use mainstem::replica::{
    Answering, Operation, Progress, PutBack, Received, Replica, Reseeded, RestoreTarget, Rewind, Since, Standing, Unseen, Verified, Working,
};
use mainstem::wiring::Around;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// A tracked SQLite file.
pub struct SqliteReplica {
    db: Connection,
    path: PathBuf,
    file: FileIdentity,
    around: Around,
    notices: Vec<String>,
    lock: Option<SyncLock>,
    may_delete_many: bool,
    /// How capture reads as rows, as long as that stays.
    sources: KeptSources,
}

/// Runs `work` in one write transaction with triggers off. An error leaves the file as it was.
fn transact<T>(db: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    connection::begin_write(db)?;
    if planted::is(Bug::J1) {
        drop(std::fs::File::open(db.path().unwrap_or_default()));
    }
    let prepared = if planted::is(Bug::E1) { connection::triggers_on(db) } else { connection::triggers_off(db) };
    let result = prepared.and_then(|()| work());
    let ended = match result {
        Ok(value) if planted::is(Bug::J10) => {
            let _ = connection::commit(db);
            Ok(value)
        }
        Ok(value) => connection::commit(db).map(|()| value),
        Err(e) => Err(e),
    };
    if ended.is_err() {
        connection::roll_back(db);
    }
    ended
}

/// Runs `work` in one read transaction.
fn observe<T>(db: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    connection::begin_read(db)?;
    let result = work();
    connection::roll_back(db);
    result
}

/// The tracked tables as they are now, and the objects that travel with them.
fn tracked_schema(db: &Connection) -> Result<Schema> {
    let tracked = capture::tracked(db)?;
    Ok(crate::schema::read(db)?.tracked(&|name| tracked.iter().any(|t| t.eq_ignore_ascii_case(name))))
}

impl SqliteReplica {
    /// Opens a tracked file. Heals capture where the app changed the schema, and takes a new identity where the file
    /// is a copy.
    pub fn open(path: &Path, around: Around) -> Result<SqliteReplica> {
        let file = FileIdentity::of(path)?;
        let db = connection::open_user(path)?;
        check_layout(&db, path)?;
        check_place(path, &file)?;
        past::create(&db)?;
        let mut replica = SqliteReplica {
            db,
            path: path.to_owned(),
            file,
            around,
            notices: Vec::new(),
            lock: None,
            may_delete_many: false,
            sources: KeptSources::default(),
        };
        replica.look_again()?;
        Ok(replica)
    }

    /// The connection to the file.
    pub(crate) fn connection(&self) -> &Connection {
        &self.db
    }

    /// Does all that opening does to a file that stayed open meanwhile, for programs that sync now and then: other
    /// programs may have changed its schema, and with it what capture sees.
    pub fn look_again(&mut self) -> Result<()> {
        check_place(&self.path, &self.file)?;
        check_layout(&self.db, &self.path)?;
        self.notices.clear();
        self.notice_copy()?;
        self.heal()?;
        for (index, why) in storage::broken_indexes(&self.db)? {
            self.notices.push(format!("search index {index} misses rows: it could not be made again ({why})"));
        }
        Ok(())
    }

    /// Visits the pages of the versions held as far as they are kept, oldest first; gives the first of these versions.
    pub fn kept_pages(&mut self, visit: &mut dyn FnMut(&Version, &[u8]) -> Result<()>) -> Result<Option<u64>> {
        past::each(&self.db, visit)
    }

    /// The right to push or pull, held until this value is dropped.
    pub fn lock(&mut self, holder: &str) -> Result<()> {
        if self.lock.is_none() {
            self.lock = Some(SyncLock::take(&self.path, holder, self.around.now_ms())?);
        }
        Ok(())
    }

    /// Lets a comparison take many missing rows for deletions, which it otherwise refuses.
    pub fn accept_deletions(&mut self) {
        self.may_delete_many = true;
    }

    /// Configures the actor in the replica.
    pub fn set_actor(&mut self, actor: &str) -> Result<()> {
        storage::put(&self.db, "actor", actor)
    }

    /// Sets the policy that publish will give the primary. From then on the policy is the primary's.
    pub fn set_policy(&mut self, text: &str) -> Result<()> {
        policy_text::check(text)?;
        let db = &self.db;
        transact(db, || {
            if storage::get::<String>(db, "remote")?.is_some() {
                return Err(Error::new(ErrorKind::Conflict, "published", "the policy is the primary's, as this file was published")
                    .hint("mainstem policy"));
            }
            storage::put(db, "policy", text)
        })
    }

    /// Sets or changes the primary's address.
    pub fn set_remote(&mut self, address: &str) -> Result<()> {
        storage::put(&self.db, "remote", address)
    }

    /// Sets what the replica asks its primary for. The next contact brings what is seen newly and takes what is seen no longer.
    pub fn set_scope(&mut self, scope: &Scope) -> Result<()> {
        storage::put(&self.db, "scope", scope.to_string())
    }

    /// The tables that are tracked, and every object of the user's.
    pub fn schema(&self) -> Result<Schema> {
        tracked_schema(&self.db)
    }

    /// Schema steps since the last commit, in the order in which they happened.
    pub fn schema_steps(&self) -> Result<Vec<SchemaChange>> {
        storage::steps(&self.db)
    }

    /// Tables that cannot be tracked: name, why, what to do.
    pub fn refused(&self) -> Result<Vec<RefusedTable>> {
        Ok(crate::schema::read(&self.db)?.refused.into_iter().map(|r| (r.table, r.why, r.hint)).collect())
    }

    /// Names of the triggers by which capture works, as they stand in the file.
    pub fn capture_triggers(&self) -> Result<u64> {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'mainstem\\_%' ESCAPE '\\'";
        connection::one(&self.db, sql, [], |r| r.get::<_, i64>(0)).on(&self.db).map(|n| n as u64)
    }

    /// The file's journal mode.
    pub fn journal_mode(&self) -> Result<String> {
        self.db.query_row("PRAGMA journal_mode", [], |r| r.get(0)).on(&self.db)
    }

    /// Takes a new identity, because this file is a copy of another.
    pub fn go_on_as_another(&mut self) -> Result<()> {
        let (around, db) = (self.around.clone(), &self.db);
        transact(db, || reidentify(db, &around)).map(drop)
    }

    /// Compares where the file is with where it was: a copy takes an identity of its own before anything is sent.
    fn notice_copy(&mut self) -> Result<()> {
        let place = format!("{}:{}", self.file.device, self.file.inode);
        let before = storage::get::<String>(&self.db, "place")?;
        if before.as_deref() == Some(place.as_str()) || planted::is(Bug::F1) {
            return Ok(());
        }
        let (around, db) = (self.around.clone(), &self.db);
        let fresh = transact(db, || {
            storage::put(db, "place", &place)?;
            reidentify(db, &around)
        })?;
        if before.is_some() {
            self.notices.push(format!("this file is a copy or was moved to another disk; it goes on as replica {}", fresh.short()));
        }
        Ok(())
    }

    fn heal(&mut self) -> Result<()> {
        if capture::is_current(&self.db)? { Ok(()) } else { self.work(|_, _| Ok(())) }
    }

    /// Works in one write transaction on a file whose capture knows its schema, which a program may have changed since the last
    /// look at it.
    fn work<T>(&mut self, work: impl FnOnce(&Connection, &Around) -> Result<T>) -> Result<T> {
        let (db, around) = (&self.db, &self.around);
        let (healed, done) = transact(db, || Ok((healed(db)?, work(db, around)?)))?;
        self.notice(&healed);
        Ok(done)
    }

    fn notice(&mut self, healed: &Healed) {
        for step in &healed.steps {
            self.notices.push(format!("noticed: {}", mainstem::schema_merge::describe(step)));
        }
        for refused in &healed.refused {
            self.notices.push(format!("{} is not tracked: {} ({})", refused.table, refused.why, refused.hint));
        }
        for table in &healed.gap {
            self.notices.push(format!("capture of {table} was interrupted; the next push or verify compares its rows with the primary's"));
        }
    }
}

/// Heals capture inside a transaction, and notes what programs did to the schema.
fn healed(db: &Connection) -> Result<Healed> {
    if capture::is_current(db)? {
        return Ok(Healed::default());
    }
    let healed = capture::heal(db)?;
    for step in &healed.steps {
        storage::add_step(db, step)?;
        bases::follow(db, step)?;
    }
    for table in &healed.gap {
        storage::add_gap(db, table)?;
    }
    ground::retry_broken(db)?;
    Ok(healed)
}

/// The identity of the replica in a file.
pub(crate) fn identity(db: &Connection, path: &Path) -> Result<ReplicaId> {
    check_layout(db, path)?;
    replica_id(db)
}

/// True where a sync may have something to send: captured writes, a schema that changed, changesets, writes that were missed.
pub(crate) fn has_unsent(db: &Connection) -> Result<bool> {
    Ok(working::has_work(db)? || storage::has_unsent(db)? || !storage::gaps(db)?.is_empty() || !capture::is_current(db)?)
}

/// What a tracked file is of.
pub(crate) struct Facts {
    pub dataset: String,
    pub lineage: Option<u128>,
    pub epoch: Option<u128>,
    pub version: u64,
}

/// What a tracked file is of, inside a read transaction.
pub(crate) fn facts(db: &Connection, path: &Path) -> Result<Facts> {
    if !storage::is_tracked(db)? {
        return Err(not_tracked(path));
    }
    let known = known(db)?;
    let dataset = storage::get(db, "dataset")?.unwrap_or_default();
    Ok(Facts { dataset, lineage: known.map(|k| k.lineage), epoch: known.map(|k| k.epoch), version: base_version(db)? })
}

/// Refuses a file that is not tracked, or was by a version with other tables of its own.
fn check_layout(db: &Connection, path: &Path) -> Result<()> {
    if !storage::is_tracked(db)? {
        return Err(not_tracked(path));
    }
    let layout = storage::get::<i64>(db, "layout")?.unwrap_or_default();
    if layout == storage::LAYOUT {
        return Ok(());
    }
    let message = format!("{} was written by another version of Mainstem (layout {layout})", display_name(path));
    Err(Error::new(ErrorKind::Invalid, "layout", message).hint("use the version of Mainstem that wrote it, or a later one"))
}

fn not_tracked(path: &Path) -> Error {
    Error::new(ErrorKind::Invalid, "not_tracked", format!("{} is not tracked", display_name(path)))
        .hint(format!("mainstem init {}", shell_word(&path.to_string_lossy())))
}

/// Gives the replica a new identity and its unsent changesets numbers from 1.
fn reidentify(db: &Connection, around: &Around) -> Result<ReplicaId> {
    let fresh = ReplicaId(around.random());
    storage::put(db, "replica", fresh.0.to_be_bytes())?;
    // What is offered again is its author's, whoever offers it.
    let fronts: Vec<Front> = storage::unsent(db)?.into_iter().filter(|f| f.again.is_none()).collect();
    proposing::go_on_as(db, fresh)?;
    storage::put(db, "sequence", fronts.len() as i64)?;
    for (at, mut front) in fronts.into_iter().enumerate() {
        front.header.replica = fresh;
        front.header.sequence = at as u64 + 1;
        storage::set_front(db, &front)?;
    }
    Ok(fresh)
}

fn replica_id(db: &Connection) -> Result<ReplicaId> {
    let id = storage::get_wide(db, "replica")?;
    id.map(ReplicaId).ok_or_else(|| Error::corrupt("the replica has no identity"))
}

fn known(db: &Connection) -> Result<Option<Acquaintance>> {
    let (Some(lineage), Some(epoch), Some(hash)) =
        (storage::get_wide(db, "lineage")?, storage::get_wide(db, "epoch")?, storage::get_digest(db, "hash")?)
    else {
        return Ok(None);
    };
    let scope = storage::get_digest(db, "scope_mark")?.unwrap_or_default();
    Ok(Some(Acquaintance { lineage, epoch, version: base_version(db)?, hash, scope }))
}

fn base_version(db: &Connection) -> Result<u64> {
    Ok(storage::get::<i64>(db, "version")?.unwrap_or_default() as u64)
}

/// What the replica asks its primary for.
fn scope(db: &Connection) -> Result<Scope> {
    match storage::get::<String>(db, "scope")? {
        Some(text) => Ok(text.parse()?),
        None => Ok(Scope::everything()),
    }
}

/// True where the base version is a part of the primary's.
fn is_partial(db: &Connection) -> Result<bool> {
    Ok(known(db)?.is_some_and(|known| known.scope != Digest::default()))
}

fn kept_policy(db: &Connection) -> Result<String> {
    Ok(storage::get::<String>(db, "policy")?.unwrap_or_default())
}

impl Replica for SqliteReplica {
    fn standing(&mut self) -> Result<Standing> {
        let db = &self.db;
        observe(db, || {
            Ok(Standing {
                replica: replica_id(db)?,
                actor: storage::get(db, "actor")?,
                dataset: storage::get(db, "dataset")?.unwrap_or_default(),
                remote: storage::get(db, "remote")?,
                known: known(db)?,
                base_version: base_version(db)?,
                unsent: storage::unsent(db)?.len() as u64,
                conflicts_open: storage::conflicts_open(db)?,
                pending: storage::waiting_count(db)?,
                policy: kept_policy(db)?,
                scope: scope(db)?,
                notices: self.notices.clone(),
            })
        })
    }
    fn changes(&mut self, since: Since, visit: &mut dyn FnMut(&Shape, &Change) -> Result<()>) -> Result<()> {
        let db = &self.db;
        observe(db, || working::changes(db, since, visit))
    }
    fn working(&mut self) -> Result<Working> {
        observe(&self.db, || working::standing(&self.db))
    }
    fn operations(&mut self, after: i64, visit: &mut dyn FnMut(&Operation) -> Result<()>) -> Result<Working> {
        let (db, sources) = (&self.db, &mut self.sources);
        observe(db, || {
            capture::operations(db, sources, after, visit)?;
            working::standing(db)
        })
    }
    fn commit(&mut self, actor: &str, title: Option<&str>, description: &str) -> Result<Option<Front>> {
        check_place(&self.path, &self.file)?;
        let (db, around) = (&self.db, &self.around);
        if title.is_none() && !working::has_work(db)? && capture::is_current(db)? {
            return if clock::is_ahead(db, around)? { transact(db, || clock::set_right(db, around)).map(|()| None) } else { Ok(None) };
        }
        self.work(|db, around| {
            let front = working::close(db, around, &working::Naming { actor, title, description })?;
            if title.is_some() { working::name_untitled(db, &working::Naming { actor, title, description }, front) } else { Ok(front) }
        })
    }
    fn unsent(&mut self) -> Result<Vec<Front>> {
        storage::unsent(&self.db)
    }
    fn pages<'a>(&'a mut self, write_id: u128) -> Result<Box<dyn Pages + 'a>> {
        let front = storage::changesets(&self.db)?.into_iter().find(|f| f.header.write_id == write_id);
        let front = front.ok_or_else(|| Error::not_found("no such unsent changeset"))?;
        Ok(Box::new(storage::StoredPages { db: &self.db, front, next: 0 }))
    }
    fn cursor(&mut self) -> Result<Cursor> {
        receive::cursor(&self.db)
    }
    fn receive(&mut self, pull: &Pull) -> Result<Received> {
        check_place(&self.path, &self.file)?;
        self.work(|db, around| receive::receive(db, around, pull))
    }
    fn reconcile(&mut self, primary: &mut dyn Primary, progress: Progress<'_>) -> Result<u64> {
        check_place(&self.path, &self.file)?;
        let may_delete_many = self.may_delete_many;
        self.work(|db, _| compare::reconcile(db, primary, may_delete_many, progress))
    }
    fn check(&mut self) -> Result<()> {
        self.heal()?;
        let db = &self.db;
        let suspects = observe(db, || compare::suspects(db))?;
        suspects.iter().try_for_each(|table| storage::add_gap(db, table))
    }
    fn line(&mut self) -> Result<Vec<(u64, Digest)>> {
        let db = &self.db;
        observe(db, || {
            let mut line = storage::line(db)?;
            let first = storage::first(db)?.map(|(event, hash)| (event.version, hash));
            let before = storage::recent(db)?.into_iter().map(|r| (r.version, r.hash)).chain(first);
            let oldest = line.first().map_or(u64::MAX, |(version, _)| *version);
            line.splice(0..0, before.filter(|(version, _)| *version < oldest));
            if let Some(known) = known(db)?.filter(|known| line.last().is_none_or(|(last, _)| *last < known.version)) {
                line.push((known.version, known.hash));
            }
            Ok(line)
        })
    }
    fn epochs_left(&mut self) -> Result<Vec<u128>> {
        past::epochs_left(&self.db)
    }
    fn rewind(&mut self, to: &Rewind, primary: &mut dyn Primary, progress: Progress<'_>) -> Result<u64> {
        check_place(&self.path, &self.file)?;
        self.work(|db, around| past::rewind(db, around, to, primary, progress))
    }
    fn reseed(&mut self, primary: &mut dyn Primary, unseen: Unseen, progress: Progress<'_>) -> Result<Reseeded> {
        let staged = reseed::stage(&self.db, primary, progress)?;
        check_place(&self.path, &self.file)?;
        self.work(|db, around| reseed::swap(db, around, &staged, unseen))
    }
    fn needs_reconcile(&mut self) -> Result<bool> {
        Ok(!storage::gaps(&self.db)?.is_empty())
    }
    fn resequence(&mut self, write_id: u128, first: u64) -> Result<()> {
        let db = &self.db;
        transact(db, || {
            let fronts = storage::unsent(db)?;
            let from =
                fronts.iter().position(|f| f.header.write_id == write_id).ok_or_else(|| Error::not_found("no such unsent changeset"))?;
            let mut next = first;
            for mut front in fronts.into_iter().skip(from) {
                front.header.sequence = next;
                storage::set_front(db, &front)?;
                next += 1;
            }
            storage::put(db, "sequence", next as i64 - 1)
        })
    }
    fn set_aside(&mut self, write_id: u128, rows: &[(String, Key)]) -> Result<u64> {
        self.work(|db, around| stash::set_aside(db, around, write_id, rows))
    }
    fn reidentify(&mut self) -> Result<ReplicaId> {
        let (db, around) = (&self.db, &self.around);
        let fresh = transact(db, || reidentify(db, around))?;
        self.notices.push(format!("another copy of this file used its identity; it goes on as replica {}", fresh.short()));
        Ok(fresh)
    }
    fn history(&mut self, limit: usize) -> Result<Vec<Version>> {
        storage::versions(&self.db, 0, limit)
    }
    fn conflicts(&mut self, open_only: bool) -> Result<Vec<Conflict>> {
        storage::conflicts(&self.db, open_only)
    }
    fn resolve(&mut self, actor: &str, answers: &[(u64, Answering)]) -> Result<()> {
        let (db, around) = (&self.db, &self.around);
        transact(db, || answer::resolve(db, around, actor, answers))
    }
    fn pending(&mut self) -> Result<Vec<(Front, Waiting)>> {
        let waiting = storage::waiting(&self.db)?;
        Ok(waiting.into_iter().map(|(v, w)| (Front { header: v.header, shapes: v.shapes, ..Front::default() }, w)).collect())
    }
    fn restore(&mut self, since: Since, target: &RestoreTarget) -> Result<u64> {
        let (db, around) = (&self.db, &self.around);
        transact(db, || edit::restore(db, around, since, target))
    }
    fn put_back(&mut self, rows: &[PutBack]) -> Result<u64> {
        let (db, around) = (&self.db, &self.around);
        transact(db, || edit::put_back(db, around, rows))
    }
    fn verify(&mut self, reference: Option<&mut dyn Primary>, progress: Progress<'_>) -> Result<Verified> {
        let db = &self.db;
        observe(db, || compare::verify(db, reference, progress))
    }
    fn import(&mut self, front: &Front, pages: &mut dyn Pages) -> Result<(u64, Vec<Conflict>)> {
        let (db, around) = (&self.db, &self.around);
        transact(db, || edit::import(db, around, front, pages))
    }
    fn rows(&mut self, table: &str, visit: RowVisitor<'_>) -> Result<()> {
        let schema = tracked_schema(&self.db)?;
        let Some(table) = schema.table(table) else {
            return Err(Error::not_found(format!("no tracked table {table}")).hint("mainstem doctor"));
        };
        let names = table.column_names();
        capture::scan(&self.db, table, &mut |row| visit(&names, &row))
    }
}
