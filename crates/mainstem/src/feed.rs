//! Every accepted change as an event with an offset: in order, resumable, read page by page.
//!
//! Invariant: an offset that was handed out stays: the same event has it for ever, and none that is accepted later comes before
//! it (K1, I-24), for versions have no gaps and never change.
//! Deliberately absent: who is told, and how. Sinks read from here and remember the offset that they have told.
mod captured;
mod offset;
mod rendered;
#[cfg(test)]
mod tests;
mod webhook;

pub use captured::{now_captured, read_captured};
pub use offset::Offset;
pub use rendered::to_json;
pub use webhook::{DeadLetter, Deliveries, KEY_BYTES, SigningKey, Webhook, WebhookState, WebhookStore, Webhooks};

use crate::error::{Error, Result};
use crate::ledger::Head;
use crate::primary::{Description, Primary};
use mainstem_core::ErrorKind;
use mainstem_core::change::{Cell, Change, Edit, Header, Resolution, Shape};
use mainstem_core::conflict::Image;
use mainstem_core::event::Version;
use mainstem_core::format::page;
use mainstem_core::schema::SchemaChange;
use mainstem_core::stamp::{ReplicaId, Time};
use mainstem_core::value::{Key, Row, Value};
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
    /// Where it comes from.
    pub origin: Arc<Origin>,
    /// What happened.
    pub what: What,
}

/// Where events come from: a version, or one database's own work.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The version; none for what no primary has accepted.
    pub version: Option<u64>,
    /// When the primary accepted it.
    pub accepted_at: Option<Time>,
    /// Who did it.
    pub author: String,
    /// Where.
    pub replica: ReplicaId,
    /// The changeset it is in; none for what is not committed yet.
    pub changeset: Option<InChangeset>,
    /// The proposal that it came of.
    pub review: Option<InReview>,
}

/// A proposal that became a version.
#[derive(Clone, Debug)]
pub struct InReview {
    /// Its number.
    pub proposal: u64,
    /// Who approved it.
    pub approvers: Vec<String>,
    /// Who merged it.
    pub merged_by: String,
}

/// A changeset that an event is a part of.
#[derive(Clone, Debug)]
pub struct InChangeset {
    /// What names it for ever.
    pub write_id: u128,
    /// Its title.
    pub title: Option<String>,
    /// When it was closed.
    pub at: Time,
}

impl Origin {
    fn of(header: &Header, version: Option<&Version>) -> Arc<Origin> {
        Arc::new(Origin {
            version: version.map(|version| version.version),
            accepted_at: version.map(|version| version.accepted_at),
            author: header.actor.clone(),
            replica: header.replica,
            changeset: Some(InChangeset { write_id: header.write_id, title: header.title.clone(), at: header.at }),
            review: version.and_then(|version| version.review.as_ref()).map(|reviewed| InReview {
                proposal: reviewed.proposal,
                approvers: reviewed.approvers().map(str::to_string).collect(),
                merged_by: reviewed.actor.clone(),
            }),
        })
    }
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

/// A row's change, by the names of its columns.
#[derive(Clone, Debug)]
pub struct RowEvent {
    /// The table.
    pub table: String,
    /// The row.
    pub key: Image,
    /// Cells before: those that changed, or all of a row that went; none of a row that came.
    pub before: Option<Image>,
    /// Cells after: those that changed, or all of a row that came; none of a row that went.
    pub after: Option<Image>,
    /// When it was written.
    pub at: Time,
    /// For a row that came because it moved: the key it had.
    pub moved_from: Option<Image>,
    /// The conflicts that the version found about the row.
    pub conflicts: Vec<u64>,
    /// The number it was made with, where that was taken.
    pub renumbered_from: Option<i64>,
    /// True where it waited for its parent before.
    pub is_released: bool,
}

impl RowEvent {
    /// A change as it is.
    fn of(shape: &Shape, change: &Change) -> RowEvent {
        let row = |row: &Row| shape.columns.iter().cloned().zip(row.iter().cloned()).collect::<Image>();
        let key = |key: &Key| shape.key.iter().map(|&at| shape.columns[at].clone()).zip(key.iter().cloned()).collect::<Image>();
        let side = |cells: &[Cell], pick: fn(&Cell) -> &Value| {
            cells.iter().map(|cell| (shape.columns[cell.column].clone(), pick(cell).clone())).collect::<Image>()
        };
        let (before, after) = match &change.edit {
            Edit::Insert(image) => (None, Some(row(image))),
            Edit::Delete(image) => (Some(row(image)), None),
            Edit::Update(cells) => (Some(side(cells, |cell| &cell.before)), Some(side(cells, |cell| &cell.after))),
        };
        RowEvent {
            table: shape.table.clone(),
            key: key(&change.key),
            before,
            after,
            at: change.at,
            moved_from: change.moved_from.as_ref().map(key),
            conflicts: Vec::new(),
            renumbered_from: None,
            is_released: false,
        }
    }
}

impl FeedEvent {
    /// `created`, `updated`, `deleted`, `schema` or `resolved`.
    pub fn kind(&self) -> &'static str {
        match &self.what {
            What::Row(RowEvent { before: None, .. }) => "created",
            What::Row(RowEvent { after: None, .. }) => "deleted",
            What::Row(_) => "updated",
            What::Schema(_) => "schema",
            What::Resolved(_) => "resolved",
        }
    }
}

/// Where events are read.
pub trait Source {
    /// Where a feed that tells only of what is still to come begins.
    fn now(&mut self) -> Result<Offset>;
    /// The events after an offset, at most so many.
    fn read(&mut self, from: &Offset, most: usize) -> Result<Batch>;
    /// Waits until there is more than was read last, at most so long.
    fn wait(&mut self, timeout_ms: u64) -> Result<()>;
}

/// A primary as a source.
pub struct OfPrimary {
    primary: Box<dyn Primary>,
    head: Head,
}

impl OfPrimary {
    /// The feed of that primary.
    pub fn new(primary: Box<dyn Primary>) -> OfPrimary {
        OfPrimary { primary, head: Head::default() }
    }
}

impl Source for OfPrimary {
    fn now(&mut self) -> Result<Offset> {
        Ok(now(&self.primary.describe()?))
    }
    fn read(&mut self, from: &Offset, most: usize) -> Result<Batch> {
        let (batch, head) = read(&mut *self.primary, from, most)?;
        self.head = head;
        Ok(batch)
    }
    fn wait(&mut self, timeout_ms: u64) -> Result<()> {
        self.primary.wait(&self.head, timeout_ms).map(drop)
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
}

/// Where a feed that tells only of what is still to come begins.
pub fn now(description: &Description) -> Offset {
    Offset { epoch: Some(Offset::mark(description.epoch)), ..Offset::after(description.head.version) }
}

/// The events after an offset, at most `most`, so that memory is bounded whatever a version holds; and where the ledger ended.
pub fn read(primary: &mut dyn Primary, from: &Offset, most: usize) -> Result<(Batch, Head)> {
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
    let next = cut(&mut events, most, at);
    Ok((Batch { is_last: next.is_whole() && next.version >= head.version, events, next }, head))
}

/// Leaves at most so many events; gives where to go on then.
fn cut(events: &mut Vec<FeedEvent>, most: usize, after_all: Offset) -> Offset {
    if events.len() <= most {
        return after_all;
    }
    events.truncate(most);
    events.last().map_or(after_all, |event| event.offset)
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
    version: Version,
    origin: Arc<Origin>,
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
            origin: Origin::of(&version.header, Some(&version)),
            version,
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
            let told = front.into_iter().chain(changes.iter().map(|change| self.row(change)));
            for (place, what) in (1..).zip(told).skip(usize::try_from(at.place).unwrap_or(usize::MAX)) {
                events.push(FeedEvent { offset: Offset { place, ..at }, origin: self.origin.clone(), what });
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
        front(&self.version.schema, &self.version.resolved)
    }

    fn row(&self, change: &Change) -> What {
        let shape = &self.version.shapes[change.table];
        let table = shape.table.to_ascii_lowercase();
        let number = change.key.first().and_then(Value::as_integer).filter(|_| matches!(change.edit, Edit::Insert(_)));
        let renumbered_from = number.and_then(|number| self.renumbered.get(&(table.clone(), number)).copied());
        let row = (table, change.key.clone());
        What::Row(RowEvent {
            conflicts: self.conflicts.get(&row).cloned().unwrap_or_default(),
            is_released: self.released.contains(&row),
            renumbered_from,
            ..RowEvent::of(shape, change)
        })
    }
}

fn front(schema: &[SchemaChange], resolved: &[Resolution]) -> Vec<What> {
    let steps = schema.iter().cloned().map(What::Schema);
    steps.chain(resolved.iter().cloned().map(What::Resolved)).collect()
}
