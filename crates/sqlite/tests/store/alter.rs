//! Schema steps: rows and the user's objects are kept, and hostile declarations make nothing.
use crate::schema::{database, dump, read, tables};
use mainstem::core::ErrorKind;
use mainstem::core::schema::{Column, Object, SchemaChange, Table};
use mainstem::core::value::Value;
use mainstem::tables::Tables;
use rusqlite::Connection;

const START: &str = "
    CREATE TABLE item(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, price REAL -- euro, net
      , CHECK (price >= 0));
    CREATE TABLE part(id TEXT PRIMARY KEY, item REFERENCES item(id)) WITHOUT ROWID;
    CREATE TABLE seen(n);
    CREATE INDEX item_name ON item(name COLLATE NOCASE) WHERE price > 1;
    CREATE VIEW dear AS SELECT id, name FROM item WHERE price > 100;
    CREATE TRIGGER item_seen AFTER INSERT ON item BEGIN INSERT INTO seen VALUES (new.id); END;
    CREATE TRIGGER part_seen AFTER INSERT ON part BEGIN INSERT INTO seen SELECT id FROM item; END;
    CREATE TRIGGER mainstem_item AFTER INSERT ON item BEGIN SELECT new.price; END;
    INSERT INTO item VALUES (1,'a',1.5),(2,'b',200);
    INSERT INTO item VALUES (40,'c',1); DELETE FROM item WHERE id = 40;
    INSERT INTO part VALUES ('p',1)";

fn step(db: &Connection, step: SchemaChange) -> mainstem::Result<()> {
    let mut t = tables(db);
    let before = dump(db);
    let rows = count(db, "item");
    let done = t.alter(&step);
    assert_eq!(*t.schema(), read(db).unwrap());
    assert!(!db.is_autocommit());
    if done.is_err() {
        assert_eq!(dump(db), before, "a refused step left something behind");
        assert_eq!(count(db, "item"), rows);
    }
    done
}

fn count(db: &Connection, table: &str) -> i64 {
    db.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).unwrap()
}

fn has(db: &Connection, sql: &str) -> bool {
    dump(db).iter().any(|s| s == sql)
}

fn add(definition: &str) -> SchemaChange {
    let quoted = definition.strip_prefix('"').and_then(|rest| rest.split('"').next());
    let name = quoted.unwrap_or(definition.split(' ').next().unwrap()).to_string();
    let column = Column { name, ..Column::default() };
    SchemaChange::AddColumn { table: "item".into(), column, definition: definition.into() }
}

fn table(name: &str, sql: &str) -> Table {
    Table { name: name.into(), sql: sql.into(), ..Table::default() }
}

fn object(kind: &str, name: &str, table: &str, sql: &str) -> SchemaChange {
    SchemaChange::PutObject { object: Object { kind: kind.into(), name: name.into(), table: table.into(), sql: sql.into() } }
}

#[test]
fn columns_are_added_also_where_sqlite_needs_a_rebuild() {
    for definition in
        ["note TEXT", "stock INT NOT NULL DEFAULT 0", "made TEXT DEFAULT CURRENT_TIMESTAMP", "code TEXT UNIQUE", "\"odd, name\" TEXT -- x"]
    {
        let db = database(START);
        let objects = dump(&db).into_iter().filter(|s| !s.starts_with("CREATE TABLE") && !s.contains("mainstem_"));
        let objects: Vec<String> = objects.collect();
        step(&db, add(definition)).unwrap();
        let mut t = tables(&db);
        assert_eq!(t.schema().table("item").unwrap().columns.len(), 4, "{definition}");
        let row = t.get(0, &vec![2.into()]);
        let position = t.schema().tables.iter().position(|t| t.name == "item").unwrap();
        let row = if position == 0 { row } else { t.get(position, &vec![2.into()]) };
        assert_eq!(row.unwrap().unwrap()[..3], [2.into(), "b".into(), Value::Real(200.0)]);
        assert!(objects.iter().all(|o| has(&db, o)), "{definition}: {:?}", dump(&db));
        assert_eq!(t.next_number(position).unwrap(), 41);
        assert!(db.execute("INSERT INTO item(name, price) VALUES ('x', -1)", []).is_err());
    }
}

#[test]
fn a_column_that_old_rows_cannot_have_is_refused() {
    let db = database(START);
    let refused = step(&db, add("must TEXT NOT NULL")).unwrap_err();
    assert_eq!((refused.kind, refused.code), (ErrorKind::Conflict, "schema_refused"));
    db.execute_batch("DELETE FROM item").unwrap();
    step(&db, add("must TEXT NOT NULL")).unwrap();
}

#[test]
fn columns_and_tables_are_renamed_and_dropped() {
    let db = database(START);
    step(&db, SchemaChange::RenameColumn { table: "item".into(), from: "name".into(), to: "title".into() }).unwrap();
    assert!(
        has(&db, "CREATE VIEW dear AS SELECT id, \"title\" FROM item WHERE price > 100")
            || has(&db, "CREATE VIEW dear AS SELECT id, title FROM item WHERE price > 100"),
        "{:?}",
        dump(&db)
    );
    step(&db, SchemaChange::RenameTable { from: "item".into(), to: "Item".into() }).unwrap();
    assert_eq!(tables(&db).schema().table("item").unwrap().name, "Item");
    step(&db, SchemaChange::RenameTable { from: "seen".into(), to: "watched".into() }).unwrap();
    let clash = step(&db, SchemaChange::RenameTable { from: "part".into(), to: "watched".into() }).unwrap_err();
    assert_eq!(clash.code, "schema_refused");
    let held = step(&db, SchemaChange::DropColumn { table: "item".into(), column: "price".into() }).unwrap_err();
    assert_eq!(held.code, "schema_refused");
    step(&db, add("extra")).unwrap();
    step(&db, SchemaChange::DropColumn { table: "item".into(), column: "extra".into() }).unwrap();
    assert_eq!(count(&db, "item"), 2);
    assert_eq!(step(&db, SchemaChange::DropColumn { table: "none".into(), column: "x".into() }).unwrap_err().kind, ErrorKind::NotFound);
    step(&db, SchemaChange::DropTable { name: "part".into() }).unwrap();
    assert!(tables(&db).schema().table("part").is_none());
}

#[test]
fn a_rebuild_keeps_rows_objects_links_and_the_text_of_the_declaration() {
    let db = database(START);
    let kept: Vec<String> = dump(&db).into_iter().filter(|s| !s.starts_with("CREATE TABLE item") && !s.contains("mainstem_")).collect();
    let sql = "CREATE TABLE item ( price NUMERIC, /* new */ id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, size INT DEFAULT 7, twice AS (price * 2) )";
    step(&db, SchemaChange::Rebuild { before_sql: String::new(), table: table("item", sql) }).unwrap();
    assert!(has(&db, sql), "{:?}", dump(&db));
    assert!(kept.iter().all(|o| has(&db, o)), "{:?}", dump(&db));
    assert!(!dump(&db).iter().any(|s| s.contains("mainstem_")), "{:?}", dump(&db));
    let mut t = tables(&db);
    let position = t.schema().tables.iter().position(|t| t.name == "item").unwrap();
    assert_eq!(t.get(position, &vec![2.into()]).unwrap(), Some(vec![200.into(), 2.into(), "b".into(), 7.into()]));
    assert_eq!(t.next_number(position).unwrap(), 41);
    db.execute_batch("INSERT INTO part VALUES ('q', 2)").unwrap();
    assert_eq!(count(&db, "dear"), 1);
    assert_eq!(db.query_row("PRAGMA integrity_check", [], |r| r.get::<_, String>(0)).unwrap(), "ok");
}

#[test]
fn a_rebuild_that_the_rows_do_not_allow_leaves_all_as_it_was() {
    let db = database(START);
    let sql = "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT CHECK (name <> 'b'))";
    let refused = step(&db, SchemaChange::Rebuild { before_sql: String::new(), table: table("item", sql) }).unwrap_err();
    assert_eq!((refused.kind, refused.code), (ErrorKind::Conflict, "schema_refused"));
    assert_eq!(count(&db, "item"), 2);
}

#[test]
fn tables_and_objects_come_and_go() {
    let db = database(START);
    step(&db, SchemaChange::CreateTable { table: table("neu", "CREATE TABLE \"neu\"(a PRIMARY KEY, s DEFAULT \"double\")") }).unwrap();
    step(&db, object("index", "neu_s", "neu", "CREATE UNIQUE INDEX neu_s ON neu(s, \"literal\")")).unwrap();
    step(&db, object("index", "neu_s", "neu", "CREATE INDEX neu_s ON neu(a)")).unwrap();
    assert!(has(&db, "CREATE INDEX neu_s ON neu(a)"));
    step(&db, object("view", "dear", "dear", "CREATE VIEW dear AS SELECT 1")).unwrap();
    step(&db, object("trigger", "t2", "neu", "CREATE TRIGGER t2 AFTER DELETE ON neu BEGIN SELECT 1; SELECT 2; END")).unwrap();
    for (kind, name) in [("index", "neu_s"), ("view", "dear"), ("trigger", "t2"), ("trigger", "gone")] {
        step(&db, SchemaChange::DropObject { kind: kind.into(), name: name.into() }).unwrap();
    }
    assert!(!dump(&db).iter().any(|s| s.contains("neu_s") || s.contains("dear") || s.contains("t2")));
    step(&db, SchemaChange::DropTable { name: "neu".into() }).unwrap();
    db.execute_batch("INSERT INTO item VALUES (3,'b',300)").unwrap();
    let twins = step(&db, object("index", "one", "item", "CREATE UNIQUE INDEX one ON item(name)")).unwrap_err();
    assert_eq!(twins.code, "schema_refused");
}

#[test]
fn declarations_come_and_go_but_not_what_a_copy_holds_itself() {
    let db = database(START);
    let index = "CREATE VIRTUAL TABLE words USING fts5(name, content='item', content_rowid='id')";
    step(&db, object("virtual", "words", "words", index)).unwrap();
    step(&db, object("virtual", "words", "words", index)).unwrap();
    step(&db, object("virtual", "words", "words", "CREATE VIRTUAL TABLE words USING fts4(name, content='item')")).unwrap();
    step(&db, object("virtual", "area", "area", "CREATE VIRTUAL TABLE area USING rtree(id, x0, x1)")).unwrap();
    step(&db, object("table", "seen", "seen", "CREATE TABLE seen(n, at)")).unwrap();
    let rows = count(&db, "seen");
    assert!(rows > 0, "a table without a key keeps its rows when it is declared anew");
    db.execute_batch("INSERT INTO area VALUES (1, 2, 3)").unwrap();
    let drop = |kind: &str, name: &str| SchemaChange::DropObject { kind: kind.into(), name: name.into() };
    for (kind, name) in [("virtual", "words"), ("virtual", "area"), ("table", "seen"), ("table", "gone"), ("virtual", "gone")] {
        step(&db, drop(kind, name)).unwrap();
    }
    assert_eq!((count(&db, "area"), count(&db, "seen")), (1, rows));
    assert!(!dump(&db).iter().any(|s| s.contains("words")), "an index over a table is made again from it");
    let other = object("virtual", "area", "area", "CREATE VIRTUAL TABLE area USING rtree(id, x0, x1, y0, y1)");
    let keyed = SchemaChange::CreateTable { table: table("seen", "CREATE TABLE seen(n PRIMARY KEY)") };
    for change in [other, keyed] {
        let refused = step(&db, change).unwrap_err();
        assert_eq!((refused.kind, refused.code), (ErrorKind::Conflict, "schema_refused"));
        assert!(refused.hint.is_some_and(|h| h.contains("DROP TABLE")));
    }
    db.execute_batch("DELETE FROM area; DELETE FROM seen").unwrap();
    step(&db, drop("virtual", "area")).unwrap();
    step(&db, SchemaChange::CreateTable { table: table("seen", "CREATE TABLE seen(n PRIMARY KEY)") }).unwrap();
}

#[test]
fn hostile_steps_make_nothing() {
    let make = |name: &str, sql: &str| SchemaChange::CreateTable { table: table(name, sql) };
    let steps = [
        make("x", "CREATE TABLE x(a PRIMARY KEY); DROP TABLE item"),
        make("x", "CREATE TABLE y(a PRIMARY KEY)"),
        make("x", "CREATE TABLE IF NOT EXISTS x(a)"),
        make("x", "CREATE TABLE x AS SELECT * FROM item"),
        make("x", "CREATE TABLE main.x(a)"),
        make("x", "CREATE TABLE temp.x(a)"),
        make("x", "CREATE TEMP TABLE x(a)"),
        make("x", "CREATE VIRTUAL TABLE x USING fts5(a)"),
        make("x", "CREATE VIEW x AS SELECT 1"),
        make("x", "DROP TABLE item"),
        make("x", "ATTACH '/dev/null' AS x"),
        make("x", ""),
        make("mainstem_event", "CREATE TABLE mainstem_event(a PRIMARY KEY)"),
        make("MAINSTEM_x", "CREATE TABLE MAINSTEM_x(a PRIMARY KEY)"),
        make("Sqlite_x", "CREATE TABLE Sqlite_x(a PRIMARY KEY)"),
        make("", "CREATE TABLE \"\"(a)"),
        make("a\0b", "CREATE TABLE \"a\0b\"(a)"),
        make("x", "CREATE TABLE \"x(a)"),
        object("index", "i", "part", "CREATE INDEX i ON item(name)"),
        object("index", "i", "mainstem_x", "CREATE INDEX i ON mainstem_x(name)"),
        object("trigger", "i", "item", "CREATE TEMP TRIGGER i AFTER INSERT ON item BEGIN SELECT 1; END"),
        object("trigger", "i", "item", "CREATE TRIGGER i AFTER INSERT ON item BEGIN SELECT 1; END; DELETE FROM item"),
        object("table", "i", "item", "CREATE TABLE i(a)"),
        object("table", "i", "i", "CREATE TABLE i(a PRIMARY KEY)"),
        object("table", "item", "item", "CREATE TABLE item(a)"),
        object("table", "mainstem_i", "mainstem_i", "CREATE TABLE mainstem_i(a)"),
        object("table", "i", "i", "CREATE VIRTUAL TABLE i USING fts5(a)"),
        object("virtual", "i", "i", "CREATE TABLE i(a)"),
        object("virtual", "i", "i", "CREATE VIRTUAL TABLE j USING fts5(a)"),
        object("virtual", "i", "item", "CREATE VIRTUAL TABLE i USING fts5(a)"),
        object("virtual", "i", "i", "CREATE VIRTUAL TABLE i USING fts5(a); DROP TABLE item"),
        object("virtual", "i", "i", "CREATE VIRTUAL TABLE i USING fts5(a, tokenize = 'only the app has it')"),
        object("virtual", "i", "i", "CREATE VIRTUAL TABLE i USING fts5(a, content = 'mainstem_event')"),
        object("virtual", "i", "i", "CREATE VIRTUAL TABLE i USING dbstat(main)"),
        object("virtual", "item", "item", "CREATE VIRTUAL TABLE item USING fts5(a)"),
        object("virtual", "mainstem", "mainstem", "CREATE VIRTUAL TABLE mainstem USING fts5(a)"),
        SchemaChange::DropObject { kind: "virtual".into(), name: "item".into() },
        object("view", "mainstem_v", "mainstem_v", "CREATE VIEW mainstem_v AS SELECT 1"),
        add("note TEXT; DROP TABLE item"),
        add("note TEXT, more TEXT"),
        SchemaChange::AddColumn {
            table: "item".into(),
            column: Column { name: "a".into(), ..Column::default() },
            definition: "b TEXT".into(),
        },
        SchemaChange::AddColumn {
            table: "item\" ADD x; --".into(),
            column: Column { name: "a".into(), ..Column::default() },
            definition: "a".into(),
        },
        SchemaChange::DropTable { name: "sqlite_sequence".into() },
        SchemaChange::DropTable { name: "dear".into() },
        SchemaChange::RenameTable { from: "item".into(), to: "mainstem_x".into() },
        SchemaChange::RenameTable { from: "item".into(), to: "x; --\0".into() },
        SchemaChange::DropObject { kind: "trigger".into(), name: "mainstem_item".into() },
        SchemaChange::DropObject { kind: "table".into(), name: "item".into() },
        SchemaChange::Rebuild {
            before_sql: String::new(),
            table: table("item", "CREATE TABLE item(id INTEGER PRIMARY KEY); DELETE FROM part"),
        },
        SchemaChange::Rebuild { before_sql: String::new(), table: table("item", "CREATE TABLE part2(id INTEGER PRIMARY KEY)") },
    ];
    let db = database(START);
    for change in steps {
        let refused = step(&db, change.clone()).expect_err(&format!("{change:?}"));
        assert!(!refused.message.contains('\n'), "{refused}");
        assert_ne!(refused.kind, ErrorKind::Internal, "{change:?}: {refused}");
    }
    assert_eq!(count(&db, "part"), 1);
    assert_eq!(count(&db, "sqlite_temp_schema"), 0);
}

#[test]
fn names_like_statements_stay_names() {
    let db = database(START);
    let name = "a\"; DROP TABLE item; --";
    let sql = "CREATE TABLE \"a\"\"; DROP TABLE item; --\"(\"if\" TEXT PRIMARY KEY)";
    step(&db, SchemaChange::CreateTable { table: table(name, sql) }).unwrap();
    let column = Column { name: "x'\"y".into(), ..Column::default() };
    step(&db, SchemaChange::AddColumn { table: name.into(), column, definition: "\"x'\"\"y\" INT".into() }).unwrap();
    step(&db, SchemaChange::RenameColumn { table: name.into(), from: "x'\"y".into(), to: "--".into() }).unwrap();
    step(&db, SchemaChange::RenameTable { from: name.into(), to: "table".into() }).unwrap();
    step(&db, SchemaChange::DropColumn { table: "table".into(), column: "--".into() }).unwrap();
    step(&db, SchemaChange::DropTable { name: "table".into() }).unwrap();
    step(&db, SchemaChange::CreateTable { table: table("if", "CREATE TABLE \"if\"(a PRIMARY KEY)") }).unwrap();
    assert_eq!(count(&db, "item"), 2);
}
