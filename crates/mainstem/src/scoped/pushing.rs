//! What a replica that sees a part may send.
//!
//! Invariant: a row that may not be seen is neither written nor deleted by whoever may not see it; the rows are named, and
//! nothing of the changeset is taken.
use super::Scoped;
use super::view::{Eye, View};
use crate::error::{Error, Result};
use crate::primary::{Pages, Primary};
use mainstem_core::ErrorKind;
use mainstem_core::change::{Change, Edit, Front, Resolution, Shape};
use mainstem_core::chronicle::TableId;
use mainstem_core::schema::SchemaChange;
use mainstem_core::value::{Key, Row, Value};
use std::collections::HashMap;
use std::ops::DerefMut;

/// Rows that are named in one answer.
const NAMED_MAX: usize = 1_000;

impl<P: DerefMut<Target: Primary>> Scoped<P> {
    /// The rows of a changeset that are outside what its replica may see, some of them where there are many.
    pub(super) fn outside(&mut self, view: &View, front: &Front, pages: &mut dyn Pages) -> Result<Vec<(String, Key)>> {
        let mut outside = Vec::new();
        let base = front.header.base_version;
        let eyes: Vec<Option<Eye<'_>>> = front.shapes.iter().map(|shape| own_eye(view, front, shape)).collect();
        let is_hidden = |shape: &Shape, eye: &Option<Eye<'_>>| eye.is_none() && !self.is_asked_and_made(front, shape);
        let hidden: Vec<bool> = front.shapes.iter().zip(&eyes).map(|(shape, eye)| is_hidden(shape, eye)).collect();
        if !view.is_restricted && !hidden.contains(&true) {
            return Ok(outside);
        }
        let moved = self.moved_numbers(view, front)?;
        while let Some(page) = pages.next()? {
            for (index, shape) in front.shapes.iter().enumerate() {
                let changes: Vec<&Change> = page.iter().filter(|change| change.table == index).collect();
                let refused = match &eyes[index] {
                    None if hidden[index] => changes,
                    None => Vec::new(),
                    Some(eye) => self.not_permitted(view, eye, shape, changes, base, &moved)?,
                };
                outside.extend(refused.into_iter().map(|change| (shape.table.clone(), change.key.clone())));
            }
            if outside.len() >= NAMED_MAX {
                break;
            }
        }
        pages.rewind()?;
        outside.truncate(NAMED_MAX);
        Ok(outside)
    }

    /// The numbers that rows of this replica have since the changeset's base version, where their own were taken. Whoever
    /// has not heard of it means the row by its former number.
    fn moved_numbers(&mut self, view: &View, front: &Front) -> Result<HashMap<(TableId, i64), i64>> {
        let mut moved: HashMap<(TableId, i64), i64> = HashMap::new();
        if !view.is_restricted || front.shapes.iter().all(|shape| !shape.is_numbered) {
            return Ok(moved);
        }
        let head = self.primary.describe()?.head.version;
        for number in front.header.base_version + 1..=head {
            let version = self.whole(number)?;
            if version.header.replica != front.header.replica {
                continue;
            }
            for row in &version.renumbered {
                if let Some(table) = view.chronicle.at(number).table(&row.table) {
                    let earlier = moved.iter_mut().filter(|((of, _), to)| *of == table.id && **to == row.from);
                    earlier.for_each(|(_, to)| *to = row.to);
                    moved.insert((table.id, row.from), row.to);
                }
            }
        }
        Ok(moved)
    }

    /// True for a table that the changeset itself makes, and that its replica asks for.
    fn is_asked_and_made(&self, front: &Front, shape: &Shape) -> bool {
        let makes =
            |step: &SchemaChange| matches!(step, SchemaChange::CreateTable { table } if table.name.eq_ignore_ascii_case(&shape.table));
        self.asked.filter(&shape.table).is_some() && front.schema.iter().any(makes)
    }

    /// Changes of rows that may not be seen: as they are now, or were when the changeset was made where they are gone.
    fn not_permitted<'c>(
        &mut self,
        view: &View,
        eye: &Eye<'_>,
        shape: &Shape,
        changes: Vec<&'c Change>,
        base: u64,
        moved: &HashMap<(TableId, i64), i64>,
    ) -> Result<Vec<&'c Change>> {
        if eye.sight.permitted.is_everything() || changes.is_empty() {
            return Ok(Vec::new());
        }
        if eye.sight.permitted.is_nothing() {
            return Ok(changes);
        }
        let keys: Vec<Key> = changes.iter().map(|change| number_now(eye.table, change, moved)).collect();
        let head = self.primary.describe()?.head.version;
        let (now, then) = (self.permitted(view, eye, &keys, head)?, self.permitted(view, eye, &keys, base)?);
        let may = |(at, change): (usize, &&Change)| match &change.edit {
            // A number that a hidden row has is no row of that number's: the new row gets another.
            Edit::Insert(row) => eye.may_see(row) && (now[at] != Some(false) || shape.is_numbered),
            Edit::Update(_) | Edit::Delete(_) => now[at].or(then[at]).unwrap_or(true),
        };
        let is_refused: Vec<bool> = changes.iter().enumerate().map(|pair| !may(pair)).collect();
        Ok(changes.into_iter().zip(is_refused).filter(|(_, is_refused)| *is_refused).map(|(change, _)| change).collect())
    }

    /// Whether each row may be seen as it was at a version; none where it was not there.
    fn permitted(&mut self, view: &View, eye: &Eye<'_>, keys: &[Key], version: u64) -> Result<Vec<Option<bool>>> {
        let Some(then) = view.chronicle.at(version).find(eye.table).cloned() else { return Ok(vec![None; keys.len()]) };
        let eye = view.eye_of(&then);
        let may = |row: Row| eye.as_ref().is_some_and(|eye| eye.may_see(&row));
        Ok(self.primary.rows_of(&then.name, keys, version)?.into_iter().map(|row| row.map(may)).collect())
    }

    /// Refuses what only a replica that sees everything can decide: what becomes of rows and tables that are hidden.
    pub(super) fn check_front(&mut self, view: &View, front: &Front) -> Result<()> {
        for step in &front.schema {
            if !matches!(step, SchemaChange::CreateTable { table } if self.asked.filter(&table.name).is_some() && !view.is_restricted) {
                check_step(view, front, step)?;
            }
        }
        Ok(())
    }

    /// The answers of a changeset, without those to conflicts that may not be seen: they stay open for whoever sees them. They
    /// are not refused, for the conflict may have been seen when it was answered, and everything after would wait for it.
    pub(super) fn answers(&mut self, view: &View, front: &Front) -> Result<Vec<Resolution>> {
        if !view.is_restricted || front.resolutions.is_empty() {
            return Ok(front.resolutions.clone());
        }
        let shown: Vec<u64> = self.shown_conflicts(view, false)?.iter().map(|conflict| conflict.id).collect();
        Ok(front.resolutions.iter().filter(|resolution| shown.contains(&resolution.conflict)).cloned().collect())
    }
}

/// The key that the row of a change has now.
fn number_now(table: TableId, change: &Change, moved: &HashMap<(TableId, i64), i64>) -> Key {
    match change.key.as_slice() {
        [Value::Integer(number)] if !matches!(change.edit, Edit::Insert(_)) => {
            vec![Value::Integer(moved.get(&(table, *number)).copied().unwrap_or(*number))]
        }
        _ => change.key.clone(),
    }
}

/// The eye on a shape of a changeset, whose tables are called what they were in its base version or by its own steps.
fn own_eye<'v>(view: &'v View, front: &Front, shape: &Shape) -> Option<Eye<'v>> {
    let renamed = front.schema.iter().rev().fold(shape.table.clone(), |name, step| match step {
        SchemaChange::RenameTable { from, to } if to.eq_ignore_ascii_case(&name) => from.clone(),
        _ => name,
    });
    let then = Shape { table: renamed, ..shape.clone() };
    // An earlier changeset of the same replica may have made the table, or renamed it, after the base version.
    view.eye(front.header.base_version, &then).or_else(|| view.eye(u64::MAX, shape)).map(|(eye, _)| eye)
}

fn check_step(view: &View, front: &Front, step: &SchemaChange) -> Result<()> {
    let refuse = |what: String, hint: &str| Err(Error::new(ErrorKind::Denied, "outside_scope", what).hint(hint));
    if view.is_restricted {
        return refuse(
            format!("{}: tables are changed by somebody who sees all of them", crate::schema_merge::describe(step)),
            "undo it here, and ask them",
        );
    }
    let at_base = |name: &str| view.chronicle.at(front.header.base_version).table(name);
    let is_made_here =
        |name: &str| front.schema.iter().any(|s| matches!(s, SchemaChange::CreateTable { table } if table.name.eq_ignore_ascii_case(name)));
    match step {
        SchemaChange::CreateTable { table } => refuse(
            format!("table {} was made here, and this copy holds other tables only", table.name),
            "mainstem scope set, with that table too",
        ),
        SchemaChange::DropTable { name }
        | SchemaChange::DropColumn { table: name, .. }
        | SchemaChange::Rebuild { table: mainstem_core::schema::Table { name, .. }, .. }
            if !is_made_here(name) =>
        {
            let is_whole = at_base(name).and_then(|table| view.sight(table.id)).is_some_and(|sight| sight.shown.is_everything());
            if is_whole {
                return Ok(());
            }
            refuse(
                format!(
                    "{}: this copy holds a part of its rows, and the others would be changed unseen",
                    crate::schema_merge::describe(step)
                ),
                "do that in a copy that holds the whole table",
            )
        }
        _ => Ok(()),
    }
}
