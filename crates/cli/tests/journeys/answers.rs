//! What people do with changes and conflicts: look, undo, answer, wait, carry on a stick, hand over as files.
use crate::desk::Desk;
use crate::team::*;
use serde_json::json;

const START: &str = "
    CREATE TABLE song (id INTEGER PRIMARY KEY, title TEXT, plays INTEGER);
    INSERT INTO song VALUES (1, 'one', 10), (2, 'two', 20), (3, 'three', 30);
    CREATE TABLE line (song INTEGER REFERENCES song (id), number INTEGER, words TEXT, PRIMARY KEY (song, number));
    INSERT INTO line VALUES (1, 1, 'la la');
";

/// Two people with one open conflict on the title of song 1: base 'one', in the tables 'by Ada', pushed later 'by Bob'.
fn with_open_conflict(desk: &Desk) -> Vec<Member<'_>> {
    let members = found_from_sql(desk, START, &["ada", "bob"]);
    members[0].ok(&["policy", "set", "strategy", "manual"]);
    until_quiet(&[&members[0], &members[1]]);
    members[0].sql("UPDATE song SET title = 'by Ada' WHERE id = 1;");
    members[1].sql("UPDATE song SET title = 'by Bob' WHERE id = 1;");
    until_quiet(&[&members[0], &members[1]]);
    assert_eq!(members[0].open_conflicts().len(), 1);
    members
}

#[test]
fn status_lists_changes_by_table_key_kind_and_cells() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada"]);
    members[0].sql(
        "UPDATE song SET title = 'uno' WHERE id = 1; DELETE FROM song WHERE id = 2; INSERT INTO song VALUES (4, 'four', NULL);
         UPDATE line SET words = 'lo lo';",
    );
    let status = members[0].status();
    assert_eq!(status["actor"], "ada");
    assert!(status["replica"].as_str().is_some_and(|r| r.len() >= 8), "{status}");
    assert_eq!((&status["conflicts_open"], &status["pending"]), (&json!(0), &json!(0)));
    assert!(status["base_version"].as_i64().is_some_and(|v| v >= 1), "{status}");
    let changes = status["changes"].as_array().expect("a list");
    let mut seen: Vec<(String, String)> =
        changes.iter().map(|c| (format!("{} {}", c["table"], c["kind"]).replace('"', ""), c["key"].to_string())).collect();
    seen.sort();
    let kinds: Vec<&str> = seen.iter().map(|s| s.0.as_str()).collect();
    assert_eq!(kinds, ["line update", "song delete", "song insert", "song update"]);
    let update = changes.iter().find(|c| c["table"] == "song" && c["kind"] == "update").expect("seen above");
    assert_eq!(update["key"], json!({ "id": 1 }));
    assert_eq!(update["cells"], json!([{ "column": "title", "before": "one", "after": "uno" }]));
    let shown = members[0].ok(&["diff"]);
    for word in ["uno", "one", "four", "lo lo"] {
        assert!(shown.contains(word), "{word} in {shown}");
    }
    members[0].ok(&["commit", "-m", "renamed songs"]);
    assert_eq!(members[0].run(&["log"]).code, 0);
    assert!(members[0].ok(&["log"]).contains("renamed songs"));
    members[0].sync();
    assert!(members[0].ok(&["log"]).contains("renamed songs"), "after the sync as well");
    assert!(members[0].ok(&["show", "2"]).contains("uno"));
}

#[test]
fn operations_keep_each_step() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada"]);
    members[0]
        .sql("UPDATE song SET plays = 11 WHERE id = 1; UPDATE song SET plays = 12 WHERE id = 1; REPLACE INTO song VALUES (2, 'zwei', 0);");
    let steps = members[0].json(&["log", "--operations"]);
    let steps = steps.as_array().expect("a list");
    let text = json!(steps).to_string();
    for value in ["10", "11", "12", "two", "zwei"] {
        assert!(text.contains(value), "{value} in {text}");
    }
    assert!(steps.len() >= 3, "two updates and a replace: {text}");
}

#[test]
fn restore_puts_rows_and_cells_back() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada"]);
    let before = desk.rows("ada.db");
    let edit = "UPDATE song SET title = 'x', plays = 0 WHERE id = 1; DELETE FROM song WHERE id = 2; INSERT INTO song VALUES (9, 'new', 9);
                DELETE FROM line;";
    members[0].sql(edit);
    members[0].ok(&["restore", "song", "1", "--column", "title"]);
    assert_eq!(members[0].sql("SELECT title, plays FROM song WHERE id = 1;"), "one|0\n", "one cell");
    members[0].ok(&["restore", "song", "2"]);
    assert_eq!(members[0].sql("SELECT title, plays FROM song WHERE id = 2;"), "two|20\n", "one row");
    members[0].ok(&["restore", "--all"]);
    assert_same(&desk.rows("ada.db"), &before, "rows after restoring all");
    assert_eq!(members[0].status()["changes"], json!([]));
    let synced = members[0].sync();
    assert_eq!((synced.pushed, synced.pulled), (0, 0));
}

#[test]
fn each_answer_to_a_conflict() {
    let answers: [(&[&str], &str); 4] =
        [(&["--ours"], "by Bob"), (&["--theirs"], "by Ada"), (&["--base"], "one"), (&["--value", "by both"], "by both")];
    for (answer, expected) in answers {
        let desk = Desk::new();
        let members = with_open_conflict(&desk);
        let pair = [&members[0], &members[1]];
        let id = pair[0].open_conflicts()[0]["id"].as_str().expect("an id").to_string();
        pair[0].ok(&[&["resolve", &id], answer].concat());
        assert_eq!(pair[0].open_conflicts().len(), 0, "answered here at once");
        until_quiet(&pair);
        assert_together(&pair);
        for member in pair {
            assert_eq!(member.sql("SELECT title FROM song WHERE id = 1;"), format!("{expected}\n"), "{answer:?}");
            assert_eq!(member.open_conflicts().len(), 0, "answered on each copy");
            assert_eq!(member.sync().code, 0);
        }
        assert_nothing_lost(&pair, &["by Ada", "by Bob"]);
    }
}

#[test]
fn a_merged_answer_holds_both() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].ok(&["policy", "set", "strategy", "manual"]);
    until_quiet(&pair);
    pair[0].sql("UPDATE line SET words = 'do la la' WHERE song = 1;");
    pair[1].sql("UPDATE line SET words = 'la la re' WHERE song = 1;");
    until_quiet(&pair);
    let id = pair[1].open_conflicts()[0]["id"].as_str().expect("an id").to_string();
    pair[1].ok(&["resolve", &id, "--merged"]);
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[0].sql("SELECT words FROM line;"), "do la la re\n");
}

#[test]
fn all_at_once_and_what_is_not_there() {
    let desk = Desk::new();
    let members = with_open_conflict(&desk);
    let pair = [&members[0], &members[1]];
    pair[1].run(&["resolve", "ffffffffffffffff", "--ours"]).refuses(4, "ffffffffffffffff");
    pair[1].run(&["resolve", "no-such-conflict", "--ours"]).refuses(2, "no-such-conflict");
    assert_eq!(pair[1].open_conflicts().len(), 1);
    pair[1].ok(&["resolve", "--all", "--theirs"]);
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[0].open_conflicts().len(), 0);
    assert_eq!(pair[0].sql("SELECT title FROM song WHERE id = 1;"), "by Ada\n");
}

#[test]
fn conflicts_stay_through_many_syncs() {
    let desk = Desk::new();
    let members = with_open_conflict(&desk);
    let pair = [&members[0], &members[1]];
    for round in 0..6 {
        pair[round % 2].sql(&format!("INSERT INTO song (title) VALUES ('round {round}');"));
        until_quiet(&pair);
        for member in pair {
            assert_eq!(member.open_conflicts().len(), 1, "round {round}");
            assert_eq!(member.status()["conflicts_open"], json!(1));
            assert_eq!(member.sync().code, 5);
        }
    }
    assert_together(&pair);
    assert_eq!(pair[0].sql("SELECT count(*) FROM song;"), "9\n");
}

#[test]
fn a_child_waits_for_its_parent_and_is_released() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    // With links unchecked, as the shell leaves them, a child can be written before its parent.
    pair[0].sql("INSERT INTO line VALUES (500, 1, 'early words');");
    until_quiet(&pair);
    for member in pair {
        let pending = member.json(&["pending"]);
        assert_eq!(pending.as_array().map(Vec::len), Some(1), "{pending}");
        assert_eq!(member.status()["pending"], json!(1));
    }
    assert_eq!(pair[1].sql("SELECT count(*) FROM line WHERE song = 500;"), "0\n", "not applied yet");
    desk.assert_sound("bob.db");
    pair[1].sql("INSERT INTO song VALUES (500, 'late parent', 0);");
    until_quiet(&pair);
    assert_together(&pair);
    for member in pair {
        assert_eq!(member.json(&["pending"]), json!([]));
        assert_eq!(member.sql("SELECT title, words FROM line JOIN song ON id = song WHERE id = 500;"), "late parent|early words\n");
    }
}

#[test]
fn a_bundle_there_and_back() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[1].sql("UPDATE song SET title = 'from afar' WHERE id = 2; INSERT INTO song VALUES (7, 'seven', 7);");
    let since = pair[1].status()["base_version"].to_string();
    // Bob's machine reaches no primary: his work goes to Ada's on a stick, and what is new comes back on it.
    std::fs::rename(desk.path(PRIMARY), desk.path("far-away")).expect("renamed");
    pair[1].ok(&["commit", "-m", "made far away"]);
    pair[1].ok(&["bundle", "create", "there.bundle"]);
    std::fs::rename(desk.path("far-away"), desk.path(PRIMARY)).expect("renamed");
    pair[0].sql("UPDATE song SET plays = 22 WHERE id = 2;");
    pair[0].ok(&["bundle", "apply", "there.bundle"]);
    until_quiet(&[pair[0]]);
    let both = "SELECT title, plays FROM song WHERE id IN (2, 7) ORDER BY id;";
    assert_eq!(pair[0].sql(both), "from afar|22\nseven|7\n");
    pair[0].ok(&["bundle", "create", "back.bundle", "--since", &since]);
    std::fs::rename(desk.path(PRIMARY), desk.path("far-away")).expect("renamed");
    pair[1].ok(&["bundle", "apply", "back.bundle"]);
    assert_eq!(pair[1].sql(both), "from afar|22\nseven|7\n", "without a network");
    std::fs::rename(desk.path("far-away"), desk.path(PRIMARY)).expect("renamed");
    let synced = pair[1].sync();
    assert_eq!((synced.pushed, synced.pulled), (0, 0), "nothing is left to move: {synced:?}");
    assert_together(&pair);
    // A bundle that is applied again does no harm, to the primary or to a copy.
    pair[0].ok(&["bundle", "apply", "there.bundle"]);
    pair[1].ok(&["bundle", "apply", "back.bundle"]);
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[0].sql("SELECT count(*) FROM song;"), "4\n");
}

/// Commits and exports what was just committed.
fn export(member: &Member<'_>, file: &str) {
    member.ok(&["commit", "-m", "to export"]);
    let log = member.json(&["log"]);
    let id = log[0]["id"].as_str().expect("the newest has an id");
    member.ok(&["changeset", "export", id, "-o", file]);
}

#[test]
fn a_changeset_as_a_file() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    let before = desk.rows("ada.db");
    pair[0].sql("UPDATE song SET title = 'uno' WHERE id = 1; DELETE FROM song WHERE id = 3; INSERT INTO song VALUES (4, 'four', 4);");
    export(pair[0], "changes.msc");
    assert!(pair[0].ok(&["changeset", "show", "changes.msc"]).contains("uno"));
    pair[1].ok(&["changeset", "import", "changes.msc"]);
    assert_same(&desk.rows("bob.db"), &desk.rows("ada.db"), "the copy that imported");
    pair[1].ok(&["changeset", "invert", "changes.msc", "-o", "back.msc"]);
    pair[1].ok(&["changeset", "import", "back.msc"]);
    assert_same(&desk.rows("bob.db"), &before, "after importing the inverse");
    until_quiet(&pair);
    assert_together(&pair);
}

#[test]
fn a_changeset_file_that_is_damaged_anywhere_is_refused() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada"]);
    members[0].sql("UPDATE song SET title = 'uno' WHERE id = 1; INSERT INTO song VALUES (4, hex(randomblob(40)), 4);");
    export(&members[0], "changes.msc");
    members[0].sync();
    let before = desk.rows("ada.db");
    let bytes = std::fs::read(desk.path("changes.msc")).expect("it was written");
    let step = (bytes.len() / 24).max(1);
    let damaged = |place: usize| {
        let cut = bytes[..place].to_vec();
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (place % 8);
        [cut, flipped]
    };
    for place in (0..bytes.len()).step_by(step).chain([bytes.len() - 1]) {
        for file in damaged(place) {
            std::fs::write(desk.path("damaged.msc"), file).expect("written");
            let said = members[0].run(&["changeset", "import", "damaged.msc"]);
            assert!([2, 7].contains(&said.code), "byte {place}: {said:?}");
            said.refuses(said.code, "damaged.msc");
        }
    }
    assert_same(&desk.rows("ada.db"), &before, "rows after all the refused files");
    assert_eq!(members[0].status()["changes"], json!([]));
}

#[test]
fn changes_are_put_aside_and_laid_on_again() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    let before = desk.rows("ada.db");
    pair[0].sql("UPDATE song SET title = 'uno' WHERE id = 1; DELETE FROM song WHERE id = 3; INSERT INTO song VALUES (40, 'forty', 4);");
    let after = desk.rows("ada.db");
    pair[0].ok(&["stash", "-m", "half done"]);
    assert_same(&desk.rows("ada.db"), &before, "after putting aside");
    assert_eq!(pair[0].status()["changes"], json!([]));
    assert!(pair[0].ok(&["stash", "list"]).contains("half done"));
    assert!(pair[0].ok(&["stash", "show"]).contains("uno"));
    // Somebody else's work comes in between.
    pair[1].sql("UPDATE song SET plays = 99 WHERE id = 2;");
    until_quiet(&pair);
    pair[0].ok(&["stash", "pop"]);
    assert_eq!(pair[0].json(&["stash", "list"]), json!([]));
    assert_eq!(pair[0].sql("SELECT plays FROM song WHERE id = 2;"), "99\n");
    pair[0].sql("UPDATE song SET plays = 20 WHERE id = 2;");
    assert_same(&desk.rows("ada.db"), &after, "after laying it on again");
    // What clashes stays aside, whole.
    pair[0].ok(&["restore", "--all"]);
    pair[0].sql("UPDATE song SET title = 'eins' WHERE id = 1;");
    pair[0].ok(&["stash"]);
    pair[0].sql("UPDATE song SET title = 'one!' WHERE id = 1;");
    pair[0].run(&["stash", "pop"]).refuses(5, "song");
    assert_eq!(pair[0].sql("SELECT title FROM song WHERE id = 1;"), "one!\n");
    pair[0].ok(&["stash", "drop", "1"]);
    until_quiet(&pair);
    assert_together(&pair);
}

#[test]
fn a_title_given_beforehand_is_the_commits() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].ok(&["begin", "Autumn songs", "-m", "As decided."]);
    pair[0].sql("UPDATE song SET title = 'uno' WHERE id = 1;");
    until_quiet(&pair);
    assert!(pair[1].ok(&["log"]).contains("Autumn songs"));
    pair[0].sql("UPDATE song SET title = 'due' WHERE id = 2;");
    pair[0].run(&["commit"]).refuses(2, "title");
}
