//! Single ways to lose data that no other journey passes by, named by their number in the list of hazards.
use crate::desk::{Desk, Dice, volume};
use crate::team::*;

fn kinds(member: &Member<'_>) -> Vec<String> {
    let mut all: Vec<String> = member.conflicts().iter().map(|c| format!("{} {}", c["table"], c["kind"]).replace('"', "")).collect();
    all.sort();
    all
}

/// A row far above every page and buffer.
#[test]
fn b12_a_row_of_64_megabytes() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, "CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB, w TEXT);", &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("INSERT INTO t VALUES (1, zeroblob(64000000), 'one'); INSERT INTO t VALUES (2, randomblob(100), 'two');");
    until_quiet(&pair);
    pair[1].sql("UPDATE t SET v = CAST(substr(v, 1, 32000000) || x'01' AS BLOB) WHERE id = 1;");
    pair[0].sql("UPDATE t SET w = 'of Ada' WHERE id = 1;");
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[0].sql("SELECT length(v), typeof(v), w FROM t ORDER BY id;"), "32000001|blob|of Ada\n100|blob|two\n");
}

#[test]
fn b14_null_comes_and_goes() {
    let start = "CREATE TABLE t (id TEXT PRIMARY KEY, a, b, c); INSERT INTO t VALUES ('x', NULL, 1, NULL), ('y', 1, NULL, ''), ('z', NULL, NULL, NULL);";
    for order in [[0, 1], [1, 0]] {
        let desk = Desk::new();
        let members = found_from_sql(&desk, start, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        pair[0]
            .sql("UPDATE t SET a = 2, b = NULL WHERE id = 'x'; UPDATE t SET c = NULL WHERE id = 'y'; UPDATE t SET a = 0 WHERE id = 'z';");
        pair[1].sql("UPDATE t SET c = 3 WHERE id = 'x'; UPDATE t SET a = NULL, b = 4 WHERE id = 'y'; UPDATE t SET b = '' WHERE id = 'z';");
        until_quiet(&[pair[order[0]], pair[order[1]]]);
        assert_together(&pair);
        assert_eq!(pair[0].sql("SELECT id, quote(a), quote(b), quote(c) FROM t ORDER BY id;"), "x|2|NULL|3\ny|NULL|4|NULL\nz|0|''|NULL\n");
        assert!(pair[0].conflicts().is_empty());
    }
}

#[test]
fn c8_one_address_under_two_keys_keeps_both_people() {
    let start = "CREATE TABLE person (id TEXT PRIMARY KEY, mail TEXT UNIQUE, name TEXT); INSERT INTO person VALUES ('p', 'p@x', 'Pat');";
    for order in [[0, 1], [1, 0]] {
        let desk = Desk::new();
        let members = found_from_sql(&desk, start, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        pair[0].sql("INSERT INTO person VALUES ('a', 'same@x', 'made by Ada');");
        pair[1].sql("INSERT INTO person VALUES ('b', 'same@x', 'made by Bob'); UPDATE person SET name = 'Patricia' WHERE id = 'p';");
        until_quiet(&[pair[order[0]], pair[order[1]]]);
        assert_together(&pair);
        assert_nothing_lost(&pair, &["made by Ada", "made by Bob", "same@x"]);
        assert_eq!(pair[0].sql("SELECT name FROM person WHERE id = 'p';"), "Patricia\n", "nobody stops syncing");
        assert!(kinds(pair[0]).iter().any(|k| k == "person unique"), "{:?}", kinds(pair[0]));
    }
}

#[test]
fn c9_a_number_that_was_deleted_is_not_given_again() {
    let start = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT); INSERT INTO t (v) VALUES ('one'), ('two'), ('three');";
    let desk = Desk::new();
    let members = found_from_sql(&desk, start, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("DELETE FROM t WHERE id = 3;");
    until_quiet(&pair);
    pair[1].sql("INSERT INTO t (v) VALUES ('four');");
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[0].sql("SELECT * FROM t ORDER BY id;"), "1|one\n2|two\n4|four\n");
}

/// The procedure of ORMs changes a column's type on one side, while the other edits that column.
#[test]
fn d5_a_type_that_changes_under_an_edit() {
    let start = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, v TEXT); INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b');";
    let rebuild = "BEGIN; CREATE TABLE new_t (id INTEGER PRIMARY KEY, n TEXT, v TEXT); INSERT INTO new_t SELECT * FROM t; DROP TABLE t;
                   ALTER TABLE new_t RENAME TO t; COMMIT;";
    for order in [[0, 1], [1, 0]] {
        let desk = Desk::new();
        let members = found_from_sql(&desk, start, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        pair[0].sql(rebuild);
        pair[1].sql("UPDATE t SET n = 21 WHERE id = 2; UPDATE t SET v = 'edited' WHERE id = 1; INSERT INTO t VALUES (3, 30, 'c');");
        until_quiet(&[pair[order[0]], pair[order[1]]]);
        assert_together(&pair);
        assert_nothing_lost(&pair, &["21", "edited", "30"]);
        assert_eq!(pair[1].sql("SELECT id, quote(n), v FROM t ORDER BY id;"), "1|'10'|edited\n2|'21'|b\n3|'30'|c\n");
        assert!(pair[0].conflicts().is_empty(), "what the declaration made of a value is nobody's edit");
        assert_eq!(pair[1].sql("SELECT type FROM pragma_table_info('t') WHERE name = 'n';"), "TEXT\n");
    }
}

/// A column with a default changes every row's look and no row.
#[test]
fn d6_a_new_column_sends_no_rows() {
    let rows = volume("MAINSTEM_BIG", 0).max(1) * 50_000;
    let start = format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
         WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {rows}) INSERT INTO t SELECT x, 'v' || x FROM n;"
    );
    let desk = Desk::new();
    let members = found_from_sql(&desk, &start, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("ALTER TABLE t ADD COLUMN w INTEGER DEFAULT 5; UPDATE t SET w = 6 WHERE id = 7;");
    let status = pair[0].status();
    assert_eq!(status["changes"].as_array().map(Vec::len), Some(1), "one row changed: {status}");
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[1].sql("SELECT w, count(*) FROM t GROUP BY w;"), format!("5|{}\n6|1\n", rows - 1));
}

/// One change of a hundred cannot be taken as it is; the others arrive with it as a conflict.
#[test]
fn e9_one_that_cannot_be_taken_holds_up_none() {
    let start =
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, u TEXT UNIQUE, CHECK (v <> u)); INSERT INTO t VALUES (1000, 'taken', 'x');";
    let desk = Desk::new();
    let members = found_from_sql(&desk, start, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("UPDATE t SET u = 'wanted' WHERE id = 1000;");
    let many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100)";
    pair[1].sql(&format!("{many} INSERT INTO t SELECT x, 'v' || x, iif(x = 50, 'wanted', 'u' || x) FROM n;"));
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[0].sql("SELECT count(*) FROM t WHERE id < 1000 AND id <> 50;"), "99\n");
    assert_nothing_lost(&pair, &["v50", "wanted"]);
    assert_eq!(pair[0].open_conflicts().len(), 1);
}

#[test]
fn e10_put_and_taken_away_in_one_commit_is_gone() {
    let desk = Desk::new();
    let members =
        found_from_sql(&desk, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'there');", &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("REPLACE INTO t VALUES (1, 'put'), (2, 'new'); DELETE FROM t;");
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[1].sql("SELECT count(*) FROM t;"), "0\n");
}

/// A trigger that this copy alone has, and that refuses what the primary took.
#[test]
fn e12_a_trigger_that_refuses_does_not_stop_what_was_accepted() {
    let desk = Desk::new();
    let members =
        found_from_sql(&desk, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one');", &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[1].sql(
        "CREATE TRIGGER refuse BEFORE INSERT ON t WHEN NEW.v = 'bad' BEGIN SELECT RAISE(ABORT, 'never'); END;
         CREATE TRIGGER refuse_too BEFORE UPDATE ON t WHEN NEW.v = 'bad' BEGIN SELECT RAISE(ABORT, 'never'); END;",
    );
    pair[0].sql("INSERT INTO t VALUES (2, 'bad'), (3, 'good'); UPDATE t SET v = 'bad' WHERE id = 1;");
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[1].sql("SELECT * FROM t ORDER BY id;"), "1|bad\n2|bad\n3|good\n");
}

/// A row taken out of the primary behind everybody's back is named by the next comparison, not copied as truth.
#[test]
fn f10_a_row_missing_at_the_primary_is_found() {
    let desk = Desk::new();
    let members =
        found_from_sql(&desk, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two');", &["ada"]);
    desk.sql(PRIMARY_DB, ".dbconfig enable_trigger off\nDELETE FROM t WHERE id = 2;\n");
    let found = members[0].json_of_failing(&["verify"]);
    assert_eq!(found["ok"], false, "{found}");
    assert!(found["differences"].to_string().contains("\"id\":2"), "{found}");
    assert_eq!(members[0].sql("SELECT count(*) FROM t;"), "2\n", "nothing was deleted here");
}

/// Programs at both ends of the calendar: the later write wins, whatever the clock on the wall shows.
#[test]
fn g9_time_zones_do_not_matter() {
    let desk = Desk::new();
    let members =
        found_from_sql(&desk, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one');", &["ada", "bob"]);
    let in_zone = |member: &Member<'_>, zone: &str, args: &[&str]| {
        let said = crate::desk::finish(member.program(args).env("TZ", zone));
        assert!(said.code == 0 || said.code == 5, "{said:?}");
    };
    for (turn, (zone, other)) in [("Pacific/Kiritimati", "Etc/GMT+12"), ("Etc/GMT+12", "Pacific/Kiritimati")].into_iter().enumerate() {
        members[0].sql(&format!("UPDATE t SET v = 'first {turn}' WHERE id = 1;"));
        in_zone(&members[0], zone, &["commit", "-m", "first"]);
        members[1].sql(&format!("UPDATE t SET v = 'second {turn}' WHERE id = 1;"));
        in_zone(&members[1], other, &["commit", "-m", "second"]);
        in_zone(&members[1], other, &["sync"]);
        in_zone(&members[0], zone, &["sync"]);
        in_zone(&members[1], other, &["sync"]);
        for member in &members {
            assert_eq!(member.sql("SELECT v FROM t;"), format!("second {turn}\n"), "{}", member.db);
        }
    }
}

/// A thousand changes of one moment: cursors count versions and pages, so none is skipped and none comes twice.
#[test]
fn i6_a_thousand_changes_in_one_millisecond() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);", &["ada", "bob", "cat"]);
    let many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000)";
    members[0].sql(&format!("{many} INSERT INTO t SELECT x, 'v' || x FROM n; UPDATE t SET v = v || '.' WHERE id % 2;"));
    members[0].sync();
    let synced = members[1].sync();
    assert_eq!(synced.pushed, 0, "what was pulled is not returned as new");
    until_quiet(&[&members[0], &members[1], &members[2]]);
    assert_together(&[&members[0], &members[1], &members[2]]);
    assert_eq!(members[2].sql("SELECT count(*) FROM t;"), "1000\n");
}

/// Ten thousand edits in fifty syncs: never is everything read again because something did not add up.
#[test]
fn i8_many_syncs_need_no_comparison() {
    let desk = Desk::new();
    let members = found_from_sql(
        &desk,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 200) INSERT INTO t SELECT x, 0 FROM n;",
        &["ada", "bob"],
    );
    let mut dice = Dice::new(8);
    for round in 0..50 {
        let who = &members[round % 2];
        who.sql(&format!("UPDATE t SET v = v + {} WHERE (id + {round}) % 2 = 0; UPDATE t SET v = v + 1 WHERE id % 2;", dice.below(9)));
        let said = who.run(&["sync"]);
        assert!(said.code == 0 || said.code == 5, "{said:?}");
        let text = format!("{}{}", said.out, said.err);
        assert!(!text.contains("compar") && !text.contains("drift"), "round {round}: {text}");
    }
    until_quiet(&[&members[0], &members[1]]);
    assert_together(&[&members[0], &members[1]]);
}

/// Somebody reads both files all the while: everybody else goes on, and the log is shortened when the reader is gone.
#[test]
fn j6_a_long_reader_stops_nobody() {
    let hold = "import sqlite3, sys\ncons = [sqlite3.connect(f, isolation_level=None) for f in sys.argv[1:]]\n\
                [(c.execute('BEGIN'), c.execute('SELECT count(*) FROM t').fetchall()) for c in cons]\nprint('ready')\nsys.stdin.read()\n";
    let desk = Desk::new();
    let members = found_from_sql(&desk, "PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB);", &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    let reader = desk.python_held(hold, &["ada.db", PRIMARY_DB]);
    for round in 0..20 {
        pair[round % 2].sql("INSERT INTO t (v) VALUES (randomblob(50000));");
        pair[round % 2].sync();
    }
    drop(reader);
    until_quiet(&pair);
    assert_together(&pair);
    let size = |file: &str| std::fs::metadata(desk.path(file)).map_or(0, |m| m.len());
    assert!(size("shared-primary/primary.db-wal") < 16 << 20, "{}", size("shared-primary/primary.db-wal"));
}

#[test]
fn b13_text_that_looks_like_a_time_stays_text() {
    let start = "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME, day DATE, v TEXT);
                 INSERT INTO t VALUES (1, '2026-01-02T03:04:05.123456789Z', 'infinity', '0012'), (2, '2026-01-02 03:04:05', '', '1e3');";
    let desk = Desk::new();
    let members = found_from_sql(&desk, start, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("UPDATE t SET day = '-infinity', at = '2026-01-02T03:04:05.987654321+14:00' WHERE id = 2;");
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(
        pair[1].sql("SELECT * FROM t ORDER BY id;"),
        "1|2026-01-02T03:04:05.123456789Z|infinity|0012\n2|2026-01-02T03:04:05.987654321+14:00|-infinity|1e3\n"
    );
}

/// A write that a wrong clock stamped a century ahead is brought back to now, and beats nobody who writes later.
#[test]
fn g2_a_write_from_the_future_is_no_later_than_now() {
    let desk = Desk::new();
    let members =
        found_from_sql(&desk, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one');", &["ada", "bob"]);
    // The stamps of captured writes are the app's clock.
    members[0].sql("UPDATE t SET v = 'from the future' WHERE id = 1; UPDATE mainstem_log SET at = at + 36525;");
    members[0].sync();
    members[1].sql("UPDATE t SET v = 'from today' WHERE id = 1;");
    until_quiet(&[&members[1], &members[0]]);
    assert_together(&[&members[0], &members[1]]);
    assert_eq!(members[0].sql("SELECT v FROM t;"), "from today\n");
    assert_nothing_lost(&[&members[0], &members[1]], &["from the future"]);
}

/// What travels on a stick names who made it, not who carried it.
#[test]
fn g5_a_bundle_carries_the_author() {
    let desk = Desk::new();
    let members =
        found_from_sql(&desk, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one');", &["ada", "bob", "cat"]);
    members[0].sql("UPDATE t SET v = 'by Ada' WHERE id = 1;");
    members[0].sync();
    members[1].sync();
    members[1].ok(&["bundle", "create", "stick.msb"]);
    members[2].run(&["bundle", "apply", "stick.msb"]);
    members[2].sync();
    let log = members[2].json(&["log"]).to_string();
    assert!(log.contains("\"ada\""), "{log}");
    assert_eq!(members[2].sql("SELECT v FROM t;"), "by Ada\n");
}

/// Only with MAINSTEM_BIG, for it takes minutes and 6 GB.
#[test]
fn j7_a_database_above_one_gibibyte() {
    if volume("MAINSTEM_BIG", 0) == 0 {
        eprintln!("skipped: set MAINSTEM_BIG=1 for a database of 1.2 GiB");
        return;
    }
    let start = "CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB);
                 WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1300) INSERT INTO t SELECT x, zeroblob(1000000) FROM n;";
    let desk = Desk::new();
    let members = found_from_sql(&desk, start, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0]
        .sql("UPDATE t SET v = x'01' WHERE id % 100 = 0; INSERT INTO t VALUES (2000, randomblob(2000000)); DELETE FROM t WHERE id = 1073;");
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[1].sql("SELECT count(*) FROM t;"), "1300\n");
}
