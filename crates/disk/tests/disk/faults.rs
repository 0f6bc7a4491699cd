//! Errors of the disk as plain SQLite meets them, and what is observed at all.
use crate::{Habit, TRANSACTIONS, prepared, rows, scratch, work};
use mainstem_disk::{Disk, Failure};
use rusqlite::Connection;

const HABITS: [Habit; 2] = [Habit { journal: "wal", synchronous: "full" }, Habit { journal: "delete", synchronous: "full" }];

#[test]
fn an_error_at_any_operation_is_before_or_after_and_work_goes_on() {
    for habit in HABITS {
        for failure in [Failure::Io, Failure::Full] {
            for lasting in [false, true] {
                for at in 1.. {
                    let folder = scratch();
                    let path = prepared(folder.path(), habit);
                    let disk = Disk::over(folder.path());
                    disk.fail_at(at, failure, lasting);
                    let acknowledged = work(&path, habit, 0);
                    let is_over = disk.failed() == 0;
                    disk.calm();
                    let count = rows(&path).unwrap_or_else(|e| panic!("{habit:?} {failure:?} {lasting} {at}: {e}"));
                    // A commit whose last step fails may have been made all the same; SQLite cannot tell.
                    assert!(
                        (acknowledged..=acknowledged + 1).contains(&count),
                        "{habit:?} {failure:?} {lasting} {at}: {acknowledged}, {count}"
                    );
                    assert_eq!(work(&path, habit, count), TRANSACTIONS);
                    if is_over {
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn folders_are_observed_apart_and_only_while_somebody_does() {
    let (one, other) = (scratch(), scratch());
    let inner = one.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let (outer_disk, inner_disk, other_disk) = (Disk::over(one.path()), Disk::over(&inner), Disk::over(other.path()));
    let counts = || (outer_disk.operations(), inner_disk.operations(), other_disk.operations());
    prepared(&inner, HABITS[0]);
    assert!(matches!(counts(), (0, 1.., 0)), "the innermost folder counts: {:?}", counts());
    other_disk.crash_at(1);
    let path = prepared(one.path(), HABITS[1]);
    assert!(matches!(counts(), (1.., 1.., 0)), "another's crash is not ours: {:?}", counts());
    outer_disk.crash_at(1);
    drop(outer_disk);
    assert_eq!(work(&path, HABITS[1], 0), TRANSACTIONS, "nobody observes any more");
    assert!(Connection::open(other.path().join("new.db")).and_then(|db| db.execute_batch("CREATE TABLE t (a)")).is_err());
    assert!(other_disk.is_crashed());
}

#[test]
fn after_a_crash_rows_can_be_read_and_nothing_be_written() {
    let folder = scratch();
    let habit = HABITS[0];
    let path = prepared(folder.path(), habit);
    let disk = Disk::over(folder.path());
    let db = Connection::open(&path).unwrap();
    db.execute("INSERT INTO t VALUES (0, 'kept')", []).unwrap();
    disk.crash_at(1);
    assert!(db.execute("INSERT INTO t VALUES (1, 'never')", []).is_err());
    assert_eq!(db.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)), Ok(1));
    drop(db);
    assert!(disk.is_crashed());
    disk.settle(&mut |_| 0);
    assert!(!disk.is_crashed());
    assert_eq!(rows(&path), Ok(1));
    assert_eq!(work(&path, habit, 1), TRANSACTIONS, "the disk works again");
}

#[test]
fn a_read_that_fails_is_told_and_the_next_one_works() {
    let folder = scratch();
    let path = prepared(folder.path(), HABITS[0]);
    let disk = Disk::over(folder.path());
    let db = Connection::open(&path).unwrap();
    disk.fail_read_at(1);
    let count = || db.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
    assert_eq!(count().unwrap_err().sqlite_error_code(), Some(rusqlite::ErrorCode::SystemIoFailure));
    assert_eq!((count(), disk.failed()), (Ok(0), 1));
}
