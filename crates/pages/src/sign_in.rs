//! The page on which one signs in with a token.
use crate::frame::Frame;
use askama::Template;

/// Signing in.
#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignIn {
    /// What is around it.
    pub frame: Frame,
    /// Where to go then.
    pub next: String,
    /// Why it cannot be done here, where it cannot.
    pub unfit: Option<String>,
    /// Whether nobody administers the server yet.
    pub is_new: bool,
    /// The server's own address, for commands to type.
    pub address: String,
}
