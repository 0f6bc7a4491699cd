//! An actor who may see a part and asks for everything, in every way there is, and tries to be taken for others.
//!
//! Invariant: everything that is answered is looked through, to the last byte; what may be in it is known from the states that
//! rows were in, and from what the actor wrote.
use crate::image::{Held, Image, words};
use crate::office::Sight;
use crate::tally::{Invariant, Situation, Verdict, Wrong};
use crate::tape::Role;
use crate::world::{World, unexpected};
use mainstem::cleanup::Rehearsal;
use mainstem::core::change::{Change, Edit, Front};
use mainstem::core::conflict::{Claim, Conflict};
use mainstem::core::event::Version;
use mainstem::core::format::page;
use mainstem::core::value::{Key, Row, Value};
use mainstem::error::{Error, Result};
use mainstem::history::RowPlace;
use mainstem::primary::{Acquaintance, Cursor, Pages, Primary, Pushed, Seen, SnapshotSink, SnapshotStart};
use mainstem::replica::Replica;
use mainstem::tombstones::Wanted;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// Versions that are asked for by number, the latest ones.
const VERSIONS: u64 = 4;
/// Rows of each table that are asked for by key.
const ROWS: usize = 3;

/// The states that rows were in, by table and key.
#[derive(Default)]
pub(crate) struct States {
    rows: BTreeMap<(String, Key), Vec<Row>>,
    /// Words of changes that wait, by table and key.
    beside: BTreeMap<(String, Key), BTreeSet<u64>>,
    clashes: Vec<Clash>,
}

/// A conflict.
struct Clash {
    /// The table and key that it is filed under.
    place: (String, Key),
    /// The rows that it claims, which need not have been in any version: names of columns, and values.
    images: Vec<(Vec<String>, Row)>,
    words: BTreeSet<u64>,
}

impl Clash {
    fn of(conflict: &Conflict) -> Clash {
        let mut words = BTreeSet::new();
        words_printed(&format!("{conflict:?}"), &mut words);
        let claims = [&conflict.base, &conflict.ours.claim, &conflict.theirs.claim];
        let images = claims.into_iter().filter_map(|claim| match claim {
            Claim::Row(Some(image)) => Some(image.iter().cloned().unzip()),
            _ => None,
        });
        Clash { place: (conflict.table.to_lowercase(), conflict.key.clone()), images: images.collect(), words }
    }

    /// True where it may be told: no row in it is forbidden, and one of them is seen, or the row that it is filed under.
    fn is_told(&self, sight: &Sight, visible: &BTreeSet<(String, Key)>) -> bool {
        let (table, images) = (&self.place.0, || self.images.iter());
        let is_forbidden = images().any(|(columns, row)| !sight.may_see(table, columns, row));
        !is_forbidden && (visible.contains(&self.place) || images().any(|(columns, row)| sight.sees(table, columns, row)))
    }
}

/// What somebody was answered.
#[derive(Default)]
struct Heard {
    /// Each word with the answer that told it first.
    words: BTreeMap<u64, &'static str>,
}

/// The words in what is printed of something: in its texts, and in bytes that are printed as numbers.
fn words_printed(text: &str, into: &mut BTreeSet<u64>) {
    words(&Value::Text(text.as_bytes().to_vec()), into);
    for list in text.split('[').skip(1) {
        let Some((list, _)) = list.split_once(']') else { continue };
        let bytes: Vec<u8> = list.split(", ").map_while(|number| number.trim().parse().ok()).collect();
        words(&Value::Blob(bytes), into);
    }
}

impl Heard {
    fn hear(&mut self, what: &'static str, answer: &impl Debug) {
        let mut found = BTreeSet::new();
        words_printed(&format!("{answer:?}"), &mut found);
        for word in found {
            self.words.entry(word).or_insert(what);
        }
    }
}

impl SnapshotSink for Heard {
    fn begin(&mut self, start: &SnapshotStart) -> Result<()> {
        self.hear("a snapshot's beginning", start);
        Ok(())
    }
    fn rows(&mut self, _: usize, rows: &[Row]) -> Result<()> {
        self.hear("a snapshot", &rows);
        Ok(())
    }
}

/// One page.
struct One(Vec<Change>, bool);

impl Pages for One {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        let is_first = !std::mem::replace(&mut self.1, true);
        Ok(is_first.then(|| self.0.clone()))
    }
    fn rewind(&mut self) -> Result<()> {
        self.1 = false;
        Ok(())
    }
}

impl World {
    /// Notes the states that a version left rows in.
    pub(crate) fn note_states(&mut self, version: &Version) -> Verdict {
        let Some(mut states) = self.states.take() else { return Ok(()) };
        let done = self.read_states(version, &mut states);
        self.states = Some(states);
        done
    }

    fn read_states(&mut self, version: &Version, states: &mut States) -> Verdict {
        let fail = |e: Error| unexpected("reading states", &e);
        let (number, primary) = (version.version, self.serve()?);
        let mut touched: BTreeMap<String, Vec<Key>> = BTreeMap::new();
        for at in 0..version.pages {
            let bytes = primary.page(number, at).map_err(fail)?.unwrap_or_default();
            for change in page::decode(&bytes, &version.shapes).map_err(|e| Wrong::new(Invariant::Chain, format!("page: {e}")))? {
                touched.entry(version.shapes[change.table].table.to_lowercase()).or_default().push(change.key);
            }
        }
        for (table, keys) in touched {
            let rows = primary.rows_of(&table, &keys, number).map_err(fail)?;
            for (key, row) in keys.into_iter().zip(rows) {
                states.rows.entry((table.clone(), key)).or_default().extend(row);
            }
        }
        states.clashes.extend(version.conflicts.iter().map(Clash::of));
        for row in version.renumbered.iter().chain(&version.renumbered_here) {
            // A row that was renumbered is told where it is visible as it was made.
            states.rows.entry((row.table.to_lowercase(), vec![Value::Integer(row.from)])).or_default().push(row.row.clone());
        }
        for wait in &version.waiting {
            let place = (wait.table.to_lowercase(), wait.key.clone());
            words_printed(&format!("{:?}", wait.change), states.beside.entry(place.clone()).or_default());
            if let Edit::Insert(row) = &wait.change.edit {
                states.rows.entry(place).or_default().push(row.clone());
            }
        }
        Ok(())
    }

    /// The words that may be told to whoever sees that.
    fn permitted(&self, sight: &Sight, rows: &Image, first: &Image) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        let Some(states) = &self.states else { return found };
        let mut visible = BTreeSet::new();
        let mut see = |table: &str, held: &Held, key: &Key, row: &Row| {
            if sight.sees(table, &held.columns, row) {
                row.iter().for_each(|value| words(value, &mut found));
                visible.insert((table.to_lowercase(), key.clone()));
            }
        };
        for (table, held) in rows.iter().chain(first) {
            held.rows.iter().for_each(|(key, row)| see(table, held, key, row));
            for ((_, key), all) in states.rows.iter().filter(|((name, _), _)| name.eq_ignore_ascii_case(table)) {
                all.iter().for_each(|row| see(table, held, key, row));
            }
        }
        for clash in states.clashes.iter().filter(|clash| clash.is_told(sight, &visible)) {
            found.extend(&clash.words);
        }
        for place in visible {
            found.extend(states.beside.get(&place).into_iter().flatten());
        }
        found
    }

    /// I-52 and I-53: everything is asked for and tried by the actor of a copy of a part.
    pub(crate) fn probe(&mut self, who: usize) -> Verdict {
        let Some(mut sight) = self.sights.get(&who).cloned() else { return Ok(()) };
        sight.asked = self.replica(who)?.standing().map_err(|e| unexpected("standing", &e))?.scope;
        self.sights.insert(who, sight.clone());
        self.look_at_versions()?;
        self.tally.reach(Situation::Probed);
        let rows = self.primary_image()?;
        let mut heard = Heard::default();
        let is_served = self.ask_all(who, &rows, &sight, &mut heard)?;
        self.tally.check(Invariant::Permitted);
        if is_served && sight.role == Role::Nobody {
            return Err(Wrong::new(Invariant::Permitted, format!("served without a role: replica {who}, asking")));
        }
        let mut allowed = self.permitted(&sight, &rows, &self.first.clone());
        allowed.extend(&self.copies[who].authored);
        if let Some((word, what)) = heard.words.iter().find(|(word, _)| !allowed.contains(word)) {
            let why =
                format!("told: word {word} by {what} to replica {who}, who asks for {:?} and may see {:?}", sight.asked, sight.permitted);
            return Err(Wrong::new(Invariant::Permitted, why));
        }
        self.attack(who, &rows)
    }

    /// Asks in every way. True where anything was answered.
    fn ask_all(&mut self, who: usize, rows: &Image, sight: &Sight, heard: &mut Heard) -> Verdict<bool> {
        let described = self.shown(who, |primary| primary.describe())?;
        heard.hear("describe", &described);
        let Ok(described) = described else {
            let refused = self.shown(who, |primary| primary.snapshot(heard))?;
            return Ok(refused.is_ok());
        };
        let seen = sight.of(rows);
        for table in &described.tables {
            let count = seen.iter().find(|(name, _)| name.eq_ignore_ascii_case(&table.table)).map_or(0, |(_, held)| held.rows.len());
            let keyless = rows.iter().any(|(name, held)| name.eq_ignore_ascii_case(&table.table) && held.keyless > 0);
            if !keyless && table.rows != count as u64 {
                let why = format!("counted: {} rows of {} told to replica {who}, who sees {count}", table.rows, table.table);
                return Err(Wrong::new(Invariant::Permitted, why));
            }
        }
        let (version, hash, lineage) = (described.head.version, described.head.hash, described.lineage);
        let known = Acquaintance { lineage, epoch: described.epoch, version, hash, scope: described.scope };
        let horizon = described.horizon.max(1);
        self.shown(who, |primary| {
            drop(primary.snapshot(heard));
            heard.hear("pull", &primary.pull(&known, Cursor { version: horizon + 1, page: 0 }, 1 << 20));
            heard.hear("conflicts", &primary.conflicts(false));
            heard.hear("events", &primary.events(0, 1 << 20));
            heard.hear("chronicle", &primary.chronicle());
            heard.hear("schema", &primary.schema());
            let mut told = Vec::new();
            let visited = primary.tombstones(&Wanted::default(), &mut |tombstone| {
                told.push(tombstone.clone());
                Ok(())
            });
            heard.hear("tombstones", &visited.err());
            told.iter().for_each(|text| heard.hear("tombstones", text));
            for number in version.saturating_sub(VERSIONS).max(1)..=version {
                heard.hear("version", &primary.version(number));
                heard.hear("page", &primary.page(number, 0));
            }
            for (table, held) in rows {
                ask_table(primary, table, held, version, heard);
            }
            Ok(())
        })?
        .map_err(|e| unexpected("asking", &e))?;
        Ok(true)
    }

    /// Tries to be another and to change what may not be changed: nothing moves by it (I-53).
    fn attack(&mut self, who: usize, rows: &Image) -> Verdict {
        let fail = |e: Error| unexpected("an attack", &e);
        let before = self.serve()?.describe().map_err(fail)?;
        let replicas = self.serve()?.replicas().map_err(fail)?;
        let victim = replicas.iter().find(|known| known.seen.actor != self.copies[who].actor).map(|known| known.seen.replica);
        let Some(victim) = victim else { return Ok(()) };
        let head = before.head;
        let scope = self.shown(who, |primary| primary.describe())?.map(|described| described.scope).unwrap_or_default();
        let known = Acquaintance { lineage: before.lineage, epoch: before.epoch, version: head.version, hash: head.hash, scope };
        let next = self.looked.sequences.get(&victim).copied().unwrap_or_default() + 1;
        let mut front = Front::default();
        (front.header.write_id, front.header.lineage) = (u128::from(self.tally.operations) << 64 | 7, before.lineage);
        (front.header.replica, front.header.sequence, front.header.base_version) = (victim, next, head.version);
        front.header.actor = "a0".into();
        front.header.at = mainstem::core::stamp::Time::from_ms(self.true_ms.min(crate::machine::MORNING));
        let taken = self.shown(who, |primary| primary.push(&known, &front, &mut One(Vec::new(), false)))?;
        let is_taken = matches!(taken, Ok(Pushed::Accepted { .. }));
        let seen = Seen { replica: victim, actor: "a0".into(), version: 0 };
        let heard = self.shown(who, |primary| primary.seen(&known, &seen))?;
        let ruled = self.shown(who, |primary| primary.set_policy("", "a0"))?;
        let cleaned = self.shown(who, |primary| primary.cleanup("a0", Rehearsal::Real).map(drop))?;
        self.tally.check(Invariant::Untouched);
        let after = self.serve()?.describe().map_err(fail)?;
        let now = self.serve()?.replicas().map_err(fail)?;
        let is_same = after.head == before.head && after.tables == before.tables && after.policy == before.policy && now == replicas;
        if is_taken || heard.is_ok() || ruled.is_ok() || cleaned.is_ok() || !is_same {
            let why = format!(
                "another's: replica {who} was taken for {victim:?}: push {is_taken}, place {}, policy {}, cleanup {}, same {is_same}, {} rows",
                heard.is_ok(),
                ruled.is_ok(),
                cleaned.is_ok(),
                rows.len()
            );
            return Err(Wrong::new(Invariant::Untouched, why));
        }
        Ok(())
    }
}

/// Asks for a table's rows and for what is known of some, be they visible or not.
fn ask_table(primary: &mut dyn Primary, table: &str, held: &Held, version: u64, heard: &mut Heard) {
    for number in [version, 1] {
        let mut told = Vec::new();
        let visited = primary.rows(table, number, &mut |_, row| {
            told.push(row.clone());
            Ok(())
        });
        heard.hear("rows", &visited);
        heard.hear("rows", &told);
    }
    let keys: Vec<Key> = held.rows.keys().take(ROWS).chain(held.rows.keys().rev().take(ROWS)).cloned().collect();
    heard.hear("rows_of", &primary.rows_of(table, &keys, version));
    heard.hear("deleted_since", &primary.deleted_since(table, &keys, 0));
    for key in keys {
        // What was asked with is in no answer that counts.
        let place = RowPlace { table: table.to_owned(), key, version };
        heard.hear("row_history", &primary.row_history(&place, 20).ok());
        heard.hear("touches", &primary.touches(&place, 0).ok());
        heard.hear("blame", &primary.blame(&place).ok());
    }
}
