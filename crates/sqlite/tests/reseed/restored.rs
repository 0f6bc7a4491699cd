//! A primary that goes on from an older copy, with or without anybody saying so (SYN-11, F2, F3, F5, F6, I-37, I-38).
use crate::team::{Team, quiet};
use mainstem::core::event::Version;
use mainstem::replica::{Answering, Replica};
use mainstem_sqlite::SqliteReplica;

/// Every version of the primary, in order.
fn history(team: &Team) -> Vec<Version> {
    let mut primary = team.primary();
    let head = primary.describe().unwrap().head.version;
    (1..=head).map(|v| primary.version(v).unwrap().unwrap()).collect()
}

type PutBack = fn(&Team, &std::path::Path);
const WAYS: [PutBack; 2] = [Team::restore, Team::put_back];

#[test]
fn what_was_accepted_after_the_copy_comes_back_with_its_authors() {
    for put_back in WAYS {
        let team = Team::new(&["ada", "bob"]);
        team.edit("ada", "UPDATE task SET what = 'kept' WHERE id = 1;");
        let copy = team.copy_primary("copy");
        team.sql("ada", "INSERT INTO list VALUES (3, 'lost list'); INSERT INTO task(id, list, what) VALUES (4, 3, 'lost task');");
        team.commit("ada", "a lost version");
        team.sync("ada");
        team.edit("bob", "UPDATE task SET done = 1 WHERE id = 4; DELETE FROM word WHERE w = 'a';");
        team.settle(&["ada", "bob"]);
        let (before, epoch) = (history(&team), team.describe().epoch);
        put_back(&team, &copy);
        let report = team.sync("ada");
        assert_eq!((report.offered_again, report.is_restored), (2, true));
        team.settle(&["bob", "ada"]);
        team.assert_one(&["ada", "bob"]);
        assert_ne!(team.describe().epoch, epoch, "a new epoch");
        let after = history(&team);
        let tell = |v: &Version| (v.header.write_id, v.header.actor.clone(), v.header.title.clone(), v.header.at, v.count);
        assert_eq!(before.iter().map(tell).collect::<Vec<_>>(), after.iter().map(tell).collect::<Vec<_>>(), "each version once, as it was");
        assert_eq!(team.value("bob", "SELECT what || done FROM task WHERE id = 4"), "lost task1");
        team.edit("bob", "UPDATE word SET note = 'on' WHERE w = 'b';");
        team.settle(&["ada", "bob"]);
        team.assert_one(&["ada", "bob"]);
    }
}

#[test]
fn several_replicas_offer_the_same_versions_and_none_is_doubled() {
    for order in [["ada", "bob", "cem"], ["cem", "bob", "ada"], ["bob", "cem", "ada"]] {
        let team = Team::new(&["ada", "bob", "cem"]);
        let copy = team.copy_primary("copy");
        for round in 0..4 {
            // Chains over several people, with a row that goes and comes again.
            team.edit(
                "ada",
                &format!("INSERT INTO task(list, what) VALUES (1, 'ada {round}'); UPDATE word SET note = 'ada {round}' WHERE w = 'b';"),
            );
            team.edit("bob", "DELETE FROM word WHERE w = 'c';");
            team.edit("ada", &format!("INSERT OR IGNORE INTO word VALUES ('c', 3, 'again {round}');"));
            // Cem is one version behind in the end.
            if round < 3 {
                team.edit(
                    "cem",
                    &format!("UPDATE word SET note = 'cem {round}' WHERE w = 'c'; UPDATE word SET note = 'cem {round}' WHERE w = 'b';"),
                );
            }
        }
        team.sync("bob");
        let rows = crate::team::rows(&team.primary_db());
        assert!(team.primary().conflicts(false).unwrap().is_empty());
        team.restore(&copy);
        for name in order {
            team.sync(name);
        }
        team.settle(&order);
        team.assert_one(&order);
        assert_eq!(crate::team::rows(&team.primary_db()), rows, "{order:?}");
        assert_eq!(team.conflicts("ada", false), [], "what followed each other is no conflict: {order:?}");
    }
}

#[test]
fn new_work_on_the_restored_primary_meets_what_comes_back() {
    let team = Team::new(&["ada", "bob", "eve"]);
    let copy = team.copy_primary("copy");
    team.edit("ada", "UPDATE task SET what = 'lost edit' WHERE id = 1; INSERT INTO task(id, list, what) VALUES (4, 1, 'lost row');");
    team.edit("ada", "UPDATE task SET done = 1 WHERE id = 4; UPDATE word SET note = 'lost note' WHERE w = 'a';");
    team.put_back(&copy);
    // Eve knows nothing of the lost versions; she takes their numbers, and a row number.
    team.edit("eve", "INSERT INTO task(id, list, what) VALUES (4, 2, 'eve'); UPDATE word SET note = 'eve' WHERE w = 'b';");
    team.settle(&["ada", "eve", "bob"]);
    team.assert_one(&["ada", "bob", "eve"]);
    assert_eq!(team.value("bob", "SELECT what FROM task WHERE id = 4"), "eve");
    assert_eq!(
        team.value("bob", "SELECT count(*) || max(done) FROM task WHERE what = 'lost row'"),
        "11",
        "renumbered, with its later edit"
    );
    assert_eq!(team.value("bob", "SELECT group_concat(note) FROM (SELECT note FROM word ORDER BY w)"), "lost note,eve");
}

#[test]
fn a_clash_with_new_work_is_a_conflict_and_both_sides_are_kept() {
    let team = Team::new(&["ada", "eve"]);
    team.primary().set_policy("strategy = \"manual\"\n", "ada").unwrap();
    let copy = team.copy_primary("copy");
    team.edit("ada", "UPDATE word SET note = 'lost' WHERE w = 'a';");
    team.edit("ada", "UPDATE word SET note = 'lost and later' WHERE w = 'a';");
    team.restore(&copy);
    team.edit("eve", "UPDATE word SET note = 'new' WHERE w = 'a';");
    team.settle(&["ada", "eve"]);
    team.assert_one(&["ada", "eve"]);
    let all = format!("{:?}{}", team.conflicts("eve", true), crate::team::rows(&team.path("eve")));
    assert!(!team.conflicts("eve", true).is_empty());
    for value in ["lost and later", "new"] {
        let bytes = format!("{:?}", mainstem::core::value::Value::text(value));
        assert!(all.contains(value) || all.contains(&bytes), "{value} in {all}");
    }
}

#[test]
fn unsent_work_on_lost_versions_goes_on_without_a_conflict() {
    for put_back in WAYS {
        let team = Team::new(&["ada", "bob"]);
        let copy = team.copy_primary("copy");
        team.edit("ada", "INSERT INTO task(id, list, what) VALUES (4, 1, 'lost'); DELETE FROM word WHERE w = 'a';");
        team.edit("bob", "INSERT INTO word VALUES ('a', 9, 'again');");
        team.sync("ada");
        team.sql("ada", "UPDATE task SET what = 'unsent' WHERE id = 4; UPDATE word SET note = 'unsent' WHERE w = 'a';");
        team.commit("ada", "unsent");
        team.sql("ada", "UPDATE task SET done = 1 WHERE id = 4;");
        put_back(&team, &copy);
        team.settle(&["ada", "bob"]);
        team.assert_one(&["ada", "bob"]);
        assert_eq!(team.value("bob", "SELECT what || done FROM task WHERE id = 4"), "unsent1");
        assert_eq!(team.value("bob", "SELECT note FROM word WHERE w = 'a'"), "unsent");
        assert_eq!(team.conflicts("bob", false), []);
    }
}

#[test]
fn conflicts_and_answers_of_lost_versions_come_back() {
    let team = Team::new(&["ada", "bob"]);
    team.primary().set_policy("strategy = \"manual\"\n", "ada").unwrap();
    team.settle(&["ada", "bob"]);
    let copy = team.copy_primary("copy");
    team.sql("ada", "UPDATE word SET note = 'by ada' WHERE w = 'a'; UPDATE word SET note = 'ada too' WHERE w = 'b';");
    team.sql("bob", "UPDATE word SET note = 'by bob' WHERE w = 'a'; UPDATE word SET note = 'bob too' WHERE w = 'b';");
    team.sync("ada");
    team.sync("bob");
    let found = team.conflicts("bob", true);
    assert_eq!(found.len(), 2);
    team.open("bob").resolve("bob", &[(found[0].id, Answering { choice: mainstem::core::change::Choice::Ours, value: None })]).unwrap();
    team.settle(&["bob", "ada"]);
    let (before, rows) = (team.conflicts("ada", false), crate::team::rows(&team.path("ada")));
    team.restore(&copy);
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    let told =
        |all: Vec<mainstem::core::conflict::Conflict>| all.into_iter().map(|c| (c.id, c.ours, c.theirs, c.answer)).collect::<Vec<_>>();
    assert_eq!(told(team.conflicts("bob", false)), told(before));
    assert_eq!(crate::team::rows(&team.path("bob")), rows);
}

#[test]
fn a_renumbered_row_keeps_its_number_and_its_children() {
    let team = Team::new(&["ada", "bob"]);
    let copy = team.copy_primary("copy");
    team.edit("ada", "INSERT INTO list VALUES (3, 'of ada');");
    // Bob's list is renumbered when it is accepted; his second changeset still speaks of the old number.
    team.sql("bob", "INSERT INTO list VALUES (3, 'of bob');");
    team.commit("bob", "a list");
    let mut bob = team.open("bob");
    mainstem::sync::push(&mut bob, &mut *team.primary(), "bob", &mut quiet).unwrap();
    drop(bob);
    team.sql("bob", "INSERT INTO task(id, list, what) VALUES (10, 3, 'child of bobs list');");
    team.commit("bob", "a child");
    team.sync("ada");
    team.restore(&copy);
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    let sql = "SELECT name FROM list JOIN task ON task.list = list.id WHERE task.id = 10";
    assert_eq!(team.value("ada", sql), "of bob");
}

#[test]
fn schema_changes_come_back() {
    let team = Team::new(&["ada", "bob"]);
    let copy = team.copy_primary("copy");
    team.edit("ada", "ALTER TABLE word ADD COLUMN lang TEXT; UPDATE word SET lang = 'en' WHERE w = 'a';");
    team.edit(
        "bob",
        "CREATE TABLE tag(t TEXT PRIMARY KEY, n INT); INSERT INTO tag VALUES ('x', 1); UPDATE word SET lang = 'de' WHERE w = 'b';",
    );
    team.edit("ada", "UPDATE tag SET n = 2;");
    team.restore(&copy);
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(crate::team::one(&team.primary_db(), "SELECT n FROM tag"), "2");
    assert_eq!(crate::team::one(&team.primary_db(), "SELECT group_concat(lang) FROM word"), "en,de");
}

#[test]
fn a_clone_younger_than_the_copy_brings_back_what_it_holds() {
    let team = Team::new(&["ada"]);
    let copy = team.copy_primary("copy");
    team.edit("ada", "INSERT INTO task(id, list, what) VALUES (4, 1, 'lost'); DELETE FROM word WHERE w = 'a';");
    team.edit("ada", "UPDATE task SET what = 'lost too' WHERE id = 1;");
    team.join("late");
    team.join("later");
    team.edit("late", "UPDATE task SET done = 1 WHERE id = 4;");
    let rows = crate::team::rows(&team.path("late"));
    team.restore(&copy);
    // Ada's file is gone for good; the two that are left hold the same, and only as rows.
    team.settle(&["late", "later"]);
    team.assert_one(&["late", "later"]);
    assert_eq!(crate::team::rows(&team.primary_db()), rows);
    let versions = history(&team);
    assert_eq!(versions.iter().map(|v| v.header.actor.as_str()).collect::<Vec<_>>(), ["ada", "ada", "late"]);
    // Should Ada's file be found after all, it has nothing that is not there.
    team.settle(&["ada", "late", "later"]);
    team.assert_one(&["ada", "late", "later"]);
    assert_eq!(crate::team::rows(&team.primary_db()), rows);
    assert_eq!(team.conflicts("ada", false), []);
}

#[test]
fn a_clone_that_nobody_can_place_is_refused_clearly() {
    let team = Team::new(&["ada"]);
    let copy = team.copy_primary("copy");
    team.edit("ada", "UPDATE task SET what = 'lost' WHERE id = 1;");
    team.join("late");
    // As of a clone made long after the copy.
    team.sql("late", "DELETE FROM mainstem_meta WHERE name = 'recent';");
    team.put_back(&copy);
    let refused = team.try_sync("late").unwrap_err();
    assert_eq!(refused.code, "other_epoch");
    assert!(refused.message.contains("no version that this replica remembers"), "{refused:?}");
    assert!(refused.hint.is_some());
    // Somebody who can: then the epoch says what is in common.
    team.sync("ada");
    team.settle(&["ada", "late"]);
    team.assert_one(&["ada", "late"]);
}

#[test]
fn a_second_restore_before_the_first_is_mended() {
    let team = Team::new(&["ada", "bob"]);
    let first = team.copy_primary("first");
    team.edit("ada", "UPDATE task SET what = 'one' WHERE id = 1;");
    team.edit("bob", "UPDATE task SET what = 'two' WHERE id = 1;");
    let second = team.copy_primary("second");
    team.edit("ada", "UPDATE task SET what = 'three' WHERE id = 1; INSERT INTO word VALUES ('d', 4, 'lost');");
    team.sync("bob");
    team.restore(&second);
    team.sync("ada");
    team.edit("ada", "UPDATE word SET note = 'after the first' WHERE w = 'd';");
    team.restore(&first);
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team.value("bob", "SELECT what FROM task WHERE id = 1"), "three");
    assert_eq!(team.value("bob", "SELECT note FROM word WHERE w = 'd'"), "after the first");
    assert_eq!(team.conflicts("bob", false), []);
}

#[test]
fn a_primary_that_was_left_is_not_followed_back() {
    let team = Team::new(&["ada", "bob"]);
    let copy = team.copy_primary("copy");
    team.edit("ada", "UPDATE task SET what = 'one' WHERE id = 1;");
    let abandoned = team.copy_primary("abandoned");
    team.restore(&copy);
    team.settle(&["ada", "bob"]);
    team.put_back(&abandoned);
    team.sql("ada", "UPDATE task SET what = 'unsent' WHERE id = 1;");
    let refused = team.try_sync("ada").unwrap_err();
    assert_eq!(refused.code, "other_epoch");
    assert!(refused.message.contains("replaced"), "{}", refused.message);
    assert_eq!(team.open("ada").unsent().unwrap().len(), 1, "unsent work is kept");
}

#[test]
fn another_dataset_at_the_address_is_refused_and_nothing_moves() {
    let (team, other) = (Team::new(&["ada"]), Team::new(&["zoe", "yan"]));
    other.edit("zoe", "UPDATE task SET what = 'another dataset' WHERE id = 1;");
    team.sql("ada", "UPDATE task SET what = 'mine' WHERE id = 1;");
    let (head, rows) = (other.describe().head, crate::team::rows(&team.path("ada")));
    let mut ada = team.open("ada");
    let refused = mainstem::sync::sync(&mut ada, &mut *other.primary(), "ada", &mut quiet).unwrap_err();
    assert_eq!(refused.code, "other_lineage");
    let refused = mainstem::sync::reseed(&mut ada, &mut *other.primary(), "ada", &mut quiet).unwrap_err();
    assert_eq!(refused.code, "other_lineage");
    assert_eq!((other.describe().head, crate::team::rows(&team.path("ada"))), (head, rows));
    team.settle(&["ada"]);
    team.assert_one(&["ada"]);
}

#[test]
fn a_replica_put_back_to_an_older_copy_goes_on_as_another() {
    let team = Team::new(&["ada", "bob"]);
    team.edit("ada", "UPDATE task SET what = 'early' WHERE id = 1;");
    let copy = team.folder().join("copy.db");
    rusqlite::Connection::open(team.path("ada")).unwrap().execute("VACUUM INTO ?1", [copy.to_string_lossy()]).unwrap();
    for n in 0..5 {
        team.edit("ada", &format!("INSERT INTO word VALUES ('late {n}', {}, NULL);", 100 + n));
    }
    std::fs::rename(&copy, team.path("ada")).unwrap();
    let before = team.open("bob").standing().unwrap().replica;
    team.edit("ada", "INSERT INTO word VALUES ('after', 200, NULL);");
    team.settle(&["bob", "ada"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team.value("bob", "SELECT count(*) FROM word"), "9");
    assert_ne!(team.open("ada").standing().unwrap().replica, before);
}

#[test]
fn a_primary_that_forgot_everything_but_its_birth_gets_it_all_back() {
    let team = Team::new(&["ada", "bob"]);
    let copy = team.copy_primary("copy");
    for n in 0..40 {
        let name = ["ada", "bob"][n % 2];
        team.edit(name, &format!("UPDATE task SET what = '{name} {n}' WHERE id = 1; INSERT INTO list(name) VALUES ('{n}');"));
    }
    team.sync("ada");
    let rows = crate::team::rows(&team.path("ada"));
    team.put_back(&copy);
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(crate::team::rows(&team.primary_db()), rows);
    let _: &SqliteReplica = &team.open("ada");
}

#[test]
fn a_replica_ahead_of_a_restored_primary_is_not_called_damaged() {
    for put_back in WAYS {
        let team = Team::new(&["ada"]);
        let copy = team.copy_primary("copy");
        team.edit("ada", "UPDATE task SET what = 'later' WHERE id = 1;");
        put_back(&team, &copy);
        let error = team.open("ada").verify(Some(&mut *team.primary()), &mut quiet).unwrap_err();
        assert_eq!(error.code, "other_epoch", "{error}");
        team.sync("ada");
        assert!(team.open("ada").verify(Some(&mut *team.primary()), &mut quiet).unwrap().differences.is_empty());
    }
}
