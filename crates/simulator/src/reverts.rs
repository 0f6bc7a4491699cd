//! Versions that are taken back.
use crate::image::{Held, Image, differences};
use crate::tally::{Invariant, Situation, Verdict, Wrong};
use crate::world::{World, tolerate, unexpected};
use mainstem::primary::Primary;
use mainstem::replica::{Replica, Since};

impl World {
    /// Takes back a version. Where it is the last and nothing was done since, the rows are those before it (I-49).
    pub(crate) fn revert(&mut self, who: usize, back: usize) -> Verdict {
        let mut replica = self.replica(who)?;
        let standing = replica.standing().map_err(|e| unexpected("standing", &e))?;
        let version = standing.base_version.saturating_sub(back as u64);
        let mut is_idle = standing.unsent == 0 && standing.pending == 0 && !self.copies[who].has_unseen;
        let worked = replica.changes(Since::Base, &mut |_, _| {
            is_idle = false;
            Ok(())
        });
        worked.map_err(|e| unexpected("changes", &e))?;
        let actor = self.copies[who].actor.clone();
        let done = replica.revert(self.serve()?, version, &actor);
        self.copies[who].committed = None;
        self.record(format!("{:?}", done.as_ref().map_err(|e| e.code).map(|done| (done.rows, done.conflicts.len(), done.left.len()))));
        let done = match done {
            Ok(done) => done,
            Err(error) => return tolerate("revert", &error),
        };
        self.tally.reach(Situation::Reverted);
        self.told.extend(done.conflicts.iter().map(|conflict| conflict.id));
        let is_left = standing.known.is_some_and(|known| self.lives.left.contains(&known.epoch));
        if !is_idle || is_left || back > 0 || !done.left.is_empty() || !done.conflicts.is_empty() {
            return Ok(());
        }
        let now = self.rows_of(who)?;
        let before = rows_at(self.serve()?, version - 1, &now)?;
        self.tally.check(Invariant::Reverted);
        let found = differences(&before, &now);
        if found.is_empty() {
            return Ok(());
        }
        let why = format!("taken back otherwise: version {version} at replica {who} {}", found.join("\n    "));
        Err(Wrong::new(Invariant::Reverted, why))
    }
}

/// The rows of a version, of the tables that are there now.
fn rows_at(primary: &mut dyn Primary, version: u64, now: &Image) -> Verdict<Image> {
    let mut image = Image::new();
    for (name, shape) in now {
        let mut held = Held { key: shape.key.clone(), ..Held::default() };
        let read = primary.rows(name, version, &mut |columns, row| {
            held.columns = columns.to_vec();
            let place = |&at: &usize| columns.iter().position(|column| *column == shape.columns[at]).unwrap_or_default();
            held.rows.insert(shape.key.iter().map(|at| row[place(at)].clone()).collect(), row.clone());
            Ok(())
        });
        read.map_err(|e| unexpected("rows of a version", &e))?;
        image.insert(name.clone(), held);
    }
    Ok(image)
}
