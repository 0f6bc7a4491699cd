//! One seed's world: a database, the settings of whoever uses it, and a tape of statements.
use super::Dice;
use super::statements::{Writing, statement};

/// Tables of the app's. `t` has the columns `k`, `a`, `b` and `c`. In STRICT tables they take what the tape writes: SQLite looks at a
/// row's types before its unique values where any BEFORE trigger is on the table, and afterwards where none is.
pub const SCHEMAS: [&str; 17] = [
    "CREATE TABLE t(k INTEGER PRIMARY KEY, a UNIQUE, b UNIQUE ON CONFLICT REPLACE, c);",
    "CREATE TABLE t(k TEXT PRIMARY KEY COLLATE NOCASE, a TEXT, b INT, c REAL); CREATE UNIQUE INDEX i ON t(a COLLATE NOCASE) WHERE b > 2;",
    "CREATE TABLE t(k PRIMARY KEY, a, b, c, UNIQUE(a, b)) WITHOUT ROWID; CREATE UNIQUE INDEX i ON t(c, abs(b));",
    "CREATE TABLE t(k INTEGER PRIMARY KEY AUTOINCREMENT, a NOT NULL ON CONFLICT REPLACE DEFAULT 3 UNIQUE, b, c);",
    "CREATE TABLE t(a, b DEFAULT 2, c, k, PRIMARY KEY(b, k) ON CONFLICT REPLACE, UNIQUE(a)) WITHOUT ROWID;",
    "CREATE TABLE t(k INTEGER PRIMARY KEY, a, b, c REFERENCES t(k) ON DELETE CASCADE ON UPDATE CASCADE);
     CREATE TRIGGER u AFTER UPDATE OF a ON t WHEN NEW.b IS NOT NULL BEGIN UPDATE t SET b = NULL WHERE k = NEW.k; END;
     CREATE TRIGGER d AFTER DELETE ON t BEGIN UPDATE t SET a = OLD.k WHERE k = OLD.k + 1; END;",
    "CREATE TABLE t(k INTEGER PRIMARY KEY, a, b, c);
     CREATE TRIGGER n AFTER INSERT ON t BEGIN UPDATE t SET c = 'touched' WHERE k = NEW.k; DELETE FROM t WHERE k = NEW.k AND a = 4; END;
     CREATE TRIGGER s BEFORE INSERT ON t WHEN NEW.a = 5 BEGIN SELECT RAISE(IGNORE); END;
     CREATE TRIGGER r BEFORE UPDATE ON t WHEN NEW.a = 5 BEGIN UPDATE t SET b = 'before' WHERE k = OLD.k; SELECT RAISE(IGNORE); END;
     CREATE TRIGGER x BEFORE DELETE ON t WHEN OLD.a = 3 BEGIN SELECT RAISE(IGNORE); END;",
    "CREATE TABLE t(rowid, k TEXT, a, b AS (a || 'x') STORED, oid, c, _rowid_, PRIMARY KEY(k COLLATE RTRIM), CHECK (a <> 4)) ;
     CREATE UNIQUE INDEX i ON t(b, c);",
    "CREATE TABLE t(k INTEGER PRIMARY KEY, a ANY UNIQUE, b TEXT, c ANY CHECK (typeof(c) <> 'blob')) STRICT;",
    "CREATE TABLE t(k ANY NOT NULL, a ANY, b TEXT DEFAULT 'é', c ANY UNIQUE, PRIMARY KEY(k, a)) STRICT, WITHOUT ROWID;",
    "CREATE TABLE u(k INTEGER PRIMARY KEY, a, b, c UNIQUE); CREATE VIEW t AS SELECT k, a, b, c FROM u;
     CREATE TRIGGER i INSTEAD OF INSERT ON t BEGIN INSERT OR REPLACE INTO u VALUES(NEW.k, NEW.a, 1, NEW.c); END;
     CREATE TRIGGER p INSTEAD OF UPDATE ON t BEGIN UPDATE OR IGNORE u SET k = NEW.k, a = NEW.a, c = NEW.c WHERE k = OLD.k; END;
     CREATE TRIGGER d INSTEAD OF DELETE ON t BEGIN DELETE FROM u WHERE k = OLD.k; SELECT RAISE(FAIL, 'kept') WHERE OLD.a = 2; END;",
    "CREATE TABLE t(k INTEGER PRIMARY KEY, a, b, c);
     CREATE TABLE child(k INTEGER PRIMARY KEY, t REFERENCES t(k) ON DELETE CASCADE ON UPDATE CASCADE, x DEFAULT 'x');
     CREATE TABLE other(k TEXT PRIMARY KEY, t DEFAULT 2 REFERENCES t(k) ON DELETE SET NULL ON UPDATE SET DEFAULT DEFERRABLE INITIALLY DEFERRED);
     CREATE TABLE grand(a, b, c REFERENCES child(k) ON DELETE RESTRICT, PRIMARY KEY(a, b)) WITHOUT ROWID;
     CREATE TRIGGER n AFTER INSERT ON t BEGIN INSERT OR IGNORE INTO child(t) VALUES(NEW.k); REPLACE INTO other VALUES('o' || NEW.k, NEW.k);
         INSERT OR IGNORE INTO grand SELECT NEW.a, NEW.k, max(k) FROM child WHERE NEW.k % 3 = 0; END;",
    "CREATE TABLE t(k INTEGER PRIMARY KEY, a, b, c UNIQUE);
     CREATE TRIGGER i BEFORE INSERT ON t WHEN NEW.a = 2 BEGIN SELECT RAISE(ABORT, 'no two'); END;
     CREATE TRIGGER f AFTER INSERT ON t WHEN NEW.a = 3 BEGIN SELECT RAISE(FAIL, 'no three'); END;
     CREATE TRIGGER r AFTER UPDATE ON t WHEN NEW.a = 1 BEGIN SELECT RAISE(ROLLBACK, 'no one'); END;
     CREATE TRIGGER g BEFORE DELETE ON t WHEN OLD.c IS NULL BEGIN DELETE FROM t WHERE k = OLD.k; SELECT RAISE(IGNORE); END;",
    "CREATE TABLE t(k INTEGER PRIMARY KEY, a, b AS (a + 1) VIRTUAL UNIQUE, c, d TEXT AS (c || a) STORED CHECK (length(d) < 30));
     CREATE INDEX i ON t(d, b); CREATE TRIGGER u AFTER UPDATE OF c, a ON t BEGIN UPDATE t SET a = NEW.b WHERE k = NEW.k AND a IS NOT NEW.b AND NEW.b < 6; END;",
    "CREATE TABLE t(k INTEGER PRIMARY KEY, a, b, c); CREATE TABLE log(n INTEGER PRIMARY KEY AUTOINCREMENT, what, seen);
     CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO log(what, seen) VALUES(NEW.k, last_insert_rowid() || ' ' || changes()); END;
     CREATE TRIGGER p BEFORE UPDATE ON t BEGIN INSERT INTO log(what, seen) VALUES(OLD.a, last_insert_rowid() || ' ' || changes()); END;
     CREATE TRIGGER d AFTER DELETE ON t BEGIN UPDATE log SET seen = changes() WHERE what = OLD.k; REPLACE INTO log(n, what) VALUES(1, OLD.k); END;",
    "CREATE TABLE \"a \"\"t\"(k INTEGER PRIMARY KEY, \"a b\", b); CREATE TABLE t(k BLOB PRIMARY KEY NOT NULL, a COLLATE NOCASE UNIQUE ON CONFLICT IGNORE, b, c UNIQUE ON CONFLICT FAIL);
     CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT OR REPLACE INTO \"a \"\"t\" VALUES(length(NEW.k), NEW.a, NEW.b); END;
     CREATE TRIGGER d AFTER UPDATE ON \"a \"\"t\" BEGIN UPDATE OR REPLACE t SET a = NEW.\"a b\" WHERE k = NEW.b; END;",
    "CREATE TABLE t(k INT PRIMARY KEY DESC, a NOT NULL DEFAULT (random() & 0), b DEFAULT CURRENT_DATE, c CHECK (typeof(c) <> 'blob')); CREATE UNIQUE INDEX i ON t(coalesce(a, c)) WHERE c IS NOT NULL;",
];

/// Columns of the widest table that can be tracked.
const WIDE: usize = 1_900;

/// What a connection may be told before it begins.
const PRAGMAS: [&str; 9] = [
    "PRAGMA trusted_schema = OFF",
    "PRAGMA foreign_keys = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA recursive_triggers = ON",
    "PRAGMA case_sensitive_like = ON",
    "PRAGMA cell_size_check = ON",
    "PRAGMA ignore_check_constraints = ON",
    "PRAGMA count_changes = ON",
    "CREATE TEMP TRIGGER temporary AFTER UPDATE ON main.t WHEN NEW.a = 4 BEGIN DELETE FROM t WHERE k = NEW.k; END",
];

/// A database, its user's settings, and what the user does.
pub struct World {
    pub seed: u64,
    pub setup: String,
    pub settings: Vec<String>,
    /// True where the connection, where it can be told so, refuses what is dangerous and takes no double-quoted strings.
    pub is_strict: bool,
    pub tape: Vec<String>,
}

impl World {
    /// The world of a seed, with about that many statements.
    pub fn new(seed: u64, statements: usize) -> World {
        let mut dice = Dice::new(seed);
        let is_wide = seed.is_multiple_of(101);
        let schema = if is_wide { wide() } else { SCHEMAS[seed as usize % SCHEMAS.len()].to_owned() };
        let setup = format!(
            "PRAGMA encoding = '{}'; PRAGMA page_size = {}; PRAGMA auto_vacuum = {}; PRAGMA journal_mode = {}; {schema}",
            dice.of(&["UTF-8", "UTF-8", "UTF-16le", "UTF-16be"]),
            dice.of(&["512", "4096"]),
            dice.of(&["NONE", "FULL", "INCREMENTAL"]),
            dice.of(&["WAL", "WAL", "DELETE", "TRUNCATE", "PERSIST", "MEMORY"]),
        );
        // The two versions do not begin with the same settings.
        let mut settings = vec!["PRAGMA foreign_keys = OFF".to_owned(), "PRAGMA synchronous = OFF".to_owned()];
        let is_view = schema.contains("VIEW t");
        let chosen = PRAGMAS.iter().filter(|sql| dice.below(3) == 0 && !(is_view && sql.contains("TRIGGER")));
        settings.extend(chosen.map(|sql| (*sql).to_owned()));
        settings.push("ATTACH ':memory:' AS aux".into());
        settings.push("CREATE TABLE aux.t(k INTEGER PRIMARY KEY, a UNIQUE, b, c)".into());
        settings.push("CREATE TEMP TABLE scratch(id INTEGER PRIMARY KEY)".into());
        let mut writing = Writing { may_alter: !is_wide && dice.below(3) == 0, added: Vec::new(), names: 0 };
        let count = if is_wide { statements / 10 } else { statements };
        let tape = (0..count).map(|_| statement(&mut dice, &mut writing)).collect();
        World { seed, setup, settings, is_strict: dice.below(2) == 0, tape }
    }
    /// The statements that change what tables look like.
    pub fn alters(&self) -> impl Iterator<Item = &String> {
        self.tape.iter().filter(|sql| is_alter(sql))
    }
}

/// Any transaction is rolled back before such a statement, so that it holds whatever comes later.
pub fn is_alter(sql: &str) -> bool {
    sql.starts_with("ALTER")
}

fn wide() -> String {
    let columns: Vec<String> = (5..=WIDE).map(|n| format!("c{n}")).collect();
    format!("CREATE TABLE t(k INTEGER PRIMARY KEY, a, b, c UNIQUE, {});", columns.join(","))
}
