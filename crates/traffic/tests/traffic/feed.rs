//! The feed of a dataset through real sockets: nothing lost, nothing twice, wherever a reader goes on.
use mainstem::sync;
use mainstem::wiring::Around;
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::InitOptions;
use mainstem_testkit::surroundings::Seeded;
use mainstem_traffic::plain::{Came, ask};
use mainstem_traffic::{Following, Served};
use rusqlite::Connection;
use serde_json::Value as Json;
use std::path::PathBuf;
use tempfile::TempDir;

fn quiet(_: &str, _: u64, _: u64) {}

/// A replica and its server.
struct World {
    folder: TempDir,
    around: Around,
    served: Served,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let around = Seeded::around(7);
        let served = Served::begin(&folder.path().join("data"), around.clone());
        let world = World { folder, around, served };
        world.edit("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
        let options = InitOptions { actor: Some("ada".into()), ..InitOptions::default() };
        SqliteReplica::init(&world.file(), &options, world.around.clone(), &mut quiet).expect("tracked");
        let mut replica = SqliteReplica::open(&world.file(), world.around.clone()).expect("it opens");
        replica.publish_at(&mut world.served.place("t"), Some("t"), "ada", &mut quiet).expect("published");
        world
    }
    fn file(&self) -> PathBuf {
        self.folder.path().join("ada.db")
    }
    fn edit(&self, sql: &str) {
        Connection::open(self.file()).expect("it opens").execute_batch(sql).expect("it runs");
    }
    /// Edits, and sends that as one version.
    fn send(&self, sql: &str) {
        self.edit(sql);
        let mut replica = SqliteReplica::open(&self.file(), self.around.clone()).expect("it opens");
        sync::sync(&mut replica, &mut self.served.primary("t"), "ada", &mut quiet).expect("it is sent");
    }
    /// Ten versions with twelve events.
    fn grow(&self) {
        for n in 1..=10 {
            self.send(&format!("INSERT INTO t VALUES ({n}, 'one'); UPDATE t SET v = 'other' WHERE id = {n} - 1 AND id % 4 = 0;"));
        }
    }
    fn get(&self, path: &str, headers: &str) -> Came {
        let headers = format!("{}{headers}", self.authorization());
        ask(self.served.socket(), format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").as_bytes()).expect("an answer")
    }
    fn follow(&self, path: &str, headers: &str) -> Following {
        Following::begin(self.served.socket(), path, &format!("{}{headers}", self.authorization()))
    }
    fn authorization(&self) -> String {
        self.served.token().map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default()
    }
    fn all(&self) -> Vec<Json> {
        let came = self.get("/api/v1/datasets/t/feed?limit=1000", "");
        came.json()["items"].as_array().expect("a list").clone()
    }
    /// The same data, served anew.
    fn restarted(mut self) -> World {
        let data = self.folder.path().join("data");
        self.served = Served::begin(&self.folder.path().join("elsewhere"), self.around.clone());
        self.served = Served::begin(&data, self.around.clone());
        self
    }
}

const FEED: &str = "/api/v1/datasets/t/feed";
const EVENTS: &str = "Accept: text/event-stream\r\n";
const LINES: &str = "Accept: application/x-ndjson\r\n";

fn offset(event: &Json) -> String {
    event["offset"].as_str().expect("an offset").to_string()
}

#[test]
fn a_stream_goes_on_after_each_event() {
    let world = World::new();
    world.grow();
    let all = world.all();
    assert_eq!(all.len(), 12);
    for had in 0..all.len() {
        let headers = if had == 0 { EVENTS.to_string() } else { format!("{EVENTS}Last-Event-ID: {}\r\n", offset(&all[had - 1])) };
        let mut stream = world.follow(FEED, &headers);
        assert_eq!((stream.status, stream.head.contains("text/event-stream")), (200, true), "{}", stream.head);
        for expected in &all[had..] {
            let (id, data) = stream.event().expect("an event");
            assert_eq!((id, data), (offset(expected), expected.to_string()));
        }
    }
}

#[test]
fn pages_and_lines_say_the_same() {
    let world = World::new();
    world.grow();
    let all = world.all();
    let (mut paged, mut from) = (Vec::new(), "0".to_string());
    loop {
        let page = world.get(&format!("{FEED}?from={from}&limit=5"), "").json();
        let items = page["items"].as_array().expect("a list").clone();
        if items.is_empty() {
            break;
        }
        from = page["next"].as_str().expect("where to go on").to_string();
        paged.extend(items);
    }
    assert_eq!(paged, all);
    let lines = world.get(&format!("{FEED}?from=0&limit=1000"), LINES);
    let lines: Vec<Json> = lines.body.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    assert_eq!(lines, all);
}

#[test]
fn whoever_follows_hears_of_what_comes() {
    let world = World::new();
    world.send("INSERT INTO t VALUES (1, 'early')");
    let mut events = world.follow(&format!("{FEED}?from=now"), EVENTS);
    let mut lines = world.follow(&format!("{FEED}?from=now&follow=true"), LINES);
    world.send("INSERT INTO t VALUES (2, 'late')");
    let event: Json = serde_json::from_str(&events.event().expect("an event").1).expect("JSON");
    assert_eq!(event["after"]["v"], "late");
    assert_eq!(lines.said().expect("a line"), event.to_string());
    world.send("DELETE FROM t WHERE id = 1");
    assert_eq!(serde_json::from_str::<Json>(&lines.said().expect("a line")).expect("JSON")["kind"], "deleted");
}

#[test]
fn a_restart_loses_and_repeats_nothing() {
    let world = World::new();
    world.grow();
    let all = world.all();
    let mut stream = world.follow(FEED, EVENTS);
    let mut last = String::new();
    for expected in &all[..7] {
        last = stream.event().expect("an event").0;
        assert_eq!(last, offset(expected));
    }
    drop(stream);
    let world = world.restarted();
    world.send("INSERT INTO t VALUES (99, 'after')");
    let mut stream = world.follow(FEED, &format!("{EVENTS}Last-Event-ID: {last}\r\n"));
    for expected in &all[7..] {
        assert_eq!(stream.event().expect("an event").0, offset(expected));
    }
    assert!(stream.event().expect("an event").1.contains("after"));
}

#[test]
fn a_stream_ends_with_its_server() {
    let world = World::new();
    let mut stream = world.follow(&format!("{FEED}?from=now"), EVENTS);
    world.served.shared().stop.ask();
    assert_eq!(stream.said().as_deref(), Some("event: end"));
    assert!(stream.said().is_some_and(|data| data.contains("unavailable")), "it says why");
    assert_eq!(stream.line().as_deref(), Some(""));
    assert_eq!(stream.line(), None);
}

#[test]
fn what_cannot_be_told_has_its_status() {
    let world = World::new();
    for (path, status, code) in [
        (format!("{FEED}?from=7"), 409, "ahead"),
        (format!("{FEED}?from=1@00000000"), 409, "other_epoch"),
        (format!("{FEED}?from=x"), 400, "invalid"),
        (format!("{FEED}?limit=0"), 400, "invalid"),
        (format!("{FEED}?unknown=1"), 400, "invalid"),
        (format!("{FEED}/socket"), 400, "invalid"),
    ] {
        for accept in ["", EVENTS, LINES] {
            let came = world.get(&path, accept);
            assert_eq!((came.status, came.code().as_str()), (status, code), "{path}");
        }
    }
}
