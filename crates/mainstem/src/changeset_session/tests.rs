//! What is written is read again, and what cannot be meant is refused by name.
use super::*;
use crate::changeset_file::samples::Given;
use mainstem_core::schema::Column;
use std::cell::Cell as Count;

fn table(name: &str, columns: &[&str], key: &[usize]) -> Table {
    let columns = columns.iter().map(|name| Column { name: (*name).into(), ..Column::default() }).collect();
    Table { name: name.into(), columns, key: key.to_vec(), is_numbered: key == [0], ..Table::default() }
}

fn schema() -> Schema {
    Schema { tables: vec![table("t", &["k", "a", "b"], &[0]), table("pair", &["x", "l", "r"], &[2, 1])], ..Schema::default() }
}

fn none(_: &Table, _: &BTreeSet<Key>) -> Result<BTreeMap<Key, Row>> {
    Ok(BTreeMap::new())
}

fn sample() -> Changeset {
    let at = Time::from_ms(5);
    let change = |table, key: Vec<Value>, edit| Change { table, key, edit, at, moved_from: None };
    let cell = |column, before: Value, after: Value| Cell { column, before, after, at };
    let mut whole = Changeset::default();
    whole.front.shapes = schema().tables.iter().map(shape_of).collect();
    whole.front.shapes[0].highest = Some(9);
    whole.changes = vec![
        change(0, vec![3.into()], Edit::Delete(vec![3.into(), Value::Null, Value::Text(vec![0xff, 0])])),
        change(0, vec![9.into()], Edit::Insert(vec![9.into(), (-0.0).into(), Value::Blob(Vec::new())])),
        change(0, vec![4.into()], Edit::Update(vec![cell(1, Value::Null, 1.into()), cell(2, 1.into(), 1.0.into())])),
        change(1, vec!["r".into(), "l".into()], Edit::Update(vec![cell(0, "".into(), Value::Null)])),
    ];
    whole.front.count = 4;
    whole
}

fn written(form: Form, whole: &Changeset) -> Vec<u8> {
    let mut bytes = Vec::new();
    let rows = export(form, &whole.front.shapes, &mut Given::of(&whole.changes, 2), &mut bytes).expect("memory takes all");
    assert_eq!(rows, whole.front.count);
    bytes
}

#[test]
fn a_changeset_comes_back() {
    let whole = sample();
    let imported = import(&written(Form::Changeset, &whole), &schema(), Time::from_ms(5), &mut none).expect("what was written");
    assert_eq!(imported, Imported { changeset: whole, form: Form::Changeset, gone: 0 });
}

#[test]
fn a_patchset_is_completed_by_the_rows_that_are_here() {
    let asked = Count::new(0);
    let mut present = |table: &Table, keys: &BTreeSet<Key>| {
        asked.set(asked.get() + keys.len());
        let row: Row = if table.name == "t" { vec![4.into(), 7.into(), 1.into()] } else { vec![0.into(), "l".into(), "r".into()] };
        Ok(BTreeMap::from([(table.key_of(&row), row)]))
    };
    let imported = import(&written(Form::Patchset, &sample()), &schema(), Time::from_ms(5), &mut present).expect("what was written");
    assert_eq!((asked.get(), imported.gone, imported.form), (3, 1, Form::Patchset));
    let mut expected = sample();
    expected.changes.remove(0);
    expected.front.count = 3;
    if let Edit::Update(cells) = &mut expected.changes[1].edit {
        cells[0].before = 7.into();
    }
    if let Edit::Update(cells) = &mut expected.changes[2].edit {
        cells[0].before = 0.into();
    }
    assert_eq!(imported.changeset, expected);
    let error = import(&written(Form::Patchset, &sample()), &schema(), Time::default(), &mut none).expect_err("a row is missing");
    assert_eq!(error.kind, ErrorKind::NotFound);
}

#[test]
fn a_row_that_comes_twice_is_one_change() {
    let first = b"T\x03\x01\0\0t\0\x12\0\x01\0\0\0\0\0\0\0\x01\x03\x01a\x05";
    let second = b"T\x03\x01\0\0T\0\x17\0\x01\0\0\0\0\0\0\0\x01\x03\x01a\0\0\x03\x01b\0";
    let read = |bytes: &[u8]| import(bytes, &schema(), Time::default(), &mut none);
    let both = read(&[&first[..], second].concat()).expect("one after the other").changeset;
    assert_eq!(both.changes.len(), 1);
    assert_eq!(both.changes[0].edit, Edit::Insert(vec![1.into(), "b".into(), Value::Null]));
    assert!(read(&[&first[..], first].concat()).is_err(), "inserted twice");
    let patch = b"P\x03\x01\0\0t\0\x12\0\x01\0\0\0\0\0\0\0\x01\x05\x05";
    let error = read(&[&patch[..], &patch[7..]].concat()).expect_err("twice in a patchset");
    assert!(error.message.contains("twice"), "{error}");
}

#[test]
fn another_table_is_refused_by_name() {
    for (bytes, word) in [
        (&b"T\x01\x01u\0"[..], "u, which is not tracked"),
        (b"T\x02\x01\0t\0", "2 columns in the file and 3 here"),
        (b"T\x03\x01\x01\0t\0", "another key"),
        (b"T\x03\x01\0\0t\0\x17\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x05\0", "does not say what was there"),
        (b"T\x03\x01\0\0t\0\x12\0\x03\0\x05\x05", "no number"),
    ] {
        let error = import(bytes, &schema(), Time::default(), &mut none).expect_err(word);
        assert!(error.message.contains(word), "{error}, not {word}");
    }
}

#[test]
fn what_changes_nothing_is_no_change() {
    // An update that says a cell before and not after, and one whose cell stays.
    let bytes = b"T\x03\x01\0\0t\0\x17\0\x01\0\0\0\0\0\0\0\x01\x05\x05\0\0\x05";
    let imported = import(bytes, &schema(), Time::default(), &mut none).expect("sound");
    assert_eq!(imported.changeset.changes, []);
}
