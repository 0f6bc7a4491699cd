//! A primary's history verified, written down, and its projections folded again.
use crate::desk::Desk;
use crate::team::*;
use serde_json::Value as Json;

const START: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT); INSERT INTO t VALUES (1, 'a', 'b'), (2, 'c', 'd');";

fn worked(desk: &Desk) -> Vec<Member<'_>> {
    let members = found_from_sql(desk, START, &["ada", "bob"]);
    members[0].ok(&["policy", "set", "t.a.strategy", "manual"]);
    members[1].sync();
    members[0].sql("UPDATE t SET a = 'line\nbreak \u{1b}[2J \"quoted\"' WHERE id = 1; INSERT INTO t VALUES (3, 'x', NULL);");
    members[1].sql("UPDATE t SET a = 'other' WHERE id = 1; INSERT INTO t VALUES (3, 'y', NULL);");
    members[0].ok(&["commit", "-m", "first\tedit"]);
    until_quiet(&[&members[0], &members[1]]);
    members
}

#[test]
fn a_whole_history_verifies_and_a_forged_one_does_not() {
    let desk = Desk::new();
    let members = worked(&desk);
    let ada = &members[0];
    let told = ada.json(&["audit", "verify"]);
    assert_eq!((told["ok"].as_bool(), told["compared_with_replica"].as_bool()), (Some(true), Some(true)), "{told}");
    let head = told["head"].as_str().unwrap().to_string();
    assert!(ada.ok(&["audit", "verify", PRIMARY, "--head", &head]).contains("in order"));
    ada.run(&["audit", "verify", "--head", "12"]).refuses(2, "64");
    let wrong = ada.run(&["audit", "verify", "--head", &"0".repeat(64)]);
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert!(wrong.out.contains("no event of the chain has the hash"), "{wrong:?}");
    // Another program's own write is no forgery.
    desk.sql(PRIMARY_DB, "UPDATE t SET b = 'direct' WHERE id = 2;");
    assert_eq!(ada.json(&["audit", "verify"])["ok"], true);
    desk.sql(
        PRIMARY_DB,
        "UPDATE mainstem_event SET body = CAST(substr(body, 1, 30) || x'00' || substr(body, 32) AS BLOB) WHERE version = 2;",
    );
    let forged = ada.json_of_failing(&["audit", "verify"]);
    assert_eq!(forged["ok"], false);
    assert_eq!(forged["findings"][0]["subject"], "event", "{forged}");
    assert!(forged["rows"].is_null());
    desk.run(&["rebuild", PRIMARY]).refuses(7, "damaged");
}

#[test]
fn a_tail_that_was_cut_is_noticed_by_who_saw_it() {
    let desk = Desk::new();
    let members = worked(&desk);
    let version: u64 = members[0].json(&["log"])[0]["version"].to_string().parse().unwrap();
    desk.copy(desk.path(PRIMARY), "kept");
    members[0].sql("UPDATE t SET b = 'after' WHERE id = 1;");
    members[0].sync();
    desk.sql(PRIMARY_DB, "PRAGMA wal_checkpoint(TRUNCATE);");
    let kept = desk.path("kept").join("primary.db");
    for file in ["primary.db-wal", "primary.db-shm"] {
        let _ = std::fs::remove_file(desk.path(PRIMARY).join(file));
    }
    std::fs::copy(kept, desk.path(PRIMARY_DB)).unwrap();
    let found = members[0].json_of_failing(&["audit", "verify"]);
    let what = found["findings"][0]["what"].as_str().unwrap();
    assert!(what.contains(&format!("the primary ends at version {version}: its tail was cut")), "{found}");
    assert_eq!(desk.run(&["audit", "verify", PRIMARY]).code, 0, "alone it is whole");
}

#[test]
fn every_event_is_one_line_and_a_version_is_a_folder() {
    let desk = Desk::new();
    let members = worked(&desk);
    let ada = &members[0];
    assert!(ada.ok(&["audit", "export", "history.jsonl"]).contains("wrote history.jsonl"));
    let text = std::fs::read_to_string(desk.path("history.jsonl")).unwrap();
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert_eq!((lines[0]["event"].as_str(), lines[0]["position"].as_u64()), (Some("genesis"), Some(1)));
    for pair in lines.windows(2) {
        assert_eq!(pair[0]["hash"], pair[1]["before"]);
        assert!(pair[1]["actor"].is_string() && pair[1]["at"].is_string());
    }
    let edit = lines.iter().find(|line| line["reason"] == "first\tedit").expect("the version");
    assert_eq!(edit["event"], "version");
    assert_eq!(ada.ok(&["audit", "export"]), text);
    let version = edit["version"].to_string();
    ada.ok(&["audit", "export", "--version", &version, "--to", "out/one"]);
    let file = |name: &str| -> Json { serde_json::from_str(&std::fs::read_to_string(desk.path("out/one").join(name)).unwrap()).unwrap() };
    assert_eq!(file("merge_result.json")["hash"], edit["hash"]);
    assert_eq!(file("diff.json").as_array().unwrap().len() as u64, file("merge_result.json")["changes"].as_u64().unwrap());
    assert!(file("conflicts.json").is_array());
    ada.run(&["audit", "export", "--version", "2"]).refuses(2, "--to");
    ada.run(&["audit", "export", "--version", "99", "--to", "x"]).refuses(4, "99");
}

#[test]
fn what_is_folded_can_be_thrown_away() {
    let desk = Desk::new();
    let members = worked(&desk);
    let conflicts = members[0].json(&["conflicts", "--state", "all"]);
    assert!(desk.ok(&["rebuild", PRIMARY]).contains("everything was what the history says"));
    desk.sql(
        PRIMARY_DB,
        "DELETE FROM mainstem_conflict; DELETE FROM mainstem_touch; UPDATE mainstem_digest SET rows = 99; DELETE FROM mainstem_renumbered;",
    );
    assert_eq!(members[0].run(&["audit", "verify"]).code, 1);
    let mended = desk.ok(&["rebuild", PRIMARY]);
    for table in ["mainstem_conflict", "mainstem_touch", "mainstem_digest", "mainstem_renumbered"] {
        assert!(mended.contains(&format!("mended {table}")), "{mended}");
    }
    assert_eq!(members[0].run(&["audit", "verify"]).code, 0);
    members[0].ok(&["verify"]);
    desk.ok(&["clone", PRIMARY, "cy.db"]);
    let cy = Member::new(&desk, "cy", "cy.db");
    assert_eq!(cy.json(&["conflicts", "--state", "all"]), conflicts);
    desk.run(&["rebuild", "nowhere"]).refuses(4, "no primary");
}
