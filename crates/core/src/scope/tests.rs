//! Scopes: what they see, and that their text reads back.
use super::*;
use alloc::borrow::ToOwned;
use alloc::format;
use proptest::prelude::*;

fn columns() -> Vec<String> {
    ["id", "owner", "due", "size", "body"].map(str::to_owned).to_vec()
}

fn row(owner: Value, due: Value, size: Value) -> Row {
    vec![Value::Integer(1), owner, due, size, Value::Blob(vec![0, 255])]
}

fn filter(text: &str) -> Filter {
    format!("t: {text}").parse::<Part>().unwrap_or_else(|e| panic!("{text}: {e}")).filter
}

#[test]
fn a_filter_sees_what_it_says() {
    let ann = row(Value::text("ann"), Value::Integer(20), Value::Real(1.5));
    let nobody = row(Value::Null, Value::Null, Value::Real(-0.0));
    // The filter, whether it sees ann's row, whether it sees nobody's.
    let cases = [
        ("true", true, true),
        ("false", false, false),
        ("owner = 'ann'", true, false),
        ("owner == 'Ann'", false, false),
        ("OWNER != 'ann'", false, false),
        ("not owner = 'ann'", false, true),
        ("owner is null", false, true),
        ("owner is not null", true, false),
        ("owner in ('bob', 'ann')", true, false),
        ("owner not in ('bob')", true, true),
        ("due = 20", true, false),
        ("due = 20.0", false, false),
        ("due <= 20.0", true, false),
        ("due < 20.5 and due > 19.5", true, false),
        ("due >= 21", false, false),
        ("due < '9'", false, false),
        ("size = 0.0", false, false),
        ("size = -0.0", false, true),
        ("size >= 0", true, true),
        ("size < 2", true, true),
        ("body = x'00FF'", true, true),
        ("body > x'00'", true, true),
        ("owner = 'bob' or due = 20 and size > 1", true, false),
        ("(owner = 'bob' or due = 20) and size > 2", false, false),
        ("not (owner = 'ann' or due is null)", false, false),
        ("nosuch = 1", false, false),
        ("not nosuch = 1", false, false),
        ("true or nosuch = 1", false, false),
    ];
    for (text, sees_ann, sees_nobody) in cases {
        let filter = filter(text);
        assert_eq!(filter.sees(&columns(), &ann), sees_ann, "{text} and ann");
        assert_eq!(filter.sees(&columns(), &nobody), sees_nobody, "{text} and nobody");
    }
}

#[test]
fn numbers_are_ordered_without_rounding() {
    let sees = |value: Value, text: &str| filter(text).sees(&["n".to_owned()], &vec![value]);
    assert!(sees(Value::Integer(i64::MAX), "n < 9223372036854775808.0"));
    assert!(sees(Value::Integer((1 << 53) + 1), "n > 9007199254740992.0"));
    assert!(!sees(Value::Integer((1 << 53) + 1), "n <= 9007199254740992.0"));
    assert!(sees(Value::Integer(i64::MIN), "n > -9e999") && sees(Value::Real(f64::INFINITY), "n > 5"));
    assert!(sees(Value::Integer(-1), "n < -0.5") && sees(Value::Real(-0.5), "n > -1") && sees(Value::Integer(0), "n > -0.5"));
}

#[test]
fn what_is_not_named_is_hidden() {
    let scope: Scope = "Notes: owner = 'ann'\n\"Order Details\"".parse().expect("a scope");
    assert!(scope.sees("notes", &columns(), &row(Value::text("ann"), Value::Null, Value::Null)));
    assert!(!scope.sees("notes", &columns(), &row(Value::text("bob"), Value::Null, Value::Null)));
    assert!(scope.sees("order details", &columns(), &Vec::new()));
    assert!(!scope.sees("people", &columns(), &Vec::new()));
    let nothing: Scope = "".parse().expect("a scope");
    assert!(!nothing.is_everything() && nothing.filter("notes").is_none());
    let everything: Scope = " * ".parse().expect("a scope");
    assert!(everything.is_everything() && everything.sees("people", &columns(), &Vec::new()));
    assert_eq!(everything.mark(), Digest::default());
    assert_ne!(nothing.mark(), Digest::default());
}

#[test]
fn both_see_less_and_twice_named_is_more() {
    let scope = |text: &str| text.parse::<Scope>().expect(text);
    let both = scope("a\nb: x = 1\nc").and(&scope("b: y = 2\nc: false\nd"));
    assert_eq!(both, scope("b: x = 1 and y = 2\nc: false"));
    assert_eq!(scope("a").and(&Scope::everything()), scope("a"));
    assert_eq!(scope("a: x = 1\nA: x = 2"), scope("a: x = 1 or x = 2"));
    assert_eq!(scope("a: x = 1\na"), scope("a"));
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let deep = format!("t: {}x = 1", "not ".repeat(40));
    let cases = [
        ("t:", "a column is expected, not the end"),
        ("t: x", "a comparison"),
        ("t: x =", "a value such as"),
        ("t: x = null", "is null"),
        ("t: x = y", "a value such as"),
        ("t: x = 'open", "not closed"),
        ("t: x = x'0'", "pairs"),
        ("t: x in ()", "a value such as"),
        ("t: (x = 1", ") is expected"),
        ("t: x = 1 y = 2", "and, or, or the end"),
        ("t x = 1", "after the table's name"),
        ("select", ""),
        ("and", "a table is expected"),
        ("t: x = 1;", "cannot be read"),
        ("t: x = 99999999999999999999", "cannot be read"),
        (deep.as_str(), "nested deeper"),
    ];
    for (text, why) in cases {
        match text.parse::<Scope>() {
            Ok(scope) => assert!(why.is_empty(), "{text} was read as {scope}"),
            Err(e) => assert!(!why.is_empty() && format!("{e}").contains(why), "{text}: {e}"),
        }
    }
    assert!("x".repeat(70_000).parse::<Scope>().is_err());
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_filter("no NaN", |real| !real.is_nan()).prop_map(Value::Real),
        ".{0,8}".prop_map(Value::text),
        proptest::collection::vec(any::<u8>(), 0..6).prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..6).prop_map(Value::Blob),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,4}", ".{1,6}", Just("and".to_owned()), Just("a\"b\nc".to_owned())]
}

fn any_filter() -> impl Strategy<Value = Filter> {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Unequal};
    let comparison = prop_oneof![Just(Equal), Just(Unequal), Just(Less), Just(LessOrEqual), Just(Greater), Just(GreaterOrEqual)];
    let leaf = prop_oneof![
        any::<bool>().prop_map(Filter::Always),
        (name(), comparison, value()).prop_map(|(column, comparison, value)| Filter::Compare { column, comparison, value }),
        (name(), proptest::collection::vec(value(), 1..4)).prop_map(|(column, values)| Filter::In { column, values }),
        name().prop_map(|column| Filter::IsNull { column }),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Filter::Or),
            inner.prop_map(|part| Filter::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn text_reads_back(parts in proptest::collection::vec((name(), any_filter()), 0..4)) {
        let scope = Scope::of(parts.into_iter().map(|(table, filter)| Part { table, filter }));
        let text = scope.to_string();
        let back: Scope = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        prop_assert_eq!(&back, &scope, "{}", text);
        prop_assert_eq!(back.to_string(), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,60}") {
        let _ = text.parse::<Scope>();
    }

    #[test]
    fn both_see_what_each_sees(one in any_filter(), other in any_filter(), cells in proptest::collection::vec(value(), 3)) {
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let rename = |name: &str| names[name.len() % 3].clone();
        let (one, other) = (one.renamed(&rename), other.renamed(&rename));
        prop_assert_eq!(one.clone().and(other.clone()).sees(&names, &cells), one.sees(&names, &cells) && other.sees(&names, &cells));
    }
}
