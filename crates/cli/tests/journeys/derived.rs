//! What no trigger can watch or no key can name: search indexes, R-Trees, tables without a key. Their declarations travel,
//! and the app's statements go on working on every copy.
use crate::desk::Desk;
use crate::team::*;

const NOTES: &str = "
    CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT, body TEXT);
    CREATE VIRTUAL TABLE note_search USING fts5(title, body, content='note', content_rowid='id');
    CREATE TRIGGER note_ai AFTER INSERT ON note BEGIN
        INSERT INTO note_search(rowid, title, body) VALUES (new.id, new.title, new.body); END;
    CREATE TRIGGER note_ad AFTER DELETE ON note BEGIN
        INSERT INTO note_search(note_search, rowid, title, body) VALUES ('delete', old.id, old.title, old.body); END;
    CREATE TRIGGER note_au AFTER UPDATE ON note BEGIN
        INSERT INTO note_search(note_search, rowid, title, body) VALUES ('delete', old.id, old.title, old.body);
        INSERT INTO note_search(rowid, title, body) VALUES (new.id, new.title, new.body); END;
    CREATE VIEW found_notes AS SELECT rowid, title FROM note_search;
    INSERT INTO note VALUES (1, 'alpha', 'first words'), (2, 'beta', 'second words'), (3, 'gamma', 'third words');
";

const INSIDE: &[&str] = &["note_search_data", "note_search_idx", "note_search_docsize", "note_search_config"];

/// The ids of the notes that a search finds.
fn search(member: &Member<'_>, word: &str) -> String {
    let ids = member.sql(&format!("SELECT rowid FROM note_search WHERE note_search MATCH '{word}' ORDER BY rowid;"));
    ids.split_whitespace().collect::<Vec<_>>().join(",")
}

/// Asserts that each copy's index is what its rows say, by SQLite's own check.
fn assert_searchable(members: &[&Member<'_>]) {
    for member in members {
        member.sql("INSERT INTO note_search(note_search, rank) VALUES ('integrity-check', 1);");
    }
}

#[test]
fn a_search_index_that_triggers_keep_finds_everything_on_every_copy() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, NOTES, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    assert_eq!(search(pair[1], "words"), "1,2,3", "the clone's index is made from its rows");
    assert_searchable(&pair);
    pair[0].sql("INSERT INTO note VALUES (4, 'by Ada', 'amber words'); UPDATE note SET body = 'alphabet' WHERE id = 1; DELETE FROM note WHERE id = 3;");
    pair[1].sql("INSERT INTO note VALUES (5, 'by Bob', 'birch words'); UPDATE note SET title = 'bottle' WHERE id = 2;");
    until_quiet(&pair);
    assert_together_but(&pair, INSIDE);
    for member in pair {
        assert_eq!(search(member, "words"), "2,4,5", "{}", member.db);
        assert_eq!(search(member, "alphabet"), "1");
        assert_eq!(search(member, "bottle OR amber OR birch"), "2,4,5");
        assert_eq!(search(member, "beta OR gamma OR first"), "");
        assert_eq!(member.sql("SELECT count(*) FROM found_notes;"), "4\n");
    }
    assert_searchable(&pair);
    // Each edits and deletes what came from the other: the triggers take entries out that the pull made.
    pair[0].sql("UPDATE note SET body = 'rewritten' WHERE id = 5; DELETE FROM note WHERE id = 2;");
    pair[1].sql("UPDATE note SET body = 'redone' WHERE id = 4;");
    assert_searchable(&pair);
    until_quiet(&pair);
    assert_together_but(&pair, INSIDE);
    assert_searchable(&pair);
    assert_eq!(search(pair[1], "rewritten OR redone"), "4,5");
    pair[1].sql("UPDATE note SET body = 'a slip' WHERE id = 1;");
    pair[1].ok(&["restore", "note"]);
    assert_searchable(&pair);
    pair[1].ok(&["deinit", "--force"]);
    assert_eq!(pair[1].sql("SELECT count(*) FROM sqlite_master WHERE name LIKE 'mainstem%';"), "0\n");
    pair[1].sql("INSERT INTO note VALUES (9, 'after', 'afterwards');");
    assert_eq!(search(pair[1], "afterwards"), "9");
    assert_searchable(&pair);
}

#[test]
fn direct_writes_at_the_primary_meet_no_index_there() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, NOTES, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("INSERT INTO note VALUES (4, 'by Ada', 'amber words'); UPDATE note SET body = 'changed' WHERE id = 1;");
    until_quiet(&pair);
    // Rows that came by push are edited and deleted there.
    desk.sql(
        PRIMARY_DB,
        "UPDATE note SET body = 'at the server' WHERE id IN (1, 4); DELETE FROM note WHERE id = 2; INSERT INTO note VALUES (6, 'six', 'sixth');
         ALTER TABLE note RENAME COLUMN body TO text; ALTER TABLE note RENAME COLUMN text TO body; CREATE TABLE extra (id INTEGER PRIMARY KEY);",
    );
    until_quiet(&pair);
    assert_together_but(&pair, INSIDE);
    assert_searchable(&pair);
    assert_eq!(search(pair[0], "server OR sixth"), "1,4,6");
    // A clone made afterwards has the index and the triggers too.
    desk.ok(&["--as", "cyd", "clone", PRIMARY, "cyd.db"]);
    let cyd = Member::new(&desk, "cyd", "cyd.db");
    assert_eq!(search(&cyd, "server OR sixth"), "1,4,6");
    cyd.sql("UPDATE note SET body = 'by Cyd' WHERE id = 6;");
    assert_eq!(search(&cyd, "Cyd"), "6");
    assert_searchable(&[&cyd]);
    // An index that somebody makes in the primary's own file is kept up to date there, and reaches the copies.
    desk.sql(
        PRIMARY_DB,
        "CREATE VIRTUAL TABLE titles USING fts5(title, content='note', content_rowid='id');
         INSERT INTO titles(titles) VALUES ('rebuild');",
    );
    until_quiet(&[&cyd, pair[0], pair[1]]);
    pair[0].sql("UPDATE note SET title = 'renamed' WHERE id = 6;");
    until_quiet(&[pair[0], pair[1]]);
    for db in [PRIMARY_DB, "bob.db"] {
        assert_eq!(desk.sql(db, "SELECT rowid FROM titles WHERE titles MATCH 'renamed';"), "6\n", "{db}");
    }
}

#[test]
fn an_index_that_comes_later_renamed_and_dropped() {
    let desk = Desk::new();
    let plain = "CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT, body TEXT); INSERT INTO note VALUES (1, 'alpha', 'first');";
    let members = found_from_sql(&desk, plain, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    let migration =
        NOTES.split_once("CREATE VIRTUAL").expect("it declares one").1.split_once("INSERT INTO note VALUES").expect("and fills it").0;
    pair[0].sql(&format!("CREATE VIRTUAL {migration} INSERT INTO note_search(note_search) VALUES ('rebuild'); VACUUM;"));
    pair[1].sql("INSERT INTO note VALUES (2, 'beta', 'second');");
    until_quiet(&pair);
    assert_together_but(&pair, INSIDE);
    assert_eq!(search(pair[1], "first OR second"), "1,2");
    pair[1].sql("UPDATE note SET body = 'other' WHERE id = 1;");
    assert_searchable(&pair);
    // The table under the triggers gets another name, and the app makes its index again over it.
    pair[0].sql(
        "ALTER TABLE note RENAME TO page; DROP TABLE note_search;
         CREATE VIRTUAL TABLE note_search USING fts5(title, body, content='page', content_rowid='id');
         INSERT INTO note_search(note_search) VALUES ('rebuild'); UPDATE page SET title = 'paged' WHERE id = 2;",
    );
    until_quiet(&pair);
    assert_together_but(&pair, INSIDE);
    assert_eq!(search(pair[1], "paged OR other"), "1,2");
    desk.ok(&["--as", "cyd", "clone", PRIMARY, "cyd.db"]);
    let cyd = Member::new(&desk, "cyd", "cyd.db");
    cyd.sql("UPDATE page SET body = 'by Cyd' WHERE id = 1;");
    assert_eq!(search(&cyd, "Cyd"), "1");
    assert_searchable(&[pair[0], pair[1], &cyd]);
    pair[1].sql("DROP TRIGGER note_ai; DROP TRIGGER note_ad; DROP TRIGGER note_au; DROP VIEW found_notes; DROP TABLE note_search;");
    until_quiet(&[pair[1], pair[0], &cyd]);
    for member in [pair[0], pair[1], &cyd] {
        assert_eq!(member.sql("SELECT count(*) FROM sqlite_master WHERE name LIKE '%note%';"), "0\n", "{}", member.db);
        member.sql("UPDATE page SET body = 'plain' WHERE id = 2;");
    }
}

#[test]
fn an_index_that_cannot_be_made_again_is_named_and_holds_up_nothing() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, NOTES, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    // Nobody told the index, which still asks for the old column.
    desk.sql(PRIMARY_DB, "ALTER TABLE note RENAME COLUMN body TO text;");
    until_quiet(&pair);
    desk.sql(PRIMARY_DB, "UPDATE note SET text = 'at the server' WHERE id = 1;");
    until_quiet(&pair);
    desk.ok(&["--as", "cyd", "clone", PRIMARY, "cyd.db"]);
    let cyd = Member::new(&desk, "cyd", "cyd.db");
    for member in [pair[0], pair[1], &cyd] {
        assert_eq!(member.sql("SELECT text FROM note WHERE id = 1;"), "at the server\n", "{}", member.db);
        let notices = member.status()["notices"].to_string();
        assert!(notices.contains("note_search") && notices.contains("body"), "{}: {notices}", member.db);
        let trigger = member.sql("SELECT sql FROM sqlite_master WHERE name = 'note_ai';");
        assert!(trigger.contains("text\"") || trigger.contains("new.text"), "the trigger follows the rename: {trigger}");
    }
    let again = NOTES.replace("body", "text");
    let again =
        again.split_once("CREATE VIRTUAL").expect("it declares one").1.split_once("INSERT INTO note VALUES").expect("and fills it").0;
    pair[0].sql(&format!(
        "DROP VIEW found_notes; DROP TRIGGER note_ai; DROP TRIGGER note_ad; DROP TRIGGER note_au; DROP TABLE note_search;
         CREATE VIRTUAL {again} INSERT INTO note_search(note_search) VALUES ('rebuild'); UPDATE note SET text = 'mended' WHERE id = 2;",
    ));
    assert_eq!(pair[0].status()["notices"].to_string().matches("misses rows").count(), 0, "tried again with the new declaration");
    let all = [pair[0], pair[1], &cyd];
    until_quiet(&all);
    assert_together_but(&all, INSIDE);
    for member in all {
        assert_eq!(member.status()["notices"].to_string(), "[]", "{}", member.db);
        assert_eq!(search(member, "mended OR server"), "1,2");
        member.sql("UPDATE note SET text = 'and on' WHERE id = 3;");
    }
    assert_searchable(&all);
}

#[test]
fn a_column_dropped_at_the_primary_takes_the_triggers_that_read_it() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, NOTES, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("INSERT INTO note VALUES (4, 'four', 'fourth');");
    desk.sql(PRIMARY_DB, "ALTER TABLE note DROP COLUMN title; UPDATE note SET body = 'at the server' WHERE id = 1;");
    until_quiet(&pair);
    for member in pair {
        assert_eq!(member.sql("SELECT body FROM note ORDER BY id;"), "at the server\nsecond words\nthird words\nfourth\n", "{}", member.db);
        member.sql(&format!("INSERT INTO note (body) VALUES ('after, by {}');", member.actor));
    }
    desk.ok(&["--as", "cyd", "clone", PRIMARY, "cyd.db"]);
    until_quiet(&pair);
    assert_together_but(&pair, INSIDE);
}

#[test]
fn an_older_search_index_over_a_table() {
    let desk = Desk::new();
    let sql = "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT);
        CREATE VIRTUAL TABLE note_search USING fts4(content=\"note\", body);
        CREATE TRIGGER note_bu BEFORE UPDATE ON note BEGIN DELETE FROM note_search WHERE docid = old.id; END;
        CREATE TRIGGER note_bd BEFORE DELETE ON note BEGIN DELETE FROM note_search WHERE docid = old.id; END;
        CREATE TRIGGER note_au AFTER UPDATE ON note BEGIN INSERT INTO note_search(docid, body) VALUES (new.id, new.body); END;
        CREATE TRIGGER note_ai AFTER INSERT ON note BEGIN INSERT INTO note_search(docid, body) VALUES (new.id, new.body); END;
        INSERT INTO note VALUES (1, 'first words'), (2, 'second words');";
    let members = found_from_sql(&desk, sql, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("INSERT INTO note VALUES (3, 'amber words'); DELETE FROM note WHERE id = 2;");
    pair[1].sql("UPDATE note SET body = 'birch words' WHERE id = 1;");
    until_quiet(&pair);
    pair[1].sql("UPDATE note SET body = 'again' WHERE id = 3;");
    until_quiet(&pair);
    assert_together_but(&pair, &["note_search_segments", "note_search_segdir", "note_search_docsize", "note_search_stat"]);
    for member in pair {
        assert_eq!(search(member, "words OR again"), "1,3", "{}", member.db);
        assert_eq!(search(member, "first OR second OR amber"), "");
        member.sql("INSERT INTO note_search(note_search) VALUES ('integrity-check');");
    }
}

#[test]
fn what_cannot_be_made_again_is_empty_on_other_copies_and_named() {
    let desk = Desk::new();
    desk.sql(
        "ada.db",
        "CREATE TABLE place (id INTEGER PRIMARY KEY, x REAL, y REAL, name TEXT);
         CREATE VIRTUAL TABLE place_area USING rtree(id, x0, x1, y0, y1);
         CREATE VIRTUAL TABLE own_words USING fts5(body);
         CREATE VIRTUAL TABLE bare_words USING fts5(name, content='');
         CREATE TRIGGER place_ai AFTER INSERT ON place BEGIN
             INSERT INTO place_area VALUES (new.id, new.x, new.x, new.y, new.y);
             INSERT INTO own_words(rowid, body) VALUES (new.id, new.name); END;
         CREATE TRIGGER place_ad AFTER DELETE ON place BEGIN
             DELETE FROM place_area WHERE id = old.id; DELETE FROM own_words WHERE rowid = old.id; END;
         INSERT INTO place VALUES (1, 1, 1, 'one'), (2, 2, 2, 'two'); INSERT INTO bare_words(rowid, name) VALUES (1, 'one');",
    );
    let said = desk.run(&["--as", "ada", "init", "ada.db"]);
    let told = |out: &str| {
        for name in ["place_area", "own_words", "bare_words"] {
            let line = out.lines().find(|l| l.starts_with(&format!("not tracked: {name}: ")));
            assert!(line.is_some_and(|l| l.contains("empty on other copies") && l.contains('(')), "{name} and what to do: {out}");
        }
        assert!(!out.contains("own_words_data"), "what is inside goes by the table's name: {out}");
    };
    told(&said.out);
    let ada = Member::new(&desk, "ada", "ada.db");
    ada.ok(&["publish", PRIMARY]);
    told(&desk.ok(&["--as", "bob", "clone", PRIMARY, "bob.db"]));
    let bob = Member::new(&desk, "bob", "bob.db");
    assert_eq!(bob.sql("SELECT count(*) FROM place_area; SELECT count(*) FROM own_words; SELECT count(*) FROM bare_words;"), "0\n0\n0\n");
    bob.sql("INSERT INTO place VALUES (3, 3, 3, 'three'); DELETE FROM place WHERE id = 1;");
    assert_eq!(bob.sql("SELECT id FROM place_area; SELECT body FROM own_words;"), "3\nthree\n");
    ada.sql("UPDATE place SET name = 'deux' WHERE id = 2;");
    until_quiet(&[&ada, &bob]);
    desk.sql(PRIMARY_DB, "INSERT INTO place VALUES (4, 4, 4, 'four'); DELETE FROM place WHERE id = 3;");
    until_quiet(&[&ada, &bob]);
    assert_eq!(ada.sql("SELECT group_concat(id) FROM place; SELECT count(*) FROM place_area;"), "2,4\n2\n", "Ada's own entries stay");
    // Dropping one here does not take what others hold.
    ada.sql("DROP TRIGGER place_ai; DROP TRIGGER place_ad; DROP TABLE own_words; UPDATE place SET name = 'due' WHERE id = 2;");
    until_quiet(&[&ada, &bob]);
    assert_eq!(bob.sql("SELECT body FROM own_words; SELECT name FROM place WHERE id = 2;"), "three\ndue\n");
}

#[test]
fn a_table_without_a_key_is_there_on_every_copy_and_is_tracked_when_it_gets_one() {
    let desk = Desk::new();
    let sql = "CREATE TABLE item (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE audit (at TEXT, what TEXT);
        CREATE INDEX audit_at ON audit (at);
        CREATE TRIGGER item_ai AFTER INSERT ON item BEGIN INSERT INTO audit VALUES ('now', 'new ' || new.id); END;
        INSERT INTO item VALUES (1, 'one');";
    desk.sql("ada.db", sql);
    let said = desk.run(&["--as", "ada", "init", "ada.db"]);
    assert!(said.out.contains("not tracked: audit:") && said.out.contains("PRIMARY KEY"), "{said:?}");
    let ada = Member::new(&desk, "ada", "ada.db");
    ada.ok(&["publish", PRIMARY]);
    let cloned = desk.ok(&["--as", "bob", "clone", PRIMARY, "bob.db"]);
    assert!(cloned.contains("not tracked: audit:") && cloned.contains("PRIMARY KEY"), "{cloned}");
    let bob = Member::new(&desk, "bob", "bob.db");
    bob.sql("INSERT INTO item VALUES (2, 'two');");
    assert_eq!(bob.sql("SELECT what FROM audit;"), "new 2\n", "its rows are each copy's own");
    assert_eq!(bob.sql("SELECT count(*) FROM sqlite_master WHERE name = 'audit_at';"), "1\n");
    ada.sql("ALTER TABLE audit ADD COLUMN who TEXT DEFAULT '?';");
    until_quiet(&[&ada, &bob]);
    assert_eq!(bob.sql("SELECT what, who FROM audit;"), "new 2|?\n", "declared anew, its rows kept");
    // Ada gives it a key. Bob's rows never travelled and are not thrown away for it.
    ada.sql(
        "DROP TRIGGER item_ai; CREATE TABLE audit_new (n INTEGER PRIMARY KEY, at TEXT, what TEXT, who TEXT);
         INSERT INTO audit_new (at, what, who) SELECT * FROM audit; DROP TABLE audit; ALTER TABLE audit_new RENAME TO audit;",
    );
    ada.sync();
    let said = bob.run(&["sync"]);
    said.refuses(5, "audit");
    assert!(said.err.contains("DROP TABLE"), "the way out is named: {said:?}");
    assert_eq!(bob.sql("SELECT what FROM audit;"), "new 2\n");
    bob.sql("CREATE TABLE audit_before AS SELECT * FROM audit; DROP TABLE audit;");
    until_quiet(&[&bob, &ada]);
    assert_eq!(bob.sql("SELECT n, what FROM audit;"), ada.sql("SELECT n, what FROM audit;"));
    ada.sql("INSERT INTO audit VALUES (NULL, 'later', 'tracked now', 'ada');");
    until_quiet(&[&bob, &ada]);
    assert!(bob.sql("SELECT what FROM audit;").contains("tracked now"));
}

#[test]
fn names_that_are_ours_and_tables_that_only_the_app_can_write() {
    let desk = Desk::new();
    desk.sql("a.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v); CREATE TABLE Mainstem_notes (id INTEGER PRIMARY KEY);");
    let before = desk.fingerprint(&["a.db"]);
    let said = desk.run(&["--as", "ada", "init", "a.db"]);
    said.refuses(2, "Mainstem_notes");
    assert!(said.err.contains("RENAME TO"), "{said:?}");
    assert_eq!(desk.fingerprint(&["a.db"]), before);
    desk.sql("a.db", "ALTER TABLE Mainstem_notes RENAME TO notes; CREATE VIEW mainstem_view AS SELECT 1;");
    desk.run(&["--as", "ada", "init", "a.db"]).refuses(2, "mainstem_view");
    // A collation and a function that only the app registers.
    let script = r#"
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.create_collation('backwards', lambda a, b: (a < b) - (a > b))
c.create_function('shout', 1, lambda v: v.upper(), deterministic=True)
c.executescript("""CREATE TABLE plain (id INTEGER PRIMARY KEY, v TEXT);
CREATE TABLE collated (id TEXT COLLATE backwards PRIMARY KEY, v TEXT); CREATE INDEX collated_v ON collated (v);
CREATE TABLE checked (id INTEGER PRIMARY KEY, v TEXT CHECK (shout(v) = v));
INSERT INTO plain VALUES (1, 'x'); INSERT INTO collated VALUES ('a', 'b'); INSERT INTO checked VALUES (1, 'LOUD');""")
"#;
    desk.python(script, &["app.db"]);
    let said = desk.run(&["--as", "ada", "init", "app.db"]);
    for (table, what) in [("collated", "backwards"), ("checked", "shout")] {
        let line = said.out.lines().find(|l| l.starts_with(&format!("not tracked: {table}: ")));
        assert!(line.is_some_and(|l| l.contains(what) && l.contains("only your program has")), "{said:?}");
    }
    desk.run(&["--as", "ada", "init", "app.db", "--table", "collated"]).refuses(2, "collated");
    let ada = Member::new(&desk, "ada", "app.db");
    ada.ok(&["publish", PRIMARY]);
    desk.ok(&["--as", "bob", "clone", PRIMARY, "bob.db"]);
    let bob = Member::new(&desk, "bob", "bob.db");
    ada.sql("INSERT INTO plain VALUES (2, 'y');");
    until_quiet(&[&ada, &bob]);
    assert_eq!(bob.sql("SELECT v FROM plain;"), "x\ny\n");
}

#[test]
fn what_belongs_to_a_table_that_is_left_out_stays_with_it() {
    let desk = Desk::new();
    desk.sql(
        "ada.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); CREATE TABLE cache (id INTEGER PRIMARY KEY, v); CREATE INDEX cache_v ON cache (v);
         CREATE TRIGGER cache_ai AFTER INSERT ON cache BEGIN DELETE FROM cache WHERE id < new.id - 10; END;",
    );
    let members = found(&desk, "ada.db", &["ada", "bob"], &["--exclude", "cache"]);
    members[0].sql("CREATE INDEX cache_id ON cache (id, v); CREATE INDEX t_v ON t (v); INSERT INTO t VALUES (1, 'x');");
    until_quiet(&[&members[0], &members[1]]);
    assert_eq!(members[0].open_conflicts().len(), 0, "{:?}", members[0].open_conflicts());
    assert_eq!(members[1].sql("SELECT group_concat(name) FROM sqlite_master WHERE name LIKE 'cache%' OR name = 't_v';"), "t_v\n");
}
