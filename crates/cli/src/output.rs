//! Standard output and standard error: text or JSON, coloured or plain, and how errors look.
//!
//! Invariant: results go to standard output, everything else to standard error, so a pipe carries results only.
//! Invariant: a reader that goes away (`| head`) ends the command without a word.
use crate::suggestion;
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use serde_json::Value as Json;
use std::fmt::{Arguments, Display};
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// The code of the error that says nobody reads our output any more.
pub const BROKEN_PIPE: &str = "broken_pipe";

/// What a piece of text is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Something that came.
    Added,
    /// Something that went.
    Removed,
    /// Something that changed.
    Changed,
    /// A heading.
    Heading,
    /// Something of less weight.
    Quiet,
}

impl Paint {
    fn sequence(self) -> &'static str {
        match self {
            Paint::Added => "\x1b[32m",
            Paint::Removed => "\x1b[31m",
            Paint::Changed => "\x1b[33m",
            Paint::Heading => "\x1b[1m",
            Paint::Quiet => "\x1b[2m",
        }
    }
}

/// Where results go.
pub struct Output {
    sink: Box<dyn Write>,
    is_json: bool,
    is_coloured: bool,
    named_db: Option<PathBuf>,
}

impl Output {
    /// The process's standard output.
    pub fn standard(is_json: bool) -> Self {
        let stdout = std::io::stdout();
        let is_coloured = !is_json && stdout.is_terminal() && !is_colour_refused();
        Output { sink: Box::new(BufWriter::with_capacity(1 << 16, stdout)), is_json, is_coloured, named_db: None }
    }
    /// Another sink, never coloured.
    pub fn to(sink: Box<dyn Write>, is_json: bool) -> Self {
        Output { sink, is_json, is_coloured: false, named_db: None }
    }
    /// True when `--json` was asked for.
    pub fn is_json(&self) -> bool {
        self.is_json
    }
    /// The text, coloured where this output is.
    pub fn paint(&self, paint: Paint, text: impl Display) -> String {
        if self.is_coloured { format!("{}{text}\x1b[0m", paint.sequence()) } else { text.to_string() }
    }
    /// From here on, commands that are suggested name that database.
    pub fn name_database(&mut self, db: &Path) {
        self.named_db = Some(db.to_path_buf());
    }
    /// A text with commands to type next, completed so that they work as they stand.
    pub fn suggest(&self, text: &str) -> String {
        suggestion::naming(text, self.named_db.as_deref())
    }
    /// Writes one line.
    pub fn line(&mut self, text: impl Display) -> Result<()> {
        self.write(format_args!("{text}\n"))
    }
    /// Writes rows under their heads, in columns as wide as they must be.
    pub fn table(&mut self, heads: &[&str], mut rows: Vec<Vec<String>>) -> Result<()> {
        rows.insert(0, heads.iter().map(ToString::to_string).collect());
        let widths: Vec<usize> = (0..heads.len()).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
        for (number, row) in rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            let line = line.trim_end();
            if number == 0 { self.line(self.paint(Paint::Heading, line))? } else { self.line(line)? }
        }
        Ok(())
    }
    /// Writes without a line end.
    pub fn write(&mut self, text: Arguments<'_>) -> Result<()> {
        self.sink.write_fmt(text).map_err(unwritten)
    }
    /// Writes bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.sink.write_all(bytes).map_err(unwritten)
    }
    /// Writes one JSON value on one line.
    pub fn json(&mut self, value: &Json) -> Result<()> {
        self.line(value)
    }
    /// Hands everything on to the reader.
    pub fn flush(&mut self) -> Result<()> {
        self.sink.flush().map_err(unwritten)
    }
}

/// A JSON list written element by element, one per line, so that it need not fit in memory.
#[derive(Debug, Default)]
pub struct JsonList {
    has_any: bool,
}

impl JsonList {
    /// Writes the opening bracket.
    pub fn begin(out: &mut Output) -> Result<Self> {
        out.write(format_args!("["))?;
        Ok(JsonList::default())
    }
    /// Writes one element.
    pub fn push(&mut self, out: &mut Output, element: &Json) -> Result<()> {
        let comma = if std::mem::replace(&mut self.has_any, true) { "," } else { "" };
        out.write(format_args!("{comma}\n{element}"))
    }
    /// Writes the closing bracket.
    pub fn end(self, out: &mut Output) -> Result<()> {
        out.write(format_args!("{}]", if self.has_any { "\n" } else { "" }))
    }
}

fn unwritten(e: std::io::Error) -> Error {
    if e.kind() == std::io::ErrorKind::BrokenPipe {
        return Error::new(ErrorKind::Unavailable, BROKEN_PIPE, "nobody reads the output");
    }
    let message = format!("the output cannot be written: {e}");
    Error::new(ErrorKind::Unavailable, "output", message).because(e)
}

fn is_colour_refused() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) || std::env::var_os("TERM").is_some_and(|v| v == "dumb")
}

/// Says something on standard error that is not a result. A closed standard error is no failure.
pub fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "note: {}", one_line(&text.to_string()));
}

/// Shows a failure on standard error: message, then hint, or both as one JSON object.
pub fn show_error(error: &Error, is_json: bool) {
    let mut err = std::io::stderr();
    // Nothing is left to do where standard error itself is closed.
    let _ = err.write_all(error_text(error, is_json).as_bytes());
}

fn error_text(error: &Error, is_json: bool) -> String {
    if is_json {
        let shown = serde_json::json!({
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
        });
        return format!("{shown}\n");
    }
    let hint = error.hint.as_ref().map_or(String::new(), |h| format!("hint: {}\n", one_line(h)));
    format!("error: {}\n{hint}", one_line(&error.message))
}

/// The text without line ends and control characters, so that a hostile name cannot draw on the terminal.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_two_lines_whatever_it_names() {
        let e = Error::not_found("no table a\nb\x1b[2J").hint("mainstem status");
        assert_eq!(error_text(&e, false), "error: no table a b [2J\nhint: mainstem status\n");
    }

    #[test]
    fn an_error_as_json_has_three_fields() {
        let e = Error::invalid("no \"x\"");
        let json: Json = serde_json::from_str(&error_text(&e, true)).expect("an error is valid JSON");
        assert_eq!(json["code"], "invalid");
        assert_eq!(json["message"], "no \"x\"");
        assert!(json["hint"].is_null());
    }

    #[test]
    fn a_list_is_json_with_no_one_and_many_elements() {
        for count in 0..3 {
            let path = tempfile::NamedTempFile::new().expect("a temporary file");
            let file = path.reopen().expect("the same file");
            let mut out = Output::to(Box::new(file), true);
            let mut list = JsonList::begin(&mut out).expect("written");
            for i in 0..count {
                list.push(&mut out, &Json::from(i)).expect("written");
            }
            list.end(&mut out).expect("written");
            out.flush().expect("written");
            let text = std::fs::read_to_string(path.path()).expect("readable");
            let json: Vec<i64> = serde_json::from_str(&text).expect("a JSON list");
            assert_eq!(json, (0..count).collect::<Vec<_>>());
        }
    }
}
