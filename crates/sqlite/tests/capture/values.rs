//! HAZARDS 2.B and 2.C: every value and key comes through to the bit, whatever the table is called.
use crate::tracked::{PROGRAMS, Program, Tracked};
use mainstem::core::value::Value;
use mainstem_sqlite::{capture, schema};
use rusqlite::Connection;

/// B1 to B9: values that other carriers lose, as SQL.
const HARD: [&str; 24] = [
    "9223372036854775807",
    "-9223372036854775808",
    "9007199254740993",
    "0.1 + 0.2",
    "5e-324",
    "1.7976931348623157e308",
    "-0.0",
    "9e999",
    "-9e999",
    "x''",
    "x'00'",
    "zeroblob(100000)",
    "x'6162'",
    "'ab'",
    "''",
    "cast(x'61620063' AS TEXT)",
    "cast(x'ff41' AS TEXT)",
    "cast(x'eda080' AS TEXT)",
    "'\u{e9}'",
    "'e\u{301}'",
    "'\u{feff}x'",
    "NULL",
    "1",
    "1.0",
];

#[test]
fn b1_to_b11_values_to_the_bit_in_every_affinity_and_encoding() {
    for encoding in ["UTF-8", "UTF-16le"] {
        for program in PROGRAMS {
            let rows: Vec<String> = HARD.iter().enumerate().map(|(n, v)| format!("({n}, {v}, {v}, {v}, {v}, {v}, {v})")).collect();
            let insert = format!("INSERT INTO t VALUES {}", rows.join(", "));
            let mut tracked = Tracked::new(&format!(
                "PRAGMA encoding = '{encoding}'; CREATE TABLE t(id INTEGER PRIMARY KEY, i INTEGER, r REAL, t TEXT, n NUMERIC, b BLOB, u);
                CREATE TABLE s(id INT PRIMARY KEY, a ANY) STRICT"
            ));
            tracked.run(program, &format!("{insert}; INSERT INTO s VALUES (1, '001'), (2, 1), (3, -0.0)"));
            assert_eq!(tracked.check().len(), HARD.len() + 3);
            tracked.commit();
            tracked.run(
                program,
                "UPDATE t SET u = (SELECT x.u FROM t AS x WHERE x.id = (t.id + 1) % 24), i = n, n = b; UPDATE s SET a = '1' WHERE id = 2",
            );
            tracked.check();
            tracked.commit();
            tracked.run(program, "DELETE FROM t; DELETE FROM s WHERE a = '001'");
            tracked.check();
        }
    }
}

#[test]
fn a9_equal_by_collation_but_not_by_bytes() {
    let tracked = Tracked::new(
        "CREATE TABLE t(k TEXT PRIMARY KEY COLLATE NOCASE, v TEXT COLLATE NOCASE, n); INSERT INTO t VALUES ('a','abc',1),('b','x',0.0),('c','y','1')",
    );
    tracked.run(Program::Shell, "UPDATE t SET v = 'ABC' WHERE k = 'A'; UPDATE t SET n = -0.0 WHERE k = 'b'; UPDATE t SET n = x'31' WHERE k = 'c'; UPDATE t SET n = 1.0 WHERE k = 'a'");
    let changes = tracked.check();
    assert_eq!(changes.len(), 3);
    assert_eq!(changes[0].1.after.as_ref().unwrap()[1..], ["ABC".into(), 1.0.into()]);
}

#[test]
fn a10_writes_that_change_nothing_give_nothing() {
    let tracked = Tracked::new("CREATE TABLE t(k PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (2, 2)");
    tracked.run(
        Program::Shell,
        "UPDATE t SET v = v, k = k; UPDATE t SET v = 5; UPDATE t SET v = k; INSERT INTO t VALUES (3, 3); DELETE FROM t WHERE k = 3;
        DELETE FROM t WHERE k = 1; INSERT INTO t VALUES (1, 1); INSERT OR IGNORE INTO t VALUES (1, 7); REPLACE INTO t VALUES (2, 2)",
    );
    assert_eq!(tracked.check().len(), 0);
}

#[test]
fn a17_savepoints_and_deletes_without_where() {
    let tracked = Tracked::new("CREATE TABLE t(id INTEGER PRIMARY KEY, v UNIQUE); INSERT INTO t VALUES (1,1),(2,2),(3,3)");
    let app = tracked.app();
    app.execute_batch("BEGIN; SAVEPOINT a; DELETE FROM t; ROLLBACK TO a; INSERT INTO t VALUES (9, 9); COMMIT").unwrap();
    assert!(app.execute_batch("INSERT OR FAIL INTO t VALUES (10, 10), (11, 1), (12, 12)").is_err());
    assert_eq!(tracked.check().len(), 2);
    app.execute_batch("DELETE FROM t").unwrap();
    assert_eq!(tracked.check().len(), 3);
}

#[test]
fn a11_runs_where_the_app_trusts_nothing() {
    use rusqlite::config::DbConfig;
    let tracked = Tracked::new("CREATE TABLE t(id INTEGER PRIMARY KEY, v UNIQUE, b); INSERT INTO t VALUES (1,1,x'00')");
    let app = tracked.app();
    app.execute_batch("PRAGMA trusted_schema = OFF").unwrap();
    for (config, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    ] {
        app.set_db_config(config, on).unwrap();
    }
    app.execute_batch("REPLACE INTO t(v, b) VALUES (1, 2); UPDATE t SET b = 3; INSERT INTO t VALUES (7, 7, 7); DELETE FROM t WHERE id = 7")
        .unwrap();
    app.execute_batch("ALTER TABLE t ADD COLUMN z; ALTER TABLE t RENAME COLUMN b TO bb; ALTER TABLE t DROP COLUMN bb").unwrap();
    app.execute_batch("UPDATE t SET z = 1").unwrap();
    capture::heal(&tracked.ours()).unwrap();
    assert_eq!(tracked.changes().len(), 2);
}

#[test]
fn c4_keys_change_swap_and_shift() {
    let tracked = Tracked::new("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1,'a'),(2,'b'),(3,'c')");
    tracked.run(Program::Shell, "BEGIN; UPDATE t SET id = -1 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2; UPDATE t SET id = 2 WHERE id = -1; COMMIT; UPDATE t SET id = 30 WHERE id = 3; UPDATE t SET id = 31 WHERE id = 30");
    let changes = tracked.check();
    assert_eq!(changes.len(), 4);
    assert_eq!(changes[3].1.moved_from, Some(vec![3.into()]));
    let tracked = Tracked::new("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1,'a'),(2,'b'),(3,'c')");
    tracked.run(Program::Python, "UPDATE t SET id = id + 10");
    let moved: Vec<_> = tracked.check().into_iter().filter_map(|(_, c)| c.moved_from).collect();
    assert_eq!(moved, [vec![Value::from(1)], vec![2.into()], vec![3.into()]]);
}

#[test]
fn c5_c6_c10_identity_is_bytes() {
    let mut tracked = Tracked::new("CREATE TABLE u(k PRIMARY KEY, v); CREATE TABLE w(a, b, v, PRIMARY KEY(b, a)) WITHOUT ROWID; CREATE TABLE n(k TEXT COLLATE NOCASE PRIMARY KEY, v);
        INSERT INTO n VALUES ('abc', 1); INSERT INTO w VALUES (1, 2, 'x'), (2, 3, 'y')");
    tracked.run(Program::Shell, "INSERT INTO u VALUES (1,'int'),('1','text'),(x'31','blob'),(9007199254740993,'i'),(9007199254740992.0,'r'); UPDATE w SET a = b, b = a; UPDATE n SET k = 'ABC'");
    assert_eq!(tracked.check().len(), 5 + 4 + 2);
    tracked.commit();
    tracked
        .run(Program::Shell, "UPDATE u SET k = 1.0 WHERE k = 1; DELETE FROM u WHERE k = '1'; INSERT OR REPLACE INTO n VALUES ('abc', 2)");
    tracked.check();
}

#[test]
fn hostile_names_are_only_names() {
    let names = ["a\"; DROP TABLE x; --", "new", "old", "rowid", "select", "it's [x] `y`", "\u{1f600} sp ace", "Mixed", "t", "seq"];
    for program in PROGRAMS {
        let quote = |n: &str| format!("\"{}\"", n.replace('"', "\"\""));
        let mut setup = String::new();
        let mut writes = String::new();
        for name in names {
            let table = quote(name);
            let columns: Vec<String> = names.iter().map(|n| quote(n)).collect();
            let others = columns[1..].join(", ");
            setup.push_str(&format!(
                "CREATE TABLE {table}({} TEXT PRIMARY KEY, {others}); CREATE UNIQUE INDEX {} ON {table}({}, {});",
                columns[0],
                quote(&format!("i {name}")),
                columns[1],
                columns[2]
            ));
            setup.push_str(&format!("INSERT INTO {table} VALUES ('a',1,2,3,4,5,6,7,8,9), ('b',2,2,3,4,5,6,7,8,9);"));
            writes.push_str(&format!("REPLACE INTO {table} VALUES ('c',1,2,3,4,5,6,7,8,9); UPDATE {table} SET {} = 9; INSERT INTO {table}({}) VALUES ('z'); UPDATE {table} SET {} = 'q' WHERE {} = 'z';", columns[4], columns[0], columns[0], columns[0]));
        }
        let mut tracked = Tracked::new(&setup);
        tracked.run(program, &writes);
        assert_eq!(tracked.check().len(), 4 * names.len());
        tracked.commit();
        let moves: String = names
            .iter()
            .map(|n| {
                format!(
                    "ALTER TABLE {0} RENAME COLUMN {1} TO {2}; ALTER TABLE {0} DROP COLUMN {2}; UPDATE {0} SET {3} = 1;",
                    quote(n),
                    quote("select"),
                    quote("r\"n"),
                    quote("seq")
                )
            })
            .collect();
        tracked.run(program, &moves);
        assert_eq!(capture::heal(&tracked.ours()).unwrap().gap, Vec::<String>::new());
        assert_eq!(tracked.changes().len(), 3 * names.len());
    }
}

#[test]
fn a13_b12_wide_tables() {
    let columns: Vec<String> = (0..1_899).map(|n| format!("c{n}")).collect();
    let tracked = Tracked::new(&format!(
        "CREATE TABLE t(k TEXT PRIMARY KEY, {0}); INSERT INTO t(k, c5, c1800) VALUES ('a', 1, 2)",
        columns.join(",")
    ));
    tracked.run(
        Program::Shell,
        "UPDATE t SET c1898 = 'x', c63 = 'y'; INSERT INTO t(k, c70) VALUES ('b', 3); UPDATE t SET c101 = 5; DELETE FROM t WHERE k = 'b'",
    );
    capture::heal(&tracked.ours()).unwrap();
    let changes = tracked.changes();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].1.before.as_ref().unwrap()[1_801], Value::from(2));
    assert_eq!(changes[0].1.after.as_ref().unwrap().iter().filter(|v| !v.is_null()).count(), 6);
    let too_wide: Vec<String> = (0..1_950).map(|n| format!("c{n}")).collect();
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch(&format!("CREATE TABLE t(k PRIMARY KEY, {})", too_wide.join(","))).unwrap();
    assert_eq!(schema::read(&conn).unwrap().refused.len(), 1);
}

#[test]
fn c1_c2_a16_what_cannot_be_tracked_is_named() {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch("CREATE TABLE keyless(a); CREATE VIRTUAL TABLE words USING fts5(x); CREATE TABLE good(k TEXT PRIMARY KEY, g AS (k) VIRTUAL, v); INSERT INTO good(k) VALUES (NULL),(NULL),('a');
        CREATE TABLE mainstem_mine(id INTEGER PRIMARY KEY); CREATE VIEW v AS SELECT 1; CREATE TABLE num(id INTEGER PRIMARY KEY AUTOINCREMENT, r REFERENCES good); CREATE TABLE d(id INTEGER PRIMARY KEY DESC)").unwrap();
    let read = schema::read(&conn).unwrap();
    let refused: Vec<&str> = read.refused.iter().map(|r| r.table.as_str()).collect();
    assert_eq!(refused, ["keyless", "words"], "what is inside a virtual table goes by its name");
    let names: Vec<&str> = read.schema.tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["good", "num", "d"]);
    let [good, num, d] = &read.schema.tables[..] else { panic!() };
    assert_eq!(schema::null_keys(&conn, good).unwrap(), 2);
    assert_eq!((good.column_names(), good.is_numbered), (vec!["k".to_string(), "v".to_string()], false));
    assert_eq!(
        (num.is_numbered, num.is_autoincrement, num.foreign_keys[0].parent_columns.as_slice()),
        (true, true, &["k".to_string()][..])
    );
    assert!(!d.is_numbered);
    let objects: Vec<(&str, &str)> = read.schema.objects.iter().map(|o| (o.kind.as_str(), o.name.as_str())).collect();
    assert_eq!(objects, [("table", "keyless"), ("virtual", "words"), ("view", "v")]);
    let reserved = schema::reserved(&conn).unwrap();
    assert_eq!((reserved.len(), reserved[0].table.as_str()), (1, "mainstem_mine"));
}

#[test]
fn c1_rows_with_null_in_the_key_are_reported() {
    let tracked = Tracked::new("CREATE TABLE t(k TEXT PRIMARY KEY, v)");
    tracked.run(Program::Shell, "INSERT INTO t VALUES (NULL, 1), ('a', 2)");
    let mut count = 0;
    let condensed = capture::condense(&tracked.ours(), None, &mut |_, _| {
        count += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!((count, condensed.null_keys), (1, vec![("t".to_string(), 1)]));
}

#[test]
fn temporary_and_attached_tables_of_the_same_name_are_others() {
    let tracked = Tracked::new("CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE u(id INTEGER PRIMARY KEY, v)");
    let app = tracked.app();
    let other = Connection::open_in_memory().unwrap();
    other.execute("ATTACH ?1 AS app", [tracked.path.to_str().unwrap()]).unwrap();
    other
        .execute_batch(
            "CREATE TABLE t(z); CREATE TABLE mainstem_log(z); INSERT INTO app.t VALUES (77, 'attached'); UPDATE app.t SET v = 'again'",
        )
        .unwrap();
    drop(other);
    app.execute_batch("CREATE TEMP TABLE t(id INTEGER PRIMARY KEY, other); ATTACH ':memory:' AS x; CREATE TABLE x.u(id INTEGER PRIMARY KEY);
        INSERT INTO t VALUES (1, 1); INSERT INTO x.u VALUES (3); INSERT INTO main.t VALUES (2, 2); UPDATE main.t SET v = 3; INSERT INTO u VALUES (4, 4);
        CREATE TEMP TABLE mainstem_log(x); INSERT INTO main.t VALUES (5, 5)").unwrap();
    assert_eq!(tracked.check().len(), 4);
}

#[test]
fn foreign_keys_cascade_and_order() {
    let setup = "CREATE TABLE child(id INTEGER PRIMARY KEY, p REFERENCES parent(id) ON DELETE CASCADE ON UPDATE CASCADE); CREATE TABLE parent(id INTEGER PRIMARY KEY, v);
        CREATE TABLE grand(id INTEGER PRIMARY KEY, c REFERENCES child ON DELETE SET NULL);
        INSERT INTO parent VALUES (1,'a'),(2,'b'); INSERT INTO child VALUES (10,1),(20,2); INSERT INTO grand VALUES (100,10)";
    let tracked = Tracked::new(setup);
    tracked.run(Program::Shell, "PRAGMA foreign_keys = ON; DELETE FROM parent WHERE id = 1; UPDATE parent SET id = 3 WHERE id = 2; REPLACE INTO parent VALUES (3, 'c'); INSERT INTO parent VALUES (4, 'd'); INSERT INTO child VALUES (40, 4); INSERT INTO grand VALUES (400, 40)");
    let order: Vec<(String, bool)> = tracked.check().iter().map(|(t, c)| (t.name.clone(), c.after.is_some())).collect();
    let gone = ["child", "child", "parent", "parent"].map(|n| (n.to_string(), false));
    let there = ["parent", "parent", "child", "grand", "grand"].map(|n| (n.to_string(), true));
    assert_eq!(order, [&gone[..], &there[..]].concat());
}

#[test]
fn cap_1_nothing_of_ours_is_left() {
    let dump = |tracked: &Tracked| {
        let done = std::process::Command::new("sqlite3").arg(&tracked.path).arg(".dump").output().unwrap();
        String::from_utf8(done.stdout).unwrap()
    };
    let setup = "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v UNIQUE); INSERT INTO t(v) VALUES (1),(2); DELETE FROM t WHERE id = 2; CREATE INDEX i ON t(v); ANALYZE";
    let tracked = Tracked::new(setup);
    let plain = Tracked::untracked(setup);
    let edits = "INSERT INTO t(v) VALUES (5); UPDATE t SET v = 6 WHERE id = 1; ANALYZE";
    tracked.run(Program::Shell, edits);
    plain.run(Program::Shell, edits);
    capture::remove(&tracked.ours()).unwrap();
    assert_eq!(dump(&tracked), dump(&plain));
}

#[test]
fn clearing_never_gives_a_sequence_twice() {
    let tracked = Tracked::new("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
    tracked.run(Program::Shell, "INSERT INTO t VALUES (1, 1)");
    let conn = tracked.ours();
    let end = capture::end(&conn).unwrap();
    capture::clear(&conn, end).unwrap();
    capture::clear(&conn, end).unwrap();
    assert_eq!(capture::end(&conn).unwrap(), end);
    tracked.run(Program::Shell, "INSERT INTO t VALUES (2, 2)");
    assert!(capture::end(&conn).unwrap() > end);
    assert_eq!(tracked.changes().len(), 1);
}

#[test]
fn cap_5_operations_have_old_and_new_values() {
    let tracked = Tracked::new("CREATE TABLE t(id INTEGER PRIMARY KEY, v, w); INSERT INTO t VALUES (1, 'a', 0)");
    tracked.run(Program::Shell, "UPDATE t SET v = 'b'; UPDATE t SET v = 'c', w = 1; UPDATE t SET v = v; INSERT INTO t VALUES (2, 'x', 0); UPDATE t SET id = 3 WHERE id = 2;
        REPLACE INTO t VALUES (3, 'y', 0); DELETE FROM t WHERE id = 1; INSERT OR IGNORE INTO t VALUES (3, 'no', 0); INSERT INTO t VALUES (3, 'up', 0) ON CONFLICT DO UPDATE SET w = 5");
    let mut seen = Vec::new();
    capture::operations(&tracked.ours(), &mut capture::KeptSources::default(), i64::MIN, &mut |operation| {
        let show = |v: &Option<Value>| v.as_ref().map_or("-".to_string(), |v| format!("{v:?}"));
        let cells: Vec<String> = operation.cells.iter().map(|(n, b, a)| format!("{n}: {} > {}", show(b), show(a))).collect();
        seen.push(format!("{} {:?} {}", operation.kind, operation.key[0], cells.join(", ")));
        assert!(operation.at_ms > 1_600_000_000_000);
        Ok(())
    })
    .unwrap();
    let text = |s: &str| format!("{:?}", Value::from(s));
    assert_eq!(
        seen,
        [
            format!("update Integer(1) v: {} > {}", text("a"), text("b")),
            format!("update Integer(1) v: {} > {}, w: Integer(0) > Integer(1)", text("b"), text("c")),
            format!("insert Integer(2) id: - > Integer(2), v: - > {}, w: - > Integer(0)", text("x")),
            "update Integer(2) id: Integer(2) > Integer(3)".to_string(),
            format!("update Integer(3) v: {} > {}", text("x"), text("y")),
            format!("delete Integer(1) id: Integer(1) > -, v: {} > -, w: Integer(1) > -", text("c")),
            "update Integer(3) w: Integer(0) > Integer(5)".to_string(),
        ]
    );
}

#[test]
fn many_operations_say_the_same_as_few_at_a_time_through_changes_of_the_schema() {
    let tracked = Tracked::new("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
    let conn = tracked.ours();
    let mut kept = capture::KeptSources::default();
    let mut read = |from: i64| {
        let mut all = Vec::new();
        capture::operations(&conn, &mut kept, from, &mut |operation| {
            all.push((operation.sequence, operation.kind, operation.cells.clone()));
            Ok(())
        })
        .unwrap();
        all
    };
    let mut seen: Vec<(i64, &str, _)> = Vec::new();
    for n in 0..400 {
        let row = n % 7;
        tracked.run(
            Program::Bundled,
            &format!("INSERT INTO t VALUES ({row}, {n}) ON CONFLICT DO UPDATE SET v = {n}; DELETE FROM t WHERE id = {n} % 5"),
        );
        if n % 3 == 0 {
            let from = seen.last().map_or(i64::MIN, |(sequence, ..)| *sequence);
            seen.extend(read(from));
        }
    }
    let from = seen.last().map_or(i64::MIN, |(sequence, ..)| *sequence);
    seen.extend(read(from));
    let all = read(i64::MIN);
    assert!(all.len() > 500 && all.len() == seen.len(), "{} and {}", all.len(), seen.len());
    // What became of a row is the same, whether its next operation was known by then or not.
    assert_eq!(all, seen);
    tracked.run(Program::Bundled, "ALTER TABLE t ADD COLUMN w DEFAULT 9");
    capture::heal(&conn).unwrap();
    tracked.run(Program::Bundled, "UPDATE t SET w = 10 WHERE id = (SELECT max(id) FROM t)");
    let from = all.last().map_or(i64::MIN, |(sequence, ..)| *sequence);
    assert_eq!(read(from)[0].2, [("w".to_string(), Some(Value::Integer(9)), Some(Value::Integer(10)))]);
}

#[test]
fn scan_is_in_key_order_and_to_the_bit() {
    let tracked = Tracked::new(
        "CREATE TABLE t(a, k TEXT PRIMARY KEY, g AS (a) STORED); INSERT INTO t VALUES (cast(x'ff00' AS TEXT), 'b'), (-0.0, 'a')",
    );
    let conn = tracked.ours();
    let table = &schema::read(&conn).unwrap().schema.tables[0];
    let mut rows = Vec::new();
    capture::scan(&conn, table, &mut |row| {
        rows.push(row);
        Ok(())
    })
    .unwrap();
    assert_eq!(rows, [vec![Value::Real(-0.0), "a".into()], vec![Value::Text(vec![0xff, 0]), "b".into()]]);
}
