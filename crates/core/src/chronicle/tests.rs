//! Renames are followed, what comes back under an old name is another, and a drop's own rows are read in the old shape.
use super::*;
use crate::schema::Column;
use alloc::string::ToString;

fn table(name: &str, columns: &[&str]) -> Table {
    let columns = columns.iter().map(|name| Column { name: name.to_string(), ..Column::default() }).collect();
    Table { name: name.into(), columns, key: vec![0], ..Table::default() }
}

fn chronicle() -> Chronicle {
    let mut chronicle = Chronicle::new(&Schema { tables: vec![table("t", &["k", "a", "b"])], objects: Vec::new() });
    let column = |name: &str| Column { name: name.into(), ..Column::default() };
    let renamed = |from: &str, to: &str| SchemaChange::RenameColumn { table: "t".into(), from: from.into(), to: to.into() };
    chronicle.add(3, &renamed("a", "x"));
    chronicle.add(5, &SchemaChange::DropColumn { table: "T".into(), column: "B".into() });
    chronicle.add(5, &SchemaChange::RenameTable { from: "t".into(), to: "u".into() });
    chronicle.add(7, &SchemaChange::AddColumn { table: "u".into(), column: column("b"), definition: "b".into() });
    chronicle.add(9, &SchemaChange::DropTable { name: "u".into() });
    chronicle.add(10, &SchemaChange::CreateTable { table: table("u", &["k"]) });
    chronicle
}

fn shape(name: &str, columns: &[&str]) -> Shape {
    Shape { table: name.into(), columns: columns.iter().map(|c| c.to_string()).collect(), key: vec![0], ..Shape::default() }
}

#[test]
fn names_are_those_of_the_version() {
    let chronicle = chronicle();
    let names = |version| chronicle.at(version).tables.iter().map(|t| (t.name.clone(), t.column_names().join(","))).collect::<Vec<_>>();
    assert_eq!(names(0), [("t".into(), "k,a,b".into())]);
    assert_eq!(names(2), names(0));
    assert_eq!(names(3), [("t".into(), "k,x,b".into())]);
    assert_eq!(names(6), [("u".into(), "k,x".into())]);
    assert_eq!(names(8), [("u".into(), "k,x,b".into())]);
    assert!(names(9).is_empty());
    assert_eq!(names(99), [("u".into(), "k".into())]);
}

#[test]
fn a_column_is_one_through_renames_and_another_when_it_comes_back() {
    let chronicle = chronicle();
    let at = |version: u64, table: &str, column: &str| chronicle.at(version).table(table).expect("a table").column(column).map(|c| c.id);
    assert_eq!(at(1, "t", "a"), at(8, "u", "X"));
    assert_ne!(at(1, "t", "b"), at(8, "u", "b"));
    let first = chronicle.at(1).tables[0].id;
    assert_eq!(chronicle.dropped(first).map(|(version, table)| (version, table.name.clone())), Some((9, "u".into())));
    assert_eq!(chronicle.dropped(chronicle.now().tables[0].id), None);
    assert_eq!(chronicle.made_in(first, at(8, "u", "b").expect("a column")), Some(7));
    assert_eq!(chronicle.made_in(first, at(8, "u", "k").expect("a column")), Some(0));
}

#[test]
fn a_drop_tells_of_its_rows_in_the_shape_before_it() {
    let chronicle = chronicle();
    let before = chronicle.place(5, &shape("t", &["k", "x", "b"])).expect("a place");
    assert_eq!(before, chronicle.place(4, &shape("t", &["k", "x", "b"])).expect("a place"));
    let after = chronicle.place(5, &shape("u", &["k", "x"])).expect("a place");
    assert_eq!((before.table, &before.columns[..2]), (after.table, &after.columns[..]));
    let row = vec![Value::Integer(1), Value::Integer(2), Value::Integer(3)];
    let last = chronicle.at(8).table("u").expect("a table");
    assert_eq!(before.row_in(last, &row), [Value::Integer(1), Value::Integer(2), Value::Null]);
    assert_eq!(chronicle.place(5, &shape("elsewhere", &["k"])), None);
}
