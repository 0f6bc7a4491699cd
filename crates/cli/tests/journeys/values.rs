//! Values to the bit, through publish, clone, push and pull, in both directions.
use crate::desk::Desk;
use crate::team::*;

/// Makes a database with each value in each affinity, and in keys. Arguments: file, encoding, round.
const WRITE: &str = r#"
import sqlite3, struct, sys
con = sqlite3.connect(sys.argv[1], isolation_level=None)
encoding, step = sys.argv[2], int(sys.argv[3])
wide = encoding != 'UTF-8'
con.execute("PRAGMA encoding = '%s'" % encoding)
bits = lambda h: struct.unpack('>d', bytes.fromhex(h))[0]
raw = lambda h: ('raw', h)
values = [None, 0, 1, -1, 2**63 - 1, -2**63, 2**53, 2**53 + 1, -2**53 - 1,
    0.0, bits('8000000000000000'), 1.0, -1.5, 0.1, bits('3fb999999999999b'), bits('7fefffffffffffff'), bits('0010000000000000'),
    bits('0000000000000001'), bits('800fffffffffffff'), bits('7ff0000000000000'), bits('fff0000000000000'), 1e15 + 0.3, 9007199254740993.0,
    '', 'a', 'A', ' a ', '0012', '12', '1.0', '5.0', '9.0e+999', 'null', "it's", 'line\nbreak\r\n\t', '\u00e9', 'e\u0301',
    '\U0001f600', '\ufeffbom', 'ab\0cd', '\0', 'x' * 70000,
    b'', b'\0', b'a', b'0012', bytes(range(256)), b'\xff' * 5000]
if not wide:
    # SQLite itself turns the last two of these into U+FFFD where a database is UTF-16.
    values += ['\ufffe', '\uffff', raw('ff41'), raw('c3'), raw('eda080'), raw('6100ff')]
def put(sql, v, *rest):
    if isinstance(v, tuple): con.execute(sql.replace('?1', "CAST(x'%s' AS TEXT)" % v[1]), (None, *rest) if rest else ())
    else: con.execute(sql, (v, *rest))
if step == 0:
    con.executescript('''
      CREATE TABLE cells (id INTEGER PRIMARY KEY, a, i INTEGER, r REAL, t TEXT, n NUMERIC, b BLOB, c COLLATE NOCASE);
      CREATE TABLE strict (id INTEGER PRIMARY KEY, a ANY, i INTEGER, r REAL, t TEXT, b BLOB) STRICT;
      CREATE TABLE keys (k PRIMARY KEY, v) WITHOUT ROWID;
      CREATE TABLE pairs (k TEXT, l, v, PRIMARY KEY (l, k));
      CREATE TABLE numbers (id INTEGER PRIMARY KEY, v);
    ''')
con.execute('BEGIN')
for n, v in enumerate(values):
    w = values[(n + 7) % len(values)]
    if step == 0:
        put('INSERT INTO cells VALUES (?2, ?1, ?1, ?1, ?1, ?1, ?1, ?1)', v, n)
        put('INSERT INTO strict (id, a) VALUES (?2, ?1)', v, n)
        if v is not None:
            put('INSERT OR IGNORE INTO keys VALUES (?1, ?2)', v, n)
            put('INSERT OR IGNORE INTO pairs VALUES (?1, ?1, ?2)', v, n)
    elif step == 1:
        put('UPDATE cells SET a = ?1, i = ?1, r = ?1, t = ?1, n = ?1, b = ?1, c = ?1 WHERE id = ?2', w, n)
        put('UPDATE strict SET a = ?1 WHERE id = ?2', w, n)
        if v is not None:
            put('UPDATE keys SET v = ?2 WHERE k IS ?1', v, 'step one')
            put('UPDATE pairs SET v = ?2 WHERE l IS ?1', v, 'step one')
    else:
        put('INSERT INTO cells VALUES (?2, ?1, ?1, ?1, ?1, ?1, ?1, ?1)', v, n + 1000)
        if v is not None and n % 2:
            put('DELETE FROM keys WHERE k IS ?1', v)
            put('DELETE FROM pairs WHERE l IS ?1', v)
if step == 0:
    con.executemany('INSERT INTO numbers VALUES (?, ?)', [(2**63 - 1, 'highest'), (-2**63, 'lowest'), (0, 'zero'), (2**53 + 1, 'odd')])
    con.execute("INSERT INTO strict VALUES (5000, 1, 9223372036854775807, 9e999, 'text', x'00')")
if step == 1:
    con.execute("UPDATE numbers SET v = v || ' changed'")
    # Equal under the column's collation and as numbers, different in bytes.
    con.execute("INSERT INTO cells (id, a, c) VALUES (2000, 1, 'abc')")
if step == 2:
    con.execute("UPDATE cells SET a = 1.0, c = 'ABC' WHERE id = 2000")
    con.execute("INSERT INTO cells (id, b) VALUES (3000, randomblob(10485760)), (3001, zeroblob(10485760))")
    con.execute("UPDATE cells SET b = x'' WHERE id = 3001")
con.execute('COMMIT')
"#;

fn survive(encoding: &str) {
    let desk = Desk::new();
    desk.python(WRITE, &["ada.db", encoding, "0"]);
    desk.copy(desk.path("ada.db"), "twin.db");
    let members = found(&desk, "ada.db", &["ada", "bob"], &[]);
    let pair = [&members[0], &members[1]];
    let twin = |step: &str| {
        if step != "0" {
            desk.python(WRITE, &["twin.db", encoding, step]);
        }
        desk.rows_without("twin.db", if step == "2" { &["cells"] } else { &[] })
    };
    assert_same(&desk.rows("bob.db"), &desk.rows("twin.db"), "the clone and a plain file");
    assert_together(&pair);

    desk.python(WRITE, &["ada.db", encoding, "1"]);
    until_quiet(&pair);
    assert_together(&pair);
    assert_same(&desk.rows("bob.db"), &twin("1"), "after updates by Ada");

    desk.python(WRITE, &["bob.db", encoding, "2"]);
    until_quiet(&[pair[1], pair[0]]);
    assert_together(&pair);
    assert_same(&desk.rows_without("ada.db", &["cells"]), &twin("2"), "after inserts and deletes by Bob");
    let big = "SELECT id, typeof(b), length(b) FROM cells WHERE id >= 3000;";
    assert_eq!(pair[0].sql(big), "3000|blob|10485760\n3001|blob|0\n");
    let respelled = "SELECT typeof(a), c FROM cells WHERE id = 2000;";
    assert_eq!(pair[0].sql(respelled), "real|ABC\n", "a change that only bytes show");
    assert!(pair[0].conflicts().is_empty(), "nobody edited the same thing");
}

#[test]
fn utf_8() {
    survive("UTF-8");
}

#[test]
fn utf_16() {
    survive("UTF-16le");
}

#[test]
fn keys_that_differ_only_in_bytes_stay_apart() {
    let desk = Desk::new();
    let sql = "CREATE TABLE t (k PRIMARY KEY, v) WITHOUT ROWID;
               INSERT INTO t VALUES (1, 'integer'), ('1', 'text'), (x'31', 'blob');
               CREATE TABLE accents (k TEXT PRIMARY KEY, v);";
    let members = found_from_sql(&desk, sql, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql(&format!("INSERT INTO accents VALUES ('{}', 'composed'); UPDATE t SET v = 'by Ada' WHERE k = '1';", "caf\u{e9}"));
    pair[1].sql(&format!("INSERT INTO accents VALUES ('{}', 'decomposed'); UPDATE t SET v = 'by Bob' WHERE k = 1;", "cafe\u{301}"));
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[1].sql("SELECT count(*) FROM accents;"), "2\n");
    assert_eq!(pair[1].sql("SELECT quote(k), v FROM t ORDER BY k;"), "1|by Bob\n'1'|by Ada\nX'31'|blob\n");
    assert!(pair[0].conflicts().is_empty());
}

#[test]
fn a_write_that_changes_nothing_sends_nothing() {
    let desk = Desk::new();
    let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, v); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
               INSERT INTO t SELECT i, 'value ' || i FROM n;";
    let members = found_from_sql(&desk, sql, &["ada", "bob"]);
    members[0].sql(
        "UPDATE t SET v = v; UPDATE t SET v = 'other'; UPDATE t SET v = 'value ' || id; DELETE FROM t WHERE id = 7;
                    INSERT INTO t VALUES (7, 'value 7'); INSERT INTO t VALUES (9000, 'short-lived'); DELETE FROM t WHERE id = 9000;",
    );
    assert_eq!(members[0].status()["changes"].as_array().map(Vec::len), Some(0));
    let synced = members[0].sync();
    assert_eq!((synced.pushed, synced.pulled), (0, 0), "{synced:?}");
    assert_together(&[&members[0], &members[1]]);
}
