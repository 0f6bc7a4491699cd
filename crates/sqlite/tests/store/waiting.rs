//! A primary in a folder tells who waits, whoever commits and whatever becomes of the folder.
use mainstem::core::schema::{Column, Schema, Table};
use mainstem::core::value::Value;
use mainstem::ledger::Head;
use mainstem::local::Founding;
use mainstem::primary::Primary;
use mainstem_sqlite::primary::{found_primary, open_primary};
use mainstem_testkit::Seeded;
use rusqlite::Connection;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const LONG_MS: u64 = 600_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn found(folder: &Path) {
    let column = |name: &str, kind: &str| Column { name: name.into(), declared_type: kind.into(), ..Column::default() };
    let table = Table {
        name: "item".into(),
        columns: vec![column("id", "INTEGER"), column("name", "TEXT")],
        key: vec![0],
        sql: "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)".into(),
        ..Table::default()
    };
    let schema = Schema { tables: vec![table], objects: Vec::new() };
    let founding = Founding { dataset: "waiting", actor: "owner", lineage: 7, schema: &schema, policy: "" };
    let row = vec![Value::Integer(1), Value::text("one")];
    found_primary(folder, Seeded::around(1), &founding, &mut |take| take(0, &row)).expect("a new primary");
}

fn open(folder: &Path) -> Box<dyn Primary> {
    open_primary(folder, Seeded::around(2)).expect("it opens")
}

/// Waits in a thread of its own; answers once it has begun, and then with each end it hears of, or the code of its failure.
fn listen(folder: &Path) -> Receiver<Result<Head, &'static str>> {
    let (tell, heard) = channel();
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        let mut primary = open(&folder);
        let mut head = primary.describe().map(|d| d.head).map_err(|e| e.code);
        while tell.send(head).is_ok() && head.is_ok() {
            head = primary.wait(&head.expect("asked just now"), LONG_MS).map_err(|e| e.code);
        }
    });
    heard
}

#[test]
fn whoever_waits_hears_of_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("primary");
    found(&place);
    let heard = listen(&place);
    let hear = || heard.recv_timeout(PATIENCE).expect("in time").expect("a head");
    assert_eq!(hear().version, 1);
    // Another program, into the primary's own table: it becomes a version as soon as anybody looks.
    let other = Connection::open(place.join("primary.db")).expect("opened");
    for n in 2..12_u64 {
        other.execute("INSERT INTO item VALUES (?1, 'new')", [n as i64]).expect("written");
        assert_eq!(hear().version, n);
    }
    open(&place).set_policy("strategy = \"manual\"\n", "owner").expect("a policy");
    assert_eq!(hear().version, 11, "a policy is no version, but an event");
    assert!(heard.recv_timeout(Duration::from_millis(50)).is_err(), "nothing more to hear");
}

#[test]
fn a_folder_that_is_moved_away_is_noticed() {
    for is_replaced in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("primary");
        found(&place);
        let heard = listen(&place);
        assert!(heard.recv_timeout(PATIENCE).expect("in time").is_ok());
        std::fs::rename(&place, folder.path().join("elsewhere")).expect("moved");
        if is_replaced {
            found(&place);
        }
        assert_eq!(heard.recv_timeout(PATIENCE).expect("in time"), Err("moved"));
    }
}
