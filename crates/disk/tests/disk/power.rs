//! Power cuts under plain SQLite: a committed transaction survives where SQLite promises it, and is seen to be lost where it
//! does not, so that the tool is known to see.
use crate::{Habit, TRANSACTIONS, prepared, rows, scratch, work};
use mainstem_disk::{Act, Disk, Fate, Image, Operation, unsynced};
use std::path::Path;

/// A number below `below`, from a state that moves on.
fn dice(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// Runs the program with a crash at each operation and a power cut after it, and says what was lost or damaged.
fn losses(habit: Habit, cuts: u64) -> Vec<String> {
    let mut found = Vec::new();
    for at in 1.. {
        let mut is_over = false;
        for seed in 0..cuts {
            let folder = scratch();
            let path = prepared(folder.path(), habit);
            let disk = Disk::over(folder.path());
            disk.crash_at(at);
            let acknowledged = work(&path, habit, 0);
            is_over = !disk.is_crashed();
            let mut state = at * 1000 + seed;
            disk.settle(&mut |below| if seed == 0 { 0 } else { dice(&mut state, below) });
            match rows(&path) {
                Ok(count) if count >= acknowledged => {}
                other => found.push(format!("{habit:?}, crash at {at}, cut {seed}: {acknowledged} acknowledged, {other:?} there")),
            }
            if is_over {
                break;
            }
            assert_eq!(work(&path, habit, rows(&path).unwrap_or(TRANSACTIONS)), TRANSACTIONS, "{habit:?}: the program goes on after {at}");
        }
        if is_over {
            assert_eq!(found.iter().filter(|f| f.contains("cut 0:")).count(), 0, "the end of a process loses nothing: {found:#?}");
            return found;
        }
    }
    unreachable!("a run ends")
}

#[test]
fn a_synced_write_ahead_log_loses_nothing() {
    let found = losses(Habit { journal: "wal", synchronous: "full" }, 6);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_synced_rollback_journal_loses_nothing_where_its_end_is_synced_too() {
    let found = losses(Habit { journal: "delete", synchronous: "extra" }, 6);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_journal_whose_deletion_is_not_synced_comes_back_and_takes_the_last_transaction() {
    let found = losses(Habit { journal: "delete", synchronous: "full" }, 6);
    assert!(!found.is_empty() && found.iter().all(|f| f.contains("Ok(")), "a transaction may be lost, the file is whole: {found:#?}");
    let found = losses(Habit { journal: "truncate", synchronous: "extra" }, 6);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn without_syncs_transactions_are_lost_and_files_damaged() {
    for journal in ["wal", "delete"] {
        let found = losses(Habit { journal, synchronous: "off" }, 6);
        assert!(found.iter().any(|f| f.contains("there") && !f.contains("Ok(")), "{journal}: a damaged file: {found:#?}");
    }
}

#[test]
fn a_log_that_is_not_synced_loses_transactions_and_stays_whole() {
    let found = losses(Habit { journal: "wal", synchronous: "normal" }, 6);
    assert!(!found.is_empty() && found.iter().all(|f| f.contains("Ok(")), "{found:#?}");
}

/// What the program did, from its first operation on.
fn recorded(folder: &Path, habit: Habit) -> (Image, Vec<Operation>) {
    let path = prepared(folder, habit);
    let disk = Disk::over(folder);
    disk.record();
    let image = disk.image();
    assert_eq!(work(&path, habit, 0), TRANSACTIONS);
    (image, disk.take())
}

#[test]
fn a_recording_ends_in_the_files_that_are_there() {
    for habit in [Habit { journal: "wal", synchronous: "full" }, Habit { journal: "delete", synchronous: "full" }] {
        let folder = scratch();
        let (image, operations) = recorded(folder.path(), habit);
        let end = image.after(&operations, |_| Fate::Kept);
        assert_eq!(end.bytes("app.db").unwrap(), std::fs::read(folder.path().join("app.db")).unwrap(), "{habit:?}");
        assert_eq!(end.files().count(), 1, "{habit:?}: {:?}", end.files().map(|f| f.0).collect::<Vec<_>>());
    }
}

#[test]
fn every_prefix_and_every_single_loss_of_a_recording_can_be_recovered() {
    for habit in [Habit { journal: "wal", synchronous: "full" }, Habit { journal: "delete", synchronous: "extra" }] {
        let folder = scratch();
        let (image, operations) = recorded(folder.path(), habit);
        let mut last = 0;
        for end in 0..=operations.len() {
            let open = unsynced(&operations[..end]);
            let mut fates = vec![(usize::MAX, Fate::Kept)];
            fates.extend(open.iter().map(|&o| (o, Fate::Lost)));
            fates.extend(open.iter().filter(|&&o| matches!(operations[o].act, Act::Write(..))).map(|&o| (o, Fate::Torn(0x5555))));
            for (which, fate) in fates {
                let there = scratch();
                let state = image.after(&operations[..end], |at| if at == which { fate } else { Fate::Kept });
                state.write_to(there.path()).unwrap();
                let count = rows(&there.path().join("app.db")).unwrap_or_else(|e| panic!("{habit:?} {end} {which} {fate:?}: {e}"));
                if which == usize::MAX {
                    assert!(count >= last, "{habit:?}: what was committed stays");
                    last = count;
                }
                assert!(count + 1 >= last, "{habit:?} {end} {which} {fate:?}: one loss takes at most the transaction under way");
            }
        }
        assert_eq!(last, TRANSACTIONS);
    }
}

#[test]
fn what_happens_past_sqlite_is_seen() {
    let folder = scratch();
    let habit = Habit { journal: "delete", synchronous: "full" };
    let path = prepared(folder.path(), habit);
    let disk = Disk::over(folder.path());
    disk.record();
    let image = disk.image();
    let moved = folder.path().join("moved.db");
    std::fs::rename(&path, &moved).unwrap();
    std::fs::write(folder.path().join("note"), "text").unwrap();
    assert_eq!(work(&moved, habit, 0), TRANSACTIONS);
    std::fs::remove_file(folder.path().join("note")).unwrap();
    let operations = disk.take();
    assert_eq!(operations.first().map(|o| o.act.clone()), Some(Act::Placed(b"text".to_vec())));
    let end = image.after(&operations, |_| Fate::Kept);
    assert_eq!(end.files().map(|f| f.0).collect::<Vec<_>>(), ["moved.db"]);
    assert_eq!(end.bytes("moved.db").unwrap(), std::fs::read(&moved).unwrap());
}
