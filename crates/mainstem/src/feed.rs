//! Every accepted change as an event with an offset: in order, resumable, read page by page.
//!
//! Invariant: an offset that was handed out stays: the same event has it for ever, and none that is accepted later comes before
//! it (K1, I-24), for versions have no gaps and never change.
//! Deliberately absent: who is told, and how. Sinks read from here and remember the offset that they have told.
mod offset;
mod rendered;
#[cfg(test)]
mod tests;

pub use offset::Offset;
pub use rendered::to_json;

use crate::error::{Error, Result};
use crate::ledger::Head;
use crate::primary::{Description, Primary};
use mainstem_core::ErrorKind;
use mainstem_core::change::{Change, Edit, Resolution, Shape};
use mainstem_core::event::Version;
use mainstem_core::format::page;
use mainstem_core::schema::SchemaChange;
use mainstem_core::value::{Key, Value};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The most events of one batch.
pub const BATCH_MAX: usize = 1_000;
/// Versions that are looked at for one batch: many change nothing that may be seen.
const VERSIONS_AT_ONCE: u64 = 1_000;

/// One event.
#[derive(Clone, Debug)]
pub struct FeedEvent {
    /// Where it is. Whoever has had it goes on from there.
    pub offset: Offset,
    /// The version it is a part of.
    pub version: Arc<Version>,
    /// What happened.
    pub what: What,
}

/// What an event tells.
#[derive(Clone, Debug)]
pub enum What {
    /// A row came, changed or went.
    Row(RowEvent),
    /// The schema changed by one step.
    Schema(SchemaChange),
    /// A conflict was answered.
    Resolved(Resolution),
}

/// A row's change.
#[derive(Clone, Debug)]
pub struct RowEvent {
    /// The change; its columns are named by the version's shape.
    pub change: Change,
    /// The conflicts that the version found about the row.
    pub conflicts: Vec<u64>,
    /// The number it was made with, where that was taken.
    pub renumbered_from: Option<i64>,
    /// True where it waited for its parent before.
    pub is_released: bool,
}

impl FeedEvent {
    /// `created`, `updated`, `deleted`, `schema` or `resolved`.
    pub fn kind(&self) -> &'static str {
        match &self.what {
            What::Row(row) => kind_of(&row.change.edit),
            What::Schema(_) => "schema",
            What::Resolved(_) => "resolved",
        }
    }
    /// The columns of a row's event.
    pub fn shape(&self) -> Option<&Shape> {
        match &self.what {
            What::Row(row) => self.version.shapes.get(row.change.table),
            _ => None,
        }
    }
}

fn kind_of(edit: &Edit) -> &'static str {
    match edit {
        Edit::Insert(_) => "created",
        Edit::Update(_) => "updated",
        Edit::Delete(_) => "deleted",
    }
}

/// Some events, and where to go on.
#[derive(Clone, Debug)]
pub struct Batch {
    /// In order.
    pub events: Vec<FeedEvent>,
    /// Where to go on. It may be beyond the last event, where versions after it change nothing that may be seen.
    pub next: Offset,
    /// True when there is nothing after `next`.
    pub is_last: bool,
    /// The head when this was read.
    pub head: Head,
}

/// Where a feed that tells only of what is still to come begins.
pub fn now(description: &Description) -> Offset {
    Offset { epoch: Some(Offset::mark(description.epoch)), ..Offset::after(description.head.version) }
}

/// The events after an offset: at most `most`, and of one page at least, so that memory is bounded whatever a version holds.
pub fn read(primary: &mut dyn Primary, from: &Offset, most: usize) -> Result<Batch> {
    let description = primary.describe()?;
    let mut at = check(&description, from)?;
    let most = most.clamp(1, BATCH_MAX);
    let head = description.head;
    let last = head.version.min(at.version.saturating_add(VERSIONS_AT_ONCE));
    let mut events = Vec::new();
    while events.len() < most {
        if at.is_whole() && at.version >= last {
            break;
        }
        let number = if at.is_whole() { at.version + 1 } else { at.version };
        let version = primary.version(number)?.ok_or_else(|| Error::corrupt(format!("version {number} is missing in the ledger")))?;
        let version = Told::new(version);
        if at.is_whole() {
            at = Offset { version: number, page: 0, place: 0, ..at };
        }
        at = version.read(primary, at, most, &mut events)?;
    }
    if events.len() > most {
        events.truncate(most);
        at = events.last().map_or(at, |event: &FeedEvent| event.offset);
    }
    Ok(Batch { is_last: at.is_whole() && at.version >= head.version, events, next: at, head })
}

/// Finds out where to go on from an offset, which may be one of another life of the dataset.
fn check(description: &Description, from: &Offset) -> Result<Offset> {
    let (head, horizon) = (description.head.version, description.horizon);
    let epoch = Offset::mark(description.epoch);
    let at = Offset { epoch: Some(epoch), ..*from };
    if let Some(marked) = from.epoch.filter(|marked| *marked != epoch) {
        let restored = description.restored.as_ref();
        let is_shared = restored.is_some_and(|restored| Offset::mark(restored.before) == marked && at.is_within(restored.version));
        if !is_shared {
            let last = restored.map_or(0, |restored| restored.version.min(from.version));
            let message = format!("{from} is an offset of a life of this dataset that ended when it was restored from an older copy");
            return Err(Error::new(ErrorKind::Conflict, "other_epoch", message)
                .hint(format!("read the rows again, or go on from {last}, the last version that may be common to both")));
        }
    }
    if !at.is_within(head) {
        let message = format!("{from} is an offset after version {head}, which is the latest");
        return Err(Error::new(ErrorKind::Conflict, "ahead", message).hint(format!("go on from {head}, after reading the rows again")));
    }
    if horizon > 1 && at < Offset::after(horizon).in_epoch(epoch) {
        let message = format!("the changes up to version {horizon} were collected, so the feed cannot go on from {from}");
        return Err(Error::new(ErrorKind::Conflict, "behind_horizon", message)
            .hint(format!("read the rows at version {horizon}, then go on from {horizon}")));
    }
    Ok(at)
}

/// A version that is being told.
struct Told {
    version: Arc<Version>,
    conflicts: HashMap<(String, Key), Vec<u64>>,
    renumbered: HashMap<(String, i64), i64>,
    released: HashSet<(String, Key)>,
}

impl Told {
    fn new(version: Version) -> Told {
        let mut conflicts: HashMap<_, Vec<u64>> = HashMap::new();
        for conflict in &version.conflicts {
            conflicts.entry((conflict.table.to_ascii_lowercase(), conflict.key.clone())).or_default().push(conflict.id);
        }
        let numbered = version.renumbered.iter();
        let released = version.released.iter();
        Told {
            renumbered: numbered.map(|one| ((one.table.to_ascii_lowercase(), one.to), one.from)).collect(),
            released: released.map(|(_, table, key)| (table.to_ascii_lowercase(), key.clone())).collect(),
            conflicts,
            version: Arc::new(version),
        }
    }

    /// Adds what comes after an offset within the version, until there is enough; gives where to go on.
    fn read(&self, primary: &mut dyn Primary, from: Offset, most: usize, events: &mut Vec<FeedEvent>) -> Result<Offset> {
        let number = self.version.version;
        let mut at = from;
        while at.page < self.version.pages.max(1) {
            let bytes = if at.page < self.version.pages { primary.page(number, at.page)? } else { None };
            let changes = match bytes {
                Some(bytes) => page::decode(&bytes, &self.version.shapes)?,
                None if self.version.pages == 0 => Vec::new(),
                None => return Err(Error::corrupt(format!("page {} of version {number} is missing", at.page))),
            };
            let front = if at.page == 0 { self.front() } else { Vec::new() };
            let all = front.into_iter().chain(changes.into_iter().map(|change| self.row(change)));
            for (place, what) in (1..).zip(all).skip(usize::try_from(at.place).unwrap_or(usize::MAX)) {
                events.push(FeedEvent { offset: Offset { place, ..at }, version: self.version.clone(), what });
            }
            at = Offset { page: at.page + 1, place: 0, ..at };
            if events.len() >= most {
                break;
            }
        }
        Ok(if at.page >= self.version.pages { at.whole() } else { at })
    }

    /// What comes before the rows.
    fn front(&self) -> Vec<What> {
        let steps = self.version.schema.iter().cloned().map(What::Schema);
        steps.chain(self.version.resolved.iter().cloned().map(What::Resolved)).collect()
    }

    fn row(&self, change: Change) -> What {
        let table = self.version.shapes[change.table].table.to_ascii_lowercase();
        let number = change.key.first().and_then(Value::as_integer).filter(|_| matches!(change.edit, Edit::Insert(_)));
        let renumbered_from = number.and_then(|number| self.renumbered.get(&(table.clone(), number)).copied());
        let row = (table, change.key.clone());
        What::Row(RowEvent {
            conflicts: self.conflicts.get(&row).cloned().unwrap_or_default(),
            is_released: self.released.contains(&row),
            renumbered_from,
            change,
        })
    }
}
