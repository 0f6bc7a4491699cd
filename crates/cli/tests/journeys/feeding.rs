//! The feed as people and scripts read it: of a database alone, of a primary in a folder, of a server, and sent to them.
use crate::desk::Desk;
use serde_json::Value as Json;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

fn lines(out: &str) -> Vec<Json> {
    out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn offset(event: &Json) -> &str {
    event["offset"].as_str().expect("an offset")
}

#[test]
fn a_database_alone_tells_of_its_own_work() {
    let desk = Desk::new();
    desk.sql("app.db", "CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
    desk.ok(&["init", "app.db", "--as", "ann"]);
    desk.sql("app.db", "INSERT INTO t VALUES (1, 'a'); UPDATE t SET v = 'b'");
    let told = lines(&desk.ok(&["feed"]));
    assert_eq!(told.iter().map(|event| &event["kind"]).collect::<Vec<_>>(), ["created", "updated"]);
    assert_eq!((&told[1]["before"]["v"], &told[1]["after"]["v"], &told[1]["key"]["id"]), (&"a".into(), &"b".into(), &1.into()));
    assert!(told[1]["version"].is_null() && told[1]["accepted_at"].is_null());
    assert_eq!(lines(&desk.ok(&["feed", "--from", offset(&told[0])])), told[1..]);
    desk.ok(&["commit", "-m", "two"]);
    assert_eq!(desk.ok(&["feed", "--from", offset(&told[1])]), "", "a commit tells nothing again");
    desk.sql("app.db", "DELETE FROM t");
    assert_eq!(lines(&desk.ok(&["feed", "--from", offset(&told[1])]))[0]["kind"], "deleted");
    desk.run(&["feed", "--from", "x"]).refuses(2, "x is no offset");
    let mut following = desk.program(&["feed", "--from", "now", "--follow"]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut out = BufReader::new(following.stdout.take().expect("piped"));
    // What comes before it listens is not told; so there is more until there is something.
    let (heard, hears) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        heard.send(line).expect("somebody waits");
    });
    let line = (2..).find_map(|n| {
        desk.sql("app.db", &format!("INSERT INTO t VALUES ({n}, 'late')"));
        hears.recv_timeout(std::time::Duration::from_millis(200)).ok()
    });
    assert_eq!(lines(&line.expect("a line"))[0]["after"]["v"], "late");
    following.kill().expect("it runs");
    following.wait().expect("it ends");
    reader.join().expect("it ends");
}

#[test]
fn a_replica_tells_what_its_primary_accepted() {
    let desk = Desk::new();
    desk.sql("app.db", "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'old')");
    desk.ok(&["init", "app.db", "--as", "ann"]);
    desk.ok(&["publish", "primary"]);
    assert_eq!(desk.ok(&["feed"]), "", "what was published is there to be read");
    desk.sql("app.db", "UPDATE t SET v = 'new'; ALTER TABLE t ADD COLUMN w DEFAULT 7");
    assert_eq!(desk.ok(&["feed"]), "", "and what was not sent is nobody's yet");
    desk.ok(&["commit", "-m", "spring"]);
    desk.ok(&["sync"]);
    let told = lines(&desk.ok(&["feed", "--from", "1"]));
    assert_eq!((&told[0]["kind"], &told[0]["step"], &told[0]["column"]), (&"schema".into(), &"add_column".into(), &"w".into()));
    assert_eq!((&told[1]["author"], &told[1]["changeset"]["title"], &told[1]["version"]), (&"ann".into(), &"spring".into(), &2.into()));
    assert_eq!(lines(&desk.ok(&["feed", "primary", "--from", offset(&told[0])])), told[1..], "by the primary's address as well");
    desk.run(&["feed", "--from", "9"]).refuses(5, "after version 2");
}
