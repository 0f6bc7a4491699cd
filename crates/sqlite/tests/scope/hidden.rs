//! What is hidden is answered as what is absent (T40, I-52).
use crate::office::{Office, quiet, scope};
use mainstem::core::conflict::ConflictKind;
use mainstem::core::value::{Key, Row, Value};
use mainstem::error::{Error, Result};
use mainstem::history::RowPlace;
use mainstem::primary::{Acquaintance, Cursor, Item, Primary, SnapshotSink, SnapshotStart};
use mainstem::replica::Replica;
use mainstem::tombstones::Wanted;

/// All that a snapshot says, as text and bytes.
#[derive(Default)]
struct Heard(Vec<u8>);

impl SnapshotSink for Heard {
    fn begin(&mut self, start: &SnapshotStart) -> Result<()> {
        self.0.extend(format!("{start:?}").bytes());
        start.waiting.iter().for_each(|(bytes, ..)| self.0.extend(bytes));
        Ok(())
    }
    fn rows(&mut self, _: usize, rows: &[Row]) -> Result<()> {
        rows.iter().flatten().for_each(|value| hear(&mut self.0, value));
        Ok(())
    }
}

fn hear(heard: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Text(bytes) | Value::Blob(bytes) => heard.extend(bytes),
        other => heard.extend(format!("{other:?}").bytes()),
    }
}

/// Everything that a primary can be made to say.
fn all_that_is_said(primary: &mut dyn Primary, known: &Acquaintance) -> Vec<u8> {
    let described = primary.describe().unwrap();
    let head = described.head.version;
    let mut heard = Heard(format!("{described:?}").into_bytes());
    primary.snapshot(&mut heard).unwrap();
    let mut heard = heard.0;
    let mut say = |what: String| heard.extend(what.bytes());
    say(format!("{:?}{:?}", primary.chronicle().unwrap(), primary.schema().unwrap()));
    say(format!("{:?}", primary.conflicts(false).unwrap()));
    let mut items = Vec::new();
    for version in 1..=head {
        // From where tables changed on there is a snapshot instead.
        match primary.pull(known, Cursor { version: version + 1, page: 0 }, 1) {
            Ok(pull) => {
                say(pull.policy);
                items.extend(pull.items);
            }
            Err(e) => assert_eq!(e.code, "other_scope"),
        }
        say(format!("{:?}", primary.version(version).unwrap()));
        items.extend(primary.page(version, 0).unwrap().map(Item::Page));
    }
    for link in primary.events(0, 1 << 20).unwrap() {
        items.push(Item::Page(link.bytes));
    }
    for table in ["task", "note", "project"] {
        for key in (1..9).map(Value::Integer).chain(["a", "b", "c", "d"].map(Value::text)) {
            let place = RowPlace { table: table.to_owned(), key: vec![key], version: head };
            say(format!("{:?}", primary.row_history(&place, 100)));
            say(format!("{:?}", primary.touches(&place, 0)));
            say(format!("{:?}", primary.blame(&place)));
        }
    }
    let mut told = String::new();
    primary
        .tombstones(&Wanted::default(), &mut |tombstone| {
            told += &format!("{tombstone:?}");
            Ok(())
        })
        .unwrap();
    say(told);
    for item in items {
        match item {
            Item::Version(bytes, _) | Item::Event(bytes, _) | Item::Page(bytes) => heard.extend(bytes),
        }
    }
    heard
}

fn says(heard: &[u8], word: &str) -> bool {
    let listed = format!("{:?}", word.as_bytes());
    let listed = listed.trim_matches(['[', ']']).as_bytes();
    heard.windows(word.len()).any(|w| w == word.as_bytes()) || heard.windows(listed.len()).any(|w| w == listed)
}

#[test]
fn t40_nothing_of_a_hidden_row_is_in_any_answer() {
    let mut office = Office::new();
    office.permit("cem", "task: owner = 'cem'\nnote: owner = 'cem'");
    office.join("bob", "*");
    office.sql("ada", "INSERT INTO note VALUES ('d', 'bob', 'hushhush 1'); INSERT INTO safe(x) VALUES ('topsecret 2');");
    office.commit("ada");
    office.sync("ada");
    office.sync("bob");
    // Conflicts, deletions, moves and renumberings of hidden rows, under titles that tell.
    office.sql("ada", "UPDATE note SET body = 'hushhush 2' WHERE k = 'd'; DELETE FROM safe WHERE id = 1; DELETE FROM task WHERE id = 1;");
    office.sql("ada", "INSERT INTO task VALUES (9, 1, 'bob', 0, 'hushhush 3'); UPDATE task SET id = 12 WHERE id = 3;");
    office.sql("bob", "UPDATE note SET body = 'hushhush 4' WHERE k = 'd'; INSERT INTO task VALUES (9, 1, 'ada', 0, 'hushhush 5');");
    for name in ["ada", "bob"] {
        office.open(name).commit(name, Some("the hushhush affair"), "").unwrap();
        office.sync(name);
    }
    office.sync("ada");
    // Views of what is hidden, and of these; rules about it, under a comment that tells.
    office.sql("ada", "CREATE VIEW opened AS SELECT id FROM safe; CREATE VIEW further AS SELECT note.body FROM opened, note;");
    office.sql("ada", "CREATE INDEX note_body ON note(body);");
    office.sync("ada");
    let policy = "# hushhush\n[tables.safe]\ndeletes = \"manual\"\n[tables.note.columns.body]\nstrategy = \"manual\"\n";
    office.whole().set_policy(policy, "ada").unwrap();
    assert!(!office.conflicts().is_empty(), "there is something to hide");
    let (asked, permitted) = (scope("*"), office.permitted("cem"));
    let mut shown = office.shown(asked, permitted);
    let described = shown.describe().unwrap();
    let version_hash = |version| office.whole().version_hash(version).unwrap().unwrap();
    let known =
        Acquaintance { lineage: described.lineage, epoch: described.epoch, version: 1, hash: version_hash(1), scope: described.scope };
    let whole = all_that_is_said(&mut *office.whole(), &Acquaintance { scope: [0; 32], ..known });
    let part = all_that_is_said(&mut *shown, &known);
    for word in ["hushhush", "topsecret", "safe", "locked", "opened", "further", "sweep", "plant", "first"] {
        assert!(says(&whole, word), "the whole says {word}");
        assert!(!says(&part, word), "the part says {word}");
    }
    assert!(says(&part, "cook") && says(&part, "second"));
    assert!(says(&part, "note_body") && says(&part, "tables.note.columns.body"), "what is about the part alone is told");
}

/// The answer about a table that is hidden, and about one that is not there.
fn same<T: std::fmt::Debug>(primary: &mut dyn Primary, ask: impl Fn(&mut dyn Primary, &str) -> Result<T>) {
    let told = |answer: Result<T>| match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(Error { kind, code, message, hint, .. }) => format!("{kind:?} {code} {message} {hint:?}"),
    };
    let (hidden, absent) = (told(ask(primary, "safe")), told(ask(primary, "fake")));
    assert_eq!(hidden.replace("safe", "?"), absent.replace("fake", "?"));
}

#[test]
fn t40_a_hidden_table_is_no_table() {
    let office = Office::new();
    let mut shown = office.shown(scope("*"), scope("task\nnote: owner = 'cem'"));
    let shown = &mut *shown;
    let place = |table: &str| RowPlace { table: table.to_owned(), key: vec![1.into()], version: 1 };
    same(shown, |p, table| p.rows(table, 1, &mut |_, _| Ok(())));
    same(shown, |p, table| p.rows_of(table, &[vec![1.into()]], 1));
    same(shown, |p, table| p.row_history(&place(table), 10));
    same(shown, |p, table| p.touches(&place(table), 0));
    same(shown, |p, table| p.blame(&place(table)));
    same(shown, |p, table| p.deleted_since(table, &[vec![1.into()]], 0));
    // A hidden row of a visible table, and one that is not there.
    let told = |p: &mut dyn Primary, key: &str| {
        let place = RowPlace { table: "note".into(), key: vec![key.into()], version: 1 };
        format!("{:?} {:?} {:?}", p.row_history(&place, 10).unwrap(), p.touches(&place, 0).unwrap(), p.blame(&place).unwrap_err().message)
    };
    assert_eq!(told(shown, "a"), told(shown, "zz"));
    let refused = shown.set_policy("strategy = \"manual\"\n", "cem").unwrap_err();
    assert_eq!(refused.code, "partial");
}

#[test]
fn a_number_that_a_hidden_row_has_is_given_anew_and_what_points_to_it_follows() {
    let mut office = Office::new();
    office.permit("cem", "project: owner = 'cem'\ntask: owner = 'cem'");
    office.join("cem", "*");
    // Of projects 1 and 2 cem sees 2, of tasks 1 to 4 the second: 3 and 4 seem to be free.
    office.sql("cem", "INSERT INTO project VALUES (1, 'cem', 'boat'); INSERT INTO task VALUES (3, 1, 'cem', 0, 'paint');");
    office.commit("cem");
    office.sql("cem", "UPDATE task SET what = 'paint it blue' WHERE id = 3; INSERT INTO task VALUES (4, 1, 'cem', 0, 'sail');");
    let report = office.sync("cem");
    assert_eq!((report.renumbered, report.conflicts), (3, 0), "{report:?}");
    office.settle(&["ada", "cem"]);
    office.assert_seen(&["ada", "cem"]);
    let tasks = "SELECT group_concat(what || ' the ' || name, ', ') FROM (SELECT * FROM task JOIN project ON project.id = task.project \
                 WHERE task.owner = 'cem' ORDER BY what)";
    assert_eq!(office.value("ada", tasks), "cook the house, paint it blue the boat, sail the boat");
    assert_eq!(office.value("ada", "SELECT group_concat(what) FROM task WHERE id IN (3, 4)"), "plant,mow", "nobody's row was written");
}

#[test]
fn i8_a_row_with_hidden_children_is_not_deleted_from_under_them() {
    let mut office = Office::new();
    office.permit("cem", "project");
    office.join("cem", "*");
    office.sql("cem", "DELETE FROM project WHERE id = 2;");
    office.sync("cem");
    office.settle(&["ada", "cem"]);
    office.assert_seen(&["ada", "cem"]);
    assert_eq!(office.value("ada", "SELECT name FROM project WHERE id = 2"), "garden");
    let conflicts = office.conflicts();
    assert!(conflicts.iter().any(|c| c.kind == ConflictKind::MissingParent), "what was wanted is kept: {conflicts:?}");
    // Without children it goes.
    office.sql("ada", "DELETE FROM task WHERE project = 2;");
    office.sync("ada");
    office.sync("cem");
    office.sql("cem", "DELETE FROM project WHERE id = 2;");
    office.settle(&["cem", "ada", "cem"]);
    assert_eq!(office.value("ada", "SELECT count(*) || '' FROM project WHERE id = 2"), "0");
}

#[test]
fn rows_that_may_not_be_seen_are_neither_written_nor_deleted() {
    let mut office = Office::new();
    office.join("cem", "*");
    office.permit("cem", "note: owner = 'cem'");
    let before = office.rows_seen(&scope("*"), &scope("*"));
    office.sql("cem", "UPDATE note SET body = 'mine' WHERE k = 'a'; DELETE FROM safe; DELETE FROM note WHERE k = 'c';");
    office.sql("cem", "INSERT INTO note VALUES ('mine', 'cem', 'new'); INSERT INTO note VALUES ('b2', 'bob', 'for bob');");
    office.commit("cem");
    let report = office.sync("cem");
    assert_eq!((report.set_aside, report.pushed_changes), (4, 1), "{report:?}");
    office.settle(&["cem", "ada"]);
    office.assert_seen(&["ada", "cem"]);
    let mut expected = before;
    let new: Row = vec!["mine".into(), "cem".into(), "new".into()];
    expected.get_mut("note").unwrap().push(new);
    expected.values_mut().for_each(|rows| rows.sort());
    assert_eq!(office.rows_seen(&scope("*"), &scope("*")), expected, "and the row that was allowed came");
    let replica = office.open("cem");
    let aside = replica.stashes().unwrap();
    assert_eq!(aside.iter().map(|front| front.count).sum::<u64>(), 4, "{aside:?}");
    assert!(aside[0].header.title.as_deref().unwrap().contains("outside what this copy may see"));
    // What was taken once is recognised, whatever may be seen by then.
    office.permit("cem", "");
    assert_eq!(office.sync("cem").set_aside, 0);
    assert!(office.rows_of("cem").is_empty());
}

#[test]
fn a_snapshot_of_a_part_is_refused_as_versions_of_the_whole() {
    let office = Office::new();
    office.join("bob", "note");
    office.sql("ada", "UPDATE note SET body = 'changed' WHERE k = 'a';");
    office.sync("ada");
    let mut replica = office.open("bob");
    let (known, cursor) = (replica.standing().unwrap().known.unwrap(), replica.cursor().unwrap());
    let whole = office.whole().pull(&Acquaintance { scope: [0; 32], ..known }, cursor, 1 << 20).unwrap();
    assert_eq!(replica.receive(&whole).unwrap_err().code, "other_scope");
    assert_eq!(office.whole().pull(&known, cursor, 1 << 20).unwrap_err().code, "other_scope");
    let key: Key = vec!["a".into()];
    assert_eq!(office.rows_of("bob")["note"].iter().find(|row| row[0] == key[0]).unwrap()[2], "first".into());
    replica.verify(Some(&mut *office.primary_of("bob")), &mut quiet).unwrap();
}
