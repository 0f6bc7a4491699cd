//! Single values as JSON and as command-line text.
use super::tree::Json;
use crate::error::{Error, Result};
use mainstem_core::value::Value;
use serde_json::{Value as Out, json};

/// Why something is no value.
type OrWhy<T> = std::result::Result<T, String>;

const EXACT_MAX: u64 = 1 << 53;
/// From here on a plain JSON number without a fraction could have been an integer.
const INTEGERS_END: f64 = 9_223_372_036_854_775_808.0;

/// A value as JSON; the rule is in [`super`]'s table.
pub fn value_to_json(value: &Value) -> Out {
    match value {
        Value::Null => Out::Null,
        Value::Integer(i) if i.unsigned_abs() <= EXACT_MAX => json!(i),
        Value::Integer(i) => json!({ "integer": i.to_string() }),
        Value::Real(r) => real_to_json(*r),
        Value::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => json!(text),
            Err(_) => json!({ "text_hex": to_hex(bytes) }),
        },
        Value::Blob(bytes) => json!({ "blob": to_hex(bytes) }),
    }
}

fn real_to_json(real: f64) -> Out {
    if real.is_nan() {
        Out::Null
    } else if real.is_infinite() {
        json!({ "real": if real > 0.0 { "inf" } else { "-inf" } })
    } else if real == 0.0 && real.is_sign_negative() {
        json!({ "real": "-0.0" })
    } else if real.trunc() == real {
        json!({ "real": real })
    } else {
        json!(real)
    }
}

/// Reads a value from the text that a person typed, as in `--value TEXT`.
///
/// Text that is a JSON value of [`super`]'s table, without blanks around it, is that value: `null`, `42`, `1.5`, `"42"`
/// (text), `{"blob": "00ff"}`, `{"real": 1.0}`. Everything else is the text itself: `Anna`, `007`, `true`, `[1]`, and the
/// empty text. To be sure of text, write it as a JSON string. A number that fits neither an integer nor a real exactly,
/// and one of the table's objects that is malformed, are errors.
pub fn value_from_text(text: &str) -> Result<Value> {
    let is_bare = text.trim() == text;
    match Json::parse(text.as_bytes()) {
        Ok(json) if is_bare && is_value(&json) => value_from_json(json).map_err(Error::invalid),
        _ => Ok(Value::text(text)),
    }
}

fn is_value(json: &Json) -> bool {
    match json {
        Json::Null | Json::Integer(_) | Json::Unsigned(_) | Json::Real(_) | Json::Text(_) => true,
        Json::Flag(_) | Json::List(_) => false,
        Json::Object(members) => {
            matches!(&members[..], [(name, _)] if ["integer", "real", "text_hex", "blob"].contains(&name.as_str()))
        }
    }
}

/// A value from JSON, or why it is none.
pub(super) fn value_from_json(json: Json) -> OrWhy<Value> {
    match json {
        Json::Null => Ok(Value::Null),
        Json::Integer(number) => Ok(Value::Integer(number)),
        Json::Unsigned(number) => Err(format!("{number} does not fit into 64 bits; write {{\"real\": {number}}}")),
        Json::Real(number) if number.trunc() == number && number.abs() >= INTEGERS_END => {
            Err(format!("{number} may have been an integer; write {{\"real\": {number:e}}}"))
        }
        Json::Real(number) => Ok(Value::Real(number)),
        Json::Text(text) => Ok(Value::Text(text.into_bytes())),
        Json::Flag(_) | Json::List(_) => Err("true, false and lists are no values".into()),
        Json::Object(members) => match <[(String, Json); 1]>::try_from(members) {
            Ok([(name, inner)]) => value_from_member(&name, inner),
            Err(_) => Err("an object for a value has one member".into()),
        },
    }
}

fn value_from_member(name: &str, inner: Json) -> OrWhy<Value> {
    match (name, inner) {
        ("integer", Json::Integer(number)) => Ok(Value::Integer(number)),
        ("integer", Json::Text(digits)) => {
            let number: Option<i64> = digits.parse().ok().filter(|n: &i64| n.to_string() == digits);
            number.map(Value::Integer).ok_or_else(|| format!("{digits:?} is no 64-bit integer"))
        }
        ("real", Json::Real(number)) => Ok(Value::Real(number)),
        ("real", Json::Integer(number)) => Ok(Value::Real(number as f64)),
        ("real", Json::Unsigned(number)) => Ok(Value::Real(number as f64)),
        ("real", Json::Text(text)) => match text.as_str() {
            "inf" => Ok(Value::Real(f64::INFINITY)),
            "-inf" => Ok(Value::Real(f64::NEG_INFINITY)),
            "-0.0" => Ok(Value::Real(-0.0)),
            _ => Err(format!("{text:?} is no real")),
        },
        ("text_hex", Json::Text(hex)) => from_hex(&hex).map(Value::Text),
        ("blob", Json::Text(hex)) => from_hex(&hex).map(Value::Blob),
        (name, _) => Err(format!("{{{name:?}: …}} is no value")),
    }
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
        hex
    })
}

fn from_hex(hex: &str) -> OrWhy<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|&[a, b]| Some(digit(a)? << 4 | digit(b)?)).collect::<Option<_>>();
    bytes.filter(|_| rest.is_empty()).ok_or_else(|| format!("{:?} is not hexadecimal", hex.get(..20).unwrap_or(hex)))
}
