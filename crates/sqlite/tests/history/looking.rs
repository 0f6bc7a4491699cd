//! Looking at large proposals: nobody waits for it, and what was found is told to whoever asks next.
use super::review::{by, offer, vote};
use super::world::{START, World};
use mainstem::comparing::How;
use mainstem::core::proposal::{Assessment, Word};
use mainstem::local::Large;
use mainstem::primary::Primary;
use mainstem::review::{Judged, State};
use rusqlite::Connection;

/// Every proposal is large.
const LARGE: Large = Large { beside_from: 0, times: u64::MAX, waited_for_max: 0, at_once_max: 0, shared_from: 0 };

fn at_once(world: &World) -> Judged {
    world.primary_with(LARGE).proposal_at_once(1, by("bo")).unwrap().unwrap()
}

fn looked(primary: &mut dyn Primary) -> Assessment {
    primary.proposal(1, by("bo")).unwrap().unwrap().assessment.unwrap()
}

#[test]
fn a_large_proposal_is_looked_at_while_somebody_else_writes() {
    let world = World::new(31, START, 2);
    world.primary().set_policy("[gates.old]\nrule = \"no-rows\"\nsql = \"SELECT name FROM ages WHERE age > 90\"\n", "a0").unwrap();
    assert!(
        world.try_sql(None, "CREATE VIEW ages AS SELECT name, age FROM person; CREATE UNIQUE INDEX lead ON team(lead) WHERE points > 0")
    );
    world.sync(1);
    world.sql(1, "UPDATE person SET age = 95 WHERE id = 3; INSERT INTO team(label, lead, points) VALUES ('green', 3, 1)");
    offer(&world, 1, None, 77);
    let writer = Connection::open(world.primary_file()).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let found = looked(&mut *world.primary_with(LARGE));
    writer.execute_batch("ROLLBACK").unwrap();
    assert!(found.is_blocked(), "the gate sees through a view what would be written: {:?}", found.gates);
    let here = Large { beside_from: u64::MAX, shared_from: u64::MAX, ..LARGE };
    let expected = looked(&mut *world.primary_with(here));
    assert_eq!((found.digest, &found.gates, &found.tables), (expected.digest, &expected.gates, &expected.tables));
}

#[test]
fn what_was_offered_is_told_at_once_and_what_merging_does_once_somebody_has_found_it() {
    let world = World::new(32, START, 2);
    world.sql(
        1,
        "UPDATE person SET name = 'Anna', age = 31 WHERE id = 1; DELETE FROM tag WHERE code = 'b'; INSERT INTO tag VALUES ('c', 1, '')",
    );
    offer(&world, 1, None, 77);
    let unfound = at_once(&world);
    assert!(unfound.is_unfound() && unfound.state() == State::Open);
    let tables = &unfound.proposal.head().tables;
    let counts = |name: &str| tables.iter().find(|t| t.table == name).map(|t| (t.inserted, t.updated, t.deleted, t.cells));
    assert_eq!((counts("person"), counts("tag")), (Some((0, 1, 0, 2)), Some((1, 0, 1, 0))));
    let found = looked(&mut *world.primary_with(LARGE));
    assert_eq!(at_once(&world).assessment.as_ref(), Some(&found), "another process is told");
    let page = world.primary_with(LARGE).shown_page(1, &found.digest, 0).unwrap();
    assert_eq!(page, world.primary().shown_page(1, &found.digest, 0).unwrap());
    // What the policy decides is another result.
    world.primary().set_policy("approvals = 3\n", "a0").unwrap();
    assert!(at_once(&world).is_unfound());
    looked(&mut *world.primary_with(LARGE));
    assert!(!at_once(&world).is_unfound());
}

#[test]
fn what_is_kept_beside_a_primary_may_be_lost_or_damaged() {
    let world = World::new(33, START, 2);
    world.sql(1, "UPDATE person SET name = 'Anna' WHERE id = 1");
    offer(&world, 1, None, 77);
    let found = looked(&mut *world.primary_with(LARGE));
    let mut file = world.primary_file().into_os_string();
    file.push(".found");
    let db = Connection::open(&file).unwrap();
    let changed = db.execute("UPDATE kept SET bytes = zeroblob(length(bytes)) WHERE name LIKE 'outcome%'", []);
    assert_eq!(changed.unwrap(), 1);
    let shown = |digest| world.primary_with(LARGE).shown_page(1, digest, 0).unwrap().unwrap();
    assert_eq!(shown(&found.digest), world.primary().shown_page(1, &found.digest, 0).unwrap().unwrap());
    db.execute("UPDATE kept SET bytes = zeroblob(100)", []).unwrap();
    drop(db);
    assert_eq!(looked(&mut *world.primary_with(LARGE)).digest, found.digest);
    std::fs::write(&file, "this is no database, and never was one, whatever it is called").unwrap();
    assert_eq!(looked(&mut *world.primary_with(LARGE)).digest, found.digest);
    assert_eq!(at_once(&world).assessment.map(|found| found.digest), Some(found.digest), "it was made anew");
    vote(&world, 1, "bo", Word::Approve);
    vote(&world, 1, "cy", Word::Approve);
    assert_eq!(super::review::merge(&world, 1, 9).unwrap(), 2);
}

#[test]
fn revisions_are_compared_row_by_row() {
    let world = World::new(34, START, 2);
    world.sql(1, "UPDATE person SET age = 40; DELETE FROM tag WHERE code = 'b'");
    offer(&world, 1, None, 77);
    world.sql(1, "UPDATE person SET age = 41 WHERE id = 2; INSERT INTO tag VALUES ('b', 1, NULL), ('c', 1, 'new')");
    offer(&world, 1, Some(1), 78);
    for _ in 0..2 {
        let differing = world.primary().differing(1, 1, 2).unwrap().unwrap();
        // The second revision is made of what was done after the first alone.
        assert_eq!((differing.added, differing.changed, differing.removed), (1, 2, 3), "{differing:?}");
        assert_eq!(differing.first.last().map(|last| last.how), Some(How::Removed));
    }
    assert_eq!(world.primary().differing(1, 1, 3).unwrap_err().code, "not_found");
}
