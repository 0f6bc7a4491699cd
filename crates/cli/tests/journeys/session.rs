//! Changesets and patchsets of SQLite's session extension: what the `sqlite3` shell records, taken in, and the other way round.
//! The files of the geodiff project, which are in this format, meet the databases that it says they lead to.
use crate::desk::{Desk, feed, shared};

const TABLES: &str = "
    CREATE TABLE notes(id INTEGER PRIMARY KEY, title TEXT, body, weight REAL);
    CREATE TABLE tags(tag TEXT, note INTEGER REFERENCES notes(id), extra, PRIMARY KEY(note, tag)) WITHOUT ROWID;
    INSERT INTO notes VALUES(1, 'one', NULL, 0.5), (2, 'two', x'00ff', 2.0), (3, 'three', 'x', 9e999);
    INSERT INTO tags VALUES('red', 1, NULL), ('blue', 1, 2), ('red', 2, 'é');";

const EDITS: &str = "
    UPDATE notes SET title = 'ONE', body = -0.0 WHERE id = 1;
    DELETE FROM tags WHERE note = 2;
    DELETE FROM notes WHERE id = 2;
    INSERT INTO notes VALUES(9223372036854775807, '', cast(x'ff00' AS TEXT), -1.5);
    INSERT INTO tags VALUES('new', 9223372036854775807, x'');
    UPDATE tags SET extra = 9007199254740993 WHERE tag = 'blue';";

/// A database, and one with the edits of which the shell's session extension wrote both files.
fn recorded(desk: &Desk) -> bool {
    for db in ["start.db", "edited.db"] {
        desk.sql(db, TABLES);
    }
    let script =
        format!(".session open main s\n.session s attach *\n{EDITS}\n.session s changeset s.changeset\n.session s patchset s.patchset\n");
    feed(desk.command("sqlite3").arg("edited.db"), script.as_bytes());
    let is_there = desk.path("s.changeset").exists();
    if !is_there {
        eprintln!("skipped: this sqlite3 shell has no session extension");
    }
    is_there
}

fn tracked(desk: &Desk, from: &str, db: &str) {
    desk.copy(desk.path(from), db);
    desk.ok(&["init", db, "--as", "ada"]);
}

#[test]
fn what_the_shell_recorded_is_taken_in() {
    let desk = Desk::new();
    if !recorded(&desk) {
        return;
    }
    for (file, is_patchset) in [("s.changeset", false), ("s.patchset", true)] {
        let db = format!("{file}.db");
        tracked(&desk, "start.db", &db);
        let said = desk.run(&["--db", &db, "changeset", "import", file]);
        assert_eq!((said.code, said.err.contains("patchset")), (0, is_patchset), "{said:?}");
        assert_eq!(desk.rows(&db), desk.rows("edited.db"), "{file}");
        desk.assert_sound(&db);
        // They are edits like any other: they can be seen, exported and undone.
        desk.ok(&["--db", &db, "changeset", "export", "--session", "back.changeset"]);
        desk.ok(&["--db", &db, "changeset", "invert", "back.changeset", "--session", "undo.changeset"]);
        desk.ok(&["--db", &db, "changeset", "import", "undo.changeset"]);
        assert_eq!(desk.rows(&db), desk.rows("start.db"), "{file} undone");
        desk.sql(&db, EDITS);
        desk.ok(&["--db", &db, "changeset", "export", "--session", "again.changeset"]);
        tracked(&desk, "start.db", "other.db");
        desk.ok(&["--db", "other.db", "changeset", "import", "again.changeset"]);
        assert_eq!(desk.rows("other.db"), desk.rows("edited.db"));
    }
}

#[test]
fn one_change_is_the_same_bytes() {
    for (number, edit) in [
        "UPDATE notes SET title = 'é', weight = 1 WHERE id = 3",
        "DELETE FROM tags WHERE tag = 'blue'",
        "INSERT INTO notes VALUES(7, 1, -0.0, 3)",
    ]
    .into_iter()
    .enumerate()
    {
        let desk = Desk::new();
        desk.sql("plain.db", TABLES);
        let script = format!(".session open main s\n.session s attach *\n{edit};\n.session s changeset c\n.session s patchset p\n");
        feed(desk.command("sqlite3").arg("plain.db"), script.as_bytes());
        if !desk.path("c").exists() {
            return eprintln!("skipped: this sqlite3 shell has no session extension");
        }
        desk.sql("ours.db", TABLES);
        desk.ok(&["init", "ours.db", "--as", "ada"]);
        desk.sql("ours.db", edit);
        desk.ok(&["changeset", "export", "--session", "ours.c", "--db", "ours.db"]);
        desk.ok(&["changeset", "export", "--patchset", "ours.p", "--db", "ours.db"]);
        for (theirs, ours) in [("c", "ours.c"), ("p", "ours.p")] {
            let read = |name: &str| std::fs::read(desk.path(name)).expect("it was written");
            assert_eq!(read(ours), read(theirs), "edit {number}, {theirs}");
        }
    }
}

#[test]
fn files_for_other_tables_are_refused_by_name() {
    let desk = Desk::new();
    if !recorded(&desk) {
        return;
    }
    let refuse = |setup: &str, file: &str, names: &str| {
        desk.command("rm").args(["-f", "other.db"]).status().expect("rm");
        desk.sql("other.db", setup);
        desk.ok(&["init", "other.db", "--as", "ada"]);
        let before = desk.rows("other.db");
        let said = desk.run(&["--db", "other.db", "changeset", "import", file]);
        assert!(said.code != 0 && said.err.contains(names), "{said:?}, not {names}");
        assert_eq!(desk.rows("other.db"), before);
    };
    refuse("CREATE TABLE notes(id INTEGER PRIMARY KEY, title, body, weight)", "s.changeset", "tags");
    refuse("CREATE TABLE notes(id INTEGER PRIMARY KEY, title, body)", "s.changeset", "notes has 4 columns in the file and 3 here");
    refuse("CREATE TABLE notes(id INTEGER, title PRIMARY KEY NOT NULL, body, weight)", "s.changeset", "another key");
    let tables = TABLES.split("INSERT").next().expect("the tables come first");
    refuse(tables, "s.patchset", "a row of");
    std::fs::write(desk.path("cut"), &std::fs::read(desk.path("s.changeset")).expect("written")[..60]).expect("a file");
    refuse(TABLES, "cut", "damaged");
}

#[test]
fn an_app_that_changed_its_tables_is_told_what_is_missing() {
    let desk = Desk::new();
    desk.sql("app.db", TABLES);
    desk.ok(&["init", "app.db", "--as", "ada"]);
    desk.sql("app.db", "ALTER TABLE notes ADD COLUMN more; UPDATE notes SET more = 1 WHERE id = 1;");
    let said = desk.run(&["--db", "app.db", "changeset", "export", "--session", "c"]);
    assert!(said.code == 0 && said.err.contains("1 change of the schema"), "{said:?}");
    desk.sql("other.db", TABLES);
    desk.sql("other.db", "ALTER TABLE notes ADD COLUMN more;");
    desk.ok(&["init", "other.db", "--as", "ada"]);
    desk.ok(&["--db", "other.db", "changeset", "import", "c"]);
    assert_eq!(desk.rows("other.db"), desk.rows("app.db"));
}

/// The file deletes a row to which rows here point that the file does not know.
#[test]
fn an_import_leaves_no_link_that_leads_nowhere() {
    let desk = Desk::new();
    let tables = "CREATE TABLE notes(id INTEGER PRIMARY KEY, title); CREATE TABLE tags(id INTEGER PRIMARY KEY, note REFERENCES notes(id) ON DELETE CASCADE);
        INSERT INTO notes VALUES(1, 'one'); INSERT INTO tags VALUES(1, 1);";
    for db in ["from.db", "to.db"] {
        desk.sql(db, tables);
        desk.ok(&["init", db, "--as", "ada"]);
    }
    desk.sql("from.db", "PRAGMA foreign_keys = ON; DELETE FROM notes;");
    desk.ok(&["--db", "from.db", "changeset", "export", "-o", "gone.msc"]);
    desk.ok(&["--db", "from.db", "changeset", "export", "--session", "gone.changeset"]);
    desk.sql("to.db", "INSERT INTO tags VALUES(2, 1);");
    let before = desk.rows("to.db");
    for file in ["gone.msc", "gone.changeset"] {
        desk.run(&["--db", "to.db", "changeset", "import", file]).refuses(5, "tags point to the row of notes");
        assert_eq!(desk.rows("to.db"), before);
        desk.assert_sound("to.db");
    }
    desk.sql("to.db", "DELETE FROM tags WHERE id = 2;");
    desk.ok(&["--db", "to.db", "changeset", "import", "gone.changeset"]);
    desk.assert_sound("to.db");
}

/// Imports a file of geodiff into its base, and gives a table's rows there and in the database it leads to.
fn led(base: &str, diff: &str, to: &str, table: &str) -> Option<[String; 2]> {
    let (base, diff, to) = (shared(&format!("geodiff/{base}"))?, shared(&format!("geodiff/{diff}"))?, shared(&format!("geodiff/{to}"))?);
    let desk = Desk::new();
    desk.copy(&base, "base.db");
    desk.copy(&to, "to.db");
    desk.copy(&diff, "base.diff");
    // Spatial triggers call functions that plain SQLite lacks.
    for db in ["base.db", "to.db"] {
        let drops = desk.sql(db, "SELECT 'DROP TRIGGER \"' || name || '\";' FROM sqlite_master WHERE type = 'trigger';");
        desk.sql(db, &drops);
    }
    let excluded: &[&str] = if table == "simple" { &["--exclude", "gpkg_extensions"] } else { &[] };
    desk.ok(&[&["init", "base.db", "--as", "ada"], excluded].concat());
    desk.ok(&["--db", "base.db", "changeset", "import", "base.diff"]);
    desk.assert_sound("base.db");
    let columns = desk.sql("base.db", &format!("SELECT group_concat('quote(\"' || name || '\")') FROM pragma_table_info('{table}');"));
    let rows = format!("SELECT {} FROM {table} ORDER BY 1, 2;", columns.trim());
    // What the file changes, exported from here, is the file's own bytes where it changes one row.
    desk.ok(&["--db", "base.db", "changeset", "export", "--session", "ours.diff"]);
    let bytes = |name: &str| std::fs::read(desk.path(name)).expect("a file");
    if desk.ok(&["--db", "base.db", "diff", "--json"]).matches("\"kind\"").count() == 1 && table == "simple" {
        assert_eq!(bytes("ours.diff"), bytes("base.diff"));
    }
    Some([desk.sql("base.db", &rows), desk.sql("to.db", &rows)])
}

#[test]
fn files_of_geodiff_lead_where_geodiff_says() {
    for (base, diff, to, table) in [
        ("base.gpkg", "2_inserts/base-inserted_1_A.diff", "2_inserts/inserted_1_A.gpkg", "simple"),
        ("base.gpkg", "2_updates/base-updated_A.diff", "2_updates/updated_A.gpkg", "simple"),
        ("base.gpkg", "2_deletes/base-deleted_A.diff", "2_deletes/deleted_A.gpkg", "simple"),
        (
            "sqlite_pks/multi_primary_key.sqlite",
            "sqlite_pks/multi_primary_key_A.diff",
            "sqlite_pks/multi_primary_key_A.sqlite",
            "composite_pk",
        ),
        (
            "sqlite_pks/multi_primary_key.sqlite",
            "sqlite_pks/multi_primary_key_B.diff",
            "sqlite_pks/multi_primary_key_B.sqlite",
            "composite_pk",
        ),
        ("sqlite_pks/text_pk.sqlite", "sqlite_pks/text_pk_A.diff", "sqlite_pks/text_pk_A.sqlite", "text_pk"),
        ("sqlite_pks/text_pk.sqlite", "sqlite_pks/text_pk_B.diff", "sqlite_pks/text_pk_B.sqlite", "text_pk"),
    ] {
        let Some([here, there]) = led(base, diff, to, table) else { return };
        assert_eq!(here, there, "{diff}");
    }
}

#[test]
fn files_of_geodiff_combine_as_geodiff_combines_them() {
    let names = ["foo-insert-update-1", "foo-insert-update-2", "foo-insert-update-result", "bar-insert", "bar-update", "bar-delete"];
    let Some(files) = names.iter().map(|name| shared(&format!("geodiff/concat/{name}.diff"))).collect::<Option<Vec<_>>>() else { return };
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let desk = Desk::new();
    desk.sql("app.db", "CREATE TABLE foo(fid INTEGER PRIMARY KEY, name TEXT, rating INTEGER); CREATE TABLE points(fid INTEGER PRIMARY KEY, geometry BLOB, name TEXT);");
    desk.ok(&["init", "app.db", "--as", "ada"]);
    desk.ok(&["changeset", "combine", &files[0], &files[1], "--session", "foo"]);
    assert_eq!(std::fs::read(desk.path("foo")).unwrap(), std::fs::read(&files[2]).unwrap());
    // Inserted, changed and deleted is nothing at all.
    desk.ok(&["changeset", "combine", &files[3], &files[4], &files[5], "--session", "bar"]);
    assert_eq!(std::fs::read(desk.path("bar")).unwrap(), b"");
    // Put one after the other, they are one file of this format.
    let one: Vec<u8> = files[..2].iter().flat_map(|file| std::fs::read(file).unwrap()).collect();
    std::fs::write(desk.path("both"), one).unwrap();
    desk.ok(&["changeset", "import", "both"]);
    assert_eq!(desk.sql("app.db", "SELECT * FROM foo;").trim(), "123|world|4");
}
