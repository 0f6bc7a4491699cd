//! Gates on the rows of an open transaction.
use super::questions::{store_with, ticking};
use mainstem::core::change::{Cell, Change, Edit, Shape};
use mainstem::core::format::page;
use mainstem::core::gate::{GateResult, Outcome, Sample};
use mainstem::core::policy::Policy;
use mainstem::core::stamp::Time;
use mainstem::core::value::{Key, Value};
use mainstem::gates::{Changed, run};
use mainstem::policy_text;
use mainstem::store::Store;
use mainstem::tables::Wrote;
use mainstem::wiring::{Around, RealSurroundings};
use std::sync::Arc;

const WORLD: &str = "
    CREATE TABLE artist(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, note TEXT);
    INSERT INTO artist VALUES (1, 'Ann', '{\"born\": 1960}'), (2, 'BEN', '{}'), (3, 'ben', 'no json'), (4, NULL, NULL);
    CREATE TABLE album(code TEXT PRIMARY KEY, artist, price, low, high, label);
    INSERT INTO album VALUES ('a', 1, 3, 1, 2, 'EMI'), ('b', 9, -0.5, 2, 2, 'emi'), ('c', NULL, '3', 3, 2, NULL), ('d', '1', NULL, NULL, 2, 'Sony');
    CREATE TABLE empty(id INTEGER PRIMARY KEY);";

fn policy(text: &str) -> Policy {
    policy_text::check(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn real() -> Around {
    Arc::new(RealSurroundings)
}

/// One gate with these keys, on the world.
fn outcome(keys: &str) -> Outcome {
    let (_dir, mut store) = store_with(WORLD);
    let mut tx = store.begin_read().unwrap();
    let text = format!("[gates.g]\n{}\n", keys.replace("; ", "\n"));
    // Not checked first: what is broken is to be seen.
    let policy = policy_text::parse(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let [result] = <[GateResult; 1]>::try_from(run(&mut *tx, &policy, None, &real()).unwrap()).unwrap();
    result.outcome
}

/// Failing rows and the keys of the samples.
#[track_caller]
fn fails(keys: &str, rows: u64, expect: &str) {
    match outcome(keys) {
        Outcome::Passed => assert_eq!((0, ""), (rows, expect), "{keys}"),
        Outcome::Failed { rows: found, samples } => {
            let text = |value: &Value| value.as_text().map_or_else(|| value.as_integer().unwrap().to_string(), |text| text.into_owned());
            let key = |sample: &Sample| sample.key.iter().map(text).collect::<String>();
            assert_eq!((found, samples.iter().map(key).collect::<Vec<_>>().join(" ").as_str()), (rows, expect), "{keys}");
        }
        Outcome::Broke { why } => panic!("{keys}: {why}"),
    }
}

#[test]
fn every_rule_finds_its_rows() {
    fails("rule = 'not-null'; table = 'artist'; column = 'name'", 1, "4");
    fails("rule = 'not-null'; table = 'ARTIST'; column = 'ID'", 0, "");
    fails("rule = 'in-set'; table = 'album'; column = 'label'; values = ['EMI', 'Sony']", 1, "b");
    fails("rule = 'range'; table = 'album'; column = 'price'; min = 0", 2, "b c");
    fails("rule = 'range'; table = 'album'; column = 'price'; min = -0.5; max = 2.5", 2, "a c");
    fails("rule = 'pattern'; table = 'album'; column = 'label'; pattern = '^[A-Z]{3}$'", 2, "b d");
    fails("rule = 'length'; table = 'artist'; column = 'name'; min = 4", 3, "1 2 3");
    fails("rule = 'relation'; table = 'album'; column = 'low'; relation = '<='; other = 'high'", 1, "c");
    fails("rule = 'json-schema'; table = 'artist'; column = 'note'; schema = '{\"required\": [\"born\"]}'", 2, "2 3");
    fails("rule = 'unique'; table = 'artist'; columns = 'name'", 2, "2 3");
    fails("rule = 'unique'; table = 'album'; columns = ['low', 'high']", 0, "");
    fails("rule = 'unique'; table = 'album'; columns = 'artist'", 0, "");
    fails("rule = 'foreign-key'; table = 'album'; columns = 'artist'; references = 'artist'", 1, "b");
    fails("rule = 'foreign-key'; table = 'artist'; columns = 'name'; references = 'album'; references_columns = ['label']", 3, "1 2 3");
    fails("rule = 'row-count'; table = 'album'; min = 1; max = 4", 0, "");
    fails("rule = 'row-count'; table = 'empty'; max = 0", 0, "");
    fails("rule = 'row-count'; table = 'album'; max = 3", 4, "");
    fails("rule = 'row-count'; table = 'empty'; min = 1", 0, "");
    fails("rule = 'no-rows'; sql = 'SELECT id FROM artist WHERE id > 9'", 0, "");
    fails("rule = 'no-rows'; sql = 'SELECT id FROM artist WHERE id > 2'", 2, " ");
}

#[test]
fn samples_show_what_was_looked_at() {
    let Outcome::Failed { samples, .. } = outcome("rule = 'relation'; table = 'album'; column = 'low'; relation = '<'; other = 'high'")
    else {
        panic!("it fails");
    };
    let cells = |low: i64| vec![("low".to_string(), low.into()), ("high".to_string(), Value::Integer(2))];
    let sample = |key: &str, low| Sample { table: "album".into(), key: vec![key.into()], cells: cells(low), is_cut: false };
    assert_eq!(samples, [sample("b", 2), sample("c", 3)]);
    let Outcome::Failed { samples, .. } =
        outcome("rule = 'no-rows'; sql = 'SELECT code, price * 2 AS twice FROM album WHERE price = 3'").clone()
    else {
        panic!("it fails");
    };
    assert_eq!(samples[0].cells, [("code".to_string(), "a".into()), ("twice".to_string(), Value::Integer(6))]);
}

#[test]
fn t31_what_cannot_be_tried_is_broken_and_blocks() {
    for (keys, says) in [
        ("rule = 'not-null'; table = 'gone'; column = 'a'", "there is no table gone"),
        ("rule = 'not-null'; table = 'album'; column = 'gone'", "table album has no column gone"),
        ("rule = 'relation'; table = 'album'; column = 'low'; relation = '<'; other = 'gone'", "no column gone"),
        ("rule = 'unique'; table = 'album'; columns = ['low', 'gone']", "no column gone"),
        ("rule = 'foreign-key'; table = 'album'; columns = 'artist'; references = 'gone'", "no table gone"),
        ("rule = 'foreign-key'; table = 'album'; columns = ['artist', 'low']; references = 'artist'", "the key of artist has 1"),
        ("rule = 'row-count'; table = 'mainstem_event'; max = 9", "there is no table mainstem_event"),
        ("rule = 'pattern'; table = 'album'; column = 'label'; pattern = '('", "no regular expression"),
        ("rule = 'json-schema'; table = 'album'; column = 'label'; schema = '{\"format\": 1}'", "not looked at"),
        ("rule = 'no-rows'; sql = 'SELECT * FROM mainstem_event'", "not mainstem_event"),
        ("rule = 'no-rows'; sql = 'DELETE FROM album RETURNING code'", "one SELECT"),
        ("rule = 'no-rows'; sql = 'SELECT \"pirce\" FROM album'", "no such column"),
    ] {
        for severity in ["block", "warn"] {
            let keys = format!("{keys}; severity = '{severity}'");
            let Outcome::Broke { why } = outcome(&keys) else { panic!("{keys} breaks") };
            assert!(why.contains(says), "{keys}: {why}");
        }
    }
}

/// T14: names reach SQL quoted, whatever they are.
#[test]
fn t14_names_are_names_and_nothing_else() {
    let names = ["a\"; DROP TABLE album; --", "select", "x' OR 1", "мир", "a b", "[c]", "`d`", "child", "parent", "sql%ite"];
    for name in names {
        let sql = format!("\"{}\"", name.replace('"', "\"\""));
        let made = format!(
            "CREATE TABLE {sql}({sql} TEXT PRIMARY KEY, p); CREATE TABLE up({sql} UNIQUE, id INTEGER PRIMARY KEY);
             INSERT INTO {sql} VALUES ('k', 7), ('l', 7), ('m', NULL); INSERT INTO up VALUES (8, 1);"
        );
        let (_dir, mut store) = store_with(&format!("{WORLD}{made}"));
        let mut tx = store.begin_read().unwrap();
        let name_text = toml_text(name);
        let text = format!(
            "[gates.{name_text}]\nrule = 'unique'\ntable = {name_text}\ncolumns = 'p'
             [gates.link]\nrule = 'foreign-key'\ntable = {name_text}\ncolumns = 'p'\nreferences = 'up'\nreferences_columns = [{name_text}]
             [gates.key]\nrule = 'length'\ntable = {name_text}\ncolumn = {name_text}\nmin = 2"
        );
        let results = run(&mut *tx, &policy(&text), None, &real()).unwrap();
        let rows = results.iter().map(|result| match &result.outcome {
            Outcome::Failed { rows, samples } => (*rows, samples[0].table.as_str()),
            other => panic!("{name}: {other:?}"),
        });
        assert_eq!(rows.collect::<Vec<_>>(), [(2, name), (2, name), (3, name)]);
        assert_eq!(results[0].gate, name);
    }
}

fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[test]
fn t31_what_takes_too_long_is_broken() {
    let rows = "INSERT INTO album(code, label) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i, 'x' FROM n";
    let (_dir, mut store) = store_with(&format!("{WORLD}{rows};"));
    let text = "
        [gates.slow]
        rule = 'range'\n table = 'album'\n column = 'price'\n min = 0\n severity = 'warn'\n time_limit_ms = 3
        [gates.quick]
        rule = 'not-null'\n table = 'album'\n column = 'label'
        [gates.unique]
        rule = 'unique'\n table = 'album'\n columns = 'label'\n time_limit_ms = 3
        [gates.endless]
        rule = 'no-rows'\n sql = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0'\n severity = 'warn'\n time_limit_ms = 500
        [gates.last]
        rule = 'row-count'\n table = 'empty'\n max = 0";
    let mut tx = store.begin().unwrap();
    let results = run(&mut *tx, &policy(text), None, &ticking()).unwrap();
    let late = |ms: u64| Outcome::Broke { why: format!("it took longer than {ms} ms") };
    let outcomes: Vec<Outcome> = results.iter().map(|result| result.outcome.clone()).collect();
    let [slow, quick, unique, endless, last] = <[Outcome; 5]>::try_from(outcomes).unwrap();
    assert_eq!((slow, unique, endless, last), (late(3), late(3), late(500), Outcome::Passed));
    assert!(matches!(quick, Outcome::Failed { rows: 1, .. }), "the others go on: {quick:?}");
    assert_eq!(results.iter().map(GateResult::is_blocking).collect::<Vec<_>>(), [true, true, true, true, false]);
    // All of a pass may be late; the transaction goes on.
    let all = policy("[gates.slow]\nrule = 'range'\ntable = 'album'\ncolumn = 'price'\nmin = 0\ntime_limit_ms = 3");
    assert_eq!(run(&mut *tx, &all, None, &ticking()).unwrap()[0].outcome, late(3));
    tx.commit().unwrap();
}

/// N4: each merge alone would do, both together would not; the second is judged on what the first left.
#[test]
fn n4_the_merged_state_is_judged() {
    let (_dir, mut store) = store_with("CREATE TABLE share(owner TEXT PRIMARY KEY, percent INTEGER);");
    let text = "[gates.shares]\nrule = 'no-rows'\nsql = 'SELECT sum(percent) FROM share HAVING sum(percent) > 100'";
    let mut merge = |owner: &str| {
        let mut tx = store.begin().unwrap();
        assert_eq!(tx.insert(0, &vec![owner.into(), 60.into()]).unwrap(), Wrote::Done);
        let results = run(&mut *tx, &policy(text), None, &real()).unwrap();
        let is_blocked = results.iter().any(GateResult::is_blocking);
        if !is_blocked {
            tx.commit().unwrap();
        }
        is_blocked
    };
    assert_eq!((merge("ann"), merge("ben")), (false, true));
    assert_eq!(store.begin_read().unwrap().get(0, &vec!["ben".into()]).unwrap(), None);
}

#[test]
fn changed_rows_alone_are_looked_at_where_asked() {
    let (_dir, mut store) = store_with(WORLD);
    let mut tx = store.begin().unwrap();
    let album = tx.schema().tables.iter().position(|t| t.name == "album").unwrap();
    let table = tx.schema().tables[album].clone();
    let shape = Shape { table: "album".into(), columns: table.column_names(), key: table.key.clone(), is_numbered: false, highest: None };
    let new = |key: &str, artist: i64, price: i64| -> Vec<Value> {
        vec![key.into(), artist.into(), price.into(), 1.into(), 0.into(), "EMI".into()]
    };
    let change = |key: &str, edit| Change { table: 0, key: vec![key.into()], edit, at: Time(1), moved_from: None };
    for key in ["x", "y"] {
        assert_eq!(tx.insert(album, &new(key, 8, -1)).unwrap(), Wrote::Done);
    }
    let mut after = tx.get(album, &vec!["a".into()]).unwrap().unwrap();
    let before = after.clone();
    after[2] = 5.into();
    assert_eq!(tx.update(album, &before, &after).unwrap(), Wrote::Done);
    let gone = tx.get(album, &vec!["d".into()]).unwrap().unwrap();
    tx.delete(album, &vec!["d".into()]).unwrap();
    let cell = Cell { column: 2, before: 3.into(), after: 5.into(), at: Time(1) };
    let pages = [
        vec![change("x", Edit::Insert(new("x", 8, -1))), change("a", Edit::Update(vec![cell]))],
        vec![change("y", Edit::Insert(new("y", 8, -1))), change("d", Edit::Delete(gone))],
    ];
    for (number, changes) in (0..).zip(&pages) {
        let shapes = std::slice::from_ref(&shape);
        tx.put_page(1, number, &page::encode(shapes, changes), shapes, changes).unwrap();
    }
    let text = "
        [gates.price]\nrule = 'range'\ntable = 'album'\ncolumn = 'price'\nmin = 0\nrows = 'changed'
        [gates.link]\nrule = 'foreign-key'\ntable = 'album'\ncolumns = 'artist'\nreferences = 'artist'\nrows = 'changed'
        [gates.label]\nrule = 'unique'\ntable = 'album'\ncolumns = 'label'\nrows = 'changed'
        [gates.name]\nrule = 'not-null'\ntable = 'artist'\ncolumn = 'name'\nrows = 'changed'
        [gates.all]\nrule = 'range'\ntable = 'album'\ncolumn = 'price'\nmin = 0";
    let shapes = [shape];
    let changed = Changed { version: 1, pages: 2, shapes: &shapes };
    let results = run(&mut *tx, &policy(text), Some(&changed), &real()).unwrap();
    let keys = |samples: &[Sample]| -> Vec<Key> { samples.iter().map(|sample| sample.key.clone()).collect() };
    let found = results.iter().map(|result| match &result.outcome {
        Outcome::Passed => (0, Vec::new()),
        Outcome::Failed { rows, samples } => (*rows, keys(samples)),
        Outcome::Broke { why } => panic!("{why}"),
    });
    let of = |names: &[&str]| names.iter().map(|name| vec![Value::text(name)]).collect::<Vec<Key>>();
    let expect = [(2, of(&["x", "y"])), (2, of(&["x", "y"])), (3, of(&["a", "x", "y"])), (0, of(&[])), (4, of(&["b", "c", "x", "y"]))];
    assert_eq!(found.collect::<Vec<_>>(), expect);
    let all = run(&mut *tx, &policy(text), None, &real()).unwrap();
    assert!(matches!(all[3].outcome, Outcome::Failed { rows: 1, .. }), "without a merge all rows are looked at");
    assert!(run(&mut *tx, &policy(text), Some(&Changed { version: 1, pages: 3, shapes: &shapes }), &real()).is_err(), "a page is lost");
}
