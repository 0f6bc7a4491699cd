//! Requests that cannot be met: each gets one clear line and a hint, and changes nothing.
use crate::desk::{Desk, finish};
use crate::team::*;

const START: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two');";

#[test]
fn a_file_that_is_not_there_or_not_tracked() {
    let desk = Desk::new();
    desk.run(&["init", "missing.db"]).refuses(4, "missing.db");
    desk.sql("plain.db", START);
    let before = desk.fingerprint(&["plain.db"]);
    for args in [&["status"][..], &["sync"], &["diff"], &["deinit"], &["verify"]] {
        let said = Member::new(&desk, "ada", "plain.db").run(args);
        said.refuses(said.code, "plain.db");
        assert!([2, 4].contains(&said.code), "{args:?}: {said:?}");
        assert!(said.err.contains("mainstem init"), "the hint is the command to type: {said:?}");
    }
    assert_eq!(desk.fingerprint(&["plain.db"]), before);
    assert!(!desk.path("missing.db").exists());
}

#[test]
fn no_primary_there() {
    let desk = Desk::new();
    desk.sql("a.db", START);
    desk.ok(&["--as", "ada", "init", "a.db"]);
    desk.run(&["--as", "bob", "clone", "nowhere", "b.db"]).refuses(4, "nowhere");
    assert!(!desk.path("b.db").exists(), "nothing is left of the clone");
    assert!(!desk.path("nowhere").exists());
    let ada = Member::new(&desk, "ada", "a.db");
    let said = ada.run(&["sync"]);
    said.refuses(said.code, "primary");
    assert!(said.err.contains("publish") && said.code != 0, "{said:?}");
    std::fs::create_dir(desk.path("empty")).expect("a folder");
    desk.run(&["--as", "bob", "clone", "empty", "b.db"]).refuses(4, "empty");
    // A primary that went away later: nothing local is touched.
    ada.ok(&["publish", PRIMARY]);
    ada.sql("UPDATE t SET v = 'offline' WHERE id = 1;");
    std::fs::rename(desk.path(PRIMARY), desk.path("elsewhere")).expect("renamed");
    let rows = desk.rows("a.db");
    let said = ada.run(&["sync"]);
    said.refuses(said.code, PRIMARY);
    assert!([4, 6].contains(&said.code), "{said:?}");
    assert!(!desk.path(PRIMARY).exists(), "no new primary was made");
    assert_eq!(desk.rows("a.db"), rows);
    std::fs::rename(desk.path("elsewhere"), desk.path(PRIMARY)).expect("renamed back");
    until_quiet(&[&ada]);
    assert_together(&[&ada]);
}

#[test]
fn publishing_and_cloning_over_something() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    desk.sql("other.db", "CREATE TABLE u (id INTEGER PRIMARY KEY);");
    desk.ok(&["--as", "cyd", "init", "other.db"]);
    let before = desk.fingerprint(&[PRIMARY]);
    let said = Member::new(&desk, "cyd", "other.db").run(&["publish", PRIMARY]);
    said.refuses(said.code, PRIMARY);
    assert_eq!(desk.fingerprint(&[PRIMARY]), before);
    let file = desk.fingerprint(&["bob.db"]);
    let said = desk.run(&["--as", "cyd", "clone", PRIMARY, "bob.db"]);
    said.refuses(said.code, "bob.db");
    assert_eq!(desk.fingerprint(&["bob.db"]), file);
    assert_together(&[&members[0], &members[1]]);
}

#[test]
fn another_lineage() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada"]);
    desk.sql("other.db", START);
    desk.ok(&["--as", "cyd", "init", "other.db"]);
    let cyd = Member::new(&desk, "cyd", "other.db");
    cyd.ok(&["publish", "other-primary"]);
    cyd.sql("UPDATE t SET v = 'by Cyd' WHERE id = 1;");
    // The folder of one primary is swapped for that of another.
    std::fs::rename(desk.path(PRIMARY), desk.path("kept")).expect("renamed");
    std::fs::rename(desk.path("other-primary"), desk.path(PRIMARY)).expect("renamed");
    members[0].sql("UPDATE t SET v = 'by Ada' WHERE id = 2;");
    let (rows, primary) = (desk.rows("ada.db"), desk.rows(PRIMARY_DB));
    for verb in ["push", "pull", "sync"] {
        let said = members[0].run(&[verb]);
        said.refuses(5, "another dataset");
    }
    assert_eq!((desk.rows("ada.db"), desk.rows(PRIMARY_DB)), (rows, primary));
    // The right one comes back, and the work goes on.
    std::fs::rename(desk.path(PRIMARY), desk.path("other-primary")).expect("renamed");
    std::fs::rename(desk.path("kept"), desk.path(PRIMARY)).expect("renamed");
    until_quiet(&[&members[0]]);
    assert_together(&[&members[0]]);
}

#[test]
fn tables_that_cannot_be_tracked_are_named() {
    let desk = Desk::new();
    desk.sql(
        "a.db",
        "CREATE TABLE good (id INTEGER PRIMARY KEY, v); CREATE TABLE keyless (a, b); INSERT INTO keyless VALUES (1, 2);
         CREATE TABLE holes (k TEXT PRIMARY KEY, v); INSERT INTO holes VALUES (NULL, 'a'), (NULL, 'b');
         CREATE VIRTUAL TABLE words USING fts5(body); CREATE VIEW a_view AS SELECT v FROM good;",
    );
    let said = desk.run(&["--as", "ada", "init", "a.db"]);
    let all = format!("{}{}", said.out, said.err);
    for name in ["keyless", "holes", "words"] {
        assert!(all.contains(name), "{name} is named: {all}");
    }
    assert!(all.contains("key"), "and why: {all}");
    desk.run(&["--as", "ada", "init", "a.db", "--table", "a_view"]).refuses(2, "a_view");
    desk.run(&["--as", "ada", "init", "a.db", "--table", "no_such"]).refuses(4, "no_such");
    desk.assert_sound("a.db");
    assert_eq!(desk.sql("a.db", "SELECT count(*) FROM keyless; SELECT count(*) FROM holes;"), "1\n2\n");
    // With what to do about it done, tracking works; the app may go on using what is not tracked.
    desk.run(&["--as", "ada", "init", "a.db", "--exclude", "keyless", "--exclude", "holes", "--exclude", "words"]);
    let ada = Member::new(&desk, "ada", "a.db");
    desk.sql("a.db", "INSERT INTO good VALUES (1, 'x'); INSERT INTO keyless VALUES (3, 4); INSERT INTO words VALUES ('hello');");
    let changes = ada.status()["changes"].as_array().cloned().expect("a list");
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(desk.sql("a.db", "SELECT body FROM words WHERE words MATCH 'hello';"), "hello\n");
}

/// A table with so many columns, the key included.
fn wide(columns: usize) -> String {
    let names: Vec<String> = (1..columns).map(|n| format!("c{n}")).collect();
    let names = names.join(", ");
    format!("CREATE TABLE wide (id INTEGER PRIMARY KEY, {names}); INSERT INTO wide (id, c1) VALUES (1, 'first');")
}

#[test]
fn two_thousand_columns() {
    let desk = Desk::new();
    desk.sql("ada.db", &wide(2000));
    let before = desk.fingerprint(&["ada.db"]);
    let said = desk.run(&["--as", "ada", "init", "ada.db"]);
    said.refuses(2, "wide");
    assert!(said.err.contains("columns"), "{said:?}");
    assert_eq!(desk.fingerprint(&["ada.db"]), before);
}

#[test]
fn nineteen_hundred_columns() {
    let desk = Desk::new();
    desk.sql("ada.db", &wide(1900));
    let members = found(&desk, "ada.db", &["ada", "bob"], &[]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("UPDATE wide SET c1000 = 'thousand' WHERE id = 1; INSERT INTO wide (id, c1899) VALUES (2, 'last');");
    pair[1].sql("UPDATE wide SET c1500 = 'fifteen hundred' WHERE id = 1;");
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[1].sql("SELECT c1, c1000, c1500 FROM wide WHERE id = 1;"), "first|thousand|fifteen hundred\n");
}

#[test]
fn names_with_quotes_spaces_semicolons_and_pictures() {
    let desk = Desk::new();
    let sql = "
        CREATE TABLE \"it's \"\"quoted\"\"; DROP TABLE x\" (\"a b\" INTEGER PRIMARY KEY, \"c\"\"d\" TEXT, \"e;f\" TEXT, \"\u{1f600}\" TEXT, \"select\" TEXT);
        INSERT INTO \"it's \"\"quoted\"\"; DROP TABLE x\" VALUES (1, 'one', 'two', 'three', 'four');
        CREATE TABLE \"\u{1f98a} fox\" (\"'\" TEXT, \"[x]\" TEXT, \"`\" TEXT, PRIMARY KEY (\"'\", \"[x]\"));
        INSERT INTO \"\u{1f98a} fox\" VALUES ('k1', 'k2', 'v');
        CREATE TABLE \"order\" (\"group\" INTEGER PRIMARY KEY, \"index\" TEXT); INSERT INTO \"order\" VALUES (1, 'x');
        CREATE TABLE \"sub\" (id INTEGER PRIMARY KEY, \"to it\" INTEGER REFERENCES \"it's \"\"quoted\"\"; DROP TABLE x\");
        CREATE INDEX \"an 'index'\" ON \"order\" (\"index\");";
    let members = found_from_sql(&desk, sql, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql(
        "UPDATE \"it's \"\"quoted\"\"; DROP TABLE x\" SET \"c\"\"d\" = 'it''s', \"select\" = 'by Ada';
         INSERT INTO \"it's \"\"quoted\"\"; DROP TABLE x\" (\"a b\", \"\u{1f600}\") VALUES (2, 'smile'); INSERT INTO \"sub\" VALUES (1, 2);
         UPDATE \"\u{1f98a} fox\" SET \"`\" = 'tick';",
    );
    pair[1].sql(
        "UPDATE \"it's \"\"quoted\"\"; DROP TABLE x\" SET \"e;f\" = '; DROP TABLE sub; --', \"\u{1f600}\" = 'by Bob';
         INSERT INTO \"it's \"\"quoted\"\"; DROP TABLE x\" (\"a b\", \"\u{1f600}\") VALUES (2, 'grin'); INSERT INTO \"sub\" VALUES (1, 2);
         UPDATE \"order\" SET \"group\" = 5;",
    );
    until_quiet(&pair);
    assert_together(&pair);
    let smiles = "SELECT \"\u{1f600}\" FROM \"sub\" JOIN \"it's \"\"quoted\"\"; DROP TABLE x\" ON \"a b\" = \"to it\" ORDER BY 1;";
    assert_eq!(pair[0].sql(smiles), "grin\nsmile\n", "both new rows, each with its own child");
    assert!(pair[0].ok(&["diff", "--json"]).len() < 10);
    let conflicts = "UPDATE \"order\" SET \"index\" = 'q''u\"o;te' WHERE \"group\" = 5;";
    pair[0].sql(conflicts);
    assert!(pair[0].ok(&["diff"]).contains("order"));
    until_quiet(&pair);
    assert_together(&pair);
}

#[test]
fn a_database_locked_by_another_program() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("UPDATE t SET v = 'by Ada' WHERE id = 1;");
    pair[1].sql("UPDATE t SET v = 'by Bob' WHERE id = 2;");
    until_quiet(&[pair[0]]);
    let hold = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN EXCLUSIVE')\nprint('ready'); sys.stdin.read(); c.rollback()";
    let rows = desk.rows("bob.db");
    for locked in ["bob.db", PRIMARY_DB] {
        let held = desk.python_held(hold, &[locked]);
        let said = pair[1].run(&["sync"]);
        said.refuses(6, "locked");
        drop(held);
        assert_eq!(desk.rows("bob.db"), rows, "nothing changed while {locked} was locked");
    }
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[0].sql("SELECT v FROM t ORDER BY id;"), "by Ada\nby Bob\n");
}

#[test]
fn two_syncs_at_once() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    for round in 0..6 {
        for member in pair {
            member.sql(&format!("INSERT INTO t (v) VALUES ('{} {round}');", member.actor));
        }
        // The same copy twice, and another copy at the same primary, all at one time.
        let commands = [pair[0].program(&["sync"]), pair[0].program(&["sync"]), pair[1].program(&["sync"])];
        let running: Vec<_> = commands.into_iter().map(|mut c| std::thread::spawn(move || finish(&mut c))).collect();
        for said in running.into_iter().map(|r| r.join().expect("it runs")) {
            if said.code != 0 {
                said.refuses(6, "sync");
            }
        }
    }
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[0].sql("SELECT count(*), count(DISTINCT v) FROM t;"), "14|14\n");
}

#[test]
fn nonsense_on_the_command_line() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada"]);
    for args in [&["frobnicate"][..], &["resolve"], &["policy", "set", "strategy"], &["clone", "only-one"]] {
        let said = members[0].run(args);
        assert_eq!(said.code, 2, "{args:?}: {said:?}");
        assert!(!said.err.contains("panicked"));
    }
    assert_eq!(desk.run(&["--version"]).code, 0);
    assert_eq!(desk.run(&["help"]).code, 0);
    assert!(desk.ok(&["completions", "bash"]).contains("mainstem"));
}

#[test]
fn the_one_tracked_database_here_is_found_by_itself() {
    let desk = Desk::new();
    desk.sql("app.db", START);
    desk.sql("untracked.db", START);
    desk.ok(&["--as", "ada", "init", "app.db"]);
    desk.sql("app.db", "UPDATE t SET v = 'x' WHERE id = 1;");
    let status: serde_json::Value = serde_json::from_str(&desk.ok(&["status", "--json"])).expect("JSON");
    assert_eq!(status["changes"].as_array().map(Vec::len), Some(1));
    desk.ok(&["--as", "ada", "init", "untracked.db"]);
    let said = desk.run(&["status"]);
    said.refuses(said.code, "untracked.db");
    assert!(said.err.contains("--db"), "{said:?}");
    let said = finish(desk.program(&["status", "--json"]).env("MAINSTEM_DB", "app.db").env("MAINSTEM_ACTOR", "eve"));
    assert_eq!(said.json()["actor"], "eve");
}
