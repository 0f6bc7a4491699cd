//! Events as they travel in a stream.
use crate::wire::failure::Failure;
use bytes::Bytes;
use mainstem::error::Error;
use mainstem::feed::{Batch, Offset, to_json};
use std::fmt::Write;

/// How events follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Server-sent events, each with its offset as its id.
    Events,
    /// One JSON object on a line.
    Lines,
}

impl Style {
    /// The media type.
    pub fn media(self) -> &'static str {
        match self {
            Style::Events => "text/event-stream",
            Style::Lines => "application/x-ndjson",
        }
    }
    /// The events of a batch.
    pub fn told(self, batch: &Batch) -> Bytes {
        let mut told = String::new();
        for event in &batch.events {
            let shown = to_json(event);
            // Writing into a string cannot fail; JSON on one line has no line end in it.
            let _ = match self {
                Style::Events => write!(told, "id: {}\ndata: {shown}\n\n", event.offset),
                Style::Lines => writeln!(told, "{shown}"),
            };
        }
        told.into()
    }
    /// That the stream is there, and how far it has come.
    pub fn heartbeat(self, at: &Offset) -> Bytes {
        match self {
            Style::Events => format!(": {at}\nid: {at}\n\n").into(),
            Style::Lines => Bytes::from_static(b"\n"),
        }
    }
    /// Why the stream ends.
    pub fn ended(self, why: &Error) -> Bytes {
        let failure = serde_json::json!({ "error": Failure::from(why) });
        match self {
            Style::Events => format!("event: end\ndata: {failure}\n\n").into(),
            Style::Lines => format!("{failure}\n").into(),
        }
    }
}
