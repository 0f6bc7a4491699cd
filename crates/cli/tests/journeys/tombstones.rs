//! What is deleted is remembered, comes back only on purpose, and is forgotten when nobody needs it (TMB-1 to TMB-5).
use crate::desk::Desk;
use crate::team::{Member, PRIMARY};
use serde_json::{Value as Json, json};

const TABLES: &str = "
CREATE TABLE artist(id INTEGER PRIMARY KEY, name TEXT NOT NULL, is_gone INTEGER NOT NULL DEFAULT 0);
CREATE TABLE album(id INTEGER PRIMARY KEY, artist INTEGER NOT NULL REFERENCES artist(id) ON DELETE CASCADE, title TEXT);
CREATE TABLE tag(album INTEGER REFERENCES album(id) ON DELETE CASCADE, tag TEXT, PRIMARY KEY(album, tag));
INSERT INTO artist(id, name) VALUES(1, 'Abba'), (2, 'Björk'), (3, 'Can');
INSERT INTO album VALUES(10, 1, 'Arrival'), (20, 2, 'Debut'), (21, 2, 'Post');
INSERT INTO tag VALUES(20, 'loved'), (21, 'loved'), (10, 'pop');
";

fn begin(desk: &Desk) -> (Member<'_>, Member<'_>) {
    desk.sql("ann.db", TABLES);
    let (ann, bob) = (Member::new(desk, "ann", "ann.db"), Member::new(desk, "bob", "bob.db"));
    desk.ok(&["init", "ann.db", "--as", "ann"]);
    ann.ok(&["publish", PRIMARY]);
    desk.ok(&["clone", PRIMARY, "bob.db", "--as", "bob"]);
    (ann, bob)
}

fn names(of: &Member<'_>) -> String {
    of.sql("SELECT group_concat(name, ' ') FROM (SELECT name FROM artist ORDER BY id)").trim().to_string()
}

#[test]
fn an_artist_is_deleted_listed_and_brought_back_with_all_that_went_along() {
    let desk = Desk::new();
    let (ann, bob) = begin(&desk);
    let before = desk.rows("ann.db");
    bob.sql("PRAGMA foreign_keys = ON; DELETE FROM artist WHERE id = 2");
    bob.ok(&["commit", "-m", "no singers from Iceland"]);
    bob.sync();
    ann.sync();
    assert_eq!(names(&ann), "Abba Can");

    let text = ann.ok(&["tombstones", "list"]);
    assert!(text.contains("artist 2  bob, ") && text.contains("no singers from Iceland"), "{text}");
    assert!(text.contains("album 20") && text.contains("went with artist 2"), "{text}");
    assert!(text.contains("mainstem --db ann.db tombstones restore 2."), "a command to type: {text}");
    let all = ann.json(&["tombstones", "list"]);
    assert_eq!(all.as_array().unwrap().len(), 5, "one artist, two albums, two links");
    let artist = ann.json(&["tombstones", "list", "--table", "artist", "--actor", "bob"]);
    assert_eq!(artist[0]["row"], json!({ "id": 2, "name": "Björk", "is_gone": 0 }));
    assert_eq!(artist[0]["why"], json!({ "kind": "changeset", "title": "no singers from Iceland", "description": "" }));
    assert_eq!((&artist[0]["state"], &artist[0]["is_there"]), (&json!("living"), &json!(false)));
    assert_eq!(ann.json(&["tombstones", "list", "--since", "2"]), json!([]));
    assert_eq!(ann.json(&["tombstones", "list", "--since", "1970-01-01"]), all);
    ann.run(&["tombstones", "list", "--since", "yesterday"]).refuses(2, "yesterday");

    let stats = ann.json(&["tombstones", "stats"]);
    let counts: Vec<(&Json, &Json)> = stats.as_array().unwrap().iter().map(|s| (&s["table"], &s["count"])).collect();
    assert_eq!(counts, [(&json!("album"), &json!(2)), (&json!("artist"), &json!(1)), (&json!("tag"), &json!(2))]);

    ann.run(&["tombstones", "restore", "album", "20"]).refuses(5, "artist");
    assert!(ann.ok(&["tombstones", "restore", "2"]).contains("brought back 5 rows"));
    assert_eq!(desk.rows("ann.db"), before, "to the bit");
    assert!(ann.ok(&["tombstones", "restore", "artist", "2"]).contains("nothing to bring back"));
    ann.sync();
    bob.sync();
    assert_eq!(desk.rows("bob.db"), before);
    desk.assert_sound("bob.db");
    assert_eq!(bob.json(&["conflicts", "--state", "all"]), json!([]), "adding a row on purpose is no conflict");
    assert_eq!(bob.json(&["tombstones", "list", "--table", "tag"])[0]["is_there"], json!(true));
    let mut nowhere = desk.program(&["tombstones", "restore", "2.1"]);
    std::fs::create_dir(desk.path("nowhere")).unwrap();
    let said = crate::desk::finish(nowhere.current_dir(desk.path("nowhere")));
    assert!(said.code == 4 && said.err.contains("mainstem clone ADDRESS NEW.db"), "{said:?}");
    bob.run(&["tombstones", "restore", "99.1"]).refuses(4, "99.1");
    bob.run(&["tombstones", "restore", "artist"]).refuses(2, "artist");
}

#[test]
fn an_old_file_brings_nothing_back() {
    let desk = Desk::new();
    let (ann, bob) = begin(&desk);
    ann.sql("INSERT INTO artist(id, name) VALUES(4, 'Dido')");
    ann.ok(&["commit", "-m", "Dido"]);
    ann.ok(&["changeset", "export", "-o", "dido.msc"]);
    ann.ok(&["bundle", "create", "dido.bundle"]);
    ann.sync();
    bob.sync();
    bob.sql("DELETE FROM artist WHERE id = 4");
    bob.sync();
    ann.sync();
    let again = desk.run(&["bundle", "apply", "dido.bundle", "--to", PRIMARY]);
    assert_eq!(again.code, 0, "{again:?}");
    for member in [&ann, &bob] {
        member.sync();
        assert_eq!(names(member), "Abba Björk Can", "a bundle that was applied before is recognised");
    }
    for member in [&ann, &bob] {
        let said = member.ok(&["changeset", "import", "dido.msc"]);
        assert!(said.contains("left out artist 4, which version 3 deleted after the file was made"), "{said}");
        assert!(said.contains("tombstones restore artist 4"), "and how to get it on purpose: {said}");
    }
    for member in [&ann, &bob, &ann] {
        assert_eq!((member.sync().pushed, names(member).as_str()), (0, "Abba Björk Can"));
    }
    std::fs::rename(desk.path(PRIMARY), desk.path("away")).unwrap();
    ann.run(&["changeset", "import", "dido.msc"]).refuses(4, "primary");
    std::fs::rename(desk.path("away"), desk.path(PRIMARY)).unwrap();
    assert_eq!(names(&ann), "Abba Björk Can", "who cannot know does not guess");
}

#[test]
fn an_old_file_does_not_touch_the_row_that_took_a_key() {
    let desk = Desk::new();
    let (ann, bob) = begin(&desk);
    ann.sql("UPDATE artist SET name = 'CAN' WHERE id = 3; INSERT INTO artist(id, name) VALUES(4, 'Dido')");
    ann.ok(&["changeset", "export", "-o", "can.msc"]);
    ann.ok(&["restore", "--all"]);
    bob.sql("DELETE FROM artist WHERE id = 3");
    bob.sync();
    bob.sql("INSERT INTO artist(id, name) VALUES(3, 'Can')");
    bob.sync();
    ann.sync();
    let said = ann.ok(&["changeset", "import", "can.msc"]);
    assert!(said.contains("left out artist 3"), "{said}");
    assert_eq!(names(&ann), "Abba Björk Can Dido", "what nobody deleted comes in");
    ann.sync();
    assert_eq!(ann.json(&["conflicts"]), json!([]));
}

#[test]
fn what_was_deleted_is_undone_on_purpose_by_its_inverse() {
    let desk = Desk::new();
    let (ann, bob) = begin(&desk);
    ann.sql("DELETE FROM artist WHERE id = 3");
    ann.ok(&["commit", "-m", "no Can"]);
    ann.ok(&["changeset", "export", "-o", "no-can.msc"]);
    ann.sync();
    ann.ok(&["changeset", "invert", "no-can.msc", "-o", "undo.msc"]);
    bob.sync();
    bob.ok(&["changeset", "import", "undo.msc"]);
    bob.sync();
    ann.sync();
    assert_eq!(names(&ann), "Abba Björk Can");
    assert_eq!(ann.json(&["conflicts"]), json!([]));
}

#[test]
fn cleanup_says_what_it_would_do_does_it_and_tells_who_comes_too_late() {
    let desk = Desk::new();
    let (ann, bob) = begin(&desk);
    for (key, value) in [("tombstones", "0"), ("history", "0"), ("replicas", "30"), ("album.tombstones", "forever")] {
        ann.ok(&["policy", "set", key, value]);
    }
    ann.run(&["policy", "set", "tombstones", "soon"]).refuses(2, "forever");
    ann.sql("DELETE FROM tag WHERE tag = 'pop'");
    ann.sync();
    ann.sql("DELETE FROM artist WHERE id = 3");
    ann.sync();
    let held = ann.ok(&["tombstones", "cleanup", "--explain"]);
    assert!(
        held.contains("nothing to forget") && held.contains("of bob stands on version 1") && held.contains("holds 2 deletions"),
        "{held}"
    );
    assert_eq!(ann.json(&["tombstones", "stats"])[0]["held"], json!(1));
    desk.copy("bob.db", "late.db");
    bob.sync();
    let tried = ann.json(&["tombstones", "cleanup", "--dry-run"]);
    assert_eq!((&tried["dry_run"], &tried["horizon"], &tried["pages"]), (&json!(true), &json!(3), &json!(2)));
    let text = ann.ok(&["tombstones", "cleanup", "--dry-run", "--explain"]);
    assert!(text.contains("artist: 1 deletion would be forgotten") && text.contains("up to version 3 would be removed"), "{text}");
    assert_eq!(ann.json(&["tombstones", "stats"])[0]["expired"], json!(1), "a dry run changes nothing");
    let mut done = desk.run(&["tombstones", "cleanup", "--primary", PRIMARY, "--as", "ann", "--json"]).json();
    done["dry_run"] = json!(true);
    assert_eq!(done, tried, "what was said is what was done");
    assert_eq!(ann.json(&["tombstones", "list"]), json!([]));
    assert!(ann.ok(&["tombstones", "cleanup"]).contains("nothing to forget"));
    for member in [&ann, &bob] {
        assert_eq!((member.sync().pulled, member.run(&["verify"]).code), (0, 0), "a cleanup is no news");
    }
    ann.sql("UPDATE artist SET name = upper(name)");
    ann.sync();
    bob.sync();
    assert_eq!(names(&bob), "ABBA BJöRK");
    let late = Member::new(&desk, "late", "late.db");
    late.sql("UPDATE album SET title = 'Début' WHERE id = 20");
    late.sync();
    bob.sync();
    assert_eq!(names(&late), "ABBA BJöRK", "who comes too late is seeded again, and brings nothing back");
    assert_eq!(bob.sql("SELECT title FROM album WHERE id = 20").trim(), "Début", "but for work of its own");
    assert_eq!(desk.rows("late.db"), desk.rows("bob.db"));
}

#[test]
fn a_row_that_the_app_marks_as_deleted_is_listed_and_can_be_unmarked() {
    let desk = Desk::new();
    let (ann, bob) = begin(&desk);
    ann.ok(&["policy", "set", "artist.soft_delete", "is_gone"]);
    bob.sql("UPDATE artist SET is_gone = 1 WHERE id = 1");
    bob.sync();
    ann.sync();
    let listed = ann.json(&["tombstones", "list"]);
    assert_eq!((&listed[0]["id"], &listed[0]["actor"]), (&Json::Null, &json!("bob")));
    assert_eq!(listed[0]["why"], json!({ "kind": "marked", "column": "is_gone" }));
    assert!(ann.ok(&["tombstones", "stats"]).contains("1 marked as deleted"));
    ann.ok(&["tombstones", "restore", "artist", "1"]);
    ann.sync();
    bob.sync();
    assert_eq!(bob.sql("SELECT count(*) FROM artist WHERE is_gone").trim(), "0");
    assert_eq!(bob.json(&["tombstones", "list"]), json!([]));
}

/// A policy that was set between two versions is an event of the ledger between them.
#[test]
fn a_bundle_of_versions_holds_across_a_change_of_policy() {
    let desk = Desk::new();
    let (ann, bob) = begin(&desk);
    for (n, name) in ["Dido", "Enya"].iter().enumerate() {
        ann.sql(&format!("INSERT INTO artist(name) VALUES('{name}')"));
        ann.sync();
        ann.ok(&["policy", "set", "tombstones", &n.to_string()]);
    }
    ann.ok(&["bundle", "create", "back.bundle", "--since", "1"]);
    bob.ok(&["bundle", "apply", "back.bundle"]);
    assert_eq!(names(&bob), "Abba Björk Can Dido Enya");
}
