//! Known ways in which systems like this one lose data when copies come together (HAZARDS 2.C, 2.E and 2.G).
use crate::desk::Desk;
use crate::team::*;

/// Founds a dataset for two, lets both edit, syncs in both orders; returns what a query says in each.
fn in_both_orders(start: &str, ada: &str, bob: &str, query: &str) -> [(String, Vec<String>); 2] {
    [[0, 1], [1, 0]].map(|order| {
        let desk = Desk::new();
        let members = found_from_sql(&desk, start, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        pair[0].sql(ada);
        pair[1].sql(bob);
        until_quiet(&[pair[order[0]], pair[order[1]]]);
        assert_together(&pair);
        (pair[0].sql(query), comparable_conflicts(pair[1]))
    })
}

#[test]
fn unique_values_swap_and_rotate() {
    let start = "CREATE TABLE t (id INTEGER PRIMARY KEY, pos INTEGER UNIQUE, v TEXT);
                 CREATE UNIQUE INDEX partial ON t (v) WHERE v <> '';
                 INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c'), (4, 40, '');";
    let ada = "BEGIN; UPDATE t SET pos = -pos WHERE id < 4; UPDATE t SET pos = 20 WHERE id = 1; UPDATE t SET pos = 30 WHERE id = 2;
               UPDATE t SET pos = 10 WHERE id = 3; UPDATE t SET v = 'x' || v WHERE id < 3; UPDATE t SET v = 'b' WHERE id = 1;
               UPDATE t SET v = 'a' WHERE id = 2; COMMIT;";
    let bob = "UPDATE t SET v = 'd' WHERE id = 4; INSERT INTO t VALUES (5, 50, '');";
    let [one, other] = in_both_orders(start, ada, bob, "SELECT * FROM t ORDER BY id;");
    assert_eq!(one, other);
    assert_eq!(one.0, "1|20|b\n2|30|a\n3|10|c\n4|40|d\n5|50|\n");
    assert!(one.1.is_empty(), "{:?}", one.1);
}

#[test]
fn keys_swap_with_their_children() {
    let start = "CREATE TABLE parent (id TEXT PRIMARY KEY, name TEXT);
                 CREATE TABLE child (id INTEGER PRIMARY KEY, parent TEXT REFERENCES parent ON UPDATE CASCADE, v TEXT);
                 INSERT INTO parent VALUES ('p', 'first'), ('q', 'second'), ('r', 'third');
                 INSERT INTO child VALUES (1, 'p', 'of first'), (2, 'q', 'of second');";
    let ada = "PRAGMA foreign_keys = ON; UPDATE parent SET id = 'tmp' WHERE id = 'p'; UPDATE parent SET id = 'p' WHERE id = 'q';
               UPDATE parent SET id = 'q' WHERE id = 'tmp';";
    let bob = "UPDATE child SET v = 'edited by Bob' WHERE id = 1; INSERT INTO child VALUES (3, 'r', 'of third');";
    let query = "SELECT c.id, c.v, p.id, p.name FROM child c JOIN parent p ON p.id = c.parent ORDER BY 1;";
    let [one, other] = in_both_orders(start, ada, bob, query);
    assert_eq!(one, other);
    assert_eq!(one.0, "1|edited by Bob|q|first\n2|of second|p|second\n3|of third|r|third\n");
}

#[test]
fn a_cascade_does_not_take_a_child_that_was_just_added() {
    let start = "CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT);
                 CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent ON DELETE CASCADE, v TEXT);
                 INSERT INTO parent VALUES (1, 'goes'), (2, 'stays'); INSERT INTO child VALUES (1, 1, 'old child'), (2, 2, 'other');";
    let ada = "PRAGMA foreign_keys = ON; DELETE FROM parent WHERE id = 1;";
    for order in [[0, 1], [1, 0]] {
        let desk = Desk::new();
        let members = found_from_sql(&desk, start, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        pair[0].sql(ada);
        pair[1].sql("INSERT INTO child VALUES (3, 1, 'new child');");
        until_quiet(&[pair[order[0]], pair[order[1]]]);
        assert_together(&pair);
        assert_nothing_lost(&pair, &["new child"]);
        let kinds: Vec<String> = pair[0].conflicts().iter().map(|c| c["kind"].to_string()).collect();
        assert!(kinds.iter().any(|k| k == "\"missing_parent\""), "{kinds:?}");
    }
}

#[test]
fn a_combination_that_a_check_refuses_is_a_conflict() {
    let start = "CREATE TABLE span (id INTEGER PRIMARY KEY, lo INTEGER, hi INTEGER, note TEXT, CHECK (lo <= hi));
                 INSERT INTO span VALUES (1, 10, 20, 'n'), (2, 1, 2, 'm');";
    for order in [[0, 1], [1, 0]] {
        let desk = Desk::new();
        let members = found_from_sql(&desk, start, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        pair[0].sql("UPDATE span SET lo = 18 WHERE id = 1; UPDATE span SET note = 'by Ada' WHERE id = 2;");
        pair[1].sql("UPDATE span SET hi = 12 WHERE id = 1; UPDATE span SET hi = 5 WHERE id = 2;");
        until_quiet(&[pair[order[0]], pair[order[1]]]);
        assert_together(&pair);
        assert_nothing_lost(&pair, &["18", "12"]);
        assert_eq!(pair[0].sql("SELECT hi, note FROM span WHERE id = 2;"), "5|by Ada\n", "the rest arrived");
        let kinds: Vec<String> = pair[0].conflicts().iter().map(|c| c["kind"].to_string()).collect();
        assert_eq!(kinds, ["\"constraint\""]);
    }
}

#[test]
fn triggers_of_the_app_do_not_fire_again() {
    let start = "CREATE TABLE entry (id TEXT PRIMARY KEY, account TEXT, cents INTEGER);
                 CREATE TABLE account (id TEXT PRIMARY KEY, cents INTEGER); INSERT INTO account VALUES ('x', 100), ('y', 0);
                 CREATE TRIGGER add_up AFTER INSERT ON entry BEGIN UPDATE account SET cents = cents + NEW.cents WHERE id = NEW.account; END;
                 CREATE TRIGGER never AFTER UPDATE OF cents ON entry WHEN NEW.cents > 1000000 BEGIN SELECT RAISE(ABORT, 'too much'); END;";
    let query = "SELECT * FROM account ORDER BY id;";
    let [one, other] = in_both_orders(start, "INSERT INTO entry VALUES ('a', 'x', 10);", "INSERT INTO entry VALUES ('b', 'y', 5);", query);
    assert_eq!(one, other);
    assert_eq!(one.0, "x|110\ny|5\n");
}

#[test]
fn many_references_follow_a_renumbered_row() {
    let start = "CREATE TABLE node (id INTEGER PRIMARY KEY, name TEXT, up INTEGER REFERENCES node);
                 CREATE TABLE edge (a INTEGER REFERENCES node, b INTEGER REFERENCES node, w TEXT, PRIMARY KEY (a, b));
                 CREATE TABLE stop (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, v TEXT, FOREIGN KEY (a, b) REFERENCES edge (a, b));
                 INSERT INTO node VALUES (1, 'root', NULL);";
    let edits = |who: &str| {
        format!(
            "INSERT INTO node VALUES (2, 'n2 {who}', 3), (3, 'n3 {who}', 2), (4, 'n4 {who}', 4);
             INSERT INTO edge VALUES (1, 2, 'e12 {who}'), (2, 3, 'e23 {who}'), (3, 2, 'e32 {who}');
             INSERT INTO stop VALUES (1, 2, 3, 's23 {who}'), (2, 1, 2, 's12 {who}');"
        )
    };
    let query = "SELECT n.name, u.name FROM node n LEFT JOIN node u ON u.id = n.up ORDER BY 1;
                 SELECT w, a.name, b.name FROM edge JOIN node a ON a.id = edge.a JOIN node b ON b.id = edge.b ORDER BY 1;
                 SELECT v, w FROM stop JOIN edge USING (a, b) ORDER BY 1;";
    let [one, other] = in_both_orders(start, &edits("ada"), &edits("bob"), query);
    assert_eq!(one, other);
    for who in ["ada", "bob"] {
        for line in [
            format!("n2 {who}|n3 {who}\n"),
            format!("n3 {who}|n2 {who}\n"),
            format!("n4 {who}|n4 {who}\n"),
            format!("e12 {who}|root|n2 {who}\n"),
            format!("e32 {who}|n3 {who}|n2 {who}\n"),
            format!("s23 {who}|e23 {who}\n"),
            format!("s12 {who}|e12 {who}\n"),
        ] {
            assert!(one.0.contains(&line), "{line:?} in {}", one.0);
        }
    }
    assert!(one.1.is_empty(), "{:?}", one.1);
}

#[test]
fn a_number_that_is_a_link_follows_its_parent() {
    // As ORMs do it for inheritance: the extending table's key is a link to the extended row.
    let start = "CREATE TABLE place (id INTEGER PRIMARY KEY, name TEXT);
                 CREATE TABLE hotel (place INTEGER PRIMARY KEY REFERENCES place, stars INTEGER);
                 CREATE TABLE room (id INTEGER PRIMARY KEY, hotel INTEGER REFERENCES hotel, label TEXT);
                 INSERT INTO place VALUES (1, 'town'), (2, 'old hotel'), (3, 'park'); INSERT INTO hotel VALUES (2, 3);";
    let edits = |who: &str, stars: u8| {
        format!(
            "INSERT INTO place VALUES (4, 'just a place of {who}'), (5, 'hotel of {who}'); INSERT INTO hotel VALUES (5, {stars});
             INSERT INTO room VALUES (1, 5, 'room of {who}'), (2, 2, 'new room in the old hotel by {who}');"
        )
    };
    let query = "SELECT label, stars, name FROM room JOIN hotel ON place = hotel JOIN place ON place.id = place ORDER BY 1;
                 SELECT count(*) FROM place; SELECT count(*) FROM hotel;";
    let [one, other] = in_both_orders(start, &edits("ada", 4), &edits("bob", 5), query);
    assert_eq!(one, other);
    let expected = "new room in the old hotel by ada|3|old hotel\nnew room in the old hotel by bob|3|old hotel\n\
                    room of ada|4|hotel of ada\nroom of bob|5|hotel of bob\n7\n3\n";
    assert_eq!(one.0, expected);
    assert!(one.1.is_empty(), "{:?}", one.1);
}

#[test]
fn renumbered_rows_follow_on_the_copy_that_made_them_while_work_goes_on() {
    let desk = Desk::new();
    let start = "CREATE TABLE song (id INTEGER PRIMARY KEY, title TEXT);
                 CREATE TABLE line (id INTEGER PRIMARY KEY, song INTEGER REFERENCES song, words TEXT);";
    let members = found_from_sql(&desk, start, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("INSERT INTO song VALUES (1, 'by Ada'); INSERT INTO line VALUES (1, 1, 'Ada one');");
    until_quiet(&[pair[0]]);
    pair[1].sql("INSERT INTO song VALUES (1, 'by Bob'); INSERT INTO line VALUES (1, 1, 'Bob one');");
    pair[1].ok(&["commit", "-m", "a song"]);
    pair[1].sql("INSERT INTO line VALUES (2, 1, 'Bob two'); UPDATE song SET title = 'by Bob, better' WHERE id = 1;");
    pair[1].ok(&["commit", "-m", "another line"]);
    pair[1].sql("INSERT INTO line VALUES (3, 1, 'Bob three');");
    until_quiet(&[pair[1], pair[0]]);
    assert_together(&pair);
    let query = "SELECT title, group_concat(words, ', ') FROM (SELECT * FROM song JOIN line ON song.id = line.song ORDER BY words) GROUP BY 1 ORDER BY 1;";
    assert_eq!(pair[1].sql(query), "by Ada|Ada one\nby Bob, better|Bob one, Bob three, Bob two\n");
}

#[test]
fn every_order_of_three_people_gives_the_same() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let start = "CREATE TABLE t (id TEXT PRIMARY KEY, a TEXT, b TEXT, n INTEGER);
                 INSERT INTO t VALUES ('same', 'a0', 'b0', 0), ('edited', 'a0', 'b0', 0), ('gone', 'a0', 'b0', 0);";
    let edits = [
        "UPDATE t SET a = 'a by 1' WHERE id = 'same'; DELETE FROM t WHERE id = 'gone'; INSERT INTO t VALUES ('new', 'x', 'y', 1);",
        "UPDATE t SET a = 'a by 2', b = 'b by 2' WHERE id = 'same'; UPDATE t SET n = 2 WHERE id = 'gone'; INSERT INTO t VALUES ('new', 'x', 'y', 2);",
        "UPDATE t SET b = 'b by 3' WHERE id = 'same'; DELETE FROM t WHERE id = 'gone'; UPDATE t SET a = 'a by 3' WHERE id = 'edited';",
    ];
    let mut seen = Vec::new();
    for order in orders {
        let desk = Desk::new();
        let members = found_from_sql(&desk, start, &["ada", "bob", "cyd"]);
        let all = [&members[0], &members[1], &members[2]];
        for (member, edit) in all.iter().zip(edits) {
            member.sql(edit);
        }
        until_quiet(&order.map(|n| all[n]));
        assert_together(&all);
        seen.push((desk.rows("ada.db"), order));
    }
    for (rows, order) in &seen {
        assert_same(rows, &seen[0].0, &format!("the rows in order {order:?} and in order {:?}", seen[0].1));
    }
}

#[test]
fn delete_and_make_again_is_not_the_old_row() {
    for order in [[0, 1], [1, 0]] {
        let desk = Desk::new();
        let start = "CREATE TABLE t (id TEXT PRIMARY KEY, v TEXT, w TEXT); INSERT INTO t VALUES ('k', 'old', 'old w');";
        let members = found_from_sql(&desk, start, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        pair[0].sql("DELETE FROM t WHERE id = 'k';");
        until_quiet(&[pair[0]]);
        pair[0].sql("INSERT INTO t VALUES ('k', 'new row', 'new w');");
        pair[1].sql("UPDATE t SET w = 'edit of the old row' WHERE id = 'k';");
        until_quiet(&[pair[order[0]], pair[order[1]]]);
        assert_together(&pair);
        assert_nothing_lost(&pair, &["new row", "edit of the old row"]);
        let row = pair[0].sql("SELECT v, w FROM t;");
        assert_ne!(row, "new row|edit of the old row\n", "never a mixture of both rows");
    }
}

#[test]
fn chains_of_edits_over_several_copies_are_no_conflict() {
    let desk = Desk::new();
    let members =
        found_from_sql(&desk, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'v');", &["ada", "bob", "cyd"]);
    let all = [&members[0], &members[1], &members[2]];
    for step in 0..9 {
        let member = all[step % 3];
        member.sync();
        member.sql(&format!("UPDATE t SET v = v || '{step}';"));
        member.sync();
    }
    until_quiet(&all);
    assert_together(&all);
    assert_eq!(all[0].sql("SELECT v FROM t;"), "v012345678\n");
    assert!(all[0].conflicts().is_empty());
}

#[test]
fn spelling_of_a_key_under_its_collation() {
    let start = "CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, v TEXT); INSERT INTO t VALUES ('Old', 'v');";
    let [one, other] = in_both_orders(
        start,
        "INSERT INTO t VALUES ('Abc', 'by Ada'); UPDATE t SET k = 'OLD' WHERE k = 'old';",
        "INSERT INTO t VALUES ('aBC', 'by Bob'); UPDATE t SET v = 'edited' WHERE k = 'old';",
        "SELECT count(*) FROM t;",
    );
    assert_eq!(one.0, other.0);
    assert_eq!(one.0, "2\n", "the file can hold only one spelling");
}

#[test]
fn replace_in_all_its_spellings_travels() {
    for recursive in [0, 1] {
        let desk = Desk::new();
        let start = "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE, w TEXT UNIQUE ON CONFLICT REPLACE, v TEXT);
                     INSERT INTO t VALUES (1, 'u1', 'w1', 'v1'), (2, 'u2', 'w2', 'v2'), (3, 'u3', 'w3', 'v3'), (4, 'u4', 'w4', 'v4'),
                       (5, 'u5', 'w5', 'v5'), (6, 'u6', 'w6', 'v6'), (7, 'u7', 'w7', 'v7');";
        let members = found_from_sql(&desk, start, &["ada", "bob"]);
        members[0].sql(&format!(
            "PRAGMA recursive_triggers = {recursive};
             REPLACE INTO t VALUES (10, 'u1', 'w2', 'two at once');
             INSERT INTO t VALUES (11, 'u11', 'w3', 'by the schema');
             UPDATE OR REPLACE t SET u = 'u5' WHERE id = 4;
             INSERT OR REPLACE INTO t (u, w, v) VALUES ('u6', 'w66', 'automatic id');
             INSERT INTO t VALUES (7, 'u7', 'w77', 'x') ON CONFLICT (id) DO UPDATE SET v = 'upserted';
             INSERT OR IGNORE INTO t VALUES (7, 'ignored', 'ignored', 'ignored');
             BEGIN; SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; RELEASE s; COMMIT;"
        ));
        let changed = members[0].status()["changes"].as_array().map(Vec::len);
        assert!(changed > Some(6), "{changed:?}");
        until_quiet(&[&members[0], &members[1]]);
        assert_together(&[&members[0], &members[1]]);
    }
}

#[test]
fn a_link_to_a_new_row_that_is_refused_waits_on_every_copy() {
    for is_pulled_first in [false, true] {
        let desk = Desk::new();
        let start = "CREATE TABLE place (id INTEGER PRIMARY KEY, code TEXT UNIQUE, up INTEGER REFERENCES place);
                     INSERT INTO place VALUES (1, 'w', NULL), (3, 'i', 1);";
        let members = found_from_sql(&desk, start, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        pair[0].sql("INSERT INTO place VALUES (4, 'wanted', 1);");
        until_quiet(&[pair[0]]);
        // Bob's new row gets another number, then its code turns out to be taken; what points to it has to wait.
        pair[1].sql("INSERT INTO place VALUES (4, 'wanted', 3); UPDATE place SET up = 4 WHERE id = 3;");
        if is_pulled_first {
            pair[1].run(&["pull"]);
            desk.assert_sound("bob.db");
        }
        until_quiet(&[pair[1], pair[0]]);
        assert_together(&pair);
        assert_eq!(pair[0].json(&["pending"]).as_array().map(Vec::len), Some(1));
        assert_eq!(pair[0].open_conflicts().len(), 1);
    }
}

#[test]
fn a_link_that_the_parents_collation_makes_is_a_link() {
    let start = "CREATE TABLE tag (name TEXT PRIMARY KEY COLLATE NOCASE, note TEXT);
                 CREATE TABLE labelled (id INTEGER PRIMARY KEY, tag TEXT REFERENCES tag (name));
                 INSERT INTO tag VALUES ('a', 'one'), ('b', 'two');";
    let desk = Desk::new();
    let members = found_from_sql(&desk, start, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("PRAGMA foreign_keys = ON; INSERT INTO labelled VALUES (1, 'A');");
    pair[1].sql("PRAGMA foreign_keys = ON; DELETE FROM tag WHERE name = 'a';");
    until_quiet(&pair);
    assert_together(&pair);
    let kinds: Vec<String> = pair[0].open_conflicts().iter().map(|c| c["kind"].to_string()).collect();
    assert_eq!(kinds, ["\"missing_parent\""]);
    assert_eq!(pair[1].sql("SELECT note FROM tag JOIN labelled ON name = tag;"), "one\n");
}

#[test]
fn a_child_lets_go_of_a_deleted_parent_where_its_link_says_so() {
    let start = "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT);
                 CREATE TABLE team (id INTEGER PRIMARY KEY, label TEXT, lead INTEGER REFERENCES person (id) ON DELETE SET NULL);
                 INSERT INTO person VALUES (2, 'p'); INSERT INTO team VALUES (1, 'first', NULL);";
    for order in [[0, 1], [1, 0]] {
        let desk = Desk::new();
        let members = found_from_sql(&desk, start, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        pair[0].ok(&["policy", "set", "person.deletes", "delete-wins"]);
        until_quiet(&pair);
        pair[0].sql("UPDATE team SET label = 'led', lead = 2 WHERE id = 1; INSERT INTO team VALUES (5, 'new', 2);");
        pair[1].sql("PRAGMA foreign_keys = ON; DELETE FROM person WHERE id = 2;");
        until_quiet(&[pair[order[0]], pair[order[1]]]);
        assert_together(&pair);
        assert_eq!(pair[1].sql("SELECT * FROM person; SELECT id, label, lead FROM team;"), "1|led|\n5|new|\n");
        let kinds: Vec<String> = pair[0].conflicts().iter().map(|c| format!("{} {}", c["kind"], c["state"])).collect();
        assert_eq!(kinds, ["\"missing_parent\" \"resolved\"", "\"missing_parent\" \"resolved\""]);
    }
}
