//! The list of a dataset's proposals.
use super::{Asked, Shown, framed, moment, shown};
use crate::server::Shared;
use crate::server::asked::{Asked as Query, Named};
use crate::server::browser::Visit;
use crate::server::finder;
use crate::server::reading::read;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::core::proposal::{Stage, Word};
use mainstem::error::{Error, Result};
use mainstem::ledger::ProposalsWanted;
use mainstem::members::Members;
use mainstem::primary::Primary;
use mainstem::review::{By, Judged};
use mainstem_pages::address::path;
use mainstem_pages::frame::{Frame, Link};
use mainstem_pages::proposals::{Badge, Filter, Item, Proposals};
use mainstem_pages::value::{ShownValue, seen};
use serde::Deserialize;
use std::sync::Arc;

/// Proposals on one page: what merging does is found for each that is open.
const EACH: usize = 20;
/// Proposals that are looked at for one page.
const LOOKED_AT_MAX: usize = 100;

/// Which proposals.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalsAsked {
    state: Option<String>,
    actor: Option<String>,
    before: Option<u64>,
}

/// The frame of a page about one of a dataset's proposals.
pub(super) fn frame(visit: &Visit, dataset: &str, id: u64, title: String) -> Result<Frame> {
    let mut frame = framed(visit, dataset, "proposals", title)?;
    let all = path(&["datasets", dataset, "proposals"]);
    frame.way.push(Link::to("Proposals", &all));
    frame.way.push(Link { is_here: true, ..Link::to(format!("#{id}"), format!("{all}/{id}")) });
    Ok(frame)
}

/// The list.
pub async fn proposals(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Extension<Identity>,
    Named(dataset): Named<String>,
    Query(asked): Query<ProposalsAsked>,
) -> Shown {
    let unknown = |state: &String| Error::invalid(format!("{state:?} is no state of proposals"));
    let filter = asked.state.as_ref().map(|state| Filter::parse(state).ok_or_else(|| unknown(state))).transpose()?.unwrap_or_default();
    let actor = asked.actor.filter(|actor| !actor.is_empty());
    let (accounts, name, me) = (shared.clone(), dataset.clone(), identity.name.clone());
    let wanted = ProposalsWanted { stages: stages(filter), actor: actor.clone(), before: asked.before, limit: EACH };
    let listing = move |primary: &mut dyn Primary| {
        let members = Members { registrar: &accounts.registrar, dataset: &name };
        list(primary, By { actor: &me, token: None, people: &members, request: None }, filter, wanted)
    };
    let (items, next, unfound) = read(&shared, &identity, &dataset, listing).await?;
    for id in unfound {
        finder::begin(&shared, &dataset, id);
    }
    let next = next.map(|before| {
        let actor: String = form_urlencoded::byte_serialize(actor.as_deref().unwrap_or_default().as_bytes()).collect();
        format!("?state={}&actor={actor}&before={before}", filter.name())
    });
    let frame = framed(&visit, &dataset, "proposals", "Proposals".to_string())?;
    shown(&Proposals { frame, dataset, filter, actor, items, next })
}

fn stages(filter: Filter) -> Vec<Stage> {
    match filter {
        Filter::Open | Filter::Waiting => vec![Stage::Open, Stage::Merging, Stage::MergeFailed],
        Filter::Merged => vec![Stage::Merged],
        Filter::Closed => vec![Stage::Rejected, Stage::Withdrawn, Stage::Superseded],
        Filter::All => Vec::new(),
    }
}

/// Proposals, the number before which the next ones begin, and those of which nobody has found what merging them would do.
type Listed = (Vec<Item>, Option<u64>, Vec<u64>);

/// A page of the list.
fn list(primary: &mut dyn Primary, by: By<'_>, filter: Filter, mut wanted: ProposalsWanted) -> Result<Listed> {
    let (mut items, mut unfound) = (Vec::new(), Vec::new());
    let mut looked_at = 0;
    loop {
        let ids = primary.proposals(&wanted)?;
        let is_last = ids.len() < wanted.limit;
        for id in ids {
            wanted.before = Some(id);
            looked_at += 1;
            let Some(judged) = primary.proposal_at_once(id, by)? else { continue };
            unfound.extend(judged.is_unfound().then_some(id));
            let item = item(&judged, by);
            if filter != Filter::Waiting || item.is_waiting {
                items.push(item);
            }
            if items.len() == EACH || looked_at == LOOKED_AT_MAX {
                return Ok((items, wanted.before, unfound));
            }
        }
        if is_last {
            return Ok((items, None, unfound));
        }
    }
}

fn item(judged: &Judged, by: By<'_>) -> Item {
    let proposal = &judged.proposal;
    let front = &proposal.head().front;
    let votes = if judged.assessment.is_some() { &judged.tally.counted } else { &proposal.votes };
    let count = |word| votes.iter().filter(|vote| vote.ballot.word == word).count();
    let has_voted = votes.iter().any(|vote| vote.actor == by.actor);
    let may_vote = || tables_of(judged).iter().any(|table| by.people.voter(by.actor, table).may_vote);
    Item {
        id: proposal.id,
        title: title(judged),
        actor: proposal.actor.clone(),
        at: moment(proposal.at),
        touched: moment(proposal.touched),
        state: Badge::of(judged.state().name()),
        revision: proposal.revisions.len() as u64,
        rows: Some(judged.assessment.as_ref().map_or(front.count, |assessment| assessment.outcome.count)),
        approvals: count(Word::Approve),
        rejections: count(Word::Reject),
        comments: proposal.comments.len(),
        is_waiting: proposal.stage.is_open()
            && !has_voted
            && !proposal.head().authors.iter().any(|author| author == by.actor)
            && may_vote(),
    }
}

/// What a proposal is called.
pub(super) fn title(judged: &Judged) -> ShownValue {
    let header = &judged.proposal.head().front.header;
    let named = header.title.as_deref().filter(|title| !title.trim().is_empty());
    named.map_or_else(|| seen(format!("Changes of {}", judged.proposal.actor)), seen)
}

/// The tables that a proposal touches.
pub(super) fn tables_of(judged: &Judged) -> Vec<String> {
    let outcome = judged.assessment.iter().flat_map(|assessment| &assessment.outcome.shapes);
    let mut tables: Vec<String> = judged.proposal.head().front.shapes.iter().chain(outcome).map(|shape| shape.table.clone()).collect();
    tables.sort();
    tables.dedup();
    tables
}
