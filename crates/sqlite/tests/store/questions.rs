//! Questions in somebody's SQL: what they may see, and that they can do nothing else.
use mainstem::core::ErrorKind;
use mainstem::core::schema::Schema;
use mainstem::core::value::{Row, Value};
use mainstem::store::{Answered, Limits, Question, Store, Transaction};
use mainstem::tables::Wrote;
use mainstem::wiring::{Around, Surroundings};
use mainstem::{Error, Result};
use mainstem_sqlite::connection::open_primary;
use mainstem_sqlite::ledger::create;
use mainstem_sqlite::schema;
use mainstem_sqlite::store::{SqliteStore, VisitWatched, Watcher};
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

/// Nobody else writes here.
struct Nobody;

impl Watcher for Nobody {
    fn altered(&self, _: &Connection) -> Result<()> {
        Ok(())
    }
    fn watch(&self, _: &Connection, _: &Schema) -> Result<()> {
        Ok(())
    }
    fn has_direct(&self, _: &Connection, _: &Schema) -> Result<bool> {
        Ok(false)
    }
    fn take_direct(&self, _: &Connection, _: &Schema, _: VisitWatched<'_>) -> Result<Vec<mainstem::core::schema::SchemaChange>> {
        Ok(Vec::new())
    }
}

/// A clock on which every look takes a millisecond.
#[derive(Default)]
struct Ticking(AtomicU64);

impl Surroundings for Ticking {
    fn now_ms(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
    fn random(&self) -> u128 {
        7
    }
}

pub fn ticking() -> Around {
    Arc::new(Ticking::default())
}

fn read(connection: &Connection) -> Result<Schema> {
    let mut found = schema::read(connection)?.schema;
    found.tables.retain(|t| !t.name.starts_with("mainstem_"));
    Ok(found)
}

/// A primary's store with these tables.
pub fn store_with(sql: &str) -> (TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let connection = open_primary(&dir.path().join("primary.db"), true).unwrap();
    create(&connection).unwrap();
    connection.execute_batch(sql).unwrap();
    let store = SqliteStore::new(connection, read, Box::new(Nobody)).unwrap();
    (dir, store)
}

const WORLD: &str = "
    CREATE TABLE product(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, price, note TEXT);
    INSERT INTO product VALUES (1, 'pen', 3, '{\"tags\": [\"blue\", \"dear\"]}'), (2, 'ink', 120, NULL);
    CREATE TABLE \"Order; Details --\"(\"a\"\"b\" TEXT PRIMARY KEY, n INTEGER);
    INSERT INTO \"Order; Details --\" VALUES ('x', 60), ('y', 60);
    CREATE TABLE keyless(a);
    CREATE VIRTUAL TABLE words USING fts5(body);
    CREATE VIEW dear AS SELECT * FROM product WHERE price > 100;
    CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n;
    CREATE VIEW peek AS SELECT hash FROM mainstem_event;
    CREATE VIEW aside AS SELECT a FROM keyless;
    CREATE TRIGGER no AFTER INSERT ON product BEGIN DELETE FROM product; END;";

fn ask(tx: &mut dyn Transaction, sql: &str, time_ms: u64, rows_max: u64) -> Result<(Answered, Vec<Row>)> {
    let mut rows = Vec::new();
    let limits = Limits { time_ms, rows_max, around: ticking() };
    let answered = tx.ask(&Question::Sql(sql), &limits, &mut |names, row| {
        assert_eq!(names.len(), row.len());
        rows.push(row.to_vec());
        Ok(())
    })?;
    Ok((answered, rows))
}

#[test]
fn the_rows_of_the_transaction_are_seen() {
    let (_dir, mut store) = store_with(WORLD);
    let mut tx = store.begin().unwrap();
    let product = tx.schema().tables.iter().position(|t| t.name == "product").unwrap();
    assert_eq!(tx.insert(product, &vec![3.into(), "cap".into(), 1.into(), Value::Null]).unwrap(), Wrote::Done);
    for (sql, expect) in [
        ("SELECT id FROM product", 3),
        ("  -- why\n SELECT * FROM Product p JOIN dear d ON d.id = p.id;  -- the end", 1),
        ("SELECT count(*) FROM product HAVING count(*) > 2", 1),
        ("SELECT sum(n) FROM \"Order; Details --\" HAVING sum(n) > 100", 1),
        ("SELECT \"a\"\"b\" FROM main.\"order; details --\" WHERE n > 100", 0),
        ("WITH big AS (SELECT * FROM product WHERE price > 2) SELECT 1 WHERE (SELECT count(*) FROM big) > 1", 1),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT i FROM n", 9),
        ("SELECT p.id FROM product p, json_each(p.note, '$.tags') j WHERE j.value = 'dear'", 1),
        ("SELECT id FROM product WHERE trim(name) LIKE 'P%' AND note ->> '$.tags[0]' = 'blue'", 1),
        ("SELECT id, row_number() OVER (ORDER BY price) FROM product WHERE date('now') > '2000-01-01'", 3),
        ("SELECT id FROM product EXCEPT SELECT id FROM dear", 2),
        ("VALUES (1), (2)", 2),
        ("SELECT id FROM product WHERE name = 'PEN'", 1),
    ] {
        let (answered, rows) = ask(&mut *tx, sql, 1_000_000, 100).unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert_eq!((answered, rows.len()), (Answered::Whole, expect), "{sql}");
    }
    assert_eq!(ask(&mut *tx, "SELECT id FROM product", 1_000_000, 2).unwrap().0, Answered::TooManyRows);
    assert_eq!(ask(&mut *tx, "SELECT id FROM product", 1_000_000, 3).unwrap().0, Answered::Whole);
}

/// What is refused, and a word of why.
const HOSTILE: &[(&str, &str)] = &[
    ("", "one SELECT"),
    ("-- nothing", "one SELECT"),
    ("SELECT 1; SELECT 2", "Multiple statements"),
    ("SELECT 1; DROP TABLE product", "one SELECT"),
    ("INSERT INTO product VALUES (9, 'x', 1, NULL)", "one SELECT"),
    ("INSERT INTO product VALUES (9, 'x', 1, NULL) RETURNING id", "one SELECT"),
    ("UPDATE product SET price = 0 RETURNING id", "one SELECT"),
    ("DELETE FROM product", "one SELECT"),
    ("WITH x AS (SELECT 1) DELETE FROM product RETURNING id", "one SELECT"),
    ("DROP TABLE product", "one SELECT"),
    ("CREATE TABLE evil(a)", "one SELECT"),
    ("CREATE TEMP TABLE product(id)", "one SELECT"),
    ("CREATE TEMP VIEW v AS SELECT 1", "one SELECT"),
    ("CREATE VIRTUAL TABLE temp.v USING fts5vocab(main, words, row)", "one SELECT"),
    ("ALTER TABLE product RENAME TO q", "one SELECT"),
    ("ATTACH 'file:other.db' AS other", "one SELECT"),
    ("DETACH main", "one SELECT"),
    ("PRAGMA writable_schema = 1", "one SELECT"),
    ("PRAGMA table_info(product)", "one SELECT"),
    ("VACUUM INTO 'copy.db'", "one SELECT"),
    ("REINDEX", "one SELECT"),
    ("ANALYZE", "one SELECT"),
    ("BEGIN", "one SELECT"),
    ("COMMIT", "one SELECT"),
    ("ROLLBACK", "one SELECT"),
    ("SAVEPOINT s", "one SELECT"),
    ("EXPLAIN SELECT 1", "one SELECT"),
    ("EXPLAIN QUERY PLAN SELECT * FROM product", "one SELECT"),
    ("SELECT * FROM mainstem_event", "not mainstem_event"),
    ("SELECT count(*) FROM mainstem_event", "not mainstem_event"),
    ("SELECT count(*) FROM main.mainstem_event", "not mainstem_event"),
    ("SELECT * FROM MAINSTEM_EVENT", "not mainstem_event"),
    ("SELECT 1 WHERE EXISTS (SELECT 1 FROM mainstem_event)", "not mainstem_event"),
    ("SELECT * FROM peek", "not mainstem_event"),
    ("SELECT count(*) FROM peek", "not mainstem_event"),
    ("SELECT * FROM aside", "not keyless"),
    ("SELECT * FROM keyless", "not keyless"),
    ("SELECT count(*) FROM keyless", "not keyless"),
    ("SELECT count(*) FROM product, keyless", "not keyless"),
    ("SELECT count(*) FROM product p LEFT JOIN keyless AS product ON 1", "not keyless"),
    ("SELECT (SELECT count(*) FROM (SELECT 1 FROM keyless))", "not keyless"),
    ("SELECT 1 WHERE 1 IN keyless", "not keyless"),
    ("SELECT 1 WHERE 1 IN (SELECT 1 FROM keyless)", "not keyless"),
    ("WITH keyless AS (SELECT 1) SELECT count(*) FROM main.keyless", "not keyless"),
    ("SELECT * FROM json_each((SELECT a FROM keyless))", "not keyless"),
    ("SELECT id FROM product UNION ALL SELECT a FROM keyless", "not keyless"),
    ("SELECT id FROM product ORDER BY (SELECT count(*) FROM keyless)", "not keyless"),
    ("SELECT count(*) FILTER (WHERE EXISTS (SELECT 1 FROM keyless)) FROM product", "not keyless"),
    ("SELECT * FROM words", "not words"),
    ("SELECT * FROM words WHERE words MATCH 'a'", "not words"),
    ("SELECT count(*) FROM words_content", "not words_content"),
    ("SELECT sql FROM sqlite_schema", "not sqlite_master"),
    ("SELECT count(*) FROM sqlite_schema", "sqlite_"),
    ("SELECT * FROM sqlite_temp_schema", "sqlite_temp_master"),
    ("SELECT * FROM pragma_table_info('product')", "not pragma_table_info"),
    ("SELECT count(*) FROM pragma_database_list", "pragma_database_list"),
    ("SELECT count(*) FROM dbstat", "not dbstat"),
    ("SELECT * FROM dbstat", "dbstat"),
    ("SELECT data FROM sqlite_dbpage", "sqlite_dbpage"),
    ("SELECT load_extension('evil.so')", "may not call load_extension"),
    ("SELECT readfile('/etc/passwd')", "no such function"),
    ("SELECT writefile('a', 'b')", "no such function"),
    ("SELECT edit('a')", "no such function"),
    ("SELECT fts3_tokenizer('simple')", "fts3_tokenizer"),
    ("SELECT random()", "may not call random"),
    ("SELECT hex(randomblob(8))", "may not call randomblob"),
    ("SELECT length(zeroblob(1000000000))", "may not call zeroblob"),
    ("SELECT changes()", "may not call changes"),
    ("SELECT last_insert_rowid()", "may not call last_insert_rowid"),
    ("SELECT sqlite_version()", "may not call sqlite_version"),
    ("SELECT sqlite_compileoption_get(1)", "may not call"),
    ("SELECT bm25(words) FROM words", "may not call bm25"),
    ("SELECT \"no_such\" FROM product", "no such column"),
    ("SELECT id FROM product WHERE \"nmae\" = 'pen'", "no such column"),
    ("SELECT id FROM prodcut", "no such table"),
    ("SELECT id FROM other.product", "no such table"),
    ("SELECT ?1", "no parameters"),
    ("SELECT :name FROM product", "no parameters"),
    ("SELECT", "incomplete input"),
    ("nonsense", "syntax error"),
    ("SELECT id FROM product ORDER BY name COLLATE nowhere", "no such collation"),
    ("SELECT printf('%1000001d', 1)", "at most 1000000 bytes"),
    ("SELECT abs(-9223372036854775808)", "integer overflow"),
    ("SELECT json_extract('{', '$')", "malformed JSON"),
    ("SELECT sum(n) FROM (SELECT 9223372036854775807 AS n UNION ALL SELECT 1)", "integer overflow"),
];

/// Queries that would not end.
const ENDLESS: &[&str] = &[
    "SELECT * FROM endless",
    "SELECT count(*) FROM endless",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT a.i FROM n a, n b, n c ORDER BY c.i",
    "WITH RECURSIVE n(t) AS (SELECT 'a' UNION ALL SELECT substr(t || t, 1, 1000) FROM n) SELECT group_concat(t) OVER () FROM n",
];

#[test]
fn whatever_is_asked_nothing_else_happens() {
    let (dir, mut store) = store_with(WORLD);
    let before = contents(store.connection());
    let mut tx = store.begin().unwrap();
    for (sql, says) in HOSTILE {
        refused(ask(&mut *tx, sql, 1_000_000, 100), sql, says);
        still_works(&mut *tx);
    }
    for sql in ENDLESS {
        let (answered, _) = ask(&mut *tx, sql, 2_000, u64::MAX).unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert_eq!(answered, Answered::OutOfTime, "{sql}");
        still_works(&mut *tx);
    }
    let (answered, rows) = ask(&mut *tx, ENDLESS[0], 1_000_000, 100).unwrap();
    assert_eq!((answered, rows.len()), (Answered::TooManyRows, 100));
    drop(tx);
    assert_eq!(contents(store.connection()), before);
    let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert!(files.iter().all(|name| name.starts_with("primary.db")), "{files:?}");
    // Neither the watch nor the limits are left on.
    let big = format!("SELECT length(zeroblob(2000000)), random(), '{}'", "x".repeat(1_500_000));
    store.connection().query_row(&big, [], |_| Ok(())).unwrap();
    store.connection().execute_batch("ATTACH ':memory:' AS other; CREATE TABLE other.t(a); DETACH other").unwrap();
}

#[track_caller]
fn refused(answer: Result<(Answered, Vec<Row>)>, sql: &str, says: &str) {
    let error: Error = answer.err().unwrap_or_else(|| panic!("{sql} is refused"));
    assert_eq!(error.kind, ErrorKind::Invalid, "{sql}: {error}");
    assert!(error.message.to_lowercase().contains(&says.to_lowercase()), "{sql}: {error}");
}

/// Rows are written and read, the ledger answers, and a value is as large as it was.
#[track_caller]
fn still_works(tx: &mut dyn Transaction) {
    let product = tx.schema().tables.iter().position(|t| t.name == "product").unwrap();
    let row: Row = vec![77.into(), "new".into(), 1.into(), Value::Text(vec![b'x'; 1_000_100])];
    assert_eq!(tx.insert(product, &row).unwrap(), Wrote::Done);
    assert_eq!(tx.get(product, &vec![77.into()]).unwrap(), Some(row));
    tx.delete(product, &vec![77.into()]).unwrap();
    assert_eq!(tx.head().unwrap().version, 0);
}

fn contents(connection: &Connection) -> Vec<Row> {
    let mut rows = Vec::new();
    for sql in ["SELECT * FROM product", "SELECT * FROM \"Order; Details --\"", "SELECT type, name, sql FROM sqlite_schema"] {
        let mut statement = connection.prepare(sql).unwrap();
        let mut found = statement.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            rows.push(mainstem_sqlite::tables::read_row(row).unwrap());
        }
    }
    rows
}

#[test]
fn functions_that_take_long_get_short_texts() {
    let (_dir, mut store) = store_with(WORLD);
    store.connection().execute("UPDATE product SET note = printf('%.*c', 16400, 'x')", []).unwrap();
    let mut tx = store.begin().unwrap();
    assert_eq!(ask(&mut *tx, "SELECT id FROM product WHERE length(note) > 16384", 1_000_000, 9).unwrap().1.len(), 2);
    refused(ask(&mut *tx, "SELECT id FROM product WHERE trim(note) = ''", 1_000_000, 9), "trim", "at most 16384 bytes");
    let many = format!("SELECT {}", vec!["trim('a', 'b')"; 17].join(", "));
    refused(ask(&mut *tx, &many, 1_000_000, 9), "many", "16 times in all");
    let long = format!("SELECT '{}'", "x".repeat(100_000));
    refused(ask(&mut *tx, &long, 1_000_000, 9), "long", "");
    let deep = format!("SELECT {}1{}", "(1 + ".repeat(200), ")".repeat(200));
    refused(ask(&mut *tx, &deep, 1_000_000, 9), "deep", "too large");
    let wide = format!("SELECT {}", vec!["1"; 101].join(", "));
    refused(ask(&mut *tx, &wide, 1_000_000, 9), "wide", "too many columns");
    still_works(&mut *tx);
}

#[test]
fn a_transaction_that_only_reads_can_be_asked() {
    let (_dir, mut store) = store_with(WORLD);
    let mut tx = store.begin_read().unwrap();
    assert_eq!(ask(&mut *tx, "SELECT id FROM dear", 1_000, 9).unwrap().1, [vec![Value::Integer(2)]]);
}

/// Key and columns of what shares its values, or has no parent.
fn rows_of(tx: &mut dyn Transaction, question: &Question<'_>) -> String {
    let limits = Limits { time_ms: 1_000_000, rows_max: u64::MAX, around: ticking() };
    let mut rows = Vec::new();
    let answered = tx.ask(question, &limits, &mut |_, row| {
        rows.push(row[0].as_integer().unwrap().to_string());
        Ok(())
    });
    assert_eq!(answered.unwrap(), Answered::Whole);
    rows.join(" ")
}

#[test]
fn rows_that_share_and_rows_without_parents() {
    let (_dir, mut store) = store_with(
        "CREATE TABLE p(id INTEGER PRIMARY KEY, code TEXT COLLATE NOCASE, n, m);
         CREATE TABLE c(id INTEGER PRIMARY KEY, p INTEGER, code TEXT, n, m);
         INSERT INTO p VALUES (1, 'a', 1, 1), (2, 'A', 1.0, 2), (3, 'b', '1', 1), (4, NULL, NULL, 1), (5, NULL, NULL, 1), (6, 'ä', x'31', 1);
         INSERT INTO c VALUES (1, 1, 'a', 1, 1), (2, 9, 'B', 1, 2), (3, NULL, NULL, 1, NULL), (4, 6, 'Ä', '1', 2), (5, 4, 'x', 2, 1);",
    );
    let mut tx = store.begin().unwrap();
    let at = |tx: &dyn Transaction, name: &str| tx.schema().tables.iter().position(|t| t.name == name).unwrap();
    let (p, c) = (at(&*tx, "p"), at(&*tx, "c"));
    for (columns, expect) in [(&[1][..], "1 2"), (&[2], "1 2"), (&[3], "1 3 4 5 6"), (&[2, 3], ""), (&[1, 2], "1 2"), (&[0], "")] {
        assert_eq!(rows_of(&mut *tx, &Question::Sharing { table: p, columns }), expect, "{columns:?}");
    }
    for (columns, parent_columns, expect) in
        [(&[1][..], &[0][..], "2"), (&[2], &[1], "4 5"), (&[3, 4], &[2, 3], "4 5"), (&[0], &[0], ""), (&[4], &[3], "")]
    {
        let question = Question::Orphans { table: c, columns, parent: p, parent_columns };
        assert_eq!(rows_of(&mut *tx, &question), expect, "{columns:?}");
    }
}
