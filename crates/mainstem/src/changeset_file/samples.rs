//! Nasty changesets, for the tests of files and of JSON.
use crate::error::Result;
use crate::primary::Pages;
use mainstem_core::change::{Cell, Change, Changeset, Choice, Edit, Front, Header, Resolution, Shape};
use mainstem_core::schema::{Column, ForeignKey, Object, SchemaChange, Table};
use mainstem_core::stamp::{ReplicaId, Time};
use mainstem_core::value::{Row, Value};
use proptest::collection::vec as many;
use proptest::prelude::*;

/// Pages from memory.
pub struct Given {
    pages: Vec<Vec<Change>>,
    at: usize,
}

impl Given {
    pub fn of(changes: &[Change], a_page: usize) -> Self {
        Given { pages: changes.chunks(a_page).map(<[_]>::to_vec).collect(), at: 0 }
    }
}

impl Pages for Given {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        self.at += 1;
        Ok(self.pages.get(self.at - 1).cloned())
    }
    fn rewind(&mut self) -> Result<()> {
        self.at = 0;
        Ok(())
    }
}

/// All that is left of some pages.
pub fn drain(pages: &mut dyn Pages) -> Result<Vec<Change>> {
    let mut all = Vec::new();
    while let Some(page) = pages.next()? {
        all.extend(page);
    }
    Ok(all)
}

pub fn value() -> BoxedStrategy<Value> {
    let integers =
        prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(1 << 53), Just((1 << 53) + 1), Just(-(1 << 53) - 1), -60i64..60, any::<i64>()];
    let reals = prop_oneof![
        Just(-0.0),
        Just(0.0),
        Just(1.0),
        Just(1e300),
        Just(9_007_199_254_740_993.0),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(f64::MAX),
        Just(f64::MIN_POSITIVE),
        Just(f64::from_bits(1)),
        any::<u64>().prop_map(f64::from_bits).prop_filter("SQLite keeps no NaN", |r| !r.is_nan()),
    ];
    prop_oneof![
        2 => Just(Value::Null),
        3 => integers.prop_map(Value::Integer),
        3 => reals.prop_map(Value::Real),
        3 => name().prop_map(Value::text),
        1 => Just(Value::Text(b"ab\0cd".to_vec())),
        2 => many(any::<u8>(), 0..40).prop_map(Value::Text),
        2 => many(any::<u8>(), 0..40).prop_map(Value::Blob),
        1 => Just(Value::Blob(vec![7; 70_000])),
    ]
    .boxed()
}

pub fn name() -> BoxedStrategy<String> {
    prop_oneof![Just("a\"b'c`;--\\".into()), Just("🦀 e\u{301}\u{0}".into()), Just(String::new()), "[a-zA-Z_ ]{1,12}"].boxed()
}

pub fn time() -> BoxedStrategy<Time> {
    prop_oneof![
        Just(Time(0)),
        Just(Time(u64::MAX)),
        (0u64..1000).prop_map(|ms| Time::from_ms(1_700_000_000_000 + ms)),
        any::<u64>().prop_map(Time),
    ]
    .boxed()
}

fn table() -> BoxedStrategy<Table> {
    (many(name(), 9), any::<[bool; 4]>())
        .prop_map(|(names, flags)| {
            let [name, declared_type, default, collation, parent, to, on_delete, on_update, sql] =
                <[String; 9]>::try_from(names).expect("nine were asked for");
            let plain = Column { name: "plain \"é".into(), ..Column::default() };
            let full =
                Column { name: "full".into(), declared_type, not_null: flags[0], default: Some(default), collation: Some(collation) };
            let link = ForeignKey { columns: vec![1], parent, parent_columns: vec![to], on_delete, on_update };
            Table {
                name,
                columns: vec![plain, full],
                key: vec![1, 0],
                is_numbered: false,
                is_autoincrement: flags[1],
                is_without_rowid: flags[2],
                foreign_keys: if flags[3] { vec![link] } else { vec![] },
                sql,
            }
        })
        .boxed()
}

fn step() -> BoxedStrategy<SchemaChange> {
    (0..9, table(), many(name(), 4))
        .prop_map(|(kind, table, names)| {
            let [a, b, c, d] = <[String; 4]>::try_from(names).expect("four were asked for");
            match kind {
                0 => SchemaChange::CreateTable { table },
                1 => SchemaChange::DropTable { name: a },
                2 => SchemaChange::RenameTable { from: a, to: b },
                3 => SchemaChange::AddColumn { table: a, column: table.columns[1].clone(), definition: b },
                4 => SchemaChange::DropColumn { table: a, column: b },
                5 => SchemaChange::RenameColumn { table: a, from: b, to: c },
                6 => SchemaChange::Rebuild { before_sql: a, table },
                7 => SchemaChange::PutObject { object: Object { kind: a, name: b, table: c, sql: d } },
                _ => SchemaChange::DropObject { kind: a, name: b },
            }
        })
        .boxed()
}

fn shapes() -> Vec<Shape> {
    let shape = |table: &str, key: &[usize]| Shape {
        table: table.into(),
        columns: ["id", "näme \"x\"", "wait"].map(String::from).to_vec(),
        key: key.to_vec(),
        ..Shape::default()
    };
    vec![Shape { is_numbered: true, highest: Some(i64::MAX), ..shape("person", &[0]) }, shape("tag 🦀", &[2, 0]), shape("tag 🦀", &[1])]
}

fn change() -> BoxedStrategy<Change> {
    (0..3usize, many(value(), 3), many(value(), 3), any::<i64>(), 0..4, time(), any::<u64>())
        .prop_map(|(table, mut row, after, number, kind, at, age)| {
            let shape = &shapes()[table];
            if shape.is_numbered {
                row[0] = Value::Integer(number);
            }
            let key = shape.key_of(&row);
            let cell = |i: usize| Cell {
                column: i,
                before: row[i].clone(),
                after: after[i].clone(),
                at: Time(at.0 - (age * (i as u64 & 1)).min(at.0)),
            };
            let edit = match kind {
                0 => Edit::Delete(row),
                1 => Edit::Update((0..3).rev().filter(|i| !shape.key.contains(i)).map(cell).collect()),
                _ => Edit::Insert(row),
            };
            let moved_from = (kind == 3).then(|| after[..shape.key.len()].to_vec());
            Change { table, key, edit, at, moved_from }
        })
        .boxed()
}

/// Any changeset: steps of every kind, two shapes of one name, nasty values.
pub fn changeset() -> BoxedStrategy<Changeset> {
    let header = (any::<[u128; 3]>(), any::<[u64; 2]>(), name(), proptest::option::of(name()), name(), time()).prop_map(
        |(wide, numbers, actor, title, description, at)| Header {
            write_id: wide[0],
            lineage: wide[1],
            replica: ReplicaId(wide[2]),
            sequence: numbers[0],
            base_version: numbers[1],
            actor,
            title,
            description,
            at,
            ..Header::default()
        },
    );
    let choices = vec![Choice::Ours, Choice::Theirs, Choice::Base, Choice::Value, Choice::Merged];
    let resolution = (any::<u64>(), prop::sample::select(choices), name(), time()).prop_map(|(conflict, choice, actor, at)| Resolution {
        conflict,
        choice,
        actor,
        at,
    });
    (header, many(step(), 0..4), many(resolution, 0..3), many(change(), 0..12))
        .prop_map(|(header, schema, resolutions, changes)| {
            let count = changes.len() as u64;
            Changeset { front: Front { header, schema, shapes: shapes(), resolutions, count, ..Front::default() }, changes }
        })
        .boxed()
}

/// A small changeset, the same every time.
pub fn fixed() -> Changeset {
    let at = Time(Time::from_ms(1_760_000_000_123).0 | 7);
    let change = |table, key, edit| Change { table, key, edit, at, moved_from: None };
    let row = |id: i64, name: &str, wait: Value| -> Row { vec![Value::Integer(id), Value::text(name), wait] };
    let cell = |column, before, after| Cell { column, before, after, at: Time::from_ms(1_760_000_000_000) };
    let changes = vec![
        change(0, vec![Value::Integer(3)], Edit::Delete(row(3, "Bo", Value::Null))),
        change(0, vec![Value::Integer(i64::MAX)], Edit::Insert(row(i64::MAX, "Anna", Value::Real(-0.0)))),
        change(0, vec![Value::Integer(1)], Edit::Update(vec![cell(2, Value::Real(1.0), Value::Blob(vec![0, 255]))])),
        Change {
            moved_from: Some(vec![Value::text("old")]),
            ..change(2, vec![Value::text("new")], Edit::Insert(row(9, "new", Value::Text(vec![0xff]))))
        },
    ];
    let header = Header {
        write_id: 5,
        lineage: 6,
        replica: ReplicaId(7),
        sequence: 8,
        base_version: 9,
        actor: "anna".into(),
        title: Some("Spring".into()),
        description: String::new(),
        at,
        ..Header::default()
    };
    let resolutions = vec![Resolution { conflict: u64::MAX, choice: Choice::Base, actor: "anna".into(), at }];
    let schema = vec![SchemaChange::RenameTable { from: "people".into(), to: "person".into() }];
    Changeset { front: Front { header, schema, shapes: shapes(), resolutions, count: 4, ..Front::default() }, changes }
}
