//! Tells what a tape does, event by event: the rows that came and went in each file, and what each version says.
//!
//! Invariant: nothing is told by asking the system under test for more than its versions, so that a tape runs as it does
//! untold.
use crate::image::{Image, Tables, differences, read, show_value};
use crate::world::World;
use mainstem::core::change::{Change, Edit, Shape};
use mainstem::core::conflict::{Claim, Conflict};
use mainstem::core::event::Version;
use mainstem::core::format::page;
use mainstem::core::value::Value;
use rusqlite::Connection;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What was told so far.
#[derive(Default)]
pub struct Teller {
    rows: HashMap<PathBuf, Image>,
    version: u64,
}

impl Teller {
    /// What became of the world by an event.
    pub fn told(&mut self, world: &mut World, event: &str) -> String {
        let mut lines = vec![format!("== {event}")];
        let places = world.copies.iter().enumerate().map(|(who, copy)| (format!("replica {who}"), copy.place.path.clone()));
        let places: Vec<(String, PathBuf)> = places.chain([("the primary".to_owned(), world.primary_place.path.clone())]).collect();
        for (name, path) in places {
            let Ok(now) = rows(&path) else { continue };
            let was = self.rows.remove(&path).unwrap_or_default();
            for difference in differences(&was, &now) {
                let sign = difference.replace("only the first:", "-").replace("only the second:", "+");
                lines.push(format!("  {name} {sign}"));
            }
            self.rows.insert(path, now);
        }
        lines.extend(self.versions(world));
        lines.join("\n")
    }

    fn versions(&mut self, world: &mut World) -> Vec<String> {
        let mut lines = Vec::new();
        let Ok(primary) = world.serve() else { return lines };
        while let Ok(Some(version)) = primary.version(self.version + 1) {
            self.version += 1;
            lines.push(said(&version));
            for number in 0..version.pages {
                let Ok(Some(bytes)) = primary.page(version.version, number) else { continue };
                let Ok(changes) = page::decode(&bytes, &version.shapes) else { continue };
                lines.extend(changes.iter().map(|change| format!("    {}", changed(&version.shapes, change))));
            }
            lines.extend(
                version
                    .waiting
                    .iter()
                    .map(|wait| format!("    waits for {} {:?}: {}", wait.parent, wait.parent_key, changed(&version.shapes, &wait.change))),
            );
            lines.extend(version.renumbered.iter().map(|row| format!("    renumbered {} {} to {}", row.table, row.from, row.to)));
            lines.extend(version.conflicts.iter().map(|conflict| format!("    conflict {}", clash(conflict))));
        }
        lines
    }
}

fn rows(path: &Path) -> rusqlite::Result<Image> {
    read(&Connection::open(path)?, &mut Tables::default())
}

fn said(version: &Version) -> String {
    let header = &version.header;
    let steps: Vec<String> = version.schema.iter().map(mainstem::schema_merge::describe).collect();
    let (number, replica, base) = (version.version, header.replica, header.base_version);
    let released: Vec<String> = version.released.iter().map(|(_, table, key)| format!("{table} {}", row(key))).collect();
    format!("  version {number} of {} ({replica}) on {base} at {:?} {steps:?} lets in {released:?}", header.actor, header.at)
}

fn row(values: &[Value]) -> String {
    values.iter().map(show_value).collect::<Vec<_>>().join(", ")
}

fn changed(shapes: &[Shape], change: &Change) -> String {
    let shape = &shapes[change.table];
    let what = match &change.edit {
        Edit::Insert(values) | Edit::Delete(values) => row(values),
        Edit::Update(cells) => {
            let cell = |c: &mainstem::core::change::Cell| {
                format!("{}: {} -> {}", shape.columns[c.column], show_value(&c.before), show_value(&c.after))
            };
            cells.iter().map(cell).collect::<Vec<_>>().join(", ")
        }
    };
    format!("{} {} {} [{}] at {:?}", change.edit.name(), shape.table, row(&change.key), what, change.at)
}

fn clash(conflict: &Conflict) -> String {
    let claim = |claim: &Claim| match claim {
        Claim::Cell(value) => show_value(value),
        Claim::Row(None) => "gone".to_owned(),
        Claim::Row(Some(image)) => crate::image::show(image),
    };
    let (ours, theirs) = (&conflict.ours, &conflict.theirs);
    let answer = conflict.answer.as_ref().map_or("open", |answer| answer.choice.name());
    format!(
        "{} {} {} {:?} ({}, {answer}): base [{}] ours [{}] of {:?} theirs [{}] of {:?}",
        conflict.kind.name(),
        conflict.table,
        row(&conflict.key),
        conflict.column,
        conflict.detail,
        claim(&conflict.base),
        claim(&ours.claim),
        ours.stamp,
        claim(&theirs.claim),
        theirs.stamp
    )
}
