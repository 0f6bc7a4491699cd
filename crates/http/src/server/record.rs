//! The log of a server: one line for each request and for what happens to the server itself.
//!
//! Invariant: one line for one thing, whatever it holds (T30); no token, no body, no path as it was sent (T1).
//! Invariant: nothing waits for whoever reads the log. Where nobody does, lines are dropped and counted.
use mainstem::moment::moment_ms;
use mainstem::wiring::Around;
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

/// Lines that wait to be written.
const WAITING_MAX: usize = 8_192;
/// The longest text in a line.
const TEXT_CHARS_MAX: usize = 500;

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// One JSON object.
    #[default]
    Json,
    /// `name=value` pairs.
    Text,
}

/// Where lines go.
pub struct Record {
    lines: Option<SyncSender<String>>,
    writer: Option<JoinHandle<()>>,
    style: Style,
    around: Around,
    dropped: AtomicU64,
}

impl Record {
    /// Written to `sink` by a thread of its own.
    pub fn to(mut sink: Box<dyn Write + Send>, style: Style, around: Around) -> Record {
        let (lines, written) = sync_channel::<String>(WAITING_MAX);
        let write = move || {
            for line in written {
                // A log that cannot be written is no reason to end what it tells of.
                let _ = sink.write_all(line.as_bytes()).and_then(|()| sink.flush());
            }
        };
        let writer = std::thread::Builder::new().name("log".to_string()).spawn(write).ok();
        Record { lines: Some(lines), writer, style, around, dropped: AtomicU64::new(0) }
    }
    /// Written nowhere.
    pub fn nowhere(around: Around) -> Record {
        Record { lines: None, writer: None, style: Style::Json, around, dropped: AtomicU64::new(0) }
    }
    /// Writes one line: what happened, and what is to be known of it.
    pub fn line(&self, what: &str, known: Vec<(&str, Value)>) {
        let Some(lines) = &self.lines else { return };
        let mut all = vec![("time", Value::from(moment_ms(self.around.now_ms()))), ("what", Value::from(what))];
        all.extend(known.into_iter().filter(|(_, value)| !value.is_null()));
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            all.push(("dropped_before", Value::from(dropped)));
        }
        if let Err(TrySendError::Full(_)) = lines.try_send(shown(all, self.style)) {
            self.dropped.fetch_add(dropped + 1, Ordering::Relaxed);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.lines = None;
        if let Some(writer) = self.writer.take() {
            // It ends with the last line; if it panicked, there is nobody to tell.
            let _ = writer.join();
        }
    }
}

fn shown(all: Vec<(&str, Value)>, style: Style) -> String {
    let all = all.into_iter().map(|(name, value)| match value {
        Value::String(text) if text.chars().count() > TEXT_CHARS_MAX => {
            (name, Value::from(text.chars().take(TEXT_CHARS_MAX).chain("…".chars()).collect::<String>()))
        }
        value => (name, value),
    });
    match style {
        Style::Json => {
            let object: Map<String, Value> = all.map(|(name, value)| (name.to_string(), value)).collect();
            visible(&Value::Object(object).to_string()) + "\n"
        }
        Style::Text => {
            let mut line = String::new();
            for (name, value) in all {
                let is_plain =
                    |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\'));
                let value = match &value {
                    Value::String(text) if is_plain(text) => text.clone(),
                    other => visible(&other.to_string()),
                };
                // Writing into a string cannot fail.
                let _ = write!(line, "{}{name}={value}", if line.is_empty() { "" } else { " " });
            }
            line + "\n"
        }
    }
}

/// JSON escapes what ASCII has of control characters; this escapes the rest, and what changes the direction of text.
fn visible(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        let is_hidden =
            c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' | '\u{feff}');
        if is_hidden {
            // Writing into a string cannot fail.
            let _ = write!(out, "\\u{:04x}", c as u32);
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_one_line_whatever_it_holds() {
        let nasty = "a\r\n{\"what\":\"forged\"}\u{1b}[31m\u{9b}\u{202e}\u{7f}\"=\\";
        for style in [Style::Json, Style::Text] {
            let line = shown(vec![("what", Value::from("x")), ("actor", Value::from(nasty)), ("bytes", Value::from(7))], style);
            assert_eq!(line.lines().count(), 1, "{line}");
            assert!(!line.trim_end_matches('\n').chars().any(char::is_control), "{line:?}");
            assert!(!line.contains('\u{202e}'), "{line:?}");
        }
        let line = shown(vec![("actor", Value::from(nasty))], Style::Json);
        let back: Value = serde_json::from_str(&line).expect("it is JSON");
        assert_eq!(back["actor"], nasty);
        assert_eq!(shown(vec![("what", Value::from("request")), ("ms", Value::from(3))], Style::Text), "what=request ms=3\n");
    }
}
