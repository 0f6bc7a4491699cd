//! What came between somebody's vote and now, so that they need not look at everything again (REV-4).
use super::super::moment;
use super::changes::told;
use super::key_text;
use mainstem::core::change::{Change, Edit};
use mainstem::core::format::page;
use mainstem::core::proposal::Vote;
use mainstem::error::Result;
use mainstem::primary::Primary;
use mainstem::review::Judged;
use mainstem_pages::proposal::Since;
use mainstem_pages::proposals::Badge;
use mainstem_pages::row_change::RowChange;
use std::collections::BTreeMap;

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
            Some(_) => tell(RowChange { act: Badge { word: "otherwise by now", tone: "warn" }, ..told(shape, change, false) }),
        }
    }
    for (_, change) in before.iter().filter(|(place, _)| !after.contains_key(place)) {
        let shape = &shapes(old)[change.table];
        tell(RowChange { act: Badge { word: "not in it any more", tone: "bad" }, ..told(shape, change, false) });
    }
    Ok(Some((rows, more)))
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
