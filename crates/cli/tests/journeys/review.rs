//! Proposals: a part of what was edited waits for others, who see it, vote and merge it; copies come together all the same.
use crate::crash::{kill_and_go_on, kill_at, whole};
use crate::desk::{Desk, Dice, volume};
use crate::people::{Person, Serving, token_in};
use crate::team::{Member, PRIMARY, PRIMARY_DB, assert_together, found_from_sql, until_quiet};
use serde_json::{Value as Json, json};

const KITCHEN: &str = "
    CREATE TABLE recipe(id INTEGER PRIMARY KEY, title TEXT NOT NULL, minutes INT);
    CREATE TABLE ingredient(id INTEGER PRIMARY KEY, recipe INT REFERENCES recipe(id), name TEXT);
    CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT);
    INSERT INTO recipe VALUES(1, 'Soup', 30), (2, 'Bread', 90);
    INSERT INTO ingredient VALUES(1, 1, 'salt');
    INSERT INTO note VALUES(1, 'hello');
";

/// A kitchen of three whose recipes are reviewed.
fn kitchen(desk: &Desk) -> Vec<Member<'_>> {
    let members = found_from_sql(desk, KITCHEN, &["eve", "ann", "bo"]);
    members[0].ok(&["policy", "set", "recipe.mode", "review"]);
    members
}

fn numbers(json: &Json, field: &str) -> i64 {
    json[field].as_i64().unwrap_or_else(|| panic!("{field} in {json}"))
}

/// Two others approve what they were shown, and one merges.
fn approve_and_merge(members: &[Member<'_>], id: &str) {
    for member in &members[1..] {
        member.ok(&["review", id]);
        member.ok(&["vote", id, "approve", "-m", "good"]);
    }
    members[1].ok(&["merge", id]);
}

#[test]
fn a_push_splits_and_what_is_reviewed_becomes_one_version() {
    let desk = Desk::new();
    let members = kitchen(&desk);
    let [eve, ann, bo] = &members[..] else { panic!("three") };
    eve.sql("UPDATE recipe SET minutes = 35 WHERE id = 1; INSERT INTO recipe VALUES(3, 'Cake', 60)");
    eve.sql("INSERT INTO ingredient VALUES(2, 3, 'sugar'), (3, 1, 'pepper'); UPDATE note SET body = 'hi'");
    let said = eve.json(&["sync"]);
    assert_eq!(numbers(&said, "pushed_changes"), 2, "the pepper and the note");
    assert_eq!(said["waiting_for_review"].to_string(), r#"[{"table":"ingredient","changes":1},{"table":"recipe","changes":2}]"#);
    let proposed = eve.json(&["propose", "-m", "Cake"]);
    assert_eq!([numbers(&proposed, "proposal"), numbers(&proposed, "revision"), numbers(&proposed, "changes")], [1, 1, 3]);
    assert_eq!(eve.status()["kept_for_review"][0]["state"], "open");
    assert_eq!(eve.json(&["sync"])["waiting_for_review"].to_string(), "[]");

    until_quiet(&[ann, bo]);
    assert_eq!(ann.sql("SELECT count(*) FROM recipe; SELECT body FROM note"), "2\nhi\n");
    ann.run(&["merge", "1"]).refuses(3, "2 more approvals are needed");
    let shown = ann.ok(&["review", "1"]);
    assert!(shown.contains("minutes: 30 → 35") && shown.contains("+ ingredient 2"), "{shown}");
    ann.ok(&["comment", "1", "--row", "recipe:1", "--cell", "minutes", "-m", "Why longer?"]);
    eve.ok(&["comment", "1", "--reply", "1", "-m", "It was raw."]);
    let shown = ann.ok(&["review", "1", "--summary"]);
    assert!(shown.contains("#1 ann on recipe 1 minutes") && shown.contains("    #2 eve"), "{shown}");
    eve.ok(&["vote", "1", "approve"]);
    approve_and_merge(&members, "1");
    let again = bo.json(&["merge", "1"]);
    assert_eq!((again["status"].as_str(), again["repeated"].as_bool()), (Some("merged"), Some(true)));

    assert_eq!(eve.json(&["sync"])["merged_proposals"].to_string(), "[1]");
    assert_eq!(eve.status()["kept_for_review"].to_string(), "[]");
    until_quiet(&[eve, ann, bo]);
    assert_together(&[eve, ann, bo]);
    assert_eq!(bo.sql("SELECT minutes FROM recipe; SELECT name FROM ingredient"), "35\n90\n60\nsalt\nsugar\npepper\n");
}

#[test]
fn what_is_edited_again_is_the_next_revision_and_votes_are_stale() {
    let desk = Desk::new();
    let members = kitchen(&desk);
    let [eve, ann, bo] = &members[..] else { panic!("three") };
    eve.sql("INSERT INTO recipe VALUES(3, 'Cake', 60)");
    eve.ok(&["propose", "-m", "Cake"]);
    ann.ok(&["review", "1"]);
    ann.ok(&["vote", "1", "approve"]);
    eve.sql("UPDATE recipe SET minutes = 50 WHERE id = 3; INSERT INTO ingredient VALUES(9, 3, 'flour')");
    let said = eve.ok(&["sync"]);
    assert!(said.contains("1 change in ingredient waits for review: mainstem --db eve.db propose"), "{said}");
    bo.ok(&["review", "1"]);
    let revised = eve.json(&["propose"]);
    assert_eq!([numbers(&revised, "proposal"), numbers(&revised, "revision"), numbers(&revised, "changes")], [1, 2, 2]);
    assert_eq!(eve.json(&["review", "1"])["title"], "Cake");
    bo.run(&["vote", "1", "approve"]).refuses(5, "would do something else by now");
    let judged = ann.json(&["review", "1"]);
    assert_eq!((&judged["votes"][0]["why_not"], &judged["is_found"]), (&"stale".into(), &true.into()));
    let counted = json!({ "table": "ingredient", "rows_added": 1, "rows_updated": 0, "rows_deleted": 0, "cells_changed": 0 });
    assert!(judged["revisions"][1]["counts"].as_array().unwrap().contains(&counted), "{judged}");
    let shown = ann.ok(&["review", "1", "--summary"]);
    assert!(shown.contains("since your vote on revision 1: 1 row in it by now, 1 row otherwise by now"), "{shown}");
    assert!(!bo.ok(&["review", "1", "--summary"]).contains("since your vote"), "bo has not voted");
    approve_and_merge(&members, "1");
    until_quiet(&[eve, ann, bo]);
    assert_together(&[eve, ann, bo]);
    assert_eq!(ann.sql("SELECT minutes FROM recipe WHERE id = 3; SELECT count(*) FROM ingredient"), "50\n2\n");
}

#[test]
fn others_work_comes_beneath_what_is_proposed() {
    let desk = Desk::new();
    let members = kitchen(&desk);
    let [eve, ann, bo] = &members[..] else { panic!("three") };
    eve.sql("INSERT INTO recipe VALUES(3, 'Cake', 60); INSERT INTO ingredient VALUES(2, 3, 'sugar')");
    eve.ok(&["propose", "-m", "Cake"]);
    // Another gets the numbers by review first, and a child of a new row never goes to another's.
    ann.sql("INSERT INTO recipe VALUES(3, 'Pie', 40); INSERT INTO ingredient VALUES(2, 3, 'apple'), (3, 1, 'leek')");
    ann.ok(&["propose", "-m", "Pie"]);
    for member in [eve, bo] {
        member.ok(&["vote", "2", "approve"]);
    }
    bo.ok(&["merge", "2"]);
    until_quiet(&[eve, ann, bo]);
    assert_eq!(
        eve.sql("SELECT i.name, r.title FROM ingredient i JOIN recipe r ON r.id = i.recipe ORDER BY 1"),
        "apple|Pie\nleek|Soup\nsalt|Soup\nsugar|Cake\n"
    );
    eve.sql("UPDATE recipe SET minutes = 55 WHERE title = 'Cake'; INSERT INTO ingredient(recipe, name) SELECT id, 'egg' FROM recipe WHERE title = 'Cake'");
    eve.ok(&["propose"]);
    approve_and_merge(&members, "1");
    until_quiet(&[eve, ann, bo]);
    assert_together(&[eve, ann, bo]);
    let all = bo.sql("SELECT i.name, r.title, r.minutes FROM ingredient i JOIN recipe r ON r.id = i.recipe ORDER BY 1");
    assert_eq!(all, "apple|Pie|40\negg|Cake|55\nleek|Soup|30\nsalt|Soup|30\nsugar|Cake|55\n");
}

#[test]
fn rejected_changes_stay_until_they_are_taken_back() {
    let desk = Desk::new();
    let members = kitchen(&desk);
    let [eve, ann, bo] = &members[..] else { panic!("three") };
    eve.sql("UPDATE recipe SET title = 'Broth' WHERE id = 1; UPDATE note SET body = 'mine'");
    eve.ok(&["propose", "-m", "A better name"]);
    eve.sql("UPDATE recipe SET minutes = 20 WHERE id = 1");
    ann.ok(&["reject", "1", "-m", "It is soup"]);
    let said = eve.ok(&["sync"]);
    assert!(said.contains("waits for review"), "{said}");
    assert_eq!(eve.sql("SELECT title, minutes FROM recipe WHERE id = 1"), "Broth|20\n");
    desk.run(&["deinit", "eve.db"]).refuses(5, "changes the primary does not have");
    assert!(eve.run(&["bundle", "create", "work.bundle"]).err.contains("2 changes are kept for review and not in the bundle"));
    let status = eve.ok(&["status"]);
    assert!(status.contains("rejected") && status.contains("withdraw 1 --undo"), "{status}");
    eve.ok(&["withdraw", "1", "--undo"]);
    assert_eq!(eve.sql("SELECT title, minutes FROM recipe WHERE id = 1; SELECT body FROM note"), "Soup|30\nmine\n");
    assert_eq!(eve.status()["kept_for_review"].to_string(), "[]");
    until_quiet(&[eve, ann, bo]);
    assert_together(&[eve, ann, bo]);
    // Nothing vanished: it is put aside.
    eve.ok(&["stash", "pop", "2"]);
    eve.ok(&["stash", "pop"]);
    assert_eq!(eve.sql("SELECT title, minutes FROM recipe WHERE id = 1"), "Broth|20\n");
}

#[test]
fn a_policy_that_changed_is_heard_of_by_the_push_that_it_refuses() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, KITCHEN, &["eve", "ann", "bo"]);
    let [eve, ann, bo] = &members[..] else { panic!("three") };
    eve.sql("UPDATE recipe SET minutes = 31 WHERE id = 1");
    eve.ok(&["push"]);
    bo.ok(&["policy", "set", "recipe.mode", "review"]);
    eve.sql("UPDATE recipe SET minutes = 32 WHERE id = 1; UPDATE note SET body = 'direct'");
    let said = eve.ok(&["push"]);
    assert!(said.contains("1 change in recipe waits for review"), "{said}");
    until_quiet(&[ann, bo]);
    assert_eq!(bo.sql("SELECT minutes FROM recipe WHERE id = 1; SELECT body FROM note"), "31\ndirect\n");
    eve.ok(&["propose", "-m", "Two minutes"]);
    approve_and_merge(&members, "1");
    until_quiet(&[eve, ann, bo]);
    assert_together(&[eve, ann, bo]);
}

#[test]
fn what_the_primary_lost_is_offered_to_it_again() {
    let desk = Desk::new();
    let members = kitchen(&desk);
    let [eve, ann, bo] = &members[..] else { panic!("three") };
    eve.sql("UPDATE note SET body = 'before'");
    until_quiet(&[eve, ann, bo]);
    desk.copy(desk.path(PRIMARY).join("primary.db"), "older.db");
    eve.sql("UPDATE recipe SET minutes = 32 WHERE id = 1; UPDATE note SET body = 'after'");
    eve.ok(&["propose", "-m", "Two minutes"]);
    for side in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(desk.path(&format!("{PRIMARY}/primary.db{side}")));
    }
    desk.copy(desk.path("older.db"), &format!("{PRIMARY}/primary.db"));
    let said = eve.json(&["sync"]);
    assert_eq!((said["restored"].as_bool(), numbers(&said, "proposed_again")), (Some(true), 1), "{said}");
    approve_and_merge(&members, "1");
    until_quiet(&[eve, ann, bo]);
    assert_together(&[eve, ann, bo]);
    assert_eq!(bo.sql("SELECT minutes FROM recipe WHERE id = 1; SELECT body FROM note"), "32\nafter\n");
}

#[test]
fn a_copy_of_a_copy_with_a_proposal_hears_of_it_too() {
    let desk = Desk::new();
    let members = kitchen(&desk);
    let [eve, ann, bo] = &members[..] else { panic!("three") };
    eve.sql("UPDATE recipe SET minutes = 32 WHERE id = 1");
    eve.ok(&["propose", "-m", "Two minutes"]);
    desk.copy(desk.path("eve.db"), "eve2.db");
    let other = Member::new(&desk, "eve", "eve2.db");
    other.sql("UPDATE recipe SET title = 'Thick soup' WHERE id = 1; UPDATE note SET body = 'other'");
    until_quiet(&[&other, eve]);
    let revised = other.json(&["propose"]);
    assert_eq!([numbers(&revised, "proposal"), numbers(&revised, "revision")], [1, 2]);
    eve.sync();
    approve_and_merge(&members, "1");
    until_quiet(&[eve, ann, bo, &other]);
    assert_eq!(eve.status()["kept_for_review"].to_string(), "[]");
    assert_together(&[eve, ann, bo, &other]);
    assert_eq!(eve.sql("SELECT title, minutes FROM recipe WHERE id = 1"), "Thick soup|32\n");
}

#[test]
fn a_reviewed_table_is_altered_by_review() {
    let desk = Desk::new();
    let members = kitchen(&desk);
    let [eve, ann, bo] = &members[..] else { panic!("three") };
    eve.sql("UPDATE recipe SET minutes = 31 WHERE id = 1");
    eve.ok(&["commit", "-m", "One more minute"]);
    eve.sql("ALTER TABLE recipe ADD COLUMN serves INT DEFAULT 4; UPDATE recipe SET serves = 2 WHERE id = 1; UPDATE note SET body = 'n'");
    eve.sync();
    assert_eq!(bo.sql("SELECT count(*) FROM pragma_table_info('recipe')"), "3\n");
    eve.ok(&["propose", "-m", "How many it serves"]);
    bo.run(&["merge", "1", "--no-schema"]).refuses(5, "changes the tables themselves");
    approve_and_merge(&members, "1");
    until_quiet(&[eve, ann, bo]);
    assert_together(&[eve, ann, bo]);
    assert_eq!(bo.sql("SELECT minutes, serves FROM recipe ORDER BY id"), "31|2\n90|4\n");
}

#[test]
fn everything_may_be_proposed_where_nothing_must() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, KITCHEN, &["eve", "ann", "bo"]);
    let [eve, ann, bo] = &members[..] else { panic!("three") };
    eve.run(&["propose", "-m", "Nothing"]).refuses(2, "nothing waits for review");
    eve.sql("UPDATE note SET body = 'a'; INSERT INTO recipe VALUES(3, 'Cake', 60)");
    eve.run(&["propose"]).refuses(2, "a proposal needs a title");
    eve.ok(&["propose", "-m", "All of it"]);
    // Rows that are proposed wait; others do not.
    eve.sql("UPDATE note SET body = 'b'; INSERT INTO recipe VALUES(9, 'Pie', 10)");
    let said = eve.json(&["sync"]);
    assert_eq!(
        (numbers(&said, "pushed_changes"), said["waiting_for_review"].to_string().as_str()),
        (1, r#"[{"table":"note","changes":1}]"#)
    );
    eve.run(&["propose", "--new", "-m", "Another"]).refuses(5, "rows of proposal 1 were edited again");
    eve.ok(&["propose"]);
    approve_and_merge(&members, "1");
    until_quiet(&[eve, ann, bo]);
    assert_together(&[eve, ann, bo]);
    assert_eq!(bo.sql("SELECT body FROM note; SELECT id FROM recipe ORDER BY id"), "b\n1\n2\n3\n9\n");
}

#[test]
fn who_approved_is_told_wherever_a_version_is() {
    let desk = Desk::new();
    let members = kitchen(&desk);
    let [eve, ann, bo] = &members[..] else { panic!("three") };
    eve.ok(&["policy", "set", "gates.quick", r#"{ rule = "range", table = "recipe", column = "minutes", max = 100 }"#]);
    eve.sql("UPDATE recipe SET minutes = 135 WHERE id = 1; UPDATE recipe SET title = 'Rye' WHERE id = 2");
    eve.ok(&["propose", "-m", "Slower"]);
    let said = ann.run(&["gates", "1"]);
    assert!(said.code == 1 && said.out.contains("gate quick: 1 row is not as they must be (blocks)"), "{said:?}");
    eve.sql("UPDATE recipe SET minutes = 95 WHERE id = 1");
    eve.ok(&["propose"]);
    assert!(ann.ok(&["gates", "1"]).contains("gate quick: holds"));
    approve_and_merge(&members, "1");
    until_quiet(&[eve, ann, bo]);
    let told = "proposal 1, approved by ann, bo, merged by ann";
    assert!(bo.ok(&["blame", "recipe", "1"]).contains(told));
    assert!(bo.ok(&["show", "2"]).contains(told));
    assert!(bo.ok(&["log"]).contains("proposal 1"));
    assert_eq!(bo.json(&["blame", "recipe", "1"])["cells"][2]["review"]["approved_by"].to_string(), r#"["ann","bo"]"#);
    let exported = bo.ok(&["audit", "export"]);
    let version = exported.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()).find(|event| event["review"]["proposal"] == 1);
    assert_eq!(version.unwrap()["review"]["merged_by"], "ann");
    assert_eq!(eve.ok(&["staging", "list"]), "nothing is staged\n");
}

#[test]
fn a_part_is_accepted_and_the_rest_is_another_proposal() {
    let desk = Desk::new();
    let members = kitchen(&desk);
    let [eve, ann, bo] = &members[..] else { panic!("three") };
    eve.sql("UPDATE recipe SET minutes = 35, title = 'Broth' WHERE id = 1; UPDATE recipe SET title = 'Rye' WHERE id = 2; INSERT INTO recipe VALUES(3, 'Cake', 60)");
    eve.ok(&["propose", "-m", "Much"]);
    let accepted = ann.json(&["accept", "1", "--only", "recipe:1:minutes", "--only", "recipe:2"]);
    assert_eq!(numbers(&accepted, "rest"), 2);
    approve_and_merge(&members, "1");
    let said = eve.json(&["sync"]);
    assert_eq!(said["waiting_for_review"].to_string(), "[]", "it is proposal 2 already");
    assert_eq!(eve.status()["kept_for_review"][0]["proposal"], 2);
    assert_eq!(eve.sql("SELECT title FROM recipe"), "Broth\nRye\nCake\n");
    until_quiet(&[ann, bo]);
    assert_eq!(bo.sql("SELECT title, minutes FROM recipe"), "Soup|35\nRye|90\n");
    approve_and_merge(&members, "2");
    until_quiet(&[eve, ann, bo]);
    assert_together(&[eve, ann, bo]);
    assert_eq!(eve.status()["kept_for_review"].to_string(), "[]");
}

#[test]
fn conflicts_of_a_proposal_are_answered_in_it() {
    let desk = Desk::new();
    let members = kitchen(&desk);
    let [eve, ann, bo] = &members[..] else { panic!("three") };
    eve.ok(&["policy", "set", "recipe.strategy", "manual"]);
    eve.sql("UPDATE recipe SET minutes = 35 WHERE id = 1");
    eve.ok(&["propose", "-m", "35"]);
    bo.sql("UPDATE recipe SET minutes = 40 WHERE id = 1");
    bo.ok(&["propose", "-m", "40"]);
    for member in [eve, ann] {
        member.ok(&["vote", "2", "approve"]);
    }
    ann.ok(&["merge", "2"]);
    let shown = ann.ok(&["review", "1"]);
    assert!(shown.contains("has-conflicts") && shown.contains("answer 1 CONFLICT"), "{shown}");
    bo.run(&["merge", "1", "--force"]).refuses(5, "would leave 1 conflicts open");
    ann.ok(&["answer", "1", "--ours"]);
    // The author's copy goes on with what was made of it.
    eve.sync();
    bo.ok(&["review", "1"]);
    bo.ok(&["merge", "1", "--force"]);
    until_quiet(&[eve, ann, bo]);
    assert_together(&[eve, ann, bo]);
    assert_eq!(eve.sql("SELECT minutes FROM recipe WHERE id = 1"), "35\n");
    assert_eq!(eve.status()["kept_for_review"].to_string(), "[]");
}

#[test]
fn what_is_killed_on_the_way_is_one_proposal_in_the_end() {
    let desk = Desk::new();
    let members = kitchen(&desk);
    let [eve, ann, bo] = &members[..] else { panic!("three") };
    let mut dice = Dice::new(23);
    let mut most = 200;
    for round in 0..volume("MAINSTEM_KILLS", 40) / 4 {
        eve.sql(&format!(
            "UPDATE recipe SET minutes = {} WHERE id = 1; UPDATE note SET body = 'r{round}'; INSERT INTO recipe(title) VALUES('n{round}')",
            100 + round
        ));
        match round {
            0 => most = whole(&mut eve.program(&["propose", "-m", "n"])),
            _ => kill_and_go_on(&desk, &mut dice, &mut most, &eve.db, &|| eve.program(&["sync"])),
        }
        if round > 0 {
            kill_propose(&desk, &mut dice, most, eve);
        }
        assert_eq!(desk.sql(PRIMARY_DB, "PRAGMA integrity_check;").trim(), "ok");
    }
    let said = eve.run(&["propose", "-m", "whole"]);
    assert!(said.code == 0 || said.err.contains("nothing waits"), "{said:?}");
    approve_and_merge(&members, "1");
    until_quiet(&[eve, ann, bo]);
    assert_together(&[eve, ann, bo]);
    assert_eq!(eve.status()["kept_for_review"].to_string(), "[]");
    assert_eq!(bo.json(&["proposals", "--state", "all"]).as_array().unwrap().len(), 1);
    assert_eq!(bo.sql("SELECT count(*), count(DISTINCT title) FROM recipe WHERE title LIKE 'n%'"), {
        let rounds = volume("MAINSTEM_KILLS", 40) / 4;
        format!("{rounds}|{rounds}\n")
    });
}

/// Kills a propose at a random moment. The next one goes on.
fn kill_propose(desk: &Desk, dice: &mut Dice, most: u64, member: &Member<'_>) {
    kill_at(&mut member.program(&["propose", "-m", "n"]), dice.below(most + most / 8));
    assert_eq!(desk.sql(&member.db, "PRAGMA integrity_check;").trim(), "ok");
    let said = member.run(&["propose", "-m", "n"]);
    assert!(said.code == 0 || said.err.contains("nothing waits"), "{said:?}");
}

/// N8, N6: a merge that is killed at a random moment is there whole or not at all, and the next one says which version it is.
#[test]
fn a_merge_that_is_killed_is_whole_or_not_at_all() {
    let desk = Desk::new();
    let members = kitchen(&desk);
    let [eve, ann, bo] = &members[..] else { panic!("three") };
    let mut dice = Dice::new(13);
    let mut most = 0;
    let rounds = volume("MAINSTEM_KILLS", 40) / 4;
    for round in 0..rounds {
        let from = 100 + 200 * round;
        eve.sql(&format!(
            "WITH RECURSIVE n(i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i < {from} + 199) \
             INSERT INTO recipe SELECT i, 'n{round}', {round} FROM n; UPDATE recipe SET minutes = {from} WHERE id = 1"
        ));
        let id = numbers(&eve.json(&["propose", "--new", "-m", "n"]), "proposal").to_string();
        for member in [ann, bo] {
            member.ok(&["review", &id, "--summary"]);
            member.ok(&["vote", &id, "approve"]);
        }
        let count = || desk.sql(PRIMARY_DB, &format!("SELECT count(*) FROM recipe WHERE title = 'n{round}';")).trim().to_owned();
        match round {
            0 => most = whole(&mut ann.program(&["merge", &id])),
            _ => {
                kill_at(&mut ann.program(&["merge", &id]), dice.below(most + most / 8));
            }
        }
        assert_eq!(desk.sql(PRIMARY_DB, "PRAGMA integrity_check;").trim(), "ok");
        let is_there = count() == "200";
        assert!(is_there || count() == "0", "between: {}", count());
        let said = bo.json(&["merge", &id]);
        assert_eq!((said["status"].as_str(), said["repeated"].as_bool()), (Some("merged"), Some(is_there)), "round {round}");
        assert_eq!(count(), "200");
        eve.ok(&["sync"]);
    }
    bo.ok(&["audit", "verify"]);
    until_quiet(&[eve, ann, bo]);
    assert_together(&[eve, ann, bo]);
    let merged = desk.sql(PRIMARY_DB, "SELECT count(*), count(DISTINCT title) FROM recipe WHERE title LIKE 'n%';");
    assert_eq!(merged.trim(), format!("{}|{rounds}", 200 * rounds));
}

#[test]
fn it_goes_the_same_through_a_server() {
    let desk = Desk::new();
    let server = Serving::begin(&desk, &[]);
    let [ann, ben, cy] = ["ann", "ben", "cy"].map(|name| Person { desk: &desk, name });
    desk.sql("ann.db", KITCHEN);
    assert_eq!(ann.login(&server, server.setup.as_deref().unwrap()).code, 0);
    ann.ok(&["init", "ann.db"]);
    ann.ok(&["publish", &server.dataset(), "--db", "ann.db", "--dataset", "recipes"]);
    ann.ok(&["policy", "set", "recipe.mode", "review", "--db", "ann.db"]);
    for (person, role) in [(&ben, "contributor"), (&cy, "reviewer")] {
        let token = token_in(&ann.json(&["access", "invite", &server.dataset(), person.name, "--role", role]));
        assert_eq!(person.login(&server, &token).code, 0);
        person.ok(&["clone", &server.dataset(), &format!("{}.db", person.name)]);
    }
    desk.sql("ben.db", "UPDATE recipe SET minutes = 35 WHERE id = 1; UPDATE note SET body = 'hi'");
    let said = ben.ok(&["propose", "-m", "Longer", "--db", "ben.db"]);
    assert!(said.contains("offered proposal 1: 1 row"), "{said}");
    for person in [&ann, &cy] {
        let db = format!("{}.db", person.name);
        assert!(person.ok(&["review", "1", "--db", &db]).contains("minutes: 30 → 35"));
        person.ok(&["comment", "1", "-m", "fine", "--db", &db]);
        person.ok(&["vote", "1", "approve", "--db", &db]);
    }
    // Whatever somebody calls themselves, a vote is their token's.
    ben.run(&["vote", "1", "approve", "--db", "ben.db", "--as", "zoe"]);
    let judged = cy.json(&["review", "1", "--db", "cy.db"]);
    assert!(judged["votes"].as_array().unwrap().iter().all(|vote| vote["actor"] != "zoe"), "{judged}");
    cy.ok(&["merge", "1", "--db", "cy.db"]);
    for person in [&ben, &ann, &cy] {
        person.ok(&["sync", "--db", &format!("{}.db", person.name)]);
    }
    assert_eq!(desk.rows("ann.db"), desk.rows("ben.db"));
    assert_eq!(desk.rows("cy.db"), desk.rows("ben.db"));
    assert_eq!(ben.json(&["status", "--db", "ben.db"])["kept_for_review"].to_string(), "[]");
    assert!(ben.ok(&["blame", "recipe", "1", "--db", "ben.db"]).contains("approved by ann, cy, merged by cy"));
}
