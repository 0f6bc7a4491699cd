//! Copies that hold a part: some tables, and rows that fulfil a filter (SYN-10).
use crate::desk::Desk;
use crate::team::*;

const START: &str = "
    CREATE TABLE project (id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE task (id INTEGER PRIMARY KEY, project INTEGER REFERENCES project(id), owner TEXT, done INTEGER DEFAULT 0, what TEXT);
    CREATE TABLE salary (id INTEGER PRIMARY KEY, amount REAL);
    CREATE INDEX task_owner ON task(owner);
    CREATE VIEW paid AS SELECT sum(amount) FROM salary;
    INSERT INTO project VALUES (1, 'house'), (2, 'garden');
    INSERT INTO task VALUES (1, 1, 'ada', 0, 'sweep'), (2, 1, 'bob', 0, 'cook'), (3, 2, 'bob', 1, 'plant');
    INSERT INTO salary VALUES (1, 10.5);";

/// A whole copy of ada's and a part of bob's.
fn two<'a>(desk: &'a Desk, only: &[&str]) -> [Member<'a>; 2] {
    let whole = found_from_sql(desk, START, &["ada"]).remove(0);
    let only: Vec<&str> = only.iter().flat_map(|part| ["--only", part]).collect();
    desk.ok(&[&["--as", "bob", "clone", PRIMARY, "bob.db"], only.as_slice()].concat());
    [whole, Member::new(desk, "bob", "bob.db")]
}

#[test]
fn some_tables_only() {
    let desk = Desk::new();
    let [ada, bob] = two(&desk, &["project", "task"]);
    assert_same(&desk.rows("bob.db"), &desk.rows_without("ada.db", &["salary"]), "all but the salaries");
    let objects = bob.sql("SELECT group_concat(name) FROM sqlite_master WHERE type IN ('view', 'index') AND name NOT LIKE 'mainstem%' AND name NOT LIKE 'sqlite%';");
    assert_eq!(objects.trim(), "task_owner", "what speaks of a hidden table stays away");
    ada.sql("UPDATE salary SET amount = 11; UPDATE task SET what = 'sweep all' WHERE id = 1; INSERT INTO project VALUES (3, 'boat');");
    bob.sql("UPDATE task SET what = 'cook soup' WHERE id = 2; DELETE FROM task WHERE id = 3; INSERT INTO project VALUES (3, 'shed');");
    until_quiet(&[&ada, &bob]);
    assert_same(&desk.rows("bob.db"), &desk.rows_without("ada.db", &["salary"]), "all but the salaries");
    assert_same(&desk.rows("ada.db"), &desk.rows(PRIMARY_DB), "the whole copy and the primary");
    for member in [&ada, &bob] {
        assert_eq!(member.json(&["verify"])["ok"], true);
        desk.assert_sound(&member.db);
    }
    assert_eq!(bob.ok(&["scope"]), "project\ntask\n");
    // A whole history is there to be checked, also from a part.
    bob.ok(&["audit", "verify"]);
}

#[test]
fn rows_move_in_and_out() {
    let desk = Desk::new();
    let [ada, bob] = two(&desk, &["task: owner = 'bob' and done = 0"]);
    let held = || bob.sql("SELECT group_concat(id || what, ' ') FROM (SELECT * FROM task ORDER BY id);").trim().to_string();
    assert_eq!(held(), "2cook");
    ada.sql("UPDATE task SET owner = 'bob' WHERE id = 1; UPDATE task SET done = 1 WHERE id = 2; UPDATE salary SET amount = 12;");
    ada.sync();
    bob.sql("UPDATE task SET what = 'cook well' WHERE id = 2;");
    until_quiet(&[&bob, &ada]);
    assert_eq!(held(), "1sweep");
    assert_eq!(ada.sql("SELECT what, done FROM task WHERE id = 2;").trim(), "cook well|1", "the edit of a row that left was sent");
    assert_eq!((ada.conflicts().len(), bob.conflicts().len()), (0, 0));
    assert_eq!(ada.json(&["tombstones", "list"]).as_array().map(Vec::len), Some(0), "nobody deleted anything");
    // Done here, it leaves here; a new one may take a number that a hidden row has.
    bob.sql("UPDATE task SET done = 1 WHERE id = 1; INSERT INTO task(owner, what) VALUES ('bob', 'rest');");
    until_quiet(&[&bob, &ada]);
    assert_eq!(held(), "4rest");
    assert_eq!(ada.sql("SELECT group_concat(what) FROM (SELECT * FROM task ORDER BY id);").trim(), "sweep,cook well,plant,rest");
    assert_eq!(bob.json(&["verify"])["ok"], true);
}

#[test]
fn another_part_is_asked_for() {
    let desk = Desk::new();
    let [ada, bob] = two(&desk, &["task: owner = 'bob'"]);
    bob.sql("UPDATE task SET what = 'cook well' WHERE id = 2;");
    let said = bob.ok(&["scope", "set", "project", "task: owner = 'ada' or done = 1"]);
    assert!(said.contains("began again from the primary's rows"), "{said}");
    assert_eq!(bob.sql("SELECT group_concat(id) FROM task; SELECT count(*) FROM project;").trim(), "1,3\n2");
    let shown = bob.json(&["scope"]);
    assert_eq!(shown["tables"][1]["filter"], "owner = 'ada' or done = 1", "{shown}");
    until_quiet(&[&ada, &bob]);
    assert_eq!(ada.sql("SELECT what FROM task WHERE id = 2;").trim(), "cook well", "what was unsent was sent first");
    // A filter over a column that goes is an error, and another one mends it.
    bob.sql("UPDATE task SET what = 'sweep up' WHERE id = 1;");
    ada.sql("DROP INDEX task_owner; ALTER TABLE task DROP COLUMN owner;");
    ada.sync();
    bob.run(&["sync"]).refuses(2, "column owner");
    bob.ok(&["scope", "set", "task: done = 0"]);
    assert_eq!(bob.sql("SELECT group_concat(what) FROM (SELECT * FROM task ORDER BY id);").trim(), "sweep up,cook well");
    bob.ok(&["scope", "set", "--all"]);
    until_quiet(&[&ada, &bob]);
    assert_together(&[&ada, &bob]);
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    let desk = Desk::new();
    let [ada, bob] = two(&desk, &["task"]);
    let clone = |part: &str| desk.run(&["clone", PRIMARY, "new.db", "--only", part]);
    clone("nosuch").refuses(4, "no table nosuch");
    clone("task: nosuch = 1").refuses(2, "column nosuch");
    for wrong in ["task: owner =", "task owner", "task: owner = 'bob"] {
        let said = clone(wrong);
        assert!(said.code == 2 && said.err.contains("--only"), "{said:?}");
    }
    assert!(!desk.path("new.db").exists());
    bob.run(&["scope", "set", "nosuch"]).refuses(4, "no table nosuch");
    // A table that is made here belongs to no part yet.
    bob.sql("CREATE TABLE idea (id INTEGER PRIMARY KEY, x TEXT); INSERT INTO idea VALUES (1, 'new');");
    bob.run(&["sync"]).refuses(3, "idea");
    bob.ok(&["scope", "set", "task", "idea"]);
    until_quiet(&[&ada, &bob]);
    assert_eq!(ada.sql("SELECT x FROM idea;").trim(), "new");
    assert_eq!(bob.json(&["verify"])["ok"], true);
    // A bundle of a part would be no history.
    ada.sql("UPDATE task SET what = 'changed' WHERE id = 1;");
    ada.sync();
    ada.ok(&["bundle", "create", "all.bundle", "--since", "1"]);
    bob.run(&["bundle", "apply", "all.bundle"]).refuses(5, "another part");
}
