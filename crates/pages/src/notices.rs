//! What concerns who is signed in.
use crate::frame::Frame;
use askama::Template;

/// Notices.
#[derive(Debug, Template)]
#[template(path = "notices.html")]
pub struct Notices {
    /// What is around it.
    pub frame: Frame,
    /// What concerns them, what is urgent first.
    pub items: Vec<Item>,
}

/// One thing.
#[derive(Debug)]
pub struct Item {
    /// What it is about: a dataset, a token.
    pub about: String,
    /// What is to be known.
    pub text: String,
    /// Where something can be done about it.
    pub to: String,
    /// Whether something waits for it.
    pub is_urgent: bool,
}
