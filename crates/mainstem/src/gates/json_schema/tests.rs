//! Schemas over tables of texts.
use super::JsonSchema;

#[track_caller]
fn check(schema: &str, holds: &[&str], fails: &[&str]) {
    let schema = JsonSchema::read(schema).expect(schema);
    for (texts, expect) in [(holds, true), (fails, false)] {
        for text in texts {
            assert_eq!(schema.judge(text.as_bytes()), Ok(expect), "{text}");
        }
    }
}

#[test]
fn values_texts_and_lists() {
    check("true", &["1", "null"], &["", "{", "1 2", "nan", "'a'"]);
    check("false", &[], &["1"]);
    check(r#"{"type":"integer"}"#, &["1", "1.0", "-3"], &["1.5", "\"1\"", "null", "true"]);
    check(r#"{"type":["string","null"]}"#, &["\"\"", "null"], &["1"]);
    check(r#"{"enum":[1,"a",[1,{"x":2}]]}"#, &["1.0", "\"a\"", "[1,{\"x\":2.0}]"], &["\"1\"", "[1]", "2"]);
    check(r#"{"const":{"a":1,"b":2}}"#, &[r#"{"b":2,"a":1}"#], &[r#"{"a":1}"#]);
    check(r#"{"minimum":0,"exclusiveMaximum":10}"#, &["0", "9.99", "\"a\""], &["-0.1", "10"]);
    check(r#"{"maximum":9007199254740993}"#, &["9007199254740993"], &["9007199254740994"]);
    check(r#"{"multipleOf":0.01}"#, &["0.3", "19.99", "4"], &["0.005"]);
    check(r#"{"multipleOf":3}"#, &["9", "0"], &["10"]);
    check(r#"{"minLength":2,"maxLength":3,"pattern":"^é"}"#, &["\"éa\"", "\"\\u00e9ab\"", "7"], &["\"é\"", "\"éabc\"", "\"ab\""]);
    check(
        r#"{"items":{"type":"integer"},"minItems":1,"maxItems":3,"uniqueItems":true}"#,
        &["[1]", "[1,2,3]"],
        &["[]", "[1,2,3,4]", "[1,1.0]", "[\"a\"]"],
    );
    check(r#"{"prefixItems":[{"type":"string"}],"items":false}"#, &["[]", "[\"a\"]"], &["[1]", "[\"a\",1]"]);
    check(r#"{"contains":{"const":7}}"#, &["[1,7]", "{}"], &["[]", "[1]"]);
}

#[test]
fn objects_and_combinations() {
    check(
        r#"{"type":"object","required":["a"],"properties":{"a":{"type":"number"}},"patternProperties":{"^x_":{"type":"string"}},
            "additionalProperties":false,"maxProperties":2,"propertyNames":{"maxLength":3}}"#,
        &[r#"{"a":1}"#, r#"{"a":1,"x_b":"t"}"#],
        &[r#"{"x_b":"t"}"#, r#"{"a":"1"}"#, r#"{"a":1,"b":2}"#, r#"{"a":1,"x_":1}"#, r#"{"a":1,"x_12":"t"}"#, "[]"],
    );
    check(r#"{"dependentRequired":{"card":["name"]}}"#, &["{}", r#"{"card":1,"name":2}"#], &[r#"{"card":1}"#]);
    check(r#"{"allOf":[{"minimum":1},{"maximum":2}]}"#, &["1", "2"], &["0", "3"]);
    check(r#"{"anyOf":[{"const":1},{"type":"string"}]}"#, &["1", "\"\""], &["2"]);
    check(r#"{"oneOf":[{"minimum":1},{"minimum":5}]}"#, &["1", "4"], &["0", "5"]);
    check(r#"{"not":{"type":"null"}}"#, &["1"], &["null"]);
    check(r#"{"if":{"minimum":5},"then":{"multipleOf":5},"else":{"const":1}}"#, &["5", "10", "1"], &["6", "2"]);
    check(
        r##"{"$ref":"#/$defs/tree","$defs":{"tree":{"properties":{"left":{"$ref":"#/$defs/tree"}},"required":["n"]}}}"##,
        &[r#"{"n":1}"#, r#"{"n":1,"left":{"n":2}}"#],
        &[r#"{"n":1,"left":{}}"#],
    );
}

#[test]
fn what_is_not_looked_at_is_refused() {
    for (schema, says) in [
        ("", "no JSON"),
        ("7", "no JSON schema"),
        (r#"{"format":"email"}"#, "\"format\", which is not looked at here"),
        (r#"{"properties":{"a":{"colour":1}}}"#, "\"colour\""),
        (r#"{"type":"int"}"#, "makes no sense"),
        (r#"{"minLength":-1}"#, "makes no sense"),
        (r#"{"multipleOf":0}"#, "makes no sense"),
        (r#"{"pattern":"("}"#, "no regular expression"),
        (r#"{"$ref":"https://example.org/schema"}"#, "makes no sense"),
        (r##"{"$ref":"#/$defs/none"}"##, "makes no sense"),
        (r#"{"required":"a"}"#, "makes no sense"),
    ] {
        let why = JsonSchema::read(schema).err().unwrap_or_else(|| panic!("{schema} is refused"));
        assert!(why.contains(says), "{schema}: {why}");
    }
    let deep = format!("{}true{}", "{\"not\":".repeat(1000), "}".repeat(1000));
    assert!(JsonSchema::read(&deep).is_err());
}

#[test]
fn schemas_that_lead_into_themselves_come_to_an_end() {
    let itself = JsonSchema::read(r##"{"$ref":"#"}"##).expect("it is known");
    assert!(itself.judge(b"1").expect_err("it does not end").contains("too deep"));
    let twice = r##"{"allOf":[{"$ref":"#"},{"$ref":"#"}]}"##;
    assert!(JsonSchema::read(twice).expect("it is known").judge(b"1").is_err());
    let wide = (0..30).map(|n| format!("\"d{n}\":{{\"allOf\":[{{\"$ref\":\"#/$defs/d{0}\"}},{{\"$ref\":\"#/$defs/d{0}\"}}]}}", n + 1));
    let doubling = format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{},"d30":true}}}}"##, wide.collect::<Vec<_>>().join(","));
    let doubling = JsonSchema::read(&doubling).expect("it is known");
    assert!(doubling.judge(b"1").expect_err("it looks a billion times").contains("too often"));
    let long = format!("[{}0]", "0,".repeat(100_000));
    assert!(JsonSchema::read(r#"{"uniqueItems":true}"#).expect("it is known").judge(long.as_bytes()).is_err());
    let nested = "[".repeat(100_000);
    assert_eq!(itself.judge(nested.as_bytes()), Ok(false), "no JSON");
}
