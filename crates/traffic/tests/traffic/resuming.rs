//! Copies over a line that breaks again and again: they go on where it broke.
use mainstem::core::ErrorKind;
use mainstem::core::value::Row;
use mainstem::error::Result;
use mainstem::primary::{Primary, SnapshotSink, SnapshotStart};
use mainstem::sync;
use mainstem::wiring::Around;
use mainstem_http::HttpPrimary;
use mainstem_http::address::Address;
use mainstem_http::client::Patience;
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::InitOptions;
use mainstem_testkit::surroundings::Seeded;
use mainstem_traffic::{Fault, Proxy, Served};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use tempfile::TempDir;

fn quiet(_: &str, _: u64, _: u64) {}

const ROWS: u64 = 30_000;

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
        world.edit(&format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE u (k TEXT PRIMARY KEY);
             WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < {ROWS}) INSERT INTO t SELECT x, hex(randomblob(40)) FROM c;
             INSERT INTO u SELECT v FROM t WHERE id % 3 = 0;"
        ));
        SqliteReplica::init(&world.file("ada"), &InitOptions::default(), world.around.clone(), &mut quiet).expect("tracked");
        let mut replica = SqliteReplica::open(&world.file("ada"), world.around.clone()).expect("it opens");
        replica.publish_at(&mut world.served.place("t"), Some("t"), "ada", &mut quiet).expect("published");
        world
    }
    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.db"))
    }
    /// What a clone that was cut off leaves.
    fn part(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.db.mainstem-part"))
    }
    fn edit(&self, sql: &str) {
        Connection::open(self.file("ada")).expect("it opens").execute_batch(sql).expect(sql);
    }
    fn send(&self, sql: &str) {
        self.edit(sql);
        let mut replica = SqliteReplica::open(&self.file("ada"), self.around.clone()).expect("it opens");
        sync::sync(&mut replica, &mut self.served.primary("t"), "ada", &mut quiet).expect("it is sent");
    }
    fn address(&self) -> Address {
        Address::parse(&format!("http://{}/t", self.proxy.address())).expect("a good address")
    }
    fn primary(&self) -> HttpPrimary {
        HttpPrimary::new(self.address(), self.served.token(), Patience::default()).expect("a line")
    }
    fn clone_it(&self, name: &str, said: &mut Vec<String>) -> Result<()> {
        let mut listen = |what: &str, _: u64, _: u64| {
            if said.last().is_none_or(|last| last != what) {
                said.push(what.to_string());
            }
        };
        let (address, file) = (self.address().to_string(), self.file(name));
        SqliteReplica::clone_from(&mut self.primary(), &address, &file, Some(name), self.around.clone(), &mut listen).map(drop)
    }
    fn rows(&self, name: &str) -> String {
        let sql = "SELECT (SELECT group_concat(id || v) FROM (SELECT * FROM t ORDER BY id)) || (SELECT group_concat(k) FROM (SELECT * FROM u ORDER BY k))";
        Connection::open(self.file(name)).expect("it opens").query_row(sql, [], |row| row.get(0)).expect("rows")
    }
}

#[test]
fn a_clone_goes_on_where_its_line_broke() {
    let world = World::new();
    world.proxy.follow(|_| Fault::Pass);
    world.clone_it("whole", &mut Vec::new()).expect("a clone");
    let whole = world.proxy.bytes();
    // Each answer of the snapshot is cut after three tenths: without going on, none would ever come whole.
    world.proxy.follow(|number| if number < 12 { Fault::Cut(300) } else { Fault::Pass });
    let mut said = Vec::new();
    let mut primary = world.primary();
    let mut counting = Counting::default();
    primary.snapshot(&mut counting).expect("it comes");
    assert_eq!((counting.begun, counting.rows), (1, ROWS + ROWS / 3));
    assert!(world.proxy.count() > 3, "it was cut");
    // What was had is not sent again: each answer is less than the one before.
    assert!(world.proxy.bytes() * 2 < whole * world.proxy.count(), "{} and {whole}", world.proxy.bytes());
    world.proxy.follow(|number| if number % 3 != 2 { Fault::Cut(600) } else { Fault::Pass });
    let cloned = (0..4).find_map(|_| world.clone_it("cut", &mut said).ok());
    assert!(cloned.is_some(), "what comes before and after the snapshot is asked again by hand");
    assert_eq!(world.rows("cut"), world.rows("ada"));
    assert!(!world.part("cut").exists());
}

#[derive(Default)]
struct Counting {
    begun: u32,
    rows: u64,
}

impl SnapshotSink for Counting {
    fn begin(&mut self, _: &SnapshotStart) -> Result<()> {
        self.begun += 1;
        Ok(())
    }
    fn rows(&mut self, _: usize, rows: &[Row]) -> Result<()> {
        self.rows += rows.len() as u64;
        Ok(())
    }
}

/// Has somebody write once the first rows are there.
struct Interrupted<'w> {
    world: &'w World,
    is_written: bool,
}

impl SnapshotSink for Interrupted<'_> {
    fn begin(&mut self, _: &SnapshotStart) -> Result<()> {
        Ok(())
    }
    fn rows(&mut self, _: usize, _: &[Row]) -> Result<()> {
        if !std::mem::replace(&mut self.is_written, true) {
            self.world.send("UPDATE t SET v = 'new' WHERE id = 1");
        }
        Ok(())
    }
}

#[test]
fn what_is_not_to_be_had_any_more_is_begun_anew_and_said() {
    let world = World::new();
    world.proxy.follow(|number| if number == 0 { Fault::Cut(500) } else { Fault::Pass });
    let moved = world.primary().snapshot(&mut Interrupted { world: &world, is_written: false }).expect_err("it is another by now");
    assert_eq!((moved.kind, moved.code), (ErrorKind::Unavailable, "moved_on"));
    // A clone of which that becomes true says so and has the rows of the later version.
    let token = world.served.token();
    let asked = HttpPrimary::new(world.address(), token, Patience::default()).expect("a line");
    let mut between = Meanwhile { inner: asked, world: &world, is_written: false };
    let mut said = Vec::new();
    world.proxy.follow(|_| Fault::Pass);
    let address = world.address().to_string();
    let mut listen = |what: &str, _: u64, _: u64| said.push(what.to_string());
    between.clone_to("late", &address, &mut listen);
    assert_eq!(said.iter().filter(|what| what.contains("from the beginning")).count(), 1);
    assert_eq!(world.rows("late"), world.rows("ada"));
}

/// A primary whose first snapshot is cut, and others write before it is asked for again.
struct Meanwhile<'w> {
    inner: HttpPrimary,
    world: &'w World,
    is_written: bool,
}

impl Meanwhile<'_> {
    fn clone_to(&mut self, name: &str, address: &str, listen: &mut dyn FnMut(&str, u64, u64)) {
        let (file, around) = (self.world.file(name), self.world.around.clone());
        let mut cutting = |what: &str, done: u64, of: u64| {
            if done > 0 && !std::mem::replace(&mut self.is_written, true) {
                self.world.send("UPDATE t SET v = 'newer' WHERE id = 2");
            }
            listen(what, done, of);
        };
        self.world.proxy.follow(|number| if number == 0 { Fault::Cut(500) } else { Fault::Pass });
        SqliteReplica::clone_from(&mut self.inner, address, &file, Some(name), around, &mut cutting).expect("a clone");
    }
}

#[test]
fn a_clone_goes_on_where_an_earlier_run_ended() {
    let world = World::new();
    world.proxy.follow(|_| Fault::Pass);
    world.clone_it("whole", &mut Vec::new()).expect("a clone");
    let whole = world.proxy.bytes();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let mut end = |_: &str, done: u64, _: u64| assert!(done < ROWS, "killed");
        let (address, file) = (world.address().to_string(), world.file("cut"));
        SqliteReplica::clone_from(&mut world.primary(), &address, &file, Some("cut"), world.around.clone(), &mut end)
    }));
    assert!(ended.is_err() && world.part("cut").exists() && !world.file("cut").exists());
    world.proxy.follow(|_| Fault::Pass);
    let mut said = Vec::new();
    world.clone_it("cut", &mut said).expect("it goes on");
    assert!(!said.iter().any(|what| what.contains("from the beginning")), "{said:?}");
    assert!(world.proxy.bytes() * 10 < whole * 9, "{} of {whole}", world.proxy.bytes());
    assert_eq!(world.rows("cut"), world.rows("ada"));
    assert!(!world.part("cut").exists());
}
