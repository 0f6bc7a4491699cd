//! JSON comes back to the bit; JSON that says anything twice, too much or too little does not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::value::value_from_json;
use super::*;
use crate::changeset_file::samples::{self, Given};
use crate::error::Result;
use mainstem_core::ErrorKind;
use mainstem_core::change::Changeset;
use mainstem_core::stamp::Time;
use mainstem_core::value::Value;
use proptest::prelude::*;

fn exported(changeset: &Changeset) -> String {
    let mut out = Vec::new();
    export(&changeset.front, &mut Given::of(&changeset.changes, 3), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn through_json(value: &Value) -> Value {
    let text = value_to_json(value).to_string();
    value_from_json(tree::Json::parse(text.as_bytes()).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn changesets_come_back(given in samples::changeset()) {
        prop_assert_eq!(import(exported(&given).as_bytes()).unwrap(), given);
    }

    #[test]
    fn values_come_back(value in samples::value()) {
        prop_assert_eq!(&through_json(&value), &value);
        prop_assert_eq!(&value_from_text(&value_to_json(&value).to_string()).unwrap(), &value);
    }

    #[test]
    fn reals_of_any_bits_come_back(bits in prop::collection::vec(any::<u64>(), 200)) {
        for real in bits.into_iter().map(f64::from_bits).filter(|r| !r.is_nan()) {
            prop_assert_eq!(through_json(&Value::Real(real)), Value::Real(real));
        }
    }

    #[test]
    fn times_come_back(time in samples::time()) {
        prop_assert_eq!(parse_time(&time_text(time)), Some(time));
    }

    #[test]
    fn damaged_json_is_refused_or_read(at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = exported(&samples::fixed()).into_bytes();
        // The last line's end may be missing.
        let at = at.index(bytes.len() - 1);
        bytes[at] = byte;
        if let Err(e) = import(&bytes) {
            prop_assert_eq!(e.kind, ErrorKind::Invalid);
        }
        prop_assert!(import(&bytes[..at]).is_err());
    }
}

#[test]
fn the_json_of_version_1_is_kept() {
    let kept = include_str!("../../fixtures/format-1/changeset.json");
    assert_eq!(exported(&samples::fixed()), kept);
    assert_eq!(import(kept.as_bytes()).unwrap(), samples::fixed());
}

#[test]
fn every_program_tells_values_apart() {
    let table = [
        (Value::Null, "null"),
        (Value::Integer(1), "1"),
        (Value::Integer(1 << 53), "9007199254740992"),
        (Value::Integer((1 << 53) + 1), r#"{"integer":"9007199254740993"}"#),
        (Value::Integer(i64::MIN), r#"{"integer":"-9223372036854775808"}"#),
        (Value::Real(1.0), r#"{"real":1.0}"#),
        (Value::Real(0.1), "0.1"),
        (Value::Real(5e-324), "5e-324"),
        (Value::Real(-0.0), r#"{"real":"-0.0"}"#),
        (Value::Real(f64::INFINITY), r#"{"real":"inf"}"#),
        (Value::Real(f64::NEG_INFINITY), r#"{"real":"-inf"}"#),
        (Value::text("1"), r#""1""#),
        (Value::text("a\0b"), r#""a\u0000b""#),
        (Value::Text(vec![0xff, 0x41]), r#"{"text_hex":"ff41"}"#),
        (Value::Blob(vec![]), r#"{"blob":""}"#),
        (Value::Blob(vec![0, 255]), r#"{"blob":"00ff"}"#),
    ];
    for (value, json) in table {
        assert_eq!(value_to_json(&value).to_string(), json);
        assert_eq!(through_json(&value), value);
    }
}

#[test]
fn what_a_person_types_is_what_it_looks_like() {
    let table = [
        ("null", Value::Null),
        ("42", Value::Integer(42)),
        ("-9223372036854775808", Value::Integer(i64::MIN)),
        ("1.5", Value::Real(1.5)),
        ("1.0", Value::Real(1.0)),
        ("\"42\"", Value::text("42")),
        ("Anna", Value::text("Anna")),
        ("", Value::text("")),
        (" 42", Value::text(" 42")),
        ("007", Value::text("007")),
        ("+46701", Value::text("+46701")),
        ("true", Value::text("true")),
        ("[1]", Value::text("[1]")),
        ("{\"a\":1}", Value::text("{\"a\":1}")),
        ("{\"blob\":\"00ff\"}", Value::Blob(vec![0, 255])),
        ("{\"integer\":7}", Value::Integer(7)),
    ];
    for (text, value) in table {
        assert_eq!(value_from_text(text).unwrap(), value, "{text}");
    }
    for text in ["{\"blob\":\"0\"}", "{\"blob\":\"zz\"}", "9223372036854775808", "99999999999999999999", "{\"real\":\"x\"}"] {
        assert_eq!(value_from_text(text).unwrap_err().kind, ErrorKind::Invalid, "{text}");
    }
}

#[test]
fn times_read_as_people_write_them_and_no_other_way() {
    let time = Time(Time::from_ms(1_785_837_600_123).0 | 7);
    assert_eq!(time_text(time), "2026-08-04T10:00:00.123Z#7");
    assert_eq!(time_text(Time(0)), "1970-01-01T00:00:00.000Z");
    assert_eq!(time_text(Time::from_ms(951_782_400_000)), "2000-02-29T00:00:00.000Z");
    assert_eq!(time_text(Time(u64::MAX)), "10889-08-02T05:31:50.655Z#65535");
    for wrong in [
        "",
        "2026-08-04",
        "2026-8-4T10:00:00.123Z",
        "2026-02-30T10:00:00.123Z",
        "2026-08-04T10:00:00.123",
        "2026-08-04T10:00:00.123Z#0",
        "1969-12-31T00:00:00.000Z",
        "99999-08-04T10:00:00.123Z",
        "18446744073709551615-01-01T00:00:00.000Z",
    ] {
        assert_eq!(parse_time(wrong), None, "{wrong}");
    }
}

/// Edits the exported sample by text and tells why it is refused.
fn refusal(from: &str, to: &str) -> String {
    let json = exported(&samples::fixed());
    assert!(json.contains(from), "{from} is not in {json}");
    let why: Result<Changeset> = import(json.replacen(from, to, 1).as_bytes());
    why.expect_err(to).message
}

#[test]
fn what_is_there_twice_unknown_or_missing_is_refused() {
    let cases = [
        ("\"kind\":\"delete\"", "\"kind\":\"delete\",\"kind\":\"insert\"", "the name \"kind\" is there twice"),
        ("\"kind\":\"delete\"", "\"kind\":\"delete\",\"k\\u0069nd\":\"insert\"", "the name \"kind\" is there twice"),
        ("\"kind\":\"delete\"", "\"kind\":\"delete\",\"Kind\":\"insert\"", "change 1: \"Kind\" is not known"),
        ("\"actor\":\"anna\",\"title\"", "\"title\"", "the header: \"actor\" is missing"),
        ("\"id\":3,\"näme", "\"id\":3,\"id\":3,\"näme", "the name \"id\" is there twice"),
        ("\"id\":3,\"näme", "\"ID\":3,\"id\":3,\"näme", "\"row\" has no column \"ID\""),
        ("\"id\":3,\"näme", "\"näme", "\"row\" lacks \"id\""),
        ("\"count\":4", "\"count\":5", "\"count\" is 5 and there are 4 changes"),
        ("\"key\":{\"id\":3}", "\"key\":{\"id\":4}", "another key than its change"),
        ("\"kind\":\"delete\"", "\"kind\":\"drop\"", "\"drop\" is no kind of change"),
        ("\"version\":1", "\"version\":2", "its version 2 is not one"),
        ("\"key\":[\"id\"]", "\"key\":[\"no\"]", "there is no column \"no\""),
        ("\"step\":\"rename_table\"", "\"step\":\"x\"", "\"x\" is no kind of step"),
        ("{\"real\":1.0}", "{\"real\":1.0,\"blob\":\"\"}", "has one member"),
        ("{\"real\":1.0}", "100000000000000000000", "may have been an integer"),
        ("]}\n", "]}{}\n", "trailing characters"),
    ];
    for (from, to, expected) in cases {
        let why = refusal(from, to);
        assert!(why.contains(expected), "{why} should say {expected}");
    }
}

#[test]
fn deep_nesting_is_refused_quickly() {
    for open in ["[", "{\"a\":"] {
        assert!(import(open.repeat(100_000).as_bytes()).is_err());
        let deep = format!("{}{}", open.repeat(100_000), if open == "[" { "]" } else { "}" }.repeat(100_000));
        assert!(import(deep.as_bytes()).unwrap_err().message.contains("recursion limit"));
    }
}
