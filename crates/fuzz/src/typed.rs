//! What people write: changesets as JSON, policies, row keys, values and times.
use crate::part;
use mainstem::changeset_json::{self, parse_time, time_text, value_from_text, value_to_json};
use mainstem::policy_text;
use mainstem::primary::Pages;
use mainstem_core::ErrorKind;
use mainstem_core::change::Change;
use mainstem_core::value::Value;

/// The program's own file, for it is no library that could be asked.
#[path = "../../cli/src/key_argument.rs"]
#[allow(dead_code, reason = "the program uses more of it")]
mod key_argument;

use key_argument::KeyArgument;

/// Changes as one page, and whether it was given.
pub struct Page(pub Vec<Change>, pub bool);

impl Pages for Page {
    fn next(&mut self) -> mainstem::Result<Option<Vec<Change>>> {
        Ok((!std::mem::replace(&mut self.1, true)).then(|| self.0.clone()))
    }
    fn rewind(&mut self) -> mainstem::Result<()> {
        self.1 = false;
        Ok(())
    }
}

/// What is read is written and read again as the same.
pub fn json(bytes: &[u8]) {
    let whole = match changeset_json::import(bytes) {
        Ok(whole) => whole,
        Err(e) => return assert_eq!(e.kind, ErrorKind::Invalid, "{e:?}"),
    };
    let mut written = Vec::new();
    changeset_json::export(&whole.front, &mut Page(whole.changes.clone(), false), &mut written).expect("memory takes all");
    let text = String::from_utf8_lossy(&written).into_owned();
    assert_eq!(changeset_json::import(&written).expect(&text), whole);
}

pub fn json_seeds() -> Vec<Vec<u8>> {
    vec![include_bytes!("../../mainstem/fixtures/format-1/changeset.json").to_vec()]
}

/// A policy that is read, and a setting of it that is typed: what is set can be read, and a refusal changes nothing.
pub fn policy(bytes: &[u8]) {
    let (key, rest) = part(bytes);
    let (value, text) = part(rest);
    let [key, value, text] = [key, value, text].map(String::from_utf8_lossy);
    let Ok(read) = policy_text::parse(&text) else { return };
    for entry in read.entries() {
        assert!(!format!("{entry:?}").is_empty());
    }
    if let Ok(changed) = policy_text::set(&text, &key, &value) {
        policy_text::parse(&changed).unwrap_or_else(|e| panic!("{key} = {value} makes what cannot be read: {e}\n{changed}"));
        assert_eq!(policy_text::set(&changed, &key, &value).ok(), Some(changed), "set to the same");
    }
}

pub fn policy_seeds() -> Vec<Vec<u8>> {
    let text = "strategy = \"text\"\nclock_skew_ms_max = 5\npriority_actors = { ann = 2, ben = 1 }\n[tables.Artist]\nmode = \"review\" # why\n\
                deletes = \"manual\"\n[tables.\"Order Details\".columns.Name]\nstrategy = \"set\"\ndelimiter = \";\"\n\
                [gates.price]\nrule = \"range\"\ntable = \"product\"\ncolumn = \"price\"\nmin = 0\n";
    let settings = [
        ("gates.price.min", "1.5"),
        ("gates.price", "{ rule = \"in-set\", table = \"t\", column = \"c\", values = [1, \"a\"] }"),
        ("gates.new", "{ rule = \"no-rows\", sql = \"SELECT 1\" }"),
        ("Artist.mode", "direct"),
        ("\"Order Details\".Name.strategy", "list"),
        ("strategy", "counter"),
        ("priority_actors", "ann=2, ben=1"),
        ("a.b.delimiter", "x"),
        ("clock_skew_ms_max", "9"),
    ];
    settings.map(|(key, value)| crate::parts(&[key.as_bytes(), value.as_bytes(), text.as_bytes()])).to_vec()
}

/// A row key, a value and a time.
pub fn arguments(bytes: &[u8]) {
    let typed = String::from_utf8_lossy(bytes).into_owned();
    let literal = mainstem::typed_value::literal(&typed);
    let keys = [Value::Null, Value::Integer(1), Value::Real(1.5), Value::text(&typed), Value::Blob(bytes.to_vec())];
    let argument = KeyArgument(typed.clone());
    for one in &keys {
        for other in &keys {
            let _ = argument.is_match(&["k"], &vec![one.clone()]);
            let _ = argument.is_match(&["first", "k"], &vec![one.clone(), other.clone()]);
        }
    }
    if let (Some(value), Ok(is_match)) = (&literal, argument.is_match(&["k"], &vec![literal.clone().unwrap_or_default()])) {
        assert!(is_match || typed.trim_start().starts_with(['k', 'K']), "{value:?} is what was typed: {typed}");
    }
    if let Ok(value) = value_from_text(&typed) {
        let shown = value_to_json(&value).to_string();
        assert_eq!(value_from_text(&shown).expect("what is shown can be typed"), value, "{shown}");
    }
    if let Some(time) = parse_time(&typed) {
        assert_eq!(parse_time(&time_text(time)), Some(time), "{}", time_text(time));
    }
}

pub fn argument_seeds() -> Vec<Vec<u8>> {
    let typed = [
        "276",
        "k = 1,first='a, ''b'''",
        "x'00ff'",
        "-1.5e300",
        "null",
        "{\"real\": \"-0.0\"}",
        "{\"integer\": \"9007199254740993\"}",
        "\"a\\u0000b\"",
        "{\"blob\": \"00ff\"}",
        "2026-08-04T10:00:00.123Z",
        "2026-08-04T10:00:00.123456Z",
    ];
    typed.map(|text| text.as_bytes().to_vec()).to_vec()
}
