//! Nasty values and whole things made of them, for the tests of formats and digests.
use crate::change::{Again, Cell, Change, Choice, Edit, Front, Header, Past, RenumberedHere, Resolution, Shape};
use crate::conflict::{Answer, Claim, Conflict, ConflictKind, Image, Side};
use crate::event::{Collected, CollectedTombstones, Event, Genesis, PolicySet, Renumbered, Restored, TableDigest, Version, Waiting};
use crate::proposal::{
    Act, Anchor, Ballot, Decision, Failure, MergeWish, Origin, Remark, Request, Reviewed, Reviewing, Revision, Stage, TableSummary, Vote,
    Word,
};
use crate::schema::{Column, ForeignKey, Object, Schema, SchemaChange, Table};
use crate::stamp::{ReplicaId, Stamp, Time};
use crate::value::{Key, Row, Value};
use alloc::{format, string::String, vec, vec::Vec};
use proptest::collection::vec as many;
use proptest::option;
use proptest::prelude::*;

/// Integers at every edge that some format or language trips over.
pub fn integer() -> BoxedStrategy<i64> {
    prop_oneof![Just(i64::MIN), Just(i64::MAX), Just((1 << 53) - 1), Just((1 << 53) + 1), Just(-(1 << 53) - 1), -20i64..60, any::<i64>(),]
        .boxed()
}

/// Reals likewise; never NaN.
pub fn real() -> BoxedStrategy<f64> {
    prop_oneof![
        Just(-0.0),
        Just(0.0),
        Just(1.0),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(f64::MAX),
        Just(f64::MIN_POSITIVE),
        Just(f64::from_bits(1)),
        any::<u64>().prop_map(f64::from_bits).prop_filter("SQLite keeps no NaN", |r| !r.is_nan()),
    ]
    .boxed()
}

/// Values, NULL at least one in ten.
pub fn value() -> BoxedStrategy<Value> {
    let large = prop_oneof![Just(127), Just(128), Just(300), Just(70_000)];
    prop_oneof![
        2 => Just(Value::Null),
        3 => integer().prop_map(Value::Integer),
        3 => real().prop_map(Value::Real),
        3 => name().prop_map(Value::text),
        1 => Just(Value::Text(b"ab\0cd".to_vec())),
        1 => Just(Value::Text(vec![0xff, b'A'])),
        2 => many(any::<u8>(), 0..40).prop_map(Value::Blob),
        2 => many(any::<u8>(), 0..40).prop_map(Value::Text),
        1 => large.prop_map(|n| Value::Blob(vec![7; n])),
    ]
    .boxed()
}

/// Names with quotes, emoji, empty, and plain.
pub fn name() -> BoxedStrategy<String> {
    prop_oneof![Just("a\"b'c`;--".into()), Just("🦀 e\u{301}\u{0}".into()), Just(String::new()), "[a-zA-Z_ ]{1,12}"].boxed()
}

/// Times: close together, apart, and at the ends.
pub fn time() -> BoxedStrategy<Time> {
    prop_oneof![
        Just(Time(0)),
        Just(Time(u64::MAX)),
        (0u64..1000).prop_map(|ms| Time::from_ms(1_700_000_000_000 + ms)),
        any::<u64>().prop_map(Time),
    ]
    .boxed()
}

/// A shape of 1 to 7 columns, its key anywhere in it.
pub fn shape() -> BoxedStrategy<Shape> {
    (name(), 1usize..8, any::<u64>(), proptest::option::of(integer()))
        .prop_map(|(table, width, seed, highest)| {
            let columns = (0..width).map(|i| format!("c{i}\"'🦀")).collect();
            let mut key: Vec<usize> = (0..width).filter(|i| seed >> i & 1 == 1).collect();
            if key.is_empty() {
                key.push(width - 1);
            }
            if seed >> 20 & 1 == 1 {
                key.reverse();
            }
            let is_numbered = key.len() == 1 && seed >> 21 & 1 == 1;
            Shape { table, columns, key, is_numbered, highest }
        })
        .boxed()
}

/// A change that agrees with one of `shapes`.
pub fn change(shapes: Vec<Shape>) -> BoxedStrategy<Change> {
    let width = shapes.iter().map(|s| s.columns.len()).max().unwrap_or(1);
    let parts = (0..shapes.len(), many(value(), width), many(value(), width), many(any::<u64>(), width));
    (parts, integer(), 0u8..4, time())
        .prop_map(move |((table, before, after, ages), number, kind, at)| {
            let shape = &shapes[table];
            let mut row: Row = before[..shape.columns.len()].to_vec();
            if shape.is_numbered {
                row[shape.key[0]] = Value::Integer(number);
            }
            let key = shape.key_of(&row);
            let cells: Vec<Cell> = (0..shape.columns.len())
                .rev()
                .filter(|i| !shape.key.contains(i))
                .map(|i| {
                    let age = if ages[i] & 1 == 0 { 0 } else { ages[i].min(at.0) };
                    Cell { column: i, before: before[i].clone(), after: after[i].clone(), at: Time(at.0 - age) }
                })
                .collect();
            let moved_from = (kind == 3).then(|| shape.key.iter().map(|&i| after[i].clone()).collect());
            let edit = match kind {
                0 => Edit::Delete(row),
                1 if !cells.is_empty() => Edit::Update(cells),
                _ => Edit::Insert(row),
            };
            Change { table, key, edit, at, moved_from }
        })
        .boxed()
}

/// Shapes and changes that agree with them.
pub fn page() -> BoxedStrategy<(Vec<Shape>, Vec<Change>)> {
    many(shape(), 1..4).prop_flat_map(|shapes| (Just(shapes.clone()), many(change(shapes), 0..12))).boxed()
}

fn key() -> BoxedStrategy<Key> {
    many(value(), 1..4).boxed()
}

fn image() -> BoxedStrategy<Image> {
    many((name(), value()), 0..4).boxed()
}

fn column() -> BoxedStrategy<Column> {
    (name(), name(), any::<bool>(), proptest::option::of(name()), proptest::option::of(name()))
        .prop_map(|(name, declared_type, not_null, default, collation)| Column { name, declared_type, not_null, default, collation })
        .boxed()
}

fn table() -> BoxedStrategy<Table> {
    (shape(), many(column(), 8), any::<[bool; 3]>(), many(name(), 5))
        .prop_map(|(shape, mut columns, flags, names)| {
            columns.truncate(shape.columns.len());
            for (column, name) in columns.iter_mut().zip(&shape.columns) {
                column.name.clone_from(name);
            }
            let link = ForeignKey {
                columns: vec![0],
                parent: names[0].clone(),
                parent_columns: vec![names[1].clone()],
                on_delete: names[2].clone(),
                on_update: names[3].clone(),
            };
            Table {
                name: shape.table,
                columns,
                key: shape.key,
                is_numbered: shape.is_numbered,
                is_autoincrement: flags[0],
                is_without_rowid: flags[1],
                foreign_keys: if flags[2] { vec![link.clone(), link] } else { vec![] },
                sql: names[4].clone(),
            }
        })
        .boxed()
}

fn object() -> BoxedStrategy<Object> {
    (name(), name(), name(), name()).prop_map(|(kind, name, table, sql)| Object { kind, name, table, sql }).boxed()
}

/// Any schema.
pub fn schema() -> BoxedStrategy<Schema> {
    (many(table(), 0..3), many(object(), 0..3)).prop_map(|(tables, objects)| Schema { tables, objects }).boxed()
}

/// Any schema step.
pub fn step() -> BoxedStrategy<SchemaChange> {
    (0u8..9, table(), column(), object(), many(name(), 3))
        .prop_map(|(kind, table, column, object, names)| {
            let [a, b, c] = <[String; 3]>::try_from(names).expect("three were asked for");
            match kind {
                0 => SchemaChange::CreateTable { table },
                1 => SchemaChange::DropTable { name: a },
                2 => SchemaChange::RenameTable { from: a, to: b },
                3 => SchemaChange::AddColumn { table: a, column, definition: b },
                4 => SchemaChange::DropColumn { table: a, column: b },
                5 => SchemaChange::RenameColumn { table: a, from: b, to: c },
                6 => SchemaChange::Rebuild { before_sql: a, table },
                7 => SchemaChange::PutObject { object },
                _ => SchemaChange::DropObject { kind: a, name: b },
            }
        })
        .boxed()
}

fn header() -> BoxedStrategy<Header> {
    (any::<[u128; 3]>(), any::<[u64; 2]>(), name(), proptest::option::of(name()), name(), time())
        .prop_map(|(wide, numbers, actor, title, description, at)| Header {
            write_id: wide[0],
            lineage: wide[1],
            replica: ReplicaId(wide[2]),
            sequence: numbers[0],
            base_version: numbers[1],
            actor,
            title,
            description,
            at,
            made_on: Vec::new(),
        })
        .boxed()
        .prop_flat_map(|header| many(past(), 0..3).prop_map(move |made_on| Header { made_on, ..header.clone() }))
        .boxed()
}

fn past() -> BoxedStrategy<Past> {
    (any::<u128>(), any::<u64>()).prop_map(|(epoch, version)| Past { epoch, version }).boxed()
}

fn renumbered() -> BoxedStrategy<Renumbered> {
    (name(), integer(), integer(), many(value(), 2))
        .prop_map(|(table, from, to, row)| Renumbered { table, from, to, row, columns: vec!["a".into(), "b".into()] })
        .boxed()
}

fn again() -> BoxedStrategy<Again> {
    (many(past(), 0..3), many(any::<u128>(), 0..3), many(renumbered(), 0..3))
        .prop_map(|(was, stands_for, renumbered)| Again { was, stands_for, renumbered })
        .boxed()
}

fn choice() -> BoxedStrategy<Choice> {
    prop_oneof![Just(Choice::Ours), Just(Choice::Theirs), Just(Choice::Base), Just(Choice::Value), Just(Choice::Merged)].boxed()
}

fn resolution() -> BoxedStrategy<Resolution> {
    (any::<u64>(), choice(), name(), time()).prop_map(|(conflict, choice, actor, at)| Resolution { conflict, choice, actor, at }).boxed()
}

/// Any front.
pub fn front() -> BoxedStrategy<Front> {
    let here = (any::<u128>(), renumbered()).prop_map(|(made_by, row)| RenumberedHere { made_by, row });
    let hidden = (name(), many(value(), 0..3));
    let brought = (many(conflict(), 0..2), proptest::option::of(again()), many(here, 0..2), many(hidden, 0..2));
    (header(), many(step(), 0..3), many(shape(), 0..4), many(resolution(), 0..3), any::<u64>(), brought)
        .prop_map(|(header, schema, shapes, resolutions, count, (conflicts, again, renumbered_here, hidden))| Front {
            header,
            schema,
            shapes,
            resolutions,
            count,
            conflicts,
            again,
            renumbered_here,
            hidden,
            is_partial: false,
            token: None,
            sender: None,
        })
        .boxed()
}

fn claim() -> BoxedStrategy<Claim> {
    prop_oneof![value().prop_map(Claim::Cell), proptest::option::of(image()).prop_map(Claim::Row)].boxed()
}

fn side() -> BoxedStrategy<Side> {
    (claim(), time(), any::<u128>(), name())
        .prop_map(|(claim, time, replica, actor)| Side { claim, stamp: Stamp { time, replica: ReplicaId(replica) }, actor })
        .boxed()
}

/// Any conflict.
pub fn conflict() -> BoxedStrategy<Conflict> {
    let answer = (choice(), proptest::option::of(name()), time()).prop_map(|(choice, actor, at)| Answer { choice, actor, at });
    let claims = (claim(), side(), side(), proptest::option::of(answer));
    let names = (name(), proptest::option::of(name()), name(), name());
    (any::<[u64; 2]>(), 0usize..8, key(), claims, names)
        .prop_map(|(numbers, kind, key, (base, ours, theirs, answer), (table, column, strategy, detail))| Conflict {
            id: numbers[0],
            kind: ConflictKind::ALL[kind],
            table,
            key,
            column,
            base,
            ours,
            theirs,
            strategy,
            detail,
            version: numbers[1],
            answer,
        })
        .boxed()
}

fn version() -> BoxedStrategy<Version> {
    let digest = (name(), any::<u64>(), any::<[u8; 32]>()).prop_map(|(table, rows, sum)| TableDigest { table, rows, sum });
    let waiting = (name(), key(), name(), key());
    let lists = (
        many(renumbered(), 0..3),
        many(conflict(), 0..3),
        many(resolution(), 0..3),
        many(waiting, 12),
        many((any::<u128>(), name(), key()), 0..3),
        many(digest, 0..3),
    );
    let places =
        (many(past(), 0..3), many(any::<u128>(), 0..3), many(renumbered(), 0..2), option::of(reviewed()), many(option::of(name()), 2));
    (header(), any::<[u64; 3]>(), time(), many(step(), 0..3), page(), any::<[u8; 32]>(), lists, places)
        .prop_map(|(header, numbers, accepted_at, schema, (shapes, changes), body, lists, places)| {
            let (was, stands_for, renumbered_here, review, mut labels) = places;
            let (renumbered, conflicts, resolved, waiting, released, tables) = lists;
            let waiting = waiting.into_iter().zip(changes).map(|((table, key, parent, parent_key), change)| Waiting {
                table,
                key,
                parent,
                parent_key,
                change,
            });
            Version {
                version: numbers[0],
                header,
                accepted_at,
                schema,
                shapes,
                count: numbers[1],
                pages: numbers[2],
                body,
                renumbered,
                conflicts,
                resolved,
                waiting: waiting.collect(),
                released,
                tables,
                was,
                stands_for,
                renumbered_here,
                review,
                token: labels.pop().flatten(),
                sender: labels.pop().flatten(),
            }
        })
        .boxed()
}

fn ballot() -> BoxedStrategy<Ballot> {
    (any::<u64>(), any::<[u8; 32]>(), 0..Word::ALL.len(), name())
        .prop_map(|(revision, digest, word, comment)| Ballot { revision, digest, word: Word::ALL[word], comment })
        .boxed()
}

fn wish() -> BoxedStrategy<MergeWish> {
    (any::<u128>(), option::of(any::<[u8; 32]>()), option::of(any::<u64>()), any::<[bool; 4]>())
        .prop_map(|(request, digest, expected, [may_alter, skip_conflicts, force, keep_staging])| MergeWish {
            request,
            digest,
            expected,
            may_alter,
            skip_conflicts,
            force,
            keep_staging,
        })
        .boxed()
}

fn reviewed() -> BoxedStrategy<Reviewed> {
    let vote = (name(), option::of(name()), time(), ballot()).prop_map(|(actor, token, at, ballot)| Vote { actor, token, at, ballot });
    (any::<[u64; 2]>(), any::<[u8; 32]>(), name(), option::of(name()), many(vote, 0..3), wish(), many(name(), 0..3))
        .prop_map(|([proposal, revision], digest, actor, token, votes, wish, warnings)| Reviewed {
            proposal,
            revision,
            digest,
            actor,
            token,
            votes,
            wish,
            warnings,
            gates: Vec::new(),
        })
        .boxed()
}

fn act() -> BoxedStrategy<Act> {
    let origin = prop_oneof![
        Just(Origin::Replica),
        Just(Origin::Resolution),
        any::<u64>().prop_map(Origin::Part),
        any::<u64>().prop_map(Origin::Revert),
        Just(Origin::Partial)
    ];
    let table = (name(), any::<[u64; 4]>()).prop_map(|(table, [inserted, updated, deleted, cells])| TableSummary {
        table,
        inserted,
        updated,
        deleted,
        cells,
    });
    let revision = (any::<u64>(), any::<[u8; 32]>(), many(name(), 0..3), origin, many(table, 0..3)).prop_map(
        |(pages, body, authors, origin, tables)| Act::Revise(Revision { front: fixed::front(), pages, body, authors, origin, tables }),
    );
    let anchor = prop_oneof![
        Just(Anchor::Whole),
        (name(), key()).prop_map(|(table, key)| Anchor::Row(table, key)),
        (name(), key(), name()).prop_map(|(table, key, column)| Anchor::Cell(table, key, column)),
    ];
    let remark = (anchor, option::of(1..=u64::MAX), any::<u64>(), name())
        .prop_map(|(anchor, reply_to, revision, text)| Act::Comment(Remark { anchor, reply_to, revision, text }));
    let decision = (0..Stage::ALL.len(), name()).prop_map(|(stage, reason)| Act::Decide(Decision { stage: Stage::ALL[stage], reason }));
    let failure = (name(), name()).prop_map(|(code, message)| Act::FailMerge(Failure { code, message }));
    prop_oneof![revision, ballot().prop_map(Act::Vote), remark, decision, wish().prop_map(Act::BeginMerge), failure, Just(Act::Unstage)]
        .boxed()
}

fn reviewing() -> BoxedStrategy<Event> {
    let request = option::of((any::<u128>(), any::<[u8; 32]>()).prop_map(|(key, content)| Request { key, content }));
    (any::<u64>(), name(), option::of(name()), time(), act(), request)
        .prop_map(|(proposal, actor, token, at, act, request)| Event::Review(Reviewing { proposal, actor, token, at, act, request }))
        .boxed()
}

/// Any event.
pub fn event() -> BoxedStrategy<Event> {
    let genesis = (any::<[u128; 2]>(), name(), name(), time(), schema()).prop_map(|(wide, dataset, actor, at, schema)| {
        Event::Genesis(Genesis { lineage: wide[0], epoch: wide[1], dataset, actor, at, schema })
    });
    let policy = (name(), name(), time()).prop_map(|(text, actor, at)| Event::Policy(PolicySet { text, actor, at }));
    let restored = (any::<[u128; 2]>(), any::<u64>(), name(), name(), time()).prop_map(|(wide, version, from, actor, at)| {
        Event::Restored(Restored { epoch: wide[0], before: wide[1], version, from, actor, at })
    });
    let of_table = (name(), any::<[u64; 2]>(), time()).prop_map(|(table, [through, count], until)| CollectedTombstones {
        table,
        through,
        until,
        count,
    });
    let replicas = many(any::<u128>().prop_map(ReplicaId), 0..3);
    let collected = (name(), time(), any::<u64>(), many(of_table, 0..3), replicas)
        .prop_map(|(actor, at, horizon, tombstones, expired)| Event::Collected(Collected { actor, at, horizon, tombstones, expired }));
    prop_oneof![1 => genesis, 3 => version().prop_map(Event::Version), 1 => policy, 1 => collected, 1 => restored, 2 => reviewing()].boxed()
}

/// One of everything, the same every time: what the kept bytes of version 1 hold.
pub mod fixed {
    use super::*;

    pub fn values() -> Vec<Value> {
        vec![
            Value::Null,
            Value::Integer(-16),
            Value::Integer(47),
            Value::Integer(48),
            Value::Integer(i64::MIN),
            Value::Integer(i64::MAX),
            Value::Real(-0.0),
            Value::Real(1.5),
            Value::Real(f64::NEG_INFINITY),
            Value::text("Anna \u{1F980}"),
            Value::Text(vec![b'x'; 130]),
            Value::Text(vec![0xff, 0]),
            Value::Blob(vec![]),
            Value::Blob(vec![1; 40]),
        ]
    }

    pub fn time() -> Time {
        Time::from_ms(1_760_000_000_123)
    }

    pub fn shapes() -> Vec<Shape> {
        let names = |names: &[&str]| names.iter().map(|n| String::from(*n)).collect();
        vec![
            Shape {
                table: "person".into(),
                columns: names(&["id", "name", "weight"]),
                key: vec![0],
                is_numbered: true,
                highest: Some(900),
            },
            Shape { table: "Tag \"x\"".into(), columns: names(&["b", "a", "note"]), key: vec![1, 0], ..Shape::default() },
        ]
    }

    pub fn changes() -> Vec<Change> {
        let person = |id: i64| vec![Value::Integer(id), Value::text("Anna"), Value::Real(61.5)];
        let number = |id: i64| vec![Value::Integer(id)];
        let at = time();
        let earlier = Time(at.0 - 70_000);
        let cell = |column, after: Value, at| Cell { column, before: Value::Null, after, at };
        let change = |table, key, edit, at| Change { table, key, edit, at, moved_from: None };
        let pair = vec![Value::text("b"), Value::Blob(vec![9])];
        vec![
            change(1, pair.clone(), Edit::Delete(vec![Value::Blob(vec![9]), Value::text("b"), Value::Null]), at),
            change(0, number(1), Edit::Insert(person(1)), earlier),
            change(0, number(2), Edit::Insert(person(2)), at),
            Change { moved_from: Some(number(7)), ..change(0, number(900), Edit::Insert(person(900)), at) },
            change(0, number(-5), Edit::Update(vec![cell(2, Value::Real(-0.0), at), cell(1, Value::Null, earlier)]), at),
            change(1, pair, Edit::Update(vec![cell(2, Value::text("née"), at)]), at),
        ]
    }

    pub fn table() -> Table {
        let column = |name: &str| Column { name: name.into(), ..Column::default() };
        Table {
            name: "person".into(),
            columns: vec![
                Column { name: "id".into(), declared_type: "INTEGER".into(), ..Column::default() },
                Column {
                    name: "name".into(),
                    declared_type: "TEXT".into(),
                    not_null: true,
                    default: Some("''".into()),
                    collation: Some("NOCASE".into()),
                },
                column("boss"),
            ],
            key: vec![0],
            is_numbered: true,
            is_autoincrement: true,
            is_without_rowid: true,
            foreign_keys: vec![ForeignKey {
                columns: vec![2],
                parent: "person".into(),
                parent_columns: vec!["id".into()],
                on_delete: "CASCADE".into(),
                on_update: "NO ACTION".into(),
            }],
            sql: "CREATE TABLE person(id INTEGER PRIMARY KEY)".into(),
        }
    }

    pub fn schema() -> Schema {
        Schema { tables: vec![table(), Table::default()], objects: vec![object()] }
    }

    fn object() -> Object {
        Object { kind: "index".into(), name: "by_name".into(), table: "person".into(), sql: "CREATE INDEX by_name ON person(name)".into() }
    }

    pub fn steps() -> Vec<SchemaChange> {
        let [a, b, c] = ["a", "b", "c"].map(String::from);
        vec![
            SchemaChange::CreateTable { table: table() },
            SchemaChange::DropTable { name: a.clone() },
            SchemaChange::RenameTable { from: a.clone(), to: b.clone() },
            SchemaChange::AddColumn {
                table: a.clone(),
                column: table().columns[1].clone(),
                definition: "name TEXT NOT NULL DEFAULT ''".into(),
            },
            SchemaChange::DropColumn { table: a.clone(), column: b.clone() },
            SchemaChange::RenameColumn { table: a.clone(), from: b.clone(), to: c },
            SchemaChange::Rebuild { before_sql: "CREATE TABLE person(id)".into(), table: table() },
            SchemaChange::PutObject { object: object() },
            SchemaChange::DropObject { kind: a, name: b },
        ]
    }

    fn header() -> Header {
        Header {
            write_id: 0x1111_2222_3333_4444_5555_6666_7777_8888,
            lineage: 0x9999,
            replica: ReplicaId(u128::MAX),
            sequence: 300,
            base_version: 41,
            actor: "anna".into(),
            title: Some("Spring".into()),
            description: "two\nlines".into(),
            at: time(),
            ..Header::default()
        }
    }

    pub fn resolutions() -> Vec<Resolution> {
        let choices = [Choice::Ours, Choice::Theirs, Choice::Base, Choice::Value, Choice::Merged];
        (1..).zip(choices).map(|(conflict, choice)| Resolution { conflict, choice, actor: "bo".into(), at: time() }).collect()
    }

    pub fn front() -> Front {
        Front { header: header(), schema: steps(), shapes: shapes(), resolutions: resolutions(), count: 6, ..Front::default() }
    }

    /// A changeset that is offered again, and the event that goes before it.
    pub fn again() -> (Front, Event) {
        let was = vec![Past { epoch: 8, version: 43 }, Past { epoch: u128::MAX, version: 44 }];
        let restored = Restored { epoch: 9, before: 8, version: 42, from: "people.backup".into(), actor: "anna".into(), at: time() };
        let again = Again {
            was: was.clone(),
            stands_for: vec![1, u128::MAX],
            renumbered: vec![Renumbered {
                table: "person".into(),
                from: 5,
                to: -6,
                row: vec![Value::Integer(5)],
                columns: vec!["id".into()],
            }],
        };
        let header = Header { made_on: was, ..header() };
        (Front { header, conflicts: conflicts(), again: Some(again), ..front() }, Event::Restored(restored))
    }

    /// A changeset that calls rows by other numbers than they had first, and the version it may become.
    pub fn renumbered_here() -> (Front, Event) {
        let row = Renumbered { table: "person".into(), from: 16, to: -19, row: vec![Value::Integer(16)], columns: vec!["id".into()] };
        let version = Version { version: 43, renumbered_here: vec![row.clone()], ..Version::default() };
        (Front { renumbered_here: vec![RenumberedHere { made_by: u128::MAX, row }], ..front() }, Event::Version(version))
    }

    /// A changeset whose author's copy did not show rows as earlier ones made them.
    pub fn hidden() -> Front {
        let hidden = vec![("person".into(), vec![Value::Integer(3)]), ("tag".into(), vec![Value::text("a"), Value::Null])];
        Front { hidden, ..front() }
    }

    pub fn conflicts() -> Vec<Conflict> {
        let side = |claim, actor: &str| Side { claim, stamp: Stamp { time: time(), replica: ReplicaId(5) }, actor: actor.into() };
        let conflict = |id, kind| Conflict {
            id,
            kind,
            table: "person".into(),
            key: vec![Value::Integer(1)],
            column: Some("name".into()),
            base: Claim::Cell(Value::Null),
            ours: side(Claim::Cell(Value::text("Ann")), "anna"),
            theirs: side(Claim::Cell(Value::Real(1.0)), "bo"),
            strategy: "last-write-wins".into(),
            detail: "name".into(),
            version: 42,
            answer: None,
        };
        let mut all: Vec<Conflict> = (1..).zip(ConflictKind::ALL).map(|(id, kind)| conflict(id, kind)).collect();
        all.push(Conflict {
            column: None,
            base: Claim::Row(None),
            ours: side(Claim::Row(Some(vec![("id".into(), Value::Integer(1))])), "anna"),
            answer: Some(Answer { choice: Choice::Theirs, actor: Some("cy".into()), at: time() }),
            ..conflict(u64::MAX, ConflictKind::CreateCreate)
        });
        all
    }

    pub fn events() -> Vec<Event> {
        let waiting = changes().into_iter().take(2).map(|change| Waiting {
            table: "person".into(),
            key: change.key.clone(),
            parent: "team".into(),
            parent_key: vec![Value::text("t")],
            change,
        });
        vec![
            Event::Genesis(Genesis { lineage: 7, epoch: 8, dataset: "people".into(), actor: "anna".into(), at: time(), schema: schema() }),
            Event::Version(Version {
                version: 42,
                header: header(),
                accepted_at: time(),
                schema: steps(),
                shapes: shapes(),
                count: 6,
                pages: 1,
                body: [3; 32],
                renumbered: vec![Renumbered {
                    table: "person".into(),
                    from: 5,
                    to: -6,
                    row: vec![Value::Integer(5)],
                    columns: vec!["id".into()],
                }],
                conflicts: conflicts(),
                resolved: resolutions(),
                waiting: waiting.collect(),
                released: vec![(9, "person".into(), vec![Value::Integer(3)])],
                tables: vec![TableDigest { table: "person".into(), rows: 1000, sum: [4; 32] }],
                ..Version::default()
            }),
            Event::Policy(PolicySet { text: "[dataset]\n".into(), actor: "anna".into(), at: time() }),
            Event::Collected(Collected {
                actor: "anna".into(),
                at: time(),
                horizon: 40,
                tombstones: vec![CollectedTombstones { table: "person".into(), through: 39, until: time(), count: 300 }],
                expired: vec![ReplicaId(5)],
            }),
        ]
    }
}
