//! HAZARDS 2.A and 2.C as they bear on capture.
use crate::tracked::{PROGRAMS, Program, Tracked};
use mainstem::core::value::Value;
use mainstem_sqlite::capture;

const REPLACED: &str = "CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE, w UNIQUE ON CONFLICT REPLACE, v);
    INSERT INTO t VALUES (1,'u1','w1',1),(2,'u2','w2',2),(3,'u3','w3',3),(4,'u4','w4',4),(5,'u5','w5',5),(6,'u6','w6',6),(7,'u7','w7',7);";

#[test]
fn a1_a18_replace_in_all_its_spellings() {
    for program in PROGRAMS {
        for recursive in [0, 1] {
            let tracked = Tracked::new(REPLACED);
            let with = |sql: &str| format!("PRAGMA recursive_triggers={recursive}; {sql}");
            tracked.run(program, &with("INSERT OR REPLACE INTO t VALUES (20,'u1','w2','x')"));
            tracked.run(program, &with("INSERT INTO t VALUES (21,'u21','w3','x')"));
            tracked.run(program, &with("UPDATE OR REPLACE t SET u='u4' WHERE id=5"));
            tracked.run(program, &with("UPDATE t SET id=50 WHERE id=6"));
            tracked.run(program, &with("INSERT OR REPLACE INTO t(u,w,v) VALUES ('u7','wz','auto')"));
            let changes = tracked.check();
            let gone = changes.iter().filter(|(_, c)| c.after.is_none()).count();
            assert_eq!(gone, 6, "1, 2, 3, 4, 6 and 7 are gone ({program:?})");
            let moved = changes.iter().find(|(_, c)| c.moved_from.is_some()).unwrap();
            assert_eq!((&moved.1.key, &moved.1.moved_from), (&vec![Value::from(50)], &Some(vec![Value::from(6)])));
        }
    }
}

#[test]
fn a2_outer_conflict_clauses_do_not_reach_into_the_log() {
    for clause in ["IGNORE", "REPLACE", "FAIL", "ROLLBACK", "ABORT"] {
        let tracked = Tracked::new("CREATE TABLE t(k TEXT PRIMARY KEY, v)");
        tracked.run(
            Program::Shell,
            &format!("INSERT OR {clause} INTO t VALUES ('a', 1); UPDATE OR {clause} t SET v=2; INSERT OR {clause} INTO t VALUES ('b', 1)"),
        );
        assert_eq!(tracked.check().len(), 2);
    }
}

#[test]
fn a3_triggers_of_the_app_in_any_order() {
    let touch = "CREATE TRIGGER touch AFTER INSERT ON t BEGIN UPDATE t SET ts='now' WHERE id=NEW.id; END;
        CREATE TRIGGER away AFTER INSERT ON t WHEN NEW.v='away' BEGIN DELETE FROM t WHERE id=NEW.id; END;";
    for is_before in [true, false] {
        let table = "CREATE TABLE t(id INTEGER PRIMARY KEY, v, ts); INSERT INTO t VALUES (1,'a','b'),(2,'c','d');";
        let tracked = Tracked::new(&format!("{table}{}", if is_before { touch } else { "" }));
        if !is_before {
            let conn = tracked.app();
            conn.execute_batch(touch).unwrap();
            heal(&tracked);
            conn.execute_batch("DROP TRIGGER touch; DROP TRIGGER away").unwrap();
            conn.execute_batch(touch).unwrap();
        }
        tracked.run(Program::Shell, "INSERT INTO t(v) VALUES('x'),('away'); INSERT OR REPLACE INTO t VALUES (1,'z','z');
            DELETE FROM t WHERE id=2; INSERT INTO t VALUES (2,'again','q'); INSERT INTO t(id,v) VALUES (2,'u') ON CONFLICT DO UPDATE SET v='up'");
        if !is_before {
            heal(&tracked);
        }
        tracked.check();
    }
}

fn heal(tracked: &Tracked) -> capture::Healed {
    capture::heal(&tracked.ours()).unwrap()
}

/// A machine's clock that is set back between two edits of a row: the row is no earlier than its cells.
#[test]
fn no_cell_is_later_than_its_row() {
    let tracked = Tracked::new("CREATE TABLE t(k INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, 1, 1)");
    tracked.run(Program::Bundled, "UPDATE t SET a = 2");
    let conn = tracked.ours();
    let table = mainstem_sqlite::schema::read(&conn).unwrap().schema.tables.remove(0);
    let before = vec![Value::Integer(1), Value::Integer(2), Value::Integer(1)];
    conn.execute_batch("UPDATE t SET b = 2").unwrap();
    capture::record(&conn, &table, &vec![Value::Integer(1)], capture::Done::Updated(&before), 1_000).unwrap();
    let [(_, change)] = &tracked.check()[..] else { panic!("one row changed") };
    assert_eq!(change.cell_at_ms[2], 1_000);
    assert!(change.cell_at_ms.iter().all(|at| *at <= change.at_ms), "{change:?}");
}
