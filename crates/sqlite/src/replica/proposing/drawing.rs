//! Draws up what is to be offered: kept changesets, condensed into one that stands on the earliest of their base versions.
//!
//! Invariant: memory is bounded by a page, and rows that changed in between; net changes lie in a temporary table meanwhile.
//! Invariant: what is drawn up does to the rows what its parts do, one after the other; what a part lost goes along as a conflict.
use super::apart::{Laned, laned};
use super::{Draught, each_change, put_draught};
use crate::capture::{key_ordered, ordered_key};
use crate::errors::Explain;
use crate::replica::receive::{Told, told_again};
use crate::replica::working::Closing;
use crate::replica::{clock, replica_id, storage, tracked_schema};
use mainstem::core::ErrorKind;
use mainstem::core::change::{Change, Edit, Front, Header, Shape};
use mainstem::core::condense::{combine_apart, combine_changes, table_ranks};
use mainstem::core::conflict::{Claim, Conflict};
use mainstem::core::format::{page, row as row_format};
use mainstem::core::schema::Schema;
use mainstem::core::value::Key;
use mainstem::error::{Error, Result};
use mainstem::lane::{Lane, shape_of};
use mainstem::proposing::{Content, Draft};
use mainstem::wiring::Around;
use rusqlite::{Connection, OptionalExtension, params};
use std::cell::Cell;
use std::collections::HashSet;

const SCRATCH: &str = "
PRAGMA temp.cache_size = -32768;
CREATE TEMP TABLE IF NOT EXISTS mainstem_net(tbl INTEGER, key BLOB, rank INTEGER, turn INTEGER, base INTEGER, body BLOB, moved BLOB, PRIMARY KEY(tbl, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS temp.mainstem_net_turn ON mainstem_net(rank, turn);
CREATE TEMP TABLE IF NOT EXISTS mainstem_apart(tbl INTEGER, key BLOB, is_made INTEGER, PRIMARY KEY(tbl, key)) WITHOUT ROWID;
DELETE FROM temp.mainstem_net;
DELETE FROM temp.mainstem_apart;
";

/// Draws up what is to be offered. False where there is nothing.
pub fn draw_up(db: &Connection, around: &Around, draft: &Draft) -> Result<bool> {
    let schema = tracked_schema(db)?;
    let is_meant = |one: &Laned| match (draft.of, one.mark) {
        (Content::Waiting | Content::Revised(_), Some(mark)) if mark.is_waiting() => true,
        (Content::Revised(id) | Content::Lost(id), Some(mark)) => mark.proposal() == Some(id),
        _ => false,
    };
    let meant: Vec<Laned> = laned(db, &schema)?.into_iter().filter(is_meant).collect();
    // What was closed is offered again as it is; what is open, only with something new.
    let is_new = |one: &Laned| matches!(draft.of, Content::Lost(_)) || one.mark.is_some_and(|mark| !mark.is_open());
    if !meant.iter().any(is_new) {
        return Ok(false);
    }
    let of: Vec<u128> = meant.iter().map(|one| one.front.header.write_id).collect();
    let header = header(db, around, draft, &meant)?;
    let net = Net::new(db, &schema, &meant)?;
    let mut closing = Closing::new(db, header.write_id, Front { shapes: net.shapes.clone(), ..Front::default() });
    closing.front.header.at = header.at;
    let lost = match &meant[..] {
        // One changeset has one change for each row, in an order in which they can be applied.
        [one] => net.visit(one, &mut |change| closing.add(change)).map(|()| Vec::new())?,
        several => net.condense(several, &of, &mut |change| closing.add(change))?,
    };
    closing.close_page()?;
    let mut front = closing.front;
    front.header = Header { at: front.header.at, ..header };
    meant.iter().for_each(|one| gather(&mut front, &one.front, &of));
    for conflict in lost {
        if front.conflicts.iter().all(|known| known.id != conflict.id) {
            front.conflicts.push(conflict);
        }
    }
    if front.count == 0 && front.schema.is_empty() && front.resolutions.is_empty() && front.conflicts.is_empty() {
        if draft.of == Content::Waiting {
            // What waits took itself back: rows that came and went.
            return of.iter().try_for_each(|write_id| storage::drop_changeset(db, *write_id).map(drop)).map(|()| false);
        }
        return Err(Error::new(
            ErrorKind::Invalid,
            "nothing_to_propose",
            "what waits for review comes to nothing: the rows are as they were",
        )
        .hint("mainstem withdraw ID --undo"));
    }
    let revises = match draft.of {
        Content::Revised(id) => Some(id),
        Content::Waiting | Content::Lost(_) => None,
    };
    put_draught(db, &Draught { front, revises, of }).map(|()| true)
}

/// Everything but rows that one of the changesets has, and its header: what is drawn up has it, too.
fn gather(front: &mut Front, part: &Front, of: &[u128]) {
    front.schema.extend(part.schema.iter().cloned());
    front.conflicts.extend(part.conflicts.iter().cloned());
    front.resolutions.retain(|earlier| part.resolutions.iter().all(|later| later.conflict != earlier.conflict));
    front.resolutions.extend(part.resolutions.iter().cloned());
    // What its own rows are called is in its rows.
    for here in part.renumbered_here.iter().filter(|here| !of.contains(&here.made_by)) {
        if !front.renumbered_here.contains(here) {
            front.renumbered_here.push(here.clone());
        }
    }
    for row in &part.hidden {
        if !front.hidden.contains(row) {
            front.hidden.push(row.clone());
        }
    }
    front.is_partial |= part.is_partial;
}

/// Who offers what, on which version.
fn header(db: &Connection, around: &Around, draft: &Draft, meant: &[Laned]) -> Result<Header> {
    let headers = || meant.iter().map(|one| &one.front.header);
    let titled = headers().find(|header| header.title.is_some());
    let (title, description) = match &draft.title {
        Some(title) => (title.clone(), draft.description.clone()),
        None => titled.map(|header| (header.title.clone().unwrap_or_default(), header.description.clone())).unwrap_or_default(),
    };
    if title.trim().is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "no_title", "a proposal needs a title").hint("mainstem propose -m \"what you did\""));
    }
    let mut made_on = Vec::new();
    for past in headers().flat_map(|header| &header.made_on) {
        if !made_on.contains(past) {
            made_on.push(*past);
        }
    }
    Ok(Header {
        write_id: around.random(),
        lineage: storage::get_wide(db, "lineage")?.unwrap_or_default(),
        replica: replica_id(db)?,
        sequence: 0,
        base_version: headers().map(|header| header.base_version).min().unwrap_or_default(),
        actor: draft.actor.clone(),
        title: Some(title),
        description,
        at: headers().map(|header| header.at).max().unwrap_or_default().max(clock::now(db, around)?),
        made_on,
    })
}

/// Net changes over several changesets.
struct Net<'c> {
    db: &'c Connection,
    schema: &'c Schema,
    shapes: Vec<Shape>,
    /// What the tables of the shapes are called by now.
    names: Vec<String>,
    turn: Cell<i64>,
}

impl<'c> Net<'c> {
    /// The shapes are those that all agree on, else those of the tables of now.
    fn new(db: &'c Connection, schema: &'c Schema, meant: &[Laned]) -> Result<Self> {
        db.execute_batch(SCRATCH).on(db)?;
        let (mut shapes, mut names): (Vec<Shape>, Vec<String>) = Default::default();
        for (shape, lane) in meant.iter().flat_map(|one| one.front.shapes.iter().zip(&one.lanes)) {
            let name = lane.table.map_or(&shape.table, |at| &schema.tables[at].name);
            match shapes.iter_mut().find(|known| known.table.eq_ignore_ascii_case(name) || known.table.eq_ignore_ascii_case(&shape.table)) {
                None => {
                    shapes.push(shape.clone());
                    names.push(name.clone());
                }
                Some(known) => {
                    let highest = known.highest.max(shape.highest);
                    if let (false, Some(at)) = (is_same(known, shape), lane.table) {
                        *known = shape_of(&schema.tables[at]);
                    }
                    known.highest = highest;
                }
            }
        }
        Ok(Net { db, schema, shapes, names, turn: Cell::new(0) })
    }

    /// Visits what several changesets come to together. Gives the conflicts that are lost in that.
    fn condense(&self, several: &[Laned], of: &[u128], visit: &mut dyn FnMut(Change) -> Result<()>) -> Result<Vec<Conflict>> {
        several.iter().try_for_each(|one| self.visit(one, &mut |change| self.take(change, one.front.header.base_version)))?;
        let lost = self.settle_apart(of)?;
        self.each(&table_ranks(self.schema), visit).map(|()| lost)
    }

    /// Visits the changes of a changeset in the columns of the shapes here.
    fn visit(&self, one: &Laned, visit: &mut dyn FnMut(Change) -> Result<()>) -> Result<()> {
        let mut places = Vec::new();
        for (shape, lane) in one.front.shapes.iter().zip(&one.lanes) {
            let name = lane.table.map_or(&shape.table, |at| &self.schema.tables[at].name);
            let is_it = |known: &Shape| known.table.eq_ignore_ascii_case(name) || known.table.eq_ignore_ascii_case(&shape.table);
            let place = self.shapes.iter().position(is_it).ok_or_else(|| Error::internal("a shape was not gathered"))?;
            places.push((place, is_same(&self.shapes[place], shape)));
        }
        each_change(self.db, &one.front, &mut |change| {
            let (place, is_straight) = places[change.table];
            let change = if is_straight { change } else { moved(&one.lanes[change.table], change)? };
            visit(Change { table: place, ..change })
        })
    }

    fn take(&self, mut change: Change, base: u64) -> Result<()> {
        self.turn.set(self.turn.get() + 1);
        let (db, place) = (self.db, change.table as i64);
        let sql = "SELECT turn, body, moved, base FROM temp.mainstem_net WHERE tbl = ?1 AND key = ?2";
        type Found = Option<(i64, Option<Vec<u8>>, Option<Vec<u8>>, i64)>;
        let find = |key: &Key| -> Result<Found> {
            let values = params![place, ordered_key(key)];
            db.prepare_cached(sql).on(db)?.query_row(values, |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))).optional().on(db)
        };
        // A row that moved on from where this changeset brought it moved from where it was before.
        if let Some((_, None, moved, _)) = change.moved_from.as_ref().map_or(Ok(None), &find)? {
            change.moved_from = moved.map(|key| row_format::decode_key(&key)).transpose()?;
        }
        let key = change.key.clone();
        let found = find(&key)?;
        let (mut turn, mut since) = (self.turn.get(), base);
        let (net, gone_from) = match found {
            None => (Some(change), None),
            Some((_, None, _, earliest)) => {
                since = earliest as u64;
                self.look_apart(None, &change, since)?;
                (Some(change), None)
            }
            Some((before, Some(body), _, earliest)) => {
                let first = self.decode(&body)?;
                since = earliest as u64;
                if matches!(first.edit, Edit::Insert(_)) {
                    turn = before;
                }
                self.look_apart(Some(&first), &change, since)?;
                (combine_apart(&first, &change), first.moved_from)
            }
        };
        let rank = i64::from(!matches!(net.as_ref().map(|net| &net.edit), Some(Edit::Delete(_))));
        let body = net.map(|net| page::encode(&self.shapes, std::slice::from_ref(&net)));
        let moved = gone_from.map(|key| row_format::encode_key(&key));
        let sql = "INSERT OR REPLACE INTO temp.mainstem_net(tbl, key, rank, turn, body, moved, base) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let values = params![place, ordered_key(&key), rank, turn, body, moved, since as i64];
        db.prepare_cached(sql).on(db)?.execute(values).on(db).map(drop)
    }

    /// Notes a row of which one change does not go on from the one before it, or that a version touched since that one's base.
    fn look_apart(&self, first: Option<&Change>, second: &Change, base: u64) -> Result<()> {
        let (db, key) = (self.db, row_format::encode_key(&second.key));
        let sql = "SELECT 1 FROM mainstem_touch WHERE tbl = lower(?1) AND key = ?2 AND version > ?3";
        let values = params![self.names[second.table], key, base as i64];
        let follows = first.is_none_or(|first| combine_changes(first, second).is_ok());
        if follows && !db.prepare_cached(sql).on(db)?.exists(values).on(db)? {
            return Ok(());
        }
        let sql = "INSERT INTO temp.mainstem_apart(tbl, key, is_made) VALUES(?1, ?2, ?3)
            ON CONFLICT(tbl, key) DO UPDATE SET is_made = max(is_made, excluded.is_made)";
        let is_made = matches!(second.edit, Edit::Insert(_));
        db.prepare_cached(sql).on(db)?.execute(params![second.table as i64, ordered_key(&second.key), is_made]).on(db).map(drop)
    }

    /// Where others' work came between or after changes of a row, they are what laying them one after the other does to it. Gives the
    /// conflicts that they come to: nobody finds them again where the later ones are laid alone.
    fn settle_apart(&self, of: &[u128]) -> Result<Vec<Conflict>> {
        let db = self.db;
        let mut statement = db.prepare_cached("SELECT tbl, key FROM temp.mainstem_apart").on(db)?;
        let apart: Vec<(i64, Vec<u8>)> =
            statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).on(db)?.collect::<rusqlite::Result<_>>().on(db)?;
        if apart.is_empty() {
            return Ok(Vec::new());
        }
        let named = |(place, key): &(i64, Vec<u8>)| -> Result<(String, Key)> {
            Ok((self.names[*place as usize].to_ascii_lowercase(), key_ordered(key)))
        };
        let rows = apart.iter().map(named).collect::<Result<Vec<_>>>()?;
        let told = told_again(db, rows.clone())?;
        for ((place, key), row) in apart.iter().zip(&rows).filter(|(_, row)| !told.waiting.contains(*row)) {
            let Some(net) = self.done(*place as usize, row, &told, of) else { continue };
            let sql =
                "SELECT body FROM temp.mainstem_net JOIN temp.mainstem_apart USING (tbl, key) WHERE tbl = ?1 AND key = ?2 AND NOT is_made";
            let drawn: Option<Option<Vec<u8>>> =
                db.prepare_cached(sql).on(db)?.query_row(params![place, key], |r| r.get(0)).optional().on(db)?;
            let is = |change: Option<&Change>, name: &str| change.is_some_and(|change| change.edit.name() == name);
            // Whether an edit brings a row back that others deleted is for whoever merges it.
            if is(net.as_ref(), "insert") && is(drawn.flatten().map(|body| self.decode(&body)).transpose()?.as_ref(), "update") {
                continue;
            }
            let rank = i64::from(!matches!(net.as_ref().map(|net| &net.edit), Some(Edit::Delete(_))));
            let body = net.map(|net| page::encode(&self.shapes, std::slice::from_ref(&net)));
            let sql = "UPDATE temp.mainstem_net SET body = ?3, rank = ?4 WHERE tbl = ?1 AND key = ?2";
            db.prepare_cached(sql).on(db)?.execute(params![place, key, body, rank]).on(db)?;
        }
        let rows: HashSet<(String, Key)> = rows.into_iter().collect();
        // Of two rows that clash, the conflict is told of one, and claims both.
        let is_lost = |write_id: &u128, conflict: &Conflict| {
            let claimed = [&conflict.ours.claim, &conflict.theirs.claim].map(|claim| self.key_claimed(&conflict.table, claim));
            let mut keys = claimed.into_iter().flatten().chain([conflict.key.clone()]);
            of.contains(write_id) && keys.any(|key| rows.contains(&(conflict.table.to_ascii_lowercase(), key)))
        };
        Ok(told.conflicts.into_iter().filter(|(write_id, conflict)| is_lost(write_id, conflict)).map(|(_, conflict)| conflict).collect())
    }

    /// The key of the row that one side of a conflict claims.
    fn key_claimed(&self, table: &str, claim: &Claim) -> Option<Key> {
        let Claim::Row(Some(image)) = claim else { return None };
        let table = self.schema.table(table)?;
        let cell = |at: &usize| image.iter().find(|(column, _)| column.eq_ignore_ascii_case(&table.columns[*at].name));
        table.key.iter().map(|at| cell(at).map(|(_, value)| value.clone())).collect()
    }

    /// What laying did to a row, as one change; none where its columns are others by now.
    fn done(&self, place: usize, row: &(String, Key), told: &Told, of: &[u128]) -> Option<Option<Change>> {
        let mut net: Option<Change> = None;
        for (_, touch) in told.done.get(row)?.iter().filter(|(write_id, _)| of.contains(write_id)) {
            if touch.shape.columns != self.shapes[place].columns || touch.shape.key != self.shapes[place].key {
                return None;
            }
            let change = Change { table: place, ..touch.change.clone() };
            net = match net {
                None => Some(change),
                Some(first) => combine_changes(&first, &change).ok()?,
            };
        }
        Some(net)
    }

    fn decode(&self, body: &[u8]) -> Result<Change> {
        page::decode(body, &self.shapes)?.pop().ok_or_else(|| Error::internal("a net change was written and is gone"))
    }

    /// Visits what is left, in the order in which it can be applied.
    fn each(&self, ranks: &std::collections::BTreeMap<String, usize>, visit: &mut dyn FnMut(Change) -> Result<()>) -> Result<()> {
        let mut places: Vec<usize> = (0..self.shapes.len()).collect();
        places.sort_by_key(|&at| ranks.get(&self.shapes[at].table.to_ascii_lowercase()).copied().unwrap_or(ranks.len()));
        let deletes = places.iter().rev().map(|&at| (0, at));
        for (rank, place) in deletes.chain(places.iter().map(|&at| (1, at))) {
            let sql = "SELECT body FROM temp.mainstem_net WHERE rank = ?1 AND tbl = ?2 AND body IS NOT NULL ORDER BY turn";
            let mut statement = self.db.prepare_cached(sql).on(self.db)?;
            let mut rows = statement.query(params![rank, place as i64]).on(self.db)?;
            while let Some(row) = rows.next().on(self.db)? {
                visit(self.decode(&row.get::<_, Vec<u8>>(0).on(self.db)?)?)?;
            }
        }
        Ok(())
    }
}

fn is_same(one: &Shape, other: &Shape) -> bool {
    one.table.eq_ignore_ascii_case(&other.table) && one.columns == other.columns && one.key == other.key
}

/// A change in the columns that its table has now. A column that was dropped since takes its values with it.
fn moved(lane: &Lane, change: Change) -> Result<Change> {
    if lane.table.is_none() {
        let message = format!("table {} is gone, and rows of it wait for review", lane.shape.table);
        return Err(Error::new(ErrorKind::Conflict, "schema_conflict", message).hint("mainstem withdraw ID --undo"));
    }
    let (change, _) = lane.localise(change, None);
    Ok(change)
}
