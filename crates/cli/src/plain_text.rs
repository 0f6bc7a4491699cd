//! Values, times and rows as text for people: types and invisible characters made visible.
//!
//! Invariant: no control character of a value or a name reaches the terminal.
pub use mainstem::moment::moment_ms;
use mainstem_core::stamp::Time;
use mainstem_core::value::{Key, Value};
use std::fmt::Write;

/// How much of one value is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Enough to recognise it.
    Short,
    /// All of a text; of a blob its first bytes and its size.
    Full,
}

const SHORT_CHARACTERS: usize = 60;
const BLOB_BYTES_SHOWN: usize = 32;

/// A value: `NULL`, `1`, `1.0`, `'text'`, `x'00'`. The form says the type.
pub fn value(value: &Value, extent: Extent) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Integer(i) => i.to_string(),
        Value::Real(r) => real(*r),
        Value::Text(bytes) => format!("'{}'", text(bytes, extent)),
        Value::Blob(bytes) => blob(bytes),
    }
}

/// A real with a dot or an exponent, or `inf`, `-inf`.
pub fn real(r: f64) -> String {
    format!("{r:?}")
}

fn blob(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(BLOB_BYTES_SHOWN)];
    let rest = bytes.len() - shown.len();
    if rest == 0 { format!("x'{}'", hex(shown)) } else { format!("x'{}…' ({} bytes)", hex(shown), bytes.len()) }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, b| {
        write!(text, "{b:02x}").expect("writing to a string does not fail");
        text
    })
}

/// Text with everything invisible escaped; bytes that are not UTF-8 as `\xNN`.
pub fn text(bytes: &[u8], extent: Extent) -> String {
    let mut shown = String::with_capacity(bytes.len());
    let mut characters = 0;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if extent == Extent::Short && characters >= SHORT_CHARACTERS {
                return shown + "…";
            }
            characters += 1;
            push_visible(&mut shown, c);
        }
        for b in chunk.invalid() {
            write!(shown, "\\x{b:02x}").expect("writing to a string does not fail");
        }
    }
    shown
}

/// A name (of a table, a column, a person) as people may see it.
pub fn name(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_invisible(c) { push_visible(&mut shown, c) } else { shown.push(c) }
    }
    shown
}

fn push_visible(shown: &mut String, c: char) {
    match c {
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        '\\' => shown.push_str("\\\\"),
        '\'' => shown.push_str("''"),
        c if is_invisible(c) => write!(shown, "\\u{{{:x}}}", u32::from(c)).expect("writing to a string does not fail"),
        c => shown.push(c),
    }
}

/// True for what a reader would not see, or would see as something else: control and format characters, odd spaces,
/// marks that join the letter before them (so that é as one character and as two look different).
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xA0 | 0xAD | 0x34F | 0x61C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180E | 0x2000..=0x200F
            | 0x2028..=0x202F | 0x205F..=0x206F | 0x3000 | 0x3164 | 0xFEFF | 0xFFA0 | 0xFFF9..=0xFFFB
            | 0xE0000..=0xE007F | 0x300..=0x36F)
}

/// A row key: the values, separated by commas. What is printed can be typed again as a KEY.
pub fn key(key: &Key) -> String {
    let parts: Vec<String> = key.iter().map(|part| key_part(part, key.len() == 1)).collect();
    parts.join(",")
}

fn key_part(part: &Value, is_alone: bool) -> String {
    let Value::Text(bytes) = part else {
        return value(part, Extent::Full);
    };
    let shown = text(bytes, Extent::Full);
    let is_plain = std::str::from_utf8(bytes) == Ok(shown.as_str()) && !shown.is_empty();
    let is_clear = !shown.starts_with(['\'', '-', '+', '.']) && !shown.starts_with(|c: char| c.is_ascii_digit());
    let is_single = is_alone || !shown.contains([',', '=']);
    let is_word = !matches!(shown.get(..2), Some("x'" | "X'")) && !shown.eq_ignore_ascii_case("null");
    if is_plain && is_clear && is_single && is_word && shown.trim() == shown { shown } else { format!("'{shown}'") }
}

/// A moment as people write it: `2026-11-20 07:26:10` in UTC.
pub fn moment(time: Time) -> String {
    moment_ms(time.ms()).replacen('T', " ", 1)[..19].to_string()
}

/// The word as a shell reads it: in double or single quotes where it needs them.
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_string()
    } else if !word.contains(['"', '$', '`', '\\', '!']) {
        format!("\"{word}\"")
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// `1 row`, `2 rows`.
pub fn count(n: u64, singular: &str, plural: &str) -> String {
    format!("{n} {}", if n == 1 { singular } else { plural })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_argument::KeyArgument;

    #[test]
    fn the_form_of_a_value_says_its_type() {
        let shown = [
            (Value::Null, "NULL"),
            (Value::Integer(i64::MIN), "-9223372036854775808"),
            (Value::Real(1.0), "1.0"),
            (Value::Real(-0.0), "-0.0"),
            (Value::Real(1e300), "1e300"),
            (Value::Real(f64::NEG_INFINITY), "-inf"),
            (Value::text("1"), "'1'"),
            (Value::Blob(vec![0x31]), "x'31'"),
        ];
        for (given, expected) in shown {
            assert_eq!(value(&given, Extent::Full), expected);
        }
    }

    #[test]
    fn invisible_characters_are_made_visible() {
        let shown = [
            ("a\nb\tc\0", "a\\nb\\tc\\u{0}"),
            ("\x1b[2J", "\\u{1b}[2J"),
            ("a\u{200b}b\u{202e}c", "a\\u{200b}b\\u{202e}c"),
            ("e\u{301}", "e\\u{301}"),
            ("é", "é"),
            ("it's \\ here", "it''s \\\\ here"),
            ("日本🎵", "日本🎵"),
        ];
        for (given, expected) in shown {
            assert_eq!(text(given.as_bytes(), Extent::Full), expected);
        }
        assert_eq!(text(&[0xff, b'A'], Extent::Full), "\\xffA");
    }

    #[test]
    fn long_values_are_cut_only_where_asked() {
        let long = Value::text("x".repeat(500));
        assert_eq!(value(&long, Extent::Short).chars().count(), SHORT_CHARACTERS + 3);
        assert_eq!(value(&long, Extent::Full).chars().count(), 502);
        assert!(value(&Value::Blob(vec![7; 1000]), Extent::Full).ends_with("…' (1000 bytes)"));
    }

    #[test]
    fn moments_are_short_for_people() {
        assert_eq!(moment(Time::from_ms(1_795_159_570_123)), "2026-11-20 07:26:10");
    }

    #[test]
    fn keys_are_quoted_where_they_would_be_read_otherwise() {
        assert_eq!(key(&vec![Value::Integer(276)]), "276");
        assert_eq!(key(&vec![Value::text("276")]), "'276'");
        assert_eq!(key(&vec![Value::text("ALFKI")]), "ALFKI");
        assert_eq!(key(&vec![Value::text("a,b")]), "a,b");
        assert_eq!(key(&vec![Value::text("a,b"), Value::Integer(2)]), "'a,b',2");
        assert_eq!(key(&vec![Value::text("")]), "''");
        assert_eq!(key(&vec![Value::text("x'00'")]), "'x''00'''");
    }

    #[test]
    fn words_are_quoted_as_a_shell_needs_them() {
        assert_eq!(shell_word("a/b.db"), "a/b.db");
        assert_eq!(shell_word("Grandmother's soup"), "\"Grandmother's soup\"");
        assert_eq!(shell_word("$(rm)"), "'$(rm)'");
        assert_eq!(shell_word("it's $x"), "'it'\\''s $x'");
        assert_eq!(shell_word(""), "\"\"");
    }

    #[test]
    fn every_shown_key_can_be_typed_again() {
        let keys = [
            Value::Integer(i64::MIN),
            Value::Real(1e300),
            Value::Real(-0.0),
            Value::text(""),
            Value::text(" x "),
            Value::text("null"),
            Value::text("276"),
            Value::text("it's \\n\n\u{200b}"),
            Value::Text(vec![b'a', 0xff]),
            Value::Blob(vec![]),
            Value::text("x'00'"),
            Value::text("日本, 🎵=1"),
            Value::text("-"),
        ];
        let is_match = |shown: Key, columns: &[&str]| KeyArgument(key(&shown)).is_match(columns, &shown).expect("a key that fits");
        for key in keys {
            let pair = vec![key.clone(), Value::Integer(1)];
            assert!(is_match(vec![key.clone()], &["k"]), "{key:?}");
            assert!(is_match(pair, &["k", "n"]), "{key:?}");
        }
    }
}
