//! Row keys and values as they are typed on the command line.
//!
//! A key is typed as `276`, as `1,2`, or as `k1=1,k2=2`. What is typed says less than what is stored (`276` may be a
//! number or a text), so a typed key is matched against stored keys instead of being turned into one.
use mainstem::{Error, Result};
use mainstem_core::value::{Key, Value};

/// A typed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyArgument(pub String);

impl KeyArgument {
    /// True where this names that key of that table. Fails where it has another number of parts, or names a column
    /// that is not in the key.
    pub fn is_match(&self, columns: &[&str], key: &Key) -> Result<bool> {
        let parts = self.parts(columns)?;
        Ok(parts.iter().zip(key).all(|(typed, stored)| is_same(typed, stored)))
    }

    /// Every key that this names in a table with these key columns: what is typed says less than what is stored.
    pub fn candidates(&self, columns: &[&str]) -> Result<Vec<Key>> {
        let mut keys: Vec<Key> = vec![Vec::new()];
        for part in self.parts(columns)? {
            let text = Value::text(part.clone());
            let values: Vec<Value> = literal(&part).filter(|value| *value != text).into_iter().chain([text.clone()]).collect();
            let longer = |key: &Key| values.iter().map(|value| [key.as_slice(), std::slice::from_ref(value)].concat()).collect::<Vec<_>>();
            keys = keys.iter().flat_map(longer).collect();
        }
        Ok(keys)
    }

    /// The typed parts in the key's order.
    fn parts(&self, columns: &[&str]) -> Result<Vec<String>> {
        if let [only] = columns {
            return Ok(vec![strip_name(&self.0, only).unwrap_or(&self.0).to_string()]);
        }
        let pieces = split(&self.0);
        if pieces.len() != columns.len() {
            return Err(self.unfit(
                columns,
                if pieces.len() == 1 { "1 part was given".to_string() } else { format!("{} parts were given", pieces.len()) },
            ));
        }
        let is_named = pieces.iter().all(|p| columns.iter().any(|c| strip_name(p, c).is_some()));
        if !is_named {
            return Ok(pieces.into_iter().map(str::to_string).collect());
        }
        let named = |column: &&str| pieces.iter().find_map(|p| strip_name(p, column)).map(str::to_string);
        columns.iter().map(|c| named(c).ok_or_else(|| self.unfit(columns, format!("{c} is not given")))).collect()
    }

    fn unfit(&self, columns: &[&str], why: String) -> Error {
        let example: Vec<String> = columns.iter().map(|c| format!("{c}=…")).collect();
        let message = format!("key {}: it has {} parts ({}), but {why}", self.0, columns.len(), columns.join(", "));
        Error::invalid(message).hint(format!("give it as '{}'", example.join(",")))
    }
}

/// What stands after `name=`, where the piece begins so.
fn strip_name<'a>(piece: &'a str, name: &str) -> Option<&'a str> {
    let piece = piece.trim_start();
    let (head, rest) = (piece.get(..name.len())?, piece.get(name.len()..)?);
    head.eq_ignore_ascii_case(name).then_some(rest)?.trim_start().strip_prefix('=')
}

/// Splits at commas that are not inside a quoted value. A quote opens a value only where the value begins.
fn split(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut is_quoted, mut is_escaped) = (0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '\'' if is_quoted => is_quoted = false,
            '\'' => is_quoted = may_open(&text[start..at]),
            ',' if !is_quoted => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces
}

/// True where a quote after this part of a piece begins a value: at its start, after `x`, after `name=`, or as the second
/// of a doubled quote.
fn may_open(before: &str) -> bool {
    let before = before.trim();
    before.is_empty() || before.eq_ignore_ascii_case("x") || before.ends_with(['=', '\'']) || {
        let end = before.rsplit('=').next().unwrap_or("").trim();
        before.contains('=') && end.eq_ignore_ascii_case("x")
    }
}

fn is_same(typed: &str, stored: &Value) -> bool {
    if let Value::Text(bytes) = stored
        && bytes == typed.as_bytes()
    {
        return true;
    }
    literal(typed) == Some(stored.clone())
}

/// Reads `null`, a number, `'text'` or `x'00'`; none for anything else.
pub fn literal(typed: &str) -> Option<Value> {
    let typed = typed.trim();
    if typed.eq_ignore_ascii_case("null") {
        return Some(Value::Null);
    }
    if let Ok(i) = typed.parse::<i64>() {
        return Some(Value::Integer(i));
    }
    if let Some(hex) = typed.strip_prefix(['x', 'X']).and_then(quoted) {
        return from_hex(hex).map(Value::Blob);
    }
    if let Some(inner) = quoted(typed) {
        return Some(Value::Text(unescape(inner)));
    }
    real(typed).map(Value::Real)
}

fn real(typed: &str) -> Option<f64> {
    let is_number = typed.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let is_infinity = matches!(typed, "inf" | "+inf" | "-inf");
    if !is_number && !is_infinity {
        return None;
    }
    typed.parse().ok().filter(|r: &f64| !r.is_nan())
}

fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('\'')?.strip_suffix('\'')
}

/// Undoes what showing a value did: `\n`, `\u{…}`, `\x…`, `\'`, and SQL's doubled quote.
fn unescape(inner: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(c) = rest.chars().next() {
        let (taken, length) = match c {
            '\\' => escape(rest),
            '\'' if rest.starts_with("''") => (b"'".to_vec(), 2),
            c => (c.to_string().into_bytes(), c.len_utf8()),
        };
        bytes.extend(taken);
        rest = &rest[length..];
    }
    bytes
}

/// One escape at the start of the text: its bytes, and how much of the text it is.
fn escape(rest: &str) -> (Vec<u8>, usize) {
    let simple = match rest.as_bytes().get(1) {
        Some(b'n') => Some(b'\n'),
        Some(b'r') => Some(b'\r'),
        Some(b't') => Some(b'\t'),
        Some(b'\\') => Some(b'\\'),
        Some(b'\'') => Some(b'\''),
        _ => None,
    };
    if let Some(b) = simple {
        return (vec![b], 2);
    }
    if let Some(byte) = rest.get(2..4).filter(|_| rest.starts_with("\\x")).and_then(from_hex) {
        return (byte, 4);
    }
    let code = rest.strip_prefix("\\u{").and_then(|r| r.split_once('}'));
    let character = code.and_then(|(digits, _)| char::from_u32(u32::from_str_radix(digits, 16).ok()?));
    match (character, code) {
        (Some(c), Some((digits, _))) => (c.to_string().into_bytes(), digits.len() + 4),
        _ => (vec![b'\\'], 1),
    }
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).ok()).collect()
}

/// The value meant by `--value V`. A number becomes text where every value that the cell had is text; what is not
/// `null`, a number, `'…'` or `x'…'` is text as it is.
pub fn value_for_cell(typed: &str, known: &[&Value]) -> Value {
    let texts = known.iter().filter(|v| matches!(v, Value::Text(_))).count();
    let others = known.iter().filter(|v| !matches!(v, Value::Text(_) | Value::Null)).count();
    match literal(typed) {
        Some(Value::Integer(_) | Value::Real(_)) if texts > 0 && others == 0 => Value::text(typed),
        Some(value) => value,
        None => Value::text(typed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(typed: &str, columns: &[&str], key: Vec<Value>) -> bool {
        KeyArgument(typed.into()).is_match(columns, &key).expect("a key that fits")
    }

    #[test]
    fn one_part_is_taken_as_it_is() {
        assert!(is_match("276", &["id"], vec![Value::Integer(276)]));
        assert!(is_match("276", &["id"], vec![Value::text("276")]));
        assert!(!is_match("'276'", &["id"], vec![Value::Integer(276)]));
        assert!(is_match("id=276", &["id"], vec![Value::Integer(276)]));
        assert!(is_match("a,b", &["code"], vec![Value::text("a,b")]));
        assert!(is_match("x'00ff'", &["h"], vec![Value::Blob(vec![0, 255])]));
        assert!(is_match("-1.5", &["r"], vec![Value::Real(-1.5)]));
        assert!(!is_match("1", &["r"], vec![Value::Real(1.0)]));
    }

    #[test]
    fn every_candidate_is_a_match() {
        for (typed, columns, count) in [("276", &["id"][..], 2), ("a", &["id"], 1), ("1,'b,c'", &["k", "n"], 4), ("x'00'", &["id"], 2)] {
            let argument = KeyArgument(typed.into());
            let candidates = argument.candidates(columns).expect("a key that fits");
            assert_eq!(candidates.len(), count, "{typed}");
            assert!(candidates.iter().all(|key| argument.is_match(columns, key).expect("a key that fits")), "{typed}");
        }
        assert!(KeyArgument("1".into()).candidates(&["a", "b"]).is_err());
    }

    #[test]
    fn several_parts_go_by_place_or_by_name() {
        let key = vec![Value::Integer(1), Value::text("b,c")];
        assert!(is_match("1,'b,c'", &["k1", "k2"], key.clone()));
        assert!(is_match("k2='b,c',k1=1", &["k1", "k2"], key.clone()));
        assert!(!is_match("2,'b,c'", &["k1", "k2"], key));
        let e = KeyArgument("1".into()).is_match(&["k1", "k2"], &vec![]).expect_err("a part is missing");
        assert!(e.message.contains("2 parts (k1, k2)"), "{}", e.message);
    }

    #[test]
    fn a_key_with_an_equals_sign_is_not_a_name() {
        assert!(is_match("a=b", &["id"], vec![Value::text("a=b")]));
        assert!(is_match("a=b,c=d", &["k1", "k2"], vec![Value::text("a=b"), Value::text("c=d")]));
    }

    #[test]
    fn a_value_follows_the_cell_it_is_for() {
        let (text, number) = (Value::text("a"), Value::Integer(1));
        assert_eq!(value_for_cell("12", &[&text, &Value::Null]), Value::text("12"));
        assert_eq!(value_for_cell("12", &[&number]), Value::Integer(12));
        assert_eq!(value_for_cell("12", &[&text, &number]), Value::Integer(12));
        assert_eq!(value_for_cell("null", &[&text]), Value::Null);
        assert_eq!(value_for_cell("'null'", &[&text]), Value::text("null"));
        assert_eq!(value_for_cell("hello", &[&number]), Value::text("hello"));
        assert_eq!(value_for_cell("infinity", &[&number]), Value::text("infinity"));
        assert_eq!(value_for_cell("x'zz'", &[&text]), Value::text("x'zz'"));
    }
}
