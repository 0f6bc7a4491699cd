//! kill -9 of a server and of its clients while they work: what was acknowledged is there, chains verify, copies meet.
//!
//! `MAINSTEM_KILLS=200` runs more rounds than every day.
use crate::crash::progress;
use crate::desk::{Desk, Dice, finish, volume};
use crate::people::{Person, Serving};
use std::process::{Child, Stdio};

const START: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, round INTEGER, who TEXT, v TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) INSERT INTO t SELECT i, -1, 'start', hex(randomblob(40)) FROM n;";
const FILES: [&str; 2] = ["ann.db", "bob.db"];
const PRIMARY: &str = "data/recipes/primary.db";

fn syncing(ann: &Person<'_>, db: &str) -> Child {
    let mut command = ann.desk.program(&["sync", "--db", db]);
    command.env("XDG_CONFIG_HOME", ann.config()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("it starts")
}

/// Waits until a process has made so much more progress, or nobody has anything left to do. Returns the progress it made.
fn until(pid: u32, more: u64, clients: &mut [Child]) -> u64 {
    let begin = progress(pid).unwrap_or(0);
    loop {
        let now = progress(pid).unwrap_or(0).saturating_sub(begin);
        let are_done = clients.iter_mut().all(|client| client.try_wait().expect("it can be asked").is_some());
        if now >= more || are_done {
            return now;
        }
        std::thread::yield_now();
    }
}

#[test]
fn nothing_acknowledged_is_lost() {
    let rounds = volume("MAINSTEM_KILLS", 9);
    let (desk, mut dice) = (Desk::new(), Dice::new(4));
    let ann = Person { desk: &desk, name: "ann" };
    let mut server = Serving::begin(&desk, &[]);
    let listen = server.address.trim_start_matches("http://").to_string();
    desk.sql(FILES[0], START);
    ann.ok(&["init", FILES[0]]);
    assert_eq!(ann.login(&server, server.setup.as_deref().expect("a setup token")).code, 0);
    ann.ok(&["publish", &server.dataset(), "--db", FILES[0], "--dataset", "recipes"]);
    ann.ok(&["clone", &server.dataset(), FILES[1]]);
    // How far the server and a client get in a round; the first rounds measure it.
    let mut most = [1, 1];
    for round in 0..rounds {
        for db in FILES {
            desk.sql(
                db,
                &format!(
                    "BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
                 INSERT INTO t (round, who, v) SELECT {round}, '{db}', hex(randomblob(40)) FROM n;
                 UPDATE t SET v = 'round {round}' WHERE who = 'start' AND id % 7 = {round} % 7; COMMIT;"
                ),
            );
        }
        let mut clients = FILES.map(|db| syncing(&ann, db));
        let is_server = round % 3 != 1;
        let victim = if is_server { server.child.id() } else { clients[dice.below(2) as usize].id() };
        let most = &mut most[usize::from(!is_server)];
        let moment = if round < 2 { u64::MAX } else { dice.below(*most + *most / 8) };
        *most = (*most).max(until(victim, moment, &mut clients));
        if is_server {
            server.child.kill().expect("it runs");
            server.child.wait().expect("it ends");
        } else {
            let _ = clients.iter_mut().find(|client| client.id() == victim).expect("one of them").kill();
        }
        let acknowledged = clients.map(|mut client| client.wait().expect("it ends").success());
        if is_server {
            server = Serving::begin_at(&desk, &listen, &[]);
        }
        for (db, _) in FILES.iter().zip(acknowledged).filter(|(_, is)| *is) {
            let count = desk.sql(PRIMARY, &format!("SELECT count(*) FROM t WHERE round = {round} AND who = '{db}';"));
            assert_eq!(count.trim(), "50", "round {round} of {db} was acknowledged");
        }
        assert_eq!(desk.sql(PRIMARY, "PRAGMA integrity_check;").trim(), "ok", "the primary after round {round}");
        if round % 10 == 8 {
            ann.ok(&["audit", "verify", "data/recipes"]);
        }
    }
    for db in [FILES[0], FILES[1], FILES[0], FILES[1]] {
        // Where both changed a row of the start, that is a conflict, which is told by the exit code.
        let said = finish(desk.program(&["sync", "--db", db]).env("XDG_CONFIG_HOME", ann.config()));
        assert!(said.code == 0 || said.code == 5 && said.err.is_empty(), "{db}: {said:?}");
    }
    ann.ok(&["audit", "verify", "data/recipes"]);
    assert_eq!(desk.rows(FILES[0]), desk.rows(FILES[1]));
    for db in FILES {
        let count = desk.sql(FILES[0], &format!("SELECT count(*), count(DISTINCT v) FROM t WHERE who = '{db}';"));
        assert_eq!(count.trim(), format!("{0}|{0}", rounds * 50), "each row of {db} once");
        desk.assert_sound(db);
    }
}

#[test]
fn a_clone_that_was_killed_goes_on_when_it_is_asked_for_again() {
    let desk = Desk::new();
    let ann = Person { desk: &desk, name: "ann" };
    let server = Serving::begin(&desk, &[]);
    desk.sql("ann.db", START);
    desk.sql("ann.db", "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 60999) INSERT INTO t SELECT i, 0, 'many', hex(randomblob(100)) FROM n;");
    ann.ok(&["init", "ann.db"]);
    assert_eq!(ann.login(&server, server.setup.as_deref().expect("a setup token")).code, 0);
    ann.ok(&["publish", &server.dataset(), "--db", "ann.db", "--dataset", "recipes"]);
    let part = desk.path("ben.db.mainstem-part");
    let cut_off = || {
        let mut command = desk.program(&["clone", &server.dataset(), "ben.db"]);
        let mut clone =
            command.env("XDG_CONFIG_HOME", ann.config()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        // Some thousand rows are in the file, and not all yet.
        while std::fs::metadata(&part).map_or(0, |file| file.len()) < 6_000_000 {
            assert!(clone.try_wait().expect("it can be asked").is_none(), "it was done too soon");
            std::thread::yield_now();
        }
        clone.kill().expect("it runs");
        clone.wait().expect("it ends");
        assert!(part.exists() && !desk.path("ben.db").exists());
    };
    cut_off();
    let cloned = ann.json(&["clone", &server.dataset(), "ben.db"]);
    let before = cloned["rows_from_before"].as_u64().expect("a number");
    assert!((10_000..60_200).contains(&before), "{cloned}");
    assert_eq!(desk.rows("ben.db"), desk.rows("ann.db"));
    assert!(!part.exists());
    desk.assert_sound("ben.db");
    // Where others have written meanwhile it begins again, and says so.
    std::fs::remove_file(desk.path("ben.db")).expect("it is there");
    cut_off();
    desk.sql("ann.db", "UPDATE t SET v = 'new' WHERE id = 5;");
    ann.ok(&["sync", "--db", "ann.db"]);
    let said = ann.ok(&["clone", &server.dataset(), "ben.db"]);
    assert!(said.contains("another state of the primary"), "{said}");
    assert_eq!(desk.rows("ben.db"), desk.rows("ann.db"));
}
