//! The chain of events as JSON: whoever reads it can tell by themselves that nothing before its head was changed.
use mainstem::core::format::event;
use mainstem::core::proposal::{Anchor, Remark};
use mainstem::primary::Primary;
use mainstem::proposing::{self, Asked};
use mainstem::review::{By, Deed, Everybody, Review};
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::InitOptions;
use mainstem_testkit::surroundings::Seeded;
use mainstem_traffic::plain::ask;
use mainstem_traffic::{ADMINISTRATOR, Served};
use rusqlite::Connection;
use serde_json::Value as Json;

fn get(served: &Served, path: &str) -> Json {
    let token = served.token().expect("a token");
    let head = format!(
        "GET /api/v1/datasets/notes/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    let came = ask(served.socket(), head.as_bytes()).expect("an answer");
    assert_eq!(came.status, 200, "{path}: {:?}", came.json());
    came.json()
}

fn bytes(hex: &Json) -> Vec<u8> {
    let hex = hex.as_str().expect("digits");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits")).collect()
}

/// A dataset with a policy, a proposal, a comment and a version.
fn furnished(folder: &std::path::Path) -> Served {
    let around = Seeded::around(5);
    let served = Served::begin(&folder.join("data"), around.clone());
    let file = folder.join("ann.db");
    let sql = |sql: &str| Connection::open(&file).expect("it opens").execute_batch(sql).expect("it runs");
    sql("CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO note VALUES (1, 'a')");
    SqliteReplica::init(&file, &InitOptions::default(), around.clone(), &mut |_, _, _| {}).expect("tracked");
    let mut replica = SqliteReplica::open(&file, around).expect("it opens");
    replica.publish_at(&mut served.place("notes"), Some("notes"), ADMINISTRATOR, &mut |_, _, _| {}).expect("published");
    let mut primary = served.primary("notes");
    primary.set_policy("strategy = \"manual\"", ADMINISTRATOR).expect("a policy");
    sql("UPDATE note SET body = 'b'");
    let asked = Asked { title: Some("Better".into()), ..Asked::default() };
    let id = proposing::propose(&mut replica, &mut primary, ADMINISTRATOR, &asked, &mut |_, _, _| {}).expect("offered").proposal;
    let remark = Remark { anchor: Anchor::Whole, reply_to: None, revision: 1, text: "Why?".into() };
    let by = By { actor: ADMINISTRATOR, token: None, request: None, people: &Everybody };
    primary.act(id, &Deed::Comment(remark), by).expect("said");
    served
}

#[test]
fn the_chain_can_be_followed_and_verified_by_whoever_reads_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let served = furnished(folder.path());
    let (mut after, mut before, mut told) = (0, [0; 32], Vec::new());
    loop {
        let part = get(&served, &format!("audit?after={after}&limit=2"));
        let items = part["items"].as_array().expect("items");
        assert!(items.len() <= 2);
        for link in items {
            before = event::chain(&before, &bytes(&link["bytes"]));
            assert_eq!(bytes(&link["hash"]), before, "{link}");
            told.push(format!("{} {} {}", link["event"], link["act"], link["said"]));
        }
        let Some(next) = part["next"].as_str() else { break };
        after = next.parse().expect("a place");
    }
    assert_eq!(told.len(), 6, "{told:#?}");
    assert_eq!(told[4..], [r#""review" "revise" "Better""#, r#""review" "comment" "Why?""#]);
    let head: String = before.iter().map(|byte| format!("{byte:02x}")).collect();
    let verified = get(&served, &format!("audit/verification?head={head}"));
    assert_eq!((&verified["ok"], &verified["head_found"], &verified["head"]), (&true.into(), &6.into(), &head.clone().into()));
    assert_eq!(get(&served, &format!("audit/verification?head={}", "0".repeat(64)))["head_found"], Json::Null);
}

#[test]
fn the_tables_at_a_version_are_told_with_their_columns() {
    let folder = tempfile::tempdir().expect("a folder");
    let served = furnished(folder.path());
    let tables = get(&served, "versions/1/tables");
    assert_eq!((&tables["tables"][0]["table"], &tables["tables"][0]["rows"]), (&"note".into(), &1.into()));
    let columns = &tables["tables"][0]["columns"];
    assert_eq!((&columns[0]["type"], &columns[0]["key"], &columns[1]["name"]), (&"INTEGER".into(), &1.into(), &"body".into()));
    assert_eq!(tables["schema_history"].to_string(), "[]");
}
