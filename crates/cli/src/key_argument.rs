//! Row keys as they are typed on the command line.
//!
//! A key is typed as `276`, as `1,2`, or as `k1=1,k2=2`. What is typed says less than what is stored (`276` may be a
//! number or a text), so a typed key is matched against stored keys instead of being turned into one.
use mainstem::typed_value::literal;
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
}
