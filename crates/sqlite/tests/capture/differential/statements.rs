//! Random statements: what apps write, and what they would not.
use super::Dice;

const VALUES: [&str; 22] = [
    "NULL",
    "1",
    "2",
    "3",
    "4",
    "5",
    "2",
    "3",
    "1.0",
    "2.5",
    "-0.0",
    "'1'",
    "'2'",
    "'a'",
    "'A'",
    "'a '",
    "x'31'",
    "x''",
    "''",
    "9007199254740993",
    "9e999",
    "cast(x'610062' AS TEXT)",
];

/// What the tape has done to the columns of `t`.
pub struct Writing {
    pub may_alter: bool,
    pub added: Vec<String>,
    pub names: usize,
}

/// The next statement. None reads from `t` what it writes there row by row: in which order SQLite visits rows is undefined, and an
/// UPDATE may visit a table with any trigger on it in another order than one without. Where its rows can clash with each other, they
/// are gathered first on both sides.
pub fn statement(dice: &mut Dice, writing: &mut Writing) -> String {
    let v = |dice: &mut Dice| *dice.of(&VALUES);
    let or = *dice.of(&["", "", "", " OR REPLACE", " OR REPLACE", " OR IGNORE", " OR FAIL", " OR ABORT", " OR ROLLBACK"]);
    let returning = *dice.of(&["", "", "", " RETURNING *", " RETURNING k, a", " RETURNING a, c || 'x' AS y"]);
    let filter = match dice.below(8) {
        0 => String::new(),
        1 => format!(" WHERE a = {}", v(dice)),
        2 => format!(" WHERE c > {}", v(dice)),
        3 => format!(" WHERE k IN (SELECT k FROM t ORDER BY a, k LIMIT {})", dice.below(4)),
        _ => format!(" WHERE k = {}", v(dice)),
    };
    // RETURNING has SQLite gather the rows before it writes any, as a trigger and OR REPLACE have it.
    let is_gathered = or == " OR REPLACE" || filter.starts_with(" WHERE k =");
    let gathered = if returning.is_empty() && !is_gathered { " RETURNING *" } else { returning };
    let row = |dice: &mut Dice| format!("({}, {}, {})", v(dice), v(dice), v(dice));
    match dice.below(31) {
        0..=4 => format!("INSERT{or} INTO t(k, a, c) VALUES {}, {}{returning}", row(dice), row(dice)),
        5 => format!("INSERT{or} INTO t(a, c) VALUES ({}, {}){returning}", v(dice), v(dice)),
        6 => format!("REPLACE INTO t(k, a, c) VALUES {}{returning}", row(dice)),
        7 => format!("INSERT INTO t(k, a, c) VALUES {} {}{returning}", row(dice), upsert(dice)),
        8 => format!("INSERT{or} INTO t(k, a, c) SELECT {}, a, c FROM t{filter}{returning}", v(dice)),
        9 => format!("WITH n(x) AS (VALUES (1), (7), (9)) INSERT{or} INTO t(k, c) SELECT x, {} FROM n{returning}", v(dice)),
        10..=12 => format!("UPDATE{or} t SET c = {}{filter}{gathered}", v(dice)),
        13 => format!("UPDATE{or} t SET a = {}, c = c{filter}{gathered}", v(dice)),
        14 => format!("UPDATE{or} t SET k = {}{filter}{gathered}", v(dice)),
        15 => format!("UPDATE{or} t SET k = k + 1, a = {}{filter}{gathered}", v(dice)),
        16 => format!("UPDATE{or} t SET c = o.a, a = {} FROM aux.t AS o WHERE o.k = t.k + 1 RETURNING *", v(dice)),
        17 => format!("UPDATE{or} t SET (a, c) = (SELECT c, a FROM aux.t AS o WHERE o.k > t.k ORDER BY o.k LIMIT 1){filter}{gathered}"),
        18 | 19 => format!("DELETE FROM t{filter}{returning}"),
        20 => format!("INSERT{or} INTO t DEFAULT VALUES{returning}"),
        21 => format!("INSERT OR IGNORE INTO aux.t SELECT k, a, 0, c FROM main.t{filter}"),
        22 => format!("INSERT{or} INTO main.t(k, a, c) SELECT k, a, c FROM aux.t WHERE a IS NOT {}", v(dice)),
        23 => "DELETE FROM aux.t".into(),
        24 => dice
            .of(&["SELECT count(*), max(k) FROM t", "SELECT changes(), last_insert_rowid()", "SELECT * FROM t ORDER BY 1, 2 LIMIT 3"])
            .to_string(),
        25 => dice.of(&["BEGIN", "BEGIN IMMEDIATE", "SAVEPOINT s", "SAVEPOINT r", "COMMIT", "COMMIT"]).to_string(),
        26 => dice.of(&["ROLLBACK", "ROLLBACK TO s", "ROLLBACK TO r", "RELEASE s", "RELEASE r", "COMMIT"]).to_string(),
        27 => pragma(dice),
        28 => dice
            .of(&[
                "CREATE INDEX IF NOT EXISTS x ON t(c)",
                "DROP INDEX IF EXISTS x",
                "REINDEX",
                "ANALYZE",
                "VACUUM",
                "SELECT \"unquoted\" FROM t",
            ])
            .to_string(),
        29 if writing.may_alter => alter(dice, writing),
        _ => match dice.below(writing.added.len() as u64 + 1) as usize {
            n if n < writing.added.len() => format!("UPDATE{or} t SET {} = {}{filter}{returning}", writing.added[n], v(dice)),
            _ => format!("UPDATE{or} t SET a = a || {}, c = length(c){filter}{gathered}", v(dice)),
        },
    }
}

fn upsert(dice: &mut Dice) -> String {
    let value = *dice.of(&VALUES);
    match dice.below(5) {
        0 => format!("ON CONFLICT DO UPDATE SET c = {value}, a = {}", dice.of(&VALUES)),
        1 => "ON CONFLICT DO NOTHING".into(),
        2 => format!("ON CONFLICT(k) DO UPDATE SET a = excluded.a, c = {value} WHERE c IS NOT excluded.c"),
        3 => format!("ON CONFLICT(a) DO UPDATE SET k = excluded.k ON CONFLICT(k) DO UPDATE SET c = {value}"),
        _ => "ON CONFLICT(k) DO NOTHING ON CONFLICT DO UPDATE SET k = k + 1".into(),
    }
}

/// Not `foreign_keys`: where links lead nowhere already, SQLite lets a new one pass if another is mended by the same row, and there is any
/// trigger.
fn pragma(dice: &mut Dice) -> String {
    let name = *dice.of(&["recursive_triggers", "defer_foreign_keys", "ignore_check_constraints", "trusted_schema"]);
    format!("PRAGMA {name} = {}", dice.below(2))
}

fn alter(dice: &mut Dice, writing: &mut Writing) -> String {
    let at = dice.below(writing.added.len() as u64 + 2) as usize;
    if at >= writing.added.len() {
        writing.names += 1;
        let name = format!("n{}", writing.names);
        writing.added.push(name.clone());
        return format!("ALTER TABLE t ADD COLUMN {name} ANY DEFAULT {}", dice.of(&["NULL", "1", "'x'", "x'00'", "-1.5"]));
    }
    if dice.below(2) == 0 {
        return format!("ALTER TABLE t DROP COLUMN {}", writing.added.remove(at));
    }
    writing.names += 1;
    let name = format!("n{}", writing.names);
    let old = std::mem::replace(&mut writing.added[at], name.clone());
    format!("ALTER TABLE t RENAME COLUMN {old} TO {name}")
}
