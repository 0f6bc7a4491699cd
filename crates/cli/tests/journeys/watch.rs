//! `watch`: copies come together with no command typed, whatever is moved away, cut off or killed meanwhile.
//!
//! Everything is waited for until it is so, with a limit that no sound run comes near.
use crate::desk::{Desk, Dice, Said, feed};
use crate::team::*;
use serde_json::Value as Json;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

const START: &str = "PRAGMA journal_mode = wal; CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT UNIQUE, stars INTEGER);
    INSERT INTO note VALUES (1, 'first', 0);";
const LOOKS_MAX: usize = 1_200;

/// A running `mainstem watch`.
pub struct Watching {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Watching {
    /// Begins it.
    pub fn of(command: Command) -> Watching {
        Watching::of_program(command, Stdio::piped())
    }
    fn of_program(mut command: Command, stderr: Stdio) -> Watching {
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("it starts");
        let out = child.stdout.take().expect("stdout is piped");
        let (tell, lines) = channel();
        std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Watching { child, lines, said: Vec::new() }
    }
    /// Waits until a line says that; answers the line.
    pub fn until(&mut self, what: &str) -> String {
        self.hear(what).unwrap_or_else(|| panic!("it never said {what:?}: {:#?}", self.said))
    }
    /// The same; none where it ends without a word, or never says it.
    fn hear(&mut self, what: &str) -> Option<String> {
        for _ in 0..LOOKS_MAX {
            match self.lines.recv_timeout(Duration::from_millis(50)) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(what) {
                        return Some(line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        None
    }
    /// Ends it by a signal; answers its exit code and all that it said.
    pub fn end(mut self, signal: &str) -> Said {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill").success());
        let code = self.child.wait().expect("it ends").code().unwrap_or(-1);
        let mut err = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            std::io::Read::read_to_string(&mut stderr, &mut err).expect("read");
        }
        self.said.extend(self.lines.iter());
        Said { code, out: self.said.join("\n"), err }
    }
}

/// Waits until that holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let (_never, nothing) = channel::<()>();
    for _ in 0..LOOKS_MAX {
        if holds() {
            return;
        }
        let _ = nothing.recv_timeout(Duration::from_millis(50));
    }
    panic!("it never came to pass that {what}");
}

fn watch(member: &Member<'_>) -> Watching {
    let mut watching = Watching::of(member.program(&["watch"]));
    watching.until("watching, in sync");
    watching
}

fn has(member: &Member<'_>, text: &str) -> bool {
    member.sql(&format!("SELECT count(*) FROM note WHERE text = '{text}';")).trim() == "1"
}

fn add(member: &Member<'_>, text: &str) {
    member.sql(&format!("INSERT INTO note (text) VALUES ('{text}');"));
}

fn events(desk: &Desk) -> String {
    desk.sql(PRIMARY_DB, "SELECT count(*) FROM mainstem_event;")
}

fn move_to(desk: &Desk, from: &str, to: &str) {
    std::fs::rename(desk.path(from), desk.path(to)).expect("moved");
}

#[test]
fn rows_arrive_both_ways_without_a_command() {
    for mode in ["wal", "delete"] {
        let desk = Desk::new();
        let members = found_from_sql(&desk, START, &["ada", "bob"]);
        let [ada, bob] = &members[..] else { panic!("two") };
        ada.sql(&format!("PRAGMA journal_mode = {mode};"));
        add(ada, "before anybody watched");
        let watching = [watch(ada), watch(bob)];
        until("what was there before arrives", || has(bob, "before anybody watched"));
        for round in 0..4 {
            add(ada, &format!("ada {round}"));
            add(bob, &format!("bob {round}"));
            until("both rows are in both copies", || has(bob, &format!("ada {round}")) && has(ada, &format!("bob {round}")));
        }
        // A program that writes straight into the primary.
        desk.sql(PRIMARY_DB, "INSERT INTO note (text) VALUES ('into the primary');");
        until("it arrives", || has(ada, "into the primary") && has(bob, "into the primary"));
        ada.sql("ALTER TABLE note ADD COLUMN colour TEXT; UPDATE note SET colour = 'red' WHERE id = 1;");
        until("a schema change arrives", || bob.desk.try_sql(&bob.db, "SELECT colour FROM note WHERE id = 1;").out == "red\n");
        let before = events(&desk);
        let said = watching.map(|watching| watching.end("-TERM"));
        assert_eq!(events(&desk), before, "silence: {said:?}");
        for one in &said {
            assert_eq!((one.code, one.err.as_str()), (0, ""), "{one:?}");
            assert!(!one.out.contains("offline") && !one.out.contains("blocked"), "{one:?}");
            let moved = one.out.lines().filter(|l| l.contains("now at version")).count();
            assert!((1..=12).contains(&moved), "a line for each sync that moved something: {one:?}");
        }
        assert_together(&[ada, bob]);
    }
}

#[test]
fn a_primary_that_goes_away_is_found_again() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let [ada, bob] = &members[..] else { panic!("two") };
    let mut watching = [watch(ada), watch(bob)];
    for round in 0..2 {
        move_to(&desk, PRIMARY, "away");
        watching.iter_mut().for_each(|w| assert!(w.until("offline").contains("trying again")));
        add(ada, &format!("ada {round}"));
        add(bob, &format!("bob {round}"));
        // The line may have been about the time before: what was on its way comes late.
        let mut state = Json::Null;
        until("both say that they are offline", || {
            state = ada.json(&["sync", "status"]);
            state["watch"]["state"] == "offline" && bob.json(&["sync", "status"])["watch"]["state"] == "offline"
        });
        assert_eq!(state["unsent_changes"], 1, "{state}");
        assert!(state["watch"]["message"].is_string() && state["primary_version"].is_null(), "{state}");
        move_to(&desk, "away", PRIMARY);
        until("the work of both comes together", || has(bob, &format!("ada {round}")) && has(ada, &format!("bob {round}")));
        watching.iter_mut().for_each(|w| drop(w.until("watching, in sync")));
    }
    watching.into_iter().for_each(|w| assert_eq!(w.end("-INT").code, 0));
    assert_together(&[ada, bob]);
}

#[test]
fn a_stranger_in_the_primarys_place_blocks_and_is_not_written() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada"]);
    let ada = &members[0];
    desk.sql("other.db", START);
    desk.ok(&["init", "other.db"]);
    desk.ok(&["--db", "other.db", "publish", "stranger"]);
    let mut watching = watch(ada);
    move_to(&desk, PRIMARY, "away");
    move_to(&desk, "stranger", PRIMARY);
    watching.until("blocked, trying again now and then");
    add(ada, "not for strangers");
    let state = ada.json(&["sync", "status"]);
    assert_eq!(state["watch"]["state"], "blocked", "{state}");
    assert_eq!(desk.sql(PRIMARY_DB, "SELECT count(*) FROM note;"), "1\n");
    move_to(&desk, PRIMARY, "stranger");
    move_to(&desk, "away", PRIMARY);
    until("it goes on with its own", || desk.sql(PRIMARY_DB, "SELECT count(*) FROM note;") == "2\n");
    watching.until("watching, in sync");
    watching.end("-TERM");
}

#[test]
fn a_watch_that_is_killed_goes_on_where_it_was() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let [ada, bob] = &members[..] else { panic!("two") };
    let mut dice = Dice::new(5);
    let others = watch(bob);
    for round in 0..6 {
        let watching = Watching::of(ada.program(&["watch"]));
        let rows = 1 + dice.below(300);
        ada.sql(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) INSERT INTO note (text) SELECT 'a {round} ' || i FROM n;"
        ));
        add(bob, &format!("b {round}"));
        let moment = dice.below(40);
        for look in 0.. {
            if look == moment || has(bob, &format!("a {round} 1")) {
                break;
            }
        }
        watching.end("-KILL");
        assert_eq!(ada.json(&["sync", "status"])["watch"], Json::Null, "a killed watch watches nothing");
        desk.assert_sound(&ada.db);
    }
    let last = watch(ada);
    until("everything is everywhere", || {
        let count = |m: &Member<'_>| m.sql("SELECT count(*), count(DISTINCT text) FROM note;");
        has(bob, "a 5 1") && has(ada, "b 5") && count(ada) == count(bob)
    });
    [last, others].into_iter().for_each(|w| assert_eq!(w.end("-TERM").code, 0));
    assert_together(&[ada, bob]);
}

#[test]
fn one_watch_at_a_time_and_syncs_by_hand_beside_it() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let [ada, bob] = &members[..] else { panic!("two") };
    let watching = watch(ada);
    ada.run(&["watch"]).refuses(6, "is being watched by ada");
    for round in 0..5 {
        add(ada, &format!("by hand {round}"));
        let said = ada.run(&["sync"]);
        assert!(said.code == 0 || said.code == 6 && said.err.contains("is being synced by"), "{said:?}");
    }
    until("all of it is sent", || {
        bob.sync();
        has(bob, "by hand 4") && has(bob, "by hand 0")
    });
    let said = watching.end("-TERM");
    assert!(!said.out.contains("offline") && !said.out.contains("blocked"), "a sync by hand is no failure: {said:?}");
    assert_eq!(watch(ada).end("-TERM").code, 0, "the next watch takes over");
    assert_together(&[ada, bob]);
}

#[test]
fn a_file_that_is_moved_or_swapped_is_let_go() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let [ada, bob] = &members[..] else { panic!("two") };
    let mut watching = watch(ada);
    desk.ok(&["clone", PRIMARY, "third.db"]);
    // Renamed: what others send does not go into the moved file.
    move_to(&desk, "ada.db", "moved.db");
    watching.until("gone, waiting for it");
    let before = desk.fingerprint(&["moved.db"]);
    add(bob, "while it was away");
    bob.sync();
    // Another copy in its place is not taken for it.
    move_to(&desk, "third.db", "ada.db");
    assert!(watching.until("gone").contains("another database"));
    assert_eq!(desk.fingerprint(&["moved.db"]), before, "nothing was written into the moved file");
    assert!(!has(&Member::new(&desk, "third", "ada.db"), "while it was away"), "nor into the other");
    move_to(&desk, "ada.db", "third.db");
    move_to(&desk, "moved.db", "ada.db");
    until("it goes on when it is back", || has(ada, "while it was away"));
    add(ada, "after it was back");
    until("both ways", || {
        bob.sync();
        has(bob, "after it was back")
    });
    watching.end("-TERM");
    assert_together(&[ada, bob]);
}

#[test]
fn conflicts_are_named_and_lines_are_json() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let [ada, bob] = &members[..] else { panic!("two") };
    ada.ok(&["policy", "set", "strategy", "manual"]);
    bob.sync();
    add(bob, "other work");
    bob.sql("UPDATE note SET text = 'by bob' WHERE id = 1;");
    bob.sync();
    ada.sql("UPDATE note SET text = 'by ada' WHERE id = 1;");
    let mut watching = watch(ada);
    let (line, id) = (watching.said.join("\n"), ada.open_conflicts()[0]["id"].as_str().expect("an id").to_string());
    assert!(line.contains(&format!("conflict {id} in note 1 text: mainstem --db ada.db conflicts")), "{line}");
    let told = desk.ok(&["watch", "--status"]);
    assert!(told.contains("watching since") && told.contains("1 open: mainstem --db"), "{told}");
    assert_eq!(watching.child.try_wait().expect("asked"), None);
    watching.end("-INT");

    let mut watching = Watching::of(bob.program(&["watch", "--json"]));
    watching.until("\"conflict\"");
    watching.until("\"watching\"");
    let status: Json = serde_json::from_str(&desk.ok(&["watch", "--status", "--json"])).expect("JSON");
    assert_eq!((&status[0]["state"], &status[0]["conflicts_open"]), (&Json::from("watching"), &Json::from(1)), "{status}");
    for line in watching.end("-TERM").out.lines() {
        let told: Json = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(told["event"].is_string() && told["at"].is_string() && told["database"] == "bob.db", "{told}");
    }
    assert_eq!(desk.ok(&["watch", "--status", "--json"]).trim(), "[]");
    assert!(desk.ok(&["watch", "--status"]).contains("nothing is watched"));
}

#[test]
fn several_databases_and_what_cannot_be_watched() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    desk.sql("plain.db", START);
    desk.ok(&["init", "plain.db"]);
    desk.run(&["--db", "plain.db", "watch"]).refuses(2, "has no primary yet");
    std::fs::remove_file(desk.path("plain.db")).expect("removed");
    desk.run(&["watch", "nowhere.db"]).refuses(4, "nowhere.db");
    desk.run(&["watch", PRIMARY]).refuses(4, "no tracked database");
    let mut watching = Watching::of(desk.program(&["--as", "eve", "watch", ".", "ada.db"]));
    watching.until("watching, in sync");
    watching.until("watching, in sync");
    let status: Json = serde_json::from_str(&desk.ok(&["watch", "--status", "--json"])).expect("JSON");
    assert_eq!(status.as_array().map(Vec::len), Some(2), "each once: {status}");
    add(&members[0], "one process for both");
    until("it arrives", || has(&members[1], "one process for both"));
    watching.end("-TERM");
    let unit = members[0].ok(&["watch", "--install"]);
    assert!(unit.contains("[Service]\nExecStart=") && unit.contains("ada.db\"\n"), "{unit}");
    let said = members[0].run(&["watch", "--install"]);
    assert!(said.err.contains("systemctl --user enable --now mainstem-watch"), "{said:?}");
}

/// A server of the folder `served`, and what it says when it listens. Port 0 is any that is free.
fn serve(desk: &Desk, port: &str) -> Option<(Watching, Json)> {
    let command = desk.program(&["--json", "serve", "--data", "served", "--listen", &format!("127.0.0.1:{port}")]);
    let mut server = Watching::of_program(command, Stdio::null());
    let line = server.hear("listening")?;
    Some((server, serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))))
}

#[test]
fn a_server_that_is_killed_and_comes_back_misses_nothing() {
    let desk = Desk::new();
    let (mut server, said) = serve(&desk, "0").expect("it serves");
    let address = format!("http://{}", said["listening"].as_str().expect("an address"));
    let port = address.rsplit(':').next().expect("a port").to_string();
    let token = said["setup_token"].as_str().expect("a new server gives a token");
    assert_eq!(feed(&mut desk.program(&["login", &address, "--as", "ada"]), format!("{token}\n").as_bytes()).code, 0);
    let dataset = format!("{address}/notes");
    desk.sql("ada.db", START);
    desk.ok(&["--as", "ada", "init", "ada.db"]);
    let ada = Member::new(&desk, "ada", "ada.db");
    ada.ok(&["publish", &dataset]);
    desk.ok(&["--as", "ada", "clone", &dataset, "bob.db"]);
    let bob = Member::new(&desk, "ada", "bob.db");
    let mut watching = [watch(&ada), watch(&bob)];
    for round in 0..3 {
        add(&ada, &format!("ada {round}"));
        add(&bob, &format!("bob {round}"));
        until("both rows are in both copies", || has(&bob, &format!("ada {round}")) && has(&ada, &format!("bob {round}")));
        add(&ada, &format!("ada {round} at the last moment"));
        server.end("-KILL");
        watching.iter_mut().for_each(|w| drop(w.until("offline")));
        add(&bob, &format!("bob {round} alone"));
        let mut again = None;
        until("the server is back", || {
            again = serve(&desk, &port);
            again.is_some()
        });
        server = again.expect("it is back").0;
        let late = |m: &Member<'_>| has(m, &format!("bob {round} alone")) && has(m, &format!("ada {round} at the last moment"));
        until("what was written meanwhile is in both", || late(&ada) && late(&bob));
        watching.iter_mut().for_each(|w| drop(w.until("watching, in sync")));
    }
    watching.into_iter().for_each(|w| assert_eq!(w.end("-TERM").code, 0));
    for member in [&ada, &bob] {
        assert_eq!(member.json(&["verify"])["ok"], true);
        assert_eq!((member.sync().pushed, member.sync().pulled), (0, 0), "no echo");
    }
    assert_same(&desk.rows("ada.db"), &desk.rows("bob.db"), "the copies");
    server.end("-TERM");
}

/// A plain open and close would drop the locks that SQLite holds in that process (J1). One for reading shows as a close
/// without writing, which SQLite's own descriptors, open for writing, never are. (The `sqlite3` shell does such a thing
/// before it begins, so that another program writes here.)
#[cfg(target_os = "linux")]
#[test]
fn no_database_is_opened_outside_sqlite() {
    use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
    use std::mem::MaybeUninit;
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let [ada, bob] = &members[..] else { panic!("two") };
    let watching = [watch(ada), watch(bob)];
    let news = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("inotify");
    for folder in [desk.path("."), desk.path(PRIMARY)] {
        add_watch(&news, folder, WatchFlags::CLOSE_NOWRITE | WatchFlags::OPEN).expect("told of the folder");
    }
    let mut opened = 0;
    let mut read_only = |news: &rustix::fd::OwnedFd| {
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut reader = Reader::new(news, &mut buffer);
        let mut found = Vec::new();
        while let Ok(event) = reader.next() {
            assert!(!event.events().contains(ReadFlags::QUEUE_OVERFLOW));
            let name = event.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let is_database = [".db", ".db-wal", ".db-shm", ".db-journal"].iter().any(|end| name.ends_with(end));
            opened += u64::from(is_database && event.events().contains(ReadFlags::OPEN));
            if is_database && event.events().contains(ReadFlags::CLOSE_NOWRITE) {
                found.push(name);
            }
        }
        found
    };
    let others = ["ada.db", "bob.db"].map(|name| rusqlite::Connection::open(desk.path(name)).expect("opened"));
    let count = |db: &rusqlite::Connection| db.query_row("SELECT count(*) FROM note", [], |r| r.get::<_, i64>(0));
    for round in 1..4 {
        for (name, db) in ["ada", "bob"].iter().zip(&others) {
            db.execute("INSERT INTO note (text) VALUES (?1)", [format!("{name} {round}")]).expect("written");
        }
        until("both rows are in both copies", || others.iter().all(|db| count(db) == Ok(1 + 2 * round)));
        assert_eq!(read_only(&news), Vec::<String>::new(), "opened for reading, past SQLite");
    }
    watching.into_iter().for_each(|w| assert_eq!(w.end("-TERM").code, 0));
    assert_eq!(read_only(&news), Vec::<String>::new(), "opened for reading, past SQLite");
    drop(others);
    // What this would see.
    drop(std::fs::File::open(desk.path("ada.db")).expect("opened"));
    assert_eq!(read_only(&news), ["ada.db"]);
    assert!(opened > 20, "{opened} opens were told");
}
