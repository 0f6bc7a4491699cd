//! A diff as text: one line for the row, one line for each cell, words compared inside long text.
use super::words::{Run, compare};
use super::{Rendering, ShownCell, shown_cells};
use crate::output::{Output, Paint};
use crate::plain_text::{self, Extent};
use mainstem::Result;
use mainstem_core::change::{Change, Edit, Shape};
use mainstem_core::value::Value;

/// Texts at least this long (in bytes) on both sides are compared by word.
const LONG_TEXT: usize = 40;
/// Of words that did not change, this many characters are shown on each side of those that did.
const CONTEXT_CHARACTERS: usize = 30;

/// Shows changes as text.
#[derive(Debug, Default)]
pub struct AsText;

impl Rendering for AsText {
    fn begin(&mut self, _: &mut Output) -> Result<()> {
        Ok(())
    }
    fn change(&mut self, out: &mut Output, shape: &Shape, change: &Change) -> Result<()> {
        let line = headline(shape, change);
        let line = out.paint(paint(&change.edit), line);
        out.line(line)?;
        for cell in shown_cells(shape, &change.edit) {
            let line = cell_line(out, &cell);
            out.line(line)?;
        }
        Ok(())
    }
    fn end(&mut self, _: &mut Output) -> Result<()> {
        Ok(())
    }
}

fn paint(edit: &Edit) -> Paint {
    match edit {
        Edit::Insert(_) => Paint::Added,
        Edit::Update(_) => Paint::Changed,
        Edit::Delete(_) => Paint::Removed,
    }
}

/// The row in one line: `+ table key`, `~ table key`, `- table key`.
pub fn headline(shape: &Shape, change: &Change) -> String {
    let sign = match &change.edit {
        Edit::Insert(_) => '+',
        Edit::Update(_) => '~',
        Edit::Delete(_) => '-',
    };
    let moved = change.moved_from.as_ref().map_or(String::new(), |k| format!(" (was {})", plain_text::key(k)));
    format!("{sign} {} {}{moved}", plain_text::name(&shape.table), plain_text::key(&change.key))
}

fn cell_line(out: &Output, (column, before, after): &ShownCell<'_>) -> String {
    let column = plain_text::name(column);
    let shown = |v: &Value| plain_text::value(v, Extent::Full);
    match (before, after) {
        (None, Some(v)) => format!("    {column}: {}", out.paint(Paint::Added, shown(v))),
        (Some(v), None) => format!("    {column}: {}", out.paint(Paint::Removed, shown(v))),
        (Some(b), Some(a)) => format!("    {column}: {}", both(out, b, a)),
        (None, None) => format!("    {column}"),
    }
}

fn both(out: &Output, before: &Value, after: &Value) -> String {
    match (before, after) {
        (Value::Text(b), Value::Text(a)) if b.len().min(a.len()) >= LONG_TEXT => {
            if let (Ok(b), Ok(a)) = (std::str::from_utf8(b), std::str::from_utf8(a)) {
                return by_word(out, b, a);
            }
        }
        (Value::Blob(b), Value::Blob(a)) => {
            let at = b.iter().zip(a).take_while(|(x, y)| x == y).count();
            let note = format!("(different from byte {at} on)");
            return format!("{} {note}", arrow(out, before, after));
        }
        _ => {}
    }
    arrow(out, before, after)
}

fn arrow(out: &Output, before: &Value, after: &Value) -> String {
    let before = out.paint(Paint::Removed, plain_text::value(before, Extent::Full));
    let after = out.paint(Paint::Added, plain_text::value(after, Extent::Full));
    format!("{before} → {after}")
}

fn by_word(out: &Output, before: &str, after: &str) -> String {
    let runs = compare(before, after);
    let last = runs.len().saturating_sub(1);
    let mut line = String::from("'");
    for (at, run) in runs.iter().enumerate() {
        let visible = |t: &str| plain_text::text(t.as_bytes(), Extent::Full);
        match run {
            Run::Same(t) => line.push_str(&visible(&context(t, at == 0, at == last))),
            Run::Removed(t) => line.push_str(&out.paint(Paint::Removed, format!("[-{}-]", visible(t)))),
            Run::Added(t) => line.push_str(&out.paint(Paint::Added, format!("{{+{}+}}", visible(t)))),
        }
    }
    line + "'"
}

/// What is shown of words that did not change: those near the ones that did.
fn context(text: &str, is_first: bool, is_last: bool) -> String {
    let characters: Vec<char> = text.chars().collect();
    let ends = usize::from(!is_first) + usize::from(!is_last);
    if characters.len() <= CONTEXT_CHARACTERS * ends + 3 {
        return text.to_string();
    }
    let head: String = if is_first { String::new() } else { characters[..CONTEXT_CHARACTERS].iter().collect() };
    let from = characters.len() - CONTEXT_CHARACTERS;
    let tail: String = if is_last { String::new() } else { characters[from..].iter().collect() };
    format!("{head} … {tail}")
}
