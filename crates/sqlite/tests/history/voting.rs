//! The rules about votes where they meet the primary: its clock, its policy, the tables that a merge or a push changes.
use super::review::{assessed, by, judged, merge, offer, vote};
use super::world::{START, World};
use mainstem::core::ErrorKind;
use mainstem::core::proposal::{Ballot, MergeWish, Word};
use mainstem::replica::Replica;
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

#[track_caller]
fn needs_an_owner_of_person(seed: u64, sql: &str, missing: &str) {
    let world = World::new(seed, START, 2);
    world.primary().set_policy("[tables.person]\nowners = ['cy']\n", "a0").unwrap();
    world.sql(1, sql);
    offer(&world, 1, None, 77);
    vote(&world, 1, "bo", Word::Approve);
    vote(&world, 1, "di", Word::Approve);
    assert_eq!(judged(&world, 1).tally.missing, [missing]);
    assert_eq!(merge(&world, 1, 5).unwrap_err().code, "review_required");
    vote(&world, 1, "cy", Word::Approve);
    assert!(merge(&world, 1, 6).is_ok());
}

#[test]
fn the_rule_of_a_table_holds_for_its_columns_and_its_name_too() {
    let line = "an owner of table person must approve: cy";
    needs_an_owner_of_person(10, "ALTER TABLE person DROP COLUMN age; UPDATE tag SET note = 'x' WHERE code = 'b'", line);
    needs_an_owner_of_person(11, "ALTER TABLE person ADD COLUMN size", "an owner must approve: cy");
    needs_an_owner_of_person(12, "ALTER TABLE person RENAME TO people; UPDATE tag SET note = 'x' WHERE code = 'b'", line);
}

#[test]
fn what_belongs_to_no_table_is_under_the_rule_of_the_dataset() {
    let world = World::new(13, START, 2);
    world.primary().set_policy("approvals = 3\n[tables.tag]\napprovals = 1\n", "a0").unwrap();
    world.sql(1, "CREATE VIEW old AS SELECT * FROM person; UPDATE tag SET note = 'x' WHERE code = 'b'");
    offer(&world, 1, None, 77);
    vote(&world, 1, "bo", Word::Approve);
    assert_eq!(judged(&world, 1).tally.missing, ["2 more approvals are needed for the dataset"]);
}

#[track_caller]
fn is_refused_as_a_push(seed: u64, sql: &str, by_review: &str) {
    let world = World::new(seed, START, 2);
    world.primary().set_policy(&format!("[tables.{by_review}]\nmode = 'review'\n"), "a0").unwrap();
    world.sql(1, sql);
    let mut replica = world.replica(1);
    replica.commit("a1", Some("a title"), "").unwrap();
    let known = replica.standing().unwrap().known.unwrap();
    let front = replica.unsent().unwrap().pop().unwrap();
    let mut pages = replica.pages(front.header.write_id).unwrap();
    let refused = world.primary().push(&known, &front, &mut *pages).unwrap_err();
    assert_eq!((refused.code, world.head()), ("review_required", 1));
}

#[test]
fn t7_no_push_changes_a_table_under_review() {
    is_refused_as_a_push(14, "UPDATE person SET name = 'Anna' WHERE id = 1", "person");
    is_refused_as_a_push(15, "ALTER TABLE person ADD COLUMN size", "PERSON");
    is_refused_as_a_push(16, "ALTER TABLE person RENAME TO people", "person");
    is_refused_as_a_push(17, "ALTER TABLE person RENAME TO people", "people");
    is_refused_as_a_push(18, "ALTER TABLE person RENAME COLUMN age TO years", "person");
    is_refused_as_a_push(19, "DROP TABLE tag", "tag");
    is_refused_as_a_push(20, "CREATE TABLE fresh(id INTEGER PRIMARY KEY)", "fresh");
}
