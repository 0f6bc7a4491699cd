//! Copied replica files, restored backups, and copies that come back after a long time.
use crate::desk::Desk;
use crate::team::*;

const START: &str = "CREATE TABLE t (id TEXT PRIMARY KEY, v TEXT); INSERT INTO t VALUES ('start', 'one');
                     CREATE TABLE n (id INTEGER PRIMARY KEY, v TEXT);";

fn write(member: &Member<'_>, label: &str, count: usize) {
    for n in 0..count {
        member.sql(&format!("INSERT INTO t VALUES ('{label} {n}', '{label}'); INSERT INTO n (v) VALUES ('{label} {n}');"));
    }
}

#[test]
fn a_copied_file_and_its_original_both_sync() {
    for order in [[0, 1], [1, 0]] {
        let desk = Desk::new();
        let members = found_from_sql(&desk, START, &["ada", "bob"]);
        write(&members[0], "before", 2);
        until_quiet(&[&members[0], &members[1]]);
        desk.copy(desk.path("ada.db"), "copy.db");
        let copy = Member::new(&desk, "ada", "copy.db");
        write(&members[0], "original", 5);
        write(&copy, "copy", 5);
        let both = [&members[0], &copy];
        until_quiet(&[both[order[0]], both[order[1]]]);
        until_quiet(&[&members[0], &copy, &members[1]]);
        assert_together(&[&members[0], &copy, &members[1]]);
        for table in ["t", "n"] {
            let count = members[1].sql(&format!("SELECT count(*) FROM {table} WHERE v LIKE 'original%' OR v LIKE 'copy%';"));
            assert_eq!(count, "10\n", "all rows of both in {table}");
        }
        let identities = [members[0].status()["replica"].clone(), copy.status()["replica"].clone()];
        assert_ne!(identities[0], identities[1], "two files, two replicas");
    }
}

#[test]
fn a_copy_made_with_unsent_work_in_it() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    write(&members[0], "unsent", 3);
    members[0].ok(&["commit", "-m", "not sent yet"]);
    desk.copy(desk.path("ada.db"), "copy.db");
    let copy = Member::new(&desk, "ada", "copy.db");
    write(&members[0], "original", 2);
    write(&copy, "copy", 2);
    until_quiet(&[&members[0], &copy, &members[1]]);
    assert_together(&[&members[0], &copy, &members[1]]);
    assert_eq!(members[1].sql("SELECT count(*) FROM t;"), "8\n", "what both carried arrived once, what each made arrived");
}

#[test]
fn an_older_backup_put_back() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    write(&members[0], "first", 2);
    until_quiet(&[&members[0], &members[1]]);
    desk.copy(desk.path("ada.db"), "backup.db");
    write(&members[0], "second", 3);
    until_quiet(&[&members[0], &members[1]]);
    // The disk died; the backup is what there is, and work goes on with it.
    std::fs::rename(desk.path("backup.db"), desk.path("ada.db")).expect("renamed");
    write(&members[0], "third", 4);
    until_quiet(&[&members[0], &members[1]]);
    assert_together(&[&members[0], &members[1]]);
    for (label, count) in [("first", "2\n"), ("second", "3\n"), ("third", "4\n")] {
        let sql = format!("SELECT count(*) FROM t WHERE v = '{label}';");
        assert_eq!(members[0].sql(&sql), count, "{label} on the restored copy");
        assert_eq!(members[1].sql(&sql), count, "{label} on the other copy");
    }
}

#[test]
fn verify_finds_a_write_made_behind_our_back() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    let triggers = "import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
saved = c.execute(\"SELECT name, sql FROM sqlite_master WHERE type='trigger'\").fetchall()
c.execute('BEGIN')
for name, sql in saved: c.execute('DROP TRIGGER \"%s\"' % name.replace('\"', '\"\"'))
c.execute(\"UPDATE t SET v = 'unseen' WHERE id = 'start'\")
for name, sql in saved: c.execute(sql)
c.execute('COMMIT')";
    desk.python(triggers, &["ada.db"]);
    let said = pair[0].run(&["verify", "--json"]);
    assert_ne!(said.code, 0, "{said:?}");
    let verified = said.json();
    assert_eq!(verified["ok"], false, "{verified}");
    assert!(verified["differences"].to_string().contains("start"), "the row is named: {verified}");
    assert_eq!(pair[1].json(&["verify"])["ok"], true, "the other copy is in order");
}

#[test]
fn a_copy_that_was_away_for_a_long_time() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    for round in 0..12 {
        pair[0].sql(&format!(
            "INSERT INTO t VALUES ('round {round}', 'v'); UPDATE t SET v = 'by Ada in round {round}' WHERE id = 'start'; DELETE FROM t WHERE id = 'round {}';",
            round - 3
        ));
        until_quiet(&[pair[0]]);
    }
    write(pair[1], "alone", 3);
    pair[1].sql("DELETE FROM t WHERE id = 'alone 0';");
    until_quiet(&[pair[1], pair[0]]);
    assert_together(&pair);
    assert_eq!(pair[1].sql("SELECT count(*) FROM t;"), "6\n", "start, three rounds, two of three");
    assert_eq!(pair[1].sql("SELECT count(*) FROM t WHERE id = 'round 2';"), "0\n", "nothing returned from the dead");
}

#[test]
fn a_clock_that_ran_ahead_poisons_nothing_once_it_is_right() {
    let desk = Desk::new();
    let sql = "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO note VALUES (1, 'first'), (2, 'second');";
    let members = found_from_sql(&desk, sql, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    // What capture noted while the clock said ten years later: before a commit, and in the replica's own clock.
    pair[0].sql("UPDATE note SET body = 'from the future' WHERE id = 1; UPDATE mainstem_log SET at = at + 3650;");
    pair[0].ok(&["commit", "-m", "early"]);
    let ahead = (4_000_000_000_000_u64 << 16).to_string();
    pair[0].sql(&format!("UPDATE mainstem_meta SET value = {ahead} WHERE name = 'clock';"));
    pair[0].sql("UPDATE note SET body = 'also' WHERE id = 2;");
    until_quiet(&pair);
    assert_together(&pair);
    // A later edit wins over it.
    pair[1].sql("UPDATE note SET body = 'later' WHERE id = 1;");
    until_quiet(&[pair[1], pair[0]]);
    assert_together(&pair);
    assert_eq!(pair[0].sql("SELECT body FROM note;"), "later\nalso\n");
}
