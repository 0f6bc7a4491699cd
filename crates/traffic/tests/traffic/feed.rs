//! The feed of a dataset through real sockets: nothing lost, nothing twice, wherever a reader goes on.
use mainstem::core::account::Fact;
use mainstem::core::authority::Role;
use mainstem::datasets::Place;
use mainstem::sync;
use mainstem::wiring::Around;
use mainstem_http::server::{Door, Limits, Porter, Record};
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::InitOptions;
use mainstem_testkit::surroundings::Seeded;
use mainstem_traffic::plain::{Came, ask};
use mainstem_traffic::{Following, Served};
use rusqlite::Connection;
use serde_json::Value as Json;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;
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
        World::over(folder, around, served)
    }
    fn over(folder: TempDir, around: Around, served: Served) -> World {
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
fn a_stream_ends_once_its_reader_may_not_read_any_more() {
    let world = World::new();
    let registrar = world.served.registrar();
    let secret = world.served.token_of("bob", "t", Role::Viewer);
    let bearer = format!("{EVENTS}Authorization: Bearer {}\r\n", secret.reveal());
    let mut stream = Following::begin(world.served.socket(), &format!("{FEED}?from=now"), &bearer);
    assert_eq!(stream.status, 200);
    world.send("INSERT INTO t VALUES (1, 'seen')");
    assert!(stream.event().expect("an event").1.contains("seen"));
    let bob = registrar.accounts().named("bob").expect("bob").id;
    let fact = Fact::RoleSet { actor: bob, dataset: "t".into(), table: None, role: None };
    registrar.change(1, |_| Ok(vec![fact.clone()])).expect("a role");
    let began = std::time::Instant::now();
    assert_eq!(stream.said().as_deref(), Some("event: end"));
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    let again = Following::begin(world.served.socket(), FEED, &bearer);
    assert_eq!(again.status, 404, "and hears no more than whoever never had a role");
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

/// One message of a WebSocket: its kind and what it says.
fn message(stream: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).ok()?;
    let length = match head[1] & 0x7f {
        126 => {
            let mut long = [0; 2];
            stream.read_exact(&mut long).ok()?;
            u16::from_be_bytes(long).into()
        }
        short => usize::from(short),
    };
    let mut said = vec![0; length];
    stream.read_exact(&mut said).ok()?;
    Some((head[0] & 0x0f, said))
}

#[test]
fn a_web_socket_says_the_same() {
    let world = World::new();
    world.grow();
    let all = world.all();
    let dial = |from: &str, more: &str| {
        let mut stream = std::net::TcpStream::connect(world.served.socket()).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a deadline");
        let head = format!(
            "GET {FEED}/socket?from={from} HTTP/1.1\r\nHost: localhost\r\n{}Connection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n",
            world.authorization()
        );
        stream.write_all(head.as_bytes()).expect("it is sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a head");
            answer.extend(byte);
        }
        (stream, String::from_utf8(answer).expect("text"))
    };
    let (mut stream, head) = dial(&offset(&all[4]), "");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    for expected in &all[5..] {
        assert_eq!(message(&mut stream), Some((1, expected.to_string().into_bytes())));
    }
    world.send("INSERT INTO t VALUES (77, 'late')");
    assert!(String::from_utf8_lossy(&message(&mut stream).expect("a message").1).contains("late"));
    let (_, head) = dial("0", "Origin: https://evil.example\r\n");
    assert!(head.starts_with("HTTP/1.1 403 "), "pages of other sites hear nothing: {head}");
    world.served.shared().stop.ask();
    assert_eq!(message(&mut stream).expect("a farewell").0, 8);
}

impl World {
    fn request(&self, method: &str, path: &str, token: &str, body: &str) -> Came {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n");
        let length = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        ask(self.served.socket(), (head + &length).as_bytes()).expect("an answer")
    }
}

#[test]
fn webhooks_are_an_owners_matter_and_keep_their_key() {
    let world = World::new();
    let owner = world.served.token().expect("a token");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/hook", listener.local_addr().expect("it is bound"));
    let wanted = serde_json::json!({ "url": url }).to_string();
    let hooks = "/api/v1/datasets/t/webhooks";
    for role in [Role::Viewer, Role::Contributor, Role::Reviewer] {
        let token = world.served.token_of("bob", "t", role);
        for (method, body) in [("GET", ""), ("POST", wanted.as_str())] {
            assert_eq!(world.request(method, hooks, token.reveal(), body).status, 403, "{role:?}");
        }
    }
    let made = world.request("POST", hooks, &owner, &wanted);
    assert_eq!(made.status, 200, "{made:?}");
    let (id, key) = (made.json()["id"].as_str().expect("a name").to_string(), made.json()["key"].as_str().expect("a key").to_string());
    let listed = world.request("GET", hooks, &owner, "");
    assert_eq!(listed.json()["items"][0]["url"], url.as_str());
    assert!(!String::from_utf8_lossy(&listed.body).contains(&key), "the key is told once");
    world.send("INSERT INTO t VALUES (1, 'one')");
    let (mut stream, _) = listener.accept().expect("a delivery");
    let mut came = vec![0; 64];
    stream.read_exact(&mut came).expect("a head");
    assert!(came.starts_with(b"POST /hook HTTP/1.1\r\nHost: 127.0.0.1"));
    drop((stream, listener));
    let letters = format!("{hooks}/{id}/dead-letters");
    let end = std::time::Instant::now() + Duration::from_secs(30);
    let letter = loop {
        assert!(std::time::Instant::now() < end, "nothing is given up");
        if let Some(letter) = world.request("GET", &letters, &owner, "").json()["items"][0]["id"].as_u64() {
            break letter;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(world.request("POST", &format!("{letters}/{letter}/replay"), &owner, "").status, 503);
    assert_eq!(world.request("POST", &format!("{letters}/99/replay"), &owner, "").status, 404);
    assert_eq!(world.request("DELETE", &format!("{hooks}/{id}"), &owner, "").status, 200);
    assert_eq!(world.request("DELETE", &format!("{hooks}/{id}"), &owner, "").status, 404);
    for wrong in [r#"{"url":"http://10.0.0.1/"}"#, r#"{"url":"http://169.254.169.254/latest/meta-data"}"#] {
        assert_eq!(world.request("POST", hooks, &owner, wrong).code(), "blocked_address", "{wrong}");
    }
    for wrong in [r#"{"url":"ftp://example.org/"}"#, r#"{"url":1}"#, "{}", "", r#"{"url":"https://example.org/","from":"x"}"#] {
        assert_eq!(world.request("POST", hooks, &owner, wrong).status, 400, "{wrong}");
    }
}

#[test]
fn a_server_tells_how_it_is() {
    let world = World::new();
    let owner = world.served.token().expect("a token");
    assert_eq!(ask(world.served.socket(), b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("an answer").status, 200);
    let mut stream = world.follow(&format!("{FEED}?from=0"), EVENTS);
    world.send("INSERT INTO t VALUES (1, 'one')");
    stream.event().expect("an event");
    let metrics = world.request("GET", "/api/v1/metrics", &owner, "").json();
    assert_eq!((&metrics["pushes"], &metrics["feed_streams"], &metrics["feed_processed"]), (&1.into(), &1.into(), &1.into()), "{metrics}");
    assert!(metrics["memory_bytes"].as_u64().expect("bytes") > 1_000_000 && metrics["open_files"].as_u64().expect("files") > 3);
    assert!(metrics["last_sync_seconds"].as_f64().expect("a time") > 1e9);
    let text = world.request("GET", "/metrics", &owner, "");
    let text = String::from_utf8(text.body).expect("text");
    assert!(text.contains("# TYPE mainstem_pushes_total counter\nmainstem_pushes_total 1\n"), "{text}");
    assert!(text.contains("# TYPE mainstem_feed_streams gauge\nmainstem_feed_streams 1\n"), "{text}");
    let bob = world.served.token_of("bob", "t", Role::Owner);
    assert_eq!(world.request("GET", "/metrics", bob.reveal(), "").status, 403);
    drop(stream);
}

/// Whatever the order in which writers are done, a reader has everything in the order of the offsets (K1, I-24).
#[test]
fn nothing_is_passed_over_while_many_write() {
    const WRITERS: i64 = 4;
    const EACH: i64 = 6;
    let world = World::new();
    let mut stream = world.follow(&format!("{FEED}?from=0"), EVENTS);
    let address = world.served.place("t").address().expect("an address");
    for writer in 0..WRITERS {
        let file = world.folder.path().join(format!("{writer}.db"));
        let primary = &mut world.served.primary("t");
        SqliteReplica::clone_from(primary, &address, &file, Some("bob"), world.around.clone(), &mut quiet).expect("cloned");
    }
    let write = |writer: i64| {
        let file = world.folder.path().join(format!("{writer}.db"));
        let mut replica = SqliteReplica::open(&file, world.around.clone()).expect("it opens");
        let app = Connection::open(&file).expect("it opens");
        for n in 0..EACH {
            app.execute("INSERT INTO t VALUES (?1, 'new')", [1_000 * (writer + 1) + n]).expect("it runs");
            sync::sync(&mut replica, &mut world.served.primary("t"), "bob", &mut quiet).expect("it is sent");
        }
    };
    let mut told = Vec::new();
    std::thread::scope(|scope| {
        (0..WRITERS).for_each(|writer| drop(scope.spawn(move || write(writer))));
        while told.len() < (WRITERS * EACH) as usize {
            told.push(stream.event().expect("an event").0);
        }
    });
    assert_eq!(told, world.all().iter().map(offset).collect::<Vec<_>>());
}

#[test]
fn a_reader_that_takes_nothing_is_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let around = Seeded::around(7);
    let limits = Limits { behind_ms_max: 300, ..Limits::default() };
    let porter = Porter::new(limits, Door::default(), Record::nowhere(around.clone()), around.clone());
    let served = Served::through(porter, None, &folder.path().join("data"), around.clone());
    let world = World::over(folder, around, served);
    world.send(
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 15000) INSERT INTO t SELECT x, hex(zeroblob(800)) FROM c",
    );
    let before = world.served.shared().porter.connections();
    let stream = world.follow(&format!("{FEED}?from=0"), EVENTS);
    let end = std::time::Instant::now() + Duration::from_secs(30);
    while world.served.shared().porter.connections() > before {
        assert!(std::time::Instant::now() < end, "it is kept for ever");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(stream);
    let owner = world.served.token().expect("a token");
    let metrics = loop {
        // The line is closed a moment before what fed it has ended.
        let metrics = world.request("GET", "/api/v1/metrics", &owner, "").json();
        if metrics["feed_streams"] == 0 {
            break metrics;
        }
        assert!(std::time::Instant::now() < end, "its stream goes on");
        std::thread::sleep(Duration::from_millis(20));
    };
    let told = metrics["feed_processed"].as_u64().expect("a number");
    assert!(told < 15_000, "what it has not taken was not read: {told}");
}
