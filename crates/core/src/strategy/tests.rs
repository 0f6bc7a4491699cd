//! Each strategy as a table, and the laws all of them keep.
use super::{CellOutcome, CellSide, Context, Strategy, merge_cell, sqlite_order};
use crate::change::Choice;
use crate::stamp::{ReplicaId, Stamp, Time};
use crate::value::Value;
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::cmp::Ordering;
use proptest::prelude::*;
use proptest::strategy::Strategy as _;

fn stamp(time: u64, replica: u128) -> Stamp {
    Stamp { time: Time(time), replica: ReplicaId(replica) }
}

fn side(value: &Value, stamp: Stamp) -> CellSide<'_> {
    CellSide { value, stamp, actor: "", rank: Value::Null, is_primary: false }
}

/// `early` is written before `late`; both ways of calling them ours are checked. `expect` is the value and how:
/// `agreed`, `early`, `late` (answered), `open early`, `open merged`.
#[track_caller]
fn check_with(strategy: Strategy, delimiter: Option<&str>, [base, early, late]: [Value; 3], expect: (Value, &str)) {
    let context = Context { delimiter };
    let (first, second) = (side(&early, stamp(1, 2)), side(&late, stamp(2, 1)));
    for is_swapped in [false, true] {
        let (ours, theirs) = if is_swapped { (&second, &first) } else { (&first, &second) };
        let outcome = merge_cell(strategy, &context, &base, ours, theirs);
        let name = |choice: Choice| match (choice, is_swapped) {
            (Choice::Merged, _) => "merged",
            (Choice::Ours, false) | (Choice::Theirs, true) => "early",
            _ => "late",
        };
        let how = match &outcome {
            CellOutcome::Agreed(_) => String::from("agreed"),
            CellOutcome::Answered { choice, .. } => String::from(name(*choice)),
            CellOutcome::Open { held, .. } => format!("open {}", name(*held)),
        };
        assert_eq!((outcome.value(), how.as_str()), (&expect.0, expect.1), "swapped: {is_swapped}");
    }
}

#[track_caller]
fn check(strategy: Strategy, sides: [Value; 3], expect: (Value, &str)) {
    check_with(strategy, None, sides, expect);
}

fn texts(texts: [&str; 3]) -> [Value; 3] {
    texts.map(Value::text)
}

#[track_caller]
fn check_text(strategy: Strategy, sides: [&str; 3], expect: &str, how: &str) {
    check(strategy, texts(sides), (Value::text(expect), how));
}

#[test]
fn one_sided_and_equal_edits_are_no_conflict() {
    for strategy in Strategy::ALL {
        check_text(strategy, ["a", "a", "b"], "b", "agreed");
        check_text(strategy, ["a", "b", "a"], "b", "agreed");
        check_text(strategy, ["a", "b", "b"], "b", "agreed");
    }
}

#[test]
fn whole_values_are_chosen() {
    check_text(Strategy::LastWriteWins, ["a", "b", "c"], "c", "late");
    check_text(Strategy::Manual, ["a", "b", "c"], "b", "open early");
    check_text(Strategy::Strict, ["a", "b", "c"], "b", "open early");
    check_text(Strategy::PrimaryWins, ["a", "b", "c"], "b", "early");
    check_text(Strategy::ReplicaWins, ["a", "b", "c"], "c", "late");
    check_text(Strategy::Priority, ["a", "b", "c"], "c", "late");
    check_text(Strategy::Max, ["a", "b", "c"], "c", "late");
    check_text(Strategy::Max, ["a", "c", "b"], "c", "early");
    check_text(Strategy::Min, ["b", "a", "c"], "a", "early");
}

#[test]
fn the_primary_and_ranks_decide() {
    let (base, early, late) = (Value::text("a"), Value::text("b"), Value::text("c"));
    let decide = |strategy, is_primary: [bool; 2], ranks: [i64; 2]| {
        let ours = CellSide { is_primary: is_primary[0], rank: ranks[0].into(), ..side(&early, stamp(1, 2)) };
        let theirs = CellSide { is_primary: is_primary[1], rank: ranks[1].into(), ..side(&late, stamp(2, 1)) };
        let one = merge_cell(strategy, &Context::default(), &base, &ours, &theirs);
        let other = merge_cell(strategy, &Context::default(), &base, &theirs, &ours);
        assert_eq!(one.value(), other.value());
        one.value().clone()
    };
    assert_eq!(decide(Strategy::PrimaryWins, [false, true], [0, 0]), late);
    assert_eq!(decide(Strategy::PrimaryWins, [true, false], [0, 0]), early);
    assert_eq!(decide(Strategy::ReplicaWins, [false, true], [0, 0]), early);
    assert_eq!(decide(Strategy::ReplicaWins, [true, false], [0, 0]), late);
    assert_eq!(decide(Strategy::Priority, [false, false], [5, 3]), early);
    assert_eq!(decide(Strategy::Priority, [false, false], [3, 5]), late);
    assert_eq!(decide(Strategy::Priority, [false, false], [5, 5]), late);
}

#[test]
fn counters_add() {
    let int = |i: [i64; 3]| i.map(Value::Integer);
    check(Strategy::Counter, int([5, 6, 8]), (9.into(), "agreed"));
    check(Strategy::Counter, int([5, 6, 6]), (7.into(), "agreed"));
    check(Strategy::Counter, int([5, 0, 7]), (2.into(), "agreed"));
    check(Strategy::Counter, int([0, i64::MAX, 1]), (i64::MAX.into(), "open early"));
    check(Strategy::Counter, int([0, i64::MAX, i64::MIN]), ((-1).into(), "agreed"));
    check(Strategy::Counter, [1.5.into(), 2.5.into(), 4.0.into()], (5.0.into(), "agreed"));
    check(Strategy::Counter, [1.into(), 2.5.into(), 4.into()], (5.5.into(), "agreed"));
    check(Strategy::Counter, [0.into(), 0.5.into(), i64::MAX.into()], (0.5.into(), "open early"));
    check(Strategy::Counter, [0.0.into(), f64::MAX.into(), 1e308.into()], (f64::MAX.into(), "open early"));
    check(Strategy::Counter, ["1".into(), 2.into(), 3.into()], (2.into(), "open early"));
    check(Strategy::Counter, [Value::Null, 2.into(), 3.into()], (2.into(), "open early"));
}

#[test]
fn extremes_follow_the_order_of_sqlite() {
    let big = (1i64 << 53) + 1;
    let order = [
        Value::Null,
        f64::NEG_INFINITY.into(),
        i64::MIN.into(),
        (-1.5).into(),
        (-1).into(),
        (-0.0).into(),
        0.0.into(),
        1.into(),
        1.0.into(),
        1.5.into(),
        Value::Real((big - 1) as f64),
        big.into(),
        i64::MAX.into(),
        9_223_372_036_854_775_808.0.into(),
        f64::INFINITY.into(),
        Value::text(""),
        Value::text("a"),
        Value::Blob(vec![]),
        Value::Blob(vec![0]),
    ];
    for (i, x) in order.iter().enumerate() {
        for (j, y) in order.iter().enumerate() {
            let expect = if (x.as_integer(), y.as_integer()) == (Some(0), None) { Ordering::Equal } else { i.cmp(&j) };
            assert_eq!(sqlite_order(x, y), expect, "{x:?} {y:?}");
        }
    }
    check(Strategy::Max, [Value::Null, 1.into(), 1.5.into()], (1.5.into(), "late"));
    check(Strategy::Min, [0.into(), 2.into(), 1.5.into()], (1.5.into(), "late"));
}

#[test]
fn sets_keep_what_either_added() {
    let set = Strategy::Set;
    check_text(set, ["[1,2,3]", "[1,2,3,9]", "[2,3,7]"], "[2,3,7,9]", "agreed");
    check_text(set, ["[]", r#"["b"]"#, r#"[ "a" , "b" ]"#], r#"["a","b"]"#, "agreed");
    check_text(set, ["[1.0]", "[1.0, 1.00]", "[1.0, {\"k\" : 1e400}]"], "[1.0,1.00,{\"k\":1e400}]", "agreed");
    check_text(set, ["a,b", "a,b,z", "b,c"], "b,c,z", "agreed");
    check_text(set, ["a, b", "a, b, z", "b, c"], "b, c, z", "agreed");
    check_text(set, ["", "x", "y"], "x,y", "agreed");
    check_text(set, ["a", "", "a,b"], "b", "agreed");
    check(set, [Value::Null, "x".into(), "y,x".into()], ("x,y".into(), "agreed"));
    check(set, ["a".into(), Value::Null, "b".into()], (Value::Null, "open early"));
    check(set, ["a".into(), Value::Blob(vec![1]), "b".into()], (Value::Blob(vec![1]), "open early"));
    check_text(set, ["not an array", "[1]", "[2]"], "[1]", "open early");
    check_with(set, Some(";"), texts(["a;b", "a;b;c", "b;[1]"]), ("b;[1];c".into(), "agreed"));
}

#[test]
fn lists_keep_both_insertions() {
    let list = Strategy::List;
    check_text(list, ["[1,2,3]", "[1,8,2,3]", "[1,9,2,3]"], "[1,8,9,2,3]", "agreed");
    check_text(list, ["[1]", "[1,2,3]", "[1,3]"], "[1,2,3]", "agreed");
    check_text(list, ["[1,2,3]", "[1,3]", "[1,2,3,4]"], "[1,3,4]", "agreed");
    check_text(list, ["[1,2,3]", "[3]", "[1,5,2]"], "[5]", "agreed");
    check_text(list, ["a,b,a", "a,b,a,a", "b,a"], "b,a,a", "agreed");
    check_text(list, ["[1]", "[1,2]", "[0,1,2]"], "[0,1,2]", "agreed");
    check_text(list, ["[[1],[2]]", "[[1], [2], [3]]", "[[2]]"], "[[2],[3]]", "agreed");
    check(list, ["a".into(), 1.into(), "b".into()], (1.into(), "open early"));
}

#[test]
fn json_is_merged_by_key() {
    let json = Strategy::Json;
    let base = r#"{"a":1,"b":{"x":1,"y":2},"c":[1]}"#;
    let check = |early: &str, late: &str, expect: &str, how: &str| check_text(json, [base, early, late], expect, how);
    check(
        r#"{"a":2,"b":{"x":1,"y":2},"c":[1]}"#,
        r#"{"a":1,"b":{"x":1,"y":3},"c":[1], "d" : 1.50}"#,
        r#"{"a":2,"b":{"x":1,"y":3},"c":[1],"d":1.50}"#,
        "agreed",
    );
    check(r#"{"b":{"x":1,"y":2},"c":[1]}"#, r#"{"a":1,"b":{"x":1},"c":[1]}"#, r#"{"b":{"x":1},"c":[1]}"#, "agreed");
    check(
        r#"{"a":2,"b":{"x":1,"y":2},"c":[1],"n":0}"#,
        r#"{"a":3,"b":{"x":1,"y":2},"c":[1],"m":0}"#,
        r#"{"a":2,"b":{"x":1,"y":2},"c":[1],"m":0,"n":0}"#,
        "open merged",
    );
    check(r#"{"a":1,"b":{"x":1,"y":2},"c":[1,2]}"#, r#"{"a":1,"c":[2]}"#, r#"{"a":1,"c":[1,2]}"#, "open merged");
    check_text(json, ["1", "2", "3"], "2", "open early");
    check_text(
        json,
        [r#"{"n":1}"#, r#"{"n":12345678901234567890.0}"#, r#"{"n":1,"o":"\u00e9\/"}"#],
        r#"{"n":12345678901234567890.0,"o":"\u00e9\/"}"#,
        "agreed",
    );
    check_text(json, [r#"{"é":1}"#, r#"{"\u00e9":2}"#, r#"{"é":1,"z":1}"#], r#"{"é":2,"z":1}"#, "agreed");
}

#[test]
fn what_is_not_json_is_left_to_a_person() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let key = |value: &str| format!("{{\"k\":{value}}}");
    for bad in [
        "",
        "{",
        "{\"a\":1,\"a\":2}",
        "{a:1}",
        "[1,]",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":\"\\ud800\"}",
        "nul",
        "{} {}",
        "{\"a\":\"\n\"}",
        &deep(130),
        &key("+1"),
    ] {
        check_text(Strategy::Json, [r#"{"k":1}"#, bad, r#"{"k":2}"#], bad, "open early");
    }
    check_text(
        Strategy::Json,
        ["{}", &key(&deep(100)), r#"{"l":"\ud83d\ude00"}"#],
        &format!("{{\"k\":{},\"l\":\"\\ud83d\\ude00\"}}", deep(100)),
        "agreed",
    );
    check(Strategy::Json, [Value::Null, "{\"a\":1}".into(), "{\"b\":1}".into()], ("{\"a\":1,\"b\":1}".into(), "agreed"));
}

#[test]
fn text_is_merged_inside() {
    check_text(Strategy::Text, ["one two", "1 two", "one 2"], "1 2", "agreed");
    check_text(Strategy::Text, ["one", "eins", "uno"], "eins", "open early");
    check(Strategy::Text, ["one".into(), 1.into(), "uno".into()], (1.into(), "open early"));
}

#[test]
fn names_are_those_of_policies() {
    for strategy in Strategy::ALL {
        assert_eq!(Strategy::parse(strategy.name()), Some(strategy));
    }
    assert_eq!(Strategy::parse("theirs"), None);
}

fn value() -> impl proptest::strategy::Strategy<Value = Value> {
    let array = prop::collection::vec(0..4u8, 0..4).prop_map(|parts| {
        let parts: Vec<String> = parts.iter().map(|part| format!("{part}")).collect();
        Value::text(format!("[{}]", parts.join(",")))
    });
    let object = prop::collection::btree_map("[ab]", 0..3u8, 0..3).prop_map(|members| {
        let members: Vec<String> = members.iter().map(|(key, value)| format!("{key:?}:{value}")).collect();
        Value::text(format!("{{{}}}", members.join(",")))
    });
    prop_oneof![
        Just(Value::Null),
        (-3..4i64).prop_map(Value::Integer),
        prop::sample::select(vec![i64::MIN, i64::MAX]).prop_map(Value::Integer),
        prop::sample::select(vec![0.0, -0.0, 0.1, 1.0, 1e308, f64::INFINITY]).prop_map(Value::Real),
        "[a-c,; ]{0,6}".prop_map(Value::text),
        array,
        object,
        prop::collection::vec(any::<u8>(), 0..3).prop_map(Value::Blob),
    ]
}

fn strategies() -> impl proptest::strategy::Strategy<Value = Strategy> {
    prop::sample::select(Strategy::ALL.to_vec())
}

fn swapped(outcome: CellOutcome) -> CellOutcome {
    let other = |choice| match choice {
        Choice::Ours => Choice::Theirs,
        Choice::Theirs => Choice::Ours,
        same => same,
    };
    match outcome {
        CellOutcome::Agreed(value) => CellOutcome::Agreed(value),
        CellOutcome::Answered { value, choice } => CellOutcome::Answered { value, choice: other(choice) },
        CellOutcome::Open { value, held } => CellOutcome::Open { value, held: other(held) },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn every_strategy_keeps_the_laws(
        strategy in strategies(),
        base in value(),
        sides in prop::array::uniform2((value(), 0..3u64, any::<bool>(), 0..2i64)),
        delimiter in prop::option::of(Just(";")),
    ) {
        let made = |i: usize| {
            let (value, time, is_primary, rank) = &sides[i];
            // Concurrent writes come from different replicas.
            let stamp = stamp(*time, i as u128 + 1);
            CellSide { value, stamp, actor: "", rank: Value::Integer(*rank), is_primary: *is_primary }
        };
        let (x, y) = (made(0), made(1));
        let context = Context { delimiter };
        let merge = |ours: &CellSide<'_>, theirs: &CellSide<'_>| merge_cell(strategy, &context, &base, ours, theirs);
        let outcome = merge(&x, &y);
        prop_assert_eq!(&outcome, &swapped(merge(&y, &x)), "the sides may be swapped");
        if strategy != Strategy::Counter {
            let same = merge(&x, &CellSide { stamp: y.stamp, ..x.clone() });
            prop_assert_eq!(same, CellOutcome::Agreed(x.value.clone()), "one edit twice is one");
        }
        if !strategy.combines() {
            prop_assert!(outcome.value() == x.value || outcome.value() == y.value, "no value is invented");
            let is_one_sided = x.value == &base || y.value == &base || x.value == y.value;
            prop_assert_eq!(matches!(outcome, CellOutcome::Agreed(_)), is_one_sided, "nothing is let go in silence");
        }
        match &outcome {
            CellOutcome::Answered { value, choice } | CellOutcome::Open { value, held: choice } => match choice {
                Choice::Ours => prop_assert_eq!(value, x.value),
                Choice::Theirs => prop_assert_eq!(value, y.value),
                _ => prop_assert_eq!(strategy, Strategy::Json),
            },
            CellOutcome::Agreed(_) => {}
        }
    }

    /// A third edit gives one value in every order of arrival, where the strategy is an order of the sides.
    #[test]
    fn three_sides_give_one_value(
        strategy in prop::sample::select(vec![
            Strategy::LastWriteWins, Strategy::Priority, Strategy::PrimaryWins, Strategy::ReplicaWins,
            Strategy::Manual, Strategy::Max, Strategy::Min, Strategy::Set, Strategy::Strict,
        ]),
        times in prop::array::uniform3(0..3u64),
        parts in prop::array::uniform3(prop::collection::btree_set(4..9u8, 1..4)),
        primary in 0..4usize,
    ) {
        let base = Value::text("[1,2,3]");
        let values: Vec<Value> = parts.iter().map(|set| Value::text(format!("{:?}", Vec::from_iter(set)))).collect();
        let side = |i: usize| CellSide {
            value: &values[i],
            stamp: stamp(times[i], i as u128),
            actor: "",
            rank: Value::Integer(times[(i + 1) % 3] as i64),
            is_primary: i == primary,
        };
        if values[0] == values[1] || values[1] == values[2] || values[0] == values[2] {
            return Ok(());
        }
        let merged = |order: [usize; 3]| {
            let meet = |ours: &CellSide<'_>, theirs: &CellSide<'_>| {
                merge_cell(strategy, &Context::default(), &base, ours, theirs).value().clone()
            };
            let value = meet(&side(order[1]), &side(order[0]));
            let winner = if value == values[order[1]] { side(order[1]) } else { side(order[0]) };
            meet(&side(order[2]), &CellSide { value: &value, ..winner })
        };
        let first = merged([0, 1, 2]);
        for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            prop_assert_eq!(&merged(order), &first);
        }
    }
}
