//! One value as people read it, to the bit: its type, what cannot be seen in it, what looks like something else, how long it is.
//!
//! Invariant: two values that differ are shown differently, or it is said that they differ beyond what is shown (T20).
mod letters;

use askama::Template;
use letters::{Sort, sort};
use mainstem_core::value::Value;

/// Characters of a value in a cell of a table.
const CELL_CHARACTERS: usize = 240;
/// Characters of a value that is shown by itself.
const WHOLE_CHARACTERS: usize = 20_000;
/// Bytes of a blob that are shown.
const BLOB_BYTES: usize = 16;

/// How much of a value there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// A cell of a table.
    Cell,
    /// A page of its own.
    Page,
}

impl Room {
    fn characters(self) -> usize {
        match self {
            Room::Cell => CELL_CHARACTERS,
            Room::Page => WHOLE_CHARACTERS,
        }
    }
}

/// A run of a value's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What is shown.
    pub text: String,
    /// What it stands for, where it is the name of something that cannot be seen.
    pub stands_for: Option<&'static str>,
    /// Whether it is only on this side of a comparison.
    pub is_changed: bool,
}

/// A value as it is shown.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "value.html")]
pub struct ShownValue {
    /// Its type.
    pub kind: &'static str,
    /// Its text, where it has one that can be shown so.
    pub runs: Vec<Run>,
    /// What is said beside it in words: its type where that is not plain to see.
    pub notes: Vec<String>,
    /// What a reader should beware of.
    pub warnings: Vec<String>,
    /// How long it is, where it is cut.
    pub cut: Option<String>,
}

impl askama::filters::HtmlSafe for ShownValue {}

impl ShownValue {
    /// A value.
    pub fn new(value: &Value, room: Room) -> ShownValue {
        match value {
            Value::Null => ShownValue { kind: "null", runs: vec![plain("NULL")], ..ShownValue::default() },
            Value::Integer(number) => ShownValue { kind: "integer", runs: vec![plain(number.to_string())], ..ShownValue::default() },
            Value::Real(number) => ShownValue { kind: "real", runs: vec![plain(real(*number))], ..ShownValue::default() },
            Value::Blob(bytes) => blob(bytes),
            Value::Text(bytes) => text(bytes, room),
        }
    }

    /// Text by itself: a name, a title, what somebody wrote.
    pub fn of_text(text: &str, room: Room) -> ShownValue {
        let mut shown = self::text(text.as_bytes(), room);
        shown.notes.clear();
        shown
    }

    /// A name or a title among other words.
    fn name(text: &str) -> ShownValue {
        ShownValue { kind: "name", ..ShownValue::of_text(text, Room::Cell) }
    }

    /// Whether it is shown whole.
    pub fn is_whole(&self) -> bool {
        self.cut.is_none()
    }

    /// Its text for where there can be no markup.
    pub fn bare(&self) -> String {
        self.runs.iter().map(|run| run.text.as_str()).collect()
    }

    /// What is seen of it without its colours.
    pub(crate) fn seen(&self) -> (String, &'static str, &[String]) {
        (self.bare(), self.kind, &self.notes)
    }
}

/// A name or a title as it is shown among other words: nothing in it is invisible, and it turns nothing beside it.
pub fn seen(text: impl AsRef<str>) -> ShownValue {
    ShownValue::name(text.as_ref())
}

fn plain(text: impl Into<String>) -> Run {
    Run { text: text.into(), stands_for: None, is_changed: false }
}

fn real(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "Inf".into() } else { "-Inf".into() };
    }
    // `{:?}` is the shortest text that reads back as the same number, and always has a point or an exponent.
    format!("{number:?}")
}

fn blob(bytes: &[u8]) -> ShownValue {
    let shown: String = bytes.iter().take(BLOB_BYTES).map(|byte| format!("{byte:02x} ")).collect();
    let more = if bytes.len() > BLOB_BYTES { "…" } else { "" };
    let runs = vec![plain(format!("{}{more}", if more.is_empty() { shown.trim_end() } else { &shown }))];
    ShownValue { kind: "blob", runs, notes: vec![format!("blob, {}", bytes_text(bytes.len()))], ..ShownValue::default() }
}

/// A count of bytes, with groups of three digits.
pub(crate) fn bytes_text(count: usize) -> String {
    format!("{} byte{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}

/// A number with groups of three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

fn text(bytes: &[u8], room: Room) -> ShownValue {
    let runs = runs(bytes);
    let (runs, is_cut) = cut(runs, room.characters());
    ShownValue {
        kind: "text",
        runs,
        notes: note(bytes).map(String::from).into_iter().collect(),
        warnings: letters::warnings(&String::from_utf8_lossy(bytes)),
        cut: is_cut.then(|| format!("cut here: {} in all", bytes_text(bytes.len()))),
    }
}

/// What is said of a text that could be taken for something else.
fn note(bytes: &[u8]) -> Option<&'static str> {
    let text = std::str::from_utf8(bytes).unwrap_or("?");
    if text.is_empty() {
        return Some("empty text");
    }
    let looks_like_number = text.parse::<f64>().is_ok();
    let looks_like_word = ["null", "true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word));
    (looks_like_number || looks_like_word).then_some("text")
}

/// The runs of a text: what can be seen as it is, what cannot by its name, bytes that are no text by their digits.
pub(crate) fn runs(bytes: &[u8]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let last = bytes.len();
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let is_edge = at == 0 || at + c.len_utf8() == last;
            at += c.len_utf8();
            push(&mut runs, c, is_edge);
        }
        for byte in chunk.invalid() {
            at += 1;
            runs.push(Run { text: format!("\\x{byte:02x}"), stands_for: Some("a byte that is no text"), is_changed: false });
        }
    }
    runs
}

fn push(runs: &mut Vec<Run>, c: char, is_edge: bool) {
    let (name, keeps) = match sort(c, is_edge) {
        Sort::Seen => {
            match runs.last_mut().filter(|run| run.stands_for.is_none()) {
                Some(run) => run.text.push(c),
                None => runs.push(plain(c)),
            }
            return;
        }
        Sort::Unseen(name) => (name, None),
        Sort::LineEnd => ("line end", Some("\n")),
        Sort::Tab => ("tab", Some("\t")),
        Sort::EdgeSpace => ("space at the edge", None),
    };
    let sign = match sort(c, is_edge) {
        Sort::LineEnd => "↵".to_string(),
        Sort::Tab => "→".to_string(),
        Sort::EdgeSpace => "␣".to_string(),
        _ => format!("U+{:04X}", u32::from(c)),
    };
    runs.push(Run { text: sign, stands_for: Some(name), is_changed: false });
    // The layout stays as its writer wanted it.
    runs.extend(keeps.map(plain));
}

/// The first so many characters.
fn cut(runs: Vec<Run>, characters: usize) -> (Vec<Run>, bool) {
    let mut left = characters;
    let mut kept = Vec::new();
    for mut run in runs {
        if left == 0 {
            return (kept, true);
        }
        let length = run.text.chars().count();
        if length > left && run.stands_for.is_none() {
            run.text = run.text.chars().take(left).collect();
            kept.push(run);
            return (kept, true);
        }
        left -= length.min(left);
        kept.push(run);
    }
    (kept, false)
}

#[cfg(test)]
mod tests;
