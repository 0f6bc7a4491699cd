//! What a cleanup removes, what holds the rest, and what it never changes (I-60, I-64, HAZARDS H2, H6, H7).
use crate::world::{World, quiet};
use mainstem::cleanup::Rehearsal;
use mainstem::primary::{SnapshotSink, SnapshotStart};
use mainstem::replica::Replica;
use mainstem::tombstones::Wanted;
use mainstem::{Error, Result, sync};
use rusqlite::Connection;

/// I-60: nothing goes before every replica that counts has heard of it; one that does not count is marked as it goes.
#[test]
fn a_tombstone_waits_for_each_replica_until_that_expires() {
    let world = World::new(&[("history", "0"), ("tombstones", "10"), ("replicas", "50")], &["bob", "cy"]);
    world.sql("ann", "DELETE FROM name WHERE id = 'c'");
    world.sync("ann");
    let living = world.cleanup();
    assert_eq!((living.living[0].count, living.collected.tombstones.len()), (1, 0), "it has not expired");
    assert!(living.is_nothing(), "and two replicas hold the horizon: {:?}", living.holding);
    world.days(11);
    world.sync("bob");
    let held = world.cleanup();
    assert_eq!(held.holding.iter().map(|h| (h.replica.seen.actor.as_str(), h.tombstones)).collect::<Vec<_>>(), [("cy", 1)]);
    world.days(45);
    world.sync("ann");
    world.sync("bob");
    let done = world.cleanup();
    let cy = world.replica("cy").standing().unwrap().replica;
    assert_eq!((done.collected.expired, done.collected.tombstones[0].count), (vec![cy], 1), "cy was away for too long");
    assert!(world.primary().replicas().unwrap().iter().all(|r| r.must_reseed == (r.seen.replica == cy)));
    assert!(world.sync("cy").is_reseeded);
    assert!(world.primary().replicas().unwrap().iter().all(|r| !r.must_reseed), "cy counts again");
    world.assert_alike(&["ann", "bob", "cy"]);
}

/// H2: at rest nothing moves, whatever is kept how long.
#[test]
fn two_lives_do_not_fight() {
    for (tombstones, history) in [("0", "forever"), ("forever", "0"), ("0", "0"), ("5", "1")] {
        let world = World::new(&[("history", history), ("tombstones", tombstones)], &["bob"]);
        world.sql("ann", "DELETE FROM name WHERE id = 'c'");
        for who in ["ann", "bob"] {
            world.sync(who);
        }
        world.days(3);
        world.cleanup();
        let head = world.primary().describe().unwrap().head;
        for _ in 0..3 {
            for who in ["ann", "bob"] {
                let report = world.sync(who);
                assert_eq!((report.pushed, report.pulled_changes), (0, 0), "{tombstones} {history}");
            }
            assert!(world.cleanup().is_nothing(), "{tombstones} {history}");
        }
        assert_eq!(world.primary().describe().unwrap().head, head);
        world.assert_alike(&["ann", "bob"]);
    }
}

/// Takes a snapshot and stops as the rows begin, so that something can happen before the first pull.
struct Stopped;

impl SnapshotSink for Stopped {
    fn begin(&mut self, _: &SnapshotStart) -> Result<()> {
        Err(Error::invalid("stopped"))
    }
    fn rows(&mut self, _: usize, _: &[mainstem::core::value::Row]) -> Result<()> {
        Ok(())
    }
}

/// H6: a cleanup between a replica's snapshot and its first pull. The replica is known from the moment it is whole, so what
/// it will ask for stays; before that it is refused.
#[test]
fn a_cleanup_between_snapshot_and_first_pull_loses_nothing() {
    let world = World::new(&[("history", "0"), ("tombstones", "0"), ("replicas", "30")], &[]);
    assert!(world.primary().snapshot(&mut Stopped).is_err());
    world.clone_for("bob");
    let unknown = world.replica("bob").standing().unwrap();
    world.sql("ann", "DELETE FROM name WHERE id = 'c'");
    world.sync("ann");
    assert!(world.cleanup().is_nothing(), "bob has not pulled yet");
    assert_eq!(world.sync("bob").version, 2, "complete");
    world.assert_alike(&["bob"]);
    // A replica that the primary never heard of is refused as soon as something it needs is gone.
    world.cleanup();
    let stranger = unknown.known.unwrap();
    let from = mainstem::primary::Cursor { version: 2, page: 0 };
    assert_eq!(world.primary().pull(&stranger, from, 1 << 20).unwrap_err().code, "behind_horizon");
}

/// H7: what follows a cleanup applies as cleanly as before, also work that was made and not sent before it.
#[test]
fn an_update_after_a_cleanup_applies_cleanly() {
    let world = World::new(&[("history", "0"), ("tombstones", "0"), ("replicas", "30")], &["bob"]);
    world.sql("bob", "UPDATE name SET stock = 9 WHERE id = 'b'");
    world.replica("bob").commit("bob", None, "").unwrap();
    world.sql("ann", "UPDATE name SET title = 'broad bean' WHERE id = 'b'; DELETE FROM name WHERE id = 'c'");
    world.sync("ann");
    sync::pull(&mut world.replica("bob"), &mut *world.primary(), "bob", &mut quiet).unwrap();
    world.sync("ann");
    let held = world.cleanup();
    assert_eq!(held.collected.horizon, 0, "bob's changeset was made on version 1: {held:?}");
    world.sync("bob");
    world.sync("ann");
    world.sync("bob");
    assert_eq!(world.cleanup().collected.horizon, 3);
    for (who, sql) in [("bob", "UPDATE name SET title = 'bean' WHERE id = 'b'"), ("ann", "UPDATE name SET stock = 10 WHERE id = 'b'")] {
        world.sql(who, sql);
        world.sync(who);
    }
    assert_eq!(world.primary().conflicts(false).unwrap(), [], "no update looks like a conflict");
    world.sync("bob");
    assert_eq!(world.read("bob", "SELECT title || stock FROM name WHERE id = 'b'"), "bean10");
    world.assert_alike(&["ann", "bob"]);
}

/// A tombstone that is kept longer than history keeps its version's pages, and can still be read.
#[test]
fn a_tombstone_outlives_history() {
    let world = World::new(&[("history", "0"), ("note.tombstones", "forever"), ("name.tombstones", "0")], &[]);
    world.sql("ann", "DELETE FROM note WHERE id = 3");
    world.sync("ann");
    world.sql("ann", "UPDATE name SET stock = 0");
    world.sync("ann");
    world.sql("ann", "DELETE FROM name WHERE id = 'c'");
    world.sync("ann");
    let done = world.cleanup();
    assert_eq!((done.collected.horizon, done.pages), (4, 2), "the pages of two versions went: {done:?}");
    assert_eq!(world.listed(&Wanted::default()), "2.1 note");
    assert_eq!(world.tombstones(&Wanted::default())[0].image[2].1, mainstem::core::value::Value::text("green"));
    assert!(world.cleanup().is_nothing());
    world.policy(&[("note.tombstones", "0")]);
    let done = world.cleanup();
    assert_eq!((done.collected.tombstones.len(), done.pages), (1, 1), "its page goes with it");
}

/// I-64: a cleanup at any step changes no row and no digest, and what people do goes on as without it.
#[test]
fn a_cleanup_at_any_step_changes_nothing_that_people_see() {
    let steps: [(&str, &str); 9] = [
        ("ann", "DELETE FROM note WHERE id = 1"),
        ("bob", "UPDATE name SET stock = stock + 10"),
        ("ann", "INSERT INTO note VALUES(1, 'b', 'again')"),
        ("bob", "DELETE FROM name WHERE id = 'a'"),
        ("ann", "UPDATE name SET title = upper(title) WHERE id <> 'b'"),
        ("bob", "UPDATE name SET id = 'z' WHERE id = 'c'"),
        ("ann", "DELETE FROM tie"),
        ("bob", "INSERT INTO tie VALUES('b', 'b')"),
        ("ann", "INSERT OR IGNORE INTO name(id, title) VALUES('a', 'avocado')"),
    ];
    let play = |cleanups: usize| {
        let world = World::new(&[("history", "0"), ("tombstones", "0"), ("replicas", "forever")], &["bob"]);
        for (n, (who, sql)) in steps.iter().enumerate() {
            world.sql(who, sql);
            if n % 3 != 0 {
                world.sync(who);
            }
            if cleanups & (1 << n) != 0 {
                let before = world.digests();
                let tried = world.primary().cleanup("ann", Rehearsal::DryRun).unwrap();
                let done = world.cleanup();
                assert_eq!((tried.pages, tried.holding, tried.collected.horizon), (done.pages, done.holding, done.collected.horizon));
                assert_eq!(world.digests(), before);
            }
        }
        for who in ["ann", "bob", "ann", "bob"] {
            world.sync(who);
        }
        world.assert_alike(&["ann", "bob"]);
        let mut conflicts: Vec<_> = world.primary().conflicts(false).unwrap().into_iter().map(|c| (c.kind, c.table, c.key)).collect();
        conflicts.sort();
        (world.digests(), conflicts)
    };
    let plain = play(0);
    for cleanups in [1, 2, 4, 8, 16, 32, 64, 128, 256, 511, 0b1_0101_0101] {
        assert_eq!(play(cleanups), plain, "cleanups {cleanups:b}");
    }
}

/// Where the primary cannot note who was there, a pull is as good as ever, and the primary keeps more than it must.
#[test]
fn a_pull_does_not_wait_for_the_primary_to_take_note() {
    let world = World::new(&[("history", "0"), ("tombstones", "0"), ("replicas", "30")], &["bob"]);
    world.sql("ann", "DELETE FROM name WHERE id = 'c'");
    world.sync("ann");
    let bob = world.replica("bob").standing().unwrap().replica;
    let held = |world: &World| world.primary().replicas().unwrap().iter().find(|r| r.seen.replica == bob).map(|r| r.seen.version);
    let writing = Connection::open(world.file("primary").join("primary.db")).unwrap();
    writing.execute_batch("BEGIN IMMEDIATE").unwrap();
    let report = sync::pull(&mut world.replica("bob"), &mut *world.primary(), "bob", &mut quiet).unwrap();
    assert_eq!((report.version, held(&world)), (2, Some(1)), "pulled, and not noted");
    drop(writing);
    assert!(world.cleanup().is_nothing());
    world.sync("bob");
    assert_eq!(held(&world), Some(2));
    assert_eq!(world.cleanup().collected.horizon, 2);
}

/// The same said twice in an hour is one write.
#[test]
fn a_replica_that_says_nothing_new_writes_nothing() {
    let world = World::new(&[], &["bob"]);
    let noted = |world: &World| world.primary().replicas().unwrap().iter().map(|r| r.at).max();
    world.sync("bob");
    let first = noted(&world);
    world.sync("bob");
    assert_eq!(noted(&world), first);
    world.days(1);
    world.sync("bob");
    assert!(noted(&world) > first);
}
