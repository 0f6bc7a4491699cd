//! A line above a page that says what came of the last action.
use askama::Template;

/// How a notice is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It went well.
    Good,
    /// Something is to be known.
    Plain,
    /// It did not.
    Bad,
}

impl Tone {
    fn name(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Plain => "plain",
            Tone::Bad => "bad",
        }
    }
    /// Colour alone says nothing to many.
    fn word(self) -> &'static str {
        match self {
            Tone::Good => "Done",
            Tone::Plain => "Note",
            Tone::Bad => "Not done",
        }
    }
}

/// A notice.
#[derive(Clone, Debug, Template)]
#[template(path = "notice.html")]
pub struct Notice {
    /// How it is meant.
    pub tone: Tone,
    /// What it says.
    pub text: String,
    /// What to do, where there is anything.
    pub hint: Option<String>,
}

impl askama::filters::HtmlSafe for Notice {}

impl Notice {
    /// That something went well.
    pub fn good(text: impl Into<String>) -> Notice {
        Notice { tone: Tone::Good, text: text.into(), hint: None }
    }
    /// That something did not.
    pub fn bad(text: impl Into<String>, hint: Option<String>) -> Notice {
        Notice { tone: Tone::Bad, text: text.into(), hint }
    }
    /// That something is to be known.
    pub fn plain(text: impl Into<String>) -> Notice {
        Notice { tone: Tone::Plain, text: text.into(), hint: None }
    }
}
