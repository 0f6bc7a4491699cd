//! Merging, condensing and inverting: the laws that hold whatever the values are.
use crate::{part, parts};
use mainstem_core::change::{Cell, Change, Changeset, Choice, Edit, Shape};
use mainstem_core::condense;
use mainstem_core::format::session::{self, Act, Form};
use mainstem_core::format::value;
use mainstem_core::stamp::{ReplicaId, Stamp, Time};
use mainstem_core::strategy::{CellOutcome, CellSide, Context, Strategy, merge_cell};
use mainstem_core::text::{self, Merged};
use mainstem_core::value::{Row, Value};

fn three(bytes: &[u8]) -> [&[u8]; 3] {
    let (base, rest) = part(bytes);
    let (ours, theirs) = part(rest);
    [base, ours, theirs]
}

/// Sides may be swapped; a side that changed nothing, or the same, leaves the other's; overlaps lie within the texts.
pub fn text(bytes: &[u8]) {
    let [base, ours, theirs] = three(bytes);
    let merged = text::merge(base, ours, theirs);
    match (&merged, &text::merge(base, theirs, ours)) {
        (Merged::Clean(one), Merged::Clean(other)) => assert_eq!(one, other, "whichever is ours"),
        (Merged::Overlapping(one), Merged::Overlapping(other)) => {
            assert!(!one.is_empty() && one.len() == other.len());
            for (one, other) in one.iter().zip(other) {
                assert_eq!((&one.base, &one.ours, &one.theirs), (&other.base, &other.theirs, &other.ours));
                assert!(base.get(one.base.clone()).is_some() && ours.get(one.ours.clone()).is_some());
                assert!(theirs.get(one.theirs.clone()).is_some());
            }
        }
        (one, other) => panic!("{one:?} one way, {other:?} the other"),
    }
    for side in [ours, theirs] {
        assert_eq!(text::merge(base, side, base), Merged::Clean(side.to_vec()));
        assert_eq!(text::merge(base, side, side), Merged::Clean(side.to_vec()));
    }
    let is_valid = [base, ours, theirs].iter().all(|text| std::str::from_utf8(text).is_ok());
    if let (true, Merged::Clean(merged)) = (is_valid, merged) {
        std::str::from_utf8(&merged).expect("characters are never cut");
    }
}

pub fn text_seeds() -> Vec<Vec<u8>> {
    let texts: [[&str; 3]; 6] = [
        ["one two three", "one 2 three", "one two three four"],
        ["a\nb\nc\n", "a\nB\nc\n", "a\nb\nC\n"],
        ["10", "100", "20"],
        ["", "é", "e\u{301}"],
        ["the same line\n", "the same line\nand\n", "and\nthe same line\n"],
        ["aaaa", "aa", "aaaaaa"],
    ];
    texts.iter().map(|three| parts(&three.map(str::as_bytes))).collect()
}

/// Every strategy: whichever side is ours, the same holds; an agreement with one side alone is that side's.
pub fn strategy(bytes: &[u8]) {
    let (Some(&which), rest) = (bytes.first(), bytes.get(1..).unwrap_or_default()) else { return };
    let [base, ours, theirs] = three(rest).map(|bytes| value::decode(bytes).unwrap_or_else(|_| Value::Text(bytes.to_vec())));
    let stamp = |time: u8, replica: u8| Stamp { time: Time(time.into()), replica: ReplicaId(replica.into()) };
    let side = |value, is_first: bool| CellSide {
        value,
        stamp: if is_first { stamp(which & 3, 1) } else { stamp(which >> 2 & 3, 2) },
        actor: if is_first { "ann" } else { "ben" },
        rank: Value::Integer(i64::from(if is_first { which >> 4 & 1 } else { which >> 5 & 1 })),
        is_primary: is_first && which & 64 != 0,
    };
    let context = Context { delimiter: (which & 128 != 0).then_some("; ") };
    for strategy in Strategy::ALL {
        let (first, second) = (side(&ours, true), side(&theirs, false));
        let one = merge_cell(strategy, &context, &base, &first, &second);
        let other = merge_cell(strategy, &context, &base, &second, &first);
        assert_eq!(one, swapped(other), "{}: {base:?} {ours:?} {theirs:?}", strategy.name());
        if !strategy.combines() {
            assert!([&base, &ours, &theirs].contains(&one.value()), "{}", strategy.name());
        }
        let alone = merge_cell(strategy, &context, &base, &first, &side(&base, false));
        assert_eq!(alone, CellOutcome::Agreed(ours.clone()), "{}", strategy.name());
    }
}

fn swapped(outcome: CellOutcome) -> CellOutcome {
    let swap = |choice| match choice {
        Choice::Ours => Choice::Theirs,
        Choice::Theirs => Choice::Ours,
        other => other,
    };
    match outcome {
        CellOutcome::Agreed(value) => CellOutcome::Agreed(value),
        CellOutcome::Answered { value, choice } => CellOutcome::Answered { value, choice: swap(choice) },
        CellOutcome::Open { value, held } => CellOutcome::Open { value, held: swap(held) },
    }
}

pub fn strategy_seeds() -> Vec<Vec<u8>> {
    let threes: [[Value; 3]; 8] = [
        [Value::Integer(1), Value::Integer(4), Value::Integer(-2)],
        [Value::Integer(i64::MAX), Value::Integer(i64::MIN), Value::Integer(0)],
        [Value::Real(0.5), Value::Real(-0.0), Value::Integer(2)],
        ["a, b".into(), "a, b, c".into(), "b".into()],
        ["[1, 2]".into(), "[1, 2, {\"a\": null}]".into(), "[2]".into()],
        ["{\"a\": 1, \"b\": [1.0]}".into(), "{\"a\": 2, \"b\": [1.0]}".into(), "{\"b\": [], \"a\": 1}".into()],
        [Value::Null, Value::Blob(vec![1]), "x".into()],
        ["1 2".into(), "1 2 3".into(), "0 1 2".into()],
    ];
    let whole = |three: &[Value; 3]| parts(&three.each_ref().map(value::encode).each_ref().map(Vec::as_slice));
    threes.iter().enumerate().map(|(n, three)| [&[n as u8 * 33][..], &whole(three)].concat()).collect()
}

/// Undone twice is the same; done and undone is nothing; one after the other is the whole.
pub fn condense(bytes: &[u8]) {
    let Some(whole) = changeset(bytes) else { return };
    let Ok(undone) = condense::invert(&whole) else { return };
    let sorted = |mut changes: Vec<Change>| {
        changes.sort_by_key(|change| (change.table, change.key.clone(), change.edit.name()));
        changes
    };
    let twice = condense::invert(&undone).expect("no schema steps");
    assert_eq!(sorted(twice.changes), sorted(whole.changes.clone()));
    if let Ok(once) = condense::combine(std::slice::from_ref(&whole)) {
        let nothing = condense::combine(&[once.clone(), condense::invert(&once).expect("no schema steps")]);
        assert_eq!(nothing.expect("it begins where the first ended").changes, []);
        let mut ordered = once.changes.clone();
        condense::order(&mainstem_core::schema::Schema::default(), &mut ordered, &once.front.shapes);
        assert_eq!(sorted(ordered), sorted(once.changes));
    }
}

/// A changeset out of the session extension's bytes, with columns by number.
fn changeset(bytes: &[u8]) -> Option<Changeset> {
    let (Form::Changeset, runs) = session::decode(bytes).ok()? else { return None };
    let mut whole = Changeset::default();
    for (table, run) in runs.iter().enumerate() {
        let key: Vec<usize> = (0..run.head.key.len()).filter(|&at| run.head.key[at] > 0).collect();
        let columns: Vec<String> = (0..run.head.key.len()).map(|at| format!("c{at}")).collect();
        whole.front.shapes.push(Shape { table: format!("t{table}"), columns, key: key.clone(), ..Shape::default() });
        for change in &run.changes {
            let key_of = |row: &[Option<Value>]| key.iter().map(|&at| row[at].clone()).collect::<Option<Vec<Value>>>();
            let (key, edit) = match &change.act {
                Act::Insert(row) => (key.iter().map(|&at| row[at].clone()).collect(), Edit::Insert(row.clone())),
                Act::Delete(row) => (key_of(row)?, Edit::Delete(row.iter().cloned().collect::<Option<Row>>()?)),
                Act::Update { before, after } => (key_of(before)?, Edit::Update(cells(&key, before, after)?)),
            };
            whole.changes.push(Change { table, key, edit, at: Time::default(), moved_from: None });
        }
    }
    Some(whole)
}

fn cells(key: &[usize], before: &[Option<Value>], after: &[Option<Value>]) -> Option<Vec<Cell>> {
    let changed = (0..after.len()).filter(|at| !key.contains(at) && after[*at].is_some() && after[*at] != before[*at]);
    let cell = |column: usize| Some(Cell { column, before: before[column].clone()?, after: after[column].clone()?, at: Time::default() });
    changed.map(cell).collect::<Option<Vec<Cell>>>().filter(|cells| !cells.is_empty())
}
