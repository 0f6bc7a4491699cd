//! What came between somebody's vote and now, so that they need not look at everything again (REV-4).
use super::super::moment;
use super::changes::told;
use super::key_text;
use mainstem::core::change::{Cell, Change, Edit, Shape};
use mainstem::core::format::page;
use mainstem::core::proposal::Vote;
use mainstem::core::value::{Row, Value};
use mainstem::error::Result;
use mainstem::primary::Primary;
use mainstem::review::Judged;
use mainstem_pages::cell::ShownCell;
use mainstem_pages::proposal::Since;
use mainstem_pages::proposals::Badge;
use mainstem_pages::row_change::RowChange;
use mainstem_pages::value::{Room, ShownValue, seen};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of a revision that are held at once to compare it with another; of longer ones the difference is not told.
const ROWS_MAX: u64 = 20_000;
/// Rows that are shown.
const SHOWN: usize = 50;
/// Versions that are looked at.
const VERSIONS_MAX: u64 = 200;

/// What differs from what an actor has voted on; none where they have not, or nothing does.
pub fn since(primary: &mut dyn Primary, judged: &Judged, actor: &str) -> Result<Option<Since>> {
    let Some(assessment) = &judged.assessment else { return Ok(None) };
    let Some(vote) = judged.proposal.votes.iter().find(|vote| vote.actor == actor) else { return Ok(None) };
    let is_revised = vote.ballot.revision != assessment.revision;
    if !is_revised && vote.ballot.digest == assessment.digest {
        return Ok(None);
    }
    let mut since = Since { revision: vote.ballot.revision, is_revised, ..Since::default() };
    if is_revised {
        match differing(primary, judged, vote.ballot.revision, assessment.revision)? {
            Some((rows, more)) => (since.rows, since.more) = (rows, more),
            None => since.is_unknown = true,
        }
    }
    since.versions = accepted(primary, judged, vote, assessment.head)?;
    Ok(Some(since))
}

/// The rows of a revision as they were offered, by table and key.
type Offered = BTreeMap<(String, String), Change>;

fn offered(primary: &mut dyn Primary, judged: &Judged, number: u64) -> Result<Option<Offered>> {
    let place = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some((_, _, revision)) = judged.proposal.revisions.get(place).filter(|(_, _, revision)| revision.front.count <= ROWS_MAX) else {
        return Ok(None);
    };
    let mut rows = Offered::new();
    for at in 0..revision.pages {
        let Some(bytes) = primary.staged_page(judged.proposal.id, number, at)? else { return Ok(None) };
        for change in page::decode(&bytes, &revision.front.shapes)? {
            rows.insert((revision.front.shapes[change.table].table.clone(), key_text(&change.key)), change);
        }
    }
    Ok(Some(rows))
}

/// None where the revisions are too long to be compared, or the older one's rows are gone.
fn differing(primary: &mut dyn Primary, judged: &Judged, old: u64, new: u64) -> Result<Option<(Vec<RowChange>, u64)>> {
    let (Some(before), Some(after)) = (offered(primary, judged, old)?, offered(primary, judged, new)?) else {
        return Ok(None);
    };
    let shapes = |number: u64| &judged.proposal.revisions[number as usize - 1].2.front.shapes;
    let mut rows = Vec::new();
    let mut more = 0;
    let mut tell = |row: RowChange| if rows.len() < SHOWN { rows.push(row) } else { more += 1 };
    for (place, change) in &after {
        let shape = &shapes(new)[change.table];
        match before.get(place) {
            None => tell(RowChange { act: Badge { word: "in it by now", tone: "good" }, ..told(shape, change, false) }),
            Some(was) if is_same(&was.edit, &change.edit) => {}
            Some(was) => {
                let act = Badge { word: "otherwise by now", tone: "warn" };
                let row = RowChange { act, ..told(shape, change, false) };
                let cells = cells_between((&shapes(old)[was.table], was), (shape, change));
                tell(RowChange { cells: cells.unwrap_or(row.cells), ..row });
            }
        }
    }
    for (_, change) in before.iter().filter(|(place, _)| !after.contains_key(place)) {
        let shape = &shapes(old)[change.table];
        tell(RowChange { act: Badge { word: "not in it any more", tone: "bad" }, ..told(shape, change, false) });
    }
    Ok(Some((rows, more)))
}

/// The cells that come out otherwise than by the edit of before; none where the edits are of two kinds, so that all of it is news.
fn cells_between((old, was): (&Shape, &Change), (new, now): (&Shape, &Change)) -> Option<Vec<(ShownValue, ShownCell)>> {
    let (before, after): (Sides<'_>, Sides<'_>) = match (&was.edit, &now.edit) {
        (Edit::Insert(was), Edit::Insert(now)) => (inserted(old, was), inserted(new, now)),
        (Edit::Update(was), Edit::Update(now)) => (updated(old, was), updated(new, now)),
        _ => return None,
    };
    // What only one of two updates writes is, by the other, what it was.
    let came_out = |sides: &Sides<'_>, others: &Sides<'_>, column: &str| {
        let own = sides.iter().find(|(name, ..)| *name == column).map(|(_, _, after)| (*after).clone());
        own.or_else(|| others.iter().find(|(name, ..)| *name == column).and_then(|(_, before, _)| before.cloned()))
    };
    let names: BTreeSet<&str> = before.iter().map(|(name, ..)| *name).collect();
    let columns = after.iter().map(|(name, ..)| *name).filter(|name| !names.contains(name)).chain(before.iter().map(|(name, ..)| *name));
    let pairs = columns.map(|name| (name, came_out(&before, &after, name), came_out(&after, &before, name)));
    let shown =
        |(name, was, now): (&str, Option<Value>, Option<Value>)| (seen(name), ShownCell::new(name, was.as_ref(), now.as_ref(), Room::Cell));
    Some(pairs.filter(|(_, was, now)| was != now).map(shown).collect())
}

/// Each column with what an edit makes of it, and what it was before, where there was anything.
type Sides<'a> = Vec<(&'a str, Option<&'a Value>, &'a Value)>;

fn inserted<'a>(shape: &'a Shape, row: &'a Row) -> Sides<'a> {
    shape.columns.iter().zip(row).map(|(name, value)| (name.as_str(), None, value)).collect()
}

fn updated<'a>(shape: &'a Shape, cells: &'a [Cell]) -> Sides<'a> {
    cells.iter().map(|cell| (shape.columns[cell.column].as_str(), Some(&cell.before), &cell.after)).collect()
}

/// True where two edits do the same, whenever they were written.
fn is_same(one: &Edit, other: &Edit) -> bool {
    match (one, other) {
        (Edit::Update(one), Edit::Update(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| (a.column, &a.after) == (b.column, &b.after))
        }
        (one, other) => one == other,
    }
}

/// Versions accepted since a vote that touch the same tables: number, author, when.
fn accepted(
    primary: &mut dyn Primary,
    judged: &Judged,
    vote: &Vote,
    head: u64,
) -> Result<Vec<(u64, String, mainstem_pages::moment::Moment)>> {
    let tables = super::tables_of(judged);
    let mut versions = Vec::new();
    for number in (head.saturating_sub(VERSIONS_MAX).max(1)..=head).rev() {
        let Some(version) = primary.version(number)?.filter(|version| version.accepted_at > vote.at) else { break };
        if version.shapes.iter().any(|shape| tables.contains(&shape.table)) {
            versions.push((number, version.header.actor.clone(), moment(version.accepted_at)));
        }
    }
    Ok(versions)
}
