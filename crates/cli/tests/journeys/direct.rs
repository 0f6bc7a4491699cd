//! Other programs write into the primary's own tables.
use crate::desk::Desk;
use crate::team::*;

const START: &str = "
    CREATE TABLE account (id INTEGER PRIMARY KEY, owner TEXT, cents INTEGER);
    INSERT INTO account VALUES (1, 'Ann', 100), (2, 'Ben', 200), (3, 'Cat', 300);
";

#[test]
fn direct_writes_become_versions_and_reach_the_copies() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    let before = pair[0].status()["base_version"].as_i64().expect("a version");
    desk.sql(
        PRIMARY_DB,
        "UPDATE account SET cents = 150 WHERE id = 1; INSERT INTO account VALUES (4, 'Dan', 400); DELETE FROM account WHERE id = 3;",
    );
    pair[1].sql("UPDATE account SET owner = 'Anna' WHERE id = 1;");
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[0].sql("SELECT * FROM account ORDER BY id;"), "1|Anna|150\n2|Ben|200\n4|Dan|400\n");
    let after = pair[0].status()["base_version"].as_i64().expect("a version");
    assert!(after >= before + 2, "one version for the direct writes and one for Bob's: {before} to {after}");
}

#[test]
fn a_direct_write_against_an_edit_is_merged_like_any_other() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("UPDATE account SET owner = 'by Ada' WHERE id = 2; INSERT INTO account VALUES (4, 'row of Ada', 1);");
    desk.sql(
        PRIMARY_DB,
        "UPDATE account SET owner = 'by the server' WHERE id = 2; INSERT INTO account VALUES (4, 'row of the server', 2);",
    );
    until_quiet(&pair);
    assert_together(&pair);
    assert_nothing_lost(&pair, &["by Ada", "by the server", "row of Ada", "row of the server"]);
    assert_eq!(pair[0].sql("SELECT count(*) FROM account;"), "5\n", "one of both new rows was renumbered");
}

#[test]
fn a_schema_change_on_the_primary_reaches_the_copies() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    desk.sql(PRIMARY_DB, "ALTER TABLE account ADD COLUMN note TEXT; UPDATE account SET note = 'noted' WHERE id = 2;");
    pair[0].sql("UPDATE account SET cents = 250 WHERE id = 2;");
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[1].sql("SELECT cents, note FROM account WHERE id = 2;"), "250|noted\n");
}

#[test]
fn a_column_renamed_and_written_in_the_primary_at_once_reaches_everybody() {
    let desk = Desk::new();
    let sql = "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT, stars INTEGER); INSERT INTO note VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', NULL);";
    let members = found_from_sql(&desk, sql, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    desk.sql(
        PRIMARY_DB,
        "ALTER TABLE note RENAME COLUMN body TO words; UPDATE note SET words = 'eins' WHERE id = 1; UPDATE note SET words = NULL WHERE id = 2; UPDATE note SET stars = 3 WHERE id = 3;",
    );
    pair[0].sql("UPDATE note SET stars = 10 WHERE id = 1;");
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[1].sql("SELECT id, words, stars FROM note;"), "1|eins|10\n2||2\n3|three|3\n");
}
