//! `serve`: how it begins, whom it answers, what it writes down, and how it ends.
use crate::desk::{Desk, feed};
use serde_json::Value as Json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

const START: &str = "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO note VALUES (1, 'first');";

/// A running `mainstem serve`.
struct Serving {
    child: Child,
    /// What it says when it listens.
    begun: Json,
}

/// What a server left behind.
struct Ended {
    code: i32,
    log: Vec<Json>,
    err: String,
}

impl Serving {
    fn begin(desk: &Desk, words: &[&str]) -> Serving {
        let mut command = desk.program(&[&["--json", "serve", "--listen", "127.0.0.1:0"], words].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where");
        let begun = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        Serving { child, begun }
    }
    fn socket(&self) -> String {
        self.begun["listening"].as_str().expect("an address").to_string()
    }
    fn address(&self, dataset: &str) -> String {
        format!("{}://{}/{dataset}", self.begun["scheme"].as_str().expect("a scheme"), self.socket())
    }
    /// Makes the administrator by the token that a new server prints.
    fn log_in(&self, desk: &Desk) {
        let server = self.address("");
        let token = self.begun["setup_token"].as_str().expect("a new server has one");
        let said = feed(desk.program(&["login", server.trim_end_matches('/'), "--as", "ann"]).stdin(Stdio::piped()), token.as_bytes());
        assert_eq!(said.code, 0, "{said:?}");
    }
    fn signal(&self, signal: &str) {
        let sent = std::process::Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }
    fn ended(mut self) -> Ended {
        let mut err = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut err).expect("read");
        let code = self.child.wait().expect("it ends").code().unwrap_or(-1);
        let log = err.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ended { code, log, err }
    }
    fn end(self) -> Ended {
        self.signal("-TERM");
        self.ended()
    }
}

#[test]
fn a_server_with_a_certificate_of_its_own_is_trusted_by_hand() {
    let desk = Desk::new();
    desk.sql("app.db", START);
    assert_eq!(desk.run(&["init", "app.db"]).code, 0);
    let serving = Serving::begin(&desk, &["--tls-own"]);
    let (address, fingerprint) = (serving.address("notes"), serving.begun["fingerprint"].as_str().expect("it has one").to_string());
    desk.run(&["--db", "app.db", "publish", &address]).refuses(3, "certificate");
    desk.run(&["trust", &address]).refuses(3, &fingerprint);
    let wrong = format!("sha256:{}", "0".repeat(64));
    desk.run(&["trust", &address, "--fingerprint", &wrong]).refuses(3, "another fingerprint");
    desk.run(&["trust", &address, "--fingerprint", "nonsense"]).refuses(2, "nonsense");
    let trusted = desk.run(&["trust", &address, "--fingerprint", &fingerprint]);
    assert_eq!(trusted.code, 0, "{trusted:?}");
    serving.log_in(&desk);
    let published = desk.run(&["--db", "app.db", "publish", &address]);
    assert_eq!(published.code, 0, "{published:?}");
    let cloned = desk.run(&["clone", &address, "mine.db"]);
    assert_eq!(cloned.code, 0, "{cloned:?}");
    assert_eq!(desk.sql("mine.db", "SELECT text FROM note;"), "first\n");
    assert_eq!(serving.end().code, 0);
}

#[test]
fn a_token_goes_over_no_open_line_unless_that_is_said() {
    let desk = Desk::new();
    let serving = Serving::begin(&desk, &[]);
    let token = serving.begun["setup_token"].as_str().expect("a new server has one").to_string();
    // An address that is for documents: nobody answers there.
    let elsewhere = "http://192.0.2.1:9";
    let refused = feed(&mut desk.program(&["login", elsewhere, "--as", "ann"]), token.as_bytes());
    refused.refuses(3, "anybody can read");
    assert!(!format!("{refused:?}").contains(&token));
    desk.run(&["trust", elsewhere]).refuses(3, "certificate");
    assert_eq!(desk.run(&["trust", elsewhere, "--insecure-http"]).code, 0);
    let known = std::fs::read_to_string(desk.path(".config/mainstem/known_servers")).expect("it is kept");
    assert_eq!(known, format!("{elsewhere} open\n"));
    // On this machine nobody else hears it.
    serving.log_in(&desk);
    assert_eq!(serving.end().code, 0);
}

#[test]
fn the_log_has_one_line_for_each_request_and_no_secret() {
    let desk = Desk::new();
    let serving = Serving::begin(&desk, &[]);
    let secret = serving.begun["setup_token"].as_str().expect("a new server has one").to_string();
    for request in [
        format!("GET /api/v1/datasets HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\nConnection: close\r\n\r\n"),
        format!("GET /{secret}%0d%0a%1b[31m?token={secret} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
        format!(
            "GET /api HTTP/1.1\r\nHost: evil\r\nX-Forwarded-For: 203.0.113.9\r\nUser-Agent: {secret}\r\nReferer: http://x/{secret}\r\nConnection: close\r\n\r\n"
        ),
    ] {
        let mut line = TcpStream::connect(serving.socket()).expect("it listens");
        line.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        line.read_to_string(&mut answer).expect("answered");
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    }
    let mut garbled = TcpStream::connect(serving.socket()).expect("it listens");
    garbled.write_all(format!("GET / HTTP/1.1\r\nUser-Agent: \x1b]0;{secret}\x07\r\n\r\n").as_bytes()).expect("sent");
    garbled.read_to_end(&mut Vec::new()).expect("it is closed");
    let ended = serving.end();
    assert_eq!(ended.code, 0);
    assert_eq!(ended.log.last().expect("lines")["what"], "stopped");
    assert_eq!(ended.log.iter().filter(|line| line["what"] == "unreadable").count(), 1, "{}", ended.err);
    assert!(!ended.err.contains(&secret), "{}", ended.err);
    assert_eq!(ended.err.lines().count(), ended.log.len(), "every line is JSON: {}", ended.err);
    let requests: Vec<&Json> = ended.log.iter().filter(|line| line["what"] == "request").collect();
    assert_eq!(requests.len(), 3, "{}", ended.err);
    assert!(requests.iter().all(|line| line["remote"] == "127.0.0.1" && line["request_id"].is_string()));
    assert_eq!(requests[2]["code"], "forbidden_host");
}

#[test]
fn a_server_that_is_asked_ends_in_order_and_asked_again_at_once() {
    let desk = Desk::new();
    for signal in ["-TERM", "-INT"] {
        let serving = Serving::begin(&desk, &[]);
        let mut idle = TcpStream::connect(serving.socket()).expect("it listens");
        serving.signal(signal);
        // A connection on which nothing is asked holds nothing up.
        assert!(matches!(idle.read(&mut [0]), Ok(0) | Err(_)));
        assert_eq!(serving.ended().code, 0, "{signal}");
    }
    let serving = Serving::begin(&desk, &["--limit", "stop_ms_max=60_000", "--limit", "behind_ms_max=60_000"]);
    let mut begun = TcpStream::connect(serving.socket()).expect("it listens");
    let call = "POST /api/v1/datasets/notes/primary/describe HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/vnd.mainstem.v1\r\n";
    begun.write_all(format!("{call}Expect: 100-continue\r\nContent-Length: 100\r\n\r\n").as_bytes()).expect("sent");
    // It says so once it waits for the body; then this request is one that runs.
    let mut answer = [0; 12];
    begun.read_exact(&mut answer).expect("it goes on");
    assert_eq!(&answer, b"HTTP/1.1 100");
    serving.signal("-TERM");
    serving.signal("-INT");
    assert_eq!(serving.ended().code, 130);
}

#[cfg(unix)]
#[test]
fn what_a_server_makes_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.sql("app.db", START);
    assert_eq!(desk.run(&["init", "app.db"]).code, 0);
    let serving = Serving::begin(&desk, &["--data", "served", "--tls-own"]);
    let fingerprint = serving.begun["fingerprint"].as_str().expect("it has one").to_string();
    assert_eq!(desk.run(&["trust", &serving.address(""), "--fingerprint", &fingerprint]).code, 0);
    serving.log_in(&desk);
    assert_eq!(desk.run(&["--db", "app.db", "publish", &serving.address("notes")]).code, 0);
    let mut folders = vec![desk.path("served")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("listed") {
            let path = entry.expect("an entry").path();
            let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} is {mode:o}", path.display());
            seen += 1;
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    assert!(seen > 4, "{seen} files");
    assert_eq!(serving.end().code, 0);
}

#[test]
fn what_is_in_force_is_shown_with_where_it_comes_from() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("served")).expect("made");
    std::fs::write(desk.path("served/server.toml"), "log = \"text\"\n[limits]\nframes_max = 77\n").expect("written");
    let shown = desk.run(&["--json", "serve", "--data", "served", "--host", "data.example", "--show-config"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    let shown = shown.json();
    assert_eq!(shown["settings"]["hosts"]["from"], "flag");
    assert_eq!(shown["settings"]["log"]["value"], "text");
    assert!(shown["limits"]["frames_max"]["from"].as_str().expect("a source").ends_with("server.toml"));
    std::fs::write(desk.path("served/server.toml"), "lissten = \"x\"\n").expect("written");
    desk.run(&["serve", "--data", "served"]).refuses(2, "lissten");
    desk.run(&["serve", "--limit", "none=5"]).refuses(2, "none");
    desk.run(&["serve", "--tls-cert", "a.pem"]).refuses(2, "key");
    desk.run(&["serve", "--tls-cert", "a.pem", "--tls-key", "b.pem"]).refuses(2, "a.pem");
}
