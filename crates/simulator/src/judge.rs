//! What must be true once faults have stopped, everybody has synced, and nobody works.
use crate::image::{Image, differences, show_value, words, words_of};
use crate::links::{self, Aim};
use crate::model::Model;
use crate::tally::{Invariant, Verdict, Wrong};
use crate::tape::{ClockFault, Datum, Manner, Role, Session, Statement};
use crate::wire::Manners;
use crate::world::{World, quiet, unexpected, unreadable};
use mainstem::audit::{self, Finding, Remembered};
use mainstem::core::change::Edit;
use mainstem::core::conflict::{Claim, Conflict, ConflictKind};
use mainstem::core::digest::state_digest;
use mainstem::core::event::Waiting;
use mainstem::core::value::{Key, Value};
use mainstem::replica::Replica;
use mainstem::sync;
use mainstem::wiring::Surroundings;
use rusqlite::Connection;
use std::collections::BTreeSet;

/// How far ahead a clock may be and not be put right before the last syncs.
const AHEAD_MS_MAX: u64 = 60_000;

impl World {
    /// Faults stop: three rounds of sync, after which another moves nothing. Clocks that run behind stay wrong.
    pub fn settle(&mut self) -> Verdict {
        self.wires.cut.clear();
        for who in self.sights.keys().copied().collect::<Vec<_>>() {
            self.set_role(who, Role::Contributor)?;
        }
        self.arrive(true)?;
        self.primary_place.machine.fault(ClockFault::Right, self.true_ms);
        for copy in &self.copies {
            if copy.place.machine.now_ms() > self.true_ms + AHEAD_MS_MAX {
                copy.place.machine.fault(ClockFault::Right, self.true_ms);
            }
        }
        for round in 0..4 {
            for who in 0..self.copies.len() {
                self.pass(1);
                self.tally.operations += 1;
                let is_last = round == 3;
                let at = |wrong: Wrong| wrong.at(format!("replica {who}, round {round} of the last syncs"));
                self.receiving(who, |world| world.settle_one(who, is_last)).map_err(at)?;
            }
        }
        self.look_at_versions()
    }

    pub(crate) fn settle_one(&mut self, who: usize, is_last: bool) -> Verdict {
        let mut replica = self.replica(who)?;
        if self.copies[who].has_unseen {
            // A file in which triggers were off, or that is an older one, is looked at whole, as `verify` does.
            replica.check().map_err(|e| unexpected("check", &e))?;
            self.tally.check(Invariant::Reconciled);
            self.copies[who].has_unseen = false;
        }
        let (done, _) = self.call(None, who, &mut replica, sync::sync, &Manners::CALM)?;
        let report = done.map_err(|e| unexpected("sync", &e))?;
        self.record(format!("{report:?}"));
        if is_last {
            self.tally.check(Invariant::Rest);
            if (report.pushed, report.pulled, report.reconciled, report.proposed_again) != (0, 0, 0, 0) {
                return Err(Wrong::new(Invariant::Rest, format!("no rest: still moves {report:?}")));
            }
        }
        Ok(())
    }

    /// Judges a world at rest.
    pub fn judge(&mut self) -> Verdict {
        let fail = |e: mainstem::Error| unexpected("judging", &e);
        let truth = by_id(self.serve()?.conflicts(false).map_err(fail)?);
        let waiting = self.pending(0)?;
        let mut rows = self.primary_image()?;
        let whole = rows.clone();
        self.settled(&mut rows, &waiting)?;
        let state = state_digest(&self.serve()?.describe().map_err(fail)?.tables);
        self.record(state);
        for who in 0..self.copies.len() {
            self.judge_copy(who, &rows, &truth, &waiting, state)?;
        }
        let is_whole = self.keeps_links;
        self.primary_place.open(is_whole, None)?;
        sound(self.primary_place.db.as_ref().expect("it is open"), is_whole, &self.cut).map_err(|wrong| wrong.at("the primary"))?;
        self.tally.check(Invariant::Sound);
        self.judge_ledger()?;
        self.judge_lives()?;
        self.judge_limits()?;
        self.judge_conflicts(&truth)?;
        self.judge_traffic()?;
        self.judge_identities()?;
        self.judge_traces(&whole, &truth, &waiting)?;
        self.nothing_lost(&whole, &truth, &waiting)?;
        self.judge_causality()
    }

    fn judge_traces(&mut self, rows: &Image, truth: &[Conflict], waiting: &[Waiting]) -> Verdict {
        let aside = self.taken_aside()?;
        let model = &self.model;
        model.traces.judge(rows, truth, waiting, &aside, &|table, column| model.is_combined(table, column), &mut self.tally)
    }

    /// I-36: however files were copied, no two go by one identity any more.
    fn judge_identities(&mut self) -> Verdict {
        let mut seen = BTreeSet::new();
        for who in 0..self.copies.len() {
            let standing = self.replica(who)?.standing().map_err(|e| unexpected("standing", &e))?;
            self.tally.check(Invariant::Identity);
            if !seen.insert(standing.replica) {
                return Err(Wrong::new(Invariant::Identity, format!("two copies of one identity: replica {who}")));
            }
        }
        Ok(())
    }

    /// I-6: whatever the clocks say, each copy writes into one cell after it has seen the write before, and the last holds.
    fn judge_causality(&mut self) -> Verdict {
        let whole: Vec<usize> = (0..self.copies.len()).filter(|who| !self.sights.contains_key(who)).collect();
        for at in 0..whole.len().min(3) {
            let (who, next) = (whole[at], whole[(at + 1) % whole.len()]);
            let image = self.copies[who].place.read(self.keeps_links)?;
            let Some((table, column, key, names)) = plain_cell(&self.model, &image) else { return Ok(()) };
            let word = format!("last{who}");
            let conditions: Vec<String> = names.iter().enumerate().map(|(at, name)| format!("\"{name}\" = ?{}", at + 2)).collect();
            let statement = Statement {
                sql: format!("UPDATE \"{table}\" SET \"{column}\" = ?1 WHERE {}", conditions.join(" AND ")),
                values: [Value::text(&word)].into_iter().chain(key.clone()).map(Datum::Value).collect(),
            };
            let is_known = self.is_known(who, &image, (&table, &key), &column)?;
            self.pass(1);
            self.run_session(&Session { who: Some(who), manner: Manner::default(), statements: vec![statement] })?;
            let written = self.copies[who].place.read(self.keeps_links)?;
            if written == image || written[&table].rows.len() != image[&table].rows.len() {
                return Ok(());
            }
            for each in [who, next] {
                self.receiving(each, |world| world.settle_one(each, false))?;
            }
            self.tally.check(Invariant::Causal);
            let seen = self.copies[next].place.read(self.keeps_links)?;
            let holds = written[&table].rows.get(&key) == seen[&table].rows.get(&key)
                || self.is_kept_waiting(next, (&table, &key), &word)?
                || !is_known && self.is_claimed((&table, &key), &word)?;
            if !holds {
                let why = format!("a later write lost: {table} {key:?} {column} of replica {who}, as replica {next} sees it");
                return Err(Wrong::new(Invariant::Causal, why));
            }
        }
        Ok(())
    }

    /// A change that waits for a parent is seen by its author alone, who sees nothing else in its place: then the write is in
    /// what waits, or in the primary's row.
    fn is_kept_waiting(&mut self, who: usize, (table, key): (&str, &Key), word: &str) -> Verdict<bool> {
        let pending = self.pending(who)?;
        let mut waits = pending.iter().filter(|wait| wait.table == table && wait.key == *key).peekable();
        if waits.peek().is_none() {
            return Ok(false);
        }
        let rows = self.primary_image()?;
        let there = rows.get(table).and_then(|held| held.rows.get(key));
        let is_written = there.is_some_and(|row| row.contains(&Value::text(word)));
        Ok(is_written || waits.any(|wait| writes(wait, word)))
    }

    /// True where a copy shows that row as the primary has it, and those that point to it by that column.
    fn is_known(&mut self, who: usize, image: &Image, (table, key): (&str, &Key), column: &str) -> Verdict<bool> {
        let there = self.primary_image()?;
        let db = self.copies[who].place.open(self.keeps_links, None)?;
        let pointing = links::pointing(db, table, column).map_err(unreadable)?;
        let row = |image: &Image| image.get(table).and_then(|held| held.rows.get(key)).cloned();
        let rows = |image: &Image, child: &String| image.get(child).map(|held| held.rows.clone());
        Ok(row(&there) == row(image) && pointing.iter().all(|child| rows(&there, child) == rows(image, child)))
    }

    /// Who wrote over a change of theirs that waits, or beside one, has not seen what others have there: both can be in a conflict.
    fn is_claimed(&mut self, (table, key): (&str, &Key), word: &str) -> Verdict<bool> {
        let conflicts = self.serve()?.conflicts(true).map_err(|e| unexpected("judging", &e))?;
        let text = Value::text(word);
        let claims = |claim: &Claim| match claim {
            Claim::Cell(value) => *value == text,
            Claim::Row(image) => image.iter().flatten().any(|(_, value)| *value == text),
        };
        let about = conflicts.iter().filter(|conflict| conflict.table.eq_ignore_ascii_case(table) && conflict.key == *key);
        Ok(about.into_iter().any(|conflict| claims(&conflict.ours.claim) || claims(&conflict.theirs.claim)))
    }

    fn judge_copy(&mut self, who: usize, rows: &Image, truth: &[Conflict], waiting: &[Waiting], state: [u8; 32]) -> Verdict {
        let fail = |e: mainstem::Error| unexpected("judging", &e);
        let mut theirs = self.copies[who].place.known(self.keeps_links)?;
        self.settled(&mut theirs, waiting)?;
        self.tally.check(Invariant::Converged);
        let seen = self.sights.get(&who).map(|sight| sight.of(rows));
        let found = differences(seen.as_ref().unwrap_or(rows), &theirs);
        if !found.is_empty() {
            let why = format!("diverged: replica {who} is not the primary\n    {}", found.join("\n    "));
            return Err(Wrong::new(Invariant::Converged, why));
        }
        let mut replica = self.replica(who)?;
        self.tally.check(Invariant::Conflicts);
        let mut conflicts = by_id(replica.conflicts(false).map_err(fail)?);
        conflicts.retain(|conflict| !self.told.contains(&conflict.id) || truth.iter().any(|known| known.id == conflict.id));
        if seen.is_some() {
            self.tally.check(Invariant::Visible);
            // Those of rows that left it stay as they were when they were seen last.
            let shown = self.shown(who, |primary| primary.conflicts(false))?.map_err(fail)?;
            if let Some(other) = shown.iter().find(|shown| !conflicts.contains(shown) || !truth.contains(shown)) {
                let held = conflicts.iter().find(|conflict| conflict.id == other.id);
                let why = format!("conflicts differ: replica {who} of a part holds {held:?}\n of {other:?}");
                return Err(Wrong::new(Invariant::Conflicts, why));
            }
        } else if conflicts != truth {
            let why = format!("conflicts differ: replica {who} has {conflicts:#?}\n the primary {truth:#?}");
            return Err(Wrong::new(Invariant::Conflicts, why));
        }
        let pending: Vec<Waiting> = replica.pending().map_err(fail)?.into_iter().map(|(_, waiting)| waiting).collect();
        if seen.is_none() && pending != waiting {
            let why = format!("pending differs: replica {who} has {pending:?}, replica 0 {waiting:?}");
            return Err(Wrong::new(Invariant::Conflicts, why));
        }
        let verified = self.shown(who, |primary| replica.verify(Some(primary), &mut quiet))?.map_err(fail)?;
        self.tally.check(Invariant::Digests);
        if !verified.differences.is_empty() {
            return Err(Wrong::new(Invariant::Digests, format!("verify finds: replica {who} {:?}", verified.differences)));
        }
        if seen.is_none() && waiting.is_empty() && verified.digest != state {
            return Err(Wrong::new(Invariant::Digests, format!("digests differ: replica {who}")));
        }
        self.tally.check(Invariant::Silent);
        let mut echo = Vec::new();
        replica
            .changes(mainstem::replica::Since::Commit, &mut |shape, change| {
                echo.push((shape.table.clone(), change.key.clone()));
                Ok(())
            })
            .map_err(fail)?;
        if !echo.is_empty() {
            return Err(Wrong::new(Invariant::Silent, format!("echo: replica {who} has captured {echo:?}")));
        }
        self.tally.check(Invariant::Drained);
        if replica.standing().map_err(fail)?.unsent > 0 {
            return Err(Wrong::new(Invariant::Drained, format!("unsent: replica {who} keeps work")));
        }
        drop(replica);
        self.tally.check(Invariant::Sound);
        let is_whole = self.keeps_links && waiting.is_empty() && seen.is_none();
        let place = &mut self.copies[who].place;
        place.open(is_whole, None)?;
        sound(place.db.as_ref().expect("it is open"), is_whole, &self.cut).map_err(|wrong| wrong.at(format!("replica {who}")))
    }

    fn pending(&mut self, who: usize) -> Verdict<Vec<Waiting>> {
        let pending = self.replica(who)?.pending().map_err(|e| unexpected("pending", &e))?;
        Ok(pending.into_iter().map(|(_, waiting)| waiting).collect())
    }

    /// Rows without those that wait: their author sees them, nobody else does.
    fn settled(&mut self, image: &mut Image, waiting: &[Waiting]) -> Verdict {
        for wait in waiting {
            let held = image.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(&wait.table));
            if let Some((_, held)) = held {
                held.rows.remove(&wait.key);
            }
        }
        Ok(())
    }

    /// I-50 and I-51: heads that somebody saw are still what they were.
    fn judge_ledger(&mut self) -> Verdict {
        let heads = std::mem::take(&mut self.looked.heads);
        for (version, hash) in heads {
            self.tally.check(Invariant::History);
            let now = self.serve()?.version_hash(version).map_err(|e| unexpected("version_hash", &e))?;
            if now != Some(hash) {
                return Err(Wrong::new(Invariant::History, format!("history changed: version {version}")));
            }
        }
        self.audit()
    }

    /// I-50: every event and page is what its hash says, and so are the rows and all that is folded from events.
    fn audit(&mut self) -> Verdict {
        let fail = |e: mainstem::Error| unexpected("an audit", &e);
        let known = self.replica(0)?.standing().map_err(fail)?.known;
        let mut found: Vec<Finding> = Vec::new();
        let mut take = |finding| {
            found.push(finding);
            Ok(())
        };
        audit::verify(self.serve()?, Remembered { known: known.as_ref(), head: None }, &mut take, &mut quiet).map_err(fail)?;
        self.tally.check(Invariant::Chain);
        match found.first() {
            None => Ok(()),
            Some(first) => Err(Wrong::new(Invariant::Chain, format!("audit finds: {} {}", first.subject.name(), first.what))),
        }
    }

    /// Conflicts have ids of their own, and hold what was written.
    fn judge_conflicts(&mut self, conflicts: &[Conflict]) -> Verdict {
        let unique: BTreeSet<u64> = conflicts.iter().map(|c| c.id).collect();
        if unique.len() != conflicts.len() {
            return Err(Wrong::new(Invariant::Conflicts, "one id for two conflicts: twice"));
        }
        for conflict in conflicts {
            let [ours, theirs] = [&conflict.ours, &conflict.theirs].map(|side| side.stamp.replica);
            if conflict.kind == ConflictKind::UpdateDelete && ours == theirs {
                return Err(Wrong::new(Invariant::Conflicts, format!("a conflict with oneself: {conflict:?}")));
            }
            for claim in [&conflict.ours.claim, &conflict.theirs.claim] {
                if let (Claim::Cell(value), Some(column)) = (claim, &conflict.column) {
                    self.tally.check(Invariant::Written);
                    let image_name = conflict.table.as_str();
                    if !self.model.is_known(image_name, column, value) {
                        let why = format!("invented: a conflict of {image_name} claims {} for {column}", show_value(value));
                        return Err(Wrong::new(Invariant::Written, why));
                    }
                }
            }
        }
        Ok(())
    }

    /// I-15: what travels is what programs did, a few times over.
    fn judge_traffic(&mut self) -> Verdict {
        self.tally.check(Invariant::Bounded);
        let bound = 8 * self.edits + 400;
        if self.looked.changes_sent > bound {
            let why = format!("too much: {} changes sent for {} edits", self.looked.changes_sent, self.edits);
            return Err(Wrong::new(Invariant::Bounded, why));
        }
        Ok(())
    }

    /// I-3, I-5 and I-37: each word that somebody wrote is in a row, in a conflict or waiting, unless somebody who saw it
    /// took it away.
    fn nothing_lost(&mut self, rows: &Image, conflicts: &[Conflict], waiting: &[Waiting]) -> Verdict {
        let mut kept = words_of(rows);
        let mut see = |value: &Value| words(value, &mut kept);
        for conflict in conflicts {
            for claim in [&conflict.base, &conflict.ours.claim, &conflict.theirs.claim] {
                match claim {
                    Claim::Cell(value) => see(value),
                    Claim::Row(Some(image)) => image.iter().for_each(|(_, value)| see(value)),
                    Claim::Row(None) => {}
                }
            }
        }
        for wait in waiting {
            match &wait.change.edit {
                Edit::Insert(row) | Edit::Delete(row) => row.iter().for_each(&mut see),
                Edit::Update(cells) => cells.iter().for_each(|cell| see(&cell.after)),
            }
        }
        for who in 0..self.copies.len() {
            if self.reviews.is_on || self.sights.contains_key(&who) {
                kept.extend(self.words_aside(who)?);
            }
        }
        for invariant in [Invariant::Captured, Invariant::Retrievable, Invariant::Copies] {
            self.tally.check(invariant);
        }
        let model = &self.model;
        let lost: Vec<u64> = model.written.iter().filter(|word| !kept.contains(word) && !model.gone.contains(word)).copied().collect();
        if lost.is_empty() { Ok(()) } else { Err(Wrong::new(Invariant::Retrievable, format!("lost: words {lost:?}"))) }
    }
}

/// True where what waits writes that text.
fn writes(wait: &Waiting, text: &str) -> bool {
    let text = Value::text(text);
    match &wait.change.edit {
        Edit::Insert(row) => row.contains(&text),
        Edit::Update(cells) => cells.iter().any(|cell| cell.after == text),
        Edit::Delete(_) => false,
    }
}

/// A cell that a program may write as it likes: its table, column, row and the names of the key.
fn plain_cell(model: &Model, image: &Image) -> Option<(String, String, Key, Vec<String>)> {
    let (name, held) = image.iter().find(|(_, held)| !held.rows.is_empty() && held.columns.len() > held.key.len())?;
    let is_free = |at: &usize| !held.key.contains(at) && model.is_plain(name, &held.columns[*at]);
    let column = (0..held.columns.len()).rev().find(is_free)?;
    let key = held.rows.keys().next()?.clone();
    Some((name.clone(), held.columns[column].clone(), key, held.key.iter().map(|&at| held.columns[at].clone()).collect()))
}

fn by_id(mut conflicts: Vec<Conflict>) -> Vec<Conflict> {
    conflicts.sort_by_key(|c| c.id);
    conflicts
}

/// I-70: SQLite finds nothing wrong, and links lead somewhere where programs keep them. Where a table was dropped, as some
/// program did, there is nowhere to lead to; and what went while triggers were off is known to have gone when it is compared,
/// by when others' rows that point to it may have come.
pub(crate) fn sound(db: &Connection, keeps_links: bool, cut: &BTreeSet<Aim>) -> Verdict {
    let said: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(unreadable)?;
    if said != "ok" {
        return Err(Wrong::new(Invariant::Sound, format!("integrity: {said}")));
    }
    if !keeps_links {
        return Ok(());
    }
    let look = || -> rusqlite::Result<Vec<String>> {
        let is_there = "EXISTS(SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = parent COLLATE NOCASE)";
        let mut statement = db.prepare(&format!("SELECT \"table\", rowid, parent FROM pragma_foreign_key_check WHERE {is_there}"))?;
        let named = |row: &rusqlite::Row<'_>| {
            let parent: String = row.get(2)?;
            Ok(format!("{} {:?} -> {parent}", row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?))
        };
        statement.query_map([], named)?.collect()
    };
    let found = look().map_err(unreadable)?;
    if found.is_empty() {
        return Ok(());
    }
    let known = links::dangling(db, &mut links::Links::default()).map_err(unreadable)?;
    let is_excused = !known.is_empty() && known.iter().all(|link| cut.contains(&link.aim));
    if is_excused { Ok(()) } else { Err(Wrong::new(Invariant::Sound, format!("dangling links: {found:?}"))) }
}
