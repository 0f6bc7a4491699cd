//! What `audit verify` finds, alone or with what one replica remembers, and what `rebuild` mends.
use crate::world::{Dice, START, World};
use mainstem::audit::{self, Finding, Remembered, Subject};
use mainstem::core::event::{Event, Restored};
use mainstem::core::format::event;
use mainstem::core::proposal::{Anchor, Remark};
use mainstem::ledger::Ledger;
use mainstem::primary::Acquaintance;
use mainstem::replica::Replica;
use mainstem::review::{By, Deed};
use mainstem_sqlite::ledger::{PROJECTIONS, SqliteLedger};
use mainstem_sqlite::primary::rebuild_primary;
use mainstem_testkit::surroundings::Seeded;
use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// A history with renumbered rows, conflicts, answers, waiting rows and schema steps.
fn history(seed: u64, steps: usize) -> World {
    let (dice, world) = (Dice::new(seed), World::new(seed, START, 3));
    let policy = mainstem::policy_text::set("", "person.name.strategy", "manual").unwrap();
    world.primary().set_policy(&policy, "a0").unwrap();
    for who in 0..2 {
        world.sql(who, &format!("INSERT INTO person(id, name) VALUES (9, 'of {who}'); UPDATE person SET name = 'by {who}' WHERE id = 1;"));
    }
    world.sql(0, "DELETE FROM tag WHERE code = 'b';");
    world.sync_all();
    (0..steps).for_each(|_| world.step(&dice));
    world.sync_all();
    world
}

fn raw(world: &World) -> Connection {
    let db = Connection::open(world.primary_file()).unwrap();
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
    db.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    db
}

fn verify(world: &World, known: Option<&Acquaintance>) -> Vec<Finding> {
    let mut found = Vec::new();
    let remembered = Remembered { known, head: None };
    let take = &mut |finding| {
        found.push(finding);
        Ok(())
    };
    audit::verify(&mut *world.primary(), remembered, take, &mut |_, _, _| {}).unwrap();
    found
}

fn rebuild(world: &World) -> Vec<String> {
    let differing = rebuild_primary(&world.primary_folder(), Seeded::around(5), &mut |finding| panic!("{finding:?}")).unwrap();
    differing.into_iter().map(|one| one.projection).collect()
}

/// Every row of every projection.
fn projections(world: &World) -> BTreeMap<&'static str, Vec<Vec<Value>>> {
    let db = raw(world);
    let rows = |table: &str| {
        let mut statement = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let width = statement.column_count();
        let mut rows: Vec<Vec<Value>> = statement
            .query_map([], |row| (0..width).map(|at| row.get(at)).collect::<rusqlite::Result<_>>())
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        rows.sort_by_key(|row| format!("{row:?}"));
        rows
    };
    PROJECTIONS.iter().map(|table| (*table, rows(table))).collect()
}

#[test]
fn what_is_folded_anew_is_what_was_there() {
    for seed in 100..102 {
        let world = history(seed, 50);
        assert_eq!(verify(&world, None), [], "seed {seed}");
        let before = projections(&world);
        assert_eq!(rebuild(&world), [] as [&str; 0], "seed {seed}");
        assert_eq!(projections(&world), before, "seed {seed}");
    }
}

#[test]
fn what_a_cleanup_left_is_folded_anew_and_verifies() {
    let world = history(100, 30);
    let mut text = world.primary().describe().unwrap().policy;
    for (key, value) in [("history", "0"), ("tombstones", "0")] {
        text = mainstem::policy_text::set(&text, key, value).unwrap();
    }
    world.primary().set_policy(&text, "a0").unwrap();
    // What was deleted in the same moment is kept; with the next version there is something to collect.
    world.sql(0, "DELETE FROM tag; INSERT INTO person(id, name) VALUES (77, 'late');");
    world.sync_all();
    let done = world.primary().cleanup("a0", mainstem::cleanup::Rehearsal::Real).unwrap();
    assert!(done.collected.horizon > 1 && done.pages > 0, "{done:?}");
    world.sql(0, "DELETE FROM person WHERE id = 77;");
    world.sync_all();
    assert_eq!(verify(&world, None), []);
    let before = projections(&world);
    assert_eq!(rebuild(&world), [] as [&str; 0]);
    assert_eq!(projections(&world), before);
    // A page that no event says was collected is missed.
    raw(&world).execute("DELETE FROM mainstem_page WHERE version = (SELECT max(version) FROM mainstem_page)", []).unwrap();
    assert!(verify(&world, None).iter().any(|finding| finding.subject == Subject::Page));
}

#[test]
fn every_table_of_the_ledger_is_a_source_or_folded() {
    let world = World::new(1, START, 1);
    let db = raw(&world);
    let mut names = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'mainstem\\_%' ESCAPE '\\'").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let sources = ["mainstem_event", "mainstem_page", "mainstem_staged"];
    // What capture keeps to notice other programs' writes, and what replicas told of themselves, no event says.
    let is_other = |name: &str| name.starts_with("mainstem_capture") || name.starts_with("mainstem_names_");
    let known = ["mainstem_log", "mainstem_kept", "mainstem_cursor", "mainstem_replica"];
    for name in names {
        let is_known = sources.contains(&name.as_str()) || PROJECTIONS.contains(&name.as_str()) || known.contains(&name.as_str());
        assert!(is_known || is_other(&name), "{name} is neither a source nor a projection");
    }
}

#[test]
fn damage_to_any_projection_is_found_and_mended() {
    let world = history(100, 40);
    let text = mainstem::policy_text::set(&world.primary().describe().unwrap().policy, "history", "0").unwrap();
    world.primary().set_policy(&text, "a0").unwrap();
    world.primary().cleanup("a0", mainstem::cleanup::Rehearsal::Real).unwrap();
    let known = world.replica(0).standing().unwrap().known.unwrap();
    world.primary().begin_epoch(&Acquaintance { version: u64::from(u32::MAX), hash: [9; 32], ..known }, "a0").unwrap();
    world.try_sql(Some(0), "UPDATE person SET name = 'after the cleanup'; DELETE FROM tag;");
    world.sync_all();
    world.try_sql(Some(0), "UPDATE person SET name = 'proposed'; INSERT INTO tag VALUES ('p', 1, NULL);");
    let (id, _) = super::review::offer(&world, 0, None, 77);
    let deed = Deed::Comment(Remark { anchor: Anchor::Whole, reply_to: None, revision: 1, text: "why?".into() });
    world.primary().act(id, &deed, By { request: Some(5), ..super::review::by("bo") }).unwrap();
    let before = projections(&world);
    let mut untested = Vec::new();
    for table in PROJECTIONS {
        if before[table].is_empty() {
            untested.push(*table);
            continue;
        }
        let db = raw(&world);
        let mut columns = db.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
        let columns: Vec<String> = columns.query_map([table], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        let first = |what: &str| {
            let same: Vec<String> = columns.iter().enumerate().map(|(at, name)| format!("\"{name}\" IS ?{}", at + 1)).collect();
            db.execute(&format!("{what} WHERE {}", same.join(" AND ")), rusqlite::params_from_iter(&before[table][0])).unwrap()
        };
        let mut damages = vec![format!("DELETE FROM {table}")];
        let altered = |name: &String| {
            format!(
                "UPDATE OR IGNORE {table} SET \"{name}\" = CASE typeof(\"{name}\") WHEN 'blob' THEN x'ffff' WHEN 'text' THEN 'other' ELSE 77777 END"
            )
        };
        damages.extend(columns.iter().map(altered));
        for damage in damages {
            if first(&damage) == 0 {
                continue;
            }
            assert_ne!(projections(&world), before, "{damage}");
            let found = verify(&world, None);
            assert!(found.iter().any(|f| f.subject == Subject::Projection && f.what.contains(table)), "{damage}: {found:?}");
            assert!(rebuild(&world).iter().any(|name| name == table), "{damage}");
            assert_eq!(projections(&world), before, "{damage}");
            assert_eq!(verify(&world, None), [], "{damage}");
        }
    }
    // What waits and what a restore began is damaged in the ledger's own tests.
    assert!(untested.iter().all(|table| ["mainstem_waiting", "mainstem_epoch"].contains(table)), "the history has nothing in {untested:?}");
}

#[test]
fn tampering_with_events_and_pages_is_found_alone() {
    let world = history(100, 30);
    let events: i64 = raw(&world).query_row("SELECT count(*) FROM mainstem_event", [], |row| row.get(0)).unwrap();
    let middle = events / 2;
    let damages = [
        ("flip", format!("UPDATE mainstem_event SET body = CAST(substr(body, 1, 40) || x'01' || substr(body, 42) AS BLOB) WHERE position = {middle}")),
        ("drop", format!("DELETE FROM mainstem_event WHERE position = {middle}")),
        (
            "swap",
            format!(
                "UPDATE mainstem_event SET position = -1 WHERE position = {middle}; UPDATE mainstem_event SET position = {middle} WHERE position = {middle} + 1;
                 UPDATE mainstem_event SET position = {middle} + 1 WHERE position = -1"
            ),
        ),
        (
            "insert",
            format!(
                "UPDATE mainstem_event SET position = -position WHERE position > {middle}; UPDATE mainstem_event SET position = 1 - position WHERE position < 0;
                 INSERT INTO mainstem_event SELECT {middle} + 1, hash, NULL, body FROM mainstem_event WHERE position = 2"
            ),
        ),
        ("hash", format!("UPDATE mainstem_event SET hash = randomblob(32) WHERE position = {middle}")),
        ("page flip", "UPDATE mainstem_page SET body = CAST(substr(body, 1, length(body) - 1) || x'77' AS BLOB) WHERE version = 2".into()),
        ("page drop", "DELETE FROM mainstem_page WHERE version = 2".into()),
        ("row", "UPDATE person SET name = 'forged' WHERE id = (SELECT min(id) FROM person)".into()),
        ("row drop", "DELETE FROM person WHERE id = (SELECT min(id) FROM person)".into()),
    ];
    for (name, sql) in damages {
        let copy = world.copied();
        raw(&copy).execute_batch(&sql).unwrap();
        let found = verify(&copy, None);
        let subject = match name {
            "page flip" | "page drop" => Subject::Page,
            "row" | "row drop" => Subject::Rows,
            _ => Subject::Event,
        };
        assert!(found.iter().any(|finding| finding.subject == subject), "{name}: {found:?}");
        if !name.starts_with("row") {
            let refused = rebuild_primary(&copy.primary_folder(), Seeded::around(5), &mut |_| Ok(())).unwrap_err();
            assert_eq!(refused.code, "broken_chain", "{name}");
        }
    }
}

/// Appends events again from a position on, with hashes that fit.
fn recompute(db: &Connection, change: impl Fn(&mut Event)) {
    let mut statement = db.prepare("SELECT position, body FROM mainstem_event ORDER BY position").unwrap();
    let events: Vec<(i64, Vec<u8>)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap();
    let mut hash = [0; 32];
    for (position, body) in events {
        let mut told = event::decode(&body).unwrap();
        change(&mut told);
        let body = event::encode(&told);
        hash = event::chain(&hash, &body);
        db.execute("UPDATE mainstem_event SET hash = ?2, body = ?3 WHERE position = ?1", params![position, hash, body]).unwrap();
    }
}

#[test]
fn a_cut_tail_and_a_rewritten_chain_are_found_by_one_remembered_head() {
    let world = World::new(3, START, 2);
    for n in 0..4 {
        world.sql(0, &format!("UPDATE team SET points = {n} + 100 WHERE id = 1;"));
        world.send(0, &format!("points {n}"));
    }
    world.sync(1);
    let known = world.replica(1).standing().unwrap().known.unwrap();
    assert_eq!(verify(&world, Some(&known)), []);

    // Cut: everything that told of the last version is gone, and what is stored is as it was before it.
    let cut = world.copied();
    raw(&cut)
        .execute_batch(
            "DELETE FROM mainstem_page WHERE version = 5; DELETE FROM mainstem_event WHERE version = 5; UPDATE team SET points = 102 WHERE id = 1;",
        )
        .unwrap();
    rebuild(&cut);
    assert_eq!(verify(&cut, None), [], "alone it is whole");
    let found = verify(&cut, Some(&known));
    assert!(found.len() == 1 && found[0].subject == Subject::Head && found[0].what.contains("tail was cut"), "{found:?}");

    // Rewritten: another person is said to have made version 3, and every hash after it fits.
    let forged = world.copied();
    recompute(&raw(&forged), |told| {
        if let Event::Version(version) = told
            && version.version == 3
        {
            version.header.actor = "mallory".into();
        }
    });
    assert_eq!(verify(&forged, None), [], "alone it is whole");
    let found = verify(&forged, Some(&known));
    assert!(found.len() == 1 && found[0].subject == Subject::Head && found[0].what.contains("rewritten"), "{found:?}");

    // Restored: what the replica held is gone all the same, and who did that is told.
    let db = raw(&cut);
    let mut ledger = SqliteLedger::new(&db);
    let head = ledger.head().unwrap();
    let restored = Restored { epoch: 9, version: 4, from: "monday's copy".into(), actor: "ann".into(), ..Restored::default() };
    ledger.append(&head, &Event::Restored(restored)).unwrap();
    let found = verify(&cut, Some(&known));
    assert!(found.len() == 1 && found[0].what.ends_with("(ann restored the primary at version 4 from monday's copy)"), "{found:?}");

    // A head that somebody wrote down does as well.
    let head = Remembered { known: None, head: Some(known.hash) };
    for (copy, count) in [(&world, 0), (&cut, 1), (&forged, 1)] {
        let mut found = 0;
        audit::verify(
            &mut *copy.primary(),
            head,
            &mut |_| {
                found += 1;
                Ok(())
            },
            &mut |_, _, _| {},
        )
        .unwrap();
        assert_eq!(found, count);
    }
}
