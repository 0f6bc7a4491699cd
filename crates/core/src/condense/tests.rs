//! The three-by-three table, and the laws: the parts in turn, there and back, parents before children.
use super::{combine, combine_apart, combine_changes, invert, order};
use crate::change::{Cell, Change, Changeset, Edit, Front, Header, Shape};
use crate::error::Error;
use crate::schema::{Column, ForeignKey, Schema, SchemaChange, Table};
use crate::stamp::Time;
use crate::value::{Key, Row, Value};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

fn row(a: i64, b: i64) -> Row {
    vec![1.into(), a.into(), b.into()]
}

fn cells(before: &Row, after: &Row, at: u64) -> Vec<Cell> {
    let pairs = before.iter().zip(after).enumerate().filter(|(_, (before, after))| before != after);
    let cell =
        |(column, (before, after)): (usize, (&Value, &Value))| Cell { column, before: before.clone(), after: after.clone(), at: Time(at) };
    pairs.map(cell).collect()
}

fn change(at: u64, edit: Edit) -> Change {
    Change { table: 0, key: vec![1.into()], edit, at: Time(at), moved_from: None }
}

fn update(before: &Row, after: &Row, at: u64) -> Change {
    change(at, Edit::Update(cells(before, after, at)))
}

/// The documented table of changes between which others' work came.
#[test]
fn what_was_written_last_stands() {
    let insert = |row: Row, at| change(at, Edit::Insert(row));
    let delete = |row: Row, at| change(at, Edit::Delete(row));
    let (x, y, z, w) = (row(1, 1), row(2, 1), row(2, 2), row(7, 1));
    let cases = [
        (insert(x.clone(), 1), insert(y.clone(), 2), Some(insert(y.clone(), 2))),
        (insert(x.clone(), 1), update(&y, &w, 2), Some(insert(w.clone(), 2))),
        (insert(x.clone(), 1), delete(y.clone(), 2), None),
        (update(&x, &y, 1), insert(w.clone(), 2), Some(insert(w.clone(), 2))),
        (update(&x, &z, 1), update(&w, &x, 2), Some(change(2, Edit::Update([cells(&w, &x, 2), cells(&y, &z, 1)].concat())))),
        (update(&x, &z, 1), delete(row(9, 2), 2), Some(delete(row(9, 1), 2))),
        (delete(x.clone(), 1), update(&x, &y, 2), Some(update(&x, &y, 2))),
        (delete(x.clone(), 1), delete(y.clone(), 2), Some(delete(y.clone(), 2))),
        (update(&x, &y, 1), update(&y, &x, 2), None),
    ];
    for (first, second, expect) in cases {
        assert_eq!(combine_apart(&first, &second), expect, "{} {}", first.edit.name(), second.edit.name());
    }
}

/// The documented table, cell by cell.
#[test]
fn two_changes_are_one() {
    let insert = |row: Row, at| change(at, Edit::Insert(row));
    let delete = |row: Row, at| change(at, Edit::Delete(row));
    let (x, y, z) = (row(1, 1), row(2, 1), row(2, 2));
    let legal = [
        (insert(x.clone(), 1), update(&x, &y, 2), Some(insert(y.clone(), 2))),
        (insert(x.clone(), 1), delete(x.clone(), 2), None),
        (update(&x, &y, 1), update(&y, &x, 2), None),
        (update(&x, &y, 1), delete(y.clone(), 2), Some(delete(x.clone(), 2))),
        (delete(x.clone(), 1), insert(z.clone(), 2), Some(update(&x, &z, 2))),
        (delete(x.clone(), 1), insert(x.clone(), 2), None),
    ];
    for (first, second, expect) in legal {
        assert_eq!(combine_changes(&first, &second), Ok(expect), "{} {}", first.edit.name(), second.edit.name());
    }
    let both = combine_changes(&update(&x, &y, 1), &update(&y, &z, 2)).expect("legal").expect("something is left");
    let mut expect = cells(&x, &z, 2);
    expect[0].at = Time(1);
    assert_eq!(both.edit, Edit::Update(expect));
    let illegal = [
        (insert(x.clone(), 1), insert(x.clone(), 2)),
        (update(&x, &y, 1), insert(y.clone(), 2)),
        (delete(x.clone(), 1), update(&x, &y, 2)),
        (delete(x.clone(), 1), delete(x.clone(), 2)),
        (insert(x.clone(), 1), update(&z, &y, 2)),
        (insert(x.clone(), 1), delete(y.clone(), 2)),
        (update(&x, &y, 1), update(&x, &z, 2)),
        (update(&x, &y, 1), delete(x.clone(), 2)),
    ];
    for (first, second) in illegal {
        assert!(matches!(combine_changes(&first, &second), Err(Error::Invalid { .. })), "{first:?} {second:?}");
    }
}

#[test]
fn a_moved_row_keeps_where_it_came_from() {
    let moved = Change { moved_from: Some(vec![7.into()]), ..change(1, Edit::Insert(row(1, 1))) };
    let both = combine_changes(&moved, &update(&row(1, 1), &row(1, 2), 2)).expect("legal").expect("a row");
    assert_eq!(both.moved_from, Some(vec![7.into()]));
    let gone = Change { key: vec![7.into()], ..change(1, Edit::Delete(vec![7.into(), 1.into(), 1.into()])) };
    let back = invert(&changeset(&["id", "a", "b"], vec![gone, moved])).expect("no schema steps");
    assert_eq!(back.changes[1].moved_from, Some(vec![1.into()]));
    assert_eq!(back.changes[0].moved_from, None);
}

fn changeset(columns: &[&str], changes: Vec<Change>) -> Changeset {
    let columns = columns.iter().map(ToString::to_string).collect();
    let shape = Shape { table: "t".into(), columns, key: vec![0], is_numbered: true, highest: None };
    let front = Front { shapes: vec![shape], count: changes.len() as u64, ..Front::default() };
    Changeset { front, changes }
}

#[test]
fn changesets_with_columns_in_another_order_combine() {
    let first = changeset(&["id", "a", "b"], vec![change(1, Edit::Insert(row(1, 2)))]);
    let mut second = changeset(&["ID", "B", "A"], vec![update(&row(2, 1), &row(5, 1), 2)]);
    second.front.header = Header { base_version: 4, sequence: 2, ..Header::default() };
    second.front.shapes[0].highest = Some(9);
    let both = combine(&[first.clone(), second]).expect("the same columns");
    assert_eq!(both.changes, [change(2, Edit::Insert(row(1, 5)))]);
    assert_eq!((both.front.header.base_version, both.front.header.sequence), (0, 2));
    assert_eq!((both.front.shapes[0].highest, both.front.count), (Some(9), 1));
    let other = changeset(&["id", "a"], vec![]);
    assert!(matches!(combine(&[first, other]), Err(Error::Invalid { .. })));
    assert_eq!(combine(&[]), Ok(Changeset::default()));
}

#[test]
fn schema_steps_cannot_be_inverted() {
    let mut changeset = changeset(&["id"], vec![]);
    changeset.front.schema = vec![SchemaChange::DropTable { name: "t".into() }];
    assert!(matches!(invert(&changeset), Err(Error::Invalid { .. })));
}

fn table(name: &str, links: &[&str]) -> Table {
    let column = |name: &str| Column { name: name.into(), ..Column::default() };
    let link = |(i, parent): (usize, &&str)| ForeignKey {
        columns: vec![i + 1],
        parent: parent.to_string(),
        parent_columns: vec!["id".into()],
        on_delete: String::new(),
        on_update: String::new(),
    };
    Table {
        name: name.into(),
        columns: core::iter::once(column("id")).chain(links.iter().map(|parent| column(parent))).collect(),
        key: vec![0],
        is_numbered: true,
        foreign_keys: links.iter().enumerate().map(link).collect(),
        ..Table::default()
    }
}

fn shapes(schema: &Schema) -> Vec<Shape> {
    let shape =
        |table: &Table| Shape { table: table.name.clone(), columns: table.column_names(), key: vec![0], is_numbered: true, highest: None };
    schema.tables.iter().map(shape).collect()
}

fn of(table: usize, edit: Edit) -> Change {
    let key = match &edit {
        Edit::Insert(row) | Edit::Delete(row) => vec![row[0].clone()],
        Edit::Update(_) => vec![0.into()],
    };
    Change { table, key, edit, at: Time(0), moved_from: None }
}

#[test]
fn parents_are_written_first_and_removed_last() {
    let schema = Schema { tables: vec![table("line", &["Doc", "item"]), table("doc", &[]), table("item", &[])], ..Schema::default() };
    let line = |id: i64| vec![id.into(), 1.into(), 1.into()];
    let mut changes = vec![
        of(0, Edit::Insert(line(1))),
        of(1, Edit::Delete(vec![2.into()])),
        of(2, Edit::Insert(vec![1.into()])),
        of(0, Edit::Delete(line(2))),
        of(1, Edit::Insert(vec![1.into()])),
    ];
    order(&schema, &mut changes, &shapes(&schema));
    let shown: Vec<(&str, usize)> = changes.iter().map(|change| (change.edit.name(), change.table)).collect();
    assert_eq!(shown, [("delete", 0), ("delete", 1), ("insert", 1), ("insert", 2), ("insert", 0)]);
}

#[test]
fn rows_that_point_to_rows_of_their_table_follow_them() {
    let schema = Schema { tables: vec![table("tree", &["tree"])], ..Schema::default() };
    let node = |id: i64, parent: Option<i64>| vec![id.into(), parent.map_or(Value::Null, Value::Integer)];
    let rows = [node(1, Some(3)), node(2, Some(1)), node(3, None), node(4, Some(4)), node(5, Some(6)), node(6, Some(5))];
    let keys = |changes: &[Change]| changes.iter().map(|change| change.key[0].as_integer().expect("a number")).collect::<Vec<_>>();
    let mut inserts: Vec<Change> = rows.iter().map(|row| of(0, Edit::Insert(row.clone()))).collect();
    order(&schema, &mut inserts, &shapes(&schema));
    assert_eq!(keys(&inserts), [3, 1, 2, 4, 6, 5]);
    let mut deletes: Vec<Change> = rows.iter().map(|row| of(0, Edit::Delete(row.clone()))).collect();
    order(&schema, &mut deletes, &shapes(&schema));
    assert_eq!(keys(&deletes), [5, 6, 4, 2, 1, 3]);
}

#[test]
fn tables_in_a_cycle_keep_all_their_changes() {
    let schema = Schema { tables: vec![table("a", &["b"]), table("b", &["a"]), table("c", &["nowhere"])], ..Schema::default() };
    let mut changes: Vec<Change> = [2, 0, 1, 9].map(|table| of(table, Edit::Insert(vec![1.into(), 1.into()]))).to_vec();
    order(&schema, &mut changes, &shapes(&schema));
    assert_eq!(changes.iter().map(|change| change.table).collect::<Vec<_>>(), [1, 0, 2, 9]);
}

type State = BTreeMap<Key, Row>;

fn apply(state: &mut State, changes: &[Change]) {
    for change in changes {
        match &change.edit {
            Edit::Insert(row) => assert!(state.insert(change.key.clone(), row.clone()).is_none(), "the key is free"),
            Edit::Delete(row) => assert_eq!(state.remove(&change.key).as_ref(), Some(row), "the row is there"),
            Edit::Update(cells) => {
                let row = state.get_mut(&change.key).expect("the row is there");
                for cell in cells {
                    assert_eq!(row[cell.column], cell.before);
                    row[cell.column] = cell.after.clone();
                }
            }
        }
    }
}

fn between(before: &State, after: &State) -> Vec<Change> {
    let mut changes = Vec::new();
    let keyed = |key: &Key, edit| Change { key: key.clone(), ..change(1, edit) };
    for (key, row) in before.iter().filter(|(key, _)| !after.contains_key(*key)) {
        changes.push(keyed(key, Edit::Delete(row.clone())));
    }
    for (key, row) in after {
        match before.get(key) {
            None => changes.push(keyed(key, Edit::Insert(row.clone()))),
            Some(old) if old != row => changes.push(keyed(key, Edit::Update(cells(old, row, 1)))),
            Some(_) => {}
        }
    }
    changes
}

fn states() -> impl Strategy<Value = Vec<State>> {
    let state = prop::collection::btree_map(0..5i64, (0..3i64, 0..3i64), 0..5);
    let rows = |(id, (a, b)): (i64, (i64, i64))| (vec![id.into()], vec![id.into(), a.into(), b.into()]);
    prop::collection::vec(state.prop_map(move |state| state.into_iter().map(rows).collect()), 2..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_combination_is_its_parts_in_turn_and_its_inverse_leads_back(states in states()) {
        let parts: Vec<Changeset> =
            states.windows(2).map(|pair| changeset(&["id", "a", "b"], between(&pair[0], &pair[1]))).collect();
        let (first, last) = (&states[0], &states[states.len() - 1]);
        let both = combine(&parts).expect("the parts follow each other");
        prop_assert_eq!(both.changes.len(), between(first, last).len(), "what cancels out is gone");
        let mut state = first.clone();
        apply(&mut state, &both.changes);
        prop_assert_eq!(&state, last);
        let back = invert(&both).expect("no schema steps");
        apply(&mut state, &back.changes);
        prop_assert_eq!(&state, first);
        prop_assert_eq!(invert(&back).expect("no schema steps").changes.len(), both.changes.len());
    }
}
