//! Backups of copies and of the primary, made while other programs write, and put back (F2, F3, F7, J9).
use crate::desk::{Desk, volume};
use crate::team::*;

const START: &str = "CREATE TABLE entry (id INTEGER PRIMARY KEY, who TEXT, n INTEGER, filler TEXT);
                     CREATE TABLE total (who TEXT PRIMARY KEY, n INTEGER);
                     INSERT INTO total VALUES ('w', 0);";

/// Commits one entry and the total at a time until its input closes, so that a committed state has as many entries as the
/// total says, numbered without a gap.
const WRITER: &str = "
import sqlite3, sys, threading
c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
done = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
print('ready')
while not done.is_set():
    c.execute('BEGIN IMMEDIATE')
    n = c.execute('SELECT n FROM total').fetchone()[0] + 1
    c.execute('INSERT INTO entry(who, n, filler) VALUES (?, ?, ?)', ('w', n, 'x' * (n * 37 % 3000)))
    c.execute('UPDATE total SET n = ?', (n,))
    c.execute('COMMIT')
    # Without a pause a rollback journal leaves no gap for any reader at all.
    done.wait(0.002)
";

/// Asserts that the entries are just those that the total counts: a state that was committed. Returns how many.
fn committed_prefix(desk: &Desk, db: &str) -> u64 {
    desk.assert_sound(db);
    let counts = desk.sql(db, "SELECT (SELECT n FROM total), count(*), ifnull(max(n), 0), count(DISTINCT n) FROM entry;");
    let counts: Vec<u64> = counts.trim().split('|').map(|n| n.parse().expect("a number")).collect();
    assert!(counts.iter().all(|n| *n == counts[0]), "{db} is no committed state: {counts:?}");
    counts[0]
}

fn mode(desk: &Desk, file: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(desk.path(file)).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn restore_drills_under_load() {
    let drills = volume("MAINSTEM_DRILLS", 20);
    for journal in ["wal", "delete"] {
        let desk = Desk::new();
        desk.sql("ada.db", &format!("PRAGMA journal_mode = {journal}; {START}"));
        found(&desk, "ada.db", &["ada"], &[]);
        let writer = desk.python_held(WRITER, &["ada.db"]);
        let mut last = 0;
        for drill in 0..drills / 2 {
            let (backup, restored) = (format!("{drill}.backup"), format!("restored-{drill}.db"));
            desk.ok(&["backup", "create", "ada.db", &backup]);
            assert_eq!(mode(&desk, &backup), 0o600);
            desk.ok(&["backup", "restore", &backup, &restored]);
            let held = committed_prefix(&desk, &restored);
            assert!(held >= last, "a later backup holds no less: {last}, then {held}");
            last = held;
            assert_eq!(desk.sql(&restored, "PRAGMA journal_mode;").trim(), journal);
        }
        drop(writer);
        let whole = committed_prefix(&desk, "ada.db");
        assert!(whole >= last && last > 0, "the writer was at work: {last} of {whole}");
        // A restored copy is a replica like any other, with the work that was not sent when it was made.
        let restored = Member::new(&desk, "cem", &format!("restored-{}.db", drills / 2 - 1));
        restored.sync();
        assert_eq!(desk.sql(PRIMARY_DB, "SELECT count(*) FROM entry;").trim(), last.to_string());
    }
}

/// Keeps every reader out but for a gap of some milliseconds now and then, as a busy program on a busy machine does.
const GREEDY: &str = "
import sqlite3, sys, threading
c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
done = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
c.execute('BEGIN EXCLUSIVE')
print('ready')
while not done.is_set():
    done.wait(0.4)
    c.execute('COMMIT')
    done.wait(0.004)
    c.execute('BEGIN EXCLUSIVE')
";

#[test]
fn a_backup_finds_the_gaps_that_a_program_leaves() {
    let desk = Desk::new();
    // More pages than are copied at once: each part of the copy needs the lock anew.
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) INSERT INTO entry(who, n, filler) SELECT 'g', i, hex(randomblob(1500)) FROM n;";
    desk.sql("ada.db", &format!("PRAGMA journal_mode = delete; {START} {many}"));
    found(&desk, "ada.db", &["ada"], &[]);
    let greedy = desk.python_held(GREEDY, &["ada.db"]);
    for backup in ["one.backup", "two.backup"] {
        desk.ok(&["backup", "create", "ada.db", backup]);
    }
    drop(greedy);
    desk.ok(&["backup", "restore", "two.backup", "restored.db"]);
    assert_eq!(desk.rows("restored.db"), desk.rows("ada.db"));
}

#[test]
fn a_primary_under_load_is_backed_up_and_restored() {
    let drills = volume("MAINSTEM_DRILLS", 20);
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let writer = desk.python_held(WRITER, &[PRIMARY_DB]);
    for drill in 0..drills / 4 {
        members[0].sql(&format!("INSERT INTO total VALUES ('drill {drill}', {drill});"));
        members[0].sync();
        let (backup, folder) = (format!("{drill}.backup"), format!("again-{drill}"));
        desk.ok(&["backup", "create", PRIMARY, &backup]);
        desk.ok(&["backup", "restore", &backup, &folder]);
        let db = format!("{folder}/primary.db");
        desk.assert_sound(&db);
        let counts = desk.sql(&db, "SELECT (SELECT n FROM total WHERE who = 'w') = count(*), count(*) = count(DISTINCT n) FROM entry;");
        assert_eq!(counts.trim(), "1|1");
        assert_eq!(desk.sql(&db, &format!("SELECT count(*) FROM total WHERE who = 'drill {drill}';")).trim(), "1", "what was accepted");
    }
    drop(writer);
    desk.ok(&["clone", "again-0", "clone.db"]);
    until_quiet(&[&members[0], &members[1]]);
    assert_together(&[&members[0], &members[1]]);
}

#[test]
fn what_a_restored_primary_lost_comes_back_from_the_copies() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob", "cem"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("INSERT INTO total VALUES ('before', 1);");
    until_quiet(&pair);
    let made = desk.run(&["backup", "create", PRIMARY, "night.backup", "--json"]).json();
    assert_eq!((made["kind"].as_str(), made["version"].as_u64()), (Some("primary"), Some(2)));
    // The nine steps of a morning: work, accepted everywhere; then the disk dies and the night's backup is put back.
    for n in 0..5 {
        pair[n % 2].sql(&format!("INSERT INTO total VALUES ('morning {n}', {n}); UPDATE total SET n = n + 1 WHERE who = 'before';"));
        until_quiet(&pair);
    }
    let rows = desk.rows("ada.db");
    pair[1].sql("UPDATE total SET n = 100 WHERE who = 'morning 4';");
    desk.run(&["backup", "restore", "night.backup", PRIMARY]).refuses(5, "exists already");
    let said = desk.ok(&["--as", "admin", "backup", "restore", "night.backup", PRIMARY, "--force"]);
    assert!(said.contains("at version 2 again") && said.contains("kept as"), "{said}");
    let told = pair[0].ok(&["sync"]);
    assert!(told.contains("the primary was restored from an older copy: offered 5 versions again"), "{told}");
    until_quiet(&[&members[0], &members[1], &members[2]]);
    assert_together(&[&members[0], &members[1], &members[2]]);
    let expected = rows.replace("n=i4|who=t\"morning 4\"", "n=i100|who=t\"morning 4\"");
    assert_ne!(expected, rows);
    assert_same(&sorted(&desk.rows("cem.db")), &sorted(&expected), "all that was accepted, and bob's edit");
    let versions = members[2].json(&["log"]);
    let by: Vec<&str> = versions.as_array().expect("a list").iter().filter_map(|v| v["actor"].as_str()).collect();
    assert_eq!(by, ["bob", "ada", "bob", "ada", "bob", "ada", "ada"], "newest first, each by its author");
}

#[test]
fn a_primary_put_back_with_cp_is_noticed_and_mended() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("INSERT INTO total VALUES ('kept', 1);");
    until_quiet(&pair);
    desk.sql(PRIMARY_DB, &format!("VACUUM INTO '{}';", desk.path("old.db").display()));
    pair[0].sql("INSERT INTO total VALUES ('lost', 2);");
    until_quiet(&pair);
    desk.python("import glob, os, shutil; [os.remove(f) for f in glob.glob('shared-primary/primary.db*')]; shutil.copy('old.db', 'shared-primary/primary.db')", &[]);
    pair[1].sql("INSERT INTO total VALUES ('new', 3);");
    until_quiet(&[pair[1], pair[0]]);
    assert_together(&pair);
    assert_eq!(pair[0].sql("SELECT group_concat(who) FROM (SELECT who FROM total ORDER BY who);").trim(), "kept,lost,new,w");
}

#[test]
fn a_copy_of_a_replica_goes_on_as_another_with_its_unsent_work() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("INSERT INTO total VALUES ('unsent', 1);");
    pair[0].ok(&["commit", "-m", "not sent yet"]);
    pair[0].sql("INSERT INTO total VALUES ('not committed', 2);");
    desk.ok(&["backup", "create", "ada.db", "ada.backup"]);
    let identity = pair[0].status()["replica"].clone();
    pair[0].sql("INSERT INTO total VALUES ('after the backup', 3);");
    until_quiet(&pair);
    let said = desk.ok(&["backup", "restore", "ada.backup", "ada.db", "--force"]);
    assert!(said.contains("1 changeset is to send"), "{said}");
    assert_ne!(pair[0].status()["replica"], identity);
    pair[0].sql("INSERT INTO total VALUES ('on the restored', 4);");
    until_quiet(&pair);
    assert_together(&pair);
    let all = "after the backup,not committed,on the restored,unsent,w";
    assert_eq!(pair[1].sql("SELECT group_concat(who) FROM (SELECT who FROM total ORDER BY who);").trim(), all);
}

#[test]
fn what_is_no_backup_or_not_whole_is_not_restored() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada"]);
    members[0].sql("INSERT INTO entry(who, n, filler) SELECT 'w', value, 'some text to find' FROM generate_series(1, 500);");
    desk.ok(&["backup", "create", "ada.db", "good.backup"]);
    desk.run(&["backup", "create", "ada.db", "good.backup"]).refuses(5, "exists already");
    desk.run(&["backup", "create", "nothing.db"]).refuses(4, "nothing.db");
    desk.run(&["backup", "create", ".", "x.backup"]).refuses(4, "primary.db");
    desk.run(&["backup", "restore", "ada.db", "new.db"]).refuses(2, "no backup");
    desk.run(&["backup", "restore", "good.backup", PRIMARY]).refuses(2, "is a folder");
    // One letter in one row; SQLite itself finds nothing wrong with it.
    let flip =
        "import sys; p = sys.argv[1]; b = bytearray(open(p, 'rb').read()); at = b.index(b'some text'); b[at] ^= 1; open(p, 'wb').write(b)";
    desk.copy(desk.path("good.backup"), "flipped.backup");
    desk.python(flip, &["flipped.backup"]);
    desk.run(&["backup", "restore", "flipped.backup", "new.db"]).refuses(7, "not what it was");
    let cut = "import sys; p = sys.argv[1]; b = open(p, 'rb').read(); open(p, 'wb').write(b[:len(b) // 2])";
    desk.copy(desk.path("good.backup"), "cut.backup");
    desk.python(cut, &["cut.backup"]);
    let said = desk.run(&["backup", "restore", "cut.backup", "new.db"]);
    assert_eq!(said.code, 7, "{said:?}");
    assert!(!desk.path("new.db").exists());
    let leftovers = |name: &std::ffi::OsStr| name.to_string_lossy().contains("mainstem-part");
    assert!(!std::fs::read_dir(desk.path(".")).expect("a folder").flatten().any(|e| leftovers(&e.file_name())));
    let listed = desk.run(&["backup", "list", "--json"]);
    assert!(listed.code == 1 && listed.err.contains("cut.backup"), "{listed:?}");
    assert_eq!(listed.json().as_array().map(Vec::len), Some(2), "a list says what backups say of themselves: {listed:?}");
    desk.ok(&["backup", "restore", "good.backup", "new.db"]);
    assert_same(&desk.rows("new.db"), &desk.rows("ada.db"), "the restored copy");
}

#[test]
fn a_target_in_use_is_not_replaced() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada"]);
    desk.ok(&["backup", "create", "ada.db", "ada.backup"]);
    let holder = "
import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute('PRAGMA journal_mode = WAL')
c.execute(\"INSERT INTO total VALUES ('held', 1)\")
print('ready')
sys.stdin.read()";
    let held = desk.python_held(holder, &["ada.db"]);
    desk.run(&["backup", "restore", "ada.backup", "ada.db", "--force"]).refuses(6, "in use");
    drop(held);
    assert_eq!(members[0].sql("SELECT count(*) FROM total WHERE who = 'held';").trim(), "1");
    desk.ok(&["backup", "restore", "ada.backup", "ada.db", "--force"]);
    assert_eq!(members[0].sql("SELECT count(*) FROM total WHERE who = 'held';").trim(), "0");
}
