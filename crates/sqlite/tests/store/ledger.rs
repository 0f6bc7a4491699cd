//! The contract of the ledger: one chain, compare and append, and projections that follow the events.
use mainstem::audit::Differing;
use mainstem::core::change::{Cell, Change, Choice, Edit, Header, Resolution, Shape};
use mainstem::core::conflict::{Claim, Conflict, ConflictKind, Side};
use mainstem::core::event::{Event, Genesis, PolicySet, Renumbered, Restored, TableDigest, Version, Waiting};
use mainstem::core::format;
use mainstem::core::schema::SchemaChange;
use mainstem::core::stamp::{ReplicaId, Stamp, Time};
use mainstem::core::value::Value;
use mainstem::core::{ErrorKind, event::Digest};
use mainstem::ledger::{Appended, Head, Ledger};
use mainstem_sqlite::ledger::{SqliteLedger, create, exists};
use rusqlite::Connection;

fn database() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    assert!(!exists(&db).unwrap());
    create(&db).unwrap();
    assert!(exists(&db).unwrap());
    db
}

fn shape(table: &str) -> Shape {
    Shape { table: table.into(), columns: vec!["id".into(), "v".into()], key: vec![0], is_numbered: true, highest: None }
}

fn insert(table: usize, id: i64, v: &str) -> Change {
    let row = vec![Value::Integer(id), v.into()];
    Change { table, key: vec![Value::Integer(id)], edit: Edit::Insert(row), at: Time(7), moved_from: None }
}

fn update(id: i64, before: &str, after: &str) -> Change {
    let cell = Cell { column: 1, before: before.into(), after: after.into(), at: Time(8) };
    Change { table: 0, key: vec![Value::Integer(id)], edit: Edit::Update(vec![cell]), at: Time(8), moved_from: None }
}

fn version(number: u64) -> Version {
    let header = Header {
        write_id: u128::MAX - u128::from(number),
        replica: ReplicaId(9),
        sequence: number,
        actor: format!("actor {number}"),
        ..Header::default()
    };
    Version { version: number, header, shapes: vec![shape("t"), shape("u")], ..Version::default() }
}

fn append(ledger: &mut SqliteLedger<'_>, event: Event) -> Head {
    let head = ledger.head().unwrap();
    match ledger.append(&head, &event).unwrap() {
        Appended::Done(head) => head,
        Appended::Stale(head) => panic!("stale at {head:?}"),
    }
}

fn append_version(ledger: &mut SqliteLedger<'_>, mut version: Version, pages: &[Vec<Change>]) -> Head {
    for (page, changes) in pages.iter().enumerate() {
        let bytes = format::page::encode(&version.shapes, changes);
        ledger.put_page(version.version, page as u64, &bytes, &version.shapes, changes).unwrap();
    }
    version.pages = pages.len() as u64;
    append(ledger, Event::Version(version))
}

fn conflict(id: u64, number: u64) -> Conflict {
    let side = |v: &str| Side { claim: Claim::Cell(v.into()), stamp: Stamp::default(), actor: "a".into() };
    Conflict {
        id,
        kind: ConflictKind::UpdateUpdate,
        table: "t".into(),
        key: vec![Value::Integer(1)],
        column: Some("v".into()),
        base: Claim::Row(None),
        ours: side("ours"),
        theirs: side("theirs"),
        strategy: "manual".into(),
        detail: String::new(),
        version: number,
        answer: None,
    }
}

#[test]
fn events_form_one_chain_and_heads_are_compared() {
    let db = database();
    let mut ledger = SqliteLedger::new(&db);
    let empty = ledger.head().unwrap();
    assert_eq!(empty, Head::default());
    let genesis =
        Event::Genesis(Genesis { lineage: 1, epoch: 2, dataset: "d".into(), actor: "a".into(), at: Time(1), schema: Default::default() });
    let first = append(&mut ledger, genesis.clone());
    assert_eq!((first.events, first.version), (1, 0));
    assert_eq!(ledger.append(&empty, &genesis).unwrap(), Appended::Stale(first));
    assert_eq!(ledger.policy_text().unwrap(), "");
    for text in ["a = 1", "a = 2"] {
        append(&mut ledger, Event::Policy(PolicySet { text: text.into(), actor: "a".into(), at: Time(2) }));
    }
    assert_eq!(ledger.policy_text().unwrap(), "a = 2");
    let last = append_version(&mut ledger, version(1), &[]);
    assert_eq!((last.events, last.version), (4, 1));
    let mut hash = Digest::default();
    for position in 1..=4 {
        let (body, stored) = ledger.event(position).unwrap().unwrap();
        hash = format::event::chain(&hash, &body);
        assert_eq!(stored, hash);
    }
    assert_eq!(last.hash, hash);
    assert_eq!(ledger.version_hash(1).unwrap(), Some(hash));
    assert_eq!(ledger.version_event(1).unwrap().unwrap().1, hash);
    assert_eq!(ledger.event(5).unwrap(), None);
    assert_eq!(ledger.version(2).unwrap(), None);
    assert_eq!(SqliteLedger::new(&db).head().unwrap(), last);
    assert_eq!(ledger.find_write(u128::MAX - 1).unwrap(), Some(1));
    assert_eq!(ledger.find_write(1).unwrap(), None);
}

#[test]
fn a_version_out_of_order_or_without_its_pages_is_refused() {
    let db = database();
    let mut ledger = SqliteLedger::new(&db);
    let head = ledger.head().unwrap();
    let mut refuse = |version: Version| ledger.append(&head, &Event::Version(version)).unwrap_err().kind;
    assert_eq!(refuse(version(2)), ErrorKind::Internal);
    assert_eq!(refuse(Version { pages: 1, ..version(1) }), ErrorKind::Internal);
    assert_eq!(ledger.head().unwrap(), head);
    append_version(&mut ledger, version(1), &[vec![insert(0, 1, "a")]]);
    let twice = Version { header: version(1).header, ..version(2) };
    let head = ledger.head().unwrap();
    assert_eq!(ledger.append(&head, &Event::Version(twice)).unwrap_err().kind, ErrorKind::Conflict);
}

#[test]
fn pages_and_touches_are_found_by_row_and_version() {
    let db = database();
    let mut ledger = SqliteLedger::new(&db);
    append_version(&mut ledger, version(1), &[vec![insert(0, 1, "a"), insert(0, 2, "b")], vec![insert(1, 1, "other")]]);
    append_version(&mut ledger, version(2), &[vec![update(1, "a", "c")]]);
    append_version(&mut ledger, version(3), &[vec![update(1, "c", "d"), update(2, "b", "e")]]);
    let touches = |ledger: &mut SqliteLedger<'_>, table: &str, id: i64, after: u64| {
        let touches = ledger.touches(table, &vec![Value::Integer(id)], after).unwrap();
        touches.into_iter().map(|t| (t.version, t.change, t.actor.to_string())).collect::<Vec<_>>()
    };
    let second = (2, update(1, "a", "c"), "actor 2".to_string());
    let third = (3, update(1, "c", "d"), "actor 3".to_string());
    assert_eq!(touches(&mut ledger, "t", 1, 1), [second.clone(), third.clone()]);
    assert_eq!(touches(&mut ledger, "T", 1, 0), [(1, insert(0, 1, "a"), "actor 1".into()), second, third]);
    assert_eq!(touches(&mut ledger, "t", 1, 3), []);
    assert_eq!(touches(&mut ledger, "none", 1, 0), []);
    assert_eq!(touches(&mut ledger, "u", 1, 0), [(1, insert(1, 1, "other"), "actor 1".into())]);
    assert!(ledger.touches("t", &vec![Value::text("1")], 0).unwrap().is_empty());
    let mut touched = Vec::new();
    let mut visit = |key: &Vec<Value>| {
        touched.push(key[0].as_integer().unwrap());
        Ok(())
    };
    ledger.touched("t", 1, &mut visit).unwrap();
    assert_eq!(touched, [1, 2]);
    assert!(ledger.page(1, 1).unwrap().is_some());
    assert_eq!(ledger.page(1, 2).unwrap(), None);
    assert_eq!(ledger.last_sequence(ReplicaId(9)).unwrap(), 3);
    assert_eq!(ledger.last_sequence(ReplicaId(8)).unwrap(), 0);
    let mut late = version(4);
    late.header.sequence = 0;
    append_version(&mut ledger, late, &[]);
    assert_eq!(ledger.last_sequence(ReplicaId(9)).unwrap(), 3);
}

#[test]
fn touches_follow_a_table_through_renames_and_end_with_it() {
    let db = database();
    let mut ledger = SqliteLedger::new(&db);
    let rename = |from: &str, to: &str| SchemaChange::RenameTable { from: from.into(), to: to.into() };
    append_version(&mut ledger, version(1), &[vec![insert(0, 1, "of t"), insert(1, 1, "of u")]]);
    // The two tables swap their names, and the version's own pages use the new ones.
    let steps = vec![rename("t", "x"), rename("u", "t"), rename("x", "u")];
    let swapped = Version { schema: steps.clone(), ..version(2) };
    append_version(&mut ledger, swapped, &[vec![insert(0, 2, "was u"), insert(1, 2, "was t")]]);
    let values = |ledger: &mut SqliteLedger<'_>, table: &str, id: i64| {
        let touches = ledger.touches(table, &vec![Value::Integer(id)], 0).unwrap();
        touches
            .into_iter()
            .map(|t| match t.change.edit {
                Edit::Insert(row) => row[1].as_text().unwrap().into_owned(),
                _ => panic!("only inserts were made"),
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(values(&mut ledger, "t", 1), ["of u"]);
    assert_eq!(values(&mut ledger, "u", 1), ["of t"]);
    assert_eq!(values(&mut ledger, "t", 2), ["was u"]);
    // Dropped and made again in one version: the new table does not inherit what happened to the old one's rows.
    let drop = SchemaChange::DropTable { name: "t".into() };
    let made = Version { schema: vec![drop.clone()], ..version(3) };
    append_version(&mut ledger, made, &[vec![insert(0, 1, "new")]]);
    assert_eq!(values(&mut ledger, "t", 1), ["new"]);
    assert_eq!(values(&mut SqliteLedger::new(&db), "u", 1), ["of t"]);
    assert_eq!(ledger.steps(0).unwrap(), [steps, vec![drop.clone()]].concat());
    assert_eq!(ledger.steps(2).unwrap(), [drop]);
}

#[test]
fn what_a_drop_takes_away_follows_a_rename_of_the_same_version() {
    let db = database();
    let mut ledger = SqliteLedger::new(&db);
    append_version(&mut ledger, version(1), &[vec![insert(0, 1, "one")]]);
    let steps = vec![
        SchemaChange::DropColumn { table: "t".into(), column: "v".into() },
        SchemaChange::RenameTable { from: "t".into(), to: "x".into() },
    ];
    let mut taken = update(1, "one", "");
    let Edit::Update(cells) = &mut taken.edit else { panic!("it is an update") };
    cells[0].after = Value::Null;
    append_version(&mut ledger, Version { schema: steps, ..version(2) }, &[vec![taken]]);
    assert_eq!(ledger.touches("x", &vec![Value::Integer(1)], 0).unwrap().len(), 2);
}

#[test]
fn conflicts_stay_until_they_are_answered() {
    let db = database();
    let mut ledger = SqliteLedger::new(&db);
    let found = Version { conflicts: vec![conflict(u64::MAX, 1), conflict(5, 1)], ..version(1) };
    append_version(&mut ledger, found, &[]);
    let ids = |ledger: &mut SqliteLedger<'_>, open| ledger.conflicts(open).unwrap().iter().map(|c| c.id).collect::<Vec<_>>();
    assert_eq!(ids(&mut ledger, true), [u64::MAX, 5]);
    assert_eq!(ledger.conflict(5).unwrap(), Some(conflict(5, 1)));
    let answer = Resolution { conflict: u64::MAX, choice: Choice::Theirs, actor: "judge".into(), at: Time(9) };
    append_version(&mut ledger, Version { resolved: vec![answer.clone()], ..version(2) }, &[]);
    assert_eq!(ids(&mut ledger, true), [5]);
    assert_eq!(ids(&mut ledger, false), [u64::MAX, 5]);
    let answered = ledger.conflict(u64::MAX).unwrap().unwrap().answer.unwrap();
    assert_eq!((answered.choice, answered.actor.as_deref(), answered.at), (Choice::Theirs, Some("judge"), Time(9)));
    append_version(&mut ledger, Version { conflicts: vec![conflict(u64::MAX, 3)], ..version(3) }, &[]);
    assert_eq!(ids(&mut ledger, true), [5, u64::MAX]);
    assert_eq!(ledger.conflict(1).unwrap(), None);
    let unknown = Version { resolved: vec![Resolution { conflict: 77, ..answer }], ..version(4) };
    let head = ledger.head().unwrap();
    assert!(ledger.append(&head, &Event::Version(unknown)).is_err());
}

#[test]
fn what_waits_is_kept_until_it_is_released() {
    let db = database();
    let mut ledger = SqliteLedger::new(&db);
    let waiting = |id: i64| Waiting {
        table: "t".into(),
        key: vec![Value::Integer(id)],
        parent: "p".into(),
        parent_key: vec![Value::Integer(id)],
        change: insert(0, id, "child"),
    };
    append_version(&mut ledger, Version { waiting: vec![waiting(1), waiting(2)], ..version(1) }, &[]);
    let released = vec![(version(1).header.write_id, "T".to_string(), vec![Value::Integer(1)])];
    let late = Version { released, waiting: vec![waiting(3)], ..version(2) };
    append_version(&mut ledger, late, &[]);
    let left: Vec<_> = ledger.waiting().unwrap().into_iter().map(|(v, w)| (v.version, w)).collect();
    assert_eq!(left, [(1, waiting(2)), (2, waiting(3))]);
    db.execute("DELETE FROM mainstem_waiting WHERE version = 1", []).unwrap();
    let mended = Differing { projection: "mainstem_waiting".into(), missing: 1, extra: 0 };
    assert_eq!(ledger.examine().unwrap(), std::slice::from_ref(&mended));
    assert_eq!(ledger.rebuild().unwrap(), [mended]);
    assert_eq!(ledger.examine().unwrap(), []);
    assert_eq!(ledger.waiting().unwrap().len(), 2);
    append(&mut ledger, Event::Restored(Restored::default()));
    db.execute("DELETE FROM mainstem_epoch", []).unwrap();
    let mended = Differing { projection: "mainstem_epoch".into(), missing: 1, extra: 0 };
    assert_eq!(ledger.rebuild().unwrap(), [mended]);
    assert_eq!(ledger.examine().unwrap(), []);
}

#[test]
fn digests_and_renumberings_are_those_of_the_versions() {
    let db = database();
    let mut ledger = SqliteLedger::new(&db);
    let digest = |table: &str, rows| TableDigest { table: table.into(), rows, sum: [rows as u8; 32] };
    let number = |from| Renumbered {
        table: "t".into(),
        from,
        to: from + 100,
        row: vec![Value::Integer(from), "v".into()],
        columns: vec!["id".into(), "v".into()],
    };
    append_version(&mut ledger, Version { tables: vec![digest("z", 1), digest("a", 2)], renumbered: vec![number(1)], ..version(1) }, &[]);
    assert_eq!(ledger.digests().unwrap(), [digest("z", 1), digest("a", 2)]);
    append_version(&mut ledger, Version { tables: vec![digest("a", 3)], renumbered: vec![number(2)], ..version(2) }, &[]);
    assert_eq!(ledger.digests().unwrap(), [digest("a", 3)]);
    let made_on = [1, 2].map(|number| version(number).header.base_version);
    assert_eq!(ledger.renumbered(ReplicaId(9), 0).unwrap(), [(made_on[0], number(1)), (made_on[1], number(2))]);
    assert_eq!(ledger.renumbered(ReplicaId(9), 1).unwrap(), [(made_on[1], number(2))]);
    assert_eq!(ledger.renumbered(ReplicaId(8), 0).unwrap(), []);
}

#[test]
fn a_lost_page_is_called_damage() {
    let db = database();
    let mut ledger = SqliteLedger::new(&db);
    append_version(&mut ledger, version(1), &[vec![insert(0, 1, "a")]]);
    db.execute_batch("DELETE FROM mainstem_page").unwrap();
    let lost = SqliteLedger::new(&db).touches("t", &vec![Value::Integer(1)], 0).unwrap_err();
    assert_eq!(lost.kind, ErrorKind::Corrupt);
    assert!(lost.hint.is_some());
}
