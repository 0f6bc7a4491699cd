//! Proposals on the embedded primary: what is voted on is what is merged, or nothing is.
use super::world::{START, World};
use mainstem::core::ErrorKind;
use mainstem::core::change::Front;
use mainstem::core::proposal::{Assessment, Ballot, Decision, MergeWish, Stage, Word};
use mainstem::core::value::Value;
use mainstem::error::Error;
use mainstem::primary::Acquaintance;
use mainstem::replica::Replica;
use mainstem::review::{By, Deed, Everybody, Judged, Offer, Offered, Part, State};
use mainstem_sqlite::primary::rebuild_primary;
use mainstem_testkit::surroundings::Seeded;

fn by(actor: &str) -> By<'_> {
    By { actor, token: None, people: &Everybody }
}

/// Offers what a replica has committed last, under another write id and without a number.
pub fn offer(world: &World, who: usize, revises: Option<u64>, write_id: u128) -> (u64, u64) {
    let actor = format!("a{who}");
    let mut replica = world.replica(who);
    replica.commit(&actor, Some("a title"), "").unwrap();
    let known: Acquaintance = replica.standing().unwrap().known.unwrap();
    let mut front: Front = replica.unsent().unwrap().pop().unwrap();
    let mut pages = replica.pages(front.header.write_id).unwrap();
    (front.header.write_id, front.header.sequence) = (write_id, 0);
    let offer = Offer { revises, reviewed: Part { front: &front, pages: &mut *pages }, direct: None };
    match world.primary().propose(&known, offer, by(&actor)).unwrap() {
        Offered::Done { proposal, revision, .. } => (proposal, revision),
        Offered::Refused(why) => panic!("{why:?}"),
    }
}

fn judged(world: &World, id: u64) -> Judged {
    world.primary().proposal(id, by("any")).unwrap().unwrap()
}

fn assessed(world: &World, id: u64) -> Assessment {
    judged(world, id).assessment.unwrap()
}

fn vote(world: &World, id: u64, actor: &str, word: Word) {
    let assessment = assessed(world, id);
    let ballot = Ballot { revision: assessment.revision, digest: assessment.digest, word, comment: "because".into() };
    world.primary().act(id, &Deed::Vote(ballot), by(actor)).unwrap();
}

fn merge(world: &World, id: u64, request: u128) -> Result<u64, Error> {
    world.primary().merge(id, &MergeWish::new(request), by("m")).map(|merged| merged.version)
}

fn name(world: &World, id: i64) -> Option<Value> {
    let row = world.primary().rows_of("person", &[vec![Value::Integer(id)]], world.head()).unwrap().remove(0);
    row.map(|row| row[2].clone())
}

#[test]
fn what_two_people_approve_is_merged_and_nothing_before() {
    let world = World::new(1, START, 2);
    world.sql(1, "UPDATE person SET name = 'Anna' WHERE id = 1; DELETE FROM tag WHERE code = 'b';");
    assert_eq!(offer(&world, 1, None, 77), (1, 1));
    assert_eq!(offer(&world, 1, None, 77), (1, 1), "repeated, it is the same proposal");
    assert_eq!(name(&world, 1), Some(Value::text("Ann")));
    assert_eq!(judged(&world, 1).state(), State::Open);
    assert_eq!(merge(&world, 1, 5).unwrap_err().code, "review_required");

    vote(&world, 1, "a1", Word::Approve);
    vote(&world, 1, "bo", Word::Approve);
    assert_eq!(merge(&world, 1, 5).unwrap_err().code, "review_required", "the author's own vote does not count");
    vote(&world, 1, "cy", Word::Approve);
    assert_eq!(judged(&world, 1).state(), State::Approved);
    let version = merge(&world, 1, 5).unwrap();
    assert_eq!(merge(&world, 1, 5).unwrap(), version, "merged again, it answers the same");
    assert_eq!(name(&world, 1), Some(Value::text("Anna")));
    assert_eq!(judged(&world, 1).state(), State::Merged);
    let event = world.primary().version(version).unwrap().unwrap();
    let reviewed = event.review.unwrap();
    assert_eq!((reviewed.proposal, reviewed.actor.as_str()), (1, "m"));
    assert_eq!(reviewed.approvers().collect::<Vec<_>>(), ["bo", "cy"]);
}

#[test]
fn a_vote_is_stale_when_merging_would_do_something_else() {
    let world = World::new(2, START, 3);
    world.sql(1, "UPDATE person SET age = 40 WHERE id = 1");
    offer(&world, 1, None, 77);
    vote(&world, 1, "bo", Word::Approve);
    vote(&world, 1, "cy", Word::Approve);
    assert_eq!(judged(&world, 1).state(), State::Approved);
    // Another row of another table: the votes hold.
    world.sql(2, "UPDATE team SET points = 11 WHERE id = 1");
    world.send(2, "elsewhere");
    assert_eq!(judged(&world, 1).state(), State::Approved);
    // The same row: what is written is another change by now, although it does not conflict.
    let before = assessed(&world, 1);
    world.sql(2, "UPDATE person SET age = 39 WHERE id = 1");
    world.send(2, "the same cell");
    assert_ne!(assessed(&world, 1).digest, before.digest);
    assert_ne!(judged(&world, 1).state(), State::Approved);
    assert_eq!(merge(&world, 1, 6).unwrap_err().code, "review_required");
    let ballot = Ballot { revision: 1, digest: before.digest, word: Word::Approve, comment: String::new() };
    let late = world.primary().act(1, &Deed::Vote(ballot), by("di")).unwrap_err();
    assert_eq!((late.code, late.kind), ("stale_base", ErrorKind::Conflict));
}

#[test]
fn a_further_revision_needs_votes_of_its_own() {
    let world = World::new(3, START, 2);
    world.sql(1, "UPDATE person SET name = 'Anna' WHERE id = 1");
    offer(&world, 1, None, 77);
    vote(&world, 1, "bo", Word::Approve);
    vote(&world, 1, "cy", Word::Approve);
    world.sql(1, "UPDATE person SET name = 'Anne' WHERE id = 2");
    assert_eq!(offer(&world, 1, Some(1), 78), (1, 2));
    assert_eq!(judged(&world, 1).state(), State::Open);
    assert_eq!(merge(&world, 1, 6).unwrap_err().code, "review_required");
    vote(&world, 1, "bo", Word::Approve);
    vote(&world, 1, "cy", Word::Approve);
    let version = merge(&world, 1, 7).unwrap();
    assert_eq!((name(&world, 1), name(&world, 2)), (Some(Value::text("Ann")), Some(Value::text("Anne"))));
    assert_eq!(world.primary().find_write(77).unwrap(), Some(version), "the first revision is in it");
}

#[test]
fn what_is_closed_takes_no_votes_and_no_merge() {
    let world = World::new(4, START, 2);
    world.sql(1, "UPDATE person SET name = 'Anna' WHERE id = 1");
    offer(&world, 1, None, 77);
    vote(&world, 1, "bo", Word::Approve);
    vote(&world, 1, "cy", Word::Approve);
    let decide = |stage| Deed::Decide(Decision { stage, reason: "no".into() });
    world.primary().act(1, &decide(Stage::Withdrawn), by("a1")).unwrap();
    assert_eq!(merge(&world, 1, 6).unwrap_err().code, "closed");
    assert_eq!(judged(&world, 1).state(), State::Withdrawn);
    world.primary().act(1, &decide(Stage::Open), by("a1")).unwrap();
    assert_eq!(judged(&world, 1).state(), State::Approved);
    assert_eq!(name(&world, 1), Some(Value::text("Ann")));
    // Folded anew, it is the same.
    let folded = rebuild_primary(&world.primary_folder(), Seeded::around(5), &mut |finding| panic!("{finding:?}")).unwrap();
    assert!(folded.is_empty());
}

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
