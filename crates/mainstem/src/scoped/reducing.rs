//! Events and conflicts as a part of them is told.
//!
//! Invariant: of a version that shows nothing only its number, its hash, its write id and its time are told.
use super::Scoped;
use super::telling::{Lenses, tells};
use super::view::View;
use crate::error::Result;
use crate::primary::Primary;
use mainstem_core::change::{Change, Edit, Header, Shape};
use mainstem_core::conflict::{Claim, Conflict, Image};
use mainstem_core::event::{Event, Genesis, PolicySet, Renumbered, Version, Waiting};
use mainstem_core::proposal::{Act, Remark, Reviewing};
use mainstem_core::value::{Key, Row};
use std::ops::DerefMut;

/// Which digests a version is told with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digests {
    /// Every visible table's.
    All,
    /// Those that cost nothing to know: of tables that are shown whole, or changed.
    Known,
}

impl<P: DerefMut<Target: Primary>> Scoped<P> {
    /// A version as it is told.
    pub(super) fn reduce(&mut self, view: &View, version: Version, digests: Digests) -> Result<Version> {
        let lenses = Lenses::new(view, &version);
        let counted = self.counted(view, &version, &lenses)?;
        let mut told = Version {
            version: version.version,
            accepted_at: version.accepted_at,
            count: counted.count,
            pages: version.pages,
            body: counted.body,
            was: version.was.clone(),
            stands_for: version.stands_for.clone(),
            ..Version::default()
        };
        told.schema = version.schema.iter().filter(|step| tells(view, version.version, step)).cloned().collect();
        for conflict in &version.conflicts {
            if self.shows_conflict(view, conflict)? {
                told.conflicts.push(conflict.clone());
            }
        }
        if !version.resolved.is_empty() {
            let shown: Vec<u64> = self.shown_conflicts(view, false)?.iter().map(|conflict| conflict.id).collect();
            told.resolved = version.resolved.iter().filter(|resolution| shown.contains(&resolution.conflict)).cloned().collect();
        }
        let shown = |row: &&Renumbered| shows_renumbered(view, version.version, row);
        told.renumbered = version.renumbered.iter().filter(shown).cloned().collect();
        told.renumbered_here = version.renumbered_here.iter().filter(shown).cloned().collect();
        for waiting in &version.waiting {
            told.waiting.extend(self.waiting(view, &version, &lenses, waiting)?);
        }
        for (write_id, table, key) in &version.released {
            if self.shows_released(view, *write_id, table, key)? {
                told.released.push((*write_id, table.clone(), key.clone()));
            }
        }
        told.tables = match digests {
            Digests::All => self.digests(view, version.version, &version.tables)?,
            Digests::Known => self.known_digests(view, &version, counted.tables),
        };
        // The first version is the rows it was published with, which are in no page.
        let is_nothing = version.version > 1
            && told.count == 0
            && told.schema.is_empty()
            && told.conflicts.is_empty()
            && told.resolved.is_empty()
            && told.renumbered.is_empty()
            && told.renumbered_here.is_empty()
            && told.waiting.is_empty()
            && told.released.is_empty();
        told.header = if is_nothing { nameless(&version.header) } else { version.header };
        told.sender = version.sender.filter(|_| !is_nothing && !view.is_restricted);
        told.shapes = lenses.shapes;
        Ok(told)
    }

    fn known_digests(
        &self,
        view: &View,
        version: &Version,
        changed: Vec<mainstem_core::event::TableDigest>,
    ) -> Vec<mainstem_core::event::TableDigest> {
        let is_whole = |name: &str| {
            let table = view.chronicle.at(version.version).table(name);
            table.and_then(|table| view.sight(table.id)).is_some_and(|sight| sight.shown.is_everything())
        };
        version.tables.iter().filter(|digest| is_whole(&digest.table)).cloned().chain(changed).collect()
    }

    /// A version as it is told, however old: of one whose row changes are gone nothing is known to be shown.
    pub(super) fn reduce_old(&mut self, view: &View, version: Version) -> Result<Version> {
        let nothing = Version {
            version: version.version,
            header: nameless(&version.header),
            accepted_at: version.accepted_at,
            pages: version.pages,
            ..Version::default()
        };
        match self.reduce(view, version, Digests::All) {
            Err(e) if e.code == "behind_horizon" => Ok(nothing),
            told => told,
        }
    }

    /// An event as it is told.
    pub(super) fn reduce_event(&mut self, view: &View, event: Event) -> Result<Event> {
        Ok(match event {
            Event::Version(version) => Event::Version(self.reduce_old(view, version)?),
            Event::Genesis(genesis) => Event::Genesis(Genesis { schema: view.schema(0, &genesis.schema), ..genesis }),
            Event::Collected(mut collected) => {
                let head = view.visible.now();
                collected.tombstones.retain(|tombstones| head.table(&tombstones.table).is_some());
                Event::Collected(collected)
            }
            // A proposal may be about rows that are not shown, and so may what is said of it.
            Event::Review(told) => {
                Event::Review(Reviewing { actor: String::new(), token: None, act: Act::Comment(Remark::default()), ..told })
            }
            Event::Policy(set) => Event::Policy(PolicySet { text: view.policy(&set.text)?, ..set }),
            Event::Restored(_) => event,
        })
    }

    /// A change that waits, where its row is shown.
    pub(super) fn waiting(&mut self, view: &View, version: &Version, lenses: &Lenses<'_>, waiting: &Waiting) -> Result<Option<Waiting>> {
        let Some(position) = lenses.position(waiting.change.table) else { return Ok(None) };
        let shape = &version.shapes[waiting.change.table];
        if !self.shows_change(view, version.version, shape, &waiting.change)? {
            return Ok(None);
        }
        Ok(Some(Waiting { change: Change { table: position, ..waiting.change.clone() }, ..waiting.clone() }))
    }

    /// True where the row that a change is about is shown, as far as the change or the rows at its version tell.
    fn shows_change(&mut self, view: &View, version: u64, shape: &Shape, change: &Change) -> Result<bool> {
        let Some((eye, _)) = view.eye(version, shape) else { return Ok(false) };
        match &change.edit {
            Edit::Insert(row) | Edit::Delete(row) => Ok(eye.sees(row)),
            Edit::Update(_) => self.shows_row(view, &shape.table, &change.key, version),
        }
    }

    fn shows_released(&mut self, view: &View, write_id: u128, table: &str, key: &Key) -> Result<bool> {
        let Some(number) = self.primary.find_write(write_id)? else { return Ok(false) };
        let Some(made) = self.primary.version(number)? else { return Ok(false) };
        let Some(waiting) = made.waiting.iter().find(|w| w.table == table && w.key == *key) else { return Ok(false) };
        let Some(shape) = made.shapes.get(waiting.change.table) else { return Ok(false) };
        self.shows_change(view, number, shape, &waiting.change)
    }

    /// True where the row of that key is shown at a version; at the head, where the version's rows are gone.
    pub(super) fn shows_row(&mut self, view: &View, table: &str, key: &Key, version: u64) -> Result<bool> {
        let Ok(then) = view.table(table, version).cloned() else { return Ok(false) };
        let Some(eye) = view.eye_of(&then) else { return Ok(false) };
        if eye.sees_all() {
            return Ok(true);
        }
        match self.primary.rows_of(&then.name, std::slice::from_ref(key), version) {
            Ok(rows) => Ok(rows.into_iter().flatten().any(|row: Row| eye.sees(&row))),
            Err(e) if e.code == "behind_horizon" => {
                let head = self.primary.describe()?.head.version;
                let Some(now) = view.chronicle.now().find(then.id).cloned() else { return Ok(false) };
                let Some(eye) = view.eye_of(&now) else { return Ok(false) };
                Ok(self.primary.rows_of(&now.name, std::slice::from_ref(key), head)?.into_iter().flatten().any(|row| eye.sees(&row)))
            }
            Err(e) => Err(e),
        }
    }

    /// True where a conflict is told: its row or one of its images is shown, and no image is forbidden.
    pub(super) fn shows_conflict(&mut self, view: &View, conflict: &Conflict) -> Result<bool> {
        // A conflict that is known ahead is of the version that it will come with.
        let Ok(table) = view.table(&conflict.table, conflict.version).cloned() else { return Ok(false) };
        let claims = [&conflict.base, &conflict.ours.claim, &conflict.theirs.claim];
        let images: Vec<&Image> = claims.into_iter().filter_map(image_of).collect();
        if images.iter().any(|image| !view.image(&table, image, |sight| &sight.permitted)) {
            return Ok(false);
        }
        if images.iter().any(|image| view.image(&table, image, |sight| &sight.shown)) {
            return Ok(true);
        }
        self.shows_row(view, &conflict.table, &conflict.key, conflict.version)
    }

    /// The conflicts that are told, oldest first.
    pub(super) fn shown_conflicts(&mut self, view: &View, open_only: bool) -> Result<Vec<Conflict>> {
        let mut shown = Vec::new();
        for conflict in self.primary.conflicts(open_only)? {
            if self.shows_conflict(view, &conflict)? {
                shown.push(conflict);
            }
        }
        Ok(shown)
    }
}

fn image_of(claim: &Claim) -> Option<&Image> {
    if let Claim::Row(Some(image)) = claim { Some(image) } else { None }
}

/// A renumbered row is told where the row as it was made is shown.
fn shows_renumbered(view: &View, version: u64, renumbered: &Renumbered) -> bool {
    let shape = Shape { table: renumbered.table.clone(), columns: renumbered.columns.clone(), ..Shape::default() };
    view.eye(version, &shape).is_some_and(|(eye, _)| eye.sees(&renumbered.row))
}

/// What is told of a changeset of which nothing is shown: how its author recognises it, and when it was.
pub(super) fn nameless(header: &Header) -> Header {
    Header { write_id: header.write_id, lineage: header.lineage, base_version: header.base_version, at: header.at, ..Header::default() }
}
