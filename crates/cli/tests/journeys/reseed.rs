//! Copies that begin again from the primary's rows, as a person sees it (TMB-4, D7, F5, F6, F9).
use crate::desk::Desk;
use crate::team::*;

const START: &str = "CREATE TABLE note (id TEXT PRIMARY KEY, body TEXT);
                     INSERT INTO note VALUES ('one', 'first'), ('two', 'second');";

/// Writes with triggers off, as a program that resets its tables may.
const UNSEEN: &str = "import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
saved = c.execute(\"SELECT name, sql FROM sqlite_master WHERE type='trigger'\").fetchall()
c.execute('BEGIN')
for name, sql in saved: c.execute('DROP TRIGGER \"%s\"' % name.replace('\"', '\"\"'))
c.execute(sys.argv[2])
for name, sql in saved: c.execute(sql)
c.execute('COMMIT')";

#[test]
fn rows_that_a_program_wiped_come_again_with_the_unsent_work() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("INSERT INTO note SELECT 'n' || value, 'many' FROM generate_series(1, 100);");
    until_quiet(&pair);
    let whole = desk.rows("ada.db");
    pair[1].sql("UPDATE note SET body = 'unsent' WHERE id = 'one';");
    pair[1].ok(&["commit", "-m", "unsent"]);
    desk.python(UNSEEN, &["bob.db", "DELETE FROM note"]);
    pair[1].run(&["sync"]).refuses(5, "missing");
    assert_same(&desk.rows(PRIMARY_DB), &whole, "the primary");
    let said = pair[1].ok(&["sync", "--reseed"]);
    assert!(said.contains("began again from the primary's rows"), "{said}");
    until_quiet(&pair);
    assert_together(&pair);
    let expected = whole.replace("\"first\"", "\"unsent\"");
    assert_same(&sorted(&desk.rows("bob.db")), &sorted(&expected), "all rows and the unsent edit");
}

#[test]
fn an_unrelated_primary_at_the_address_is_refused() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada"]);
    desk.sql("zoe.db", "CREATE TABLE note (id TEXT PRIMARY KEY, body TEXT); INSERT INTO note VALUES ('one', 'of zoe');");
    desk.ok(&["init", "zoe.db"]);
    desk.ok(&["--db", "zoe.db", "publish", "other-primary"]);
    members[0].sql("UPDATE note SET body = 'mine' WHERE id = 'one';");
    let swap = |from: &str, to: &str| std::fs::rename(desk.path(from), desk.path(to)).expect("renamed");
    swap(PRIMARY, "aside");
    swap("other-primary", PRIMARY);
    let before = desk.rows("ada.db");
    for command in [&["sync"][..], &["pull"], &["push"], &["sync", "--reseed"]] {
        members[0].run(command).refuses(5, "another dataset");
    }
    assert_same(&desk.rows("ada.db"), &before, "nothing came");
    assert_eq!(desk.sql(PRIMARY_DB, "SELECT body FROM note;").trim(), "of zoe", "and nothing went");
    swap(PRIMARY, "other-primary");
    swap("aside", PRIMARY);
    members[0].sync();
    assert_together(&[&members[0]]);
}

#[test]
fn two_lives_of_one_primary_are_told_apart() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    desk.ok(&["backup", "create", PRIMARY, "early.backup"]);
    pair[0].sql("UPDATE note SET body = 'late' WHERE id = 'one';");
    until_quiet(&pair);
    desk.ok(&["backup", "restore", "early.backup", "second-life"]);
    for member in pair {
        member.ok(&["config", "remote", "second-life"]);
    }
    until_quiet(&pair);
    pair[0].sql("UPDATE note SET body = 'in the second life' WHERE id = 'two';");
    until_quiet(&pair);
    assert_eq!(desk.sql("second-life/primary.db", "SELECT group_concat(body) FROM note;").trim(), "late,in the second life");
    // The first one is still there; whoever has left it does not go back and forth.
    pair[0].ok(&["config", "remote", PRIMARY]);
    pair[0].run(&["sync"]).refuses(5, "replaced by a restored one");
    assert_eq!(desk.sql(PRIMARY_DB, "SELECT body FROM note WHERE id = 'two';").trim(), "second");
    pair[0].ok(&["config", "remote", "second-life"]);
    until_quiet(&pair);
}

#[test]
fn a_file_tracked_anew_is_not_synced_until_it_says_with_what() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    desk.ok(&["deinit", "bob.db"]);
    desk.ok(&["--as", "bob", "init", "bob.db"]);
    let status = members[1].status();
    assert_eq!((status["remote"].is_null(), status["base_version"].as_u64()), (true, Some(0)), "{status}");
    members[1].run(&["sync"]).refuses(2, "no primary");
}
