//! F13: a proposal of 100,000 changes with gates: offered, looked at for the first time, voted on, merged.
//!
//! How long other writers of the primary wait while it is looked at is what looking takes: it holds the write lock.
use crate::capturing::{TABLE, fill};
use crate::figures::Figure;
use crate::gauge::{Cost, cost, median, memory_mib_max};
use crate::pair::{self, quiet};
use mainstem::core::proposal::{Ballot, MergeWish, Word};
use mainstem::primary::Primary;
use mainstem::replica::Replica;
use mainstem::review::{By, Deed, Everybody, Offer, Offered, Part, State};
use mainstem::{policy_text, sync};
use std::path::Path;

/// F13 by itself.
pub const MERGED: &str = "F13 merge of a proposal of 100,000 updates with four gates, as looked at before";
const ROWS: i64 = 100_000;
const RUNS: usize = 3;
const GATES: [(&str, &str); 4] = [
    ("gates.named", "{ rule = \"not-null\", table = \"t\", column = \"a\" }"),
    ("gates.unlike", "{ rule = \"unique\", table = \"t\", columns = [\"k\"] }"),
    ("gates.counted", "{ rule = \"row-count\", table = \"t\", min = 1 }"),
    ("gates.none", "{ rule = \"no-rows\", sql = \"SELECT k FROM t WHERE b < 0\" }"),
];

fn by(actor: &str) -> By<'_> {
    By { actor, token: None, people: &Everybody, request: None }
}

/// Offers what a replica holds as its last changeset; gives the proposal.
fn offer(folder: &Path, edit: &str) -> (Cost, u64) {
    pair::user(&folder.join("a.db")).execute_batch(edit).expect("plain statements");
    let mut replica = pair::replica(&folder.join("a.db"));
    let mut front = replica.commit("ada", Some("everything"), "").expect("there is work").expect("there is work");
    let known = replica.standing().expect("it can be read").known.expect("it was published");
    let mut pages = replica.pages(front.header.write_id).expect("it was just closed");
    front.header.sequence = 0;
    let mut primary = pair::primary(folder);
    let (took, offered) = cost(|| {
        let offer = Offer { revises: None, reviewed: Part { front: &front, pages: &mut *pages }, direct: None };
        primary.propose(&known, offer, by("ada")).expect("the primary is there")
    });
    let Offered::Done { proposal, .. } = offered else { panic!("{offered:?}") };
    (took, proposal)
}

/// What somebody sees first: how it stands, and its first page of rows.
fn look(primary: &mut dyn Primary, id: u64) -> u64 {
    let judged = primary.proposal(id, by("bo")).expect("the primary is there").expect("it was offered");
    let assessment = judged.assessment.expect("it is open");
    let page = primary.shown_page(id, &assessment.digest, 0).expect("the primary is there");
    assert!(page.is_some() && assessment.outcome.count > 0);
    assessment.tables.iter().map(|table| table.updated).sum()
}

fn vote(primary: &mut dyn Primary, id: u64, actor: &str) -> State {
    let judged = primary.proposal(id, by(actor)).expect("the primary is there").expect("it was offered");
    let assessment = judged.assessment.expect("it is open");
    let ballot = Ballot { revision: assessment.revision, digest: assessment.digest, word: Word::Approve, comment: String::new() };
    primary.act(id, &Deed::Vote(ballot), by(actor)).expect("it is what was looked at");
    primary.proposal(id, by(actor)).expect("the primary is there").expect("it was offered").state()
}

/// What each step takes.
#[derive(Default)]
struct Steps {
    offered: Vec<Cost>,
    first: Vec<Cost>,
    again: Vec<Cost>,
    merged: Vec<Cost>,
    merged_anew: Vec<Cost>,
}

fn life(steps: &mut Steps, is_looked_at: bool) {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let folder = folder.path();
    pair::found(folder, &format!("{TABLE}; {}", fill(ROWS)));
    let mut primary = pair::primary(folder);
    for (key, value) in GATES {
        let text = primary.describe().expect("it was published").policy;
        primary.set_policy(&policy_text::set(&text, key, value).expect("a gate"), "ada").expect("a policy");
    }
    pair::user(&folder.join("b.db")).execute_batch("UPDATE t SET d = 'meanwhile' WHERE e = 3").expect("plain statements");
    sync::push(&mut pair::replica(&folder.join("b.db")), &mut *primary, "bob", &mut quiet).expect("the primary is there");
    let (took, id) = offer(folder, "UPDATE t SET b = b + 1000000");
    steps.offered.push(took);
    let (first, rows) = cost(|| look(&mut *primary, id));
    steps.first.push(first);
    assert_eq!(rows, ROWS as u64);
    steps.again.push(cost(|| look(&mut *primary, id)).0);
    vote(&mut *primary, id, "bo");
    assert_eq!(vote(&mut *primary, id, "cy"), State::Approved);
    if !is_looked_at {
        primary = pair::primary(folder);
    }
    let (took, merged) = cost(|| primary.merge(id, &MergeWish::new(7), by("bo")).expect("it is approved"));
    assert_eq!((merged.updated, merged.cells), (ROWS as u64, ROWS as u64));
    if is_looked_at { &mut steps.merged } else { &mut steps.merged_anew }.push(took);
}

/// The steps of a proposal of 100,000 changes.
pub fn figures() -> Vec<Figure> {
    let mut steps = Steps::default();
    for run in 0..2 * RUNS {
        life(&mut steps, run % 2 == 0);
    }
    let middle = |name: &str, limit: Option<f64>, runs: &[Cost]| {
        let cost = median(runs);
        let figure = match limit {
            Some(limit) => Figure::at_most(name, limit, cost.cpu, " s"),
            None => Figure::new(name, cost.cpu, " s"),
        };
        figure.wall(cost.wall)
    };
    vec![
        middle("a proposal of 100,000 updates is offered", None, &steps.offered),
        middle("it is looked at for the first time, and its first page read; other writers wait so long", Some(1.0), &steps.first),
        middle("it is looked at again by the same process", None, &steps.again),
        middle(MERGED, None, &steps.merged),
        middle("… by a process that has not looked at it", None, &steps.merged_anew),
        Figure::new("the most memory all this held", memory_mib_max(), " MiB"),
    ]
}
