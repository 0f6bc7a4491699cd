//! Every kind of reference that follows a renumbered row, and those that must not.
use super::Renumbering;
use crate::change::{Cell, Change, Edit, Shape};
use crate::event::{Renumbered, Version};
use crate::schema::{Column, ForeignKey, Schema, Table};
use crate::stamp::Time;
use crate::value::{Row, Value};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

fn table(name: &str, columns: &[&str], is_numbered: bool, links: &[(&[usize], &str, &[&str])]) -> Table {
    let link = |(columns, parent, parent_columns): &(&[usize], &str, &[&str])| ForeignKey {
        columns: columns.to_vec(),
        parent: parent.to_string(),
        parent_columns: parent_columns.iter().map(ToString::to_string).collect(),
        on_delete: String::new(),
        on_update: String::new(),
    };
    Table {
        name: name.into(),
        columns: columns.iter().map(|name| Column { name: name.to_string(), ..Column::default() }).collect(),
        key: if is_numbered { vec![0] } else { vec![0, 1] },
        is_numbered,
        foreign_keys: links.iter().map(link).collect(),
        ..Table::default()
    }
}

/// `item(id, region, boss)` with a link to itself; `line(item, place, note, code)` keyed by item and place, with a
/// simple link; `stock(id, item, region)` with a composite one; `label(id, code)` by a column that is not the number;
/// `remark` names a line, and `answer` a remark's item, so both name an item in the end.
fn schema() -> Schema {
    let tables = vec![
        table("item", &["id", "region", "boss"], true, &[(&[2], "item", &["id"])]),
        table("line", &["item", "place", "note"], false, &[(&[0], "ITEM", &["ID"])]),
        table("stock", &["id", "item", "region"], true, &[(&[1, 2], "item", &["id", "region"])]),
        table("label", &["id", "region"], true, &[(&[1], "item", &["region"])]),
        table("remark", &["id", "item", "place"], true, &[(&[1, 2], "line", &["item", "place"])]),
        table("answer", &["id", "remark", "item"], true, &[(&[1], "remark", &["id"]), (&[2], "remark", &["item"])]),
    ];
    Schema { tables, ..Schema::default() }
}

fn shape(name: &str) -> Shape {
    let schema = schema();
    let table = schema.table(name).expect("the test names a table");
    Shape {
        table: table.name.clone(),
        columns: table.column_names(),
        key: table.key.clone(),
        is_numbered: table.is_numbered,
        highest: None,
    }
}

/// Item 5 of region 1 has number 9 now.
fn renumbered() -> Renumbered {
    let columns = ["id", "region", "boss"].map(String::from).to_vec();
    Renumbered { table: "item".into(), from: 5, to: 9, row: vec![5.into(), 1.into(), Value::Null], columns }
}

fn ints(values: &[i64]) -> Row {
    values.iter().map(|&i| Value::Integer(i)).collect()
}

fn cell(column: usize, before: i64, after: i64) -> Cell {
    Cell { column, before: before.into(), after: after.into(), at: Time(0) }
}

/// Rewrites a change of a table, first as part of the changeset that made item 5, then as a later one.
#[track_caller]
fn check(table: &str, key: &[i64], edit: Edit, written: (&[i64], Edit), later: (&[i64], Edit)) {
    let shape = shape(table);
    for (is_later, (expect_key, expect)) in [(false, written), (true, later)] {
        let mut renumbering = Renumbering::new();
        if is_later {
            renumbering.add_earlier(renumbered())
        } else {
            renumbering.add(renumbered())
        };
        let mut change = Change { table: 0, key: ints(key), edit: edit.clone(), at: Time(0), moved_from: None };
        let before = change.clone();
        let is_rewritten = renumbering.apply(&schema(), &shape, &mut change);
        assert_eq!((&change.key, &change.edit), (&ints(expect_key), &expect), "later: {is_later}");
        assert_eq!(is_rewritten, change != before);
    }
}

#[test]
fn the_row_itself_gets_its_number() {
    let made = |id| Edit::Insert(ints(&[id, 1, 1]));
    check("item", &[5], made(5), (&[9], made(9)), (&[9], made(9)));
    check("item", &[6], made(6), (&[6], made(6)), (&[6], made(6)));
    let gone = |id| Edit::Delete(ints(&[id, 1, 1]));
    check("item", &[5], gone(5), (&[9], gone(9)), (&[9], gone(9)));
    let edit = Edit::Update(vec![cell(1, 5, 5)]);
    check("item", &[5], edit.clone(), (&[9], edit.clone()), (&[9], edit));
}

#[test]
fn links_to_links_follow() {
    let remark = |item| Edit::Insert(ints(&[1, item, 2]));
    check("remark", &[1], remark(5), (&[1], remark(9)), (&[1], remark(9)));
    check("remark", &[1], remark(6), (&[1], remark(6)), (&[1], remark(6)));
    let answer = |item| Edit::Insert(ints(&[3, 5, item]));
    check("answer", &[3], answer(5), (&[3], answer(9)), (&[3], answer(9)));
    let moved = |before, after| Edit::Update(vec![cell(1, before, after)]);
    check("remark", &[1], moved(4, 5), (&[1], moved(4, 9)), (&[1], moved(4, 9)));
}

#[test]
fn links_follow() {
    let boss = |id, boss| Edit::Insert(ints(&[id, 1, boss]));
    check("item", &[5], boss(5, 5), (&[9], boss(9, 9)), (&[9], boss(9, 9)));
    let line = |item| Edit::Insert(ints(&[item, 2, 5]));
    check("line", &[5, 2], line(5), (&[9, 2], line(9)), (&[9, 2], line(9)));
    let note = Edit::Update(vec![cell(2, 5, 6)]);
    check("line", &[5, 2], note.clone(), (&[5, 2], note.clone()), (&[9, 2], note));
    let gone = |item| Edit::Delete(ints(&[item, 2, 5]));
    check("line", &[5, 2], gone(5), (&[5, 2], gone(5)), (&[9, 2], gone(9)));
    let boss = |before, after| Edit::Update(vec![cell(2, before, after)]);
    check("item", &[6], boss(4, 5), (&[6], boss(4, 9)), (&[6], boss(4, 9)));
    check("item", &[6], boss(5, 4), (&[6], boss(5, 4)), (&[6], boss(9, 4)));
}

#[test]
fn composite_links_follow_only_where_all_cells_match() {
    let stock = |item, region| Edit::Insert(ints(&[1, item, region]));
    check("stock", &[1], stock(5, 1), (&[1], stock(9, 1)), (&[1], stock(9, 1)));
    check("stock", &[1], stock(5, 2), (&[1], stock(5, 2)), (&[1], stock(5, 2)));
    let both = |item, region| Edit::Update(vec![cell(1, 3, item), cell(2, 3, region)]);
    check("stock", &[1], both(5, 2), (&[1], both(5, 2)), (&[1], both(5, 2)));
    let one = |item| Edit::Update(vec![cell(1, 3, item)]);
    check("stock", &[1], one(5), (&[1], one(9)), (&[1], one(9)));
}

#[test]
fn links_by_other_columns_stay() {
    let label = Edit::Insert(ints(&[5, 5]));
    check("label", &[5], label.clone(), (&[5], label.clone()), (&[5], label));
}

#[test]
fn a_link_keeps_the_form_of_its_value() {
    let mut renumbering = Renumbering::new();
    renumbering.add(renumbered());
    for (held, expect) in [
        (Value::text("5"), Value::text("9")),
        (Value::Real(5.0), Value::Real(9.0)),
        (Value::text("05"), Value::text("05")),
        (Value::Real(5.5), Value::Real(5.5)),
        (Value::Null, Value::Null),
        (Value::Blob(vec![5]), Value::Blob(vec![5])),
    ] {
        let row = vec![6.into(), 1.into(), held];
        let mut change = Change { table: 0, key: ints(&[6]), edit: Edit::Insert(row), at: Time(0), moved_from: None };
        renumbering.apply(&schema(), &shape("item"), &mut change);
        assert_eq!(change.edit, Edit::Insert(vec![6.into(), 1.into(), expect]));
    }
}

#[test]
fn rows_are_found_by_table_and_key() {
    let mut renumbering = Renumbering::new();
    assert!(renumbering.is_empty());
    renumbering.add(renumbered());
    assert_eq!(renumbering.number("ITEM", &ints(&[5])), Some(9));
    assert_eq!(renumbering.number("line", &ints(&[5])), None);
    assert_eq!(renumbering.key("Item", &ints(&[5])), ints(&[9]));
    assert_eq!(renumbering.key("item", &ints(&[4, 5])), ints(&[4, 5]));
    assert_eq!((renumbering.highest("ITEM"), renumbering.highest("line")), (Some(9), None));
    assert_eq!(renumbering.iter().collect::<Vec<_>>(), [&renumbered()]);
    let mut moved = Change { table: 0, key: ints(&[6]), edit: Edit::Insert(ints(&[6, 1, 1])), at: Time(0), moved_from: Some(ints(&[5])) };
    renumbering.apply(&schema(), &shape("item"), &mut moved);
    assert_eq!(moved.moved_from, Some(ints(&[9])));
}

#[test]
fn a_version_tells_each_row_from_its_first_number() {
    let row = |from, to| Renumbered { table: "Item".into(), from, to, row: Row::new(), columns: Vec::new() };
    let version =
        Version { renumbered_here: vec![row(16, 20), row(17, 21)], renumbered: vec![row(20, 30), row(5, 6)], ..Version::default() };
    assert_eq!(version.renumbered_in_all(), [row(16, 30), row(17, 21), row(5, 6)]);
}
