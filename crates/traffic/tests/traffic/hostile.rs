//! What strangers send that nobody should: each has an answer, and others are served meanwhile.
use mainstem::core::schema::Schema;
use mainstem::datasets::Place;
use mainstem::local::Founding;
use mainstem::primary::Primary;
use mainstem_http::server::{Door, Limits, Porter, Record};
use mainstem_testkit::surroundings::Seeded;
use mainstem_traffic::Served;
use mainstem_traffic::plain::{Came, Plain, ask};
use std::io::Read;
use std::net::SocketAddr;

const FRAMES: &str = "application/vnd.mainstem.v1";
const DESCRIBE: &str = "/api/v1/datasets/notes/primary/describe";

struct Stage {
    _folder: tempfile::TempDir,
    served: Served,
}

/// A server with one dataset and these limits.
fn stage(change: impl FnOnce(&mut Limits)) -> Stage {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let around = Seeded::new(1, 1_800_000_000_000);
    let mut limits = Limits::default();
    change(&mut limits);
    let porter = Porter::new(limits, Door::default(), Record::nowhere(around.clone()), around.clone());
    let served = Served::through(porter, None, folder.path(), around);
    let founding = Founding { dataset: "notes", actor: "owner", lineage: 7, schema: &Schema::default(), policy: "" };
    served.place("notes").found(&founding, &mut |_| Ok(())).expect("a new dataset");
    Stage { _folder: folder, served }
}

impl Stage {
    fn socket(&self) -> SocketAddr {
        self.served.socket()
    }
    /// Somebody else is answered as ever.
    fn assert_others_are_served(&self) {
        self.served.primary("notes").describe().expect("others are served");
    }
    fn post(&self, path: &str, headers: &str, body: &[u8]) -> Option<Came> {
        let headers = self.known() + headers;
        ask(self.socket(), &[head("POST", path, &headers, body.len()).as_bytes(), body].concat())
    }
    /// The header of somebody who is let in.
    fn known(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.served.token().expect("a token"))
    }
}

fn head(method: &str, path: &str, headers: &str, length: usize) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n")
}

/// A frame as it travels.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    let mut length = payload.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    [&bytes, payload].concat()
}

fn frames(all: &[Vec<u8>]) -> Vec<u8> {
    let end = frame(3, &[])[..1].to_vec();
    [b"MSW1".to_vec(), all.concat(), end, vec![all.len() as u8]].concat()
}

fn typed(media: &str) -> String {
    format!("Content-Type: {media}\r\n")
}

/// The most memory that this process, and with it the server, ever had.
fn memory_bytes_peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[test]
fn requests_that_are_not_well_formed_have_their_answers() {
    let stage = stage(|limits| limits.path_bytes_max = 1_000);
    let long = format!("/{}", "x".repeat(2_000));
    let frames_typed = typed(FRAMES);
    let table: Vec<(u16, String)> = vec![
        (
            400,
            format!(
                "POST {DESCRIBE} HTTP/1.1\r\nHost: localhost\r\n{frames_typed}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"
            ),
        ),
        (
            400,
            format!(
                "POST {DESCRIBE} HTTP/1.1\r\nHost: localhost\r\n{frames_typed}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
        ),
        (400, format!("POST {DESCRIBE} HTTP/1.1\r\nHost: localhost\r\n{frames_typed}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
        (400, format!("POST {DESCRIBE} HTTP/1.1\r\n{frames_typed}Content-Length: 0\r\n\r\n")),
        (400, format!("POST {DESCRIBE} HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")),
        (403, format!("POST {DESCRIBE} HTTP/1.1\r\nHost: evil.example\r\n{frames_typed}Content-Length: 0\r\n\r\n")),
        (403, head("POST", DESCRIBE, &format!("{frames_typed}Origin: https://evil.example\r\n"), 0)),
        (404, head("GET", "/nowhere", "", 0)),
        (405, head("DELETE", DESCRIBE, "", 0)),
        (414, head("GET", &long, "", 0)),
        (415, head("POST", DESCRIBE, "Content-Type: text/plain\r\n", 2) + "{}"),
        (415, head("POST", DESCRIBE, "", 2) + "{}"),
        (415, head("POST", DESCRIBE, &typed("application/json"), 2) + "{}"),
        (431, head("GET", "/", &format!("X-Long: {}\r\n", "x".repeat(40_000)), 0)),
        (431, head("GET", "/", &"X: y\r\n".repeat(200), 0)),
        (400, "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".to_string()),
    ];
    for (status, request) in table {
        let shown: String = request.chars().take(120).collect();
        let request = request.replacen("Host: localhost\r\n", &format!("Host: localhost\r\n{}", stage.known()), 1);
        let came = ask(stage.socket(), request.as_bytes()).unwrap_or_else(|| panic!("no answer to {shown}"));
        assert_eq!(came.status, status, "{shown}");
        // Where it can be understood as a request at all, the answer says which request it was and why.
        if status != 431 && came.header("x-request-id").is_some() {
            assert_eq!(came.header("x-request-id"), came.json()["request_id"].as_str(), "{shown}");
            assert!(!came.code().is_empty());
        }
    }
    let mut other = Plain::to(stage.socket());
    other.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("it listens");
    assert!(other.is_closed(), "HTTP/2 is not spoken");
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, zstd", "identity, br"] {
        let came = stage.post(DESCRIBE, &format!("{frames_typed}Content-Encoding: {encoding}\r\n"), b"MSW1").expect("an answer");
        assert_eq!((came.status, came.code().as_str()), (415, "unsupported_media_type"), "{encoding}");
    }
    stage.assert_others_are_served();
}

#[test]
fn what_unfolds_too_far_is_refused_before_it_does() {
    let stage = stage(|limits| {
        limits.question_bytes_max = 1024 * 1024;
    });
    let zeros = zstd::stream::encode_all(std::io::repeat(0).take(1024 * 1024 * 1024), 3).expect("compressed");
    let nested = zstd::bulk::compress(&zeros, 19).expect("compressed");
    let asked = |body: &[u8]| stage.post(DESCRIBE, &typed(FRAMES), body).expect("an answer");
    let before = memory_bytes_peak();
    let bomb = asked(&frames(&[frame(2, &zeros)]));
    assert_eq!((bomb.status, bomb.code().as_str()), (413, "too_large"), "{bomb:?}");
    // Unfolded once it is bytes that mean nothing; it is not unfolded twice.
    assert_eq!(asked(&frames(&[frame(2, &nested)])).status, 400);
    // A length that is announced and does not come takes no memory.
    let announced = [&b"MSW1\x01"[..], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
    assert_eq!(asked(&announced).status, 413);
    for nonsense in [&b""[..], b"MSW1", b"MSW2\x03\x00", b"MSW1\x09\x00", b"MSW1\x03\x01", b"MSW1\x01\x05hello\x03\x01", b"<html></html>"] {
        assert_eq!(asked(nonsense).status, 400, "{nonsense:?}");
    }
    assert!(memory_bytes_peak() < before + 32 * 1024 * 1024, "{before} bytes before, {} after", memory_bytes_peak());
    let plain = asked(&vec![0; 2 * 1024 * 1024]);
    assert_eq!((plain.status, plain.code().as_str()), (413, "too_large"));
    stage.assert_others_are_served();
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    let stage = stage(|_| {});
    let mut owner = stage.served.primary("notes");
    for deep in ["x = ".to_string() + &"[".repeat(100_000), "[".repeat(100_000), "{\"a\":".repeat(100_000)] {
        let refused = owner.set_policy(&deep, "owner").expect_err("no policy");
        assert_eq!(refused.kind, mainstem::core::ErrorKind::Invalid, "{}", refused.code);
    }
    stage.assert_others_are_served();
}

#[test]
fn json_that_is_nested_or_too_long_is_refused() {
    let stage = stage(|limits| limits.json_bytes_max = 500_000);
    let headers = typed("application/json");
    for deep in ["[".repeat(100_000), "{\"name\":".repeat(50_000), "{\"name\":".to_string() + &"[".repeat(100_000)] {
        let came = stage.post("/api/v1/actors", &headers, deep.as_bytes()).expect("an answer");
        assert_eq!(came.status, 400, "{came:?}");
    }
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(600_000));
    let came = stage.post("/api/v1/actors", &headers, long.as_bytes()).expect("an answer");
    assert_eq!((came.status, came.code().as_str()), (413, "too_large"));
    stage.assert_others_are_served();
}

#[test]
fn what_the_disk_has_no_room_for_is_put_off() {
    let stage = stage(|limits| limits.disk_free_bytes_min = u64::MAX);
    let large = stage.post("/api/v1/datasets/notes/primary/push", &typed(FRAMES), &vec![7; 1024 * 1024]).expect("an answer");
    assert_eq!((large.status, large.code().as_str()), (503, "disk_full"));
    assert!(large.header("retry-after").is_some());
    stage.assert_others_are_served();
}

#[test]
fn one_who_asks_for_much_at_once_does_not_take_it_from_others() {
    let stage = stage(|limits| limits.requests_per_token_max = 5);
    let headers = typed(FRAMES);
    let mut held: Vec<Plain> = (0..5).map(|_| Plain::to(stage.socket())).collect();
    for line in &mut held {
        // Each is one that is being answered, for its body is waited for.
        line.send((head("POST", DESCRIBE, &format!("{}{headers}Expect: 100-continue\r\n", stage.known()), 9)).as_bytes())
            .expect("it listens");
        assert_eq!(line.answer().expect("it goes on").status, 100);
    }
    let refused = stage.post(DESCRIBE, &headers, b"").expect("an answer");
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"));
    assert_eq!(ask(stage.socket(), head("GET", "/api", "", 0).as_bytes()).expect("an answer").status, 200);
    drop(held);
}

#[test]
fn sockets_that_say_nothing_are_closed() {
    let stage = stage(|limits| {
        limits.first_byte_ms_max = 200;
        limits.head_ms_max = 200;
        limits.connections_per_address_max = 4_000;
    });
    let mut silent: Vec<Plain> = (0..500).map(|_| Plain::to(stage.socket())).collect();
    let mut begun: Vec<Plain> = (0..100).map(|_| Plain::to(stage.socket())).collect();
    for line in &mut begun {
        line.send(b"POST / HTTP/1.1\r\nHost: loc").expect("it listens");
    }
    stage.assert_others_are_served();
    for line in silent.iter_mut().chain(&mut begun) {
        assert!(line.is_closed());
    }
    stage.assert_others_are_served();
}

#[test]
fn a_connection_that_is_not_used_any_more_is_closed() {
    let stage = stage(|limits| limits.idle_ms_max = 200);
    let mut line = Plain::to(stage.socket());
    for _ in 0..3 {
        line.send(head("GET", "/nowhere", "", 0).as_bytes()).expect("it listens");
        assert_eq!(line.answer().expect("an answer").status, 404);
    }
    assert!(line.is_closed());
}

#[test]
fn a_body_that_comes_too_slowly_is_cut() {
    let stage = stage(|limits| limits.behind_ms_max = 200);
    let mut line = Plain::to(stage.socket());
    line.send(head("POST", DESCRIBE, &(stage.known() + &typed(FRAMES)), 1_000).as_bytes()).expect("it listens");
    line.send(b"MSW1").expect("it listens");
    let came = line.answer().expect("an answer");
    assert_eq!((came.status, came.code().as_str()), (408, "too_slow"));
    assert!(line.is_closed());
    stage.assert_others_are_served();
}

#[test]
fn an_answer_that_is_not_read_is_cut() {
    let stage = stage(|limits| limits.behind_ms_max = 200);
    let mut line = Plain::to(stage.socket());
    // Answers are not read: in the end the other side cannot send on, and with them the requests stop as well.
    let request = head("GET", "/api", "", 0).into_bytes().repeat(100);
    let mut sent = 0;
    while line.send(&request).is_ok() {
        sent += 1;
        assert!(sent < 100_000, "it goes on for ever");
    }
    stage.assert_others_are_served();
    assert!(line.is_closed());
}

#[test]
fn connections_of_one_address_are_bounded_and_others_get_theirs() {
    let stage = stage(|limits| limits.connections_per_address_max = 10);
    let neighbour = "127.0.0.9".parse().expect("an address");
    let held: Vec<Plain> = (0..10).map(|_| Plain::from(neighbour, stage.socket())).collect();
    let mut refused = Plain::from(neighbour, stage.socket());
    let came = refused.answer().expect("a word before it is closed");
    assert_eq!((came.status, came.header("retry-after")), (429, Some("5")));
    stage.assert_others_are_served();
    drop(held);
}

#[test]
fn whoever_asks_too_often_is_told_when_to_ask_again() {
    let stage = stage(|limits| {
        limits.token_rate_max = 1;
        limits.token_burst_max = 3;
    });
    let asked = |token: &str| {
        let headers = format!("Authorization: Bearer {token}\r\n");
        ask(stage.socket(), head("GET", "/nowhere", &headers, 0).as_bytes()).expect("an answer")
    };
    let statuses: Vec<u16> = (0..6).map(|_| asked("greedy").status).collect();
    assert_eq!(statuses[..3], [404; 3]);
    assert!(statuses[3..].contains(&429), "{statuses:?}");
    let refused = asked("greedy");
    if refused.status == 429 {
        assert!(refused.header("retry-after").is_some() && refused.code() == "rate_limited", "{refused:?}");
    }
    assert_eq!(asked("modest").status, 404);
    stage.assert_others_are_served();
}
