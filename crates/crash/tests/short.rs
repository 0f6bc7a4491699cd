//! A sample of the crash points of each script, and whether a fault of ours would be seen. `scripts/crash` plays all.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use mainstem_crash::scripts::{self, Script};
use mainstem_crash::stage::Stage;
use mainstem_crash::{SHORT, run};

/// One test for each script, so that they run beside each other.
macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            play(stringify!($name));
        })*
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

scripts! {
    init init_wal init_again deinit commit commit_wal commit_titled begin restore restore_base_wal stash unstash_wal heal
    heal_and_commit_wal programs_write programs_write_wal programs_alter checkpoint publish publish_wal clone
    clone_with_conflicts clone_search_index policy resolve resolve_value_wal resolve_and_sync import tombstones_cleanup tombstones_restore copied
    copied_wal rewound
    revert revert_wal rebuild reseed reseed_wal backup_of_primary backup_of_replica sync_with_restored sync_with_restored_wal
    push push_wal program_then_push push_several push_merging push_conflicts push_conflicts_wal push_renumbering push_unique push_waiting
    push_parent_of_waiting push_schema push_after_direct_writes push_unseen pull pull_wal pull_several pull_pages
    pull_pages_wal pull_acknowledgement pull_under_work pull_under_work_wal pull_conflicts pull_renumbering pull_schema
    pull_search_index pull_direct_writes pull_direct_schema_wal sync sync_wal
    propose propose_wal propose_revision vote vote_wal withdraw merge merge_wal merge_onto_others merge_and_sync answer answer_wal
    accept_part accept_part_wal
}

fn play(name: &str) {
    let script = scripts::all().into_iter().find(|s| s.name.replace('-', "_") == name).unwrap();
    let tally = run(script, SHORT);
    assert!(tally.failures.is_empty(), "{name}:\n  {}", tally.failures.join("\n  "));
    assert!(tally.contents >= 2, "{name} does nothing: {tally:?}");
}

#[test]
fn every_script_has_a_test() {
    let all: Vec<String> = scripts::all().iter().map(|s| s.name.replace('-', "_")).collect();
    let mut missing: Vec<&String> = all.iter().filter(|name| !NAMES.contains(&name.as_str())).collect();
    missing.sort();
    assert!(missing.is_empty() && all.len() == NAMES.len(), "{missing:?}");
}

/// What is found wrong with a script that is made wrong.
fn wrong(act: fn(&Stage) -> mainstem::Result<()>, is_atomic: bool, expected: &str) {
    let model = scripts::all().into_iter().find(|s| s.name == "programs-write-wal").unwrap();
    let tally = run(Script { name: "wrong", act, is_atomic, ..model }, SHORT);
    assert!(tally.failures.iter().any(|f| f.contains(expected)), "{tally:?}");
}

#[test]
fn two_halves_are_not_a_whole() {
    let halves = |stage: &Stage| stage.app("a.db", "UPDATE person SET age = 1; UPDATE note SET body = 'half'");
    wrong(halves, true, "is not one transaction");
}

#[test]
fn a_commit_that_is_not_synced_is_lost() {
    let careless = |stage: &Stage| {
        let db = stage.program("a.db")?;
        let done = db.execute_batch("PRAGMA synchronous = NORMAL; UPDATE person SET age = 1");
        stage.acknowledge();
        done.map_err(|e| mainstem::Error::new(mainstem_core::ErrorKind::Unavailable, "app", e.to_string()))
    };
    wrong(careless, false, "something that was acknowledged is lost");
    let reckless = |stage: &Stage| {
        let spread = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) \
                      INSERT OR IGNORE INTO note SELECT 'r' || i, 3, hex(zeroblob(100)) FROM n; DELETE FROM note WHERE id LIKE 'r%'";
        stage.app("a.db", &format!("PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 1; {spread}"))
    };
    wrong(reckless, false, "integrity_check");
}

#[test]
fn an_error_that_is_swallowed_is_seen() {
    let deaf = |stage: &Stage| {
        let _ = stage.app("a.db", "UPDATE person SET age = 1");
        Ok(())
    };
    wrong(deaf, false, "answers that all is well, and it is not done");
}

#[test]
fn work_that_cannot_be_repeated_is_seen() {
    let once = |stage: &Stage| stage.app("a.db", "INSERT INTO person VALUES (9, 'Once', NULL, 1)");
    wrong(once, false, "repeating fails");
    let more = |stage: &Stage| stage.app("a.db", "UPDATE person SET age = age + 1");
    wrong(more, false, "another end");
}
