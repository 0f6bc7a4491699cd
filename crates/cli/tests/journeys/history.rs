//! What was, who wrote it, and taking it back, as a person sees it.
use crate::desk::Desk;
use crate::team::*;
use serde_json::Value as Json;

const START: &str = "
    CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL, town TEXT, visits INTEGER DEFAULT 0);
    CREATE TABLE visit (id INTEGER PRIMARY KEY, person INTEGER NOT NULL REFERENCES person(id) ON DELETE CASCADE, day TEXT);
    INSERT INTO person VALUES (1, 'Ann', 'Ulm', 1), (2, 'Ben', 'Bonn', 2), (3, 'Cat', 'Kiel', 3);
    INSERT INTO visit VALUES (1, 1, 'monday'), (2, 2, 'tuesday');
";

/// Commits under a title and sends it.
fn send(member: &Member<'_>, title: &str, sql: &str) {
    member.sql(sql);
    member.ok(&["commit", "-m", title]);
    member.sync();
}

fn cell(blame: &Json, column: &str) -> Json {
    let cells = blame["cells"].as_array().expect("cells");
    cells.iter().find(|cell| cell["column"] == column).cloned().unwrap_or_else(|| panic!("{column} in {blame}"))
}

/// The columns of a table as a version's tables tell them.
fn columns(shown: &Json, table: &str) -> String {
    let tables = shown["tables"].as_array().expect("tables");
    let found = tables.iter().find(|of| of["table"] == table).unwrap_or_else(|| panic!("{table} in {shown}"));
    let column = |column: &Json| {
        let key = column["key"].as_u64().map_or_else(String::new, |place| format!(" {place}"));
        format!("{} {}{key}", column["name"].as_str().expect("a name"), column["type"].as_str().expect("a type"))
    };
    found["columns"].as_array().expect("columns").iter().map(column).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_table_is_shown_as_it_was_through_renames_and_drops() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada"]);
    let ada = &members[0];
    send(ada, "edits", "UPDATE person SET town = 'Jena' WHERE id = 1; DELETE FROM person WHERE id = 2;");
    send(
        ada,
        "schema",
        "ALTER TABLE person RENAME COLUMN town TO place; ALTER TABLE person DROP COLUMN visits; ALTER TABLE person RENAME TO human;",
    );
    send(ada, "later", "UPDATE human SET place = 'Rom' WHERE id = 1; ALTER TABLE human ADD COLUMN mail TEXT DEFAULT '?';");
    let at = |args: &[&str]| ada.json(&[&["show", "--at"], args].concat());
    let first = at(&["1", "person"]);
    assert_eq!(first["as_recorded"], true);
    assert_eq!(first["columns"].to_string(), r#"["id","name","town","visits"]"#);
    let mut rows: Vec<String> = first["rows"].as_array().unwrap().iter().map(Json::to_string).collect();
    rows.sort();
    assert_eq!(rows[0], r#"{"id":1,"name":"Ann","town":"Ulm","visits":1}"#);
    assert_eq!(rows[1], r#"{"id":2,"name":"Ben","town":"Bonn","visits":2}"#);
    assert_eq!(rows.len(), 3);
    // The name of today finds the table of then.
    assert_eq!(at(&["1", "human"])["table"], "person");
    assert_eq!(at(&["2", "person"])["rows"].as_array().unwrap().len(), 2);
    assert_eq!(at(&["3", "human", "1"])["row"].to_string(), r#"{"id":1,"name":"Ann","place":"Jena"}"#);
    assert!(at(&["2", "person", "2"])["row"].is_null());
    assert_eq!(at(&["1"])["tables"].as_array().unwrap().len(), 2);
    assert_eq!(columns(&at(&["1"]), "person"), "id INTEGER 1, name TEXT, town TEXT, visits INTEGER");
    assert_eq!(at(&["2"])["schema_history"].to_string(), "[]");
    assert_eq!(columns(&at(&["4"]), "human"), "id INTEGER 1, name TEXT, place TEXT, mail TEXT");
    let history = at(&["4"])["schema_history"].clone();
    let versions: Vec<(Option<u64>, String)> =
        history.as_array().unwrap().iter().map(|of| (of["version"].as_u64(), of["steps"].to_string())).collect();
    let renamed = r#"["rename table person to human","drop column visits of human","rename column town of human to place"]"#;
    let added = r#"["add column mail TEXT DEFAULT '?' to human"]"#;
    assert_eq!(versions, [(Some(3), renamed.to_owned()), (Some(4), added.to_owned())]);
    let text = ada.ok(&["show", "--at", "1", "person"]);
    assert!(text.contains("id | name | town | visits\n") && text.contains("1 | 'Ann' | 'Ulm' | 1\n"), "{text}");
    assert!(text.contains("3 rows of person at version 1\n"), "{text}");
    ada.run(&["show", "--at", "9", "person"]).refuses(4, "version 9");
    ada.run(&["show", "--at", "3", "person", "1", "x"]).refuses(2, "unexpected");
    ada.run(&["show", "--at", "1", "nobody"]).refuses(4, "nobody");
    ada.run(&["show", "nine"]).refuses(2, "version");
}

#[test]
fn what_another_program_dropped_in_the_primary_is_said_not_to_be_known() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada"]);
    desk.sql(PRIMARY_DB, "ALTER TABLE person DROP COLUMN town;");
    members[0].sync();
    let said = members[0].run(&["show", "--at", "1", "person"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("not exactly those that the version recorded"), "{said:?}");
}

#[test]
fn each_cell_tells_who_wrote_it_and_by_which_rule() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let (ada, bob) = (&members[0], &members[1]);
    ada.ok(&["policy", "set", "person.visits.strategy", "counter"]);
    ada.ok(&["policy", "set", "person.name.strategy", "manual"]);
    bob.sync();
    ada.sql("UPDATE person SET visits = visits + 5, name = 'Anna' WHERE id = 1;");
    bob.sql("UPDATE person SET visits = visits + 2, name = 'Annie' WHERE id = 1;");
    ada.ok(&["commit", "-m", "five more"]);
    bob.ok(&["commit", "-m", "two more"]);
    ada.sync();
    bob.sync();
    let blame = bob.json(&["blame", "person", "1"]);
    let visits = cell(&blame, "visits");
    assert_eq!(
        (visits["value"].as_i64(), visits["rule"].as_str(), visits["strategy"].as_str()),
        (Some(8), Some("merged"), Some("counter"))
    );
    assert_eq!((visits["actor"].as_str(), visits["title"].as_str()), (Some("bob"), Some("two more")));
    assert_eq!(visits["contributors"][0]["actor"], "ada");
    assert_eq!(visits["contributors"][0]["value"], 6);
    assert_eq!(cell(&blame, "town")["rule"], "published");
    assert_eq!(cell(&blame, "name")["actor"], "ada", "the earlier side holds");
    // The answer to a conflict says which.
    let conflict = bob.conflicts().into_iter().next().expect("a conflict");
    let id = conflict["id"].as_str().unwrap().to_string();
    bob.ok(&["resolve", &id, "--ours"]);
    bob.sync();
    let name = cell(&bob.json(&["blame", "person", "1", "name"]), "name");
    assert_eq!((name["rule"].as_str(), name["resolved"]["conflict"].as_str()), (Some("resolved"), Some(id.as_str())));
    assert_eq!(name["resolved"]["choice"], "ours");
    // What is only here is said to be.
    bob.sql("UPDATE person SET town = 'Rom' WHERE id = 1; INSERT INTO person(id, name) VALUES (9, 'Zoe');");
    let text = bob.ok(&["blame", "person", "1"]);
    assert!(text.contains("town: 'Rom'  not committed yet\n    before: 'Ulm'  version 1"), "{text}");
    assert!(bob.ok(&["blame", "person", "9"]).contains("name: 'Zoe'  not committed yet"));
    bob.ok(&["commit", "-m", "rom"]);
    assert!(bob.ok(&["blame", "person", "1", "town"]).contains(", not sent"));
    bob.run(&["blame", "person", "77"]).refuses(4, "never there");
    bob.run(&["blame", "person", "1", "nothing"]).refuses(4, "no column");
    // Straight in the primary.
    desk.sql(PRIMARY_DB, "UPDATE person SET town = 'direct' WHERE id = 3;");
    bob.sync();
    assert_eq!(cell(&bob.json(&["blame", "person", "3"]), "town")["rule"], "direct");
}

#[test]
fn a_row_is_followed_through_renumbering_moves_deletion_and_return() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let (ada, bob) = (&members[0], &members[1]);
    ada.sql("INSERT INTO person(id, name) VALUES (4, 'of ada');");
    bob.sql("INSERT INTO person(id, name) VALUES (4, 'of bob');");
    until_quiet(&[ada, bob]);
    let blame = ada.json(&["blame", "person", "5"]);
    assert_eq!(blame["renumbered_from"]["from"], 4, "{blame}");
    let first = ada.json(&["blame", "person", "4"]);
    assert_eq!((first["renumbered_away"][0]["to"].as_i64(), first["renumbered_away"][0]["actor"].as_str()), (Some(5), Some("bob")));
    // A move takes the history along, and blames only what it changed.
    send(ada, "moved", "UPDATE person SET id = 50 WHERE id = 3;");
    let moved = ada.json(&["blame", "person", "50"]);
    assert_eq!(moved["moved"][0]["from"], "3");
    assert_eq!((cell(&moved, "name")["rule"].as_str(), cell(&moved, "id")["title"].as_str()), (Some("published"), Some("moved")));
    assert_eq!(ada.json(&["blame", "person", "3"])["gone"]["moved_to"], "50");
    // Deleted, and made again: both lives are told.
    send(ada, "away", "DELETE FROM person WHERE id = 2;");
    assert!(ada.ok(&["blame", "person", "2"]).contains("deleted in version"));
    send(ada, "again", "INSERT INTO person(id, name) VALUES (2, 'Second');");
    send(ada, "schema", "ALTER TABLE person RENAME COLUMN name TO called;");
    send(ada, "renamed", "UPDATE person SET called = 'Twice' WHERE id = 2;");
    assert_eq!(cell(&ada.json(&["blame", "person", "2"]), "called")["title"], "renamed");
    let history = ada.json(&["blame", "person", "2", "--history"]);
    let kinds: Vec<&str> = history.as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["published", "delete", "insert", "update"]);
    assert_eq!(history[3]["cells"][0]["before"], "Second");
    let text = ada.ok(&["blame", "person", "50", "--history"]);
    assert!(text.contains("there when it was published") && text.contains("move from 3 to"), "{text}");
}

#[test]
fn a_revert_puts_back_what_nobody_changed_since() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let (ada, bob) = (&members[0], &members[1]);
    send(
        ada,
        "the mistake",
        "UPDATE person SET town = 'wrong', name = 'WRONG' WHERE id IN (1, 2); DELETE FROM person WHERE id = 3; INSERT INTO person(id, name) VALUES (4, 'Bad'), (5, 'Worse');",
    );
    let version = ada.json(&["log"])[0]["version"].to_string();
    bob.sync();
    send(
        bob,
        "later edits",
        "UPDATE person SET name = 'Benjamin' WHERE id = 2; INSERT INTO visit(id, person, day) VALUES (9, 4, 'friday');",
    );
    ada.sync();
    let before = ada.sql("SELECT * FROM person;");
    let told = ada.json(&["revert", &version, "--dry-run"]);
    assert_eq!(told["conflicts"].as_array().unwrap().len(), 2, "{told}");
    assert!(told["changes"].as_array().unwrap().len() >= 4, "{told}");
    assert_eq!(ada.sql("SELECT * FROM person;"), before, "a dry run changes nothing");
    assert!(ada.ok(&["revert", &version, "--dry-run"]).contains("would take back version"));
    let done = ada.json(&["revert", &version]);
    assert_eq!(done["changeset"]["title"], format!("Revert version {version}: the mistake"));
    let rows = "SELECT id, name, town FROM person ORDER BY id;";
    let expected = "1|Ann|Ulm\n2|Benjamin|Bonn\n3|Cat|Kiel\n4|Bad|\n";
    assert_eq!(ada.sql(rows), expected, "cells nobody changed are back, {done}");
    let kinds: Vec<String> = ada.conflicts().iter().map(|c| c["kind"].as_str().unwrap().to_string()).collect();
    assert!(kinds.contains(&"update_update".into()) && kinds.len() == 2, "{kinds:?}");
    let theirs: Vec<String> = ada.conflicts().iter().map(|c| c["theirs_by"]["actor"].as_str().unwrap().to_string()).collect();
    assert_eq!(theirs, ["bob", "bob"], "who changed it since is named");
    until_quiet(&[ada, bob]);
    assert_eq!(bob.sql(rows), expected);
    desk.assert_sound(&ada.db);
    // An answer takes the old value after all, and reaches the others.
    let conflict = ada.conflicts().into_iter().find(|c| c["kind"] == "update_update").unwrap();
    ada.ok(&["resolve", conflict["id"].as_str().unwrap(), "--ours"]);
    until_quiet(&[ada, bob]);
    assert_eq!(bob.sql("SELECT name FROM person WHERE id = 2;"), "Ben\n");
    // A revert can be taken back as well.
    let reverted = bob
        .json(&["log"])
        .as_array()
        .unwrap()
        .iter()
        .find(|v| v["title"].as_str().is_some_and(|t| t.starts_with("Revert")))
        .unwrap()["version"]
        .to_string();
    bob.ok(&["revert", &reverted]);
    assert_eq!(bob.sql("SELECT id, town FROM person ORDER BY id;"), "1|wrong\n2|wrong\n4|\n5|\n");
    bob.run(&["revert", "1"]).refuses(2, "published");
    bob.run(&["revert", "99"]).refuses(4, "99");
}

#[test]
fn a_revert_says_what_it_leaves_and_keeps_local_work() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada"]);
    let ada = &members[0];
    send(
        ada,
        "shape",
        "ALTER TABLE person DROP COLUMN town; ALTER TABLE person ADD COLUMN mail TEXT; UPDATE person SET mail = 'm' WHERE id = 1;",
    );
    ada.sql("UPDATE person SET name = 'local' WHERE id = 3;");
    let version = ada.json(&["log"])[0]["version"].to_string();
    let done = ada.json(&["revert", &version]);
    let left: Vec<String> = done["left"].as_array().unwrap().iter().map(|l| l["what"].as_str().unwrap().to_string()).collect();
    assert!(left.iter().any(|what| what.contains("drop column town")), "{left:?}");
    assert!(left.iter().any(|what| what == "column town of person"), "{left:?}");
    assert!(done["committed_first"]["id"].is_string(), "{done}");
    assert_eq!(ada.sql("SELECT mail FROM person WHERE id = 1;"), "\n");
    assert_eq!(ada.sql("SELECT name FROM person WHERE id = 3;"), "local\n");
    // With the column there again, its values come back.
    ada.sql("ALTER TABLE person ADD COLUMN town TEXT;");
    ada.ok(&["revert", &version]);
    assert_eq!(ada.sql("SELECT town FROM person ORDER BY id;"), "Ulm\nBonn\nKiel\n");
    until_quiet(&[ada]);
    desk.assert_sound(&ada.db);
}

#[test]
fn deleted_rows_come_back_with_the_rows_they_belong_to() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let (ada, bob) = (&members[0], &members[1]);
    send(ada, "visit away", "DELETE FROM visit WHERE id = 2;");
    let version = ada.json(&["log"])[0]["version"].to_string();
    bob.sync();
    send(bob, "person away", "PRAGMA foreign_keys = ON; DELETE FROM person WHERE id = 2;");
    ada.sync();
    let done = ada.json(&["revert", &version]);
    desk.assert_sound(&ada.db);
    assert_eq!(ada.sql("SELECT count(*) FROM visit WHERE id = 2; SELECT count(*) FROM person WHERE id = 2;"), "1\n1\n", "{done}");
    let conflicts = ada.conflicts();
    assert!(conflicts.iter().any(|c| c["kind"] == "missing_parent"), "{conflicts:?}");
    // A local child that nobody else knows holds a row that the revert would take away.
    send(ada, "new person", "INSERT INTO person(id, name) VALUES (8, 'Eve');");
    let version = ada.json(&["log"])[0]["version"].to_string();
    ada.sql("INSERT INTO visit(id, person, day) VALUES (80, 8, 'sunday');");
    ada.ok(&["revert", &version]);
    assert_eq!(ada.sql("SELECT name FROM person WHERE id = 8;"), "Eve\n");
    desk.assert_sound(&ada.db);
}
