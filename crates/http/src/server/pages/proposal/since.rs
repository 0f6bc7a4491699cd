//! What came between somebody's vote and now, so that they need not look at everything again (REV-4).
mod cells;

use super::super::moment;
use super::changes::told;
use cells::between;
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
    let (mut earlier, mut later) = (Pages::of(judged, old)?, Pages::of(judged, new)?);
    let mut rows = Vec::new();
    for one in &differing.first {
        let (row, was) = if one.is_earlier {
            (earlier.change(primary, (one.page, one.at))?, None)
        } else {
            let was = one.was.map(|place| earlier.change(primary, place)).transpose()?.flatten();
            (later.change(primary, (one.page, one.at))?, was)
        };
        let Some((shape, change)) = row else { return Ok(None) };
        let cells = was.and_then(|was| between(was, (shape, change)));
        let row = RowChange { act: act(one.how), ..told(shape, change, false) };
        rows.push(RowChange { cells: cells.unwrap_or(row.cells), ..row });
    }
    let more = differing.count().saturating_sub(rows.len() as u64);
    Ok(Some((rows, more)))
}

fn act(how: How) -> Badge {
    match how {
        How::Added => Badge { word: "in it by now", tone: "good" },
        How::Changed => Badge { word: "otherwise by now", tone: "warn" },
        How::Removed => Badge { word: "not in it any more", tone: "bad" },
    }
}

/// A revision's pages, of which the one that was read last is at hand.
struct Pages<'a> {
    proposal: u64,
    number: u64,
    shapes: &'a [Shape],
    at_hand: Option<(u64, Vec<Change>)>,
}

impl<'a> Pages<'a> {
    fn of(judged: &'a Judged, number: u64) -> Result<Pages<'a>> {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let revision = place.and_then(|place| judged.proposal.revisions.get(place));
        let (_, _, revision) = revision.ok_or_else(|| Error::corrupt("a vote is on a revision that is not there"))?;
        Ok(Pages { proposal: judged.proposal.id, number, shapes: &revision.front.shapes, at_hand: None })
    }

    /// The change at a page and place; none where the rows are gone.
    fn change(&mut self, primary: &mut dyn Primary, (page, at): (u64, u64)) -> Result<Option<(&'a Shape, &Change)>> {
        if self.at_hand.as_ref().is_none_or(|(number, _)| *number != page) {
            let Some(bytes) = primary.staged_page(self.proposal, self.number, page)? else { return Ok(None) };
            self.at_hand = Some((page, page::decode(&bytes, self.shapes)?));
        }
        let changes = self.at_hand.as_ref().map_or(&[][..], |(_, changes)| changes);
        let change = usize::try_from(at).ok().and_then(|at| changes.get(at));
        let change = change.ok_or_else(|| Error::corrupt("a row that differs is not where it was found"))?;
        Ok(Some((&self.shapes[change.table], change)))
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
