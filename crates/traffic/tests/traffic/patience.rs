//! What a client makes of a server that puts it off, hangs up in between, or is not there but something else is.
use mainstem::core::ErrorKind;
use mainstem::core::schema::Schema;
use mainstem::datasets::Place;
use mainstem::local::Founding;
use mainstem::primary::Primary;
use mainstem_http::address::Address;
use mainstem_http::client::{HttpPrimary, Patience};
use mainstem_http::server::{Door, Limits, Porter, Record};
use mainstem_testkit::surroundings::Seeded;
use mainstem_traffic::Served;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

fn serve(folder: &Path, change: impl FnOnce(&mut Limits)) -> Served {
    let around = Seeded::new(1, 1_800_000_000_000);
    let mut limits = Limits::default();
    change(&mut limits);
    let porter = Porter::new(limits, Door::default(), Record::nowhere(around.clone()), around.clone());
    let served = Served::through(porter, None, folder, around);
    let founding = Founding { dataset: "notes", actor: "owner", lineage: 7, schema: &Schema::default(), policy: "" };
    served.place("notes").found(&founding, &mut |_| Ok(())).expect("a new dataset");
    served
}

#[test]
fn a_client_that_is_put_off_asks_again_when_it_may() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let served = serve(folder.path(), |limits| {
        limits.token_rate_max = 1;
        limits.token_burst_max = 2;
    });
    let mut primary = served.primary("notes");
    for _ in 0..3 {
        primary.describe().expect("it waits and is answered");
    }
    let hasty = Patience { put_off: std::time::Duration::ZERO, ..Patience::default() };
    let mut hasty = HttpPrimary::new(served.address("notes"), served.token(), hasty).expect("a line");
    let refused = (0..5).find_map(|_| hasty.describe().err()).expect("it asks too often");
    assert_eq!((refused.kind, refused.code), (ErrorKind::Unavailable, "rate_limited"));
}

#[test]
fn a_line_that_the_server_closed_in_between_is_opened_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let served = serve(folder.path(), |limits| limits.idle_ms_max = 20);
    let mut primary = served.primary("notes");
    for _ in 0..5 {
        primary.describe().expect("answered");
        while served.shared().porter.connections() > 0 {
            std::thread::yield_now();
        }
    }
}

/// Answers one request with that, whatever it is.
fn answering(answer: &'static str) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}/notes", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        let (mut line, _) = listener.accept().expect("somebody comes");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && line.read(&mut byte).is_ok_and(|n| n == 1) {
            head.push(byte[0]);
        }
        // Whoever goes away early has read enough.
        let _ = line.write_all(answer.as_bytes());
    });
    Address::parse(&address).expect("an address")
}

#[test]
fn what_answers_in_a_servers_place_is_told_apart() {
    for (answer, said) in [
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello", "log in to the network"),
        ("HTTP/1.1 302 Found\r\nLocation: http://portal/\r\nContent-Length: 0\r\n\r\n", "config remote"),
        ("HTTP/1.1 413 Too Large\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n", "client_max_body_size"),
        ("HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\n\r\n", "wait"),
        ("HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n", "all work goes on"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "in its place"),
    ] {
        let mut primary = HttpPrimary::new(answering(answer), None, Patience::default()).expect("a line");
        let error = primary.describe().expect_err("that is no primary");
        assert_eq!((error.kind, error.code), (ErrorKind::Unavailable, "line"), "{answer}");
        assert!(error.hint.as_deref().is_some_and(|hint| hint.contains(said)), "{answer}: {error:?}");
    }
}
