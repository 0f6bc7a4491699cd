//! The rules about votes where they meet the primary: its clock, its policy, the tables that a merge changes.
use super::review::{assessed, by, judged, merge, offer, vote};
use super::world::{START, World};
use mainstem::core::ErrorKind;
use mainstem::core::proposal::{Ballot, MergeWish, Word};
use mainstem::review::{Deed, State};
use mainstem_testkit::surroundings::Seeded;

/// A primary's clock is an input: the same primary, so many days later.
fn days_later(world: &World, days: u64) -> Box<dyn mainstem::primary::Primary> {
    let around = Seeded::new(9, 1_800_000_000_000 + days * 86_400_000);
    mainstem_sqlite::open_primary(&world.primary_folder(), around).unwrap()
}

#[test]
fn votes_after_the_time_to_vote_are_refused_and_take_no_other_away() {
    let world = World::new(7, START, 2);
    world.primary().set_policy("voting_days = 5\n", "a0").unwrap();
    world.sql(1, "UPDATE person SET name = 'Anna' WHERE id = 1");
    offer(&world, 1, None, 77);
    for actor in ["bo", "cy", "di"] {
        vote(&world, 1, actor, if actor == "di" { Word::Reject } else { Word::Approve });
    }
    let assessment = assessed(&world, 1);
    let late = |word| Deed::Vote(Ballot { revision: 1, digest: assessment.digest, word, comment: "late".into() });
    let mut after = days_later(&world, 6);
    for (actor, word) in [("bo", Word::Reject), ("eve", Word::Reject), ("di", Word::Approve)] {
        let refused = after.act(1, &late(word), by(actor)).unwrap_err();
        assert_eq!((refused.code, refused.kind), ("closed", ErrorKind::Conflict));
    }
    let judged = after.proposal(1, by("any")).unwrap().unwrap();
    assert_eq!((judged.state(), judged.tally.counted.len()), (State::Approved, 3), "what was enough stays enough");
    assert!(after.merge(1, &MergeWish::new(6), by("m")).is_ok());
}

#[test]
fn too_few_votes_in_time_are_a_rejection() {
    let world = World::new(8, START, 2);
    world.primary().set_policy("voting_days = 5\n", "a0").unwrap();
    world.sql(1, "UPDATE person SET name = 'Anna' WHERE id = 1");
    offer(&world, 1, None, 77);
    vote(&world, 1, "bo", Word::Approve);
    let mut after = days_later(&world, 6);
    let judged = after.proposal(1, by("any")).unwrap().unwrap();
    assert_eq!(
        (judged.state(), judged.tally.missing),
        (State::Rejected, vec!["the time to vote is over".into(), "1 more approval is needed".into()])
    );
    assert_eq!(after.merge(1, &MergeWish::new(6), by("m")).unwrap_err().code, "review_required");
}

#[test]
fn n9_a_policy_counts_from_the_next_merge_on() {
    let world = World::new(9, START, 2);
    world.primary().set_policy("approvals = 1\n", "a0").unwrap();
    world.sql(1, "UPDATE person SET name = 'Anna' WHERE id = 1");
    offer(&world, 1, None, 77);
    vote(&world, 1, "bo", Word::Approve);
    assert_eq!(judged(&world, 1).state(), State::Approved);
    world.primary().set_policy("approvals = 2\n", "a0").unwrap();
    assert_eq!(merge(&world, 1, 5).unwrap_err().code, "review_required");
    world.primary().set_policy("[tables.person]\napprovals = 1\n", "a0").unwrap();
    assert!(merge(&world, 1, 6).is_ok());
}
