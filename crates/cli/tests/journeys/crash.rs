//! kill -9 at random moments of init, publish, clone, commit, push, pull and sync. A crash is a normal way to stop.
//!
//! The moment is measured in bytes that the program has written or system calls it has made, read from /proc, so that
//! it falls inside the work on a fast and on a slow machine. `MAINSTEM_KILLS=200` runs more rounds than every day.
use crate::desk::{Desk, Dice, volume};
use crate::team::*;
use std::process::{Command, Stdio};

const START: &str = "
    CREATE TABLE t (id INTEGER PRIMARY KEY, who TEXT, v TEXT);
    CREATE TABLE part (t INTEGER REFERENCES t (id), n INTEGER, v TEXT, PRIMARY KEY (t, n));
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO t SELECT i, 'start', hex(randomblob(60)) FROM n;
    INSERT INTO part SELECT id, 1, v FROM t;
";

/// Bytes written and system calls for input and output made so far by a process; none when it has ended.
pub fn progress(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let field = |name: &str| -> u64 { text.lines().find_map(|l| l.strip_prefix(name)).and_then(|v| v.trim().parse().ok()).unwrap_or(0) };
    Some(field("wchar:") / 512 + field("syscr:") + field("syscw:"))
}

/// Runs a command until it has made that much progress, then kills it. True where it ended by itself before.
pub fn kill_at(command: &mut Command, moment: u64) -> bool {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    while progress(child.id()).is_some_and(|p| p < moment) {
        if child.try_wait().expect("it can be asked").is_some() {
            return true;
        }
        std::thread::yield_now();
    }
    let _ = child.kill();
    child.wait().expect("it ends").success()
}

/// How much progress a command makes when nobody stops it.
pub fn whole(command: &mut Command) -> u64 {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut most = 1;
    while child.try_wait().expect("it can be asked").is_none() {
        most = most.max(progress(child.id()).unwrap_or(0));
        std::thread::yield_now();
    }
    most
}

/// Kills the command at a random moment, then lets it run to its end.
pub fn kill_and_go_on(desk: &Desk, dice: &mut Dice, most: &mut u64, db: &str, make: &dyn Fn() -> Command) {
    kill_at(&mut make(), dice.below(*most + *most / 8));
    if desk.path(db).exists() {
        assert_eq!(desk.sql(db, "PRAGMA integrity_check;").trim(), "ok", "{db} after the kill");
    }
    let said = crate::desk::finish(&mut make());
    // Where the command had ended before the kill, a second publish or clone finds its own work done.
    let is_done = said.err.contains("has a primary already") || said.err.contains(&format!("{db} exists already"));
    let is_good = said.code == 0 || said.code == 5 && (is_done || said.err.is_empty());
    assert!(is_good, "the next command goes on by itself: {said:?}");
}

#[test]
fn init_publish_and_clone() {
    let rounds = volume("MAINSTEM_KILLS", 40) / 4;
    let mut dice = Dice::new(11);
    let desk = Desk::new();
    desk.sql("plain.db", START);
    let dump = desk.dump("plain.db");
    let measure = |args: &[&str]| whole(&mut desk.program(args));
    desk.copy(desk.path("plain.db"), "measured.db");
    let mut most = [
        measure(&["--as", "ada", "init", "measured.db"]),
        measure(&["--db", "measured.db", "--as", "ada", "publish", "measured"]),
        measure(&["--as", "bob", "clone", "measured", "measured-clone.db"]),
    ];
    for round in 0..rounds {
        let (db, primary, clone) = (format!("a{round}.db"), format!("primary{round}"), format!("b{round}.db"));
        desk.copy(desk.path("plain.db"), &db);
        kill_and_go_on(&desk, &mut dice, &mut most[0], &db, &|| desk.program(&["--as", "ada", "init", &db]));
        kill_and_go_on(&desk, &mut dice, &mut most[1], &db, &|| desk.program(&["--db", &db, "--as", "ada", "publish", &primary]));
        kill_and_go_on(&desk, &mut dice, &mut most[2], &clone, &|| desk.program(&["--as", "bob", "clone", &primary, &clone]));
        let ada = Member::new(&desk, "ada", &db);
        let bob = Member::new(&desk, "bob", &clone);
        ada.sql("UPDATE t SET v = 'after' WHERE id = 7;");
        until_quiet(&[&ada, &bob]);
        assert_eq!(bob.sql("SELECT v FROM t WHERE id = 7; SELECT count(*) FROM part;"), "after\n400\n");
        assert_eq!(ada.json(&["verify"])["digest"], bob.json(&["verify"])["digest"], "round {round}");
        ada.sql("UPDATE t SET v = (SELECT v FROM part WHERE t = 7) WHERE id = 7;");
        ada.ok(&["deinit", "--force"]);
        assert_same(&desk.dump(&db), &dump, "the plain file");
    }
}

#[test]
fn commit_push_pull_and_sync() {
    let rounds = volume("MAINSTEM_KILLS", 40) - volume("MAINSTEM_KILLS", 40) / 4;
    let mut dice = Dice::new(12);
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let mut written = vec![0u64; 2];
    let mut most = [200u64; 4];
    for round in 0..rounds {
        let who = (round % 2) as usize;
        let member = &members[who];
        let rows = 20 + dice.below(200);
        member.sql(&format!(
            "BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO t (who, v) SELECT '{actor}', 'round {round} row ' || i FROM n;
             INSERT INTO part SELECT id, 9, v FROM t WHERE v LIKE 'round {round} %';
             UPDATE t SET v = 'touched in {round}' WHERE who = 'start' AND id % 17 = {round} % 17; COMMIT;",
            actor = member.actor
        ));
        written[who] += rows;
        let verb = ["commit", "push", "pull", "sync"];
        let which = dice.below(4) as usize;
        let args: &[&str] = if which == 0 { &["commit", "-m", "a round"] } else { &[verb[which]] };
        if round < 4 {
            // The first rounds measure how far each command goes.
            let args: &[&str] = if round == 0 { &["commit", "-m", "a round"] } else { &[verb[round as usize]] };
            most[round as usize] = whole(&mut member.program(args)).max(20);
            continue;
        }
        kill_and_go_on(&desk, &mut dice, &mut most[which], &member.db, &|| member.program(args));
        assert_eq!(desk.sql(PRIMARY_DB, "PRAGMA integrity_check;").trim(), "ok", "the primary after the kill");
    }
    until_quiet(&[&members[0], &members[1]]);
    assert_together(&[&members[0], &members[1]]);
    for (member, count) in members.iter().zip(written) {
        for seen in &members {
            let sql = format!("SELECT count(*), count(DISTINCT v) FROM t WHERE who = '{}';", member.actor);
            assert_eq!(seen.sql(&sql), format!("{count}|{count}\n"), "rows of {} at {}", member.actor, seen.db);
            let linked = format!("SELECT count(*) FROM part p JOIN t ON t.id = p.t AND t.v = p.v WHERE who = '{}';", member.actor);
            assert_eq!(seen.sql(&linked), format!("{count}\n"), "each with its own part");
        }
    }
}

#[test]
fn a_primary_that_is_an_empty_file_is_founded_anew() {
    // What a kill leaves between making the file and writing its first page.
    let desk = Desk::new();
    desk.sql("a.db", START);
    desk.ok(&["--as", "ada", "init", "a.db"]);
    std::fs::create_dir(desk.path("primary")).expect("made");
    std::fs::write(desk.path("primary/primary.db"), b"").expect("written");
    desk.run(&["clone", "primary", "b.db"]).refuses(4, "no primary");
    desk.ok(&["--db", "a.db", "--as", "ada", "publish", "primary"]);
    desk.ok(&["clone", "primary", "b.db"]);
}
