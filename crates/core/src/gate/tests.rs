//! Rules over tables of values, and declarations.
use super::*;
use crate::error::Error;
use alloc::{format, string::ToString, vec};

fn values() -> Vec<(&'static str, Value)> {
    vec![
        ("null", Value::Null),
        ("1", Value::Integer(1)),
        ("1.0", Value::Real(1.0)),
        ("'1'", Value::text("1")),
        ("x'31'", Value::Blob(b"1".to_vec())),
        ("2", Value::Integer(2)),
        ("1.5", Value::Real(1.5)),
        ("-0.0", Value::Real(-0.0)),
        ("0", Value::Integer(0)),
        ("inf", Value::Real(f64::INFINITY)),
        ("-inf", Value::Real(f64::NEG_INFINITY)),
        ("nan", Value::Real(f64::NAN)),
        ("max", Value::Integer(i64::MAX)),
        ("2^63", Value::Real(9_223_372_036_854_775_808.0)),
        ("''", Value::text("")),
        ("'a'", Value::text("a")),
        ("'A'", Value::text("A")),
        ("'é'", Value::text("é")),
        ("'e+'", Value::text("e\u{301}")),
        ("broken", Value::Text(vec![0xff, b'a'])),
    ]
}

/// The names of the values that are as they must be.
#[track_caller]
fn check(must: Must, expect: &str) {
    let mut unasked = |_: &[u8]| panic!("no text is judged");
    let holds = |value: &Value, judge: JudgeText<'_>| must.judge(value, judge).expect("it can be told");
    let found: Vec<&str> = values().iter().filter(|(_, value)| holds(value, &mut unasked)).map(|(name, _)| *name).collect();
    assert_eq!(found.join(" "), expect, "{must:?}");
}

#[test]
fn cells_are_judged() {
    let range = |min: Option<Value>, max: Option<Value>| Must::Range(min, max);
    let set = |values: &[Value]| Must::InSet(values.to_vec());
    check(Must::NotNull, "1 1.0 '1' x'31' 2 1.5 -0.0 0 inf -inf nan max 2^63 '' 'a' 'A' 'é' 'e+' broken");
    check(set(&[1.into()]), "null 1 1.0");
    check(set(&[Value::Real(1.0), "a".into()]), "null 1 1.0 'a'");
    check(set(&["1".into(), 0.into()]), "null '1' -0.0 0");
    check(set(&[Value::Blob(b"1".to_vec())]), "null x'31'");
    check(set(&[i64::MAX.into()]), "null max");
    check(range(Some(1.into()), None), "null 1 1.0 2 1.5 inf max 2^63");
    check(range(None, Some(1.into())), "null 1 1.0 -0.0 0 -inf");
    check(range(Some(0.into()), Some(Value::Real(1.5))), "null 1 1.0 1.5 -0.0 0");
    check(range(None, Some(i64::MAX.into())), "null 1 1.0 2 1.5 -0.0 0 -inf max");
    check(range(Some("1".into()), Some("a".into())), "null '1' 'a' 'A'");
    check(Must::Length(Some(1), Some(1)), "null '1' x'31' 'a' 'A' 'é'");
    check(Must::Length(Some(2), None), "null 'e+' broken");
    check(Must::Length(None, Some(0)), "null ''");
}

#[test]
fn only_text_is_judged_as_text() {
    for must in [Must::Pattern("1".into()), Must::JsonSchema("{}".into())] {
        let mut asked = Vec::new();
        for (name, value) in values() {
            let told = must.judge(&value, &mut |bytes| {
                asked.push(bytes.to_vec());
                if bytes == b"A" { Err("too long".into()) } else { Ok(bytes == b"1") }
            });
            let expect = match name {
                "null" | "'1'" => Ok(true),
                "'A'" => Err("too long".into()),
                _ => Ok(false),
            };
            assert_eq!(told, expect, "{name}");
        }
        assert_eq!(asked.len(), 7);
    }
}

#[test]
fn cells_are_related() {
    let cases: &[(Value, Value, &str)] = &[
        (1.into(), 1.into(), "= <= >="),
        (1.into(), Value::Real(1.0), "= <= >="),
        (1.into(), "1".into(), "!="),
        ("1".into(), Value::Blob(b"1".to_vec()), "!="),
        (1.into(), 2.into(), "!= < <="),
        ("b".into(), "a".into(), "!= > >="),
        ("a".into(), "A".into(), "!= > >="),
        (Value::Null, 1.into(), "= != < <= > >="),
        (1.into(), Value::Null, "= != < <= > >="),
        (Value::Real(f64::NAN), 1.into(), "!="),
        (Value::Real(f64::INFINITY), i64::MAX.into(), "!= > >="),
        (Value::Integer(i64::MAX), Value::Real(9_223_372_036_854_775_808.0), "!= < <="),
    ];
    for (one, other, expect) in cases {
        let holds = Relation::ALL.iter().filter(|relation| relation.judge(one, other)).map(|relation| relation.name());
        assert_eq!(holds.collect::<Vec<_>>().join(" "), *expect, "{one:?} {other:?}");
    }
}

#[test]
fn what_broke_blocks_whatever_its_severity() {
    let failed = || Outcome::Failed { rows: 1, samples: Vec::new() };
    let broke = || Outcome::Broke { why: "it was cut off".into() };
    for (severity, outcome, expect) in [
        (Severity::Block, Outcome::Passed, false),
        (Severity::Block, failed(), true),
        (Severity::Block, broke(), true),
        (Severity::Warn, Outcome::Passed, false),
        (Severity::Warn, failed(), false),
        (Severity::Warn, broke(), true),
    ] {
        let result = GateResult { gate: "g".into(), severity, outcome };
        assert_eq!(result.is_blocking(), expect, "{result:?}");
    }
}

#[test]
fn a_sample_is_small() {
    let huge = Value::text("é".repeat(1_000_001));
    let blob = Value::Blob(vec![7; 1_000_000]);
    let names: Vec<String> = (0..30).map(|n| format!("c{n}")).collect();
    let cells = names.iter().map(|name| (name.as_str(), &huge));
    let sample = Sample::new("t", core::slice::from_ref(&blob), cells);
    assert!(sample.is_cut && sample.cells.len() == SAMPLE_CELLS_MAX);
    assert_eq!((&sample.key[0], &sample.cells[0].1), (&Value::Blob(vec![7; 200]), &Value::text("é".repeat(100))));
    let broken = Value::Text(vec![0x80; 1000]);
    assert_eq!(Sample::new("t", &[], [("c", &broken)].into_iter()).cells[0].1, Value::Text(vec![0x80; 200]));
    assert!(!Sample::new("t", &[1.into()], [("c", &Value::Null)].into_iter()).is_cut);
}

/// Terms from `key value` pairs: digits are numbers, `a|b` a list.
fn declare(text: &str) -> crate::error::Result<Gate> {
    let value = |word: &str| word.parse::<i64>().map(Value::Integer).unwrap_or_else(|_| Value::text(word));
    let term = |word: &str| match word.contains('|') {
        true => Term::Many(word.split('|').filter(|part| !part.is_empty()).map(value).collect()),
        false => Term::One(value(word)),
    };
    let terms: Vec<(String, Term)> =
        text.split(';').filter_map(|pair| pair.trim().split_once(' ')).map(|(key, word)| (key.to_string(), term(word))).collect();
    Gate::declared("g", &terms)
}

#[test]
fn gates_are_declared() {
    let cell = |must| Rule::Cell { table: "t".into(), column: "c".into(), must };
    let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    for (text, expect) in [
        ("rule not-null; table t; column c", cell(Must::NotNull)),
        ("rule in-set; table t; column c; values a|1", cell(Must::InSet(vec!["a".into(), 1.into()]))),
        ("rule range; table t; column c; min 0", cell(Must::Range(Some(0.into()), None))),
        ("rule range; table t; column c; min a; max b", cell(Must::Range(Some("a".into()), Some("b".into())))),
        ("rule pattern; table t; column c; pattern ^x$", cell(Must::Pattern("^x$".into()))),
        ("rule length; table t; column c; max 9", cell(Must::Length(None, Some(9)))),
        ("rule json-schema; table t; column c; schema {}", cell(Must::JsonSchema("{}".into()))),
        (
            "rule relation; table t; column a; relation <=; other b",
            Rule::Relation { table: "t".into(), column: "a".into(), relation: Relation::LessOrEqual, other: "b".into() },
        ),
        ("rule unique; table t; columns a", Rule::Unique { table: "t".into(), columns: names(&["a"]) }),
        ("rule unique; table t; columns a|b", Rule::Unique { table: "t".into(), columns: names(&["a", "b"]) }),
        (
            "rule foreign-key; table t; columns a; references p; references_columns b",
            Rule::ForeignKey { table: "t".into(), columns: names(&["a"]), parent: "p".into(), parent_columns: names(&["b"]) },
        ),
        ("rule row-count; table t; min 1; max 5", Rule::RowCount { table: "t".into(), min: Some(1), max: Some(5) }),
        ("rule no-rows; sql SELECT 1", Rule::NoRows { sql: "SELECT 1".into() }),
    ] {
        let gate = declare(text).expect(text);
        assert_eq!(gate.rule, expect);
        assert_eq!((gate.severity, gate.rows, gate.time_limit_ms), (Severity::Block, Rows::All, 60_000));
        assert!(text.starts_with(&format!("rule {}", gate.rule.name())));
    }
    let gate = declare("rule not-null; table t; column c; severity warn; rows changed; time_limit_ms 5").expect("it is valid");
    assert_eq!((gate.severity, gate.rows, gate.time_limit_ms), (Severity::Warn, Rows::Changed, 5));
}

#[test]
fn what_makes_no_gate_is_refused_by_name() {
    for (text, key, says) in [
        ("table t", "rule", "it is missing; allowed: not-null, in-set"),
        ("rule nonnull", "rule", "\"nonnull\" is not a value for it; allowed: not-null"),
        ("rule not-null; table t", "column", "missing"),
        ("rule not-null; column c", "table", "missing"),
        ("rule not-null; table t; column c; colour red", "colour", "allowed: rule, severity, rows, time_limit_ms, table, column"),
        ("rule not-null; table t; column c; min 1", "min", "no such key in a gate of the rule not-null"),
        ("rule not-null; table t; column c; severity error", "severity", "block, warn"),
        ("rule not-null; table t; column c; rows some", "rows", "all, changed"),
        ("rule not-null; table t; column c; time_limit_ms 0", "time_limit_ms", "from 1 to 3600000"),
        ("rule not-null; table t; column 7", "column", "text"),
        ("rule in-set; table t; column c; values a", "values", "a list"),
        ("rule in-set; table t; column c; values |", "values", "a list"),
        ("rule range; table t; column c", "min", "min or max"),
        ("rule range; table t; column c; min 1; max a", "max", "both numbers or both text"),
        ("rule range; table t; column c; min 2; max 1", "max", "below min"),
        ("rule length; table t; column c; min -1", "min", "zero or more"),
        ("rule length; table t; column c; min 2; max 1", "max", "below min"),
        ("rule relation; table t; column a; other b; relation ==", "relation", "=, !=, <"),
        ("rule relation; table t; column a; other b", "relation", "missing"),
        ("rule unique; table t; columns a|A", "columns", "different"),
        ("rule foreign-key; table t; columns a; references p; references_columns b|c", "references_columns", "2 of them and 1"),
        ("rule row-count; table t; min 1; rows changed", "rows", "looks at all rows"),
        ("rule no-rows; sql SELECT\0", "sql", "NUL"),
        ("rule no-rows; table t", "table", "no such key"),
    ] {
        let Err(Error::Invalid { what, why }) = declare(text) else { panic!("{text} is refused") };
        assert_eq!(what, format!("policy key gates.g.{key}"), "{text}");
        assert!(why.contains(says), "{text}: {why}");
    }
}
