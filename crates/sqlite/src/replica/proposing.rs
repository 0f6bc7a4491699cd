//! Changesets that are kept for review: their marks, what is drawn up of them to be offered, and how they go.
//!
//! Invariant: what is kept is laid on the rows in the order of the changesets, as everything unsent is; only sending differs.
//! Invariant: what is drawn up is no changeset of this replica until it is known to be taken; what it was made of stays.
mod apart;
mod drawing;
mod narrowing;

use super::receive::{Taking, note_renumbered};
use super::{SqliteReplica, storage, transact};
use crate::errors::Explain;
use mainstem::core::ErrorKind;
use mainstem::core::change::{Change, Front, RenumberedHere};
use mainstem::core::event::Digest;
use mainstem::core::format;
use mainstem::core::proposal::Stage;
use mainstem::core::stamp::ReplicaId;
use mainstem::error::{Error, Result};
use mainstem::primary::Pages;
use mainstem::proposing::{Apart, Draft, Drawn, Kept, Mark, Proposing};
use mainstem::wiring::Around;
pub(super) use narrowing::{acknowledge, narrow_to_rows};
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, HashSet};

fn mark_text(mark: &Mark) -> String {
    match mark {
        Mark::Waiting => "waiting".to_owned(),
        Mark::Left => "left".to_owned(),
        Mark::Refused(policy) => format!("refused {}", policy.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        Mark::Offered { proposal, revision, stage } => format!("offered {proposal} {revision} {}", stage.name()),
    }
}

fn mark_of(text: &str) -> Result<Mark> {
    let words: Vec<&str> = text.split(' ').collect();
    let offered = |proposal: &str, revision: &str, stage: &str| {
        Some(Mark::Offered { proposal: proposal.parse().ok()?, revision: revision.parse().ok()?, stage: Stage::parse(stage)? })
    };
    let mark = match words[..] {
        ["waiting"] => Some(Mark::Waiting),
        ["left"] => Some(Mark::Left),
        ["refused", policy] => digest_of(policy).map(Mark::Refused),
        ["offered", proposal, revision, stage] => offered(proposal, revision, stage),
        _ => None,
    };
    mark.ok_or_else(|| Error::corrupt("a mark in the replica's own tables is damaged"))
}

fn digest_of(text: &str) -> Option<Digest> {
    let bytes = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok());
    bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()
}

fn set_mark(db: &Connection, write_id: u128, mark: &Mark) -> Result<()> {
    storage::set_kept(db, write_id, &mark_text(mark))
}

/// What is kept, oldest first.
fn kept(db: &Connection) -> Result<Vec<Kept>> {
    let mut kept = Vec::new();
    for front in storage::changesets(db)? {
        if let Some(mark) = storage::kept(db, front.header.write_id)? {
            kept.push(Kept { front, mark: mark_of(&mark)? });
        }
    }
    Ok(kept)
}

/// This copy has another identity: what was not offered yet is its own from now on.
pub(super) fn go_on_as(db: &Connection, fresh: ReplicaId) -> Result<()> {
    for Kept { mut front, mark } in kept(db)? {
        if mark.is_waiting() {
            front.header.replica = fresh;
            storage::set_front(db, &front)?;
        }
    }
    Ok(())
}

/// What was drawn up: its front, the proposal that it revises, and the changesets that it was made of.
struct Draught {
    front: Front,
    revises: Option<u64>,
    of: Vec<u128>,
}

fn draught(db: &Connection) -> Result<Option<Draught>> {
    let Some(front) = storage::get::<Vec<u8>>(db, "drawn")? else { return Ok(None) };
    let of: Vec<u8> = storage::get(db, "drawn_of")?.unwrap_or_default();
    let revises = storage::get::<i64>(db, "drawn_revises")?.map(|id| id as u64);
    let of = of.as_chunks::<16>().0.iter().map(|id| u128::from_be_bytes(*id)).collect();
    Ok(Some(Draught { front: format::front::decode(&front)?, revises, of }))
}

/// True for what is drawn up and not known to be taken.
pub(super) fn is_drawn(db: &Connection, write_id: u128) -> Result<bool> {
    Ok(draught(db)?.is_some_and(|draught| draught.front.header.write_id == write_id))
}

/// What is drawn up and not known to be taken.
pub(super) fn drawn_id(db: &Connection) -> Result<Option<u128>> {
    Ok(draught(db)?.map(|draught| draught.front.header.write_id))
}

/// What is drawn up stands on another version from now on, as what it was made of does.
pub(super) fn mend_drawn(db: &Connection, mend: &mut dyn FnMut(&mut Front) -> Result<()>) -> Result<()> {
    let Some(mut draught) = draught(db)? else { return Ok(()) };
    mend(&mut draught.front)?;
    put_draught(db, &draught)
}

/// Forgets a changeset that was accepted as it is; one that was drawn up goes with what it was made of.
pub(super) fn drop_accepted(db: &Connection, write_id: u128) -> Result<()> {
    if let Some(draught) = draught(db)?.filter(|draught| draught.front.header.write_id == write_id) {
        take_its_place(db, &draught, &Mark::Waiting)?;
    }
    storage::drop_changeset(db, write_id).map(drop)
}

fn put_draught(db: &Connection, draught: &Draught) -> Result<()> {
    storage::put(db, "drawn", format::front::encode(&draught.front))?;
    storage::put(db, "drawn_of", draught.of.iter().flat_map(|id| id.to_be_bytes()).collect::<Vec<u8>>())?;
    storage::put(db, "drawn_revises", draught.revises.map(|id| id as i64))
}

/// Forgets that something was drawn up, but not its pages.
fn forget_draught(db: &Connection) -> Result<()> {
    db.execute("DELETE FROM mainstem_meta WHERE name IN ('drawn', 'drawn_of', 'drawn_revises')", []).on(db).map(drop)
}

/// What was drawn up takes the place of what it was made of.
fn take_its_place(db: &Connection, draught: &Draught, mark: &Mark) -> Result<()> {
    // Where it was made of, since what was edited after it was drawn up builds on it.
    let last = draught.of.last().copied().unwrap_or_default();
    storage::add_changeset_after(db, last, &draught.front)?;
    for write_id in &draught.of {
        storage::drop_changeset(db, *write_id)?;
    }
    set_mark(db, draught.front.header.write_id, mark)?;
    made_anew(db, draught)?;
    forget_draught(db)
}

/// Rows of what it was made of are made under the numbers with which it was drawn up: nobody needs to know what they were called
/// before, only what they have been called since.
fn made_anew(db: &Connection, draught: &Draught) -> Result<()> {
    let own = draught.front.header.write_id;
    let since = |here: &RenumberedHere| {
        let is_it =
            |of: &&RenumberedHere| of.made_by == own && of.row.table.eq_ignore_ascii_case(&here.row.table) && of.row.to == here.row.to;
        draught.front.renumbered_here.iter().find(is_it).cloned()
    };
    for mut front in storage::changesets(db)? {
        let before = std::mem::take(&mut front.renumbered_here);
        let told = before.iter().filter_map(|here| if draught.of.contains(&here.made_by) { since(here) } else { Some(here.clone()) });
        front.renumbered_here = told.collect();
        if front.renumbered_here != before {
            storage::set_front(db, &front)?;
        }
    }
    Ok(())
}

/// What is drawn up follows where a number moves in what it was made of, or in what came before: it is to take its place.
pub(super) fn follow(
    db: &Connection,
    fronts: &[Front],
    rewrite: &mut dyn FnMut(&Front) -> Result<Front>,
    here: &[RenumberedHere],
) -> Result<()> {
    let Some(mut draught) = draught(db)? else { return Ok(()) };
    if !fronts.iter().any(|front| draught.of.contains(&front.header.write_id)) {
        return Ok(());
    }
    draught.front = rewrite(&draught.front)?;
    let own = draught.front.header.write_id;
    for once_more in here {
        let made_by = if draught.of.contains(&once_more.made_by) { own } else { once_more.made_by };
        note_renumbered(&mut draught.front.renumbered_here, &RenumberedHere { made_by, ..once_more.clone() });
    }
    put_draught(db, &draught)
}

fn pages<'c>(db: &'c Connection, front: &Front) -> storage::StoredPages<'c> {
    storage::StoredPages { db, front: front.clone(), next: 0 }
}

fn each_change(db: &Connection, front: &Front, visit: &mut dyn FnMut(Change) -> Result<()>) -> Result<()> {
    let mut pages = pages(db, front);
    while let Some(changes) = pages.next()? {
        changes.into_iter().try_for_each(&mut *visit)?;
    }
    Ok(())
}

/// Takes the changes of a proposal and later ones of its rows out of what is laid on the rows, and puts them aside.
fn take_back(db: &Connection, around: &Around, proposal: u64) -> Result<u64> {
    let mut taking = Taking::begin(db, around, HashSet::new())?;
    apart::set_apart(db, around, Apart::Reviewed)?;
    let kept = kept(db)?;
    let (meant, others): (Vec<Kept>, Vec<Kept>) = kept.into_iter().partition(|kept| kept.mark.proposal() == Some(proposal));
    if meant.is_empty() {
        let message = format!("nothing of proposal {proposal} is kept here");
        return Err(Error::not_found(message).hint("mainstem status"));
    }
    if meant.iter().any(|kept| !kept.front.schema.is_empty()) {
        let message = format!("proposal {proposal} changes the tables themselves, which cannot be put aside");
        return Err(Error::new(ErrorKind::Conflict, "schema_changed", message).hint("mainstem propose, with the tables as they should be"));
    }
    taking.undo(&storage::changesets(db)?)?;
    let mut count = 0;
    let mut rows = apart::rows_of(db, &meant)?;
    for Kept { front, .. } in others.into_iter().filter(|kept| kept.mark.is_waiting()) {
        count += apart::put_aside(db, around, front, &mut rows)?;
    }
    for Kept { mut front, .. } in meant {
        count += front.count;
        // Under another name, for what was offered may be merged all the same.
        let id = std::mem::replace(&mut front.header.write_id, around.random());
        let names = params![id.to_be_bytes(), front.header.write_id.to_be_bytes()];
        db.execute("UPDATE mainstem_page SET write_id = ?2 WHERE write_id = ?1", names).on(db)?;
        apart::stash(db, &mut front, &format!("withdrawn proposal {proposal}"))?;
        storage::drop_changeset(db, id)?;
    }
    taking.end()?;
    Ok(count)
}

impl SqliteReplica {
    /// Remembers what was shown of a proposal last: its revision and what merging it would do.
    pub fn note_shown(&mut self, proposal: u64, revision: u64, digest: &Digest) -> Result<()> {
        let db = &self.db;
        let value = [&revision.to_be_bytes()[..], digest].concat();
        transact(db, || storage::put(db, &format!("shown:{proposal}"), value))
    }

    /// What was shown of a proposal last.
    pub fn shown(&self, proposal: u64) -> Result<Option<(u64, Digest)>> {
        let Some(value) = storage::get::<Vec<u8>>(&self.db, &format!("shown:{proposal}"))? else { return Ok(None) };
        let damaged = || Error::corrupt("what was shown of a proposal is damaged in the replica's own tables");
        let (revision, digest) = value.split_first_chunk::<8>().ok_or_else(damaged)?;
        Ok(Some((u64::from_be_bytes(*revision), digest.try_into().map_err(|_| damaged())?)))
    }
}

impl Proposing for SqliteReplica {
    fn set_apart(&mut self, which: Apart) -> Result<u64> {
        let (db, around) = (&self.db, &self.around);
        if !apart::is_needed(db, which)? {
            return Ok(0);
        }
        transact(db, || apart::set_apart(db, around, which))
    }
    fn kept(&mut self) -> Result<Vec<Kept>> {
        kept(&self.db)
    }
    fn waiting_for_review(&mut self) -> Result<Vec<(String, u64)>> {
        let db = &self.db;
        let mut waiting: BTreeMap<String, u64> = BTreeMap::new();
        for Kept { front, .. } in kept(db)?.into_iter().filter(|kept| kept.mark.is_waiting()) {
            each_change(db, &front, &mut |change| {
                *waiting.entry(front.shapes[change.table].table.clone()).or_default() += 1;
                Ok(())
            })?;
            for table in front.schema.iter().filter_map(mainstem::schema_merge::table_of) {
                *waiting.entry(table.to_owned()).or_default() += 1;
            }
        }
        Ok(waiting.into_iter().collect())
    }
    fn edited_again(&mut self) -> Result<Vec<u64>> {
        let db = &self.db;
        transact(db, || apart::edited_again(db))
    }
    fn draw_up(&mut self, draft: &Draft) -> Result<bool> {
        let (db, around) = (&self.db, &self.around);
        transact(db, || drawing::draw_up(db, around, draft))
    }
    fn drawn(&mut self) -> Result<Option<Drawn<'_>>> {
        let db = &self.db;
        let Some(Draught { front, revises, .. }) = draught(db)? else { return Ok(None) };
        let pages = Box::new(pages(db, &front));
        let direct = storage::unsent(db)?.into_iter().next();
        let direct = direct.map(|front| -> (Front, Box<dyn Pages + '_>) {
            let pages = Box::new(self::pages(db, &front));
            (front, pages)
        });
        Ok(Some(Drawn { revises, front, pages, direct }))
    }
    fn note_offered(&mut self, proposal: u64, revision: u64) -> Result<()> {
        let db = &self.db;
        transact(db, || match draught(db)? {
            Some(draught) => take_its_place(db, &draught, &Mark::Offered { proposal, revision, stage: Stage::Open }),
            None => Err(Error::internal("nothing is drawn up")),
        })
    }
    fn note_refused(&mut self) -> Result<()> {
        let db = &self.db;
        transact(db, || {
            if let Some(draught) = draught(db)? {
                storage::drop_changeset(db, draught.front.header.write_id)?;
            }
            forget_draught(db)
        })
    }
    fn note_left(&mut self, write_id: u128, found: Option<(u64, u64)>) -> Result<()> {
        let db = &self.db;
        let mark = match found {
            Some((proposal, revision)) => Mark::Offered { proposal, revision, stage: Stage::Open },
            None => Mark::Waiting,
        };
        transact(db, || set_mark(db, write_id, &mark))
    }
    fn note_stage(&mut self, proposal: u64, stage: Stage) -> Result<()> {
        let db = &self.db;
        transact(db, || {
            for kept in kept(db)? {
                if let Mark::Offered { proposal: id, revision, .. } = kept.mark
                    && id == proposal
                {
                    set_mark(db, kept.front.header.write_id, &Mark::Offered { proposal, revision, stage })?;
                }
            }
            Ok(())
        })
    }
    fn take_back(&mut self, proposal: u64) -> Result<u64> {
        let (db, around) = (&self.db, &self.around);
        transact(db, || take_back(db, around, proposal))
    }
}
