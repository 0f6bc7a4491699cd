//! What was deleted does not come back by a stale copy, a stale file or a replay (TMB-2, HAZARDS H1, H3, H4, H5).
use crate::world::World;
use mainstem::core::conflict::ConflictKind;
use mainstem::core::value::Value;
use mainstem::primary::{Pages, Pushed};
use mainstem::replica::Replica;
use mainstem::sync;

const NAMES: &str = "SELECT id FROM name ORDER BY id";

/// H1, where history is kept: however late a replica comes, an untouched row goes and an edited one is a conflict.
#[test]
fn a_replica_that_was_away_for_years_brings_nothing_back() {
    let world = World::new(&[], &["bob"]);
    world.sql("ann", "DELETE FROM name WHERE id IN ('a', 'b')");
    world.sync("ann");
    world.days(800);
    world.sync("ann");
    world.cleanup();
    world.sql("bob", "UPDATE name SET title = 'broad bean' WHERE id = 'b'");
    world.sync("bob");
    assert_eq!(world.read("bob", NAMES), "b c", "the untouched row is gone");
    let open = world.open_conflicts();
    assert_eq!(open.iter().map(|c| (c.kind, c.table.as_str())).collect::<Vec<_>>(), [(ConflictKind::UpdateDelete, "name")]);
    world.sync("ann");
    world.assert_alike(&["ann", "bob"]);
}

/// H1, where history ends: the replica is told that it must re-seed, and nothing of it is taken before it has. Then the
/// untouched row is gone, and what was made of the other is not lost.
#[test]
fn a_replica_behind_the_horizon_brings_nothing_back() {
    let world = World::new(&[("history", "30")], &["bob"]);
    world.sql("ann", "DELETE FROM name WHERE id IN ('a', 'c')");
    world.sync("ann");
    world.days(100);
    world.sync("ann");
    let done = world.cleanup();
    assert_eq!(done.collected.expired.len(), 1, "bob must re-seed: {done:?}");
    let bob = world.replica("bob").standing().unwrap();
    let known = world.primary().replicas().unwrap();
    assert!(known.iter().any(|r| r.seen.replica == bob.replica && r.must_reseed), "{known:?}");
    let told = world.primary().pull(&bob.known.unwrap(), world.replica("bob").cursor().unwrap(), 1 << 20).unwrap_err();
    assert_eq!(told.code, "behind_horizon");
    world.sql("bob", "UPDATE name SET title = 'golden apple' WHERE id = 'a'; UPDATE name SET stock = 5 WHERE id = 'b'");
    let report = world.sync("bob");
    assert!(report.is_reseeded, "{report:?}");
    world.sync("ann");
    assert_eq!(world.read("ann", "SELECT stock FROM name WHERE id = 'b'"), "5", "his other work arrives");
    assert_eq!(world.read("ann", "SELECT count(*) FROM name WHERE id = 'c'"), "0", "the untouched row is gone");
    let is_back = world.read("ann", "SELECT count(*) FROM name WHERE id = 'a'") == "1";
    assert!(!is_back || world.open_conflicts().iter().any(|c| c.key == [Value::text("a")]), "the edited one is not back in silence");
    world.assert_alike(&["ann", "bob"]);
}

/// H3: many updates, then a deletion; only the deletion is news to the replica that missed all of it.
#[test]
fn a_deletion_arrives_after_any_number_of_updates() {
    let world = World::new(&[], &["bob"]);
    world.sql("ann", "INSERT INTO name(id, title, stock) VALUES('d', 'dill', 0)");
    world.sync("ann");
    world.sync("bob");
    for stock in 1..=6 {
        world.sql("ann", &format!("UPDATE name SET stock = {stock} WHERE id = 'd'"));
        world.sync("ann");
    }
    world.sql("ann", "DELETE FROM name WHERE id = 'd'");
    world.sync("ann");
    world.sync("bob");
    assert_eq!(world.read("bob", NAMES), "a b c");
    world.assert_alike(&["ann", "bob"]);
}

/// H4: a row of the same key is another row; an edit of the old one is a conflict and never mixes with it.
#[test]
fn an_edit_of_a_deleted_row_does_not_mix_with_the_row_that_took_its_key() {
    let world = World::new(&[], &["bob"]);
    world.sql("bob", "UPDATE name SET stock = 20 WHERE id = 'c'");
    world.sql("ann", "DELETE FROM name WHERE id = 'c'");
    world.sync("ann");
    world.sql("ann", "INSERT INTO name(id, title, stock) VALUES('c', 'clove', 3)");
    world.sync("ann");
    world.sync("bob");
    world.sync("ann");
    for who in ["ann", "bob"] {
        assert_eq!(world.read(who, "SELECT title || stock FROM name WHERE id = 'c'"), "clove3", "{who}");
    }
    assert_eq!(world.open_conflicts().len(), 1);
    world.assert_alike(&["ann", "bob"]);
}

/// H5: made, sent, deleted, sent; then the push of its making arrives a second time.
#[test]
fn a_late_echo_of_the_creation_revives_nothing() {
    let world = World::new(&[], &["bob"]);
    world.sql("ann", "INSERT INTO name(id, title) VALUES('d', 'dill')");
    let mut ann = world.replica("ann");
    let front = ann.commit("ann", None, "").unwrap().unwrap();
    let known = ann.standing().unwrap().known.unwrap();
    let mut pages = ann.pages(front.header.write_id).unwrap();
    let page = pages.next().unwrap().unwrap();
    drop(pages);
    drop(ann);
    world.sync("ann");
    world.sql("ann", "DELETE FROM name WHERE id = 'd'");
    world.sync("ann");
    let again = world.primary().push(&known, &front, &mut Once(Some(page))).unwrap();
    assert_eq!(again, Pushed::Already { version: 2 });
    world.sync("bob");
    assert_eq!(world.read("bob", NAMES), "a b c");
    assert_eq!(world.primary().describe().unwrap().head.version, 3);
}

struct Once(Option<Vec<mainstem::core::change::Change>>);

impl Pages for Once {
    fn next(&mut self) -> mainstem::Result<Option<Vec<mainstem::core::change::Change>>> {
        Ok(self.0.take())
    }
    fn rewind(&mut self) -> mainstem::Result<()> {
        Ok(())
    }
}

/// A file from before the row was sent is put back: it makes the row a second time, under an identity of its own.
#[test]
fn a_file_that_went_back_in_time_adds_nothing_again() {
    for (table, key, make) in [
        ("name", Value::text("d"), "INSERT INTO name(id, title) VALUES('d', 'dill')"),
        ("note", Value::Integer(4), "INSERT INTO note VALUES(4, 'b', 'long')"),
    ] {
        let world = World::new(&[], &["bob"]);
        world.sql("ann", make);
        world.copy("ann", "kept");
        world.sync("ann");
        world.sync("bob");
        world.sql("bob", &format!("DELETE FROM {table} WHERE title = 'dill'").replace("note WHERE title = 'dill'", "note WHERE id = 4"));
        world.sync("bob");
        world.copy("kept", "ann");
        world.sync("ann");
        let open = world.open_conflicts();
        let found: Vec<_> = open.iter().map(|c| (c.kind, c.table.as_str(), c.key.clone())).collect();
        assert_eq!(found, [(ConflictKind::UpdateDelete, table, vec![key])], "seen, not done");
        world.sync("bob");
        let left = format!("SELECT count(*) FROM {table}");
        assert_eq!((world.read("ann", &left), world.read("bob", &left)), ("3".into(), "3".into()));
        world.assert_alike(&["ann", "bob"]);
    }
}

/// The same row is added by somebody who heard of the deletion.
#[test]
fn who_knows_of_the_deletion_may_add_the_row_again() {
    let world = World::new(&[], &["bob"]);
    world.sql("ann", "DELETE FROM tie WHERE a = 'b'; DELETE FROM name WHERE id = 'c'");
    world.sync("ann");
    world.sync("bob");
    world.sql("bob", "INSERT INTO name(id, title, stock) VALUES('c', 'cress', 3); INSERT INTO tie VALUES('b', 'c')");
    world.sync("bob");
    world.sync("ann");
    assert_eq!(world.read("ann", NAMES), "a b c");
    assert_eq!(world.read("ann", "SELECT a || b FROM tie ORDER BY a"), "ab bc", "a link is a row like any other");
    assert_eq!(world.open_conflicts(), []);
    world.assert_alike(&["ann", "bob"]);
}

/// A copy that only pulls and never edits loses the row and sends nothing.
#[test]
fn a_stale_copy_sends_nothing() {
    let world = World::new(&[], &[]);
    world.copy("ann", "old");
    world.sql("ann", "DELETE FROM name WHERE id = 'a'");
    world.sync("ann");
    let report = world.sync("old");
    assert_eq!((report.pushed, report.pulled), (0, 1));
    assert_eq!(world.read("old", NAMES), "b c");
    let quiet = sync::sync(&mut world.replica("old"), &mut *world.primary(), "old", &mut crate::world::quiet).unwrap();
    assert_eq!((quiet.pushed, quiet.pulled), (0, 0));
}
