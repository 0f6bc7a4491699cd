//! Writes rows in an order that unique values allow: swaps and rotations succeed, true clashes are told apart.
//!
//! A write that a unique index refuses is kept until the others are in. What is left then is either a cycle, which is
//! broken by taking all its rows out before putting them back, or a clash with a row that stays.
use crate::error::Result;
use crate::tables::{Tables, Wrote};
use mainstem_core::planted::{self, Bug};
use mainstem_core::value::{Row, Value};

/// One row's write: what is there, and what shall be.
#[derive(Clone, Debug)]
pub struct Write<T> {
    /// The table.
    pub table: usize,
    /// The row that is there now.
    pub before: Option<Row>,
    /// The row that shall be there; its key is that of `before`.
    pub after: Option<Row>,
    /// What the caller wants back with the outcome.
    pub tag: T,
}

/// What became of a write that was tried.
#[derive(Debug)]
pub enum Tried<T> {
    /// It is done.
    Done(Write<T>),
    /// A unique index stands against it; it is tried again in [`Writer::finish`].
    Kept,
    /// A CHECK or NOT NULL stands against it; the text names it.
    Refused(Write<T>, String),
}

/// The writes that could not be done yet.
#[derive(Debug)]
pub struct Writer<T> {
    kept: Vec<Write<T>>,
}

impl<T> Default for Writer<T> {
    fn default() -> Self {
        Writer { kept: Vec::new() }
    }
}

/// Writes that are done, and those that clash, each with the columns of the unique index.
pub type Finished<T> = (Vec<Write<T>>, Vec<(Write<T>, String)>);

impl<T> Writer<T> {
    /// Tries one write.
    pub fn write<G: Tables + ?Sized>(&mut self, ground: &mut G, write: Write<T>) -> Result<Tried<T>> {
        Ok(match attempt(ground, &write)? {
            Wrote::Done => Tried::Done(write),
            Wrote::Unique(what) if planted::is(Bug::E6) => Tried::Refused(write, what),
            Wrote::Unique(_) => {
                self.kept.push(write);
                Tried::Kept
            }
            Wrote::Constraint(what) => Tried::Refused(write, what),
        })
    }

    /// True where nothing is kept back.
    pub fn is_idle(&self) -> bool {
        self.kept.is_empty()
    }

    /// Tries again what was kept, as long as that helps. Returns what got done.
    pub fn retry<G: Tables + ?Sized>(&mut self, ground: &mut G) -> Result<Vec<Write<T>>> {
        let mut done = Vec::new();
        loop {
            let before = self.kept.len();
            for mut write in std::mem::take(&mut self.kept) {
                refresh(ground, &mut write)?;
                match attempt(ground, &write)? {
                    Wrote::Done => done.push(write),
                    _ => self.kept.push(write),
                }
            }
            if self.kept.len() == before || self.kept.is_empty() {
                return Ok(done);
            }
        }
    }

    /// Does all that can be done: retries, then breaks cycles. What clashes comes back untouched.
    pub fn finish<G: Tables + ?Sized>(&mut self, ground: &mut G) -> Result<Finished<T>> {
        let mut done = self.retry(ground)?;
        let mut failed = Vec::new();
        while !self.kept.is_empty() {
            let mut round = std::mem::take(&mut self.kept);
            for write in &mut round {
                refresh(ground, write)?;
            }
            let outcome = exchange(ground, &round)?;
            if outcome.iter().all(|o| *o == Wrote::Done) {
                done.extend(round);
                break;
            }
            for (write, wrote) in round.into_iter().zip(outcome) {
                match wrote {
                    Wrote::Done => self.kept.push(write),
                    Wrote::Unique(what) | Wrote::Constraint(what) => failed.push((write, what)),
                }
            }
        }
        Ok((done, failed))
    }
}

/// Lays a write that was kept on the row as it is by now: meanwhile a link of it may have been let go, or the row be gone.
fn refresh<G: Tables + ?Sized, T>(ground: &mut G, write: &mut Write<T>) -> Result<()> {
    let Some(before) = &write.before else { return Ok(()) };
    let key = ground.schema().tables[write.table].key_of(before);
    let now = ground.get(write.table, &key)?;
    if now == write.before {
        return Ok(());
    }
    write.after = match (&now, write.after.take()) {
        (Some(now), Some(after)) => {
            let cell = |((after, before), now): ((_, &Value), &Value)| if after == *before { now.clone() } else { after };
            Some(after.into_iter().zip(before).zip(now).map(cell).collect())
        }
        _ => None,
    };
    write.before = now;
    Ok(())
}

fn attempt<G: Tables + ?Sized, T>(ground: &mut G, write: &Write<T>) -> Result<Wrote> {
    let schema = ground.schema();
    let table = &schema.tables[write.table];
    match (&write.before, &write.after) {
        (None, Some(row)) => ground.insert(write.table, row),
        (Some(before), Some(row)) => ground.update(write.table, before, row),
        (Some(before), None) => ground.delete(write.table, &table.key_of(before)).map(|()| Wrote::Done),
        (None, None) => Ok(Wrote::Done),
    }
}

/// Takes all rows of a round out and puts the new ones in. Where one does not fit, everything is put back as it was.
fn exchange<G: Tables + ?Sized, T>(ground: &mut G, round: &[Write<T>]) -> Result<Vec<Wrote>> {
    let schema = ground.schema();
    for write in round {
        if let Some(before) = &write.before {
            ground.delete(write.table, &schema.tables[write.table].key_of(before))?;
        }
    }
    let mut outcome = Vec::with_capacity(round.len());
    for write in round {
        outcome.push(match &write.after {
            Some(row) => ground.insert(write.table, row)?,
            None => Wrote::Done,
        });
    }
    if outcome.iter().all(|o| *o == Wrote::Done) {
        return Ok(outcome);
    }
    for (write, wrote) in round.iter().zip(&outcome) {
        if let (Some(row), Wrote::Done) = (&write.after, wrote) {
            ground.delete(write.table, &schema.tables[write.table].key_of(row))?;
        }
    }
    for write in round {
        if let Some(before) = &write.before {
            ground.insert(write.table, before)?;
        }
    }
    Ok(outcome)
}
