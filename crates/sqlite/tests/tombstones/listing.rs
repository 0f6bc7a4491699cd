//! What a tombstone says: who, when, why, and until when (TMB-1, TMB-5).
use crate::world::World;
use mainstem::core::change::Choice;
use mainstem::core::value::Value;
use mainstem::replica::{Answering, Replica};
use mainstem::tombstones::{State, Wanted, Why, restore, stats};
use rusqlite::Connection;

fn all() -> Wanted {
    Wanted::default()
}

#[test]
fn a_cascade_says_which_row_took_the_others_along() {
    let world = World::new(&[], &[]);
    world.sql("ann", "DELETE FROM name WHERE id = 'a'");
    world.replica("ann").commit("ann", Some("no apples"), "they are sour").unwrap();
    world.sync("ann");
    let found = world.tombstones(&all());
    let mut tables: Vec<_> = found.iter().map(|t| (t.table.as_str(), t.why.name())).collect();
    tables.sort_unstable();
    assert_eq!(tables, [("name", "changeset"), ("note", "cascade"), ("note", "cascade"), ("tie", "cascade")]);
    for tombstone in &found {
        let why = match tombstone.table.as_str() {
            "name" => Why::Changeset { title: Some("no apples".into()), description: "they are sour".into() },
            _ => Why::Cascade { parent: "name".into(), key: vec![Value::text("a")] },
        };
        assert_eq!(tombstone.why, why);
    }
}

#[test]
fn a_direct_write_and_the_answer_to_a_conflict_are_told_apart() {
    let world = World::new(&[], &["bob"]);
    let db = Connection::open(world.file("primary").join("primary.db")).unwrap();
    db.execute_batch("DELETE FROM note WHERE id = 3").unwrap();
    drop(db);
    world.sql("ann", "DELETE FROM tie WHERE b = 'c'; DELETE FROM name WHERE id = 'c'");
    world.sync("ann");
    world.sql("bob", "UPDATE name SET stock = 4 WHERE id = 'c'");
    world.sync("bob");
    let conflict = world.open_conflicts()[0].id;
    world.replica("bob").resolve("bob", &[(conflict, Answering { choice: Choice::Theirs, value: None })]).unwrap();
    world.sync("bob");
    let found = world.tombstones(&all());
    let why: Vec<_> = found.iter().map(|t| (t.table.as_str(), t.actor.as_str(), t.why.name())).collect();
    let expected = [("note", "direct", "direct"), ("tie", "ann", "changeset"), ("name", "ann", "changeset"), ("name", "bob", "resolution")];
    assert_eq!(why, expected);
    assert_eq!(found[3].why, Why::Resolution { conflict });
}

#[test]
fn a_row_that_took_another_key_was_not_deleted() {
    let world = World::new(&[], &[]);
    world.sql("ann", "UPDATE note SET id = 30 WHERE id = 3; DELETE FROM note WHERE id = 2");
    world.sync("ann");
    let found = world.tombstones(&all());
    assert_eq!(found.iter().map(|t| t.key.clone()).collect::<Vec<_>>(), [vec![Value::Integer(2)]]);
}

#[test]
fn lists_can_be_narrowed_and_a_row_that_is_back_is_said_to_be() {
    let world = World::new(&[], &["bob"]);
    world.sql("ann", "DELETE FROM note WHERE id = 1");
    world.sync("ann");
    world.days(1);
    world.sync("bob");
    world.sql("bob", "DELETE FROM tie; INSERT INTO note VALUES(1, 'b', 'another')");
    world.sync("bob");
    let later = Some(world.tombstones(&all())[1].accepted_at);
    assert_eq!(world.listed(&all()), "2.1 note, 3.1 tie, 3.2 tie");
    assert_eq!(world.listed(&Wanted { table: Some("TIE".into()), ..all() }), "3.1 tie, 3.2 tie");
    assert_eq!(world.listed(&Wanted { actor: Some("ann".into()), ..all() }), "2.1 note");
    assert_eq!(world.listed(&Wanted { since: later, ..all() }), "3.1 tie, 3.2 tie");
    assert_eq!(world.listed(&Wanted { version: Some(3), place: Some(2), ..all() }), "3.2 tie");
    assert_eq!(world.tombstones(&all()).iter().map(|t| t.is_there).collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn tombstones_follow_a_table_that_is_renamed_and_keep_the_name_of_one_that_is_dropped() {
    let world = World::new(&[], &[]);
    world.sql("ann", "DELETE FROM note WHERE id = 1; DELETE FROM tie WHERE b = 'c'");
    world.sync("ann");
    world.sql("ann", "ALTER TABLE note RENAME TO remark; DROP TABLE tie");
    world.sync("ann");
    assert_eq!(world.listed(&Wanted { table: Some("remark".into()), ..all() }), "2.2 remark");
    let of_dropped = world.tombstones(&Wanted { table: Some("tie".into()), ..all() });
    assert_eq!(of_dropped.len(), 2, "what the drop took is remembered as well");
    assert!(of_dropped.iter().all(|t| !t.is_there));
}

/// TMB-5: a row that the app marks as deleted is listed; nothing expires it.
#[test]
fn rows_that_are_marked_as_deleted_are_listed() {
    let world = World::new(&[("name.soft_delete", "is_deleted"), ("tombstones", "0")], &["bob"]);
    world.sql("bob", "UPDATE name SET is_deleted = 1 WHERE id = 'b'");
    world.replica("bob").commit("bob", Some("beans are out"), "").unwrap();
    world.sync("bob");
    world.sql("bob", "DELETE FROM note WHERE id = 1");
    world.sync("bob");
    world.sync("ann");
    let found = world.tombstones(&Wanted { table: Some("name".into()), ..all() });
    assert_eq!(found.len(), 1);
    let marked = &found[0];
    assert_eq!((marked.id, marked.actor.as_str(), marked.version, marked.state), (None, "bob", 2, State::Living));
    assert_eq!(marked.why, Why::Marked { column: "is_deleted".into(), before: Some(Value::Integer(0)) });
    let tables = stats(&mut *world.primary(), &all()).unwrap();
    assert_eq!((tables["name"].marked, tables["name"].count, tables["note"].expired), (1, 0, 1));
    world.cleanup();
    assert_eq!(world.listed(&all()), "- name", "a cleanup touches no row");
}

/// A primary that an earlier program wrote gets its tombstones when it is opened.
#[test]
fn a_primary_without_tombstones_gets_them_from_its_pages() {
    let world = World::new(&[], &[]);
    world.sql("ann", "UPDATE note SET id = 30 WHERE id = 3; DELETE FROM note WHERE id = 2");
    world.sync("ann");
    assert_eq!(world.listed(&all()), "2.1 note");
    world.sql("ann", "ALTER TABLE note RENAME TO remark; DELETE FROM tie");
    world.sync("ann");
    let before = world.tombstones(&all());
    assert_eq!(before.len(), 3);
    let db = Connection::open(world.file("primary").join("primary.db")).unwrap();
    let drops = ["tombstone", "accepted", "horizon", "replica"].map(|t| format!("DROP TABLE mainstem_{t};")).concat();
    db.execute_batch(&drops).unwrap();
    drop(db);
    assert_eq!(world.tombstones(&all()), before);
    world.sync("ann");
    assert_eq!(world.primary().replicas().unwrap().len(), 1, "and hears of its replicas again");
}

/// TMB-3 and TMB-5: what comes back is an edit, with its links whole; a mark is taken away.
#[test]
fn restore_brings_back_either_kind_with_links_whole() {
    let world = World::new(&[("name.soft_delete", "is_deleted")], &["bob"]);
    world.sql("ann", "DELETE FROM name WHERE id = 'a'; UPDATE name SET is_deleted = 1 WHERE id = 'c'");
    world.sync("ann");
    let found = world.tombstones(&all());
    let note = found.iter().find(|t| t.table == "note").cloned().unwrap();
    let early = restore(&mut world.replica("bob"), std::slice::from_ref(&note)).unwrap_err();
    assert_eq!((early.code, early.hint.as_deref()), ("behind", Some("mainstem sync")), "bob has the row and does not know");
    world.sync("bob");
    let alone = restore(&mut world.replica("bob"), &[note]).unwrap_err();
    assert_eq!(alone.code, "missing_parent");
    assert_eq!(alone.hint.as_deref(), Some("mainstem tombstones restore 2, which brings back all that version 2 deleted"));
    assert_eq!(restore(&mut world.replica("bob"), &found).unwrap(), 5, "four rows and one mark");
    assert_eq!(restore(&mut world.replica("bob"), &found).unwrap(), 0, "once is enough");
    world.sync("bob");
    world.sync("ann");
    let shown = world.read("ann", "SELECT id || is_deleted FROM name ORDER BY id");
    assert_eq!((shown.as_str(), world.read("ann", "SELECT count(*) FROM note").as_str()), ("a0 b0 c0", "3"));
    assert_eq!(world.open_conflicts(), []);
    assert!(world.tombstones(&all()).iter().all(|t| t.is_there && t.id.is_some()), "remembered, and back");
    world.assert_alike(&["ann", "bob"]);
}

#[test]
fn restore_replaces_no_row_that_took_the_key() {
    let world = World::new(&[], &[]);
    world.sql("ann", "DELETE FROM note WHERE id = 3");
    world.sync("ann");
    world.sql("ann", "INSERT INTO note VALUES(3, 'b', 'another')");
    let refused = restore(&mut world.replica("ann"), &world.tombstones(&all())).unwrap_err();
    assert_eq!(refused.code, "taken");
    assert_eq!(world.read("ann", "SELECT text FROM note WHERE id = 3"), "another");
}
