//! One cell before and after, one above the other or beside one another.
use crate::value::{Room, ShownValue, runs};
use crate::words::marked;
use askama::Template;
use mainstem_core::value::Value;

/// A cell that changed; one side is missing where the row came or went.
#[derive(Clone, Debug, Template)]
#[template(path = "cell.html")]
pub struct ShownCell {
    /// Its column.
    pub column: String,
    /// What it was.
    pub before: Option<ShownValue>,
    /// What it is.
    pub after: Option<ShownValue>,
    /// What cannot be seen of the difference.
    pub unseen: Option<String>,
}

impl askama::filters::HtmlSafe for ShownCell {}

impl ShownCell {
    /// A cell with what it was and what it is.
    pub fn new(column: &str, before: Option<&Value>, after: Option<&Value>, room: Room) -> ShownCell {
        let mut old = before.map(|value| ShownValue::new(value, room));
        let mut new = after.map(|value| ShownValue::new(value, room));
        let unseen = match (&old, &new) {
            (Some(a), Some(b)) if before != after && a.seen() == b.seen() => Some(unseen(a, b)),
            _ => None,
        };
        if let (Some(old), Some(new), Some(Value::Text(a)), Some(Value::Text(b))) = (&mut old, &mut new, before, after)
            && old.is_whole()
            && new.is_whole()
        {
            (old.runs, new.runs) = marked(runs(a), runs(b));
        }
        ShownCell { column: column.to_string(), before: old, after: new, unseen }
    }
}

fn unseen(before: &ShownValue, after: &ShownValue) -> String {
    let is_cut = !before.is_whole() || !after.is_whole() || before.kind == "blob";
    let why = if is_cut { "they differ beyond what is shown" } else { "they differ in bytes that look alike" };
    why.to_string()
}
