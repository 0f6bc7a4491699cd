//! The contract of current rows: values and keys to the bit, refusals that leave nothing behind, rivals, numbers.
use crate::schema::{database, tables};
use mainstem::core::ErrorKind;
use mainstem::core::value::{Row, Value};
use mainstem::tables::{Tables, Wrote};

fn nasty() -> Vec<Value> {
    vec![
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Integer(i64::MAX),
        Value::Integer((1 << 53) + 1),
        Value::Real(-0.0),
        Value::Real(0.0),
        Value::Real(f64::MAX),
        Value::Real(f64::MIN_POSITIVE / 8.0),
        Value::Real(f64::INFINITY),
        Value::Real(f64::NEG_INFINITY),
        Value::Real(9_223_372_036_854_775_808.0),
        Value::Text(Vec::new()),
        Value::Text(b"ab\0cd".to_vec()),
        Value::Text(vec![0xff, 0x41]),
        Value::text("e\u{301}"),
        Value::text("\u{e9}"),
        Value::Blob(Vec::new()),
        Value::Blob(vec![0; 100_000]),
        Value::Blob(b"text".to_vec()),
        Value::text("text"),
    ]
}

#[test]
fn every_value_comes_back_to_the_bit() {
    let db = database("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
    let mut t = tables(&db);
    for (i, value) in nasty().into_iter().enumerate() {
        let row: Row = vec![Value::Integer(i as i64), value.clone()];
        assert_eq!(t.insert(0, &row).unwrap(), Wrote::Done);
        assert_eq!(t.get(0, &vec![Value::Integer(i as i64)]).unwrap(), Some(row));
        for other in nasty() {
            let key = vec![Value::Integer(i as i64)];
            let changed = vec![Value::Integer(i as i64), other];
            let before = t.get(0, &key).unwrap().unwrap();
            assert_eq!(t.update(0, &before, &changed).unwrap(), Wrote::Done);
            assert_eq!(t.get(0, &key).unwrap(), Some(changed));
        }
    }
}

#[test]
fn every_value_but_null_is_a_key() {
    let db = database("CREATE TABLE t(k PRIMARY KEY, v) WITHOUT ROWID; CREATE TABLE u(k PRIMARY KEY, v)");
    for table in [0, 1] {
        let mut t = tables(&db);
        for value in nasty() {
            let row = vec![value.clone(), Value::text("x")];
            let rivals = t.rivals(table, &row);
            match t.insert(table, &row) {
                Ok(Wrote::Done) => {
                    assert_eq!(t.get(table, &vec![value.clone()]).unwrap(), Some(row.clone()));
                    assert!(rivals.unwrap().is_empty());
                    let changed = vec![value.clone(), Value::text("y")];
                    assert_eq!(t.update(table, &row, &changed).unwrap(), Wrote::Done);
                    t.delete(table, &vec![value.clone()]).unwrap();
                    assert_eq!(t.get(table, &vec![value]).unwrap(), None);
                    t.insert(table, &row).unwrap();
                }
                // 0.0 equals -0.0, and so SQLite keeps only one of them; the other is a rival and no row.
                Ok(Wrote::Unique(_)) => {
                    assert_eq!(value, Value::Real(0.0));
                    assert_eq!(rivals.unwrap(), vec![vec![Value::Real(-0.0), Value::text("x")]]);
                    assert_eq!(t.get(table, &vec![value.clone()]).unwrap(), None);
                    assert!(t.delete(table, &vec![value]).is_err());
                }
                other => {
                    assert!(value.is_null(), "{other:?}");
                    assert_eq!(other.unwrap_err().kind, ErrorKind::Invalid);
                }
            }
        }
    }
}

#[test]
fn keys_of_other_classes_are_other_rows() {
    let db = database("CREATE TABLE t(k PRIMARY KEY, v); INSERT INTO t VALUES (1,'i'),('1','t'),(x'31','b')");
    let mut t = tables(&db);
    let found = |t: &mut dyn Tables, k: Value| t.get(0, &vec![k]).unwrap().map(|r| r[1].clone());
    assert_eq!(found(&mut t, Value::Integer(1)), Some(Value::text("i")));
    assert_eq!(found(&mut t, Value::text("1")), Some(Value::text("t")));
    assert_eq!(found(&mut t, Value::Blob(vec![0x31])), Some(Value::text("b")));
    assert_eq!(found(&mut t, Value::Real(1.0)), None);
    let rivals = t.rivals(0, &vec![Value::Real(1.0), Value::Null]).unwrap();
    assert_eq!(rivals, vec![vec![Value::Integer(1), Value::text("i")]]);
    assert!(t.delete(0, &vec![Value::Real(1.0)]).is_err());
    t.delete(0, &vec![Value::Integer(1)]).unwrap();
    assert_eq!(found(&mut t, Value::text("1")), Some(Value::text("t")));
}

#[test]
fn a_key_equal_by_collation_is_a_rival_not_the_row() {
    let cases = [
        "CREATE TABLE t(k TEXT COLLATE NOCASE PRIMARY KEY, v)",
        "CREATE TABLE t(k TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID",
        "CREATE TABLE t(k TEXT, v, PRIMARY KEY(k COLLATE NOCASE))",
    ];
    for sql in cases {
        let db = database(sql);
        let mut t = tables(&db);
        let abc = vec![Value::text("abc"), Value::Integer(1)];
        t.insert(0, &abc).unwrap();
        let key = vec![Value::text("ABC")];
        let row = vec![Value::text("ABC"), Value::Integer(2)];
        assert_eq!(t.get(0, &key).unwrap(), None, "{sql}");
        assert_eq!(t.insert(0, &row).unwrap(), Wrote::Unique("t.k".into()), "{sql}");
        assert_eq!(t.rivals(0, &row).unwrap(), vec![abc.clone()], "{sql}");
        assert_eq!(t.update(0, &row, &row).unwrap_err().code, "row_gone");
        assert_eq!(t.delete(0, &key).unwrap_err().code, "row_gone");
        assert_eq!(t.get(0, &vec![Value::text("abc")]).unwrap(), Some(abc), "{sql}");
    }
}

#[test]
fn a_key_index_may_be_finer_than_its_column() {
    let db = database("CREATE TABLE t(k TEXT COLLATE NOCASE, v, PRIMARY KEY(k COLLATE BINARY))");
    let mut t = tables(&db);
    for (k, v) in [("abc", 1), ("ABC", 2)] {
        assert_eq!(t.insert(0, &vec![k.into(), Value::Integer(v)]).unwrap(), Wrote::Done);
    }
    t.delete(0, &vec!["abc".into()]).unwrap();
    assert_eq!(t.get(0, &vec!["ABC".into()]).unwrap(), Some(vec!["ABC".into(), Value::Integer(2)]));
}

#[test]
fn a_composite_key_keeps_its_own_order() {
    let db = database("CREATE TABLE t(a, v, b, PRIMARY KEY(b, a)) WITHOUT ROWID");
    let mut t = tables(&db);
    let one = vec![Value::Integer(1), "x".into(), Value::Integer(2)];
    let two = vec![Value::Integer(2), "y".into(), Value::Integer(1)];
    t.insert(0, &one).unwrap();
    t.insert(0, &two).unwrap();
    assert_eq!(t.get(0, &vec![Value::Integer(2), Value::Integer(1)]).unwrap(), Some(one));
    assert_eq!(t.get(0, &vec![Value::Integer(1), Value::Integer(2)]).unwrap(), Some(two));
}

#[test]
fn an_insert_never_replaces_whatever_the_schema_says() {
    let db = database(
        "CREATE TABLE t(id INTEGER PRIMARY KEY ON CONFLICT REPLACE, u UNIQUE ON CONFLICT REPLACE, n NOT NULL ON CONFLICT IGNORE);
         INSERT INTO t VALUES (1,'a',0),(2,'b',0)",
    );
    let mut t = tables(&db);
    let row = |id: i64, u: &str, n: Value| vec![Value::Integer(id), u.into(), n];
    assert_eq!(t.insert(0, &row(1, "z", 0.into())).unwrap(), Wrote::Unique("t.id".into()));
    assert_eq!(t.insert(0, &row(3, "a", 0.into())).unwrap(), Wrote::Unique("t.u".into()));
    assert_eq!(t.update(0, &row(1, "a", 0.into()), &row(1, "b", 5.into())).unwrap(), Wrote::Unique("t.u".into()));
    assert_eq!(t.insert(0, &row(3, "c", Value::Null)).unwrap(), Wrote::Constraint("NOT NULL t.n".into()));
    assert_eq!(t.get(0, &vec![1.into()]).unwrap(), Some(row(1, "a", 0.into())));
    assert_eq!(t.rivals(0, &row(1, "b", 0.into())).unwrap(), vec![row(2, "b", 0.into())]);
    let count: i64 = db.query_row("SELECT count(*) FROM t", [], |r| r.get(0)).unwrap();
    assert_eq!(count, 2);
}

#[test]
fn checks_and_failing_expressions_are_constraints() {
    let db = database(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a CONSTRAINT small CHECK (a < 10), j CHECK (json_extract(j, '$.a') IS NULL));
         CREATE TABLE s(id INTEGER PRIMARY KEY, a INT) STRICT",
    );
    let mut t = tables(&db);
    assert_eq!(t.insert(0, &vec![1.into(), 11.into(), Value::Null]).unwrap(), Wrote::Constraint("CHECK small".into()));
    assert!(matches!(t.insert(0, &vec![1.into(), 1.into(), "{".into()]).unwrap(), Wrote::Constraint(_)));
    assert!(matches!(t.insert(1, &vec![1.into(), "x".into()]).unwrap(), Wrote::Constraint(_)));
    assert_eq!(t.insert(1, &vec!["x".into(), 1.into()]).unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(t.insert(0, &vec![1.into(), 1.into(), "{}".into()]).unwrap(), Wrote::Done);
}

#[test]
fn triggers_stay_silent_and_links_do_not_cascade() {
    let db = database(
        "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE);
         CREATE TRIGGER no BEFORE INSERT ON c BEGIN SELECT RAISE(ABORT, 'no'); END; INSERT INTO p VALUES (1)",
    );
    let mut t = tables(&db);
    assert_eq!(t.insert(1, &vec![1.into(), 1.into()]).unwrap(), Wrote::Done);
    assert_eq!(t.insert(1, &vec![2.into(), 99.into()]).unwrap(), Wrote::Done);
    t.delete(0, &vec![1.into()]).unwrap();
    assert!(t.get(1, &vec![1.into()]).unwrap().is_some());
    let twice = t.delete(0, &vec![1.into()]).unwrap_err();
    assert_eq!((twice.kind, twice.code), (ErrorKind::Conflict, "row_gone"));
}

#[test]
fn find_compares_as_sqlite_does_and_keeps_to_its_limit() {
    let db = database(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE, b INT);
         INSERT INTO t VALUES (3,'X',1),(1,'x',1),(2,'x',2),(4,NULL,1)",
    );
    let mut t = tables(&db);
    let ids = |rows: Vec<Row>| rows.iter().map(|r| r[0].as_integer().unwrap()).collect::<Vec<_>>();
    assert_eq!(ids(t.find(0, &[1], &["x".into()], 10).unwrap()), [1, 2, 3]);
    assert_eq!(ids(t.find(0, &[1], &["x".into()], 2).unwrap()), [1, 2]);
    assert_eq!(ids(t.find(0, &[1, 2], &["X".into(), "1".into()], 10).unwrap()), [1, 3]);
    assert_eq!(ids(t.find(0, &[1], &[Value::Null], 10).unwrap()), [0; 0]);
}

#[test]
fn rivals_are_found_in_every_kind_of_unique_index() {
    let db = database(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b TEXT, c, g AS (a || '-' || b), UNIQUE(a, b));
         CREATE UNIQUE INDEX \"half, (of)\" ON t(c) WHERE a = 'live' AND b IS NOT 'x';
         CREATE UNIQUE INDEX shape ON t(lower(b) COLLATE RTRIM DESC, (c + 1) ASC) /* note */;
         CREATE UNIQUE INDEX generated ON t(g COLLATE NOCASE) WHERE c > 100;
         INSERT INTO t VALUES (1,'live','one',1),(2,'dead','two',2),(3,'Q','R',101)",
    );
    let mut t = tables(&db);
    let row = |id: i64, a: &str, b: &str, c: i64| vec![Value::Integer(id), a.into(), b.into(), Value::Integer(c)];
    let mut ids = |row: Row| {
        let rows = t.rivals(0, &row).unwrap();
        let mut ids: Vec<i64> = rows.iter().map(|r| r[0].as_integer().unwrap()).collect();
        ids.sort_unstable();
        let clash = matches!(t.insert(0, &row).unwrap(), Wrote::Unique(_));
        assert_eq!(clash, !ids.is_empty() || t.get(0, &vec![row[0].clone()]).unwrap() != Some(row.clone()), "{row:?}");
        if !clash {
            t.delete(0, &vec![row[0].clone()]).unwrap();
        }
        ids
    };
    assert_eq!(ids(row(9, "live", "one", 50)), [1]);
    assert_eq!(ids(row(9, "live", "three", 1)), [1]);
    assert_eq!(ids(row(9, "dead", "three", 1)), [0; 0]);
    assert_eq!(ids(row(9, "other", "TWO  ", 2)), [2]);
    assert_eq!(ids(row(9, "q", "r", 102)), [3]);
    assert_eq!(ids(row(9, "q", "r", 7)), [0; 0]);
    assert_eq!(ids(row(9, "live", "TWO", 2)), [2]);
    assert_eq!(ids(row(1, "live", "TWO", 2)), [2]);
    assert_eq!(t.rivals(0, &row(1, "live", "one", 1)).unwrap(), Vec::<Row>::new());
}

#[test]
fn a_swap_of_unique_values_is_refused_in_the_middle() {
    let db = database("CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE); INSERT INTO t VALUES (1,'a'),(2,'b')");
    let mut t = tables(&db);
    assert_eq!(t.update(0, &vec![1.into(), "a".into()], &vec![1.into(), "b".into()]).unwrap(), Wrote::Unique("t.u".into()));
    assert_eq!(t.get(0, &vec![1.into()]).unwrap(), Some(vec![1.into(), "a".into()]));
    t.delete(0, &vec![2.into()]).unwrap();
    assert_eq!(t.update(0, &vec![1.into(), "a".into()], &vec![1.into(), "b".into()]).unwrap(), Wrote::Done);
    assert_eq!(t.insert(0, &vec![2.into(), "a".into()]).unwrap(), Wrote::Done);
}

#[test]
fn numbers_go_up_and_remember() {
    let db = database(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT, v);
         INSERT INTO a VALUES (7, 'x'); DELETE FROM a; INSERT INTO t VALUES (-5, 'x')",
    );
    let mut t = tables(&db);
    assert_eq!(t.next_number(0).unwrap(), 1);
    assert_eq!(t.next_number(1).unwrap(), 8);
    t.insert(1, &vec![20.into(), Value::Null]).unwrap();
    t.delete(1, &vec![20.into()]).unwrap();
    assert_eq!(t.next_number(1).unwrap(), 21);
    t.insert(0, &vec![i64::MAX.into(), Value::Null]).unwrap();
    let full = t.next_number(0).unwrap_err();
    assert_eq!((full.kind, full.code), (ErrorKind::Conflict, "numbers_exhausted"));
    assert!(full.hint.is_some());
}

#[test]
fn generated_columns_are_left_alone() {
    let db = database("CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, g INT AS (a * 2) STORED, b)");
    let mut t = tables(&db);
    t.insert(0, &vec![1.into(), 4.into(), "b".into()]).unwrap();
    t.update(0, &vec![1.into(), 4.into(), "b".into()], &vec![1.into(), 5.into(), "b".into()]).unwrap();
    let g: i64 = db.query_row("SELECT g FROM t", [], |r| r.get(0)).unwrap();
    assert_eq!(g, 10);
}

#[test]
fn hostile_names_are_only_names() {
    let (table, column) = ("x\"; DROP TABLE other; --", "c\"]`' -- /*");
    let quoted = |n: &str| format!("\"{}\"", n.replace('"', "\"\""));
    let sql = format!(
        "CREATE TABLE other(id INTEGER PRIMARY KEY); CREATE TABLE {}(id INTEGER PRIMARY KEY, {} UNIQUE)",
        quoted(table),
        quoted(column)
    );
    let db = database(&sql);
    let mut t = tables(&db);
    assert_eq!(t.insert(1, &vec![1.into(), "v".into()]).unwrap(), Wrote::Done);
    assert_eq!(t.update(1, &vec![1.into(), "v".into()], &vec![1.into(), "w".into()]).unwrap(), Wrote::Done);
    assert_eq!(t.find(1, &[1], &["w".into()], 1).unwrap().len(), 1);
    assert_eq!(t.rivals(1, &vec![2.into(), "w".into()]).unwrap().len(), 1);
    assert_eq!(t.next_number(1).unwrap(), 2);
    t.delete(1, &vec![1.into()]).unwrap();
    assert_eq!(t.next_number(0).unwrap(), 1);
}

#[test]
fn declarations_with_strings_in_double_quotes_work() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.db");
    let app = rusqlite::Connection::open(&path).unwrap();
    app.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DQS_DDL, true).unwrap();
    app.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a CHECK (a <> \"never\"), b DEFAULT \"text\");
         CREATE UNIQUE INDEX live ON t(a || \"-\", b) WHERE a <> \"dead\";
         INSERT INTO t VALUES (1, 'x', 'y'), (2, 'dead', 'y')",
    )
    .unwrap();
    let db = mainstem_sqlite::connection::open_user(&path).unwrap();
    mainstem_sqlite::connection::begin_write(&db).unwrap();
    let mut t = tables(&db);
    let row = |id: i64, a: &str| vec![Value::Integer(id), a.into(), "y".into()];
    assert_eq!(t.rivals(0, &row(3, "x")).unwrap(), [row(1, "x")]);
    assert_eq!(t.rivals(0, &row(3, "dead")).unwrap(), Vec::<Row>::new());
    assert!(matches!(t.insert(0, &row(3, "x")).unwrap(), Wrote::Unique(_)));
    assert!(matches!(t.insert(0, &row(3, "never")).unwrap(), Wrote::Constraint(_)));
    assert_eq!(t.insert(0, &row(3, "dead")).unwrap(), Wrote::Done);
    assert!(db.prepare("SELECT \"no such column\" FROM t").is_err());
}

#[test]
fn a_database_in_utf16_gives_the_same_values() {
    let db = rusqlite::Connection::open_in_memory().unwrap();
    db.execute_batch("PRAGMA encoding = 'UTF-16le'; CREATE TABLE t(k TEXT PRIMARY KEY, v) WITHOUT ROWID").unwrap();
    let mut t = tables(&db);
    for text in ["", "e\u{301}", "\u{e9}", "ab\0cd", "\u{1f980}", "\u{feff}bom"] {
        let row = vec![Value::text(text), Value::text(text)];
        assert_eq!(t.insert(0, &row).unwrap(), Wrote::Done);
        assert_eq!(t.get(0, &vec![Value::text(text)]).unwrap(), Some(row.clone()));
        t.update(0, &row, &vec![Value::text(text), Value::Blob(text.into())]).unwrap();
    }
    assert_eq!(t.get(0, &vec![Value::text("e\u{301}")]).unwrap().unwrap()[1], Value::Blob("e\u{301}".into()));
}

#[test]
fn a_scan_goes_in_key_order() {
    let db = database("CREATE TABLE t(b, a, PRIMARY KEY(a, b)); INSERT INTO t VALUES (2,1),(1,2),(1,1)");
    let mut t = tables(&db);
    let mut seen = Vec::new();
    let mut visit = |row: &Row| {
        seen.push((row[1].as_integer().unwrap(), row[0].as_integer().unwrap()));
        Ok(())
    };
    t.scan(0, &mut visit).unwrap();
    assert_eq!(seen, [(1, 1), (1, 2), (2, 1)]);
}
