//! Whatever is between a replica and its server, at every request in turn: nothing lost, nothing twice, no deletion that
//! nobody made, and silence once nobody works.
use mainstem::core::ErrorKind;
use mainstem::core::proposal::{Ballot, Decision, MergeWish, Remark, Stage, Word};
use mainstem::core::value::Value;
use mainstem::datasets::Place;
use mainstem::primary::Primary;
use mainstem::review::{By, Chosen, Deed, Everybody};
use mainstem::sync;
use mainstem::wiring::Around;
use mainstem_http::HttpPrimary;
use mainstem_http::client::Patience;
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::InitOptions;
use mainstem_testkit::surroundings::Seeded;
use mainstem_traffic::{FAULTS, Fault, Proxy, Served};
use rusqlite::Connection;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

fn quiet(_: &str, _: u64, _: u64) {}

const IMPATIENT: Patience = Patience {
    connect: Duration::from_secs(5),
    answer: Duration::from_millis(200),
    idle: Duration::from_millis(200),
    put_off: Duration::ZERO,
};
const CALM: Patience =
    Patience { connect: Duration::from_secs(30), answer: Duration::from_secs(60), idle: Duration::from_secs(60), put_off: Duration::ZERO };

/// Two replicas, a server, and what is between them.
struct World {
    folder: TempDir,
    around: Around,
    served: Served,
    proxy: Proxy,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let around = Seeded::around(7);
        let served = Served::begin(&folder.path().join("data"), around.clone());
        let proxy = Proxy::before(served.socket());
        let world = World { folder, around, served, proxy };
        world.edit(
            0,
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n INTEGER);
             WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 40) INSERT INTO t SELECT x, 'v' || x, 0 FROM c;",
        );
        let options = InitOptions { actor: Some("ada".into()), ..InitOptions::default() };
        SqliteReplica::init(&world.file(0), &options, world.around.clone(), &mut quiet).expect("tracked");
        let mut place = world.served.place("t");
        world.replica(0).publish_at(&mut place, Some("t"), "ada", &mut quiet).expect("published");
        let address = place.address().expect("an address");
        SqliteReplica::clone_from(
            &mut *place.open().expect("open"),
            &address,
            &world.file(1),
            Some("bob"),
            world.around.clone(),
            &mut quiet,
        )
        .expect("cloned");
        world
    }
    fn file(&self, who: usize) -> PathBuf {
        self.folder.path().join(format!("{who}.db"))
    }
    fn replica(&self, who: usize) -> SqliteReplica {
        SqliteReplica::open(&self.file(who), self.around.clone()).expect("it opens")
    }
    fn edit(&self, who: usize, sql: &str) {
        Connection::open(self.file(who)).expect("it opens").execute_batch(sql).expect("it runs");
    }
    fn primary(&self, patience: Patience) -> Box<dyn Primary> {
        let mut address = self.served.address("t");
        address.port = self.proxy.address().port();
        Box::new(HttpPrimary::new(address, self.served.token(), patience).expect("a line"))
    }
    fn sync(&self, who: usize, patience: Patience) -> mainstem::Result<sync::Report> {
        sync::sync(&mut self.replica(who), &mut *self.primary(patience), ["ada", "bob"][who], &mut quiet)
    }
    fn rows(&self, who: usize) -> Vec<(i64, String, i64)> {
        let db = Connection::open(self.file(who)).expect("it opens");
        let mut statement = db.prepare("SELECT id, v, n FROM t ORDER BY id").expect("a statement");
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("rows");
        rows.collect::<rusqlite::Result<_>>().expect("rows")
    }
    /// Both work, and each syncs twice, whatever comes of it.
    fn work(&self) {
        self.edit(
            0,
            "UPDATE t SET v = 'ada ' || id WHERE id % 4 = 0; DELETE FROM t WHERE id % 10 = 1; INSERT INTO t VALUES (100, 'new', 1);",
        );
        self.edit(1, "UPDATE t SET n = id WHERE id % 4 = 0; DELETE FROM t WHERE id % 10 = 3; INSERT INTO t VALUES (200, 'other', 2);");
        for who in [0, 1, 0, 1] {
            if let Err(e) = self.sync(who, IMPATIENT) {
                assert_eq!(e.kind, ErrorKind::Unavailable, "replica {who}: {} {}", e.code, e.message);
            }
        }
    }
    fn judge(&self) {
        for _ in 0..3 {
            for who in [0, 1] {
                self.sync(who, CALM).expect("the network is whole");
            }
        }
        self.proxy.follow(|_| Fault::Pass);
        for who in [0, 1] {
            let report = self.sync(who, CALM).expect("the network is whole");
            assert_eq!((report.pushed, report.pulled, report.pulled_changes), (0, 0, 0), "no rest");
        }
        let expected: Vec<(i64, String, i64)> = (1..=40)
            .filter(|id| id % 10 != 1 && id % 10 != 3)
            .map(|id| if id % 4 == 0 { (id, format!("ada {id}"), id) } else { (id, format!("v{id}"), 0) })
            .chain([(100, "new".to_string(), 1), (200, "other".to_string(), 2)])
            .collect();
        for who in [0, 1] {
            assert_eq!(self.rows(who), expected, "replica {who}");
        }
        let mut primary = self.primary(CALM);
        let head = primary.describe().expect("an answer").head.version;
        assert_eq!(head, 3, "each changeset is one version");
        assert!(primary.conflicts(false).expect("an answer").is_empty());
    }
}

#[test]
fn every_fault_at_every_request() {
    let world = World::new();
    world.work();
    let requests = world.proxy.count();
    world.judge();
    assert!(requests >= 10, "{requests} requests");
    // In short runs each request suffers a few of the faults, and each fault befalls a few of the requests.
    let is_long = std::env::var_os("MAINSTEM_LONG").is_some();
    for at in 0..requests {
        for (number, &fault) in FAULTS.iter().enumerate() {
            if !is_long && !(number as u64 + at).is_multiple_of(5) {
                continue;
            }
            let world = World::new();
            world.proxy.follow(move |request| if request == at { fault } else { Fault::Pass });
            world.work();
            world.proxy.follow(|_| Fault::Pass);
            let case = format!("{fault:?} at request {at}");
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.judge())).unwrap_or_else(|_| panic!("{case}"));
        }
    }
}

#[test]
fn a_cut_network_is_no_failure_of_the_work() {
    let world = World::new();
    world.proxy.cut(true);
    world.work();
    assert_eq!(world.sync(0, IMPATIENT).expect_err("nobody there").kind, ErrorKind::Unavailable);
    world.proxy.cut(false);
    world.judge();
}

/// Something that is done to proposal 1, with a key.
type Act = fn(&mut dyn Primary, &World, By<'_>) -> mainstem::Result<()>;

fn assessed(world: &World) -> mainstem::core::proposal::Assessment {
    world.primary(CALM).proposal(1, by(0)).expect("an answer").expect("it is there").assessment.expect("it is open")
}

fn by(key: u128) -> By<'static> {
    By { actor: "somebody", token: None, people: &Everybody, request: Some(key) }
}

fn decide(primary: &mut dyn Primary, stage: Stage, by: By<'_>) -> mainstem::Result<()> {
    primary.act(1, &Deed::Decide(Decision { stage, reason: "so it is".into() }), by)
}

/// Every act of which a lost answer would make whoever asked act twice, in an order in which each can be done.
const ACTS: [(&str, Act); 7] = [
    ("comment", |primary, _, by| primary.act(1, &Deed::Comment(Remark { text: "why?".into(), ..Remark::default() }), by)),
    ("withdraw", |primary, _, by| decide(primary, Stage::Withdrawn, by)),
    ("reopen", |primary, _, by| decide(primary, Stage::Open, by)),
    ("accept a part", |primary, _, by| {
        let only = Chosen { table: "t".into(), key: Some(vec![Value::Integer(5)]), columns: vec![] };
        primary.accept_part(1, &[only], by).map(|rest| assert_eq!(rest, Some(2)))
    }),
    ("vote", |primary, world, by| {
        let now = assessed(world);
        let ballot = Ballot { revision: now.revision, digest: now.digest, word: Word::Approve, comment: String::new() };
        primary.act(1, &Deed::Vote(ballot), by)
    }),
    ("merge", |primary, _, by| {
        primary.merge(1, &MergeWish::new(by.request.unwrap_or_default()), by).map(|merged| assert_eq!(merged.version, 2))
    }),
    ("revert", |primary, _, by| primary.propose_revert(2, "it was wrong", by).map(|id| assert_eq!(id, 3))),
];

/// Does everything, each with a fault at its first request; what the ledger holds then.
fn acted(fault: Fault) -> (u64, String) {
    // Long enough for a busy machine to answer, and short enough for a test to wait for no answer.
    let patience = Patience { answer: Duration::from_secs(3), idle: Duration::from_secs(3), ..IMPATIENT };
    let world = World::new();
    world.primary(CALM).set_policy("approvals = 1\nself_approval = 'allowed'\n", "ada").expect("a policy");
    world.edit(1, "UPDATE t SET v = 'x' WHERE id IN (5, 6)");
    let asked = mainstem::proposing::Asked { title: Some("some".into()), ..Default::default() };
    mainstem::proposing::propose(&mut world.replica(1), &mut *world.primary(CALM), "bob", &asked, &mut quiet).expect("offered");
    for (key, (name, act)) in (1..).zip(ACTS) {
        // A vote asks what it is on first, over another line.
        let first = world.proxy.count() + u64::from(name == "vote");
        world.proxy.follow(move |request| if request == first { fault } else { Fault::Pass });
        act(&mut *world.primary(patience), &world, by(key)).unwrap_or_else(|e| panic!("{name} with {fault:?}: {} {}", e.code, e.message));
    }
    world.proxy.follow(|_| Fault::Pass);
    let mut primary = world.primary(CALM);
    let proposal = primary.proposal(1, by(0)).expect("an answer").expect("it is there").proposal;
    let told = format!("{:?} {} {} {:?}", proposal.stage, proposal.comments.len(), proposal.votes.len(), proposal.version);
    (primary.describe().expect("an answer").head.events, told)
}

#[test]
fn what_is_done_to_a_proposal_is_done_once_though_its_answer_is_lost() {
    let calm = acted(Fault::Pass);
    for fault in [Fault::Deafen, Fault::Twice, Fault::Again, Fault::Cut(0), Fault::Cut(999), Fault::Drop] {
        assert_eq!(acted(fault), calm, "{fault:?}");
    }
}
