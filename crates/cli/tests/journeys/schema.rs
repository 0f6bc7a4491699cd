//! The app changes its schema, on one side or both, while rows are edited.
use crate::desk::Desk;
use crate::team::*;

const START: &str = "
    CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL, town TEXT);
    INSERT INTO person VALUES (1, 'Ann', 'Ulm'), (2, 'Ben', 'Bonn'), (3, 'Cat', 'Kiel');
";

#[test]
fn additions_on_both_sides_merge() {
    for order in [[0, 1], [1, 0]] {
        let desk = Desk::new();
        let members = found_from_sql(&desk, START, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        pair[0].sql(
            "ALTER TABLE person ADD COLUMN phone TEXT DEFAULT 'none'; UPDATE person SET phone = '11' WHERE id = 1;
             CREATE TABLE visit (id INTEGER PRIMARY KEY, person INTEGER REFERENCES person, day TEXT);
             INSERT INTO visit VALUES (1, 1, 'monday'); CREATE INDEX by_town ON person (town);",
        );
        pair[1].sql(
            "ALTER TABLE person ADD COLUMN mail TEXT; UPDATE person SET mail = 'ben@b' WHERE id = 2; INSERT INTO person VALUES (4, 'Dan', 'Jena', 'd@d');
             CREATE VIEW towns AS SELECT town, count(*) AS people FROM person GROUP BY town;",
        );
        until_quiet(&[pair[order[0]], pair[order[1]]]);
        assert_together(&pair);
        let rows = "SELECT id, name, town, phone, mail FROM person ORDER BY id;";
        let expected = "1|Ann|Ulm|11|\n2|Ben|Bonn|none|ben@b\n3|Cat|Kiel|none|\n4|Dan|Jena|none|d@d\n";
        for member in pair {
            assert_eq!(member.sql(rows), expected, "{}", member.db);
            assert_eq!(member.sql("SELECT * FROM visit; SELECT count(*) FROM towns;"), "1|1|monday\n4\n");
            assert_eq!(member.sql("SELECT count(*) FROM sqlite_master WHERE name = 'by_town';"), "1\n");
        }
        // What comes after is captured under the new columns, on both sides.
        pair[0].sql("UPDATE person SET mail = 'cat@c' WHERE id = 3; INSERT INTO visit VALUES (2, 3, 'friday');");
        pair[1].sql("UPDATE person SET phone = '33' WHERE id = 3;");
        until_quiet(&pair);
        assert_together(&pair);
        assert_eq!(pair[1].sql("SELECT phone, mail FROM person WHERE id = 3;"), "33|cat@c\n");
    }
}

#[test]
fn the_same_addition_twice_is_one() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    for (member, value) in pair.iter().zip(["11", "22"]) {
        member.sql(&format!(
            "ALTER TABLE person ADD COLUMN phone TEXT; UPDATE person SET phone = '{value}' WHERE id = {value} / 11;
             CREATE TABLE tag (id INTEGER PRIMARY KEY, word TEXT); INSERT INTO tag VALUES (1, 'tag {value}');"
        ));
    }
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[0].sql("SELECT count(*) FROM pragma_table_info('person') WHERE name = 'phone';"), "1\n");
    assert_eq!(pair[0].sql("SELECT id, phone FROM person ORDER BY id;"), "1|11\n2|22\n3|\n");
    assert_eq!(pair[0].sql("SELECT word FROM tag ORDER BY word;"), "tag 11\ntag 22\n", "both rows, one renumbered");
}

#[test]
fn a_drop_against_an_edit_is_a_conflict() {
    for order in [[0, 1], [1, 0]] {
        let desk = Desk::new();
        let members = found_from_sql(&desk, START, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        pair[0].sql("ALTER TABLE person DROP COLUMN town; UPDATE person SET name = 'Anna' WHERE id = 1;");
        pair[1].sql("UPDATE person SET town = 'Town by Bob' WHERE id = 2; INSERT INTO person VALUES (4, 'Dan', 'Jena');");
        until_quiet(&[pair[order[0]], pair[order[1]]]);
        assert_together(&pair);
        assert_nothing_lost(&pair, &["Town by Bob", "Anna", "Dan"]);
        let kinds: Vec<String> = pair[0].conflicts().iter().map(|c| c["kind"].to_string()).collect();
        assert!(kinds.iter().any(|k| k == "\"schema\""), "{kinds:?}");
    }
}

#[test]
fn a_dropped_column_shifts_nothing() {
    for order in [[0, 1], [1, 0]] {
        let desk = Desk::new();
        let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c); INSERT INTO t VALUES (1, 'a1', 'b1', 'c1'), (2, 'a2', 'b2', 'c2');";
        let members = found_from_sql(&desk, sql, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        pair[0].sql("ALTER TABLE t DROP COLUMN a;");
        pair[1].sql("UPDATE t SET c = 'c by Bob' WHERE id = 2; UPDATE t SET b = 'b by Bob' WHERE id = 1;");
        until_quiet(&[pair[order[0]], pair[order[1]]]);
        assert_together(&pair);
        assert_eq!(pair[1].sql("SELECT id, b, c FROM t ORDER BY id;"), "1|b by Bob|c1\n2|b2|c by Bob\n");
    }
}

#[test]
fn plain_migrations_work_as_without_tracking_and_travel() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    let migrations = "
        ALTER TABLE person RENAME COLUMN town TO city;
        UPDATE person SET city = 'Trier' WHERE id = 1;
        ALTER TABLE person RENAME TO people;
        INSERT INTO people (id, name, city) VALUES (5, 'Eve', 'Hof');
        ALTER TABLE people ADD COLUMN age INTEGER DEFAULT 40;
        CREATE TABLE new_people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT, age INTEGER, CHECK (age >= 0));
        INSERT INTO new_people SELECT id, name, city, age FROM people;
        DROP TABLE people;
        ALTER TABLE new_people RENAME TO people;
        UPDATE people SET age = 50 WHERE id = 2;";
    desk.sql("plain.db", START);
    desk.sql("plain.db", migrations);
    pair[0].sql(migrations);
    assert_same(&desk.rows("ada.db"), &desk.rows("plain.db"), "the tracked and the plain file");
    until_quiet(&pair);
    assert_together(&pair);
    assert_same(&desk.rows("bob.db"), &desk.rows("plain.db"), "the other copy and the plain file");
    pair[1].sql("UPDATE people SET name = 'Evelyn' WHERE id = 5;");
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[0].sql("SELECT name, age FROM people WHERE id = 5;"), "Evelyn|40\n");
}

#[test]
fn a_table_that_goes_and_comes_back_with_other_columns() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[1].sql("UPDATE person SET town = 'Edited offline' WHERE id = 3;");
    pair[0].sql("DROP TABLE person; CREATE TABLE person (id INTEGER PRIMARY KEY, weight REAL); INSERT INTO person VALUES (3, 70.5);");
    until_quiet(&pair);
    assert_together(&pair);
    assert_nothing_lost(&pair, &["Edited offline"]);
}

#[test]
fn what_needs_an_untracked_table_stays_in_its_file() {
    let desk = Desk::new();
    let start = "CREATE TABLE secret (id INTEGER PRIMARY KEY, word TEXT); CREATE TABLE loose (word TEXT);
        CREATE INDEX loose_words ON loose (word); CREATE INDEX secret_words ON secret (word); CREATE INDEX by_town ON person (town);
        CREATE VIEW told AS SELECT name, word FROM person JOIN secret USING (id); CREATE VIEW towns AS SELECT town FROM person;
        CREATE TRIGGER told_to INSTEAD OF INSERT ON told BEGIN INSERT INTO person (name) VALUES (NEW.name); END;
        CREATE TRIGGER noted AFTER INSERT ON person BEGIN INSERT INTO loose VALUES (NEW.name); END;";
    desk.sql("ada.db", START);
    desk.sql("ada.db", start);
    let members = found(&desk, "ada.db", &["ada", "bob"], &["--exclude", "secret"]);
    let objects = "SELECT name FROM sqlite_master WHERE type <> 'table' AND name NOT LIKE '%mainstem%' ORDER BY name;";
    assert_eq!(members[1].sql(objects), "by_town\nloose_words\nnoted\ntowns\n", "a table without a key travels by its declaration");
    members[1].sql("INSERT INTO person VALUES (4, 'Dan', 'Jena');");
    members[0].sql("INSERT INTO person VALUES (5, 'Eve', 'Trier'); CREATE INDEX loose_again ON loose (word); DROP VIEW told; CREATE VIEW names AS SELECT name FROM person;");
    until_quiet(&[&members[0], &members[1]]);
    assert_eq!(members[1].sql("SELECT group_concat(id) FROM person;"), members[0].sql("SELECT group_concat(id) FROM person;"));
    assert_eq!(members[1].sql(objects), "by_town\nloose_again\nloose_words\nnames\nnoted\ntowns\n");
    assert_eq!(members[0].sql("SELECT word FROM loose;"), "Eve\n", "the app's own trigger goes on in its file");
    assert_eq!(members[1].sql("SELECT word FROM loose; DELETE FROM loose;"), "Dan\n", "and fires there, for rows of that copy's own");
    // The table gets a key, and its rows come along.
    members[0].sql(
        "DROP TRIGGER noted; CREATE TABLE new_loose (id INTEGER PRIMARY KEY, word TEXT); INSERT INTO new_loose (word) SELECT word FROM loose;
         DROP TABLE loose; ALTER TABLE new_loose RENAME TO loose; CREATE INDEX loose_words ON loose (word);
         CREATE TRIGGER noted AFTER INSERT ON person BEGIN INSERT INTO loose (word) VALUES (NEW.name); END;",
    );
    until_quiet(&[&members[0], &members[1]]);
    assert_eq!(members[1].sql("SELECT * FROM loose;"), "1|Eve\n");
    let everywhere = members[1].sql(objects);
    assert!(everywhere.contains("loose_words") && everywhere.contains("noted") && !everywhere.contains("secret"), "{everywhere}");
    members[1].sql("INSERT INTO loose VALUES (2, 'Bob was here');");
    until_quiet(&[&members[0], &members[1]]);
    assert_eq!(members[0].sql("SELECT word FROM loose WHERE id = 2;"), "Bob was here\n");
    assert_eq!(members[0].sql("SELECT count(*) FROM secret;"), "0\n");
}

/// Two columns of one name but another type: the first stays, the second's author keeps working, its values are kept.
#[test]
fn contradictory_additions_block_nobody() {
    for order in [[0, 1], [1, 0]] {
        let desk = Desk::new();
        let members = found_from_sql(&desk, START, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        pair[0].sql(
            "ALTER TABLE person ADD COLUMN age INTEGER DEFAULT 5; UPDATE person SET age = 7 WHERE id = 1;
             CREATE TABLE visit (id INTEGER PRIMARY KEY, day TEXT); INSERT INTO visit VALUES (1, 'monday');",
        );
        pair[1].sql(
            "ALTER TABLE person ADD COLUMN age TEXT; UPDATE person SET age = 'seven' WHERE id = 2; CREATE INDEX by_age ON person (age);
             CREATE TABLE visit (id INTEGER PRIMARY KEY, hour INTEGER, place TEXT); INSERT INTO visit VALUES (2, 12, 'Ulm');",
        );
        until_quiet(&[pair[order[0]], pair[order[1]]]);
        assert_together(&pair);
        assert_nothing_lost(&pair, &["seven", "monday", "Ulm"]);
        let declared = pair[0].sql("SELECT type FROM pragma_table_info('person') WHERE name = 'age';");
        assert_eq!(declared, ["INTEGER\n", "TEXT\n"][order[0]], "the first stays");
        for member in pair {
            member.sql("UPDATE person SET town = town || '.' WHERE id = 3;");
        }
        until_quiet(&pair);
        assert_together(&pair);
    }
}

/// One renames what the other adds to.
#[test]
fn additions_follow_a_rename() {
    for order in [[0, 1], [1, 0]] {
        let desk = Desk::new();
        let members = found_from_sql(&desk, START, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        pair[0].sql("ALTER TABLE person RENAME TO people; ALTER TABLE people RENAME COLUMN town TO city; UPDATE people SET city = 'Ulm!' WHERE id = 1;");
        pair[1].sql("ALTER TABLE person ADD COLUMN age INTEGER; UPDATE person SET age = 7 WHERE id = 1; UPDATE person SET town = 'Bonn!' WHERE id = 2;");
        until_quiet(&[pair[order[0]], pair[order[1]]]);
        assert_together(&pair);
        let rows = "1|Ann|Ulm!|7\n2|Ben|Bonn!|\n3|Cat|Kiel|\n";
        assert_eq!(pair[1].sql("SELECT id, name, city, age FROM people ORDER BY id;"), rows, "order {order:?}");
    }
}

/// One renames a column or the table, and receives what others wrote under the old name before the new one is sent.
#[test]
fn what_comes_in_under_the_old_name_is_not_lost() {
    for (alter, table, column) in [
        ("ALTER TABLE person RENAME COLUMN town TO place;", "person", "place"),
        ("ALTER TABLE person RENAME TO people;", "people", "town"),
        ("ALTER TABLE person RENAME TO people; ALTER TABLE people RENAME COLUMN town TO place;", "people", "place"),
        (
            "ALTER TABLE person RENAME COLUMN town TO t; ALTER TABLE person RENAME COLUMN name TO town; ALTER TABLE person RENAME COLUMN t TO name;",
            "person",
            "name",
        ),
    ] {
        let desk = Desk::new();
        let members = found_from_sql(&desk, START, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        pair[1].sql(
            "INSERT INTO person VALUES (4, 'Dan', 'Jena'); UPDATE person SET town = 'Worms' WHERE id = 1; DELETE FROM person WHERE id = 3;",
        );
        pair[1].sync();
        pair[0].sql(alter);
        until_quiet(&pair);
        assert_together(&pair);
        let rows = format!("SELECT id, {column} FROM {table} ORDER BY id;");
        for member in pair {
            assert_eq!(member.sql(&rows), "1|Worms\n2|Bonn\n4|Jena\n", "{} after {alter}", member.db);
        }
    }
}

/// Dropped and made again with another key is another table: its rows are new, and edits of the old ones are conflicts.
#[test]
fn a_table_that_comes_back_with_another_key_is_another_table() {
    for order in [[0, 1], [1, 0]] {
        let desk = Desk::new();
        let members = found_from_sql(&desk, START, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        pair[0].sql(
            "UPDATE person SET town = 'before' WHERE id = 1; DROP TABLE person; CREATE TABLE person (code TEXT PRIMARY KEY, town TEXT);
             INSERT INTO person VALUES ('x', 'new'), ('y', 'newer');",
        );
        pair[1].sql("UPDATE person SET town = 'Edited offline' WHERE id = 3; INSERT INTO person VALUES (9, 'Made offline', NULL);");
        until_quiet(&[pair[order[0]], pair[order[1]]]);
        assert_together(&pair);
        assert_nothing_lost(&pair, &["Edited offline", "Made offline"]);
        assert_eq!(pair[1].sql("SELECT code, town FROM person WHERE code IN ('x', 'y') ORDER BY 1;"), "x|new\ny|newer\n", "{order:?}");
        assert_eq!(pair[1].sql("SELECT count(*) FROM person;"), "2\n", "{order:?}");
    }
}

/// What somebody added and did not send yet is there after a pull that changes the same table, and after many.
#[test]
fn a_pull_keeps_columns_and_tables_that_were_not_sent() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[1].sql(
        "ALTER TABLE person ADD COLUMN mail TEXT DEFAULT 'none'; UPDATE person SET mail = 'ben@b' WHERE id = 2;
         CREATE TABLE visit (id INTEGER PRIMARY KEY, day TEXT); INSERT INTO visit VALUES (1, 'monday'); CREATE INDEX by_mail ON person (mail);",
    );
    for (column, town) in [("phone", "Trier"), ("age", "Mainz")] {
        pair[0].sql(&format!("ALTER TABLE person ADD COLUMN {column} TEXT; UPDATE person SET town = '{town}' WHERE id = 1;"));
        pair[0].sync();
        let said = pair[1].run(&["pull"]);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(pair[1].sql("SELECT id, town, mail FROM person ORDER BY id;"), format!("1|{town}|none\n2|Bonn|ben@b\n3|Kiel|none\n"));
        assert_eq!(pair[1].sql("SELECT * FROM visit;"), "1|monday\n");
        pair[1].sql("UPDATE person SET mail = mail || '.' WHERE id = 3; UPDATE person SET mail = 'none' WHERE id = 3;");
    }
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[0].sql("SELECT id, town, mail FROM person ORDER BY id;"), "1|Mainz|none\n2|Bonn|ben@b\n3|Kiel|none\n");
    assert!(pair[0].conflicts().is_empty());
}
