//! The changes of a proposal, a part at a time: as merging would make them, as it made them, or as they were offered.
use super::talk::{self, Shown, key_offered};
use super::{ProposalAsked, key_text};
use mainstem::core::change::{Change, Edit, Shape};
use mainstem::core::event::{Digest, Renumbered, Version};
use mainstem::core::format::page;
use mainstem::core::proposal::TableSummary;
use mainstem::core::schema::{Schema, SchemaChange};
use mainstem::core::value::{Key, Row, Value};
use mainstem::error::{Error, Result};
use mainstem::primary::Primary;
use mainstem::review::Judged;
use mainstem_pages::cell::ShownCell;
use mainstem_pages::pager::Pager;
use mainstem_pages::proposal::{Changes, May};
use mainstem_pages::proposals::Badge;
use mainstem_pages::row_change::{RowChange, RowForm};
use mainstem_pages::thread::Talk;
use mainstem_pages::value::{Room, ShownValue, grouped, seen};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Rows on one page.
pub const ROWS: usize = 50;

/// Where a part of the changes begins: a page, a change in it, and how many were before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Place {
    page: u64,
    change: usize,
    before: u64,
}

impl TryFrom<String> for Place {
    type Error = String;
    fn try_from(text: String) -> std::result::Result<Place, String> {
        let numbers: Option<Vec<u64>> = text.split('.').map(|part| part.parse().ok()).collect();
        match numbers.as_deref() {
            Some([page, change, before]) => Ok(Place { page: *page, change: *change as usize, before: *before }),
            _ => Err(format!("{text} is no place in a list of changes")),
        }
    }
}

/// The query that shows a table in a way, from a place on.
pub fn query(table: Option<&str>, view: Option<&str>, at: Option<Place>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    table.map(|table| query.append_pair("table", table));
    view.map(|view| query.append_pair("view", view));
    at.map(|at| query.append_pair("at", &format!("{}.{}.{}", at.page, at.change, at.before)));
    format!("?{}", query.finish())
}

/// Where the changes of a proposal are.
pub struct Source<'a> {
    judged: &'a Judged,
    /// What they refer to.
    shapes: &'a [Shape],
    pages: u64,
    kind: Kind,
    /// What merging does, or did.
    pub outcome: Option<&'a Version>,
}

enum Kind {
    /// What merging does or did, by its digest.
    Result(Digest),
    /// What was offered.
    Offered(u64),
}

impl<'a> Source<'a> {
    /// Where a proposal's changes are to be had.
    pub fn of(judged: &'a Judged, merged: Option<&'a Version>) -> Source<'a> {
        let head = judged.proposal.head();
        let outcome = judged.assessment.as_ref().map(|assessment| &assessment.outcome).or(merged);
        let digest = judged.assessment.as_ref().map(|assessment| assessment.digest);
        let kind = match (digest, merged.and_then(|version| version.review.as_ref())) {
            (Some(digest), _) => Kind::Result(digest),
            (None, Some(reviewed)) => Kind::Result(reviewed.digest),
            (None, None) => Kind::Offered(judged.proposal.revisions.len() as u64),
        };
        match outcome {
            Some(version) => Source { judged, shapes: &version.shapes, pages: version.pages, kind, outcome },
            None => Source { judged, shapes: &head.front.shapes, pages: head.pages, kind, outcome },
        }
    }
    /// What happens to the tables themselves.
    pub fn schema(&self) -> &'a [SchemaChange] {
        self.outcome.map_or(&self.judged.proposal.head().front.schema, |outcome| &outcome.schema)
    }
    fn renumbered(&self) -> &'a [Renumbered] {
        self.outcome.map_or(&[], |outcome| &outcome.renumbered)
    }
    /// One page; none where it is gone, or merging does something else by now.
    fn page(&self, primary: &mut dyn Primary, number: u64) -> Result<Option<Vec<Change>>> {
        let id = self.judged.proposal.id;
        let bytes = match &self.kind {
            Kind::Result(digest) => primary.shown_page(id, digest, number)?,
            Kind::Offered(revision) => primary.staged_page(id, *revision, number)?,
        };
        bytes.map(|bytes| page::decode(&bytes, self.shapes)).transpose().map_err(Error::from)
    }
    fn is_of(&self, change: &Change, only: Option<&str>) -> bool {
        only.is_none_or(|only| self.shapes[change.table].table == only)
    }
}

/// What happens in each table.
pub fn summaries(primary: &mut dyn Primary, source: &Source<'_>) -> Result<Vec<TableSummary>> {
    if let Some(assessment) = &source.judged.assessment {
        return Ok(assessment.tables.clone());
    }
    let head = source.judged.proposal.head();
    if let (Kind::Offered(_), false) = (&source.kind, head.tables.is_empty()) {
        return Ok(head.tables.clone());
    }
    let mut tables = TableSummary::of(source.shapes);
    for number in 0..source.pages {
        for change in source.page(primary, number)?.into_iter().flatten() {
            tables[change.table].add(&change.edit);
        }
    }
    Ok(tables)
}

/// The changes from a place on, at most a page of them, and where the next ones are.
type Part = (Vec<Change>, Option<Place>);

fn forwards(primary: &mut dyn Primary, source: &Source<'_>, from: Place, only: Option<&str>) -> Result<Option<Part>> {
    let mut found = Vec::new();
    for number in from.page..source.pages {
        let Some(changes) = source.page(primary, number)? else { return Ok(None) };
        let skipped = if number == from.page { from.change } else { 0 };
        for (at, change) in changes.into_iter().enumerate().skip(skipped) {
            if !source.is_of(&change, only) {
                continue;
            }
            if found.len() == ROWS {
                return Ok(Some((found, Some(Place { page: number, change: at, before: from.before + ROWS as u64 }))));
            }
            found.push(change);
        }
    }
    Ok(Some((found, None)))
}

/// Where the part before begins.
fn backwards(primary: &mut dyn Primary, source: &Source<'_>, from: Place, only: Option<&str>) -> Result<Option<Place>> {
    let mut found = None;
    let mut count = 0;
    for number in (0..=from.page.min(source.pages.saturating_sub(1))).rev() {
        let Some(changes) = source.page(primary, number)? else { return Ok(None) };
        let end = if number == from.page { from.change } else { changes.len() };
        for (at, change) in changes.iter().enumerate().take(end).rev() {
            if source.is_of(change, only) {
                count += 1;
                found = Some(Place { page: number, change: at, before: from.before.saturating_sub(count) });
            }
            if count == ROWS as u64 {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// A part of the changes as it is shown, and the rows that are in it.
pub fn part(
    primary: &mut dyn Primary,
    source: &Source<'_>,
    asked: &ProposalAsked,
    path: &str,
    talk: Option<&Talk>,
    may: &May,
) -> Result<(Changes, Vec<Shown>)> {
    let (only, view, from) = (asked.table.as_deref(), asked.view.as_deref(), asked.at.unwrap_or_default());
    let is_beside = view == Some("beside");
    let total = source.outcome.map_or(source.judged.proposal.head().front.count, |outcome| outcome.count);
    let mut changes = Changes {
        is_beside,
        other_view: format!("{path}{}", query(only, (!is_beside).then_some("beside"), asked.at)),
        only: only.map(seen),
        all: format!("{path}{}", query(None, view, None)),
        total,
        ..Changes::default()
    };
    let Some((found, next)) = forwards(primary, source, from, only)? else {
        changes.absent = Some(match source.kind {
            Kind::Result(_) => "Something was accepted just now. Load the page again to see what merging does.",
            Kind::Offered(_) => "Its rows are not kept any more.",
        });
        return Ok((changes, Vec::new()));
    };
    let to = |place| format!("{path}{}#changes", query(only, view, Some(place)));
    let previous = if from == Place::default() { None } else { backwards(primary, source, from, only)? };
    let shown = format!("{} to {}", grouped(from.before + 1), grouped(from.before + found.len() as u64));
    let is_all = from == Place::default() && next.is_none();
    changes.pager = Pager {
        of: "the changes",
        first: previous.map(|_| format!("{path}{}#changes", query(only, view, None))),
        previous: previous.map(to),
        next: next.map(to),
        shown: if found.is_empty() || is_all { String::new() } else { shown + &of_all(total, only) },
    };
    let before = rows_before(primary, source, &found)?;
    let keys = found.iter().map(|change| (source.shapes[change.table].table.clone(), change.key.clone())).collect();
    changes.rows = found.iter().zip(before).map(|(change, before)| row(source, change, before, is_beside, talk, may)).collect();
    Ok((changes, keys))
}

fn of_all(total: u64, only: Option<&str>) -> String {
    if only.is_some() { String::new() } else { format!(" of {}", grouped(total)) }
}

/// A row by column.
type Image = Vec<(String, Value)>;

/// What else is in the rows that change, as they are where it is merged.
fn rows_before(primary: &mut dyn Primary, source: &Source<'_>, changes: &[Change]) -> Result<Vec<Image>> {
    let mut images = vec![Image::new(); changes.len()];
    let Some(assessment) = &source.judged.assessment else { return Ok(images) };
    let schema = primary.schema()?;
    let mut tables: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, change) in changes.iter().enumerate().filter(|(_, change)| matches!(change.edit, Edit::Update(_))) {
        tables.entry(&source.shapes[change.table].table).or_default().push(at);
    }
    for (table, places) in tables {
        let Some(columns) = columns(&schema, table) else { continue };
        let keys: Vec<Key> = places.iter().map(|&at| changes[at].key.clone()).collect();
        let rows: Vec<Option<Row>> = primary.rows_of(table, &keys, assessment.head)?;
        for (at, row) in places.into_iter().zip(rows) {
            if let Some(row) = row.filter(|row| row.len() == columns.len()) {
                images[at] = columns.iter().cloned().zip(row).collect();
            }
        }
    }
    Ok(images)
}

fn columns(schema: &Schema, table: &str) -> Option<Vec<String>> {
    let found = schema.tables.iter().find(|known| known.name.eq_ignore_ascii_case(table))?;
    Some(found.columns.iter().map(|column| column.name.clone()).collect())
}

fn row(source: &Source<'_>, change: &Change, before: Image, is_beside: bool, talk: Option<&Talk>, may: &May) -> RowChange {
    let shape = &source.shapes[change.table];
    let mut row = told(shape, change, is_beside);
    let is_key = |name: &str| shape.key.iter().any(|&at| shape.columns[at].eq_ignore_ascii_case(name));
    let is_changed = |name: &str| match &change.edit {
        Edit::Update(cells) => cells.iter().any(|cell| shape.columns[cell.column].eq_ignore_ascii_case(name)),
        Edit::Insert(_) | Edit::Delete(_) => true,
    };
    let stays = before.iter().filter(|(name, _)| !is_key(name) && !is_changed(name));
    row.same = stays.map(|(name, value)| (seen(name), ShownValue::new(value, Room::Cell))).collect();
    row.threads = talk::about(source.judged, &shape.table, &change.key, talk);
    let key = key_text(&key_offered(source.renumbered(), &shape.table, &change.key));
    let named = |name: &String| (name.clone(), seen(name).bare());
    let cell = |name: &String| (serde_json::json!([shape.table, key, name]).to_string(), seen(name).bare());
    let told = || shape.columns.iter().filter(|name| is_changed(name) && !is_key(name));
    let cells = if is_divisible(change) { told().map(cell).collect() } else { Vec::new() };
    row.form = Some(RowForm {
        both: serde_json::json!([shape.table, key]).to_string(),
        table: shape.table.clone(),
        columns: told().map(named).collect(),
        talk: talk.cloned(),
        may_choose: may.change,
        cells,
        key: key.clone(),
    });
    row
}

/// True where some of its cells may be kept without the others.
fn is_divisible(change: &Change) -> bool {
    matches!(&change.edit, Edit::Update(cells) if cells.len() > 1)
}

/// A change by itself.
pub fn told(shape: &Shape, change: &Change, is_beside: bool) -> RowChange {
    let name = |at: usize| seen(&shape.columns[at]);
    let cell = |at: usize, before: Option<&Value>, after: Option<&Value>| {
        (name(at), ShownCell::new(&shape.columns[at], before, after, Room::Cell))
    };
    let (act, cells) = match &change.edit {
        Edit::Insert(row) => {
            let cells = row.iter().enumerate().filter(|(at, _)| !shape.key.contains(at));
            (Badge { word: "added", tone: "good" }, cells.map(|(at, value)| cell(at, None, Some(value))).collect())
        }
        Edit::Update(cells) => {
            let cells = cells.iter().map(|changed| cell(changed.column, Some(&changed.before), Some(&changed.after)));
            (Badge { word: "changed", tone: "warn" }, cells.collect())
        }
        Edit::Delete(row) => {
            let cells = row.iter().enumerate().filter(|(at, _)| !shape.key.contains(at));
            (Badge { word: "deleted", tone: "bad" }, cells.map(|(at, value)| cell(at, Some(value), None)).collect())
        }
    };
    RowChange {
        anchor: anchor(&shape.table, &change.key),
        table: seen(&shape.table),
        key: shape.key.iter().map(|&at| name(at)).zip(change.key.iter().map(|part| ShownValue::new(part, Room::Cell))).collect(),
        act,
        moved_from: change.moved_from.as_ref().map(|from| from.iter().map(|part| ShownValue::new(part, Room::Cell)).collect()),
        cells,
        same: Vec::new(),
        threads: Vec::new(),
        is_beside,
        form: None,
    }
}

/// What names a row on the page.
pub fn anchor(table: &str, key: &Key) -> String {
    let digest = <sha2::Sha256 as sha2::Digest>::digest(format!("{table}\0{}", key_text(key)).as_bytes());
    let hex: String = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("row-{hex}")
}
