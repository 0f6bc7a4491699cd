//! The feed of one tracked database that has no primary: its own work, as capture sees it.
//!
//! The number before the dot counts changesets, the one behind it is capture's own. What is not committed is told operation by
//! operation. Where a commit comes before an operation was told, the changeset it is in is told instead, as what it changed
//! in all: a row may then be told of twice, and what came of it is right.
//! Invariant: at least once, in the order of capture; nothing is told before it is committed in the file.
use super::{BATCH_MAX, Batch, FeedEvent, Offset, Origin, RowEvent, What, cut, front};
use crate::error::{Error, Result};
use crate::replica::{Operation, Replica, Working};
use mainstem_core::ErrorKind;
use mainstem_core::change::Front;
use mainstem_core::conflict::Image;
use mainstem_core::stamp::Time;
use mainstem_core::value::Value;
use std::sync::Arc;

/// Of a changeset that is closed: the page of its schema steps and answers. Its rows' pages follow; before it is what was told
/// while it was open.
const FRONT_PAGE: u64 = 1;

/// The events after an offset, at most `most`.
pub fn read_captured(replica: &mut dyn Replica, author: &str, from: &Offset, most: usize) -> Result<Batch> {
    let working = replica.working()?;
    let mark = Offset::mark(working.replica.0);
    let refused = |code, message| Error::new(ErrorKind::Conflict, code, message).hint("read the rows, then go on from now");
    if from.epoch.is_some_and(|epoch| epoch != mark) {
        return Err(refused("other_epoch", format!("{from} is an offset of another database, or of what this one was before")));
    }
    let mut at = from.in_epoch(mark);
    let is_ahead = at.version > working.sequence || at.version == working.sequence && at.page > 0;
    if is_ahead && at.version > 0 {
        return Err(refused("ahead", format!("{from} is an offset after all that this database knows")));
    }
    let most = most.clamp(1, BATCH_MAX);
    let mut events = Vec::new();
    while events.len() < most {
        if at.is_whole() {
            at = Offset { version: at.version + 1, page: 0, place: 0, ..at };
        }
        if at.version >= working.sequence {
            if open(replica, author, &working, at, most, &mut events)?.sequence != working.sequence {
                // It was closed in between, with operations in it that nobody was told of.
                events.retain(|event| event.offset.version < working.sequence);
                return Ok(Batch { next: events.last().map_or(at, |event| event.offset), events, is_last: false });
            }
            let after_all = events.last().map_or(at, |event| event.offset);
            let is_last = events.len() <= most;
            return Ok(Batch { next: cut(&mut events, most, after_all), events, is_last });
        }
        at = closed(replica, &working, at, most, &mut events)?;
    }
    let next = cut(&mut events, most, at);
    Ok(Batch { events, next, is_last: false })
}

/// Where a feed of what is still to come begins.
pub fn now_captured(working: &Working) -> Offset {
    let place = u64::try_from(working.end).unwrap_or(0);
    Offset { version: working.sequence, page: 0, place, epoch: Some(Offset::mark(working.replica.0)) }
}

/// What is not committed yet, operation by operation.
fn open(
    replica: &mut dyn Replica,
    author: &str,
    working: &Working,
    at: Offset,
    most: usize,
    events: &mut Vec<FeedEvent>,
) -> Result<Working> {
    let origin = Arc::new(Origin {
        version: None,
        accepted_at: None,
        author: author.to_string(),
        replica: working.replica,
        changeset: None,
        review: None,
    });
    let after = i64::try_from(at.place).unwrap_or(i64::MAX).max(working.began);
    replica.operations(after, &mut |operation| {
        // One more says that there is more; the rest is not kept.
        if events.len() <= most {
            let place = u64::try_from(operation.sequence).unwrap_or(0);
            events.push(FeedEvent { offset: Offset { place, ..at }, origin: origin.clone(), what: What::Row(told(operation)) });
        }
        Ok(())
    })
}

fn told(operation: &Operation) -> RowEvent {
    let known = |column: &String, value: &Option<Value>| value.clone().map(|value| (column.clone(), value));
    let before = || operation.cells.iter().filter_map(|(column, before, _)| known(column, before)).collect::<Image>();
    let after = || operation.cells.iter().filter_map(|(column, _, after)| known(column, after)).collect::<Image>();
    RowEvent {
        table: operation.table.clone(),
        key: operation.key_columns.iter().cloned().zip(operation.key.iter().cloned()).collect(),
        before: (operation.kind != "insert").then(before),
        after: matches!(operation.kind, "insert" | "update").then(after),
        at: Time::from_ms(operation.at_ms),
        moved_from: None,
        conflicts: Vec::new(),
        renumbered_from: None,
        is_released: false,
    }
}

/// What a changeset that is closed changed, unless all of it was told while it was open. Gives where to go on.
fn closed(replica: &mut dyn Replica, working: &Working, from: Offset, most: usize, events: &mut Vec<FeedEvent>) -> Result<Offset> {
    let unsent = replica.unsent()?;
    let Some(changeset) = unsent.into_iter().find(|changeset| changeset.header.sequence == from.version) else { return Ok(from.whole()) };
    let was_told =
        from.page == 0 && from.version + 1 == working.sequence && i64::try_from(from.place).is_ok_and(|had| had >= working.began);
    let origin = Origin::of(&changeset.header, None);
    let mut at = if from.page == 0 { Offset { page: FRONT_PAGE, place: 0, ..from } } else { from };
    if at.page == FRONT_PAGE {
        add(&mut at, &origin, front(&changeset.schema, &changeset.resolutions).into_iter(), events);
    }
    if was_told {
        return Ok(at.whole());
    }
    rows(replica, &changeset, &origin, at, most, events)
}

fn rows(
    replica: &mut dyn Replica,
    changeset: &Front,
    origin: &Arc<Origin>,
    mut at: Offset,
    most: usize,
    events: &mut Vec<FeedEvent>,
) -> Result<Offset> {
    let mut pages = replica.pages(changeset.header.write_id)?;
    for _ in FRONT_PAGE + 1..at.page {
        pages.next()?;
    }
    while events.len() < most {
        let Some(changes) = pages.next()? else { return Ok(at.whole()) };
        let told = changes.iter().map(|change| What::Row(RowEvent::of(&changeset.shapes[change.table], change)));
        add(&mut at, origin, told, events);
    }
    Ok(at)
}

/// Adds a page's events after an offset in it, and moves the offset behind the page.
fn add(at: &mut Offset, origin: &Arc<Origin>, page: impl Iterator<Item = What>, events: &mut Vec<FeedEvent>) {
    for (place, what) in (1..).zip(page).skip(usize::try_from(at.place).unwrap_or(usize::MAX)) {
        events.push(FeedEvent { offset: Offset { place, ..*at }, origin: origin.clone(), what });
    }
    *at = Offset { page: at.page + 1, place: 0, ..*at };
}
