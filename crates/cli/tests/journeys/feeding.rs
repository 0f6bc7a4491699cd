//! The feed as people and scripts read it: of a database alone, of a primary in a folder, of a server, and sent to them.
use crate::desk::Desk;
use crate::people::{Person, Serving};
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

#[test]
fn a_server_tells_and_sends_what_it_accepted() {
    let desk = Desk::new();
    let server = Serving::begin(&desk, &["--webhook-network", "127.0.0.0/8"]);
    let ann = Person { desk: &desk, name: "ann" };
    assert_eq!(ann.login(&server, server.setup.as_deref().expect("nobody administers it yet")).code, 0);
    desk.sql("ann.db", "CREATE TABLE recipe (id INTEGER PRIMARY KEY, name TEXT)");
    ann.ok(&["init", "ann.db"]);
    ann.ok(&["publish", &server.dataset(), "--db", "ann.db", "--dataset", "recipes"]);
    let receiver = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/hook", receiver.local_addr().expect("it is bound"));
    let made = ann.json(&["webhook", "add", &server.dataset(), &url]);
    let (id, key) = (made["id"].as_str().expect("a name"), made["key"].as_str().expect("a key"));
    ann.run(&["webhook", "add", &server.dataset(), "http://10.1.2.3/"]).refuses(3, "not on the internet");
    desk.sql("ann.db", "INSERT INTO recipe VALUES (1, 'bread')");
    ann.ok(&["sync", "--db", "ann.db"]);
    let told = lines(&ann.ok(&["feed", &server.dataset(), "--from", "1"]));
    assert_eq!((told.len(), &told[0]["after"]["name"]), (1, &"bread".into()));
    assert_eq!(ann.ok(&["feed", &server.dataset(), "--from", offset(&told[0])]), "");
    let mut delivery = BufReader::new(receiver.accept().expect("a delivery").0);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(delivery.read_line(&mut head).expect("a head") > 0);
    }
    assert!(head.contains("webhook-signature: v1,") && head.starts_with("POST /hook "), "{head}");
    std::io::Write::write_all(delivery.get_mut(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").expect("answered");
    let listed = ann.ok(&["webhook", "list", &server.dataset()]);
    assert!(listed.contains(id) && !listed.contains(key), "{listed}");
    assert_eq!(ann.ok(&["webhook", "dead", &server.dataset(), id]), "no dead letters\n");
    ann.ok(&["webhook", "remove", &server.dataset(), id]);
    ann.run(&["webhook", "dead", &server.dataset(), id]).refuses(4, "has no webhook");
    desk.run(&["feed", &server.dataset()]).refuses(3, "token");
}
