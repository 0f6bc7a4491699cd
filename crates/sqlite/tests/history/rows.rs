//! `Primary::rows` at every version of random histories, by digest and by what was there when it was the head.
use crate::world::{Dice, Rows, START, World, named};
use mainstem::core::digest::{RowDigester, Sum};
use mainstem::replica::Replica;
use std::collections::BTreeMap;

/// Compares the rows of every version with the digests it carries.
fn check(world: &World, recorded: &BTreeMap<u64, Rows>) {
    let mut primary = world.primary();
    let head = primary.describe().unwrap().head.version;
    for version in 1..=head {
        let told = primary.version(version).unwrap().unwrap();
        let mut all = Rows::new();
        for digest in &told.tables {
            let (mut sum, mut count) = (Sum::default(), 0);
            primary
                .rows(&digest.table, version, &mut |names, row| {
                    sum.add(&RowDigester::new(&digest.table, names).digest(row));
                    count += 1;
                    all.entry(digest.table.clone()).or_default().push(named(names, row));
                    Ok(())
                })
                .unwrap();
            let what = format!("table {} at version {version} of {head}", digest.table);
            assert_eq!((count, sum.0), (digest.rows, digest.sum), "{what}: {:?}", all.get(&digest.table));
        }
        all.values_mut().for_each(|rows| rows.sort_unstable());
        if let Some(recorded) = recorded.get(&version) {
            assert_eq!(&all, recorded, "version {version} of {head}");
        }
    }
}

#[test]
fn rows_at_every_version_are_those_that_were_there() {
    let seeds = std::env::var("MAINSTEM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let first = std::env::var("MAINSTEM_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    for seed in first..first + seeds {
        eprintln!("MAINSTEM_SEED={seed}");
        let (dice, world) = (Dice::new(seed), World::new(seed, START, 3));
        let mut recorded = BTreeMap::new();
        for _ in 0..90 {
            world.step(&dice);
            recorded.insert(world.head(), world.stored());
        }
        check(&world, &recorded);
    }
}

#[test]
fn a_column_dropped_and_a_table_renamed_at_once_keep_their_past() {
    let world = World::new(1, START, 1);
    world.sql(0, "ALTER TABLE tag DROP COLUMN note; ALTER TABLE tag RENAME TO mark; INSERT INTO mark VALUES ('z', 9);");
    world.send(0, "drop and rename");
    world.sql(0, "DROP TABLE mark; CREATE TABLE mark(code TEXT PRIMARY KEY); INSERT INTO mark VALUES ('a');");
    world.send(0, "another table");
    world.sql(0, "DROP TABLE mark;");
    world.send(0, "none");
    check(&world, &BTreeMap::new());
}

#[test]
fn a_table_dropped_and_made_again_at_once_reaches_the_copies() {
    for made in ["CREATE TABLE tag(code TEXT PRIMARY KEY, note)", "CREATE TABLE mark(code TEXT PRIMARY KEY, note)"] {
        let world = World::new(1, START, 2);
        world.sql(0, &format!("DROP TABLE tag; {made};"));
        world.sync(0);
        world.sync(1);
        assert_eq!(world.replica(1).standing().unwrap().base_version, world.head(), "{made}");
        check(&world, &BTreeMap::new());
    }
}

#[test]
fn versions_and_tables_that_are_not_there_are_named() {
    let world = World::new(1, START, 1);
    let mut primary = world.primary();
    let said = |primary: &mut dyn mainstem::primary::Primary, table: &str, version: u64| {
        primary.rows(table, version, &mut |_, _| Ok(())).unwrap_err().message
    };
    assert_eq!(said(&mut *primary, "person", 2), "there is no version 2; the latest is 1");
    assert_eq!(said(&mut *primary, "person", 0), "there is no version 0; the latest is 1");
    assert_eq!(said(&mut *primary, "nobody", 1), "version 1 has no table nobody; it has person, team, tag");
}

#[test]
fn a_clock_that_goes_back_between_two_edits_stops_no_commit() {
    let world = World::new(1, START, 1);
    world.sql(0, "UPDATE person SET name = 'early' WHERE id = 1;");
    world.sql(0, "UPDATE mainstem_log SET at = at + 1;");
    world.sql(0, "UPDATE person SET age = 1 WHERE id = 1;");
    world.send(0, "a day back");
    assert_eq!(world.head(), 2);
}
