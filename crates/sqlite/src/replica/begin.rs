//! How a replica begins and ends: init and deinit, publish and clone.
use super::cloning::{self, Cloned, Earlier, Making};
use super::{SqliteReplica, compare, reidentify, storage, tracked_schema, transact, working};
use crate::capture;
use crate::connection::{self, FileIdentity};
use crate::errors::{Explain, display_name, shell_word};
use crate::part;
use crate::primary::FolderPlace;
use mainstem::core::ErrorKind;
use mainstem::core::event::{Digest, Version};
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::Table;
use mainstem::core::scope::Scope;
use mainstem::datasets::Place;
use mainstem::error::{Error, Result};
use mainstem::local::Founding;
use mainstem::policy_text;
use mainstem::primary::{Description, Primary};
use mainstem::replica::{Progress, Replica};
use mainstem::wiring::Around;
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;

/// How often a clone begins anew because what it was of is not to be had any more.
const BEGINNINGS_MAX: u32 = 8;

/// How to begin tracking.
#[derive(Clone, Debug, Default)]
pub struct InitOptions {
    /// Track only these tables; all where empty.
    pub tables: Vec<String>,
    /// Leave these tables out.
    pub exclude: Vec<String>,
    /// The actor to configure in the replica.
    pub actor: Option<String>,
}

/// How to begin from a primary.
#[derive(Clone, Copy, Debug)]
pub struct CloneOptions<'a> {
    /// Remembered as the remote.
    pub address: &'a str,
    /// The actor to configure in the replica.
    pub actor: Option<&'a str>,
    /// What the primary was asked for, and is asked for from now on.
    pub scope: &'a Scope,
}

/// A table whose rows do not travel: its name, why, what to do.
pub type RefusedTable = (String, String, String);

/// What init found and did.
#[derive(Clone, Debug, Default)]
pub struct InitReport {
    /// Tables tracked, with their row counts.
    pub tracked: Vec<(String, u64)>,
    /// Tables whose rows do not travel: name, why, what to do.
    pub refused: Vec<RefusedTable>,
    /// Policy lines proposed from column names (`updated_at` as `max`).
    pub proposed_policy: Vec<(String, String)>,
    /// Foreign keys from a tracked table to one that is in the file and not tracked: child, parent.
    pub loose_links: Vec<(String, String)>,
    /// True where the file was tracked before.
    pub already: bool,
    /// Of a file that was tracked before: tables that were not yet, and are now.
    pub fresh: Vec<String>,
}

/// The name a dataset gets from its file.
fn dataset_name(path: &Path) -> String {
    path.file_stem().map_or_else(|| "dataset".to_owned(), |s| s.to_string_lossy().into_owned())
}

/// The tables to track, and those that are refused.
fn choose(db: &Connection, options: &InitOptions) -> Result<(Vec<Table>, Vec<RefusedTable>)> {
    let read = crate::schema::read(db)?;
    let mut refused: Vec<RefusedTable> = read.refused.into_iter().map(|r| (r.table, r.why, r.hint)).collect();
    let mut chosen = Vec::new();
    let all: Vec<String> = read.schema.tables.iter().map(|t| t.name.clone()).collect();
    let is_in = |list: &[String], name: &str| list.iter().any(|n| n.eq_ignore_ascii_case(name));
    for table in read.schema.tables {
        if is_in(&options.exclude, &table.name) || (!options.tables.is_empty() && !is_in(&options.tables, &table.name)) {
            continue;
        }
        let nulls = crate::schema::null_keys(db, &table)?;
        if nulls > 0 && !planted::is(Bug::C1) {
            let key: Vec<&str> = table.key.iter().map(|&k| table.columns[k].name.as_str()).collect();
            refused.push((
                table.name.clone(),
                format!("{nulls} of its rows have NULL in the key ({})", key.join(", ")),
                "give those rows a key, then: mainstem init FILE".into(),
            ));
        } else {
            chosen.push(table);
        }
    }
    let is_there = |name: &str| all.iter().chain(refused.iter().map(|(n, ..)| n)).any(|n| n.eq_ignore_ascii_case(name));
    for name in options.tables.iter().chain(&options.exclude) {
        if chosen.iter().any(|t| t.name.eq_ignore_ascii_case(name)) || (is_in(&options.exclude, name) && is_there(name)) {
            continue;
        }
        let what = match refused.iter().find(|(n, ..)| n.eq_ignore_ascii_case(name)) {
            Some((_, why, hint)) => Error::invalid(format!("table {name} cannot be tracked: {why}")).hint(hint.clone()),
            None if read.schema.objects.iter().any(|o| o.kind == "view" && o.name.eq_ignore_ascii_case(name)) => {
                Error::invalid(format!("{name} is a view, not a table")).hint("name the tables the view reads from")
            }
            None => Error::not_found(format!("there is no table {name}; the tables are {}", all.join(", ")))
                .hint("mainstem init FILE, without --table or --exclude, tracks every table that can be"),
        };
        return Err(what);
    }
    refused.retain(|(name, ..)| !is_in(&options.exclude, name));
    Ok((chosen, refused))
}

fn loose_links(db: &Connection, tracked: &[Table]) -> Result<Vec<(String, String)>> {
    let sql = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND lower(name) = lower(?1)";
    let mut found = Vec::new();
    for (child, link) in tracked.iter().flat_map(|t| t.foreign_keys.iter().map(move |k| (t, k))) {
        if !tracked.iter().any(|t| t.name.eq_ignore_ascii_case(&link.parent)) {
            let parent: Option<String> = db.query_row(sql, [&link.parent], |r| r.get(0)).optional().on(db)?;
            found.extend(parent.map(|parent| (child.name.clone(), parent)));
        }
    }
    Ok(found)
}

/// Init of a file that is tracked: takes the tables that can be tracked now and could not before.
fn again(
    db: &Connection,
    path: &Path,
    options: &InitOptions,
    around: Around,
    refused: Vec<(String, String, String)>,
) -> Result<InitReport> {
    let before = capture::tracked(db)?;
    transact(db, || capture::look_again(db))?;
    SqliteReplica::open(path, around)?;
    let now = capture::tracked(db)?;
    let is_in = |list: &[String], name: &str| list.iter().any(|n| n.eq_ignore_ascii_case(name));
    let is_otherwise = |name: &&String| is_in(&options.tables, name) != is_in(&now, name);
    if let Some(name) = options.tables.iter().chain(&options.exclude).find(is_otherwise) {
        let (file, option) = if is_in(&now, name) { ("with", "--exclude") } else { ("without", "--table") };
        let shown = shell_word(&path.to_string_lossy());
        return Err(Error::new(ErrorKind::Conflict, "tracked", format!("{} is tracked already, {file} table {name}", display_name(path)))
            .hint(format!("mainstem deinit {shown}, then: mainstem init {shown} {option} {}", shell_word(name))));
    }
    let fresh = now.iter().filter(|t| !is_in(&before, t)).cloned().collect();
    Ok(InitReport { tracked: now.into_iter().map(|t| (t, 0)).collect(), refused, already: true, fresh, ..InitReport::default() })
}

impl SqliteReplica {
    /// Starts tracking a file in place.
    pub fn init(path: &Path, options: &InitOptions, around: Around, progress: Progress<'_>) -> Result<InitReport> {
        let db = connection::open_user(path)?;
        let (tables, refused) = choose(&db, options)?;
        if storage::is_tracked(&db)? {
            return again(&db, path, options, around, refused);
        }
        if let Some(first) = crate::schema::reserved(&db)?.into_iter().next() {
            return Err(Error::new(
                ErrorKind::Invalid,
                "reserved",
                format!("{} cannot be tracked: {} ({})", display_name(path), first.why, first.table),
            )
            .hint(first.hint));
        }
        if tables.is_empty() {
            let why = refused.first().map_or_else(|| "it has no tables".to_owned(), |(n, w, _)| format!("table {n}: {w}"));
            return Err(Error::invalid(format!("{} has no table that can be tracked ({why})", display_name(path)))
                .hint(refused.first().map_or_else(|| "make a table with a primary key first".to_owned(), |(_, _, h)| h.clone())));
        }
        let columns: Vec<(String, Vec<String>)> = tables.iter().map(|t| (t.name.clone(), t.column_names())).collect();
        let proposed_policy = policy_text::propose(columns.iter().map(|(t, c)| (t.as_str(), c.as_slice())));
        let mut policy = String::new();
        for (key, value) in &proposed_policy {
            policy = policy_text::set(&policy, key, value)?;
        }
        let place = FileIdentity::of(path)?;
        let tracked = transact(&db, || {
            storage::create(&db)?;
            capture::install(&db, &tables, options.tables.is_empty())?;
            capture::leave_out(&db, &options.exclude)?;
            reidentify(&db, &around)?;
            storage::put(&db, "place", format!("{}:{}", place.device, place.inode))?;
            storage::put(&db, "dataset", dataset_name(path))?;
            storage::put(&db, "policy", &policy)?;
            if let Some(actor) = &options.actor {
                storage::put(&db, "actor", actor)?;
            }
            let digests = compare::count(&db, progress)?;
            storage::set_digests(&db, &digests)?;
            Ok(digests)
        })?;
        let tracked = tables.iter().map(|t| (t.name.clone(), tracked.iter().find(|d| d.table == t.name).map_or(0, |d| d.rows))).collect();
        Ok(InitReport { tracked, refused, proposed_policy, loose_links: loose_links(&db, &tables)?, ..InitReport::default() })
    }

    /// Stops tracking: removes every `mainstem_` object. Refuses to drop unsent work unless `force`.
    pub fn deinit(path: &Path, force: bool, around: Around) -> Result<()> {
        let mut replica = SqliteReplica::open(path, around)?;
        let standing = replica.standing()?;
        // What is kept for review is work that the primary does not have, too.
        let unsent = storage::changesets(&replica.db)?.len() as u64 + u64::from(working::is_changed(&replica.db)?);
        if !force && standing.remote.is_some() && unsent > 0 {
            return Err(Error::new(ErrorKind::Conflict, "unsent", format!("{} has changes the primary does not have", display_name(path)))
                .hint("mainstem sync (or, to keep them in this file only: mainstem deinit --force)"));
        }
        transact(&replica.db, || capture::remove(&replica.db))
    }

    /// Makes a primary from this replica in a folder that is empty or not there.
    pub fn publish(&mut self, folder: &Path, dataset: Option<&str>, actor: &str, progress: Progress<'_>) -> Result<Description> {
        let mut place = FolderPlace::new(folder, self.around.clone());
        self.publish_at(&mut place, dataset, actor, progress)
    }

    /// Makes a primary from this replica where there is none.
    ///
    /// Safe to repeat: where an earlier try got as far as the primary but not back here, its primary is taken.
    pub fn publish_at(&mut self, place: &mut dyn Place, dataset: Option<&str>, actor: &str, progress: Progress<'_>) -> Result<Description> {
        if let Some(remote) = storage::get::<String>(&self.db, "remote")? {
            return Err(Error::new(
                ErrorKind::Conflict,
                "published",
                format!("{} has a primary already: {remote}", display_name(&self.path)),
            )
            .hint("mainstem sync"));
        }
        let lineage = match storage::get_wide(&self.db, "publishing")? {
            Some(lineage) => lineage,
            None => self.around.random(),
        };
        storage::put(&self.db, "publishing", lineage.to_be_bytes())?;
        if let Some(dataset) = dataset {
            storage::put(&self.db, "dataset", dataset)?;
        }
        self.commit(actor, None, "")?;
        let name = storage::get::<String>(&self.db, "dataset")?.unwrap_or_default();
        let (end, mut primary) = self.found(place, lineage, &name, actor, progress)?;
        let description = primary.describe()?;
        let address = place.address()?;
        let event = primary.version(1)?.ok_or_else(|| Error::corrupt("the new primary has no first version"))?;
        let hash = event_hash(&mut *primary, &description)?;
        let db = &self.db;
        transact(db, || {
            match end {
                Some(end) => capture::clear(db, end)?,
                // The rows that were published are known only to the primary now: every table is compared with it.
                None => {
                    capture::clear(db, capture::end(db)?)?;
                    for table in &tracked_schema(db)?.tables {
                        storage::add_gap(db, &table.name)?;
                    }
                }
            }
            db.execute_batch("DELETE FROM mainstem_base; DELETE FROM mainstem_changeset; DELETE FROM mainstem_page; DELETE FROM mainstem_step; DELETE FROM mainstem_resolution; DELETE FROM mainstem_meta WHERE name = 'publishing';").on(db)?;
            attach(db, &description, &address, &event, &hash)?;
            storage::set_digests(db, &event.tables)?;
            storage::put(db, "sequence", 0)
        })?;
        if self.needs_reconcile()? {
            self.reconcile(&mut *primary, progress)?;
        }
        mainstem::sync::tell(self, &mut *primary, actor)?;
        primary.describe()
    }

    /// The primary that an earlier try made; none where it made none.
    fn found_before(&self, place: &mut dyn Place, lineage: u128, actor: &str) -> Result<Option<Box<dyn Primary>>> {
        let mut there = match place.open() {
            Ok(there) => there,
            Err(e) if e.code == "no_primary" => return Ok(None),
            Err(e) => return Err(e),
        };
        let description = there.describe()?;
        if description.lineage != lineage {
            let message = format!("{} holds a primary already (dataset {})", place.address()?, description.dataset);
            return Err(Error::new(ErrorKind::Conflict, "occupied", message).hint("choose another address, or mainstem clone that one"));
        }
        // The policy may have been set here after an earlier try made the primary.
        let policy = super::kept_policy(&self.db)?;
        if description.policy != policy {
            there.set_policy(&policy, actor)?;
        }
        Ok(Some(there))
    }

    /// Makes the primary, and says up to where capture's log is in it; no place where the primary was there already.
    fn found(
        &mut self,
        place: &mut dyn Place,
        lineage: u128,
        dataset: &str,
        actor: &str,
        progress: Progress<'_>,
    ) -> Result<(Option<i64>, Box<dyn Primary>)> {
        if let Some(there) = self.found_before(place, lineage, actor)? {
            return Ok((None, there));
        }
        let db = &self.db;
        connection::begin_read(db)?;
        let made = (|| {
            let schema = tracked_schema(db)?;
            let founding = Founding { dataset, actor, lineage, schema: &schema, policy: &super::kept_policy(db)? };
            let total: u64 = storage::digests(db)?.iter().map(|d| d.rows).sum();
            let mut done = 0;
            place.found(&founding, &mut |take| {
                for (position, table) in schema.tables.iter().enumerate() {
                    capture::scan(db, table, &mut |row| {
                        done += 1;
                        if done % 10_000 == 0 {
                            progress("publishing rows", done, total);
                        }
                        take(position, &row)
                    })?;
                }
                Ok(())
            })?;
            capture::end(db)
        })();
        connection::roll_back(db);
        let end = made?;
        Ok((Some(end), place.open()?))
    }

    /// Makes a new replica file from a primary. The file must not exist. `address` is remembered as the remote.
    pub fn clone_from(
        primary: &mut dyn Primary,
        address: &str,
        path: &Path,
        actor: Option<&str>,
        around: Around,
        progress: Progress<'_>,
    ) -> Result<Description> {
        let wanted = CloneOptions { address, actor, scope: &Scope::everything() };
        SqliteReplica::clone_part(primary, &wanted, path, around, progress).map(|cloned| cloned.description)
    }

    /// Makes a new replica file from what a primary shows of itself. The file must not exist. Where an earlier try was cut off,
    /// its rows are taken where they are still those of the primary's latest version, and thrown away where not.
    pub fn clone_part(
        primary: &mut dyn Primary,
        wanted: &CloneOptions<'_>,
        path: &Path,
        around: Around,
        progress: Progress<'_>,
    ) -> Result<Cloned> {
        if path.exists() {
            return Err(Error::new(ErrorKind::Conflict, "exists", format!("{} exists already", path.display()))
                .hint("choose another name, or move the file away"));
        }
        let part = part::name(path);
        let mut making = Making::at(&part)?;
        let had_rows = making.rows();
        if !making.is_of(primary)? {
            making = anew(making, &part, progress)?;
        }
        for _ in 0..BEGINNINGS_MAX {
            let rows = making.rows();
            match making.fill(primary, wanted, path, &around, progress) {
                Ok(description) => {
                    part::put_in_place(&part, path)?;
                    // From here on the primary keeps what this replica will ask for.
                    mainstem::sync::tell(&mut SqliteReplica::open(path, around)?, primary, wanted.actor.unwrap_or_default())?;
                    let earlier = match (had_rows, rows) {
                        (0, _) => Earlier::Nothing,
                        (_, 0) => Earlier::GivenUp,
                        (_, rows) => Earlier::Taken { rows },
                    };
                    return Ok(Cloned { description, earlier });
                }
                // A snapshot that was broken off and is not to be had any more: others have written since.
                Err(e) if e.code == "moved_on" => making = anew(Making::at(&part)?, &part, progress)?,
                Err(e) if e.kind == ErrorKind::Unavailable && cloning::is_worth_keeping(&part) => return Err(e),
                Err(e) => {
                    part::clear(&part);
                    return Err(e);
                }
            }
        }
        part::clear(&part);
        Err(Error::new(ErrorKind::Unavailable, "moved_on", "others write faster than a copy over this line can be made")
            .hint("run the same command again when less is written"))
    }
}

/// Begins again from nothing.
fn anew(making: Making, part: &Path, progress: Progress<'_>) -> Result<Making> {
    progress("cloning rows, from the beginning", 0, 0);
    drop(making);
    part::clear(part);
    Making::at(part)
}

fn event_hash(primary: &mut dyn Primary, description: &Description) -> Result<Digest> {
    primary.version_hash(1)?.ok_or_else(|| Error::corrupt(format!("dataset {} has no first version", description.dataset)))
}

/// Notes which primary this replica belongs to and which version it holds.
pub(super) fn attach(db: &Connection, description: &Description, address: &str, event: &Version, hash: &Digest) -> Result<()> {
    storage::put(db, "lineage", description.lineage.to_be_bytes())?;
    storage::put(db, "epoch", description.epoch.to_be_bytes())?;
    storage::put(db, "version", event.version as i64)?;
    storage::put(db, "hash", hash)?;
    storage::set_first(db, event, hash)?;
    storage::put(db, "dataset", &description.dataset)?;
    storage::put(db, "remote", address)?;
    storage::put(db, "policy", &description.policy)?;
    storage::put(db, "scope_mark", description.scope)?;
    storage::put(db, "inbox_pages", 0)
}
