//! Values as people type them, on the command line or in a form.
//!
//! What is typed says less than what is stored (`276` may be a number or a text), so it is read beside the values that were there.
use mainstem_core::conflict::{Claim, Conflict};
use mainstem_core::value::Value;

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

/// The value meant for a cell that had these. A number becomes text where every one of them is text; what is not `null`, a
/// number, `'…'` or `x'…'` is text as it is.
pub fn value_for_cell(typed: &str, known: &[&Value]) -> Value {
    let texts = known.iter().filter(|v| matches!(v, Value::Text(_))).count();
    let others = known.iter().filter(|v| !matches!(v, Value::Text(_) | Value::Null)).count();
    match literal(typed) {
        Some(Value::Integer(_) | Value::Real(_)) if texts > 0 && others == 0 => Value::text(typed),
        Some(value) => value,
        None => Value::text(typed),
    }
}

/// The value meant as the answer to a conflict about a cell.
pub fn value_for_conflict(typed: &str, conflict: &Conflict) -> Value {
    let sides = [&conflict.base, &conflict.ours.claim, &conflict.theirs.claim];
    let cells: Vec<&Value> =
        sides.into_iter().filter_map(|claim| if let Claim::Cell(value) = claim { Some(value) } else { None }).collect();
    value_for_cell(typed, &cells)
}

#[cfg(test)]
mod tests {
    use super::*;

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
