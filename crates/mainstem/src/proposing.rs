//! A replica's side of review: what is kept back for it, offering it, and what becomes of it.
//!
//! Invariant: what is kept for review stays laid on its author's rows until a version holds it or its author takes it back;
//! what is pushed never holds a change of a row that is.
//! Deliberately absent: votes and merging, which are the primary's.
use crate::error::{Error, Result};
use crate::ledger::ProposalsWanted;
use crate::primary::{Pages, Primary, Pushed};
use crate::replica::{Progress, Replica};
use crate::review::{By, Everybody, Offer, Offered, Part};
use crate::sync::{self, Report};
use mainstem_core::ErrorKind;
use mainstem_core::change::Front;
use mainstem_core::event::Digest;
use mainstem_core::proposal::Stage;

/// How often an offer is mended before it is given up: each time, the primary has said what it stands against.
const OFFERS_MAX: usize = 8;

/// Where kept changes are on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// They wait until they are proposed.
    Waiting,
    /// The same; a version left them out. Whoever divided their proposal may have made another of them.
    Left,
    /// The same; by the policy of that digest the primary takes them by review only, which cannot be told here.
    Refused(Digest),
    /// They are a revision of a proposal.
    Offered {
        /// The proposal.
        proposal: u64,
        /// The revision, from 1.
        revision: u64,
        /// Where the proposal is in its life, as last heard.
        stage: Stage,
    },
}

impl Mark {
    /// The proposal that they are in.
    pub fn proposal(&self) -> Option<u64> {
        match self {
            Mark::Waiting | Mark::Left | Mark::Refused(_) => None,
            Mark::Offered { proposal, .. } => Some(*proposal),
        }
    }
    /// True where they wait until they are proposed.
    pub fn is_waiting(&self) -> bool {
        matches!(self, Mark::Waiting | Mark::Left | Mark::Refused(_))
    }
    /// True for a revision of a proposal that is open.
    pub fn is_open(&self) -> bool {
        matches!(self, Mark::Offered { stage, .. } if stage.is_open())
    }
}

/// A changeset that is kept for review.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Everything but its rows.
    pub front: Front,
    /// Where it is on its way.
    pub mark: Mark,
}

/// Which unsent changes are kept back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// Those that the policy wants reviewed, those of rows that are kept already, and those that need a new row which is.
    Reviewed,
    /// All.
    Everything,
    /// Those of one changeset, which the primary takes by review only.
    Changeset(u128),
}

/// Which of the kept changes an offer is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// What waits.
    #[default]
    Waiting,
    /// What waits, and the last revision of this proposal from here.
    Revised(u64),
    /// What was offered as this proposal, which the primary does not know any more.
    Lost(u64),
}

/// What is to be offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// Which of the kept changes.
    pub of: Content,
    /// Who offers.
    pub actor: String,
    /// The title; none to keep the one there is.
    pub title: Option<String>,
    /// The description, where there is a title.
    pub description: String,
}

/// An offer that was drawn up and whose answer is not known.
pub struct Drawn<'a> {
    /// The proposal that it revises.
    pub revises: Option<u64>,
    /// What is to be reviewed.
    pub front: Front,
    /// Its rows.
    pub pages: Box<dyn Pages + 'a>,
    /// The first changeset that is to be pushed, and its rows.
    pub direct: Option<(Front, Box<dyn Pages + 'a>)>,
}

/// Changes of a replica that are kept for review. Each call is one transaction.
pub trait Proposing {
    /// Keeps changes of unsent changesets back, in changesets of their own. Returns how many.
    fn set_apart(&mut self, which: Apart) -> Result<u64>;
    /// What is kept, oldest first.
    fn kept(&mut self) -> Result<Vec<Kept>>;
    /// Tables with changes that wait until they are proposed, and how many.
    fn waiting_for_review(&mut self) -> Result<Vec<(String, u64)>>;
    /// The proposals whose rows were edited again since they were offered.
    fn edited_again(&mut self) -> Result<Vec<u64>>;
    /// Condenses kept changes into one changeset that is offered from now on, until it is known what became of it. False
    /// where there is nothing to offer.
    fn draw_up(&mut self, draft: &Draft) -> Result<bool>;
    /// What was drawn up.
    fn drawn(&mut self) -> Result<Option<Drawn<'_>>>;
    /// The primary took what was drawn up: it stands for what it was made of.
    fn note_offered(&mut self, proposal: u64, revision: u64) -> Result<()>;
    /// The primary refused what was drawn up: everything is as it was before.
    fn note_refused(&mut self) -> Result<()>;
    /// What a version left out is a revision already, or nobody made one of it.
    fn note_left(&mut self, write_id: u128, found: Option<(u64, u64)>) -> Result<()>;
    /// A proposal is in another stage by now.
    fn note_stage(&mut self, proposal: u64, stage: Stage) -> Result<()>;
    /// Takes the changes of a proposal back, and later ones of the same rows: they are put aside, and the rows go back to
    /// what they are without them. Returns how many changes.
    fn take_back(&mut self, proposal: u64) -> Result<u64>;
}

/// Which proposal is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// The one that what waits belongs to; a new one where none is open.
    #[default]
    Fitting,
    /// A new one.
    New,
    /// This one.
    Revise(u64),
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The title; none to keep the one there is.
    pub title: Option<String>,
    /// The description, where there is a title.
    pub description: String,
    /// Which proposal.
    pub target: Target,
    /// Also what could be pushed.
    pub has_everything: bool,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proposed {
    /// The proposal.
    pub proposal: u64,
    /// Its revision, from 1.
    pub revision: u64,
    /// Changes in it.
    pub changes: u64,
    /// What was pushed and received on the way.
    pub report: Report,
}

/// Offers what waits for review, and pushes the rest along.
pub fn propose(
    replica: &mut dyn Replica,
    primary: &mut dyn Primary,
    actor: &str,
    asked: &Asked,
    progress: Progress<'_>,
) -> Result<Proposed> {
    let mut report = Report::default();
    sync::receive_all(replica, primary, actor, progress, &mut report)?;
    let resumed = resume(replica, primary, &mut report)?;
    hear(replica, primary, &mut report)?;
    sync::close(replica, primary, actor, progress, &mut report)?;
    replica.set_apart(if asked.has_everything { Apart::Everything } else { Apart::Reviewed })?;
    if !replica.kept()?.iter().any(|kept| kept.mark.is_waiting()) {
        if let Some((proposal, revision, changes)) = resumed {
            // The offer that had no answer is what is asked for; what went along with it is pushed, and not offered.
            return Ok(Proposed { proposal, revision, changes, report: sync::sync(replica, primary, actor, progress)? });
        }
        replica.set_apart(Apart::Everything)?;
    }
    let kept = replica.kept()?;
    let again = replica.edited_again()?;
    let revises = target(&kept, &again, asked.target)?;
    let title = asked.title.clone();
    let of = revises.map_or(Content::Waiting, Content::Revised);
    let draft = Draft { of, actor: actor.to_owned(), title, description: asked.description.clone() };
    // What goes along is the last; what comes before it is pushed by itself.
    sync::push_but_last(replica, primary, actor, progress, &mut report)?;
    let (proposal, revision, changes) = loop {
        if !replica.draw_up(&draft)? {
            return Err(Error::new(ErrorKind::Invalid, "nothing_to_propose", "nothing waits for review").hint("mainstem status"));
        }
        match send(replica, primary, true, &mut report) {
            // What was to go along goes by review only, which the primary alone can tell.
            Err(e) if e.code == "review_required" => keep_along(replica, e)?,
            sent => break sent?,
        }
    };
    sync::receive_all(replica, primary, actor, progress, &mut report)?;
    sync::tell(replica, primary, actor)?;
    Ok(Proposed { proposal, revision, changes, report: sync::finish(replica, report)? })
}

/// Keeps back what was to go along with an offer, and was refused for that.
fn keep_along(replica: &mut dyn Replica, refused: Error) -> Result<()> {
    let along = replica.unsent()?.first().map(|front| front.header.write_id);
    match along.map(|write_id| replica.set_apart(Apart::Changeset(write_id))).transpose()? {
        None | Some(0) => Err(refused),
        Some(_) => Ok(()),
    }
}

/// Which proposal is revised; none for a new one.
fn target(kept: &[Kept], again: &[u64], target: Target) -> Result<Option<u64>> {
    let ours: Vec<u64> = kept.iter().filter_map(|kept| kept.mark.proposal()).collect();
    let open: Vec<u64> = kept.iter().filter(|kept| kept.mark.is_open()).filter_map(|kept| kept.mark.proposal()).collect();
    let refuse = |message: String, hint: &str| Err(Error::new(ErrorKind::Conflict, "proposed_rows", message).hint(hint.to_owned()));
    let others = |but: Option<u64>| again.iter().find(|id| Some(**id) != but);
    let chosen = match (target, again, &open[..]) {
        (Target::New, [], _) => return Ok(None),
        (Target::New, [first, ..], _) => {
            return refuse(format!("rows of proposal {first} were edited again, which is its next revision"), "mainstem propose");
        }
        (Target::Revise(id), ..) if !ours.contains(&id) => {
            let message = format!("nothing of proposal {id} is kept here, so that it cannot be revised from here");
            return Err(Error::not_found(message).hint("mainstem propose --new"));
        }
        (Target::Revise(id), ..) => Some(id),
        (Target::Fitting, [first, ..], _) => Some(*first),
        // What was rejected or taken back is offered again.
        (Target::Fitting, [], []) if !kept.iter().any(|kept| kept.mark.is_waiting()) => closed(kept),
        (Target::Fitting, [], []) => None,
        (Target::Fitting, [], [only]) => Some(*only),
        (Target::Fitting, [], several) => {
            let list = several.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
            return refuse(
                format!("proposals {list} are open, and the new changes belong to none of them"),
                "mainstem propose --new -m TITLE",
            );
        }
    };
    match others(chosen) {
        Some(other) => {
            let hint = format!("mainstem withdraw {other} --undo, or put those rows back first: mainstem restore");
            refuse(format!("rows of proposal {other} were edited again, too"), &hint)
        }
        None => Ok(chosen),
    }
}

/// A proposal of this copy that is closed and no version.
fn closed(kept: &[Kept]) -> Option<u64> {
    let is_closed = |mark: &Mark| matches!(mark, Mark::Offered { stage: Stage::Rejected | Stage::Withdrawn, .. });
    kept.iter().find(|kept| is_closed(&kept.mark)).and_then(|kept| kept.mark.proposal())
}

/// Sends what was drawn up, until it is known what became of it; with what is to be pushed, where that was set apart from it.
fn send(replica: &mut dyn Replica, primary: &mut dyn Primary, is_along: bool, report: &mut Report) -> Result<(u64, u64, u64)> {
    for _ in 0..OFFERS_MAX {
        let known = sync::known(replica)?;
        let mut drawn = replica.drawn()?.ok_or_else(|| Error::internal("nothing is drawn up"))?;
        drawn.direct = drawn.direct.filter(|_| is_along);
        let (front, revises) = (drawn.front.clone(), drawn.revises);
        let along = drawn.direct.as_ref().map(|(front, _)| front.clone());
        let offer = Offer {
            revises,
            reviewed: Part { front: &drawn.front, pages: &mut *drawn.pages },
            direct: drawn.direct.as_mut().map(|(front, pages)| Part { front, pages: &mut **pages }),
        };
        let by = By { actor: &front.header.actor, token: None, people: &Everybody, request: None };
        let answer = primary.propose(&known, offer, by);
        drop(drawn);
        match answer {
            Ok(Offered::Done { proposal, revision, direct }) => {
                replica.note_offered(proposal, revision)?;
                if let (Some(Pushed::Accepted { conflicts, renumbered, .. }), Some(along)) = (direct, along) {
                    report.pushed += 1;
                    report.pushed_changes += along.count;
                    report.conflicts += conflicts;
                    report.renumbered += renumbered;
                }
                return Ok((proposal, revision, front.count));
            }
            Ok(Offered::Refused(refused)) => {
                let along = along.ok_or_else(|| Error::internal("the primary refuses what was not sent along"))?;
                sync::mend_push(replica, &along, refused, report)?;
            }
            // Whether it was taken is not known: it is offered again as it is.
            Err(e) if e.kind == ErrorKind::Unavailable => return Err(e),
            Err(e) => {
                replica.note_refused()?;
                return Err(e);
            }
        }
    }
    Err(Error::internal("the primary refuses what goes along with a proposal again and again"))
}

/// Repeats an offer without an answer.
fn resume(replica: &mut dyn Replica, primary: &mut dyn Primary, report: &mut Report) -> Result<Option<(u64, u64, u64)>> {
    if replica.drawn()?.is_none() {
        return Ok(None);
    }
    send(replica, primary, false, report).map(Some)
}

/// Finds out what became of what was offered: an offer without an answer is repeated, what was closed is noted, and what
/// the primary has lost is offered again.
pub fn hear(replica: &mut dyn Replica, primary: &mut dyn Primary, report: &mut Report) -> Result<()> {
    resume(replica, primary, report)?;
    for kept in replica.kept()? {
        if kept.mark == Mark::Left {
            let write_id = kept.front.header.write_id;
            let found = primary.find_revision(write_id)?;
            replica.note_left(write_id, found)?;
        }
        let Mark::Offered { proposal, stage, .. } = kept.mark else { continue };
        let there = primary.find_revision(kept.front.header.write_id)?.map(|(there, _)| there);
        if there != Some(proposal) {
            let draft = Draft { of: Content::Lost(proposal), actor: kept.front.header.actor.clone(), ..Draft::default() };
            if replica.draw_up(&draft)? {
                send(replica, primary, false, report)?;
                report.proposed_again += 1;
            }
            continue;
        }
        let now = stage_of(primary, proposal)?.unwrap_or(stage);
        if now != stage {
            replica.note_stage(proposal, now)?;
        }
    }
    Ok(())
}

/// The proposals that something kept here is in.
pub(crate) fn proposals(replica: &mut dyn Replica) -> Result<Vec<u64>> {
    Ok(replica.kept()?.iter().filter_map(|kept| kept.mark.proposal()).collect())
}

/// Where a proposal is in its life: those that are open are alike here.
fn stage_of(primary: &mut dyn Primary, proposal: u64) -> Result<Option<Stage>> {
    let mut is_in = |stages: &[Stage]| -> Result<bool> {
        let wanted = ProposalsWanted { stages: stages.to_vec(), before: Some(proposal + 1), limit: 1, ..ProposalsWanted::default() };
        Ok(primary.proposals(&wanted)?.first() == Some(&proposal))
    };
    let (open, closed): (Vec<Stage>, Vec<Stage>) = Stage::ALL.into_iter().partition(|stage| stage.is_open());
    if is_in(&open)? {
        return Ok(Some(Stage::Open));
    }
    for stage in closed {
        if is_in(&[stage])? {
            return Ok(Some(stage));
        }
    }
    Ok(None)
}
