//! The app's migrations on a tracked file: they work as without Mainstem, and capture goes on (CAP-8, A5 to A8, D3, D8).
use crate::tracked::{PROGRAMS, Program, Tracked};
use mainstem::core::schema::SchemaChange;
use mainstem::core::value::Value;
use mainstem_sqlite::capture::{self, Healed};

pub fn heal(tracked: &Tracked) -> Healed {
    capture::heal(&tracked.ours()).unwrap()
}

const BASE: &str = "CREATE TABLE t(k TEXT PRIMARY KEY, a INTEGER, b TEXT COLLATE NOCASE, c, d REAL DEFAULT 1.5);
    CREATE INDEX tb ON t(b); INSERT INTO t VALUES ('x',1,'two',3,4.5),('y',11,'twelve',13,14.5);";

#[test]
fn a8_plain_alter_table_works_and_is_noticed() {
    for program in PROGRAMS {
        let mut tracked = Tracked::new(BASE);
        tracked.run(
            program,
            "ALTER TABLE t RENAME COLUMN c TO cc; UPDATE t SET a = 2 WHERE k = 'x'; ALTER TABLE t DROP COLUMN cc;
            UPDATE t SET a = 3 WHERE k = 'x'; ALTER TABLE t RENAME TO tt; ALTER TABLE tt ADD COLUMN e TEXT COLLATE NOCASE DEFAULT 'q';
            UPDATE tt SET e = 'z' WHERE k = 'y'; ALTER TABLE tt RENAME COLUMN k TO kk",
        );
        let healed = heal(&tracked);
        assert_eq!(healed.gap, Vec::<String>::new());
        assert_eq!(healed.reinstalled, ["tt"]);
        let steps = healed.steps.iter().map(step).collect::<Vec<_>>();
        assert_eq!(steps, ["table t -> tt", "drop tt.c", "column tt.k -> kk", "add tt: e TEXT COLLATE NOCASE DEFAULT 'q'"]);
        let changes = tracked.changes();
        assert_eq!(changes.len(), 2);
        let (_, x) = &changes[0];
        assert_eq!(x.before.as_ref().unwrap()[1..], [Value::from(1), "two".into(), 4.5.into(), "q".into()]);
        assert_eq!(x.after.as_ref().unwrap()[1], Value::from(3));
        let (_, y) = &changes[1];
        assert_eq!((&y.before.as_ref().unwrap()[4], &y.after.as_ref().unwrap()[4]), (&"q".into(), &"z".into()));
        tracked.commit();
        tracked.run(program, "UPDATE tt SET e = 'new', b = 'TWELVE'; INSERT INTO tt(kk) VALUES ('n')");
        assert_eq!(tracked.check().len(), 3);
        assert!(heal(&tracked).steps.is_empty());
    }
}

#[test]
fn a8_a_renamed_column_is_unknown_before_and_never_null() {
    let tracked = Tracked::new(BASE);
    tracked.run(Program::Shell, "UPDATE t SET c = 30 WHERE k = 'x'; ALTER TABLE t RENAME COLUMN c TO cc; UPDATE t SET cc = 40");
    heal(&tracked);
    let changes = tracked.check();
    assert_eq!(changes[0].1.before.as_ref().unwrap()[3], Value::from(3), "x was written before the rename");
    assert_eq!((changes[1].1.unknown_before.as_slice(), changes[0].1.unknown_before.as_slice()), (&[3][..], &[][..]));
}

#[test]
fn a7_an_added_column_is_captured_before_healing() {
    let tracked = Tracked::new(BASE);
    tracked.run(Program::Python, "ALTER TABLE t ADD COLUMN w DEFAULT 5; UPDATE t SET w = 99 WHERE k = 'x'; INSERT INTO t(k) VALUES ('n')");
    heal(&tracked);
    let changes = tracked.changes();
    let (_, x) = changes.iter().find(|(_, c)| c.key == [Value::from("x")]).unwrap();
    assert_eq!((&x.before.as_ref().unwrap()[5], &x.after.as_ref().unwrap()[5]), (&5.into(), &99.into()));
    assert_eq!(changes.len(), 2);
}

#[test]
fn a5_the_procedure_in_twelve_steps_is_noticed() {
    let mut tracked = Tracked::new(BASE);
    tracked.run(
        Program::Shell,
        "BEGIN; CREATE TABLE t_new(k TEXT PRIMARY KEY, a INTEGER NOT NULL CHECK (a > 0), b TEXT UNIQUE, c, d);
        INSERT INTO t_new SELECT k, a, b, c, d FROM t; DROP TABLE t; ALTER TABLE t_new RENAME TO t; COMMIT; UPDATE t SET a = 5",
    );
    let healed = heal(&tracked);
    assert_eq!((healed.gap.as_slice(), healed.reinstalled.as_slice()), (&["t".to_string()][..], &["t".to_string()][..]));
    assert!(healed.steps.iter().any(|s| matches!(s, SchemaChange::Rebuild { table, .. } if table.name == "t")));
    tracked.commit();
    tracked.run(Program::Shell, "UPDATE t SET a = 6; INSERT OR REPLACE INTO t VALUES ('new', 1, 'two', 3, 4)");
    assert_eq!(tracked.check().len(), 3, "x is replaced by b");
}

#[test]
fn a6_d8_dropped_and_made_again() {
    let tracked = Tracked::new(&format!("{BASE} CREATE TABLE gone(id INTEGER PRIMARY KEY); INSERT INTO gone VALUES (1),(2),(3)"));
    tracked.run(Program::Shell, "UPDATE gone SET id = 4 WHERE id = 3; DROP TABLE gone");
    let healed = heal(&tracked);
    assert_eq!(healed.steps, [SchemaChange::DropTable { name: "gone".into() }]);
    tracked.run(Program::Shell, "CREATE TABLE gone(id TEXT PRIMARY KEY, v); INSERT INTO gone VALUES ('a', 1)");
    let healed = heal(&tracked);
    assert!(matches!(&healed.steps[..], [SchemaChange::CreateTable { table }] if table.name == "gone"));
    assert_eq!((healed.gap.len(), healed.reinstalled.len()), (0, 1));
    let changes = tracked.changes();
    assert_eq!(changes.len(), 1, "the row that was there before capture is an insert");
    assert_eq!((&changes[0].1.before, &changes[0].1.key), (&None, &vec!["a".into()]));
}

#[test]
fn d3_a_dropped_column_shifts_nothing() {
    let mut tracked = Tracked::new("CREATE TABLE t(a, b, c, d, PRIMARY KEY(d)); INSERT INTO t VALUES (1,2,3,4)");
    tracked.run(Program::Shell, "UPDATE t SET c = 33; ALTER TABLE t DROP COLUMN b; UPDATE t SET a = 11; INSERT INTO t VALUES (5,6,7)");
    heal(&tracked);
    let changes = tracked.changes();
    assert_eq!(changes[0].1.before, Some(vec![1.into(), 3.into(), 4.into()]));
    assert_eq!(changes[0].1.after, Some(vec![11.into(), 33.into(), 4.into()]));
    assert_eq!(changes[1].1.after, Some(vec![5.into(), 6.into(), 7.into()]));
    tracked.commit();
    tracked.run(Program::Shell, "DELETE FROM t");
    assert_eq!(tracked.check().len(), 2);
}

#[test]
fn a_unique_index_can_be_dropped_with_its_column() {
    for (setup, migration) in [
        ("CREATE UNIQUE INDEX i ON t(c)", "DROP INDEX i; ALTER TABLE t DROP COLUMN c"),
        (
            "CREATE UNIQUE INDEX i ON t(c, a) WHERE t.c IS NOT NULL AND d > 0",
            "DROP INDEX i; ALTER TABLE t DROP COLUMN c; ALTER TABLE t DROP COLUMN d",
        ),
        (
            "CREATE UNIQUE INDEX i ON t(lower(b), a + c DESC)",
            "DROP INDEX i; DROP INDEX tb; ALTER TABLE t DROP COLUMN b; ALTER TABLE t DROP COLUMN c",
        ),
    ] {
        for program in PROGRAMS {
            let tracked = Tracked::new(&format!("{BASE} {setup}"));
            tracked.run(program, "INSERT OR REPLACE INTO t(k, a, b, c) VALUES ('z', 1, 'TWO', 3); UPDATE OR REPLACE t SET a = 11, b = 'Twelve', c = 13 WHERE k = 'z'");
            tracked.check();
            tracked.run(program, migration);
            tracked.run(program, "UPDATE t SET a = 5; INSERT INTO t(k) VALUES ('after'); DELETE FROM t WHERE k = 'z'");
            let healed = heal(&tracked);
            assert_eq!(healed.gap, Vec::<String>::new());
            assert!(!healed.steps.iter().any(|s| matches!(s, SchemaChange::Rebuild { .. })), "{:?}", healed.steps);
            tracked.changes();
        }
    }
}

#[test]
fn swapped_names_are_followed() {
    let mut tracked = Tracked::new(
        "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT, y TEXT); CREATE TABLE b(id INTEGER PRIMARY KEY, x, y); INSERT INTO a VALUES (1,'x','y')",
    );
    tracked.run(
        Program::Shell,
        "ALTER TABLE a RENAME TO q; ALTER TABLE b RENAME TO a; ALTER TABLE q RENAME TO b;
        ALTER TABLE b RENAME COLUMN x TO q; ALTER TABLE b RENAME COLUMN y TO x; ALTER TABLE b RENAME COLUMN q TO y",
    );
    let healed = heal(&tracked);
    assert_eq!(
        healed.steps.iter().map(step).collect::<Vec<_>>(),
        [
            "table a -> a_moving",
            "table b -> a",
            "table a_moving -> b",
            "column b.x -> x_moving",
            "column b.y -> x",
            "column b.x_moving -> y"
        ]
    );
    tracked.commit();
    tracked.run(Program::Shell, "UPDATE b SET x = 'new'; INSERT INTO a VALUES (9, 9, 9)");
    assert_eq!(tracked.check().len(), 2);
}

#[test]
fn a4_raise_ignore_in_a_newer_trigger_is_a_gap_and_mended() {
    let mut tracked = Tracked::new("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
    tracked.run(
        Program::Shell,
        "CREATE TRIGGER late AFTER INSERT ON t WHEN NEW.v = 'late' BEGIN SELECT RAISE(IGNORE); END; INSERT INTO t(v) VALUES ('late')",
    );
    let healed = heal(&tracked);
    assert_eq!((healed.gap.as_slice(), healed.reinstalled.as_slice()), (&["t".to_string()][..], &["t".to_string()][..]));
    assert!(matches!(&healed.steps[..], [SchemaChange::PutObject { .. }]));
    tracked.commit();
    tracked.run(Program::Shell, "INSERT INTO t(v) VALUES ('late'), ('early')");
    assert_eq!(tracked.check().len(), 2, "ours fire first now");
}

#[test]
fn a13_a_wide_table_loses_a_column() {
    let columns: Vec<String> = (0..299).map(|n| format!("c{n}")).collect();
    let tracked =
        Tracked::new(&format!("CREATE TABLE t({}, k TEXT PRIMARY KEY); INSERT INTO t(k, c5, c250) VALUES ('a', 1, 2)", columns.join(",")));
    tracked.run(Program::Shell, "UPDATE t SET c298 = 1; ALTER TABLE t DROP COLUMN c100; UPDATE t SET c250 = 5; ALTER TABLE t RENAME COLUMN c251 TO d; UPDATE t SET d = 5");
    assert_eq!(heal(&tracked).steps.len(), 2);
    let (_, change) = &tracked.changes()[0];
    assert_eq!(change.before.as_ref().unwrap()[249], Value::from(2));
    assert_eq!(change.after.as_ref().unwrap()[249], Value::from(5));
}

#[test]
fn a_table_rebuilt_without_its_key_is_refused_by_name() {
    let tracked = Tracked::new(BASE);
    tracked.run(Program::Shell, "CREATE TABLE n AS SELECT * FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t");
    let healed = heal(&tracked);
    assert_eq!(healed.refused[0].table, "t");
    assert_eq!(healed.steps[0], SchemaChange::DropObject { kind: "index".into(), name: "tb".into() });
    assert_eq!(healed.steps[1], SchemaChange::DropTable { name: "t".into() });
}

#[test]
fn a14_a_registry_that_the_app_emptied_is_damage() {
    let tracked = Tracked::new(BASE);
    tracked.run(Program::Shell, "DELETE FROM mainstem_capture_state; DELETE FROM mainstem_capture; UPDATE t SET a = 1");
    assert_eq!(capture::heal(&tracked.ours()).unwrap_err().code, "corrupt");
}

#[test]
fn a_rename_by_the_legacy_rules_is_healed() {
    let tracked = Tracked::new(BASE);
    tracked.run(Program::Shell, "PRAGMA legacy_alter_table = ON; UPDATE t SET a = 7; ALTER TABLE t RENAME TO tt");
    assert_eq!(heal(&tracked).gap, Vec::<String>::new());
    tracked.run(Program::Shell, "UPDATE tt SET a = 8 WHERE k = 'x'");
    let changes = tracked.changes();
    assert_eq!(changes.len(), 2);
    assert_eq!(changes[0].1.before.as_ref().unwrap()[1], Value::from(1));
}

#[test]
fn a_dropped_trigger_of_ours_is_a_gap() {
    let tracked = Tracked::new(BASE);
    tracked.run(Program::Shell, "DROP TRIGGER mainstem_1_update; UPDATE t SET a = 77");
    assert_eq!(heal(&tracked).gap, ["t"]);
}

fn step(step: &SchemaChange) -> String {
    match step {
        SchemaChange::RenameTable { from, to } => format!("table {from} -> {to}"),
        SchemaChange::RenameColumn { table, from, to } => format!("column {table}.{from} -> {to}"),
        SchemaChange::DropColumn { table, column } => format!("drop {table}.{column}"),
        SchemaChange::AddColumn { table, definition, .. } => format!("add {table}: {definition}"),
        other => format!("{other:?}"),
    }
}
