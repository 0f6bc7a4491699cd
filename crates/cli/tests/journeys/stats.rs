//! `sync stats`: what moved, by copy and table, and of one row.
use crate::desk::Desk;
use crate::team::*;
use serde_json::Value as Json;

const START: &str = "
    CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT);
    CREATE TABLE \"pen name\" (a TEXT, b INTEGER, c TEXT, PRIMARY KEY (a, b));
    INSERT INTO note VALUES (1, 'first'), (2, 'second');";

fn of<'j>(list: &'j Json, field: &str, value: &str) -> &'j Json {
    let items = list.as_array().unwrap_or_else(|| panic!("a list: {list}"));
    items.iter().find(|item| item[field] == value).unwrap_or_else(|| panic!("{field} {value} in {list}"))
}

#[test]
fn what_moved_is_counted_by_copy_and_table() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "ben", "cem"]);
    let [ada, ben, _] = members.as_slice() else { panic!("three") };
    ada.run(&["policy", "set", "note.text.strategy", "manual"]);
    let begun = ada.json(&["sync", "stats"]);
    assert_eq!(of(&begun["tables"], "table", "note")["sent"]["rows"], 0, "{begun}");
    ada.sql("UPDATE note SET text = 'ada one' WHERE id = 1; INSERT INTO \"pen name\" VALUES ('x', 1, 'one'), ('x', 2, 'two');");
    ada.sync();
    ben.sql("UPDATE note SET text = 'ben one' WHERE id = 1; UPDATE note SET text = 'ben two' WHERE id = 2;");
    ben.sync();
    ben.sync();
    ada.sync();
    ben.sql("INSERT INTO note VALUES (7, 'not sent'); UPDATE \"pen name\" SET c = 'new' WHERE b = 2;");
    let stats = ben.json(&["sync", "stats"]);
    assert_eq!((&stats["unsent_changes"], &stats["behind"], &stats["since_version"]), (&2.into(), &0.into(), &2.into()), "{stats}");
    let note = of(&stats["tables"], "table", "note");
    assert_eq!(
        (note["unsent"].as_u64(), note["conflicts_open"].as_u64(), note["conflicts_resolved"].as_u64()),
        (Some(1), Some(1), Some(0))
    );
    assert_eq!((note["sent"]["rows"].as_u64(), note["received"]["rows"].as_u64()), (Some(1), Some(1)), "the other is in conflict: {note}");
    assert!(note["sent"]["bytes"].as_u64().expect("a number") > 8, "{note}");
    let pens = of(&stats["tables"], "table", "pen name");
    assert_eq!((pens["sent"]["rows"].as_u64(), pens["received"]["rows"].as_u64(), pens["unsent"].as_u64()), (Some(0), Some(2), Some(1)));
    assert_eq!(of(&pens["sources"], "actor", "ada")["rows"], 2);
    // Each copy: the one that never changed anything is there too, with where it stands.
    let sources = &stats["sources"];
    assert_eq!((&of(sources, "actor", "ben")["is_own"], &of(sources, "actor", "ada")["rows"]), (&true.into(), &3.into()), "{sources}");
    let cem = of(sources, "actor", "cem");
    assert!(cem["behind"].as_u64() > Some(0) && cem["last_sync"].is_string() && cem["last_change"].is_null(), "{cem}");
    // An answer moves it from open to resolved.
    let conflict = ben.open_conflicts()[0]["id"].as_str().expect("an id").to_string();
    ben.ok(&["resolve", &conflict, "--theirs"]);
    let stats = ben.json(&["sync", "stats"]);
    let note = of(&stats["tables"], "table", "note");
    assert_eq!((note["conflicts_open"].as_u64(), note["conflicts_resolved"].as_u64()), (Some(0), Some(1)));
    let told = ben.ok(&["sync", "stats"]);
    for part in ["moved since version 2", "(this one)", "pen name", "conflicts open", "2 rows, "] {
        assert!(told.contains(part), "{part} in {told}");
    }
}

#[test]
fn one_row_is_counted_alone() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "ben"]);
    let [ada, ben] = members.as_slice() else { panic!("two") };
    for text in ["one", "two", "three"] {
        ada.sql(&format!("UPDATE note SET text = '{text}'; INSERT OR REPLACE INTO \"pen name\" VALUES ('x', 1, '{text}');"));
        ada.sync();
    }
    ben.sync();
    ben.sql("UPDATE note SET text = 'mine' WHERE id = 2;");
    for (key, unsent) in [("1", 0), ("2", 1)] {
        let stats = ben.json(&["sync", "stats", "NOTE", key]);
        assert_eq!(stats["tables"].as_array().map(Vec::len), Some(1), "{stats}");
        let note = of(&stats["tables"], "table", "note");
        assert_eq!((note["received"]["rows"].as_u64(), note["unsent"].as_u64()), (Some(3), Some(unsent)), "{note}");
    }
    let stats = ben.json(&["sync", "stats", "pen name", "x,1"]);
    assert_eq!(of(&stats["tables"], "table", "pen name")["received"]["rows"], 3);
    assert!(ben.ok(&["sync", "stats", "note", "1"]).contains("note 1, since version 2"));
    ben.run(&["sync", "stats", "nosuch", "1"]).refuses(4, "no table is called nosuch");
    ben.run(&["sync", "stats", "note"]).refuses(2, "KEY");
    // Without its primary it says what it knows.
    std::fs::rename(desk.path(PRIMARY), desk.path("away")).expect("it is moved");
    let stats = ben.json(&["sync", "stats"]);
    assert_eq!(of(&stats["tables"], "table", "note")["received"]["rows"], 6);
    assert!(stats["failure"]["message"].is_string(), "{stats}");
}
