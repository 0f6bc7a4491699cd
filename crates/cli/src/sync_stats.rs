//! What moves between a replica and its primary, by copy and by table, or for one row.
use crate::catalog::Catalog;
use crate::json;
use crate::key_argument::KeyArgument;
use crate::output::{Output, note};
use crate::plain_text::{count, moment, name};
use crate::sync_state::Known;
use crate::wiring::{Opened, Session};
use mainstem::Result;
use mainstem::moved::{Moved, Source, Tally};
use mainstem::primary::KnownReplica;
use mainstem::replica::{Replica, Since};
use mainstem_core::change::{Change, Shape};
use mainstem_core::stamp::ReplicaId;
use mainstem_core::value::Key;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::Path;

/// One row, as typed.
pub struct Row<'a> {
    /// Its table.
    pub table: &'a str,
    /// Its key.
    pub key: &'a str,
}

/// What is not moved yet, or cannot be.
#[derive(Clone, Copy, Default)]
struct Waiting {
    unsent: u64,
    conflicts_open: u64,
    conflicts_resolved: u64,
}

/// Everything that is shown.
struct Stats {
    me: ReplicaId,
    /// The first version whose changes are counted; none where no version is kept.
    since: Option<u64>,
    tally: Tally,
    waiting: BTreeMap<String, Waiting>,
    heard: Vec<KnownReplica>,
}

/// Shows one replica, or one row of it.
pub fn show(session: &mut Session, path: &Path, row: Option<&Row<'_>>) -> Result<()> {
    let mut opened = session.replica_at(path)?;
    let known = Known::look(session, &mut opened)?;
    let mut stats = Stats::count(&mut opened, row)?;
    match session.primary_of(&opened.standing).and_then(|mut primary| primary.replicas()) {
        Ok(heard) => stats.heard = heard,
        // What is known here is shown all the same.
        Err(e) => note(format_args!("the primary cannot tell of other copies: {}", e.message)),
    }
    if session.out.is_json() {
        let mut shown = known.json(path);
        stats.json(&mut shown, known.primary_version());
        return session.out.json(&shown);
    }
    known.tell(&mut session.out, path)?;
    stats.tell(&mut session.out, row, known.primary_version())
}

impl Stats {
    fn count(opened: &mut Opened, row: Option<&Row<'_>>) -> Result<Stats> {
        let mut catalog = Catalog::open(&opened.path)?;
        let table = row.map(|row| catalog.table(row.table)).transpose()?;
        let key = row.map(|row| KeyArgument(row.key.to_owned()));
        let is_wanted = |called: &str, columns: &[&str], is: &Key| -> Result<bool> {
            match (&table, &key) {
                (Some(table), Some(key)) => Ok(table.eq_ignore_ascii_case(called) && key.is_match(columns, is)?),
                _ => Ok(true),
            }
        };
        let mut waiting: BTreeMap<String, Waiting> = BTreeMap::new();
        if row.is_none() {
            waiting.extend(opened.replica.schema()?.tables.into_iter().map(|table| (table.name, Waiting::default())));
        }
        opened.replica.changes(Since::Base, &mut |shape, change| {
            if is_wanted(&shape.table, &json::key_columns(shape), &change.key)? {
                waiting.entry(shape.table.clone()).or_default().unsent += 1;
            }
            Ok(())
        })?;
        for conflict in opened.replica.conflicts(false)? {
            let columns = catalog.key_columns(&conflict.table, conflict.key.len())?;
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            if is_wanted(&conflict.table, &columns, &conflict.key)? {
                let about = waiting.entry(conflict.table.clone()).or_default();
                *(if conflict.is_open() { &mut about.conflicts_open } else { &mut about.conflicts_resolved }) += 1;
            }
        }
        let mut tally = Tally::default();
        let mut wanted = |shape: &Shape, change: &Change| is_wanted(&shape.table, &json::key_columns(shape), &change.key);
        let since = opened.replica.kept_pages(&mut |version, page| tally.add(version, page, &mut wanted))?;
        Ok(Stats { me: opened.standing.replica, since, tally, waiting, heard: Vec::new() })
    }

    /// Every copy that is known of: what came from it, and where it stands.
    fn copies(&self) -> Vec<(Source, Moved, Option<&KnownReplica>)> {
        let mut copies: Vec<_> = self.tally.sources().into_iter().map(|(source, moved)| (source.clone(), moved, None)).collect();
        for known in &self.heard {
            match copies.iter_mut().find(|(source, ..)| source.replica == known.seen.replica) {
                Some((.., seen)) => *seen = Some(known),
                None => {
                    let source = Source { replica: known.seen.replica, actor: known.seen.actor.clone() };
                    copies.push((source, Moved::default(), Some(known)));
                }
            }
        }
        copies
    }

    /// What was sent from here and received of a table.
    fn moved(&self, table: &str) -> (Moved, Moved) {
        let of = self.tally.all().filter(|(called, ..)| called.eq_ignore_ascii_case(table));
        of.fold(Default::default(), |(sent, received): (Moved, Moved), (_, source, moved)| match source.replica == self.me {
            true => (sent.and(*moved), received),
            false => (sent, received.and(*moved)),
        })
    }

    fn tables(&self) -> Vec<(String, Waiting)> {
        let mut tables = self.waiting.clone();
        for (table, ..) in self.tally.all() {
            if !tables.keys().any(|known| known.eq_ignore_ascii_case(table)) {
                tables.insert(table.to_owned(), Waiting::default());
            }
        }
        tables.into_iter().collect()
    }

    fn json(&self, shown: &mut Json, head: Option<u64>) {
        let copies = self.copies().into_iter().map(|(source, moved, known)| {
            let mut shown = moved_shown(&moved);
            shown["replica"] = source.replica.to_string().into();
            shown["actor"] = source.actor.into();
            shown["is_own"] = (source.replica == self.me).into();
            shown["last_sync"] = known.map_or(Json::Null, |known| json::moment(known.at));
            shown["version"] = known.map(|known| known.seen.version).into();
            shown["behind"] = known.and_then(|known| Some(head?.saturating_sub(known.seen.version))).into();
            shown
        });
        shown["sources"] = copies.collect();
        let tables = self.tables().into_iter().map(|(table, waiting)| {
            let (sent, received) = self.moved(&table);
            let sources = self.tally.all().filter(|(called, ..)| called.eq_ignore_ascii_case(&table)).map(|(_, source, moved)| {
                let mut shown = moved_shown(moved);
                shown["replica"] = source.replica.to_string().into();
                shown["actor"] = source.actor.clone().into();
                shown
            });
            json!({
                "table": table,
                "unsent": waiting.unsent,
                "conflicts_open": waiting.conflicts_open,
                "conflicts_resolved": waiting.conflicts_resolved,
                "sent": moved_shown(&sent),
                "received": moved_shown(&received),
                "sources": sources.collect::<Vec<_>>(),
            })
        });
        shown["tables"] = tables.collect();
        shown["since_version"] = self.since.into();
    }

    fn tell(&self, out: &mut Output, row: Option<&Row<'_>>, head: Option<u64>) -> Result<()> {
        match (row, self.since) {
            (Some(row), Some(since)) => out.line(format_args!("\n{} {}, since version {since}", name(row.table), name(row.key)))?,
            (None, Some(since)) => out.line(format_args!("\nmoved since version {since}"))?,
            (_, None) => out.line("\nno version is kept here: nothing to count")?,
        }
        let copies = self.copies().into_iter().map(|(source, moved, known)| {
            let is_own = if source.replica == self.me { " (this one)" } else { "" };
            vec![
                format!("{}{is_own}", &source.replica.to_string()[..8]),
                name(&source.actor),
                known.map_or("not known".into(), |known| moment(known.at)),
                known.and_then(|known| Some(head?.saturating_sub(known.seen.version))).map_or_else(String::new, |n| n.to_string()),
                moved.rows.to_string(),
                moved.bytes.to_string(),
                last(&moved),
            ]
        });
        out.table(&["copy", "actor", "last sync", "behind", "rows", "bytes", "last change"], copies.collect())?;
        out.line("")?;
        let tables = self.tables().into_iter().map(|(table, waiting)| {
            let (sent, received) = self.moved(&table);
            let pair = |moved: Moved| format!("{}, {}", count(moved.rows, "row", "rows"), count(moved.bytes, "byte", "bytes"));
            vec![
                name(&table),
                waiting.unsent.to_string(),
                waiting.conflicts_open.to_string(),
                waiting.conflicts_resolved.to_string(),
                pair(sent),
                pair(received),
                last(&sent.and(received)),
            ]
        });
        out.table(&["table", "unsent", "conflicts open", "resolved", "sent", "received", "last change"], tables.collect())
    }
}

fn moved_shown(moved: &Moved) -> Json {
    let last = if moved.rows == 0 { Json::Null } else { json::moment(moved.last) };
    json!({ "rows": moved.rows, "bytes": moved.bytes, "last_change": last })
}

fn last(moved: &Moved) -> String {
    if moved.rows == 0 { String::new() } else { moment(moved.last) }
}
