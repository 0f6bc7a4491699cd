//! Writes that capture cannot see (A12): found before anything is sent, and kept as edits, never overwritten.
use crate::desk::Desk;
use crate::team::*;
use serde_json::json;

const START: &str = "CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT, body TEXT);
    WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 200)
    INSERT INTO note SELECT x, 'title ' || x, 'body ' || x FROM n;";

/// SQL by a shell whose triggers are switched off.
fn unseen(member: &Member<'_>, sql: &str) {
    member.sql(&format!(".dbconfig enable_trigger off\n{sql}\n"));
}

#[test]
fn a_write_with_triggers_off_is_found_and_sent() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    unseen(
        pair[0],
        "UPDATE note SET body = 'unseen' WHERE id = 7; DELETE FROM note WHERE id = 8; INSERT INTO note VALUES (900, 'new', 'unseen too');",
    );
    assert_eq!(pair[0].status()["changes"], json!([]), "capture cannot know");
    let found = pair[0].json_of_failing(&["verify"]);
    let keys: Vec<String> = found["differences"].as_array().unwrap().iter().map(|d| d["key"].to_string()).collect();
    assert_eq!(keys, ["{\"id\":7}", "{\"id\":8}", "{\"id\":900}"], "{found}");
    pair[0].sql("UPDATE note SET title = 'seen' WHERE id = 1;");
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(
        pair[1].sql("SELECT id, title, body FROM note WHERE id IN (1, 7, 8, 900);"),
        "1|seen|body 1\n7|title 7|unseen\n900|new|unseen too\n"
    );
}

#[test]
fn an_unseen_write_to_a_row_that_was_edited_is_kept() {
    // Before the captured edit, between two, after a commit, and where the other side edits the row as well.
    for order in [[0, 1], [1, 0]] {
        let desk = Desk::new();
        let members = found_from_sql(&desk, START, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        unseen(pair[0], "UPDATE note SET body = 'unseen first' WHERE id = 1;");
        pair[0].sql("UPDATE note SET title = 'seen after' WHERE id = 1; UPDATE note SET title = 'committed' WHERE id IN (2, 3);");
        pair[0].ok(&["commit", "-m", "one"]);
        unseen(pair[0], "UPDATE note SET body = 'unseen after commit' WHERE id = 2; DELETE FROM note WHERE id = 3;");
        pair[1].sql("UPDATE note SET title = 'by Bob' WHERE id = 50;");
        until_quiet(&[pair[order[0]], pair[order[1]]]);
        assert_together(&pair);
        let rows = pair[1].sql("SELECT id, title, body FROM note WHERE id IN (1, 2, 3, 50);");
        assert_eq!(rows, "1|seen after|unseen first\n2|committed|unseen after commit\n50|by Bob|body 50\n");
        // It was deleted as its own commit had left it: nobody stands against that, and it can be brought back so.
        assert_eq!(pair[1].open_conflicts().len(), 0);
        let gone = pair[1].json(&["tombstones", "list", "--table", "note"]);
        assert_eq!((&gone[0]["key"]["id"], &gone[0]["row"]["title"]), (&3.into(), &"committed".into()), "{gone}");
    }
}

#[test]
fn many_rows_that_are_gone_are_not_taken_for_deletions() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, START, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    unseen(pair[0], "DELETE FROM note WHERE id > 20;");
    pair[0].sql("UPDATE note SET title = 'seen' WHERE id = 1;");
    pair[0].run(&["sync"]).refuses(5, "180 rows of note");
    pair[1].sync();
    assert_eq!(pair[1].sql("SELECT count(*) FROM note;"), "200\n", "nothing was sent");
    pair[0].ok(&["sync", "--accept-deletions"]);
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[1].sql("SELECT count(*) FROM note;"), "20\n");
}
