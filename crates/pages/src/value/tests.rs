//! What is shown of values: a table of cases, and of texts that would mislead.
use super::*;

fn shown(value: &Value) -> String {
    let shown = ShownValue::new(value, Room::Cell);
    let mut text: String =
        shown.runs.iter().map(|run| if run.stands_for.is_some() { format!("⟨{}⟩", run.text) } else { run.text.clone() }).collect();
    for more in shown.notes.iter().chain(&shown.warnings).chain(&shown.cut) {
        text.push_str(&format!(" ({more})"));
    }
    text
}

#[test]
fn values_are_shown_to_the_bit() {
    for (value, expected) in [
        (Value::Null, "NULL"),
        (Value::text("NULL"), "NULL (text)"),
        (Value::Integer(-9_223_372_036_854_775_808), "-9223372036854775808"),
        (Value::Integer(1), "1"),
        (Value::Real(1.0), "1.0"),
        (Value::text("1"), "1 (text)"),
        (Value::Real(-0.0), "-0.0"),
        (Value::Real(0.1 + 0.2), "0.30000000000000004"),
        (Value::Real(f64::INFINITY), "Inf"),
        (Value::Real(1e300), "1e300"),
        (Value::text(""), " (empty text)"),
        (Value::text("a b"), "a b"),
        (Value::text(" a "), "⟨␣⟩a⟨␣⟩"),
        (Value::text("a\tb\nc\r"), "a⟨→⟩\tb⟨↵⟩\nc⟨U+000D⟩"),
        (Value::Text(b"a\xffb".to_vec()), "a⟨\\xff⟩b"),
        (Value::Blob(vec![]), " (blob, 0 bytes)"),
        (Value::Blob(vec![0, 0xff]), "00 ff (blob, 2 bytes)"),
        (Value::text("Größe, naïve, 日本語, Ελλάδα"), "Größe, naïve, 日本語, Ελλάδα"),
    ] {
        assert_eq!(shown(&value), expected, "{value:?}");
    }
    let long = shown(&Value::Blob(vec![0; 3_000]));
    assert!(long.ends_with("… (blob, 3,000 bytes)"), "{long}");
    let long = shown(&Value::text("x".repeat(1_234_567)));
    assert!(long.len() < 400 && long.ends_with("(cut here: 1,234,567 bytes in all)"), "{long}");
}

#[test]
fn what_cannot_be_seen_is_marked() {
    let unseen = [
        0x00, 0x07, 0x08, 0x1b, 0x7f, 0x85, 0x9f, 0xa0, 0xad, 0x34f, 0x300, 0x61c, 0x115f, 0x1160, 0x1680, 0x17b4, 0x180e, 0x2000, 0x200a,
        0x200b, 0x200c, 0x200d, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x202f, 0x205f, 0x2060, 0x2061,
        0x2066, 0x2067, 0x2068, 0x2069, 0x206a, 0x2800, 0x3000, 0x3164, 0xe000, 0xfe0f, 0xfeff, 0xffa0, 0xfff9, 0xfffd, 0x1d173, 0xe0001,
        0xe0041, 0xe0101, 0x10fffd,
    ];
    for code in unseen {
        let c = char::from_u32(code).expect("a character");
        for text in [format!("a{c}b"), format!("{c}"), format!("{c}{c}a"), format!("if (admin{c}) return;")] {
            let shown = shown(&Value::text(&text));
            assert!(!shown.contains(c), "U+{code:04X} is in {shown:?}");
            assert_eq!(shown.matches(&format!("⟨U+{code:04X}⟩")).count(), text.matches(c).count(), "{shown:?}");
        }
    }
}

#[test]
fn letters_that_are_taken_for_others_are_told() {
    for (text, warning) in [
        ("pаypal", "mixes Latin and Cyrillic letters"),
        ("раура", "Cyrillic letters that look Latin"),
        ("Ηello", "mixes Latin and Greek letters"),
        ("ΑΒ", "Greek letters that look Latin"),
        ("Ꭺpple", "mixes Latin and Cherokee letters"),
        ("ｐａｙｐａｌ", "letters in another form"),
        ("𝐩aypal", "letters in another form"),
        ("x = pаypal.com", "mixes Latin and Cyrillic letters"),
    ] {
        assert_eq!(ShownValue::new(&Value::text(text), Room::Cell).warnings, [warning], "{text}");
    }
    for honest in ["Привет, мир", "Ελλάδα", "naïve café", "日本語 text", "Москва and Berlin", "مرحبا", "a b", ""]
    {
        assert!(ShownValue::new(&Value::text(honest), Room::Cell).warnings.is_empty(), "{honest}");
    }
}

#[test]
fn what_differs_is_shown_to_differ() {
    use crate::cell::ShownCell;
    let long = |end: &str| Value::text("x".repeat(1_000) + end);
    let table = [
        (Value::text("1"), Value::Integer(1)),
        (Value::Integer(1), Value::Real(1.0)),
        (Value::text(""), Value::Null),
        (Value::text("NULL"), Value::Null),
        (Value::text("é"), Value::text("e\u{301}")),
        (Value::text("a"), Value::text("а")),
        (Value::text("a"), Value::text("a\u{200b}")),
        (Value::text("a"), Value::text("a ")),
        (Value::text("a"), Value::Text(b"a\0".to_vec())),
        (Value::text("a"), Value::Blob(b"a".to_vec())),
        (Value::Blob(vec![0; 100]), Value::Blob([vec![0; 99], vec![1]].concat())),
        (long("a"), long("b")),
        (Value::text("\u{fffd}"), Value::Text(b"\xff".to_vec())),
        (Value::text("U+200B"), Value::text("\u{200b}")),
    ];
    for (before, after) in table {
        let cell = ShownCell::new("c", Some(&before), Some(&after), Room::Cell);
        let html = |value: &Option<ShownValue>| value.as_ref().expect("a side").render().expect("rendered");
        assert!(html(&cell.before) != html(&cell.after) || cell.unseen.is_some(), "{before:?} {after:?}");
        let same = ShownCell::new("c", Some(&before), Some(&before), Room::Cell);
        assert!(same.unseen.is_none() && html(&same.before) == html(&same.after), "{before:?}");
    }
}

#[test]
fn nothing_in_a_value_is_markup() {
    for text in ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'onmouseover='x", "</bdi>", "&amp;"] {
        let html = ShownValue::new(&Value::text(text), Room::Cell).render().expect("rendered");
        let bare = html.replace("<bdi class=\"v v-text\">", "").replace("</bdi>", "");
        assert!(!bare.contains(['<', '>', '"', '\'']), "{html}");
    }
}
