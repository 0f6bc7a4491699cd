//! What words say of the rows that hold them: which row each was written into, what was taken away by somebody who saw
//! it, and which row each link was meant for.
//!
//! A row here is a life: it begins where a program inserts it and ends where one deletes it, whatever number it has.
//! Invariant: nothing is read but what programs' sessions did to files; a row without words can be any row.
use crate::image::{Held, Image, words};
use crate::tally::{Invariant, Tally, Verdict, Wrong};
use mainstem::core::change::{Choice, Edit};
use mainstem::core::conflict::{Claim, Conflict, ConflictKind};
use mainstem::core::event::Waiting;
use mainstem::core::value::{Key, Row, Value};
use mainstem::schema_merge;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A life. The first stands for any.
type Life = u32;
const ANY: Life = 0;

/// A column that points to numbered rows of a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// The table that it points to.
    pub parent: String,
}

/// Words that changes which lie aside in a copy's file take away, by copy and table: nobody else hears of those changes.
pub(crate) type Aside = BTreeSet<(usize, String, u64)>;

/// All of it.
#[derive(Debug, Default)]
pub struct Traces {
    /// Links by one column to a row number.
    pub links: Vec<Link>,
    /// Tables whose rows have numbers.
    pub numbered: BTreeSet<String>,
    /// Tables that others point to.
    pub parents: BTreeSet<String>,
    /// Tables whose numbers are never given again, by lower-case name.
    pub autoincrement: BTreeSet<String>,
    /// True where a word stays in its row, and a row under its number but for renumbering.
    pub is_still: bool,
    lives: Life,
    of_word: HashMap<u64, BTreeSet<Life>>,
    /// What a link of a row was ever meant for.
    meant: BTreeMap<(usize, Life), BTreeSet<Life>>,
    deleted: BTreeSet<(String, Key)>,
    /// Words that somebody took away who saw them, and nobody wrote again, each with the table it was taken from: somebody else
    /// may have carried it to another meanwhile. In which copies that was; none for the primary's own file.
    taken: BTreeMap<(u64, String), BTreeSet<Option<usize>>>,
    /// Those of them that went with their row.
    buried: BTreeSet<(u64, String)>,
    /// Words that programs wrote into several cells, or that several files held before they were sent: who takes one away need
    /// not have seen the others.
    several: BTreeSet<u64>,
    /// Words in cells that programs wrote anew with those words still in them.
    rewritten: BTreeSet<u64>,
}

/// The words that conflicts tell of.
pub(crate) fn words_claimed(conflicts: &[Conflict]) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for claim in conflicts.iter().flat_map(|c| [&c.base, &c.ours.claim, &c.theirs.claim]) {
        match claim {
            Claim::Cell(value) => words(value, &mut found),
            Claim::Row(Some(image)) => image.iter().for_each(|(_, value)| words(value, &mut found)),
            Claim::Row(None) => {}
        }
    }
    found
}

/// True where the write that took the word from that row is refused in a conflict about the row: then it stays.
fn is_kept_by(conflict: &Conflict, table: &str, held: &Held, row: &Row, word: u64) -> bool {
    let is_refusal = match conflict.kind {
        ConflictKind::Unique | ConflictKind::Constraint => true,
        // The deletion of a parent that the write would have the row point to holds.
        ConflictKind::MissingParent => conflict.answer.as_ref().is_some_and(|answer| answer.choice == Choice::Theirs),
        _ => false,
    };
    if !is_refusal || !conflict.table.eq_ignore_ascii_case(table) {
        return false;
    }
    let mut claims = [&conflict.ours.claim, &conflict.theirs.claim].into_iter();
    claims.any(|claim| {
        let Claim::Row(Some(image)) = claim else { return false };
        let claimed = |at: usize| image.iter().find(|(name, _)| *name == held.columns[at]).map(|(_, value)| value);
        let is_it = held.key.iter().all(|&at| claimed(at) == Some(&row[at]));
        is_it && (0..row.len()).any(|at| claimed(at) != Some(&row[at]) && words_in(&vec![row[at].clone()]).contains(&word))
    })
}

/// True where the write that took the word from that row waits for a parent: until it is let in, others see the row as it was.
fn is_awaited(wait: &Waiting, table: &str, key: &Key, word: u64) -> bool {
    let taken = match &wait.change.edit {
        Edit::Update(cells) => cells.iter().map(|cell| cell.before.clone()).collect(),
        Edit::Delete(row) => row.clone(),
        Edit::Insert(_) => return false,
    };
    wait.table.eq_ignore_ascii_case(table) && wait.key == *key && words_in(&taken).contains(&word)
}

fn words_in(row: &Row) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    row.iter().for_each(|value| words(value, &mut found));
    found
}

/// True for the conflict of a step that would have taken columns or the whole of a table away: it is all there still.
fn is_taking_refused(conflict: &Conflict, table: &str) -> bool {
    let Claim::Row(Some(said)) = &conflict.ours.claim else { return false };
    let takes = |value: &Value| value.as_text().is_some_and(|step| step.starts_with("drop") || step.starts_with("declare"));
    schema_merge::is_step_refused(conflict) && conflict.table.eq_ignore_ascii_case(table) && said.iter().any(|(_, value)| takes(value))
}

impl Traces {
    /// Notes which columns point to row numbers, as SQLite says.
    pub fn learn_links(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let sql = "SELECT t.name, k.\"from\", k.\"table\" FROM sqlite_schema AS t, pragma_foreign_key_list(t.name) AS k \
                   WHERE t.type = 'table' GROUP BY t.name, k.id HAVING max(k.seq) = 0";
        let mut statement = db.prepare(sql)?;
        let links = statement.query_map([], |row| Ok(Link { table: row.get(0)?, column: row.get(1)?, parent: row.get(2)? }))?;
        for link in links.collect::<rusqlite::Result<Vec<Link>>>()? {
            // Links are known by their places, and stay where they are.
            if self.numbered.contains(&link.parent) && !self.links.contains(&link) {
                self.links.push(link);
            }
        }
        let sql = "SELECT k.\"table\" FROM sqlite_schema AS t, pragma_foreign_key_list(t.name) AS k WHERE t.type = 'table'";
        self.parents.extend(db.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?);
        let sql = "SELECT lower(name) FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'";
        self.autoincrement.extend(db.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?);
        Ok(())
    }

    /// The lives that a row can be of: those that all its words were written into. None where it has no words.
    fn lives_of(&self, row: &Row) -> Option<BTreeSet<Life>> {
        let found = words_in(row);
        let mut lives = found.iter().filter_map(|word| self.of_word.get(word)).filter(|lives| !lives.contains(&ANY));
        if found.is_empty() {
            return None;
        }
        let Some(first) = lives.next() else { return Some(BTreeSet::from([ANY])) };
        Some(lives.fold(first.clone(), |all, lives| &all & lives))
    }

    /// Notes what a session did in the file of that copy, or in the primary's own.
    pub fn note(&mut self, who: Option<usize>, before: &Image, after: &Image, written: &BTreeSet<u64>, gone: &BTreeSet<u64>) {
        for (name, was) in before {
            let is_changed = |key: &Key, row: &Row| after.get(name).and_then(|now| now.rows.get(key)) != Some(row);
            for (key, row) in was.rows.iter().filter(|(key, row)| is_changed(key, row)) {
                let found: Vec<(u64, String)> = words_in(row).intersection(gone).map(|word| (*word, name.clone())).collect();
                if after.get(name).is_none_or(|now| !now.rows.contains_key(key)) {
                    self.buried.extend(found.iter().cloned());
                }
                for taken in found {
                    self.taken.entry(taken).or_default().insert(who);
                }
            }
        }
        self.taken.retain(|(word, _), _| !written.contains(word) && !self.several.contains(word));
        for (name, now) in after {
            let was = before.get(name);
            for (key, row) in &now.rows {
                let old = was.and_then(|was| was.rows.get(key));
                if old != Some(row) {
                    let is_remade = old.is_none() && self.deleted.contains(&(name.clone(), key.clone()));
                    self.note_row(old, row, is_remade);
                }
            }
        }
        for (name, was) in before {
            let gone = was.rows.keys().filter(|key| after.get(name).is_none_or(|now| !now.rows.contains_key(*key)));
            self.deleted.extend(gone.map(|key| (name.clone(), key.clone())));
        }
        for (at, link) in self.links.clone().iter().enumerate() {
            self.note_link(at, link, before, after);
        }
    }

    /// A row that is deleted and made again before a commit is one change of one row: it can be of any life.
    fn note_row(&mut self, old: Option<&Row>, row: &Row, is_remade: bool) {
        let life = match old {
            None if is_remade => BTreeSet::from([ANY]),
            None => {
                self.lives += 1;
                BTreeSet::from([self.lives])
            }
            Some(old) => self.lives_of(old).unwrap_or_else(|| BTreeSet::from([ANY])),
        };
        let known = old.map(words_in).unwrap_or_default();
        for (at, value) in row.iter().enumerate() {
            let mut found = BTreeSet::new();
            words(value, &mut found);
            if let Some(was) = old.and_then(|old| old.get(at)).filter(|was| *was != value) {
                let mut before = BTreeSet::new();
                words(was, &mut before);
                self.rewritten.extend(before.intersection(&found));
            }
            for word in found.difference(&known) {
                if self.of_word.contains_key(word) {
                    self.several.insert(*word);
                }
                self.of_word.entry(*word).or_default().extend(&life);
            }
        }
    }

    fn note_link(&mut self, at: usize, link: &Link, before: &Image, after: &Image) {
        let (Some(held), Some(parents)) = (after.get(&link.table), after.get(&link.parent)) else { return };
        let Some(column) = held.columns.iter().position(|name| *name == link.column) else { return };
        for (key, row) in &held.rows {
            if before.get(&link.table).and_then(|was| was.rows.get(key)) == Some(row) {
                continue;
            }
            let parent = parents.rows.get(&Key::from([row[column].clone()]));
            let meant = match (&row[column], parent) {
                (Value::Null, _) => BTreeSet::new(),
                (_, Some(parent)) => self.lives_of(parent).unwrap_or_else(|| BTreeSet::from([ANY])),
                (_, None) => BTreeSet::from([ANY]),
            };
            for life in self.lives_of(row).unwrap_or_else(|| BTreeSet::from([ANY])) {
                self.meant.entry((at, life)).or_default().extend(&meant);
            }
        }
    }

    /// A copy went back in time: what was taken away there since may be there again.
    pub fn forget_taken(&mut self, words: &BTreeSet<u64>) {
        self.taken.retain(|(word, _), _| !words.contains(word));
    }

    /// Work that was not sent is in two files from now on: each may send it, whatever becomes of it in the other.
    pub fn double(&mut self, words: &BTreeSet<u64>) {
        self.forget_taken(words);
        self.several.extend(words);
    }

    /// One of these words of a row that somebody took away from that table who saw it.
    pub(crate) fn taken_in(&self, table: &str, row: &Row, told: &BTreeSet<u64>) -> Option<u64> {
        let is_taken = |word: &u64| self.taken.contains_key(&(*word, table.to_owned())) && !self.several.contains(word);
        words_in(row).into_iter().find(|word| told.contains(word) && is_taken(word))
    }

    /// True where each of those who took the word away may not send that, so that it lies aside in their files.
    fn is_taken_aside(&self, aside: &Aside, word: u64, table: &str) -> bool {
        let lies_aside = |who: &Option<usize>| who.is_some_and(|who| aside.contains(&(who, table.to_owned(), word)));
        self.taken.get(&(word, table.to_owned())).is_some_and(|takers| takers.iter().all(lies_aside))
    }

    /// Judges the rows at the end.
    pub fn judge(
        &self,
        rows: &Image,
        conflicts: &[Conflict],
        waiting: &[Waiting],
        aside: &Aside,
        combines: &dyn Fn(&str, &str) -> bool,
        tally: &mut Tally,
    ) -> Verdict {
        let claimed = words_claimed(conflicts);
        let has_parents_back = conflicts.iter().any(|c| c.kind == ConflictKind::MissingParent) || !waiting.is_empty();
        for (name, held) in rows {
            // A parent that is brought back is in no conflict itself; its child is.
            let may_come_back = has_parents_back && self.parents.contains(name) || conflicts.iter().any(|c| is_taking_refused(c, name));
            for (key, row) in &held.rows {
                let found = words_in(row);
                tally.check(Invariant::Causal);
                tally.check(Invariant::Deleted);
                let is_back = |word: &&u64| {
                    self.taken.contains_key(&(**word, name.clone())) && !self.several.contains(word) && !claimed.contains(word)
                };
                // A strategy that puts values together has one side's value whole, with what it kept of the value before.
                let is_combined = |word: &&u64| {
                    let holds =
                        |(at, value): (usize, &Value)| combines(name, &held.columns[at]) && words_in(&vec![value.clone()]).contains(word);
                    self.rewritten.contains(*word) && row.iter().enumerate().any(holds)
                };
                let is_refused = |word: &&u64| {
                    conflicts.iter().any(|conflict| is_kept_by(conflict, name, held, row, **word))
                        || waiting.iter().any(|wait| is_awaited(wait, name, key, **word))
                        || self.is_taken_aside(aside, **word, name)
                        || is_combined(word)
                };
                if let Some(word) = found.iter().filter(is_back).find(|w| !is_refused(w)).filter(|_| self.is_still && !may_come_back) {
                    let why = format!("came back: word {word} in {name} {key:?}, which somebody took away, without a conflict");
                    let is_row = self.buried.contains(&(*word, name.clone()));
                    return Err(Wrong::new(if is_row { Invariant::Deleted } else { Invariant::Causal }, why));
                }
                let is_numbered = self.numbered.contains(name) && key.len() == 1;
                tally.check(Invariant::Incarnation);
                if self.is_still && is_numbered && self.lives_of(row).is_some_and(|lives| lives.is_empty()) {
                    return Err(Wrong::new(Invariant::Incarnation, format!("mixed: {name} {key:?} holds words of several rows {found:?}")));
                }
            }
        }
        if self.is_still { self.judge_links(rows, tally) } else { Ok(()) }
    }

    /// A link leads to the row that it was meant for, whatever its number is now.
    fn judge_links(&self, rows: &Image, tally: &mut Tally) -> Verdict {
        for (at, link) in self.links.iter().enumerate() {
            let (Some(held), Some(parents)) = (rows.get(&link.table), rows.get(&link.parent)) else { continue };
            let Some(column) = held.columns.iter().position(|name| *name == link.column) else { continue };
            for (key, row) in &held.rows {
                let Some(parent) = parents.rows.get(&Key::from([row[column].clone()])) else { continue };
                let (Some(mine), Some(leads_to)) = (self.lives_of(row), self.lives_of(parent)) else { continue };
                // A row that had no words may have been this one.
                let may_be_meant = self.meant.get(&(at, ANY)).is_some_and(|lives| lives.contains(&ANY) || !lives.is_disjoint(&leads_to));
                let meant: BTreeSet<Life> = mine.iter().filter_map(|life| self.meant.get(&(at, *life))).flatten().copied().collect();
                if mine.contains(&ANY) || leads_to.contains(&ANY) || meant.is_empty() || meant.contains(&ANY) {
                    continue;
                }
                tally.check(Invariant::Written);
                if meant.is_disjoint(&leads_to) && !may_be_meant {
                    let why = format!("wrong row: {} {key:?} points by {} to a row that nobody meant", link.table, link.column);
                    return Err(Wrong::new(Invariant::Written, why));
                }
            }
        }
        Ok(())
    }
}
