//! Replicas, their primary and their machines, in a folder of their own.
//!
//! Invariant: one thing happens at a time, in the order of the tape; nothing here depends on threads, on the order of a
//! hash map, or on the real clock.
use crate::causes::Causes;
use crate::epochs::Lives;
use crate::image::{self, Image, Tables};
use crate::ledger_view::Looked;
use crate::lent::{Home, Lent};
use crate::links::{self, Aim, Links};
use crate::machine::{MORNING, Machine};
use crate::model::{Model, learn};
use crate::office::{Office, Sight};
use crate::probe::States;
use crate::proposals::Reviews;
use crate::tally::{Invariant, Situation, Tally, Verdict, Wrong};
use crate::tape::{Part, Tape};
use crate::wire::{Manners, Wires};
use crate::{program, rarities};
use mainstem::core::ErrorKind;
use mainstem::core::scope::Scope;
use mainstem::core::stamp::ReplicaId;
use mainstem::error::Error;
use mainstem::policy_text;
use mainstem::primary::Primary;
use mainstem::replica::Replica;
use mainstem::sync;
use mainstem::wiring::Surroundings;
use mainstem_disk::Disk;
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::primary::PRIMARY_FILE;
use mainstem_sqlite::replica::{CloneOptions, InitOptions};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Replicas at most, copies and clones included.
pub const COPIES_MAX: usize = 10;

/// One command in so many opens its file anew.
const FRESH_EVERY: u64 = 8;

/// A file that programs write to: a replica's, or the primary's.
pub struct Place {
    /// Where it is.
    pub path: PathBuf,
    /// Its machine.
    pub machine: Arc<Machine>,
    /// The programs' connection.
    pub db: Option<Connection>,
    /// The replica, where it stayed open.
    pub(crate) home: Home,
    pub(crate) tables: Tables,
    pub(crate) links: Links,
    pub(crate) image: Option<Image>,
    /// How often programs have opened it.
    pub(crate) opened: u64,
    pub(crate) manner: Option<crate::tape::Manner>,
    /// The last record of the log before a session whose captured times are not set yet.
    pub(crate) log_last: Option<i64>,
    /// How programs sync: fully, where the power may go.
    pub(crate) is_synced: bool,
}

/// Tells whether a file was written to, as one connection sees it: which connection, by others, by itself, and its schema.
type Moment = (u64, i64, u64, i64);

/// One replica.
pub struct Copy {
    /// Its file.
    pub place: Place,
    /// Who works on it.
    pub actor: String,
    /// The file as it was kept.
    pub kept: Option<PathBuf>,
    /// Words in the file as it was kept that the primary did not have then.
    pub kept_unsent: BTreeSet<u64>,
    /// Words written here since the file was kept.
    pub since_kept: BTreeSet<u64>,
    /// Words taken away here since then.
    pub taken_since_kept: BTreeSet<u64>,
    /// The rows at the last commit; none where that is not known.
    pub committed: Option<Image>,
    /// The latest version it was seen at.
    pub version: u64,
    /// True where triggers were off once, or the file is an older one: what capture believes may be wrong.
    pub has_unseen: bool,
    /// The life of the primary that it was last seen to follow.
    pub(crate) epoch: u128,
    /// Write ids of versions that a primary lost and that this copy holds.
    pub(crate) held: BTreeSet<u128>,
    /// Words that were written here, where copies of a part are told of some.
    pub(crate) authored: BTreeSet<u64>,
}

impl Copy {
    pub(crate) fn new(place: Place, number: usize) -> Copy {
        Copy {
            place,
            actor: format!("a{number}"),
            kept: None,
            kept_unsent: BTreeSet::new(),
            since_kept: BTreeSet::new(),
            taken_since_kept: BTreeSet::new(),
            committed: None,
            version: 0,
            has_unseen: false,
            epoch: 0,
            held: BTreeSet::new(),
            authored: BTreeSet::new(),
        }
    }
}

/// A file that was read before something happened to it, and not since.
pub struct Unread {
    who: Option<usize>,
    is_noted: bool,
    is_blind: bool,
    before: Image,
    /// When that was, where the disk is well.
    moment: Option<Moment>,
}

/// Everything.
pub struct World {
    /// What is to be read when the disk works again.
    pub(crate) unread: Option<Unread>,
    pub(crate) disk: Option<Disk>,
    /// True while a fault of the disk is armed or just happened: then a failure is an answer.
    pub(crate) is_failing: bool,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) seed: u64,
    pub(crate) true_ms: u64,
    pub(crate) keeps_links: bool,
    pub(crate) journals: Vec<String>,
    pub(crate) offsets: Vec<i64>,
    pub(crate) copies: Vec<Copy>,
    pub(crate) primary_place: Place,
    pub(crate) primary: Option<Box<dyn Primary>>,
    pub(crate) model: Model,
    pub(crate) tally: Tally,
    pub(crate) hash: blake3::Hasher,
    /// What the primary's ledger was seen to hold.
    pub(crate) looked: Looked,
    /// What is on its way, and who is cut off.
    pub(crate) wires: Wires,
    /// Accounts, where there are copies of a part, and what each of those holds and may see.
    pub(crate) office: Option<Office>,
    pub(crate) sights: BTreeMap<usize, Sight>,
    parts: Vec<Part>,
    /// Every state that rows were in, where copies of a part are told of some.
    pub(crate) states: Option<States>,
    /// The rows of the first version, likewise.
    pub(crate) first: Image,
    /// What was seen when some words were written.
    pub(crate) causes: Causes,
    /// What is known of review.
    pub(crate) reviews: Reviews,
    /// Replicas that began again from a snapshot.
    pub(crate) reseeded: BTreeSet<ReplicaId>,
    /// The lives of the primary.
    pub(crate) lives: Lives,
    /// Changes that programs made, for I-15.
    pub(crate) edits: u64,
    /// The latest that the primary's clock ever showed, in milliseconds.
    pub(crate) latest_ms: u64,
    /// What programs took from under links: while triggers or foreign keys were off, or where SQLite counted one link that
    /// leads nowhere for another.
    pub(crate) cut: BTreeSet<Aim>,
    /// True during a session with triggers or foreign keys off.
    pub(crate) is_blind: bool,
    /// Conflicts that a revert told one copy of: they do not travel.
    pub(crate) told: BTreeSet<u64>,
    files: u64,
    /// Commands that were given a replica.
    lent: u64,
}

/// Progress that nobody watches.
pub fn quiet(_: &str, _: u64, _: u64) {}

/// A failure that no answer explains.
pub fn unexpected(what: &str, error: &Error) -> Wrong {
    Wrong::new(Invariant::Calm, format!("{what} failed: {} {error}", error.code))
}

/// A failure of SQLite where the harness itself reads.
pub fn unreadable(error: rusqlite::Error) -> Wrong {
    Wrong::new(Invariant::Sound, format!("unreadable: {error}"))
}

/// Errors that are answers.
pub fn tolerate(what: &str, error: &Error) -> Verdict {
    let is_answer = matches!(error.kind, ErrorKind::Conflict | ErrorKind::Invalid | ErrorKind::NotFound) && error.code != "drift";
    if is_answer { Ok(()) } else { Err(unexpected(what, error)) }
}

/// The folder under which runs live: in memory where there is such a place.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder for temporary files can be made")
}

impl Place {
    pub(crate) fn new(path: PathBuf, machine: Arc<Machine>) -> Place {
        Place {
            path,
            machine,
            db: None,
            home: Home::default(),
            tables: Tables::default(),
            links: Links::default(),
            image: None,
            opened: 0,
            manner: None,
            log_last: None,
            is_synced: false,
        }
    }

    /// Closes what is open, before something is done to the file itself.
    pub(crate) fn close(&mut self) {
        self.db = None;
        *self.home.borrow_mut() = None;
    }

    /// The programs' connection.
    pub fn open(&mut self, keeps_links: bool, journal: Option<&str>) -> Verdict<&Connection> {
        if self.db.is_none() {
            let db = Connection::open(&self.path).map_err(unreadable)?;
            let is_on = if keeps_links { "ON" } else { "OFF" };
            let synced = if self.is_synced { "EXTRA" } else { "OFF" };
            db.execute_batch(&format!("PRAGMA synchronous = {synced}; PRAGMA foreign_keys = {is_on}")).map_err(unreadable)?;
            if let Some(journal) = journal {
                // A journal is changed where nobody else has the file open.
                *self.home.borrow_mut() = None;
                db.query_row(&format!("PRAGMA journal_mode = {journal}"), [], |_| Ok(())).map_err(unreadable)?;
            }
            db.set_prepared_statement_cache_capacity(400);
            // What a program binds does not have its statement prepared anew.
            db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(unreadable)?;
            (self.db, self.manner) = (Some(db), None);
            self.opened += 1;
        }
        Ok(self.db.as_ref().expect("it was just opened"))
    }

    /// The rows as they are now.
    pub fn read(&mut self, keeps_links: bool) -> Verdict<Image> {
        self.open(keeps_links, None)?;
        let db = self.db.as_ref().expect("it was just opened");
        image::read(db, &mut self.tables).map_err(unreadable)
    }

    /// The present moment of an open file.
    fn moment(&self) -> Verdict<Option<Moment>> {
        let Some(db) = &self.db else { return Ok(None) };
        let number = |sql: &str| db.prepare_cached(sql).and_then(|mut s| s.query_row([], |row| row.get(0))).map_err(unreadable);
        let (data, schema) = (number("PRAGMA main.data_version")?, number("PRAGMA main.schema_version")?);
        Ok(Some((self.opened, data, db.total_changes(), schema)))
    }

    /// The rows as last read.
    pub fn known(&mut self, keeps_links: bool) -> Verdict<Image> {
        match self.image.take() {
            Some(image) => Ok(image),
            None => self.read(keeps_links),
        }
    }
}

impl World {
    /// Tables made and filled, published, and cloned.
    pub fn begin(tape: &Tape) -> Verdict<World> {
        let folder = scratch();
        let setup = &tape.setup;
        let file = folder.path().join("primary").join(PRIMARY_FILE);
        mainstem_disk::install();
        let mut world = World {
            disk: setup.has_disk.then(|| Disk::over(folder.path())),
            is_failing: false,
            unread: None,
            seed: tape.seed,
            true_ms: MORNING,
            keeps_links: setup.keeps_links,
            journals: setup.journals.clone(),
            offsets: setup.offsets.clone(),
            copies: Vec::new(),
            primary_place: Place { is_synced: setup.has_disk, ..Place::new(file, Machine::new(MORNING, 0, tape.seed, 999)) },
            primary: None,
            model: Model::new(setup.is_still),
            tally: Tally { seeds: 1, ..Tally::default() },
            hash: blake3::Hasher::new(),
            looked: Looked::default(),
            wires: Wires::default(),
            lives: Lives::default(),
            causes: Causes::new(),
            reviews: Reviews::of(tape),
            reseeded: BTreeSet::new(),
            office: None,
            sights: BTreeMap::new(),
            parts: setup.parts.clone(),
            states: None,
            first: Image::new(),
            edits: 0,
            latest_ms: 0,
            cut: BTreeSet::new(),
            is_blind: false,
            told: BTreeSet::new(),
            files: 0,
            lent: 0,
            folder,
        };
        world.found(tape)?;
        if !setup.parts.is_empty() {
            world.open_office()?;
            let mut replica = world.replica(0)?;
            let (told, _) = world.call(None, 0, &mut replica, sync::pull, &Manners::CALM)?;
            told.map_err(|e| unexpected("the first sync", &e))?;
            drop(replica);
            world.states = Some(States::default());
            world.first = world.primary_image()?;
            world.look_at_versions()?;
        }
        for _ in 1..setup.copies {
            world.clone_one()?;
        }
        Ok(world)
    }

    fn found(&mut self, tape: &Tape) -> Verdict {
        let path = self.fresh_path();
        let place = Place { is_synced: self.disk.is_some(), ..Place::new(path.clone(), self.machine(0)) };
        let mut first = Copy { version: 1, ..Copy::new(place, 0) };
        let journal = self.journals.first().cloned();
        let db = first.place.open(self.keeps_links, None)?;
        if tape.setup.is_wide_text {
            db.execute_batch("PRAGMA encoding = 'UTF-16le'").map_err(unreadable)?;
            self.tally.reach(Situation::WideText);
        }
        if let Some(journal) = journal {
            db.query_row(&format!("PRAGMA journal_mode = {journal}"), [], |_| Ok(())).map_err(unreadable)?;
        }
        for statement in &tape.setup.schema {
            // A statement that its own tables refuse is part of the story.
            let _ = program::say(db, statement, &mut None);
        }
        learn(&mut self.model, self.keeps_links, first.place.db.as_ref().expect("it is open"))?;
        let image = first.place.read(self.keeps_links)?;
        self.model.note(Some(0), &Image::new(), &image, &mut self.tally);
        self.looked.words = image::words_of(&image);
        if image.values().any(|held| held.columns.len() >= rarities::COLUMNS_MANY) {
            self.tally.reach(Situation::ManyColumns);
        }
        let around = first.place.machine.clone();
        let options = InitOptions { actor: Some("a0".into()), ..InitOptions::default() };
        SqliteReplica::init(&path, &options, around.clone(), &mut quiet).map_err(|e| unexpected("init", &e))?;
        let mut replica = SqliteReplica::open(&path, around).map_err(|e| unexpected("open", &e))?;
        replica.publish(&self.primary_folder(), Some("world"), "a0", &mut quiet).map_err(|e| unexpected("publish", &e))?;
        drop(replica);
        first.committed = Some(image.clone());
        first.place.image = Some(image);
        self.copies.push(first);
        let mut policy = String::new();
        for (key, value) in &tape.setup.policy {
            policy = policy_text::set(&policy, key, value).map_err(|e| unexpected("the policy", &e))?;
        }
        self.set_policy(&policy)
    }

    /// A program made or altered tables: what they point to, and whether their rows have numbers, is noted.
    fn learn_tables(&mut self, who: Option<usize>) -> Verdict {
        let place = match who {
            Some(who) => &mut self.copies[who].place,
            None => &mut self.primary_place,
        };
        learn(&mut self.model, self.keeps_links, place.open(self.keeps_links, None)?)
    }

    /// The rows of a copy as they are now.
    pub fn rows_of(&mut self, who: usize) -> Verdict<Image> {
        let keeps_links = self.keeps_links;
        self.copies[who].place.read(keeps_links)
    }

    /// The primary's rows.
    pub(crate) fn primary_image(&mut self) -> Verdict<Image> {
        self.primary_place.read(self.keeps_links)
    }

    /// A path that no file had before.
    pub(crate) fn fresh_path(&mut self) -> PathBuf {
        self.files += 1;
        self.folder.path().join(format!("file{}.db", self.files))
    }

    pub(crate) fn primary_folder(&self) -> PathBuf {
        self.folder.path().join("primary")
    }

    fn machine(&self, number: usize) -> Arc<Machine> {
        let offset = self.offsets.get(number).copied().unwrap_or_default();
        Machine::new(self.true_ms, offset, self.seed, number as u64)
    }

    /// The primary, opened where it is not.
    pub(crate) fn serve(&mut self) -> Verdict<&mut dyn Primary> {
        if self.primary.is_none() {
            let around = self.primary_place.machine.clone();
            let opened =
                mainstem_sqlite::open_primary(&self.primary_folder(), around).map_err(|e| unexpected("opening the primary", &e))?;
            self.primary = Some(opened);
        }
        Ok(&mut **self.primary.as_mut().expect("it was just opened"))
    }

    /// A replica, opened as a command opens it, or open still from an earlier one.
    pub(crate) fn replica(&mut self, who: usize) -> Verdict<Lent> {
        let fail = |e: Error| unexpected("open", &e);
        self.lent += 1;
        let place = &self.copies[who].place;
        let kept = place.home.borrow_mut().take().filter(|_| !self.lent.is_multiple_of(FRESH_EVERY));
        let replica = match kept {
            Some(mut replica) => replica.look_again().map(|()| replica).map_err(fail)?,
            None => SqliteReplica::open(&place.path, place.machine.clone()).map_err(fail)?,
        };
        self.tally.check(Invariant::Triggers);
        let triggers = replica.capture_triggers().map_err(fail)?;
        // A copy of a part may have no table at all, or a program may have dropped the last one.
        if triggers == 0 && !self.copies[who].place.read(self.keeps_links)?.is_empty() {
            return Err(Wrong::new(Invariant::Triggers, format!("no capture: replica {who}")));
        }
        Ok(Lent::new(replica, &self.copies[who].place.home))
    }

    /// A new replica from the primary.
    pub(crate) fn clone_one(&mut self) -> Verdict {
        let number = self.copies.len();
        let (path, machine) = (self.fresh_path(), self.machine(number));
        let address = self.primary_folder().to_string_lossy().into_owned();
        let actor = format!("a{number}");
        let around = machine.clone();
        if let Some(part) = self.parts.iter().find(|part| part.who == number).cloned() {
            self.place_part(number, &part)?;
        }
        let scope = self.sights.get(&number).map_or_else(Scope::everything, |sight| sight.asked.clone());
        let wanted = CloneOptions { address: &address, actor: Some(&actor), scope: &scope };
        self.shown(number, |primary| SqliteReplica::clone_part(primary, &wanted, &path, around, &mut quiet))?
            .map_err(|e| unexpected("clone", &e))?;
        let mut place = Place { is_synced: self.disk.is_some(), ..Place::new(path, machine) };
        let journal = self.journals.get(number % self.journals.len().max(1)).cloned();
        place.open(self.keeps_links, journal.as_deref())?;
        let image = place.read(self.keeps_links)?;
        self.model.check_written(&Image::new(), &image, &mut self.tally).map_err(|wrong| wrong.at(format!("new clone {number}")))?;
        place.image = Some(image.clone());
        self.copies.push(Copy { committed: Some(image), ..Copy::new(place, number) });
        Ok(())
    }

    /// Time passes for everybody.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.true_ms += ms;
        self.tally.simulated_ms += ms;
        self.primary_place.machine.pass(ms);
        self.latest_ms = self.latest_ms.max(self.primary_place.machine.now_ms());
        self.copies.iter().for_each(|copy| copy.place.machine.pass(ms));
    }

    /// Does something to a copy's file that only its user can mean, and notes what that wrote and took away.
    pub(crate) fn noting<T>(&mut self, who: usize, work: impl FnOnce(&mut World) -> Verdict<T>) -> Verdict<T> {
        self.between(Some(who), true, work)
    }

    /// Does something to a copy's file that brings what others wrote, and checks what it shows then (I-4).
    pub(crate) fn receiving<T>(&mut self, who: usize, work: impl FnOnce(&mut World) -> Verdict<T>) -> Verdict<T> {
        self.between(Some(who), false, work)
    }

    /// Does something between two readings of a file. Where the disk fails meanwhile, the second comes when it works again.
    pub(crate) fn between<T>(&mut self, who: Option<usize>, is_noted: bool, work: impl FnOnce(&mut World) -> Verdict<T>) -> Verdict<T> {
        let keeps_links = self.keeps_links;
        let before = match who {
            Some(who) => self.copies[who].place.known(keeps_links)?,
            None => self.primary_image()?,
        };
        let moment = match who {
            Some(who) if !self.is_failing => self.copies[who].place.moment()?,
            _ => None,
        };
        let unread = Unread { who, is_noted, is_blind: self.is_blind, before, moment };
        if self.is_failing {
            self.unread = Some(unread);
            return work(self);
        }
        let done = work(self)?;
        self.read_after(unread)?;
        Ok(done)
    }

    /// The second reading.
    pub(crate) fn read_after(&mut self, unread: Unread) -> Verdict {
        let Unread { who, is_noted, is_blind, before, moment } = unread;
        if let Some(who) = who
            && moment.is_some()
            && self.copies[who].place.moment()? == moment
        {
            let copy = &mut self.copies[who];
            copy.place.image = Some(before);
            copy.committed = copy.committed.take().filter(|_| is_noted);
            return Ok(());
        }
        let after = match who {
            Some(who) => self.copies[who].place.read(self.keeps_links)?,
            None => self.primary_image()?,
        };
        if let (Some(who), true) = (who, is_blind) {
            let db = self.copies[who].place.open(self.keeps_links, None)?;
            self.cut.extend(links::gone(db, &before, &after).map_err(unreadable)?);
        }
        if is_noted {
            if after.iter().any(|(name, now)| before.get(name).is_none_or(|was| was.columns != now.columns)) {
                self.learn_tables(who)?;
            }
            let noted = self.model.note(who, &before, &after, &mut self.tally);
            self.edits += noted.rows as u64;
            if noted.rows >= rarities::QUEUE {
                self.tally.reach(Situation::LargeQueue);
            }
            if let Some(who) = who.filter(|_| !is_blind) {
                self.note_causes(who, noted.fresh, &after);
            }
            if who.is_none() {
                self.lives.taken_there.extend(&noted.gone);
            }
            if let (Some(who), true) = (who, self.office.is_some()) {
                self.copies[who].authored.extend(&noted.written);
            }
            if let Some(who) = who
                && self.copies[who].kept.is_some()
            {
                self.copies[who].since_kept.extend(noted.written);
                self.copies[who].taken_since_kept.extend(noted.gone);
            }
        } else {
            let place = who.map_or("the primary".to_owned(), |who| format!("replica {who}"));
            self.model.check_written(&before, &after, &mut self.tally).map_err(|wrong| wrong.at(place))?;
            if let Some(who) = who.filter(|_| !self.is_failing) {
                self.check_causes(who, &after)?;
            }
        }
        if let Some(who) = who {
            let copy = &mut self.copies[who];
            copy.place.image = Some(after);
            if !is_noted {
                // It stands on another base now; whoever knows that it has no work sets this anew.
                copy.committed = None;
            }
        }
        Ok(())
    }

    /// Adds to the hash by which two runs of one seed are compared.
    pub(crate) fn record(&mut self, what: impl AsRef<[u8]>) {
        self.hash.update(what.as_ref());
        self.hash.update(b"\n");
    }

    /// A version of a copy as it stands: it never goes back (I-20).
    pub(crate) fn stands(&mut self, who: usize, replica: &mut SqliteReplica) -> Verdict {
        let standing = replica.standing().map_err(|e| unexpected("standing", &e))?;
        self.tally.check(Invariant::Forwards);
        let copy = &mut self.copies[who];
        if let Some(known) = standing.known.filter(|known| known.epoch != copy.epoch) {
            // Numbers count within one life of the primary.
            (copy.epoch, copy.version) = (known.epoch, 0);
        }
        if standing.base_version < copy.version {
            let why = format!("went back: replica {who} from version {} to {}", copy.version, standing.base_version);
            return Err(Wrong::new(Invariant::Forwards, why));
        }
        copy.version = standing.base_version;
        if let Some(known) = standing.known {
            self.remember(&known)?;
        }
        self.record(format!("{} {} {}", standing.base_version, standing.unsent, standing.conflicts_open));
        Ok(())
    }
}
