//! Rows that come into a scope and leave it, by their cells, by what is asked for, and by what is permitted (I7).
use crate::office::{Office, scope};
use mainstem::core::change::Choice;
use mainstem::replica::{Answering, Replica};
use mainstem::sync;
use mainstem::tombstones::Wanted;

fn tombstones(office: &Office) -> usize {
    let mut count = 0;
    office
        .whole()
        .tombstones(&Wanted::default(), &mut |_| {
            count += 1;
            Ok(())
        })
        .unwrap();
    count
}

#[test]
fn i7_granted_revoked_and_granted_again() {
    let mut office = Office::new();
    let names = ["ada", "cem"];
    office.permit("cem", "note: owner = 'cem'");
    office.join("cem", "*");
    office.assert_seen(&names);
    // Granted while online: rows older than the cursor come, and a table with them.
    office.permit("cem", "note\ntask: owner = 'cem'");
    let report = office.sync("cem");
    assert!(report.is_reseeded, "{report:?}");
    office.assert_seen(&names);
    assert_eq!(office.rows_of("cem")["note"].len(), 3);
    // Revoked and granted elsewhere while offline and at work.
    office.sql("cem", "UPDATE note SET body = 'by cem, of bob' WHERE k = 'a'; UPDATE note SET body = 'by cem' WHERE k = 'b';");
    office.commit("cem");
    office.sql("cem", "UPDATE note SET owner = 'cem' WHERE k = 'c'; INSERT INTO task VALUES (7, NULL, 'cem', 0, 'knit');");
    office.sql("ada", "UPDATE note SET owner = 'cem' WHERE k = 'a'; INSERT INTO project VALUES (3, 'cem', 'hat');");
    office.sync("ada");
    office.permit("cem", "note: owner = 'cem'\nproject");
    let report = office.sync("cem");
    assert_eq!(report.set_aside, 2, "of note c, which is nobody's, and of the task: {report:?}");
    office.settle(&["cem", "ada"]);
    office.assert_seen(&names);
    assert_eq!(
        office.value("ada", "SELECT group_concat(body) FROM (SELECT * FROM note WHERE owner = 'cem' ORDER BY k)"),
        "by cem, of bob,by cem"
    );
    assert_eq!(office.value("ada", "SELECT owner FROM note WHERE k = 'c'"), "", "what may not be seen was not written");
    let knit = format!("{:?}", b"knit");
    assert!(office.aside("cem").contains(knit.trim_matches(['[', ']'])), "and what was meant for it is kept");
    // Granted again: what is aside can be laid on, and sent.
    office.permit("cem", "*");
    office.sync("cem");
    let mut replica = office.open("cem");
    for front in replica.stashes().unwrap() {
        replica.unstash(&front).unwrap();
    }
    drop(replica);
    office.settle(&["cem", "ada"]);
    office.assert_seen(&names);
    assert_eq!(office.value("ada", "SELECT what FROM task WHERE owner = 'cem' AND what = 'knit'"), "knit");
    assert_eq!(office.value("ada", "SELECT owner FROM note WHERE k = 'c'"), "cem");
    assert_eq!((tombstones(&office), office.conflicts()), (0, Vec::new()), "nobody deleted anything");
    assert!(office.open("cem").stashes().unwrap().is_empty());
}

#[test]
fn a_row_that_leaves_is_not_deleted_and_an_unsent_edit_of_it_is_sent() {
    let office = Office::new();
    let names = ["ada", "bob"];
    office.join("bob", "task: owner = 'bob' and done = 0\nnote: owner = 'bob'");
    office.sql("ada", "UPDATE task SET owner = 'ada', project = 2 WHERE id = 1; UPDATE task SET done = 0 WHERE id = 3;");
    office.sql("ada", "UPDATE note SET owner = 'ada' WHERE k = 'a';");
    office.sync("ada");
    office.sql("bob", "UPDATE task SET what = 'sweep twice' WHERE id = 1; UPDATE note SET body = 'by bob' WHERE k = 'a';");
    office.commit("bob");
    // It comes by a pull first, so that the edit has no row here any more.
    sync::pull(&mut office.open("bob"), &mut *office.primary_of("bob"), "bob", &mut |_, _, _| {}).unwrap();
    assert_eq!(office.value("bob", "SELECT group_concat(id) FROM task"), "3");
    assert_eq!(office.value("bob", "SELECT count(*) || '' FROM note"), "0", "nobody deleted it, so that nothing is to be brought back");
    assert_eq!(office.open("bob").standing().unwrap().unsent, 1);
    office.settle(&["bob", "ada"]);
    office.assert_seen(&names);
    assert_eq!(office.value("ada", "SELECT owner || what || project FROM task WHERE id = 1"), "adasweep twice2");
    assert_eq!(office.value("ada", "SELECT owner || body FROM note WHERE k = 'a'"), "adaby bob");
    assert_eq!((tombstones(&office), office.conflicts()), (0, Vec::new()));
    // And back.
    office.sql("ada", "UPDATE task SET owner = 'bob' WHERE id = 1;");
    office.settle(&["ada", "bob"]);
    assert_eq!(office.value("bob", "SELECT what FROM task WHERE id = 1"), "sweep twice");
}

#[test]
fn a_row_written_out_of_what_was_asked_for_goes_to_the_primary_and_leaves() {
    let office = Office::new();
    office.join("bob", "task: owner = 'bob'");
    office.sql("bob", "INSERT INTO task VALUES (50, NULL, 'cem', 0, 'for cem'); UPDATE task SET owner = 'cem' WHERE id = 1;");
    office.settle(&["bob", "ada"]);
    office.assert_seen(&["ada", "bob"]);
    assert_eq!(office.value("ada", "SELECT group_concat(what) FROM task WHERE owner = 'cem'"), "sweep,cook,for cem");
    assert_eq!(office.value("bob", "SELECT group_concat(what) FROM task"), "plant");
    // By itself, so that as many changes come back as were sent, and not the same ones.
    office.sql("bob", "UPDATE task SET owner = 'cem' WHERE id = 3;");
    office.settle(&["bob", "ada"]);
    office.assert_seen(&["ada", "bob"]);
    assert_eq!(tombstones(&office), 0);
}

#[test]
fn many_versions_in_small_pieces_come_to_the_same() {
    let office = Office::new();
    office.join("bob", "task: done = 0 and owner != 'ada'\nnote: owner = 'bob'");
    for round in 0..6 {
        office.sql(
            "ada",
            &format!("UPDATE task SET done = (id + {round}) % 2, owner = CASE WHEN (id + {round}) % 3 THEN 'bob' ELSE 'ada' END;"),
        );
        office.sql("ada", &format!("INSERT INTO task(project, owner, what) SELECT 1, 'bob', 'n{round}' || value FROM (SELECT 1 AS value UNION SELECT 2); UPDATE note SET owner = 'bob' WHERE k > 'a' || {round};"));
        office.sync("ada");
    }
    let (mut replica, mut primary) = (office.open("bob"), office.primary_of("bob"));
    loop {
        let (known, cursor) = (replica.standing().unwrap().known.unwrap(), replica.cursor().unwrap());
        let pull = primary.pull(&known, cursor, 1).unwrap();
        replica.receive(&pull).unwrap();
        if pull.is_last {
            break;
        }
    }
    drop(replica);
    office.settle(&["bob"]);
    office.assert_seen(&["ada", "bob"]);
}

#[test]
fn a_schema_that_changes_is_followed_and_a_filter_whose_column_goes_is_an_error() {
    let office = Office::new();
    let names = ["ada", "bob"];
    office.join("bob", "task: owner = 'bob'");
    office.sql("bob", "UPDATE task SET what = 'unsent' WHERE id = 1;");
    office.sql("ada", "ALTER TABLE task RENAME COLUMN owner TO who; ALTER TABLE task ADD COLUMN hours INTEGER DEFAULT 1; ALTER TABLE safe RENAME TO vault;");
    office.sync("ada");
    office.settle(&["bob", "ada", "bob"]);
    assert_eq!(office.value("bob", "SELECT group_concat(id || who || what || hours, '; ') FROM task"), "1bobunsent1; 3bobplant1");
    assert_eq!(office.value("ada", "SELECT what FROM task WHERE id = 1"), "unsent");
    office.sql("bob", "UPDATE task SET hours = 2 WHERE id = 3;");
    office.settle(&["bob", "ada", "bob"]);
    assert_eq!(office.value("ada", "SELECT hours || '' FROM task WHERE id = 3"), "2");
    office.sql("ada", "DROP INDEX task_owner; ALTER TABLE task DROP COLUMN who;");
    office.sync("ada");
    let refused = office.try_sync("bob").unwrap_err();
    assert_eq!(refused.code, "scope_column", "{refused:?}");
    assert_eq!(office.value("bob", "SELECT count(*) || '' FROM task"), "2", "nothing came and nothing went");
    office.ask("bob", "task: project = 2");
    office.settle(&["bob", "ada", "bob"]);
    assert_eq!(office.value("bob", "SELECT group_concat(id) FROM task"), "3,4");
    office.ask("bob", "*");
    office.settle(&names);
    assert_eq!(office.rows_of("bob"), office.rows_of("ada"));
}

#[test]
fn a_table_made_in_a_part_is_sent_once_it_is_asked_for() {
    let office = Office::new();
    office.join("bob", "note");
    office.sql("bob", "CREATE TABLE idea(id INTEGER PRIMARY KEY, x TEXT); INSERT INTO idea VALUES (1, 'new');");
    let refused = office.try_sync("bob").unwrap_err();
    assert_eq!((refused.code, refused.message.contains("idea")), ("outside_scope", true), "{refused:?}");
    assert_eq!(office.value("bob", "SELECT x FROM idea"), "new");
    office.ask("bob", "note\nidea");
    office.settle(&["bob", "ada", "bob"]);
    assert_eq!(office.value("ada", "SELECT x FROM idea"), "new");
    assert_eq!(office.value("bob", "SELECT x FROM idea"), "new");
    // What only somebody with all of a table can decide.
    office.ask("bob", "idea: id > 5");
    office.settle(&["bob"]);
    office.sql("bob", "DROP TABLE idea;");
    assert_eq!(office.try_sync("bob").unwrap_err().code, "outside_scope");
    office.sync("ada");
    assert_eq!(office.value("ada", "SELECT x FROM idea"), "new");
}

#[test]
fn a_program_that_enforces_links_can_edit_children_of_hidden_parents() {
    let office = Office::new();
    office.join("bob", "task: owner = 'bob'");
    assert_eq!(office.value("bob", "SELECT count(*) || '' FROM project"), "0", "declared, and empty");
    office.sql("bob", "PRAGMA foreign_keys = ON; UPDATE task SET what = 'edited' WHERE id = 1; DELETE FROM task WHERE id = 3;");
    assert!(office.try_sql("bob", "INSERT INTO task VALUES (60, 1, 'bob', 0, 'x')").is_err(), "nobody points to what he cannot see");
    office.settle(&["bob", "ada"]);
    office.assert_seen(&["ada", "bob"]);
    office.ask("bob", "task: owner = 'bob'\nproject: id = 1");
    office.settle(&["bob"]);
    office.sql("bob", "PRAGMA foreign_keys = ON; INSERT INTO task VALUES (60, 1, 'bob', 0, 'x');");
    office.settle(&["bob", "ada"]);
    office.assert_seen(&["ada", "bob"]);
    assert_eq!(office.value("ada", "SELECT what FROM task WHERE id = 60"), "x");
    assert_eq!(scope("task: owner = 'bob'\nproject: id = 1"), office.open("bob").standing().unwrap().scope);
}

#[test]
fn f3_a_part_brings_back_nothing_that_a_restored_primary_lost() {
    let office = Office::new();
    office.join("bob", "note");
    let copy = office.path("copy");
    office.copy_primary(&copy);
    office.sql("bob", "UPDATE note SET body = 'accepted' WHERE k = 'a';");
    office.settle(&["bob", "ada"]);
    office.sql("bob", "UPDATE note SET body = 'unsent' WHERE k = 'b';");
    office.commit("bob");
    office.restore(&copy);
    let refused = office.try_sync("bob").unwrap_err();
    assert_eq!(refused.code, "partial", "{refused:?}");
    assert_eq!(office.value("bob", "SELECT group_concat(body) FROM (SELECT * FROM note ORDER BY k)"), "accepted,unsent,third");
    office.sync("ada");
    sync::reseed(&mut office.open("bob"), &mut *office.primary_of("bob"), "bob", &mut |_, _, _| {}).unwrap();
    office.settle(&["bob", "ada", "bob"]);
    office.assert_seen(&["ada", "bob"]);
    assert_eq!(office.value("ada", "SELECT group_concat(body) FROM (SELECT * FROM note ORDER BY k)"), "accepted,unsent,third");
}

/// An answer to a conflict that may not be seen any more is left out, and blocks nothing else (I-75).
#[test]
fn an_answer_to_what_is_hidden_by_now_blocks_nothing() {
    let mut office = Office::new();
    office.whole().set_policy(&mainstem::policy_text::set("", "strategy", "manual").unwrap(), "ada").unwrap();
    office.join("cem", "*");
    office.sql("ada", "UPDATE note SET body = 'of ada' WHERE k = 'b'");
    office.sync("ada");
    office.sql("cem", "UPDATE note SET body = 'of cem' WHERE k = 'b'");
    office.sync("cem");
    let open: Vec<u64> = office.conflicts().iter().filter(|conflict| conflict.is_open()).map(|conflict| conflict.id).collect();
    assert_eq!(open.len(), 1, "{:?}", office.conflicts());
    let answer = (open[0], Answering { choice: Choice::Ours, value: None });
    office.open("cem").resolve("cem", &[answer]).unwrap();
    office.sql("cem", "UPDATE task SET what = 'cook twice' WHERE id = 2");
    office.commit("cem");
    office.permit("cem", "task\nproject");
    office.settle(&["cem", "ada"]);
    office.assert_seen(&["cem", "ada"]);
    assert_eq!(office.value("ada", "SELECT what FROM task WHERE id = 2"), "cook twice");
    assert!(office.conflicts()[0].is_open(), "whoever may see it answers it");
    office.permit("cem", "*");
    office.settle(&["cem", "ada"]);
    assert_eq!(office.open("cem").conflicts(true).unwrap(), office.conflicts(), "also cem, once it is seen again");
}

/// Of two answers the first holds, also on a copy of a part whose own came second.
#[test]
fn an_answer_that_came_second_leaves_the_first() {
    let mut office = Office::new();
    office.whole().set_policy(&mainstem::policy_text::set("", "strategy", "manual").unwrap(), "ada").unwrap();
    office.permit("cem", "note\ntask\nproject");
    office.join("cem", "*");
    office.sql("ada", "UPDATE note SET body = 'of ada' WHERE k = 'b'");
    office.sync("ada");
    office.sql("cem", "UPDATE note SET body = 'of cem' WHERE k = 'b'");
    office.sync("cem");
    office.sync("ada");
    let open = office.conflicts()[0].id;
    for (name, choice) in [("ada", Choice::Base), ("cem", Choice::Ours)] {
        office.open(name).resolve(name, &[(open, Answering { choice, value: None })]).unwrap();
    }
    office.sync("ada");
    office.settle(&["cem", "ada"]);
    assert_eq!(office.conflicts()[0].answer.as_ref().unwrap().actor.as_deref(), Some("ada"));
    assert_eq!(office.open("cem").conflicts(false).unwrap(), office.conflicts());
}
