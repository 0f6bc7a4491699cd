//! What a primary must do about requests that come more than once, with a key, near or far.
use super::reviewing::{judged, place_of};
use super::{Found, KnownAs, Offer, fresh, insert, known, rename, row, version_of};
use mainstem::core::change::Choice;
use mainstem::core::proposal::{Anchor, Ballot, Decision, MergeWish, Remark, Stage, Word};
use mainstem::core::value::Value;
use mainstem::error::Result;
use mainstem::primary::Primary;
use mainstem::replica::Answering;
use mainstem::review::{By, Chosen, Deed, Everybody};
use std::fmt::Debug;

fn by(key: u128) -> By<'static> {
    By { actor: "ann", token: None, people: &Everybody, request: Some(key) }
}

fn events(primary: &mut dyn Primary) -> u64 {
    primary.describe().expect("a description").head.events
}

/// Something that is asked for with a key.
type Act<'a, T> = &'a mut dyn FnMut(&mut dyn Primary, By<'_>) -> Result<T>;

/// Does something, which is so many events; again, as if the answer had been lost; and something else with the same key.
fn once<T: PartialEq + Debug>(primary: &mut dyn Primary, key: u128, count: u64, act: Act<'_, T>, other: Act<'_, T>) -> T {
    let before = events(primary);
    let first = act(primary, by(key)).expect("done");
    assert_eq!(events(primary), before + count);
    for _ in 0..2 {
        assert_eq!(act(primary, by(key)).expect("the same answer"), first);
    }
    assert_eq!(other(primary, by(key)).expect_err("another request").code, "request_reused");
    assert_eq!(events(primary), before + count, "nothing is done twice, nor anything else");
    first
}

fn comment(text: &str) -> Deed {
    Deed::Comment(Remark { anchor: Anchor::Whole, text: text.into(), ..Remark::default() })
}

fn decide(stage: Stage) -> Deed {
    Deed::Decide(Decision { stage, reason: "so it is".into() })
}

fn on_now(primary: &mut dyn Primary, id: u64, word: Word) -> Deed {
    let assessment = judged(primary, id).assessment.expect("it is open");
    Deed::Vote(Ballot { revision: assessment.revision, digest: assessment.digest, word, comment: "as I see it".into() })
}

fn only(id: &str) -> Vec<Chosen> {
    vec![Chosen { table: "item".into(), key: Some(vec![Value::text(id)]), columns: Vec::new() }]
}

pub(super) fn a_request_is_done_once_however_often_it_comes(found: Found<'_>, known_as: KnownAs<'_>) {
    let mut primary = fresh(found);
    let primary = primary.as_mut();
    let known = known(primary);
    primary.set_policy("strategy = 'manual'\napprovals = 1\nself_approval = 'allowed'\n", "owner").expect("a policy");
    let described = primary.describe().expect("a description");
    let rows = || vec![rename("a", "apple", "apricot", 1), insert(row("d", "dill", 4), 2), insert(row("e", "endive", 5), 2)];
    let offer = Offer::new(&described, 7, 1, rows()).reviewed();
    assert_eq!(place_of(offer.propose(primary, &known, None)), (1, 1));
    let less = Offer::new(&described, 7, 1, rows()[..2].to_vec()).reviewed();
    assert_eq!(less.propose(primary, &known, None).expect_err("another changeset").code, "request_reused");

    let (why, what) = (comment("why?"), comment("what?"));
    once(primary, 1, 1, &mut |p, by| p.act(1, &why, by), &mut |p, by| p.act(1, &what, by));
    assert_eq!(judged(primary, 1).proposal.comments.len(), 1);

    let (approve, reject) = (on_now(primary, 1, Word::Approve), on_now(primary, 1, Word::Reject));
    once(primary, 2, 1, &mut |p, by| p.act(1, &approve, by), &mut |p, by| p.act(1, &reject, by));
    let abstain = on_now(primary, 1, Word::Abstain);
    once(primary, 3, 1, &mut |p, by| p.act(1, &abstain, by), &mut |p, by| p.act(1, &approve, by));
    primary.act(1, &approve, by(2)).expect("the first vote, come late");
    assert_eq!(judged(primary, 1).proposal.votes[0].ballot.word, Word::Abstain, "what was said since holds");

    once(primary, 4, 1, &mut |p, by| p.act(1, &decide(Stage::Withdrawn), by), &mut |p, by| p.act(1, &decide(Stage::Rejected), by));
    once(primary, 5, 1, &mut |p, by| p.act(1, &decide(Stage::Open), by), &mut |p, by| p.act(1, &decide(Stage::Withdrawn), by));
    primary.act(1, &decide(Stage::Withdrawn), by(4)).expect("the withdrawal, come late");
    assert_eq!(judged(primary, 1).proposal.stage, Stage::Open);

    let rest = once(primary, 6, 2, &mut |p, by| p.accept_part(1, &only("d"), by), &mut |p, by| p.accept_part(1, &only("e"), by));
    assert_eq!(rest, Some(2));

    version_of(Offer::new(&described, 9, 1, vec![rename("a", "apple", "almond", 3)]).push(primary, &known));
    let outcome = judged(primary, 2).assessment.expect("it is open").outcome;
    let open = outcome.conflicts.iter().find(|conflict| conflict.is_open()).expect("both renamed it").id;
    let choose = |choice| vec![(open, Answering { choice, value: None })];
    let revision =
        once(primary, 7, 1, &mut |p, by| p.answer(2, &choose(Choice::Ours), by), &mut |p, by| p.answer(2, &choose(Choice::Theirs), by));
    assert_eq!(revision, 2);

    let approve = on_now(primary, 1, Word::Approve);
    primary.act(1, &approve, by(8)).expect("a vote");
    let wish = MergeWish::new(9);
    let merged = primary.merge(1, &wish, by(0)).expect("merged");
    let after = events(primary);
    let again = primary.merge(1, &wish, by(0)).expect("the same answer");
    assert_eq!((again.version, again.commit, again.is_repeated), (merged.version, merged.commit, true));
    let other = MergeWish { keep_staging: true, ..wish.clone() };
    assert_eq!(primary.merge(1, &other, by(0)).expect_err("another wish").code, "request_reused");
    assert_eq!(primary.merge(2, &wish, by(0)).expect_err("another proposal").code, "request_reused");
    assert_eq!(events(primary), after);

    let back = once(primary, 10, 1, &mut |p, by| p.propose_revert(merged.version, "it was wrong", by), &mut |p, by| {
        p.propose_revert(merged.version, "for another reason", by)
    });
    assert_eq!(back, 3);
    assert_eq!(primary.act(3, &why, by(10)).expect_err("the key of a revert").code, "request_reused");
    if known_as.is_none() {
        let bea = By { actor: "bea", ..by(10) };
        primary.act(3, &why, bea).expect("everybody has keys of their own");
    }
}
