//! A replica that is behind what its primary remembers, or whose rows or cursor somebody wiped (TMB-4, H1, H6, D7, I-63).
use crate::team::{Team, one, quiet, rows};
use mainstem::core::ErrorKind;
use mainstem::core::change::Choice;
use mainstem::core::conflict::{Claim, ConflictKind};
use mainstem::core::value::Value;
use mainstem::error::Error;
use mainstem::replica::{Answering, Replica};
use mainstem::sync;
use mainstem_testkit::between::{Between, Moment, Turn};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// Bob was away while Ada did much, and the primary has forgotten how it came to that.
fn away(team: &Team, ada: &[&str], bob: &str) {
    away_with(team, "", ada, bob);
}

fn away_with(team: &Team, policy: &str, ada: &[&str], bob: &str) {
    for sql in ada {
        team.edit("ada", sql);
    }
    team.sql("bob", bob);
    team.forget(policy);
}

/// Writes that no trigger sees.
fn unseen(team: &Team, name: &str, sql: &str) {
    let db = Connection::open(team.path(name)).unwrap();
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
    db.execute_batch(sql).unwrap();
}

#[test]
fn what_was_deleted_is_gone_and_an_edit_of_it_is_a_conflict() {
    let team = Team::new(&["ada", "bob"]);
    let ada = ["DELETE FROM word WHERE w = 'a';", "DELETE FROM word WHERE w = 'b';", "UPDATE word SET note = 'ada' WHERE w = 'c';"];
    away(&team, &ada, "UPDATE word SET note = 'edited by bob' WHERE w = 'b';");
    let report = team.sync("bob");
    assert_eq!((report.is_reseeded, report.edits_of_gone_rows), (true, 1));
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team.value("ada", "SELECT group_concat(w) FROM word"), "c", "nothing returned from the dead");
    let found = team.conflicts("ada", true);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind, ConflictKind::UpdateDelete);
    let Claim::Row(Some(image)) = &found[0].ours.claim else { panic!("a row: {found:?}") };
    assert!(
        image.contains(&("note".into(), Value::text("edited by bob"))) && image.contains(&("n".into(), Value::Integer(2))),
        "{image:?}"
    );
    assert_eq!(found[0].theirs.claim, Claim::Row(None));
    team.open("bob").resolve("bob", &[(found[0].id, Answering { choice: Choice::Ours, value: None })]).unwrap();
    team.settle(&["bob", "ada"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team.value("ada", "SELECT note FROM word WHERE w = 'b'"), "edited by bob", "it was brought back on purpose");
}

#[test]
fn unsent_work_of_every_kind_goes_on() {
    let team = Team::new(&["ada", "bob"]);
    team.sql("bob", "INSERT INTO list VALUES (3, 'bob'); INSERT INTO task(id, list, what) VALUES (4, 3, 'bob');");
    team.commit("bob", "made while away");
    let ada = [
        "INSERT INTO list VALUES (3, 'ada'); INSERT INTO task(id, list, what) VALUES (4, 3, 'ada');",
        "UPDATE task SET what = 'by ada' WHERE id = 1; UPDATE word SET note = 'ada' WHERE w = 'a'; DELETE FROM task WHERE id = 3;",
    ];
    let bob = "UPDATE task SET done = 1 WHERE id IN (1, 4); DELETE FROM word WHERE w = 'b'; INSERT INTO word VALUES ('bob', 50, NULL);";
    away(&team, &ada, bob);
    team.sync("bob");
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team.value("ada", "SELECT what || done FROM task WHERE id = 1"), "by ada1", "both edits of one row");
    assert_eq!(team.value("ada", "SELECT group_concat(w) FROM (SELECT w FROM word ORDER BY w)"), "a,bob,c");
    let sql = "SELECT list.name || done FROM task JOIN list ON list.id = task.list WHERE what = 'bob'";
    assert_eq!(team.value("ada", sql), "bob1", "renumbered with its child and a later edit");
    assert_eq!(team.value("ada", "SELECT count(*) FROM task WHERE id = 3"), "0");
}

#[test]
fn a_download_that_breaks_off_changes_nothing() {
    let team = Team::new(&["ada", "bob"]);
    away(&team, &["DELETE FROM word WHERE w = 'a';"], "UPDATE word SET note = 'bob' WHERE w = 'b';");
    let before = rows(&team.path("bob"));
    for moment in [Moment::Before("snapshot"), Moment::After("snapshot"), Moment::After("find_write")] {
        let mut real = team.primary();
        let mut breaking = Between::new(&mut *real, |now| match now == moment {
            true => Err(Error::new(ErrorKind::Unavailable, "line", "the line went dead")),
            false => Ok(Turn::Once),
        });
        let broken = sync::sync(&mut team.open("bob"), &mut breaking, "bob", &mut quiet).unwrap_err();
        assert_eq!(broken.code, "line", "{moment:?}");
        assert_eq!(rows(&team.path("bob")), before);
        assert_eq!(team.open("bob").standing().unwrap().base_version, 1);
    }
    team.sync("bob");
    team.settle(&["bob", "ada"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team.value("ada", "SELECT group_concat(note) FROM word WHERE w = 'b'"), "bob");
}

#[test]
fn conflicts_are_taken_over_and_answers_are_kept() {
    let team = Team::new(&["ada", "bob", "cem"]);
    team.primary().set_policy("strategy = \"manual\"\n", "ada").unwrap();
    team.settle(&["ada", "bob", "cem"]);
    team.sql("ada", "UPDATE word SET note = 'ada' WHERE w = 'a';");
    team.sql("cem", "UPDATE word SET note = 'cem' WHERE w = 'a';");
    team.settle(&["ada", "cem", "bob"]);
    let open = team.conflicts("bob", true);
    assert_eq!(open.len(), 1);
    team.open("bob").resolve("bob", &[(open[0].id, Answering { choice: Choice::Theirs, value: None })]).unwrap();
    away_with(&team, "strategy = \"manual\"\n", &["UPDATE word SET note = 'on' WHERE w = 'c';"], "");
    team.settle(&["ada", "cem", "bob"]);
    team.assert_one(&["ada", "bob", "cem"]);
    assert_eq!(team.conflicts("ada", true).len(), 0, "bob's answer has arrived");
}

#[test]
fn writes_past_capture_are_not_thrown_away_unasked() {
    let team = Team::new(&["ada", "bob"]);
    away(&team, &["DELETE FROM word WHERE w = 'a';"], "");
    unseen(&team, "bob", "UPDATE word SET note = 'unseen' WHERE w = 'c';");
    let before = rows(&team.path("bob"));
    let refused = team.try_sync("bob").unwrap_err();
    assert_eq!(refused.code, "unseen_behind_horizon");
    assert!(refused.hint.unwrap().contains("--reseed"));
    assert_eq!(rows(&team.path("bob")), before);
    sync::reseed(&mut team.open("bob"), &mut *team.primary(), "bob", &mut quiet).unwrap();
    team.settle(&["bob", "ada"]);
    team.assert_one(&["ada", "bob"]);
}

#[test]
fn tables_that_changed_beyond_the_horizon() {
    let team = Team::new(&["ada", "bob"]);
    let ada = [
        "ALTER TABLE word ADD COLUMN lang TEXT; UPDATE word SET lang = 'en'; CREATE INDEX by_lang ON word(lang);",
        "CREATE TABLE tag(t TEXT PRIMARY KEY); INSERT INTO tag VALUES ('x'); ALTER TABLE task RENAME COLUMN what TO text;",
    ];
    away(&team, &ada, "UPDATE word SET note = 'bob' WHERE w = 'b'; INSERT INTO list(name) VALUES ('of bob');");
    team.sync("bob");
    team.settle(&["ada", "bob"]);
    for name in ["ada", "bob"] {
        assert_eq!(team.value(name, "SELECT note || lang FROM word WHERE w = 'b'"), "boben");
        assert_eq!(team.value(name, "SELECT text FROM task WHERE id = 1"), "sweep");
        assert_eq!(team.value(name, "SELECT t FROM tag"), "x");
        assert_eq!(team.value(name, "SELECT count(*) FROM sqlite_schema WHERE name = 'by_lang'"), "1");
        assert_eq!(team.value(name, "SELECT name FROM list WHERE id = 3"), "of bob");
        assert_eq!(team.open(name).verify(Some(&mut *team.primary()), &mut quiet).unwrap().differences.len(), 0);
    }
    team.edit("bob", "UPDATE tag SET t = 'captured again'; UPDATE word SET lang = 'de' WHERE w = 'a';");
    team.settle(&["ada", "bob"]);
    assert_eq!(team.value("ada", "SELECT t || lang FROM tag, word WHERE w = 'a'"), "captured againde");
}

#[test]
fn a_cleanup_between_a_clone_and_its_first_pull() {
    let team = Team::new(&["ada"]);
    team.edit("ada", "UPDATE word SET note = 'x' WHERE w = 'a';");
    team.join("bob");
    away(&team, &["DELETE FROM word WHERE w = 'a';", "INSERT INTO word VALUES ('d', 4, NULL);"], "");
    team.sync("bob");
    team.assert_one(&["ada", "bob"]);
}

#[test]
fn restored_and_behind_the_horizon_at_once() {
    let team = Team::new(&["ada", "bob"]);
    team.edit("ada", "UPDATE word SET note = 'kept' WHERE w = 'a';");
    let copy = team.copy_primary("copy");
    team.edit("bob", "UPDATE word SET note = 'lost' WHERE w = 'b'; INSERT INTO word VALUES ('e', 5, 'lost too');");
    team.sql("bob", "UPDATE word SET note = 'unsent' WHERE w = 'c';");
    team.restore(&copy);
    away(&team, &["DELETE FROM word WHERE w = 'a';"], "");
    let report = team.sync("bob");
    assert!(report.is_restored && report.is_reseeded, "{report:?}");
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team.value("ada", "SELECT group_concat(note) FROM (SELECT note FROM word ORDER BY w)"), "lost,unsent,lost too");
}

#[test]
fn a_changeset_whose_answer_was_lost_is_not_sent_twice() {
    let team = Team::new(&["ada", "bob"]);
    team.sql("bob", "INSERT INTO task(id, list, what) VALUES (4, 1, 'once'); UPDATE word SET note = 'bob' WHERE w = 'a';");
    sync::push(&mut team.open("bob"), &mut *team.primary(), "bob", &mut quiet).unwrap();
    let ada = ["UPDATE task SET what = 'changed since' WHERE id = 4;", "DELETE FROM word WHERE w = 'a';"];
    away(&team, &ada, "UPDATE word SET note = 'later' WHERE w = 'b';");
    team.sync("bob");
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team.value("bob", "SELECT group_concat(what) FROM task WHERE id > 3"), "changed since");
    assert_eq!(team.conflicts("bob", false), []);
}

#[test]
fn rows_wiped_with_the_cursor_kept() {
    let team = Team::new(&["ada", "bob"]);
    let many: String = (0..80).map(|n| format!("INSERT INTO word VALUES ('many {n}', {}, 'x');", 1_000 + n)).collect();
    team.edit("ada", &many);
    team.sync("bob");
    team.sql("bob", "UPDATE word SET note = 'unsent' WHERE w = 'a';");
    team.commit("bob", "unsent");
    let whole = rows(&team.path("ada"));
    unseen(&team, "bob", "DELETE FROM word; DELETE FROM task;");
    let refused = team.try_sync("bob").unwrap_err();
    assert_eq!(refused.code, "many_deletions", "a wipe is not a deletion");
    assert_eq!(rows(&team.primary_db()), whole, "nothing was sent");
    sync::reseed(&mut team.open("bob"), &mut *team.primary(), "bob", &mut quiet).unwrap();
    team.settle(&["bob", "ada"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(rows(&team.path("ada")), whole.replace("'a'1'first'", "'a'1'unsent'"), "all rows, and the unsent edit");
}

#[test]
fn the_cursor_wiped_with_the_rows_kept() {
    let team = Team::new(&["ada", "bob"]);
    let first = team.open("bob").standing().unwrap().known.unwrap();
    for n in 0..5 {
        team.edit("ada", &format!("INSERT INTO word VALUES ('n {n}', {}, 'x'); DELETE FROM word WHERE w = 'n {}';", 100 + n, n - 2));
    }
    team.sync("bob");
    team.sql("bob", "UPDATE word SET note = 'unsent' WHERE w = 'a';");
    let db = Connection::open(team.path("bob")).unwrap();
    db.execute("UPDATE mainstem_meta SET value = 1 WHERE name = 'version'", []).unwrap();
    db.execute("UPDATE mainstem_meta SET value = ?1 WHERE name = 'hash'", [first.hash]).unwrap();
    drop(db);
    // Where the comparison with the primary cannot do it alone, the primary's rows are taken again.
    if team.try_sync("bob").is_err() {
        sync::reseed(&mut team.open("bob"), &mut *team.primary(), "bob", &mut quiet).unwrap();
    }
    team.settle(&["bob", "ada"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team.value("ada", "SELECT note FROM word WHERE w = 'a'"), "unsent");
    assert_eq!(team.value("ada", "SELECT count(*) FROM word"), "5", "nothing came back");
}

#[test]
fn a_replica_that_forgot_its_primary_does_not_say_that_it_is_synced() {
    let team = Team::new(&["ada", "bob"]);
    team.edit("ada", "UPDATE word SET note = 'x' WHERE w = 'a';");
    Connection::open(team.path("ada"))
        .unwrap()
        .execute_batch("DELETE FROM mainstem_meta WHERE name IN ('hash', 'version', 'epoch');")
        .unwrap();
    let standing = team.open("ada").standing().unwrap();
    assert!(standing.known.is_none() && standing.base_version == 0, "{standing:?}");
    assert_eq!(team.try_sync("ada").unwrap_err().code, "no_primary");
    assert_eq!(one(&team.path("ada"), "SELECT count(*) FROM word"), "3");
}
