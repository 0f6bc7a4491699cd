//! Webhooks against a receiver that fails, delays, redirects and talks nonsense: at least once, in order, or a dead letter.
use mainstem::core::stamp::Time;
use mainstem::feed::{Offset, SigningKey, Webhook, WebhookStore, Webhooks};
use mainstem::sync;
use mainstem::wiring::Around;
use mainstem_feed::target::Allowed;
use mainstem_feed::{Office, Tempo, signing};
use mainstem_sqlite::primary::{FolderDatasets, FolderPlace};
use mainstem_sqlite::replica::InitOptions;
use mainstem_sqlite::webhooks::SqliteWebhooks;
use mainstem_sqlite::{SqliteReplica, open_primary};
use mainstem_testkit::Seeded;
use rusqlite::Connection;
use serde_json::Value as Json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const TEMPO: Tempo = Tempo { first_ms: 10, longest_ms: 40, attempts_max: 4, attempt_ms_max: 400 };

fn quiet(_: &str, _: u64, _: u64) {}

/// What a receiver does with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Take,
    Fail,
    Redirect,
    Hang,
    Drip,
    Nonsense,
    Close,
}

/// What a receiver heard: id, timestamp, signature, body.
type Heard = (String, u64, String, Vec<u8>);

/// A receiver that does what it is told, request by request, and then takes everything.
struct Receiver {
    address: SocketAddr,
    plan: Arc<Mutex<Vec<Does>>>,
    heard: Arc<Mutex<Vec<(Does, Heard)>>>,
}

impl Receiver {
    fn new(plan: &[Does]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (plan, heard) = (Arc::new(Mutex::new(plan.to_vec())), Arc::new(Mutex::new(Vec::new())));
        let (does, hears) = (plan.clone(), heard.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.expect("a connection"));
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).is_ok_and(|read| read > 0) {}
                let field = |name: &str| {
                    let line = head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")));
                    line.and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_string()).unwrap_or_default()
                };
                let mut body = vec![0; field("content-length").parse().expect("a length")];
                stream.read_exact(&mut body).expect("a body");
                let mut plan = does.lock().expect("sound");
                let next = if plan.is_empty() { Does::Take } else { plan.remove(0) };
                drop(plan);
                let timestamp = field("webhook-timestamp").parse().expect("a time");
                hears.lock().expect("sound").push((next, (field("webhook-id"), timestamp, field("webhook-signature"), body)));
                let line = stream.get_mut();
                // Who sent may have gone by now.
                let _ = match next {
                    Does::Take => line.write_all(b"HTTP/1.1 204 No Content\r\n\r\n"),
                    Does::Fail => line.write_all(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
                    Does::Redirect => {
                        line.write_all(format!("HTTP/1.1 302 Found\r\nLocation: http://{address}/elsewhere\r\n\r\n").as_bytes())
                    }
                    Does::Hang => {
                        std::thread::sleep(Duration::from_millis(600));
                        Ok(())
                    }
                    Does::Drip => (0..20).try_for_each(|_| {
                        std::thread::sleep(Duration::from_millis(40));
                        line.write_all(b"X")
                    }),
                    Does::Nonsense => line.write_all(b"220 smtp ready\r\n\r\n"),
                    Does::Close => Ok(()),
                };
            }
        });
        Receiver { address, plan, heard }
    }
    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }
    fn heard(&self) -> Vec<(Does, Heard)> {
        self.heard.lock().expect("sound").clone()
    }
    /// The events of what it took, in the order in which they came, each delivery once.
    fn taken(&self) -> Vec<String> {
        let mut known = Vec::new();
        let mut events = Vec::new();
        for (_, (id, .., body)) in self.heard().into_iter().filter(|(does, _)| *does == Does::Take) {
            if !known.contains(&id) {
                known.push(id);
                let body: Json = serde_json::from_slice(&body).expect("JSON");
                events.extend(body["events"].as_array().expect("a list").iter().map(|event| event["after"]["v"].to_string()));
            }
        }
        events
    }
}

struct World {
    folder: TempDir,
    around: Around,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let world = World { folder, around: Seeded::around(5) };
        Connection::open(world.file()).expect("it opens").execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY, v)").expect("it runs");
        SqliteReplica::init(&world.file(), &InitOptions::default(), world.around.clone(), &mut quiet).expect("tracked");
        let place = world.folder.path().join("data/t");
        std::fs::create_dir_all(world.folder.path().join("data")).expect("a folder");
        let mut replica = SqliteReplica::open(&world.file(), world.around.clone()).expect("it opens");
        replica.publish_at(&mut FolderPlace::new(&place, world.around.clone()), Some("t"), "ada", &mut quiet).expect("published");
        world
    }
    fn file(&self) -> PathBuf {
        self.folder.path().join("ada.db")
    }
    /// Sends one version with a row each of these.
    fn send(&self, rows: std::ops::Range<u32>) {
        let app = Connection::open(self.file()).expect("it opens");
        for n in rows {
            app.execute("INSERT INTO t VALUES (?1, ?1)", [n]).expect("it runs");
        }
        let mut replica = SqliteReplica::open(&self.file(), self.around.clone()).expect("it opens");
        let mut primary = open_primary(&self.folder.path().join("data/t"), self.around.clone()).expect("it opens");
        sync::sync(&mut replica, &mut *primary, "ada", &mut quiet).expect("it is sent");
    }
    fn store(&self) -> Arc<SqliteWebhooks> {
        Arc::new(SqliteWebhooks::open(&self.folder.path().join("data")).expect("it opens"))
    }
    fn office(&self, allowed: &[&str]) -> Office {
        let datasets = FolderDatasets::new(self.folder.path().join("data"), self.around.clone()).expect("a folder");
        let allowed = Allowed::parse(&allowed.iter().map(|network| network.to_string()).collect::<Vec<_>>()).expect("networks");
        Office::open(Arc::new(datasets), self.store(), allowed, TEMPO, self.around.clone()).expect("it opens")
    }
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is() {
        assert!(Instant::now() < end, "{what} does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn names(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[test]
fn a_receiver_that_fails_hears_of_everything_in_order() {
    let world = World::new();
    let office = world.office(&["127.0.0.0/8"]);
    let receiver =
        Receiver::new(&[Does::Fail, Does::Redirect, Does::Take, Does::Nonsense, Does::Hang, Does::Close, Does::Take, Does::Drip]);
    let (webhook, key) = office.add("t", &receiver.url(), None, "ada").expect("added");
    assert!(key.starts_with("whsec_"));
    for n in 0..4 {
        world.send(n * 10..n * 10 + 10);
        until("a version", || receiver.taken().len() as u32 == (n + 1) * 10);
    }
    assert_eq!(receiver.taken(), names(0..40));
    for (_, (id, timestamp, signature, body)) in receiver.heard() {
        assert_eq!(signing::signature(&webhook.key, &id, timestamp, &body), signature);
    }
    let heard = receiver.heard();
    assert_eq!(heard[0].1.0, heard[2].1.0, "an attempt that is made again has the same id");
    assert_eq!(heard[0].1.3, heard[2].1.3, "and the same body");
    // What is taken is counted a moment later.
    until("the last delivery", || office.deliveries().delivered == 4);
    let sent = office.deliveries();
    assert_eq!((sent.webhooks, sent.delivered, sent.events, sent.dead), (1, 4, 40, 0));
    assert_eq!((sent.failed, sent.retried), (6, 6));
}

#[test]
fn what_was_given_up_is_kept_and_can_be_sent_again() {
    let world = World::new();
    let office = world.office(&["127.0.0.0/8"]);
    let receiver = Receiver::new(&[Does::Fail; 4]);
    let (webhook, _) = office.add("t", &receiver.url(), Some(Offset::START), "ada").expect("added");
    world.send(0..250);
    until("the rest", || receiver.taken().len() == 150);
    assert_eq!(receiver.taken(), names(100..250), "the first hundred were given up");
    let letters = office.dead_letters("t", webhook.id, 0, 10).expect("a list");
    assert_eq!(letters.iter().map(|letter| (letter.events, letter.attempts)).collect::<Vec<_>>(), [(100, 4)]);
    assert!(letters[0].why.contains("500"), "{}", letters[0].why);
    *receiver.plan.lock().expect("sound") = vec![Does::Fail];
    office.replay("t", webhook.id, letters[0].id).expect_err("it fails once more");
    assert_eq!(office.dead_letters("t", webhook.id, 0, 10).expect("a list").len(), 1);
    office.replay("t", webhook.id, letters[0].id).expect("it is taken");
    assert_eq!(office.dead_letters("t", webhook.id, 0, 10).expect("a list"), []);
    assert_eq!(receiver.taken()[150..], names(0..100));
    assert_eq!(office.replay("t", webhook.id, letters[0].id).expect_err("it is gone").code, "not_found");
    office.remove("t", webhook.id).expect("removed");
    assert!(office.list("t").expect("a list").is_empty());
}

#[test]
fn a_new_office_goes_on_where_the_last_one_was() {
    let world = World::new();
    let receiver = Receiver::new(&[]);
    let office = world.office(&["127.0.0.0/8"]);
    office.add("t", &receiver.url(), None, "ada").expect("added");
    world.send(0..5);
    until("the first", || office.list("t").expect("a list")[0].webhook.offset.version == 2 && receiver.taken().len() == 5);
    drop(office);
    world.send(5..9);
    let office = world.office(&["127.0.0.0/8"]);
    until("the rest", || receiver.taken().len() == 9 && office.deliveries().events >= 4);
    assert_eq!(receiver.taken(), names(0..9));
    assert_eq!(office.deliveries().events, 4, "what was told is not told again");
}

#[test]
fn nothing_is_sent_where_it_may_not_be() {
    let world = World::new();
    let receiver = Receiver::new(&[]);
    let office = world.office(&[]);
    for url in [receiver.url(), receiver.url().replace("127.0.0.1", "localhost"), receiver.url().replace("127.0.0.1", "2130706433")] {
        assert_eq!(office.add("t", &url, None, "ada").expect_err("a refusal").code, "blocked_address", "{url}");
    }
    drop(office);
    // A name may lead elsewhere later than when it was looked at.
    let webhook = Webhook {
        id: 7,
        dataset: "t".into(),
        url: receiver.url(),
        key: SigningKey([1; 32]),
        offset: Offset::START,
        created_by: "ada".into(),
        created_at: Time::from_ms(1),
    };
    world.store().add(&webhook).expect("kept");
    let office = world.office(&[]);
    world.send(0..3);
    until("the dead letter", || !office.dead_letters("t", 7, 0, 10).expect("a list").is_empty());
    assert!(receiver.heard().is_empty(), "nothing was connected to");
}
