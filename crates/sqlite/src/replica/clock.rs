//! The replica's hybrid clock, and what to do when the machine's clock was wrong.
//!
//! Invariant: a stamp given here is later than every stamp heard before. A wall clock that ran ahead poisons nothing once it
//! is right again: stamps that were not sent yet are brought back to now.
use super::storage;
use mainstem::core::change::{Change, Edit, Front};
use mainstem::core::format::page;
use mainstem::core::planted::{self, Bug};
use mainstem::core::stamp::Time;
use mainstem::error::Result;
use mainstem::primary::Pages;
use mainstem::wiring::Around;
use rusqlite::Connection;

/// How far ahead of the wall a stamp may be before the clock that gave it is taken to have been wrong.
const AHEAD_MS_MAX: u64 = 60_000;

/// The latest stamp heard or given.
pub fn latest(db: &Connection) -> Result<Time> {
    let heard = Time(storage::get::<i64>(db, "clock")?.unwrap_or_default().cast_unsigned());
    Ok(if planted::is(Bug::G1) { Time(0) } else { heard })
}

/// Notes a stamp heard or given.
pub fn hear(db: &Connection, time: Time) -> Result<()> {
    if time > latest(db)? { set(db, time) } else { Ok(()) }
}

fn set(db: &Connection, time: Time) -> Result<()> {
    storage::put(db, "clock", time.0.cast_signed())
}

/// The time of a local edit made now.
pub fn now(db: &Connection, around: &Around) -> Result<Time> {
    Ok(latest(db)?.tick(around.now_ms()))
}

/// True where a stamp was given while the machine's clock ran ahead.
pub fn is_ahead(db: &Connection, around: &Around) -> Result<bool> {
    Ok(latest(db)?.ms() > around.now_ms() + AHEAD_MS_MAX)
}

/// Brings stamps that were given while the machine's clock ran ahead back to now.
pub fn set_right(db: &Connection, around: &Around) -> Result<()> {
    if !is_ahead(db, around)? {
        return Ok(());
    }
    let heard = storage::versions(db, 0, 1)?.into_iter().map(|v| v.accepted_at.max(v.header.at)).max().unwrap_or_default();
    let limit = heard.tick(around.now_ms());
    set(db, limit)?;
    for mut front in storage::changesets(db)? {
        if front.header.at <= limit {
            continue;
        }
        let mut pages = storage::StoredPages { db, front: front.clone(), next: 0 };
        while let Some(mut changes) = pages.next()? {
            changes.iter_mut().for_each(|change| bring_back(change, limit));
            storage::put_page(db, front.header.write_id, pages.next - 1, &page::encode(&front.shapes, &changes))?;
        }
        bring_front_back(&mut front, limit);
        storage::set_front(db, &front)?;
    }
    Ok(())
}

fn bring_front_back(front: &mut Front, limit: Time) {
    front.header.at = front.header.at.min(limit);
    for resolution in &mut front.resolutions {
        resolution.at = resolution.at.min(limit);
    }
}

fn bring_back(change: &mut Change, limit: Time) {
    change.at = change.at.min(limit);
    if let Edit::Update(cells) = &mut change.edit {
        cells.iter_mut().for_each(|cell| cell.at = cell.at.min(limit));
    }
}
