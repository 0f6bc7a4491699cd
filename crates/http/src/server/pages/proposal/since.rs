//! What came between somebody's vote and now, so that they need not look at everything again (REV-4).
mod cells;

use super::super::moment;
use super::changes::told;
use cells::{between, earlier, place};
use mainstem::comparing::How;
use mainstem::core::change::{Change, Shape};
use mainstem::core::format::page;
use mainstem::core::proposal::Vote;
use mainstem::error::{Error, Result};
use mainstem::primary::Primary;
use mainstem::review::Judged;
use mainstem_pages::proposal::Since;
use mainstem_pages::proposals::Badge;
use mainstem_pages::row_change::RowChange;

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

/// The first rows in which two revisions differ, and how many more do. None where the older one's rows are gone.
fn differing(primary: &mut dyn Primary, judged: &Judged, old: u64, new: u64) -> Result<Option<(Vec<RowChange>, u64)>> {
    let id = judged.proposal.id;
    let Some(differing) = primary.differing(id, old, new)? else { return Ok(None) };
    let mut found: Vec<(How, &Shape, Change)> = Vec::new();
    let mut page: Option<((u64, u64), Vec<Change>)> = None;
    for one in &differing.first {
        let revision = if one.is_earlier { old } else { new };
        let shapes = &judged.proposal.revisions[revision as usize - 1].2.front.shapes;
        let changes = match page.take().filter(|(of, _)| *of == (revision, one.page)) {
            Some((_, changes)) => changes,
            None => match primary.staged_page(id, revision, one.page)? {
                Some(bytes) => page::decode(&bytes, shapes)?,
                None => return Ok(None),
            },
        };
        let change = usize::try_from(one.at).ok().and_then(|at| changes.get(at)).cloned();
        let change = change.ok_or_else(|| Error::corrupt("a row that differs is not where it was found"))?;
        found.push((one.how, &shapes[change.table], change));
        page = Some(((revision, one.page), changes));
    }
    let changed = found.iter().filter(|(how, ..)| *how == How::Changed);
    let before = earlier(primary, judged, old, &changed.map(|(_, shape, change)| place(shape, change)).collect())?;
    let shapes = &judged.proposal.revisions[old as usize - 1].2.front.shapes;
    let row = |(how, shape, change): (How, &Shape, Change)| {
        let was = before.get(&place(shape, &change)).filter(|_| how == How::Changed);
        let cells = was.and_then(|was| between((&shapes[was.table], was), (shape, &change)));
        let row = RowChange { act: act(how), ..told(shape, &change, false) };
        RowChange { cells: cells.unwrap_or(row.cells), ..row }
    };
    let more = differing.count().saturating_sub(found.len() as u64);
    Ok(Some((found.into_iter().map(row).collect(), more)))
}

fn act(how: How) -> Badge {
    match how {
        How::Added => Badge { word: "in it by now", tone: "good" },
        How::Changed => Badge { word: "otherwise by now", tone: "warn" },
        How::Removed => Badge { word: "not in it any more", tone: "bad" },
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
