//! The page that says what did not work, and what to do.
use crate::frame::Frame;
use askama::Template;

/// An error, as people read it.
#[derive(Debug, Template)]
#[template(path = "failed.html")]
pub struct Failed {
    /// What is around it.
    pub frame: Frame,
    /// The status.
    pub status: u16,
    /// The error's stable name.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The request, as it is called in the server's log.
    pub request_id: String,
    /// Where one came from, where that is known.
    pub back: Option<String>,
}

impl Failed {
    /// The message as a sentence.
    fn sentence(&self) -> String {
        let mut letters = self.message.chars();
        let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
        format!("{first}{}.", letters.as_str())
    }
    fn heading(&self) -> &'static str {
        match self.status {
            401 => "You are not signed in",
            403 => "That is not allowed to you",
            404 => "There is nothing here",
            409 | 422 => "The state of the data stands against it",
            429 => "That was too much at once",
            503 => "That may work later",
            500.. => "The server failed",
            _ => "That cannot be done",
        }
    }
}
