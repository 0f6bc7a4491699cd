//! I-49 on random histories: a revert restores exactly the cells its version changed that nobody changed since, and says
//! where somebody did.
use crate::world::{Dice, START, World};
use mainstem::core::change::Edit;
use mainstem::core::conflict::{Conflict, ConflictKind};
use mainstem::core::format::page;
use mainstem::core::value::{Key, Row, Value};
use mainstem::history::RowPlace;
use mainstem::replica::Replica;
use std::collections::{BTreeMap, BTreeSet};

/// Rows by table and key.
type State = BTreeMap<(String, String), (Key, Row)>;

fn state(world: &World, who: usize) -> State {
    let mut replica = world.replica(who);
    let mut state = State::new();
    for table in replica.schema().unwrap().tables {
        replica
            .rows(&table.name, &mut |_, row| {
                let key = table.key_of(row);
                state.insert((table.name.clone(), format!("{key:?}")), (key, row.clone()));
                Ok(())
            })
            .unwrap();
    }
    state
}

/// What a version says of a row: the row or cells before it and after it; none where the row was not there.
#[derive(Default)]
struct Told {
    cells: BTreeMap<usize, (Value, Value)>,
    before: Option<Row>,
    after: Option<Row>,
    is_whole: bool,
    is_touched_since: bool,
}

fn told(world: &World, version: u64) -> BTreeMap<(String, String), Told> {
    let mut primary = world.primary();
    let head = primary.describe().unwrap().head.version;
    let event = primary.version(version).unwrap().unwrap();
    let mut all = BTreeMap::new();
    for at in 0..event.pages {
        for change in page::decode(&primary.page(version, at).unwrap().unwrap(), &event.shapes).unwrap() {
            let table = event.shapes[change.table].table.clone();
            let row = RowPlace { table: table.clone(), key: change.key.clone(), version: head };
            let is_touched_since = !primary.touches(&row, version).unwrap().is_empty();
            let mut told = Told { is_touched_since, ..Told::default() };
            match change.edit {
                Edit::Insert(row) => (told.is_whole, told.after) = (true, Some(row)),
                Edit::Delete(row) => (told.is_whole, told.before) = (true, Some(row)),
                Edit::Update(cells) => told.cells = cells.into_iter().map(|cell| (cell.column, (cell.before, cell.after))).collect(),
            }
            all.insert((table, format!("{:?}", change.key)), told);
        }
    }
    all
}

fn check(world: &World, who: usize, version: u64) {
    let told = told(world, version);
    let before = state(world, who);
    let mut replica = world.replica(who);
    let done = replica.revert(&mut *world.primary(), version, "reverter").unwrap();
    drop(replica);
    let after = state(world, who);
    let named: BTreeSet<(String, String)> = done.conflicts.iter().map(|c: &Conflict| (c.table.clone(), format!("{:?}", c.key))).collect();
    let has_link_conflict = done.conflicts.iter().any(|c| c.kind == ConflictKind::MissingParent);
    let rows: BTreeSet<_> = before.keys().chain(after.keys()).chain(told.keys()).cloned().collect();
    for row in rows {
        let what = format!("version {version}, row {row:?}, {:?}", done.conflicts);
        let (was, is) = (before.get(&row).map(|(_, row)| row), after.get(&row).map(|(_, row)| row));
        let Some(told) = told.get(&row) else {
            // A parent that a row needs comes back with it, and the conflict says so.
            assert!(was == is || (was.is_none() && has_link_conflict), "not the version's: {what}: {was:?} {is:?}");
            continue;
        };
        if told.is_whole {
            assert!(is == was || is == told.before.as_ref(), "{what}: {was:?} {is:?}");
            let is_restored = is == told.before.as_ref();
            let is_as_left = was == told.after.as_ref() && !told.is_touched_since;
            assert!(is_restored || !is_as_left || !named.is_empty(), "it is as the version left it: {what}: {was:?} {is:?}");
            assert!(
                is_restored || named.contains(&row) || was.is_none() || !done.left.is_empty() || has_link_conflict,
                "{what}: {was:?} {is:?}"
            );
            continue;
        }
        let (Some(was), Some(is)) = (was, is) else {
            assert!(was == is && named.contains(&row), "{what}");
            continue;
        };
        for (column, (value, is_value)) in was.iter().zip(is).enumerate() {
            match told.cells.get(&column) {
                None => assert_eq!(value, is_value, "column {column}: {what}"),
                Some((old, new)) if value == new && !told.is_touched_since => {
                    assert!(is_value == old || named.contains(&row), "column {column}: {what}");
                }
                Some((old, new)) if value == new => assert!(is_value == old || is_value == value, "column {column}: {what}"),
                Some((old, _)) => {
                    assert_eq!(is_value, value, "column {column}: {what}");
                    assert!(value == old || named.contains(&row), "somebody changed column {column} since: {what}");
                }
            }
        }
    }
    assert!(world.replica(who).unsent().unwrap().len() <= 1);
}

#[test]
fn a_revert_restores_exactly_what_nobody_changed_since() {
    let seeds = std::env::var("MAINSTEM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let first = std::env::var("MAINSTEM_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    for seed in first..first + seeds {
        eprintln!("MAINSTEM_SEED={seed}");
        let (dice, world) = (Dice::new(seed), World::new(seed, START, 3));
        (0..60).for_each(|_| world.step_of_rows(&dice));
        world.sync_all();
        for _ in 0..4 {
            let head = world.head();
            let version = 2 + dice.below(head as usize - 1) as u64;
            check(&world, 0, version);
            world.sync_all();
        }
    }
}
